//! `https`: what TLS must let through, what it must not, and the deadlines over it.
#![cfg(feature = "tls")]

mod common;

use antiphon_blocking::TlsError;
use antiphon_blocking::{
    Body, Client, ClientBuilder, ClientConfig, CloseReason, ConnectConfig, DeadlineKind, Error, ErrorKind,
};
use common::secure::{KNOWN, Secure, UNKNOWN, close, secure, trusting};
use common::*;
use std::error::Error as _;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

fn client() -> ClientBuilder {
    Client::builder().tls(trusting())
}

/// A server for `connections` clients in turn.
fn server(
    connections: usize,
    mut serve: impl FnMut(usize, Secure) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    script(connections, move |i, socket| serve(i, secure(&KNOWN, socket)))
}

fn url(addr: SocketAddr) -> String {
    format!("https://localhost:{}/", addr.port())
}

fn tls_error(e: &Error) -> &TlsError {
    let mut at = e.source();
    while let Some(e) = at {
        if let Some(found) = e.downcast_ref::<TlsError>() {
            return found;
        }
        if let Some(found) = e.downcast_ref::<io::Error>().and_then(|e| e.get_ref())
            && let Some(found) = found.downcast_ref::<TlsError>()
        {
            return found;
        }
        at = e.source();
    }
    panic!("no TLS error: {e:?}")
}

#[test]
fn one_connection_serves_one_request_after_the_other() {
    let (addr, server) = server(1, |_, mut s| {
        for _ in 0..3 {
            let head = read_until(&mut s, "\r\n\r\n");
            assert!(head.starts_with("GET / HTTP/1.1\r\nhost: localhost:"), "{head}");
            send(&mut s, HELLO);
        }
        assert_eq!(s.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(s.conn.server_name(), Some("localhost"));
        // The client says goodbye when it goes.
        assert_eq!(
            s.read(&mut [0]).unwrap(),
            0,
            "an end without close_notify is an error here"
        );
    });
    let client = client().build();
    for i in 0..3 {
        let mut response = client.get(url(addr)).send().unwrap();
        assert_eq!(response.reused(), i > 0);
        assert_eq!(response.text(9).unwrap(), "hello");
        assert_eq!(response.url().unwrap().to_string(), url(addr));
    }
    drop(client);
    server.join().unwrap();
}

#[test]
fn whom_to_trust() {
    let (addr, server) = script(2, |i, socket| {
        let mut s = secure(&UNKNOWN, socket);
        let mut byte = [0];
        match (i, s.read(&mut byte)) {
            (0, read) => {
                let e = read.unwrap_err().to_string();
                assert!(
                    e.contains("UnknownCA") || e.contains("UnknownIssuer"),
                    "the alert: {e}"
                );
            }
            (_, read) => {
                assert_eq!(read.unwrap(), 1);
                read_until(&mut s, "\r\n\r\n");
                send(&mut s, HELLO);
            }
        }
    });
    let e = client().build().get(url(addr)).send().unwrap_err();
    assert!(e.is_connect() && e.kind() == ErrorKind::Tls, "{e:?}");
    assert!(matches!(tls_error(&e), TlsError::Certificate(_)), "{e:?}");
    assert!(
        e.connect_error()
            .unwrap()
            .to_string()
            .starts_with("TLS with the target localhost:")
    );

    let careless = antiphon_blocking::TlsConfig::builder()
        .roots(antiphon_blocking::Roots::None)
        .danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let client = Client::builder().tls(careless).build();
    assert_eq!(client.get(url(addr)).send().unwrap().status(), 200);
    server.join().unwrap();
}

#[test]
fn a_name_that_the_certificate_does_not_have() {
    let (addr, server) = server(1, |_, mut s| drop(s.read(&mut [0])));
    let client = client().resolve("other.example", [addr]).build();
    let e = client
        .get(format!("https://other.example:{}/", addr.port()))
        .send()
        .unwrap_err();
    assert!(matches!(tls_error(&e), TlsError::Certificate(_)), "{e:?}");
    server.join().unwrap();
}

#[test]
fn a11_a_server_without_tls_is_told_apart() {
    let (addr, server) = script(1, |_, mut s| {
        let _ = s.read(&mut [0; 1000]);
        send(&mut s, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let _ = s.read_to_end(&mut Vec::new());
    });
    let e = client().build().get(url(addr)).send().unwrap_err();
    assert_eq!(*tls_error(&e), TlsError::HttpInsteadOfTls, "{e:?}");
    server.join().unwrap();
}

#[test]
fn the_handshake_has_a_deadline() {
    for own in [false, true] {
        let (addr, server) = script(1, |_, mut s| drop(s.read_to_end(&mut Vec::new())));
        let mut connect = ConnectConfig::DEFAULT;
        if own {
            connect.tls_timeout = Some(Duration::from_millis(200));
        }
        let mut request = client().connect(connect).build().get(url(addr));
        if !own {
            request = request.timeout(Duration::from_millis(200));
        }
        let begun = Instant::now();
        let e = request.send().unwrap_err();
        assert!(e.is_timeout() && e.is_connect(), "{own}: {e:?}");
        assert_eq!(e.connect_error().is_some(), own, "{e:?}");
        assert_took(begun, 200);
        server.join().unwrap();
    }
}

/// An echo that begins before the upload has ended, of more than any buffer holds.
#[test]
fn both_directions_go_at_once() {
    const LEN: u64 = 8 << 20;
    let (addr, server) = server(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(
            &mut s,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"),
        );
        let (mut left, mut space) = (LEN, vec![0; 16 << 10]);
        while left > 0 {
            let n = s.read(&mut space).unwrap();
            s.write_all(&space[..n]).unwrap();
            left -= n as u64;
        }
    });
    let body = Body::sized_reader(LEN, Pattern(0));
    let mut response = client()
        .build()
        .post(url(addr))
        .body(body)
        .timeout(LIMIT)
        .send()
        .unwrap();
    let (mut at, mut space) = (0_u64, vec![0; 50_000]);
    loop {
        let n = response.body_mut().read(&mut space).unwrap();
        if n == 0 {
            break;
        }
        for &byte in &space[..n] {
            assert_eq!(byte, pattern(at), "at {at}");
            at += 1;
        }
    }
    assert_eq!(at, LEN);
    server.join().unwrap();
}

fn pattern(at: u64) -> u8 {
    (at % 251) as u8
}

struct Pattern(u64);

impl Read for Pattern {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for byte in buf.iter_mut() {
            *byte = pattern(self.0);
            self.0 += 1;
        }
        Ok(buf.len())
    }
}

/// One record holds more than the connection's buffer: the rest is decrypted already when nothing more comes.
#[test]
fn what_tls_holds_is_read_without_waiting_for_the_network() {
    let (done, hold) = std::sync::mpsc::channel::<()>();
    let (addr, server) = server(1, move |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        let body = "x".repeat(12_000);
        send(&mut s, &answer("200 OK", &[], &body));
        let _ = hold.recv();
    });
    let mut config = ClientConfig::DEFAULT;
    (config.limits.recv_buffer, config.limits.recv_buffer_max) = (512, 512);
    let client = client().config(config).build();
    let mut response = client
        .get(url(addr))
        .timeout(Duration::from_secs(5))
        .send()
        .unwrap();
    assert_eq!(response.bytes(20_000).unwrap().len(), 12_000);
    drop(done);
    server.join().unwrap();
}

#[test]
fn an_early_answer_ends_an_endless_upload() {
    let (addr, server) = server(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(
            &mut s,
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        );
        close(s);
    });
    let body = Body::from_reader(io::repeat(0));
    let request = client().build().post(url(addr)).body(body);
    let mut response = request.timeout(LIMIT).send().unwrap();
    assert_eq!(
        (response.status().code(), response.text(9).unwrap().as_str()),
        (413, "no")
    );
    server.join().unwrap();
}

/// A body that ends with its connection can have been cut by anybody on the way, unless TLS says that it ends.
#[test]
fn truncation_is_told_where_it_matters() {
    for (head, says_goodbye, whole) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true, true),
        ("HTTP/1.1 200 OK\r\n\r\n", false, false),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
            false,
            true,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", true, false),
    ] {
        let (addr, server) = server(1, move |_, mut s| {
            read_until(&mut s, "\r\n\r\n");
            send(&mut s, &format!("{head}abc"));
            s.flush().unwrap();
            if says_goodbye {
                close(s);
            }
        });
        let mut response = client().build().get(url(addr)).send().unwrap();
        let read = response.bytes(9);
        assert_eq!(read.is_ok(), whole, "{head:?} {says_goodbye}: {read:?}");
        if let Err(e) = read {
            assert!(e.is_body(), "{e:?}");
            if !says_goodbye {
                assert_eq!(*tls_error(&e), TlsError::Truncated);
            }
        }
        server.join().unwrap();
    }
}

#[test]
fn the_connections_deadlines_hold() {
    let (addr, server) = server(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        let _ = s.read(&mut [0]);
    });
    let mut config = ClientConfig::DEFAULT;
    config.timeouts.body_stall = Some(Duration::from_millis(200));
    let mut response = client().config(config).build().get(url(addr)).send().unwrap();
    let begun = Instant::now();
    let e = response.bytes(99).unwrap_err();
    assert_eq!(e.deadline(), Some(DeadlineKind::BodyStall), "{e:?}");
    assert_took(begun, 200);
    drop(response);
    server.join().unwrap();
}

#[test]
fn a_connection_that_the_server_closed_is_not_used() {
    let (addr, server) = server(2, |i, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, HELLO);
        if i == 0 {
            close(s);
        } else {
            let _ = s.read(&mut [0]);
        }
    });
    let client = client().build();
    client.get(url(addr)).send().unwrap().text(9).unwrap();
    eventually("the pool sees it", || {
        // A POST with a reader could not be sent twice.
        let post = client.post(url(addr)).body(Body::from_reader(&b"abc"[..]));
        thread::sleep(Duration::from_millis(20));
        !post.send().unwrap().reused()
    });
    drop(client);
    server.join().unwrap();
}

#[test]
fn a_switched_connection_stays_encrypted() {
    let (addr, server) = server(1, |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        send(&mut s, &format!("{head}early"));
        let mut space = vec![0; 10_000];
        loop {
            match s.read(&mut space).unwrap() {
                0 => break,
                n => s.write_all(&space[..n]).unwrap(),
            }
        }
        close(s);
    });
    let response = client()
        .build()
        .get(url(addr))
        .header("Connection", "upgrade")
        .header("Upgrade", "echo")
        .send()
        .unwrap();
    let mut upgraded = response.into_upgraded().unwrap();
    let mut early = [0; 5];
    upgraded.read_exact(&mut early).unwrap();
    assert_eq!(&early, b"early");
    const LEN: usize = 2 << 20;
    let mut writer = upgraded.try_clone().unwrap();
    let writing = thread::spawn(move || {
        let mut source = Pattern(0).take(LEN as u64);
        io::copy(&mut source, &mut writer).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    upgraded.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), LEN);
    assert!(back.iter().enumerate().all(|(i, &b)| b == pattern(i as u64)));
    assert_eq!(
        upgraded.into_parts().unwrap_err().kind(),
        io::ErrorKind::Unsupported
    );
    writing.join().unwrap();
    server.join().unwrap();
}

#[test]
fn a_redirect_to_http_tells_no_referer() {
    let plain = Told::new([answer("200 OK", &[], "here")]);
    let to = plain.url("/");
    let (addr, server) = server(1, move |_, mut s| {
        read_until(&mut s, "\r\n\r\n");
        send(&mut s, &moved("302 Found", &to));
    });
    let mut response = client().build().get(url(addr)).send().unwrap();
    assert_eq!(response.text(9).unwrap(), "here");
    assert_eq!(plain.asked()[0].field("referer"), None);
    assert_eq!(response.close_reason(), None::<CloseReason>);
    server.join().unwrap();
}
