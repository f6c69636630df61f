//! [`strip_prefix`]: the target that a handler below a prefix gets to see.

use crate::{Target, TargetForm};
use alloc::string::String;

/// `target` without `prefix` at the beginning of its path, as Go's `http.StripPrefix`; `None` if the path does not begin so:
/// answer 404 then ([`responder::not_found`](super::responder::not_found)). The query and the authority of an absolute form stay.
///
/// - `prefix` is not encoded: it matches the path decoded (RFC 3986, section 2.1). But its slashes match only slashes, not
///   `%2F`, which is a part of a name: `/a%2Fb/c` does not lie below `/a/b`.
/// - It is compared byte by byte, not name by name: `/api` is also the beginning of `/apiary`. End it with a slash to have
///   whole names.
/// - What is left begins with a slash: one is put there if there is none.
/// - Dot segments are left alone: clean the path before, or refuse it ([`RelativePath`](super::path::RelativePath) does).
///
/// ```
/// use antiphon_core::server::strip_prefix::strip_prefix;
/// use antiphon_core::Target;
/// let target = Target::new("/static/css/a.css?v=2")?;
/// assert_eq!(strip_prefix(&target, "/static/"), Some(Target::new("/css/a.css?v=2")?));
/// assert_eq!(strip_prefix(&target, "/images/"), None);
/// # Ok::<(), antiphon_core::InvalidTarget>(())
/// ```
pub fn strip_prefix(target: &Target, prefix: &str) -> Option<Target> {
    let text = target.as_str();
    let start = match target.form() {
        TargetForm::Origin => 0,
        TargetForm::Absolute => {
            let authority = text.find("://")? + 3;
            authority
                + text[authority..]
                    .find(['/', '?'])
                    .unwrap_or(text.len() - authority)
        }
        TargetForm::Authority | TargetForm::Asterisk => return None,
    };
    let (before, rest) = text.split_at(start);
    let end = rest.find('?').unwrap_or(rest.len());
    let (path, query) = rest.split_at(end);
    // An absolute form may lack its path: it is `/`.
    let path = if path.is_empty() { "/" } else { path };
    let left = below(path, prefix)?;

    let mut stripped = String::with_capacity(text.len() + 1);
    stripped.push_str(before);
    if !left.starts_with('/') {
        stripped.push('/');
    }
    stripped.push_str(left);
    stripped.push_str(query);
    Target::new(stripped).ok()
}

/// What is left of `path`, which is encoded, behind `prefix`, which is not.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let mut left = path;
    for expected in prefix.bytes() {
        let (byte, len) = match left.as_bytes() {
            [b'%', hi, lo, ..] => {
                let (hi, lo) = (char::from(*hi).to_digit(16)?, char::from(*lo).to_digit(16)?);
                ((hi * 16 + lo) as u8, 3)
            }
            [b'%', ..] | [] => return None,
            [byte, ..] => (*byte, 1),
        };
        if byte != expected || (byte == b'/' && len > 1) {
            return None;
        }
        left = &left[len..];
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn what_is_left() {
        for (target, prefix, left) in [
            ("/foo/bar/qux", "/foo/bar", Some("/qux")),
            ("/foo/bar/qux", "/foo/bar/", Some("/qux")),
            ("/foo/bar", "/foo/bar", Some("/")),
            ("/foo/bar?x=/y", "/foo/bar", Some("/?x=/y")),
            ("/foo?bar", "/foo?bar", None),
            ("/foo/bar%2fqux", "/foo/bar", Some("/%2fqux")),
            ("/foo/barbecue", "/foo/bar", Some("/becue")),
            ("/foo/bar", "", Some("/foo/bar")),
            ("/foo//bar", "/foo", Some("//bar")),
            ("/bar", "/foo", None),
            ("/fo", "/foo", None),
            ("/Foo/x", "/foo", None),
            // Decoded, but for slashes.
            ("/caf%C3%A9/x", "/caf\u{e9}", Some("/x")),
            ("/%66oo/x%20y", "/foo", Some("/x%20y")),
            ("/foo%2fbar/qux", "/foo/bar", None),
            ("/foo%2Fbar/qux", "/foo%2Fbar", None),
            ("/100%25/x", "/100%", Some("/x")),
            // No escape at all.
            ("/a%", "/a%", None),
            ("/a%2", "/a%2", None),
            ("/a%zz", "/a%zz", None),
            ("/a%", "/a", Some("/%")),
            // Other forms.
            ("http://h:80/foo/x?q", "/foo", Some("http://h:80/x?q")),
            ("http://h/foo", "/foo", Some("http://h/")),
            ("http://h", "/", Some("http://h/")),
            ("http://h?q", "", Some("http://h/?q")),
            ("http://h/foo", "/h", None),
            ("*", "", None),
            ("h:80", "", None),
        ] {
            let target = Target::new(target).unwrap();
            let left = left.map(|left| Target::new(left).unwrap());
            assert_eq!(strip_prefix(&target, prefix), left, "{target:?} {prefix:?}");
        }
    }

    quickcheck! {
        // Whatever is below a prefix is found below it.
        fn what_was_put_below_is_found(prefix: alloc::vec::Vec<u8>, rest: alloc::vec::Vec<u8>, encode: u64) -> bool {
            let letter = |b: &u8| char::from(b"abc/%?\xe9"[usize::from(*b) % 7]);
            let prefix: String = prefix.iter().map(letter).collect();
            let mut path = String::from("/");
            for (at, b) in prefix.bytes().enumerate() {
                let must = matches!(b, b'%' | b'?' | 0x80..);
                if must || (b != b'/' && encode >> (at % 64) & 1 == 1) {
                    path += &alloc::format!("%{b:02x}");
                } else {
                    path.push(char::from(b));
                }
            }
            let rest: String = rest.iter().map(|b| char::from(b"abc/."[usize::from(*b) % 5])).collect();
            let target = Target::new(path + "/" + &rest).unwrap();
            let prefix = String::from("/") + &prefix;
            strip_prefix(&target, &prefix) == Some(Target::new(String::from("/") + &rest).unwrap())
        }
    }
}
