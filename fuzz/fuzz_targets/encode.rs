//! Messages that are sent, and what is on the wire then: arbitrary names, values, targets, methods, statuses, bodies
//! and trailers go in; out comes an error and nothing is written, or exactly one message, which an independent reader
//! (`wire.rs`) reads back equal. Nothing that a caller passes can split a message.
//!
//! Which names and values are valid is said a second time here.

#![no_main]

mod wire;

use antiphon_core::h1::{BodyLen, ClientConfig, ClientConn, Misuse, ServerConfig, ServerConn, ServerEvent};
use antiphon_core::{Field, FieldName, FieldValue, Headers, Instant, Method, Status, Target};
use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use wire::{Framing, Line, Message};

const NOW: Instant = Instant::ZERO;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    request: bool,
    method: Text<'a>,
    target: Text<'a>,
    status: u16,
    /// Server: HTTP/1.0 is spoken.
    old: bool,
    interims: Vec<u16>,
    fields: Vec<(Text<'a>, Blob<'a>)>,
    len: Len,
    body: Vec<Piece<'a>>,
    trailers: Vec<(Text<'a>, Blob<'a>)>,
}

/// Text that is often one of those with rules of their own.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Text<'a> {
    Known(u8),
    Any(Blob<'a>),
}

/// Bytes behind their number, so that inputs can be written by hand.
#[derive(Clone, Copy, Debug)]
struct Blob<'a>(&'a [u8]);

impl<'a> Arbitrary<'a> for Blob<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Blob<'a>> {
        let n = usize::from(u8::arbitrary(u)?).min(u.len());
        u.bytes(n).map(Blob)
    }
}

impl<'a> Text<'a> {
    fn or(self, known: &[&'static str]) -> &'a [u8] {
        match self {
            Text::Known(n) => known[usize::from(n) % known.len()].as_bytes(),
            Text::Any(bytes) => bytes.0,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Len {
    None,
    /// What the pieces add up to, and so much more.
    Right(u8),
    Any(u64),
    Unknown,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Piece<'a> {
    Shared(Blob<'a>),
    Copied(Blob<'a>),
    External(u8),
    /// Large enough to be shared, not copied.
    Large(u8),
}

impl Piece<'_> {
    fn bytes(self) -> Vec<u8> {
        match self {
            Piece::Shared(bytes) | Piece::Copied(bytes) => bytes.0.to_vec(),
            Piece::External(n) => vec![b'E'; usize::from(n)],
            Piece::Large(n) => vec![b'L'; 2_000 + usize::from(n)],
        }
    }
}

const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "CONNECT", "OPTIONS", "PUT", "M-SEARCH"];
const TARGETS: [&str; 6] = ["/", "*", "a:80", "http://a/", "/a?b=%20", "[::1]:443"];
const NAMES: [&str; 16] = [
    "x-a",
    "Connection",
    "Upgrade",
    "Expect",
    "Content-Length",
    "Transfer-Encoding",
    "Host",
    "Trailer",
    "Set-Cookie",
    "Keep-Alive",
    "TE",
    "If-Match",
    "Content-Type",
    "x-sum",
    "Date",
    "Location",
];

// ----- what is valid, a second time

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

fn trimmed(value: &[u8]) -> Option<&[u8]> {
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let from = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let to = value.iter().rposition(|b| !blank(b)).map_or(from, |i| i + 1);
    let control = |b: &u8| (*b < b' ' && *b != b'\t') || *b == 0x7f;
    (!value[from..to].iter().any(control)).then_some(&value[from..to])
}

fn is(name: &[u8], text: &str) -> bool {
    name.eq_ignore_ascii_case(text.as_bytes())
}

/// The field lines that can be made of these; the others must be refused.
fn lines<'a>(of: &[(Text<'a>, Blob<'a>)]) -> Vec<Field<'a>> {
    let mut kept = Vec::new();
    for &(name, Blob(value)) in of {
        let bytes = name.or(&NAMES);
        let name = FieldName::new(bytes);
        assert_eq!(
            name.is_ok(),
            is_token(bytes),
            "the name \"{}\"",
            bytes.escape_ascii()
        );
        let checked = FieldValue::new(value);
        assert_eq!(
            checked.map(FieldValue::as_bytes).ok(),
            trimmed(value),
            "the value \"{}\"",
            value.escape_ascii()
        );
        let mut headers = Headers::new();
        let appended = headers.append(bytes, value);
        assert_eq!(
            appended.is_ok(),
            name.is_ok() && checked.is_ok(),
            "Headers takes the same"
        );
        if let (Ok(name), Ok(value)) = (name, checked) {
            assert!(headers.iter().eq([Field::new(name, value)]));
            kept.push(Field::new(name, value));
        }
    }
    kept
}

fn plain(fields: &[Field<'_>]) -> Vec<Line> {
    let line = |f: &Field<'_>| (f.name.as_bytes().to_vec(), f.value.as_bytes().to_vec());
    fields.iter().map(line).collect()
}

/// Sends body and trailers as far as they are accepted, and gives what was.
macro_rules! send {
    ($conn:ident, $id:ident, $input:expr, $wire:ident) => {{
        let mut body = Vec::new();
        for piece in &$input.body {
            let bytes = piece.bytes();
            let before = written($conn.outgoing());
            let result = match piece {
                Piece::Copied(_) => $conn
                    .send_body_copy($id, &bytes)
                    .map(|n| body.extend_from_slice(&bytes[..n])),
                Piece::External(n) => $conn
                    .send_external($id, u64::from(*n))
                    .map(|()| body.extend(&bytes)),
                _ => $conn
                    .send_body($id, bytes.clone().into())
                    .map(|()| body.extend(&bytes)),
            };
            assert!(
                result.is_ok() || before == written($conn.outgoing()),
                "refused, and written"
            );
            drain!($conn, $wire);
        }
        let trailers = lines(&$input.trailers);
        let before = written($conn.outgoing());
        let finished = $conn.finish($id, &trailers[..]);
        assert!(
            finished.is_ok() || before == written($conn.outgoing()),
            "refused, and written"
        );
        let complete = finished.is_ok() || $conn.finish($id, &antiphon_core::Fields::EMPTY).is_ok();
        drain!($conn, $wire);
        (
            body,
            if finished.is_ok() {
                plain(&trailers)
            } else {
                Vec::new()
            },
            complete,
        )
    }};
}

fn written(outgoing: antiphon_core::h1::Outgoing<'_>) -> (Vec<u8>, Option<u64>) {
    let mut slices = [&[][..]; 64];
    let n = outgoing.slices(&mut slices);
    (slices[..n].concat(), outgoing.external())
}

macro_rules! drain {
    ($conn:ident, $wire:ident) => {
        while $conn.wants().write {
            let (bytes, external) = written($conn.outgoing());
            let bytes = external.map_or(bytes, |n| vec![b'E'; n as usize]);
            assert!(!bytes.is_empty());
            $conn.sent(bytes.len() as u64, NOW).expect("what was offered");
            $wire.extend(bytes);
        }
    };
}

/// The body that was asked for, by its pieces.
fn len(input: &Input<'_>) -> BodyLen {
    match input.len {
        Len::None => BodyLen::None,
        Len::Unknown => BodyLen::Unknown,
        Len::Any(n) => BodyLen::Known(n),
        Len::Right(more) => {
            let total: usize = input.body.iter().map(|p| p.bytes().len()).sum();
            BodyLen::Known(total as u64 + u64::from(more / 64))
        }
    }
}

/// What must be the same whoever sends: the caller's fields in their order, and nothing beside them but the machine's.
fn check_fields(message: &Message, sent: &[Field<'_>]) {
    let own = |(name, value): &Line| {
        let framing = is(name, "content-length") || is(name, "transfer-encoding");
        framing || (is(name, "connection") && matches!(&value[..], b"close" | b"keep-alive" | b"upgrade"))
    };
    let sent = plain(sent);
    assert_eq!(
        message.fields[..sent.len().min(message.fields.len())],
        sent,
        "the caller's fields"
    );
    let rest = &message.fields[sent.len()..];
    assert!(
        rest.len() <= 2 && rest.iter().all(own),
        "the machine's fields: {rest:?}"
    );
}

fn check_body(message: &Message, len: BodyLen, body: &[u8], trailers: &[Line], complete: bool) {
    match message.framing {
        Framing::Nothing => assert!(message.body.is_empty() && message.trailers.is_empty()),
        Framing::Length(0) if len == BodyLen::None || message.status == 205 => {}
        Framing::Length(n) => {
            assert!(len == BodyLen::Known(n) && message.body == body && message.complete == complete)
        }
        Framing::Chunked => {
            assert!(len == BodyLen::Unknown && message.body == body && message.complete == complete);
            assert_eq!(message.trailers, trailers);
        }
        Framing::UntilClose => assert!(len == BodyLen::Unknown && message.body == body),
    }
}

fn request(input: &Input<'_>) {
    let (method, target) = (input.method.or(&METHODS), input.target.or(&TARGETS));
    let (Ok(method), Ok(target)) = (std::str::from_utf8(method), std::str::from_utf8(target)) else {
        return;
    };
    let mut conn = ClientConn::new(Arc::new(ClientConfig::default()), NOW);
    let mut fields = lines(&input.fields);
    if !fields.iter().any(|f| f.name.is("host")) {
        fields.push(Field::from_static("host", "a"));
    }
    let len = len(input);
    let mut wire = Vec::new();
    let sent = conn.send_request(method, target, &fields[..], len);
    let typed = Method::new(method).is_ok() && Target::new(target).is_ok();
    let forbidden = |f: &Field<'_>| is_any(f, &["content-length", "transfer-encoding"]);
    if fields.iter().any(forbidden) || fields.iter().filter(|f| f.name.is("host")).count() > 1 {
        assert!(sent.is_err());
    }
    let Ok(id) = sent else {
        assert!(
            conn.outgoing().is_empty() && conn.can_send(),
            "refused, and changed something"
        );
        return;
    };
    assert!(typed, "{method:?} {target:?} was sent, but the types refuse it");
    drain!(conn, wire);
    let (body, trailers, complete) = send!(conn, id, input, wire);
    let messages = wire::requests(&wire);
    let [message] = &messages[..] else {
        panic!("{messages:?} on the wire")
    };
    assert_eq!((&message.asks.0[..], &message.asks.1[..]), (method, target));
    check_fields(message, &fields);
    let held = fields.iter().any(|f| f.name.is("expect"));
    if !held {
        check_body(message, len, &body, &trailers, complete);
    }
    check_length(message, &wire);
}

/// No byte of the wire lies outside the message that was read.
fn check_length(message: &Message, wire: &[u8]) {
    let head = wire
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("a head's end")
        + 4;
    match message.framing {
        Framing::Chunked => assert!(!message.complete || wire.ends_with(b"\r\n\r\n")),
        _ => assert_eq!(wire.len(), head + message.body.len(), "bytes outside the message"),
    }
}

fn is_any(f: &Field<'_>, names: &[&str]) -> bool {
    names.iter().any(|n| f.name.is(n))
}

fn response(input: &Input<'_>) {
    let method = ["GET", "HEAD", "GET", "POST", "CONNECT", "UPGRADE"][usize::from(input.method_choice()) % 6];
    let version = if input.old { "1.0" } else { "1.1" };
    let asked = match method {
        "CONNECT" => format!("CONNECT a:1 HTTP/{version}\r\nHost: a\r\n\r\n"),
        "UPGRADE" => format!("GET / HTTP/{version}\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        _ => format!("{method} / HTTP/{version}\r\nHost: a\r\n\r\n"),
    };
    let mut conn = ServerConn::new(Arc::new(ServerConfig::default()), NOW);
    conn.received_copy(asked.as_bytes(), NOW);
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!("no request")
    };
    let fields = lines(&input.fields);
    let forbidden = fields
        .iter()
        .any(|f| is_any(f, &["content-length", "transfer-encoding"]));
    let (mut wire, mut interims) = (Vec::new(), 0);
    for code in input.interims.iter().take(4) {
        let Ok(status) = Status::new(*code) else { continue };
        let sent = conn.send_interim(id, status, &fields[..]);
        let may = (100..200).contains(code) && *code != 101 && !forbidden;
        assert_eq!(sent.is_ok(), may, "an interim {code}: {sent:?}");
        interims += usize::from(may && !input.old);
        drain!(conn, wire);
    }
    assert_eq!(
        Status::new(input.status).is_ok(),
        (100..1000).contains(&input.status)
    );
    let Ok(status) = Status::new(input.status) else {
        return;
    };
    let len = len(input);
    let before = wire.len();
    let sent = conn.send_head(id, status, &fields[..], len);
    assert!(!forbidden || sent.is_err());
    if let Err(misuse) = sent {
        assert!(
            conn.outgoing().is_empty() && wire.len() == before,
            "refused, and written"
        );
        let known = [Misuse::ForbiddenField, Misuse::NotFinal, Misuse::NoSwitchProposed];
        assert!(known.contains(&misuse), "{misuse:?}");
        return;
    }
    drain!(conn, wire);
    let (body, trailers, complete) = send!(conn, id, input, wire);
    let method = if method == "UPGRADE" { "GET" } else { method };
    let messages = wire::responses(&wire, &[method.into()]);
    let (message, before) = messages.split_last().expect("a response");
    assert!(
        before.len() == interims && before.iter().all(|m| !m.is_final()),
        "{messages:?} on the wire"
    );
    assert_eq!(message.status, status.code());
    check_fields(message, &fields);
    for interim in before {
        check_fields(interim, &fields);
    }
    check_body(message, len, &body, &trailers, complete);
    let heads = before.iter().fold(0, |at, _| {
        at + wire[at..]
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("a head's end")
            + 4
    });
    check_length(message, &wire[heads..]);
}

impl Input<'_> {
    fn method_choice(&self) -> u8 {
        match self.method {
            Text::Known(n) => n,
            Text::Any(bytes) => bytes.0.len() as u8,
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    if input.fields.len() > 200 || input.trailers.len() > 200 {
        return;
    }
    if input.request {
        request(&input)
    } else {
        response(&input)
    }
});
