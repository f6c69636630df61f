//! What may never happen: [`Check`], [`Violation`]; and [`Pattern`], the bodies that tell where a byte belongs.

use super::rng::mix;
use std::fmt;

/// A promise that a world holds its inhabitants to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A response belongs to its request.
    Belongs,
    /// No byte is lost, doubled or crossed, and a body that ends cleanly has its whole length.
    Bytes,
    /// An accepted request is answered, or its failure reported.
    Answered,
    /// A request is not executed twice, unless the retry rule permits it.
    Once,
    /// No exchange outlives its deadline.
    Deadline,
    /// Nothing spins.
    Spins,
    /// Everything ends, and whoever can go on is told so.
    Ends,
    /// Where nothing breaks, every request succeeds.
    Succeeds,
    /// Failures are told as what they are.
    Reason,
    /// Nothing panics.
    Panics,
    /// A machine keeps the contract of its calls.
    Contract,
}

impl Check {
    /// The promise in words.
    pub const fn text(self) -> &'static str {
        match self {
            Check::Belongs => "every response belongs to its request",
            Check::Bytes => "no byte is lost, doubled or crossed",
            Check::Answered => "every accepted request is answered or its failure reported",
            Check::Once => "no request is executed twice unless the retry rule permits",
            Check::Deadline => "no exchange outlives its deadline",
            Check::Spins => "nothing spins",
            Check::Ends => "everything ends",
            Check::Succeeds => "where nothing breaks, every request succeeds",
            Check::Reason => "a failure is told as what it is",
            Check::Panics => "nothing panics",
            Check::Contract => "a machine keeps its contract",
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub check: Check,
    /// How.
    pub what: String,
}

impl Violation {
    /// A broken promise.
    pub fn new(check: Check, what: impl Into<String>) -> Violation {
        Violation {
            check,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check.text(), self.what)
    }
}

/// An endless body: its byte at an offset follows from a key, so that a byte of another body, or of another
/// place in this one, is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern(u64);

impl Pattern {
    /// The body of this seed, exchange and direction.
    pub const fn new(seed: u64, exchange: u64, direction: u64) -> Pattern {
        Pattern(mix(seed ^ mix(exchange.wrapping_mul(4) + direction + 1)))
    }

    fn block(self, n: u64) -> [u8; 8] {
        mix(self.0.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).to_le_bytes()
    }

    /// Calls `each` for the pieces of the stretch of `len` bytes at `offset`.
    fn pieces(self, offset: u64, len: usize, mut each: impl FnMut(usize, &[u8]) -> bool) {
        let mut at = 0;
        while at < len {
            let here = offset + at as u64;
            let skip = (here % 8) as usize;
            let n = (8 - skip).min(len - at);
            if !each(at, &self.block(here / 8)[skip..skip + n]) {
                return;
            }
            at += n;
        }
    }

    /// The stretch of `len` bytes at `offset`.
    pub fn bytes(self, offset: u64, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len);
        self.pieces(offset, len, |_, piece| {
            out.extend_from_slice(piece);
            true
        });
        out
    }

    /// Where `bytes`, which are said to stand at `offset`, differ from what belongs there.
    pub fn differs(self, offset: u64, bytes: &[u8]) -> Option<u64> {
        let mut found = None;
        self.pieces(offset, bytes.len(), |at, piece| {
            let same = &bytes[at..at + piece.len()] == piece;
            if !same {
                let i = piece.iter().zip(&bytes[at..]).position(|(a, b)| a != b);
                found = Some(offset + (at + i.unwrap_or(0)) as u64);
            }
            same
        });
        found
    }
}

/// A body being read, checked as it comes.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    pattern: Pattern,
    /// How much has come.
    pub got: u64,
    /// How long it is.
    pub len: u64,
}

impl Reader {
    /// A body of `len` bytes.
    pub const fn new(pattern: Pattern, len: u64) -> Reader {
        Reader { pattern, got: 0, len }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// They are not those that belong here.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        if let Some(at) = self.pattern.differs(self.got, bytes) {
            return Err(Violation::new(
                Check::Bytes,
                format!("a wrong byte at offset {at} of a body of {}", self.len),
            ));
        }
        self.got += bytes.len() as u64;
        if self.got > self.len {
            return Err(Violation::new(
                Check::Bytes,
                format!("{} bytes of a body of {}", self.got, self.len),
            ));
        }
        Ok(())
    }

    /// The body has ended cleanly.
    ///
    /// # Errors
    /// It is too short.
    pub fn end(&self) -> Result<(), Violation> {
        if self.got == self.len {
            Ok(())
        } else {
            Err(Violation::new(
                Check::Bytes,
                format!("a clean end after {} bytes of a body of {}", self.got, self.len),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_same_however_it_is_cut() {
        let p = Pattern::new(1, 2, 3);
        let whole = p.bytes(0, 100);
        for cut in 0..100 {
            assert_eq!([p.bytes(0, cut), p.bytes(cut as u64, 100 - cut)].concat(), whole);
            assert_eq!(p.differs(cut as u64, &whole[cut..]), None);
        }
        let mut bad = whole.clone();
        bad[37] ^= 1;
        assert_eq!(p.differs(0, &bad), Some(37));
        assert_eq!(Pattern::new(1, 3, 3).differs(0, &whole), Some(0));
    }

    #[test]
    fn a_reader_wants_all_of_a_body_and_no_more() {
        let p = Pattern::new(9, 9, 0);
        let mut reader = Reader::new(p, 10);
        reader.take(&p.bytes(0, 9)).unwrap();
        assert_eq!(reader.end().unwrap_err().check, Check::Bytes);
        reader.take(&p.bytes(9, 1)).unwrap();
        reader.end().unwrap();
        assert!(reader.take(&p.bytes(10, 1)).is_err());
    }
}
