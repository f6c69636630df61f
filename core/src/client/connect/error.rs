//! [`ConnectError`]: why no connection was made: the phase, the host, the cause, and what each address came to.

use crate::client::socks::SocksError;
use crate::client::tunnel::TunnelError;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

/// The parts of making a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The name is resolved.
    Resolve,
    /// Addresses are dialled.
    Dial,
    /// TLS with the proxy.
    ProxyTls,
    /// CONNECT, or the SOCKS handshake.
    Proxy,
    /// TLS with the target.
    TargetTls,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "resolving",
            Phase::Dial => "dialling",
            Phase::ProxyTls => "TLS with the proxy",
            Phase::Proxy => "asking the proxy",
            Phase::TargetTls => "TLS with the target",
        })
    }
}

/// Why an address could not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DialFailure {
    /// Nobody listens there.
    Refused,
    /// No way leads to the network or host.
    Unreachable,
    /// It took longer than one address may, or than the operating system waits.
    TimedOut,
    /// The connection was reset while it was made.
    Reset,
    /// This machine does not allow it.
    NotAllowed,
    /// Something else, with the operating system's number if there is one.
    Other(Option<i32>),
}

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DialFailure::Refused => "connection refused",
            DialFailure::Unreachable => "unreachable",
            DialFailure::TimedOut => "timed out",
            DialFailure::Reset => "reset",
            DialFailure::NotAllowed => "not allowed",
            DialFailure::Other(None) => "failed",
            DialFailure::Other(Some(code)) => return write!(f, "failed (error {code})"),
        })
    }
}

/// What ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectCause {
    /// The resolver failed; it has its own error.
    Resolver,
    /// The resolver found no address.
    NoAddress,
    /// Every address failed: see [`ConnectError::addresses`].
    AllFailed,
    /// TLS failed; its library has its own error.
    Tls,
    /// CONNECT failed.
    Tunnel(TunnelError),
    /// The SOCKS handshake failed.
    Socks(SocksError),
    /// The time of the phase is out.
    PhaseTimeout,
    /// The time of the whole is out.
    TotalTimeout,
    /// Nobody wants it any more.
    Cancelled,
}

impl fmt::Display for ConnectCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectCause::Resolver => "the name could not be resolved",
            ConnectCause::NoAddress => "the name has no address",
            ConnectCause::AllFailed => "no address could be reached",
            ConnectCause::Tls => "the handshake failed",
            ConnectCause::PhaseTimeout => "it took too long",
            ConnectCause::TotalTimeout => "making the connection took too long",
            ConnectCause::Cancelled => "cancelled",
            ConnectCause::Tunnel(e) => return e.fmt(f),
            ConnectCause::Socks(e) => return e.fmt(f),
        })
    }
}

/// Why no connection was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError {
    pub(super) phase: Phase,
    pub(super) cause: ConnectCause,
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    pub(super) through_proxy: bool,
    pub(super) addresses: Vec<(SocketAddr, DialFailure)>,
}

impl ConnectError {
    /// In which phase.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What ended it.
    pub const fn cause(&self) -> ConnectCause {
        self.cause
    }

    /// Whom the phase was about: the target, or the proxy.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port with it.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the way led through a proxy: then a failed dial is a failure to reach the proxy.
    pub const fn through_proxy(&self) -> bool {
        self.through_proxy
    }

    /// The addresses that failed, in the order in which they did.
    pub fn addresses(&self) -> &[(SocketAddr, DialFailure)] {
        &self.addresses
    }

    /// How many addresses failed like this.
    pub fn count(&self, why: DialFailure) -> usize {
        self.addresses.iter().filter(|(_, w)| *w == why).count()
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxy = match (self.through_proxy, self.phase) {
            (true, Phase::Resolve | Phase::Dial) => " (on the way through a proxy)",
            _ => "",
        };
        write!(
            f,
            "{} {}:{}{proxy}: {}",
            self.phase, self.host, self.port, self.cause
        )?;
        for (i, (address, why)) in self.addresses.iter().enumerate() {
            let before = if i == 0 { " (" } else { ", " };
            write!(f, "{before}{address}: {why}")?;
        }
        f.write_str(if self.addresses.is_empty() { "" } else { ")" })
    }
}

impl core::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.cause {
            ConnectCause::Tunnel(e) => Some(e),
            ConnectCause::Socks(e) => Some(e),
            _ => None,
        }
    }
}
