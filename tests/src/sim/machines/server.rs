//! What the application on a bare server does: [`ServerScript`] answers the planned exchanges and checks the
//! requests. It is asked again and again, and says whether it did something.

use super::Common;
use super::body::Out;
use super::client::ClientScript;
use super::scripts::{Doing, framing, headers, judge, trailers};
use crate::sim::checks::{Check, Pattern, Reader};
use crate::sim::faults::{Fault, Plant};
use crate::sim::link::Side;
use crate::sim::plan::{Ending, Handling, Level, Plan, Reading, Style, Verb};
use antiphon_core::h1::trace::Traced;
use antiphon_core::h1::{BodyLen, CloseReason, ExchangeId, Misuse, Reuse, ServerConn, ServerEvent};
use antiphon_core::{Headers, Instant, Status};

/// The server's side.
pub(super) struct ServerScript {
    plans: Vec<Plan>,
    pub(super) started: Vec<u32>,
    current: Option<Answering>,
    failed: bool,
}

struct Answering {
    number: usize,
    id: ExchangeId,
    reader: Reader,
    /// All that is to be read has been.
    read: bool,
    ready: Instant,
    interims: u64,
    answer: Option<Out>,
}

impl ServerScript {
    pub(super) fn new(plans: &[Plan]) -> ServerScript {
        ServerScript {
            plans: plans.to_vec(),
            started: vec![0; plans.len()],
            current: None,
            failed: false,
        }
    }

    /// The connection is over.
    pub(super) fn connection_ended(&mut self, _: &mut Common) {
        (self.current, self.failed) = (None, false);
    }

    pub(super) fn turn(&mut self, conn: &mut Traced<ServerConn>, w: &mut Common, over: bool) -> Doing {
        if over {
            return Doing::Nothing;
        }
        self.look_at_direct_reads(w);
        let mut did = self.events(conn, w);
        if let Some(answering) = &mut self.current {
            let plan = &self.plans[answering.number];
            did |= read_request(answering, plan, conn, w);
            did |= answer(answering, plan, conn, w);
        }
        let reads = |a: &Answering| !a.read && self.plans[a.number].upload.is_some();
        w.bypass[Side::Server as usize].reads = self.current.as_ref().is_some_and(reads);
        if did { Doing::Something } else { Doing::Nothing }
    }

    /// What the driver has read past the machine stands before everything that the machine still tells.
    fn look_at_direct_reads(&mut self, w: &mut Common) {
        let bytes = std::mem::take(&mut w.bypass[Side::Server as usize].read);
        if let Some(answering) = &mut self.current {
            let held = answering.reader.take(&bytes);
            w.hold(held);
        }
    }

    fn events(&mut self, conn: &mut Traced<ServerConn>, w: &mut Common) -> bool {
        let mut did = false;
        while !self.failed {
            let event = match conn.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    self.failed = true;
                    let number = self.current.as_ref().map_or(0, |a| a.number);
                    // Whose request was cut off cannot be told when its head was.
                    let may = self.plans.iter().any(ClientScript::may_fail);
                    judge(number as u64, error, may, w);
                    return true;
                }
            };
            did = true;
            w.note(format_args!("server: {event:?}"));
            match event {
                ServerEvent::Request { id, body, .. } => self.begin(conn, id, body, w),
                ServerEvent::BodyEnd { id } => {
                    if let Some(answering) = &mut self.current {
                        let plan = &self.plans[answering.number];
                        answering.read = true;
                        let held = answering.reader.end();
                        w.hold(held);
                        let due = plan.upload.is_some_and(|u| u.trailers);
                        trailers(plan.id, conn.trailers(id), due, w);
                    }
                }
                ServerEvent::ExchangeEnd { reuse, .. } => {
                    // Only where it reads on for a short while: the client may have sent its next request by then.
                    w.harm.any |= reuse == Reuse::Close(CloseReason::BodyUnread);
                    self.current = None;
                }
                ServerEvent::Timeout { why, .. } if w.level < Level::Broken => {
                    w.violate(Check::Succeeds, format!("server: {why:?}"));
                }
                _ => {}
            }
        }
        did
    }

    fn begin(&mut self, conn: &mut Traced<ServerConn>, id: ExchangeId, body: BodyLen, w: &mut Common) {
        let Ok(head) = conn.head(id) else {
            w.violate(Check::Contract, "a request without a head".to_string());
            return;
        };
        let number: Option<usize> = head.fields().get_str("x-exchange").and_then(|v| v.parse().ok());
        let Some(number) = number.filter(|n| *n < self.plans.len()) else {
            w.violate(Check::Belongs, "a request of no exchange".to_string());
            return;
        };
        let plan = &self.plans[number];
        if head.method() != plan.verb.method() || head.target() != format!("/x/{number}") {
            w.violate(Check::Belongs, format!("exchange {number}: another head"));
        }
        let declared = plan.upload.as_ref().map_or(BodyLen::None, framing);
        if declared != body && !(declared.is_empty() && body.is_empty()) {
            let what = format!("exchange {number}: {body:?} instead of {declared:?}");
            w.violate(Check::Belongs, what);
        }
        self.started[number] += 1;
        let len = plan.upload.map_or(0, |u| u.len);
        self.current = Some(Answering {
            number,
            id,
            reader: Reader::new(Pattern::new(w.seed, plan.id, 0), len),
            read: body.is_empty() || plan.reading == Reading::Nothing,
            ready: w.now + plan.wait,
            interims: w.rng.size(3),
            answer: None,
        });
    }
}

/// Takes what has come of the request's body, as far as the plan has it read.
fn read_request(a: &mut Answering, plan: &Plan, conn: &mut Traced<ServerConn>, w: &mut Common) -> bool {
    if let Reading::Part(n) = plan.reading
        && a.reader.got >= n
    {
        a.read = true;
    }
    let enough = matches!(plan.reading, Reading::Part(_) | Reading::Nothing) && a.read;
    if plan.upload.is_none() || enough {
        return false;
    }
    conn.want_body(a.id);
    if conn.body().is_empty() {
        return false;
    }
    let bytes = match plan.reading {
        Reading::Slowly => {
            let n = 1 + w.rng.below(conn.body().len() as u64) as usize;
            let bytes = conn.body()[..n].to_vec();
            if let Err(misuse) = conn.consume(n) {
                w.violate(
                    Check::Contract,
                    format!("exchange {}: consume: {misuse:?}", plan.id),
                );
            }
            bytes
        }
        _ => conn.take_body().to_vec(),
    };
    let held = a.reader.take(&bytes);
    w.hold(held);
    true
}

/// Goes on with the answer. Says whether it did something.
fn answer(a: &mut Answering, plan: &Plan, conn: &mut Traced<ServerConn>, w: &mut Common) -> bool {
    if let Some(out) = &mut a.answer {
        // Not once a body with a length is complete: the client may have sent its next request by then.
        let partial = out.at < out.plan.len || framing(&out.plan) == BodyLen::Unknown;
        if out.at > 0 && partial && plan.ending == Ending::Panic && out.open {
            out.open = false;
            w.faults.add(Fault::Abort);
            return conn.abort(a.id).is_ok();
        }
        return out.push(conn, a.id, plan.id, w);
    }
    let early = matches!(plan.handling, Handling::AnswerMeanwhile | Handling::EchoElsewhere);
    if !a.read && !early {
        return false;
    }
    if w.now < a.ready {
        w.wake_at(a.ready);
        return false;
    }
    if a.interims > 0 {
        a.interims -= 1;
        let hints = Status::new(103).map(|s| conn.send_interim(a.id, s, &headers(&[])));
        match hints {
            Ok(Ok(()) | Err(Misuse::Full | Misuse::Closed | Misuse::UnknownExchange)) => return true,
            other => w.violate(
                Check::Contract,
                format!("exchange {}: interim: {other:?}", plan.id),
            ),
        }
        return true;
    }
    if plan.ending == Ending::Error {
        w.faults.add(Fault::Abort);
        a.answer = Some(Out {
            open: false,
            ..Out::new(plan.answer, Pattern::new(w.seed, plan.id, 1), w)
        });
        return conn.abort(a.id).is_ok();
    }
    send_head(a, plan, conn, w);
    true
}

fn send_head(a: &mut Answering, plan: &Plan, conn: &mut Traced<ServerConn>, w: &mut Common) {
    let number = plan.id + u64::from(w.plant == Some(Plant::CrossAnswers));
    let mut fields = vec![("x-exchange", number.to_string())];
    let mut body = plan.answer;
    if w.plant == Some(Plant::ShortBody) && body.style == Style::Chunked {
        body.len = body.len.saturating_sub(1);
    }
    let (code, len) = match plan.verb {
        Verb::Upgrade => {
            fields.push(("upgrade", "sim".to_string()));
            (101, BodyLen::None)
        }
        _ => (plan.status, framing(&body)),
    };
    let out = Out::new(body, Pattern::new(w.seed, plan.id, 1), w);
    let mut out = Out {
        open: code != 101,
        ..out
    };
    let Ok(status) = Status::new(code) else { return };
    if let Err(misuse) = conn.send_head(a.id, status, &headers(&fields), len) {
        if !matches!(misuse, Misuse::Closed | Misuse::UnknownExchange) {
            w.violate(
                Check::Contract,
                format!("exchange {}: send_head: {misuse:?}", plan.id),
            );
        }
        out.open = false;
    } else if plan.bodiless() && out.open {
        out.open = false;
        if let Err(misuse) = conn.finish(a.id, &Headers::new()) {
            w.violate(
                Check::Contract,
                format!("exchange {}: no body: {misuse:?}", plan.id),
            );
        }
    }
    a.answer = Some(out);
}
