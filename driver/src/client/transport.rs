//! [`Transport`]: the byte stream that a client's connection drives: the runtime's own, one of the application's, or
//! TLS over either, also twice (a target's within that of its proxy).

use crate::runtime::Stream;
#[cfg(feature = "tls")]
use crate::tls::TlsStream;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// A byte stream out of somebody else's hands: see [`ClientBuilder::dialer`](crate::ClientBuilder::dialer).
pub type BoxStream = Box<dyn Stream + Send>;

/// The stream of a client's connection. The plain case, which is the common one, lies behind no pointer.
pub(crate) enum Transport<S: Stream> {
    /// The runtime's.
    Plain(S),
    /// The application's.
    Custom(BoxStream),
    /// TLS over another one.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Transport<S>>>),
}

impl<S: Stream + Send + 'static> Transport<S> {
    /// For whoever takes the connection over.
    pub(crate) fn into_boxed(self) -> BoxStream {
        match self {
            Transport::Plain(stream) => Box::new(stream),
            Transport::Custom(stream) => stream,
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream,
        }
    }
}

impl<S: Stream> Transport<S> {
    /// The connection becomes idle: buffers that hold nothing are let go.
    pub(crate) fn rest(&mut self) {
        #[cfg(feature = "tls")]
        if let Transport::Tls(stream) = self {
            stream.rest();
            stream.get_mut().rest();
        }
    }
}

impl<S: Stream> Stream for Transport<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Transport::Plain(stream) => stream.poll_read(cx, buf),
            Transport::Custom(stream) => stream.poll_read(cx, buf),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_read(cx, buf),
        }
    }

    fn poll_read_now(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Transport::Plain(stream) => stream.poll_read_now(cx, buf),
            Transport::Custom(stream) => stream.poll_read_now(cx, buf),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_read_now(cx, buf),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Transport::Plain(stream) => stream.poll_write(cx, buf),
            Transport::Custom(stream) => stream.poll_write(cx, buf),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Transport::Plain(stream) => stream.poll_write_vectored(cx, bufs),
            Transport::Custom(stream) => stream.poll_write_vectored(cx, bufs),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Plain(stream) => stream.poll_flush(cx),
            Transport::Custom(stream) => stream.poll_flush(cx),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Plain(stream) => stream.poll_shutdown(cx),
            Transport::Custom(stream) => stream.poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_shutdown(cx),
        }
    }

    fn reset(&mut self) {
        match self {
            Transport::Plain(stream) => stream.reset(),
            Transport::Custom(stream) => stream.reset(),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.reset(),
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Transport::Plain(stream) => stream.local_addr(),
            Transport::Custom(stream) => stream.local_addr(),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.local_addr(),
        }
    }
}
