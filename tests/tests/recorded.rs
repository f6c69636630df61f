//! What the simulator's bare machines did is recorded, and replayed to the letter.

use antiphon_tests::sim::seed::{Kind, record, run};
use antiphon_tests::trace::{Summary, replay, replay_all};

/// Seeds that run bare machines.
fn seeds() -> impl Iterator<Item = u64> {
    (0..).filter(|seed| Kind::of(*seed) != Kind::Drivers).take(60)
}

#[test]
fn recorded_worlds_replay() {
    let (mut all, mut text) = (Vec::<Summary>::new(), String::new());
    for seed in seeds() {
        let (report, traces) = record(seed, false);
        // Looking on changes nothing.
        assert_eq!(report.digest, run(seed, false).digest, "seed {seed}");
        let summaries = replay_all(&traces).unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
        // Every machine of every connection has left its trace.
        let machines = match report.kind {
            Kind::Machines => 2 * report.connections,
            _ => report.connections,
        };
        assert_eq!(summaries.len() as u64, machines, "seed {seed}");
        let lines: usize = summaries.iter().map(|s| s.lines).sum();
        assert_eq!(lines, traces.lines().count(), "seed {seed}");
        all.extend(summaries);
        text.push_str(&traces);
    }
    let of = |role: &str| all.iter().filter(|s| s.machine == role).count();
    assert!(of("server") > 60 && of("client") > 60, "{all:?}");
    let events: usize = all.iter().map(|s| s.events).sum();
    assert!(events > 1_000, "only {events} events");
    // The calls that are easily forgotten.
    for call in [
        "lend",
        "reclaim",
        "received_copy",
        "take_outgoing",
        "send_external",
        "direct_received",
        "send_interim",
        "take_body",
        "abort",
        "into_parts",
        "write_failed",
    ] {
        let line = format!("\":\"{call}\"");
        assert!(text.contains(&line), "{call} was never recorded");
    }
}

#[test]
fn one_changed_line_is_found_in_the_middle_of_many() {
    let (mut found, mut traces) = (0, 0);
    for seed in seeds() {
        let (_, text) = record(seed, false);
        let lines: Vec<&str> = text.lines().collect();
        traces += lines.iter().filter(|l| l.starts_with("{\"trace\":")).count();
        // The last event of all: every trace before it replays.
        let Some(at) = lines.iter().rposition(|l| l.starts_with("{\"told\":\"")) else {
            continue;
        };
        let mut changed = lines.clone();
        changed[at] = "{\"told\":\"Body\",\"id\":77}";
        let difference = replay_all(&changed.join("\n")).expect_err("a line was changed");
        assert_eq!(difference.line, at + 1, "seed {seed}");
        assert_eq!(difference.got.as_deref(), Some(lines[at]), "seed {seed}");
        found += 1;

        // A line of one trace does not do for another.
        let without = [&lines[..at], &lines[at + 1..]].concat();
        let difference = replay_all(&without.join("\n")).expect_err("a line is missing");
        assert_eq!(difference.line, at + 1, "seed {seed}");
    }
    assert!(found > 40 && traces > 100, "{found} of {traces}");
}

#[test]
fn a_file_without_a_trace_is_refused() {
    assert_eq!(replay_all("").expect_err("empty").line, 1);
    assert_eq!(
        replay("{\"do\":\"close_when_idle\"}")
            .expect_err("no beginning")
            .line,
        1
    );
}

#[test]
fn a_seed_of_the_drivers_has_no_machines_to_record() {
    let seed = (0..)
        .find(|seed| Kind::of(*seed) == Kind::Drivers)
        .expect("two in three");
    assert_eq!(record(seed, false).1, "");
}
