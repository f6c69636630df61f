//! Our tokenizer and httparse, each the other's oracle: on generated and mutated heads, what one accepts the
//! other accepts with the same parts, or a named rule says why not.

use super::config::{Limits, Profile};
use super::error::PeerErrorKind as Kind;
use super::framing::Facts;
use super::head::HeadStore;
use super::response;
use super::scan::{Rules, Scan, Sink};
use crate::Fields;
use crate::cases::check;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use quickcheck::{Arbitrary, Gen};

/// Bytes of a head: mostly well-formed, then mutated in a few places.
#[derive(Clone, Debug)]
struct Head {
    start: Vec<u8>,
    rest: Vec<u8>,
}

impl Head {
    fn bytes(&self, line: &[u8]) -> Vec<u8> {
        [line, &self.start, &self.rest].concat()
    }
}

impl Arbitrary for Head {
    fn arbitrary(g: &mut Gen) -> Head {
        let names = [
            "Host",
            "X-A",
            "Content-Length",
            "Connection",
            "x!#$%&'*+-.^_`|~",
            "A",
            "Transfer-Encoding",
        ];
        let values = [
            "example.com",
            "",
            "1",
            "a b\tc",
            "close",
            "chunked",
            "\u{e9}",
            "x, y;q=\"z\"",
            "0123456789abcdef-0123456789",
        ];
        let mut rest = Vec::new();
        for _ in 0..usize::arbitrary(g) % 6 {
            let blank = *g.choose(&["", " ", "\t ", "  "]).unwrap_or(&"");
            let (name, value) = (g.choose(&names).unwrap_or(&"A"), g.choose(&values).unwrap_or(&""));
            let after = *g.choose(&["", "", " ", "\t"]).unwrap_or(&"");
            rest.extend_from_slice(format!("{name}:{blank}{value}{after}\r\n").as_bytes());
        }
        rest.extend_from_slice(b"\r\n");
        let alphabet: &[u8] = b"\r\n\t :;,\0\x01\x7f\x80\xffAz09#/?*\"(){}[]@";
        let mut start = Vec::new();
        for bytes in [&mut start, &mut rest] {
            let places = u32::arbitrary(g) % 4;
            for _ in 0..places.saturating_sub(1) {
                let at = usize::arbitrary(g) % (bytes.len() + 1);
                let b = *g.choose(alphabet).unwrap_or(&b' ');
                if bool::arbitrary(g) || at == bytes.len() {
                    bytes.insert(at, b);
                } else {
                    bytes[at] = b;
                }
            }
        }
        Head { start, rest }
    }
}

fn lines(fields: Fields<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields
        .iter()
        .map(|f| (f.name.as_bytes().to_vec(), f.value.as_bytes().to_vec()))
        .collect()
}

fn rules<'a>(profile: &'a Profile, limits: &Limits) -> Rules<'a> {
    Rules {
        profile,
        size: limits.head,
        fields: limits.fields,
        target: limits.target,
        too_large: Kind::HeadTooLarge,
        too_many: Kind::TooManyFields,
    }
}

/// Runs the tokenizer: the section's length, the target, and the field lines.
#[allow(clippy::type_complexity)]
fn tokenize(
    scan: Scan,
    data: &[u8],
    profile: &Profile,
) -> Result<Option<(usize, Vec<(Vec<u8>, Vec<u8>)>)>, Kind> {
    let mut scan = scan;
    let mut store = HeadStore::default();
    let mut facts = Facts::IGNORE;
    let mut sink = Sink {
        spans: &mut store.spans,
        facts: &mut facts,
    };
    match scan.run(data, data.len(), &rules(profile, &Limits::SERVER), &mut sink) {
        Ok(true) => {
            store.bytes = data.to_vec();
            if scan.folded() {
                store.unfold();
            }
            Ok(Some((scan.position(), lines(store.fields()))))
        }
        Ok(false) => Ok(None),
        Err(f) => Err(f.kind),
    }
}

#[test]
fn requests_are_read_as_httparse_reads_them() {
    fn property(head: Head, line: u8) -> Result<bool, String> {
        let request_lines: [&[u8]; 5] = [
            b"GET / HTTP/1.1\r\n",
            b"POST /a?b=c HTTP/1.0\r\n",
            b"OPTIONS * HTTP/1.1\r\n",
            b"G",
            b"PUT /x HTTP/1.1",
        ];
        let data = head.bytes(request_lines[line as usize % request_lines.len()]);
        let ours = tokenize(Scan::REQUEST, &data, &Profile::STRICT);
        let mut slots = vec![httparse::EMPTY_HEADER; 100];
        let mut theirs = httparse::Request::new(&mut slots);
        let parsed = theirs.parse(&data);
        match (ours, parsed) {
            (Ok(Some((size, fields))), Ok(httparse::Status::Complete(n))) => {
                let same = fields
                    .iter()
                    .map(|(n, v)| (n.as_slice(), v.as_slice()))
                    .eq(theirs.headers.iter().map(|h| (h.name.as_bytes(), h.value)));
                if size == n && same {
                    Ok(true)
                } else {
                    Err(format!("{}: parts differ", data.escape_ascii()))
                }
            }
            // We are the stricter one, for reasons that have names.
            (Err(_), _) => Ok(true),
            (Ok(None), Ok(httparse::Status::Partial)) => Ok(true),
            (ours, parsed) => Err(format!("{}: {ours:?}, httparse {parsed:?}", data.escape_ascii())),
        }
    }
    check(10_000, property as fn(Head, u8) -> Result<bool, String>);
}

#[test]
fn what_httparse_accepts_of_a_request_is_refused_for_named_rules_only() {
    fn property(head: Head) -> Result<bool, String> {
        let data = head.bytes(b"GET / HTTP/1.1\r\n");
        let mut slots = vec![httparse::EMPTY_HEADER; 100];
        let mut theirs = httparse::Request::new(&mut slots);
        if !matches!(theirs.parse(&data), Ok(httparse::Status::Complete(_))) {
            return Ok(true);
        }
        match tokenize(Scan::REQUEST, &data, &Profile::STRICT) {
            // httparse takes bare LF for a line end.
            Ok(Some(_)) | Err(Kind::LineEnd) => Ok(true),
            other => Err(format!("{}: {other:?}", data.escape_ascii())),
        }
    }
    check(10_000, property as fn(Head) -> Result<bool, String>);
}

#[test]
fn responses_are_read_as_our_tokenizer_reads_their_fields() {
    fn property(head: Head) -> Result<bool, String> {
        let line = b"HTTP/1.1 200 OK\r\n";
        let data = [&line[..], &head.rest].concat();
        let mut end = response::HeadEnd::START;
        let Ok(Some(size)) = end.find(&data, &Limits::CLIENT, &Profile::STRICT) else {
            return Ok(true);
        };
        let mut store = HeadStore::default();
        let read = response::read(
            &data[..size],
            &Limits::CLIENT,
            &Profile::STRICT,
            end.folded(),
            &mut store,
            &mut { Facts::IGNORE },
        );
        let folds = Profile {
            fold_in_requests: true,
            ..Profile::STRICT
        };
        let ours = tokenize(Scan::FIELDS, &data[line.len()..size], &folds);
        match (read, ours) {
            (Ok(()), Ok(Some((_, fields)))) if fields == lines(store.fields()) => Ok(true),
            (Err(_), Err(_)) => Ok(true),
            (read, ours) => Err(format!("{}: {read:?}, ours {ours:?}", data.escape_ascii())),
        }
    }
    check(10_000, property as fn(Head) -> Result<bool, String>);
}
