//! Bodies coming in and connections that break: partial use, hand-over, direct reads, ends at the wrong moment,
//! deadlines at the edges. Each case is one that a small change to the machines survived before it was written down
//! here (docs/mutants.md).

use antiphon_core::h1::*;
use antiphon_core::{Field, Fields, Instant, Status};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

const T0: Instant = Instant::ZERO;
const HOST: [Field<'static>; 1] = [Field::from_static("host", "a")];
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn with(set: impl FnOnce(&mut ServerConfig)) -> ServerConn {
    let mut config = ServerConfig::DEFAULT;
    set(&mut config);
    ServerConn::new(Arc::new(config), T0)
}

fn server() -> ServerConn {
    with(|_| ())
}

fn request(conn: &mut ServerConn, wire: &[u8]) -> ExchangeId {
    assert_eq!(conn.received_copy(wire, T0), wire.len());
    match conn.next_event() {
        Ok(Some(ServerEvent::Request { id, .. })) => id,
        other => panic!("{other:?}"),
    }
}

fn post(conn: &mut ServerConn, length: usize) -> ExchangeId {
    let wire = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let id = request(conn, wire.as_bytes());
    conn.want_body(id);
    id
}

fn answer(conn: &mut ServerConn, id: ExchangeId) {
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    flush(conn);
    while conn.next_event() != Ok(None) {}
}

fn flush(conn: &mut ServerConn) {
    while conn.wants().write {
        let n = conn.outgoing().first().len() as u64;
        conn.sent(n, T0).unwrap();
    }
}

fn asked(method: &str) -> (ClientConn, ExchangeId) {
    let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
    let id = conn.send_request(method, "/", &HOST, BodyLen::None).unwrap();
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, T0).unwrap();
    (conn, id)
}

#[test]
fn a_body_is_used_bit_by_bit() {
    let mut conn = server();
    let id = post(&mut conn, 4);
    conn.received_copy(b"abcd", T0);
    assert_eq!(conn.next_event(), Ok(Some(ServerEvent::Body { id })));
    assert_eq!(conn.consume(5), Err(Misuse::TooMuch));
    conn.consume(1).unwrap();
    assert_eq!(conn.body(), b"bcd");
    assert_eq!(conn.next_event(), Ok(None));
    conn.consume(3).unwrap();
    assert_eq!(conn.next_event(), Ok(Some(ServerEvent::BodyEnd { id })));
    assert!(conn.trailers(id).is_none());

    let (mut conn, id) = asked("GET");
    conn.received_copy(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", T0);
    let body = BodyLen::Known(4);
    assert_eq!(conn.next_event(), Ok(Some(ClientEvent::Response { id, body })));
    assert_eq!(conn.next_event(), Ok(Some(ClientEvent::Body { id })));
    assert_eq!(conn.consume(5), Err(Misuse::TooMuch));
    conn.consume(1).unwrap();
    assert_eq!(conn.body(), b"bcd");
    conn.consume(3).unwrap();
    assert_eq!(conn.next_event(), Ok(Some(ClientEvent::BodyEnd { id })));
    assert!(conn.trailers(id).is_none());
}

/// Bytes that have come before the end are used before the end is an error.
#[test]
fn an_end_in_the_middle_of_a_body_comes_behind_its_bytes() {
    let mut conn = server();
    let id = post(&mut conn, 4);
    conn.received_copy(b"ab", T0);
    assert_eq!(conn.next_event(), Ok(Some(ServerEvent::Body { id })));
    conn.received_eof(T0);
    assert_eq!(conn.next_event(), Ok(None));
    assert_eq!(conn.body(), b"ab");
    conn.consume(2).unwrap();
    assert_eq!(
        conn.next_event().unwrap_err().kind(),
        PeerErrorKind::UnexpectedEof
    );
}

#[test]
fn small_runs_are_copied_and_large_ones_handed_over_and_the_next_is_told() {
    const KIB: usize = 1024;
    for (size, buffer, handed) in [
        (100, 32 * KIB, false),
        (20_000, 32 * KIB, true),
        // Nearly all of a buffer, but cheap to copy.
        (5_000, 6 * KIB, false),
        // The first byte is used before: one byte below 16 KiB is copied, 16 KiB are handed over.
        (16 * KIB, 30 * KIB, false),
        (16 * KIB + 1, 30 * KIB, true),
    ] {
        let mut conn = with(|c| c.limits.recv_buffer = buffer);
        let id = post(&mut conn, size + 1);
        // Not at the front of the buffer.
        let bytes: Vec<u8> = (0..size).map(|i| i as u8).collect();
        conn.received_copy(&bytes[..1], T0);
        assert_eq!(conn.next_event(), Ok(Some(ServerEvent::Body { id })));
        conn.received_copy(&bytes[1..], T0);
        assert_eq!(conn.next_event(), Ok(Some(ServerEvent::Body { id })));
        conn.consume(1).unwrap();
        let at = conn.body().as_ptr();
        let taken = conn.take_body();
        assert_eq!(taken, bytes[1..]);
        assert_eq!(taken.as_ptr() == at, handed, "{size}");
        assert_eq!(conn.take_body(), b""[..]);
        conn.received_copy(b"z", T0);
        assert_eq!(conn.next_event(), Ok(Some(ServerEvent::Body { id })));
        assert_eq!(conn.take_body(), b"z"[..]);
        assert_eq!(conn.next_event(), Ok(Some(ServerEvent::BodyEnd { id })));
    }
}

#[test]
fn what_may_be_read_past_the_machine() {
    let mut conn = server();
    post(&mut conn, 4);
    assert_eq!(conn.direct_body(), NonZeroU64::new(4));
    assert_eq!(conn.direct_received(5, T0), Err(Misuse::TooMuch));
    conn.direct_received(1, T0).unwrap();
    assert_eq!(conn.direct_body(), NonZeroU64::new(3));
    conn.received_copy(b"a", T0);
    assert_eq!(conn.direct_body(), None);
    let mut conn = server();
    post(&mut conn, 4);
    conn.received_eof(T0);
    assert_eq!(conn.direct_body(), None);
    let mut conn = server();
    let id = post(&mut conn, 4);
    conn.abort(id).unwrap();
    assert_eq!(conn.direct_body(), None);

    let (mut conn, _) = asked("GET");
    conn.received_copy(b"HTTP/1.1 200 OK\r\n\r\n", T0);
    conn.next_event().unwrap();
    assert_eq!(conn.direct_body(), NonZeroU64::new(1 << 62));
    conn.direct_received(1 << 40, T0).unwrap();
    assert_eq!(conn.direct_body(), NonZeroU64::new(1 << 62));
}

/// What is left of the time of one body is not what the next one has.
#[test]
fn each_body_has_its_own_time() {
    let per = Duration::from_secs(10);
    let mut conn = with(|c| {
        let bytes = NonZeroU64::MIN;
        c.timeouts.body_rate = Some(MinRate { bytes, per });
        c.timeouts.body_stall = None;
    });
    let id = post(&mut conn, 1);
    while conn.next_event() != Ok(None) {}
    assert_eq!(conn.deadline(T0).unwrap().at, T0 + per);
    let t = T0 + Duration::from_secs(5);
    conn.received_copy(b"a", t);
    assert_eq!(conn.next_event(), Ok(Some(ServerEvent::Body { id })));
    conn.deadline(t);
    conn.consume(1).unwrap();
    assert_eq!(conn.next_event(), Ok(Some(ServerEvent::BodyEnd { id })));
    answer(&mut conn, id);
    post(&mut conn, 1);
    while conn.next_event() != Ok(None) {}
    let d = conn.deadline(t).unwrap();
    assert_eq!((d.why, d.at), (DeadlineKind::BodyRate, t + per));
}

#[test]
fn a_peer_that_is_gone_is_told_once_while_something_is_open() {
    type Fail = fn(&mut ServerConn, Instant);
    for fail in [ServerConn::read_failed as Fail, ServerConn::write_failed] {
        let mut conn = server();
        let id = request(&mut conn, GET);
        fail(&mut conn, T0);
        fail(&mut conn, T0);
        assert_eq!(conn.next_event(), Ok(Some(ServerEvent::PeerGone)));
        assert!(matches!(
            conn.next_event(),
            Ok(Some(ServerEvent::ExchangeEnd { id: it, reuse: Reuse::Close(_) })) if it == id
        ));
        assert_eq!(conn.next_event(), Ok(None));
        assert_eq!(conn.wants().finish, Finish::Close);
        let mut conn = server();
        fail(&mut conn, T0);
        assert_eq!(conn.next_event(), Ok(None));
        assert_eq!(conn.wants().finish, Finish::Close);
    }
}

#[test]
fn nothing_is_waited_for_once_the_peer_has_closed() {
    let mut conn = server();
    assert!(conn.deadline(T0).is_some());
    conn.received_eof(T0);
    assert_eq!(conn.deadline(T0), None);
}

#[test]
fn only_part_of_a_request_earns_a_408() {
    for (wire, silent, replies) in [
        (&b"GET"[..], false, true),
        (b"GET", true, false),
        (b"\r\n", false, false),
        (b"\r\n", true, false),
        (b"\r\nG", false, true),
    ] {
        let mut conn = with(|c| {
            if silent {
                c.error_reply = ErrorReply::Silent;
            }
        });
        conn.received_copy(wire, T0);
        assert_eq!(conn.next_event(), Ok(None));
        let d = conn.deadline(T0).unwrap();
        assert_eq!(d.why, DeadlineKind::Head);
        conn.handle_timeout(d.at);
        assert_eq!(conn.wants().write, replies, "{:?} {silent}", wire);
    }
}

#[test]
fn a_rejected_head_is_an_error_again_once_it_was_answered() {
    let mut conn = with(|c| c.error_reply = ErrorReply::Application);
    conn.received_copy(b"GET / HTTP/9.9\r\n\r\n", T0);
    let Ok(Some(ServerEvent::Rejected { id, error })) = conn.next_event() else {
        panic!()
    };
    assert_eq!(conn.next_event(), Ok(None));
    conn.send_head(id, Status::BAD_REQUEST, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    assert!(matches!(
        conn.next_event(),
        Ok(Some(ServerEvent::ExchangeEnd { .. }))
    ));
    assert_eq!(conn.next_event(), Err(error));
    assert_eq!(conn.next_event(), Err(error));
}

#[test]
fn a_head_can_be_taken_until_the_next_one_begins_and_by_its_id_only() {
    let mut conn = server();
    let old = request(&mut conn, GET);
    answer(&mut conn, old);
    conn.received_copy(b"\r\n", T0);
    assert_eq!(conn.next_event(), Ok(None));
    assert!(conn.take_head(old).as_request().is_some());
    let id = request(&mut conn, GET);
    assert!(conn.take_head(old).as_request().is_none());
    assert!(conn.take_head(id).as_request().is_some());
    assert!(conn.take_head(id).as_request().is_none());
}

#[test]
fn empty_lines_are_counted_at_their_first_byte() {
    let mut conn = with(|c| c.limits.empty_lines = 1);
    conn.received_copy(b"\r\n\r", T0);
    let error = conn.next_event().unwrap_err();
    assert_eq!((error.kind(), error.offset()), (PeerErrorKind::EmptyLines, 2));
    let mut conn = with(|c| c.limits.empty_lines = 1);
    conn.received_copy(b"\r", T0);
    assert_eq!(conn.next_event(), Ok(None));
    request(&mut conn, &[b"\n", GET].concat());
    let mut conn = with(|c| c.profile = Profile::LENIENT);
    request(&mut conn, &[b"\n\r\n\n", GET].concat());
}

/// The response has begun and the client is still sending: it reads what has come before it sees the end.
#[test]
fn a_body_that_turns_out_bad_while_it_is_answered_ends_in_a_half_close() {
    let mut conn = server();
    let id = request(
        &mut conn,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    conn.want_body(id);
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::Unknown)
        .unwrap();
    conn.received_copy(b"zz\r\n", T0);
    assert!(conn.next_event().is_err());
    flush(&mut conn);
    assert_eq!(conn.wants().finish, Finish::ShutdownWrite);
}

/// The byte that is wrong in a response head, by a profile that allows spaces in its first line.
#[test]
fn the_wrong_byte_of_a_response_is_found_behind_spaces() {
    for (wire, kind, at) in [
        (
            &b"HTTP/1.1   200 OK\r\nBad Name: x\r\n\r\n"[..],
            PeerErrorKind::FieldName,
            22,
        ),
        (b"HTTP/1.1   2x0 OK\r\n\r\n", PeerErrorKind::StatusLine, 12),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", PeerErrorKind::StatusLine, 10),
        (
            b"HTTP/1.1 200 OK\r\nA: b\r\nBad Name: x\r\n\r\n",
            PeerErrorKind::FieldName,
            26,
        ),
    ] {
        let mut config = ClientConfig::DEFAULT;
        config.profile.status_line_spaces = true;
        let mut conn = ClientConn::new(Arc::new(config), T0);
        conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
        let n = conn.outgoing().first().len() as u64;
        conn.sent(n, T0).unwrap();
        conn.received_copy(wire, T0);
        let error = conn.next_event().unwrap_err();
        assert_eq!(
            (error.kind(), error.offset()),
            (kind, at),
            "{}",
            wire.escape_ascii()
        );
    }
}
