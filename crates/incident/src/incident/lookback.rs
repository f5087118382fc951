//! What is known of a platform before it is known whether it belongs to an incident.

use portcullis_model::WallTime;

use super::degradations::RecentDegradations;
use super::platform_event::{Disturbance, PlatformEvent};
use super::posture_changes::RecentPostureChanges;
use super::procedures::EngagedProcedures;
use super::surges::RecentSurges;
use super::tallies::RecentTallies;
use super::waves::RecentWaves;
use crate::TimeWindow;

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

    /// The gate stopped or crashed: the end of what lasted is not on record.
    pub(crate) fn gate_ended(&mut self, at: WallTime) {
        self.waves.gate_ended();
        self.surges.gate_ended();
        self.procedures.gate_ended();
        self.tallies.gate_ended();
        self.gate_ended = self.gate_ended.max(at);
    }
}
