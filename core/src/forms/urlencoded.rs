//! `application/x-www-form-urlencoded`: `name=value&name=value`, with a space as `+` and all else that is not
//! `A-Z a-z 0-9 - . _ ~` as `%XX` of its UTF-8.
//!
//! ```
//! use antiphon_core::forms::urlencoded::{self, Values};
//!
//! assert_eq!(urlencoded::encode([("q", "fish & chips"), ("a", "1")]), "q=fish+%26+chips&a=1");
//!
//! let mut values: Values = [("foo", "quux"), ("bar", "baz")].into_iter().collect();
//! values.append("foo", "again");
//! assert_eq!(values.encode(), "bar=baz&foo=quux&foo=again"); // sorted by name
//!
//! let read: Result<Vec<_>, _> = urlencoded::parse(b"q=fish+%26+chips&a=1").collect();
//! assert_eq!(read?[0], ("q".into(), "fish & chips".into()));
//!
//! assert_eq!(urlencoded::append_query("http://h/p?a=1#f", "b=2"), "http://h/p?a=1&b=2#f");
//! # Ok::<(), urlencoded::InvalidPair>(())
//! ```

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What `Content-Type` says of a body like this.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Encodes pairs, in their order.
pub fn encode<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        push(&mut text, name.as_ref(), value.as_ref());
    }
    text
}

/// Appends one pair to `text`, which is empty or holds pairs already.
pub fn push(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push('&');
    }
    push_escaped(text, name);
    text.push('=');
    push_escaped(text, value);
}

fn push_escaped(text: &mut String, s: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    text.reserve(s.len());
    for &b in s.as_bytes() {
        match b {
            b' ' => text.push('+'),
            // `unreserved` (RFC 3986, section 2.3)
            b'-' | b'.' | b'_' | b'~' => text.push(b.into()),
            _ if b.is_ascii_alphanumeric() => text.push(b.into()),
            _ => {
                text.push('%');
                text.push(HEX[usize::from(b >> 4)].into());
                text.push(HEX[usize::from(b & 15)].into());
            }
        }
    }
}

/// `url` with the pairs in `encoded` behind those that its query has. A fragment stays at the end. What `url` is does
/// not matter otherwise: nothing is parsed.
pub fn append_query(url: &str, encoded: &str) -> String {
    let end = url.find('#').unwrap_or(url.len());
    let (front, fragment) = url.split_at(end);
    let mut text = String::with_capacity(url.len() + 1 + encoded.len());
    text.push_str(front);
    if !encoded.is_empty() {
        text.push_str(joint(front));
        text.push_str(encoded);
    }
    text.push_str(fragment);
    text
}

/// What stands between `target`, a URL or request target without a fragment, and further pairs.
pub(crate) fn joint(target: &str) -> &'static str {
    match target.find('?') {
        None => "?",
        Some(_) if target.ends_with(['?', '&']) => "",
        Some(_) => "&",
    }
}

/// The pairs of a body or of a query, in order. Empty pieces are none; a piece without `=` is a name with an empty
/// value. After a pair that cannot be read it goes on with the next one.
///
/// Borrowed unless something was escaped. How many there are is for the caller to bound, by the length of the text at
/// the latest: a pair takes at least two bytes of it.
pub fn parse(text: &[u8]) -> Pairs<'_> {
    Pairs { text, at: Some(0) }
}

/// Iterator over pairs, made by [`parse`].
#[derive(Clone)]
pub struct Pairs<'a> {
    text: &'a [u8],
    at: Option<usize>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(Cow<'a, str>, Cow<'a, str>), InvalidPair>;
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.at?;
            let rest = &self.text[at..];
            let end = rest.iter().position(|&b| b == b'&');
            self.at = end.map(|n| at + n + 1);
            let piece = &rest[..end.unwrap_or(rest.len())];
            if !piece.is_empty() {
                return Some(pair(piece, at));
            }
        }
    }
}

/// The rest may hold secrets.
impl fmt::Debug for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairs")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

fn pair(piece: &[u8], at: usize) -> Result<(Cow<'_, str>, Cow<'_, str>), InvalidPair> {
    // Some take `;` for `&` and some don't: what two programs read differently is refused, as Go does.
    if let Some(i) = piece.iter().position(|&b| b == b';') {
        let kind = InvalidPairKind::Semicolon;
        return Err(InvalidPair { kind, at: at + i });
    }
    let (name, value, value_at) = match piece.iter().position(|&b| b == b'=') {
        Some(i) => (&piece[..i], &piece[i + 1..], at + i + 1),
        None => (piece, &b""[..], at + piece.len()),
    };
    Ok((unescape(name, at)?, unescape(value, value_at)?))
}

fn unescape(text: &[u8], at: usize) -> Result<Cow<'_, str>, InvalidPair> {
    let bad = |kind, i| InvalidPair { kind, at: at + i };
    if !text.iter().any(|b| matches!(b, b'%' | b'+')) {
        let text = core::str::from_utf8(text);
        return text
            .map(Cow::Borrowed)
            .map_err(|e| bad(InvalidPairKind::NotUtf8, e.valid_up_to()));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => break,
            [b'+', rest @ ..] => {
                bytes.push(b' ');
                rest
            }
            [b'%', a, b, rest @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                bytes.push(hex(*a) << 4 | hex(*b));
                rest
            }
            [b'%', ..] => return Err(bad(InvalidPairKind::Percent, text.len() - rest.len())),
            [b, rest @ ..] => {
                bytes.push(*b);
                rest
            }
        };
    }
    // Where in the escaped text that is would need a second reading: the part is told.
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| bad(InvalidPairKind::NotUtf8, 0))
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// A pair that cannot be read. The text is not repeated here, since it may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPair {
    kind: InvalidPairKind,
    at: usize,
}

impl InvalidPair {
    /// Which rule was broken.
    pub const fn kind(self) -> InvalidPairKind {
        self.kind
    }

    /// The offset of the byte, or the beginning of the name or value, that broke it.
    pub const fn position(self) -> usize {
        self.at
    }
}

/// The rules that a pair can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InvalidPairKind {
    /// A `%` without two hexadecimal digits.
    Percent,
    /// A `;`, which some programs take for a separator.
    Semicolon,
    /// It is not UTF-8.
    NotUtf8,
}

impl fmt::Display for InvalidPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.kind {
            InvalidPairKind::Percent => "% needs two hexadecimal digits behind it",
            InvalidPairKind::Semicolon => "; is no separator and must be percent-encoded",
            InvalidPairKind::NotUtf8 => "names and values must be UTF-8",
        };
        write!(f, "invalid form (position {}): {text}", self.at)
    }
}

impl core::error::Error for InvalidPair {}

/// Names with their values: those of one name in the order in which they came, the names sorted.
///
/// [`Debug`](fmt::Debug) tells the names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values {
    map: BTreeMap<String, Vec<String>>,
}

impl Values {
    /// None.
    pub const fn new() -> Values {
        Values { map: BTreeMap::new() }
    }

    /// Adds a value behind those that `name` has.
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.map.entry(name.into()).or_default().push(value.into());
    }

    /// Gives `name` this value and no other.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.map.insert(name.into(), Vec::from([value.into()]));
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).first().map(String::as_str)
    }

    /// All values of `name`, in order.
    pub fn get_all(&self, name: &str) -> &[String] {
        self.map.get(name).map_or(&[], Vec::as_slice)
    }

    /// Takes `name` out, with its values.
    pub fn remove(&mut self, name: &str) -> Option<Vec<String>> {
        self.map.remove(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// All pairs, sorted by name; those of one name in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.map
            .iter()
            .flat_map(|(n, all)| all.iter().map(|v| (n.as_str(), v.as_str())))
    }

    /// All pairs, encoded, in the order of [`iter`](Values::iter).
    pub fn encode(&self) -> String {
        encode(self.iter())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Values {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Values {
        let mut values = Values::new();
        values.extend(pairs);
        values
    }
}

impl<N: Into<String>, V: Into<String>> Extend<(N, V)> for Values {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        for (name, value) in pairs {
            self.append(name, value);
        }
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Values")?;
        f.debug_set().entries(self.map.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::InvalidPairKind::*;
    use super::*;
    use alloc::format;
    use alloc::vec;
    use quickcheck::quickcheck;

    #[test]
    fn a4_sorted_by_name_and_stable_within_one() {
        let values: Values = [("foo", "quux"), ("bar", "baz"), ("foo", "a"), ("", "b")]
            .into_iter()
            .collect();
        assert_eq!(values.encode(), "=b&bar=baz&foo=quux&foo=a");
        assert_eq!((values.get("foo"), values.get("x")), (Some("quux"), None));
        assert_eq!(values.get_all("foo"), ["quux", "a"]);
    }

    #[test]
    fn values_change() {
        let mut values = Values::new();
        assert!(values.is_empty());
        values.append("a", "1");
        values.append("a", "2");
        values.set("a", "3");
        assert_eq!(values.get_all("a"), ["3"]);
        assert_eq!(values.remove("a"), Some(vec!["3".into()]));
        assert_eq!((values.remove("a"), values.encode()), (None, String::new()));
        values.set("password", "secret");
        assert_eq!(format!("{values:?}"), r#"Values{"password"}"#);
    }

    #[test]
    fn escapes() {
        for (name, value, text) in [
            ("a", "b", "a=b"),
            ("", "", "="),
            ("a b", "c+d", "a+b=c%2Bd"),
            ("&=;", "%#?/", "%26%3D%3B=%25%23%3F%2F"),
            ("-._~", "*'()!", "-._~=%2A%27%28%29%21"),
            ("ü", "\u{1f600}", "%C3%BC=%F0%9F%98%80"),
            ("\r\n", "\0\u{7f}", "%0D%0A=%00%7F"),
        ] {
            assert_eq!(encode([(name, value)]), text);
        }
    }

    #[test]
    fn pairs_are_read() {
        for (text, pairs) in [
            ("", &[][..]),
            ("&&", &[]),
            ("a=b", &[("a", "b")]),
            ("a", &[("a", "")]),
            ("=", &[("", "")]),
            ("&a=b&&c=d&", &[("a", "b"), ("c", "d")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a+b=%2b%2B", &[("a b", "++")]),
            ("%C3%bC=ü", &[("ü", "ü")]),
        ] {
            let read: Result<Vec<_>, _> = parse(text.as_bytes()).collect();
            let want: Vec<_> = pairs.iter().map(|&(n, v)| (n.into(), v.into())).collect();
            assert_eq!(read, Ok(want), "{text}");
        }
        let mut plain = parse(b"a=b");
        assert!(matches!(
            plain.next(),
            Some(Ok((Cow::Borrowed("a"), Cow::Borrowed("b"))))
        ));
    }

    #[test]
    fn bad_pairs_are_told_and_passed_over() {
        for (text, kind, at) in [
            (&b"x=%"[..], Percent, 2),
            (b"x=ab%4", Percent, 4),
            (b"x=%4g", Percent, 2),
            (b"x%zz=", Percent, 1),
            (b"x=a;b", Semicolon, 3),
            (b"x=\xff", NotUtf8, 2),
            (b"x=%ff", NotUtf8, 2),
            (b"%c3=+", NotUtf8, 0),
        ] {
            let text = [b"a=b&", text, b"&c=d"].concat();
            let read: Vec<_> = parse(&text).collect();
            let error = InvalidPair { kind, at: at + 4 };
            assert_eq!(
                read,
                [
                    Ok(("a".into(), "b".into())),
                    Err(error),
                    Ok(("c".into(), "d".into()))
                ]
            );
        }
    }

    #[test]
    fn queries_grow() {
        for (url, encoded, grown) in [
            ("http://h/", "a=b", "http://h/?a=b"),
            ("http://h", "a=b", "http://h?a=b"),
            ("http://h/?", "a=b", "http://h/?a=b"),
            ("http://h/?x", "a=b", "http://h/?x&a=b"),
            ("http://h/?x&", "a=b", "http://h/?x&a=b"),
            ("http://h/#f", "a=b", "http://h/?a=b#f"),
            ("http://h/?x#f?g", "a=b", "http://h/?x&a=b#f?g"),
            ("/p#?", "a=b", "/p?a=b#?"),
            ("http://h/?x#f", "", "http://h/?x#f"),
        ] {
            assert_eq!(append_query(url, encoded), grown);
        }
    }

    quickcheck! {
        fn what_is_encoded_reads_back(pairs: Vec<(String, String)>) -> bool {
            let text = encode(pairs.iter().map(|(n, v)| (n, v)));
            let plain = |b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'%' | b'&' | b'=');
            let read: Result<Vec<_>, _> = parse(text.as_bytes()).collect();
            let read: Vec<_> = read.unwrap().into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
            text.bytes().all(plain) && read == pairs
        }

        fn no_text_panics(text: Vec<u8>) -> bool {
            parse(&text).all(|p| match p {
                Ok(_) => true,
                Err(e) => e.position() <= text.len(),
            })
        }
    }
}
