//! [`Route`]: how a URL is reached: through which proxy, whose connections may serve it, and in which form the request
//! is worded there.
//!
//! Which proxy goes with which target is decided in [`proxy`](super::proxy), the steps of connecting in
//! [`connect`](super::connect).

use super::connect::{Connect, ConnectConfig};
use super::pool::{Key, Scheme};
use super::proxy::{InvalidProxy, Proxy, ProxyRules, Via, WhyDirect};
use super::url::Url;
use crate::{Instant, Method};
use alloc::boxed::Box;

/// The way to a URL.
///
/// ```
/// use antiphon_core::client::{ProxyRules, Route, Url};
///
/// let rules = ProxyRules::all("http://proxy:3128".parse()?);
/// let plain = Route::new(&Url::parse("http://example.com/")?, &rules)?;
/// let other = Route::new(&Url::parse("http://example.org:8080/")?, &rules)?;
/// // The proxy reads the whole URL: any of its connections will do.
/// assert!(plain.is_forwarded());
/// assert_eq!(plain.key(), other.key());
///
/// let tls = Route::new(&Url::parse("https://example.com/")?, &rules)?;
/// assert!(!tls.is_forwarded());
/// assert_eq!(tls.key().to_string(), "https://example.com:443 through http://proxy:3128");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Route {
    key: Key,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Direct(WhyDirect),
    /// The proxy passes it on itself; its connections' key does not name the target, which is this.
    Forward {
        proxy: Proxy,
        host: Box<str>,
        port: u16,
    },
    /// Through a tunnel or a SOCKS proxy.
    Through(Proxy),
}

impl Route {
    /// The way that `rules` choose.
    ///
    /// # Errors
    /// The rule that applies cannot be understood.
    pub fn new(url: &Url, rules: &ProxyRules) -> Result<Route, InvalidProxy> {
        let (key, way) = match rules.route(url.scheme(), url.host(), url.port())? {
            Via::Direct(why) => (url.key(), Way::Direct(why)),
            Via::Proxy(proxy) if url.scheme() == Scheme::Http && !proxy.scheme().is_socks() => {
                let way = Way::Forward {
                    proxy: proxy.clone(),
                    host: url.host().into(),
                    port: url.port(),
                };
                (Key::forwarded(&proxy.pool_key()), way)
            }
            Via::Proxy(proxy) => (url.key().through(&proxy.pool_key()), Way::Through(proxy.clone())),
        };
        Ok(Route { key, way })
    }

    /// The way without a proxy, whatever is set.
    pub fn direct(url: &Url) -> Route {
        Route {
            key: url.key(),
            way: Way::Direct(WhyDirect::NoneSet),
        }
    }

    /// The way of a request: a CONNECT of the caller's own asks the URL's host for a tunnel, so that it goes there.
    pub(super) fn of(method: &Method, url: &Url, rules: &ProxyRules) -> Result<Route, InvalidProxy> {
        if *method == Method::CONNECT {
            Ok(Route::direct(url))
        } else {
            Route::new(url, rules)
        }
    }

    /// Whose connections may serve a request that goes this way.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The proxy, if there is one.
    pub const fn proxy(&self) -> Option<&Proxy> {
        match &self.way {
            Way::Direct(_) => None,
            Way::Forward { proxy, .. } | Way::Through(proxy) => Some(proxy),
        }
    }

    /// Why there is none.
    pub const fn why_direct(&self) -> Option<WhyDirect> {
        match &self.way {
            Way::Direct(why) => Some(*why),
            Way::Forward { .. } | Way::Through(_) => None,
        }
    }

    /// The scheme of the target.
    pub const fn scheme(&self) -> Scheme {
        self.key.scheme()
    }

    /// The target's host; an IPv6 literal stands in brackets.
    pub fn host(&self) -> &str {
        match &self.way {
            Way::Forward { host, .. } => host,
            _ => self.key.host(),
        }
    }

    /// The target's port.
    pub const fn port(&self) -> u16 {
        match &self.way {
            Way::Forward { port, .. } => *port,
            _ => self.key.port(),
        }
    }

    /// Whether requests are sent to a proxy, in absolute form (RFC 9112, section 3.2.2): `http` through an HTTP proxy.
    pub const fn is_forwarded(&self) -> bool {
        matches!(self.way, Way::Forward { .. })
    }

    /// Begins to connect.
    pub fn connect(&self, config: ConnectConfig, now: Instant) -> Connect {
        Connect::new(
            config,
            self.scheme(),
            self.host(),
            self.port(),
            self.proxy().cloned(),
            now,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn way(url: &str, proxy: &str) -> Route {
        Route::new(&url.parse().unwrap(), &ProxyRules::all(proxy.parse().unwrap())).unwrap()
    }

    #[test]
    fn pl1_who_shares_connections() {
        let rows = [
            ("http://a/", "http://p:1", "http through http://p:1", true),
            ("http://b:81/", "http://p:1", "http through http://p:1", true),
            ("http://a/", "http://u:pw@p:1", "http through http://p:1", true),
            ("http://a/", "https://p:1", "http through https://p:1", true),
            (
                "https://a/",
                "http://p:1",
                "https://a:443 through http://p:1",
                false,
            ),
            (
                "http://a/",
                "socks5://p:1",
                "http://a:80 through socks5://p:1",
                false,
            ),
            (
                "http://a/",
                "socks5h://p:1",
                "http://a:80 through socks5h://p:1",
                false,
            ),
        ];
        for (url, proxy, key, forwarded) in rows {
            let route = way(url, proxy);
            assert_eq!(
                (route.key().to_string().as_str(), route.is_forwarded()),
                (key, forwarded)
            );
        }
        // Whom the proxy takes us for may decide what it lets through.
        assert_ne!(
            way("http://a/", "http://p:1").key(),
            way("http://a/", "http://u:pw@p:1").key()
        );
    }

    #[test]
    fn a_rule_that_cannot_be_understood_fails_what_it_applies_to() {
        let rules = ProxyRules::from_env(|name| (name == "HTTPS_PROXY").then(|| "ftp://p".into()));
        assert!(Route::new(&"https://a/".parse().unwrap(), &rules).is_err());
        let direct = Route::new(&"http://a/".parse().unwrap(), &rules).unwrap();
        assert_eq!(direct.why_direct(), Some(WhyDirect::NoneSet));
        assert_eq!(direct.key().to_string(), "http://a:80");
    }

    #[test]
    fn a_connect_of_the_callers_own_goes_to_its_host() {
        let rules = ProxyRules::all("http://p:1".parse().unwrap());
        let route = Route::of(&Method::CONNECT, &"http://a/".parse().unwrap(), &rules).unwrap();
        assert!(route.proxy().is_none());
    }
}
