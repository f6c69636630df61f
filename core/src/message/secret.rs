//! What `Debug` output and logs leave out: credentials in fields, and the userinfo of URLs.

use core::fmt;
use core::ops::Range;

/// Fields whose values never appear in `Debug` output.
pub(crate) fn is_secret(name: &[u8]) -> bool {
    [
        &b"authorization"[..],
        b"proxy-authorization",
        b"cookie",
        b"set-cookie",
    ]
    .iter()
    .any(|s| name.eq_ignore_ascii_case(s))
}

/// Where the next userinfo stands, if there is one: between `://` and the last `@` before the authority's end.
fn userinfo(text: &[u8]) -> Option<Range<usize>> {
    let mut from = 0;
    loop {
        let start = from + text[from..].windows(3).position(|w| w == b"://")? + 3;
        let end = text[start..]
            .iter()
            .position(|b| b"/?# \t\"<>".contains(b))
            .map_or(text.len(), |i| start + i);
        if let Some(at) = text[start..end].iter().rposition(|&b| b == b'@') {
            return Some(start..start + at);
        }
        from = start;
    }
}

/// Text that may hold URLs: all of their userinfo becomes `***` (tokens often stand in the place of the user's
/// name). Every byte that is shown goes through `escape`.
pub(crate) fn write_masked(
    f: &mut fmt::Formatter<'_>,
    mut text: &[u8],
    escape: impl Fn(&mut fmt::Formatter<'_>, &[u8]) -> fmt::Result,
) -> fmt::Result {
    while let Some(found) = userinfo(text) {
        escape(f, &text[..found.start])?;
        f.write_str("***")?;
        text = &text[found.end..];
    }
    escape(f, text)
}

/// `Debug` of a text that may hold URLs, in quotation marks.
pub(crate) struct Masked<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        write_masked(f, self.0, |f, bytes| write!(f, "{}", bytes.escape_ascii()))?;
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn userinfo_and_nothing_else() {
        for (text, shown) in [
            ("/a@b", "/a@b"),
            ("http://h/a@b", "http://h/a@b"),
            ("http://u:p@h/", "http://***@h/"),
            ("http://u:p@q@h", "http://***@h"),
            (
                "see http://t@a, <https://u:p@b/?x=c://d:e@f>",
                "see http://***@a, <https://***@b/?x=c://***@f>",
            ),
            ("http://h http://u@h", "http://h http://***@h"),
            ("://", "://"),
        ] {
            assert_eq!(format!("{:?}", Masked(text.as_bytes())), format!("\"{shown}\""));
        }
    }
}
