//! Load over time, in at most six hundred bins.

use portcullis_model::WallTime;
use serde::Serialize;

/// Bins at most: what a picture of a thousand points can show.
const BINS: usize = 600;

/// Widths of a bin in seconds; each is a multiple of the one before, so that bins can be merged.
/// Beyond four weeks the width doubles.
const WIDTHS: [u64; 11] =
    [60, 120, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800, 2_419_200];

/// Load over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BinnedSeries {
    /// How long each bin is, in seconds.
    pub bin_seconds: u64,
    /// When the first bin begins.
    pub from: WallTime,
    /// The bins, without a gap.
    pub bins: Vec<Bin>,
}

/// One bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// Requests recorded.
    pub offered: u64,
    /// Requests that the gate would have sent to the origin.
    pub forwarded: u64,
    /// The busiest second of the bin.
    pub peak_per_second: u64,
    /// What the baseline expected, in thousandths of a request per second; the mean of the bin.
    /// Absent before anything was learnt.
    pub baseline_milli: Option<u64>,
    #[serde(skip)]
    expected: (u64, u64),
}

impl Default for BinnedSeries {
    fn default() -> Self {
        Self { bin_seconds: WIDTHS[0], from: WallTime(0), bins: Vec::new() }
    }
}

impl BinnedSeries {
    /// Counts requests of one second (since 1970). Time never runs back.
    pub(crate) fn count(&mut self, second: u64, offered: u64, forwarded: u64) {
        let bin = self.bin(second);
        bin.offered += offered;
        bin.forwarded += forwarded;
        bin.peak_per_second = bin.peak_per_second.max(offered);
    }

    /// Counts requests of the minute that begins at `second`; its busiest second is its mean.
    pub(crate) fn count_minute(&mut self, second: u64, requests: u64) {
        let bin = self.bin(second);
        bin.offered += requests;
        bin.forwarded += requests;
        bin.peak_per_second = bin.peak_per_second.max(requests / 60);
    }

    /// Notes what was expected for `seconds` seconds around `second`.
    pub(crate) fn expect(&mut self, second: u64, baseline_milli: u64, seconds: u64) {
        let bin = self.bin(second);
        bin.expected.0 += baseline_milli * seconds;
        bin.expected.1 += seconds;
        bin.baseline_milli = bin.expected.0.checked_div(bin.expected.1);
    }

    /// When bin number `at` begins, in seconds since 1970.
    pub fn bin_start(&self, at: usize) -> u64 {
        self.from.seconds() + at as u64 * self.bin_seconds
    }

    fn bin(&mut self, second: u64) -> &mut Bin {
        if self.bins.is_empty() {
            self.from = WallTime(second / self.bin_seconds * self.bin_seconds * 1_000);
        }
        while self.bin_index(second) >= BINS {
            self.coarsen();
        }
        let at = self.bin_index(second);
        if at >= self.bins.len() {
            self.bins.resize(at + 1, Bin::default());
        }
        &mut self.bins[at]
    }

    fn bin_index(&self, second: u64) -> usize {
        (second.saturating_sub(self.from.seconds()) / self.bin_seconds) as usize
    }

    fn coarsen(&mut self) {
        let (old, old_from) = (self.bin_seconds, self.from.seconds());
        let wider = WIDTHS.iter().copied().find(|width| *width > old);
        self.bin_seconds = wider.unwrap_or(old * 2);
        let from = old_from / self.bin_seconds * self.bin_seconds;
        self.from = WallTime(from * 1_000);
        let bins = core::mem::take(&mut self.bins);
        for (at, bin) in bins.into_iter().enumerate() {
            let place = self.bin_index(old_from + at as u64 * old);
            if place >= self.bins.len() {
                self.bins.resize(place + 1, Bin::default());
            }
            self.bins[place].add(&bin);
        }
    }
}

impl Bin {
    fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.forwarded += other.forwarded;
        self.peak_per_second = self.peak_per_second.max(other.peak_per_second);
        self.expected.0 += other.expected.0;
        self.expected.1 += other.expected.1;
        self.baseline_milli = self.expected.0.checked_div(self.expected.1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_hour_is_shown_by_the_minute_and_a_year_by_the_day() {
        let mut series = BinnedSeries::default();
        for second in 0..3_600 {
            series.count(1_000_020 + second, 2, 1);
        }
        assert_eq!((series.bin_seconds, series.bins.len()), (60, 60));
        assert_eq!(series.bins[7].offered, 120);
        series.count(1_000_020 + 365 * 86_400, 5, 5);
        assert_eq!(series.bin_seconds, 86_400);
        assert_eq!(series.bins.iter().map(|bin| bin.offered).sum::<u64>(), 7_205);
    }

    #[test]
    fn what_was_expected_is_a_mean_over_time() {
        let mut series = BinnedSeries::default();
        assert_eq!(Bin::default().baseline_milli, None);
        series.expect(600, 1_000, 1);
        series.expect(601, 4_000, 2);
        assert_eq!(series.bins[0].baseline_milli, Some(3_000));
    }

    proptest! {
        #[test]
        fn bins_stay_few_and_lose_nothing(jumps in prop::collection::vec((0..3_000_000u64, 1..9u64), 1..200)) {
            let mut series = BinnedSeries::default();
            let (mut second, mut sum) = (893_971_800, 0);
            for (jump, n) in jumps {
                second += jump;
                sum += n;
                series.count(second, n, n);
                prop_assert!(series.bins.len() <= BINS);
                prop_assert!(series.bin_index(second) == series.bins.len() - 1);
            }
            prop_assert_eq!(series.bins.iter().map(|bin| bin.offered).sum::<u64>(), sum);
        }
    }
}
