//! [`Call`]: one logical request, from its first connection to the end of the last response's body: every decision, and
//! no socket.
//!
//! The inputs live in this file, what follows from them in `decide.rs`, the vocabulary in `step.rs`. Redirects as pure
//! functions are in `redirect.rs`, one request of the chain in `hop.rs`, content codings in `content.rs`, errors in
//! `error.rs`; [retries](super::retry), [credentials](super::Basic) and
//! [references](super::Url::join) have their own modules.

mod content;
mod decide;
mod error;
mod hop;
#[cfg(test)]
mod random;
mod redirect;
mod step;
#[cfg(test)]
mod story;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_redirect;
#[cfg(test)]
mod tests_route;

pub use self::content::{Ask, Coding, Codings, Decode, ask, decode, mend};
pub use self::error::{CallError, CallErrorKind, Cause, DeadlineKind, Phase};
use self::hop::Hop;
pub use self::redirect::{
    BodyKind, DRAIN, Follow, NotFollowed, Past, Redirect, RedirectFn, RedirectPolicy, Verdict, follow,
};
use self::step::OUT_OF_TURN;
pub use self::step::{
    CallConfig, CallRequest, Content, Deadline, Delivery, OutOfTurn, SendBody, SetCookies, Step,
};
use super::prepare::Unsendable;
use super::retry::{Failure, Retry, Why};
use super::route::Route;
use super::url::Url;
use crate::h1::{BodyLen, ClientConn};
use crate::{FieldLines, Fields, Headers, Instant, Method, Status, Version};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// One logical request.
///
/// # Contract
/// - [`step`](Call::step) tells what is due. It is state: asked again, it gives the same answer.
/// - Each step is answered by an input. One that answers another step is [`OutOfTurn`] and changes nothing.
/// - Time: at [`deadline`](Call::deadline) or later call [`handle_timeout`](Call::handle_timeout). An input that comes
///   at the deadline or later is a failure too. The deadlines of a connection (response header, continue wait, stalls)
///   are its machine's.
/// - [`cancel`](Call::cancel) ends it at any time; dropping it does too.
///
/// ```
/// use antiphon_core::client::call::{Call, CallConfig, CallRequest, Content, Step};
/// use antiphon_core::h1::BodyLen;
/// use antiphon_core::{Headers, Instant, Method, Status};
/// use std::sync::Arc;
///
/// let now = Instant::ZERO;
/// let request = CallRequest {
///     method: Method::GET,
///     url: "http://example.com/old".into(),
///     headers: Headers::new(),
///     body: Content::None,
/// };
/// let mut call = Call::new(request, Arc::new(CallConfig::default()), now)?;
///
/// let mut asked = Vec::new();
/// loop {
///     match call.step() {
///         Step::Acquire { .. } => call.acquired(false, now)?,
///         Step::Send { request, .. } => {
///             asked.push(request.url().to_string()); // request.send_head(&mut conn)?
///             call.sent(now)?;
///         }
///         // The server: everything old is new.
///         Step::Await => {
///             let mut head = Headers::new();
///             let status = if asked.len() == 1 { Status::FOUND } else { Status::OK };
///             head.append("Location", "/new")?;
///             call.response(status, head.as_fields(), BodyLen::Known(5), now)?;
///         }
///         Step::Redirect(_) => call.follow(now)?,
///         Step::Drain { .. } => call.drained(now)?,
///         Step::Deliver(_) => call.body_ended(now)?,
///         Step::Done => break,
///         other => panic!("{other:?}"),
///     }
/// }
/// assert_eq!(asked, ["http://example.com/old", "http://example.com/new"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Call {
    config: Arc<CallConfig>,
    /// The method of the first request.
    operation: Method,
    /// What the caller's fields still contribute. It only ever shrinks: what one hop loses, no later hop has.
    base: Headers,
    body: BodyKind,
    len: BodyLen,
    /// A body was handed over before.
    body_sent: bool,
    /// Something of the body was taken.
    body_taken: bool,
    left_origin: bool,
    past: Vec<Past>,
    hop: Hop,
    total: Option<Instant>,
    state: State,
}

#[derive(Debug)]
enum State {
    Cookies,
    Acquire { fresh: bool, since: Instant },
    Send { reused: bool },
    Await { reused: bool },
    Retry(Why),
    Redirect { next: Box<Redirect>, last: Last },
    Drain { most: u64, then: After },
    Deliver(Delivery),
    Done,
    Failed(Box<CallError>),
}

/// The response that redirects, while it has not been let go of.
#[derive(Clone, Copy, Debug)]
struct Last {
    status: Status,
    body: BodyLen,
    decode: Decode,
}

#[derive(Debug)]
enum After {
    Next(Box<Redirect>),
    Fail(Box<CallError>),
}

/// Beginning, and looking.
impl Call {
    /// A call, checked: what may not be sent fails here, before anything is dialled; so does a timeout of zero.
    ///
    /// # Errors
    /// [`CallErrorKind::Unsendable`] and [`CallErrorKind::Timeout`], in the phase [`Phase::Prepare`].
    pub fn new(request: CallRequest, config: Arc<CallConfig>, now: Instant) -> Result<Call, Box<CallError>> {
        let CallRequest {
            method,
            url,
            mut headers,
            body,
        } = request;
        let operation = method.clone();
        let fail = |url: String, kind| {
            Box::new(CallError {
                operation: error::title_case(&operation),
                url,
                phase: Phase::Prepare,
                status: None,
                kind,
            })
        };
        let parsed: Url = match url.parse() {
            Ok(parsed) => parsed,
            Err(e) => {
                let kind = CallErrorKind::Unsendable(Unsendable::Url(e));
                return Err(fail(redirect::quoted(url.as_bytes()), kind));
            }
        };
        let unsendable = |e| fail(parsed.to_string(), CallErrorKind::Unsendable(e));
        let len = BodyLen::from_fields(&mut headers, body.len()).map_err(|e| unsendable(e.into()))?;
        if body == Content::None {
            ClientConn::check_body(len, 0, &Fields::EMPTY).map_err(|e| unsendable(e.into()))?;
        }
        if len == BodyLen::None {
            // There is nothing to hold back.
            headers.remove("expect");
        }
        let route = Route::of(&method, &parsed, &config.proxies)
            .map_err(|e| fail(parsed.to_string(), CallErrorKind::Proxy(e)))?;
        let hop = Hop::new(method, parsed, route, &headers, None, &config);
        let fail = |kind| fail(hop.url.to_string(), kind);
        hop.check(&config, &headers, len)
            .map_err(|e| fail(CallErrorKind::Unsendable(e)))?;
        let total = config.timeout.map(|t| now + t);
        if total.is_some_and(|at| at <= now) {
            return Err(fail(CallErrorKind::Timeout(DeadlineKind::Total)));
        }
        let mut call = Call {
            config,
            operation,
            base: headers,
            body: body.kind(),
            len,
            body_sent: false,
            body_taken: false,
            left_origin: false,
            past: Vec::new(),
            hop,
            total,
            state: State::Done,
        };
        call.begin(now);
        Ok(call)
    }

    /// Finds what is wrong with a body that is in memory, before anything is dialled for it: a length other than the
    /// fields say, trailers that may not be sent. Of a stream nothing can be said yet.
    ///
    /// # Errors
    /// [`CallErrorKind::Unsendable`], in the phase [`Phase::Prepare`].
    pub fn check_body<F: FieldLines + ?Sized>(&self, len: u64, trailers: &F) -> Result<(), Box<CallError>> {
        ClientConn::check_body(self.len, len, trailers)
            .map_err(|e| self.error(Phase::Prepare, CallErrorKind::Unsendable(e.into()), None))
    }

    /// Whether this head is no answer to the request, but what a server says that gives an idle connection up: a 408
    /// that closes, which crossed the request on its way (RFC 9110, section 15.5.9). Then it is told as
    /// [`Failure::ServerClosedIdle`], not as the response, and the request is sent again. If it may not be, the
    /// caller gets to see the 408.
    pub fn is_farewell(&self, status: Status, version: Version, fields: Fields<'_>) -> bool {
        let closes = match version {
            Version::Http10 => !fields.has_token("connection", "keep-alive"),
            _ => fields.has_token("connection", "close"),
        };
        let State::Await { reused } = self.state else {
            return false;
        };
        let again = || self.attempt(reused, true, Failure::ServerClosedIdle);
        status == Status::REQUEST_TIMEOUT && closes && matches!(again(), Retry::Yes(_))
    }

    /// What is due. Its answer changes with an input only.
    pub fn step(&self) -> Step<'_> {
        match &self.state {
            State::Cookies => Step::Cookies {
                url: self.hop.cookie_url(),
            },
            State::Acquire { fresh, .. } => Step::Acquire {
                url: &self.hop.url,
                route: &self.hop.route,
                fresh: *fresh,
            },
            State::Send { .. } => Step::Send {
                request: self.hop.prepared(&self.config, &self.base, self.len),
                body: match self.body {
                    BodyKind::None => SendBody::None,
                    BodyKind::Repeatable if self.body_sent => SendBody::Again,
                    BodyKind::Repeatable | BodyKind::Once => SendBody::First,
                },
            },
            State::Await { .. } => Step::Await,
            State::Retry(why) => Step::Retry(*why),
            State::Redirect { next, .. } => Step::Redirect(next),
            State::Drain { most, then } => Step::Drain {
                most: *most,
                then: match then {
                    After::Next(next) => Some(&next.to),
                    After::Fail(_) => None,
                },
            },
            State::Deliver(delivery) => Step::Deliver(*delivery),
            State::Done => Step::Done,
            State::Failed(error) => Step::Failed(error),
        }
    }

    /// The method of the request that is being made, or was made last.
    pub fn method(&self) -> &Method {
        &self.hop.method
    }

    /// The URL that is being asked, or was asked last.
    pub fn url(&self) -> &Url {
        &self.hop.url
    }

    /// The requests that were answered by a redirect which was followed, oldest first.
    pub fn history(&self) -> &[Past] {
        &self.past
    }

    /// When time decides. Its answer changes with an input only.
    pub fn deadline(&self) -> Option<Deadline> {
        if matches!(self.state, State::Done | State::Failed(_)) {
            return None;
        }
        let total = self.total.map(|at| Deadline {
            at,
            kind: DeadlineKind::Total,
        });
        let connect = match (&self.state, self.config.connect_timeout) {
            (State::Acquire { since, .. }, Some(time)) => Some(Deadline {
                at: *since + time,
                kind: DeadlineKind::Connect,
            }),
            _ => None,
        };
        match (total, connect) {
            (Some(t), Some(c)) if c.at < t.at => Some(c),
            (Some(t), _) => Some(t),
            (None, c) => c,
        }
    }

    /// How much of the response's body the caller gets at most: [`CallConfig::max_body`].
    pub fn max_body(&self) -> Option<u64> {
        self.config.max_body
    }

    /// The method of the first request, by which errors name the call.
    pub fn operation(&self) -> &Method {
        &self.operation
    }

    /// The method of the first request, the URL that was asked last, and the [`history`](Call::history); of a call that is
    /// no longer needed.
    pub fn into_chain(self) -> (Method, Url, Vec<Past>) {
        (self.operation, self.hop.url, self.past)
    }

    /// Takes the error of a call that failed: then it is done.
    pub fn take_error(&mut self) -> Option<Box<CallError>> {
        if !matches!(self.state, State::Failed(_)) {
            return None;
        }
        match core::mem::replace(&mut self.state, State::Done) {
            State::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The error of a call that failed.
    pub fn into_error(self) -> Option<Box<CallError>> {
        match self.state {
            State::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// Inputs.
impl Call {
    /// The value of `Cookie` that the jar has for [`Step::Cookies`]; added to the caller's own.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn cookies(&mut self, value: Option<&[u8]>, now: Instant) -> Result<(), OutOfTurn> {
        let State::Cookies = self.state else {
            return Err(OUT_OF_TURN);
        };
        if self.expired(now) {
            return Ok(());
        }
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            let headers = self.hop.headers_mut(&self.base);
            let own: Vec<&[u8]> = headers.get_all("cookie").chain([value]).collect();
            let joined = own.join(&b"; "[..]);
            if let Err(e) = headers.set("cookie", joined) {
                self.fail(Phase::Prepare, CallErrorKind::Unsendable(Unsendable::Field(e)));
                return Ok(());
            }
        }
        self.acquire(false, now);
        Ok(())
    }

    /// There is a connection. `reused`: it had served an exchange before, or had been idle.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn acquired(&mut self, reused: bool, now: Instant) -> Result<(), OutOfTurn> {
        let State::Acquire { fresh, .. } = self.state else {
            return Err(OUT_OF_TURN);
        };
        if !self.expired(now) {
            // A fresh one was asked for: were it believed to be old, there could be retries without end.
            let reused = reused && !fresh;
            self.state = State::Send { reused };
        }
        Ok(())
    }

    /// No connection could be had. That is not tried again.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn acquire_failed(&mut self, cause: impl Into<Cause>, now: Instant) -> Result<(), OutOfTurn> {
        let State::Acquire { .. } = self.state else {
            return Err(OUT_OF_TURN);
        };
        if !self.expired(now) {
            self.fail(Phase::Connect, CallErrorKind::Connect(cause.into()));
        }
        Ok(())
    }

    /// The head was handed to the connection, and the body is on its way.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn sent(&mut self, now: Instant) -> Result<(), OutOfTurn> {
        let State::Send { reused } = self.state else {
            return Err(OUT_OF_TURN);
        };
        if !self.expired(now) {
            self.body_sent = true;
            self.state = State::Await { reused };
        }
        Ok(())
    }

    /// Something was taken from the body. To be told before the next input; a body that can be had again needs it
    /// not.
    pub fn body_taken(&mut self) {
        self.body_taken = true;
    }

    /// The body that is to be sent again cannot be had.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn body_unavailable(&mut self, cause: impl Into<Cause>, now: Instant) -> Result<(), OutOfTurn> {
        let State::Send { .. } = self.state else {
            return Err(OUT_OF_TURN);
        };
        if !self.expired(now) {
            self.fail(Phase::Exchange, CallErrorKind::BodyAgain(cause.into()));
        }
        Ok(())
    }

    /// The head of the final response: interim ones are not told. What it returns is for the jar.
    ///
    /// # Errors
    /// [`OutOfTurn`], for interim responses too.
    pub fn response<'f>(
        &mut self,
        status: Status,
        fields: Fields<'f>,
        body: BodyLen,
        now: Instant,
    ) -> Result<SetCookies<'_, 'f>, OutOfTurn> {
        let interim = status.is_informational() && status.code() != 101;
        let State::Await { .. } = self.state else {
            return Err(OUT_OF_TURN);
        };
        if interim {
            return Err(OUT_OF_TURN);
        }
        if !self.expired(now) {
            let last = Last {
                status,
                body,
                decode: decode(self.config.codings, self.hop.asked, fields, body),
            };
            self.judge(last, fields, now);
        }
        Ok(SetCookies {
            url: self.hop.cookie_url(),
            fields: if self.config.cookies {
                fields
            } else {
                Fields::EMPTY
            },
        })
    }

    /// The exchange failed; or, once the response was delivered, its body. `written`: at least one byte of the request
    /// was accepted by the socket.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn failed(
        &mut self,
        failure: Failure,
        written: bool,
        cause: impl Into<Cause>,
        now: Instant,
    ) -> Result<(), OutOfTurn> {
        let (phase, reused) = match self.state {
            State::Send { reused } | State::Await { reused } => (Phase::Exchange, reused),
            State::Deliver(_) => (Phase::Body, false),
            _ => return Err(OUT_OF_TURN),
        };
        if self.expired(now) {
            return Ok(());
        }
        let not_retried = if phase == Phase::Exchange {
            match self.attempt(reused, written, failure) {
                Retry::Yes(why) => {
                    self.state = State::Retry(why);
                    return Ok(());
                }
                Retry::No(why_not) => Some(why_not),
            }
        } else {
            None
        };
        let kind = CallErrorKind::Exchange {
            failure,
            not_retried,
            cause: cause.into(),
        };
        self.fail(phase, kind);
        Ok(())
    }

    /// The failed attempt's connection was dropped.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn retry(&mut self, now: Instant) -> Result<(), OutOfTurn> {
        let State::Retry(_) = self.state else {
            return Err(OUT_OF_TURN);
        };
        if !self.expired(now) {
            self.acquire(true, now);
        }
        Ok(())
    }

    /// The fields of the request that would come next, to be changed; they are taken as they are. `None` unless
    /// [`Step::Redirect`] is due.
    pub fn redirect_headers(&mut self) -> Option<&mut Headers> {
        match &mut self.state {
            State::Redirect { next, .. } => Some(&mut next.headers),
            _ => None,
        }
    }

    /// The redirect is followed.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn follow(&mut self, now: Instant) -> Result<(), OutOfTurn> {
        self.redirected(now, |call, next, last| call.let_go(last, After::Next(next), now))
    }

    /// The redirect is not followed: the caller gets the response that redirects.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn use_last_response(&mut self, now: Instant) -> Result<(), OutOfTurn> {
        self.redirected(now, |call, _, last| call.deliver_last(last))
    }

    /// The redirect is not followed, and the call fails for this reason.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn refuse(&mut self, why: impl Into<Cow<'static, str>>, now: Instant) -> Result<(), OutOfTurn> {
        self.redirected(now, |call, next, last| call.refused(&next, last, why.into(), now))
    }

    /// The body of the response that redirects was let go of.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn drained(&mut self, now: Instant) -> Result<(), OutOfTurn> {
        let State::Drain { .. } = self.state else {
            return Err(OUT_OF_TURN);
        };
        if !self.expired(now)
            && let State::Drain { then, .. } = core::mem::replace(&mut self.state, State::Done)
        {
            self.go_on(then, now);
        }
        Ok(())
    }

    /// The body of the delivered response has ended, or was let go of.
    ///
    /// # Errors
    /// [`OutOfTurn`].
    pub fn body_ended(&mut self, now: Instant) -> Result<(), OutOfTurn> {
        let State::Deliver(_) = self.state else {
            return Err(OUT_OF_TURN);
        };
        if !self.expired(now) {
            self.state = State::Done;
        }
        Ok(())
    }

    /// The caller gives up. A call that has ended stays as it is.
    pub fn cancel(&mut self) {
        if !matches!(self.state, State::Done | State::Failed(_)) {
            self.fail(self.phase(), CallErrorKind::Cancelled);
        }
    }

    /// Looks at the clock: at [`deadline`](Call::deadline) or later the call fails; earlier nothing happens.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expired(now);
    }
}
