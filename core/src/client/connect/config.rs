//! [`ConnectConfig`]: the limits and delays of making a connection.

use core::num::NonZeroUsize;
use core::time::Duration;

/// Limits and delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectConfig {
    /// The family that is tried first. Default: that of the first address, since resolvers sort (RFC 6724).
    pub first: FirstFamily,
    /// From one attempt to the next, while none fails. Default: 250 ms; at least 10 ms are used (RFC 8305, section 5).
    pub attempt_delay: Duration,
    /// For each address. Default: 10 s.
    pub attempt_timeout: Option<Duration>,
    /// At most so many addresses are tried. Default: 16.
    pub max_attempts: NonZeroUsize,
    /// At most so many attempts are under way at once. Default: 4.
    pub max_under_way: NonZeroUsize,
    /// For resolving and dialling together. Default: 30 s.
    pub dial_timeout: Option<Duration>,
    /// For each TLS handshake. Default: 10 s.
    pub tls_timeout: Option<Duration>,
    /// For CONNECT or the SOCKS handshake. Default: 60 s.
    pub proxy_timeout: Option<Duration>,
    /// For all of it. Default: none, since each phase has its bound.
    pub total_timeout: Option<Duration>,
}

impl ConnectConfig {
    /// The defaults.
    pub const DEFAULT: ConnectConfig = ConnectConfig {
        first: FirstFamily::AsResolved,
        attempt_delay: Duration::from_millis(250),
        attempt_timeout: Some(Duration::from_secs(10)),
        max_attempts: NonZeroUsize::new(16).unwrap(),
        max_under_way: NonZeroUsize::new(4).unwrap(),
        dial_timeout: Some(Duration::from_secs(30)),
        tls_timeout: Some(Duration::from_secs(10)),
        proxy_timeout: Some(crate::client::tunnel::CONNECT_TIMEOUT),
        total_timeout: None,
    };
}

impl Default for ConnectConfig {
    fn default() -> ConnectConfig {
        ConnectConfig::DEFAULT
    }
}

/// The address family that is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_enums)]
pub enum FirstFamily {
    /// That of the resolver's first address.
    #[default]
    AsResolved,
    /// IPv6.
    V6,
    /// IPv4.
    V4,
}
