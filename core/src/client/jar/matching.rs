//! Which URL a cookie belongs to: domain match, path match, default path, what counts as secure (RFC 6265,
//! sections 5.1.3, 5.1.4 and 5.4). What is stored does not live here.

use super::suffix::is_address;
use crate::client::{Scheme, Url};
use core::net::Ipv4Addr;

/// Whether `host` is `domain` or lies below it. Addresses lie below nothing.
pub(super) fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain || (is_below(host, domain) && !is_address(host))
}

/// Whether `host` is a proper sub-domain of `domain`, as text.
pub(super) fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|head| head.len() > 1 && head.ends_with('.'))
}

/// Whether `path` is `prefix` or lies below it.
pub(super) fn path_matches(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

/// The path of a URL, without its query.
pub(super) fn path_of(url: &Url) -> &str {
    let target = url.target().as_str();
    target.split('?').next().unwrap_or(target)
}

/// The directory of `path`: up to its last slash, which only the root keeps.
pub(super) fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(i) => &path[..i],
    }
}

/// Whether cookies with `Secure` may go there: over https, and to this machine, where nobody listens in.
pub(super) fn is_secure(url: &Url) -> bool {
    url.scheme() == Scheme::Https || is_loopback(url.host())
}

fn is_loopback(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost"
        || is_below(host, "localhost")
        || host == "[::1]"
        || host.parse().is_ok_and(|a: Ipv4Addr| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::suffix::registrable;
    use super::super::{PublicSuffix, SingleLabels};
    use super::*;

    #[test]
    fn domains() {
        for (host, domain, matches) in [
            ("example.com", "example.com", true),
            ("a.example.com", "example.com", true),
            ("a.b.example.com", "example.com", true),
            ("example.com", "a.example.com", false),
            ("badexample.com", "example.com", false),
            (".example.com", "example.com", false), // no label before the dot
            ("example.com.", "example.com", false),
            ("1.2.3.4", "1.2.3.4", true),
            ("1.2.3.4", "3.4", false),
            ("a.3.4", "3.4", false), // ends in a number: an address to some
            ("a.0x4", "0x4", false),
            ("[::1]", "[::1]", true),
        ] {
            assert_eq!(domain_matches(host, domain), matches, "{host} {domain}");
        }
    }

    #[test]
    fn paths() {
        for (path, prefix, matches) in [
            ("/", "/", true),
            ("/a", "/", true),
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a/b", "/a", true),
            ("/ab", "/a", false),
            ("/a/b", "/a/", true),
            ("/a", "/a/", false),
            ("/A", "/a", false),
        ] {
            assert_eq!(path_matches(path, prefix), matches, "{path} {prefix}");
        }
        for (path, directory) in [
            ("/", "/"),
            ("/a", "/"),
            ("/a/", "/a"),
            ("/a/b", "/a"),
            ("//", "/"),
            ("*", "/"),
        ] {
            assert_eq!(default_path(path), directory, "{path}");
        }
    }

    #[test]
    fn secure_places() {
        for (url, secure) in [
            ("https://example.com/", true),
            ("http://example.com/", false),
            ("http://localhost:8080/", true),
            ("http://a.localhost/", true),
            ("http://localhost./", true),
            ("http://notlocalhost/", false),
            ("http://localhost.example.com/", false),
            ("http://127.0.0.1/", true),
            ("http://127.9.8.7/", true),
            ("http://128.0.0.1/", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://[::1]:80/", true),
            ("http://[::2]/", false),
        ] {
            assert_eq!(is_secure(&url.parse().unwrap()), secure, "{url}");
        }
    }

    struct Listed;
    impl PublicSuffix for Listed {
        fn is_public_suffix(&self, domain: &str) -> bool {
            ["co.uk", "vm.example.com"].contains(&domain)
        }
    }

    #[test]
    fn registrable_domains() {
        for (host, bare, listed) in [
            ("com", "com", "com"),
            ("example.com", "example.com", "example.com"),
            ("a.b.example.com", "example.com", "example.com"),
            ("a.b.co.uk", "co.uk", "b.co.uk"),
            ("co.uk", "co.uk", "co.uk"),
            ("a.b.vm.example.com", "example.com", "b.vm.example.com"),
            ("vm.example.com", "example.com", "vm.example.com"),
            ("example.com.", "example.com", "example.com"),
            ("1.2.3.4", "1.2.3.4", "1.2.3.4"),
            ("[::1]", "[::1]", "[::1]"),
            (".", "", ""),
        ] {
            assert_eq!(registrable(&SingleLabels, host), bare, "{host}");
            assert_eq!(registrable(&Listed, host), listed, "{host}");
        }
    }
}
