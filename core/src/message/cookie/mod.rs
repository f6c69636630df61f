//! Cookies on the wire (RFC 6265): the field `Cookie`, as [`pairs`] and [`append`], and the field `Set-Cookie`,
//! as [`SetCookie`].
//!
//! What a client keeps and sends back does not live here: `client::Jar` decides that.
//!
//! ```
//! use antiphon_core::message::cookie::{self, SetCookie};
//! let mut seen = cookie::pairs(b"id=7; theme=\"dark\"");
//! assert_eq!(seen.next().unwrap().name(), "id");
//! assert_eq!(seen.next().unwrap().value(), b"\"dark\"");
//!
//! let cookie = SetCookie::new("id", "7")?.path("/")?.max_age(3600).http_only(true);
//! assert_eq!(cookie.to_value(), "id=7; Max-Age=3600; Path=/; HttpOnly");
//! # Ok::<(), cookie::InvalidCookie>(())
//! ```

mod date;
mod set;

pub use self::date::parse_date;
pub use self::set::{MAX_ATTRIBUTE, SameSite, SetCookie};
use super::token;
use alloc::string::String;
use core::fmt;

/// How many cookies [`pairs`] looks at in one field value: 3000, as Go does. What stands behind them is not read.
pub const MAX_PAIRS: usize = 3000;

/// The cookies of one value of `Cookie`, in order. Parts that are no cookie (no `=`, or a name that is no token)
/// are left out, and after [`MAX_PAIRS`] parts nothing is read.
///
/// A name may occur more than once; which one was meant the field does not say.
pub fn pairs(value: &[u8]) -> Pairs<'_> {
    Pairs {
        rest: Some(value),
        left: MAX_PAIRS,
    }
}

/// Iterator over the cookies of a `Cookie` field value, made by [`pairs`].
#[derive(Clone)]
pub struct Pairs<'a> {
    rest: Option<&'a [u8]>,
    left: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;
    fn next(&mut self) -> Option<Pair<'a>> {
        while self.left > 0 {
            let rest = self.rest?;
            self.left -= 1;
            let end = rest.iter().position(|&b| b == b';');
            self.rest = end.map(|i| &rest[i + 1..]);
            let part = &rest[..end.unwrap_or(rest.len())];
            let Some(equals) = part.iter().position(|&b| b == b'=') else {
                continue;
            };
            let (name, value) = (token::trim_ows(&part[..equals]), &part[equals + 1..]);
            if !token::all_token(name) {
                continue;
            }
            // A token is ASCII, so this never skips.
            let Ok(name) = core::str::from_utf8(name) else {
                continue;
            };
            let value = token::trim_ows(value);
            return Some(Pair { name, value });
        }
        None
    }
}

impl fmt::Debug for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pairs(***)")
    }
}

/// A cookie as a request brings it. [`Debug`](fmt::Debug) masks the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    name: &'a str,
    value: &'a [u8],
}

impl<'a> Pair<'a> {
    /// The name. Names are compared with regard to case.
    pub const fn name(self) -> &'a str {
        self.name
    }

    /// The value as it stands there, with its quotes if it has some.
    pub const fn value(self) -> &'a [u8] {
        self.value
    }

    /// The value without the double quotes around it, if there are some.
    pub const fn unquoted(self) -> &'a [u8] {
        match self.value {
            [b'"', inner @ .., b'"'] => inner,
            value => value,
        }
    }
}

impl fmt::Debug for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({}=***)", self.name)
    }
}

/// Appends a cookie to `header`, the value of a `Cookie` field that may still be empty: a request has one such
/// field, its cookies joined by `; ` (RFC 6265, section 5.4).
///
/// ```
/// use antiphon_core::message::cookie;
/// let mut header = String::new();
/// cookie::append(&mut header, "a", "1")?;
/// cookie::append(&mut header, "b", "\"2\"")?;
/// assert_eq!(header, "a=1; b=\"2\"");
/// assert!(cookie::append(&mut header, "c", "3; admin=1").is_err());
/// # Ok::<(), cookie::InvalidCookie>(())
/// ```
///
/// # Errors
/// [`InvalidCookie`], as for [`SetCookie::new`]; then nothing is appended.
pub fn append(header: &mut String, name: &str, value: &str) -> Result<(), InvalidCookie> {
    check_name(name)?;
    check_value(value)?;
    push(header, name, value);
    Ok(())
}

/// `append` for what was checked before.
pub(crate) fn push(header: &mut String, name: &str, value: &str) {
    if !header.is_empty() {
        header.push_str("; ");
    }
    header.push_str(name);
    header.push('=');
    header.push_str(value);
}

/// `cookie-name = token`
fn check_name(name: &str) -> Result<(), InvalidCookie> {
    match name.bytes().position(|b| !token::is_token(b)) {
        Some(at) => Err(InvalidCookie::new(CookieRule::Name, at)),
        None if name.is_empty() => Err(InvalidCookie::new(CookieRule::EmptyName, 0)),
        None => Ok(()),
    }
}

/// `cookie-value = *cookie-octet / ( DQUOTE *cookie-octet DQUOTE )`
fn check_value(value: &str) -> Result<(), InvalidCookie> {
    let (inner, from) = match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        Some(inner) => (inner, 1),
        None => (value, 0),
    };
    match inner.bytes().position(|b| !is_cookie_octet(b)) {
        Some(at) => Err(InvalidCookie::new(CookieRule::Value, from + at)),
        None => Ok(()),
    }
}

/// Visible US-ASCII without DQUOTE, comma, semicolon and backslash (RFC 6265, section 4.1.1).
fn is_cookie_octet(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\')
}

/// The text is no cookie. It is not repeated here, since it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCookie {
    rule: CookieRule,
    at: usize,
}

impl InvalidCookie {
    const fn new(rule: CookieRule, at: usize) -> InvalidCookie {
        InvalidCookie { rule, at }
    }

    /// Which rule was broken.
    pub const fn rule(self) -> CookieRule {
        self.rule
    }

    /// The offset of the byte that broke it: in the name, value or attribute that was to be set, or in the
    /// field value that was read.
    pub const fn position(self) -> usize {
        self.at
    }
}

/// The rules that a cookie can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CookieRule {
    /// The name is empty.
    EmptyName,
    /// A byte in the name that may not stand in a token.
    Name,
    /// A byte in the value that must be percent-encoded, or that needs [`SetCookie::quoted`].
    Value,
    /// The path does not begin with `/`, or holds a semicolon, a control byte or one outside ASCII.
    Path,
    /// The domain is not letters, digits, hyphens and single dots.
    Domain,
    /// What was received has no `=` before the first semicolon.
    NoEquals,
    /// What was received holds a control byte.
    Control,
    /// What was received is not UTF-8.
    NotUtf8,
}

impl fmt::Display for InvalidCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.rule {
            CookieRule::EmptyName => "a cookie must have a name",
            CookieRule::Name => "the name must be a token (RFC 6265, section 4.1.1)",
            CookieRule::Value => {
                "the value holds a byte that must be percent-encoded (RFC 6265, section 4.1.1)"
            }
            CookieRule::Path => "the path must begin with `/` and be ASCII without controls and semicolons",
            CookieRule::Domain => "the domain must be letters, digits, hyphens and single dots",
            CookieRule::NoEquals => "it has no `=` before its attributes (RFC 6265, section 5.2)",
            CookieRule::Control => "it holds a control byte",
            CookieRule::NotUtf8 => "it is not UTF-8",
        };
        write!(f, "invalid cookie at byte {}: {text}", self.at)
    }
}

impl core::error::Error for InvalidCookie {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use alloc::{format, vec};
    use quickcheck::quickcheck;

    fn read(value: &[u8]) -> Vec<(&str, &str)> {
        pairs(value)
            .map(|p| (p.name(), core::str::from_utf8(p.value()).unwrap()))
            .collect()
    }

    #[test]
    fn cookie_fields() {
        for (field, seen) in [
            ("a=b", vec![("a", "b")]),
            ("a=b; c=\"d\"", vec![("a", "b"), ("c", "\"d\"")]),
            ("a=b;c=d", vec![("a", "b"), ("c", "d")]),
            (" a = b ;\tc=d ", vec![("a", "b"), ("c", "d")]),
            ("a=1; a=2", vec![("a", "1"), ("a", "2")]),
            ("a==; b=c=d", vec![("a", "="), ("b", "c=d")]),
            ("a=", vec![("a", "")]),
            ("a=x y, z", vec![("a", "x y, z")]),
            ("; ;; a=b", vec![("a", "b")]),
            ("lonely; =nameless; b@d=1; ok=1", vec![("ok", "1")]),
            ("$Version=1; a=b", vec![("$Version", "1"), ("a", "b")]),
            ("a=\u{e9}", vec![("a", "\u{e9}")]),
            ("", vec![]),
        ] {
            assert_eq!(read(field.as_bytes()), seen, "{field}");
        }
        let pair = pairs(b"a=\"b\"").next().unwrap();
        assert_eq!((pair.value(), pair.unquoted()), (&b"\"b\""[..], &b"b"[..]));
        assert_eq!(pairs(b"a=\"").next().unwrap().unquoted(), b"\"");
    }

    #[test]
    fn no_more_than_3000_parts_are_read() {
        let field = "a=b;".repeat(MAX_PAIRS + 1);
        assert_eq!(pairs(field.as_bytes()).count(), MAX_PAIRS);
        // What is no cookie counts too, or a field of semicolons would be read to its end.
        let field = format!("{}a=b", ";".repeat(MAX_PAIRS));
        assert_eq!(pairs(field.as_bytes()).count(), 0);
        let field = format!("{}a=b", ";".repeat(MAX_PAIRS - 1));
        assert_eq!(pairs(field.as_bytes()).count(), 1);
    }

    #[test]
    fn what_may_not_be_appended() {
        for (name, value, rule, at) in [
            ("", "b", CookieRule::EmptyName, 0),
            ("a b", "b", CookieRule::Name, 1),
            ("a;", "b", CookieRule::Name, 1),
            ("a=", "b", CookieRule::Name, 1),
            ("a", "b;c=d", CookieRule::Value, 1),
            ("a", "b\r\nx: y", CookieRule::Value, 1),
            ("a", "\"b", CookieRule::Value, 0),
            ("a", "\"b\"c\"", CookieRule::Value, 2),
            ("a", "\u{e9}", CookieRule::Value, 0),
            ("a", "b,", CookieRule::Value, 1),
        ] {
            let mut header = "x=y".to_string();
            let e = append(&mut header, name, value).unwrap_err();
            assert_eq!((e.rule(), e.position()), (rule, at), "{name:?} {value:?}");
            assert_eq!(header, "x=y");
        }
    }

    #[test]
    fn debug_tells_no_value() {
        let text = format!("{:?}", pairs(b"a=hunter2").collect::<Vec<_>>());
        assert_eq!(text, "[Pair(a=***)]");
        assert!(!format!("{:?}", pairs(b"a=hunter2")).contains("hunter2"));
    }

    quickcheck! {
        fn what_is_appended_is_read(list: Vec<(alloc::string::String, alloc::string::String)>) -> bool {
            let mut header = alloc::string::String::new();
            let mut kept = Vec::new();
            for (name, value) in &list {
                if append(&mut header, name, value).is_ok() {
                    kept.push((&**name, &**value));
                }
            }
            read(header.as_bytes()) == kept
        }

        fn no_input_panics(bytes: Vec<u8>) -> bool {
            pairs(&bytes).all(|p| !p.value().contains(&b';'))
        }
    }
}
