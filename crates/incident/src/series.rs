//! Load over time, in a bounded number of points.

use portcullis_model::{Tally, WallTime};
use serde::Serialize;

use crate::counts::count_verdicts;
use crate::totals::offered;

/// Load over time on one platform. Begins with one point a second; when [`LoadSeries::POINTS`] are
/// not enough, neighbours are merged and every point covers twice as long, so that memory stays
/// bounded however long the incident lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoadSeries {
    start: u64,
    width_ms: u64,
    points: Vec<SeriesBin>,
    last_leaf: Option<u64>,
    end: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct SeriesBin {
    covered_ms: u64,
    offered: u64,
    forwarded: u64,
    stopped: u64,
    peak_offered: u64,
}

/// One point of a [`LoadSeries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LoadPoint {
    /// The beginning of the interval.
    pub at: WallTime,
    /// Its length in milliseconds.
    pub width_ms: u64,
    /// Requests per second, as an average over what was recorded of the interval.
    pub offered: u64,
    /// Of these, forwarded to the origin.
    pub forwarded: u64,
    /// Of these, refused, dropped or challenged.
    pub stopped: u64,
    /// Requests offered in the busiest second of the interval.
    pub peak_offered: u64,
}

impl LoadSeries {
    /// The largest number of points.
    pub const POINTS: usize = 1_024;

    /// Adds one leaf's tally, spread evenly over its interval. Leaves come in order; one that
    /// was added already is passed over.
    pub(crate) fn add(&mut self, leaf: u64, tally: &Tally) {
        if self.last_leaf.is_some_and(|last| leaf <= last) {
            return;
        }
        self.last_leaf = Some(leaf);
        self.end = self.end.max(tally.to.millis());
        if self.points.is_empty() {
            self.width_ms = 1_000;
            self.start = tally.from.millis() / 1_000 * 1_000;
        }
        if tally.to.millis() <= self.start {
            return; // the wall clock was set back: there is no point to add this to
        }
        let from = tally.from.millis().max(self.start);
        let to = tally.to.millis().max(from.saturating_add(1));
        while (to - 1 - self.start) / self.width_ms >= Self::POINTS as u64 {
            self.merge_neighbours();
        }
        let (counts, all) = (count_verdicts(&tally.reasons), offered(tally));
        let stopped =
            counts.challenged.saturating_add(counts.refused).saturating_add(counts.dropped);
        let (first, last) = (self.index(from), self.index(to - 1));
        if self.points.len() <= last {
            self.points.resize(last + 1, SeriesBin::default());
        }
        let length = to - from;
        let mut done = 0;
        for (i, point) in self.points.iter_mut().enumerate().take(last + 1).skip(first) {
            let end = self.start.saturating_add((i as u64 + 1).saturating_mul(self.width_ms));
            let edge = end.min(to) - from;
            // What lies before `edge`, less what lies before the last one: the parts sum to
            // the whole whatever the rounding.
            let part = |n: u64| portion(n, edge, length) - portion(n, done, length);
            point.covered_ms = point.covered_ms.saturating_add(edge - done);
            point.offered = point.offered.saturating_add(part(all));
            point.forwarded = point.forwarded.saturating_add(part(counts.forwarded));
            point.stopped = point.stopped.saturating_add(part(stopped));
            point.peak_offered = point.peak_offered.max(tally.peak_offered_per_second);
            done = edge;
        }
    }

    fn index(&self, at: u64) -> usize {
        usize::try_from((at - self.start) / self.width_ms).unwrap_or(usize::MAX)
    }

    fn merge_neighbours(&mut self) {
        self.width_ms = self.width_ms.saturating_mul(2);
        self.points = self
            .points
            .chunks(2)
            .map(|pair| {
                let mut sum = pair[0];
                if let Some(next) = pair.get(1) {
                    sum.covered_ms = sum.covered_ms.saturating_add(next.covered_ms);
                    sum.offered = sum.offered.saturating_add(next.offered);
                    sum.forwarded = sum.forwarded.saturating_add(next.forwarded);
                    sum.stopped = sum.stopped.saturating_add(next.stopped);
                    sum.peak_offered = sum.peak_offered.max(next.peak_offered);
                }
                sum
            })
            .collect();
    }

    /// The points in order of time. Where nothing was recorded there is none.
    pub fn points(&self) -> impl Iterator<Item = LoadPoint> + '_ {
        self.points.iter().enumerate().filter(|(_, sums)| sums.covered_ms > 0).map(|(i, sums)| {
            let rate = |n: u64| portion(n, 1_000, sums.covered_ms);
            LoadPoint {
                at: WallTime(self.start.saturating_add((i as u64).saturating_mul(self.width_ms))),
                width_ms: self.width_ms,
                offered: rate(sums.offered),
                forwarded: rate(sums.forwarded),
                stopped: rate(sums.stopped),
                peak_offered: sums.peak_offered,
            }
        })
    }

    /// The end of the last tally.
    pub const fn end(&self) -> WallTime {
        WallTime(self.end)
    }

    /// How long each point covers, in milliseconds; zero without points.
    pub const fn width_ms(&self) -> u64 {
        self.width_ms
    }

    /// Requests offered, over all points.
    pub fn offered(&self) -> u64 {
        self.points.iter().fold(0, |n, p| n.saturating_add(p.offered))
    }
}

/// A tally that comes this much later than the last begins another series.
const APART_MS: u64 = 30 * 60_000;

/// Stretches of load per platform and incident.
const STRETCHES: usize = 64;

/// Adds a tally to the last of `stretches`, or begins another one.
pub(crate) fn add(stretches: &mut Vec<LoadSeries>, leaf: u64, tally: &Tally) {
    let follows = |last: &LoadSeries| tally.from.millis() <= last.end.saturating_add(APART_MS);
    let full = stretches.len() >= STRETCHES;
    match stretches.last_mut() {
        Some(last) if full || follows(last) || last.last_leaf >= Some(leaf) => {
            last.add(leaf, tally);
        }
        _ => {
            let mut next = LoadSeries::default();
            next.add(leaf, tally);
            stretches.push(next);
        }
    }
}

/// `n * part / whole`, without overflow.
fn portion(n: u64, part: u64, whole: u64) -> u64 {
    let scaled = u128::from(n) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
