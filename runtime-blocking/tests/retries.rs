//! Requests that are sent again: which body goes out the second time, and what the caller hears when none can. What may
//! be sent again is the core's rule; the failures that lead there are in `client_failures`.

mod common;

use antiphon_blocking::{Body, BoxError, Client, ErrorKind, file_body};
use common::*;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The first connection serves one request and dies under the second; the second connection serves the rest.
fn dies_under_the_second() -> Told {
    Told::new([
        answer("200 OK", &[], ""),
        String::new(),
        answer("200 OK", &[], "again"),
    ])
}

fn put(body: impl Into<Body>) -> (Result<String, antiphon_blocking::Error>, Told) {
    let server = Told::new([
        answer("200 OK", &[], ""),
        answer("307 Temporary Redirect", &[("Location", "/to")], ""),
        HELLO.into(),
    ]);
    let client = Client::new();
    client.get(server.url("/")).send().unwrap();
    let sent = client.request("PUT", server.url("/from")).body(body).send();
    (sent.and_then(|mut r| r.text(9)), server)
}

#[test]
fn a_body_from_a_function_is_made_again() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let body = Body::repeatable(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(Body::from_reader(&b"content"[..]))
    });
    let (text, server) = put(body.unwrap());
    assert_eq!(text.unwrap(), "hello");
    assert_eq!(made.load(Ordering::SeqCst), 2);
    let asked = server.asked();
    assert_eq!(asked[1].body, "7\r\ncontent\r\n0\r\n\r\n");
    assert_eq!(asked[2].body, asked[1].body);
    assert_eq!(asked[2].line(), "PUT /to HTTP/1.1");
}

#[test]
fn a_function_that_fails_the_second_time_fails_the_call() {
    let made = AtomicUsize::new(0);
    let body = Body::repeatable(move || match made.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(Body::from_reader(&b"content"[..])),
        _ => Err(BoxError::from(io::Error::other("disk on fire"))),
    });
    let (text, _) = put(body.unwrap());
    let e = text.unwrap_err();
    assert!(e.kind() == ErrorKind::Body && e.is_body(), "{e:?}");
    assert_eq!(e.io_error().unwrap().to_string(), "disk on fire");
    assert!(e.to_string().contains("could not be had again"), "{e}");
}

#[test]
fn a_file_is_read_again_from_where_it_stood() {
    let path = std::env::temp_dir().join(format!("antiphon-retries-{}", std::process::id()));
    let mut file = std::fs::File::create_new(&path).unwrap();
    file.write_all(b"skipped content, and more").unwrap();
    let mut file = std::fs::File::open(&path).unwrap();
    file.read_exact(&mut [0; 8]).unwrap();
    let (text, server) = put(file_body(file, 7));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(text.unwrap(), "hello");
    let asked = server.asked();
    assert_eq!((&*asked[1].body, &*asked[2].body), ("content", "content"));
}

#[test]
fn l3_a_stream_that_was_read_is_not_sent_again_and_the_error_says_why() {
    let server = dies_under_the_second();
    let client = Client::new();
    client.get(server.url("/")).send().unwrap();
    // Said to be repeatable, but it is not: it has been read.
    let request = client
        .request("PUT", server.url("/"))
        .header("Idempotency-Key", "k");
    let e = request.body(Body::from_reader(&b"abc"[..])).send().unwrap_err();
    let core = format!("{:?}", e.as_call().unwrap().kind());
    assert!(core.contains("BodyConsumed"), "{core}");
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn l3_a_safe_request_is_sent_again_on_a_new_connection() {
    let server = Told::new([answer("200 OK", &[], "")]);
    let client = Client::new();
    client.get(server.url("/")).send().unwrap();
    // No answer is left: the connection closes under the second request, and under the third, which is fresh.
    let e = client.get(server.url("/")).send().unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::Closed(_)), "{e:?}");
    let connections: Vec<_> = server.asked().iter().map(|a| a.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
    assert!(e.is_request() && format!("{:?}", e.as_call().unwrap().kind()).contains("FreshConnection"));
}

#[test]
fn d1_credentials_and_queries_of_the_builder() {
    let server = Told::new(vec![HELLO; 4]);
    let client = Client::new();
    let url = format!("http://u:p@{}/a?x#f", server.addr);
    client
        .get(&url)
        .query([("b c", "d&e"), ("f", "\u{fc}")])
        .send()
        .unwrap();
    client
        .get(server.url("/"))
        .basic_auth("me", "secret")
        .send()
        .unwrap();
    client
        .get(server.url("/"))
        .basic_auth("me", "")
        .bearer_auth("t0ken")
        .send()
        .unwrap();
    client.get(server.url("/?")).query([("a", "1")]).send().unwrap();
    let asked = server.asked();
    let told: Vec<_> = asked
        .iter()
        .map(|a| (a.line(), a.field("authorization")))
        .collect();
    assert_eq!(
        told,
        [
            ("GET /a?x&b+c=d%26e&f=%C3%BC HTTP/1.1", Some("Basic dTpw")),
            ("GET / HTTP/1.1", Some("Basic bWU6c2VjcmV0")),
            ("GET / HTTP/1.1", Some("Bearer t0ken")),
            ("GET /?a=1 HTTP/1.1", None),
        ]
    );
}

#[test]
fn default_headers_give_way_to_a_requests_own() {
    let server = Told::new(vec![HELLO; 2]);
    let mut headers = antiphon_blocking::Headers::new();
    headers.append("x-a", "default").unwrap();
    headers.append("x-a", "twice").unwrap();
    headers.append("x-b", "default").unwrap();
    let client = Client::builder().default_headers(headers).build();
    client.get(server.url("/")).send().unwrap();
    client.get(server.url("/")).header("X-A", "own").send().unwrap();
    let asked = server.asked();
    assert!(
        asked[0]
            .head
            .contains("x-a: default\r\nx-a: twice\r\nx-b: default\r\n")
    );
    assert!(!asked[1].head.contains("x-a: ") && asked[1].head.contains("X-A: own\r\nx-b: default\r\n"));
}
