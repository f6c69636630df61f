//! [`Tunnel`]: CONNECT through an HTTP proxy (RFC 9110, section 9.3.6), on top of [`ClientConn`].
//!
//! The request, its answer, its deadline. Dialling the proxy and TLS live elsewhere.

#[cfg(test)]
mod tests;

use super::proxy::Credentials;
use crate::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, CloseReason, ExchangeId, Misuse, Outgoing, Parts,
    PeerError, ResponseHead, Reuse, Timeouts, Wants,
};
use crate::message::target::is_host;
use crate::{Field, FieldName, FieldValue, Fields, Headers, Instant, Status};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

/// How long a proxy may take to answer CONNECT, unless something else is said.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// What is asked of the proxy.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct TunnelRequest<'a> {
    /// The target's host; an IPv6 literal may stand in brackets or not.
    pub host: &'a str,
    /// The target's port.
    pub port: u16,
    /// Sent as `Proxy-Authorization: Basic`, in the place of such a field among `headers`.
    pub credentials: Option<&'a Credentials>,
    /// Fields to send beside `Host`, such as `User-Agent` or a token for the proxy.
    pub headers: Fields<'a>,
    /// From the beginning to the end of the answer's head. `None`: as long as it takes.
    pub timeout: Option<Duration>,
}

impl<'a> TunnelRequest<'a> {
    /// A tunnel to this host and port: no credentials, no further fields, [`CONNECT_TIMEOUT`].
    pub const fn new(host: &'a str, port: u16) -> TunnelRequest<'a> {
        TunnelRequest {
            host,
            port,
            credentials: None,
            headers: Fields::EMPTY,
            timeout: Some(CONNECT_TIMEOUT),
        }
    }
}

/// A CONNECT under way.
///
/// The loop is that of a [`ClientConn`] without events: while [`result`](Tunnel::result) is `None`, read if
/// [`wants`](Tunnel::wants) says so, write what [`outgoing`](Tunnel::outgoing) gives, and call
/// [`handle_timeout`](Tunnel::handle_timeout) at [`deadline`](Tunnel::deadline). Only the status 200 makes a tunnel.
/// [`head`](Tunnel::head) is the proxy's answer, whatever it was; [`into_parts`](Tunnel::into_parts) gives the bytes
/// that came behind it, which are the target's.
///
/// ```
/// use antiphon_core::Instant;
/// use antiphon_core::client::tunnel::{Tunnel, TunnelRequest};
///
/// let t = Instant::ZERO;
/// let mut tunnel = Tunnel::new(&TunnelRequest::new("example.com", 443), t)?;
/// let n = tunnel.outgoing().first().len();
/// assert_eq!(tunnel.outgoing().first(), b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n");
/// tunnel.sent(n as u64, t)?;
/// tunnel.received_copy(b"HTTP/1.1 200 Connection established\r\n\r\n\x16\x03", t);
/// assert_eq!(tunnel.result(), Some(Ok(())));
/// assert_eq!(tunnel.into_parts().unread, b"\x16\x03"[..]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tunnel {
    conn: ClientConn,
    id: ExchangeId,
    deadline: Option<Instant>,
    result: Option<Result<(), TunnelError>>,
}

impl Tunnel {
    /// Words the request.
    ///
    /// # Errors
    /// [`TunnelError::Request`] if it may not be sent: a malformed host, port 0, a second `Host` among the fields, a
    /// field that frames a body.
    pub fn new(request: &TunnelRequest<'_>, now: Instant) -> Result<Tunnel, TunnelError> {
        let authority = authority(request.host, request.port)?;
        let mut fields = Headers::new();
        let misuse = |_| TunnelError::Request(Misuse::ForbiddenField);
        let host = FieldValue::new(authority.as_bytes()).map_err(|_| TunnelError::Request(Misuse::Target))?;
        fields
            .push(Field::new(FieldName::from_static("host"), host))
            .map_err(misuse)?;
        if let Some(c) = request.credentials {
            fields.append("proxy-authorization", c.basic()).map_err(misuse)?;
        }
        for field in request.headers {
            if request.credentials.is_none() || !field.name.is("proxy-authorization") {
                fields.push(field).map_err(misuse)?;
            }
        }
        // One deadline for all of it, which is kept here.
        let timeouts = Timeouts {
            idle: None,
            body_stall: None,
            write_stall: None,
            ..Timeouts::CLIENT
        };
        let config = ClientConfig {
            timeouts,
            ..ClientConfig::DEFAULT
        };
        let mut conn = ClientConn::new(Arc::new(config), now);
        let id = conn
            .send_request("CONNECT", &authority, &fields, BodyLen::None)
            .map_err(TunnelError::Request)?;
        Ok(Tunnel {
            conn,
            id,
            deadline: request.timeout.map(|t| now + t),
            result: None,
        })
    }

    /// What the driver should do, as [`ClientConn::wants`]. Nothing once the result is there.
    pub fn wants(&self) -> Wants {
        let mut wants = self.conn.wants();
        if self.result.is_some() {
            wants.read = false;
            wants.write = false;
        }
        wants
    }

    /// What is to be written now.
    pub fn outgoing(&self) -> Outgoing<'_> {
        self.conn.outgoing()
    }

    /// `n` bytes of [`outgoing`](Tunnel::outgoing) were written.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`].
    pub fn sent(&mut self, n: u64, now: Instant) -> Result<(), Misuse> {
        self.conn.sent(n, now)
    }

    /// Space to read into.
    pub fn recv_space(&mut self) -> &mut [u8] {
        self.conn.recv_space()
    }

    /// `n` bytes were read into that space.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`], [`Misuse::NotReading`].
    pub fn received(&mut self, n: usize, now: Instant) -> Result<(), Misuse> {
        self.conn.received(n, now)?;
        self.look();
        Ok(())
    }

    /// Takes in bytes that were read elsewhere; returns how many there was room for.
    pub fn received_copy(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut taken = 0;
        loop {
            let n = self.conn.received_copy(&bytes[taken..], now);
            taken += n;
            self.look();
            if n == 0 || taken == bytes.len() {
                return taken;
            }
        }
    }

    /// The proxy closed its side.
    pub fn received_eof(&mut self, now: Instant) {
        self.conn.received_eof(now);
        self.look();
    }

    /// Reading failed.
    pub fn read_failed(&mut self, now: Instant) {
        self.conn.read_failed(now);
        self.look();
    }

    /// Writing failed. An answer may still come for a moment.
    pub fn write_failed(&mut self, now: Instant) {
        self.conn.write_failed(now);
        self.look();
    }

    /// When to call [`handle_timeout`](Tunnel::handle_timeout); `None` once the result is there.
    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.result.is_some() {
            return None;
        }
        let grace = self.conn.deadline(now).map(|d| d.at);
        self.deadline.into_iter().chain(grace).min()
    }

    /// The clock shows `now`. Safe early, late and twice.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.result.is_some() {
            return;
        }
        if self.deadline.is_some_and(|at| at <= now) {
            self.result = Some(Err(TunnelError::Timeout));
            return;
        }
        self.conn.handle_timeout(now);
        self.look();
    }

    /// How it ended; `None` while it goes on.
    pub const fn result(&self) -> Option<Result<(), TunnelError>> {
        self.result
    }

    /// The head of the proxy's answer, be it a tunnel or a refusal, whose body is not read.
    pub fn head(&self) -> Option<ResponseHead<'_>> {
        match self.result {
            Some(Ok(()) | Err(TunnelError::Refused(_))) => self.conn.head(self.id).ok(),
            _ => None,
        }
    }

    /// Takes it apart: `unread` are the first bytes of the target, if there is a tunnel.
    pub fn into_parts(self) -> Parts {
        self.conn.into_parts()
    }

    fn look(&mut self) {
        while self.result.is_none() {
            self.result = match self.conn.next_event() {
                Ok(None) => return,
                Ok(Some(ClientEvent::Response { id, .. })) => {
                    let status = self.conn.head(id).map(|h| h.status());
                    Some(match status {
                        Ok(Status::OK) => Ok(()),
                        Ok(other) => Err(TunnelError::Refused(other)),
                        Err(misuse) => Err(TunnelError::Request(misuse)),
                    })
                }
                Ok(Some(ClientEvent::ExchangeEnd {
                    reuse: Reuse::Close(reason),
                    ..
                })) => Some(Err(TunnelError::Closed(reason))),
                Ok(Some(ClientEvent::Timeout { .. })) => {
                    Some(Err(TunnelError::Closed(CloseReason::WriteFailed)))
                }
                Ok(Some(_)) => None,
                Err(error) => Some(Err(TunnelError::Proxy(error))),
            };
        }
    }
}

/// `host:port`, with brackets around what has colons.
fn authority(host: &str, port: u16) -> Result<String, TunnelError> {
    let authority = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    if port == 0 || host.is_empty() || !is_host(authority.as_bytes(), true) {
        return Err(TunnelError::Request(Misuse::Target));
    }
    Ok(authority)
}

/// Why there is no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelError {
    /// The request may not be sent like this.
    Request(Misuse),
    /// The proxy answered with something else than 200: 407 wants (other) credentials.
    Refused(Status),
    /// The proxy broke the protocol.
    Proxy(PeerError),
    /// The connection ended before the answer.
    Closed(CloseReason),
    /// The answer did not come in time.
    Timeout,
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TunnelError::Request(e) => write!(f, "CONNECT cannot be sent: {e}"),
            TunnelError::Refused(s) => {
                write!(f, "the proxy answered CONNECT with {} {}", s.code(), s.reason())
            }
            TunnelError::Proxy(e) => write!(f, "the proxy's answer to CONNECT is malformed: {e}"),
            TunnelError::Closed(reason) => write!(f, "no answer to CONNECT: {reason}"),
            TunnelError::Timeout => f.write_str("the proxy did not answer CONNECT in time"),
        }
    }
}

impl core::error::Error for TunnelError {}
