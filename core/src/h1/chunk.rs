//! The decoder of the chunked coding (RFC 9112, section 7.1), up to the last chunk; the trailer section after
//! it belongs to the tokenizer.
//!
//! It takes framing bytes and says how many it took; data stays where it is and is only counted.

use super::config::Limits;
use super::error::PeerErrorKind as Kind;
use super::scan::{Fault, fault};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first digit of a size.
    Size,
    /// After at least one digit.
    Digits,
    /// White space after the size.
    Blank,
    Extension,
    /// After the CR of a size line.
    SizeLf,
    Data,
    /// Before the CR after a chunk's data.
    DataCr,
    DataLf,
    /// The last chunk's line has been read.
    Last,
}

/// Where the decoder stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunked {
    at: At,
    line: u32,
    /// How far framing has outgrown data; see [`Limits::chunk_overhead`].
    excess: u64,
    /// The size being read; then the data bytes left in this chunk.
    left: u64,
}

impl Chunked {
    pub(crate) const START: Chunked = Chunked {
        at: At::Size,
        line: 0,
        excess: 0,
        left: 0,
    };

    /// The data bytes left in the current chunk; 0 when framing comes next.
    pub(crate) fn data_left(&self) -> u64 {
        if self.at == At::Data { self.left } else { 0 }
    }

    /// Whether the last chunk has been read, so that the trailer section comes next.
    pub(crate) fn is_last(&self) -> bool {
        self.at == At::Last
    }

    /// `n` bytes of the chunk's data were taken; `n <= data_left()`.
    pub(crate) fn took(&mut self, n: u64) {
        self.left -= n;
        if self.left == 0 {
            self.at = At::DataCr;
        }
    }

    /// Reads framing from the front of `data` until data or the end comes, or the bytes run out. Returns how
    /// many bytes it took.
    pub(crate) fn framing(&mut self, data: &[u8], limits: &Limits, blank: bool) -> Result<usize, Fault> {
        if let Some(n) = self.in_one_step(data, limits) {
            return self.line_end(limits, n - 1).map(|()| n);
        }
        let mut pos = 0;
        while let Some(&b) = data.get(pos) {
            match self.at {
                At::Data | At::Last => break,
                At::DataCr => {
                    if b != b'\r' {
                        return Err(fault(Kind::ChunkEnd, pos));
                    }
                    self.at = At::DataLf;
                }
                At::DataLf => {
                    if b != b'\n' {
                        return Err(fault(Kind::ChunkEnd, pos));
                    }
                    self.at = At::Size;
                    self.line = 0;
                    self.left = 0;
                }
                At::SizeLf => {
                    if b != b'\n' {
                        return Err(fault(Kind::LineEnd, pos));
                    }
                    self.line_end(limits, pos)?;
                }
                At::Size | At::Digits | At::Blank | At::Extension => {
                    if b == b'\r' {
                        match self.at {
                            At::Size => return Err(fault(Kind::ChunkSize, pos)),
                            At::Blank if !blank => return Err(fault(Kind::ChunkSize, pos)),
                            _ => self.at = At::SizeLf,
                        }
                    } else {
                        self.line += 1;
                        if self.line as usize > limits.chunk_line {
                            return Err(fault(Kind::ChunkLineTooLong, pos));
                        }
                        self.size_byte(b).map_err(|kind| fault(kind, pos))?;
                    }
                }
            }
            pos += 1;
        }
        Ok(pos)
    }

    fn size_byte(&mut self, b: u8) -> Result<(), Kind> {
        match (self.at, b) {
            (_, b'\n') => Err(Kind::LineEnd),
            (At::Size | At::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // Sizes of 2^63 and more are refused while the digits are read.
                if self.left >> 59 != 0 {
                    return Err(Kind::ChunkSize);
                }
                self.left = self.left << 4 | u64::from(hex(b));
                self.at = At::Digits;
                Ok(())
            }
            (At::Digits | At::Blank, b';') => {
                self.at = At::Extension;
                Ok(())
            }
            (At::Digits | At::Blank, b' ' | b'\t') => {
                self.at = At::Blank;
                Ok(())
            }
            (At::Extension, b'\t' | 0x20..=0x7e | 0x80..) => Ok(()),
            (At::Extension, _) => Err(Kind::ChunkExtension),
            _ => Err(Kind::ChunkSize),
        }
    }

    /// A size line has ended at its LF.
    fn line_end(&mut self, limits: &Limits, pos: usize) -> Result<(), Fault> {
        // The guard of Go's chunked reader: 16 bytes and twice the data are free.
        self.excess = (self.excess + u64::from(self.line) + 2)
            .saturating_sub(self.left.saturating_mul(2).saturating_add(16));
        if self.excess > limits.chunk_overhead as u64 {
            return Err(fault(Kind::ChunkOverhead, pos));
        }
        self.at = if self.left == 0 { At::Last } else { At::Data };
        Ok(())
    }

    /// The usual line between two chunks, `CRLF size CRLF`, when it has arrived whole: how long it is.
    #[inline]
    fn in_one_step(&mut self, data: &[u8], limits: &Limits) -> Option<usize> {
        let skip = match self.at {
            At::DataCr if data.starts_with(b"\r\n") => 2,
            At::Size => 0,
            _ => return None,
        };
        let mut size = 0u64;
        let mut i = skip;
        // Eight digits at most, so that nothing can overflow; longer ones take the slow way.
        while i < skip + 9 {
            let b = *data.get(i)?;
            if !b.is_ascii_hexdigit() {
                break;
            }
            size = size << 4 | u64::from(hex(b));
            i += 1;
        }
        if i == skip || i == skip + 9 || i - skip > limits.chunk_line || data.get(i..i + 2)? != b"\r\n" {
            return None;
        }
        self.line = (i - skip) as u32;
        self.left = size;
        Some(i + 2)
    }
}

const fn hex(b: u8) -> u8 {
    match b {
        b'0'..=b'9' => b - b'0',
        b'a'..=b'f' => b - b'a' + 10,
        _ => b - b'A' + 10,
    }
}
