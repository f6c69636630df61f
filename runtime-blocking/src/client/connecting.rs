//! [`Connecting`]: the settings that say how connections are made: names, addresses, proxies, TLS.

use super::ClientBuilder;
use super::dial::DialTo;
use antiphon_core::Headers;
use antiphon_core::client::connect::ConnectConfig;
use antiphon_core::client::proxy::{Proxy, ProxyRules};
#[cfg(feature = "tls")]
use antiphon_support::tls::TlsConfig;
use antiphon_support::trace::Trace;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

pub(super) type Resolver = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;
pub(super) type CustomDialer = dyn Fn(&DialTo) -> io::Result<TcpStream> + Send + Sync;

/// How connections are made.
#[derive(Clone, Default)]
pub(super) struct Connecting {
    pub(super) config: ConnectConfig,
    /// `None`: those of the environment.
    proxies: Option<ProxyRules>,
    /// Sent with CONNECT.
    pub(super) tunnel_headers: Headers,
    /// In lower case.
    pub(super) hosts: BTreeMap<Box<str>, Vec<SocketAddr>>,
    pub(super) resolver: Option<Arc<Resolver>>,
    pub(super) dialer: Option<Arc<CustomDialer>>,
    /// `None`: the default one, made when it is first wanted.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsConfig>,
    pub(super) trace: Option<Arc<dyn Trace>>,
}

impl Connecting {
    /// The rules to go by. The environment is read now, once for a client.
    pub(super) fn take_proxies(&mut self) -> ProxyRules {
        let env = || ProxyRules::from_env(|name| std::env::var(name).ok());
        self.proxies.take().unwrap_or_else(env)
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Fields for a proxy may hold its secrets: their number will do.
        f.debug_struct("Connecting")
            .field("config", &self.config)
            .field("proxies", &self.proxies)
            .field("tunnel_headers", &self.tunnel_headers.len())
            .field("hosts", &self.hosts)
            .field("resolver", &self.resolver.is_some())
            .field("dialer", &self.dialer.is_some())
            .field("trace", &self.trace.is_some())
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Limits and delays of making a connection: which addresses are tried when, and how long each phase may take.
    #[must_use]
    pub fn connect(mut self, config: ConnectConfig) -> ClientBuilder {
        self.settings.connecting.config = config;
        self
    }

    /// How long looking the host up and dialling may take together. Default: 30 s. It is
    /// [`ConnectConfig::dial_timeout`]; what comes after has bounds of its own.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.settings.connecting.config.dial_timeout = Some(timeout);
        self
    }

    /// Sends every request through this proxy, whatever the environment says; also those to this machine.
    ///
    /// `http` and `https` proxies are asked for `http` targets in absolute form and for `https` ones with CONNECT;
    /// `socks5` proxies get an address that was looked up here, `socks5h` ones the name.
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> ClientBuilder {
        self.proxies(ProxyRules::all(proxy))
    }

    /// Uses no proxy, whatever the environment says.
    #[must_use]
    pub fn no_proxy(self) -> ClientBuilder {
        self.proxies(ProxyRules::DIRECT)
    }

    /// Which requests go through which proxy. Default: what the environment says when the client is built, in
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; see [`ProxyRules::from_env`]. A variable that cannot
    /// be understood fails the requests that it would apply to.
    #[must_use]
    pub fn proxies(mut self, rules: ProxyRules) -> ClientBuilder {
        self.settings.connecting.proxies = Some(rules);
        self
    }

    /// Fields to send with CONNECT to a proxy, such as a token. `Host` and the credentials of the proxy's URL are
    /// sent without, and User-Agent as with other requests.
    #[must_use]
    pub fn proxy_headers(mut self, headers: Headers) -> ClientBuilder {
        self.settings.connecting.tunnel_headers = headers;
        self
    }

    /// The addresses of `host`, which is not looked up then; the port 0 stands for that of the URL. Further calls add
    /// further hosts.
    #[must_use]
    pub fn resolve(mut self, host: &str, addresses: impl Into<Vec<SocketAddr>>) -> ClientBuilder {
        let host = host.to_ascii_lowercase().into();
        self.settings.connecting.hosts.insert(host, addresses.into());
        self
    }

    /// Looks names up in the place of the system: it is given the name and the port that its addresses are to have,
    /// and gives them in the order in which they are to be tried. It is not asked for what is an address already.
    ///
    /// It runs on a thread of its own, like the system's, so that a deadline is kept however long it takes.
    #[must_use]
    pub fn resolver<F>(mut self, resolver: F) -> ClientBuilder
    where
        F: Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    {
        self.settings.connecting.resolver = Some(Arc::new(resolver));
        self
    }

    /// Connects to addresses in the place of the system. Proxies and TLS come on top of the socket that it gives.
    ///
    /// It runs on the thread of the request: addresses are tried one after the other, and it has to keep to
    /// [`DialTo::timeout`] itself.
    #[must_use]
    pub fn dialer<F>(mut self, dialer: F) -> ClientBuilder
    where
        F: Fn(&DialTo) -> io::Result<TcpStream> + Send + Sync + 'static,
    {
        self.settings.connecting.dialer = Some(Arc::new(dialer));
        self
    }

    /// How TLS is spoken: whom to trust, who we are. Default: the roots of the operating system, read when they are
    /// first wanted.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: TlsConfig) -> ClientBuilder {
        self.settings.connecting.tls = Some(config);
        self
    }

    /// Tells this observer what becomes of calls and connections. A single call may have one more:
    /// [`RequestBuilder::trace`](crate::RequestBuilder::trace).
    #[must_use]
    pub fn trace(mut self, trace: Arc<dyn Trace>) -> ClientBuilder {
        self.settings.connecting.trace = Some(trace);
        self
    }
}
