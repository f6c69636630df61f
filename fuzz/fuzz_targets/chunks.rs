//! The chunk decoder behind a connection, as a request's body and as a response's, against an obvious decoder that
//! looks at the whole body at once: the same data, the same trailers, the same error at the same byte, at any cut.
//!
//! An input is limits, cuts, and the body's bytes from the first chunk-size line on.

#![no_main]

mod cuts;

use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, Limits, PeerError, PeerErrorKind as Kind, Profile,
    ServerConfig, ServerConn, ServerEvent,
};
use antiphon_core::{Field, Fields, Instant};
use arbitrary::Arbitrary;
use cuts::Cuts;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    tiny: bool,
    line: u8,
    overhead: u8,
    /// White space around a chunk's size is accepted.
    blank: bool,
    cuts: Cuts,
    body: &'a [u8],
}

type Line = (Vec<u8>, Vec<u8>);

/// What a body came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Body {
    data: Vec<u8>,
    trailers: Vec<Line>,
    end: Option<Result<(), (Kind, usize)>>,
}

/// The obvious decoder. Every error is the first byte at which no continuation could be right, counted from the
/// body's first.
fn decode(body: &[u8], limits: &Limits, blank: bool) -> Body {
    let mut told = Body::default();
    let end = chunks(body, limits, blank, &mut told);
    told.end = match end {
        Ok(()) => Some(Ok(())),
        Err(None) => None,
        Err(Some(e)) => Some(Err(e)),
    };
    told
}

/// `Err(None)`: more bytes are needed.
fn chunks(body: &[u8], limits: &Limits, blank: bool, told: &mut Body) -> Result<(), Option<(Kind, usize)>> {
    let (mut at, mut excess) = (0, 0u64);
    loop {
        let (size, line) = size_line(&body[at..], limits.chunk_line, blank)
            .map_err(|e| e.map(|(kind, i)| (kind, at + i)))?;
        // Framing may outgrow twice the data by so much, 16 bytes of each chunk being free.
        excess = (excess + line as u64).saturating_sub(size.saturating_mul(2).saturating_add(16));
        at += line;
        if excess > limits.chunk_overhead as u64 {
            return Err(Some((Kind::ChunkOverhead, at - 1)));
        }
        if size == 0 {
            return trailers(&body[at..], limits, told).map_err(|e| e.map(|(kind, i)| (kind, at + i)));
        }
        let there = usize::try_from(size).unwrap_or(usize::MAX).min(body.len() - at);
        told.data.extend_from_slice(&body[at..at + there]);
        at += there;
        if (there as u64) < size {
            return Err(None);
        }
        for expected in *b"\r\n" {
            match body.get(at) {
                None => return Err(None),
                Some(b) if *b == expected => at += 1,
                Some(_) => return Err(Some((Kind::ChunkEnd, at))),
            }
        }
    }
}

/// `chunk-size [ chunk-ext ] CRLF`: the size and the line's length.
fn size_line(text: &[u8], most: usize, blank: bool) -> Result<(u64, usize), Option<(Kind, usize)>> {
    let bad = |kind, at| Err(Some((kind, at)));
    let digits = text.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let mut size = 0u64;
    for (i, b) in text[..digits].iter().enumerate() {
        if i >= most {
            return bad(Kind::ChunkLineTooLong, i);
        }
        let digit = (*b as char).to_digit(16).expect("a digit");
        match size
            .checked_mul(16)
            .map(|n| n + u64::from(digit))
            .filter(|n| n >> 63 == 0)
        {
            Some(n) => size = n,
            None => return bad(Kind::ChunkSize, i),
        }
    }
    let mut i = digits;
    let (mut blanks, mut extension) = (false, false);
    loop {
        let Some(&b) = text.get(i) else { return Err(None) };
        if b == b'\r' {
            if digits == 0 || (blanks && !extension && !blank) {
                return bad(Kind::ChunkSize, i);
            }
            return match text.get(i + 1) {
                None => Err(None),
                Some(b'\n') => Ok((size, i + 2)),
                Some(_) => bad(Kind::LineEnd, i + 1),
            };
        }
        if i >= most {
            return bad(Kind::ChunkLineTooLong, i);
        }
        match b {
            b'\n' => return bad(Kind::LineEnd, i),
            b'\t' | 0x20..=0x7e | 0x80.. if extension => {}
            _ if extension => return bad(Kind::ChunkExtension, i),
            b';' if digits > 0 => extension = true,
            b' ' | b'\t' if digits > 0 => blanks = true,
            _ => return bad(Kind::ChunkSize, i),
        }
        i += 1;
    }
}

/// The trailer section. Each line is looked at whole; a section that is too long is cut where its limit is passed.
fn trailers(text: &[u8], limits: &Limits, told: &mut Body) -> Result<(), Option<(Kind, usize)>> {
    let over = |at: usize| {
        if at >= limits.trailers {
            Some((Kind::TrailersTooLarge, limits.trailers))
        } else {
            None
        }
    };
    let (mut at, mut lines) = (0, Vec::new());
    loop {
        let line = text[at..].split(|&b| b == b'\n').next().unwrap_or(&[]);
        if at + line.len() < text.len() && line == b"\r" {
            if at + 1 >= limits.trailers {
                return Err(over(at + 1));
            }
            let allowed = |(name, _): &Line| !forbidden(name);
            told.trailers = lines.into_iter().filter(allowed).collect();
            return Ok(());
        }
        let fault = |kind, i: usize| Err(over(at + i).or(Some((kind, at + i))));
        let empty_so_far = line.is_empty() && at + line.len() == text.len();
        if empty_so_far {
            return Err(over(at));
        }
        match line.first() {
            Some(b' ' | b'\t') => return fault(Kind::LineFolding, 0),
            None => return fault(Kind::LineEnd, 0),
            Some(b'\r') => match line.get(1) {
                None => return Err(over(at + 1)),
                Some(_) => return fault(Kind::LineEnd, 1),
            },
            Some(_) if lines.len() >= limits.trailer_fields => return fault(Kind::TrailersTooLarge, 0),
            Some(_) => {}
        }
        let name = line.iter().take_while(|b| is_token(**b)).count();
        match line.get(name) {
            Some(b':') if name > 0 => {}
            Some(_) => return fault(Kind::FieldName, name),
            None if at + name < text.len() => return fault(Kind::FieldName, name),
            None => return Err(over(at + name)),
        }
        let good = |b: &u8| *b == b'\t' || (*b >= b' ' && *b != 0x7f);
        let value = name + 1;
        let end = value + line[value..].iter().take_while(|b| good(b)).count();
        match line.get(end) {
            Some(b'\r') => {}
            Some(_) => return fault(Kind::FieldValue, end),
            None if at + end < text.len() => return fault(Kind::LineEnd, end),
            None => return Err(over(at + end)),
        }
        match line.get(end + 1) {
            Some(_) => return fault(Kind::LineEnd, end + 1),
            None if at + end + 1 < text.len() => {}
            None => return Err(over(at + end + 1)),
        }
        if let Some(e) = over(at + end + 1) {
            return Err(Some(e));
        }
        lines.push((line[..name].to_vec(), line[value..end].trim_ascii().to_vec()));
        at += end + 2;
    }
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// RFC 9110, section 6.5.1, as far as names are known for it.
fn forbidden(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let names = "te host range realm cookie expect pragma upgrade trailer connection keep-alive set-cookie \
        content-type max-forwards authorization cache-control content-range content-length content-encoding \
        proxy-connection www-authenticate transfer-encoding proxy-authenticate proxy-authorization";
    let known = names.split_whitespace().any(|n| n.as_bytes() == name);
    known || (name.starts_with(b"if-") && name.len() > 3)
}

fn error(e: PeerError, head: usize) -> Option<Result<(), (Kind, usize)>> {
    Some(Err((e.kind(), e.offset() as usize - head)))
}

fn lines(fields: Option<Fields<'_>>) -> Vec<Line> {
    let line = |f: Field<'_>| (f.name.as_bytes().to_vec(), f.value.as_bytes().to_vec());
    fields.map(|f| f.iter().map(line).collect()).unwrap_or_default()
}

/// Feeds a connection and takes what comes of its body.
macro_rules! feed {
    ($conn:ident, $event:ident, $id:ident, $head:expr, $body:expr, $cuts:expr) => {{
        let (mut told, mut rest, mut turn) = (Body::default(), $body, 0);
        'all: loop {
            loop {
                match $conn.next_event() {
                    Ok(Some($event::Body { .. })) => {
                        // Sometimes not all of it.
                        let n = $conn.body().len().min($cuts.size(turn + 1));
                        told.data.extend_from_slice(&$conn.body()[..n]);
                        $conn.consume(n).expect("what was shown");
                        let more = $conn.take_body();
                        told.data.extend_from_slice(&more);
                    }
                    Ok(Some($event::BodyEnd { .. })) => {
                        told.trailers = lines($conn.trailers($id));
                        told.end = Some(Ok(()));
                        break 'all;
                    }
                    Ok(Some(other)) => panic!("{other:?}"),
                    Ok(None) => break,
                    Err(e) => {
                        told.end = error(e, $head);
                        break 'all;
                    }
                }
            }
            if rest.is_empty() {
                break;
            }
            let space = $conn.recv_space();
            let n = $cuts.size(turn).min(space.len()).min(rest.len());
            assert!(n > 0, "no room");
            space[..n].copy_from_slice(&rest[..n]);
            $conn.received(n, Instant::ZERO).expect("a read is wanted");
            rest = &rest[n..];
            turn += 1;
        }
        told
    }};
}

fn request(config: &Arc<ServerConfig>, body: &[u8], cuts: &Cuts) -> Body {
    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut conn = ServerConn::new(Arc::clone(config), Instant::ZERO);
    assert_eq!(conn.received_copy(HEAD, Instant::ZERO), HEAD.len());
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!("no request")
    };
    conn.want_body(id);
    feed!(conn, ServerEvent, id, HEAD.len(), body, cuts)
}

fn response(config: &Arc<ClientConfig>, body: &[u8], cuts: &Cuts) -> Body {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut conn = ClientConn::new(Arc::clone(config), Instant::ZERO);
    let host = [Field::from_static("host", "a")];
    let id = conn
        .send_request("GET", "/", &host, BodyLen::None)
        .expect("a request");
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, Instant::ZERO).expect("what was offered");
    assert_eq!(conn.received_copy(HEAD, Instant::ZERO), HEAD.len());
    let Ok(Some(ClientEvent::Response { .. })) = conn.next_event() else {
        panic!("no response")
    };
    feed!(conn, ClientEvent, id, HEAD.len(), body, cuts)
}

fuzz_target!(|input: Input<'_>| {
    let mut limits = Limits::SERVER;
    if input.tiny {
        limits.chunk_line = usize::from(input.line % 32);
        limits.chunk_overhead = usize::from(input.overhead);
        limits.trailers = 30;
        limits.trailer_fields = 1;
        // Room for the heads above, whole.
        limits.recv_buffer = 64;
        limits.recv_buffer_max = 80;
    }
    let mut profile = Profile::STRICT;
    profile.space_in_chunk_size = input.blank;
    let (mut server, mut client) = (ServerConfig::DEFAULT, ClientConfig::default());
    (server.limits, server.profile) = (limits, profile);
    (client.limits, client.profile) = (limits, profile);
    let (server, client) = (Arc::new(server), Arc::new(client));

    let expected = decode(input.body, &limits, input.blank);
    for cuts in [&Cuts::WHOLE, &Cuts::bytewise(), &input.cuts] {
        assert_eq!(
            expected,
            request(&server, input.body, cuts),
            "a request's body, {cuts:?}"
        );
        assert_eq!(
            expected,
            response(&client, input.body, cuts),
            "a response's body, {cuts:?}"
        );
    }
});
