//! One request of a call's chain: what is added to it (credentials of the URL, `Accept-Encoding`), and where it leads.

use super::super::basic::Basic;
use super::super::pool::Scheme;
use super::super::prepare::{Prepared, Unsendable};
use super::super::route::Route;
use super::super::url::Url;
use super::CallConfig;
use super::content::{Ask, Codings, ask};
use crate::h1::BodyLen;
use crate::{Headers, Method};
use alloc::borrow::Cow;

/// One request of the chain.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) route: Route,
    /// Its fields, where they are not the caller's as they stand.
    own: Option<Headers>,
    /// Where the jar takes it to lead, if that is not the URL.
    cookie_url: Option<Url>,
    pub(super) asked: Ask,
}

impl Hop {
    /// `base`: the caller's fields, as far as they have come. `own`: what this hop has instead.
    pub(super) fn new(
        method: Method,
        url: Url,
        route: Route,
        base: &Headers,
        own: Option<Headers>,
        config: &CallConfig,
    ) -> Hop {
        let mut hop = Hop {
            route,
            method,
            url,
            own,
            cookie_url: None,
            asked: Ask::NothingDecoded,
        };
        if !hop.headers(base).contains("authorization")
            && let Some(basic) = Basic::of_url(&hop.url)
        {
            add(
                hop.headers_mut(base),
                "authorization",
                basic.to_value().as_bytes(),
            );
        }
        let headers = hop.headers(base);
        let asked = ask(config.codings, &hop.method, headers.as_fields());
        let cookie_url = headers.get_str("host").and_then(|h| hop.url.with_host(h));
        (hop.asked, hop.cookie_url) = (asked, cookie_url);
        hop
    }

    /// Its fields, but for `Accept-Encoding`.
    pub(super) fn headers<'a>(&'a self, base: &'a Headers) -> &'a Headers {
        self.own.as_ref().unwrap_or(base)
    }

    pub(super) fn headers_mut(&mut self, base: &Headers) -> &mut Headers {
        self.own.get_or_insert_with(|| base.clone())
    }

    pub(super) fn cookie_url(&self) -> &Url {
        self.cookie_url.as_ref().unwrap_or(&self.url)
    }

    pub(super) fn prepared<'a>(
        &'a self,
        config: &'a CallConfig,
        base: &'a Headers,
        len: BodyLen,
    ) -> Prepared<'a> {
        let (url, agent) = (Cow::Borrowed(&self.url), &config.user_agent);
        let codings = match self.asked {
            Ask::Yes => config.codings,
            _ => Codings::NONE,
        };
        Prepared::settled(&self.method, url, self.headers(base), agent, len)
            .accepting(codings.accept_encoding())
            .via(&self.route)
    }

    pub(super) fn check(&self, config: &CallConfig, base: &Headers, len: BodyLen) -> Result<(), Unsendable> {
        if config.plain_only && self.url.scheme() == Scheme::Https {
            return Err(Unsendable::Tls);
        }
        self.prepared(config, base, len).check::<Headers>(None)
    }
}

/// Adds a field that this module made: it is valid, and small.
pub(super) fn add(headers: &mut Headers, name: &str, value: &[u8]) {
    let added = headers.append(name, value);
    debug_assert!(added.is_ok(), "{name} is made of visible ASCII");
}
