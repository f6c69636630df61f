//! Any calls in any order with any arguments: the vocabulary of calls that the fuzzer speaks (`call.rs`), and the player
//! that makes them and looks at the machine before and after each one (`player.rs`). Both machines have the same calls
//! under the same names, but no trait stands behind them: `player!` writes a player for one.
//!
//! What only one role has (requests, responses, what its events promise) stands in the two targets.

#![allow(dead_code)] // Each role leaves the other's calls alone.

mod call;
mod player;

pub(crate) use self::call::{Call, Input, Size, Which};
pub(crate) use self::player::player;
use crate::harness::Seen;

/// Everything that a caller can see without changing anything.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    pub(crate) seen: Seen,
    pub(crate) role: String,
    pub(crate) room: Vec<usize>,
    pub(crate) heads: Vec<String>,
}
