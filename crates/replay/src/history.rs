//! What happened, from the events that the control loop records.

use portcullis_incident::BoundedList;
use portcullis_model::{
    Cost, Effect, Event, Evidence, ProcedureFacts, ProcedureId, WallTime, WaveFigures,
};
use serde::Serialize;

/// Surges, attacks and degradations listed; beyond this only their number is given.
const LISTED: usize = 200;
/// Procedures listed.
const PROCEDURES: usize = 500;

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

fn push_bounded<T>(listed: &mut BoundedList<T>, item: T, limit: usize) {
    if listed.items.len() < limit {
        listed.items.push(item);
    } else {
        listed.more += 1;
    }
}

impl ReplayHistory {
    /// Takes the next event.
    pub(crate) fn apply(&mut self, at: WallTime, event: Event) {
        match event {
            Event::SurgeBegan { platform, activities, per_second, baseline_milli } => {
                let surge = ReplayedSurge {
                    platform,
                    activities,
                    from: at,
                    to: None,
                    per_second,
                    peak_per_second: per_second,
                    baseline_milli,
                    turned_into_wave: None,
                };
                push_bounded(&mut self.surges, surge, LISTED);
            }
            Event::SurgeEnded { platform } => {
                if let Some(surge) = self.surge(&platform) {
                    surge.to = Some(at);
                }
            }
            Event::AttackBegan { wave, platform, activities, onset, evidence, baseline_milli } => {
                if let Some(surge) = self.surge(&platform) {
                    surge.to = Some(at);
                    surge.turned_into_wave = Some(wave);
                }
                let attack = ReplayedAttack {
                    platform,
                    wave,
                    onset,
                    detected: at,
                    to: None,
                    activities,
                    baseline_milli,
                    peak_per_second: 0,
                    evidence,
                    changes: 0,
                    mitigated_after_ms: None,
                    figures: None,
                    full_speed: None,
                };
                push_bounded(&mut self.attacks, attack, LISTED);
            }
            Event::AttackChanged { platform, activities, evidence, .. } => {
                if let Some(attack) = self.attack(&platform) {
                    attack.changes += 1;
                    attack.activities = activities;
                    attack.evidence.extend(evidence);
                }
            }
            Event::Mitigated { platform, after_ms, .. } => {
                if let Some(attack) = self.attack(&platform) {
                    attack.mitigated_after_ms.get_or_insert(after_ms);
                }
            }
            Event::AttackEnded { platform, figures, .. } => {
                if let Some(attack) = self.attack(&platform) {
                    attack.to = Some(at);
                    attack.figures = Some(figures);
                }
            }
            Event::ProcedureEngaged(facts) => {
                let procedure = ReplayedProcedure {
                    facts,
                    engaged: at,
                    released: None,
                    effect: None,
                    cost: None,
                };
                push_bounded(&mut self.procedures, procedure, PROCEDURES);
            }
            Event::ProcedureReleased { id, effect, cost, .. } => {
                if let Some(procedure) = self.procedure(id) {
                    procedure.released = Some(at);
                    procedure.effect = Some(effect);
                    procedure.cost = Some(cost);
                }
            }
            Event::OriginDegraded { platform, summary } => {
                push_bounded(
                    &mut self.degradations,
                    ReplayedDegradation { platform, from: at, to: None, summary },
                    LISTED,
                );
            }
            Event::OriginRecovered { platform } => {
                let mut degradations = self.degradations.items.iter_mut().rev();
                if let Some(degradation) =
                    degradations.find(|s| s.platform == platform && s.to.is_none())
                {
                    degradation.to = Some(at);
                }
            }
            Event::FullSpeed { platform, .. } => {
                let mut attacks = self.attacks.items.iter_mut().rev();
                if let Some(attack) = attacks.find(|a| a.platform == platform && a.to.is_some()) {
                    attack.full_speed.get_or_insert(at);
                }
            }
            // The others repeat this, or no access log shows them.
            _ => {}
        }
    }

    /// A platform was offered this number of requests in a second.
    pub(crate) fn record_second(&mut self, platform: &str, offered: u64) {
        if let Some(surge) = self.surge(platform) {
            surge.peak_per_second = surge.peak_per_second.max(offered);
        }
        if let Some(attack) = self.attack(platform) {
            attack.peak_per_second = attack.peak_per_second.max(offered);
        }
    }

    /// The ongoing surge.
    fn surge(&mut self, platform: &str) -> Option<&mut ReplayedSurge> {
        let mut latest = self.surges.items.iter_mut().rev();
        latest.find(|s| s.platform == platform).filter(|s| s.to.is_none())
    }

    /// The ongoing attack.
    fn attack(&mut self, platform: &str) -> Option<&mut ReplayedAttack> {
        let mut latest = self.attacks.items.iter_mut().rev();
        latest.find(|a| a.platform == platform).filter(|a| a.to.is_none())
    }

    fn procedure(&mut self, id: ProcedureId) -> Option<&mut ReplayedProcedure> {
        self.procedures.items.iter_mut().rev().find(|p| p.facts.id == id)
    }
}
