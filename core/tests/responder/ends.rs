//! How a response ends: errors, failures, aborts.

use crate::exchange::{Exchange, GET};
use antiphon_core::h1::{CloseReason, Reuse, ServerEvent, Switch};
use antiphon_core::server::responder::{AbortReason, RequestFacts, RespondError, not_found};
use antiphon_core::{Headers, Status, Version};

#[test]
fn errors_take_the_place_of_the_content() {
    let mut e = Exchange::new(GET);
    for (name, value) in [
        ("Content-Length", "99"),
        ("Content-Encoding", "gzip"),
        ("ETag", "\"a\""),
        ("Last-Modified", "yesterday"),
        ("Cache-Control", "max-age=9"),
        ("content-type", "image/png"),
        ("X-Request-Id", "7"),
    ] {
        e.set(name, value);
    }
    e.response.error(Status::NOT_FOUND, "no such thing").unwrap();
    let body = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Request-Id: 7\r\n\
                X-Content-Type-Options: nosniff\r\ncontent-length: 14\r\n\r\nno such thing\n";
    assert_eq!(e.finish(), body);

    let mut e = Exchange::new(GET);
    e.response.not_found().unwrap();
    assert!(
        e.finish()
            .ends_with("\r\ncontent-length: 19\r\n\r\n404 page not found\n")
    );

    // Too late, and where there can be no text.
    let mut e = Exchange::new(GET);
    e.set("ETag", "\"a\"");
    let no_text = RespondError::BodyNotAllowed {
        status: Status::NO_CONTENT,
    };
    assert_eq!(e.response.error(Status::NO_CONTENT, "x"), Err(no_text));
    assert_eq!(
        e.response.error(Status::CONTINUE, "x"),
        Err(RespondError::NotFinal)
    );
    e.response.write(b"x").unwrap();
    assert_eq!(e.response.not_found(), Err(RespondError::HeadWritten));
    let sent = e.finish();
    assert!(sent.starts_with("HTTP/1.1 200 OK\r\n") && sent.contains("ETag: \"a\"\r\n"));

    // A long text is no different.
    let mut e = Exchange::new(GET);
    e.response.error(Status::CONFLICT, &"x".repeat(3000)).unwrap();
    assert!(
        e.finish()
            .contains("transfer-encoding: chunked\r\n\r\nbb9\r\nxxx")
    );
}

#[test]
fn replies_without_a_responder() {
    let (head, body) = not_found();
    assert_eq!(head.status, 404);
    assert_eq!(body, "404 page not found\n");
    let lines: Vec<_> = head.headers.iter().map(|f| f.name.as_str().to_string()).collect();
    assert_eq!(lines, ["Content-Type", "X-Content-Type-Options"]);
}

#[test]
fn a_handler_that_fails() {
    // Nothing has left: the client gets to know.
    let mut e = Exchange::new(GET);
    e.set("Content-Length", "99").set("X-Secret", "1");
    e.response.write_head(Status::OK).unwrap();
    e.response.write_head(Status::BAD_REQUEST).unwrap();
    e.response.write(b"half").unwrap();
    assert_eq!(e.sent(), "");
    assert!(e.response.fail(true));
    assert_eq!(
        e.sent(),
        "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         X-Content-Type-Options: nosniff\r\ncontent-length: 22\r\n\r\nInternal Server Error\n"
    );
    assert_eq!(e.reuse(), Reuse::Close(CloseReason::LocalAsked));
    assert_eq!(e.notices().len(), 1);

    let mut e = Exchange::new(GET);
    assert!(e.response.fail(false));
    e.sent();
    assert_eq!(e.reuse(), Reuse::KeepAlive);

    // Something has.
    let mut e = Exchange::new(GET);
    e.response.write(b"half").unwrap();
    e.response.flush().unwrap();
    assert!(e.sent().ends_with("4\r\nhalf\r\n"));
    e.response.write(b"more").unwrap();
    assert!(!e.response.fail(false));
    assert_eq!(e.sent(), "");
    assert_eq!(e.reuse(), Reuse::Close(CloseReason::Aborted));

    // All has.
    let mut e = Exchange::new(GET);
    e.finish();
    assert!(!e.response.fail(true));
    assert_eq!(e.sent(), "");
    assert_eq!(e.reuse(), Reuse::KeepAlive);
}

#[test]
fn an_abort() {
    let mut e = Exchange::new(GET);
    e.response.inform(Status::EARLY_HINTS, Headers::new()).unwrap();
    e.response.write(b"x").unwrap();
    e.response.flush().unwrap();
    e.response.abort(AbortReason::Handler);
    assert_eq!(e.sent(), "");
    assert_eq!(e.reuse(), Reuse::Close(CloseReason::Aborted));
    assert_eq!(e.response.write(b"x"), Err(RespondError::Ended));
    assert_eq!(e.response.flush(), Err(RespondError::Ended));
    assert_eq!(e.response.finish(), Err(RespondError::Ended));
    assert_eq!(e.response.write_head(Status::OK), Err(RespondError::Ended));
    assert_eq!(e.response.fields_mut().err(), Some(RespondError::Ended));
}

#[test]
fn a_response_that_was_complete_with_its_head_ends_silently() {
    let mut e = Exchange::new(&[GET, GET].concat());
    e.response.write_head(Status::NO_CONTENT).unwrap();
    e.response.flush().unwrap();
    e.sent();
    assert_eq!(e.reuse(), Reuse::KeepAlive);
    // The next request has been read before the handler returns.
    assert!(matches!(
        e.conn.next_event(),
        Ok(Some(ServerEvent::Request { .. }))
    ));
    assert!(!e.response.is_over());
    assert_eq!(e.finish(), "");
    assert!(e.response.is_over());
}

#[test]
fn one_responder_for_many_requests() {
    let mut e = Exchange::new(GET);
    e.set("X-A", "1");
    e.response.trailer("X-B", "1").unwrap();
    e.response.set_sniff(false);
    e.response.write(b"x").unwrap();
    e.response.write_head(Status::OK).unwrap();
    let facts = RequestFacts::new("GET", Version::Http11, Switch::None);
    e.response.restart(facts);
    e.response.write(b"y").unwrap();
    assert_eq!(
        e.finish(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\ncontent-length: 1\r\n\r\ny"
    );
    assert_eq!(e.notices(), []);
    assert_eq!(e.response.written(), 1);
}
