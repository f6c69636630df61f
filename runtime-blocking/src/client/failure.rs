//! Why a client got no connection, as an [`Error`]: the core's [`ConnectError`] (phase, host, what each address came
//! to), what the system or the TLS library said, and what a proxy answered.

use crate::error::{BoxError, Error, ErrorKind};
use antiphon_core::Status;
use antiphon_core::client::connect::{ConnectCause, ConnectError, DialFailure, Phase};
use antiphon_core::client::tunnel::TunnelError;
use std::error::Error as StdError;
use std::fmt;
use std::io;

pub(super) const CONNECTING: &str = "connecting";
/// So much of the body of a proxy's refusal is kept: enough for its first sentence.
const ANSWER: usize = 512;

/// What a proxy answered to a CONNECT that it refused. See [`Error::proxy_answer`].
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAnswer {
    status: Status,
    body: Box<[u8]>,
}

impl ProxyAnswer {
    pub(super) fn new(status: Status, body: &[u8]) -> ProxyAnswer {
        ProxyAnswer {
            status,
            body: body[..body.len().min(ANSWER)].into(),
        }
    }

    /// The status: 407 asks for (other) credentials.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The beginning of the body, as far as it came together with the head: at most 512 bytes, as they were sent.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl fmt::Debug for ProxyAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyAnswer")
            .field("status", &self.status)
            .field("body", &self.body.escape_ascii().to_string())
            .finish()
    }
}

/// What the steps of making a connection left behind, beside the core's error.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// What the resolver said.
    pub(super) resolver: Option<io::Error>,
    /// What the system said to the last address that failed.
    pub(super) dial: Option<io::Error>,
    /// What the TLS library said.
    pub(super) tls: Option<BoxError>,
    /// What the proxy answered.
    pub(super) answer: Option<ProxyAnswer>,
}

/// The cause of an error of the kinds `Resolve`, `Connect`, `Proxy`, `Tls`, and `Timeout` while connecting.
#[derive(Debug)]
struct NotConnected {
    error: ConnectError,
    answer: Option<ProxyAnswer>,
    cause: Option<BoxError>,
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        match &self.answer {
            Some(answer) if !answer.body.is_empty() => {
                // Somebody else's text goes into somebody's log: in one line, and nothing but ASCII.
                write!(f, ": \"{}\"", answer.body.escape_ascii())
            }
            _ => Ok(()),
        }
    }
}

impl StdError for NotConnected {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            Some(cause) => Some(&**cause),
            None => self.error.source(),
        }
    }
}

/// The error of a connection that was not made.
pub(super) fn not_connected(error: ConnectError, remains: Remains) -> Error {
    let kind = kind(&error);
    let cause: Option<BoxError> = match (error.cause(), error.phase()) {
        (ConnectCause::Resolver, _) => remains.resolver.map(Into::into),
        (ConnectCause::Tls, _) => remains.tls,
        (ConnectCause::AllFailed, _) | (_, Phase::Dial) => remains.dial.map(Into::into),
        _ => None,
    };
    // Callers look for an I/O error of this kind.
    let cause = match kind {
        ErrorKind::Timeout => cause.or_else(|| Some(io::Error::from(io::ErrorKind::TimedOut).into())),
        _ => cause,
    };
    Error::new(kind, CONNECTING).with_source(NotConnected {
        error,
        answer: remains.answer,
        cause,
    })
}

fn kind(error: &ConnectError) -> ErrorKind {
    match error.cause() {
        ConnectCause::PhaseTimeout | ConnectCause::TotalTimeout => return ErrorKind::Timeout,
        ConnectCause::Tunnel(TunnelError::Timeout) => return ErrorKind::Timeout,
        ConnectCause::AllFailed if error.count(DialFailure::TimedOut) == error.addresses().len() => {
            return ErrorKind::Timeout;
        }
        _ => {}
    }
    match error.phase() {
        // A proxy that cannot be reached is not the target's fault.
        Phase::Dial if error.through_proxy() => ErrorKind::Proxy,
        Phase::Proxy => ErrorKind::Proxy,
        Phase::Resolve => ErrorKind::Resolve,
        Phase::ProxyTls | Phase::TargetTls => ErrorKind::Tls,
        _ => ErrorKind::Connect,
    }
}

impl Error {
    /// Why no connection was made: the phase, whom it was about, and what each address came to. Of errors of the
    /// kinds [`Resolve`](ErrorKind::Resolve), [`Connect`](ErrorKind::Connect), [`Proxy`](ErrorKind::Proxy) and
    /// [`Tls`](ErrorKind::Tls), and of a [`Timeout`](ErrorKind::Timeout) while connecting.
    pub fn connect_error(&self) -> Option<&ConnectError> {
        self.not_connected().map(|n| &n.error)
    }

    /// What the proxy answered to the CONNECT that it refused.
    pub fn proxy_answer(&self) -> Option<&ProxyAnswer> {
        self.not_connected()?.answer.as_ref()
    }

    fn not_connected(&self) -> Option<&NotConnected> {
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
