//! The machines against a second opinion: `../reference`, a parser that shares no code with them, reads the same bytes,
//! and both must understand the same messages and the same errors at the same offsets.
//!
//! | file | what is compared |
//! |---|---|
//! | `requests.rs` | `ServerConn` and the reference, on sequences of requests |
//! | `responses.rs` | `ClientConn` and the reference, on the answers to a sequence of requests |
//! | `heads.rs` | both machines and httparse, on single heads |
//! | `odd.rs`, `parts.rs` | make messages out of parts at the edges of the grammar |
//! | `reach.rs` | nothing: it counts what the cases reach |
//! | `observe.rs` | what a machine makes of some bytes, in the reference's words |
//!
//! `ANTIPHON_QUICKCHECK=N` runs N times as many cases.

#[path = "../properties/cases.rs"]
mod cases;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../reference/mod.rs"]
mod reference;
#[allow(dead_code)] // It makes more than is needed here.
#[path = "../properties/script.rs"]
mod script;
#[path = "../properties/settings.rs"]
mod settings;
#[path = "../properties/wire.rs"]
mod wire;

mod heads;
mod observe;
mod odd;
mod parts;
mod reach;
mod requests;
mod responses;

use quickcheck::{Arbitrary, Gen};
use wire::{below, pick};

/// Where bytes are cut: sizes of pieces, used round and round.
#[derive(Clone, Debug)]
struct Cuts(Vec<u16>);

impl Arbitrary for Cuts {
    fn arbitrary(g: &mut Gen) -> Cuts {
        Cuts(match below(g, 3) {
            0 => Vec::new(),
            1 => vec![1],
            _ => (0..1 + below(g, 5))
                .map(|_| pick(g, &[1, 2, 3, 7, 16, 40, 300]))
                .collect(),
        })
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Cuts>> {
        Box::new(self.0.shrink().map(Cuts))
    }
}
