//! What happened, in order.

use portcullis_model::WallTime;
use serde::Serialize;

use crate::LeafRef;

/// One moment of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineEntry {
    /// When.
    pub at: WallTime,
    /// The leaf that records it.
    pub leaf: u64,
    /// What happened, in a sentence.
    pub summary: String,
}

/// A timeline while it is written. Each kind of record adds its own sentences.
#[derive(Debug, Default)]
pub(crate) struct Timeline(Vec<TimelineEntry>);

impl Timeline {
    /// Adds a moment.
    pub(crate) fn add(&mut self, stamp: LeafRef, summary: String) {
        self.0.push(TimelineEntry { at: stamp.at, leaf: stamp.leaf, summary });
    }

    /// The moments, by time and then by leaf.
    pub(crate) fn finish(mut self) -> Vec<TimelineEntry> {
        self.0.sort_by_key(|moment| (moment.at, moment.leaf));
        self.0
    }
}
