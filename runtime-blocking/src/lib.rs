//! Antiphon on plain threads: an HTTP/1.1 server and client over `std::net`, without async.
//!
//! The protocol is decided by [`antiphon_core`]; here live the loops around it: one thread per connection,
//! poll(2) with the core's next deadline as its timeout, handlers that are ordinary functions, bodies that
//! implement [`std::io::Read`]. Names are those of the async adapters, so that changing the runtime is changing
//! one `use` line and the `.await`s.
//!
//! A server:
//!
//! ```no_run
//! use antiphon_blocking::{Error, Request, Response, Server, Status};
//!
//! fn main() -> Result<(), Error> {
//!     let server = Server::bind("127.0.0.1:8000")?;
//!     server.serve(|request: Request| {
//!         Response::new(Status::OK)
//!             .with_header("content-type", "text/plain; charset=utf-8")
//!             .map(|r| r.with_body(format!("you asked for {}\n", request.path())))
//!     })
//! }
//! ```
//!
//! A client:
//!
//! ```no_run
//! use antiphon_blocking::Client;
//!
//! let client = Client::new();
//! let mut response = client.get("http://127.0.0.1:8000/").send()?;
//! println!("{} {}", response.status(), response.text(1 << 20)?);
//! # Ok::<(), antiphon_blocking::Error>(())
//! ```
//!
//! # Both directions at once
//!
//! Whoever waits for input writes what is queued meanwhile, and the reverse. So a client sees an early answer
//! in the middle of an upload, and a handler may return a body that is read from the request's body, of any
//! size, in constant memory. Only code of the application can hold this up: a reader that blocks while it is
//! read for an upload or a response keeps the connection from moving until it returns.
//!
//! # Threads
//!
//! A request runs on the thread that sends it, its connecting included. Two things have threads of their own: names are
//! looked up in one (at most 32 in a process), since the system's resolver knows no deadline; and one closes idle
//! connections of a client whose time is up, as long as there are some.
//!
//! # Platforms
//!
//! On Unix waiting is poll(2), on several sockets while addresses are dialled (RFC 8305). Elsewhere, for want of a poll
//! in std, a waiting thread looks at its socket every two milliseconds, and addresses are dialled one after the other,
//! each for as long as an address may take.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tls` | yes | `https`, over rustls and ring, with the roots of the operating system |
//! | `bundled-roots` | | Mozilla's roots, compiled in |
//! | `cookies` | yes | `ClientBuilder::cookies`, with the public suffix list |
//! | `gzip` | yes | this content coding |
//! | `deflate`, `brotli`, `zstd` | | these |
//! | `json` | | bodies from and to the types of serde |
//! | `charset` | | `Response::text` goes by the charset that the response names |
//! | `tracing` | | `Tracing`, which passes on what observers are told to the crate `tracing` |

mod body;
mod buffers;
mod client;
mod clock;
mod decoded;
mod error;
mod exclusive;
mod file;
mod link;
pub mod message;
mod multipart;
mod request;
mod response;
mod server;
mod stream;
mod upgraded;
mod wait;
mod whole;

pub use self::body::Body;
pub use self::client::{
    Client, ClientBuilder, ClientConnection, DialTo, Next, OutgoingRequest, ProxyAnswer, RequestBuilder,
    Reservation, RoundTrip,
};
pub use self::error::{BoxError, Error, ErrorKind};
pub use self::file::{ServeDir, file_body};
pub use self::multipart::{Multipart, Part};
pub use self::request::Request;
pub use self::response::Response;
pub use self::server::{Server, ServerBuilder, ServerHandle};
pub use self::upgraded::Upgraded;
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
#[cfg(feature = "tls")]
pub use antiphon_support::tls::{Roots, TlsConfig, TlsConfigBuilder, TlsConfigError, TlsError};
#[cfg(feature = "tracing")]
pub use antiphon_support::trace::Tracing;
pub use antiphon_support::trace::{CallId, ConnId, Trace, TraceEvent};
pub use bytes::Bytes;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. No code of the application runs under any lock of this crate, so a poisoned one holds nothing half
/// done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
