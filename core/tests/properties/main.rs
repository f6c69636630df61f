//! The machines' invariants as properties (docs/architecture.md numbers them), checked with quickcheck.
//!
//! | file | invariants |
//! |---|---|
//! | `split.rs` | 1: any split of the input tells the same; 10: no byte is lost at a switch |
//! | `output.rs` | 2: any sequence of partial writes puts the same bytes on the wire |
//! | `calls.rs` | 7: misuse changes nothing; 12: no panic for any bytes in any call order; 5 and 6: time |
//! | `mirror.rs` | 9: what one machine writes the other reads back equal |
//!
//! `wire.rs` makes the bytes, `script.rs` the ways in which they are met, `settings.rs` the settings.
//!
//! Invariants 3 (`None` stays `None`, getters are pure), 4 (no deadlock by silence), 5, 6 and 8 (buffers stay
//! bounded) hold at every step of every run: `../harness` checks them.
//!
//! `ANTIPHON_QUICKCHECK=N` runs N times as many cases. A failure prints the shrunk bytes and both stories.

#[path = "../harness/mod.rs"]
mod harness;

mod calls;
mod cases;
mod mirror;
mod output;
mod script;
mod settings;
mod split;
mod wire;

use cases::check;
use quickcheck::TestResult;

/// Both stories must be the same; if not, both are shown.
fn same(what: &str, one: &harness::Story, other: &harness::Story) -> Result<(), TestResult> {
    if one == other {
        return Ok(());
    }
    Err(TestResult::error(format!(
        "{what} differ; one:\n{one:?}the other:\n{other:?}"
    )))
}
