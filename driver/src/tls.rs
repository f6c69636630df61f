//! [`TlsStream`]: TLS over any of the contract's streams. The session, which knows no I/O, is that of
//! `antiphon-support`; here its bytes are moved, as exactly as the contract wants: what is pending has taken nothing.
//!
//! When TLS is spoken, and with whom, is decided in the core; deadlines are there too.
//!
//! # What an idle connection costs
//! About 8 KiB, which rustls keeps for a session of TLS 1.3 (8,417 bytes resident each, over 1,000 of them); the buffers
//! for what is received and sent are let go when the connection becomes idle.

use crate::BoxError;
use crate::runtime::Stream;
use antiphon_support::tls::{Read, TlsSession};
pub use antiphon_support::tls::{Roots, TlsConfig, TlsConfigBuilder, TlsConfigError, TlsError};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

/// How many turns one poll takes before it lets other tasks run.
const TURNS: usize = 32;

/// The default settings: the roots of the operating system. Reads files.
pub(crate) fn default_config() -> Result<TlsConfig, TlsConfigError> {
    TlsConfig::new()
}

/// TLS over a stream. Dropping it tells the peer that nothing was cut off, if that can be done at once.
pub(crate) struct TlsStream<S: Stream> {
    io: S,
    session: TlsSession,
    /// The task that waits for room to write, if one does. Reading may have to write, too, and must not take its turn.
    writer: Option<Waker>,
    /// Writing failed, which has been told.
    broken: bool,
}

/// Does the handshake of a client over `io`; `early` are bytes that were read from it already. With `only_http1` nothing
/// else is offered, whatever the settings say.
///
/// # Errors
/// A [`TlsError`], or the system's error.
pub(crate) async fn handshake<S: Stream>(
    io: S,
    mut early: &[u8],
    config: &TlsConfig,
    server_name: &str,
    only_http1: bool,
) -> Result<TlsStream<S>, BoxError> {
    let mut stream = TlsStream {
        io,
        session: TlsSession::new(config, server_name, only_http1)?,
        writer: None,
        broken: false,
    };
    while !early.is_empty() {
        let space = stream.session.recv_space();
        let n = space.len().min(early.len());
        if n == 0 {
            return Err(TlsError::Truncated.into());
        }
        space[..n].copy_from_slice(&early[..n]);
        stream.session.received(n)?;
        early = &early[n..];
    }
    poll_fn(|cx| stream.poll_handshake(cx)).await?;
    Ok(stream)
}

impl<S: Stream> TlsStream<S> {
    /// The protocol that was agreed on.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.session.alpn()
    }

    /// The stream underneath.
    pub(crate) fn get_mut(&mut self) -> &mut S {
        &mut self.io
    }

    /// Lets go the buffers that are empty, for an idle connection.
    pub(crate) fn rest(&mut self) {
        self.session.release_buffers();
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        for _ in 0..TURNS {
            let sent = self.poll_send(cx)?;
            if !self.session.is_handshaking() {
                return sent.map(Ok);
            }
            let space = self.session.recv_space();
            if space.is_empty() {
                // The peer said goodbye before anything was agreed on.
                return Poll::Ready(Err(TlsError::Truncated.into()));
            }
            let n = ready!(self.io.poll_read(cx, space))?;
            let taken = match n {
                0 => self.session.received_eof(),
                n => self.session.received(n),
            };
            if let Err(error) = taken {
                // The peer is told why, if that can be done at once.
                let _ = self.poll_send(cx);
                return Poll::Ready(Err(error.into()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends what the session has for the network. Ready when nothing is left.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let bytes = self.session.outgoing();
            if bytes.is_empty() {
                break;
            }
            match ready!(self.io.poll_write(cx, bytes)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    let sent = self.session.sent(n);
                    debug_assert!(sent.is_ok(), "no more is written than was offered");
                }
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        self.io.poll_flush(cx)
    }

    /// Sends on behalf of whoever writes. If that has to wait, a reader that comes by keeps the writer awake.
    fn poll_send_writing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.poll_send(cx);
        match &sent {
            Poll::Ready(_) => self.writer = None,
            Poll::Pending if self.writer.as_ref().is_some_and(|w| w.will_wake(cx.waker())) => {}
            Poll::Pending => self.writer = Some(cx.waker().clone()),
        }
        sent
    }

    /// Sends while reading: what the session says by itself, and what a writer left.
    fn send_reading(&mut self, cx: &mut Context<'_>) {
        if self.broken {
            return;
        }
        let sent = match &self.writer {
            Some(writer) if !writer.will_wake(cx.waker()) => {
                // Only one of the two is woken by the stream underneath, and either may have gone away.
                let both = Waker::from(Arc::new(Both(writer.clone(), cx.waker().clone())));
                self.poll_send(&mut Context::from_waker(&both))
            }
            _ => self.poll_send(cx),
        };
        if sent.is_ready()
            && let Some(writer) = self.writer.take()
        {
            // There is room, or an error to be told.
            writer.wake();
        }
    }

    /// Reads, taking what the network has with `read`.
    fn poll_read_by(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        read: fn(&mut S, &mut Context<'_>, &mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        for _ in 0..TURNS {
            match self.session.read(buf) {
                Ok(Read::Bytes(n)) => return Poll::Ready(Ok(n)),
                Ok(Read::End) => return Poll::Ready(Ok(0)),
                Ok(Read::NeedMore) => {}
                Err(error) => {
                    self.send_reading(cx);
                    return Poll::Ready(Err(broken(error)));
                }
            }
            self.send_reading(cx);
            let space = self.session.recv_space();
            if space.is_empty() {
                return Poll::Ready(Err(broken(TlsError::Truncated)));
            }
            // What is wrong with it is told by the session when all that came before is read.
            let _ = match ready!(read(&mut self.io, cx, space))? {
                0 => self.session.received_eof(),
                n => self.session.received(n),
            };
        }
        // A peer that sends nothing but records without content.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Wakes two tasks.
struct Both(Waker, Waker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
        self.1.wake_by_ref();
    }
}

/// The session's error as one of I/O, with itself inside.
fn broken(error: TlsError) -> io::Error {
    let kind = match error {
        // Only the end of the connection says where this body ends, and anybody can have brought that about.
        TlsError::Truncated => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}

impl<S: Stream> Stream for TlsStream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_by(cx, buf, S::poll_read)
    }

    fn poll_read_now(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_by(cx, buf, S::poll_read_now)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // First what was taken before: so what lies here is bounded, and whoever is slow to read is noticed.
        ready!(self.poll_send_writing(cx))?;
        let n = self.session.write_vectored(bufs);
        if n == 0 {
            // It was shut down, or has failed, which the reader is told.
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // These bytes are taken. What cannot be sent now is sent by the next call of any kind; so is its error told.
        let _ = self.poll_send_writing(cx);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        let sent = ready!(self.poll_send_writing(cx));
        self.broken = sent.is_err();
        Poll::Ready(sent)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.close_notify();
        ready!(self.poll_send_writing(cx))?;
        self.io.poll_shutdown(cx)
    }

    fn reset(&mut self) {
        // Without `close_notify`, which would say that all has been said.
        self.broken = true;
        self.io.reset();
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.io.local_addr()
    }
}

impl<S: Stream> Drop for TlsStream<S> {
    fn drop(&mut self) {
        // "Each party MUST send a "close_notify" alert before closing its write side of the connection" (RFC 8446,
        // section 6.1). Nobody is left to wait until it can be sent.
        if !self.session.is_handshaking() && !self.broken {
            self.session.close_notify();
            let _ = self.poll_send(&mut Context::from_waker(Waker::noop()));
        }
    }
}
