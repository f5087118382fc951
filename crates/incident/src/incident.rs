//! What an incident holds.

use portcullis_model::{
    Cost, Effect, Evidence, EvidenceKind, EvidenceWeight, PlatformFacts, Posture, ProcedureFacts,
    ProcedureId, Receipt, WallTime, WaveFigures,
};
use serde::Serialize;

use crate::{
    BoundedList, Coverage, CutTotals, Figure, LeafSet, LoadSeries, Peak, TimeWindow, Totals, Unit,
};

/// When something happened and which leaf says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LeafRef {
    /// When.
    pub at: WallTime,
    /// The leaf.
    pub leaf: u64,
}

/// One or more waves of attack that belong together, and everything that was recorded of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// `I-YYYYMMDD-HHMMSS`: the first wave's onset in UTC. Stays the same as the ledger grows.
    pub id: String,
    /// True for a drill or a replay: nothing of this is about a real attack.
    pub rehearsal: bool,
    /// Portcullis' version at the onset, if the ledger holds its start.
    pub version: Option<String>,
    /// SHA-256 of the configuration at the onset, in hex, if the ledger holds its start.
    pub configuration: Option<String>,
    /// Platforms that were protected at the onset.
    pub protected: Vec<PlatformFacts>,
    /// Platforms that were attacked, by name.
    pub platforms: Vec<PlatformRecord>,
    /// The waves, in the order in which they were detected.
    pub waves: Vec<WaveRecord>,
    /// Waves beyond the limit of waves that are kept (the first ones and the newest are).
    pub more_waves: u64,
    /// Procedures that were engaged, in the order in which they were.
    pub procedures: BoundedList<ProcedureRecord>,
    /// Changes of posture.
    pub posture_changes: BoundedList<PostureChange>,
    /// When the origin was degraded.
    pub degradations: BoundedList<DegradationRecord>,
    /// Surges within a day of the waves: flash crowds, as far as is known, unless an attack
    /// overtook them.
    pub surges: BoundedList<SurgeRecord>,
    /// Recipients that were notified.
    pub notifications: BoundedList<Notification>,
    /// What was not recorded.
    pub coverage: Coverage,
    /// How far the ledger was read.
    pub as_of: LeafRef,
}

/// One attacked platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlatformRecord {
    /// Its name.
    pub name: String,
    /// The last quiet tallies before the first wave: no surge, no attack, no procedure.
    pub before: Totals,
    /// Tallies that overlap a wave, from onset to end.
    pub attack: Totals,
    /// Of these, the tallies that lie wholly in times when the wave was mitigated.
    pub while_mitigated: Totals,
    /// Tallies that overlap an engaged procedure.
    pub engaged: Totals,
    /// The most that the origin was seen to handle, sustained over a tally of at least a second,
    /// with at most one failure in a hundred and no degradation recorded: its capacity is at
    /// least this.
    pub observed_capacity: Option<Peak>,
    /// Load over time, from a minute before the onset of each wave to ten minutes after. Waves
    /// more than half an hour apart are in different stretches.
    pub series: Vec<LoadSeries>,
    /// When full speed was recorded.
    pub full_speed: BoundedList<FullSpeedAt>,
    /// Procedures engaged within a day after the last full speed, for something that was not a
    /// wave of this incident.
    pub engaged_later: LeafSet,
    /// How many procedures are still engaged where the ledger ends (or a day after the last
    /// wave).
    pub still_active: u64,
}

/// One contiguous stretch of attack on one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaveRecord {
    /// The platform.
    pub platform: String,
    /// Its number on this platform, for the life of the ledger.
    pub number: u32,
    /// When it can first be seen in the counts, looking back.
    pub onset: WallTime,
    /// When it was detected.
    pub detected: LeafRef,
    /// The activities that were attacked when it was detected.
    pub detected_on: Vec<String>,
    /// All activities that were attacked, in the order in which they were named.
    pub activities: Vec<String>,
    /// What the baseline expects of the platform, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// The evidence, one of each kind: the first, with how often it was recorded.
    pub evidence: Vec<EvidenceSummary>,
    /// Changes of tactics.
    pub changes: BoundedList<AttackChange>,
    /// When it was mitigated, and whether that held.
    pub mitigations: BoundedList<Mitigation>,
    /// Connections and streams that the gate ended while it lasted, after it had let them in.
    pub cuts: CutTotals,
    /// How it ended.
    pub ended: Option<WaveEnd>,
    /// The gate stopped or crashed while it lasted: its end was not seen.
    pub interrupted: Option<LeafRef>,
}

/// A kind of evidence in a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EvidenceSummary {
    /// When it was first recorded.
    pub first: LeafRef,
    /// What was recorded then.
    pub evidence: Evidence,
    /// All leaves that record evidence of this kind.
    pub leaves: LeafSet,
}

/// The attacker did something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttackChange {
    /// When.
    pub stamp: LeafRef,
    /// Activities attacked from then on.
    pub activities: Vec<String>,
    /// What was new.
    pub evidence: Vec<Evidence>,
    /// Milliseconds after the last change of procedures.
    pub since_procedure_change_ms: Option<u64>,
}

/// A change of tactics that came soon after the attack had been mitigated.
#[derive(Clone, Copy, Debug)]
pub struct Adaptation<'a> {
    /// The change.
    pub change: &'a AttackChange,
    /// Milliseconds since the attack had been mitigated.
    pub after_ms: u64,
}

/// What reached the origin came back within its capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mitigation {
    /// When.
    pub stamp: LeafRef,
    /// Milliseconds from the onset, or from the change that broke through.
    pub after_ms: u64,
    /// When the attack broke through again, if it did.
    pub lost: Option<LeafRef>,
}

/// The end of a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaveEnd {
    /// When: after the quiet time that ends a wave.
    pub stamp: LeafRef,
    /// The wave in figures.
    pub figures: WaveFigures,
}

/// A procedure from beginning to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcedureRecord {
    /// What, where and why.
    pub facts: ProcedureFacts,
    /// When it was engaged.
    pub engaged: LeafRef,
    /// How it ended.
    pub released: Option<ProcedureRelease>,
    /// The gate stopped or crashed while it was engaged, which ended it unmeasured.
    pub interrupted: Option<LeafRef>,
}

/// The end of a procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcedureRelease {
    /// When.
    pub stamp: LeafRef,
    /// Why.
    pub reason: String,
    /// What it achieved.
    pub effect: Effect,
    /// What it cost visitors.
    pub cost: Cost,
}

/// The gate was lowered or raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PostureChange {
    /// When.
    pub stamp: LeafRef,
    /// The platform.
    pub platform: String,
    /// Before.
    pub from: Posture,
    /// After.
    pub to: Posture,
    /// Why.
    pub reason: String,
}

/// The origin answered too slowly, failed, or made requests wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DegradationRecord {
    /// The platform.
    pub platform: String,
    /// When it was seen.
    pub began: LeafRef,
    /// What was seen.
    pub summary: String,
    /// When it was over.
    pub recovered: Option<LeafRef>,
}

/// A surge: of people, as far as is known, unless an attack overtook it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SurgeRecord {
    /// The platform.
    pub platform: String,
    /// The activities over their baseline.
    pub activities: Vec<String>,
    /// When it was seen.
    pub began: LeafRef,
    /// When it was over, without an attack.
    pub ended: Option<LeafRef>,
    /// When it was recognised as an attack, or an attack began while it lasted.
    pub overtaken: Option<LeafRef>,
    /// Requests per second when it was seen.
    pub per_second: u64,
    /// What the baseline expected, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// What was counted meanwhile.
    pub totals: Totals,
}

/// Full speed was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FullSpeedAt {
    /// When.
    pub stamp: LeafRef,
    /// Since when no procedure had been engaged and every activity within its baseline.
    pub since: WallTime,
    /// For how long, in milliseconds.
    pub duration_ms: u64,
}

/// A recipient was notified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// When it was recorded.
    pub stamp: LeafRef,
    /// The receipt.
    pub receipt: Receipt,
}

impl WaveRecord {
    /// The last moment known of the wave: its end, the interruption, or what `as_of` says.
    pub fn until(&self, as_of: WallTime) -> WallTime {
        let end = self.ended.as_ref().map(|e| e.stamp.at);
        end.or(self.interrupted.map(|s| s.at)).unwrap_or(as_of).max(self.onset)
    }

    /// Whether it continues where the ledger ends.
    pub const fn ongoing(&self) -> bool {
        self.ended.is_none() && self.interrupted.is_none()
    }

    /// Milliseconds from onset to detection.
    pub fn time_to_detect_ms(&self) -> u64 {
        self.detected.at.millis().saturating_sub(self.onset.millis())
    }

    /// The first time that it was mitigated.
    pub fn first_mitigation(&self) -> Option<&Mitigation> {
        self.mitigations.items.first()
    }

    /// Whether it was mitigated and stayed so.
    pub fn stayed_mitigated(&self) -> bool {
        self.mitigations.more == 0
            && self.mitigations.items.last().is_some_and(|last| last.lost.is_none())
    }

    /// The kinds of evidence that were recorded.
    pub fn evidence_kinds(&self) -> impl Iterator<Item = EvidenceKind> + '_ {
        self.evidence.iter().map(|seen| seen.evidence.kind)
    }

    /// Whether evidence was recorded that people who follow a link do not explain.
    pub fn has_strong_evidence(&self) -> bool {
        self.evidence_kinds().any(|kind| kind.strength() == EvidenceWeight::Strong)
    }

    /// A change within this time after a mitigation counts as a reaction to it.
    pub const ADAPTATION_WINDOW_MS: u64 = 60_000;

    /// Changes of tactics that look like answers to mitigation. Evidence that only gathers while
    /// an attack is being met is no change of tactics, so the wave must have been mitigated
    /// before; and challenges that are not answered are news about the defence. What is seen
    /// piece by piece, within [`WaveRecord::SAME_CHANGE_MS`] of each other, is one change.
    pub fn adaptations(&self) -> impl Iterator<Item = Adaptation<'_>> {
        let mut known: &[String] = &self.detected_on;
        let mut last: Option<WallTime> = None;
        self.changes.iter().filter_map(move |change| {
            let wider = change.activities.iter().any(|a| !known.contains(a));
            known = &change.activities;
            let other = |e: &Evidence| e.kind != EvidenceKind::UnansweredChallenges;
            let tactics = wider || change.evidence.iter().any(other);
            let at = change.stamp.at;
            let piece = last.is_some_and(|last| since(last, at) <= Self::SAME_CHANGE_MS);
            if !tactics {
                return None;
            }
            last = Some(at);
            let mut newest = self.mitigations.iter().rev().map(|m| m.stamp);
            let mitigated = newest.find(|m| m.leaf < change.stamp.leaf)?;
            let after_ms = since(mitigated.at, at);
            let soon = after_ms <= Self::ADAPTATION_WINDOW_MS && !piece;
            soon.then_some(Adaptation { change, after_ms })
        })
    }

    /// Pieces of one change of tactics are recorded within this time of each other: evidence is
    /// gathered over two seconds.
    pub const SAME_CHANGE_MS: u64 = 5_000;

    /// Milliseconds during which the wave was not mitigated: from its onset, and each time that
    /// it broke through again.
    pub fn unmitigated_ms(&self, as_of: WallTime) -> u64 {
        let until = self.until(as_of);
        let mut open = Some(self.onset);
        let mut sum: u64 = 0;
        for mitigation in &self.mitigations {
            if let Some(from) = open {
                sum = sum.saturating_add(since(from, mitigation.stamp.at));
            }
            open = mitigation.lost.map(|lost| lost.at);
        }
        sum.saturating_add(open.map_or(0, |from| since(from, until)))
    }

    /// Whether it was mitigated at `at`, as far as is known then.
    pub(crate) fn mitigated_at(&self, at: WallTime) -> bool {
        let last = self.mitigations.items.last();
        last.is_some_and(|m| m.lost.is_none() && m.stamp.at <= at)
    }

    /// The last leaf that is about this wave.
    pub fn last_leaf(&self) -> u64 {
        let ended = self.ended.as_ref().map(|e| e.stamp.leaf);
        let change = self.changes.items.last().map(|c| c.stamp.leaf);
        let interrupted = self.interrupted.map(|s| s.leaf);
        ended.max(change).max(interrupted).unwrap_or(0).max(self.detected.leaf)
    }

    /// `wave 2 on main`.
    pub fn name(&self) -> String {
        format!("wave {} on {}", self.number, self.platform)
    }
}

impl ProcedureRecord {
    /// Its number.
    pub const fn id(&self) -> ProcedureId {
        self.facts.id
    }

    /// Whether it is engaged where the ledger ends.
    pub const fn is_engaged(&self) -> bool {
        self.released.is_none() && self.interrupted.is_none()
    }

    /// Where it applies, in words: `search on main`, or the platform alone.
    pub fn scope(&self) -> String {
        match &self.facts.activity {
            Some(activity) => format!("{activity} on {}", self.facts.platform),
            None => self.facts.platform.clone(),
        }
    }
}

impl Incident {
    /// The first wave's onset.
    pub fn onset(&self) -> WallTime {
        let first = self.waves.iter().map(|wave| wave.onset).min();
        first.unwrap_or(self.as_of.at)
    }

    /// The last moment known of any wave.
    pub fn until(&self) -> WallTime {
        let last = self.waves.iter().map(|wave| wave.until(self.as_of.at)).max();
        last.unwrap_or(self.as_of.at)
    }

    /// From the first onset to the last end.
    pub fn window(&self) -> TimeWindow {
        TimeWindow::new(self.onset(), self.until())
    }

    /// Whether a wave continues where the ledger ends.
    pub fn ongoing(&self) -> bool {
        self.waves.iter().any(WaveRecord::ongoing)
    }

    /// One attacked platform by name.
    pub fn platform(&self, name: &str) -> Option<&PlatformRecord> {
        self.platforms.iter().find(|p| p.name == name)
    }

    /// The attacked platforms' names.
    pub fn attacked(&self) -> Vec<&str> {
        self.platforms.iter().map(|p| p.name.as_str()).collect()
    }

    /// Protected platforms on which no attack was recorded.
    pub fn not_attacked(&self) -> Vec<&str> {
        let names = self.protected.iter().map(|facts| facts.name.as_str());
        names.filter(|name| self.platform(name).is_none()).collect()
    }

    fn merge_totals(&self, part: impl Fn(&PlatformRecord) -> &Totals) -> Totals {
        let mut totals = Totals::default();
        for platform in &self.platforms {
            totals.merge(part(platform));
        }
        totals
    }

    /// What was counted during the waves, on the attacked platforms.
    pub fn attack(&self) -> Totals {
        self.merge_totals(|p| &p.attack)
    }

    /// What was counted while the waves were mitigated, on the attacked platforms.
    pub fn while_mitigated(&self) -> Totals {
        self.merge_totals(|p| &p.while_mitigated)
    }

    /// What was counted in the quiet time before, on the attacked platforms.
    pub fn before(&self) -> Totals {
        self.merge_totals(|p| &p.before)
    }

    /// What was counted while procedures were engaged.
    pub fn engaged(&self) -> Totals {
        self.merge_totals(|p| &p.engaged)
    }

    /// Kinds of evidence over all waves, each with the leaves that record it.
    pub fn evidence(&self) -> Vec<(EvidenceKind, LeafSet)> {
        let mut kinds: std::collections::BTreeMap<EvidenceKind, LeafSet> =
            std::collections::BTreeMap::new();
        for seen in self.waves.iter().flat_map(|wave| &wave.evidence) {
            let leaves = kinds.entry(seen.evidence.kind).or_default();
            leaves.merge(&seen.leaves);
        }
        kinds.into_iter().collect()
    }

    /// The leaves that record detections.
    pub fn detections(&self) -> LeafSet {
        self.waves.iter().map(|wave| wave.detected.leaf).collect()
    }

    /// When the platform was back at full speed after its last wave; `None` if that was not
    /// recorded.
    pub fn back_at_full_speed(&self, platform: &str) -> Option<FullSpeedAt> {
        let mut waves = self.waves.iter().filter(|w| w.platform == platform);
        if waves.any(WaveRecord::ongoing) {
            return None;
        }
        let record = self.platform(platform)?;
        let last_wave = self
            .waves
            .iter()
            .filter(|w| w.platform == platform)
            .map(WaveRecord::last_leaf)
            .max()?;
        let mut moments = record.full_speed.iter();
        moments.find(|m| m.stamp.leaf > last_wave).copied()
    }

    /// Whether figures of the attack are lower bounds: something of it was not recorded, or the
    /// gate held as many connections as it may, so that not everything came in to be counted.
    pub fn saturated(&self) -> bool {
        let attack = self.attack();
        let window = self.window();
        attack.records_lost > 0
            || attack.reason(portcullis_model::Reason::ConnectionLimit) > 0
            || self.more_waves > 0
            || self.waves.iter().any(|wave| wave.interrupted.is_some())
            || self.coverage.lost_events > 0
            || self
                .coverage
                .gaps
                .iter()
                .any(|gap| self.waves.iter().any(|w| gap.overlaps(w.onset, w.until(window.to))))
    }

    /// The largest number of requests per second that was offered in one tick.
    pub fn peak(&self) -> Option<Figure> {
        let peak = self.attack().peak_offered?;
        Some(
            peak.figure(format!("busiest moment on {}, offered", peak.platform))
                .at_least(self.saturated()),
        )
    }

    /// Requests that procedures are recorded to have stopped.
    pub fn stopped_by_procedures(&self) -> Figure {
        let mut leaves = LeafSet::default();
        let mut stopped: u64 = 0;
        for released in self.procedures.iter().filter_map(|p| p.released.as_ref()) {
            stopped = stopped.saturating_add(released.effect.stopped);
            leaves.add(released.stamp.leaf);
        }
        let unmeasured =
            self.procedures.more > 0 || self.procedures.iter().any(|p| p.released.is_none());
        Figure::new("stopped by procedures", stopped, Unit::Requests, leaves)
            .within(self.procedures_window())
            .at_least(unmeasured)
    }

    /// When at least one procedure was engaged: stretches apart, in order.
    pub fn procedures_engaged(&self) -> Vec<TimeWindow> {
        let mut windows: Vec<TimeWindow> = self
            .procedures
            .iter()
            .map(|p| {
                let end = p.released.as_ref().map(|r| r.stamp).or(p.interrupted);
                TimeWindow::new(p.engaged.at, end.map_or(self.as_of.at, |s| s.at))
            })
            .collect();
        windows.sort_by_key(|w| (w.from, w.to));
        let mut stretches: Vec<TimeWindow> = Vec::new();
        for window in windows {
            match stretches.last_mut() {
                Some(last) if window.from <= last.to => *last = last.with(window),
                _ => stretches.push(window),
            }
        }
        stretches
    }

    /// From the first procedure's engagement to the last one's release.
    pub fn procedures_window(&self) -> Option<TimeWindow> {
        self.procedures_engaged().into_iter().reduce(TimeWindow::with)
    }
}

/// Milliseconds from one moment to another; zero if it is not later.
const fn since(from: WallTime, to: WallTime) -> u64 {
    to.millis().saturating_sub(from.millis())
}
