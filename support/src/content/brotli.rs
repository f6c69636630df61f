//! `br` (RFC 7932), by brotli-decompressor.

use super::{DecodeErrorKind, Decoded, Step};
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

pub(super) struct Brotli {
    /// Some kilobytes.
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    total: usize,
    ended: bool,
}

impl Brotli {
    pub(super) fn new() -> Brotli {
        let alloc = StandardAlloc::default;
        Brotli {
            // Strict: the windows of RFC 7932, up to 16 MiB. The larger ones of the draft reach 1 GiB.
            state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())),
            total: 0,
            ended: false,
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (mut consumed, mut produced) = (0, 0);
        if self.ended {
            if !input.is_empty() {
                return Err(DecodeErrorKind::TrailingData);
            }
        } else {
            let (mut left, mut room) = (input.len(), output.len());
            let result = BrotliDecompressStream(
                &mut left,
                &mut consumed,
                input,
                &mut room,
                &mut produced,
                output,
                &mut self.total,
                &mut self.state,
            );
            match result {
                BrotliResult::ResultSuccess => self.ended = true,
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultFailure => return Err(DecodeErrorKind::Malformed),
            }
        }
        Ok(Decoded {
            consumed,
            produced,
            ended: self.ended,
        })
    }
}
