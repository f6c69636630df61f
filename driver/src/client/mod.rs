//! The client: [`Client`] keeps connections, [`RequestBuilder`] is a request to be sent over one.
//!
//! `request.rs` is a request until it is sent, `call.rs` what becomes of it: which steps there are is decided by the
//! core's [`Call`](antiphon_core::client::Call). `exchange.rs` is one request and its response on one connection,
//! `connection.rs` that connection, `hub.rs` the pool with its tasks. `supply.rs` has the body as often as it is
//! wanted, `upload.rs` is its way to a connection; `decode.rs` decodes what comes back. What all calls have in common
//! is in `settings.rs`, what the application puts around them in `middleware.rs`. `single.rs` is a connection outside
//! the pool, `seat.rs` where a connection goes after its exchange.
//!
//! How connections are made is in `dial.rs` and `hops.rs`, what they run over in `transport.rs`, why there is none in
//! `failure.rs`, the settings of it in `builder.rs`. Who is told what of all this is in the support crate's `trace`.

mod builder;
mod call;
mod connection;
#[cfg(any(feature = "gzip", feature = "deflate", feature = "brotli", feature = "zstd"))]
mod decode;
#[cfg(not(any(feature = "gzip", feature = "deflate", feature = "brotli", feature = "zstd")))]
#[path = "no_decode.rs"]
mod decode;
mod dial;
mod exchange;
mod failure;
mod hops;
mod hub;
mod middleware;
mod request;
mod seat;
mod settings;
mod single;
mod supply;
mod transport;
mod upload;

use self::builder::Connecting;
pub(crate) use self::call::ResponseBody;
pub use self::dial::DialTo;
pub use self::failure::ProxyAnswer;
use self::hub::Hub;
use self::middleware::Wraps;
pub use self::middleware::{Next, OutgoingRequest, ResponseFuture, RoundTrip};
pub use self::request::RequestBuilder;
use self::settings::Calls;
pub use self::single::{ClientConnection, Reservation};
pub use self::transport::BoxStream;
use crate::Task;
use crate::runtime::{Runtime, Spawn};
use antiphon_core::Headers;
use antiphon_core::client::CallConfig;
use antiphon_core::client::call::{Coding, Codings, RedirectPolicy};
use antiphon_core::client::pool::{Pool, PoolConfig, Stats};
use antiphon_core::h1::ClientConfig;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
    calls: CallConfig,
    headers: Headers,
    wraps: Wraps,
    #[cfg(feature = "cookies")]
    cookies: Option<crate::Cookies>,
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
            calls: CallConfig {
                user_agent: concat!("antiphon/", env!("CARGO_PKG_VERSION")).into(),
                codings: decode::CODINGS,
                plain_only: cfg!(not(feature = "tls")),
                ..CallConfig::default()
            },
            headers: Headers::new(),
            wraps: Wraps::default(),
            #[cfg(feature = "cookies")]
            cookies: None,
        }
    }

    /// Runs this around every call, inside of what was added before: see [`RoundTrip`].
    pub fn with(mut self, middleware: impl RoundTrip + 'static) -> Self {
        self.wraps.add(middleware);
        self
    }

    /// Lets `handler` answer the requests for URLs of this scheme (`file`, `s3`), without the network; what is
    /// [`Next`] to it is the network, for a handler that has turned the URL into an `http` one. Everything that was added
    /// [`with`](ClientBuilder::with) stands around it. Other schemes than these, `http` and `https` are an error, as
    /// ever. [`ServeDir`](crate::ServeDir) is a handler for `file`.
    ///
    /// Redirects that a handler gives are not followed, and none from the network leads to a handler: it fails the
    /// call with [`ErrorKind::Redirect`](crate::ErrorKind::Redirect). Otherwise any server could have the client read
    /// `file:` URLs for it.
    pub fn scheme(mut self, name: &str, handler: impl RoundTrip + 'static) -> Self {
        self.wraps.add_scheme(name, handler);
        self
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
        self.calls.user_agent = product.into().into();
        self
    }

    /// Fields that each request has, unless it has some of their names itself. As with its own, credentials among
    /// them are dropped where a redirect leads to another origin.
    pub fn default_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Whether redirects are followed. Default: 301, 302, 303, 307 and 308 are, until ten requests were made. A policy
    /// may be a function, too.
    pub fn redirects(mut self, policy: RedirectPolicy) -> Self {
        self.calls.redirects = policy;
        self
    }

    /// How long a call may take, from the look-up of the host over every redirect and retry to the end of the
    /// response's body. Default: no limit but those of its connections.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.calls.timeout = Some(timeout);
        self
    }

    /// How long each wait for a connection may take, in the line of the pool or until one is made. Default: no limit
    /// beside [`connect_timeout`](ClientBuilder::connect_timeout), which bounds the making alone.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.calls.connect_timeout = Some(timeout);
        self
    }

    /// How many bytes of a response's body there may be, as they come and as they are decoded: see
    /// [`RequestBuilder::max_body`]. Default: no limit.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.calls.max_body = Some(bytes);
        self
    }

    /// Keeps cookies in this jar, and sends them. Default: none are kept. A clone of it is the same jar: it can be
    /// looked at, saved, and shared with another client.
    #[cfg(feature = "cookies")]
    pub fn cookies(mut self, jar: crate::Cookies) -> Self {
        self.calls.cookies = true;
        self.cookies = Some(jar);
        self
    }

    /// Which content codings are asked for behind the caller's back, and decoded. Default: all that are compiled in, by
    /// the features `gzip`, `deflate`, `brotli` and `zstd`. [`Codings::NONE`] takes every body as it comes; so does a
    /// request that has an `Accept-Encoding` or a `Range` of its own.
    pub fn codings(mut self, codings: Codings) -> Self {
        self.calls.codings = decodable(codings);
        self
    }

    /// The client.
    pub fn build(mut self) -> Client<R> {
        self.calls.proxies = self.connecting.take_proxies();
        self.connecting.name_agent(&self.calls.user_agent);
        // A request's own `Connection` goes before it, which leaves protocol switches alone.
        if !self.pool.keep_alive && !self.headers.contains("connection") {
            let _ = self.headers.append("connection", "close");
        }
        let pool = Pool::new(self.pool);
        let calls = Calls {
            config: Arc::new(self.calls),
            headers: self.headers,
            #[cfg(feature = "cookies")]
            cookies: self.cookies,
        };
        let hub = Hub::new(
            self.runtime,
            self.config,
            pool,
            self.connecting,
            calls,
            self.wraps,
        );
        Client { hub: Arc::new(hub) }
    }
}

/// Those of them that are compiled in.
fn decodable(codings: Codings) -> Codings {
    let all = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];
    all.into_iter()
        .filter(|&c| codings.contains(c) && decode::CODINGS.contains(c))
        .fold(Codings::NONE, Codings::with)
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
        RequestBuilder::new(self.hub.clone(), method.as_ref(), url.into())
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
            .field("user_agent", &self.hub.calls.config.user_agent)
            .finish_non_exhaustive()
    }
}
