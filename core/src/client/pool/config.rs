//! The settings of the pool: every bound beside its default.

#[cfg(doc)]
use super::Pool;
use core::num::{NonZeroU32, NonZeroUsize};
use core::time::Duration;

/// The settings of a [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Keep connections for later requests. Default: `true`. Without it every request dials, and the clients of the
    /// runtimes say `Connection: close` unless the request has a `Connection` of its own.
    pub keep_alive: bool,
    /// Idle connections of all hosts together; beyond it the one that was idle for longest is closed.
    /// Default: 100.
    pub max_idle: usize,
    /// Idle connections of one host; beyond it a connection is not put back. Default: `None`, no bound but
    /// `max_idle` (Go: 2, which surprises heavy clients).
    pub max_idle_per_host: Option<usize>,
    /// Connections of one host, be they dialling, in use or idle; beyond it requests wait in line. Default:
    /// `None`, no limit.
    pub max_connections_per_host: Option<NonZeroUsize>,
    /// How long a connection may be idle, by the monotonic and by the wall clock (so that connections do not
    /// seem young after the machine slept). Default: 90 s, which is below the 120 s that our server waits.
    pub idle_timeout: Option<Duration>,
    /// How long after it was made a connection may still be given to a request. Default: `None`, for ever.
    pub max_age: Option<Duration>,
    /// How many requests a connection may serve. Default: `None`, no limit.
    pub max_requests: Option<NonZeroU32>,
}

impl PoolConfig {
    /// The defaults.
    pub const DEFAULT: PoolConfig = PoolConfig {
        keep_alive: true,
        max_idle: 100,
        max_idle_per_host: None,
        max_connections_per_host: None,
        idle_timeout: Some(Duration::from_secs(90)),
        max_age: None,
        max_requests: None,
    };
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig::DEFAULT
    }
}
