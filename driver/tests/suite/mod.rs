//! The tests of the async drivers, written once: each adapter includes this module, `support` beside it, and a
//! module `rt` that names its runtime (`antiphon_*::*`, `block_on`, `spawn`, `join`, `sleep`). Real sockets, no
//! mocks.

mod amounts;
mod bounds;
mod call_deadlines;
mod cancel;
mod client;
mod conveniences;
#[cfg(feature = "cookies")]
mod cookies;
mod deadlines;
#[cfg(feature = "gzip")]
mod decoding;
mod duplex;
mod errors;
mod files;
mod many;
mod middleware;
mod proxies;
mod redaction;
mod redirects;
mod requests;
mod retries;
mod rules;
mod schemes;
mod server;
mod shutdown;
mod single;
mod stale;
#[cfg(feature = "tls")]
mod tls;
mod traces;
mod upgrade;

pub(crate) use crate::support::*;
