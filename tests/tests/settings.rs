//! Settings of a server that are neither limits nor deadlines: who words an error reply, and what a client's
//! half-close means.

use antiphon_core::h1::{BodyLen, ErrorReply, Finish, PeerErrorKind, ServerConfig, ServerConn, ServerEvent};
use antiphon_core::{Field, Fields, Instant, Status};
use antiphon_tests::case::Cut;
use antiphon_tests::replay::Server;
use std::sync::Arc;

const BAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n";
const SLOW: &[u8] = b"GET /delay?ms=1000 HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn nobody_words_the_reply() {
    let mut config = ServerConfig::DEFAULT;
    config.error_reply = ErrorReply::Silent;
    let mut server = Server::new(config);
    server.settle();
    server.feed(BAD, Cut::Whole);
    let verdict = server.verdict();
    assert_eq!(verdict.lines, ["! Host at 22 -> no reply", "closed"]);
}

#[test]
fn the_application_words_the_reply() {
    let mut config = ServerConfig::DEFAULT;
    config.error_reply = ErrorReply::Application;
    for cut in Cut::ALL {
        let mut http = ServerConn::new(Arc::new(config), Instant::ZERO);
        for piece in cut.of(BAD) {
            http.received_copy(piece, Instant::ZERO);
            if let Ok(Some(event)) = http.next_event() {
                let ServerEvent::Rejected { id, error } = event else {
                    panic!("{event:?}")
                };
                assert_eq!((error.kind(), error.offset()), (PeerErrorKind::Host, 22));
                assert_eq!(error.status_hint(), Some(Status::BAD_REQUEST));
                let fields = [Field::from_static("x-why", "the host")];
                http.send_head(id, Status::BAD_REQUEST, &fields, BodyLen::Known(3))
                    .expect("it is asked for");
                http.send_body_copy(id, b"no\n").expect("room");
                http.finish(id, &Fields::EMPTY).expect("complete");
                break;
            }
        }
        let reply = String::from_utf8(http.outgoing().first().to_vec()).expect("ASCII");
        assert!(
            reply.starts_with("HTTP/1.1 400 ") && reply.contains("x-why: the host\r\n"),
            "{reply}"
        );
        assert!(
            reply.to_ascii_lowercase().contains("connection: close\r\n") && reply.ends_with("no\n"),
            "{reply}"
        );
        http.sent(reply.len() as u64, Instant::ZERO).expect("all of it");
        while let Ok(Some(_)) = http.next_event() {}
        assert_eq!(http.wants().finish, Finish::ShutdownWrite, "{cut:?}");
    }
}

#[test]
fn a_half_close_is_told_and_the_answer_still_sent() {
    let mut server = Server::new(ServerConfig::DEFAULT);
    server.settle();
    server.feed(SLOW, Cut::Whole);
    server.eof();
    assert_eq!(server.link.ended, None);
    server.at(Instant::from_millis(1000));
    let lines = server.verdict().lines;
    assert_eq!(
        lines,
        [
            "= GET /delay?ms=1000 1.1 -> 200 length keep",
            "* PeerHalfClosed",
            "closed"
        ]
    );
}

#[test]
fn a_half_close_counts_as_leaving_when_the_server_is_set_so() {
    let mut config = ServerConfig::DEFAULT;
    config.cancel_on_half_close = true;
    let mut server = Server::new(config);
    server.settle();
    server.feed(SLOW, Cut::Whole);
    server.eof();
    assert_eq!(server.link.ended, Some(Finish::Close));
    let lines = server.verdict().lines;
    assert_eq!(
        lines,
        [
            "~ GET /delay?ms=1000 1.1 close PeerClosed",
            "* PeerGone",
            "closed"
        ]
    );
}
