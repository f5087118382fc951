//! The same lines in two logs that are merged: a copy that begins elsewhere counts once.

use std::collections::BTreeMap;

use crate::log_second::LogSecond;

/// Logs that are compared with each other in one second: more would cost their square.
const COMPARED: usize = 8;
/// Seconds in which both had lines, before the one is called a copy.
const ENOUGH: u32 = 10;
/// Of the seconds in common, this many in ten contain the same lines.
const TENTHS: u32 = 9;
/// Seconds in common that are remembered.
const REMEMBERED: u32 = 100;

/// What was seen of two logs.
#[derive(Clone, Copy, Debug, Default)]
struct PairTally {
    common: u32,
    contained: u32,
}

impl PairTally {
    const fn add(&mut self, contained: bool) {
        if self.common >= REMEMBERED {
            (self.common, self.contained) = (self.common / 2, self.contained / 2);
        }
        self.common += 1;
        self.contained += contained as u32;
    }

    const fn is_copy(self) -> bool {
        self.common >= ENOUGH && self.contained * 10 >= self.common * TENTHS
    }
}

/// Compares logs second by second. Two servers share single lines (a monitor that asks both);
/// only where nearly every second of one is also in the other are they copies.
#[derive(Debug, Default)]
pub(crate) struct OverlapDetector {
    pairs: BTreeMap<(usize, usize), PairTally>,
    copies: BTreeMap<(usize, usize), u64>,
}

impl OverlapDetector {
    /// Joins the lines that several logs have in a second; each comes with the number of its log.
    pub(crate) fn join(&mut self, seconds: &[(usize, LogSecond)]) -> LogSecond {
        let digests: Vec<Vec<u64>> =
            seconds.iter().take(COMPARED).map(|(_, second)| sorted(second)).collect();
        let mut joined = LogSecond::default();
        for (at, (log, second)) in seconds.iter().enumerate() {
            let mut twice = Vec::new();
            for (before, (other, _)) in seconds[..at].iter().enumerate() {
                let (Some(mine), Some(others)) = (digests.get(at), digests.get(before)) else {
                    continue;
                };
                let shared = intersection(mine, others);
                let pair = (*other.min(log), *other.max(log));
                let tally = self.pairs.entry(pair).or_default();
                tally.add(shared.len() == mine.len().min(others.len()));
                if tally.is_copy() && shared.len() > twice.len() {
                    *self.copies.entry(pair).or_default() += shared.len() as u64;
                    twice = shared;
                }
            }
            joined.append(second, |digest| match twice.binary_search(&digest) {
                Ok(found) => {
                    twice.remove(found);
                    true
                }
                Err(_) => false,
            });
        }
        joined.sort();
        joined
    }

    /// Pairs of logs with the same lines, and how many lines counted once.
    pub(crate) const fn copies(&self) -> &BTreeMap<(usize, usize), u64> {
        &self.copies
    }
}

fn sorted(second: &LogSecond) -> Vec<u64> {
    let mut digests: Vec<u64> = second.digests().collect();
    digests.sort_unstable();
    digests
}

/// What two sorted lists have in common, with repetitions.
fn intersection(one: &[u64], other: &[u64]) -> Vec<u64> {
    let (mut common, mut at) = (Vec::new(), 0);
    for digest in one {
        while other.get(at).is_some_and(|other| other < digest) {
            at += 1;
        }
        if other.get(at) == Some(digest) {
            common.push(*digest);
            at += 1;
        }
    }
    common
}

/// A hash of a whole line, eight bytes at a time; never zero.
pub(crate) fn digest(line: &[u8]) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = (line.len() as u64).wrapping_mul(SPREAD);
    let mut words = line.chunks_exact(8);
    for word in words.by_ref() {
        let word = word.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        state = (state.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    }
    for byte in words.remainder() {
        state = (state.rotate_left(23) ^ u64::from(*byte)).wrapping_mul(SPREAD);
    }
    (state ^ (state >> 29)) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(paths: &[&str]) -> LogSecond {
        let mut second = LogSecond::default();
        for path in paths {
            let text =
                format!("192.0.2.7 - - [17/May/2015:10:05:03 +0000] \"GET {path} HTTP/1.1\" 200 5");
            second.push(
                &crate::line::parse(text.as_bytes()).expect("a line"),
                digest(text.as_bytes()),
            );
        }
        second
    }

    #[test]
    fn a_copy_counts_once_after_ten_seconds_and_servers_that_share_a_monitor_do_not() {
        let mut overlap = OverlapDetector::default();
        let mut lines = 0;
        for _ in 0..30 {
            let both = [(0, second(&["/a", "/b", "/b"])), (1, second(&["/b", "/a", "/b"]))];
            lines += overlap.join(&both).len();
        }
        assert_eq!(lines, 9 * 6 + 21 * 3);
        assert_eq!(overlap.copies()[&(0, 1)], 21 * 3);

        let mut overlap = OverlapDetector::default();
        for _ in 0..30 {
            let both = [(0, second(&["/health", "/a"])), (1, second(&["/health", "/b"]))];
            assert_eq!(overlap.join(&both).len(), 4);
        }
        assert!(overlap.copies().is_empty());
    }
}
