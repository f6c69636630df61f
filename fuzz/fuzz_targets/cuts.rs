//! Cuts that the fuzzer chooses, for targets that feed bytes and are not about the application's calls: the sizes
//! of successive reads, used round and round; none means everything at once.

#![allow(dead_code)] // Each target takes its part.

use arbitrary::Arbitrary;

#[derive(Arbitrary, Clone, Debug, Default)]
pub(crate) struct Cuts(Vec<u8>);

impl Cuts {
    pub(crate) const WHOLE: Cuts = Cuts(Vec::new());

    pub(crate) fn bytewise() -> Cuts {
        Cuts(vec![1])
    }

    /// How much the read number `turn` takes.
    pub(crate) fn size(&self, turn: usize) -> usize {
        match self.0.len() {
            0 => usize::MAX,
            n => match self.0[turn % n] {
                n @ 0..200 => usize::from(n).max(1),
                n => usize::from(n) * 50,
            },
        }
    }

    /// All sizes, once.
    pub(crate) fn sizes(&self) -> Vec<u16> {
        let sizes = 0..self.0.len().min(64);
        sizes
            .map(|turn| u16::try_from(self.size(turn)).unwrap_or(u16::MAX))
            .collect()
    }
}
