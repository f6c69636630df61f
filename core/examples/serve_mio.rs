//! An HTTP/1.1 server on nothing but `antiphon-core` and `mio`: one thread, any number of connections.
//!
//! `cargo run --release --example serve_mio -- 127.0.0.1:8000`, then `curl -d 'any size' http://127.0.0.1:8000/`.
//!
//! The first half is the loop that an embedder copies: bytes in, bytes out, deadlines, lent buffers, the ways
//! to finish. It knows nothing of HTTP. The second half is an application that streams bodies back.

use antiphon_core::h1::{BodyLen, Buffer, ExchangeId, Finish, ServerConfig, ServerConn, ServerEvent};
use antiphon_core::{Field, Fields, Instant, Status};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

const LISTENER: usize = 0;
const MAX_CONNECTIONS: usize = 10_000;
/// Reads and writes of one connection before the others have their turn.
const TURN: usize = 16;

/// What runs on one connection. Calls must not block.
pub(crate) trait App {
    /// The machine tells something, once.
    fn event(&mut self, http: &mut ServerConn, event: ServerEvent, now: Instant);
    /// Go on where the last call stopped: there may be room for output again, or `wake` has come.
    fn resume(&mut self, http: &mut ServerConn, now: Instant);
    /// When to call `resume` although nothing happens on the network.
    fn wake(&self) -> Option<Instant> {
        None
    }
    /// The connection speaks another protocol now; `unread` are its first bytes.
    fn switched(&mut self, _socket: TcpStream, _unread: &[u8]) {}
}

struct Connection<A> {
    socket: TcpStream,
    http: ServerConn,
    app: A,
    /// mio tells changes only: these stay true until the socket says `WouldBlock`.
    readable: bool,
    writable: bool,
    /// The time under which the connection stands in the list of timers.
    armed: Option<Instant>,
}

enum Turn {
    Wait,
    Again,
    Over,
}

/// `None` when there is nothing to do about it now; `ready` remembers whether the socket would block.
fn unless_blocked<T>(result: io::Result<T>, ready: &mut bool) -> Option<io::Result<T>> {
    let kind = result.as_ref().err().map(io::Error::kind);
    *ready = kind != Some(ErrorKind::WouldBlock);
    (*ready && kind != Some(ErrorKind::Interrupted)).then_some(result)
}

impl<A: App> Connection<A> {
    /// Does what can be done without blocking, a bounded amount of it.
    fn turn(&mut self, free: &mut Vec<Buffer>, now: Instant) -> Turn {
        let http = &mut self.http;
        for _ in 0..TURN {
            // 1. Tell the application what the bytes meant, and let it answer. An error needs no handling: the
            //    machine has queued its own reply, and `wants` says how to end.
            self.app.resume(http, now);
            while let Ok(Some(event)) = http.next_event() {
                self.app.event(http, event, now);
                self.app.resume(http, now);
            }

            // 2. Carry out what the machine wants now. Nothing is remembered here: it is asked again each time.
            let wants = http.wants();
            if wants.write && self.writable {
                let mut slices = [&[][..]; 16];
                let n = http.outgoing().slices(&mut slices);
                let written = self.socket.write_vectored(&slices.map(IoSlice::new)[..n]);
                match unless_blocked(written, &mut self.writable) {
                    Some(Ok(n)) => http.sent(n as u64, now).expect("not more than offered"),
                    Some(Err(_)) => http.write_failed(now),
                    None => {}
                }
            } else if wants.finish == Finish::ShutdownWrite && !wants.write {
                let _ = self.socket.shutdown(Shutdown::Write);
                http.write_shut(now);
            } else if wants.finish != Finish::No && !wants.write {
                return Turn::Over;
            } else if wants.read && self.readable {
                // 3. Lend a buffer only when bytes are about to be read.
                if http.needs_buffer() {
                    http.lend(free.pop().unwrap_or_default());
                }
                let read = self.socket.read(http.recv_space());
                match unless_blocked(read, &mut self.readable) {
                    Some(Ok(0)) => http.received_eof(now),
                    Some(Ok(n)) => http.received(n, now).expect("not more than there was space"),
                    Some(Err(_)) => http.read_failed(now),
                    None => {}
                }
            } else {
                return Turn::Wait;
            }
        }
        Turn::Again
    }
}

/// Serves every connection that `listener` accepts; returns only if polling fails.
pub(crate) fn serve<A: App>(
    mut listener: TcpListener,
    config: Arc<ServerConfig>,
    mut app: impl FnMut() -> A,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(256);
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, Token(LISTENER), Interest::READABLE)?;
    #[allow(clippy::disallowed_methods)] // the core has no clock: telling the time is the driver's part
    let start = std::time::Instant::now();
    let mut connections: HashMap<usize, Connection<A>> = HashMap::new();
    let mut last = LISTENER; // tokens are never used twice, so no event can reach the wrong connection
    let mut acceptable = true;
    let mut due: BTreeSet<usize> = BTreeSet::new(); // connections whose turn it is
    let mut timers: BTreeSet<(Instant, usize)> = BTreeSet::new();
    let mut free: Vec<Buffer> = Vec::new();

    loop {
        let now = Instant::from_duration(start.elapsed());
        let timer = timers.first().map(|(at, _)| *at - now);
        let busy = (!due.is_empty()).then_some(Duration::ZERO);
        unless_blocked(poll.poll(&mut events, busy.or(timer)), &mut true).transpose()?;
        for event in &events {
            let token = event.token().0;
            acceptable |= token == LISTENER;
            // Whatever it was: a read or a write that is wanted finds out.
            if let Some(c) = connections.get_mut(&token) {
                (c.readable, c.writable) = (true, true);
                due.insert(token);
            }
        }

        let now = Instant::from_duration(start.elapsed());
        while acceptable && connections.len() < MAX_CONNECTIONS {
            match unless_blocked(listener.accept(), &mut acceptable) {
                Some(Ok((mut socket, _))) => {
                    last += 1;
                    let _ = socket.set_nodelay(true);
                    registry.register(&mut socket, Token(last), Interest::READABLE | Interest::WRITABLE)?;
                    let connection = Connection {
                        socket,
                        http: ServerConn::new(config.clone(), now),
                        app: app(),
                        readable: true,
                        writable: true,
                        armed: None,
                    };
                    connections.insert(last, connection);
                    due.insert(last);
                }
                // Out of descriptors, most likely. The next connection that ends gives one back.
                Some(Err(_)) => acceptable = false,
                None => {}
            }
        }
        while let Some((_, token)) = timers.first().copied().filter(|(at, _)| *at <= now) {
            timers.pop_first();
            if let Some(c) = connections.get_mut(&token) {
                c.armed = None;
                c.http.handle_timeout(now); // does nothing if the deadline has moved on
                due.insert(token);
            }
        }
        for token in std::mem::take(&mut due) {
            let Some(c) = connections.get_mut(&token) else {
                continue;
            };
            match c.turn(&mut free, now) {
                Turn::Wait => {}
                Turn::Again => drop(due.insert(token)),
                Turn::Over => {
                    let mut c = connections.remove(&token).expect("it was there above");
                    registry.deregister(&mut c.socket)?;
                    if c.http.wants().finish == Finish::Detach {
                        c.app.switched(c.socket, &c.http.into_parts().unread);
                    }
                    acceptable = true;
                    continue;
                }
            }
            // An idle connection holds no buffer; some are kept for those to come.
            free.extend(c.http.reclaim());
            free.truncate(64);
            // A later deadline leaves the armed timer alone: when that fires, the new one is armed.
            let deadline = c.http.deadline(now).map(|d| d.at);
            let at = deadline.into_iter().chain(c.app.wake()).min();
            if let Some(at) = at.filter(|at| c.armed.is_none_or(|armed| *at < armed)) {
                c.armed.replace(at).map(|old| timers.remove(&(old, token)));
                timers.insert((at, token));
            }
        }
    }
}

/// Streams a request body back as it comes; without one says hello. Remembers the request it is at.
#[derive(Default)]
struct Echo(Option<ExchangeId>);

impl App for Echo {
    fn event(&mut self, http: &mut ServerConn, event: ServerEvent, _now: Instant) {
        const TEXT: [Field<'static>; 1] = [Field::from_static("content-type", "text/plain")];
        // The calls fail only if the exchange is over by now; its `ExchangeEnd` comes.
        let _ = match event {
            ServerEvent::Request { id, body, .. } => {
                self.0 = Some(id);
                http.want_body(id);
                // A 2xx would turn CONNECT into a tunnel.
                let connect = http.head(id).is_ok_and(|head| head.method() == "CONNECT");
                let status = if connect { Status::FORBIDDEN } else { Status::OK };
                match body {
                    BodyLen::None => http
                        .send_head(id, status, &TEXT, BodyLen::Known(14))
                        .and_then(|()| http.send_body_copy(id, b"Hello, World!\n"))
                        .and_then(|_| http.finish(id, &Fields::EMPTY)),
                    _ => http.send_head(id, status, &TEXT, body),
                }
            }
            ServerEvent::BodyEnd { id } => http.finish(id, &Fields::EMPTY),
            _ => Ok(()),
        };
    }

    fn resume(&mut self, http: &mut ServerConn, _now: Instant) {
        // What finds no room stays unread, so that in the end the peer is slowed down.
        let Some(id) = self.0 else { return };
        if http.send_capacity(id) > 0 && !http.body().is_empty() {
            let bytes = http.take_body();
            let _ = http.send_body(id, bytes);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let listener = TcpListener::bind(addr.parse()?)?;
    println!("listening on {}", listener.local_addr()?);
    Ok(serve(listener, Arc::new(ServerConfig::DEFAULT), Echo::default)?)
}
