//! [`RequestBuilder`]: a request until it is sent, and the one repetition on a fresh connection. What is checked
//! before is the core's [`Prepared`].

use super::connect::Shared;
use super::exchange::{Exchange, Failed};
use crate::body::Body;
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::response::{Received, Response};
use antiphon_core::client::Url;
use antiphon_core::client::retry::{self, Attempt, BodyState, Failure, Retry};
use antiphon_core::client::{Prepared, Scheme, Unsendable};
use antiphon_core::h1::{BodyLen, CloseReason, PeerErrorKind};
use antiphon_core::{Headers, Instant, InvalidField, Method};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(super) const PREPARING: &str = "preparing the request";

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
    /// A failure of a connection that had served before, without a byte of an answer or with a 408 that closes
    /// it, is repeated once on a fresh connection: if nothing was sent, or if the method is safe or an `Idempotency-Key` is there (which is
    /// not sent if it is empty), and in either case only if the body can be sent again.
    ///
    /// # Errors
    /// Any kind but [`ErrorKind::Listen`]; they name the URL. What is wrong with the URL, the method, the fields,
    /// or a body in memory is told before anything is dialled.
    pub fn send(mut self) -> Result<Response, Error> {
        self.run().map_err(|e| e.with_url(&self.url))
    }

    fn run(&mut self) -> Result<Response, Error> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        let until = self.timeout.map(|t| clock::mono() + t);
        let (client, body) = (&self.client, std::mem::take(&mut self.body));
        let request = Prepared::new(
            &self.method,
            &self.url,
            &mut self.headers,
            &client.user_agent,
            body.framing(),
        )
        .map_err(unsendable)?;
        if request.url().scheme() != Scheme::Http {
            return Err(unsendable(Unsendable::Tls));
        }
        let content = body.content();
        request
            .check(content.as_ref().map(|(len, trailers)| (*len, trailers)))
            .map_err(unsendable)?;
        let (mut body, mut fresh) = (body, false);
        loop {
            match attempt(client, &request, body, fresh, until)? {
                Ok(response) => return Ok(response),
                // Once: see `attempt`.
                Err(again) => (body, fresh) = (again, true),
            }
        }
    }
}

pub(super) fn unsendable(why: Unsendable) -> Error {
    Error::unsendable(PREPARING, why)
}

/// The inner error is the body for another attempt, on a fresh connection. An attempt on a `fresh` one is never
/// repeated.
fn attempt(
    client: &Arc<Shared>,
    request: &Prepared<'_>,
    body: Body,
    fresh: bool,
    until: Option<Instant>,
) -> Result<Result<Response, Body>, Error> {
    let held = client.connection(&request.key(), fresh, until)?;
    let replay = body.replay();
    let mut exchange = Exchange::begin(held, request, body, until)?;
    match exchange.response() {
        Ok((head, reason)) => {
            if !fresh
                && exchange.was_given_up(&head)
                && let Some(body) = after_giving_up(request, &mut exchange, replay)
            {
                return Ok(Err(body));
            }
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
            if fresh {
                return Err(failed.error);
            }
            repeatable(request, failed).map(Err)
        }
    }
}

/// The server had closed the idle connection with a 408 that crossed the request: the body for a second attempt,
/// if there may be one.
fn after_giving_up(request: &Prepared<'_>, exchange: &mut Exchange, replay: Option<Body>) -> Option<Body> {
    let attempt = Attempt {
        reused: exchange.held().reused(),
        written: exchange.bytes_sent() > 0,
        failure: Failure::ServerClosedIdle,
        replayable: request.is_replayable(),
        body: match &replay {
            _ if request.body_len() == BodyLen::None => BodyState::None,
            Some(_) => BodyState::Repeatable,
            None => BodyState::Consumed,
        },
    };
    match retry::may_retry(&attempt) {
        Retry::Yes(_) => Some(replay.unwrap_or_default()),
        Retry::No(_) => None,
    }
}

/// The body for a second attempt, if there may be one.
fn repeatable(request: &Prepared<'_>, failed: Failed) -> Result<Body, Error> {
    use CloseReason::{PeerClosed, ReadFailed, WriteFailed};
    let attempt = Attempt {
        reused: failed.reused,
        written: failed.bytes_sent > 0,
        failure: match failed.error.kind() {
            _ if failed.response_begun => Failure::InResponse,
            ErrorKind::Closed(PeerClosed | ReadFailed | WriteFailed) => Failure::BeforeResponse,
            ErrorKind::Peer(e) if e.kind() == PeerErrorKind::UnexpectedEof => Failure::BeforeResponse,
            _ => Failure::Other,
        },
        replayable: request.is_replayable(),
        body: match &failed.body {
            _ if request.body_len() == BodyLen::None => BodyState::None,
            // In memory, or nothing was read of it.
            Some(_) => BodyState::Repeatable,
            None => BodyState::Consumed,
        },
    };
    match retry::may_retry(&attempt) {
        Retry::Yes(_) => Ok(failed.body.unwrap_or_default()),
        Retry::No(_) => Err(failed.error),
    }
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
