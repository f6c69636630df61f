//! [`Hub`]: the pool of a client behind its lock, waiting in its line, and [`Held`], a connection in use. How
//! connections are made is in `dial`, what goes over them in `exchange`.

use super::builder::Settings;
use super::dial::Dialer;
use super::failure::CONNECTING;
use super::middleware::Wraps;
use super::seat::Seat;
use crate::buffers::FreeList;
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::link::Link;
use crate::lock;
use crate::stream::Stream;
use antiphon_core::Headers;
use antiphon_core::Instant;
use antiphon_core::client::call::SetCookies;
use antiphon_core::client::pool::{self, Acquire, Closed, Dialed, Lease, Poll, Pool, Put, Reused};
use antiphon_core::client::{CallConfig, Route, Url};
use antiphon_core::h1::{ClientConfig, ClientConn, CloseReason, DeadlineKind, Parts};
#[cfg(feature = "cookies")]
use antiphon_support::cookies::Cookies;
use antiphon_support::trace::{CallId, ConnId, Trace, TraceEvent, Tracer};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// A connection in the pool or in use.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) link: Link<ClientConn>,
    pub(super) remote: SocketAddr,
    id: ConnId,
}

/// What the clones of a client share.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) config: Arc<ClientConfig>,
    pub(super) call: Arc<CallConfig>,
    /// What stands around the calls.
    pub(super) wraps: Wraps,
    /// Sent with every request that has none of the name.
    default_headers: Headers,
    #[cfg(feature = "cookies")]
    cookies: Option<Cookies>,
    dialer: Dialer,
    /// Tells what is not about a call.
    tracer: Tracer,
    /// The number of the last connection that was begun.
    last_conn: AtomicU32,
    /// ... and of the last call that was traced.
    last_call: AtomicU32,
    free: Arc<FreeList>,
    state: Mutex<State>,
    /// Something in the pool has changed.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    pool: Pool<Box<Conn>>,
    /// A thread closes idle connections whose time is up.
    reaping: bool,
}

impl Hub {
    pub(super) fn new(settings: Settings) -> Hub {
        let Settings {
            config,
            pool,
            call,
            default_headers,
            #[cfg(feature = "cookies")]
            cookies,
            connecting,
            wraps,
        } = settings;
        // No more buffers than connections that are busy at the same time need, within reason.
        let free = Arc::new(FreeList::new(16));
        let state = Mutex::new(State {
            pool: Pool::new(pool),
            reaping: false,
        });
        Hub {
            config: Arc::new(config),
            tracer: Tracer::of_client(connecting.trace.as_ref()),
            dialer: Dialer::new(connecting, &call.user_agent),
            last_conn: AtomicU32::new(0),
            last_call: AtomicU32::new(0),
            call: Arc::new(call),
            wraps,
            default_headers,
            #[cfg(feature = "cookies")]
            cookies,
            free,
            state,
            changed: Condvar::new(),
        }
    }

    /// Adds the client's own fields whose names are not there.
    pub(super) fn complete(&self, headers: &mut Headers) {
        if self.default_headers.is_empty() {
            return;
        }
        let own = headers.clone();
        for field in &self.default_headers {
            if !own.contains(field.name.as_str()) {
                // What came out of a section of fields fits into one.
                let _ = headers.push(field);
            }
        }
    }

    /// What the jar has for this URL.
    pub(super) fn cookies_for(&self, url: &Url) -> Option<String> {
        #[cfg(feature = "cookies")]
        return self.cookies.as_ref()?.header(url, clock::now());
        #[cfg(not(feature = "cookies"))]
        {
            let _ = url;
            None
        }
    }

    /// Gives the jar what a response sets.
    pub(super) fn store_cookies(&self, set: &SetCookies<'_, '_>) {
        #[cfg(feature = "cookies")]
        if let Some(cookies) = &self.cookies {
            let mut values = set.values().peekable();
            if values.peek().is_some() {
                cookies.store(set.url(), values, clock::now());
            }
        }
        #[cfg(not(feature = "cookies"))]
        let _ = set;
    }

    pub(super) fn stats(&self) -> pool::Stats {
        lock(&self.state).pool.stats()
    }

    pub(super) fn close_idle(&self) {
        let closed = lock(&self.state).pool.close_idle();
        self.closed(closed);
    }

    /// Who is told of a call that has this observer of its own.
    pub(super) fn tracer(&self, own: Option<Arc<dyn Trace>>) -> Tracer {
        let next = || CallId(self.last_call.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
        Tracer::new(self.dialer.observer(), own, next)
    }

    /// The pool has let go of these idle connections. Told, and closed, outside the lock.
    fn closed(&self, closed: impl IntoIterator<Item = Closed<Box<Conn>>>) {
        for Closed { conn, reason } in closed {
            self.tracer.tell(TraceEvent::ClosedIdle {
                conn: conn.id,
                why: reason,
            });
        }
    }

    /// What became of a connection that was put back; the reason if it is not kept.
    fn was_put(&self, conn: ConnId, put: Put<Box<Conn>>, tracer: &Tracer) -> Option<CloseReason> {
        match put {
            Put::Pooled { evicted, .. } => {
                tracer.tell(TraceEvent::PutIdle {
                    conn,
                    handed_over: false,
                });
                self.closed(evicted);
                None
            }
            Put::HandedTo(_) => {
                tracer.tell(TraceEvent::PutIdle {
                    conn,
                    handed_over: true,
                });
                None
            }
            Put::Refused(closed) => {
                tracer.tell(TraceEvent::NotKept {
                    conn,
                    why: closed.reason,
                });
                Some(CloseReason::LocalAsked)
            }
        }
    }

    /// A connection that leads this way: an idle one that is alive, or a new one. If a `fresh` one is asked for, idle ones
    /// are left alone; but one that is put back meanwhile, and so has just proved to be alive, may serve.
    pub(super) fn connection(
        self: &Arc<Self>,
        route: &Route,
        fresh: bool,
        until: Option<Instant>,
        tracer: &Tracer,
    ) -> Result<Held, Error> {
        let (key, call) = (route.key(), tracer.call());
        tracer.tell(TraceEvent::GetConnection { call, key });
        loop {
            let acquired = {
                let mut state = lock(&self.state);
                let now = clock::now();
                match fresh {
                    false => state.pool.acquire(route.key(), now),
                    true => state.pool.acquire_fresh(route.key(), now),
                }
            };
            self.closed(acquired.closed);
            let (mut held, past) = match acquired.step {
                Acquire::Reuse { conn, lease, reused } => {
                    (Held::new(self, conn, lease, tracer), Some(reused))
                }
                Acquire::Dial { ticket, dial } => self.wait(route, ticket, Some(dial), until, tracer)?,
                Acquire::Wait { ticket } => self.wait(route, ticket, None, until, tracer)?,
            };
            // One that is not alive gives its place up and is closed.
            if !held.reused() || held.is_alive() {
                tracer.tell(TraceEvent::GotConnection {
                    call,
                    conn: held.id(),
                    key,
                    remote: held.remote(),
                    reused: held.reused(),
                    idle: past.map(|p| p.idle),
                });
                return Ok(held);
            }
            tracer.tell(TraceEvent::Stale { conn: held.id() });
        }
    }

    /// Dials if that is this ticket's turn, else waits for it.
    fn wait(
        self: &Arc<Self>,
        route: &Route,
        ticket: pool::Ticket,
        mut dial: Option<pool::Dial>,
        until: Option<Instant>,
        tracer: &Tracer,
    ) -> Result<(Held, Option<Reused>), Error> {
        let mut failure = None;
        loop {
            if let Some(dial) = dial.take() {
                let result = self.dial(route, until, tracer);
                let mut state = lock(&self.state);
                let spare = match result {
                    Ok(conn) => {
                        let id = conn.id;
                        match state.pool.dialed(dial, Box::new(conn), clock::now()) {
                            Dialed::Delivered(_) => None,
                            Dialed::Spare(put) => Some((id, put)),
                        }
                    }
                    Err(e) => {
                        failure = Some(e);
                        state.pool.dial_failed(dial);
                        None
                    }
                };
                self.tell(&mut state);
                self.reap(&mut state);
                drop(state);
                // A connection that nobody may have is closed outside the lock.
                if let Some((id, put)) = spare {
                    self.was_put(id, put, &self.tracer);
                }
            }
            let mut state = lock(&self.state);
            loop {
                match state.pool.poll(ticket) {
                    Poll::Ready { conn, lease, reused } => {
                        return Ok((Held::new(self, conn, lease, tracer), reused));
                    }
                    Poll::Dial(permitted) => {
                        dial = Some(permitted);
                        break;
                    }
                    Poll::DialFailed | Poll::Gone => {
                        return Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Connect, CONNECTING)));
                    }
                    Poll::Pending => {}
                }
                let left = until.map(|at| at.saturating_since(clock::mono()));
                state = match left {
                    Some(Duration::ZERO) => {
                        let spare = state.pool.cancel(ticket, clock::now());
                        self.tell(&mut state);
                        // It may be idle now, and nobody else sees to its end.
                        self.reap(&mut state);
                        drop(state);
                        match spare {
                            // Whose it was is not known any more, and nobody had it.
                            Some(Put::Pooled { evicted, .. }) => self.closed(evicted),
                            Some(Put::Refused(closed)) => self.closed([closed]),
                            Some(Put::HandedTo(_)) | None => {}
                        }
                        return Err(timed_out("waiting for a connection"));
                    }
                    Some(left) => {
                        self.changed
                            .wait_timeout(state, left)
                            .unwrap_or_else(PoisonError::into_inner)
                            .0
                    }
                    None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
            }
        }
    }

    /// Wakes those whose tickets have news.
    fn tell(&self, state: &mut State) {
        let mut news = false;
        while state.pool.next_ready().is_some() {
            news = true;
        }
        if news {
            self.changed.notify_all();
        }
    }

    /// A new connection, which the pool does not know.
    pub(super) fn dial(&self, route: &Route, until: Option<Instant>, tracer: &Tracer) -> Result<Conn, Error> {
        let id = self.next_id();
        tracer.tell(TraceEvent::Begun {
            call: tracer.call(),
            conn: id,
            key: route.key(),
        });
        let dialled = self.dialer.dial(route, until, id, tracer);
        let (stream, remote) = dialled.inspect_err(|error| {
            tracer.tell(TraceEvent::Failed { conn: id, error });
        })?;
        tracer.tell(TraceEvent::Made { conn: id, remote });
        Ok(self.conn(stream, remote, id))
    }

    /// A connection over a stream that leads to a server.
    pub(super) fn over(&self, stream: Stream, remote: SocketAddr) -> Conn {
        self.conn(stream, remote, self.next_id())
    }

    /// Tells what is not about a call.
    pub(super) fn own_tracer(&self) -> &Tracer {
        &self.tracer
    }

    fn next_id(&self) -> ConnId {
        ConnId(self.last_conn.fetch_add(1, Ordering::Relaxed).wrapping_add(1))
    }

    fn conn(&self, stream: Stream, remote: SocketAddr, id: ConnId) -> Conn {
        let machine = ClientConn::new(Arc::clone(&self.config), clock::mono());
        Conn {
            link: Link::new(machine, stream, Arc::clone(&self.free)),
            remote,
            id,
        }
    }

    /// Sees to it that idle connections are closed in time, even if no request comes any more.
    fn reap(self: &Arc<Self>, state: &mut State) {
        if state.reaping || state.pool.deadline(clock::now()).is_none() {
            return;
        }
        let client = Arc::downgrade(self);
        let thread = thread::Builder::new().name("http idle connections".into());
        // Without the thread the next request finds what has expired.
        state.reaping = thread.spawn(move || reaper(&client)).is_ok();
    }
}

/// Closes what has been idle for too long, for as long as there is a client with idle connections. Looks
/// once a second, so that it notices soon when the client is dropped, and when the machine has slept.
fn reaper(client: &Weak<Hub>) {
    loop {
        let nap = {
            let Some(client) = client.upgrade() else { return };
            let now = clock::now();
            let mut state = lock(&client.state);
            let closed = state.pool.expire(now);
            let next = state.pool.deadline(now);
            state.reaping = next.is_some();
            drop(state);
            client.closed(closed);
            match next {
                Some(at) => at
                    .saturating_since(now.mono)
                    .clamp(Duration::from_millis(1), Duration::from_secs(1)),
                None => return,
            }
        };
        thread::sleep(nap);
    }
}

fn timed_out(phase: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, phase).with_source("the request's own timeout")
}

/// A connection in use. Dropped, it is closed and its place in the pool is free.
#[derive(Debug)]
pub(super) struct Held {
    /// Both until the connection is given away.
    inner: Option<(Box<Conn>, Seat)>,
    client: Arc<Hub>,
    /// Why it is not used again, if that is known.
    end: Option<CloseReason>,
    /// Tells on behalf of the call that has it.
    tracer: Tracer,
}

impl Held {
    pub(super) fn new(client: &Arc<Hub>, conn: Box<Conn>, seat: impl Into<Seat>, tracer: &Tracer) -> Held {
        Held {
            tracer: tracer.clone(),
            inner: Some((conn, seat.into())),
            client: Arc::clone(client),
            end: None,
        }
    }

    fn get(&self) -> &(Box<Conn>, Seat) {
        self.inner
            .as_ref()
            .expect("a held connection is given away only by methods that take it")
    }

    pub(super) fn link(&mut self) -> &mut Link<ClientConn> {
        &mut self
            .inner
            .as_mut()
            .expect("a held connection is given away only by methods that take it")
            .0
            .link
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.get().0.remote
    }

    pub(super) fn id(&self) -> ConnId {
        self.get().0.id
    }

    /// Whether the machine holds a body back that asks for `100 Continue`.
    pub(super) fn waits_for_continue(&self) -> bool {
        self.client.config.timeouts.continue_wait.is_some()
    }

    pub(super) fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Whether it has served a request before.
    pub(super) fn reused(&self) -> bool {
        self.get().1.is_reused()
    }

    /// It is not used again, for this reason.
    pub(super) fn ends(&mut self, reason: CloseReason) {
        self.end.get_or_insert(reason);
    }

    /// Whether the server has neither closed it nor sent anything, as far as can be told.
    fn is_alive(&mut self) -> bool {
        self.link().is_quiet()
    }

    /// Puts it into the pool; `Some` with the reason if it is not kept.
    pub(super) fn put(mut self) -> Option<CloseReason> {
        let (mut conn, seat) = self.inner.take()?;
        let id = conn.id;
        let now = clock::now();
        conn.link.watchful = false;
        // The machine knows what the server announced with `Keep-Alive: timeout`.
        let idle = conn
            .link
            .machine
            .deadline(now.mono)
            .filter(|d| d.why == DeadlineKind::Idle);
        conn.link.rest();
        let lease = match seat {
            Seat::Pooled(lease) => lease,
            Seat::Single(shared) => return shared.put(conn),
        };
        let mut state = lock(&self.client.state);
        let put = state
            .pool
            .put(lease, conn, idle.map(|d| d.at.saturating_since(now.mono)), now);
        self.client.tell(&mut state);
        self.client.reap(&mut state);
        drop(state);
        self.client.was_put(id, put, &self.tracer)
    }

    /// The stream and the machine's rest; the pool forgets it.
    pub(super) fn take_apart(mut self) -> (Stream, Parts) {
        let (conn, seat) = self
            .inner
            .take()
            .expect("a held connection is given away only by methods that take it");
        self.tracer.tell(TraceEvent::Switched { conn: conn.id });
        match seat {
            Seat::Pooled(lease) => self.discard(lease),
            Seat::Single(shared) => shared.with(|single| single.switched()),
        }
        conn.link.into_parts()
    }

    fn discard(&self, lease: Lease) {
        let mut state = lock(&self.client.state);
        state.pool.discard(lease);
        self.client.tell(&mut state);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((mut conn, seat)) = self.inner.take() {
            conn.link.rest();
            self.tracer.tell(TraceEvent::Discarded { conn: conn.id });
            drop(conn);
            match seat {
                Seat::Pooled(lease) => self.discard(lease),
                Seat::Single(shared) => {
                    let reason = self.end.unwrap_or(CloseReason::Aborted);
                    shared.with(|single| single.lost(reason));
                }
            }
        }
    }
}
