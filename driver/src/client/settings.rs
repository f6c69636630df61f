//! [`Calls`]: what the calls of a client have in common.

#[cfg(feature = "cookies")]
use crate::Cookies;
use antiphon_core::client::call::SetCookies;
use antiphon_core::client::{CallConfig, Url};
use antiphon_core::{Headers, Now};
use std::sync::Arc;

/// What the calls of a client have in common.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    pub(super) config: Arc<CallConfig>,
    /// Sent unless the request has fields of their names.
    pub(super) headers: Headers,
    #[cfg(feature = "cookies")]
    pub(super) cookies: Option<Cookies>,
}

impl Calls {
    /// The value of `Cookie` for a request to `url`.
    #[cfg_attr(not(feature = "cookies"), allow(clippy::unused_self))]
    pub(super) fn cookie_header(&self, url: &Url, now: Now) -> Option<String> {
        #[cfg(feature = "cookies")]
        return self.cookies.as_ref()?.header(url, now);
        #[cfg(not(feature = "cookies"))]
        {
            let _ = (url, now);
            None
        }
    }

    /// Keeps what a response sets.
    #[cfg_attr(not(feature = "cookies"), allow(clippy::unused_self))]
    pub(super) fn store_cookies(&self, set: SetCookies<'_, '_>, now: Now) {
        #[cfg(feature = "cookies")]
        if let Some(cookies) = &self.cookies
            && set.values().next().is_some()
        {
            cookies.store(set.url(), set.values(), now);
        }
        #[cfg(not(feature = "cookies"))]
        let _ = (set, now);
    }

    /// The fields of a request: its own, and those of the client's whose names it does not have.
    pub(super) fn complete(&self, headers: &mut Headers) {
        let own = headers.len();
        for field in &self.headers {
            if !headers.iter().take(own).any(|f| f.name.is(field.name.as_str())) {
                // What was taken once is taken again; beyond 4 GiB of fields it is not.
                let _ = headers.push(field);
            }
        }
    }
}
