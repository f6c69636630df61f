//! [`Conn`]: one client connection, socket and machine, and how it is driven.
//!
//! Nothing is shared and nothing locked: whoever holds the box drives it, the request's future first, then the
//! response's body, then perhaps a task that finishes what they left.

use super::transport::Transport;
use super::upload::Upload;
use crate::buffers::Buffers;
use crate::io::write_some;
use crate::runtime::{Runtime, Stream, Timer};
use crate::{BoxError, ConnId, Error, ErrorKind};
use antiphon_core::Instant;
use antiphon_core::h1::{
    ClientConfig, ClientConn, ClientEvent, CloseReason, DeadlineKind, ExchangeId, Finish, Reuse,
};
use antiphon_support::trace::Watch;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How many turns one poll takes before it lets other tasks run.
const TURNS: usize = 32;

/// A client's connection.
pub(crate) struct Conn<R: Runtime> {
    runtime: R,
    buffers: Arc<Buffers>,
    pub(crate) machine: ClientConn,
    pub(crate) stream: Transport<R::Stream>,
    /// The other end of the first hop.
    pub(crate) remote: SocketAddr,
    pub(crate) id: ConnId,
    /// Tells what becomes of the exchange, if somebody wants to know.
    pub(crate) watch: Option<Box<Watch>>,
    /// What reading or writing failed of: the machine only knows that it did.
    failure: Option<io::Error>,
    timer: Option<R::Timer>,
    /// When the timer fires; `None` if it is not armed.
    armed: Option<Instant>,
    /// The task that drove it last.
    driver: Option<Waker>,
    /// Another one drives it now, and the timer would wake the old one.
    moved: bool,
}

/// What a poll of a connection gives.
pub(crate) enum Progress {
    /// The machine told something.
    Event(ClientEvent),
    /// The request's own deadline passed.
    TimedOut,
    /// The machine wants the socket closed, all events told.
    Closed,
}

impl<R: Runtime> Conn<R> {
    pub(crate) fn new(
        runtime: R,
        buffers: Arc<Buffers>,
        config: Arc<ClientConfig>,
        stream: Transport<R::Stream>,
        remote: SocketAddr,
        id: ConnId,
    ) -> Conn<R> {
        let machine = ClientConn::new(config, runtime.now());
        Conn {
            runtime,
            buffers,
            machine,
            stream,
            remote,
            id,
            watch: None,
            failure: None,
            timer: None,
            armed: None,
            driver: None,
            moved: false,
        }
    }

    /// Drives the connection until the machine tells something. `limit` is the request's own deadline, `phase`
    /// what the caller does, for its errors.
    ///
    /// An error of the machine is sticky; one of the request body breaks the request off.
    pub(crate) fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        id: ExchangeId,
        upload: &mut Upload,
        limit: Option<Instant>,
        phase: &'static str,
    ) -> Poll<Result<Progress, Error>> {
        self.driven_by(cx);
        let mut now = self.runtime.now();
        // Deadlines are looked at whether or not a timer was armed for them: while bytes keep coming, none is.
        if limit.is_some_and(|at| at <= now) {
            return Poll::Ready(Ok(Progress::TimedOut));
        }
        if self.armed.is_some_and(|at| at <= now) {
            self.armed = None;
        }
        if self.machine.deadline(now).is_some_and(|d| d.at <= now) {
            self.machine.handle_timeout(now);
        }
        let mut body_due = true;
        for _ in 0..TURNS {
            match self.machine.next_event() {
                Ok(Some(event)) => return Poll::Ready(Ok(Progress::Event(event))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(Error::peer(phase, error))),
            }
            if body_due && upload.is_open() {
                let polled = upload.poll(cx, &mut self.machine, id)?;
                // A stream whose turn is over has not been told to wake anybody: it is asked again.
                body_due = polled.more;
                if polled.ran {
                    // The application's stream takes its time; deadlines count from after it.
                    now = self.runtime.now();
                }
                if polled.ran && !polled.more {
                    continue;
                }
            } else {
                body_due = false;
            }
            match self.turn(cx, now) {
                Turn::Moved { wrote } => {
                    body_due |= wrote;
                    if let Some(watch) = &mut self.watch {
                        watch.look(&self.machine, upload.is_handed_over());
                    }
                }
                Turn::Closed => return Poll::Ready(Ok(Progress::Closed)),
                Turn::Still if body_due => {}
                Turn::Still => {
                    if !self.arm(cx, now, limit) {
                        return Poll::Pending;
                    }
                    now = self.runtime.now();
                    if limit.is_some_and(|at| at <= now) {
                        return Poll::Ready(Ok(Progress::TimedOut));
                    }
                    self.machine.handle_timeout(now);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn driven_by(&mut self, cx: &Context<'_>) {
        if !self.driver.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            self.driver = Some(cx.waker().clone());
            self.moved = true;
        }
    }

    /// One cancel-safe piece of I/O in each direction, committed at once.
    fn turn(&mut self, cx: &mut Context<'_>, now: Instant) -> Turn {
        let (machine, stream) = (&mut self.machine, &mut self.stream);
        let (mut moved, mut wrote) = (false, false);
        let wants = machine.wants();
        if wants.write {
            match write_some(stream, cx, machine.outgoing()) {
                Poll::Pending => {}
                Poll::Ready(Ok(n)) => {
                    let committed = machine.sent(n as u64, now);
                    debug_assert!(committed.is_ok(), "no more is written than was offered");
                    (moved, wrote) = (true, true);
                }
                Poll::Ready(Err(error)) => {
                    self.failure.get_or_insert(error);
                    machine.write_failed(now);
                    moved = true;
                }
            }
        } else {
            // Only TLS keeps bytes back. It tells of a failure once.
            if let Poll::Ready(Err(error)) = stream.poll_flush(cx) {
                self.failure.get_or_insert(error);
                machine.write_failed(now);
                moved = true;
            }
            match wants.finish {
                Finish::No | Finish::Detach => {}
                Finish::ShutdownWrite => {
                    if stream.poll_shutdown(cx).is_ready() {
                        machine.write_shut(now);
                        moved = true;
                    }
                }
                Finish::Close | Finish::Reset => return Turn::Closed,
            }
        }
        moved |= self.read(cx, now, Stream::poll_read);
        if moved { Turn::Moved { wrote } } else { Turn::Still }
    }

    /// Reads once by `read`, if the machine wants to; says whether there was something.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant, read: Reading<R::Stream>) -> bool {
        let machine = &mut self.machine;
        if !machine.wants().read {
            return false;
        }
        if machine.needs_buffer() {
            machine.lend(self.buffers.take());
        }
        match read(&mut self.stream, cx, machine.recv_space()) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => machine.received_eof(now),
            Poll::Ready(Ok(n)) => {
                let committed = machine.received(n, now);
                debug_assert!(committed.is_ok(), "no more is read than there is space");
            }
            Poll::Ready(Err(error)) => {
                // Why nothing more comes says more than why nothing more is taken.
                self.failure = Some(error);
                machine.read_failed(now);
            }
        }
        true
    }

    /// Arms the timer for the next deadline; says whether one has passed already.
    fn arm(&mut self, cx: &mut Context<'_>, now: Instant, limit: Option<Instant>) -> bool {
        self.give_back();
        let deadline = self.machine.deadline(now).map(|d| d.at);
        let Some(at) = deadline.into_iter().chain(limit).min() else {
            return false;
        };
        // Moved only to an earlier time; when the timer fires too early it is armed again then.
        if self.armed.is_none_or(|armed| at < armed) {
            match &mut self.timer {
                Some(timer) => timer.reset(at),
                none => *none = Some(self.runtime.timer(at)),
            }
            self.armed = Some(at);
        } else if !self.moved {
            return false;
        }
        self.moved = false;
        let fired = self.timer.as_mut().is_some_and(|t| t.poll(cx).is_ready());
        if fired {
            self.armed = None;
        }
        fired
    }

    /// Returns the buffer to the free list, if nothing in it is needed.
    pub(crate) fn give_back(&mut self) {
        if let Some(buffer) = self.machine.reclaim() {
            self.buffers.put(buffer);
        }
    }

    /// The error of a connection that ended, with what its stream said, if it failed.
    pub(crate) fn explained(&mut self, error: Error) -> Error {
        match (error.kind(), self.failure.take()) {
            (ErrorKind::Closed(CloseReason::ReadFailed | CloseReason::WriteFailed), Some(failure)) => {
                error.with_source(unwrapped(failure))
            }
            _ => error,
        }
    }

    /// It goes back to the pool: nothing of the last exchange's is kept, not even the task that drove it.
    pub(crate) fn rest(&mut self) {
        self.give_back();
        self.stream.rest();
        self.driver = None;
    }

    /// Whether an idle connection can take a request: nothing has arrived on it, not even its end.
    pub(crate) fn is_alive(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.runtime.now();
        if self.armed.is_some_and(|at| at <= now) {
            // Left over from the last exchange; the idle deadline is the pool's business.
            self.armed = None;
        }
        if self.machine.needs_buffer() {
            self.machine.lend(self.buffers.take());
        }
        let quiet = self
            .stream
            .poll_read_now(cx, self.machine.recv_space())
            .is_pending();
        quiet && self.machine.can_send()
    }

    /// Looks at a connection without an exchange, and does not wait: why it has ended, if it has. Whatever arrives on
    /// it ends it.
    pub(crate) fn look(&mut self, cx: &mut Context<'_>) -> Option<CloseReason> {
        let now = self.runtime.now();
        if self.machine.deadline(now).is_some_and(|d| d.at <= now) {
            self.machine.handle_timeout(now);
        }
        let turn = self.turn(cx, now);
        if matches!(turn, Turn::Still) {
            self.read(cx, now, Stream::poll_read_now);
        }
        self.give_back();
        self.last_word().or(match turn {
            Turn::Closed => Some(CloseReason::PeerClosed),
            Turn::Moved { .. } | Turn::Still => None,
        })
    }

    /// Waits for the end of a connection without an exchange.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.driven_by(cx);
        for _ in 0..TURNS {
            if let Some(reason) = self.look(cx) {
                return Poll::Ready(reason);
            }
            let now = self.runtime.now();
            if !self.arm(cx, now, None) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Gives the exchange up, if it is still open; says why the connection is over.
    pub(crate) fn give_up(&mut self, id: ExchangeId) -> CloseReason {
        // It may have ended by itself.
        let _ = self.machine.abort(id);
        self.last_word().unwrap_or(CloseReason::Aborted)
    }

    /// Why the connection is over, if the machine has that to tell.
    fn last_word(&mut self) -> Option<CloseReason> {
        loop {
            match self.machine.next_event() {
                Ok(None) => return None,
                Ok(Some(ClientEvent::Timeout { why, .. })) => return Some(CloseReason::Timeout(why)),
                Ok(Some(ClientEvent::ExchangeEnd {
                    reuse: Reuse::Close(reason),
                    ..
                })) => return Some(reason),
                Ok(Some(ClientEvent::PeerClosed { clean: true })) => return Some(CloseReason::PeerClosed),
                Ok(Some(ClientEvent::PeerClosed { .. })) if self.failure.is_some() => {
                    return Some(CloseReason::ReadFailed);
                }
                Ok(Some(ClientEvent::PeerClosed { .. })) => return Some(CloseReason::UnsolicitedBytes),
                Ok(Some(_)) => {}
                Err(error) => return Some(CloseReason::PeerError(error)),
            }
        }
    }

    /// How much longer the machine would keep it idle.
    pub(crate) fn idle_limit(&mut self) -> Option<Duration> {
        let now = self.runtime.now();
        let deadline = self.machine.deadline(now)?;
        (deadline.why == DeadlineKind::Idle).then(|| deadline.at.saturating_since(now))
    }
}

/// What a TLS stream says comes inside an error of I/O.
fn unwrapped(error: io::Error) -> BoxError {
    #[cfg(feature = "tls")]
    let error = match error.downcast::<crate::TlsError>() {
        Ok(tls) => return tls.into(),
        Err(error) => error,
    };
    error.into()
}

/// One of the ways to read from a connection.
type Reading<S> = fn(&mut Transport<S>, &mut Context<'_>, &mut [u8]) -> Poll<io::Result<usize>>;

enum Turn {
    Moved { wrote: bool },
    Still,
    Closed,
}

/// The error of a connection that ended before its exchange, when nothing tells more.
pub(crate) fn ended_early(reason: Option<CloseReason>, phase: &'static str) -> Error {
    Error::closed(phase, reason.unwrap_or(CloseReason::PeerClosed))
}

/// The error of a request whose own time is up.
pub(crate) fn timed_out(phase: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, phase)
}
