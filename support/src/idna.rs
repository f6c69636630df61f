//! Internationalised host names in URLs: `http://bücher.example/` becomes `http://xn--bcher-kva.example/`, which the
//! core's [`Url`](antiphon_core::client::Url) takes.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// `url` with its host in ASCII (UTS #46, not transitional, as browsers do). All else, and a host that is ASCII already,
/// stays as it is, and so does what is no URL: the core's parser has the last word.
///
/// ```
/// use antiphon_core::client::Url;
/// use antiphon_support::to_ascii_url;
/// let url: Url = to_ascii_url("https://b\u{fc}cher.example:8443/t\u{e9}")?.parse()?;
/// assert_eq!(url.host_header(), "xn--bcher-kva.example:8443");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`InvalidHost`] if there is no such host: a character that is not allowed in one (or that stands for such a one, as
/// the full-width `/`), or a label or name too long for the DNS.
pub fn to_ascii_url(url: &str) -> Result<Cow<'_, str>, InvalidHost> {
    let Some(start) = url.find("://").map(|i| i + 3) else {
        return Ok(url.into());
    };
    // As the core takes it apart.
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |i| start + i);
    let start = url[start..end].find('@').map_or(start, |i| start + i + 1);
    let authority = &url[start..end];
    let host = &authority[..authority.find(':').unwrap_or(authority.len())];
    if host.is_ascii() || authority.starts_with('[') {
        return Ok(url.into());
    }
    let ascii = Uts46::new().to_ascii(
        host.as_bytes(),
        AsciiDenyList::URL,
        Hyphens::Allow,
        DnsLength::VerifyAllowRootDot,
    );
    let ascii = ascii.map_err(|_| InvalidHost(()))?;
    Ok([&url[..start], &ascii, &url[start + host.len()..]]
        .concat()
        .into())
}

/// The host of a URL has no form in ASCII. It is not repeated here: what was meant as a password may stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHost(());

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host of the URL is no valid internationalised name")
    }
}

impl Error for InvalidHost {}

#[cfg(test)]
mod tests {
    use super::*;
    use antiphon_core::client::Url;
    use quickcheck::quickcheck;

    #[test]
    fn hosts_become_ascii() {
        for (url, ascii) in [
            ("http://b\u{fc}cher.example/", "http://xn--bcher-kva.example/"),
            (
                "http://B\u{dc}CHER.Example:81?q#f",
                "http://xn--bcher-kva.example:81?q#f",
            ),
            (
                "http://u:p\u{fc}@b\u{fc}cher.example",
                "http://u:p\u{fc}@xn--bcher-kva.example",
            ),
            // Not transitional: not `strasse`.
            ("http://stra\u{df}e.de/", "http://xn--strae-oqa.de/"),
            (
                "http://\u{65e5}\u{672c}\u{3002}jp./\u{fc}",
                "http://xn--wgv71a.jp./\u{fc}",
            ),
            // Full-width letters are letters.
            ("http://\u{ff45}xample.com/", "http://example.com/"),
        ] {
            assert_eq!(to_ascii_url(url).as_deref(), Ok(ascii));
        }
    }

    #[test]
    fn the_rest_stays() {
        for url in [
            "",
            "b\u{fc}cher",
            "http://h/\u{fc}",
            "http://h?\u{fc}",
            "http://h#://\u{fc}",
            "http://\u{fc}@h/",
            "HTTP://H:1/",
            "http://[::\u{fc}]/",
            "http://a b/",
        ] {
            assert!(
                matches!(to_ascii_url(url), Ok(Cow::Borrowed(same)) if same == url),
                "{url}"
            );
        }
    }

    #[test]
    fn refusals() {
        let long = format!("http://{}\u{fc}.de/", "a".repeat(63));
        for url in [
            "http://a\u{ff0f}b.example/",
            "http://a\u{ff20}b.example/",
            "http://a\u{ff1a}80/",
            "http://\u{fc} /",
            "http://\u{fc}@@h/\u{fc}@x",
            "http://\u{fc}..de/",
            "http://\u{ad}/",
            "http://\u{fffd}.de/",
            "http://xn--a-\u{fc}.de/",
            "http://a@\u{fc}@h/",
            &long,
        ] {
            // Either it is refused here, or nothing was touched and the core refuses it.
            let refused = to_ascii_url(url).map_or(true, |u| u.parse::<Url>().is_err());
            assert!(refused, "{url}");
        }
    }

    quickcheck! {
        /// Only the host changes: what the core reads around it is the same.
        fn only_the_host_changes(host: String, rest: String) -> bool {
            let url = format!("http://u@{}\u{fc}:81/{}", host.replace(['/', '?', '#', '@', ':'], ""), rest.replace('#', ""));
            let Ok(ascii) = to_ascii_url(&url) else { return true };
            match ascii.parse::<Url>() {
                Ok(parsed) => {
                    let plain = format!("http://u@h:81/{}", rest.replace('#', "")).parse::<Url>().unwrap();
                    parsed.target() == plain.target() && parsed.port() == 81 && parsed.userinfo() == Some("u")
                }
                // White space in the rest is for the core to refuse.
                Err(e) => e.kind() == antiphon_core::client::url::InvalidUrlKind::Space,
            }
        }
    }
}
