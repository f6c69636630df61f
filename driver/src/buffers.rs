//! The bounded free list from which connections borrow their buffers, so that idle ones hold none.

use antiphon_core::h1::Buffer;
use std::sync::{Mutex, PoisonError};

/// Buffers that nobody uses at the moment, the last returned on top (it is the warmest).
#[derive(Debug)]
pub(crate) struct Buffers {
    free: Mutex<Vec<Buffer>>,
    most: usize,
}

impl Buffers {
    /// Keeps at most `most` unused ones; more are freed.
    pub(crate) fn new(most: usize) -> Buffers {
        Buffers {
            free: Mutex::new(Vec::new()),
            most,
        }
    }

    pub(crate) fn take(&self) -> Buffer {
        let kept = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_default()
    }

    pub(crate) fn put(&self, buffer: Buffer) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.most {
            free.push(buffer);
        }
    }
}
