//! [`Progress`]: how far a call has come, in bytes, and [`Meter`], which keeps count of it and tells.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// How far a call of a client has come, in bytes of content.
///
/// What was sent is what the connection has taken over, which is at most what its output and the system's socket buffer
/// hold ahead of what the peer has seen. A redirect or a retry begins a new request, so it is counted anew: `sent` falls
/// back to 0, and `to_send` may become 0, where a redirect drops the body. What was received is counted as it comes from
/// the connection, before a content coding is taken off, so that it goes together with the length that the server
/// declared; of responses that nobody gets, such as redirects, nothing is counted. Once nobody reads the response any more,
/// nothing more is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the request's body that were sent.
    pub sent: u64,
    /// The length of the request's body, if it is known; 0 if it has none.
    pub to_send: Option<u64>,
    /// Bytes of the response's body that were received.
    pub received: u64,
    /// The length of the response's body, if it is known; `None` until the response is there.
    pub to_receive: Option<u64>,
}

/// Counts, and tells a function of the application's.
pub struct Meter {
    progress: Mutex<Progress>,
    tell: Box<dyn Fn(Progress) + Send + Sync>,
}

impl Meter {
    /// Tells this function.
    pub fn new(tell: impl Fn(Progress) + Send + Sync + 'static) -> Meter {
        Meter {
            progress: Mutex::default(),
            tell: Box::new(tell),
        }
    }

    /// A request begins, with a body of this length. That is not told by itself.
    pub fn begin(&self, to_send: Option<u64>) {
        self.change(|progress| {
            *progress = Progress {
                to_send,
                ..Progress::default()
            };
        });
    }

    /// So many bytes more of the request's body were sent.
    pub fn sent(&self, bytes: usize) {
        self.tell(|progress| progress.sent += bytes as u64);
    }

    /// The response that the caller gets is there, with a body of this length.
    pub fn answered(&self, to_receive: Option<u64>) {
        self.tell(|progress| progress.to_receive = to_receive);
    }

    /// So many bytes more of its body were received.
    pub fn received(&self, bytes: usize) {
        if bytes > 0 {
            self.tell(|progress| progress.received += bytes as u64);
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        let now = self.change(change);
        // No lock is held while the application's code runs.
        (self.tell)(now);
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) -> Progress {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        *progress
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_tuple("Meter").field(&*progress).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn each_request_is_counted_anew() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&told);
        let meter = Meter::new(move |p: Progress| {
            log.lock()
                .unwrap()
                .push((p.sent, p.to_send, p.received, p.to_receive));
        });
        meter.begin(Some(3));
        meter.sent(2);
        meter.sent(1);
        meter.begin(None);
        meter.sent(1);
        meter.answered(Some(5));
        meter.received(0);
        meter.received(5);
        assert_eq!(
            *told.lock().unwrap(),
            [
                (2, Some(3), 0, None),
                (3, Some(3), 0, None),
                (1, None, 0, None),
                (1, None, 0, Some(5)),
                (1, None, 5, Some(5)),
            ]
        );
    }

    #[test]
    fn the_function_may_look_at_the_meter_itself() {
        let meter = Arc::new(Meter::new(|_| {}));
        let inner = Arc::clone(&meter);
        let outer = Meter::new(move |_| inner.sent(1));
        outer.sent(1);
        assert!(format!("{meter:?}").contains("sent: 1"));
    }
}
