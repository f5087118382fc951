//! The one control loop.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_model::{
    ActivityCounts, Config, Event, Ids, PlatformFacts, Procedure, Reason, Record, Snapshot, Tier,
    Time, TokenState, Verdict, WallTime,
};
use portcullis_watch::{Baseline, Observation, Watch};

use crate::action::Action;
use crate::control_state::ControlState;
use crate::engaged::EngagedProcedure;
use crate::input::{Input, SavedBaseline};
use crate::names::NameTable;
use crate::platform::{Context, PlatformPosture};
use crate::resume::Resume;
use crate::second::TickTotals;
use crate::tally::{TallyBuilder, by_verdict};
use crate::unassigned::UnassignedTraffic;
use crate::view::{PlatformView, ProcedureView};

/// A difference between the clocks over a tick that is a step. Time services slew what is less.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// The loop: watch, posture and tallies of every platform.
#[derive(Debug)]
pub struct Control {
    config: Arc<Config>,
    names: NameTable,
    watch: Watch,
    /// One per platform, in the order of the configuration, as are tallies and observations.
    postures: Vec<PlatformPosture>,
    tallies: Vec<TallyBuilder>,
    unassigned: UnassignedTraffic,
    seen: Vec<Observation>,
    next_procedure: NonZeroU32,
    /// The last wave of each platform that is not configured now, by name.
    earlier_waves: BTreeMap<String, u32>,
    last: Snapshot,
    /// Both clocks at the last tick.
    last_tick: Option<(Time, WallTime)>,
    /// Whether connections are seen.
    connections: bool,
}

impl Control {
    /// A loop that has seen nothing yet.
    pub fn new(config: Arc<Config>, wall: WallTime, resume: &Resume) -> Self {
        let ids = Arc::new(Ids::new(&config));
        Self::with_ids(config, ids, wall, resume)
    }

    /// A loop that continues the one of another process with `state`, by a configuration that may be
    /// another. The actions that follow go to `out`. Tallies begin at `wall`.
    pub fn continued(
        config: Arc<Config>,
        (now, wall): (Time, WallTime),
        state: ControlState,
        out: &mut Vec<Action>,
    ) -> Self {
        let ControlState {
            ids, postures, origins, unassigned, next_procedure, earlier_waves, ..
        } = state;
        let ids = Arc::new(ids.reloaded(&config));
        let mut control = Self::with_ids(config, Arc::clone(&ids), wall, &Resume::default());
        // A platform that was removed by a reload may be back: its waves count on.
        control.earlier_waves = earlier_waves;
        control.next_procedure = next_procedure;
        control.unassigned = unassigned;
        for record in origins {
            control.watch.restore_origin(record);
        }
        control.adopt(postures, &ids, now, wall, out);
        for posture in &mut control.postures {
            posture.settle(now);
        }
        out.push(Action::Engage(control.engaged().cloned().collect()));
        control
    }

    /// What another process needs to continue this loop.
    pub fn state(&self) -> ControlState {
        ControlState {
            version: ControlState::VERSION,
            ids: Ids::clone(self.names.ids()),
            postures: self.postures.clone(),
            origins: self.watch.origins(),
            unassigned: self.unassigned.clone(),
            next_procedure: self.next_procedure,
            earlier_waves: self.earlier_waves.clone(),
        }
    }

    fn with_ids(config: Arc<Config>, ids: Arc<Ids>, wall: WallTime, resume: &Resume) -> Self {
        let mut earlier_waves = resume.waves.clone();
        let postures = ids
            .platforms()
            .map(|(id, _)| {
                let waves = earlier_waves.remove(ids.platform_name(id)).unwrap_or(0);
                PlatformPosture::new(id, waves)
            })
            .collect();
        Self {
            watch: Watch::new(&config, Arc::clone(&ids)),
            tallies: tallies(&ids, wall, true),
            unassigned: UnassignedTraffic::new(wall),
            names: NameTable::new(Arc::clone(&config), ids),
            postures,
            seen: Vec::new(),
            next_procedure: NonZeroU32::MIN.saturating_add(resume.procedures),
            earlier_waves,
            last: Snapshot::default(),
            last_tick: None,
            connections: true,
            config,
        }
    }

    /// For a source of requests without connections, such as an access log: tallies then do not
    /// say what was cut, rather than that nothing was, and no origin is asked.
    #[must_use]
    pub fn for_recorded_requests(mut self) -> Self {
        self.connections = false;
        self.watch = self.watch.without_probes();
        self.tallies.iter_mut().for_each(TallyBuilder::without_connection_counts);
        self
    }

    /// The ids of the platforms and activities, over all reloads.
    pub const fn ids(&self) -> &Arc<Ids> {
        self.names.ids()
    }

    /// The platforms as events name them.
    pub fn platforms(&self) -> Vec<PlatformFacts> {
        self.names.facts()
    }

    /// Takes one input at the moment `now`, which is `wall` by the clock on the wall; the actions
    /// that follow from it go to `out`.
    pub fn step(&mut self, now: Time, wall: WallTime, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::Record(record) => self.observe(&record),
            Input::Probed { platform, answered } => self.watch.probed(platform, answered),
            Input::FeatureName(name) => self.names.sight(&name),
            Input::Tick(total) => self.tick(now, wall, total, out),
            Input::Silence { seconds } => self.watch.pass_silence(wall, seconds),
            Input::Reload(config) => self.reload(config, now, wall, out),
            Input::Restore(baselines) => self.restore(baselines),
            Input::Stop => self.close_tallies(wall, out),
        }
    }

    /// Takes one request's record.
    fn observe(&mut self, record: &Record) {
        self.watch.observe(record);
        if let Some(assigned) = record.assigned
            && let Some(place) = self.names.ids().platform_place(assigned.platform)
        {
            let through = record.reason == Reason::ChallengePassed
                || record.reason.verdict() == Verdict::Forward;
            self.postures[place].observe(record.source);
            self.tallies[place]
                .observe(record.source, through && record.token == TokenState::JustIssued);
        }
    }

    /// Whether nothing is unusual or engaged, so that seconds without a request change nothing but
    /// what is learnt.
    pub fn is_calm(&self) -> bool {
        self.watch.is_calm() && self.engaged().next().is_none()
    }

    /// One tick: `total` is everything that all workers have counted since they began.
    fn tick(&mut self, now: Time, wall: WallTime, total: Snapshot, out: &mut Vec<Action>) {
        self.compare_clocks(now, wall, out);
        let counts = total.since(&self.last);
        self.last = total;
        let (postures, ids) = (&self.postures, Arc::clone(self.names.ids()));
        self.seen = self.watch.evaluate(wall, &counts, |platform| {
            ids.platform_place(platform).is_some_and(|place| !postures[place].engaged.is_empty())
        });
        let mut changed = false;
        for (at, seen) in self.seen.iter().enumerate() {
            let (_, activities) = ids.at(at);
            let tick: Vec<_> = activities.iter().map(|activity| counts.of(*activity)).collect();
            let mut totals = totals(&tick, seen, wall);
            totals.second = self.postures[at].end_second(&totals);
            self.tallies[at].add(&tick, totals.second, counts.records_lost);
            let mut context = Context {
                settings: &self.config.posture,
                ordinary: self.config.limits.source,
                has_essential: self.has_essential(at),
                names: &self.names,
                now,
                wall,
                next_procedure: &mut self.next_procedure,
            };
            let mut events = Vec::new();
            changed |= self.postures[at].step(&mut context, seen, totals, &mut events);
            let busy = self.postures[at].needs_fine_tally();
            if self.tallies[at].due(wall, busy) {
                let (names, watch) = (&self.names, &self.watch);
                let tally = self.tallies[at].close(
                    names.platform(seen.platform),
                    wall,
                    busy,
                    |within| names.activity(activities[within]),
                    |within| watch.baseline_milli(activities[within], wall),
                );
                out.push(Action::Record(Event::Tallied(tally)));
            }
            out.append(&mut events);
            if seen.wants_probe {
                out.push(Action::Probe(seen.platform));
            }
        }
        if changed {
            out.push(Action::Engage(self.engaged().cloned().collect()));
        }
        let mut events = Vec::new();
        let settings = (&self.config.watch, &self.config.posture);
        let stalled = self.watch.stalled_unassigned();
        self.unassigned.tick(settings, wall, &counts.unassigned, stalled, &mut events);
        out.extend(events.into_iter().map(Action::Record));
    }

    /// Records a step of the wall clock against the monotonic one since the last tick.
    fn compare_clocks(&mut self, now: Time, wall: WallTime, out: &mut Vec<Action>) {
        let Some((last_now, last_wall)) = self.last_tick.replace((now, wall)) else { return };
        let expected = last_wall + now.since(last_now);
        let by_ms = wall.millis().cast_signed() - expected.millis().cast_signed();
        if by_ms.unsigned_abs() > CLOCK_STEP.as_millis() as u64 {
            out.push(Action::Record(Event::ClockStepped { by_ms, expected }));
        }
    }

    /// Uses a new configuration. Platforms and activities that it still has, by name, keep what was
    /// learnt, their wave and their procedures. What it no longer has ends.
    fn reload(&mut self, config: Arc<Config>, now: Time, wall: WallTime, out: &mut Vec<Action>) {
        self.close_tallies(wall, out);
        let ids = Arc::new(self.names.ids().reloaded(&config));
        let old = core::mem::take(&mut self.postures);
        self.adopt(old, &ids, now, wall, out);
        self.seen.clear();
        self.watch.reload(&config, Arc::clone(&ids));
        self.tallies = tallies(&ids, wall, self.connections);
        self.names.reload(Arc::clone(&config), ids);
        self.config = config;
        out.push(Action::Engage(self.engaged().cloned().collect()));
    }

    /// Continues with these postures on the platforms of `ids`. What is no longer configured ends.
    fn adopt(
        &mut self,
        mut old: Vec<PlatformPosture>,
        ids: &Ids,
        now: Time,
        wall: WallTime,
        out: &mut Vec<Action>,
    ) {
        let context = Context {
            settings: &self.config.posture,
            ordinary: self.config.limits.source,
            has_essential: false,
            names: &self.names,
            now,
            wall,
            next_procedure: &mut self.next_procedure,
        };
        for posture in &mut old {
            if ids.platform_place(posture.id).is_some() {
                posture.release_without_activity(&context, ids, out);
            } else {
                posture.end(&context, out);
                self.earlier_waves.insert(context.names.platform(posture.id), posture.waves());
            }
        }
        let next = ids.platforms().map(|(id, _)| {
            if let Some(at) = old.iter().position(|posture| posture.id == id) {
                return old.swap_remove(at);
            }
            let waves = self.earlier_waves.remove(ids.platform_name(id));
            PlatformPosture::new(id, waves.unwrap_or(0))
        });
        self.postures = next.collect();
    }

    /// What has been learnt of every activity, to be saved for a restart.
    pub fn baselines(&self) -> Vec<SavedBaseline> {
        let saved = |(activity, baseline): (_, &Baseline)| {
            let (platform, activity) = self.names.full_name(activity);
            SavedBaseline { platform, activity, baseline: baseline.clone() }
        };
        self.watch.baselines().map(saved).collect()
    }

    /// Puts back what was learnt earlier of activities that still exist by name.
    fn restore(&mut self, learnt: Vec<SavedBaseline>) {
        for SavedBaseline { platform, activity, baseline } in learnt {
            if let Some(activity) = self.names.find(&platform, &activity) {
                self.watch.restore(activity, baseline);
            }
        }
    }

    /// Closes every tally.
    fn close_tallies(&mut self, wall: WallTime, out: &mut Vec<Action>) {
        let (names, watch) = (&self.names, &self.watch);
        for (tally, (platform, activities)) in self.tallies.iter_mut().zip(names.ids().platforms())
        {
            let tally = tally.close(
                names.platform(platform),
                wall,
                false,
                |within| names.activity(activities[within]),
                |within| watch.baseline_milli(activities[within], wall),
            );
            out.push(Action::Record(Event::Tallied(tally)));
        }
        let mut events = Vec::new();
        self.unassigned.close_tally(wall, &mut events);
        out.extend(events.into_iter().map(Action::Record));
    }

    fn has_essential(&self, platform: usize) -> bool {
        self.config.platforms[platform].activities.iter().any(|a| a.tier == Tier::Essential)
    }

    /// Every procedure that is engaged now.
    pub fn engaged(&self) -> impl Iterator<Item = &Procedure> {
        self.postures.iter().flat_map(|p| p.engaged.iter().map(|e| &e.procedure))
    }

    /// What an operator wants to see of each platform.
    pub fn view(&self, now: Time) -> Vec<PlatformView> {
        self.postures
            .iter()
            .enumerate()
            .map(|(at, posture)| {
                let seen = self.seen.get(at);
                PlatformView {
                    name: self.names.platform(posture.id),
                    posture: posture.posture,
                    wave: posture.wave_number(),
                    offered_per_second: seen.map_or(0, |s| s.offered_per_second),
                    forwarded_per_second: seen.map_or(0, |s| s.forwarded_per_second),
                    baseline_milli: seen.map_or(0, |s| s.baseline_milli),
                    over: seen.map_or_else(Vec::new, |s| self.names.activities(&s.over_baseline)),
                    evidence: seen.map_or_else(Vec::new, |s| {
                        s.evidence.iter().map(|e| e.summary.clone()).collect()
                    }),
                    degradation: seen.and_then(|s| Some(s.degradation.as_ref()?.summary.clone())),
                    origin_down_since: seen.and_then(|s| Some(s.outage.as_ref()?.since)),
                    procedures: posture
                        .engaged
                        .iter()
                        .map(|e| self.procedure_view(e, now))
                        .collect(),
                }
            })
            .collect()
    }

    fn procedure_view(&self, engaged: &EngagedProcedure, now: Time) -> ProcedureView {
        let procedure = &engaged.procedure;
        ProcedureView {
            id: procedure.id.0.get(),
            measure: procedure.measure.as_str(),
            summary: self.names.measure(&procedure.measure),
            activity: procedure.scope.activity.map(|activity| self.names.activity(activity)),
            reason: procedure.reason.clone(),
            engaged: procedure.engaged,
            expires_in_seconds: procedure.expires.since(now).as_secs(),
            stopped: engaged.effect.stopped,
            delayed: engaged.cost.delayed,
            refused_with_token: engaged.cost.refused_with_token,
            collateral_per_million: engaged.cost.collateral_per_million,
        }
    }
}

/// A new tally for each platform, from now.
fn tallies(ids: &Ids, wall: WallTime, connections: bool) -> Vec<TallyBuilder> {
    ids.platforms()
        .map(|(_, activities)| TallyBuilder::new(wall, activities.len(), connections))
        .collect()
}

fn totals(tick: &[ActivityCounts], seen: &Observation, wall: WallTime) -> TickTotals {
    let mut totals = TickTotals {
        wall,
        stalled_headers: seen.stalled_headers.unwrap_or(0),
        ..TickTotals::default()
    };
    for counts in tick {
        totals.offered += counts.offered();
        totals.forwarded += by_verdict(counts, Verdict::Forward);
        totals.redirects += counts.reason(Reason::ChallengePassed);
    }
    // A visitor who answers a challenge asks once: the challenge is the gate's, and so is the redirect to the
    // address without the token, which only pages get.
    totals.redirects += seen.answered.max(totals.redirects);
    totals
}
