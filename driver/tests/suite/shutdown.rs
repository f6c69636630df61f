//! The end of a server: who is waited for, who is not, and for how long.

use super::{Raw, builder, ok};
use crate::rt::{self, Server, Status};
use antiphon_core::Headers;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_graceful_shutdown_finishes_what_has_begun() {
    rt::block_on(async {
        let server = builder().bind("127.0.0.1:0").expect("a free port");
        let (addr, handle) = (server.local_addr().expect("bound"), server.handle());
        let handler = |_| async {
            rt::sleep(Duration::from_millis(300)).await;
            ok("slow")
        };
        let peers = thread::spawn({
            let handle = handle.clone();
            move || {
                let (mut busy, mut idle) = (Raw::connect(addr), Raw::connect(addr));
                idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
                idle.response();
                busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
                thread::sleep(Duration::from_millis(100));
                assert_eq!(handle.connections(), 2);
                handle.shutdown();
                let begun = Instant::now();
                assert_eq!(idle.rest(), "", "the idle one ends at once");
                assert!(begun.elapsed() < Duration::from_millis(150));
                let rest = busy.rest();
                assert!(
                    rest.ends_with("slow") && rest.to_lowercase().contains("connection: close"),
                    "{rest}"
                );
                assert!(std::net::TcpStream::connect(addr).is_err(), "nobody listens");
            }
        });
        server.serve(handler).await.expect("serving");
        assert_eq!(handle.connections(), 0);
        peers.join().expect("the peers");
    });
}

#[test]
fn a_drain_is_bounded() {
    rt::block_on(async {
        let server = Server::builder()
            .drain_timeout(Duration::from_millis(250))
            .bind("127.0.0.1:0")
            .expect("a port");
        let (addr, handle) = (server.local_addr().expect("bound"), server.handle());
        let handler = |_| async {
            rt::sleep(Duration::from_secs(600)).await;
            ok("never")
        };
        let peer = thread::spawn(move || {
            let mut peer = Raw::connect(addr);
            peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            thread::sleep(Duration::from_millis(100));
            handle.shutdown();
            let begun = Instant::now();
            assert_eq!(peer.rest(), "");
            begun.elapsed()
        });
        server.serve(handler).await.expect("serving");
        let took = peer.join().expect("the peer");
        assert!(
            took >= Duration::from_millis(240) && took < Duration::from_secs(3),
            "{took:?}"
        );
    });
}

#[test]
fn a_new_connection_may_still_say_something() {
    rt::block_on(async {
        let server = builder().bind("127.0.0.1:0").expect("a free port");
        let (addr, handle) = (server.local_addr().expect("bound"), server.handle());
        let peer = thread::spawn(move || {
            let mut peer = Raw::connect(addr);
            thread::sleep(Duration::from_millis(100));
            handle.shutdown();
            thread::sleep(Duration::from_millis(100));
            peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            peer.rest()
        });
        server.serve(|_| async { ok("welcome") }).await.expect("serving");
        let rest = peer.join().expect("the peer");
        assert!(
            rest.ends_with("welcome") && rest.to_lowercase().contains("connection: close"),
            "{rest}"
        );
    });
}

#[test]
fn a_shutdown_before_serving_ends_it_at_once() {
    rt::block_on(async {
        let server = builder().bind("127.0.0.1:0").expect("a free port");
        server.handle().shutdown();
        server.serve(|_| async { ok("never") }).await.expect("serving");
    });
}

#[test]
fn the_application_may_set_its_own_date() {
    let handler = |_| async {
        let mut response = rt::Response::new(Status::OK);
        let mut headers = Headers::new();
        headers.append("Date", "Thu, 01 Jan 1970 00:00:00 GMT")?;
        *response.headers_mut() = headers;
        Ok(response)
    };
    super::against_server(builder(), handler, |addr| {
        let mut peer = Raw::connect(addr);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let (head, _) = peer.response();
        assert_eq!(head.to_lowercase().matches("\r\ndate: ").count(), 1, "{head}");
        assert!(head.contains("1970"), "{head}");
    });
}
