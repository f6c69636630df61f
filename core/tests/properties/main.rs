//! The machines' invariants as properties (docs/architecture.md numbers them), checked with quickcheck.
//!
//! | file | invariants |
//! |---|---|
//! | `split.rs` | 1: any split of the input tells the same; 10: no byte is lost at a switch |
//! | `output.rs` | 2: any sequence of partial writes puts the same bytes on the wire |
//! | `any_order.rs` | 7: misuse changes nothing, now or later; 12: no panic for any bytes in any call order |
//! | `clock.rs` | 5, 6: deadlines move when they should and only then |
//! | `mirror.rs` | 9: what one machine writes the other reads back equal |
//! | `reach.rs` | none: it counts what the cases reach |
//!
//! `wire.rs` makes the bytes, `script.rs` the ways in which they are met, `settings.rs` the settings, `calls.rs` the calls.
//! `player.rs` makes any calls to either machine (`machine.rs`), `../harness` plays a driver and an application that keep
//! to the rules. Both check at every step invariants 3 (`None` stays `None`, getters are pure), 4 (no deadlock by silence),
//! 5, 6, 8 (buffers stay bounded) and the order of events.
//!
//! `ANTIPHON_QUICKCHECK=N` runs N times as many cases. A failure prints the shrunk bytes and calls, and both stories.

#[path = "../harness/mod.rs"]
mod harness;

mod any_order;
mod calls;
mod cases;
mod clock;
mod machine;
mod mirror;
mod output;
mod player;
mod reach;
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
