//! Claims about memory, as tests: no allocation per keep-alive exchange once a connection is warm, and
//! the sizes of the public types. What a hostile peer can make a connection hold: `bounds.rs`.
//!
//! `allocation_counter` counts per thread, so that the tests may run side by side.

use allocation_counter::measure;
use antiphon_core::h1::{
    BodyLen, Buffer, ClientConfig, ClientConn, ClientEvent, Deadline, ExchangeId, Misuse, Outgoing,
    OwnedHead, Parts, PeerError, RequestHead, ResponseHead, Reuse, Segments, ServerConfig, ServerConn,
    ServerEvent, Wants,
};
use antiphon_core::{Field, Fields, Headers, Instant, Method, Request, Response, Status, Target};
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

/// How many allocations one warm exchange makes, exactly.
fn count_in(what: &str, expected: u64, mut exchange: impl FnMut()) {
    (0..WARM).for_each(|_| exchange());
    let info = measure(|| (0..COUNTED).for_each(|_| exchange()));
    assert_eq!(
        info.count_total,
        expected * COUNTED as u64,
        "{what}: {COUNTED} exchanges of {expected} allocations each: {info:?}"
    );
}

/// What does allocate, and how often: what is handed out owned. Everything else in this file is zero.
#[test]
fn what_is_handed_out_owned_is_allocated() {
    fn taken(conn: &mut ServerConn, id: ExchangeId) {
        drop(conn.take_head(id));
        hello(conn, id);
    }
    let mut conn = server();
    count_in("a head that is taken and not given back", 2, || {
        assert_eq!(serve(&mut conn, GET, usize::MAX, taken), 1);
    });

    fn owned(conn: &mut ServerConn, id: ExchangeId) {
        hello(conn, id);
        let segments = conn.take_outgoing().expect("an answer");
        let n = segments.len();
        assert_eq!(segments.map(|s| s.len() as u64).sum::<u64>(), n);
        conn.sent(n, Instant::ZERO).expect("what was taken");
    }
    let mut conn = server();
    // The list and its one piece.
    count_in("output that is taken", 2, || {
        assert_eq!(serve(&mut conn, GET, usize::MAX, owned), 1);
    });

    // A body taken as `Bytes`: once per run.
    let mut conn = server();
    count_in("a body that is taken", 1, || {
        conn.received_copy(POST, Instant::ZERO);
        while let Some(event) = conn.next_event().expect("no error") {
            match event {
                ServerEvent::Body { .. } => assert_eq!(&conn.take_body()[..], b"hello world"),
                ServerEvent::BodyEnd { id } => hello(&mut conn, id),
                _ => {}
            }
        }
        let n = conn.outgoing().first().len() as u64;
        conn.sent(n, Instant::ZERO).expect("what was offered");
    });
}

/// Large bodies are shared, not copied: the bytes that the application allocated go out, and nothing is added.
#[test]
fn large_shared_bodies_allocate_nothing() {
    fn shared(conn: &mut ServerConn, id: ExchangeId) {
        static LARGE: [u8; 10_000] = [b'x'; 10_000];
        conn.send_head(id, Status::OK, &FIELDS, BodyLen::Unknown)
            .expect("a head is due");
        for _ in 0..3 {
            conn.send_body(id, bytes::Bytes::from_static(&LARGE))
                .expect("there is room");
        }
        conn.finish(id, &[Field::from_static("x-sum", "1")])
            .expect("trailers may follow chunks");
    }
    let wire = [GET, CHUNKED].concat();
    let mut conn = server();
    none_in("large chunks", || {
        assert_eq!(serve(&mut conn, &wire, usize::MAX, shared), 2)
    });
}

/// What a connection costs while it is idle and its buffers are lent to others. The bounds are ceilings, to be
/// lowered, not raised.
#[test]
fn the_public_types_stay_small() {
    let sizes = [
        ("ServerConn", size_of::<ServerConn>(), 376),
        ("ClientConn", size_of::<ClientConn>(), 408),
        ("Buffer", size_of::<Buffer>(), 8),
        ("ServerConfig", size_of::<ServerConfig>(), 272),
        ("ClientConfig", size_of::<ClientConfig>(), 272),
        ("ServerEvent", size_of::<ServerEvent>(), 24),
        ("ClientEvent", size_of::<ClientEvent>(), 24),
        ("BodyLen", size_of::<BodyLen>(), 16),
        ("Reuse", size_of::<Reuse>(), 16),
        ("ExchangeId", size_of::<ExchangeId>(), 4),
        ("Deadline", size_of::<Deadline>(), 16),
        ("Wants", size_of::<Wants>(), 3),
        ("PeerError", size_of::<PeerError>(), 16),
        ("Misuse", size_of::<Misuse>(), 1),
        ("Outgoing", size_of::<Outgoing<'_>>(), 8),
        ("Segments", size_of::<Segments>(), 40),
        ("Parts", size_of::<Parts>(), 72),
        ("RequestHead", size_of::<RequestHead<'_>>(), 8),
        ("ResponseHead", size_of::<ResponseHead<'_>>(), 8),
        ("OwnedHead", size_of::<OwnedHead>(), 64),
        ("Field", size_of::<Field<'_>>(), 32),
        ("Fields", size_of::<Fields<'_>>(), 32),
        ("Headers", size_of::<Headers>(), 48),
        ("Status", size_of::<Status>(), 2),
        ("Method", size_of::<Method>(), 24),
        ("Target", size_of::<Target>(), 24),
        ("Request", size_of::<Request>(), 104),
        ("Response", size_of::<Response>(), 56),
        ("Instant", size_of::<Instant>(), 8),
    ];
    for (name, size, ceiling) in sizes {
        println!("{name}: {size} bytes");
        assert!(size <= ceiling, "{name} takes {size} bytes, {ceiling} allowed");
    }
}

#[cfg(feature = "client")]
#[test]
fn the_pool_takes_and_puts_back() {
    use antiphon_core::client::pool::{Acquire, Key, Lease, Poll, Pool, PoolConfig, Put, Scheme};
    use antiphon_core::{Now, UnixTime};
    use std::num::NonZeroU32;

    let now = Now {
        mono: Instant::ZERO,
        unix: UnixTime(1_700_000_000),
    };
    let key = Key::new(Scheme::Https, "example.com", 443);
    let capacity = NonZeroU32::new(2).expect("not 0");
    let get = |pool: &mut Pool<Arc<str>>| -> (Arc<str>, Lease) {
        match pool.acquire(&key, now).step {
            Acquire::Reuse { conn, lease, .. } => (conn, lease),
            other => panic!("{other:?}"),
        }
    };
    for shared in [false, true] {
        let mut pool: Pool<Arc<str>> = Pool::new(PoolConfig::default());
        let Acquire::Dial { ticket, dial } = pool.acquire(&key, now).step else {
            panic!()
        };
        if shared {
            let _named = pool.dialed_shared(dial, "m".into(), Arc::clone, capacity, now);
        } else {
            let _delivered = pool.dialed(dial, "m".into(), now);
        }
        let Poll::Ready { conn, lease, .. } = pool.poll(ticket) else {
            panic!()
        };
        assert!(matches!(pool.put(lease, conn, None, now), Put::Pooled { .. }));
        none_in(if shared { "shared" } else { "not shared" }, || {
            let (conn, lease) = get(&mut pool);
            if shared {
                let (other, second) = get(&mut pool);
                assert!(matches!(pool.put(second, other, None, now), Put::Pooled { .. }));
            }
            assert!(matches!(pool.put(lease, conn, None, now), Put::Pooled { .. }));
        });
    }
}

#[cfg(feature = "server")]
#[test]
fn a_response_that_is_prepared_or_written_into_a_warm_responder() {
    use antiphon_core::Version;
    use antiphon_core::h1::Switch;
    use antiphon_core::server::responder::{Progress, RequestFacts, Responder, ResponderConfig, prepare};

    const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let facts = RequestFacts::new("GET", Version::Http11, Switch::None);
    let ask = |conn: &mut ServerConn| {
        conn.received_copy(ASKED, Instant::ZERO);
        match conn.next_event() {
            Ok(Some(ServerEvent::Request { id, .. })) => id,
            other => panic!("{other:?}"),
        }
    };
    let leave = |conn: &mut ServerConn| {
        while conn.wants().write {
            let n = conn.outgoing().first().len() as u64;
            conn.sent(n, Instant::ZERO).expect("what was offered");
        }
        while conn.next_event().expect("no error").is_some() {}
    };

    let mut conn = server();
    let mut fields = Headers::new();
    fields.append("x-a", "1").expect("a valid line");
    none_in("prepared", || {
        let id = ask(&mut conn);
        let p = prepare(Status::OK, &mut fields, BodyLen::Known(2), b"hi", facts);
        let lines = p.fields(&fields, Some(FIELDS[1]));
        conn.send_head(id, Status::OK, &lines, p.body).expect("a head");
        conn.send_body_copy(id, b"hi").expect("room");
        conn.finish(id, &Fields::EMPTY).expect("a whole body");
        leave(&mut conn);
    });

    let mut conn = server();
    let mut response = Responder::new(facts, ResponderConfig::DEFAULT);
    let long = [b'x'; 5000];
    none_in("written", || {
        let id = ask(&mut conn);
        response.restart(facts);
        let fields = response.fields_mut().expect("before the head");
        fields.append("x-a", "1").expect("a valid line");
        let n = response.write_to(&mut conn, id, &long, Some(FIELDS[1]));
        assert_eq!(n, Ok(5000));
        response.trailer("x-sum", "1").expect("a valid trailer");
        response.finish().expect("the end");
        let progress = response.drive(&mut conn, id, Some(FIELDS[1]));
        assert_eq!(progress, Ok(Progress::Over));
        leave(&mut conn);
    });
    println!("Responder: {} bytes", size_of::<Responder>());
    assert!(size_of::<Responder>() <= 384);
}
