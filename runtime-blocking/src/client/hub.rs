//! [`Hub`]: the pool of a client behind its lock, waiting in its line, and [`Held`], a connection in use. How
//! connections are made is in `dial`, what goes over them in `exchange`.

use super::builder::Settings;
use super::dial::Dialer;
use super::failure::CONNECTING;
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
use antiphon_core::client::pool::{self, Acquire, Lease, Poll, Pool, Put};
use antiphon_core::client::{CallConfig, Route, Url};
use antiphon_core::h1::{ClientConfig, ClientConn, CloseReason, DeadlineKind, Parts};
#[cfg(feature = "cookies")]
use antiphon_support::cookies::Cookies;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// A connection in the pool or in use.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) link: Link<ClientConn>,
    pub(super) remote: SocketAddr,
}

/// What the clones of a client share.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) config: Arc<ClientConfig>,
    pub(super) call: Arc<CallConfig>,
    /// Sent with every request that has none of the name.
    default_headers: Headers,
    #[cfg(feature = "cookies")]
    cookies: Option<Cookies>,
    dialer: Dialer,
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
        } = settings;
        // No more buffers than connections that are busy at the same time need, within reason.
        let free = Arc::new(FreeList::new(16));
        let state = Mutex::new(State {
            pool: Pool::new(pool),
            reaping: false,
        });
        Hub {
            config: Arc::new(config),
            dialer: Dialer::new(connecting, &call.user_agent),
            call: Arc::new(call),
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
        drop(closed);
    }

    /// A connection that leads this way: an idle one that is alive, or a new one. If a `fresh` one is asked for, idle ones
    /// are left alone; but one that is put back meanwhile, and so has just proved to be alive, may serve.
    pub(super) fn connection(
        self: &Arc<Self>,
        route: &Route,
        fresh: bool,
        until: Option<Instant>,
    ) -> Result<Held, Error> {
        loop {
            let acquired = {
                let mut state = lock(&self.state);
                let now = clock::now();
                match fresh {
                    false => state.pool.acquire(route.key(), now),
                    true => state.pool.acquire_fresh(route.key(), now),
                }
            };
            drop(acquired.closed);
            let mut held = match acquired.step {
                Acquire::Reuse { conn, lease, .. } => Held::new(self, conn, lease),
                Acquire::Dial { ticket, dial } => self.wait(route, ticket, Some(dial), until)?,
                Acquire::Wait { ticket } => self.wait(route, ticket, None, until)?,
            };
            // One that is not alive gives its place up and is closed.
            if !held.reused() || held.is_alive() {
                return Ok(held);
            }
        }
    }

    /// Dials if that is this ticket's turn, else waits for it.
    fn wait(
        self: &Arc<Self>,
        route: &Route,
        ticket: pool::Ticket,
        mut dial: Option<pool::Dial>,
        until: Option<Instant>,
    ) -> Result<Held, Error> {
        let mut failure = None;
        loop {
            if let Some(dial) = dial.take() {
                let result = self.dial(route, until);
                let mut state = lock(&self.state);
                let dialed = match result {
                    Ok(conn) => Some(state.pool.dialed(dial, Box::new(conn), clock::now())),
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
                drop(dialed);
            }
            let mut state = lock(&self.state);
            loop {
                match state.pool.poll(ticket) {
                    Poll::Ready { conn, lease, .. } => return Ok(Held::new(self, conn, lease)),
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
                        drop(spare);
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
    pub(super) fn dial(&self, route: &Route, until: Option<Instant>) -> Result<Conn, Error> {
        let (stream, remote) = self.dialer.dial(route, until)?;
        Ok(self.over(stream, remote))
    }

    /// A connection over a stream that leads to a server.
    pub(super) fn over(&self, stream: Stream, remote: SocketAddr) -> Conn {
        let machine = ClientConn::new(Arc::clone(&self.config), clock::mono());
        Conn {
            link: Link::new(machine, stream, Arc::clone(&self.free)),
            remote,
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
            drop(closed);
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
}

impl Held {
    pub(super) fn new(client: &Arc<Hub>, conn: Box<Conn>, seat: impl Into<Seat>) -> Held {
        Held {
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
        match put {
            Put::Refused(_) => Some(CloseReason::LocalAsked),
            Put::Pooled { .. } | Put::HandedTo(_) => None,
        }
    }

    /// The stream and the machine's rest; the pool forgets it.
    pub(super) fn take_apart(mut self) -> (Stream, Parts) {
        let (conn, seat) = self
            .inner
            .take()
            .expect("a held connection is given away only by methods that take it");
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
