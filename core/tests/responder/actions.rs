//! The single actions: they stay what they are until they are reported, and come in order.

use crate::exchange::{Exchange, GET, HEAD};
use antiphon_core::h1::{Misuse, ServerConfig, ServerConn, ServerEvent, Switch};
use antiphon_core::server::responder::{
    AbortReason, Action, Content, Progress, RequestFacts, RespondError, Responder, ResponderConfig,
    WriteError,
};
use antiphon_core::{Field, Headers, Instant, Status, Version};
use std::sync::Arc;

fn responder(method: &str) -> Responder {
    let facts = RequestFacts::new(method, Version::Http11, Switch::None);
    Responder::new(facts, ResponderConfig::DEFAULT)
}

fn told(response: &Responder) -> String {
    let told = match response.action() {
        Action::Wait => "wait".to_string(),
        Action::Interim { status, fields } => format!("interim {status}, {} fields", fields.len()),
        Action::Head(head) => {
            let fields = head.fields(None);
            let mut lines = 0;
            antiphon_core::FieldLines::for_each_field(&fields, |_| lines += 1);
            format!("head {} {:?}, {lines} fields", head.status(), head.body())
        }
        Action::Body(Content::Borrowed(bytes)) => format!("body {}", bytes.len()),
        Action::Body(Content::Shared(bytes)) => format!("shared body {}", bytes.len()),
        Action::Finish { trailers } => format!("finish, {} trailers", trailers.len()),
        Action::Abort(reason) => format!("abort: {reason}"),
        Action::Over => "over".to_string(),
    };
    // Asking changes nothing.
    assert_eq!(
        format!("{:?}", response.action()),
        format!("{:?}", response.action())
    );
    told
}

/// All actions, each carried out wholly.
fn all(response: &mut Responder) -> Vec<String> {
    let mut all = vec![told(response)];
    while !matches!(response.action(), Action::Wait | Action::Over) {
        response.done();
        all.push(told(response));
    }
    all
}

#[test]
fn a_whole_response() {
    let mut r = responder("GET");
    assert_eq!(told(&r), "wait");
    r.fields_mut().unwrap().append("X-A", "1").unwrap();
    r.inform(Status::EARLY_HINTS, Headers::new()).unwrap();
    assert_eq!(all(&mut r), ["interim 103, 0 fields", "wait"]);
    r.write(b"hello").unwrap();
    assert_eq!(told(&r), "wait");
    r.finish().unwrap();
    assert_eq!(
        all(&mut r),
        [
            "head 200 Known(5), 2 fields",
            "body 5",
            "finish, 0 trailers",
            "over"
        ]
    );
    r.done();
    assert_eq!(told(&r), "over");
}

#[test]
fn a_streamed_response() {
    let mut r = responder("GET");
    r.write(b"1").unwrap();
    r.write_bytes(vec![b'2'; 5000].into()).unwrap();
    r.trailer("X-Sum", "1").unwrap();
    assert_eq!(r.write(b"3"), Ok(0));
    assert_eq!(r.write_bytes(b"3"[..].into()), Err(RespondError::Full));
    assert_eq!(r.written(), 5001);
    assert_eq!(
        all(&mut r),
        ["head 200 Unknown, 1 fields", "body 1", "shared body 5000", "wait"]
    );
    r.write_bytes(b"3"[..].into()).unwrap();
    assert_eq!(all(&mut r), ["wait"]);
    r.finish().unwrap();
    assert_eq!(all(&mut r), ["body 1", "finish, 1 trailers", "over"]);
}

#[test]
fn a_part_of_the_body_is_sent() {
    let mut r = responder("GET");
    r.write(b"12345").unwrap();
    assert_eq!(r.sent(1), Err(Misuse::TooMuch));
    r.flush().unwrap();
    assert_eq!(r.sent(1), Err(Misuse::TooMuch));
    r.done();
    assert_eq!(told(&r), "body 5");
    assert_eq!(r.sent(6), Err(Misuse::TooMuch));
    r.sent(2).unwrap();
    assert_eq!(told(&r), "body 3");
    r.sent(0).unwrap();
    // What is written now goes along.
    r.write(b"67").unwrap();
    match r.action() {
        Action::Body(content) => assert_eq!(content.as_slice(), b"34567"),
        other => panic!("{other:?}"),
    }
    r.sent(5).unwrap();
    assert_eq!(told(&r), "wait");

    r.write_bytes(vec![b'x'; 5000].into()).unwrap();
    r.sent(1000).unwrap();
    assert_eq!(told(&r), "shared body 4000");
    assert_eq!(r.sent(4001), Err(Misuse::TooMuch));
    r.sent(4000).unwrap();
    assert_eq!(told(&r), "wait");
}

#[test]
fn complete_with_its_head() {
    for (method, status) in [("GET", Status::NO_CONTENT), ("HEAD", Status::OK)] {
        let mut r = responder(method);
        r.write_head(status).unwrap();
        r.finish().unwrap();
        assert_eq!(all(&mut r), [&format!("head {status} None, 0 fields"), "over"]);
    }
}

#[test]
fn given_up() {
    let mut r = responder("GET");
    r.fields_mut().unwrap().append("Content-Length", "9").unwrap();
    r.write(b"12345").unwrap();
    r.finish().unwrap();
    assert_eq!(
        all(&mut r),
        [
            "head 200 Known(9), 1 fields",
            "body 5",
            "abort: 5 bytes were written of a Content-Length of 9",
            "over"
        ]
    );
    let mut r = responder("GET");
    r.write(b"12345").unwrap();
    r.flush().unwrap();
    r.abort(AbortReason::Handler);
    assert_eq!(all(&mut r), ["abort: the handler gave up", "over"]);
}

/// A connection with room for 256 bytes of output that has read a request.
fn narrow(request: &str) -> Exchange {
    let mut config = ServerConfig::DEFAULT;
    config.limits.send_buffer = 256;
    let mut conn = ServerConn::new(Arc::new(config), Instant::ZERO);
    conn.received_copy(request.as_bytes(), Instant::ZERO);
    let mut e = Exchange::new(request);
    let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else {
        panic!("no request");
    };
    (e.conn, e.id) = (conn, id);
    e
}

#[test]
fn a_full_connection_is_waited_for() {
    let mut e = narrow(GET);
    let body = vec![b'x'; 1000];
    let date = Some(Field::from_static("Date", "now"));
    assert_eq!(e.response.write_to(&mut e.conn, e.id, &body, date), Ok(1000));
    e.response.flush().unwrap();
    assert_eq!(e.response.drive(&mut e.conn, e.id, date), Ok(Progress::Full));
    let queued = e.conn.outgoing().first().len();
    assert_eq!(e.response.drive(&mut e.conn, e.id, date), Ok(Progress::Full));
    assert_eq!(e.conn.outgoing().first().len(), queued);
    let mut sent = e.sent().to_string();
    sent += e.finish();
    // The body, and text/plain.
    assert_eq!(sent.matches('x').count(), 1001);
    assert!(sent.ends_with("\r\n0\r\n\r\n"));

    // An interim response needs room, too.
    let mut e = narrow(GET);
    let mut fields = Headers::new();
    fields.append("X-Long", "x".repeat(300)).unwrap();
    e.response.inform(Status::EARLY_HINTS, fields).unwrap();
    let progress = e.response.drive(&mut e.conn, e.id, None);
    assert_eq!(progress, Ok(Progress::Waiting));
    e.response.inform(Status::PROCESSING, Headers::new()).unwrap();
    let progress = e.response.drive(&mut e.conn, e.id, None);
    assert_eq!(progress, Ok(Progress::Full));
    assert!(e.sent().ends_with("HTTP/1.1 102 Processing\r\n\r\n"));
}

#[test]
fn many_bytes_go_past_the_buffer() {
    let mut e = Exchange::new(GET);
    let body = vec![b'x'; 50_000];
    // The buffer's worth, the rest in one chunk.
    assert_eq!(e.response.write_to(&mut e.conn, e.id, &body, None), Ok(50_000));
    assert_eq!(told(&e.response), "wait");
    assert!(
        e.sent()
            .ends_with(&format!("\r\nbb50\r\n{}\r\n", "x".repeat(47_952)))
    );
    // The connection's room is the bound.
    assert_eq!(e.response.write_to(&mut e.conn, e.id, &body, None), Ok(50_000));
    let taken = e.response.write_to(&mut e.conn, e.id, &body, None).unwrap();
    assert!(taken < 20_000, "{taken}");
    assert_eq!(e.response.written(), 100_000 + taken as u64);

    // The rules are those of `write`.
    let mut e = Exchange::new(HEAD);
    e.set("Content-Length", "9");
    let long = RespondError::TooLong { declared: 9 };
    let result = e.response.write_to(&mut e.conn, e.id, b"1234567890", None);
    assert_eq!(result, Err(WriteError::Refused(long)));
    let mut e = Exchange::new(GET);
    e.conn.abort(e.id).unwrap();
    let result = e.response.write_to(&mut e.conn, e.id, &body, None);
    assert!(matches!(result, Err(WriteError::Connection(_))), "{result:?}");
}

#[test]
fn a_length_that_is_known_reaches_the_connection() {
    let mut e = Exchange::new(GET);
    e.set("Content-Length", "50000");
    let body = vec![b'x'; 50_000];
    assert_eq!(e.response.write_to(&mut e.conn, e.id, &body, None), Ok(50_000));
    assert_eq!(told(&e.response), "wait");
    // The body, and text/plain.
    assert_eq!(e.sent().matches('x').count(), 50_001);
}
