//! [`TlsSession`]: one side of one TLS connection. Everything which affects its state is in here and in rustls.

use super::config::HTTP1;
use super::{TlsConfig, TlsError};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, Connection, HandshakeKind, ProtocolVersion};
use std::fmt;
use std::io::{self, IoSlice, Read as _, Write as _};

/// Bytes that are taken from the network at a time.
const RECEIVE: usize = 16 * 1024;

/// Plaintext that is decrypted and not yet read: beyond it, what was received stays as it is. rustls takes nothing
/// either then.
const PLAINTEXT: usize = 16 * 1024;

/// Bytes that `write` takes before some are sent.
const SEND: usize = 64 * 1024;

/// One side of one TLS connection, as a byte machine.
///
/// | | calls |
/// |---|---|
/// | bytes of the network | [`recv_space`](TlsSession::recv_space) and [`received`](TlsSession::received), [`received_eof`](TlsSession::received_eof); [`outgoing`](TlsSession::outgoing) and [`sent`](TlsSession::sent) |
/// | plaintext | [`read`](TlsSession::read); [`write`](TlsSession::write), [`close_notify`](TlsSession::close_notify) |
/// | the driver asks | [`is_handshaking`](TlsSession::is_handshaking), [`wants_read`](TlsSession::wants_read), `outgoing` |
///
/// What the driver asks can be asked again and gives the same answer; it may change with `received`, `received_eof`,
/// `sent`, `read`, `write` and `close_notify`, and not otherwise. Look at `outgoing` after each of them: reading, too,
/// can make something to send.
///
/// There is no clock: the deadline of the handshake is the driver's.
///
/// # Bounds
/// At most 16 KiB received and not yet decrypted, and a record or, within the handshake, 64 KiB in rustls; 32 KiB of
/// plaintext not yet read; 64 KiB written and not yet taken by [`outgoing`](TlsSession::outgoing), and as much that it
/// shows, both and a few bytes for each record. Buffers come with the first byte, and
/// [`release_buffers`](TlsSession::release_buffers) lets go those that are empty.
pub struct TlsSession {
    connection: Box<Connection>,
    /// Received and not yet given to rustls: `start..end`.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Shown by `outgoing`, from `sent` on.
    output: Vec<u8>,
    sent: usize,
    /// Decrypted and not yet read.
    plaintext: usize,
    /// The first bytes that came.
    first: [u8; 5],
    first_len: usize,
    eof: bool,
    eof_told: bool,
    /// `close_notify` came: what comes behind it does not count.
    peer_closed: bool,
    closed: bool,
    failed: Option<TlsError>,
}

/// What [`TlsSession::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Read {
    /// So many bytes, at least one unless the buffer has no room.
    Bytes(usize),
    /// Nothing until more is received.
    NeedMore,
    /// The peer's `close_notify`: nothing more will come, and nothing was cut off. What is written still arrives.
    End,
}

impl TlsSession {
    /// A client's session with `server_name`: a DNS name, or an IP address (IPv6 with or without brackets), which the
    /// server's certificate must be for. With `only_http1` nothing but `http/1.1` is offered, whatever the settings
    /// say: for proxies.
    ///
    /// # Errors
    /// [`TlsError::InvalidServerName`]; [`TlsError::Protocol`] if the settings contradict themselves.
    pub fn new(config: &TlsConfig, server_name: &str, only_http1: bool) -> Result<TlsSession, TlsError> {
        let bare = server_name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        let name =
            ServerName::try_from(bare.unwrap_or(server_name)).map_err(|_| TlsError::InvalidServerName)?;
        // Brackets stand around IPv6 addresses only.
        if bare.is_some() && !matches!(&name, ServerName::IpAddress(rustls::pki_types::IpAddr::V6(_))) {
            return Err(TlsError::InvalidServerName);
        }
        let (config, name) = (config.inner.clone(), name.to_owned());
        let connection = match only_http1 {
            true => ClientConnection::new_with_alpn(config, name, vec![HTTP1.to_vec()]),
            false => ClientConnection::new(config, name),
        };
        Ok(TlsSession::over(connection.map_err(TlsError::of)?.into()))
    }

    pub(super) fn over(mut connection: Connection) -> TlsSession {
        connection.set_buffer_limit(Some(SEND));
        TlsSession {
            connection: Box::new(connection),
            input: Vec::new(),
            start: 0,
            end: 0,
            output: Vec::new(),
            sent: 0,
            plaintext: 0,
            first: [0; 5],
            first_len: 0,
            eof: false,
            eof_told: false,
            peer_closed: false,
            closed: false,
            failed: None,
        }
    }

    // ----- what the driver asks

    /// Whether the handshake is under way. What is written before its end is kept until then.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether bytes of the network are of use: not while plaintext waits to be read, nor after the end or an error.
    pub fn wants_read(&self) -> bool {
        !self.is_over()
            && self.plaintext == 0
            && (self.start == self.end || self.first_len < self.first.len())
    }

    /// Bytes for the network; empty if there are none. After an error, too: the alert that tells the peer.
    pub fn outgoing(&mut self) -> &[u8] {
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
            while self.connection.wants_write() {
                // A vector takes everything.
                match self.connection.write_tls(&mut self.output) {
                    Ok(n) if n > 0 => {}
                    _ => break,
                }
            }
        }
        &self.output[self.sent..]
    }

    /// `n` bytes of [`outgoing`](TlsSession::outgoing) are sent.
    ///
    /// # Errors
    /// [`TlsError::TooMuch`]: there were not so many.
    pub fn sent(&mut self, n: usize) -> Result<(), TlsError> {
        if n > self.output.len() - self.sent {
            return Err(TlsError::TooMuch);
        }
        self.sent += n;
        Ok(())
    }

    // ----- from the network

    /// Where the next bytes go; then call [`received`](TlsSession::received). Never empty while
    /// [`wants_read`](TlsSession::wants_read), and at most 16 KiB.
    pub fn recv_space(&mut self) -> &mut [u8] {
        if self.is_over() {
            return &mut [];
        }
        if self.input.is_empty() {
            self.input = vec![0; RECEIVE];
        }
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.input[self.end..]
    }

    /// `n` bytes have come into [`recv_space`](TlsSession::recv_space).
    ///
    /// # Errors
    /// What is wrong with them, and the same again from then on. Plaintext that came before can still be read, and
    /// [`outgoing`](TlsSession::outgoing) may have an alert for the peer. [`TlsError::TooMuch`] if there was no space
    /// for so many.
    pub fn received(&mut self, n: usize) -> Result<(), TlsError> {
        if n > self.input.len() - self.end {
            return Err(TlsError::TooMuch);
        }
        if self.first_len < self.first.len() {
            let room = self.first.len() - self.first_len;
            for &b in self.input[self.end..self.end + n].iter().take(room) {
                self.first[self.first_len] = b;
                self.first_len += 1;
            }
        }
        self.end += n;
        self.pump()
    }

    /// The connection's reading side has ended.
    ///
    /// # Errors
    /// [`TlsError::Truncated`] if the handshake is not done. After it, [`read`](TlsSession::read) tells so if it matters.
    pub fn received_eof(&mut self) -> Result<(), TlsError> {
        self.eof = true;
        if self.is_handshaking() && self.failed.is_none() {
            self.failed = Some(TlsError::Truncated);
        }
        self.pump()
    }

    // ----- plaintext

    /// Reads plaintext.
    ///
    /// # Errors
    /// Why there will be no more, once all that came before is read: what [`received`](TlsSession::received) told, or
    /// [`TlsError::Truncated`] if the connection ended without `close_notify`. The same again from then on.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<Read, TlsError> {
        if buf.is_empty() {
            return Ok(Read::Bytes(0));
        }
        let read = self.connection.reader().read(buf);
        match read {
            Ok(0) => Ok(Read::End),
            Ok(n) => {
                self.plaintext = self.plaintext.saturating_sub(n);
                // Now there may be room for more. What is wrong with that is told when it is its turn.
                let _ = self.pump();
                Ok(Read::Bytes(n))
            }
            Err(e) => match &self.failed {
                Some(failed) => Err(failed.clone()),
                None if e.kind() == io::ErrorKind::UnexpectedEof => Err(TlsError::Truncated),
                None => Ok(Read::NeedMore),
            },
        }
    }

    /// Takes plaintext, and tells how much. 0 if it is full: until something is sent; or for ever after
    /// [`close_notify`](TlsSession::close_notify) or an error, which `read` tells.
    pub fn write(&mut self, plaintext: &[u8]) -> usize {
        self.write_vectored(&[IoSlice::new(plaintext)])
    }

    /// The same for several pieces, which share records: better than a short [`write`](TlsSession::write) each.
    pub fn write_vectored(&mut self, plaintext: &[IoSlice<'_>]) -> usize {
        if self.closed || self.failed.is_some() {
            return 0;
        }
        self.connection.writer().write_vectored(plaintext).unwrap_or(0)
    }

    /// Tells the peer that nothing more will be written. Reading goes on.
    pub fn close_notify(&mut self) {
        if !self.closed && self.failed.is_none() {
            self.closed = true;
            self.connection.send_close_notify();
        }
    }

    /// Lets go the buffers that are empty. They come back when they are needed.
    pub fn release_buffers(&mut self) {
        if self.start == self.end {
            (self.input, self.start, self.end) = (Vec::new(), 0, 0);
        }
        if self.sent == self.output.len() {
            (self.output, self.sent) = (Vec::new(), 0);
        }
    }

    // ----- what was agreed on

    /// The protocol that was agreed on; `None` if none was, or not yet.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// The version of TLS; `None` within the handshake.
    pub fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.connection.protocol_version()
    }

    /// Whether the session is a new one, or goes on with an earlier one; `None` until that is known.
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.connection.handshake_kind()
    }

    /// The peer's certificate and those it sent with it, in its order; `None` if it sent none, or not yet. A session
    /// that was resumed has those of the first one.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.connection.peer_certificates()
    }

    /// The name that the client asked for (SNI). `None` on the client's side.
    pub fn server_name(&self) -> Option<&str> {
        match &*self.connection {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        }
    }

    // ----- inside

    fn is_over(&self) -> bool {
        self.eof || self.peer_closed || self.failed.is_some()
    }

    /// Gives rustls what was received, while it has room for what comes out.
    fn pump(&mut self) -> Result<(), TlsError> {
        // Less than the header of a record. Nobody can do anything with it, and rustls may refuse it before it can be
        // seen what it is instead.
        if self.first_len < self.first.len() && !self.eof {
            return Ok(());
        }
        while self.failed.is_none() && self.plaintext <= PLAINTEXT {
            if self.peer_closed {
                self.start = self.end;
            }
            if self.start == self.end && (!self.eof || self.eof_told) {
                break;
            }
            // At the end of the input there is nothing: that is how rustls is told of the end.
            let mut rest = &self.input[self.start..self.end];
            self.eof_told = rest.is_empty();
            let n = match self.connection.read_tls(&mut rest) {
                Ok(n) => n,
                // A handshake message beyond all bounds.
                Err(e) => return self.fail(rustls::Error::General(e.to_string())),
            };
            self.start += n;
            match self.connection.process_new_packets() {
                Ok(state) => {
                    self.plaintext = state.plaintext_bytes_to_read();
                    self.peer_closed = state.peer_has_closed();
                }
                Err(e) => return self.fail(e),
            }
        }
        match &self.failed {
            Some(failed) => Err(failed.clone()),
            None => Ok(()),
        }
    }

    #[cold]
    fn fail(&mut self, error: rustls::Error) -> Result<(), TlsError> {
        let error = match &*self.connection {
            _ if !self.is_handshaking() || !self.peer_speaks_http() => TlsError::of(error),
            Connection::Client(_) => TlsError::HttpInsteadOfTls,
            Connection::Server(_) => TlsError::HttpRequestInsteadOfTls,
        };
        self.failed = Some(error.clone());
        self.start = self.end;
        Err(error)
    }

    /// None of these begins a TLS record.
    fn peer_speaks_http(&self) -> bool {
        match &*self.connection {
            Connection::Client(_) => &self.first == b"HTTP/",
            Connection::Server(_) => [
                b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO", b"PATCH", b"DELET", b"CONNE",
            ]
            .contains(&&self.first),
        }
    }
}

/// How it stands. No keys, and nothing of what goes through.
impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession")
            .field("handshaking", &self.is_handshaking())
            .field("version", &self.protocol_version())
            .field("alpn", &self.alpn().map(String::from_utf8_lossy))
            .field("eof", &self.eof)
            .field("peer_closed", &self.peer_closed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
