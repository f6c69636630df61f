//! The scanner of request heads and the parser of response heads against the reference (`core/tests/reference`), a
//! parser of whole buffers that shares no code with the machines: the same messages, the same error at the same byte,
//! at any cut, with limits on either side of what a head has.
//!
//! An input is limits, what was asked, cuts, and the peer's bytes.

#![no_main]

mod cuts;
#[path = "../../core/tests/oracle/observe.rs"]
mod observe;
#[path = "../../core/tests/reference/mod.rs"]
mod reference;

use antiphon_core::h1::{ClientConfig, Limits, ServerConfig};
use arbitrary::Arbitrary;
use cuts::Cuts;
use libfuzzer_sys::fuzz_target;
use observe::Query;
use std::sync::Arc;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// 0: a server's input; else a client's, by what it has asked.
    role: u8,
    eof: bool,
    near: Near,
    cuts: Cuts,
    wire: &'a [u8],
}

/// Which limit is moved to where it bites; numbers are what is above or below.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Near {
    Nothing,
    Head(u8),
    Target(u8),
    Fields(u8),
    EmptyLines(u8),
    Trailers(u8),
    ChunkLine(u8),
    Buffer(u8),
}

impl Near {
    fn apply(self, limits: &mut Limits, wire: &[u8]) {
        let head = wire
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .map_or(wire.len(), |at| at + 4);
        match self {
            Near::Nothing => {}
            Near::Head(n) if n < 128 => limits.head = (head + 2).saturating_sub(usize::from(n % 5)).max(1),
            Near::Head(n) => limits.head = usize::from(n - 127),
            Near::Target(n) => limits.target = usize::from(n),
            Near::Fields(n) => limits.fields = usize::from(n % 8),
            Near::EmptyLines(n) => limits.empty_lines = usize::from(n % 8),
            Near::Trailers(n) => limits.trailers = usize::from(n),
            Near::ChunkLine(n) => limits.chunk_line = usize::from(n % 16),
            Near::Buffer(n) => (limits.recv_buffer, limits.recv_buffer_max) = (usize::from(n), 64),
        }
    }
}

fn agree(result: Result<(), String>, cuts: &Cuts) {
    if let Err(report) = result {
        panic!("{cuts:?}: {report}");
    }
}

fuzz_target!(|input: Input<'_>| {
    if input.wire.len() > 4096 {
        return;
    }
    let all = [Cuts::WHOLE, Cuts::bytewise(), input.cuts];
    let query = |method, upgrade| Some(Query { method, upgrade });
    let asked = match input.role % 8 {
        0..4 => None,
        4 => query("GET", false),
        5 => query("HEAD", false),
        6 => query("CONNECT", false),
        _ => query("GET", true),
    };
    if let Some(asked) = asked {
        let mut config = ClientConfig::default();
        input.near.apply(&mut config.limits, input.wire);
        let config = Arc::new(config);
        for cuts in &all {
            let answers = [(asked, input.wire)];
            agree(
                observe::client_agrees(&config, &answers, input.eof, &cuts.sizes()),
                cuts,
            );
        }
    } else {
        let mut config = ServerConfig::default();
        input.near.apply(&mut config.limits, input.wire);
        let config = Arc::new(config);
        for cuts in &all {
            agree(
                observe::server_agrees(&config, input.wire, input.eof, &cuts.sizes()),
                cuts,
            );
        }
    }
});
