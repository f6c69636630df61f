//! ALPN (RFC 7301) as plain data: what a client offers in a TLS handshake, and which protocol a connection speaks after it.
//! Nothing here speaks one.

use super::Peer;
use crate::client::pool::Key;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

const HTTP1: &[u8] = b"http/1.1";

/// What ALPN agreed on (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Alpn {
    /// Nothing, or there is no TLS: HTTP/1.1.
    #[default]
    None,
    /// `http/1.1`
    Http1,
    /// `h2`
    Http2,
    /// Something else.
    Other,
}

impl Alpn {
    /// What the TLS library gave.
    pub fn of(protocol: Option<&[u8]>) -> Alpn {
        match protocol {
            None => Alpn::None,
            Some(HTTP1) => Alpn::Http1,
            Some(b"h2") => Alpn::Http2,
            Some(_) => Alpn::Other,
        }
    }
}

/// The protocols that a client speaks over TLS: HTTP/1.1 always, and before it those that are registered, by the names
/// that ALPN has for them. The implementations are the driver's, which knows them by the same order.
///
/// ```
/// use antiphon_core::client::connect::{Agreed, AlpnError, Peer, Protocols};
/// use antiphon_core::client::{Key, Scheme};
///
/// let protocols = Protocols::default().with("h2").unwrap();
/// let key = Key::new(Scheme::Https, "example.com", 443);
///
/// let target = protocols.for_tls(Peer::Target, &key);
/// assert!(target.offer().eq([&b"h2"[..], b"http/1.1"]));
/// let Ok(Agreed::Alternate(h2)) = target.agreed(Some(b"h2")) else { unreachable!() };
/// assert_eq!(h2.index(), 0);
///
/// // An upgrade needs HTTP/1: nothing else is offered, and nothing else is taken.
/// let upgrade = protocols.for_tls(Peer::Target, &key.only_http1());
/// assert!(upgrade.offer().eq([&b"http/1.1"[..]]));
/// assert!(matches!(upgrade.agreed(Some(b"h2")), Err(AlpnError::NotOffered(_))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Protocols {
    registered: Vec<Box<[u8]>>,
}

static ONLY_HTTP1: Protocols = Protocols {
    registered: Vec::new(),
};

impl Protocols {
    /// At most so many are registered: each costs bytes in every ClientHello.
    pub const MAX: usize = 8;

    /// Registers a protocol behind those that are: the first is preferred (the server decides).
    ///
    /// # Errors
    /// Names of no or more than 255 bytes, `http/1.1`, names that are registered, and more than
    /// [`MAX`](Protocols::MAX).
    pub fn with(mut self, name: impl AsRef<[u8]>) -> Result<Protocols, InvalidProtocol> {
        let name = name.as_ref();
        if name.is_empty() || name.len() > 255 {
            return Err(InvalidProtocol::Length(name.len()));
        }
        if name == HTTP1 || self.registered.iter().any(|p| **p == *name) {
            return Err(InvalidProtocol::Twice);
        }
        if self.registered.len() == Protocols::MAX {
            return Err(InvalidProtocol::TooMany);
        }
        self.registered.push(name.into());
        Ok(self)
    }

    /// What holds for one handshake: with a proxy, and for a key of [`Key::only_http1`], HTTP/1.1 alone.
    pub fn for_tls(&self, peer: Peer, key: &Key) -> &Protocols {
        if peer == Peer::Proxy || key.is_only_http1() {
            &ONLY_HTTP1
        } else {
            self
        }
    }

    /// What to offer, the preferred one first. `http/1.1` is the last.
    pub fn offer(&self) -> impl Iterator<Item = &[u8]> {
        self.registered.iter().map(|p| &**p).chain([HTTP1])
    }

    /// What a connection speaks whose handshake agreed on `name`. Ask those that made the offer.
    ///
    /// # Errors
    /// [`AlpnError::NotOffered`]: the connection can't be used, and its dial has failed.
    pub fn agreed(&self, name: Option<&[u8]>) -> Result<Agreed<'_>, AlpnError> {
        let Some(name) = name.filter(|name| *name != HTTP1) else {
            // RFC 7301, section 3.2: a server that does not know ALPN ignores it.
            return Ok(Agreed::Http1);
        };
        match self.registered.iter().position(|p| **p == *name) {
            Some(index) => Ok(Agreed::Alternate(Alternate {
                index,
                name: &self.registered[index],
            })),
            None => Err(AlpnError::NotOffered(name.into())),
        }
    }
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Agreed<'a> {
    /// HTTP/1.1, as this client speaks it: [`Pool::dialed`](crate::client::Pool::dialed).
    Http1,
    /// A registered protocol: its implementation is handed the connection. If it takes it, that is
    /// [`Pool::dialed_shared`](crate::client::Pool::dialed_shared) (or `dialed`, if it carries one request at a time); if
    /// not, [`Pool::dial_failed`](crate::client::Pool::dial_failed), with the error of [`Alternate::refused`].
    Alternate(Alternate<'a>),
}

/// A registered protocol that was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternate<'a> {
    index: usize,
    name: &'a [u8],
}

impl Alternate<'_> {
    /// The how-manieth that was registered, from 0.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Its name.
    pub const fn name(&self) -> &[u8] {
        self.name
    }

    /// The implementation did not take the connection; it has its own error.
    pub fn refused(&self) -> AlpnError {
        AlpnError::Refused(self.name.into())
    }
}

/// Why a connection whose handshake succeeded can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlpnError {
    /// The server chose this protocol, which was not offered (RFC 7301, section 3.2 forbids it).
    NotOffered(Box<[u8]>),
    /// The implementation of this protocol did not take the connection.
    Refused(Box<[u8]>),
}

impl fmt::Display for AlpnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AlpnError::NotOffered(name) => {
                write!(
                    f,
                    "the server chose a protocol that was not offered: {}",
                    name.escape_ascii()
                )
            }
            AlpnError::Refused(name) => {
                write!(
                    f,
                    "the implementation of {} did not take the connection",
                    name.escape_ascii()
                )
            }
        }
    }
}

impl core::error::Error for AlpnError {}

/// Why a protocol can't be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidProtocol {
    /// Its name has so many bytes, not 1 to 255.
    Length(usize),
    /// It is registered, as `http/1.1` always is.
    Twice,
    /// [`Protocols::MAX`] are registered.
    TooMany,
}

impl fmt::Display for InvalidProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidProtocol::Length(n) => {
                write!(
                    f,
                    "the name of a protocol must have 1 to 255 bytes, and this one has {n}"
                )
            }
            InvalidProtocol::Twice => f.write_str("the protocol is registered already"),
            InvalidProtocol::TooMany => {
                write!(
                    f,
                    "at most {} protocols beside http/1.1 can be registered",
                    Protocols::MAX
                )
            }
        }
    }
}

impl core::error::Error for InvalidProtocol {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Scheme;
    use alloc::string::ToString;

    fn names(protocols: &Protocols) -> Vec<&[u8]> {
        protocols.offer().collect()
    }

    fn key() -> Key {
        Key::new(Scheme::Https, "h", 443)
    }

    #[test]
    fn http1_is_offered_last_and_always_taken() {
        let none = Protocols::default();
        assert_eq!(names(&none), [HTTP1]);
        let two = none.clone().with("h2").unwrap().with(b"x\xff").unwrap();
        assert_eq!(names(&two), [&b"h2"[..], b"x\xff", HTTP1]);
        for protocols in [&none, &two] {
            assert_eq!(protocols.agreed(None), Ok(Agreed::Http1));
            assert_eq!(protocols.agreed(Some(HTTP1)), Ok(Agreed::Http1));
        }
    }

    #[test]
    fn a_registered_protocol_gets_the_connection_and_may_refuse_it() {
        let two = Protocols::default().with("h2").unwrap().with("x").unwrap();
        let Ok(Agreed::Alternate(x)) = two.agreed(Some(b"x")) else {
            panic!()
        };
        assert_eq!((x.index(), x.name()), (1, &b"x"[..]));
        assert_eq!(
            x.refused().to_string(),
            "the implementation of x did not take the connection"
        );
    }

    #[test]
    fn what_was_not_offered_is_an_error() {
        let none = Protocols::default();
        let error = none.agreed(Some(b"h2\n")).unwrap_err();
        assert_eq!(error, AlpnError::NotOffered((*b"h2\n").into()));
        assert_eq!(
            error.to_string(),
            "the server chose a protocol that was not offered: h2\\n"
        );
        // Names are octets: case counts, and so does emptiness.
        for name in [&b"HTTP/1.1"[..], b"", b"http/1.0"] {
            assert!(none.agreed(Some(name)).is_err(), "{name:?}");
        }
    }

    #[test]
    fn proxies_and_upgrades_are_offered_http1_alone() {
        let h2 = Protocols::default().with("h2").unwrap();
        assert_eq!(names(h2.for_tls(Peer::Target, &key())).len(), 2);
        for (peer, key) in [
            (Peer::Proxy, key()),
            (Peer::Target, key().only_http1()),
            (Peer::Proxy, key().only_http1()),
        ] {
            let one = h2.for_tls(peer, &key);
            assert_eq!(names(one), [HTTP1]);
            assert!(one.agreed(Some(b"h2")).is_err());
        }
    }

    #[test]
    fn what_can_be_registered() {
        let none = Protocols::default;
        assert_eq!(none().with(""), Err(InvalidProtocol::Length(0)));
        assert_eq!(none().with([b'x'; 256]), Err(InvalidProtocol::Length(256)));
        assert!(none().with([b'x'; 255]).is_ok());
        assert_eq!(none().with("http/1.1"), Err(InvalidProtocol::Twice));
        assert_eq!(none().with("h2").unwrap().with("h2"), Err(InvalidProtocol::Twice));
        let full = (0..Protocols::MAX as u8).fold(none(), |p, n| p.with([n]).unwrap());
        assert_eq!(full.with("x"), Err(InvalidProtocol::TooMany));
    }
}
