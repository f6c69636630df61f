//! Deadlines on real sockets and real clocks, a quarter of a second each, on every runtime: that adapters ask for
//! deadlines and keep them. What exactly happens at which instant is in `deadlines.rs`, in virtual time.

use antiphon_core::h1::{ClientConfig, ServerConfig, Timeouts};
use antiphon_tests::case::Cut;
use antiphon_tests::peer::{PATIENCE, Peer};
use antiphon_tests::subject::Runtime;
use antiphon_tests::subject::item::{Item, Outcome};
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_millis(250);

/// Runs `then`, which must take as long as the deadline; later is only a matter of a busy machine.
fn in_time<T>(then: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = then();
    let took = start.elapsed();
    assert!(
        took >= LIMIT - Duration::from_millis(20),
        "after {took:?} already"
    );
    assert!(took < Duration::from_secs(5), "only after {took:?}");
    result
}

fn server(runtime: Runtime, set: impl FnOnce(&mut Timeouts)) -> SocketAddr {
    let mut config = ServerConfig::DEFAULT;
    set(&mut config.timeouts);
    runtime.spawn_server(config)
}

fn head(runtime: Runtime) {
    let addr = server(runtime, |t| t.head = Some(LIMIT));
    in_time(|| {
        let mut peer = Peer::connect(addr);
        peer.send(b"GET / HTTP/1.1\r\nHo", Cut::Whole);
        assert_eq!(peer.response("GET").map(|r| r.status), Ok(408));
        assert!(peer.closes(Instant::now() + PATIENCE));
    });
}

fn idle(runtime: Runtime) {
    let addr = server(runtime, |t| t.idle = Some(LIMIT));
    in_time(|| {
        let mut peer = Peer::connect(addr);
        assert!(peer.closes(Instant::now() + PATIENCE), "without a word");
    });
    // And after an exchange.
    let mut peer = Peer::connect(addr);
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Cut::Whole);
    assert_eq!(peer.response("GET").map(|r| r.status), Ok(200));
    in_time(|| assert!(peer.closes(Instant::now() + PATIENCE)));
}

fn body_stall(runtime: Runtime) {
    let addr = server(runtime, |t| t.body_stall = Some(LIMIT));
    in_time(|| {
        let mut peer = Peer::connect(addr);
        peer.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
            Cut::Whole,
        );
        assert_eq!(peer.response("POST").map(|r| r.status), Ok(408));
        assert!(peer.closes(Instant::now() + PATIENCE));
    });
}

fn write_stall(runtime: Runtime) {
    const SIZE: usize = 200_000_000;
    let addr = server(runtime, |t| t.write_stall = Some(LIMIT));
    let mut peer = Peer::connect(addr);
    peer.send(
        format!("GET /big?n={SIZE} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
        Cut::Whole,
    );
    // Nothing is read until the server must have given up; the system's buffers hold far less than the body.
    std::thread::sleep(LIMIT + Duration::from_millis(900));
    let until = Instant::now() + PATIENCE;
    while !peer.closed {
        assert!(peer.wait(until), "the server goes on");
    }
    assert!(
        peer.received.len() < SIZE / 2,
        "{} bytes came",
        peer.received.len()
    );
}

fn perform(runtime: Runtime, set: impl FnOnce(&mut Timeouts), items: &[Item]) -> Vec<Outcome> {
    let mut config = ClientConfig::DEFAULT;
    set(&mut config.timeouts);
    let mut outcomes = Vec::new();
    runtime.perform(config, items, |outcome| outcomes.push(outcome));
    outcomes
}

fn response_head(runtime: Runtime) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    // Reads, and says nothing until the client goes.
    let silent = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        let mut request = Vec::new();
        let _ = socket.read_to_end(&mut request);
        request.len()
    });
    let item = Item::get(format!("http://{addr}/"));
    let outcomes = in_time(|| perform(runtime, |t| t.response_head = Some(LIMIT), &[item]));
    assert!(
        outcomes[0].error.is_some() && outcomes[0].status.is_none(),
        "{:?}",
        outcomes[0]
    );
    assert!(
        silent.join().expect("it does not panic") > 0,
        "the connection was ended"
    );
}

fn client_idle(runtime: Runtime) {
    let addr = runtime.spawn_server(ServerConfig::DEFAULT);
    let elsewhere = runtime.spawn_server(ServerConfig::DEFAULT);
    let items = [
        Item::get(format!("http://{addr}/1")),
        Item::get(format!("http://{elsewhere}/delay?ms=700")),
        Item::get(format!("http://{addr}/2")),
    ];
    let reused = |idle| {
        let outcomes = perform(runtime, |t| t.idle = Some(idle), &items);
        assert!(outcomes.iter().all(|o| o.status == Some(200)), "{outcomes:?}");
        outcomes[2].reused
    };
    assert!(!reused(LIMIT), "it was idle for too long");
    // (The core's subject keeps one idle connection in all.)
    assert!(reused(Duration::from_secs(30)) || runtime == Runtime::Core);
}

macro_rules! on {
    ($($name:ident: $runtime:ident;)+) => {$(
        mod $name {
            use super::Runtime::$runtime;

            #[test]
            fn head() {
                super::head($runtime);
            }

            #[test]
            fn idle() {
                super::idle($runtime);
            }

            #[test]
            fn body_stall() {
                super::body_stall($runtime);
            }

            #[test]
            fn write_stall() {
                super::write_stall($runtime);
            }

            #[test]
            fn response_head() {
                super::response_head($runtime);
            }

            #[test]
            fn client_idle() {
                super::client_idle($runtime);
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
