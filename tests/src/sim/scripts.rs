//! What the applications on bare machines do: [`ClientScript`] sends the planned exchanges and checks the
//! answers, [`ServerScript`] answers them. Both are asked again and again, and say whether they did something.

use super::checks::{Check, Pattern, Reader, Violation};
use super::faults::{Fault, Plant};
use super::machines::Common;
use super::plan::{BodyPlan, Ending, Handling, Level, Plan, Reading, Style, Verb};
use antiphon_core::h1::{
    BodyLen, ClientConn, ClientEvent, ExchangeId, Misuse, PeerError, PeerErrorKind, Reuse, ServerConn,
    ServerEvent,
};
use antiphon_core::{Fields, Headers, Instant, Status};

/// Whether a script did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Something,
    Nothing,
}

/// How an exchange ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Failed,
}

fn headers(fields: &[(&str, String)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        let added = headers.append(name, value);
        debug_assert!(added.is_ok(), "{name} is a field");
    }
    headers
}

fn framing(plan: &BodyPlan) -> BodyLen {
    match plan.style {
        Style::Chunked => BodyLen::Unknown,
        _ if plan.trailers => BodyLen::Unknown,
        _ => BodyLen::Known(plan.len),
    }
}

/// A body on its way out of an application.
struct Out {
    plan: BodyPlan,
    pattern: Pattern,
    at: u64,
    open: bool,
}

/// A machine that takes a body.
trait Takes {
    fn room(&self, id: ExchangeId) -> usize;
    fn give(&mut self, id: ExchangeId, bytes: Vec<u8>) -> Result<usize, Misuse>;
    fn copy(&mut self, id: ExchangeId, bytes: &[u8]) -> Result<usize, Misuse>;
    fn end(&mut self, id: ExchangeId, trailers: &Headers) -> Result<(), Misuse>;
    fn give_up(&mut self, id: ExchangeId) -> Result<(), Misuse>;
}

macro_rules! takes {
    ($conn:ident) => {
        impl Takes for $conn {
            fn room(&self, id: ExchangeId) -> usize {
                self.send_capacity(id)
            }
            fn give(&mut self, id: ExchangeId, bytes: Vec<u8>) -> Result<usize, Misuse> {
                let n = bytes.len();
                self.send_body(id, bytes.into()).map(|()| n)
            }
            fn copy(&mut self, id: ExchangeId, bytes: &[u8]) -> Result<usize, Misuse> {
                self.send_body_copy(id, bytes)
            }
            fn end(&mut self, id: ExchangeId, trailers: &Headers) -> Result<(), Misuse> {
                self.finish(id, trailers)
            }
            fn give_up(&mut self, id: ExchangeId) -> Result<(), Misuse> {
                self.abort(id)
            }
        }
    };
}

takes!(ServerConn);
takes!(ClientConn);

impl Out {
    fn new(plan: BodyPlan, pattern: Pattern) -> Out {
        Out {
            plan,
            pattern,
            at: 0,
            open: true,
        }
    }

    /// Hands some of the body over. Says whether it did something.
    fn push(&mut self, conn: &mut impl Takes, id: ExchangeId, number: u64, w: &mut Common) -> bool {
        let mut did = false;
        for _ in 0..4 {
            if !self.open || conn.room(id) == 0 {
                break;
            }
            did = true;
            if w.rng.chance(self.plan.yields) {
                break;
            }
            let end = self.plan.fails_at.unwrap_or(self.plan.len);
            if self.at < end {
                let n = (1 + w.rng.below(self.plan.piece)).min(end - self.at);
                let bytes = self.pattern.bytes(self.at, n as usize);
                let given = match w.rng.chance(128) {
                    true => conn.give(id, bytes),
                    false => conn.copy(id, &bytes),
                };
                match given {
                    Ok(n) => self.at += n as u64,
                    Err(misuse) => {
                        let what = format!("exchange {number}: room, but {misuse:?}");
                        w.violate(Check::Contract, what);
                        self.open = false;
                    }
                }
                continue;
            }
            self.open = false;
            let done = if self.plan.fails_at.is_some() {
                w.faults.add(Fault::BodyFailed);
                w.faults.add(Fault::Abort);
                conn.give_up(id)
            } else if self.plan.trailers {
                conn.end(id, &headers(&[("x-trailer", number.to_string())]))
            } else {
                conn.end(id, &Headers::new())
            };
            if let Err(misuse) = done {
                w.violate(Check::Contract, format!("exchange {number}: ending: {misuse:?}"));
            }
        }
        did
    }
}

/// Checks trailers.
fn trailers(number: u64, came: Option<Fields<'_>>, due: bool, w: &mut Common) {
    let came = came.and_then(|t| t.get("x-trailer").map(<[u8]>::to_vec));
    let due = due.then(|| number.to_string().into_bytes());
    if came != due {
        let what = format!("exchange {number}: trailers {came:?} instead of {due:?}");
        w.violate(Check::Bytes, what);
    }
}

/// Nothing in a world breaks the protocol.
fn judge(number: u64, error: PeerError, may_fail: bool, w: &mut Common) {
    if error.kind() != PeerErrorKind::UnexpectedEof {
        w.violate(Check::Reason, format!("exchange {number}: {error:?}"));
    } else if !may_fail && w.level < Level::Broken {
        w.violate(Check::Succeeds, format!("exchange {number}: {error:?}"));
    }
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
        }
    }

    pub(super) fn has_more(&self) -> bool {
        self.next < self.plans.len()
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        let count = |end| self.ends.iter().filter(|e| **e == end).count() as u64;
        (count(End::Complete), count(End::Failed))
    }

    fn may_fail(plan: &Plan) -> bool {
        plan.cancel.is_some()
            || plan.is_doomed()
            || plan.ending != Ending::Answer
            || plan.answer.fails_at.is_some()
    }

    fn ended(&mut self, end: End, w: &mut Common) {
        let Some(asking) = self.current.take() else { return };
        let plan = &self.plans[asking.number];
        w.note(format_args!("exchange {}: {end:?}", plan.id));
        if end == End::Failed && w.level < Level::Broken && !Self::may_fail(plan) {
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
    pub(super) fn close(&self, server: &ServerScript, _: Level) -> Result<(), Violation> {
        if self.ends.len() != self.plans.len() {
            let what = format!("{} of {} exchanges have ended", self.ends.len(), self.plans.len());
            return Err(Violation::new(Check::Answered, what));
        }
        for (number, end) in self.ends.iter().enumerate() {
            let times = server.started[number];
            if times > 1 || (*end == End::Complete && times == 0) {
                let what = format!("exchange {number} was executed {times} times");
                return Err(Violation::new(Check::Once, what));
            }
        }
        Ok(())
    }

    pub(super) fn turn(&mut self, conn: &mut ClientConn, w: &mut Common, over: bool) -> Doing {
        if over {
            return Doing::Nothing;
        }
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
        if did { Doing::Something } else { Doing::Nothing }
    }

    fn ask(&mut self, conn: &mut ClientConn, w: &mut Common) {
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
            upload: plan.upload.map(|u| Out::new(u, Pattern::new(w.seed, plan.id, 0))),
            reader: Reader::new(Pattern::new(w.seed, plan.id, 1), answer),
            status: None,
            body_ended: false,
            turns: 0,
        });
    }

    fn events(&mut self, conn: &mut ClientConn, w: &mut Common) -> bool {
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
                        let fine = match status {
                            408 => w.level == Level::Broken,
                            400 => w.faults.of(Fault::Eof) > 0,
                            _ => false,
                        };
                        if !fine {
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
                        let held = asking.reader.end();
                        w.hold(held);
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
fn read_answer(asking: &mut Asking, plan: &Plan, conn: &mut ClientConn, w: &mut Common) -> bool {
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

/// The server's side.
pub(super) struct ServerScript {
    plans: Vec<Plan>,
    started: Vec<u32>,
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

    pub(super) fn turn(&mut self, conn: &mut ServerConn, w: &mut Common, over: bool) -> Doing {
        if over {
            return Doing::Nothing;
        }
        let mut did = self.events(conn, w);
        if let Some(answering) = &mut self.current {
            let plan = &self.plans[answering.number];
            did |= read_request(answering, plan, conn, w);
            did |= answer(answering, plan, conn, w);
        }
        if did { Doing::Something } else { Doing::Nothing }
    }

    fn events(&mut self, conn: &mut ServerConn, w: &mut Common) -> bool {
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
                ServerEvent::ExchangeEnd { .. } => self.current = None,
                ServerEvent::Timeout { why, .. } if w.level < Level::Broken => {
                    w.violate(Check::Succeeds, format!("server: {why:?}"));
                }
                _ => {}
            }
        }
        did
    }

    fn begin(&mut self, conn: &mut ServerConn, id: ExchangeId, body: BodyLen, w: &mut Common) {
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
fn read_request(a: &mut Answering, plan: &Plan, conn: &mut ServerConn, w: &mut Common) -> bool {
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
fn answer(a: &mut Answering, plan: &Plan, conn: &mut ServerConn, w: &mut Common) -> bool {
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
            ..Out::new(plan.answer, Pattern::new(w.seed, plan.id, 1))
        });
        return conn.abort(a.id).is_ok();
    }
    send_head(a, plan, conn, w);
    true
}

fn send_head(a: &mut Answering, plan: &Plan, conn: &mut ServerConn, w: &mut Common) {
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
    let out = Out::new(body, Pattern::new(w.seed, plan.id, 1));
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
