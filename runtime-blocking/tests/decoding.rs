//! Content codings: what is asked for, what is decoded, and that a bomb costs no more than is read of it.
#![cfg(feature = "gzip")]

mod common;

use antiphon_blocking::{BodyLen, Client, Coding, Codings, ErrorKind};
use common::*;
use flate2::Compression;
use flate2::read::GzEncoder;
use std::io::{self, Read, Write};

fn gzip(content: impl Read) -> Vec<u8> {
    let mut coded = Vec::new();
    GzEncoder::new(content, Compression::best())
        .read_to_end(&mut coded)
        .unwrap();
    coded
}

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\nETag: \"x\"\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn o1_o2_what_was_asked_for_is_decoded() {
    let text = "one two three ".repeat(10_000);
    let server = Told::new([coded("gzip", &gzip(text.as_bytes())), HELLO.into()]);
    let client = Client::builder()
        .codings(Codings::NONE.with(Coding::Gzip))
        .build();
    let mut response = client.get(server.url("/")).send().unwrap();
    assert_eq!(response.decoded(), Some(Coding::Gzip));
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.header("content-length"), None);
    assert_eq!(response.header("etag"), Some(&b"\"x\""[..]));
    assert_eq!(response.body().len(), BodyLen::Unknown);
    assert_eq!(response.text(1 << 20).unwrap(), text);
    // What is not coded is left alone; the connection served both.
    let mut response = client.get(server.url("/")).send().unwrap();
    assert_eq!((response.decoded(), response.reused()), (None, true));
    assert_eq!(response.text(9).unwrap(), "hello");
    assert_eq!(server.asked()[0].field("accept-encoding"), Some("gzip"));
}

#[test]
fn whoever_asks_himself_gets_the_bytes() {
    let body = gzip(&b"text"[..]);
    let server = Told::new(vec![coded("gzip", &body); 4]);
    let client = Client::new();
    let url = server.url("/");
    for (request, asked) in [
        (client.get(&url).header("Accept-Encoding", "gzip"), Some("gzip")),
        (client.get(&url).header("Range", "bytes=0-"), None),
        (client.get(&url).codings(Codings::NONE), None),
        (Client::builder().codings(Codings::NONE).build().get(&url), None),
    ] {
        let mut response = request.send().unwrap();
        assert_eq!(response.decoded(), None);
        assert_eq!(response.header("content-encoding"), Some(&b"gzip"[..]));
        assert_eq!(response.bytes(99).unwrap(), body);
        assert_eq!(server.asked().last().unwrap().field("accept-encoding"), asked);
    }
}

#[test]
fn trailers_come_behind_the_content() {
    let body = gzip(&b"text"[..]);
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer.extend_from_slice(b"\r\n0\r\nX-Sum: 7\r\n\r\n");
    let server = Told::new([answer]);
    let client = Client::new();
    let mut response = client.get(server.url("/")).send().unwrap();
    assert_eq!(response.text(9).unwrap(), "text");
    assert_eq!(response.body().trailers().unwrap().get("x-sum"), Some(&b"7"[..]));
    assert_eq!(client.pool_stats().idle, 1);
}

/// A live stream: what can be decoded is given before more comes.
#[test]
fn content_does_not_wait_for_what_comes_behind_it() {
    const LEN: usize = 100_000;
    let (done, hold) = std::sync::mpsc::channel::<()>();
    let (addr, server) = script(1, move |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(
            &mut s,
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n",
        );
        let mut coder = flate2::write::GzEncoder::new(s, Compression::best());
        coder.write_all(&[b'x'; LEN]).unwrap();
        coder.flush().unwrap();
        let _ = hold.recv();
        coder.finish().unwrap();
    });
    let request = Client::new().get(format!("http://{addr}/"));
    let mut response = request.timeout(std::time::Duration::from_secs(5)).send().unwrap();
    let mut first = vec![0; LEN];
    response.body_mut().read_exact(&mut first).unwrap();
    assert!(first.iter().all(|&b| b == b'x'));
    drop(done);
    assert_eq!(response.bytes(9).unwrap(), "");
    server.join().unwrap();
}

#[test]
fn a_bomb_costs_what_is_read_of_it() {
    let bomb = gzip(io::repeat(0).take(64 << 20));
    assert!(bomb.len() < 100_000);
    let server = Told::new([coded("gzip", &bomb), coded("gzip", &bomb)]);
    let client = Client::new();
    let mut response = client.get(server.url("/")).send().unwrap();
    let e = response.bytes(1 << 20).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::BodyTooLarge);
    // As a reader it is what it is.
    let mut response = client.get(server.url("/")).send().unwrap();
    let (mut total, mut space) = (0, vec![1; 1 << 16]);
    loop {
        match response.body_mut().read(&mut space).unwrap() {
            0 => break,
            n => {
                assert!(space[..n].iter().all(|&b| b == 0));
                total += n;
            }
        }
    }
    assert_eq!(total, 64 << 20);
}

#[test]
fn what_is_not_coded_as_it_says_is_an_error() {
    let whole = gzip(&b"some text that is long enough to be cut"[..]);
    let mut flipped = whole.clone();
    let at = flipped.len() - 6;
    flipped[at] ^= 1; // in the checksum
    for (what, body) in [
        ("no gzip", &b"plain text"[..]),
        ("cut", &whole[..whole.len() - 9]),
        ("checksum", &flipped),
        ("more", &[&whole[..], b"more"].concat()),
    ] {
        let server = Told::new([coded("gzip", body)]);
        let mut response = Client::new().get(server.url("/x")).send().unwrap();
        let e = response.bytes(999).unwrap_err();
        assert!(e.is_decode() && e.is_body(), "{what}: {e:?}");
        assert_eq!(e.url(), Some(&*server.url("/x")), "{what}");
        assert_eq!(e.status().map(|s| s.code()), Some(200), "{what}");
        assert!(response.body_mut().chunk().is_none(), "an error is told once");
    }
}

/// The server labels a body that is not there.
#[test]
fn an_empty_body_is_empty() {
    let chunked = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let server = Told::new([coded("gzip", b""), chunked.into()]);
    let client = Client::new();
    for _ in 0..2 {
        let mut response = client.get(server.url("/")).send().unwrap();
        assert_eq!(response.bytes(9).unwrap(), "");
    }
}
