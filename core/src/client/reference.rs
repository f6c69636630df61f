//! [`Url::join`]: what a `Location` means, seen from the URL that was asked for (RFC 3986, section 5;
//! RFC 9110, section 10.2.2).
//!
//! Whether a redirect is followed does not live here.

use super::url::{InvalidUrl, InvalidUrlKind, Url, percent_encoded};
use crate::Target;
use alloc::format;
use alloc::string::String;

impl Url {
    /// Resolves a reference against this URL, as RFC 3986, section 5.2 does it, strictly.
    ///
    /// What servers write into `Location` although it must be percent-encoded is encoded here: bytes outside ASCII,
    /// in whatever charset, and spaces; in the path, the query and the fragment, never in the authority. A reference
    /// without a fragment inherits this URL's.
    ///
    /// # Errors
    /// [`InvalidUrl`], with a position in the reference: control bytes, another scheme than `http` and `https`,
    /// `http:` without `//`, and what [`parse`](Url::parse) refuses in an authority.
    ///
    /// ```
    /// use antiphon_core::client::Url;
    /// let base = Url::parse("http://example.com/a/b?c#here")?;
    /// let shown = |reference: &str| base.join(reference).map(|u| u.to_string());
    /// assert_eq!(shown("../d?e")?, "http://example.com/d?e");
    /// assert_eq!(shown("//other.example/f")?, "http://other.example/f");
    /// assert_eq!(shown("/tea time/ü")?, "http://example.com/tea%20time/%C3%BC");
    /// assert_eq!(base.join("d")?.fragment(), Some("here"));
    /// assert!(base.join("mailto:someone@example.com").is_err());
    /// # Ok::<(), antiphon_core::client::InvalidUrl>(())
    /// ```
    pub fn join(&self, reference: impl AsRef<[u8]>) -> Result<Url, InvalidUrl> {
        let reference = reference.as_ref();
        let bad = |kind, at| InvalidUrl { kind, at };
        if let Some(at) = reference.iter().position(|&b| b < b' ' || b == 0x7f) {
            return Err(bad(InvalidUrlKind::Space, at));
        }
        let scheme = scheme_len(reference);
        let hier = scheme.map_or(0, |n| n + 1);
        let mut url = if reference[hier..].starts_with(b"//") {
            self.absolute(reference, scheme, hier + 2)?
        } else if let Some(n) = scheme {
            let known = [&b"http"[..], b"https"]
                .iter()
                .any(|s| reference[..n].eq_ignore_ascii_case(s));
            let kind = if known {
                InvalidUrlKind::NotAbsolute
            } else {
                InvalidUrlKind::Scheme
            };
            return Err(bad(kind, 0));
        } else {
            self.relative(reference)
        };
        if url.fragment().is_none() && self.fragment().is_some() {
            url = url.at(url.target().clone(), self.fragment());
        }
        Ok(url)
    }

    /// The reference has an authority, which begins at `from`.
    fn absolute(&self, reference: &[u8], scheme: Option<usize>, from: usize) -> Result<Url, InvalidUrl> {
        let bad = |kind, at| InvalidUrl { kind, at };
        let end = reference[from..]
            .iter()
            .position(|b| b"/?#".contains(b))
            .map_or(reference.len(), |i| from + i);
        let head = core::str::from_utf8(&reference[..end])
            .map_err(|e| bad(InvalidUrlKind::HostNotAscii, e.valid_up_to()))?;
        let tail = percent_encoded(&reference[end..]);
        let parsed = match scheme {
            Some(_) => Url::parse(&format!("{head}{tail}")),
            None => {
                let own = self.scheme();
                let ahead = format!("{own}:").len();
                // What comes first in the text that is parsed is not in the reference.
                Url::parse(&format!("{own}:{head}{tail}"))
                    .map_err(|e| bad(e.kind, e.at.saturating_sub(ahead)))
            }
        };
        let url = parsed?;
        let path = without_dots(url.target().path());
        Ok(url.at(target(path, url.target().query()), url.fragment()))
    }

    /// The reference is a path, a query, a fragment; or empty.
    fn relative(&self, reference: &[u8]) -> Url {
        let text = percent_encoded(reference);
        let (rest, fragment) = split(&text, '#');
        let (path, query) = split(rest, '?');
        let base = self.target().path();
        let target = if path.is_empty() {
            target(String::from(base), query.or(self.target().query()))
        } else if path.starts_with('/') {
            target(without_dots(path), query)
        } else {
            // RFC 3986, section 5.2.3: all but the last segment of the base.
            let kept = base.rfind('/').map_or("/", |i| &base[..=i]);
            target(without_dots(&format!("{kept}{path}")), query)
        };
        self.at(target, fragment)
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(a, b)| (a, Some(b)))
}

/// The length of the scheme: `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`, then a colon.
fn scheme_len(reference: &[u8]) -> Option<usize> {
    let colon = reference.iter().position(|&b| b == b':')?;
    let scheme = &reference[..colon];
    let fits = |&b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    (scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(fits)).then_some(colon)
}

/// Whether the reference names neither a scheme nor an authority.
pub(super) fn is_relative(reference: &[u8]) -> bool {
    scheme_len(reference).is_none() && !reference.starts_with(b"//")
}

fn target(mut path: String, query: Option<&str>) -> Target {
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    Target::new(path).expect("controls were refused, the rest was encoded, `#` was cut off")
}

/// RFC 3986, section 5.2.4, for a path that begins with a slash. Linear.
fn without_dots(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    out.truncate(out.rfind('/').unwrap_or(0));
                }
                // A path that ends in dots ends in a slash.
                if segments.peek().is_none() {
                    out.push('/');
                }
            }
            _ => {
                out.push('/');
                out.push_str(segment);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use quickcheck::quickcheck;

    fn joined(base: &str, reference: &str) -> String {
        let url = Url::parse(base).unwrap().join(reference);
        let url = url.unwrap_or_else(|e| panic!("{reference:?}: {e}"));
        let fragment = url.fragment().map(|f| format!("#{f}")).unwrap_or_default();
        format!("{url}{fragment}")
    }

    #[test]
    fn rfc_3986_section_5_4() {
        for (reference, meant) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q#s"),
            ("g#s", "http://a/b/c/g#s"),
            ("g?y#s", "http://a/b/c/g?y#s"),
            (";x", "http://a/b/c/;x"),
            ("g;x", "http://a/b/c/g;x"),
            ("g;x?y#s", "http://a/b/c/g;x?y#s"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("../../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            (".g", "http://a/b/c/.g"),
            ("g..", "http://a/b/c/g.."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("g#s/./x", "http://a/b/c/g#s/./x"),
            ("g#s/../x", "http://a/b/c/g#s/../x"),
        ] {
            assert_eq!(joined("http://a/b/c/d;p?q", reference), meant, "{reference:?}");
        }
    }

    #[test]
    fn absolute_references_and_empty_segments() {
        for (reference, meant) in [
            ("HTTPS://B:443/x/../y?z", "https://b/y?z"),
            ("http://b", "http://b/"),
            ("//b:80/..", "http://b/"),
            ("//u:p@b/", "http://***@b/"),
            ("/x//y", "http://a/x//y"),
            ("/x//..//y", "http://a/x//y"),
            ("/..//x", "http://a//x"),
            ("./x:y", "http://a/b/x:y"),
            ("1:y", "http://a/b/1:y"),
            ("/x:y", "http://a/x:y"),
        ] {
            assert_eq!(joined("http://a/b/c", reference), meant, "{reference:?}");
        }
        // An empty query is a query.
        assert_eq!(joined("http://a/b/c?d", "?"), "http://a/b/c?");
    }

    #[test]
    fn fragments_are_inherited() {
        assert_eq!(joined("http://a/b#f", "c"), "http://a/c#f");
        assert_eq!(joined("http://a/b#f", "c#"), "http://a/c#");
        assert_eq!(joined("http://a/b#f", "c#g"), "http://a/c#g");
        assert_eq!(joined("http://a/b#f", "https://c/d"), "https://c/d#f");
    }

    #[test]
    fn relative_references_keep_the_userinfo_and_absolute_ones_do_not() {
        let base = Url::parse("http://u:p@a/b").unwrap();
        assert_eq!(base.join("c").unwrap().userinfo(), Some("u:p"));
        assert_eq!(base.join("//a/c").unwrap().userinfo(), None);
        assert_eq!(base.join("http://a/c").unwrap().userinfo(), None);
    }

    #[test]
    fn bytes_outside_ascii_are_encoded_in_whatever_charset() {
        let base = Url::parse("http://a/").unwrap();
        let latin1 = base.join(b"/caf\xe9?q=\xe9#\xe9").unwrap();
        assert_eq!(latin1.to_string(), "http://a/caf%E9?q=%E9");
        assert_eq!(latin1.fragment(), Some("%E9"));
        assert_eq!(joined("http://a/", "http://b/é é"), "http://b/%C3%A9%20%C3%A9");
        assert_eq!(joined("http://a/", "%zz%20"), "http://a/%zz%20");
    }

    #[test]
    fn refusals_point_into_the_reference() {
        use InvalidUrlKind::*;
        let base = Url::parse("https://a/").unwrap();
        for (reference, kind, at) in [
            (&b"mailto:x@y"[..], Scheme, 0),
            (b"javascript:alert(1)", Scheme, 0),
            (b"ftp://a/", Scheme, 0),
            (b"http:g", NotAbsolute, 0),
            (b"http:/g", NotAbsolute, 0),
            (b"HTTPS:", NotAbsolute, 0),
            (b"//", Host, 2),
            (b"///x", Host, 2),
            (b"http://", Host, 7),
            (b"//b c/", Space, 3),
            (b"//b:0/", Port, 2),
            (b"//b\\@c/", Userinfo, 3),
            (b"/a\tb", Space, 2),
            (b"/a\r\nX: y", Space, 2),
            (b"//\xff/", HostNotAscii, 2),
            ("//ü/".as_bytes(), HostNotAscii, 2),
        ] {
            let e = base.join(reference).expect_err("refused");
            assert_eq!(
                (e.kind(), e.position()),
                (kind, at),
                "{:?}",
                reference.escape_ascii()
            );
        }
    }

    quickcheck! {
        /// Nothing panics; the result has no dot segments and is its own meaning.
        fn joining_is_total_and_settles(parts: Vec<u8>, tail: Vec<u8>) -> bool {
            const PIECES: [&[u8]; 12] =
                [b"/", b"..", b".", b"a", b"?", b"#", b"//", b":", b"http://h", b"@", b"\xe9", b" "];
            let mut reference: Vec<u8> = Vec::new();
            for p in parts {
                reference.extend_from_slice(PIECES[usize::from(p) % PIECES.len()]);
            }
            reference.extend_from_slice(&tail);
            let base = Url::parse("http://u@h/x/y/z?q#f").unwrap();
            let Ok(url) = base.join(&reference) else { return true };
            let dotless = !url.target().path().split('/').any(|s| s == "." || s == "..");
            dotless && base.join(url.to_string()).is_ok_and(|again| again.to_string().replace("***@", "")
                == url.to_string().replace("***@", ""))
        }
    }
}
