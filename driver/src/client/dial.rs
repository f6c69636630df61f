//! [`Dialer`]: makes connections. The core's [`Connect`] decides which step comes when; here its steps are carried
//! out: names are looked up, addresses dialled, several at once, and what leads through proxies and into TLS is run.
//!
//! It knows nothing of the pool: `hub.rs` runs it in a task of its own, and dropping its future gives up everything
//! that is under way.

use super::builder::Connecting;
use super::failure::{Remains, not_connected};
use super::hops::{self, Tunnelled};
use super::transport::Transport;
use crate::runtime::{Runtime, Stream, Timer};
#[cfg(feature = "tls")]
use crate::tls::{self, TlsConfig};
use crate::{BoxError, ConnId, Error, ErrorKind, Trace, TraceEvent};
use antiphon_core::Instant;
use antiphon_core::client::Route;
use antiphon_core::client::connect::{Alpn, AttemptId, Connect, Connected, Dialed, Peer, SocksTarget, Step};
use antiphon_core::client::socks::SocksError;
use antiphon_core::client::tunnel::TunnelRequest;
use antiphon_support::dial_failure;
use antiphon_support::trace::Tracer;
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::task::{Context, Poll};

const CONNECTING: &str = "connecting";

/// A future in a box, which cannot be told from the others under way.
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A name being looked up.
type Lookup<'a> = Boxed<'a, io::Result<Vec<SocketAddr>>>;

/// What a custom dialer is to reach. See [`ClientBuilder::dialer`](crate::ClientBuilder::dialer).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialTo {
    /// The name whose address it is (an address in the URL is its own name): the target's, or the proxy's.
    pub host: Arc<str>,
    /// The port of the URL.
    pub port: u16,
    /// The address.
    pub address: SocketAddr,
}

/// Makes connections.
pub(super) struct Dialer<R: Runtime> {
    runtime: R,
    settings: Connecting,
    /// Made when it is first wanted: the system's roots take their time to be read.
    #[cfg(feature = "tls")]
    tls: Arc<OnceLock<TlsConfig>>,
}

impl<R: Runtime> Dialer<R> {
    pub(super) fn new(runtime: R, settings: Connecting) -> Dialer<R> {
        Dialer {
            runtime,
            #[cfg(feature = "tls")]
            tls: Arc::new(settings.tls.clone().map_or_else(OnceLock::new, OnceLock::from)),
            settings,
        }
    }

    /// The observer of all that the client does.
    pub(super) fn observer(&self) -> Option<&Arc<dyn Trace>> {
        self.settings.trace.as_ref()
    }

    /// A connection along this route.
    ///
    /// # Cancel safety
    /// Dropping the future closes everything that was begun.
    pub(super) async fn dial(
        &self,
        route: &Route,
        conn: ConnId,
        tracer: &Tracer,
    ) -> Result<(Transport<R::Stream>, SocketAddr), Error> {
        let connect = route.connect(self.settings.config, self.runtime.now());
        let mut dialing = Dialing {
            dialer: self,
            route,
            conn,
            tracer,
            connect,
            lookup: None,
            attempts: Vec::new(),
            hop: None,
            stream: None,
            early: Bytes::new(),
            remains: Remains::default(),
            timer: None,
            armed: None,
        };
        let connected = dialing.run().await?;
        // This is where another protocol gets its connections. Only HTTP/1.1 is offered, so nothing else is agreed on.
        match (connected.alpn, dialing.stream.take()) {
            (Alpn::None | Alpn::Http1, Some(stream)) => Ok((stream, connected.address)),
            _ => Err(Error::new(ErrorKind::Unsupported, CONNECTING)
                .with_source("the server wants to speak a protocol that was not offered")),
        }
    }

    fn lookup(&self, host: Arc<str>, port: u16) -> Lookup<'_> {
        if let Some(own) = self.settings.hosts.get(&*host.to_ascii_lowercase()) {
            let with_port = |a: &SocketAddr| match a.port() {
                0 => SocketAddr::new(a.ip(), port),
                _ => *a,
            };
            let own = own.iter().map(with_port).collect();
            return Box::pin(std::future::ready(Ok(own)));
        }
        match &self.settings.resolver {
            Some(resolver) => resolver(host, port),
            None => Box::pin(async move { self.runtime.resolve(&host, port).await }),
        }
    }

    fn attempt(&self, to: DialTo) -> Boxed<'_, io::Result<Transport<R::Stream>>> {
        match &self.settings.dialer {
            Some(dialer) => {
                let dialed = dialer(to);
                Box::pin(async move { dialed.await.map(Transport::Custom) })
            }
            None => Box::pin(async move { self.runtime.connect(to.address).await.map(Transport::Plain) }),
        }
    }

    #[cfg(feature = "tls")]
    async fn tls_config(&self) -> Result<TlsConfig, BoxError> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        // Roots come from files.
        let made = self.runtime.unblock(tls::default_config).await??;
        Ok(self.tls.get_or_init(|| made).clone())
    }

    /// Does a TLS handshake; gives what ALPN agreed on.
    #[cfg(feature = "tls")]
    async fn tls(
        &self,
        stream: Transport<R::Stream>,
        early: Bytes,
        server_name: Arc<str>,
        peer: Peer,
    ) -> Secured<R::Stream> {
        let config = self.tls_config().await?;
        let stream = tls::handshake(stream, &early, &config, &server_name, peer == Peer::Proxy).await?;
        let alpn = stream.alpn().map(Into::into);
        Ok((Transport::Tls(Box::new(stream)), alpn))
    }

    #[cfg(not(feature = "tls"))]
    async fn tls(&self, _: Transport<R::Stream>, _: Bytes, _: Arc<str>, _: Peer) -> Secured<R::Stream> {
        Err("TLS was left out of this build (feature `tls`)".into())
    }
}

/// TLS over the stream, and the protocol agreed on.
type Secured<S> = Result<(Transport<S>, Option<Box<[u8]>>), BoxError>;

/// One connection being made.
struct Dialing<'a, R: Runtime> {
    dialer: &'a Dialer<R>,
    route: &'a Route,
    conn: ConnId,
    tracer: &'a Tracer,
    connect: Connect,
    /// What is under way: a name, ...
    lookup: Option<(Arc<str>, Lookup<'a>)>,
    /// ... addresses (the core bounds how many), ...
    attempts: Vec<Attempt<'a, R::Stream>>,
    /// ... or a step over the connection, which it owns meanwhile.
    hop: Option<Boxed<'a, Hop<R::Stream>>>,
    stream: Option<Transport<R::Stream>>,
    /// Bytes of the target that came with the proxy's answer.
    early: Bytes,
    remains: Remains,
    timer: Option<R::Timer>,
    armed: Option<Instant>,
}

struct Attempt<'a, S: Stream> {
    id: AttemptId,
    address: SocketAddr,
    future: Boxed<'a, io::Result<Transport<S>>>,
}

/// What a step over the connection came to.
enum Hop<S: Stream> {
    Tls(Peer, Secured<S>),
    Tunnel(Tunnelled<S>),
    Socks(Result<Transport<S>, SocksError>),
}

/// What can be reported to the core.
enum News<S: Stream> {
    Resolved(Arc<str>, io::Result<Vec<SocketAddr>>),
    Dialed(AttemptId, SocketAddr, io::Result<Transport<S>>),
    Hop(Hop<S>),
    Time,
}

impl<R: Runtime> Dialing<'_, R> {
    async fn run(&mut self) -> Result<Connected, Error> {
        loop {
            match self.connect.next_step() {
                Step::Resolve { host, port } => {
                    let conn = self.conn;
                    self.tracer.tell(TraceEvent::ResolveStart { conn, host: &host });
                    self.lookup = Some((host.clone(), self.dialer.lookup(host, port)));
                }
                Step::Dial { address, attempt } => self.start(address, attempt),
                Step::Cancel { attempt } => self.cancel(attempt),
                Step::Tls { server_name, peer } => self.secure(server_name, peer),
                Step::Tunnel { host, port } => self.tunnel(host, port),
                Step::Socks(target) => self.socks(target),
                Step::WaitUntil(until) => {
                    let news = poll_fn(|cx| self.poll(cx, until)).await;
                    self.report(news);
                }
                Step::Done(connected) => return Ok(connected),
                Step::Failed(error) => return Err(not_connected(error, std::mem::take(&mut self.remains))),
                // No other step is known, and none is told.
                _ => {
                    self.connect.cancel();
                }
            }
        }
    }

    fn start(&mut self, address: SocketAddr, id: AttemptId) {
        self.tracer.tell(TraceEvent::DialStart {
            conn: self.conn,
            address,
        });
        let (host, port) = first_hop(self.route);
        let to = DialTo {
            host: host.into(),
            port,
            address,
        };
        self.attempts.push(Attempt {
            id,
            address,
            future: self.dialer.attempt(to),
        });
    }

    fn cancel(&mut self, id: AttemptId) {
        if let Some(i) = self.attempts.iter().position(|a| a.id == id) {
            let attempt = self.attempts.remove(i);
            self.tracer.tell(TraceEvent::DialCancelled {
                conn: self.conn,
                address: attempt.address,
            });
        } else {
            // That of the connection there is: all of it ends.
            self.hop = None;
            self.stream = None;
        }
    }

    fn secure(&mut self, server_name: Arc<str>, peer: Peer) {
        self.tracer.tell(TraceEvent::TlsStart {
            conn: self.conn,
            peer,
            server_name: &server_name,
        });
        let (dialer, early) = (self.dialer, std::mem::take(&mut self.early));
        self.hop = self.stream.take().map(|stream| -> Boxed<'_, _> {
            Box::pin(async move { Hop::Tls(peer, dialer.tls(stream, early, server_name, peer).await) })
        });
    }

    fn tunnel(&mut self, host: Arc<str>, port: u16) {
        self.tracer.tell(TraceEvent::ProxyStart {
            conn: self.conn,
            host: &host,
            port,
        });
        let dialer = self.dialer;
        let credentials = self.route.proxy().and_then(|p| p.credentials());
        self.hop = self.stream.take().map(|stream| -> Boxed<'_, _> {
            Box::pin(async move {
                let request = TunnelRequest {
                    credentials,
                    headers: dialer.settings.tunnel_headers.as_fields(),
                    // The phase has its bound already.
                    timeout: None,
                    ..TunnelRequest::new(&host, port)
                };
                Hop::Tunnel(hops::tunnel(&dialer.runtime, stream, request).await)
            })
        });
    }

    fn socks(&mut self, target: SocksTarget) {
        let address;
        let (host, port) = match &target {
            SocksTarget::Name(host, port) => (&**host, *port),
            SocksTarget::Address(a) => {
                address = a.ip().to_string();
                (&*address, a.port())
            }
        };
        self.tracer.tell(TraceEvent::ProxyStart {
            conn: self.conn,
            host,
            port,
        });
        let credentials = self.route.proxy().and_then(|p| p.credentials());
        self.hop = self.stream.take().map(|stream| -> Boxed<'_, _> {
            Box::pin(async move { Hop::Socks(hops::socks(stream, target, credentials).await) })
        });
    }

    /// Waits for the next result, or for the time at which the core wants to be asked.
    fn poll(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<News<R::Stream>> {
        if let Some((_, lookup)) = &mut self.lookup
            && let Poll::Ready(result) = lookup.as_mut().poll(cx)
            && let Some((host, _)) = self.lookup.take()
        {
            return Poll::Ready(News::Resolved(host, result));
        }
        for i in 0..self.attempts.len() {
            if let Poll::Ready(result) = self.attempts[i].future.as_mut().poll(cx) {
                let Attempt { id, address, .. } = self.attempts.remove(i);
                return Poll::Ready(News::Dialed(id, address, result));
            }
        }
        if let Some(hop) = &mut self.hop
            && let Poll::Ready(result) = hop.as_mut().poll(cx)
        {
            self.hop = None;
            return Poll::Ready(News::Hop(result));
        }
        self.poll_time(cx, until).map(|()| News::Time)
    }

    /// One timer, moved only to an earlier time: if it fires too early it is armed again.
    fn poll_time(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<()> {
        let Some(at) = until else { return Poll::Pending };
        let runtime = &self.dialer.runtime;
        loop {
            if at <= runtime.now() {
                return Poll::Ready(());
            }
            let timer = match &mut self.timer {
                Some(timer) => {
                    if self.armed.is_none_or(|armed| at < armed) {
                        timer.reset(at);
                        self.armed = Some(at);
                    }
                    timer
                }
                none => {
                    self.armed = Some(at);
                    none.insert(runtime.timer(at))
                }
            };
            match timer.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.armed = None,
            }
        }
    }

    fn report(&mut self, news: News<R::Stream>) {
        let (conn, now) = (self.conn, self.dialer.runtime.now());
        match news {
            News::Time => self.connect.handle_timeout(now),
            News::Resolved(host, result) => {
                self.tracer.tell(TraceEvent::ResolveDone {
                    conn,
                    host: &host,
                    result: result.as_deref(),
                });
                match result {
                    Ok(addresses) => self.connect.resolved(&addresses, now),
                    Err(error) => {
                        self.remains.resolver = Some(error);
                        self.connect.resolve_failed(now);
                    }
                }
            }
            News::Dialed(id, address, result) => {
                let result = result.map(|stream| match self.connect.dialed(id, now) {
                    Dialed::Won => self.stream = Some(stream),
                    Dialed::TooLate => {}
                });
                self.tracer.tell(TraceEvent::DialDone {
                    conn,
                    address,
                    result: result.as_ref().copied(),
                });
                if let Err(error) = result {
                    self.connect.dial_failed(id, dial_failure(&error), now);
                    self.remains.dial = Some(error);
                }
            }
            News::Hop(hop) => self.report_hop(hop, now),
        }
    }

    fn report_hop(&mut self, hop: Hop<R::Stream>, now: Instant) {
        let conn = self.conn;
        match hop {
            Hop::Tls(peer, Ok((stream, alpn))) => {
                self.tracer.tell(TraceEvent::TlsDone {
                    conn,
                    peer,
                    result: Ok(alpn.as_deref()),
                });
                self.stream = Some(stream);
                self.connect.tls_done(alpn.as_deref(), now);
            }
            Hop::Tls(peer, Err(error)) => {
                self.tracer.tell(TraceEvent::TlsDone {
                    conn,
                    peer,
                    result: Err(&*error),
                });
                self.remains.tls = Some(error);
                self.connect.tls_failed(now);
            }
            Hop::Tunnel(Ok((stream, early))) => {
                self.tracer.tell(TraceEvent::ProxyDone { conn, result: Ok(()) });
                (self.stream, self.early) = (Some(stream), early);
                self.connect.proxy_done(now);
            }
            Hop::Tunnel(Err((error, answer))) => {
                self.tracer.tell(TraceEvent::ProxyDone {
                    conn,
                    result: Err(&error),
                });
                self.remains.answer = answer;
                self.connect.tunnel_failed(error, now);
            }
            Hop::Socks(Ok(stream)) => {
                self.tracer.tell(TraceEvent::ProxyDone { conn, result: Ok(()) });
                self.stream = Some(stream);
                self.connect.proxy_done(now);
            }
            Hop::Socks(Err(error)) => {
                self.tracer.tell(TraceEvent::ProxyDone {
                    conn,
                    result: Err(&error),
                });
                self.connect.socks_failed(error, now);
            }
        }
    }
}

/// Whom the dialled addresses belong to: an IPv6 address without its brackets.
fn first_hop(route: &Route) -> (&str, u16) {
    let (host, port) = match route.proxy() {
        Some(proxy) => (proxy.host(), proxy.port()),
        None => (route.host(), route.port()),
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}
