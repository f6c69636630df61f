//! [`Target`]: what a request's URL means for the connection and for the request line. No references, no
//! IDNA: an absolute `http://` URL in ASCII.

use crate::{Error, ErrorKind};
use antiphon_core::client::pool::{Key, Scheme};

const PHASE: &str = "reading the URL";

/// A URL, taken apart (RFC 9110, section 4.2.1).
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) key: Key,
    /// Path and query, as they go on the wire; `host:port` for CONNECT.
    pub(crate) path: String,
    /// The value of Host: without the port, if it is the default one.
    pub(crate) host: String,
}

impl Target {
    /// Takes `url` apart. A fragment is dropped; bytes that may not stand on the wire are refused when the
    /// request is sent.
    pub(crate) fn parse(url: &str, connect: bool) -> Result<Target, Error> {
        let invalid = |why: &'static str| {
            Error::new(ErrorKind::InvalidUrl, PHASE)
                .with_source(why)
                .with_url(url)
        };
        let unsupported = |what: &'static str| {
            Error::new(ErrorKind::Unsupported, PHASE)
                .with_source(what)
                .with_url(url)
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| invalid("it must begin with http://"))?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(unsupported("https: TLS is not there yet"));
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(unsupported("the only scheme is http"));
        }
        let rest = rest.split('#').next().unwrap_or("");
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(unsupported(
                "credentials in the URL: send an Authorization field instead",
            ));
        }
        let (host, port) =
            split_port(authority).ok_or_else(|| invalid("the port is no number up to 65535"))?;
        if !is_host(host) {
            return Err(invalid("the host is no name and no IP literal in ASCII"));
        }
        let port = port.unwrap_or(Scheme::Http.default_port());
        let key = Key::new(Scheme::Http, host, port);
        let path = match path {
            _ if connect => format!("{}:{port}", key.host()),
            "" => "/".to_string(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_string(),
        };
        let host = match port {
            p if p == Scheme::Http.default_port() && !connect => key.host().to_string(),
            p => format!("{}:{p}", key.host()),
        };
        Ok(Target { key, path, host })
    }

    /// The host as the system looks it up: an IPv6 literal without its brackets.
    pub(crate) fn lookup(key: &Key) -> &str {
        let host = key.host();
        host.strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host)
    }
}

/// `None` if what stands behind the colon is no port; an empty port is the default one.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    // The colons inside an IPv6 literal are none of ours.
    let from = authority.rfind(']').unwrap_or(0);
    match authority[from..].rfind(':').map(|i| from + i) {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = (&authority[..colon], &authority[colon + 1..]);
            if port.is_empty() {
                return Some((host, None));
            }
            let digits = port.bytes().all(|b| b.is_ascii_digit());
            digits
                .then(|| port.parse().ok())
                .flatten()
                .map(|port| (host, Some(port)))
        }
    }
}

/// A reg-name without percent-encoding, an IPv4 address, or an IPv6 literal in brackets.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> Option<(String, String, String)> {
        let t = Target::parse(url, false).ok()?;
        Some((t.key.to_string(), t.host, t.path))
    }

    #[test]
    fn urls() {
        let ok = |url, key: &str, host: &str, path: &str| {
            assert_eq!(parts(url), Some((key.into(), host.into(), path.into())), "{url}");
        };
        ok("http://Example.com", "http://example.com:80", "example.com", "/");
        ok("HTTP://h:8080/a?b#c", "http://h:8080", "h:8080", "/a?b");
        ok("http://h:80?q", "http://h:80", "h", "/?q");
        ok("http://h:/p", "http://h:80", "h", "/p");
        ok("http://[::1]:81/", "http://[::1]:81", "[::1]:81", "/");
        ok("http://[::1]", "http://[::1]:80", "[::1]", "/");
        for bad in [
            "",
            "h/p",
            "http://",
            "http:///p",
            "http://h:99999/",
            "http://h:+1/",
            "http://h h/",
            "http://[::1/",
        ] {
            assert!(Target::parse(bad, false).is_err(), "{bad}");
        }
        assert_eq!(
            Target::parse("https://h/", false).map_err(|e| e.kind()).err(),
            Some(ErrorKind::Unsupported)
        );
        let secret = Target::parse("http://u:pw@h/", false).expect_err("credentials");
        assert!(!format!("{secret} {secret:?}").contains("pw"));
        let t = Target::parse("http://h/", true).expect("a URL");
        assert_eq!((t.path.as_str(), t.host.as_str()), ("h:80", "h:80"));
    }
}
