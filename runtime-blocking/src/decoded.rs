//! [`Decoded`]: the content of a response whose coding this client asked for, decoded as it is read. Whether that is so
//! is decided by the core; the decoders are a library's.

use crate::client::ResponseBody;
use crate::error::{BoxError, Error, ErrorKind};
use antiphon_core::Headers;
use antiphon_core::h1::CloseReason;
use antiphon_support::content::Decoder;
use bytes::{Buf, Bytes};

/// Takes the coded bytes as they come, and gives no more content at once than there is room for: what a bomb unfolds to
/// is only ever as much as is read.
#[derive(Debug)]
pub(crate) struct Decoded {
    coded: Box<ResponseBody>,
    decoder: Decoder,
    /// Come and not yet decoded.
    input: Bytes,
    /// The last output had no room left, so that there may be more without further input.
    full: bool,
    /// All coded bytes have come.
    at_end: bool,
    /// The content has ended, or cannot go on.
    over: bool,
    /// How much content there may still be.
    left: u64,
    trailers: Option<Headers>,
}

impl Decoded {
    pub(crate) fn new(coded: Box<ResponseBody>, decoder: Decoder) -> Decoded {
        Decoded {
            left: coded.max(),
            coded,
            decoder,
            input: Bytes::new(),
            full: false,
            at_end: false,
            over: false,
            trailers: None,
        }
    }

    /// Reads some content; 0 at the end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        while !self.over && !buf.is_empty() {
            if self.input.is_empty() && !self.full && !self.at_end {
                match self.coded.chunk() {
                    Ok(Some(bytes)) => self.input = bytes,
                    Ok(None) => {
                        self.at_end = true;
                        // The connection is free, however long the rest takes.
                        self.trailers = self.coded.take_trailers();
                    }
                    Err(e) => {
                        self.over = true;
                        return Err(e);
                    }
                }
            }
            let decoded = match self.decoder.decode(&self.input, buf) {
                Ok(decoded) => decoded,
                Err(e) => return Err(self.fail(e)),
            };
            self.input.advance(decoded.consumed);
            self.full = decoded.produced == buf.len();
            if decoded.produced > 0 {
                let Some(left) = self.left.checked_sub(decoded.produced as u64) else {
                    self.over = true;
                    return Err(self.coded.too_large());
                };
                self.left = left;
                return Ok(decoded.produced);
            }
            if !self.input.is_empty() && decoded.consumed == 0 {
                return Err(self.fail("the decoder takes nothing"));
            }
            if self.at_end && self.input.is_empty() {
                if let Err(e) = self.decoder.finish() {
                    return Err(self.fail(e));
                }
                self.over = true;
            }
        }
        Ok(0)
    }

    fn fail(&mut self, e: impl Into<BoxError>) -> Error {
        self.over = true;
        // What still comes is of no use.
        self.coded.abort();
        let error = Error::new(ErrorKind::Decode, "decoding the response body").with_source(e);
        self.coded.fail(error)
    }

    pub(crate) fn take_trailers(&mut self) -> Option<Headers> {
        self.trailers.take()
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.coded.close_reason()
    }
}
