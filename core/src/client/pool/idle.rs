//! [`IdleList`]: the idle connections of all hosts, least recently used first, and when the next one is too
//! old. Which connections come and go is decided in `pool.rs`.

use super::entry::Idle;
use super::outcome::IdleId;
use crate::{Instant, Now};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

/// A doubly linked list in a slab: taking out and adding cost the same however many there are, and allocate
/// nothing once the slab has grown.
///
/// Under one idle timeout, the order of use is the order of expiry. Only connections that expire out of that
/// order (by their age, by what a server announced) stand in an ordered set beside it.
#[derive(Debug)]
pub(super) struct IdleList<C> {
    slots: Vec<Slot<C>>,
    free: Option<u32>,
    oldest: Option<u32>,
    newest: Option<u32>,
    len: usize,
    /// Serial of the next idle period.
    next: u64,
    /// The latest time at which a connection in the list became idle: callers' clocks may step back a little.
    latest: Instant,
    irregular: BTreeSet<(Instant, u32)>,
}

#[derive(Debug)]
enum Slot<C> {
    Free { next: Option<u32> },
    Used(Node<C>),
}

#[derive(Debug)]
struct Node<C> {
    idle: Idle<C>,
    serial: u64,
    older: Option<u32>,
    newer: Option<u32>,
    /// When it expires, if it stands in `irregular`.
    irregular: Option<Instant>,
}

impl<C> IdleList<C> {
    pub(super) const fn new() -> IdleList<C> {
        IdleList {
            slots: Vec::new(),
            free: None,
            oldest: None,
            newest: None,
            len: 0,
            next: 0,
            latest: Instant::ZERO,
            irregular: BTreeSet::new(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a connection as the most recently used one. `expiry` is when it expires, `timeout` the idle
    /// timeout of the pool; it never expires later than by that.
    pub(super) fn push(
        &mut self,
        idle: Idle<C>,
        expiry: Option<Instant>,
        timeout: Option<Duration>,
    ) -> IdleId {
        let since = idle.rest.since.mono;
        let regular = expiry.is_none() || (expiry == timeout.map(|t| since + t) && since >= self.latest);
        self.latest = self.latest.max(since);
        self.next += 1;
        let node = Node {
            idle,
            serial: self.next,
            older: self.newest,
            newer: None,
            irregular: expiry.filter(|_| !regular),
        };
        let irregular = node.irregular;
        let slot = match self.free {
            Some(slot) => {
                if let Slot::Free { next } = self.slots[slot as usize] {
                    self.free = next;
                }
                self.slots[slot as usize] = Slot::Used(node);
                slot
            }
            None => {
                self.slots.push(Slot::Used(node));
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(at) = irregular {
            self.irregular.insert((at, slot));
        }
        match self.newest.replace(slot).and_then(|before| self.node_mut(before)) {
            Some(before) => before.newer = Some(slot),
            None => self.oldest = Some(slot),
        }
        self.len += 1;
        IdleId {
            serial: self.next,
            slot,
        }
    }

    /// Takes the connection in this slot out.
    pub(super) fn take(&mut self, slot: u32) -> Option<Idle<C>> {
        self.node(slot)?;
        let free = Slot::Free { next: self.free };
        let Slot::Used(node) = core::mem::replace(&mut self.slots[slot as usize], free) else {
            return None;
        };
        self.free = Some(slot);
        match node.older.and_then(|n| self.node_mut(n)) {
            Some(older) => older.newer = node.newer,
            None => self.oldest = node.newer,
        }
        match node.newer.and_then(|n| self.node_mut(n)) {
            Some(newer) => newer.older = node.older,
            None => self.newest = node.older,
        }
        if let Some(at) = node.irregular {
            self.irregular.remove(&(at, slot));
        }
        self.len -= 1;
        Some(node.idle)
    }

    /// The slot of the least recently used connection, and what is known of it.
    pub(super) fn oldest(&self) -> Option<(u32, &Idle<C>)> {
        let slot = self.oldest?;
        Some((slot, &self.node(slot)?.idle))
    }

    /// What is known of the connection in this slot.
    pub(super) fn get(&self, slot: u32) -> Option<&Idle<C>> {
        Some(&self.node(slot)?.idle)
    }

    /// Whether the slot still holds the idle period that `id` names.
    pub(super) fn holds(&self, id: IdleId) -> bool {
        self.node(id.slot).is_some_and(|n| n.serial == id.serial)
    }

    /// When the next connection expires by the monotonic clock.
    ///
    /// The oldest one's share of the timeout is a lower bound for all that expire in order, and for itself an
    /// upper one: so the lesser of it and of what is irregular is exact.
    pub(super) fn first_expiry(&self, timeout: Option<Duration>) -> Option<Instant> {
        let regular = timeout.and_then(|t| Some(self.oldest()?.1.rest.since.mono + t));
        let irregular = self.irregular.first().map(|(at, _)| *at);
        regular.into_iter().chain(irregular).min()
    }

    /// A connection that has expired by the monotonic clock out of order.
    pub(super) fn irregular_due(&self, now: Now) -> Option<u32> {
        self.irregular
            .first()
            .filter(|(at, _)| *at <= now.mono)
            .map(|(_, slot)| *slot)
    }

    fn node(&self, slot: u32) -> Option<&Node<C>> {
        match self.slots.get(slot as usize) {
            Some(Slot::Used(node)) => Some(node),
            _ => None,
        }
    }

    fn node_mut(&mut self, slot: u32) -> Option<&mut Node<C>> {
        match self.slots.get_mut(slot as usize) {
            Some(Slot::Used(node)) => Some(node),
            _ => None,
        }
    }
}
