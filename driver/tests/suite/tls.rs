//! `https` over real sockets, against rustls itself on threads. What happens at any split of the bytes and in time is
//! tested in memory (`connecting.rs` beside this folder).

use super::authority::Authority;
use super::{Raw, pattern, raw_server};
use crate::rt::{self, Client, ErrorKind, Status};
use antiphon_support::tls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

type Secured<T> = StreamOwned<ServerConnection, T>;

fn accept<T: Read + Write>(stream: T, config: &Arc<ServerConfig>) -> Secured<T> {
    let connection = ServerConnection::new(config.clone()).expect("settings that fit");
    StreamOwned::new(connection, stream)
}

/// Reads up to and including `end`; `None` at the end of the connection.
fn until(stream: &mut impl Read, end: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(end) {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(text).expect("text"))
}

/// Echoes bodies until the connection ends.
fn echo(mut stream: impl Read + Write) {
    while let Some(head) = until(&mut stream, b"\r\n\r\n") {
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |n| n.parse().expect("a length"))];
        stream.read_exact(&mut body).expect("the body");
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .expect("written");
        stream.write_all(&body).expect("written");
    }
}

#[test]
fn bodies_both_ways_on_one_connection() {
    let authority = Authority::new("ours");
    let server = authority.server("localhost", false);
    let (addr, thread) = raw_server(1, move |_, peer: Raw| echo(accept(peer.0, &server)));
    rt::block_on(async {
        let client = Client::builder()
            .tls(authority.trusted())
            .resolve("localhost", [addr])
            .build();
        for len in [0, 1, 100, 1 << 20] {
            let body = pattern(len);
            let request = client.post("https://localhost/").body(body.clone());
            let mut response = request.send().await.expect("a response");
            assert!(response.bytes(2 << 20).await.expect("a body") == body, "{len}");
        }
        assert_eq!(client.pool_stats().counters.dials, 1);
    });
    thread.join().expect("the server");
}

#[test]
fn http_1_1_is_what_is_offered() {
    let authority = Authority::new("ours");
    let mut server = (*authority.server("localhost", false)).clone();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = Arc::new(server);
    let (addr, thread) = raw_server(1, move |_, peer: Raw| {
        let mut stream = accept(peer.0, &server);
        until(&mut stream, b"\r\n\r\n").expect("a head");
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(stream.conn.server_name(), Some("localhost"));
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .expect("written");
    });
    rt::block_on(async {
        let client = Client::builder()
            .tls(authority.trusted())
            .resolve("localhost", [addr])
            .build();
        let response = client.get("https://localhost/").send().await.expect("a response");
        assert_eq!(response.status(), Status::NO_CONTENT);
    });
    thread.join().expect("the server");
}

#[test]
fn whom_not_to_trust() {
    let authority = Authority::new("ours");
    let server = authority.server("other.example", false);
    let (addr, thread) = raw_server(2, move |i, mut peer: Raw| match i {
        0 => {
            let _ = accept(peer.0, &server).read(&mut [0]);
        }
        _ => peer.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
    });
    rt::block_on(async {
        let client = Client::builder()
            .tls(authority.trusted())
            .resolve("localhost", [addr])
            .build();
        for says in ["not valid for name", "server gave HTTP response to HTTPS client"] {
            let error = client.get("https://localhost/").send().await.expect_err("no TLS");
            assert_eq!(error.kind(), ErrorKind::Tls);
            let mut all = String::new();
            let mut at: Option<&dyn std::error::Error> = Some(&error);
            while let Some(e) = at {
                all += &format!("{e}\n");
                at = e.source();
            }
            assert!(all.contains(says), "{all}");
        }
    });
    thread.join().expect("the server");
}

#[test]
fn through_a_tunnel_over_tls_with_the_proxy() {
    let authority = Authority::new("ours");
    let (proxy, target) = (
        authority.server("proxy.example", false),
        authority.server("h.example", false),
    );
    let (addr, thread) = raw_server(1, move |_, peer: Raw| {
        let mut outer = accept(peer.0, &proxy);
        let head = until(&mut outer, b"\r\n\r\n").expect("a head");
        assert!(head.starts_with("CONNECT h.example:443 HTTP/1.1\r\n"), "{head}");
        outer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("written");
        echo(accept(outer, &target));
    });
    rt::block_on(async {
        let client = Client::builder()
            .tls(authority.trusted())
            .proxy("https://proxy.example".parse().expect("a proxy"))
            .resolve("proxy.example", [addr])
            .build();
        let body = pattern(100_000);
        for _ in 0..2 {
            let request = client.post("https://h.example/").body(body.clone());
            let mut response = request.send().await.expect("a response");
            assert!(response.bytes(1 << 20).await.expect("a body") == body);
        }
    });
    thread.join().expect("the proxy");
}

#[test]
fn another_protocol_over_tls() {
    let authority = Authority::new("ours");
    let server = authority.server("localhost", false);
    let (addr, thread) = raw_server(1, move |_, peer: Raw| {
        let mut stream: Secured<TcpStream> = accept(peer.0, &server);
        until(&mut stream, b"\r\n\r\n").expect("a head");
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nready;")
            .expect("written");
        let line = until(&mut stream, b";").expect("a line");
        stream.write_all(line.as_bytes()).expect("written");
        // The client says that it has said all.
        assert_eq!(stream.read(&mut [0]).expect("close_notify"), 0);
        stream.write_all(b"bye").expect("written");
        stream.conn.send_close_notify();
        stream.flush().expect("written");
    });
    rt::block_on(async {
        let client = Client::builder()
            .tls(authority.trusted())
            .resolve("localhost", [addr])
            .build();
        let request = client.get("https://localhost/").header("upgrade", "x");
        let response = request
            .header("connection", "upgrade")
            .send()
            .await
            .expect("a response");
        assert_eq!(response.status(), Status::SWITCHING_PROTOCOLS);
        let mut stream = response.into_upgraded().expect("switched");
        stream.write_all(b"hello;").await.expect("written");
        stream.flush().await.expect("passed on");
        let (mut all, mut block) = (Vec::new(), [0; 64]);
        while !all.ends_with(b"hello;") {
            let n = stream.read(&mut block).await.expect("read");
            all.extend_from_slice(&block[..n]);
        }
        stream.shutdown().await.expect("shut down");
        loop {
            match stream.read(&mut block).await.expect("read") {
                0 => break,
                n => all.extend_from_slice(&block[..n]),
            }
        }
        assert_eq!(all, b"ready;hello;bye");
    });
    thread.join().expect("the server");
}
