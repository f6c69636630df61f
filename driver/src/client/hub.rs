//! [`Hub`]: what all requests of a client share. The pool's decisions are the core's; here they meet tasks,
//! wakers and sockets.

use super::connection::{Conn, timed_out};
use super::settings::Calls;
use crate::buffers::Buffers;
use crate::runtime::{Runtime, Spawn, Timer};
use crate::{Error, ErrorKind, Task};
use antiphon_core::client::Route;
use antiphon_core::client::pool::{
    Acquire, Dial, DialFailed, Dialed, Key, Lease, Poll as Ticketed, Pool, Put, Stats, Ticket,
};
use antiphon_core::h1::ClientConfig;
use antiphon_core::{Instant, Now, UnixTime};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const CONNECTING: &str = "connecting";

/// A connection out of the pool, and its place in it.
type Taken<R> = (Box<Conn<R>>, Lease);

/// A client's shared half.
pub(crate) struct Hub<R: Runtime> {
    pub(crate) runtime: R,
    config: Arc<ClientConfig>,
    /// What the calls of the client have in common.
    pub(crate) calls: Calls,
    connect_timeout: Duration,
    buffers: Arc<Buffers>,
    state: Mutex<State<R>>,
}

struct State<R: Runtime> {
    pool: Pool<Box<Conn<R>>>,
    /// Who waits for which ticket.
    wakers: BTreeMap<Ticket, Waker>,
    /// Why dials failed, until their tickets are asked.
    errors: BTreeMap<Ticket, Error>,
    /// A task closes idle connections when their time is up.
    reaping: bool,
}

impl<R: Runtime + Spawn<Task>> Hub<R> {
    pub(crate) fn new(
        runtime: R,
        config: ClientConfig,
        pool: Pool<Box<Conn<R>>>,
        connect_timeout: Duration,
        calls: Calls,
    ) -> Hub<R> {
        Hub {
            runtime,
            config: Arc::new(config),
            calls,
            connect_timeout,
            buffers: Arc::new(Buffers::new(super::SPARE_BUFFERS)),
            state: Mutex::new(State {
                pool,
                wakers: BTreeMap::new(),
                errors: BTreeMap::new(),
                reaping: false,
            }),
        }
    }

    pub(crate) fn now(&self) -> Now {
        let unix = i64::try_from(self.runtime.unix_time().as_secs()).unwrap_or(i64::MAX);
        Now {
            mono: self.runtime.now(),
            unix: UnixTime(unix),
        }
    }

    /// Does something to the pool, then wakes whom it concerns: after the lock was left, since a waker is
    /// somebody's code. An executor that has stopped drops the task, and with it a place in the line.
    fn with<T>(&self, then: impl FnOnce(&mut State<R>, Now) -> T) -> T {
        let now = self.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let done = then(&mut state, now);
        // Mostly nobody waits, and nothing is allocated.
        let mut wakers = Vec::new();
        while let Some(ticket) = state.pool.next_ready() {
            wakers.extend(state.wakers.remove(&ticket));
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        done
    }

    /// Whether a body waits for `100 Continue` at all: if not, the machines never say that the wait is over.
    pub(crate) fn holds_bodies(&self) -> bool {
        self.config.timeouts.continue_wait.is_some()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.with(|state, _| state.pool.stats())
    }

    pub(crate) fn close_idle(&self) {
        drop(self.with(|state, _| state.pool.close_idle()));
    }

    /// A connection along `route`: an idle one that is still alive, or a new one. If a `fresh` one is asked for, idle
    /// ones are left alone; one that was put back by another request at this moment will do.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        route: &Route,
        fresh: bool,
        limit: Option<Instant>,
    ) -> Result<Taken<R>, Error> {
        let key = route.key();
        loop {
            let acquired = self.with(|state, now| match fresh {
                false => state.pool.acquire(key, now),
                true => state.pool.acquire_fresh(key, now),
            });
            drop(acquired.closed);
            let (conn, lease) = match acquired.step {
                Acquire::Reuse { conn, lease, .. } => (conn, lease),
                Acquire::Dial { ticket, dial } => {
                    // Guarded first: if spawning fails, the ticket hears of it.
                    let waiting = Waiting { hub: self, ticket };
                    self.dial(key, dial);
                    waiting.wait(key, limit).await?
                }
                Acquire::Wait { ticket } => Waiting { hub: self, ticket }.wait(key, limit).await?,
            };
            let mut held = Held {
                hub: self,
                inner: Some((conn, lease)),
            };
            let good = poll_fn(|cx| Poll::Ready(held.is_good(cx))).await;
            if let Some((conn, lease)) = held.inner.take() {
                if good {
                    return Ok((conn, lease));
                }
                self.discard(lease, conn);
            }
        }
    }

    /// Dials in the background, whatever becomes of the request that caused it.
    fn dial(self: &Arc<Self>, key: &Key, dial: Dial) {
        let mut dialing = Dialing {
            hub: self.clone(),
            dial: Some(dial),
        };
        let key = key.clone();
        self.runtime.spawn(Box::pin(async move {
            let result = dialing.hub.connect(&key).await;
            dialing.done(result);
        }));
    }

    /// Tries the addresses of the host one after the other.
    async fn connect(&self, key: &Key) -> Result<Box<Conn<R>>, Error> {
        let until = self.runtime.now() + self.connect_timeout;
        let timeout = || {
            let error = io::Error::from(io::ErrorKind::TimedOut);
            Error::new(ErrorKind::Timeout, CONNECTING).with_source(error)
        };
        let lookup = self.runtime.resolve(unbracketed(key.host()), key.port());
        let addrs = before(&self.runtime, until, lookup)
            .await
            .ok_or_else(timeout)?
            .map_err(|e| Error::new(ErrorKind::Resolve, "resolving the host name").with_source(e))?;
        let mut last =
            Error::new(ErrorKind::Resolve, "resolving the host name").with_source("it has no address");
        for addr in addrs {
            match before(&self.runtime, until, self.runtime.connect(addr)).await {
                Some(Ok(stream)) => {
                    let (buffers, config) = (self.buffers.clone(), self.config.clone());
                    return Ok(Box::new(Conn::new(
                        self.runtime.clone(),
                        buffers,
                        config,
                        stream,
                        addr,
                    )));
                }
                Some(Err(e)) => last = Error::new(ErrorKind::Connect, CONNECTING).with_source(e),
                None => return Err(timeout()),
            }
        }
        Err(last)
    }

    /// An exchange is over and its connection can take another.
    pub(crate) fn put(self: &Arc<Self>, lease: Lease, mut conn: Box<Conn<R>>) {
        let limit = conn.idle_limit();
        let put = self.with(|state, now| state.pool.put(lease, conn, limit, now));
        // Connections close outside the lock.
        drop(put);
        self.reap();
    }

    /// Sees to it that idle connections are closed in time.
    fn reap(self: &Arc<Self>) {
        let begin = self.with(|state, now| {
            let begin = !state.reaping && state.pool.deadline(now).is_some();
            state.reaping |= begin;
            begin
        });
        if begin {
            // Armed first: if the runtime drops the task, now or later, the next one who looks begins another.
            let reaping = Reaping(Arc::downgrade(self));
            self.runtime
                .spawn(Box::pin(reap_idle(self.runtime.clone(), reaping)));
        }
    }

    /// The connection is not used again.
    #[allow(clippy::boxed_local)] // It came in its box, and leaves with it.
    pub(crate) fn discard(&self, lease: Lease, mut conn: Box<Conn<R>>) {
        conn.give_back();
        self.forget(lease);
    }

    /// The connection of this lease has left HTTP.
    pub(crate) fn forget(&self, lease: Lease) {
        self.with(|state, _| state.pool.discard(lease));
    }
}

/// The host as the system looks it up: an IPv6 literal without its brackets.
fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host)
}

/// Closes idle connections when their time is up; ends when there are none, or no client.
async fn reap_idle<R: Runtime + Spawn<Task>>(runtime: R, mut reaping: Reaping<R>) {
    let mut timer: Option<R::Timer> = None;
    loop {
        let Some(strong) = reaping.0.upgrade() else { return };
        let (closed, next) = strong.with(|state, now| {
            let closed = state.pool.expire(now);
            let next = state.pool.deadline(now);
            state.reaping = next.is_some();
            (closed, next)
        });
        drop(closed);
        drop(strong);
        let Some(at) = next else {
            // It said so under the lock; by now another task may be at it.
            reaping.0 = Weak::new();
            return;
        };
        let timer = match &mut timer {
            Some(timer) => {
                timer.reset(at);
                timer
            }
            none => none.insert(runtime.timer(at)),
        };
        poll_fn(|cx| timer.poll(cx)).await;
    }
}

/// The duty to close idle connections in time: given up when the runtime drops the task that has it.
struct Reaping<R: Runtime + Spawn<Task>>(Weak<Hub<R>>);

impl<R: Runtime + Spawn<Task>> Drop for Reaping<R> {
    fn drop(&mut self) {
        if let Some(hub) = self.0.upgrade() {
            hub.with(|state, _| state.reaping = false);
        }
    }
}

/// A ticket that is cancelled when nobody waits for it any more.
struct Waiting<'a, R: Runtime + Spawn<Task>> {
    hub: &'a Arc<Hub<R>>,
    ticket: Ticket,
}

impl<R: Runtime + Spawn<Task>> Waiting<'_, R> {
    async fn wait(self, key: &Key, limit: Option<Instant>) -> Result<Taken<R>, Error> {
        let served = poll_fn(|cx| self.poll(cx, key));
        match limit {
            None => served.await,
            Some(at) => match before(&self.hub.runtime, at, served).await {
                Some(served) => served,
                None => Err(timed_out("waiting for a connection")),
            },
        }
    }

    fn poll(&self, cx: &mut Context<'_>, key: &Key) -> Poll<Result<Taken<R>, Error>> {
        let waker = cx.waker().clone();
        // The old waker comes out too, since dropping one is somebody's code as well.
        let (polled, error, _old) = self.hub.with(|state, _| {
            let polled = state.pool.poll(self.ticket);
            let old = match &polled {
                Ticketed::Pending | Ticketed::Dial(_) => state.wakers.insert(self.ticket, waker),
                _ => state.wakers.remove(&self.ticket),
            };
            (polled, state.errors.remove(&self.ticket), old)
        });
        match polled {
            Ticketed::Pending => Poll::Pending,
            Ticketed::Dial(dial) => {
                self.hub.dial(key, dial);
                Poll::Pending
            }
            Ticketed::Ready { conn, lease, .. } => Poll::Ready(Ok((conn, lease))),
            Ticketed::DialFailed | Ticketed::Gone => Poll::Ready(Err(error.unwrap_or_else(|| {
                Error::new(ErrorKind::Connect, CONNECTING).with_source("the runtime dropped the attempt")
            }))),
        }
    }
}

impl<R: Runtime + Spawn<Task>> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        let (put, waker, error) = self.hub.with(|state, now| {
            let waker = state.wakers.remove(&self.ticket);
            let error = state.errors.remove(&self.ticket);
            (state.pool.cancel(self.ticket, now), waker, error)
        });
        let pooled = matches!(put, Some(Put::Pooled { .. }));
        drop((put, waker, error));
        if pooled {
            self.hub.reap();
        }
    }
}

/// A connection between the pool and its exchange: if the request is dropped here, its place is freed.
struct Held<'a, R: Runtime + Spawn<Task>> {
    hub: &'a Arc<Hub<R>>,
    inner: Option<Taken<R>>,
}

impl<R: Runtime + Spawn<Task>> Held<'_, R> {
    fn is_good(&mut self, cx: &mut Context<'_>) -> bool {
        self.inner
            .as_mut()
            .is_some_and(|(conn, lease)| !lease.is_reused() || conn.is_alive(cx))
    }
}

impl<R: Runtime + Spawn<Task>> Drop for Held<'_, R> {
    fn drop(&mut self) {
        if let Some((conn, lease)) = self.inner.take() {
            self.hub.discard(lease, conn);
        }
    }
}

/// A dial under way: if the runtime drops its task, the pool hears of it.
struct Dialing<R: Runtime + Spawn<Task>> {
    hub: Arc<Hub<R>>,
    dial: Option<Dial>,
}

impl<R: Runtime + Spawn<Task>> Dialing<R> {
    fn done(&mut self, result: Result<Box<Conn<R>>, Error>) {
        let Some(dial) = self.dial.take() else { return };
        let spare = self.hub.with(|state, now| match result {
            Ok(conn) => match state.pool.dialed(dial, conn, now) {
                Dialed::Delivered(_) => None,
                Dialed::Spare(put) => Some(put),
            },
            Err(error) => {
                if let DialFailed::Delivered(ticket) = state.pool.dial_failed(dial) {
                    state.errors.insert(ticket, error);
                }
                None
            }
        });
        if spare.is_some() {
            drop(spare);
            self.hub.reap();
        }
    }
}

impl<R: Runtime + Spawn<Task>> Drop for Dialing<R> {
    fn drop(&mut self) {
        if self.dial.is_some() {
            self.done(Err(
                Error::new(ErrorKind::Connect, CONNECTING).with_source("the runtime is shutting down")
            ));
        }
    }
}

/// `future`'s output, or `None` if `at` comes first.
pub(crate) async fn before<R: Runtime, F: Future>(runtime: &R, at: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut timer = runtime.timer(at);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => timer.poll(cx).map(|()| None),
    })
    .await
}
