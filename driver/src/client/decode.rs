//! [`Decoding`]: content coded bytes in, content out, as a layer on a response's body. Which response is decoded is
//! decided in the core.
//!
//! A little body may hold a lot of content: what comes out is made piece by piece as it is asked for, so that a caller
//! who bounds what he reads ([`Body::bytes`](crate::Body::bytes)) bounds what is decoded.

use crate::{Error, ErrorKind};
use antiphon_core::client::call::Coding;
use antiphon_support::content::Decoder;
use bytes::{Buf, Bytes, BytesMut};
use std::task::{Context, Poll, ready};

pub(super) use antiphon_support::content::CODINGS;

const DECODING: &str = "decoding the response body";
/// How much content is made at a time.
const PIECE: usize = 8 * 1024;

/// A body that is being decoded.
pub(super) struct Decoding {
    decoder: Decoder,
    /// Coded bytes that the decoder has not taken.
    coded: Bytes,
    room: BytesMut,
    /// The decoder has more content than there was room for.
    more: bool,
    ended: bool,
}

impl Decoding {
    /// `None`: that coding is not compiled in, so it was not asked for.
    pub(super) fn new(coding: Coding) -> Option<Decoding> {
        Some(Decoding {
            decoder: Decoder::new(coding).ok()?,
            coded: Bytes::new(),
            room: BytesMut::new(),
            more: false,
            ended: false,
        })
    }

    /// The next piece of content. `next` gives coded bytes; it is asked to their end, so that the connection serves again.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        let undecodable = |e| Error::new(ErrorKind::Decode, DECODING).with_source(e);
        while !self.ended {
            if self.more || !self.coded.is_empty() {
                self.room.resize(PIECE, 0);
                let decoded = match self.decoder.decode(&self.coded, &mut self.room) {
                    Ok(decoded) => decoded,
                    Err(e) => return Poll::Ready(Some(Err(undecodable(e)))),
                };
                self.coded.advance(decoded.consumed);
                self.more = decoded.produced == self.room.len();
                if decoded.produced > 0 {
                    let content = self.room.split_to(decoded.produced).freeze();
                    return Poll::Ready(Some(Ok(content)));
                }
                if decoded.consumed > 0 {
                    continue;
                }
            }
            match ready!(next(cx)) {
                Some(Ok(bytes)) if self.coded.is_empty() => self.coded = bytes,
                // The decoder waits for more before it takes what it has.
                Some(Ok(bytes)) => {
                    self.coded = [&self.coded[..], &bytes[..]].concat().into();
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    if let Err(e) = self.decoder.finish() {
                        return Poll::Ready(Some(Err(undecodable(e))));
                    }
                }
            }
        }
        Poll::Ready(None)
    }
}
