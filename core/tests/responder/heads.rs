//! Status, fields and interim responses.

use crate::exchange::{CONNECT, EXPECTS, Exchange, GET, UPGRADE, length_of};
use antiphon_core::h1::{CloseReason, Reuse};
use antiphon_core::server::responder::{Notice, RespondError};
use antiphon_core::{Headers, Status, UnixTime};

#[test]
fn nothing_written_is_an_empty_200() {
    let mut e = Exchange::new(GET);
    assert_eq!(e.sent(), "");
    assert_eq!(e.finish(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert!(e.response.is_over());
    assert_eq!(e.reuse(), Reuse::KeepAlive);
    assert_eq!(e.notices(), []);
}

#[test]
fn what_the_handler_set_stays() {
    let mut e = Exchange::new(GET);
    e.date = Some(UnixTime(784_111_777));
    e.set("Date", "yesterday").set("content-type", "a/b");
    e.response.write_head(Status::CREATED).unwrap();
    e.response.write(b"<html>").unwrap();
    assert_eq!(
        e.finish(),
        "HTTP/1.1 201 Created\r\nDate: yesterday\r\ncontent-type: a/b\r\ncontent-length: 6\r\n\r\n<html>"
    );
}

#[test]
fn a_type_is_found_only_where_the_bytes_tell_it() {
    // The content is coded, or it is not wanted.
    for (name, value) in [("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")] {
        let mut e = Exchange::new(GET);
        e.set(name, value);
        e.response.write(b"x").unwrap();
        assert!(!e.finish().contains("Content-Type"), "{name}");
    }
    let mut e = Exchange::new(GET);
    e.response.set_sniff(false);
    e.response.write(b"x").unwrap();
    assert!(!e.finish().contains("Content-Type"));

    // Of what comes in pieces, the first 512 bytes are looked at, whoever wrote them.
    let mut e = Exchange::new(GET);
    e.response.write(&[b' '; 500]).unwrap();
    let mut rest = b"<html>".to_vec();
    rest.resize(4000, b'x');
    e.response.write_bytes(rest.into()).unwrap();
    let sent = e.finish();
    assert!(
        sent.contains("Content-Type: text/html; charset=utf-8\r\n"),
        "{sent}"
    );
    // At a flush, what is there.
    let mut e = Exchange::new(GET);
    e.response.write(b"\0").unwrap();
    e.response.flush().unwrap();
    assert!(e.sent().contains("Content-Type: application/octet-stream\r\n"));
}

#[test]
fn the_first_status_stands() {
    let mut e = Exchange::new(GET);
    e.response.set_status(Status::NOT_FOUND).unwrap();
    e.response.set_status(Status::GONE).unwrap();
    assert_eq!(e.response.status(), 410);
    e.response.write(b"x").unwrap();
    e.response.write_head(Status::BAD_REQUEST).unwrap();
    e.response.set_status(Status::OK).unwrap();
    assert_eq!(e.response.fields_mut().err(), Some(RespondError::HeadWritten));
    assert!(e.finish().starts_with("HTTP/1.1 410 Gone\r\n"));
    let (first, third) = (Status::GONE, Status::OK);
    assert_eq!(
        e.notices(),
        [
            Notice::Superfluous {
                first,
                second: Status::BAD_REQUEST
            },
            Notice::Superfluous { first, second: third },
        ]
    );
    // Notices are bounded.
    let mut e = Exchange::new(GET);
    for _ in 0..100 {
        e.response.write_head(Status::OK).unwrap();
    }
    assert_eq!(e.notices().len(), 8);
}

#[test]
fn a_head_that_was_written_waits_for_the_body_or_a_flush() {
    let mut e = Exchange::new(GET);
    e.response.write_head(Status::ACCEPTED).unwrap();
    assert_eq!(e.sent(), "");
    assert!(e.response.can_replace());
    e.response.flush().unwrap();
    assert_eq!(
        e.sent(),
        "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert!(!e.response.can_replace());
}

#[test]
fn framing_fields_that_make_no_sense_are_dropped_and_told() {
    use Notice::*;
    let framed = |fields: &[(&str, &str)]| {
        let mut e = Exchange::new(GET);
        for (name, value) in fields {
            e.set(name, value);
        }
        e.response.set_sniff(false);
        e.response.write(b"x").unwrap();
        let framing = e.finish().split("\r\n").nth(1).unwrap().to_string();
        assert_eq!(e.reuse(), Reuse::KeepAlive, "{fields:?}");
        (framing, e.notices())
    };
    let length = || "content-length: 1".to_string();
    let chunked = || "transfer-encoding: chunked".to_string();
    let (cl, te) = ("Content-Length", "Transfer-Encoding");
    assert_eq!(framed(&[(cl, "x")]), (length(), vec![LengthInvalid]));
    assert_eq!(framed(&[(cl, "1"), (cl, "1")]), (length(), vec![]));
    assert_eq!(framed(&[(te, "gzip")]), (length(), vec![CodingDropped]));
    assert_eq!(framed(&[(te, "chunked")]), (chunked(), vec![]));
    assert_eq!(
        framed(&[(te, "chunked"), (cl, "9")]),
        (chunked(), vec![LengthDropped])
    );
}

#[test]
fn a_304_loses_its_content_type() {
    let mut e = Exchange::new(GET);
    e.set("Content-Type", "a/b")
        .set("Content-Length", "7")
        .set("Vary", "x");
    e.response.set_status(Status::NOT_MODIFIED).unwrap();
    assert_eq!(e.finish(), "HTTP/1.1 304 Not Modified\r\nVary: x\r\n\r\n");
    // A 204 does not.
    let mut e = Exchange::new(GET);
    e.set("Content-Type", "a/b");
    e.response.set_status(Status::NO_CONTENT).unwrap();
    assert_eq!(e.finish(), "HTTP/1.1 204 No Content\r\nContent-Type: a/b\r\n\r\n");
}

#[test]
fn interim_responses_come_before_the_head() {
    let mut e = Exchange::new(GET);
    let mut hints = Headers::new();
    hints.append("Link", "</style.css>").unwrap();
    let inform = |e: &mut Exchange, status| e.response.inform(status, hints.clone());
    inform(&mut e, Status::EARLY_HINTS).unwrap();
    assert_eq!(inform(&mut e, Status::PROCESSING), Err(RespondError::Full));
    assert_eq!(e.sent(), "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
    inform(&mut e, Status::PROCESSING).unwrap();
    assert_eq!(e.sent(), "HTTP/1.1 102 Processing\r\nLink: </style.css>\r\n\r\n");
    for status in [Status::OK, Status::SWITCHING_PROTOCOLS] {
        assert_eq!(inform(&mut e, status), Err(RespondError::NotInterim));
    }
    // The other way round they are no final ones.
    for status in [Status::CONTINUE, Status::EARLY_HINTS] {
        assert_eq!(e.response.set_status(status), Err(RespondError::NotFinal));
        assert_eq!(e.response.write_head(status), Err(RespondError::NotFinal));
    }
    // One that is told together with the head is before it, too.
    inform(&mut e, Status::EARLY_HINTS).unwrap();
    e.response.write_head(Status::OK).unwrap();
    assert_eq!(
        inform(&mut e, Status::EARLY_HINTS),
        Err(RespondError::HeadWritten)
    );
    assert_eq!(
        e.finish(),
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    );
}

#[test]
fn an_answer_cancels_the_100_that_was_not_sent() {
    let mut e = Exchange::new(EXPECTS);
    e.response.error(Status::CONTENT_TOO_LARGE, "no").unwrap();
    let sent = e.finish().to_string();
    assert!(sent.starts_with("HTTP/1.1 413 Content Too Large\r\n"), "{sent}");
    assert!(sent.contains("connection: close\r\n"), "{sent}");
    assert_eq!(e.reuse(), Reuse::Close(CloseReason::ContinueNotSent));

    // A 100 of the handler's own counts.
    let mut e = Exchange::new(EXPECTS);
    e.response.inform(Status::CONTINUE, Headers::new()).unwrap();
    assert_eq!(e.sent(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(!e.finish().contains("close"));
}

#[test]
fn a_wish_to_close() {
    let mut e = Exchange::new(GET);
    e.set("Connection", "close");
    assert_eq!(
        e.finish(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    assert_eq!(e.reuse(), Reuse::Close(CloseReason::LocalAsked));
}

#[test]
fn a_tunnel_has_neither_length_nor_coding() {
    let mut e = Exchange::new(CONNECT);
    e.set("Content-Length", "5").set("Transfer-Encoding", "chunked");
    e.response.write_head(Status::OK).unwrap();
    assert_eq!(
        e.response.write(b"x"),
        Err(RespondError::BodyNotAllowed { status: Status::OK })
    );
    assert_eq!(e.finish(), "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(e.reuse(), Reuse::Switched);
    // Refused, it is a response like others.
    let mut e = Exchange::new(CONNECT);
    e.response.error(Status::FORBIDDEN, "no").unwrap();
    assert_eq!(length_of(e.finish()), Some("3"));
}

#[test]
fn an_upgrade() {
    let mut e = Exchange::new(UPGRADE);
    let switch = Status::SWITCHING_PROTOCOLS;
    assert_eq!(e.response.write_head(switch), Err(RespondError::NoSwitchProposed));
    e.set("Upgrade", "echo");
    e.response.write_head(switch).unwrap();
    assert_eq!(
        e.finish(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nconnection: upgrade\r\n\r\n"
    );
    assert_eq!(e.reuse(), Reuse::Switched);
    let mut e = Exchange::new(GET);
    e.set("Upgrade", "echo");
    assert_eq!(e.response.write_head(switch), Err(RespondError::NoSwitchProposed));
    assert_eq!(e.response.set_status(switch), Err(RespondError::NotFinal));
}
