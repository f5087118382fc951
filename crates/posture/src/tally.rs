//! Tallies: what was counted, minute by minute on quiet days, second by second otherwise.

use std::collections::BTreeMap;

use portcullis_model::{
    ActivityCounts, ActivityTally, Cut, LatencyHistogram, LatencyMillis, Outcome, Reason,
    SourceCount, Tally, Verdict, WallTime,
};
use portcullis_watch::SourceSketch;

use crate::second::SecondTotals;

/// Milliseconds between tallies while nothing happens.
const CALM_MS: u64 = 60_000;
/// Milliseconds between tallies during a surge or an attack.
const BUSY_MS: u64 = 1_000;

/// One platform's tally in the making.
#[derive(Debug)]
pub(crate) struct TallyBuilder {
    from: WallTime,
    busy: bool,
    /// Whether connections are watched, so that cuts are known.
    connections: bool,
    activities: Vec<ActivityCounts>,
    sources: SourceSketch,
    answered: u64,
    unseen: u64,
    peak_offered: u64,
    peak_forwarded: u64,
}

impl TallyBuilder {
    pub(crate) fn new(from: WallTime, activities: usize, connections: bool) -> Self {
        Self {
            from,
            busy: false,
            connections,
            activities: vec![ActivityCounts::default(); activities],
            sources: SourceSketch::default(),
            answered: 0,
            unseen: 0,
            peak_offered: 0,
            peak_forwarded: 0,
        }
    }

    pub(crate) fn observe(&mut self, source: portcullis_model::SourceKey, answered: bool) {
        self.sources.add(source);
        self.answered += u64::from(answered);
    }

    pub(crate) const fn without_connection_counts(&mut self) {
        self.connections = false;
    }

    /// Adds a tick, and the whole second that ends with it, if one does.
    pub(crate) fn add(
        &mut self,
        tick: &[ActivityCounts],
        second: Option<SecondTotals>,
        unseen: u64,
    ) {
        for (sum, counts) in self.activities.iter_mut().zip(tick) {
            sum.add(counts);
        }
        if let Some(second) = second {
            self.peak_offered = self.peak_offered.max(second.offered);
            self.peak_forwarded = self.peak_forwarded.max(second.forwarded);
        }
        self.unseen += unseen;
    }

    /// Whether the tally is to be closed now. When quiet turns busy, the quiet part is closed
    /// immediately, so that no tally mixes both.
    pub(crate) fn due(&self, wall: WallTime, busy: bool) -> bool {
        let lasted = wall.millis().saturating_sub(self.from.millis());
        let turned = busy != self.busy && lasted > 0;
        turned || lasted >= if busy { BUSY_MS } else { CALM_MS }
    }

    /// Closes the tally and begins the next. `name` and `expected_milli` are asked about each
    /// activity by its place on the platform.
    pub(crate) fn close(
        &mut self,
        platform: String,
        to: WallTime,
        busy: bool,
        name: impl Fn(usize) -> String,
        expected_milli: impl Fn(usize) -> u64,
    ) -> Tally {
        let mut all = ActivityCounts::default();
        for counts in &self.activities {
            all.add(counts);
        }
        let tally = Tally {
            platform,
            from: self.from,
            to,
            reasons: nonzero(all.by_name()),
            outcomes: nonzero(Outcome::ALL.iter().map(|o| (o.as_str(), all.outcome(*o)))),
            peak_offered_per_second: self.peak_offered,
            peak_forwarded_per_second: self.peak_forwarded,
            sources: SourceCount::from_count(self.sources.estimate()),
            challenges_passed: self.answered,
            latency: millis(&all.latency),
            origin_busy_ms: all.origin_micros / 1_000,
            bytes_out: all.bytes_out,
            records_lost: self.unseen,
            cuts: self
                .connections
                .then(|| nonzero(Cut::ALL.iter().map(|cut| (cut.as_str(), all.cuts.of(*cut))))),
            activities: self
                .activities
                .iter()
                .enumerate()
                .filter(|(_, counts)| counts.offered() > 0)
                .map(|(at, counts)| activity_tally(name(at), expected_milli(at), counts))
                .collect(),
        };
        *self = Self::new(to, self.activities.len(), self.connections);
        self.busy = busy;
        tally
    }
}

fn activity_tally(name: String, baseline_milli: u64, counts: &ActivityCounts) -> ActivityTally {
    ActivityTally {
        name,
        offered: counts.offered(),
        forwarded: by_verdict(counts, Verdict::Forward),
        served: counts.outcome(Outcome::Served),
        challenged: by_verdict(counts, Verdict::Challenge),
        refused: counts.reason(Reason::Signature)
            + counts.reason(Reason::SourceRate)
            + counts.reason(Reason::TokenSpent)
            + counts.reason(Reason::Shed),
        baseline_milli,
        latency: millis(&counts.latency),
    }
}

pub(crate) fn by_verdict(counts: &ActivityCounts, verdict: Verdict) -> u64 {
    Reason::ALL.iter().filter(|r| r.verdict() == verdict).map(|r| counts.reason(*r)).sum()
}

fn nonzero<'a>(words: impl Iterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    words.filter(|(_, n)| *n > 0).map(|(word, n)| (word.to_owned(), n)).collect()
}

fn millis(latencies: &LatencyHistogram) -> Option<LatencyMillis> {
    let at = |per_thousand| latencies.quantile(per_thousand).map(|d| d.as_millis() as u64);
    Some(LatencyMillis { p50: at(500)?, p95: at(950)?, p99: at(990)? })
}
