//! [`TextServer`]: answers in HTTP/1.0 and HTTP/1.1, with lengths, chunks, and bodies that end with the connection, and
//! checks what a client machine asks.

use super::{Body, Frame, Head, Incoming, Outgoing, PATIENCE, check_trailers, framed, wrong};
use crate::sim::checks::{Pattern, Reader, Violation};
use crate::sim::faults::Fault;
use crate::sim::link::{Link, Side};
use crate::sim::machines::Common;
use crate::sim::plan::{Ending, Level, Plan, Reading, Verb};
use crate::sim::uses::Use;
use antiphon_core::Instant;

const SIDE: Side = Side::Server;

/// See the file's description.
pub(in crate::sim::machines) struct TextServer {
    plans: Vec<Plan>,
    frames: Vec<Frame>,
    /// Which of the answers are HTTP/1.0.
    old: Vec<bool>,
    /// How often each exchange was begun.
    pub(in crate::sim::machines) started: Vec<u32>,
    conn: Conn,
}

/// What belongs to one connection.
#[derive(Debug, Default)]
struct Conn {
    incoming: Incoming,
    outgoing: Outgoing,
    answering: Option<Answering>,
    /// How it ends, once everything is written.
    last: Option<Last>,
    shut: bool,
    over: bool,
    /// When something happened last.
    moved: Option<Instant>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Cleanly: the client is to read all of it.
    Clean,
    /// At once, in the middle.
    Cut,
    /// With a reset: otherwise the body would look whole.
    Reset,
}

#[derive(Debug)]
struct Answering {
    number: usize,
    body: Body,
    reader: Option<Reader>,
    trailers: Vec<String>,
    /// All of the request has come.
    whole: bool,
    answered: bool,
    ready: Instant,
}

impl TextServer {
    /// Has some of the answers be HTTP/1.0, which has no chunks and no other protocols. Says also which bodies
    /// end with the connection.
    pub(in crate::sim::machines) fn new(plans: &mut [Plan], w: &mut Common) -> (TextServer, Vec<bool>) {
        let often = w.rng.pick(&[64, 256]);
        let (mut old, mut frames) = (Vec::new(), Vec::new());
        for plan in plans.iter_mut() {
            if plan.verb == Verb::Upgrade {
                plan.verb = Verb::Get;
            }
            let is_old = w.rng.chance(often);
            if is_old {
                plan.answer.trailers = false;
            }
            let frame = match Frame::of(&plan.answer) {
                Frame::Chunked if is_old => Frame::UntilClose,
                frame => frame,
            };
            old.push(is_old);
            frames.push(frame);
        }
        let until_close = frames.iter().map(|f| *f == Frame::UntilClose).collect();
        let server = TextServer {
            plans: plans.to_vec(),
            frames,
            old,
            started: vec![0; plans.len()],
            conn: Conn::default(),
        };
        (server, until_close)
    }

    pub(in crate::sim::machines) fn is_over(&self) -> bool {
        self.conn.over
    }

    /// A new connection.
    pub(in crate::sim::machines) fn connected(&mut self, w: &mut Common) {
        self.conn = Conn {
            moved: Some(w.now),
            ..Conn::default()
        };
    }

    /// Goes on. Says whether it did something.
    pub(in crate::sim::machines) fn turn(&mut self, link: &mut Link, w: &mut Common) -> bool {
        if self.conn.over {
            return false;
        }
        let mut did = false;
        if !self.conn.incoming.is_over() {
            let read = self.conn.incoming.read(link, SIDE, w.now, &mut w.faults);
            did |= w.later(read);
        }
        match self.understand(w) {
            Ok(understood) => did |= understood,
            Err(v) => w.violate(v.check, v.what),
        }
        did |= self.answer(w);
        let written = self.conn.outgoing.write(link, SIDE, w.now, &mut w.faults);
        did |= w.later(written);
        did |= self.end(link, w);
        if did {
            self.conn.moved = Some(w.now);
        }
        did
    }

    /// Looks at what has come.
    fn understand(&mut self, w: &mut Common) -> Result<bool, Violation> {
        let conn = &mut self.conn;
        if let Some(a) = &mut conn.answering {
            let plan = &self.plans[a.number];
            if a.whole {
                return Ok(false);
            }
            let before = conn.incoming.bytes.len();
            a.whole = conn.incoming.body(&mut a.body, &mut a.reader, &mut a.trailers)?;
            if a.whole {
                if let Some(reader) = &a.reader {
                    reader.end()?;
                }
                check_trailers(plan.id, &a.trailers, plan.upload.is_some_and(|u| u.trailers))?;
                if a.answered {
                    conn.answering = None;
                }
            }
            return Ok(before > conn.incoming.bytes.len());
        }
        if conn.last.is_some() {
            // What comes behind an answer that is the last one is not even read.
            conn.incoming.bytes.clear();
            return Ok(false);
        }
        let Some(head) = conn.incoming.head()? else {
            return Ok(false);
        };
        w.note(format_args!("server: {head:?}"));
        self.begin(&head, w)?;
        Ok(true)
    }

    fn begin(&mut self, head: &Head, w: &mut Common) -> Result<(), Violation> {
        let number: Option<usize> = head.get("x-exchange").and_then(|v| v.parse().ok());
        let Some(number) = number.filter(|n| *n < self.plans.len()) else {
            return wrong("a request of no exchange");
        };
        let plan = &self.plans[number];
        if head.start != format!("{} /x/{number} HTTP/1.1", plan.verb.method()) {
            return wrong(format!("exchange {number}: {:?}", head.start));
        }
        let due = plan.upload.as_ref().map(|u| match Frame::of(u) {
            Frame::Chunked => Body::ChunkSize,
            _ => Body::Length(u.len),
        });
        let framing = head.framing()?;
        if framing != due {
            return wrong(format!("exchange {number}: {framing:?} instead of {due:?}"));
        }
        self.started[number] += 1;
        let len = plan.upload.map_or(0, |u| u.len);
        let early = plan.reading == Reading::Nothing;
        if head.says("expect", "100-continue") && !self.old[number] && !early {
            self.conn.outgoing.push(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.conn.answering = Some(Answering {
            number,
            body: framing.unwrap_or(Body::Length(0)),
            reader: Some(Reader::new(Pattern::new(w.seed, plan.id, 0), len)),
            trailers: Vec::new(),
            whole: false,
            answered: false,
            ready: w.now + plan.wait,
        });
        Ok(())
    }

    /// Answers when it is time. Says whether it did.
    fn answer(&mut self, w: &mut Common) -> bool {
        let Some(a) = &mut self.conn.answering else {
            return false;
        };
        let number = a.number;
        let plan = &self.plans[number];
        let got = a.reader.map_or(0, |r| r.got);
        let early = match plan.reading {
            Reading::Nothing => true,
            Reading::Part(n) => got >= n,
            _ => false,
        };
        if a.answered || !(a.whole || early) {
            return false;
        }
        if w.now < a.ready {
            w.wake_at(a.ready);
            return false;
        }
        a.answered = true;
        let whole = a.whole;
        if whole {
            self.conn.answering = None;
        }
        if plan.ending == Ending::Error {
            w.faults.add(Fault::Abort);
            self.conn.last = Some(Last::Cut);
            return true;
        }
        self.write_answer(number, whole, w);
        true
    }

    fn write_answer(&mut self, number: usize, whole: bool, w: &mut Common) {
        let (plan, old, frame) = (&self.plans[number], self.old[number], self.frames[number]);
        let mut head = if old {
            w.uses.add(Use::OldResponse);
            format!("HTTP/1.0 {} Fine\r\nX-Exchange: {number}\r\n", plan.status)
        } else {
            if w.rng.chance(64) {
                self.conn.outgoing.push(b"HTTP/1.1 103 Early Hints\r\n\r\n");
            }
            format!("HTTP/1.1 {} \r\nX-Exchange: {number}\r\n", plan.status)
        };
        if !plan.bodiless() || (plan.verb == Verb::Head && w.rng.chance(128)) {
            match frame {
                Frame::Length => head += &format!("Content-Length: {}\r\n", plan.answer.len),
                Frame::Chunked => head += "Transfer-Encoding: chunked\r\n",
                Frame::UntilClose => {}
            }
        }
        let until_close = frame == Frame::UntilClose && !plan.bodiless();
        let last = !whole || until_close || w.rng.chance(if old { 96 } else { 16 });
        match (old, last) {
            (true, false) => head += "Connection: keep-alive\r\n",
            (false, true) => head += "Connection: close\r\n",
            _ => {}
        }
        if last {
            self.conn.last = Some(Last::Clean);
        }
        head += "\r\n";
        self.conn.outgoing.push(head.as_bytes());
        if plan.bodiless() {
            return;
        }
        if until_close {
            w.uses.add(Use::UntilClose);
        }
        let mut len = plan.answer.fails_at.unwrap_or(plan.answer.len);
        let mut cut = plan.answer.fails_at.is_some();
        if plan.ending == Ending::Panic {
            (len, cut) = (len / 2, true);
        }
        // Nothing is missing then, and the client may have sent its next request.
        cut &= frame != Frame::Length || len < plan.answer.len;
        let mut body = framed(
            plan.id,
            &plan.answer,
            frame,
            Pattern::new(w.seed, plan.id, 1),
            len,
        );
        if cut {
            w.faults.add(Fault::Abort);
            if frame == Frame::Chunked && len == plan.answer.len {
                // Its last chunk is what is missing.
                body.truncate(body.len().saturating_sub(3));
            }
            self.conn.last = Some(match frame {
                Frame::UntilClose => Last::Reset,
                _ => Last::Cut,
            });
        }
        self.conn.outgoing.push(&body);
    }

    /// Ends the connection when it is time.
    fn end(&mut self, link: &mut Link, w: &mut Common) -> bool {
        let conn = &mut self.conn;
        let mut over = conn.incoming.reset || conn.outgoing.broken;
        if w.level == Level::Broken {
            let most = conn.moved.unwrap_or(w.now) + PATIENCE;
            over |= w.now >= most;
            w.wake_at(most);
        }
        if conn.outgoing.is_empty() {
            match conn.last {
                None => over |= conn.incoming.end,
                Some(Last::Cut) => over = true,
                Some(Last::Reset) => {
                    link.abort(SIDE, w.now, &mut w.faults);
                    conn.over = true;
                    return true;
                }
                Some(Last::Clean) => {
                    if !std::mem::replace(&mut conn.shut, true) {
                        link.shutdown(SIDE, w.now);
                        return true;
                    }
                    over |= conn.incoming.end;
                }
            }
        }
        if !over {
            return false;
        }
        w.note(format_args!("server ends"));
        link.close(SIDE, w.now, &mut w.faults);
        conn.over = true;
        true
    }

    /// The connection is over.
    pub(in crate::sim::machines) fn disconnected(&mut self) {
        self.conn = Conn::default();
    }
}
