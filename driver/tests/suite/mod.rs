//! The tests of the async drivers, written once: each adapter includes this module, `support` beside it, and a
//! module `rt` that names its runtime (`antiphon_*::*`, `block_on`, `spawn`, `join`, `sleep`). Real sockets, no
//! mocks.

mod bounds;
mod cancel;
mod client;
mod deadlines;
mod duplex;
mod files;
mod proxies;
mod redaction;
mod server;
mod shutdown;
mod stale;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;

pub(crate) use crate::support::*;
