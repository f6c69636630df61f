//! [`Active`]: a call under way. The core's [`Call`] says what is due, this does it: gets connections, sends, waits,
//! lets go of what nobody gets, and at last is the body of the response.
//!
//! What a response means (a redirect, a retry, cookies, codings) is decided in the core; one request on one connection
//! is an [`Exchange`].

use super::connection::Conn;
use super::decode::Decoding;
use super::exchange::Exchange;
use super::hub::{Hub, Wanted};
use super::supply::Supply;
use super::upload::Upload;
use crate::response::Chain;
use crate::runtime::{Runtime, Spawn};
use crate::{Body, Error, ErrorKind, Response, Task, TraceEvent, Upgraded};
use antiphon_core::client::Call;
use antiphon_core::client::call::{Decode, Delivery, OutOfTurn, Step};
use antiphon_core::client::pool::Lease;
use antiphon_core::client::retry::Failure;
use antiphon_core::h1::{BodyLen, CloseReason};
use antiphon_core::{Headers, Instant};
use antiphon_support::Meter;
use antiphon_support::trace::{CallTracer, Tracer, Watch};
use bytes::Bytes;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

const SENDING: &str = "sending the request";
const RECEIVING: &str = "waiting for the response";
const READING: &str = "reading the response body";

/// A call under way. It lives in one box from its beginning to the end of the response's body.
pub(super) struct Active<R: Runtime + Spawn<Task>> {
    hub: Arc<Hub<R>>,
    call: Call,
    supply: Supply,
    exchange: Option<Exchange<R>>,
    /// What the exchange has answered, until the call says what that means.
    response: Option<Response>,
    /// Of the response's body: taken from the connection already.
    pending: Bytes,
    decoding: Option<Box<Decoding>>,
    /// Of the response's body: what came from the connection, and what of it was handed out decoded.
    counted: Counted,
    meter: Option<Arc<Meter>>,
    tracer: CallTracer,
}

/// How much of a response's body there was.
#[derive(Default)]
struct Counted {
    received: u64,
    decoded: u64,
}

impl<R: Runtime + Spawn<Task>> Active<R> {
    pub(super) fn new(
        hub: Arc<Hub<R>>,
        call: Call,
        supply: Supply,
        meter: Option<Arc<Meter>>,
        tracer: Tracer,
    ) -> Box<Active<R>> {
        tracer.tell(TraceEvent::CallStart {
            call: tracer.call(),
            method: call.method(),
            url: call.url(),
        });
        Box::new(Active {
            hub,
            call,
            supply,
            exchange: None,
            response: None,
            pending: Bytes::new(),
            decoding: None,
            counted: Counted::default(),
            meter,
            tracer: CallTracer::new(tracer),
        })
    }

    /// Does what is due, until the response is handed out.
    ///
    /// # Cancel safety
    /// Dropping the future gives the call up, wherever it is: a place in the line is left, a connection on which a
    /// response is owed is closed.
    pub(super) async fn run(mut self: Box<Self>) -> Result<Response, Error> {
        loop {
            let this = &mut *self;
            match this.call.step() {
                Step::Cookies { url } => {
                    let now = this.hub.now();
                    let value = this.hub.calls.cookie_header(url, now);
                    this.tracer.tracer().cookies_sent(url, value.as_deref());
                    answered(this.call.cookies(value.as_ref().map(String::as_bytes), now.mono));
                }
                Step::Acquire { route, fresh, .. } => {
                    let wanted = Wanted {
                        route,
                        fresh,
                        limit: this.call.deadline().map(|d| d.at),
                        tracer: this.tracer.tracer(),
                    };
                    match this.hub.acquire(&wanted).await {
                        Ok((conn, lease)) => this.send(conn, lease),
                        Err(error) => answered(this.call.acquire_failed(error, this.hub.runtime.now())),
                    }
                }
                Step::Await => {
                    let Some(exchange) = &mut this.exchange else {
                        return Err(Error::new(ErrorKind::ExchangeOver, RECEIVING));
                    };
                    let head = poll_fn(|cx| exchange.poll_head(cx)).await;
                    this.told(head);
                }
                Step::Retry(why) => {
                    let tracer = this.tracer.tracer();
                    tracer.tell(TraceEvent::Retry {
                        call: tracer.call(),
                        why,
                    });
                    if let Some(body) = this.exchange.take().and_then(|mut e| e.give_up()) {
                        this.supply.put_back(body);
                    }
                    answered(this.call.retry(this.hub.runtime.now()));
                }
                // The policy was asked already.
                Step::Redirect(next) => {
                    let tracer = this.tracer.tracer();
                    tracer.tell(TraceEvent::Redirect {
                        call: tracer.call(),
                        from: this.call.url(),
                        next,
                    });
                    answered(this.call.follow(this.hub.runtime.now()));
                    if !matches!(this.call.step(), Step::Drain { .. }) {
                        this.let_go();
                    }
                }
                Step::Drain { most, .. } => {
                    if let Some(exchange) = this.exchange.as_mut().filter(|_| most > 0) {
                        exchange.drain(most).await;
                    }
                    this.let_go();
                    answered(this.call.drained(this.hub.runtime.now()));
                }
                Step::Deliver(delivery) => return self.deliver(delivery),
                // `Send` is done with as soon as there is a connection.
                _ => {
                    this.let_go();
                    let over = || Error::new(ErrorKind::ExchangeOver, SENDING);
                    let error = this.call.take_error().map_or_else(over, Error::call);
                    this.tracer.end(TraceEvent::CallFailed {
                        call: this.tracer.tracer().call(),
                        error: &error,
                    });
                    return Err(error);
                }
            }
        }
    }

    /// There is a connection: the request goes out on it.
    fn send(&mut self, mut conn: Box<Conn<R>>, lease: Lease) {
        let now = self.hub.runtime.now();
        answered(self.call.acquired(lease.is_reused(), now));
        let Step::Send { request, body } = self.call.step() else {
            // Too late for this call, but nothing was sent on it.
            self.hub.put(lease, conn);
            return;
        };
        let body = match self.supply.take(body) {
            Ok(body) => body,
            Err(error) => {
                self.hub.put(lease, conn);
                answered(self.call.body_unavailable(error, now));
                return;
            }
        };
        let id = match request.send_head(&mut conn.machine) {
            Ok(id) => id,
            Err(why) => {
                self.hub.discard(lease, conn);
                let error = Error::unsendable(SENDING, why);
                answered(self.call.failed(Failure::Other, false, error, now));
                return;
            }
        };
        if let Some(meter) = &self.meter {
            meter.begin(known(request.body_len()));
        }
        let upload = match request.body_len() {
            BodyLen::None => Upload::NONE,
            len => {
                let held = request.is_held() && self.hub.holds_bodies();
                Upload::new(body, len, held, self.meter.clone())
            }
        };
        let tracer = self.tracer.tracer();
        tracer.tell(TraceEvent::Sending {
            call: tracer.call(),
            conn: conn.id,
            method: request.method(),
            url: request.url(),
        });
        conn.watch = Watch::new(tracer, &conn.machine, upload.is_held());
        answered(self.call.sent(now));
        let limit = self.call.deadline().map(|d| d.at);
        let exchange = Exchange::new(self.hub.clone(), conn, lease, id, upload, limit);
        self.exchange = Some(exchange);
    }

    /// The exchange has come to its response, or failed.
    fn told(&mut self, head: Result<Response, Error>) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        let now = self.hub.now();
        if !exchange.is_untouched() {
            self.call.body_taken();
        }
        let response = match head {
            Ok(response) => response,
            Err(error) => {
                let (failure, written) = (exchange.failure(&error), exchange.is_written());
                self.tracer.tracer().attempt_failed(failure, written, &error);
                return answered(self.call.failed(failure, written, error, now.mono));
            }
        };
        let (status, fields) = (response.status(), response.headers().as_fields());
        if self.call.is_farewell(status, response.version(), fields) {
            let error = Error::closed(RECEIVING, CloseReason::PeerClosed);
            let failure = Failure::ServerClosedIdle;
            self.tracer.tracer().attempt_failed(failure, true, &error);
            return answered(self.call.failed(failure, true, error, now.mono));
        }
        let tracer = self.tracer.tracer();
        tracer.tell(TraceEvent::Response {
            call: tracer.call(),
            status,
            fields,
        });
        match self.call.response(status, fields, exchange.body_len(), now.mono) {
            Ok(set) => {
                self.hub.calls.store_cookies(set, now);
                tracer.cookies_set(&set);
            }
            Err(out) => answered(Err(out)),
        }
        self.response = Some(response);
    }

    /// The last exchange is left to itself: it ends in the background, or its connection is closed.
    fn let_go(&mut self) {
        self.response = None;
        if let Some(mut exchange) = self.exchange.take() {
            exchange.settle();
        }
    }

    fn deliver(mut self: Box<Self>, delivery: Delivery) -> Result<Response, Error> {
        let (Some(mut response), Some(exchange)) = (self.response.take(), &mut self.exchange) else {
            return Err(Error::new(ErrorKind::ExchangeOver, RECEIVING));
        };
        self.tracer.end(TraceEvent::Deliver {
            call: self.tracer.tracer().call(),
            status: delivery.status,
            why: delivery.why,
            decode: delivery.decode,
        });
        self.supply.clear();
        self.pending = exchange.settle();
        let mut len = delivery.body;
        if let Some(meter) = &self.meter {
            meter.answered(known(len));
        }
        if let Decode::Yes(coding) = delivery.decode
            && let Some(decoding) = Decoding::new(coding)
        {
            self.decoding = Some(Box::new(decoding));
            response.set_decoded(coding);
            len = BodyLen::Unknown;
        }
        let fits = self
            .call
            .max_body()
            .is_none_or(|max| self.pending.len() as u64 <= max);
        if exchange.is_over() && self.decoding.is_none() && fits {
            let bytes = std::mem::take(&mut self.pending);
            if let Some(meter) = &self.meter {
                meter.received(bytes.len());
            }
            let (trailers, close) = (exchange.take_trailers(), exchange.close_reason());
            let (operation, url, history) = self.call.into_chain();
            response.set_chain(Chain {
                operation,
                url,
                history,
            });
            return Ok(response.with_body(Body::arrived(bytes, len, trailers, close)));
        }
        response.set_chain(Chain {
            operation: self.call.operation().clone(),
            url: self.call.url().clone(),
            history: self.call.history().to_vec(),
        });
        Ok(response.with_body(Body::client(self, len)))
    }

    /// The response's body failed.
    fn body_failed(&mut self, error: Error) -> Error {
        let over = || Error::new(ErrorKind::ExchangeOver, READING);
        let Some(exchange) = &mut self.exchange else {
            return over();
        };
        let (failure, written) = (exchange.failure(&error), exchange.is_written());
        exchange.give_up();
        let now: Instant = self.hub.runtime.now();
        answered(self.call.failed(failure, written, error, now));
        self.call.take_error().map_or_else(over, Error::call)
    }
}

/// A length, as it is told.
fn known(len: BodyLen) -> Option<u64> {
    match len {
        BodyLen::None => Some(0),
        BodyLen::Known(n) => Some(n),
        BodyLen::Unknown => None,
    }
}

fn too_large() -> Error {
    Error::new(ErrorKind::BodyTooLarge, READING)
}

/// Each step is answered by its own input: what is out of turn is a mistake of this file.
fn answered(answer: Result<(), OutOfTurn>) {
    debug_assert!(answer.is_ok(), "the step that is due is answered");
}

/// The incoming side of a [`Body`] on a client.
pub(crate) trait ResponseBody: Send {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>>;
    fn take_trailers(&mut self) -> Option<Headers>;
    fn close_reason(&self) -> Option<CloseReason>;
    fn is_switched(&self) -> bool;
    fn into_upgraded(self: Box<Self>) -> Result<Upgraded, Error>;
}

impl<R: Runtime + Spawn<Task>> ResponseBody for Active<R> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let most = self.call.max_body().unwrap_or(u64::MAX);
        let (exchange, pending, counted) = (&mut self.exchange, &mut self.pending, &mut self.counted);
        let meter = self.meter.as_deref();
        let mut next = |cx: &mut Context<'_>| {
            // What is declared too long is not waited for.
            if exchange
                .as_ref()
                .is_some_and(|e| e.declares_more_than(most.saturating_sub(counted.received)))
            {
                return Poll::Ready(Some(Err(too_large())));
            }
            let next = match exchange {
                _ if !pending.is_empty() => Some(Ok(std::mem::take(pending))),
                Some(exchange) => ready!(exchange.poll_body(cx)),
                None => None,
            };
            if let Some(Ok(bytes)) = &next {
                counted.received = counted.received.saturating_add(bytes.len() as u64);
                if counted.received > most {
                    return Poll::Ready(Some(Err(too_large())));
                }
                if let Some(meter) = meter {
                    meter.received(bytes.len());
                }
            }
            Poll::Ready(next)
        };
        let mut next = ready!(match &mut self.decoding {
            None => next(cx),
            Some(decoding) => decoding.poll(cx, next),
        });
        if let (Some(Ok(bytes)), Some(_)) = (&next, &self.decoding) {
            self.counted.decoded = self.counted.decoded.saturating_add(bytes.len() as u64);
            if self.counted.decoded > most {
                next = Some(Err(too_large()));
            }
        }
        Poll::Ready(match next {
            Some(Err(error)) => Some(Err(self.body_failed(error))),
            next => next,
        })
    }

    fn take_trailers(&mut self) -> Option<Headers> {
        self.exchange.as_mut()?.take_trailers()
    }

    fn close_reason(&self) -> Option<CloseReason> {
        self.exchange.as_ref()?.close_reason()
    }

    fn is_switched(&self) -> bool {
        self.exchange.as_ref().is_some_and(Exchange::is_switched)
    }

    fn into_upgraded(self: Box<Self>) -> Result<Upgraded, Error> {
        match self.exchange {
            Some(exchange) => exchange.into_upgraded(),
            None => Err(Error::new(ErrorKind::NotUpgraded, "taking the connection over")),
        }
    }
}
