//! What the fold remembers of a platform while it does not know yet whether it will matter.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use portcullis_model::{Event, ProcedureId, Tally, WallTime};

use crate::incident::{PostureMove, ProcedureStory, Stamp, Strain, Surge};
use crate::totals::{finished, per_second, verdicts};
use crate::{Peak, Totals, Window};

/// The last things that happened on a platform.
#[derive(Clone, Debug, Default)]
pub(super) struct Eye {
    /// The last tallies of any kind: an attack's onset is found looking back.
    pub(super) recent: VecDeque<(u64, Tally)>,
    /// The last quiet tallies.
    pub(super) quiet: VecDeque<(u64, Tally)>,
    /// The surge that goes on.
    pub(super) surge: Option<Surge>,
    /// Surges that are over, or that an attack overtook.
    pub(super) surges: VecDeque<Surge>,
    pub(super) strains: VecDeque<Strain>,
    pub(super) postures: VecDeque<PostureMove>,
    /// Engaged procedures.
    pub(super) live: BTreeMap<ProcedureId, ProcedureStory>,
    /// The most that the origin was seen to bear since the gate started.
    pub(super) bore: Option<Peak>,
    /// The end of the last tally since the gate started.
    pub(super) last_tally: Option<WallTime>,
    /// Until when something unusual went on, if nothing does now.
    busy_until: WallTime,
    /// The last procedure's end.
    pub(super) released_at: WallTime,
    wave: bool,
}

impl Eye {
    /// Fifteen minutes of seconds, or hours of minutes.
    const RECENT: usize = 900;
    /// An hour of minutes.
    const QUIET: usize = 60;
    /// Surges, strains and posture changes remembered.
    const EVENTS: usize = 64;
    /// Procedures followed at a time. The posture engages a handful.
    const PROCEDURES: usize = 1_024;

    /// A surge has begun at most this long before it is told.
    const NOTICED_WITHIN: Duration = Duration::from_secs(5);

    /// How far back surges, strains and posture changes are near an attack.
    pub(super) const NEAR: Duration = Duration::from_hours(24);

    /// The gate started again at `at`: what was open is over, and the origin may be another.
    pub(super) fn restarted(&mut self, at: WallTime) {
        self.last_tally = None;
        self.bore = None;
        self.wave = false;
        self.busy_until = self.busy_until.max(at);
    }

    pub(super) fn strained(&self) -> bool {
        self.strains.back().is_some_and(|s| s.recovered.is_none())
    }

    pub(super) fn tallied(&mut self, leaf: u64, tally: &Tally) {
        self.last_tally = Some(tally.to);
        push(&mut self.recent, (leaf, tally.clone()), Self::RECENT);
        let busy = self.wave || self.surge.is_some() || !self.live.is_empty() || self.strained();
        if !busy && tally.from >= self.busy_until {
            push(&mut self.quiet, (leaf, tally.clone()), Self::QUIET);
        }
        if let Some(surge) = &mut self.surge {
            surge.totals.add(leaf, tally);
        }
        self.bear(leaf, tally);
    }

    /// Notes what the origin bore: whole seconds, at most one failure in a hundred.
    fn bear(&mut self, leaf: u64, tally: &Tally) {
        let window = Window::new(tally.from, tally.to);
        let (all, served) = finished(&tally.outcomes);
        let failed = all.saturating_sub(served);
        if self.strained() || window.millis() < 1_000 || all == 0 || failed > all / 100 {
            return;
        }
        // Answered requests, not forwarded ones: those still hanging were not borne yet.
        let answered = served.min(verdicts(&tally.reasons).forwarded);
        let rate = per_second(answered, window.millis());
        if self.bore.as_ref().is_none_or(|best| rate > best.per_second) {
            self.bore =
                Some(Peak { per_second: rate, window, leaf, platform: tally.platform.clone() });
        }
    }

    pub(super) fn saw(&mut self, stamp: Stamp, event: &Event) {
        match event {
            Event::SurgeBegan { platform, activities, per_second, baseline_milli } => {
                // A surge is told a second or so after it began.
                let unsure = stamp.at - Self::NOTICED_WITHIN;
                while self.quiet.back().is_some_and(|(_, t)| t.to > unsure) {
                    self.quiet.pop_back();
                }
                self.surge = Some(Surge {
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
                self.wave = true;
                if let Some(mut surge) = self.surge.take() {
                    surge.overtaken = Some(stamp);
                    push(&mut self.surges, surge, Self::EVENTS);
                }
            }
            Event::AttackEnded { .. } => {
                self.wave = false;
                self.busy_until = self.busy_until.max(stamp.at);
            }
            Event::OriginStrained { platform, says } => {
                let strain = Strain {
                    platform: platform.clone(),
                    began: stamp,
                    says: says.clone(),
                    recovered: None,
                };
                push(&mut self.strains, strain, Self::EVENTS);
            }
            Event::OriginRecovered { .. } => {
                if let Some(strain) = self.strains.back_mut() {
                    strain.recovered.get_or_insert(stamp);
                }
                self.busy_until = self.busy_until.max(stamp.at);
            }
            Event::PostureChanged { platform, from, to, reason } => {
                let change = PostureMove {
                    stamp,
                    platform: platform.clone(),
                    from: *from,
                    to: *to,
                    reason: reason.clone(),
                };
                push(&mut self.postures, change, Self::EVENTS);
            }
            Event::ProcedureEngaged(facts) => {
                if self.live.len() < Self::PROCEDURES {
                    let story = ProcedureStory {
                        facts: facts.clone(),
                        engaged: stamp,
                        released: None,
                        interrupted: None,
                    };
                    self.live.insert(facts.id, story);
                }
            }
            Event::ProcedureReleased { id, .. } => {
                self.live.remove(id);
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
            | Event::Notified(_) => {}
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, limit: usize) {
    if queue.len() == limit {
        queue.pop_front();
    }
    queue.push_back(item);
}
