//! [`ClientBuilder`]: the settings of a client. Those that say how connections are made are in `connecting`.

use super::Client;
use super::connecting::Connecting;
use super::hub::Hub;
use super::middleware::{RoundTrip, Wraps};
use antiphon_core::Headers;
use antiphon_core::client::CallConfig;
use antiphon_core::client::call::{Coding, Codings, RedirectPolicy};
use antiphon_core::client::pool::PoolConfig;
use antiphon_core::h1::ClientConfig;
use antiphon_support::content::CODINGS;
#[cfg(feature = "cookies")]
use antiphon_support::cookies::Cookies;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What the client calls itself unless told otherwise.
const USER_AGENT: &str = concat!("antiphon/", env!("CARGO_PKG_VERSION"));

/// The settings of a [`Client`] to be.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    pub(super) settings: Settings,
}

/// All that is set.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) config: ClientConfig,
    pub(super) pool: PoolConfig,
    pub(super) call: CallConfig,
    pub(super) default_headers: Headers,
    #[cfg(feature = "cookies")]
    pub(super) cookies: Option<Cookies>,
    pub(super) connecting: Connecting,
    pub(super) wraps: Wraps,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("config", &self.config)
            .field("pool", &self.pool)
            .field("call", &self.call)
            .field("default_headers", &self.default_headers)
            .field("connecting", &self.connecting)
            .field("wraps", &self.wraps)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(super) fn new() -> ClientBuilder {
        let call = CallConfig {
            user_agent: USER_AGENT.into(),
            codings: CODINGS,
            plain_only: cfg!(not(feature = "tls")),
            ..CallConfig::default()
        };
        ClientBuilder {
            settings: Settings {
                config: ClientConfig::DEFAULT,
                pool: PoolConfig::DEFAULT,
                call,
                default_headers: Headers::new(),
                #[cfg(feature = "cookies")]
                cookies: None,
                connecting: Connecting::default(),
                wraps: Wraps::default(),
            },
        }
    }

    /// Runs this around every call, inside of what was added before: see [`RoundTrip`].
    #[must_use]
    pub fn with(mut self, middleware: impl RoundTrip + 'static) -> ClientBuilder {
        self.settings.wraps.add(middleware);
        self
    }

    /// Lets `handler` answer the requests for URLs of this scheme (`file`, `s3`), without the network; what is
    /// [`Next`](crate::Next) to it is the network, for a handler that has turned the URL into an `http` one. Everything
    /// that was added [`with`](ClientBuilder::with) stands around it. Other schemes than these, `http` and `https` are an
    /// error, as ever. [`ServeDir`](crate::ServeDir) is a handler for `file`.
    ///
    /// Redirects that a handler gives are not followed, and none from the network leads to a handler: it fails the
    /// call with [`ErrorKind::Redirect`](crate::ErrorKind::Redirect). Otherwise any server could have the client read
    /// `file:` URLs for it.
    #[must_use]
    pub fn scheme(mut self, name: &str, handler: impl RoundTrip + 'static) -> ClientBuilder {
        self.settings.wraps.add_scheme(name, handler);
        self
    }

    /// Limits, deadlines and strictness of the connections.
    #[must_use]
    pub fn config(mut self, config: ClientConfig) -> ClientBuilder {
        self.settings.config = config;
        self
    }

    /// How many connections are kept, for how long, and how many there may be.
    #[must_use]
    pub fn pool(mut self, pool: PoolConfig) -> ClientBuilder {
        self.settings.pool = pool;
        self
    }

    /// The time for all of a call: waiting for a connection, connecting, sending, every redirect, and reading the
    /// response's body. Default: none. A request's own ([`RequestBuilder::timeout`](super::RequestBuilder::timeout))
    /// replaces it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.settings.call.timeout = Some(timeout);
        self
    }

    /// Whether redirects are followed. Default: until ten requests were made. With
    /// [`RedirectPolicy::None`] each 3xx is a response like any other.
    #[must_use]
    pub fn redirects(mut self, policy: RedirectPolicy) -> ClientBuilder {
        self.settings.call.redirects = policy;
        self
    }

    /// How many bytes of a response's body there may be, as they come and as they are decoded: see
    /// [`RequestBuilder::max_body`](super::RequestBuilder::max_body). Default: no limit.
    #[must_use]
    pub fn max_body(mut self, bytes: u64) -> ClientBuilder {
        self.settings.call.max_body = Some(bytes);
        self
    }

    /// What `User-Agent` says, unless a request sets its own. Default: `antiphon/` and the version; an empty one
    /// is not sent.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> ClientBuilder {
        self.settings.call.user_agent = name.into().into();
        self
    }

    /// Fields of every request that has none of the same name. Like a request's own they do not follow a redirect to
    /// where they may not.
    #[must_use]
    pub fn default_headers(mut self, headers: Headers) -> ClientBuilder {
        self.settings.default_headers = headers;
        self
    }

    /// Keeps cookies, and sends them with the requests that they are for. Default: none are kept. The jar can be shared
    /// with other clients, and looked at.
    #[cfg(feature = "cookies")]
    #[must_use]
    pub fn cookies(mut self, cookies: Cookies) -> ClientBuilder {
        self.settings.call.cookies = true;
        self.settings.cookies = Some(cookies);
        self
    }

    /// Which content codings are asked for behind the caller's back, and decoded. Default: all that are compiled in, by
    /// the features `gzip`, `deflate`, `brotli` and `zstd`. [`Codings::NONE`] takes every body as it comes; so does a
    /// request that has an `Accept-Encoding` or a `Range` of its own.
    #[must_use]
    pub fn codings(mut self, codings: Codings) -> ClientBuilder {
        self.settings.call.codings = decodable(codings);
        self
    }

    /// How long each wait for a connection may take, in the line of the pool or until one is made. Default: no limit
    /// beside [`connect_timeout`](ClientBuilder::connect_timeout), which bounds the making alone.
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.settings.call.connect_timeout = Some(timeout);
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        let mut settings = self.settings;
        settings.call.proxies = settings.connecting.take_proxies();
        // A request's own `Connection` goes before it, which leaves protocol switches alone.
        if !settings.pool.keep_alive && !settings.default_headers.contains("connection") {
            let _ = settings.default_headers.append("connection", "close");
        }
        Client {
            hub: Arc::new(Hub::new(settings)),
        }
    }
}

/// Those of them that are compiled in.
pub(super) fn decodable(codings: Codings) -> Codings {
    let all = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];
    let missing = all.into_iter().filter(|c| !CODINGS.contains(*c));
    missing.fold(codings, Codings::without)
}
