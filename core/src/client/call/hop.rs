//! One request of a call's chain: what is added to it (credentials of the URL, `Accept-Encoding`), and where it leads.

use super::super::basic::Basic;
use super::super::pool::Scheme;
use super::super::prepare::{Prepared, Unsendable};
use super::super::proxy::InvalidProxy;
use super::super::route::Route;
use super::super::url::Url;
use super::CallConfig;
use super::content::{Ask, ask};
use crate::h1::BodyLen;
use crate::{Headers, Method};
use alloc::borrow::Cow;

/// One request of the chain.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) route: Route,
    pub(super) headers: Headers,
    /// Where the jar takes it to lead, if that is not the URL.
    cookie_url: Option<Url>,
    pub(super) asked: Ask,
}

impl Hop {
    pub(super) fn new(
        method: Method,
        url: Url,
        mut headers: Headers,
        config: &CallConfig,
    ) -> Result<Hop, InvalidProxy> {
        let route = Route::of(&method, &url, &config.proxies)?;
        if !headers.contains("authorization")
            && let Some(basic) = Basic::of_url(&url)
        {
            add(&mut headers, "authorization", basic.to_value().as_bytes());
        }
        let asked = ask(config.codings, &method, headers.as_fields());
        if asked == Ask::Yes {
            add(
                &mut headers,
                "accept-encoding",
                config.codings.accept_encoding().as_bytes(),
            );
        }
        let cookie_url = headers.get_str("host").and_then(|h| url.with_host(h));
        Ok(Hop {
            route,
            method,
            url,
            headers,
            cookie_url,
            asked,
        })
    }

    pub(super) fn cookie_url(&self) -> &Url {
        self.cookie_url.as_ref().unwrap_or(&self.url)
    }

    pub(super) fn prepared<'a>(&'a self, config: &'a CallConfig, len: BodyLen) -> Prepared<'a> {
        Prepared::settled(
            &self.method,
            Cow::Borrowed(&self.url),
            &self.headers,
            &config.user_agent,
            len,
        )
        .via(&self.route)
    }

    pub(super) fn check(&self, config: &CallConfig, len: BodyLen) -> Result<(), Unsendable> {
        if config.plain_only && self.url.scheme() == Scheme::Https {
            return Err(Unsendable::Tls);
        }
        self.prepared(config, len).check::<Headers>(None)
    }
}

/// Adds a field that this module made: it is valid, and small.
pub(super) fn add(headers: &mut Headers, name: &str, value: &[u8]) {
    let added = headers.append(name, value);
    debug_assert!(added.is_ok(), "{name} is made of visible ASCII");
}
