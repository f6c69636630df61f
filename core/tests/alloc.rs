//! Claims about memory, as tests: no allocation per keep-alive exchange once a connection is warm, a bounded
//! peak whatever a hostile peer sends, and the sizes of the public types.
//!
//! `allocation_counter` counts per thread, so that the tests may run side by side.

use allocation_counter::{AllocationInfo, measure};
use antiphon_core::h1::{
    BodyLen, Buffer, ClientConfig, ClientConn, ClientEvent, ExchangeId, Reuse, ServerConfig, ServerConn,
    ServerEvent,
};
use antiphon_core::{Field, Fields, Instant, Status};
use std::mem::size_of;
use std::sync::Arc;

const FIELDS: [Field<'static>; 2] = [
    Field::from_static("content-type", "text/plain"),
    Field::from_static("date", "Thu, 20 Nov 2025 11:23:18 GMT"),
];

/// Rounds before counting: buffers grow to the size that the traffic needs.
const WARM: usize = 3;
const COUNTED: usize = 100;

fn none_in(what: &str, mut exchange: impl FnMut()) {
    (0..WARM).for_each(|_| exchange());
    let info = measure(|| (0..COUNTED).for_each(|_| exchange()));
    assert_eq!(
        info.count_total, 0,
        "{what}: {COUNTED} exchanges allocated: {info:?}"
    );
}

fn server() -> ServerConn {
    ServerConn::new(Arc::new(ServerConfig::default()), Instant::ZERO)
}

/// One round of a server: reads `wire` in pieces of `cut`, answers every request after its body.
fn serve(conn: &mut ServerConn, wire: &[u8], cut: usize, answer: fn(&mut ServerConn, ExchangeId)) -> usize {
    let (mut ended, mut rest) = (0, wire);
    let mut open = None;
    loop {
        while let Some(event) = conn.next_event().expect("no error") {
            match event {
                ServerEvent::Request { id, body, .. } => {
                    conn.want_body(id);
                    if body == BodyLen::None {
                        answer(conn, id);
                    } else {
                        open = Some(id);
                    }
                }
                ServerEvent::Body { .. } => {
                    let n = conn.body().len();
                    conn.consume(n).expect("what was shown");
                }
                ServerEvent::BodyEnd { id } if open == Some(id) => answer(conn, id),
                ServerEvent::ExchangeEnd { reuse, .. } => {
                    assert_eq!(reuse, Reuse::KeepAlive);
                    ended += 1;
                }
                _ => {}
            }
        }
        let offered = conn.outgoing().first().len();
        if offered > 0 {
            conn.sent(offered as u64, Instant::ZERO)
                .expect("what was offered");
        } else if rest.is_empty() {
            return ended;
        } else {
            let space = conn.recv_space();
            let n = space.len().min(rest.len()).min(cut);
            space[..n].copy_from_slice(&rest[..n]);
            conn.received(n, Instant::ZERO).expect("a read was wanted");
            rest = &rest[n..];
        }
    }
}

fn hello(conn: &mut ServerConn, id: ExchangeId) {
    conn.send_head(id, Status::OK, &FIELDS, BodyLen::Known(5))
        .expect("a head is due");
    conn.send_body_copy(id, b"hello").expect("there is room");
    conn.finish(id, &Fields::EMPTY).expect("the length is right");
}

fn hello_shared(conn: &mut ServerConn, id: ExchangeId) {
    conn.send_head(id, Status::OK, &FIELDS, BodyLen::Known(5))
        .expect("a head is due");
    conn.send_body(id, bytes::Bytes::from_static(b"hello"))
        .expect("there is room");
    conn.finish(id, &Fields::EMPTY).expect("the length is right");
}

fn hello_chunked(conn: &mut ServerConn, id: ExchangeId) {
    conn.send_head(id, Status::OK, &FIELDS, BodyLen::Unknown)
        .expect("a head is due");
    conn.send_body_copy(id, b"hel").expect("there is room");
    conn.send_body_copy(id, b"lo").expect("there is room");
    conn.finish(id, &[Field::from_static("x-sum", "1")])
        .expect("trailers may follow chunks");
}

const GET: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nCookie: a=b\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world";
const CHUNKED: &[u8] =
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n";

#[test]
fn a_warm_server_connection_allocates_nothing() {
    for (what, wire) in [("GET", GET), ("POST", POST), ("chunked POST", CHUNKED)] {
        for cut in [usize::MAX, 7, 1] {
            for answer in [hello, hello_shared, hello_chunked] {
                let mut conn = server();
                none_in(what, || assert_eq!(serve(&mut conn, wire, cut, answer), 1));
            }
        }
    }
}

#[test]
fn pipelined_requests_allocate_nothing() {
    let wire = [GET, CHUNKED, POST, GET].concat();
    let mut conn = server();
    none_in("pipeline", || {
        assert_eq!(serve(&mut conn, &wire, usize::MAX, hello), 4)
    });
}

#[test]
fn continue_and_interim_responses_allocate_nothing() {
    fn hinted(conn: &mut ServerConn, id: ExchangeId) {
        conn.send_interim(id, Status::EARLY_HINTS, &FIELDS)
            .expect("HTTP/1.1 takes interim responses");
        hello(conn, id);
    }
    let wire = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc";
    let mut conn = server();
    none_in("interim", || {
        assert_eq!(serve(&mut conn, wire, wire.len() - 3, hinted), 1)
    });
}

/// A buffer that goes back and forth, as drivers lend it to connections that are not idle.
#[test]
fn a_lent_buffer_comes_back_and_nothing_else_is_allocated() {
    let mut conn = server();
    let mut free = vec![Buffer::new()];
    none_in("lent", || {
        assert!(conn.needs_buffer(), "an idle connection holds no buffer");
        conn.lend(free.pop().expect("it came back"));
        assert_eq!(serve(&mut conn, GET, usize::MAX, hello), 1);
        free.push(conn.reclaim().expect("nothing is unread"));
    });
}

#[test]
fn a_head_that_is_taken_and_recycled_allocates_nothing() {
    let mut conn = server();
    none_in("take_head", || {
        fn take(conn: &mut ServerConn, id: ExchangeId) {
            let head = conn.take_head(id);
            assert_eq!(head.as_request().map(|h| h.target().len()), Some(4));
            hello(conn, id);
            conn.recycle(head);
        }
        assert_eq!(serve(&mut conn, GET, usize::MAX, take), 1);
    });
}

/// One round of a client.
fn fetch(conn: &mut ClientConn, body: BodyLen, response: &[u8], cut: usize) {
    let host = [
        Field::from_static("host", "example.com"),
        Field::from_static("accept", "*/*"),
    ];
    let method = if body == BodyLen::None { "GET" } else { "POST" };
    let id = conn
        .send_request(method, "/a?b", &host, body)
        .expect("the connection is free");
    if body != BodyLen::None {
        conn.send_body_copy(id, b"hello").expect("there is room");
        conn.finish(id, &Fields::EMPTY).expect("the length is right");
    }
    let (mut kept, mut rest) = (false, response);
    loop {
        while let Some(event) = conn.next_event().expect("no error") {
            match event {
                ClientEvent::Body { .. } => {
                    let n = conn.body().len();
                    conn.consume(n).expect("what was shown");
                }
                ClientEvent::ExchangeEnd { reuse, .. } => kept = reuse == Reuse::KeepAlive,
                _ => {}
            }
        }
        let offered = conn.outgoing().first().len();
        if offered > 0 {
            conn.sent(offered as u64, Instant::ZERO)
                .expect("what was offered");
        } else if rest.is_empty() {
            break;
        } else {
            let space = conn.recv_space();
            let n = space.len().min(rest.len()).min(cut);
            space[..n].copy_from_slice(&rest[..n]);
            conn.received(n, Instant::ZERO).expect("a read was wanted");
            rest = &rest[n..];
        }
    }
    assert!(kept, "the connection is kept");
}

#[test]
fn a_warm_client_connection_allocates_nothing() {
    let sized = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello";
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX-T: 1\r\n\r\n";
    let interim =
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nETag: \"x\"\r\n\r\n";
    for response in [&sized[..], chunked, interim] {
        for body in [BodyLen::None, BodyLen::Known(5), BodyLen::Unknown] {
            for cut in [usize::MAX, 7, 1] {
                let mut conn = ClientConn::new(Arc::new(ClientConfig::default()), Instant::ZERO);
                none_in("client", || fetch(&mut conn, body, response, cut));
            }
        }
    }
}

/// The most that is allocated at once while a server reads `wire` to its end or its refusal.
fn peak(wire: impl Iterator<Item = u8>, config: ServerConfig) -> AllocationInfo {
    let wire: Vec<u8> = wire.collect();
    measure(|| {
        let mut conn = ServerConn::new(Arc::new(config), Instant::ZERO);
        let mut rest = &wire[..];
        // Nothing is consumed or written: all that piles up stays.
        while conn.wants().read && !rest.is_empty() {
            let space = conn.recv_space();
            let n = space.len().min(rest.len());
            space[..n].copy_from_slice(&rest[..n]);
            conn.received(n, Instant::ZERO).expect("a read was wanted");
            rest = &rest[n..];
            while let Ok(Some(_)) = conn.next_event() {}
        }
    })
}

#[test]
fn a_hostile_peer_cannot_make_a_server_hold_much() {
    let config = ServerConfig::default();
    let limit = config.limits.head.max(config.limits.recv_buffer_max);
    // Receive buffer, head arena and field table: each may be as large as a head, and growing doubles.
    let bound = 5 * limit as u64;
    let head = CHUNKED
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("a head's end")
        + 4;
    let endless: [(&str, Box<dyn Iterator<Item = u8>>); 7] = [
        (
            "request line",
            Box::new(b"GET /".iter().copied().chain(std::iter::repeat_n(b'a', 1 << 20))),
        ),
        (
            "field value",
            Box::new(
                b"GET / HTTP/1.1\r\nA: "
                    .iter()
                    .copied()
                    .chain(std::iter::repeat_n(b'a', 1 << 20)),
            ),
        ),
        (
            "fields",
            Box::new(
                b"GET / HTTP/1.1\r\n"
                    .iter()
                    .copied()
                    .chain(b"a:\r\n".repeat(1 << 18)),
            ),
        ),
        ("empty lines", Box::new(b"\r\n".repeat(1 << 19).into_iter())),
        ("pipeline", Box::new(GET.repeat(1 << 15).into_iter())),
        (
            "body",
            Box::new(
                [&CHUNKED[..head], b"100000\r\n"]
                    .concat()
                    .into_iter()
                    .chain(vec![b'x'; 1 << 20]),
            ),
        ),
        (
            "extension",
            Box::new(
                [&CHUNKED[..head], b"1;"]
                    .concat()
                    .into_iter()
                    .chain(vec![b'x'; 1 << 20]),
            ),
        ),
    ];
    for (what, wire) in endless {
        let info = peak(wire, config);
        assert!(
            info.bytes_max <= bound,
            "{what}: {} bytes at once, {bound} allowed",
            info.bytes_max
        );
    }
}

/// What a connection costs while it is idle and its buffers are lent to others. The bounds are ceilings, to be
/// lowered, not raised.
#[test]
fn the_public_types_stay_small() {
    let sizes = [
        ("ServerConn", size_of::<ServerConn>(), 384),
        ("ClientConn", size_of::<ClientConn>(), 416),
        ("Buffer", size_of::<Buffer>(), 8),
        ("ServerEvent", size_of::<ServerEvent>(), 24),
        ("ClientEvent", size_of::<ClientEvent>(), 24),
        ("BodyLen", size_of::<BodyLen>(), 16),
        ("Reuse", size_of::<Reuse>(), 16),
        ("Headers", size_of::<antiphon_core::Headers>(), 48),
    ];
    println!("{sizes:?}");
    for (name, size, ceiling) in sizes {
        assert!(size <= ceiling, "{name} takes {size} bytes, {ceiling} allowed");
    }
}
