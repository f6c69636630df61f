//! The client when something goes wrong: connections that close, repetition, broken responses and uploads,
//! timeouts, requests that cannot be sent.

mod common;

use antiphon_blocking::{Body, Client, CloseReason, ErrorKind};
use common::*;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn an_answer_that_has_arrived_is_used_although_writing_fails() {
    let (addr, server) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(
            &mut s,
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        );
        // Closes with unread bytes, which resets the connection.
    });
    let body = Body::sized_reader(1 << 30, io::repeat(0));
    let mut response = Client::new()
        .post(format!("http://{addr}/"))
        .body(body)
        .send()
        .unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.text(9).unwrap(), "no");
    server.join().unwrap();
}

#[test]
fn a_connection_that_the_server_closed_is_not_used() {
    let (addr, server) = script(2, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, HELLO);
        // Closes without having said so.
    });
    let client = Client::new();
    let url = format!("http://{addr}/");
    client.get(&url).send().unwrap().text(9).unwrap();
    thread::sleep(Duration::from_millis(50));
    // Not a repetition: a POST with a reader could not be sent twice.
    let body = Body::from_reader(&b"abc"[..]);
    let mut response = client.post(&url).body(body).send().unwrap();
    assert!(!response.reused());
    assert_eq!(response.text(9).unwrap(), "hello");
    server.join().unwrap();
}

/// Answers one request, then closes when the next one comes.
fn closes_on_the_second(connections: usize) -> (std::net::SocketAddr, thread::JoinHandle<()>) {
    script(connections, |i, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, HELLO);
        if i == 0 {
            read_until(&mut s, "\r\n\r\n");
        }
    })
}

#[test]
fn a_safe_request_is_repeated_once_on_a_fresh_connection() {
    let (addr, server) = closes_on_the_second(2);
    let client = Client::new();
    let url = format!("http://{addr}/");
    client.get(&url).send().unwrap().text(9).unwrap();
    let mut response = client.get(&url).send().unwrap();
    assert!(!response.reused());
    assert_eq!(response.text(9).unwrap(), "hello");
    assert_eq!(client.pool_stats().counters.dials, 2);
    server.join().unwrap();
}

/// The other idle connections may be as dead, but that is found out when they are needed.
#[test]
fn a_repetition_leaves_the_other_idle_connections_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (together, served) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)));
    thread::spawn(move || {
        for s in listener.incoming() {
            let (mut s, together, served) = (s.unwrap(), Arc::clone(&together), Arc::clone(&served));
            thread::spawn(move || {
                loop {
                    read_until(&mut s, "\r\n\r\n");
                    match served.fetch_add(1, Ordering::SeqCst) {
                        0..3 => drop(together.wait()),
                        // Closes the connection that was taken from the pool.
                        3 => return,
                        _ => {}
                    }
                    send(&mut s, HELLO);
                }
            });
        }
    });
    let client = Client::new();
    let get = || client.get(&url).timeout(LIMIT).send().unwrap().text(9).unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(get);
        }
    });
    assert_eq!(client.pool_stats().idle, 3);
    assert_eq!(get(), "hello");
    let stats = client.pool_stats();
    assert_eq!((stats.idle, stats.counters.dials), (3, 4));
}

#[test]
fn a_post_is_not_repeated_unless_it_says_that_it_may() {
    for key in [None, Some("k1")] {
        let (addr, server) = closes_on_the_second(if key.is_some() { 2 } else { 1 });
        let client = Client::new();
        let url = format!("http://{addr}/");
        client.get(&url).send().unwrap().text(9).unwrap();
        let mut request = client.post(&url);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        match request.send() {
            Ok(mut response) => {
                assert!(key.is_some());
                assert_eq!(response.text(9).unwrap(), "hello");
            }
            Err(e) => {
                assert!(key.is_none(), "{e}");
                assert!(matches!(e.kind(), ErrorKind::Closed(_)), "{e:?}");
            }
        }
        server.join().unwrap();
    }
}

#[test]
fn a_fresh_connection_that_fails_is_not_repeated() {
    let (addr, server) = script(1, |_, mut s| drop(read_until(&mut s, "\r\n\r\n")));
    let e = Client::new().get(format!("http://{addr}/")).send().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Closed(CloseReason::PeerClosed));
    server.join().unwrap();
}

#[test]
fn a_reset_and_an_early_end_are_errors() {
    for (answer, expect_head) in [
        ("", false),
        ("HTTP/1.1 200 OK\r\nContent-Le", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            true,
        ),
        ("nonsense\r\n\r\n", false),
    ] {
        let (addr, server) = script(1, move |_, mut s| {
            read_until(&mut s, "\r\n\r\n");
            send(&mut s, answer);
        });
        let client = Client::new();
        let result = client.get(format!("http://{addr}/")).send();
        let error = match result {
            Ok(mut response) => {
                assert!(expect_head, "{answer:?}");
                let mut all = Vec::new();
                response.body_mut().read_to_end(&mut all).unwrap_err();
                assert_eq!(all, b"abc");
                assert!(response.close_reason().is_some());
                assert!(response.body_mut().chunk().is_none(), "an error is told once");
                continue;
            }
            Err(e) => e,
        };
        assert!(!expect_head, "{answer:?}: {error}");
        assert!(
            matches!(error.kind(), ErrorKind::Closed(_) | ErrorKind::Peer(_)),
            "{error:?}"
        );
        assert_eq!(client.pool_stats().idle, 0);
        server.join().unwrap();
    }
}

#[test]
fn an_upload_that_fails_says_why() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let server = Running::new(routes);
    let client = Client::new();
    let e = client
        .post(server.url("/len"))
        .body(Body::from_reader(Broken))
        .send()
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Body);
    assert_eq!(e.io_error().unwrap().to_string(), "disk on fire");
    let short = Body::sized_reader(10, &b"abc"[..]);
    let e = client.post(server.url("/len")).body(short).send().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Body);
    assert_eq!(client.pool_stats().active, 0);
}

#[test]
fn what_cannot_be_requested() {
    let client = Client::new();
    let kind = |request: antiphon_blocking::RequestBuilder| request.send().unwrap_err().kind();
    assert_eq!(kind(client.get("nonsense")), ErrorKind::InvalidUrl);
    #[cfg(not(feature = "tls"))]
    assert_eq!(kind(client.get("https://127.0.0.1/")), ErrorKind::Unsupported);
    assert_eq!(
        kind(client.get("http://127.0.0.1/").header("a b", "c")),
        ErrorKind::InvalidRequest
    );
    assert_eq!(
        kind(client.get("http://127.0.0.1/").header("a", "b\r\nc")),
        ErrorKind::InvalidRequest
    );
    let server = Running::new(routes);
    assert_eq!(
        kind(client.request("G T", server.url("/"))),
        ErrorKind::InvalidRequest
    );
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(kind(client.get(format!("http://{free}/"))), ErrorKind::Connect);
    assert_eq!(client.pool_stats().active, 0);
}

#[test]
fn the_requests_own_timeout_covers_everything() {
    let (addr, server) = script(2, |i, mut s| {
        read_until(&mut s, "\r\n\r\n");
        if i == 1 {
            send(&mut s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        }
        // Nothing more, until the client gives up.
        let _ = s.read(&mut [0]);
    });
    let client = Client::new();
    let url = format!("http://{addr}/");
    let begun = Instant::now();
    let e = client
        .get(&url)
        .timeout(Duration::from_millis(250))
        .send()
        .unwrap_err();
    assert!(e.is_timeout() && e.deadline().is_none(), "{e:?}");
    assert_took(begun, 250);
    let begun = Instant::now();
    let mut response = client
        .get(&url)
        .timeout(Duration::from_millis(250))
        .send()
        .unwrap();
    let e = response.bytes(100).unwrap_err();
    assert!(e.is_timeout(), "{e:?}");
    assert_took(begun, 250);
    drop(response);
    server.join().unwrap();
}

/// A peer that never lets this thread wait does not keep it from its deadline, in either direction.
#[test]
fn k1_the_timeout_holds_while_everything_flows() {
    for upload in [false, true] {
        let (addr, server) = script(1, move |_, mut s| {
            read_until(&mut s, "\r\n\r\n");
            if upload {
                while matches!(s.read(&mut [0; 1 << 16]), Ok(1..)) {}
            } else {
                send(&mut s, "HTTP/1.1 200 OK\r\n\r\n");
                while s.write_all(&[b'x'; 1 << 16]).is_ok() {}
            }
        });
        let client = Client::new();
        let begun = Instant::now();
        let e = if upload {
            let endless = Body::from_reader(io::repeat(b'x'));
            let request = client.post(format!("http://{addr}/")).body(endless);
            request.timeout(Duration::from_millis(250)).send().unwrap_err()
        } else {
            let request = client
                .get(format!("http://{addr}/"))
                .timeout(Duration::from_millis(250));
            let mut response = request.send().unwrap();
            io::copy(response.body_mut(), &mut io::sink())
                .unwrap_err()
                .downcast::<antiphon_blocking::Error>()
                .unwrap()
        };
        assert!(e.is_timeout() && e.deadline().is_none(), "{upload}: {e:?}");
        assert_eq!(e.is_body(), !upload, "{e:?}");
        assert_took(begun, 250);
        server.join().unwrap();
    }
}

#[test]
fn what_cannot_be_sent_is_refused_before_dialling() {
    use antiphon_blocking::Misuse;
    let client = Client::new();
    for (url, expected, says) in [
        ("http://h/a b", ErrorKind::InvalidUrl, "percent-encoded"),
        ("http://h/\r\nX: y", ErrorKind::InvalidUrl, "percent-encoded"),
        ("http://h/\u{7f}", ErrorKind::InvalidUrl, "percent-encoded"),
        ("http://u:pw@h:99999/", ErrorKind::InvalidUrl, "from 1 to 65535"),
        ("http://:80/", ErrorKind::InvalidUrl, "the host is empty"),
        ("http://#h", ErrorKind::InvalidUrl, "the host is empty"),
        ("ftp://h/", ErrorKind::InvalidUrl, "only http and https"),
        ("h/p", ErrorKind::InvalidUrl, "it must begin with"),
        #[cfg(not(feature = "tls"))]
        ("https://h/", ErrorKind::Unsupported, "TLS"),
    ] {
        let e = client.get(url).send().expect_err(url);
        assert_eq!(e.kind(), expected, "{url:?}: {e}");
        let why = std::error::Error::source(&e).expect("a reason").to_string();
        assert!(why.contains(says), "{url:?}: {why}");
        assert!(!format!("{e} {e:?}").contains("pw"), "{e:?}");
    }
    let get = || client.get("http://127.0.0.1:1/");
    let post = || client.post("http://127.0.0.1:1/");
    let invalid = ErrorKind::InvalidRequest;
    for (what, request, expected) in [
        (
            "two hosts",
            get().header("host", "a").header("Host", "b"),
            ErrorKind::Misuse(Misuse::HostField),
        ),
        ("a method", client.request("G T", "http://127.0.0.1:1/"), invalid),
        ("a name", get().header("a b", "c"), invalid),
        ("a value", get().header("a", "b\r\nc: d"), invalid),
        (
            "lengths",
            post().header("content-length", "1, 2"),
            ErrorKind::Misuse(Misuse::ForbiddenField),
        ),
        (
            "short",
            post().header("content-length", "9").body("abc"),
            ErrorKind::Misuse(Misuse::BodyTooShort),
        ),
        (
            "long",
            post().header("content-length", "1").body("abc"),
            ErrorKind::Misuse(Misuse::BodyTooLong),
        ),
        (
            "short, held back",
            post().expect_continue().header("content-length", "9").body("abc"),
            ErrorKind::Misuse(Misuse::BodyTooShort),
        ),
        (
            "a tunnel with a body",
            client.request("CONNECT", "http://127.0.0.1:1/").body("abc"),
            ErrorKind::Misuse(Misuse::Target),
        ),
    ] {
        let e = request.send().expect_err(what);
        assert_eq!(e.kind(), expected, "{what}: {e:?}");
    }
    assert_eq!(client.pool_stats().counters.dials, 0, "nothing was dialled");
}

#[test]
fn an_empty_idempotency_key_counts_and_is_not_sent() {
    let (addr, server) = script(2, |i, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, HELLO);
        if i == 0 {
            // Closed under the second request.
            let head = read_until(&mut s, "\r\n\r\n").to_lowercase();
            assert!(
                head.starts_with("post ") && !head.contains("idempotency"),
                "{head}"
            );
        }
    });
    let client = Client::new();
    let url = format!("http://{addr}/");
    client.get(&url).send().unwrap().text(9).unwrap();
    let post = client.post(&url).header("Idempotency-Key", "");
    assert!(!post.send().unwrap().reused());
    server.join().unwrap();
}

/// What a server says to an idle connection, when it crosses a request.
#[test]
fn a_408_on_a_kept_connection_is_repeated_once_and_else_handed_out() {
    const GONE: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\n";
    const KEPT: &str = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\ngone";
    for (method, key, answer, connections, status, dials) in [
        ("GET", None, GONE, 2, 200, 2),
        ("POST", Some("k"), GONE, 2, 200, 2),
        // The server may have acted on it.
        ("POST", None, GONE, 1, 408, 1),
        // It takes more requests, so it is an answer.
        ("GET", None, KEPT, 1, 408, 1),
    ] {
        let (addr, server) = script(connections, move |i, mut s| {
            read_until(&mut s, "\r\n\r\n");
            send(&mut s, HELLO);
            if i == 0 {
                read_until(&mut s, "\r\n\r\n");
                send(&mut s, answer);
                if answer == GONE {
                    send(&mut s, "gone");
                }
            }
        });
        let client = Client::new();
        let url = format!("http://{addr}/");
        client.get(&url).send().unwrap().text(9).unwrap();
        let mut request = client.request(method, &url);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let mut response = request.send().unwrap();
        assert_eq!(response.status().code(), status, "{method} {key:?}");
        let text = if status == 408 { "gone" } else { "hello" };
        assert_eq!(response.text(9).unwrap(), text);
        assert_eq!(client.pool_stats().counters.dials, dials, "{method} {key:?}");
        server.join().unwrap();
    }
    // A fresh connection's 408 is an answer.
    let (addr, server) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, &format!("{GONE}gone"));
    });
    let response = Client::new().get(format!("http://{addr}/")).send().unwrap();
    assert_eq!(response.status(), 408);
    server.join().unwrap();
}
