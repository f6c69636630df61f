//! What may be sent and how much of it: shares of a declared length, full output, and calls that a state does not
//! allow. Each case is one that a small change to the machines survived before it was written down here
//! (docs/mutants.md).

use antiphon_core::h1::*;
use antiphon_core::{Field, FieldName, FieldValue, Fields, Instant, Status};
use std::sync::Arc;

const T0: Instant = Instant::ZERO;
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const TRAILER: [Field<'static>; 1] = [Field::from_static("x", "y")];

/// A server with room for 256 bytes of output that has read `wire`.
fn asked(wire: &[u8]) -> (ServerConn, ExchangeId) {
    let mut config = ServerConfig::DEFAULT;
    config.limits.send_buffer = 256;
    let mut conn = ServerConn::new(Arc::new(config), T0);
    conn.received_copy(wire, T0);
    match conn.next_event() {
        Ok(Some(ServerEvent::Request { id, .. })) => (conn, id),
        other => panic!("{other:?}"),
    }
}

/// The same, and the head of its answer has left.
fn answering(wire: &[u8], body: BodyLen) -> (ServerConn, ExchangeId) {
    let (mut conn, id) = asked(wire);
    conn.send_head(id, Status::OK, &Fields::EMPTY, body).unwrap();
    flush(&mut conn);
    (conn, id)
}

fn flush(conn: &mut ServerConn) -> Vec<u8> {
    let mut all = Vec::new();
    while conn.wants().write {
        all.extend_from_slice(conn.outgoing().first());
        let n = conn.outgoing().first().len() as u64;
        conn.sent(n, T0).unwrap();
    }
    all
}

#[test]
fn a_copied_body_is_taken_as_far_as_there_is_room() {
    let body = [b'x'; 400];
    let (mut conn, id) = answering(GET, BodyLen::Known(400));
    assert_eq!(conn.send_capacity(id), 256);
    assert_eq!(conn.send_body_copy(id, &body), Ok(256));
    assert_eq!(conn.send_capacity(id), 0);
    assert_eq!(conn.send_body_copy(id, &body[256..]), Err(Misuse::Full));
    assert_eq!(conn.send_body_copy(id, b""), Ok(0));
    assert_eq!(flush(&mut conn).len(), 256);
    assert_eq!(conn.send_body_copy(id, &body[256..]), Ok(144));
    assert_eq!(conn.send_body_copy(id, b"x"), Err(Misuse::BodyTooLong));
    assert_eq!(conn.finish(id, &TRAILER), Err(Misuse::TrailersNeedChunked));
    assert_eq!(conn.finish(id, &Fields::EMPTY), Ok(()));

    // Not a byte of a body that is too long, whether there is room for it or not.
    for len in [2, 300] {
        let (mut conn, id) = answering(GET, BodyLen::Known(len));
        let long = vec![b'x'; len as usize + 1];
        assert_eq!(conn.send_body_copy(id, &long), Err(Misuse::BodyTooLong));
        assert_eq!(conn.send_body(id, long.into()), Err(Misuse::BodyTooLong));
        assert!(!conn.wants().write);
    }

    // A chunk's framing needs room, too.
    let (mut conn, id) = answering(GET, BodyLen::Unknown);
    assert_eq!(conn.send_capacity(id), 236);
    assert_eq!(conn.send_body_copy(id, &body), Ok(236));
    assert_eq!(flush(&mut conn), [b"ec\r\n", &body[..236], b"\r\n"].concat());
}

#[test]
fn a_body_is_taken_whole_or_not_at_all() {
    for chunked in [false, true] {
        let len = if chunked {
            BodyLen::Unknown
        } else {
            BodyLen::Known(1000)
        };
        for external in [false, true] {
            let (mut conn, id) = answering(GET, len);
            let send = |conn: &mut ServerConn, n: usize| {
                if external {
                    conn.send_external(id, n as u64)
                } else {
                    conn.send_body(id, vec![b'x'; n].into())
                }
            };
            assert_eq!(send(&mut conn, 0), Ok(()));
            assert!(!conn.wants().write);
            assert_eq!(send(&mut conn, 255), Ok(()));
            // There is room for one byte.
            if !chunked {
                assert_eq!(send(&mut conn, 1), Ok(()));
            }
            assert_eq!(conn.send_capacity(id), 0);
            assert_eq!(send(&mut conn, 1), Err(Misuse::Full));
            assert_eq!(send(&mut conn, 0), Ok(()));
        }
    }
    let (mut conn, id) = answering(GET, BodyLen::Known(u64::MAX));
    assert_eq!(conn.send_external(id, 1 << 62), Err(Misuse::TooMuch));
    assert_eq!(conn.send_external(id, (1 << 62) - 1), Ok(()));
}

#[test]
fn what_goes_nowhere_needs_no_room() {
    let (mut conn, id) = asked(HEAD);
    let long = "x".repeat(300);
    let field = [Field::new(
        FieldName::new(b"x-long").unwrap(),
        FieldValue::new(long.as_bytes()).unwrap(),
    )];
    conn.send_head(id, Status::OK, &field, BodyLen::Known(5)).unwrap();
    let queued = conn.outgoing().first().len();
    assert!(queued > 256);
    assert_eq!(conn.send_body(id, vec![b'x'; 5].into()), Ok(()));
    assert_eq!(conn.send_body_copy(id, b"xxxxx"), Ok(5));
    assert_eq!(conn.send_external(id, 5), Ok(()));
    assert_eq!(conn.finish(id, &TRAILER), Ok(()));
    assert_eq!(flush(&mut conn).len(), queued);
}

#[test]
fn an_interim_response_is_one_that_is_not_final_and_switches_nothing() {
    let (mut conn, id) = asked(GET);
    for status in [Status::OK, Status::SWITCHING_PROTOCOLS] {
        assert_eq!(
            conn.send_interim(id, status, &Fields::EMPTY),
            Err(Misuse::NotInterim)
        );
    }
    assert_eq!(conn.send_interim(id, Status::CONTINUE, &Fields::EMPTY), Ok(()));
    assert_eq!(flush(&mut conn), b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// A peer that reads nothing is not written to without end: one that begins when there is room is taken whole.
#[test]
fn interim_responses_are_taken_while_there_is_room() {
    let (mut conn, id) = asked(GET);
    let one = b"HTTP/1.1 103 Early Hints\r\n\r\n".len();
    for _ in 0..256usize.div_ceil(one) {
        assert_eq!(conn.send_interim(id, Status::EARLY_HINTS, &Fields::EMPTY), Ok(()));
    }
    let full = Err(Misuse::Full);
    assert_eq!(conn.send_interim(id, Status::EARLY_HINTS, &Fields::EMPTY), full);
    conn.sent(one as u64, T0).unwrap();
    assert_eq!(conn.send_interim(id, Status::EARLY_HINTS, &Fields::EMPTY), Ok(()));
    assert_eq!(conn.send_interim(id, Status::EARLY_HINTS, &Fields::EMPTY), full);
    // The answer itself needs no room.
    assert_eq!(
        conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None),
        Ok(())
    );
}

#[test]
fn a_connection_that_is_closing_says_closed() {
    let (mut conn, id) = asked(GET);
    conn.send_head(
        id,
        Status::OK,
        &[Field::from_static("connection", "close")],
        BodyLen::None,
    )
    .unwrap();
    assert_eq!(
        conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None),
        Err(Misuse::Closed)
    );
    assert_eq!(conn.abort(id), Err(Misuse::UnknownExchange));
}

#[test]
fn continue_is_sent_for_the_exchange_that_asks_for_it() {
    let (mut conn, old) = answering(GET, BodyLen::None);
    while conn.next_event() != Ok(None) {}
    conn.received_copy(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        T0,
    );
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!()
    };
    conn.want_body(old);
    assert!(!conn.wants().write);
    conn.want_body(id);
    assert_eq!(flush(&mut conn), b"HTTP/1.1 100 Continue\r\n\r\n");
    conn.want_body(id);
    assert!(!conn.wants().write);
}

/// The framing is an argument: fields that would frame are refused, and names that only look like them are not.
#[test]
fn fields_that_frame_are_refused_and_options_are_heard() {
    let field = |name: &'static str, value: &'static str| Field::from_static(name, value);
    for forbidden in [
        field("Content-Length", "1"),
        field("Transfer-Encoding", "chunked"),
    ] {
        let (mut conn, id) = asked(GET);
        let fields = [field("x", "y"), forbidden, field("a", "b")];
        assert_eq!(
            conn.send_head(id, Status::OK, &fields, BodyLen::None),
            Err(Misuse::ForbiddenField)
        );
        assert_eq!(
            conn.send_interim(id, Status::CONTINUE, &fields),
            Err(Misuse::ForbiddenField)
        );
        assert!(!conn.wants().write);
    }
    for (fields, closes) in [
        ([field("connection", "close, te"), field("x", "y")], true),
        ([field("connection", "close"), field("connection", "te")], true),
        (
            [field("connection", "te"), field("connection", "te, close")],
            true,
        ),
        (
            [field("connective", "close"), field("content-longth", "1")],
            false,
        ),
        (
            [field("connection", "te"), field("transfer-encodimg", "1")],
            false,
        ),
    ] {
        let (mut conn, id) = asked(GET);
        conn.send_head(id, Status::OK, &fields, BodyLen::None).unwrap();
        let Ok(Some(ServerEvent::ExchangeEnd { reuse, .. })) = conn.next_event() else {
            panic!()
        };
        assert_eq!(reuse != Reuse::KeepAlive, closes, "{fields:?}");
    }
    let upgrade = [
        field("host", "a"),
        field("upgrade", "h2c"),
        field("connection", "upgrade, te"),
        field("connection", "te"),
    ];
    let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
    let id = conn.send_request("GET", "/", &upgrade, BodyLen::None).unwrap();
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, T0).unwrap();
    conn.received_copy(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        T0,
    );
    let mut told = Vec::new();
    while let Some(e) = conn.next_event().unwrap() {
        told.push(e);
    }
    let reuse = Reuse::Switched;
    assert_eq!(told.last(), Some(&ClientEvent::ExchangeEnd { id, reuse }));
    // Only this expectation, in this field, holds a body back.
    for (name, value, waits) in [
        ("expect", "100-continue", true),
        ("expect", "101-continue", false),
        ("except", "100-continue", false),
    ] {
        let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
        let fields = [field("host", "a"), field(name, value)];
        let id = conn
            .send_request("PUT", "/", &fields, BodyLen::Known(u64::MAX))
            .unwrap();
        let wire = conn.outgoing().first().to_vec();
        assert!(wire.ends_with(b"content-length: 18446744073709551615\r\n\r\n"));
        assert_eq!(
            conn.send_body_copy(id, b"x") == Err(Misuse::AwaitingContinue),
            waits
        );
    }
}

#[test]
fn trailers_are_checked_wherever_they_go() {
    let field = |name: &'static str, value: &'static str| Field::from_static(name, value);
    let bad = [field("content-length", "1"), field("x", "a longer value")];
    let good = [field("x", "a longer value"), field("y", "")];
    let (mut conn, id) = answering(GET, BodyLen::Unknown);
    assert_eq!(conn.finish(id, &bad), Err(Misuse::ForbiddenField));
    assert_eq!(conn.finish(id, &good), Ok(()));
    assert_eq!(flush(&mut conn), b"0\r\nx: a longer value\r\ny: \r\n\r\n");
    // Complete with its head: there is no place for any.
    let (mut conn, id) = answering(GET, BodyLen::None);
    assert_eq!(conn.finish(id, &bad), Err(Misuse::ForbiddenField));
    assert_eq!(conn.finish(id, &good), Err(Misuse::TrailersNeedChunked));
    assert_eq!(conn.finish(id, &good[1..]), Err(Misuse::TrailersNeedChunked));
    assert_eq!(conn.finish(id, &Fields::EMPTY), Ok(()));
}
