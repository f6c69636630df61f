//! The client against our server and against scripted raw servers: reuse, streaming, early answers,
//! 100-continue, upgrades, the pool's limits. What goes wrong is in `client_failures`.

mod common;

use antiphon_blocking::{
    Body, BodyLen, Client, ClientConfig, Codings, ErrorKind, PoolConfig, Response, Status, Version, file_body,
};
use common::*;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn the_head_on_the_wire() {
    let (addr, server) = script(1, |_, mut s| {
        let head = read_until(&mut s, "\r\n\r\n");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            head,
            format!(
                "POST /a%20b?c HTTP/1.1\r\nhost: {}\r\nuser-agent: antiphon/{version}\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\n",
                s.local_addr().unwrap()
            )
        );
        assert_eq!(read_until(&mut s, "hi"), "hi");
        send(
            &mut s,
            "HTTP/1.1 299 Fine\r\nX-B: c\r\nContent-Length: 2\r\n\r\nyo",
        );
    });
    let url = format!("http://{addr}/a%20b?c#d");
    // Which codings are offered depends on what is compiled in.
    let mut response = Client::new()
        .post(&url)
        .codings(Codings::NONE)
        .header("X-A", "1")
        .header("x-a", "2")
        .body("hi")
        .send()
        .unwrap();
    assert_eq!(
        (response.status().code(), response.reason(), response.version()),
        (299, &b"Fine"[..], Version::Http11)
    );
    assert_eq!(response.header("x-b"), Some(&b"c"[..]));
    assert_eq!(response.remote_addr(), Some(addr));
    assert!(!response.reused());
    assert_eq!(response.body().len(), BodyLen::Known(2));
    assert_eq!(response.text(10).unwrap(), "yo");
    server.join().unwrap();
}

#[test]
fn callers_fields_replace_the_clients() {
    let (addr, server) = script(1, |_, mut s| {
        let head = read_until(&mut s, "\r\n\r\n");
        assert_eq!(head, "GET / HTTP/1.1\r\nHost: other\r\n\r\n");
        send(&mut s, HELLO);
    });
    let client = Client::new();
    client
        .get(format!("http://{addr}"))
        .codings(Codings::NONE)
        .header("Host", "other")
        .header("User-Agent", "")
        .send()
        .unwrap();
    server.join().unwrap();
}

#[test]
fn one_connection_serves_one_request_after_the_other() {
    let server = Running::new(routes);
    let client = Client::new();
    for i in 0..10 {
        let mut response = client.clone().get(server.url("/")).send().unwrap();
        assert_eq!(response.reused(), i > 0);
        assert_eq!(response.text(100).unwrap(), "hello");
        let mut response = client
            .post(server.url("/len"))
            .body(vec![0; 100_000])
            .send()
            .unwrap();
        assert_eq!(response.text(100).unwrap(), "100000");
        assert_eq!(response.close_reason(), None);
        let response = client.head(server.url("/")).send().unwrap();
        assert_eq!(response.header("content-length"), Some(&b"5"[..]));
        let response = client.delete(server.url("/none")).send().unwrap();
        assert_eq!(response.status(), 404);
    }
    assert_eq!(server.handle.connections(), 1);
    let stats = client.pool_stats();
    assert_eq!(
        (
            stats.idle,
            stats.active,
            stats.counters.dials,
            stats.counters.reused
        ),
        (1, 0, 1, 39)
    );
    client.close_idle();
    eventually("the idle connection is closed", || {
        server.handle.connections() == 0
    });
}

#[test]
fn bodies_of_all_kinds() {
    let server = Running::new(routes);
    let client = Client::new();
    let echo = |body: Body| {
        let mut response = client.post(server.url("/echo")).body(body).send().unwrap();
        let mut all = Vec::new();
        response.body_mut().read_to_end(&mut all).unwrap();
        all
    };
    assert_eq!(echo("text".into()), b"text");
    assert_eq!(echo(Body::empty()), b"");
    assert_eq!(echo(Body::from_reader(&b"reader"[..])), b"reader");
    assert_eq!(echo(Body::sized_reader(4, &b"sized, but longer"[..])), b"size");
    let path = std::env::temp_dir().join(format!("antiphon-blocking-{}", std::process::id()));
    std::fs::write(&path, vec![b'f'; 200_000]).unwrap();
    let from_file = echo(file_body(std::fs::File::open(&path).unwrap(), 200_000));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(from_file, vec![b'f'; 200_000]);
    let mut response = client.get(server.url("/stream")).send().unwrap();
    assert_eq!(response.body().len(), BodyLen::Unknown);
    assert_eq!(response.bytes(100_000).unwrap().len(), 100_000);
    assert_eq!(server.handle.connections(), 1);
}

#[test]
fn a_response_can_be_sent_on_as_it_comes() {
    let origin = Running::new(routes);
    let url = origin.url("/echo");
    let client = Client::new();
    // A small forwarding proxy: bodies pass through in both directions.
    let proxy = Running::new(move |request| {
        let response = client.post(&url).body(request.into_body()).send()?;
        ok(response.into_body())
    });
    let sent: Vec<u8> = (0..3_000_000u32).map(|i| (i % 253) as u8).collect();
    let mut response = Client::new()
        .post(proxy.url("/"))
        .body(sent.clone())
        .send()
        .unwrap();
    let mut got = Vec::new();
    response.body_mut().read_to_end(&mut got).unwrap();
    assert_eq!(got, sent);
}

#[test]
fn sixteen_mebibytes_are_echoed_while_being_sent() {
    const SIZE: u64 = 16 << 20;
    struct Pattern(u64);
    impl Read for Pattern {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            for b in &mut *buf {
                *b = (self.0 % 251) as u8;
                self.0 += 1;
            }
            Ok(buf.len())
        }
    }
    let server = Running::new(routes);
    let client = Client::new();
    for body in [
        Body::sized_reader(SIZE, Pattern(0)),
        Body::from_reader(Pattern(0).take(SIZE)),
    ] {
        let mut response = client.post(server.url("/echo")).body(body).send().unwrap();
        let (mut at, mut piece) = (0u64, vec![0; 100_000]);
        loop {
            let n = response.body_mut().read(&mut piece).unwrap();
            if n == 0 {
                break;
            }
            assert!(
                piece[..n]
                    .iter()
                    .enumerate()
                    .all(|(i, &b)| b == ((at + i as u64) % 251) as u8)
            );
            at += n as u64;
        }
        assert_eq!(at, SIZE);
        assert_eq!(response.close_reason(), None);
    }
    assert_eq!(server.handle.connections(), 1);
}

#[test]
fn a_413_in_the_middle_of_a_gibibyte_is_received() {
    let server = Running::new(routes);
    let begun = Instant::now();
    let body = Body::sized_reader(1 << 30, io::repeat(0));
    let mut response = Client::new().post(server.url("/413")).body(body).send().unwrap();
    assert_eq!(response.status(), Status::CONTENT_TOO_LARGE);
    assert_eq!(response.text(100).unwrap(), "too large");
    assert!(response.close_reason().is_some());
    assert!(begun.elapsed() < LIMIT);
}

#[test]
fn continue_is_waited_for() {
    let (addr, server) = script(1, |_, mut s| {
        // It says so.
        assert!(read_until(&mut s, "\r\n\r\n").contains("expect: 100-continue\r\n"));
        s.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(s.read(&mut [0]).is_err(), "the body must wait");
        s.set_read_timeout(Some(LIMIT)).unwrap();
        send(&mut s, "HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(read_until(&mut s, "abc"), "abc");
        send(&mut s, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        send(&mut s, HELLO);
        // It refuses.
        read_until(&mut s, "\r\n\r\n");
        send(
            &mut s,
            "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(read_all(&mut s), "", "no byte of the body may come");
    });
    let client = Client::new();
    let url = format!("http://{addr}/");
    let mut response = client.post(&url).body("abc").expect_continue().send().unwrap();
    let interim: Vec<u16> = response.informational().iter().map(|r| r.status.code()).collect();
    assert_eq!(interim, [100, 103]);
    assert_eq!(response.informational()[1].headers.get_str("link"), Some("</x>"));
    assert_eq!(response.text(10).unwrap(), "hello");
    let response = client.post(&url).body("abc").expect_continue().send().unwrap();
    assert!(response.reused());
    assert_eq!(response.status(), 417);
    server.join().unwrap();
}

#[test]
fn continue_is_not_waited_for_for_ever() {
    let mut config = ClientConfig::DEFAULT;
    config.timeouts.continue_wait = Some(Duration::from_millis(250));
    let (addr, server) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        let begun = Instant::now();
        assert_eq!(read_until(&mut s, "abc"), "abc");
        assert_took(begun, 230);
        send(&mut s, HELLO);
    });
    let client = Client::builder().config(config).build();
    let url = format!("http://{addr}/");
    assert_eq!(
        client
            .put(&url)
            .body("abc")
            .expect_continue()
            .send()
            .unwrap()
            .text(9)
            .unwrap(),
        "hello"
    );
    server.join().unwrap();
}

#[test]
fn an_expectation_that_is_none_holds_nothing_back() {
    let (addr, server) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\nabc");
        send(&mut s, HELLO);
    });
    let request = Client::new()
        .post(format!("http://{addr}/"))
        .header("expect", "100-continue, x");
    assert_eq!(request.body("abc").send().unwrap().text(9).unwrap(), "hello");
    server.join().unwrap();
}

#[test]
fn continue_with_our_own_server() {
    let server = Running::new(routes);
    let client = Client::new();
    for _ in 0..3 {
        let request = client
            .post(server.url("/len"))
            .body(vec![0; 1 << 20])
            .expect_continue();
        assert_eq!(request.send().unwrap().text(20).unwrap(), "1048576");
    }
    assert_eq!(server.handle.connections(), 1);
}

#[test]
fn an_upgrade_gives_the_stream_with_the_early_bytes() {
    let (addr, server) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(
            &mut s,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nearly",
        );
        assert_eq!(read_until(&mut s, "hi"), "hi");
        send(&mut s, "HI");
        assert_eq!(read_all(&mut s), "");
        send(&mut s, "bye");
    });
    let client = Client::new();
    let request = client
        .get(format!("http://{addr}/"))
        .header("Upgrade", "shout")
        .header("Connection", "upgrade");
    let response = request.send().unwrap();
    assert_eq!(response.status(), 101);
    let mut stream = response.into_upgraded().unwrap();
    assert_eq!(client.pool_stats().active, 0);
    let mut early = [0; 5];
    stream.read_exact(&mut early).unwrap();
    assert_eq!(&early, b"early");
    let mut writer = stream.try_clone().unwrap();
    writer.write_all(b"hi").unwrap();
    let mut back = [0; 2];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"HI");
    writer.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "bye");
    server.join().unwrap();
}

#[test]
fn connect_and_upgrade_with_our_own_server() {
    let server = Running::new(|request| match request.upgrade_requested() {
        Some("CONNECT") => Ok(Response::new(Status::OK).on_upgrade(pass_back)),
        Some("back") => Ok(Response::upgrade("back", pass_back)?),
        _ => ok("plain"),
    });
    fn pass_back(mut stream: antiphon_blocking::Upgraded) {
        let mut reader = stream.try_clone().unwrap();
        io::copy(&mut reader, &mut stream).unwrap();
    }
    let client = Client::new();
    let upgrade = client
        .get(server.url("/"))
        .header("upgrade", "back")
        .header("connection", "upgrade");
    for request in [client.request("CONNECT", server.url("/")), upgrade] {
        let mut stream = request.send().unwrap().into_upgraded().unwrap();
        stream.write_all(b"ping").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).unwrap();
        assert_eq!(back, "ping");
    }
    let not = client.get(server.url("/")).send().unwrap().into_upgraded();
    assert_eq!(not.unwrap_err().kind(), ErrorKind::NotUpgraded);
}

#[test]
fn an_unread_body_is_drained_if_it_is_small_and_costs_the_connection_if_not() {
    let server = Running::new(|request| match request.path() {
        "/small" => ok(vec![0; 200_000]),
        "/unknown" => ok(Body::from_reader(io::repeat(0).take(100_000))),
        "/large" => ok(Body::sized_reader(1 << 40, io::repeat(0))),
        "/endless" => ok(Body::from_reader(io::repeat(0))),
        _ => ok("x"),
    });
    let client = Client::new();
    for (path, kept) in [
        ("/small", true),
        ("/unknown", true),
        ("/large", false),
        ("/endless", false),
    ] {
        client.close_idle();
        drop(client.get(server.url("/")).send().unwrap());
        let begun = Instant::now();
        drop(client.get(server.url(path)).send().unwrap());
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{path}: {:?}",
            begun.elapsed()
        );
        assert_eq!(
            client.get(server.url("/")).send().unwrap().reused(),
            kept,
            "{path}"
        );
    }
}

#[test]
fn requests_beyond_the_hosts_limit_wait_in_line() {
    let most = Arc::new(Mutex::new((0, 0)));
    let seen = Arc::clone(&most);
    let server = Running::new(move |_| {
        {
            let mut n = seen.lock().unwrap();
            n.0 += 1;
            n.1 = n.1.max(n.0);
        }
        thread::sleep(Duration::from_millis(20));
        seen.lock().unwrap().0 -= 1;
        ok("x")
    });
    let mut pool = PoolConfig::DEFAULT;
    pool.max_connections_per_host = std::num::NonZeroUsize::new(2);
    let client = Client::builder().pool(pool).build();
    let threads: Vec<_> = (0..10)
        .map(|_| {
            let (client, url) = (client.clone(), server.url("/"));
            thread::spawn(move || client.get(&url).send().unwrap().text(9).unwrap())
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), "x");
    }
    assert!(most.lock().unwrap().1 <= 2);
    let stats = client.pool_stats();
    assert_eq!((stats.active, stats.waiting, stats.dialing), (0, 0, 0));
    assert!(stats.counters.dials <= 2, "{stats:?}");
    // Waiting has an end too: both places are held by bodies that are not read.
    let held: Vec<_> = (0..2)
        .map(|_| client.get(server.url("/")).send().unwrap())
        .collect();
    let begun = Instant::now();
    let e = client
        .get(server.url("/"))
        .timeout(Duration::from_millis(200))
        .send()
        .unwrap_err();
    assert!(e.is_timeout(), "{e:?}");
    assert_took(begun, 200);
    drop(held);
    client.get(server.url("/")).send().unwrap();
}

#[test]
fn idle_connections_are_closed_in_time_even_without_requests() {
    let server = Running::new(routes);
    let mut pool = PoolConfig::DEFAULT;
    pool.idle_timeout = Some(Duration::from_millis(200));
    let client = Client::builder().pool(pool).build();
    client.get(server.url("/")).send().unwrap().text(9).unwrap();
    let begun = Instant::now();
    assert_eq!(server.handle.connections(), 1);
    eventually("the idle connection is closed", || {
        server.handle.connections() == 0
    });
    assert!(
        begun.elapsed() >= Duration::from_millis(190),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn the_announced_idle_time_of_the_server_is_respected() {
    let (addr, server) = script(2, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(
            &mut s,
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=1\r\n\r\n",
        );
        let _ = s.read(&mut [0]);
    });
    let client = Client::new();
    let url = format!("http://{addr}/");
    client.get(&url).send().unwrap();
    // A second less than announced is no time at all.
    assert!(!client.get(&url).send().unwrap().reused());
    client.close_idle();
    server.join().unwrap();
}

#[test]
fn many_threads_share_a_client() {
    let server = Running::new(routes);
    let client = Client::new();
    let (told, done) = mpsc::channel();
    for t in 0..8 {
        let (client, url, told) = (client.clone(), server.url("/echo"), told.clone());
        thread::spawn(move || {
            for i in 0..50usize {
                let sent = vec![t; i * 97];
                let got = client
                    .post(&url)
                    .body(sent.clone())
                    .send()
                    .unwrap()
                    .bytes(1 << 20)
                    .unwrap();
                assert_eq!(got, sent);
            }
            told.send(()).unwrap();
        });
    }
    for _ in 0..8 {
        done.recv_timeout(LIMIT).unwrap();
    }
    // A dial whose request was served by a connection that came back meanwhile leaves a spare one.
    let stats = client.pool_stats();
    assert_eq!((stats.active, stats.dialing, stats.waiting), (0, 0, 0));
    assert!(stats.counters.dials <= 16, "{stats:?}");
}

#[test]
fn an_empty_body_in_memory_is_no_body() {
    for (method, told) in [
        ("GET", false),
        ("DELETE", false),
        ("POST", true),
        ("PUT", true),
        ("PATCH", true),
    ] {
        let (addr, server) = script(1, move |_, mut s| {
            let head = read_until(&mut s, "\r\n\r\n").to_ascii_lowercase();
            assert_eq!(head.contains("\r\ncontent-length: 0\r\n"), told, "{head}");
            assert!(!head.contains("transfer-encoding"), "{head}");
            send(&mut s, HELLO);
        });
        let request = Client::new().request(method, format!("http://{addr}/")).body("");
        request.send().unwrap();
        server.join().unwrap();
    }
}
