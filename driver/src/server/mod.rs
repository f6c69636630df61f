//! The server: [`Server`] accepts, caps, hands connections to their tasks and drains them at the end.
//!
//! `connection.rs` and `turn.rs` are one connection's task, `shared.rs` what it shares with request bodies,
//! `registry.rs` the list of connections.

mod connection;
mod registry;
mod shared;
mod turn;

pub use self::connection::Connection;
use self::registry::{Place, Registry};
use self::shared::NewRequest;
pub(crate) use self::shared::{RequestBody, Shared};
use crate::buffers::Buffers;
use crate::runtime::{Listener, Runtime, Spawn, Timer};
use crate::{BoxError, Error, ErrorKind, Request, Response};
use antiphon_core::h1::ServerConfig;
use antiphon_core::server::accept::{Accept, AcceptStep, AfterFailure, Failure};
use antiphon_core::server::date::DateCache;
use antiphon_core::server::shutdown::{Over, ShutdownConfig};
use antiphon_core::{Field, Instant, UnixTime};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

const LISTENING: &str = "listening";
/// Buffers kept for the next connection that becomes busy.
const SPARE_BUFFERS: usize = 64;

/// A listening server.
///
/// The face is the same on every runtime; `R` is filled in by the adapters, whose documentation has a runnable
/// example.
pub struct Server<R: Runtime> {
    hub: Arc<Hub<R>>,
    listener: R::Listener,
    accept: Accept,
}

/// What all connections of a server share.
pub(crate) struct Hub<R> {
    runtime: R,
    config: Arc<ServerConfig>,
    registry: Arc<Registry>,
    buffers: Buffers,
    date: Mutex<Date>,
}

/// The Date field, formatted once a second; the wall clock is asked as seldom.
struct Date {
    cache: DateCache,
    unix: UnixTime,
    until: Instant,
}

impl<R: Runtime> Hub<R> {
    fn with_date<T>(&self, now: Instant, then: impl FnOnce(Field<'_>) -> T) -> T {
        let mut date = self.date.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= date.until {
            let unix = self.runtime.unix_time();
            date.unix = UnixTime(i64::try_from(unix.as_secs()).unwrap_or(i64::MAX));
            date.until = now + Duration::from_nanos(1_000_000_000 - u64::from(unix.subsec_nanos()));
        }
        let unix = date.unix;
        then(date.cache.field(unix))
    }
}

/// Settings of a [`Server`] to be.
#[derive(Clone, Debug)]
pub struct ServerBuilder<R> {
    runtime: R,
    config: ServerConfig,
    max_connections: usize,
    drain_timeout: Duration,
}

/// Stops a server and counts its connections, from anywhere. Cheap to clone.
#[derive(Clone)]
pub struct ServerHandle {
    registry: Arc<Registry>,
}

impl ServerHandle {
    /// Begins a graceful shutdown: no new connections, idle ones are closed, the others after the exchange
    /// they are in. [`Server::serve`] returns when that is done. Calling it again changes nothing.
    pub fn shutdown(&self) {
        self.registry.shutdown();
    }

    /// How many connections are open, switched ones included.
    pub fn connections(&self) -> usize {
        self.registry.lock().total()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

impl<R: Runtime + Default> Server<R> {
    /// Listens on `addr` with the default settings.
    ///
    /// Give an IP address and a port (port 0 takes a free one); looking up a name blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Listen`], with the system's error as its source.
    pub fn bind(addr: impl ToSocketAddrs) -> Result<Server<R>, Error> {
        Server::builder().bind(addr)
    }

    /// Settings to be changed before listening.
    pub fn builder() -> ServerBuilder<R> {
        ServerBuilder::with_runtime(R::default())
    }
}

impl<R: Runtime> ServerBuilder<R> {
    /// The default settings on this runtime.
    pub fn with_runtime(runtime: R) -> ServerBuilder<R> {
        ServerBuilder {
            runtime,
            config: ServerConfig::DEFAULT,
            max_connections: 10_000,
            drain_timeout: Duration::from_secs(30),
        }
    }

    /// Limits, deadlines and strictness of the connections.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// How many connections may be open; when there are as many, no more are accepted until one closes.
    /// Default: 10,000.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most.max(1);
        self
    }

    /// How long a shutdown waits for open exchanges before it drops their connections. Default: 30 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Listens on `addr`; see [`Server::bind`].
    ///
    /// # Errors
    /// [`ErrorKind::Listen`], with the system's error as its source.
    pub fn bind(self, addr: impl ToSocketAddrs) -> Result<Server<R>, Error> {
        let listen = |e: io::Error| Error::new(ErrorKind::Listen, LISTENING).with_source(e);
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for addr in addr.to_socket_addrs().map_err(listen)? {
            match self.runtime.bind(addr) {
                Ok(listener) => return Ok(self.listen(listener)),
                Err(e) => last = e,
            }
        }
        Err(listen(last))
    }

    /// Serves on a listener of your own.
    pub fn listen(self, listener: R::Listener) -> Server<R> {
        let mut shutdown = ShutdownConfig::DEFAULT;
        shutdown.drain = Some(self.drain_timeout);
        let clock = {
            let runtime = self.runtime.clone();
            Box::new(move || runtime.now())
        };
        Server {
            listener,
            accept: Accept::new(self.max_connections),
            hub: Arc::new(Hub {
                runtime: self.runtime,
                config: Arc::new(self.config),
                registry: Arc::new(Registry::new(shutdown, clock)),
                buffers: Buffers::new(SPARE_BUFFERS),
                date: Mutex::new(Date {
                    cache: DateCache::new(),
                    unix: UnixTime(0),
                    until: Instant::ZERO,
                }),
            }),
        }
    }
}

impl<R: Runtime> Server<R> {
    /// The address it listens on.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(|e| Error::io(LISTENING, e))
    }

    /// A handle that stops it.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            registry: self.hub.registry.clone(),
        }
    }

    /// Serves until [`ServerHandle::shutdown`] and until the drain is over.
    ///
    /// `handler` is called for each request and runs on the connection's own task; the body that it returns is
    /// sent from there too. An error that it returns is answered with 500, and so is a panic, which costs the
    /// connection but nothing else. When the client leaves, its future is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Listen`] if accepting fails for good.
    ///
    /// # Cancel safety
    /// Dropping the future shuts the server down: open connections are drained by their own tasks, without a
    /// time limit.
    pub async fn serve<H, F, E>(self, handler: H) -> Result<(), Error>
    where
        H: Fn(Request) -> F,
        F: Future<Output = Result<Response, E>>,
        E: Into<BoxError>,
        R: Spawn<Connection<R, H, F>>,
    {
        let Server {
            hub,
            mut listener,
            mut accept,
        } = self;
        let handler = Arc::new(handler);
        let _guard = ShutdownOnDrop(hub.registry.clone());
        let mut timer = None;
        loop {
            let accepted = poll_fn(|cx| {
                let mut registry = hub.registry.lock();
                if registry.shutdown.is_begun() {
                    return Poll::Ready(None);
                }
                registry.watch(cx.waker());
                let step = accept.step(registry.total(), hub.runtime.now());
                drop(registry);
                match step {
                    AcceptStep::Accept => listener.poll_accept(cx).map(Some),
                    AcceptStep::Full => Poll::Pending,
                    AcceptStep::PauseUntil(at) => {
                        if poll_at(&hub.runtime, &mut timer, at, cx).is_ready() {
                            // The clock has moved: ask again.
                            cx.waker().wake_by_ref();
                        }
                        Poll::Pending
                    }
                }
            })
            .await;
            match accepted {
                None => break,
                Some(Ok((stream, remote))) => {
                    accept.accepted();
                    if let Some(connection) = Connection::new(hub.clone(), handler.clone(), stream, remote) {
                        hub.runtime.spawn(connection);
                    }
                }
                Some(Err(e)) => {
                    let failure = e.raw_os_error().map_or(Failure::Temporary, Failure::of_os_error);
                    if accept.failed(failure, hub.runtime.now()) == AfterFailure::Stop {
                        return Err(Error::new(ErrorKind::Listen, "accepting").with_source(e));
                    }
                }
            }
        }
        drop(listener);
        hub.drain().await;
        Ok(())
    }
}

impl<R: Runtime> Hub<R> {
    /// Waits for the connections to end; drops those that are left when time is up.
    async fn drain(&self) {
        let mut timer = None;
        let over = poll_fn(|cx| {
            loop {
                let now = self.runtime.now();
                let mut registry = self.registry.lock();
                if let Some(over) = registry.shutdown.over(now) {
                    return Poll::Ready(over);
                }
                registry.watch(cx.waker());
                let deadline = registry.shutdown.deadline(now);
                drop(registry);
                match deadline {
                    Some(at) if poll_at(&self.runtime, &mut timer, at, cx).is_ready() => {}
                    _ => return Poll::Pending,
                }
            }
        })
        .await;
        if let Over::Dropped(_) = over {
            self.registry.kill();
            // Their tasks let go of the sockets as soon as they run.
            poll_fn(|cx| {
                let mut registry = self.registry.lock();
                if registry.shutdown.connections() == 0 {
                    return Poll::Ready(());
                }
                registry.watch(cx.waker());
                Poll::Pending
            })
            .await;
        }
    }
}

/// Arms `timer` for `at`, and polls it.
fn poll_at<R: Runtime>(
    runtime: &R,
    timer: &mut Option<R::Timer>,
    at: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let timer = match timer {
        Some(timer) => {
            timer.reset(at);
            timer
        }
        none => none.insert(runtime.timer(at)),
    };
    timer.poll(cx)
}

struct ShutdownOnDrop(Arc<Registry>);

impl Drop for ShutdownOnDrop {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

impl<R: Runtime> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.listener.local_addr().ok())
            .finish_non_exhaustive()
    }
}
