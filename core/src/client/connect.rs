//! [`Connect`]: the steps of making one connection, in order and in time: resolve, dial (happy eyeballs, RFC 8305), TLS
//! with the proxy, the proxy's own step, TLS with the target.
//!
//! Which addresses are tried when is decided in `race.rs`, what is offered by ALPN and what follows from the answer in
//! `alpn.rs`; limits are in `config.rs`, errors in `error.rs`. Sockets, resolvers and TLS belong to the driver, the bytes
//! of proxies to [`tunnel`](super::tunnel) and [`socks`](super::socks), the choice of a proxy to [`proxy`](super::proxy).

mod alpn;
mod config;
mod error;
mod race;
#[cfg(test)]
mod tests;

pub use self::alpn::{Agreed, Alpn, AlpnError, Alternate, InvalidProtocol, Protocols};
pub use self::config::{ConnectConfig, FirstFamily};
pub use self::error::{ConnectCause, ConnectError, DialFailure, Phase};
use self::race::{Race, interleave};
use super::pool::Scheme;
use super::proxy::{Proxy, ProxyScheme};
use super::socks::SocksError;
use super::tunnel::TunnelError;
use crate::Instant;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// Names one attempt to dial, within one [`Connect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(u32);

/// Whom something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Peer {
    /// The proxy.
    Proxy,
    /// The target.
    Target,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Resolve this name, then call [`resolved`](Connect::resolved) or [`resolve_failed`](Connect::resolve_failed).
    Resolve {
        /// The name.
        host: Arc<str>,
        /// The port that goes with it.
        port: u16,
    },
    /// Dial this address, beside the attempts under way; then [`dialed`](Connect::dialed) or
    /// [`dial_failed`](Connect::dial_failed).
    Dial {
        /// The address.
        address: SocketAddr,
        /// The attempt's name.
        attempt: AttemptId,
    },
    /// Give this attempt up, and close its connection if it has one after all.
    Cancel {
        /// Which.
        attempt: AttemptId,
    },
    /// Do a TLS handshake on the connection, then [`tls_done`](Connect::tls_done) or
    /// [`tls_failed`](Connect::tls_failed).
    Tls {
        /// The name to be verified; an IPv6 address without its brackets.
        server_name: Arc<str>,
        /// With whom. [`Protocols::for_tls`] says what to offer: with the proxy `http/1.1` only.
        peer: Peer,
    },
    /// Do a [`Tunnel`](super::tunnel::Tunnel) to this host, then [`proxy_done`](Connect::proxy_done) or
    /// [`tunnel_failed`](Connect::tunnel_failed).
    Tunnel {
        /// The target's host.
        host: Arc<str>,
        /// The target's port.
        port: u16,
    },
    /// Do a [`Socks5`](super::socks::Socks5) handshake, then [`proxy_done`](Connect::proxy_done) or
    /// [`socks_failed`](Connect::socks_failed).
    Socks(SocksTarget),
    /// Nothing but to wait: for results, and until this time, to call [`handle_timeout`](Connect::handle_timeout).
    WaitUntil(Option<Instant>),
    /// The connection is made. Told as often as is asked.
    Done(Connected),
    /// There will be none; drop what there is. Told as often as is asked.
    Failed(ConnectError),
}

/// What a SOCKS proxy is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum SocksTarget {
    /// An address (`socks5`).
    Address(SocketAddr),
    /// A name, which the proxy resolves (`socks5h`).
    Name(Arc<str>, u16),
}

/// A connection that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// The attempt that won.
    pub attempt: AttemptId,
    /// The address that was dialled.
    pub address: SocketAddr,
    /// Requests are sent to a proxy, in absolute form and with its credentials (RFC 9112, section 3.2.2).
    pub absolute_form: bool,
    /// The protocol that TLS with the target agreed on.
    pub alpn: Alpn,
}

/// What becomes of a connection that was dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[allow(clippy::exhaustive_enums)]
pub enum Dialed {
    /// It is the one: keep it for the steps to come.
    Won,
    /// Another was first, or it is all over: close it.
    TooLate,
}

/// Where it stands.
#[derive(Clone, Debug)]
enum State {
    /// A name is resolved: the target's for a `socks5` proxy, else that of the first hop.
    Resolving(Peer),
    Dialing(Race),
    Tls(Peer),
    Asking,
    Done(Connected),
    Failed(ConnectError),
}

/// The making of one connection.
///
/// Do what [`next_step`](Connect::next_step) says until it says to wait; report results as they come; call
/// [`handle_timeout`](Connect::handle_timeout) when the time has come. Each step is told once, but for those that
/// describe a state: `WaitUntil`, `Done` and `Failed`. A result that nothing waits for any more changes nothing.
///
/// ```
/// use antiphon_core::client::connect::{Connect, ConnectConfig, Dialed, Step};
/// use antiphon_core::client::Scheme;
/// use antiphon_core::Instant;
///
/// let t = Instant::from_millis;
/// let mut connect = Connect::new(ConnectConfig::DEFAULT, Scheme::Http, "example.com", 80, None, t(0));
/// assert!(matches!(connect.next_step(), Step::Resolve { .. }));
/// let [v6, v4] = ["[2001:db8::1]:80".parse().unwrap(), "192.0.2.1:80".parse().unwrap()];
/// connect.resolved(&[v6, v4], t(20));
/// let Step::Dial { address, attempt: first } = connect.next_step() else { unreachable!() };
/// assert_eq!(address, v6);
/// assert_eq!(connect.next_step(), Step::WaitUntil(Some(t(270))));
/// connect.handle_timeout(t(270));
/// let Step::Dial { attempt: second, .. } = connect.next_step() else { unreachable!() };
/// assert_eq!(connect.dialed(second, t(290)), Dialed::Won);
/// assert_eq!(connect.next_step(), Step::Cancel { attempt: first });
/// let Step::Done(connected) = connect.next_step() else { unreachable!() };
/// assert_eq!(connected.address, v4);
/// ```
#[derive(Clone, Debug)]
pub struct Connect {
    config: ConnectConfig,
    scheme: Scheme,
    host: Arc<str>,
    port: u16,
    proxy: Option<Proxy>,
    proxy_host: Arc<str>,
    socks_target: Option<SocksTarget>,
    state: State,
    steps: VecDeque<Step>,
    attempts: u32,
    winner: Option<(AttemptId, SocketAddr)>,
    alpn: Alpn,
    /// The end of the phase, and of the whole.
    phase_until: Option<Instant>,
    total_until: Option<Instant>,
}

impl Connect {
    /// Begins. `host` is the target's, an IPv6 address with or without brackets.
    pub fn new(
        config: ConnectConfig,
        scheme: Scheme,
        host: &str,
        port: u16,
        proxy: Option<Proxy>,
        now: Instant,
    ) -> Connect {
        let socks = proxy.as_ref().map(Proxy::scheme);
        let mut connect = Connect {
            config,
            scheme,
            host: bare(host).into(),
            port,
            proxy_host: proxy.as_ref().map_or("", |p| bare(p.host())).into(),
            proxy,
            socks_target: None,
            state: State::Resolving(Peer::Target),
            steps: VecDeque::new(),
            attempts: 0,
            winner: None,
            alpn: Alpn::None,
            phase_until: config.dial_timeout.map(|t| now + t),
            total_until: config.total_timeout.map(|t| now + t),
        };
        match socks {
            None | Some(ProxyScheme::Socks5) => connect.resolve(Peer::Target, now),
            Some(ProxyScheme::Socks5h) => {
                connect.socks_target = Some(SocksTarget::Name(connect.host.clone(), port));
                connect.resolve(Peer::Proxy, now);
            }
            Some(_) => connect.resolve(Peer::Proxy, now),
        }
        connect
    }

    // ----- what the driver asks

    /// What is to be done. See [`Step`].
    pub fn next_step(&mut self) -> Step {
        if let Some(step) = self.steps.pop_front() {
            return step;
        }
        match &self.state {
            State::Done(connected) => Step::Done(*connected),
            State::Failed(error) => Step::Failed(error.clone()),
            _ => Step::WaitUntil(self.deadline()),
        }
    }

    /// When to call [`handle_timeout`](Connect::handle_timeout); `None` if never. A getter.
    pub fn deadline(&self) -> Option<Instant> {
        let race = match &self.state {
            State::Done(_) | State::Failed(_) => return None,
            State::Dialing(race) => race.deadline(&self.config),
            _ => None,
        };
        [race, self.phase_until, self.total_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// The phase; `None` once it has ended.
    pub fn phase(&self) -> Option<Phase> {
        Some(match &self.state {
            State::Resolving(_) => Phase::Resolve,
            State::Dialing(_) => Phase::Dial,
            State::Tls(Peer::Proxy) => Phase::ProxyTls,
            State::Asking => Phase::Proxy,
            State::Tls(Peer::Target) => Phase::TargetTls,
            State::Done(_) | State::Failed(_) => return None,
        })
    }

    /// How many attempts to dial are under way.
    pub fn under_way(&self) -> usize {
        match &self.state {
            State::Dialing(race) => race.under_way(),
            _ => 0,
        }
    }

    // ----- results

    /// The resolver found these, in its order.
    pub fn resolved(&mut self, addresses: &[SocketAddr], now: Instant) {
        let State::Resolving(peer) = self.state else {
            return;
        };
        if !self.over(now) {
            self.found(peer, addresses, now);
        }
    }

    /// The resolver failed.
    pub fn resolve_failed(&mut self, now: Instant) {
        if matches!(self.state, State::Resolving(_)) && !self.over(now) {
            self.fail(ConnectCause::Resolver);
        }
    }

    /// The attempt has a connection.
    pub fn dialed(&mut self, attempt: AttemptId, now: Instant) -> Dialed {
        if self.over(now) {
            return Dialed::TooLate;
        }
        let State::Dialing(race) = &mut self.state else {
            return Dialed::TooLate;
        };
        let Some(won) = race.take(attempt) else {
            return Dialed::TooLate;
        };
        self.winner = Some((won.id, won.address));
        self.cancel_attempts();
        match self.proxy.as_ref().map(Proxy::scheme) {
            Some(ProxyScheme::Https) => self.tls(Peer::Proxy, now),
            Some(_) => self.ask_proxy(now),
            None => self.reach_target(now),
        }
        Dialed::Won
    }

    /// The attempt failed.
    pub fn dial_failed(&mut self, attempt: AttemptId, why: DialFailure, now: Instant) {
        if self.over(now) {
            return;
        }
        if let State::Dialing(race) = &mut self.state
            && let Some(failed) = race.take(attempt)
        {
            race.fail(failed, why, now);
            self.go_on_dialing(now);
        }
    }

    /// The handshake is done, and has agreed on this protocol.
    pub fn tls_done(&mut self, alpn: Option<&[u8]>, now: Instant) {
        let State::Tls(peer) = self.state else { return };
        if self.over(now) {
            return;
        }
        match peer {
            Peer::Proxy => self.ask_proxy(now),
            Peer::Target => {
                self.alpn = Alpn::of(alpn);
                self.done(false);
            }
        }
    }

    /// The handshake failed.
    pub fn tls_failed(&mut self, now: Instant) {
        if matches!(self.state, State::Tls(_)) && !self.over(now) {
            self.fail(ConnectCause::Tls);
        }
    }

    /// The tunnel or the SOCKS handshake is done.
    pub fn proxy_done(&mut self, now: Instant) {
        if matches!(self.state, State::Asking) && !self.over(now) {
            self.reach_target(now);
        }
    }

    /// The tunnel failed.
    pub fn tunnel_failed(&mut self, error: TunnelError, now: Instant) {
        if matches!(self.state, State::Asking) && !self.over(now) {
            self.fail(ConnectCause::Tunnel(error));
        }
    }

    /// The SOCKS handshake failed.
    pub fn socks_failed(&mut self, error: SocksError, now: Instant) {
        if matches!(self.state, State::Asking) && !self.over(now) {
            self.fail(ConnectCause::Socks(error));
        }
    }

    /// Nobody wants the connection any more. Does nothing once it is made.
    pub fn cancel(&mut self) {
        self.fail(ConnectCause::Cancelled);
    }

    /// The clock shows `now`. Safe early, late and twice.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.over(now) {
            return;
        }
        let State::Dialing(race) = &mut self.state else {
            return;
        };
        let mut overdue = Vec::new();
        while let Some(attempt) = race.overdue(now) {
            race.fail(attempt, DialFailure::TimedOut, now);
            overdue.push(attempt.id);
        }
        for id in overdue {
            self.cancel_attempt(id);
        }
        self.go_on_dialing(now);
    }

    // ----- the way

    fn resolve(&mut self, peer: Peer, now: Instant) {
        let (host, port) = self.peer(peer);
        self.state = State::Resolving(peer);
        match host.parse::<IpAddr>() {
            Ok(ip) => self.found(peer, &[SocketAddr::new(ip, port)], now),
            Err(_) => self.steps.push_back(Step::Resolve { host, port }),
        }
    }

    fn found(&mut self, peer: Peer, addresses: &[SocketAddr], now: Instant) {
        let order = interleave(addresses, &self.config);
        let Some(first) = order.front() else {
            return self.fail(ConnectCause::NoAddress);
        };
        if peer == Peer::Target && self.proxy.is_some() {
            self.socks_target = Some(SocksTarget::Address(*first));
            return self.resolve(Peer::Proxy, now);
        }
        self.state = State::Dialing(Race::new(order, now));
        self.go_on_dialing(now);
    }

    fn go_on_dialing(&mut self, now: Instant) {
        let State::Dialing(race) = &mut self.state else {
            return;
        };
        let id = AttemptId(self.attempts);
        if let Some(attempt) = race.start(id, &self.config, now) {
            self.attempts += 1;
            self.steps.push_back(Step::Dial {
                address: attempt.address,
                attempt: id,
            });
        } else if race.is_lost() {
            self.fail(ConnectCause::AllFailed);
        }
    }

    fn tls(&mut self, peer: Peer, now: Instant) {
        let (server_name, _) = self.peer(peer);
        self.steps.push_back(Step::Tls { server_name, peer });
        self.enter(State::Tls(peer), self.config.tls_timeout, now);
    }

    /// The first hop is a proxy, and it is reached.
    fn ask_proxy(&mut self, now: Instant) {
        let step = match (&self.socks_target, self.scheme) {
            (Some(target), _) => Step::Socks(target.clone()),
            (None, Scheme::Http) => return self.done(true),
            (None, Scheme::Https) => Step::Tunnel {
                host: self.host.clone(),
                port: self.port,
            },
        };
        self.steps.push_back(step);
        self.enter(State::Asking, self.config.proxy_timeout, now);
    }

    /// The bytes reach the target from here on.
    fn reach_target(&mut self, now: Instant) {
        match self.scheme {
            Scheme::Http => self.done(false),
            Scheme::Https => self.tls(Peer::Target, now),
        }
    }

    fn enter(&mut self, state: State, most: Option<Duration>, now: Instant) {
        self.state = state;
        self.phase_until = most.map(|t| now + t);
    }

    fn done(&mut self, absolute_form: bool) {
        if let Some((attempt, address)) = self.winner {
            self.state = State::Done(Connected {
                attempt,
                address,
                absolute_form,
                alpn: self.alpn,
            });
        }
    }

    // ----- the end

    /// Whether it has ended, or ends now because its time is out.
    fn over(&mut self, now: Instant) -> bool {
        let passed = |until: Option<Instant>| until.is_some_and(|at| at <= now);
        if matches!(self.state, State::Done(_) | State::Failed(_)) {
            return true;
        }
        if passed(self.total_until) {
            self.fail(ConnectCause::TotalTimeout);
            return true;
        }
        if passed(self.phase_until) {
            self.fail(ConnectCause::PhaseTimeout);
            return true;
        }
        false
    }

    fn fail(&mut self, cause: ConnectCause) {
        let Some(phase) = self.phase() else { return };
        let peer = match &self.state {
            State::Resolving(peer) | State::Tls(peer) => *peer,
            State::Dialing(_) if self.proxy.is_none() => Peer::Target,
            _ => Peer::Proxy,
        };
        // What has not been begun need not be.
        self.steps
            .retain(|s| matches!(s, Step::Dial { .. } | Step::Cancel { .. }));
        self.cancel_attempts();
        if let Some((attempt, _)) = self.winner {
            self.steps.push_back(Step::Cancel { attempt });
        }
        let addresses = match &mut self.state {
            State::Dialing(race) => core::mem::take(&mut race.failed),
            _ => Vec::new(),
        };
        let (host, port) = self.peer(peer);
        self.state = State::Failed(ConnectError {
            phase,
            cause,
            host,
            port,
            through_proxy: self.proxy.is_some(),
            addresses,
        });
    }

    fn cancel_attempts(&mut self) {
        while let State::Dialing(race) = &mut self.state
            && let Some(attempt) = race.pop()
        {
            self.cancel_attempt(attempt.id);
        }
    }

    /// One whose dial has not been told is not told at all.
    fn cancel_attempt(&mut self, id: AttemptId) {
        let told = self.steps.len();
        self.steps
            .retain(|s| !matches!(s, Step::Dial { attempt, .. } if *attempt == id));
        if self.steps.len() == told {
            self.steps.push_back(Step::Cancel { attempt: id });
        }
    }

    fn peer(&self, peer: Peer) -> (Arc<str>, u16) {
        match (peer, &self.proxy) {
            (Peer::Proxy, Some(proxy)) => (self.proxy_host.clone(), proxy.port()),
            _ => (self.host.clone(), self.port),
        }
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host)
}
