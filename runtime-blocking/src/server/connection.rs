//! One server connection, shared between the thread that serves it and the request body that a handler reads:
//! whoever waits for it drives it. Which request is answered how lives in `exchange`.
//!
//! The lock is held while bytes move, never while somebody waits or runs code of the application.

use super::Shared;
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::link::{Link, Step};
use crate::stream::Stream;
use antiphon_core::h1::{
    BodyLen, CloseReason, DeadlineKind, ExchangeId, Finish, OwnedHead, Parts, PeerError, Reuse, ServerConn,
    ServerEvent, Switch,
};
use antiphon_core::server::date::DateCache;
use antiphon_core::server::shutdown::{ConnState, Order};
use antiphon_core::{Headers, Instant};
use bytes::Bytes;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) socket: Arc<TcpStream>,
    pub(super) remote: SocketAddr,
    pub(super) local: Option<SocketAddr>,
    pub(super) server: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) link: Link<ServerConn>,
    pub(super) date: DateCache,
    /// What it is between requests: new or idle.
    conn_state: ConnState,
    /// A request that was read and not taken yet.
    next: Option<Arrived>,
    /// The exchange that is being answered.
    current: Option<ExchangeId>,
    body_ended: bool,
    trailers: Option<Headers>,
    pub(super) ended: Option<Reuse>,
    gone: bool,
    timeout: Option<DeadlineKind>,
    error: Option<PeerError>,
}

/// What a `Request` event tells, and the head.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) id: ExchangeId,
    pub(super) head: OwnedHead,
    pub(super) body: BodyLen,
    pub(super) proposes: Switch,
    /// The head was refused, and the application is to word the reply.
    pub(super) rejected: Option<PeerError>,
}

impl State {
    /// Takes note of what the machine has to tell, up to a request: what comes after it is told once it was
    /// taken.
    fn pull(&mut self) {
        while self.next.is_none() {
            match self.link.machine.next_event() {
                Ok(None) => return,
                Ok(Some(event)) => self.note(event),
                Err(e) => {
                    self.error = Some(e);
                    return;
                }
            }
        }
    }

    fn note(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Request {
                id, body, proposes, ..
            } => {
                // At once: the head is there as long as the exchange, which a body that is malformed ends.
                let head = self.link.machine.take_head(id);
                self.next = Some(Arrived {
                    id,
                    head,
                    body,
                    proposes,
                    rejected: None,
                });
            }
            ServerEvent::Rejected { id, error } => {
                let (body, proposes) = (BodyLen::None, Switch::None);
                self.next = Some(Arrived {
                    id,
                    head: OwnedHead::default(),
                    body,
                    proposes,
                    rejected: Some(error),
                });
            }
            ServerEvent::BodyEnd { id } => {
                self.body_ended = true;
                self.trailers = self
                    .link
                    .machine
                    .trailers(id)
                    .filter(|t| !t.is_empty())
                    .map(|t| t.to_headers());
            }
            ServerEvent::ExchangeEnd { reuse, .. } => self.ended = Some(reuse),
            ServerEvent::Timeout { why, .. } => self.timeout = Some(why),
            ServerEvent::PeerGone => self.gone = true,
            // Bytes are looked at directly; a client that sends no more may still read.
            _ => {}
        }
    }

    /// Whether nothing can reach the client any more.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Why nothing more comes of this connection.
    fn failure(&self) -> Error {
        if let Some(e) = self.error {
            return Error::peer(READING, e);
        }
        if let Some(why) = self.timeout {
            return Error::timeout(READING, why);
        }
        match self.ended {
            Some(Reuse::Close(why)) => Error::closed(READING, why),
            _ if self.gone => Error::closed(READING, CloseReason::ReadFailed),
            _ => Error::new(ErrorKind::ExchangeOver, READING),
        }
    }
}

const READING: &str = "reading a request body";

impl Connection {
    pub(super) fn new(
        server: Arc<Shared>,
        socket: Arc<TcpStream>,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        now: Instant,
    ) -> Connection {
        let machine = ServerConn::new(Arc::clone(&server.config), now);
        let link = Link::new(
            machine,
            Stream::plain(Arc::clone(&socket)),
            Arc::clone(&server.free),
        );
        let state = State {
            link,
            date: DateCache::new(),
            conn_state: ConnState::New,
            next: None,
            current: None,
            body_ended: false,
            trailers: None,
            ended: None,
            gone: false,
            timeout: None,
            error: None,
        };
        Connection {
            socket,
            remote,
            local,
            server,
            state: Mutex::new(state),
        }
    }

    /// Runs `f` on the state.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut crate::lock(&self.state))
    }

    /// Drives the connection in both directions until `done` gives something, or until the connection is over.
    /// `done` is asked again whenever something has moved.
    pub(super) fn until<T>(&self, mut done: impl FnMut(&mut State) -> Option<T>) -> Result<T, Finish> {
        let mut state = crate::lock(&self.state);
        loop {
            state.pull();
            if let Some(found) = done(&mut state) {
                return Ok(found);
            }
            match state.link.step() {
                Step::Moved => {}
                Step::Over(finish) => return Err(finish),
                Step::Owed => return Err(Finish::No),
                Step::Wait(plan) => {
                    drop(state);
                    let ready = plan.wait(&self.socket, None, None);
                    state = crate::lock(&self.state);
                    state.link.woke(ready);
                }
            }
        }
    }

    /// Waits for the next request. While none has begun the connection holds no buffer, and ends when the
    /// server shuts down.
    pub(super) fn next_request(&self) -> Option<Arrived> {
        let mut state = crate::lock(&self.state);
        let since = clock::mono();
        let mut told = false;
        loop {
            state.pull();
            if let Some(next) = state.next.take() {
                state.conn_state = ConnState::Idle;
                state.current = Some(next.id);
                state.body_ended = next.body == BodyLen::None;
                state.trailers = None;
                state.ended = None;
                return Some(next);
            }
            let plan = match state.link.step() {
                Step::Moved => continue,
                Step::Over(_) | Step::Owed => return None,
                Step::Wait(plan) => plan,
            };
            let (mut bell, mut until) = (None, None);
            if state.link.machine.is_idle() && !told {
                state.link.rest();
                if self.server.is_shutting_down() {
                    let (order, ask_again) = self.server.order(state.conn_state, since);
                    if order >= Order::Close {
                        state.link.machine.close_when_idle();
                        told = true;
                        continue;
                    }
                    until = ask_again;
                } else {
                    bell = Some(&self.server.bell);
                }
            }
            drop(state);
            let ready = plan.wait(&self.socket, until, bell);
            state = crate::lock(&self.state);
            state.link.woke(ready);
        }
    }

    /// Sends what can be sent at once.
    pub(super) fn flush(&self) {
        let mut state = crate::lock(&self.state);
        while state.link.machine.wants().write {
            if !matches!(state.link.step(), Step::Moved) {
                return;
            }
        }
    }

    /// Sends all that is queued, or finds that it cannot be sent.
    pub(super) fn drain_out(&self) {
        // If the connection is over, so is sending.
        let _ = self.until(|state| (!state.link.machine.wants().write).then_some(()));
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Gives a head's storage back for the next request.
    pub(crate) fn recycle(&self, head: OwnedHead) {
        self.with(|state| state.link.machine.recycle(head));
    }

    /// Whether the client is gone, as far as can be told without waiting.
    pub(crate) fn client_gone(&self) -> bool {
        let mut state = crate::lock(&self.state);
        state.link.glance();
        state.pull();
        state.gone
    }

    /// Takes the connection out of the protocol; request bodies that are still held read as failed.
    pub(super) fn detach(&self, now: Instant) -> Parts {
        let mut state = crate::lock(&self.state);
        let machine = ServerConn::new(Arc::clone(&self.server.config), now);
        let fresh = Link::new(
            machine,
            Stream::plain(Arc::clone(&self.socket)),
            Arc::clone(&self.server.free),
        );
        state.current = None;
        std::mem::replace(&mut state.link, fresh).into_parts().1
    }

    /// Says that the body is wanted.
    fn want_body(&self, id: ExchangeId) {
        self.with(|state| {
            if state.current == Some(id) {
                state.link.machine.want_body(id);
            }
        });
    }

    /// Waits until there are body bytes and runs `take` on the machine; `None` at the end of the body.
    fn read_body<T>(
        &self,
        id: ExchangeId,
        mut take: impl FnMut(&mut ServerConn) -> T,
    ) -> Result<Option<T>, Error> {
        // Even if bytes have arrived already: a client that asked for `100 Continue` gets it, unless its body has
        // turned out to be empty.
        self.with(State::pull);
        self.want_body(id);
        let read = self.until(|state| {
            if state.current != Some(id) {
                return Some(Err(Error::new(ErrorKind::ExchangeOver, READING)));
            }
            if state.ended.is_some() && !state.body_ended {
                return Some(Err(state.failure()));
            }
            let machine = &mut state.link.machine;
            if !machine.body().is_empty() {
                return Some(Ok(Some(take(machine))));
            }
            if state.body_ended {
                return Some(Ok(None));
            }
            if state.gone || state.error.is_some() || state.timeout.is_some() {
                return Some(Err(state.failure()));
            }
            None
        });
        read.unwrap_or_else(|_| Err(self.with(|state| state.failure())))
    }
}

/// The request body on its way in. It drives the connection on the thread that reads it.
#[derive(Debug)]
pub(crate) struct RequestBody {
    connection: Arc<Connection>,
    id: ExchangeId,
}

impl RequestBody {
    pub(super) fn new(connection: Arc<Connection>, id: ExchangeId) -> RequestBody {
        RequestBody { connection, id }
    }

    /// Says that it will be read, before anything else is decided about the connection.
    pub(crate) fn ask(&self) {
        self.connection.want_body(self.id);
    }

    /// Reads some bytes; 0 at the end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let read = self.connection.read_body(self.id, |machine| {
            let body = machine.body();
            let n = body.len().min(buf.len());
            buf[..n].copy_from_slice(&body[..n]);
            // At most what `body` shows.
            let _ = machine.consume(n);
            n
        })?;
        Ok(read.unwrap_or(0))
    }

    /// All bytes that are there; `None` at the end.
    pub(crate) fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.connection.read_body(self.id, ServerConn::take_body)
    }

    /// The trailers, once, after the end.
    pub(crate) fn take_trailers(&mut self) -> Option<Headers> {
        self.connection.with(|state| {
            if state.current == Some(self.id) {
                state.trailers.take()
            } else {
                None
            }
        })
    }
}
