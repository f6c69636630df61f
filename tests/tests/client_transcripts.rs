//! The client's transcripts: against the core in every segmentation, and over sockets against every runtime,
//! with the same verdict everywhere.

use antiphon_tests::case::{self, Case, Cut, Step};
use antiphon_tests::peer::ScriptedServer;
use antiphon_tests::replay_client;
use antiphon_tests::subject::Runtime;
use antiphon_tests::subject::item::Item;

const FILES: [(&str, &str); 2] = [
    ("responses", include_str!("../cases/client/responses.txt")),
    ("framing", include_str!("../cases/client/framing.txt")),
];

fn cases() -> impl Iterator<Item = Case> {
    FILES
        .into_iter()
        .flat_map(|(name, text)| case::parse(&format!("cases/client/{name}.txt"), text))
}

#[test]
fn the_core_follows_every_transcript_however_the_bytes_are_cut() {
    let mut failures = Vec::new();
    for case in cases() {
        for &cut in case.cuts() {
            let got = replay_client::client(&case, cut).lines;
            if got != case.expect {
                failures.push(format!("@@ {}\n{cut:?}\n{}", case.name, got.join("\n")));
                break;
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} cases differ; they gave\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Plays a case over sockets; what the client must tell is what the core's replay has told.
fn over_a_socket(case: &Case, cut: Cut, runtime: Runtime) -> Result<(), String> {
    let expected = replay_client::client(case, Cut::Whole);
    let mut items = Vec::new();
    for step in &case.steps {
        if let Step::Request(args) = step {
            items.extend(Item::parse(args.clone())?);
        }
    }
    let server = ScriptedServer::start(case.steps.clone(), expected.fresh.clone(), cut);
    for item in &mut items {
        item.url = format!("http://{}{}", server.addr, item.url);
    }
    let mut outcomes = Vec::new();
    runtime.perform(case.client_config(), &items, |outcome| outcomes.push(outcome));
    server.end()?;
    for (got, want) in outcomes.iter().zip(&expected.outcomes) {
        // What an error says is each implementation's own; that there is one is not.
        let (mut got, mut want) = (got.clone(), want.clone());
        let failed = (got.error.take().is_some(), want.error.take().is_some());
        if failed.0 && got.status.is_none() {
            // Without a response there is nobody to tell of its prelude.
            want.informational.clear();
            got.informational.clear();
            (got.reused, want.reused) = (false, false);
        }
        if got != want || failed.0 != failed.1 {
            return Err(format!(
                "expected {want:?} (error: {})\ngot {got:?} (error: {})",
                failed.1, failed.0
            ));
        }
    }
    if outcomes.len() == items.len() {
        Ok(())
    } else {
        Err(format!("{} outcomes", outcomes.len()))
    }
}

fn every_transcript_on(runtime: Runtime) {
    let mut failures = Vec::new();
    for case in cases() {
        for &cut in case.cuts() {
            if let Err(e) = over_a_socket(&case, cut, runtime) {
                failures.push(format!("{} ({cut:?}): {e}", case.name));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} differ:\n{}",
        failures.len(),
        runtime.name(),
        failures.join("\n")
    );
}

#[test]
fn core_gives_the_same_verdicts_over_sockets() {
    every_transcript_on(Runtime::Core);
}

#[test]
fn tokio_gives_the_same_verdicts_over_sockets() {
    every_transcript_on(Runtime::Tokio);
}

#[test]
fn current_thread_tokio_gives_the_same_verdicts_over_sockets() {
    every_transcript_on(Runtime::TokioCurrent);
}

#[test]
fn smol_gives_the_same_verdicts_over_sockets() {
    every_transcript_on(Runtime::Smol);
}

#[test]
fn blocking_gives_the_same_verdicts_over_sockets() {
    every_transcript_on(Runtime::Blocking);
}
