//! Running properties: how many cases, and without noise. Used by the properties, by the oracle tests, and by the unit
//! tests of `core/src` (which is `no_std`: names of std are written out).

use quickcheck::{Gen, QuickCheck, TestResult, Testable};
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::panic;
use std::sync::Once;

/// Runs `property` on `cases` cases, times `ANTIPHON_QUICKCHECK`. They are new ones in each run; the seed that makes the
/// same ones again is told with a failure, and taken from `ANTIPHON_QUICKCHECK_SEED`.
pub(crate) fn check(cases: u64, property: impl Testable) {
    check_sized(100, cases, property);
}

/// The same, with lists of up to `size` elements in a case.
pub(crate) fn check_sized(size: usize, cases: u64, property: impl Testable) {
    let factor = number("ANTIPHON_QUICKCHECK").unwrap_or(1);
    assert!(factor > 0, "ANTIPHON_QUICKCHECK=0 would try nothing");
    QuickCheck::new()
        .rng(cases_of(size))
        .tests(cases * factor)
        .max_tests(cases * factor * 10)
        .min_tests_passed(cases * factor)
        .quickcheck(Quiet(property));
}

/// A generator of cases, its seed told. (Output of a test is shown if it fails.)
pub(crate) fn cases_of(size: usize) -> Gen {
    let seed = number("ANTIPHON_QUICKCHECK_SEED").unwrap_or_else(|| RandomState::new().hash_one(size));
    std::println!("ANTIPHON_QUICKCHECK_SEED={seed}");
    Gen::from_size_and_seed(size, seed)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Keeps the panics of a property, and of the hundreds of cases that shrinking tries, off the terminal:
/// quickcheck reports the last one.
struct Quiet<P>(P);

std::thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

impl<P: Testable> Testable for Quiet<P> {
    fn result(&self, g: &mut Gen) -> TestResult {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let default = panic::take_hook();
            panic::set_hook(std::boxed::Box::new(move |info| {
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
