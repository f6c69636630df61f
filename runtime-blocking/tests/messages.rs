//! Messages on streams without a connection: `message`.

use antiphon_blocking::message::{self, Message};
use antiphon_blocking::{Body, BodyLen, ErrorKind};
use antiphon_core::{Headers, Method, Request, Response, Status, Target, Version};
use std::io::{self, Cursor, Read};

/// Gives one byte a read.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.0.len().min(buf.len()).min(1);
        buf[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

fn text<H, R: Read>(message: &mut Message<H, R>) -> String {
    let mut text = String::new();
    message.body.read_to_string(&mut text).unwrap();
    text
}

fn request(target: &str) -> Request {
    let mut request = Request::new(Method::PUT, Target::new(target).unwrap());
    request.headers.append("host", "example.com").unwrap();
    request
}

#[test]
fn messages_in_a_row_are_read_out_of_one_stream() {
    let wire = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nonePUT /b HTTP/1.1\r\nHost: h\r\n\
        Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\nCheck: sum\r\n\r\nGET /c HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut stream: Box<dyn Read> = Box::new(Cursor::new(wire));
    let mut seen = Vec::new();
    while let Some(mut message) = message::read_request(stream).unwrap() {
        let body = text(&mut message);
        let trailers = message.body.trailers().map_or(0, |t| t.len());
        seen.push(format!("{} {body:?} {trailers}", message.head.target.as_str()));
        let (rest, unread) = message.body.into_parts();
        stream = Box::new(Cursor::new(unread).chain(rest));
    }
    assert_eq!(seen, [r#"/a "one" 0"#, r#"/b "two" 1"#, r#"/c "" 0"#]);
}

#[test]
fn a_request_is_written_and_read_again_byte_by_byte() {
    for target in ["/tea?milk", "http://example.com/tea"] {
        let mut trailers = Headers::new();
        trailers.append("check", "sum").unwrap();
        let body = Body::from_reader(&b"leaves"[..]).with_trailers(trailers.clone());
        let mut wire = Vec::new();
        message::write_request(&mut wire, &request(target), body).unwrap();
        wire.extend_from_slice(b"behind it");
        let mut message = message::read_request(Drip(&wire)).unwrap().unwrap();
        assert_eq!(message.head.target.as_str(), target);
        assert_eq!(message.body.len(), BodyLen::Unknown);
        assert_eq!(text(&mut message), "leaves");
        assert_eq!(message.body.trailers(), Some(trailers));
        let (rest, unread) = message.body.into_parts();
        assert_eq!([&unread[..], rest.0].concat(), b"behind it");
    }
}

#[test]
fn a_response_is_written_and_read_for_its_method() {
    let write = |method: &Method, version| {
        let mut wire = Vec::new();
        let body = Body::from_reader(&b"leaves"[..]);
        message::write_response(&mut wire, &Response::new(Status::OK), body, method, version).unwrap();
        wire
    };
    let chunked = write(&Method::GET, Version::Http11);
    let mut message = message::read_response(Drip(&chunked), &Method::GET)
        .unwrap()
        .unwrap();
    assert_eq!(
        (message.body.len(), text(&mut message).as_str()),
        (BodyLen::Unknown, "leaves")
    );
    // HTTP/1.0 knows no chunks: the end of the stream is the end of the body.
    let old = write(&Method::GET, Version::Http10);
    assert!(old.ends_with(b"\r\n\r\nleaves"), "{}", old.escape_ascii());
    let mut message = message::read_response(&old[..], &Method::GET).unwrap().unwrap();
    assert_eq!(text(&mut message), "leaves");
}

#[test]
fn interim_responses_are_kept() {
    let wire = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let message = message::read_response(&wire[..], &Method::GET).unwrap().unwrap();
    assert_eq!(message.informational.len(), 1);
    assert_eq!(message.informational[0].status.code(), 103);
    assert_eq!(message.head.status.code(), 204);
    assert!(message.body.is_empty());
}

#[test]
fn what_is_wrong_is_told_with_its_rule_and_byte() {
    assert!(message::read_request(&b""[..]).unwrap().is_none());
    let error = message::read_request(&b"GET / HTTP/1.1\r\nHost: h\r\nbad field: x\r\n\r\n"[..]).unwrap_err();
    let ErrorKind::Peer(peer) = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(peer.offset(), 28);
    // The body of this one ends too early.
    let wire = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nshort";
    let mut message = message::read_request(&wire[..]).unwrap().unwrap();
    let mut body = Vec::new();
    let error = message.body.read_to_end(&mut body).unwrap_err();
    assert_eq!(body, b"short");
    let ours = error
        .get_ref()
        .unwrap()
        .downcast_ref::<antiphon_blocking::Error>();
    assert!(matches!(ours.unwrap().kind(), ErrorKind::Peer(_)), "{error}");
}

#[test]
fn nothing_is_written_of_what_may_not_be_sent() {
    let mut wire = Vec::new();
    let nameless = Request::new(Method::GET, Target::new("/").unwrap());
    assert!(message::write_request(&mut wire, &nameless, ()).is_err());
    let mut wrong = request("/");
    wrong.headers.append("content-length", "9").unwrap();
    assert!(wire.is_empty());
    let error = message::write_request(&mut wire, &wrong, "four").unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Body | ErrorKind::Misuse(_)),
        "{error}"
    );
}
