//! [`Basic`]: user and password as a field value, and back (RFC 7617), with the base64 that it needs
//! (RFC 4648, section 4).
//!
//! When credentials are sent, and to whom, does not live here.

use super::url::Url;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Credentials of the scheme `Basic`. [`Debug`](fmt::Debug) shows neither part.
///
/// ```
/// use antiphon_core::client::Basic;
/// let value = Basic::new("Aladdin", "open sesame").to_value();
/// assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
/// let read = Basic::parse(value.as_bytes()).unwrap();
/// assert_eq!((read.user(), read.password()), (&b"Aladdin"[..], &b"open sesame"[..]));
/// assert_eq!(Basic::parse(b"Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), None);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    /// `user ":" password`
    pair: Vec<u8>,
    user_len: usize,
}

impl Basic {
    /// These credentials. A colon in `user` moves into the password when they are read: RFC 7617, section 2 has
    /// none there.
    pub fn new(user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Basic {
        let mut pair = user.as_ref().to_vec();
        let user_len = pair.len();
        pair.push(b':');
        pair.extend_from_slice(password.as_ref());
        Basic { pair, user_len }
    }

    /// Those that the URL holds, percent-decoded; a missing password is an empty one.
    pub fn of_url(url: &Url) -> Option<Basic> {
        let userinfo = url.userinfo()?;
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        Some(Basic::new(percent_decoded(user), percent_decoded(password)))
    }

    /// Reads the value of `Authorization` or `Proxy-Authorization`. The scheme's case does not matter, and the first
    /// colon ends the user. `None`: another scheme, no base64, or no colon.
    pub fn parse(value: &[u8]) -> Option<Basic> {
        let (scheme, rest) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let pair = decode(rest.trim_ascii())?;
        let user_len = pair.iter().position(|&b| b == b':')?;
        Some(Basic { pair, user_len })
    }

    /// The value of the field: `Basic`, and the base64 of both. A secret.
    pub fn to_value(&self) -> String {
        let mut value = String::from("Basic ");
        encode(&self.pair, &mut value);
        value
    }

    /// The user.
    pub fn user(&self) -> &[u8] {
        &self.pair[..self.user_len]
    }

    /// The password.
    pub fn password(&self) -> &[u8] {
        &self.pair[self.user_len + 1..]
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basic(***)")
    }
}

/// A `%` without two digits behind it stands for itself.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        let digit = |i: usize| tail.get(i).and_then(|&d| char::from(d).to_digit(16));
        match (b, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                out.push(b);
                rest = tail;
            }
        }
    }
    out
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8], out: &mut String) {
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= group.len() { char::from(digit) } else { '=' });
        }
    }
}

/// Strict: padded, and the bits that stand for nothing are zero, so that a value is written in one way only.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let groups = text.len() / 4;
    for (n, group) in text.chunks(4).enumerate() {
        let last = n + 1 == groups;
        let pads = group.iter().rev().take_while(|&&b| b == b'=').count();
        if pads > 2 || (pads > 0 && !last) {
            return None;
        }
        let mut bits = 0u32;
        for &b in &group[..4 - pads] {
            let digit = ALPHABET.iter().position(|&a| a == b)?;
            bits = bits << 6 | digit as u32;
        }
        bits <<= 6 * pads;
        let bytes = bits.to_be_bytes();
        let (kept, void) = bytes[1..].split_at(3 - pads);
        if void.iter().any(|&b| b != 0) {
            return None;
        }
        out.extend_from_slice(kept);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn of(url: &str) -> Option<String> {
        Basic::of_url(&Url::parse(url).unwrap()).map(|b| b.to_value())
    }

    #[test]
    fn base64_as_in_rfc_4648_section_10() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut text = String::new();
            encode(plain.as_bytes(), &mut text);
            assert_eq!(text, coded);
            assert_eq!(decode(coded.as_bytes()).as_deref(), Some(plain.as_bytes()));
        }
        for bad in [
            "Z", "Zg", "Zg=", "Zg===", "=Zg=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9", "Zm9-",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn d1_userinfo_becomes_basic() {
        // u:p
        assert_eq!(of("http://u:p@h/").as_deref(), Some("Basic dTpw"));
        // "A missing password is an empty one": u:
        assert_eq!(of("http://u@h/").as_deref(), Some("Basic dTo="));
        assert_eq!(of("http://:@h/").as_deref(), Some("Basic Og=="));
        assert_eq!(of("http://h/"), None);
        // Decoded first: a@b and %, then a half-written escape.
        let b = Basic::of_url(&Url::parse("http://a%40b:%25%4@h/").unwrap()).unwrap();
        assert_eq!((b.user(), b.password()), (&b"a@b"[..], &b"%%4"[..]));
    }

    #[test]
    fn d4_parsing_ignores_the_case_of_the_scheme_and_splits_at_the_first_colon() {
        let b = Basic::parse(b"bASIC dTpwOnE=").unwrap();
        assert_eq!((b.user(), b.password()), (&b"u"[..], &b"p:q"[..]));
        assert_eq!(alloc::format!("{b:?}"), "Basic(***)");
        for bad in [
            &b""[..],
            b"Basic",
            b"Basic ",
            b"Basic dQ==",
            b"Basic dTpw!",
            b"BasicdTpw",
            b"Digest dTpw",
        ] {
            assert_eq!(Basic::parse(bad), None, "{:?}", bad.escape_ascii());
        }
    }

    quickcheck! {
        fn d4_what_is_set_is_parsed(user: Vec<u8>, password: Vec<u8>) -> bool {
            let user: Vec<u8> = user.into_iter().filter(|&b| b != b':').collect();
            let set = Basic::new(&user, &password);
            Basic::parse(set.to_value().as_bytes()) == Some(set)
        }

        fn no_base64_is_read_in_two_ways(value: Vec<u8>) -> bool {
            let read = decode(&value);
            read.is_none_or(|plain| {
                let mut text = String::new();
                encode(&plain, &mut text);
                text.as_bytes() == value
            })
        }
    }
}
