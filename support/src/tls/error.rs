//! [`TlsError`]: why a session is over.

use std::error::Error;
use std::fmt;

/// Why a TLS session is over, or was not begun.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TlsError {
    /// The name to be verified is neither a DNS name nor an IP address.
    InvalidServerName,
    /// The server's first bytes are those of an HTTP response: it does not speak TLS at this port.
    HttpInsteadOfTls,
    /// The client's first bytes are those of an HTTP request: it does not know that TLS is spoken at this port.
    HttpRequestInsteadOfTls,
    /// The peer's certificate is not accepted; the source tells why.
    Certificate(rustls::Error),
    /// The peer gave up, and said why.
    Alert(rustls::AlertDescription),
    /// The peer broke a rule, or has nothing in common with us.
    Protocol(rustls::Error),
    /// The connection ended without `close_notify`, or within the handshake: anybody on the way can have cut it.
    ///
    /// Plaintext before it is authentic. A message whose end is known by its length or its last chunk does not
    /// mind; one that ends with the connection may have been cut short.
    Truncated,
    /// The caller reported more bytes than there was space, or than were to be sent. Nothing has changed.
    TooMuch,
}

impl TlsError {
    /// What rustls says, in our words.
    pub(super) fn of(error: rustls::Error) -> TlsError {
        match error {
            rustls::Error::AlertReceived(alert) => TlsError::Alert(alert),
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::InvalidCertRevocationList(_)
            | rustls::Error::NoCertificatesPresented => TlsError::Certificate(error),
            _ => TlsError::Protocol(error),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsError::InvalidServerName => "the name to verify is neither a DNS name nor an IP address",
            TlsError::HttpInsteadOfTls => "server gave HTTP response to HTTPS client",
            TlsError::HttpRequestInsteadOfTls => "client sent an HTTP request to an HTTPS server",
            TlsError::Certificate(_) => "the peer's certificate is not accepted",
            TlsError::Alert(alert) => return write!(f, "the peer gave up TLS: alert {alert:?}"),
            TlsError::Protocol(_) => "TLS failed",
            TlsError::Truncated => "the connection ended without TLS close_notify",
            TlsError::TooMuch => "more bytes were reported than there can have been",
        })
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TlsError::Certificate(e) | TlsError::Protocol(e) => Some(e),
            _ => None,
        }
    }
}
