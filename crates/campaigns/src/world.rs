//! Plays planned requests through the gate and the control loop, with a virtual clock.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_gate::{Demands, Disposition, Policy, Request, Secret, Tables, decide};
use portcullis_model::{
    Event, Meter, Outcome, Posture, Reason, Record, Snapshot, SourceKey, Time, Verdict, WallTime,
};
use portcullis_posture::{Action, Control, Input, Resume, SavedBaseline};

use crate::dice::Dice;
use crate::ordinary::{Stage, Stream};
use crate::request::{PARTIES, Party, PlannedRequest, PlannedTraffic, REFERRERS};
use crate::sender::{Agent, ChallengeReplies, Kind, LANGUAGES, SentFields, agents};
use crate::site::SiteModel;
use crate::truth::{RequestCounts, SecondRow, Truth};
use crate::visit;

const TICK_MILLIS: u64 = 250;
const TICKS: u64 = 4;
/// After this number of ticks without a request, a silence may be passed over.
const QUIET_TICKS: u64 = 12;
/// Retries of one request.
const MAX_ROUNDS: u8 = 5;
/// What assets, pages and searches cost the origin.
const COSTS: [f64; 3] = [1.0, 4.0, 12.0];
/// The origin answers with errors: from and to, in milliseconds.
pub(crate) type Outage = Option<(u64, u64)>;

/// A query of the gate's, for the next try of a challenged request.
#[derive(Debug)]
struct Retry {
    query: Option<String>,
    round: u8,
}

/// A site with its gate.
pub(crate) struct World<'a> {
    pub site: &'a SiteModel,
    pub plan: PlannedTraffic,
    pub truth: Truth,
    /// The posture that was reported last.
    pub posture: Posture,
    pub outage: Outage,
    start: WallTime,
    ticks: u64,
    idle: u64,
    now: Time,
    agents: Vec<Agent>,
    control: Control,
    policy: Policy,
    tables: Tables,
    meter: Meter,
    cookies: BTreeMap<u32, String>,
    retries: Vec<Retry>,
    engaged: bool,
    /// Work that the origin has not done yet, and what it does in a second.
    backlog: f64,
    backlog_at: u64,
    capacity: f64,
    dice: Dice,
    actions: Vec<Action>,
    texts: Texts,
    /// The attack's requests of the last seconds: all, and stopped.
    recent_attack: (f64, f64),
}

/// Space for the texts of one request.
#[derive(Debug, Default)]
struct Texts {
    path: String,
    query: String,
}

impl<'a> World<'a> {
    /// A gate that begins at `start`, with what it learnt earlier.
    pub(crate) fn new(
        site: &'a SiteModel,
        seed: u64,
        start: WallTime,
        learnt: Option<Vec<SavedBaseline>>,
    ) -> Self {
        let config = Arc::new(site.config());
        let secret = Secret::new(&[7; 32]);
        let policy = Policy::new(Arc::clone(&config), secret.clone());
        let mut control = Control::new(config, start, &Resume::default());
        if site.as_logged {
            control = control.for_recorded_requests();
        }
        let mut actions = Vec::new();
        if let Some(learnt) = learnt {
            control.step(Time(0), start, Input::Restore(learnt), &mut actions);
        }
        Self {
            site,
            plan: PlannedTraffic::default(),
            truth: Truth::default(),
            posture: Posture::Open,
            outage: None,
            start,
            ticks: 0,
            idle: 0,
            now: Time(0),
            agents: agents(),
            control,
            tables: Tables::new(65_536, secret),
            meter: Meter::new(policy.ids().activity_count()),
            policy,
            cookies: BTreeMap::new(),
            retries: Vec::new(),
            engaged: false,
            backlog: 0.0,
            backlog_at: 0,
            capacity: (site.rate * COSTS[1] * 20.0).max(160.0),
            dice: Dice::new(seed, 3),
            actions,
            texts: Texts::default(),
            recent_attack: (0.0, 0.0),
        }
    }

    /// What has been learnt.
    pub(crate) fn baselines(&self) -> Vec<SavedBaseline> {
        self.control.baselines()
    }

    /// Milliseconds since the beginning.
    pub(crate) const fn millis(&self) -> u64 {
        self.ticks * TICK_MILLIS
    }

    fn wall(&self) -> WallTime {
        WallTime(self.start.millis() + self.millis())
    }

    /// Whether nothing is engaged and no attack is in progress.
    pub(crate) fn is_open(&self) -> bool {
        !self.engaged && !self.truth.attacked
    }

    /// Whether nothing is engaged or unusual.
    pub(crate) fn is_calm(&self) -> bool {
        self.posture == Posture::Open && self.control.is_calm() && !self.engaged
    }

    /// Lets time pass in which nothing is seen and nothing learnt, as if the gate had not run.
    pub(crate) fn jump(&mut self, wall: WallTime) {
        let at = wall.millis().saturating_sub(self.start.millis()) / 1_000 * TICKS;
        self.ticks = self.ticks.max(at);
        self.now = Time::from_millis(self.millis()).max(self.now);
        self.plan.forget();
    }

    /// Lets the streams send until `to`, in milliseconds.
    pub(crate) fn run(&mut self, streams: &mut [Box<dyn Stream>], to: u64, chunk: u64) {
        let to = to.div_ceil(TICK_MILLIS) * TICK_MILLIS;
        while self.millis() < to {
            let from = self.millis();
            let end = (from + chunk).min(to);
            let (all, stopped) = self.recent_attack;
            let mut stage = Stage {
                site: self.site,
                plan: &mut self.plan,
                start: self.start,
                attack_stopped: if all > 5.0 { stopped / all } else { 0.0 },
            };
            for stream in &mut *streams {
                stream.fill(&mut stage, from, end);
            }
            self.play(end);
            self.recent_attack.0 *= 0.7;
            self.recent_attack.1 *= 0.7;
        }
    }

    /// Plays what is planned before `until`.
    fn play(&mut self, until: u64) {
        loop {
            let next = self.plan.next_at().filter(|at| *at < until);
            let tick_end = self.millis() + TICK_MILLIS;
            match next {
                Some(at) if at < tick_end => {
                    if let Some((at, request)) = self.plan.pop() {
                        self.idle = 0;
                        self.send(at, request);
                    }
                }
                _ if tick_end > until => return,
                _ => self.wait(next.unwrap_or(until)),
            }
        }
    }

    /// Passes one tick, or more if nothing can happen until `until`.
    fn wait(&mut self, until: u64) {
        let left = until / TICK_MILLIS - self.ticks;
        let quiet = self.idle >= QUIET_TICKS && self.ticks.is_multiple_of(TICKS);
        if quiet && left > 2 * TICKS && self.is_calm() {
            let seconds = ((left - 1) / TICKS).min(600);
            let wall = self.wall();
            self.control.step(self.now, wall, Input::Silence { seconds }, &mut self.actions);
            self.ticks += seconds * TICKS;
        }
        self.tick();
    }

    fn tick(&mut self) {
        self.ticks += 1;
        self.idle += 1;
        self.now = Time::from_millis(self.millis()).max(self.now);
        let mut total = Snapshot::default();
        self.meter.add_to(&mut total);
        let wall = self.wall();
        let mut actions = core::mem::take(&mut self.actions);
        self.control.step(self.now, wall, Input::Tick(total), &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Record(event) => self.note(event),
                Action::Probe(platform) => {
                    let answered = !self.is_down(self.millis());
                    let input = Input::Probed { platform, answered };
                    let mut none = Vec::new();
                    self.control.step(self.now, wall, input, &mut none);
                }
                Action::Engage(procedures) => {
                    self.engaged = !procedures.is_empty();
                    self.policy = self.policy.with_procedures(&procedures);
                }
            }
        }
        self.actions = actions;
        if self.truth.wants_rows && self.ticks.is_multiple_of(TICKS) {
            self.note_second();
        }
    }

    fn note(&mut self, event: Event) {
        if let Event::PostureChanged { to, .. } = &event {
            self.posture = *to;
        }
        self.truth.judged(self.millis(), event);
    }

    fn note_second(&mut self) {
        let Some(view) = self.control.view(self.now).into_iter().next() else { return };
        let second = self.millis() / 1_000;
        self.truth.rows.push(SecondRow {
            second,
            expected_milli: view.baseline_milli,
            forwarded: view.forwarded_per_second,
            posture: view.posture,
            wave: view.wave,
            over: view.over,
            evidence: view.evidence,
            degradation: view.degradation,
            procedures: view.procedures.iter().map(|p| p.measure).collect(),
        });
    }

    fn is_down(&self, at: u64) -> bool {
        self.outage.is_some_and(|(from, to)| (from..to).contains(&at))
    }

    /// Sends one request, and plans what its sender does next.
    fn send(&mut self, at: u64, request: PlannedRequest) {
        self.now = Time(Time::from_millis(at).nanos().max(self.now.nanos() + 1_000));
        let mut texts = core::mem::take(&mut self.texts);
        let (record, answer) = self.decide(at, &request, &mut texts);
        self.texts = texts;
        let round = request.retry.map_or(0, |place| self.retries[place as usize].round);
        if round == 0 {
            self.truth.count(self.ticks, request.party);
        }
        let activity = record.assigned.map(|assigned| assigned.activity);
        self.meter.record_verdict(activity, record.reason);
        self.control.step(self.now, self.wall(), Input::Record(record), &mut self.actions);
        let stopped = record.reason.verdict() != Verdict::Forward;
        if request.party == Party::Attack {
            self.recent_attack.0 += 1.0;
            self.recent_attack.1 += f64::from(u8::from(stopped));
        }
        match answer {
            Disposition::Forward { cookie, .. } => {
                if let Some(cookie) = cookie {
                    self.store_cookie(request.sender, &cookie);
                }
                self.forwarded(at, &request, &record, round);
            }
            Disposition::Redirect { location, cookie } => {
                self.challenged(at, &request, Some((location, cookie)), None, round);
            }
            Disposition::WaitPage { seconds, continue_to } => {
                self.challenged(at, &request, Some((continue_to, None)), Some(seconds), round);
            }
            Disposition::Refuse { .. } => {
                self.fate(&request).refused += 1;
                self.truth.person_served(at, request.party, false);
                if record.reason == Reason::SourceRate && record.procedure.is_none() {
                    self.fate(&request).over_ordinary_limit += 1;
                }
            }
        }
    }

    fn fate(&mut self, request: &PlannedRequest) -> &mut RequestCounts {
        let person =
            self.plan.senders[request.sender as usize].answers == ChallengeReplies::Browser;
        self.truth.fates.of(request.party, person)
    }

    fn decide(
        &mut self,
        at: u64,
        request: &PlannedRequest,
        texts: &mut Texts,
    ) -> (Record, Disposition) {
        let sender = self.plan.senders[request.sender as usize];
        let form = &self.site.paths[usize::from(request.path)];
        let path = match form.split_once('#') {
            Some((before, after)) => {
                use core::fmt::Write as _;
                texts.path.clear();
                let _ = write!(texts.path, "{before}{}{after}", request.number);
                &texts.path
            }
            None => form,
        };
        let own = request.retry.and_then(|place| self.retries[place as usize].query.as_deref());
        let query = own.or_else(|| request.query.write(&mut texts.query));
        let cookie =
            if self.engaged { self.cookies.get(&request.sender).map(String::as_str) } else { None };
        let fields = SentFields {
            agent: &self.agents[usize::from(sender.agent)],
            language: LANGUAGES[usize::from(sender.language)],
            kind: request.kind,
            revalidates: request.revalidates,
            referrer: REFERRERS[usize::from(request.referrer)],
            cookie,
            as_logged: self.site.as_logged,
        };
        let wall = WallTime(self.start.millis() + at);
        let request = Request {
            source: SourceKey::of(std::net::Ipv4Addr::from(sender.source).into()),
            host: "campaign.example",
            method: request.kind.method(),
            path,
            query,
            secure: true,
            tls_client: None,
            fields: &fields,
            demands: Demands::default(),
        };
        let decision = decide(&self.policy, &self.tables, &request, self.now, wall);
        (decision.record, decision.answer)
    }

    /// What a request costs the origin.
    fn cost(&self, request: &PlannedRequest) -> f64 {
        let expensive = request.path == self.site.search || request.path == self.site.suggest;
        match request.kind {
            _ if expensive => COSTS[2],
            Kind::Page | Kind::Form | Kind::Data => COSTS[1],
            _ => COSTS[0],
        }
    }

    fn store_cookie(&mut self, sender: u32, cookie: &str) {
        let value = cookie.split(';').next().unwrap_or("").to_owned();
        self.cookies.insert(sender, value);
    }

    fn forwarded(&mut self, at: u64, request: &PlannedRequest, record: &Record, round: u8) {
        let cost = self.cost(request);
        let passed = at.saturating_sub(self.backlog_at) as f64 / 1_000.0;
        self.backlog = (self.backlog - passed * self.capacity).max(0.0);
        self.backlog_at = self.backlog_at.max(at);
        let down = self.is_down(at);
        // Longer than this, a request waits for no origin.
        let late = self.backlog > self.capacity * 3.0;
        if !late {
            self.backlog += cost;
        }
        let queue = Duration::from_secs_f64(self.backlog / self.capacity);
        let own = Duration::from_secs_f64(cost * 0.008);
        let latency = own + queue;
        if let Some(assigned) = record.assigned {
            let (outcome, waited) = match (down, late) {
                (true, _) => (Outcome::OriginError, own),
                (_, true) => (Outcome::OriginBusy, Duration::from_secs(3)),
                _ => (Outcome::Served, latency),
            };
            self.meter.record_outcome(assigned.activity, outcome, waited, own);
            self.meter.record_bytes(assigned.activity, 0, 20_000);
        }
        self.truth.person_served(at, request.party, !(down || late));
        let fate = self.fate(request);
        if down || late {
            fate.failed += 1;
            return;
        }
        if round == 0 {
            fate.served += 1;
        } else {
            fate.served_after_challenge += 1;
        }
        visit::follow(self.site, request, at, &mut self.plan, &mut self.dice);
    }

    /// A browser follows, after a moment or when the page is over.
    fn challenged(
        &mut self,
        at: u64,
        request: &PlannedRequest,
        next: Option<(String, Option<String>)>,
        wait: Option<u32>,
        round: u8,
    ) {
        let answers = self.plan.senders[request.sender as usize].answers;
        let able = match answers {
            ChallengeReplies::Browser => true,
            ChallengeReplies::Redirects => wait.is_none(),
            ChallengeReplies::Nothing => false,
        };
        if round == 0 {
            self.fate(request).challenged += 1;
        }
        let Some((location, cookie)) = next.filter(|_| able && round < MAX_ROUNDS) else {
            self.fate(request).lost += 1;
            return;
        };
        if let Some(cookie) = cookie {
            self.store_cookie(request.sender, &cookie);
        }
        let query = location.split_once('?').map(|(_, query)| query.to_owned());
        self.retries.push(Retry { query, round: round + 1 });
        let place = self.retries.len() as u32 - 1;
        let pause =
            200 + self.dice.exponential(250.0) as u64 + 1_000 * u64::from(wait.unwrap_or(0));
        self.plan.push(at + pause, PlannedRequest { retry: Some(place), ..*request });
    }
}

const _: () = assert!(PARTIES == 4);
