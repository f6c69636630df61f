//! What a [`Responder`](super::Responder) refuses ([`RespondError`]), what it mends and tells ([`Notice`]), and why it gives a
//! response up ([`AbortReason`]).

use crate::h1::Misuse;
use crate::{InvalidField, Status};
use core::fmt;

/// A call that the handler may not make now, or not with these arguments. Nothing of it has been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RespondError {
    /// The status and the fields are final: a head was written, or a byte of the body.
    HeadWritten,
    /// The response was finished or given up.
    Ended,
    /// An interim response is 1xx, and not 101.
    NotInterim,
    /// A final status is not 1xx, but for a 101 through `write_head`.
    NotFinal,
    /// A 101 without an upgrade that was proposed, or without a field `Upgrade` of its own (RFC 9110, section 15.2.2).
    NoSwitchProposed,
    /// A response of this status has no content.
    BodyNotAllowed {
        /// The status.
        status: Status,
    },
    /// More bytes than the `Content-Length` that the handler set. None of this call's are sent.
    TooLong {
        /// The length that was set.
        declared: u64,
    },
    /// What was accepted earlier has to be sent first.
    Full,
    /// A field that may not stand in a trailer section (RFC 9110, section 6.5.1).
    ForbiddenTrailer,
    /// No field line at all.
    InvalidField(InvalidField),
}

impl fmt::Display for RespondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RespondError::HeadWritten => "the head was written: status and fields are final",
            RespondError::Ended => "the response was finished or given up",
            RespondError::NotInterim => "an interim response is 1xx, and not 101",
            RespondError::NotFinal => "1xx is no final status: use `inform`",
            RespondError::NoSwitchProposed => {
                "no upgrade was proposed, or the 101 lacks an Upgrade field (RFC 9110, section 15.2.2)"
            }
            RespondError::BodyNotAllowed { status } => {
                return write!(f, "a response with status {status} has no content");
            }
            RespondError::TooLong { declared } => {
                return write!(f, "more bytes than the Content-Length of {declared}");
            }
            RespondError::Full => "what was written earlier has to be sent first",
            RespondError::ForbiddenTrailer => {
                "this field may not stand in a trailer section (RFC 9110, section 6.5.1)"
            }
            RespondError::InvalidField(e) => return e.fmt(f),
        })
    }
}

impl core::error::Error for RespondError {}

/// Why [`Responder::write_to`](super::Responder::write_to) did not take what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum WriteError {
    /// The handler may not write this.
    Refused(RespondError),
    /// The connection takes no response any more.
    Connection(Misuse),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Refused(e) => e.fmt(f),
            WriteError::Connection(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for WriteError {}

impl From<RespondError> for WriteError {
    fn from(e: RespondError) -> WriteError {
        WriteError::Refused(e)
    }
}

impl From<Misuse> for WriteError {
    fn from(e: Misuse) -> WriteError {
        WriteError::Connection(e)
    }
}

/// A mistake of the handler that was mended: for a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A status was written after the head was final; the first one stands.
    Superfluous {
        /// The status that is sent.
        first: Status,
        /// The one that came too late.
        second: Status,
    },
    /// A `Content-Length` beside a `Transfer-Encoding` was dropped.
    LengthDropped,
    /// A `Content-Length` that is no decimal number below 2^63, or several that differ, was dropped.
    LengthInvalid,
    /// A `Transfer-Encoding` other than `chunked` was dropped.
    CodingDropped,
    /// There is no place for trailers: the response has a `Content-Length`, or no content.
    TrailersDropped,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Notice::Superfluous { first, second } => {
                return write!(
                    f,
                    "superfluous status {second}: the head was written with {first}"
                );
            }
            Notice::LengthDropped => "Content-Length beside Transfer-Encoding was dropped",
            Notice::LengthInvalid => "Content-Length was dropped: it is not one decimal number",
            Notice::CodingDropped => "Transfer-Encoding was dropped: only chunked can be sent",
            Notice::TrailersDropped => "trailers were dropped: only a chunked body has a place for them",
        })
    }
}

/// Why a response was given up: the connection closes, so that it does not look whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbortReason {
    /// Fewer bytes were written than the `Content-Length` that the handler set.
    TooShort {
        /// The length that was set.
        declared: u64,
        /// The bytes that were written.
        written: u64,
    },
    /// The handler failed, or panicked, or wants the connection closed.
    Handler,
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AbortReason::TooShort { declared, written } => {
                write!(
                    f,
                    "{written} bytes were written of a Content-Length of {declared}"
                )
            }
            AbortReason::Handler => f.write_str("the handler gave up"),
        }
    }
}
