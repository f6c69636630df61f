//! [`Responder`]: the rules of a response that a handler writes piece by piece, as Go's `ResponseWriter` has them; and
//! [`prepare`], the same rules for a handler that returns its response.
//!
//! | file | what lives there |
//! |---|---|
//! | `mod.rs` | the type, and what the handler tells it |
//! | `action.rs` | what the driver is to do on the connection, and a driver for [`ServerConn`](crate::h1::ServerConn) |
//! | `prepare.rs` | what becomes of the head |
//! | `reply.rs` | short replies: errors, "not found" |
//! | `error.rs` | refusals, notices, reasons |
//!
//! Framing is not written here: the connection does that, from a [`BodyLen`]. Nor are handlers called here.

mod action;
mod error;
mod prepare;
mod reply;

use self::prepare::{Framing, Ruling};
use crate::h1::{BodyLen, ClientConn, Switch};
use crate::server::sniff;
use crate::{Field, FieldName, FieldValue, Headers, InvalidField, Status};
use alloc::vec::Vec;
use bytes::Bytes;

pub use self::action::{Action, Content, HeadToSend, Progress};
pub use self::error::{AbortReason, Notice, RespondError, WriteError};
pub use self::prepare::{Prepared, RequestFacts, SendFields, prepare};
pub use self::reply::{error_reply, not_found};

/// The settings of a [`Responder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponderConfig {
    /// Bytes of a body that are held before its head is sent, and between two sends. A body of at most this length that
    /// is not flushed gets a `Content-Length` by itself. Default: 2 KiB, as in Go. At least [`sniff::LOOKED_AT`] are used.
    pub buffer: usize,
    /// Whether a response without `Content-Type` gets one by its first bytes ([`sniff`]). Default: yes.
    pub sniff: bool,
}

impl ResponderConfig {
    /// The defaults.
    pub const DEFAULT: ResponderConfig = ResponderConfig {
        buffer: 2048,
        sniff: true,
    };
}

impl Default for ResponderConfig {
    fn default() -> ResponderConfig {
        ResponderConfig::DEFAULT
    }
}

/// Notices that are kept until they are taken; later ones are lost.
const NOTICES: usize = 8;

/// A response in the making: stands between a handler that writes and the connection.
///
/// # Calls
///
/// | family | methods | rule |
/// |---|---|---|
/// | handler | [`fields_mut`](Self::fields_mut), [`inform`](Self::inform), [`set_status`](Self::set_status), [`write_head`](Self::write_head), [`write`](Self::write), [`write_bytes`](Self::write_bytes), [`flush`](Self::flush), [`trailer`](Self::trailer), [`error`](Self::error), [`finish`](Self::finish), [`start_over`](Self::start_over), [`fail`](Self::fail), [`abort`](Self::abort) | a [`RespondError`] means that nothing was done; then look at [`action`](Self::action) |
/// | driver | [`action`](Self::action), then [`done`](Self::done) or [`sent`](Self::sent); or [`drive`](Self::drive), [`write_to`](Self::write_to) for a [`ServerConn`](crate::h1::ServerConn) | `action` can be asked again and gives the same answer |
/// | getters | [`fields`](Self::fields), [`status`](Self::status), [`written`](Self::written), [`can_replace`](Self::can_replace), [`is_ended`](Self::is_ended), [`is_over`](Self::is_over) | change nothing |
///
/// # Rules
///
/// - The status is 200 unless another is written first. Status and fields are final with
///   [`write_head`](Self::write_head) or the first call that implies it: `write`, `flush`, `finish`. Another status after
///   that is a [`Notice`], not an error.
/// - The head leaves when the buffer overflows, at a flush, or at the end. If all of the body is in the buffer at the end
///   its length is known; else it is chunked, unless the handler set a `Content-Length`. That is held to: a write
///   which would pass it is refused, and a response that stays below it is given up, so that it does not look whole.
/// - A response to HEAD is written like one to GET; the body is counted, and not sent.
/// - Where there can be no content (1xx, 204, 205, 304, a 2xx to CONNECT) bytes are refused.
/// - Everything else about the head is what [`prepare`] does.
/// - `Connection: close` among the fields closes the connection behind this response.
///
/// Memory: the buffer ([`ResponderConfig::buffer`]), one run of shared bytes, one interim response, and what the
/// handler sets of fields and trailers.
///
/// ```
/// use antiphon_core::h1::{ServerConfig, ServerConn, ServerEvent};
/// use antiphon_core::server::responder::{Progress, RequestFacts, Responder, ResponderConfig};
/// use antiphon_core::server::DateCache;
/// use antiphon_core::{Instant, UnixTime};
/// use std::sync::Arc;
///
/// let mut conn = ServerConn::new(Arc::new(ServerConfig::DEFAULT), Instant::ZERO);
/// conn.received_copy(b"GET /hello HTTP/1.1\r\nHost: example.com\r\n\r\n", Instant::ZERO);
/// let Ok(Some(ServerEvent::Request { id, proposes, .. })) = conn.next_event() else { panic!() };
/// let head = conn.head(id)?;
/// let facts = RequestFacts::new(head.method(), head.version(), proposes);
///
/// // The handler.
/// let mut response = Responder::new(facts, ResponderConfig::DEFAULT);
/// response.fields_mut()?.set("X-Greeting", "yes")?;
/// response.write(b"<p>hello")?;
/// response.finish()?;
///
/// // The driver: whenever the handler has done something, and when output has left.
/// let mut dates = DateCache::new();
/// let progress = response.drive(&mut conn, id, Some(dates.field(UnixTime(784_111_777))))?;
/// assert_eq!(progress, Progress::Over);
/// assert_eq!(
///     std::str::from_utf8(conn.outgoing().first())?,
///     "HTTP/1.1 200 OK\r\n\
///      Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
///      Content-Type: text/html; charset=utf-8\r\n\
///      X-Greeting: yes\r\n\
///      content-length: 8\r\n\
///      \r\n\
///      <p>hello"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Responder {
    facts: RequestFacts,
    config: ResponderConfig,
    sniff: bool,
    status: Status,
    fields: Headers,
    /// Status and fields are final.
    ruling: Option<Ruling>,
    /// The head is to be sent, so.
    prepared: Option<Prepared>,
    /// The connection has the head.
    head_sent: bool,
    /// Bytes of the body that were accepted.
    written: u64,
    /// The first `at` of them are sent.
    buffer: Vec<u8>,
    at: usize,
    /// What comes behind the buffer.
    shared: Bytes,
    /// What is in the buffer is to be sent, although there is room for more.
    push: bool,
    end: End,
    /// The connection has all of it.
    over: bool,
    interim: Option<(Status, Headers)>,
    trailers: Headers,
    notices: Vec<Notice>,
}

/// What comes behind the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// More of it.
    Open,
    Finish,
    Abort(AbortReason),
}

impl Responder {
    /// A response to this request, of which nothing is known yet. Allocates nothing.
    pub fn new(facts: RequestFacts, config: ResponderConfig) -> Responder {
        Responder {
            facts,
            config,
            sniff: config.sniff,
            status: Status::OK,
            fields: Headers::new(),
            ruling: None,
            prepared: None,
            head_sent: false,
            written: 0,
            buffer: Vec::new(),
            at: 0,
            shared: Bytes::new(),
            push: false,
            end: End::Open,
            over: false,
            interim: None,
            trailers: Headers::new(),
            notices: Vec::new(),
        }
    }

    /// Begins the response to another request, as `new`, but keeps the storage.
    pub fn restart(&mut self, facts: RequestFacts) {
        // Each field by name, so that none can be forgotten, and in place: a responder is not small.
        let Responder {
            facts: asked,
            config,
            sniff,
            status,
            fields,
            ruling,
            prepared,
            head_sent,
            written,
            buffer,
            at,
            shared,
            push,
            end,
            over,
            interim,
            trailers,
            notices,
        } = self;
        *asked = facts;
        *sniff = config.sniff;
        *status = Status::OK;
        fields.clear();
        *ruling = None;
        *prepared = None;
        *head_sent = false;
        *written = 0;
        buffer.clear();
        *at = 0;
        if !shared.is_empty() {
            *shared = Bytes::new();
        }
        *push = false;
        *end = End::Open;
        *over = false;
        *interim = None;
        trailers.clear();
        notices.clear();
    }

    // ----- the head

    /// The fields that are to be sent. Once they are final, without those that may not be.
    pub fn fields(&self) -> &Headers {
        &self.fields
    }

    /// The fields, to be changed.
    ///
    /// # Errors
    /// [`RespondError::HeadWritten`], [`RespondError::Ended`].
    pub fn fields_mut(&mut self) -> Result<&mut Headers, RespondError> {
        self.before_head()?;
        Ok(&mut self.fields)
    }

    /// The status that is to be sent: 200 unless another was set.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Sets the status, which [`write_head`](Self::write_head) makes final.
    ///
    /// Too late it changes nothing, and is told as [`Notice::Superfluous`].
    ///
    /// # Errors
    /// [`RespondError::NotFinal`] for 1xx, [`RespondError::Ended`].
    pub fn set_status(&mut self, status: Status) -> Result<(), RespondError> {
        if status.is_informational() {
            return Err(RespondError::NotFinal);
        }
        if self.in_time(status)? {
            self.status = status;
        }
        Ok(())
    }

    /// Writes the head with this status: status and fields are final. It leaves with the body, or at a flush.
    ///
    /// A second call changes nothing, and is told as [`Notice::Superfluous`]. A 101 goes through here.
    ///
    /// # Errors
    /// [`RespondError::NotFinal`] for 1xx other than 101, [`RespondError::NoSwitchProposed`], [`RespondError::Ended`].
    pub fn write_head(&mut self, status: Status) -> Result<(), RespondError> {
        if status.is_informational() && status != Status::SWITCHING_PROTOCOLS {
            return Err(RespondError::NotFinal);
        }
        if !self.in_time(status)? {
            return Ok(());
        }
        if status == Status::SWITCHING_PROTOCOLS
            && !(self.facts.proposes == Switch::Upgrade && self.fields.contains("upgrade"))
        {
            return Err(RespondError::NoSwitchProposed);
        }
        self.status = status;
        self.freeze();
        Ok(())
    }

    /// Sends an interim response (1xx but 101), any number of them, as long as no final head was written. A client of
    /// HTTP/1.0 gets none.
    ///
    /// # Errors
    /// [`RespondError::NotInterim`], [`RespondError::HeadWritten`], [`RespondError::Ended`], [`RespondError::Full`] when the one
    /// before was not sent yet.
    pub fn inform(&mut self, status: Status, fields: Headers) -> Result<(), RespondError> {
        if !status.is_informational() || status == Status::SWITCHING_PROTOCOLS {
            return Err(RespondError::NotInterim);
        }
        self.before_head()?;
        if self.interim.is_some() {
            return Err(RespondError::Full);
        }
        self.interim = Some((status, fields));
        Ok(())
    }

    /// Whether a `Content-Type` that is not set is found from the first bytes ([`ResponderConfig::sniff`] says what holds
    /// without this call). Once the head is decided this changes nothing.
    pub fn set_sniff(&mut self, sniff: bool) {
        self.sniff = sniff;
    }

    // ----- the body

    /// Writes bytes of the body: takes as many as there is room for, and says how many. Fewer than there were means that
    /// what was taken has to be sent first ([`action`](Self::action)).
    ///
    /// # Errors
    /// [`RespondError::BodyNotAllowed`], [`RespondError::TooLong`], [`RespondError::Ended`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, RespondError> {
        self.may_write(bytes.len())?;
        if self.is_swallowing() {
            self.written += bytes.len() as u64;
            return Ok(bytes.len());
        }
        let room = self.room();
        let n = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..n]);
        self.written += n as u64;
        if n == bytes.len() {
            return Ok(n);
        }
        self.decide(false);
        self.push_on();
        if self.is_swallowing() {
            self.written += (bytes.len() - n) as u64;
            return Ok(bytes.len());
        }
        Ok(n)
    }

    /// Writes bytes of the body without copying them, unless they are few. All of them are taken, or none.
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`RespondError::Full`] when what was taken before has to be sent first.
    pub fn write_bytes(&mut self, bytes: Bytes) -> Result<(), RespondError> {
        self.may_write(bytes.len())?;
        let len = bytes.len() as u64;
        if self.is_swallowing() {
            // Counted only.
        } else if bytes.len() <= self.room() {
            self.buffer.extend_from_slice(&bytes);
        } else if !self.shared.is_empty() {
            return Err(RespondError::Full);
        } else {
            self.shared = bytes;
            self.decide(false);
            self.push_on();
        }
        self.written += len;
        Ok(())
    }

    /// Sends the head and what was written so far, without waiting for more. Nothing says that it has reached the
    /// client then.
    ///
    /// # Errors
    /// [`RespondError::Ended`].
    pub fn flush(&mut self) -> Result<(), RespondError> {
        self.may_write(0)?;
        self.decide(false);
        self.push_on();
        Ok(())
    }

    /// The number of bytes of the body that were accepted.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds a trailer line, at any time before the end. It need not be announced with a field `Trailer`; one that is known
    /// before the head leaves is announced by itself (RFC 9110, section 6.6.2).
    ///
    /// Trailers make a short body chunked. Where there is no place for them they are dropped at the end, and that is told as
    /// [`Notice::TrailersDropped`]; for HEAD and HTTP/1.0 silently, as it is not the handler's fault.
    ///
    /// # Errors
    /// [`RespondError::ForbiddenTrailer`], [`RespondError::InvalidField`], [`RespondError::Ended`].
    pub fn trailer(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), RespondError> {
        if self.end != End::Open {
            return Err(RespondError::Ended);
        }
        let name =
            FieldName::new(name.as_ref()).map_err(|e| RespondError::InvalidField(InvalidField::Name(e)))?;
        let value = FieldValue::new(value.as_ref())
            .map_err(|e| RespondError::InvalidField(InvalidField::Value(e)))?;
        let field = Field::new(name, value);
        // What a connection would refuse: the same for requests and responses.
        if ClientConn::check_body(BodyLen::Unknown, 0, &[field]).is_err() {
            return Err(RespondError::ForbiddenTrailer);
        }
        self.trailers.push(field).map_err(RespondError::InvalidField)
    }

    // ----- the end

    /// The handler is done. Fewer bytes than the `Content-Length` that it set: the response is given up behind them
    /// ([`AbortReason::TooShort`]).
    ///
    /// # Errors
    /// [`RespondError::Ended`].
    pub fn finish(&mut self) -> Result<(), RespondError> {
        self.may_write(0)?;
        self.decide(true);
        self.push_on();
        let prepared = self.prepared;
        self.end = match prepared.map(|p| p.body) {
            Some(BodyLen::Known(declared)) if declared > self.written && !self.facts.head => {
                End::Abort(AbortReason::TooShort {
                    declared,
                    written: self.written,
                })
            }
            _ => End::Finish,
        };
        if !self.trailers.is_empty() && prepared.is_some_and(|p| p.body != BodyLen::Unknown) {
            self.trailers.clear();
            if !self.facts.head {
                self.notice(Notice::TrailersDropped);
            }
        }
        Ok(())
    }

    /// Whether the connection has nothing of the response yet, so that another can take its place.
    pub fn can_replace(&self) -> bool {
        !self.head_sent && !self.over
    }

    /// Whether the handler's part is over: it finished, failed or gave up.
    pub fn is_ended(&self) -> bool {
        self.end != End::Open
    }

    /// Forgets what was set and written, so that another response can take its place. Notices stay.
    ///
    /// # Errors
    /// [`RespondError::HeadWritten`] if the connection has the head, [`RespondError::Ended`] if it has everything.
    pub fn start_over(&mut self) -> Result<(), RespondError> {
        if self.over {
            return Err(RespondError::Ended);
        }
        if self.head_sent {
            return Err(RespondError::HeadWritten);
        }
        let notices = core::mem::take(&mut self.notices);
        self.restart(self.facts);
        self.notices = notices;
        Ok(())
    }

    /// The handler failed: a response of which the connection has nothing is replaced by a 500, which closes the connection if
    /// `close` says so; another one is given up. Says whether it was replaced.
    pub fn fail(&mut self, close: bool) -> bool {
        if self.start_over().is_err() {
            self.abort(AbortReason::Handler);
            return false;
        }
        if close {
            // A valid line: it is not refused.
            let _ = self.fields.append("Connection", "close");
        }
        let status = Status::INTERNAL_SERVER_ERROR;
        // Nothing was written: it is neither too late nor too long.
        let _ = self.error(status, status.reason());
        let _ = self.finish();
        true
    }

    /// Gives the response up: what the connection does not have yet is dropped, and the connection closes. Too late, when all
    /// of it was sent, this does nothing.
    pub fn abort(&mut self, reason: AbortReason) {
        self.end = End::Abort(reason);
        self.interim = None;
        self.let_go();
        if !self.head_sent {
            self.prepared = None;
        }
    }

    /// Takes the oldest notice. Of a single response at most 8 are kept.
    pub fn take_notice(&mut self) -> Option<Notice> {
        (!self.notices.is_empty()).then(|| self.notices.remove(0))
    }

    fn notice(&mut self, notice: Notice) {
        if self.notices.len() < NOTICES {
            self.notices.push(notice);
        }
    }

    fn before_head(&self) -> Result<(), RespondError> {
        if self.end != End::Open {
            Err(RespondError::Ended)
        } else if self.ruling.is_some() {
            Err(RespondError::HeadWritten)
        } else {
            Ok(())
        }
    }

    /// Whether a status can still be set; tells if not.
    fn in_time(&mut self, second: Status) -> Result<bool, RespondError> {
        match self.before_head() {
            Ok(()) => Ok(true),
            Err(RespondError::HeadWritten) => {
                let first = self.status;
                self.notice(Notice::Superfluous { first, second });
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Makes status and fields final.
    fn freeze(&mut self) -> Ruling {
        if let Some(ruling) = self.ruling {
            return ruling;
        }
        let ruling = Ruling::of(self.status, &mut self.fields, self.facts);
        self.ruling = Some(ruling);
        if let Some(notice) = ruling.notice {
            self.notice(notice);
        }
        ruling
    }

    /// Whether `len` more bytes may be written. Writing makes the head final.
    fn may_write(&mut self, len: usize) -> Result<(), RespondError> {
        if self.end != End::Open {
            return Err(RespondError::Ended);
        }
        let ruling = self.freeze();
        if len == 0 {
            return Ok(());
        }
        if !ruling.content {
            return Err(RespondError::BodyNotAllowed { status: self.status });
        }
        match ruling.framing {
            Framing::Length(declared) if declared.saturating_sub(self.written) < len as u64 => {
                Err(RespondError::TooLong { declared })
            }
            _ => Ok(()),
        }
    }

    /// Decides how the head is sent, once. `whole`: what is in the buffer is all of the body.
    fn decide(&mut self, whole: bool) {
        let ruling = self.freeze();
        if self.prepared.is_some() {
            return;
        }
        let trailers = !self.trailers.is_empty() || self.fields.contains("trailer");
        let body = match self.buffer.len() {
            _ if !whole || trailers => BodyLen::Unknown,
            // Nothing was written for a HEAD: that says nothing of what a GET would get.
            0 if self.facts.head => BodyLen::None,
            n => BodyLen::Known(n as u64),
        };
        let mut joined = [0; sniff::LOOKED_AT];
        let start = if !self.sniff {
            &[]
        } else if self.shared.is_empty() || self.buffer.len() >= sniff::LOOKED_AT {
            &self.buffer[..]
        } else {
            let (from, n) = (self.buffer.len(), self.shared.len());
            let to = sniff::LOOKED_AT.min(from + n);
            joined[..from].copy_from_slice(&self.buffer);
            joined[from..to].copy_from_slice(&self.shared[..to - from]);
            &joined[..to]
        };
        let prepared = ruling.prepared(body, start, self.facts);
        self.prepared = Some(prepared);
        if prepared.body == BodyLen::Unknown && prepared.sends_body {
            self.announce();
        }
        if self.facts.head {
            self.let_go();
        }
    }

    /// "A sender that intends to generate one or more trailer fields in a message SHOULD generate a Trailer header field in
    /// the header section of that message to indicate which fields might be present in the trailers." (RFC 9110, section
    /// 6.6.2)
    fn announce(&mut self) {
        if self.trailers.is_empty() || self.facts.http10 || self.fields.contains("trailer") {
            return;
        }
        let mut names: Vec<u8> = Vec::new();
        for field in &self.trailers {
            if !names.is_empty() {
                names.extend_from_slice(b", ");
            }
            names.extend_from_slice(field.name.as_bytes());
        }
        // Tokens and commas are a valid value.
        let _ = self.fields.append("Trailer", names);
    }

    /// Whether the body of a HEAD is only counted by now.
    fn is_swallowing(&self) -> bool {
        self.facts.head && self.prepared.is_some()
    }

    /// How many bytes the buffer takes.
    fn room(&self) -> usize {
        if self.shared.is_empty() {
            let limit = self.config.buffer.max(sniff::LOOKED_AT);
            limit.saturating_sub(self.buffer.len())
        } else {
            0
        }
    }

    /// What is there is to be sent.
    fn push_on(&mut self) {
        self.push = self.at < self.buffer.len();
    }

    /// Lets go of the body that is not sent yet.
    fn let_go(&mut self) {
        self.buffer.clear();
        self.at = 0;
        self.shared = Bytes::new();
        self.push = false;
    }
}
