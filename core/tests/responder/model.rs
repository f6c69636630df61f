//! Any calls in any order: a naive model says what each of them answers and what the client has to read in the end. The
//! actions go into a real `ServerConn`, whose bytes a real `ClientConn` reads.

use crate::cases::check_sized;
use antiphon_core::h1::*;
use antiphon_core::server::responder::*;
use antiphon_core::{Field, Fields, Headers, Instant, Status};
use quickcheck::{Arbitrary, Gen, TestResult};
use std::cell::Cell;
use std::sync::Arc;

const T0: Instant = Instant::ZERO;

#[derive(Clone, Copy, Debug)]
enum Call {
    SetStatus(u16),
    WriteHead(u16),
    Length(u64),
    Chunked,
    Inform(u16),
    Write(usize),
    WriteShared(usize),
    WriteTo(usize),
    Flush,
    Trailer,
    /// The driver goes on, and this much output leaves.
    Drive(u64),
    Finish,
    Fail,
    Abort,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    head: bool,
    http10: bool,
    send_buffer: usize,
    /// The driver carries out the actions itself, without `drive`.
    by_hand: bool,
}

impl Arbitrary for Settings {
    fn arbitrary(g: &mut Gen) -> Settings {
        Settings {
            head: *g.choose(&[false, false, true]).unwrap(),
            http10: *g.choose(&[false, false, true]).unwrap(),
            send_buffer: *g.choose(&[64, 300, 5000, 65_536]).unwrap(),
            by_hand: bool::arbitrary(g),
        }
    }
}

impl Arbitrary for Call {
    fn arbitrary(g: &mut Gen) -> Call {
        let status = *g
            .choose(&[200, 200, 200, 404, 500, 204, 205, 304, 103, 101, 999])
            .unwrap();
        let len = *g.choose(&[0, 1, 7, 500, 600, 2048, 2049, 10_000]).unwrap();
        match u8::arbitrary(g) % 32 {
            0 => Call::SetStatus(status),
            1 | 2 => Call::WriteHead(status),
            3 => Call::Length(*g.choose(&[0, 7, 14, 2048, 10_007]).unwrap()),
            4 => Call::Chunked,
            5 | 6 => Call::Inform(*g.choose(&[100, 102, 103, 103, 101, 200]).unwrap()),
            7..=12 => Call::Write(len),
            13 | 14 => Call::WriteShared(len),
            15 | 16 => Call::WriteTo(len),
            17..=19 => Call::Flush,
            20 | 21 => Call::Trailer,
            22..=28 => Call::Drive(*g.choose(&[0, 10, 1000, u64::MAX]).unwrap()),
            29 => Call::Finish,
            30 => *g.choose(&[Call::Fail, Call::Flush, Call::Flush]).unwrap(),
            _ => *g.choose(&[Call::Abort, Call::Flush, Call::Flush]).unwrap(),
        }
    }
}

const SORRY: &[u8] = b"Internal Server Error\n";

/// What the body's byte at this place is.
fn byte(at: u64) -> u8 {
    b'a' + (at % 23) as u8
}

fn bytes(from: u64, n: usize) -> Vec<u8> {
    (from..from + n as u64).map(byte).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Finished,
    Short,
    /// Given up; whether the head had left.
    Aborted(bool),
}

/// The rules, written down once more.
struct Model {
    settings: Settings,
    status: u16,
    length: Option<u64>,
    chunked: bool,
    frozen: bool,
    informed: Vec<u16>,
    written: u64,
    trailers: usize,
    replaced: bool,
    end: End,
}

impl Model {
    fn content(&self) -> bool {
        self.status >= 200 && ![204, 205, 304].contains(&self.status)
    }

    fn declared(&self) -> Option<u64> {
        self.length.filter(|_| self.content() && !self.chunked)
    }

    /// A failed handler's response is as if it had written another one.
    fn replace(&mut self) {
        self.status = 500;
        (self.length, self.chunked, self.trailers) = (None, false, 0);
        (self.written, self.replaced) = (SORRY.len() as u64, true);
        (self.frozen, self.end) = (true, End::Finished);
    }

    fn body(&self) -> Vec<u8> {
        match self.replaced {
            true => SORRY.to_vec(),
            false => bytes(0, self.written as usize),
        }
    }

    fn before_head(&self) -> Result<(), RespondError> {
        match (self.end, self.frozen) {
            (End::Open, false) => Ok(()),
            (End::Open, true) => Err(RespondError::HeadWritten),
            _ => Err(RespondError::Ended),
        }
    }

    /// What a write of `n` bytes must be answered, room aside.
    fn write(&mut self, n: usize) -> Result<(), RespondError> {
        if self.end != End::Open {
            return Err(RespondError::Ended);
        }
        self.frozen = true;
        match self.declared() {
            _ if n == 0 => Ok(()),
            _ if !self.content() => Err(RespondError::BodyNotAllowed {
                status: Status::new(self.status).unwrap(),
            }),
            Some(declared) if self.written + n as u64 > declared => Err(RespondError::TooLong { declared }),
            _ => Ok(()),
        }
    }

    fn status(&mut self, code: u16, write: bool) -> Result<(), RespondError> {
        if code < 200 && !(write && code == 101) {
            return Err(RespondError::NotFinal);
        }
        match self.before_head() {
            Ok(()) if code == 101 => Err(RespondError::NoSwitchProposed),
            Ok(()) => {
                self.status = code;
                self.frozen = write;
                Ok(())
            }
            Err(RespondError::HeadWritten) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// What the client has read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    interim: Vec<u16>,
    status: Option<u16>,
    body: Vec<u8>,
    trailers: usize,
    complete: bool,
}

struct World {
    conn: ServerConn,
    id: ExchangeId,
    response: Responder,
    by_hand: bool,
    wire: Vec<u8>,
    heads: usize,
}

impl World {
    fn new(settings: Settings) -> World {
        let mut config = ServerConfig::DEFAULT;
        config.limits.send_buffer = settings.send_buffer;
        let mut conn = ServerConn::new(Arc::new(config), T0);
        let method = if settings.head { "HEAD" } else { "GET" };
        let minor = u8::from(!settings.http10);
        conn.received_copy(
            format!("{method} / HTTP/1.{minor}\r\nHost: a\r\n\r\n").as_bytes(),
            T0,
        );
        let Ok(Some(ServerEvent::Request { id, proposes, .. })) = conn.next_event() else {
            panic!("no request");
        };
        let head = conn.head(id).unwrap();
        let facts = RequestFacts::new(head.method(), head.version(), proposes);
        World {
            response: Responder::new(facts, ResponderConfig::DEFAULT),
            conn,
            id,
            by_hand: settings.by_hand,
            wire: Vec::new(),
            heads: 0,
        }
    }

    fn drive(&mut self) -> Progress {
        let date = Field::from_static("Date", "now");
        if !self.by_hand {
            return self
                .response
                .drive(&mut self.conn, self.id, Some(date))
                .expect("the connection takes what is to be done");
        }
        loop {
            let done = match self.response.action() {
                Action::Wait => return Progress::Waiting,
                Action::Over => return Progress::Over,
                Action::Interim { status, fields } => {
                    assert_eq!(self.heads, 0, "an interim response behind the head");
                    self.conn.send_interim(self.id, status, fields)
                }
                Action::Head(head) => {
                    self.heads += 1;
                    let fields = head.fields(Some(date));
                    self.conn.send_head(self.id, head.status(), &fields, head.body())
                }
                Action::Body(content) => {
                    // One byte at a time now and then: reports may be partial.
                    let all = content.as_slice();
                    let some = &all[..if self.wire.len().is_multiple_of(3) {
                        1
                    } else {
                        all.len()
                    }];
                    match self.conn.send_body_copy(self.id, some) {
                        Ok(n) => {
                            self.response.sent(n).expect("no more than there was");
                            continue;
                        }
                        Err(e) => Err(e),
                    }
                }
                Action::Finish { trailers } => self.conn.finish(self.id, trailers),
                Action::Abort(_) => self.conn.abort(self.id),
            };
            match done {
                Ok(()) => self.response.done(),
                Err(Misuse::Full) => return Progress::Full,
                Err(e) => panic!("{e:?}"),
            }
        }
    }

    fn leave(&mut self, most: u64) {
        let mut left = most;
        while self.conn.wants().write && left > 0 {
            let first = self.conn.outgoing().first();
            let n = (first.len() as u64).min(left);
            self.wire.extend_from_slice(&first[..n as usize]);
            self.conn.sent(n, T0).unwrap();
            left -= n;
        }
    }

    /// Everything leaves, and a client reads it.
    fn read(&mut self, head: bool) -> Read {
        while self.drive() == Progress::Full {
            self.leave(u64::MAX);
        }
        self.leave(u64::MAX);
        assert!(self.response.is_over());
        while self.conn.next_event().is_ok_and(|e| e.is_some()) {}
        let finish = self.conn.wants().finish;

        let mut client = ClientConn::new(Arc::new(ClientConfig::DEFAULT), T0);
        let host = [Field::from_static("host", "a")];
        let method = if head { "HEAD" } else { "GET" };
        let id = client.send_request(method, "/", &host, BodyLen::None).unwrap();
        while client.wants().write {
            let n = client.outgoing().first().len() as u64;
            client.sent(n, T0).unwrap();
        }
        let mut read = Read::default();
        let mut unread = &self.wire[..];
        loop {
            let n = client.received_copy(unread, T0);
            unread = &unread[n..];
            if unread.is_empty() {
                match finish {
                    Finish::No => {}
                    Finish::Reset => client.read_failed(T0),
                    _ => client.received_eof(T0),
                }
            }
            loop {
                match client.next_event() {
                    Ok(Some(ClientEvent::Interim { status, .. })) => read.interim.push(status.code()),
                    Ok(Some(ClientEvent::Response { .. })) => {
                        assert_eq!(read.status, None, "two heads");
                        read.status = Some(client.head(id).unwrap().status().code());
                    }
                    Ok(Some(ClientEvent::Body { .. })) => {
                        read.body.extend_from_slice(client.body());
                        let n = client.body().len();
                        client.consume(n).unwrap();
                    }
                    Ok(Some(ClientEvent::BodyEnd { .. })) => {
                        read.trailers = client.trailers(id).map_or(0, Fields::len);
                        read.complete = true;
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(e) => {
                        assert_eq!(e.kind(), PeerErrorKind::UnexpectedEof);
                        assert_ne!(finish, Finish::No, "the client waits for more");
                        return read;
                    }
                }
            }
            if unread.is_empty() {
                return read;
            }
        }
    }
}

/// How many cases came to each end.
#[derive(Default)]
struct Reached {
    ends: Cell<[u32; 4]>,
    replaced: Cell<u32>,
    long: Cell<u32>,
    trailers: Cell<u32>,
}

fn run(settings: Settings, calls: &[Call], reached: &Reached) -> Result<(), String> {
    let mut w = World::new(settings);
    let mut m = Model {
        settings,
        status: 200,
        length: None,
        chunked: false,
        frozen: false,
        informed: Vec::new(),
        written: 0,
        trailers: 0,
        replaced: false,
        end: End::Open,
    };
    for &call in calls.iter().chain(&[Call::Finish]) {
        let (told, due) = step(call, &mut w, &mut m);
        if told != due {
            return Err(format!("{call:?}: {told:?}, and {due:?} by the rules"));
        }
        if w.response.written() != m.written {
            return Err(format!("{call:?}: {} written", w.response.written()));
        }
    }
    let read = w.read(settings.head);
    judge(&m, &read)?;
    let mut ends = reached.ends.get();
    ends[match m.end {
        End::Open => unreachable!("a finish is the last call"),
        End::Finished => 0,
        End::Short => 1,
        End::Aborted(false) => 2,
        End::Aborted(true) => 3,
    }] += 1;
    reached.ends.set(ends);
    reached
        .replaced
        .set(reached.replaced.get() + u32::from(m.replaced));
    reached
        .long
        .set(reached.long.get() + u32::from(read.body.len() > 2048));
    reached
        .trailers
        .set(reached.trailers.get() + u32::from(read.trailers > 0));
    Ok(())
}

/// Makes the call, and says what it answered and what it should have.
fn step(call: Call, w: &mut World, m: &mut Model) -> (Result<(), RespondError>, Result<(), RespondError>) {
    let status = |code| Status::new(code).unwrap();
    match call {
        Call::SetStatus(code) => (w.response.set_status(status(code)), m.status(code, false)),
        Call::WriteHead(code) => (w.response.write_head(status(code)), m.status(code, true)),
        Call::Length(n) => {
            let due = m.before_head();
            m.length = if due.is_ok() { Some(n) } else { m.length };
            let told = w.response.fields_mut().map(|f| {
                f.set("Content-Length", n.to_string()).unwrap();
            });
            (told, due)
        }
        Call::Chunked => {
            let due = m.before_head();
            m.chunked |= due.is_ok();
            let told = w.response.fields_mut().map(|f| {
                f.set("Transfer-Encoding", "chunked").unwrap();
            });
            (told, due)
        }
        Call::Inform(code) => {
            let mut due = m.before_head();
            if code >= 200 || code == 101 {
                due = Err(RespondError::NotInterim);
            } else if due.is_ok() && matches!(w.response.action(), Action::Interim { .. }) {
                due = Err(RespondError::Full);
            }
            if due.is_ok() {
                m.informed.push(code);
            }
            (w.response.inform(status(code), Headers::new()), due)
        }
        Call::Write(n) | Call::WriteTo(n) => {
            let due = m.write(n);
            let all = bytes(m.written, n);
            let told = if let Call::Write(_) = call {
                w.response.write(&all)
            } else {
                match w.response.write_to(&mut w.conn, w.id, &all, None) {
                    Ok(taken) => Ok(taken),
                    Err(WriteError::Refused(e)) => Err(e),
                    Err(WriteError::Connection(e)) => panic!("{e:?}"),
                }
            };
            m.written += told.unwrap_or(0) as u64;
            (told.map(drop), due)
        }
        Call::WriteShared(n) => {
            let due = m.write(n);
            let told = w.response.write_bytes(bytes(m.written, n).into());
            if told == Ok(()) {
                m.written += n as u64;
            }
            // Only something that is waiting to be sent makes it full.
            let waits = !matches!(w.response.action(), Action::Wait);
            if told == Err(RespondError::Full) && due.is_ok() && waits {
                (Ok(()), Ok(()))
            } else {
                (told, due)
            }
        }
        Call::Flush => (w.response.flush(), m.write(0)),
        Call::Trailer => {
            let open = m.end == End::Open;
            m.trailers += usize::from(open);
            let due = if open { Ok(()) } else { Err(RespondError::Ended) };
            (w.response.trailer("X-Sum", "1"), due)
        }
        Call::Drive(most) => {
            w.drive();
            w.leave(most);
            (Ok(()), Ok(()))
        }
        Call::Finish => {
            let due = m.write(0);
            if due.is_ok() {
                let short = m.declared().is_some_and(|n| n > m.written) && !m.settings.head;
                m.end = if short { End::Short } else { End::Finished };
            }
            (w.response.finish(), due)
        }
        Call::Fail | Call::Abort => {
            let over = w.response.is_over();
            let begun = !w.response.can_replace();
            // An interim response that has not been sent is given up as well.
            let unsent = matches!(w.response.action(), Action::Interim { .. });
            if unsent {
                m.informed.pop();
            }
            match call {
                Call::Fail => {
                    let replaced = w.response.fail(false);
                    assert_eq!(replaced, !begun && !over);
                    if replaced {
                        m.replace();
                    } else if !over {
                        m.end = End::Aborted(begun);
                    }
                }
                _ => {
                    w.response.abort(AbortReason::Handler);
                    m.end = if over { m.end } else { End::Aborted(begun) };
                }
            }
            (Ok(()), Ok(()))
        }
    }
}

fn judge(m: &Model, read: &Read) -> Result<(), String> {
    let content = m.content() && !m.settings.head;
    let body = if content { m.body() } else { Vec::new() };
    let mut due = Read {
        interim: if m.settings.http10 {
            Vec::new()
        } else {
            m.informed.clone()
        },
        status: Some(m.status),
        body: body.clone(),
        trailers: 0,
        complete: true,
    };
    match m.end {
        End::Open => {}
        End::Finished => {
            let place = content && m.declared().is_none() && !m.settings.http10;
            due.trailers = if place { m.trailers } else { 0 };
        }
        End::Short => due.complete = false,
        End::Aborted(false) => (due.status, due.body, due.complete) = (None, Vec::new(), false),
        End::Aborted(true) => {
            // Somewhere in the body.
            if !body.starts_with(&read.body) {
                return Err(format!("not the beginning of what was written: {read:?}"));
            }
            due.body = read.body.clone();
            due.complete = !content || (m.declared() == Some(m.written) && read.body == body);
        }
    }
    if *read != due {
        return Err(format!("the client read {read:?}, and {due:?} was written"));
    }
    Ok(())
}

#[test]
fn what_is_written_is_what_the_client_reads() {
    let reached = Reached::default();
    let counts: &'static Reached = Box::leak(Box::new(reached));
    thread_local!(static REACHED: Cell<Option<&'static Reached>> = const { Cell::new(None) });
    REACHED.set(Some(counts));
    fn property(settings: Settings, calls: Vec<Call>) -> TestResult {
        match run(settings, &calls, REACHED.get().expect("set before")) {
            Ok(()) => TestResult::passed(),
            Err(e) => TestResult::error(e),
        }
    }
    check_sized(25, 3000, property as fn(Settings, Vec<Call>) -> TestResult);
    for (n, what) in counts
        .ends
        .get()
        .into_iter()
        .zip(["finished", "short", "unsent", "cut"])
    {
        assert!(counts.replaced.get() > 20, "{} replaced", counts.replaced.get());
        assert!(n > 20, "{what}: {n} cases");
    }
    assert!(counts.long.get() > 100, "{} long bodies", counts.long.get());
    assert!(
        counts.trailers.get() > 100,
        "{} with trailers",
        counts.trailers.get()
    );
}
