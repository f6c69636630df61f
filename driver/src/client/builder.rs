//! The settings of [`ClientBuilder`] that say how connections are made: names, addresses, proxies, TLS, and who is
//! told of it.

use super::ClientBuilder;
use super::dial::{Boxed, DialTo};
use super::transport::BoxStream;
use crate::runtime::Spawn;
#[cfg(feature = "tls")]
use crate::tls::TlsConfig;
use crate::{Runtime, Stream, Task, Trace};
use antiphon_core::Headers;
use antiphon_core::client::connect::ConnectConfig;
use antiphon_core::client::proxy::{Proxy, ProxyRules};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

type Resolver = dyn Fn(Arc<str>, u16) -> Boxed<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;
type CustomDialer = dyn Fn(DialTo) -> Boxed<'static, io::Result<BoxStream>> + Send + Sync;

/// How connections are made.
#[derive(Clone, Default)]
pub(super) struct Connecting {
    pub(super) config: ConnectConfig,
    /// `None`: those of the environment.
    pub(super) proxies: Option<ProxyRules>,
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

    /// The proxy of a tunnel is told the same name as servers are, unless it has fields of its own for that.
    pub(super) fn name_agent(&mut self, name: &str) {
        if !name.is_empty() && !self.tunnel_headers.contains("user-agent") {
            // One that is no field value fails every request, with its own error.
            let _ = self.tunnel_headers.append("user-agent", name);
        }
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

impl<R: Runtime + Spawn<Task>> ClientBuilder<R> {
    /// Limits and delays of making a connection: which addresses are tried when, and how long each phase may take.
    pub fn connect(mut self, config: ConnectConfig) -> Self {
        self.connecting.config = config;
        self
    }

    /// How long looking the host up and dialling may take together. Default: 30 s. It is
    /// [`ConnectConfig::dial_timeout`]; what comes after has bounds of its own.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connecting.config.dial_timeout = Some(timeout);
        self
    }

    /// Sends every request through this proxy, whatever the environment says; also those to this machine.
    ///
    /// `http` and `https` proxies are asked for `http` targets in absolute form and for `https` ones with CONNECT;
    /// `socks5` proxies get an address that was looked up here, `socks5h` ones the name.
    pub fn proxy(self, proxy: Proxy) -> Self {
        self.proxies(ProxyRules::all(proxy))
    }

    /// Uses no proxy, whatever the environment says.
    pub fn no_proxy(self) -> Self {
        self.proxies(ProxyRules::DIRECT)
    }

    /// Which requests go through which proxy. Default: what the environment says when the client is built, in
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; see [`ProxyRules::from_env`]. A variable that cannot
    /// be understood fails the requests that it would apply to.
    pub fn proxies(mut self, rules: ProxyRules) -> Self {
        self.connecting.proxies = Some(rules);
        self
    }

    /// Fields to send with CONNECT to a proxy, such as a token or a User-Agent. `Host` and the credentials of the
    /// proxy's URL need not be among them.
    pub fn proxy_headers(mut self, headers: Headers) -> Self {
        self.connecting.tunnel_headers = headers;
        self
    }

    /// The addresses of `host`, which is not looked up then; the port 0 stands for that of the URL. Further calls add
    /// further hosts.
    pub fn resolve(mut self, host: &str, addresses: impl Into<Vec<SocketAddr>>) -> Self {
        let host = host.to_ascii_lowercase().into();
        self.connecting.hosts.insert(host, addresses.into());
        self
    }

    /// Looks names up in the place of the runtime: it is given the name and the port that its addresses are to have,
    /// and gives them in the order in which they are to be tried. It is not asked for what is an address already.
    pub fn resolver<F, T>(mut self, resolver: F) -> Self
    where
        F: Fn(Arc<str>, u16) -> T + Send + Sync + 'static,
        T: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        self.connecting.resolver = Some(Arc::new(move |host, port| Box::pin(resolver(host, port))));
        self
    }

    /// Connects to addresses in the place of the runtime, perhaps to several at once: a future that is dropped is no
    /// longer wanted. Proxies and TLS come on top of the stream that it gives.
    ///
    /// For something without an address, such as a socket in the file system, let a
    /// [`resolver`](ClientBuilder::resolver) give any address, and go by [`DialTo::host`].
    pub fn dialer<F, T, S>(mut self, dialer: F) -> Self
    where
        F: Fn(DialTo) -> T + Send + Sync + 'static,
        T: Future<Output = io::Result<S>> + Send + 'static,
        S: Stream + Send + 'static,
    {
        self.connecting.dialer = Some(Arc::new(move |to| {
            let dialed = dialer(to);
            Box::pin(async move { dialed.await.map(|stream| Box::new(stream) as BoxStream) })
        }));
        self
    }

    /// How TLS is spoken: whom to trust, who we are. Default: the roots of the operating system, read when they are
    /// first wanted.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: TlsConfig) -> Self {
        self.connecting.tls = Some(config);
        self
    }

    /// Tells this observer what becomes of calls and connections. A single call may have one more:
    /// [`RequestBuilder::trace`](crate::RequestBuilder::trace).
    pub fn trace(mut self, trace: Arc<dyn Trace>) -> Self {
        self.connecting.trace = Some(trace);
        self
    }
}
