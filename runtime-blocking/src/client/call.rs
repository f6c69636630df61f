//! The loop around the core's [`Call`], which decides: redirects, cookies, retries, deadlines, decoding. Here its steps
//! are carried out, one after the other, on the caller's thread.

use super::exchange::Exchange;
use super::hub::{Held, Hub};
use super::supply::Supply;
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::response::{Received, Response};
use antiphon_core::client::Call;
use antiphon_core::client::call::{Decode, Delivery, Step, mend};
use antiphon_core::client::retry::Failure;
use antiphon_core::h1::{BodyLen, CloseReason, PeerErrorKind};
use antiphon_support::Meter;
use antiphon_support::content::Decoder;
use antiphon_support::trace::{CallTracer, TraceEvent, Tracer};
use bytes::Bytes;
use std::mem;
use std::sync::Arc;

/// Each step is answered by the input that belongs to it, so none is out of turn.
const IN_TURN: &str = "the step that is due is answered";
/// The steps come in an order in which there is one.
const EXCHANGE: &str = "an exchange was begun by the step before";

/// Carries out the call until there is a response to be delivered.
pub(super) fn perform(
    hub: &Arc<Hub>,
    mut call: Call,
    mut supply: Supply,
    meter: Option<Arc<Meter>>,
    tracer: Tracer,
) -> Result<Response, Error> {
    let id = tracer.call();
    tracer.tell(TraceEvent::CallStart {
        call: id,
        method: call.method(),
        url: call.url(),
    });
    let mut whole = CallTracer::new(tracer.clone());
    let mut held: Option<Held> = None;
    let mut exchange: Option<Exchange> = None;
    let mut answer: Option<(antiphon_core::Response, Bytes)> = None;
    loop {
        let until = call.deadline().map(|d| d.at);
        match call.step() {
            Step::Cookies { url } => {
                let value = hub.cookies_for(url);
                tracer.cookies_sent(url, value.as_deref());
                call.cookies(value.as_deref().map(str::as_bytes), clock::mono())
                    .expect(IN_TURN);
            }
            Step::Acquire { route, fresh, .. } => {
                // Of a redirect without a body that would have to be drained.
                if let Some(last) = exchange.take() {
                    last.end();
                }
                let acquired = hub.connection(route, fresh, until, &tracer);
                let now = clock::mono();
                match acquired {
                    Ok(got) => {
                        call.acquired(got.reused(), now).expect(IN_TURN);
                        held = Some(got);
                    }
                    Err(e) => call.acquire_failed(e, now).expect(IN_TURN),
                }
            }
            Step::Send { request, body } => {
                let held = held.take().expect("a connection was acquired by the step before");
                let body = match supply.take(body) {
                    Ok(body) => body,
                    Err(e) => {
                        // Nothing was sent on it.
                        held.put();
                        call.body_unavailable(e, clock::mono()).expect(IN_TURN);
                        continue;
                    }
                };
                let meter = meter.clone();
                let begun = Exchange::begin(held, request.body_len(), body, meter, until, |machine| {
                    request.send_head(machine)
                });
                let now = clock::mono();
                match begun {
                    Ok(mut begun) => {
                        begun.watch(&request);
                        exchange = Some(begun);
                        call.sent(now).expect(IN_TURN);
                    }
                    Err(e) => call.failed(Failure::Other, false, e, now).expect(IN_TURN),
                }
            }
            Step::Await => {
                let current = exchange.as_mut().expect(EXCHANGE);
                let got = current.response();
                let taken = current.body_taken();
                if taken {
                    call.body_taken();
                }
                match got {
                    // What comes behind an interim response is an answer.
                    Ok((head, _))
                        if current.interim.is_empty()
                            && call.is_farewell(head.status, head.version, head.headers.as_fields()) =>
                    {
                        let written = current.bytes_sent() > 0;
                        let e = Error::closed("waiting for the response", CloseReason::PeerClosed);
                        tracer.attempt_failed(Failure::ServerClosedIdle, written, &e);
                        call.failed(Failure::ServerClosedIdle, written, e, clock::mono())
                            .expect(IN_TURN);
                    }
                    Ok((head, reason)) => {
                        let len = current.response_len();
                        let fields = head.headers.as_fields();
                        tracer.tell(TraceEvent::Response {
                            call: id,
                            status: head.status,
                            fields,
                        });
                        let set = call
                            .response(head.status, fields, len, clock::mono())
                            .expect(IN_TURN);
                        hub.store_cookies(&set);
                        tracer.cookies_set(&set);
                        answer = Some((head, reason));
                    }
                    Err(e) => {
                        let written = current.bytes_sent() > 0;
                        let failure = failure_of(&e, current.response_begun());
                        tracer.attempt_failed(failure, written, &e);
                        if let Some(untouched) = exchange.take().expect(EXCHANGE).failed() {
                            supply.put_back(untouched);
                        }
                        call.failed(failure, written, e, clock::mono()).expect(IN_TURN);
                    }
                }
            }
            Step::Retry(why) => {
                tracer.tell(TraceEvent::Retry { call: id, why });
                exchange = None;
                call.retry(clock::mono()).expect(IN_TURN);
            }
            // The policy has been asked; what it says is done.
            Step::Redirect(next) => {
                tracer.tell(TraceEvent::Redirect {
                    call: id,
                    from: call.url(),
                    next,
                });
                call.follow(clock::mono()).expect(IN_TURN);
            }
            Step::Drain { most, .. } => {
                exchange.take().expect(EXCHANGE).let_go(most);
                call.drained(clock::mono()).expect(IN_TURN);
            }
            Step::Deliver(delivery) => {
                let answer = answer.take().expect("the response has come");
                whole.end(TraceEvent::Deliver {
                    call: id,
                    status: delivery.status,
                    why: delivery.why,
                    decode: delivery.decode,
                });
                if let Some(meter) = &meter {
                    meter.answered(known(delivery.body));
                }
                return deliver(call, exchange.take().expect(EXCHANGE), answer, &delivery);
            }
            Step::Failed(_) => {
                // It came too late; but nothing was sent on it.
                if let Some(unused) = held {
                    unused.put();
                }
                let error = failed(call);
                whole.end(TraceEvent::CallFailed {
                    call: id,
                    error: &error,
                });
                return Err(error);
            }
            step => unreachable!("{step:?}: it is told after the response only, or not asked for"),
        }
    }
}

/// The response as the caller gets it.
fn deliver(
    mut call: Call,
    mut exchange: Exchange,
    (mut head, reason): (antiphon_core::Response, Bytes),
    delivery: &Delivery,
) -> Result<Response, Error> {
    let decoder = match delivery.decode {
        Decode::Yes(coding) => match Decoder::new(coding) {
            Ok(decoder) => Some(decoder),
            Err(e) => {
                let e = Error::new(ErrorKind::Decode, "decoding the response body").with_source(e);
                call.failed(Failure::Other, true, e, clock::mono())
                    .expect(IN_TURN);
                return Err(failed(call));
            }
        },
        _ => None,
    };
    let coding = decoder.as_ref().map(Decoder::coding);
    if coding.is_some() {
        mend(&mut head.headers);
    }
    let held = exchange.held();
    let (remote, reused) = (held.remote(), held.reused());
    let informational = mem::take(&mut exchange.interim);
    let (body, (operation, url, history)) = if exchange.has_content() {
        let chain = (
            call.operation().clone(),
            call.url().clone(),
            call.history().to_vec(),
        );
        (exchange.into_body(Some(call), decoder), chain)
    } else {
        // Nothing can go wrong any more, so the call is over.
        (exchange.into_empty_body(), call.into_chain())
    };
    let received = Received {
        reason,
        reused,
        remote,
        informational,
        operation,
        url: Some(url),
        history,
        coding,
    };
    Ok(Response::received(head, body, received))
}

/// A length, as it is told.
pub(super) fn known(len: BodyLen) -> Option<u64> {
    match len {
        BodyLen::None => Some(0),
        BodyLen::Known(n) => Some(n),
        BodyLen::Unknown => None,
    }
}

/// The error of a call that has failed.
pub(super) fn failed(call: Call) -> Error {
    match call.into_error() {
        Some(error) => Error::call(error),
        None => unreachable!("a call that has failed has its error"),
    }
}

/// What kind of failure it is for the rule that decides whether the request is sent again.
pub(super) fn failure_of(error: &Error, response_begun: bool) -> Failure {
    use CloseReason::{PeerClosed, ReadFailed, WriteFailed};
    match error.kind() {
        _ if response_begun => Failure::InResponse,
        ErrorKind::Closed(PeerClosed | ReadFailed | WriteFailed) => Failure::BeforeResponse,
        ErrorKind::Peer(e) if e.kind() == PeerErrorKind::UnexpectedEof => Failure::BeforeResponse,
        _ => Failure::Other,
    }
}
