//! The async drivers of Antiphon, written once against a small runtime contract.
//!
//! The pure machines of [`antiphon_core`] decide; what is in here moves bytes, arms timers, dials and runs
//! handlers. `antiphon-tokio` and `antiphon-smol` fulfil the contract ([`Runtime`]) and give [`Server`] and
//! [`Client`] as type aliases; use those, unless you bring your own runtime.
//!
//! | module | what lives there |
//! |---|---|
//! | `runtime` | the contract: [`Stream`], [`Listener`], [`Timer`], [`Spawn`], [`Resolve`], [`Runtime`] |
//! | `server` | [`Server`]: accepting, one task per connection, handlers, draining |
//! | `client` | [`Client`]: calls over pooled connections, with redirects, cookies, retries and content codings |
//! | `body`, `request`, `response`, `upgrade`, `error` | what both speak of |
//! | `multipart` | [`Multipart`]: forms with files |
//! | `whole` | bodies read to their ends: bytes, text, JSON |
//! | `tls` | TLS over any stream (feature `tls`) |
//! | `file` | bodies from files, and serving a directory |
//!
//! How connections are driven: a turn looks at what the machine wants, does one cancel-safe piece of I/O and
//! commits it at once; there is one timer per connection, moved only to an earlier time; idle connections hold
//! no buffer; bodies are read straight from the connection, through no channel.

mod body;
mod buffers;
mod client;
mod error;
mod exclusive;
mod file;
#[cfg(feature = "http-body")]
mod http_body;
mod io;
mod multipart;
mod request;
mod response;
mod runtime;
mod server;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;
mod whole;

pub use self::body::Body;
pub use self::client::{
    BoxStream, Client, ClientBuilder, ClientConnection, DialTo, Next, OutgoingRequest, ProxyAnswer,
    RequestBuilder, Reservation, ResponseFuture, RoundTrip,
};
pub use self::error::{BoxError, Error, ErrorKind};
pub use self::file::ServeDir;
pub use self::multipart::{Multipart, Part};
pub use self::request::Request;
pub use self::response::Response;
pub use self::runtime::{Listener, Resolve, Runtime, Spawn, Stream, Timer};
pub use self::server::{Connection, Server, ServerBuilder, ServerHandle};
#[cfg(feature = "tls")]
pub use self::tls::{Roots, TlsConfig, TlsConfigBuilder, TlsConfigError, TlsError};
pub use self::upgrade::Upgraded;
pub use antiphon_core;
pub use antiphon_core::client::call::{Coding, Codings, Past, Redirect, RedirectPolicy, Verdict};
pub use antiphon_core::client::connect::{ConnectConfig, ConnectError};
pub use antiphon_core::client::pool::{PoolConfig, Stats as PoolStats};
pub use antiphon_core::client::proxy::{Proxy, ProxyRules};
pub use antiphon_core::client::single::State as ConnectionState;
pub use antiphon_core::client::{CallError, Url};
pub use antiphon_core::forms::{Boundary, multipart::InvalidPart};
pub use antiphon_core::h1::{
    BodyLen, ClientConfig, CloseReason, DeadlineKind, Limits, Misuse, PeerError, Profile, ServerConfig,
    Timeouts,
};
pub use antiphon_core::{Fields, Headers, Method, Status, Version};
pub use antiphon_support::Progress;
#[cfg(feature = "cookies")]
pub use antiphon_support::cookies::Cookies;
#[cfg(feature = "tracing")]
pub use antiphon_support::trace::Tracing;
pub use antiphon_support::trace::{CallId, ConnId, Trace, TraceEvent};
pub use bytes::Bytes;

/// What a client spawns: dials, drains, and the closing of idle connections. It owns pooled connections, which
/// any thread may use next, hence `Send`.
pub type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// References to messages are held across awaits, so they must be `Sync`; bodies move between tasks.
#[allow(dead_code)]
const fn messages_are_send_and_sync() {
    const fn both<T: Send + Sync>() {}
    both::<Request>();
    both::<Response>();
    both::<Body>();
    both::<Error>();
}
