//! Simulated worlds, a bounded number of them (`ANTIPHON_SEEDS` for more, or `ANTIPHON_QUICKCHECK` for so many times as many,
//! as with all properties), and that the simulator is worth
//! running: one seed is one run, and defects that are planted are found.

use antiphon_tests::sim::checks::Check;
use antiphon_tests::sim::faults::{Fault, Plant};
use antiphon_tests::sim::seed::{Report, Sum, run, run_with};
use antiphon_tests::sim::uses::Use;

/// Enough to see every kind of trouble.
const SEEDS: u64 = 2_000;

fn seeds() -> u64 {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse::<u64>()
                .unwrap_or_else(|_| panic!("{name} is a number")),
        )
    };
    number("ANTIPHON_SEEDS").unwrap_or_else(|| SEEDS * number("ANTIPHON_QUICKCHECK").unwrap_or(1))
}

/// What a person wants to see of a seed that failed.
fn tell(report: &Report) -> String {
    let Some(violation) = &report.violation else {
        return String::new();
    };
    let trace = run(report.seed, true).trace;
    let tail = trace.len().saturating_sub(60);
    format!(
        "seed {}: {violation}\n{}\n(all of it: cargo run -p antiphon-tests --bin simulate -- --seed {} --trace)",
        report.seed,
        trace[tail..].join("\n"),
        report.seed
    )
}

#[test]
fn worlds_keep_their_promises_and_every_trouble_was_made() {
    let mut sum = Sum::EMPTY;
    for seed in 0..seeds() {
        let report = run(seed, false);
        assert_eq!(report.violation, None, "{}", tell(&report));
        sum.add(&report);
    }
    println!("{sum}");
    for &fault in Fault::ALL {
        assert!(sum.faults.of(fault) > 0, "never made: {}", fault.name());
    }
    for &done in Use::ALL {
        assert!(sum.uses.of(done) > 0, "never done: {}", done.name());
    }
    assert!(sum.kinds.iter().all(|n| *n > 0), "{:?}", sum.kinds);
    let [all, complete, failed] = sum.exchanges;
    assert!(complete > all / 2 && failed > 0, "{all}: {complete}, {failed}");
}

#[test]
fn a_seed_is_one_run() {
    for seed in 0..60 {
        let (first, second) = (run(seed, true), run(seed, true));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed}");
        assert_eq!(first.digest, second.digest, "seed {seed}");
        // Looking on changes nothing.
        assert_eq!(first.digest, run(seed, false).digest, "seed {seed}");
    }
    assert_ne!(run(1, true).trace_hash, run(2, true).trace_hash);
}

/// Each defect breaks one promise of a network, a runtime or an application, as a defect of a driver or a
/// machine would. None may go unnoticed for long, nor be noticed only as something else.
#[test]
fn planted_defects_are_found() {
    for &plant in Plant::ALL {
        let due = match plant {
            Plant::LoseByte | Plant::DoubleByte | Plant::ChangeByte | Plant::ShortBody => Check::Bytes,
            Plant::LoseReadWake | Plant::LoseWriteWake | Plant::DeadTimers => Check::Ends,
            Plant::Spin => Check::Spins,
            Plant::CrossAnswers => Check::Belongs,
            Plant::ExecuteTwice => Check::Once,
            Plant::ForgetExchange => Check::Answered,
        };
        let is_due = |seed: &u64| {
            let violation = run_with(*seed, false, Some(plant)).violation;
            violation.is_some_and(|v| v.check == due)
        };
        let found = (0..400).find(is_due);
        let seed = found.unwrap_or_else(|| panic!("{plant:?} was not found as {due:?}"));
        let report = run_with(seed, false, Some(plant));
        println!("{plant:?}: seed {seed}: {:?}", report.violation);
    }
}
