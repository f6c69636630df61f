//! What the application tells a [`ServerConn`]: responses.

use super::ServerConn;
use crate::h1::encode::{self, Framing, Option_, Outlook};
use crate::h1::error::Misuse;
use crate::h1::event::{BodyLen, CloseReason, ExchangeId, Reuse, Switch};
use crate::h1::link::{End, Reading, Sending, Tail};
use crate::h1::state::Direction;
use crate::message::Version;
use crate::{FieldLines, Status};
use bytes::Bytes;

impl ServerConn {
    pub(super) fn may_answer(&self, id: ExchangeId) -> Result<(), Misuse> {
        if !self.link.is_current(id) {
            return Err(if self.link.end == End::Open {
                Misuse::UnknownExchange
            } else {
                Misuse::Closed
            });
        }
        if self.link.end != End::Open {
            Err(Misuse::Closed)
        } else {
            Ok(())
        }
    }

    /// Sends an interim response (1xx but 101). An HTTP/1.0 client gets none: nothing is sent then.
    ///
    /// # Errors
    /// [`Misuse::NotInterim`], [`Misuse::HeadAlreadySent`], [`Misuse::ForbiddenField`], [`Misuse::Full`],
    /// [`Misuse::UnknownExchange`], [`Misuse::Closed`].
    pub fn send_interim<F: FieldLines + ?Sized>(
        &mut self,
        id: ExchangeId,
        status: Status,
        fields: &F,
    ) -> Result<(), Misuse> {
        self.may_answer(id)?;
        if !status.is_informational() || status == Status::SWITCHING_PROTOCOLS {
            return Err(Misuse::NotInterim);
        }
        if self.link.state.response() != Direction::Awaiting {
            return Err(Misuse::HeadAlreadySent);
        }
        let outlook = Outlook::of(fields)?;
        if self.link.send_capacity(&self.config.limits) == 0 {
            return Err(Misuse::Full);
        }
        if self.version == Version::Http10 {
            return Ok(());
        }
        if status == Status::CONTINUE {
            self.owes_continue = false;
        }
        let out = &mut self.link.buffers().out;
        encode::response_head(
            out,
            status,
            fields,
            outlook.size,
            Framing::Nothing,
            Option_::Nothing,
        );
        Ok(())
    }

    /// Sends the final response head. `body` decides the framing; with [`BodyLen::None`] the response is
    /// complete, else [`finish`](Self::finish) ends it. `Connection: close` among the fields closes after this
    /// exchange. A 101 (with an `Upgrade` field) or a 2xx to CONNECT switches protocols.
    ///
    /// For HEAD, 204, 304 and 205 the body goes nowhere: what is sent is swallowed, so that a handler needs no
    /// special case (RFC 9110, sections 9.3.2 and 15).
    ///
    /// # Errors
    /// [`Misuse::NotFinal`], [`Misuse::NoSwitchProposed`], [`Misuse::HeadAlreadySent`],
    /// [`Misuse::ForbiddenField`], [`Misuse::UnknownExchange`], [`Misuse::Closed`].
    pub fn send_head<F: FieldLines + ?Sized>(
        &mut self,
        id: ExchangeId,
        status: Status,
        fields: &F,
        body: BodyLen,
    ) -> Result<(), Misuse> {
        self.may_answer(id)?;
        if self.link.state.response() != Direction::Awaiting {
            return Err(Misuse::HeadAlreadySent);
        }
        let outlook = Outlook::of(fields)?;
        let switches = self.switches(status, &outlook)?;
        if self.owes_continue {
            self.link.state.will_close(CloseReason::ContinueNotSent);
        }
        if !switches {
            // Nobody has asked for a body that is too long to be discarded: the connection will not survive it,
            // and a client that is told so can stop sending.
            if let Reading::Length(left) = self.link.reading
                && !self.link.wanted
                && left > self.config.limits.discard
            {
                self.link.state.will_close(CloseReason::BodyUnread);
            }
            if outlook.close || self.link.close_asked {
                self.link.state.will_close(CloseReason::LocalAsked);
            }
            if self.link.state.proposes() == Switch::Connect {
                self.link.state.will_close(CloseReason::ConnectRefused);
            }
        }
        let (framing, sending) = self.framing(status, body, switches);
        let option = if switches {
            if status == Status::SWITCHING_PROTOCOLS && !outlook.upgrade_option {
                Option_::Upgrade
            } else {
                Option_::Nothing
            }
        } else if self.link.state.close_reason().is_some() {
            if outlook.close {
                Option_::Nothing
            } else {
                Option_::Close
            }
        } else if self.version == Version::Http10 {
            Option_::KeepAlive
        } else {
            Option_::Nothing
        };
        let out = &mut self.link.buffers().out;
        encode::response_head(out, status, fields, outlook.size, framing, option);
        self.link.sending = sending;
        self.link.state.response_head(switches);
        self.bodiless = body == BodyLen::None || switches;
        if self.bodiless {
            self.end_response();
        }
        Ok(())
    }

    /// Whether this head accepts the proposed switch.
    pub(super) fn switches(&self, status: Status, outlook: &Outlook) -> Result<bool, Misuse> {
        let proposes = self.link.state.proposes();
        if status == Status::SWITCHING_PROTOCOLS {
            return if proposes == Switch::Upgrade && outlook.upgrade && self.link.error.is_none() {
                Ok(true)
            } else {
                Err(Misuse::NoSwitchProposed)
            };
        }
        if status.is_informational() {
            return Err(Misuse::NotFinal);
        }
        Ok(proposes == Switch::Connect && status.is_success())
    }

    pub(super) fn framing(&mut self, status: Status, body: BodyLen, switches: bool) -> (Framing, Sending) {
        if switches {
            return (Framing::Nothing, Sending::Nothing);
        }
        let suppressed = if body == BodyLen::None {
            Sending::Nothing
        } else {
            Sending::Suppressed
        };
        // "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
        // (Informational) or 204 (No Content)." (RFC 9110, section 8.6)
        if status == Status::NO_CONTENT {
            return (Framing::Nothing, suppressed);
        }
        if status == Status::RESET_CONTENT {
            return (Framing::Length(0), suppressed);
        }
        if self.head_request || status == Status::NOT_MODIFIED {
            let framing = match body {
                BodyLen::Known(n) => Framing::Length(n),
                BodyLen::None | BodyLen::Unknown => Framing::Nothing,
            };
            return (framing, suppressed);
        }
        match body {
            BodyLen::None => (Framing::Length(0), Sending::Nothing),
            BodyLen::Known(n) => (Framing::Length(n), Sending::Length(n)),
            BodyLen::Unknown if self.version == Version::Http11 => (Framing::Chunked, Sending::Chunked),
            BodyLen::Unknown => {
                self.link.state.will_close(CloseReason::BodyUntilClose);
                self.link.tail = Tail::Begun;
                (Framing::Nothing, Sending::UntilClose)
            }
        }
    }

    pub(super) fn may_send_body(&self, id: ExchangeId) -> Result<(), Misuse> {
        self.may_answer(id)?;
        match self.link.state.response() {
            Direction::Awaiting => Err(Misuse::HeadNotSent),
            Direction::Sending => Ok(()),
            _ => Err(Misuse::BodyFinished),
        }
    }

    /// Sends body bytes: large ones are shared, not copied. Accepted whole when
    /// [`send_capacity`](Self::send_capacity) is above 0.
    ///
    /// # Errors
    /// [`Misuse::Full`], [`Misuse::BodyTooLong`], [`Misuse::HeadNotSent`], [`Misuse::BodyFinished`],
    /// [`Misuse::UnknownExchange`], [`Misuse::Closed`].
    pub fn send_body(&mut self, id: ExchangeId, bytes: Bytes) -> Result<(), Misuse> {
        self.may_send_body(id)?;
        self.link.send_body(bytes, &self.config.limits)
    }

    /// Copies body bytes, as many as there is room for, and returns how many.
    ///
    /// # Errors
    /// As [`send_body`](Self::send_body).
    pub fn send_body_copy(&mut self, id: ExchangeId, bytes: &[u8]) -> Result<usize, Misuse> {
        self.may_send_body(id)?;
        self.link.send_body_copy(bytes, &self.config.limits)
    }

    /// The driver will write the next `len` body bytes itself (sendfile, splice) when
    /// [`Outgoing::external`](crate::h1::Outgoing::external) says so.
    ///
    /// # Errors
    /// As [`send_body`](Self::send_body).
    pub fn send_external(&mut self, id: ExchangeId, len: u64) -> Result<(), Misuse> {
        self.may_send_body(id)?;
        self.link.send_external(len, &self.config.limits)
    }

    /// Ends the response. Trailers need chunked framing; to an HTTP/1.0 client and for HEAD they are left out.
    /// After a head with [`BodyLen::None`] this does nothing.
    ///
    /// # Errors
    /// [`Misuse::BodyTooShort`] (send the rest or [`abort`](Self::abort)), [`Misuse::TrailersNeedChunked`],
    /// [`Misuse::ForbiddenField`], [`Misuse::HeadNotSent`], [`Misuse::BodyFinished`],
    /// [`Misuse::UnknownExchange`], [`Misuse::Closed`].
    pub fn finish<F: FieldLines + ?Sized>(&mut self, id: ExchangeId, trailers: &F) -> Result<(), Misuse> {
        if self.bodiless && self.link.id == id.0 {
            return encode::no_trailers(trailers);
        }
        self.may_send_body(id)?;
        self.link.finish_body(trailers)?;
        self.end_response();
        Ok(())
    }

    /// Gives the exchange up: what is queued is written, then the connection closes, so that the client sees
    /// an incomplete response (or none).
    ///
    /// # Errors
    /// [`Misuse::UnknownExchange`].
    pub fn abort(&mut self, id: ExchangeId) -> Result<(), Misuse> {
        if !self.link.is_current(id) {
            return Err(Misuse::UnknownExchange);
        }
        self.link.state.will_close(CloseReason::Aborted);
        self.link.end_exchange(Reuse::Close(CloseReason::Aborted));
        self.link.begin_flush(false);
        self.discard = None;
        Ok(())
    }

    /// How many bytes [`send_body_copy`](Self::send_body_copy) would take; 0 when output is full, or no body
    /// can be sent.
    pub fn send_capacity(&self, id: ExchangeId) -> usize {
        if self.may_send_body(id).is_err() {
            return 0;
        }
        let room = self.link.send_capacity(&self.config.limits);
        if self.link.sending == Sending::Chunked {
            room.saturating_sub(20)
        } else {
            room
        }
    }

    /// Takes no more requests: closes at once when idle, else after the current exchange, which then says
    /// `Connection: close` if its head is still to come.
    pub fn close_when_idle(&mut self) {
        self.link.close_asked = true;
        if self.link.state.is_open() {
            self.link.state.will_close(CloseReason::LocalAsked);
        } else if self.link.end == End::Open && self.is_idle() {
            self.link.set_closed(CloseReason::LocalAsked);
            self.link.begin_flush(false);
        }
    }

    /// Whether no exchange is open and no byte of a next request has come.
    pub fn is_idle(&self) -> bool {
        self.link.state.is_idle() && self.link.unread().is_empty()
    }

    pub(super) fn end_response(&mut self) {
        self.link.state.response_end();
        if self.link.state.response() == Direction::Done && self.link.state.request() == Direction::Sending {
            self.leave_body_unread();
        }
        self.check_outcome();
    }

    /// The response is complete and the request's body is not: discard the rest, or give the connection up.
    pub(super) fn leave_body_unread(&mut self) {
        let budget = self.config.limits.discard;
        let hopeless = match self.link.reading {
            Reading::Length(left) => left > budget,
            _ => false,
        };
        if hopeless {
            self.abandon_request(CloseReason::BodyUnread);
        } else if self.link.state.close_reason().is_some() {
            // Lingering discards it.
            self.abandon_request(CloseReason::BodyUnread);
        } else {
            let run = self.link.discard_run();
            self.discard = Some(budget.saturating_sub(run));
            self.link.begin_discarding();
        }
    }

    pub(super) fn abandon_request(&mut self, reason: CloseReason) {
        self.discard = None;
        self.link.state.will_close(reason);
        self.link.state.request_end();
        self.link.reading = Reading::Nothing;
        self.check_outcome();
        // Whatever still comes of the body is discarded while lingering.
        if let End::Flush { linger } = &mut self.link.end {
            *linger = true;
        }
    }

    /// If both directions are done: the exchange has ended.
    pub(super) fn check_outcome(&mut self) {
        let Some(reuse) = self.link.state.outcome() else {
            return;
        };
        let clean = self.link.unread().is_empty() && self.link.error.is_none();
        self.link.end_exchange(reuse);
        match reuse {
            Reuse::KeepAlive => {}
            Reuse::Switched => self.link.end = End::Detach,
            Reuse::Close(reason) => {
                // A client that announced its end sends nothing more; anyone else might, and a close would
                // then reset the connection under the response (RFC 9112, section 9.6).
                let announced = matches!(reason, CloseReason::PeerAsked | CloseReason::Http10);
                self.link.begin_flush(!(announced && clean));
            }
        }
    }
}
