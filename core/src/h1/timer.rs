//! Deadlines. What the machine waits for follows from its state; a slot only remembers since when.
//!
//! Each slot asks the same question at every look at the clock: *what is waited for now?* If that changed, or
//! progress was made, it starts anew at that time. So no deadline can outlive its reason.

use super::event::{Deadline, DeadlineKind};
use crate::Instant;
use core::time::Duration;

/// One thing waited for at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    armed: Option<(DeadlineKind, Instant)>,
}

impl Slot {
    #[cfg(feature = "trace")]
    pub(crate) fn armed(&self) -> Option<Deadline> {
        self.armed.map(|(why, at)| Deadline { at, why })
    }

    /// Progress was made: the wait, if it goes on, starts anew at the next look at the clock.
    #[inline]
    pub(crate) fn restart(&mut self) {
        self.armed = None;
    }

    /// Looks at the clock: `waits` is what is waited for now, and for how long at most.
    #[inline]
    pub(crate) fn look(&mut self, waits: Option<(DeadlineKind, Duration)>, now: Instant) -> Option<Deadline> {
        let Some((why, most)) = waits else {
            self.armed = None;
            return None;
        };
        let at = match self.armed {
            Some((armed, at)) if armed == why => at,
            _ => {
                let at = now + most;
                self.armed = Some((why, at));
                at
            }
        };
        Some(Deadline { at, why })
    }
}

/// A stretch of waiting: its time runs only while the machine waits, however often it is interrupted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// Running: when it is full.
    at: Option<Instant>,
    /// Interrupted: how much of it is left.
    left: Option<Duration>,
    /// Bytes that came in it.
    pub(crate) bytes: u64,
}

impl Window {
    #[cfg(feature = "trace")]
    pub(crate) fn armed(&self) -> Option<Deadline> {
        let why = DeadlineKind::BodyRate;
        self.at.map(|at| Deadline { at, why })
    }

    /// Looks at the clock.
    pub(crate) fn look(&mut self, per: Duration, waits: bool, now: Instant) -> Option<Deadline> {
        if !waits {
            if let Some(at) = self.at.take() {
                self.left = Some(at - now);
            }
            return None;
        }
        let left = self.left.take();
        let at = *self.at.get_or_insert_with(|| now + left.unwrap_or(per));
        Some(Deadline {
            at,
            why: DeadlineKind::BodyRate,
        })
    }
}

/// The earlier of two deadlines.
pub(crate) fn earlier(a: Option<Deadline>, b: Option<Deadline>) -> Option<Deadline> {
    match (a, b) {
        (Some(x), Some(y)) if y.at < x.at => Some(y),
        (Some(x), _) => Some(x),
        (None, y) => y,
    }
}
