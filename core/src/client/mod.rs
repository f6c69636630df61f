//! Client policy machines: what a client decides beside speaking the protocol.
//!
//! Nothing here touches a socket or a clock: inputs carry the time, decisions are returned with their reasons.
//!
//! | module | what lives there |
//! |---|---|
//! | [`pool`] | which connection serves which request, whether to dial, who waits, what is closed when |
//! | [`url`] | `http` and `https` URLs, taken apart for a request |
//! | [`retry`] | whether a failed attempt may be made again |

pub mod pool;
pub mod retry;
pub mod url;

pub use self::pool::{Key, Pool, PoolConfig, Scheme};
pub use self::url::{InvalidUrl, Url};
