//! How the client connects, in virtual time and in memory: addresses, proxies, TLS, and who is told.
#![allow(missing_docs)]

#[path = "connecting/addresses.rs"]
mod addresses;
#[cfg(feature = "tls")]
#[path = "support/authority.rs"]
mod authority;
#[path = "connecting/proxies.rs"]
mod proxies;
#[cfg(feature = "tls")]
#[path = "connecting/secure.rs"]
mod secure;
#[cfg(feature = "tls")]
#[path = "connecting/secured.rs"]
mod secured;
#[path = "connecting/tracing.rs"]
mod tracing;
mod world;
