//! Tokio's TCP sockets as the contract's streams and listeners, and [`Io`] for the other direction.

use antiphon_driver::{Listener, Stream};
use socket2::SockRef;
use std::io::{self, IoSlice, Read};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// A TCP connection.
#[derive(Debug)]
pub struct Tcp(pub(crate) TcpStream);

/// For [`Client::adopt`](crate::Client::adopt): as it is, without options set.
impl From<TcpStream> for Tcp {
    fn from(stream: TcpStream) -> Tcp {
        Tcp(stream)
    }
}

impl Stream for Tcp {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_read_now(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        // Tokio says Pending, too, when the task has used up its budget, or as long as its event loop has not seen
        // that the socket became readable.
        match (&*SockRef::from(&self.0)).read(buf) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            read => Poll::Ready(read),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn reset(&mut self) {
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }
}

/// A TCP listener.
#[derive(Debug)]
pub struct TcpListener(tokio::net::TcpListener);

/// Connections that the system keeps until they are accepted (what Go and nginx ask for, about).
const BACKLOG: u32 = 1024;

impl TcpListener {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        let socket = if addr.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // A restarted server may take its port again while old connections linger.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        Ok(TcpListener(socket.listen(BACKLOG)?))
    }
}

impl From<tokio::net::TcpListener> for TcpListener {
    fn from(listener: tokio::net::TcpListener) -> TcpListener {
        TcpListener(listener)
    }
}

impl Listener for TcpListener {
    type Stream = Tcp;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Tcp, SocketAddr)>> {
        let (stream, remote) = ready!(self.0.poll_accept(cx))?;
        crate::set_up(&stream);
        Poll::Ready(Ok((Tcp(stream), remote)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Any of the contract's streams, an [`Upgraded`](crate::Upgraded) connection in particular, as one of
/// Tokio's: it implements `AsyncRead` and `AsyncWrite`.
#[derive(Debug)]
pub struct Io<S>(pub S);

impl<S: Stream> AsyncRead for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0 {
            let n = ready!(self.0.poll_read(cx, buf.initialize_unfilled()))?;
            buf.advance(n);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.0.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|b| b.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.0.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}
