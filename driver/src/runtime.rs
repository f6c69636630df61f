//! The contract that an async runtime fulfils: [`Stream`], [`Listener`], [`Timer`], [`Spawn`], [`Resolve`],
//! bundled as [`Runtime`].
//!
//! Poll-based, so that nothing is boxed per operation. The contract asks for `Send` only where a value is
//! erased into a box that crosses tasks (streams of upgraded connections and pooled client connections); what
//! is spawned is a parameter of [`Spawn`], so a runtime may accept futures that are not `Send`.

use antiphon_core::Instant;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A byte stream, in practice a TCP connection.
///
/// Every `poll` either did what it says or did nothing: a `Pending` has moved no byte and has arranged for the
/// context's waker to be woken. There is one reader and one writer at a time, and both may be the same task.
pub trait Stream: Unpin {
    /// Reads into `buf`, which is not empty; 0 is the clean end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Reads what has arrived by now: as [`poll_read`](Stream::poll_read), but `Pending` says that the system has
    /// nothing, and wakes nobody. A runtime whose `poll_read` may say so for a reason of its own (a task whose turn is
    /// over, an event loop that has not looked) asks the system here: whether an idle connection is still alive
    /// depends on it. The default is `poll_read`.
    fn poll_read_now(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read(cx, buf)
    }

    /// Writes from `buf`, which is not empty; says how much was taken.
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes from several slices in order. The default writes the first.
    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| b);
        self.poll_write(cx, first)
    }

    /// Passes on what was taken but lies in the stream's own buffers. A stream without buffers, such as TCP, has
    /// nothing to do, which is the default. A stream with some (TLS) also does this in the other methods, as far
    /// as it can, so that nobody has to call it who goes on reading or writing.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Shuts down writing (sends FIN), behind all that was written; reading goes on.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Makes dropping it a reset for the peer, whatever is still to be sent, if that can be had (`SO_LINGER` with no
    /// time). The default does nothing: dropping it closes it.
    fn reset(&mut self) {}

    /// This end's address, if there is one.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}

/// A source of connections. Dropping it stops listening.
pub trait Listener: Unpin {
    /// What it accepts.
    type Stream;

    /// Accepts one connection, with the peer's address.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, SocketAddr)>>;

    /// The address it listens on.
    ///
    /// # Errors
    /// What the system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A timer that can be moved. It fires at its time or later, never earlier by [`Runtime::now`].
pub trait Timer: Unpin {
    /// Moves it to `at`. What was registered by `poll` before is void.
    fn reset(&mut self, at: Instant);

    /// Ready once its time has come.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Runs a future of type `F` to its end, without anybody waiting for it.
///
/// The future is a parameter, so that each runtime says itself what it asks of it: `Send` on a multi-threaded
/// runtime, nothing of the kind on a thread-per-core one.
pub trait Spawn<F> {
    /// Starts it.
    fn spawn(&self, future: F);
}

/// Looks names up.
pub trait Resolve {
    /// The addresses of `host`, which may be an IP literal without brackets, in the order in which they are to
    /// be tried.
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// A runtime: everything the drivers need beside [`Spawn`], which is asked for where it is used.
pub trait Runtime: Resolve + Clone + Send + Sync + Unpin + 'static {
    /// Its TCP connection.
    type Stream: Stream + Send + 'static;
    /// Its TCP listener.
    type Listener: Listener<Stream = Self::Stream> + Send + 'static;
    /// Its timer.
    type Timer: Timer + Send + 'static;

    /// Monotonic time. Its origin is the runtime's choice, and the same for all values of the type.
    fn now(&self) -> Instant;

    /// Wall-clock time since 1970-01-01T00:00:00Z, for the Date field.
    fn unix_time(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// A timer that fires at `at`.
    fn timer(&self, at: Instant) -> Self::Timer;

    /// Listens on `addr`.
    ///
    /// # Errors
    /// What the system says.
    fn bind(&self, addr: SocketAddr) -> io::Result<Self::Listener>;

    /// Connects to `addr`.
    fn connect(&self, addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Runs work that may block (files) where it holds up no other task. An error if the work panicked or the
    /// runtime is shutting down.
    fn unblock<T, W>(&self, work: W) -> impl Future<Output = io::Result<T>> + Send + 'static
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static;
}
