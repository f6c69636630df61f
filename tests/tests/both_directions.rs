//! Request and response under way at once, on every runtime: a body that is sent back while it is still being sent,
//! and an answer in the middle of an upload that would take for ever.

use antiphon_core::h1::ServerConfig;
use antiphon_tests::subject::Runtime;
use antiphon_tests::subject::item::Item;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

const LARGE: usize = 16 << 20;

/// Byte `i` of a body that repeats only after 251 bytes, so that no shift goes unnoticed.
fn byte(i: usize) -> u8 {
    (i % 251) as u8
}

fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).expect("the server accepts");
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("not zero");
    socket
        .set_write_timeout(Some(Duration::from_secs(30)))
        .expect("not zero");
    socket
}

/// 16 MiB go up and come back on one bare connection, the writing thread never waiting for the reading one.
fn mirrored(runtime: Runtime) {
    let socket = connect(runtime.spawn_server(ServerConfig::DEFAULT));
    let mut up = socket.try_clone().expect("a second handle");
    let writer = std::thread::spawn(move || {
        write!(
            up,
            "POST /mirror HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {LARGE}\r\n\r\n"
        )?;
        let mut sent = 0;
        while sent < LARGE {
            let piece: Vec<u8> = (sent..(sent + 65_536).min(LARGE)).map(byte).collect();
            up.write_all(&piece)?;
            sent += piece.len();
        }
        Ok::<(), std::io::Error>(())
    });
    let mut down = socket;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut one = [0];
        down.read_exact(&mut one).expect("a response head");
        head.push(one[0]);
    }
    let head = String::from_utf8(head).expect("ASCII").to_ascii_lowercase();
    assert!(
        head.starts_with("http/1.1 200 ") && head.contains(&format!("content-length: {LARGE}")),
        "{head}"
    );
    let (mut seen, mut space) = (0, vec![0; 65_536]);
    loop {
        match down.read(&mut space).expect("the body") {
            0 => break,
            n => {
                let wrong = space[..n].iter().enumerate().find(|(i, b)| **b != byte(seen + i));
                assert_eq!(wrong, None, "a byte in {seen}..{}", seen + n);
                seen += n;
            }
        }
    }
    assert_eq!(seen, LARGE);
    writer
        .join()
        .expect("it does not panic")
        .expect("everything was taken");
}

/// The runtime's own client sends 16 MiB to its own server, which sends them back meanwhile.
fn mirrored_by_the_client(runtime: Runtime) {
    let addr = runtime.spawn_server(ServerConfig::DEFAULT);
    let body: Vec<u8> = (0..LARGE).map(byte).collect();
    for chunked in [false, true] {
        let url = format!("http://{addr}/mirror");
        let item = Item {
            body: Some(body.clone()),
            chunked,
            ..Item::get(url)
        };
        runtime.perform(Default::default(), &[item], |outcome| {
            assert_eq!((outcome.status, &outcome.error), (Some(200), &None));
            assert!(outcome.body == body, "{} bytes came back", outcome.body.len());
        });
    }
}

/// A gibibyte is announced; the server answers 413 at once. A client that goes on sending for a while and then
/// looks gets the answer, not a reset.
fn refused(runtime: Runtime) {
    let mut socket = connect(runtime.spawn_server(ServerConfig::DEFAULT));
    write!(
        socket,
        "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        1 << 30
    )
    .expect("a head");
    // Small enough for the server to discard it all while it lingers.
    for _ in 0..3 {
        if socket.write_all(&[b'x'; 60_000]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut answer = Vec::new();
    let mut space = [0; 4096];
    loop {
        match socket.read(&mut space) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&space[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => panic!("{e} after {:?}", String::from_utf8_lossy(&answer)),
        }
    }
    let answer = String::from_utf8(answer).expect("ASCII");
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("\r\n\r\ntoo much"),
        "{answer}"
    );
    assert!(
        answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"),
        "{answer}"
    );
    let _ = socket.shutdown(Shutdown::Both);
}

/// The runtime's own client is told 413 in the middle of its upload.
fn the_client_hears_the_refusal(runtime: Runtime) {
    let addr = runtime.spawn_server(ServerConfig::DEFAULT);
    let body = Some(vec![b'x'; 4 * LARGE]);
    let item = Item {
        body,
        ..Item::get(format!("http://{addr}/refuse"))
    };
    runtime.perform(Default::default(), &[item], |outcome| {
        assert_eq!((outcome.status, &outcome.error), (Some(413), &None));
        assert_eq!(outcome.body, b"too much");
    });
}

macro_rules! on {
    ($($name:ident: $runtime:ident;)+) => {$(
        mod $name {
            use super::Runtime::$runtime;

            #[test]
            fn mirrored() {
                super::mirrored($runtime);
            }

            #[test]
            fn mirrored_by_the_client() {
                super::mirrored_by_the_client($runtime);
            }

            #[test]
            fn refused() {
                super::refused($runtime);
            }

            #[test]
            fn the_client_hears_the_refusal() {
                super::the_client_hears_the_refusal($runtime);
            }
        }
    )+};
}

on! {
    core: Core;
    tokio: Tokio;
    tokio_current: TokioCurrent;
    smol: Smol;
    blocking: Blocking;
}
