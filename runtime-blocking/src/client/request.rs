//! [`RequestBuilder`]: a request until it is sent. What happens then is in `call`.

use super::builder::decodable;
use super::call;
use super::hub::Hub;
use super::middleware::{self, OutgoingRequest};
use super::supply::Supply;
use crate::body::Body;
use crate::clock;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{BoxError, Error};
use crate::multipart::Multipart;
use crate::response::Response;
use antiphon_core::client::call::{Codings, RedirectPolicy};
use antiphon_core::client::{Basic, Call, CallConfig, CallError, CallRequest, Unsendable, Url};
use antiphon_core::forms::urlencoded;
use antiphon_core::{Headers, InvalidField, Method};
#[cfg(feature = "json")]
use antiphon_support::json;
use antiphon_support::trace::Trace;
use antiphon_support::{Meter, Progress};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A request to be sent. What is wrong with it is told by [`send`](RequestBuilder::send).
#[must_use = "a request does nothing before it is sent"]
pub struct RequestBuilder {
    hub: Arc<Hub>,
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

impl RequestBuilder {
    pub(super) fn new(hub: Arc<Hub>, method: &str, url: String) -> RequestBuilder {
        let (method, problem) = match Method::new(method) {
            Ok(method) => (method, None),
            Err(e) => (Method::GET, Some(Problem::Unsendable(Unsendable::Method(e)))),
        };
        let mut request = RequestBuilder {
            config: Arc::clone(&hub.call),
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

    /// Adds a field line. Host and User-Agent replace the client's own; an empty User-Agent is not sent.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> RequestBuilder {
        let added = self.headers.append(name, value);
        self.check(added)
    }

    /// Adds the lines of `headers`.
    pub fn headers(mut self, headers: &Headers) -> RequestBuilder {
        for field in headers {
            let added = self.headers.push(field);
            self = self.check(added);
        }
        self
    }

    fn refuse(&mut self, problem: Problem) {
        self.aside().problem.get_or_insert(problem);
    }

    fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Sends these credentials by the scheme `Basic` (RFC 7617), in place of others. They go to no other origin.
    pub fn basic_auth(self, user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> RequestBuilder {
        self.authorization(Basic::new(user, password).to_value())
    }

    /// Sends this token by the scheme `Bearer` (RFC 6750), in place of other credentials. It goes to no other origin.
    pub fn bearer_auth(self, token: impl fmt::Display) -> RequestBuilder {
        self.authorization(format!("Bearer {token}"))
    }

    fn authorization(mut self, value: String) -> RequestBuilder {
        let set = self.headers.set("authorization", value);
        self.check(set)
    }

    fn check(mut self, done: Result<(), InvalidField>) -> RequestBuilder {
        if let Err(e) = done {
            self.refuse(Problem::Unsendable(Unsendable::Field(e)));
        }
        self
    }

    /// Appends `name=value` pairs to the query of the URL, in this order, encoded as forms are
    /// (`application/x-www-form-urlencoded`).
    pub fn query<K, V>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> RequestBuilder
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        self.url = urlencoded::append_query(&self.url, &urlencoded::encode(pairs));
        self
    }

    /// The body. One in memory, a file ([`file_body`](crate::file_body)) or one that is
    /// [repeatable](Body::repeatable) can be sent again, where a redirect or a connection that turns out to be closed asks
    /// for it; a reader cannot.
    pub fn body(mut self, body: impl Into<Body>) -> RequestBuilder {
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
    pub fn trailers(mut self, trailers: Headers) -> RequestBuilder {
        self.aside().trailers = Some(trailers);
        self
    }

    /// Sends the body only when the server says `100 Continue`, answers without, or says nothing for a second
    /// ([`Timeouts::continue_wait`](antiphon_core::h1::Timeouts::continue_wait)).
    pub fn expect_continue(self) -> RequestBuilder {
        self.header("expect", "100-continue")
    }

    /// How long everything may take, from the look-up of the host over every redirect and retry to the end of the
    /// response's body. Zero fails at once.
    pub fn timeout(mut self, timeout: Duration) -> RequestBuilder {
        self.config().timeout = Some(timeout);
        self
    }

    /// How long each wait for a connection may take, in the line of the pool or until one is made.
    pub fn acquire_timeout(mut self, timeout: Duration) -> RequestBuilder {
        self.config().connect_timeout = Some(timeout);
        self
    }

    /// Whether redirects are followed.
    pub fn redirects(mut self, policy: RedirectPolicy) -> RequestBuilder {
        self.config().redirects = policy;
        self
    }

    /// Which content codings are asked for and decoded, of those that are compiled in: see
    /// [`ClientBuilder::codings`](crate::ClientBuilder::codings).
    pub fn codings(mut self, codings: Codings) -> RequestBuilder {
        self.config().codings = decodable(codings);
        self
    }

    /// How many bytes of the response's body there may be, as they come and as they are decoded. One that is longer fails
    /// with [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge) as soon as that is known, when it is read;
    /// the connection is closed, unless all of it had come. Bodies of redirects that are followed have a bound of their own.
    pub fn max_body(mut self, bytes: u64) -> RequestBuilder {
        self.config().max_body = Some(bytes);
        self
    }

    /// Tells this function how far the call has come, whenever some bytes of a body were sent or received, and when the
    /// response's head is there. It runs where the body is sent or read: what takes long in it holds that up.
    /// See [`Progress`] for what is counted when a redirect or a retry sends the body again.
    pub fn on_progress(mut self, tell: impl Fn(Progress) + Send + Sync + 'static) -> RequestBuilder {
        self.aside().meter = Some(Arc::new(Meter::new(tell)));
        self
    }

    /// Tells this observer what becomes of this call, beside the [client's](crate::ClientBuilder::trace): of all its
    /// requests, and of the connections that are made for it.
    pub fn trace(mut self, trace: Arc<dyn Trace>) -> RequestBuilder {
        self.aside().trace = Some(trace);
        self
    }

    fn config(&mut self) -> &mut CallConfig {
        Arc::make_mut(&mut self.config)
    }

    /// Sends the request and waits for the head of the final response: redirects are followed first, as the policy
    /// says. If a response comes before the request's body is sent, sending goes on while the response's body is read,
    /// and stops when that ends.
    ///
    /// A request that failed on a connection which had served before, without a byte of an answer or with a 408 that
    /// closes it, is sent once more, on a fresh connection, if the server cannot have seen it or if doing it twice does no
    /// harm (GET, HEAD, OPTIONS, TRACE, or an `Idempotency-Key` field, which is not sent if it is empty), and if its body
    /// can be had again.
    ///
    /// # Errors
    /// Any kind but [`ErrorKind::Listen`]; the first method and the last URL are named. Statuses are no errors. What is
    /// wrong with the URL, the method, the fields, or a body in memory is told before anything is dialled.
    pub fn send(self) -> Result<Response, Error> {
        if self.hub.wraps.is_empty() {
            return self.call();
        }
        let hub = Arc::clone(&self.hub);
        middleware::run(&hub, self.into_outgoing()?)
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

    pub(super) fn from_outgoing(hub: Arc<Hub>, request: OutgoingRequest) -> RequestBuilder {
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

    /// Sends it, without what stands around the calls.
    pub(super) fn call(mut self) -> Result<Response, Error> {
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
        hub.complete(&mut headers);
        let supply = Supply::new(body);
        let request = CallRequest {
            method,
            url,
            headers,
            body: supply.content(),
        };
        let call = Call::new(request, config, clock::mono()).map_err(Error::call)?;
        if let Some((len, trailers)) = supply.in_memory() {
            call.check_body(len, &trailers).map_err(Error::call)?;
        }
        call::perform(&hub, call, supply, aside.meter, hub.tracer(aside.trace))
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
