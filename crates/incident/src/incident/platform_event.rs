//! One event about a platform, as each kind of record reads it.

use core::time::Duration;

use portcullis_model::{Event, WallTime};

use crate::LeafRef;

/// Surges and degradations that were over within this time before an onset are near it.
pub(super) const NEARBY: Duration = Duration::from_hours(24);

/// An event about one platform.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlatformEvent<'a> {
    /// When it was recorded, and its leaf.
    pub(crate) stamp: LeafRef,
    /// The platform that it is about.
    pub(crate) platform: &'a str,
    /// The event.
    pub(crate) event: &'a Event,
}

impl PlatformEvent<'_> {
    /// The onset, if the event opens an incident or adds an onset to the open one.
    pub(crate) fn onset(&self) -> Option<WallTime> {
        self.event.opens_incident(self.stamp.at)
    }
}

/// A time on a platform that is not quiet: a wave, a surge, a degradation, engaged procedures.
pub(super) trait Disturbance {
    /// Whether it lasts.
    fn ongoing(&self) -> bool;
    /// When the last one ended; zero before the first.
    fn last_end(&self) -> WallTime;
}
