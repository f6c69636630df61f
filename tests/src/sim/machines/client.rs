//! What the application on a bare client does: [`ClientScript`] sends the planned exchanges and checks the answers.
//! It is asked again and again, and says whether it did something.

use super::Common;
use super::body::Out;
use super::scripts::{Doing, framing, headers, judge, trailers};
use crate::sim::checks::{Check, Pattern, Reader, Violation};
use crate::sim::faults::Fault;
use crate::sim::link::Side;
use crate::sim::plan::{Ending, Level, Plan, Verb};
use antiphon_core::Instant;
use antiphon_core::h1::trace::Traced;
use antiphon_core::h1::{BodyLen, ClientConn, ClientEvent, ExchangeId, Reuse};

/// How an exchange ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Failed,
}

/// The client's side.
pub(super) struct ClientScript {
    plans: Vec<Plan>,
    next: usize,
    current: Option<Asking>,
    ends: Vec<End>,
    /// When the next request is sent at the earliest.
    ready: Instant,
    /// How many were sent on this connection.
    sent: usize,
    closing: bool,
    failed: bool,
    /// The response's body ends with its connection: whether it is whole cannot be told if that ended early.
    until_close: Vec<bool>,
}

struct Asking {
    number: usize,
    id: ExchangeId,
    upload: Option<Out>,
    reader: Reader,
    status: Option<u16>,
    body_ended: bool,
    turns: u64,
}

impl ClientScript {
    pub(super) fn new(plans: &[Plan]) -> ClientScript {
        ClientScript {
            plans: plans.to_vec(),
            next: 0,
            current: None,
            ends: Vec::new(),
            ready: Instant::ZERO,
            sent: 0,
            closing: false,
            failed: false,
            until_close: vec![false; plans.len()],
        }
    }

    /// The bodies of these responses end with their connections.
    pub(super) fn with_until_close(self, until_close: Vec<bool>) -> ClientScript {
        ClientScript { until_close, ..self }
    }

    pub(super) fn has_more(&self) -> bool {
        self.next < self.plans.len()
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        let count = |end| self.ends.iter().filter(|e| **e == end).count() as u64;
        (count(End::Complete), count(End::Failed))
    }

    pub(super) fn may_fail(plan: &Plan) -> bool {
        plan.cancel.is_some()
            || plan.is_doomed()
            || plan.ending != Ending::Answer
            || plan.answer.fails_at.is_some()
    }

    fn ended(&mut self, end: End, w: &mut Common) {
        let Some(asking) = self.current.take() else { return };
        let plan = &self.plans[asking.number];
        w.note(format_args!("exchange {}: {end:?}", plan.id));
        if end == End::Failed && !w.may_break() && !Self::may_fail(plan) {
            w.violate(Check::Succeeds, format!("exchange {} has failed", plan.id));
        }
        self.ends.push(end);
        self.ready = w.now
            + self
                .plans
                .get(self.next)
                .map_or_else(Default::default, |p| p.pause);
    }

    /// The connection is over.
    pub(super) fn connection_ended(&mut self, w: &mut Common) {
        if self.sent == 0 && self.current.is_none() && self.has_more() {
            // It died before anything could be asked. Not again with this one.
            if w.level < Level::Broken {
                w.violate(Check::Succeeds, "a connection that took no request".to_string());
            }
            self.ends.push(End::Failed);
            self.next += 1;
        }
        self.ended(End::Failed, w);
        (self.sent, self.closing, self.failed) = (0, false, false);
    }

    /// What must hold in the end.
    pub(super) fn close(&self, started: &[u32]) -> Result<(), Violation> {
        if self.ends.len() != self.plans.len() {
            let what = format!("{} of {} exchanges have ended", self.ends.len(), self.plans.len());
            return Err(Violation::new(Check::Answered, what));
        }
        for (number, end) in self.ends.iter().enumerate() {
            let times = started[number];
            if times > 1 || (*end == End::Complete && times == 0) {
                let what = format!("exchange {number} was executed {times} times");
                return Err(Violation::new(Check::Once, what));
            }
        }
        Ok(())
    }

    pub(super) fn turn(&mut self, conn: &mut Traced<ClientConn>, w: &mut Common, over: bool) -> Doing {
        if over {
            return Doing::Nothing;
        }
        self.look_at_direct_reads(w);
        let mut did = self.events(conn, w);
        if let Some(asking) = &mut self.current {
            let plan = &self.plans[asking.number];
            asking.turns += 1;
            if plan.cancel.is_some_and(|n| asking.turns > n) && conn.abort(asking.id).is_ok() {
                w.faults.add(Fault::Abort);
                w.note(format_args!("exchange {}: given up", plan.id));
                asking.upload = None;
                did = true;
            }
            if let Some(upload) = &mut asking.upload {
                did |= upload.push(conn, asking.id, plan.id, w);
            }
            did |= read_answer(asking, plan, conn, w);
        } else if !self.has_more() {
            if !std::mem::replace(&mut self.closing, true) {
                conn.close_when_idle();
                did = true;
            }
        } else if conn.can_send() {
            if w.now < self.ready {
                w.wake_at(self.ready);
            } else {
                self.ask(conn, w);
                did = true;
            }
        }
        w.bypass[Side::Client as usize].reads = self.current.as_ref().is_some_and(|a| a.status.is_some());
        if did { Doing::Something } else { Doing::Nothing }
    }

    /// What the driver has read past the machine stands before everything that the machine still tells.
    fn look_at_direct_reads(&mut self, w: &mut Common) {
        let bytes = std::mem::take(&mut w.bypass[Side::Client as usize].read);
        if let Some(asking) = &mut self.current
            && asking.reader.len != u64::MAX
        {
            let held = asking.reader.take(&bytes);
            w.hold(held);
        }
    }

    fn ask(&mut self, conn: &mut Traced<ClientConn>, w: &mut Common) {
        let number = self.next;
        let plan = &self.plans[number];
        self.next += 1;
        self.sent += 1;
        let mut fields = vec![
            ("host", "server-0.sim".to_string()),
            ("x-exchange", plan.id.to_string()),
        ];
        if plan.verb == Verb::Upgrade {
            fields.push(("connection", "upgrade".to_string()));
            fields.push(("upgrade", "sim".to_string()));
        }
        if plan.expects {
            fields.push(("expect", "100-continue".to_string()));
        }
        let len = plan.upload.as_ref().map_or(BodyLen::None, framing);
        w.note(format_args!("exchange {number}: {plan:?}"));
        let target = format!("/x/{}", plan.id);
        let id = match conn.send_request(plan.verb.method(), &target, &headers(&fields), len) {
            Ok(id) => id,
            Err(misuse) => {
                w.violate(Check::Contract, format!("can_send, but {misuse:?}"));
                return;
            }
        };
        let answer = match plan.bodiless() || plan.verb == Verb::Upgrade {
            true => 0,
            false => plan.answer.len,
        };
        self.current = Some(Asking {
            number,
            id,
            upload: plan
                .upload
                .map(|u| Out::new(u, Pattern::new(w.seed, plan.id, 0), w)),
            reader: Reader::new(Pattern::new(w.seed, plan.id, 1), answer),
            status: None,
            body_ended: false,
            turns: 0,
        });
    }

    fn events(&mut self, conn: &mut Traced<ClientConn>, w: &mut Common) -> bool {
        let mut did = false;
        while !self.failed {
            let event = match conn.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    self.failed = true;
                    let number = self.current.as_ref().map_or(self.next, |a| a.number);
                    let may = self.plans.get(number).is_some_and(Self::may_fail);
                    judge(number as u64, error, may, w);
                    return true;
                }
            };
            did = true;
            w.note(format_args!("client: {event:?}"));
            let Some(asking) = &mut self.current else { continue };
            let plan = &self.plans[asking.number];
            match event {
                ClientEvent::Response { id, .. } => {
                    let Ok(head) = conn.head(id) else {
                        w.violate(Check::Contract, "a response without a head".to_string());
                        continue;
                    };
                    let status = head.status().code();
                    asking.status = Some(status);
                    let due = if plan.verb == Verb::Upgrade {
                        101
                    } else {
                        plan.status
                    };
                    let came = head.fields().get("x-exchange");
                    if status != due {
                        if !w.may_refuse(status) {
                            let what = format!("exchange {}: status {status}", plan.id);
                            w.violate(Check::Belongs, what);
                        }
                        asking.reader.len = u64::MAX;
                    } else if came != Some(plan.id.to_string().as_bytes()) {
                        let what = format!("exchange {}: the answer of {came:?}", plan.id);
                        w.violate(Check::Belongs, what);
                    }
                }
                ClientEvent::BodyEnd { id } => {
                    asking.body_ended = true;
                    if asking.reader.len != u64::MAX {
                        let cut = self.until_close[asking.number] && w.cut_off(Side::Server);
                        let held = asking.reader.end();
                        w.hold(held.or_else(|v| if cut { Ok(()) } else { Err(v) }));
                        let due = plan.answer.trailers && !plan.bodiless() && plan.verb != Verb::Upgrade;
                        trailers(plan.id, conn.trailers(id), due, w);
                    }
                }
                ClientEvent::ExchangeEnd { reuse, .. } => {
                    let planned = asking.reader.len != u64::MAX;
                    let whole = asking.body_ended || reuse == Reuse::Switched;
                    let complete = asking.status.is_some() && whole && planned;
                    self.ended(if complete { End::Complete } else { End::Failed }, w);
                }
                ClientEvent::Timeout { why, .. } if w.level < Level::Broken => {
                    w.violate(Check::Succeeds, format!("exchange {}: {why:?}", plan.id));
                }
                _ => {}
            }
        }
        did
    }
}

/// Takes what has come of the response's body.
fn read_answer(asking: &mut Asking, plan: &Plan, conn: &mut Traced<ClientConn>, w: &mut Common) -> bool {
    if asking.status.is_none() {
        return false;
    }
    conn.want_body(asking.id);
    if conn.body().is_empty() {
        return false;
    }
    let bytes = match w.rng.chance(128) {
        true => conn.take_body().to_vec(),
        false => {
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
    };
    if asking.reader.len != u64::MAX {
        let held = asking.reader.take(&bytes);
        w.hold(held);
    }
    true
}
