//! Bursts that come back at their own minute: of each hour, or of each day.
//!
//! A job that runs at five past each hour, or a backup at night, is as usual as the hour of the week.

use std::collections::{BTreeMap, VecDeque};

use portcullis_model::WallTime;
use serde::{Deserialize, Serialize};

/// Minutes of an hour.
const HOUR: u64 = 60;
/// Minutes of a day.
const DAY: u64 = 1_440;
/// Half of what is remembered of a minute of the day is yesterday's.
const DAY_PACE: u64 = 2;
/// A quarter of what is remembered of a minute of the hour is the last hour's; half of it, where nothing
/// was known of that minute.
const HOUR_PACE: u64 = 4;
/// A burst lasts less than this many minutes. What lasts longer is a crowd, or the time of the day.
const WIDTH: usize = 2;
/// Less than this is not remembered, in requests.
const LEAST: u64 = 4;
/// Variance over the mean of counts of visitors who ask for some pages each.
const VISIT_DISPERSION: u64 = 8;
/// A minute of which less was learnt says nothing, in seconds.
const MINUTE_MIN_SECONDS: u64 = 50;

/// What comes in some minutes beyond the ordinary, in requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecurringBursts {
    /// By minute of the hour.
    hour: BTreeMap<u16, u64>,
    /// By minute of the day.
    day: BTreeMap<u16, u64>,
    /// The minute that is being counted, since 1970; its requests, and its seconds that were learnt.
    minute: u64,
    sum: u64,
    seconds: u64,
    /// The requests of the minutes before it, `None` where not all of one was learnt.
    recent: VecDeque<Option<u64>>,
}

impl RecurringBursts {
    /// Requests that may come besides the ordinary within the `ticks` before `wall`.
    pub(crate) fn within(&self, wall: WallTime, ticks: u64) -> u64 {
        if self.hour.is_empty() && self.day.is_empty() {
            return 0;
        }
        let last = wall.millis() / 60_000;
        // A job is not punctual to the second.
        let first = (wall.millis().saturating_sub(ticks * 250 + 5_000)) / 60_000;
        (first..=last).map(|minute| self.in_minute(minute)).sum()
    }

    fn in_minute(&self, minute: u64) -> u64 {
        let of = |bursts: &BTreeMap<u16, u64>, length: u64| {
            bursts.get(&((minute % length) as u16)).copied().unwrap_or(0)
        };
        of(&self.hour, HOUR).max(of(&self.day, DAY))
    }

    /// Learns one second's count.
    pub(crate) fn learn(&mut self, wall: WallTime, count: u64) {
        let minute = wall.millis() / 60_000;
        if minute != self.minute {
            if self.minute == 0 {
                // Before the first minute there was nothing to see.
                self.recent.extend([Some(0); WIDTH]);
            } else {
                let known = self.seconds >= MINUTE_MIN_SECONDS;
                self.end_minute(known.then_some(self.sum));
                // Minutes that were not learnt at all.
                let missing = (minute - self.minute.min(minute)).saturating_sub(1);
                (0..missing.min(2 * WIDTH as u64 + 1)).for_each(|_| self.end_minute(None));
            }
            (self.minute, self.sum, self.seconds) = (minute, 0, 0);
        }
        self.sum += count;
        self.seconds += 1;
    }

    fn end_minute(&mut self, requests: Option<u64>) {
        self.recent.push_back(requests);
        if self.recent.len() <= 2 * WIDTH {
            return;
        }
        // The one in the middle, of which both sides are known.
        let around = self.recent.front().copied().flatten().zip(requests);
        let sum = self.recent.get(WIDTH).copied().flatten();
        if let (Some((before, after)), Some(sum)) = (around, sum) {
            let ordinary = before.max(after);
            // Three standard deviations, each visitor asking for some pages.
            let chance = 3 * (ordinary * VISIT_DISPERSION).isqrt();
            let burst = sum.saturating_sub(ordinary + chance);
            let at = self.minute.saturating_sub(WIDTH as u64);
            remember(&mut self.hour, (at % HOUR) as u16, burst, HOUR_PACE);
            remember(&mut self.day, (at % DAY) as u16, burst, DAY_PACE);
        }
        self.recent.pop_front();
    }
}

fn remember(bursts: &mut BTreeMap<u16, u64>, minute: u16, burst: u64, pace: u64) {
    let known = bursts.get(&minute).copied().unwrap_or(0);
    let pace = if known == 0 { 2 } else { pace };
    let next = (known * (pace - 1) + burst) / pace;
    if next >= LEAST {
        bursts.insert(minute, next);
    } else {
        bursts.remove(&minute);
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn start() -> WallTime {
        WallTime::parse("2026-11-23T00:00:00Z").expect("a time")
    }

    /// Learns the seconds from one minute to another, each with the count that `at` gives.
    fn learn(
        bursts: &mut RecurringBursts,
        minutes: core::ops::Range<u64>,
        at: impl Fn(u64) -> u64,
    ) {
        for second in minutes.start * 60..minutes.end * 60 {
            bursts.learn(start() + Duration::from_secs(second), at(second));
        }
    }

    fn expected(bursts: &RecurringBursts, minute: u64) -> u64 {
        bursts.within(start() + Duration::from_secs(minute * 60 + 30), 4)
    }

    #[test]
    fn a_job_of_each_hour_is_expected_at_its_minute() {
        let mut bursts = RecurringBursts::default();
        learn(&mut bursts, 0..12 * 60, |s| u64::from(s / 60 % 60 == 5) * 2);
        let burst = expected(&bursts, 12 * 60 + 5);
        assert!((60..=120).contains(&burst), "{burst}");
        assert_eq!(expected(&bursts, 12 * 60 + 30), 0);
    }

    #[test]
    fn a_job_of_each_night_is_expected_on_the_third_night() {
        let mut bursts = RecurringBursts::default();
        learn(&mut bursts, 0..2 * 1_440, |s| u64::from(s / 60 % 1_440 == 183) * 10);
        let burst = expected(&bursts, 2 * 1_440 + 183);
        assert!((400..=600).contains(&burst), "{burst}");
        assert_eq!(expected(&bursts, 2 * 1_440 + 243), 0, "an hour later is another time");
    }

    #[test]
    fn an_hour_of_a_crowd_is_no_burst() {
        let mut bursts = RecurringBursts::default();
        learn(&mut bursts, 0..240, |s| if (60..120).contains(&(s / 60)) { 50 } else { 0 });
        let most = (1_440..1_440 + 240).map(|minute| expected(&bursts, minute)).max();
        assert_eq!(most, Some(0));
    }

    #[test]
    fn a_minute_that_was_not_learnt_is_not_remembered_as_quiet() {
        let mut bursts = RecurringBursts::default();
        learn(&mut bursts, 0..12 * 60, |s| u64::from(s / 60 % 60 == 5) * 2);
        let before = expected(&bursts, 12 * 60 + 5);
        learn(&mut bursts, 13 * 60 + 30..14 * 60, |_| 0);
        assert_eq!(expected(&bursts, 14 * 60 + 5), before);
    }
}
