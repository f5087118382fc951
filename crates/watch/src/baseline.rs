//! Baseline: the normal rate of an activity, now and at this hour of the week.

use portcullis_model::WallTime;
use serde::{Deserialize, Serialize};

/// Ticks after which the recent mean moves at its final pace: a minute's memory.
const RECENT_TICKS: u64 = 240;

/// Ticks of the slow mean that the recent one is held against: an hour's memory.
const STEADY_TICKS: u64 = 14_400;

/// The recent mean may be this many times the slow one: a flood that
/// grows little by little teaches the watch no more than that.
const STEADY_FACTOR: u64 = 4;

/// How much slower a surge is learnt than a quiet day: a site that has become popular for good is
/// learnt within the hour, a flash crowd of minutes hardly moves the baseline.
const SURGE_SLOWNESS: u64 = 8;

/// The expected rate of one activity, in thousandths of a request per second.
///
/// The larger of two means: the recent one, and the one of the same hour in earlier weeks. Only
/// calm ticks are learnt in full, surges slowly, attacks never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Mean of recent calm ticks, in thousandths of a thousandth, so that slow learning does not
    /// drown in rounding.
    recent_micro: u64,
    /// The slow mean, in the same unit.
    steady_micro: u64,
    learnt: u64,
    /// By hour of the week; zero where nothing has been learnt yet.
    weekly_milli: Vec<u64>,
    hour: usize,
    hour_sum_milli: u64,
    hour_ticks: u64,
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            recent_micro: 0,
            steady_micro: 0,
            learnt: 0,
            weekly_milli: vec![0; 168],
            hour: 0,
            hour_sum_milli: 0,
            hour_ticks: 0,
        }
    }
}

impl Baseline {
    /// What is expected now, in thousandths of a request per second.
    pub fn expected_milli(&self, wall: WallTime) -> u64 {
        let weekly = self.weekly_milli.get(wall.hour_of_week()).copied().unwrap_or(0);
        let recent = self.recent_micro.min(self.steady_micro * STEADY_FACTOR);
        (recent / 1_000).max(weekly)
    }

    /// How many calm ticks have been learnt.
    pub const fn learnt(&self) -> u64 {
        self.learnt
    }

    /// Learns one tick's rate.
    pub fn learn(&mut self, wall: WallTime, rate_milli: u64, surge: bool) {
        self.learn_hour(wall, rate_milli);
        let slowness = if surge {
            SURGE_SLOWNESS
        } else {
            self.learnt += 1;
            1
        };
        let target = rate_milli.saturating_mul(1_000);
        let pace = |ticks: u64| self.learnt.clamp(1, ticks) * slowness;
        let (recent, steady) = (pace(RECENT_TICKS), pace(STEADY_TICKS));
        approach(&mut self.recent_micro, target, recent);
        approach(&mut self.steady_micro, target, steady);
    }

    /// When an hour is over, half of what is known of that hour comes from it.
    fn learn_hour(&mut self, wall: WallTime, rate_milli: u64) {
        let hour = wall.hour_of_week();
        if hour != self.hour {
            if self.hour_ticks > 0
                && let Some(slot) = self.weekly_milli.get_mut(self.hour)
            {
                let mean = self.hour_sum_milli / self.hour_ticks;
                *slot = if *slot == 0 { mean } else { u64::midpoint(*slot, mean) };
            }
            (self.hour, self.hour_sum_milli, self.hour_ticks) = (hour, 0, 0);
        }
        self.hour_sum_milli = self.hour_sum_milli.saturating_add(rate_milli);
        self.hour_ticks += 1;
    }
}

/// Moves `mean` one step of `1/pace` towards `target`.
fn approach(mean: &mut u64, target: u64, pace: u64) {
    if target >= *mean {
        *mean += (target - *mean) / pace;
    } else {
        *mean -= (*mean - target) / pace;
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn a_steady_rate_becomes_the_baseline() {
        let mut baseline = Baseline::default();
        for _ in 0..400 {
            baseline.learn(WallTime(0), 12_000, false);
        }
        assert!((11_900..=12_000).contains(&baseline.expected_milli(WallTime(0))));
    }

    #[test]
    fn the_first_ticks_count_immediately() {
        let mut baseline = Baseline::default();
        for _ in 0..4 {
            baseline.learn(WallTime(0), 10_000, false);
        }
        assert_eq!(baseline.expected_milli(WallTime(0)), 10_000);
    }

    #[test]
    fn a_flash_crowd_of_minutes_hardly_moves_the_baseline() {
        let mut baseline = Baseline::default();
        for _ in 0..1_000 {
            baseline.learn(WallTime(0), 10_000, false);
        }
        for _ in 0..4 * 120 {
            baseline.learn(WallTime(0), 100_000, true);
        }
        assert!(baseline.expected_milli(WallTime(0)) < 40_000);
    }

    #[test]
    fn a_flood_that_is_raised_little_by_little_is_not_learnt() {
        let mut baseline = Baseline::default();
        for _ in 0..4 * 3_600 {
            baseline.learn(WallTime(0), 10_000, false);
        }
        for minute in 0..10 {
            for _ in 0..240 {
                baseline.learn(WallTime(0), 10_000 << minute, false);
            }
        }
        // Ten doublings in ten minutes: from 10 to 5,120 requests a second.
        assert!(baseline.expected_milli(WallTime(0)) < 2_500_000);
    }

    #[test]
    fn the_same_hour_of_last_week_is_remembered() {
        let mut baseline = Baseline::default();
        let monday = WallTime::parse("2026-11-23T09:00:00Z").expect("a time");
        for hour in 0..169u64 {
            let wall = monday + Duration::from_secs(hour * 3_600);
            let rate = if hour == 0 { 80_000 } else { 1_000 };
            for _ in 0..500 {
                baseline.learn(wall, rate, false);
            }
        }
        let next_monday = monday + Duration::from_secs(168 * 3_600);
        assert!(baseline.expected_milli(next_monday) >= 79_000);
    }
}
