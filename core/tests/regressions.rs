//! Regressions in the connection machines: each test tells the story of a bug that was there.

use antiphon_core::h1::*;
use antiphon_core::{Field, Fields, Instant, Status};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

const T0: Instant = Instant::ZERO;
const HOST: [Field<'static>; 1] = [Field::from_static("host", "a")];

fn server() -> ServerConn {
    ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0)
}

fn client() -> ClientConn {
    ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0)
}

fn request(conn: &mut ServerConn, wire: &[u8]) -> ExchangeId {
    assert_eq!(conn.received_copy(wire, T0), wire.len());
    match conn.next_event() {
        Ok(Some(ServerEvent::Request { id, .. })) => id,
        other => panic!("{other:?}"),
    }
}

fn flush(conn: &mut ServerConn) {
    while conn.wants().write {
        let n = conn.outgoing().first().len() as u64;
        conn.sent(n, T0).unwrap();
    }
}

fn sent(conn: &mut ClientConn, method: &str, body: BodyLen) -> ExchangeId {
    let id = conn.send_request(method, "/", &HOST, body).unwrap();
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, T0).unwrap();
    id
}

/// A handler keeps its request head past the end of its answer. Then half of the next head is read: its offsets
/// are in the table already. Then the head is recycled: it replaced the table, and fields were lost without an error.
#[test]
fn a_head_recycled_while_the_next_one_is_half_read_takes_nothing_from_it() {
    let mut conn = server();
    let id = request(
        &mut conn,
        b"GET /1 HTTP/1.1\r\nHost: a\r\nX-Large: ................................\r\n\r\n",
    );
    let old = conn.take_head(id);
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    assert!(matches!(
        conn.next_event(),
        Ok(Some(ServerEvent::ExchangeEnd { .. }))
    ));
    conn.received_copy(
        b"GET /2 HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nCookie: y\r\nX-La",
        T0,
    );
    assert_eq!(conn.next_event(), Ok(None));
    conn.recycle(old);
    let id = request(&mut conn, b"st: z\r\n\r\n");
    let names: Vec<_> = conn
        .head(id)
        .unwrap()
        .fields()
        .iter()
        .map(|f| f.name.as_str().to_owned())
        .collect();
    assert_eq!(names, ["Host", "Authorization", "Cookie", "X-Last"]);
}

/// The server answers an upload early and completely, keeping the connection, and then goes away. Nothing told the
/// client, which was invited to upload 1 GiB into a dead connection.
#[test]
fn a_peer_that_leaves_after_an_early_answer_ends_the_exchange() {
    for failed in [false, true] {
        let mut conn = client();
        let id = sent(&mut conn, "POST", BodyLen::Known(1 << 30));
        conn.received_copy(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n", T0);
        assert!(matches!(
            conn.next_event(),
            Ok(Some(ClientEvent::Response { .. }))
        ));
        assert_eq!(conn.next_event(), Ok(Some(ClientEvent::BodyEnd { id })));
        assert_eq!(conn.next_event(), Ok(None));
        if failed {
            conn.read_failed(T0)
        } else {
            conn.received_eof(T0)
        }
        let reason = if failed {
            CloseReason::ReadFailed
        } else {
            CloseReason::PeerClosed
        };
        assert_eq!(
            conn.next_event(),
            Ok(Some(ClientEvent::ExchangeEnd {
                id,
                reuse: Reuse::Close(reason)
            }))
        );
        assert_eq!(conn.wants().finish, Finish::Close);
    }
}

/// A byte every 9 s against a minimum of 1,000 bytes in 10 s of waiting. The clock was looked at between the byte's
/// arrival and its consumption, and each such look began the window anew.
#[test]
fn the_minimum_rate_counts_interrupted_waiting() {
    let mut config = ServerConfig::DEFAULT;
    let rate = MinRate {
        bytes: NonZeroU64::new(1_000).unwrap(),
        per: Duration::from_secs(10),
    };
    config.timeouts.body_rate = Some(rate);
    let mut conn = ServerConn::new(Arc::new(config), T0);
    let id = request(
        &mut conn,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
    );
    conn.want_body(id);
    for i in 0..3 {
        let now = Instant::from_millis(9_000 * i);
        conn.handle_timeout(now);
        match conn.next_event() {
            Ok(Some(ServerEvent::Timeout { why, .. })) => {
                assert_eq!(
                    (why, i),
                    (DeadlineKind::BodyRate, 2),
                    "10 s of waiting have passed"
                );
                return;
            }
            Ok(None) => {}
            other => panic!("{other:?}"),
        }
        conn.deadline(now);
        conn.received_copy(b"x", now);
        assert_eq!(conn.next_event(), Ok(Some(ServerEvent::Body { id })));
        conn.deadline(now);
        conn.consume(1).unwrap();
        conn.deadline(now);
    }
    panic!("it never came");
}

/// The answer is out, the body is discarded, and a byte comes just before each stall deadline: the connection was
/// held for as long as the client liked.
#[test]
fn a_discarded_body_may_not_trickle_for_ever() {
    let mut conn = server();
    let id = request(
        &mut conn,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n",
    );
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    flush(&mut conn);
    assert_eq!(conn.next_event(), Ok(None));
    assert_eq!(conn.deadline(T0).unwrap().at, Instant::from_millis(30_000));
    let later = Instant::from_millis(29_000);
    conn.received_copy(b"x", later);
    assert_eq!(conn.next_event(), Ok(None));
    assert_eq!(conn.deadline(later).unwrap().at, Instant::from_millis(30_000));
    conn.handle_timeout(Instant::from_millis(30_000));
    assert!(matches!(
        conn.next_event(),
        Ok(Some(ServerEvent::Timeout {
            why: DeadlineKind::BodyStall,
            ..
        }))
    ));
}

/// Small pipelined requests filled the buffer, which then grew to the head limit although no head needed it.
#[test]
fn pipelined_requests_do_not_grow_the_buffer_as_a_head_would() {
    let mut config = ServerConfig::DEFAULT;
    config.limits.head = 4 << 20;
    let mut conn = ServerConn::new(Arc::new(config), T0);
    let wire = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200_000);
    assert!(conn.received_copy(&wire, T0) <= 64 * 1024);
}

/// A run of 16 KiB took the whole receive buffer with it.
#[test]
fn what_take_body_gives_holds_on_to_little_more_than_its_bytes() {
    let mut conn = client();
    let id = sent(&mut conn, "GET", BodyLen::None);
    let mut wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..8 {
        wire.extend_from_slice(b"4000\r\n");
        wire.extend_from_slice(&[b'x'; 0x4000]);
        wire.extend_from_slice(b"\r\n");
    }
    let mut rest = &wire[..];
    while !rest.is_empty() {
        rest = &rest[conn.received_copy(rest, T0)..];
        while let Some(event) = conn.next_event().unwrap() {
            if event == (ClientEvent::Body { id }) {
                let bytes = conn.take_body();
                let len = bytes.len();
                // The storage comes back as it is when nobody else holds it.
                let storage = Vec::from(bytes);
                assert!(
                    storage.capacity() <= 2 * len + 64,
                    "{} behind {len}",
                    storage.capacity()
                );
            }
        }
    }
}

/// Head limits beyond what 32-bit offsets hold, with a bad head: arithmetic overflowed.
#[test]
fn absurd_limits_do_not_overflow() {
    let mut config = ClientConfig::DEFAULT;
    config.limits.head = usize::MAX;
    config.limits.trailers = usize::MAX;
    config.limits.send_buffer = usize::MAX;
    let mut conn = ClientConn::new(Arc::new(config), T0);
    sent(&mut conn, "GET", BodyLen::None);
    conn.received_copy(b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n", T0);
    assert_eq!(conn.next_event().unwrap_err().kind(), PeerErrorKind::FieldName);
}

/// A send buffer of nothing left the connection waiting for nothing.
#[test]
fn a_send_buffer_of_nothing_still_sends() {
    let mut config = ServerConfig::DEFAULT;
    config.limits.send_buffer = 0;
    let mut conn = ServerConn::new(Arc::new(config), T0);
    let id = request(&mut conn, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::Unknown)
        .unwrap();
    flush(&mut conn);
    assert!(conn.send_body_copy(id, &[b'x'; 100]).unwrap() > 0);
}

/// "A client MUST ignore any Content-Length or Transfer-Encoding header fields received in a successful response to
/// CONNECT" (RFC 9110, section 9.3.6).
#[test]
fn framing_fields_that_frame_nothing_are_not_judged() {
    for (method, target) in [("CONNECT", "a:443"), ("HEAD", "/")] {
        for field in ["Transfer-Encoding: identity", "Content-Length: 1, 2"] {
            let mut conn = client();
            let id = conn.send_request(method, target, &HOST, BodyLen::None).unwrap();
            let n = conn.outgoing().first().len() as u64;
            conn.sent(n, T0).unwrap();
            conn.received_copy(format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n").as_bytes(), T0);
            assert_eq!(
                conn.next_event(),
                Ok(Some(ClientEvent::Response {
                    id,
                    body: BodyLen::None
                }))
            );
        }
    }
}

/// The exchange had ended well and that was not told yet when the connection was closed: what was told was untrue.
#[test]
fn an_exchange_end_that_was_not_told_yet_tells_of_the_close() {
    let mut conn = server();
    let id = request(&mut conn, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    conn.close_when_idle();
    let reuse = Reuse::Close(CloseReason::LocalAsked);
    assert_eq!(
        conn.next_event(),
        Ok(Some(ServerEvent::ExchangeEnd { id, reuse }))
    );
}

/// Userinfo in an absolute target disguises the host: `http://good.example@evil.example/`.
#[test]
fn userinfo_in_a_target_is_refused() {
    let mut conn = server();
    conn.received_copy(
        b"GET http://good.example@evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n",
        T0,
    );
    assert_eq!(conn.next_event().unwrap_err().kind(), PeerErrorKind::TargetForm);
}

/// Bytes that lie there before a request was written are no answer to it.
#[test]
fn an_answer_before_the_request_left_is_refused() {
    let mut conn = client();
    conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    conn.received_copy(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", T0);
    assert_eq!(
        conn.next_event().unwrap_err().kind(),
        PeerErrorKind::UnsolicitedBytes
    );
}

/// The reply to a refused HEAD request carried a body, which the client took for the next response.
#[test]
fn a_refused_head_request_gets_no_body() {
    let mut conn = server();
    conn.received_copy(b"HEAD / HTTP/1.1\r\n\r\n", T0);
    assert_eq!(conn.next_event().unwrap_err().kind(), PeerErrorKind::HostMissing);
    assert!(conn.outgoing().first().ends_with(b"\r\n\r\n"));
}

/// Empty lines moved the idle deadline, one by one.
#[test]
fn empty_lines_do_not_prolong_the_wait() {
    let mut conn = server();
    conn.deadline(T0);
    conn.received_copy(b"\r\n", T0);
    assert_eq!(conn.next_event(), Ok(None));
    assert_eq!(
        conn.deadline(T0),
        Some(Deadline {
            at: Instant::from_millis(30_000),
            why: DeadlineKind::Head
        })
    );
    let later = Instant::from_millis(29_000);
    conn.received_copy(b"\r\n", later);
    assert_eq!(conn.next_event(), Ok(None));
    assert_eq!(conn.deadline(later).unwrap().at, Instant::from_millis(30_000));
}

/// Three faults in response heads were told at the wrong byte: a CR that stands alone in a status line was called the
/// status line's fault, in a code like `099` the byte behind the 0 was blamed, and an empty Content-Length pointed at
/// the head's first byte.
#[test]
fn faults_in_response_heads_are_told_at_the_byte_that_proves_them() {
    let told = |wire: &[u8]| {
        let mut conn = client();
        sent(&mut conn, "GET", BodyLen::None);
        conn.received_copy(wire, T0);
        let error = conn.next_event().unwrap_err();
        (error.kind(), error.offset())
    };
    for (wire, kind, offset) in [
        (&b"HTTP/1.1 200\rx\r\n\r\n"[..], PeerErrorKind::LineEnd, 13),
        (b"HTTP/1.1 200 O\r\r\n\r\n", PeerErrorKind::LineEnd, 15),
        (b"HTTP/1.1 0x9 OK\r\n\r\n", PeerErrorKind::StatusLine, 9),
        (
            b"HTTP/1.1 200\r\nContent-Length:\r\n\r\n",
            PeerErrorKind::ContentLength,
            29,
        ),
        (
            b"HTTP/1.1 200\r\nContent-Length: \t \r\n\r\n",
            PeerErrorKind::ContentLength,
            32,
        ),
    ] {
        assert_eq!(told(wire), (kind, offset), "{}", wire.escape_ascii());
    }
}

/// A `finish` refused for a field that may not be a trailer left a buffer behind on a connection that had none.
#[test]
fn a_refused_finish_takes_no_buffer() {
    let mut conn = client();
    let id = sent(&mut conn, "POST", BodyLen::Unknown);
    drop(conn.reclaim());
    assert!(conn.needs_buffer());
    assert_eq!(conn.finish(id, &HOST), Err(Misuse::ForbiddenField));
    assert!(conn.needs_buffer());
    conn.finish(id, &Fields::EMPTY).unwrap();
    assert_eq!(conn.outgoing().first(), b"0\r\n\r\n");
}

/// A connection whose output was being written elsewhere when writing failed gave its buffer back, and the next one to
/// borrow it could report those bytes as its own.
#[test]
fn a_buffer_remembers_nothing_of_the_connection_it_came_from() {
    let mut first = client();
    first.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    let taken = first.take_outgoing().unwrap().len();
    first.write_failed(T0);
    let buffer = first.reclaim().expect("nothing is queued any more");
    let mut second = server();
    second.lend(buffer);
    assert_eq!(second.sent(taken, T0), Err(Misuse::TooMuch));
}

/// A handler asks for its request's head again after its answer, when half of the next head has been read: it got the
/// offsets of that one without its bytes, so that looking at a field panicked, and the next request lost those fields.
#[test]
fn a_head_taken_while_the_next_one_is_half_read_takes_nothing_from_it() {
    let mut conn = server();
    let id = request(&mut conn, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    assert!(matches!(
        conn.next_event(),
        Ok(Some(ServerEvent::ExchangeEnd { .. }))
    ));
    conn.received_copy(b"GET /2 HTTP/1.1\r\nHost: b\r\nAuthorization: x\r\nCoo", T0);
    assert_eq!(conn.next_event(), Ok(None));
    let head = conn.take_head(id);
    assert_eq!(head.fields().iter().count(), 0);
    let id = request(&mut conn, b"kie: y\r\n\r\n");
    let head = conn.head(id).unwrap();
    assert_eq!(head.header("host"), Some(&b"b"[..]));
    assert_eq!(head.header("authorization"), Some(&b"x"[..]));
    assert_eq!(head.header("cookie"), Some(&b"y"[..]));
}

/// "Once `next_event` has returned an error, it returns the same one again": but when the client did not take the reply
/// to its bad request in time, a `Timeout` was told after the error.
#[test]
fn nothing_is_told_after_an_error() {
    let mut conn = server();
    conn.received_copy(b"GET nonsense", T0);
    conn.received_copy(b"\r\n", T0);
    let error = conn.next_event().unwrap_err();
    assert!(conn.wants().write, "the reply");
    let stall = conn.deadline(T0).unwrap();
    assert_eq!(stall.why, DeadlineKind::WriteStall);
    conn.handle_timeout(stall.at);
    assert_eq!(conn.next_event(), Err(error));
    assert_eq!(conn.wants().finish, Finish::Close);
}

/// The connection broke before the end of the exchange was told, and then it was told as switched: but what should have
/// accepted the switch had never left.
#[test]
fn a_switch_whose_answer_was_lost_is_no_switch() {
    let mut conn = server();
    let id = request(&mut conn, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    conn.write_failed(T0);
    let reuse = Reuse::Close(CloseReason::WriteFailed);
    assert_eq!(
        conn.next_event(),
        Ok(Some(ServerEvent::ExchangeEnd { id, reuse }))
    );
    assert_eq!(conn.wants().finish, Finish::Close);
}

/// Writing failed between the end of the body of a response that switches (it has none) and the end of its exchange, which
/// was never told then.
#[test]
fn a_write_that_fails_at_a_switch_ends_the_exchange() {
    let mut conn = client();
    let id = conn.send_request("CONNECT", "a:1", &HOST, BodyLen::None).unwrap();
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, T0).unwrap();
    conn.received_copy(b"HTTP/1.1 200 OK\r\n\r\n", T0);
    assert!(matches!(
        conn.next_event(),
        Ok(Some(ClientEvent::Response { .. }))
    ));
    assert_eq!(conn.next_event(), Ok(Some(ClientEvent::BodyEnd { id })));
    conn.write_failed(T0);
    let reuse = Reuse::Close(CloseReason::WriteFailed);
    assert_eq!(
        conn.next_event(),
        Ok(Some(ClientEvent::ExchangeEnd { id, reuse }))
    );
    assert_eq!(conn.next_event(), Ok(None));
}

/// A request target with a user's name and password was sent as it was, password included.
#[test]
fn a_client_sends_no_userinfo_in_a_target() {
    let mut conn = client();
    for target in ["http://user:secret@a/", "http://token@a", "http://@a/"] {
        let refused = conn.send_request("GET", target, &HOST, BodyLen::None);
        assert_eq!(refused, Err(Misuse::Target), "{target}");
    }
    assert!(conn.outgoing().is_empty());
    conn.send_request("GET", "http://a/@b?c@d", &HOST, BodyLen::None)
        .expect("it has no userinfo");
}

/// A connection is idle, and the clock was looked at. Then a whole exchange passes in one turn: read, answered, written,
/// before the next look. It waits for the same thing as before, the next request, but since now: with the wait's old
/// beginning a connection that is in use would be closed as idle.
#[test]
fn an_exchange_between_two_looks_at_the_clock_begins_the_idle_time_anew() {
    let (then, later) = (T0 + Duration::from_secs(100), T0 + Duration::from_secs(220));
    let idle = |at| {
        Some(Deadline {
            at,
            why: DeadlineKind::Idle,
        })
    };

    let mut conn = server();
    assert_eq!(conn.deadline(T0), idle(T0 + Duration::from_secs(120)));
    conn.received_copy(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", then);
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!("a request")
    };
    conn.send_head(id, Status::OK, &Fields::EMPTY, BodyLen::None)
        .unwrap();
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, then).unwrap();
    let reuse = Reuse::KeepAlive;
    assert_eq!(
        conn.next_event(),
        Ok(Some(ServerEvent::ExchangeEnd { id, reuse }))
    );
    assert_eq!(conn.deadline(then), idle(later));
    conn.handle_timeout(T0 + Duration::from_secs(120));
    assert_eq!(conn.wants().finish, Finish::No);

    let later = T0 + Duration::from_secs(190);
    let mut conn = client();
    assert_eq!(conn.deadline(T0), idle(T0 + Duration::from_secs(90)));
    let id = conn.send_request("GET", "/", &HOST, BodyLen::None).unwrap();
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, then).unwrap();
    conn.received_copy(b"HTTP/1.1 204 No Content\r\n\r\n", then);
    while conn.next_event() != Ok(Some(ClientEvent::ExchangeEnd { id, reuse })) {}
    assert_eq!(conn.deadline(then), idle(later));
    conn.handle_timeout(T0 + Duration::from_secs(90));
    assert_eq!(conn.wants().finish, Finish::No);
}
