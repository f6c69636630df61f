//! Text by its charset: what `Content-Type` and the byte order mark say, decoded by encoding_rs.
//!
//! A byte order mark wins over everything, as in browsers (WHATWG Encoding, "decode"), then the `charset` of
//! `Content-Type`, then the caller's default, then UTF-8. A charset that nobody knows counts as none. What cannot be decoded becomes
//! U+FFFD, and that is told.
//!
//! ```
//! use antiphon_support::charset::decode;
//! let text = decode(Some(b"text/plain; charset=ISO-8859-1"), b"caf\xe9", None);
//! assert_eq!((text.text(), text.charset(), text.is_damaged()), ("caf\u{e9}", "windows-1252", false));
//! ```

use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;
use std::fmt;

/// A text that was decoded. [`Debug`](fmt::Debug) tells its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<'a> {
    text: Cow<'a, str>,
    encoding: &'static Encoding,
    damaged: bool,
}

impl<'a> Text<'a> {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text; borrowed if the body was UTF-8 without a byte order mark or damage.
    pub fn into_text(self) -> Cow<'a, str> {
        self.text
    }

    /// The charset's name in the Encoding Standard: `UTF-8`, `windows-1252`, ...
    pub fn charset(&self) -> &'static str {
        self.encoding.name()
    }

    /// Whether something could not be decoded, and became U+FFFD.
    pub const fn is_damaged(&self) -> bool {
        self.damaged
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text")
            .field("len", &self.text.len())
            .field("charset", &self.charset())
            .field("damaged", &self.damaged)
            .finish_non_exhaustive()
    }
}

/// Decodes a body. `default` is the charset of bodies that name none; UTF-8 if it is `None`, or not known.
///
/// The text takes at most three times the bytes of the body.
pub fn decode<'a>(content_type: Option<&[u8]>, body: &'a [u8], default: Option<&str>) -> Text<'a> {
    let named = content_type
        .and_then(charset_of)
        .and_then(|label| Encoding::for_label(&label));
    let default = || default.and_then(|label| Encoding::for_label(label.as_bytes()));
    let (text, encoding, damaged) = named.or_else(default).unwrap_or(UTF_8).decode(body);
    Text {
        text,
        encoding,
        damaged,
    }
}

/// The parameter `charset` of a `Content-Type`, the first if there are several; without its quotes.
///
/// ```
/// use antiphon_support::charset::charset_of;
/// assert_eq!(charset_of(b"text/html; Charset=\"utf-8\"").as_deref(), Some(&b"utf-8"[..]));
/// ```
pub fn charset_of(content_type: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut rest = content_type;
    // parameters = *( OWS ";" OWS [ parameter ] ) (RFC 9110, section 5.6.6)
    loop {
        rest = &rest[rest.iter().position(|&b| b == b';')? + 1..];
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|b| b"=;".contains(b))?;
        if rest[end] == b';' {
            rest = &rest[end..];
            continue;
        }
        let name = rest[..end].trim_ascii();
        let (value, behind) = value_of(rest[end + 1..].trim_ascii_start());
        if name.eq_ignore_ascii_case(b"charset") {
            return Some(value);
        }
        rest = behind;
    }
}

/// A token or a quoted string, and what stands behind it.
fn value_of(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|&b| b == b';').unwrap_or(text.len());
        return (text[..end].trim_ascii().into(), &text[end..]);
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((i, &b)) = bytes.next() {
        match b {
            b'"' => return (value.into(), &quoted[i + 1..]),
            b'\\' => value.extend(bytes.next().map(|(_, &b)| b)),
            _ => value.push(b),
        }
    }
    // The end is missing; what is there is meant.
    (value.into(), b"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn the_parameter_is_found() {
        for (content_type, charset) in [
            (&b""[..], None),
            (b"text/plain", None),
            (b"charset=utf-8", None),
            (b"text/plain;", None),
            (b"text/plain; charset", None),
            (b"text/plain;charset=", Some(&b""[..])),
            (b"text/plain;charset=utf-8", Some(b"utf-8")),
            (b"text/plain ; CHARSET = utf-8 ; x=y", Some(b"utf-8")),
            (b"text/plain; ; charset; charset=a; charset=b", Some(b"a")),
            (b"text/plain; charset=\"a\\\"b\"; x", Some(b"a\"b")),
            (b"text/plain; x=\"; charset=evil\"; charset=good", Some(b"good")),
            (
                b"text/plain; x=\"\\\"; charset=evil\"; charset=good",
                Some(b"good"),
            ),
            (b"text/plain; xcharset=a; charset=b", Some(b"b")),
            (b"text/plain; charset=\"open", Some(b"open")),
            (b"text/plain; charset=\"open\\", Some(b"open")),
        ] {
            assert_eq!(
                charset_of(content_type).as_deref(),
                charset,
                "{}",
                content_type.escape_ascii()
            );
        }
    }

    #[test]
    fn who_says_what_the_charset_is() {
        let latin = Some(&b"text/plain; charset=iso-8859-1"[..]);
        for (content_type, body, default, text, charset) in [
            (None, &b"caf\xc3\xa9"[..], None, "caf\u{e9}", "UTF-8"),
            (
                Some(&b"text/html"[..]),
                b"caf\xc3\xa9",
                None,
                "caf\u{e9}",
                "UTF-8",
            ),
            (latin, b"caf\xe9", None, "caf\u{e9}", "windows-1252"),
            (latin, b"caf\xe9", Some("utf-8"), "caf\u{e9}", "windows-1252"),
            (None, b"caf\xe9", Some("latin1"), "caf\u{e9}", "windows-1252"),
            (
                None,
                b"caf\xc3\xa9",
                Some("no such charset"),
                "caf\u{e9}",
                "UTF-8",
            ),
            (
                Some(b"text/plain; charset=what"),
                b"caf\xc3\xa9",
                None,
                "caf\u{e9}",
                "UTF-8",
            ),
            (
                Some(b"text/plain; charset=what"),
                b"caf\xe9",
                Some("latin1"),
                "caf\u{e9}",
                "windows-1252",
            ),
            (
                Some(b"text/plain; charset=\"Shift_JIS\""),
                b"\x93\xfa",
                None,
                "\u{65e5}",
                "Shift_JIS",
            ),
            // Byte order marks win, and are no text.
            (latin, b"\xef\xbb\xbfcaf\xc3\xa9", None, "caf\u{e9}", "UTF-8"),
            (latin, b"\xff\xfe\xe9\0", None, "\u{e9}", "UTF-16LE"),
            (None, b"\xfe\xff\0\xe9", None, "\u{e9}", "UTF-16BE"),
        ] {
            let found = decode(content_type, body, default);
            assert_eq!(
                (found.text(), found.charset(), found.is_damaged()),
                (text, charset, false)
            );
        }
    }

    #[test]
    fn damage_is_told() {
        let found = decode(None, b"a\xffb", None);
        assert_eq!((found.text(), found.is_damaged()), ("a\u{fffd}b", true));
        assert_eq!(
            format!("{found:?}"),
            r#"Text { len: 5, charset: "UTF-8", damaged: true, .. }"#
        );
        let plain = decode(None, b"plain", None);
        assert!(matches!(plain.into_text(), Cow::Borrowed("plain")));
    }

    quickcheck! {
        fn utf8_stays(text: String) -> bool {
            let found = decode(None, text.as_bytes(), None);
            found.text() == text.strip_prefix('\u{feff}').unwrap_or(&text) && !found.is_damaged()
        }

        fn no_bytes_panic(content_type: Vec<u8>, body: Vec<u8>) -> bool {
            let content_type = [b"a/b; charset=".to_vec(), content_type].concat();
            decode(Some(&content_type), &body, None).text().len() <= 3 * body.len()
        }
    }
}
