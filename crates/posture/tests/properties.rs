//! Properties of the control loop under any traffic, any reloads and takeovers: events follow a grammar, and
//! every counter equals the sum over the records.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_model::{
    ActivityId, Assignment, Config, Event, Feature, Features, Measure, Meter, Outcome, Posture,
    Procedure, ProcedureId, Reason, Record, Snapshot, SourceKey, TICK, Time, TokenState, Verdict,
    WallTime,
};
use portcullis_posture::{Action, Control, ControlState, Input, Resume};
use proptest::prelude::*;

/// Configurations between which reloads change: activities and a platform come and go.
fn configs() -> [Config; 4] {
    let platform = |name: &str, activities: &[&str]| {
        let activity = |activity: &&str| {
            format!("[[platforms.activities]]\nname = \"{activity}\"\npaths = [\"/{activity}\"]\n")
        };
        let activities: String = activities.iter().map(activity).collect();
        format!(
            "[[platforms]]\nname = \"{name}\"\nhosts = [\"{name}.example\"]\n\
             origin = \"http://127.0.0.1:3000\"\n{activities}"
        )
    };
    let config = |platforms: &[String]| {
        let listener = "[[listeners]]\naddress = \"127.0.0.1:8080\"\n".to_owned();
        let text = listener + &platforms.concat();
        let mut config = Config::read(&text, "properties.toml").unwrap();
        config.watch.warm_up = Duration::from_secs(5);
        config.posture.quiet_period = Duration::from_secs(5);
        config.posture.full_speed_after = Duration::from_secs(5);
        config
    };
    let shop = platform("shop", &[]);
    [
        config(&[platform("main", &["donate", "search"]), shop.clone()]),
        config(&[platform("main", &["petition", "search", "donate"]), shop.clone()]),
        config(&[shop, platform("main", &["donate"])]),
        config(&[platform("main", &["donate", "search"])]),
    ]
}

/// A stretch of traffic for one activity.
#[derive(Clone, Debug)]
struct Traffic {
    ticks: u32,
    per_tick: u32,
    /// Which of the configured activities, counted through; taken modulo their number.
    activity: usize,
    sources: u32,
    /// Senders repeat one path; visitors ask for many.
    repeated: bool,
    /// Share of forwarded requests, in tenths, that the origin does not answer in time.
    late_tenths: u32,
    token: TokenState,
}

#[derive(Clone, Debug)]
enum Step {
    Traffic(Traffic),
    Reload(usize),
    /// Another process continues, by this configuration.
    TakeOver(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let token = prop_oneof![
        3 => Just(TokenState::Absent),
        1 => Just(TokenState::Valid),
        1 => Just(TokenState::JustIssued),
        1 => Just(TokenState::Invalid),
    ];
    let numbers = (1..60_u32, 0..260_u32, 0..6_usize, 1..200_u32);
    let traffic = (numbers, any::<bool>(), 0..11_u32, token).prop_map(
        |((ticks, per_tick, activity, sources), repeated, late_tenths, token)| {
            Step::Traffic(Traffic {
                ticks,
                per_tick,
                activity,
                sources,
                repeated,
                late_tenths,
                token,
            })
        },
    );
    prop_oneof![
        6 => traffic,
        1 => (0..4_usize).prop_map(Step::Reload),
        1 => (0..4_usize).prop_map(Step::TakeOver),
    ]
}

/// Sums over the records that name one procedure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    refused: u64,
    delayed: u64,
    refused_with_token: u64,
}

/// The state of one platform by the ledger.
#[derive(Debug, Default)]
struct PlatformState {
    waves: u32,
    attacked: bool,
    surging: bool,
    mitigated: bool,
    degraded: bool,
    posture: Posture,
    engaged: BTreeSet<ProcedureId>,
}

struct Driver {
    configs: [Config; 4],
    control: Control,
    meter: Meter,
    now: Time,
    wall: WallTime,
    engaged: Vec<Procedure>,
    platforms: BTreeMap<String, PlatformState>,
    last_procedure: u32,
    challenges: BTreeSet<ProcedureId>,
    sums: BTreeMap<ProcedureId, Sums>,
    released: BTreeMap<ProcedureId, Sums>,
    offered: BTreeMap<String, u64>,
    tallied: BTreeMap<String, u64>,
}

impl Driver {
    fn new() -> Self {
        let configs = configs();
        let wall = WallTime(1_790_000_000_000);
        Self {
            control: Control::new(Arc::new(configs[0].clone()), wall, &Resume::default()),
            meter: Meter::new(32),
            now: Time(0),
            wall,
            engaged: Vec::new(),
            platforms: BTreeMap::new(),
            last_procedure: 0,
            challenges: BTreeSet::new(),
            sums: BTreeMap::new(),
            released: BTreeMap::new(),
            offered: BTreeMap::new(),
            tallied: BTreeMap::new(),
            configs,
        }
    }

    fn take(&mut self, input: Input) {
        let mut actions = Vec::new();
        self.control.step(self.now, self.wall, input, &mut actions);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Record(event) => self.check(event),
                Action::Probe(_) => {}
                Action::Engage(procedures) => self.engaged = procedures,
            }
        }
        let named: BTreeSet<_> =
            self.platforms.values().flat_map(|platform| &platform.engaged).copied().collect();
        let given: BTreeSet<_> = self.engaged.iter().map(|procedure| procedure.id).collect();
        assert_eq!(given, named, "the gate engages what the ledger records");
    }

    /// Every event fits the state of its platform by the ledger.
    fn check(&mut self, event: Event) {
        let Some(name) = platform_of(&event) else { return };
        let state = self.platforms.entry(name.clone()).or_default();
        match event {
            Event::Tallied(tally) => {
                *self.tallied.entry(name).or_default() += tally.reasons.values().sum::<u64>();
            }
            Event::SurgeBegan { .. } => {
                assert!(!state.attacked && !state.surging);
                state.surging = true;
            }
            Event::SurgeEnded { .. } => {
                assert!(state.surging);
                state.surging = false;
            }
            Event::AttackBegan { wave, .. } => {
                assert!(!state.attacked);
                assert_eq!(wave, state.waves + 1, "waves count up, also over reloads");
                // A wave overtakes a surge.
                *state = PlatformState {
                    waves: wave,
                    attacked: true,
                    surging: false,
                    mitigated: false,
                    ..core::mem::take(state)
                };
            }
            Event::AttackChanged { wave, .. } => {
                assert_eq!((true, wave), (state.attacked, state.waves));
            }
            Event::Mitigated { wave, .. } => {
                assert_eq!((true, false, wave), (state.attacked, state.mitigated, state.waves));
                state.mitigated = true;
            }
            Event::MitigationLost { wave, .. } => {
                assert_eq!((true, true, wave), (state.attacked, state.mitigated, state.waves));
                state.mitigated = false;
            }
            Event::AttackEnded { wave, .. } => {
                assert_eq!((true, wave), (state.attacked, state.waves));
                state.attacked = false;
            }
            Event::PostureChanged { from, to, .. } => {
                assert_ne!(from, to);
                assert_eq!(from, state.posture);
                state.posture = to;
            }
            Event::ProcedureEngaged(facts) => {
                assert_eq!(facts.id.0.get(), self.last_procedure + 1, "no number twice");
                self.last_procedure += 1;
                state.engaged.insert(facts.id);
                if facts.measure.starts_with("challenge") {
                    self.challenges.insert(facts.id);
                }
            }
            Event::ProcedureReleased { id, effect, cost, .. } => {
                assert!(state.engaged.remove(&id));
                let released = Sums {
                    refused: effect.stopped,
                    delayed: cost.delayed,
                    refused_with_token: cost.refused_with_token,
                };
                assert!(self.released.insert(id, released).is_none());
            }
            Event::OriginDegraded { .. } => {
                assert!(!state.degraded);
                state.degraded = true;
            }
            Event::OriginRecovered { .. } => {
                assert!(state.degraded);
                state.degraded = false;
            }
            Event::FullSpeed { .. } => assert!(!state.attacked && state.engaged.is_empty()),
            _ => {}
        }
    }

    fn traffic(&mut self, traffic: &Traffic) {
        let ids = Arc::clone(self.control.ids());
        let activities: Vec<ActivityId> =
            ids.platforms().flat_map(|(_, activities)| activities).copied().collect();
        let activity = activities[traffic.activity % activities.len()];
        let (platform, _) = ids.activity_name(activity).unwrap();
        for _ in 0..traffic.ticks {
            for n in 0..traffic.per_tick {
                let covers = |procedure: &&Procedure| procedure.scope.covers(platform, activity);
                let procedure = self.engaged.iter().find(covers);
                let held = matches!(traffic.token, TokenState::Valid | TokenState::JustIssued);
                let reason = match procedure.map(|procedure| &procedure.measure) {
                    None => Reason::Allowed,
                    Some(_) if held && n % 2 == 0 => Reason::TokenSpent,
                    Some(_) if held => Reason::TokenHeld,
                    Some(Measure::RefuseSignature(_)) => Reason::Signature,
                    Some(Measure::TightenSources { .. }) if n % 3 == 0 => Reason::Allowed,
                    Some(Measure::TightenSources { .. }) => Reason::SourceRate,
                    Some(Measure::Challenge(_)) => Reason::ChallengeIssued,
                    Some(Measure::Shed(_)) => Reason::Shed,
                };
                let procedure = procedure.map(|procedure| procedure.id);
                let source = Ipv4Addr::new(66, 6, 0, (n % traffic.sources) as u8);
                let mut features = Features::default();
                features.0[Feature::Path as usize] = if traffic.repeated { 7 } else { n };
                self.count(procedure, reason, traffic.token);
                let record = Record {
                    at: self.now,
                    source: SourceKey::of(source.into()),
                    features,
                    query: n,
                    assigned: Some(Assignment { platform, activity }),
                    reason,
                    page: true,
                    asset: false,
                    partial: false,
                    token: traffic.token,
                    procedure,
                };
                self.meter.record_verdict(Some(activity), reason);
                *self.offered.entry(ids.platform_name(platform).to_owned()).or_default() += 1;
                if reason.verdict() == Verdict::Forward {
                    let late = n % 10 < traffic.late_tenths;
                    let outcome = if late { Outcome::OriginBusy } else { Outcome::Served };
                    let took = Duration::from_millis(5);
                    self.meter.record_outcome(activity, outcome, took, took);
                }
                self.take(Input::Record(record));
            }
            self.tick();
        }
    }

    fn count(&mut self, procedure: Option<ProcedureId>, reason: Reason, token: TokenState) {
        let Some(id) = procedure else { return };
        let sums = self.sums.entry(id).or_default();
        let refused = reason.verdict() == Verdict::Refuse;
        sums.refused += u64::from(refused || reason == Reason::ChallengeIssued);
        let held = matches!(token, TokenState::Valid | TokenState::JustIssued);
        sums.refused_with_token += u64::from(refused && held);
        let through = reason.verdict() == Verdict::Forward;
        sums.delayed += u64::from(through && token == TokenState::JustIssued);
    }

    fn tick(&mut self) {
        self.now = self.now + TICK;
        self.wall = self.wall + TICK;
        let mut total = Snapshot::default();
        self.meter.add_to(&mut total);
        self.take(Input::Tick(total));
    }

    fn reload(&mut self, to: usize) {
        // As the running gate does: what workers have counted belongs to the tick before.
        self.tick();
        let config = Arc::new(self.configs[to].clone());
        self.take(Input::Reload(Arc::clone(&config)));
        self.check_removed(&config);
    }

    /// As the running gate does, with a new meter for the new process.
    fn take_over(&mut self, to: usize) {
        self.tick();
        self.take(Input::Stop);
        let state = serde_json::to_string(&self.control.state()).unwrap();
        let state: ControlState = serde_json::from_str(&state).unwrap();
        assert!(state.is_readable());
        self.meter = Meter::new(32);
        let config = Arc::new(self.configs[to].clone());
        let mut actions = Vec::new();
        let moment = (self.now, self.wall);
        self.control = Control::continued(Arc::clone(&config), moment, state, &mut actions);
        self.carry_out(actions);
        self.check_removed(&config);
    }

    /// What is no longer configured has ended.
    fn check_removed(&mut self, config: &Config) {
        let configured: BTreeSet<_> = config.platforms.iter().map(|p| p.name.clone()).collect();
        for (name, state) in &mut self.platforms {
            if !configured.contains(name) {
                assert!(state.engaged.is_empty() && !state.attacked);
                assert_eq!(state.posture, Posture::Open);
                *state = PlatformState { waves: state.waves, ..PlatformState::default() };
            }
        }
    }

    fn finish(mut self) {
        self.tick();
        self.take(Input::Stop);
        for platform in self.control.view(self.now) {
            for procedure in platform.procedures {
                let id = ProcedureId(procedure.id.try_into().unwrap());
                let engaged = Sums {
                    refused: procedure.stopped,
                    delayed: procedure.delayed,
                    refused_with_token: procedure.refused_with_token,
                };
                assert!(self.released.insert(id, engaged).is_none());
            }
        }
        for (id, mut sums) in self.sums {
            let mut recorded = self.released[&id];
            if self.challenges.contains(&id) {
                // A challenge that was passed is not counted as stopped, when it is known.
                assert!(recorded.refused <= sums.refused);
                assert!(recorded.refused + recorded.delayed >= sums.refused);
                (recorded.refused, sums.refused) = (0, 0);
            }
            assert_eq!(recorded, sums, "{id:?}");
        }
        self.tallied.retain(|_, requests| *requests > 0);
        assert_eq!(self.tallied, self.offered);
    }
}

fn platform_of(event: &Event) -> Option<String> {
    match event.subject() {
        portcullis_model::Subject::Platform(platform) => Some(platform.to_owned()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn events_follow_their_grammar_and_counters_equal_the_records(
        steps in proptest::collection::vec(step(), 1..14),
    ) {
        let mut driver = Driver::new();
        for step in &steps {
            match step {
                Step::Traffic(traffic) => driver.traffic(traffic),
                Step::Reload(to) => driver.reload(*to),
                Step::TakeOver(to) => driver.take_over(*to),
            }
        }
        driver.finish();
    }
}
