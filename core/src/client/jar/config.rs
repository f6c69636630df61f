//! The settings of the jar: every bound beside its default.

#[cfg(doc)]
use super::Jar;
use core::time::Duration;

/// The settings of a [`Jar`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JarConfig {
    /// Bytes of a cookie's name and value together; larger ones are refused. Default: 4096, as browsers have it.
    pub max_cookie: usize,
    /// Cookies of one registrable domain (`example.com` with all hosts below it). Default: 180, as Chromium has
    /// it; RFC 6265 wants at least 50.
    pub max_per_domain: usize,
    /// Cookies of all domains together. Default: 3000, what RFC 6265 wants at least.
    pub max_total: usize,
    /// Bytes of one `Cookie` field value: the first cookie that does not fit is left out with all behind it,
    /// which are those with the shorter paths and the younger ones. Default: 8190, as curl has it; most servers
    /// refuse more.
    pub max_header: usize,
    /// How long a cookie may last, whatever it says. Default: 400 days, as browsers have it. `None`: as it says.
    pub max_lifetime: Option<Duration>,
}

impl JarConfig {
    /// The defaults.
    pub const DEFAULT: JarConfig = JarConfig {
        max_cookie: 4096,
        max_per_domain: 180,
        max_total: 3000,
        max_header: 8190,
        max_lifetime: Some(Duration::from_secs(400 * 24 * 3600)),
    };
}

impl Default for JarConfig {
    fn default() -> JarConfig {
        JarConfig::DEFAULT
    }
}
