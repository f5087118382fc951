//! Surges: from `surge-began` to `surge-ended`, or until an attack overtakes them.

use portcullis_model::{Event, WallTime};
use serde::Serialize;

use super::platform_event::{Disturbance, NEARBY, PlatformEvent};
use crate::recent::Recent;
use crate::timeline::Timeline;
use crate::words::{activities, count, counted, thousandths};
use crate::{BoundedList, LeafRef, Totals};

/// Surges listed per incident.
const LISTED: usize = 512;

/// A surge: of people, as far as is known, unless an attack overtook it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SurgeRecord {
    /// The platform.
    pub platform: String,
    /// The activities over their baseline.
    pub activities: Vec<String>,
    /// When it was detected.
    pub began: LeafRef,
    /// When it was over, without an attack.
    pub ended: Option<LeafRef>,
    /// When it was recognised as an attack, or an attack began while it lasted.
    pub overtaken: Option<LeafRef>,
    /// Requests per second when it was detected.
    pub per_second: u64,
    /// What the baseline expected, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// What was counted while it lasted.
    pub totals: Totals,
}

/// The surges of one platform, whether or not an incident is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentSurges {
    ongoing: Option<SurgeRecord>,
    over: Recent<SurgeRecord, 64>,
    last_end: WallTime,
}

impl RecentSurges {
    pub(super) fn apply(&mut self, now: &PlatformEvent<'_>) {
        match now.event {
            Event::SurgeBegan { platform, activities, per_second, baseline_milli } => {
                self.ongoing = Some(SurgeRecord {
                    platform: platform.clone(),
                    activities: activities.clone(),
                    began: now.stamp,
                    ended: None,
                    overtaken: None,
                    per_second: *per_second,
                    baseline_milli: *baseline_milli,
                    totals: Totals::default(),
                });
            }
            Event::SurgeEnded { .. } => {
                if let Some(mut surge) = self.ongoing.take() {
                    surge.ended = Some(now.stamp);
                    self.over.push(surge);
                }
                self.last_end = self.last_end.max(now.stamp.at);
            }
            Event::AttackBegan { .. } => {
                if let Some(mut surge) = self.ongoing.take() {
                    surge.overtaken = Some(now.stamp);
                    self.over.push(surge);
                }
            }
            Event::Tallied(tally) => {
                if let Some(surge) = &mut self.ongoing {
                    surge.totals.add(now.stamp.leaf, tally);
                }
            }
            _ => {}
        }
    }

    /// The surge that lasts.
    pub(super) const fn ongoing_surge(&self) -> Option<&SurgeRecord> {
        self.ongoing.as_ref()
    }

    /// The gate stopped or crashed: the end of what lasted is not on record.
    pub(super) fn gate_ended(&mut self) {
        self.ongoing = None;
    }
}

impl Disturbance for RecentSurges {
    fn ongoing(&self) -> bool {
        self.ongoing.is_some()
    }

    fn last_end(&self) -> WallTime {
        self.last_end
    }
}

/// Adds the surges that were over within a day before the onset.
pub(super) fn add_nearby(
    surges: &mut BoundedList<SurgeRecord>,
    recent: &RecentSurges,
    onset: WallTime,
) {
    for surge in recent.over.iter() {
        let over = surge.ended.or(surge.overtaken);
        if over.is_some_and(|over| over.at + NEARBY >= onset) {
            surges.add(surge.clone(), LISTED);
        }
    }
}

/// Adds a surge when it ends: only then is it known whether it was part of the attack.
pub(super) fn apply(
    surges: &mut BoundedList<SurgeRecord>,
    now: &PlatformEvent<'_>,
    recent: &RecentSurges,
) {
    let just_over =
        |surge: &&SurgeRecord| surge.ended == Some(now.stamp) || surge.overtaken == Some(now.stamp);
    if let Some(surge) = recent.over.newest().filter(just_over)
        && !surges.items.contains(surge)
    {
        surges.add(surge.clone(), LISTED);
    }
}

/// Adds a surge that lasts where the ledger ends.
pub(super) fn add_ongoing(surges: &mut BoundedList<SurgeRecord>, surge: &SurgeRecord) {
    surges.add(surge.clone(), LISTED);
}

/// Adds the surges' sentences.
pub(super) fn describe(surges: &BoundedList<SurgeRecord>, timeline: &mut Timeline) {
    for surge in surges {
        let began = format!(
            "A surge was seen on {} ({}): {} per second where the baseline expects {}.",
            surge.platform,
            activities(&surge.activities),
            counted(surge.per_second, "request"),
            thousandths(surge.baseline_milli),
        );
        timeline.add(surge.began, began);
        if let Some(ended) = surge.ended {
            let totals = &surge.totals;
            let summary = format!(
                "The surge on {} was over and no attack was recognised: {} offered, {} forwarded, \
                 {} refused, {} challenged.",
                surge.platform,
                counted(totals.offered, "request"),
                count(totals.forwarded),
                count(totals.refused.saturating_add(totals.dropped)),
                count(totals.challenges_issued()),
            );
            timeline.add(ended, summary);
        }
    }
}
