//! The HTTP/1.1 connection machines: [`ServerConn`] and [`ClientConn`].
//!
//! Bytes go in, events come out; commands go in, bytes come out; time goes in, deadlines come out. Nothing in
//! here reads a socket or a clock.
//!
//! # The loop around a machine
//!
//! 1. Look at [`wants`](ServerConn::wants). If it wants to read and bytes are there, read them into
//!    [`recv_space`](ServerConn::recv_space) and say [`received`](ServerConn::received) (or
//!    [`received_eof`](ServerConn::received_eof), [`read_failed`](ServerConn::read_failed)).
//! 2. If it wants to write, write some of [`outgoing`](ServerConn::outgoing) and say
//!    [`sent`](ServerConn::sent) (or [`write_failed`](ServerConn::write_failed)).
//! 3. Take [`next_event`](ServerConn::next_event) until it gives `None` (or an error), and answer with the
//!    commands: `send_head`, `send_body`, `consume`, ...
//! 4. If `wants().write` is false, do what [`wants().finish`](Finish) says.
//! 5. Wait for readiness or for [`deadline`](ServerConn::deadline); when that has passed, call
//!    [`handle_timeout`](ServerConn::handle_timeout). Go to 1.
//!
//! Events are told once. What the driver should do is *state*: asking twice gives the same answer, so nothing
//! is lost when a future is dropped between two calls.
//!
//! | file | what happens there |
//! |---|---|
//! | `server/`, `client/` | the two public machines: what their role decides |
//! | `state.rs` | everything that affects state, for both roles |
//! | `link/` | what both share: bodies in and out, the end of the connection, deadlines |
//! | `scan.rs`, `search.rs` | the tokenizer of request heads and field sections |
//! | `response.rs` | response heads, through httparse |
//! | `framing.rs` | what known fields mean |
//! | `chunk.rs` | the chunked decoder |
//! | `encode.rs`, `output.rs` | writing heads and chunks; the output queue |
//! | `buffer.rs` | lent buffers and the receive buffer |
//! | `timer.rs` | deadlines |
//! | [`standalone`] | one message without a connection, out of bytes and into bytes |
//! | `trace/` | machines that write down what goes on (feature `trace`) |
//! | `event.rs`, `error.rs`, `head.rs`, `config.rs` | the vocabulary, errors, views of heads, settings |

mod buffer;
#[cfg(test)]
mod buffer_tests;
mod chunk;
mod client;
mod config;
mod encode;
mod error;
mod event;
mod framing;
mod head;
mod link;
#[cfg(test)]
mod oracle_tests;
mod output;
#[cfg(test)]
mod output_tests;
mod response;
mod scan;
mod search;
mod server;
pub mod standalone;
mod state;
#[cfg(test)]
mod state_tests;
mod timer;
#[cfg(test)]
mod timer_tests;
#[cfg(feature = "trace")]
pub mod trace;

pub use self::buffer::Buffer;
pub use self::client::ClientConn;
pub use self::config::{ClientConfig, ErrorReply, Limits, MinRate, Profile, ServerConfig, Timeouts};
pub use self::error::{Misuse, PeerError, PeerErrorKind};
pub use self::event::{
    BodyLen, ClientEvent, CloseReason, Deadline, DeadlineKind, ExchangeId, Finish, Reuse, ServerEvent,
    Switch, Wants,
};
pub use self::head::{OwnedHead, RequestHead, ResponseHead};
pub use self::link::{Io, Parts};
pub use self::output::{Outgoing, Segments};
pub use self::server::ServerConn;
