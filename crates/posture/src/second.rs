//! Whole seconds of a platform, made of its ticks.

use portcullis_model::WallTime;
use serde::{Deserialize, Serialize};

/// Ticks in a second.
const TICKS: u8 = 4;

/// What visitors asked in one whole second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecondTotals {
    /// Requests of visitors, each once however often the gate sent it round.
    pub offered: u64,
    /// Requests that went to the origin.
    pub forwarded: u64,
}

/// What one tick adds to a wave.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TickTotals {
    /// Its end.
    pub wall: WallTime,
    /// Requests, the gate's own redirects among them.
    pub offered: u64,
    /// Requests that went to the origin.
    pub forwarded: u64,
    /// Requests that the gate's own redirects caused: one for each answered challenge, two where the visitor was
    /// then sent to the address without the token.
    pub redirects: u64,
    pub stalled_headers: u64,
    /// The whole second that ends with it, if one does.
    pub second: Option<SecondTotals>,
}

impl TickTotals {
    /// Adds a later tick.
    pub(crate) fn merge(&mut self, later: &Self) {
        self.wall = later.wall;
        self.offered += later.offered;
        self.forwarded += later.forwarded;
        self.redirects += later.redirects;
        self.stalled_headers = self.stalled_headers.max(later.stalled_headers);
        self.second = later.second.or(self.second);
    }
}

/// Adds ticks up to seconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecondMeter {
    ticks: u8,
    totals: SecondTotals,
    /// Redirects of the gate's own that the seconds before still held.
    surplus: u64,
}

impl SecondMeter {
    /// Adds a tick; the totals of the second that ends with it, if one does.
    ///
    /// An answered challenge is two or three requests, at different times: all but one are taken away where
    /// they can be, and what is left of them in the next second.
    pub(crate) fn add(&mut self, tick: &TickTotals) -> Option<SecondTotals> {
        self.totals.offered += tick.offered;
        self.totals.forwarded += tick.forwarded;
        self.surplus += tick.redirects;
        self.ticks += 1;
        if self.ticks < TICKS {
            return None;
        }
        let mut totals = core::mem::take(&mut self.totals);
        self.ticks = 0;
        let repeated = self.surplus.min(totals.offered.saturating_sub(totals.forwarded));
        totals.offered -= repeated;
        self.surplus -= repeated;
        Some(totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(offered: u64, forwarded: u64, redirects: u64) -> TickTotals {
        TickTotals { offered, forwarded, redirects, ..TickTotals::default() }
    }

    #[test]
    fn four_ticks_are_a_second() {
        let mut meter = SecondMeter::default();
        let seconds: Vec<_> = (1..=8).filter_map(|n| meter.add(&tick(n, n, 0))).collect();
        let sums: Vec<_> = seconds.iter().map(|second| second.offered).collect();
        assert_eq!(sums, [10, 26]);
    }

    #[test]
    fn a_visitor_who_answers_a_challenge_counts_once() {
        let mut meter = SecondMeter::default();
        // Challenged in the first second; back with the answer, and let through, in the next.
        let ticks = [tick(1, 0, 0), tick(0, 0, 0), tick(0, 0, 0), tick(0, 0, 0)];
        let first: Vec<_> = ticks.iter().filter_map(|t| meter.add(t)).collect();
        assert_eq!(first[0].offered, 1);
        let ticks = [tick(2, 1, 2), tick(5, 5, 0), tick(0, 0, 0), tick(0, 0, 0)];
        let next: Vec<_> = ticks.iter().filter_map(|t| meter.add(t)).collect();
        assert_eq!(next[0], SecondTotals { offered: 6, forwarded: 6 });
    }
}
