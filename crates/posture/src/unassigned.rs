//! What belongs to no platform: its tallies, and floods of it.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use portcullis_model::{
    Cut, Event, PostureSettings, UnassignedCounts, UnassignedTally, WallTime, WatchSettings,
};
use serde::{Deserialize, Serialize};

/// Ticks in a second.
const SECOND: usize = 4;
/// Ticks in a row that make a flood: two seconds.
const CONFIRM: u32 = 8;
/// A flood has at least this many times the rate at which an activity may be called a surge.
/// Scanners of the whole Internet send less.
const MIN_FACTOR: u64 = 5;
/// Milliseconds between tallies while nothing happens.
const CALM_MS: u64 = 60_000;
/// Milliseconds between tallies during a flood.
const BUSY_MS: u64 = 1_000;
/// Ticks over which the usual rate is learnt: an hour.
const USUAL_TICKS: u64 = 14_400;

/// Counts what belongs to no platform and recognises floods of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnassignedTraffic {
    from: WallTime,
    sum: UnassignedCounts,
    /// The ticks of the last second.
    recent: VecDeque<UnassignedCounts>,
    /// What is usual, in millionths per second, over calm ticks.
    usual_micro: u64,
    /// Ticks in a row above the threshold.
    over: u32,
    over_since: WallTime,
    flood: Option<GateFlood>,
}

/// A flood that lasts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GateFlood {
    counts: UnassignedCounts,
    peak_per_second: u64,
    quiet: Duration,
}

impl UnassignedTraffic {
    pub(crate) fn new(from: WallTime) -> Self {
        Self {
            from,
            sum: UnassignedCounts::default(),
            recent: VecDeque::new(),
            usual_micro: 0,
            over: 0,
            over_since: from,
            flood: None,
        }
    }

    /// Takes one tick's counts, and the number of connections that are stalled in their headers if
    /// that is far more than usual.
    pub(crate) fn tick(
        &mut self,
        settings: (&WatchSettings, &PostureSettings),
        wall: WallTime,
        counts: &UnassignedCounts,
        stalled: Option<u64>,
        out: &mut Vec<Event>,
    ) {
        self.sum.add(counts);
        if self.recent.len() == SECOND {
            self.recent.pop_front();
        }
        self.recent.push_back(counts.clone());
        let mut last_second = UnassignedCounts::default();
        self.recent.iter().for_each(|tick| last_second.add(tick));
        let rate = last_second.refused();
        let over = rate > self.threshold(settings.0) || stalled.is_some();
        if over {
            if self.over == 0 {
                self.over_since = wall - portcullis_model::TICK;
            }
            self.over = self.over.saturating_add(1);
        } else {
            self.over = 0;
            if self.flood.is_none() {
                self.learn(rate);
            }
        }
        let was_flood = self.flood.is_some();
        self.follow_flood(counts, rate, over, settings.1.quiet_period, out);
        if !was_flood && self.over >= CONFIRM {
            self.flood = Some(GateFlood {
                counts: last_second.clone(),
                peak_per_second: rate,
                quiet: Duration::ZERO,
            });
            out.push(Event::GateFloodBegan {
                onset: self.over_since,
                refused_per_second: rate,
                usual_milli: self.usual_micro / 1_000,
                stalled_headers: stalled.unwrap_or(0),
                reasons: refused_by_name(&last_second),
            });
        }
        let busy = was_flood || self.flood.is_some();
        let lasted = wall.millis().saturating_sub(self.from.millis());
        if lasted >= if busy { BUSY_MS } else { CALM_MS } {
            self.close_tally(wall, out);
        }
    }

    /// Closes the tally; writes it if there was something.
    pub(crate) fn close_tally(&mut self, wall: WallTime, out: &mut Vec<Event>) {
        let sum = core::mem::take(&mut self.sum);
        let from = core::mem::replace(&mut self.from, wall);
        let cuts = Cut::ALL.iter().map(|cut| (cut.as_str(), sum.cuts.of(*cut)));
        let (reasons, cuts) = (nonzero(sum.by_name()), nonzero(cuts));
        if !reasons.is_empty() || !cuts.is_empty() {
            out.push(Event::UnassignedTallied(UnassignedTally { from, to: wall, reasons, cuts }));
        }
    }

    fn threshold(&self, settings: &WatchSettings) -> u64 {
        let usual = self.usual_micro * u64::from(settings.surge_factor_tenths) / 10 / 1_000_000;
        (u64::from(settings.surge_min_rate) * MIN_FACTOR).max(usual)
    }

    /// Slowly from the first tick on, so that a gate that starts within a flood does not take it for
    /// usual.
    fn learn(&mut self, rate: u64) {
        let target = rate.saturating_mul(1_000_000);
        self.usual_micro = if target > self.usual_micro {
            self.usual_micro + (target - self.usual_micro) / USUAL_TICKS
        } else {
            self.usual_micro - (self.usual_micro - target) / USUAL_TICKS
        };
    }

    fn follow_flood(
        &mut self,
        counts: &UnassignedCounts,
        rate: u64,
        over: bool,
        quiet_period: Duration,
        out: &mut Vec<Event>,
    ) {
        let Some(flood) = &mut self.flood else { return };
        flood.counts.add(counts);
        flood.peak_per_second = flood.peak_per_second.max(rate);
        flood.quiet = if over { Duration::ZERO } else { flood.quiet + portcullis_model::TICK };
        if flood.quiet >= quiet_period {
            out.push(Event::GateFloodEnded {
                refused: flood.counts.refused(),
                peak_per_second: flood.peak_per_second,
                reasons: refused_by_name(&flood.counts),
            });
            self.flood = None;
        }
    }
}

/// Without what was answered in the origin's place.
fn refused_by_name(counts: &UnassignedCounts) -> BTreeMap<String, u64> {
    let mut reasons = nonzero(counts.by_name());
    reasons.remove(portcullis_model::Reason::Acme.as_str());
    reasons
}

fn nonzero<'a>(words: impl Iterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    words.filter(|(_, n)| *n > 0).map(|(word, n)| (word.to_owned(), n)).collect()
}
