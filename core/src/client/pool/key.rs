//! [`Key`]: which requests may share connections.

use alloc::boxed::Box;
use core::fmt;

/// The scheme of a URL that this client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The scheme's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port that a URL without one means (RFC 9110, section 4.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What must be equal for two requests to use the same connections: scheme, host, port, and the proxy between.
///
/// ```
/// use antiphon_core::client::pool::{Key, Scheme};
/// let key = Key::new(Scheme::Http, "Example.COM", 80);
/// assert_eq!(key, Key::new(Scheme::Http, "example.com", 80));
/// assert_eq!(key.to_string(), "http://example.com:80");
/// assert_ne!(key, key.clone().through("http://proxy:3128"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    scheme: Scheme,
    port: u16,
    host: Box<str>,
    proxy: Option<Box<str>>,
}

impl Key {
    /// Direct connections to `host`; IPv6 literals stand in brackets, as in a URL. Case is ignored.
    pub fn new(scheme: Scheme, host: &str, port: u16) -> Key {
        let mut host = Box::<str>::from(host);
        host.make_ascii_lowercase();
        Key {
            scheme,
            port,
            host,
            proxy: None,
        }
    }

    /// Connections to the same host through a proxy. `proxy` is its URL, with the credentials that the proxy is
    /// given, since they may decide where the connection leads; they are never shown.
    pub fn through(mut self, proxy: &str) -> Key {
        self.proxy = Some(proxy.into());
        self
    }

    /// Connections to a proxy that passes on requests to any `http` target, with its URL as above.
    pub fn forwarded(proxy: &str) -> Key {
        Key::new(Scheme::Http, "", 0).through(proxy)
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host in lower case; empty if a proxy passes requests on to any.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 with an empty host.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The proxy's URL, credentials included: not for logs.
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }
}

/// `scheme://host:port`, and behind it the proxy without its credentials.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scheme.fmt(f)?;
        if !self.host.is_empty() {
            write!(f, "://{}:{}", self.host, self.port)?;
        }
        if let Some(proxy) = &self.proxy {
            let (scheme, rest) = proxy.split_once("://").unwrap_or(("", proxy));
            // All before the last `@`, also where a password holds what should have been percent-encoded.
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            let host = host.split(['/', '?', '#']).next().unwrap_or("");
            write!(f, " through {scheme}://{host}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}
