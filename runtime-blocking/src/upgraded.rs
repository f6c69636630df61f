//! [`Upgraded`]: a connection that speaks another protocol now, on either side.

use crate::stream::Stream;
#[cfg(feature = "tls")]
use crate::wait::{self, Interest};
use antiphon_core::h1::Parts;
use bytes::{Buf, Bytes};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::sync::Mutex;

/// The connection after a protocol switch (101, or a 2xx response to CONNECT): a plain stream of bytes in both
/// directions, blocking, without timeouts; encrypted if the connection was. Bytes that arrived behind the switching
/// message are read first.
///
/// Dropping the last handle closes the connection.
pub struct Upgraded {
    socket: Arc<TcpStream>,
    /// Then the socket does not block, whoever waits has not locked it, and so one thread can read while another
    /// writes.
    #[cfg(feature = "tls")]
    secured: Option<Arc<Mutex<Stream>>>,
    unread: Bytes,
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("socket", &self.socket)
            .field("unread", &self.unread.len())
            .finish_non_exhaustive()
    }
}

impl Upgraded {
    pub(crate) fn new(stream: Stream, parts: Parts) -> io::Result<Upgraded> {
        let socket = Arc::clone(stream.socket());
        let plain = stream.is_plain();
        let mut upgraded = Upgraded {
            socket,
            #[cfg(feature = "tls")]
            secured: (!plain).then(|| Arc::new(Mutex::new(stream))),
            unread: parts.unread,
        };
        if plain {
            upgraded.socket.set_nonblocking(false)?;
        }
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
            #[cfg(feature = "tls")]
            secured: self.secured.clone(),
            unread: Bytes::new(),
        })
    }

    /// Ends one direction or both, for all handles.
    ///
    /// # Errors
    /// As [`TcpStream::shutdown`].
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if how != Shutdown::Read && self.secured.is_some() {
            self.secured_io(Interest::WRITE, |stream| match stream.shut_write()? {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            })?;
            return match how {
                Shutdown::Both => self.socket.shutdown(Shutdown::Read),
                _ => Ok(()),
            };
        }
        self.socket.shutdown(how)
    }

    /// The socket itself, for timeouts and other settings. Reading from it directly passes over the bytes that
    /// arrived early; see [`into_parts`](Upgraded::into_parts). Under TLS it does not block, whatever its timeouts, and
    /// what goes over it is encrypted: leave its bytes alone.
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
    /// As [`TcpStream::try_clone`], which is needed while other handles exist;
    /// [`Unsupported`](io::ErrorKind::Unsupported) under TLS, whose keys a socket does not have.
    pub fn into_parts(self) -> io::Result<(TcpStream, Bytes)> {
        #[cfg(feature = "tls")]
        if self.secured.is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let socket = Arc::try_unwrap(self.socket).or_else(|shared| shared.try_clone())?;
        Ok((socket, self.unread))
    }

    /// Does `work` on the TLS stream until it need not wait.
    #[cfg(feature = "tls")]
    fn secured_io<T>(
        &self,
        interest: Interest,
        mut work: impl FnMut(&mut Stream) -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(secured) = &self.secured else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        loop {
            let mut stream = crate::lock(secured);
            let unsent = match work(&mut stream) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => stream.has_unsent(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                done => return done,
            };
            drop(stream);
            let interest = Interest {
                write: interest.write || unsent,
                ..interest
            };
            wait::for_socket(&self.socket, interest, None, None)?;
        }
    }
}

impl Read for Upgraded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            #[cfg(feature = "tls")]
            if self.secured.is_some() && !buf.is_empty() {
                return self.secured_io(Interest::READ, |stream| {
                    // What TLS itself has to say goes out, too. If it cannot, there may still be something to read.
                    let _ = stream.flush();
                    stream.read(buf)
                });
            }
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
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if self.secured.is_some() {
            let n = self.secured_io(Interest::WRITE, |stream| stream.write_vectored(bufs))?;
            self.flush()?;
            return Ok(n);
        }
        (&*self.socket).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if self.secured.is_some() {
            return self.secured_io(Interest::WRITE, |stream| match stream.flush()? {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            });
        }
        Ok(())
    }
}
