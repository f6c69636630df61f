//! What the application tells a [`ClientConn`]: requests.

use super::{ClientConn, Gate, MethodKind};
use crate::FieldLines;
use crate::h1::encode::{self, Framing, Option_, Outlook};
use crate::h1::error::{Misuse, PeerError};
use crate::h1::event::{BodyLen, ClientEvent, CloseReason, ExchangeId, Reuse, Switch};
use crate::h1::link::{End, Input, Sending};
use crate::h1::response::HeadEnd;
use crate::h1::scan::Fault;
use crate::h1::state::Direction;
use crate::message::TargetForm;
use crate::message::target::authority_of;
use crate::message::token::{all_token, is_target};
use bytes::Bytes;

impl ClientConn {
    /// Whether [`send_request`](Self::send_request) would be accepted now.
    pub fn can_send(&self) -> bool {
        self.link.end == End::Open
            && self.link.state.is_idle()
            && self.link.ended.is_none()
            && self.link.error.is_none()
            && self.link.input == Input::Open
            && !self.link.close_asked
            && self.link.unread().is_empty()
    }

    /// Sends a request head. `body` decides the framing; with [`BodyLen::None`] the request is complete, else
    /// [`finish`](Self::finish) ends it. Exactly one `Host` field must be among the fields. `Connection: close`
    /// among them closes after this exchange; `Expect: 100-continue` holds the body back until
    /// [`ClientEvent::SendBodyNow`]; `Upgrade` with `Connection: upgrade` proposes a switch, as CONNECT does.
    ///
    /// # Errors
    /// [`Misuse::NotReady`] while an exchange is open or its end has not been told, [`Misuse::Target`] for a
    /// target (or method) that may not be sent, [`Misuse::HostField`], [`Misuse::ForbiddenField`].
    pub fn send_request<F: FieldLines + ?Sized>(
        &mut self,
        method: &str,
        target: &str,
        fields: &F,
        body: BodyLen,
    ) -> Result<ExchangeId, Misuse> {
        if !self.can_send() {
            return Err(Misuse::NotReady);
        }
        let (kind, outlook) = check_head(method, target, fields, body)?;
        let framing = match body {
            // RFC 9110, section 8.6: "A user agent SHOULD send Content-Length in a request when the method
            // defines a meaning for enclosed content and it is not sending Transfer-Encoding."
            BodyLen::None if matches!(method, "POST" | "PUT" | "PATCH") => Framing::Length(0),
            BodyLen::None => Framing::Nothing,
            BodyLen::Known(n) => Framing::Length(n),
            BodyLen::Unknown => Framing::Chunked,
        };
        let proposes = match kind {
            MethodKind::Connect => Switch::Connect,
            _ if outlook.upgrade && outlook.upgrade_option && body == BodyLen::None => Switch::Upgrade,
            _ => Switch::None,
        };
        let out = &mut self.link.buffers().out;
        encode::request_head(
            out,
            (method, target),
            fields,
            outlook.size,
            framing,
            Option_::Nothing,
        );
        let queued = out.queued();
        self.link.written = 0;
        self.head_written_at = queued;
        self.link.id = self.link.id.wrapping_add(1);
        self.link.state.request_head(proposes);
        self.link.sending = match body {
            BodyLen::None => Sending::Nothing,
            BodyLen::Known(n) => Sending::Length(n),
            BodyLen::Unknown => Sending::Chunked,
        };
        if outlook.close {
            self.link.state.will_close(CloseReason::LocalAsked);
        }
        self.method = kind;
        self.interim = 0;
        self.head_end = HeadEnd::START;
        self.response_begun = false;
        self.link.wanted = false;
        self.bodiless = body == BodyLen::None;
        if let Some(b) = &mut self.link.buf {
            b.head.clear();
            b.trailers.clear();
        }
        let waits = outlook.expects && body != BodyLen::None && self.config.timeouts.continue_wait.is_some();
        self.gate = if waits { Gate::Waiting } else { Gate::Open };
        if self.bodiless {
            self.link.state.request_end();
        }
        Ok(ExchangeId(self.link.id))
    }

    /// Whether a request may be sent at all, by any connection: what [`send_request`](Self::send_request) would
    /// refuse beside [`Misuse::NotReady`]. For finding it out before a connection is made.
    ///
    /// # Errors
    /// [`Misuse::Target`], [`Misuse::HostField`], [`Misuse::ForbiddenField`].
    ///
    /// ```
    /// use antiphon_core::Field;
    /// use antiphon_core::h1::{BodyLen, ClientConn, Misuse};
    /// let host = [Field::from_static("host", "example.com")];
    /// assert!(ClientConn::check_request("GET", "/", &host, BodyLen::None).is_ok());
    /// assert_eq!(ClientConn::check_request("G T", "/", &host, BodyLen::None), Err(Misuse::Target));
    /// ```
    pub fn check_request<F: FieldLines + ?Sized>(
        method: &str,
        target: &str,
        fields: &F,
        body: BodyLen,
    ) -> Result<(), Misuse> {
        check_head(method, target, fields, body).map(drop)
    }

    /// Whether a body of `len` bytes with these trailers may follow a request head that was sent with `body`: what
    /// [`send_body`](Self::send_body) and [`finish`](Self::finish) would refuse whatever the connection's state.
    ///
    /// # Errors
    /// [`Misuse::BodyTooLong`], [`Misuse::BodyTooShort`], [`Misuse::BodyFinished`] for bytes where no body was
    /// declared, [`Misuse::TrailersNeedChunked`], [`Misuse::ForbiddenField`].
    pub fn check_body<F: FieldLines + ?Sized>(body: BodyLen, len: u64, trailers: &F) -> Result<(), Misuse> {
        match body {
            BodyLen::None if len > 0 => Err(Misuse::BodyFinished),
            BodyLen::Known(n) if len > n => Err(Misuse::BodyTooLong),
            BodyLen::Known(n) if len < n => Err(Misuse::BodyTooShort),
            BodyLen::None | BodyLen::Known(_) => encode::no_trailers(trailers),
            BodyLen::Unknown => encode::trailers_size(trailers).map(drop),
        }
    }

    pub(super) fn may_send_body(&self, id: ExchangeId) -> Result<(), Misuse> {
        if !self.link.is_current(id) {
            return Err(if self.link.end == End::Open {
                Misuse::UnknownExchange
            } else {
                Misuse::Closed
            });
        }
        if self.link.state.request() != Direction::Sending {
            return Err(Misuse::BodyFinished);
        }
        if self.gate == Gate::Open {
            Ok(())
        } else {
            Err(Misuse::AwaitingContinue)
        }
    }

    /// Sends body bytes: large ones are shared, not copied. Accepted whole when
    /// [`send_capacity`](Self::send_capacity) is above 0.
    ///
    /// # Errors
    /// [`Misuse::Full`], [`Misuse::BodyTooLong`], [`Misuse::AwaitingContinue`], [`Misuse::BodyFinished`],
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

    /// Ends the request. Trailers need chunked framing. After a head with [`BodyLen::None`] this does nothing.
    ///
    /// # Errors
    /// [`Misuse::BodyTooShort`] (send the rest or [`abort`](Self::abort)), [`Misuse::TrailersNeedChunked`],
    /// [`Misuse::ForbiddenField`], [`Misuse::AwaitingContinue`], [`Misuse::BodyFinished`],
    /// [`Misuse::UnknownExchange`], [`Misuse::Closed`].
    pub fn finish<F: FieldLines + ?Sized>(&mut self, id: ExchangeId, trailers: &F) -> Result<(), Misuse> {
        if self.bodiless && self.link.id == id.0 {
            return encode::no_trailers(trailers);
        }
        self.may_send_body(id)?;
        self.link.finish_body(trailers)?;
        self.link.state.request_end();
        Ok(())
    }

    /// Gives the exchange up: nothing more is written or read, the connection closes.
    ///
    /// # Errors
    /// [`Misuse::UnknownExchange`].
    pub fn abort(&mut self, id: ExchangeId) -> Result<(), Misuse> {
        if !self.link.is_current(id) {
            return Err(Misuse::UnknownExchange);
        }
        self.link.close_now(CloseReason::Aborted);
        Ok(())
    }

    /// How many bytes [`send_body_copy`](Self::send_body_copy) would take; 0 when output is full, or no body
    /// can be sent now.
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

    /// How many bytes of the current (or last) request have been written to the network. 0: it can be sent
    /// again elsewhere without being sent twice.
    pub fn request_bytes_sent(&self) -> u64 {
        self.link.written
    }

    /// Whether a byte of an answer to the current request has come.
    pub fn response_begun(&self) -> bool {
        self.response_begun
    }

    /// Takes no more requests: closes at once when idle, else after the current exchange.
    pub fn close_when_idle(&mut self) {
        self.link.close_asked = true;
        if self.link.state.is_open() {
            self.link.state.will_close(CloseReason::LocalAsked);
        } else if self.link.end == End::Open {
            self.link.close_now(CloseReason::LocalAsked);
        }
    }

    /// Whether no exchange is open.
    pub fn is_idle(&self) -> bool {
        self.link.state.is_idle() && self.link.ended.is_none()
    }

    /// The rest of the request is not sent; an answer is still read.
    pub(super) fn give_up_request(&mut self, reason: CloseReason) {
        self.link.state.will_close(reason);
        self.link.sending = Sending::Nothing;
        self.link.state.request_end();
        self.gate = Gate::Open;
    }

    /// If both directions are done, and the request has left: the exchange has ended.
    pub(super) fn check_outcome(&mut self) {
        let Some(reuse) = self.link.state.outcome() else {
            return;
        };
        let closes = matches!(reuse, Reuse::Close(_));
        if !closes && !self.link.output_empty() && self.link.input == Input::Open {
            return;
        }
        match reuse {
            Reuse::KeepAlive => {
                let reason = if !self.link.unread().is_empty() {
                    Some(CloseReason::UnsolicitedBytes)
                } else if self.link.close_asked {
                    Some(CloseReason::LocalAsked)
                } else {
                    match self.link.input {
                        Input::Open => None,
                        Input::Eof => Some(CloseReason::PeerClosed),
                        Input::Failed => Some(CloseReason::ReadFailed),
                    }
                };
                match reason {
                    None => self.link.end_exchange(Reuse::KeepAlive),
                    Some(reason) => self.link.close_now(reason),
                }
            }
            Reuse::Switched => {
                self.link.end_exchange(reuse);
                self.link.end = End::Detach;
            }
            Reuse::Close(reason) => self.link.close_now(reason),
        }
    }

    pub(super) fn refuse(&mut self, f: Fault) -> Result<Option<ClientEvent>, PeerError> {
        let error = self.link.peer_error(f);
        self.fail(error)
    }

    pub(super) fn fail(&mut self, error: PeerError) -> Result<Option<ClientEvent>, PeerError> {
        self.link.close_now(CloseReason::PeerError(error));
        self.link.ended = None;
        Err(error)
    }
}

/// What a request head must fulfil, whatever the connection's state.
#[inline]
fn check_head<F: FieldLines + ?Sized>(
    method: &str,
    target: &str,
    fields: &F,
    body: BodyLen,
) -> Result<(MethodKind, Outlook), Misuse> {
    if !all_token(method.as_bytes()) || !target.bytes().all(is_target) {
        return Err(Misuse::Target);
    }
    let kind = match method {
        "HEAD" => MethodKind::Head,
        "CONNECT" => MethodKind::Connect,
        _ => MethodKind::Other,
    };
    // "A sender MUST NOT generate the userinfo subcomponent (and its "@" delimiter) when an "http" URI reference
    // is generated within a message as a target URI" (RFC 9110, section 4.2.4): it is a password, in clear.
    if authority_of(target).is_some_and(|authority| authority.contains('@')) {
        return Err(Misuse::Target);
    }
    let good = match TargetForm::of(target.as_bytes()) {
        Some(TargetForm::Origin | TargetForm::Absolute) => kind != MethodKind::Connect,
        Some(TargetForm::Authority) => kind == MethodKind::Connect,
        Some(TargetForm::Asterisk) => method == "OPTIONS",
        None => false,
    };
    if !good || (kind == MethodKind::Connect && body != BodyLen::None) {
        return Err(Misuse::Target);
    }
    let outlook = Outlook::of(fields)?;
    if outlook.hosts != 1 {
        return Err(Misuse::HostField);
    }
    // "A client MUST NOT generate a 100-continue expectation in a request that does not include content."
    // (RFC 9110, section 10.1.1)
    if outlook.expects && body == BodyLen::None {
        return Err(Misuse::ForbiddenField);
    }
    Ok((kind, outlook))
}
