//! [`PublicSuffix`]: below which domains anybody can have a name. The list itself does not live here: a library
//! above brings one.

use alloc::boxed::Box;
use alloc::sync::Arc;

/// Knows the public suffixes: the domains below which anybody can have a name, such as `com`, `co.uk` and
/// `github.io`. No cookie is kept for all of one, or one customer could set cookies for the others.
///
/// ```
/// use antiphon_core::client::{Jar, JarConfig, PublicSuffix};
/// use antiphon_core::Now;
///
/// struct Uk;
/// impl PublicSuffix for Uk {
///     fn is_public_suffix(&self, domain: &str) -> bool {
///         domain == "co.uk"
///     }
/// }
///
/// let url = "https://shop.co.uk/".parse()?;
/// let (mut careful, mut plain) = (Jar::with_suffixes(JarConfig::DEFAULT, Uk), Jar::new());
/// assert!(careful.set_cookie(&url, b"a=b; Domain=co.uk", Now::default()).is_err());
/// assert!(plain.set_cookie(&url, b"a=b; Domain=co.uk", Now::default()).is_ok()); // for every shop in the UK!
/// # Ok::<(), antiphon_core::client::InvalidUrl>(())
/// ```
pub trait PublicSuffix {
    /// Whether `domain` is a public suffix. It is in lower case and in its `xn--` form, the root's dot
    /// is cut off, and it is no IP address. Single labels are public suffixes, whatever this says.
    fn is_public_suffix(&self, domain: &str) -> bool;
}

/// The public suffixes of those who have no list: the single labels (`com`, `uk`, `localhost`) and no others.
///
/// This stops cookies for all of `com`, but not those for all of `co.uk` or `github.io`. A client that talks to
/// hosts which do not trust each other wants the real list.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleLabels;

impl PublicSuffix for SingleLabels {
    fn is_public_suffix(&self, domain: &str) -> bool {
        !domain.contains('.')
    }
}

impl<P: PublicSuffix + ?Sized> PublicSuffix for Box<P> {
    fn is_public_suffix(&self, domain: &str) -> bool {
        (**self).is_public_suffix(domain)
    }
}

impl<P: PublicSuffix + ?Sized> PublicSuffix for Arc<P> {
    fn is_public_suffix(&self, domain: &str) -> bool {
        (**self).is_public_suffix(domain)
    }
}

/// The registrable domain of `host`: its longest public suffix and one label more. A host that is itself a
/// public suffix, or an address, stands for itself.
///
/// The longest one counts, not the shortest: with `vm.example.com` public and `example.com` not, the customers
/// below `vm.example.com` share nothing above it.
pub(super) fn registrable<'a>(suffixes: &(impl PublicSuffix + ?Sized), host: &'a str) -> &'a str {
    if is_address(host) {
        return host;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut found = host;
    let mut suffix = host;
    loop {
        if !suffix.contains('.') || suffixes.is_public_suffix(suffix) {
            return found;
        }
        found = suffix;
        suffix = suffix.split_once('.').map_or("", |(_, rest)| rest);
    }
}

/// Whether `host` is an IP address, or would be read as one: IPv6 stands in brackets, and a host whose last
/// label is a number is IPv4 (`127.1` and `0x7f.1` are `127.0.0.1` to many resolvers).
pub(super) fn is_address(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    let hex = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    let digits = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    host.starts_with('[') || digits || hex.is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
}
