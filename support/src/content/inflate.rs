//! Deflate data (RFC 1951), for `gzip` and `deflate`, by flate2.

use super::{DecodeErrorKind, Decoded, Step};
use flate2::{Decompress, FlushDecompress, Status};

pub(super) struct Inflate {
    inner: Decompress,
}

impl Inflate {
    /// With the header and checksum of zlib (RFC 1950), or without.
    pub(super) fn new(zlib: bool) -> Inflate {
        Inflate {
            inner: Decompress::new(zlib),
        }
    }

    /// For new data, without the header and checksum of zlib.
    #[cfg(feature = "gzip")]
    pub(super) fn reset(&mut self) {
        self.inner.reset(false);
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (before_in, before_out) = (self.inner.total_in(), self.inner.total_out());
        let status = self.inner.decompress(input, output, FlushDecompress::None);
        // No more than the lengths of the slices.
        let consumed = (self.inner.total_in() - before_in) as usize;
        let produced = (self.inner.total_out() - before_out) as usize;
        match status {
            Ok(status) => Ok(Decoded {
                consumed,
                produced,
                ended: status == Status::StreamEnd,
            }),
            Err(_) => Err(DecodeErrorKind::Malformed),
        }
    }
}
