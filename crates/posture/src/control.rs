//! The one control loop.

use core::num::NonZeroU32;
use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_model::{
    ActivityCounts, ActivityId, Config, Event, PlatformFacts, PlatformId, Procedure, Reason,
    Record, Snapshot, Tier, Time, TokenState, Verdict, WallTime,
};
use portcullis_watch::{Observation, Watch};

use crate::action::Action;
use crate::engaged::EngagedProcedure;
use crate::input::{Input, SavedBaseline};
use crate::names::NameTable;
use crate::platform::{Context, PlatformPosture};
use crate::resume::Resume;
use crate::tally::{TallyBuilder, by_verdict};
use crate::view::{PlatformView, ProcedureView};
use crate::wave::TickTotals;

/// The loop: watch, posture and tallies of every platform.
#[derive(Debug)]
pub struct Control {
    config: Arc<Config>,
    names: NameTable,
    watch: Watch,
    postures: Vec<PlatformPosture>,
    tallies: Vec<TallyBuilder>,
    seen: Vec<Observation>,
    next_procedure: NonZeroU32,
    last: Snapshot,
    /// Whether connections are seen.
    connections: bool,
}

impl Control {
    /// A loop that has seen nothing yet.
    pub fn new(config: Arc<Config>, wall: WallTime, resume: &Resume) -> Self {
        let names = NameTable::new(Arc::clone(&config));
        let postures = config
            .platforms
            .iter()
            .enumerate()
            .map(|(at, platform)| {
                let waves = resume.waves.get(&platform.name).copied().unwrap_or(0);
                PlatformPosture::new(PlatformId(at as u16), waves)
            })
            .collect();
        let tallies = config
            .platforms
            .iter()
            .map(|platform| TallyBuilder::new(wall, platform.activities.len(), true))
            .collect();
        Self {
            watch: Watch::new(&config),
            names,
            postures,
            tallies,
            seen: Vec::new(),
            next_procedure: NonZeroU32::MIN.saturating_add(resume.procedures),
            last: Snapshot::default(),
            connections: true,
            config,
        }
    }

    /// For a source of requests without connections, such as an access log: tallies then do not
    /// say what was cut, rather than that nothing was.
    #[must_use]
    pub fn without_connection_counts(mut self) -> Self {
        self.connections = false;
        self.tallies.iter_mut().for_each(TallyBuilder::without_connection_counts);
        self
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
            Input::FeatureName(name) => self.names.sight(&name),
            Input::Tick(total) => self.tick(now, wall, total, out),
            Input::Reload(config) => self.reload(config, now, wall, out),
            Input::Restore(baselines) => self.restore(baselines),
            Input::Stop => self.close_tallies(wall, out),
        }
    }

    /// Takes one request's record.
    fn observe(&mut self, record: &Record) {
        self.watch.observe(record);
        if record.reason != Reason::UnknownHost
            && let Some(tally) = self.tallies.get_mut(usize::from(record.platform.0))
        {
            let through = record.reason == Reason::ChallengePassed
                || record.reason.verdict() == Verdict::Forward;
            tally.observe(record.source, through && record.token == TokenState::JustIssued);
        }
    }

    /// One tick: `total` is everything that all workers have counted since they began.
    fn tick(&mut self, now: Time, wall: WallTime, total: Snapshot, out: &mut Vec<Action>) {
        let counts = total.since(&self.last);
        self.last = total;
        let postures = &self.postures;
        self.seen = self.watch.evaluate(wall, &counts, |platform| {
            postures.get(usize::from(platform.0)).is_some_and(|p| !p.engaged.is_empty())
        });
        let mut changed = false;
        for seen in &self.seen {
            let at = usize::from(seen.platform.0);
            let activities: Vec<ActivityId> = self.names.activities_of(seen.platform).collect();
            let tick = counts_of(&counts, &activities);
            self.tallies[at].add(&tick, counts.records_lost);
            let totals = totals(&tick, seen, wall);
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
        }
        if changed {
            out.push(Action::Engage(self.engaged().cloned().collect()));
        }
    }

    /// Goes over to a new configuration. Baselines stay with activities of the same name;
    /// procedures and waves stay with platforms whose activities are unchanged, and are released
    /// on the others.
    fn reload(&mut self, config: Arc<Config>, now: Time, wall: WallTime, out: &mut Vec<Action>) {
        self.close_tallies(wall, out);
        let resume = Resume { procedures: self.next_procedure.get() - 1, waves: BTreeMap::new() };
        let mut next = Self::new(config, wall, &resume);
        if !self.connections {
            next = next.without_connection_counts();
        }
        let mut old = core::mem::replace(self, next);
        self.last = core::mem::take(&mut old.last);
        let unchanged = |platform| {
            let list =
                |names: &NameTable| (names.list(platform), names.activities_of(platform).next());
            list(&old.names) == list(&self.names)
        };
        for at in 0..old.postures.len() {
            let platform = PlatformId(at as u16);
            if unchanged(platform) {
                core::mem::swap(&mut self.postures[at], &mut old.postures[at]);
                continue;
            }
            let context = Context {
                settings: &old.config.posture,
                ordinary: old.config.limits.source,
                has_essential: false,
                names: &old.names,
                now,
                wall,
                next_procedure: &mut self.next_procedure,
            };
            let next = old.postures[at].release_all(&context, out);
            let name = old.names.platform(platform);
            let stays = (0..self.postures.len())
                .find(|at| self.names.platform(PlatformId(*at as u16)) == name);
            if let Some(stays) = stays {
                self.postures[stays] = next.renumbered(PlatformId(stays as u16));
            }
        }
        self.watch.carry_over(&mut old.watch, unchanged);
        self.restore(old.baselines());
        out.push(Action::Engage(self.engaged().cloned().collect()));
    }

    /// What has been learnt of every activity, to be kept over a restart.
    pub fn baselines(&self) -> Vec<SavedBaseline> {
        let names = self.names.everything().into_iter();
        names
            .zip(self.watch.baselines())
            .map(|((platform, activity), baseline)| SavedBaseline {
                platform,
                activity,
                baseline: baseline.clone(),
            })
            .collect()
    }

    /// Puts back what was learnt earlier of activities that still exist by name.
    fn restore(&mut self, learnt: Vec<SavedBaseline>) {
        let names = self.names.everything();
        for SavedBaseline { platform, activity, baseline } in learnt {
            let named = (platform, activity);
            if let Some(at) = names.iter().position(|name| *name == named) {
                self.watch.restore(ActivityId(at as u16), baseline);
            }
        }
    }

    /// Closes every tally.
    fn close_tallies(&mut self, wall: WallTime, out: &mut Vec<Action>) {
        for at in 0..self.tallies.len() {
            let platform = PlatformId(at as u16);
            let activities: Vec<ActivityId> = self.names.activities_of(platform).collect();
            let (names, watch) = (&self.names, &self.watch);
            let tally = self.tallies[at].close(
                names.platform(platform),
                wall,
                false,
                |within| names.activity(activities[within]),
                |within| watch.baseline_milli(activities[within], wall),
            );
            out.push(Action::Record(Event::Tallied(tally)));
        }
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
                    name: self.names.platform(PlatformId(at as u16)),
                    posture: posture.posture,
                    wave: posture.wave_number(),
                    offered_per_second: seen.map_or(0, |s| s.offered_per_second),
                    forwarded_per_second: seen.map_or(0, |s| s.forwarded_per_second),
                    baseline_milli: seen.map_or(0, |s| s.baseline_milli),
                    over: seen.map_or_else(Vec::new, |s| self.names.activities(&s.over_baseline)),
                    evidence: seen.map_or_else(Vec::new, |s| {
                        s.evidence.iter().map(|e| e.summary.clone()).collect()
                    }),
                    strain: seen.and_then(|s| s.strain.as_ref().map(|strain| strain.says.clone())),
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
            says: self.names.measure(&procedure.measure),
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

fn counts_of(counts: &Snapshot, activities: &[ActivityId]) -> Vec<ActivityCounts> {
    activities
        .iter()
        .map(|id| counts.activities.get(usize::from(id.0)).cloned().unwrap_or_default())
        .collect()
}

fn totals(tick: &[ActivityCounts], seen: &Observation, wall: WallTime) -> TickTotals {
    let mut totals = TickTotals {
        wall,
        sources: seen.sources,
        stalled_headers: seen.stalled_headers.unwrap_or(0),
        ..TickTotals::default()
    };
    let mut answered = 0;
    for counts in tick {
        totals.offered += counts.offered();
        totals.forwarded += by_verdict(counts, Verdict::Forward);
        totals.stopped += counts.offered() - by_verdict(counts, Verdict::Forward);
        answered += counts.reason(Reason::ChallengePassed);
    }
    totals.stopped = totals.stopped.saturating_sub(answered);
    totals
}
