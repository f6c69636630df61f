//! What the pool counts, in all and for each host.

use super::{CloseReason, Key, Pool};

impl<C> Pool<C> {
    /// How many connections there are now, and what has happened since the pool was made.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            counters: self.totals,
            ..Stats::default()
        };
        for shared in self.shared.all() {
            stats.shared += 1;
            stats.shared_leases += shared.leases as usize;
        }
        for host in self.hosts.iter().flatten() {
            stats.idle += host.idle.len();
            stats.active += host.active;
            stats.dialing += host.dialing;
            stats.waiting += host.waiting.len();
        }
        stats
    }

    /// The same for each host, in the order of the keys. A host is known while it has a connection or a
    /// waiter; its counters begin anew when it comes back.
    pub fn stats_by_key(&self) -> impl Iterator<Item = (&Key, Stats)> {
        self.keys.iter().map(|(key, &host)| {
            let h = self.host(host);
            let (mut shared, mut shared_leases) = (0, 0);
            for s in self.shared.all().filter(|s| s.host == host) {
                shared += 1;
                shared_leases += s.leases as usize;
            }
            let stats = Stats {
                shared,
                shared_leases,
                idle: h.idle.len(),
                active: h.active,
                dialing: h.dialing,
                waiting: h.waiting.len(),
                counters: h.counters,
            };
            (key, stats)
        })
    }
}

/// Connections now, and what has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Idle connections.
    pub idle: usize,
    /// Connections in use, or there for a ticket that has not been polled yet.
    pub active: usize,
    /// Dials under way or permitted.
    pub dialing: usize,
    /// Shared connections, idle or in use, which are counted there too.
    pub shared: usize,
    /// Requests on shared connections, and tickets those are there for. Where it passes `shared`, it shows what sharing
    /// is worth.
    pub shared_leases: usize,
    /// Tickets that wait.
    pub waiting: usize,
    /// What has happened.
    pub counters: Counters,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that found an idle connection, or a shared one with room.
    pub reused: u64,
    /// Requests that had to wait for a place.
    pub waited: u64,
    /// Dials begun.
    pub dials: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Connections that became idle.
    pub pooled: u64,
    /// Connections that went from one request straight to a waiting one; for shared ones, waiting requests that got
    /// onto one.
    pub handed_over: u64,
    /// Connections that ended in use ([`Pool::discard`](super::Pool::discard)); shared ones are counted by their
    /// reason.
    pub discarded: u64,
    pub(super) closed: [u64; CloseReason::ALL.len()],
}

impl Counters {
    pub(super) const ZERO: Counters = Counters {
        reused: 0,
        waited: 0,
        dials: 0,
        dials_failed: 0,
        pooled: 0,
        handed_over: 0,
        discarded: 0,
        closed: [0; CloseReason::ALL.len()],
    };

    /// How many connections the pool let go of for this reason.
    pub const fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }
}
