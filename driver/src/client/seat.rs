//! [`Seat`]: where a connection goes when its exchange is over: back into the pool, or, outside of it, to the [`Shared`]
//! half of a [`ClientConnection`](super::ClientConnection).

use super::connection::Conn;
use super::hub::Hub;
use crate::Task;
use crate::runtime::{Runtime, Spawn};
use antiphon_core::client::Origin;
use antiphon_core::client::pool::Lease;
use antiphon_core::client::single::{Single, State};
use antiphon_core::h1::{ExchangeId, Reuse};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Where a connection goes when its exchange is over.
pub(super) enum Seat<R: Runtime> {
    Pooled(Lease),
    Single(Arc<Shared<R>>),
}

impl<R: Runtime> From<Lease> for Seat<R> {
    fn from(lease: Lease) -> Seat<R> {
        Seat::Pooled(lease)
    }
}

impl<R: Runtime + Spawn<Task>> Seat<R> {
    /// Whether the connection had served a request before this one.
    pub(super) fn is_reused(&self) -> bool {
        match self {
            Seat::Pooled(lease) => lease.is_reused(),
            Seat::Single(shared) => shared.look(|single| single.begun() > 1),
        }
    }

    /// The address at the other end, if it is known.
    pub(super) fn remote(&self, conn: &Conn<R>) -> Option<SocketAddr> {
        match self {
            Seat::Pooled(_) => Some(conn.remote),
            Seat::Single(shared) => shared.remote,
        }
    }

    /// The exchange is over and the connection can take another.
    pub(super) fn put(self, hub: &Arc<Hub<R>>, conn: Box<Conn<R>>) {
        match self {
            Seat::Pooled(lease) => hub.put(lease, conn),
            Seat::Single(shared) => {
                let closed = shared.with(|single| single.put(conn));
                drop(closed);
            }
        }
    }

    /// The connection is not used again. `end`: how its exchange ended, if that was told.
    pub(super) fn discard(self, hub: &Hub<R>, mut conn: Box<Conn<R>>, id: ExchangeId, end: Option<Reuse>) {
        match self {
            Seat::Pooled(lease) => hub.discard(lease, conn),
            Seat::Single(shared) => {
                let reason = match end {
                    Some(Reuse::Close(reason)) => reason,
                    _ => conn.give_up(id),
                };
                hub.discarded(&mut conn);
                // Closed before anybody is told of it.
                drop(conn);
                shared.with(|single| single.lost(reason));
            }
        }
    }

    /// The connection has left HTTP.
    pub(super) fn forget(self, hub: &Hub<R>, conn: &Conn<R>) {
        match self {
            Seat::Pooled(lease) => hub.forget(lease, conn),
            Seat::Single(shared) => {
                hub.switched(conn);
                shared.with(|single| single.switched());
            }
        }
    }
}

type Hook = dyn Fn(State) + Send + Sync;

/// What the clones of a [`ClientConnection`](super::ClientConnection) and its exchange share.
pub(super) struct Shared<R: Runtime> {
    /// Under its lock a resting connection is read from, without waiting: so a stream of the application's must not
    /// call its connection. Wakers and hooks are called outside.
    single: Mutex<Single<Box<Conn<R>>>>,
    hook: Mutex<Option<Arc<Hook>>>,
    /// Wakes all who wait: the one waker that a resting connection is polled with.
    waker: Waker,
    bell: Arc<Bell>,
    remote: Option<SocketAddr>,
    origin: Option<Origin>,
    timeout: Mutex<Option<Duration>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<R: Runtime> Shared<R> {
    pub(super) fn new(
        conn: Box<Conn<R>>,
        remote: Option<SocketAddr>,
        origin: Option<Origin>,
        timeout: Option<Duration>,
    ) -> Shared<R> {
        let bell = Arc::new(Bell::default());
        Shared {
            single: Mutex::new(Single::new(conn)),
            hook: Mutex::new(None),
            waker: Waker::from(bell.clone()),
            bell,
            remote,
            origin,
            timeout: Mutex::new(timeout),
        }
    }

    pub(super) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        *lock(&self.timeout)
    }

    pub(super) fn set_timeout(&self, timeout: Option<Duration>) {
        *lock(&self.timeout) = timeout;
    }

    pub(super) fn set_hook(&self, hook: Arc<Hook>) {
        let old = lock(&self.hook).replace(hook);
        drop(old);
    }

    /// A look at what is known.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Single<Box<Conn<R>>>) -> T) -> T {
        at(&lock(&self.single))
    }

    /// Does something, then tells what it changed.
    pub(super) fn with<T>(&self, then: impl FnOnce(&mut Single<Box<Conn<R>>>) -> T) -> T {
        let mut single = lock(&self.single);
        let done = then(&mut single);
        let mut news = single.tell();
        drop(single);
        while let Some(state) = news {
            let hook = lock(&self.hook).clone();
            if let Some(hook) = hook {
                // Called wherever something changes, perhaps while another panic unwinds.
                let _ = catch_unwind(AssertUnwindSafe(|| hook(state)));
            }
            self.bell.ring();
            news = lock(&self.single).told();
        }
        done
    }

    /// Looks whether the connection has ended while it rested, then does something.
    pub(super) fn looked<T>(&self, then: impl FnOnce(&mut Single<Box<Conn<R>>>) -> T) -> T {
        let (closed, done) = self.with(|single| {
            let cx = &mut Context::from_waker(&self.waker);
            let end = single.resting().and_then(|conn| conn.look(cx));
            (end.and_then(|reason| single.ended(reason)), then(single))
        });
        drop(closed);
        done
    }

    /// Waits for a state, watching the connection while it rests.
    pub(super) async fn wait(&self, wanted: impl Fn(State) -> bool) -> State {
        let mut listener = Listener {
            bell: &self.bell,
            place: None,
        };
        poll_fn(|cx| {
            // First, so that nothing is missed.
            listener.listen(cx.waker());
            let (closed, state) = self.with(|single| {
                let cx = &mut Context::from_waker(&self.waker);
                let end = single.resting().map(|conn| conn.poll_end(cx));
                let closed = match end {
                    Some(Poll::Ready(reason)) => single.ended(reason),
                    _ => None,
                };
                (closed, single.state())
            });
            drop(closed);
            if wanted(state) {
                Poll::Ready(state)
            } else {
                Poll::Pending
            }
        })
        .await
    }
}

/// Who waits for something to change.
#[derive(Default)]
struct Bell(Mutex<Waiters>);

#[derive(Default)]
struct Waiters {
    last: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Bell {
    fn ring(&self) {
        let wakers = std::mem::take(&mut lock(&self.0).wakers);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// A place among those who wait, as long as it lives.
struct Listener<'a> {
    bell: &'a Bell,
    place: Option<u64>,
}

impl Listener<'_> {
    fn listen(&mut self, waker: &Waker) {
        let waker = waker.clone();
        let mut waiters = lock(&self.bell.0);
        let place = *self.place.get_or_insert_with(|| {
            waiters.last += 1;
            waiters.last
        });
        let old = waiters.wakers.insert(place, waker);
        drop(waiters);
        drop(old);
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let old = lock(&self.bell.0).wakers.remove(&place);
            drop(old);
        }
    }
}
