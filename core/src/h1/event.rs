//! The vocabulary that both machines share: exchange ids, body lengths, events, reasons, and what the driver
//! is asked to do.

use super::PeerError;
#[cfg(doc)]
use super::ServerConn;
use crate::{Headers, Instant, Status};
use core::fmt;

/// Names one exchange (a request and its response) on one connection.
///
/// Ids are never reused on a connection; a call with the id of an exchange that has ended is answered with
/// [`Misuse::UnknownExchange`](super::Misuse::UnknownExchange).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub(crate) u32);

/// How long a body is. Framing follows from it: it is an argument, never inferred from field text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum BodyLen {
    /// No body. A response to a GET says so with `Content-Length: 0`.
    None,
    /// Exactly this many bytes: `Content-Length`.
    Known(u64),
    /// Chunked, or, from a server to an HTTP/1.0 client, until the connection closes.
    Unknown,
}

impl BodyLen {
    /// For applications that set framing fields themselves (axum does): takes `Content-Length` and
    /// `Transfer-Encoding` out of `headers` and says what they mean. Without either, `default`.
    ///
    /// # Errors
    /// [`super::Misuse::ForbiddenField`] if they do not make sense (contradicting or non-decimal lengths, a coding other
    /// than `chunked`); `headers` is unchanged then.
    pub fn from_fields(headers: &mut Headers, default: BodyLen) -> Result<BodyLen, super::Misuse> {
        super::framing::body_len_from_fields(headers, default)
    }

    /// Whether there is certainly nothing to read.
    pub const fn is_empty(self) -> bool {
        matches!(self, BodyLen::None | BodyLen::Known(0))
    }
}

/// The protocol switch that a request proposes. Its bytes stay unparsed until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Switch {
    /// None.
    None,
    /// CONNECT: a 2xx response turns the connection into a tunnel (RFC 9110, section 9.3.6).
    Connect,
    /// `Upgrade` with `Connection: upgrade`: 101 switches (RFC 9110, section 7.8).
    Upgrade,
}

/// What a [`ServerConn`] tells the application. Each thing is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A request head has been read; look at it with [`ServerConn::head`]. Answer it.
    Request {
        /// The exchange that begins.
        id: ExchangeId,
        /// The length of the request's body.
        body: BodyLen,
        /// Whether the client waits for `100 Continue`; [`ServerConn::want_body`] sends it.
        expects_continue: bool,
        /// The protocol switch that it proposes.
        proposes: Switch,
    },
    /// New body bytes can be looked at with [`ServerConn::body`].
    Body {
        /// The exchange.
        id: ExchangeId,
    },
    /// The body has ended and all of it was consumed; trailers can be looked at. Not told for a request without a
    /// body ([`BodyLen::None`]).
    BodyEnd {
        /// The exchange.
        id: ExchangeId,
    },
    /// Request and response are complete (or never will be); `reuse` says what becomes of the connection.
    ExchangeEnd {
        /// The exchange.
        id: ExchangeId,
        /// What becomes of the connection.
        reuse: Reuse,
    },
    /// A deadline passed. The machine has already acted on it (reply or close).
    Timeout {
        /// The exchange, if one had begun.
        id: Option<ExchangeId>,
        /// Which deadline.
        why: DeadlineKind,
    },
    /// The client sends no more, but may still read: the answer is still sent. Told while a request is open.
    PeerHalfClosed,
    /// The client is gone (reset, or writing failed): nothing can reach it any more.
    PeerGone,
    /// The head was refused and the application wants to word the reply
    /// ([`ErrorReply::Application`](super::ErrorReply::Application)). Answer with `send_head`; the connection closes afterwards.
    Rejected {
        /// The exchange that holds nothing but this error.
        id: ExchangeId,
        /// What was wrong.
        error: PeerError,
    },
}

/// What a [`ClientConn`](super::ClientConn) tells the application. Each thing is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// An interim (1xx) response; its head can be looked at until the next event.
    Interim {
        /// The exchange.
        id: ExchangeId,
        /// 100 to 199, never 101.
        status: Status,
    },
    /// The final response head has been read (101 included).
    Response {
        /// The exchange.
        id: ExchangeId,
        /// The length of the response's body.
        body: BodyLen,
    },
    /// New body bytes can be looked at with [`ClientConn::body`](super::ClientConn::body).
    Body {
        /// The exchange.
        id: ExchangeId,
    },
    /// The body has ended and all of it was consumed; trailers can be looked at. Told for every final response,
    /// also one without a body.
    BodyEnd {
        /// The exchange.
        id: ExchangeId,
    },
    /// The wait for `100 Continue` is over: send the body.
    SendBodyNow {
        /// The exchange.
        id: ExchangeId,
    },
    /// Request and response are complete (or never will be); `reuse` says what becomes of the connection.
    ExchangeEnd {
        /// The exchange.
        id: ExchangeId,
        /// What becomes of the connection.
        reuse: Reuse,
    },
    /// A deadline passed. The machine closes the connection.
    Timeout {
        /// The exchange, if one was open.
        id: Option<ExchangeId>,
        /// Which deadline.
        why: DeadlineKind,
    },
    /// The server closed a connection on which no exchange was open.
    PeerClosed {
        /// A FIN without stray bytes, not a reset.
        clean: bool,
    },
}

/// What becomes of the connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Reuse {
    /// It takes the next request.
    KeepAlive,
    /// It closes, for this reason.
    Close(CloseReason),
    /// It speaks another protocol now: take the rest with `into_parts`.
    Switched,
}

/// Why a connection is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer sent `Connection: close`.
    PeerAsked,
    /// This side sent `Connection: close`, or was told to close after the exchange.
    LocalAsked,
    /// HTTP/1.0 without an agreed keep-alive.
    Http10,
    /// The body was delimited by the end of the connection.
    BodyUntilClose,
    /// The request body was left unread and is longer than the machine is willing to discard.
    BodyUnread,
    /// The client waits for `100 Continue` that was never sent, so where its next request begins is in doubt.
    ContinueNotSent,
    /// The request body was not completely sent.
    RequestUnfinished,
    /// The application gave up the exchange with `abort`.
    Aborted,
    /// The message had both Content-Length and Transfer-Encoding, or Transfer-Encoding in HTTP/1.0.
    AmbiguousFraming,
    /// The request was CONNECT and was not accepted as a tunnel.
    ConnectRefused,
    /// The peer closed its side.
    PeerClosed,
    /// The connection broke while reading.
    ReadFailed,
    /// The connection broke while writing.
    WriteFailed,
    /// The peer broke the protocol.
    PeerError(PeerError),
    /// Bytes arrived that belong to no exchange.
    UnsolicitedBytes,
    /// A deadline passed.
    Timeout(DeadlineKind),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::PeerAsked => "the peer asked for it (Connection: close)",
            CloseReason::LocalAsked => "this side asked for it",
            CloseReason::Http10 => "HTTP/1.0 without keep-alive",
            CloseReason::BodyUntilClose => "the body ends with the connection",
            CloseReason::BodyUnread => "too much of the request body was left unread",
            CloseReason::ContinueNotSent => "the client still waits for 100 Continue",
            CloseReason::RequestUnfinished => "the request body was not completely sent",
            CloseReason::Aborted => "the exchange was aborted",
            CloseReason::AmbiguousFraming => "the message's framing was ambiguous",
            CloseReason::ConnectRefused => "CONNECT was not accepted",
            CloseReason::PeerClosed => "the peer closed the connection",
            CloseReason::ReadFailed => "reading from the connection failed",
            CloseReason::WriteFailed => "writing to the connection failed",
            CloseReason::UnsolicitedBytes => "bytes arrived that belong to no exchange",
            CloseReason::PeerError(e) => return e.fmt(f),
            CloseReason::Timeout(why) => return write!(f, "timed out: {why}"),
        })
    }
}

/// The deadlines of the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeadlineKind {
    /// When a request head has begun but not ended.
    Head,
    /// When no exchange is open and no byte of one has arrived.
    Idle,
    /// When the machine waits for body bytes and none arrive.
    BodyStall,
    /// When body bytes arrive more slowly than the minimum rate.
    BodyRate,
    /// When output is queued and the peer takes none.
    WriteStall,
    /// When the client waits for `100 Continue`.
    ContinueWait,
    /// When the client waits for a response head, the request being fully written.
    ResponseHead,
    /// When a closing connection waits for the peer's end.
    Linger,
    /// When writing failed and an answer that has already arrived may still be read.
    WriteFailedGrace,
}

impl fmt::Display for DeadlineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeadlineKind::Head => "the request head was not complete in time",
            DeadlineKind::Idle => "the connection was idle for too long",
            DeadlineKind::BodyStall => "the peer stopped sending its body",
            DeadlineKind::BodyRate => "the peer sends its body too slowly",
            DeadlineKind::WriteStall => "the peer stopped reading",
            DeadlineKind::ContinueWait => "waiting for 100 Continue",
            DeadlineKind::ResponseHead => "the response head did not arrive in time",
            DeadlineKind::Linger => "lingering before the close",
            DeadlineKind::WriteFailedGrace => "grace after a failed write",
        })
    }
}

/// A deadline: when, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Deadline {
    /// Call `handle_timeout` at this time or later.
    pub at: Instant,
    /// Which one it is.
    pub why: DeadlineKind,
}

/// What the driver is asked to do. State to look at, not a queue: asking twice gives the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Wants {
    /// Read from the network.
    pub read: bool,
    /// Write what `outgoing` gives.
    pub write: bool,
    /// End the connection, once `write` is false.
    pub finish: Finish,
}

/// How the driver is to end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Finish {
    /// It goes on.
    No,
    /// Shut down writing (send FIN), call `write_shut`, and go on reading while `Wants::read` says so
    /// (RFC 9112, section 9.6).
    ShutdownWrite,
    /// Close the socket.
    Close,
    /// Close the socket so that the peer sees a reset (`SO_LINGER` with no time), if that can be had; else close it. A
    /// response whose body ends with the connection was given up half-way, and a FIN would make what there is of it look
    /// whole.
    Reset,
    /// Take the socket out: it speaks another protocol now. `into_parts` gives the bytes read too far.
    Detach,
}

impl Finish {
    /// Whether the socket is to be closed, one way or the other.
    pub const fn closes(self) -> bool {
        matches!(self, Finish::Close | Finish::Reset)
    }
}
