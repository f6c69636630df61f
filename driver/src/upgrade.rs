//! [`Upgraded`]: a connection that speaks another protocol now (101 Switching Protocols, CONNECT).

use crate::Stream;
use bytes::{Buf, Bytes};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The byte stream of a connection after a protocol switch. Bytes that were read too far come first.
///
/// It is a [`Stream`] like the one underneath; dropping it closes the connection.
pub struct Upgraded {
    stream: Box<dyn Stream + Send>,
    unread: Bytes,
}

/// What a server runs on a switched connection.
pub(crate) type UpgradeFn = Box<dyn FnOnce(Upgraded) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

impl Upgraded {
    pub(crate) fn new(stream: Box<dyn Stream + Send>, unread: Bytes) -> Upgraded {
        Upgraded { stream, unread }
    }

    /// Reads some bytes into `buf`; 0 is the peer's end (or an empty `buf`).
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    /// Writes some of `buf`; says how much.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready has written nothing.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        poll_fn(|cx| self.poll_write(cx, buf)).await
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Cancel safety
    /// Not cancel safe: how much was written is lost with the future. Use [`write`](Upgraded::write) then.
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write(buf).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => buf = &buf[n..],
            }
        }
        Ok(())
    }

    /// Passes on what was written but not sent: over TLS some bytes may lie in a buffer, until the next call of any
    /// kind. Over TCP it does nothing.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Cancel safety
    /// Cancel safe: call it again.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.stream.poll_flush(cx)).await
    }

    /// Shuts down writing (sends FIN); reading goes on.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Cancel safety
    /// Cancel safe: call it again.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.stream.poll_shutdown(cx)).await
    }
}

impl Stream for Upgraded {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.unread.is_empty() {
            return self.stream.poll_read(cx, buf);
        }
        let n = self.unread.len().min(buf.len());
        self.unread.copy_to_slice(&mut buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_read_now(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.unread.is_empty() {
            true => self.stream.poll_read_now(cx, buf),
            false => self.poll_read(cx, buf),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, buf)
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    fn reset(&mut self) {
        self.stream.reset();
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.local_addr()
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("unread", &self.unread.len())
            .finish_non_exhaustive()
    }
}
