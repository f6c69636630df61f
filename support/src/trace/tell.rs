//! [`Tracer`] and [`CallTracer`]: on whose behalf something is told, and to whom.

use super::{CallId, Trace, TraceEvent};
use antiphon_core::client::Url;
use antiphon_core::client::call::SetCookies;
use antiphon_core::client::retry::Failure;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Whom a call tells, on its way through a client. Without an observer, telling is one branch.
#[derive(Clone, Default)]
pub struct Tracer {
    to: Option<Arc<dyn Trace>>,
    call: CallId,
}

impl Tracer {
    /// Tells `client`'s observer, and the call's `own`. `next` numbers the call; it is asked if there is somebody to tell.
    pub fn new(
        client: Option<&Arc<dyn Trace>>,
        own: Option<Arc<dyn Trace>>,
        next: impl FnOnce() -> CallId,
    ) -> Tracer {
        let to: Arc<dyn Trace> = match (client, own) {
            (None, None) => return Tracer::default(),
            (Some(one), None) => one.clone(),
            (None, Some(one)) => one,
            (Some(client), Some(own)) => {
                let client = client.clone();
                Arc::new(move |event: &TraceEvent<'_>| {
                    client.event(event);
                    own.event(event);
                })
            }
        };
        Tracer {
            to: Some(to),
            call: next(),
        }
    }

    /// Tells what is not about a call.
    pub fn of_client(client: Option<&Arc<dyn Trace>>) -> Tracer {
        Tracer::new(client, None, CallId::default)
    }

    /// Tells it, if there is somebody.
    pub fn tell(&self, event: TraceEvent<'_>) {
        if let Some(to) = &self.to {
            to.event(&event);
        }
    }

    /// Whether there is somebody: for what costs something to find out.
    pub fn is_on(&self) -> bool {
        self.to.is_some()
    }

    /// The jar was asked, and this is what it had.
    pub fn cookies_sent(&self, url: &Url, value: Option<&str>) {
        if let Some(value) = value
            && self.is_on()
        {
            self.tell(TraceEvent::CookiesSent {
                call: self.call,
                url,
                cookies: value.split(';').count(),
            });
        }
    }

    /// The jar was given this.
    pub fn cookies_set(&self, set: &SetCookies<'_, '_>) {
        if self.is_on() {
            let cookies = set.values().count();
            if cookies > 0 {
                self.tell(TraceEvent::CookiesSet {
                    call: self.call,
                    url: set.url(),
                    cookies,
                });
            }
        }
    }

    /// A request came to nothing.
    pub fn attempt_failed(&self, failure: Failure, written: bool, error: &(dyn StdError + 'static)) {
        self.tell(TraceEvent::AttemptFailed {
            call: self.call,
            failure,
            written,
            error,
        });
    }

    /// Which call it is about.
    pub fn call(&self) -> CallId {
        self.call
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("on", &self.is_on())
            .field("call", &self.call)
            .finish()
    }
}

/// The same for the call itself: if it is dropped before its end was told, it tells that.
#[derive(Debug, Default)]
pub struct CallTracer {
    tracer: Tracer,
    over: bool,
}

impl CallTracer {
    /// A call that begins.
    pub fn new(tracer: Tracer) -> CallTracer {
        CallTracer { tracer, over: false }
    }

    /// For what else tells on its behalf.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Tells the end of the call.
    pub fn end(&mut self, event: TraceEvent<'_>) {
        self.over = true;
        self.tracer.tell(event);
    }
}

impl Drop for CallTracer {
    fn drop(&mut self) {
        if !self.over {
            self.tracer.tell(TraceEvent::CallDropped {
                call: self.tracer.call,
            });
        }
    }
}
