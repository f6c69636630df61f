//! [`CallError`]: what went wrong with a call, in which phase, at which URL; and nothing secret.

use super::super::prepare::Unsendable;
use super::super::proxy::InvalidProxy;
use super::super::retry::{Failure, WhyNot};
use super::super::url::{InvalidUrl, Url};
use super::redirect::quoted;
use crate::{Method, Status};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;

/// What a driver knows about a failure. It is the error's source, not repeated in its text.
pub type Cause = Box<dyn core::error::Error + Send + Sync>;

/// A call failed.
///
/// The text names the operation (the method of the first request), the URL that was asked when it happened, with
/// masked userinfo, and the phase. The cause that a driver handed in is the [`source`](core::error::Error::source).
#[derive(Debug)]
pub struct CallError {
    pub(super) operation: String,
    pub(super) url: String,
    pub(super) phase: Phase,
    pub(super) status: Option<Status>,
    pub(super) kind: CallErrorKind,
}

/// How far the call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Before anything was sent.
    Prepare,
    /// Waiting for a connection: in the line of the pool, resolving, dialling, shaking hands.
    Connect,
    /// Sending the request and waiting for the response's head.
    Exchange,
    /// Between two requests.
    Redirect,
    /// The response's head was there, and was judged.
    Response,
    /// Reading the response's body.
    Body,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// A request of the chain may not be sent.
    Unsendable(Unsendable),
    /// The proxy that is set for the URL cannot be understood.
    Proxy(InvalidProxy),
    /// The `Location` cannot be understood.
    Location {
        /// As it came, without userinfo, at most 200 bytes of it.
        location: String,
        /// What is wrong with it.
        error: InvalidUrl,
    },
    /// The redirect policy refused, and said why.
    Refused(Cow<'static, str>),
    /// A deadline passed.
    Timeout(DeadlineKind),
    /// The caller gave up.
    Cancelled,
    /// The request's body could not be made.
    Body(Cause),
    /// The request's body could not be had again.
    BodyAgain(Cause),
    /// The status was taken for a failure: it is [`CallError::status`].
    Status,
    /// No connection could be had.
    Connect(Cause),
    /// The connection or the protocol failed, and the request is not sent again for the reason given; none
    /// once the response had been handed out.
    Exchange {
        /// What went wrong.
        failure: Failure,
        /// Why it is not tried again.
        not_retried: Option<WhyNot>,
        /// What the driver knows.
        cause: Cause,
    },
}

/// Which deadline of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeadlineKind {
    /// That of the whole call, the reading of the body included.
    Total,
    /// That of the wait for a connection.
    Connect,
}

impl CallError {
    /// What was wrong with a request before it could become a call.
    pub fn unsendable(method: &Method, url: &str, why: Unsendable) -> Box<CallError> {
        Box::new(CallError {
            operation: title_case(method),
            url: quoted(url.as_bytes()),
            phase: Phase::Prepare,
            status: None,
            kind: CallErrorKind::Unsendable(why),
        })
    }

    /// What was wrong with a request's body before there was a call.
    pub fn body(method: &Method, url: &str, why: impl Into<Cause>) -> Box<CallError> {
        Box::new(CallError {
            operation: title_case(method),
            url: quoted(url.as_bytes()),
            phase: Phase::Prepare,
            status: None,
            kind: CallErrorKind::Body(why.into()),
        })
    }

    /// A response that the caller takes for a failure because of its status. `method`: that of the first request; `url`:
    /// what was asked last.
    pub fn failed_status(method: &Method, url: &Url, status: Status) -> Box<CallError> {
        CallError::of_response(method, url, status, CallErrorKind::Status)
    }

    /// A response whose `Location` the caller asked for, and which cannot be understood.
    pub fn bad_location(
        method: &Method,
        url: &Url,
        status: Status,
        location: &[u8],
        error: InvalidUrl,
    ) -> Box<CallError> {
        let location = quoted(location);
        CallError::of_response(method, url, status, CallErrorKind::Location { location, error })
    }

    fn of_response(method: &Method, url: &Url, status: Status, kind: CallErrorKind) -> Box<CallError> {
        Box::new(CallError {
            operation: title_case(method),
            url: url.to_string(),
            phase: Phase::Response,
            status: Some(status),
            kind,
        })
    }

    /// The method of the first request in title case: `Get`.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The URL that was asked, without secrets; the `Location` if the policy refused it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How far the call had come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The status of the last response, if the call failed over one or behind one.
    pub fn status(&self) -> Option<Status> {
        self.status
    }

    /// What went wrong.
    pub fn kind(&self) -> &CallErrorKind {
        &self.kind
    }

    /// Whether a deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, CallErrorKind::Timeout(_))
    }
}

pub(super) fn title_case(method: &Method) -> String {
    let name = method.as_str();
    let mut text = String::with_capacity(name.len());
    // A token is ASCII.
    text.push_str(&name[..1]);
    text.extend(name[1..].chars().map(|c| c.to_ascii_lowercase()));
    text
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\": ", self.operation, self.url)?;
        match &self.kind {
            CallErrorKind::Unsendable(e) => e.fmt(f),
            CallErrorKind::Proxy(e) => e.fmt(f),
            CallErrorKind::Location { location, error } => {
                write!(f, "failed to parse Location \"{location}\": {error}")
            }
            CallErrorKind::Refused(why) => f.write_str(why),
            CallErrorKind::Timeout(kind) => {
                let which = match kind {
                    DeadlineKind::Total => "the call's",
                    DeadlineKind::Connect => "the connection's",
                };
                write!(f, "{which} deadline passed {}", self.phase)
            }
            CallErrorKind::Cancelled => write!(f, "cancelled {}", self.phase),
            CallErrorKind::Body(_) => f.write_str("the request's body could not be made"),
            CallErrorKind::BodyAgain(_) => f.write_str("the request's body could not be had again"),
            CallErrorKind::Status => match self.status {
                Some(status) if !status.reason().is_empty() => {
                    write!(f, "the answer was {status} {}", status.reason())
                }
                Some(status) => write!(f, "the answer was {status}"),
                None => f.write_str("the answer was a failure"),
            },
            CallErrorKind::Connect(_) | CallErrorKind::Exchange { .. } => write!(f, "failed {}", self.phase),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Prepare => "before anything was sent",
            Phase::Connect => "while waiting for a connection",
            Phase::Exchange => "while sending the request or waiting for the response",
            Phase::Redirect => "between two requests",
            Phase::Response => "after the response's head had come",
            Phase::Body => "while reading the body",
        })
    }
}

impl core::error::Error for CallError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.kind {
            CallErrorKind::Unsendable(e) => Some(e),
            CallErrorKind::Proxy(e) => Some(e),
            CallErrorKind::Location { error, .. } => Some(error),
            CallErrorKind::Body(cause)
            | CallErrorKind::BodyAgain(cause)
            | CallErrorKind::Connect(cause)
            | CallErrorKind::Exchange { cause, .. } => Some(&**cause),
            CallErrorKind::Status
            | CallErrorKind::Refused(_)
            | CallErrorKind::Timeout(_)
            | CallErrorKind::Cancelled => None,
        }
    }
}
