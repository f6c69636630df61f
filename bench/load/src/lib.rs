//! What the load programs share: the runtimes by name, the bodies, what a client does, and the handlers of the async
//! runtimes.

pub mod handler;
pub mod measure;
pub mod plan;

use bytes::Bytes;
use std::str::FromStr;

/// What `GET /` answers.
pub const HELLO: &str = "Hello, World!";
/// The length of the long bodies, up and down.
pub const LONG: usize = 1 << 20;
/// The pieces that long bodies are made of.
pub const PIECE: usize = 16 << 10;

static FILLING: [u8; PIECE] = [b'x'; PIECE];

/// One piece of a long body.
pub fn piece() -> Bytes {
    Bytes::from_static(&FILLING)
}

/// One of the runtimes that Antiphon has an adapter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Tokio, current-thread.
    Tokio,
    /// smol, with its one background thread.
    Smol,
    /// Threads.
    Blocking,
}

impl FromStr for Runtime {
    type Err = String;
    fn from_str(name: &str) -> Result<Runtime, String> {
        match name {
            "tokio" => Ok(Runtime::Tokio),
            "smol" => Ok(Runtime::Smol),
            "blocking" => Ok(Runtime::Blocking),
            other => Err(format!("no runtime {other:?}: tokio, smol or blocking")),
        }
    }
}
