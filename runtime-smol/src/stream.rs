//! async-io's TCP sockets as the contract's streams and listeners, and [`Io`] for the other direction.

use antiphon_driver::{Listener, Stream};
use async_io::Async;
use futures_io::{AsyncRead, AsyncWrite};
use rustix::net::sockopt;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Probes begin after this much silence (the connection's own deadlines are far sooner, unless switched off).
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A TCP connection.
#[derive(Debug)]
pub struct Tcp(Async<TcpStream>);

impl Tcp {
    /// No delay by Nagle's algorithm, since the machines write whole messages, and TCP keep-alive. Neither is
    /// worth refusing a connection over.
    fn set_up(stream: Async<TcpStream>) -> Tcp {
        let _ = stream.get_ref().set_nodelay(true);
        let _ = sockopt::set_socket_keepalive(&stream, true);
        let _ = sockopt::set_tcp_keepidle(&stream, KEEP_ALIVE);
        Tcp(stream)
    }

    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Tcp> {
        Async::<TcpStream>::connect(addr).await.map(Tcp::set_up)
    }
}

/// For [`Client::adopt`](crate::Client::adopt): as it is, without options set.
impl From<Async<TcpStream>> for Tcp {
    fn from(stream: Async<TcpStream>) -> Tcp {
        Tcp(stream)
    }
}

impl Stream for Tcp {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.get_ref().shutdown(Shutdown::Write))
    }

    fn reset(&mut self) {
        let _ = sockopt::set_socket_linger(&self.0, Some(Duration::ZERO));
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.0.get_ref().local_addr().ok()
    }
}

/// A TCP listener.
#[derive(Debug)]
pub struct TcpListener(Async<std::net::TcpListener>);

impl TcpListener {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        Async::<std::net::TcpListener>::bind(addr).map(TcpListener)
    }
}

impl From<Async<std::net::TcpListener>> for TcpListener {
    fn from(listener: Async<std::net::TcpListener>) -> TcpListener {
        TcpListener(listener)
    }
}

impl Listener for TcpListener {
    type Stream = Tcp;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Tcp, SocketAddr)>> {
        loop {
            match self.0.get_ref().accept() {
                Ok((stream, remote)) => {
                    // Accepted sockets do not inherit non-blocking mode; `Async::new` sets it.
                    return Poll::Ready(Async::new(stream).map(|s| (Tcp::set_up(s), remote)));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_readable(cx))?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }
}

/// Any of the contract's streams, an [`Upgraded`](crate::Upgraded) connection in particular, as one of
/// futures-io: it implements `AsyncRead` and `AsyncWrite`.
#[derive(Debug)]
pub struct Io<S>(pub S);

impl<S: Stream> AsyncRead for Io<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.0.poll_read(cx, buf)
    }
}

impl<S: Stream> AsyncWrite for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.0.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}
