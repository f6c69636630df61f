//! The rules of a response that a handler writes, as transcripts: what the handler calls, and what goes to the client.
//! `responder_heads.rs` looks at heads, `responder_actions.rs` at single actions, `responder_model.rs` at any calls.
#![cfg(feature = "server")]

use antiphon_core::h1::*;
use antiphon_core::server::DateCache;
use antiphon_core::server::responder::*;
use antiphon_core::{Headers, Instant, Status, UnixTime, Version};
use std::sync::Arc;

const T0: Instant = Instant::ZERO;
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_10: &str = "GET / HTTP/1.0\r\n\r\n";
const CONNECT: &str = "CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
const EXPECTS: &str = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";

/// A handler's side of one exchange.
struct Exchange {
    conn: ServerConn,
    id: ExchangeId,
    response: Responder,
    date: Option<UnixTime>,
    wire: String,
}

impl Exchange {
    fn new(request: &str) -> Exchange {
        let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), T0);
        conn.received_copy(request.as_bytes(), T0);
        let Ok(Some(ServerEvent::Request { id, proposes, .. })) = conn.next_event() else {
            panic!("no request: {request:?}");
        };
        let head = conn.head(id).unwrap();
        let facts = RequestFacts::new(head.method(), head.version(), proposes);
        Exchange {
            conn,
            id,
            response: Responder::new(facts, ResponderConfig::DEFAULT),
            date: None,
            wire: String::new(),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> &mut Exchange {
        let fields = self.response.fields_mut().expect("before the head");
        fields.append(name, value).unwrap();
        self
    }

    /// What goes to the client now.
    fn sent(&mut self) -> &str {
        self.wire.clear();
        loop {
            let mut dates = DateCache::new();
            let date = self.date.map(|now| dates.field(now));
            let progress = self.response.drive(&mut self.conn, self.id, date).unwrap();
            let full = progress == Progress::Full;
            while self.conn.wants().write {
                let bytes = self.conn.outgoing().first();
                self.wire.push_str(&String::from_utf8_lossy(bytes));
                let n = bytes.len() as u64;
                self.conn.sent(n, T0).unwrap();
            }
            if !full {
                return &self.wire;
            }
        }
    }

    fn finish(&mut self) -> &str {
        self.response.finish().unwrap();
        self.sent()
    }

    /// What becomes of the connection.
    fn reuse(&mut self) -> Reuse {
        loop {
            match self.conn.next_event() {
                Ok(Some(ServerEvent::ExchangeEnd { reuse, .. })) => return reuse,
                Ok(Some(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn notices(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.response.take_notice()).collect()
    }
}

fn length_of(head: &str) -> Option<&str> {
    head.split("\r\n")
        .find_map(|l| l.strip_prefix("content-length: "))
}

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
