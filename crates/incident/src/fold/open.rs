//! How an incident grows.

use core::time::Duration;

use portcullis_model::{Event, Evidence, Tally, WallTime};

use super::eye::Eye;
use super::{JOIN, Start};
use crate::incident::{
    Change, Ended, EvidenceSeen, FullSpeedMoment, Incident, Mitigation, PlatformStory, PostureMove,
    Released, Stamp, Wave,
};
use crate::{Coverage, CutTotals, Leaves, Listed, series};

/// Waves kept per incident: the first and the newest. Of the others only the number is.
const WAVES: usize = 256;
/// Changes and mitigations kept per wave, activities named.
const PER_WAVE: usize = 256;
/// Procedures kept per incident.
const PROCEDURES: usize = 1_024;
/// Posture changes, strains, surges and full-speed moments kept per incident.
const EVENTS: usize = 512;

/// The series begins this long before a wave's onset.
const LEAD: Duration = Duration::from_mins(1);
/// The series goes on this long after a wave.
const TAIL: Duration = Duration::from_mins(10);

/// A new incident whose first wave is about to be added.
pub(super) fn begin(onset: WallTime, stamp: Stamp, start: Option<&Start>) -> Incident {
    Incident {
        id: id(onset),
        rehearsal: start.is_some_and(|s| s.rehearsal),
        version: start.map(|s| s.version.clone()),
        configuration: start.map(|s| s.configuration.clone()),
        protected: start.map_or_else(Vec::new, |s| s.platforms.clone()),
        platforms: Vec::new(),
        waves: Vec::new(),
        more_waves: 0,
        procedures: Listed::default(),
        postures: Listed::default(),
        strains: Listed::default(),
        surges: Listed::default(),
        receipts: Listed::default(),
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

/// Surges and strains that were over on a platform within a day before the onset.
pub(super) fn adopt_neighbourhood(incident: &mut Incident, eye: &Eye, onset: WallTime) {
    let near = |at: WallTime| at + Eye::NEAR >= onset;
    for surge in &eye.surges {
        if surge.ended.or(surge.overtaken).is_some_and(|over| near(over.at)) {
            incident.surges.add(surge.clone(), EVENTS);
        }
    }
    for strain in &eye.strains {
        if strain.recovered.is_none_or(|recovered| near(recovered.at)) {
            incident.strains.add(strain.clone(), EVENTS);
        }
    }
}

/// Adds a tally of a platform.
pub(super) fn tallied(incident: &mut Incident, eye: &Eye, leaf: u64, tally: &Tally) {
    for wave in incident.waves.iter_mut().filter(|w| w.platform == tally.platform) {
        if tally.to > wave.onset && tally.from < wave.until(WallTime(u64::MAX)) {
            wave.cuts.add(leaf, tally);
        }
    }
    let waves = incident.waves.iter().filter(|w| w.platform == tally.platform);
    // An ongoing wave lasts for ever as far as a tally is concerned.
    let ends = waves.map(|wave| (wave.onset, wave.until(WallTime(u64::MAX))));
    let newest = incident.waves.iter().rev().find(|w| w.platform == tally.platform);
    let held = newest.is_some_and(|wave| wave.mitigated_at(tally.from));
    let (mut during, mut near, mut within) = (false, false, false);
    for (onset, end) in ends {
        during |= tally.to > onset && tally.from < end;
        near |= tally.to > onset && tally.from < end + TAIL;
        within |= tally.from <= end + JOIN;
    }
    let Some(story) = incident.platforms.iter_mut().find(|p| p.name == tally.platform) else {
        return;
    };
    if !within {
        return;
    }
    if during {
        story.attack.add(leaf, tally);
        if held {
            story.held.add(leaf, tally);
        }
        let unseen = &mut incident.coverage.unseen;
        *unseen = unseen.saturating_add(tally.unseen);
    }
    if near {
        series::add(&mut story.series, leaf, tally);
    }
    if !eye.live.is_empty() || tally.from < eye.released_at {
        story.engaged.add(leaf, tally);
    }
    let rate = |peak: &Option<crate::Peak>| peak.as_ref().map(|p| p.per_second);
    if rate(&eye.bore) > rate(&story.bore) {
        story.bore.clone_from(&eye.bore);
    }
}

/// Adds an event about a platform to the incident that it belongs to.
pub(super) fn about(
    incident: &mut Incident,
    eye: &Eye,
    stamp: Stamp,
    platform: &str,
    event: &Event,
) {
    match event {
        Event::AttackBegan { wave, platform: _, activities, onset, evidence, baseline_milli } => {
            let wave = Wave {
                platform: platform.to_owned(),
                number: *wave,
                onset: (*onset).min(stamp.at),
                detected: stamp,
                detected_on: activities.iter().take(PER_WAVE).cloned().collect(),
                activities: activities.iter().take(PER_WAVE).cloned().collect(),
                baseline_milli: *baseline_milli,
                evidence: Vec::new(),
                changes: Listed::default(),
                mitigations: Listed::default(),
                cuts: CutTotals::default(),
                ended: None,
                interrupted: None,
            };
            wave_began(incident, eye, stamp, wave, evidence);
        }
        Event::AttackChanged { wave, platform: _, activities, evidence, after_procedure_ms } => {
            match find(incident, platform, *wave) {
                Some(wave) => {
                    add_evidence(wave, stamp, evidence);
                    for activity in activities {
                        if wave.activities.len() < PER_WAVE && !wave.activities.contains(activity) {
                            wave.activities.push(activity.clone());
                        }
                    }
                    let change = Change {
                        stamp,
                        activities: activities.clone(),
                        evidence: evidence.clone(),
                        after_procedure_ms: *after_procedure_ms,
                    };
                    wave.changes.add(change, PER_WAVE);
                }
                None => stray(incident),
            }
        }
        Event::Mitigated { wave, after_ms, .. } => match find(incident, platform, *wave) {
            Some(wave) => {
                let mitigation = Mitigation { stamp, after_ms: *after_ms, lost: None };
                wave.mitigations.add(mitigation, PER_WAVE);
            }
            None => stray(incident),
        },
        Event::MitigationLost { wave, .. } => {
            let wave = find(incident, platform, *wave);
            match wave.and_then(|wave| wave.mitigations.items.last_mut()) {
                Some(last) => {
                    last.lost.get_or_insert(stamp);
                }
                None => stray(incident),
            }
        }
        Event::AttackEnded { wave, figures, .. } => match find(incident, platform, *wave) {
            Some(wave) => {
                let figures = figures.clone();
                wave.ended = Some(Ended { stamp, figures });
            }
            None => stray(incident),
        },
        Event::SurgeEnded { .. } => {
            if let Some(surge) = eye.surges.back().filter(|s| s.ended == Some(stamp)) {
                incident.surges.add(surge.clone(), EVENTS);
            }
        }
        Event::OriginStrained { .. } => {
            if let Some(strain) = eye.strains.back() {
                incident.strains.add(strain.clone(), EVENTS);
            }
        }
        Event::OriginRecovered { .. } => {
            let mut strains = incident.strains.items.iter_mut().rev();
            if let Some(strain) = strains.find(|s| s.platform == platform) {
                strain.recovered.get_or_insert(stamp);
            }
        }
        Event::PostureChanged { from, to, reason, .. } => {
            let change = PostureMove {
                stamp,
                platform: platform.to_owned(),
                from: *from,
                to: *to,
                reason: reason.clone(),
            };
            incident.postures.add(change, EVENTS);
        }
        Event::ProcedureEngaged(facts) => {
            let restored = incident.back_at_full_speed(platform).is_some();
            let Some(story) = story(incident, platform) else {
                return; // a platform that was not attacked
            };
            story.live = story.live.saturating_add(1);
            if restored {
                story.engaged_later.add(stamp.leaf);
            } else if let Some(procedure) = eye.live.get(&facts.id) {
                incident.procedures.add(procedure.clone(), PROCEDURES);
            } else {
                // More at a time than are followed.
                incident.procedures.more = incident.procedures.more.saturating_add(1);
            }
        }
        Event::ProcedureReleased { id, reason, effect, cost, .. } => {
            if let Some(story) = story(incident, platform) {
                story.live = story.live.saturating_sub(1);
            }
            let mut procedures = incident.procedures.items.iter_mut().rev();
            let mine = |p: &&mut crate::ProcedureStory| {
                p.facts.platform == platform && p.facts.id == *id && p.live()
            };
            if let Some(procedure) = procedures.find(mine) {
                procedure.released =
                    Some(Released { stamp, reason: reason.clone(), effect: *effect, cost: *cost });
            }
        }
        Event::FullSpeed { since, held_ms, .. } => {
            if let Some(story) = story(incident, platform) {
                let moment = FullSpeedMoment { stamp, since: *since, held_ms: *held_ms };
                story.full_speed.add(moment, EVENTS);
                story.engaged_later = Leaves::default();
            }
        }
        // A surge is told when it ends, because only then it is known to be none of the attack.
        // The others are not about one platform, or are handled before.
        Event::SurgeBegan { .. }
        | Event::Started { .. }
        | Event::Reloaded { .. }
        | Event::ReloadRefused { .. }
        | Event::Stopped
        | Event::RecordingGap { .. }
        | Event::Tallied(_)
        | Event::Notified(_) => {}
    }
}

fn wave_began(
    incident: &mut Incident,
    eye: &Eye,
    stamp: Stamp,
    mut wave: Wave,
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
        let mut story = PlatformStory {
            name: platform.clone(),
            live: eye.live.len() as u64,
            ..PlatformStory::default()
        };
        for (leaf, tally) in eye.quiet.iter().filter(|(_, t)| t.to <= onset) {
            story.before.add(*leaf, tally);
        }
        incident.platforms.push(story);
    }
    // What was engaged already, the surge before, and the posture's last moves belong to it.
    if let Some(surge) = eye.surges.back().filter(|s| s.overtaken == Some(stamp))
        && !incident.surges.items.contains(surge)
    {
        incident.surges.add(surge.clone(), EVENTS);
    }
    for procedure in eye.live.values() {
        let known = incident
            .procedures
            .iter()
            .any(|p| p.facts.platform == platform && p.facts.id == procedure.facts.id);
        if !known {
            incident.procedures.add(procedure.clone(), PROCEDURES);
        }
    }
    for change in eye.postures.iter().filter(|p| p.stamp.at + LEAD >= onset) {
        if !incident.postures.items.contains(change) {
            incident.postures.add(change.clone(), EVENTS);
        }
    }
    let mut unseen: u64 = 0;
    if let Some(story) = story(incident, &platform) {
        let counted = story.attack.leaves.last;
        for (leaf, tally) in &eye.recent {
            if tally.to > onset {
                wave.cuts.add(*leaf, tally);
            }
            if tally.to > onset && counted.is_none_or(|last| *leaf > last) {
                story.attack.add(*leaf, tally);
                unseen = unseen.saturating_add(tally.unseen);
            }
            if tally.to + LEAD > onset {
                series::add(&mut story.series, *leaf, tally);
            }
        }
        story.bore.clone_from(&eye.bore);
    }
    incident.coverage.unseen = incident.coverage.unseen.saturating_add(unseen);
    incident.waves.push(wave);
}

fn story<'a>(incident: &'a mut Incident, platform: &str) -> Option<&'a mut PlatformStory> {
    incident.platforms.iter_mut().find(|p| p.name == platform)
}

fn find<'a>(incident: &'a mut Incident, platform: &str, number: u32) -> Option<&'a mut Wave> {
    let mut waves = incident.waves.iter_mut().rev();
    waves.find(|wave| wave.platform == platform && wave.number == number && wave.ongoing())
}

fn stray(incident: &mut Incident) {
    incident.coverage.strays = incident.coverage.strays.saturating_add(1);
}

fn add_evidence(wave: &mut Wave, stamp: Stamp, evidence: &[Evidence]) {
    for evidence in evidence {
        let seen = wave.evidence.iter_mut().find(|s| s.evidence.kind == evidence.kind);
        match seen {
            Some(seen) if seen.leaves.last == Some(stamp.leaf) => {}
            Some(seen) => seen.leaves.add(stamp.leaf),
            None => wave.evidence.push(EvidenceSeen {
                first: stamp,
                evidence: evidence.clone(),
                leaves: Leaves::one(stamp.leaf),
            }),
        }
    }
}
