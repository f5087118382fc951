//! One platform's posture: waves, procedures, the way down and full speed.

use core::num::NonZeroU32;

use portcullis_model::{
    ChallengeKind, Cost, Effect, Event, EvidenceKind, Measure, PlatformId, Posture,
    PostureSettings, Procedure, ProcedureFacts, ProcedureId, SourceLimits, Tier, Time, WallTime,
};
use portcullis_watch::{Observation, ProcedureCounts, TrafficState};

use crate::action::Action;
use crate::ladder::{self, ActiveRungs, PlannedProcedure, Tightened};
use crate::names::NameTable;
use crate::wave::{MitigationState, TickTotals, Wave};

/// Signatures engaged at the same time on one platform: each costs every request a comparison.
const SIGNATURES: usize = 8;
/// Ticks that a step of the ladder is given to show its effect before the next is taken.
const DWELL_TICKS: u32 = 3;
/// Ticks in a row that turn "mitigated" on or off.
const TURN_TICKS: u8 = 2;
/// Ticks of strain before anything is done for it: two seconds, the window it is judged in.
const STRAIN_TICKS: u32 = 8;
/// Ticks without saturation after which shedding ends: a second.
const EASED_TICKS: u32 = 4;
/// Ticks in a row of surge without an attack before it is called one: a second.
const SURGE_TICKS: u32 = 4;
/// Ticks of counts kept to look back at a wave's onset: four seconds.
const LOOK_BACK: usize = 16;

/// A procedure with what it has done so far.
#[derive(Debug)]
pub(crate) struct EngagedProcedure {
    pub procedure: Procedure,
    pub effect: Effect,
    pub cost: Cost,
}

/// What a step needs to know besides the observation.
pub(crate) struct Context<'a> {
    pub settings: &'a PostureSettings,
    /// Limits on each source on an ordinary day.
    pub ordinary: SourceLimits,
    /// Whether the platform has activities above important ones, so that shedding these leaves
    /// something.
    pub has_essential: bool,
    pub names: &'a NameTable,
    pub now: Time,
    pub wall: WallTime,
    /// The next unused procedure number.
    pub next_procedure: &'a mut NonZeroU32,
}

/// One platform.
#[derive(Debug)]
pub(crate) struct PlatformPosture {
    id: PlatformId,
    pub posture: Posture,
    pub engaged: Vec<EngagedProcedure>,
    pub wave: Option<Wave>,
    waves: u32,
    recent: Vec<TickTotals>,
    ticks_since_step: u32,
    last_step: Option<Time>,
    strained_ticks: u32,
    strained: bool,
    eased_ticks: u32,
    surge_ticks: u32,
    surging: bool,
    relaxed_at: Time,
    /// Since when nothing is engaged and everything is within its baseline.
    calm_since: Option<(Time, WallTime)>,
    /// Whether full speed is owed: something was engaged, attacked or strained since the last.
    full_speed_pending: bool,
    dirty: bool,
}

impl PlatformPosture {
    pub(crate) fn new(id: PlatformId, waves: u32) -> Self {
        Self {
            id,
            posture: Posture::Open,
            engaged: Vec::new(),
            wave: None,
            waves,
            recent: Vec::with_capacity(LOOK_BACK),
            ticks_since_step: 0,
            last_step: None,
            strained_ticks: 0,
            strained: false,
            eased_ticks: 0,
            surge_ticks: 0,
            surging: false,
            relaxed_at: Time(0),
            calm_since: None,
            full_speed_pending: false,
            dirty: false,
        }
    }

    pub(crate) fn renumbered(self, id: PlatformId) -> Self {
        Self { id, ..self }
    }

    /// Whether each second is worth writing down.
    pub(crate) fn needs_fine_tally(&self) -> bool {
        self.wave.is_some() || self.surging || !self.engaged.is_empty() || self.full_speed_pending
    }

    /// One tick. Events go to `out`; returns whether the engaged procedures changed.
    pub(crate) fn step(
        &mut self,
        context: &mut Context<'_>,
        seen: &Observation,
        tick: TickTotals,
        out: &mut Vec<Action>,
    ) -> bool {
        self.dirty = false;
        self.ticks_since_step = self.ticks_since_step.saturating_add(1);
        self.measure(&seen.procedures, tick.offered);
        self.note_strain(context, seen, out);
        self.note_surge(context, seen, out);
        match seen.judgement {
            TrafficState::Attack => self.under_attack(context, seen, out),
            TrafficState::Surge | TrafficState::Normal => self.without_attack(context, seen, out),
        }
        self.keep_look_back(tick);
        self.stop_shedding(context, seen, out);
        self.expire(context, out);
        self.note_posture(context, seen, out);
        self.note_full_speed(context, seen, out);
        self.dirty
    }

    fn measure(&mut self, counts: &[ProcedureCounts], offered: u64) {
        for engaged in &mut self.engaged {
            engaged.effect.seen += offered;
            let Some(c) = counts.iter().find(|c| c.id == engaged.procedure.id) else {
                continue;
            };
            let challenged = matches!(engaged.procedure.measure, Measure::Challenge(_));
            engaged.effect.stopped = (engaged.effect.stopped + c.stopped)
                .saturating_sub(if challenged { c.answered } else { 0 });
            engaged.cost.delayed += c.answered;
            engaged.cost.refused_with_token += c.with_token;
        }
    }

    fn under_attack(
        &mut self,
        context: &mut Context<'_>,
        seen: &Observation,
        out: &mut Vec<Action>,
    ) {
        if self.wave.is_none() {
            self.begin_wave(context, seen, out);
        } else {
            self.note_change(context, seen, out);
        }
        if let Some(wave) = &mut self.wave {
            wave.last_hostile = context.now;
        }
        self.surging = false;
        self.full_speed_pending = true;
        self.calm_since = None;
        self.update_mitigation(context, seen, out);
        let rungs = self.rungs(context.ordinary);
        if let Some(step) = ladder::tighten(context.settings, context.ordinary, seen, rungs) {
            self.engage(context, step, out);
            // It holds back single sources; what to do about all of them together is decided now.
            self.ticks_since_step = u32::MAX;
        }
        // Overload is seen immediately; strain lingers in its two-second window.
        let pressing = !seen.overloading.is_empty() && self.ticks_since_step >= DWELL_TICKS;
        let straining =
            self.strained_ticks >= STRAIN_TICKS && self.ticks_since_step >= STRAIN_TICKS;
        if pressing || straining {
            let seen = self.without_repeated_candidate(seen);
            if let Some(step) = ladder::next_for_attack(context.settings, &seen, rungs)
                && bearable(&step, context)
            {
                self.engage(context, step, out);
            }
        }
        self.renew(context);
    }

    /// A candidate that is already engaged has had its chance.
    fn without_repeated_candidate(&self, seen: &Observation) -> Observation {
        let mut seen = seen.clone();
        let signatures = || {
            self.engaged.iter().filter_map(|e| match &e.procedure.measure {
                Measure::RefuseSignature(signature) => Some(signature),
                _ => None,
            })
        };
        let full = signatures().count() >= SIGNATURES;
        if seen.candidate.as_ref().is_some_and(|c| full || signatures().any(|s| *s == c.signature))
        {
            seen.candidate = None;
        }
        seen
    }

    fn begin_wave(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        self.waves += 1;
        let onset = seen.onset.unwrap_or(context.wall);
        let mut wave = Wave::new(self.waves, onset, context.now);
        for tick in self.recent.iter().filter(|tick| tick.wall > onset) {
            wave.count(tick);
        }
        let (evidence, _) = wave.note(&seen.evidence, &seen.over_baseline);
        out.push(Action::Record(Event::AttackBegan {
            wave: self.waves,
            platform: context.names.platform(self.id),
            activities: context.names.activities(&seen.over_baseline),
            onset,
            evidence,
            baseline_milli: seen.baseline_milli,
        }));
        self.wave = Some(wave);
    }

    fn note_change(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        let Some(wave) = &mut self.wave else { return };
        let (mut evidence, new_activities) = wave.note(&seen.evidence, &seen.over_baseline);
        // That challenges go unanswered follows from our challenging, not from a change of theirs.
        evidence.retain(|e| e.kind != EvidenceKind::UnansweredChallenges);
        if evidence.is_empty() && !new_activities {
            return;
        }
        wave.changed();
        out.push(Action::Record(Event::AttackChanged {
            wave: wave.number,
            platform: context.names.platform(self.id),
            activities: context.names.activities(&wave.activities()),
            evidence,
            since_procedure_change_ms: self
                .last_step
                .map(|step| context.now.since(step).as_millis() as u64),
        }));
    }

    /// Records when the load of the origin comes back within its capacity, and when it exceeds it.
    fn update_mitigation(
        &mut self,
        context: &Context<'_>,
        seen: &Observation,
        out: &mut Vec<Action>,
    ) {
        let holding =
            seen.overloading.is_empty() && seen.strain.is_none() && seen.stalled_headers.is_none();
        let Some(wave) = &mut self.wave else { return };
        let turned = match wave.hold {
            MitigationState::Unmitigated(_) => holding,
            MitigationState::Mitigated => !holding,
        };
        wave.turning = if turned { wave.turning + 1 } else { 0 };
        if wave.turning < TURN_TICKS {
            return;
        }
        wave.turning = 0;
        let platform = context.names.platform(self.id);
        let number = wave.number;
        let event = match wave.hold {
            MitigationState::Unmitigated(since) => {
                wave.hold = MitigationState::Mitigated;
                let after_ms = context.wall.since(since).as_millis() as u64;
                Event::Mitigated { wave: number, platform, after_ms }
            }
            MitigationState::Mitigated => {
                wave.hold = MitigationState::Unmitigated(context.wall);
                Event::MitigationLost { wave: number, platform }
            }
        };
        out.push(Action::Record(event));
    }

    fn without_attack(
        &mut self,
        context: &mut Context<'_>,
        seen: &Observation,
        out: &mut Vec<Action>,
    ) {
        if self.wave.is_some() {
            self.update_mitigation(context, seen, out);
        }
        let over = self.wave.as_ref().is_some_and(|wave| {
            context.now.since(wave.last_hostile) >= context.settings.quiet_period
        });
        if over && let Some(wave) = self.wave.take() {
            out.push(Action::Record(Event::AttackEnded {
                wave: wave.number,
                platform: context.names.platform(self.id),
                figures: wave.figures(),
            }));
            self.relaxed_at = context.now;
        }
        // People alone can drown an origin too.
        let long_strained = self.strained_ticks >= STRAIN_TICKS;
        if long_strained && self.ticks_since_step >= STRAIN_TICKS {
            if let Some(step) = ladder::next_for_overload(seen, self.rungs(context.ordinary)) {
                self.full_speed_pending = true;
                self.engage(context, step, out);
            }
        } else if self.wave.is_none() && !ladder::saturated(seen) {
            self.step_down(context, out);
        }
    }

    /// No visitor is refused for lack of capacity while there is capacity: shedding ends a second
    /// after the origin has caught up, attack or not.
    fn stop_shedding(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        self.eased_ticks =
            if ladder::saturated(seen) { 0 } else { self.eased_ticks.saturating_add(1) };
        let shed = |e: &EngagedProcedure| matches!(e.procedure.measure, Measure::Shed(_));
        if self.eased_ticks >= EASED_TICKS
            && let Some(at) = self.engaged.iter().position(shed)
        {
            self.release(context, at, "the origin has caught up", out);
        }
    }

    /// Releases the procedure that people feel most, one at a time.
    fn step_down(&mut self, context: &Context<'_>, out: &mut Vec<Action>) {
        if self.engaged.is_empty()
            || context.now.since(self.relaxed_at) < context.settings.step_down_interval
        {
            return;
        }
        let felt = |e: &EngagedProcedure| match &e.procedure.measure {
            Measure::Shed(Tier::Essential) => 6,
            Measure::Shed(Tier::Important) => 5,
            Measure::Shed(Tier::Optional) => 4,
            Measure::Challenge(ChallengeKind::WaitPage) => 3,
            Measure::Challenge(ChallengeKind::Redirect) => 2,
            Measure::RefuseSignature(_) => 1,
            Measure::TightenSources { .. } => 0,
        };
        let most = (0..self.engaged.len()).max_by_key(|at| felt(&self.engaged[*at]));
        if let Some(at) = most {
            self.release(context, at, "it is no longer needed", out);
            self.relaxed_at = context.now;
        }
    }

    fn engage(&mut self, context: &mut Context<'_>, step: PlannedProcedure, out: &mut Vec<Action>) {
        // A stronger measure takes the place of the weaker one of its kind.
        let replaced = self.engaged.iter().position(|e| {
            matches!(
                (&e.procedure.measure, &step.measure),
                (Measure::Challenge(_), Measure::Challenge(_))
                    | (Measure::Shed(_), Measure::Shed(_))
                    | (Measure::TightenSources { .. }, Measure::TightenSources { .. })
            )
        });
        let id = ProcedureId(*context.next_procedure);
        *context.next_procedure = context.next_procedure.saturating_add(1);
        let expiry = context.settings.procedure_ttl;
        out.push(Action::Record(Event::ProcedureEngaged(ProcedureFacts {
            id,
            platform: context.names.platform(self.id),
            activity: step.scope.activity.map(|activity| context.names.activity(activity)),
            measure: step.measure.as_str().to_owned(),
            summary: context.names.measure(&step.measure),
            reason: step.reason.clone(),
            expires: context.wall + expiry,
            collateral_per_million: step.collateral_per_million,
        })));
        if let Some(at) = replaced {
            self.release(context, at, "a stronger measure takes its place", out);
        }
        self.engaged.push(EngagedProcedure {
            procedure: Procedure {
                id,
                scope: step.scope,
                measure: step.measure,
                reason: step.reason,
                engaged: context.wall,
                expires: context.now + expiry,
            },
            effect: Effect::default(),
            cost: Cost {
                collateral_per_million: step.collateral_per_million.unwrap_or(0),
                ..Cost::default()
            },
        });
        self.ticks_since_step = 0;
        self.last_step = Some(context.now);
        self.relaxed_at = context.now;
        self.calm_since = None;
        self.dirty = true;
    }

    fn release(&mut self, context: &Context<'_>, at: usize, reason: &str, out: &mut Vec<Action>) {
        let engaged = self.engaged.remove(at);
        out.push(Action::Record(Event::ProcedureReleased {
            id: engaged.procedure.id,
            platform: context.names.platform(self.id),
            reason: reason.to_owned(),
            effect: engaged.effect,
            cost: engaged.cost,
        }));
        self.dirty = true;
    }

    /// Ends everything here, because a new configuration changed the platform; returns what the
    /// platform begins with then.
    pub(crate) fn release_all(&mut self, context: &Context<'_>, out: &mut Vec<Action>) -> Self {
        let mut next = Self::new(self.id, self.waves);
        next.full_speed_pending = self.needs_fine_tally();
        if let Some(wave) = self.wave.take() {
            out.push(Action::Record(Event::AttackEnded {
                wave: wave.number,
                platform: context.names.platform(self.id),
                figures: wave.figures(),
            }));
        }
        while !self.engaged.is_empty() {
            self.release(context, 0, "the configuration of the platform changed", out);
        }
        if self.posture != next.posture {
            out.push(Action::Record(Event::PostureChanged {
                platform: context.names.platform(self.id),
                from: self.posture,
                to: next.posture,
                reason: "the configuration of the platform changed".to_owned(),
            }));
        }
        next
    }

    /// During the attack, engaged procedures stay engaged.
    fn renew(&mut self, context: &Context<'_>) {
        let expiry = context.settings.procedure_ttl;
        for engaged in &mut self.engaged {
            if engaged.procedure.expires < context.now + expiry / 2 {
                engaged.procedure.expires = context.now + expiry;
                self.dirty = true;
            }
        }
    }

    fn expire(&mut self, context: &Context<'_>, out: &mut Vec<Action>) {
        while let Some(at) = self.engaged.iter().position(|e| e.procedure.expires <= context.now) {
            self.release(context, at, "it expired", out);
        }
    }

    fn rungs(&self, ordinary: SourceLimits) -> ActiveRungs {
        let mut rungs = ActiveRungs::default();
        for engaged in &self.engaged {
            match &engaged.procedure.measure {
                Measure::TightenSources { limits, .. } => {
                    let cut = limits.connections < ordinary.connections;
                    let kind = if cut { Tightened::Connections } else { Tightened::Rate };
                    rungs.tightened = Some(kind);
                }
                Measure::Challenge(kind) => rungs.challenge = Some(*kind),
                Measure::Shed(tier) => rungs.shed = Some(*tier),
                Measure::RefuseSignature(_) => {}
            }
        }
        rungs
    }

    fn note_strain(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        let platform = || context.names.platform(self.id);
        let saturated = ladder::saturated(seen);
        self.strained_ticks = if saturated { self.strained_ticks.saturating_add(1) } else { 0 };
        if let Some(strain) = &seen.strain {
            if !self.strained {
                self.strained = true;
                let says = strain.says.clone();
                out.push(Action::Record(Event::OriginDegraded {
                    platform: platform(),
                    summary: says,
                }));
            }
        } else if self.strained {
            self.strained = false;
            out.push(Action::Record(Event::OriginRecovered { platform: platform() }));
        }
    }

    fn note_surge(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        let surge = seen.judgement == TrafficState::Surge;
        self.surge_ticks = match (surge, surge == self.surging) {
            (_, true) => 0,
            (_, false) => self.surge_ticks + 1,
        };
        if self.surge_ticks < SURGE_TICKS || self.wave.is_some() {
            return;
        }
        self.surge_ticks = 0;
        self.surging = surge;
        let platform = context.names.platform(self.id);
        out.push(Action::Record(if surge {
            Event::SurgeBegan {
                platform,
                activities: context.names.activities(&seen.over_baseline),
                per_second: seen.offered_per_second,
                baseline_milli: seen.baseline_milli,
            }
        } else {
            Event::SurgeEnded { platform }
        }));
    }

    fn keep_look_back(&mut self, tick: TickTotals) {
        if let Some(wave) = &mut self.wave {
            wave.count(&tick);
        }
        if self.recent.len() >= LOOK_BACK {
            self.recent.remove(0);
        }
        self.recent.push(tick);
    }

    fn note_posture(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        let rungs = self.rungs(context.ordinary);
        let (to, reason) = if rungs.challenge.is_some() || rungs.shed.is_some() {
            (Posture::Siege, "visitors are challenged or activities shed")
        } else if self.wave.is_some() {
            (Posture::Guarded, "an attack is met by narrow procedures")
        } else if self.surging || !self.engaged.is_empty() || self.full_speed_pending {
            (Posture::Watchful, "traffic is unusual, or an attack is just over")
        } else {
            (Posture::Open, "all is as usual")
        };
        if to != self.posture {
            out.push(Action::Record(Event::PostureChanged {
                platform: context.names.platform(seen.platform),
                from: self.posture,
                to,
                reason: reason.to_owned(),
            }));
            self.posture = to;
        }
    }

    fn note_full_speed(
        &mut self,
        context: &Context<'_>,
        seen: &Observation,
        out: &mut Vec<Action>,
    ) {
        let calm = self.engaged.is_empty()
            && self.wave.is_none()
            && seen.judgement == TrafficState::Normal
            && seen.over_baseline.is_empty()
            && seen.strain.is_none();
        if !calm || !self.full_speed_pending {
            self.calm_since = None;
            return;
        }
        let (since, wall) = *self.calm_since.get_or_insert((context.now, context.wall));
        let held = context.now.since(since);
        if held >= context.settings.full_speed_after {
            out.push(Action::Record(Event::FullSpeed {
                platform: context.names.platform(self.id),
                since: wall,
                duration_ms: held.as_millis() as u64,
            }));
            self.full_speed_pending = false;
            self.calm_since = None;
        }
    }
}

/// Important activities are only shed where something more important is left to serve.
fn bearable(step: &PlannedProcedure, context: &Context<'_>) -> bool {
    !matches!(step.measure, Measure::Shed(Tier::Important)) || context.has_essential
}
