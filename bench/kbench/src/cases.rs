//! The cases: each makes a connection machine once and returns what one iteration does with it.
//!
//! The loops are what a driver with nothing else to do would run; reading a clock, timers and sockets are not in
//! here. `black_box` keeps the optimiser from dropping bytes that nobody looks at.

use crate::inputs;
use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, Reuse, ServerConfig, ServerConn, ServerEvent,
};
use antiphon_core::{Field, Instant, Status};
use std::hint::black_box;
use std::sync::Arc;

/// One iteration, to be called again and again.
pub(crate) type Iteration = Box<dyn FnMut()>;

/// A case: its name, what it does, how to set it up.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) set_up: fn() -> Iteration,
}

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "k3-min",
        what: "server: read a minimal request (40 bytes), write the 13-byte response",
        set_up: || server_exchange(inputs::MINIMAL),
    },
    Case {
        name: "k3-bro",
        what: "server: read a browser's request (636 bytes, 12 fields), write the 13-byte response",
        set_up: || server_exchange(inputs::BROWSER),
    },
    Case {
        name: "k4-client",
        what: "client: write a request, read a 13-byte response",
        set_up: client_exchange,
    },
    Case {
        name: "k5-chunked",
        what: "server: read 1 MiB in 128 chunks through reads of at most 8 KiB",
        set_up: chunked_body,
    },
    Case {
        name: "k6-64k-1",
        what: "server: read a head of 65,536 bytes, one byte per read",
        set_up: || byte_by_byte(65_536),
    },
    Case {
        name: "k6-4k-1",
        what: "server: read a head of 4,096 bytes, one byte per read (beside k6-64k-1: is it linear?)",
        set_up: || byte_by_byte(4_096),
    },
    Case {
        name: "k6-64k-all",
        what: "server: read a head of 65,536 bytes, in as few reads as it takes",
        set_up: || in_pieces(inputs::head_of(65_536), usize::MAX),
    },
    Case {
        name: "k6-4k-all",
        what: "server: read a head of 4,096 bytes, in as few reads as it takes",
        set_up: || in_pieces(inputs::head_of(4_096), usize::MAX),
    },
    Case {
        name: "k7-64k-1",
        what: "server: read chunks of one byte, 65,536 bytes on the wire, one byte per read",
        set_up: || in_pieces(inputs::tiny_chunks(65_536), 1),
    },
    Case {
        name: "k7-64k-all",
        what: "server: read chunks of one byte, 65,536 bytes on the wire, in as few reads as it takes",
        set_up: || in_pieces(inputs::tiny_chunks(65_536), usize::MAX),
    },
    Case {
        name: "k7-4k-1",
        what: "server: read chunks of one byte, 4,096 bytes on the wire, one byte per read",
        set_up: || in_pieces(inputs::tiny_chunks(4_096), 1),
    },
    Case {
        name: "k7-4k-all",
        what: "server: read chunks of one byte, 4,096 bytes on the wire, in as few reads as it takes",
        set_up: || in_pieces(inputs::tiny_chunks(4_096), usize::MAX),
    },
    Case {
        name: "k8-64k-1",
        what: "server: read a trailer section of 65,536 bytes, one byte per read",
        set_up: || in_pieces(inputs::trailers(65_536), 1),
    },
    Case {
        name: "k8-64k-all",
        what: "server: read a trailer section of 65,536 bytes, in as few reads as it takes",
        set_up: || in_pieces(inputs::trailers(65_536), usize::MAX),
    },
    Case {
        name: "k8-4k-1",
        what: "server: read a trailer section of 4,096 bytes, one byte per read",
        set_up: || in_pieces(inputs::trailers(4_096), 1),
    },
    Case {
        name: "k8-4k-all",
        what: "server: read a trailer section of 4,096 bytes, in as few reads as it takes",
        set_up: || in_pieces(inputs::trailers(4_096), usize::MAX),
    },
];

const BODY: &[u8] = b"Hello, World!";
const RESPONSE_FIELDS: [Field<'static>; 2] = [
    Field::from_static("content-type", "text/plain"),
    Field::from_static("date", "Thu, 20 Nov 2025 11:23:18 GMT"),
];
const REQUEST_FIELDS: [Field<'static>; 1] = [Field::from_static("host", "127.0.0.1:8080")];

/// Time passes, one microsecond per call, so that timers really are re-armed.
struct Clock(u64);

impl Clock {
    fn tick(&mut self) -> Instant {
        self.0 += 1_000;
        Instant::from_nanos(self.0)
    }
}

fn server() -> ServerConn {
    ServerConn::new(Arc::new(ServerConfig::DEFAULT), Instant::ZERO)
}

fn server_exchange(request: &'static [u8]) -> Iteration {
    let (mut conn, mut clock) = (server(), Clock(0));
    Box::new(move || {
        let now = clock.tick();
        read_all(&mut conn, request, now);
        let id = match conn.next_event() {
            Ok(Some(ServerEvent::Request { id, .. })) => id,
            other => panic!("a request, not {other:?}"),
        };
        black_box(conn.head(id).expect("the head can be looked at").target());
        answer(&mut conn, id, now);
        expect_keep_alive(&mut conn);
    })
}

/// Hands all of `bytes` in, in as many reads as the machine asks for.
#[inline]
fn read_all(conn: &mut ServerConn, mut bytes: &[u8], now: Instant) {
    while !bytes.is_empty() {
        let space = conn.recv_space();
        let n = space.len().min(bytes.len());
        space[..n].copy_from_slice(&bytes[..n]);
        conn.received(n, now).expect("a read was wanted");
        bytes = &bytes[n..];
    }
}

#[inline]
fn answer(conn: &mut ServerConn, id: antiphon_core::h1::ExchangeId, now: Instant) {
    let len = BodyLen::Known(BODY.len() as u64);
    conn.send_head(id, Status::OK, &RESPONSE_FIELDS, len)
        .expect("the head is due");
    let n = conn.send_body_copy(id, BODY).expect("there is room");
    assert_eq!(n, BODY.len());
    conn.finish(id, &antiphon_core::Fields::EMPTY)
        .expect("the length is right");
    write_all(conn, now);
}

#[inline]
fn write_all(conn: &mut ServerConn, now: Instant) {
    loop {
        let n = black_box(conn.outgoing().first()).len();
        if n == 0 {
            break;
        }
        conn.sent(n as u64, now).expect("no more than was offered");
    }
}

#[inline]
fn expect_keep_alive(conn: &mut ServerConn) {
    let mut kept = false;
    while let Some(event) = conn.next_event().expect("no error") {
        kept |= matches!(
            event,
            ServerEvent::ExchangeEnd {
                reuse: Reuse::KeepAlive,
                ..
            }
        );
    }
    assert!(kept, "the exchange ended and the connection is kept");
}

fn client_exchange() -> Iteration {
    let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), Instant::ZERO);
    let mut clock = Clock(0);
    Box::new(move || {
        let now = clock.tick();
        let id = conn
            .send_request("GET", "/", &REQUEST_FIELDS, BodyLen::None)
            .expect("the connection is free");
        loop {
            let n = black_box(conn.outgoing().first()).len();
            if n == 0 {
                break;
            }
            conn.sent(n as u64, now).expect("no more than was offered");
        }
        let space = conn.recv_space();
        space[..inputs::RESPONSE.len()].copy_from_slice(inputs::RESPONSE);
        conn.received(inputs::RESPONSE.len(), now)
            .expect("a read was wanted");
        let (mut body, mut kept) = (0, false);
        while let Some(event) = conn.next_event().expect("no error") {
            match event {
                ClientEvent::Response { .. } => {
                    black_box(conn.head(id).expect("the head can be looked at").status());
                }
                ClientEvent::Body { .. } => {
                    let n = black_box(conn.body()).len();
                    conn.consume(n).expect("no more than was shown");
                    body += n;
                }
                ClientEvent::ExchangeEnd { reuse, .. } => kept = reuse == Reuse::KeepAlive,
                _ => {}
            }
        }
        assert!(
            body == BODY.len() && kept,
            "a whole response, and the connection is kept"
        );
    })
}

fn chunked_body() -> Iteration {
    let (mut conn, mut clock) = (server(), Clock(0));
    let wire = inputs::chunked();
    Box::new(move || {
        let (mut rest, mut body, mut exchange) = (&wire[..], 0, None);
        let mut ended = false;
        while !rest.is_empty() {
            let now = clock.tick();
            let space = conn.recv_space();
            let n = space.len().min(rest.len()).min(8192);
            space[..n].copy_from_slice(&rest[..n]);
            conn.received(n, now).expect("a read was wanted");
            rest = &rest[n..];
            while let Some(event) = conn.next_event().expect("no error") {
                match event {
                    ServerEvent::Request { id, .. } => {
                        exchange = Some(id);
                        conn.want_body(id);
                    }
                    ServerEvent::Body { .. } => {
                        let n = black_box(conn.body()).len();
                        conn.consume(n).expect("no more than was shown");
                        body += n;
                    }
                    ServerEvent::BodyEnd { .. } => ended = true,
                    _ => {}
                }
            }
        }
        assert!(ended && body == inputs::CHUNKED_BODY, "{body} body bytes");
        let now = clock.tick();
        answer(&mut conn, exchange.expect("a request"), now);
        expect_keep_alive(&mut conn);
    })
}

/// A new connection every time, so that growing the receive buffer is part of the figure.
fn byte_by_byte(size: usize) -> Iteration {
    let wire = inputs::head_of(size);
    let config = Arc::new(ServerConfig::DEFAULT);
    Box::new(move || {
        let mut conn = ServerConn::new(Arc::clone(&config), Instant::ZERO);
        let mut clock = Clock(0);
        let mut requests = 0;
        for byte in &wire {
            let now = clock.tick();
            conn.recv_space()[0] = *byte;
            conn.received(1, now).expect("a read was wanted");
            while let Some(event) = conn.next_event().expect("no error") {
                requests += usize::from(matches!(event, ServerEvent::Request { .. }));
            }
        }
        assert_eq!(requests, 1, "the head is complete with its last byte");
    })
}

/// The same with any message, in reads of at most `piece` bytes. The limits let everything pass: what is asked is
/// what it costs.
fn in_pieces(wire: Vec<u8>, piece: usize) -> Iteration {
    let mut config = ServerConfig::DEFAULT;
    config.limits.trailers = 1 << 20;
    config.limits.trailer_fields = 1 << 16;
    config.limits.chunk_overhead = 1 << 20;
    let config = Arc::new(config);
    Box::new(move || {
        let mut conn = ServerConn::new(Arc::clone(&config), Instant::ZERO);
        let mut clock = Clock(0);
        let (mut heads, mut ends, mut rest) = (0, 0, &wire[..]);
        while !rest.is_empty() {
            let now = clock.tick();
            let space = conn.recv_space();
            let n = space.len().min(rest.len()).min(piece);
            space[..n].copy_from_slice(&rest[..n]);
            conn.received(n, now).expect("a read was wanted");
            rest = &rest[n..];
            while let Some(event) = conn.next_event().expect("no error") {
                match event {
                    ServerEvent::Request { body, .. } => {
                        heads += 1;
                        ends += usize::from(body == BodyLen::None);
                    }
                    ServerEvent::Body { .. } => {
                        let n = black_box(conn.body()).len();
                        conn.consume(n).expect("no more than was shown");
                    }
                    ServerEvent::BodyEnd { .. } => ends += 1,
                    _ => {}
                }
            }
        }
        assert_eq!(
            (heads, ends),
            (1, 1),
            "the message is complete with its last byte"
        );
    })
}
