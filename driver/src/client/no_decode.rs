//! What stands for `decode.rs` where no content coding is compiled in.

use crate::Error;
use antiphon_core::client::call::{Coding, Codings};
use bytes::Bytes;
use std::task::{Context, Poll};

pub(super) const CODINGS: Codings = Codings::NONE;

/// There is none.
pub(super) enum Decoding {}

impl Decoding {
    pub(super) fn new(_: Coding) -> Option<Decoding> {
        None
    }

    pub(super) fn poll(
        &mut self,
        _: &mut Context<'_>,
        _: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        match *self {}
    }
}
