//! A driver and an application in one, for tests: feeds bytes to a machine at a given pace, answers by a
//! script, and writes down everything the machine told and everything it put on the wire.
//!
//! Used by the properties beside this folder and by the fuzz targets. While it runs it checks what must hold at
//! every step whatever the input: getters are pure, `None` stays `None`, errors stick, buffers stay bounded,
//! and something always makes progress. What a whole run must give is up to the caller, who compares
//! [`Story`]s.
//!
//! Not in here: where the bytes come from (generators, a fuzzer).

#![allow(dead_code)] // Each user takes its part.

pub(crate) mod client;
pub(crate) mod order;
pub(crate) mod server;

use antiphon_core::Fields;
use antiphon_core::h1::{BodyLen, Outgoing};
use std::fmt;

/// What a machine told, in order.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// Anything but body bytes, in words.
    Line(String),
    /// Body bytes; runs are merged, since how they were cut is no part of the meaning.
    Body(Vec<u8>),
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Line(text) => f.write_str(text),
            Told::Body(bytes) => write!(f, "body {} bytes \"{}\"", bytes.len(), bytes.escape_ascii()),
        }
    }
}

/// A whole run: what was told and what was written.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// To the application.
    pub(crate) told: Vec<Told>,
    /// To the peer.
    pub(crate) wire: Vec<u8>,
    /// All body bytes that were told.
    pub(crate) read: u64,
}

impl Story {
    fn line(&mut self, text: String) {
        self.told.push(Told::Line(text));
    }

    fn body(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.read += bytes.len() as u64;
        match self.told.last_mut() {
            Some(Told::Body(run)) => run.extend_from_slice(bytes),
            _ => self.told.push(Told::Body(bytes.to_vec())),
        }
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for told in &self.told {
            writeln!(f, "  told  {told:?}")?;
        }
        for line in self.wire.split_inclusive(|&b| b == b'\n') {
            writeln!(f, "  wire  \"{}\"", line.escape_ascii())?;
        }
        Ok(())
    }
}

/// In which sizes bytes are read, written and consumed. Lists are used round and round; an empty one means as
/// much as there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    /// Bytes per read.
    pub(crate) reads: Vec<u16>,
    /// Bytes per write.
    pub(crate) writes: Vec<u16>,
    /// Bytes per `consume`.
    pub(crate) bites: Vec<u16>,
    /// By which of several calls.
    pub(crate) ways: Ways,
}

/// Which of the calls that do the same are used. What the machine tells and writes must not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ways {
    /// Buffers are lent before reading and reclaimed when nothing is in them.
    pub(crate) lend: bool,
    /// `received_copy` instead of `recv_space` and `received`.
    pub(crate) copy_in: bool,
    /// `take_outgoing` instead of `outgoing`.
    pub(crate) take_out: bool,
    /// `take_body` instead of `body` and `consume`.
    pub(crate) take_body: bool,
    /// Body bytes go past the machine where it allows that.
    pub(crate) direct: bool,
    /// Heads are taken out and recycled.
    pub(crate) take_head: bool,
}

impl Pace {
    /// Everything in one go.
    pub(crate) fn whole() -> Pace {
        Pace::default()
    }

    /// One byte at a time, in and out.
    pub(crate) fn bytewise() -> Pace {
        Pace {
            reads: vec![1],
            writes: vec![1],
            bites: vec![1],
            ..Pace::default()
        }
    }
}

fn size(list: &[u16], turn: &mut usize) -> usize {
    if list.is_empty() {
        return usize::MAX;
    }
    *turn += 1;
    usize::from(list[(*turn - 1) % list.len()]).max(1)
}

/// How the peer's bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a FIN.
    Eof,
    /// With a reset.
    Reset,
    /// With silence, until a deadline passes.
    Silence,
}

/// A part of an outgoing body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Handed over as `Bytes`.
    Shared(usize),
    /// Copied in.
    Copied(usize),
    /// Written by the driver itself.
    External(u64),
}

impl Piece {
    /// How many body bytes it is.
    pub(crate) fn len(self) -> u64 {
        match self {
            Piece::Shared(n) | Piece::Copied(n) => n as u64,
            Piece::External(n) => n,
        }
    }
}

/// An outgoing body: its framing and its pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sending {
    /// Whether the length is declared.
    pub(crate) sized: bool,
    /// What it is made of.
    pub(crate) pieces: Vec<Piece>,
    /// Whether a trailer section follows (only with an undeclared length).
    pub(crate) trailers: bool,
}

impl Sending {
    /// No body.
    pub(crate) fn nothing() -> Sending {
        Sending {
            sized: true,
            pieces: Vec::new(),
            trailers: false,
        }
    }

    /// All its bytes together.
    pub(crate) fn total(&self) -> u64 {
        self.pieces.iter().map(|p| p.len()).sum()
    }

    /// The framing to ask for.
    pub(crate) fn len(&self) -> BodyLen {
        match (self.sized, self.total()) {
            (true, 0) => BodyLen::None,
            (true, n) => BodyLen::Known(n),
            (false, _) => BodyLen::Unknown,
        }
    }
}

/// Body bytes that tell where they belong: byte `i` of every outgoing body is the same wherever it is cut.
pub(crate) fn body_bytes(from: u64, n: usize) -> Vec<u8> {
    (from..from + n as u64).map(|i| b'a' + (i % 23) as u8).collect()
}

fn fields_text(fields: Fields<'_>) -> String {
    let mut text = String::new();
    for f in fields.iter() {
        let (name, value) = (f.name.as_str(), f.value.as_bytes().escape_ascii());
        text.push_str(&format!(" [{name}: {value}]"));
    }
    text
}

/// The slices of what is to be written now.
pub(crate) fn slices<'a>(outgoing: &Outgoing<'a>) -> Vec<&'a [u8]> {
    let mut slices: Vec<&[u8]> = vec![&[]; 64];
    loop {
        let n = outgoing.slices(&mut slices);
        if n < slices.len() {
            slices.truncate(n);
            return slices;
        }
        slices.resize(2 * n, &[]);
    }
}

/// The first `n` bytes of what is to be written; the bytes of external bodies are made up here.
fn take_outgoing(outgoing: &Outgoing<'_>, n: usize) -> Vec<u8> {
    if let Some(len) = outgoing.external() {
        return vec![b'E'; n.min(usize::try_from(len).unwrap_or(usize::MAX))];
    }
    let mut taken = Vec::new();
    for slice in slices(outgoing) {
        let n = slice.len().min(n - taken.len());
        taken.extend_from_slice(&slice[..n]);
    }
    taken
}

/// What a driver sees: compared before and after calls that must change nothing.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) wants: String,
    pub(crate) outgoing: Vec<u8>,
    pub(crate) external: Option<u64>,
    pub(crate) body: Vec<u8>,
    pub(crate) idle: bool,
    pub(crate) direct: Option<u64>,
    pub(crate) needs_buffer: bool,
    /// The machine's own account of its state.
    pub(crate) state: String,
}

/// The driver's side of both machines: reading and writing by the ways that a pace asks for. The calls have the same
/// names on both, but no trait stands behind them.
macro_rules! table_io {
    () => {
        /// Lends a buffer before a read, from a free list of one: a used one is as good as a new one.
        fn lend(&mut self) {
            if self.pace.ways.lend && self.conn.wants().read && self.conn.needs_buffer() {
                self.conn.lend(self.spare.take().unwrap_or_default());
                assert!(!self.conn.needs_buffer());
            }
        }

        fn reclaim(&mut self) {
            if self.pace.ways.lend
                && let Some(buffer) = self.conn.reclaim()
            {
                assert!(self.conn.needs_buffer());
                self.spare = Some(buffer);
            }
        }

        fn write(&mut self) -> bool {
            let outgoing = self.conn.outgoing();
            if !self.conn.wants().write {
                assert!(outgoing.is_empty(), "output, but no write is wanted");
                return false;
            }
            let taken = take_outgoing(&outgoing, size(&self.pace.writes, &mut self.turns[1]));
            assert!(
                !taken.is_empty(),
                "a write is wanted, but there is nothing to write"
            );
            if self.pace.ways.take_out && outgoing.external().is_none() {
                let segments = self
                    .conn
                    .take_outgoing()
                    .expect("there is something to write");
                let len = segments.len();
                let all = segments.collect::<Vec<_>>().concat();
                assert_eq!(len, all.len() as u64);
                assert!(
                    self.conn.outgoing().is_empty() && !self.conn.wants().write,
                    "it is being written"
                );
                let (one, other) = all.split_at(all.len().min(taken.len()));
                self.conn
                    .sent(one.len() as u64, self.now)
                    .expect("no more than was taken");
                self.conn
                    .sent(other.len() as u64, self.now)
                    .expect("no more than was taken");
                self.story.wire.extend_from_slice(&all);
            } else {
                self.conn
                    .sent(taken.len() as u64, self.now)
                    .expect("no more than was offered");
                self.story.wire.extend_from_slice(&taken);
            }
            true
        }

        /// Lets time pass up to the deadline. Invariants 5 and 6.
        fn wait(&mut self, deadline: Deadline) {
            let before = self.seen();
            let early = deadline.at - Duration::from_nanos(1);
            for now in [self.now, early] {
                if now >= self.now && now < deadline.at {
                    self.conn.handle_timeout(now);
                    assert_eq!(before, self.seen(), "before the deadline nothing changes");
                    assert_eq!(
                        Some(deadline),
                        self.conn.deadline(now),
                        "nor does the deadline"
                    );
                }
            }
            self.now = self.now.max(deadline.at);
            self.conn.handle_timeout(self.now);
            let next = self.conn.deadline(self.now);
            assert!(
                next.is_none_or(|d| d.at > self.now),
                "{next:?} is left after {deadline:?}"
            );
            // Enough bytes came in a window of the minimum rate: the next one begins, and that is all.
            let renewed = deadline.why == DeadlineKind::BodyRate && next.is_some();
            assert!(
                before != self.seen() || self.events() || renewed,
                "{deadline:?} has passed and nothing happened"
            );
        }

        /// Reads the next bytes of `rest`; tells how many.
        fn read_from(&mut self, rest: &[u8]) -> usize {
            let size = size(&self.pace.reads, &mut self.turns[0]).min(rest.len());
            if self.pace.ways.direct
                && self.reads_body()
                && let Some(most) = self.conn.direct_body()
            {
                let n = size.min(usize::try_from(most.get()).unwrap_or(usize::MAX));
                self.story.body(&rest[..n]);
                self.conn
                    .direct_received(n as u64, self.now)
                    .expect("no more than was offered");
                return n;
            }
            self.lend();
            if self.pace.ways.copy_in {
                let n = self.conn.received_copy(&rest[..size], self.now);
                assert!(n > 0, "a read is wanted, but there is no room");
                return n;
            }
            let space = self.conn.recv_space();
            assert!(!space.is_empty(), "a read is wanted, but there is no room");
            let n = size.min(space.len());
            space[..n].copy_from_slice(&rest[..n]);
            self.conn.received(n, self.now).expect("a read was wanted");
            n
        }

        /// Reads all body bytes that there are.
        fn eat(&mut self) {
            loop {
                let body = self.conn.body();
                if body.is_empty() {
                    return;
                }
                if self.pace.ways.take_body {
                    let shown = body.to_vec();
                    assert_eq!(
                        shown,
                        self.conn.take_body(),
                        "take_body hands out what body showed"
                    );
                    self.story.body(&shown);
                } else {
                    let n = body.len().min(size(&self.pace.bites, &mut self.turns[2]));
                    self.story.body(&body[..n]);
                    self.conn.consume(n).expect("no more than was shown");
                }
            }
        }
    };
}
pub(crate) use table_io;

macro_rules! seen {
    ($conn:expr) => {{
        let outgoing = $conn.outgoing();
        $crate::harness::Seen {
            wants: format!("{:?}", $conn.wants()),
            outgoing: $crate::harness::slices(&outgoing).concat(),
            external: outgoing.external(),
            body: $conn.body().to_vec(),
            idle: $conn.is_idle(),
            direct: $conn.direct_body().map(std::num::NonZeroU64::get),
            needs_buffer: $conn.needs_buffer(),
            state: format!("{:?}", $conn),
        }
    }};
}
pub(crate) use seen;
