//! [`Error`]: the one error of the async faces. What went wrong is [`ErrorKind`]; causes hang on `source()`.
//!
//! The errors of the machines, [`PeerError`] and [`Misuse`], live in the core; I/O errors enter here.

use antiphon_core::Status;
use antiphon_core::client::call::{CallErrorKind, Phase};
use antiphon_core::client::{CallError, Unsendable};
use antiphon_core::forms::multipart::InvalidPart;
use antiphon_core::h1::{CloseReason, DeadlineKind, Misuse, PeerError};
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Any error, as handlers and body streams give it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A call of a client, a body, a connection or a server failed: [`kind`](Error::kind) says how, `source()` why.
///
/// `Display` of a client's call names the method of its first request, the URL that was asked last (what stands before
/// the host is masked) and how far the call had come: `Get "http://example.com/": failed while waiting for a
/// connection`; that of others the phase and what went wrong. Causes are not repeated in it.
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    what: What,
}

enum What {
    /// In this phase, for this reason.
    Part {
        phase: &'static str,
        source: Option<BoxError>,
    },
    /// A call of a client's.
    Call(Box<CallError>),
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The URL cannot be understood.
    InvalidUrl,
    /// A method, field name or field value that may not be sent; `source()` says which rule it breaks.
    InvalidRequest,
    /// Something that is not there, such as TLS in a build without it.
    Unsupported,
    /// The address could not be listened on, or accepting failed for good.
    Listen,
    /// The host name was not found.
    Resolve,
    /// No connection could be made: [`Error::connect_error`] tells what each address came to.
    Connect,
    /// A proxy could not be reached, or did not lead to the target, or what is set for it cannot be understood:
    /// see [`Error::connect_error`], [`Error::proxy_answer`] and `source()`.
    Proxy,
    /// TLS could not be set up with the target or with a proxy; `source()` tells why.
    Tls,
    /// A deadline passed: the request's own, or, when [`Error::deadline`] tells one, the connection's.
    Timeout,
    /// The peer broke the protocol.
    Peer(PeerError),
    /// The connection ended before the exchange did.
    Closed(CloseReason),
    /// The system reported an error; `source()` is the `std::io::Error`.
    Io,
    /// The application's own body stream failed, did not keep to the length it declared, or could not be made again;
    /// `source()` is the reason.
    Body,
    /// A body is longer than the limit that was given for reading it whole, or for the client's bodies.
    BodyTooLarge,
    /// A body is not text in UTF-8.
    NotText,
    /// A body is no JSON, or not the JSON that was meant; `source()` tells where.
    Json,
    /// The response has this status, which its receiver takes for a failure: see
    /// [`Response::error_for_status`](crate::Response::error_for_status).
    Status(Status),
    /// Code that stands around the calls of a client failed, or that answers for a scheme; `source()` is its reason.
    RoundTrip,
    /// A redirect was refused by the policy, or leads nowhere.
    Redirect,
    /// The content of a response is not what its `Content-Encoding` says, or does not end where it should.
    Decode,
    /// The exchange that the body belongs to is over.
    ExchangeOver,
    /// The response is no protocol switch, so there is no connection to take over.
    NotUpgraded,
    /// A call that may not be made now, or not with these arguments.
    Misuse(Misuse),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, phase: &'static str) -> Error {
        Error(Box::new(Repr {
            kind,
            what: What::Part { phase, source: None },
        }))
    }

    /// An error of a [`RoundTrip`](crate::RoundTrip)'s own, for this reason: of the kind
    /// [`RoundTrip`](ErrorKind::RoundTrip).
    pub fn round_trip(cause: impl Into<BoxError>) -> Error {
        Error::new(ErrorKind::RoundTrip, "answering the request").with_source(cause)
    }

    pub(crate) fn with_source(mut self, cause: impl Into<BoxError>) -> Error {
        if let What::Part { source, .. } = &mut self.0.what {
            *source = Some(cause.into());
        }
        self
    }

    /// A call that failed: of the kind of its cause, where that is one of ours.
    pub(crate) fn call(error: Box<CallError>) -> Error {
        let of = |cause: &(dyn StdError + Send + Sync + 'static), other| {
            cause.downcast_ref::<Error>().map_or(other, Error::kind)
        };
        let kind = match error.kind() {
            CallErrorKind::Unsendable(why) => ErrorKind::unsendable(*why),
            CallErrorKind::Proxy(_) => ErrorKind::Proxy,
            CallErrorKind::Location { .. } | CallErrorKind::Refused(_) => ErrorKind::Redirect,
            CallErrorKind::Timeout(_) => ErrorKind::Timeout,
            CallErrorKind::Body(cause) if cause.is::<InvalidPart>() => ErrorKind::InvalidRequest,
            CallErrorKind::Body(cause) | CallErrorKind::BodyAgain(cause) => of(&**cause, ErrorKind::Body),
            CallErrorKind::Status => error.status().map_or(ErrorKind::ExchangeOver, ErrorKind::Status),
            CallErrorKind::Connect(cause) => of(&**cause, ErrorKind::Connect),
            CallErrorKind::Exchange { cause, .. } => of(&**cause, ErrorKind::Io),
            // Cancelled: whoever drops a call hears nothing of it.
            _ => ErrorKind::ExchangeOver,
        };
        Error(Box::new(Repr {
            kind,
            what: What::Call(error),
        }))
    }

    pub(crate) fn io(phase: &'static str, source: io::Error) -> Error {
        Error::new(ErrorKind::Io, phase).with_source(source)
    }

    pub(crate) fn peer(phase: &'static str, error: PeerError) -> Error {
        Error::new(ErrorKind::Peer(error), phase).with_source(error)
    }

    /// What the core refuses to send.
    pub(crate) fn unsendable(phase: &'static str, why: Unsendable) -> Error {
        Error::new(ErrorKind::unsendable(why), phase).with_source(why)
    }

    pub(crate) fn closed(phase: &'static str, reason: CloseReason) -> Error {
        match reason {
            CloseReason::PeerError(e) => Error::peer(phase, e),
            CloseReason::Timeout(why) => Error::timeout(phase, why),
            _ => Error::new(ErrorKind::Closed(reason), phase).with_source(Said(reason)),
        }
    }

    pub(crate) fn timeout(phase: &'static str, why: DeadlineKind) -> Error {
        Error::new(ErrorKind::Timeout, phase).with_source(Said(why))
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether a deadline passed: the call's, that of a wait for a connection, or one of the connection's.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Whether no connection could be had: resolving or connecting failed, or the wait took too long.
    pub fn is_connect(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Resolve | ErrorKind::Connect | ErrorKind::Proxy
        ) || self.in_phase(Phase::Connect)
    }

    /// Whether the request may not be sent like this: nothing was dialled for it, unless a redirect led to it.
    pub fn is_builder(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::InvalidUrl | ErrorKind::InvalidRequest | ErrorKind::Unsupported | ErrorKind::Misuse(_)
        ) || self.in_phase(Phase::Prepare) && self.0.kind == ErrorKind::Body
    }

    /// Whether it happened while the request was sent or its response's head was awaited.
    pub fn is_request(&self) -> bool {
        self.in_phase(Phase::Exchange)
    }

    /// Whether a redirect was refused, or led nowhere.
    pub fn is_redirect(&self) -> bool {
        self.0.kind == ErrorKind::Redirect
    }

    /// Whether it happened while the response's body was read, or to the request's own body.
    pub fn is_body(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Body | ErrorKind::BodyTooLarge) || self.in_phase(Phase::Body)
    }

    /// Whether the content of a response could not be decoded, or is no text, or not the JSON that was meant.
    pub fn is_decode(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Decode | ErrorKind::NotText | ErrorKind::Json
        )
    }

    /// Whether it is the response's status that was taken for a failure, by
    /// [`Response::error_for_status`](crate::Response::error_for_status).
    pub fn is_status(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Status(_))
    }

    /// The URL that was asked when a call failed, without secrets; the `Location`, if the policy refused it.
    pub fn url(&self) -> Option<&str> {
        Some(self.as_call()?.url())
    }

    /// The status of the response over which a call failed, or that was taken for a failure, or whose body could not be
    /// read.
    pub fn status(&self) -> Option<Status> {
        match self.0.kind {
            ErrorKind::Status(status) => Some(status),
            _ => self.as_call()?.status(),
        }
    }

    /// What the core has to say about a call that failed: among other things, why it was not tried again.
    pub fn as_call(&self) -> Option<&CallError> {
        match &self.0.what {
            What::Call(error) => Some(error),
            What::Part { .. } => None,
        }
    }

    fn in_phase(&self, phase: Phase) -> bool {
        self.as_call().is_some_and(|e| e.phase() == phase)
    }

    /// The deadline of the connection that passed; `None` for the call's own timeout and for other kinds.
    pub fn deadline(&self) -> Option<DeadlineKind> {
        self.cause::<Said<DeadlineKind>>().map(|said| said.0)
    }

    /// The I/O error among the causes, if there is one.
    pub fn io_error(&self) -> Option<&io::Error> {
        self.cause()
    }

    /// The first cause of this type.
    pub(crate) fn cause<T: StdError + 'static>(&self) -> Option<&T> {
        let mut at = self.source();
        while let Some(e) = at {
            if let Some(found) = e.downcast_ref() {
                return Some(found);
            }
            at = e.source();
        }
        None
    }
}

impl ErrorKind {
    fn unsendable(why: Unsendable) -> ErrorKind {
        match why {
            Unsendable::Url(_) => ErrorKind::InvalidUrl,
            Unsendable::Method(_) | Unsendable::Field(_) => ErrorKind::InvalidRequest,
            Unsendable::Misuse(e) => ErrorKind::Misuse(e),
            // Tls, Credentials
            _ => ErrorKind::Unsupported,
        }
    }
}

/// A core reason as a `source()`.
#[derive(Debug)]
struct Said<T>(T);

impl<T: fmt::Display> fmt::Display for Said<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display + fmt::Debug> StdError for Said<T> {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.0.what {
            What::Call(error) => return error.fmt(f),
            What::Part { phase, .. } => phase,
        };
        write!(f, "{phase}: ")?;
        f.write_str(match self.0.kind {
            ErrorKind::InvalidUrl => "the URL cannot be understood",
            ErrorKind::InvalidRequest => "the request may not be sent like this",
            ErrorKind::Unsupported => "not supported",
            ErrorKind::Listen => "cannot listen",
            ErrorKind::Resolve => "the host name was not found",
            ErrorKind::Connect => "no connection could be made",
            ErrorKind::Proxy => "the proxy did not help",
            ErrorKind::Tls => "TLS failed",
            ErrorKind::Timeout => "timed out",
            ErrorKind::Peer(_) => "the peer broke the protocol",
            ErrorKind::Closed(_) => "the connection ended",
            ErrorKind::Io => "I/O error",
            ErrorKind::Body => "the application's body failed",
            ErrorKind::BodyTooLarge => "the body is longer than the limit",
            ErrorKind::NotText => "the body is not UTF-8",
            ErrorKind::Json => "the body is not the JSON that was meant",
            ErrorKind::Status(_) => "the status tells of a failure",
            ErrorKind::RoundTrip => "what stands around the client failed",
            ErrorKind::Redirect => "the redirect was not followed",
            ErrorKind::Decode => "the content is not coded as it says",
            ErrorKind::ExchangeOver => "the exchange is over",
            ErrorKind::NotUpgraded => "the protocol was not switched",
            ErrorKind::Misuse(_) => "a call that may not be made now",
        })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("Error");
        d.field("kind", &self.0.kind);
        match &self.0.what {
            What::Call(error) => d.field("call", error),
            What::Part { phase, source: None } => d.field("phase", phase),
            What::Part {
                phase,
                source: Some(source),
            } => d.field("phase", phase).field("source", source),
        };
        d.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.what {
            What::Call(error) => error.source(),
            What::Part { source, .. } => source.as_deref().map(|e| e as _),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error.kind() {
            ErrorKind::Timeout => io::ErrorKind::TimedOut,
            ErrorKind::Closed(_) => io::ErrorKind::UnexpectedEof,
            ErrorKind::Peer(_) | ErrorKind::Decode => io::ErrorKind::InvalidData,
            _ => error.io_error().map_or(io::ErrorKind::Other, io::Error::kind),
        };
        io::Error::new(kind, error)
    }
}

/// So that a handler can set fields with `?`.
impl From<antiphon_core::InvalidField> for Error {
    fn from(e: antiphon_core::InvalidField) -> Error {
        Error::new(ErrorKind::InvalidRequest, "setting a field").with_source(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use antiphon_core::{FieldValue, InvalidField, Method};

    #[test]
    fn a_call_names_itself_and_masks_secrets() {
        let why = FieldValue::new(b"\n").expect_err("no field value");
        let why = Unsendable::Field(InvalidField::Value(why));
        let error = Error::call(CallError::unsendable(&Method::POST, "http://a:pw@h/", why));
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(
            error.to_string().starts_with("Post \"http://***@h/\": "),
            "{error}"
        );
        assert_eq!(error.url(), Some("http://***@h/"));
        assert!(error.is_builder() && !error.is_request() && !error.is_connect());
        assert!(!format!("{error:?}").contains("pw"));
    }
}
