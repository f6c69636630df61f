//! Which addresses are tried, in which order (RFC 8305, section 4), and the attempts under way (section 5).

use super::{AttemptId, ConnectConfig, DialFailure, FirstFamily};
use crate::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// "The Connection Attempt Delay [...] MUST NOT be less than 10 milliseconds" (RFC 8305, section 5).
const LEAST_DELAY: Duration = Duration::from_millis(10);

/// Families alternate, beginning with the preferred one; within a family the resolver's order stays. Each address once,
/// and not more than the limit.
pub(super) fn interleave(addresses: &[SocketAddr], config: &ConnectConfig) -> VecDeque<SocketAddr> {
    let most = config.max_attempts.get();
    let v6_first = match config.first {
        FirstFamily::V6 => true,
        FirstFamily::V4 => false,
        FirstFamily::AsResolved => addresses.first().is_some_and(SocketAddr::is_ipv6),
    };
    let mut first = addresses.iter().filter(|a| a.is_ipv6() == v6_first);
    let mut second = addresses.iter().filter(|a| a.is_ipv6() != v6_first);
    let mut order = VecDeque::new();
    loop {
        let round = [first.next(), second.next()];
        if round == [None, None] || order.len() >= most {
            order.truncate(most);
            return order;
        }
        for address in round.into_iter().flatten() {
            if !order.contains(address) {
                order.push_back(*address);
            }
        }
    }
}

/// An attempt under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) address: SocketAddr,
    pub(super) until: Option<Instant>,
}

/// The race for one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Race {
    waiting: VecDeque<SocketAddr>,
    under_way: Vec<Attempt>,
    next_at: Instant,
    pub(super) failed: Vec<(SocketAddr, DialFailure)>,
}

impl Race {
    pub(super) fn new(order: VecDeque<SocketAddr>, now: Instant) -> Race {
        Race {
            waiting: order,
            next_at: now,
            ..Race::default()
        }
    }

    /// Starts the next attempt, if it is time.
    pub(super) fn start(&mut self, id: AttemptId, config: &ConnectConfig, now: Instant) -> Option<Attempt> {
        let full = self.under_way.len() >= config.max_under_way.get();
        if full || (!self.under_way.is_empty() && now < self.next_at) {
            return None;
        }
        let attempt = Attempt {
            id,
            address: self.waiting.pop_front()?,
            until: config.attempt_timeout.map(|t| now + t),
        };
        self.under_way.push(attempt);
        self.next_at = now + config.attempt_delay.max(LEAST_DELAY);
        Some(attempt)
    }

    /// Takes the attempt out; the others go on.
    pub(super) fn take(&mut self, id: AttemptId) -> Option<Attempt> {
        let i = self.under_way.iter().position(|a| a.id == id)?;
        Some(self.under_way.remove(i))
    }

    /// The attempt failed: the next one starts at once.
    pub(super) fn fail(&mut self, attempt: Attempt, why: DialFailure, now: Instant) {
        self.failed.push((attempt.address, why));
        self.next_at = now;
    }

    /// An attempt whose time is out; it is taken out.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Attempt> {
        let late = |a: &&Attempt| a.until.is_some_and(|at| at <= now);
        let id = self.under_way.iter().find(late)?.id;
        self.take(id)
    }

    /// Any attempt under way; it is taken out.
    pub(super) fn pop(&mut self) -> Option<Attempt> {
        self.under_way.pop()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// When the next attempt starts or one under way is given up.
    pub(super) fn deadline(&self, config: &ConnectConfig) -> Option<Instant> {
        let starts = !self.waiting.is_empty() && self.under_way.len() < config.max_under_way.get();
        let next = starts.then_some(self.next_at);
        self.under_way.iter().filter_map(|a| a.until).chain(next).min()
    }
}
