//! Makes any calls to a machine in any order, and checks at each what must hold whatever is called: events come in order,
//! `None` stays `None`, getters are pure, limits of output and input are kept, time moves nothing before a deadline and
//! something at it, and silence means that the caller owes something.

use crate::calls::{Call, Section};
use crate::harness::{self, Seen, client::Ask, order::Order};
use crate::machine::{Machine, Told};
use antiphon_core::h1::{Buffer, DeadlineKind, ExchangeId, Finish, Misuse, OwnedHead};
use antiphon_core::{Instant, h1::BodyLen};
use core::time::Duration;
use std::sync::Arc;

/// The largest body that a call sends.
const LARGEST: usize = 70_000;

pub(crate) struct Player<'a, C: Machine> {
    pub(crate) conn: C,
    config: Arc<C::Config>,
    wire: &'a [u8],
    /// Client: what is asked, and where in `wire` the answer to it ends.
    asks: &'a [(Ask, usize)],
    fed: usize,
    ids: Vec<ExchangeId>,
    heads: Vec<OwnedHead>,
    pub(crate) now: Instant,
    /// Bytes that were taken out to be written and not reported yet.
    pub(crate) taken: u64,
    pub(crate) order: Order,
    /// Everything told so far, in words.
    pub(crate) told: Vec<String>,
    pub(crate) facts: Facts,
    /// No event is left to be taken.
    pub(crate) drained: bool,
}

/// What the caller knows of the exchange that is open, and how much has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) open: Option<ExchangeId>,
    /// The caller's message is complete.
    pub(crate) finished: bool,
    /// The caller waits for body bytes.
    pub(crate) wants_body: bool,
    pub(crate) body_ended: bool,
    pub(crate) failed: bool,
    /// Writing failed.
    pub(crate) write_failed: bool,
    /// Bytes in and out, body bytes used, and exchanges ended.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) used: u64,
    pub(crate) ends: u32,
    /// When the last bytes came and went.
    pub(crate) received_at: Option<Instant>,
    pub(crate) sent_at: Option<Instant>,
    /// When the caller's last message was completed: no earlier does the exchange end.
    pub(crate) finished_at: Option<Instant>,
}

pub(crate) fn start() -> Instant {
    // An hour in, so that the clock can go backwards.
    Instant::ZERO + Duration::from_secs(3_600)
}

/// Everything that can be seen of a machine from outside.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    seen: Seen,
    /// Of each exchange that was seen: its head, what could be sent, its trailers.
    exchanges: Vec<String>,
    more: String,
}

impl<'a, C: Machine> Player<'a, C> {
    pub(crate) fn new(
        config: &Arc<C::Config>,
        (wire, asks): (&'a [u8], &'a [(Ask, usize)]),
    ) -> Player<'a, C> {
        Player {
            conn: C::open(config, start()),
            config: Arc::clone(config),
            wire,
            asks,
            fed: 0,
            ids: Vec::new(),
            heads: Vec::new(),
            now: start(),
            taken: 0,
            order: Order::default(),
            told: Vec::new(),
            facts: Facts::default(),
            drained: true,
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        harness::seen!(self.conn)
    }

    pub(crate) fn view(&self) -> View {
        let exchange = |id: &ExchangeId| {
            let (head, room) = (self.conn.head_text(*id), self.conn.send_capacity(*id));
            format!("{head:?} {room} {:?}", self.conn.trailers(*id))
        };
        View {
            seen: self.seen(),
            exchanges: self.ids.iter().map(exchange).collect(),
            more: self.conn.more(),
        }
    }

    fn id(&self, which: usize) -> Option<ExchangeId> {
        self.ids.iter().rev().nth(which).copied()
    }

    /// `bodiless`: nothing comes from the peer in this exchange.
    fn begun(&mut self, id: ExchangeId, bodiless: bool) {
        self.ids.push(id);
        self.facts = Facts {
            open: Some(id),
            finished: false,
            wants_body: false,
            body_ended: bodiless,
            ..self.facts
        };
    }

    /// Takes the next event; false if there is none.
    pub(crate) fn event(&mut self) -> bool {
        match self.conn.told(&mut self.order) {
            Ok(Some((text, told))) => {
                self.told.push(text);
                match told {
                    Told::Begun(id, bodiless) => self.begun(id, bodiless),
                    Told::BodyEnd => self.facts.body_ended = true,
                    Told::Ended => {
                        self.facts.open = None;
                        self.facts.ends += 1;
                    }
                    Told::Other => {}
                }
                true
            }
            Ok(None) => {
                let before = self.seen();
                assert!(
                    matches!(self.conn.told(&mut self.order), Ok(None)),
                    "None stays None"
                );
                assert_eq!(before, self.seen(), "None changes nothing");
                false
            }
            Err(e) => {
                self.order.failed();
                self.told.push(format!("Error {:?}", e.kind()));
                self.facts.open = None;
                self.facts.failed = true;
                false
            }
        }
    }

    /// Reports `n` of `fed` new bytes.
    fn took(&mut self, n: usize) {
        self.fed += n;
        self.received(n as u64);
    }

    fn finished(&mut self, whole: bool) {
        if whole && !self.facts.finished {
            self.facts.finished = true;
            self.facts.finished_at = Some(self.now);
        }
    }

    fn received(&mut self, n: u64) {
        if n > 0 {
            self.facts.received += n.min(1 << 40);
            self.facts.received_at = Some(self.now);
        }
    }

    /// How much may be reported as sent now.
    fn offered(&self) -> u64 {
        let outgoing = self.conn.outgoing();
        let slices: usize = harness::slices(&outgoing).iter().map(|s| s.len()).sum();
        outgoing.external().unwrap_or(slices as u64).max(self.taken)
    }

    fn send(&mut self, n: u64) -> Result<(), Misuse> {
        let result = self.conn.sent(n, self.now);
        if result.is_ok() && n > 0 {
            self.taken = self.taken.saturating_sub(n);
            self.facts.sent += n.min(1 << 40);
            self.facts.sent_at = Some(self.now);
        }
        result
    }

    /// Whether the open exchange has ended on the machine's side, which has not been told yet.
    pub(crate) fn exchange_is_over(&self) -> bool {
        self.facts
            .open
            .is_some_and(|id| self.conn.head_text(id) == Err(Misuse::UnknownExchange))
    }

    /// Makes a call.
    pub(crate) fn call(&mut self, call: Call) -> Result<(), Misuse> {
        self.drained &= matches!(call, Call::Deadline | Call::Advance(_) | Call::Head(_));
        let now = self.now;
        let rest = &self.wire[self.fed..];
        match call {
            Call::Feed(n) => {
                // Not beyond the answer to the last request; other ways of feeding go on.
                let end = match self.asks {
                    [] => self.wire.len(),
                    asks => asks[..self.ids.len().min(asks.len())]
                        .last()
                        .map_or(0, |(_, end)| *end),
                };
                let rest = &rest[..end.saturating_sub(self.fed)];
                if !self.conn.wants().read || rest.is_empty() {
                    return Ok(());
                }
                let space = self.conn.recv_space();
                let n = n.min(space.len()).min(rest.len());
                assert!(n > 0, "a read is wanted, but there is no room");
                space[..n].copy_from_slice(&rest[..n]);
                let result = self.conn.received(n, now);
                self.took(n);
                result
            }
            Call::FeedCopy(n) => {
                let n = self.conn.received_copy(&rest[..n.min(rest.len())], now);
                self.took(n);
                Ok(())
            }
            Call::Received(n) => {
                // What the room holds is not known, so that only a refusal is of interest.
                if (1..usize::MAX).contains(&n) && self.conn.wants().read {
                    Ok(())
                } else {
                    self.conn.received(n, now)
                }
            }
            Call::Eof => {
                self.conn.received_eof(now);
                Ok(())
            }
            Call::ReadFailed => {
                self.conn.read_failed(now);
                Ok(())
            }
            Call::WriteFailed => {
                self.conn.write_failed(now);
                self.facts.write_failed = true;
                Ok(())
            }
            Call::WriteShut => {
                self.conn.write_shut(now);
                Ok(())
            }
            Call::Event => {
                self.event();
                Ok(())
            }
            Call::Events => {
                while self.event() {}
                self.drained = true;
                self.check_silence();
                Ok(())
            }
            Call::WantBody(which) => {
                if let Some(id) = self.id(which) {
                    self.conn.want_body(id);
                    self.facts.wants_body |= self.facts.open == Some(id);
                }
                Ok(())
            }
            Call::Consume(n) => {
                let result = self.conn.consume(n);
                self.used(result.map(|()| n))
            }
            Call::ConsumeAll => {
                let n = self.conn.body().len();
                let result = self.conn.consume(n);
                self.used(result.map(|()| n))
            }
            Call::TakeBody => {
                let shown = self.conn.body().to_vec();
                assert_eq!(
                    shown,
                    self.conn.take_body(),
                    "take_body hands out what body showed"
                );
                self.used(Ok(shown.len()))
            }
            Call::Head(which) => self
                .id(which)
                .map_or(Ok(()), |id| self.conn.head_text(id).map(drop)),
            Call::TakeHead(which) => {
                if let Some(id) = self.id(which) {
                    self.heads.push(self.conn.take_head(id));
                }
                Ok(())
            }
            Call::Recycle => {
                if let Some(head) = self.heads.pop() {
                    self.conn.recycle(head);
                }
                Ok(())
            }
            Call::Direct(n) => {
                let result = self.conn.direct_received(n, now);
                if result.is_ok() {
                    self.received(n);
                    self.facts.wants_body |= n > 0;
                }
                result
            }
            Call::Body(which, n) => self
                .id(which)
                .map_or(Ok(()), |id| self.conn.send_body(id, vec![b'b'; n].into())),
            Call::BodyCopy(which, n) => self.id(which).map_or(Ok(()), |id| {
                let room = self.conn.send_capacity(id);
                let sent = self.conn.send_body_copy(id, &vec![b'c'; n])?;
                assert!(
                    sent <= n && (sent == n || sent == room),
                    "{sent} sent of {n}, {room} had room"
                );
                Ok(())
            }),
            Call::External(which, n) => self.id(which).map_or(Ok(()), |id| self.conn.send_external(id, n)),
            Call::Finish(which, section) => self.id(which).map_or(Ok(()), |id| {
                self.conn.finish_with(id, section.fields())?;
                self.finished(self.facts.open == Some(id));
                Ok(())
            }),
            Call::Abort(which) => self.id(which).map_or(Ok(()), |id| self.conn.abort(id)),
            Call::CloseWhenIdle => {
                self.conn.close_when_idle();
                Ok(())
            }
            Call::Sent(n) => {
                // More than was offered must be refused.
                let offered = self.offered();
                let result = self.send(n);
                if n > offered {
                    assert_eq!(result, Err(Misuse::TooMuch), "{n} sent of {offered}");
                }
                result
            }
            Call::SentAll => {
                let n = self.offered();
                if n == 0 { Ok(()) } else { self.send(n) }
            }
            Call::TakeOutgoing => {
                self.taken += self.conn.take_outgoing().map_or(0, |taken| taken.len());
                Ok(())
            }
            Call::Deadline => {
                assert_eq!(
                    self.conn.deadline(now),
                    self.conn.deadline(now),
                    "deadline is pure"
                );
                Ok(())
            }
            Call::Timeout => {
                self.conn.handle_timeout(now);
                let left = self.conn.deadline(now);
                assert!(left.is_none_or(|d| d.at > now), "{left:?} is left at {now:?}");
                Ok(())
            }
            Call::Advance(ms) => {
                let step = Duration::from_millis(ms.unsigned_abs());
                self.now = if ms < 0 { now - step } else { now + step };
                Ok(())
            }
            Call::AdvanceToDeadline => {
                self.pass_deadline();
                Ok(())
            }
            Call::AdvanceToBodyDeadline => {
                let next = self.conn.deadline(self.now).map(|d| d.why);
                if matches!(next, Some(DeadlineKind::BodyStall | DeadlineKind::BodyRate)) {
                    self.pass_deadline();
                }
                Ok(())
            }
            Call::Lend => {
                if self.conn.needs_buffer() {
                    self.conn.lend(Buffer::new());
                }
                Ok(())
            }
            Call::Reclaim => {
                drop(self.conn.reclaim());
                Ok(())
            }
            Call::Interim(which, _) => self.conn.own(call, self.id(which)).map(drop),
            Call::SendHead(which, _, len, _) => {
                let answered = self.conn.own(call, self.id(which))?;
                let whole = len == BodyLen::None && answered.is_some() && answered == self.facts.open;
                self.finished(whole);
                Ok(())
            }
            Call::Ask => self.ask(),
            Call::Request(_, _, len, _) => {
                if let Some(id) = self.conn.own(call, None)? {
                    self.order.asked(id);
                    self.begun(id, false);
                    self.finished(len == BodyLen::None);
                }
                Ok(())
            }
        }
    }

    /// The request for which the next answer was made.
    fn ask(&mut self) -> Result<(), Misuse> {
        let Some((ask, _)) = self.asks.get(self.ids.len()) else {
            return Ok(());
        };
        let target = if ask.method == "CONNECT" { "a:80" } else { "/" };
        let content = matches!(ask.method, "POST" | "PUT");
        let section = match ask {
            Ask { upgrade: true, .. } => Section::Upgrade,
            Ask { close: true, .. } => Section::Close,
            Ask { expect: true, .. } if content => Section::Expect,
            _ => Section::Host,
        };
        let len = if content { BodyLen::Unknown } else { BodyLen::None };
        self.call(Call::Request(ask.method, target, len, section))
    }

    fn used(&mut self, n: Result<usize, Misuse>) -> Result<(), Misuse> {
        self.facts.used += n? as u64;
        self.facts.wants_body |= self.facts.open.is_some();
        Ok(())
    }

    /// Invariants 5 and 6: a nanosecond before the deadline nothing happens, at it something does.
    fn pass_deadline(&mut self) {
        let Some(deadline) = self.conn.deadline(self.now).filter(|d| d.at > self.now) else {
            return;
        };
        let early = deadline.at - Duration::from_nanos(1);
        let before = self.view();
        self.conn.handle_timeout(early);
        assert_eq!(
            before,
            self.view(),
            "a nanosecond before {deadline:?} nothing happens"
        );
        assert_eq!(
            self.conn.deadline(early),
            Some(deadline),
            "nor does the deadline move"
        );
        self.now = deadline.at;
        self.conn.handle_timeout(self.now);
        let left = self.conn.deadline(self.now);
        assert!(
            left.is_none_or(|d| d.at > self.now),
            "{left:?} is left after {deadline:?}"
        );
        // Enough bytes came in a window of the minimum rate: the next one begins, and that is all.
        let renewed = deadline.why == DeadlineKind::BodyRate && left.is_some();
        let told = self.told.len();
        let changed = before != self.view();
        self.event();
        assert!(
            changed || self.told.len() > told || renewed,
            "{deadline:?} has passed and nothing happened"
        );
    }

    /// Invariant 4, when all events were taken: nothing wanted and no deadline means that the caller owes a call.
    fn check_silence(&mut self) {
        let wants = self.conn.wants();
        // The clock is looked at last: a look starts timers.
        if wants.read
            || wants.write
            || wants.finish != Finish::No
            || self.taken > 0
            || self.conn.deadline(self.now).is_some()
        {
            return;
        }
        let f = self.facts;
        let owes_body = !self.conn.body().is_empty();
        let owes_message = f.open.is_some() && !f.finished && (f.body_ended || !f.wants_body);
        assert!(owes_body || owes_message, "silence: {f:?}, {:?}", self.conn);
    }

    /// Invariant 8, as far as it can be seen from outside.
    pub(crate) fn check_bounds(&mut self) {
        let limits = C::limits(&self.config);
        let queued: usize = harness::slices(&self.conn.outgoing())
            .iter()
            .map(|s| s.len())
            .sum();
        let most = limits.send_buffer.max(64) + LARGEST + 1024;
        assert!(queued <= most, "{queued} bytes are queued, {most} allowed");
        let body = self.conn.body().len();
        assert!(body <= self.most_input(), "{body} body bytes are there");
    }

    fn most_input(&self) -> usize {
        let limits = C::limits(&self.config);
        limits
            .head
            .max(limits.recv_buffer)
            .max(limits.recv_buffer_max)
            .max(limits.trailers)
    }

    /// Invariants 8 and 10: what is handed back is the end of what was fed, and no more than may be buffered.
    pub(crate) fn end(self) {
        let (fed, most) = (&self.wire[..self.fed], self.most_input());
        let unread = self.conn.parts().unread;
        assert!(unread.len() <= most, "{} bytes were buffered", unread.len());
        assert!(
            fed.ends_with(&unread),
            "\"{}\" is not the end of what was fed",
            unread.escape_ascii()
        );
    }
}
