//! How a [`Call`] goes on: what a response means, what the next request takes along, and how a call fails.
//!
//! The inputs that lead here are in `call.rs`.

use super::super::reference;
use super::super::retry::{self, Attempt, BodyState, Failure, Retry};
use super::super::route::Route;
use super::super::url::Url;
use super::error::{CallError, CallErrorKind, Phase, title_case};
use super::hop::{Hop, add};
use super::redirect::{
    self, BodyKind, DRAIN, Follow, NotFollowed, Past, Redirect, RedirectPolicy, Verdict, follow,
};
use super::{After, Call, Delivery, Last, OUT_OF_TURN, OutOfTurn, State};
use crate::h1::BodyLen;
use crate::{Fields, Instant, Method, Status};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString;

/// Deciding.
impl Call {
    pub(super) fn begin(&mut self, now: Instant) {
        if self.config.cookies {
            self.state = State::Cookies;
        } else {
            self.acquire(false, now);
        }
    }

    pub(super) fn acquire(&mut self, fresh: bool, now: Instant) {
        self.state = State::Acquire { fresh, since: now };
    }

    /// A response is there: is it the last one?
    pub(super) fn judge(&mut self, last: Last, fields: Fields<'_>, now: Instant) {
        // An empty one says nothing.
        let location = fields.get("location").filter(|l| !l.is_empty());
        let verdict = follow(last.status, &self.hop.method, self.body, location.is_some());
        let (method, keeps_body) = match verdict {
            Follow::Yes { method, keeps_body } => (method, keeps_body),
            Follow::No(why) => return self.deliver(last, why),
        };
        if let RedirectPolicy::None = self.config.redirects {
            // A Location that cannot be understood is nobody's business then.
            return self.deliver(last, NotFollowed::Policy);
        }
        let location = location.unwrap_or_default();
        let to = match self.hop.url.join(location) {
            Ok(to) => to,
            Err(error) => {
                let location = redirect::quoted(location);
                let kind = CallErrorKind::Location { location, error };
                let error = self.error(Phase::Redirect, kind, Some(last.status));
                return self.let_go(last, After::Fail(error), now);
            }
        };
        let next = self.next(&last, fields, location, to, method, keeps_body);
        self.past.push(Past {
            method: self.hop.method.clone(),
            url: self.hop.url.clone(),
            status: last.status,
        });
        match self.config.redirects.ask(&next, &self.past) {
            Verdict::Follow => {
                self.state = State::Redirect {
                    next: Box::new(next),
                    last,
                };
            }
            Verdict::UseLastResponse => self.deliver_last(last),
            Verdict::Refuse(why) => self.refused(&next, last, why, now),
        }
    }

    /// What the next request would be. What it may not take along leaves `base` for good.
    pub(super) fn next(
        &mut self,
        last: &Last,
        response: Fields<'_>,
        location: &[u8],
        to: Url,
        method: Method,
        keeps_body: bool,
    ) -> Redirect {
        let from = &self.hop.url;
        // Credentials of the URL belong to its origin, however the Location was written.
        let to = match (to.userinfo(), from.userinfo()) {
            (None, own @ Some(_)) if to.same_origin(from) => to.with_userinfo(own),
            _ => to,
        };
        let first = self.past.first().map_or(from, |past| &past.url);
        self.left_origin |= !to.same_origin(first);
        if self.left_origin {
            redirect::drop_secrets(&mut self.base);
        }
        if !reference::is_relative(location) {
            self.base.remove("host");
        }
        if !keeps_body {
            (self.body, self.len) = (BodyKind::None, BodyLen::None);
            redirect::drop_content(&mut self.base);
        }
        if self.config.cookies {
            redirect::drop_reset_cookies(&mut self.base, response);
        }
        let referer = redirect::referer(from, &to);
        let tells_https = |own: &[u8]| own.get(..6).is_some_and(|s| s.eq_ignore_ascii_case(b"https:"));
        if referer.is_none() && self.base.get("referer").is_some_and(tells_https) {
            self.base.remove("referer");
        }
        let mut headers = self.base.clone();
        if let Some(referer) = referer.filter(|_| !headers.contains("referer")) {
            add(&mut headers, "referer", referer.as_bytes());
        }
        Redirect {
            status: last.status,
            method,
            to,
            headers,
            keeps_body,
            left_origin: self.left_origin,
            location: redirect::quoted(location),
        }
    }

    pub(super) fn redirected(
        &mut self,
        now: Instant,
        then: impl FnOnce(&mut Call, Box<Redirect>, Last),
    ) -> Result<(), OutOfTurn> {
        let State::Redirect { .. } = self.state else {
            return Err(OUT_OF_TURN);
        };
        if !self.expired(now)
            && let State::Redirect { next, last } = core::mem::replace(&mut self.state, State::Done)
        {
            then(self, next, last);
        }
        Ok(())
    }

    pub(super) fn refused(&mut self, next: &Redirect, last: Last, why: Cow<'static, str>, now: Instant) {
        let mut error = self.error(Phase::Redirect, CallErrorKind::Refused(why), Some(last.status));
        error.url.clone_from(&next.location);
        self.past.pop();
        self.let_go(last, After::Fail(error), now);
    }

    pub(super) fn deliver(&mut self, last: Last, why: NotFollowed) {
        self.state = State::Deliver(Delivery {
            status: last.status,
            body: last.body,
            why,
            decode: last.decode,
        });
    }

    /// The response that redirects is what the caller gets.
    pub(super) fn deliver_last(&mut self, last: Last) {
        self.past.pop();
        self.deliver(last, NotFollowed::Policy);
    }

    /// The body of a response that nobody gets: a short one is read, so that its connection can serve again.
    pub(super) fn let_go(&mut self, last: Last, then: After, now: Instant) {
        let most = match last.body {
            len if len.is_empty() => return self.go_on(then, now),
            BodyLen::Known(n) if n > DRAIN => 0,
            _ => DRAIN,
        };
        self.state = State::Drain { most, then };
    }

    pub(super) fn go_on(&mut self, then: After, now: Instant) {
        let next = match then {
            After::Fail(error) => {
                self.state = State::Failed(error);
                return;
            }
            After::Next(next) => next,
        };
        let Redirect {
            method, to, headers, ..
        } = *next;
        let route = match Route::of(&method, &to, &self.config.proxies) {
            Ok(route) => route,
            Err(e) => {
                let mut error = self.error(Phase::Redirect, CallErrorKind::Proxy(e), None);
                error.url = to.to_string();
                self.state = State::Failed(error);
                return;
            }
        };
        self.hop = Hop::new(method, to, route, &self.base, Some(headers), &self.config);
        match self.hop.check(&self.config, &self.base, self.len) {
            Ok(()) => self.begin(now),
            Err(e) => self.fail(Phase::Redirect, CallErrorKind::Unsendable(e)),
        }
    }

    /// Whether an attempt that failed may be made again.
    pub(super) fn attempt(&self, reused: bool, written: bool, failure: Failure) -> Retry {
        retry::may_retry(&Attempt {
            reused,
            written,
            failure,
            replayable: retry::is_replayable(
                self.hop.method.as_str(),
                self.hop.headers(&self.base).as_fields(),
            ),
            body: match self.body {
                BodyKind::None => BodyState::None,
                BodyKind::Repeatable => BodyState::Repeatable,
                BodyKind::Once if self.body_taken => BodyState::Consumed,
                BodyKind::Once => BodyState::Untouched,
            },
        })
    }

    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Cookies if self.past.is_empty() => Phase::Prepare,
            State::Acquire { .. } => Phase::Connect,
            State::Send { .. } | State::Await { .. } | State::Retry(_) => Phase::Exchange,
            State::Cookies | State::Redirect { .. } | State::Drain { .. } => Phase::Redirect,
            State::Deliver(_) | State::Done | State::Failed(_) => Phase::Body,
        }
    }

    pub(super) fn expired(&mut self, now: Instant) -> bool {
        match self.deadline() {
            Some(d) if d.at <= now => {
                self.fail(self.phase(), CallErrorKind::Timeout(d.kind));
                true
            }
            _ => false,
        }
    }

    pub(super) fn fail(&mut self, phase: Phase, kind: CallErrorKind) {
        let status = match &self.state {
            State::Deliver(delivery) => Some(delivery.status),
            State::Redirect { last, .. } => Some(last.status),
            _ => None,
        };
        let error = self.error(phase, kind, status);
        self.state = State::Failed(error);
    }

    pub(super) fn error(&self, phase: Phase, kind: CallErrorKind, status: Option<Status>) -> Box<CallError> {
        Box::new(CallError {
            operation: title_case(&self.operation),
            url: self.hop.url.to_string(),
            phase,
            status,
            kind,
        })
    }
}
