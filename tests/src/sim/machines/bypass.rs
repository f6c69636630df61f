//! Body bytes that pass a machine by: external bodies, which the driver writes itself, and direct reads, which it makes
//! into a buffer of the application's. The machine only counts them.

use crate::sim::checks::Pattern;
use std::collections::VecDeque;

/// A piece of a body that a driver is to write itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) pattern: Pattern,
    pub(super) at: u64,
    pub(super) left: u64,
}

/// What an application and its driver tell each other on one side of a connection.
#[derive(Debug, Default)]
pub(super) struct Bypass {
    /// Pieces that were announced to the machine, in order.
    pub(super) pieces: VecDeque<Piece>,
    /// Whether the application reads a body now, so that the driver may.
    pub(super) reads: bool,
    /// What the driver read, and the application has not looked at.
    pub(super) read: Vec<u8>,
}

impl Bypass {
    /// `n` bytes of the first piece were written.
    pub(super) fn wrote(&mut self, n: u64) {
        if let Some(first) = self.pieces.front_mut() {
            first.at += n;
            first.left -= n;
            if first.left == 0 {
                self.pieces.pop_front();
            }
        }
    }
}
