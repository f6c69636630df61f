//! Making connections: which addresses are tried, what becomes of those that fail, and that every deadline holds,
//! however long a name is looked up.

mod common;

use antiphon_blocking::{Client, ConnectConfig, ErrorKind};
use common::*;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// An address at which nobody listens.
fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// An address that does not answer: its backlog is full. The sockets keep it so.
#[cfg(target_os = "linux")]
fn silent() -> (SocketAddr, Vec<Box<dyn std::any::Any>>) {
    use rustix::net::{AddressFamily, SocketType};
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let addr = listener.local_addr().unwrap();
    let mut kept: Vec<Box<dyn std::any::Any>> = vec![Box::new(listener)];
    loop {
        match TcpStream::connect_timeout(&addr, Duration::from_millis(200)) {
            Ok(socket) => kept.push(Box::new(socket)),
            Err(e) if e.kind() == io::ErrorKind::TimedOut => return (addr, kept),
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn an_address_that_refuses_is_followed_by_the_next() {
    let server = Told::new([answer("200 OK", &[], "here")]);
    let client = Client::builder()
        .resolve("two.example", [closed(), server.addr])
        .build();
    let mut response = client.get("http://two.example/").send().unwrap();
    assert_eq!(response.text(9).unwrap(), "here");
    assert_eq!(response.remote_addr(), Some(server.addr));
    assert_eq!(server.asked()[0].field("host"), Some("two.example"));
}

/// RFC 8305: the next attempt begins while the first is still under way, and its connection is the one.
#[cfg(target_os = "linux")]
#[test]
fn an_address_that_does_not_answer_does_not_hold_up_the_next() {
    let (silent, _kept) = silent();
    let server = Told::new([answer("200 OK", &[], "here")]);
    let client = Client::builder()
        .resolve("two.example", [silent, server.addr])
        .build();
    let begun = Instant::now();
    let response = client.get("http://two.example/").send().unwrap();
    assert_eq!(response.remote_addr(), Some(server.addr));
    assert_took(begun, 250);
}

#[cfg(target_os = "linux")]
#[test]
fn connecting_has_its_deadlines() {
    let (silent, _kept) = silent();
    let url = format!("http://{silent}/");
    // Of dialling, of one address, of the call.
    for which in 0..3 {
        let mut connect = ConnectConfig::DEFAULT;
        let limit = Duration::from_millis(200);
        match which {
            0 => connect.dial_timeout = Some(limit),
            1 => connect.attempt_timeout = Some(limit),
            _ => {}
        }
        let mut request = Client::builder().connect(connect).build().get(&url);
        if which == 2 {
            request = request.timeout(limit);
        }
        let begun = Instant::now();
        let e = request.send().unwrap_err();
        assert!(e.is_timeout() && e.is_connect(), "{which}: {e:?}");
        assert_eq!(e.connect_error().is_some(), which < 2, "{e:?}");
        if which < 2 {
            assert_eq!(e.io_error().unwrap().kind(), io::ErrorKind::TimedOut, "{e:?}");
        }
        assert_took(begun, 200);
    }
}

#[test]
fn the_error_says_what_each_address_came_to() {
    let (one, two) = (closed(), closed());
    let client = Client::builder().resolve("two.example", [one, two]).build();
    let e = client.get("http://u:secret@two.example/").send().unwrap_err();
    assert!(
        e.kind() == ErrorKind::Connect && e.is_connect() && !e.is_timeout(),
        "{e:?}"
    );
    assert_eq!(
        e.to_string(),
        "Get \"http://***@two.example/\": failed while waiting for a connection"
    );
    let connect = e.connect_error().unwrap();
    assert_eq!(
        connect.to_string(),
        format!(
            "dialling two.example:80: no address could be reached ({one}: connection refused, {two}: connection refused)"
        )
    );
    assert_eq!(e.io_error().unwrap().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn names_are_looked_up_as_is_said() {
    let server = Told::new([HELLO, HELLO]);
    let port = server.addr.port();
    let (asked, told) = (Arc::new(Mutex::new(Vec::new())), server.addr);
    let log = Arc::clone(&asked);
    let client = Client::builder()
        .resolve("Fixed.Example", ["127.0.0.1:0".parse::<SocketAddr>().unwrap()])
        .resolver(move |host, port| {
            log.lock().unwrap().push(format!("{host} {port}"));
            match host {
                "gone.example" => Err(io::Error::other("no such name")),
                "empty.example" => Ok(Vec::new()),
                _ => Ok(vec![told]),
            }
        })
        .build();
    // The port 0 stands for that of the URL.
    let get = |url: String| client.get(url).send();
    assert_eq!(
        get(format!("http://fixed.example:{port}/")).unwrap().status(),
        200
    );
    assert_eq!(get("http://asked.example:81/".into()).unwrap().status(), 200);
    let e = get("http://gone.example/".into()).unwrap_err();
    assert!(e.kind() == ErrorKind::Resolve && e.is_connect(), "{e:?}");
    assert_eq!(e.io_error().unwrap().to_string(), "no such name");
    let e = get("http://empty.example/".into()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Resolve, "{e:?}");
    assert_eq!(
        *asked.lock().unwrap(),
        ["asked.example 81", "gone.example 80", "empty.example 80"]
    );
}

#[test]
fn k1_a_look_up_that_hangs_does_not_hold_up_the_call() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let client = Client::builder()
        .resolver(move |_, _| {
            let _ = held.lock().unwrap().recv();
            Ok(Vec::new())
        })
        .build();
    let begun = Instant::now();
    let e = client
        .get("http://slow.example/")
        .timeout(Duration::from_millis(200))
        .send()
        .unwrap_err();
    assert!(e.is_timeout() && e.is_connect(), "{e:?}");
    assert_took(begun, 200);
    assert_eq!(client.pool_stats().dialing, 0);
    drop(release);
}

#[test]
fn another_dialer() {
    let server = Told::new([HELLO]);
    let told = server.addr;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let [one, two]: [SocketAddr; 2] = ["192.0.2.1:80".parse().unwrap(), "192.0.2.2:80".parse().unwrap()];
    let client = Client::builder()
        .resolve("two.example", [one, two])
        .dialer(move |to| {
            log.lock().unwrap().push(to.clone());
            assert!(to.timeout.is_some_and(|t| t <= Duration::from_secs(10)));
            match to.address == one {
                true => Err(io::ErrorKind::HostUnreachable.into()),
                false => TcpStream::connect(told),
            }
        })
        .build();
    assert_eq!(client.get("http://two.example/").send().unwrap().status(), 200);
    let seen = seen.lock().unwrap();
    let told: Vec<_> = seen.iter().map(|to| (&*to.host, to.port, to.address)).collect();
    assert_eq!(told, [("two.example", 80, one), ("two.example", 80, two)]);
}
