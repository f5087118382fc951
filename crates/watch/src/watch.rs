//! The watch itself: one look at every platform each tick.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use portcullis_model::{
    ActivityCounts, ActivityId, Assignment, Config, Evidence, EvidenceKind, EvidenceWeight, Ids,
    PlatformId, ProcedureId, Reason, Record, Snapshot, TICK, TokenState, Verdict, WallTime,
    WatchSettings,
};

use crate::baseline::Baseline;
use crate::evidence;
use crate::observation::{
    Observation, OriginDegradation, OriginProblem, ProcedureCounts, TrafficState,
};
use crate::origin_health::OriginHealth;
use crate::signature;
use crate::sources::SourceSketch;
use crate::window::{ReferenceSample, SampledRequest, Window};

/// Ticks in a second: rates are means over this number of ticks.
const SECOND: usize = 4;
/// Ticks over which the answers to challenges are judged: two seconds.
const HEALTH: usize = 8;
/// Consecutive evaluations with evidence that an attack needs: one odd tick is not enough.
const CONFIRM: u8 = 2;
/// Activities whose suspects are looked at by themselves, at most.
const LOOKED_AT_ALONE: usize = 4;
/// Fewer stalled connections than this are people on trains.
const STALLED_MIN: u64 = 20;
/// However many stall on ordinary days, four times a hundred of them are too many: no
/// traffic can teach the watch to overlook more.
const STALLED_USUAL_MAX_MILLI: u64 = 100_000;
/// An origin that makes visitors wait is no place for four times the usual: while it is degraded, this
/// many tenths of the baseline are suspect.
const DEGRADED_TENTHS: u64 = 13;

/// Learns what is normal, and detects what is not.
#[derive(Debug)]
pub struct Watch {
    settings: WatchSettings,
    ids: Arc<Ids>,
    /// In the order of the configuration.
    platforms: Vec<PlatformWatch>,
    /// Stalled headers on calm ticks, in thousandths.
    stalled_usual_milli: u64,
    stalled_since: Option<WallTime>,
    /// Stalled connections that are evidence about no platform.
    stalled_unassigned: Option<u64>,
}

#[derive(Debug)]
struct PlatformWatch {
    id: PlatformId,
    /// In the order of the configuration.
    activities: Vec<ActivityWatch>,
    window: Window,
    memory: ReferenceSample,
    sources: SourceSketch,
    procedures: BTreeMap<ProcedureId, ProcedureCounts>,
    answered: u64,
    health: VecDeque<ChallengeTick>,
    origin: OriginHealth,
    judgement: TrafficState,
    confirmed: u8,
    /// The first tick of the present run of hostile evidence.
    hostile_since: Option<WallTime>,
    /// Ticks in a row that the origin has had more to do than it can.
    saturated_ticks: u32,
}

#[derive(Debug)]
struct ActivityWatch {
    id: ActivityId,
    baseline: Baseline,
    recent: VecDeque<TickCounts>,
    over_since: Option<WallTime>,
    calm_requests: u64,
    calm_origin_micros: u64,
}

/// One tick of one activity.
#[derive(Clone, Copy, Debug, Default)]
struct TickCounts {
    offered: u64,
    forwarded: u64,
}

/// One tick of a platform.
#[derive(Clone, Debug, Default)]
struct ChallengeTick {
    counts: ActivityCounts,
    answered: u64,
}

impl Watch {
    /// A watch that has seen nothing yet of the platforms in `config`, whose ids are `ids`.
    pub fn new(config: &Config, ids: Arc<Ids>) -> Self {
        let platforms = ids
            .platforms()
            .zip(&config.platforms)
            .map(|((id, all), config)| PlatformWatch::new(id, all, config.origin.probe))
            .collect();
        Self {
            settings: config.watch.clone(),
            ids,
            platforms,
            stalled_usual_milli: 0,
            stalled_since: None,
            stalled_unassigned: None,
        }
    }

    /// Takes one request's record. Only those that belong to an activity are evidence about it.
    pub fn observe(&mut self, record: &Record) {
        let Some(Assignment { platform, activity }) = record.assigned else { return };
        if let Some(place) = self.ids.platform_place(platform) {
            self.platforms[place].observe(record, activity);
        }
    }

    /// Evaluates every platform, once a tick; observations are in the order of the configuration.
    /// `counts` is what the workers counted since the last call; `engaged` returns whether a platform
    /// has an engaged procedure.
    pub fn evaluate(
        &mut self,
        wall: WallTime,
        counts: &Snapshot,
        engaged: impl Fn(PlatformId) -> bool,
    ) -> Vec<Observation> {
        // A connection names its platform in its headers. Where there is only one platform, a stalled
        // connection can be meant for no other, and the gauge of waiting requests for no other origin.
        let only_one = self.platforms.len() == 1;
        let stalled = self.stalled(wall, counts.gauges.stalled_headers);
        let unassigned = stalled.as_ref().filter(|_| !only_one);
        self.stalled_unassigned = unassigned.map(|evidence| evidence.measured);
        let stalled = stalled.zip(self.stalled_since).filter(|_| only_one);
        let waiting = if only_one { counts.gauges.waiting } else { 0 };
        let settings = &self.settings;
        self.platforms
            .iter_mut()
            .map(|platform| {
                let engaged = engaged(platform.id);
                platform.evaluate(settings, wall, counts, stalled.clone(), waiting, engaged)
            })
            .collect()
    }

    /// The result of a question that the gate asked a platform's origin itself.
    pub fn probed(&mut self, platform: PlatformId, answered: bool) {
        if let Some(place) = self.ids.platform_place(platform) {
            self.platforms[place].origin.probed(answered);
        }
    }

    /// Without questions of the gate's own, for a source of requests without a live origin.
    #[must_use]
    pub fn without_probes(mut self) -> Self {
        self.platforms.iter_mut().for_each(|platform| platform.origin.set_probes(false));
        self
    }

    /// Connections that are stalled in their headers, if that is far more than usual and evidence
    /// about no platform, because there are several.
    pub const fn stalled_unassigned(&self) -> Option<u64> {
        self.stalled_unassigned
    }

    /// What the baseline expects of an activity now, in thousandths of a request per second.
    pub fn baseline_milli(&self, activity: ActivityId, wall: WallTime) -> u64 {
        let Some((platform, within)) = self.ids.activity_place(activity) else { return 0 };
        self.platforms[platform].activities[within].baseline.expected_milli(wall)
    }

    /// Uses a new configuration, with its ids. What was learnt of platforms and activities that
    /// it still has stays.
    pub fn reload(&mut self, config: &Config, ids: Arc<Ids>) {
        let next = ids.platforms().zip(&config.platforms).map(|((id, activities), config)| {
            let probes = config.origin.probe;
            let old = self.platforms.iter_mut().find(|platform| platform.id == id);
            let old = old.map(|old| core::mem::replace(old, PlatformWatch::new(id, &[], probes)));
            match old {
                Some(old) => old.with_activities(activities, probes),
                None => PlatformWatch::new(id, activities, probes),
            }
        });
        self.platforms = next.collect();
        self.settings = config.watch.clone();
        self.ids = ids;
    }

    /// Every activity's baseline, to be saved for a restart.
    pub fn baselines(&self) -> impl Iterator<Item = (ActivityId, &Baseline)> {
        self.platforms.iter().flat_map(|p| p.activities.iter().map(|a| (a.id, &a.baseline)))
    }

    /// Puts back one activity's baseline.
    pub fn restore(&mut self, activity: ActivityId, baseline: Baseline) {
        if let Some((platform, within)) = self.ids.activity_place(activity) {
            self.platforms[platform].activities[within].baseline = baseline;
        }
    }

    fn stalled(&mut self, wall: WallTime, now: u64) -> Option<Evidence> {
        let threshold = STALLED_MIN.max(self.stalled_usual_milli * 4 / 1_000);
        if now < threshold {
            self.stalled_since = None;
            let target = now * 1_000;
            self.stalled_usual_milli = (self.stalled_usual_milli * 239 + target)
                .div_ceil(240)
                .min(STALLED_USUAL_MAX_MILLI);
            return None;
        }
        self.stalled_since.get_or_insert(wall);
        Some(Evidence {
            kind: EvidenceKind::StalledHeaders,
            measured: now,
            threshold,
            summary: format!(
                "{now} connections began a request over a second ago and have not finished its \
                 headers; usual is {}",
                self.stalled_usual_milli / 1_000
            ),
        })
    }
}

impl PlatformWatch {
    fn new(id: PlatformId, activities: &[ActivityId], probes: bool) -> Self {
        Self {
            id,
            activities: activities.iter().map(|id| ActivityWatch::new(*id)).collect(),
            window: Window::default(),
            memory: ReferenceSample::default(),
            sources: SourceSketch::default(),
            procedures: BTreeMap::new(),
            answered: 0,
            health: VecDeque::with_capacity(HEALTH),
            origin: OriginHealth::new(probes),
            judgement: TrafficState::Normal,
            confirmed: 0,
            hostile_since: None,
            saturated_ticks: 0,
        }
    }

    /// The same platform with these activities; those that it had keep what was learnt.
    fn with_activities(mut self, activities: &[ActivityId], probes: bool) -> Self {
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

    fn observe(&mut self, record: &Record, activity: ActivityId) {
        self.window.push(record, activity);
        self.sources.add(record.source);
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

    fn evaluate(
        &mut self,
        settings: &WatchSettings,
        wall: WallTime,
        counts: &Snapshot,
        stalled: Option<(Evidence, WallTime)>,
        waiting: u64,
        engaged: bool,
    ) -> Observation {
        let (stalled, stalled_since) = stalled.unzip();
        let left = self.window.end_tick();
        let tick = self.take_counts(counts);
        self.origin.observe(wall, &tick, waiting);
        let degradation = self.origin.degradation(waiting);
        let degraded = self.count_saturation(degradation.as_ref());
        let over = self.over(settings, wall, degraded, ActivityWatch::offered_per_second);
        for activity in &mut self.activities {
            if !over.contains(&activity.id) {
                activity.over_since = None;
            } else if activity.over_since.is_none() {
                activity.over_since = Some(wall - TICK);
            }
        }
        let evidence = self.evidence(&over, |_| true, stalled.as_ref());
        self.judge(settings, wall, &over, &evidence);
        let pressing = self.pressing(settings, wall);
        self.learn(wall, &tick, &left, engaged, evidence.is_empty());

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
        // An estimate costs more than all the rest of a calm look, and is shown only in attacks.
        let sources =
            if self.judgement == TrafficState::Normal { 0 } else { self.sources.estimate() };
        self.sources.clear();
        Observation {
            platform: self.id,
            judgement: self.judgement,
            stalled_headers: stalled.map(|evidence| evidence.measured),
            onset,
            offered_per_second: self.per_second(ActivityWatch::offered_per_second),
            forwarded_per_second: self.per_second(ActivityWatch::forwarded_per_second),
            stopped_per_second: self.stopped_per_second(),
            baseline_milli: self.activities.iter().map(|a| a.baseline.expected_milli(wall)).sum(),
            over_baseline: over,
            overloading: pressing,
            evidence,
            degradation,
            outage: self.origin.outage().copied(),
            wants_probe: self.origin.wants_probe(),
            candidate,
            procedures: core::mem::take(&mut self.procedures).into_values().collect(),
            sources,
        }
    }

    /// Returns whether the origin has had more to do than it can for the window in which it is judged.
    fn count_saturation(&mut self, degradation: Option<&OriginDegradation>) -> bool {
        let saturated = degradation.is_some_and(|seen| seen.problem == OriginProblem::Saturated);
        self.saturated_ticks = if saturated { self.saturated_ticks.saturating_add(1) } else { 0 };
        self.saturated_ticks >= HEALTH as u32
    }

    /// Files this tick's counters; returns the flows by activity.
    fn take_counts(&mut self, counts: &Snapshot) -> Vec<ActivityCounts> {
        let mut all = ActivityCounts::default();
        let mut tick = Vec::with_capacity(self.activities.len());
        for activity in &mut self.activities {
            let counts = counts.of(activity.id);
            let forwarded = Reason::ALL
                .iter()
                .filter(|r| r.verdict() == Verdict::Forward)
                .map(|r| counts.reason(*r))
                .sum();
            let offered = counts.offered();
            push(&mut activity.recent, TickCounts { offered, forwarded }, SECOND);
            all.add(&counts);
            tick.push(counts);
        }
        let answered = core::mem::take(&mut self.answered);
        push(&mut self.health, ChallengeTick { counts: all, answered }, HEALTH);
        tick
    }

    fn per_second(&self, rate: impl Fn(&ActivityWatch) -> u64) -> u64 {
        self.activities.iter().map(rate).sum()
    }

    /// Activities whose rate is far over their baseline.
    fn over(
        &self,
        settings: &WatchSettings,
        wall: WallTime,
        degraded: bool,
        rate: impl Fn(&ActivityWatch) -> u64,
    ) -> Vec<ActivityId> {
        let far_over = |activity: &ActivityWatch| {
            let mut threshold = u64::from(settings.surge_min_rate) * 1_000;
            if activity.warm(settings) {
                let expected = activity.baseline.expected_milli(wall);
                let tenths = if degraded {
                    threshold /= 4;
                    DEGRADED_TENTHS
                } else {
                    u64::from(settings.surge_factor_tenths)
                };
                threshold = threshold.max(expected * tenths / 10);
            }
            rate(activity) * 1_000 > threshold
        };
        self.activities
            .iter()
            .filter(|activity| far_over(activity))
            .map(|activity| activity.id)
            .collect()
    }

    /// When the attack can first be seen: when the last of its activities went over, but at most
    /// a window before the evidence, because a crowd may have come long before.
    fn surge_onset(&self, over: &[ActivityId]) -> Option<WallTime> {
        let since = |id: &ActivityId| self.activity(*id)?.over_since;
        let last = over.iter().filter_map(since).max()?;
        let Some(hostile) = self.hostile_since else { return Some(last) };
        Some(last.clamp(hostile - TICK * HEALTH as u32, hostile))
    }

    /// The evidence that the requests of these activities give.
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
        let pressing = self.over(settings, wall, false, ActivityWatch::forwarding_per_second);
        let evidence = self.evidence(&pressing, |request| request.forwarded, None);
        let of_senders = evidence
            .iter()
            .map(|e| e.kind)
            .filter(|kind| *kind != EvidenceKind::UnansweredChallenges)
            .map(EvidenceKind::strength);
        if self.saturated_ticks > 0 || EvidenceWeight::hostile(of_senders) {
            pressing
        } else {
            Vec::new()
        }
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

    fn judge(
        &mut self,
        settings: &WatchSettings,
        wall: WallTime,
        over: &[ActivityId],
        evidence: &[Evidence],
    ) {
        let hostile = EvidenceWeight::hostile(evidence.iter().map(|e| e.kind.strength()));
        // Once procedures stop what is hostile, there may be little left to see of it but the
        // stopping itself. Programs that cannot answer a challenge are no attack while they ask
        // for no more than usual.
        let held_off = self.judgement == TrafficState::Attack
            && !over.is_empty()
            && self.stopped_per_second() >= u64::from(settings.surge_min_rate / 2).max(1);
        if hostile || held_off {
            self.confirmed = (self.confirmed + 1).min(CONFIRM);
            self.hostile_since.get_or_insert(wall - TICK);
        } else {
            self.confirmed = 0;
            self.hostile_since = None;
        }
        let warm = over.iter().filter_map(|id| self.activity(*id)).all(|a| a.warm(settings));
        self.judgement = if self.confirmed >= CONFIRM {
            TrafficState::Attack
        } else if !over.is_empty() && warm {
            TrafficState::Surge
        } else {
            TrafficState::Normal
        };
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
        wall: WallTime,
        tick: &[ActivityCounts],
        left: &[SampledRequest],
        engaged: bool,
        unsuspicious: bool,
    ) {
        if engaged || self.judgement == TrafficState::Attack || self.confirmed > 0 {
            return;
        }
        let surge = self.judgement == TrafficState::Surge;
        let degraded = self.saturated_ticks > 0;
        if unsuspicious {
            for request in left {
                self.memory.push(request);
            }
        }
        for (activity, counts) in self.activities.iter_mut().zip(tick) {
            let rate = activity.recent.back().map_or(0, |flow| flow.offered) * SECOND as u64;
            activity.baseline.learn(wall, rate * 1_000, surge);
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
    }
}

impl ActivityWatch {
    fn new(id: ActivityId) -> Self {
        Self {
            id,
            baseline: Baseline::default(),
            recent: VecDeque::new(),
            over_since: None,
            calm_requests: 0,
            calm_origin_micros: 0,
        }
    }

    fn offered_per_second(&self) -> u64 {
        self.recent.iter().map(|flow| flow.offered).sum()
    }

    fn forwarded_per_second(&self) -> u64 {
        self.recent.iter().map(|flow| flow.forwarded).sum()
    }

    /// By the last half second alone, so that the effect of a step is seen before the next.
    fn forwarding_per_second(&self) -> u64 {
        self.recent.iter().rev().take(SECOND / 2).map(|flow| flow.forwarded * 2).sum()
    }

    /// Whether enough has been learnt to call a multiple of the baseline a surge.
    fn warm(&self, settings: &WatchSettings) -> bool {
        u128::from(self.baseline.learnt()) * TICK.as_millis() >= settings.warm_up.as_millis()
    }
}

fn push<T>(ring: &mut VecDeque<T>, item: T, limit: usize) {
    if ring.len() >= limit {
        ring.pop_front();
    }
    ring.push_back(item);
}
