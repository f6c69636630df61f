//! How exchanges and the connection end, and what the clock has to do with it.

use super::{End, Input, Link, Parts, Reading, Sending, Tail};
use crate::Instant;
use crate::h1::config::Timeouts;
use crate::h1::event::{CloseReason, Deadline, DeadlineKind, ExchangeId, Reuse};
use crate::h1::state::Direction;
use crate::h1::timer::{Window, earlier};
use bytes::Bytes;
use core::time::Duration;

impl Link {
    /// The next `next_event` takes no shortcut.
    pub(crate) fn look_twice(&mut self) {
        self.attention = true;
        self.trickles = false;
    }

    /// A few more bytes of the same token of a head, and nothing else to tell.
    #[inline]
    pub(crate) fn coasts(&mut self, size: usize) -> bool {
        match &self.buf {
            Some(b) => self.scan.coasts(b.recv.unread_and_beyond(), b.recv.len(), size),
            None => false,
        }
    }

    /// An exchange came to its end, however: told by the next `next_event`.
    pub(crate) fn end_exchange(&mut self, reuse: Reuse) {
        self.ended = Some(reuse);
        self.attention = true;
        self.state.ended(reuse);
        if self.sending == Sending::UntilClose {
            self.tail = Tail::Cut;
        }
        self.sending = Sending::Nothing;
        self.reading = Reading::Nothing;
        self.announced = 0;
        self.read_slot.restart();
        self.wanted = false;
        self.discarding = false;
    }

    /// The answer is complete, the request's body is not and nobody reads it: from now on it is discarded, for as
    /// long as a stalled body may take at most, however it trickles.
    pub(crate) fn begin_discarding(&mut self) {
        self.wanted = true;
        self.discarding = true;
        self.read_slot.restart();
    }

    /// No more exchanges: write what is queued, then close, after a half-close and a linger if so asked.
    pub(crate) fn begin_flush(&mut self, linger: bool) {
        self.look_twice();
        if self.end == End::Open {
            self.end = End::Flush { linger };
            let n = self.unread_len();
            self.consume_input(n);
        }
    }

    /// No more exchanges. If the last one has just ended and that was not told yet, what is told is true again.
    pub(crate) fn set_closed(&mut self, reason: CloseReason) {
        self.look_twice();
        if matches!(self.ended, Some(Reuse::KeepAlive | Reuse::Switched)) {
            self.ended = Some(Reuse::Close(reason));
        }
        self.state.closed(reason);
    }

    /// Nothing more is read or written.
    pub(crate) fn close_now(&mut self, reason: CloseReason) {
        self.look_twice();
        if self.must_reset() {
            self.tail = Tail::Cut;
        }
        self.drop_output();
        // A client notices a switch when it is asked for the event behind the body's end.
        let switching = self.state.response() == Direction::Switched && self.end == End::Open;
        if self.state.is_open() || switching {
            self.end_exchange(Reuse::Close(reason));
        }
        self.set_closed(reason);
        self.reading = Reading::Nothing;
        self.sending = Sending::Nothing;
        self.announced = 0;
        self.end = End::Closed;
    }

    #[inline]
    pub(crate) fn is_current(&self, id: ExchangeId) -> bool {
        self.id == id.0 && self.state.is_open()
    }

    pub(crate) fn into_parts(self) -> Parts {
        let (unread, unsent) = match self.buf {
            Some(b) => (Bytes::copy_from_slice(b.recv.unread()), b.out.into_unsent()),
            None => (Bytes::new(), Bytes::new()),
        };
        Parts {
            unread,
            unsent,
            peer_closed: self.input == Input::Eof,
        }
    }

    /// Whether the machine waits for body bytes: the stall and rate deadlines run.
    pub(crate) fn waits_for_body(&self) -> bool {
        !matches!(self.reading, Reading::Nothing)
            && self.end == End::Open
            && self.error.is_none()
            && self.input == Input::Open
            && self.wanted
            && self.run() == 0
    }

    /// Looks at the clock. `reads`: what the read side waits for.
    #[inline]
    pub(crate) fn look(
        &mut self,
        reads: Option<(DeadlineKind, Duration)>,
        timeouts: &Timeouts,
        now: Instant,
    ) -> (Option<Deadline>, Option<Deadline>, Option<Deadline>) {
        let read = self.read_slot.look(reads, now);
        let stalls = !self.output_empty() && self.end != End::Closed;
        let writes = if stalls {
            timeouts.write_stall.map(|d| (DeadlineKind::WriteStall, d))
        } else {
            None
        };
        let write = self.write_slot.look(writes, now);
        let rate = match timeouts.body_rate {
            Some(rate) => self.rate.look(rate.per, self.waits_for_body(), now),
            None => None,
        };
        (read, write, rate)
    }

    /// What is armed: reading, writing, rate.
    #[cfg(feature = "trace")]
    pub(crate) fn timers(&self) -> [Option<Deadline>; 3] {
        [self.read_slot.armed(), self.write_slot.armed(), self.rate.armed()]
    }

    pub(crate) fn earliest(
        (read, write, rate): (Option<Deadline>, Option<Deadline>, Option<Deadline>),
    ) -> Option<Deadline> {
        earlier(earlier(read, write), rate)
    }

    /// The rate window has passed: `true` if too little came; else the next window begins.
    pub(crate) fn too_slow(&mut self, timeouts: &Timeouts) -> bool {
        let few = timeouts
            .body_rate
            .is_some_and(|r| self.rate.bytes < r.bytes.get());
        self.rate = Window::default();
        few
    }
}
