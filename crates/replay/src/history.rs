//! What happened, from the events that the control loop records, with the busiest seconds.

use std::collections::BTreeMap;

use portcullis_incident::{
    BoundedList, DegradationRecord, History, HistoryFold, LeafRef, ProcedureRecord, SurgeRecord,
    WaveRecord,
};
use portcullis_model::{
    Cost, Effect, Entry, Event, Evidence, ProcedureFacts, WallTime, WaveFigures,
};
use serde::Serialize;

/// Busiest seconds kept: more than the surges and attacks that are listed. The first ones are, and
/// the newest attack, so a new one takes the place of the newest before it.
const PEAKS: usize = 1_024;

/// Far more traffic than the baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayedSurge {
    /// The platform.
    pub platform: String,
    /// The activities over their baseline.
    pub activities: Vec<String>,
    /// When it was seen.
    pub from: WallTime,
    /// When it was over; absent if it was not at the end of the recording.
    pub to: Option<WallTime>,
    /// Requests per second when it was seen.
    pub per_second: u64,
    /// The busiest second.
    pub peak_per_second: u64,
    /// What the baseline expected, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// The wave of attack that it turned out to be.
    pub turned_into_wave: Option<u32>,
}

/// One wave of attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayedAttack {
    /// The platform.
    pub platform: String,
    /// Its number on this platform, from 1.
    pub wave: u32,
    /// When it can first be seen in the counts, looking back.
    pub onset: WallTime,
    /// When it was detected.
    pub detected: WallTime,
    /// When it was over; absent if it was not at the end of the recording.
    pub to: Option<WallTime>,
    /// The activities that were attacked.
    pub activities: Vec<String>,
    /// What the baseline expected, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// The busiest second.
    pub peak_per_second: u64,
    /// The evidence, the first of each kind.
    pub evidence: Vec<Evidence>,
    /// How often the attacker did something else.
    pub changes: u32,
    /// Milliseconds until what would have reached the origin was back within its baseline.
    pub mitigated_after_ms: Option<u64>,
    /// The wave in figures, once it was over.
    pub figures: Option<WaveFigures>,
    /// When full speed was recorded after it.
    pub full_speed: Option<WallTime>,
}

/// A procedure that would have been engaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayedProcedure {
    /// What, where and why.
    pub facts: ProcedureFacts,
    /// When it was engaged.
    pub engaged: WallTime,
    /// When it was released; absent if it was not at the end of the recording.
    pub released: Option<WallTime>,
    /// What it achieved, once it was released.
    pub effect: Option<Effect>,
    /// What it cost visitors, once it was released.
    pub cost: Option<Cost>,
}

/// The recorded origin failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayedDegradation {
    /// The platform.
    pub platform: String,
    /// When.
    pub from: WallTime,
    /// Until when.
    pub to: Option<WallTime>,
    /// What was seen.
    pub summary: String,
}

/// Everything that happened.
#[derive(Debug, Default)]
pub(crate) struct ReplayHistory {
    pub surges: BoundedList<ReplayedSurge>,
    pub attacks: BoundedList<ReplayedAttack>,
    pub procedures: BoundedList<ReplayedProcedure>,
    pub degradations: BoundedList<ReplayedDegradation>,
}

/// Collects the events of a replay and the busiest second of every surge and attack.
#[derive(Debug, Default)]
pub(crate) struct HistoryRecorder {
    fold: HistoryFold,
    events: u64,
    /// The most requests offered in a second, by the event that began the surge or the attack.
    peaks: BTreeMap<u64, u64>,
}

impl HistoryRecorder {
    /// Takes the next event.
    pub(crate) fn apply(&mut self, at: WallTime, event: Event) {
        self.fold.push(self.events, &Entry::new(at, event));
        self.events += 1;
    }

    /// A platform was offered this number of requests in a second.
    pub(crate) fn record_second(&mut self, platform: &str, offered: u64) {
        let surge = self.fold.ongoing_surge(platform).map(|surge| surge.began);
        let wave = self.fold.ongoing_wave(platform).map(|wave| wave.detected);
        for began in surge.into_iter().chain(wave) {
            if self.peaks.len() >= PEAKS && !self.peaks.contains_key(&began.leaf) {
                self.peaks.pop_last();
            }
            let peak = self.peaks.entry(began.leaf).or_default();
            *peak = offered.max(*peak);
        }
    }

    pub(crate) fn finish(self) -> ReplayHistory {
        let (history, peaks) = (self.fold.finish(), self.peaks);
        let peak = |began: LeafRef| peaks.get(&began.leaf).copied().unwrap_or_default();
        let attacks = history.waves.iter();
        ReplayHistory {
            surges: map(&history.surges, |surge| surge_of(surge, &history, peak(surge.began))),
            attacks: BoundedList {
                items: attacks.map(|wave| attack_of(wave, &history, peak(wave.detected))).collect(),
                more: history.more_waves,
            },
            procedures: map(&history.procedures, procedure_of),
            degradations: map(&history.degradations, degradation_of),
        }
    }
}

fn map<T, U>(list: &BoundedList<T>, convert: impl FnMut(&T) -> U) -> BoundedList<U> {
    BoundedList { items: list.iter().map(convert).collect(), more: list.more }
}

fn surge_of(surge: &SurgeRecord, history: &History, peak: u64) -> ReplayedSurge {
    let overtaken_by = |wave: &&WaveRecord| Some(wave.detected) == surge.overtaken;
    ReplayedSurge {
        platform: surge.platform.clone(),
        activities: surge.activities.clone(),
        from: surge.began.at,
        to: surge.ended.or(surge.overtaken).map(|over| over.at),
        per_second: surge.per_second,
        peak_per_second: surge.per_second.max(peak),
        baseline_milli: surge.baseline_milli,
        turned_into_wave: history.waves.iter().find(overtaken_by).map(|wave| wave.number),
    }
}

fn attack_of(wave: &WaveRecord, history: &History, peak: u64) -> ReplayedAttack {
    let ended = wave.ended.as_ref();
    ReplayedAttack {
        platform: wave.platform.clone(),
        wave: wave.number,
        onset: wave.onset,
        detected: wave.detected.at,
        to: ended.map(|end| end.stamp.at),
        activities: wave.activities.clone(),
        baseline_milli: wave.baseline_milli,
        peak_per_second: ended.map_or(peak, |end| end.figures.peak_offered_per_second.max(peak)),
        evidence: wave.evidence.iter().map(|seen| seen.evidence.clone()).collect(),
        changes: wave.changes.count() as u32,
        mitigated_after_ms: wave.first_mitigation().map(|mitigation| mitigation.after_ms),
        figures: ended.map(|end| end.figures.clone()),
        full_speed: history.full_speed_after(wave).map(|moment| moment.stamp.at),
    }
}

fn procedure_of(procedure: &ProcedureRecord) -> ReplayedProcedure {
    let released = procedure.released.as_ref();
    ReplayedProcedure {
        facts: procedure.facts.clone(),
        engaged: procedure.engaged.at,
        released: released.map(|release| release.stamp.at),
        effect: released.map(|release| release.effect),
        cost: released.map(|release| release.cost),
    }
}

fn degradation_of(degradation: &DegradationRecord) -> ReplayedDegradation {
    ReplayedDegradation {
        platform: degradation.platform.clone(),
        from: degradation.began.at,
        to: degradation.recovered.map(|recovered| recovered.at),
        summary: degradation.summary.clone(),
    }
}
