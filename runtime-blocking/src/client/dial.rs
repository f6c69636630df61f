//! [`Dialer`]: makes connections. The core's [`Connect`] decides which step comes when; here its steps are carried out,
//! on the thread of the request: names are looked up, addresses dialled, several at once, and what leads through proxies
//! and into TLS is run. It knows nothing of the pool.

use super::attempts::Attempts;
use super::connecting::Connecting;
use super::failure::{CONNECTING, Remains, not_connected};
use super::hops::{self, Hop};
use super::resolve;
use crate::clock;
use crate::error::{BoxError, Error, ErrorKind};
use crate::stream::Stream;
use antiphon_core::Instant;
use antiphon_core::client::Route;
use antiphon_core::client::connect::{
    Alpn, AttemptId, Connect, ConnectConfig, Connected, Dialed, Peer, SocksTarget, Step,
};
use antiphon_core::client::proxy::Proxy;
use antiphon_core::client::tunnel::TunnelRequest;
use antiphon_support::dial_failure;
#[cfg(feature = "tls")]
use antiphon_support::tls::{TlsConfig, TlsSession};
use antiphon_support::trace::{ConnId, Trace, TraceEvent, Tracer};
use bytes::Bytes;
use std::io;
use std::mem;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::time::Duration;

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
    /// How long it may take; `None`: as long as it takes.
    pub timeout: Option<Duration>,
}

/// Makes connections.
#[derive(Debug)]
pub(super) struct Dialer {
    settings: Connecting,
    /// Made when it is first wanted: the system's roots take their time to be read.
    #[cfg(feature = "tls")]
    tls: OnceLock<TlsConfig>,
}

impl Dialer {
    pub(super) fn new(mut settings: Connecting, user_agent: &str) -> Dialer {
        if !user_agent.is_empty() && !settings.tunnel_headers.contains("user-agent") {
            // One that is no field value fails every request, with its own error.
            let _ = settings.tunnel_headers.append("user-agent", user_agent);
        }
        Dialer {
            #[cfg(feature = "tls")]
            tls: settings.tls.take().map_or_else(OnceLock::new, OnceLock::from),
            settings,
        }
    }

    /// The observer of all that the client does.
    pub(super) fn observer(&self) -> Option<&Arc<dyn Trace>> {
        self.settings.trace.as_ref()
    }

    /// A connection along this route, and the address that was dialled.
    pub(super) fn dial(
        &self,
        route: &Route,
        until: Option<Instant>,
        conn: ConnId,
        tracer: &Tracer,
    ) -> Result<(Stream, SocketAddr), Error> {
        let now = clock::mono();
        let mut config = self.settings.config;
        let left = until.map(|at| at.saturating_since(now));
        config.total_timeout = [config.total_timeout, left].into_iter().flatten().min();
        let mut dialing = Dialing {
            dialer: self,
            route,
            conn,
            tracer,
            dials_until: dials_until(&config, now),
            config,
            connect: route.connect(config, now),
            attempts: Attempts::default(),
            dialled: Vec::new(),
            addresses: Vec::new(),
            stream: None,
            early: Bytes::new(),
            remains: Remains::default(),
        };
        let connected = dialing.run()?;
        // This is where another protocol gets its connections. Only HTTP/1.1 is offered, so nothing else is agreed on.
        match (connected.alpn, dialing.stream.take()) {
            (Alpn::None | Alpn::Http1, Some(stream)) => Ok((stream, connected.address)),
            _ => Err(Error::new(ErrorKind::Unsupported, CONNECTING)
                .with_source("the server wants to speak a protocol that was not offered")),
        }
    }

    /// What a name stands for; `None` if looking it up takes too long.
    fn lookup(
        &self,
        host: &Arc<str>,
        port: u16,
        until: Option<Instant>,
    ) -> Option<io::Result<Vec<SocketAddr>>> {
        if let Some(own) = self.settings.hosts.get(&*host.to_ascii_lowercase()) {
            let with_port = |a: &SocketAddr| match a.port() {
                0 => SocketAddr::new(a.ip(), port),
                _ => *a,
            };
            return Some(Ok(own.iter().map(with_port).collect()));
        }
        let (host, resolver) = (Arc::clone(host), self.settings.resolver.clone());
        resolve::within(until, move || match resolver {
            Some(resolver) => resolver(&host, port),
            None => (&*host, port).to_socket_addrs().map(Iterator::collect),
        })
    }

    #[cfg(feature = "tls")]
    fn tls_config(&self) -> Result<&TlsConfig, BoxError> {
        if let Some(config) = self.tls.get() {
            return Ok(config);
        }
        let made = TlsConfig::new()?;
        Ok(self.tls.get_or_init(|| made))
    }
}

/// When resolving and dialling end at the latest.
fn dials_until(config: &ConnectConfig, now: Instant) -> Option<Instant> {
    [config.dial_timeout, config.total_timeout]
        .into_iter()
        .flatten()
        .min()
        .map(|t| now + t)
}

/// One connection being made.
struct Dialing<'a> {
    dialer: &'a Dialer,
    route: &'a Route,
    conn: ConnId,
    tracer: &'a Tracer,
    config: ConnectConfig,
    dials_until: Option<Instant>,
    connect: Connect,
    attempts: Attempts,
    /// What ended without waiting, to be reported.
    dialled: Vec<(AttemptId, io::Result<TcpStream>)>,
    /// The addresses of the attempts under way: of few, since the core bounds how many there are at a time.
    addresses: Vec<(AttemptId, SocketAddr)>,
    /// That of the attempt that won.
    stream: Option<Stream>,
    /// Bytes of the target that came with the proxy's answer.
    early: Bytes,
    remains: Remains,
}

impl Dialing<'_> {
    fn run(&mut self) -> Result<Connected, Error> {
        loop {
            match self.connect.next_step() {
                Step::Resolve { host, port } => self.resolve(&host, port),
                Step::Dial { address, attempt } => self.start(address, attempt),
                Step::Cancel { attempt } => {
                    if self.attempts.cancel(attempt) {
                        let conn = self.conn;
                        if let Some(address) = self.address(attempt) {
                            self.tracer.tell(TraceEvent::DialCancelled { conn, address });
                        }
                    } else {
                        // That of the connection there is: all of it ends.
                        self.stream = None;
                    }
                }
                Step::Tls { server_name, peer } => self.secure(&server_name, peer),
                Step::Tunnel { host, port } => self.tunnel(&host, port),
                Step::Socks(target) => self.socks(&target),
                Step::WaitUntil(until) => self.wait(until),
                Step::Done(connected) => return Ok(connected),
                Step::Failed(error) => return Err(not_connected(error, mem::take(&mut self.remains))),
                // No other step is known, and none is told.
                _ => self.connect.cancel(),
            }
        }
    }

    /// Whom an attempt is dialling, which has ended now.
    fn address(&mut self, id: AttemptId) -> Option<SocketAddr> {
        let at = self.addresses.iter().position(|(i, _)| *i == id)?;
        Some(self.addresses.swap_remove(at).1)
    }

    fn resolve(&mut self, host: &Arc<str>, port: u16) {
        let conn = self.conn;
        self.tracer.tell(TraceEvent::ResolveStart { conn, host });
        let found = self.dialer.lookup(host, port, self.connect.deadline());
        let now = clock::mono();
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        if self.tracer.is_on() {
            let late = late();
            self.tracer.tell(TraceEvent::ResolveDone {
                conn,
                host,
                result: found.as_ref().map_or(Err(&late), |found| found.as_deref()),
            });
        }
        match found {
            Some(Ok(addresses)) => self.connect.resolved(&addresses, now),
            Some(Err(e)) => {
                self.remains.resolver = Some(e);
                self.connect.resolve_failed(now);
            }
            None => self.connect.handle_timeout(now),
        }
    }

    fn start(&mut self, address: SocketAddr, id: AttemptId) {
        let (conn, now) = (self.conn, clock::mono());
        self.tracer.tell(TraceEvent::DialStart { conn, address });
        self.addresses.push((id, address));
        let own = self.config.attempt_timeout.map(|t| now + t);
        let limit = [own, self.dials_until].into_iter().flatten().min();
        let ended = match &self.dialer.settings.dialer {
            None => self.attempts.begin(id, address, limit),
            Some(dial) => {
                let (host, port) = first_hop(self.route);
                let to = DialTo {
                    host: host.into(),
                    port,
                    address,
                    timeout: limit.map(|at| at.saturating_since(now)),
                };
                let dialled = dial(&to).and_then(|s| s.set_nonblocking(true).map(|()| s));
                Some((id, dialled))
            }
        };
        self.dialled.extend(ended);
    }

    /// Waits for an attempt to end, or for the time at which the core wants to be asked.
    fn wait(&mut self, until: Option<Instant>) {
        let mut ended = mem::take(&mut self.dialled);
        if ended.is_empty() {
            ended = self.attempts.wait(until);
        }
        for (id, result) in ended {
            let (conn, now) = (self.conn, clock::mono());
            let result = result.and_then(|socket| prepared(&socket).map(|()| socket));
            if let Some(address) = self.address(id) {
                let result = result.as_ref().map(|_| ());
                self.tracer.tell(TraceEvent::DialDone {
                    conn,
                    address,
                    result,
                });
            }
            match result {
                Ok(socket) => match self.connect.dialed(id, now) {
                    Dialed::Won => self.stream = Some(Stream::plain(Arc::new(socket))),
                    Dialed::TooLate => {}
                },
                Err(e) => {
                    self.connect.dial_failed(id, dial_failure(&e), now);
                    self.remains.dial = Some(e);
                }
            }
        }
        let now = clock::mono();
        if until.is_some_and(|at| at <= now) {
            self.connect.handle_timeout(now);
        }
    }

    #[cfg(feature = "tls")]
    fn secure(&mut self, server_name: &str, peer: Peer) {
        let (conn, until) = (self.conn, self.connect.deadline());
        let Some(stream) = &mut self.stream else { return };
        self.tracer.tell(TraceEvent::TlsStart {
            conn,
            peer,
            server_name,
        });
        let early = mem::take(&mut self.early);
        let begun = self.dialer.tls_config().and_then(|config| {
            let session = TlsSession::new(config, server_name, peer == Peer::Proxy)?;
            Ok(stream.secure(session, &early)?)
        });
        let shaken = match begun {
            Ok(()) => hops::shake_hands(stream, until),
            Err(e) => return self.tls_failed(e, peer),
        };
        let now = clock::mono();
        match shaken {
            Hop::Done(()) => {
                let result = Ok(stream.alpn());
                self.tracer.tell(TraceEvent::TlsDone { conn, peer, result });
                self.connect.tls_done(stream.alpn(), now);
            }
            Hop::Late => {
                self.tracer.tell(TraceEvent::TlsDone {
                    conn,
                    peer,
                    result: Err(&io::Error::from(io::ErrorKind::TimedOut)),
                });
                self.connect.handle_timeout(now);
            }
            // What the library says, without the I/O error around it.
            Hop::Failed(e) if e.get_ref().is_some() => {
                if let Some(inner) = e.into_inner() {
                    self.tls_failed(inner, peer);
                }
            }
            Hop::Failed(e) => self.tls_failed(e.into(), peer),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&mut self, server_name: &str, peer: Peer) {
        self.tracer.tell(TraceEvent::TlsStart {
            conn: self.conn,
            peer,
            server_name,
        });
        self.tls_failed("TLS was left out of this build (feature `tls`)".into(), peer);
    }

    fn tls_failed(&mut self, e: BoxError, peer: Peer) {
        self.tracer.tell(TraceEvent::TlsDone {
            conn: self.conn,
            peer,
            result: Err(&*e),
        });
        self.remains.tls = Some(e);
        self.connect.tls_failed(clock::mono());
    }

    fn tunnel(&mut self, host: &str, port: u16) {
        let (conn, until) = (self.conn, self.connect.deadline());
        let Some(stream) = &mut self.stream else { return };
        self.tracer.tell(TraceEvent::ProxyStart { conn, host, port });
        let request = TunnelRequest {
            credentials: self.route.proxy().and_then(Proxy::credentials),
            headers: self.dialer.settings.tunnel_headers.as_fields(),
            // The phase has its bound already.
            timeout: None,
            ..TunnelRequest::new(host, port)
        };
        let hop = hops::tunnel(stream, &request, until);
        let now = clock::mono();
        match hop {
            Hop::Done(early) => {
                self.proxy_answered(Ok(()));
                self.early = early;
                self.connect.proxy_done(now);
            }
            Hop::Failed((e, answer)) => {
                self.proxy_answered(Err(&e));
                self.remains.answer = answer;
                self.connect.tunnel_failed(e, now);
            }
            Hop::Late => self.late(now),
        }
    }

    /// What became of asking the proxy.
    fn proxy_answered(&self, result: Result<(), &(dyn std::error::Error + 'static)>) {
        let conn = self.conn;
        self.tracer.tell(TraceEvent::ProxyDone { conn, result });
    }

    /// The proxy has not answered in time.
    fn late(&mut self, now: Instant) {
        self.proxy_answered(Err(&io::Error::from(io::ErrorKind::TimedOut)));
        self.connect.handle_timeout(now);
    }

    fn socks(&mut self, target: &SocksTarget) {
        let (conn, until) = (self.conn, self.connect.deadline());
        let Some(stream) = &mut self.stream else { return };
        if self.tracer.is_on() {
            let address;
            let (host, port) = match target {
                SocksTarget::Name(host, port) => (&**host, *port),
                SocksTarget::Address(a) => {
                    address = a.ip().to_string();
                    (&*address, a.port())
                }
            };
            self.tracer.tell(TraceEvent::ProxyStart { conn, host, port });
        }
        let credentials = self.route.proxy().and_then(Proxy::credentials);
        let hop = hops::socks(stream, target, credentials, until);
        let now = clock::mono();
        match hop {
            Hop::Done(()) => {
                self.proxy_answered(Ok(()));
                self.connect.proxy_done(now);
            }
            Hop::Failed(e) => {
                self.proxy_answered(Err(&e));
                self.connect.socks_failed(e, now);
            }
            Hop::Late => self.late(now),
        }
    }
}

fn prepared(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    crate::server::keep_alive(socket);
    Ok(())
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
