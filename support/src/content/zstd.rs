//! `zstd` (RFC 8878), by ruzstd, which wants whole headers and blocks: they are gathered here.

use super::{DecodeErrorKind, Decoded, Step};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::Read as _;

/// "decoders ... must support window sizes of up to 8 MB ... and senders must not use more" (in the sense of RFC
/// 9659, section 3).
const MAX_WINDOW: u64 = 8 << 20;

/// "Block_Maximum_Size is the smallest of Window_Size and 128 KB" (RFC 8878, section 3.1.1.2.4).
const MAX_BLOCK: usize = 128 << 10;

const MAGIC: u32 = 0xfd2f_b528;
/// The last four bits may be anything.
const SKIPPABLE: u32 = 0x184d_2a50;

pub(super) struct Zstd {
    at: At,
    /// What has come of the part: at most a block, its header and a checksum.
    part: Vec<u8>,
    /// How long the part is, as far as is known.
    whole: usize,
    decoder: FrameDecoder,
    checksum: bool,
    /// What the frame says that it holds, and what has come out.
    content: Option<u64>,
    produced: u64,
    further: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum At {
    /// The magic number and the byte behind it.
    Start,
    FrameHeader,
    SkippableHeader,
    Skip(u32),
    BlockHeader,
    Block {
        last: bool,
    },
    /// A block's content comes out.
    Content {
        last: bool,
    },
}

impl Zstd {
    pub(super) fn new() -> Zstd {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Zstd {
            at: At::Start,
            part: Vec::new(),
            whole: 5,
            decoder,
            checksum: false,
            content: None,
            produced: 0,
            further: false,
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (mut consumed, mut produced) = (0, 0);
        match self.at {
            At::Skip(left) => {
                let n = input.len().min(left as usize);
                // `n` is at most `left`.
                self.skip(left - n as u32);
                consumed = n;
            }
            At::Content { last } => {
                // Reading from memory does not fail.
                produced = self
                    .decoder
                    .read(output)
                    .map_err(|_| DecodeErrorKind::Malformed)?;
                self.produced += produced as u64;
                if self.content.is_some_and(|n| self.produced > n) {
                    return Err(DecodeErrorKind::Checksum);
                }
                if self.decoder.can_collect() == 0 {
                    self.content_is_out(last)?;
                    if produced == 0 {
                        // Nothing to see, but it goes on.
                        return self.step(input, output);
                    }
                }
            }
            _ => {
                let n = input.len().min(self.whole - self.part.len());
                self.part.extend_from_slice(&input[..n]);
                consumed = n;
                if self.at == At::Start {
                    self.check_magic()?;
                }
                if self.part.len() == self.whole {
                    self.part_is_whole()?;
                }
            }
        }
        Ok(Decoded {
            consumed,
            produced,
            ended: self.at == At::Start && self.part.is_empty() && self.further,
        })
    }

    /// What is wrong is told as soon as it can be seen.
    fn check_magic(&self) -> Result<(), DecodeErrorKind> {
        let (frame, skippable) = (MAGIC.to_le_bytes(), SKIPPABLE.to_le_bytes());
        let good = |i: usize, b: u8| match i {
            0 => b == frame[0] || b & 0xf0 == skippable[0],
            1..4 => {
                b == if self.part[0] == frame[0] {
                    frame[i]
                } else {
                    skippable[i]
                }
            }
            _ => true,
        };
        match self.part.iter().enumerate().all(|(i, &b)| good(i, b)) {
            true => Ok(()),
            false if self.further => Err(DecodeErrorKind::TrailingData),
            false => Err(DecodeErrorKind::Malformed),
        }
    }

    fn part_is_whole(&mut self) -> Result<(), DecodeErrorKind> {
        match self.at {
            At::Start if self.part[0] & 0xf0 == SKIPPABLE.to_le_bytes()[0] => {
                self.at = At::SkippableHeader;
                self.whole = 8;
            }
            At::Start => {
                self.at = At::FrameHeader;
                self.whole = 5 + self.rest_of_header(self.part[4])?;
            }
            At::SkippableHeader => {
                let [.., a, b, c, d] = self.part[..] else {
                    return Err(DecodeErrorKind::Malformed);
                };
                self.skip(u32::from_le_bytes([a, b, c, d]));
            }
            At::FrameHeader => {
                self.decoder.reset(&self.part[..]).map_err(kind_of)?;
                self.content = self.content.map(|_| self.decoder.content_size());
                self.produced = 0;
                self.next(At::BlockHeader, 3);
            }
            At::BlockHeader => self.block()?,
            At::Block { last } => {
                self.decoder
                    .decode_blocks(&self.part[..], BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(kind_of)?;
                self.next(At::Content { last }, 0);
            }
            At::Skip(_) | At::Content { .. } => {}
        }
        Ok(())
    }

    /// How much of the frame's header stands behind its descriptor (section 3.1.1.1).
    fn rest_of_header(&mut self, descriptor: u8) -> Result<usize, DecodeErrorKind> {
        let single_segment = descriptor & 0x20 != 0;
        // "This bit is reserved ... must be zero."
        if descriptor & 0x08 != 0 {
            return Err(DecodeErrorKind::Malformed);
        }
        self.checksum = descriptor & 0x04 != 0;
        let window = usize::from(!single_segment);
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let content = match descriptor >> 6 {
            0 => usize::from(single_segment),
            n => 1 << n,
        };
        self.content = (content > 0).then_some(0);
        Ok(window + dictionary + content)
    }

    /// The header of a block: how long the block is, and the checksum behind the last one (section 3.1.1.2).
    fn block(&mut self) -> Result<(), DecodeErrorKind> {
        let [a, b, c] = self.part[..] else {
            return Err(DecodeErrorKind::Malformed);
        };
        let header = u32::from_le_bytes([a, b, c, 0]);
        let (last, size) = (header & 1 != 0, (header >> 3) as usize);
        let size = match header >> 1 & 3 {
            _ if size > MAX_BLOCK => return Err(DecodeErrorKind::Malformed),
            0 | 2 => size,
            // One byte, repeated.
            1 => 1,
            _ => return Err(DecodeErrorKind::Malformed),
        };
        let checksum = if last && self.checksum { 4 } else { 0 };
        self.at = At::Block { last };
        self.whole = 3 + size + checksum;
        // An empty block, raw, which is not followed by anything.
        if self.part.len() == self.whole {
            self.part_is_whole()
        } else {
            Ok(())
        }
    }

    fn content_is_out(&mut self, last: bool) -> Result<(), DecodeErrorKind> {
        if !last {
            self.next(At::BlockHeader, 3);
            return Ok(());
        }
        let checksum = self
            .checksum
            .then(|| self.decoder.get_calculated_checksum())
            .flatten();
        let stated = self.decoder.get_checksum_from_data();
        if self.checksum && stated != checksum || self.content.is_some_and(|n| n != self.produced) {
            return Err(DecodeErrorKind::Checksum);
        }
        self.further = true;
        self.next(At::Start, 5);
        Ok(())
    }

    fn skip(&mut self, left: u32) {
        if left > 0 {
            self.at = At::Skip(left);
        } else {
            self.further = true;
            self.next(At::Start, 5);
        }
        self.part.clear();
    }

    fn next(&mut self, at: At, whole: usize) {
        self.at = at;
        self.whole = whole;
        self.part.clear();
    }
}

fn kind_of(error: FrameDecoderError) -> DecodeErrorKind {
    use FrameDecoderError as E;
    match error {
        E::WindowSizeTooBig { .. } => DecodeErrorKind::WindowTooLarge,
        E::DictNotProvided { .. } => DecodeErrorKind::Dictionary,
        E::ReadFrameHeaderError(ReadFrameHeaderError::BadMagicNumber(_)) => DecodeErrorKind::TrailingData,
        _ => DecodeErrorKind::Malformed,
    }
}
