//! [`SetCookie`]: the field `Set-Cookie`, strict when it is built and lenient when it is received (RFC 6265,
//! sections 4.1 and 5.2). Whether a received one is kept does not live here.

use super::{CookieRule, InvalidCookie, check_name, check_value, is_cookie_octet, parse_date};
use crate::UnixTime;
use crate::message::date;
use alloc::string::{String, ToString};
use core::fmt::{self, Write as _};

/// An attribute whose value is longer than this is ignored, as browsers do: 1024 bytes.
pub const MAX_ATTRIBUTE: usize = 1024;

/// A cookie that a server sets, with its attributes. [`Debug`](fmt::Debug) masks the value, and there is no
/// `Display`: [`to_value`](SetCookie::to_value) gives the text of the field.
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: String,
    value: String,
    expires: Option<UnixTime>,
    max_age: Option<i64>,
    domain: Option<String>,
    path: Option<String>,
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
    partitioned: bool,
}

/// The attribute `SameSite`: whether a browser sends the cookie with requests that other sites cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only with top-level navigation by safe methods.
    Lax,
    /// Always. Browsers want `Secure` with it.
    None,
}

impl SameSite {
    /// The attribute's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        }
    }
}

/// Building.
impl SetCookie {
    /// A cookie without attributes: it lasts for the session, and goes to this host and below the directory of
    /// this path only. A value may be in double quotes, which are then part of it.
    ///
    /// # Errors
    /// [`CookieRule::EmptyName`], [`CookieRule::Name`] and [`CookieRule::Value`]: what a cookie may hold is
    /// narrow, so encode (percent, base64) what is not plain.
    pub fn new(name: &str, value: &str) -> Result<SetCookie, InvalidCookie> {
        check_name(name)?;
        check_value(value)?;
        Ok(SetCookie::bare(name, value.to_string()))
    }

    /// A cookie whose value is put in double quotes, which lets it hold spaces and commas as well. The peers
    /// send the quotes back with it; see [`Pair::unquoted`](super::Pair::unquoted).
    ///
    /// # Errors
    /// As [`SetCookie::new`].
    pub fn quoted(name: &str, value: &str) -> Result<SetCookie, InvalidCookie> {
        check_name(name)?;
        let ok = |b| is_cookie_octet(b) || b == b' ' || b == b',';
        if let Some(at) = value.bytes().position(|b| !ok(b)) {
            return Err(InvalidCookie::new(CookieRule::Value, at));
        }
        let mut quoted = String::with_capacity(value.len() + 2);
        quoted.push('"');
        quoted.push_str(value);
        quoted.push('"');
        Ok(SetCookie::bare(name, quoted))
    }

    fn bare(name: &str, value: String) -> SetCookie {
        SetCookie {
            name: name.to_string(),
            value,
            expires: None,
            max_age: None,
            domain: None,
            path: None,
            secure: false,
            http_only: false,
            same_site: None,
            partitioned: false,
        }
    }

    /// `Expires`: when the cookie ends. A time in the past removes it. Years outside 1601 to 9999, which cannot
    /// be read back, become the nearest one inside.
    #[must_use]
    pub fn expires(mut self, at: UnixTime) -> SetCookie {
        const FIRST: i64 = -11_644_473_600;
        const LAST: i64 = 253_402_300_799;
        self.expires = Some(UnixTime(at.0.clamp(FIRST, LAST)));
        self
    }

    /// `Max-Age`: for how many seconds the cookie lasts; it takes precedence over `Expires`. Zero removes it.
    #[must_use]
    pub fn max_age(mut self, seconds: i64) -> SetCookie {
        self.max_age = Some(seconds.max(0));
        self
    }

    /// `Domain`: the cookie goes to this domain and all below it. A leading dot is dropped.
    ///
    /// # Errors
    /// [`CookieRule::Domain`]; an internationalised domain must be given in its `xn--` form.
    pub fn domain(mut self, domain: &str) -> Result<SetCookie, InvalidCookie> {
        let bare = domain.strip_prefix('.').unwrap_or(domain);
        let from = domain.len() - bare.len();
        let bad = |at| Err(InvalidCookie::new(CookieRule::Domain, at));
        let mut label = 0;
        for (i, b) in bare.bytes().enumerate() {
            match b {
                b'.' if label > 0 => label = 0,
                b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => label += 1,
                _ => return bad(from + i),
            }
        }
        if label == 0 || bare.len() > 253 {
            return bad(domain.len());
        }
        self.domain = Some(bare.to_ascii_lowercase());
        Ok(self)
    }

    /// `Path`: the cookie goes to this path and what lies below it.
    ///
    /// # Errors
    /// [`CookieRule::Path`], also for more than [`MAX_ATTRIBUTE`] bytes and for a space at the end, which would
    /// be lost.
    pub fn path(mut self, path: &str) -> Result<SetCookie, InvalidCookie> {
        let bad = |at| Err(InvalidCookie::new(CookieRule::Path, at));
        if !path.starts_with('/') {
            return bad(0);
        }
        if let Some(at) = path.bytes().position(|b| !matches!(b, b' '..=b'~') || b == b';') {
            return bad(at);
        }
        if path.len() > MAX_ATTRIBUTE || path.ends_with(' ') {
            return bad(path.len().min(MAX_ATTRIBUTE + 1) - 1);
        }
        self.path = Some(path.to_string());
        Ok(self)
    }

    /// `Secure`: the cookie goes over https only.
    #[must_use]
    pub fn secure(mut self, on: bool) -> SetCookie {
        self.secure = on;
        self
    }

    /// `HttpOnly`: scripts don't see the cookie.
    #[must_use]
    pub fn http_only(mut self, on: bool) -> SetCookie {
        self.http_only = on;
        self
    }

    /// `SameSite`.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> SetCookie {
        self.same_site = Some(same_site);
        self
    }

    /// `Partitioned`: a browser keeps one cookie for each top-level site. Browsers want `Secure` with it.
    #[must_use]
    pub fn partitioned(mut self, on: bool) -> SetCookie {
        self.partitioned = on;
        self
    }

    /// The value of the field `Set-Cookie`. It can be sent as it is: no control byte can be in it.
    pub fn to_value(&self) -> String {
        let mut out = String::new();
        super::push(&mut out, &self.name, &self.value);
        if let Some(t) = self.expires {
            out.push_str("; Expires=");
            out.extend(date::format(t).map(char::from));
        }
        if let Some(seconds) = self.max_age {
            // Writing to a string cannot fail.
            let _ = write!(out, "; Max-Age={seconds}");
        }
        for (name, value) in [
            ("; Domain=", self.domain.as_deref()),
            ("; Path=", self.path.as_deref()),
        ] {
            if let Some(value) = value {
                out.push_str(name);
                out.push_str(value);
            }
        }
        if self.secure {
            out.push_str("; Secure");
        }
        if self.http_only {
            out.push_str("; HttpOnly");
        }
        if let Some(same_site) = self.same_site {
            out.push_str("; SameSite=");
            out.push_str(same_site.as_str());
        }
        if self.partitioned {
            out.push_str("; Partitioned");
        }
        out
    }
}

/// Receiving.
impl SetCookie {
    /// Reads the value of one field `Set-Cookie` as browsers do (RFC 6265, section 5.2): the name may be any
    /// text, attributes that make no sense are ignored, and of those that come twice the last counts.
    ///
    /// ```
    /// use antiphon_core::message::cookie::SetCookie;
    /// let c = SetCookie::parse(b" id = 7;PATH=/docs; secure=yes; max-age=soon; Shiny")?;
    /// assert_eq!((c.name(), c.value(), c.get_path()), ("id", "7", Some("/docs")));
    /// assert_eq!((c.is_secure(), c.get_max_age()), (true, None));
    /// # Ok::<(), antiphon_core::message::cookie::InvalidCookie>(())
    /// ```
    ///
    /// # Errors
    /// [`CookieRule::NoEquals`] and [`CookieRule::EmptyName`] (a cookie without a name could pose as another
    /// one when it is sent back), [`CookieRule::Control`] (browsers; a tab between the parts is fine), and
    /// [`CookieRule::NotUtf8`].
    pub fn parse(field: &[u8]) -> Result<SetCookie, InvalidCookie> {
        let bad = |rule, at| Err(InvalidCookie::new(rule, at));
        let text = match core::str::from_utf8(field) {
            Ok(text) => text,
            Err(e) => return bad(CookieRule::NotUtf8, e.valid_up_to()),
        };
        if let Some(at) = text.bytes().position(|b| b.is_ascii_control() && b != b'\t') {
            return bad(CookieRule::Control, at);
        }
        let mut parts = text.split(';');
        let first = parts.next().unwrap_or("");
        let Some((name, value)) = first.split_once('=') else {
            return bad(CookieRule::NoEquals, first.len());
        };
        let (name, value) = (trim(name), trim(value));
        if name.is_empty() {
            return bad(CookieRule::EmptyName, 0);
        }
        // Browsers let a tab stand inside. Cookie files have tabs between their columns, so here it may not.
        if let Some(at) = name.find('\t').or(value.find('\t')) {
            return bad(CookieRule::Control, at);
        }
        let mut cookie = SetCookie::bare(name, value.to_string());
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (trim(name), trim(value));
            if value.len() <= MAX_ATTRIBUTE {
                cookie.attribute(name, value);
            }
        }
        Ok(cookie)
    }

    fn attribute(&mut self, name: &str, value: &str) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("Expires") {
            self.expires = parse_date(value).or(self.expires);
        } else if is("Max-Age") {
            self.max_age = seconds(value).or(self.max_age);
        } else if is("Domain") {
            // A leading dot is dropped, once: what then begins with a dot or a space is no domain anyway.
            let bare = value
                .strip_prefix('.')
                .filter(|d| !d.starts_with(['.', ' ', '\t']))
                .unwrap_or(value);
            self.domain = Some(bare.to_ascii_lowercase()).filter(|d| !d.is_empty());
        } else if is("Path") {
            // "If the attribute-value is empty or [it does not begin with] '/', let cookie-path be the
            // default-path."
            let good = value.starts_with('/') && !value.contains('\t');
            self.path = good.then(|| value.to_string());
        } else if is("Secure") {
            self.secure = true;
        } else if is("HttpOnly") {
            self.http_only = true;
        } else if is("SameSite") {
            self.same_site = [SameSite::Strict, SameSite::Lax, SameSite::None]
                .into_iter()
                .find(|s| s.as_str().eq_ignore_ascii_case(value));
        } else if is("Partitioned") {
            self.partitioned = true;
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, with its quotes if it has some.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// `Expires`.
    pub const fn get_expires(&self) -> Option<UnixTime> {
        self.expires
    }

    /// `Max-Age` in seconds; zero for negative ones.
    pub const fn get_max_age(&self) -> Option<i64> {
        self.max_age
    }

    /// `Domain` in lower case, without a leading dot; never empty. What was received may be no domain at all.
    pub fn get_domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// `Path`; begins with `/`.
    pub fn get_path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// `Secure`.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// `HttpOnly`.
    pub const fn is_http_only(&self) -> bool {
        self.http_only
    }

    /// `SameSite`; `None` if it is absent or unknown.
    pub const fn get_same_site(&self) -> Option<SameSite> {
        self.same_site
    }

    /// `Partitioned`.
    pub const fn is_partitioned(&self) -> bool {
        self.partitioned
    }
}

impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCookie")
            .field("name", &self.name)
            .field("value", &format_args!("***"))
            .field("expires", &self.expires)
            .field("max_age", &self.max_age)
            .field("domain", &self.domain)
            .field("path", &self.path)
            .field("secure", &self.secure)
            .field("http_only", &self.http_only)
            .field("same_site", &self.same_site)
            .field("partitioned", &self.partitioned)
            .finish()
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// `Max-Age`: digits, or a hyphen and digits; too many of them mean for ever.
fn seconds(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if value.starts_with('-') {
        return Some(0);
    }
    Some(digits.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;
    use quickcheck::quickcheck;

    #[test]
    fn as_received_and_as_sent_on() {
        let long = format!("a=b; Path=/{}", "x".repeat(MAX_ATTRIBUTE));
        let fits = format!("a=b; Path=/{}", "x".repeat(MAX_ATTRIBUTE - 1));
        for (received, read) in [
            ("a=b", "a=b"),
            ("a=b;", "a=b"),
            (" a = b c ; ;", "a=b c"),
            ("a==b=", "a==b="),
            ("a=\"b\"", "a=\"b\""),
            ("a=\"b;c\"", "a=\"b"), // a quote does not hide a semicolon
            ("a=", "a="),
            ("a=b; path=/x; PATH=/y", "a=b; Path=/y"),
            ("a=b; Path=/x; Path=y", "a=b"),
            ("a=b; Path", "a=b"),
            ("a=b; Domain=.Example.COM", "a=b; Domain=example.com"),
            ("a=b; Domain=x.org; Domain=", "a=b"),
            ("a=b; Domain=.", "a=b"),
            ("a=b; Max-Age=007", "a=b; Max-Age=7"),
            ("a=b; Max-Age=-5", "a=b; Max-Age=0"),
            ("a=b; Max-Age=+5", "a=b"),
            ("a=b; Max-Age=5s; max-age=", "a=b"),
            ("a=b; Max-Age=5; max-age=x", "a=b; Max-Age=5"),
            (
                "a=b; Max-Age=99999999999999999999",
                "a=b; Max-Age=9223372036854775807",
            ),
            (
                "a=b; Expires=Sunday, 06-Nov-94 08:49:37 GMT",
                "a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT",
            ),
            ("a=b; Expires=never", "a=b"),
            ("a=b;secure;httponly=no", "a=b; Secure; HttpOnly"),
            ("a=b; samesite=LAX; Partitioned", "a=b; SameSite=Lax; Partitioned"),
            ("a=b; SameSite=Lax; SameSite=odd", "a=b"),
            ("a=b; SameSite=none", "a=b; SameSite=None"),
            ("a=b; SameSite=strict", "a=b; SameSite=Strict"),
            ("a=b\t;\tSecure", "a=b; Secure"),
            ("a=b; Priority=High; =x", "a=b"),
            ("\u{e9}=\u{e8}", "\u{e9}=\u{e8}"),
            (&long, "a=b"),
            (&fits, &fits),
        ] {
            let cookie = SetCookie::parse(received.as_bytes()).unwrap();
            assert_eq!(cookie.to_value(), read, "{received}");
        }
    }

    #[test]
    fn what_is_not_received() {
        for (received, rule, at) in [
            (&b""[..], CookieRule::NoEquals, 0),
            (b"abc; x=y", CookieRule::NoEquals, 3),
            (b"; a=b", CookieRule::NoEquals, 0),
            (b"=b", CookieRule::EmptyName, 0),
            (b" = b", CookieRule::EmptyName, 0),
            (b"a=b\0", CookieRule::Control, 3),
            (b"a=b; Path=/\x7f", CookieRule::Control, 11),
            (b"a=b\rc", CookieRule::Control, 3),
            (b"a\tb=c", CookieRule::Control, 1),
            (b"a=b\tc", CookieRule::Control, 1),
            (b"a=\xff", CookieRule::NotUtf8, 2),
        ] {
            let e = SetCookie::parse(received).unwrap_err();
            assert_eq!(
                (e.rule(), e.position()),
                (rule, at),
                "{}",
                received.escape_ascii()
            );
        }
    }

    #[test]
    fn building_everything() {
        let cookie = SetCookie::new("id", "7")
            .unwrap()
            .domain(".Example.com")
            .and_then(|c| c.path("/docs"))
            .unwrap()
            .expires(UnixTime(784_111_777))
            .max_age(60)
            .secure(true)
            .http_only(true)
            .same_site(SameSite::None)
            .partitioned(true);
        assert_eq!(
            cookie.to_value(),
            "id=7; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60; Domain=example.com; Path=/docs; Secure; \
             HttpOnly; SameSite=None; Partitioned"
        );
        assert_eq!(SetCookie::parse(cookie.to_value().as_bytes()), Ok(cookie.clone()));
        let debug = format!("{:?}", SetCookie::new("id", "hunter2").unwrap());
        assert!(debug.contains("id") && !debug.contains("hunter2"), "{debug}");
        let quoted = SetCookie::quoted("a", "b, c").unwrap();
        assert_eq!(quoted.to_value(), "a=\"b, c\"");
        for t in [i64::MIN, i64::MAX] {
            let c = SetCookie::new("a", "b").unwrap().expires(UnixTime(t));
            assert_eq!(SetCookie::parse(c.to_value().as_bytes()), Ok(c));
        }
    }

    #[test]
    fn what_is_not_built() {
        let c = || SetCookie::new("a", "b").unwrap();
        let long = format!("/{}", "x".repeat(MAX_ATTRIBUTE));
        for (path, at) in [
            ("", 0),
            ("a", 0),
            ("/;", 1),
            ("/a\n", 2),
            ("/\u{e9}", 1),
            ("/a ", 2),
            (&long, 1024),
        ] {
            let e = c().path(path).unwrap_err();
            assert_eq!((e.rule(), e.position()), (CookieRule::Path, at), "{path:?}");
        }
        for (domain, at) in [
            ("", 0),
            (".", 1),
            ("..a", 1),
            ("a..b", 2),
            ("a.", 2),
            ("a b", 1),
            ("[::1]", 0),
        ] {
            let e = c().domain(domain).unwrap_err();
            assert_eq!((e.rule(), e.position()), (CookieRule::Domain, at), "{domain:?}");
        }
        assert_eq!(SetCookie::quoted("a", "x\"").unwrap_err().position(), 1);
        assert_eq!(
            SetCookie::quoted("", "x").unwrap_err().rule(),
            CookieRule::EmptyName
        );
    }

    quickcheck! {
        // Whatever is received can be sent on: it splits no message, and is read back as the same.
        fn reading_and_writing_agree(bytes: Vec<u8>, dress: u8) -> bool {
            let attributes: [&[u8]; 4] = [b"", b"; Path=", b"; Domain=", b"; Expires=06-Nov-94 08:49:37; Max-Age="];
            let mut field = b"a=".to_vec();
            field.extend_from_slice(attributes[usize::from(dress % 4)]);
            field.extend_from_slice(&bytes);
            [&field, &bytes].iter().all(|field| match SetCookie::parse(field) {
                Ok(c) => {
                    let text = c.to_value();
                    text.bytes().all(crate::message::token::is_value) && SetCookie::parse(text.as_bytes()) == Ok(c)
                }
                Err(e) => e.position() <= field.len(),
            })
        }
    }
}
