//! A client's driver and application in one: see the parent module.

use super::{
    End, Pace, Piece, Seen, Sending, Story, body_bytes, fields_text, seen, size, slices, table_io,
    take_outgoing,
};
use crate::harness::order::Order;
use antiphon_core::h1::{
    BodyLen, Buffer, ClientConfig, ClientConn, ClientEvent, CloseReason, Deadline, DeadlineKind, ExchangeId,
    Finish, Misuse, PeerError, ResponseHead, Reuse,
};
use antiphon_core::{Field, Instant};
use std::sync::Arc;
use std::time::Duration;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The method; `CONNECT` is sent with an authority as its target.
    pub(crate) method: &'static str,
    /// Whether it waits for `100 Continue`.
    pub(crate) expect: bool,
    /// Whether it proposes an upgrade.
    pub(crate) upgrade: bool,
    /// Whether it says `Connection: close`.
    pub(crate) close: bool,
    /// Whether the body's last piece is held back until the response has ended.
    pub(crate) hold: bool,
    /// The body.
    pub(crate) body: Sending,
}

impl Ask {
    /// A GET.
    pub(crate) fn plain() -> Ask {
        Ask {
            method: "GET",
            expect: false,
            upgrade: false,
            close: false,
            hold: false,
            body: Sending::nothing(),
        }
    }
}

/// What is asked and what comes back.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    /// The connection's settings.
    pub(crate) config: &'a Arc<ClientConfig>,
    /// The requests, each with every byte that the server sends for it. No byte of a response is read before its
    /// request was written: what comes earlier is unsolicited, and when that is noticed depends on the clock.
    pub(crate) exchanges: &'a [(Ask, Vec<u8>)],
    /// What follows the last response, or an early end.
    pub(crate) end: End,
}

/// Plays `run` at `pace`. The story ends early at bytes that are left over after a response.
pub(crate) fn play(run: &Run<'_>, pace: &Pace) -> Story {
    let mut table = Table::new(run, pace);
    let bytes: usize = run.exchanges.iter().map(|(_, wire)| wire.len()).sum();
    for _ in 0..64 * bytes + 1_000_000 {
        if !table.turn() {
            return table.story;
        }
    }
    panic!("no end in sight: {:?}\n{:?}", table.conn.wants(), table.story);
}

struct Open {
    id: ExchangeId,
    ask: Ask,
    /// The length of the response's body, if it is known, and how many body bytes were read before it.
    length: Option<u64>,
    read_before: u64,
    /// The body may be sent.
    may_send: bool,
    piece: usize,
    before: u64,
    finished: bool,
}

struct Table<'a> {
    run: &'a Run<'a>,
    pace: &'a Pace,
    conn: ClientConn,
    now: Instant,
    story: Story,
    /// Requests sent so far, and bytes of the last one's response that were read.
    asked: usize,
    fed: usize,
    ended: bool,
    over: bool,
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
            conn: ClientConn::new(Arc::clone(run.config), Instant::ZERO),
            now: Instant::ZERO,
            story: Story::default(),
            asked: 0,
            fed: 0,
            ended: false,
            over: false,
            open: None,
            error: None,
            order: Order::default(),
            spare: None,
            shut: false,
            turns: [0; 3],
        }
    }

    fn turn(&mut self) -> bool {
        let mut moved = self.events();
        if self.over {
            return false;
        }
        moved |= self.ask();
        moved |= self.send();
        moved |= self.write();
        // A response is read once its request is written, as far as it will be.
        moved |= !moved && self.read();
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

    fn response(&self) -> &'a [u8] {
        match self.asked {
            0 => &[],
            n => &self.run.exchanges[n - 1].1[self.fed..],
        }
    }

    fn idle(&mut self) -> bool {
        let wants = self.conn.wants();
        if wants.read && !self.ended && self.response().is_empty() && self.run.end != End::Silence {
            self.ended = true;
            match self.run.end {
                End::Eof => self.conn.received_eof(self.now),
                _ => self.conn.read_failed(self.now),
            }
            return true;
        }
        match self.conn.deadline(self.now) {
            Some(deadline) => {
                self.wait(deadline);
                true
            }
            // A client may wait for a response as long as its caller likes.
            None if self.run.end == End::Silence && wants.read => false,
            None => panic!("stuck: {wants:?}, no deadline\n{:?}", self.story),
        }
    }

    fn seen(&self) -> Seen {
        seen!(self.conn)
    }

    /// Sends the next request once the connection takes one.
    fn ask(&mut self) -> bool {
        if self.open.is_some() || !self.conn.can_send() || self.asked == self.run.exchanges.len() {
            return false;
        }
        const HOST: Field<'static> = Field::from_static("host", "example.com");
        const EXPECT: Field<'static> = Field::from_static("expect", "100-continue");
        const CLOSE: Field<'static> = Field::from_static("connection", "close");
        const UPGRADE: Field<'static> = Field::from_static("upgrade", "echo");
        const OPTION: Field<'static> = Field::from_static("connection", "upgrade");
        let ask = self.run.exchanges[self.asked].0.clone();
        let mut fields = vec![HOST];
        fields.extend(ask.expect.then_some(EXPECT));
        fields.extend(ask.close.then_some(CLOSE));
        fields.extend(ask.upgrade.then_some([UPGRADE, OPTION]).into_iter().flatten());
        let target = if ask.method == "CONNECT" {
            "example.com:443"
        } else {
            "/a?b"
        };
        let len = ask.body.len();
        match self.conn.send_request(ask.method, target, fields.as_slice(), len) {
            Ok(id) => {
                self.order.asked(id);
                let finished = len == BodyLen::None;
                let may_send = !(ask.expect && self.run.config.timeouts.continue_wait.is_some());
                self.open = Some(Open {
                    id,
                    ask,
                    length: None,
                    read_before: self.story.read,
                    may_send,
                    piece: 0,
                    before: 0,
                    finished,
                });
                self.asked += 1;
                self.fed = 0;
                true
            }
            Err(Misuse::Full) => false,
            Err(other) => panic!("send_request {ask:?}: {other:?}"),
        }
    }

    fn send(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        let mut moved = false;
        while open.may_send && !open.finished {
            if open.ask.hold && open.piece + 1 >= open.ask.body.pieces.len() {
                break;
            }
            let result = match open.ask.body.pieces.get(open.piece) {
                Some(&piece) => send_piece(&mut self.conn, open.id, piece, open.before).map(|()| {
                    open.piece += 1;
                    open.before += piece.len();
                }),
                None => {
                    const TRAILERS: [Field<'static>; 1] = [Field::from_static("x-sum", "12345")];
                    let with = open.ask.body.trailers && !open.ask.body.sized;
                    let fields = if with { &TRAILERS[..] } else { &[] };
                    self.conn.finish(open.id, fields).map(|()| open.finished = true)
                }
            };
            match result {
                Ok(()) => moved = true,
                Err(Misuse::Full) => break,
                // The exchange is over on the machine's side, or the response made it wait no longer.
                Err(Misuse::BodyFinished | Misuse::UnknownExchange | Misuse::Closed) => open.finished = true,
                Err(Misuse::AwaitingContinue) => break,
                Err(other) => panic!("{:?}: {other:?}", open.ask),
            }
        }
        moved
    }

    fn events(&mut self) -> bool {
        let mut moved = false;
        while !self.over {
            match self.conn.next_event() {
                Ok(Some(event)) => {
                    assert!(self.error.is_none(), "{event:?} after {:?}", self.error);
                    self.order.client(event);
                    self.on_event(event);
                    moved = true;
                }
                Ok(None) => {
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
        moved
    }

    fn on_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Interim { id, status } => {
                let fields = fields_text(
                    self.conn
                        .head(id)
                        .expect("an interim head can be looked at")
                        .fields(),
                );
                self.story.line(format!("interim {}{fields}", status.code()));
            }
            ClientEvent::Response { id, body } => {
                let head = self.conn.head(id).expect("a head comes with the event");
                self.story.line(format!("{}; {body:?}", head_text(head)));
                if self.pace.ways.take_head {
                    let text = head_text(head);
                    let taken = self.conn.take_head(id);
                    assert_eq!(taken.as_response().map(head_text), Some(text));
                    assert!(self.conn.head(id).is_err(), "the head was taken");
                    self.conn.recycle(taken);
                }
                self.conn.want_body(id);
                if let Some(open) = &mut self.open {
                    open.length = match body {
                        BodyLen::None => Some(0),
                        BodyLen::Known(n) => Some(n),
                        BodyLen::Unknown => None,
                    };
                }
                if let Some(open) = self.open.as_mut().filter(|_| body.is_empty()) {
                    open.ask.hold = false;
                }
            }
            ClientEvent::Body { .. } => self.eat(),
            ClientEvent::BodyEnd { id } => {
                let trailers = self.conn.trailers(id).map(fields_text).unwrap_or_default();
                self.story.line(format!("body end{trailers}"));
                if let Some(open) = &mut self.open {
                    open.ask.hold = false;
                    let read = self.story.read - open.read_before;
                    assert!(
                        open.length.is_none_or(|n| n == read),
                        "the body ends after {read} bytes of {:?}",
                        open.length
                    );
                }
            }
            ClientEvent::SendBodyNow { .. } => {
                // Not told in the story: whether it comes before a final response that is there already depends
                // on the cut, and what it means is seen on the wire.
                if let Some(open) = &mut self.open {
                    open.may_send = true;
                }
            }
            ClientEvent::ExchangeEnd { id, reuse } => {
                assert!(
                    self.open.take().is_some_and(|o| o.id == id),
                    "the end of an exchange that is not open"
                );
                assert!(
                    self.conn.head(id).is_err(),
                    "the head's view ends with the exchange"
                );
                let stray =
                    !self.response().is_empty() || reuse == Reuse::Close(CloseReason::UnsolicitedBytes);
                let kept = matches!(
                    reuse,
                    Reuse::KeepAlive | Reuse::Close(CloseReason::UnsolicitedBytes)
                );
                if kept && stray {
                    // Bytes follow that belong to no exchange: whether they were read already depends on the cut.
                    self.story.line("exchange end, stray bytes follow".into());
                    self.over = true;
                } else {
                    self.story.line(format!("exchange end, {reuse:?}"));
                }
            }
            ClientEvent::Timeout { why, .. } => self.story.line(format!("timeout {why:?}")),
            ClientEvent::PeerClosed { clean } => self.story.line(format!("peer closed, clean {clean}")),
            other => panic!("an event that this harness does not know: {other:?}"),
        }
    }

    table_io!();

    /// Whether the application reads a body, and past the machine if it can.
    fn reads_body(&self) -> bool {
        self.open.is_some()
    }

    fn read(&mut self) -> bool {
        let rest = self.response();
        if !self.conn.wants().read || rest.is_empty() || self.ended {
            return false;
        }
        self.fed += self.read_from(rest);
        true
    }

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
        let shared = |a: &Ask| a.body.pieces.iter().map(|p| p.len()).max().unwrap_or(0) as usize;
        let largest = self
            .run
            .exchanges
            .iter()
            .map(|(ask, _)| shared(ask))
            .max()
            .unwrap_or(0);
        let bound = limits.send_buffer + largest + 1024;
        assert!(queued <= bound, "{queued} bytes are queued, {bound} allowed");
        if self.conn.wants().read && !self.conn.needs_buffer() {
            let space = self.conn.recv_space().len();
            assert!(space <= input, "{space} bytes of room, {input} allowed");
        }
    }

    fn detach(&mut self) {
        let rest = self.response();
        let config = Arc::clone(self.run.config);
        let parts = std::mem::replace(&mut self.conn, ClientConn::new(config, self.now)).into_parts();
        assert!(
            parts.unsent.is_empty(),
            "unsent bytes at a switch: \"{}\"",
            parts.unsent.escape_ascii()
        );
        let mut left = parts.unread.to_vec();
        left.extend_from_slice(rest);
        self.story
            .line(format!("switched, then \"{}\"", left.escape_ascii()));
    }
}

fn head_text(head: ResponseHead<'_>) -> String {
    let (status, reason) = (head.status().code(), head.reason().escape_ascii());
    format!(
        "response {status} \"{reason}\" {:?}{}",
        head.version(),
        fields_text(head.fields())
    )
}

fn send_piece(conn: &mut ClientConn, id: ExchangeId, piece: Piece, before: u64) -> Result<(), Misuse> {
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
