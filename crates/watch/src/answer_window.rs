//! The share of an origin's answers that are bad, with its uncertainty.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Lengths of the windows, in ticks: a second, ten seconds, a minute, five minutes.
const WINDOWS: [usize; 4] = [4, 40, 240, 1_200];
/// Standard deviations between the estimated share and its bounds.
const SIGMAS_SQUARED: u128 = 9;
/// Larger counts are scaled down before they are squared.
const MAX_COUNT: u64 = 1 << 20;

/// Answers in some time, and how many of them are bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub(crate) struct Answers {
    pub(crate) all: u64,
    /// At most `all`.
    pub(crate) bad: u64,
}

/// Written as a pair: there are thousands of them.
impl From<Answers> for (u64, u64) {
    fn from(answers: Answers) -> Self {
        (answers.all, answers.bad)
    }
}

impl From<(u64, u64)> for Answers {
    fn from((all, bad): (u64, u64)) -> Self {
        Self { all, bad: bad.min(all) }
    }
}

/// What is believed about a share before there are answers, as a number of bad and of good answers, in
/// thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PriorBelief {
    bad_milli: u64,
    good_milli: u64,
}

impl PriorBelief {
    /// Nothing is believed (Jeffreys' prior).
    pub(crate) const NONE: Self = Self { bad_milli: 500, good_milli: 500 };

    /// As if `answers` had been seen before, of which `per_mille` in a thousand were bad.
    pub(crate) fn of(answers: u64, per_mille: u64) -> Self {
        let per_mille = per_mille.min(1_000);
        Self { bad_milli: answers * per_mille, good_milli: answers * (1_000 - per_mille) }
    }
}

impl Answers {
    pub(crate) const fn good(self) -> u64 {
        self.all - self.bad
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.all += other.all;
        self.bad += other.bad;
    }

    /// Whether the share of bad answers is over `per_mille` beyond doubt: its mean less three standard
    /// deviations, by the beta distribution that `prior` becomes with these answers.
    pub(crate) fn is_surely_over(self, per_mille: u64, prior: PriorBelief) -> bool {
        let (bad, good) = self.posterior(prior);
        surely_over(bad, good, per_mille)
    }

    /// Whether the share of bad answers is under `per_mille` beyond doubt.
    pub(crate) fn is_surely_under(self, per_mille: u64, prior: PriorBelief) -> bool {
        let (bad, good) = self.posterior(prior);
        surely_over(good, bad, 1_000 - per_mille)
    }

    /// The parameters of the beta distribution, in thousandths.
    fn posterior(self, prior: PriorBelief) -> (u128, u128) {
        let (mut bad, mut good) = (self.bad, self.good());
        while bad > MAX_COUNT || good > MAX_COUNT {
            (bad, good) = (bad / 2, good / 2);
        }
        let milli = |count: u64, prior: u64| u128::from(count * 1_000 + prior);
        (milli(bad, prior.bad_milli), milli(good, prior.good_milli))
    }
}

/// `mean - t > 3 sd` for a beta distribution with parameters `a` and `b` in thousandths, where the mean
/// is `a / n`, the variance `a b / (n² (n + 1))`, and `t` is `per_mille` thousandths; in integers.
fn surely_over(a: u128, b: u128, per_mille: u64) -> bool {
    let n = a + b;
    let (mean, threshold) = (1_000 * a, u128::from(per_mille) * n);
    let Some(excess) = mean.checked_sub(threshold).filter(|excess| *excess > 0) else {
        return false;
    };
    // Both sides times n² · 10^15.
    (excess * excess).saturating_mul(n + 1_000) > SIGMAS_SQUARED * a * b * 1_000_000_000
}

/// Answers by tick, over windows of several lengths.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerWindows {
    ticks: VecDeque<Answers>,
    sums: [Answers; WINDOWS.len()],
}

impl AnswerWindows {
    /// Takes one tick; returns the one that was a minute ago.
    pub(crate) fn push(&mut self, tick: Answers) -> Answers {
        self.ticks.push_back(tick);
        for (sum, length) in self.sums.iter_mut().zip(WINDOWS) {
            sum.add(tick);
            if let Some(left) = self.ticks.len().checked_sub(length + 1) {
                let left = self.ticks[left];
                sum.all -= left.all;
                sum.bad -= left.bad;
            }
        }
        let minute_ago = self.ticks.len().checked_sub(WINDOWS[2] + 1).map(|at| self.ticks[at]);
        if self.ticks.len() > WINDOWS[WINDOWS.len() - 1] {
            self.ticks.pop_front();
        }
        minute_ago.unwrap_or_default()
    }

    /// Forgets everything: what comes is judged by itself.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The answers of the shortest window for which `holds`.
    pub(crate) fn find(&self, holds: impl Fn(Answers) -> bool) -> Option<Answers> {
        self.sums.iter().copied().find(|sum| holds(*sum))
    }

    /// The answers of the last ten seconds.
    pub(crate) const fn ten_seconds(&self) -> Answers {
        self.sums[1]
    }

    /// The answers of the last minute.
    pub(crate) const fn minute(&self) -> Answers {
        self.sums[2]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bounds_are_three_standard_deviations_away() {
        let over =
            |bad, all, per_mille| Answers { all, bad }.is_surely_over(per_mille, PriorBelief::NONE);
        // Mean 4.5 / 5 = 0.9, standard deviation 0.1225: the bound is 0.53.
        assert!(over(4, 4, 500));
        assert!(!over(4, 4, 540));
        assert!(!over(3, 3, 500));
        // Mean 50.5 / 101 = 0.5, standard deviation 0.0495: the bound is 0.3515.
        assert!(over(50, 100, 351));
        assert!(!over(50, 100, 352));
        let under = |bad, all, per_mille| {
            Answers { all, bad }.is_surely_under(per_mille, PriorBelief::NONE)
        };
        assert!(under(0, 4, 500) && !under(0, 3, 500));
        assert!(!under(0, 0, 999));
    }

    #[test]
    fn what_was_usual_before_asks_for_more_evidence() {
        let prior = PriorBelief::of(20, 5);
        let failing = |n| Answers { all: n, bad: n }.is_surely_over(50, prior);
        assert!(!failing(8));
        assert!(failing(9));
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_last_ticks(
            ticks in prop::collection::vec((0_u64..50, 0_u64..50), 1..1_500),
        ) {
            let mut windows = AnswerWindows::default();
            for (good, bad) in &ticks {
                windows.push(Answers { all: good + bad, bad: *bad });
            }
            for (sum, length) in windows.sums.iter().zip(WINDOWS) {
                let last = &ticks[ticks.len().saturating_sub(length)..];
                prop_assert_eq!(sum.all, last.iter().map(|(good, bad)| good + bad).sum::<u64>());
                prop_assert_eq!(sum.bad, last.iter().map(|(_, bad)| bad).sum::<u64>());
            }
            prop_assert!(windows.ticks.len() <= 1_200);
        }

        #[test]
        fn no_count_overflows_and_no_share_is_both_over_and_under(
            all in 0_u64..=u64::MAX / 4,
            share in 0_u64..=1_000,
            per_mille in 0_u64..=1_000,
        ) {
            let answers = Answers { all, bad: (u128::from(all) * u128::from(share) / 1_000) as u64 };
            let over = answers.is_surely_over(per_mille, PriorBelief::NONE);
            let under = answers.is_surely_under(per_mille, PriorBelief::NONE);
            prop_assert!(!(over && under));
        }
    }
}
