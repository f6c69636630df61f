//! Redirects as pure functions: whether a response is followed and how (RFC 9110, section 15.4), what is taken along,
//! and what the policy is asked.
//!
//! When each step happens lives in `decide.rs`.

use super::super::url::Url;
use crate::{Fields, Headers, Method, Status};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// How much is read of the body of a response that is not given to the caller, so that its connection can be used again.
pub const DRAIN: u64 = 2048;

/// Whether redirects are followed.
#[derive(Clone)]
#[non_exhaustive]
pub enum RedirectPolicy {
    /// No: each 3xx is a response like any other.
    None,
    /// Until this many requests have been made; the next redirect is the error "stopped after N redirects".
    Limit(u32),
    /// As this function says. It sees the request that would come next, and all that were made, oldest first.
    Function(Arc<RedirectFn>),
}

/// A redirect policy of one's own.
pub type RedirectFn = dyn Fn(&Redirect, &[Past]) -> Verdict + Send + Sync;

impl RedirectPolicy {
    /// What applies unless something else is said: ten requests.
    pub const DEFAULT: RedirectPolicy = RedirectPolicy::Limit(10);

    /// A function as a policy.
    pub fn function(f: impl Fn(&Redirect, &[Past]) -> Verdict + Send + Sync + 'static) -> RedirectPolicy {
        RedirectPolicy::Function(Arc::new(f))
    }

    pub(super) fn ask(&self, redirect: &Redirect, past: &[Past]) -> Verdict {
        match self {
            RedirectPolicy::None => Verdict::UseLastResponse,
            RedirectPolicy::Limit(n) if past.len() >= *n as usize => {
                Verdict::Refuse(format!("stopped after {n} redirects").into())
            }
            RedirectPolicy::Limit(_) => Verdict::Follow,
            RedirectPolicy::Function(f) => f(redirect, past),
        }
    }
}

impl Default for RedirectPolicy {
    fn default() -> RedirectPolicy {
        RedirectPolicy::DEFAULT
    }
}

impl fmt::Debug for RedirectPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedirectPolicy::None => f.write_str("None"),
            RedirectPolicy::Limit(n) => write!(f, "Limit({n})"),
            RedirectPolicy::Function(_) => f.write_str("Function"),
        }
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Verdict {
    /// Send the next request.
    Follow,
    /// Give the caller the response that redirects, with its body.
    UseLastResponse,
    /// Fail, for this reason.
    Refuse(Cow<'static, str>),
}

/// A request of the chain that was answered by a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Past {
    /// Its method.
    pub method: Method,
    /// Its URL.
    pub url: Url,
    /// What it was answered with.
    pub status: Status,
}

/// The request that comes next if the redirect is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// What the last response said.
    pub status: Status,
    /// Its method.
    pub method: Method,
    /// Its URL.
    pub to: Url,
    /// Its fields: those of the first request that may come along, and Referer. Cookies of the jar, credentials of
    /// the URL and `Accept-Encoding` are added later.
    pub headers: Headers,
    /// Whether the body, if there is one, comes along, and what the fields say of it.
    pub keeps_body: bool,
    /// Whether this or an earlier hop has left the origin of the first request.
    pub left_origin: bool,
    /// The `Location` as it came, for errors: without userinfo, and cut.
    pub(super) location: String,
}

/// What is to be done about the body of a request that would be sent again elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum BodyKind {
    /// There is none.
    None,
    /// It can be had again from its beginning.
    Repeatable,
    /// It is a stream: it cannot be had again.
    Once,
}

/// Whether a response is followed, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Follow {
    /// With this method.
    Yes {
        /// The next request's method.
        method: Method,
        /// Whether the body, if there is one, comes along, and what the fields say of it.
        keeps_body: bool,
    },
    /// The response is given to the caller.
    No(NotFollowed),
}

/// Why a response is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NotFollowed {
    /// Its status is none of 301, 302, 303, 307 and 308.
    OtherStatus,
    /// It names no `Location`.
    NoLocation,
    /// 307 and 308 want the body again, and it is a stream.
    BodyNotRepeatable,
    /// What answers CONNECT is the proxy's word, not the origin's.
    Connect,
    /// The policy says so.
    Policy,
}

/// Whether a response is followed.
///
/// ```
/// use antiphon_core::client::call::{BodyKind, Follow, NotFollowed, follow};
/// use antiphon_core::{Method, Status};
/// let see_other = follow(Status::SEE_OTHER, &Method::POST, BodyKind::Once, true);
/// assert_eq!(see_other, Follow::Yes { method: Method::GET, keeps_body: false });
/// let again = follow(Status::TEMPORARY_REDIRECT, &Method::POST, BodyKind::Once, true);
/// assert_eq!(again, Follow::No(NotFollowed::BodyNotRepeatable));
/// ```
pub fn follow(status: Status, method: &Method, body: BodyKind, has_location: bool) -> Follow {
    let keeps = match status.code() {
        301..=303 => false,
        307 | 308 => true,
        _ => return Follow::No(NotFollowed::OtherStatus),
    };
    if *method == Method::CONNECT {
        Follow::No(NotFollowed::Connect)
    } else if !has_location {
        Follow::No(NotFollowed::NoLocation)
    } else if keeps && body == BodyKind::Once {
        Follow::No(NotFollowed::BodyNotRepeatable)
    } else {
        let stays = keeps || *method == Method::GET || *method == Method::HEAD;
        Follow::Yes {
            method: if stays { method.clone() } else { Method::GET },
            keeps_body: keeps,
        }
    }
}

/// Credentials, and what belongs to them: never told to another origin.
const SECRETS: [&str; 6] = [
    "authorization",
    "www-authenticate",
    "cookie",
    "cookie2",
    "proxy-authorization",
    "proxy-authenticate",
];

/// What speaks of a body.
const CONTENT: [&str; 6] = [
    "content-type",
    "content-encoding",
    "content-language",
    "content-location",
    "expect",
    "trailer",
];

/// Credentials stay behind.
pub(super) fn drop_secrets(headers: &mut Headers) {
    headers.retain(|f| !SECRETS.iter().any(|n| f.name.is(n)));
}

/// What speaks of the body goes with it.
pub(super) fn drop_content(headers: &mut Headers) {
    headers.retain(|f| !CONTENT.iter().any(|n| f.name.is(n)));
}

/// Cookies that a response sets anew are no longer sent as the caller wrote them.
pub(super) fn drop_reset_cookies(headers: &mut Headers, response: Fields<'_>) {
    fn name(pair: &[u8]) -> &[u8] {
        pair.split(|&b| b == b'=').next().unwrap_or(pair).trim_ascii()
    }
    let mut reset = response.get_all("set-cookie").map(name).peekable();
    if reset.peek().is_none() || !headers.contains("cookie") {
        return;
    }
    let reset: Vec<&[u8]> = reset.collect();
    let mut kept: Vec<u8> = Vec::new();
    let pairs = headers
        .get_all("cookie")
        .flat_map(|line| line.split(|&b| b == b';'));
    for pair in pairs.map(<[u8]>::trim_ascii) {
        if !pair.is_empty() && !reset.contains(&name(pair)) {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    if kept.is_empty() {
        headers.remove("cookie");
    } else {
        // What came from one valid value is one.
        let _ = headers.set("cookie", kept);
    }
}

/// The Referer of a request to `to` that `from` caused (RFC 9110, section 10.1.3): no userinfo, no fragment; nothing of
/// https is told to http.
pub(super) fn referer(from: &Url, to: &Url) -> Option<String> {
    use super::super::pool::Scheme;
    let told = from.scheme() == Scheme::Http || to.scheme() == Scheme::Https;
    told.then(|| from.with_userinfo(None).to_string())
}

/// A `Location` for an error's text: whatever stands before an `@` is masked, and what is long is cut.
pub(super) fn quoted(location: &[u8]) -> String {
    const MOST: usize = 200;
    let from = location.windows(2).position(|w| w == b"//").map_or(0, |i| i + 2);
    let masked = match location.iter().rposition(|&b| b == b'@') {
        Some(at) if at >= from => [&location[..from], b"***", &location[at..]].concat(),
        Some(at) => [b"***", &location[at..]].concat(),
        None => location.to_vec(),
    };
    let cut = masked.len() > MOST;
    let text = masked[..masked.len().min(MOST)].escape_ascii();
    format!("{text}{}", if cut { "..." } else { "" })
}
