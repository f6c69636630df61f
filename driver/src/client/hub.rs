//! [`Hub`]: what all requests of a client share. The pool's decisions are the core's; here they meet tasks,
//! wakers and sockets.

use super::builder::Connecting;
use super::connection::{Conn, timed_out};
use super::dial::Dialer;
use super::middleware::Wraps;
use super::settings::Calls;
use super::transport::{BoxStream, Transport};
use crate::buffers::Buffers;
use crate::runtime::{Runtime, Spawn, Timer};
use crate::{CallId, ConnId, Error, ErrorKind, Task, Trace, TraceEvent};
use antiphon_core::client::Route;
use antiphon_core::client::pool::{
    Acquire, Closed, Dial, DialFailed, Dialed, Lease, Poll as Ticketed, Pool, Put, Reused, Stats, Ticket,
};
use antiphon_core::h1::ClientConfig;
use antiphon_core::{Instant, Now, UnixTime};
use antiphon_support::trace::Tracer;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

const CONNECTING: &str = "connecting";
/// The other end of a stream of which nothing is known. It is not told to anybody.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A connection out of the pool, and its place in it.
type Taken<R> = (Box<Conn<R>>, Lease);
/// ... and its past, if it has one.
type Waited<R> = (Box<Conn<R>>, Lease, Option<Reused>);

/// Which connection a request asks for.
pub(crate) struct Wanted<'a> {
    pub(crate) route: &'a Route,
    /// Idle ones are left alone; one that is put back by another request at this moment will do.
    pub(crate) fresh: bool,
    /// When it is wanted no more.
    pub(crate) limit: Option<Instant>,
    /// On whose behalf this is told.
    pub(crate) tracer: &'a Tracer,
}

/// A client's shared half.
pub(crate) struct Hub<R: Runtime> {
    pub(crate) runtime: R,
    config: Arc<ClientConfig>,
    /// What the calls of the client have in common.
    pub(crate) calls: Calls,
    /// What stands around them.
    pub(crate) wraps: Wraps,
    dialer: Dialer<R>,
    /// Tells what is not about a call.
    tracer: Tracer,
    /// The number of the last connection that was begun.
    last_conn: AtomicU32,
    /// ... and of the last call that was traced.
    last_call: AtomicU32,
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
        connecting: Connecting,
        calls: Calls,
        wraps: Wraps,
    ) -> Hub<R> {
        Hub {
            runtime: runtime.clone(),
            config: Arc::new(config),
            calls,
            wraps,
            tracer: Tracer::of_client(connecting.trace.as_ref()),
            dialer: Dialer::new(runtime, connecting),
            last_conn: AtomicU32::new(0),
            last_call: AtomicU32::new(0),
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

    /// Who is told of a call that has this observer of its own.
    pub(crate) fn tracer(&self, own: Option<Arc<dyn Trace>>) -> Tracer {
        let next = || CallId(self.last_call.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
        Tracer::new(self.dialer.observer(), own, next)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.with(|state, _| state.pool.stats())
    }

    pub(crate) fn close_idle(&self) {
        let closed = self.with(|state, _| state.pool.close_idle());
        self.closed(closed);
    }

    /// A connection: an idle one that is still alive, or a new one.
    pub(crate) async fn acquire(self: &Arc<Self>, wanted: &Wanted<'_>) -> Result<Taken<R>, Error> {
        wanted.tracer.tell(TraceEvent::GetConnection {
            call: wanted.tracer.call(),
            key: wanted.route.key(),
        });
        loop {
            let acquired = self.with(|state, now| match wanted.fresh {
                false => state.pool.acquire(wanted.route.key(), now),
                true => state.pool.acquire_fresh(wanted.route.key(), now),
            });
            self.closed(acquired.closed);
            let (conn, lease, past) = match acquired.step {
                Acquire::Reuse { conn, lease, reused } => (conn, lease, Some(reused)),
                Acquire::Dial { ticket, dial } => {
                    // Guarded first: if spawning fails, the ticket hears of it.
                    let waiting = Waiting { hub: self, ticket };
                    self.dial(wanted, dial);
                    waiting.wait(wanted).await?
                }
                Acquire::Wait { ticket } => Waiting { hub: self, ticket }.wait(wanted).await?,
            };
            let idle = past.map(|p| p.idle);
            let mut held = Held {
                hub: self,
                inner: Some((conn, lease)),
                fresh: idle.is_none(),
            };
            let good = poll_fn(|cx| Poll::Ready(held.is_good(cx))).await;
            if let Some((conn, lease)) = held.inner.take() {
                if good {
                    wanted.tracer.tell(TraceEvent::GotConnection {
                        call: wanted.tracer.call(),
                        conn: conn.id,
                        key: wanted.route.key(),
                        remote: conn.remote,
                        reused: lease.is_reused(),
                        idle,
                    });
                    return Ok((conn, lease));
                }
                wanted.tracer.tell(TraceEvent::Stale { conn: conn.id });
                self.discard(lease, conn);
            }
        }
    }

    /// Dials in the background, whatever becomes of the request that caused it.
    fn dial(self: &Arc<Self>, wanted: &Wanted<'_>, dial: Dial) {
        let mut dialing = Dialing {
            hub: self.clone(),
            dial: Some(dial),
        };
        let (route, tracer) = (wanted.route.clone(), wanted.tracer.clone());
        self.runtime.spawn(Box::pin(async move {
            let result = dialing.hub.connect(&route, &tracer).await;
            dialing.done(result);
        }));
    }

    /// A new connection, which the pool does not know.
    pub(super) async fn connect(&self, route: &Route, tracer: &Tracer) -> Result<Box<Conn<R>>, Error> {
        let id = self.next_id();
        tracer.tell(TraceEvent::Begun {
            call: tracer.call(),
            conn: id,
            key: route.key(),
        });
        match self.dialer.dial(route, id, tracer).await {
            Ok((stream, remote)) => {
                tracer.tell(TraceEvent::Made { conn: id, remote });
                Ok(self.conn(stream, remote, id))
            }
            Err(error) => {
                tracer.tell(TraceEvent::Failed {
                    conn: id,
                    error: &error,
                });
                Err(error)
            }
        }
    }

    /// A connection over a stream of the application's, which the pool does not know.
    pub(super) fn over(&self, stream: BoxStream) -> Box<Conn<R>> {
        self.conn(Transport::Custom(stream), NOWHERE, self.next_id())
    }

    fn next_id(&self) -> ConnId {
        ConnId(self.last_conn.fetch_add(1, Ordering::Relaxed).wrapping_add(1))
    }

    fn conn(&self, stream: Transport<R::Stream>, remote: SocketAddr, id: ConnId) -> Box<Conn<R>> {
        let (runtime, buffers) = (self.runtime.clone(), self.buffers.clone());
        Box::new(Conn::new(
            runtime,
            buffers,
            self.config.clone(),
            stream,
            remote,
            id,
        ))
    }

    /// An exchange is over and its connection can take another.
    pub(crate) fn put(self: &Arc<Self>, lease: Lease, mut conn: Box<Conn<R>>) {
        let (limit, id) = (conn.idle_limit(), conn.id);
        let watch = conn.watch.take();
        let put = self.with(|state, now| state.pool.put(lease, conn, limit, now));
        self.was_put(id, put, watch.as_ref().map_or(&self.tracer, |w| w.tracer()));
        self.reap();
    }

    /// What became of a connection that was put back. Connections close outside the lock.
    fn was_put(&self, id: ConnId, put: Put<Box<Conn<R>>>, tracer: &Tracer) {
        match put {
            Put::Pooled { evicted, .. } => {
                tracer.tell(TraceEvent::PutIdle {
                    conn: id,
                    handed_over: false,
                });
                self.closed(evicted);
            }
            Put::HandedTo(_) => tracer.tell(TraceEvent::PutIdle {
                conn: id,
                handed_over: true,
            }),
            Put::Refused(closed) => tracer.tell(TraceEvent::NotKept {
                conn: id,
                why: closed.reason,
            }),
        }
    }

    /// The pool has let go of these idle connections.
    fn closed(&self, closed: impl IntoIterator<Item = Closed<Box<Conn<R>>>>) {
        for Closed { conn, reason } in closed {
            self.tracer.tell(TraceEvent::ClosedIdle {
                conn: conn.id,
                why: reason,
            });
        }
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
        self.discarded(&mut conn);
        self.with(|state, _| state.pool.discard(lease));
    }

    /// The connection of this lease has left HTTP.
    pub(crate) fn forget(&self, lease: Lease, conn: &Conn<R>) {
        self.switched(conn);
        self.with(|state, _| state.pool.discard(lease));
    }

    /// A connection is closed after its exchange.
    pub(super) fn discarded(&self, conn: &mut Conn<R>) {
        conn.give_back();
        self.tracer_of(conn).tell(TraceEvent::Discarded { conn: conn.id });
    }

    /// A connection has left HTTP.
    pub(super) fn switched(&self, conn: &Conn<R>) {
        self.tracer_of(conn).tell(TraceEvent::Switched { conn: conn.id });
    }

    /// Tells what is not about a call.
    pub(super) fn own_tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Tells on behalf of the call that has the connection.
    fn tracer_of<'a>(&'a self, conn: &'a Conn<R>) -> &'a Tracer {
        conn.watch.as_ref().map_or(&self.tracer, |w| w.tracer())
    }
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
        strong.closed(closed);
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
    async fn wait(self, wanted: &Wanted<'_>) -> Result<Waited<R>, Error> {
        let served = poll_fn(|cx| self.poll(cx, wanted));
        match wanted.limit {
            None => served.await,
            Some(at) => match before(&self.hub.runtime, at, served).await {
                Some(served) => served,
                None => Err(timed_out("waiting for a connection")),
            },
        }
    }

    fn poll(&self, cx: &mut Context<'_>, wanted: &Wanted<'_>) -> Poll<Result<Waited<R>, Error>> {
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
                self.hub.dial(wanted, dial);
                Poll::Pending
            }
            Ticketed::Ready { conn, lease, reused } => Poll::Ready(Ok((conn, lease, reused))),
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
        drop((waker, error));
        if let Some(put) = put {
            // Whose it was is not known any more, and nobody had it.
            match put {
                Put::Pooled { evicted, .. } => self.hub.closed(evicted),
                Put::HandedTo(_) => {}
                Put::Refused(closed) => self.hub.closed([closed]),
            }
            self.hub.reap();
        }
    }
}

/// A connection between the pool and its exchange: if the request is dropped here, its place is freed.
struct Held<'a, R: Runtime + Spawn<Task>> {
    hub: &'a Arc<Hub<R>>,
    inner: Option<Taken<R>>,
    /// It was dialled for this request, and has not been idle.
    fresh: bool,
}

impl<R: Runtime + Spawn<Task>> Held<'_, R> {
    fn is_good(&mut self, cx: &mut Context<'_>) -> bool {
        let fresh = self.fresh;
        self.inner
            .as_mut()
            .is_some_and(|(conn, _)| fresh || conn.is_alive(cx))
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
        let id = result.as_ref().map_or(ConnId(0), |conn| conn.id);
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
        if let Some(put) = spare {
            self.hub.was_put(id, put, &self.hub.tracer);
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
