//! [`Rng`]: all chance in a simulated world comes from one of these, so that a seed tells everything.

/// A small generator (SplitMix64). Good enough for schedules and faults, and not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

/// The finaliser of SplitMix64: a good hash of 64 bits to 64 bits.
pub const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Rng {
    /// The generator of a seed. Neighbouring seeds have nothing in common.
    pub const fn new(seed: u64) -> Rng {
        Rng(mix(seed ^ 0xA076_1D64_78BD_642F))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // The bias is far below anything that matters here.
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `n` times in 256.
    pub fn chance(&mut self, n: u32) -> bool {
        n > 0 && (self.bits() >> 56) < u64::from(n)
    }

    /// One of `all`.
    ///
    /// # Panics
    /// If `all` is empty.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// A size up to `most`: each power of two is about as likely as the others, and so is zero.
    pub fn size(&mut self, most: u64) -> u64 {
        let bits = u64::from(64 - most.leading_zeros());
        let high = 1u64.checked_shl(self.below(bits + 1) as u32).unwrap_or(u64::MAX);
        self.below(high).min(most)
    }

    /// A generator of its own, whose use does not disturb this one.
    pub fn fork(&mut self) -> Rng {
        Rng(self.bits())
    }

    /// What it stands at: equal after equal runs.
    pub const fn state(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_kept_and_reached() {
        let mut rng = Rng::new(1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.between(0, 4) as usize] = true;
            assert!(rng.size(300) <= 300);
            assert_eq!(rng.below(0), 0);
        }
        assert_eq!(seen, [true; 5]);
        assert_ne!(Rng::new(1).bits(), Rng::new(2).bits());
        assert!(!rng.chance(0) && rng.chance(256));
    }
}
