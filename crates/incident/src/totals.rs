//! What was counted over a stretch of time: tallies, merged.

use std::collections::BTreeMap;

use portcullis_model::{ConnReason, Outcome, Reason, Tally};
use serde::Serialize;

use crate::counts::{add_map, count_verdicts};
use crate::{CutTotals, Figure, LeafSet, TimeWindow, Unit};

/// Tallies of one or more platforms, merged.
///
/// Sums are exact. Percentiles of different intervals cannot be merged exactly, so [`PercentileSpread`]
/// keeps how they were distributed. Distinct sources cannot be summed and are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// From the first tally's beginning to the last one's end.
    pub window: Option<TimeWindow>,
    /// How much of the window was recorded, in milliseconds, summed over platforms.
    pub recorded_ms: u64,
    /// The tallies' leaves.
    pub leaves: LeafSet,
    /// Verdicts of all reasons: requests, and connections that were dropped.
    pub offered: u64,
    /// Sent to the origin.
    pub forwarded: u64,
    /// Challenged, or passing a challenge: a passed challenge counts twice here.
    pub challenged: u64,
    /// Answered with an error page.
    pub refused: u64,
    /// Connections closed without an answer.
    pub dropped: u64,
    /// Verdicts whose reason this version does not know.
    pub unknown: u64,
    /// Verdicts by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Forwarded requests by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Connections and streams that were ended after they had been accepted.
    pub cuts: CutTotals,
    /// Challenges that were passed.
    pub challenges_passed: u64,
    /// Requests that the watch did not see because their record was lost.
    pub records_lost: u64,
    /// Body bytes sent to visitors.
    pub bytes_out: u64,
    /// Milliseconds that the origin was busy, summed over requests.
    pub origin_busy_ms: u64,
    /// The busiest second, offered.
    pub peak_offered: Option<Peak>,
    /// The busiest second, forwarded.
    pub peak_forwarded: Option<Peak>,
    /// The busiest whole tally, offered: a sustained rate, not a burst.
    pub sustained_offered: Option<Peak>,
    /// The 95th percentile of latency, interval by interval.
    pub p95: PercentileSpread,
    /// By platform, then activity.
    pub activities: BTreeMap<String, BTreeMap<String, ActivityTotals>>,
}

/// A rate at its highest, with the leaf that records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peak {
    /// Requests per second.
    pub per_second: u64,
    /// The interval of the tally.
    pub window: TimeWindow,
    /// The tally's leaf.
    pub leaf: u64,
    /// The platform.
    pub platform: String,
}

/// What was counted of one activity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ActivityTotals {
    /// Requests.
    pub offered: u64,
    /// Sent to the origin.
    pub forwarded: u64,
    /// Answered by the origin below 500.
    pub served: u64,
    /// Challenges given, and answers to them.
    pub challenged: u64,
    /// Refused by engaged procedures.
    pub refused: u64,
    /// What the baseline expects over the same time, in thousandths of a request.
    pub expected_milli: u64,
    /// The 95th percentile of latency, interval by interval.
    pub p95: PercentileSpread,
    /// The tallies that mention it.
    pub leaves: LeafSet,
}

impl ActivityTotals {
    /// Served of forwarded, in hundredths of a per cent; `None` if nothing was forwarded.
    /// Requests are counted as forwarded when they are sent and as served when the answer
    /// begins, so an interval that ends in between leaves out a few.
    pub fn served_share(&self) -> Option<u64> {
        basis_points(self.served.min(self.forwarded), self.forwarded)
    }

    fn merge(&mut self, other: &Self) {
        self.offered = self.offered.saturating_add(other.offered);
        self.forwarded = self.forwarded.saturating_add(other.forwarded);
        self.served = self.served.saturating_add(other.served);
        self.challenged = self.challenged.saturating_add(other.challenged);
        self.refused = self.refused.saturating_add(other.refused);
        self.expected_milli = self.expected_milli.saturating_add(other.expected_milli);
        self.p95.merge(&other.p95);
        self.leaves.merge(&other.leaves);
    }
}

/// How a percentile was distributed over intervals: for each value in milliseconds, how many
/// forwarded requests the intervals with that value had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PercentileSpread(BTreeMap<u64, u64>);

impl PercentileSpread {
    /// Values that are counted separately. Tallies hold bucket ends, of which there are 80; beyond this limit a
    /// value counts as the next larger one, so that no figure is better than the truth.
    const VALUES: usize = 256;

    fn add(&mut self, millis: u64, weight: u64) {
        let full = self.0.len() >= Self::VALUES && !self.0.contains_key(&millis);
        let key = if full {
            let next = self.0.range(millis..).next().map(|(&k, _)| k);
            if next.is_none() {
                // Larger than all: the largest value becomes this one.
                if let Some((_, w)) = self.0.pop_last() {
                    self.0.insert(millis, w);
                }
            }
            next.unwrap_or(millis)
        } else {
            millis
        };
        let sum = self.0.entry(key).or_default();
        *sum = sum.saturating_add(weight);
    }

    fn merge(&mut self, other: &Self) {
        for (&millis, &weight) in &other.0 {
            self.add(millis, weight);
        }
    }

    /// The interval in the middle: half of the requests came in intervals at or under it.
    pub fn typical(&self) -> Option<u64> {
        let total: u128 = self.0.values().map(|&w| u128::from(w)).sum();
        let mut seen = 0;
        for (&millis, &weight) in &self.0 {
            seen += u128::from(weight);
            if seen * 2 >= total && total > 0 {
                return Some(millis);
            }
        }
        None
    }

    /// The worst interval.
    pub fn worst(&self) -> Option<u64> {
        self.0.keys().next_back().copied()
    }
}

/// What was offered in a tally, without overflow.
pub(crate) fn offered(tally: &Tally) -> u64 {
    tally.reasons.values().fold(0, |n: u64, &more| n.saturating_add(more))
}

/// Requests that the origin finished or failed, and of these the served ones. The visitor caused the
/// other outcomes.
pub(crate) fn origin_outcomes(outcomes: &BTreeMap<String, u64>) -> (u64, u64) {
    let all = Outcome::ALL
        .iter()
        .filter(|outcome| outcome.origin_result().is_some())
        .filter_map(|outcome| outcomes.get(outcome.as_str()))
        .fold(0, |n: u64, &more| n.saturating_add(more));
    (all, outcomes.get(Outcome::Served.as_str()).copied().unwrap_or(0))
}

/// `part` of `whole` in hundredths of a per cent, cut.
pub(crate) fn basis_points(part: u64, whole: u64) -> Option<u64> {
    (whole > 0).then(|| {
        let share = u128::from(part) * 10_000 / u128::from(whole);
        u64::try_from(share).unwrap_or(u64::MAX)
    })
}

/// `n` in `millis` as a rate per second.
pub(crate) fn per_second(n: u64, millis: u64) -> u64 {
    let rate = u128::from(n) * 1_000 / u128::from(millis.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn raise_peak(best: &mut Option<Peak>, per_second: u64, leaf: u64, tally: &Tally) {
    if best.as_ref().is_none_or(|b| per_second > b.per_second) {
        *best = Some(Peak {
            per_second,
            window: TimeWindow::new(tally.from, tally.to),
            leaf,
            platform: tally.platform.clone(),
        });
    }
}

impl Totals {
    /// The shortest tally whose average counts as sustained.
    const SUSTAINED_MS: u64 = 1_000;
    /// Activities that are counted separately per platform.
    const ACTIVITIES: usize = 256;

    /// Adds one leaf's tally.
    pub(crate) fn add(&mut self, leaf: u64, tally: &Tally) {
        let window = TimeWindow::new(tally.from, tally.to);
        self.window = Some(self.window.map_or(window, |w| w.with(window)));
        self.recorded_ms = self.recorded_ms.saturating_add(window.millis());
        self.leaves.add(leaf);
        let counts = count_verdicts(&tally.reasons);
        let all = offered(tally);
        for (sum, n) in [
            (&mut self.offered, all),
            (&mut self.forwarded, counts.forwarded),
            (&mut self.challenged, counts.challenged),
            (&mut self.refused, counts.refused),
            (&mut self.dropped, counts.dropped),
            (&mut self.unknown, counts.unknown),
            (&mut self.challenges_passed, tally.challenges_passed),
            (&mut self.records_lost, tally.records_lost),
            (&mut self.bytes_out, tally.bytes_out),
            (&mut self.origin_busy_ms, tally.origin_busy_ms),
        ] {
            *sum = sum.saturating_add(n);
        }
        add_map(&mut self.reasons, &tally.reasons);
        add_map(&mut self.outcomes, &tally.outcomes);
        self.cuts.add(leaf, tally);
        raise_peak(&mut self.peak_offered, tally.peak_offered_per_second, leaf, tally);
        raise_peak(&mut self.peak_forwarded, tally.peak_forwarded_per_second, leaf, tally);
        if window.millis() >= Self::SUSTAINED_MS {
            let rate = per_second(all, window.millis());
            raise_peak(&mut self.sustained_offered, rate, leaf, tally);
        }
        if let Some(latency) = tally.latency {
            self.p95.add(latency.p95, counts.forwarded.max(1));
        }
        let by_name = self.activities.entry(tally.platform.clone()).or_default();
        for activity in &tally.activities {
            if by_name.len() >= Self::ACTIVITIES && !by_name.contains_key(&activity.name) {
                continue;
            }
            let sum = by_name.entry(activity.name.clone()).or_default();
            let expected =
                u128::from(activity.baseline_milli) * u128::from(window.millis()) / 1_000;
            sum.merge(&ActivityTotals {
                offered: activity.offered,
                forwarded: activity.forwarded,
                served: activity.served,
                challenged: activity.challenged,
                refused: activity.refused,
                expected_milli: u64::try_from(expected).unwrap_or(u64::MAX),
                p95: PercentileSpread::default(),
                leaves: LeafSet::default(),
            });
            sum.leaves.add(leaf);
            if let Some(latency) = activity.latency {
                sum.p95.add(latency.p95, activity.forwarded.max(1));
            }
        }
    }

    /// Adds another platform's totals.
    pub fn merge(&mut self, other: &Self) {
        self.window = match (self.window, other.window) {
            (Some(a), Some(b)) => Some(a.with(b)),
            (a, b) => a.or(b),
        };
        for (sum, n) in [
            (&mut self.recorded_ms, other.recorded_ms),
            (&mut self.offered, other.offered),
            (&mut self.forwarded, other.forwarded),
            (&mut self.challenged, other.challenged),
            (&mut self.refused, other.refused),
            (&mut self.dropped, other.dropped),
            (&mut self.unknown, other.unknown),
            (&mut self.challenges_passed, other.challenges_passed),
            (&mut self.records_lost, other.records_lost),
            (&mut self.bytes_out, other.bytes_out),
            (&mut self.origin_busy_ms, other.origin_busy_ms),
        ] {
            *sum = sum.saturating_add(n);
        }
        self.leaves.merge(&other.leaves);
        add_map(&mut self.reasons, &other.reasons);
        add_map(&mut self.outcomes, &other.outcomes);
        self.cuts.merge(&other.cuts);
        for (mine, theirs) in [
            (&mut self.peak_offered, &other.peak_offered),
            (&mut self.peak_forwarded, &other.peak_forwarded),
            (&mut self.sustained_offered, &other.sustained_offered),
        ] {
            let rate = |peak: &Option<Peak>| peak.as_ref().map(|p| p.per_second);
            if rate(theirs) > rate(mine) {
                mine.clone_from(theirs);
            }
        }
        self.p95.merge(&other.p95);
        for (platform, activities) in &other.activities {
            let mine = self.activities.entry(platform.clone()).or_default();
            for (name, totals) in activities {
                mine.entry(name.clone()).or_default().merge(totals);
            }
        }
    }

    /// Of the forwarded requests that the origin finished or failed, how many it answered below
    /// 500, in hundredths of a per cent. Requests that the visitor broke off are left out.
    /// `None` if there were none.
    pub fn served_share(&self) -> Option<u64> {
        let (all, served) = origin_outcomes(&self.outcomes);
        basis_points(served, all)
    }

    /// Requests that were answered by a challenge.
    pub fn challenges_issued(&self) -> u64 {
        self.reason(Reason::ChallengeIssued)
    }

    /// Challenges that were passed, never more than were given.
    pub fn passed_challenges(&self) -> u64 {
        let answered = self.reason(Reason::ChallengePassed).max(self.challenges_passed);
        answered.min(self.challenges_issued())
    }

    /// Refused, dropped, or challenged without coming back.
    pub fn stopped(&self) -> u64 {
        self.challenges_issued()
            .saturating_sub(self.passed_challenges())
            .saturating_add(self.refused)
            .saturating_add(self.dropped)
    }

    /// Verdicts for one reason.
    pub fn reason(&self, reason: Reason) -> u64 {
        self.reasons.get(reason.as_str()).copied().unwrap_or(0)
    }

    /// Connections that were closed without a response, for one reason.
    pub fn refused_connections(&self, reason: ConnReason) -> u64 {
        self.reasons.get(reason.as_str()).copied().unwrap_or(0)
    }

    /// A sum of these tallies as a figure with their window and leaves.
    pub fn figure(&self, name: impl Into<String>, value: u64, unit: Unit) -> Figure {
        Figure::new(name, value, unit, self.leaves.clone()).within(self.window)
    }
}

impl Peak {
    /// This peak as a figure.
    pub fn figure(&self, name: impl Into<String>) -> Figure {
        Figure::new(name, self.per_second, Unit::PerSecond, LeafSet::single(self.leaf))
            .within(Some(self.window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_that_is_full_never_shows_a_latency_that_is_too_good() {
        let mut spread = PercentileSpread::default();
        for millis in 0..1_000 {
            spread.add(millis * 2, 1);
        }
        assert!(spread.0.len() <= PercentileSpread::VALUES);
        assert_eq!(spread.worst(), Some(1_998));
        assert!(spread.typical().is_some_and(|typical| typical >= 998));
    }

    #[test]
    fn a_share_is_cut_so_that_only_all_is_called_all() {
        assert_eq!(basis_points(99_999, 100_000), Some(9_999));
        assert_eq!(basis_points(3, 3), Some(10_000));
        assert_eq!(basis_points(0, 0), None);
    }
}
