//! A server's driver and application in one: see the parent module.

use super::{
    End, Pace, Seen, Sending, Story, body_bytes, fields_text, seen, size, slices, table_io, take_outgoing,
};
use crate::harness::Piece;
use crate::harness::order::Order;
use antiphon_core::h1::{
    BodyLen, Buffer, Deadline, DeadlineKind, ExchangeId, Finish, Misuse, PeerError, RequestHead, Reuse,
    ServerConfig, ServerConn, ServerEvent, Switch,
};
use antiphon_core::{Field, Fields, Instant, Status};
use std::sync::Arc;
use std::time::Duration;

/// When a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As soon as the head is there; the body is not looked at.
    Head,
    /// After the body's end.
    BodyEnd,
}

/// How a request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// When.
    pub(crate) when: When,
    /// With which status (200..=999). A proposed switch is accepted if `accept` says so.
    pub(crate) status: u16,
    /// Whether a proposed switch is accepted.
    pub(crate) accept: bool,
    /// Interim responses (103) before it.
    pub(crate) interim: usize,
    /// Whether it says `Connection: close`.
    pub(crate) close: bool,
    /// The body.
    pub(crate) body: Sending,
}

impl Reply {
    /// 200 without a body, after the request's body.
    pub(crate) fn plain() -> Reply {
        Reply {
            when: When::BodyEnd,
            status: 200,
            accept: false,
            interim: 0,
            close: false,
            body: Sending::nothing(),
        }
    }
}

/// What comes in and how it is met.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    /// The connection's settings.
    pub(crate) config: &'a Arc<ServerConfig>,
    /// Every byte the client sends.
    pub(crate) wire: &'a [u8],
    /// What follows them.
    pub(crate) end: End,
    /// The answers, used round and round; `Reply::plain` if there are none.
    pub(crate) replies: &'a [Reply],
}

/// Plays `run` at `pace`.
pub(crate) fn play(run: &Run<'_>, pace: &Pace) -> Story {
    let mut table = Table::new(run, pace);
    // Every turn takes a byte in or out, an event or a deadline; this is far beyond what those can add up to.
    for _ in 0..64 * run.wire.len() + 1_000_000 {
        if !table.turn() {
            return table.story;
        }
    }
    panic!("no end in sight: {:?}\n{:?}", table.conn.wants(), table.story);
}

/// The application's part in the open exchange.
struct Open {
    id: ExchangeId,
    reply: Reply,
    switch: Switch,
    /// The length of the request's body, if it is known, and how many body bytes were read before it.
    length: Option<u64>,
    read_before: u64,
    phase: Phase,
    /// The piece that comes next and the body bytes before it.
    piece: usize,
    before: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The request's body is being read.
    Reading,
    /// The head may be sent.
    Head,
    Body,
    Done,
}

struct Table<'a> {
    run: &'a Run<'a>,
    pace: &'a Pace,
    conn: ServerConn,
    now: Instant,
    story: Story,
    fed: usize,
    ended: bool,
    answered: usize,
    open: Option<Open>,
    error: Option<PeerError>,
    order: Order,
    spare: Option<Buffer>,
    shut: bool,
    turns: [usize; 3],
}

impl<'a> Table<'a> {
    fn new(run: &'a Run<'a>, pace: &'a Pace) -> Table<'a> {
        Table {
            run,
            pace,
            conn: ServerConn::new(Arc::clone(run.config), Instant::ZERO),
            now: Instant::ZERO,
            story: Story::default(),
            fed: 0,
            ended: false,
            answered: 0,
            open: None,
            error: None,
            order: Order::default(),
            spare: None,
            shut: false,
            turns: [0; 3],
        }
    }

    /// One step of everything; false when the connection is over.
    fn turn(&mut self) -> bool {
        let mut moved = self.events();
        moved |= self.answer();
        moved |= self.write();
        moved |= self.read();
        self.reclaim();
        self.check_bounds();
        let wants = self.conn.wants();
        if !wants.write {
            match wants.finish {
                Finish::No => {}
                Finish::Close | Finish::Reset => {
                    self.events();
                    return false;
                }
                Finish::ShutdownWrite if !self.shut => {
                    self.shut = true;
                    self.conn.write_shut(self.now);
                    moved = true;
                }
                Finish::ShutdownWrite => panic!("write_shut was called, and is asked for again"),
                Finish::Detach => {
                    self.detach();
                    return false;
                }
            }
        }
        moved || self.idle()
    }

    /// Nothing moved: the input ends, or time does.
    fn idle(&mut self) -> bool {
        let wants = self.conn.wants();
        if wants.read && !self.ended && self.fed == self.run.wire.len() && self.run.end != End::Silence {
            self.ended = true;
            match self.run.end {
                End::Eof => self.conn.received_eof(self.now),
                _ => self.conn.read_failed(self.now),
            }
            return true;
        }
        // Invariant 4: nothing wanted and no deadline means that the application owes a call.
        match self.conn.deadline(self.now) {
            Some(deadline) => {
                self.wait(deadline);
                true
            }
            None => panic!("stuck: {wants:?}, no deadline\n{:?}", self.story),
        }
    }

    fn seen(&self) -> Seen {
        seen!(self.conn)
    }

    fn events(&mut self) -> bool {
        let mut moved = false;
        loop {
            match self.conn.next_event() {
                Ok(Some(event)) => {
                    assert!(self.error.is_none(), "{event:?} after {:?}", self.error);
                    self.order.server(event);
                    self.on_event(event);
                    moved = true;
                }
                Ok(None) => {
                    // Invariant 3.
                    let before = self.seen();
                    let deadline = self.conn.deadline(self.now);
                    assert_eq!(self.conn.next_event(), Ok(None), "None twice without input");
                    assert_eq!(before, self.seen(), "None changes nothing");
                    assert_eq!(deadline, self.conn.deadline(self.now), "deadline is pure");
                    assert!(self.error.is_none(), "None after {:?}", self.error);
                    return moved;
                }
                Err(error) => {
                    assert_eq!(self.conn.next_event(), Err(error), "an error is sticky");
                    assert!(
                        self.error.is_none_or(|e| e == error),
                        "{error:?} after {:?}",
                        self.error
                    );
                    if self.error.is_none() {
                        self.error = Some(error);
                        self.order.failed();
                        self.open = None;
                        self.story
                            .line(format!("error {:?} at {}", error.kind(), error.offset()));
                        moved = true;
                    }
                    return moved;
                }
            }
        }
    }

    fn on_event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Request {
                id,
                body,
                expects_continue,
                proposes,
            } => {
                assert!(self.open.is_none(), "one exchange at a time\n{:?}", self.story);
                let head = self.conn.head(id).expect("a head comes with the event");
                self.story.line(format!(
                    "{}; {body:?}, continue {expects_continue}, {proposes:?}",
                    head_text(head)
                ));
                if self.pace.ways.take_head {
                    let text = head_text(head);
                    let taken = self.conn.take_head(id);
                    assert_eq!(taken.as_request().map(head_text), Some(text));
                    assert!(self.conn.head(id).is_err(), "the head was taken");
                    self.conn.recycle(taken);
                }
                let replies = self.run.replies;
                let reply = match replies.len() {
                    0 => Reply::plain(),
                    n => replies[self.answered % n].clone(),
                };
                self.answered += 1;
                let mut phase = Phase::Head;
                if reply.when == When::BodyEnd && body != BodyLen::None {
                    self.conn.want_body(id);
                    phase = Phase::Reading;
                }
                self.open = Some(Open {
                    id,
                    reply,
                    switch: proposes,
                    length: known(body),
                    read_before: self.story.read,
                    phase,
                    piece: 0,
                    before: 0,
                });
                self.answer();
            }
            ServerEvent::Body { id } => {
                let Some(open) = self.open.as_ref().filter(|o| o.id == id) else {
                    panic!("a body without an exchange");
                };
                if open.phase != Phase::Reading {
                    return; // It answers early and does not look.
                }
                self.eat();
            }
            ServerEvent::BodyEnd { id } => {
                let Some(open) = self.open.as_mut().filter(|o| o.id == id) else {
                    panic!("a body's end without an exchange");
                };
                if open.phase == Phase::Reading {
                    open.phase = Phase::Head;
                    let read = self.story.read - open.read_before;
                    assert!(
                        open.length.is_none_or(|n| n == read),
                        "the body ends after {read} bytes of {:?}",
                        open.length
                    );
                    let trailers = self.conn.trailers(id).map(fields_text).unwrap_or_default();
                    self.story.line(format!("body end{trailers}"));
                }
            }
            ServerEvent::ExchangeEnd { id, reuse } => {
                let open = self.open.take();
                assert!(
                    open.is_some_and(|o| o.id == id),
                    "the end of an exchange that is not open"
                );
                self.story.line(format!("exchange end, {reuse:?}"));
                assert!(
                    self.conn.head(id).is_err(),
                    "the head's view ends with the exchange"
                );
                if reuse == Reuse::KeepAlive {
                    assert_eq!(self.conn.wants().finish, Finish::No);
                }
            }
            ServerEvent::Rejected { id, error } => {
                self.story
                    .line(format!("rejected {:?} at {}", error.kind(), error.offset()));
                let status = error.status_hint().unwrap_or(Status::BAD_REQUEST);
                let reply = Reply {
                    when: When::Head,
                    status: status.code(),
                    ..Reply::plain()
                };
                self.open = Some(Open {
                    id,
                    reply,
                    switch: Switch::None,
                    length: None,
                    read_before: self.story.read,
                    phase: Phase::Head,
                    piece: 0,
                    before: 0,
                });
            }
            ServerEvent::Timeout { why, .. } => self.story.line(format!("timeout {why:?}")),
            ServerEvent::PeerHalfClosed => self.story.line("half-closed".into()),
            ServerEvent::PeerGone => self.story.line("gone".into()),
            other => panic!("an event that this harness does not know: {other:?}"),
        }
    }

    /// Sends as much of the answer as there is room for.
    fn answer(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        let (conn, id) = (&mut self.conn, open.id);
        let mut moved = false;
        if open.phase == Phase::Head {
            const HINT: [Field<'static>; 1] = [Field::from_static("link", "</style.css>; rel=preload")];
            while open.reply.interim > 0 {
                match conn.send_interim(id, Status::EARLY_HINTS, &HINT) {
                    Err(Misuse::Full) => return moved,
                    // Whatever else is wrong comes to light with the head.
                    _ => open.reply.interim -= 1,
                }
                moved = true;
            }
            if send_head(conn, open) == Err(Misuse::Full) {
                return moved;
            }
            open.phase = Phase::Body;
            moved = true;
        }
        while open.phase == Phase::Body {
            let Some(&piece) = open.reply.body.pieces.get(open.piece) else {
                const TRAILERS: [Field<'static>; 1] = [Field::from_static("x-sum", "12345")];
                let with = open.reply.body.trailers && !open.reply.body.sized;
                let done = if with {
                    conn.finish(id, &TRAILERS)
                } else {
                    conn.finish(id, &Fields::EMPTY)
                };
                match done {
                    Ok(()) | Err(Misuse::BodyFinished | Misuse::UnknownExchange | Misuse::Closed) => {
                        open.phase = Phase::Done;
                        moved = true;
                    }
                    // To an HTTP/1.0 client a body is not chunked, so that no trailers can follow.
                    Err(Misuse::TrailersNeedChunked) => open.reply.body.trailers = false,
                    Err(Misuse::Full) => break,
                    Err(other) => panic!("finish: {other:?}"),
                }
                continue;
            };
            match send_piece(conn, id, piece, open.before) {
                Ok(()) => {
                    open.piece += 1;
                    open.before += piece.len();
                    moved = true;
                }
                Err(Misuse::Full) => break,
                // The exchange is over on the machine's side (the client is gone, a deadline passed).
                Err(Misuse::BodyFinished | Misuse::UnknownExchange | Misuse::Closed) => {
                    open.phase = Phase::Done
                }
                Err(other) => panic!("{piece:?}: {other:?}"),
            }
        }
        moved
    }

    table_io!();

    /// Whether the application reads a body, and past the machine if it can.
    fn reads_body(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.phase == Phase::Reading)
    }

    fn read(&mut self) -> bool {
        let rest = &self.run.wire[self.fed..];
        if !self.conn.wants().read || rest.is_empty() || self.ended {
            return false;
        }
        self.fed += self.read_from(rest);
        true
    }

    /// Invariant 8, as far as it can be seen from outside.
    fn check_bounds(&mut self) {
        let limits = &self.run.config.limits;
        let input = limits
            .head
            .max(limits.recv_buffer)
            .max(limits.recv_buffer_max)
            .max(limits.trailers);
        assert!(
            self.conn.body().len() <= input,
            "{} body bytes are buffered",
            self.conn.body().len()
        );
        let queued: usize = slices(&self.conn.outgoing()).iter().map(|s| s.len()).sum();
        let shared = |r: &Reply| r.body.pieces.iter().map(|p| p.len()).max().unwrap_or(0) as usize;
        let largest = self.run.replies.iter().map(shared).max().unwrap_or(0);
        let bound = limits.send_buffer + largest + 1024;
        assert!(queued <= bound, "{queued} bytes are queued, {bound} allowed");
        if self.conn.wants().read && !self.conn.needs_buffer() {
            let space = self.conn.recv_space().len();
            assert!(space <= input, "{space} bytes of room, {input} allowed");
        }
    }

    /// Invariant 10 at a switch: every byte that belongs to the next protocol comes out.
    fn detach(&mut self) {
        let config = Arc::clone(self.run.config);
        let conn = std::mem::replace(&mut self.conn, ServerConn::new(config, self.now));
        let parts = conn.into_parts();
        assert!(
            parts.unsent.is_empty(),
            "unsent bytes at a switch: \"{}\"",
            parts.unsent.escape_ascii()
        );
        let mut left = parts.unread.to_vec();
        left.extend_from_slice(&self.run.wire[self.fed..]);
        self.story
            .line(format!("switched, then \"{}\"", left.escape_ascii()));
    }
}

fn known(body: BodyLen) -> Option<u64> {
    match body {
        BodyLen::None => Some(0),
        BodyLen::Known(n) => Some(n),
        BodyLen::Unknown => None,
    }
}

fn head_text(head: RequestHead<'_>) -> String {
    let (method, target) = (head.method(), head.target_bytes().escape_ascii());
    format!(
        "request {method} {target} {:?}{}",
        head.version(),
        fields_text(head.fields())
    )
}

fn send_head(conn: &mut ServerConn, open: &mut Open) -> Result<(), Misuse> {
    const PLAIN: Field<'static> = Field::from_static("content-type", "text/plain");
    const CLOSE: Field<'static> = Field::from_static("connection", "close");
    const SWITCH: Field<'static> = Field::from_static("upgrade", "echo");
    let id = open.id;
    let switched = match open.switch {
        Switch::Upgrade if open.reply.accept => {
            Some(conn.send_head(id, Status::SWITCHING_PROTOCOLS, &[SWITCH], BodyLen::None))
        }
        Switch::Connect if open.reply.accept => Some(conn.send_head(id, Status::OK, &[PLAIN], BodyLen::None)),
        _ => None,
    };
    let result = switched.unwrap_or_else(|| {
        // A 2xx would accept the tunnel.
        let refused = open.switch == Switch::Connect && (200..300).contains(&open.reply.status);
        let code = if refused { 403 } else { open.reply.status };
        let status = Status::new(code).expect("a status of the script");
        let fields = if open.reply.close {
            &[PLAIN, CLOSE][..]
        } else {
            &[PLAIN][..]
        };
        conn.send_head(id, status, fields, open.reply.body.len())
    });
    if open.reply.accept && open.switch != Switch::None {
        open.reply.body = Sending::nothing();
    }
    match result {
        Err(Misuse::Full) => result,
        Ok(()) | Err(Misuse::UnknownExchange | Misuse::Closed | Misuse::HeadAlreadySent) => Ok(()),
        Err(other) => panic!("send_head: {other:?}"),
    }
}

fn send_piece(conn: &mut ServerConn, id: ExchangeId, piece: Piece, before: u64) -> Result<(), Misuse> {
    match piece {
        Piece::Shared(n) => conn.send_body(id, body_bytes(before, n).into()),
        // Only when it fits whole: a copy in two parts would be two chunks.
        Piece::Copied(n) if conn.send_capacity(id) < n => Err(Misuse::Full),
        Piece::Copied(n) => conn
            .send_body_copy(id, &body_bytes(before, n))
            .map(|sent| assert_eq!(sent, n)),
        Piece::External(n) => conn.send_external(id, n),
    }
}
