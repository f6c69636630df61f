//! A connection outside the pool: whose turn it is, when it is used again, and what is told of it.

mod common;

use antiphon_blocking::antiphon_core::{Method, Request, Target};
use antiphon_blocking::{
    Body, Client, ClientConfig, ClientConnection, CloseReason, ConnectionState as State, DeadlineKind,
    ErrorKind, Misuse,
};
use common::*;
use std::io::Read;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn get(target: &str) -> Request {
    Request::new(Method::GET, Target::new(target).unwrap())
}

fn listen(connection: &ClientConnection) -> Arc<Mutex<Vec<State>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    connection.on_state(move |state| listener.lock().unwrap().push(state));
    told
}

fn take(told: &Mutex<Vec<State>>) -> Vec<State> {
    std::mem::take(&mut *told.lock().unwrap())
}

fn connect(addr: std::net::SocketAddr) -> ClientConnection {
    Client::new().connect(&format!("http://{addr}/ignored")).unwrap()
}

/// A request on the connection whose answer is "hi".
fn hi(connection: &ClientConnection) -> bool {
    let mut response = connection.send(get("/"), ()).unwrap();
    assert_eq!(response.text(10).unwrap(), "hi");
    response.reused()
}

#[test]
fn requests_go_out_as_they_are_and_the_connection_is_kept() {
    let (addr, server) = script(1, |_, mut s| {
        let host = s.local_addr().unwrap();
        let first = format!("GET /a HTTP/1.1\r\nhost: {host}\r\nX-A: 1\r\n\r\n");
        assert_eq!(read_until(&mut s, "\r\n\r\n"), first);
        send(&mut s, HI);
        let second = "POST /b HTTP/1.1\r\nHost: else.where\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(read_until(&mut s, "\r\n\r\n"), second);
        assert_eq!(read_until(&mut s, "0\r\n\r\n"), "3\r\nabc\r\n0\r\n\r\n");
        send(&mut s, HI);
        assert_eq!(read_all(&mut s), "");
    });
    let connection = connect(addr);
    let told = listen(&connection);
    let mut first = get("/a");
    first.headers.append("X-A", "1").unwrap();
    let mut response = connection.send(first, ()).unwrap();
    assert_eq!((response.reused(), response.remote_addr()), (false, Some(addr)));
    assert_eq!(response.text(10).unwrap(), "hi");
    assert_eq!((connection.available(), connection.in_flight()), (1, 0));
    let mut second = Request::new(Method::POST, Target::new("/b").unwrap());
    second.headers.append("Host", "else.where").unwrap();
    let mut response = connection.send(second, Body::from_reader(&b"abc"[..])).unwrap();
    assert!(response.reused());
    assert_eq!(response.text(10).unwrap(), "hi");
    connection.close();
    let closed = State::Closed(CloseReason::LocalAsked);
    assert_eq!(
        take(&told),
        [State::Busy, State::Idle, State::Busy, State::Idle, closed]
    );
    server.join().unwrap();
}

#[test]
fn it_takes_one_request_at_a_time_and_keeps_promises() {
    let server = Running::new(|_| ok(vec![b'x'; 300_000]));
    let connection = connect(server.addr);
    let mut response = connection.send(get("/"), ()).unwrap();
    assert_eq!((connection.available(), connection.in_flight()), (0, 1));
    let busy = ErrorKind::Misuse(Misuse::NotReady);
    assert_eq!(connection.send(get("/"), ()).unwrap_err().kind(), busy);
    assert!(connection.reserve().is_none());
    assert_eq!(response.bytes(300_000).unwrap().len(), 300_000);

    let reservation = connection.reserve().unwrap();
    assert_eq!((connection.available(), connection.in_flight()), (0, 1));
    assert_eq!(connection.send(get("/"), ()).unwrap_err().kind(), busy);
    drop(reservation);
    let mut response = connection.reserve().unwrap().send(get("/"), ()).unwrap();
    assert!(response.reused());
    assert_eq!(response.bytes(300_000).unwrap().len(), 300_000);
    // A request that may not be sent leaves the connection alone, and gives the right back.
    let mut forbidden = get("/");
    forbidden.headers.append("host", "a").unwrap();
    forbidden.headers.append("host", "b").unwrap();
    let refused = connection.reserve().unwrap().send(forbidden, ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse(Misuse::HostField));
    assert_eq!(connection.available(), 1);
    // More is left than is drained.
    drop(connection.send(get("/"), ()).unwrap());
    assert!(connection.state().is_over());
}

#[test]
fn one_that_becomes_readable_while_idle_is_never_used_again() {
    for (last, reason) in [
        ("", CloseReason::PeerClosed),
        (HI, CloseReason::UnsolicitedBytes),
        ("x", CloseReason::UnsolicitedBytes),
    ] {
        let (go, word) = channel::<()>();
        let (addr, server) = script(1, move |_, mut s| {
            read_until(&mut s, "\r\n\r\n");
            send(&mut s, HI);
            word.recv().unwrap();
            send(&mut s, last);
        });
        let connection = connect(addr);
        hi(&connection);
        assert_eq!(connection.available(), 1);
        let told = listen(&connection);
        go.send(()).unwrap();
        server.join().unwrap();
        eventually("its end is seen", || connection.available() == 0);
        assert_eq!(connection.close_reason(), Some(reason));
        assert!(connection.reserve().is_none());
        let refused = connection.send(get("/"), ()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed(reason));
        assert_eq!(take(&told), [State::Closed(reason)]);
    }
}

#[test]
fn why_it_is_over_is_told() {
    // By the server's word; by the caller's time; by the idle deadline.
    let (addr, server) = script(3, |i, mut s| {
        read_until(&mut s, "\r\n\r\n");
        match i {
            0 => send(
                &mut s,
                "HTTP/1.1 302 Found\r\nLocation: /\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            ),
            1 => {}
            _ => send(&mut s, HI),
        }
        assert_eq!(read_all(&mut s), "");
    });
    let connection = connect(addr);
    let mut response = connection.send(get("/"), ()).unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.text(10).unwrap(), "hi");
    assert_eq!(connection.close_reason(), Some(CloseReason::PeerAsked));

    let connection = connect(addr);
    connection.set_timeout(Some(Duration::from_millis(20)));
    assert!(connection.send(get("/"), ()).unwrap_err().is_timeout());
    assert_eq!(connection.close_reason(), Some(CloseReason::Aborted));

    let mut config = ClientConfig::DEFAULT;
    config.timeouts.idle = Some(Duration::from_millis(20));
    let client = Client::builder().config(config).build();
    let connection = client.connect(&format!("http://{addr}")).unwrap();
    hi(&connection);
    eventually("the deadline passes", || connection.available() == 0);
    let idle = CloseReason::Timeout(DeadlineKind::Idle);
    assert_eq!(connection.close_reason(), Some(idle));
    server.join().unwrap();
}

#[test]
fn closing_waits_for_the_request_that_is_under_way() {
    let server = Running::new(|_| ok(Body::from_reader(std::io::repeat(b'x').take(100_000))));
    let connection = connect(server.addr);
    let mut response = connection.send(get("/"), ()).unwrap();
    connection.close();
    assert_eq!(connection.state(), State::Busy);
    assert_eq!(response.bytes(100_000).unwrap().len(), 100_000);
    assert_eq!(connection.close_reason(), Some(CloseReason::LocalAsked));
}

#[test]
fn a_small_rest_is_drained() {
    let server = Running::new(|_| ok(Body::from_reader(std::io::repeat(b'x').take(100_000))));
    let connection = connect(server.addr);
    for i in 0..3 {
        let response = connection.send(get("/"), ()).unwrap();
        assert_eq!(response.reused(), i > 0);
        drop(response);
        assert_eq!(connection.available(), 1);
    }
}

#[test]
fn any_socket_will_do() {
    let server = Running::new(|request| ok(request.host().unwrap_or("").to_string()));
    let connection = ClientConnection::new(server.connect()).unwrap();
    let refused = connection.send(get("/"), ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse(Misuse::HostField));
    for i in 0..3 {
        let mut request = get("/");
        request.headers.append("host", "example.com").unwrap();
        let mut response = connection.send(request, ()).unwrap();
        assert_eq!(response.text(100).unwrap(), "example.com");
        assert_eq!((response.reused(), response.url()), (i > 0, None));
    }
}

#[test]
fn it_can_switch_protocols() {
    let (addr, server) = script(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(
            &mut s,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\nfirst",
        );
    });
    let connection = connect(addr);
    let mut upgrade = get("/");
    upgrade.headers.append("upgrade", "echo").unwrap();
    upgrade.headers.append("connection", "upgrade").unwrap();
    let response = connection.send(upgrade, ()).unwrap();
    let mut stream = response.into_upgraded().unwrap();
    assert_eq!((connection.state(), connection.available()), (State::Switched, 0));
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "first");
    server.join().unwrap();
}
