//! [`ServerConn`]: reads requests, writes responses.
//!
//! Here: the type, its buffers, what the network and the clock tell it, what the driver sees. `read.rs`: what it
//! tells the application; `write.rs`: what the application tells it; `refuse.rs`: what happens to bad requests.

mod read;
mod refuse;
mod write;

use crate::h1::buffer::Buffer;
use crate::h1::config::{ErrorReply, Limits, ServerConfig};
use crate::h1::error::Misuse;
use crate::h1::event::{CloseReason, Deadline, DeadlineKind, ExchangeId, Wants};
use crate::h1::framing::Facts;
use crate::h1::link::{End, Input, Io, Link, Parts};
use crate::h1::output::{Outgoing, Segments};
use crate::message::Version;
use crate::{Instant, Status};
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

/// The server's side of one HTTP/1.1 connection.
///
/// # Calls
///
/// | family | methods | rule |
/// |---|---|---|
/// | getters | [`head`](Self::head), [`body`](Self::body), [`trailers`](Self::trailers), [`direct_body`](Self::direct_body), [`send_capacity`](Self::send_capacity), [`is_idle`](Self::is_idle) | change nothing |
/// | network and clock | [`recv_space`](Self::recv_space) + [`received`](Self::received), [`received_eof`](Self::received_eof), [`read_failed`](Self::read_failed), [`sent`](Self::sent), [`write_failed`](Self::write_failed), [`write_shut`](Self::write_shut), [`handle_timeout`](Self::handle_timeout) | then drain [`next_event`](Self::next_event) |
/// | application | [`want_body`](Self::want_body), [`consume`](Self::consume), [`send_head`](Self::send_head), [`send_body`](Self::send_body), [`finish`](Self::finish), [`abort`](Self::abort), ... | a [`Misuse`] changes nothing; then drain [`next_event`](Self::next_event) |
/// | driver state | [`wants`](Self::wants), [`outgoing`](Self::outgoing), [`deadline`](Self::deadline), [`needs_buffer`](Self::needs_buffer) | may change after any call of the two families above and after `next_event` |
///
/// Time never runs backwards: `now` of a call is not earlier than `now` of the call before.
///
/// ```
/// use antiphon_core::h1::{BodyLen, ServerConfig, ServerConn, ServerEvent};
/// use antiphon_core::{Field, Fields, Instant, Status};
/// use std::sync::Arc;
///
/// let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), Instant::ZERO);
/// conn.received_copy(b"GET /hello HTTP/1.1\r\nHost: example.com\r\n\r\n", Instant::ZERO);
/// let Ok(Some(ServerEvent::Request { id, .. })) = conn.next_event() else { panic!() };
/// assert_eq!(conn.head(id)?.target(), "/hello");
///
/// conn.send_head(id, Status::OK, &[Field::from_static("content-type", "text/plain")], BodyLen::Known(2))?;
/// conn.send_body_copy(id, b"hi")?;
/// conn.finish(id, &Fields::EMPTY)?;
/// assert_eq!(
///     conn.outgoing().first(),
///     b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi"
/// );
/// # Ok::<(), antiphon_core::h1::Misuse>(())
/// ```
pub struct ServerConn {
    pub(super) link: Link,
    config: Arc<ServerConfig>,
    notices: Notices,
    empty_lines: usize,
    /// `100 Continue` is due when the application asks for the body.
    pub(super) owes_continue: bool,
    /// The request is a HEAD.
    head_request: bool,
    version: Version,
    /// The answer is complete but the request's body is not: bytes that may still be discarded.
    pub(super) discard: Option<u64>,
    /// The response ended with its head.
    bodiless: bool,
}

/// What has to be told, and has not been.
#[derive(Clone, Copy, Debug, Default)]
struct Notices {
    timeout: Option<(Option<ExchangeId>, DeadlineKind)>,
    told_half_closed: bool,
    gone: bool,
}

impl ServerConn {
    /// A connection that has just been accepted. It holds no buffer and waits for the first request.
    pub fn new(config: Arc<ServerConfig>, now: Instant) -> ServerConn {
        let _ = now;
        ServerConn {
            link: Link::new(Facts::request(&config.profile)),
            config,
            notices: Notices::default(),
            empty_lines: 0,
            owes_continue: false,
            head_request: false,
            version: Version::Http11,
            discard: None,
            bodiless: false,
        }
    }

    fn limits(&self) -> &Limits {
        &self.config.limits
    }

    #[cfg(feature = "trace")]
    pub(super) fn config(&self) -> &ServerConfig {
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
        self.link.received(n, &self.config.limits)
    }

    /// Takes in bytes that were read elsewhere (completion I/O, tests); returns how many there was room for.
    pub fn received_copy(&mut self, bytes: &[u8], now: Instant) -> usize {
        let _ = now;
        self.link.received_copy(bytes, &self.config.limits)
    }

    /// The peer sent FIN: no more bytes come, but it may still read.
    pub fn received_eof(&mut self, now: Instant) {
        let _ = now;
        self.link.received_eof();
    }

    /// Reading failed (reset or another error): the peer is gone.
    pub fn read_failed(&mut self, now: Instant) {
        let _ = now;
        self.gone(Input::Failed, CloseReason::ReadFailed);
    }

    /// Writing failed: nothing can reach the peer any more.
    pub fn write_failed(&mut self, now: Instant) {
        let _ = now;
        self.gone(self.link.input, CloseReason::WriteFailed);
    }

    fn gone(&mut self, input: Input, reason: CloseReason) {
        if matches!(self.link.end, End::Closed) {
            return;
        }
        self.link.input = input;
        self.link.look_twice();
        self.notices.gone |= self.link.state.is_open();
        self.link.close_now(reason);
    }

    /// The socket's write side was shut down, as [`Finish::ShutdownWrite`](super::Finish::ShutdownWrite) asked; lingering begins.
    pub fn write_shut(&mut self, now: Instant) {
        let _ = now;
        self.link.write_shut(&self.config.limits, &self.config.timeouts);
    }

    // ----- for the driver

    /// What the driver should do. May change after every call that takes `&mut self`.
    #[inline]
    pub fn wants(&self) -> Wants {
        self.link.wants(self.limits())
    }

    /// Whether closing the socket now, in the middle of things, would make a part of a response look like all of it: its
    /// body ends with the connection (HTTP/1.0), and is not written to its end. A driver that has to drop a connection
    /// which the machine has not ended ([`Wants::finish`] is not [`Finish::Reset`](super::Finish::Reset) yet) asks here
    /// whether to reset it.
    pub fn must_reset(&self) -> bool {
        self.link.must_reset()
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

    /// What the machine waits for from the peer, and for how long.
    fn reads(&self) -> Option<(DeadlineKind, Duration)> {
        let timeouts = &self.config.timeouts;
        let kind = |why, most: Option<Duration>| most.map(|d| (why, d));
        match self.link.end {
            End::Open => {}
            End::Linger { .. } => return kind(DeadlineKind::Linger, timeouts.linger),
            _ => return None,
        }
        if self.link.input != Input::Open || self.link.error.is_some() {
            return None;
        }
        if self.link.state.is_idle() {
            // Empty lines before a request are the beginning of one, too.
            return if !self.link.unread().is_empty() || self.empty_lines > 0 {
                if !self.link.has_send_room(self.limits()) {
                    None
                } else {
                    kind(DeadlineKind::Head, timeouts.head)
                }
            } else if self.link.output_empty() {
                kind(DeadlineKind::Idle, timeouts.idle)
            } else {
                None
            };
        }
        if self.link.discarding || self.link.waits_for_body() {
            kind(DeadlineKind::BodyStall, timeouts.body_stall)
        } else {
            None
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
        self.link.look_twice();
        let id = self.link.state.is_open().then_some(ExchangeId(self.link.id));
        // Once an error was told it is told ever after: that its reply is not taken changes nothing.
        let over = self.link.error.is_some() && id.is_none();
        if why != DeadlineKind::Linger && !over {
            self.notices.timeout = Some((id, why));
        }
        let reason = CloseReason::Timeout(why);
        match why {
            // RFC 9110, section 15.5.9: "408 [...] the server did not receive a complete request message
            // within the time that it was prepared to wait"
            DeadlineKind::Head | DeadlineKind::BodyStall | DeadlineKind::BodyRate => {
                self.link.facts = Facts::request(&self.config.profile);
                if id.is_none() {
                    // "no byte of a request: silent close"
                    let begun = self.link.scan.position() > 0;
                    if begun && self.config.error_reply != ErrorReply::Silent {
                        self.reply(Status::REQUEST_TIMEOUT, why, true);
                    }
                    self.link.set_closed(reason);
                    self.link.begin_flush(true);
                } else {
                    self.fail(Some(Status::REQUEST_TIMEOUT), why.into(), reason);
                }
            }
            // Idle: there is nothing to write.
            _ => self.link.close_now(reason),
        }
    }

    /// Takes the connection apart: after a switch, or to hand it on.
    pub fn into_parts(self) -> Parts {
        self.link.into_parts()
    }
}

impl fmt::Debug for ServerConn {
    /// State only; no bytes of any message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConn")
            .field("state", &self.link.state)
            .field("input", &self.link.input)
            .field("end", &self.link.end)
            .field("error", &self.link.error)
            .finish_non_exhaustive()
    }
}
