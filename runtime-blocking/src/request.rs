//! [`Request`]: what a server's handler is given.

use crate::body::Body;
use crate::server::Connection;
use antiphon_core::h1::{OwnedHead, RequestHead, Switch};
use antiphon_core::{Fields, Method, Target, Version};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A received request: head, body, addresses.
///
/// The head is the connection's own storage, taken out without a copy; it goes back when the request (or what
/// is left of it) is dropped.
pub struct Request {
    head: Head,
    body: Body,
    proposes: Switch,
}

/// A head that returns its storage.
struct Head {
    head: OwnedHead,
    home: Arc<Connection>,
}

impl Drop for Head {
    fn drop(&mut self) {
        self.home.recycle(std::mem::take(&mut self.head));
    }
}

impl Request {
    pub(crate) fn new(head: OwnedHead, home: Arc<Connection>, body: Body, proposes: Switch) -> Request {
        Request {
            head: Head { head, home },
            body,
            proposes,
        }
    }

    /// The head as a whole.
    pub fn head(&self) -> RequestHead<'_> {
        // A request is only made of a request head.
        self.head
            .head
            .as_request()
            .expect("the head of a request is a request head")
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        self.head().method()
    }

    /// The request target, verbatim.
    pub fn target(&self) -> &str {
        self.head().target()
    }

    /// The target's path, not decoded.
    pub fn path(&self) -> &str {
        self.head().path()
    }

    /// The target's query, not decoded, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.head().query()
    }

    /// The host that is asked for: the authority of an absolute target, else the Host field.
    pub fn host(&self) -> Option<&str> {
        self.head().host()
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// The header section.
    pub fn headers(&self) -> Fields<'_> {
        self.head.head.fields()
    }

    /// The first value of the field `name`.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().get(name)
    }

    /// The client's address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.head.home.remote_addr()
    }

    /// The address that the client connected to.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.head.home.local_addr()
    }

    /// The protocol switch that the client proposes: the value of `Upgrade` (RFC 9110, section 7.8), or
    /// `CONNECT` for a CONNECT request; `None` if it proposes none. Answer with
    /// [`Response::upgrade`](crate::Response::upgrade), or with anything else to decline.
    pub fn upgrade_requested(&self) -> Option<&str> {
        match self.proposes {
            Switch::None => None,
            Switch::Connect => Some("CONNECT"),
            Switch::Upgrade => self.headers().get_str("upgrade"),
        }
    }

    /// Whether the client is gone: it reset the connection, or writing to it failed, so that no answer can reach
    /// it. A handler that works for long asks now and then. Looks at the socket without waiting.
    ///
    /// A client that only sends no more is not gone: it may wait for the answer
    /// ([`ServerConfig::cancel_on_half_close`](antiphon_core::h1::ServerConfig::cancel_on_half_close) says otherwise).
    pub fn client_gone(&self) -> bool {
        self.head.home.client_gone()
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body, to be read.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The body alone. It can be read on another thread, but not for longer than the exchange lasts: once the
    /// response is complete, reading gives an error
    /// ([`ErrorKind::ExchangeOver`](crate::ErrorKind::ExchangeOver) or what closed the connection) if the body's
    /// end was not reached.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// An owned head, and the body. The head is copied.
    pub fn into_parts(self) -> (antiphon_core::Request, Body) {
        (self.to_owned_head(), self.body)
    }

    fn to_owned_head(&self) -> antiphon_core::Request {
        let head = self.head();
        head.to_request().unwrap_or_else(|| {
            // Bytes above 0x7F, which `Profile::target_high_bytes` lets in, are percent-encoded.
            let mut text = String::new();
            for &b in head.target_bytes() {
                match b {
                    0x80.. => text.push_str(&format!("%{b:02X}")),
                    _ => text.push(b as char),
                }
            }
            let root = || Target::new("/").expect("a slash is a target");
            antiphon_core::Request {
                method: Method::new(head.method()).unwrap_or(Method::GET),
                target: Target::new(text).unwrap_or_else(|_| root()),
                version: head.version(),
                headers: head.fields().to_headers(),
            }
        })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("head", &self.head())
            .field("body", &self.body)
            .field("remote", &self.remote_addr())
            .finish_non_exhaustive()
    }
}
