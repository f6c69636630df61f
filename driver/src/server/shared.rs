//! The state of one server connection that its task shares with the [`RequestBody`]s and the server's handle:
//! the machine and who waits for it. One short-held lock, never held across user code; wakers count as such, so
//! [`Locked`] wakes only after it has unlocked.
//!
//! The connection's task alone reads and writes the socket. A body looks at what the machine has received,
//! says what it wants, and wakes the task.

use crate::{Error, ErrorKind};
use antiphon_core::Headers;
use antiphon_core::h1::{
    BodyLen, CloseReason, DeadlineKind, ExchangeId, OwnedHead, PeerError, Reuse, ServerConn, ServerEvent,
    Switch,
};
use bytes::Bytes;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

const READING: &str = "reading the request body";

/// The shared half of a connection.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<State>);

#[derive(Debug)]
pub(crate) struct State {
    /// `None` once the connection was switched to another protocol, or is over.
    pub(crate) conn: Option<ServerConn>,
    /// The connection's task.
    driver: Option<Waker>,
    /// The task runs its poll right now, so that a wake from inside it is not needed.
    polling: bool,
    /// The drain is over: drop the connection.
    pub(crate) kill: bool,
    /// The task that waits for body bytes.
    reader: Option<Waker>,
    /// A reader to be woken when the lock is left.
    woken: Option<Waker>,
    /// The connection's task is to be woken then.
    driver_due: bool,
    /// A body reader on the connection's own task was told that there is more.
    pub(crate) reader_ready: bool,
    /// A request that no handler has been started for.
    pub(crate) request: Option<NewRequest>,
    /// The exchange whose request was told last, until it ends.
    current: Option<ExchangeId>,
    body_ended: bool,
    /// How the last exchange ended.
    pub(crate) ended: Option<(ExchangeId, Reuse)>,
    broken: Option<Broken>,
}

/// A request head that was just read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewRequest {
    pub(crate) id: ExchangeId,
    pub(crate) body: BodyLen,
    pub(crate) proposes: Switch,
}

/// Why nothing more comes from the client.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Peer(PeerError),
    Timeout(DeadlineKind),
    Gone,
}

impl Shared {
    pub(crate) fn new(conn: ServerConn) -> Shared {
        Shared(Mutex::new(State {
            conn: Some(conn),
            driver: None,
            polling: false,
            kill: false,
            reader: None,
            woken: None,
            driver_due: false,
            reader_ready: false,
            request: None,
            current: None,
            body_ended: false,
            ended: None,
            broken: None,
        }))
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        // No user code runs under the lock, so a poisoned one holds nothing half done.
        Locked(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Gives a head's storage back for the next request.
    pub(crate) fn recycle(&self, head: OwnedHead) {
        if let Some(conn) = &mut self.lock().conn {
            conn.recycle(head);
        }
    }
}

/// The lock. Whoever was to be woken under it is woken when it has been left: an executor that has stopped
/// drops the woken task, and with it perhaps a body or a connection that locks again.
pub(crate) struct Locked<'a>(Option<MutexGuard<'a, State>>);

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.0.as_ref().expect("taken only when dropped")
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0.as_mut().expect("taken only when dropped")
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Some(mut state) = self.0.take() else { return };
        let reader = state.woken.take();
        let driver = match std::mem::take(&mut state.driver_due) {
            true => state.driver.clone(),
            false => None,
        };
        drop(state);
        reader.into_iter().chain(driver).for_each(Waker::wake);
    }
}

impl State {
    /// The connection's task begins a poll with this waker. Says whether it is another one than before.
    pub(crate) fn enter(&mut self, waker: &Waker) -> bool {
        self.polling = true;
        match &self.driver {
            Some(w) if w.will_wake(waker) => false,
            _ => {
                self.driver = Some(waker.clone());
                true
            }
        }
    }

    /// The connection's task ends its poll: from here on it must be woken.
    pub(crate) fn leave(&mut self) {
        self.polling = false;
    }

    /// Wakes the connection's task, unless it is this one and running.
    pub(crate) fn wake_driver(&mut self, from: Option<&Waker>) {
        if let Some(driver) = &self.driver
            && !(self.polling && from.is_some_and(|w| w.will_wake(driver)))
        {
            self.driver_due = true;
        }
    }

    /// Takes all events from the machine and notes what they say. Stops at a request until it was taken.
    pub(crate) fn pump(&mut self) {
        while self.request.is_none()
            && let Some(conn) = &mut self.conn
        {
            match conn.next_event() {
                Ok(None) => return,
                Ok(Some(event)) => match event {
                    ServerEvent::Request {
                        id, body, proposes, ..
                    } => {
                        self.request = Some(NewRequest { id, body, proposes });
                        self.current = Some(id);
                        self.body_ended = body.is_empty();
                    }
                    ServerEvent::Body { .. } => {}
                    ServerEvent::BodyEnd { .. } => self.body_ended = true,
                    ServerEvent::ExchangeEnd { id, reuse } => {
                        self.ended = Some((id, reuse));
                        if self.current == Some(id) {
                            self.current = None;
                        }
                    }
                    ServerEvent::Timeout { why, .. } => self.broken = Some(Broken::Timeout(why)),
                    ServerEvent::PeerGone => self.broken = Some(Broken::Gone),
                    // Half-closed clients are answered; rejected heads are only told when the application asks
                    // for them, which this driver does not.
                    _ => continue,
                },
                Err(error) => {
                    let news = self.broken.is_none();
                    self.broken = Some(Broken::Peer(error));
                    if news {
                        self.wake_reader();
                    }
                    return;
                }
            }
            self.wake_reader();
        }
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            if self.polling && self.driver.as_ref().is_some_and(|d| d.will_wake(&reader)) {
                self.reader_ready = true;
            } else {
                // Nobody can have begun to wait since the last one was told, under the same lock.
                self.woken = Some(reader);
            }
        }
    }

    /// The connection is over: whoever waits for it is told.
    pub(crate) fn close(&mut self) {
        self.conn = None;
        self.current = None;
        if self.broken.is_none() {
            self.broken = Some(Broken::Gone);
        }
        self.wake_reader();
    }

    /// Why the exchange `id` gives no more body bytes, if it does not.
    fn obstacle(&self, id: ExchangeId) -> Option<Error> {
        if let Some(broken) = self.broken {
            return Some(match broken {
                Broken::Peer(error) => Error::peer(READING, error),
                Broken::Timeout(why) => Error::timeout(READING, why),
                Broken::Gone => match self.ended {
                    Some((_, Reuse::Close(reason))) => Error::closed(READING, reason),
                    _ => Error::closed(READING, CloseReason::PeerClosed),
                },
            });
        }
        if self.current == Some(id) {
            return None;
        }
        Some(match self.ended {
            Some((ended, Reuse::Close(reason))) if ended == id => Error::closed(READING, reason),
            _ => Error::new(ErrorKind::ExchangeOver, READING),
        })
    }
}

/// The incoming side of a [`Body`](crate::Body) on a server.
#[derive(Debug)]
pub(crate) struct RequestBody {
    shared: Arc<Shared>,
    id: ExchangeId,
}

impl RequestBody {
    pub(crate) fn new(shared: Arc<Shared>, id: ExchangeId) -> RequestBody {
        RequestBody { shared, id }
    }

    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        // Replaced under the lock, dropped after it.
        let _old;
        let mut state = self.shared.lock();
        let state = &mut *state;
        // What has been received is looked at first: an event that nobody waited for is told to nobody.
        state.pump();
        if state.current == Some(self.id)
            && let Some(conn) = &mut state.conn
        {
            conn.want_body(self.id);
            if !conn.body().is_empty() {
                let bytes = conn.take_body();
                // The end comes with the last byte, and the machine may want to read again.
                state.pump();
                state.wake_driver(Some(cx.waker()));
                return Poll::Ready(Some(Ok(bytes)));
            }
            if state.body_ended {
                return Poll::Ready(None);
            }
        }
        if let Some(error) = state.obstacle(self.id) {
            return Poll::Ready(Some(Err(error)));
        }
        match &state.reader {
            Some(w) if w.will_wake(cx.waker()) => {}
            _ => _old = state.reader.replace(cx.waker().clone()),
        }
        state.wake_driver(Some(cx.waker()));
        Poll::Pending
    }

    pub(crate) fn take_trailers(&mut self) -> Option<Headers> {
        let state = self.shared.lock();
        let trailers = state.conn.as_ref()?.trailers(self.id)?;
        (!trailers.is_empty()).then(|| trailers.to_headers())
    }
}
