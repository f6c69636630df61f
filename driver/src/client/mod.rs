//! The client: [`Client`] keeps connections, [`RequestBuilder`] sends a request over one.
//!
//! `exchange.rs` is one request and its response, `connection.rs` the connection that they use, `hub.rs` the pool with
//! its tasks. How connections are made is in `dial.rs` and `hops.rs`, what they run over in `transport.rs`, why there
//! is none in `failure.rs`, the settings of it in `builder.rs`, and who is told in `trace.rs`. What is checked before
//! anything is dialled is the core's [`Prepared`]. Redirects and cookies do not live here.

mod builder;
mod connection;
mod dial;
mod exchange;
mod failure;
mod hops;
mod hub;
mod trace;
mod transport;
mod upload;

use self::builder::Connecting;
pub use self::dial::DialTo;
pub(crate) use self::exchange::ResponseBody;
use self::exchange::{Exchange, Failed};
pub use self::failure::ProxyAnswer;
use self::hub::Hub;
pub use self::trace::{ConnId, Trace, TraceEvent};
pub use self::transport::BoxStream;
use self::upload::Upload;
use crate::runtime::{Runtime, Spawn};
use crate::{Body, Error, ErrorKind, Response, Task};
use antiphon_core::client::pool::{Pool, PoolConfig, Stats};
use antiphon_core::client::retry::{self, Attempt, BodyState, Failure, Retry};
use antiphon_core::client::{Prepared, Route, Scheme, Unsendable};
use antiphon_core::h1::{BodyLen, ClientConfig};
use antiphon_core::{Headers, Instant, InvalidField, Method};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const PREPARING: &str = "preparing the request";
/// Buffers kept for the next connection that becomes busy.
const SPARE_BUFFERS: usize = 16;

/// An HTTP client with a pool of connections. Clones share the pool.
///
/// The face is the same on every runtime; `R` is filled in by the adapters, whose documentation has a runnable
/// example.
pub struct Client<R: Runtime> {
    hub: Arc<Hub<R>>,
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Client {
            hub: self.hub.clone(),
        }
    }
}

/// Settings of a [`Client`] to be.
#[derive(Clone, Debug)]
pub struct ClientBuilder<R> {
    runtime: R,
    config: ClientConfig,
    pool: PoolConfig,
    connecting: Connecting,
    user_agent: String,
}

impl<R: Runtime + Spawn<Task> + Default> Client<R> {
    /// A client with the default settings.
    pub fn new() -> Client<R> {
        Client::builder().build()
    }

    /// Settings to be changed.
    pub fn builder() -> ClientBuilder<R> {
        ClientBuilder::with_runtime(R::default())
    }
}

impl<R: Runtime + Spawn<Task> + Default> Default for Client<R> {
    fn default() -> Self {
        Client::new()
    }
}

impl<R: Runtime + Spawn<Task>> ClientBuilder<R> {
    /// The default settings on this runtime.
    pub fn with_runtime(runtime: R) -> ClientBuilder<R> {
        ClientBuilder {
            runtime,
            config: ClientConfig::DEFAULT,
            pool: PoolConfig::DEFAULT,
            connecting: Connecting::default(),
            user_agent: concat!("antiphon/", env!("CARGO_PKG_VERSION")).to_string(),
        }
    }

    /// Limits, deadlines and strictness of the connections.
    pub fn config(mut self, config: ClientConfig) -> Self {
        self.config = config;
        self
    }

    /// How connections are kept and shared.
    pub fn pool(mut self, pool: PoolConfig) -> Self {
        self.pool = pool;
        self
    }

    /// The value of User-Agent; an empty one sends none. A field of the request's own wins.
    pub fn user_agent(mut self, product: impl Into<String>) -> Self {
        self.user_agent = product.into();
        self
    }

    /// The client.
    pub fn build(self) -> Client<R> {
        let pool = Pool::new(self.pool);
        let hub = Hub::new(self.runtime, self.config, pool, self.connecting, self.user_agent);
        Client { hub: Arc::new(hub) }
    }
}

impl<R: Runtime + Spawn<Task>> Client<R> {
    /// A GET request for `url`.
    pub fn get(&self, url: impl Into<String>) -> RequestBuilder<R> {
        self.request("GET", url)
    }

    /// A HEAD request for `url`.
    pub fn head(&self, url: impl Into<String>) -> RequestBuilder<R> {
        self.request("HEAD", url)
    }

    /// A POST request for `url`.
    pub fn post(&self, url: impl Into<String>) -> RequestBuilder<R> {
        self.request("POST", url)
    }

    /// A PUT request for `url`.
    pub fn put(&self, url: impl Into<String>) -> RequestBuilder<R> {
        self.request("PUT", url)
    }

    /// A DELETE request for `url`.
    pub fn delete(&self, url: impl Into<String>) -> RequestBuilder<R> {
        self.request("DELETE", url)
    }

    /// A request for `url`, an absolute `http://` or `https://` URL. What is wrong with it is told by
    /// [`send`](RequestBuilder::send).
    pub fn request(&self, method: impl AsRef<str>, url: impl Into<String>) -> RequestBuilder<R> {
        let method = Method::new(method.as_ref().as_bytes())
            .map_err(|e| Error::new(ErrorKind::InvalidRequest, PREPARING).with_source(e));
        let (method, problem) = match method {
            Ok(method) => (method, None),
            Err(error) => (Method::GET, Some(error)),
        };
        RequestBuilder {
            hub: self.hub.clone(),
            method,
            url: url.into(),
            headers: Headers::new(),
            body: Body::empty(),
            timeout: None,
            problem,
        }
    }

    /// How many connections there are now, and what has happened since the client was made.
    pub fn pool_stats(&self) -> Stats {
        self.hub.stats()
    }

    /// Closes the idle connections, and those that become idle until the next request.
    pub fn close_idle(&self) {
        self.hub.close_idle();
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("user_agent", &self.hub.user_agent)
            .finish_non_exhaustive()
    }
}

/// A request to be sent.
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<R: Runtime> {
    hub: Arc<Hub<R>>,
    method: Method,
    url: String,
    headers: Headers,
    body: Body,
    timeout: Option<Duration>,
    /// The first thing that was wrong.
    problem: Option<Error>,
}

impl<R: Runtime + Spawn<Task>> RequestBuilder<R> {
    /// Adds a field line. What is wrong with it is told by [`send`](RequestBuilder::send).
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        if let Err(e) = self.headers.append(name, value) {
            self.refuse(e);
        }
        self
    }

    /// Adds the lines of `headers`.
    pub fn headers(mut self, headers: &Headers) -> Self {
        for field in headers {
            if let Err(e) = self.headers.push(field) {
                self.refuse(e);
            }
        }
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

    /// How long everything may take, from the look-up of the host to the end of the response body.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn refuse(&mut self, e: InvalidField) {
        self.problem.get_or_insert_with(|| refused(e));
    }

    /// Sends the request and waits for the head of the final response. The body of the request goes on being
    /// sent while the response's body is read.
    ///
    /// A request that failed on a connection which had served before, without a byte of an answer, is sent
    /// once more, on a fresh connection, if the server cannot have seen it or if doing it twice does no harm
    /// (GET, HEAD, OPTIONS, TRACE, or an Idempotency-Key field, which is not sent if it is empty), and if its
    /// body can be had again.
    ///
    /// # Errors
    /// Everything that can go wrong, see [`ErrorKind`]; the URL is named. Statuses are no errors. What is wrong
    /// with the URL, the method, the fields, or a body in memory is told before anything is dialled.
    ///
    /// # Cancel safety
    /// Dropping the future gives the request up: its connection is closed, since the server may be at work on
    /// it. Other requests of the client are not touched.
    pub async fn send(self) -> Result<Response, Error> {
        let url = self.url.clone();
        let limit = self.timeout.map(|t| self.hub.runtime.now() + t);
        self.perform(limit).await.map_err(|e| e.with_url(&url))
    }

    async fn perform(mut self, limit: Option<Instant>) -> Result<Response, Error> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        let hub = &self.hub;
        let mut body = self.body;
        let unsendable = |why| Error::unsendable(PREPARING, why);
        let request = Prepared::new(
            &self.method,
            &self.url,
            &mut self.headers,
            &hub.user_agent,
            body.framing(),
        )
        .map_err(unsendable)?;
        if cfg!(not(feature = "tls")) && request.url().scheme() == Scheme::Https {
            return Err(unsendable(Unsendable::Tls));
        }
        let route = match *request.method() == Method::CONNECT {
            true => Route::direct(request.url()),
            false => hub.route(request.url())?,
        };
        let request = request.via(&route);
        let content = body.content();
        request
            .check(content.as_ref().map(|(len, trailers)| (*len, trailers)))
            .map_err(unsendable)?;
        let held = request.is_held() && hub.holds_bodies();
        let mut fresh = false;
        loop {
            let (mut conn, lease) = hub.acquire(&route, fresh, limit).await?;
            let id = match request.send_head(&mut conn.machine) {
                Ok(id) => id,
                Err(why) => {
                    hub.discard(lease, conn);
                    return Err(unsendable(why));
                }
            };
            let spare = body.replay();
            let upload = match request.body_len() {
                BodyLen::None => Upload::NONE,
                len => Upload::new(body, len, held),
            };
            let state_of = |untouched| match &spare {
                _ if request.body_len() == BodyLen::None => BodyState::None,
                Some(_) => BodyState::Repeatable,
                None if untouched => BodyState::Untouched,
                None => BodyState::Consumed,
            };
            let again = |untouched| {
                let attempt = Attempt {
                    reused: true,
                    written: true,
                    failure: Failure::ServerClosedIdle,
                    replayable: request.is_replayable(),
                    body: state_of(untouched),
                };
                !fresh && matches!(retry::may_retry(&attempt), Retry::Yes(_))
            };
            let exchange = Exchange::new(hub.clone(), conn, lease, id, upload, limit);
            let Failed {
                error,
                reused,
                written,
                failure,
                untouched,
            } = match exchange.response(again).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            let attempt = Attempt {
                reused,
                written,
                failure,
                replayable: request.is_replayable(),
                body: state_of(untouched.is_some()),
            };
            match retry::may_retry(&attempt) {
                Retry::Yes(_) if !fresh => body = spare.or(untouched).unwrap_or_default(),
                _ => return Err(error),
            }
            // Once, and on a fresh connection: another one that had been idle may be as dead.
            fresh = true;
        }
    }
}

/// A method, field name or field value that may not be sent.
fn refused(e: InvalidField) -> Error {
    Error::new(ErrorKind::InvalidRequest, PREPARING).with_source(e)
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
