//! The server's transcripts: against the core in every segmentation, and over sockets against every runtime,
//! with the same verdict everywhere.

use antiphon_core::h1::ServerConfig;
use antiphon_tests::case::{self, Case, Cut, Step};
use antiphon_tests::peer::{PATIENCE, Peer};
use antiphon_tests::replay;
use antiphon_tests::subject::Runtime;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const FILES: [(&str, &str); 6] = [
    ("request-line", include_str!("../cases/server/request-line.txt")),
    ("host", include_str!("../cases/server/host.txt")),
    ("fields", include_str!("../cases/server/fields.txt")),
    ("framing", include_str!("../cases/server/framing.txt")),
    ("chunked", include_str!("../cases/server/chunked.txt")),
    ("connection", include_str!("../cases/server/connection.txt")),
];

fn cases() -> impl Iterator<Item = Case> {
    FILES
        .into_iter()
        .flat_map(|(name, text)| case::parse(&format!("cases/server/{name}.txt"), text))
}

#[test]
fn the_core_follows_every_transcript_however_the_bytes_are_cut() {
    let mut failures = Vec::new();
    for case in cases() {
        for &cut in case.cuts() {
            let got = replay::server(&case, cut).lines;
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

/// Servers are told apart by their settings: one for each that the cases use.
struct Servers(Runtime, Vec<(ServerConfig, SocketAddr)>);

impl Servers {
    fn with(&mut self, config: ServerConfig) -> SocketAddr {
        if let Some((_, addr)) = self.1.iter().find(|(c, _)| *c == config) {
            return *addr;
        }
        let addr = self.0.spawn_server(config);
        self.1.push((config, addr));
        addr
    }
}

/// Plays a case over a socket; what must be seen is what the core's replay has put on its wire.
fn over_a_socket(case: &Case, cut: Cut, addr: SocketAddr) -> Result<(), String> {
    let expected = replay::server(case, Cut::Whole);
    let mut peer = Peer::connect(addr);
    for step in &case.steps {
        match step {
            Step::Bytes(bytes) => peer.send(bytes, cut),
            Step::Eof => peer.shut(),
            other => return Err(format!("no step of a server case: {other:?}")),
        }
    }
    for (response, method) in expected.responses.iter().zip(&expected.methods) {
        let mut got = peer.response(method)?;
        // "A server MAY omit sending a 100 response if it has already received some or all of the content"
        // (RFC 9110, section 10.1.1), and here it has.
        if got.interim.is_empty() && response.interim == [100] {
            got.interim.push(100);
        }
        if response.status == 500 {
            // The text of a 500 is the adapter's own.
            got.body.clone_from(&response.body);
        }
        if got != *response {
            return Err(format!("expected {response:?}\ngot {got:?}"));
        }
    }
    let until = Instant::now() + PATIENCE;
    if expected.switched {
        peer.send(b"ping", Cut::Whole);
        let raw = [&expected.raw[..], b"ping"].concat();
        while peer.received.len() < raw.len() && !peer.closed && peer.wait(until) {}
        return if peer.received == raw {
            Ok(())
        } else {
            Err(format!("{:?}", peer.received))
        };
    }
    if expected.closed {
        return if peer.closes(until) {
            Ok(())
        } else {
            Err("it was not closed".into())
        };
    }
    if expected.lines.iter().any(|l| l.starts_with('~')) {
        // In the middle of a request: nothing may happen.
        peer.wait(Instant::now() + Duration::from_millis(20));
        return if !peer.closed && peer.received.is_empty() {
            Ok(())
        } else {
            Err("it did not wait".into())
        };
    }
    // Still open, and in step: the next request is answered.
    peer.send(
        b"GET /probe HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n",
        Cut::Whole,
    );
    let probe = peer.response("GET")?;
    let in_step = probe.status == 200 && String::from_utf8_lossy(&probe.body).contains("\"/probe\"");
    if in_step && peer.closes(until) {
        Ok(())
    } else {
        Err(format!("out of step: {probe:?}"))
    }
}

fn every_transcript_on(runtime: Runtime) {
    let mut servers = Servers(runtime, Vec::new());
    let mut failures = Vec::new();
    for case in cases() {
        let addr = servers.with(case.server_config());
        for &cut in case.cuts() {
            if let Err(e) = over_a_socket(&case, cut, addr) {
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
