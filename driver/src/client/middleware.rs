//! [`RoundTrip`]: the application's code around the calls of a client, and in the place of the network for URL schemes
//! of its own.
//!
//! What a request is before it is sent is in `request.rs`, what becomes of it then in `call.rs`; here is what stands
//! between the two.

use super::dial::Boxed;
use super::hub::Hub;
use super::request::RequestBuilder;
use crate::runtime::{Runtime, Spawn};
use crate::{Body, Error, Response, Task, Trace};
use antiphon_core::client::call::RedirectPolicy;
use antiphon_core::client::{CallConfig, Url};
use antiphon_core::{Headers, Method};
use antiphon_support::Meter;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A response to come, or an error.
pub type ResponseFuture<'a> = Boxed<'a, Result<Response, Error>>;

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
/// use antiphon_driver::{Body, Next, OutgoingRequest, Response, ResponseFuture, RoundTrip};
/// use antiphon_core::Status;
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use std::time::Instant;
///
/// /// Adds a field, and counts the milliseconds until there is a response.
/// #[derive(Default)]
/// struct Timed(AtomicU64);
///
/// impl RoundTrip for Timed {
///     fn round_trip<'a>(&'a self, mut request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a> {
///         Box::pin(async move {
///             request.headers_mut().append("x-client", "kettle")?;
///             let begun = Instant::now();
///             let response = next.run(request).await;
///             self.0.fetch_add(begun.elapsed().as_millis() as u64, Relaxed);
///             response
///         })
///     }
/// }
///
/// /// Answers from memory, without touching the network.
/// fn cache<'a>(request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a> {
///     Box::pin(async move {
///         match request.url() {
///             "http://example.com/tea" => Ok(Response::new(Status::OK).with_body("Assam")),
///             _ => next.run(request).await,
///         }
///     })
/// }
///
/// fn takes(_: impl RoundTrip) {}
/// takes(Timed::default()); // client.with(Timed::default())
/// takes(cache); // .with(cache)
/// ```
pub trait RoundTrip: Send + Sync {
    /// Answers `request`, perhaps by running what is `next`.
    ///
    /// # Errors
    /// Those of the client, or [`Error::round_trip`].
    ///
    /// # Cancel safety
    /// The future is dropped when the call is given up.
    fn round_trip<'a>(&'a self, request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a>;
}

impl<F> RoundTrip for F
where
    F: for<'a> Fn(OutgoingRequest, Next<'a>) -> ResponseFuture<'a> + Send + Sync,
{
    fn round_trip<'a>(&'a self, request: OutgoingRequest, next: Next<'a>) -> ResponseFuture<'a> {
        self(request, next)
    }
}

/// What stands behind a [`RoundTrip`]: the next one, and at the end the client itself.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    rest: &'a [Arc<dyn RoundTrip>],
    end: &'a dyn End,
}

impl<'a> Next<'a> {
    /// Runs it.
    pub fn run(self, request: OutgoingRequest) -> ResponseFuture<'a> {
        match self.rest.split_first() {
            Some((first, rest)) => first.round_trip(request, Next { rest, ..self }),
            None => self.end.run(request),
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

/// What does not look further.
trait End: Send + Sync {
    fn run(&self, request: OutgoingRequest) -> ResponseFuture<'_>;
}

/// Whoever answers for the scheme; for most, the network.
struct Schemes<R: Runtime>(Network<R>);

/// A call like any other.
struct Network<R: Runtime>(Arc<Hub<R>>);

impl<R: Runtime + Spawn<Task>> End for Schemes<R> {
    fn run(&self, request: OutgoingRequest) -> ResponseFuture<'_> {
        match self.0.0.wraps.scheme(&request.url) {
            Some(handler) => {
                let next = Next {
                    rest: &[],
                    end: &self.0,
                };
                handler.round_trip(request, next)
            }
            None => self.0.run(request),
        }
    }
}

impl<R: Runtime + Spawn<Task>> End for Network<R> {
    fn run(&self, request: OutgoingRequest) -> ResponseFuture<'_> {
        RequestBuilder::from_outgoing(self.0.clone(), request).call()
    }
}

/// Runs all that stands around the calls of this client, and then the call.
pub(super) fn run<R: Runtime + Spawn<Task>>(
    hub: Arc<Hub<R>>,
    request: OutgoingRequest,
) -> ResponseFuture<'static> {
    Box::pin(async move {
        let end = Schemes(Network(hub.clone()));
        let next = Next {
            rest: &hub.wraps.around,
            end: &end,
        };
        next.run(request).await
    })
}

/// What stands around the calls of a client.
#[derive(Clone, Default)]
pub(crate) struct Wraps {
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
