//! Each deadline of a connection on real sockets, at 250 ms.

mod common;

use antiphon_blocking::{
    Body, Client, ClientConfig, CloseReason, DeadlineKind, ErrorKind, Server, ServerConfig,
};
use antiphon_core::h1::MinRate;
use common::*;
use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const MS: u64 = 250;
const SOON: Option<Duration> = Some(Duration::from_millis(MS));

fn server(set: impl FnOnce(&mut ServerConfig)) -> Running {
    let mut config = ServerConfig::DEFAULT;
    set(&mut config);
    Running::with(Server::builder().config(config), routes)
}

fn client(set: impl FnOnce(&mut ClientConfig)) -> Client {
    let mut config = ClientConfig::DEFAULT;
    set(&mut config);
    Client::builder().config(config).build()
}

#[test]
fn server_head() {
    let server = server(|c| c.timeouts.head = SOON);
    let mut s = server.connect();
    // Bytes that trickle in do not lengthen it.
    let begun = Instant::now();
    let mut trickle = s.try_clone().unwrap();
    let trickling = thread::spawn(move || {
        for b in b"GET / HTTP/1.1\r\nHost: h\r\n".iter().cycle() {
            if trickle.write_all(&[*b]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    let all = read_all(&mut s);
    assert_took(begun, MS);
    assert!(all.starts_with("HTTP/1.1 408 "), "{all}");
    trickling.join().unwrap();
}

#[test]
fn server_idle() {
    let server = server(|c| c.timeouts.idle = SOON);
    let (mut fresh, mut used) = (server.connect(), server.connect());
    let begun = Instant::now();
    send(&mut used, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    read_response(&mut used);
    assert_eq!(read_all(&mut fresh), "");
    assert_eq!(read_all(&mut used), "");
    assert_took(begun, MS);
    eventually("the threads end", || server.handle.connections() == 0);
}

#[test]
fn server_body_stall() {
    let server = server(|c| c.timeouts.body_stall = SOON);
    let mut s = server.connect();
    send(
        &mut s,
        "POST /len HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
    );
    let begun = Instant::now();
    let all = read_all(&mut s);
    assert_took(begun, MS);
    assert!(all.starts_with("HTTP/1.1 408 "), "{all}");
}

#[test]
fn a_slow_handler_is_no_stalled_body() {
    let mut config = ServerConfig::DEFAULT;
    config.timeouts.body_stall = SOON;
    let server = Running::with(Server::builder().config(config), |mut request| {
        let first = request.body_mut().chunk().unwrap()?;
        thread::sleep(Duration::from_millis(2 * MS));
        let rest = request.body_mut().bytes(100)?;
        ok(format!("{}+{}", first.len(), rest.len()))
    });
    let mut s = server.connect();
    send(
        &mut s,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
    );
    thread::sleep(Duration::from_millis(MS + 100));
    send(&mut s, "defghij");
    assert_eq!(read_response(&mut s).1, "3+7");
}

#[test]
fn server_body_rate() {
    let rate = MinRate {
        bytes: NonZeroU64::new(1000).unwrap(),
        per: Duration::from_millis(MS),
    };
    let server = server(|c| c.timeouts.body_rate = Some(rate));
    let mut s = server.connect();
    send(
        &mut s,
        "POST /len HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n",
    );
    let begun = Instant::now();
    let mut trickle = s.try_clone().unwrap();
    let trickling = thread::spawn(move || {
        while trickle.write_all(b"x").is_ok() && begun.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let all = read_all(&mut s);
    assert_took(begun, MS);
    assert!(all.starts_with("HTTP/1.1 408 "), "{all}");
    trickling.join().unwrap();
}

#[test]
fn server_write_stall() {
    let (told, ended) = mpsc::channel();
    struct Endless(mpsc::Sender<()>);
    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            Ok(buf.len())
        }
    }
    impl Drop for Endless {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let mut config = ServerConfig::DEFAULT;
    config.timeouts.write_stall = SOON;
    let server = Running::with(Server::builder().config(config), move |_| {
        ok(Body::sized_reader(1 << 40, Endless(told.clone())))
    });
    let mut s = server.connect();
    let begun = Instant::now();
    send(&mut s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    ended.recv_timeout(LIMIT).unwrap();
    assert_took(begun, MS);
    eventually("the thread ends", || server.handle.connections() == 0);
    drop(s);
}

#[test]
fn server_linger() {
    let server = server(|c| c.timeouts.linger = SOON);
    let mut s = server.connect();
    send(&mut s, "GET / HTTP/1.1\r\n\r\n");
    let begun = Instant::now();
    let all = read_all(&mut s);
    assert!(all.starts_with("HTTP/1.1 400 "), "{all}");
    // Half-closed, but not gone: this side has not closed yet.
    assert_eq!(server.handle.connections(), 1);
    eventually("the thread ends", || server.handle.connections() == 0);
    assert_took(begun, MS - 20);
}

#[test]
fn client_response_head() {
    let client = client(|c| c.timeouts.response_head = SOON);
    let (addr, server) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, "HTTP/1.1 200 ");
        let _ = s.read(&mut [0]);
    });
    let begun = Instant::now();
    let e = client.get(format!("http://{addr}/")).send().unwrap_err();
    assert_took(begun, MS);
    assert_eq!(
        (e.kind(), e.deadline()),
        (ErrorKind::Timeout, Some(DeadlineKind::ResponseHead))
    );
    server.join().unwrap();
}

#[test]
fn client_body_stall() {
    let client = client(|c| c.timeouts.body_stall = SOON);
    let (addr, server) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        let _ = s.read(&mut [0]);
    });
    let mut response = client.get(format!("http://{addr}/")).send().unwrap();
    assert_eq!(response.body_mut().chunk().unwrap().unwrap(), "abc");
    let begun = Instant::now();
    let e = response.body_mut().chunk().unwrap().unwrap_err();
    assert_took(begun, MS);
    assert_eq!(
        (e.kind(), e.deadline()),
        (ErrorKind::Timeout, Some(DeadlineKind::BodyStall))
    );
    assert_eq!(
        response.close_reason(),
        Some(CloseReason::Timeout(DeadlineKind::BodyStall))
    );
    server.join().unwrap();
}

#[test]
fn client_write_stall() {
    let client = client(|c| c.timeouts.write_stall = SOON);
    let (release, released) = mpsc::channel::<()>();
    let (addr, server) = script(1, move |_, _s| {
        // Reads nothing.
        let _ = released.recv_timeout(LIMIT);
    });
    let begun = Instant::now();
    let body = Body::sized_reader(1 << 40, io::repeat(0));
    let e = client
        .post(format!("http://{addr}/"))
        .body(body)
        .send()
        .unwrap_err();
    assert_took(begun, MS);
    assert_eq!(
        (e.kind(), e.deadline()),
        (ErrorKind::Timeout, Some(DeadlineKind::WriteStall))
    );
    release.send(()).unwrap();
    server.join().unwrap();
}

#[test]
fn client_connect() {
    // A listener whose backlog is full accepts nothing more.
    let listener = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    rustix::net::bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let addr = std::net::SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
    let mut full = Vec::new();
    while let Ok(s) = std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
        full.push(s);
        assert!(full.len() < 100, "the backlog never fills");
    }
    let client = Client::builder()
        .connect_timeout(Duration::from_millis(MS))
        .build();
    let begun = Instant::now();
    let e = client.get(format!("http://{addr}/")).send().unwrap_err();
    assert_took(begun, MS);
    assert_eq!(e.kind(), ErrorKind::Timeout, "{e:?}");
    assert_eq!(client.pool_stats().dialing, 0);
}
