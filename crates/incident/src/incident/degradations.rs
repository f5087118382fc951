//! Degradations of the origin: from `origin-degraded` to `origin-recovered`.

use portcullis_model::{Event, WallTime};
use serde::Serialize;

use super::platform_event::{Disturbance, NEARBY, PlatformEvent};
use crate::recent::Recent;
use crate::timeline::Timeline;
use crate::words::full_stop;
use crate::{BoundedList, LeafRef};

/// Degradations listed per incident.
const LISTED: usize = 512;

/// A time in which the origin responded too slowly, failed, or made requests wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DegradationRecord {
    /// The platform.
    pub platform: String,
    /// When it was detected.
    pub began: LeafRef,
    /// What was measured.
    pub summary: String,
    /// When it was over.
    pub recovered: Option<LeafRef>,
}

/// The degradations of one platform's origin, whether or not an incident is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentDegradations {
    recent: Recent<DegradationRecord, 64>,
    last_end: WallTime,
}

impl RecentDegradations {
    pub(super) fn apply(&mut self, now: &PlatformEvent<'_>) {
        match now.event {
            Event::OriginDegraded { platform, summary } => self.recent.push(DegradationRecord {
                platform: platform.clone(),
                began: now.stamp,
                summary: summary.clone(),
                recovered: None,
            }),
            Event::OriginRecovered { .. } => {
                if let Some(degradation) = self.recent.newest_mut() {
                    degradation.recovered.get_or_insert(now.stamp);
                }
                self.last_end = self.last_end.max(now.stamp.at);
            }
            _ => {}
        }
    }
}

impl Disturbance for RecentDegradations {
    fn ongoing(&self) -> bool {
        self.recent.newest().is_some_and(|newest| newest.recovered.is_none())
    }

    fn last_end(&self) -> WallTime {
        self.last_end
    }
}

/// Adds the degradations that lasted within a day before the onset.
pub(super) fn add_nearby(
    degradations: &mut BoundedList<DegradationRecord>,
    recent: &RecentDegradations,
    onset: WallTime,
) {
    for degradation in recent.recent.iter() {
        if degradation.recovered.is_none_or(|recovered| recovered.at + NEARBY >= onset) {
            degradations.add(degradation.clone(), LISTED);
        }
    }
}

/// Adds a degradation, or its end.
pub(super) fn apply(
    degradations: &mut BoundedList<DegradationRecord>,
    now: &PlatformEvent<'_>,
    recent: &RecentDegradations,
) {
    match now.event {
        Event::OriginDegraded { .. } => {
            if let Some(degradation) = recent.recent.newest() {
                degradations.add(degradation.clone(), LISTED);
            }
        }
        Event::OriginRecovered { .. } => {
            let mut newest = degradations.items.iter_mut().rev();
            if let Some(degradation) = newest.find(|d| d.platform == now.platform) {
                degradation.recovered.get_or_insert(now.stamp);
            }
        }
        _ => {}
    }
}

/// Adds the degradations' sentences.
pub(super) fn describe(degradations: &BoundedList<DegradationRecord>, timeline: &mut Timeline) {
    for degradation in degradations {
        let platform = &degradation.platform;
        let summary = full_stop(&degradation.summary);
        timeline
            .add(degradation.began, format!("The origin of {platform} was degraded: {summary}"));
        if let Some(recovered) = degradation.recovered {
            timeline.add(recovered, format!("The origin of {platform} answered as usual again."));
        }
    }
}
