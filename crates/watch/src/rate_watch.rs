//! A watch over the rate of one stream, where nothing but counts is known.

use core::time::Duration;

use portcullis_model::{WallTime, WatchSettings};

use crate::activity_watch::{LEARN_SLOWLY_MILLI, SECOND};
use crate::baseline::Baseline;
use crate::rate_windows::RateWindows;

/// Says whether a stream of counts is a surge, by the rules of the watch.
#[derive(Debug, Default)]
pub struct RateWatch {
    baseline: Baseline,
    windows: RateWindows,
    second: u64,
    ticks: u64,
}

impl RateWatch {
    /// What is expected now, in thousandths of a request per second.
    pub fn expected_milli(&self, wall: WallTime) -> u64 {
        self.baseline.expected_milli(wall)
    }

    /// Takes the count of the tick that ends at `wall`; returns whether it belongs to a surge.
    pub fn tick(&mut self, settings: &WatchSettings, wall: WallTime, count: u64) -> bool {
        self.windows.push(count);
        self.second += count;
        self.ticks += 1;
        let warm = self.baseline.learnt_seconds() >= settings.warm_up.as_secs();
        let excess = self.windows.excess(wall, &self.baseline.direct);
        let surge = if warm {
            excess.is_surge(settings)
        } else {
            self.per_second() > u64::from(settings.surge_min_rate)
        };
        if self.ticks.is_multiple_of(SECOND as u64) {
            let count = core::mem::take(&mut self.second);
            let slowly = surge || (warm && excess.surprise_milli >= LEARN_SLOWLY_MILLI);
            self.baseline.learn(wall - Duration::from_secs(1), count, 0, slowly);
        }
        surge
    }

    /// Requests in the last second.
    pub const fn per_second(&self) -> u64 {
        self.windows.last_second()
    }

    /// Forgets the counts, after a gap in the table, and keeps what was learnt.
    pub fn forget_counts(&mut self) {
        self.windows = RateWindows::default();
    }
}
