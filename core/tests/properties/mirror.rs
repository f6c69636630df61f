//! Invariant 9: what `ClientConn` writes `ServerConn` reads back equal, and the reverse.

use crate::check;
use crate::harness::client::{self, Ask};
use crate::harness::server::{self, Reply, When};
use crate::harness::{End, Pace, Piece, Sending, Story, Told, body_bytes};
use antiphon_core::h1::{ClientConfig, ServerConfig};
use quickcheck::TestResult;
use std::sync::Arc;

/// The body bytes that the harness makes of `sending`.
fn bytes_of(sending: &Sending) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in &sending.pieces {
        match *piece {
            Piece::Shared(n) | Piece::Copied(n) => bytes.extend(body_bytes(bytes.len() as u64, n)),
            Piece::External(n) => bytes.extend(std::iter::repeat_n(b'E', n as usize)),
        }
    }
    bytes
}

fn body_told(story: &Story) -> Vec<u8> {
    let runs = story
        .told
        .iter()
        .filter_map(|t| if let Told::Body(b) = t { Some(&b[..]) } else { None });
    runs.collect::<Vec<_>>().concat()
}

fn line_told(story: &Story, with: &str) -> bool {
    story
        .told
        .iter()
        .any(|t| matches!(t, Told::Line(l) if l.contains(with)))
}

#[test]
fn what_one_machine_writes_the_other_reads() {
    fn property(mut ask: Ask, mut reply: Reply, end_early: bool, pace: Pace) -> TestResult {
        ask.hold = false;
        reply.when = When::BodyEnd;
        if reply.status == 204 || reply.status == 304 || ask.method == "HEAD" || ask.method == "CONNECT" {
            reply.body = Sending::nothing();
        }
        let client = Arc::new(ClientConfig::default());
        let server = Arc::new(ServerConfig::default());

        // The request as it is on the wire, when no answer ever comes.
        let unanswered = [(ask.clone(), Vec::new())];
        let asked = client::play(
            &client::Run {
                config: &client,
                exchanges: &unanswered,
                end: End::Silence,
            },
            &pace,
        );
        let replies = [reply.clone()];
        let mut run = server::Run {
            config: &server,
            wire: &asked.wire,
            end: End::Eof,
            replies: &replies,
        };
        if end_early && !asked.wire.is_empty() {
            run.wire = &asked.wire[..asked.wire.len() - 1];
        }
        let answered = server::play(&run, &pace);
        if run.wire.len() < asked.wire.len() {
            let refused = line_told(&answered, "error UnexpectedEof");
            return if refused {
                TestResult::passed()
            } else {
                failed("a cut request is accepted", &asked, &answered)
            };
        }

        let expected = bytes_of(&ask.body);
        let chunked = !ask.body.sized;
        if !line_told(&answered, &format!("request {} ", ask.method)) || body_told(&answered) != expected {
            return failed("the request is not read back equal", &asked, &answered);
        }
        if line_told(&answered, "[x-sum: 12345]") != (chunked && ask.body.trailers) {
            return failed(
                "the request's trailers are not read back equal",
                &asked,
                &answered,
            );
        }

        let exchanges = [(ask.clone(), answered.without_continue().wire)];
        let read = client::play(
            &client::Run {
                config: &client,
                exchanges: &exchanges,
                end: End::Eof,
            },
            &pace,
        );
        let switched = (ask.upgrade || ask.method == "CONNECT") && reply.accept;
        let status = match (switched, ask.method) {
            (true, "CONNECT") => 200,
            (true, _) => 101,
            (false, "CONNECT") if reply.status < 300 => 403,
            _ => reply.status,
        };
        if !line_told(&read, &format!("response {status} ")) {
            return failed("the response is not read back", &asked, &read);
        }
        if !switched && body_told(&read) != bytes_of(&reply.body) {
            return failed("the response's body is not read back equal", &asked, &read);
        }
        let trailers = !switched && !reply.body.sized && reply.body.trailers;
        if line_told(&read, "[x-sum: 12345]") != trailers {
            return failed("the response's trailers are not read back equal", &asked, &read);
        }
        TestResult::passed()
    }
    check(4_000, property as fn(_, _, _, _) -> _);
}

fn failed(what: &str, asked: &Story, then: &Story) -> TestResult {
    TestResult::error(format!("{what}; first:\n{asked:?}then:\n{then:?}"))
}
