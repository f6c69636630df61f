//! [`Response`]: what a server's handler returns and what a client's call gives.

use crate::exclusive::Exclusive;
use crate::upgrade::UpgradeFn;
use crate::{Body, Error, ErrorKind, Upgraded};
use antiphon_core::client::call::{Coding, Past, mend};
use antiphon_core::client::{CallError, Url};
use antiphon_core::h1::CloseReason;
use antiphon_core::{Headers, InvalidField, Method, Status, Version};
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

/// A response: status, header section, body.
///
/// ```
/// use antiphon_core::Status;
/// use antiphon_driver::Response;
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
    received: Option<Box<Received>>,
}

/// What only a received response has.
pub(crate) struct Received {
    pub(crate) reason: Bytes,
    pub(crate) reused: bool,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) informational: Vec<antiphon_core::Response>,
    /// `None` until the call hands the response out.
    pub(crate) chain: Option<Chain>,
    pub(crate) decoded: Option<Coding>,
}

/// The call that it answers.
pub(crate) struct Chain {
    /// The method of the first request.
    pub(crate) operation: Method,
    /// What was asked last.
    pub(crate) url: Url,
    pub(crate) history: Vec<Past>,
}

const LOOKING: &str = "looking at a response";

impl Response {
    /// A response without fields and body.
    pub const fn new(status: Status) -> Response {
        Response {
            head: antiphon_core::Response::new(status),
            body: Body::empty(),
            upgrade: None,
            received: None,
        }
    }

    /// `101 Switching Protocols` to `protocol`; `then` is run with the connection once the response is out, as
    /// part of the connection's task.
    ///
    /// Answers a request whose [`Request::upgrade_requested`](crate::Request::upgrade_requested) names the
    /// protocol; to any other request a server answers 500.
    ///
    /// # Errors
    /// [`InvalidField`] if `protocol` may not stand in a field value.
    pub fn upgrade<F, T>(protocol: &str, then: F) -> Result<Response, InvalidField>
    where
        F: FnOnce(Upgraded) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Ok(Response::new(Status::SWITCHING_PROTOCOLS)
            .with_header("upgrade", protocol)?
            .on_upgrade(then))
    }

    /// Runs `then` with the connection once this response has switched protocols: for a 2xx answer to CONNECT,
    /// or a 101 with fields of its own.
    pub fn on_upgrade<F, T>(mut self, then: F) -> Response
    where
        F: FnOnce(Upgraded) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let then: UpgradeFn = Box::new(move |stream| Box::pin(then(stream)));
        self.upgrade = Some(Exclusive::new(then));
        self
    }

    /// What the call adds when it hands a received response out.
    pub(crate) fn set_chain(&mut self, chain: Chain) {
        if let Some(received) = &mut self.received {
            received.chain = Some(chain);
        }
    }

    /// The body is decoded from now on.
    pub(crate) fn set_decoded(&mut self, coding: Coding) {
        mend(&mut self.head.headers);
        if let Some(received) = &mut self.received {
            received.decoded = Some(coding);
        }
    }

    pub(crate) fn received(head: antiphon_core::Response, received: Received) -> Response {
        Response {
            head,
            body: Body::empty(),
            upgrade: None,
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
    pub fn with_body(mut self, body: impl Into<Body>) -> Response {
        self.body = body.into();
        self
    }

    /// Runs `done` once the body was sent or given up, with the number of its bytes that were handed to the
    /// connection: for access logs.
    pub fn on_sent(mut self, done: impl FnOnce(u64) + Send + 'static) -> Response {
        self.body = std::mem::take(&mut self.body).counted(Box::new(done));
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

    fn status_error(&self) -> Option<Error> {
        let status = self.status();
        if !status.is_client_error() && !status.is_server_error() {
            return None;
        }
        Some(match self.chain() {
            Some(chain) => Error::call(CallError::failed_status(&chain.operation, &chain.url, status)),
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
        let joined = match self.chain() {
            Some(chain) => chain.url.join(location).map_err(|e| {
                let (operation, url) = (&chain.operation, &chain.url);
                let error = CallError::bad_location(operation, url, self.status(), location, e);
                Error::call(error)
            }),
            None => Url::parse(&String::from_utf8_lossy(location))
                .map_err(|e| Error::new(ErrorKind::Redirect, LOOKING).with_source(e)),
        };
        joined.map(Some)
    }

    fn chain(&self) -> Option<&Chain> {
        self.received.as_ref()?.chain.as_ref()
    }

    /// Received: the reason phrase, often empty. Do not depend on it.
    pub fn reason(&self) -> &[u8] {
        self.received.as_ref().map_or(&[], |r| &r.reason)
    }

    /// Received: the URL that was asked: after redirects, that of the last request.
    pub fn url(&self) -> Option<&Url> {
        Some(&self.chain()?.url)
    }

    /// Received: the requests before it, each of which was answered by a redirect that was followed, oldest first.
    pub fn history(&self) -> &[Past] {
        self.chain().map_or(&[], |chain| &chain.history)
    }

    /// Received: the content coding that was asked for behind the caller's back and is taken off the body. The fields
    /// `Content-Encoding` and `Content-Length`, which spoke of the coded bytes, are gone then.
    pub fn decoded(&self) -> Option<Coding> {
        self.received.as_ref()?.decoded
    }

    /// Received: whether the connection had served a request before.
    pub fn reused(&self) -> bool {
        self.received.as_ref().is_some_and(|r| r.reused)
    }

    /// Received: where it came from; `None` over a stream whose other end is not known.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.received.as_ref().and_then(|r| r.remote)
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

    pub(crate) fn take_upgrade(&mut self) -> Option<UpgradeFn> {
        self.upgrade.take().map(Exclusive::into_inner)
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
