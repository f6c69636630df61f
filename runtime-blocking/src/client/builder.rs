//! [`ClientBuilder`]: the settings of a client. Those that say how connections are made are in `connecting`.

use super::Client;
use super::connecting::Connecting;
use super::hub::Hub;
use antiphon_core::client::CallConfig;
use antiphon_core::client::call::RedirectPolicy;
use antiphon_core::client::pool::PoolConfig;
use antiphon_core::h1::ClientConfig;
use std::sync::Arc;
use std::time::Duration;

/// What the client calls itself unless told otherwise.
const USER_AGENT: &str = concat!("antiphon/", env!("CARGO_PKG_VERSION"));

/// The settings of a [`Client`] to be.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    config: ClientConfig,
    pool: PoolConfig,
    call: CallConfig,
    pub(super) connecting: Connecting,
}

impl ClientBuilder {
    pub(super) fn new() -> ClientBuilder {
        ClientBuilder {
            config: ClientConfig::DEFAULT,
            pool: PoolConfig::DEFAULT,
            call: CallConfig {
                user_agent: USER_AGENT.into(),
                plain_only: cfg!(not(feature = "tls")),
                ..CallConfig::default()
            },
            connecting: Connecting::default(),
        }
    }

    /// Limits, deadlines and strictness of the connections.
    #[must_use]
    pub fn config(mut self, config: ClientConfig) -> ClientBuilder {
        self.config = config;
        self
    }

    /// How many connections are kept, for how long, and how many there may be.
    #[must_use]
    pub fn pool(mut self, pool: PoolConfig) -> ClientBuilder {
        self.pool = pool;
        self
    }

    /// The time for all of a call: waiting for a connection, connecting, sending, every redirect, and reading the
    /// response's body. Default: none. A request's own ([`RequestBuilder::timeout`](super::RequestBuilder::timeout))
    /// replaces it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.call.timeout = Some(timeout);
        self
    }

    /// Whether redirects are followed. Default: until ten requests were made. With
    /// [`RedirectPolicy::None`] each 3xx is a response like any other.
    #[must_use]
    pub fn redirects(mut self, policy: RedirectPolicy) -> ClientBuilder {
        self.call.redirects = policy;
        self
    }

    /// What `User-Agent` says, unless a request sets its own. Default: `antiphon/` and the version; an empty one
    /// is not sent.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> ClientBuilder {
        self.call.user_agent = name.into().into();
        self
    }

    /// The client.
    pub fn build(mut self) -> Client {
        self.call.proxies = self.connecting.take_proxies();
        let hub = Hub::new(self.config, self.pool, self.call, self.connecting);
        Client { hub: Arc::new(hub) }
    }
}
