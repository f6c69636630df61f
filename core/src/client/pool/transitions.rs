//! The transitions of a [`Pool`]: a connection is put by, handed to whoever waits, let go of; a place under the
//! per-host limit becomes free; hosts come and go. Nothing else changes the pool's state.

use super::entry::{Host, Idle, Rest, Waiting, elapsed};
use super::shared::limit;
use super::{CloseReason, Closed, Counters, Key, Lease, Pool, Put, Reused, SharedId, Ticket};
use crate::Now;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

impl<C> Pool<C> {
    /// The order of the checks is the contract: unusable, wanted by the line, refused, put by. The connection
    /// counts as active until decided.
    pub(super) fn put_back(&mut self, lease: Lease, conn: C, rest: Rest, now: Now) -> Put<C> {
        let Lease {
            host,
            created,
            requests,
            ..
        } = lease;
        let config = self.config;
        let limit = limit(&config, rest);
        let h = self.host_mut(host);
        h.active = h.active.saturating_sub(1);
        let unusable = if !config.keep_alive {
            Some(CloseReason::KeepAliveDisabled)
        } else if config.max_requests.is_some_and(|max| requests >= max.get()) {
            Some(CloseReason::MaxRequests)
        } else if config.max_age.is_some_and(|max| elapsed(created, now, max)) {
            Some(CloseReason::MaxAge)
        } else if limit.is_some_and(|limit| !limit.is_zero() && elapsed(rest.since, now, limit)) {
            // It was kept for a ticket that was cancelled late.
            Some(CloseReason::IdleTimeout)
        } else {
            None
        };
        if unusable.is_none()
            && let Some(&first) = h.waiting.first()
        {
            let reused = Reused {
                idle: now.mono - rest.since.mono,
                age: now.mono - created.mono,
                requests,
            };
            let lease = self.lease(host, created, requests);
            self.serve(first, conn, lease, Some(reused), rest);
            self.count(host, |c| c.handed_over += 1);
            return Put::HandedTo(Ticket(first));
        }
        let idle = Idle {
            conn,
            host,
            created,
            requests,
            rest: Rest { limit, ..rest },
            shared: None,
        };
        self.put_by(idle, unusable)
    }

    /// A connection for which nobody waits, not counted as active any more, becomes idle or is let go of. The limit
    /// in `idle.rest` is the one that counts.
    pub(super) fn put_by(&mut self, idle: Idle<C>, unusable: Option<CloseReason>) -> Put<C> {
        let config = self.config;
        let Idle {
            host,
            created,
            rest,
            shared,
            ..
        } = idle;
        let refused = unusable.or_else(|| {
            let idle = self.host(host).idle.len();
            if self.closing_idle {
                Some(CloseReason::CloseIdle)
            } else if rest.limit == Some(Duration::ZERO) {
                Some(CloseReason::IdleTimeout)
            } else if config.max_idle_per_host.is_some_and(|max| idle >= max) {
                Some(CloseReason::TooManyIdleForHost)
            } else if config.max_idle == 0 {
                Some(CloseReason::TooManyIdle)
            } else {
                None
            }
        });
        if let Some(reason) = refused {
            self.forget_shared(shared);
            return Put::Refused(self.let_go(host, idle.conn, reason));
        }
        let expiry = {
            let idle = rest.limit.map(|l| rest.since.mono + l);
            let age = config.max_age.map(|a| created.mono + a);
            idle.into_iter().chain(age).min()
        };
        let id = self.idle.push(idle, expiry, config.idle_timeout);
        if let Some(shared) = shared {
            self.rests_in(shared, id.slot);
        }
        self.host_mut(host).idle.push_back(id.slot);
        self.count(host, |c| c.pooled += 1);
        let evicted = if self.idle.len() > config.max_idle
            && let Some((oldest, _)) = self.idle.oldest()
            && let Some(idle) = self.unlist_for_good(oldest)
        {
            Some(self.let_go(idle.host, idle.conn, CloseReason::TooManyIdle))
        } else {
            None
        };
        Put::Pooled { id, evicted }
    }

    /// Gives a connection to a ticket that waits.
    pub(super) fn serve(&mut self, ticket: u64, conn: C, lease: Lease, reused: Option<Reused>, rest: Rest) {
        let host = lease.host;
        self.leave_line(host, ticket);
        let before = self.news(
            ticket,
            Waiting::Served {
                conn,
                lease,
                reused,
                rest,
            },
        );
        if let Some(Waiting::Permitted) = before {
            // The place that was reserved for its dial is not needed.
            let h = self.host_mut(host);
            h.dialing -= 1;
            self.place_freed(host);
        }
    }

    /// A place under the per-host limit is free: the first that nobody dials for inherits it; else the host is
    /// forgotten when nothing is left of it.
    pub(super) fn place_freed(&mut self, host: u32) {
        let h = self.host_mut(host);
        if let Some(next) = h.dialless.pop_first() {
            h.dialing += 1;
            self.news(next, Waiting::Permitted);
        } else if h.connections() == 0 && h.waiting.is_empty() {
            let key = &self.hosts[host as usize]
                .as_ref()
                .expect("hosts in use are listed")
                .key;
            self.keys.remove(key);
            self.hosts[host as usize] = None;
            self.free_hosts.push(host);
        }
    }

    /// A connection of `host`, already taken off all lists, is closed.
    pub(super) fn let_go(&mut self, host: u32, conn: C, reason: CloseReason) -> Closed<C> {
        self.count(host, |c| c.closed[reason as usize] += 1);
        self.place_freed(host);
        Closed { conn, reason }
    }

    /// Takes an idle connection off all lists.
    pub(super) fn unlist(&mut self, slot: u32) -> Option<Idle<C>> {
        let idle = self.idle.take(slot)?;
        let list = &mut self.host_mut(idle.host).idle;
        if list.back() == Some(&slot) {
            list.pop_back();
        } else if let Some(at) = list.iter().position(|&s| s == slot) {
            // Eviction and expiry find theirs in front.
            list.remove(at);
        }
        Some(idle)
    }

    /// Takes an idle connection off all lists, to be let go of.
    pub(super) fn unlist_for_good(&mut self, slot: u32) -> Option<Idle<C>> {
        let idle = self.unlist(slot)?;
        self.forget_shared(idle.shared);
        Some(idle)
    }

    pub(super) fn forget_shared(&mut self, shared: Option<SharedId>) {
        if let Some(id) = shared {
            self.shared.remove(id.slot);
        }
    }

    pub(super) fn lease(&mut self, host: u32, created: Now, served: u32) -> Lease {
        self.host_mut(host).active += 1;
        Lease {
            host,
            created,
            requests: served.saturating_add(1),
            shared: None,
        }
    }

    pub(super) fn leave_line(&mut self, host: u32, ticket: u64) {
        let h = self.host_mut(host);
        h.waiting.remove(&ticket);
        h.dialless.remove(&ticket);
    }

    pub(super) fn news(&mut self, ticket: u64, state: Waiting<C>) -> Option<Waiting<C>> {
        let waiter = self.waiters.get_mut(&ticket)?;
        self.ready.insert(ticket);
        Some(core::mem::replace(&mut waiter.state, state))
    }

    /// An idle connection whose time is up.
    pub(super) fn due(&self, now: Now) -> Option<u32> {
        self.idle.irregular_due(now).or_else(|| self.oldest_due(now))
    }

    /// The least recently used connection, if its time is up by either clock.
    pub(super) fn oldest_due(&self, now: Now) -> Option<u32> {
        let (slot, idle) = self.idle.oldest()?;
        idle.expired(&self.config, now).map(|_| slot)
    }

    pub(super) fn count(&mut self, host: u32, add: impl Fn(&mut Counters)) {
        add(&mut self.totals);
        add(&mut self.host_mut(host).counters);
    }

    pub(super) fn intern(&mut self, key: &Key) -> u32 {
        if let Some(&host) = self.keys.get(key) {
            return host;
        }
        let host = Host {
            key: key.clone(),
            dialing: 0,
            active: 0,
            idle: VecDeque::new(),
            shared: Vec::new(),
            waiting: BTreeSet::new(),
            dialless: BTreeSet::new(),
            counters: Counters::ZERO,
        };
        let at = match self.free_hosts.pop() {
            Some(at) => {
                self.hosts[at as usize] = Some(host);
                at
            }
            None => {
                self.hosts.push(Some(host));
                (self.hosts.len() - 1) as u32
            }
        };
        self.keys.insert(key.clone(), at);
        at
    }

    pub(super) fn host(&self, host: u32) -> &Host {
        self.hosts[host as usize]
            .as_ref()
            .expect("a host stays listed while anything names it")
    }

    pub(super) fn host_mut(&mut self, host: u32) -> &mut Host {
        self.hosts[host as usize]
            .as_mut()
            .expect("a host stays listed while anything names it")
    }
}
