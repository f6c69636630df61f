//! The free list from which connections borrow their buffers while they need them.

use antiphon_core::h1::Buffer;
use std::sync::Mutex;

/// What a buffer in the list may hold on to.
const LARGEST: usize = 32 * 1024;

/// A bounded list of buffers that no connection needs at the moment.
#[derive(Debug)]
pub(crate) struct FreeList {
    free: Mutex<Vec<Buffer>>,
    most: usize,
}

impl FreeList {
    /// A list that keeps at most `most` buffers; further ones are dropped.
    pub(crate) fn new(most: usize) -> FreeList {
        FreeList {
            free: Mutex::new(Vec::new()),
            most,
        }
    }

    /// One of them; without any, the machine allocates its own.
    pub(crate) fn take(&self) -> Option<Buffer> {
        crate::lock(&self.free).pop()
    }

    /// Takes one back. One that has grown gives its memory back first.
    pub(crate) fn put(&self, mut buffer: Buffer) {
        buffer.shrink(LARGEST);
        let mut free = crate::lock(&self.free);
        if free.len() < self.most {
            free.push(buffer);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        crate::lock(&self.free).len()
    }
}
