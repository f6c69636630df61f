//! [`RequestBuilder`]: a request until it is sent. What happens then is in `call.rs`.

use super::call::Active;
use super::hub::Hub;
use super::middleware::{self, OutgoingRequest, ResponseFuture};
use super::supply::Supply;
use crate::runtime::{Runtime, Spawn};
use crate::{Body, Error, Response, Task, Trace};
use antiphon_core::client::call::{Codings, RedirectPolicy};
use antiphon_core::client::{Basic, Call, CallConfig, CallError, CallRequest, Unsendable};
use antiphon_core::{Headers, InvalidField, Method};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A request to be sent. What is wrong with it is told by [`send`](RequestBuilder::send).
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<R: Runtime> {
    hub: Arc<Hub<R>>,
    method: Method,
    url: String,
    headers: Headers,
    body: Body,
    /// The client's settings; a copy of them, as soon as one is changed.
    config: Arc<CallConfig>,
    /// What few requests have.
    aside: Option<Box<Aside>>,
}

#[derive(Default)]
struct Aside {
    /// The first thing that was wrong.
    problem: Option<Unsendable>,
    trace: Option<Arc<dyn Trace>>,
}

/// What comes of a request that is sent.
enum Started<R: Runtime + Spawn<Task>> {
    Call(Box<Active<R>>),
    /// ... with what stands around the calls of its client.
    Around(ResponseFuture<'static>),
}

impl<R: Runtime + Spawn<Task>> RequestBuilder<R> {
    pub(super) fn new(hub: Arc<Hub<R>>, method: &str, url: String) -> RequestBuilder<R> {
        let (method, problem) = match Method::new(method) {
            Ok(method) => (method, None),
            Err(e) => (Method::GET, Some(Unsendable::Method(e))),
        };
        RequestBuilder {
            config: hub.calls.config.clone(),
            hub,
            method,
            url,
            headers: Headers::new(),
            body: Body::empty(),
            aside: problem.map(|why| {
                Box::new(Aside {
                    problem: Some(why),
                    trace: None,
                })
            }),
        }
    }

    /// Adds a field line.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let added = self.headers.append(name, value);
        self.check(added)
    }

    /// Adds the lines of `headers`.
    pub fn headers(mut self, headers: &Headers) -> Self {
        for field in headers {
            let added = self.headers.push(field);
            self = self.check(added);
        }
        self
    }

    /// Sends these credentials by the scheme `Basic` (RFC 7617), in place of others. They go to no other origin.
    pub fn basic_auth(self, user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Self {
        self.authorization(Basic::new(user, password).to_value())
    }

    /// Sends this token by the scheme `Bearer` (RFC 6750), in place of other credentials. It goes to no other origin.
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
        self.authorization(format!("Bearer {token}"))
    }

    fn authorization(mut self, value: String) -> Self {
        let set = self.headers.set("authorization", value);
        self.check(set)
    }

    fn check(mut self, done: Result<(), InvalidField>) -> Self {
        if let Err(e) = done {
            let aside = self.aside.get_or_insert_default();
            aside.problem.get_or_insert(Unsendable::Field(e));
        }
        self
    }

    /// Appends `name=value` pairs to the query of the URL, in this order, encoded as forms are
    /// (`application/x-www-form-urlencoded`).
    pub fn query<K, V>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let end = self.url.find('#').unwrap_or(self.url.len());
        let fragment = self.url.split_off(end);
        for (name, value) in pairs {
            match self.url.find('?') {
                None => self.url.push('?'),
                Some(at) if at + 1 < self.url.len() && !self.url.ends_with('&') => self.url.push('&'),
                Some(_) => {}
            }
            encode(name.as_ref(), &mut self.url);
            self.url.push('=');
            encode(value.as_ref(), &mut self.url);
        }
        self.url.push_str(&fragment);
        self
    }

    /// The body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Asks the server before sending the body (`Expect: 100-continue`), for at most the continue-wait of the
    /// client's settings.
    pub fn expect_continue(self) -> Self {
        self.header("expect", "100-continue")
    }

    /// How long everything may take, from the look-up of the host over every redirect and retry to the end of the
    /// response's body. Zero fails at once.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config().timeout = Some(timeout);
        self
    }

    /// How long each wait for a connection may take, in the line of the pool or until one is made.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.config().connect_timeout = Some(timeout);
        self
    }

    /// Whether redirects are followed.
    pub fn redirects(mut self, policy: RedirectPolicy) -> Self {
        self.config().redirects = policy;
        self
    }

    /// Which content codings are asked for and decoded, of those that are compiled in: see
    /// [`ClientBuilder::codings`](crate::ClientBuilder::codings).
    pub fn codings(mut self, codings: Codings) -> Self {
        self.config().codings = super::decodable(codings);
        self
    }

    /// Tells this observer what becomes of this call, beside the [client's](crate::ClientBuilder::trace): of all its
    /// requests, and of the connections that are made for it.
    pub fn trace(mut self, trace: Arc<dyn Trace>) -> Self {
        self.aside.get_or_insert_default().trace = Some(trace);
        self
    }

    fn config(&mut self) -> &mut CallConfig {
        Arc::make_mut(&mut self.config)
    }

    /// Sends the request and waits for the head of the final response: redirects are followed first, as the policy
    /// says. The body of the request goes on being sent while the response's body is read.
    ///
    /// A request that failed on a connection which had served before, without a byte of an answer, is sent
    /// once more, on a fresh connection, if the server cannot have seen it or if doing it twice does no harm
    /// (GET, HEAD, OPTIONS, TRACE, or an Idempotency-Key field, which is not sent if it is empty), and if its
    /// body can be had again: it is in memory, a file, or [repeatable](Body::repeatable).
    ///
    /// # Errors
    /// Everything that can go wrong, see [`ErrorKind`](crate::ErrorKind); the first method and the last URL are named.
    /// Statuses are no errors. What is wrong with the URL, the method, the fields, or a body in memory is told before
    /// anything is dialled.
    ///
    /// # Cancel safety
    /// Dropping the future gives the call up: a connection on which a response is owed is closed, since the server
    /// may be at work on it; a place in the line for one is left. What a redirect's response still had to send is read
    /// in the background, within limits. Other requests of the client are not touched.
    pub async fn send(self) -> Result<Response, Error> {
        // The future of a call is not to have room for more than the call.
        match self.start()? {
            Started::Call(call) => call.run().await,
            Started::Around(response) => response.await,
        }
    }

    fn start(self) -> Result<Started<R>, Error> {
        if self.hub.wraps.is_empty() {
            return self.begin().map(Started::Call);
        }
        let hub = self.hub.clone();
        Ok(Started::Around(middleware::run(hub, self.into_outgoing()?)))
    }

    /// ... without what stands around the calls.
    pub(super) fn call(self) -> ResponseFuture<'static> {
        match self.begin() {
            Ok(call) => Box::pin(call.run()),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn into_outgoing(self) -> Result<OutgoingRequest, Error> {
        let Aside { problem, trace } = self.aside.map_or_else(Aside::default, |aside| *aside);
        if let Some(why) = problem {
            return Err(Error::call(CallError::unsendable(&self.method, &self.url, why)));
        }
        Ok(OutgoingRequest {
            method: self.method,
            url: self.url,
            headers: self.headers,
            body: self.body,
            config: self.config,
            trace,
        })
    }

    pub(super) fn from_outgoing(hub: Arc<Hub<R>>, request: OutgoingRequest) -> RequestBuilder<R> {
        let aside = |trace| {
            Box::new(Aside {
                problem: None,
                trace: Some(trace),
            })
        };
        RequestBuilder {
            hub,
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            config: request.config,
            aside: request.trace.map(aside),
        }
    }

    /// Checks everything that can be known.
    fn begin(self) -> Result<Box<Active<R>>, Error> {
        let RequestBuilder {
            hub,
            method,
            url,
            mut headers,
            body,
            config,
            aside,
        } = self;
        let Aside { problem, trace } = aside.map_or_else(Aside::default, |aside| *aside);
        if let Some(why) = problem {
            return Err(Error::call(CallError::unsendable(&method, &url, why)));
        }
        hub.calls.complete(&mut headers);
        let supply = Supply::new(body);
        let request = CallRequest {
            method,
            url,
            headers,
            body: supply.content(),
        };
        let call = Call::new(request, config, hub.runtime.now()).map_err(Error::call)?;
        if let Some((len, trailers)) = supply.in_memory() {
            call.check_body(len, &trailers).map_err(Error::call)?;
        }
        let tracer = hub.tracer(trace);
        Ok(Active::new(hub, call, supply, tracer))
    }
}

/// One half of a pair, as forms are encoded (the WHATWG's URL standard, `application/x-www-form-urlencoded`).
fn encode(text: &str, url: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => url.push(char::from(byte)),
            b' ' => url.push('+'),
            _ => url.extend([
                '%',
                char::from(HEX[usize::from(byte >> 4)]),
                char::from(HEX[usize::from(byte & 15)]),
            ]),
        }
    }
}

impl<R: Runtime> fmt::Debug for RequestBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", &self.method)
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
