//! The two families of errors: [`PeerError`], the peer's fault, sticky; and [`Misuse`], the caller's, which
//! leaves the machine unchanged. Both are `Copy` and hold no strings.

use crate::Status;
use core::fmt;

/// The peer broke a rule: which one, and the byte that proves it.
///
/// Once `next_event` has returned one, it returns the same one again; nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerError {
    pub(crate) kind: PeerErrorKind,
    pub(crate) offset: u64,
}

impl PeerError {
    /// Which rule was broken.
    pub const fn kind(self) -> PeerErrorKind {
        self.kind
    }

    /// The offset of the byte that proves it, counted from the first byte received on the connection. For
    /// [`PeerErrorKind::UnexpectedEof`] the number of bytes received.
    pub const fn offset(self) -> u64 {
        self.offset
    }

    /// The status a server answers with; `None` when no answer is due.
    pub const fn status_hint(self) -> Option<Status> {
        self.kind.status_hint()
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl core::error::Error for PeerError {}

macro_rules! peer_errors {
    ($($(#[$doc:meta])* $name:ident => $status:expr, $text:literal;)+) => {
        /// The rules a peer can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum PeerErrorKind {
            $($(#[$doc])* $name,)+
        }

        impl PeerErrorKind {
            /// The status a server answers with; `None` when no answer is due.
            pub const fn status_hint(self) -> Option<Status> {
                match self {
                    $(PeerErrorKind::$name => $status,)+
                }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(PeerErrorKind::$name => $text,)+
                }
            }
        }
    };
}

const BAD: Option<Status> = Some(Status::BAD_REQUEST);
const TOO_LARGE: Option<Status> = Some(Status::REQUEST_HEADER_FIELDS_TOO_LARGE);

peer_errors! {
    /// A byte that is no token character in the method (RFC 9112, section 3.1).
    Method => BAD, "the method holds a byte that is no token character (RFC 9112, section 3.1)";
    /// The request line is not `method SP target SP version CRLF` (RFC 9112, section 3).
    RequestLine => BAD, "the request line is not method, space, target, space, version (RFC 9112, section 3)";
    /// A byte that may not stand in a request target (RFC 9112, section 3.2).
    TargetByte => BAD, "the request target holds a byte that must be percent-encoded (RFC 9112, section 3.2)";
    /// The target has none of the four forms, or one that does not go with the method (RFC 9112, section 3.2).
    TargetForm => BAD, "the request target's form does not go with the method (RFC 9112, section 3.2)";
    /// The version is not of the form `HTTP/d.d` (RFC 9112, section 2.3).
    Version => BAD, "the version is not of the form HTTP/d.d (RFC 9112, section 2.3)";
    /// The major version is not 1 (RFC 9110, section 2.5).
    UnsupportedVersion => Some(Status::HTTP_VERSION_NOT_SUPPORTED), "only HTTP/1.x is spoken here (RFC 9110, section 2.5)";
    /// A line ends in LF without CR, or CR stands without LF (RFC 9112, section 2.2).
    LineEnd => BAD, "a line must end in CRLF, and CR or LF may not stand alone (RFC 9112, section 2.2)";
    /// More empty lines before the start-line than allowed (RFC 9112, section 2.2).
    EmptyLines => BAD, "too many empty lines before the start-line (RFC 9112, section 2.2)";
    /// A field name is empty, holds a byte that is no token character, or white space stands before the colon
    /// (RFC 9112, section 5.1).
    FieldName => BAD, "a field name must be a token directly followed by a colon (RFC 9112, section 5.1)";
    /// A control byte in a field value (RFC 9110, section 5.5).
    FieldValue => BAD, "a field value holds a control byte (RFC 9110, section 5.5)";
    /// A line begins with white space: obsolete line folding, or space before the first field (RFC 9112, sections 2.2 and 5.2).
    LineFolding => BAD, "a field line begins with white space (RFC 9112, sections 2.2 and 5.2)";
    /// The request target is longer than the limit.
    TargetTooLong => Some(Status::URI_TOO_LONG), "the request target is longer than the limit";
    /// The head passed its limit inside the request line.
    RequestLineTooLong => Some(Status::URI_TOO_LONG), "the request line is longer than the limit of the head";
    /// The head is longer than the limit.
    HeadTooLarge => TOO_LARGE, "the head is longer than the limit";
    /// More field lines than the limit.
    TooManyFields => TOO_LARGE, "there are more field lines than the limit";
    /// An HTTP/1.1 request without Host (RFC 9112, section 3.2).
    HostMissing => BAD, "an HTTP/1.1 request must have a Host field (RFC 9112, section 3.2)";
    /// More than one Host field (RFC 9112, section 3.2).
    HostRepeated => BAD, "a request may have only one Host field (RFC 9112, section 3.2)";
    /// The Host value is no `uri-host [ ":" port ]` (RFC 9110, section 7.2).
    Host => BAD, "the Host value is not a host with an optional port (RFC 9110, section 7.2)";
    /// A Content-Length that is no decimal number below 2^63 (RFC 9112, section 6.3).
    ContentLength => BAD, "Content-Length must be a decimal number below 2^63 (RFC 9112, section 6.3)";
    /// Several Content-Length values that differ (RFC 9112, section 6.3).
    ContentLengthConflict => BAD, "Content-Length values contradict each other (RFC 9112, section 6.3)";
    /// A transfer coding other than a single `chunked` (RFC 9112, section 6.1).
    TransferCoding => Some(Status::NOT_IMPLEMENTED), "the only transfer coding understood is a single chunked (RFC 9112, section 6.1)";
    /// Transfer-Encoding in an HTTP/1.0 message (RFC 9112, section 6.1).
    TransferEncodingInHttp10 => BAD, "Transfer-Encoding in an HTTP/1.0 message is faulty framing (RFC 9112, section 6.1)";
    /// Both Content-Length and Transfer-Encoding (RFC 9112, section 6.1).
    LengthAndCoding => BAD, "Content-Length beside Transfer-Encoding may be request smuggling (RFC 9112, section 6.1)";
    /// An expectation other than `100-continue` (RFC 9110, section 10.1.1).
    Expectation => Some(Status::EXPECTATION_FAILED), "the only expectation known is 100-continue (RFC 9110, section 10.1.1)";
    /// CONNECT with a body (RFC 9110, section 9.3.6).
    ConnectContent => BAD, "a CONNECT request has no content (RFC 9110, section 9.3.6)";
    /// The chunk size is no hexadecimal number, or too large (RFC 9112, section 7.1).
    ChunkSize => BAD, "a chunk size must be a hexadecimal number below 2^63 (RFC 9112, section 7.1)";
    /// A control byte in a chunk extension (RFC 9112, section 7.1.1).
    ChunkExtension => BAD, "a chunk extension is malformed (RFC 9112, section 7.1.1)";
    /// No CRLF after a chunk's data (RFC 9112, section 7.1).
    ChunkEnd => BAD, "a chunk's data must be followed by CRLF (RFC 9112, section 7.1)";
    /// A chunk-size line longer than the limit.
    ChunkLineTooLong => BAD, "a chunk-size line is longer than the limit";
    /// Far more chunk framing than data.
    ChunkOverhead => BAD, "there is far more chunk framing than data";
    /// The trailer section is longer than the limit, or has too many fields.
    TrailersTooLarge => TOO_LARGE, "the trailer section is longer than the limit";
    /// The connection ended inside a message.
    UnexpectedEof => None, "the connection ended inside a message";
    /// A status line that is none (RFC 9112, section 4).
    StatusLine => None, "the status line is not version, space, three digits, space, reason (RFC 9112, section 4)";
    /// More interim responses than the limit.
    TooManyInterim => None, "there are more interim responses than the limit";
    /// 101 without a proposed upgrade, or without an Upgrade field of its own (RFC 9110, section 15.2.2).
    UnexpectedSwitch => None, "101 Switching Protocols without a matching Upgrade (RFC 9110, section 15.2.2)";
    /// Bytes arrived that belong to no exchange.
    UnsolicitedBytes => None, "bytes arrived although no response is outstanding (RFC 9112, section 9.2)";
}

impl fmt::Display for PeerErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A call that the caller may not make now, or not with these arguments. The machine is as it was before.
///
/// Never the result of what a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// No open exchange has this id.
    UnknownExchange,
    /// The head of this exchange has not been read yet, or was taken.
    NoHead,
    /// The response head was sent already.
    HeadAlreadySent,
    /// The head must be sent before the body.
    HeadNotSent,
    /// The message was finished, or has no body.
    BodyFinished,
    /// More body bytes than the declared length leaves.
    BodyTooLong,
    /// The declared length was not reached: send the rest, or `abort`.
    BodyTooShort,
    /// Output is full: write first. [`send_capacity`](super::ServerConn::send_capacity) tells.
    Full,
    /// The request body waits for `SendBodyNow`.
    AwaitingContinue,
    /// The connection takes no request now: one is open, or it is closing.
    NotReady,
    /// The connection is closing, or was switched.
    Closed,
    /// More bytes were reported than `recv_space`, `outgoing`, `body` or `direct_body` gave.
    TooMuch,
    /// `received` was called while no read was wanted.
    NotReading,
    /// An interim status outside 100..=199 (101 goes through `send_head`).
    NotInterim,
    /// 1xx as a final status, other than a 101 that answers an upgrade.
    NotFinal,
    /// 101 without a proposed upgrade, or without an `Upgrade` field of its own.
    NoSwitchProposed,
    /// A field that the machine writes itself (`Content-Length`, `Transfer-Encoding`), or one that may not
    /// stand in a trailer section.
    ForbiddenField,
    /// Trailers need chunked framing ([`BodyLen::Unknown`](super::BodyLen::Unknown)).
    TrailersNeedChunked,
    /// An HTTP/1.1 request needs exactly one Host field.
    HostField,
    /// The request target has a form that does not go with the method, or holds a byte that may not be sent.
    Target,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Misuse::UnknownExchange => "no open exchange has this id",
            Misuse::NoHead => "the head has not been read yet, or was taken",
            Misuse::HeadAlreadySent => "the head was sent already",
            Misuse::HeadNotSent => "the head must be sent before the body",
            Misuse::BodyFinished => "the message is finished or has no body",
            Misuse::BodyTooLong => "more body bytes than the declared length",
            Misuse::BodyTooShort => "fewer body bytes than the declared length: send the rest or abort",
            Misuse::Full => "the output is full: write first",
            Misuse::AwaitingContinue => "the body waits for SendBodyNow",
            Misuse::NotReady => "the connection takes no request now",
            Misuse::Closed => "the connection is closing or was switched",
            Misuse::TooMuch => "more bytes than were offered",
            Misuse::NotReading => "no read was wanted",
            Misuse::NotInterim => "not an interim status",
            Misuse::NotFinal => "not a final status",
            Misuse::NoSwitchProposed => "no protocol switch was proposed, or the 101 lacks an Upgrade field",
            Misuse::ForbiddenField => "a field that only the machine writes, or that may not be a trailer",
            Misuse::TrailersNeedChunked => "trailers need chunked framing",
            Misuse::HostField => "an HTTP/1.1 request needs exactly one Host field",
            Misuse::Target => "the target does not go with the method, or holds a byte that may not be sent",
        })
    }
}

impl core::error::Error for Misuse {}
