//! [`Upgraded`]: a connection that speaks another protocol now, on either side.

use antiphon_core::h1::Parts;
use bytes::{Buf, Bytes};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

/// The connection after a protocol switch (101, or a 2xx response to CONNECT): a plain stream of bytes in both
/// directions, blocking, without timeouts. Bytes that arrived behind the switching message are read first.
///
/// Dropping the last handle closes the connection.
pub struct Upgraded {
    socket: Arc<TcpStream>,
    unread: Bytes,
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("socket", &self.socket)
            .field("unread", &self.unread.len())
            .finish()
    }
}

impl Upgraded {
    pub(crate) fn new(socket: Arc<TcpStream>, parts: Parts) -> io::Result<Upgraded> {
        socket.set_nonblocking(false)?;
        let mut upgraded = Upgraded {
            socket,
            unread: parts.unread,
        };
        // Normally nothing: the machine detaches when its output is written.
        upgraded.write_all(&parts.unsent)?;
        Ok(upgraded)
    }

    /// A second handle on the same connection, so that one thread can read while another writes. The bytes
    /// that arrived early stay with `self`: let the original read.
    ///
    /// # Errors
    /// None today; the signature is that of [`TcpStream::try_clone`].
    pub fn try_clone(&self) -> io::Result<Upgraded> {
        Ok(Upgraded {
            socket: Arc::clone(&self.socket),
            unread: Bytes::new(),
        })
    }

    /// Ends one direction or both, for all handles.
    ///
    /// # Errors
    /// As [`TcpStream::shutdown`].
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// The socket itself, for timeouts and other settings. Reading from it directly passes over the bytes that
    /// arrived early; see [`into_parts`](Upgraded::into_parts).
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The other end's address.
    ///
    /// # Errors
    /// As [`TcpStream::peer_addr`].
    pub fn remote_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// The socket, and the bytes that arrived early and were not read yet.
    ///
    /// # Errors
    /// As [`TcpStream::try_clone`], which is needed while other handles exist.
    pub fn into_parts(self) -> io::Result<(TcpStream, Bytes)> {
        let socket = Arc::try_unwrap(self.socket).or_else(|shared| shared.try_clone())?;
        Ok((socket, self.unread))
    }
}

impl Read for Upgraded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            return (&*self.socket).read(buf);
        }
        let n = buf.len().min(self.unread.len());
        self.unread.copy_to_slice(&mut buf[..n]);
        if self.unread.is_empty() {
            // Lets go of the buffer that it was a part of.
            self.unread = Bytes::new();
        }
        Ok(n)
    }
}

impl Write for Upgraded {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.socket).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.socket).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
