//! One contiguous stretch of attack.

use std::collections::BTreeSet;

use portcullis_model::{
    ActivityId, Evidence, EvidenceKind, SourceCount, Time, WallTime, WaveFigures,
};
use portcullis_watch::SourceSketch;
use serde::{Deserialize, Serialize};

use crate::second::{SecondTotals, TickTotals};

/// Whether the load of the origin is back within its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum MitigationState {
    /// Not yet, or not any more, since this moment.
    Unmitigated(WallTime),
    /// Yes.
    Mitigated,
}

/// An ongoing wave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wave {
    pub number: u32,
    pub hold: MitigationState,
    /// Ticks in a row that support the other state of `hold`.
    pub turning: u8,
    /// The last moment that anything hostile was seen.
    pub last_hostile: Time,
    kinds: BTreeSet<EvidenceKind>,
    activities: BTreeSet<ActivityId>,
    changes: u32,
    totals: TickTotals,
    /// The busiest whole second, of either.
    peak: SecondTotals,
    sources: SourceSketch,
    /// The most distinct sources in one second.
    peak_sources: u64,
}

impl Wave {
    pub(crate) fn new(number: u32, onset: WallTime, now: Time) -> Self {
        Self {
            number,
            hold: MitigationState::Unmitigated(onset),
            turning: 0,
            last_hostile: now,
            kinds: BTreeSet::new(),
            activities: BTreeSet::new(),
            changes: 0,
            totals: TickTotals::default(),
            peak: SecondTotals::default(),
            sources: SourceSketch::default(),
            peak_sources: 0,
        }
    }

    pub(crate) fn count(&mut self, tick: &TickTotals) {
        self.totals.merge(tick);
        if let Some(second) = tick.second {
            self.peak.offered = self.peak.offered.max(second.offered);
            self.peak.forwarded = self.peak.forwarded.max(second.forwarded);
        }
    }

    /// Counts the sources of a stretch of the wave.
    pub(crate) fn count_sources(&mut self, sources: &SourceSketch) {
        self.sources.merge(sources);
        self.peak_sources = self.peak_sources.max(sources.estimate());
    }

    /// Counts sources of the time before the evidence.
    pub(crate) fn count_earlier_sources(&mut self, sources: &SourceSketch) {
        self.sources.merge(sources);
    }

    /// Notes evidence and activities; answers what of it is new.
    pub(crate) fn note(
        &mut self,
        evidence: &[Evidence],
        over: &[ActivityId],
    ) -> (Vec<Evidence>, bool) {
        let fresh: Vec<_> =
            evidence.iter().filter(|e| self.kinds.insert(e.kind)).cloned().collect();
        let before = self.activities.len();
        self.activities.extend(over);
        (fresh, self.activities.len() > before)
    }

    pub(crate) fn changed(&mut self) {
        self.changes += 1;
    }

    pub(crate) fn activities(&self) -> Vec<ActivityId> {
        self.activities.iter().copied().collect()
    }

    pub(crate) fn figures(&self) -> WaveFigures {
        let TickTotals { offered, forwarded, redirects, stalled_headers, .. } = self.totals;
        let offered = offered.saturating_sub(redirects).max(forwarded);
        WaveFigures {
            offered,
            forwarded,
            stopped: offered - forwarded,
            peak_offered_per_second: self.peak.offered,
            peak_forwarded_per_second: self.peak.forwarded,
            peak_stalled_headers: stalled_headers,
            peak_sources: SourceCount::from_count(self.peak_sources),
            sources: Some(SourceCount::from_count(self.sources.estimate())),
            evidence_kinds: self.kinds.len() as u32,
            changes: self.changes,
        }
    }
}
