//! Rules of the client that no other test holds on the pure side: what `docs/client.md` names from here.

use antiphon_core::h1::*;
use antiphon_core::{Field, Fields, Headers, Instant, Status};
use std::sync::Arc;

const T0: Instant = Instant::ZERO;
const HOST: Field<'static> = Field::from_static("host", "a");

fn client() -> ClientConn {
    ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0)
}

fn flush(conn: &mut ClientConn) -> String {
    let mut all = Vec::new();
    while conn.wants().write {
        all.extend_from_slice(conn.outgoing().first());
        let n = conn.outgoing().first().len() as u64;
        conn.sent(n, T0).unwrap();
    }
    String::from_utf8(all).unwrap()
}

fn events(conn: &mut ClientConn) -> Vec<ClientEvent> {
    std::iter::from_fn(|| conn.next_event().unwrap()).collect()
}

#[test]
fn g1_fields_are_found_in_any_case_and_kept_as_they_are() {
    let mut headers = Headers::new();
    headers.append("X-Tea", "Assam").unwrap();
    headers.append("Other", "1").unwrap();
    headers.append("x-tEA", "Ceylon").unwrap();
    assert_eq!(headers.get_str("X-TEA"), Some("Assam"));
    let all: Vec<&[u8]> = headers.get_all("x-tea").collect();
    assert_eq!(all, [&b"Assam"[..], b"Ceylon"]);
    let names = |h: &Headers| -> Vec<String> { h.iter().map(|f| f.name.as_str().to_string()).collect() };
    assert_eq!(names(&headers), ["X-Tea", "Other", "x-tEA"]);
    headers.set("x-tea", "Darjeeling").unwrap();
    let all: Vec<&[u8]> = headers.get_all("X-Tea").collect();
    assert_eq!(all, [b"Darjeeling"]);
    assert_eq!((headers.remove("X-TEA"), headers.remove("x-tea")), (1, 0));
    assert_eq!(names(&headers), ["Other"]);
}

#[test]
fn g2_every_registered_status_has_its_phrase() {
    let with: Vec<u16> = (100..=599)
        .filter(|&code| !Status::new(code).unwrap().reason().is_empty())
        .collect();
    let mut expected: Vec<u16> = vec![100, 101, 102, 103];
    expected.extend(200..=208);
    expected.extend([226, 300, 301, 302, 303, 304, 305, 307, 308]);
    expected.extend(400..=418);
    expected.extend([421, 422, 423, 424, 425, 426, 428, 429, 431, 451]);
    expected.extend((500..=511).filter(|&code| code != 509));
    assert_eq!(with, expected);
    assert_eq!(Status::NOT_FOUND.reason(), "Not Found");
    assert_eq!(
        (
            Status::IM_A_TEAPOT.code(),
            Status::NETWORK_AUTHENTICATION_REQUIRED.code()
        ),
        (418, 511)
    );
}

#[test]
fn e1_what_is_sent_is_http_1_1_and_framed_by_the_body_alone() {
    for (method, body, fields) in [
        ("GET", BodyLen::None, "host: a\r\n"),
        ("POST", BodyLen::None, "host: a\r\ncontent-length: 0\r\n"),
        ("PATCH", BodyLen::Known(0), "host: a\r\ncontent-length: 0\r\n"),
        ("GET", BodyLen::Known(2), "host: a\r\ncontent-length: 2\r\n"),
        (
            "POST",
            BodyLen::Unknown,
            "host: a\r\ntransfer-encoding: chunked\r\n",
        ),
    ] {
        let mut conn = client();
        conn.send_request(method, "/", &[HOST], body).unwrap();
        let head = format!("{method} / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(flush(&mut conn), head);
    }
    // No method: the layers above take GET; here it is none.
    let mut conn = client();
    assert!(conn.send_request("", "/", &[HOST], BodyLen::None).is_err());
}

#[test]
fn e9_trailers_follow_a_chunked_body_only() {
    let sum = [Field::from_static("x-sum", "7")];
    let mut conn = client();
    let id = conn.send_request("PUT", "/", &[HOST], BodyLen::Unknown).unwrap();
    conn.send_body_copy(id, b"tea").unwrap();
    let framing = [Field::from_static("content-length", "3")];
    assert_eq!(conn.finish(id, &framing), Err(Misuse::ForbiddenField));
    conn.finish(id, &sum).unwrap();
    assert!(flush(&mut conn).ends_with("\r\n\r\n3\r\ntea\r\n0\r\nx-sum: 7\r\n\r\n"));

    let mut conn = client();
    let id = conn.send_request("PUT", "/", &[HOST], BodyLen::Known(3)).unwrap();
    conn.send_body_copy(id, b"tea").unwrap();
    assert_eq!(conn.finish(id, &sum), Err(Misuse::TrailersNeedChunked));
}

/// Whether a response with these lengths is understood, and what for.
fn length(lines: &str) -> Result<BodyLen, PeerErrorKind> {
    let mut conn = client();
    conn.send_request("GET", "/", &[HOST], BodyLen::None).unwrap();
    flush(&mut conn);
    conn.received_copy(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes(), T0);
    match conn.next_event() {
        Ok(Some(ClientEvent::Response { body, .. })) => Ok(body),
        Ok(other) => panic!("{lines:?}: {other:?}"),
        Err(e) => Err(e.kind()),
    }
}

#[test]
fn h5_the_lengths_of_a_response() {
    use PeerErrorKind::{ContentLength, ContentLengthConflict, TransferCoding};
    let most = i64::MAX as u64;
    for (lines, expected) in [
        ("Content-Length: 5\r\n".into(), Ok(BodyLen::Known(5))),
        (
            "Content-Length: 5\r\ncontent-length:  5 \r\n".into(),
            Ok(BodyLen::Known(5)),
        ),
        (format!("Content-Length: {most}\r\n"), Ok(BodyLen::Known(most))),
        (format!("Content-Length: {}\r\n", most + 1), Err(ContentLength)),
        ("Content-Length: \r\n".into(), Err(ContentLength)),
        ("Content-Length: +5\r\n".into(), Err(ContentLength)),
        ("Content-Length: -5\r\n".into(), Err(ContentLength)),
        ("Content-Length: 0x5\r\n".into(), Err(ContentLength)),
        (
            "Content-Length: 5\r\nContent-Length: 6\r\n".into(),
            Err(ContentLengthConflict),
        ),
        ("Transfer-Encoding: CHUNKED\r\n".into(), Ok(BodyLen::Unknown)),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n".into(),
            Ok(BodyLen::Unknown),
        ),
        ("Transfer-Encoding: identity\r\n".into(), Err(TransferCoding)),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".into(),
            Err(TransferCoding),
        ),
        (String::new(), Ok(BodyLen::Unknown)),
    ] {
        assert_eq!(length(&lines), expected, "{lines:?}");
    }
}

#[test]
fn n2_a_final_answer_instead_of_100_lets_the_body_go_only_if_the_connection_stays() {
    let fields = [HOST, Field::from_static("expect", "100-continue")];
    for (close, sent) in [("", true), ("Connection: close\r\n", false)] {
        let mut conn = client();
        let id = conn
            .send_request("POST", "/", &fields, BodyLen::Known(2))
            .unwrap();
        flush(&mut conn);
        let answer = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 0\r\n\r\n");
        conn.received_copy(answer.as_bytes(), T0);
        let told = events(&mut conn);
        assert_eq!(
            told.contains(&ClientEvent::SendBodyNow { id }),
            sent,
            "{close:?}: {told:?}"
        );
        if sent {
            conn.send_body_copy(id, b"ab").unwrap();
            conn.finish(id, &Fields::EMPTY).unwrap();
            assert_eq!(flush(&mut conn), "ab");
            let reuse = Reuse::KeepAlive;
            assert_eq!(events(&mut conn), [ClientEvent::ExchangeEnd { id, reuse }]);
        } else {
            assert_eq!(conn.wants().finish, Finish::Close);
        }
    }
}
