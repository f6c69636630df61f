//! Shared connections: those that carry several requests at once. What is remembered of them, what can be told of them,
//! and how a request gets onto one and leaves it.
//!
//! One that no request uses is an idle connection like all others and stands in `idle.rs`; what is said here then knows
//! it by its slot there. Putting it by and letting it go is in `transitions.rs`.

use super::entry::{Idle, Rest, Waiting, elapsed};
use super::outcome::{
    CloseReason, Closed, Dial, Dialed, DialedShared, IdleId, Lease, Put, Reused, SharedId, Ticket,
};
use super::{Acquire, Pool, PoolConfig};
use crate::Now;
use alloc::vec::Vec;
use core::num::NonZeroU32;

/// What is known of a shared connection until it is let go of.
#[derive(Debug)]
pub(super) struct Shared<C> {
    pub(super) serial: NonZeroU32,
    pub(super) host: u32,
    pub(super) created: Now,
    /// Requests it was given, those in progress included.
    pub(super) requests: u32,
    /// Requests in progress, and tickets it is there for.
    pub(super) leases: u32,
    pub(super) capacity: u32,
    /// Takes no more requests, for this reason.
    pub(super) ending: Option<CloseReason>,
    /// Since when it would be idle if nobody had a lease: when the last request ended, or the dial.
    pub(super) rest: Rest,
    /// Makes handles.
    pub(super) handle: fn(&C) -> C,
    pub(super) place: Place<C>,
}

/// Where the pool's own handle is.
#[derive(Debug)]
pub(super) enum Place<C> {
    /// Here, while there are leases.
    InUse(C),
    /// In this slot of the list of idle connections.
    Idle(u32),
}

/// All of them. Like the list of idle ones, it does not allocate once it has grown, and not at all without any.
#[derive(Debug)]
pub(super) struct SharedList<C> {
    slots: Vec<Option<Shared<C>>>,
    free: Vec<u32>,
    next: NonZeroU32,
}

impl<C> SharedList<C> {
    pub(super) const fn new() -> SharedList<C> {
        SharedList {
            slots: Vec::new(),
            free: Vec::new(),
            next: NonZeroU32::MIN,
        }
    }

    fn name(&mut self) -> SharedId {
        let serial = self.next;
        self.next = serial.checked_add(1).unwrap_or(NonZeroU32::MIN);
        SharedId {
            serial,
            slot: self.free.pop().unwrap_or(self.slots.len() as u32),
        }
    }

    fn insert(&mut self, id: SharedId, shared: Shared<C>) {
        match self.slots.get_mut(id.slot as usize) {
            Some(slot) => *slot = Some(shared),
            None => self.slots.push(Some(shared)),
        }
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Shared<C>> {
        let shared = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(shared)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Shared<C>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    fn get_mut(&mut self, slot: u32) -> Option<&mut Shared<C>> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn named(&self, id: SharedId) -> Option<&Shared<C>> {
        self.get(id.slot).filter(|s| s.serial == id.serial)
    }

    fn named_mut(&mut self, id: SharedId) -> Option<&mut Shared<C>> {
        self.get_mut(id.slot).filter(|s| s.serial == id.serial)
    }

    /// The one of a lease. A lease of another pool may bear the name of one that has none.
    fn leased(&mut self, id: SharedId) -> Option<&mut Shared<C>> {
        self.named_mut(id).filter(|s| s.leases > 0)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Shared<C>> {
        self.slots.iter().flatten()
    }
}

impl<C> Shared<C> {
    /// Why it takes no more requests, however few it carries.
    fn unfit(&self, config: &PoolConfig, now: Now) -> Option<CloseReason> {
        if self.ending.is_some() {
            self.ending
        } else if !config.keep_alive {
            Some(CloseReason::KeepAliveDisabled)
        } else if config.max_requests.is_some_and(|max| self.requests >= max.get()) {
            Some(CloseReason::MaxRequests)
        } else if config.max_age.is_some_and(|max| elapsed(self.created, now, max)) {
            Some(CloseReason::MaxAge)
        } else if self.leases == 0
            && let Some(limit) = limit(config, self.rest)
            && !limit.is_zero()
            && elapsed(self.rest.since, now, limit)
        {
            Some(CloseReason::IdleTimeout)
        } else {
            None
        }
    }

    /// Whether it can take one more request now.
    fn has_room(&self, config: &PoolConfig, now: Now) -> bool {
        self.leases < self.capacity && self.unfit(config, now).is_none()
    }

    /// Its past, for one more request.
    fn reused(&self, now: Now) -> Reused {
        let idle = match self.leases {
            0 => now.mono - self.rest.since.mono,
            _ => core::time::Duration::ZERO,
        };
        Reused {
            idle,
            age: now.mono - self.created.mono,
            requests: self.requests,
        }
    }
}

/// How long a connection may be idle: what the settings say, shortened by what was told of it.
pub(super) fn limit(config: &PoolConfig, rest: Rest) -> Option<core::time::Duration> {
    match (config.idle_timeout, rest.limit) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Shared connections.
impl<C> Pool<C> {
    /// The dial succeeded, and the connection carries `capacity` requests at once (see "Multiplexed connections" in
    /// the [module](super)). It serves the ticket that caused it, if that still waits, and then all that wait for
    /// its host, first come first served, as far as its capacity goes. Unless it was refused it is then in the
    /// pool, in use or idle.
    ///
    /// The pool keeps `conn` and gives requests what `handle` makes of it; for a type that is `Clone`, that is
    /// `Clone::clone`. A handle must not keep the connection from being closed once the driver wants it closed.
    ///
    /// A key of [`Key::only_http1`](super::Key::only_http1) never gets one: it is refused with
    /// [`CloseReason::OnlyHttp1`], and for the ticket the dial has failed.
    pub fn dialed_shared(
        &mut self,
        dial: Dial,
        conn: C,
        handle: fn(&C) -> C,
        capacity: NonZeroU32,
        now: Now,
    ) -> DialedShared<C> {
        let refused = |conn, reason| DialedShared {
            id: SharedId::NONE,
            dialed: Dialed::Spare(Put::Refused(Closed { conn, reason })),
        };
        let Dial { host, ticket } = dial;
        let Some(h) = self.hosts.get_mut(host as usize).and_then(Option::as_mut) else {
            // A token of another pool.
            return refused(conn, CloseReason::Removed);
        };
        h.dialing = h.dialing.saturating_sub(1);
        let own = h.waiting.contains(&ticket);
        if h.key.is_only_http1() {
            if own {
                self.leave_line(host, ticket);
                self.news(ticket, Waiting::Failed);
            }
            let Closed { conn, reason } = self.let_go(host, conn, CloseReason::OnlyHttp1);
            return refused(conn, reason);
        }
        let id = self.shared.name();
        self.shared.insert(
            id,
            Shared {
                serial: id.serial,
                host,
                created: now,
                requests: 0,
                leases: 0,
                capacity: capacity.get(),
                ending: None,
                rest: Rest {
                    since: now,
                    limit: None,
                },
                handle,
                place: Place::InUse(conn),
            },
        );
        let h = self.host_mut(host);
        h.active += 1;
        h.shared.push(id.slot);
        if own {
            // Its own request gets it also where no other may.
            self.put_on(id, ticket, None);
        }
        let first = self.serve_line(id, now);
        let dialed = match (own, first) {
            (true, _) => Dialed::Delivered(Ticket(ticket)),
            (false, Some(first)) => Dialed::Spare(Put::HandedTo(first)),
            (false, None) => Dialed::Spare(self.put_by_shared(id, now)),
        };
        DialedShared { id, dialed }
    }

    /// The peer lets a shared connection carry so many requests at once from now on (HTTP/2:
    /// `SETTINGS_MAX_CONCURRENT_STREAMS`). Room that is gained serves those that wait. Requests in progress beyond
    /// the capacity go on; at 0 no request gets it until there is room again, and it may be idle meanwhile. Does
    /// nothing for a connection that the pool has let go of.
    pub fn set_capacity(&mut self, id: SharedId, capacity: u32, now: Now) {
        if let Some(shared) = self.shared.named_mut(id) {
            shared.capacity = capacity;
            self.serve_line(id, now);
        }
    }

    /// The peer takes no new requests on a shared connection but finishes those in progress (HTTP/2: `GOAWAY`). No
    /// request gets it any more. If none is in progress it is returned, to be closed; else that happens when the
    /// last lease ends, and until then it counts as a connection of its host. The reason is
    /// [`CloseReason::GoingAway`].
    pub fn going_away(&mut self, id: SharedId) -> Option<Closed<C>> {
        self.retire(id, CloseReason::GoingAway)
    }

    /// A shared connection is closed or broken, in use or idle: as [`going_away`](Pool::going_away), with
    /// [`CloseReason::Broken`]. The requests in progress find it out for themselves; their leases end by
    /// [`discard`](Pool::discard) or [`put`](Pool::put), which is the same now.
    pub fn broken(&mut self, id: SharedId) -> Option<Closed<C>> {
        self.retire(id, CloseReason::Broken)
    }

    fn retire(&mut self, id: SharedId, reason: CloseReason) -> Option<Closed<C>> {
        let shared = self.shared.named(id)?;
        if let Place::Idle(slot) = shared.place {
            let idle = self.unlist_for_good(slot)?;
            return Some(self.let_go(idle.host, idle.conn, reason));
        }
        // The first reason stands.
        self.shared.named_mut(id)?.ending.get_or_insert(reason);
        None
    }

    /// A request for `host` goes onto a shared connection in use that has room: the first, so that the others
    /// become idle.
    pub(super) fn join(&mut self, host: u32, now: Now) -> Option<Acquire<C>> {
        let config = &self.config;
        let slots = &self.host(host).shared;
        let (slot, serial) = slots.iter().find_map(|&slot| {
            let shared = self.shared.get(slot)?;
            shared.has_room(config, now).then_some((slot, shared.serial))
        })?;
        self.take_shared(SharedId { serial, slot }, now)
    }

    /// One more request gets this connection, which is in use.
    pub(super) fn take_shared(&mut self, id: SharedId, now: Now) -> Option<Acquire<C>> {
        let reused = self.shared.named(id)?.reused(now);
        let (conn, lease) = self.lease_shared(id)?;
        let host = lease.host;
        self.count(host, |c| c.reused += 1);
        Some(Acquire::Reuse { conn, lease, reused })
    }

    /// Whether a request may be given this idle connection, should it be a shared one.
    pub(super) fn takes_requests(&self, idle: &Idle<C>) -> bool {
        idle.shared
            .and_then(|id| self.shared.get(id.slot))
            .is_none_or(|shared| shared.capacity > 0)
    }

    /// An idle connection, already taken off the list, is in use again if it is a shared one.
    pub(super) fn wake_shared(&mut self, id: SharedId, conn: C) {
        if let Some(shared) = self.shared.get_mut(id.slot) {
            shared.place = Place::InUse(conn);
            let host = shared.host;
            let h = self.host_mut(host);
            h.active += 1;
            h.shared.push(id.slot);
        }
    }

    fn lease_shared(&mut self, id: SharedId) -> Option<(C, Lease)> {
        let shared = self.shared.get_mut(id.slot)?;
        let Place::InUse(conn) = &shared.place else {
            return None;
        };
        shared.leases += 1;
        shared.requests = shared.requests.saturating_add(1);
        let lease = Lease {
            host: shared.host,
            created: shared.created,
            requests: shared.requests,
            shared: Some(id),
        };
        Some(((shared.handle)(conn), lease))
    }

    /// Gives a ticket that waits one more request on the connection.
    fn put_on(&mut self, id: SharedId, ticket: u64, reused: Option<Reused>) {
        if let Some((conn, lease)) = self.lease_shared(id)
            && let Some(rest) = self.shared.get(id.slot).map(|s| s.rest)
        {
            self.serve(ticket, conn, lease, reused, rest);
        }
    }

    /// Serves the line while there is room. Gives the first ticket that was served.
    fn serve_line(&mut self, id: SharedId, now: Now) -> Option<Ticket> {
        let mut served = None;
        while let Some(shared) = self.shared.named(id)
            && shared.has_room(&self.config, now)
            && let Some(&first) = self.host(shared.host).waiting.first()
        {
            let (host, reused) = (shared.host, shared.reused(now));
            if let Place::Idle(slot) = shared.place {
                let idle = self.unlist(slot)?;
                self.wake_shared(id, idle.conn);
            }
            self.put_on(id, first, Some(reused));
            self.count(host, |c| c.handed_over += 1);
            served = served.or(Some(Ticket(first)));
        }
        served
    }

    /// A lease of a shared connection ends; `used` if a request was made with it.
    pub(super) fn put_back_shared(&mut self, id: SharedId, conn: C, used: Option<Rest>, now: Now) -> Put<C> {
        let config = self.config;
        let Some(shared) = self.shared.leased(id) else {
            // A token of another pool.
            return Put::Refused(Closed {
                conn,
                reason: CloseReason::Removed,
            });
        };
        shared.leases -= 1;
        match used {
            Some(rest) => shared.rest = rest,
            None => shared.requests -= 1,
        }
        if shared.leases == 0 {
            return match self.serve_line(id, now) {
                Some(first) => Put::HandedTo(first),
                None => self.put_by_shared(id, now),
            };
        }
        if let Some(reason) = shared.unfit(&config, now) {
            // Not the connection, whose end is counted when it has come, but the handle.
            return Put::Refused(Closed { conn, reason });
        }
        match self.serve_line(id, now) {
            Some(first) => Put::HandedTo(first),
            None => Put::Pooled {
                id: IdleId::NONE,
                evicted: None,
            },
        }
    }

    /// A lease of a shared connection ends because that is broken.
    pub(super) fn discard_shared(&mut self, id: SharedId) -> Option<Closed<C>> {
        let shared = self.shared.leased(id)?;
        shared.leases -= 1;
        let reason = *shared.ending.get_or_insert(CloseReason::Broken);
        if shared.leases > 0 {
            return None;
        }
        let (host, conn) = self.end_use(id)?;
        self.shared.remove(id.slot);
        Some(self.let_go(host, conn, reason))
    }

    /// The last lease has ended and nobody waits: becomes idle, or is let go of.
    fn put_by_shared(&mut self, id: SharedId, now: Now) -> Put<C> {
        let config = self.config;
        let shared = self
            .shared
            .get(id.slot)
            .expect("a shared connection is known until it is let go of");
        let unusable = shared.unfit(&config, now);
        let (created, requests) = (shared.created, shared.requests);
        let rest = Rest {
            limit: limit(&config, shared.rest),
            ..shared.rest
        };
        let (host, conn) = self.end_use(id).expect("what had a lease was in use");
        let idle = Idle {
            conn,
            host,
            created,
            requests,
            rest,
            shared: Some(id),
        };
        self.put_by(idle, unusable)
    }

    /// It is not in use any more. Gives its host and the pool's own handle.
    fn end_use(&mut self, id: SharedId) -> Option<(u32, C)> {
        let shared = self.shared.get_mut(id.slot)?;
        let host = shared.host;
        // Where it goes is told by whoever puts it there.
        let Place::InUse(conn) = core::mem::replace(&mut shared.place, Place::Idle(u32::MAX)) else {
            return None;
        };
        let h = self.host_mut(host);
        h.active = h.active.saturating_sub(1);
        h.shared.retain(|&slot| slot != id.slot);
        Some((host, conn))
    }

    /// It stands in this slot of the list of idle connections.
    pub(super) fn rests_in(&mut self, id: SharedId, slot: u32) {
        if let Some(shared) = self.shared.get_mut(id.slot) {
            shared.place = Place::Idle(slot);
        }
    }
}
