//! The frame around exchanges: buffers lent and taken back, room to read into, what is wanted at the end, ids that are
//! stale, a driver that says more than it did. Each case is one that a small change to the machines survived before
//! it was written down here (docs/mutants.md).

use antiphon_core::h1::*;
use antiphon_core::{Field, Fields, Instant, Status};
use std::sync::Arc;
use std::time::Duration;

const T0: Instant = Instant::ZERO;
const HOST: [Field<'static>; 1] = [Field::from_static("host", "a")];
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fn with(limits: impl FnOnce(&mut Limits)) -> ServerConn {
    let mut config = ServerConfig::DEFAULT;
    limits(&mut config.limits);
    ServerConn::new(Arc::new(config), T0)
}

fn server() -> ServerConn {
    with(|_| ())
}

fn client_with(limits: impl FnOnce(&mut Limits)) -> ClientConn {
    let mut config = ClientConfig::DEFAULT;
    limits(&mut config.limits);
    ClientConn::new(Arc::new(config), T0)
}

fn request(conn: &mut ServerConn, wire: &[u8]) -> ExchangeId {
    assert_eq!(conn.received_copy(wire, T0), wire.len());
    match conn.next_event() {
        Ok(Some(ServerEvent::Request { id, .. })) => id,
        other => panic!("{other:?}"),
    }
}

fn answer(conn: &mut ServerConn, id: ExchangeId) {
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
}

fn drained(conn: &mut ServerConn) {
    while conn.next_event() != Ok(None) {}
}

fn flush(conn: &mut ServerConn) {
    while conn.wants().write {
        let n = conn.outgoing().first().len() as u64;
        conn.sent(n, T0).unwrap();
    }
}

fn sent(conn: &mut ClientConn, body: BodyLen) -> ExchangeId {
    let id = conn.send_request("POST", "/", &HOST, body).unwrap();
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, T0).unwrap();
    id
}

#[test]
fn a_buffer_is_kept_for_unread_bytes_and_for_unsent_ones() {
    let mut conn = server();
    assert!(conn.reclaim().is_none());
    assert!(conn.needs_buffer());
    conn.received_copy(&GET[..3], T0);
    assert!(!conn.needs_buffer());
    assert!(conn.reclaim().is_none());
    let id = request(&mut conn, &GET[3..]);
    // The head is there.
    assert!(conn.reclaim().is_none());
    conn.take_head(id);
    assert!(conn.reclaim().is_some());
    answer(&mut conn, id);
    drained(&mut conn);
    assert!(conn.reclaim().is_none());
    flush(&mut conn);
    assert!(conn.reclaim().is_some());
    assert!(conn.reclaim().is_none());
}

#[test]
fn a_buffer_is_kept_while_trailers_are_read_and_to_look_at_them() {
    let mut conn = server();
    let id = request(&mut conn, CHUNKED);
    conn.take_head(id);
    conn.want_body(id);
    drained(&mut conn);
    assert!(conn.reclaim().is_some());
    conn.received_copy(b"0\r\n", T0);
    drained(&mut conn);
    assert!(conn.reclaim().is_none());
    conn.received_copy(b"X: y\r\n\r\n", T0);
    drained(&mut conn);
    assert!(conn.trailers(id).is_some());
    assert!(conn.reclaim().is_none());
    answer(&mut conn, id);
    flush(&mut conn);
    drained(&mut conn);
    assert!(conn.reclaim().is_some());
}

/// How much of what comes at once is taken in.
#[test]
fn room_follows_what_is_being_read() {
    let small = |l: &mut Limits| {
        l.recv_buffer = 64;
        l.recv_buffer_max = 256;
        l.head = 1024;
        l.trailers = 600;
    };
    let much = [b'a'; 4096];
    // Before a request, and in front of a response.
    assert_eq!(with(small).received_copy(&much, T0), 256);
    let mut client = client_with(small);
    sent(&mut client, BodyLen::None);
    assert_eq!(client.received_copy(&much, T0), 256);
    let mut client = client_with(small);
    assert_eq!(client.received_copy(&much, T0), 256);
    // In the middle of a body, whatever its framing.
    let mut conn = with(small);
    let id = request(
        &mut conn,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
    );
    conn.want_body(id);
    assert_eq!(conn.received_copy(&much, T0), 256);
    let mut conn = with(small);
    let id = request(&mut conn, CHUNKED);
    conn.want_body(id);
    assert_eq!(conn.received_copy(&much, T0), 256);
    // While a request is answered, early bytes are kept, but nothing grows for them; also once it is under way.
    let mut conn = with(small);
    let id = request(&mut conn, GET);
    assert_eq!(conn.received_copy(&much, T0), 64);
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::Known(9))
        .unwrap();
    assert_eq!(conn.received_copy(&much, T0), 0);
    // A head that needs it gets as much as its limit, but only once it is known to be one head: not bytes behind it.
    let mut conn = with(small);
    assert_eq!(conn.received_copy(b"GET / HTTP/1.1\r\nX: ", T0), 19);
    assert_eq!(conn.received_copy(&much, T0), 256 - 19);
    assert_eq!(conn.next_event(), Ok(None));
    let more = conn.received_copy(&much, T0);
    assert!((1..=512).contains(&more), "{more}");
    // A trailer section, too.
    let mut conn = with(small);
    let id = request(&mut conn, CHUNKED);
    conn.want_body(id);
    assert_eq!(conn.received_copy(b"0\r\nX: ", T0), 6);
    drained(&mut conn);
    let section = [&[b'a'; 500][..], b"\r\n\r\n"].concat();
    assert_eq!(conn.received_copy(&section, T0), section.len());
    drained(&mut conn);
    assert_eq!(conn.trailers(id).unwrap().get("x").unwrap().len(), 500);
}

#[test]
fn what_is_queued_or_taken_is_written_before_the_end() {
    let mut conn = server();
    conn.received_copy(b"GET / HTTP/9.9\r\n\r\n", T0);
    assert!(conn.next_event().is_err());
    assert_eq!((conn.wants().write, conn.wants().finish), (true, Finish::No));
    let taken = conn.take_outgoing().unwrap();
    assert_eq!((conn.wants().write, conn.wants().finish), (false, Finish::No));
    conn.sent(taken.len(), T0).unwrap();
    assert_eq!(conn.wants().finish, Finish::ShutdownWrite);
    assert!(conn.wants().read);
    // What comes while lingering is taken and dropped.
    assert_eq!(conn.received_copy(b"more", T0), 4);
    conn.recv_space();
    assert_eq!(conn.received(1, T0), Ok(()));
    conn.write_shut(T0);
    assert_eq!(conn.wants().finish, Finish::No);
    assert_eq!(conn.received(1, T0), Ok(()));
    // The peer has closed as well: no half-close any more.
    conn.received_eof(T0);
    assert_eq!(conn.wants().finish, Finish::Close);
    assert_eq!(conn.received(1, T0), Err(Misuse::NotReading));
}

#[test]
fn a_peer_that_has_closed_is_not_waited_for() {
    let mut conn = server();
    conn.received_copy(b"GET / HTTP/9.9\r\n\r\n", T0);
    assert!(conn.next_event().is_err());
    conn.received_eof(T0);
    flush(&mut conn);
    assert_eq!(conn.wants().finish, Finish::Close);
}

#[test]
fn a_connection_that_has_ended_takes_nothing_more() {
    let mut conn = server();
    request(&mut conn, GET);
    conn.recv_space();
    conn.received_eof(T0);
    assert_eq!(conn.received(1, T0), Err(Misuse::NotReading));
    let mut conn = server();
    request(&mut conn, GET);
    conn.recv_space();
    conn.write_failed(T0);
    assert_eq!(conn.received(1, T0), Err(Misuse::NotReading));
    assert_eq!(conn.wants().finish, Finish::Close);
}

#[test]
fn a_driver_that_reports_more_than_there_was_is_told_so() {
    let mut conn = server();
    assert_eq!(conn.received(0, T0), Ok(()));
    assert_eq!(conn.received(1, T0), Err(Misuse::TooMuch));
    assert_eq!(conn.sent(0, T0), Ok(()));
    assert_eq!(conn.sent(1, T0), Err(Misuse::TooMuch));
    let room = conn.recv_space().len();
    assert_eq!(conn.received(room + 1, T0), Err(Misuse::TooMuch));
    // A write side that nobody asked to shut.
    conn.write_shut(T0);
    request(&mut conn, GET);
}

#[test]
fn a_read_of_nothing_is_no_progress() {
    let mut conn = server();
    let id = request(
        &mut conn,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    );
    conn.want_body(id);
    drained(&mut conn);
    let first = conn.deadline(T0).unwrap();
    assert_eq!(first.why, DeadlineKind::BodyStall);
    let later = T0 + Duration::from_secs(1);
    conn.recv_space();
    conn.received(0, later).unwrap();
    drained(&mut conn);
    assert_eq!(conn.deadline(later), Some(first));
    conn.received(1, later).unwrap();
    drained(&mut conn);
    conn.consume(1).unwrap();
    drained(&mut conn);
    assert_eq!(
        conn.deadline(later).unwrap().at,
        first.at + Duration::from_secs(1)
    );
}

#[test]
fn an_id_of_an_exchange_that_has_ended_is_unknown() {
    let mut conn = server();
    let old = request(&mut conn, GET);
    answer(&mut conn, old);
    drained(&mut conn);
    let unknown = Err(Misuse::UnknownExchange);
    let head = |conn: &mut ServerConn| conn.send_head(old, Status::OK, &Fields::EMPTY, BodyLen::Known(1));
    assert_eq!(head(&mut conn), unknown);
    let id = request(&mut conn, GET);
    assert_eq!(head(&mut conn), unknown);
    assert_eq!(conn.send_interim(old, Status::CONTINUE, &Fields::EMPTY), unknown);
    assert_eq!(conn.abort(old), unknown);
    assert!(conn.head(old).is_err());
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::Known(1))
        .unwrap();
    assert_eq!(conn.send_body_copy(old, b"x"), Err(Misuse::UnknownExchange));
    assert_eq!(conn.send_capacity(old), 0);
    assert_eq!(conn.finish(old, &Fields::EMPTY), unknown);

    let mut conn = client_with(|_| ());
    let old = sent(&mut conn, BodyLen::None);
    conn.received_copy(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", T0);
    while conn.next_event() != Ok(None) {}
    sent(&mut conn, BodyLen::Known(1));
    assert_eq!(conn.send_body_copy(old, b"x"), Err(Misuse::UnknownExchange));
    assert_eq!(conn.send_capacity(old), 0);
    assert_eq!(conn.finish(old, &Fields::EMPTY), unknown);
    assert_eq!(conn.abort(old), unknown);
}

#[test]
fn parts_tell_whether_the_peer_has_closed() {
    let mut conn = server();
    conn.received_copy(b"GET", T0);
    let parts = conn.into_parts();
    assert_eq!((&parts.unread[..], parts.peer_closed), (&b"GET"[..], false));
    let mut conn = server();
    conn.received_eof(T0);
    assert!(conn.into_parts().peer_closed);
}

#[test]
fn both_directions_can_be_borrowed_at_once() {
    let mut conn = server();
    let room = conn.recv_space().len();
    let io = conn.io();
    assert_eq!(io.recv_space.len(), room);
    assert!(io.outgoing.is_empty());
    let id = request(&mut conn, GET);
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::Known(1))
        .unwrap();
    let io = conn.io();
    assert_eq!(io.recv_space.len(), room);
    assert!(io.outgoing.first().starts_with(b"HTTP/1.1 200"));
    // Nothing is read any more: no space, but what is queued.
    conn.received_eof(T0);
    let io = conn.io();
    assert!(io.recv_space.is_empty());
    assert!(io.outgoing.first().starts_with(b"HTTP/1.1 200"));
    // Nothing can be written any more: what was queued is dropped.
    conn.write_failed(T0);
    let io = conn.io();
    assert!(io.recv_space.is_empty() && io.outgoing.is_empty());
    assert!(conn.outgoing().is_empty());
    assert!(conn.into_parts().unsent.is_empty());
}

#[test]
fn a_write_of_nothing_is_no_progress() {
    let mut conn = server();
    let id = request(&mut conn, GET);
    answer(&mut conn, id);
    let first = conn.deadline(T0).unwrap();
    assert_eq!(first.why, DeadlineKind::WriteStall);
    let later = T0 + Duration::from_secs(1);
    conn.sent(0, later).unwrap();
    assert_eq!(conn.deadline(later), Some(first));
    conn.sent(1, later).unwrap();
    assert_eq!(
        conn.deadline(later).unwrap().at,
        first.at + Duration::from_secs(1)
    );
}

/// A body without length or chunks, for HTTP/1.0, ends with the connection: to its reader a FIN says that it is complete.
/// Given up half-way, or with bytes of it that will not be written, the connection is to end in another way.
#[test]
fn a_response_that_ends_with_the_connection_and_is_given_up_asks_for_a_reset() {
    let begun = || {
        let mut conn = server();
        let id = request(&mut conn, b"POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\n");
        assert!(!conn.must_reset());
        conn.send_head(id, Status::OK, &HOST, BodyLen::Unknown).unwrap();
        assert_eq!(conn.send_body_copy(id, b"a part"), Ok(6));
        assert!(conn.must_reset());
        (conn, id)
    };
    // The application gives up: what is queued is written first.
    let (mut conn, id) = begun();
    conn.abort(id).unwrap();
    assert_eq!((conn.wants().write, conn.wants().finish), (true, Finish::No));
    flush(&mut conn);
    assert_eq!(conn.wants().finish, Finish::Reset);
    // The request's body breaks off in the middle of it.
    let (mut conn, _) = begun();
    conn.received_eof(T0);
    drained_or_failed(&mut conn);
    flush(&mut conn);
    assert_eq!(conn.wants().finish, Finish::Reset);
    // It is complete, but the client does not take it.
    let (mut conn, id) = begun();
    assert_eq!(conn.received_copy(b"123456789", T0), 9);
    conn.finish(id, &Fields::EMPTY).unwrap();
    assert!(conn.must_reset());
    let stalled = conn.deadline(T0).unwrap();
    assert_eq!(stalled.why, DeadlineKind::WriteStall);
    conn.handle_timeout(stalled.at);
    assert_eq!(conn.wants().finish, Finish::Reset);
    // It is complete, and written.
    let (mut conn, id) = begun();
    conn.finish(id, &Fields::EMPTY).unwrap();
    flush(&mut conn);
    drained_or_failed(&mut conn);
    assert!(!conn.must_reset());
    assert!(!matches!(conn.wants().finish, Finish::Reset));
}

fn drained_or_failed(conn: &mut ServerConn) {
    while matches!(conn.next_event(), Ok(Some(_))) {}
}
