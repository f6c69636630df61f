//! [`Server`]: listening, accepting, and the life of connection threads up to the drain. What a connection
//! thread does lives in `exchange`, how a connection moves in `connection`.

mod connection;
mod exchange;

pub(crate) use self::connection::{Connection, RequestBody};

use crate::buffers::FreeList;
use crate::error::{BoxError, Error, ErrorKind};
use crate::request::Request;
use crate::response::Response;
use crate::wait::{self, Bell};
use crate::{clock, lock};
use antiphon_core::Instant;
use antiphon_core::h1::ServerConfig;
use antiphon_core::server::accept::{Accept, AcceptStep, AfterFailure, Failure};
use antiphon_core::server::shutdown::{ConnState, Order, Shutdown, ShutdownConfig};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const LISTENING: &str = "listening";
const SERVING: &str = "serving";

/// Buffers that are kept for connections to come.
const FREE_BUFFERS: usize = 64;
/// How long connections that were dropped at the end of the drain are given to notice.
const LAST_CALL: Duration = Duration::from_millis(250);

/// An HTTP/1.1 server: a thread for each connection, and a handler that is called on it for each request.
///
/// ```
/// use antiphon_blocking::{Client, Request, Response, Server, Status};
///
/// let server = Server::bind("127.0.0.1:0")?;
/// let url = format!("http://{}/", server.local_addr()?);
/// let handle = server.handle();
/// let serving = std::thread::spawn(move || {
///     server.serve(|_: Request| Ok::<_, std::convert::Infallible>(Response::new(Status::OK).with_body("hello")))
/// });
/// assert_eq!(Client::new().get(&url).send()?.text(100)?, "hello");
/// handle.shutdown();
/// serving.join().unwrap()?;
/// # Ok::<(), antiphon_blocking::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local: SocketAddr,
    shared: Arc<Shared>,
}

/// The settings of a [`Server`] to be.
#[derive(Clone, Debug)]
pub struct ServerBuilder {
    config: ServerConfig,
    max_connections: usize,
    drain_timeout: Duration,
}

/// Ends a server from elsewhere, and looks at it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

/// What the server, its connections and its handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    config: Arc<ServerConfig>,
    max_connections: usize,
    free: Arc<FreeList>,
    /// The same as in `connections`, to be looked at without the lock.
    shutting_down: AtomicBool,
    /// Wakes the accept loop and idle connections when the server shuts down.
    bell: Bell,
    connections: Mutex<Connections>,
    /// A connection ended, or the server shuts down.
    changed: Condvar,
}

#[derive(Debug)]
struct Connections {
    next: u64,
    /// Who is told to finish at the end, and when it is over.
    shutdown: Shutdown,
    /// Those that the drain waits for.
    open: BTreeMap<u64, Arc<TcpStream>>,
    /// How many have been switched to another protocol: they have their threads, but the drain passes over
    /// them.
    switched: usize,
}

impl Connections {
    fn count(&self) -> usize {
        self.open.len() + self.switched
    }
}

impl Shared {
    fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Acquire)
    }

    /// What a connection is to do, and when to ask again.
    fn order(&self, state: ConnState, since: Instant) -> (Order, Option<Instant>) {
        let now = clock::mono();
        let shutdown = &lock(&self.connections).shutdown;
        (
            shutdown.order(state, since, now),
            shutdown.order_deadline(state, since, now),
        )
    }
}

impl Server {
    /// Listens on `addr` with the default settings.
    ///
    /// # Errors
    /// [`ErrorKind::Listen`] with the system's reason.
    pub fn bind(addr: impl ToSocketAddrs) -> Result<Server, Error> {
        Server::builder().bind(addr)
    }

    /// To set something first.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            config: ServerConfig::DEFAULT,
            max_connections: 512,
            drain_timeout: Duration::from_secs(30),
        }
    }

    /// The address that it listens on, with the port that port 0 has become.
    ///
    /// # Errors
    /// None here; the signature is that of the async adapters.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.local)
    }

    /// A handle to end it with.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Accepts connections and answers their requests with `handler` until [`ServerHandle::shutdown`] is called
    /// and the drain is over.
    ///
    /// The handler runs on the connection's thread, one request of a connection after the other. If it returns
    /// an error, or panics, the client gets a 500; after a panic the connection closes. Both are reported on
    /// standard error.
    ///
    /// The exchange ends with its response. A request body that was handed to another thread and is read there
    /// while the response is sent (an echo, say) ends at the latest then: what was not read by the time the
    /// response is complete is discarded, and the reader gets an error. A response that is to wait for such a
    /// reader has a body that ends after it.
    ///
    /// # Errors
    /// [`ErrorKind::Listen`] if accepting fails for good. Passing failures (too many open files ...) are reported
    /// on standard error and tried again, after 5 ms at first, 1 s at most.
    pub fn serve<F, E>(self, handler: F) -> Result<(), Error>
    where
        F: Fn(Request) -> Result<Response, E> + Send + Sync + 'static,
        E: Into<BoxError>,
    {
        let handler: Arc<exchange::Handler> = Arc::new(move |request| handler(request).map_err(Into::into));
        let result = self.accept(&handler);
        let Server { listener, shared, .. } = self;
        // Nobody may connect any more, and connections that wait must know.
        drop(listener);
        ServerHandle {
            shared: Arc::clone(&shared),
        }
        .shutdown();
        drain(&shared);
        result
    }

    fn accept(&self, handler: &Arc<exchange::Handler>) -> Result<(), Error> {
        let failed = |e: io::Error| Error::new(ErrorKind::Listen, SERVING).with_source(e);
        self.listener.set_nonblocking(true).map_err(failed)?;
        let mut policy = Accept::new(self.shared.max_connections);
        while self.wait_for_turn(&policy) {
            let accepted = match self.listener.accept() {
                Ok((socket, remote)) => self.start(socket, remote, handler),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    wait::for_listener(&self.listener, &self.shared.bell).map_err(failed)?;
                    continue;
                }
                Err(e) => Err(e),
            };
            let Err(e) = accepted else {
                policy.accepted();
                continue;
            };
            let kind = e.raw_os_error().map_or(Failure::Temporary, Failure::of_os_error);
            match policy.failed(kind, clock::mono()) {
                AfterFailure::Continue => {}
                AfterFailure::Pause(pause) => {
                    say(format_args!(
                        "accepting a connection failed, trying again in {pause:?}: {e}"
                    ));
                }
                AfterFailure::Stop => return Err(failed(e)),
            }
        }
        Ok(())
    }

    /// Waits until the next connection may be accepted; `false` when the server shuts down.
    fn wait_for_turn(&self, policy: &Accept) -> bool {
        let shared = &self.shared;
        let mut connections = lock(&shared.connections);
        loop {
            if connections.shutdown.is_begun() {
                return false;
            }
            let now = clock::mono();
            connections = match policy.step(connections.count(), now) {
                AcceptStep::Accept => return true,
                AcceptStep::Full => shared
                    .changed
                    .wait(connections)
                    .unwrap_or_else(PoisonError::into_inner),
                AcceptStep::PauseUntil(at) => {
                    let waited = shared.changed.wait_timeout(connections, at.saturating_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Starts the thread of a connection. Only what says something about the system is an error.
    fn start(
        &self,
        socket: TcpStream,
        remote: SocketAddr,
        handler: &Arc<exchange::Handler>,
    ) -> io::Result<()> {
        if socket.set_nonblocking(true).is_err() {
            return Ok(());
        }
        // Fails on some systems when the client has gone already, which its thread finds out.
        let _ = socket.set_nodelay(true);
        keep_alive(&socket);
        let local = socket.local_addr().ok();
        let socket = Arc::new(socket);
        let Some(place) = Place::take(&self.shared, &socket) else {
            return Ok(());
        };
        let connection = Connection::new(Arc::clone(&self.shared), socket, remote, local, clock::mono());
        let handler = Arc::clone(handler);
        let thread = thread::Builder::new().name(format!("http {remote}"));
        thread
            .spawn(move || exchange::serve(Arc::new(connection), place, &*handler))
            .map(drop)
    }
}

/// A connection among those that are open, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    id: u64,
}

impl Place {
    /// `None` when the server is shutting down.
    fn take(shared: &Arc<Shared>, socket: &Arc<TcpStream>) -> Option<Place> {
        let mut connections = lock(&shared.connections);
        if !connections.shutdown.opened() {
            return None;
        }
        let id = connections.next;
        connections.next += 1;
        connections.open.insert(id, Arc::clone(socket));
        Some(Place {
            shared: Arc::clone(shared),
            id,
        })
    }

    /// The connection speaks another protocol from here on.
    fn switched(&self) {
        let mut connections = lock(&self.shared.connections);
        if connections.open.remove(&self.id).is_some() {
            connections.shutdown.closed();
            connections.switched += 1;
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = lock(&self.shared.connections);
        if connections.open.remove(&self.id).is_some() {
            connections.shutdown.closed();
        } else {
            connections.switched -= 1;
        }
        self.shared.changed.notify_all();
    }
}

/// Waits for the open connections; those that remain when the time is up are dropped.
fn drain(shared: &Shared) {
    let mut connections = lock(&shared.connections);
    loop {
        let now = clock::mono();
        if connections.shutdown.over(now).is_some() {
            break;
        }
        let left = connections
            .shutdown
            .deadline(now)
            .map(|at| at.saturating_since(now));
        connections = match left {
            Some(left) => {
                shared
                    .changed
                    .wait_timeout(connections, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => shared
                .changed
                .wait(connections)
                .unwrap_or_else(PoisonError::into_inner),
        };
    }
    for socket in connections.open.values() {
        // The threads find their connections ended. A handler that looks at nothing cannot be stopped.
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
    let some_open = |c: &mut Connections| !c.open.is_empty();
    drop(
        shared
            .changed
            .wait_timeout_while(connections, LAST_CALL, some_open),
    );
}

/// TCP keep-alive, so that a peer that vanished is noticed at last.
pub(crate) fn keep_alive(socket: &TcpStream) {
    #[cfg(unix)]
    {
        use rustix::net::sockopt;
        // What a system cannot do it does not do.
        let _ = sockopt::set_socket_keepalive(socket, true);
        #[cfg(any(
            target_os = "linux",
            target_os = "android",
            target_os = "freebsd",
            target_os = "macos"
        ))]
        {
            let _ = sockopt::set_tcp_keepidle(socket, Duration::from_secs(30));
            let _ = sockopt::set_tcp_keepintvl(socket, Duration::from_secs(30));
        }
    }
    #[cfg(not(unix))]
    let _ = socket;
}

impl ServerBuilder {
    /// Limits, deadlines and strictness of the connections.
    #[must_use]
    pub fn config(mut self, config: ServerConfig) -> ServerBuilder {
        self.config = config;
        self
    }

    /// How many connections, and so threads, there may be; further ones wait in the system's backlog.
    /// Default: 512. At least 1.
    #[must_use]
    pub fn max_connections(mut self, n: usize) -> ServerBuilder {
        self.max_connections = n.max(1);
        self
    }

    /// How long a shutdown waits for active connections; those left then are dropped. Default: 30 s.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> ServerBuilder {
        self.drain_timeout = timeout;
        self
    }

    /// Listens on `addr`; the first address that can be had, if there are several.
    ///
    /// # Errors
    /// [`ErrorKind::Listen`] with the system's reason.
    pub fn bind(self, addr: impl ToSocketAddrs) -> Result<Server, Error> {
        let failed = |e: io::Error| Error::new(ErrorKind::Listen, LISTENING).with_source(e);
        let listener = TcpListener::bind(addr).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let mut shutdown = ShutdownConfig::DEFAULT;
        shutdown.drain = Some(self.drain_timeout);
        let connections = Connections {
            next: 0,
            shutdown: Shutdown::new(shutdown),
            open: BTreeMap::new(),
            switched: 0,
        };
        let shared = Arc::new(Shared {
            config: Arc::new(self.config),
            max_connections: self.max_connections,
            free: Arc::new(FreeList::new(FREE_BUFFERS)),
            shutting_down: AtomicBool::new(false),
            bell: Bell::new().map_err(failed)?,
            connections: Mutex::new(connections),
            changed: Condvar::new(),
        });
        Ok(Server {
            listener,
            local,
            shared,
        })
    }
}

impl ServerHandle {
    /// Shuts the server down gracefully: it accepts no more, idle connections close, active ones close after the
    /// answer they are at, which says so, and new ones that have sent nothing yet have five seconds from their
    /// accept to send a request. Returns at once; `serve` returns when all that is over.
    pub fn shutdown(&self) {
        self.shared.shutting_down.store(true, Ordering::Release);
        lock(&self.shared.connections).shutdown.begin(clock::mono());
        self.shared.changed.notify_all();
        self.shared.bell.ring();
    }

    /// How many connections are open now, those that speak another protocol by now included.
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).count()
    }
}

/// Tells the operator, on standard error. One call, one line: it is not buffered. That nobody may read it any more
/// is no reason to panic, as `eprintln!` would.
fn say(what: std::fmt::Arguments<'_>) {
    let _ = io::stderr().write_all(format!("antiphon: {what}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use std::io::{Read, Write};

    #[test]
    fn idle_connections_hold_no_buffers() {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let (addr, handle) = (server.local_addr().unwrap(), server.handle());
        let serving = thread::spawn(move || {
            server.serve(|_: Request| Ok::<_, BoxError>(Response::new(Status::OK).with_body("x")))
        });
        let shared = Arc::clone(&handle.shared);
        let mut sockets: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
        for _ in 0..3 {
            for socket in &mut sockets {
                socket.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
                let mut seen = Vec::new();
                while !seen.ends_with(b"\r\n\r\nx") {
                    let mut byte = [0];
                    socket.read_exact(&mut byte).unwrap();
                    seen.push(byte[0]);
                }
                // One after the other, they all used the same one, and it came back each time.
                let begun = std::time::Instant::now();
                while shared.free.len() != 1 {
                    assert!(
                        begun.elapsed() < Duration::from_secs(10),
                        "{} buffers",
                        shared.free.len()
                    );
                    thread::yield_now();
                }
            }
        }
        assert_eq!(handle.connections(), 20);
        handle.shutdown();
        serving.join().unwrap().unwrap();
    }
}
