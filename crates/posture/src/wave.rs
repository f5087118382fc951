//! One contiguous stretch of attack.

use std::collections::BTreeSet;

use portcullis_model::{
    ActivityId, Evidence, EvidenceKind, SourceCount, Time, WallTime, WaveFigures,
};

/// What one tick adds to a wave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TickTotals {
    pub wall: WallTime,
    pub offered: u64,
    pub forwarded: u64,
    pub stopped: u64,
    pub sources: u64,
    pub stalled_headers: u64,
}

/// Whether the load of the origin is back within its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MitigationState {
    /// Not yet, or not any more, since this moment.
    Unmitigated(WallTime),
    /// Yes.
    Mitigated,
}

/// An ongoing wave.
#[derive(Debug)]
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
    peak: TickTotals,
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
            peak: TickTotals::default(),
        }
    }

    pub(crate) fn count(&mut self, tick: &TickTotals) {
        self.totals.offered += tick.offered;
        self.totals.forwarded += tick.forwarded;
        self.totals.stopped += tick.stopped;
        self.peak.offered = self.peak.offered.max(tick.offered);
        self.peak.forwarded = self.peak.forwarded.max(tick.forwarded);
        self.peak.sources = self.peak.sources.max(tick.sources);
        self.peak.stalled_headers = self.peak.stalled_headers.max(tick.stalled_headers);
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
        // A tick is a quarter of a second.
        WaveFigures {
            offered: self.totals.offered,
            forwarded: self.totals.forwarded,
            stopped: self.totals.stopped,
            peak_offered_per_second: self.peak.offered * 4,
            peak_forwarded_per_second: self.peak.forwarded * 4,
            peak_stalled_headers: self.peak.stalled_headers,
            peak_sources: SourceCount::from_count(self.peak.sources),
            evidence_kinds: self.kinds.len() as u32,
            changes: self.changes,
        }
    }
}
