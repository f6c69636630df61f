//! [`ProxyRules`]: which proxy, if any, a request goes through; [`Proxy`]: where it is and what it is told.
//!
//! From the values of the environment, which are handed in, or set by hand. `NO_PROXY` is read in `exclude.rs`,
//! user names and passwords live in `credentials.rs`. Talking to a proxy is the business of
//! [`tunnel`](super::tunnel) and [`socks`](super::socks), the way to a URL is a [`Route`](super::Route).

mod credentials;
mod exclude;
#[cfg(test)]
mod tests;

pub use self::credentials::Credentials;
use self::exclude::Excluded;
pub use self::exclude::NoProxy;
use super::pool::Scheme;
use crate::message::target::is_host;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum ProxyScheme {
    /// HTTP in the clear: absolute form for `http`, CONNECT for `https` (RFC 9110, section 9.3.6).
    Http,
    /// The same over TLS to the proxy.
    Https,
    /// SOCKS5 (RFC 1928); the client resolves the target's name.
    Socks5,
    /// SOCKS5; the proxy resolves the target's name.
    Socks5h,
}

impl ProxyScheme {
    /// The scheme's name in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            ProxyScheme::Http => "http",
            ProxyScheme::Https => "https",
            ProxyScheme::Socks5 => "socks5",
            ProxyScheme::Socks5h => "socks5h",
        }
    }

    /// The port that a URL without one means: 80, 443, 1080.
    pub const fn default_port(self) -> u16 {
        match self {
            ProxyScheme::Http => 80,
            ProxyScheme::Https => 443,
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => 1080,
        }
    }

    /// Whether it is one of the two SOCKS schemes.
    pub const fn is_socks(self) -> bool {
        matches!(self, ProxyScheme::Socks5 | ProxyScheme::Socks5h)
    }
}

impl fmt::Display for ProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A proxy: scheme, host, port, credentials. [`Display`](fmt::Display) and [`Debug`](fmt::Debug) mask the latter.
///
/// ```
/// use antiphon_core::client::proxy::{Proxy, ProxyScheme};
/// let proxy: Proxy = "http://ann:s%40cret@Proxy.example:3128/".parse()?;
/// assert_eq!((proxy.scheme(), proxy.host(), proxy.port()), (ProxyScheme::Http, "proxy.example", 3128));
/// assert_eq!(proxy.credentials().unwrap().basic(), "Basic YW5uOnNAY3JldA==");
/// assert_eq!(proxy.to_string(), "http://***@proxy.example:3128");
/// # Ok::<(), antiphon_core::client::proxy::InvalidProxy>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    scheme: ProxyScheme,
    host: Box<str>,
    port: u16,
    credentials: Option<Credentials>,
}

impl Proxy {
    /// Reads a proxy's URL. Without a scheme it is an `http` proxy; a path, query or fragment means nothing. The
    /// userinfo ends at the last `@` and is percent-decoded.
    ///
    /// # Errors
    /// [`InvalidProxy`], which repeats no part of the text.
    pub fn parse(text: &str) -> Result<Proxy, InvalidProxy> {
        let bad = |kind| InvalidProxy { kind, from: None };
        let text = text.trim_ascii();
        if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(bad(InvalidProxyKind::Space));
        }
        let (scheme, rest) = match text.split_once("://") {
            None => (ProxyScheme::Http, text),
            Some((s, rest)) => {
                let known = [
                    ProxyScheme::Http,
                    ProxyScheme::Https,
                    ProxyScheme::Socks5,
                    ProxyScheme::Socks5h,
                ];
                let scheme = known.into_iter().find(|k| s.eq_ignore_ascii_case(k.as_str()));
                (scheme.ok_or(bad(InvalidProxyKind::Scheme))?, rest)
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A password with a bare slash would make its beginning the host, and send the rest nowhere.
        if rest[end..].contains('@') {
            return Err(bad(InvalidProxyKind::Credentials));
        }
        let (userinfo, authority) = match rest[..end].rsplit_once('@') {
            Some((userinfo, authority)) => (Some(userinfo), authority),
            None => (None, &rest[..end]),
        };
        if !is_host(authority.as_bytes(), true) {
            return Err(bad(InvalidProxyKind::Host));
        }
        // Behind the bracket of an IPv6 literal, if there is one, only the port has a colon.
        let host_end = authority.find(']').map_or(0, |i| i + 1);
        let (host, port) = match authority[host_end..].find(':').map(|i| host_end + i) {
            None => (authority, scheme.default_port()),
            Some(colon) => {
                let port = match &authority[colon + 1..] {
                    "" => scheme.default_port(),
                    digits => digits
                        .parse()
                        .ok()
                        .filter(|&p| p != 0)
                        .ok_or(bad(InvalidProxyKind::Port))?,
                };
                (&authority[..colon], port)
            }
        };
        let mut proxy = Proxy {
            scheme,
            host: host.to_ascii_lowercase().into(),
            port,
            credentials: None,
        };
        if let Some(userinfo) = userinfo.filter(|u| !u.is_empty()) {
            let credentials =
                Credentials::from_userinfo(userinfo).ok_or(bad(InvalidProxyKind::Credentials))?;
            proxy = proxy.with_credentials(credentials)?;
        }
        Ok(proxy)
    }

    /// The same proxy, told these credentials.
    ///
    /// # Errors
    /// [`InvalidProxyKind::Credentials`] if the scheme cannot carry them: SOCKS takes 1 to 255 bytes each
    /// (RFC 1929, section 2), `Basic` no colon in the user's name and no control bytes (RFC 7617, section 2).
    pub fn with_credentials(mut self, credentials: Credentials) -> Result<Proxy, InvalidProxy> {
        let fits = if self.scheme.is_socks() {
            credentials.fits_socks()
        } else {
            credentials.fits_basic()
        };
        if !fits {
            return Err(InvalidProxy {
                kind: InvalidProxyKind::Credentials,
                from: None,
            });
        }
        self.credentials = Some(credentials);
        Ok(self)
    }

    /// How it is spoken to.
    pub const fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// The host in lower case; an IPv6 literal stands in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What the proxy is told about the user. A secret.
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The URL with the credentials, for [`Key::through`](super::pool::Key::through): all of it decides which
    /// requests may share connections. Not for logs.
    pub fn pool_key(&self) -> String {
        match &self.credentials {
            None => format!("{}://{}:{}", self.scheme, self.host, self.port),
            Some(c) => format!("{}://{}@{}:{}", self.scheme, c.userinfo(), self.host, self.port),
        }
    }
}

impl FromStr for Proxy {
    type Err = InvalidProxy;
    fn from_str(text: &str) -> Result<Proxy, InvalidProxy> {
        Proxy::parse(text)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let userinfo = if self.credentials.is_some() { "***@" } else { "" };
        write!(f, "{}://{userinfo}{}:{}", self.scheme, self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// A proxy that cannot be used: why, and which variable of the environment names it. The text itself is not repeated,
/// since it may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidProxy {
    kind: InvalidProxyKind,
    from: Option<&'static str>,
}

impl InvalidProxy {
    /// Which rule was broken.
    pub const fn kind(self) -> InvalidProxyKind {
        self.kind
    }

    /// The variable that holds it; `None` if it was set by hand.
    pub const fn variable(self) -> Option<&'static str> {
        self.from
    }
}

/// The rules that a proxy's URL can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InvalidProxyKind {
    /// White space or a control byte inside.
    Space,
    /// The scheme is none of `http`, `https`, `socks5`, `socks5h`.
    Scheme,
    /// The host is empty or malformed.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// The credentials hold what must be percent-encoded, or what the proxy's protocol cannot carry.
    Credentials,
}

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.kind {
            InvalidProxyKind::Space => "white space and control bytes must be percent-encoded",
            InvalidProxyKind::Scheme => "the scheme must be http, https, socks5 or socks5h",
            InvalidProxyKind::Host => "the host is empty or malformed",
            InvalidProxyKind::Port => "the port must be a number from 1 to 65535",
            InvalidProxyKind::Credentials => {
                "the credentials are not percent-encoded, or the protocol cannot carry them"
            }
        };
        match self.from {
            Some(variable) => write!(f, "invalid proxy in {variable}: {text}"),
            None => write!(f, "invalid proxy: {text}"),
        }
    }
}

impl core::error::Error for InvalidProxy {}

/// Where a request goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Via<'a> {
    /// To the target itself.
    Direct(WhyDirect),
    /// To this proxy.
    Proxy(&'a Proxy),
}

/// Why no proxy is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WhyDirect {
    /// No proxy is set for the scheme.
    NoneSet,
    /// The target is this machine.
    Loopback,
    /// `NO_PROXY` names the target.
    Excluded,
}

/// Which proxy a request goes through, by scheme, host and port of its target.
///
/// [`from_env`](ProxyRules::from_env) knows `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` (for a scheme whose own variable
/// is not set) and `NO_PROXY`; in upper case, or where that is not set or empty, in lower case. A variable that cannot
/// be understood fails the requests that it would apply to: going direct instead could give away what the proxy hides.
///
/// ```
/// use antiphon_core::client::Scheme;
/// use antiphon_core::client::proxy::{ProxyRules, Via, WhyDirect};
///
/// // With std: ProxyRules::from_env(|name| std::env::var(name).ok())
/// let rules = ProxyRules::from_env(|name| match name {
///     "HTTPS_PROXY" => Some("http://proxy:3128".into()),
///     "NO_PROXY" => Some("intern.example,10.0.0.0/8".into()),
///     _ => None,
/// });
/// let Via::Proxy(proxy) = rules.route(Scheme::Https, "example.com", 443)? else { unreachable!() };
/// assert_eq!(proxy.to_string(), "http://proxy:3128");
/// assert_eq!(rules.route(Scheme::Https, "10.1.2.3", 443)?, Via::Direct(WhyDirect::Excluded));
/// assert_eq!(rules.route(Scheme::Https, "localhost", 443)?, Via::Direct(WhyDirect::Loopback));
/// assert_eq!(rules.route(Scheme::Http, "example.com", 80)?, Via::Direct(WhyDirect::NoneSet));
/// # Ok::<(), antiphon_core::client::proxy::InvalidProxy>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProxyRules {
    http: Option<Result<Proxy, InvalidProxy>>,
    https: Option<Result<Proxy, InvalidProxy>>,
    no_proxy: NoProxy,
    loopback_direct: bool,
}

impl ProxyRules {
    /// Every request goes direct.
    pub const DIRECT: ProxyRules = ProxyRules {
        http: None,
        https: None,
        no_proxy: NoProxy::NOTHING,
        loopback_direct: true,
    };

    /// The rules that the environment sets; `get` gives the value of a variable.
    ///
    /// Where `REQUEST_METHOD` is set, this is a CGI script, and `HTTP_PROXY` was set by whoever sent the request a
    /// field `Proxy`: it is ignored then. `http_proxy` still counts, unless both are one and the same.
    pub fn from_env(mut get: impl FnMut(&str) -> Option<String>) -> ProxyRules {
        let mut get = |name: &'static str| {
            get(name)
                .filter(|v| !v.trim_ascii().is_empty())
                .map(|v| (name, v))
        };
        let cgi = get("REQUEST_METHOD").is_some();
        let (upper, lower) = (get("HTTP_PROXY"), get("http_proxy"));
        let http = if cgi {
            // Names that ignore case (Windows) give the forged value under both.
            lower.filter(|(_, l)| upper.as_ref().is_none_or(|(_, u)| u != l))
        } else {
            upper.or(lower)
        };
        let https = get("HTTPS_PROXY").or_else(|| get("https_proxy"));
        let all = get("ALL_PROXY").or_else(|| get("all_proxy"));
        let no_proxy = get("NO_PROXY").or_else(|| get("no_proxy"));
        let read = |variable: Option<(&'static str, String)>| {
            let (name, value) = variable.or_else(|| all.clone())?;
            Some(Proxy::parse(&value).map_err(|e| InvalidProxy {
                from: Some(name),
                ..e
            }))
        };
        ProxyRules {
            http: read(http),
            https: read(https),
            no_proxy: no_proxy.map_or(NoProxy::NOTHING, |(_, v)| NoProxy::parse(&v)),
            loopback_direct: true,
        }
    }

    /// Every request goes through `proxy`, also one to this machine.
    pub fn all(proxy: Proxy) -> ProxyRules {
        ProxyRules {
            http: Some(Ok(proxy.clone())),
            https: Some(Ok(proxy)),
            loopback_direct: false,
            ..ProxyRules::DIRECT
        }
    }

    /// Sets the proxy for targets of this scheme.
    #[must_use]
    pub fn with(mut self, scheme: Scheme, proxy: Option<Proxy>) -> ProxyRules {
        match scheme {
            Scheme::Http => self.http = proxy.map(Ok),
            Scheme::Https => self.https = proxy.map(Ok),
        }
        self
    }

    /// Sets which targets are asked directly.
    #[must_use]
    pub fn except(mut self, no_proxy: NoProxy) -> ProxyRules {
        self.no_proxy = no_proxy;
        self
    }

    /// Whether this machine (`localhost` and loopback addresses) is always asked directly.
    #[must_use]
    pub fn loopback_direct(mut self, yes: bool) -> ProxyRules {
        self.loopback_direct = yes;
        self
    }

    /// Where a request goes. `host` may be an IPv6 literal with or without brackets.
    ///
    /// # Errors
    /// The variable that is set for the scheme cannot be understood, and the target is not one that goes direct.
    pub fn route(&self, scheme: Scheme, host: &str, port: u16) -> Result<Via<'_>, InvalidProxy> {
        let proxy = match scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        let Some(proxy) = proxy else {
            return Ok(Via::Direct(WhyDirect::NoneSet));
        };
        let target = Excluded::target(host, port);
        if self.loopback_direct && target.is_loopback() {
            return Ok(Via::Direct(WhyDirect::Loopback));
        }
        if self.no_proxy.matches(&target) {
            return Ok(Via::Direct(WhyDirect::Excluded));
        }
        proxy.as_ref().map(Via::Proxy).map_err(|e| *e)
    }

    /// Whether all that is set can be understood.
    ///
    /// # Errors
    /// The first proxy that cannot.
    pub fn check(&self) -> Result<(), InvalidProxy> {
        for proxy in [&self.http, &self.https].into_iter().flatten() {
            proxy.as_ref().map_err(|e| *e)?;
        }
        Ok(())
    }
}

impl Default for ProxyRules {
    fn default() -> ProxyRules {
        ProxyRules::DIRECT
    }
}
