//! Protocol switches on both sides: leftover bytes come first, nothing is lost.

use super::{Outcome, Raw, against_server, builder, ok, pattern, raw_server, start};
use crate::rt::{self, Client, ErrorKind, Request, Response, Status, Upgraded};
use std::time::Duration;

async fn back(mut stream: Upgraded) {
    let mut block = vec![0; 16 * 1024];
    while let Ok(n) = stream.read(&mut block).await {
        if n == 0 || stream.write_all(&block[..n]).await.is_err() {
            break;
        }
    }
    let _ = stream.shutdown().await;
}

async fn handler(request: Request) -> Outcome {
    match request.upgrade_requested() {
        Some("echo") => Ok(Response::upgrade("echo", back)?),
        Some("CONNECT") => Ok(Response::new(Status::OK).on_upgrade(back)),
        _ => ok("plain"),
    }
}

#[test]
fn a_server_switches_and_hands_over_what_it_read_too_far() {
    against_server(builder(), handler, |addr| {
        let mut peer = Raw::connect(addr);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nleft over");
        let head = peer.until("\r\n\r\n").to_lowercase();
        assert!(
            head.starts_with("http/1.1 101 ") && head.contains("upgrade: echo"),
            "{head}"
        );
        assert_eq!(peer.until("left over"), "left over");
        peer.send("and more");
        peer.0.shutdown(std::net::Shutdown::Write).expect("shut down");
        assert_eq!(peer.rest(), "and more");

        let mut tunnel = Raw::connect(addr);
        tunnel.send("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\nearly");
        assert!(tunnel.until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
        assert_eq!(tunnel.until("early"), "early");

        let mut declined = Raw::connect(addr);
        declined.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n");
        assert_eq!(declined.response().1, "plain");
        declined.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(declined.response().1, "plain");
    });
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_500() {
    let handler = |_| async { Ok(Response::upgrade("echo", back)?) };
    against_server(builder(), handler, |addr| {
        let mut peer = Raw::connect(addr);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(peer.response().0.starts_with("HTTP/1.1 500 "));
    });
}

#[test]
fn both_sides_switch() {
    rt::block_on(async {
        let server = start(builder(), handler);
        let client = Client::new();
        let request = client
            .get(server.url("/"))
            .header("connection", "upgrade")
            .header("upgrade", "echo");
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), Status::SWITCHING_PROTOCOLS);
        let mut stream = response.into_upgraded().expect("a switched connection");
        let sent = pattern(300_000);
        let mut got = Vec::new();
        let mut block = vec![0; 8192];
        for piece in sent.chunks(50_000) {
            stream.write_all(piece).await.expect("written");
            while got.len() < piece.len() {
                let n = stream.read(&mut block).await.expect("read");
                got.extend_from_slice(&block[..n]);
            }
            assert_eq!(got, piece);
            got.clear();
        }
        stream.shutdown().await.expect("shut down");
        assert_eq!(stream.read(&mut block).await.expect("the end"), 0);
        drop(stream);
        let plain = client.get(server.url("/")).send().await.expect("a response");
        assert_eq!(
            plain.into_upgraded().expect_err("not switched").kind(),
            ErrorKind::NotUpgraded
        );
        let stats = client.pool_stats();
        assert_eq!((stats.active, stats.idle), (0, 1), "{stats:?}");
    });
}

#[test]
fn a_client_hands_over_what_it_read_too_far() {
    let (addr, thread) = raw_server(1, |_, mut peer| {
        peer.until("\r\n\r\n");
        peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nfirst words",
        );
        peer.until("bye");
    });
    rt::block_on(async {
        let client = Client::new();
        let request = client
            .get(format!("http://{addr}/"))
            .header("connection", "upgrade")
            .header("upgrade", "echo");
        let mut stream = request
            .send()
            .await
            .expect("a response")
            .into_upgraded()
            .expect("switched");
        let mut text = Vec::new();
        while text.len() < 11 {
            let mut block = [0; 4];
            let n = stream.read(&mut block).await.expect("read");
            text.extend_from_slice(&block[..n]);
        }
        assert_eq!(text, b"first words");
        stream.write_all(b"bye").await.expect("written");
        assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0);
    });
    thread.join().expect("the server");
}

#[test]
fn a_shutdown_does_not_wait_for_switched_connections() {
    rt::block_on(async {
        let server = builder().bind("127.0.0.1:0").expect("a free port");
        let (addr, handle) = (server.local_addr().expect("bound"), server.handle());
        let peer = std::thread::spawn(move || {
            let mut peer = Raw::connect(addr);
            peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
            peer.until("\r\n\r\n");
            assert_eq!(handle.connections(), 1, "the cap counts it");
            handle.shutdown();
            peer
        });
        let begun = std::time::Instant::now();
        server.serve(handler).await.expect("serving");
        assert!(begun.elapsed() < Duration::from_secs(3));
        drop(peer.join().expect("the peer"));
    });
}
