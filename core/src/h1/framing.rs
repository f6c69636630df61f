//! What the known fields of a head mean: body framing, persistence, expectation, switch. Gathered line by line
//! by [`Facts`]; the rules that need the whole head are functions here too.

use super::config::Profile;
use super::error::{Misuse, PeerErrorKind as Kind};
use super::event::BodyLen;
use crate::Headers;
use crate::message::Version;
use crate::message::target::is_host;
use crate::message::token::{list_members, trim_ows};

/// The Transfer-Encoding lines seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    None,
    Chunked,
}

/// What the known fields of one head say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) length: Option<u64>,
    pub(crate) coding: Coding,
    pub(crate) host: bool,
    pub(crate) any_host: bool,
    /// `Connection: close`.
    pub(crate) close: bool,
    /// `Connection: keep-alive`.
    pub(crate) keep_alive: bool,
    /// `Connection: upgrade`.
    pub(crate) upgrade_option: bool,
    /// An Upgrade field.
    pub(crate) upgrade: bool,
    /// `Expect: 100-continue`.
    pub(crate) expect: bool,
    /// `Keep-Alive: timeout=N`, in seconds.
    pub(crate) keep_alive_timeout: Option<u32>,
    /// Fields that only one side judges: Host and Expect are a server's business.
    request: bool,
    /// A trailer section: nothing is listened to.
    ignore: bool,
    /// A response's framing field that makes no sense.
    pub(crate) fault: Option<(Kind, u32)>,
}

impl Facts {
    pub(crate) const fn request(profile: &Profile) -> Facts {
        Facts {
            request: true,
            any_host: profile.any_host,
            ..Facts::RESPONSE
        }
    }

    pub(crate) const RESPONSE: Facts = Facts {
        length: None,
        coding: Coding::None,
        host: false,
        any_host: true,
        close: false,
        keep_alive: false,
        upgrade_option: false,
        upgrade: false,
        expect: false,
        keep_alive_timeout: None,
        request: false,
        ignore: false,
        fault: None,
    };

    /// For trailer sections.
    pub(crate) const IGNORE: Facts = Facts {
        ignore: true,
        ..Facts::RESPONSE
    };

    pub(crate) const fn is_request(&self) -> bool {
        self.request
    }

    /// Whether a name can be one that matters, judged by its length and first letter alone.
    #[inline]
    pub(crate) fn may_know(name: &[u8]) -> bool {
        let Some(&first) = name.first() else { return false };
        let initial = match name.len() {
            4 => b'h',
            6 => b'e',
            7 => b'u',
            // connection, keep-alive
            10 => return matches!(first | 0x20, b'c' | b'k'),
            14 => b'c',
            17 => b't',
            _ => return false,
        };
        first | 0x20 == initial
    }

    /// Takes in one field line; `name` passed [`Facts::may_know`].
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Kind> {
        if self.ignore {
            return Ok(());
        }
        match name.len() {
            4 if self.request && is_name(name, b"host") => self.host_value(value),
            6 if self.request && is_name(name, b"expect") => {
                if is(value, b"100-continue") {
                    self.expect = true;
                    Ok(())
                } else {
                    Err(Kind::Expectation)
                }
            }
            7 if is_name(name, b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            10 if is_name(name, b"connection") => {
                self.connection_value(value);
                Ok(())
            }
            10 if !self.request && is_name(name, b"keep-alive") => {
                self.keep_alive_timeout = keep_alive_timeout(value).or(self.keep_alive_timeout);
                Ok(())
            }
            14 if is_name(name, b"content-length") => self.length_value(value),
            17 if is_name(name, b"transfer-encoding") => self.coding_value(value),
            _ => Ok(()),
        }
    }

    /// RFC 9112, section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
    /// request message that [...] contains more than one Host header field line or a Host header field with an
    /// invalid field value."
    fn host_value(&mut self, value: &[u8]) -> Result<(), Kind> {
        if self.host {
            return Err(Kind::HostRepeated);
        }
        self.host = true;
        if self.any_host || is_simple_host(value) || is_host(value, false) {
            Ok(())
        } else {
            Err(Kind::Host)
        }
    }

    fn connection_value(&mut self, value: &[u8]) {
        if value.len() == 10 && is(value, b"keep-alive") {
            self.keep_alive = true;
            return;
        }
        for option in list_members(value) {
            match option.len() {
                5 => self.close |= is(option, b"close"),
                7 => self.upgrade_option |= is(option, b"upgrade"),
                10 => self.keep_alive |= is(option, b"keep-alive"),
                _ => {}
            }
        }
    }

    /// RFC 9112, section 6.3: a list of identical decimal values may be read as one; anything else is an
    /// unrecoverable error.
    fn length_value(&mut self, value: &[u8]) -> Result<(), Kind> {
        for part in value.split(|&b| b == b',') {
            let n = decimal(trim_ows(part)).ok_or(Kind::ContentLength)?;
            match self.length {
                Some(old) if old != n => return Err(Kind::ContentLengthConflict),
                _ => self.length = Some(n),
            }
        }
        Ok(())
    }

    /// Exactly one Transfer-Encoding of exactly `chunked` is understood.
    fn coding_value(&mut self, value: &[u8]) -> Result<(), Kind> {
        if self.coding == Coding::None && is(value, b"chunked") {
            self.coding = Coding::Chunked;
            Ok(())
        } else {
            Err(Kind::TransferCoding)
        }
    }

    /// The length of a request's body (RFC 9112, section 6.3), and whether its framing was so ambiguous that
    /// the connection must close.
    pub(crate) fn request_body(&self, version: Version, profile: &Profile) -> Result<(BodyLen, bool), Kind> {
        match (self.coding, self.length) {
            (Coding::Chunked, length) => {
                // "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header
                // field MUST treat the message as if the framing is faulty" (RFC 9112, section 6.1)
                let old = version == Version::Http10;
                if old && !profile.coding_in_http10 {
                    return Err(Kind::TransferEncodingInHttp10);
                }
                if length.is_some() && !profile.length_and_coding {
                    return Err(Kind::LengthAndCoding);
                }
                Ok((BodyLen::Unknown, old || length.is_some()))
            }
            (Coding::None, Some(0) | None) => Ok((BodyLen::None, false)),
            (Coding::None, Some(n)) => Ok((BodyLen::Known(n), false)),
        }
    }

    /// Whether the sender of this head wants the connection to persist (RFC 9112, section 9.3).
    pub(crate) fn persists(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

static SIMPLE_HOST: [bool; 256] = {
    let mut t = [false; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        t[i] = b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
        i += 1;
    }
    t
};

/// The common Host values without a walk through the grammar: letters, digits, `.`, `-`, then a port.
#[inline]
fn is_simple_host(value: &[u8]) -> bool {
    let mut end = value.len();
    while end > 0 && value[end - 1].is_ascii_digit() {
        end -= 1;
    }
    let host = match value[..end].split_last() {
        Some((b':', host)) if !host.is_empty() => host,
        _ => value,
    };
    // Without an early exit this is a plain run of loads.
    host.iter().fold(true, |good, &b| good & SIMPLE_HOST[b as usize])
}

/// Whether a name (already known to be a token) is `lower`, without regard to case. In a token, setting bit 5
/// maps letters to lower case and takes nothing else to a letter or a hyphen; the arrays' fixed length lets
/// this compile to a few whole-word comparisons.
#[inline]
fn is_name<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    match name.first_chunk::<N>() {
        Some(n) if name.len() == N => {
            let mut differ = 0;
            for i in 0..N {
                differ |= (n[i] | 0x20) ^ lower[i];
            }
            differ == 0
        }
        _ => false,
    }
}

/// Equality without regard to ASCII case; `lower` is in lower case.
#[inline]
pub(crate) fn is(text: &[u8], lower: &[u8]) -> bool {
    text.eq_ignore_ascii_case(lower)
}

/// A decimal number below 2^63: digits only, at least one.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut n: u64 = 0;
    for &b in text {
        if !b.is_ascii_digit() {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
        if n >> 63 != 0 {
            return None;
        }
    }
    Some(n)
}

fn keep_alive_timeout(value: &[u8]) -> Option<u32> {
    value.split(|&b| b == b',').map(trim_ows).find_map(|p| {
        let (name, number) = p.split_at(p.iter().position(|&b| b == b'=')?);
        if !is(name, b"timeout") {
            return None;
        }
        u32::try_from(decimal(&number[1..])?).ok()
    })
}

pub(crate) fn body_len_from_fields(headers: &mut Headers, default: BodyLen) -> Result<BodyLen, Misuse> {
    let mut facts = Facts::RESPONSE;
    for f in headers.iter() {
        let name = f.name.as_bytes();
        if is(name, b"content-length") || is(name, b"transfer-encoding") {
            facts
                .field(name, f.value.as_bytes())
                .map_err(|_| Misuse::ForbiddenField)?;
        }
    }
    let len = match (facts.coding, facts.length) {
        (Coding::Chunked, None) => BodyLen::Unknown,
        (Coding::Chunked, Some(_)) => return Err(Misuse::ForbiddenField),
        (Coding::None, Some(n)) => BodyLen::Known(n),
        (Coding::None, None) => return Ok(default),
    };
    headers.remove("content-length");
    headers.remove("transfer-encoding");
    Ok(len)
}

/// Fields that may not stand in a trailer section (RFC 9110, section 6.5.1): framing, routing, request
/// modifiers, authentication, and those that say how the content is to be read.
pub(crate) fn forbidden_in_trailers(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 24] = [
        b"te",
        b"host",
        b"range",
        b"realm",
        b"cookie",
        b"expect",
        b"pragma",
        b"upgrade",
        b"trailer",
        b"connection",
        b"keep-alive",
        b"set-cookie",
        b"content-type",
        b"max-forwards",
        b"authorization",
        b"cache-control",
        b"content-range",
        b"content-length",
        b"content-encoding",
        b"proxy-connection",
        b"www-authenticate",
        b"transfer-encoding",
        b"proxy-authenticate",
        b"proxy-authorization",
    ];
    NAMES.iter().any(|n| n.len() == name.len() && is(name, n)) || (name.len() > 3 && is(&name[..3], b"if-"))
}
