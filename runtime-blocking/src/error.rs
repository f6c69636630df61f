//! [`Error`]: what can go wrong in a client call, in a body and in a server, with the phase it happened in and
//! its cause. The same kinds as in the async adapters.

use antiphon_core::InvalidField;
use antiphon_core::client::Unsendable;
use antiphon_core::h1::{CloseReason, DeadlineKind, Misuse, PeerError};
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Any error of the application's.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error of the client, of the server or of a body.
///
/// [`kind`](Error::kind) is for programs. `Display` names the phase, the URL of a client call (with a password
/// masked) and what went wrong; the cause follows through `source()`.
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
    /// The URL cannot be understood, or has no host.
    InvalidUrl,
    /// The request may not be sent like this: a malformed method or field.
    InvalidRequest,
    /// Not supported: a scheme other than `http`. TLS is not there yet.
    Unsupported,
    /// The server cannot listen on the address.
    Listen,
    /// The host name was not found.
    Resolve,
    /// No address of the host could be connected to.
    Connect,
    /// A time limit passed; [`Error::deadline`] tells which of the connection's it was, if any.
    Timeout,
    /// The peer broke the protocol.
    Peer(PeerError),
    /// The connection ended before the exchange was complete.
    Closed(CloseReason),
    /// An error of the operating system.
    Io,
    /// The application's own body failed: its reader did, or it did not keep to the length it declared; `source()`
    /// is the reason.
    Body,
    /// The body is longer than the caller's limit.
    BodyTooLarge,
    /// The body is not UTF-8.
    NotText,
    /// The exchange that the body belongs to is over.
    ExchangeOver,
    /// The protocol was not switched.
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
        self.0.url.get_or_insert_with(|| masked(url).into());
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

    pub(crate) fn field(phase: &'static str, e: InvalidField) -> Error {
        Error::new(ErrorKind::InvalidRequest, phase).with_source(e)
    }

    /// What a failed read of a body to be sent means: our own errors keep their kind.
    pub(crate) fn from_body(e: io::Error) -> Error {
        match e.downcast::<Error>() {
            Ok(ours) => ours,
            Err(e) => Error::new(ErrorKind::Body, "reading the body to be sent").with_source(e),
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether a time limit passed.
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

/// A reason of the core's as a `source()`.
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
            ErrorKind::Closed(CloseReason::ReadFailed | CloseReason::WriteFailed) => {
                io::ErrorKind::ConnectionReset
            }
            ErrorKind::Closed(_) => io::ErrorKind::UnexpectedEof,
            ErrorKind::Peer(_) => io::ErrorKind::InvalidData,
            _ => error.io_error().map_or(io::ErrorKind::Other, io::Error::kind),
        };
        io::Error::new(kind, error)
    }
}

/// `url` with the password of its userinfo replaced by `***`.
pub(crate) fn masked(url: &str) -> String {
    let Some(start) = url.find("://").map(|i| i + 3) else {
        return url.to_string();
    };
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |i| start + i);
    let Some(at) = url[start..end].rfind('@').map(|i| start + i) else {
        return url.to_string();
    };
    match url[start..at].find(':') {
        Some(colon) => format!("{}:***{}", &url[..start + colon], &url[at..]),
        None => url.to_string(),
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
        assert_eq!(masked("http://u:secret@h/p"), "http://u:***@h/p");
        assert_eq!(masked("http://u:se@cret@h"), "http://u:***@h");
        assert_eq!(masked("http://h/a:b@c"), "http://h/a:b@c");
        let e = Error::new(ErrorKind::Connect, "connecting").with_url("http://a:pw@h/");
        assert_eq!(
            e.to_string(),
            "connecting (http://a:***@h/): no connection could be made"
        );
        assert!(!format!("{e:?}").contains("pw"));
    }

    #[test]
    fn an_error_survives_its_way_through_a_reader() {
        let e: io::Error = Error::timeout("reading", DeadlineKind::BodyStall).into();
        assert_eq!(e.kind(), io::ErrorKind::TimedOut);
        let back = Error::from_body(e);
        assert_eq!(
            (back.kind(), back.deadline()),
            (ErrorKind::Timeout, Some(DeadlineKind::BodyStall))
        );
        let e = Error::from_body(io::Error::other("disk on fire"));
        assert_eq!(e.kind(), ErrorKind::Body);
        assert_eq!(e.io_error().unwrap().to_string(), "disk on fire");
    }
}
