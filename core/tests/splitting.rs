//! Nothing that an application gives can split a message: no field name or value, method, target, status, interim
//! field, trailer or body. What was accepted is read back from the wire by a parser of its own, slow and strict, which
//! must find exactly one message with exactly what was given; what was refused must leave nothing on the wire.

#[path = "properties/cases.rs"]
mod cases;

use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ExchangeId, ServerConfig, ServerConn, ServerEvent,
};
use antiphon_core::{FieldLines, Fields, Headers, Instant, Method, Status, Target};
use cases::check;
use quickcheck::{Arbitrary, Gen};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const T0: Instant = Instant::ZERO;

/// Bytes that mean harm.
#[derive(Clone, Debug)]
struct Text(Vec<u8>);

impl Arbitrary for Text {
    fn arbitrary(g: &mut Gen) -> Text {
        const PARTS: [&[u8]; 22] = [
            b"\r\n",
            b"\r",
            b"\n",
            b"\0",
            b":",
            b" ",
            b"\t",
            b"\x0b",
            b"\x7f",
            b"\x85",
            b"\xff",
            b"\xc4\x8a", // U+010A: its low byte is LF
            b"\xe5\x98\x8a\xe5\x98\x8d",
            b"\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"\n\nGET /x HTTP/1.1\nHost: y\n\n",
            b"0\r\n\r\n",
            b"X-Injected: 1",
            b"HTTP/1.1",
            b"GET",
            b"/",
            b"a",
            b"Value",
        ];
        let len = usize::arbitrary(g) % 5;
        // Half of them harmless, so that whole messages come about.
        if bool::arbitrary(g) {
            return Text(format!("a{}", u16::arbitrary(g)).into_bytes());
        }
        Text(
            (0..len)
                .flat_map(|_| g.choose(&PARTS).expect("some").to_vec())
                .collect(),
        )
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Text>> {
        Box::new(self.0.shrink().map(Text))
    }
}

type Given = Vec<(Text, Text)>;

/// The fields that are accepted, by the list.
fn accepted(given: &Given) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in given {
        let _ = headers.append(&name.0, &value.0);
    }
    headers
}

fn pairs(fields: &impl FieldLines) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    fields.for_each_field(|f| pairs.push((f.name.as_bytes().to_vec(), f.value.as_bytes().to_vec())));
    pairs
}

// ----- the parser of its own

struct Wire<'a>(&'a [u8]);

/// A start-line, and fields.
type Head = (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>);

impl Wire<'_> {
    /// Up to CRLF. A line holds neither CR nor LF nor NUL.
    fn line(&mut self) -> Vec<u8> {
        let end = self
            .0
            .windows(2)
            .position(|w| w == b"\r\n")
            .expect("a line ends in CRLF");
        let line = self.0[..end].to_vec();
        self.0 = &self.0[end + 2..];
        assert!(
            !line.iter().any(|b| b"\r\n\0".contains(b)),
            "{}",
            line.escape_ascii()
        );
        line
    }

    fn fields(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return fields;
            }
            let colon = line.iter().position(|&b| b == b':').expect("a colon");
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
            assert!(
                !name.is_empty() && name.iter().all(token),
                "{}",
                line.escape_ascii()
            );
            let visible = |b: &u8| *b == b'\t' || (*b >= b' ' && *b != 0x7f);
            assert!(value.iter().all(visible), "{}", line.escape_ascii());
            fields.push((name.to_vec(), value.trim_ascii().to_vec()));
        }
    }

    fn head(&mut self) -> Head {
        (self.line(), self.fields())
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let taken = self.0[..n].to_vec();
        self.0 = &self.0[n..];
        taken
    }

    /// A body by its framing fields, and its trailers.
    #[allow(clippy::type_complexity)]
    fn body(&mut self, fields: &[(Vec<u8>, Vec<u8>)]) -> (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>) {
        let all = |name: &str| -> Vec<&[u8]> {
            let named = |f: &&(Vec<u8>, Vec<u8>)| f.0.eq_ignore_ascii_case(name.as_bytes());
            fields.iter().filter(named).map(|f| &f.1[..]).collect()
        };
        match (&all("content-length")[..], &all("transfer-encoding")[..]) {
            ([], []) => (Vec::new(), Vec::new()),
            ([len], []) => {
                let len = std::str::from_utf8(len)
                    .expect("digits")
                    .parse()
                    .expect("a length");
                (self.take(len), Vec::new())
            }
            ([], [b"chunked"]) => {
                let mut body = Vec::new();
                loop {
                    let line = self.line();
                    let size = usize::from_str_radix(std::str::from_utf8(&line).expect("digits"), 16);
                    let size = size.expect("a chunk size, without extension");
                    if size == 0 {
                        return (body, self.fields());
                    }
                    body.extend(self.take(size));
                    assert_eq!(self.line(), b"", "a chunk ends in CRLF");
                }
            }
            (lengths, codings) => panic!("framed twice: {lengths:?} {codings:?}"),
        }
    }
}

/// What was given stands there in order, and beside it only what the machine writes itself.
fn same(given: Vec<(Vec<u8>, Vec<u8>)>, read: Vec<(Vec<u8>, Vec<u8>)>) {
    let own = |(name, _): &(Vec<u8>, Vec<u8>)| {
        ["content-length", "transfer-encoding", "connection"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
    };
    let others = |fields: Vec<(Vec<u8>, Vec<u8>)>| fields.into_iter().filter(|f| !own(f)).collect::<Vec<_>>();
    assert_eq!(others(given), others(read));
}

/// All that is queued, taken in one piece.
macro_rules! wire {
    ($conn:expr) => {
        $conn
            .take_outgoing()
            .map_or(Vec::new(), |segments| segments.flatten().collect::<Vec<u8>>())
    };
}

// ----- responses

fn asked(method: &str) -> (ServerConn, ExchangeId) {
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    conn.received_copy(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), T0);
    match conn.next_event() {
        Ok(Some(ServerEvent::Request { id, .. })) => (conn, id),
        other => panic!("{other:?}"),
    }
}

/// A status, biased to the special ones.
fn status(code: u16) -> Option<Status> {
    let special = [
        100, 101, 103, 199, 200, 204, 205, 304, 404, 599, 600, 999, 99, 1000,
    ];
    Status::new(special.get(usize::from(code % 20)).copied().unwrap_or(code)).ok()
}

#[test]
fn no_response_can_be_split() {
    static WHOLE: AtomicU32 = AtomicU32::new(0);
    fn property(
        interim: (u16, Given),
        code: u16,
        fields: Given,
        body: (u8, Text, Text),
        trailers: Given,
        head: bool,
    ) -> bool {
        let (mut conn, id) = asked(if head { "HEAD" } else { "GET" });
        let (hints, fields, trailers) = (accepted(&interim.1), accepted(&fields), accepted(&trailers));
        let hinted = status(interim.0).is_some_and(|s| conn.send_interim(id, s, &hints).is_ok());
        let bytes = [&body.1.0[..], &body.2.0].concat();
        let len = match body.0 % 3 {
            0 => BodyLen::None,
            1 => BodyLen::Known(bytes.len() as u64),
            _ => BodyLen::Unknown,
        };
        let answered = status(code).filter(|&s| conn.send_head(id, s, &fields, len).is_ok());
        let mut finished = false;
        if answered.is_some() && len != BodyLen::None {
            for piece in [body.1, body.2] {
                conn.send_body(id, piece.0.into()).expect("there is room");
            }
            finished = conn.finish(id, &trailers).is_ok();
            if !finished {
                conn.finish(id, &Fields::EMPTY).expect("without trailers");
            }
        }
        let written = wire!(conn);
        let mut wire = Wire(&written);
        if hinted {
            let (line, read) = wire.head();
            assert!(line.starts_with(b"HTTP/1.1 1"), "{}", line.escape_ascii());
            assert_eq!(
                pairs(&hints),
                read,
                "an interim response has no fields of the machine's"
            );
        }
        if let Some(status) = answered {
            let (line, read) = wire.head();
            let start = format!("HTTP/1.1 {} ", status.code());
            assert!(line.starts_with(start.as_bytes()), "{}", line.escape_ascii());
            let bodiless = head || status.is_informational() || [204, 304].contains(&status.code());
            if !bodiless {
                let (read_body, read_trailers) = wire.body(&read);
                let none = len == BodyLen::None || status == Status::RESET_CONTENT;
                assert_eq!(read_body, if none { Vec::new() } else { bytes });
                if len == BodyLen::Unknown && finished && !none {
                    assert_eq!(pairs(&trailers), read_trailers);
                } else {
                    assert_eq!(read_trailers, []);
                }
            }
            same(pairs(&fields), read);
        }
        assert!(
            wire.0.is_empty(),
            "more than one message: {}",
            written.escape_ascii()
        );
        WHOLE.fetch_add(u32::from(answered.is_some()), Ordering::Relaxed);
        true
    }
    check(10_000, property as fn(_, _, _, _, _, _) -> _);
    let whole = WHOLE.load(Ordering::Relaxed);
    assert!(whole > 1_500, "only {whole} responses came about");
}

// ----- requests

#[test]
fn no_request_can_be_split() {
    static WHOLE: AtomicU32 = AtomicU32::new(0);
    fn property(
        method: (u8, Text),
        target: (u8, Text),
        fields: Given,
        body: (u8, Text, Text),
        trailers: Given,
    ) -> bool {
        let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
        let text = |text: &Text| String::from_utf8_lossy(&text.0).into_owned();
        let method = match method.0 % 4 {
            0 => "GET".to_owned(),
            1 => "POST".to_owned(),
            2 => format!("GET{}", text(&method.1)),
            _ => text(&method.1),
        };
        let target = match target.0 % 4 {
            0 => "/".to_owned(),
            1 => format!("/{}", text(&target.1)),
            2 => format!("http://{}/", text(&target.1)),
            _ => text(&target.1),
        };
        let mut fields = accepted(&fields);
        fields.remove("host");
        fields.append("Host", "a").expect("a field");
        let trailers = accepted(&trailers);
        let bytes = [&body.1.0[..], &body.2.0].concat();
        let len = match body.0 % 3 {
            0 => BodyLen::None,
            1 => BodyLen::Known(bytes.len() as u64),
            _ => BodyLen::Unknown,
        };
        let Ok(id) = conn.send_request(&method, &target, &fields, len) else {
            assert_eq!(wire!(conn), b"", "what is refused leaves nothing");
            return true;
        };
        // The types agree with the machine.
        assert!(Method::new(&method).is_ok() && Target::new(&target).is_ok());
        let mut finished = false;
        if len != BodyLen::None {
            for piece in [body.1, body.2] {
                conn.send_body(id, piece.0.into()).expect("there is room");
            }
            finished = conn.finish(id, &trailers).is_ok();
            if !finished {
                conn.finish(id, &Fields::EMPTY).expect("without trailers");
            }
        }
        let written = wire!(conn);
        let mut wire = Wire(&written);
        let (line, read) = wire.head();
        assert_eq!(line, format!("{method} {target} HTTP/1.1").into_bytes());
        assert_eq!(
            line.iter().filter(|&&b| b == b' ').count(),
            2,
            "{}",
            line.escape_ascii()
        );
        let (read_body, read_trailers) = wire.body(&read);
        assert_eq!(read_body, if len == BodyLen::None { Vec::new() } else { bytes });
        let with_trailers = len == BodyLen::Unknown && finished;
        assert_eq!(
            read_trailers,
            if with_trailers {
                pairs(&trailers)
            } else {
                Vec::new()
            }
        );
        same(pairs(&fields), read);
        assert!(
            wire.0.is_empty(),
            "more than one message: {}",
            written.escape_ascii()
        );
        WHOLE.fetch_add(1, Ordering::Relaxed);
        true
    }
    check(10_000, property as fn(_, _, _, _, _) -> _);
    let whole = WHOLE.load(Ordering::Relaxed);
    assert!(whole > 1_500, "only {whole} requests came about");
}
