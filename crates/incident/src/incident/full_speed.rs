//! Full speed: `full-speed`.

use portcullis_model::{Event, WallTime};
use serde::Serialize;

use super::platform_event::PlatformEvent;
use super::waves::WaveRecord;
use crate::timeline::Timeline;
use crate::words::span;
use crate::{BoundedList, LeafRef};

/// Moments listed per platform.
const LISTED: usize = 512;

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

/// Adds a moment of full speed.
pub(super) fn apply(moments: &mut BoundedList<FullSpeedAt>, now: &PlatformEvent<'_>) {
    if let Event::FullSpeed { since, duration_ms, .. } = now.event {
        let moment = FullSpeedAt { stamp: now.stamp, since: *since, duration_ms: *duration_ms };
        moments.add(moment, LISTED);
    }
}

/// The first full speed of a platform after its last wave; `None` if that is not on record.
pub(super) fn after_waves(
    moments: &BoundedList<FullSpeedAt>,
    waves: &[WaveRecord],
    platform: &str,
) -> Option<FullSpeedAt> {
    let waves = || waves.iter().filter(|wave| wave.platform == platform);
    if waves().any(WaveRecord::ongoing) {
        return None;
    }
    let last_leaf = waves().map(WaveRecord::last_leaf).max()?;
    moments.iter().find(|moment| moment.stamp.leaf > last_leaf).copied()
}

/// Adds the sentences.
pub(super) fn describe(
    platform: &str,
    moments: &BoundedList<FullSpeedAt>,
    timeline: &mut Timeline,
) {
    for moment in moments {
        let summary = format!(
            "{platform} was back at full speed: no procedure engaged and every activity within \
             its baseline since {} UTC, for {}.",
            moment.since.clock(),
            span(moment.duration_ms)
        );
        timeline.add(moment.stamp, summary);
    }
}
