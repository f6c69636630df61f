//! [`TextClient`]: sends several requests before it has the first answer, in HTTP/1.1 and HTTP/1.0, and checks what a
//! server machine answers: in order, whole, nothing to whom it should not be said, nothing behind a last answer.

use super::{Body, Frame, Head, Incoming, Outgoing, PATIENCE, check_trailers, framed, wrong};
use crate::sim::checks::{Check, Pattern, Reader, Violation};
use crate::sim::faults::Fault;
use crate::sim::link::{Link, Side};
use crate::sim::machines::Common;
use crate::sim::machines::client::ClientScript;
use crate::sim::plan::{Level, Plan, Style, Verb};
use crate::sim::uses::Use;
use antiphon_core::Instant;
use std::collections::VecDeque;

const SIDE: Side = Side::Client;

/// See the file's description.
pub(in crate::sim::machines) struct TextClient {
    plans: Vec<Plan>,
    /// Which of them are HTTP/1.0.
    old: Vec<bool>,
    queue: VecDeque<usize>,
    /// Whether each of them was answered as it should.
    ends: Vec<Option<bool>>,
    /// When the next request is sent at the earliest.
    ready: Instant,
    conn: Conn,
}

/// What belongs to one connection.
#[derive(Debug, Default)]
struct Conn {
    incoming: Incoming,
    outgoing: Outgoing,
    /// Requests that are not answered yet.
    asked: VecDeque<Asked>,
    /// How many of them there may be.
    depth: usize,
    /// Nothing may be sent behind the last one.
    barrier: bool,
    /// The last answer has come: the server has said that it closes.
    last: bool,
    /// This side has ended it.
    given_up: bool,
    /// What was written behind a request for another protocol.
    behind: Option<(Pattern, u64)>,
    switched: bool,
    over: bool,
    /// When something happened last.
    moved: Option<Instant>,
    answers: u64,
}

#[derive(Debug)]
struct Asked {
    number: usize,
    /// It says that it is the last one.
    last: bool,
    /// Its body, until the server asks for it.
    held: Option<Vec<u8>>,
    answer: Option<Answer>,
    turns: u64,
}

#[derive(Debug)]
struct Answer {
    body: Body,
    /// `None` for one that was not planned: then the words are the machine's own.
    reader: Option<Reader>,
    trailers: Vec<String>,
    last: bool,
}

impl TextClient {
    /// Has some of the plans be HTTP/1.0, which has no chunks and no other protocols.
    pub(in crate::sim::machines) fn new(plans: &mut [Plan], w: &mut Common) -> TextClient {
        let often = w.rng.pick(&[0, 64, 256]);
        let mut old = vec![false; plans.len()];
        for (plan, old) in plans.iter_mut().zip(&mut old) {
            *old = w.rng.chance(often);
            if let Some(upload) = &mut plan.upload {
                // What is sent ahead must be short: a server that closes reads it on only for a while.
                upload.len = upload.len.min(3_000);
                if *old {
                    (upload.style, upload.trailers) = (Style::Sized, false);
                }
                let most = upload.len + u64::from(Frame::of(upload) == Frame::Chunked);
                upload.fails_at = upload.fails_at.filter(|at| *at < most);
            }
            if *old && plan.verb == Verb::Upgrade {
                plan.verb = Verb::Get;
            }
        }
        TextClient {
            queue: (0..plans.len()).collect(),
            ends: vec![None; plans.len()],
            plans: plans.to_vec(),
            old,
            ready: Instant::ZERO,
            conn: Conn::default(),
        }
    }

    pub(in crate::sim::machines) fn has_more(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(in crate::sim::machines) fn is_over(&self) -> bool {
        self.conn.over
    }

    pub(in crate::sim::machines) fn counts(&self) -> (u64, u64) {
        let count = |end| self.ends.iter().filter(|e| **e == Some(end)).count() as u64;
        (count(true), count(false))
    }

    /// A new connection.
    pub(in crate::sim::machines) fn connected(&mut self, w: &mut Common) {
        self.conn = Conn {
            depth: 1 + w.rng.below(6) as usize,
            moved: Some(w.now),
            ..Conn::default()
        };
    }

    /// Goes on. Says whether it did something.
    pub(in crate::sim::machines) fn turn(&mut self, link: &mut Link, w: &mut Common) -> bool {
        if self.conn.over {
            return false;
        }
        let mut did = self.ask(w);
        let written = self.conn.outgoing.write(link, SIDE, w.now, &mut w.faults);
        did |= w.later(written);
        if !self.conn.incoming.is_over() {
            let read = self.conn.incoming.read(link, SIDE, w.now, &mut w.faults);
            did |= w.later(read);
        }
        match self.understand(w) {
            Ok(understood) => did |= understood,
            Err(v) => w.violate(v.check, v.what),
        }
        did |= self.end(link, w);
        if did {
            self.conn.moved = Some(w.now);
        }
        did
    }

    fn ask(&mut self, w: &mut Common) -> bool {
        let mut did = false;
        while let Some(&number) = self.queue.front() {
            let conn = &mut self.conn;
            let closed = conn.last || conn.given_up || conn.incoming.is_over();
            if conn.barrier || closed || conn.asked.len() >= conn.depth {
                break;
            }
            let plan = &self.plans[number];
            let doomed = plan.upload.is_some_and(|u| u.fails_at.is_some());
            if doomed && !conn.asked.is_empty() {
                break;
            }
            if w.now < self.ready {
                w.wake_at(self.ready);
                break;
            }
            if !conn.asked.is_empty() {
                w.uses.add(Use::Pipelined);
            }
            self.queue.pop_front();
            self.write_request(number, w);
            did = true;
        }
        did
    }

    fn write_request(&mut self, number: usize, w: &mut Common) {
        let (plan, old) = (&self.plans[number], self.old[number]);
        w.note(format_args!("exchange {number}: {plan:?}"));
        let version = if old { "1.0" } else { "1.1" };
        let mut head = format!("{} /x/{number} HTTP/{version}\r\n", plan.verb.method());
        head += &format!("X-Exchange: {number}\r\n");
        if !old || w.rng.chance(128) {
            head += "Host: server-0.sim\r\n";
        }
        let mut last = false;
        if old {
            w.uses.add(Use::OldRequest);
            last = w.rng.chance(96);
            if !last {
                head += "Connection: keep-alive\r\n";
            }
        } else if plan.verb == Verb::Upgrade {
            head += "Connection: upgrade\r\nUpgrade: sim\r\n";
        } else if w.rng.chance(8) {
            head += "Connection: close\r\n";
            last = true;
        }
        self.conn.barrier = last;
        let mut held = None;
        let mut body = Vec::new();
        if let Some(upload) = &plan.upload {
            let frame = Frame::of(upload);
            head += &match frame {
                Frame::Chunked => "Transfer-Encoding: chunked\r\n".to_string(),
                _ => format!("Content-Length: {}\r\n", upload.len),
            };
            let pattern = Pattern::new(w.seed, plan.id, 0);
            let len = upload.fails_at.unwrap_or(upload.len);
            body = framed(plan.id, upload, frame, pattern, len);
            if upload.fails_at.is_some() && frame == Frame::Chunked && len == upload.len {
                // Its last chunk is what is missing.
                body.truncate(body.len().saturating_sub(3));
            }
            if plan.expects {
                head += "Expect: 100-continue\r\n";
            }
            // In HTTP/1.0 nobody waits for what no server says.
            if plan.expects && !old {
                held = Some(std::mem::take(&mut body));
            }
            self.conn.barrier |= held.is_some() || upload.fails_at.is_some();
        }
        head += "\r\n";
        self.conn.outgoing.push(head.as_bytes());
        self.conn.outgoing.push(&body);
        if plan.verb == Verb::Upgrade {
            self.conn.barrier = true;
            let (pattern, n) = (Pattern::new(w.seed, plan.id, 2), w.rng.size(300));
            if n > 0 {
                w.uses.add(Use::BehindSwitch);
            }
            self.conn.outgoing.push(&pattern.bytes(0, n as usize));
            self.conn.behind = Some((pattern, n));
        }
        self.conn.asked.push_back(Asked {
            number,
            last,
            held,
            answer: None,
            turns: 0,
        });
    }

    /// Looks at what has come.
    fn understand(&mut self, w: &mut Common) -> Result<bool, Violation> {
        let mut did = false;
        loop {
            let conn = &mut self.conn;
            let Some(front) = conn.asked.front_mut() else {
                if !conn.incoming.bytes.is_empty() && !conn.switched {
                    return wrong("bytes that answer nothing");
                }
                return Ok(did);
            };
            if conn.last {
                if !conn.incoming.bytes.is_empty() {
                    return wrong("an answer behind the last one");
                }
                return Ok(did);
            }
            let number = front.number;
            let Some(answer) = &mut front.answer else {
                let Some(head) = conn.incoming.head()? else {
                    return Ok(did);
                };
                did = true;
                w.note(format_args!("client: {head:?}"));
                self.take_head(number, &head, w)?;
                continue;
            };
            let complete = conn
                .incoming
                .body(&mut answer.body, &mut answer.reader, &mut answer.trailers)?;
            if !complete {
                return Ok(did);
            }
            did = true;
            self.answered(w)?;
        }
    }

    fn take_head(&mut self, number: usize, head: &Head, w: &mut Common) -> Result<(), Violation> {
        let (plan, old) = (&self.plans[number], self.old[number]);
        let mut words = head.start.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        let status: u16 = words.next().and_then(|s| s.parse().ok()).unwrap_or(0);
        if version != "HTTP/1.1" || !(100..600).contains(&status) {
            return wrong(format!("exchange {number}: {:?}", head.start));
        }
        let Some(front) = self.conn.asked.front_mut() else {
            return Ok(());
        };
        if (100..200).contains(&status) && status != 101 {
            if old {
                return wrong(format!("exchange {number}: {status} to an HTTP/1.0 client"));
            }
            if status == 100 {
                match front.held.take() {
                    Some(body) => self.conn.outgoing.push(&body),
                    None => return wrong(format!("exchange {number}: a 100 that nobody waits for")),
                }
                let fails = plan.upload.is_some_and(|u| u.fails_at.is_some());
                // What was announced to be the last one still is.
                self.conn.barrier = fails || front.last;
            }
            return Ok(());
        }
        let due = if plan.verb == Verb::Upgrade {
            101
        } else {
            plan.status
        };
        let planned = status == due;
        if planned {
            let came = head.get("x-exchange");
            if came != Some(&number.to_string()) {
                return wrong(format!("exchange {number}: the answer of {came:?}"));
            }
        } else {
            if !w.may_refuse(status) {
                return wrong(format!("exchange {number}: status {status}"));
            }
        }
        let framing = head.framing()?;
        let last = if old {
            !head.says("connection", "keep-alive")
        } else {
            head.says("connection", "close")
        };
        if front.last && !last {
            return wrong(format!("exchange {number} was to be the last one"));
        }
        if old && !last {
            w.uses.add(Use::OldKeptAlive);
        }
        if front.held.as_ref().is_some_and(|body| !body.is_empty()) && !last {
            return wrong(format!(
                "exchange {number}: where its body ends is not known, but the connection goes on"
            ));
        }
        front.held = None;
        self.conn.switched = status == 101;
        let bodiless = plan.verb == Verb::Head || matches!(status, 101 | 204 | 304);
        let body = match framing {
            // Whether the server has seen that it was a HEAD is not known: the connection ends anyway.
            _ if !planned => Body::UntilClose,
            _ if bodiless => Body::Length(0),
            Some(Body::ChunkSize) if old => {
                return wrong(format!("exchange {number}: chunks to an HTTP/1.0 client"));
            }
            Some(body) => body,
            None if old && last => {
                w.uses.add(Use::UntilClose);
                Body::UntilClose
            }
            None => return wrong(format!("exchange {number}: an answer without an end")),
        };
        let len = if bodiless { 0 } else { plan.answer.len };
        let reader = Reader::new(Pattern::new(w.seed, plan.id, 1), len);
        front.answer = Some(Answer {
            body,
            reader: planned.then_some(reader),
            trailers: Vec::new(),
            last,
        });
        Ok(())
    }

    /// The first answer is complete.
    fn answered(&mut self, w: &mut Common) -> Result<(), Violation> {
        let Some(Asked {
            number,
            answer: Some(answer),
            ..
        }) = self.conn.asked.pop_front()
        else {
            return Ok(());
        };
        let plan = &self.plans[number];
        let planned = answer.reader.is_some();
        if let Some(reader) = answer.reader {
            // Where the end of the connection is the end of the body, a broken one cannot be told from a whole one.
            let may_be_cut = answer.body == Body::UntilClose
                && (ClientScript::may_fail(plan) || w.cut_off(Side::Server) || w.cut_off(Side::Client));
            if !may_be_cut {
                reader.end()?;
            }
            let due =
                plan.answer.trailers && !self.old[number] && !plan.bodiless() && plan.verb != Verb::Upgrade;
            check_trailers(plan.id, &answer.trailers, due)?;
        }
        self.conn.answers += 1;
        // Its body is not whole and never will be: nothing can follow.
        self.conn.given_up |= plan.upload.is_some_and(|u| u.fails_at.is_some());
        self.conn.last |= answer.last || self.conn.switched;
        if self.conn.asked.is_empty() && !self.conn.last {
            let pause = self.queue.front().map(|n| self.plans[*n].pause);
            self.ready = w.now + pause.unwrap_or_default();
            // What was announced to be the last one was not.
            self.conn.barrier = false;
        }
        self.ended(number, planned, w);
        Ok(())
    }

    fn ended(&mut self, number: usize, complete: bool, w: &mut Common) {
        w.note(format_args!("exchange {number}: complete: {complete}"));
        self.ends[number] = Some(complete);
    }

    /// Ends the connection when it is time.
    fn end(&mut self, link: &mut Link, w: &mut Common) -> bool {
        let conn = &mut self.conn;
        if let Some(front) = conn.asked.front_mut() {
            front.turns += 1;
            let plan = &self.plans[front.number];
            let cut = plan.upload.is_some_and(|u| u.fails_at.is_some())
                && front.held.is_none()
                && conn.outgoing.is_empty();
            if cut || plan.cancel.is_some_and(|n| front.turns > n) {
                w.faults.add(Fault::Abort);
                conn.given_up = true;
            }
        }
        // An early answer may come before all of its request has left.
        let done = conn.asked.is_empty() && conn.outgoing.is_empty() && self.queue.is_empty();
        let idle = done && !conn.last;
        if w.level == Level::Broken && !conn.given_up {
            let most = conn.moved.unwrap_or(w.now) + PATIENCE;
            conn.given_up = w.now >= most;
            w.wake_at(most);
        }
        if !(idle || conn.given_up || conn.switched || conn.incoming.is_over()) {
            return false;
        }
        w.note(format_args!("client ends"));
        link.close(SIDE, w.now, &mut w.faults);
        conn.over = true;
        true
    }

    /// The connection is over: `started` says how often the server has begun each exchange, `behind` what
    /// came behind a switch.
    pub(in crate::sim::machines) fn disconnected(
        &mut self,
        w: &mut Common,
        started: &[u32],
        behind: Option<&[u8]>,
    ) {
        let judged = self.judge(w, started, behind);
        w.hold(judged);
    }

    fn judge(&mut self, w: &mut Common, started: &[u32], behind: Option<&[u8]>) -> Result<(), Violation> {
        let conn = std::mem::take(&mut self.conn);
        if let (Some(came), Some((pattern, n))) = (behind, conn.behind) {
            let len = came.len() as u64;
            // Given up with bytes unread, the connection ended in a reset, which may take them with it.
            let whole = w.level < Level::Broken && conn.outgoing.is_empty() && !conn.given_up;
            if len > n || (whole && len < n) || pattern.differs(0, came).is_some() {
                let what = format!("{len} bytes behind a switch are not the {n} that were written");
                return Err(Violation::new(Check::Bytes, what));
            }
        }
        let left: Vec<usize> = conn.asked.iter().map(|a| a.number).collect();
        if conn.answers == 0 && left.is_empty() {
            // It ended before anything could be asked.
            if w.level < Level::Broken {
                return Err(Violation::new(
                    Check::Succeeds,
                    "a connection that took no request",
                ));
            }
            if let Some(number) = self.queue.pop_front() {
                self.ended(number, false, w);
            }
        }
        // A reset that follows from giving one exchange up may take earlier answers with it.
        let doomed = left.iter().any(|n| ClientScript::may_fail(&self.plans[*n]));
        for (i, number) in left.into_iter().enumerate().rev() {
            let begun = started[number] > 0;
            if conn.last {
                if begun {
                    let what = format!("exchange {number} was executed behind a last answer");
                    return Err(Violation::new(Check::Once, what));
                }
                w.uses.add(Use::Requeued);
                self.queue.push_front(number);
            } else if conn.given_up
                || w.may_break()
                || (i == 0 && ClientScript::may_fail(&self.plans[number]))
                || (begun && conn.incoming.reset && doomed)
            {
                self.ended(number, false, w);
            } else if !begun && doomed {
                self.queue.push_front(number);
            } else {
                return Err(Violation::new(
                    Check::Succeeds,
                    format!("exchange {number} has failed"),
                ));
            }
        }
        Ok(())
    }

    /// What must hold in the end.
    pub(in crate::sim::machines) fn close(&self, started: &[u32]) -> Result<(), Violation> {
        for (number, end) in self.ends.iter().enumerate() {
            let times = started[number];
            if times > 1 || (*end == Some(true) && times == 0) {
                let what = format!("exchange {number} was executed {times} times");
                return Err(Violation::new(Check::Once, what));
            }
            if end.is_none() {
                return Err(Violation::new(
                    Check::Answered,
                    format!("exchange {number} has not ended"),
                ));
            }
        }
        Ok(())
    }
}
