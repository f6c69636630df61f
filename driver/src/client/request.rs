//! [`RequestBuilder`]: a request until it is sent. What happens then is in `call.rs`.

use super::call::Active;
use super::hub::Hub;
use super::middleware::{self, OutgoingRequest, ResponseFuture};
use super::supply::Supply;
use crate::runtime::{Runtime, Spawn};
use crate::{Body, BoxError, Error, Multipart, Response, Task, Trace};
use antiphon_core::client::call::{Codings, RedirectPolicy};
use antiphon_core::client::{Basic, Call, CallConfig, CallError, CallRequest, Unsendable};
use antiphon_core::forms::urlencoded;
use antiphon_core::{Headers, InvalidField, Method};
#[cfg(feature = "json")]
use antiphon_support::json;
use antiphon_support::{Meter, Progress};
use std::borrow::Cow;
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
    problem: Option<Problem>,
    /// What the body is, where the body was made here.
    content_type: Option<Cow<'static, str>>,
    trailers: Option<Headers>,
    meter: Option<Arc<Meter>>,
    trace: Option<Arc<dyn Trace>>,
}

enum Problem {
    Unsendable(Unsendable),
    /// The body could not be made.
    Body(BoxError),
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
            Err(e) => (Method::GET, Some(Problem::Unsendable(Unsendable::Method(e)))),
        };
        let mut request = RequestBuilder {
            config: hub.calls.config.clone(),
            hub,
            method,
            url,
            headers: Headers::new(),
            body: Body::empty(),
            aside: None,
        };
        if let Some(problem) = problem {
            request.refuse(problem);
        }
        request
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
            self.refuse(Problem::Unsendable(Unsendable::Field(e)));
        }
        self
    }

    fn refuse(&mut self, problem: Problem) {
        self.aside().problem.get_or_insert(problem);
    }

    fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Appends `name=value` pairs to the query of the URL, in this order, encoded as forms are
    /// (`application/x-www-form-urlencoded`).
    pub fn query<K, V>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        self.url = urlencoded::append_query(&self.url, &urlencoded::encode(pairs));
        self
    }

    /// The body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        if let Some(aside) = &mut self.aside {
            aside.content_type = None;
        }
        self
    }

    /// A body of `name=value` pairs, in this order (`application/x-www-form-urlencoded`). That is its `Content-Type`, unless
    /// the request has a field of this name.
    pub fn form<K, V>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        self.typed(urlencoded::CONTENT_TYPE, urlencoded::encode(pairs))
    }

    /// A form with files as the body (`multipart/form-data`). That is its `Content-Type`, with the boundary, unless the
    /// request has a field of this name.
    pub fn multipart(mut self, form: Multipart) -> Self {
        match form.into_body() {
            Ok((content_type, body)) => self.typed(content_type, body),
            Err(e) => {
                self.refuse(Problem::Body(e.into()));
                self
            }
        }
    }

    /// A value as JSON as the body, made now and kept in memory. Its `Content-Type` is `application/json`, unless the request
    /// has a field of this name. A value that has no JSON is told by [`send`](RequestBuilder::send), with
    /// [`ErrorKind::Body`](crate::ErrorKind::Body).
    #[cfg(feature = "json")]
    pub fn json<T: json::Serialize + ?Sized>(mut self, value: &T) -> Self {
        match json::encode(value) {
            Ok(body) => self.typed(json::CONTENT_TYPE, body),
            Err(e) => {
                self.refuse(Problem::Body(e.into()));
                self
            }
        }
    }

    fn typed(self, content_type: impl Into<Cow<'static, str>>, body: impl Into<Body>) -> Self {
        let mut request = self.body(body);
        request.aside().content_type = Some(content_type.into());
        request
    }

    /// Sends these fields after the body, which is then sent chunked whatever its length. They take the place of the
    /// [body's own](Body::with_trailers).
    pub fn trailers(mut self, trailers: Headers) -> Self {
        self.aside().trailers = Some(trailers);
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

    /// How many bytes of the response's body there may be, as they come and as they are decoded. One that is longer fails
    /// with [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge) as soon as that is known, when it is read;
    /// the connection is closed, unless all of it had come. Bodies of redirects that are followed have a bound of their own.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.config().max_body = Some(bytes);
        self
    }

    /// Tells this function how far the call has come, whenever some bytes of a body were sent or received, and when the
    /// response's head is there. It runs where the body is sent or read: what takes long in it holds that up.
    /// See [`Progress`] for what is counted when a redirect or a retry sends the body again.
    pub fn on_progress(mut self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.aside().meter = Some(Arc::new(Meter::new(tell)));
        self
    }

    /// Tells this observer what becomes of this call, beside the [client's](crate::ClientBuilder::trace): of all its
    /// requests, and of the connections that are made for it.
    pub fn trace(mut self, trace: Arc<dyn Trace>) -> Self {
        self.aside().trace = Some(trace);
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

    /// Tells what was wrong, and puts into the fields what belongs there.
    fn settle(&mut self) -> Result<Aside, Error> {
        let mut aside = self.aside.take().map_or_else(Aside::default, |aside| *aside);
        if let Some(content_type) = aside.content_type.take()
            && !self.headers.contains("content-type")
            && let Err(e) = self.headers.set("content-type", &*content_type)
        {
            aside
                .problem
                .get_or_insert(Problem::Unsendable(Unsendable::Field(e)));
        }
        if let Some(trailers) = aside.trailers.take() {
            self.body = std::mem::take(&mut self.body).with_trailers(trailers);
        }
        match aside.problem.take() {
            None => Ok(aside),
            Some(problem) => Err(Error::call(match problem {
                Problem::Unsendable(why) => CallError::unsendable(&self.method, &self.url, why),
                Problem::Body(why) => CallError::body(&self.method, &self.url, why),
            })),
        }
    }

    fn into_outgoing(mut self) -> Result<OutgoingRequest, Error> {
        let aside = self.settle()?;
        Ok(OutgoingRequest {
            method: self.method,
            url: self.url,
            headers: self.headers,
            body: self.body,
            config: self.config,
            trace: aside.trace,
            meter: aside.meter,
        })
    }

    pub(super) fn from_outgoing(hub: Arc<Hub<R>>, request: OutgoingRequest) -> RequestBuilder<R> {
        let aside = (request.trace.is_some() || request.meter.is_some()).then(|| {
            Box::new(Aside {
                trace: request.trace,
                meter: request.meter,
                ..Aside::default()
            })
        });
        RequestBuilder {
            hub,
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            config: request.config,
            aside,
        }
    }

    /// Checks everything that can be known.
    fn begin(mut self) -> Result<Box<Active<R>>, Error> {
        let aside = self.settle()?;
        let RequestBuilder {
            hub,
            method,
            url,
            mut headers,
            body,
            config,
            aside: _,
        } = self;
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
        let tracer = hub.tracer(aside.trace);
        Ok(Active::new(hub, call, supply, aside.meter, tracer))
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
