//! [`Credentials`]: what a proxy is told about the user; `Basic` (RFC 7617) is worded in
//! `basic.rs`, the SOCKS message in `socks.rs`.

use crate::client::Basic;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A user's name and password, as bytes. Never shown, not even the name: tokens often stand in its place.
///
/// ```
/// use antiphon_core::client::proxy::Credentials;
/// let c = Credentials::new("ann", "secret");
/// assert_eq!(c.basic(), "Basic YW5uOnNlY3JldA==");
/// assert_eq!(format!("{c:?}"), "Credentials(***)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Box<[u8]>,
    password: Box<[u8]>,
}

impl Credentials {
    /// These, as they are: nothing is decoded.
    pub fn new(user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Credentials {
        Credentials {
            user: user.as_ref().into(),
            password: password.as_ref().into(),
        }
    }

    /// `user [ ":" password ]`, percent-encoded; the first colon divides. `None` for a broken percent code.
    pub(super) fn from_userinfo(userinfo: &str) -> Option<Credentials> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        Some(Credentials {
            user: decode(user)?.into(),
            password: decode(password)?.into(),
        })
    }

    /// The user's name.
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The password; may be empty.
    pub fn password(&self) -> &[u8] {
        &self.password
    }

    /// The value of `Proxy-Authorization` (RFC 7617, section 2). A secret.
    pub fn basic(&self) -> String {
        Basic::new(&self.user, &self.password).to_value()
    }

    pub(super) fn fits_basic(&self) -> bool {
        !self.user.contains(&b':')
            && !self
                .user
                .iter()
                .chain(&self.password)
                .any(|b| b.is_ascii_control())
    }

    pub(crate) fn fits_socks(&self) -> bool {
        (1..=255).contains(&self.user.len()) && (1..=255).contains(&self.password.len())
    }

    /// Percent-encoded again, unambiguously: for a pool's key.
    pub(super) fn userinfo(&self) -> String {
        let mut text = String::new();
        encode(&self.user, &mut text);
        text.push(':');
        encode(&self.password, &mut text);
        text
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [] => return Some(out),
            [b'%', a, b, tail @ ..] => {
                let digit = |d: u8| (d as char).to_digit(16);
                out.push((digit(*a)? * 16 + digit(*b)?) as u8);
                rest = tail;
            }
            [b'%', ..] => return None,
            [b, tail @ ..] => {
                out.push(*b);
                rest = tail;
            }
        }
    }
}

fn encode(bytes: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in bytes {
        if b.is_ascii_alphanumeric() {
            out.push(b as char);
        } else {
            out.push('%');
            out.push(HEX[usize::from(b >> 4)] as char);
            out.push(HEX[usize::from(b & 15)] as char);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    quickcheck! {
        fn what_is_encoded_is_decoded_again(user: Vec<u8>, password: Vec<u8>) -> bool {
            let c = Credentials::new(&user, &password);
            Credentials::from_userinfo(&c.userinfo()) == Some(c)
        }
    }
}
