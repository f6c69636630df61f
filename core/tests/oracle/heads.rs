//! httparse as a third opinion on heads: what it and a machine accept, both read with the same parts and the same
//! length; what only one accepts has a reason with a name.
//!
//! The tokenizer's own tests in `core/src/h1/oracle_tests.rs` look below the machines; here the whole way is taken.

use crate::cases::check;
use crate::observe::Query;
use crate::odd::{OddRequests, OddResponse};
use crate::reference::Line;
use crate::wire::{Exchanges, Requests};
use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, PeerErrorKind as Kind, ServerConfig, ServerConn,
    ServerEvent,
};
use antiphon_core::{Field, Fields, Instant};
use quickcheck::TestResult;
use std::sync::Arc;

const NOW: Instant = Instant::ZERO;

/// A head's parts: what stands before the fields, the fields, and how many bytes were used up.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    start: String,
    fields: Vec<Line>,
    length: usize,
}

/// What a parser makes of some bytes: parts, nothing yet, or a refusal.
#[derive(Debug)]
enum View {
    Head(Parts),
    Partial,
    Refused(String, Option<Kind>),
}

fn ours(fields: Fields<'_>) -> Vec<Line> {
    let pair = |f: Field<'_>| (f.name.as_bytes().to_vec(), f.value.as_bytes().to_vec());
    fields.iter().map(pair).collect()
}

fn theirs(headers: &[httparse::Header<'_>]) -> Vec<Line> {
    let pair = |h: &httparse::Header<'_>| (h.name.as_bytes().to_vec(), h.value.to_vec());
    headers.iter().map(pair).collect()
}

fn server(bytes: &[u8]) -> View {
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), NOW);
    let fed = conn.received_copy(bytes, NOW);
    match conn.next_event() {
        Ok(Some(ServerEvent::Request { id, .. })) => {
            let head = conn.head(id).expect("a head comes with the event");
            let start = format!(
                "{} {} {}",
                head.method(),
                String::from_utf8_lossy(head.target_bytes()),
                head.version()
            );
            let fields = ours(head.fields());
            let length = fed - conn.into_parts().unread.len();
            View::Head(Parts {
                start,
                fields,
                length,
            })
        }
        Ok(other) => {
            assert_eq!(other, None);
            View::Partial
        }
        Err(e) => View::Refused(e.to_string(), Some(e.kind())),
    }
}

fn httparse_request(bytes: &[u8]) -> View {
    let mut slots = vec![httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut slots);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let start = format!(
                "{} {} HTTP/1.{}",
                parsed.method.unwrap_or_default(),
                parsed.path.unwrap_or_default(),
                parsed.version.unwrap_or_default()
            );
            let fields = theirs(parsed.headers);
            View::Head(Parts {
                start,
                fields,
                length,
            })
        }
        Ok(httparse::Status::Partial) => View::Partial,
        Err(e) => View::Refused(e.to_string(), None),
    }
}

fn requests_agree(bytes: &[u8]) -> Result<(), String> {
    let (ours, theirs) = (server(bytes), httparse_request(bytes));
    let good = match (&ours, &theirs) {
        (View::Head(a), View::Head(b)) => a == b,
        // It knows no minor version above 1; we read one as 1.1 (RFC 9110, section 2.5).
        (View::Head(_), View::Refused(why, _)) => why.contains("version"),
        // We are the stricter one: each reason is a rule with a name. Those that httparse has too are not among them.
        (View::Refused(_, Some(kind)), View::Head(_)) => !matches!(
            kind,
            Kind::Method | Kind::Version | Kind::FieldName | Kind::FieldValue | Kind::TooManyFields
        ),
        (View::Refused(..), _) | (View::Partial, View::Partial) => true,
        // More than so many empty lines, or a version, is refused before the head is complete; a partial head of ours
        // is a partial one of theirs, or a version that it does not know.
        (View::Partial, View::Refused(why, _)) => why.contains("version"),
        (View::Partial, View::Head(_)) | (View::Head(_), View::Partial) => false,
    };
    if good {
        Ok(())
    } else {
        Err(format!("core {ours:#?}\nhttparse {theirs:#?}"))
    }
}

fn client(query: Query, bytes: &[u8]) -> View {
    const HOST: Field<'static> = Field::from_static("host", "a");
    let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), NOW);
    let target = if query.method == "CONNECT" { "a:1" } else { "/" };
    conn.send_request(query.method, target, &[HOST], BodyLen::None)
        .expect("a request may be sent");
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, NOW).expect("no more than was offered");
    let fed = conn.received_copy(bytes, NOW);
    match conn.next_event() {
        Ok(Some(ClientEvent::Interim { id, .. } | ClientEvent::Response { id, .. })) => {
            let head = conn.head(id).expect("a head comes with the event");
            let start = format!("{} {}", head.version(), head.status().code());
            let fields = ours(head.fields());
            let length = fed - conn.into_parts().unread.len();
            View::Head(Parts {
                start,
                fields,
                length,
            })
        }
        Ok(other) => {
            assert_eq!(other, None);
            View::Partial
        }
        Err(e) => View::Refused(e.to_string(), Some(e.kind())),
    }
}

fn httparse_response(bytes: &[u8]) -> View {
    let mut slots = vec![httparse::EMPTY_HEADER; 256];
    let mut parsed = httparse::Response::new(&mut slots);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let minor = parsed.version.unwrap_or_default();
            let start = format!("HTTP/1.{minor} {}", parsed.code.unwrap_or_default());
            let fields = theirs(parsed.headers);
            View::Head(Parts {
                start,
                fields,
                length,
            })
        }
        Ok(httparse::Status::Partial) => View::Partial,
        Err(e) => View::Refused(e.to_string(), None),
    }
}

fn responses_agree(query: Query, bytes: &[u8]) -> Result<(), String> {
    let (ours, theirs) = (client(query, bytes), httparse_response(bytes));
    let folded = bytes
        .windows(3)
        .any(|w| w[..2] == *b"\r\n" && matches!(w[2], b' ' | b'\t'));
    let good = match (&ours, &theirs) {
        (View::Head(a), View::Head(b)) => a == b,
        (View::Head(_), View::Refused(why, _)) => why.contains("version") || folded,
        (View::Refused(_, Some(kind)), View::Head(_)) => !matches!(
            kind,
            Kind::FieldName | Kind::FieldValue | Kind::TooManyFields | Kind::LineFolding
        ),
        (View::Refused(..), _) => true,
        // We judge a head when it is complete.
        (View::Partial, View::Partial | View::Refused(..)) => true,
        (View::Partial, View::Head(_)) | (View::Head(_), View::Partial) => false,
    };
    if good {
        Ok(())
    } else {
        Err(format!("core {ours:#?}\nhttparse {theirs:#?}"))
    }
}

fn verdict(compared: Result<(), String>) -> TestResult {
    compared.map_or_else(TestResult::error, |()| TestResult::passed())
}

#[test]
fn request_heads_are_read_as_httparse_reads_them() {
    fn generated(wire: Requests) -> TestResult {
        verdict(requests_agree(&wire.0))
    }
    fn odd(wire: OddRequests) -> TestResult {
        verdict(requests_agree(&wire.0))
    }
    check(10_000, generated as fn(_) -> _);
    check(20_000, odd as fn(_) -> _);
}

#[test]
fn response_heads_are_read_as_httparse_reads_them() {
    fn generated(exchanges: Exchanges) -> TestResult {
        let (ask, bytes) = &exchanges.0[0];
        let query = Query {
            method: ask.method,
            upgrade: false,
        };
        verdict(responses_agree(query, bytes))
    }
    fn odd(response: OddResponse) -> TestResult {
        verdict(responses_agree(response.0, &response.1))
    }
    check(10_000, generated as fn(_) -> _);
    check(20_000, odd as fn(_) -> _);
}
