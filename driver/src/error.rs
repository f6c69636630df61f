//! [`Error`]: the one error of the async faces. What went wrong is [`ErrorKind`]; causes hang on `source()`.
//!
//! The errors of the machines, [`PeerError`] and [`Misuse`], live in the core; I/O errors enter here.

use antiphon_core::client::{Unsendable, Url};
use antiphon_core::h1::{CloseReason, DeadlineKind, Misuse, PeerError};
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Any error, as handlers and body streams give it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An exchange, a connection or a server failed: [`kind`](Error::kind) says how, `source()` why.
///
/// `Display` names the phase and the URL, with what stands before its host masked; causes are not repeated in it.
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    phase: &'static str,
    url: Option<Box<str>>,
    source: Option<BoxError>,
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
    /// The application's own body stream failed, or did not keep to the length it declared; `source()` is the
    /// reason.
    Body,
    /// A body is longer than the limit that was given for reading it whole.
    BodyTooLarge,
    /// A body is not text in UTF-8.
    NotText,
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
            phase,
            url: None,
            source: None,
        }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// Names the URL, unless one is named already.
    pub(crate) fn with_url(mut self, url: &str) -> Error {
        if self.0.url.is_none() {
            self.0.url = Some(Url::masked(url).into());
        }
        self
    }

    pub(crate) fn io(phase: &'static str, source: io::Error) -> Error {
        Error::new(ErrorKind::Io, phase).with_source(source)
    }

    pub(crate) fn peer(phase: &'static str, error: PeerError) -> Error {
        Error::new(ErrorKind::Peer(error), phase).with_source(error)
    }

    pub(crate) fn misuse(phase: &'static str, misuse: Misuse) -> Error {
        Error::new(ErrorKind::Misuse(misuse), phase).with_source(misuse)
    }

    /// What the core refuses to send.
    pub(crate) fn unsendable(phase: &'static str, why: Unsendable) -> Error {
        match why {
            Unsendable::Url(e) => Error::new(ErrorKind::InvalidUrl, phase).with_source(e),
            Unsendable::Field(e) => Error::new(ErrorKind::InvalidRequest, phase).with_source(e),
            Unsendable::Misuse(e) => Error::misuse(phase, e),
            // Tls, Credentials
            _ => Error::new(ErrorKind::Unsupported, phase).with_source(why),
        }
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

    /// Whether a deadline passed.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// The deadline of the connection that passed; `None` for the request's own timeout and for other kinds.
    pub fn deadline(&self) -> Option<DeadlineKind> {
        self.0
            .source
            .as_ref()?
            .downcast_ref::<Said<DeadlineKind>>()
            .map(|s| s.0)
    }

    /// The I/O error among the causes, if there is one.
    pub fn io_error(&self) -> Option<&io::Error> {
        let mut at = self.source();
        while let Some(e) = at {
            if let Some(io) = e.downcast_ref() {
                return Some(io);
            }
            at = e.source();
        }
        None
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
        f.write_str(self.0.phase)?;
        if let Some(url) = &self.0.url {
            write!(f, " ({url})")?;
        }
        f.write_str(": ")?;
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
            ErrorKind::ExchangeOver => "the exchange is over",
            ErrorKind::NotUpgraded => "the protocol was not switched",
            ErrorKind::Misuse(_) => "a call that may not be made now",
        })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("Error");
        d.field("kind", &self.0.kind).field("phase", &self.0.phase);
        if let Some(url) = &self.0.url {
            d.field("url", url);
        }
        if let Some(source) = &self.0.source {
            d.field("source", source);
        }
        d.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error.kind() {
            ErrorKind::Timeout => io::ErrorKind::TimedOut,
            ErrorKind::Closed(_) => io::ErrorKind::UnexpectedEof,
            ErrorKind::Peer(_) => io::ErrorKind::InvalidData,
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

    #[test]
    fn passwords_are_masked() {
        assert_eq!(Url::masked("http://u:secret@h/p"), "http://***@h/p");
        assert_eq!(Url::masked("http://u:se@cret@h"), "http://***@h");
        assert_eq!(Url::masked("http://h/a:b@c"), "http://h/a:b@c");
        let e = Error::new(ErrorKind::Connect, "connecting").with_url("http://a:pw@h/");
        assert_eq!(
            e.to_string(),
            "connecting (http://***@h/): no connection could be made"
        );
        assert!(!format!("{e:?}").contains("pw"));
    }
}
