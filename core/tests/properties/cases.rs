//! Running properties: how many cases, and without noise. Used by the properties and by the oracle tests.

use quickcheck::{Gen, QuickCheck, TestResult, Testable};
use std::cell::Cell;
use std::panic;
use std::sync::Once;

/// Runs `property` on `cases` cases, times `ANTIPHON_QUICKCHECK`.
pub(crate) fn check(cases: u64, property: impl Testable) {
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
