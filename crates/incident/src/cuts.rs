//! What the gate ended after it had let it in, counted over a stretch of time.

use std::collections::BTreeMap;

use portcullis_model::{AttackTechnique, Cut, Tally, UnassignedTally};
use serde::Serialize;

use crate::counts::{add_map, count_verdicts};
use crate::{LeafSet, words};

/// Connections and streams that the gate ended after it had let them in, over the tallies that
/// say so. Older ledgers, and replays of access logs, do not: nothing is known then, which is not
/// the same as nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CutTotals {
    /// How much of the time was watched, in milliseconds, summed over platforms.
    pub watched_ms: u64,
    /// Requests that were forwarded in it: what people's own slowness is measured by.
    pub forwarded: u64,
    /// By cause.
    pub causes: BTreeMap<String, u64>,
    /// The tallies in which something was cut.
    pub leaves: LeafSet,
    /// Of these, the ones with a cause that indicates an attack: [`Cut::technique`].
    pub attack_leaves: LeafSet,
}

impl CutTotals {
    /// Fewer than this many of a kind say nothing.
    pub const MIN_COUNT: u64 = 10;
    /// How many times as often as before, by the clock and by forwarded request, a kind of cut
    /// must have come to stand out. A crowd that is ten times the usual one is about the largest
    /// that comes of itself, and brings its slow readers: by request they are no more than before.
    pub const SIGNIFICANCE_FACTOR: u64 = 10;

    /// Adds one leaf's tally.
    pub(crate) fn add(&mut self, leaf: u64, tally: &Tally) {
        let Some(cuts) = &tally.cuts else { return };
        let lasted = tally.to.millis().saturating_sub(tally.from.millis());
        let forwarded = count_verdicts(&tally.reasons).forwarded;
        self.watched_ms = self.watched_ms.saturating_add(lasted);
        self.forwarded = self.forwarded.saturating_add(forwarded);
        self.add_causes(leaf, cuts);
    }

    /// Adds what one leaf counts of connections that belong to no platform.
    pub(crate) fn add_unassigned(&mut self, leaf: u64, tally: &UnassignedTally) {
        self.add_causes(leaf, &tally.cuts);
    }

    fn add_causes(&mut self, leaf: u64, cuts: &BTreeMap<String, u64>) {
        if !cuts.is_empty() {
            add_map(&mut self.causes, cuts);
            self.leaves.add(leaf);
        }
        if Cut::ALL.iter().any(|cut| cut.technique().is_some() && cuts.contains_key(cut.as_str())) {
            self.attack_leaves.add(leaf);
        }
    }

    /// Adds another platform's.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.watched_ms = self.watched_ms.saturating_add(other.watched_ms);
        self.forwarded = self.forwarded.saturating_add(other.forwarded);
        add_map(&mut self.causes, &other.causes);
        self.leaves.merge(&other.leaves);
        self.attack_leaves.merge(&other.attack_leaves);
    }

    /// Whether cuts were watched at all.
    pub const fn watched(&self) -> bool {
        self.watched_ms > 0
    }

    /// How many were ended for this.
    pub fn count_by_cause(&self, why: Cut) -> u64 {
        self.causes.get(why.as_str()).copied().unwrap_or(0)
    }

    /// How many were ended for a cause that indicates `vector`.
    pub fn count_by_technique(&self, vector: AttackTechnique) -> u64 {
        let causes = Cut::ALL.iter().filter(|cut| cut.technique() == Some(vector));
        causes.fold(0, |n: u64, cut| n.saturating_add(self.count_by_cause(*cut)))
    }

    /// Whether cuts that indicate `vector` came far more often than in the quiet time `before`:
    /// [`SIGNIFICANCE_FACTOR`](Self::SIGNIFICANCE_FACTOR) times, and at least [`MIN_COUNT`](Self::MIN_COUNT). Without a time
    /// before there is nothing to stand out from.
    pub fn is_significant(&self, before: &Self, vector: AttackTechnique) -> bool {
        let n = self.count_by_technique(vector);
        // One before, at least: a quiet hour without any does not make one remarkable.
        let usual = u128::from(before.count_by_technique(vector).max(1))
            * u128::from(Self::SIGNIFICANCE_FACTOR);
        let often =
            |mine: u64, theirs: u64| u128::from(n) * u128::from(theirs) >= usual * u128::from(mine);
        n >= Self::MIN_COUNT
            && before.watched()
            && often(self.watched_ms, before.watched_ms)
            && often(self.forwarded, before.forwarded)
    }

    /// The vectors that stand out from the time before.
    pub fn significant_techniques(&self, before: &Self) -> Vec<AttackTechnique> {
        AttackTechnique::ALL
            .into_iter()
            .filter(|vector| self.is_significant(before, *vector))
            .collect()
    }

    /// Each cause with its number in words, `slow readers cut: 64`: what indicates attacks first,
    /// then what comes with ordinary life, then what this version does not know.
    pub fn lines(&self) -> Vec<String> {
        let named =
            |telling: bool| Cut::ALL.iter().filter(move |cut| cut.technique().is_some() == telling);
        let known = named(true).chain(named(false)).filter(|cut| self.count_by_cause(**cut) > 0);
        let known = known.map(|cut| line(words::cut(*cut), self.count_by_cause(*cut)));
        let strange = self.causes.iter().filter(|(word, n)| {
            **n > 0 && Cut::ALL.iter().all(|cut| cut.as_str() != word.as_str())
        });
        known.chain(strange.map(|(word, n)| line(&words::plain(word), *n))).collect()
    }

    /// Only what indicates attacks, as a list within a sentence: `64 slow readers and 3 floods of
    /// resets`.
    pub fn attack_summary(&self) -> String {
        let named = Cut::ALL
            .iter()
            .filter(|cut| cut.technique().is_some() && self.count_by_cause(**cut) > 0);
        let named: Vec<String> = named
            .map(|cut| format!("{} {}", words::count(self.count_by_cause(*cut)), words::cut(*cut)))
            .collect();
        words::list(&named)
    }
}

fn line(what: &str, n: u64) -> String {
    format!("{what} cut: {}", words::count(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(watched_ms: u64, forwarded: u64, causes: &[(Cut, u64)]) -> CutTotals {
        let causes = causes.iter().map(|(cut, n)| (cut.as_str().to_owned(), *n)).collect();
        CutTotals { watched_ms, forwarded, causes, ..CutTotals::default() }
    }

    #[test]
    fn a_few_slow_readers_do_not_stand_out() {
        let before = cuts(3_600_000, 10_000, &[]);
        let during = cuts(60_000, 500, &[(Cut::SlowRead, 9)]);
        assert!(!during.is_significant(&before, AttackTechnique::SlowReading));
        let during = cuts(60_000, 500, &[(Cut::SlowRead, 6), (Cut::FlowControlStall, 4)]);
        assert!(during.is_significant(&before, AttackTechnique::SlowReading));
        assert_eq!(during.significant_techniques(&before), [AttackTechnique::SlowReading]);
    }

    #[test]
    fn a_crowd_with_its_slow_readers_does_not_stand_out() {
        let before = cuts(600_000, 10_000, &[(Cut::SlowRead, 20)]);
        let crowd = cuts(600_000, 300_000, &[(Cut::SlowRead, 600)]);
        assert!(!crowd.is_significant(&before, AttackTechnique::SlowReading));
        let attack = cuts(600_000, 10_000, &[(Cut::SlowRead, 600)]);
        assert!(attack.is_significant(&before, AttackTechnique::SlowReading));
    }

    #[test]
    fn no_technique_is_significant_against_a_time_without_counts() {
        let during = cuts(60_000, 500, &[(Cut::ResetFlood, 900)]);
        assert!(during.significant_techniques(&CutTotals::default()).is_empty());
    }

    #[test]
    fn idle_connections_indicate_no_attack_however_many_they_are() {
        let before = cuts(600_000, 10_000, &[]);
        let during = cuts(60_000, 0, &[(Cut::Idle, 9_000), (Cut::Evicted, 9_000)]);
        assert!(during.significant_techniques(&before).is_empty());
        assert_eq!(during.attack_summary(), "");
        assert_eq!(during.lines().len(), 2);
    }

    #[test]
    fn what_indicates_attacks_comes_first_and_unknown_words_come_last() {
        let mut during = cuts(60_000, 0, &[(Cut::Idle, 1_200), (Cut::SlowRead, 64)]);
        during.causes.insert("teapot".into(), 3);
        assert_eq!(
            during.lines(),
            ["slow readers cut: 64", "idle connections cut: 1,200", "teapot cut: 3"]
        );
        assert_eq!(during.attack_summary(), "64 slow readers");
    }
}
