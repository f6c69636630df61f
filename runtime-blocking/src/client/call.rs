//! The loop around the core's [`Call`], which decides: redirects, cookies, retries, deadlines, decoding. Here its steps
//! are carried out, one after the other, on the caller's thread.

use super::hub::{Held, Hub};
use super::exchange::Exchange;
use crate::body::Body;
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::response::{Received, Response};
use antiphon_core::client::Call;
use antiphon_core::client::call::{Decode, Delivery, SendBody, Step, mend};
use antiphon_core::client::retry::{self, Attempt, BodyState, Failure, Retry};
use antiphon_core::h1::{CloseReason, PeerErrorKind};
use bytes::Bytes;
use std::mem;
use std::sync::Arc;

/// Each step is answered by the input that belongs to it, so none is out of turn.
const IN_TURN: &str = "the step that is due is answered";
/// The steps come in an order in which there is one.
const EXCHANGE: &str = "an exchange was begun by the step before";

/// The body of the request: what is left of it, and what it can be made of again.
pub(super) struct Upload {
    body: Body,
    again: Option<Body>,
}

impl Upload {
    pub(super) fn new(body: Body) -> Upload {
        let again = body.replay();
        Upload { body, again }
    }

    fn can_be_sent_again(&self) -> bool {
        self.again.is_some()
    }
}

/// Carries out the call until there is a response to be delivered.
pub(super) fn perform(client: &Arc<Hub>, mut call: Call, mut upload: Upload) -> Result<Response, Error> {
    let mut held: Option<Held> = None;
    let mut exchange: Option<Exchange> = None;
    let mut answer: Option<(antiphon_core::Response, Bytes)> = None;
    let mut replayable = false;
    loop {
        let until = call.deadline().map(|d| d.at);
        match call.step() {
            Step::Acquire { route, fresh, .. } => {
                // Of a redirect without a body that would have to be drained.
                if let Some(last) = exchange.take() {
                    last.end();
                }
                let acquired = client.connection(route, fresh, until);
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
                replayable = request.is_replayable();
                let body = match body {
                    SendBody::None => Body::empty(),
                    SendBody::First => mem::take(&mut upload.body),
                    SendBody::Again => upload.again.as_ref().and_then(Body::replay).unwrap_or_default(),
                };
                let held = held.take().expect("a connection was acquired by the step before");
                let begun = Exchange::begin(held, &request, body, until);
                let now = clock::mono();
                match begun {
                    Ok(begun) => {
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
                    Ok((head, _)) if is_farewell(current, &head, replayable, &upload) => {
                        let written = current.bytes_sent() > 0;
                        let e = Error::closed("waiting for the response", CloseReason::PeerClosed);
                        call.failed(Failure::ServerClosedIdle, written, e, clock::mono())
                            .expect(IN_TURN);
                    }
                    Ok((head, reason)) => {
                        let len = current.response_len();
                        call.response(head.status, head.headers.as_fields(), len, clock::mono())
                            .expect(IN_TURN);
                        answer = Some((head, reason));
                    }
                    Err(e) => {
                        let failed = exchange.take().expect(EXCHANGE).failed(e);
                        if let Some(untouched) = failed.body {
                            upload.body = untouched;
                        }
                        let failure = failure_of(&failed.error, failed.response_begun);
                        call.failed(failure, failed.bytes_sent > 0, failed.error, clock::mono())
                            .expect(IN_TURN);
                    }
                }
            }
            Step::Retry(_) => {
                exchange = None;
                call.retry(clock::mono()).expect(IN_TURN);
            }
            // The policy has been asked; what it says is done.
            Step::Redirect(_) => call.follow(clock::mono()).expect(IN_TURN),
            Step::Drain { most, .. } => {
                exchange.take().expect(EXCHANGE).let_go(most);
                call.drained(clock::mono()).expect(IN_TURN);
            }
            Step::Deliver(delivery) => {
                let answer = answer.take().expect("the response has come");
                return Ok(deliver(call, exchange.take().expect(EXCHANGE), answer, &delivery));
            }
            Step::Failed(_) => {
                return Err(match call.into_error() {
                    Some(error) => Error::call(*error),
                    None => unreachable!("a call that has failed has its error"),
                });
            }
            step => unreachable!("{step:?}: it is told after the response only, or not asked for"),
        }
    }
}

/// The response as the caller gets it.
fn deliver(
    call: Call,
    mut exchange: Exchange,
    (mut head, reason): (antiphon_core::Response, Bytes),
    delivery: &Delivery,
) -> Response {
    let held = exchange.held();
    let (remote, reused) = (held.remote(), held.reused());
    let received = Received {
        reason,
        reused,
        remote,
        informational: mem::take(&mut exchange.interim),
        url: call.url().clone(),
        history: call.history().to_vec(),
    };
    let body = exchange.into_body(call);
    if let Decode::Yes(_) = delivery.decode {
        mend(&mut head.headers);
    }
    Response::received(head, body, received)
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

/// Whether this is no answer but the end of an idle connection: a 408 that crossed the request, which may be sent
/// again. If it may not, the caller gets the 408.
fn is_farewell(
    exchange: &mut Exchange,
    head: &antiphon_core::Response,
    replayable: bool,
    upload: &Upload,
) -> bool {
    if !exchange.was_given_up(head) {
        return false;
    }
    let attempt = Attempt {
        reused: exchange.held().reused(),
        written: exchange.bytes_sent() > 0,
        failure: Failure::ServerClosedIdle,
        replayable,
        body: match upload.can_be_sent_again() {
            true => BodyState::Repeatable,
            false => BodyState::Consumed,
        },
    };
    matches!(retry::may_retry(&attempt), Retry::Yes(_))
}
