//! `gzip` (RFC 1952): the header, which is skipped as it comes; deflate data; checksum and length. Then perhaps more of it.

use super::inflate::Inflate;
use super::{DecodeErrorKind, Decoded, Step};
use flate2::Crc;

const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

pub(super) struct Gzip {
    at: At,
    /// A part of fixed length, as far as it has come.
    fixed: [u8; 10],
    have: usize,
    flags: u8,
    /// Whether a member came before this one.
    further: bool,
    /// Of the header, then of the content.
    crc: Crc,
    inflate: Inflate,
}

/// In the order in which they come.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Header,
    ExtraLength,
    Extra(u16),
    Name,
    Comment,
    HeaderCrc,
    Content,
    Trailer,
}

impl Gzip {
    pub(super) fn new() -> Gzip {
        Gzip {
            at: At::Header,
            fixed: [0; 10],
            have: 0,
            flags: 0,
            further: false,
            crc: Crc::new(),
            inflate: Inflate::new(false),
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        if self.at == At::Content {
            let step = self.inflate.step(input, output)?;
            self.crc.update(&output[..step.produced]);
            if step.ended {
                self.at = At::Trailer;
            }
            if step.ended && step.consumed == 0 && step.produced == 0 {
                // Nothing to see, but it goes on.
                return self.step(input, output);
            }
            return Ok(Decoded { ended: false, ..step });
        }
        let consumed = self.around(input)?;
        Ok(Decoded {
            consumed,
            produced: 0,
            ended: self.at == At::Header && self.have == 0 && self.further,
        })
    }

    /// What stands before and behind the content: takes bytes of one part, and tells how many.
    fn around(&mut self, input: &[u8]) -> Result<usize, DecodeErrorKind> {
        let taken = match self.at {
            At::Header => self.take_fixed(input, 10),
            At::ExtraLength | At::HeaderCrc => self.take_fixed(input, 2),
            At::Trailer => self.take_fixed(input, 8),
            At::Extra(left) => input.len().min(left.into()),
            // A text that ends with a zero byte.
            At::Name | At::Comment => input.iter().position(|&b| b == 0).map_or(input.len(), |i| i + 1),
            At::Content => 0,
        };
        if self.at != At::HeaderCrc && self.at != At::Trailer {
            self.crc.update(&input[..taken]);
        }
        match self.at {
            At::Header => {
                // What is wrong is told as soon as it can be seen.
                let start = &self.fixed[..self.have];
                if let Some(i) = b"\x1f\x8b\x08".iter().zip(start).position(|(good, b)| good != b) {
                    // Behind a member, only the magic number tells that another one was meant.
                    return Err(match self.further && i < 2 {
                        true => DecodeErrorKind::TrailingData,
                        false => DecodeErrorKind::Malformed,
                    });
                }
                if self.have > 3 && self.fixed[3] & RESERVED != 0 {
                    return Err(DecodeErrorKind::Malformed);
                }
                if self.have == 10 {
                    self.flags = self.fixed[3];
                    self.go_on(At::ExtraLength);
                }
            }
            At::ExtraLength if self.have == 2 => {
                let left = u16::from_le_bytes([self.fixed[0], self.fixed[1]]);
                self.at = At::Extra(left);
                self.have = 0;
                if left == 0 {
                    self.go_on(At::Name);
                }
            }
            At::Extra(left) => {
                // `taken` is at most `left`.
                let left = left - taken as u16;
                self.at = At::Extra(left);
                if left == 0 {
                    self.go_on(At::Name);
                }
            }
            At::Name if input[..taken].last() == Some(&0) => self.go_on(At::Comment),
            At::Comment if input[..taken].last() == Some(&0) => self.go_on(At::HeaderCrc),
            At::HeaderCrc if self.have == 2 => {
                let sum = u16::from_le_bytes([self.fixed[0], self.fixed[1]]);
                // "the two least significant bytes of the CRC32 for all bytes of the gzip header" (section 2.3.1)
                if u32::from(sum) != self.crc.sum() & 0xffff {
                    return Err(DecodeErrorKind::Checksum);
                }
                self.go_on(At::Content);
            }
            At::Trailer if self.have == 8 => {
                let [a, b, c, d, e, f, g, h, ..] = self.fixed;
                let (sum, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
                // The length "modulo 2^32", which is also how `Crc` counts.
                if (sum, length) != (self.crc.sum(), self.crc.amount()) {
                    return Err(DecodeErrorKind::Checksum);
                }
                self.further = true;
                self.inflate.reset();
                self.crc.reset();
                self.at = At::Header;
                self.have = 0;
            }
            _ => {}
        }
        Ok(taken)
    }

    fn take_fixed(&mut self, input: &[u8], whole: usize) -> usize {
        let n = input.len().min(whole - self.have);
        self.fixed[self.have..self.have + n].copy_from_slice(&input[..n]);
        self.have += n;
        n
    }

    /// To `part`, or to the first one behind it that is there.
    fn go_on(&mut self, part: At) {
        let has = |flag| self.flags & flag != 0;
        self.at = match part {
            At::ExtraLength if has(EXTRA) => At::ExtraLength,
            At::ExtraLength | At::Name if has(NAME) => At::Name,
            At::ExtraLength | At::Name | At::Comment if has(COMMENT) => At::Comment,
            At::Content => At::Content,
            _ if has(HEADER_CRC) => At::HeaderCrc,
            _ => At::Content,
        };
        self.have = 0;
        if self.at == At::Content {
            self.crc.reset();
        }
    }
}
