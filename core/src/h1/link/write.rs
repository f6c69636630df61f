//! Bodies going out.

use super::{Link, Sending};
use crate::FieldLines;
use crate::h1::config::Limits;
use crate::h1::encode::{self};
use crate::h1::error::Misuse;
use bytes::Bytes;

impl Link {
    #[inline]
    pub(crate) fn send_capacity(&self, limits: &Limits) -> usize {
        let queued = self.buf.as_ref().map_or(0, |b| b.out.queued());
        limits
            .send_max()
            .saturating_sub(usize::try_from(queued).unwrap_or(usize::MAX))
    }

    /// Whether less is queued than may be.
    #[inline]
    pub(crate) fn has_send_room(&self, limits: &Limits) -> bool {
        self.buf
            .as_ref()
            .is_none_or(|b| b.out.queued() < limits.send_max() as u64)
    }

    /// Checks that `len` more body bytes may be sent, and counts them.
    #[inline]
    pub(super) fn take_share(&mut self, len: u64) -> Result<(), Misuse> {
        match &mut self.sending {
            Sending::Nothing => Err(Misuse::BodyFinished),
            Sending::Length(left) => {
                *left = left.checked_sub(len).ok_or(Misuse::BodyTooLong)?;
                Ok(())
            }
            Sending::Chunked | Sending::UntilClose | Sending::Suppressed => Ok(()),
        }
    }

    pub(crate) fn send_body(&mut self, bytes: Bytes, limits: &Limits) -> Result<(), Misuse> {
        let len = bytes.len() as u64;
        if len > 0 && !self.has_send_room(limits) && self.sending != Sending::Suppressed {
            return Err(Misuse::Full);
        }
        self.take_share(len)?;
        let sending = self.sending;
        if len == 0 || sending == Sending::Suppressed {
            return Ok(());
        }
        let out = &mut self.buffers().out;
        if sending == Sending::Chunked {
            encode::chunk_size(out, len);
            out.share(bytes);
            out.copy(b"\r\n");
        } else {
            out.share(bytes);
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn send_body_copy(&mut self, bytes: &[u8], limits: &Limits) -> Result<usize, Misuse> {
        // A small body of known length goes straight to the arena.
        if let (Sending::Length(left), Some(b)) = (&mut self.sending, &mut self.buf)
            && bytes.len() as u64 <= *left
            && b.out.queued() + bytes.len() as u64 <= limits.send_max() as u64
        {
            *left -= bytes.len() as u64;
            b.out.copy(bytes);
            return Ok(bytes.len());
        }
        self.send_some(bytes, limits)
    }

    #[inline(never)]
    pub(super) fn send_some(&mut self, bytes: &[u8], limits: &Limits) -> Result<usize, Misuse> {
        if self.sending == Sending::Suppressed {
            return Ok(bytes.len());
        }
        let mut room = self.send_capacity(limits);
        if self.sending == Sending::Chunked {
            // A chunk's framing counts too.
            room = room.saturating_sub(20);
        }
        let n = bytes.len().min(room);
        if n == 0 && !bytes.is_empty() && self.sending != Sending::Nothing {
            return Err(Misuse::Full);
        }
        if let Sending::Length(left) = self.sending
            && bytes.len() as u64 > left
        {
            return Err(Misuse::BodyTooLong);
        }
        self.take_share(n as u64)?;
        if n == 0 {
            return Ok(0);
        }
        let chunked = self.sending == Sending::Chunked;
        let out = &mut self.buffers().out;
        if chunked {
            encode::chunk_size(out, n as u64);
        }
        out.copy(&bytes[..n]);
        if chunked {
            out.copy(b"\r\n");
        }
        Ok(n)
    }

    pub(crate) fn send_external(&mut self, len: u64, limits: &Limits) -> Result<(), Misuse> {
        // More than 2^62 bytes are no body but a mistake, and counts must not overflow.
        if len >> 62 != 0 {
            return Err(Misuse::TooMuch);
        }
        let queued = self.buf.as_ref().map_or(0, |b| b.out.queued());
        let full = !self.has_send_room(limits) || queued >> 62 != 0;
        if len > 0 && full && self.sending != Sending::Suppressed {
            return Err(Misuse::Full);
        }
        self.take_share(len)?;
        let sending = self.sending;
        if len == 0 || sending == Sending::Suppressed {
            return Ok(());
        }
        let out = &mut self.buffers().out;
        if sending == Sending::Chunked {
            encode::chunk_size(out, len);
            out.external(len);
            out.copy(b"\r\n");
        } else {
            out.external(len);
        }
        Ok(())
    }

    /// Ends the outgoing body.
    pub(crate) fn finish_body<F: FieldLines + ?Sized>(&mut self, trailers: &F) -> Result<(), Misuse> {
        match self.sending {
            Sending::Nothing => return Err(Misuse::BodyFinished),
            Sending::Length(0) => {
                if encode::trailers_size(trailers)? > 0 {
                    return Err(Misuse::TrailersNeedChunked);
                }
            }
            Sending::Length(_) => return Err(Misuse::BodyTooShort),
            Sending::Chunked => {
                // Checked before a buffer is made, so that a refused call leaves none behind.
                let size = encode::trailers_size(trailers)?;
                encode::last_chunk(&mut self.buffers().out, trailers, size);
            }
            // Where the peer's version or method leaves no place for trailers they are left out.
            Sending::UntilClose | Sending::Suppressed => {
                encode::trailers_size(trailers)?;
            }
        }
        self.sending = Sending::Nothing;
        Ok(())
    }
}
