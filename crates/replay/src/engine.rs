//! The recorded requests, through the gate and the control loop, with log time for a clock.

use core::time::Duration;
use std::sync::Arc;

use portcullis_gate::{
    Demands, Disposition, FeatureNameCache, Fields, Policy, Request, Secret, Tables, decide,
};
use portcullis_model::{
    ActivityId, Assignment, Config, Event, Feature, Meter, Outcome, Posture, Reason, Record,
    Snapshot, SourceKey, Time, WallTime,
};
use portcullis_posture::{Action, Control, Input, Resume};
use portcullis_watch::SourceSketch;

use crate::busiest_second::BusiestSecond;
use crate::cookie_jar::{self, CookieJar};
use crate::history::{HistoryRecorder, ReplayHistory};
use crate::impact::{HitRequest, Impact, ImpactCounter, ReplayOutcome};
use crate::known_visitors::KnownVisitors;
use crate::line::placeholder_source;
use crate::log_second::{LogSecond, ReplayLine};
use crate::reorder::SecondSink;
use crate::series::BinnedSeries;

/// Ticks in a second.
const TICKS: u64 = 4;
const TICK_MILLIS: u64 = 1_000 / TICKS;
/// After this number of ticks without a request, the gate is asked whether anything can happen before the
/// next one. If not, only the baseline has to learn.
const QUIET_TICKS: u64 = 12;
/// A longer silence is learnt as if it had lasted four weeks, the memory of the hours of the week
/// being all but lost by then.
const MAX_SILENCE_TICKS: u64 = 28 * 86_400 * TICKS;
/// Redirected more often than this, a recorded visitor leaves. The longest way through is four:
/// a wait page, its answer, a clean address, the page.
const MAX_ROUNDS: usize = 5;
/// No response is larger than a tebibyte: a larger number would only spoil the sums.
const MAX_RESPONSE_BYTES: u64 = 1 << 40;

/// What was counted besides.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplayCounts {
    pub requests: u64,
    /// Bytes that were no request.
    pub malformed: u64,
    /// Connections without a word.
    pub silent: u64,
    pub bytes: u64,
    /// Requests of which the log hides the source.
    pub without_source: u64,
    pub with_latency: u64,
    pub with_accept: u64,
    pub with_host: u64,
    pub to_the_second: u64,
    pub unfinished: u64,
    pub silence_not_learnt: Duration,
    pub busiest: BusiestSecond,
    /// The platform that requests without a host were counted for, where that is a choice.
    pub assumed: Option<String>,
    pub warm_up: Duration,
}

/// What the engine hands over at the end.
pub(crate) struct EngineOutput {
    pub first: WallTime,
    pub last: WallTime,
    pub counts: ReplayCounts,
    pub sources: u64,
    pub impact: Impact,
    pub series: BinnedSeries,
    pub history: ReplayHistory,
}

/// The second that is being played.
#[derive(Debug, Default)]
struct CurrentSecond {
    second: u64,
    offered: u64,
    forwarded: u64,
    by_platform: Vec<u64>,
    /// Lines of it played so far, and how many it is taken to have.
    lines_done: u64,
    lines_expected: u64,
}

/// Gate, watch and posture around a recording.
pub(crate) struct Engine {
    config: Arc<Config>,
    policy: Policy,
    tables: Tables,
    control: Control,
    meter: Meter,
    lexicon: FeatureNameCache,
    /// The host of lines that name none.
    host: String,
    /// The first second, since 1970; none before the first line.
    start: Option<u64>,
    ticks: u64,
    idle: u64,
    now: Time,
    current: CurrentSecond,
    engaged: bool,
    /// By platform: when the posture left `open`, in seconds from the start.
    left_open: Vec<Option<u32>>,
    cookies: CookieJar,
    known_visitors: KnownVisitors,
    impact: ImpactCounter,
    counts: ReplayCounts,
    sources: SourceSketch,
    series: BinnedSeries,
    history: HistoryRecorder,
    actions: Vec<Action>,
}

impl Engine {
    pub(crate) fn new(config: Arc<Config>, secret: Secret) -> Self {
        let policy = Policy::new(Arc::clone(&config), secret.clone());
        let hosts = config.platforms.first().map(|platform| platform.hosts.as_slice());
        let host = hosts.and_then(<[String]>::first).map_or("*", String::as_str);
        let assumed = config.platforms.first().filter(|_| host != "*").map(|p| p.name.clone());
        let warm_up = config.watch.warm_up;
        Self {
            tables: Tables::new(config.limits.source_table_size, secret),
            control: Control::new(Arc::clone(&config), WallTime(0), &Resume::default())
                .for_recorded_requests(),
            meter: Meter::new(policy.ids().activity_count()),
            lexicon: FeatureNameCache::new(),
            host: if host == "*" { "recorded.invalid".into() } else { host.to_owned() },
            start: None,
            ticks: 0,
            idle: 0,
            now: Time(0),
            current: CurrentSecond::default(),
            engaged: false,
            left_open: vec![None; config.platforms.len()],
            cookies: CookieJar::default(),
            known_visitors: KnownVisitors::default(),
            impact: ImpactCounter::default(),
            counts: ReplayCounts { assumed, warm_up, ..ReplayCounts::default() },
            sources: SourceSketch::default(),
            series: BinnedSeries::default(),
            history: HistoryRecorder::default(),
            actions: Vec::new(),
            policy,
            config,
        }
    }

    /// Ends the replay. `None` if there was no line.
    pub(crate) fn finish(mut self) -> Option<EngineOutput> {
        let start = self.start?;
        self.end_second();
        let ids = self.policy.ids();
        let impact = self.impact.finish(|id| {
            let (platform, activity) = ids.activity_name(id).unwrap_or_default();
            (ids.platform_name(platform).to_owned(), activity.to_owned())
        });
        Some(EngineOutput {
            first: WallTime(start * 1_000),
            last: WallTime(self.current.second * 1_000),
            counts: self.counts,
            sources: self.sources.estimate(),
            impact,
            series: self.series,
            history: self.history.finish(),
        })
    }

    fn wall(&self) -> WallTime {
        WallTime(self.start.unwrap_or(0) * 1_000 + self.ticks * TICK_MILLIS)
    }

    /// One tick of the control loop.
    fn tick(&mut self) {
        self.ticks += 1;
        self.idle += 1;
        let (now, wall) = (Time::from_millis(self.ticks * TICK_MILLIS), self.wall());
        let mut total = Snapshot::default();
        self.meter.add_to(&mut total);
        let mut actions = core::mem::take(&mut self.actions);
        self.control.step(now, wall, Input::Tick(total), &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Record(event) => self.record_event(wall, event),
                // There is no origin to ask.
                Action::Probe(_) => {}
                Action::Engage(procedures) => {
                    self.engaged = !procedures.is_empty();
                    self.policy = self.policy.with_procedures(&procedures);
                    if !self.engaged {
                        self.cookies.clear();
                    }
                }
            }
        }
        self.actions = actions;
        if self.ticks.is_multiple_of(TICKS) {
            self.record_baseline(1);
        }
    }

    fn record_event(&mut self, wall: WallTime, event: Event) {
        if let Event::PostureChanged { platform, to, .. } = &event {
            let at = self.config.platforms.iter().position(|p| p.name == *platform);
            if let Some(left) = at.and_then(|at| self.left_open.get_mut(at)) {
                let second = (self.ticks / TICKS) as u32;
                *left = (*to != Posture::Open).then(|| left.unwrap_or(second));
            }
        }
        self.history.apply(wall, event);
    }

    /// Notes what was expected over the last `seconds`.
    fn record_baseline(&mut self, seconds: u64) {
        let expected = self.control.view(self.now).iter().map(|view| view.baseline_milli).sum();
        let second = self.start.unwrap_or(0) + self.ticks / TICKS;
        self.series.expect(second.saturating_sub(1), expected, seconds);
    }

    /// Runs the clock until `tick` without a request.
    fn wait_until(&mut self, tick: u64) {
        while self.ticks < tick {
            let open = self.left_open.iter().all(Option::is_none);
            let quiet = self.idle >= QUIET_TICKS && open && !self.engaged;
            // Whole seconds, and a tick after them.
            let whole = self.ticks.is_multiple_of(TICKS) && tick - self.ticks > TICKS;
            if quiet && whole && self.control.is_calm() {
                self.skip_silence(tick);
            } else {
                self.tick();
            }
        }
    }

    /// Lets a stretch of silence pass while nothing can happen: the baseline learns what as many
    /// ticks would have taught it, and only the last one is a full tick.
    fn skip_silence(&mut self, until: u64) {
        let left = until - self.ticks;
        if left > MAX_SILENCE_TICKS {
            let skipped = (left - MAX_SILENCE_TICKS) / TICKS * TICKS;
            self.counts.silence_not_learnt += Duration::from_millis(skipped * TICK_MILLIS);
            self.ticks += skipped;
        }
        // As often as the series has use for the baseline.
        let stretch = self.series.bin_seconds.clamp(60, 600);
        let seconds = stretch.min((until - self.ticks - 1) / TICKS);
        let (now, wall) = (self.now, self.wall());
        self.control.step(now, wall, Input::Silence { seconds }, &mut self.actions);
        self.ticks += seconds * TICKS;
        self.tick();
        if seconds > 1 {
            self.record_baseline(seconds);
        }
    }

    /// Runs the clock to the end of the second that is being played, and files its counts.
    fn end_second(&mut self) {
        let Some(start) = self.start else { return };
        let end = (self.current.second + 1 - start) * TICKS;
        self.wait_until(end);
        let CurrentSecond { second, offered, forwarded, .. } = self.current;
        self.series.count(second, offered, forwarded);
        for (platform, offered) in self.config.platforms.iter().zip(&mut self.current.by_platform) {
            self.history.record_second(&platform.name, *offered);
            *offered = 0;
        }
        if offered > self.counts.busiest.requests {
            self.counts.busiest = BusiestSecond { at: WallTime(second * 1_000), requests: offered };
        }
    }

    fn begin_second(&mut self, second: u64) {
        let start = if let Some(start) = self.start {
            start
        } else {
            // The loop's tallies begin where the recording does.
            let wall = WallTime(second * 1_000);
            self.control = Control::new(Arc::clone(&self.config), wall, &Resume::default())
                .for_recorded_requests();
            *self.start.insert(second)
        };
        self.wait_until((second - start) * TICKS);
        let by_platform = core::mem::take(&mut self.current.by_platform);
        let before = self.current.lines_done;
        self.current = CurrentSecond {
            second,
            lines_expected: before,
            by_platform,
            ..CurrentSecond::default()
        };
        self.current.by_platform.resize(self.config.platforms.len(), 0);
    }

    /// Plays one line, `nanos` into its second.
    fn line(&mut self, line: &ReplayLine<'_>, nanos: u64) {
        self.idle = 0;
        if let Some(source) = line.source {
            self.sources.add(source);
        }
        if line.method.is_empty() {
            self.count_non_request(line);
            return;
        }
        self.counts.requests += 1;
        self.counts.bytes += line.bytes.min(MAX_RESPONSE_BYTES);
        self.counts.without_source += u64::from(line.source.is_none());
        self.counts.with_latency += u64::from(line.latency.is_some());
        self.counts.with_accept += u64::from(line.accept.is_some());
        self.counts.with_host += u64::from(line.host.is_some());
        // A source that is hidden is another one for each request: no limit and no evidence that
        // counts by source can then find anything.
        let source =
            line.source.unwrap_or_else(|| placeholder_source(spread(self.counts.requests)));
        let visitor = cookie_jar::visitor_id(source, line.user_agent);
        let (record, outcome) = self.request(line, source, visitor, nanos);
        self.current.offered += 1;
        let Some(Assignment { platform, activity }) = record.assigned else {
            self.impact.refuse(record.reason);
            return;
        };
        let platform = usize::from(platform.0);
        self.current.by_platform[platform] += 1;
        self.current.forwarded +=
            u64::from(matches!(outcome, ReplayOutcome::Forwarded | ReplayOutcome::Delayed));
        self.impact.count(activity, outcome);
        let second = (self.ticks / TICKS) as u32;
        let left_open = self.left_open[platform];
        if outcome.is_hit() {
            let hit = HitRequest {
                visitor,
                source,
                hidden: line.source.is_none(),
                known: self.known_visitors.is_known(visitor, left_open.unwrap_or(second)),
                user_agent: (record.features.get(Feature::UserAgent), line.user_agent),
                path: (record.features.get(Feature::Path), line.path),
            };
            self.impact.add_hit(outcome, &hit);
        } else if outcome == ReplayOutcome::Forwarded
            && left_open.is_none()
            && line.source.is_some()
        {
            self.known_visitors.record(visitor, second);
        }
    }

    /// What came was no request: the edge answers it without asking the gate.
    fn count_non_request(&mut self, line: &ReplayLine<'_>) {
        if line.sent_bytes {
            self.counts.malformed += 1;
            self.impact.refuse(Reason::Malformed);
            self.meter.record_verdict(None, Reason::Malformed);
        } else {
            self.counts.silent += 1;
        }
    }

    /// Sends a recorded request through the gate, round by round as long as it is challenged.
    fn request(
        &mut self,
        line: &ReplayLine<'_>,
        source: SourceKey,
        visitor: u64,
        nanos: u64,
    ) -> (Record, ReplayOutcome) {
        let start = self.start.unwrap_or(0);
        let at = (self.current.second - start) * 1_000_000_000 + nanos;
        self.now = Time(at.max(self.now.nanos() + 1));
        let mut wall = WallTime(self.current.second * 1_000 + nanos / 1_000_000);
        let mut retried: Option<String> = None;
        let mut round = 0;
        loop {
            let query = retried.as_deref().or(line.query);
            let cookie = if self.engaged { self.cookies.get(visitor) } else { None };
            let fields = LoggedFields { line, cookie };
            let request = Request {
                source,
                host: line.host.unwrap_or(&self.host),
                method: line.method,
                path: line.path,
                query,
                secure: true,
                tls_client: None,
                fields: &fields,
                demands: Demands::default(),
            };
            let decision = decide(&self.policy, &self.tables, &request, self.now, wall);
            let mut record = decision.record;
            // Which pages a visitor asked for without their assets is about single visitors too.
            record.page &= line.source.is_some();
            let activity = record.assigned.map(|assigned| assigned.activity);
            self.meter.record_verdict(activity, record.reason);
            let (now, control, actions) = (self.now, &mut self.control, &mut self.actions);
            self.lexicon.sight(&request, &record, &mut |name| {
                control.step(now, wall, Input::FeatureName(name), actions);
            });
            control.step(now, wall, Input::Record(record), actions);
            round += 1;
            let set_cookie = match decision.answer {
                Disposition::Forward { assigned, cookie, .. } => {
                    if let Some(cookie) = cookie {
                        self.cookies.store(visitor, &cookie);
                    }
                    self.record_outcome(line, assigned.activity);
                    let outcome =
                        if round == 1 { ReplayOutcome::Forwarded } else { ReplayOutcome::Delayed };
                    return (record, outcome);
                }
                Disposition::Refuse { .. } => {
                    return (record, ReplayOutcome::Refused(record.reason));
                }
                Disposition::Redirect { location, cookie } => {
                    retried = query_of(&location);
                    cookie
                }
                Disposition::WaitPage { seconds, continue_to } => {
                    wall = wall + Duration::from_secs(u64::from(seconds));
                    retried = query_of(&continue_to);
                    None
                }
            };
            if let Some(cookie) = set_cookie {
                self.cookies.store(visitor, &cookie);
            }
            if round == MAX_ROUNDS {
                self.counts.unfinished += 1;
                return (record, ReplayOutcome::Refused(record.reason));
            }
        }
    }

    /// What the recorded server made of it.
    fn record_outcome(&self, line: &ReplayLine<'_>, activity: ActivityId) {
        let outcome = if line.status >= 500 { Outcome::OriginError } else { Outcome::Served };
        let latency = line.latency.unwrap_or_default();
        self.meter.record_outcome(activity, outcome, latency, latency);
        self.meter.record_bytes(activity, 0, line.bytes.min(MAX_RESPONSE_BYTES));
    }
}

impl SecondSink for Engine {
    fn take_second(&mut self, second: u64, lines: &mut LogSecond, more: bool) {
        if self.start.is_none() || self.current.second != second {
            self.end_second();
            self.begin_second(second);
        }
        let count = lines.len() as u64;
        let (has_millis, current) = (lines.has_millis(), &mut self.current);
        // Of a second that is only known in part, the second before shows how much is to come.
        current.lines_expected = if more {
            current.lines_expected.max((current.lines_done + count) * 2)
        } else {
            current.lines_done + count
        };
        self.counts.to_the_second += if has_millis { 0 } else { count };
        let start = self.start.unwrap_or(0);
        for line in lines.iter() {
            let CurrentSecond { lines_done: played, lines_expected: expected, .. } = self.current;
            // Logs that know only the second: its lines are spread evenly over it.
            let nanos = if has_millis && !more {
                u64::from(line.millis) * 1_000_000
            } else {
                (played * 1_000_000_000 / expected.max(1)).min(999_999_999)
            };
            let tick = (second - start) * TICKS + nanos / (TICK_MILLIS * 1_000_000);
            while self.ticks < tick {
                self.tick();
            }
            self.line(&line, nanos);
            self.current.lines_done += 1;
        }
    }
}

/// The header fields that a log records.
struct LoggedFields<'a> {
    line: &'a ReplayLine<'a>,
    cookie: Option<&'a str>,
}

impl Fields for LoggedFields<'_> {
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        let fields = [
            ("user-agent", self.line.user_agent),
            ("accept", self.line.accept),
            ("accept-language", self.line.language),
            ("referer", self.line.referer),
            ("cookie", self.cookie),
            // The status of the response shows what the request must have carried.
            ("range", (self.line.status == 206).then_some("bytes=0-")),
            ("if-none-match", (self.line.status == 304).then_some("*")),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                visit(name, value.as_bytes());
            }
        }
    }
}

/// Spreads the bits of a number, so that stand-ins for sources do not share places in tables.
const fn spread(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn query_of(location: &str) -> Option<String> {
    location.split_once('?').map(|(_, query)| query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reorder::ReorderBuffer;

    fn engine() -> Engine {
        let listen = "127.0.0.1:8080".parse().expect("an address");
        let origin = portcullis_model::OriginConfig::new("127.0.0.1".into(), 3_000);
        Engine::new(Arc::new(Config::for_origin(listen, origin)), Secret::new(&[1; 32]))
    }

    /// Plays twenty minutes of a few requests a second, then waits for `hours`.
    fn played(hours: u64, wait: impl Fn(&mut Engine, u64)) -> Engine {
        let (mut order, mut engine) = (ReorderBuffer::new(1), engine());
        let text = b"192.0.2.7 - - [23/Nov/2026:09:59:58 +0000] \"GET / HTTP/1.1\" 200 5";
        let mut line = crate::line::parse(text).expect("a line");
        for _ in 0..1_200 {
            for _ in 0..5 {
                order.push(&line, 0, &mut engine);
            }
            line.at = line.at + Duration::from_secs(1);
        }
        order.flush(&mut engine);
        engine.end_second();
        let until = engine.ticks + hours * 3_600 * TICKS;
        wait(&mut engine, until);
        engine
    }

    #[test]
    fn passing_over_silence_teaches_the_baseline_what_sitting_through_it_would() {
        let quick = played(5, Engine::wait_until);
        let slow = played(5, |engine, until| {
            while engine.ticks < until {
                engine.tick();
            }
        });
        assert_eq!(quick.ticks, slow.ticks);
        assert_eq!(quick.control.baselines(), slow.control.baselines());
        let bins = |engine: &Engine| {
            engine.series.bins.iter().map(|bin| (bin.offered, bin.forwarded)).collect::<Vec<_>>()
        };
        assert_eq!(bins(&quick), bins(&slow));
    }

    #[test]
    fn a_silence_of_years_takes_no_time() {
        let engine = played(5 * 365 * 24, Engine::wait_until);
        assert!(engine.counts.silence_not_learnt > Duration::from_hours(4 * 365 * 24));
        assert_eq!(engine.ticks, (1_200 + 5 * 365 * 86_400) * TICKS);
    }
}
