//! [`Seat`]: where a connection goes when its exchange is over: back into the pool, or, outside of it, to the [`Shared`]
//! half of a [`ClientConnection`](super::ClientConnection).

use super::hub::Conn;
use crate::clock;
use crate::lock;
use antiphon_core::client::Origin;
use antiphon_core::client::pool::Lease;
use antiphon_core::client::single::{Single, State};
use antiphon_core::h1::{ClientEvent, CloseReason};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where a connection goes when its exchange is over.
#[derive(Debug)]
pub(super) enum Seat {
    Pooled(Lease),
    Single(Arc<Shared>),
}

impl From<Lease> for Seat {
    fn from(lease: Lease) -> Seat {
        Seat::Pooled(lease)
    }
}

impl Seat {
    /// Whether the connection had served a request before this one.
    pub(super) fn is_reused(&self) -> bool {
        match self {
            Seat::Pooled(lease) => lease.is_reused(),
            Seat::Single(shared) => shared.look(|single| single.begun() > 1),
        }
    }
}

type Hook = dyn Fn(State) + Send + Sync;

/// What the clones of a [`ClientConnection`](super::ClientConnection) and its exchange share.
pub(super) struct Shared {
    single: Mutex<Single<Box<Conn>>>,
    hook: Mutex<Option<Arc<Hook>>>,
    pub(super) origin: Option<Origin>,
    timeout: Mutex<Option<Duration>>,
}

impl Shared {
    pub(super) fn new(conn: Conn, origin: Option<Origin>, timeout: Option<Duration>) -> Shared {
        Shared {
            single: Mutex::new(Single::new(Box::new(conn))),
            hook: Mutex::new(None),
            origin,
            timeout: Mutex::new(timeout),
        }
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
    pub(super) fn look<T>(&self, at: impl FnOnce(&Single<Box<Conn>>) -> T) -> T {
        at(&lock(&self.single))
    }

    /// Does something, then tells what it changed: outside the lock.
    pub(super) fn with<T>(&self, then: impl FnOnce(&mut Single<Box<Conn>>) -> T) -> T {
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
            news = lock(&self.single).told();
        }
        done
    }

    /// Looks whether the connection has ended while it rested, then does something.
    pub(super) fn looked<T>(&self, then: impl FnOnce(&mut Single<Box<Conn>>) -> T) -> T {
        let (closed, done) = self.with(|single| {
            let end = single.resting().and_then(|conn| end_of(conn));
            (end.and_then(|reason| single.ended(reason)), then(single))
        });
        drop(closed);
        done
    }

    /// An exchange is over and the connection can take another; `Some` with the reason if it is closed instead.
    pub(super) fn put(&self, conn: Box<Conn>) -> Option<CloseReason> {
        let closed = self.with(|single| single.put(conn));
        closed.map(|_| CloseReason::LocalAsked)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Why a connection without an exchange has ended, if it has. Whatever arrives on it ends it. Does not wait.
fn end_of(conn: &mut Conn) -> Option<CloseReason> {
    let link = &mut conn.link;
    let now = clock::mono();
    if let Some(deadline) = link.machine.deadline(now)
        && deadline.at <= now
    {
        return Some(CloseReason::Timeout(deadline.why));
    }
    if link.is_quiet() {
        return None;
    }
    link.glance();
    let event = link.machine.next_event();
    link.rest();
    Some(match event {
        Ok(Some(ClientEvent::PeerClosed { clean: true })) => CloseReason::PeerClosed,
        Ok(Some(ClientEvent::PeerClosed { .. })) if link.take_broken().is_some() => CloseReason::ReadFailed,
        _ => CloseReason::UnsolicitedBytes,
    })
}
