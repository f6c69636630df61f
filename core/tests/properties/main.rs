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
mod mirror;
mod output;
mod script;
mod settings;
mod split;
mod wire;

use quickcheck::{Gen, QuickCheck, TestResult, Testable};
use std::cell::Cell;
use std::panic;
use std::sync::Once;

/// Runs `property` on `cases` cases, times `ANTIPHON_QUICKCHECK`.
fn check(cases: u64, property: impl Testable) {
    let factor = std::env::var("ANTIPHON_QUICKCHECK")
        .map_or(1, |n| n.parse().expect("ANTIPHON_QUICKCHECK is a number"));
    QuickCheck::new()
        .tests(cases * factor)
        .max_tests(cases * factor * 10)
        .quickcheck(Quiet(property));
}

/// Keeps the panics of a property, and of the hundreds of cases that shrinking tries, off the terminal:
/// quickcheck reports the last one.
struct Quiet<P>(P);

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

impl<P: Testable> Testable for Quiet<P> {
    fn result(&self, g: &mut Gen) -> TestResult {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let default = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !QUIET.get() {
                    default(info);
                }
            }));
        });
        QUIET.set(true);
        let result = self.0.result(g);
        QUIET.set(false);
        result
    }
}

/// Both stories must be the same; if not, both are shown.
fn same(what: &str, one: &harness::Story, other: &harness::Story) -> Result<(), TestResult> {
    if one == other {
        return Ok(());
    }
    Err(TestResult::error(format!(
        "{what} differ; one:\n{one:?}the other:\n{other:?}"
    )))
}
