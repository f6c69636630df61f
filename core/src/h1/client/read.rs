//! What a [`ClientConn`] tells the application: responses.

use super::{ClientConn, Gate, MethodKind};
use crate::h1::error::{Misuse, PeerError, PeerErrorKind as Kind};
use crate::h1::event::{BodyLen, ClientEvent, CloseReason, ExchangeId, Switch};
use crate::h1::framing::{Coding, Facts};
use crate::h1::head::{HeadStore, OwnedHead, ResponseHead, StartLine};
use crate::h1::link::{End, Input, Reading, Step};
use crate::h1::response;
use crate::h1::response::HeadEnd;
use crate::h1::scan::fault;
use crate::h1::state::Direction;
use crate::message::Version;
use crate::{Fields, Instant, Status};
use bytes::Bytes;
use core::num::NonZeroU64;
use core::time::Duration;

impl ClientConn {
    /// The next thing to tell the application; `None` when there is nothing before the next input or command.
    ///
    /// # Errors
    /// A [`PeerError`] once the server broke a rule; the same one ever after. The exchange that was open has
    /// ended with it.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<ClientEvent>, PeerError> {
        if let Some((id, why)) = self.timeout.take() {
            return Ok(Some(ClientEvent::Timeout { id, why }));
        }
        if let Some(reuse) = self.link.ended.take() {
            return Ok(Some(ClientEvent::ExchangeEnd {
                id: ExchangeId(self.link.id),
                reuse,
            }));
        }
        if let Some(error) = self.link.error {
            return Err(error);
        }
        if self.link.end != End::Open {
            return Ok(None);
        }
        if self.gate == Gate::Opened {
            self.gate = Gate::Open;
            return Ok(Some(ClientEvent::SendBodyNow {
                id: ExchangeId(self.link.id),
            }));
        }
        match self.link.state.response() {
            Direction::Awaiting => self.read_head(),
            Direction::Sending => self.read_body(),
            Direction::Done | Direction::Switched => {
                if self.link.state.request() == Direction::Sending {
                    // The rest of the request has nowhere to go.
                    match self.link.input {
                        Input::Open => {}
                        Input::Eof => self.give_up_request(CloseReason::PeerClosed),
                        Input::Failed => self.give_up_request(CloseReason::ReadFailed),
                    }
                }
                self.check_outcome();
                Ok(self.ended())
            }
            Direction::Idle => self.while_idle(),
            _ => Ok(None),
        }
    }

    pub(super) fn ended(&mut self) -> Option<ClientEvent> {
        self.link.ended.take().map(|reuse| ClientEvent::ExchangeEnd {
            id: ExchangeId(self.link.id),
            reuse,
        })
    }

    /// No exchange is open: nothing may come but the end.
    pub(super) fn while_idle(&mut self) -> Result<Option<ClientEvent>, PeerError> {
        let stray = !self.link.unread().is_empty();
        if !stray && self.link.input == Input::Open {
            return Ok(None);
        }
        let reason = match self.link.input {
            _ if stray => CloseReason::UnsolicitedBytes,
            Input::Failed => CloseReason::ReadFailed,
            _ => CloseReason::PeerClosed,
        };
        let clean = reason == CloseReason::PeerClosed;
        self.link.close_now(reason);
        Ok(Some(ClientEvent::PeerClosed { clean }))
    }

    pub(super) fn read_head(&mut self) -> Result<Option<ClientEvent>, PeerError> {
        // An answer before a byte of its request was written answers something else.
        if self.link.written == 0 && !self.link.unread().is_empty() {
            return self.refuse(fault(Kind::UnsolicitedBytes, 0));
        }
        let found = {
            let data = self.link.unread();
            self.head_end
                .find(data, &self.config.limits, &self.config.profile)
        };
        let size = match found {
            Ok(Some(size)) => size,
            Ok(None) => {
                self.link.mid_head = !self.link.unread().is_empty();
                return self.no_head();
            }
            Err(f) => return self.refuse(f),
        };
        let folded = self.head_end.folded();
        self.head_end = HeadEnd::START;
        self.link.mid_head = false;
        let mut facts = Facts::RESPONSE;
        let limits = &self.config.limits;
        let b = self.link.buffers();
        let read = response::read(
            &b.recv.unread()[..size],
            limits,
            &self.config.profile,
            folded,
            &mut b.head,
            &mut facts,
        );
        let (status, version) = match (read, b.head.line) {
            (Ok(()), StartLine::Response { status, version, .. }) => (status, version),
            (Err(f), _) => return self.refuse(f),
            // `read` sets the line when it succeeds.
            (Ok(()), _) => return self.refuse(fault(Kind::StatusLine, 0)),
        };
        if status.is_informational() && status != Status::SWITCHING_PROTOCOLS {
            return self.interim(status, size);
        }
        self.response(status, version, facts, size)
    }

    pub(super) fn no_head(&mut self) -> Result<Option<ClientEvent>, PeerError> {
        match self.link.input {
            Input::Open => Ok(None),
            Input::Eof if !self.link.unread().is_empty() => {
                let error = self.link.unexpected_eof();
                self.fail(error)
            }
            // Not a byte of an answer: the caller may try again elsewhere.
            Input::Eof => self.lost(CloseReason::PeerClosed),
            Input::Failed => self.lost(CloseReason::ReadFailed),
        }
    }

    /// The exchange ends without the server having broken a rule.
    pub(super) fn lost(&mut self, reason: CloseReason) -> Result<Option<ClientEvent>, PeerError> {
        let reason = if self.write_failed {
            CloseReason::WriteFailed
        } else {
            reason
        };
        self.link.close_now(reason);
        Ok(self.ended())
    }

    pub(super) fn interim(&mut self, status: Status, size: usize) -> Result<Option<ClientEvent>, PeerError> {
        self.interim += 1;
        if self.interim > self.config.limits.interim {
            return self.refuse(fault(Kind::TooManyInterim, 0));
        }
        self.link.consume_input(size);
        if status == Status::CONTINUE && self.gate == Gate::Waiting {
            self.gate = Gate::Opened;
        }
        Ok(Some(ClientEvent::Interim {
            id: ExchangeId(self.link.id),
            status,
        }))
    }

    /// A final response head: how is its body framed (RFC 9112, section 6.3), and what becomes of the
    /// connection?
    pub(super) fn response(
        &mut self,
        status: Status,
        version: Version,
        facts: Facts,
        size: usize,
    ) -> Result<Option<ClientEvent>, PeerError> {
        let switches = match status {
            Status::SWITCHING_PROTOCOLS => {
                if self.link.state.proposes() != Switch::Upgrade || !facts.upgrade {
                    return self.refuse(fault(Kind::UnexpectedSwitch, 9));
                }
                true
            }
            _ => self.method == MethodKind::Connect && status.is_success(),
        };
        let none = status.is_bodiless() || self.method == MethodKind::Head || switches;
        // Framing fields that make no sense matter only where they frame something: "A client MUST ignore any
        // Content-Length or Transfer-Encoding header fields received in a successful response to CONNECT."
        // (RFC 9110, section 9.3.6)
        if let (false, Some((kind, at))) = (none, facts.fault) {
            return self.refuse(fault(kind, at as usize));
        }
        let mut ambiguous = None;
        let (reading, told) = match (none, facts.coding, facts.length) {
            (true, _, _) => (BodyLen::None, BodyLen::None),
            (false, Coding::Chunked, length) => {
                if version == Version::Http10 || length.is_some() {
                    ambiguous = Some(CloseReason::AmbiguousFraming);
                }
                (BodyLen::Unknown, BodyLen::Unknown)
            }
            (false, Coding::None, Some(n)) => (BodyLen::Known(n), BodyLen::Known(n)),
            (false, Coding::None, None) => {
                ambiguous = Some(CloseReason::BodyUntilClose);
                (BodyLen::Unknown, BodyLen::Unknown)
            }
        };
        self.link.consume_input(size);
        let until_close = ambiguous == Some(CloseReason::BodyUntilClose);
        if !switches {
            if !facts.persists(version) {
                self.link.state.will_close(match version {
                    Version::Http10 if !facts.close => CloseReason::Http10,
                    _ => CloseReason::PeerAsked,
                });
            }
            if let Some(reason) = ambiguous {
                self.link.state.will_close(reason);
            }
        }
        // A timeout of N seconds counts from the server's side: a second less keeps out of the race.
        self.idle = facts
            .keep_alive_timeout
            .map(|s| Duration::from_secs(u64::from(s.saturating_sub(1))));
        self.link.state.response_head(switches);
        // It may have been asked for before it was there.
        let wanted = self.link.wanted;
        self.link.begin_body(reading);
        self.link.wanted = wanted;
        if until_close {
            self.link.reading = Reading::UntilClose;
        }
        if let Some(b) = &mut self.link.buf {
            b.trailers.clear();
        }
        // "A client that receives a final status code in response to a request containing a 100-continue
        // expectation" sends its body only if the connection goes on.
        if self.gate == Gate::Waiting {
            if self.link.state.close_reason().is_some() {
                self.gate = Gate::Open;
                self.give_up_request(CloseReason::RequestUnfinished);
            } else {
                self.gate = Gate::Opened;
            }
        }
        Ok(Some(ClientEvent::Response {
            id: ExchangeId(self.link.id),
            body: told,
        }))
    }

    pub(super) fn read_body(&mut self) -> Result<Option<ClientEvent>, PeerError> {
        let id = ExchangeId(self.link.id);
        match self.link.body_step(&self.config.limits, &self.config.profile) {
            Ok(Step::Data) => Ok(Some(ClientEvent::Body { id })),
            Ok(Step::End) => {
                self.link.state.response_end();
                if self.link.state.request() == Direction::Sending && self.link.state.close_reason().is_some()
                {
                    // The server has answered and closes: the rest of the request goes nowhere.
                    self.give_up_request(CloseReason::RequestUnfinished);
                }
                Ok(Some(ClientEvent::BodyEnd { id }))
            }
            Ok(Step::Wait) => {
                if self.link.input == Input::Failed && self.link.body().is_empty() {
                    return self.lost(CloseReason::ReadFailed);
                }
                Ok(None)
            }
            Err(error) => self.fail(error),
        }
    }

    /// The response head that was read last; an interim one until the next event.
    ///
    /// # Errors
    /// [`Misuse::UnknownExchange`], [`Misuse::NoHead`] while none has come or once it was taken.
    pub fn head(&self, id: ExchangeId) -> Result<ResponseHead<'_>, Misuse> {
        if !self.link.is_current(id) {
            return Err(Misuse::UnknownExchange);
        }
        self.link
            .buf
            .as_ref()
            .and_then(|b| ResponseHead::new(&b.head))
            .ok_or(Misuse::NoHead)
    }

    /// Takes the head out with its storage; empty if `id` is unknown or the head was taken. Possible also once
    /// the exchange has ended (or failed), until the next request is sent.
    pub fn take_head(&mut self, id: ExchangeId) -> OwnedHead {
        match &mut self.link.buf {
            // A head that was refused may be half there.
            Some(b) if self.link.id == id.0 && b.head.line != StartLine::None => OwnedHead {
                store: core::mem::take(&mut b.head),
            },
            _ => OwnedHead::default(),
        }
    }

    /// Gives a head's storage back, to be used for the next one.
    pub fn recycle(&mut self, head: OwnedHead) {
        if let Some(b) = &mut self.link.buf
            && b.head.line == StartLine::None
            // A head may be half read: its offsets are in the table already.
            && b.head.spans.is_empty()
            && b.head.bytes.capacity() < head.store.bytes.capacity()
        {
            let HeadStore { bytes, spans, .. } = head.store;
            b.head = HeadStore {
                bytes,
                spans,
                line: StartLine::None,
            };
            b.head.clear();
        }
    }

    /// The application waits for the response's body: the stall deadline runs while bytes are missing.
    pub fn want_body(&mut self, id: ExchangeId) {
        if self.link.is_current(id) {
            self.link.wanted = true;
        }
    }

    /// Body bytes that can be used now: those that a `Body` event has announced. Bytes that have arrived since show
    /// only after `next_event` was asked again.
    #[inline]
    pub fn body(&self) -> &[u8] {
        self.link.body()
    }

    /// The first `n` bytes of [`body`](Self::body) were used. Consuming less is fine.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`].
    #[inline]
    pub fn consume(&mut self, n: usize) -> Result<(), Misuse> {
        self.link.consume(n)?;
        self.link.wanted = true;
        Ok(())
    }

    /// All of [`body`](Self::body), owned: small runs are copied, large ones handed over with their buffer.
    pub fn take_body(&mut self) -> Bytes {
        self.link.wanted = true;
        self.link.take_body(&self.config.limits)
    }

    /// The trailer section, after `BodyEnd`; `None` if there is none. Fields that may not stand in trailers
    /// (RFC 9110, section 6.5.1) are left out.
    pub fn trailers(&self, id: ExchangeId) -> Option<Fields<'_>> {
        if self.link.is_current(id) {
            self.link.trailers()
        } else {
            None
        }
    }

    /// How many body bytes the driver may read by itself, past the machine, reporting them with
    /// [`direct_received`](Self::direct_received). A body that ends with the connection has no bound: this
    /// says 2^62 then.
    pub fn direct_body(&self) -> Option<NonZeroU64> {
        self.link.direct_body()
    }

    /// The driver read `n` body bytes by itself.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`].
    pub fn direct_received(&mut self, n: u64, now: Instant) -> Result<(), Misuse> {
        let _ = now;
        self.link.direct_received(n)?;
        self.link.wanted = true;
        Ok(())
    }
}
