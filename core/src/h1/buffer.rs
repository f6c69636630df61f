//! [`Buffer`], the storage of one connection, and the receive buffer inside it.
//!
//! Everything that grows lives here, behind one pointer: lending and reclaiming move that pointer, and an idle
//! connection holds none.

use super::head::HeadStore;
use super::output::Output;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// A connection's buffers (received bytes, head, trailers, output), lent to it while it needs them.
///
/// Make as many as there are connections busy at once, keep them in a bounded free list, lend one when
/// `needs_buffer` says so and bytes have come, and take it back with `reclaim`. One costs about 10 KiB once
/// used (the receive buffer starts at [`Limits::recv_buffer`](super::Limits::recv_buffer), 8 KiB), and more
/// after large heads or bodies; `shrink` brings it back.
pub struct Buffer(pub(crate) Box<Buffers>);

impl Buffer {
    /// An empty buffer; it takes its memory when it is first used.
    pub fn new() -> Buffer {
        Buffer(Box::default())
    }

    /// How many bytes it holds on to.
    pub fn capacity(&self) -> usize {
        self.0.recv.data.capacity()
            + self.0.head.capacity()
            + self.0.trailers.capacity()
            + self.0.out.capacity()
    }

    /// Gives memory back if it holds on to more than `most` bytes.
    pub fn shrink(&mut self, most: usize) {
        if self.capacity() > most {
            *self.0 = Buffers::default();
        }
    }
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer::new()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("capacity", &self.capacity())
            .finish()
    }
}

#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) recv: RecvBuf,
    pub(crate) head: HeadStore,
    pub(crate) trailers: HeadStore,
    pub(crate) out: Output,
}

/// Received bytes: `data[start..end]` is unread, all of `data` is initialised.
#[derive(Default)]
pub(crate) struct RecvBuf {
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read filled the space it was given, so a larger one pays.
    filled: bool,
}

impl RecvBuf {
    pub(crate) fn unread(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// The size of the storage.
    pub(crate) fn size(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The unread bytes and whatever initialised memory follows them.
    pub(crate) fn unread_and_beyond(&self) -> &[u8] {
        &self.data[self.start..]
    }

    #[inline]
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Whether `space` would give at least one byte when the buffer may grow to `most`.
    /// `whole`: the unread bytes must be kept in one piece and be able to reach `most` (a head).
    #[inline]
    pub(crate) fn has_room(&self, most: usize, whole: bool) -> bool {
        self.has_end() || self.data.len() < most || self.may_move(whole)
    }

    /// Whether so much is free in front of the unread bytes that moving them there costs no more than the bytes that
    /// were used up since the last move: at least half, or anything for a head, which moves once.
    #[inline]
    fn may_move(&self, whole: bool) -> bool {
        self.start > 0 && (whole || self.start >= self.data.len() / 2)
    }

    /// Whether there is space behind the unread bytes.
    #[inline]
    pub(crate) fn has_end(&self) -> bool {
        self.end < self.data.len()
    }

    /// Whether there is space behind the unread bytes that needs no arranging.
    #[inline]
    pub(crate) fn has_tail(&self) -> bool {
        self.end < self.data.len() && !self.filled
    }

    #[inline]
    pub(crate) fn tail(&mut self) -> &mut [u8] {
        &mut self.data[self.end..]
    }

    /// The first `n` bytes (or fewer) of the space to read into.
    #[cfg(feature = "trace")]
    pub(crate) fn peek_tail(&self, n: usize) -> &[u8] {
        &self.data[self.end..self.data.len().min(self.end.saturating_add(n))]
    }

    /// What a buffer that is lent brings along: its size, and whether its last read filled it.
    #[cfg(feature = "trace")]
    pub(crate) fn shape(&self) -> (usize, bool) {
        (self.data.len(), self.filled)
    }

    #[cfg(feature = "trace")]
    pub(crate) fn with_shape(size: usize, filled: bool) -> RecvBuf {
        RecvBuf {
            data: alloc::vec![0; size],
            filled,
            ..RecvBuf::default()
        }
    }

    /// Space to read into: `first` bytes at first, and no more than `most` in all (or `first`, if that is larger).
    #[inline]
    pub(crate) fn space(&mut self, first: usize, most: usize, whole: bool) -> &mut [u8] {
        let grows = self.filled && self.data.len() < most;
        if grows || !self.has_end() {
            self.make_room(first, most.max(first), whole, grows);
        }
        &mut self.data[self.end..]
    }

    /// Moves the unread bytes to the front, or else grows. The cost stays linear in the bytes received: see `may_move`,
    /// and a growth doubles.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, first: usize, most: usize, whole: bool, grows: bool) {
        self.filled = false;
        if !grows && self.may_move(whole) {
            self.data.copy_within(self.start..self.end, 0);
        } else if self.data.len() < most {
            let size = (self.data.len() * 2).max(first).min(most);
            let mut grown = Vec::with_capacity(size);
            grown.extend_from_slice(self.unread());
            grown.resize(size, 0);
            self.data = grown;
        } else {
            return;
        }
        self.end -= self.start;
        self.start = 0;
    }

    /// `n` bytes were written to the space; `false` if that is more than it had.
    #[inline]
    pub(crate) fn received(&mut self, n: usize) -> bool {
        let room = self.data.len() - self.end;
        if n > room {
            return false;
        }
        self.filled = n == room;
        self.end += n;
        true
    }

    /// Takes the storage with the unread bytes at `start..`, leaving an empty buffer behind; the first `n` of
    /// them are the caller's, the rest is copied back.
    pub(crate) fn take_storage(&mut self, n: usize, first: usize) -> (Vec<u8>, usize) {
        let rest = self.end - self.start - n;
        let size = first.max(rest);
        let mut fresh = Vec::with_capacity(size);
        fresh.extend_from_slice(&self.data[self.start + n..self.end]);
        fresh.resize(size, 0);
        let start = self.start;
        let data = core::mem::replace(&mut self.data, fresh);
        self.start = 0;
        self.end = rest;
        (data, start)
    }
}
