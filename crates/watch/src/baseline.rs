//! Baselines: the usual rates of an activity, at this hour of the week and at present.

use portcullis_model::WallTime;
use serde::{Deserialize, Serialize};

use crate::bursts::RecurringBursts;
use crate::surprise;

/// Hours in a week.
const HOURS: usize = 168;
/// Seconds of the recent mean's memory: half an hour.
const LEVEL_SECONDS: u64 = 1_800;
/// The recent level may double or halve what the hour of the week suggests, no more.
const LEVEL_FACTOR: u64 = 2;
/// How much slower a surge is learnt: a site that has become popular for good is learnt within a
/// day, a flash crowd of minutes hardly moves the baseline.
const SURGE_SLOWNESS: u64 = 8;
/// An hour of which less than this was learnt says nothing about its hour of the week, in seconds.
const HOUR_MIN_SECONDS: u64 = 900;
/// The least rate that is ever expected: one request in two hours, in millionths per second.
const LEAST_MICRO: u64 = 139;

/// The windows over which the dispersion of counts is learnt, in seconds.
const SPANS: [u64; 7] = [1, 4, 16, 64, 256, 1_024, 4_096];
/// Windows of each length that the dispersion remembers.
const DISPERSION_MEMORY: u64 = 256;
/// One window changes the dispersion by at most this many times its present value.
const DISPERSION_CLIP: u64 = 16;

/// In windows of this many ticks and more, four minutes, the hours of the week differ.
const LONG_TICKS: u64 = 1_024;

/// Relative variance of the expected rate, in thousandths: where the hour of the week was seen
/// twice or more, once, and never. Ordinary weeks of one site differ by a quarter to a half.
const SPREAD_MILLI: [u64; 3] = [160, 90, 60];

/// What is usual for one activity.
///
/// Two streams are learnt apart: what visitors ask for, and the assets that their browsers load with it. A
/// page has many assets, so their counts are far more uneven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Pages, forms and data.
    pub(crate) direct: RateModel,
    /// Pictures, styles, scripts and parts of files.
    pub(crate) assets: RateModel,
}

impl Default for Baseline {
    fn default() -> Self {
        Self { direct: RateModel::new(4_000), assets: RateModel::new(20_000) }
    }
}

impl Baseline {
    /// What is expected now, in thousandths of a request per second.
    pub fn expected_milli(&self, wall: WallTime) -> u64 {
        (self.direct.expected_micro(wall) + self.assets.expected_micro(wall)) / 1_000
    }

    /// Seconds that have been learnt.
    pub const fn learnt_seconds(&self) -> u64 {
        self.direct.learnt
    }

    /// Learns the second that begins at `wall`. A surge is learnt slowly.
    pub(crate) fn learn(&mut self, wall: WallTime, direct: u64, assets: u64, surge: bool) {
        self.direct.learn(wall, direct, surge);
        self.assets.learn(wall, assets, surge);
    }
}

/// The mean of one hour of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct HourRate {
    micro: u64,
    /// Weeks in which it was learnt, up to two; zero where nothing is known.
    weeks: u8,
}

/// The usual rate of one stream, and how much its counts vary.
///
/// The reference is the season: the mean of the same hour in earlier weeks. The recent level
/// corrects it within bounds. Where the season is not known yet, the recent level is all there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RateModel {
    /// Mean of the last half hour that was learnt, in millionths of a request per second.
    level_micro: u64,
    /// The same mean of what the season suggested.
    reference_micro: u64,
    /// Seconds learnt.
    learnt: u64,
    season: Vec<HourRate>,
    hour: usize,
    hour_sum: u64,
    hour_seconds: u64,
    /// Variance of the counts of [`SPANS`] over their mean, in thousandths.
    dispersion_milli: [u64; SPANS.len()],
    samples: [u64; SPANS.len()],
    sums: [u64; SPANS.len()],
    lengths: [u64; SPANS.len()],
    bursts: RecurringBursts,
}

impl RateModel {
    fn new(dispersion_milli: u64) -> Self {
        Self {
            level_micro: 0,
            reference_micro: 0,
            learnt: 0,
            season: vec![HourRate::default(); HOURS],
            hour: 0,
            hour_sum: 0,
            hour_seconds: 0,
            dispersion_milli: [dispersion_milli; SPANS.len()],
            samples: [8; SPANS.len()],
            sums: [0; SPANS.len()],
            lengths: [0; SPANS.len()],
            bursts: RecurringBursts::default(),
        }
    }

    /// What is expected now, in millionths of a request per second.
    pub(crate) fn expected_micro(&self, wall: WallTime) -> u64 {
        let Some(season) = self.season_micro(wall) else {
            return self.level_micro.max(LEAST_MICRO);
        };
        let (low, high) = (season / LEVEL_FACTOR, season * LEVEL_FACTOR);
        let corrected = u128::from(season) * u128::from(self.level_micro)
            / u128::from(self.reference_micro.max(1));
        u64::try_from(corrected).unwrap_or(high).clamp(low, high).max(LEAST_MICRO)
    }

    /// What the hours of the week suggest, between the middles of two hours.
    fn season_micro(&self, wall: WallTime) -> Option<u64> {
        let hour = wall.hour_of_week();
        let of = |hour: usize| self.season.get(hour).filter(|rate| rate.weeks > 0);
        let own = of(hour)?.micro;
        let minute = wall.millis() / 60_000 % 60;
        let (other, near) = if minute < 30 {
            ((hour + HOURS - 1) % HOURS, 30 - minute)
        } else {
            ((hour + 1) % HOURS, minute - 30)
        };
        let other = of(other).map_or(own, |rate| rate.micro);
        Some((own * (60 - near) + other * near) / 60)
    }

    /// How surprising `count` in the `ticks` up to now is, in thousandths of a nat, and what was
    /// expected, in millionths of a request.
    pub(crate) fn surprise(&self, wall: WallTime, count: u64, ticks: u64) -> (u64, u64) {
        let mut rate = self.expected_micro(wall);
        if ticks >= LONG_TICKS {
            let began = WallTime(wall.millis().saturating_sub(ticks * 250));
            rate = u64::midpoint(rate, self.expected_micro(began));
        }
        let ordinary = rate * ticks / 4;
        // Cheap, and nearly always all that is needed.
        if count.saturating_mul(10_000_000) <= ordinary * 13 {
            return (0, ordinary);
        }
        let expected = ordinary + self.bursts.within(wall, ticks) * 1_000_000;
        if count.saturating_mul(10_000_000) <= expected * 13 {
            return (0, expected);
        }
        let at = SPANS.iter().rposition(|span| span * 4 <= ticks).unwrap_or(0);
        let spread = self.spread_milli(wall) * (expected / 1_000) / 1_000;
        let dispersion = self.dispersion_milli[at].max(1_000) + spread;
        (surprise::of_count(count, expected, dispersion), expected)
    }

    /// Relative variance of the expected rate, in thousandths.
    fn spread_milli(&self, wall: WallTime) -> u64 {
        let weeks = self.season.get(wall.hour_of_week()).map_or(0, |rate| rate.weeks);
        // Little has been learnt: the mean of a quarter of an hour may be ten per cent of that of a day.
        let young = if weeks == 0 { 90_000 / self.learnt.max(1) } else { 0 };
        SPREAD_MILLI[usize::from(weeks.min(2))] + young
    }

    /// Learns one second's count.
    fn learn(&mut self, wall: WallTime, count: u64, surge: bool) {
        // Surges show how uneven this site is.
        self.learn_dispersion(wall, count);
        self.bursts.learn(wall, count);
        self.learnt += u64::from(!surge);
        self.learn_hour(wall, count);
        let slowness = if surge { SURGE_SLOWNESS } else { 1 };
        let pace = self.learnt.clamp(1, LEVEL_SECONDS) * slowness;
        approach(&mut self.level_micro, count.saturating_mul(1_000_000), pace);
        let reference = self.season_micro(wall).unwrap_or(self.level_micro);
        approach(&mut self.reference_micro, reference, pace);
    }

    fn learn_dispersion(&mut self, wall: WallTime, count: u64) {
        let expected = self.expected_micro(wall);
        for (at, span) in SPANS.into_iter().enumerate() {
            self.sums[at] += count;
            self.lengths[at] += 1;
            if self.lengths[at] < span {
                continue;
            }
            let (sum, expected) = (self.sums[at], (expected * span).max(1_000));
            (self.sums[at], self.lengths[at]) = (0, 0);
            // What comes at its own minute is within what is expected at any second of it.
            let burst = self.bursts.within(wall, span * 4) * 1_000_000;
            let nearest = (sum * 1_000_000).clamp(expected, expected + burst);
            let off = u128::from((sum * 1_000_000).abs_diff(nearest)) / 1_000;
            let sample = off * off * 1_000 / u128::from(expected);
            let known = self.dispersion_milli[at];
            let sample = u64::try_from(sample).unwrap_or(u64::MAX).min(known * DISPERSION_CLIP);
            self.samples[at] = (self.samples[at] + 1).min(DISPERSION_MEMORY);
            approach(&mut self.dispersion_milli[at], sample, self.samples[at]);
        }
    }

    /// When an hour is over, half of what is known of that hour of the week comes from it.
    fn learn_hour(&mut self, wall: WallTime, count: u64) {
        let hour = wall.hour_of_week();
        if hour != self.hour {
            if self.hour_seconds >= HOUR_MIN_SECONDS
                && let Some(rate) = self.season.get_mut(self.hour)
            {
                let mean = self.hour_sum * 1_000_000 / self.hour_seconds;
                rate.micro = if rate.weeks == 0 { mean } else { u64::midpoint(rate.micro, mean) };
                rate.weeks = (rate.weeks + 1).min(2);
            }
            (self.hour, self.hour_sum, self.hour_seconds) = (hour, 0, 0);
        }
        self.hour_sum = self.hour_sum.saturating_add(count);
        self.hour_seconds += 1;
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

    fn monday() -> WallTime {
        WallTime::parse("2026-11-23T09:00:00Z").expect("a time")
    }

    /// Learns `seconds` of a steady rate; returns the moment after them.
    fn learn(baseline: &mut Baseline, from: WallTime, seconds: u64, rate: u64) -> WallTime {
        for second in 0..seconds {
            baseline.learn(from + Duration::from_secs(second), rate, 0, false);
        }
        from + Duration::from_secs(seconds)
    }

    #[test]
    fn a_steady_rate_becomes_the_baseline() {
        let mut baseline = Baseline::default();
        let now = learn(&mut baseline, monday(), 300, 12);
        assert!((11_900..=12_001).contains(&baseline.expected_milli(now)));
    }

    #[test]
    fn a_flash_crowd_of_minutes_hardly_moves_the_baseline() {
        let mut baseline = Baseline::default();
        let now = learn(&mut baseline, monday(), 1_800, 10);
        for second in 0..120 {
            baseline.learn(now + Duration::from_secs(second), 100, 0, true);
        }
        assert!(baseline.expected_milli(now) < 12_000);
    }

    #[test]
    fn the_same_hour_of_last_week_is_remembered() {
        let mut baseline = Baseline::default();
        let mut now = monday();
        for hour in 0..168 {
            now = learn(&mut baseline, now, 3_600, if hour == 0 { 80 } else { 1 });
        }
        now = learn(&mut baseline, now, 1_700, 80);
        let expected = baseline.expected_milli(now);
        assert!((60_000..=110_000).contains(&expected), "{expected}");
        // An hour like all others is no reason to forget it.
        let tuesday = monday() + Duration::from_hours(24);
        assert!(baseline.expected_milli(tuesday) < 5_000);
    }

    #[test]
    fn the_recent_level_doubles_the_season_at_most() {
        let mut baseline = Baseline::default();
        let mut now = learn(&mut baseline, monday(), 169 * 3_600, 10);
        for _ in 0..6 {
            now = learn(&mut baseline, now, 600, 100);
            assert!(baseline.expected_milli(now) <= 20_100);
        }
    }

    #[test]
    fn uneven_counts_make_a_burst_less_surprising() {
        let (mut even, mut uneven) = (Baseline::default(), Baseline::default());
        for second in 0..4_000 {
            let at = monday() + Duration::from_secs(second);
            even.learn(at, 1, 0, false);
            uneven.learn(at, if second % 20 == 0 { 20 } else { 0 }, 0, false);
        }
        let surprise = |b: &Baseline| b.direct.surprise(monday(), 25, 4).0;
        assert!(surprise(&even) > 4 * surprise(&uneven));
    }
}
