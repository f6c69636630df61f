//! [`RequestBuilder`]: a request until it is sent, and the one repetition on a fresh connection.

use super::connect::Shared;
use super::exchange::{Exchange, Failed};
use crate::body::Body;
use crate::clock;
use crate::error::{Error, ErrorKind, masked};
use crate::response::{Received, Response};
use antiphon_core::client::retry::{self, Attempt, BodyState, Failure, Retry};
use antiphon_core::client::{Scheme, Url};
use antiphon_core::h1::{BodyLen, CloseReason};
use antiphon_core::{Field, FieldLines, FieldName, FieldValue, Headers, Instant, InvalidField, Method};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const PREPARING: &str = "preparing the request";

/// A request to be sent. What is wrong with it is told by [`send`](RequestBuilder::send).
#[must_use = "a request does nothing before it is sent"]
pub struct RequestBuilder {
    client: Arc<Shared>,
    method: Method,
    url: String,
    headers: Headers,
    body: Body,
    timeout: Option<Duration>,
    /// The first thing that was wrong.
    problem: Option<Error>,
}

impl RequestBuilder {
    pub(super) fn new(client: Arc<Shared>, method: &str, url: String) -> RequestBuilder {
        let mut problem = None;
        let method = Method::new(method).unwrap_or_else(|e| {
            problem = Some(Error::new(ErrorKind::InvalidRequest, PREPARING).with_source(e));
            Method::GET
        });
        RequestBuilder {
            client,
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
    /// A failure of a connection that had served before, without a byte of an answer, is repeated once on a
    /// fresh connection: if nothing was sent, or if the method is safe or an `Idempotency-Key` is there, and in
    /// either case only if the body can be sent again.
    ///
    /// # Errors
    /// Any kind but [`ErrorKind::Listen`]; they name the URL.
    pub fn send(mut self) -> Result<Response, Error> {
        self.run().map_err(|e| e.with_url(&self.url))
    }

    fn run(&mut self) -> Result<Response, Error> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        let invalid = |e| Error::new(ErrorKind::InvalidUrl, PREPARING).with_source(e);
        let url: Url = self.url.parse().map_err(invalid)?;
        if url.scheme() != Scheme::Http {
            let why = "TLS is not there yet: only http:// is spoken";
            return Err(Error::new(ErrorKind::Unsupported, PREPARING).with_source(why));
        }
        let until = self.timeout.map(|t| clock::mono() + t);
        let len = BodyLen::from_fields(&mut self.headers, self.body.framing());
        let len = len.map_err(|m| Error::misuse(PREPARING, m))?;
        if len == BodyLen::None {
            // There is nothing to hold back.
            self.headers.retain(|f| !f.name.is("expect"));
        }
        let body = std::mem::take(&mut self.body);
        match self.attempt(&url, body, len, false, until)? {
            Ok(response) => Ok(response),
            Err(failed) => match self.repeatable(failed, len) {
                Ok(body) => self
                    .attempt(&url, body, len, true, until)?
                    .map_err(|failed| failed.error),
                Err(error) => Err(error),
            },
        }
    }

    /// The outer error is final, the inner one may be a reason to try again.
    fn attempt(
        &self,
        url: &Url,
        body: Body,
        len: BodyLen,
        fresh: bool,
        until: Option<Instant>,
    ) -> Result<Result<Response, Failed>, Error> {
        let held = self.client.connection(&url.key(), fresh, until)?;
        let tunnel;
        let target = if self.method == Method::CONNECT {
            // RFC 9112, section 3.2.3: the port is always named.
            tunnel = format!("{}:{}", url.host(), url.port());
            &*tunnel
        } else {
            url.target().as_str()
        };
        let replay = body.replay();
        let fields = self.fields(url)?;
        let request = (self.method.as_str(), target);
        let mut exchange = Exchange::begin(held, request, &fields, (body, len), until)?;
        match exchange.response() {
            Ok((head, reason)) => {
                let held = exchange.held();
                let (remote, reused) = (held.remote(), held.reused());
                let informational = std::mem::take(&mut exchange.interim);
                let received = Received {
                    reason,
                    reused,
                    remote,
                    informational,
                };
                Ok(Ok(Response::received(head, exchange.into_body(), received)))
            }
            Err(error) => {
                let mut failed = exchange.failed(error);
                failed.body = replay.or(failed.body);
                Ok(Err(failed))
            }
        }
    }

    /// The body for a second attempt, if there may be one.
    fn repeatable(&self, failed: Failed, len: BodyLen) -> Result<Body, Error> {
        use CloseReason::{PeerClosed, ReadFailed, WriteFailed};
        let attempt = Attempt {
            reused: failed.reused,
            written: failed.bytes_sent > 0,
            failure: match failed.error.kind() {
                _ if failed.response_begun => Failure::InResponse,
                ErrorKind::Closed(PeerClosed | ReadFailed | WriteFailed) => Failure::BeforeResponse,
                _ => Failure::Other,
            },
            replayable: retry::is_replayable(self.method.as_str(), self.headers.as_fields()),
            body: match &failed.body {
                _ if len == BodyLen::None => BodyState::None,
                // In memory, or nothing was read of it.
                Some(_) => BodyState::Repeatable,
                None => BodyState::Consumed,
            },
        };
        match (retry::may_retry(&attempt), failed.body) {
            (Retry::Yes(_), body) => Ok(body.unwrap_or_default()),
            (Retry::No(_), _) => Err(failed.error),
        }
    }

    fn fields<'a>(&'a self, url: &'a Url) -> Result<RequestFields<'a>, Error> {
        let own = |name: &str| !self.headers.contains(name);
        let value = |text: &'a str| {
            FieldValue::new(text.as_bytes()).map_err(|e| Error::field(PREPARING, InvalidField::Value(e)))
        };
        Ok(RequestFields {
            host: if own("host") {
                Some(value(url.host_header())?)
            } else {
                None
            },
            agent: match &*self.client.user_agent {
                "" => None,
                name if own("user-agent") => Some(value(name)?),
                _ => None,
            },
            headers: &self.headers,
        })
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", &self.method)
            .field("url", &masked(&self.url))
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// The header section in the order in which it is sent: Host first (RFC 9110, section 7.2), then User-Agent, then
/// the caller's.
struct RequestFields<'a> {
    host: Option<FieldValue<'a>>,
    agent: Option<FieldValue<'a>>,
    headers: &'a Headers,
}

impl FieldLines for RequestFields<'_> {
    fn for_each_field(&self, mut each: impl FnMut(Field<'_>)) {
        const HOST: FieldName<'static> = FieldName::from_static("host");
        const USER_AGENT: FieldName<'static> = FieldName::from_static("user-agent");
        for (name, value) in [(HOST, self.host), (USER_AGENT, self.agent)] {
            if let Some(value) = value {
                each(Field { name, value });
            }
        }
        for field in self.headers {
            // An empty User-Agent says that none is to be sent.
            let withheld = field.name.is("user-agent") && field.value.as_bytes().is_empty();
            if !withheld && !retry::is_private_mark(field) {
                each(field);
            }
        }
    }
}
