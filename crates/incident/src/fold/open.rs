//! How an incident grows.

use core::time::Duration;

use portcullis_model::{Event, Evidence, Tally, WallTime};

use super::gate_start::{GateStart, JOIN};
use super::lookback::Lookback;
use crate::incident::{
    AttackChange, EvidenceSummary, FullSpeedAt, Incident, LeafRef, Mitigation, PlatformRecord,
    PostureChange, ProcedureRelease, WaveEnd, WaveRecord,
};
use crate::{BoundedList, Coverage, CutTotals, LeafSet, series};

/// Waves kept per incident: the first and the newest. Of the others only the number is.
const WAVES: usize = 256;
/// Changes and mitigations kept per wave, activities named.
const PER_WAVE: usize = 256;
/// Procedures kept per incident.
const PROCEDURES: usize = 1_024;
/// Posture changes, degradations, surges and full-speed moments kept per incident.
const EVENTS: usize = 512;

/// The series begins this long before a wave's onset.
const LEAD: Duration = Duration::from_mins(1);
/// The series continues this long after a wave.
const TAIL: Duration = Duration::from_mins(10);

/// A new incident whose first wave is about to be added.
pub(super) fn begin(onset: WallTime, stamp: LeafRef, start: Option<&GateStart>) -> Incident {
    Incident {
        id: id(onset),
        rehearsal: start.is_some_and(|s| s.rehearsal),
        version: start.map(|s| s.version.clone()),
        configuration: start.map(|s| s.configuration.clone()),
        protected: start.map_or_else(Vec::new, |s| s.platforms.clone()),
        platforms: Vec::new(),
        waves: Vec::new(),
        more_waves: 0,
        procedures: BoundedList::default(),
        posture_changes: BoundedList::default(),
        degradations: BoundedList::default(),
        surges: BoundedList::default(),
        notifications: BoundedList::default(),
        coverage: Coverage { start_unknown: start.is_none(), ..Coverage::default() },
        as_of: stamp,
    }
}

/// `I-YYYYMMDD-HHMMSS`.
fn id(onset: WallTime) -> String {
    let stamp = onset.to_string();
    let digits: String = stamp.chars().filter(char::is_ascii_digit).take(14).collect();
    match (digits.get(..8), digits.get(8..14)) {
        (Some(day), Some(time)) => format!("I-{day}-{time}"),
        _ => format!("I-{}", onset.millis()),
    }
}

/// Surges and degradations that were over on a platform within a day before the onset.
pub(super) fn add_nearby_events(incident: &mut Incident, lookback: &Lookback, onset: WallTime) {
    let near = |at: WallTime| at + Lookback::NEARBY >= onset;
    for surge in &lookback.surges {
        if surge.ended.or(surge.overtaken).is_some_and(|over| near(over.at)) {
            incident.surges.add(surge.clone(), EVENTS);
        }
    }
    for degradation in &lookback.degradations {
        if degradation.recovered.is_none_or(|recovered| near(recovered.at)) {
            incident.degradations.add(degradation.clone(), EVENTS);
        }
    }
}

/// Adds a tally of a platform.
pub(super) fn add_tally(incident: &mut Incident, lookback: &Lookback, leaf: u64, tally: &Tally) {
    for wave in incident.waves.iter_mut().filter(|w| w.platform == tally.platform) {
        if tally.to > wave.onset && tally.from < wave.until(WallTime(u64::MAX)) {
            wave.cuts.add(leaf, tally);
        }
    }
    let waves = incident.waves.iter().filter(|w| w.platform == tally.platform);
    // An ongoing wave lasts for ever as far as a tally is concerned.
    let ends = waves.map(|wave| (wave.onset, wave.until(WallTime(u64::MAX))));
    let newest = incident.waves.iter().rev().find(|w| w.platform == tally.platform);
    let mitigated = newest.is_some_and(|wave| wave.mitigated_at(tally.from));
    let (mut during, mut near, mut within) = (false, false, false);
    for (onset, end) in ends {
        during |= tally.to > onset && tally.from < end;
        near |= tally.to > onset && tally.from < end + TAIL;
        within |= tally.from <= end + JOIN;
    }
    let Some(record) = incident.platforms.iter_mut().find(|p| p.name == tally.platform) else {
        return;
    };
    if !within {
        return;
    }
    if during {
        record.attack.add(leaf, tally);
        if mitigated {
            record.while_mitigated.add(leaf, tally);
        }
        let records_lost = &mut incident.coverage.records_lost;
        *records_lost = records_lost.saturating_add(tally.records_lost);
    }
    if near {
        series::add(&mut record.series, leaf, tally);
    }
    if !lookback.engaged_procedures.is_empty() || tally.from < lookback.released_at {
        record.engaged.add(leaf, tally);
    }
    let rate = |peak: &Option<crate::Peak>| peak.as_ref().map(|p| p.per_second);
    if rate(&lookback.observed_capacity) > rate(&record.observed_capacity) {
        record.observed_capacity.clone_from(&lookback.observed_capacity);
    }
}

/// Adds an event about a platform to the incident that it belongs to.
pub(super) fn apply_event(
    incident: &mut Incident,
    lookback: &Lookback,
    stamp: LeafRef,
    platform: &str,
    event: &Event,
) {
    match event {
        Event::AttackBegan { wave, platform: _, activities, onset, evidence, baseline_milli } => {
            let wave = WaveRecord {
                platform: platform.to_owned(),
                number: *wave,
                onset: (*onset).min(stamp.at),
                detected: stamp,
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
            begin_wave(incident, lookback, stamp, wave, evidence);
        }
        Event::AttackChanged {
            wave,
            platform: _,
            activities,
            evidence,
            since_procedure_change_ms: after_procedure_ms,
        } => match find_wave(incident, platform, *wave) {
            Some(wave) => {
                add_evidence(wave, stamp, evidence);
                for activity in activities {
                    if wave.activities.len() < PER_WAVE && !wave.activities.contains(activity) {
                        wave.activities.push(activity.clone());
                    }
                }
                let change = AttackChange {
                    stamp,
                    activities: activities.clone(),
                    evidence: evidence.clone(),
                    since_procedure_change_ms: *after_procedure_ms,
                };
                wave.changes.add(change, PER_WAVE);
            }
            None => count_stray(incident),
        },
        Event::Mitigated { wave, after_ms, .. } => match find_wave(incident, platform, *wave) {
            Some(wave) => {
                let mitigation = Mitigation { stamp, after_ms: *after_ms, lost: None };
                wave.mitigations.add(mitigation, PER_WAVE);
            }
            None => count_stray(incident),
        },
        Event::MitigationLost { wave, .. } => {
            let wave = find_wave(incident, platform, *wave);
            match wave.and_then(|wave| wave.mitigations.items.last_mut()) {
                Some(last) => {
                    last.lost.get_or_insert(stamp);
                }
                None => count_stray(incident),
            }
        }
        Event::AttackEnded { wave, figures, .. } => match find_wave(incident, platform, *wave) {
            Some(wave) => {
                let figures = figures.clone();
                wave.ended = Some(WaveEnd { stamp, figures });
            }
            None => count_stray(incident),
        },
        Event::SurgeEnded { .. } => {
            if let Some(surge) = lookback.surges.back().filter(|s| s.ended == Some(stamp)) {
                incident.surges.add(surge.clone(), EVENTS);
            }
        }
        Event::OriginDegraded { .. } => {
            if let Some(degradation) = lookback.degradations.back() {
                incident.degradations.add(degradation.clone(), EVENTS);
            }
        }
        Event::OriginRecovered { .. } => {
            let mut degradations = incident.degradations.items.iter_mut().rev();
            if let Some(degradation) = degradations.find(|s| s.platform == platform) {
                degradation.recovered.get_or_insert(stamp);
            }
        }
        Event::PostureChanged { from, to, reason, .. } => {
            let change = PostureChange {
                stamp,
                platform: platform.to_owned(),
                from: *from,
                to: *to,
                reason: reason.clone(),
            };
            incident.posture_changes.add(change, EVENTS);
        }
        Event::ProcedureEngaged(facts) => {
            let restored = incident.back_at_full_speed(platform).is_some();
            let Some(record) = platform_record(incident, platform) else {
                return; // a platform that was not attacked
            };
            record.still_active = record.still_active.saturating_add(1);
            if restored {
                record.engaged_later.add(stamp.leaf);
            } else if let Some(procedure) = lookback.engaged_procedures.get(&facts.id) {
                incident.procedures.add(procedure.clone(), PROCEDURES);
            } else {
                // More at a time than are followed.
                incident.procedures.more = incident.procedures.more.saturating_add(1);
            }
        }
        Event::ProcedureReleased { id, reason, effect, cost, .. } => {
            if let Some(record) = platform_record(incident, platform) {
                record.still_active = record.still_active.saturating_sub(1);
            }
            let mut procedures = incident.procedures.items.iter_mut().rev();
            let mine = |p: &&mut crate::ProcedureRecord| {
                p.facts.platform == platform && p.facts.id == *id && p.is_engaged()
            };
            if let Some(procedure) = procedures.find(mine) {
                procedure.released = Some(ProcedureRelease {
                    stamp,
                    reason: reason.clone(),
                    effect: *effect,
                    cost: *cost,
                });
            }
        }
        Event::FullSpeed { since, duration_ms: held_ms, .. } => {
            if let Some(record) = platform_record(incident, platform) {
                let moment = FullSpeedAt { stamp, since: *since, duration_ms: *held_ms };
                record.full_speed.add(moment, EVENTS);
                record.engaged_later = LeafSet::default();
            }
        }
        // A surge is added when it ends, because only then it is known not to be part of the attack.
        // The others are not about one platform, or are handled before.
        Event::SurgeBegan { .. }
        | Event::Started { .. }
        | Event::Reloaded { .. }
        | Event::ReloadRefused { .. }
        | Event::Stopped
        | Event::RecordingGap { .. }
        | Event::Tallied(_)
        | Event::ReceiptRecorded(_)
        | Event::Unknown { .. } => {}
    }
}

fn begin_wave(
    incident: &mut Incident,
    lookback: &Lookback,
    stamp: LeafRef,
    mut wave: WaveRecord,
    evidence: &[Evidence],
) {
    // A platform has one wave at a time: an older one's end was not recorded.
    for older in &mut incident.waves {
        if older.platform == wave.platform && older.ongoing() {
            older.interrupted = Some(stamp);
        }
    }
    if incident.waves.len() >= WAVES {
        // The newest is always kept: what comes next is about it.
        incident.more_waves = incident.more_waves.saturating_add(1);
        incident.waves.pop();
    }
    add_evidence(&mut wave, stamp, evidence);
    let onset = wave.onset;
    let platform = wave.platform.clone();
    let first = incident.platform(&platform).is_none();
    if first {
        let mut record = PlatformRecord {
            name: platform.clone(),
            still_active: lookback.engaged_procedures.len() as u64,
            ..PlatformRecord::default()
        };
        for (leaf, tally) in lookback.quiet.iter().filter(|(_, t)| t.to <= onset) {
            record.before.add(*leaf, tally);
        }
        incident.platforms.push(record);
    }
    // What was engaged already, the surge before, and the posture's last moves belong to it.
    if let Some(surge) = lookback.surges.back().filter(|s| s.overtaken == Some(stamp))
        && !incident.surges.items.contains(surge)
    {
        incident.surges.add(surge.clone(), EVENTS);
    }
    for procedure in lookback.engaged_procedures.values() {
        let known = incident
            .procedures
            .iter()
            .any(|p| p.facts.platform == platform && p.facts.id == procedure.facts.id);
        if !known {
            incident.procedures.add(procedure.clone(), PROCEDURES);
        }
    }
    for change in lookback.posture_changes.iter().filter(|p| p.stamp.at + LEAD >= onset) {
        if !incident.posture_changes.items.contains(change) {
            incident.posture_changes.add(change.clone(), EVENTS);
        }
    }
    let mut records_lost: u64 = 0;
    if let Some(record) = platform_record(incident, &platform) {
        let counted = record.attack.leaves.last;
        for (leaf, tally) in &lookback.recent {
            if tally.to > onset {
                wave.cuts.add(*leaf, tally);
            }
            if tally.to > onset && counted.is_none_or(|last| *leaf > last) {
                record.attack.add(*leaf, tally);
                records_lost = records_lost.saturating_add(tally.records_lost);
            }
            if tally.to + LEAD > onset {
                series::add(&mut record.series, *leaf, tally);
            }
        }
        record.observed_capacity.clone_from(&lookback.observed_capacity);
    }
    incident.coverage.records_lost = incident.coverage.records_lost.saturating_add(records_lost);
    incident.waves.push(wave);
}

fn platform_record<'a>(
    incident: &'a mut Incident,
    platform: &str,
) -> Option<&'a mut PlatformRecord> {
    incident.platforms.iter_mut().find(|p| p.name == platform)
}

fn find_wave<'a>(
    incident: &'a mut Incident,
    platform: &str,
    number: u32,
) -> Option<&'a mut WaveRecord> {
    let mut waves = incident.waves.iter_mut().rev();
    waves.find(|wave| wave.platform == platform && wave.number == number && wave.ongoing())
}

fn count_stray(incident: &mut Incident) {
    incident.coverage.stray_events = incident.coverage.stray_events.saturating_add(1);
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
