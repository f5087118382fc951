//! What an incident holds.

use portcullis_model::{
    Cost, Effect, Evidence, EvidenceKind, PlatformFacts, Posture, ProcedureFacts, ProcedureId,
    Receipt, Strength, WallTime, WaveFigures,
};
use serde::Serialize;

use crate::{Coverage, CutTotals, Figure, Leaves, Listed, Peak, Series, Totals, Unit, Window};

/// When something happened and which leaf says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Stamp {
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
    pub platforms: Vec<PlatformStory>,
    /// The waves, in the order in which they were detected.
    pub waves: Vec<Wave>,
    /// Waves beyond the limit of waves that are kept (the first ones and the newest are).
    pub more_waves: u64,
    /// Procedures that were engaged, in the order in which they were.
    pub procedures: Listed<ProcedureStory>,
    /// Changes of posture.
    pub postures: Listed<PostureMove>,
    /// When the origin was strained.
    pub strains: Listed<Strain>,
    /// Surges within a day of the waves: flash crowds, as far as can be told, unless an attack
    /// overtook them.
    pub surges: Listed<Surge>,
    /// Who was told.
    pub receipts: Listed<Told>,
    /// What was not recorded.
    pub coverage: Coverage,
    /// How far the ledger was read.
    pub as_of: Stamp,
}

/// One attacked platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlatformStory {
    /// Its name.
    pub name: String,
    /// The last quiet tallies before the first wave: no surge, no attack, no procedure.
    pub before: Totals,
    /// Tallies that overlap a wave, from onset to end.
    pub attack: Totals,
    /// Of these, the tallies that lie wholly in times when the wave was mitigated.
    pub held: Totals,
    /// Tallies that overlap an engaged procedure.
    pub engaged: Totals,
    /// The most that the origin was seen to bear, kept up over a tally of at least a second,
    /// with at most one failure in a hundred and no strain recorded: its capacity is at
    /// least this.
    pub bore: Option<Peak>,
    /// Load over time, from a minute before the onset of each wave to ten minutes after. Waves
    /// more than half an hour apart are in different stretches.
    pub series: Vec<Series>,
    /// When full speed was recorded.
    pub full_speed: Listed<FullSpeedMoment>,
    /// Procedures engaged within a day after the last full speed, for something that was not a
    /// wave of this incident.
    pub engaged_later: Leaves,
    /// How many procedures are still engaged where the ledger ends (or a day after the last
    /// wave).
    pub live: u64,
}

/// One contiguous stretch of attack on one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wave {
    /// The platform.
    pub platform: String,
    /// Its number on this platform, for the life of the ledger.
    pub number: u32,
    /// When it can first be seen in the counts, looking back.
    pub onset: WallTime,
    /// When it was detected.
    pub detected: Stamp,
    /// The activities that were attacked when it was detected.
    pub detected_on: Vec<String>,
    /// All activities that were attacked, in the order in which they were named.
    pub activities: Vec<String>,
    /// What the baseline expects of the platform, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// The evidence, one of each kind: the first, with how often it was recorded.
    pub evidence: Vec<EvidenceSeen>,
    /// Changes of tactics.
    pub changes: Listed<Change>,
    /// When it was mitigated, and whether that held.
    pub mitigations: Listed<Mitigation>,
    /// Connections and streams that the gate ended while it lasted, after it had let them in.
    pub cuts: CutTotals,
    /// How it ended.
    pub ended: Option<Ended>,
    /// The gate stopped or crashed while it lasted: its end was not seen.
    pub interrupted: Option<Stamp>,
}

/// A kind of evidence in a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EvidenceSeen {
    /// When it was first recorded.
    pub first: Stamp,
    /// What was recorded then.
    pub evidence: Evidence,
    /// All leaves that record evidence of this kind.
    pub leaves: Leaves,
}

/// The attacker did something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When.
    pub stamp: Stamp,
    /// Activities attacked from then on.
    pub activities: Vec<String>,
    /// What was new.
    pub evidence: Vec<Evidence>,
    /// Milliseconds after the last change of procedures.
    pub after_procedure_ms: Option<u64>,
}

/// A change of tactics that came soon after the attack had been mitigated.
#[derive(Clone, Copy, Debug)]
pub struct Reaction<'a> {
    /// The change.
    pub change: &'a Change,
    /// Milliseconds since the attack had been mitigated.
    pub after_ms: u64,
}

/// What reached the origin came back within what it can bear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mitigation {
    /// When.
    pub stamp: Stamp,
    /// Milliseconds from the onset, or from the change that broke through.
    pub after_ms: u64,
    /// When the attack broke through again, if it did.
    pub lost: Option<Stamp>,
}

/// The end of a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// When: after the quiet time that ends a wave.
    pub stamp: Stamp,
    /// The wave in figures.
    pub figures: WaveFigures,
}

/// A procedure from beginning to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcedureStory {
    /// What, where and why.
    pub facts: ProcedureFacts,
    /// When it was engaged.
    pub engaged: Stamp,
    /// How it ended.
    pub released: Option<Released>,
    /// The gate stopped or crashed while it was engaged, which ended it unmeasured.
    pub interrupted: Option<Stamp>,
}

/// The end of a procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Released {
    /// When.
    pub stamp: Stamp,
    /// Why.
    pub reason: String,
    /// What it achieved.
    pub effect: Effect,
    /// What it cost visitors.
    pub cost: Cost,
}

/// The gate was lowered or raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PostureMove {
    /// When.
    pub stamp: Stamp,
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
pub struct Strain {
    /// The platform.
    pub platform: String,
    /// When it was seen.
    pub began: Stamp,
    /// What was seen.
    pub says: String,
    /// When it was over.
    pub recovered: Option<Stamp>,
}

/// A surge: of people, as far as can be told, unless an attack overtook it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Surge {
    /// The platform.
    pub platform: String,
    /// The activities over their baseline.
    pub activities: Vec<String>,
    /// When it was seen.
    pub began: Stamp,
    /// When it was over, without an attack.
    pub ended: Option<Stamp>,
    /// When it was recognised as an attack, or an attack began while it lasted.
    pub overtaken: Option<Stamp>,
    /// Requests per second when it was seen.
    pub per_second: u64,
    /// What the baseline expected, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// What was counted meanwhile.
    pub totals: Totals,
}

/// Full speed was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FullSpeedMoment {
    /// When.
    pub stamp: Stamp,
    /// Since when no procedure had been engaged and every activity within its baseline.
    pub since: WallTime,
    /// For how long, in milliseconds.
    pub held_ms: u64,
}

/// Somebody was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// When it was recorded.
    pub stamp: Stamp,
    /// The receipt.
    pub receipt: Receipt,
}

impl Wave {
    /// The last moment known of the wave: its end, the interruption, or what `as_of` says.
    pub fn until(&self, as_of: WallTime) -> WallTime {
        let end = self.ended.as_ref().map(|e| e.stamp.at);
        end.or(self.interrupted.map(|s| s.at)).unwrap_or(as_of).max(self.onset)
    }

    /// Whether it goes on where the ledger ends.
    pub const fn ongoing(&self) -> bool {
        self.ended.is_none() && self.interrupted.is_none()
    }

    /// Milliseconds from onset to detection.
    pub fn detect_ms(&self) -> u64 {
        self.detected.at.millis().saturating_sub(self.onset.millis())
    }

    /// The first time that it was mitigated.
    pub fn mitigated(&self) -> Option<&Mitigation> {
        self.mitigations.items.first()
    }

    /// Whether it was mitigated and stayed so.
    pub fn held(&self) -> bool {
        self.mitigations.more == 0
            && self.mitigations.items.last().is_some_and(|last| last.lost.is_none())
    }

    /// The kinds of evidence that were recorded.
    pub fn kinds(&self) -> impl Iterator<Item = EvidenceKind> + '_ {
        self.evidence.iter().map(|seen| seen.evidence.kind)
    }

    /// Whether evidence was recorded that people who follow a link do not explain.
    pub fn has_strong_evidence(&self) -> bool {
        self.kinds().any(|kind| kind.strength() == Strength::Strong)
    }

    /// A change within this time after a mitigation counts as a reaction to it.
    pub const REACTS_WITHIN_MS: u64 = 60_000;

    /// Changes of tactics that look like answers to mitigation. Evidence that only gathers while
    /// an attack is being met is no change of tactics, so the wave must have been mitigated
    /// before; and challenges that are not answered are news about the defence. What is seen
    /// piece by piece, within [`Wave::PIECES_MS`] of each other, is one change.
    pub fn reactions(&self) -> impl Iterator<Item = Reaction<'_>> {
        let mut known: &[String] = &self.detected_on;
        let mut last: Option<WallTime> = None;
        self.changes.iter().filter_map(move |change| {
            let wider = change.activities.iter().any(|a| !known.contains(a));
            known = &change.activities;
            let other = |e: &Evidence| e.kind != EvidenceKind::UnansweredChallenges;
            let tactics = wider || change.evidence.iter().any(other);
            let at = change.stamp.at;
            let piece = last.is_some_and(|last| since(last, at) <= Self::PIECES_MS);
            if !tactics {
                return None;
            }
            last = Some(at);
            let mut newest = self.mitigations.iter().rev().map(|m| m.stamp);
            let mitigated = newest.find(|m| m.leaf < change.stamp.leaf)?;
            let after_ms = since(mitigated.at, at);
            let soon = after_ms <= Self::REACTS_WITHIN_MS && !piece;
            soon.then_some(Reaction { change, after_ms })
        })
    }

    /// Pieces of one change of tactics are recorded within this time of each other: evidence is
    /// gathered over two seconds.
    pub const PIECES_MS: u64 = 5_000;

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

impl ProcedureStory {
    /// Its number.
    pub const fn id(&self) -> ProcedureId {
        self.facts.id
    }

    /// Whether it is engaged where the ledger ends.
    pub const fn live(&self) -> bool {
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
    pub fn window(&self) -> Window {
        Window::new(self.onset(), self.until())
    }

    /// Whether a wave goes on where the ledger ends.
    pub fn ongoing(&self) -> bool {
        self.waves.iter().any(Wave::ongoing)
    }

    /// One attacked platform by name.
    pub fn platform(&self, name: &str) -> Option<&PlatformStory> {
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

    fn merged(&self, part: impl Fn(&PlatformStory) -> &Totals) -> Totals {
        let mut totals = Totals::default();
        for platform in &self.platforms {
            totals.merge(part(platform));
        }
        totals
    }

    /// What was counted during the waves, on the attacked platforms.
    pub fn attack(&self) -> Totals {
        self.merged(|p| &p.attack)
    }

    /// What was counted while the waves were mitigated, on the attacked platforms.
    pub fn held(&self) -> Totals {
        self.merged(|p| &p.held)
    }

    /// What was counted in the quiet time before, on the attacked platforms.
    pub fn before(&self) -> Totals {
        self.merged(|p| &p.before)
    }

    /// What was counted while procedures were engaged.
    pub fn engaged(&self) -> Totals {
        self.merged(|p| &p.engaged)
    }

    /// Kinds of evidence over all waves, each with the leaves that record it.
    pub fn evidence(&self) -> Vec<(EvidenceKind, Leaves)> {
        let mut kinds: std::collections::BTreeMap<EvidenceKind, Leaves> =
            std::collections::BTreeMap::new();
        for seen in self.waves.iter().flat_map(|wave| &wave.evidence) {
            let leaves = kinds.entry(seen.evidence.kind).or_default();
            leaves.merge(&seen.leaves);
        }
        kinds.into_iter().collect()
    }

    /// The leaves that record detections.
    pub fn detections(&self) -> Leaves {
        self.waves.iter().map(|wave| wave.detected.leaf).collect()
    }

    /// When the platform was back at full speed after its last wave; `None` if that was not
    /// recorded.
    pub fn back_at_full_speed(&self, platform: &str) -> Option<FullSpeedMoment> {
        let mut waves = self.waves.iter().filter(|w| w.platform == platform);
        if waves.any(Wave::ongoing) {
            return None;
        }
        let story = self.platform(platform)?;
        let last_wave =
            self.waves.iter().filter(|w| w.platform == platform).map(Wave::last_leaf).max()?;
        let mut moments = story.full_speed.iter();
        moments.find(|m| m.stamp.leaf > last_wave).copied()
    }

    /// Whether figures of the attack are lower bounds: something of it was not recorded, or the
    /// gate held as many connections as it may, so that not everything came in to be counted.
    pub fn saturated(&self) -> bool {
        let attack = self.attack();
        let window = self.window();
        attack.unseen > 0
            || attack.reason(portcullis_model::Reason::Connections) > 0
            || self.more_waves > 0
            || self.waves.iter().any(|wave| wave.interrupted.is_some())
            || self.coverage.lost_events > 0
            || self
                .coverage
                .gaps
                .iter()
                .any(|gap| self.waves.iter().any(|w| gap.touches(w.onset, w.until(window.to))))
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
        let mut leaves = Leaves::default();
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
    pub fn procedures_engaged(&self) -> Vec<Window> {
        let mut windows: Vec<Window> = self
            .procedures
            .iter()
            .map(|p| {
                let end = p.released.as_ref().map(|r| r.stamp).or(p.interrupted);
                Window::new(p.engaged.at, end.map_or(self.as_of.at, |s| s.at))
            })
            .collect();
        windows.sort_by_key(|w| (w.from, w.to));
        let mut stretches: Vec<Window> = Vec::new();
        for window in windows {
            match stretches.last_mut() {
                Some(last) if window.from <= last.to => *last = last.with(window),
                _ => stretches.push(window),
            }
        }
        stretches
    }

    /// From the first procedure's engagement to the last one's release.
    pub fn procedures_window(&self) -> Option<Window> {
        self.procedures_engaged().into_iter().reduce(Window::with)
    }
}

/// Milliseconds from one moment to another; zero if it is not later.
const fn since(from: WallTime, to: WallTime) -> u64 {
    to.millis().saturating_sub(from.millis())
}
