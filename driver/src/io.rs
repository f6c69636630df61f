//! Writing what a machine has queued.

use crate::runtime::Stream;
use antiphon_core::h1::Outgoing;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

/// How many slices one write takes.
const SLICES: usize = 16;

/// Writes some of `out` once: a plain write for one slice, a vectored one for several.
pub(crate) fn write_some<S: Stream>(
    stream: &mut S,
    cx: &mut Context<'_>,
    out: Outgoing<'_>,
) -> Poll<io::Result<usize>> {
    let mut slices: [&[u8]; SLICES] = [&[]; SLICES];
    let n = out.slices(&mut slices);
    let written = if n <= 1 {
        stream.poll_write(cx, slices[0])
    } else {
        let slices = slices.map(IoSlice::new);
        stream.poll_write_vectored(cx, &slices[..n])
    };
    match written {
        // A stream that takes nothing never will.
        Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        other => other,
    }
}
