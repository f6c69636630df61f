//! `deflate`: the zlib format (RFC 1950), or bare deflate data (RFC 1951).
//!
//! "Some non-conformant implementations send the "deflate" compressed data without the zlib wrapper" (RFC 9110,
//! section 8.4.1.2), and browsers decode it. The first two bytes tell: the header of zlib is a multiple of 31 and names
//! method 8. Bare data that begins so would begin with a stored block and padding that is not zero, which no encoder writes.

use super::inflate::Inflate;
use super::{DecodeErrorKind, Decoded, Step};

/// FDICT, a bit of the second byte (RFC 1950, section 2.2).
const DICTIONARY: u8 = 0x20;

pub(super) struct Deflate {
    state: State,
}

enum State {
    /// The first byte, once it has come.
    Start(Option<u8>),
    /// It is known which; of the first byte, what was not yet given on.
    Data {
        inflate: Inflate,
        first: Option<u8>,
    },
    End,
}

impl Deflate {
    pub(super) fn new() -> Deflate {
        Deflate {
            state: State::Start(None),
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let step = |consumed, produced, ended| {
            Ok(Decoded {
                consumed,
                produced,
                ended,
            })
        };
        match &mut self.state {
            State::Start(_) if input.is_empty() => step(0, 0, false),
            State::Start(first @ None) => {
                *first = Some(input[0]);
                step(1, 0, false)
            }
            State::Start(Some(first)) => {
                let (first, zlib) = (*first, is_zlib(*first, input[0]));
                if zlib && input[0] & DICTIONARY != 0 {
                    return Err(DecodeErrorKind::Dictionary);
                }
                self.state = State::Data {
                    inflate: Inflate::new(zlib),
                    first: Some(first),
                };
                self.step(input, output)
            }
            State::Data { inflate, first } => {
                if let Some(byte) = *first {
                    let taken = inflate.step(&[byte], output)?;
                    if taken.consumed == 1 {
                        *first = None;
                    }
                    // A single byte holds no whole data but that of an empty fixed block's beginning.
                    if taken.ended {
                        self.state = State::End;
                    } else if taken.consumed == 1 && taken.produced == 0 {
                        return self.step(input, output);
                    }
                    return step(0, taken.produced, taken.ended);
                }
                let taken = inflate.step(input, output)?;
                if taken.ended {
                    self.state = State::End;
                    if taken.consumed == 0 && taken.produced == 0 {
                        return self.step(input, output);
                    }
                }
                Ok(taken)
            }
            State::End if input.is_empty() => step(0, 0, true),
            State::End => Err(DecodeErrorKind::TrailingData),
        }
    }
}

fn is_zlib(cmf: u8, flg: u8) -> bool {
    cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([cmf, flg]).is_multiple_of(31)
}
