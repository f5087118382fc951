//! How many distinct sources: a sketch that workers and nodes can merge.

use portcullis_model::SourceKey;
use serde::{Deserialize, Serialize};

const REGISTERS: usize = 2_048;
const INDEX_BITS: u32 = 11;

/// A `HyperLogLog` of 2 KiB (Flajolet et al. 2007, with linear counting for small numbers): the
/// estimate is within about 2.3 per cent (1.04/√2048). For display only: nothing decides by it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct SourceSketch {
    registers: Box<[u8; REGISTERS]>,
}

impl Default for SourceSketch {
    fn default() -> Self {
        Self { registers: Box::new([0; REGISTERS]) }
    }
}

impl From<SourceSketch> for Vec<u8> {
    fn from(sketch: SourceSketch) -> Self {
        sketch.registers.to_vec()
    }
}

impl TryFrom<Vec<u8>> for SourceSketch {
    type Error = &'static str;

    fn try_from(registers: Vec<u8>) -> Result<Self, Self::Error> {
        let registers = registers.into_boxed_slice().try_into();
        Ok(Self { registers: registers.map_err(|_| "a sketch of another size")? })
    }
}

impl SourceSketch {
    /// Counts a source in.
    pub fn add(&mut self, source: SourceKey) {
        let hash = mix(source.bits());
        let register = (hash >> (64 - INDEX_BITS)) as usize;
        let rank = ((hash << INDEX_BITS).leading_zeros() + 1).min(64 - INDEX_BITS + 1) as u8;
        self.registers[register] = self.registers[register].max(rank);
    }

    /// Counts in whatever `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (to, from) in self.registers.iter_mut().zip(other.registers.iter()) {
            *to = (*to).max(*from);
        }
    }

    /// About how many distinct sources were counted.
    pub fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let empty = self.registers.iter().filter(|r| **r == 0).count();
        let sum: f64 = self.registers.iter().map(|r| (-f64::from(*r)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        if raw <= 2.5 * m && empty > 0 {
            return (m * (m / empty as f64).ln()).round() as u64;
        }
        raw.round() as u64
    }
}

/// Spreads bits (the finaliser of `SplitMix64`): addresses of one network must not share registers.
/// Unkeyed, which is fine for a figure that nothing decides by.
const fn mix(bits: u64) -> u64 {
    let mut z = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch_of(addresses: impl Iterator<Item = u32>) -> SourceSketch {
        let mut sketch = SourceSketch::default();
        for address in addresses {
            sketch.add(SourceKey::of(std::net::Ipv4Addr::from(address).into()));
        }
        sketch
    }

    #[test]
    fn estimates_are_within_a_tenth_from_ten_to_a_million() {
        for n in [10u32, 100, 1_000, 10_000, 100_000, 1_000_000] {
            let estimate = sketch_of(0..n).estimate();
            let n = u64::from(n);
            assert!(estimate.abs_diff(n) * 10 <= n.max(10), "{estimate} for {n}");
        }
    }

    #[test]
    fn merging_counts_the_union() {
        let mut left = sketch_of(0..6_000);
        left.merge(&sketch_of(4_000..10_000));
        assert!(left.estimate().abs_diff(10_000) < 1_000);
    }
}
