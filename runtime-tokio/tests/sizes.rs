//! What the drivers weigh: the future of a server's connection, as it is spawned (the state that it shares with its
//! handler lies behind a pointer: `bench/idle.sh` counts that in), and the public types. The bounds are ceilings, to be
//! lowered, not raised.
#![allow(missing_docs)]

use antiphon_driver::{Resolve, Runtime, Server, ServerBuilder, Spawn};
use antiphon_tokio::{Body, Client, Error, Request, Response, Status, Tokio};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tokio, which notes how large the futures are that it is given.
#[derive(Clone, Copy, Default)]
struct Scales(Tokio);

static LARGEST: AtomicUsize = AtomicUsize::new(0);

impl Runtime for Scales {
    type Stream = <Tokio as Runtime>::Stream;
    type Listener = <Tokio as Runtime>::Listener;
    type Timer = <Tokio as Runtime>::Timer;

    fn now(&self) -> antiphon_core::Instant {
        self.0.now()
    }

    fn timer(&self, at: antiphon_core::Instant) -> Self::Timer {
        self.0.timer(at)
    }

    fn bind(&self, addr: SocketAddr) -> io::Result<Self::Listener> {
        self.0.bind(addr)
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<Self::Stream> {
        self.0.connect(addr).await
    }

    fn unblock<T, W>(&self, work: W) -> impl Future<Output = io::Result<T>> + Send + 'static
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        self.0.unblock(work)
    }
}

impl Resolve for Scales {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.resolve(host, port).await
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Scales {
    fn spawn(&self, future: F) {
        LARGEST.fetch_max(size_of::<F>(), Ordering::Relaxed);
        self.0.spawn(future);
    }
}

fn check(sizes: &[(&str, usize, usize)]) {
    for (name, size, ceiling) in sizes {
        println!("{name}: {size} bytes, {ceiling} allowed");
    }
    for (name, size, ceiling) in sizes {
        assert!(size <= ceiling, "{name} takes {size} bytes, {ceiling} allowed");
    }
}

#[tokio::test]
async fn a_connection_of_a_server() {
    let builder: ServerBuilder<Scales> = Server::builder();
    let server = builder.bind("127.0.0.1:0").expect("a free port");
    let (addr, handle) = (server.local_addr().expect("bound"), server.handle());
    let peer = std::thread::spawn(move || {
        let mut socket = std::net::TcpStream::connect(addr).expect("connected");
        socket.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("written");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("read");
        handle.shutdown();
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    });
    let hello = |_: Request| async { Ok::<_, Error>(Response::new(Status::OK).with_body("hi")) };
    server.serve(hello).await.expect("serving");
    peer.join().expect("the peer is content");
    check(&[("a connection's future", LARGEST.load(Ordering::Relaxed), 240)]);
}

#[tokio::test]
async fn a_request_of_a_client() {
    let client = Client::new();
    let request = client.get("http://127.0.0.1:1/");
    let builder = size_of_val(&request);
    check(&[
        ("the future of `send`", size_of_val(&request.send()), 800),
        ("RequestBuilder", builder, 184),
        ("Client", size_of::<Client>(), 8),
        ("Request", size_of::<Request>(), 208),
        ("Response", size_of::<Response>(), 160),
        ("Body", size_of::<Body>(), 64),
        ("Error", size_of::<Error>(), 8),
    ]);
}
