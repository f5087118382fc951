//! One platform: its activities, its visitors, its origin, and the judgement of each tick.

use std::collections::{BTreeMap, VecDeque};

use portcullis_model::{
    ActivityCounts, ActivityId, Evidence, EvidenceKind, EvidenceWeight, Feature, PlatformId,
    ProcedureId, Reason, Record, Snapshot, TICK, TokenState, Verdict, WallTime, WatchSettings,
};

use crate::activity_watch::{ActivityWatch, SECOND};
use crate::calm_mix::{CalmMix, PROGRAMS_MILLI};
use crate::composition::{self, BusyRequests, Composition};
use crate::creeping::{self, CREEPING_TICKS, Creeping};
use crate::evidence;
use crate::observation::{
    Observation, OriginDegradation, OriginProblem, ProcedureCounts, TrafficState,
};
use crate::origin_health::OriginHealth;
use crate::rate_windows::Excess;
use crate::signature;
use crate::visitors::{GRACE_TICKS, RequestClass, VisitorTable, is_first_attempt};
use crate::window::{ReferenceSample, SampledRequest, Window};

/// Ticks over which the answers to challenges are judged: two seconds.
const HEALTH: usize = 8;
/// Consecutive evaluations with evidence that an attack needs: one odd tick is not enough.
const CONFIRM: u8 = 2;
/// Activities whose suspects are looked at by themselves, at most.
const LOOKED_AT_ALONE: usize = 4;
/// Visits of an excess that are looked at, the newest.
const VISITS_LOOKED_AT: usize = 1_024;
/// Visits are learnt this long after they were made, in ticks, so that what is becoming unusual is not
/// learnt: six minutes.
const LEARN_DELAY: u64 = CREEPING_TICKS + LEARN_INTERVAL;
/// The same while so little is known that nothing could be compared: two minutes.
const FIRST_LEARN_DELAY: u64 = 480;
/// Where a rate is unusual, the visits of this many ticks before are not learnt: ten seconds.
const RAISED_TICKS: u64 = 40;
/// Visits are learnt once a minute.
const LEARN_INTERVAL: u64 = 240;
/// Ticks without hostility after which the counts of an attack are forgotten: 15 seconds.
const FORGET_TICKS: u32 = 60;
/// Ticks of what is let through that are judged: ten seconds.
const PRESSING_TICKS: u64 = 40;

#[derive(Debug)]
pub(crate) struct PlatformWatch {
    pub id: PlatformId,
    /// In the order of the configuration.
    pub activities: Vec<ActivityWatch>,
    window: Window,
    memory: ReferenceSample,
    visitors: VisitorTable,
    calm: CalmMix,
    /// Visits before this tick are learnt, or are not to be.
    learnt_visits: u64,
    /// Ticks in a row with requests of visitors without pause.
    busy_ticks: u64,
    /// What the last whole second showed of an attack that no rate shows.
    creeping: Option<Creeping>,
    procedures: BTreeMap<ProcedureId, ProcedureCounts>,
    answered: u64,
    health: VecDeque<ChallengeTick>,
    pub origin: OriginHealth,
    judgement: TrafficState,
    confirmed: u8,
    /// The first tick of the present run of hostile evidence.
    hostile_since: Option<WallTime>,
    /// Ticks without hostility since the last attack; none when its counts are forgotten.
    since_attack: Option<u32>,
    /// Visits before this tick may be those of pages that the origin failed to serve: such pages have no assets.
    served_since: u64,
    /// Ticks in a row that the origin has had more to do than it can.
    saturated_ticks: u32,
}

/// One tick of a platform.
#[derive(Clone, Debug, Default)]
struct ChallengeTick {
    counts: ActivityCounts,
    answered: u64,
}

/// What one tick shows about hostility.
#[derive(Debug, Default)]
struct Suspicion {
    /// Activities far over their baseline.
    over: Vec<ActivityId>,
    /// Activities whose rate is unusual enough to ask who comes.
    raised: Vec<ActivityId>,
    evidence: Vec<Evidence>,
    hostile: bool,
}

/// What the watch as a whole knows about a tick.
#[derive(Debug)]
pub(crate) struct TickContext<'a> {
    pub settings: &'a WatchSettings,
    pub wall: WallTime,
    pub counts: &'a Snapshot,
    /// Stalled connections, if they are evidence about this platform, and since when.
    pub stalled: Option<(Evidence, WallTime)>,
    /// Requests that wait for a connection to its origin.
    pub waiting: u64,
    /// Whether the platform has an engaged procedure.
    pub engaged: bool,
}

impl PlatformWatch {
    pub(crate) fn new(id: PlatformId, activities: &[ActivityId], probes: bool) -> Self {
        Self {
            id,
            activities: activities.iter().map(|id| ActivityWatch::new(*id)).collect(),
            window: Window::default(),
            memory: ReferenceSample::default(),
            visitors: VisitorTable::default(),
            calm: CalmMix::default(),
            learnt_visits: 0,
            busy_ticks: 0,
            creeping: None,
            procedures: BTreeMap::new(),
            answered: 0,
            health: VecDeque::with_capacity(HEALTH),
            origin: OriginHealth::new(probes),
            judgement: TrafficState::Normal,
            confirmed: 0,
            hostile_since: None,
            since_attack: None,
            served_since: 0,
            saturated_ticks: 0,
        }
    }

    /// The same platform with these activities; those that it had keep what was learnt.
    pub(crate) fn with_activities(mut self, activities: &[ActivityId], probes: bool) -> Self {
        self.origin.set_probes(probes);
        let mut old = core::mem::take(&mut self.activities);
        let next = activities.iter().map(|id| {
            let at = old.iter().position(|activity| activity.id == *id);
            at.map_or_else(|| ActivityWatch::new(*id), |at| old.swap_remove(at))
        });
        self.activities = next.collect();
        self
    }

    /// One of its activities; an id of another platform is a mistake of the caller, and gives none.
    fn activity(&self, id: ActivityId) -> Option<&ActivityWatch> {
        self.activities.iter().find(|activity| activity.id == id)
    }

    pub(crate) fn observe(&mut self, record: &Record, activity: ActivityId) {
        self.window.push(record, activity);
        if is_first_attempt(record) {
            let mut class = self.visitors.observe(record, activity);
            if let RequestClass::Direct { bare: bare @ true, repeated: true, .. } = &mut class {
                // Programs ask for the same again.
                let path = record.features.get(Feature::Path);
                *bare = self.calm.path_milli(path) <= PROGRAMS_MILLI;
            }
            let known = self.activities.iter_mut().find(|known| known.id == activity);
            if let Some(known) = known {
                known.observe(class);
            }
        }
        let through =
            record.reason == Reason::ChallengePassed || record.reason.verdict() == Verdict::Forward;
        let answered = record.token == TokenState::JustIssued && through;
        self.answered += u64::from(answered);
        let Some(id) = record.procedure else { return };
        let none = ProcedureCounts { id, stopped: 0, answered: 0, with_token: 0 };
        let counts = self.procedures.entry(id).or_insert(none);
        counts.answered += u64::from(answered);
        let stopped = match record.reason.verdict() {
            Verdict::Refuse => true,
            Verdict::Challenge => record.reason == Reason::ChallengeIssued,
            Verdict::Forward => false,
        };
        counts.stopped += u64::from(stopped);
        let held = matches!(record.token, TokenState::Valid | TokenState::JustIssued);
        counts.with_token += u64::from(held && record.reason.verdict() == Verdict::Refuse);
    }

    pub(crate) fn evaluate(&mut self, context: &TickContext<'_>) -> Observation {
        let (settings, wall) = (context.settings, context.wall);
        let (stalled, stalled_since) = context.stalled.as_ref().map(|(e, s)| (e, *s)).unzip();
        let left = self.window.end_tick();
        let tick = self.take_counts(wall, context.counts);
        self.origin.observe(wall, &tick, context.waiting);
        let overloaded = self.activities.iter().any(|a| a.is_raised(settings));
        let degradation = self.origin.degradation(context.waiting, overloaded);
        let degraded = self.count_saturation(degradation.as_ref());
        let fails = degradation.as_ref().is_some_and(|seen| seen.problem == OriginProblem::Failing);
        if fails && self.judgement != TrafficState::Attack {
            self.served_since = self.visitors.tick();
        }
        self.look_for_creeping();
        let mut suspicion = self.suspicion(settings, degraded, stalled);
        self.judge(settings, wall, &suspicion);
        self.forget_attack();
        if self.judgement == TrafficState::Attack && suspicion.over.is_empty() {
            suspicion.over.clone_from(&suspicion.raised);
            let creeping = self.creeping.iter().map(|found| found.activity);
            suspicion.over.extend(creeping.filter(|id| !suspicion.raised.contains(id)));
        }
        let over = suspicion.over;
        self.date_excesses(&over, wall);
        let pressing = self.pressing(settings, wall);
        self.learn(context, &tick, &left, suspicion.evidence.is_empty());

        let candidate = (self.judgement == TrafficState::Attack)
            .then(|| {
                let suspects = self.window.iter().filter(|k| over.contains(&k.activity));
                signature::find_signature(suspects, &self.memory)
            })
            .flatten();
        let onset = match (self.surge_onset(&over), stalled_since) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Observation {
            platform: self.id,
            judgement: self.judgement,
            stalled_headers: stalled.map(|evidence| evidence.measured),
            onset,
            answered: self.health.back().map_or(0, |tick| tick.answered),
            offered_per_second: self.per_second(ActivityWatch::offered_per_second),
            forwarded_per_second: self.per_second(ActivityWatch::forwarded_per_second),
            stopped_per_second: self.stopped_per_second(),
            baseline_milli: self.expected_milli(wall),
            over_baseline: over,
            overloading: pressing,
            evidence: suspicion.evidence,
            degradation,
            outage: self.origin.outage().copied(),
            wants_probe: self.origin.wants_probe(),
            candidate,
            procedures: core::mem::take(&mut self.procedures).into_values().collect(),
        }
    }

    /// Notes since when each of these activities has been over its baseline.
    fn date_excesses(&mut self, over: &[ActivityId], wall: WallTime) {
        for activity in &mut self.activities {
            if !over.contains(&activity.id) {
                activity.over_since = None;
            } else if activity.over_since.is_none() {
                activity.over_since = Some(activity.excess_since(wall));
            }
        }
    }

    fn expected_milli(&self, wall: WallTime) -> u64 {
        self.activities.iter().map(|a| a.baseline.expected_milli(wall)).sum()
    }

    /// Returns whether the origin has had more to do than it can for the window in which it is judged.
    fn count_saturation(&mut self, degradation: Option<&OriginDegradation>) -> bool {
        let saturated = degradation.is_some_and(|seen| seen.problem == OriginProblem::Saturated);
        self.saturated_ticks = if saturated { self.saturated_ticks.saturating_add(1) } else { 0 };
        self.saturated_ticks >= HEALTH as u32
    }

    /// Files this tick's counters; returns the flows by activity.
    fn take_counts(&mut self, wall: WallTime, counts: &Snapshot) -> Vec<ActivityCounts> {
        self.visitors.end_tick();
        let mut all = ActivityCounts::default();
        let mut tick = Vec::with_capacity(self.activities.len());
        for activity in &mut self.activities {
            let counts = counts.of(activity.id);
            activity.end_tick(wall, &counts);
            all.add(&counts);
            tick.push(counts);
        }
        let busy: u64 = self.activities.iter().map(ActivityWatch::busy_last_second).sum();
        self.busy_ticks = if busy > 0 { self.busy_ticks + 1 } else { 0 };
        if self.health.len() >= HEALTH {
            self.health.pop_front();
        }
        let answered = core::mem::take(&mut self.answered);
        self.health.push_back(ChallengeTick { counts: all, answered });
        tick
    }

    fn per_second(&self, rate: impl Fn(&ActivityWatch) -> u64) -> u64 {
        self.activities.iter().map(rate).sum()
    }

    /// Whether nothing is unusual or waits to be judged, so that a silence can be passed over.
    pub(crate) fn is_calm(&self, settings: &WatchSettings) -> bool {
        self.judgement == TrafficState::Normal
            && self.since_attack.is_none()
            && self.visitors.is_idle()
            && self.activities.iter().all(|activity| {
                activity.offered_per_second() == 0
                    && !activity.is_raised(settings)
                    && !activity.learns_slowly(settings)
            })
    }

    /// Lets `seconds` pass without a request on a calm platform.
    pub(crate) fn pass_silence(&mut self, wall: WallTime, seconds: u64) {
        for second in 0..seconds {
            let wall = wall + core::time::Duration::from_secs(second);
            self.activities.iter_mut().for_each(|activity| activity.pass_second(wall));
        }
        self.visitors.pass(seconds * SECOND as u64);
        self.busy_ticks = 0;
        self.learn_visits();
    }

    /// What this tick shows about hostility.
    fn suspicion(
        &self,
        settings: &WatchSettings,
        degraded: bool,
        stalled: Option<&Evidence>,
    ) -> Suspicion {
        let ids = |wanted: &dyn Fn(&ActivityWatch) -> bool| -> Vec<ActivityId> {
            self.activities.iter().filter(|a| wanted(a)).map(|a| a.id).collect()
        };
        let over = ids(&|activity| activity.is_over(settings, degraded));
        let raised = ids(&|activity| activity.is_raised(settings));
        let mut evidence = self.evidence(&over, |_| true, stalled);
        let mut hostile = EvidenceWeight::hostile(evidence.iter().map(|e| e.kind.strength()));
        let composition = self.composition(&raised);
        hostile |= composition.hostile;
        hostile |= self.creeping.is_some();
        let creeping = self.creeping.iter().map(|found| found.evidence.clone());
        for piece in composition.evidence.into_iter().chain(creeping) {
            if !evidence.iter().any(|known: &Evidence| known.kind == piece.kind) {
                evidence.push(piece);
            }
        }
        Suspicion { over, raised, evidence, hostile }
    }

    /// Looks once a second for an attack that no rate shows.
    fn look_for_creeping(&mut self) {
        let now = self.visitors.tick();
        if !now.is_multiple_of(SECOND as u64) {
            return;
        }
        let since = now.saturating_sub(CREEPING_TICKS).max(self.served_since);
        self.creeping = creeping::find(self.visitors.visits_since(since), now, &self.calm);
    }

    /// Who makes up the most improbable excess of these activities.
    fn composition(&self, raised: &[ActivityId]) -> Composition {
        let activities = || raised.iter().filter_map(|id| self.activity(*id));
        let Some(most) = activities().max_by_key(|a| a.excess.surprise_milli) else {
            return Composition::default();
        };
        let excess = most.excess;
        let since =
            self.visitors.tick().saturating_sub(excess.ticks.max(GRACE_TICKS) + GRACE_TICKS);
        let since = since.max(self.served_since);
        let visits = self
            .visitors
            .visits_since(since)
            .filter(|visit| raised.contains(&visit.activity))
            .take(VISITS_LOOKED_AT);
        let (requests, repeated) = most.busy_within(excess.ticks);
        let busy = BusyRequests {
            visitors: self.visitors.busy_visitors(),
            requests,
            repeated,
            again: most.again_within(excess.ticks),
            per_second: activities().map(ActivityWatch::busy_last_second).sum(),
            ticks: self.busy_ticks,
            usual_milli: excess.expected_micro * SECOND as u64 / excess.ticks.max(1) / 1_000,
        };
        let composition = composition::evaluate(&excess, visits, &busy, &self.calm);
        if composition.flood { composition } else { Composition::default() }
    }

    /// When the attack can first be seen: when the last of its activities went over. What was a
    /// surge long before is no part of it: it began at most so long before the evidence.
    fn surge_onset(&self, over: &[ActivityId]) -> Option<WallTime> {
        let since = |id: &ActivityId| self.activity(*id)?.over_since;
        let last = over.iter().filter_map(since).max()?;
        let Some(hostile) = self.hostile_since else { return Some(last) };
        let ticks = over.iter().filter_map(|id| self.activity(*id)).map(|a| a.excess.ticks).max();
        let window = TICK * u32::try_from(ticks.unwrap_or(0)).unwrap_or(0).max(HEALTH as u32);
        Some(last.clamp(hostile - window, hostile))
    }

    /// The evidence that the requests of these activities give within two seconds.
    fn evidence(
        &self,
        over: &[ActivityId],
        among: impl Fn(&SampledRequest) -> bool,
        stalled: Option<&Evidence>,
    ) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        if !over.is_empty() {
            let window: Vec<&SampledRequest> =
                self.window.iter().filter(|request| among(request)).collect();
            let mut gather = |wanted: &[ActivityId]| {
                let suspects: Vec<&SampledRequest> = window
                    .iter()
                    .copied()
                    .filter(|request| wanted.contains(&request.activity))
                    .collect();
                for piece in evidence::gather(&suspects, &window, &self.memory) {
                    if !evidence.iter().any(|known: &Evidence| known.kind == piece.kind) {
                        evidence.push(piece);
                    }
                }
            };
            gather(over);
            // Simultaneous attacks dilute each other; each activity shows its own.
            if over.len() > 1 {
                over.iter().take(LOOKED_AT_ALONE).for_each(|activity| gather(&[*activity]));
            }
            evidence.extend(self.costly_targets(over));
            evidence.extend(self.unanswered_challenges());
        }
        evidence.extend(stalled.cloned());
        evidence
    }

    /// Activities of which far too much gets through, if it is hostile or beyond the origin's
    /// capacity: crowds of people are welcome.
    fn pressing(&self, settings: &WatchSettings, wall: WallTime) -> Vec<ActivityId> {
        let excesses: Vec<(ActivityId, Excess)> = self
            .activities
            .iter()
            .filter_map(|a| Some((a.id, a.forwarded_excess(settings, wall)?)))
            .collect();
        let pressing: Vec<ActivityId> = excesses.iter().map(|(id, _)| *id).collect();
        let Some((_, most)) = excesses.iter().max_by_key(|(_, excess)| excess.surprise_milli)
        else {
            return pressing;
        };
        let evidence = self.evidence(&pressing, |request| request.forwarded, None);
        let of_senders = evidence
            .iter()
            .map(|e| e.kind)
            .filter(|kind| *kind != EvidenceKind::UnansweredChallenges)
            .map(EvidenceKind::strength);
        let since = self.visitors.tick().saturating_sub(PRESSING_TICKS + GRACE_TICKS);
        let visits = self
            .visitors
            .visits_since(since)
            .filter(|visit| visit.forwarded && pressing.contains(&visit.activity))
            .take(VISITS_LOOKED_AT);
        let hostile = EvidenceWeight::hostile(of_senders)
            || composition::evaluate(most, visits, &BusyRequests::default(), &self.calm).hostile;
        if self.saturated_ticks > 0 || hostile { pressing } else { Vec::new() }
    }

    /// Browsers answer a challenge within a round trip or a few seconds, whatever their users do.
    fn unanswered_challenges(&self) -> Option<Evidence> {
        // Those of the last second may still be on their way.
        let older = self.health.iter().take(HEALTH - SECOND);
        let challenged: u64 = older.map(|h| h.counts.reason(Reason::ChallengeIssued)).sum();
        let answered: u64 = self.health.iter().map(|h| h.answered).sum();
        if challenged < 40 {
            return None;
        }
        let share = 100 - (answered.min(challenged) * 100 / challenged);
        (share >= 80).then(|| Evidence {
            kind: EvidenceKind::UnansweredChallenges,
            measured: share,
            threshold: 80,
            summary: format!(
                "{share}% of {challenged} challenges were not answered within a second"
            ),
        })
    }

    /// The activity that is most over costs the origin three times what its average request does,
    /// by what both cost on calm days.
    fn costly_targets(&self, over: &[ActivityId]) -> Option<Evidence> {
        let over = over.iter().filter_map(|id| self.activity(*id));
        let activity = over.max_by_key(|activity| activity.offered_per_second())?;
        let requests: u64 = self.activities.iter().map(|a| a.calm_requests).sum();
        let micros: u64 = self.activities.iter().map(|a| a.calm_origin_micros).sum();
        if activity.calm_requests < 10 || requests < 100 || micros == 0 {
            return None;
        }
        let own = activity.calm_origin_micros / activity.calm_requests;
        let usual = micros / requests;
        let tenths = own * 10 / usual.max(1);
        (tenths >= 30).then(|| Evidence {
            kind: EvidenceKind::ExpensivePaths,
            measured: tenths,
            threshold: 30,
            summary: format!(
                "on calm ticks a request of this activity kept the origin busy for {} ms, {}.{} \
                 times its average request",
                own / 1_000,
                tenths / 10,
                tenths % 10
            ),
        })
    }

    fn judge(&mut self, settings: &WatchSettings, wall: WallTime, seen: &Suspicion) {
        // Once procedures stop what is hostile, there may be little left to see of it but the
        // stopping itself. Programs that cannot answer a challenge are no attack while they ask
        // for no more than usual.
        let held_off = self.judgement == TrafficState::Attack
            && !(seen.over.is_empty() && seen.raised.is_empty())
            && self.stopped_per_second() >= (self.expected_milli(wall) / 2_000).max(2);
        if seen.hostile || held_off {
            self.confirmed = (self.confirmed + 1).min(CONFIRM);
            self.hostile_since.get_or_insert(wall - TICK);
        } else {
            self.confirmed = 0;
            self.hostile_since = None;
        }
        let warm =
            seen.over.iter().filter_map(|id| self.activity(*id)).all(|a| a.is_warm(settings));
        self.judgement = if self.confirmed >= CONFIRM {
            TrafficState::Attack
        } else if !seen.over.is_empty() && warm {
            TrafficState::Surge
        } else {
            TrafficState::Normal
        };
    }

    /// Forgets the counts of an attack a while after its end.
    fn forget_attack(&mut self) {
        if self.confirmed > 0 {
            self.since_attack = Some(0);
            return;
        }
        let Some(ticks) = self.since_attack.as_mut() else { return };
        *ticks += 1;
        if *ticks >= FORGET_TICKS {
            self.since_attack = None;
            self.activities.iter_mut().for_each(ActivityWatch::forget_counts);
            self.visitors.forget_visits();
        }
    }

    /// Requests per second over the last second that procedures stopped before the origin; challenges
    /// count only so far as they were not answered.
    fn stopped_per_second(&self) -> u64 {
        let last = self.health.iter().rev().take(SECOND);
        let (mut stopped, mut challenged, mut answered) = (0, 0, 0);
        for health in last {
            stopped += health.counts.reason(Reason::Signature)
                + health.counts.reason(Reason::SourceRate)
                + health.counts.reason(Reason::TokenSpent);
            challenged += health.counts.reason(Reason::ChallengeIssued);
            answered += health.answered;
        }
        stopped + challenged.saturating_sub(answered)
    }

    /// Learns from calm ticks in full, from surges slowly, from attacks nothing.
    fn learn(
        &mut self,
        context: &TickContext<'_>,
        tick: &[ActivityCounts],
        left: &[SampledRequest],
        unsuspicious: bool,
    ) {
        let settings = context.settings;
        // Ticks and whole seconds begin together.
        let second_ends = self.visitors.tick().is_multiple_of(SECOND as u64);
        let surge = self.judgement == TrafficState::Surge;
        let degraded = self.saturated_ticks > 0;
        let raised = self.activities.iter().any(|a| a.is_raised(settings));
        if surge || degraded || !unsuspicious || context.engaged {
            self.learnt_visits = self.visitors.tick();
        } else if raised {
            self.visitors.mark_unusual(self.visitors.tick().saturating_sub(RAISED_TICKS));
        } else if self.visitors.tick().is_multiple_of(LEARN_INTERVAL) {
            self.learn_visits();
        }
        if context.engaged || self.judgement == TrafficState::Attack || self.confirmed > 0 {
            self.activities.iter_mut().for_each(ActivityWatch::drop_second);
            return;
        }
        if unsuspicious && !raised {
            for request in left {
                self.memory.push(request);
            }
        }
        for (activity, counts) in self.activities.iter_mut().zip(tick) {
            if second_ends {
                let slowly = surge || degraded || activity.learns_slowly(settings);
                activity.learn_second(context.wall - TICK * SECOND as u32, slowly);
            }
            if !surge && !degraded {
                let finished: u64 = counts.outcomes.iter().sum();
                activity.calm_requests += finished;
                activity.calm_origin_micros += counts.origin_micros;
                if activity.calm_requests > 100_000 {
                    activity.calm_requests /= 2;
                    activity.calm_origin_micros /= 2;
                }
            }
        }
        if !surge && !degraded && !raised {
            let (mut direct, mut busy, mut again) = (0, 0, 0);
            for activity in &self.activities {
                direct += activity.offered_per_second();
                busy += activity.busy_last_second();
                again += activity.again_last_second();
            }
            if second_ends {
                self.calm.learn_requests(direct, busy, again);
            }
        }
    }

    /// Learns the visits of the calm minutes before the last.
    fn learn_visits(&mut self) {
        let delay = if self.calm.is_known() { LEARN_DELAY } else { FIRST_LEARN_DELAY };
        let until = self.visitors.tick().saturating_sub(delay);
        let visits = self.visitors.visits_since(self.learnt_visits);
        self.calm.learn(visits.filter(|visit| visit.tick < until));
        self.learnt_visits = self.learnt_visits.max(until);
    }
}
