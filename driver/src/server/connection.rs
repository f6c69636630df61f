//! The task of one server connection: [`Connection`] moves bytes between the socket and the machine, runs the
//! handler and sends what it returns. How a turn works stands in `turn.rs`.
//!
//! All of this is one future. The handler's future is boxed once per request, so that idle connections stay
//! small.

use super::turn::Turn;
use super::{Hub, Place, RequestBody, Shared};
use crate::runtime::{Runtime, Stream};
use crate::upgrade::UpgradeFn;
use crate::{Body, BoxError, Request, Response, Upgraded};
use antiphon_core::h1::{BodyLen, ExchangeId, Misuse, OwnedHead, ServerConn};
use antiphon_core::{Field, FieldLines, Fields, Headers, Instant, Status};
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// How many turns one poll takes before it lets other tasks run.
const TURNS: usize = 32;
/// How many chunks of a response body one turn takes from the application.
const CHUNKS: usize = 16;

/// A server's connection, as a future that ends with it. What [`Server::serve`](crate::Server::serve) spawns.
pub struct Connection<R: Runtime, H, F> {
    pub(super) hub: Arc<Hub<R>>,
    handler: Arc<H>,
    pub(super) shared: Arc<Shared>,
    place: Place,
    pub(super) stream: Option<R::Stream>,
    remote: SocketAddr,
    local: Option<SocketAddr>,
    pub(super) timer: Option<R::Timer>,
    /// When the timer fires; `None` if it is not armed.
    pub(super) armed: Option<Instant>,
    pub(super) app: App<F>,
    /// The exchange has ended under the application, which was polled once more since.
    pub(super) last_call: bool,
    /// When it was accepted, until its first request has come.
    pub(super) opened: Option<Instant>,
    /// What is to be done with the socket if the exchange ends with a switch.
    pub(super) upgrade: Option<(ExchangeId, UpgradeFn)>,
    /// The turn of a streamed body was over before the body was: it is asked again.
    pub(super) more: bool,
}

/// What the application's side is doing.
pub(super) enum App<F> {
    /// Nothing: no request is open, or its answer is on its way.
    Idle,
    /// A handler makes up its mind.
    Handler {
        id: ExchangeId,
        head_only: bool,
        future: Pin<Box<F>>,
    },
    /// A response body is being streamed.
    Sending(Box<Sending>),
    /// The connection speaks another protocol.
    Switched(Pin<Box<dyn Future<Output = ()> + Send>>),
}

pub(super) struct Sending {
    id: ExchangeId,
    body: Body,
    /// Taken from `body`, not yet accepted by the machine.
    chunk: Bytes,
}

/// A request that a handler is to be started for.
pub(super) struct Start {
    pub(super) new: super::NewRequest,
    pub(super) head: OwnedHead,
}

impl<F> App<F> {
    pub(super) fn id(&self) -> Option<ExchangeId> {
        match self {
            App::Handler { id, .. } => Some(*id),
            App::Sending(sending) => Some(sending.id),
            App::Idle | App::Switched(_) => None,
        }
    }
}

impl<R: Runtime, H, F> Connection<R, H, F> {
    /// `None`: the server is stopping.
    pub(super) fn new(
        hub: Arc<Hub<R>>,
        handler: Arc<H>,
        stream: R::Stream,
        remote: SocketAddr,
    ) -> Option<Self> {
        let opened = hub.runtime.now();
        let conn = ServerConn::new(hub.config.clone(), opened);
        let shared = Arc::new(Shared::new(conn));
        let place = Place::new(hub.registry.clone(), shared.clone())?;
        let local = stream.local_addr();
        Some(Connection {
            hub,
            handler,
            shared,
            place,
            stream: Some(stream),
            remote,
            local,
            timer: None,
            armed: None,
            app: App::Idle,
            last_call: false,
            opened: Some(opened),
            upgrade: None,
            more: false,
        })
    }

    /// The connection is over, perhaps in the middle of things: at the end of a drain, or with the runtime.
    fn close(&mut self) {
        let mut state = self.shared.lock();
        if let (Some(conn), Some(stream)) = (&state.conn, &mut self.stream)
            && conn.must_reset()
        {
            stream.reset();
        }
        state.leave();
        state.close();
    }
}

impl<R, H, F, E> Future for Connection<R, H, F>
where
    R: Runtime,
    H: Fn(Request) -> F,
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !matches!(this.app, App::Switched(_)) {
            match this.poll_http(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => this.close(),
            }
        }
        match &mut this.app {
            // A panic in there ends this connection only.
            App::Switched(future) => match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) | Err(_) => Poll::Ready(()),
            },
            _ => Poll::Ready(()),
        }
    }
}

impl<R, H, F, E> Connection<R, H, F>
where
    R: Runtime,
    H: Fn(Request) -> F,
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
{
    /// Ready when the connection is over, or was switched (then `app` says so).
    fn poll_http(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = self.hub.runtime.now();
        if !self.enter(cx, now) {
            return Poll::Ready(());
        }
        let mut app_due = true;
        for _ in 0..TURNS {
            if app_due && self.poll_app(cx, now) {
                // User code takes its time; deadlines count from after it.
                now = self.hub.runtime.now();
            }
            match self.turn(cx, now) {
                Turn::Again { app } => app_due = app,
                Turn::Start(start) => {
                    self.start(start, now);
                    app_due = true;
                }
                Turn::Wait => return Poll::Pending,
                Turn::Over => {
                    self.stream = None;
                    self.app = App::Idle;
                    return Poll::Ready(());
                }
                Turn::Switched(conn) => {
                    self.switch(*conn);
                    return Poll::Ready(());
                }
            }
        }
        // The budget is spent, but there is more to do.
        self.shared.lock().leave();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn start(&mut self, start: Start, now: Instant) {
        let Start { new, head } = start;
        let id = new.id;
        self.last_call = false;
        self.opened = None;
        let head_only = head.as_request().is_some_and(|h| h.method() == "HEAD");
        let body = if new.body.is_empty() {
            Body::empty()
        } else {
            Body::server(RequestBody::new(self.shared.clone(), id), new.body)
        };
        let request = Request::new(
            head,
            self.shared.clone(),
            body,
            new.proposes,
            self.remote,
            self.local,
        );
        match catch_unwind(AssertUnwindSafe(|| Box::pin((self.handler)(request)))) {
            Ok(future) => {
                self.app = App::Handler {
                    id,
                    head_only,
                    future,
                }
            }
            Err(_) => self.fail(id, now, true),
        }
    }

    /// Lets the application go on. Says whether any of its code ran.
    fn poll_app(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        match &mut self.app {
            App::Idle | App::Switched(_) => false,
            App::Handler {
                id,
                head_only,
                future,
            } => {
                let (id, head_only) = (*id, *head_only);
                match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => {}
                    Ok(Poll::Ready(Ok(response))) => {
                        self.app = App::Idle;
                        self.answer(cx, id, head_only, response, now);
                        self.poll_sending(cx);
                    }
                    Ok(Poll::Ready(Err(_))) => {
                        self.app = App::Idle;
                        self.fail(id, now, false);
                    }
                    Err(_) => {
                        self.app = App::Idle;
                        self.fail(id, now, true);
                    }
                }
                true
            }
            App::Sending(_) => {
                self.poll_sending(cx);
                true
            }
        }
    }

    /// Puts the handler's response on its way.
    ///
    /// A streamed body is asked for its first chunk before the head is sent: if that fails the answer can still
    /// be 500, and if it comes from the request's body the client is told to send it.
    fn answer(
        &mut self,
        cx: &mut Context<'_>,
        id: ExchangeId,
        head_only: bool,
        mut response: Response,
        now: Instant,
    ) {
        let upgrade = response.take_upgrade();
        let (mut head, mut body) = response.into_parts();
        let bodiless = head_only || matches!(head.status.code(), 204 | 304);
        let Ok(len) = BodyLen::from_fields(&mut head.headers, body.framing()) else {
            return self.fail(id, now, false);
        };
        let full = if bodiless {
            Some(Bytes::new())
        } else {
            body.take_full()
        };
        let first = match full {
            Some(_) => Poll::Pending,
            None => match catch_unwind(AssertUnwindSafe(|| body.poll_chunk(cx))) {
                Ok(Poll::Ready(Some(Err(_)))) => return self.fail(id, now, false),
                Err(_) => return self.fail(id, now, true),
                Ok(first) => first,
            },
        };
        let mut state = self.shared.lock();
        let Some(conn) = &mut state.conn else { return };
        let sent = self.hub.with_date(now, |date| {
            let fields = WithDate {
                headers: &head.headers,
                date,
            };
            conn.send_head(id, head.status, &fields, len)
        });
        match sent {
            Ok(()) => self.upgrade = upgrade.map(|then| (id, then)),
            // The exchange is over already: the client left, or the machine has replied.
            Err(Misuse::UnknownExchange | Misuse::Closed | Misuse::HeadAlreadySent) => return,
            Err(_) => {
                drop(state);
                return self.fail(id, now, false);
            }
        }
        if bodiless {
            // What would be read and thrown away is not read at all.
            if conn.finish(id, &Fields::EMPTY).is_err() {
                let _ = conn.abort(id);
            }
            return;
        }
        let chunk = match full {
            Some(bytes) if bytes.is_empty() => return finish(conn, id, &mut body),
            Some(bytes) => match conn.send_body(id, bytes.clone()) {
                Ok(()) => return finish(conn, id, &mut body),
                Err(Misuse::Full) => bytes,
                Err(_) => {
                    let _ = conn.abort(id);
                    return;
                }
            },
            None => match first {
                Poll::Ready(None) => return finish(conn, id, &mut body),
                Poll::Ready(Some(Ok(bytes))) => bytes,
                _ => Bytes::new(),
            },
        };
        drop(state);
        self.app = App::Sending(Box::new(Sending { id, body, chunk }));
    }

    /// Answers 500, if nothing was sent yet; else breaks the response off.
    fn fail(&mut self, id: ExchangeId, now: Instant, close: bool) {
        const TEXT: &str = "internal server error\n";
        const FIELDS: [Field<'static>; 2] = [
            Field::from_static("content-type", "text/plain; charset=utf-8"),
            Field::from_static("connection", "close"),
        ];
        let mut state = self.shared.lock();
        let Some(conn) = &mut state.conn else { return };
        let fields = if close { &FIELDS[..] } else { &FIELDS[..1] };
        let len = BodyLen::Known(TEXT.len() as u64);
        let done = self
            .hub
            .with_date(now, |date| {
                conn.send_head(
                    id,
                    Status::INTERNAL_SERVER_ERROR,
                    &WithDate {
                        headers: fields,
                        date,
                    },
                    len,
                )
            })
            .and_then(|()| conn.send_body(id, Bytes::from_static(TEXT.as_bytes())));
        match done.and_then(|()| conn.finish(id, &Fields::EMPTY)) {
            Ok(()) => {}
            // Earlier answers are still on their way: this one follows when there is room.
            Err(Misuse::Full) => {
                drop(state);
                self.app = App::Sending(Box::new(Sending {
                    id,
                    body: Body::empty(),
                    chunk: Bytes::from_static(TEXT.as_bytes()),
                }));
            }
            Err(_) => {
                let _ = conn.abort(id);
            }
        }
    }

    /// Moves chunks from a streamed body to the machine while there is room and chunks come, empty ones
    /// included, for one turn.
    fn poll_sending(&mut self, cx: &mut Context<'_>) {
        let App::Sending(sending) = &mut self.app else {
            return;
        };
        let id = sending.id;
        for _ in 0..CHUNKS {
            {
                let mut state = self.shared.lock();
                let Some(conn) = &mut state.conn else { return };
                if conn.send_capacity(id) == 0 {
                    // Room comes with the next write, or the exchange ends.
                    return;
                }
                if !sending.chunk.is_empty() {
                    match conn.send_body(id, sending.chunk.clone()) {
                        Ok(()) => sending.chunk = Bytes::new(),
                        Err(Misuse::Full) => return,
                        Err(_) => {
                            let _ = conn.abort(id);
                            drop(state);
                            self.app = App::Idle;
                            return;
                        }
                    }
                    continue;
                }
            }
            match catch_unwind(AssertUnwindSafe(|| sending.body.poll_chunk(cx))) {
                Ok(Poll::Pending) => return,
                Ok(Poll::Ready(Some(Ok(bytes)))) => sending.chunk = bytes,
                Ok(Poll::Ready(None)) => {
                    if let Some(conn) = &mut self.shared.lock().conn {
                        finish(conn, id, &mut sending.body);
                    }
                    self.app = App::Idle;
                    return;
                }
                // The body failed or panicked: the client must not take the message for complete.
                Ok(Poll::Ready(Some(Err(_)))) | Err(_) => {
                    if let Some(conn) = &mut self.shared.lock().conn {
                        let _ = conn.abort(id);
                    }
                    self.app = App::Idle;
                    return;
                }
            }
        }
        // It was not pending, so it has told nobody to wake this task.
        self.more = true;
    }

    /// Hands the socket to the application.
    fn switch(&mut self, conn: ServerConn) {
        self.place.switched();
        let parts = conn.into_parts();
        self.app = App::Idle;
        if let (Some(stream), Some((_, then))) = (self.stream.take(), self.upgrade.take()) {
            let upgraded = Upgraded::new(Box::new(stream), parts.unread);
            if let Ok(future) = catch_unwind(AssertUnwindSafe(|| then(upgraded))) {
                self.app = App::Switched(future);
            }
        }
    }
}

/// Ends a response; with trailers, if the body has some.
fn finish(conn: &mut ServerConn, id: ExchangeId, body: &mut Body) {
    let done = match body.take_trailers() {
        Some(trailers) => match conn.finish(id, &trailers) {
            // An HTTP/1.0 client, or a field that may not stand there: better without than no end at all.
            Err(Misuse::TrailersNeedChunked | Misuse::ForbiddenField) => conn.finish(id, &Fields::EMPTY),
            done => done,
        },
        None => conn.finish(id, &Fields::EMPTY),
    };
    if done.is_err() {
        let _ = conn.abort(id);
    }
}

/// A header section with the Date field in front, unless it has one (RFC 9110, section 6.6.1).
struct WithDate<'a, T: ?Sized> {
    headers: &'a T,
    date: Field<'a>,
}

impl FieldLines for WithDate<'_, Headers> {
    fn for_each_field(&self, mut each: impl FnMut(Field<'_>)) {
        if !self.headers.contains("date") {
            each(self.date);
        }
        self.headers.for_each_field(each);
    }
}

impl FieldLines for WithDate<'_, [Field<'static>]> {
    fn for_each_field(&self, mut each: impl FnMut(Field<'_>)) {
        each(self.date);
        self.headers.for_each_field(each);
    }
}

impl<R: Runtime, H, F> Drop for Connection<R, H, F> {
    fn drop(&mut self) {
        // Also when the runtime drops the task: bodies elsewhere must not wait for ever.
        self.close();
    }
}

impl<R: Runtime, H, F> fmt::Debug for Connection<R, H, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
