//! The queue of bytes to be written: a reused arena for heads, chunk framing and small bodies, shared `Bytes`
//! for large ones, and markers for bodies that the driver writes itself.

use super::error::Misuse;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// Bodies up to this size are copied to the arena, so that a small message leaves in one contiguous write.
const COPY: usize = 2048;

enum Segment {
    /// So many bytes of the arena, after those of earlier segments.
    Arena(usize),
    Shared(Bytes),
    /// So many bytes that the driver writes itself.
    External(u64),
}

/// See the module's description. Invariant: `arena[sent..]` holds the arena segments in order, then the tail.
#[derive(Default)]
pub(crate) struct Output {
    arena: Vec<u8>,
    /// Arena bytes already written.
    sent: usize,
    /// Where the arena bytes begin that stand behind the last segment.
    tail: usize,
    segments: VecDeque<Segment>,
    /// Bytes that `take` handed out and `sent` has not yet reported.
    taken: u64,
    /// Bytes that were taken when everything queued was dropped: they may still be reported.
    lost: u64,
    /// All queued bytes, those taken included.
    queued: u64,
}

impl Output {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queued == 0
    }

    pub(crate) fn queued(&self) -> u64 {
        self.queued
    }

    pub(crate) fn capacity(&self) -> usize {
        self.arena.capacity() + self.segments.capacity() * size_of::<Segment>()
    }

    /// Whether something can be written now (what was taken is being written elsewhere).
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.queued > 0 && self.taken == 0
    }

    /// The arena with room for `n` more bytes; what is appended counts after [`Output::wrote`].
    #[inline]
    pub(crate) fn arena(&mut self, n: usize) -> &mut Vec<u8> {
        if self.sent > 4096 && self.sent >= self.arena.len() / 2 {
            self.arena.drain(..self.sent);
            self.tail = self.tail.saturating_sub(self.sent);
            self.sent = 0;
        }
        self.arena.reserve(n);
        &mut self.arena
    }

    #[inline]
    pub(crate) fn wrote(&mut self, n: usize) {
        self.queued += n as u64;
    }

    #[inline]
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.arena(bytes.len()).extend_from_slice(bytes);
        self.wrote(bytes.len());
    }

    pub(crate) fn share(&mut self, bytes: Bytes) {
        if bytes.len() <= COPY {
            return self.copy(&bytes);
        }
        self.close_tail();
        self.queued += bytes.len() as u64;
        self.segments.push_back(Segment::Shared(bytes));
    }

    pub(crate) fn external(&mut self, len: u64) {
        if len > 0 {
            self.close_tail();
            self.queued += len;
            self.segments.push_back(Segment::External(len));
        }
    }

    fn close_tail(&mut self) {
        // Bytes of the tail may have been written already.
        let n = self.arena.len() - self.tail.max(self.sent);
        if n > 0 {
            self.segments.push_back(Segment::Arena(n));
            self.tail = self.arena.len();
        }
    }

    /// Drops everything that is queued.
    pub(crate) fn clear(&mut self) {
        self.arena.clear();
        self.segments.clear();
        self.sent = 0;
        self.tail = 0;
        self.queued = 0;
        self.lost += core::mem::take(&mut self.taken);
    }

    /// The buffer leaves its connection: what was taken from it is not the next one's to report.
    pub(crate) fn forget(&mut self) {
        self.lost = 0;
    }

    pub(crate) fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            out: self.is_ready().then_some(self),
        }
    }

    /// Marks `n` bytes as written.
    #[inline]
    pub(crate) fn sent(&mut self, n: u64) -> Result<(), Misuse> {
        if self.segments.is_empty() && self.taken == 0 && self.lost == 0 {
            let left = self.arena.len() - self.sent;
            if n > left as u64 {
                return Err(Misuse::TooMuch);
            }
            self.sent += n as usize;
            self.queued -= n;
            if self.queued == 0 {
                self.arena.clear();
                self.sent = 0;
                self.tail = 0;
            }
            return Ok(());
        }
        self.sent_segments(n)
    }

    /// How many bytes `outgoing` shows: up to an external body, or that body if it comes first.
    fn sendable(&self) -> u64 {
        if self.taken > 0 {
            return self.taken;
        }
        let mut n = 0;
        let mut at = self.sent;
        for segment in &self.segments {
            match segment {
                Segment::Arena(len) => {
                    at += len;
                    n += *len as u64;
                }
                Segment::Shared(bytes) => n += bytes.len() as u64,
                Segment::External(len) => return if n == 0 { *len } else { n },
            }
        }
        n + (self.arena.len() - at) as u64
    }

    #[inline(never)]
    fn sent_segments(&mut self, mut n: u64) -> Result<(), Misuse> {
        if self.queued == 0 && n <= self.lost {
            self.lost -= n;
            return Ok(());
        }
        if n > self.sendable() {
            return Err(Misuse::TooMuch);
        }
        self.queued -= n;
        if self.taken > 0 {
            self.taken -= n;
            return Ok(());
        }
        while n > 0 {
            let Some(first) = self.segments.front_mut() else {
                self.sent += n as usize;
                break;
            };
            let took = match first {
                Segment::Arena(len) => {
                    let took = n.min(*len as u64);
                    *len -= took as usize;
                    self.sent += took as usize;
                    (took, *len == 0)
                }
                Segment::Shared(bytes) => {
                    let took = n.min(bytes.len() as u64);
                    bytes::Buf::advance(bytes, took as usize);
                    (took, bytes.is_empty())
                }
                Segment::External(len) => {
                    let took = n.min(*len);
                    *len -= took;
                    (took, *len == 0)
                }
            };
            n -= took.0;
            if took.1 {
                self.segments.pop_front();
            }
        }
        if self.queued == 0 {
            self.arena.clear();
            self.sent = 0;
            self.tail = 0;
        }
        Ok(())
    }

    /// Takes what comes before the next external body.
    pub(crate) fn take(&mut self) -> Option<Segments> {
        if !self.is_ready() {
            return None;
        }
        self.close_tail();
        let mut parts = VecDeque::new();
        let mut len = 0u64;
        while let Some(segment) = self.segments.pop_front() {
            match segment {
                Segment::Arena(n) => {
                    parts.push_back(Bytes::copy_from_slice(&self.arena[self.sent..self.sent + n]));
                    self.sent += n;
                    len += n as u64;
                }
                Segment::Shared(bytes) => {
                    len += bytes.len() as u64;
                    parts.push_back(bytes);
                }
                Segment::External(_) => {
                    self.segments.push_front(segment);
                    break;
                }
            }
        }
        if self.sent == self.arena.len() {
            self.arena.clear();
            self.sent = 0;
            self.tail = 0;
        }
        self.taken = len;
        (len > 0).then_some(Segments { parts, len })
    }

    /// Everything that is queued in memory, for `into_parts`.
    pub(crate) fn into_unsent(mut self) -> Bytes {
        self.taken = 0;
        self.close_tail();
        let mut all = Vec::new();
        let mut at = self.sent;
        for segment in &self.segments {
            match segment {
                Segment::Arena(n) => {
                    all.extend_from_slice(&self.arena[at..at + n]);
                    at += n;
                }
                Segment::Shared(bytes) => all.extend_from_slice(bytes),
                Segment::External(_) => break,
            }
        }
        all.into()
    }
}

/// What is to be written now, in order: slices, perhaps then a body that the driver writes itself.
///
/// Write any part of it, report the number of bytes with `sent`, and look again.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    out: Option<&'a Output>,
}

impl<'a> Outgoing<'a> {
    pub(crate) const NOTHING: Outgoing<'static> = Outgoing { out: None };

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.out.is_none()
    }

    /// The first slice; empty if there is none, or if an external body comes first.
    pub fn first(&self) -> &'a [u8] {
        let Some(out) = self.out else { return &[] };
        match out.segments.front() {
            None => &out.arena[out.sent..],
            Some(Segment::Arena(n)) => &out.arena[out.sent..out.sent + n],
            Some(Segment::Shared(bytes)) => bytes,
            Some(Segment::External(_)) => &[],
        }
    }

    /// Fills `into` with slices, in order, and returns how many: all that fit, up to an external body.
    pub fn slices(&self, into: &mut [&'a [u8]]) -> usize {
        let Some(out) = self.out else { return 0 };
        let mut count = 0;
        let mut at = out.sent;
        for segment in &out.segments {
            if count == into.len() {
                return count;
            }
            into[count] = match segment {
                Segment::Arena(n) => {
                    at += n;
                    &out.arena[at - n..at]
                }
                Segment::Shared(bytes) => bytes,
                Segment::External(_) => return count,
            };
            count += 1;
        }
        if count < into.len() && at < out.arena.len() {
            into[count] = &out.arena[at..];
            count += 1;
        }
        count
    }

    /// When an external body comes first: how many of its bytes are left for the driver to write.
    pub fn external(&self) -> Option<u64> {
        match self.out?.segments.front() {
            Some(Segment::External(n)) => Some(*n),
            _ => None,
        }
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("queued", &self.out.map_or(0, |o| o.queued))
            .finish()
    }
}

/// Owned output, for completion I/O: write all of it, in order, and report the bytes with `sent`, at once or as
/// they go. Until then `outgoing` gives nothing.
pub struct Segments {
    parts: VecDeque<Bytes>,
    len: u64,
}

impl Segments {
    /// The number of bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.len
    }
}

impl Iterator for Segments {
    type Item = Bytes;
    fn next(&mut self) -> Option<Bytes> {
        self.parts.pop_front()
    }
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments").field("len", &self.len).finish()
    }
}
