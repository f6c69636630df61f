//! [`RoundTrip`]: the application's code around the calls of a client, and in the place of the network for URL schemes
//! of its own.
//!
//! What a request is before it is sent is in `request.rs`, what becomes of it then in `call.rs`; here is what stands
//! between the two.

use super::hub::Hub;
use super::request::RequestBuilder;
use crate::body::Body;
use crate::error::Error;
use crate::response::Response;
use antiphon_core::client::call::RedirectPolicy;
use antiphon_core::client::{CallConfig, Url};
use antiphon_core::{Headers, Method};
use antiphon_support::Meter;
use antiphon_support::trace::Trace;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Code around the calls of a client: [`ClientBuilder::with`](crate::ClientBuilder::with); or in the place of the network,
/// for a scheme: [`ClientBuilder::scheme`](crate::ClientBuilder::scheme).
///
/// It stands around the *whole* call: redirects, retries, cookies and the pool are inside of [`Next::run`], which gives
/// the final response. So it sees what the application asks and gets, and is run once however long the chain is. Go's
/// `RoundTripper` sees each hop: whoever wants that asks for it with
/// [`without_redirects`](OutgoingRequest::without_redirects) and follows the chain itself, or watches it with a
/// [`Trace`].
///
/// It may change the request and the response, answer without the network, or run the rest more than once. A response
/// whose body is dropped unread gives its connection back as always.
///
/// A closure of this shape is one too:
///
/// ```
/// use antiphon_blocking::{Client, Next, OutgoingRequest, Response, Status};
/// use std::time::Instant;
///
/// // Adds a field, and tells how long it took until there was a response.
/// let timed = |mut request: OutgoingRequest, next: Next<'_>| {
///     request.headers_mut().append("x-client", "kettle")?;
///     let begun = Instant::now();
///     let response = next.run(request);
///     println!("{:?}", begun.elapsed());
///     response
/// };
/// // Answers from memory, without touching the network.
/// let cache = |request: OutgoingRequest, next: Next<'_>| match request.url() {
///     "http://example.com/tea" => Ok(Response::new(Status::OK).with_body("Assam")),
///     _ => next.run(request),
/// };
/// let client = Client::builder().with(timed).with(cache).build();
/// let mut response = client.get("http://example.com/tea").send()?;
/// assert_eq!(response.text(10)?, "Assam");
/// # Ok::<(), antiphon_blocking::Error>(())
/// ```
pub trait RoundTrip: Send + Sync {
    /// Answers `request`, perhaps by running what is `next`.
    ///
    /// # Errors
    /// Those of the client, or [`Error::round_trip`].
    fn round_trip(&self, request: OutgoingRequest, next: Next<'_>) -> Result<Response, Error>;
}

impl<F> RoundTrip for F
where
    F: Fn(OutgoingRequest, Next<'_>) -> Result<Response, Error> + Send + Sync,
{
    fn round_trip(&self, request: OutgoingRequest, next: Next<'_>) -> Result<Response, Error> {
        self(request, next)
    }
}

/// What stands behind a [`RoundTrip`]: the next one, and at the end the client itself.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    rest: &'a [Arc<dyn RoundTrip>],
    hub: &'a Arc<Hub>,
    /// Schemes are looked at no more.
    network: bool,
}

impl Next<'_> {
    /// Runs it.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`](crate::RequestBuilder::send), and what others make of that.
    pub fn run(self, request: OutgoingRequest) -> Result<Response, Error> {
        if let Some((first, rest)) = self.rest.split_first() {
            return first.round_trip(request, Next { rest, ..self });
        }
        let last = Next {
            network: true,
            ..self
        };
        match self.hub.wraps.scheme(&request.url) {
            Some(handler) if !self.network => handler.round_trip(request, last),
            _ => RequestBuilder::from_outgoing(Arc::clone(self.hub), request).call(),
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("rest", &self.rest.len())
            .finish_non_exhaustive()
    }
}

/// Runs all that stands around the calls of this client, and then the call.
pub(super) fn run(hub: &Arc<Hub>, request: OutgoingRequest) -> Result<Response, Error> {
    let next = Next {
        rest: &hub.wraps.around,
        hub,
        network: false,
    };
    next.run(request)
}

/// What stands around the calls of a client.
#[derive(Clone, Default)]
pub(super) struct Wraps {
    /// The outermost first.
    around: Vec<Arc<dyn RoundTrip>>,
    /// By their names in lower case.
    schemes: BTreeMap<Box<str>, Arc<dyn RoundTrip>>,
}

impl Wraps {
    pub(super) fn add(&mut self, inner: impl RoundTrip + 'static) {
        self.around.push(Arc::new(inner));
    }

    pub(super) fn add_scheme(&mut self, name: &str, handler: impl RoundTrip + 'static) {
        self.schemes
            .insert(name.to_ascii_lowercase().into(), Arc::new(handler));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.around.is_empty() && self.schemes.is_empty()
    }

    fn scheme(&self, url: &str) -> Option<&dyn RoundTrip> {
        if self.schemes.is_empty() {
            return None;
        }
        let (name, _) = url.split_once(':')?;
        self.schemes.get(&*name.to_ascii_lowercase()).map(|h| &**h)
    }
}

impl fmt::Debug for Wraps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wraps")
            .field("around", &self.around.len())
            .field("schemes", &self.schemes.keys())
            .finish()
    }
}

/// A request on its way through a client's [`RoundTrip`]s.
///
/// Its fields are those of the request itself: what the client adds (its default fields, `Host`, `User-Agent`, cookies,
/// `Accept-Encoding`) comes later.
pub struct OutgoingRequest {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Headers,
    pub(super) body: Body,
    pub(super) config: Arc<CallConfig>,
    pub(super) trace: Option<Arc<dyn Trace>>,
    pub(super) meter: Option<Arc<Meter>>,
}

impl OutgoingRequest {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Changes the method.
    pub fn set_method(&mut self, method: Method) {
        self.method = method;
    }

    /// The URL as it was given, not checked yet. Credentials may stand in it: for logs there is [`Url::masked`].
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes the URL.
    pub fn set_url(&mut self, url: impl Into<String>) {
        self.url = url.into();
    }

    /// The fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The fields, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body, to be changed.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// How long all of the call may take; it begins anew with each [`Next::run`].
    pub fn set_timeout(&mut self, timeout: Duration) {
        Arc::make_mut(&mut self.config).timeout = Some(timeout);
    }

    /// Redirects come back as responses.
    pub fn without_redirects(&mut self) {
        Arc::make_mut(&mut self.config).redirects = RedirectPolicy::None;
    }

    /// The same request once more, to be sent again; `None` if its body is not in memory.
    pub fn try_clone(&self) -> Option<OutgoingRequest> {
        let body = self.body.replay()?;
        Some(OutgoingRequest {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body,
            config: self.config.clone(),
            trace: self.trace.clone(),
            meter: self.meter.clone(),
        })
    }
}

impl fmt::Debug for OutgoingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRequest")
            .field("method", &self.method)
            .field("url", &Url::masked(&self.url))
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
