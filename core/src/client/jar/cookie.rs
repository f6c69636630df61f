//! [`Cookie`]: one cookie that the jar keeps. How cookies look on the wire does not live here.

use crate::message::cookie::SameSite;
use crate::{Instant, Now, UnixTime};
use alloc::boxed::Box;
use core::fmt;

/// A cookie that a [`Jar`](super::Jar) keeps. [`Debug`](fmt::Debug) masks the value.
#[derive(Clone)]
pub struct Cookie {
    pub(super) name: Box<str>,
    pub(super) value: Box<str>,
    pub(super) domain: Box<str>,
    pub(super) host_only: bool,
    pub(super) path: Box<str>,
    pub(super) expires: Option<UnixTime>,
    /// When `Max-Age` is over by the monotonic clock, which nobody sets back.
    pub(super) ends: Option<Instant>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: Option<SameSite>,
    pub(super) partitioned: bool,
    /// The jar's tick when it was last set or sent.
    pub(super) used: u64,
}

impl Cookie {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, with its quotes if it has some. A secret, often.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The domain or host in lower case, without a leading dot; an IPv6 literal stands in brackets.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether it goes to that host only, not to those below it.
    pub const fn is_host_only(&self) -> bool {
        self.host_only
    }

    /// The path that it goes to, with all below.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// When it ends by the wall clock; `None` for a cookie of the session.
    pub const fn expires(&self) -> Option<UnixTime> {
        self.expires
    }

    /// `Secure`.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// `HttpOnly`.
    pub const fn is_http_only(&self) -> bool {
        self.http_only
    }

    /// `SameSite`; `None` if it was absent or unknown.
    pub const fn same_site(&self) -> Option<SameSite> {
        self.same_site
    }

    /// `Partitioned`.
    pub const fn is_partitioned(&self) -> bool {
        self.partitioned
    }

    /// Whether it has ended: it is not sent at that second or later.
    pub fn is_over(&self, now: Now) -> bool {
        self.expires.is_some_and(|t| t <= now.unix) || self.ends.is_some_and(|t| t <= now.mono)
    }

    /// Whether the newer of the two replaces the other.
    pub(super) fn is_same(&self, other: &Cookie) -> bool {
        self.name == other.name
            && self.domain == other.domain
            && self.path == other.path
            && self.host_only == other.host_only
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookie")
            .field("name", &self.name)
            .field("value", &format_args!("***"))
            .field("domain", &self.domain)
            .field("host_only", &self.host_only)
            .field("path", &self.path)
            .field("expires", &self.expires)
            .field("secure", &self.secure)
            .field("http_only", &self.http_only)
            .field("same_site", &self.same_site)
            .field("partitioned", &self.partitioned)
            .finish_non_exhaustive()
    }
}
