//! What a [`ServerConn`] tells the application: heads, bodies, ends.

use super::ServerConn;
use crate::h1::config::ErrorReply;
use crate::h1::error::{Misuse, PeerError, PeerErrorKind as Kind};
use crate::h1::event::{BodyLen, CloseReason, ExchangeId, Reuse, ServerEvent, Switch};
use crate::h1::framing::Facts;
use crate::h1::head::{HeadStore, OwnedHead, RequestHead, StartLine};
use crate::h1::link::{End, Input, Step};
use crate::h1::scan::{Fault, Rules, Scan, fault};
use crate::h1::state::Direction;
use crate::message::Version;
use crate::{Fields, Instant, Status};
use bytes::Bytes;
use core::num::NonZeroU64;

impl ServerConn {
    /// The next thing to tell the application; `None` when there is nothing before the next input or command.
    ///
    /// # Errors
    /// A [`PeerError`] once the client broke a rule; the same one ever after. The reply (if one is due) is
    /// already queued, and every exchange that was open has ended with it.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<ServerEvent>, PeerError> {
        if self.link.trickles && self.link.coasts(self.config.limits.head_max()) {
            self.link.mid_head = true;
            return Ok(None);
        }
        if self.link.attention
            && let Some(told) = self.attend()
        {
            return told;
        }
        match self.link.state.request() {
            Direction::Idle if self.link.unread().is_empty() && self.link.input == Input::Open => Ok(None),
            Direction::Idle => self.read_head(),
            Direction::Sending => self.read_body(),
            _ => Ok(self.while_answering()),
        }
    }

    /// What comes before anything that could be read.
    #[allow(clippy::type_complexity)]
    pub(super) fn attend(&mut self) -> Option<Result<Option<ServerEvent>, PeerError>> {
        if let Some(event) = self.notice() {
            return Some(Ok(Some(event)));
        }
        if let Some(error) = self.link.error {
            let answering = self.config.error_reply == ErrorReply::Application && self.link.state.is_open();
            return Some(if answering { Ok(None) } else { Err(error) });
        }
        if self.link.end != End::Open {
            return Some(Ok(None));
        }
        self.link.attention = false;
        None
    }

    #[inline]
    pub(super) fn notice(&mut self) -> Option<ServerEvent> {
        if let Some((id, why)) = self.notices.timeout.take() {
            return Some(ServerEvent::Timeout { id, why });
        }
        if self.notices.gone {
            self.notices.gone = false;
            return Some(ServerEvent::PeerGone);
        }
        if let Some(reuse) = self.link.ended.take() {
            self.notices.told_half_closed = false;
            return Some(ServerEvent::ExchangeEnd {
                id: ExchangeId(self.link.id),
                reuse,
            });
        }
        None
    }

    pub(super) fn while_answering(&mut self) -> Option<ServerEvent> {
        if self.link.input != Input::Eof || self.notices.told_half_closed || !self.link.state.is_open() {
            return None;
        }
        self.notices.told_half_closed = true;
        if self.config.cancel_on_half_close {
            // What was answered before still leaves.
            self.notices.gone = true;
            self.discard = None;
            self.link.end_exchange(Reuse::Close(CloseReason::PeerClosed));
            self.link.set_closed(CloseReason::PeerClosed);
            self.link.begin_flush(false);
            return self.notice();
        }
        Some(ServerEvent::PeerHalfClosed)
    }

    pub(super) fn read_head(&mut self) -> Result<Option<ServerEvent>, PeerError> {
        // Answers to earlier requests have to leave before the next request is taken up.
        if !self.link.has_send_room(&self.config.limits) {
            return Ok(None);
        }
        if self.link.scan.position() == 0 {
            match self.skip_empty_lines() {
                Ok(true) => {}
                Ok(false) => return self.no_head(),
                Err(f) => {
                    self.head_request = false;
                    let error = self.link.peer_error(f);
                    return self.refuse_head(error);
                }
            }
            if let Some(b) = &mut self.link.buf {
                b.head.clear();
            }
        }
        let limits = &self.config.limits;
        let rules = Rules {
            profile: &self.config.profile,
            size: limits.head_max(),
            fields: limits.fields,
            target: limits.target,
            too_large: Kind::HeadTooLarge,
            too_many: Kind::TooManyFields,
        };
        let head_start = self.link.consumed;
        match self.link.scan_request(&rules) {
            Ok(None) => self.no_head(),
            Ok(Some(line)) => {
                self.link.scan = Scan::REQUEST;
                self.link.trickles = false;
                self.link.mid_head = false;
                self.empty_lines = 0;
                self.request(line.version, head_start)
            }
            Err(f) => {
                self.head_request = false;
                let error = self.link.peer_error(f);
                self.refuse_head(error)
            }
        }
    }

    /// RFC 9112, section 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at
    /// least one empty line (CRLF) received prior to the request-line." `false`: more bytes are needed.
    pub(super) fn skip_empty_lines(&mut self) -> Result<bool, Fault> {
        if !matches!(self.link.unread(), [b'\r' | b'\n', ..] | []) {
            return Ok(true);
        }
        loop {
            let bare_lf = self.config.profile.bare_lf;
            let skip = match self.link.unread() {
                [] => return Ok(false),
                [b'\r', b'\n', ..] => 2,
                [b'\n', ..] if bare_lf => 1,
                [b'\r'] if self.empty_lines < self.config.limits.empty_lines => return Ok(false),
                [b'\r', ..] if self.empty_lines >= self.config.limits.empty_lines => 0,
                [b'\r', ..] => return Err(fault(Kind::LineEnd, 1)),
                [b'\n', ..] => return Err(fault(Kind::LineEnd, 0)),
                _ => return Ok(true),
            };
            if self.empty_lines >= self.config.limits.empty_lines {
                return Err(fault(Kind::EmptyLines, 0));
            }
            self.empty_lines += 1;
            self.link.consume_input(skip);
        }
    }

    /// The head is not complete: that is all, unless the stream has ended.
    pub(super) fn no_head(&mut self) -> Result<Option<ServerEvent>, PeerError> {
        if self.link.input == Input::Open {
            self.link.trickles = self.link.scan.position() > 0;
            self.link.mid_head = self.link.trickles;
            return Ok(None);
        }
        if self.link.unread().is_empty() {
            // Between requests: a clean end.
            self.link.begin_flush(false);
            self.link.set_closed(CloseReason::PeerClosed);
            return Ok(None);
        }
        self.head_request = false;
        let error = self.link.unexpected_eof();
        self.refuse_head(error)
    }

    /// A complete head: what does it mean?
    pub(super) fn request(
        &mut self,
        version: Version,
        head_start: u64,
    ) -> Result<Option<ServerEvent>, PeerError> {
        let profile = &self.config.profile;
        let facts = &self.link.facts;
        let (is_head, is_connect) = {
            let method = self.method();
            (method == b"HEAD", method == b"CONNECT")
        };
        let judged = facts
            .request_body(version, profile)
            .and_then(|(body, ambiguous)| {
                if version == Version::Http11 && !facts.host {
                    Err(Kind::HostMissing)
                } else if is_connect && body != BodyLen::None {
                    Err(Kind::ConnectContent)
                } else {
                    Ok((body, ambiguous))
                }
            });
        let (body, ambiguous) = match judged {
            Ok(good) => good,
            Err(kind) => {
                // Proved by the head's last byte.
                let offset = self.link.consumed - 1;
                debug_assert!(offset >= head_start);
                self.link.raise(PeerError { kind, offset });
                self.head_request = is_head;
                return self.refuse_head(PeerError { kind, offset });
            }
        };
        let proposes = match (is_connect, version, body) {
            (true, ..) => Switch::Connect,
            (false, Version::Http11, BodyLen::None) if facts.upgrade && facts.upgrade_option => {
                Switch::Upgrade
            }
            _ => Switch::None,
        };
        let (persists, closes, expects) = (facts.persists(version), facts.close, facts.expect);
        self.link.facts = Facts::request(profile);
        self.head_request = is_head;
        self.version = version;
        self.bodiless = false;
        self.discard = None;
        // "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
        // expectation" (RFC 9110, section 10.1.1)
        self.owes_continue = expects && version == Version::Http11 && body != BodyLen::None;
        self.link.id = self.link.id.wrapping_add(1);
        self.link.state.request_head(proposes);
        if !persists {
            self.link.state.will_close(match version {
                Version::Http10 if !closes => CloseReason::Http10,
                _ => CloseReason::PeerAsked,
            });
        } else if ambiguous {
            self.link.state.will_close(CloseReason::AmbiguousFraming);
        } else if !self.config.keep_alive || self.link.close_asked {
            self.link.state.will_close(CloseReason::LocalAsked);
        }
        self.link.begin_body(body);
        if let Some(b) = &mut self.link.buf {
            b.trailers.clear();
        }
        if body == BodyLen::None {
            self.link.state.request_end();
        }
        Ok(Some(ServerEvent::Request {
            id: ExchangeId(self.link.id),
            body,
            expects_continue: self.owes_continue,
            proposes,
        }))
    }

    pub(super) fn method(&self) -> &[u8] {
        match &self.link.buf {
            Some(b) => match b.head.line {
                StartLine::Request { method_end, .. } => &b.head.bytes[..method_end as usize],
                _ => &[],
            },
            None => &[],
        }
    }

    pub(super) fn read_body(&mut self) -> Result<Option<ServerEvent>, PeerError> {
        let id = ExchangeId(self.link.id);
        loop {
            match self.link.body_step(&self.config.limits, &self.config.profile) {
                Ok(Step::Data) => match &mut self.discard {
                    None => return Ok(Some(ServerEvent::Body { id })),
                    Some(left) => {
                        let n = self.link.discard_run();
                        match left.checked_sub(n) {
                            Some(rest) => *left = rest,
                            None => {
                                self.abandon_request(CloseReason::BodyUnread);
                                return Ok(self.notice());
                            }
                        }
                    }
                },
                Ok(Step::End) => {
                    self.link.state.request_end();
                    let discarded = self.discard.take().is_some();
                    self.owes_continue = false;
                    self.check_outcome();
                    return Ok(if discarded {
                        self.notice()
                    } else {
                        Some(ServerEvent::BodyEnd { id })
                    });
                }
                Ok(Step::Wait) => return Ok(None),
                Err(error) => {
                    self.fail_exchange(error.kind.status_hint().or(Some(Status::BAD_REQUEST)), error);
                    return Err(error);
                }
            }
        }
    }

    /// The head that was read last.
    ///
    /// # Errors
    /// [`Misuse::UnknownExchange`], [`Misuse::NoHead`] once it was taken.
    pub fn head(&self, id: ExchangeId) -> Result<RequestHead<'_>, Misuse> {
        if !self.link.is_current(id) {
            return Err(Misuse::UnknownExchange);
        }
        self.link
            .buf
            .as_ref()
            .and_then(|b| RequestHead::new(&b.head))
            .ok_or(Misuse::NoHead)
    }

    /// Takes the head out with its storage; empty if `id` is unknown or the head was taken. Possible also once
    /// the exchange has ended (or failed), until the next head is read.
    pub fn take_head(&mut self, id: ExchangeId) -> OwnedHead {
        match &mut self.link.buf {
            // The next head may be half read: its offsets are in the table, its bytes are not.
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

    /// The application wants the request's body: `100 Continue` is queued if one is due, and the stall
    /// deadline runs from now on while bytes are missing.
    pub fn want_body(&mut self, id: ExchangeId) {
        if !self.link.is_current(id) || self.link.state.request() != Direction::Sending {
            return;
        }
        self.link.wanted = true;
        if self.owes_continue && self.link.state.response() == Direction::Awaiting {
            self.owes_continue = false;
            self.link.buffers().out.copy(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Body bytes that can be used now: those that a `Body` event has announced. Bytes that have arrived since show
    /// only after `next_event` was asked again.
    #[inline]
    pub fn body(&self) -> &[u8] {
        if self.discard.is_some() {
            &[]
        } else {
            self.link.body()
        }
    }

    /// The first `n` bytes of [`body`](Self::body) were used. Consuming less is fine.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`].
    #[inline]
    pub fn consume(&mut self, n: usize) -> Result<(), Misuse> {
        if n > self.body().len() {
            return Err(Misuse::TooMuch);
        }
        self.link.wanted = true;
        self.link.consume(n)
    }

    /// All of [`body`](Self::body), owned: small runs are copied, large ones handed over with their buffer.
    pub fn take_body(&mut self) -> Bytes {
        if self.discard.is_some() {
            return Bytes::new();
        }
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

    /// How many body bytes the driver may read by itself, past the machine (splice, a large destination
    /// buffer), reporting them with [`direct_received`](Self::direct_received).
    pub fn direct_body(&self) -> Option<NonZeroU64> {
        if self.discard.is_some() {
            None
        } else {
            self.link.direct_body()
        }
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
