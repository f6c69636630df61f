//! [`Exchange`]: a request and its response on a connection, of the pool or outside of it, from sending the head to
//! giving the connection back.

use super::connection::{Conn, Progress, ended_early, timed_out};
use super::hub::{Hub, before};
use super::seat::Seat;
use super::upload::Upload;
use crate::response::Received;
use crate::runtime::{Runtime, Spawn};
use crate::{Body, Error, ErrorKind, Response, Task, Upgraded};
use antiphon_core::client::retry::Failure;
use antiphon_core::h1::{BodyLen, ClientEvent, CloseReason, ExchangeId, PeerErrorKind, Reuse};
use antiphon_core::{Headers, Instant, Status};
use bytes::Bytes;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

const RECEIVING: &str = "waiting for the response";
const READING: &str = "reading the response body";
/// A response body that is left unread is drained up to this many bytes, so that the connection can be kept.
const DRAIN: u64 = 256 * 1024;
/// ... and for this long (Go's values).
const DRAIN_TIME: Duration = Duration::from_millis(50);

/// An exchange under way: of a [`Call`](antiphon_core::client::Call), which decides what becomes of it. Dropping it gives the connection back, finishes in the background, or closes.
pub(crate) struct Exchange<R: Runtime + Spawn<Task>> {
    hub: Arc<Hub<R>>,
    /// `None` once it was given back.
    conn: Option<(Box<Conn<R>>, Seat<R>)>,
    id: ExchangeId,
    upload: Upload,
    /// The request's own deadline.
    limit: Option<Instant>,
    reused: bool,
    interim: Vec<antiphon_core::Response>,
    /// Of the final response, once it is here.
    status: Option<Status>,
    /// What is left of a body of known length.
    left: BodyLen,
    body_ended: bool,
    trailers: Option<Headers>,
    end: Option<Reuse>,
    /// It failed: nothing more is to be had from it.
    failed: bool,
    /// It runs in the background already.
    detached: bool,
}

impl<R: Runtime + Spawn<Task>> Exchange<R> {
    /// Takes over a connection on which the request's head has been queued.
    pub(crate) fn new(
        hub: Arc<Hub<R>>,
        conn: Box<Conn<R>>,
        seat: impl Into<Seat<R>>,
        id: ExchangeId,
        upload: Upload,
        limit: Option<Instant>,
    ) -> Exchange<R> {
        let seat = seat.into();
        let reused = seat.is_reused();
        Exchange {
            hub,
            conn: Some((conn, seat)),
            id,
            upload,
            limit,
            reused,
            interim: Vec::new(),
            status: None,
            left: BodyLen::Unknown,
            body_ended: false,
            trailers: None,
            end: None,
            failed: false,
            detached: false,
        }
    }

    /// Drives the exchange until the final response's head is there.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        let head = ready!(self.poll_answer(cx));
        Poll::Ready(head.map_err(|e| self.explained(e)))
    }

    /// The error, with what the stream said.
    fn explained(&mut self, error: Error) -> Error {
        match &mut self.conn {
            Some((conn, _)) => conn.explained(error),
            None => error,
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        loop {
            match ready!(self.poll_progress(cx, RECEIVING))? {
                ClientEvent::Interim { .. } => {
                    if let Some((conn, _)) = &self.conn
                        && let Ok(head) = conn.machine.head(self.id)
                    {
                        let head = head.to_response();
                        if let Some(watch) = &conn.watch {
                            watch.interim(&head);
                        }
                        self.interim.push(head);
                    }
                }
                ClientEvent::SendBodyNow { .. } => self.upload.release(),
                ClientEvent::Response { body, .. } => {
                    self.left = body;
                    let Some((conn, seat)) = &mut self.conn else {
                        continue;
                    };
                    let head = conn.machine.take_head(self.id);
                    let Some(view) = head.as_response() else { continue };
                    let status = view.status();
                    self.status = Some(status);
                    // A final answer instead of 100: the body is sent only where it is still of use.
                    if self.upload.is_held() && status.code() < 400 {
                        self.upload.release();
                    }
                    let received = Received {
                        reason: Bytes::copy_from_slice(view.reason()),
                        reused: self.reused,
                        remote: seat.remote(conn),
                        informational: std::mem::take(&mut self.interim),
                        chain: None,
                        decoded: None,
                    };
                    let version = view.version();
                    let head = antiphon_core::Response {
                        status,
                        version,
                        headers: head.into_headers(),
                    };
                    return Poll::Ready(Ok(Response::received(head, received)));
                }
                ClientEvent::ExchangeEnd { reuse, .. } => {
                    self.end = Some(reuse);
                    let reason = match reuse {
                        Reuse::Close(reason) => Some(reason),
                        _ => None,
                    };
                    return Poll::Ready(Err(ended_early(reason, RECEIVING)));
                }
                ClientEvent::Timeout { why, .. } => return Poll::Ready(Err(Error::timeout(RECEIVING, why))),
                ClientEvent::PeerClosed { .. } => return Poll::Ready(Err(ended_early(None, RECEIVING))),
                _ => {}
            }
        }
    }

    /// The next event; an error once there is none to come.
    fn poll_progress(
        &mut self,
        cx: &mut Context<'_>,
        phase: &'static str,
    ) -> Poll<Result<ClientEvent, Error>> {
        let Some((conn, _)) = &mut self.conn else {
            return Poll::Ready(Err(Error::new(ErrorKind::ExchangeOver, phase)));
        };
        match ready!(conn.poll_event(cx, self.id, &mut self.upload, self.limit, phase)) {
            Ok(Progress::Event(event)) => Poll::Ready(Ok(event)),
            Ok(Progress::TimedOut) => Poll::Ready(Err(timed_out(phase))),
            Ok(Progress::Closed) => Poll::Ready(Err(ended_early(None, phase))),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The length of the response's body, of what is left of it.
    pub(super) fn body_len(&self) -> BodyLen {
        self.left
    }

    /// Whether more than `most` bytes of the response's body are still to come, as far as that was declared.
    pub(super) fn declares_more_than(&self, most: u64) -> bool {
        matches!(self.left, BodyLen::Known(n) if n > most) && !self.failed
    }

    /// Whether the request's body has not been touched: neither sent nor asked for a byte.
    pub(super) fn is_untouched(&self) -> bool {
        self.upload.is_untouched()
    }

    /// It failed: its connection is not used again. Gives the request's body back, if nothing was taken from it.
    pub(super) fn give_up(&mut self) -> Option<Body> {
        self.failed = true;
        self.upload.untouched()
    }

    /// Whether some of the request went out.
    pub(super) fn is_written(&self) -> bool {
        self.conn
            .as_ref()
            .is_some_and(|(conn, _)| conn.machine.request_bytes_sent() > 0)
    }

    /// Which kind of failure it was.
    pub(super) fn failure(&self, error: &Error) -> Failure {
        use CloseReason::{PeerClosed, ReadFailed, WriteFailed};
        match &self.conn {
            Some((conn, _)) if conn.machine.response_begun() => return Failure::InResponse,
            Some(_) => {}
            None => return Failure::Other,
        }
        match error.kind() {
            ErrorKind::Closed(PeerClosed | ReadFailed | WriteFailed) => Failure::BeforeResponse,
            ErrorKind::Peer(e) if e.kind() == PeerErrorKind::UnexpectedEof => Failure::BeforeResponse,
            _ => Failure::Other,
        }
    }

    /// What has arrived with the head is taken at once, so that a small response frees its connection before
    /// it is handed out.
    pub(super) fn settle(&mut self) -> Bytes {
        let mut arrived = Bytes::new();
        self.note_events();
        if let Some((conn, _)) = &mut self.conn
            && let BodyLen::Known(n) = self.left
            && n > 0
            && conn.machine.body().len() as u64 == n
        {
            arrived = conn.machine.take_body();
            self.left = BodyLen::Known(0);
            self.note_events();
        }
        arrived
    }

    /// Whether nothing of it is wanted any more but what was taken from it. A connection that has switched is, by
    /// whoever takes it over; and while the request's body is still being sent, reading the response's end goes on
    /// with that.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.end, Some(Reuse::KeepAlive | Reuse::Close(_)))
    }

    pub(super) fn is_switched(&self) -> bool {
        self.end == Some(Reuse::Switched)
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        match self.end {
            Some(Reuse::Close(reason)) => Some(reason),
            _ => None,
        }
    }

    pub(super) fn take_trailers(&mut self) -> Option<Headers> {
        self.trailers.take()
    }

    /// The connection leaves HTTP.
    pub(super) fn into_upgraded(mut self) -> Result<Upgraded, Error> {
        let Some((conn, seat)) = self.conn.take() else {
            return Err(Error::new(ErrorKind::NotUpgraded, "taking the connection over"));
        };
        seat.forget(&self.hub, &conn);
        let Conn { machine, stream, .. } = *conn;
        Ok(Upgraded::new(stream.into_boxed(), machine.into_parts().unread))
    }

    /// Reads at most so much of the body of a response that nobody gets, and waits no longer than for the rest of
    /// any body that is left unread. What happens then is decided when it is dropped.
    pub(super) async fn drain(&mut self, most: u64) {
        let runtime = self.hub.runtime.clone();
        let until = runtime.now() + DRAIN_TIME;
        let mut drained = 0;
        let reading = poll_fn(|cx| {
            while drained <= most
                && let Some(Ok(bytes)) = ready!(self.poll_body(cx))
            {
                drained += bytes.len() as u64;
            }
            Poll::Ready(())
        });
        before(&runtime, until, reading).await;
    }

    /// Takes the events that need no I/O.
    fn note_events(&mut self) {
        while self.end.is_none()
            && let Some((conn, _)) = &mut self.conn
            && let Ok(Some(event)) = conn.machine.next_event()
        {
            self.note(event);
        }
    }

    fn note(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::SendBodyNow { .. } => self.upload.release(),
            ClientEvent::BodyEnd { .. } => {
                self.body_ended = true;
                // They can be looked at until the exchange ends.
                if let Some((conn, _)) = &self.conn
                    && let Some(trailers) = conn.machine.trailers(self.id)
                    && !trailers.is_empty()
                {
                    self.trailers = Some(trailers.to_headers());
                }
            }
            ClientEvent::ExchangeEnd { reuse, .. } => {
                self.end = Some(reuse);
                if reuse == Reuse::KeepAlive {
                    // Before the reader is told of the end, so that its next request finds the connection.
                    self.give_back();
                }
            }
            _ => {}
        }
    }

    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            if self.failed {
                return Poll::Ready(None);
            }
            if let Some((conn, _)) = &mut self.conn
                && !conn.machine.body().is_empty()
            {
                let bytes = conn.machine.take_body();
                if let BodyLen::Known(n) = &mut self.left {
                    *n = n.saturating_sub(bytes.len() as u64);
                }
                self.note_events();
                return Poll::Ready(Some(Ok(bytes)));
            }
            if self.body_ended || matches!(self.end, Some(Reuse::KeepAlive | Reuse::Switched)) {
                return Poll::Ready(None);
            }
            if let Some(Reuse::Close(reason)) = self.end {
                self.failed = true;
                let error = self.explained(Error::closed(READING, reason));
                return Poll::Ready(Some(Err(error)));
            }
            if let Some((conn, _)) = &mut self.conn {
                conn.machine.want_body(self.id);
            }
            match ready!(self.poll_progress(cx, READING)) {
                Ok(ClientEvent::Timeout { why, .. }) => {
                    self.failed = true;
                    return Poll::Ready(Some(Err(Error::timeout(READING, why))));
                }
                Ok(event) => {
                    self.note(event);
                    // The exchange often ends with the body: noticed now, the connection is back in the pool
                    // before the reader learns of the end.
                    self.note_events();
                }
                Err(error) => {
                    self.failed = true;
                    let error = self.explained(error);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// Gives the connection back to the pool, if it can be used again; else closes it.
    fn give_back(&mut self) {
        let Some((mut conn, seat)) = self.conn.take() else {
            return;
        };
        if self.end == Some(Reuse::KeepAlive) && !self.failed && conn.machine.can_send() {
            conn.rest();
            seat.put(&self.hub, conn);
        } else {
            seat.discard(&self.hub, conn, self.id, self.end);
        }
    }

    /// Whether finishing it in the background is worth more than the connection.
    ///
    /// Only what needs nobody's code any more: a stream that the caller has left may stay pending for ever.
    fn worth_finishing(&self) -> bool {
        if self.failed || self.detached || self.end.is_some() {
            return false;
        }
        match self.status {
            // No response yet: whoever gave the request up wants it stopped.
            None => false,
            Some(_) if !self.upload.is_in_memory() => false,
            // The rest of an upload that the server does not want.
            Some(status) if self.upload.is_open() && (status.code() >= 400 || self.upload.is_held()) => false,
            Some(_) => self.body_ended || !matches!(self.left, BodyLen::Known(n) if n > DRAIN),
        }
    }

    /// The background task: sends the rest of the request, drains the rest of the response, within limits.
    async fn finish(mut self) {
        let mut drained = 0;
        let mut limited = false;
        poll_fn(|cx| {
            loop {
                // An upload may take its time, as long as it moves: the write-stall deadline watches it.
                let sent = self.is_sent();
                if sent && !limited {
                    limited = true;
                    let limit = self.hub.runtime.now() + DRAIN_TIME;
                    self.limit = Some(self.limit.map_or(limit, |at| at.min(limit)));
                }
                let rest = self.poll_rest(cx, &mut drained);
                // What is left has its limit from the moment in which the upload ends, so that is armed now.
                if rest.is_ready() || limited || !self.is_sent() {
                    return rest;
                }
            }
        })
        .await;
    }

    /// Whether all of the request has been written.
    fn is_sent(&self) -> bool {
        self.upload.is_handed_over()
            && self
                .conn
                .as_ref()
                .is_none_or(|(conn, _)| !conn.machine.wants().write)
    }

    /// Ready when the exchange has ended, or has cost enough.
    fn poll_rest(&mut self, cx: &mut Context<'_>, drained: &mut u64) -> Poll<()> {
        while let Some(Ok(bytes)) = ready!(self.poll_body(cx)) {
            *drained += bytes.len() as u64;
            if *drained > DRAIN {
                self.failed = true;
                return Poll::Ready(());
            }
        }
        while self.end.is_none() && !self.failed {
            match ready!(self.poll_progress(cx, READING)) {
                Ok(event) => self.note(event),
                Err(_) => self.failed = true,
            }
        }
        Poll::Ready(())
    }
}

impl<R: Runtime + Spawn<Task>> Drop for Exchange<R> {
    fn drop(&mut self) {
        if self.worth_finishing()
            && let Some((conn, seat)) = self.conn.take()
        {
            let rest = Exchange {
                hub: self.hub.clone(),
                conn: Some((conn, seat)),
                id: self.id,
                upload: std::mem::replace(&mut self.upload, Upload::NONE).unmetered(),
                limit: self.limit,
                reused: self.reused,
                interim: Vec::new(),
                status: self.status,
                left: self.left,
                body_ended: self.body_ended,
                trailers: None,
                end: None,
                failed: false,
                detached: true,
            };
            self.hub.runtime.spawn(Box::pin(rest.finish()));
        } else {
            self.give_back();
        }
    }
}
