//! [`Target`]: a request target, kept verbatim, and its four forms.

use super::secret::Masked;
use super::token;
use alloc::string::String;
use core::fmt;

/// The four forms of a request target (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum TargetForm {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`: to a proxy, or to a server that must accept it all the same
    Absolute,
    /// `host:port`: CONNECT only
    Authority,
    /// `*`: OPTIONS only
    Asterisk,
}

impl TargetForm {
    /// The form that these bytes have, whatever the method; `None` if they have none of the four.
    pub fn of(target: &[u8]) -> Option<TargetForm> {
        match target {
            [b'/', ..] => Some(TargetForm::Origin),
            b"*" => Some(TargetForm::Asterisk),
            _ => {
                if let Some(rest) = after_scheme(target) {
                    let end = rest
                        .iter()
                        .position(|b| matches!(b, b'/' | b'?'))
                        .unwrap_or(rest.len());
                    return (end > 0).then_some(TargetForm::Absolute);
                }
                is_authority(target).then_some(TargetForm::Authority)
            }
        }
    }
}

/// A request target, as it stands on the wire: visible US-ASCII without `#`, in one of the four forms.
///
/// ```
/// use antiphon_core::{Target, TargetForm};
/// let t = Target::new("/a/b?x=1")?;
/// assert_eq!((t.form(), t.path(), t.query()), (TargetForm::Origin, "/a/b", Some("x=1")));
/// assert!(Target::new("/a b").is_err());
/// # Ok::<(), antiphon_core::InvalidTarget>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    text: String,
}

impl Target {
    /// Checks `text` and keeps it as it is.
    ///
    /// # Errors
    /// [`InvalidTarget`] for a byte that may not stand in a target (the caller percent-encodes), or for a text
    /// of none of the four forms.
    pub fn new(text: impl Into<String>) -> Result<Target, InvalidTarget> {
        let text = text.into();
        if let Some(at) = text.bytes().position(|b| !token::is_target(b)) {
            return Err(InvalidTarget { at });
        }
        match TargetForm::of(text.as_bytes()) {
            Some(_) => Ok(Target { text }),
            None => Err(InvalidTarget { at: 0 }),
        }
    }

    /// The target as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its form.
    pub fn form(&self) -> TargetForm {
        // Checked in `new`.
        TargetForm::of(self.text.as_bytes()).unwrap_or(TargetForm::Origin)
    }

    /// The path, not decoded; empty for the authority form, `*` for the asterisk form, `/` when an absolute
    /// form has none.
    pub fn path(&self) -> &str {
        path_of(&self.text)
    }

    /// The query, not decoded, without the question mark.
    pub fn query(&self) -> Option<&str> {
        query_of(&self.text)
    }

    /// The authority of an absolute or authority form.
    pub fn authority(&self) -> Option<&str> {
        authority_of(&self.text)
    }
}

pub(crate) fn path_of(target: &str) -> &str {
    let rest = match TargetForm::of(target.as_bytes()) {
        Some(TargetForm::Authority) => return "",
        Some(TargetForm::Absolute) => {
            let after = target.find("://").map_or("", |i| &target[i + 3..]);
            match after.find(['/', '?']) {
                Some(i) if after.as_bytes()[i] == b'/' => &after[i..],
                _ => return "/",
            }
        }
        _ => target,
    };
    rest.split_once('?').map_or(rest, |(path, _)| path)
}

pub(crate) fn query_of(target: &str) -> Option<&str> {
    target.split_once('?').map(|(_, q)| q)
}

pub(crate) fn authority_of(target: &str) -> Option<&str> {
    match TargetForm::of(target.as_bytes())? {
        TargetForm::Authority => Some(target),
        TargetForm::Absolute => {
            let after = target.find("://").map_or("", |i| &target[i + 3..]);
            Some(after.find(['/', '?']).map_or(after, |i| &after[..i]))
        }
        _ => None,
    }
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    let colon = target.iter().position(|&b| b == b':')?;
    let scheme = &target[..colon];
    let valid = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !valid {
        return None;
    }
    target[colon + 1..].strip_prefix(b"//")
}

/// `uri-host ":" port`, port not empty (RFC 9112, section 3.2.3).
fn is_authority(target: &[u8]) -> bool {
    match target.iter().rposition(|&b| b == b':') {
        Some(colon) => {
            let port = &target[colon + 1..];
            colon > 0 && !port.is_empty() && port.iter().all(u8::is_ascii_digit) && is_host(target, true)
        }
        None => false,
    }
}

/// Whether `value` is `uri-host [ ":" port ]` (RFC 9110, section 7.2; RFC 3986, section 3.2.2). An empty host
/// is one only where `need` does not ask for more.
pub(crate) fn is_host(value: &[u8], need: bool) -> bool {
    let (host_ok, rest) = if let [b'[', inside @ ..] = value {
        let Some(end) = inside.iter().position(|&b| b == b']') else {
            return false;
        };
        (is_ip_literal(&inside[..end]), &inside[end + 1..])
    } else {
        let end = value.iter().position(|&b| b == b':').unwrap_or(value.len());
        (is_reg_name(&value[..end]) && (end > 0 || !need), &value[end..])
    };
    let port_ok = match rest {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    host_ok && port_ok
}

/// `*( unreserved / pct-encoded / sub-delims )`
fn is_reg_name(mut host: &[u8]) -> bool {
    loop {
        host = match host {
            [] => return true,
            [b'%', a, b, rest @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest,
            [b, rest @ ..] if b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(b) => rest,
            _ => return false,
        }
    }
}

/// IPv6 address or IPvFuture, between the brackets.
fn is_ip_literal(text: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = text {
        let Some(dot) = rest.iter().position(|&b| b == b'.') else {
            return false;
        };
        return dot > 0
            && rest[..dot].iter().all(u8::is_ascii_hexdigit)
            && dot + 1 < rest.len()
            && rest[dot + 1..]
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(b));
    }
    core::str::from_utf8(text).is_ok_and(|t| t.parse::<core::net::Ipv6Addr>().is_ok())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Target {
    /// Userinfo is masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Masked(self.text.as_bytes()).fmt(f)
    }
}

/// The text is no request target (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTarget {
    at: usize,
}

impl InvalidTarget {
    /// Where the first bad byte stands; 0 when the text as a whole has none of the four forms.
    pub const fn position(self) -> usize {
        self.at
    }
}

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a request target (position {}): it must be visible US-ASCII without '#', percent-encoded, \
             and begin with '/', be absolute, host:port or '*' (RFC 9112, section 3.2)",
            self.at
        )
    }
}

impl core::error::Error for InvalidTarget {}
