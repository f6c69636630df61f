//! Bytes in, events and bytes out: cases at the edges of single rules, each of which a small change to the machines
//! survived before it was written down here (docs/mutants.md).

use antiphon_core::h1::*;
use antiphon_core::{Field, Fields, Instant, Status};
use std::fmt::Write as _;
use std::sync::Arc;

const T0: Instant = Instant::ZERO;

/// What the server makes of `wire`, cut at `at`: the first error's kind and offset.
fn error(config: &Arc<ServerConfig>, wire: &[u8], at: usize) -> Option<(PeerErrorKind, u64)> {
    let mut conn = ServerConn::new(config.clone(), T0);
    for part in [&wire[..at], &wire[at..]] {
        conn.received_copy(part, T0);
        loop {
            match conn.next_event() {
                Ok(None) => break,
                Ok(Some(ServerEvent::Request { id, .. })) => conn.want_body(id),
                Ok(Some(ServerEvent::Body { .. })) => {
                    let n = conn.body().len();
                    conn.consume(n).unwrap();
                }
                Ok(Some(_)) => {}
                Err(e) => return Some((e.kind(), e.offset())),
            }
        }
    }
    None
}

/// The same in every cut.
fn refused(wire: &[u8], kind: PeerErrorKind, offset: u64) {
    let config = Arc::new(ServerConfig::DEFAULT);
    for at in 0..wire.len() {
        assert_eq!(
            error(&config, wire, at),
            Some((kind, offset)),
            "{:?} cut at {at}",
            wire.escape_ascii().to_string()
        );
    }
}

#[test]
fn a_line_that_ends_in_its_method_is_no_request_line() {
    refused(b"GET\r\n", PeerErrorKind::RequestLine, 3);
    refused(b"GET\n", PeerErrorKind::RequestLine, 3);
    refused(b"G(T / HTTP/1.1\r\n", PeerErrorKind::Method, 1);
}

#[test]
fn a_version_behind_a_letter_too_many_is_none() {
    refused(b"GET / HHTTP/1.1\r\n\r\n", PeerErrorKind::Version, 7);
    refused(b"GET / HTTP/1HTTP/1.1\r\n\r\n", PeerErrorKind::Version, 12);
}

/// A request that is smuggled in as the first trailer is no field, and no request either.
#[test]
fn a_trailer_section_is_never_read_as_a_request() {
    let wire = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\n\r\n";
    let at = wire.len() as u64 - 4 - 11;
    refused(wire, PeerErrorKind::FieldName, at);
}

fn request(conn: &mut ServerConn, wire: &[u8]) -> ExchangeId {
    assert_eq!(conn.received_copy(wire, T0), wire.len());
    match conn.next_event() {
        Ok(Some(ServerEvent::Request { id, .. })) => id,
        other => panic!("{other:?}"),
    }
}

/// Tells what `wire`, cut at `at`, comes to on a connection.
fn story(conn: &mut ServerConn, wire: &[u8], at: usize) -> String {
    let mut told = String::new();
    for part in [&wire[..at], &wire[at..]] {
        conn.received_copy(part, T0);
        // Asked again, it says the same.
        for _ in 0..3 {
            match conn.next_event() {
                Ok(Some(ServerEvent::Request { id, .. })) => {
                    let head = conn.head(id).unwrap();
                    write!(told, "{} {}", head.method(), head.target()).unwrap();
                    for f in head.fields().iter() {
                        write!(told, " {}={:?}", f.name.as_str(), f.value.as_bytes()).unwrap();
                    }
                }
                Ok(_) => {}
                Err(e) => return format!("{told} {:?} {}", e.kind(), e.offset()),
            }
        }
    }
    told
}

/// The receive buffer holds the bytes of the request before, and a search may run past the end of what has come: what
/// stands there must not be judged. So the second request differs from the first in one byte, and is cut everywhere.
#[test]
fn what_is_left_in_the_buffer_of_an_earlier_request_is_never_read() {
    let first = b"GET /a HTTP/1.1\r\nHost: a\r\nX-A:  b \r\nX-B: \tc\r\n\r\n";
    let mut config = ServerConfig::DEFAULT;
    config.profile = Profile::STRICT;
    let config = Arc::new(config);
    for at in 0..first.len() {
        for (changed, byte) in [(at, b'x'), (at, b' '), (at, b'\r'), (at, 0), (at + 1, b'x')] {
            let mut second = first.to_vec();
            let Some(b) = second.get_mut(changed) else {
                continue;
            };
            *b = byte;
            let mut warm = ServerConn::new(config.clone(), T0);
            let id = request(&mut warm, first);
            warm.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
                .unwrap();
            while warm.wants().write {
                let n = warm.outgoing().first().len() as u64;
                warm.sent(n, T0).unwrap();
            }
            assert!(matches!(
                warm.next_event(),
                Ok(Some(ServerEvent::ExchangeEnd { .. }))
            ));
            let got = story(&mut warm, &second, at);
            let mut fresh = ServerConn::new(config.clone(), T0);
            let expected = story(&mut fresh, &second, 0);
            let told = |s: &str| s.rsplit_once(' ').map(|(told, _)| told.to_owned());
            // The offsets count from the connection's beginning.
            if expected.starts_with("GET") {
                assert_eq!(got, expected);
            } else {
                assert_eq!(told(&got), told(&expected), "cut at {at}, {byte} at {changed}");
            }
        }
    }
}

/// The receive buffer is full to its last byte at every byte of a head.
#[test]
fn a_head_is_read_the_same_in_a_buffer_of_any_size() {
    let wire = b"GET /abcdefgh HTTP/1.1\r\nHost: a\r\nX-Long-Name:    value  \r\nX-B:\r\n\r\n";
    let expected = story(&mut ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0), wire, 0);
    assert!(expected.ends_with("X-Long-Name=[118, 97, 108, 117, 101] X-B=[]"));
    for size in 1..=wire.len() {
        let mut config = ServerConfig::DEFAULT;
        config.limits.recv_buffer = size;
        let mut conn = ServerConn::new(Arc::new(config), T0);
        let mut told = String::new();
        let mut left = &wire[..];
        while !left.is_empty() {
            let n = conn.recv_space().len().min(left.len());
            assert!(n > 0);
            conn.recv_space()[..n].copy_from_slice(&left[..n]);
            conn.received(n, T0).unwrap();
            left = &left[n..];
            told += &story(&mut conn, b"", 0);
        }
        assert_eq!(told, expected, "buffer of {size}");
    }
}

fn chunked(limits: impl FnOnce(&mut Limits), body: &[u8]) -> [Option<(PeerErrorKind, u64)>; 2] {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let wire = [head, body].concat();
    let mut config = ServerConfig::DEFAULT;
    limits(&mut config.limits);
    let config = Arc::new(config);
    let whole = error(&config, &wire, 0);
    for at in head.len()..wire.len() {
        assert_eq!(error(&config, &wire, at), whole, "cut at {at}");
    }
    let bytewise = {
        let mut conn = ServerConn::new(config, T0);
        wire.iter().find_map(|b| {
            let (conn, b) = (&mut conn, std::slice::from_ref(b));
            error_of(conn, b)
        })
    };
    let behind = |e: Option<(PeerErrorKind, u64)>| e.map(|(k, at)| (k, at - head.len() as u64));
    [behind(whole), behind(bytewise)]
}

fn error_of(conn: &mut ServerConn, part: &[u8]) -> Option<(PeerErrorKind, u64)> {
    conn.received_copy(part, T0);
    loop {
        match conn.next_event() {
            Ok(None) => return None,
            Ok(Some(ServerEvent::Request { id, .. })) => conn.want_body(id),
            Ok(Some(ServerEvent::Body { .. })) => {
                let n = conn.body().len();
                conn.consume(n).unwrap();
            }
            Ok(Some(_)) => {}
            Err(e) => return Some((e.kind(), e.offset())),
        }
    }
}

#[test]
fn a_chunk_size_of_too_many_digits_is_refused_wherever_it_stands() {
    let too_long = Some((PeerErrorKind::ChunkLineTooLong, 4));
    let tight = |l: &mut Limits| l.chunk_line = 4;
    assert_eq!(chunked(tight, b"00001\r\na\r\n"), [too_long; 2]);
    assert_eq!(chunked(tight, b"0001\r\na\r\n0\r\n\r\n"), [None; 2]);
    let too_large = Some((PeerErrorKind::ChunkSize, 6 + 15 + 2));
    assert_eq!(
        chunked(|_| (), b"001\r\na\r\n8000000000000000\r\n"),
        [too_large; 2]
    );
}

#[test]
fn framing_that_outgrows_data_is_counted_to_the_byte() {
    let limits = |l: &mut Limits| l.chunk_overhead = 8;
    // A line of 24 bytes and its end, less 16 and twice the data: 8.
    let line = b"1;12345678901234567890ab\r\nx\r\n";
    let last = b"0\r\n\r\n";
    assert_eq!(chunked(limits, &[&line[..], last].concat()), [None; 2]);
    let long = b"1;12345678901234567890abc\r\nx\r\n";
    let at = Some((PeerErrorKind::ChunkOverhead, long.len() as u64 - 4));
    assert_eq!(chunked(limits, long), [at; 2]);
    // A chunk with a usual line wins back what it is short of the free bytes: 16 + 2 - 8 - 2 are 8.
    let usual = b"00000001\r\nx\r\n";
    let wire = [&line[..], usual, line, last].concat();
    assert_eq!(chunked(limits, &wire), [None; 2]);
    let wire = [&line[..], usual, line, b"0000000000000000000000000\r\n"].concat();
    let at = Some((PeerErrorKind::ChunkOverhead, wire.len() as u64 - 1));
    assert_eq!(chunked(limits, &wire), [at; 2]);
    // The usual line itself may be the one that is too much.
    let nothing = |l: &mut Limits| l.chunk_overhead = 0;
    let wire = b"1;1234567890123456\r\nx\r\n";
    let at = Some((PeerErrorKind::ChunkOverhead, wire.len() as u64 - 4));
    assert_eq!(chunked(nothing, wire), [at; 2]);
}

/// Names that share their length and first letter with one that the machine knows.
#[test]
fn names_that_look_like_known_ones_are_not_taken_for_them() {
    let wire = b"GET / HTTP/1.1\r\nHost: a\r\nHint: @@\r\nHint: b\r\nExcept: 200-maybe\r\nUpdated: h2c\r\n\
        Connective: close, upgrade\r\nContent-Longth: 5\r\nTransfer-Encodimg: x\r\n\r\n";
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    conn.received_copy(wire, T0);
    let Ok(Some(ServerEvent::Request { id, body, .. })) = conn.next_event() else {
        panic!()
    };
    assert_eq!(body, BodyLen::None);
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    assert_eq!(
        conn.next_event(),
        Ok(Some(ServerEvent::ExchangeEnd {
            id,
            reuse: Reuse::KeepAlive
        }))
    );

    let wire = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpdated: h2c\r\n\r\n";
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    conn.received_copy(wire, T0);
    assert!(matches!(
        conn.next_event(),
        Ok(Some(ServerEvent::Request {
            proposes: Switch::None,
            ..
        }))
    ));

    let (mut conn, id) = asked("GET");
    conn.received_copy(
        b"HTTP/1.1 200 OK\r\nHost: a\r\nHost: b\r\nExpect: c\r\nKept-Alive: timeout=5\r\nCookie-Set: timeout=5\r\n\
          Connective: close\r\nContent-Longth: 5\r\nTransfer-Encodimg: x\r\nContent-Length: 0\r\n\r\n",
        T0,
    );
    let body = BodyLen::Known(0);
    assert_eq!(conn.next_event(), Ok(Some(ClientEvent::Response { id, body })));
    while conn.next_event() != Ok(None) {}
    let idle = ClientConfig::DEFAULT.timeouts.idle.unwrap();
    assert_eq!(conn.deadline(T0).unwrap().at, T0 + idle);
}

const HOST: [Field<'static>; 1] = [Field::from_static("host", "a")];

/// A client whose request has left.
fn asked(method: &str) -> (ClientConn, ExchangeId) {
    let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
    let id = conn.send_request(method, "/", &HOST, BodyLen::None).unwrap();
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, T0).unwrap();
    (conn, id)
}

/// `close, te!` is as long as `keep-alive`; and `keep-alive` counts also among others.
#[test]
fn connection_options_are_read_one_by_one() {
    for (version, options, persists) in [
        ("1.1", "close, te!", false),
        ("1.1", "te!, close", false),
        ("1.0", "keep-alive, te", true),
        ("1.0", "te, keep-alive", true),
        ("1.0", "te, keep_alive", false),
        ("1.0", "keep-alive", true),
        ("1.0", "keep_alive", false),
    ] {
        let wire = format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {options}\r\n\r\n");
        let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
        conn.received_copy(wire.as_bytes(), T0);
        let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
            panic!()
        };
        conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
            .unwrap();
        let Ok(Some(ServerEvent::ExchangeEnd { reuse, .. })) = conn.next_event() else {
            panic!()
        };
        assert_eq!(reuse == Reuse::KeepAlive, persists, "{wire}");
    }
}

#[test]
fn conditionals_may_not_stand_in_a_trailer_section() {
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    conn.received_copy(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nIf-Match: a\r\nIf-: b\r\nIf: c\r\n\r\n",
        T0,
    );
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!()
    };
    conn.want_body(id);
    while conn.next_event() != Ok(None) {}
    let names: Vec<_> = conn
        .trailers(id)
        .unwrap()
        .iter()
        .map(|f| f.name.as_str().to_owned())
        .collect();
    assert_eq!(names, ["If-", "If"]);
}

#[test]
fn chunk_sizes_are_hexadecimal_in_either_case() {
    for (size, n) in [
        ("a", 10),
        ("F", 15),
        ("1f", 31),
        ("0b", 11),
        ("C0", 0xc0),
        ("9", 9),
    ] {
        let data = "x".repeat(n);
        let good = format!("{size}\r\n{data}\r\n{size}\r\n{data}\r\n0\r\n\r\n");
        assert_eq!(chunked(|_| (), good.as_bytes()), [None; 2], "{size}");
        let long = format!("{size}\r\n{data}x\r\n");
        let at = Some((PeerErrorKind::ChunkEnd, (size.len() + 2 + n) as u64));
        assert_eq!(chunked(|_| (), long.as_bytes()), [at; 2], "{size}");
    }
}

#[test]
fn hosts_are_judged_byte_by_byte() {
    for (host, good) in [
        ("a", true),
        ("a-b.c:80", true),
        (":80", true),
        ("", true),
        ("a_b", true),
        ("[::1]:80", true),
        ("a/b", false),
        ("a b", false),
        ("a@b", false),
        ("a:b", false),
        ("a:1:2", false),
        ("a\\b.c", false),
    ] {
        let wire = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let told = error(&Arc::new(ServerConfig::DEFAULT), wire.as_bytes(), 0);
        let expected = (!good).then_some((PeerErrorKind::Host, 22));
        assert_eq!(told, expected, "{host}");
    }
}
