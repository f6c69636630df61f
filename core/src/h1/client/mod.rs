//! [`ClientConn`]: writes requests, reads responses.
//!
//! Here: the type, its buffers, what the network and the clock tell it, what the driver sees. `read.rs`: what it
//! tells the application; `write.rs`: what the application tells it.

mod read;
mod write;

use crate::Instant;
use crate::h1::buffer::Buffer;
use crate::h1::config::ClientConfig;
use crate::h1::error::Misuse;
use crate::h1::event::{CloseReason, Deadline, DeadlineKind, ExchangeId, Wants};
use crate::h1::framing::Facts;
use crate::h1::link::{End, Input, Io, Link, Parts};
use crate::h1::output::{Outgoing, Segments};
use crate::h1::response::HeadEnd;
use crate::h1::state::Direction;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

/// The client's side of one HTTP/1.1 connection: one exchange at a time, its two directions at once.
///
/// # Calls
///
/// | family | methods | rule |
/// |---|---|---|
/// | getters | [`head`](Self::head), [`body`](Self::body), [`trailers`](Self::trailers), [`direct_body`](Self::direct_body), [`can_send`](Self::can_send), [`send_capacity`](Self::send_capacity), [`is_idle`](Self::is_idle) | change nothing |
/// | network and clock | [`recv_space`](Self::recv_space) + [`received`](Self::received), [`received_eof`](Self::received_eof), [`read_failed`](Self::read_failed), [`sent`](Self::sent), [`write_failed`](Self::write_failed), [`handle_timeout`](Self::handle_timeout) | then drain [`next_event`](Self::next_event) |
/// | application | [`send_request`](Self::send_request), [`send_body`](Self::send_body), [`finish`](Self::finish), [`want_body`](Self::want_body), [`consume`](Self::consume), [`abort`](Self::abort), ... | a [`Misuse`] changes nothing; then drain [`next_event`](Self::next_event) |
/// | driver state | [`wants`](Self::wants), [`outgoing`](Self::outgoing), [`deadline`](Self::deadline), [`needs_buffer`](Self::needs_buffer) | may change after any call of the two families above and after `next_event` |
///
/// Time never runs backwards: `now` of a call is not earlier than `now` of the call before.
///
/// ```
/// use antiphon_core::h1::{BodyLen, ClientConfig, ClientConn, ClientEvent, Reuse};
/// use antiphon_core::{Field, Instant};
/// use std::sync::Arc;
///
/// let now = Instant::ZERO;
/// let mut conn = ClientConn::new(Arc::new(ClientConfig::DEFAULT), now);
/// let id = conn.send_request("GET", "/", &[Field::from_static("host", "example.com")], BodyLen::None)?;
/// let n = conn.outgoing().first().len();
/// conn.sent(n as u64, now)?;
///
/// conn.received_copy(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", now);
/// assert_eq!(conn.next_event(), Ok(Some(ClientEvent::Response { id, body: BodyLen::Known(2) })));
/// assert_eq!(conn.next_event(), Ok(Some(ClientEvent::Body { id })));
/// assert_eq!(conn.body(), b"hi");
/// conn.consume(2)?;
/// assert_eq!(conn.next_event(), Ok(Some(ClientEvent::BodyEnd { id })));
/// assert_eq!(conn.next_event(), Ok(Some(ClientEvent::ExchangeEnd { id, reuse: Reuse::KeepAlive })));
/// # Ok::<(), antiphon_core::h1::Misuse>(())
/// ```
pub struct ClientConn {
    pub(super) link: Link,
    config: Arc<ClientConfig>,
    head_end: HeadEnd,
    /// The request's method decides how its response is framed.
    method: MethodKind,
    interim: usize,
    /// The request's body waits for `100 Continue`.
    pub(super) gate: Gate,
    /// The request's head ends at this count of written bytes.
    head_written_at: u64,
    timeout: Option<(Option<ExchangeId>, DeadlineKind)>,
    /// The server's `Keep-Alive: timeout`, minus a second.
    idle: Option<Duration>,
    write_failed: bool,
    /// A byte of an answer has come.
    response_begun: bool,
    bodiless: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MethodKind {
    Head,
    Connect,
    Other,
}

/// The gate in front of a request body with `Expect: 100-continue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Waiting,
    /// Opened, but `SendBodyNow` has not been told yet.
    Opened,
}

impl ClientConn {
    /// A connection that has just been made. It holds no buffer.
    pub fn new(config: Arc<ClientConfig>, now: Instant) -> ClientConn {
        let _ = now;
        ClientConn {
            link: Link::new(Facts::RESPONSE),
            config,
            head_end: HeadEnd::START,
            method: MethodKind::Other,
            interim: 0,
            gate: Gate::Open,
            head_written_at: 0,
            timeout: None,
            idle: None,
            write_failed: false,
            response_begun: false,
            bodiless: false,
        }
    }

    #[cfg(feature = "trace")]
    pub(super) fn config(&self) -> &ClientConfig {
        &self.config
    }

    // ----- buffers

    /// Whether a buffer should be lent before reading. Without one, `recv_space` makes its own.
    pub fn needs_buffer(&self) -> bool {
        self.link.buf.is_none()
    }

    /// Lends a buffer. If the connection has one already, this one is dropped.
    pub fn lend(&mut self, buffer: Buffer) {
        self.link.lend(buffer);
    }

    /// Takes the buffer back, when nothing in it is needed: no unread or unwritten bytes, no open exchange
    /// whose head is there.
    pub fn reclaim(&mut self) -> Option<Buffer> {
        self.link.reclaim()
    }

    // ----- from the network

    /// Space to read into; never empty while `wants().read`. Allocates if no buffer was lent.
    #[inline]
    pub fn recv_space(&mut self) -> &mut [u8] {
        self.link.recv_space(&self.config.limits)
    }

    /// `n` bytes were read into the space that `recv_space` gave. 0 means nothing: the end of the stream is
    /// [`received_eof`](Self::received_eof).
    ///
    /// # Errors
    /// [`Misuse::TooMuch`], [`Misuse::NotReading`].
    #[inline]
    pub fn received(&mut self, n: usize, now: Instant) -> Result<(), Misuse> {
        let _ = now;
        self.link.received(n, &self.config.limits)?;
        self.response_begun |= n > 0;
        Ok(())
    }

    /// Takes in bytes that were read elsewhere (completion I/O, tests); returns how many there was room for.
    pub fn received_copy(&mut self, bytes: &[u8], now: Instant) -> usize {
        let _ = now;
        let n = self.link.received_copy(bytes, &self.config.limits);
        self.response_begun |= n > 0;
        n
    }

    /// The server sent FIN: no more bytes come.
    pub fn received_eof(&mut self, now: Instant) {
        let _ = now;
        self.link.received_eof();
    }

    /// Reading failed (reset or another error). What had arrived before is still used.
    pub fn read_failed(&mut self, now: Instant) {
        let _ = now;
        if self.link.input == Input::Open {
            self.link.input = Input::Failed;
        }
    }

    /// Writing failed. Reading goes on for a short grace, since an answer may already be there
    /// ([`Timeouts::write_failed_grace`](super::Timeouts::write_failed_grace)).
    pub fn write_failed(&mut self, now: Instant) {
        let _ = now;
        if self.link.end == End::Closed || self.write_failed {
            return;
        }
        self.write_failed = true;
        self.link.drop_output();
        if self.link.state.is_open() {
            self.give_up_request(CloseReason::WriteFailed);
        } else {
            self.link.close_now(CloseReason::WriteFailed);
        }
    }

    /// For symmetry with the server; a client does not half-close.
    pub fn write_shut(&mut self, now: Instant) {
        let _ = now;
        self.link.write_shut(&self.config.limits, &self.config.timeouts);
    }

    // ----- for the driver

    /// What the driver should do. May change after every call that takes `&mut self`.
    #[inline]
    pub fn wants(&self) -> Wants {
        self.link.wants(&self.config.limits)
    }

    /// What is to be written now.
    #[inline]
    pub fn outgoing(&self) -> Outgoing<'_> {
        self.link.outgoing()
    }

    /// `n` bytes of [`outgoing`](Self::outgoing) were written, those of an external body included.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`].
    #[inline]
    pub fn sent(&mut self, n: u64, now: Instant) -> Result<(), Misuse> {
        let _ = now;
        self.link.sent(n)
    }

    /// [`recv_space`](Self::recv_space) and [`outgoing`](Self::outgoing), borrowed at once.
    pub fn io(&mut self) -> Io<'_> {
        self.link.io(&self.config.limits)
    }

    /// Takes the output, for completion I/O, up to the next external body; report it with
    /// [`sent`](Self::sent).
    pub fn take_outgoing(&mut self) -> Option<Segments> {
        self.link.take_outgoing()
    }

    // ----- the clock

    fn reads(&self) -> Option<(DeadlineKind, Duration)> {
        let timeouts = &self.config.timeouts;
        let kind = |why, most: Option<Duration>| most.map(|d| (why, d));
        if self.link.end != End::Open || self.link.input != Input::Open || self.link.error.is_some() {
            return None;
        }
        match self.link.state.response() {
            Direction::Idle => {
                let most = match (timeouts.idle, self.idle) {
                    (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
                    (ours, theirs) => ours.or(theirs),
                };
                kind(DeadlineKind::Idle, most)
            }
            Direction::Awaiting if self.write_failed => {
                kind(DeadlineKind::WriteFailedGrace, Some(timeouts.write_failed_grace))
            }
            Direction::Awaiting if self.gate == Gate::Waiting => {
                if self.link.written >= self.head_written_at {
                    kind(DeadlineKind::ContinueWait, timeouts.continue_wait)
                } else {
                    None
                }
            }
            Direction::Awaiting
                if self.link.state.request() != Direction::Sending && self.link.output_empty() =>
            {
                kind(DeadlineKind::ResponseHead, timeouts.response_head)
            }
            Direction::Sending if self.link.waits_for_body() => {
                if self.write_failed {
                    kind(DeadlineKind::WriteFailedGrace, Some(timeouts.write_failed_grace))
                } else {
                    kind(DeadlineKind::BodyStall, timeouts.body_stall)
                }
            }
            _ => None,
        }
    }

    /// The next deadline. Timers start at this look at the clock: what has begun to be waited for since the last
    /// one is armed now. So look after every turn, also when nothing else is to be done.
    #[inline]
    pub fn deadline(&mut self, now: Instant) -> Option<Deadline> {
        let reads = self.reads();
        Link::earliest(self.link.look(reads, &self.config.timeouts, now))
    }

    /// The clock shows `now`. Safe early, late, and twice: only deadlines that have passed do anything.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.fire(now);
    }

    /// Acts on the first deadline that has passed, and says which one it was.
    pub(crate) fn fire(&mut self, now: Instant) -> Option<DeadlineKind> {
        let reads = self.reads();
        let (read, write, rate) = self.link.look(reads, &self.config.timeouts, now);
        let passed = |d: Option<Deadline>| d.filter(|d| d.at <= now).map(|d| d.why);
        let why = if let Some(why) = passed(write) {
            why
        } else if let Some(why) = passed(read) {
            why
        } else if passed(rate).is_some() && self.link.too_slow(&self.config.timeouts) {
            DeadlineKind::BodyRate
        } else {
            return None;
        };
        self.expire(why);
        Some(why)
    }

    fn expire(&mut self, why: DeadlineKind) {
        match why {
            DeadlineKind::ContinueWait => self.gate = Gate::Opened,
            DeadlineKind::WriteFailedGrace => self.link.close_now(CloseReason::WriteFailed),
            _ => {
                let id = self.link.state.is_open().then_some(ExchangeId(self.link.id));
                self.timeout = Some((id, why));
                self.link.close_now(CloseReason::Timeout(why));
            }
        }
    }

    /// Takes the connection apart: after a switch, or to hand it on.
    pub fn into_parts(self) -> Parts {
        self.link.into_parts()
    }
}

impl fmt::Debug for ClientConn {
    /// State only; no bytes of any message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConn")
            .field("state", &self.link.state)
            .field("input", &self.link.input)
            .field("end", &self.link.end)
            .field("error", &self.link.error)
            .finish_non_exhaustive()
    }
}
