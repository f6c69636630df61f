//! What a driver does for a [`Responder`]: one [`Action`] after the other; and [`Responder::drive`], which does it all for a
//! [`ServerConn`].

use super::error::{AbortReason, WriteError};
use super::prepare::{Prepared, SendFields};
use super::{End, Responder};
use crate::h1::{BodyLen, ExchangeId, Misuse, ServerConn};
use crate::server::sniff;
use crate::{Field, Headers, Status};
use bytes::Bytes;

/// What is to be done next on the connection. It stays what it is until it is reported with [`Responder::done`] or
/// [`Responder::sent`], or the handler gives the response up.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums)]
pub enum Action<'a> {
    /// Nothing: it is the handler's turn.
    Wait,
    /// Send an interim response.
    Interim {
        /// 1xx, but not 101.
        status: Status,
        /// Its fields.
        fields: &'a Headers,
    },
    /// Send the final head.
    Head(HeadToSend<'a>),
    /// Send bytes of the body: all of these or some.
    Body(Content<'a>),
    /// End the body.
    Finish {
        /// The trailer section, empty unless the body is chunked.
        trailers: &'a Headers,
    },
    /// Close the connection, so that the response does not look whole.
    Abort(AbortReason),
    /// Nothing any more.
    Over,
}

/// Bytes of the body.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums)]
pub enum Content<'a> {
    /// They have to be copied.
    Borrowed(&'a [u8]),
    /// They can be kept.
    Shared(&'a Bytes),
}

impl Content<'_> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Content::Borrowed(bytes) => bytes,
            Content::Shared(bytes) => bytes,
        }
    }
}

/// The final head.
#[derive(Clone, Copy, Debug)]
pub struct HeadToSend<'a> {
    status: Status,
    prepared: Prepared,
    fields: &'a Headers,
}

impl<'a> HeadToSend<'a> {
    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The framing. With [`BodyLen::None`] the response is complete with its head, and no [`Action::Finish`] follows.
    pub fn body(&self) -> BodyLen {
        self.prepared.body
    }

    /// The lines, with `Date` if one is given and due.
    pub fn fields(&self, date: Option<Field<'a>>) -> SendFields<'a> {
        self.prepared.fields(self.fields, date)
    }
}

/// How far [`Responder::drive`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Progress {
    /// The connection has all that there is: it is the handler's turn.
    Waiting,
    /// The connection's output is full: write, then go on.
    Full,
    /// The connection has the whole response, or was told to close.
    Over,
}

impl Responder {
    /// What is to be done next.
    pub fn action(&self) -> Action<'_> {
        if self.over {
            return Action::Over;
        }
        if let Some((status, fields)) = &self.interim {
            return Action::Interim {
                status: *status,
                fields,
            };
        }
        match self.prepared {
            Some(prepared) if !self.head_sent => {
                return Action::Head(HeadToSend {
                    status: self.status,
                    prepared,
                    fields: &self.fields,
                });
            }
            // It ended with its head.
            Some(prepared) if prepared.body == BodyLen::None && self.end != End::Open => return Action::Over,
            Some(_) if self.push => return Action::Body(Content::Borrowed(&self.buffer[self.at..])),
            Some(_) if !self.shared.is_empty() => return Action::Body(Content::Shared(&self.shared)),
            _ => {}
        }
        match self.end {
            End::Open => Action::Wait,
            End::Finish => Action::Finish {
                trailers: &self.trailers,
            },
            End::Abort(reason) => Action::Abort(reason),
        }
    }

    /// The action was carried out, wholly.
    pub fn done(&mut self) {
        match self.action() {
            Action::Wait | Action::Over => {}
            Action::Interim { .. } => self.interim = None,
            Action::Head(_) => self.head_sent = true,
            Action::Body(content) => {
                let n = content.as_slice().len();
                self.advance(n);
            }
            Action::Finish { .. } | Action::Abort(_) => self.over = true,
        }
    }

    /// The next `n` bytes of an [`Action::Body`] were handed to the connection.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`] if there were not as many; nothing has changed.
    pub fn sent(&mut self, n: usize) -> Result<(), Misuse> {
        let there = match self.action() {
            Action::Body(content) => content.as_slice().len(),
            _ => 0,
        };
        if n > there {
            return Err(Misuse::TooMuch);
        }
        self.advance(n);
        Ok(())
    }

    fn advance(&mut self, n: usize) {
        if !self.push {
            let _ = self.shared.split_to(n);
            return;
        }
        self.at += n;
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
            self.push = false;
        }
    }

    /// Whether the connection has the whole response, or was told to close.
    pub fn is_over(&self) -> bool {
        matches!(self.action(), Action::Over)
    }

    /// Does on this connection what there is to do, as far as there is room. `date` is the line `Date` for this second
    /// ([`DateCache::field`](crate::server::DateCache::field)); `None` for a server without a clock.
    ///
    /// Call it when the handler has done something, and when output has left. Then drain
    /// [`ServerConn::next_event`].
    ///
    /// # Errors
    /// What the connection says: most often that the exchange is over (the client left, a deadline passed). The
    /// action stays undone.
    pub fn drive(
        &mut self,
        conn: &mut ServerConn,
        id: ExchangeId,
        date: Option<Field<'_>>,
    ) -> Result<Progress, Misuse> {
        loop {
            // What `done` does is done here at once, without asking for the action again.
            let result = match self.action() {
                Action::Wait => return Ok(Progress::Waiting),
                Action::Over => return Ok(Progress::Over),
                Action::Interim { status, fields } => {
                    let result = conn.send_interim(id, status, fields);
                    if result.is_ok() {
                        self.interim = None;
                    }
                    result
                }
                Action::Head(head) => {
                    let result = conn.send_head(id, head.status(), &head.fields(date), head.body());
                    self.head_sent = result.is_ok();
                    result
                }
                Action::Body(Content::Shared(bytes)) => {
                    let n = bytes.len();
                    let result = conn.send_body(id, bytes.clone());
                    if result.is_ok() {
                        self.advance(n);
                    }
                    result
                }
                Action::Body(Content::Borrowed(bytes)) => {
                    let result = conn.send_body_copy(id, bytes);
                    result.map(|n| self.advance(n))
                }
                Action::Finish { trailers } => {
                    let result = conn.finish(id, trailers);
                    self.over = result.is_ok();
                    result
                }
                Action::Abort(_) => {
                    let result = conn.abort(id);
                    self.over = result.is_ok();
                    result
                }
            };
            match result {
                Ok(()) => {}
                Err(Misuse::Full) => return Ok(Progress::Full),
                Err(e) => return Err(e),
            }
        }
    }

    /// [`write`](Responder::write) and [`drive`](Responder::drive) in one: many bytes go to the connection without being
    /// held here. Says how many were taken; fewer than there were means that the connection's output is full.
    ///
    /// # Errors
    /// [`WriteError::Refused`] as `write`, [`WriteError::Connection`] as `drive`.
    pub fn write_to(
        &mut self,
        conn: &mut ServerConn,
        id: ExchangeId,
        bytes: &[u8],
        date: Option<Field<'_>>,
    ) -> Result<usize, WriteError> {
        let mut taken = self.write(bytes)?;
        if taken == bytes.len() {
            return Ok(taken);
        }
        if self.drive(conn, id, date)? == Progress::Full {
            return Ok(taken);
        }
        let rest = &bytes[taken..];
        if rest.len() <= self.config.buffer.max(sniff::LOOKED_AT) {
            taken += self.write(rest)?;
            return Ok(taken);
        }
        match conn.send_body_copy(id, rest) {
            Ok(n) => {
                self.written += n as u64;
                Ok(taken + n)
            }
            Err(Misuse::Full) => Ok(taken),
            Err(e) => Err(e.into()),
        }
    }
}
