//! Connection machines that write down all that goes in and comes out: [`Traced`].
//!
//! A trace is one line of JSON for every call that may change a machine (with its arguments: bytes, times,
//! commands) and for every consequence of it: the event told, the call refused, the decision taken with its reason, the
//! timer armed, changed, stopped or fired, the change in what the driver should do. From the calls alone the same
//! machine can be run again and must write the same lines; `docs/trace.md` in the repository describes the format.
//!
//! ```
//! use antiphon_core::Instant;
//! use antiphon_core::h1::trace::{Redact, Traced};
//! use antiphon_core::h1::{ServerConfig, ServerConn};
//! use std::sync::mpsc;
//!
//! let (lines, trace) = mpsc::channel();
//! let mut conn = Traced::<ServerConn>::new(ServerConfig::DEFAULT.into(), Instant::ZERO);
//! conn.set_observer(move |line: &str| lines.send(line.to_owned()).unwrap(), Redact::Nothing);
//! conn.received_copy(b"GET / HTTP/1.0\r\n\r\n", Instant::ZERO);
//! conn.next_event()?;
//!
//! let trace: Vec<String> = trace.try_iter().collect();
//! assert!(trace[0].starts_with(r#"{"trace":1,"machine":"server","now":0,"#));
//! assert_eq!(trace[1], r#"{"in":"received_copy","now":0,"bytes":"GET / HTTP/1.0\r\n\r\n"}"#);
//! assert!(trace.contains(&r#"{"decision":"close","reason":"Http10"}"#.to_owned()));
//! # Ok::<(), antiphon_core::h1::PeerError>(())
//! ```
//!
//! # Why a wrapper
//!
//! The machines themselves hold no observer: no field and no branch of theirs has to do with this module, and
//! watching cannot change what they do. [`Traced`] has all their methods: those that
//! change nothing by `Deref`, the others by name and recorded. It does not implement `DerefMut`, so that no call
//! can go past the record: a method that is missing here does not compile in its user. Without an observer a
//! `Traced` costs a branch for each call and a pointer.
//!
//! # Secrets
//!
//! A trace holds every byte, credentials included: that is what makes it replayable. With [`Redact::Credentials`]
//! the values of `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie` become asterisks, of the same
//! length, wherever they pass; the first line says so. Bodies, targets and other fields are not masked.
//!
//! # Files
//!
//! Here: the types. `calls.rs`: the methods of the machines; `lines.rs`: the lines that they share. `seen.rs`: what a
//! call did. `words.rs`, `json.rs`: how it is written. `mask.rs`: credentials in raw bytes.

mod calls;
mod json;
mod lines;
mod mask;
mod seen;
mod words;

use self::json::Line;
use self::mask::Mask;
use self::seen::Look;
use super::buffer::{Buffer, Buffers, RecvBuf};
use super::event::ExchangeId;
use crate::Instant;
use alloc::boxed::Box;
use core::fmt;
use core::ops::Deref;

/// Takes the lines of a trace, in order. Implemented by `FnMut(&str)`.
pub trait Observer {
    /// One line, without its line end. A call's line comes before the machine sees the call, so that one which panics is
    /// the last in the trace.
    fn line(&mut self, line: &str);
}

impl<F: FnMut(&str)> Observer for F {
    fn line(&mut self, line: &str) {
        self(line);
    }
}

/// What is left out of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redact {
    /// Nothing: the trace can be replayed byte for byte, and holds every secret.
    Nothing,
    /// Values of `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie`: asterisks of the same length.
    Credentials,
}

/// A [`ServerConn`](super::ServerConn) or [`ClientConn`](super::ClientConn) that can be watched: the same
/// methods, with the same results. See the [module's description](self).
pub struct Traced<M> {
    machine: M,
    tap: Option<Box<Tap>>,
    born: Instant,
    /// A call was made that no observer saw.
    missed: bool,
}

/// Where the lines go.
struct Tap {
    observer: Box<dyn Observer + Send>,
    masks: bool,
    received: Mask,
    written: Mask,
}

impl Tap {
    fn line(&mut self, members: impl FnOnce(&mut Line)) {
        let mut line = Line::new();
        members(&mut line);
        self.observer.line(&line.end());
    }

    /// The bytes as they may be shown, in the order in which they pass.
    fn shown(mask: &mut Mask, masks: bool, bytes: &[u8]) -> alloc::vec::Vec<u8> {
        let show = |&b| if masks { mask.pass(b) } else { b };
        bytes.iter().map(show).collect()
    }
}

impl<M> Deref for Traced<M> {
    type Target = M;
    fn deref(&self) -> &M {
        &self.machine
    }
}

impl<M: fmt::Debug> fmt::Debug for Traced<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.fmt(f)
    }
}

// `Look` is a matter of this module; what implements it, and nothing else, is named in the types' documentation.
#[allow(private_bounds)]
impl<M: Look> Traced<M> {
    /// The machine, watched no longer.
    pub fn into_inner(self) -> M {
        self.machine
    }

    /// Writes the call down, makes it, and writes its consequences down.
    fn call<R>(
        &mut self,
        before: impl FnOnce(&M, &mut Tap),
        call: impl FnOnce(&mut M) -> R,
        after: impl FnOnce(&M, &R, &mut Tap),
    ) -> R {
        let Some(tap) = &mut self.tap else {
            self.missed = true;
            return call(&mut self.machine);
        };
        before(&self.machine, tap);
        let seen = self.machine.seen();
        let result = call(&mut self.machine);
        after(&self.machine, &result, tap);
        seen.compare(&self.machine.seen(), tap);
        result
    }
}

/// The id with this number, for replaying a trace: it names the exchange that had it when the trace was recorded.
pub const fn exchange_id(number: u32) -> ExchangeId {
    ExchangeId(number)
}

/// The number of an id, as traces show it.
pub const fn exchange_number(id: ExchangeId) -> u32 {
    id.0
}

/// A buffer as it was when it was lent, for replaying a trace: how much a machine reads at once depends on it.
pub fn lent_buffer(size: usize, filled: bool) -> Buffer {
    Buffer(Box::new(Buffers {
        recv: RecvBuf::with_shape(size, filled),
        ..Buffers::default()
    }))
}
