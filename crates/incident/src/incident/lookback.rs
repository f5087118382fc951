//! What is known of a platform before it is known whether it belongs to an incident.

use std::collections::BTreeMap;

use portcullis_model::WallTime;

use super::degradations::RecentDegradations;
use super::platform_event::{Disturbance, PlatformEvent};
use super::posture_changes::RecentPostureChanges;
use super::procedures::EngagedProcedures;
use super::surges::RecentSurges;
use super::tallies::RecentTallies;
use super::waves::RecentWaves;
use crate::{SurgeRecord, TimeWindow};

/// Platforms that are followed. Configuration names a handful; beyond this, a ledger is made up.
const PLATFORMS: usize = 1_024;

/// The newest events of each platform.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookbacks(BTreeMap<String, Lookback>);

impl Lookbacks {
    /// The platform's; `None` beyond the platforms that are followed.
    pub(crate) fn find_or_begin(&mut self, platform: &str) -> Option<&mut Lookback> {
        if self.0.len() >= PLATFORMS && !self.0.contains_key(platform) {
            return None;
        }
        Some(self.0.entry(platform.to_owned()).or_default())
    }

    /// The platform's, if an event about it was applied.
    pub(crate) fn get(&self, platform: &str) -> Option<&Lookback> {
        self.0.get(platform)
    }

    /// Those of all platforms.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lookback> {
        self.0.values()
    }

    /// The gate stopped or crashed: the end of what lasted is not on record.
    pub(crate) fn gate_ended(&mut self, at: WallTime) {
        self.0.values_mut().for_each(|lookback| lookback.gate_ended(at));
    }
}

/// The newest events of one platform, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookback {
    pub(super) waves: RecentWaves,
    pub(super) surges: RecentSurges,
    pub(super) degradations: RecentDegradations,
    pub(super) procedures: EngagedProcedures,
    pub(super) posture_changes: RecentPostureChanges,
    pub(super) tallies: RecentTallies,
    gate_ended: WallTime,
}

impl Lookback {
    /// Takes the platform's next event. Returns the time before it that no tally covers, if there
    /// is one.
    pub(crate) fn apply(&mut self, now: &PlatformEvent<'_>) -> Option<TimeWindow> {
        self.waves.apply(now);
        self.surges.apply(now);
        self.degradations.apply(now);
        self.procedures.apply(now);
        self.posture_changes.apply(now);
        let (quiet_since, degraded) = (self.quiet_since(), self.degradations.ongoing());
        self.tallies.apply(now, quiet_since, degraded)
    }

    /// Since when nothing unusual lasts; `None` while something does.
    fn quiet_since(&self) -> Option<WallTime> {
        let disturbances: [&dyn Disturbance; 4] =
            [&self.waves, &self.surges, &self.degradations, &self.procedures];
        if disturbances.iter().any(|disturbance| disturbance.ongoing()) {
            return None;
        }
        let ends = disturbances.iter().map(|disturbance| disturbance.last_end());
        Some(ends.fold(self.gate_ended, WallTime::max))
    }

    /// The surge that lasts.
    pub(crate) fn ongoing_surge(&self) -> Option<&SurgeRecord> {
        self.surges.ongoing_surge()
    }

    fn gate_ended(&mut self, at: WallTime) {
        self.waves.gate_ended();
        self.surges.gate_ended();
        self.procedures.gate_ended();
        self.tallies.gate_ended();
        self.gate_ended = self.gate_ended.max(at);
    }
}
