//! Antiphon on Tokio: an HTTP/1.1 client and server on a sans-IO core.
//!
//! This crate fulfils the runtime contract of `antiphon-driver` and names the result; everything else is the
//! driver's, so the other adapters look the same. Both flavours of Tokio's runtime work. Everything has to be
//! used inside one: with `#[tokio::main]` or `Runtime::block_on`, with I/O and time enabled.
//!
//! ```
//! use antiphon_tokio::{Body, Client, Request, Response, Server, Status};
//!
//! async fn hello(request: Request) -> Result<Response, antiphon_tokio::Error> {
//!     Ok(Response::new(Status::OK).with_body(format!("you asked for {}\n", request.path())))
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let server = Server::bind("127.0.0.1:0")?;
//! let url = format!("http://{}/tea", server.local_addr()?);
//! let handle = server.handle();
//! let serving = tokio::spawn(server.serve(hello));
//!
//! let client = Client::new();
//! let mut response = client.get(url).send().await?;
//! assert_eq!(response.status(), Status::OK);
//! assert_eq!(response.text(1024).await?, "you asked for /tea\n");
//!
//! handle.shutdown();
//! drop(client);
//! serving.await.expect("the server does not panic")?;
//! # let _ = Body::empty();
//! # Ok::<(), antiphon_tokio::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod stream;

pub use self::stream::{Io, Tcp, TcpListener};
pub use antiphon_driver::*;

use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// A server on Tokio.
///
/// Its methods are those of [`antiphon_driver::Server`].
pub type Server = antiphon_driver::Server<Tokio>;
/// Settings of a [`Server`] to be.
///
/// Its methods are those of [`antiphon_driver::ServerBuilder`].
pub type ServerBuilder = antiphon_driver::ServerBuilder<Tokio>;
/// A client on Tokio.
///
/// Its methods are those of [`antiphon_driver::Client`].
pub type Client = antiphon_driver::Client<Tokio>;
/// Settings of a [`Client`] to be.
///
/// Its methods are those of [`antiphon_driver::ClientBuilder`].
pub type ClientBuilder = antiphon_driver::ClientBuilder<Tokio>;
/// A request to be sent.
///
/// Its methods are those of [`antiphon_driver::RequestBuilder`].
pub type RequestBuilder = antiphon_driver::RequestBuilder<Tokio>;

/// A client's connection outside the pool.
///
/// Its methods are those of [`antiphon_driver::ClientConnection`].
pub type ClientConnection = antiphon_driver::ClientConnection<Tokio>;
/// The right to send the next request on a [`ClientConnection`].
///
/// Its methods are those of [`antiphon_driver::Reservation`].
pub type Reservation = antiphon_driver::Reservation<Tokio>;

/// Serves the files below a directory.
///
/// Its methods are those of [`antiphon_driver::ServeDir`].
pub type ServeDir = antiphon_driver::ServeDir<Tokio>;

/// The next `len` bytes of `file` as a body, read in blocks of 64 KiB on Tokio's blocking threads.
pub fn file_body(file: std::fs::File, len: u64) -> Body {
    Body::from_file(&Tokio, file, len)
}

/// Tokio, the runtime that the calling thread is in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

/// Probes begin after this much silence (the connection's own deadlines are far sooner, unless switched off).
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What every connection gets: no delay by Nagle's algorithm, since the machines write whole messages, and TCP
/// keep-alive. Neither is worth refusing a connection over.
pub(crate) fn set_up(stream: &tokio::net::TcpStream) {
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE));
}

impl Runtime for Tokio {
    type Stream = Tcp;
    type Listener = TcpListener;
    type Timer = Timer;

    fn now(&self) -> antiphon_core::Instant {
        // Tokio's clock rather than the system's, so that `tokio::time::pause` holds in tests.
        antiphon_core::Instant::from_duration(Instant::now().saturating_duration_since(*ORIGIN))
    }

    fn timer(&self, at: antiphon_core::Instant) -> Timer {
        Timer(Box::pin(tokio::time::sleep_until(when(at))))
    }

    fn bind(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(addr)
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<Tcp> {
        let stream = tokio::net::TcpStream::connect(addr).await?;
        set_up(&stream);
        Ok(Tcp(stream))
    }

    fn unblock<T, W>(&self, work: W) -> impl Future<Output = io::Result<T>> + Send + 'static
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let task = tokio::task::spawn_blocking(work);
        async move { task.await.map_err(io::Error::other) }
    }
}

impl Resolve for Tokio {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

impl<F> Spawn<F> for Tokio
where
    F: Future<Output = ()> + Send + 'static,
{
    fn spawn(&self, future: F) {
        // Outside a runtime (a response dropped after its runtime) nothing can run: the future is dropped,
        // which closes its connection.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(future);
        }
    }
}

/// Where this process's clock begins.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn when(at: antiphon_core::Instant) -> Instant {
    let since = at.since_origin();
    // Further than the clock reaches is as good as never.
    ORIGIN
        .checked_add(since)
        .unwrap_or_else(|| *ORIGIN + Duration::from_secs(86_400 * 365 * 30))
}

/// A timer on Tokio's clock.
#[derive(Debug)]
pub struct Timer(std::pin::Pin<Box<tokio::time::Sleep>>);

impl antiphon_driver::Timer for Timer {
    fn reset(&mut self, at: antiphon_core::Instant) {
        self.0.as_mut().reset(when(at));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
