//! [`Cookies`]: one cookie jar for all who share a client, with the public suffix list.
//!
//! The rules are the core's ([`Jar`]); the lock and the list are here. Reading and writing a file of cookies is not:
//! [`load_netscape`](Cookies::load_netscape) and [`to_netscape`](Cookies::to_netscape) deal in text.

use antiphon_core::Now;
use antiphon_core::client::jar::Loaded;
use antiphon_core::client::{Jar, JarConfig, PublicSuffix, Url};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The public suffix list, as it was when the crate `psl` was released: `com`, `co.uk`, `github.io`, ...
///
/// The private part of the list (`github.io`) counts as the other does: customers of one company do not trust each
/// other either.
#[derive(Clone, Copy, Debug, Default)]
pub struct SuffixList;

impl PublicSuffix for SuffixList {
    fn is_public_suffix(&self, domain: &str) -> bool {
        psl::suffix_str(domain) == Some(domain)
    }
}

/// A cookie jar that can be shared: a clone is the same jar.
///
/// ```
/// use antiphon_core::Now;
/// use antiphon_support::cookies::Cookies;
///
/// let now = Now::default(); // the driver's clocks
/// let cookies = Cookies::new();
/// let shop = "https://shop.example.com/".parse()?;
/// assert_eq!(cookies.store(&shop, ["id=7; Domain=example.com"], now), 1);
/// let other = "https://www.example.com/".parse()?;
/// assert_eq!(cookies.clone().header(&other, now).as_deref(), Some("id=7"));
/// # Ok::<(), antiphon_core::client::InvalidUrl>(())
/// ```
#[derive(Clone, Default)]
pub struct Cookies {
    jar: Arc<Mutex<Jar<SuffixList>>>,
}

impl Cookies {
    /// An empty jar with the default bounds.
    pub fn new() -> Cookies {
        Cookies::default()
    }

    /// An empty jar with these bounds.
    pub fn with_config(config: JarConfig) -> Cookies {
        Cookies {
            jar: Arc::new(Mutex::new(Jar::with_suffixes(config, SuffixList))),
        }
    }

    /// The value of the field `Cookie` of a request for `url`; `None` if no cookie goes with it.
    pub fn header(&self, url: &Url, now: Now) -> Option<String> {
        self.lock().cookie_header(url, now)
    }

    /// Takes the values of the `Set-Cookie` fields of a response from `url`, and tells how many were not refused.
    /// [`Jar::set_cookie`], through [`with`](Cookies::with), tells why one was.
    pub fn store<V: AsRef<[u8]>>(&self, url: &Url, values: impl IntoIterator<Item = V>, now: Now) -> usize {
        self.lock().set_cookies(url, values, now)
    }

    /// Adds the cookies of a Netscape cookie file, as curl writes it. Lines that are no cookie are skipped and
    /// counted.
    pub fn load_netscape(&self, text: &[u8], now: Now) -> Loaded {
        self.lock().load_netscape(text, now)
    }

    /// All cookies that have not ended, as a Netscape cookie file. It holds secrets: let nobody else read it.
    pub fn to_netscape(&self, now: Now) -> String {
        self.lock().to_netscape(now)
    }

    /// Something else with the jar. Nobody else has it meanwhile: `f` must not use these [`Cookies`], nor wait.
    pub fn with<R>(&self, f: impl FnOnce(&mut Jar<SuffixList>) -> R) -> R {
        f(&mut self.lock())
    }

    /// The jar has no state between its calls that a panic in [`with`](Cookies::with) could spoil.
    fn lock(&self) -> MutexGuard<'_, Jar<SuffixList>> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells how many there are, and nothing of what they say.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Cookies");
        // Not `lock`: a log line within `with` must not hang.
        if let Ok(jar) = self.jar.try_lock() {
            s.field("len", &jar.len());
        }
        s.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use antiphon_core::client::jar::Refused;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn suffixes_of_the_list() {
        for (domain, public) in [
            ("com", true),
            ("example.com", false),
            ("co.uk", true),
            ("example.co.uk", false),
            ("github.io", true),
            ("me.github.io", false),
            // A rule with a star, and an exception to it.
            ("anything.ck", true),
            ("www.ck", false),
            // Written in the list as 公司.cn.
            ("xn--55qx5d.cn", true),
            ("example.xn--55qx5d.cn", false),
            // Not in the list.
            ("intranet", true),
            ("host.intranet", false),
        ] {
            assert_eq!(SuffixList.is_public_suffix(domain), public, "{domain}");
        }
    }

    #[test]
    fn no_cookie_for_a_public_suffix() {
        let (cookies, now) = (Cookies::new(), Now::default());
        let refused =
            cookies.with(|jar| jar.set_cookie(&url("https://a.github.io/"), b"a=b; Domain=github.io", now));
        assert_eq!(refused, Err(Refused::PublicSuffix));
        assert_eq!(
            cookies.store(&url("https://a.co.uk/"), ["a=b; Domain=co.uk", "c=d"], now),
            1
        );
        assert_eq!(cookies.header(&url("https://b.co.uk/"), now), None);
        assert_eq!(
            cookies.header(&url("https://a.co.uk/"), now).as_deref(),
            Some("c=d")
        );
    }

    #[test]
    fn a_clone_is_the_same_jar_and_a_file_keeps_it() {
        let (cookies, now) = (Cookies::new(), Now::default());
        let (shared, site) = (cookies.clone(), url("https://example.org/"));
        shared.store(&site, ["id=7"], now);
        assert_eq!(cookies.header(&site, now).as_deref(), Some("id=7"));
        let again = Cookies::new();
        let loaded = again.load_netscape(cookies.to_netscape(now).as_bytes(), now);
        assert_eq!((loaded.cookies, loaded.refused), (1, 0));
        assert_eq!(again.header(&site, now).as_deref(), Some("id=7"));
        again.with(|jar| jar.clear());
        assert_eq!(again.header(&site, now), None);
        assert!(cookies.header(&site, now).is_some());
    }

    #[test]
    fn the_bounds_hold() {
        let mut config = JarConfig::DEFAULT;
        config.max_total = 2;
        let (cookies, now) = (Cookies::with_config(config), Now::default());
        cookies.store(&url("https://example.org/"), ["a=1", "b=2", "c=3"], now);
        assert_eq!(cookies.with(|jar| jar.len()), 2);
    }

    #[test]
    fn debug_keeps_secrets_and_never_waits() {
        let (cookies, now) = (Cookies::new(), Now::default());
        cookies.store(&url("https://example.org/"), ["name=secret"], now);
        assert_eq!(format!("{cookies:?}"), "Cookies { len: 1, .. }");
        assert_eq!(cookies.with(|_| format!("{cookies:?}")), "Cookies { .. }");
    }

    #[test]
    fn a_panic_does_not_take_the_jar_away() {
        let (cookies, now) = (Cookies::new(), Now::default());
        let shared = cookies.clone();
        let panicked = std::thread::spawn(move || shared.with(|_| panic!("on purpose"))).join();
        assert!(panicked.is_err());
        assert_eq!(cookies.store(&url("https://example.org/"), ["a=1"], now), 1);
    }
}
