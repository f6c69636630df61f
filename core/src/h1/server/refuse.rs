//! What a [`ServerConn`] does about bad requests and passed deadlines: reply, half-close, linger.

use super::ServerConn;
use crate::Status;
use crate::h1::config::ErrorReply;
use crate::h1::encode::{self, Framing, Option_};
use crate::h1::error::{PeerError, PeerErrorKind as Kind};
use crate::h1::event::{BodyLen, CloseReason, DeadlineKind, ExchangeId, Reuse, ServerEvent, Switch};
use crate::h1::link::Input;
use crate::h1::state::Direction;
use crate::message::Version;
use core::fmt;

impl ServerConn {
    /// A bad head (or the end of the stream inside one): reply, half-close, linger.
    pub(super) fn refuse_head(&mut self, error: PeerError) -> Result<Option<ServerEvent>, PeerError> {
        self.link.raise(error);
        let Some(status) = error.status_hint() else {
            self.link.set_closed(CloseReason::PeerError(error));
            self.link.begin_flush(false);
            return Err(error);
        };
        match self.config.error_reply {
            ErrorReply::Automatic => self.reply(status, error.kind(), !self.head_request),
            ErrorReply::Silent => {}
            ErrorReply::Application => return Ok(Some(self.rejected(error))),
        }
        self.link.set_closed(CloseReason::PeerError(error));
        self.link.begin_flush(true);
        Err(error)
    }

    /// Opens the exchange in which the application words the reply to a refused head.
    pub(super) fn rejected(&mut self, error: PeerError) -> ServerEvent {
        self.link.id = self.link.id.wrapping_add(1);
        self.link.state.request_head(Switch::None);
        self.link.state.will_close(CloseReason::PeerError(error));
        self.link.begin_body(BodyLen::None);
        self.link.state.request_end();
        self.version = Version::Http11;
        self.head_request = false;
        self.bodiless = false;
        self.owes_continue = false;
        if let Some(b) = &mut self.link.buf {
            b.head.clear();
        }
        let unread = self.link.unread().len();
        self.link.consume_input(unread);
        ServerEvent::Rejected {
            id: ExchangeId(self.link.id),
            error,
        }
    }

    /// The open exchange cannot go on: reply if nothing was sent, then close.
    pub(super) fn fail_exchange(&mut self, status: Option<Status>, error: PeerError) {
        self.fail(status, error.kind().into(), CloseReason::PeerError(error));
    }

    pub(super) fn fail(&mut self, status: Option<Status>, text: ReplyText, reason: CloseReason) {
        let unanswered = self.link.state.response() == Direction::Awaiting;
        // A client that is still sending would lose what it has not read yet if the connection just closed.
        let linger =
            unanswered || (self.link.input == Input::Open && self.link.state.request() == Direction::Sending);
        if let (true, Some(status)) = (unanswered, status)
            && self.config.error_reply != ErrorReply::Silent
        {
            self.reply(status, text, !self.head_request);
        }
        self.discard = None;
        if self.link.state.is_open() {
            self.link.state.will_close(reason);
            self.link.end_exchange(Reuse::Close(reason));
            if self.link.error.is_some() {
                // `next_event` tells the error instead.
                self.link.ended = None;
            }
        }
        self.link.set_closed(reason);
        self.link.begin_flush(linger);
    }

    /// Queues a short reply that closes the connection.
    pub(super) fn reply(&mut self, status: Status, text: impl Into<ReplyText>, with_body: bool) {
        let text = text.into();
        let mut body = alloc::string::String::new();
        // Writing to a String does not fail.
        let _ = fmt::Write::write_fmt(&mut body, format_args!("{status} {}: {text}\n", status.reason()));
        let fields = [crate::Field::from_static(
            "content-type",
            "text/plain; charset=utf-8",
        )];
        let out = &mut self.link.buffers().out;
        let framing = Framing::Length(body.len() as u64);
        encode::response_head(out, status, &fields, 64, framing, Option_::Close);
        if with_body {
            out.copy(body.as_bytes());
        }
    }
}

/// What an automatic reply says after the status.
#[derive(Clone, Copy)]
pub(super) enum ReplyText {
    Peer(Kind),
    Time(DeadlineKind),
}

impl From<Kind> for ReplyText {
    fn from(kind: Kind) -> ReplyText {
        ReplyText::Peer(kind)
    }
}

impl From<DeadlineKind> for ReplyText {
    fn from(why: DeadlineKind) -> ReplyText {
        ReplyText::Time(why)
    }
}

impl fmt::Display for ReplyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyText::Peer(kind) => kind.fmt(f),
            ReplyText::Time(why) => why.fmt(f),
        }
    }
}
