//! [`Socks5`]: the client's side of a SOCKS5 handshake as a byte machine (RFC 1928; RFC 1929 for the password).
//!
//! Only `CONNECT`, only these two ways to be let in. Resolving, dialling and deadlines live elsewhere.

#[cfg(test)]
mod tests;

use super::proxy::Credentials;
use crate::h1::Misuse;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest answer: VER REP RSV ATYP, a name of 255 bytes behind its length, the port.
const LONGEST: usize = 4 + 1 + 255 + 2;

/// A SOCKS5 handshake, from the first byte to the answer after which the connection leads to the target.
///
/// Write [`outgoing`](Socks5::outgoing) and report it with [`sent`](Socks5::sent); hand what was read to
/// [`received`](Socks5::received), which tells how much of it belongs to the handshake: the rest is the target's. Go on
/// until [`result`](Socks5::result) is there. All but `sent`, `received` and `received_eof` are getters.
///
/// ```
/// use antiphon_core::client::socks::{Bound, Socks5};
///
/// let mut socks = Socks5::by_name("example.com", 443, None)?;
/// assert_eq!(socks.outgoing(), [5, 1, 0]); // version 5, one method: none needed
/// socks.sent(3)?;
/// assert_eq!(socks.received(&[5, 0]), 2);
/// assert_eq!(socks.outgoing(), b"\x05\x01\x00\x03\x0bexample.com\x01\xbb");
/// socks.sent(18)?;
/// assert_eq!(socks.received(b"\x05\x00\x00\x01\x0a\x00\x00\x01\x10\x00hello"), 10);
/// assert_eq!(socks.result(), Some(Ok(Bound::Address("10.0.0.1:4096".parse().unwrap()))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Socks5 {
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
    step: Step,
    credentials: Option<Credentials>,
    request: Vec<u8>,
    result: Option<Result<Bound, SocksError>>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Method,
    Admission,
    Reply,
    Over,
}

/// Where the proxy's own side of the connection is bound, as it says (RFC 1928, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Bound {
    /// At this address; often nothing but zeros.
    Address(SocketAddr),
    /// At a name, which is not kept, on this port.
    Name(u16),
}

impl Socks5 {
    /// Asks for an address (`socks5`: the client has resolved the name).
    ///
    /// # Errors
    /// [`SocksError::Credentials`] if RFC 1929 cannot carry them.
    pub fn by_address(target: SocketAddr, credentials: Option<&Credentials>) -> Result<Socks5, SocksError> {
        let mut request = Vec::from([5, 1, 0]);
        match target.ip() {
            IpAddr::V4(ip) => {
                request.push(1);
                request.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                request.push(4);
                request.extend_from_slice(&ip.octets());
            }
        }
        request.extend_from_slice(&target.port().to_be_bytes());
        Socks5::new(request, credentials)
    }

    /// Asks for a name (`socks5h`: the proxy resolves it). A host that is an address, IPv6 with or without brackets, is
    /// asked for as such.
    ///
    /// # Errors
    /// [`SocksError::Name`] for a name of no or more than 255 bytes, [`SocksError::Credentials`].
    pub fn by_name(host: &str, port: u16, credentials: Option<&Credentials>) -> Result<Socks5, SocksError> {
        let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if let Ok(ip) = inside.unwrap_or(host).parse::<IpAddr>() {
            return Socks5::by_address(SocketAddr::new(ip, port), credentials);
        }
        let len = match u8::try_from(host.len()) {
            Ok(len) if len > 0 => len,
            _ => return Err(SocksError::Name),
        };
        let mut request = Vec::from([5, 1, 0, 3, len]);
        request.extend_from_slice(host.as_bytes());
        request.extend_from_slice(&port.to_be_bytes());
        Socks5::new(request, credentials)
    }

    fn new(request: Vec<u8>, credentials: Option<&Credentials>) -> Result<Socks5, SocksError> {
        if credentials.is_some_and(|c| !c.fits_socks()) {
            return Err(SocksError::Credentials);
        }
        Ok(Socks5 {
            out: match credentials {
                None => Vec::from([5, 1, 0]),
                Some(_) => Vec::from([5, 2, 0, 2]),
            },
            sent: 0,
            input: Vec::new(),
            step: Step::Method,
            credentials: credentials.cloned(),
            request,
            result: None,
        })
    }

    /// What is to be written now.
    pub fn outgoing(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// `n` bytes of [`outgoing`](Socks5::outgoing) were written.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`] if there were not so many; nothing changes.
    pub fn sent(&mut self, n: usize) -> Result<(), Misuse> {
        if n > self.outgoing().len() {
            return Err(Misuse::TooMuch);
        }
        self.sent += n;
        if self.outgoing().is_empty() {
            // It may have held a password.
            self.say(Vec::new());
        }
        Ok(())
    }

    /// How many bytes are at least still to come before the next decision; 0 when nothing is to be read. Whoever reads no
    /// more than that never reads bytes of the target.
    pub fn needs(&self) -> usize {
        if self.step == Step::Over || !self.outgoing().is_empty() {
            return 0;
        }
        self.expected() - self.input.len()
    }

    /// These bytes were read. Returns how many belong to the handshake; the others follow it.
    pub fn received(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while self.step != Step::Over && taken < bytes.len() {
            if !self.outgoing().is_empty() {
                // An answer before its question answers something else.
                self.end(Err(SocksError::Unasked));
                break;
            }
            let expected = self.expected();
            let n = (expected - self.input.len()).min(bytes.len() - taken);
            self.input.extend_from_slice(&bytes[taken..taken + n]);
            taken += n;
            if self.input.len() == expected {
                self.decide();
            }
        }
        taken
    }

    /// The proxy closed the connection, or it broke.
    pub fn received_eof(&mut self) {
        if self.step != Step::Over {
            self.end(Err(SocksError::Closed));
        }
    }

    /// How it ended; `None` while it goes on.
    pub const fn result(&self) -> Option<Result<Bound, SocksError>> {
        self.result
    }

    /// How long what is read now is, as far as is known: an answer's length shows in its first bytes.
    fn expected(&self) -> usize {
        let n = match (self.step, &self.input[..]) {
            (Step::Over, _) => self.input.len(),
            (Step::Method | Step::Admission, _) => 2,
            // First what says whether it failed, then what says how long it is.
            (Step::Reply, [] | [_]) => 2,
            (Step::Reply, [_, _] | [_, _, _] | [_, _, _, _]) => 5,
            (Step::Reply, [_, _, _, 1, ..]) => 4 + 4 + 2,
            (Step::Reply, [_, _, _, 4, ..]) => 4 + 16 + 2,
            (Step::Reply, [_, _, _, _, len, ..]) => 4 + 1 + usize::from(*len) + 2,
        };
        debug_assert!(n <= LONGEST);
        n
    }

    /// So many bytes as were expected are there.
    fn decide(&mut self) {
        match (self.step, &self.input[..]) {
            (Step::Method, [5, method]) => match (method, self.credentials.take()) {
                (0, _) => self.ask(),
                (2, Some(c)) => {
                    let mut out = Vec::from([1]);
                    for part in [c.user(), c.password()] {
                        out.push(part.len() as u8); // 1 to 255, as was checked
                        out.extend_from_slice(part);
                    }
                    self.say(out);
                    self.step = Step::Admission;
                }
                (0xff, _) => self.end(Err(SocksError::NoMethod)),
                (&other, _) => self.end(Err(SocksError::Method(other))),
            },
            (Step::Admission, [1, 0]) => self.ask(),
            (Step::Admission, [1, code]) => self.end(Err(SocksError::Refused(*code))),
            (Step::Method | Step::Admission, [version, ..]) => self.end(Err(SocksError::Version(*version))),
            (Step::Reply, [version, ..]) if *version != 5 => self.end(Err(SocksError::Version(*version))),
            (Step::Reply, [_, code, ..]) if *code != 0 => self.end(Err(SocksError::Reply(Reply::of(*code)))),
            (Step::Reply, [_, _]) => {}
            (Step::Reply, [_, _, _, kind, rest @ ..]) => {
                if !matches!(kind, 1 | 3 | 4) {
                    self.end(Err(SocksError::AddressType(*kind)));
                } else if self.input.len() == self.expected() {
                    self.end(Ok(bound(*kind, rest)));
                }
            }
            _ => {}
        }
    }

    fn say(&mut self, out: Vec<u8>) {
        self.out = out;
        self.sent = 0;
        self.input.clear();
    }

    fn ask(&mut self) {
        let request = core::mem::take(&mut self.request);
        self.say(request);
        self.step = Step::Reply;
    }

    fn end(&mut self, result: Result<Bound, SocksError>) {
        self.say(Vec::new());
        self.credentials = None;
        self.step = Step::Over;
        self.result = Some(result);
    }
}

/// `BND.ADDR` and `BND.PORT`.
fn bound(kind: u8, bytes: &[u8]) -> Bound {
    let (address, port) = match bytes.split_last_chunk::<2>() {
        Some((address, port)) => (address, u16::from_be_bytes(*port)),
        None => (bytes, 0),
    };
    let ip = match kind {
        1 => <[u8; 4]>::try_from(address)
            .ok()
            .map(|a| Ipv4Addr::from(a).into()),
        4 => <[u8; 16]>::try_from(address)
            .ok()
            .map(|a| Ipv6Addr::from(a).into()),
        _ => None,
    };
    ip.map_or(Bound::Name(port), |ip: IpAddr| {
        Bound::Address(SocketAddr::new(ip, port))
    })
}

impl fmt::Debug for Socks5 {
    /// State only; no bytes, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5")
            .field("step", &self.step)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

/// Why the proxy does not connect (RFC 1928, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reply {
    /// 1
    GeneralFailure,
    /// 2
    NotAllowed,
    /// 3
    NetworkUnreachable,
    /// 4
    HostUnreachable,
    /// 5
    ConnectionRefused,
    /// 6
    TtlExpired,
    /// 7
    CommandNotSupported,
    /// 8
    AddressTypeNotSupported,
    /// A code that the RFC does not know.
    Other(u8),
}

impl Reply {
    /// What a code means.
    pub const fn of(code: u8) -> Reply {
        match code {
            1 => Reply::GeneralFailure,
            2 => Reply::NotAllowed,
            3 => Reply::NetworkUnreachable,
            4 => Reply::HostUnreachable,
            5 => Reply::ConnectionRefused,
            6 => Reply::TtlExpired,
            7 => Reply::CommandNotSupported,
            8 => Reply::AddressTypeNotSupported,
            other => Reply::Other(other),
        }
    }

    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Reply::GeneralFailure => 1,
            Reply::NotAllowed => 2,
            Reply::NetworkUnreachable => 3,
            Reply::HostUnreachable => 4,
            Reply::ConnectionRefused => 5,
            Reply::TtlExpired => 6,
            Reply::CommandNotSupported => 7,
            Reply::AddressTypeNotSupported => 8,
            Reply::Other(code) => code,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Reply::GeneralFailure => "general failure",
            Reply::NotAllowed => "not allowed by its rules",
            Reply::NetworkUnreachable => "network unreachable",
            Reply::HostUnreachable => "host unreachable",
            Reply::ConnectionRefused => "connection refused",
            Reply::TtlExpired => "TTL expired",
            Reply::CommandNotSupported => "command not supported",
            Reply::AddressTypeNotSupported => "address type not supported",
            Reply::Other(_) => "unknown",
        };
        write!(f, "{text} (reply {})", self.code())
    }
}

/// Why a SOCKS handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocksError {
    /// The target's name has no or more than 255 bytes.
    Name,
    /// The name or the password of the user has no or more than 255 bytes.
    Credentials,
    /// The peer does not speak this version: its first byte was another.
    Version(u8),
    /// The proxy accepts no method that was offered; without credentials it probably wants some.
    NoMethod,
    /// The proxy chose a method that was not offered.
    Method(u8),
    /// The proxy does not accept the credentials; its code.
    Refused(u8),
    /// The proxy did not connect.
    Reply(Reply),
    /// The proxy's answer has an address of a kind that does not exist.
    AddressType(u8),
    /// Bytes came before anything was asked.
    Unasked,
    /// The connection ended within the handshake.
    Closed,
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocksError::Name => f.write_str("SOCKS carries names of 1 to 255 bytes (RFC 1928, section 5)"),
            SocksError::Credentials => {
                f.write_str("SOCKS carries user names and passwords of 1 to 255 bytes (RFC 1929, section 2)")
            }
            SocksError::Version(b) => write!(f, "the proxy does not speak SOCKS5 (its first byte was {b})"),
            SocksError::NoMethod => {
                f.write_str("the SOCKS proxy accepts no method of authentication offered")
            }
            SocksError::Method(m) => write!(f, "the SOCKS proxy chose method {m}, which was not offered"),
            SocksError::Refused(code) => write!(f, "the SOCKS proxy refused the credentials (status {code})"),
            SocksError::Reply(reply) => write!(f, "the SOCKS proxy did not connect: {reply}"),
            SocksError::AddressType(b) => write!(f, "the SOCKS proxy answered with an address of type {b}"),
            SocksError::Unasked => f.write_str("the SOCKS proxy answered before it was asked"),
            SocksError::Closed => f.write_str("the SOCKS proxy closed the connection within the handshake"),
        }
    }
}

impl core::error::Error for SocksError {}
