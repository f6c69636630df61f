//! What a connection's thread does: take a request, call the handler, send what it returns, and so on until the
//! connection is over.

use super::{Connection, Place, RequestBody};
use crate::body::{Body, PIECE};
use crate::clock;
use crate::error::{BoxError, Error};
use crate::request::Request;
use crate::response::{Response, UpgradeFn};
use crate::server::connection::Arrived;
use crate::stream::Stream;
use crate::upgraded::Upgraded;
use antiphon_core::h1::{BodyLen, ExchangeId, Finish, Misuse, Reuse, ServerConn};
use antiphon_core::{Field, FieldLines, Fields, Headers, Status};
use bytes::Bytes;
use std::any::Any;
use std::io::Read;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A handler, its types forgotten.
pub(super) type Handler = dyn Fn(Request) -> Result<Response, BoxError> + Send + Sync;

/// How much of a reader of known length is read at a time: large enough that a write is worth its call.
const LARGE_PIECE: usize = 64 * 1024;

/// Serves one connection to its end.
pub(super) fn serve(connection: Arc<Connection>, place: Place, handler: &Handler) {
    while let Some(arrived) = connection.next_request() {
        let (id, rejected) = (arrived.id, arrived.rejected);
        let (is_head, mut response) = match rejected {
            Some(error) => {
                let status = error.status_hint().unwrap_or(Status::BAD_REQUEST);
                (false, text(status, error.to_string()))
            }
            None => answer(&connection, arrived, handler),
        };
        let on_sent = response.take_on_sent();
        let (bytes, upgrade) = connection.respond(id, is_head, response);
        let end = connection.end_of_exchange();
        if on_sent.is_some() {
            // What the client waits for does not wait for the application's bookkeeping.
            connection.drain_out();
        }
        if let Some(done) = on_sent
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| done(bytes)))
        {
            connection.report(format_args!("on_sent panicked: {}", message(&*panic)));
        }
        match end {
            Some(Reuse::KeepAlive) => {}
            Some(Reuse::Switched) => {
                if let Some(then) = upgrade {
                    switch(connection, place, then);
                }
                return;
            }
            // Closing takes its steps (half-close, linger), which `next_request` goes through.
            Some(Reuse::Close(_)) | None => {}
        }
    }
}

/// Calls the handler. Says whether the request was HEAD, too.
fn answer(connection: &Arc<Connection>, arrived: Arrived, handler: &Handler) -> (bool, Response) {
    let body = match arrived.body {
        BodyLen::None => Body::empty(),
        len => Body::server(RequestBody::new(Arc::clone(connection), arrived.id), len),
    };
    let request = Request::new(arrived.head, Arc::clone(connection), body, arrived.proposes);
    let is_head = request.method() == "HEAD";
    let response = match catch_unwind(AssertUnwindSafe(|| handler(request))) {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            connection.report(format_args!("the handler failed: {}", Chain(&*error)));
            server_error()
        }
        Err(panic) => {
            connection.report(format_args!("the handler panicked: {}", message(&*panic)));
            connection.with(|state| state.link.machine.close_when_idle());
            server_error()
        }
    };
    (is_head, response)
}

/// Hands the connection over to the application.
fn switch(connection: Arc<Connection>, place: Place, then: UpgradeFn) {
    let parts = connection.detach(clock::mono());
    let (socket, remote) = (Arc::clone(&connection.socket), connection.remote);
    // From here on only the application holds the socket: it closes when the application lets go of it.
    place.switched();
    drop(connection);
    match Upgraded::new(Stream::plain(socket), parts) {
        Ok(upgraded) => {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| then(upgraded))) {
                report(
                    remote,
                    format_args!("the upgraded connection panicked: {}", message(&*panic)),
                );
            }
        }
        Err(e) => report(remote, format_args!("the switch failed: {e}")),
    }
}

/// Tells the operator what happened on a connection.
fn report(remote: SocketAddr, what: std::fmt::Arguments<'_>) {
    super::say(format_args!("{remote}: {what}"));
}

impl Connection {
    /// Sends a response, whole or as far as the client takes it. Says how many bytes its body had, and what is to
    /// run after a switch.
    fn respond(&self, id: ExchangeId, is_head: bool, response: Response) -> (u64, Option<UpgradeFn>) {
        let (mut head, body, upgrade) = response.split();
        if !is_head && !head.status.is_bodiless() {
            body.ask();
        }
        let sent = BodyLen::from_fields(&mut head.headers, body.framing()).and_then(|len| {
            self.send_head(id, head.status, &head.headers, len)?;
            Ok(len)
        });
        match sent {
            Ok(len) => {
                // The machine would swallow the body of these; do not even read it.
                let bytes = if is_head || head.status.is_bodiless() {
                    self.finish(id, None);
                    0
                } else if len == BodyLen::None {
                    0
                } else {
                    self.send_body(id, body, len == BodyLen::Unknown)
                };
                (bytes, upgrade)
            }
            // The exchange has ended by itself: the client is gone, or was refused.
            Err(Misuse::UnknownExchange | Misuse::Closed) => (0, None),
            Err(misuse) => {
                self.report(format_args!("the response cannot be sent: {misuse}"));
                let (head, body, _) = server_error().split();
                let bytes = match self.send_head(id, head.status, &head.headers, body.framing()) {
                    Ok(()) if is_head => {
                        self.finish(id, None);
                        0
                    }
                    Ok(()) => self.send_body(id, body, false),
                    Err(_) => 0,
                };
                (bytes, None)
            }
        }
    }

    fn send_head(
        &self,
        id: ExchangeId,
        status: Status,
        headers: &Headers,
        len: BodyLen,
    ) -> Result<(), Misuse> {
        let now = clock::unix();
        self.with(|state| {
            if self.server.is_shutting_down() {
                state.link.machine.close_when_idle();
            }
            // RFC 9110, section 6.6.1: an origin server with a clock MUST generate Date.
            let date = (!headers.contains("date")).then(|| state.date.field(now));
            state
                .link
                .machine
                .send_head(id, status, &Dated { date, headers }, len)
        })
    }

    /// Sends the body in pieces, each as soon as there is room, and ends the message. Says how many bytes there
    /// were.
    fn send_body(&self, id: ExchangeId, mut body: Body, live: bool) -> u64 {
        let mut sent = 0;
        let reading = catch_unwind(AssertUnwindSafe(|| {
            if let Some(bytes) = body.take_full() {
                sent = bytes.len() as u64;
                Ok(bytes.is_empty() || self.push(id, bytes))
            } else if body.is_received() {
                self.copy_received(id, &mut body, &mut sent)
            } else {
                self.copy_read(id, &mut body, live, &mut sent)
            }
        }));
        match reading {
            Ok(Ok(true)) => self.finish(id, body.take_trailers()),
            // The client is gone.
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                self.report(format_args!("the response body failed: {}", Chain(&error)));
                self.abort(id);
            }
            Err(panic) => {
                self.report(format_args!("the response body panicked: {}", message(&*panic)));
                self.abort(id);
            }
        }
        sent
    }

    /// From another connection, or this one's request: its pieces are passed on without a copy.
    fn copy_received(&self, id: ExchangeId, body: &mut Body, sent: &mut u64) -> Result<bool, Error> {
        // The client may send nothing before it has seen the head.
        self.flush();
        while let Some(bytes) = body.chunk() {
            let bytes = bytes?;
            *sent += bytes.len() as u64;
            if !self.push(id, bytes) {
                return Ok(false);
            }
            self.flush();
        }
        Ok(true)
    }

    /// From a reader of the application's, which may take its time.
    fn copy_read(&self, id: ExchangeId, body: &mut Body, live: bool, sent: &mut u64) -> Result<bool, Error> {
        if live {
            self.flush();
        }
        let size = match body.len() {
            BodyLen::Known(n) => usize::try_from(n).map_or(LARGE_PIECE, |n| n.clamp(1, LARGE_PIECE)),
            _ => PIECE,
        };
        let mut piece = vec![0; size];
        loop {
            let n = body.read(&mut piece).map_err(Error::from_body)?;
            if n == 0 {
                return Ok(true);
            }
            let mut rest = &piece[..n];
            while !rest.is_empty() {
                match self.when_room(id, |machine| machine.send_body_copy(id, rest)) {
                    Some(n) => rest = &rest[n..],
                    None => return Ok(false),
                }
            }
            *sent += n as u64;
            self.flush();
        }
    }

    /// Queues `bytes` when there is room; `false` if the exchange is over.
    fn push(&self, id: ExchangeId, bytes: Bytes) -> bool {
        let mut bytes = Some(bytes);
        self.when_room(id, |machine| {
            machine.send_body(id, bytes.take().unwrap_or_default())
        })
        .is_some()
    }

    /// Waits until there is room to send, then does `send`; `None` if the exchange is over.
    fn when_room<T>(
        &self,
        id: ExchangeId,
        mut send: impl FnMut(&mut ServerConn) -> Result<T, Misuse>,
    ) -> Option<T> {
        let sent = self.until(|state| {
            if state.ended.is_some() || state.is_gone() {
                return Some(Err(Misuse::Closed));
            }
            if state.link.machine.send_capacity(id) == 0 {
                return None;
            }
            Some(send(&mut state.link.machine))
        });
        match sent {
            Ok(Ok(sent)) => Some(sent),
            Ok(Err(Misuse::Closed | Misuse::UnknownExchange)) | Err(_) => None,
            Ok(Err(misuse)) => {
                self.report(format_args!("the response body cannot be sent: {misuse}"));
                self.abort(id);
                None
            }
        }
    }

    fn finish(&self, id: ExchangeId, trailers: Option<Headers>) {
        let done = self.with(|state| match &trailers {
            Some(trailers) => state.link.machine.finish(id, trailers),
            None => state.link.machine.finish(id, &Fields::EMPTY),
        });
        match done {
            Ok(()) | Err(Misuse::UnknownExchange | Misuse::Closed) => {}
            Err(misuse) => {
                self.report(format_args!("the response cannot be ended: {misuse}"));
                self.abort(id);
            }
        }
    }

    fn abort(&self, id: ExchangeId) {
        // Only an exchange that is over already cannot be aborted.
        let _ = self.with(|state| state.link.machine.abort(id));
    }

    /// Drives the connection until the exchange is over; `None` if the connection is.
    fn end_of_exchange(&self) -> Option<Reuse> {
        let reuse = self.until(|state| state.ended).ok()?;
        if reuse == Reuse::Switched {
            // The 101 must be out before somebody else writes.
            let over = self.until(|_| None::<()>);
            return (over == Err(Finish::Detach)).then_some(reuse);
        }
        Some(reuse)
    }

    fn report(&self, what: std::fmt::Arguments<'_>) {
        report(self.remote, what);
    }
}

/// The fields of a response with the Date behind them.
struct Dated<'a> {
    date: Option<Field<'a>>,
    headers: &'a Headers,
}

impl FieldLines for Dated<'_> {
    fn for_each_field(&self, mut each: impl FnMut(Field<'_>)) {
        self.headers.for_each_field(&mut each);
        if let Some(date) = self.date {
            each(date);
        }
    }
}

/// An error with its causes, on one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut at = self.0.source();
        while let Some(e) = at {
            write!(f, ": {e}")?;
            at = e.source();
        }
        Ok(())
    }
}

fn server_error() -> Response {
    // The same words from every adapter.
    text(
        Status::INTERNAL_SERVER_ERROR,
        String::from("internal server error"),
    )
}

/// A short text for people.
fn text(status: Status, mut words: String) -> Response {
    words.push('\n');
    let mut response = Response::new(status).with_body(words);
    // A constant that is valid.
    let _ = response
        .headers_mut()
        .append("content-type", "text/plain; charset=utf-8");
    response
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(s), _) => s,
        (_, Some(s)) => s,
        _ => "(no message)",
    }
}
