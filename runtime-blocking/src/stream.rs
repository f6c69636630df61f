//! [`Stream`]: a socket that never blocks, and the TLS sessions on it. Moves bytes; what they mean, and when to wait, is
//! decided above.
//!
//! Without TLS it is the socket. With TLS there is one session, or two: that with a proxy below that with the target.

#[cfg(feature = "tls")]
use antiphon_support::tls::{Read as Plaintext, TlsError, TlsSession};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

/// Reads of the network within one [`Stream::read`] that bring no byte of content: a peer that sends nothing but
/// records of TLS's own must not keep a thread from its deadlines.
#[cfg(feature = "tls")]
const EMPTY_ROUNDS: usize = 16;

#[derive(Debug)]
pub(crate) struct Stream {
    socket: Arc<TcpStream>,
    /// The first is on the socket, each further one within the one before.
    #[cfg(feature = "tls")]
    sessions: Vec<TlsSession>,
    /// The last read of the socket found less than there was room for: only poll(2) knows when there is more.
    short: bool,
}

impl Stream {
    /// `socket` must not block.
    pub(crate) fn plain(socket: Arc<TcpStream>) -> Stream {
        Stream {
            socket,
            #[cfg(feature = "tls")]
            sessions: Vec::new(),
            short: false,
        }
    }

    pub(crate) fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// Makes closing the socket a reset for the peer, where that can be had.
    pub(crate) fn reset(&self) {
        #[cfg(unix)]
        let _ = rustix::net::sockopt::set_socket_linger(&*self.socket, Some(std::time::Duration::ZERO));
    }

    /// Whether the last read has emptied the socket.
    pub(crate) fn read_short(&self) -> bool {
        self.short
    }
}

#[cfg(not(feature = "tls"))]
impl Stream {
    /// Reads some bytes; 0 at the end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        read_socket(&self.socket, &mut self.short, buf)
    }

    /// Takes some bytes; they may be kept until [`flush`](Stream::flush) says that they are out.
    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        write_socket(&self.socket, slices)
    }

    /// Sends what is kept; `false` if the socket takes no more now.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    /// Whether something is kept.
    pub(crate) fn has_unsent(&mut self) -> bool {
        false
    }

    /// Whether a read has an answer without the network.
    pub(crate) fn holds_input(&self) -> bool {
        false
    }

    /// Ends the writing direction; `false` if the socket takes no more now, and it is to be called again.
    pub(crate) fn shut_write(&mut self) -> io::Result<bool> {
        self.socket.shutdown(Shutdown::Write).map(|()| true)
    }

    /// Whether the peer has neither closed it nor sent anything, as far as can be told.
    pub(crate) fn is_quiet(&mut self) -> bool {
        is_quiet(&self.socket)
    }

    /// Whether bytes go over the socket as they are.
    pub(crate) fn is_plain(&self) -> bool {
        true
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn rest(&mut self) {}
}

#[cfg(feature = "tls")]
impl Stream {
    /// Reads some bytes; 0 at the end. Under TLS an end without `close_notify` is the error
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof): somebody may have cut the rest off.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        read_at(&mut self.sessions, &self.socket, &mut self.short, buf)
    }

    /// Takes some bytes; they may be kept until [`flush`](Stream::flush) says that they are out.
    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        write_at(&mut self.sessions, &self.socket, slices)
    }

    /// Sends what is kept; `false` if the socket takes no more now.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        match flush_at(&mut self.sessions, &self.socket) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Whether something is kept.
    pub(crate) fn has_unsent(&mut self) -> bool {
        self.sessions.iter_mut().any(|s| !s.outgoing().is_empty())
    }

    /// Whether a read has an answer without the network.
    pub(crate) fn holds_input(&self) -> bool {
        self.sessions.iter().any(|s| !s.wants_read())
    }

    /// Ends the writing direction; `false` if the socket takes no more now, and it is to be called again.
    pub(crate) fn shut_write(&mut self) -> io::Result<bool> {
        self.say_goodbye();
        match self.flush() {
            Ok(true) => self.socket.shutdown(Shutdown::Write).map(|()| true),
            unfinished => unfinished,
        }
    }

    /// Whether the peer has neither closed it nor sent anything, as far as can be told. Records of TLS's own, such as
    /// tickets, are taken in.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if self.sessions.is_empty() {
            return is_quiet(&self.socket);
        }
        matches!(self.read(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether bytes go over the socket as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn rest(&mut self) {
        self.sessions.iter_mut().for_each(TlsSession::release_buffers);
    }

    /// Puts a session on top; `early` are bytes that came for it already.
    pub(crate) fn secure(&mut self, mut session: TlsSession, mut early: &[u8]) -> Result<(), TlsError> {
        while !early.is_empty() {
            let space = session.recv_space();
            let n = space.len().min(early.len());
            space[..n].copy_from_slice(&early[..n]);
            early = &early[n..];
            session.received(n)?;
            if n == 0 {
                break;
            }
        }
        self.sessions.push(session);
        Ok(())
    }

    /// Goes on with the handshake of the session on top; `true` when it is done.
    pub(crate) fn shake_hands(&mut self) -> io::Result<bool> {
        loop {
            let failed = flush_at(&mut self.sessions, &self.socket).err();
            let Some((top, below)) = self.sessions.split_last_mut() else {
                return Ok(true);
            };
            if !top.is_handshaking() {
                // The last flight may still be on its way out: it goes before the first request.
                return Ok(true);
            }
            if let Some(e) = failed.filter(|e| e.kind() != io::ErrorKind::WouldBlock) {
                // The alert that says why may be there already.
                return Err(match fill(top, below, &self.socket, &mut self.short) {
                    Err(told) if told.kind() != io::ErrorKind::WouldBlock => told,
                    _ => e,
                });
            }
            let filled = fill(top, below, &self.socket, &mut self.short);
            match filled {
                Ok(()) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    return Ok(false);
                }
                Err(e) => {
                    // Our own alert; if it cannot be sent, the peer does not hear it.
                    let _ = flush_at(&mut self.sessions, &self.socket);
                    return Err(e);
                }
            }
        }
    }

    /// What the session on top agreed on.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.sessions.last().and_then(TlsSession::alpn)
    }

    fn say_goodbye(&mut self) {
        // From the inside: each one's last record goes through those below.
        for i in (0..self.sessions.len()).rev() {
            self.sessions[i].close_notify();
            let _ = flush_at(&mut self.sessions[..=i], &self.socket);
        }
    }
}

/// Tells the peer that nothing was cut off, if that can be done at once.
#[cfg(feature = "tls")]
impl Drop for Stream {
    fn drop(&mut self) {
        self.say_goodbye();
    }
}

/// One turn of bytes from below into `session`.
#[cfg(feature = "tls")]
fn fill(
    session: &mut TlsSession,
    below: &mut [TlsSession],
    socket: &TcpStream,
    short: &mut bool,
) -> io::Result<()> {
    match read_at(below, socket, short, session.recv_space())? {
        0 => session.received_eof(),
        n => session.received(n),
    }
    .map_err(tls_error)
}

#[cfg(feature = "tls")]
fn read_at(
    sessions: &mut [TlsSession],
    socket: &TcpStream,
    short: &mut bool,
    buf: &mut [u8],
) -> io::Result<usize> {
    let Some((top, below)) = sessions.split_last_mut() else {
        return read_socket(socket, short, buf);
    };
    for round in 0.. {
        match top.read(buf).map_err(tls_error)? {
            Plaintext::Bytes(n) => return Ok(n),
            Plaintext::End => return Ok(0),
            Plaintext::NeedMore if round == EMPTY_ROUNDS => break,
            Plaintext::NeedMore => {}
        }
        // What is wrong with the bytes is told by `read`, behind the plaintext before them.
        match fill(top, below, socket, short) {
            Err(e) if !is_of_tls(&e) => return Err(e),
            _ => {}
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

#[cfg(feature = "tls")]
fn write_at(sessions: &mut [TlsSession], socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    // What was taken before goes first, so that there is room.
    flush_at(sessions, socket)?;
    let Some(top) = sessions.last_mut() else {
        return write_socket(socket, slices);
    };
    let n = top.write_vectored(slices);
    if n == 0 && slices.iter().any(|s| !s.is_empty()) {
        // The session has failed or was closed: reading tells why.
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(n)
}

#[cfg(feature = "tls")]
fn flush_at(sessions: &mut [TlsSession], socket: &TcpStream) -> io::Result<()> {
    let Some((top, below)) = sessions.split_last_mut() else {
        return Ok(());
    };
    loop {
        let outgoing = top.outgoing();
        if outgoing.is_empty() {
            break;
        }
        let n = write_at(below, socket, &[IoSlice::new(outgoing)])?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        top.sent(n).map_err(tls_error)?;
    }
    flush_at(below, socket)
}

#[cfg(feature = "tls")]
fn tls_error(e: TlsError) -> io::Error {
    let kind = match e {
        TlsError::Truncated => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, e)
}

#[cfg(feature = "tls")]
fn is_of_tls(e: &io::Error) -> bool {
    e.get_ref().is_some_and(|inner| inner.is::<TlsError>())
}

fn read_socket(mut socket: &TcpStream, short: &mut bool, buf: &mut [u8]) -> io::Result<usize> {
    let read = socket.read(buf);
    *short = !matches!(read, Ok(n) if n == buf.len());
    read
}

fn write_socket(mut socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match slices {
        [one] => socket.write(one),
        _ => socket.write_vectored(slices),
    }
}

fn is_quiet(socket: &TcpStream) -> bool {
    matches!(socket.peek(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
}
