//! Tallies: `tallied`. What was counted, and how much the origin was seen to handle.

use core::time::Duration;

use portcullis_model::{Event, Tally, WallTime};

use super::platform_event::PlatformEvent;
use crate::counts::count_verdicts;
use crate::recent::Recent;
use crate::totals::{origin_outcomes, per_second};
use crate::{Peak, TimeWindow};

/// Two tallies further apart than this leave a gap between them.
const GAP_MS: u64 = 1_500;

/// A surge began at most this long before its event.
const DETECTION_DELAY: Duration = Duration::from_secs(5);

/// The tallies of one platform, whether or not an incident is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentTallies {
    /// Fifteen minutes of seconds, or hours of minutes: an attack's onset is found looking back.
    all: Recent<(u64, Tally), 900>,
    /// An hour of quiet minutes.
    quiet: Recent<(u64, Tally), 60>,
    /// The highest load that the origin was seen to handle since the gate started.
    observed_capacity: Option<Peak>,
    /// The end of the last tally since the gate started.
    last: Option<WallTime>,
}

impl RecentTallies {
    /// `quiet_since`: from when on nothing unusual lasts on the platform; `None` while it does.
    /// `degraded`: the origin is. Returns the time that no tally covers, if there is one before
    /// this event.
    pub(super) fn apply(
        &mut self,
        now: &PlatformEvent<'_>,
        quiet_since: Option<WallTime>,
        degraded: bool,
    ) -> Option<TimeWindow> {
        match now.event {
            Event::SurgeBegan { .. } => {
                let unsure = now.stamp.at - DETECTION_DELAY;
                self.quiet.pop_newest_while(|(_, tally)| tally.to > unsure);
                None
            }
            Event::Tallied(tally) => {
                let leaf = now.stamp.leaf;
                self.all.push((leaf, tally.clone()));
                if quiet_since.is_some_and(|since| tally.from >= since) {
                    self.quiet.push((leaf, tally.clone()));
                }
                if !degraded {
                    self.observe_capacity(leaf, tally);
                }
                let last = self.last.replace(tally.to)?;
                let missing = tally.from.millis().saturating_sub(last.millis());
                (missing > GAP_MS).then(|| TimeWindow::new(last, tally.from))
            }
            _ => None,
        }
    }

    /// Notes what the origin handled: whole seconds, at most one failure in a hundred.
    fn observe_capacity(&mut self, leaf: u64, tally: &Tally) {
        let window = TimeWindow::new(tally.from, tally.to);
        let (all, served) = origin_outcomes(&tally.outcomes);
        let failed = all.saturating_sub(served);
        if window.millis() < 1_000 || all == 0 || failed > all / 100 {
            return;
        }
        // Answered requests, not forwarded ones: the origin has not handled those that still hang.
        let answered = served.min(count_verdicts(&tally.reasons).forwarded);
        let rate = per_second(answered, window.millis());
        if self.observed_capacity.as_ref().is_none_or(|best| rate > best.per_second) {
            self.observed_capacity =
                Some(Peak { per_second: rate, window, leaf, platform: tally.platform.clone() });
        }
    }

    /// The gate stopped or crashed: the next one may have another origin behind it.
    pub(super) fn gate_ended(&mut self) {
        self.last = None;
        self.observed_capacity = None;
    }

    /// Tallies that end after `at`, with their leaves.
    pub(super) fn since(&self, at: WallTime) -> impl Iterator<Item = (u64, &Tally)> {
        self.all.iter().filter(move |(_, tally)| tally.to > at).map(|(leaf, tally)| (*leaf, tally))
    }

    /// Quiet tallies that end before `at`, with their leaves.
    pub(super) fn quiet_before(&self, at: WallTime) -> impl Iterator<Item = (u64, &Tally)> {
        let quiet = self.quiet.iter().filter(move |(_, tally)| tally.to <= at);
        quiet.map(|(leaf, tally)| (*leaf, tally))
    }

    /// The highest load that the origin was seen to handle.
    pub(super) fn observed_capacity(&self) -> Option<&Peak> {
        self.observed_capacity.as_ref()
    }
}
