//! The vocabulary of a [`Call`](super::Call): its settings, what is asked, the steps that it tells, and what is handed out.
//!
//! Nothing is decided here.

use super::super::prepare::Prepared;
use super::super::proxy::ProxyRules;
use super::super::retry::Why;
use super::super::route::Route;
use super::super::url::Url;
#[cfg(doc)]
use super::Call;
use super::content::{Codings, Decode};
use super::error::{CallError, DeadlineKind};
use super::redirect::{BodyKind, NotFollowed, Redirect, RedirectPolicy};
use crate::h1::BodyLen;
use crate::{Fields, Headers, Instant, Method, Status};
use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

/// How calls are made.
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs)]
pub struct CallConfig {
    /// Whether redirects are followed.
    pub redirects: RedirectPolicy,
    /// The time for all of a call: waiting, dialling, sending, every hop, reading the body. None by default.
    pub timeout: Option<Duration>,
    /// The time for each wait for a connection. None by default.
    pub connect_timeout: Option<Duration>,
    /// Sent unless the request has a User-Agent of its own; empty: none.
    pub user_agent: Cow<'static, str>,
    /// Whether there is a jar to be asked: see [`Step::Cookies`].
    pub cookies: bool,
    /// What the layer above can decode.
    pub codings: Codings,
    /// Which requests go through which proxy. None do by default.
    pub proxies: ProxyRules,
    /// How many bytes of a response's body the caller gets at most, as they come and as they are decoded. No limit by
    /// default. The layer above, which has the bytes, holds to it.
    pub max_body: Option<u64>,
    /// The layer above has no TLS: an `https` URL fails before anything is dialled, also that of a redirect.
    pub plain_only: bool,
}

/// What is to be asked.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct CallRequest {
    /// The method.
    pub method: Method,
    /// An absolute `http` or `https` URL; credentials in it become `Authorization`, unless `headers` has one.
    pub url: String,
    /// The fields. `Host`, `User-Agent`, `Referer`, `Cookie` and `Accept-Encoding` are honoured; framing fields
    /// decide over `body`'s length.
    pub headers: Headers,
    /// The body.
    pub body: Content,
}

/// The body of a call's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Content {
    /// There is none.
    None,
    /// It can be had again from its beginning: bytes in memory, a file, a function that makes it.
    Repeatable(BodyLen),
    /// It is a stream.
    Once(BodyLen),
}

impl Content {
    pub(super) const fn len(self) -> BodyLen {
        match self {
            Content::None => BodyLen::None,
            Content::Repeatable(len) | Content::Once(len) => len,
        }
    }

    /// What redirects and retries have to know. A body without a byte is none.
    pub const fn kind(self) -> BodyKind {
        match self {
            Content::None => BodyKind::None,
            _ if self.len().is_empty() => BodyKind::None,
            Content::Repeatable(_) => BodyKind::Repeatable,
            Content::Once(_) => BodyKind::Once,
        }
    }
}

/// Where the body of a hop comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum SendBody {
    /// There is none.
    None,
    /// The caller's body, of which nothing was taken.
    First,
    /// A new one from its beginning; [`Call::body_unavailable`] if there is none to be had.
    Again,
}

/// What is to be done next. Each step but the last two is answered by an input, which its documentation names.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// Ask the jar for the cookies of this URL, and answer with [`Call::cookies`]. Only with [`CallConfig::cookies`].
    Cookies {
        /// Its host is that of the field `Host`, if the caller set one.
        url: &'a Url,
    },
    /// Get a connection, of those whose [`Route::key`] is the route's, or a new one by [`Route::connect`];
    /// [`Call::acquired`] or [`Call::acquire_failed`].
    Acquire {
        /// What will be asked for.
        url: &'a Url,
        /// The way to it.
        route: &'a Route,
        /// It must be a new one, since an idle one has just failed.
        fresh: bool,
    },
    /// Hand the head and the body to the connection; [`Call::sent`], or [`Call::failed`].
    Send {
        /// The request.
        request: Prepared<'a>,
        /// Its body.
        body: SendBody,
    },
    /// Send the body and read the head of the response; [`Call::response`] or [`Call::failed`].
    Await,
    /// The attempt failed, and is made again for this reason; [`Call::retry`].
    Retry(Why),
    /// The policy follows this redirect; [`Call::follow`], or [`Call::use_last_response`], or [`Call::refuse`]. Its
    /// fields may be changed before: [`Call::redirect_headers`].
    Redirect(&'a Redirect),
    /// Read at most so much of the body, then let it go; [`Call::drained`], also if that failed. A body that has not
    /// ended then costs its connection.
    Drain {
        /// 0: the body is too long to be read at all.
        most: u64,
        /// Where the chain goes on; `None`: it fails.
        then: Option<&'a Url>,
    },
    /// Give the response to the caller, and say when its body has ended: [`Call::body_ended`] or [`Call::failed`].
    Deliver(Delivery),
    /// The body has ended.
    Done,
    /// It failed. Whatever connection the call still has is to be dropped.
    Failed(&'a CallError),
}

/// The response that the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Its status.
    pub status: Status,
    /// The length of its body as it comes.
    pub body: BodyLen,
    /// Why it is not followed.
    pub why: NotFollowed,
    /// Whether its content is to be decoded.
    pub decode: Decode,
}

/// When [`Call::handle_timeout`] is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Deadline {
    /// Then.
    pub at: Instant,
    /// Which one it is.
    pub kind: DeadlineKind,
}

/// The input does not answer the step that is due. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTurn(());

pub(super) const OUT_OF_TURN: OutOfTurn = OutOfTurn(());

impl fmt::Display for OutOfTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this input does not answer the step that is due")
    }
}

impl core::error::Error for OutOfTurn {}

/// The cookies that a response sets, for the jar.
#[derive(Clone, Copy, Debug)]
pub struct SetCookies<'c, 'f> {
    pub(super) url: &'c Url,
    pub(super) fields: Fields<'f>,
}

impl<'c, 'f> SetCookies<'c, 'f> {
    /// The URL that set them; its host is that of the field `Host`, if the caller set one.
    pub fn url(&self) -> &'c Url {
        self.url
    }

    /// The values of `Set-Cookie`.
    pub fn values(&self) -> impl Iterator<Item = &'f [u8]> + use<'f> {
        self.fields.get_all("set-cookie")
    }
}
