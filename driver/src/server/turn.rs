//! One turn of a server connection: look at what the machine wants, do one cancel-safe piece of I/O in each
//! direction, commit it at once. No user code runs in here, so the connection's lock is held throughout.

use super::connection::{App, Connection, Start};
use super::registry::Registry;
use crate::io::write_some;
use crate::runtime::{Runtime, Stream, Timer};
use antiphon_core::Instant;
use antiphon_core::h1::{Finish, Reuse, ServerConn};
use antiphon_core::server::shutdown::{ConnState, Order};
use std::task::{Context, Poll};

/// What is to be done after a turn.
pub(super) enum Turn {
    /// Another turn; `app`: after the application was asked again.
    Again { app: bool },
    /// A request has arrived: start its handler.
    Start(Start),
    /// Nothing until something wakes the task.
    Wait,
    /// The connection is over.
    Over,
    /// It speaks another protocol now.
    Switched(Box<ServerConn>),
}

impl<R: Runtime, H, F> Connection<R, H, F> {
    /// Begins a poll. False if the connection is to be dropped.
    pub(super) fn enter(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut state = self.shared.lock();
        let moved = state.enter(cx.waker());
        if state.kill {
            return false;
        }
        let Some(conn) = &mut state.conn else { return false };
        match self.armed {
            Some(at) if at <= now => {
                self.armed = None;
                conn.handle_timeout(now);
            }
            // The timer would wake the wrong task.
            Some(_) if moved => {
                if let Some(timer) = &mut self.timer
                    && timer.poll(cx).is_ready()
                {
                    self.armed = None;
                }
            }
            _ => {}
        }
        true
    }

    pub(super) fn turn(&mut self, cx: &mut Context<'_>, now: Instant) -> Turn {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.pump();
        let mut app = std::mem::take(&mut state.reader_ready) | std::mem::take(&mut self.more);
        if let Some((id, _)) = self.upgrade
            && let Some((ended, reuse)) = state.ended
            && id == ended
            && reuse != Reuse::Switched
        {
            // There will be no switch; what was prepared for one may hold something dear.
            let needless = self.upgrade.take();
            drop(guard);
            drop(needless);
            return Turn::Again { app: true };
        }
        if let (Some(id), Some((ended, _))) = (self.app.id(), state.ended)
            && id == ended
        {
            // The client left, or a deadline passed: nobody waits for the rest of the answer. A handler hears of
            // it first, if it is reading.
            if !std::mem::replace(&mut self.last_call, true) {
                return Turn::Again { app: true };
            }
            let cancelled = std::mem::replace(&mut self.app, App::Idle);
            drop(guard);
            drop(cancelled);
            return Turn::Again { app: false };
        }
        let Some(conn) = &mut state.conn else {
            return Turn::Over;
        };
        let leave_at = if self.hub.registry.is_stopping() {
            leave(conn, &self.hub.registry, self.opened, now)
        } else {
            None
        };
        if matches!(self.app, App::Idle)
            && let Some(new) = state.request.take()
        {
            let head = conn.take_head(new.id);
            return Turn::Start(Start { new, head });
        }
        let Some(stream) = &mut self.stream else {
            return Turn::Over;
        };
        let mut moved = false;

        let wants = conn.wants();
        if wants.write {
            match write_some(stream, cx, conn.outgoing()) {
                Poll::Pending => {}
                Poll::Ready(Ok(n)) => {
                    let committed = conn.sent(n as u64, now);
                    debug_assert!(committed.is_ok(), "no more is written than was offered");
                    moved = true;
                    app |= matches!(self.app, App::Sending(_));
                }
                Poll::Ready(Err(_)) => {
                    conn.write_failed(now);
                    moved = true;
                }
            }
        } else {
            match wants.finish {
                Finish::No => {}
                Finish::ShutdownWrite => {
                    // A failed shutdown means that the client is gone, which reading will tell.
                    if stream.poll_shutdown(cx).is_ready() {
                        conn.write_shut(now);
                        moved = true;
                    }
                }
                finish @ (Finish::Close | Finish::Reset) => {
                    if finish == Finish::Reset {
                        stream.reset();
                    }
                    if let Some(buffer) = conn.reclaim() {
                        self.hub.buffers.put(buffer);
                    }
                    return Turn::Over;
                }
                Finish::Detach => {
                    state.leave();
                    return match state.conn.take() {
                        Some(conn) => Turn::Switched(Box::new(conn)),
                        None => Turn::Over,
                    };
                }
            }
        }

        if conn.wants().read {
            if conn.needs_buffer() {
                conn.lend(self.hub.buffers.take());
            }
            match stream.poll_read(cx, conn.recv_space()) {
                Poll::Pending => {}
                Poll::Ready(Ok(0)) => {
                    conn.received_eof(now);
                    moved = true;
                }
                Poll::Ready(Ok(n)) => {
                    let committed = conn.received(n, now);
                    debug_assert!(committed.is_ok(), "no more is read than there is space");
                    moved = true;
                }
                Poll::Ready(Err(_)) => {
                    conn.read_failed(now);
                    moved = true;
                }
            }
        }
        if moved || app {
            return Turn::Again { app };
        }

        // Nothing moves: lend nothing, watch the clock, wait.
        if let Some(buffer) = conn.reclaim() {
            self.hub.buffers.put(buffer);
        }
        let deadline = conn.deadline(now).map(|d| d.at);
        if let Some(next) = deadline.into_iter().chain(leave_at).min() {
            // The timer is moved only to an earlier time; when it fires too early it is armed again then.
            if self.armed.is_none_or(|at| next < at) {
                let timer = match &mut self.timer {
                    Some(timer) => {
                        timer.reset(next);
                        timer
                    }
                    none => none.insert(self.hub.runtime.timer(next)),
                };
                self.armed = Some(next);
                if timer.poll(cx).is_ready() {
                    self.armed = None;
                    conn.handle_timeout(self.hub.runtime.now());
                    return Turn::Again { app: false };
                }
            }
        }
        state.leave();
        Turn::Wait
    }
}

/// The server is stopping: leaves if the core says so. A new connection has a while to say something; then, or
/// when its request has been read, it is asked again.
fn leave(
    conn: &mut ServerConn,
    registry: &Registry,
    opened: Option<Instant>,
    now: Instant,
) -> Option<Instant> {
    let (state, since) = match opened {
        Some(opened) if conn.is_idle() => (ConnState::New, opened),
        _ if conn.is_idle() => (ConnState::Idle, now),
        _ => (ConnState::Active, now),
    };
    let shutdown = registry.lock().shutdown;
    match (state, shutdown.order(state, since, now)) {
        (_, Order::Serve) => None,
        (ConnState::New, Order::Finish) => shutdown.order_deadline(state, since, now),
        (_, Order::Finish | Order::Close | Order::Drop) => {
            conn.close_when_idle();
            None
        }
    }
}
