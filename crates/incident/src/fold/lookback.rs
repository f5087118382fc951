//! What the fold remembers of a platform while it does not know yet whether it will matter.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use portcullis_model::{Event, ProcedureId, Tally, WallTime};

use crate::counts::count_verdicts;
use crate::incident::{DegradationRecord, LeafRef, PostureChange, ProcedureRecord, SurgeRecord};
use crate::totals::{origin_outcomes, per_second};
use crate::{Peak, TimeWindow, Totals};

/// The last things that happened on a platform.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookback {
    /// The last tallies of any kind: an attack's onset is found looking back.
    pub(super) recent: VecDeque<(u64, Tally)>,
    /// The last quiet tallies.
    pub(super) quiet: VecDeque<(u64, Tally)>,
    /// The ongoing surge.
    pub(super) surge: Option<SurgeRecord>,
    /// Surges that are over, or that an attack overtook.
    pub(super) surges: VecDeque<SurgeRecord>,
    pub(super) degradations: VecDeque<DegradationRecord>,
    pub(super) posture_changes: VecDeque<PostureChange>,
    /// Engaged procedures.
    pub(super) engaged_procedures: BTreeMap<ProcedureId, ProcedureRecord>,
    /// The highest load that the origin was seen to handle since the gate started.
    pub(super) observed_capacity: Option<Peak>,
    /// The end of the last tally since the gate started.
    pub(super) last_tally: Option<WallTime>,
    /// The end of the last unusual event, if none is ongoing.
    busy_until: WallTime,
    /// The last procedure's end.
    pub(super) released_at: WallTime,
    in_wave: bool,
}

impl Lookback {
    /// Fifteen minutes of seconds, or hours of minutes.
    const RECENT: usize = 900;
    /// An hour of minutes.
    const QUIET: usize = 60;
    /// Surges, degradations and posture changes remembered.
    const EVENTS: usize = 64;
    /// Procedures followed at a time. The posture engages a handful.
    const PROCEDURES: usize = 1_024;

    /// A surge began at most this long before its event.
    const DETECTION_DELAY: Duration = Duration::from_secs(5);

    /// How far back surges, degradations and posture changes are near an attack.
    pub(super) const NEARBY: Duration = Duration::from_hours(24);

    /// The gate started again at `at`: what was open is over, and the origin may be another.
    pub(super) fn restarted(&mut self, at: WallTime) {
        self.last_tally = None;
        self.observed_capacity = None;
        self.in_wave = false;
        self.busy_until = self.busy_until.max(at);
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.degradations.back().is_some_and(|s| s.recovered.is_none())
    }

    pub(super) fn add_tally(&mut self, leaf: u64, tally: &Tally) {
        self.last_tally = Some(tally.to);
        push(&mut self.recent, (leaf, tally.clone()), Self::RECENT);
        let busy = self.in_wave
            || self.surge.is_some()
            || !self.engaged_procedures.is_empty()
            || self.is_degraded();
        if !busy && tally.from >= self.busy_until {
            push(&mut self.quiet, (leaf, tally.clone()), Self::QUIET);
        }
        if let Some(surge) = &mut self.surge {
            surge.totals.add(leaf, tally);
        }
        self.observe_capacity(leaf, tally);
    }

    /// Notes what the origin bore: whole seconds, at most one failure in a hundred.
    fn observe_capacity(&mut self, leaf: u64, tally: &Tally) {
        let window = TimeWindow::new(tally.from, tally.to);
        let (all, served) = origin_outcomes(&tally.outcomes);
        let failed = all.saturating_sub(served);
        if self.is_degraded() || window.millis() < 1_000 || all == 0 || failed > all / 100 {
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

    pub(super) fn apply(&mut self, stamp: LeafRef, event: &Event) {
        match event {
            Event::SurgeBegan { platform, activities, per_second, baseline_milli } => {
                // The event of a surge comes a second or so after it began.
                let unsure = stamp.at - Self::DETECTION_DELAY;
                while self.quiet.back().is_some_and(|(_, t)| t.to > unsure) {
                    self.quiet.pop_back();
                }
                self.surge = Some(SurgeRecord {
                    platform: platform.clone(),
                    activities: activities.clone(),
                    began: stamp,
                    ended: None,
                    overtaken: None,
                    per_second: *per_second,
                    baseline_milli: *baseline_milli,
                    totals: Totals::default(),
                });
            }
            Event::SurgeEnded { .. } => {
                if let Some(mut surge) = self.surge.take() {
                    surge.ended = Some(stamp);
                    push(&mut self.surges, surge, Self::EVENTS);
                }
                self.busy_until = self.busy_until.max(stamp.at);
            }
            Event::AttackBegan { .. } => {
                self.in_wave = true;
                if let Some(mut surge) = self.surge.take() {
                    surge.overtaken = Some(stamp);
                    push(&mut self.surges, surge, Self::EVENTS);
                }
            }
            Event::AttackEnded { .. } => {
                self.in_wave = false;
                self.busy_until = self.busy_until.max(stamp.at);
            }
            Event::OriginDegraded { platform, summary: says } => {
                let degradation = DegradationRecord {
                    platform: platform.clone(),
                    began: stamp,
                    summary: says.clone(),
                    recovered: None,
                };
                push(&mut self.degradations, degradation, Self::EVENTS);
            }
            Event::OriginRecovered { .. } => {
                if let Some(degradation) = self.degradations.back_mut() {
                    degradation.recovered.get_or_insert(stamp);
                }
                self.busy_until = self.busy_until.max(stamp.at);
            }
            Event::PostureChanged { platform, from, to, reason } => {
                let change = PostureChange {
                    stamp,
                    platform: platform.clone(),
                    from: *from,
                    to: *to,
                    reason: reason.clone(),
                };
                push(&mut self.posture_changes, change, Self::EVENTS);
            }
            Event::ProcedureEngaged(facts) => {
                if self.engaged_procedures.len() < Self::PROCEDURES {
                    let procedure = ProcedureRecord {
                        facts: facts.clone(),
                        engaged: stamp,
                        released: None,
                        interrupted: None,
                    };
                    self.engaged_procedures.insert(facts.id, procedure);
                }
            }
            Event::ProcedureReleased { id, .. } => {
                self.engaged_procedures.remove(id);
                self.released_at = self.released_at.max(stamp.at);
                self.busy_until = self.busy_until.max(stamp.at);
            }
            Event::AttackChanged { .. }
            | Event::Mitigated { .. }
            | Event::MitigationLost { .. }
            | Event::FullSpeed { .. }
            | Event::Started { .. }
            | Event::Reloaded { .. }
            | Event::ReloadRefused { .. }
            | Event::Stopped
            | Event::RecordingGap { .. }
            | Event::Tallied(_)
            | Event::ReceiptRecorded(_)
            | Event::Unknown { .. } => {}
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, limit: usize) {
    if queue.len() == limit {
        queue.pop_front();
    }
    queue.push_back(item);
}
