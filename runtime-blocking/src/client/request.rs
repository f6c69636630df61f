//! [`RequestBuilder`]: a request until it is sent. What happens then is in `call`.

use super::call::{self, Upload};
use super::hub::Hub;
use crate::body::Body;
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::response::Response;
use antiphon_core::client::call::Content;
use antiphon_core::client::{Call, CallRequest, Unsendable, Url};
use antiphon_core::h1::BodyLen;
use antiphon_core::{Headers, InvalidField, Method};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(super) const PREPARING: &str = "preparing the request";

/// A request to be sent. What is wrong with it is told by [`send`](RequestBuilder::send).
#[must_use = "a request does nothing before it is sent"]
pub struct RequestBuilder {
    hub: Arc<Hub>,
    method: Method,
    url: String,
    headers: Headers,
    body: Body,
    timeout: Option<Duration>,
    /// The first thing that was wrong.
    problem: Option<Error>,
}

impl RequestBuilder {
    pub(super) fn new(hub: Arc<Hub>, method: &str, url: String) -> RequestBuilder {
        let mut problem = None;
        let method = Method::new(method).unwrap_or_else(|e| {
            problem = Some(Error::new(ErrorKind::InvalidRequest, PREPARING).with_source(e));
            Method::GET
        });
        RequestBuilder {
            hub,
            method,
            url,
            headers: Headers::new(),
            body: Body::empty(),
            timeout: None,
            problem,
        }
    }

    /// Adds a field line. Host and User-Agent replace the client's own; an empty User-Agent is not sent.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> RequestBuilder {
        if let Err(e) = self.headers.append(name, value) {
            self.refuse(e);
        }
        self
    }

    /// Adds the lines of `headers`.
    pub fn headers(mut self, headers: &Headers) -> RequestBuilder {
        for field in headers {
            if let Err(e) = self.headers.push(field) {
                self.refuse(e);
            }
        }
        self
    }

    fn refuse(&mut self, e: InvalidField) {
        self.problem.get_or_insert_with(|| Error::field(PREPARING, e));
    }

    /// The body. One in memory can be sent again if the connection turns out to be closed; a reader cannot.
    pub fn body(mut self, body: impl Into<Body>) -> RequestBuilder {
        self.body = body.into();
        self
    }

    /// Sends the body only when the server says `100 Continue`, answers without, or says nothing for a second
    /// ([`Timeouts::continue_wait`](antiphon_core::h1::Timeouts::continue_wait)).
    pub fn expect_continue(self) -> RequestBuilder {
        self.header("expect", "100-continue")
    }

    /// The time for everything: waiting for a connection, connecting, sending, and reading the response's body.
    pub fn timeout(mut self, timeout: Duration) -> RequestBuilder {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the request and waits for the head of the response. If it comes before the request's body is sent,
    /// sending goes on while the response's body is read, and stops when that ends.
    ///
    /// A failure of a connection that had served before, without a byte of an answer or with a 408 that closes
    /// it, is repeated once on a fresh connection: if nothing was sent, or if the method is safe or an `Idempotency-Key` is there (which is
    /// not sent if it is empty), and in either case only if the body can be sent again.
    ///
    /// # Errors
    /// Any kind but [`ErrorKind::Listen`]; they name the URL. What is wrong with the URL, the method, the fields,
    /// or a body in memory is told before anything is dialled.
    pub fn send(self) -> Result<Response, Error> {
        self.run()
    }

    fn run(self) -> Result<Response, Error> {
        if let Some(problem) = self.problem {
            return Err(problem.with_url(&self.url));
        }
        let RequestBuilder {
            hub,
            method,
            url,
            mut headers,
            body,
            timeout,
            ..
        } = self;
        if !hub.default_headers.is_empty() {
            add_defaults(&mut headers, &hub.default_headers).map_err(|e| Error::field(PREPARING, e).with_url(&url))?;
        }
        let mut config = Arc::clone(&hub.call);
        if timeout.is_some() {
            Arc::make_mut(&mut config).timeout = timeout;
        }
        let in_memory = body.content();
        let request = CallRequest {
            method,
            url,
            headers,
            body: match (body.framing(), &in_memory) {
                (BodyLen::None, _) => Content::None,
                (len, Some(_)) => Content::Repeatable(len),
                (len, None) => Content::Once(len),
            },
        };
        let call = Call::new(request, config, clock::mono()).map_err(|e| Error::call(*e))?;
        if let Some((len, trailers)) = in_memory {
            call.check_body(len, &trailers).map_err(|e| Error::call(*e))?;
        }
        call::perform(&hub, call, Upload::new(body))
    }
}

/// Adds those whose name is not there.
fn add_defaults(headers: &mut Headers, defaults: &Headers) -> Result<(), InvalidField> {
    let own = headers.clone();
    for field in defaults {
        if !own.contains(field.name.as_str()) {
            headers.push(field)?;
        }
    }
    Ok(())
}

pub(super) fn unsendable(why: Unsendable) -> Error {
    Error::unsendable(PREPARING, why)
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", &self.method)
            .field("url", &Url::masked(&self.url))
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
