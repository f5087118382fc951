//! Waves of attack: from `attack-began` over `attack-changed`, `mitigated` and `mitigation-lost` to
//! `attack-ended`.

use core::time::Duration;

use portcullis_model::{Event, Evidence, EvidenceKind, EvidenceWeight, WallTime, WaveFigures};
use serde::Serialize;

use super::platform_event::{Disturbance, PlatformEvent};
use super::tallies::RecentTallies;
use crate::timeline::Timeline;
use crate::words::{activities, count, counted, plain, sentence, span, thousandths};
use crate::{BoundedList, CutTotals, LeafRef, LeafSet};

/// A wave that is detected within this time of the last wave's end belongs to the same incident.
/// Second waves come the next day: the attack on the Labour Party of 11 November 2019 was
/// followed by another on 12 November at about 13:20.
pub const JOIN: Duration = Duration::from_hours(24);

/// What happened within this time before a wave's onset is shown with it.
pub(super) const LEAD: Duration = Duration::from_mins(1);

/// Waves listed per incident: the first and the newest. Of the others only the number is known.
const LISTED: usize = 256;
/// Changes, mitigations and activities listed per wave.
const PER_WAVE: usize = 256;

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

/// The waves of one platform, whether or not an incident is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentWaves {
    ongoing: bool,
    last_end: WallTime,
}

impl RecentWaves {
    pub(super) fn apply(&mut self, now: &PlatformEvent<'_>) {
        match now.event {
            Event::AttackBegan { .. } => self.ongoing = true,
            Event::AttackEnded { .. } => {
                self.ongoing = false;
                self.last_end = self.last_end.max(now.stamp.at);
            }
            _ => {}
        }
    }

    /// The gate stopped or crashed: the end of what lasted is not on record.
    pub(super) fn gate_ended(&mut self) {
        self.ongoing = false;
    }
}

impl Disturbance for RecentWaves {
    fn ongoing(&self) -> bool {
        self.ongoing
    }

    fn last_end(&self) -> WallTime {
        self.last_end
    }
}

impl WaveRecord {
    /// The last moment known of the wave: its end, the interruption, or else `as_of`.
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

    /// Events of one change of tactics are recorded within this time of each other: evidence is
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

    /// Its end, if that is known; otherwise a time that never comes.
    pub(super) fn end_or_never(&self) -> WallTime {
        self.until(WallTime(u64::MAX))
    }

    /// Whether any of the time between is part of the wave. One that continues has no end.
    pub(super) fn overlaps(&self, from: WallTime, to: WallTime) -> bool {
        to > self.onset && from < self.end_or_never()
    }

    /// Whether it was mitigated at `at`, as far as is known then.
    pub(super) fn mitigated_at(&self, at: WallTime) -> bool {
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

/// Adds what an event contributes to the waves. `more` counts the waves that are not listed.
/// Returns false if the event is about a wave whose beginning is not on record.
pub(super) fn apply(
    waves: &mut Vec<WaveRecord>,
    more: &mut u64,
    now: &PlatformEvent<'_>,
    recent: &RecentTallies,
) -> bool {
    match now.event {
        Event::AttackBegan { wave, activities, onset, evidence, baseline_milli, .. } => {
            let mut wave = WaveRecord {
                platform: now.platform.to_owned(),
                number: *wave,
                onset: (*onset).min(now.stamp.at),
                detected: now.stamp,
                detected_on: activities.iter().take(PER_WAVE).cloned().collect(),
                activities: activities.iter().take(PER_WAVE).cloned().collect(),
                baseline_milli: *baseline_milli,
                evidence: Vec::new(),
                changes: BoundedList::default(),
                mitigations: BoundedList::default(),
                cuts: CutTotals::default(),
                ended: None,
                interrupted: None,
            };
            add_evidence(&mut wave, now.stamp, evidence);
            for (leaf, tally) in recent.since(wave.onset) {
                wave.cuts.add(leaf, tally);
            }
            begin(waves, more, wave);
            true
        }
        Event::Tallied(tally) => {
            for wave in waves.iter_mut().filter(|wave| wave.platform == tally.platform) {
                if wave.overlaps(tally.from, tally.to) {
                    wave.cuts.add(now.stamp.leaf, tally);
                }
            }
            true
        }
        Event::AttackChanged { wave, .. }
        | Event::Mitigated { wave, .. }
        | Event::MitigationLost { wave, .. }
        | Event::AttackEnded { wave, .. } => {
            let mut newest = waves.iter_mut().rev();
            let wave =
                newest.find(|w| w.platform == now.platform && w.number == *wave && w.ongoing());
            wave.is_some_and(|wave| continue_wave(wave, now))
        }
        _ => true,
    }
}

fn begin(waves: &mut Vec<WaveRecord>, more: &mut u64, wave: WaveRecord) {
    // A platform has one wave at a time: an older one's end was not recorded.
    for older in waves.iter_mut() {
        if older.platform == wave.platform && older.ongoing() {
            older.interrupted = Some(wave.detected);
        }
    }
    if waves.len() >= LISTED {
        // The newest is always listed: the next events are about it.
        *more = more.saturating_add(1);
        waves.pop();
    }
    waves.push(wave);
}

/// Adds an event to its wave. Returns false if the event ends a mitigation that is not on record.
fn continue_wave(wave: &mut WaveRecord, now: &PlatformEvent<'_>) -> bool {
    match now.event {
        Event::AttackChanged { activities, evidence, since_procedure_change_ms, .. } => {
            add_evidence(wave, now.stamp, evidence);
            for activity in activities {
                if wave.activities.len() < PER_WAVE && !wave.activities.contains(activity) {
                    wave.activities.push(activity.clone());
                }
            }
            let change = AttackChange {
                stamp: now.stamp,
                activities: activities.clone(),
                evidence: evidence.clone(),
                since_procedure_change_ms: *since_procedure_change_ms,
            };
            wave.changes.add(change, PER_WAVE);
        }
        Event::Mitigated { after_ms, .. } => {
            let mitigation = Mitigation { stamp: now.stamp, after_ms: *after_ms, lost: None };
            wave.mitigations.add(mitigation, PER_WAVE);
        }
        Event::MitigationLost { .. } => match wave.mitigations.items.last_mut() {
            Some(last) => {
                last.lost.get_or_insert(now.stamp);
            }
            None => return false,
        },
        Event::AttackEnded { figures, .. } => {
            wave.ended = Some(WaveEnd { stamp: now.stamp, figures: figures.clone() });
        }
        _ => {}
    }
    true
}

fn add_evidence(wave: &mut WaveRecord, stamp: LeafRef, evidence: &[Evidence]) {
    for evidence in evidence {
        let seen = wave.evidence.iter_mut().find(|s| s.evidence.kind == evidence.kind);
        match seen {
            Some(seen) if seen.leaves.last == Some(stamp.leaf) => {}
            Some(seen) => seen.leaves.add(stamp.leaf),
            None => wave.evidence.push(EvidenceSummary {
                first: stamp,
                evidence: evidence.clone(),
                leaves: LeafSet::single(stamp.leaf),
            }),
        }
    }
}

/// Whether a time on a platform is at most [`JOIN`] after one of its waves.
pub(super) fn is_near(waves: &[WaveRecord], platform: &str, at: WallTime) -> bool {
    let mut waves = waves.iter().filter(|wave| wave.platform == platform);
    waves.any(|wave| at <= wave.end_or_never() + JOIN)
}

/// The gate stopped or crashed: the end of what lasted is not on record.
pub(super) fn interrupt(waves: &mut [WaveRecord], stamp: LeafRef) {
    for wave in waves.iter_mut().filter(|wave| wave.ongoing()) {
        wave.interrupted = Some(stamp);
    }
}

/// Adds the sentences of one wave.
pub(super) fn describe(wave: &WaveRecord, timeline: &mut Timeline) {
    let name = sentence(&wave.name());
    if wave.onset < wave.detected.at {
        let summary = format!(
            "{name} began, as the counts show looking back (the baseline expects {} requests per \
             second).",
            thousandths(wave.baseline_milli)
        );
        timeline.add(LeafRef { at: wave.onset, leaf: wave.detected.leaf }, summary);
    }
    let first: Vec<&Evidence> = wave
        .evidence
        .iter()
        .filter(|seen| seen.first == wave.detected)
        .map(|seen| &seen.evidence)
        .collect();
    let summary = format!(
        "{name} was detected {} after it began, on {}. Evidence: {}",
        span(wave.time_to_detect_ms()),
        activities(&wave.detected_on),
        describe_evidence(&first),
    );
    timeline.add(wave.detected, summary);
    describe_changes(wave, &name, timeline);
    describe_end(wave, &name, timeline);
}

fn describe_changes(wave: &WaveRecord, name: &str, timeline: &mut Timeline) {
    for change in &wave.changes {
        let new: Vec<&Evidence> = change.evidence.iter().collect();
        let first = format!("{name} changed; attacked so far: {}.", activities(&change.activities));
        let second = if new.is_empty() {
            String::new()
        } else {
            format!(" New evidence: {}", describe_evidence(&new))
        };
        let third = change.since_procedure_change_ms.map_or_else(String::new, |after| {
            format!(" This was {} after the last change of procedures.", span(after))
        });
        let summary = format!("{first}{second}{third}");
        timeline.add(change.stamp, summary);
    }
    for (i, mitigation) in wave.mitigations.iter().enumerate() {
        let since = if i == 0 { "it began" } else { "it had broken through again" };
        let summary = format!(
            "{name} was mitigated {} after {since}: what reached the origin was back within \
             its capacity.",
            span(mitigation.after_ms)
        );
        timeline.add(mitigation.stamp, summary);
        if let Some(lost) = mitigation.lost {
            let summary = format!("{name} broke through the mitigation.");
            timeline.add(lost, summary);
        }
    }
}

fn describe_end(wave: &WaveRecord, name: &str, timeline: &mut Timeline) {
    if let Some(ended) = &wave.ended {
        let f = &ended.figures;
        let summary = format!(
            "{name} had ended, {} after it began: {} offered, {} forwarded, {} stopped; at its \
             busiest {} per second offered and {} forwarded.",
            span(ended.stamp.at.millis().saturating_sub(wave.onset.millis())),
            counted(f.offered, "request"),
            count(f.forwarded),
            count(f.stopped),
            count(f.peak_offered_per_second),
            count(f.peak_forwarded_per_second),
        );
        timeline.add(ended.stamp, summary);
    }
    if let Some(leaf) = wave.cuts.attack_leaves.last {
        let summary = format!(
            "While {} lasted, the gate cut connections that it had accepted: {}.",
            wave.name(),
            wave.cuts.attack_summary()
        );
        // Where the wave ended, or, while it continues, with its detection.
        let over = wave.ended.as_ref().map(|ended| ended.stamp).or(wave.interrupted);
        let at = over.map_or(wave.detected.at, |stamp| stamp.at);
        timeline.add(LeafRef { at, leaf }, summary);
    }
    if let Some(cut) = wave.interrupted {
        let summary = format!("{name} was lost from sight; its end was not recorded.");
        timeline.add(cut, summary);
    }
}

fn describe_evidence(items: &[&Evidence]) -> String {
    if items.is_empty() {
        return "none was recorded.".to_owned();
    }
    let summary: Vec<String> =
        items.iter().map(|e| plain(e.summary.trim_end_matches(['.', ' ']))).collect();
    summary.join("; ") + "."
}

/// Milliseconds from one moment to another; zero if it is not later.
const fn since(from: WallTime, to: WallTime) -> u64 {
    to.millis().saturating_sub(from.millis())
}
