//! A world with a virtual clock: visitors, attackers and an origin around the real gate, watch
//! and posture.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_gate::{
    Demands, Disposition, FeatureNameCache, Policy, Request, Secret, Tables, decide,
};
use portcullis_model::{
    ActivityConfig, Config, Event, Meter, OriginConfig, Outcome, PathPattern, PathRules,
    PlatformConfig, Reason, RequestPattern, Snapshot, SourceKey, TICK, Tier, Time, TokenState,
    Verdict, WallTime,
};
use portcullis_posture::{Action, Control, Input, Resume};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Requests that the origin can work on in one tick: 100 plain ones; a search counts for eight.
const ORIGIN_WORK_PER_TICK: u32 = 100;

/// Who sends a request. The gate does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Visitor,
    Crowd,
    Attacker,
}

/// The outcomes of one population's requests since the last call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    pub sent: u64,
    pub served: u64,
    pub challenged: u64,
    pub refused: u64,
    pub failed: u64,
}

/// A client with a cookie jar of one cookie.
#[derive(Clone, Debug)]
pub struct Client {
    pub who: Who,
    pub source: Ipv4Addr,
    pub agent: u32,
    pub cookie: Option<String>,
    pub follows: bool,
}

pub struct World {
    pub now: Time,
    pub wall: WallTime,
    pub rng: ChaCha8Rng,
    pub events: Vec<(WallTime, Event)>,
    pub stalled: u64,
    /// The origin answers every request with an error.
    pub broken: bool,
    policy: Policy,
    tables: Tables,
    pub control: Control,
    meter: Meter,
    lexicon: FeatureNameCache,
    fates: BTreeMap<Who, Fate>,
    work: u32,
    pub digest: u64,
    /// Requests with a token that were refused while a procedure applied to them.
    pub refused_with_token: u64,
    /// Filled where a test wants to play the inputs again.
    pub recording: Option<Recording>,
}

/// Everything that went into the control loop, and everything that came out.
#[derive(Debug, Default)]
pub struct Recording {
    pub inputs: Vec<(Time, WallTime, Input)>,
    pub actions: Vec<Action>,
}

pub fn config() -> Config {
    let origin = OriginConfig::new("127.0.0.1".into(), 3000);
    let address = "127.0.0.1:0".parse().expect("an address");
    let mut config = Config::for_origin(address, origin.clone());
    let activity = |name: &str, tier, pattern: &str| ActivityConfig {
        name: name.into(),
        tier,
        matches: vec![RequestPattern { method: None, path: PathPattern::Prefix(pattern.into()) }],
        challenge: true,
        timeouts: portcullis_model::ActivityTimeouts::default(),
    };
    config.platforms = vec![PlatformConfig {
        name: "campaign".into(),
        hosts: vec!["*".into()],
        origin,
        path_rules: PathRules::default(),
        activities: vec![
            activity("donate", Tier::Essential, "/donate"),
            activity("search", Tier::Optional, "/search"),
            ActivityConfig::everything_else(),
        ],
    }];
    config.watch.warm_up = Duration::from_secs(60);
    config
}

impl World {
    pub fn new(seed: u64) -> Self {
        let config = Arc::new(config());
        let secret = Secret::new(&[3; 32]);
        let policy = Policy::new(Arc::clone(&config), secret.clone());
        let wall = WallTime::parse("2026-11-23T00:00:00Z").expect("a time");
        Self {
            now: Time(0),
            wall,
            rng: ChaCha8Rng::seed_from_u64(seed),
            events: Vec::new(),
            stalled: 0,
            broken: false,
            tables: Tables::new(4_096, secret),
            control: Control::new(config, wall, &Resume::default()),
            // Space for activities that reloads add.
            meter: Meter::new(policy.ids().activity_count() + 8),
            policy,
            lexicon: FeatureNameCache::new(),
            fates: BTreeMap::new(),
            work: 0,
            digest: 0,
            refused_with_token: 0,
            recording: None,
        }
    }

    /// A person's browser somewhere in 10/8 or 11/8.
    pub fn person(&mut self, who: Who) -> Client {
        let network = if who == Who::Crowd { 11 } else { 10 };
        let source =
            Ipv4Addr::new(network, self.rng.random(), self.rng.random(), self.rng.random());
        Client { who, source, agent: self.rng.random_range(0..12), cookie: None, follows: true }
    }

    /// One machine of a network of `size`.
    pub fn bot(&mut self, size: u32) -> Client {
        let n = self.rng.random_range(0..size);
        let source = Ipv4Addr::new(66, 6, (n >> 8) as u8, n as u8);
        Client { who: Who::Attacker, source, agent: n % 12, cookie: None, follows: false }
    }

    /// A page and its parts, as a browser loads them.
    pub fn page_view(&mut self, client: &mut Client) {
        let fields = [browser(client.agent, true), browser(client.agent, false)];
        let page = ["/", "/news", "/news/1", "/volunteer", "/donate"][self.rng.random_range(0..5)];
        self.send(client, page, None, &fields[0]);
        for part in ["/style.css", "/logo.svg", "/app.js", "/photo.jpg"] {
            self.send(client, part, None, &fields[1]);
        }
    }

    /// A person who searches.
    pub fn search(&mut self, client: &mut Client) {
        let query = format!("q={}", self.rng.random_range(0..500u32));
        self.send(client, "/search", Some(&query), &browser(client.agent, true));
        self.send(client, "/style.css", None, &browser(client.agent, false));
    }

    pub fn send(
        &mut self,
        client: &mut Client,
        path: &str,
        query: Option<&str>,
        fields: &[(String, String)],
    ) {
        let fate = self.fates.entry(client.who).or_default();
        fate.sent += 1;
        let mut query = query.map(str::to_owned);
        for _ in 0..4 {
            match self.attempt(client, path, query.as_deref(), fields) {
                Disposition::Redirect { location, cookie } if client.follows => {
                    if let Some(cookie) = cookie {
                        client.cookie = cookie.split(';').next().map(str::to_owned);
                    }
                    query = location.split_once('?').map(|(_, q)| q.to_owned());
                }
                _ => return,
            }
        }
    }

    fn attempt(
        &mut self,
        client: &mut Client,
        path: &str,
        query: Option<&str>,
        fields: &[(String, String)],
    ) -> Disposition {
        let mut fields: Vec<(&str, &str)> =
            fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        if let Some(cookie) = &client.cookie {
            fields.push(("cookie", cookie));
        }
        // Within the tick, so that no two requests come at the same nanosecond.
        self.now.0 += 1_000;
        let request = Request {
            source: SourceKey::of(client.source.into()),
            host: "campaign.example",
            method: "GET",
            path,
            query,
            secure: true,
            tls_client: None,
            fields: &Listed(&fields),
            demands: Demands::default(),
        };
        let decision = decide(&self.policy, &self.tables, &request, self.now, self.wall);
        let record = decision.record;
        let activity = record.assigned.expect("the host is known").activity;
        self.meter.record_verdict(Some(activity), record.reason);
        let mut inputs = Vec::new();
        self.lexicon.sight(&request, &record, &mut |name| inputs.push(Input::FeatureName(name)));
        inputs.push(Input::Record(record));
        for input in inputs {
            self.step(input);
        }
        let held = matches!(record.token, TokenState::Valid | TokenState::JustIssued);
        self.refused_with_token += u64::from(
            held && record.procedure.is_some() && record.reason.verdict() == Verdict::Refuse,
        );
        self.digest = self
            .digest
            .wrapping_mul(0x0100_0000_01b3)
            .wrapping_add(record.reason as u64 ^ u64::from(record.query));
        let fate = self.fates.entry(client.who).or_default();
        match record.reason.verdict() {
            Verdict::Forward => {
                let cost = if path == "/search" { 8 } else { 1 };
                self.work += cost;
                let served = self.work <= ORIGIN_WORK_PER_TICK;
                let latency = Duration::from_millis(u64::from(8 * cost));
                if self.broken {
                    fate.failed += 1;
                    self.meter.record_outcome(activity, Outcome::OriginError, latency, latency);
                } else if served {
                    fate.served += 1;
                    self.meter.record_outcome(activity, Outcome::Served, latency, latency);
                } else {
                    fate.failed += 1;
                    let waited = Duration::from_secs(3);
                    self.meter.record_outcome(activity, Outcome::OriginBusy, waited, latency);
                }
            }
            Verdict::Challenge => {
                fate.challenged += u64::from(record.reason == Reason::ChallengeIssued);
            }
            Verdict::Refuse => fate.refused += 1,
        }
        decision.answer
    }

    /// Ends the tick.
    pub fn tick(&mut self) {
        self.now = Time((self.now.0 / 250_000_000 + 1) * 250_000_000);
        self.wall = self.wall + TICK;
        self.work = 0;
        self.meter.set_stalled_headers(self.stalled);
        let mut total = Snapshot::default();
        self.meter.add_to(&mut total);
        let actions = self.step(Input::Tick(total));
        self.apply(actions);
    }

    /// Goes over to `config`, as the running gate does.
    pub fn reload(&mut self, config: Config) {
        let config = Arc::new(config);
        let secret = self.policy.secret().clone();
        let actions = self.step(Input::Reload(Arc::clone(&config)));
        self.policy = Policy::reloaded(config, Arc::clone(self.control.ids()), secret);
        self.apply(actions);
    }

    pub fn stop(&mut self) {
        let actions = self.step(Input::Stop);
        self.apply(actions);
    }

    fn apply(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Record(event) => self.events.push((self.wall, event)),
                // The simulated origin is slow at worst.
                Action::Probe(platform) => {
                    let asked = self.step(Input::Probed { platform, answered: true });
                    assert_eq!(asked, [], "an answer is evidence for the next tick");
                }
                Action::Engage(procedures) => {
                    self.policy = self.policy.with_procedures(&procedures);
                }
            }
        }
    }

    /// Gives the control loop an input, and records it with the actions that follow from it.
    fn step(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        self.control.step(self.now, self.wall, input.clone(), &mut actions);
        if let Some(recording) = &mut self.recording {
            recording.inputs.push((self.now, self.wall, input));
            recording.actions.extend(actions.iter().cloned());
        }
        actions
    }

    /// The fate of a population since this was last asked.
    pub fn fate(&mut self, who: Who) -> Fate {
        self.fates.remove(&who).unwrap_or_default()
    }

    /// Events other than tallies, from `since` on.
    pub fn since(&self, since: WallTime) -> impl Iterator<Item = &(WallTime, Event)> {
        self.events
            .iter()
            .filter(move |(at, event)| *at >= since && !matches!(event, Event::Tallied(_)))
    }

    pub fn chance(&mut self, per_thousand: u32) -> bool {
        self.rng.next_u32() % 1_000 < per_thousand
    }
}

/// The header fields of one of a few browsers.
pub fn browser(agent: u32, page: bool) -> Vec<(String, String)> {
    let accept = if page { "text/html,*/*;q=0.8" } else { "*/*" };
    let agent_name = format!("Mozilla/5.0 (browser {agent})");
    let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    match agent % 3 {
        0 => vec![
            pair("user-agent", &agent_name),
            pair("accept", accept),
            pair("accept-language", "en-GB,en;q=0.5"),
            pair("accept-encoding", "gzip, deflate, br"),
        ],
        1 => vec![
            pair("sec-ch-ua", "\"Chromium\""),
            pair("user-agent", &agent_name),
            pair("accept", accept),
            pair("sec-fetch-site", "same-origin"),
            pair("accept-encoding", "gzip, deflate, br"),
            pair("accept-language", "en-GB"),
        ],
        _ => vec![
            pair("accept", accept),
            pair("accept-language", "en-gb"),
            pair("user-agent", &agent_name),
            pair("accept-encoding", "gzip, deflate"),
        ],
    }
}

/// What a scripting library sends.
pub fn script() -> Vec<(String, String)> {
    [("user-agent", "fetcher/1.0"), ("accept", "*/*"), ("accept-encoding", "gzip")]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .to_vec()
}

struct Listed<'a>(&'a [(&'a str, &'a str)]);

impl portcullis_gate::Fields for Listed<'_> {
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        self.0.each(visit);
    }
}
