//! Antiphon on smol (async-io, async-executor): an HTTP/1.1 client and server on a sans-IO core.
//!
//! This crate fulfils the runtime contract of `antiphon-driver` and names the result; everything else is the
//! driver's, so the other adapters look the same. It works under any executor: sockets and timers are driven
//! by async-io's own thread or by `async_io::block_on`, and what has to be spawned runs on a background thread
//! of this crate, or on an executor of yours ([`Smol::on`]).
//!
//! ```
//! use antiphon_smol::{Client, Request, Response, Server, Status};
//!
//! async fn hello(request: Request) -> Result<Response, antiphon_smol::Error> {
//!     Ok(Response::new(Status::OK).with_body(format!("you asked for {}\n", request.path())))
//! }
//!
//! # antiphon_smol::block_on(async {
//! let server = Server::bind("127.0.0.1:0")?;
//! let url = format!("http://{}/tea", server.local_addr()?);
//! let handle = server.handle();
//! let serving = antiphon_smol::spawn(server.serve(hello));
//!
//! let client = Client::new();
//! let mut response = client.get(url).send().await?;
//! assert_eq!(response.status(), Status::OK);
//! assert_eq!(response.text(1024).await?, "you asked for /tea\n");
//!
//! handle.shutdown();
//! serving.await?;
//! # Ok::<(), antiphon_smol::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod executor;
mod stream;
mod threads;

pub use self::executor::{block_on, spawn};
pub use self::stream::{Io, Tcp, TcpListener};
pub use antiphon_driver::*;

use async_executor::Executor;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A server on smol.
///
/// Its methods are those of [`antiphon_driver::Server`].
pub type Server = antiphon_driver::Server<Smol>;
/// Settings of a [`Server`] to be.
///
/// Its methods are those of [`antiphon_driver::ServerBuilder`].
pub type ServerBuilder = antiphon_driver::ServerBuilder<Smol>;
/// A client on smol.
///
/// Its methods are those of [`antiphon_driver::Client`].
pub type Client = antiphon_driver::Client<Smol>;
/// Settings of a [`Client`] to be.
///
/// Its methods are those of [`antiphon_driver::ClientBuilder`].
pub type ClientBuilder = antiphon_driver::ClientBuilder<Smol>;
/// A request to be sent.
///
/// Its methods are those of [`antiphon_driver::RequestBuilder`].
pub type RequestBuilder = antiphon_driver::RequestBuilder<Smol>;

/// A client's connection outside the pool.
///
/// Its methods are those of [`antiphon_driver::ClientConnection`].
pub type ClientConnection = antiphon_driver::ClientConnection<Smol>;
/// The right to send the next request on a [`ClientConnection`].
///
/// Its methods are those of [`antiphon_driver::Reservation`].
pub type Reservation = antiphon_driver::Reservation<Smol>;

/// Serves the files below a directory.
///
/// Its methods are those of [`antiphon_driver::ServeDir`].
pub type ServeDir = antiphon_driver::ServeDir<Smol>;

/// The next `len` bytes of `file` as a body, read in blocks of 64 KiB on blocking threads.
pub fn file_body(file: std::fs::File, len: u64) -> Body {
    Body::from_file(&Smol::default(), file, len)
}

/// smol: async-io's sockets and timers, and an executor for what is spawned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smol {
    executor: Option<&'static Executor<'static>>,
}

impl Smol {
    /// Spawns on `executor`, which you run, rather than on the background thread of this crate.
    pub fn on(executor: &'static Executor<'static>) -> Smol {
        Smol {
            executor: Some(executor),
        }
    }
}

impl Runtime for Smol {
    type Stream = Tcp;
    type Listener = TcpListener;
    type Timer = Timer;

    fn now(&self) -> antiphon_core::Instant {
        antiphon_core::Instant::from_duration(ORIGIN.elapsed())
    }

    fn timer(&self, at: antiphon_core::Instant) -> Timer {
        Timer(async_io::Timer::at(when(at)))
    }

    fn bind(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(addr)
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<Tcp> {
        Tcp::connect(addr).await
    }

    fn unblock<T, W>(&self, work: W) -> impl Future<Output = io::Result<T>> + Send + 'static
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        threads::unblock(work)
    }
}

impl Resolve for Smol {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let host = host.to_string();
        threads::unblock(move || Ok((host.as_str(), port).to_socket_addrs()?.collect())).await?
    }
}

impl<F> Spawn<F> for Smol
where
    F: Future<Output = ()> + Send + 'static,
{
    fn spawn(&self, future: F) {
        match self.executor {
            Some(executor) => executor.spawn(future).detach(),
            None => executor::spawn(future).detach(),
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

/// A timer of async-io.
#[derive(Debug)]
pub struct Timer(async_io::Timer);

impl antiphon_driver::Timer for Timer {
    fn reset(&mut self, at: antiphon_core::Instant) {
        self.0.set_at(when(at));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}
