//! What the tests of the async drivers share: servers in the background, peers that speak raw bytes on threads
//! of their own with blocking sockets.
#![allow(dead_code)]

#[cfg(feature = "tls")]
#[path = "authority.rs"]
pub(crate) mod authority;
pub(crate) mod observed {
    pub(crate) use crate::rt::{Trace, TraceEvent};
}

pub(crate) mod told;

use crate::rt::{self, Body, Request, Response, Server, ServerBuilder, Status};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

pub(crate) type Outcome = Result<Response, rt::BoxError>;

pub(crate) fn ok(body: impl Into<Body>) -> Outcome {
    Ok(Response::new(Status::OK).with_body(body))
}

pub(crate) fn builder() -> ServerBuilder {
    Server::builder().drain_timeout(Duration::from_secs(5))
}

/// Serves with `handler` while `peer` runs on a thread; shuts down when it has returned.
pub(crate) fn against_server<H, F>(
    builder: ServerBuilder,
    handler: H,
    peer: impl FnOnce(SocketAddr) + Send + 'static,
) where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    rt::block_on(async move {
        let server = builder.bind("127.0.0.1:0").expect("a free port");
        let (addr, handle) = (server.local_addr().expect("bound"), server.handle());
        let thread = thread::spawn(move || {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| peer(addr)));
            handle.shutdown();
            done
        });
        server.serve(handler).await.expect("serving");
        if let Err(panic) = thread.join().expect("caught inside") {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Starts a server in the background; it stops when the guard is dropped.
pub(crate) fn start<H, F>(builder: ServerBuilder, handler: H) -> Running
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let server = builder.bind("127.0.0.1:0").expect("a free port");
    let running = Running {
        addr: server.local_addr().expect("bound"),
        handle: server.handle(),
    };
    rt::spawn(async move { server.serve(handler).await.expect("serving") });
    running
}

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) handle: rt::ServerHandle,
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// A peer on a raw socket. No wait is longer than five seconds.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) fn connect(addr: SocketAddr) -> Raw {
        Raw::new(TcpStream::connect(addr).expect("connected"))
    }

    pub(crate) fn new(stream: TcpStream) -> Raw {
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        stream
            .set_write_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Raw(stream)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("written");
    }

    /// Reads up to and including `end`.
    pub(crate) fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let mut byte = [0];
            let n = self.0.read(&mut byte).expect("read");
            assert!(
                n > 0,
                "the connection ended before {end:?}: {:?}",
                String::from_utf8_lossy(&text)
            );
            text.push(byte[0]);
        }
        String::from_utf8(text).expect("text")
    }

    /// Reads a head and a body of its Content-Length.
    pub(crate) fn response(&mut self) -> (String, String) {
        let head = self.until("\r\n\r\n");
        let len = head
            .lines()
            .find_map(|l| {
                l.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .map(str::to_string)
            })
            .map_or(0, |n| n.parse().expect("a length"));
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).expect("the body");
        (head, String::from_utf8(body).expect("text"))
    }

    /// Reads a request: its head, and a body of its Content-Length or in chunks. `None`: the connection ended instead.
    pub(crate) fn request(&mut self) -> Option<String> {
        let mut first = [0];
        match self.0.read(&mut first) {
            Ok(0) => return None,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
            read => read.expect("read"),
        };
        let head = format!("{}{}", char::from(first[0]), self.until("\r\n\r\n"));
        let fields = head.to_ascii_lowercase();
        let len = fields.lines().find_map(|l| l.strip_prefix("content-length: "));
        let mut body = vec![0; len.map_or(0, |n| n.parse().expect("a length"))];
        self.0.read_exact(&mut body).expect("the body");
        let chunked = fields.contains("transfer-encoding: chunked");
        let rest = if chunked {
            self.until("0\r\n\r\n")
        } else {
            String::new()
        };
        Some(head + &String::from_utf8(body).expect("text") + &rest)
    }

    /// Reads to the end of the connection. A reset counts as one too.
    pub(crate) fn rest(&mut self) -> String {
        let mut all = Vec::new();
        let mut block = [0; 4096];
        loop {
            match self.0.read(&mut block) {
                Ok(0) => break,
                Ok(n) => all.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(e) => panic!("{e}; got {:?}", String::from_utf8_lossy(&all)),
            }
        }
        String::from_utf8(all).expect("text")
    }
}

/// A raw server for one test: `serve` gets each connection in turn, with its number.
pub(crate) fn raw_server(
    connections: usize,
    serve: impl Fn(usize, Raw) + Send + 'static,
) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let thread = thread::spawn(move || {
        for i in 0..connections {
            let (stream, _) = listener.accept().expect("accepted");
            serve(i, Raw::new(stream));
        }
    });
    (addr, thread)
}

/// A server that gives these answers in turn, over as many connections as it takes, one at a time; after one that says
/// `Connection: close` it closes. It tells what it was asked: the number of the connection, and the request.
pub(crate) fn script<A>(answers: impl IntoIterator<Item = A>) -> (SocketAddr, thread::JoinHandle<Vec<Asked>>)
where
    A: AsRef<[u8]> + Send + 'static,
{
    let answers: Vec<A> = answers.into_iter().collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let thread = thread::spawn(move || {
        let (mut asked, mut answers) = (Vec::new(), answers.into_iter().peekable());
        for number in 0.. {
            if answers.peek().is_none() {
                break;
            }
            let mut peer = Raw::new(listener.accept().expect("accepted").0);
            while answers.peek().is_some()
                && let Some(request) = peer.request()
            {
                let answer = answers.next().expect("looked at");
                asked.push((number, request));
                peer.send(&answer);
                let text = String::from_utf8_lossy(answer.as_ref()).to_lowercase();
                if text.contains("connection: close\r\n") {
                    break;
                }
            }
        }
        asked
    });
    (addr, thread)
}

/// The number of a connection, and what was asked on it.
pub(crate) type Asked = (usize, String);

/// The connections and the first lines of what was asked.
pub(crate) fn lines(asked: &[Asked]) -> Vec<(usize, &str)> {
    let line = |text: &'_ str| text.find(" HTTP/1.1\r\n").expect("a request line");
    asked.iter().map(|(n, text)| (*n, &text[..line(text)])).collect()
}

/// Bytes that show where they were cut or swapped.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// A stream of `chunks`.
pub(crate) struct Chunks<I>(pub(crate) I);

impl<I, E> futures_core::Stream for Chunks<I>
where
    I: Iterator<Item = Result<bytes::Bytes, E>> + Unpin,
{
    type Item = Result<bytes::Bytes, E>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}
