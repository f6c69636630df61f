//! [`Response`]: what a server's handler returns and what a client's call gives.

use crate::body::Body;
use crate::error::{Error, ErrorKind};
use crate::exclusive::Exclusive;
use crate::upgraded::Upgraded;
use antiphon_core::client::call::{Coding, Past};
use antiphon_core::client::{CallError, Url};
use antiphon_core::h1::CloseReason;
use antiphon_core::{Headers, InvalidField, Method, Status, Version};
use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;

/// A response: status, header section, body.
///
/// ```
/// use antiphon_core::Status;
/// use antiphon_blocking::Response;
///
/// let response = Response::new(Status::NOT_FOUND)
///     .with_header("content-type", "text/plain; charset=utf-8")?
///     .with_body("nothing here\n");
/// assert_eq!(response.status(), 404);
/// # Ok::<(), antiphon_core::InvalidField>(())
/// ```
pub struct Response {
    head: antiphon_core::Response,
    body: Body,
    upgrade: Option<Exclusive<UpgradeFn>>,
    on_sent: Option<Exclusive<SentFn>>,
    received: Option<Box<Received>>,
}

/// What only a received response has.
pub(crate) struct Received {
    pub(crate) reason: Bytes,
    pub(crate) reused: bool,
    pub(crate) remote: SocketAddr,
    pub(crate) informational: Vec<antiphon_core::Response>,
    /// The method of the call's first request.
    pub(crate) operation: Method,
    /// `None` outside the pool, where requests are heads.
    pub(crate) url: Option<Url>,
    pub(crate) history: Vec<Past>,
    pub(crate) coding: Option<Coding>,
}

/// What is told when a response is out.
pub(crate) type SentFn = Box<dyn FnOnce(u64) + Send>;

/// What a server runs on a switched connection.
pub(crate) type UpgradeFn = Box<dyn FnOnce(Upgraded) + Send>;

const LOOKING: &str = "looking at a response";

impl Response {
    /// A response without fields and body.
    pub const fn new(status: Status) -> Response {
        Response {
            head: antiphon_core::Response::new(status),
            body: Body::empty(),
            upgrade: None,
            on_sent: None,
            received: None,
        }
    }

    /// `101 Switching Protocols` to `protocol`; `then` is run with the connection once the response is out, on
    /// the connection's thread.
    ///
    /// Answers a request whose [`Request::upgrade_requested`](crate::Request::upgrade_requested) names the
    /// protocol; to any other request a server answers 500.
    ///
    /// # Errors
    /// [`InvalidField`] if `protocol` may not stand in a field value.
    pub fn upgrade<F>(protocol: &str, then: F) -> Result<Response, InvalidField>
    where
        F: FnOnce(Upgraded) + Send + 'static,
    {
        Ok(Response::new(Status::SWITCHING_PROTOCOLS)
            .with_header("upgrade", protocol)?
            .on_upgrade(then))
    }

    /// Runs `then` with the connection once this response has switched protocols: for a 2xx answer to CONNECT,
    /// or a 101 with fields of its own.
    #[must_use]
    pub fn on_upgrade<F>(mut self, then: F) -> Response
    where
        F: FnOnce(Upgraded) + Send + 'static,
    {
        self.upgrade = Some(Exclusive::new(Box::new(then)));
        self
    }

    /// Calls `done` with the number of body bytes that were sent, once the response is out or was broken off, on
    /// the connection's thread: for access logs.
    #[must_use]
    pub fn on_sent(mut self, done: impl FnOnce(u64) + Send + 'static) -> Response {
        self.on_sent = Some(Exclusive::new(Box::new(done)));
        self
    }

    pub(crate) fn received(head: antiphon_core::Response, body: Body, received: Received) -> Response {
        Response {
            head,
            body,
            upgrade: None,
            on_sent: None,
            received: Some(Box::new(received)),
        }
    }

    /// The same with one more field line.
    ///
    /// # Errors
    /// [`InvalidField`] for a name that is no token or a value with control bytes.
    pub fn with_header(
        mut self,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Response, InvalidField> {
        self.head.headers.append(name, value)?;
        Ok(self)
    }

    /// The same with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Response {
        self.body = body.into();
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.head.status
    }

    /// The version that it came with; outgoing responses are always 1.1.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The header section.
    pub fn headers(&self) -> &Headers {
        &self.head.headers
    }

    /// The header section, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.head.headers
    }

    /// The first value of the field `name`.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.headers.get(name)
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body, to be read.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The body alone.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Head and body.
    pub fn into_parts(self) -> (antiphon_core::Response, Body) {
        (self.head, self.body)
    }

    /// The trailers, once the end of the body was read: [`Body::trailers`].
    pub fn trailers(&self) -> Option<&Headers> {
        self.body.trailers()
    }

    /// An error, if the status is 4xx or 5xx. What is left of the body is given up with the response: to look at it, take
    /// [`error_for_status_ref`](Response::error_for_status_ref).
    ///
    /// # Errors
    /// [`ErrorKind::Status`]; it names the URL that was asked.
    pub fn error_for_status(self) -> Result<Response, Error> {
        match self.status_error() {
            None => Ok(self),
            Some(error) => Err(error),
        }
    }

    /// An error, if the status is 4xx or 5xx.
    ///
    /// # Errors
    /// As [`error_for_status`](Response::error_for_status).
    pub fn error_for_status_ref(&self) -> Result<&Response, Error> {
        match self.status_error() {
            None => Ok(self),
            Some(error) => Err(error),
        }
    }

    /// The call that it answers.
    fn asked(&self) -> Option<(&Method, &Url)> {
        let received = self.received.as_ref()?;
        Some((&received.operation, received.url.as_ref()?))
    }

    fn status_error(&self) -> Option<Error> {
        let status = self.status();
        if !status.is_client_error() && !status.is_server_error() {
            return None;
        }
        Some(match self.asked() {
            Some((operation, url)) => Error::call(CallError::failed_status(operation, url, status)),
            None => Error::new(ErrorKind::Status(status), LOOKING),
        })
    }

    /// Where the field `Location` leads, resolved against the URL that was asked: where a redirect would, which was not
    /// followed, or, behind 201, where the thing is that was made (RFC 9110, section 10.2.2). `None` without the field, or
    /// if it is empty. As for redirects, the URL's fragment is handed on. A response that was not received has no URL: its
    /// `Location` has to be absolute.
    ///
    /// # Errors
    /// [`ErrorKind::Redirect`] for a `Location` that cannot be understood.
    pub fn location(&self) -> Result<Option<Url>, Error> {
        let Some(location) = self.header("location").filter(|l| !l.is_empty()) else {
            return Ok(None);
        };
        let joined = match self.asked() {
            Some((operation, url)) => url.join(location).map_err(|e| {
                let error = CallError::bad_location(operation, url, self.status(), location, e);
                Error::call(error)
            }),
            None => Url::parse(&String::from_utf8_lossy(location))
                .map_err(|e| Error::new(ErrorKind::Redirect, LOOKING).with_source(e)),
        };
        joined.map(Some)
    }

    /// Received: the reason phrase, often empty. Do not depend on it.
    pub fn reason(&self) -> &[u8] {
        self.received.as_ref().map_or(&[], |r| &r.reason)
    }

    /// Received: whether the connection had served a request before.
    pub fn reused(&self) -> bool {
        self.received.as_ref().is_some_and(|r| r.reused)
    }

    /// Received: where it came from.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.received.as_ref().map(|r| r.remote)
    }

    /// Received: the URL that it answers: after redirects, that of the last request.
    pub fn url(&self) -> Option<&Url> {
        self.received.as_ref().and_then(|r| r.url.as_ref())
    }

    /// Received: the requests before, each of which was answered by a redirect that was followed, oldest first.
    pub fn history(&self) -> &[Past] {
        self.received.as_ref().map_or(&[], |r| &r.history)
    }

    /// Received: the content coding that the body is decoded from as it is read. Then there is no `Content-Encoding`
    /// and no `Content-Length` among the fields: they spoke of the coded bytes.
    pub fn decoded(&self) -> Option<Coding> {
        self.received.as_ref()?.coding
    }

    /// Received: the interim (1xx) responses that came before, in order.
    pub fn informational(&self) -> &[antiphon_core::Response] {
        self.received.as_ref().map_or(&[], |r| &r.informational)
    }

    /// Received: why the connection is not used again, once that is known, at the latest when the body has
    /// been read. `None` also when it is used again.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.body.close_reason()
    }

    /// Received: takes the connection over after a 101, or a 2xx to CONNECT.
    ///
    /// # Errors
    /// [`ErrorKind::NotUpgraded`](crate::ErrorKind::NotUpgraded) if it was no such response.
    pub fn into_upgraded(self) -> Result<Upgraded, Error> {
        self.body.into_upgraded()
    }

    /// Head, body, and what runs after a switch: for the server.
    pub(crate) fn split(self) -> (antiphon_core::Response, Body, Option<UpgradeFn>) {
        (self.head, self.body, self.upgrade.map(Exclusive::into_inner))
    }

    pub(crate) fn take_on_sent(&mut self) -> Option<SentFn> {
        self.on_sent.take().map(Exclusive::into_inner)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.head.status)
            .field("headers", &self.head.headers)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
