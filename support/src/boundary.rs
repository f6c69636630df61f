//! [`random_boundary`]: what stands between the parts of a `multipart/form-data` body, from the randomness that std has.

use antiphon_core::forms::Boundary;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A boundary that nobody could know beforehand.
///
/// Contents are not searched for it. By accident it does not occur in them: it has 128 bits. On purpose it could only be put
/// there by somebody who knows it before the body is made. It comes from the keyed hash (SipHash) with which std guards its
/// maps against chosen keys; the keys come from the system, and are never shown. std does not promise that this is fit for
/// cryptography. Where parts come from an enemy who sees other bodies of the same process, and a part more or less would
/// do harm, bring a boundary made of a generator that promises it: [`Boundary::from_random`].
pub fn random_boundary() -> Boundary {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // Keys of their own for each half, and never the same text twice under any.
    let half = |which: u8| u128::from(RandomState::new().hash_one((which, count)));
    Boundary::from_random(half(0) << 64 | half(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn none_comes_twice_and_no_half_is_fixed() {
        let made: Vec<String> = (0..1000).map(|_| random_boundary().as_str().into()).collect();
        let len = made[0].len();
        for half in [len - 32..len - 16, len - 16..len] {
            let seen: BTreeSet<&str> = made.iter().map(|b| &b[half.clone()]).collect();
            assert_eq!(seen.len(), made.len());
        }
    }
}
