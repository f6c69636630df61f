//! [`Jar`]: the cookies that a client keeps, and which of them go with a request (RFC 6265 sections 5.3 and 5.4,
//! and of its successor draft what browsers do).
//!
//! What the fields look like does not live here ([`crate::message::cookie`] reads and writes them), and no list
//! of public suffixes ([`PublicSuffix`] asks for one). A driver gives it the `Set-Cookie` values of each response and puts
//! what it answers into each request; when, a [`Call`](super::Call) says.
//!
//! ```
//! use antiphon_core::client::{Jar, Url};
//! use antiphon_core::Now;
//!
//! let now = Now::default(); // the driver's clocks
//! let mut jar = Jar::new();
//! let login: Url = "https://www.example.com/login".parse()?;
//! jar.set_cookies(&login, ["id=7; Path=/; Secure", "lang=en; Domain=example.com; Max-Age=60"], now);
//!
//! let shop: Url = "https://shop.example.com/".parse()?;
//! assert_eq!(jar.cookie_header(&login, now).as_deref(), Some("id=7; lang=en"));
//! assert_eq!(jar.cookie_header(&shop, now).as_deref(), Some("lang=en"));
//! # Ok::<(), antiphon_core::client::InvalidUrl>(())
//! ```
//!
//! # What is kept
//!
//! - A cookie without `Domain` goes to the host that set it and to no other (*host-only*); one with `Domain` goes
//!   to that domain and all below it, which the host must be one of. Addresses have no domains. No cookie is
//!   kept for a public suffix, or for what lies above one, and none goes to a host of another registrable domain:
//!   if `vm.example.com` is a public suffix, its hosts don't get the cookies of `example.com`.
//! - Cookies are the same if name, domain, path and host-only agree. The newer one replaces the older one, and
//!   keeps its place in the order.
//! - `Secure` cookies are set and sent only over https, and to `localhost`, `*.localhost`, `127.0.0.0/8` and
//!   `[::1]`. Other places can neither replace nor hide one: what they set with the same name, for a domain
//!   above, at or below the domain of the secure one (both in one registrable domain) and for its path or one
//!   below it, is refused.
//! - `__Secure-` and `__Host-`, in any case, are promises: the cookie is refused if it does not keep them.
//! - `SameSite`, `HttpOnly` and `Partitioned` are stored and told, but change nothing: here are no sites that
//!   embed others, and no scripts.
//! - `Max-Age` beats `Expires`. It is measured by both clocks, and the cookie ends with the first, so that it
//!   does not live longer because a clock was set back or the machine slept.
//!
//! # When it is full
//!
//! [`JarConfig`] holds the bounds. Beyond [`max_per_domain`](JarConfig::max_per_domain), cookies of that
//! registrable domain go: those that have ended, then those without `Secure`, then the others; within each, that
//! one first which was neither set nor sent for longest. Beyond [`max_total`](JarConfig::max_total), all those that have
//! ended go, then the one of all domains which was neither set nor sent for longest.

mod config;
mod cookie;
mod matching;
#[cfg(test)]
mod model;
mod netscape;
mod suffix;
#[cfg(test)]
mod tests;

pub use self::config::JarConfig;
pub use self::cookie::Cookie;
use self::matching::{default_path, domain_matches, is_below, is_secure, path_matches, path_of};
pub use self::netscape::Loaded;
use self::suffix::registrable;
pub use self::suffix::{PublicSuffix, SingleLabels};
use super::Url;
use crate::message::cookie::{self as wire, InvalidCookie, MAX_ATTRIBUTE, SetCookie};
use crate::{Now, UnixTime};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// A domain name has at most 253 characters, and perhaps a dot behind it (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 254;

/// The cookies that a client keeps. See the [module](self) for the rules.
///
/// [`Debug`](fmt::Debug) masks the values.
#[derive(Clone)]
pub struct Jar<P = SingleLabels> {
    config: JarConfig,
    suffixes: P,
    /// By registrable domain; each in the order in which they were made; none empty.
    domains: BTreeMap<Box<str>, Vec<Cookie>>,
    /// Cookies in all of `domains`.
    len: usize,
    /// Numbers what happens, for the cookies' last use. No two cookies have the same number, but for those that
    /// were sent together.
    tick: u64,
}

/// What a `Set-Cookie` changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// The cookie is new.
    Added,
    /// It took the place of one with the same name, domain and path.
    Replaced,
    /// It had ended already, and took the one with the same name, domain and path with it.
    Removed,
    /// It had ended already, and there was no other.
    Nothing,
}

/// Why a cookie was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The field cannot be read.
    Invalid(InvalidCookie),
    /// Name and value together exceed [`JarConfig::max_cookie`], or the path or host exceeds what one can be.
    TooLarge,
    /// The host is not the cookie's `Domain`, nor below it.
    Domain,
    /// The cookie's `Domain` is a public suffix, or lies above one.
    PublicSuffix,
    /// A `Secure` cookie over http.
    InsecureOrigin,
    /// Over http, it would replace or hide a `Secure` cookie.
    HidesSecure,
    /// The name begins with `__Secure-` or `__Host-`, and the attributes don't keep what that promises.
    Prefix,
    /// The domain is full of `Secure` cookies, which one without does not push out.
    NoRoom,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Invalid(e) => return e.fmt(f),
            Refused::TooLarge => "the cookie, its path or its host is too large",
            Refused::Domain => "the host does not belong to the cookie's domain",
            Refused::PublicSuffix => "the cookie's domain is a public suffix",
            Refused::InsecureOrigin => "a Secure cookie came over http",
            Refused::HidesSecure => "a cookie that came over http would hide a Secure one",
            Refused::Prefix => "the cookie does not keep what the prefix of its name promises",
            Refused::NoRoom => "the jar is full of cookies that take precedence",
        })
    }
}

impl core::error::Error for Refused {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Refused::Invalid(e) => Some(e),
            _ => None,
        }
    }
}

impl Jar {
    /// An empty jar with the default settings, which knows no public suffixes but [`SingleLabels`].
    pub fn new() -> Jar {
        Jar::with_suffixes(JarConfig::DEFAULT, SingleLabels)
    }
}

impl<P: PublicSuffix + Default> Default for Jar<P> {
    fn default() -> Jar<P> {
        Jar::with_suffixes(JarConfig::DEFAULT, P::default())
    }
}

impl<P: PublicSuffix> Jar<P> {
    /// An empty jar with these settings and public suffixes.
    pub fn with_suffixes(config: JarConfig, suffixes: P) -> Jar<P> {
        Jar {
            config,
            suffixes,
            domains: BTreeMap::new(),
            len: 0,
            tick: 0,
        }
    }

    /// Takes the values of the `Set-Cookie` fields of a response from `url`, and tells how many were not
    /// refused. A cookie that is refused does not keep the others out; [`set_cookie`](Jar::set_cookie) tells why.
    pub fn set_cookies<V: AsRef<[u8]>>(
        &mut self,
        url: &Url,
        values: impl IntoIterator<Item = V>,
        now: Now,
    ) -> usize {
        let taken = |v: V| self.set_cookie(url, v.as_ref(), now).is_ok();
        values.into_iter().map(taken).filter(|&ok| ok).count()
    }

    /// Takes the value of one `Set-Cookie` field of a response from `url`.
    ///
    /// # Errors
    /// [`Refused`] tells why it is not kept; then nothing has changed.
    pub fn set_cookie(&mut self, url: &Url, value: &[u8], now: Now) -> Result<Change, Refused> {
        let set = SetCookie::parse(value).map_err(Refused::Invalid)?;
        let host = url.host();
        let path = set.get_path().unwrap_or(default_path(path_of(url)));
        self.check_size(set.name(), set.value(), host, path)?;
        let key = registrable(&self.suffixes, host);
        let (domain, host_only) = match set.get_domain() {
            None => (host, true),
            Some(domain) if domain.ends_with('.') || !domain_matches(host, domain) => {
                return Err(Refused::Domain);
            }
            Some(domain) if domain.len() < key.len() => return Err(Refused::PublicSuffix),
            // A public suffix or an address may set cookies for itself.
            Some(domain) => (domain, self.stands_alone(domain)),
        };
        let secure_origin = is_secure(url);
        if set.is_secure() && !secure_origin {
            return Err(Refused::InsecureOrigin);
        }
        check_prefix(
            set.name(),
            set.is_secure(),
            host_only && set.get_domain().is_none(),
            set.get_path() == Some("/"),
        )?;
        let mut cookie = Cookie {
            name: set.name().into(),
            value: set.value().into(),
            domain: domain.into(),
            host_only,
            path: path.into(),
            expires: None,
            ends: None,
            secure: set.is_secure(),
            http_only: set.is_http_only(),
            same_site: set.get_same_site(),
            partitioned: set.is_partitioned(),
            used: 0,
        };
        if !secure_origin && self.hides_secure(key, &cookie, now) {
            return Err(Refused::HidesSecure);
        }
        if let Some(seconds) = set.get_max_age() {
            let age = Duration::from_secs(seconds.unsigned_abs());
            let age = self.config.max_lifetime.map_or(age, |max| age.min(max));
            cookie.expires = Some(later(now.unix, age));
            cookie.ends = Some(now.mono + age);
        } else if let Some(t) = set.get_expires() {
            cookie.expires = Some(self.capped(t, now));
        }
        let key = key.into();
        self.put(key, cookie, now)
    }

    /// The value of the field `Cookie` of a request for `url`; `None` if no cookie goes with it. Longer paths
    /// come first, then those that were made earlier (RFC 6265, section 5.4).
    pub fn cookie_header(&mut self, url: &Url, now: Now) -> Option<String> {
        let mut header = String::new();
        self.write_cookie_header(url, now, &mut header);
        Some(header).filter(|h| !h.is_empty())
    }

    /// Appends what [`cookie_header`](Jar::cookie_header) gives to `header`, which may hold cookies already
    /// (their length counts for [`JarConfig::max_header`]), and tells how many cookies that were.
    pub fn write_cookie_header(&mut self, url: &Url, now: Now, header: &mut String) -> usize {
        let (host, path, secure) = (url.host(), path_of(url), is_secure(url));
        let Some(cookies) = self.domains.get_mut(registrable(&self.suffixes, host)) else {
            return 0;
        };
        let mut chosen: Vec<&mut Cookie> = cookies
            .iter_mut()
            .filter(|c| {
                let domain = match c.host_only {
                    true => host == &*c.domain,
                    false => domain_matches(host, &c.domain),
                };
                domain && path_matches(path, &c.path) && (secure || !c.secure) && !c.is_over(now)
            })
            .collect();
        // The sort is stable, and `cookies` are in the order in which they were made.
        chosen.sort_by_key(|c| core::cmp::Reverse(c.path.len()));
        self.tick += 1;
        let mut count = 0;
        for cookie in chosen {
            let joint = if header.is_empty() { 0 } else { 2 };
            let more = joint + cookie.name.len() + 1 + cookie.value.len();
            if header.len() + more > self.config.max_header {
                break;
            }
            wire::push(header, &cookie.name, &cookie.value);
            cookie.used = self.tick;
            count += 1;
        }
        count
    }

    /// All cookies, those that have ended included: by registrable domain, and in the order in which they were
    /// made.
    pub fn iter(&self) -> impl Iterator<Item = &Cookie> {
        self.domains.values().flatten()
    }

    /// How many cookies there are, those that have ended included.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no cookie.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Removes the cookies with this domain (without a leading dot), path and name, and tells whether there was
    /// one.
    pub fn remove(&mut self, domain: &str, path: &str, name: &str) -> bool {
        let before = self.len;
        self.retain(|c| (&*c.domain, &*c.path, &*c.name) != (domain, path, name));
        self.len < before
    }

    /// Removes the cookies for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(&Cookie) -> bool) {
        self.domains.retain(|_, cookies| {
            cookies.retain(&mut keep);
            !cookies.is_empty()
        });
        self.len = self.domains.values().map(Vec::len).sum();
    }

    /// Removes the cookies that have ended.
    pub fn remove_expired(&mut self, now: Now) {
        self.retain(|c| !c.is_over(now));
    }

    /// Removes the cookies that last for the session only, as a browser does when it is closed.
    pub fn end_session(&mut self) {
        self.retain(|c| c.expires.is_some());
    }

    /// Removes all cookies.
    pub fn clear(&mut self) {
        self.domains.clear();
        self.len = 0;
    }

    /// Whether `domain` is an address or a public suffix, so that nothing below it shares its cookies.
    fn stands_alone(&self, domain: &str) -> bool {
        suffix::is_address(domain) || !domain.contains('.') || self.suffixes.is_public_suffix(domain)
    }

    fn check_size(&self, name: &str, value: &str, host: &str, path: &str) -> Result<(), Refused> {
        let fits = name.len() + value.len() <= self.config.max_cookie
            && host.len() <= MAX_HOST
            && path.len() <= MAX_ATTRIBUTE;
        if fits { Ok(()) } else { Err(Refused::TooLarge) }
    }

    /// Whether there is a secure cookie that `cookie`, which came over http, would replace or hide ("leave
    /// secure cookies alone").
    fn hides_secure(&self, key: &str, cookie: &Cookie, now: Now) -> bool {
        let related = |a: &str, b: &str| a == b || is_below(a, b) || is_below(b, a);
        self.domains.get(key).is_some_and(|cookies| {
            cookies.iter().any(|c| {
                c.secure
                    && !c.is_over(now)
                    && c.name == cookie.name
                    && related(&c.domain, &cookie.domain)
                    && path_matches(&cookie.path, &c.path)
            })
        })
    }

    /// `t`, but no later than the longest lifetime from now.
    fn capped(&self, t: UnixTime, now: Now) -> UnixTime {
        match self.config.max_lifetime {
            Some(max) => t.min(later(now.unix, max)),
            None => t,
        }
    }

    /// Stores `cookie`, or removes its predecessor if it has ended, and makes room.
    fn put(&mut self, key: Box<str>, mut cookie: Cookie, now: Now) -> Result<Change, Refused> {
        // What has ended is no predecessor and takes no room.
        self.remove_expired_of(&key, now);
        self.tick += 1;
        cookie.used = self.tick;
        let old = self
            .domains
            .get(&key)
            .and_then(|cs| cs.iter().position(|c| c.is_same(&cookie)));
        if cookie.is_over(now) {
            let Some(i) = old else {
                return Ok(Change::Nothing);
            };
            self.take(&key, i);
            return Ok(Change::Removed);
        }
        let cookies = self.domains.entry(key.clone()).or_default();
        if let Some(i) = old {
            // "Update the creation-time of the newly created cookie to match [that] of the old-cookie": its
            // place among the cookies is its age.
            cookies[i] = cookie;
            return Ok(Change::Replaced);
        }
        let tick = cookie.used;
        cookies.push(cookie);
        self.len += 1;
        self.evict(&key, now);
        // Nothing is younger, so that it can only be the last one.
        let kept = self.domains.get(&key).and_then(|cs| cs.last());
        match kept {
            Some(c) if c.used == tick => Ok(Change::Added),
            _ => Err(Refused::NoRoom),
        }
    }

    fn remove_expired_of(&mut self, key: &str, now: Now) {
        if let Some(cookies) = self.domains.get_mut(key) {
            let before = cookies.len();
            cookies.retain(|c| !c.is_over(now));
            self.len -= before - cookies.len();
            if cookies.is_empty() {
                self.domains.remove(key);
            }
        }
    }

    /// Keeps the bounds after a cookie was added to `key`, in which none has ended.
    fn evict(&mut self, key: &str, now: Now) {
        while let Some(cookies) = self.domains.get(key)
            && cookies.len() > self.config.max_per_domain
            && let Some(i) = (0..cookies.len()).min_by_key(|&i| (cookies[i].secure, cookies[i].used))
        {
            self.take(key, i);
        }
        if self.len > self.config.max_total {
            self.remove_expired(now);
        }
        while self.len > self.config.max_total {
            let all = self.domains.iter();
            let all = all.flat_map(|(key, cs)| cs.iter().enumerate().map(move |(i, c)| (c.used, key, i)));
            let Some((key, i)) = all.min().map(|(_, key, i)| (key.clone(), i)) else {
                return;
            };
            self.take(&key, i);
        }
    }

    /// Removes the cookie at `i` of `key`.
    fn take(&mut self, key: &str, i: usize) {
        if let Some(cookies) = self.domains.get_mut(key) {
            cookies.remove(i);
            self.len -= 1;
            if cookies.is_empty() {
                self.domains.remove(key);
            }
        }
    }
}

/// `__Secure-` promises `Secure`; `__Host-` also that there is no `Domain`, and that `Path` is `/`.
fn check_prefix(name: &str, secure: bool, host_only: bool, root: bool) -> Result<(), Refused> {
    let has = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|p| p.eq_ignore_ascii_case(prefix))
    };
    let kept = if has("__Host-") {
        secure && host_only && root
    } else {
        secure || !has("__Secure-")
    };
    if kept { Ok(()) } else { Err(Refused::Prefix) }
}

fn later(t: UnixTime, age: Duration) -> UnixTime {
    UnixTime(t.0.saturating_add_unsigned(age.as_secs()))
}

impl<P> fmt::Debug for Jar<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jar")
            .field("config", &self.config)
            .field("cookies", &self.domains)
            .finish_non_exhaustive()
    }
}
