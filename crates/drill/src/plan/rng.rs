//! Chance from a seed, in whole numbers only, so that a plan is the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of drawn numbers. Streams of one seed are independent of one another, so a change to
/// the attackers does not move the visitors.
pub(super) struct SeededRng(ChaCha8Rng);

impl SeededRng {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        SeededRng(rng)
    }

    /// Any number.
    pub(super) fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number below `bound`; zero for a bound of zero. Multiply-and-shift: the bias is below one
    /// in 2^32 / bound, which no measurement of a drill could show.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// True in `share` of 100 cases.
    pub(super) fn chance_percent(&mut self, share: u32) -> bool {
        self.below(100) < share
    }

    /// One of `choices`, each with its weight. The weights must not all be zero.
    pub(super) fn pick_weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> T {
        let mut left = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for &(weight, choice) in choices {
            if left < weight {
                return choice;
            }
            left -= weight;
        }
        // Only reached if all weights are zero.
        choices[0].1
    }
}
