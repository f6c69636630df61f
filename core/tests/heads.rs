//! The views of a head: what each of their methods says.

use antiphon_core::h1::*;
use antiphon_core::{Instant, Status, TargetForm, Version};
use std::sync::Arc;

const T0: Instant = Instant::ZERO;

fn head(wire: &[u8], look: impl FnOnce(RequestHead<'_>)) -> OwnedHead {
    let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
    conn.received_copy(wire, T0);
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!()
    };
    look(conn.head(id).unwrap());
    conn.take_head(id)
}

#[test]
fn of_a_request() {
    let wire = b"PUT /a/b?c=d HTTP/1.0\r\nHost: example.com:80\r\nX-A: b\r\n\r\n";
    let owned = head(wire, |h| {
        assert_eq!((h.method(), h.target()), ("PUT", "/a/b?c=d"));
        assert_eq!(h.target_bytes(), b"/a/b?c=d");
        assert_eq!((h.path(), h.query()), ("/a/b", Some("c=d")));
        assert_eq!(h.host(), Some("example.com:80"));
        assert_eq!(h.header("x-a"), Some(&b"b"[..]));
        assert_eq!(h.header("x-b"), None);
        assert_eq!(
            (h.version(), h.target_form()),
            (Version::Http10, TargetForm::Origin)
        );
        assert_eq!(h.fields().iter().count(), 2);
        let request = h.to_request().unwrap();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("PUT", "/a/b?c=d")
        );
        assert_eq!(request.version, Version::Http10);
        assert_eq!(request.headers.iter().count(), 2);
    });
    assert!(owned.as_request().is_some() && owned.as_response().is_none());
    assert_eq!(owned.fields().get("x-a"), Some(&b"b"[..]));
    assert_eq!(owned.into_headers().iter().count(), 2);
    head(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", |h| {
        assert_eq!((h.path(), h.query()), ("/", None));
    });
    head(b"GET http://b/c?d HTTP/1.1\r\nHost: a\r\n\r\n", |h| {
        assert_eq!((h.path(), h.query(), h.host()), ("/c", Some("d"), Some("b")));
        assert_eq!(h.target_form(), TargetForm::Absolute);
    });
}

#[test]
fn of_a_response() {
    let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
    let host = [antiphon_core::Field::from_static("host", "a")];
    let id = conn.send_request("GET", "/", &host, BodyLen::None).unwrap();
    let n = conn.outgoing().first().len() as u64;
    conn.sent(n, T0).unwrap();
    assert!(conn.head(id).is_err());
    conn.received_copy(
        b"HTTP/1.0 404 Not here\r\nX-A: b\r\nContent-Length: 0\r\n\r\n",
        T0,
    );
    assert!(matches!(
        conn.next_event(),
        Ok(Some(ClientEvent::Response { .. }))
    ));
    let h = conn.head(id).unwrap();
    assert_eq!((h.status(), h.version()), (Status::NOT_FOUND, Version::Http10));
    assert_eq!(h.reason(), b"Not here");
    assert_eq!((h.header("x-a"), h.header("x-b")), (Some(&b"b"[..]), None));
    let response = h.to_response();
    assert_eq!(
        (response.status, response.version),
        (Status::NOT_FOUND, Version::Http10)
    );
    assert_eq!(response.headers.iter().count(), 2);
    let owned = conn.take_head(id);
    assert!(owned.as_request().is_none() && owned.as_response().is_some());
    assert!(conn.head(id).is_err());
    let nothing = OwnedHead::default();
    assert!(nothing.as_request().is_none() && nothing.as_response().is_none());
}

/// A buffer says what it holds: the bytes of the head and twelve or sixteen for each of its fields, too.
#[test]
fn count_for_the_capacity_of_a_buffer() {
    let capacity = |fields: usize| {
        let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(fields));
        conn.received_copy(wire.as_bytes(), T0);
        let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
            panic!()
        };
        conn.abort(id).unwrap();
        (conn.reclaim().unwrap().capacity(), wire.len())
    };
    let ((few, _), (many, len)) = (capacity(0), capacity(99));
    let more = many - few;
    assert!((len - 100 + 99 * 12..4 * len + 99 * 32).contains(&more), "{more}");
}

/// A trailer section is kept in a store of its own, which counts, too.
#[test]
fn trailers_count_for_the_capacity_of_a_buffer() {
    let capacity = |value: usize| {
        let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
        let (head, value) = (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
            "v".repeat(value),
        );
        conn.received_copy(format!("{head}\r\n0\r\nx: {value}\r\n\r\n").as_bytes(), T0);
        let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
            panic!()
        };
        conn.want_body(id);
        assert_eq!(conn.next_event(), Ok(Some(ServerEvent::BodyEnd { id })));
        assert_eq!(conn.trailers(id).unwrap().get("x").unwrap().len(), value.len());
        conn.abort(id).unwrap();
        conn.reclaim().unwrap().capacity()
    };
    let (short, long) = (capacity(1), capacity(2_000));
    assert!((short + 1_900..short + 5_000).contains(&long), "{short} {long}");
}
