//! Invariant 9: what `ClientConn` writes `ServerConn` reads back equal, and the reverse.

use crate::check;
use crate::harness::client::{self, Ask};
use crate::harness::server::{self, Reply, When};
use crate::harness::{End, Pace, Piece, Sending, Story, Told, body_bytes};
use antiphon_core::Status;
use antiphon_core::h1::{BodyLen, ClientConfig, ServerConfig};
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

/// What a message's body is told as: its bytes, then its end with the trailers. `ends`: an end is told of no body, too.
fn body_told(body: &Sending, ends: bool) -> Vec<Told> {
    let bytes = bytes_of(body);
    let mut told = Vec::new();
    if !bytes.is_empty() {
        told.push(Told::Body(bytes));
    }
    if ends || body.len() != BodyLen::None {
        let with = body.trailers && !body.sized;
        let trailers = if with { " [x-sum: 12345]" } else { "" };
        told.push(Told::Line(format!("body end{trailers}")));
    }
    told
}

/// Whether a head was told as it was given: `start`, then these fields beside those that the machine writes itself, and
/// the body's length.
fn head_told(told: Option<&Told>, start: &str, fields: &str, body: BodyLen) -> bool {
    let Some(Told::Line(line)) = told else {
        return false;
    };
    let Some((head, rest)) = line.split_once("; ") else {
        return false;
    };
    let own = ["[content-length: ", "[transfer-encoding: ", "[connection: "];
    let (mut text, mut said) = (
        head.split(" [").next().unwrap_or_default().to_owned(),
        String::new(),
    );
    text.push(' ');
    for field in head.split(" [").skip(1).map(|f| format!("[{f}")) {
        if !own.iter().any(|own| field.starts_with(own)) {
            said += &field;
        }
    }
    text == start && said == fields && rest.split(", ").next() == Some(&format!("{body:?}"))
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

        let target = if ask.method == "CONNECT" {
            "example.com:443"
        } else {
            "/a?b"
        };
        let mut fields = "[host: example.com]".to_owned();
        if ask.expect {
            fields += "[expect: 100-continue]";
        }
        if ask.upgrade {
            fields += "[upgrade: echo]";
        }
        let start = format!("request {} {target} Http11 ", ask.method);
        let body = body_told(&ask.body, false);
        if !head_told(answered.told.first(), &start, &fields, ask.body.len())
            || !answered.told[1..].starts_with(&body)
        {
            return failed("the request is not read back equal", &asked, &answered);
        }

        let exchanges = [(ask.clone(), answered.wire)];
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
        let at = read
            .told
            .iter()
            .position(|t| matches!(t, Told::Line(l) if l.starts_with("response ")));
        let (before, rest) = read.told.split_at(at.unwrap_or(read.told.len()));
        let hint = |t: &&Told| **t == Told::Line("interim 103 [link: </style.css>; rel=preload]".into());
        let hints = before.iter().filter(hint).count();
        let body = if switched {
            Sending::nothing()
        } else {
            reply.body.clone()
        };
        let field = if status == 101 {
            "[upgrade: echo]"
        } else {
            "[content-type: text/plain]"
        };
        let known = Status::new(status).expect("a status").reason();
        let start = format!("response {status} \"{known}\" Http11 ");
        let bodiless = switched || ask.method == "HEAD" || matches!(status, 204 | 304);
        let len = match body.len() {
            BodyLen::None if !bodiless => BodyLen::Known(0),
            len => len,
        };
        if hints != reply.interim
            || !head_told(rest.first(), &start, field, len)
            || !rest[1..].starts_with(&body_told(&body, !switched))
        {
            return failed("the response is not read back equal", &asked, &read);
        }
        TestResult::passed()
    }
    check(4_000, property as fn(_, _, _, _) -> _);
}

fn failed(what: &str, asked: &Story, then: &Story) -> TestResult {
    TestResult::error(format!("{what}; first:\n{asked:?}then:\n{then:?}"))
}
