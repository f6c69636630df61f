//! [`TimeoutReply`]: a response that is held until its handler is done, or another one in its place when that takes too long.

use super::responder::{RequestFacts, RespondError, Responder, ResponderConfig};
use crate::{Instant, Status};
use alloc::borrow::Cow;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;

/// The settings of a [`TimeoutReply`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutConfig {
    /// How long the handler may take.
    pub after: Duration,
    /// Bytes of a body that are held. A handler that writes more is refused. Default: 1 MiB.
    pub max_body: usize,
    /// What the client is told when time is up. Its type is found from its first bytes. Default: a short page of HTML, that of Go.
    pub text: Cow<'static, str>,
}

impl TimeoutConfig {
    /// The defaults, with this time.
    pub const fn new(after: Duration) -> TimeoutConfig {
        TimeoutConfig {
            after,
            max_body: 1024 * 1024,
            text: Cow::Borrowed(
                "<html><head><title>Timeout</title></head><body><h1>Timeout</h1></body></html>",
            ),
        }
    }
}

/// Holds what a handler writes, as Go's `http.TimeoutHandler`: if it is done in time the client gets that, and
/// `503 Service Unavailable` otherwise. Nothing is sent before.
///
/// The handler writes through [`response`](Self::response) and [`write`](Self::write), which refuse it when time is up; it is
/// not stopped. One that panics in time ends the wait, with [`Responder::fail`]. The driver calls [`handle_timeout`](Self::handle_timeout) at [`deadline`](Self::deadline), and carries out what
/// [`ready`](Self::ready) gives.
///
/// ```
/// use antiphon_core::h1::Switch;
/// use antiphon_core::server::responder::{Action, RequestFacts, ResponderConfig};
/// use antiphon_core::server::timeout_reply::{HeldError, TimeoutConfig, TimeoutReply};
/// use antiphon_core::{Instant, Version};
/// use core::time::Duration;
///
/// let facts = RequestFacts::new("GET", Version::Http11, Switch::None);
/// let config = TimeoutConfig::new(Duration::from_secs(5));
/// let mut held = TimeoutReply::new(facts, ResponderConfig::DEFAULT, config, Instant::ZERO);
/// held.response(Instant::ZERO)?.fields_mut()?.append("X-A", "1").expect("a valid line");
/// held.write(b"half of ", Instant::from_millis(1))?;
/// assert!(held.ready().is_none());
///
/// let deadline = held.deadline().expect("the handler is at work");
/// held.handle_timeout(deadline);
/// assert_eq!(held.write(b"an answer", deadline), Err(HeldError::TimedOut));
/// let Action::Head(head) = held.ready().expect("time is up").action() else { panic!() };
/// assert_eq!(head.status(), 503);
/// # Ok::<(), HeldError>(())
/// ```
#[derive(Debug)]
pub struct TimeoutReply {
    response: Responder,
    config: TimeoutConfig,
    deadline: Instant,
    timed_out: bool,
}

impl TimeoutReply {
    /// The handler begins now.
    pub fn new(
        facts: RequestFacts,
        mut responder: ResponderConfig,
        config: TimeoutConfig,
        now: Instant,
    ) -> TimeoutReply {
        responder.buffer = config.max_body;
        TimeoutReply {
            response: Responder::new(facts, responder),
            deadline: now + config.after,
            config,
            timed_out: false,
        }
    }

    /// The response, for all that a handler says beside [`write`](Self::write), which holds to the bound.
    /// [`Responder::finish`], `fail` and `abort` decide what is sent.
    ///
    /// # Errors
    /// [`HeldError::TimedOut`] when time is up.
    pub fn response(&mut self, now: Instant) -> Result<&mut Responder, HeldError> {
        self.handle_timeout(now);
        if self.timed_out {
            Err(HeldError::TimedOut)
        } else {
            Ok(&mut self.response)
        }
    }

    /// Writes bytes of the body: all of them, or none.
    ///
    /// # Errors
    /// [`HeldError::TimedOut`] when time is up, [`HeldError::TooLarge`], and what [`Responder::write`] refuses.
    pub fn write(&mut self, bytes: &[u8], now: Instant) -> Result<(), HeldError> {
        let limit = self.config.max_body;
        let response = self.response(now)?;
        if limit as u64 - response.written().min(limit as u64) < bytes.len() as u64 {
            return Err(HeldError::TooLarge { limit });
        }
        response.write(bytes)?;
        Ok(())
    }

    /// When time is up; `None` once the response is decided.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.is_decided()).then_some(self.deadline)
    }

    /// Time has passed. Safe early, late and twice.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_decided() || now < self.deadline {
            return;
        }
        self.timed_out = true;
        // Nothing was sent, so that it can be replaced, and nothing was written since: none of these is refused.
        let response = &mut self.response;
        let _ = response.start_over();
        let _ = response.write_head(Status::SERVICE_UNAVAILABLE);
        let text = match &self.config.text {
            Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
            Cow::Owned(text) => Bytes::copy_from_slice(text.as_bytes()),
        };
        let _ = response.write_bytes(text);
        let _ = response.finish();
    }

    /// Whether time was up before the handler was done.
    pub fn is_timed_out(&self) -> bool {
        self.timed_out
    }

    /// The response to send, once it is decided.
    pub fn ready(&mut self) -> Option<&mut Responder> {
        self.is_decided().then_some(&mut self.response)
    }

    fn is_decided(&self) -> bool {
        self.timed_out || self.response.is_ended()
    }
}

/// Why a held response takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeldError {
    /// The handler has taken too long: the client was told so.
    TimedOut,
    /// The body would be longer than what is held ([`TimeoutConfig::max_body`]).
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The rules of responses.
    Refused(RespondError),
}

impl From<RespondError> for HeldError {
    fn from(e: RespondError) -> HeldError {
        HeldError::Refused(e)
    }
}

impl fmt::Display for HeldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeldError::TimedOut => f.write_str("the handler has taken too long"),
            HeldError::TooLarge { limit } => write!(f, "the response is longer than the {limit} bytes held"),
            HeldError::Refused(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for HeldError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::h1::{BodyLen, Switch};
    use crate::server::responder::{AbortReason, Action};
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn held(config: TimeoutConfig) -> TimeoutReply {
        let facts = RequestFacts::new("GET", Version::Http11, Switch::None);
        TimeoutReply::new(facts, ResponderConfig::DEFAULT, config, T(1000))
    }

    fn five() -> TimeoutConfig {
        TimeoutConfig::new(Duration::from_millis(5))
    }

    #[allow(non_snake_case)]
    fn T(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// Status, length, fields and body of what is sent.
    fn sent(held: &mut TimeoutReply) -> Option<String> {
        let response = held.ready()?;
        let mut told = String::new();
        let mut body = Vec::new();
        loop {
            match response.action() {
                Action::Head(head) => {
                    told += &format!("{} {:?}", head.status(), head.body());
                    crate::FieldLines::for_each_field(&head.fields(None), |f| {
                        told += &format!(" [{}: {}]", f.name.as_str(), f.value.to_str().unwrap());
                    });
                }
                Action::Body(content) => body.extend_from_slice(content.as_slice()),
                Action::Abort(reason) => told += &format!(" {reason}"),
                Action::Over => break,
                Action::Finish { .. } | Action::Interim { .. } => {}
                Action::Wait => panic!("a response that is decided is whole"),
            }
            response.done();
        }
        Some(told + " " + &String::from_utf8(body).unwrap())
    }

    #[test]
    fn a_handler_that_is_done_in_time() {
        let mut held = held(five());
        assert_eq!(held.deadline(), Some(T(1005)));
        let response = held.response(T(1001)).unwrap();
        response.set_status(Status::CREATED).unwrap();
        response.fields_mut().unwrap().append("X-A", "1").unwrap();
        held.write(b"made", T(1004)).unwrap();
        held.handle_timeout(T(1004));
        assert_eq!(sent(&mut held), None);
        held.response(T(1004)).unwrap().finish().unwrap();
        assert_eq!(held.deadline(), None);
        // It is decided: time does not matter any more.
        held.handle_timeout(T(9999));
        assert!(!held.is_timed_out());
        let made = "201 Known(4) [Content-Type: text/plain; charset=utf-8] [X-A: 1] made";
        assert_eq!(sent(&mut held).as_deref(), Some(made));
    }

    #[test]
    fn a_handler_that_is_late() {
        const PAGE: &str = "<html><head><title>Timeout</title></head><body><h1>Timeout</h1></body></html>";
        let mut held = held(five());
        let response = held.response(T(1001)).unwrap();
        response.fields_mut().unwrap().append("X-A", "1").unwrap();
        held.write(b"half", T(1002)).unwrap();
        assert_eq!(held.write(b"more", T(1005)), Err(HeldError::TimedOut));
        assert!(held.is_timed_out());
        assert_eq!(held.deadline(), None);
        assert_eq!(held.response(T(1005)).err(), Some(HeldError::TimedOut));
        let page = format!("503 Known(77) [Content-Type: text/html; charset=utf-8] {PAGE}");
        assert_eq!(sent(&mut held), Some(page));
        // Whatever comes later.
        held.handle_timeout(T(1006));
        assert_eq!(held.write(b"more", T(1)), Err(HeldError::TimedOut));
        assert_eq!(sent(&mut held).as_deref(), Some(" "));
    }

    #[test]
    fn a_text_of_ones_own() {
        let mut config = five();
        config.text = String::from("too slow").into();
        let mut held = held(config);
        held.handle_timeout(T(1005));
        let text = "503 Known(8) [Content-Type: text/plain; charset=utf-8] too slow";
        assert_eq!(sent(&mut held).as_deref(), Some(text));
    }

    #[test]
    fn what_is_held_is_bounded_and_has_a_length() {
        let mut config = five();
        config.max_body = 3000;
        let mut held = held(config);
        held.write(&[b'x'; 2999], T(1000)).unwrap();
        let long = Err(HeldError::TooLarge { limit: 3000 });
        assert_eq!(held.write(b"yz", T(1000)), long);
        held.write(b"y", T(1000)).unwrap();
        assert_eq!(held.write(b"z", T(1000)), long);
        assert_eq!(held.write(b"", T(1000)), Ok(()));
        held.response(T(1000)).unwrap().finish().unwrap();
        let Action::Head(head) = held.ready().unwrap().action() else {
            panic!()
        };
        assert_eq!(head.body(), BodyLen::Known(3000));

        // The rules of responses hold.
        let mut config = five();
        config.max_body = 10;
        let mut held = self::held(config);
        let status = Status::NO_CONTENT;
        held.response(T(1000)).unwrap().write_head(status).unwrap();
        let refused = HeldError::Refused(RespondError::BodyNotAllowed { status });
        assert_eq!(held.write(b"x", T(1000)), Err(refused));
        assert_eq!(
            held.write(&[b'x'; 11], T(1000)),
            Err(HeldError::TooLarge { limit: 10 })
        );
    }

    #[test]
    fn a_handler_that_fails_in_time() {
        let mut held = held(five());
        held.write(b"half", T(1000)).unwrap();
        assert!(held.response(T(1001)).unwrap().fail(false));
        assert!(sent(&mut held).unwrap().starts_with("500 Known(22) "));
        let mut held = self::held(five());
        held.response(T(1001)).unwrap().abort(AbortReason::Handler);
        assert_eq!(sent(&mut held).as_deref(), Some(" the handler gave up "));
    }
}
