//! Counts of one stream over the last seconds, minutes and hour.

use portcullis_model::{WallTime, WatchSettings};

use crate::baseline::RateModel;

/// Ticks of the short windows: 1, 4, 16 and 64 seconds.
const FINE: [usize; 4] = [4, 16, 64, 256];
/// Ticks in a bucket of the long windows: 16 seconds.
const BUCKET: usize = 64;
/// Buckets of the long windows: 4 and 17 minutes, and 68.
const COARSE: [usize; 3] = [16, 64, 256];
const SLOTS: usize = 256;

/// A surge must be this surprising, by window, in thousandths of a nat. Short windows are many: a week has
/// 600,000 seconds.
const SURGE_MILLI: [u64; FINE.len() + COARSE.len()] =
    [14_000, 14_000, 14_000, 12_000, 10_000, 9_000, 9_000];
/// Fewer requests than this beyond what is expected are no surge.
const SURGE_EXCESS: u64 = 70;
/// Fewer requests than this beyond what is expected raise no suspicion.
const RAISED_EXCESS: u64 = 12;

/// The counts of one stream.
#[derive(Debug)]
pub(crate) struct RateWindows {
    ticks: Box<[u32; SLOTS]>,
    buckets: Box<[u32; SLOTS]>,
    fine: [u64; FINE.len()],
    coarse: [u64; COARSE.len()],
    /// The bucket that is being filled.
    bucket: u32,
    seen: usize,
}

impl Default for RateWindows {
    fn default() -> Self {
        Self {
            ticks: Box::new([0; SLOTS]),
            buckets: Box::new([0; SLOTS]),
            fine: [0; FINE.len()],
            coarse: [0; COARSE.len()],
            bucket: 0,
            seen: 0,
        }
    }
}

/// A count above the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Excess {
    /// How improbable the count is if all is as usual, in thousandths of a nat.
    pub surprise_milli: u64,
    /// The window, in ticks.
    pub ticks: u64,
    /// Requests in it.
    pub count: u64,
    /// Requests expected in it, in millionths.
    pub expected_micro: u64,
    /// Whether it is improbable enough to be a surge.
    pub surge: bool,
}

impl Excess {
    /// How many times the expected rate, in tenths.
    pub(crate) fn factor_tenths(&self) -> u64 {
        self.count.saturating_mul(10_000_000) / self.expected_micro.max(1_000)
    }

    /// Whether it is a surge: improbable, and far enough over what is expected.
    pub(crate) fn is_surge(&self, settings: &WatchSettings) -> bool {
        self.surge && self.factor_tenths() >= u64::from(settings.surge_factor_tenths)
    }

    /// Requests beyond what was expected.
    pub(crate) const fn beyond(&self) -> u64 {
        self.count.saturating_sub(self.expected_micro / 1_000_000)
    }
}

impl RateWindows {
    /// Adds one tick's count.
    pub(crate) fn push(&mut self, count: u64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let at = self.seen % SLOTS;
        for (sum, span) in self.fine.iter_mut().zip(FINE) {
            *sum += u64::from(count);
            *sum -= u64::from(self.ticks[(self.seen + SLOTS - span) % SLOTS]);
        }
        self.ticks[at] = count;
        self.bucket = self.bucket.saturating_add(count);
        self.seen += 1;
        if self.seen.is_multiple_of(BUCKET) {
            let at = self.seen / BUCKET - 1;
            for (sum, span) in self.coarse.iter_mut().zip(COARSE) {
                *sum += u64::from(self.bucket);
                *sum -= u64::from(self.buckets[(at + SLOTS - span) % SLOTS]);
            }
            self.buckets[at % SLOTS] = self.bucket;
            self.bucket = 0;
        }
    }

    /// Requests in the last second.
    pub(crate) const fn last_second(&self) -> u64 {
        self.fine[0]
    }

    /// Requests in the last `ticks`, a length of [`Excess::ticks`].
    pub(crate) fn within(&self, ticks: u64) -> u64 {
        self.windows().find(|(_, length, _)| *length >= ticks).map_or(self.fine[0], |w| w.2)
    }

    /// Each window: its number, its ticks so far, its count.
    fn windows(&self) -> impl Iterator<Item = (usize, u64, u64)> + '_ {
        let fine = FINE
            .into_iter()
            .zip(self.fine)
            .enumerate()
            .map(|(at, (span, sum))| (at, span.min(self.seen) as u64, sum));
        let partial = self.seen % BUCKET;
        let coarse =
            COARSE.into_iter().zip(self.coarse).enumerate().map(move |(at, (span, sum))| {
                let ticks = (span * BUCKET + partial).min(self.seen);
                (FINE.len() + at, ticks as u64, sum + u64::from(self.bucket))
            });
        fine.chain(coarse)
    }

    /// The window whose count is the least probable, by the measure of its length.
    pub(crate) fn excess(&self, wall: WallTime, model: &RateModel) -> Excess {
        let mut most = Excess::default();
        let mut most_relative = 0;
        for (at, ticks, count) in self.windows() {
            if count < RAISED_EXCESS || ticks == 0 {
                continue;
            }
            let (surprise_milli, expected_micro) = model.surprise(wall, count, ticks);
            let mut excess = Excess { surprise_milli, ticks, count, expected_micro, surge: false };
            if excess.beyond() < RAISED_EXCESS || !self.is_present(&excess) {
                continue;
            }
            excess.surge = surprise_milli >= SURGE_MILLI[at] && excess.beyond() >= SURGE_EXCESS;
            let relative = surprise_milli.saturating_mul(1_000) / SURGE_MILLI[at];
            if relative > most_relative {
                (most, most_relative) = (excess, relative);
            }
        }
        most
    }

    /// Whether the excess continues: the newest part of it that would hold a dozen of its requests holds
    /// at least a quarter of them.
    fn is_present(&self, excess: &Excess) -> bool {
        let beyond = excess.beyond();
        let newest =
            self.windows().find(|(_, ticks, _)| beyond * ticks >= RAISED_EXCESS * excess.ticks);
        let Some((_, ticks, count)) = newest.filter(|(_, ticks, _)| *ticks < excess.ticks) else {
            return true;
        };
        let enough = (excess.expected_micro + beyond * 250_000) * ticks / excess.ticks;
        count * 1_000_000 >= enough
    }

    /// How many ticks ago the excess began: looking back from now to the first stretch that
    /// holds less than a quarter of it.
    pub(crate) fn began_ticks_ago(&self, excess: &Excess) -> u64 {
        let ticks = excess.ticks.max(1);
        let (ring, length, now) = if ticks <= SLOTS as u64 {
            (&self.ticks, 1, self.seen)
        } else {
            (&self.buckets, BUCKET as u64, self.seen / BUCKET)
        };
        // Stretches of an eighth of the window, so that chance gaps do not end the search.
        let stretch = (ticks / length / 8).max(1);
        let per_stretch = |micro: u64| micro * stretch * length / ticks;
        let expected = per_stretch(excess.expected_micro);
        let beyond = per_stretch(excess.beyond() * 1_000_000);
        let enough = expected + beyond / 4;
        let mut back = 0;
        while back + stretch <= (SLOTS as u64).min(now as u64) {
            let count: u64 = (back..back + stretch)
                .map(|n| u64::from(ring[(now - 1 - n as usize) % SLOTS]))
                .sum();
            if count * 1_000_000 < enough {
                break;
            }
            back += stretch;
        }
        (back * length).max(1) + if length > 1 { (self.seen % BUCKET) as u64 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::baseline::Baseline;

    proptest! {
        #[test]
        fn each_window_holds_the_sum_of_its_ticks(counts in prop::collection::vec(0u64..50, 1..2_000)) {
            let mut windows = RateWindows::default();
            for count in &counts {
                windows.push(*count);
            }
            for (_, ticks, sum) in windows.windows() {
                let naive: u64 = counts.iter().rev().take(ticks as usize).sum();
                prop_assert_eq!(sum, naive);
            }
        }
    }

    #[test]
    fn the_onset_is_found_by_looking_back() {
        let mut windows = RateWindows::default();
        let mut baseline = Baseline::default();
        let wall = WallTime::parse("2026-11-23T09:00:00Z").expect("a time");
        for second in 0..2_000 {
            baseline.learn(wall + core::time::Duration::from_secs(second), 2, 0, false);
        }
        for tick in 0..2_000 {
            windows.push(u64::from(tick % 2 == 0));
        }
        assert!(!windows.excess(wall, &baseline.direct).surge);
        for _ in 0..40 {
            windows.push(6);
        }
        let excess = windows.excess(wall, &baseline.direct);
        assert!(excess.surge, "{excess:?}");
        let ago = windows.began_ticks_ago(&excess);
        assert!((38..=44).contains(&ago), "{ago}");
    }
}
