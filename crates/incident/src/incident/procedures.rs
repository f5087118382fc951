//! Procedures: from `procedure-engaged` to `procedure-released`.

use std::collections::BTreeMap;

use portcullis_model::{Cost, Effect, Event, ProcedureFacts, ProcedureId, WallTime};
use serde::Serialize;

use super::full_speed;
use super::platform_event::{Disturbance, PlatformEvent};
use super::platforms::PlatformRecord;
use super::waves::{self, WaveRecord};
use crate::timeline::Timeline;
use crate::words::{count, counted, full_stop, list};
use crate::{BoundedList, LeafRef, LeafSet};

/// Procedures listed per incident.
const LISTED: usize = 1_024;
/// Procedures followed at a time on one platform. The posture engages a handful.
const FOLLOWED: usize = 1_024;

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

/// The procedures of one platform, whether or not an incident is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngagedProcedures {
    engaged: BTreeMap<ProcedureId, ProcedureRecord>,
    last_end: WallTime,
}

impl EngagedProcedures {
    pub(super) fn apply(&mut self, now: &PlatformEvent<'_>) {
        match now.event {
            Event::ProcedureEngaged(facts) if self.engaged.len() < FOLLOWED => {
                let procedure = ProcedureRecord {
                    facts: facts.clone(),
                    engaged: now.stamp,
                    released: None,
                    interrupted: None,
                };
                self.engaged.insert(facts.id, procedure);
            }
            Event::ProcedureReleased { id, .. } => {
                self.engaged.remove(id);
                self.last_end = self.last_end.max(now.stamp.at);
            }
            _ => {}
        }
    }

    /// The gate stopped or crashed, which ended all of them.
    pub(super) fn gate_ended(&mut self) {
        self.engaged.clear();
    }

    /// Whether one is engaged, or was after `from`.
    fn engaged_since(&self, from: WallTime) -> bool {
        !self.engaged.is_empty() || from < self.last_end
    }
}

impl Disturbance for EngagedProcedures {
    fn ongoing(&self) -> bool {
        !self.engaged.is_empty()
    }

    fn last_end(&self) -> WallTime {
        self.last_end
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

/// Adds what an event contributes to the procedures. `platform` is the event's, if the incident
/// concerns it.
pub(super) fn apply(
    procedures: &mut BoundedList<ProcedureRecord>,
    platform: Option<&mut PlatformRecord>,
    now: &PlatformEvent<'_>,
    recent: &EngagedProcedures,
    waves: &[WaveRecord],
) {
    let Some(record) = platform else {
        return;
    };
    match now.event {
        Event::ProcedureEngaged(_)
            if full_speed::after_waves(&record.full_speed, waves, now.platform).is_some() =>
        {
            record.engaged_later.add(now.stamp.leaf);
        }
        Event::ProcedureEngaged(_) | Event::ProcedureReleased { .. } => {
            list_event(procedures, now, recent);
        }
        Event::FullSpeed { .. } => record.engaged_later = LeafSet::default(),
        Event::Tallied(tally)
            if waves::is_near(waves, now.platform, tally.from)
                && recent.engaged_since(tally.from) =>
        {
            record.engaged.add(now.stamp.leaf, tally);
        }
        _ if now.onset().is_some() => {
            // Those that were engaged already belong to the incident.
            for procedure in recent.engaged.values() {
                if !procedures.iter().any(|p| is_same(p, now.platform, procedure.facts.id)) {
                    procedures.add(procedure.clone(), LISTED);
                }
            }
        }
        _ => {}
    }
    record.still_active = recent.engaged.len() as u64;
}

/// Lists a procedure that was engaged, or its release.
pub(super) fn list_event(
    procedures: &mut BoundedList<ProcedureRecord>,
    now: &PlatformEvent<'_>,
    recent: &EngagedProcedures,
) {
    match now.event {
        Event::ProcedureEngaged(facts) => match recent.engaged.get(&facts.id) {
            Some(procedure) => procedures.add(procedure.clone(), LISTED),
            // More at a time than are followed.
            None => procedures.more = procedures.more.saturating_add(1),
        },
        Event::ProcedureReleased { id, .. } => {
            let mut newest = procedures.items.iter_mut().rev();
            let procedure = newest.find(|p| is_same(p, now.platform, *id) && p.is_engaged());
            if let Some(procedure) = procedure {
                procedure.released = release(now);
            }
        }
        _ => {}
    }
}

fn release(now: &PlatformEvent<'_>) -> Option<ProcedureRelease> {
    let Event::ProcedureReleased { reason, effect, cost, .. } = now.event else {
        return None;
    };
    let reason = reason.clone();
    Some(ProcedureRelease { stamp: now.stamp, reason, effect: *effect, cost: *cost })
}

fn is_same(procedure: &ProcedureRecord, platform: &str, id: ProcedureId) -> bool {
    procedure.facts.platform == platform && procedure.facts.id == id
}

/// The gate stopped or crashed, which ended all procedures unmeasured.
pub(super) fn interrupt(
    procedures: &mut BoundedList<ProcedureRecord>,
    platforms: &mut [PlatformRecord],
    stamp: LeafRef,
) {
    for procedure in procedures.items.iter_mut().filter(|p| p.is_engaged()) {
        procedure.interrupted = Some(stamp);
    }
    for platform in platforms {
        platform.still_active = 0;
    }
}

/// Adds the sentences of one procedure.
pub(super) fn describe(procedure: &ProcedureRecord, timeline: &mut Timeline) {
    let facts = &procedure.facts;
    let number = facts.id.0;
    let collateral = match facts.collateral_per_million {
        Some(n) => format!(
            " It would have hit at most {} in a million ordinary requests.",
            count(u64::from(n))
        ),
        None => String::new(),
    };
    let summary = format!(
        "Procedure {number} was engaged for {}: {} Reason: {}{collateral} It expires at {} \
         UTC unless renewed.",
        procedure.scope(),
        full_stop(&facts.summary),
        full_stop(&facts.reason),
        facts.expires.clock(),
    );
    timeline.add(procedure.engaged, summary);
    if let Some(released) = &procedure.released {
        let mut costs = Vec::new();
        if released.cost.delayed > 0 {
            costs.push(format!(
                "{} passed and so delayed",
                counted(released.cost.delayed, "challenge")
            ));
        }
        if released.cost.refused_with_token > 0 {
            costs.push(format!(
                "{} refused that came with a token, so probably from people",
                counted(released.cost.refused_with_token, "request")
            ));
        }
        let cost = if costs.is_empty() {
            "no cost to visitors measured".to_owned()
        } else {
            format!("cost: {}", list(&costs))
        };
        let summary = format!(
            "Procedure {number} was released: {} It had stopped {} of {} requests in its scope; \
             {cost}.",
            full_stop(&released.reason),
            count(released.effect.stopped),
            count(released.effect.seen),
        );
        timeline.add(released.stamp, summary);
    }
    if let Some(cut) = procedure.interrupted {
        let summary =
            format!("Procedure {number} ended when the gate did; its effect was not measured.");
        timeline.add(cut, summary);
    }
}
