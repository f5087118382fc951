//! One activity: its counts, its baseline, and how far it is above it.

use std::collections::VecDeque;

use portcullis_model::{
    ActivityCounts, ActivityId, Reason, TICK, Verdict, WallTime, WatchSettings,
};

use crate::baseline::Baseline;
use crate::composition::RAISED_MILLI;
use crate::rate_windows::{Excess, RateWindows};
use crate::visitors::RequestClass;

/// Ticks in a second: rates are means over this number of ticks.
pub(crate) const SECOND: usize = 4;
/// Ticks of flows that are remembered: four seconds.
const FLOW_TICKS: usize = 16;
/// Suspicious: this many tenths of the baseline, if that is improbable.
const RAISED_TENTHS: u64 = 15;
/// What is let through presses on the origin: this many tenths of the baseline, if that is improbable.
const PRESSING_TENTHS: u64 = 25;
/// An origin that makes visitors wait is no place for a surge: while it is degraded, this many
/// tenths of the baseline are suspect.
const DEGRADED_TENTHS: u64 = 13;
/// In the first ten minutes (in seconds) little is known of how uneven a site is.
const YOUNG_SECONDS: u64 = 600;
/// Meanwhile, this many tenths of the baseline are far over it, if there are `surge_min_rate` requests a second.
const YOUNG_TENTHS: u64 = 40;
/// What is more improbable than this is learnt slowly, in thousandths of a nat.
pub(crate) const LEARN_SLOWLY_MILLI: u64 = 6_000;

/// One activity of a platform.
#[derive(Debug)]
pub(crate) struct ActivityWatch {
    pub id: ActivityId,
    pub baseline: Baseline,
    direct: RateWindows,
    assets: RateWindows,
    busy: RateWindows,
    repeated: RateWindows,
    again: RateWindows,
    tick: TickRecords,
    /// What the present second has counted: direct requests, assets.
    second: (u64, u64),
    recent: VecDeque<TickFlow>,
    /// The most improbable count of this tick.
    pub excess: Excess,
    pub over_since: Option<WallTime>,
    /// Requests on calm ticks, and what they cost the origin.
    pub calm_requests: u64,
    pub calm_origin_micros: u64,
}

/// What the records of one tick were.
#[derive(Clone, Copy, Debug, Default)]
struct TickRecords {
    direct: u64,
    assets: u64,
    busy: u64,
    repeated: u64,
    again: u64,
}

/// One tick of one activity.
#[derive(Clone, Copy, Debug, Default)]
struct TickFlow {
    offered: u64,
    forwarded: u64,
}

impl ActivityWatch {
    pub(crate) fn new(id: ActivityId) -> Self {
        Self {
            id,
            baseline: Baseline::default(),
            direct: RateWindows::default(),
            assets: RateWindows::default(),
            busy: RateWindows::default(),
            repeated: RateWindows::default(),
            again: RateWindows::default(),
            tick: TickRecords::default(),
            second: (0, 0),
            recent: VecDeque::with_capacity(FLOW_TICKS),
            excess: Excess::default(),
            over_since: None,
            calm_requests: 0,
            calm_origin_micros: 0,
        }
    }

    /// Counts one record.
    pub(crate) const fn observe(&mut self, class: RequestClass) {
        match class {
            RequestClass::Asset => self.tick.assets += 1,
            RequestClass::Direct { busy, repeated, bare } => {
                self.tick.direct += 1;
                self.tick.again += (bare && repeated) as u64;
                self.tick.busy += busy as u64;
                self.tick.repeated += (busy && repeated) as u64;
            }
        }
    }

    /// Ends the tick, of which the workers counted `counts`.
    pub(crate) fn end_tick(&mut self, wall: WallTime, counts: &ActivityCounts) {
        let forwarded = Reason::ALL
            .iter()
            .filter(|r| r.verdict() == Verdict::Forward)
            .map(|r| counts.reason(*r))
            .sum();
        let offered = counts.offered() - counts.reason(Reason::ChallengePassed);
        if self.recent.len() >= FLOW_TICKS {
            self.recent.pop_front();
        }
        self.recent.push_back(TickFlow { offered, forwarded });
        let tick = core::mem::take(&mut self.tick);
        // Records may have been lost, and the retries of challenged visitors are no new requests.
        let known = tick.direct + tick.assets;
        let lost = if known * 2 < offered { offered - known } else { 0 };
        let direct = tick.direct + lost;
        self.direct.push(direct);
        self.assets.push(tick.assets);
        self.busy.push(tick.busy);
        self.repeated.push(tick.repeated);
        self.again.push(tick.again);
        self.second = (self.second.0 + direct, self.second.1 + tick.assets);
        let direct = self.direct.excess(wall, &self.baseline.direct);
        let assets = self.assets.excess(wall, &self.baseline.assets);
        let first = direct.surge || direct.surprise_milli >= assets.surprise_milli;
        self.excess = if first { direct } else { assets };
    }

    /// Lets a second pass without a request.
    pub(crate) fn pass_second(&mut self, wall: WallTime) {
        let counts = [&mut self.direct, &mut self.assets];
        for windows in
            counts.into_iter().chain([&mut self.busy, &mut self.repeated, &mut self.again])
        {
            (0..SECOND).for_each(|_| windows.push(0));
        }
        self.learn_second(wall, false);
    }

    /// Forgets the counts of an attack that is over, so that what remains of them in the long windows is no
    /// excess.
    pub(crate) fn forget_counts(&mut self) {
        self.direct = RateWindows::default();
        self.assets = RateWindows::default();
        self.busy = RateWindows::default();
        self.repeated = RateWindows::default();
        self.again = RateWindows::default();
        self.excess = Excess::default();
    }

    /// Forgets what the present second has counted.
    pub(crate) const fn drop_second(&mut self) {
        self.second = (0, 0);
    }

    /// Learns the second that ends now.
    pub(crate) fn learn_second(&mut self, wall: WallTime, surge: bool) {
        let (direct, assets) = core::mem::take(&mut self.second);
        self.baseline.learn(wall, direct, assets, surge);
    }

    /// Whether what came last is so unusual that it may not be learnt like an ordinary day.
    pub(crate) fn learns_slowly(&self, settings: &WatchSettings) -> bool {
        self.is_warm(settings) && self.excess.surprise_milli >= LEARN_SLOWLY_MILLI
    }

    /// Whether its rate is far over its baseline.
    pub(crate) fn is_over(&self, settings: &WatchSettings, degraded: bool) -> bool {
        if !self.is_warm(settings) {
            return self.offered_per_second() > u64::from(settings.surge_min_rate);
        }
        if degraded {
            return self.excess.surprise_milli >= RAISED_MILLI
                && self.excess.factor_tenths() >= DEGRADED_TENTHS;
        }
        self.excess.is_surge(settings) || self.is_far_while_young(settings, &self.excess)
    }

    /// Whether a multiple of a young baseline comes, however improbable that is on this site.
    fn is_far_while_young(&self, settings: &WatchSettings, excess: &Excess) -> bool {
        let rate = u64::from(settings.surge_min_rate);
        self.baseline.learnt_seconds() < YOUNG_SECONDS
            && excess.factor_tenths() >= YOUNG_TENTHS
            && excess.count * SECOND as u64 > rate * excess.ticks
    }

    /// Whether its rate is so unusual that it is worth asking who comes.
    pub(crate) fn is_raised(&self, settings: &WatchSettings) -> bool {
        self.is_warm(settings)
            && self.excess.surprise_milli >= RAISED_MILLI
            && self.excess.factor_tenths() >= RAISED_TENTHS
    }

    /// What gets through to the origin, if it is far over the baseline.
    ///
    /// By the last half second where that holds enough, so that the effect of a step is seen before
    /// the next; else by four seconds, if the last half second holds something of it.
    pub(crate) fn forwarded_excess(
        &self,
        settings: &WatchSettings,
        wall: WallTime,
    ) -> Option<Excess> {
        let newest = |ticks: usize| self.recent.iter().rev().take(ticks).map(|f| f.forwarded).sum();
        let half: u64 = newest(SECOND / 2);
        let (count, ticks) =
            if half >= 20 { (half, SECOND / 2) } else { (newest(FLOW_TICKS), FLOW_TICKS) };
        let ticks = ticks as u64;
        // What was let through before the last step is over.
        if half * 16 < count {
            return None;
        }
        if !self.is_warm(settings) {
            let rate = count * SECOND as u64 / ticks;
            let excess = Excess { surprise_milli: RAISED_MILLI, ticks, count, ..Excess::default() };
            return (rate > u64::from(settings.surge_min_rate)).then_some(excess);
        }
        let (direct, assets) = (&self.baseline.direct, &self.baseline.assets);
        let (_, of_assets) = assets.surprise(wall, 0, ticks);
        let beyond_assets = count.saturating_sub(of_assets * 3 / 2 / 1_000_000);
        let (surprise_milli, expected_micro) = direct.surprise(wall, beyond_assets, ticks);
        let excess = Excess { surprise_milli, ticks, count, expected_micro, surge: false };
        let expected_micro = expected_micro + of_assets;
        let factor = count.saturating_mul(10_000_000) / expected_micro.max(1_000);
        let excess = Excess { expected_micro, ..excess };
        let improbable = surprise_milli >= RAISED_MILLI && factor >= PRESSING_TENTHS;
        if improbable {
            return Some(excess);
        }
        // A crowd that it has seen makes every count probable on a young baseline.
        let far = self.is_far_while_young(settings, &excess);
        far.then_some(Excess { surprise_milli: surprise_milli.max(RAISED_MILLI), ..excess })
    }

    /// Requests of visitors without pause in the window of an excess: all, and repetitions.
    pub(crate) fn busy_within(&self, ticks: u64) -> (u64, u64) {
        (self.busy.within(ticks), self.repeated.within(ticks))
    }

    /// Repetitions by visitors without assets in the window of an excess.
    pub(crate) fn again_within(&self, ticks: u64) -> u64 {
        self.again.within(ticks)
    }

    /// The same in the last second.
    pub(crate) const fn again_last_second(&self) -> u64 {
        self.again.last_second()
    }

    /// Requests of visitors without pause in the last second.
    pub(crate) const fn busy_last_second(&self) -> u64 {
        self.busy.last_second()
    }

    /// When the excess began.
    pub(crate) fn excess_since(&self, wall: WallTime) -> WallTime {
        let ticks = self.direct.began_ticks_ago(&self.excess);
        let ago = TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
        WallTime(wall.millis().saturating_sub(ago.as_millis() as u64))
    }

    pub(crate) fn offered_per_second(&self) -> u64 {
        self.recent.iter().rev().take(SECOND).map(|flow| flow.offered).sum()
    }

    pub(crate) fn forwarded_per_second(&self) -> u64 {
        self.recent.iter().rev().take(SECOND).map(|flow| flow.forwarded).sum()
    }

    /// Whether enough has been learnt to call a multiple of the baseline a surge.
    pub(crate) const fn is_warm(&self, settings: &WatchSettings) -> bool {
        self.baseline.learnt_seconds() >= settings.warm_up.as_secs()
    }
}
