//! The health of one origin, by what visitors get from it.
//!
//! Shares of failed and late answers are judged with their uncertainty, so that ten failures of ten
//! requests count on a small site as a hundred of a thousand do on a large one. What has begun ends only
//! when answers show it. Without traffic the gate asks the origin itself: see
//! [`OriginHealth::wants_probe`].

use core::time::Duration;

use portcullis_model::{ActivityCounts, OriginResult, Outcome, PlatformId, TICK, WallTime};
use serde::{Deserialize, Serialize};

use crate::answer_window::{AnswerWindows, Answers, PriorBelief};
use crate::observation::{OriginDegradation, OriginOutage, OriginProblem};

/// What is usual counts like this number of answers.
const PRIOR_ANSWERS: u64 = 20;
/// The share of bad answers that is called a degradation, in thousandths: one page in twenty.
const BAD_SHARE: u64 = 50;
/// Failures are over once their share is surely under this, in thousandths.
const FAILED_END_SHARE: u64 = 100;
/// An overload is over once the share of late answers is surely under this, in thousandths, and is no
/// more than [`BAD_SHARE`]: what is engaged against it costs visitors, so it ends soon.
const LATE_END_SHARE: u64 = 250;
/// An origin that leaves more than this share without an answer is down, in thousandths.
const DOWN_SHARE: u64 = 500;
/// An origin that was down is up once the share is surely under this, in thousandths.
const UP_SHARE: u64 = 300;
/// A share that is usual is no degradation: only this many times as much is.
const USUAL_FACTOR: u64 = 3;
/// The usual share is taken from the newest of this many answers.
const USUAL_ANSWERS: u64 = 100_000;
/// Requests in a row that must be answered before a degradation is over, if there are any.
const SERVED_IN_A_ROW: u64 = 3;
/// Requests that wait for a connection, and are a queue.
const QUEUE: u64 = 32;
/// Ticks with answers before the usual latency is known: ten seconds.
const LATENCY_TICKS: u32 = 40;
/// No origin is slow that answers faster than this.
const SLOW_MIN: Duration = Duration::from_secs(1);
/// An answer is slow if it takes this many times the usual 95th percentile.
const SLOW_FACTOR: u64 = 5;
/// A queue is over when there was none for this number of ticks: a second.
const QUEUE_TICKS: u32 = 4;

/// Ticks without an answer after which the origin is asked: ten seconds.
const IDLE_TICKS: u32 = 40;
/// Ticks between questions while something may be wrong: a second.
const SUSPICIOUS_TICKS: u32 = 4;

/// What is known about one origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OriginHealth {
    /// Whether the gate may ask the origin itself.
    probes: bool,
    failed: ShareState,
    late: ShareState,
    /// Failed or late, with the answers to probes.
    unserved: AnswerWindows,
    probed: AnswerWindows,
    /// One per activity, in their order.
    activities: Vec<AnswerWindows>,
    /// Failures whose origin was reached and answered 500 or above.
    answered_errors: AnswerWindows,
    outage: Option<OriginOutage>,
    /// The first of the failures that no pause of ten seconds divides.
    unserved_since: Option<WallTime>,
    /// Of these failures and the answers between them.
    since_then: Answers,
    /// Probes since then that were not answered.
    failed_probes: u64,
    /// Requests served in a row.
    in_a_row: u64,
    queue_ticks: u32,
    usual_p95_micros: u64,
    usual_p95_ticks: u32,
    ticks_since_answer: u32,
    ticks_since_probe: u32,
    probe_results: Answers,
}

/// What is known about the origin of one platform, as it passes between processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginRecord {
    /// Whose origin.
    pub platform: PlatformId,
    pub(crate) health: OriginHealth,
}

/// Whether a share of bad answers is unusual.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareState {
    /// It is usual again once it is surely under this, in thousandths.
    end_share: u64,
    windows: AnswerWindows,
    usual: Answers,
    /// The answers by which it was found unusual.
    unusual: Option<Answers>,
}

impl ShareState {
    fn new(end_share: u64) -> Self {
        Self {
            end_share,
            windows: AnswerWindows::default(),
            usual: Answers::default(),
            unusual: None,
        }
    }

    /// Takes one tick. `may_end`: the newest answers do not contradict an end.
    fn observe(&mut self, tick: Answers, may_end: bool) {
        let minute_ago = self.windows.push(tick);
        let usual = self.usual.bad * 1_000 / self.usual.all.max(1);
        let threshold = BAD_SHARE.max(usual * USUAL_FACTOR).min(900);
        if self.unusual.is_some() {
            let end_share = self.end_share.max(threshold);
            let good = |sum: Answers| {
                sum.bad * 1_000 <= sum.all * threshold
                    && sum.is_surely_under(end_share, PriorBelief::NONE)
            };
            if may_end && self.windows.find(good).is_some() {
                self.unusual = None;
                self.windows.clear();
            }
            return;
        }
        let prior = PriorBelief::of(PRIOR_ANSWERS, usual.max(5));
        self.unusual = self.windows.find(|sum| sum.is_surely_over(threshold, prior));
        if self.unusual.is_some() {
            self.windows.clear();
        } else {
            // A minute late, so that what is just becoming unusual is not learnt.
            self.usual.add(minute_ago);
            if self.usual.all > USUAL_ANSWERS {
                self.usual = Answers { all: self.usual.all / 2, bad: self.usual.bad / 2 };
            }
        }
    }
}

impl OriginHealth {
    /// Nothing is known yet. `probes`: whether the gate may ask the origin itself.
    pub(crate) fn new(probes: bool) -> Self {
        Self {
            probes,
            failed: ShareState::new(FAILED_END_SHARE),
            late: ShareState::new(LATE_END_SHARE),
            unserved: AnswerWindows::default(),
            probed: AnswerWindows::default(),
            activities: Vec::new(),
            answered_errors: AnswerWindows::default(),
            outage: None,
            unserved_since: None,
            since_then: Answers::default(),
            failed_probes: 0,
            in_a_row: 0,
            queue_ticks: QUEUE_TICKS,
            usual_p95_micros: 0,
            usual_p95_ticks: 0,
            ticks_since_answer: IDLE_TICKS,
            ticks_since_probe: IDLE_TICKS,
            probe_results: Answers::default(),
        }
    }

    /// Continues with what another process knew.
    pub(crate) fn restore(&mut self, known: Self) {
        let probes = self.probes;
        *self = known;
        self.probes = probes;
    }

    /// Whether the gate may ask the origin itself, from now on.
    pub(crate) const fn set_probes(&mut self, probes: bool) {
        self.probes = probes;
    }

    /// The result of a question of the gate's own.
    pub(crate) fn probed(&mut self, answered: bool) {
        self.probe_results.add(Answers { all: 1, bad: u64::from(!answered) });
    }

    /// Takes one tick's counters by activity, and how many requests wait for a connection.
    pub(crate) fn observe(&mut self, wall: WallTime, tick: &[ActivityCounts], waiting: u64) {
        let mut all = ActivityCounts::default();
        self.activities.resize_with(tick.len(), AnswerWindows::default);
        for (windows, counts) in self.activities.iter_mut().zip(tick) {
            windows.push(Results::of(counts).unserved());
            all.add(counts);
        }
        let results = Results::of(&all);
        let probes = core::mem::take(&mut self.probe_results);
        let slow = self.slow(&all);
        self.count(wall, results, probes);

        let recent = self.unserved.minute();
        let row = self.in_a_row >= SERVED_IN_A_ROW || recent.all == self.probed.minute().all;
        // Probes replace requests where there are none, and help a small site to recover.
        let quiet = self.unserved.ten_seconds().all == self.probed.ten_seconds().all;
        // A failed probe shows no overload.
        let observe = |state: &mut ShareState, bad: u64, probed: bool| {
            let mut answers = Answers { all: results.all(), bad: bad.min(results.all()) };
            if probed || state.unusual.is_some() {
                answers.add(probes);
            }
            state.observe(answers, row);
        };
        observe(&mut self.failed, results.errors + results.unreachable, quiet);
        observe(&mut self.late, results.late + slow, false);
        self.queue_ticks = if waiting >= QUEUE { 0 } else { self.queue_ticks.saturating_add(1) };
        self.judge_outage(results, probes);
        self.learn_latency(&all);
    }

    fn count(&mut self, wall: WallTime, results: Results, probes: Answers) {
        let mut unserved = results.unserved();
        self.answered_errors.push(Answers { all: unserved.bad, bad: results.errors });
        if results.unserved().bad > 0 {
            self.in_a_row = 0;
        } else {
            self.in_a_row = self.in_a_row.saturating_add(results.served);
        }
        unserved.add(probes);
        self.unserved.push(unserved);
        self.probed.push(probes);
        self.ticks_since_probe = self.ticks_since_probe.saturating_add(1);
        self.ticks_since_answer =
            if unserved.all > 0 { 0 } else { self.ticks_since_answer.saturating_add(1) };
        if self.unserved.ten_seconds().bad == 0 && self.outage.is_none() {
            self.forget_failures();
        }
        if unserved.bad > 0 {
            self.unserved_since.get_or_insert(wall - TICK);
        }
        if self.unserved_since.is_some() {
            self.since_then.add(results.unserved());
            self.failed_probes += probes.bad;
        }
    }

    fn forget_failures(&mut self) {
        self.unserved_since = None;
        self.since_then = Answers::default();
        self.failed_probes = 0;
    }

    fn judge_outage(&mut self, results: Results, probes: Answers) {
        if let Some(outage) = &mut self.outage {
            outage.unserved += results.unserved().bad;
            outage.served += results.served;
            outage.failed_probes += probes.bad;
            let up = |sum: Answers| sum.is_surely_under(UP_SHARE, PriorBelief::NONE);
            if self.unserved.find(up).is_some() {
                self.outage = None;
                self.forget_failures();
                self.unserved.clear();
                self.failed.windows.clear();
                self.late.windows.clear();
            }
            return;
        }
        let down = |sum: Answers| sum.is_surely_over(DOWN_SHARE, PriorBelief::NONE);
        let degraded = self.failed.unusual.is_some() || self.late.unusual.is_some();
        let Some(since) = self.unserved_since.filter(|_| degraded) else { return };
        if self.unserved.find(down).is_none() || self.serves_something() || !self.is_confirmed() {
            return;
        }
        self.outage = Some(OriginOutage {
            since,
            unserved: self.since_then.bad,
            served: self.since_then.good(),
            failed_probes: self.failed_probes,
        });
        self.unserved.clear();
    }

    /// Whether one of its activities, or a probe, shows that it serves people: then it is degraded.
    fn serves_something(&self) -> bool {
        let serves =
            |w: &AnswerWindows| w.ten_seconds().is_surely_under(DOWN_SHARE, PriorBelief::NONE);
        self.activities.iter().any(serves) || serves(&self.probed)
    }

    /// Error pages may be one visitor's who asks for the same broken page again and again: then a probe
    /// must have failed too.
    fn is_confirmed(&self) -> bool {
        let errors = self.answered_errors.ten_seconds();
        !self.probes || errors.bad * 2 < errors.all || self.probed.ten_seconds().bad > 0
    }

    /// Whether the gate is to ask the origin now: where nothing was answered for ten seconds, and each
    /// second while something may be wrong. Counts as asked.
    pub(crate) fn wants_probe(&mut self) -> bool {
        let recent = self.unserved.ten_seconds();
        let suspicious = self.outage.is_some()
            || self.failed.unusual.is_some()
            || (recent.bad > 0 && recent.bad * 2 >= recent.all);
        let due = if suspicious {
            self.ticks_since_probe >= SUSPICIOUS_TICKS
        } else {
            self.ticks_since_answer >= IDLE_TICKS && self.ticks_since_probe >= IDLE_TICKS
        };
        if self.probes && due {
            self.ticks_since_probe = 0;
        }
        self.probes && due
    }

    /// The outage that lasts.
    pub(crate) const fn outage(&self) -> Option<&OriginOutage> {
        self.outage.as_ref()
    }

    /// Whether and how it is degraded. An overload is named before failures: less load would help.
    ///
    /// Many origins drown in errors, not in slow answers: what fails while far more than usual is
    /// asked of it (`overloaded`) has more to do than it can.
    pub(crate) fn degradation(&self, waiting: u64, overloaded: bool) -> Option<OriginDegradation> {
        let degradation = |problem, summary| Some(OriginDegradation { problem, summary });
        if let Some(answers) = self.late.unusual {
            let summary = format!(
                "{} of {} requests were not answered in time, or far more slowly than usual",
                answers.bad, answers.all
            );
            return degradation(OriginProblem::Saturated, summary);
        }
        if self.queue_ticks < QUEUE_TICKS {
            let summary = format!("{waiting} requests wait for a free connection to the origin");
            return degradation(OriginProblem::Saturated, summary);
        }
        let answers = self.failed.unusual?;
        let summary = format!("{} of {} requests failed at the origin", answers.bad, answers.all);
        let problem = if overloaded { OriginProblem::Saturated } else { OriginProblem::Failing };
        degradation(problem, summary)
    }

    /// Answers that took far longer than usual.
    fn slow(&self, all: &ActivityCounts) -> u64 {
        if self.usual_p95_ticks < LATENCY_TICKS {
            return 0;
        }
        let limit = SLOW_MIN.max(Duration::from_micros(self.usual_p95_micros * SLOW_FACTOR));
        // Late answers are in the histogram too.
        let late = Results::of(all).late;
        all.latency.count_over(limit).saturating_sub(late)
    }

    fn learn_latency(&mut self, all: &ActivityCounts) {
        if self.late.unusual.is_some() || self.queue_ticks < QUEUE_TICKS {
            return;
        }
        let Some(p95) = all.latency.quantile(950) else { return };
        self.usual_p95_ticks = self.usual_p95_ticks.saturating_add(1);
        let weight = u64::from(self.usual_p95_ticks).min(64);
        let p95 = p95.as_micros() as u64;
        self.usual_p95_micros = (self.usual_p95_micros * (weight - 1) + p95) / weight;
    }
}

/// What the origin made of the requests of one tick.
#[derive(Clone, Copy, Debug, Default)]
struct Results {
    served: u64,
    errors: u64,
    unreachable: u64,
    late: u64,
}

impl Results {
    fn of(counts: &ActivityCounts) -> Self {
        let mut results = Self::default();
        for outcome in Outcome::ALL {
            let count = match outcome.origin_result() {
                Some(OriginResult::Served) => &mut results.served,
                Some(OriginResult::Error) => &mut results.errors,
                Some(OriginResult::Unreachable) => &mut results.unreachable,
                Some(OriginResult::Late) => &mut results.late,
                None => continue,
            };
            *count += counts.outcome(*outcome);
        }
        results
    }

    const fn all(self) -> u64 {
        self.served + self.errors + self.unreachable + self.late
    }

    const fn unserved(self) -> Answers {
        Answers { all: self.all(), bad: self.errors + self.unreachable + self.late }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An origin, its visitors, and the gate's questions.
    struct Site {
        health: OriginHealth,
        wall: WallTime,
        /// Requests not yet made, in thousandths.
        due: u64,
        per_second: u64,
        probes: u64,
        changes: Vec<(u64, bool)>,
        tick: u64,
    }

    /// How an origin answers.
    type Answer = fn(u64) -> Outcome;

    impl Site {
        fn new(per_second_milli: u64) -> Self {
            Self {
                health: OriginHealth::new(true),
                wall: WallTime(1_700_000_000_000),
                due: 0,
                per_second: per_second_milli,
                probes: 0,
                changes: Vec::new(),
                tick: 0,
            }
        }

        fn run(&mut self, seconds: u64, answer: Answer, probe: Option<bool>) {
            for _ in 0..seconds * 4 {
                self.tick += 1;
                self.wall = self.wall + TICK;
                self.due += self.per_second;
                let mut counts = ActivityCounts::default();
                while self.due >= 4_000 {
                    self.due -= 4_000;
                    let outcome = answer(self.due + self.tick);
                    counts.outcomes[outcome as usize] += 1;
                    counts.latency.0[20] += 1;
                }
                let was_down = self.health.outage().is_some();
                self.health.observe(self.wall, &[counts], 0);
                if self.health.wants_probe() {
                    self.probes += 1;
                    if let Some(answered) = probe {
                        self.health.probed(answered);
                    }
                }
                let down = self.health.outage().is_some();
                if down != was_down {
                    self.changes.push((self.tick / 4, down));
                }
            }
        }

        fn is_degraded(&self) -> bool {
            self.health.degradation(0, false).is_some()
        }
    }

    const SERVED: Answer = |_| Outcome::Served;
    const REFUSED: Answer = |_| Outcome::OriginRefused;

    #[test]
    fn a_dead_origin_is_down_on_a_site_of_any_size_and_up_only_by_answers() {
        for per_second_milli in [0, 17, 300, 4_000, 10_000, 500_000] {
            let mut site = Site::new(per_second_milli);
            site.run(120, SERVED, Some(true));
            assert_eq!(site.changes, [], "{per_second_milli}");
            site.run(300, REFUSED, Some(false));
            assert_eq!(site.changes.len(), 1, "{per_second_milli}: {:?}", site.changes);
            let noticed = site.changes[0].0 - 120;
            let limit = if per_second_milli >= 4_000 { 6 } else { 40 };
            assert!(noticed <= limit, "{per_second_milli}: after {noticed} s");
            let degradation = site.health.degradation(0, false).unwrap();
            assert_eq!(degradation.problem, OriginProblem::Failing, "less load would not help");
            site.run(120, SERVED, Some(true));
            assert_eq!(site.changes.len(), 2, "{per_second_milli}: {:?}", site.changes);
            let back = site.changes[1].0 - 420;
            assert!((1..=30).contains(&back), "{per_second_milli}: after {back} s");
            assert!(!site.is_degraded());
        }
    }

    #[test]
    fn silence_is_neither_an_outage_nor_a_recovery() {
        let mut site = Site::new(4_000);
        site.run(60, SERVED, None);
        site.per_second = 0;
        site.run(600, SERVED, None);
        assert_eq!(site.changes, []);
        assert!(site.probes >= 50, "it is asked all the while: {}", site.probes);
        site.per_second = 4_000;
        site.run(60, REFUSED, None);
        site.per_second = 0;
        site.run(600, SERVED, None);
        assert_eq!(site.changes.len(), 1, "{:?}", site.changes);
    }

    #[test]
    fn a_broken_page_that_one_visitor_reloads_is_no_outage() {
        let mut site = Site::new(2_000);
        site.run(60, SERVED, Some(true));
        site.run(120, |_| Outcome::OriginError, Some(true));
        assert_eq!(site.changes, []);
        assert!(site.is_degraded());
    }

    #[test]
    fn an_activity_that_is_served_shows_that_the_origin_is_up() {
        let mut health = OriginHealth::new(false);
        let mut wall = WallTime(0);
        for _ in 0..240 {
            wall = wall + TICK;
            let counts = |outcome: Outcome, count| {
                let mut counts = ActivityCounts::default();
                counts.outcomes[outcome as usize] = count;
                counts
            };
            // The attacked search fails; the pages do not.
            let tick = [counts(Outcome::OriginTimeout, 90), counts(Outcome::Served, 10)];
            health.observe(wall, &tick, 0);
        }
        assert!(health.outage().is_none());
        let degradation = health.degradation(0, false).unwrap();
        assert_eq!(degradation.problem, OriginProblem::Saturated);
    }

    #[test]
    fn a_share_of_failures_that_is_usual_here_is_no_degradation() {
        let mut site = Site::new(40_000);
        // One in 33 fails, as ever.
        let usual: Answer = |n| {
            if n.is_multiple_of(33) { Outcome::OriginError } else { Outcome::Served }
        };
        site.run(600, usual, Some(true));
        assert!(!site.is_degraded());
        assert_eq!(site.changes, []);
    }

    #[test]
    fn a_share_above_the_threshold_of_others_ends_where_it_is_usual_here() {
        let mut state = ShareState::new(FAILED_END_SHARE);
        state.usual = Answers { all: 10_000, bad: 1_000 };
        // Out of order for five seconds; then one in ten fails, as ever.
        (0..20).for_each(|_| state.observe(Answers { all: 20, bad: 20 }, true));
        assert!(state.unusual.is_some());
        (0..80).for_each(|_| state.observe(Answers { all: 20, bad: 2 }, true));
        assert_eq!(state.unusual, None);
    }

    #[test]
    fn an_origin_that_fails_half_the_time_does_not_flicker() {
        let mut site = Site::new(10_000);
        site.run(60, SERVED, Some(true));
        let mut degraded = 0;
        for _ in 0..300 {
            site.run(
                1,
                |n| if n % 7 < 4 { Outcome::OriginUnreachable } else { Outcome::Served },
                Some(true),
            );
            degraded += u64::from(site.is_degraded());
        }
        assert!(degraded > 280, "{degraded} of 300 seconds");
        assert!(site.changes.len() <= 1, "{:?}", site.changes);
    }

    proptest! {
        #[test]
        fn an_outage_counts_no_request_twice(
            seconds in prop::collection::vec((0_u8..4, 1_u64..20), 1..30),
        ) {
            let mut site = Site::new(8_000);
            let mut total = 0;
            let mut counted = 0;
            let mut last: Option<OriginOutage> = None;
            for (kind, seconds) in seconds {
                for _ in 0..seconds {
                    let answer = if kind == 0 { SERVED } else { REFUSED };
                    total += if kind == 0 { 0 } else { 8 };
                    site.run(1, answer, Some(kind == 0));
                    let now = site.health.outage().copied();
                    if let (Some(outage), None) = (last, now) {
                        counted += outage.unserved;
                    }
                    last = now;
                }
            }
            counted += last.map_or(0, |outage| outage.unserved);
            prop_assert!(counted <= total + 8, "{counted} of {total}");
        }
    }
}
