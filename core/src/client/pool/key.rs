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

/// What must be equal for two requests to use the same connections: scheme, host, port, the proxy between, and whether
/// it has to be HTTP/1.
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
    only_http1: bool,
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
            only_http1: false,
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

    /// Connections that speak HTTP/1, for requests that need it, such as upgrades: the pool gives them no connection of
    /// [`Pool::dialed_shared`](super::Pool::dialed_shared). Whoever dials for such a key offers `http/1.1` alone
    /// ([`Protocols::offer`](crate::client::connect::Protocols::offer)).
    ///
    /// Such a key is one of its own, with idle connections and limits of its own.
    pub const fn only_http1(mut self) -> Key {
        self.only_http1 = true;
        self
    }

    /// Whether it is a key of [`only_http1`](Key::only_http1).
    pub const fn is_only_http1(&self) -> bool {
        self.only_http1
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

/// `scheme://host:port`, behind it the proxy without its credentials, and whether it is for HTTP/1 only.
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
        if self.only_http1 {
            f.write_str(" by HTTP/1 only")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}
