//! [`Pool`]: which connection serves which request, whether to dial, who waits, and what is closed when.
//!
//! What can be asked of it and told to it lives in this file, what that does to its state in `transitions.rs`. The
//! settings are in `config.rs`, keys in `key.rs`, what is remembered in `entry.rs` and `idle.rs`, shared connections in
//! `shared.rs`, what is counted in `stats.rs`, tokens, decisions and reasons in `outcome.rs`. Dialling, sockets and
//! wake-ups belong to the driver.
//!
//! # Multiplexed connections
//!
//! A connection that carries several requests at once (HTTP/2) is told of by [`Pool::dialed_shared`] with its capacity:
//! how many at once, at least one. From then on it is *shared*:
//!
//! - The pool keeps a handle and gives each request one of its own, with a [`Lease`] that tells the connection's name
//!   ([`Lease::shared`]). It stays in the pool while it is leased. One dial serves all that wait, as far as the
//!   capacity goes; each request that ends makes room for the next. Of several in use, the first with room is taken,
//!   so that requests gather and the others become idle.
//! - It counts as one connection under the limits of its host, however many requests it carries. It is idle, with the
//!   timer and the limits of all idle connections, only while nobody has a lease. Age and number of requests
//!   ([`PoolConfig::max_age`], [`PoolConfig::max_requests`]) keep new requests off it and end none.
//! - [`Pool::set_capacity`] follows the peer's settings. [`Pool::going_away`] and [`Pool::broken`] keep new requests off
//!   it; it ends with its last lease, and the reason is told and counted.
//! - Requests that need HTTP/1 have a key of their own ([`Key::only_http1`]), which no shared connection serves.
//!
//! Before the first dial to a host is done nobody knows whether its connections are shared: where
//! [`PoolConfig::max_connections_per_host`] allows, each request begins a dial of its own, and what those bring when all
//! are served becomes idle and ends by the idle timeout. The capacity is the peer's word: the pool allocates for
//! requests that are made, never for what a peer allows.
//!
//! No runtime uses this yet, since there is no HTTP/2 yet.
//!
//! ```
//! use antiphon_core::client::pool::{Acquire, Key, Pool, PoolConfig, Poll, Put, Scheme};
//! use antiphon_core::{Instant, Now, UnixTime};
//! use core::num::{NonZeroU32, NonZeroUsize};
//! use std::rc::Rc;
//!
//! let now = Now { mono: Instant::ZERO, unix: UnixTime(1_700_000_000) };
//! let mut config = PoolConfig::default();
//! config.max_connections_per_host = NonZeroUsize::new(1);
//! let mut pool: Pool<Rc<str>> = Pool::new(config);
//! let key = Key::new(Scheme::Https, "example.com", 443);
//!
//! // Two requests, one dial: both get on the connection.
//! let Acquire::Dial { ticket: a, dial } = pool.acquire(&key, now).step else { unreachable!() };
//! let Acquire::Wait { ticket: b } = pool.acquire(&key, now).step else { unreachable!() };
//! let capacity = NonZeroU32::new(100).unwrap();
//! let id = pool.dialed_shared(dial, "h2".into(), Rc::clone, capacity, now).id;
//! let Poll::Ready { conn, lease, .. } = pool.poll(a) else { unreachable!() };
//! let Poll::Ready { conn: same, lease: other, .. } = pool.poll(b) else { unreachable!() };
//! assert!(Rc::ptr_eq(&conn, &same) && lease.shared() == Some(id));
//!
//! // The peer goes away: the connection ends with its last request.
//! assert!(pool.going_away(id).is_none());
//! assert!(matches!(pool.put(lease, conn, None, now), Put::Refused(_)));
//! assert_eq!(pool.stats().active, 1);
//! assert!(matches!(pool.put(other, same, None, now), Put::Refused(_)));
//! assert_eq!(pool.stats().active, 0);
//! ```

mod config;
mod entry;
mod idle;
mod key;
#[cfg(test)]
mod model;
mod outcome;
#[cfg(test)]
mod random;
mod shared;
mod stats;
#[cfg(test)]
mod tests;
mod transitions;

pub use self::config::PoolConfig;
use self::entry::{Host, Rest, Waiter, Waiting};
use self::idle::IdleList;
pub use self::key::{Key, Scheme};
pub use self::outcome::{
    Acquire, Acquired, CloseReason, Closed, Dial, DialFailed, Dialed, DialedShared, IdleId, Lease, Poll, Put,
    Reused, SharedId, Ticket,
};
use self::shared::SharedList;
pub use self::stats::{Counters, Stats};
use crate::{Instant, Now};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

/// A pool of connections `C` (a socket with its machine, or a handle to one): pure bookkeeping. Connections that carry
/// several requests at once: see "Multiplexed connections" in the [module](self).
///
/// # Contract
/// - *A request asks* with [`acquire`](Pool::acquire) (or [`acquire_fresh`](Pool::acquire_fresh)). It gets an idle connection at once, or a [`Ticket`] in
///   the line of its host; with it usually comes a [`Dial`], the permission and duty to make one connection.
///   Whichever comes first serves the ticket: an idle connection or the dialled one. The dial goes on even if
///   the ticket was served or cancelled; its connection then serves another ticket or is put by.
/// - *A ticket is looked at* with [`poll`](Pool::poll) and yields exactly one result. [`Poll::Dial`] is none:
///   a place became free, so the holder dials and goes on waiting. Every ticket ends by a result of `poll` or
///   by [`cancel`](Pool::cancel).
/// - *After every call* that changes the pool, wake the holders of the tickets that
///   [`next_ready`](Pool::next_ready) gives.
/// - *A connection in use* is stood for by its [`Lease`]. Every lease ends by [`put`](Pool::put) or
///   [`discard`](Pool::discard), every dial by [`dialed`](Pool::dialed) or [`dial_failed`](Pool::dial_failed):
///   one that is just dropped keeps its place under `max_connections_per_host` for ever.
/// - *Time*: at [`deadline`](Pool::deadline) or later call [`expire`](Pool::expire).
/// - Connections that the pool lets go of are returned with the reason: drop them after the lock, if there is
///   one, has been left.
///
/// Tokens belong to the pool that gave them.
///
/// # Work
/// Logarithmic in the number of hosts and waiters, but for [`remove`](Pool::remove), which walks the host's idle
/// connections; and requests of hosts with shared connections in use walk those, statistics by host all shared ones. No allocation when a connection is acquired and put back, once the pool has grown to its size.
///
/// ```
/// use antiphon_core::client::pool::{Acquire, Key, Pool, PoolConfig, Poll, Put, Scheme};
/// use antiphon_core::{Instant, Now, UnixTime};
///
/// let now = Now { mono: Instant::ZERO, unix: UnixTime(1_700_000_000) };
/// let mut pool: Pool<&str> = Pool::new(PoolConfig::default());
/// let key = Key::new(Scheme::Http, "example.com", 80);
///
/// // Nothing is idle: the request waits and dials.
/// let Acquire::Dial { ticket, dial } = pool.acquire(&key, now).step else { unreachable!() };
/// let _ = pool.dialed(dial, "connection 1", now);
/// assert_eq!(pool.next_ready(), Some(ticket));
/// let Poll::Ready { conn, lease, reused: None } = pool.poll(ticket) else { unreachable!() };
///
/// // The exchange is over: the connection becomes idle and serves the next request.
/// assert!(matches!(pool.put(lease, conn, None, now), Put::Pooled { .. }));
/// let Acquire::Reuse { conn, reused, .. } = pool.acquire(&key, now).step else { unreachable!() };
/// assert_eq!((conn, reused.requests), ("connection 1", 1));
/// ```
#[derive(Debug)]
pub struct Pool<C> {
    config: PoolConfig,
    /// Interned keys; leases and dials name hosts by index, so that putting back compares no strings.
    keys: BTreeMap<Key, u32>,
    hosts: Vec<Option<Host>>,
    free_hosts: Vec<u32>,
    /// Idle connections of all hosts, by the order in which they became idle.
    idle: IdleList<C>,
    shared: SharedList<C>,
    waiters: BTreeMap<u64, Waiter<C>>,
    /// Tickets with news that `next_ready` has not told yet.
    ready: BTreeSet<u64>,
    /// The last ticket given.
    last_ticket: u64,
    /// Nothing becomes idle until the next request asks.
    closing_idle: bool,
    totals: Counters,
}

/// Asking.
impl<C> Pool<C> {
    /// An empty pool; allocates nothing.
    pub const fn new(config: PoolConfig) -> Pool<C> {
        Pool {
            config,
            keys: BTreeMap::new(),
            hosts: Vec::new(),
            free_hosts: Vec::new(),
            idle: IdleList::new(),
            shared: SharedList::new(),
            waiters: BTreeMap::new(),
            ready: BTreeSet::new(),
            last_ticket: 0,
            closing_idle: false,
            totals: Counters::ZERO,
        }
    }

    /// A request for `key`: a shared connection in use that has room, else the most recently used idle connection, else
    /// a place in the line.
    ///
    /// Idle connections that are too old are let go of on the way and returned in [`Acquired::closed`]. Undoes
    /// [`close_idle`](Pool::close_idle).
    pub fn acquire(&mut self, key: &Key, now: Now) -> Acquired<C> {
        self.closing_idle = false;
        let host = self.intern(key);
        let mut closed = Vec::new();
        if let Some(step) = self.join(host, now) {
            return Acquired { step, closed };
        }
        while let Some(slot) = self.newest_idle(host) {
            let Some(idle) = self.unlist(slot) else { break };
            match idle.expired(&self.config, now) {
                Some(reason) => {
                    self.forget_shared(idle.shared);
                    self.count(host, |c| c.closed[reason as usize] += 1);
                    self.place_passed_on(host);
                    closed.push(Closed {
                        conn: idle.conn,
                        reason,
                    });
                }
                None => {
                    if let Some(id) = idle.shared {
                        self.wake_shared(id, idle.conn);
                        let Some(step) = self.take_shared(id, now) else {
                            break;
                        };
                        return Acquired { step, closed };
                    }
                    let reused = Reused {
                        idle: now.mono - idle.rest.since.mono,
                        age: now.mono - idle.created.mono,
                        requests: idle.requests,
                    };
                    let lease = self.lease(host, idle.created, idle.requests);
                    self.count(host, |c| c.reused += 1);
                    return Acquired {
                        step: Acquire::Reuse {
                            conn: idle.conn,
                            lease,
                            reused,
                        },
                        closed,
                    };
                }
            }
        }
        Acquired {
            step: self.line_up(host),
            closed,
        }
    }

    /// A request for `key` that failed on a connection which had been idle: never an idle one, since the others
    /// may be as dead. They stay for those who ask with [`acquire`](Pool::acquire); only where the host has no
    /// place left, its least recently used one makes room and is returned in [`Acquired::closed`].
    ///
    /// The answer is [`Acquire::Dial`] or [`Acquire::Wait`]; where the host has no place left, it may be
    /// [`Acquire::Reuse`] of a shared connection in use. While the request waits it may still be served by a
    /// connection that is put back: that one has just proved to be alive.
    pub fn acquire_fresh(&mut self, key: &Key, now: Now) -> Acquired<C> {
        self.closing_idle = false;
        let host = self.intern(key);
        let mut closed = Vec::new();
        if self.at_limit(host)
            && let Some(&slot) = self.host(host).idle.front()
            && let Some(idle) = self.unlist_for_good(slot)
        {
            let reason = idle.expired(&self.config, now).unwrap_or(CloseReason::Removed);
            self.count(host, |c| c.closed[reason as usize] += 1);
            self.place_passed_on(host);
            closed.push(Closed {
                conn: idle.conn,
                reason,
            });
        } else if self.at_limit(host)
            && let Some(step) = self.join(host, now)
        {
            return Acquired { step, closed };
        }
        Acquired {
            step: self.line_up(host),
            closed,
        }
    }

    /// An idle connection was let go of for a request. The place is that request's, unless others wait for one, which
    /// beside an idle connection they do only if it is a shared one without room.
    fn place_passed_on(&mut self, host: u32) {
        if !self.host(host).dialless.is_empty() {
            self.place_freed(host);
        }
    }

    /// The most recently used idle connection that takes requests.
    fn newest_idle(&self, host: u32) -> Option<u32> {
        let mut newest = self.host(host).idle.iter().rev().copied();
        newest.find(|&slot| self.idle.get(slot).is_some_and(|idle| self.takes_requests(idle)))
    }

    /// Whether the host has as many connections as it may.
    fn at_limit(&self, host: u32) -> bool {
        self.config
            .max_connections_per_host
            .is_some_and(|max| self.host(host).connections() >= max.get())
    }

    /// A place in the line, with a dial if there is room for one.
    fn line_up(&mut self, host: u32) -> Acquire<C> {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let at_limit = self.at_limit(host);
        let h = self.host_mut(host);
        h.waiting.insert(ticket);
        let state = if at_limit {
            h.dialless.insert(ticket);
            Waiting::InLine
        } else {
            h.dialing += 1;
            Waiting::Dialing
        };
        self.waiters.insert(ticket, Waiter { host, state });
        if at_limit {
            self.count(host, |c| c.waited += 1);
            Acquire::Wait {
                ticket: Ticket(ticket),
            }
        } else {
            self.count(host, |c| c.dials += 1);
            Acquire::Dial {
                ticket: Ticket(ticket),
                dial: Dial { host, ticket },
            }
        }
    }

    /// What has become of a ticket. A result ends the ticket; [`Poll::Pending`] and [`Poll::Dial`] do not.
    ///
    /// May change its answer after `put`, `dialed`, `dial_failed`, `discard` and `cancel`; then
    /// [`next_ready`](Pool::next_ready) gives the ticket.
    pub fn poll(&mut self, ticket: Ticket) -> Poll<C> {
        let Some(waiter) = self.waiters.get_mut(&ticket.0) else {
            return Poll::Gone;
        };
        match waiter.state {
            Waiting::InLine | Waiting::Dialing => return Poll::Pending,
            Waiting::Permitted => {
                waiter.state = Waiting::Dialing;
                let host = waiter.host;
                self.ready.remove(&ticket.0);
                self.count(host, |c| c.dials += 1);
                return Poll::Dial(Dial {
                    host,
                    ticket: ticket.0,
                });
            }
            Waiting::Served { .. } | Waiting::Failed => {}
        }
        self.ready.remove(&ticket.0);
        match self.waiters.remove(&ticket.0).map(|w| w.state) {
            Some(Waiting::Served {
                conn, lease, reused, ..
            }) => Poll::Ready { conn, lease, reused },
            _ => Poll::DialFailed,
        }
    }

    /// The request is no longer interested. A dial under way goes on; a place that was reserved goes to the
    /// next in line; a connection that was there for it serves the next, becomes idle or may not be used any
    /// more, which is returned. Does nothing for a ticket that has ended.
    pub fn cancel(&mut self, ticket: Ticket, now: Now) -> Option<Put<C>> {
        let Waiter { host, state } = self.waiters.remove(&ticket.0)?;
        self.ready.remove(&ticket.0);
        match state {
            Waiting::Served {
                conn,
                mut lease,
                rest,
                ..
            } => {
                // It served nobody, so the request that `lease` began is not counted.
                if let Some(id) = lease.shared {
                    return Some(self.put_back_shared(id, conn, None, now));
                }
                lease.requests -= 1;
                return Some(self.put_back(lease, conn, rest, now));
            }
            Waiting::InLine | Waiting::Dialing => self.leave_line(host, ticket.0),
            Waiting::Permitted => {
                self.leave_line(host, ticket.0);
                self.host_mut(host).dialing -= 1;
                self.place_freed(host);
            }
            Waiting::Failed => {}
        }
        None
    }

    /// The settings.
    pub const fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// A ticket whose [`poll`](Pool::poll) has news, each told once per news. Wake its holder.
    pub fn next_ready(&mut self) -> Option<Ticket> {
        self.ready.pop_first().map(Ticket)
    }
}

/// Connections coming and going.
impl<C> Pool<C> {
    /// The dial succeeded. The connection serves the ticket that caused it, if that still waits, else the
    /// first in line, else it becomes idle.
    pub fn dialed(&mut self, dial: Dial, conn: C, now: Now) -> Dialed<C> {
        let host = dial.host;
        let Some(h) = self.hosts.get_mut(host as usize).and_then(Option::as_mut) else {
            // A token of another pool.
            return Dialed::Spare(Put::Refused(Closed {
                conn,
                reason: CloseReason::Removed,
            }));
        };
        h.dialing = h.dialing.saturating_sub(1);
        if h.waiting.contains(&dial.ticket) {
            let lease = self.lease(host, now, 0);
            self.serve(
                dial.ticket,
                conn,
                lease,
                None,
                Rest {
                    since: now,
                    limit: None,
                },
            );
            return Dialed::Delivered(Ticket(dial.ticket));
        }
        self.host_mut(host).active += 1;
        let lease = Lease {
            host,
            created: now,
            requests: 0,
            shared: None,
        };
        Dialed::Spare(self.put_back(
            lease,
            conn,
            Rest {
                since: now,
                limit: None,
            },
            now,
        ))
    }

    /// The dial failed. Its ticket, if it still waits, ends with [`Poll::DialFailed`] (the driver keeps the
    /// error); the place goes to the next in line.
    pub fn dial_failed(&mut self, dial: Dial) -> DialFailed {
        let host = dial.host;
        let Some(h) = self.hosts.get_mut(host as usize).and_then(Option::as_mut) else {
            return DialFailed::Unwanted;
        };
        h.dialing = h.dialing.saturating_sub(1);
        let wanted = h.waiting.contains(&dial.ticket);
        self.count(host, |c| c.dials_failed += 1);
        if wanted {
            self.leave_line(host, dial.ticket);
            self.news(dial.ticket, Waiting::Failed);
        }
        self.place_freed(host);
        if wanted {
            DialFailed::Delivered(Ticket(dial.ticket))
        } else {
            DialFailed::Unwanted
        }
    }

    /// An exchange is over and its connection can take another: it serves the first in line or becomes idle.
    ///
    /// `idle_limit` shortens [`PoolConfig::idle_timeout`] for this connection (what the server announced with
    /// `Keep-Alive: timeout=N`, with a second to spare).
    ///
    /// Of a shared connection the request is over, well or not; `conn` is a handle to it. It serves those that wait,
    /// stays with the other requests, or, after the last, becomes idle; what the last one tells as `idle_limit`
    /// counts.
    pub fn put(&mut self, lease: Lease, conn: C, idle_limit: Option<Duration>, now: Now) -> Put<C> {
        if self.hosts.get(lease.host as usize).is_none_or(Option::is_none) {
            // A token of another pool.
            return Put::Refused(Closed {
                conn,
                reason: CloseReason::Removed,
            });
        }
        let rest = Rest {
            since: now,
            limit: idle_limit,
        };
        match lease.shared {
            Some(id) => self.put_back_shared(id, conn, Some(rest), now),
            None => self.put_back(lease, conn, rest, now),
        }
    }

    /// The connection of this lease is closed, broken, or speaks another protocol now: its place is free.
    ///
    /// A shared connection is broken for all by this: no request gets it any more, and when its last lease has ended
    /// the pool's own handle is returned (drop it outside the lock), with why it ended. Where one request failed but
    /// the connection goes on, [`put`](Pool::put) it. Of others nothing is returned: the caller has them.
    pub fn discard(&mut self, lease: Lease) -> Option<Closed<C>> {
        if let Some(id) = lease.shared {
            return self.discard_shared(id);
        }
        if let Some(h) = self.hosts.get_mut(lease.host as usize).and_then(Option::as_mut) {
            h.active = h.active.saturating_sub(1);
            self.count(lease.host, |c| c.discarded += 1);
            self.place_freed(lease.host);
        }
        None
    }

    /// Takes an idle connection out, because it turned out to be closed or broken. `None` if it is not idle
    /// any more: then somebody else has it.
    pub fn remove(&mut self, id: IdleId) -> Option<Closed<C>> {
        if !self.idle.holds(id) {
            return None;
        }
        let idle = self.unlist_for_good(id.slot)?;
        Some(self.let_go(idle.host, idle.conn, CloseReason::Removed))
    }

    /// Lets go of all idle connections, and of all that would become idle until the next request asks for one.
    pub fn close_idle(&mut self) -> Vec<Closed<C>> {
        self.closing_idle = true;
        let mut closed = Vec::with_capacity(self.idle.len());
        while let Some((slot, _)) = self.idle.oldest() {
            let Some(idle) = self.unlist_for_good(slot) else {
                break;
            };
            closed.push(self.let_go(idle.host, idle.conn, CloseReason::CloseIdle));
        }
        closed
    }

    /// Lets go of the connections whose time is up. Safe early, late and twice.
    pub fn expire(&mut self, now: Now) -> Vec<Closed<C>> {
        let mut closed = Vec::new();
        while let Some(slot) = self.due(now) {
            let Some(idle) = self.unlist_for_good(slot) else {
                break;
            };
            // `due` names only connections for which this gives a reason.
            let reason = idle
                .expired(&self.config, now)
                .unwrap_or(CloseReason::IdleTimeout);
            closed.push(self.let_go(idle.host, idle.conn, reason));
        }
        closed
    }

    /// When to call [`expire`](Pool::expire) next; `None` while nothing idle can expire. Pure; may change
    /// after any call that changes the pool, and with the wall clock.
    pub fn deadline(&self, now: Now) -> Option<Instant> {
        let at = self.idle.first_expiry(self.config.idle_timeout)?;
        // By the wall clock it may be late already.
        Some(if self.oldest_due(now).is_some() {
            at.min(now.mono)
        } else {
            at
        })
    }
}
