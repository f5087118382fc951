//! Changes of posture: `posture-changed`.

use portcullis_model::{Event, Posture};
use serde::Serialize;

use super::platform_event::PlatformEvent;
use super::waves::LEAD;
use crate::recent::Recent;
use crate::timeline::Timeline;
use crate::words::full_stop;
use crate::{BoundedList, LeafRef};

/// Changes listed per incident.
const LISTED: usize = 512;

/// A change of one platform's posture.
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

/// The changes on one platform, whether or not an incident is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentPostureChanges(Recent<PostureChange, 64>);

impl RecentPostureChanges {
    pub(super) fn apply(&mut self, now: &PlatformEvent<'_>) {
        if let Some(change) = change(now) {
            self.0.push(change);
        }
    }
}

fn change(now: &PlatformEvent<'_>) -> Option<PostureChange> {
    let Event::PostureChanged { platform, from, to, reason } = now.event else {
        return None;
    };
    Some(PostureChange {
        stamp: now.stamp,
        platform: platform.clone(),
        from: *from,
        to: *to,
        reason: reason.clone(),
    })
}

/// Adds a change; at an onset, also the changes of the minute before it.
pub(super) fn apply(
    changes: &mut BoundedList<PostureChange>,
    now: &PlatformEvent<'_>,
    recent: &RecentPostureChanges,
) {
    if let Some(onset) = now.onset() {
        for change in recent.0.iter().filter(|change| change.stamp.at + LEAD >= onset) {
            if !changes.items.contains(change) {
                changes.add(change.clone(), LISTED);
            }
        }
    } else if let Some(change) = change(now) {
        changes.add(change, LISTED);
    }
}

/// Adds the changes' sentences.
pub(super) fn describe(changes: &BoundedList<PostureChange>, timeline: &mut Timeline) {
    for change in changes {
        let summary = format!(
            "The posture on {} changed from {} to {}: {}",
            change.platform,
            change.from.as_str(),
            change.to.as_str(),
            full_stop(&change.reason),
        );
        timeline.add(change.stamp, summary);
    }
}
