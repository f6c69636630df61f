//! What server and client connections have in common: buffers, the body being read, the body being written,
//! the end of the connection, and its deadlines. Decisions that differ by role live in `server/` and
//! `client/`.
//!
//! Here: the type, its buffers and the network. `read.rs`: heads, trailers and bodies coming in; `write.rs`: bodies
//! going out; `end.rs`: how exchanges and the connection end, and deadlines.

mod end;
mod read;
mod write;

use crate::h1::buffer::{Buffer, Buffers};
use crate::h1::chunk::Chunked;
use crate::h1::config::{Limits, Timeouts};
use crate::h1::error::{Misuse, PeerError};
use crate::h1::event::{Finish, Reuse, Wants};
use crate::h1::framing::Facts;
use crate::h1::head::StartLine;
use crate::h1::output::{Outgoing, Segments};
use crate::h1::scan::Scan;
use crate::h1::state::{Direction, State};
use crate::h1::timer::{Slot, Window};
use alloc::boxed::Box;
use bytes::Bytes;
use core::fmt;

/// The message body being read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reading {
    Nothing,
    Length(u64),
    Chunked(Chunked),
    Trailers,
    UntilClose,
}

/// The message body being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
    /// A body that does not go on the wire (HEAD, 204, 304): what is sent is swallowed.
    Suppressed,
}

/// How the network's input side stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Open,
    /// The peer sent FIN.
    Eof,
    /// Reset, or another read error.
    Failed,
}

/// How the connection stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    /// Write what is queued, then half-close and linger, or close.
    Flush {
        linger: bool,
    },
    /// Half-closed: discard what still comes, up to so many bytes.
    Linger {
        left: u64,
    },
    Closed,
    /// Write what is queued, then hand the connection over.
    Detach,
}

/// How a response stands whose body ends with the connection: its reader cannot tell an early end from the proper one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// There is none.
    Nothing,
    /// It was begun, and is perhaps complete.
    Begun,
    /// It was given up before all of it was written.
    Cut,
}

/// What a step of reading the body came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// New bytes can be looked at.
    Data,
    /// The body is complete and consumed.
    End,
    /// More bytes are needed (or the ones there must be consumed first).
    Wait,
}

/// Where a connection ends, when a connection is taken apart: what was read too far, what was not written.
#[non_exhaustive]
pub struct Parts {
    /// Received bytes that the machine did not consume: after a switch, the first bytes of the new protocol.
    pub unread: Bytes,
    /// Queued bytes that were not written, up to the first external body.
    pub unsent: Bytes,
    /// Whether the peer has sent FIN.
    pub peer_closed: bool,
}

impl fmt::Debug for Parts {
    /// Lengths only: the bytes may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("unread", &self.unread.len())
            .field("unsent", &self.unsent.len())
            .field("peer_closed", &self.peer_closed)
            .finish()
    }
}

/// Space to read into and output to write, borrowed at once.
#[allow(clippy::exhaustive_structs)]
pub struct Io<'a> {
    /// As `recv_space`.
    pub recv_space: &'a mut [u8],
    /// As `outgoing`.
    pub outgoing: Outgoing<'a>,
}

impl fmt::Debug for Io<'_> {
    /// Lengths only: the space holds bytes of earlier reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("recv_space", &self.recv_space.len())
            .field("outgoing", &self.outgoing)
            .finish()
    }
}

/// See the module's description.
pub(crate) struct Link {
    pub(crate) buf: Option<Box<Buffers>>,
    /// The stream offset of the first unread byte.
    pub(crate) consumed: u64,
    pub(crate) scan: Scan,
    pub(crate) facts: Facts,
    pub(crate) reading: Reading,
    /// How many bytes of the current run of body data have been announced by `Body`.
    announced: usize,
    pub(crate) sending: Sending,
    pub(crate) tail: Tail,
    pub(crate) state: State,
    pub(crate) id: u32,
    pub(crate) input: Input,
    pub(crate) end: End,
    pub(crate) error: Option<PeerError>,
    /// An exchange's end that has not been told yet.
    pub(crate) ended: Option<Reuse>,
    /// There is something to tell first, or nothing goes on any more: `next_event` looks twice.
    pub(crate) attention: bool,
    /// In the middle of a head, and nothing else is going on.
    pub(crate) trickles: bool,
    /// Everything unread belongs to a head whose end has not come yet.
    pub(crate) mid_head: bool,
    /// A body that nobody reads is being discarded: its time runs through, whatever comes.
    pub(crate) discarding: bool,
    /// The application waits for body bytes.
    pub(crate) wanted: bool,
    pub(crate) close_asked: bool,
    /// The heads to be read are responses'.
    reads_responses: bool,
    /// Bytes written since the request began (client) or since the connection began (server).
    pub(crate) written: u64,
    read_slot: Slot,
    write_slot: Slot,
    rate: Window,
}

impl Link {
    pub(crate) fn new(facts: Facts) -> Link {
        Link {
            buf: None,
            consumed: 0,
            scan: Scan::REQUEST,
            facts,
            reading: Reading::Nothing,
            announced: 0,
            sending: Sending::Nothing,
            tail: Tail::Nothing,
            state: State::NEW,
            id: 0,
            input: Input::Open,
            end: End::Open,
            error: None,
            ended: None,
            attention: false,
            trickles: false,
            mid_head: false,
            discarding: false,
            wanted: false,
            close_asked: false,
            reads_responses: !facts.is_request(),
            written: 0,
            read_slot: Slot::default(),
            write_slot: Slot::default(),
            rate: Window::default(),
        }
    }

    // ----- buffers

    pub(crate) fn lend(&mut self, buffer: Buffer) {
        if self.buf.is_none() {
            self.buf = Some(buffer.0);
        }
    }

    pub(crate) fn reclaim(&mut self) -> Option<Buffer> {
        let b = self.buf.as_ref()?;
        let in_use = !b.recv.is_empty()
            || !b.out.is_empty()
            || matches!(self.reading, Reading::Trailers)
            || (self.state.is_open() && (b.head.line != StartLine::None || !b.trailers.spans.is_empty()));
        if in_use {
            return None;
        }
        let mut b = self.buf.take()?;
        b.head.clear();
        b.trailers.clear();
        b.out.forget();
        Some(Buffer(b))
    }

    #[inline]
    pub(crate) fn buffers(&mut self) -> &mut Buffers {
        self.buf.get_or_insert_default()
    }

    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        self.buf.as_ref().map_or(&[], |b| b.recv.unread())
    }

    #[inline]
    fn unread_len(&self) -> usize {
        self.buf.as_ref().map_or(0, |b| b.recv.len())
    }

    pub(crate) fn consume_input(&mut self, n: usize) {
        if let Some(b) = &mut self.buf {
            b.recv.consume(n);
            self.consumed = self.consumed.saturating_add(n as u64);
        }
    }

    /// How far the receive buffer may grow now, and whether its bytes must stay in one piece.
    #[inline]
    fn room(&self, limits: &Limits) -> (usize, bool) {
        match (self.end, self.reading) {
            (End::Open, Reading::Length(_) | Reading::Chunked(_) | Reading::UntilClose) => {
                (limits.recv_buffer_max, false)
            }
            (End::Open, Reading::Trailers) => (limits.recv_buffer_max.max(limits.trailers_max()), true),
            // Only a head that is known to need it grows the buffer further.
            (End::Open, Reading::Nothing) if self.mid_head => (limits.head_max(), true),
            (End::Open, Reading::Nothing) if self.reads_head() => (limits.recv_buffer_max, false),
            // A request is being answered: keep early bytes, but do not grow for them.
            _ => (limits.recv_buffer, false),
        }
    }

    /// Whether the next byte belongs to a head.
    fn reads_head(&self) -> bool {
        // Whose head it is does not matter: a server reads one when idle, a client while it waits for one
        // or, to notice stray bytes, when idle.
        self.state.is_idle() || (self.reads_responses && self.state.response() == Direction::Awaiting)
    }

    #[inline]
    pub(crate) fn recv_space(&mut self, limits: &Limits) -> &mut [u8] {
        if self.buf.as_ref().is_some_and(|b| b.recv.has_tail()) {
            // Borrowed anew: a conditional return of the first borrow does not pass the checker.
            return self.buffers().recv.tail();
        }
        self.recv_space_slow(limits)
    }

    #[inline(never)]
    fn recv_space_slow(&mut self, limits: &Limits) -> &mut [u8] {
        let (most, whole) = self.room(limits);
        let first = limits.recv_buffer.max(1);
        self.buffers().recv.space(first, most, whole)
    }

    #[inline]
    pub(crate) fn wants_read(&self, limits: &Limits) -> bool {
        if self.input != Input::Open {
            return false;
        }
        match self.end {
            End::Open => self.error.is_none() && self.has_room(limits),
            End::Flush { linger } => linger,
            End::Linger { .. } => true,
            End::Closed | End::Detach => false,
        }
    }

    #[inline]
    fn has_room(&self, limits: &Limits) -> bool {
        match &self.buf {
            Some(b) if !b.recv.has_end() => {
                let (most, whole) = self.room(limits);
                b.recv.has_room(most.max(limits.recv_buffer), whole)
            }
            _ => true,
        }
    }

    #[inline]
    pub(crate) fn wants(&self, limits: &Limits) -> Wants {
        if self.end == End::Open {
            let write = self.buf.as_ref().is_some_and(|b| b.out.is_ready());
            return Wants {
                read: self.wants_read(limits),
                write,
                finish: Finish::No,
            };
        }
        self.wants_ending(limits)
    }

    #[inline(never)]
    fn wants_ending(&self, limits: &Limits) -> Wants {
        let (ready, empty) = self
            .buf
            .as_ref()
            .map_or((false, true), |b| (b.out.is_ready(), b.out.is_empty()));
        let finish = match self.end {
            End::Open | End::Linger { .. } => Finish::No,
            _ if !empty && self.end != End::Closed => Finish::No,
            End::Flush { .. } | End::Closed if self.tail == Tail::Cut => Finish::Reset,
            End::Flush { linger: true } if self.input == Input::Open => Finish::ShutdownWrite,
            End::Flush { .. } | End::Closed => Finish::Close,
            End::Detach => Finish::Detach,
        };
        Wants {
            read: self.wants_read(limits),
            write: ready && self.end != End::Closed,
            finish,
        }
    }

    /// Whether closing the socket now would make a part of a response look like all of it.
    pub(crate) fn must_reset(&self) -> bool {
        match self.tail {
            Tail::Nothing => false,
            Tail::Begun => self.sending == Sending::UntilClose || !self.output_empty(),
            Tail::Cut => true,
        }
    }

    /// Whether no more bytes come.
    pub(crate) fn input_has_ended(&self) -> bool {
        self.input != Input::Open
    }

    // ----- network

    #[inline]
    pub(crate) fn received(&mut self, n: usize, limits: &Limits) -> Result<(), Misuse> {
        let open = self.end == End::Open && self.input == Input::Open && self.error.is_none();
        if !open && !self.wants_read(limits) {
            return Err(Misuse::NotReading);
        }
        let Some(b) = &mut self.buf else {
            return if n == 0 { Ok(()) } else { Err(Misuse::TooMuch) };
        };
        if !b.recv.received(n) {
            return Err(Misuse::TooMuch);
        }
        self.mid_head &= n == 0;
        if !matches!(self.reading, Reading::Nothing) {
            self.progress(n as u64);
        }
        if !open {
            self.discard_lingering();
        }
        Ok(())
    }

    pub(crate) fn received_copy(&mut self, bytes: &[u8], limits: &Limits) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && self.wants_read(limits) {
            let space = self.recv_space(limits);
            let n = space.len().min(bytes.len() - taken);
            space[..n].copy_from_slice(&bytes[taken..taken + n]);
            if self.received(n, limits).is_err() {
                break;
            }
            taken += n;
        }
        taken
    }

    fn progress(&mut self, n: u64) {
        if n > 0 {
            if !self.discarding {
                self.read_slot.restart();
            }
            self.rate.bytes = self.rate.bytes.saturating_add(n);
        }
    }

    /// The connection is ending: bytes are dropped as they come, within the budget.
    fn discard_lingering(&mut self) {
        let n = self.unread_len();
        self.consume_input(n);
        if let End::Linger { left } = &mut self.end {
            match left.checked_sub(n as u64) {
                Some(rest) => *left = rest,
                None => self.end = End::Closed,
            }
        }
    }

    pub(crate) fn received_eof(&mut self) {
        self.look_twice();
        if self.input == Input::Open {
            self.input = Input::Eof;
            if matches!(self.end, End::Linger { .. }) {
                self.end = End::Closed;
            }
        }
    }

    pub(crate) fn write_shut(&mut self, limits: &Limits, timeouts: &Timeouts) {
        if self.end == (End::Flush { linger: true }) && self.buf.as_ref().is_none_or(|b| b.out.is_empty()) {
            let over = self.input != Input::Open || timeouts.linger.is_none();
            self.end = if over {
                End::Closed
            } else {
                End::Linger { left: limits.discard }
            };
        }
    }

    pub(crate) fn sent(&mut self, n: u64) -> Result<(), Misuse> {
        match &mut self.buf {
            Some(b) => b.out.sent(n)?,
            None if n == 0 => return Ok(()),
            None => return Err(Misuse::TooMuch),
        }
        if n > 0 {
            self.written = self.written.saturating_add(n);
            self.write_slot.restart();
        }
        Ok(())
    }

    pub(crate) fn outgoing(&self) -> Outgoing<'_> {
        match &self.buf {
            Some(b) if self.end != End::Closed => b.out.outgoing(),
            _ => Outgoing::NOTHING,
        }
    }

    pub(crate) fn io(&mut self, limits: &Limits) -> Io<'_> {
        let (most, whole) = self.room(limits);
        let first = limits.recv_buffer.max(1);
        if !self.wants_read(limits) {
            return Io {
                recv_space: &mut [],
                outgoing: self.outgoing(),
            };
        }
        let b = self.buf.get_or_insert_default();
        Io {
            recv_space: b.recv.space(first, most, whole),
            // A connection that is closed has no output, and was dealt with above.
            outgoing: b.out.outgoing(),
        }
    }

    pub(crate) fn take_outgoing(&mut self) -> Option<Segments> {
        self.buf.as_mut()?.out.take()
    }

    #[inline]
    pub(crate) fn output_empty(&self) -> bool {
        self.buf.as_ref().is_none_or(|b| b.out.is_empty())
    }

    pub(crate) fn drop_output(&mut self) {
        if let Some(b) = &mut self.buf {
            b.out.clear();
        }
    }
}
