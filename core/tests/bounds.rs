//! How much memory a hostile peer, or an application that reads or writes nothing, can make a connection hold: counted
//! by the allocator at its peak, under the default limits. The figures stand in `docs/claims.md`; they are ceilings, to
//! be lowered, not raised.
//!
//! `allocation_counter` counts per thread, so that the tests may run side by side.

use allocation_counter::measure;
use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, ExchangeId, ServerConfig, ServerConn, ServerEvent,
};
use antiphon_core::{Field, Fields, Instant, Status};
use std::sync::Arc;

const T0: Instant = Instant::ZERO;
const KIB: u64 = 1024;
/// Far beyond every limit.
const ENDLESS: usize = 4 << 20;

/// `first`, then `again` for ever.
fn endless(first: &[u8], again: &[u8]) -> Vec<u8> {
    let mut wire = first.to_vec();
    while wire.len() < ENDLESS {
        wire.extend_from_slice(again);
    }
    wire
}

/// Feeds `wire` for as long as the machine reads, by reads of at most `size`.
macro_rules! feed {
    ($conn:expr, $wire:expr, $size:expr, $told:expr) => {{
        let mut rest: &[u8] = &$wire;
        while $conn.wants().read && !rest.is_empty() {
            let space = $conn.recv_space();
            let n = space.len().min(rest.len()).min($size);
            space[..n].copy_from_slice(&rest[..n]);
            $conn.received(n, T0).expect("a read was wanted");
            rest = &rest[n..];
            while let Ok(Some(event)) = $conn.next_event() {
                $told(&mut $conn, event);
            }
        }
    }};
}

fn within(what: &str, most: u64, run: impl FnOnce()) {
    let peak = measure(run).bytes_max;
    println!(
        "{what}: {} KiB at most, {} KiB allowed",
        peak.div_ceil(KIB),
        most / KIB
    );
    assert!(peak <= most, "{what}: {peak} bytes at once, {most} allowed");
}

const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const LENGTH: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Streams without an end that a server is sent, and what it may hold at once.
fn server_streams() -> Vec<(&'static str, u64, Vec<u8>)> {
    let with = |head: &[u8], more: &[u8]| [head, more].concat();
    vec![
        ("a request line", HEAD, endless(b"GET /", b"a")),
        ("a field value", HEAD, endless(b"GET / HTTP/1.1\r\nA: ", b"a")),
        ("a field name", HEAD, endless(b"GET / HTTP/1.1\r\n", b"a")),
        ("fields", HEAD, endless(b"GET / HTTP/1.1\r\n", b"a:\r\n")),
        ("empty lines", HEAD, endless(b"", b"\r\n")),
        ("pipelined requests", HEAD, endless(b"", GET)),
        ("a chunk extension", BODY, endless(&with(CHUNKED, b"1;"), b"x")),
        ("a chunk size", BODY, endless(&with(CHUNKED, b"0"), b"0")),
        (
            "tiny chunks with extensions",
            BODY,
            endless(CHUNKED, b"1;aaaaaaaaaaaaaaaa\r\nx\r\n"),
        ),
        ("a trailer", BODY, endless(&with(CHUNKED, b"0\r\nA: "), b"a")),
        ("trailers", BODY, endless(&with(CHUNKED, b"0\r\n"), b"a:\r\n")),
        ("a body of a length", BODY, endless(LENGTH, b"x")),
        (
            "a body in one chunk",
            BODY,
            endless(&with(CHUNKED, b"fffffff\r\n"), b"x"),
        ),
        ("a body in tiny chunks", BODY, endless(CHUNKED, b"1\r\nx\r\n")),
    ]
}

/// A head may be as large as its limit, 64 KiB, in the receive buffer, which doubles: the old one and the new one.
const HEAD: u64 = 100 * KIB;
/// While a body is read, the receive buffer: up to 64 KiB, in the same way.
const BODY: u64 = 100 * KIB;

#[test]
fn a_server_that_consumes_and_writes_nothing() {
    for (what, most, wire) in server_streams() {
        for size in [usize::MAX, 700] {
            within(what, most, || {
                let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
                feed!(conn, wire, size, |_: &mut ServerConn, _| ());
            });
        }
    }
}

#[test]
fn a_server_that_consumes_but_whose_peer_reads_nothing() {
    for (what, most, wire) in server_streams() {
        // Answers pile up to the limit of the output.
        within(what, most + 56 * KIB, || {
            let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
            feed!(
                conn,
                wire,
                usize::MAX,
                |conn: &mut ServerConn, event| match event {
                    ServerEvent::Request { id, .. } => {
                        conn.want_body(id);
                        let fields = [Field::from_static("content-type", "text/plain")];
                        conn.send_head(id, Status::OK, &fields, BodyLen::Known(100))
                            .expect("unanswered");
                        let _ = conn.send_body_copy(id, &[b'x'; 100]);
                        let _ = conn.finish(id, &Fields::EMPTY);
                    }
                    ServerEvent::Body { .. } => {
                        let n = conn.body().len();
                        conn.consume(n).expect("what was shown");
                    }
                    _ => {}
                }
            );
        });
    }
}

#[test]
fn an_answer_that_is_never_sent() {
    within("an endless answer", 152 * KIB, || {
        let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
        conn.received_copy(GET, T0);
        let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
            panic!("no request")
        };
        conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::Unknown)
            .expect("unanswered");
        let mut taken = 0;
        for _ in 0..10_000 {
            taken += conn.send_body_copy(id, &[b'x'; 700]).unwrap_or(0);
        }
        assert!(taken > 60_000 && taken <= 64 * 1024, "{taken} bytes taken");
    });
}

/// A client that has asked.
fn asked(method: &str, body: BodyLen) -> (ClientConn, ExchangeId) {
    let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
    let host = [Field::from_static("host", "a")];
    let id = conn.send_request(method, "/", &host, body).expect("idle");
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, T0).expect("what was offered");
    (conn, id)
}

/// A client takes heads of up to 256 KiB.
const RESPONSE_HEAD: u64 = 388 * KIB;

#[test]
fn a_client() {
    let ok = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let with = |more: &[u8]| [&ok[..], more].concat();
    let streams: [(&str, u64, Vec<u8>); 15] = [
        ("a status line", RESPONSE_HEAD, endless(b"HTTP/1.1 200 ", b"a")),
        (
            "a field value",
            RESPONSE_HEAD,
            endless(b"HTTP/1.1 200 OK\r\nA: ", b"a"),
        ),
        (
            "a field name",
            RESPONSE_HEAD,
            endless(b"HTTP/1.1 200 OK\r\n", b"a"),
        ),
        (
            "fields",
            RESPONSE_HEAD,
            endless(b"HTTP/1.1 200 OK\r\n", b"a:\r\n"),
        ),
        (
            "folded lines",
            RESPONSE_HEAD,
            endless(b"HTTP/1.1 200 OK\r\nA: b\r\n", b" c\r\n"),
        ),
        (
            "interim responses",
            RESPONSE_HEAD,
            endless(b"", b"HTTP/1.1 103 E\r\nA: b\r\n\r\n"),
        ),
        ("empty lines", RESPONSE_HEAD, endless(b"", b"\r\n")),
        ("a chunk extension", BODY, endless(&with(b"1;"), b"x")),
        ("tiny chunks", BODY, endless(ok, b"1\r\nx\r\n")),
        ("a trailer", BODY, endless(&with(b"0\r\nA: "), b"a")),
        ("trailers", BODY, endless(&with(b"0\r\n"), b"a:\r\n")),
        ("a body in one chunk", BODY, endless(&with(b"fffffff\r\n"), b"x")),
        (
            "a body of a length",
            BODY,
            endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", b"x"),
        ),
        (
            "a body until the end",
            BODY,
            endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        ),
        (
            "bytes after the answer",
            BODY,
            endless(b"HTTP/1.1 204 No Content\r\n\r\n", b"x"),
        ),
    ];
    for (what, most, wire) in streams {
        for (size, consumes) in [(usize::MAX, false), (usize::MAX, true), (700, false)] {
            within(what, most, || {
                let (mut conn, _) = asked("GET", BodyLen::None);
                feed!(conn, wire, size, |conn: &mut ClientConn, event| {
                    if consumes && matches!(event, ClientEvent::Body { .. }) {
                        let n = conn.body().len();
                        conn.consume(n).expect("what was shown");
                    }
                });
            });
        }
    }
}

#[test]
fn interim_responses_as_large_as_heads_may_be() {
    let mut interim = b"HTTP/1.1 103 Early Hints\r\nA: ".to_vec();
    interim.resize(250 * 1024, b'a');
    interim.extend_from_slice(b"\r\n\r\n");
    let wire = endless(b"", &interim);
    within("large interim responses", 512 * KIB, || {
        let (mut conn, _) = asked("GET", BodyLen::None);
        feed!(conn, wire, usize::MAX, |_: &mut ClientConn, _| ());
    });
}

#[test]
fn a_request_that_is_never_sent() {
    within("an endless upload", 136 * KIB, || {
        let (mut conn, id) = asked("POST", BodyLen::Unknown);
        let mut taken = 0;
        for _ in 0..10_000 {
            taken += conn.send_body_copy(id, &[b'x'; 700]).unwrap_or(0);
        }
        assert!(taken > 60_000 && taken <= 64 * 1024, "{taken} bytes taken");
    });
}

/// Bytes on an idle connection close it, and are not kept.
#[test]
fn an_idle_client() {
    let wire = endless(b"", b"x");
    within("stray bytes", 12 * KIB, || {
        let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
        feed!(conn, wire, usize::MAX, |_: &mut ClientConn, _| ());
    });
}
