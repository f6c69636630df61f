//! Bodies: lengths, flushes, HEAD, statuses without content, trailers.

use crate::exchange::{Exchange, GET, GET_10, HEAD, length_of};
use antiphon_core::h1::{CloseReason, Reuse, Switch};
use antiphon_core::server::responder::{Notice, RequestFacts, RespondError, Responder, ResponderConfig};
use antiphon_core::{Headers, Status, UnixTime, Version};

#[test]
fn a_short_body_gets_its_length_and_its_type() {
    let mut e = Exchange::new(GET);
    e.date = Some(UnixTime(784_111_777));
    assert_eq!(e.response.write(b"hello "), Ok(6));
    assert_eq!(e.response.write(b"world"), Ok(5));
    assert_eq!(e.sent(), "");
    assert_eq!(
        e.finish(),
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: text/plain; charset=utf-8\r\ncontent-length: 11\r\n\r\nhello world"
    );
    assert_eq!(e.response.written(), 11);
}

#[test]
fn a_body_as_long_as_the_buffer_has_a_length_and_a_longer_one_is_chunked() {
    let body = "x".repeat(2048);
    let mut e = Exchange::new(GET);
    assert_eq!(e.response.write(body.as_bytes()), Ok(2048));
    assert_eq!(e.sent(), "");
    assert_eq!(length_of(e.finish()), Some("2048"));

    let mut e = Exchange::new(GET);
    assert_eq!(e.response.write(body.as_bytes()), Ok(2048));
    assert_eq!(e.response.write(b"y"), Ok(0));
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(e.sent(), format!("{head}800\r\n{body}\r\n"));
    assert_eq!(e.response.write(b"y"), Ok(1));
    assert_eq!(e.sent(), "");
    assert_eq!(e.finish(), "1\r\ny\r\n0\r\n\r\n");
    assert_eq!(e.reuse(), Reuse::KeepAlive);
}

#[test]
fn a_flush_sends_what_there_is() {
    let mut e = Exchange::new(GET);
    e.set("Content-Type", "a/b");
    e.response.flush().unwrap();
    assert_eq!(
        e.sent(),
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    e.response.write(b"one").unwrap();
    assert_eq!(e.sent(), "");
    e.response.flush().unwrap();
    assert_eq!(e.sent(), "3\r\none\r\n");
    e.response.flush().unwrap();
    assert_eq!(e.sent(), "");
    e.response.write(b"two").unwrap();
    assert_eq!(e.sent(), "");
    assert_eq!(e.finish(), "3\r\ntwo\r\n0\r\n\r\n");
}

#[test]
fn a_declared_length_is_held_to() {
    let mut e = Exchange::new(GET);
    e.set("Content-Length", "5").set("Content-Type", "a/b");
    assert_eq!(e.response.write(b"123"), Ok(3));
    // Not a byte of what is too long.
    let long = RespondError::TooLong { declared: 5 };
    assert_eq!(e.response.write(b"456"), Err(long));
    assert_eq!(e.response.write_bytes(b"456"[..].into()), Err(long));
    assert_eq!(e.response.write(b"45"), Ok(2));
    assert_eq!(e.response.write(b""), Ok(0));
    assert_eq!(
        e.finish(),
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length: 5\r\n\r\n12345"
    );
    assert_eq!(e.reuse(), Reuse::KeepAlive);

    // What is too short is sent, and does not look whole.
    let mut e = Exchange::new(GET);
    e.set("Content-Length", "5").set("Content-Type", "a/b");
    e.response.write(b"123").unwrap();
    assert_eq!(
        e.finish(),
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length: 5\r\n\r\n123"
    );
    assert_eq!(e.reuse(), Reuse::Close(CloseReason::Aborted));

    // Nothing at all is too short as well.
    let mut e = Exchange::new(GET);
    e.set("Content-Length", "5");
    assert_eq!(e.finish(), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(e.reuse(), Reuse::Close(CloseReason::Aborted));
}

#[test]
fn a_declared_length_needs_no_buffer() {
    let mut e = Exchange::new(GET);
    e.set("Content-Length", "100000");
    let body = vec![b'x'; 100_000];
    e.response.write_bytes(body.clone().into()).unwrap();
    assert_eq!(
        e.response.write_bytes(body.into()),
        Err(RespondError::TooLong { declared: 100_000 })
    );
    let sent = e.finish();
    assert_eq!(length_of(sent), Some("100000"));
    assert_eq!(sent.len() - sent.find("\r\n\r\n").unwrap() - 4, 100_000);
    assert_eq!(e.reuse(), Reuse::KeepAlive);
}

#[test]
fn a_response_to_head_counts_and_sends_nothing() {
    let mut e = Exchange::new(HEAD);
    e.response.write(b"<html>").unwrap();
    assert_eq!(
        e.finish(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\ncontent-length: 6\r\n\r\n"
    );
    assert_eq!(e.response.written(), 6);

    // Nothing written says nothing about a GET.
    let mut e = Exchange::new(HEAD);
    assert_eq!(e.finish(), "HTTP/1.1 200 OK\r\n\r\n");

    // Long or flushed: a GET would be chunked, and there is no need to say so.
    for shared in [false, true] {
        let mut e = Exchange::new(HEAD);
        let body = vec![b'x'; 5000];
        match shared {
            false => assert_eq!(e.response.write(&body), Ok(5000)),
            true => e.response.write_bytes(body.clone().into()).unwrap(),
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";
        assert_eq!(e.sent(), head);
        assert_eq!(e.response.write(&body), Ok(5000));
        e.response.write_bytes(body.into()).unwrap();
        assert_eq!(e.response.written(), 15_000);
        assert_eq!(e.finish(), "");
        assert_eq!(e.reuse(), Reuse::KeepAlive);
    }

    // A declared length is said, need not be reached, and may not be passed.
    let mut e = Exchange::new(HEAD);
    e.set("Content-Length", "5").set("Content-Type", "a/b");
    assert_eq!(
        e.response.write(b"123456"),
        Err(RespondError::TooLong { declared: 5 })
    );
    assert_eq!(
        e.finish(),
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length: 5\r\n\r\n"
    );
    assert_eq!(e.reuse(), Reuse::KeepAlive);
}

#[test]
fn a_status_without_content_refuses_bytes() {
    for (code, framing) in [(204, ""), (304, ""), (205, "content-length: 0\r\n")] {
        let status = Status::new(code).unwrap();
        for request in [GET, HEAD] {
            let mut e = Exchange::new(request);
            e.set("ETag", "\"a\"").set("Content-Length", "7");
            e.response.write_head(status).unwrap();
            let refused = RespondError::BodyNotAllowed { status };
            assert_eq!(e.response.write(b"x"), Err(refused));
            assert_eq!(e.response.write_bytes(b"x"[..].into()), Err(refused));
            assert_eq!(e.response.write(b""), Ok(0));
            let line = format!("HTTP/1.1 {code} {}\r\n", status.reason());
            let framing = if request == HEAD && code != 205 {
                ""
            } else {
                framing
            };
            assert_eq!(e.finish(), format!("{line}ETag: \"a\"\r\n{framing}\r\n"));
            assert_eq!(e.reuse(), Reuse::KeepAlive);
            assert_eq!(e.notices(), []);
        }
    }
}

#[test]
fn http_1_0_gets_neither_interim_responses_nor_chunks() {
    let mut e = Exchange::new(GET_10);
    e.response.inform(Status::EARLY_HINTS, Headers::new()).unwrap();
    assert_eq!(e.sent(), "");
    e.response.trailer("X-Sum", "1").unwrap();
    e.response.set_sniff(false);
    e.response.write(b"x").unwrap();
    e.response.flush().unwrap();
    assert_eq!(e.sent(), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nx");
    assert_eq!(e.finish(), "");
    assert_eq!(e.notices(), []);
    assert!(matches!(e.reuse(), Reuse::Close(_)));
}

#[test]
fn trailers() {
    // Known before the head: announced.
    let mut e = Exchange::new(GET);
    e.set("Content-Type", "a/b");
    e.response.trailer("X-Sum", "1").unwrap();
    e.response.trailer("X-Time", "2").unwrap();
    e.response.write(b"x").unwrap();
    assert_eq!(
        e.finish(),
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTrailer: X-Sum, X-Time\r\ntransfer-encoding: chunked\r\n\r\n\
         1\r\nx\r\n0\r\nX-Sum: 1\r\nX-Time: 2\r\n\r\n"
    );
    // Announced by the handler, and known later.
    let mut e = Exchange::new(GET);
    e.set("Content-Type", "a/b").set("Trailer", "X-Sum");
    e.response.write(b"x").unwrap();
    e.response.trailer("X-Sum", "1").unwrap();
    assert_eq!(
        e.finish(),
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTrailer: X-Sum\r\ntransfer-encoding: chunked\r\n\r\n\
         1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n"
    );
    // Neither: the head has left.
    let mut e = Exchange::new(GET);
    e.response.flush().unwrap();
    e.sent();
    e.response.trailer("X-Sum", "1").unwrap();
    assert_eq!(e.finish(), "0\r\nX-Sum: 1\r\n\r\n");
    assert_eq!(e.notices(), []);
    assert_eq!(e.response.trailer("X-Sum", "1"), Err(RespondError::Ended));
}

#[test]
fn trailers_without_a_place_are_dropped() {
    for (request, status, length, notices) in [
        (GET, Status::OK, "1", &[Notice::TrailersDropped][..]),
        (GET, Status::NO_CONTENT, "0", &[Notice::TrailersDropped]),
        // Not the handler's fault.
        (HEAD, Status::OK, "1", &[]),
    ] {
        let mut e = Exchange::new(request);
        e.set("Content-Length", length);
        e.response.write_head(status).unwrap();
        if status == Status::OK {
            e.response.write(b"x").unwrap();
        }
        e.response.trailer("X-Sum", "1").unwrap();
        assert!(!e.finish().contains("X-Sum"));
        assert_eq!(e.notices(), notices, "{status}");
        assert_eq!(e.reuse(), Reuse::KeepAlive);
    }
}

#[test]
fn trailers_that_may_not_be() {
    let mut e = Exchange::new(GET);
    for name in [
        "Content-Length",
        "transfer-encoding",
        "Host",
        "Authorization",
        "Content-Type",
        "If-Match",
        "Trailer",
    ] {
        assert_eq!(
            e.response.trailer(name, "1"),
            Err(RespondError::ForbiddenTrailer),
            "{name}"
        );
    }
    for (name, value) in [("", "1"), ("a b", "1"), ("a", "1\r\nb: 2")] {
        assert!(
            matches!(
                e.response.trailer(name, value),
                Err(RespondError::InvalidField(_))
            ),
            "{name:?}"
        );
    }
    assert_eq!(e.finish(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

#[test]
fn a_small_buffer_is_as_large_as_what_is_looked_at() {
    let facts = RequestFacts::new("GET", Version::Http11, Switch::None);
    let mut config = ResponderConfig::DEFAULT;
    for (buffer, room) in [(0, 512), (511, 512), (513, 513), (100_000, 100_000)] {
        config.buffer = buffer;
        assert_eq!(
            Responder::new(facts, config).write(&vec![b'x'; 200_000]),
            Ok(room)
        );
    }
}
