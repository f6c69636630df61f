//! How many connections a server has, and how it ends.

mod common;

use antiphon_blocking::{Response, Server, Status};
use common::*;
use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_shutdown_closes_idle_connections_and_finishes_active_ones() {
    let (begun, active) = mpsc::channel();
    let server = Running::new(move |request| {
        if request.path() == "/slow" {
            begun.send(())?;
            thread::sleep(Duration::from_millis(300));
        }
        ok("done")
    });
    let mut fresh = server.connect();
    let mut idle = server.connect();
    send(&mut idle, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    read_response(&mut idle);
    let mut slow = server.connect();
    send(&mut slow, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    active.recv_timeout(LIMIT).unwrap();
    assert_eq!(server.handle.connections(), 3);
    let addr = server.addr;
    let down = thread::spawn(move || server.shut_down());
    assert_eq!(read_all(&mut idle), "");
    // It was accepted before, so its request may have been under way.
    send(&mut fresh, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = read_all(&mut fresh);
    assert!(
        answer.ends_with("done") && answer.contains("connection: close"),
        "{answer}"
    );
    let answer = read_all(&mut slow);
    assert!(answer.ends_with("done"), "{answer}");
    assert!(
        answer.to_ascii_lowercase().contains("connection: close"),
        "{answer}"
    );
    let took = down.join().unwrap();
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert!(std::net::TcpStream::connect(addr).is_err());
}

#[test]
fn the_drain_is_bounded() {
    let (begun, active) = mpsc::channel();
    let builder = Server::builder();
    let server = builder
        .drain_timeout(Duration::from_millis(200))
        .bind("127.0.0.1:0")
        .unwrap();
    let (addr, handle) = (server.local_addr().unwrap(), server.handle());
    let serving = thread::spawn(move || {
        server.serve(move |mut request: antiphon_blocking::Request| {
            begun.send(()).unwrap();
            // The client never sends it.
            request.body_mut().bytes(10).map(|_| Response::new(Status::OK))
        })
    });
    let mut s = connect(addr);
    send(&mut s, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
    active.recv_timeout(LIMIT).unwrap();
    let start = Instant::now();
    handle.shutdown();
    serving.join().unwrap().unwrap();
    assert_took(start, 200);
    eventually("the connection ends", || handle.connections() == 0);
}

#[test]
fn connections_beyond_the_cap_wait() {
    let server = Running::with(Server::builder().max_connections(2), routes);
    let (a, mut b) = (server.connect(), server.connect());
    eventually("both are accepted", || server.handle.connections() == 2);
    let mut c = server.connect();
    send(&mut c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    c.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    assert!(c.read(&mut [0; 1]).is_err(), "the third must wait");
    assert_eq!(server.handle.connections(), 2);
    drop(a);
    c.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(read_response(&mut c).1, "hello");
    send(&mut b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(read_response(&mut b).1, "hello");
}
