//! Everything on record about the platforms, whether or not it belongs to an incident.

use std::collections::BTreeMap;

use portcullis_model::{Entry, Event, Subject};

use super::lookback::{Lookback, Lookbacks};
use super::platform_event::PlatformEvent;
use super::{
    DegradationRecord, FullSpeedAt, OutageRecord, PostureChange, ProcedureRecord, SurgeRecord,
    WaveRecord,
};
use super::{degradations, full_speed, outages, posture_changes, procedures, surges, waves};
use crate::gate_run::GateRun;
use crate::{BoundedList, CutTotals, LeafRef};

/// What a drill or a replay recorded. The records are those of an [`Incident`](crate::Incident),
/// without its bounds: a surge or a procedure counts without a wave near it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The waves, in the order in which they were detected.
    pub waves: Vec<WaveRecord>,
    /// Waves beyond the limit of waves that are listed (the first ones and the newest are).
    pub more_waves: u64,
    /// Procedures, in the order in which they were engaged.
    pub procedures: BoundedList<ProcedureRecord>,
    /// Changes of posture.
    pub posture_changes: BoundedList<PostureChange>,
    /// Degradations of the origin, in the order in which they began.
    pub degradations: BoundedList<DegradationRecord>,
    /// Outages of the origin, in the order in which they began.
    pub outages: BoundedList<OutageRecord>,
    /// Surges, in the order in which they began.
    pub surges: BoundedList<SurgeRecord>,
    /// When full speed was recorded, by platform.
    pub full_speed: BTreeMap<String, BoundedList<FullSpeedAt>>,
    /// Connections and streams that the gate ended, after it had let them in, whether or not they
    /// belonged to a platform.
    pub cuts: CutTotals,
}

impl History {
    /// The first full speed after a wave and before the platform's next one; `None` if that is not
    /// on record.
    pub fn full_speed_after(&self, wave: &WaveRecord) -> Option<FullSpeedAt> {
        let end = wave.ended.as_ref()?.stamp.leaf;
        let next = self
            .waves
            .iter()
            .filter(|other| other.platform == wave.platform && other.detected.leaf > end)
            .map(|other| other.detected.leaf)
            .min()
            .unwrap_or(u64::MAX);
        let moments = self.full_speed.get(&wave.platform)?;
        moments.iter().find(|moment| (end..next).contains(&moment.stamp.leaf)).copied()
    }
}

/// Folds leaves into a [`History`], entry by entry. Memory is bounded by the limits of the lists and
/// by the number of platforms.
#[derive(Clone, Debug, Default)]
pub struct HistoryFold {
    history: History,
    lookbacks: Lookbacks,
    gate: GateRun,
    last: Option<LeafRef>,
}

impl HistoryFold {
    /// Takes the next leaf. Leaves come in the order of the ledger.
    pub fn push(&mut self, leaf: u64, entry: &Entry) {
        let stamp = LeafRef { at: entry.at, leaf };
        let previous = self.last.replace(stamp);
        match entry.event.subject() {
            Subject::Gate => {
                if let Event::UnassignedTallied(tally) = &entry.event {
                    self.history.cuts.add_unassigned(leaf, tally);
                }
                if let Some(ended) = self.gate.apply(stamp, previous, &entry.event).ended {
                    self.lookbacks.gate_ended(stamp.at);
                    waves::interrupt(&mut self.history.waves, ended);
                    procedures::interrupt(&mut self.history.procedures, &mut [], ended);
                    outages::interrupt(&mut self.history.outages, ended);
                }
            }
            Subject::Platform(platform) => {
                self.apply(&PlatformEvent { stamp, platform, event: &entry.event });
            }
            Subject::Recipient(_) | Subject::Unknown => {}
        }
    }

    fn apply(&mut self, now: &PlatformEvent<'_>) {
        let Some(lookback) = self.lookbacks.find_or_begin(now.platform) else {
            return;
        };
        lookback.apply(now);
        let history = &mut self.history;
        waves::apply(&mut history.waves, &mut history.more_waves, now, &lookback.tallies);
        procedures::list_event(&mut history.procedures, now, &lookback.procedures);
        surges::apply(&mut history.surges, now, &lookback.surges);
        degradations::apply(&mut history.degradations, now, &lookback.degradations);
        outages::apply(&mut history.outages, now);
        posture_changes::apply(&mut history.posture_changes, now, &lookback.posture_changes);
        match now.event {
            Event::FullSpeed { platform, .. } => {
                let moments = history.full_speed.entry(platform.clone()).or_default();
                full_speed::apply(moments, now);
            }
            Event::Tallied(tally) => history.cuts.add(now.stamp.leaf, tally),
            _ => {}
        }
    }

    /// The wave that lasts on a platform.
    pub fn ongoing_wave(&self, platform: &str) -> Option<&WaveRecord> {
        let mut newest = self.history.waves.iter().rev();
        newest.find(|wave| wave.platform == platform).filter(|wave| wave.ongoing())
    }

    /// The surge that lasts on a platform.
    pub fn ongoing_surge(&self, platform: &str) -> Option<&SurgeRecord> {
        self.lookbacks.get(platform).and_then(Lookback::ongoing_surge)
    }

    /// The history up to the last leaf.
    pub fn finish(self) -> History {
        let mut history = self.history;
        for surge in self.lookbacks.iter().filter_map(Lookback::ongoing_surge) {
            surges::add_ongoing(&mut history.surges, surge);
        }
        history.surges.items.sort_by_key(|surge| surge.began.leaf);
        history
    }
}
