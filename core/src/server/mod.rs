//! Server policy machines and pure functions: what a server decides beside speaking the protocol.
//!
//! Nothing here touches a socket, a file or a clock: inputs carry the time, decisions are returned.
//!
//! | module | what lives there |
//! |---|---|
//! | [`accept`] | what to do when accepting fails, and when there are enough connections |
//! | [`shutdown`] | which connections may finish, which are closed now, and when a server is down |
//! | [`files`] | serving a directory: the answer to one request, from [`path`], [`conditional`], [`range`], [`media`], [`listing`] |
//! | [`responder`] | a response that a handler writes: what its writing means for head, length and end |
//! | [`coding`] | content codings: what the client accepts, which responses are coded, what becomes of their fields |
//! | [`sniff`] | what content is by its first bytes |
//! | [`max_bytes`], [`strip_prefix`], [`timeout_reply`] | what wraps a handler: a limit for bodies, a prefix of paths, a limit of time |
//! | [`date`] | HTTP dates |
//! | [`access_log`] | one line for each exchange |

pub mod accept;
pub mod access_log;
pub mod coding;
pub mod conditional;
pub mod files;
pub mod listing;
pub mod max_bytes;
pub mod media;
pub mod path;
pub mod range;
pub mod responder;
pub mod shutdown;
pub mod sniff;
pub mod strip_prefix;
pub mod timeout_reply;

#[doc(inline)]
pub use crate::message::date;

pub use self::accept::Accept;
pub use self::files::Files;
pub use self::max_bytes::MaxBytes;
pub use self::responder::Responder;
pub use self::shutdown::{ConnState, Shutdown};
pub use self::timeout_reply::TimeoutReply;
pub use crate::message::date::DateCache;
