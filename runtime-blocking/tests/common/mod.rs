//! What the tests share: a server on a free port that is shut down when the test ends, raw sockets with time
//! limits, and a watchdog.
#![allow(dead_code, unused_imports, unreachable_pub)]

#[cfg(feature = "tls")]
pub mod secure;
pub mod told;

pub use told::{Told, answer, moved};

use antiphon_blocking::{BoxError, Error, Request, Response, Server, ServerBuilder, ServerHandle, Status};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// No read or write of a test waits longer.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A small response.
pub const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

pub type Outcome = Result<Response, BoxError>;

/// A server in the background.
pub struct Running {
    pub addr: SocketAddr,
    pub handle: ServerHandle,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Running {
    pub fn new(handler: impl Fn(Request) -> Outcome + Send + Sync + 'static) -> Running {
        Running::with(Server::builder(), handler)
    }

    pub fn with(
        builder: ServerBuilder,
        handler: impl Fn(Request) -> Outcome + Send + Sync + 'static,
    ) -> Running {
        let server = builder
            .drain_timeout(Duration::from_secs(2))
            .bind("127.0.0.1:0")
            .unwrap();
        let (addr, handle) = (server.local_addr().unwrap(), server.handle());
        let thread = thread::spawn(move || server.serve(handler));
        Running {
            addr,
            handle,
            thread: Some(thread),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.addr)
    }

    /// Shuts down and waits for the end; says how long that took.
    pub fn shut_down(mut self) -> Duration {
        let begun = Instant::now();
        self.handle.shutdown();
        self.thread.take().unwrap().join().unwrap().unwrap();
        begun.elapsed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

pub fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.set_write_timeout(Some(LIMIT)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// A raw server for one client: `script` gets each connection in turn.
pub fn script(
    connections: usize,
    mut script: impl FnMut(usize, TcpStream) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        for i in 0..connections {
            let (socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(LIMIT)).unwrap();
            socket.set_write_timeout(Some(LIMIT)).unwrap();
            // What is written must be under way before a close that resets the connection.
            socket.set_nodelay(true).unwrap();
            script(i, socket);
        }
    });
    (addr, thread)
}

/// Reads until `end` has come (inclusive); panics when the stream ends before.
pub fn read_until(socket: &mut impl Read, end: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(end.as_bytes()) {
        let n = socket.read(&mut byte).unwrap();
        assert!(
            n > 0,
            "the stream ended after {:?}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

/// Reads to the end of the stream.
pub fn read_all(socket: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    socket.read_to_end(&mut seen).unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

/// A head, and a body of its Content-Length.
pub fn read_response(socket: &mut TcpStream) -> (String, String) {
    let head = read_until(socket, "\r\n\r\n");
    let len = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|l| {
            l.strip_prefix("content-length: ")
                .map(|n| n.trim().parse::<usize>().unwrap())
        })
        .unwrap_or(0);
    let mut body = vec![0; len];
    socket.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

pub fn send(socket: &mut impl Write, bytes: &str) {
    socket.write_all(bytes.as_bytes()).unwrap();
}

pub fn ok(body: impl Into<antiphon_blocking::Body>) -> Outcome {
    Ok(Response::new(Status::OK).with_body(body))
}

/// The usual routes.
pub fn routes(mut request: Request) -> Outcome {
    match request.path() {
        "/" => ok("hello"),
        "/target" => {
            let text = format!("{} {} {:?}", request.method(), request.path(), request.query());
            ok(text)
        }
        "/len" => {
            let mut n = 0u64;
            while let Some(chunk) = request.body_mut().chunk() {
                n += chunk?.len() as u64;
            }
            ok(n.to_string())
        }
        "/echo" => ok(request.into_body()),
        "/stream" => ok(antiphon_blocking::Body::from_reader(
            std::io::repeat(b's').take(100_000),
        )),
        "/panic" => panic!("as asked"),
        "/error" => Err("as asked".into()),
        "/413" => Ok(Response::new(Status::CONTENT_TOO_LARGE).with_body("too large")),
        _ => Ok(Response::new(Status::NOT_FOUND)),
    }
}

/// Waits until `what` holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Asserts that a deadline of `ms` milliseconds passed: not early, not much too late.
pub fn assert_took(begun: Instant, ms: u64) {
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(ms), "too early: {took:?}");
    assert!(took < Duration::from_millis(ms + 2_000), "too late: {took:?}");
}
