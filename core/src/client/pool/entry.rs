//! What the pool remembers of hosts, idle connections and tickets, and when something is too old. The
//! transitions between these are in `pool.rs`.

use super::{CloseReason, Counters, Key, Lease, PoolConfig, Reused, SharedId};
use crate::Now;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

/// What is known of one host while it has a connection or a waiter.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) key: Key,
    /// Connections dialling, in use and idle. Dials that were permitted but not begun count as dialling.
    pub(super) dialing: usize,
    pub(super) active: usize,
    /// Slots of idle connections: the most recently used stands last.
    pub(super) idle: VecDeque<u32>,
    /// Slots of shared connections in use, in the order in which they came into use.
    pub(super) shared: Vec<u32>,
    /// Tickets that would take a connection, first come first served.
    pub(super) waiting: BTreeSet<u64>,
    /// Those of them for which nobody dials.
    pub(super) dialless: BTreeSet<u64>,
    pub(super) counters: Counters,
}

impl Host {
    pub(super) fn connections(&self) -> usize {
        self.dialing + self.active + self.idle.len()
    }
}

#[derive(Debug)]
pub(super) struct Idle<C> {
    pub(super) conn: C,
    pub(super) host: u32,
    pub(super) created: Now,
    pub(super) requests: u32,
    pub(super) rest: Rest,
    /// Its name, if it is a shared one.
    pub(super) shared: Option<SharedId>,
}

/// How a connection that is not in use rests: since when, and for how long it may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub(super) since: Now,
    pub(super) limit: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Waiter<C> {
    pub(super) host: u32,
    pub(super) state: Waiting<C>,
}

/// A ticket's life:
///
/// ```text
///            acquire: at the limit      acquire: below it
///                     |                        |
///                     v      a place           v
///                  InLine --> became --> Permitted/Dialing --dial_failed--> Failed
///                     |        free            |                               |
///                     +---- a connection ------+--> Served                   poll
///                                                     |                        |
///                                                   poll: over               over
/// ```
#[derive(Debug)]
pub(super) enum Waiting<C> {
    /// Waits for a connection or for a place to dial.
    InLine,
    /// A place is reserved for its dial, which `poll` hands out.
    Permitted,
    /// Its dial is under way.
    Dialing,
    /// A connection is there for it. `rest` is its idle period, should the ticket be cancelled.
    Served {
        conn: C,
        lease: Lease,
        reused: Option<Reused>,
        rest: Rest,
    },
    /// Its dial failed before a connection came.
    Failed,
}

impl<C> Idle<C> {
    /// Why this connection may not be used any more at `now`.
    pub(super) fn expired(&self, config: &PoolConfig, now: Now) -> Option<CloseReason> {
        if self
            .rest
            .limit
            .is_some_and(|limit| elapsed(self.rest.since, now, limit))
        {
            return Some(CloseReason::IdleTimeout);
        }
        config
            .max_age
            .is_some_and(|max| elapsed(self.created, now, max))
            .then_some(CloseReason::MaxAge)
    }
}

/// Whether at least `time` has passed by either clock. The wall clock counts whole seconds: a difference of n
/// means that more than n - 1 s have passed, so one is taken off and nothing expires early by it.
pub(super) fn elapsed(since: Now, now: Now, time: Duration) -> bool {
    if now.mono - since.mono >= time {
        return true;
    }
    let seconds = now.unix.0.saturating_sub(since.unix.0).saturating_sub(1);
    u64::try_from(seconds).is_ok_and(|s| Duration::from_secs(s) >= time)
}
