//! The client's side, call by call, and what it and the server say at a switch or a close. Each case is one that a
//! small change to the machines survived before it was written down here (docs/mutants.md).

use antiphon_core::h1::*;
use antiphon_core::{Field, Fields, Instant, Status};
use std::sync::Arc;

const T0: Instant = Instant::ZERO;
const HOST: [Field<'static>; 1] = [Field::from_static("host", "a")];
const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn client() -> ClientConn {
    ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0)
}

fn flush(conn: &mut ClientConn) -> Vec<u8> {
    let mut all = Vec::new();
    while conn.wants().write {
        all.extend_from_slice(conn.outgoing().first());
        let n = conn.outgoing().first().len() as u64;
        conn.sent(n, T0).unwrap();
    }
    all
}

fn events(conn: &mut ClientConn) -> Vec<ClientEvent> {
    std::iter::from_fn(|| conn.next_event().unwrap()).collect()
}

fn end(id: ExchangeId, reuse: Reuse) -> ClientEvent {
    ClientEvent::ExchangeEnd { id, reuse }
}

#[test]
fn a_buffer_is_lent_and_taken_back() {
    let mut conn = client();
    assert!(conn.needs_buffer());
    assert!(conn.reclaim().is_none());
    let mut buffer = Buffer::new();
    assert_eq!(buffer.capacity(), 0);
    conn.lend(buffer);
    assert!(!conn.needs_buffer());
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    assert!(conn.reclaim().is_none());
    flush(&mut conn);
    conn.received_copy(EMPTY, T0);
    events(&mut conn);
    let head = conn.take_head(id);
    assert!(head.as_response().is_some());
    let storage = head
        .as_response()
        .unwrap()
        .fields()
        .get("content-length")
        .unwrap()
        .as_ptr();
    conn.recycle(head);
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    flush(&mut conn);
    conn.received_copy(EMPTY, T0);
    events(&mut conn);
    // The same storage was used again, and a wrong id gets nothing.
    let head = conn.take_head(id);
    let again = head
        .as_response()
        .unwrap()
        .fields()
        .get("content-length")
        .unwrap()
        .as_ptr();
    assert_eq!(storage, again);
    conn.recycle(head);
    buffer = conn.reclaim().unwrap();
    assert!(conn.needs_buffer());
    let parts = buffer.capacity();
    // The receive buffer, and something for heads, fields and output.
    assert!((8 * 1024 + 64..16 * 1024).contains(&parts), "{parts}");
    buffer.shrink(parts);
    assert_eq!(buffer.capacity(), parts);
    buffer.shrink(parts - 1);
    assert_eq!(buffer.capacity(), 0);
}

#[test]
fn a_head_is_taken_by_its_id_only() {
    let mut conn = client();
    let old = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    flush(&mut conn);
    conn.received_copy(EMPTY, T0);
    events(&mut conn);
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    flush(&mut conn);
    conn.received_copy(EMPTY, T0);
    events(&mut conn);
    assert!(conn.take_head(old).as_response().is_none());
    assert!(conn.take_head(id).as_response().is_some());
}

#[test]
fn what_was_written_and_what_came_can_be_asked() {
    let mut conn = client();
    assert!(conn.is_idle() && conn.can_send());
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    assert!(!conn.is_idle() && !conn.can_send());
    assert_eq!((conn.request_bytes_sent(), conn.response_begun()), (0, false));
    conn.sent(5, T0).unwrap();
    let taken = conn.take_outgoing().unwrap();
    assert!(conn.take_outgoing().is_none());
    assert_eq!(conn.request_bytes_sent(), 5);
    conn.sent(taken.len(), T0).unwrap();
    conn.recv_space();
    conn.received(0, T0).unwrap();
    assert_eq!(conn.received_copy(b"", T0), 0);
    assert!(!conn.response_begun());
    conn.recv_space()[0] = b'H';
    conn.received(1, T0).unwrap();
    assert!(conn.response_begun());
    conn.received_copy(&EMPTY[1..], T0);
    assert!(conn.response_begun());
    let mut told = events(&mut conn);
    assert_eq!(told.pop(), Some(end(id, Reuse::KeepAlive)));
    assert!(conn.is_idle() && conn.can_send());
    conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    flush(&mut conn);
    assert!(!conn.response_begun());
    conn.received_copy(&EMPTY[..1], T0);
    assert!(conn.response_begun());
    conn.received_copy(&EMPTY[1..2], T0);
    conn.recv_space();
    conn.received(0, T0).unwrap();
    assert!(conn.response_begun());
}

#[test]
fn an_idle_connection_that_closes_says_how() {
    type Fail = fn(&mut ClientConn);
    let cases: [(Fail, bool); 3] = [
        (|c| c.received_eof(T0), true),
        (|c| c.read_failed(T0), false),
        (|c| assert_eq!(c.received_copy(b"x", T0), 1), false),
    ];
    for (fail, clean) in cases {
        let mut conn = client();
        assert!(conn.deadline(T0).is_some());
        assert_eq!(conn.next_event(), Ok(None));
        fail(&mut conn);
        assert!(!conn.can_send());
        assert_eq!(conn.next_event(), Ok(Some(ClientEvent::PeerClosed { clean })));
        assert_eq!(conn.next_event(), Ok(None));
        assert_eq!(conn.wants().finish, Finish::Close);
        assert_eq!(conn.deadline(T0), None);
    }
    let mut conn = client();
    conn.received_eof(T0);
    assert_eq!(conn.deadline(T0), None);
    let mut conn = client();
    conn.close_when_idle();
    assert!(!conn.can_send());
    assert_eq!(conn.wants().finish, Finish::Close);
}

#[test]
fn only_100_opens_the_gate_and_only_once() {
    let fields = [HOST[0], Field::from_static("expect", "100-continue")];
    let mut conn = client();
    let id = conn
        .send_request("POST", "/", &fields, BodyLen::Known(2))
        .unwrap();
    flush(&mut conn);
    assert_eq!(conn.send_body_copy(id, b"a"), Err(Misuse::AwaitingContinue));
    assert_eq!(conn.send_capacity(id), 0);
    let interim = |code| ClientEvent::Interim {
        id,
        status: Status::new(code).unwrap(),
    };
    conn.received_copy(b"HTTP/1.1 103 Early Hints\r\n\r\n", T0);
    assert_eq!(events(&mut conn), [interim(103)]);
    conn.received_copy(b"HTTP/1.1 100 Continue\r\n\r\n", T0);
    assert_eq!(events(&mut conn), [interim(100), ClientEvent::SendBodyNow { id }]);
    conn.received_copy(b"HTTP/1.1 100 Continue\r\n\r\n", T0);
    assert_eq!(events(&mut conn), [interim(100)]);
    assert!(conn.send_capacity(id) > 1000);
    assert_eq!(conn.send_body_copy(id, b"a"), Ok(1));
    assert_eq!(conn.send_body(id, (&b"bc"[..]).into()), Err(Misuse::BodyTooLong));
    assert_eq!(conn.send_body(id, (&b"b"[..]).into()), Ok(()));
    assert_eq!(conn.finish(id, &Fields::EMPTY), Ok(()));
    assert_eq!(conn.finish(id, &Fields::EMPTY), Err(Misuse::BodyFinished));
    assert_eq!(flush(&mut conn), b"ab");
}

#[test]
fn requests_that_may_not_be_sent() {
    let mut conn = client();
    for (method, target, body) in [
        ("G T", "/", BodyLen::None),
        ("GET", "/a b", BodyLen::None),
        ("GET", "*", BodyLen::None),
        ("GET", "a:1", BodyLen::None),
        ("CONNECT", "/", BodyLen::None),
        ("CONNECT", "a:1", BodyLen::Known(1)),
    ] {
        let sent = conn.send_request(method, target, &HOST, body);
        assert_eq!(sent, Err(Misuse::Target), "{method} {target}");
    }
    assert!(!conn.wants().write);
    for (method, target, head) in [
        ("GET", "/", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("OPTIONS", "*", "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("CONNECT", "a:1", "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n"),
        (
            "PUT",
            "/",
            "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        ),
    ] {
        let mut conn = client();
        let id = conn.send_request(method, target, &HOST, BodyLen::None).unwrap();
        assert_eq!(flush(&mut conn), head.as_bytes());
        assert_eq!(conn.finish(id, &Fields::EMPTY), Ok(()));
        assert_eq!(conn.send_capacity(id), 0);
    }
    let mut conn = client();
    let id = conn.send_request("POST", "/", &HOST, BodyLen::Unknown).unwrap();
    flush(&mut conn);
    let room = conn.send_capacity(id);
    assert_eq!(conn.send_body_copy(id, &vec![b'x'; room + 1]), Ok(room));
    conn.abort(id).unwrap();
    assert_eq!(conn.send_body_copy(id, b"x"), Err(Misuse::Closed));
    assert_eq!(conn.abort(id), Err(Misuse::UnknownExchange));
}

#[test]
fn switches_are_taken_when_they_were_proposed() {
    let fields = [
        HOST[0],
        Field::from_static("upgrade", "h2c"),
        Field::from_static("connection", "upgrade"),
    ];
    let yes: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\nnew";
    for (proposed, answer, good) in [
        (3, yes, true),
        (2, yes, false),
        (1, yes, false),
        (3, b"HTTP/1.1 101 Switching Protocols\r\n\r\n", false),
    ] {
        let mut conn = client();
        let id = conn
            .send_request("GET", "/", &fields[..proposed], BodyLen::None)
            .unwrap();
        flush(&mut conn);
        conn.received_copy(answer, T0);
        let first = conn.next_event();
        if !good {
            assert_eq!(first.unwrap_err().kind(), PeerErrorKind::UnexpectedSwitch);
            continue;
        }
        let mut told = events(&mut conn);
        assert_eq!(told.pop(), Some(end(id, Reuse::Switched)));
        assert_eq!(conn.wants().finish, Finish::Detach);
        assert_eq!(conn.into_parts().unread, b"new"[..]);
    }
    // With a body, nothing is proposed.
    let mut conn = client();
    let id = conn
        .send_request("POST", "/", &fields, BodyLen::Known(1))
        .unwrap();
    conn.send_body_copy(id, b"x").unwrap();
    conn.finish(id, &Fields::EMPTY).unwrap();
    flush(&mut conn);
    conn.received_copy(yes, T0);
    assert_eq!(
        conn.next_event().unwrap_err().kind(),
        PeerErrorKind::UnexpectedSwitch
    );
    let mut conn = client();
    let id = conn.send_request("CONNECT", "a:1", &HOST, BodyLen::None).unwrap();
    flush(&mut conn);
    conn.received_copy(b"HTTP/1.1 200 OK\r\n\r\n", T0);
    assert_eq!(events(&mut conn).pop(), Some(end(id, Reuse::Switched)));
}

#[test]
fn an_exchange_ends_when_its_request_has_left() {
    let mut conn = client();
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    conn.sent(5, T0).unwrap();
    conn.received_copy(EMPTY, T0);
    assert!(!events(&mut conn).contains(&end(id, Reuse::KeepAlive)));
    flush(&mut conn);
    assert_eq!(events(&mut conn), [end(id, Reuse::KeepAlive)]);
    // Unless nothing will take it.
    let mut conn = client();
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    conn.sent(5, T0).unwrap();
    conn.received_copy(EMPTY, T0);
    conn.received_eof(T0);
    assert_eq!(
        events(&mut conn).pop(),
        Some(end(id, Reuse::Close(CloseReason::PeerClosed)))
    );
}

#[test]
fn reasons_to_close() {
    for (answer, reason) in [
        (
            &b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"[..],
            CloseReason::Http10,
        ),
        (
            b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            CloseReason::PeerAsked,
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            CloseReason::PeerAsked,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx",
            CloseReason::UnsolicitedBytes,
        ),
    ] {
        let mut conn = client();
        let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
        flush(&mut conn);
        conn.received_copy(answer, T0);
        let told = events(&mut conn);
        assert_eq!(told.last(), Some(&end(id, Reuse::Close(reason))));
    }
    // Answered and closed in the middle of an upload.
    let mut conn = client();
    let id = conn.send_request("POST", "/", &HOST, BodyLen::Known(9)).unwrap();
    flush(&mut conn);
    conn.received_copy(
        b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        T0,
    );
    assert_eq!(
        events(&mut conn).last(),
        Some(&end(id, Reuse::Close(CloseReason::PeerAsked)))
    );
    // Asked to close in the middle of an exchange.
    let mut conn = client();
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    conn.close_when_idle();
    flush(&mut conn);
    conn.received_copy(EMPTY, T0);
    assert_eq!(
        events(&mut conn).last(),
        Some(&end(id, Reuse::Close(CloseReason::LocalAsked)))
    );
}

/// The grace of a failed write ends the exchange for the write, and is no timeout of the server's.
#[test]
fn a_failed_write_is_told_as_one() {
    for with_head in [false, true] {
        let mut conn = client();
        let id = conn.send_request("POST", "/", &HOST, BodyLen::Known(9)).unwrap();
        flush(&mut conn);
        if with_head {
            conn.received_copy(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", T0);
            events(&mut conn);
            conn.want_body(id);
        }
        conn.write_failed(T0);
        conn.write_failed(T0);
        let d = conn.deadline(T0).unwrap();
        assert_eq!(d.why, DeadlineKind::WriteFailedGrace);
        conn.handle_timeout(d.at);
        assert_eq!(
            events(&mut conn),
            [end(id, Reuse::Close(CloseReason::WriteFailed))]
        );
        conn.write_failed(T0);
        assert_eq!(events(&mut conn), []);
    }
}

// ----- what the server says

fn served(wire: &[u8]) -> (ServerConn, ExchangeId) {
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    conn.received_copy(wire, T0);
    match conn.next_event() {
        Ok(Some(ServerEvent::Request { id, .. })) => (conn, id),
        other => panic!("{other:?}"),
    }
}

fn said(conn: &mut ServerConn) -> String {
    let mut all = Vec::new();
    while conn.wants().write {
        all.extend_from_slice(conn.outgoing().first());
        let n = conn.outgoing().first().len() as u64;
        conn.sent(n, T0).unwrap();
    }
    String::from_utf8(all).unwrap()
}

#[test]
fn a_server_says_what_becomes_of_the_connection() {
    let none: &[Field<'_>] = &[];
    let upgrade: &[Field<'_>] = &[Field::from_static("upgrade", "h2c")];
    let both: &[Field<'_>] = &[upgrade[0], Field::from_static("connection", "upgrade")];
    let get = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (request, status, fields, expected) in [
        (
            format!("{get}\r\n"),
            Status::OK,
            none,
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            format!("{get}Connection: close\r\n\r\n"),
            Status::OK,
            none,
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".into(),
            Status::OK,
            none,
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n",
        ),
        (
            format!("{get}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
            Status::SWITCHING_PROTOCOLS,
            upgrade,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        ),
        (
            format!("{get}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
            Status::SWITCHING_PROTOCOLS,
            both,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".into(),
            Status::OK,
            none,
            "HTTP/1.1 200 OK\r\n\r\n",
        ),
    ] {
        let (mut conn, id) = served(request.as_bytes());
        conn.send_head(id, status, fields, BodyLen::None).unwrap();
        assert_eq!(said(&mut conn), expected);
    }
    for (request, fields) in [
        (format!("{get}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"), none),
        (format!("{get}\r\n"), both),
    ] {
        let (mut conn, id) = served(request.as_bytes());
        assert_eq!(
            conn.send_head(id, Status::SWITCHING_PROTOCOLS, fields, BodyLen::None),
            Err(Misuse::NoSwitchProposed)
        );
    }
}

#[test]
fn a_server_closes_at_once_only_on_a_client_that_sends_nothing_more() {
    let close = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (more, finish) in [(&b""[..], Finish::Close), (b"GET", Finish::ShutdownWrite)] {
        let (mut conn, id) = served(&[&close[..], more].concat());
        conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
            .unwrap();
        said(&mut conn);
        assert_eq!(conn.wants().finish, finish);
    }
    // The server's own reason: the client may be sending.
    let (mut conn, id) = served(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    conn.close_when_idle();
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    assert!(said(&mut conn).contains("connection: close"));
    assert_eq!(conn.wants().finish, Finish::ShutdownWrite);
}

#[test]
fn interim_responses_and_the_owed_100() {
    let wire = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    let hints = Status::new(103).unwrap();
    for (status, owed) in [(Status::CONTINUE, false), (hints, true)] {
        let (mut conn, id) = served(wire);
        assert_eq!(conn.send_body_copy(id, b"x"), Err(Misuse::HeadNotSent));
        conn.send_interim(id, status, &Fields::EMPTY).unwrap();
        assert!(said(&mut conn).starts_with("HTTP/1.1 10"));
        conn.want_body(id);
        assert_eq!(!said(&mut conn).is_empty(), owed);
    }
    let (mut conn, id) = served(b"GET / HTTP/1.0\r\n\r\n");
    conn.send_interim(id, hints, &Fields::EMPTY).unwrap();
    assert_eq!(said(&mut conn), "");
}

#[test]
fn a_body_too_long_to_be_discarded_ends_the_connection() {
    for wanted in [false, true] {
        let (mut conn, id) = served(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n");
        if wanted {
            conn.want_body(id);
        }
        conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
            .unwrap();
        assert_eq!(said(&mut conn).contains("connection: close"), !wanted);
        let reuse = Reuse::Close(CloseReason::BodyUnread);
        assert_eq!(
            conn.next_event(),
            Ok(Some(ServerEvent::ExchangeEnd { id, reuse }))
        );
        assert_eq!(conn.wants().finish, Finish::ShutdownWrite);
    }
}

#[test]
fn a_server_with_part_of_a_request_is_not_idle() {
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    assert!(conn.is_idle());
    conn.received_copy(b"GET / HTTP/1.1\r\n", T0);
    assert!(!conn.is_idle());
    conn.close_when_idle();
    assert_eq!(conn.wants().finish, Finish::No);
    conn.received_copy(b"Host: a\r\n\r\n", T0);
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!()
    };
    assert!(!conn.is_idle());
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    assert!(said(&mut conn).contains("connection: close"));
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    conn.close_when_idle();
    assert_eq!(conn.wants().finish, Finish::Close);
}

/// The storage of a head that was taken comes back, if it is larger than what is there.
#[test]
fn a_recycled_head_is_kept() {
    let mut conn = client();
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    flush(&mut conn);
    let long = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: {}\r\n\r\n",
        "x".repeat(4000)
    );
    conn.received_copy(long.as_bytes(), T0);
    events(&mut conn);
    let head = conn.take_head(id);
    let buffer = conn.reclaim().unwrap();
    let without = buffer.capacity();
    conn.lend(buffer);
    conn.recycle(head);
    let with = conn.reclaim().unwrap().capacity();
    assert!(with >= without + 4000, "{without} {with}");
}

#[test]
fn a_slow_application_costs_the_server_nothing() {
    let mut conn = client();
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    flush(&mut conn);
    conn.received_copy(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", T0);
    events(&mut conn);
    assert_eq!(conn.deadline(T0), None);
    conn.want_body(id);
    assert_eq!(conn.deadline(T0).unwrap().why, DeadlineKind::BodyStall);
    conn.received_copy(b"a", T0);
    events(&mut conn);
    assert_eq!(conn.deadline(T0), None);
}
