//! One platform's posture: waves, procedures, the way down and full speed.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::VecDeque;

use portcullis_model::{
    Event, EvidenceKind, Ids, Measure, PlatformId, Posture, PostureSettings, Procedure,
    ProcedureFacts, ProcedureId, Scope, Signature, SourceKey, SourceLimits, Tier, Time, WallTime,
};
use portcullis_watch::{Observation, SourceSketch, TrafficState};
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::engaged::{EngagedList, EngagedProcedure};
use crate::ladder::{self, PlannedProcedure};
use crate::names::NameTable;
use crate::origin_state::OriginState;
use crate::second::{SecondMeter, SecondTotals, TickTotals};
use crate::wave::{MitigationState, Wave};

/// Signatures engaged at the same time on one platform: each costs every request a comparison.
const SIGNATURES: usize = 8;
/// Ticks that a step of the ladder is given to show its effect before the next is taken.
const DWELL_TICKS: u32 = 3;
/// Ticks in a row that turn "mitigated" on or off.
const TURN_TICKS: u8 = 2;
/// The same for a step that a saturated origin asks for: two seconds, the window in which it is
/// judged.
const RELIEF_DWELL_TICKS: u32 = 8;
/// Ticks in a row of surge without an attack before it is called one: a second.
const SURGE_TICKS: u32 = 4;
/// Ticks in a row without it before the surge is over: two minutes. A crowd comes and goes, and is
/// one crowd.
const SURGE_END_TICKS: u32 = 480;
/// How long the watch's windows of two seconds need to fill after a takeover.
const SETTLING: Duration = Duration::from_secs(3);
/// Seconds with requests whose counts are stored to look back at a wave's onset: the longest window in which
/// an excess is looked for is 68 minutes.
const LOOK_BACK_SECONDS: usize = 4_200;
/// Stretches of a minute whose sources are stored for the same.
const LOOK_BACK_MINUTES: usize = 70;

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

/// The phase of a platform's traffic, as the ledger records it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum TrafficPhase {
    /// Neither a surge nor a wave.
    Ordinary,
    /// A surge without evidence of an attack.
    Surging,
    /// A wave of attack. It ends only after a quiet period.
    Attacked(Wave),
}

/// Whether visitors have full speed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum VisitorSpeed {
    /// Nothing was engaged or attacked since full speed was last recorded.
    Full,
    /// Something was. Full speed is recorded once the platform has been calm for long enough.
    Reduced {
        /// Since when nothing is engaged and everything is within its baseline.
        calm_since: Option<(Time, WallTime)>,
    },
}

/// One platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlatformPosture {
    pub id: PlatformId,
    pub posture: Posture,
    pub engaged: EngagedList,
    phase: TrafficPhase,
    speed: VisitorSpeed,
    origin: OriginState,
    /// The number of the last wave.
    waves: u32,
    seconds: SecondMeter,
    /// The last seconds with requests; the newest may be in the making.
    #[serde(skip)]
    recent: VecDeque<TickTotals>,
    #[serde(skip)]
    second_sources: SourceSketch,
    /// The sources of the last minutes, each with its end.
    #[serde(skip)]
    recent_sources: VecDeque<(WallTime, SourceSketch)>,
    /// Ticks in a row whose judgement differs from the phase, as to a surge.
    surge_ticks: u32,
    ticks_since_step: u32,
    last_step: Option<Time>,
    relaxed_at: Time,
    /// From when on the absence of a load says something: after a takeover the watch's windows are empty.
    settled_at: Time,
}

impl PlatformPosture {
    pub(crate) fn new(id: PlatformId, waves: u32) -> Self {
        Self {
            id,
            posture: Posture::Open,
            engaged: EngagedList::default(),
            phase: TrafficPhase::Ordinary,
            speed: VisitorSpeed::Full,
            origin: OriginState::new(),
            waves,
            seconds: SecondMeter::default(),
            recent: VecDeque::new(),
            second_sources: SourceSketch::default(),
            recent_sources: VecDeque::new(),
            surge_ticks: 0,
            ticks_since_step: 0,
            last_step: None,
            relaxed_at: Time(0),
            settled_at: Time(0),
        }
    }

    /// Continues after a takeover. The watch must see again what lasts: the time without an attack, and
    /// the calm before full speed, begin again, so that nothing ends earlier than it would have.
    pub(crate) fn settle(&mut self, now: Time) {
        self.settled_at = now + SETTLING;
        self.relaxed_at = now;
        if let Some(wave) = self.wave_mut() {
            wave.last_hostile = now;
            wave.turning = 0;
        }
        if let VisitorSpeed::Reduced { calm_since } = &mut self.speed {
            *calm_since = None;
        }
    }

    /// The number of the last wave.
    pub(crate) const fn waves(&self) -> u32 {
        self.waves
    }

    /// Adds a tick to the present second, and gives the second if it ends.
    pub(crate) fn end_second(&mut self, tick: &TickTotals) -> Option<SecondTotals> {
        let second = self.seconds.add(tick);
        if second.is_some_and(|second| second.offered > 0) {
            self.end_sources(tick.wall);
        }
        second
    }

    /// Whether each second is worth writing down.
    pub(crate) fn needs_fine_tally(&self) -> bool {
        !matches!(self.phase, TrafficPhase::Ordinary)
            || !self.engaged.is_empty()
            || matches!(self.speed, VisitorSpeed::Reduced { .. })
    }

    /// The number of the current wave.
    pub(crate) fn wave_number(&self) -> Option<u32> {
        self.wave().map(|wave| wave.number)
    }

    fn wave(&self) -> Option<&Wave> {
        match &self.phase {
            TrafficPhase::Attacked(wave) => Some(wave),
            TrafficPhase::Ordinary | TrafficPhase::Surging => None,
        }
    }

    fn wave_mut(&mut self) -> Option<&mut Wave> {
        match &mut self.phase {
            TrafficPhase::Attacked(wave) => Some(wave),
            TrafficPhase::Ordinary | TrafficPhase::Surging => None,
        }
    }

    /// Ends the wave, if there is one, and records its figures.
    fn end_wave(&mut self, context: &Context<'_>, out: &mut Vec<Action>) {
        if let Some(wave) = self.wave() {
            out.push(Action::Record(Event::AttackEnded {
                wave: wave.number,
                platform: context.names.platform(self.id),
                figures: wave.figures(),
            }));
            self.phase = TrafficPhase::Ordinary;
        }
    }

    /// One tick. Events go to `out`; returns whether the engaged procedures changed.
    pub(crate) fn step(
        &mut self,
        context: &mut Context<'_>,
        seen: &Observation,
        tick: TickTotals,
        out: &mut Vec<Action>,
    ) -> bool {
        self.ticks_since_step = self.ticks_since_step.saturating_add(1);
        self.engaged.count(&seen.procedures, tick.offered);
        self.note_degradation(context, seen, out);
        self.note_surge(context, seen, out);
        match seen.judgement {
            TrafficState::Attack => self.under_attack(context, seen, out),
            TrafficState::Surge | TrafficState::Normal => self.without_attack(context, seen, out),
        }
        self.keep_look_back(tick);
        self.stop_shedding(context, out);
        self.expire(context, out);
        self.note_posture(context, seen, out);
        self.note_full_speed(context, seen, out);
        self.engaged.take_changed()
    }

    fn under_attack(
        &mut self,
        context: &mut Context<'_>,
        seen: &Observation,
        out: &mut Vec<Action>,
    ) {
        if self.wave().is_none() {
            self.begin_wave(context, seen, out);
        } else {
            self.note_change(context, seen, out);
        }
        if let Some(wave) = self.wave_mut() {
            wave.last_hostile = context.now;
        }
        self.speed = VisitorSpeed::Reduced { calm_since: None };
        self.update_mitigation(context, seen, out);
        let rungs = self.engaged.rungs(context.ordinary);
        if let Some(step) = ladder::tighten(context.settings, context.ordinary, seen, rungs) {
            self.engage(context, step, out);
            // It holds back single sources; what to do about all of them together is decided now.
            self.ticks_since_step = u32::MAX;
        }
        // Overload is seen immediately; degradation lingers in its two-second window.
        let pressing = !seen.overloading.is_empty() && self.ticks_since_step >= DWELL_TICKS;
        if pressing || self.relief_is_due() {
            let seen = self.without_repeated_candidate(seen);
            if let Some(step) = ladder::next_for_attack(context.settings, &seen, rungs)
                && bearable(&step, context)
            {
                self.engage(context, step, out);
            }
        }
        // During the attack, engaged procedures stay engaged.
        let ttl = context.settings.procedure_ttl;
        self.engaged.renew(context.now + ttl, context.now + ttl / 2);
    }

    /// Whether a saturated origin asks for another step now.
    fn relief_is_due(&self) -> bool {
        self.origin.needs_relief() && self.ticks_since_step >= RELIEF_DWELL_TICKS
    }

    /// A candidate that is already engaged has had its chance.
    fn without_repeated_candidate(&self, seen: &Observation) -> Observation {
        let mut seen = seen.clone();
        let full = self.engaged.signatures().count() >= SIGNATURES;
        let engaged = |candidate: &Signature| self.engaged.signatures().any(|s| s == candidate);
        if seen.candidate.as_ref().is_some_and(|c| full || engaged(&c.signature)) {
            seen.candidate = None;
        }
        seen
    }

    fn begin_wave(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        self.waves += 1;
        // The crowd before it had gone: it is another event.
        if matches!(self.phase, TrafficPhase::Surging) && self.surge_ticks >= SURGE_TICKS {
            let platform = context.names.platform(self.id);
            out.push(Action::Record(Event::SurgeEnded { platform }));
        }
        let onset = seen.onset.unwrap_or(context.wall);
        let mut wave = Wave::new(self.waves, onset, context.now);
        for tick in self.recent.iter().filter(|tick| tick.wall > onset) {
            wave.count(tick);
        }
        for (_, sources) in self.recent_sources.iter().filter(|(to, _)| *to > onset) {
            wave.count_earlier_sources(sources);
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
        self.phase = TrafficPhase::Attacked(wave);
    }

    fn note_change(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        let (platform, last_step) = (self.id, self.last_step);
        let Some(wave) = self.wave_mut() else { return };
        let (mut evidence, new_activities) = wave.note(&seen.evidence, &seen.over_baseline);
        // That challenges go unanswered follows from our challenging, not from a change of theirs.
        evidence.retain(|e| e.kind != EvidenceKind::UnansweredChallenges);
        if evidence.is_empty() && !new_activities {
            return;
        }
        wave.changed();
        out.push(Action::Record(Event::AttackChanged {
            wave: wave.number,
            platform: context.names.platform(platform),
            activities: context.names.activities(&wave.activities()),
            evidence,
            since_procedure_change_ms: last_step
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
        let holding = seen.overloading.is_empty()
            && seen.degradation.is_none()
            && seen.stalled_headers.is_none();
        let platform = context.names.platform(self.id);
        if context.now < self.settled_at {
            return;
        }
        let Some(wave) = self.wave_mut() else { return };
        let turned = match wave.hold {
            MitigationState::Unmitigated(_) => holding,
            MitigationState::Mitigated => !holding,
        };
        wave.turning = if turned { wave.turning + 1 } else { 0 };
        if wave.turning < TURN_TICKS {
            return;
        }
        wave.turning = 0;
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
        self.update_mitigation(context, seen, out);
        let over = self.wave().is_some_and(|wave| {
            context.now.since(wave.last_hostile) >= context.settings.quiet_period
        });
        if over {
            self.end_wave(context, out);
            self.relaxed_at = context.now;
        }
        // Visitors alone can overload an origin too.
        if self.relief_is_due() {
            let rungs = self.engaged.rungs(context.ordinary);
            if let Some(step) = ladder::next_for_overload(seen, rungs) {
                self.engage(context, step, out);
            }
        } else if self.wave().is_none() && !ladder::saturated(seen) {
            self.step_down(context, out);
        }
    }

    /// No visitor is refused for lack of capacity while there is capacity: shedding ends a second
    /// after the origin has caught up, attack or not.
    fn stop_shedding(&mut self, context: &Context<'_>, out: &mut Vec<Action>) {
        let shed = |procedure: &Procedure| matches!(procedure.measure, Measure::Shed(_));
        if self.origin.has_eased()
            && context.now >= self.settled_at
            && let Some(at) = self.engaged.position(shed)
        {
            self.release(context, at, "the origin has caught up", out);
        }
    }

    /// Releases the procedure that visitors notice most, one at a time.
    fn step_down(&mut self, context: &Context<'_>, out: &mut Vec<Action>) {
        if self.engaged.is_empty()
            || context.now.since(self.relaxed_at) < context.settings.step_down_interval
        {
            return;
        }
        if let Some(at) = self.engaged.most_noticed() {
            self.release(context, at, "it is no longer needed", out);
            self.relaxed_at = context.now;
        }
    }

    fn engage(&mut self, context: &mut Context<'_>, step: PlannedProcedure, out: &mut Vec<Action>) {
        // A stronger measure takes the place of the weaker one of its kind.
        let replaced = self.engaged.position(|p| step.measure.replaces(&p.measure));
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
        let procedure = Procedure {
            id,
            scope: step.scope,
            measure: step.measure,
            reason: step.reason,
            engaged: context.wall,
            expires: context.now + expiry,
        };
        let collateral = step.collateral_per_million.unwrap_or(0);
        self.engaged.push(EngagedProcedure::new(procedure, collateral));
        self.ticks_since_step = 0;
        self.last_step = Some(context.now);
        self.relaxed_at = context.now;
        self.speed = VisitorSpeed::Reduced { calm_since: None };
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
    }

    /// Releases procedures whose activity is not configured any more.
    pub(crate) fn release_without_activity(
        &mut self,
        context: &Context<'_>,
        ids: &Ids,
        out: &mut Vec<Action>,
    ) {
        let removed =
            |scope: &Scope| scope.activity.is_some_and(|a| ids.activity_place(a).is_none());
        while let Some(at) = self.engaged.position(|procedure| removed(&procedure.scope)) {
            self.release(context, at, "the configuration no longer has its activity", out);
        }
    }

    /// Ends everything here, because the configuration no longer has the platform.
    pub(crate) fn end(&mut self, context: &Context<'_>, out: &mut Vec<Action>) {
        let reason = "the configuration no longer has the platform";
        self.end_wave(context, out);
        while !self.engaged.is_empty() {
            self.release(context, 0, reason, out);
        }
        if self.posture != Posture::Open {
            out.push(Action::Record(Event::PostureChanged {
                platform: context.names.platform(self.id),
                from: self.posture,
                to: Posture::Open,
                reason: reason.to_owned(),
            }));
        }
    }

    fn expire(&mut self, context: &Context<'_>, out: &mut Vec<Action>) {
        while let Some(at) = self.engaged.expired(context.now) {
            self.release(context, at, "it expired", out);
        }
    }

    fn note_degradation(
        &mut self,
        context: &Context<'_>,
        seen: &Observation,
        out: &mut Vec<Action>,
    ) {
        let mut events = Vec::new();
        self.origin.observe(&context.names.platform(self.id), seen, &mut events);
        out.extend(events.into_iter().map(Action::Record));
    }

    fn note_surge(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        let surge = seen.judgement == TrafficState::Surge;
        let surging = matches!(self.phase, TrafficPhase::Surging);
        self.surge_ticks = if surge == surging { 0 } else { self.surge_ticks.saturating_add(1) };
        let enough = if surging { SURGE_END_TICKS } else { SURGE_TICKS };
        if self.surge_ticks < enough || self.wave().is_some() {
            return;
        }
        self.surge_ticks = 0;
        self.phase = if surge { TrafficPhase::Surging } else { TrafficPhase::Ordinary };
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
        if let Some(wave) = self.wave_mut() {
            wave.count(&tick);
        }
        match self.recent.back_mut() {
            Some(last) if last.second.is_none() => last.merge(&tick),
            _ if tick.offered == 0 && tick.second.is_some_and(|s| s.offered == 0) => {}
            _ => {
                if self.recent.len() >= LOOK_BACK_SECONDS {
                    self.recent.pop_front();
                }
                self.recent.push_back(tick);
            }
        }
    }

    /// Counts the source of a request.
    pub(crate) fn observe(&mut self, source: SourceKey) {
        self.second_sources.add(source);
    }

    /// Files the sources of a second that ends at `to`.
    fn end_sources(&mut self, to: WallTime) {
        let sources = core::mem::take(&mut self.second_sources);
        if let Some(wave) = self.wave_mut() {
            wave.count_sources(&sources);
            return;
        }
        let minute = |end: WallTime| end.millis().saturating_sub(1) / 60_000;
        match self.recent_sources.back_mut() {
            Some((end, last)) if minute(*end) == minute(to) => {
                last.merge(&sources);
                *end = to;
            }
            _ => {
                if self.recent_sources.len() >= LOOK_BACK_MINUTES {
                    self.recent_sources.pop_front();
                }
                self.recent_sources.push_back((to, sources));
            }
        }
    }

    fn note_posture(&mut self, context: &Context<'_>, seen: &Observation, out: &mut Vec<Action>) {
        let rungs = self.engaged.rungs(context.ordinary);
        let (to, reason) = if rungs.challenge.is_some() || rungs.shed.is_some() {
            (Posture::Siege, "visitors are challenged or activities shed")
        } else if self.wave().is_some() {
            (Posture::Guarded, "an attack is met by narrow procedures")
        } else if self.needs_fine_tally() {
            (Posture::Watchful, "traffic is unusual, or an attack is just over")
        } else if self.origin.is_degraded() {
            (Posture::Watchful, "the origin does not answer as usual")
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
            && self.wave().is_none()
            && seen.judgement == TrafficState::Normal
            && seen.over_baseline.is_empty()
            && !self.origin.is_degraded();
        let VisitorSpeed::Reduced { calm_since } = &mut self.speed else { return };
        if !calm {
            *calm_since = None;
            return;
        }
        let (since, wall) = *calm_since.get_or_insert((context.now, context.wall));
        let held = context.now.since(since);
        if held >= context.settings.full_speed_after {
            out.push(Action::Record(Event::FullSpeed {
                platform: context.names.platform(self.id),
                since: wall,
                duration_ms: held.as_millis() as u64,
            }));
            self.speed = VisitorSpeed::Full;
        }
    }
}

/// Important activities are only shed where something more important is left to serve.
fn bearable(step: &PlannedProcedure, context: &Context<'_>) -> bool {
    !matches!(step.measure, Measure::Shed(Tier::Important)) || context.has_essential
}
