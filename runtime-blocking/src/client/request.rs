//! [`RequestBuilder`]: a request until it is sent. What happens then is in `call`.

use super::builder::decodable;
use super::call;
use super::hub::Hub;
use super::middleware::{self, OutgoingRequest};
use super::supply::Supply;
use crate::body::Body;
use crate::clock;
use crate::error::Error;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::response::Response;
use antiphon_core::client::call::{Codings, RedirectPolicy};
use antiphon_core::client::{Basic, Call, CallConfig, CallError, CallRequest, Unsendable, Url};
use antiphon_core::{Headers, InvalidField, Method};
use antiphon_support::trace::Trace;
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
    /// The first thing that was wrong.
    problem: Option<Unsendable>,
    trace: Option<Arc<dyn Trace>>,
}

impl RequestBuilder {
    pub(super) fn new(hub: Arc<Hub>, method: &str, url: String) -> RequestBuilder {
        let (method, problem) = match Method::new(method) {
            Ok(method) => (method, None),
            Err(e) => (Method::GET, Some(Unsendable::Method(e))),
        };
        RequestBuilder {
            config: Arc::clone(&hub.call),
            hub,
            method,
            url,
            headers: Headers::new(),
            body: Body::empty(),
            problem,
            trace: None,
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
        self.problem.get_or_insert(Unsendable::Field(e));
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
        if let Err(e) = self.headers.set("authorization", value) {
            self.refuse(e);
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

    /// The body. One in memory, a file ([`file_body`](crate::file_body)) or one that is
    /// [repeatable](Body::repeatable) can be sent again, where a redirect or a connection that turns out to be closed asks
    /// for it; a reader cannot.
    pub fn body(mut self, body: impl Into<Body>) -> RequestBuilder {
        self.body = body.into();
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

    /// Tells this observer what becomes of this call, beside the [client's](crate::ClientBuilder::trace): of all its
    /// requests, and of the connections that are made for it.
    pub fn trace(mut self, trace: Arc<dyn Trace>) -> RequestBuilder {
        self.trace = Some(trace);
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

    fn into_outgoing(self) -> Result<OutgoingRequest, Error> {
        if let Some(why) = self.problem {
            return Err(Error::call(CallError::unsendable(&self.method, &self.url, why)));
        }
        Ok(OutgoingRequest {
            method: self.method,
            url: self.url,
            headers: self.headers,
            body: self.body,
            config: self.config,
            trace: self.trace,
        })
    }

    pub(super) fn from_outgoing(hub: Arc<Hub>, request: OutgoingRequest) -> RequestBuilder {
        RequestBuilder {
            hub,
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            config: request.config,
            problem: None,
            trace: request.trace,
        }
    }

    /// Sends it, without what stands around the calls.
    pub(super) fn call(self) -> Result<Response, Error> {
        let RequestBuilder {
            hub,
            method,
            url,
            mut headers,
            body,
            config,
            problem,
            trace,
        } = self;
        if let Some(why) = problem {
            return Err(Error::call(CallError::unsendable(&method, &url, why)));
        }
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
        call::perform(&hub, call, supply, hub.tracer(trace))
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
