//! How the client connects, in virtual time and in memory: addresses, proxies, TLS.
#![allow(missing_docs)]

#[path = "connecting/addresses.rs"]
mod addresses;
mod world;
