//! What the gate does to visitors of all kinds while procedures are engaged.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use portcullis_gate::{Decision, Demands, Disposition, Policy, Request, Secret, Tables, decide};
use portcullis_model::{
    ActivityConfig, ActivityId, ChallengeKind, Condition, Config, Feature, Measure, OriginConfig,
    PathPattern, PathRules, PlatformConfig, PlatformId, Procedure, ProcedureId, Reason,
    RequestPattern, Scope, Signature, SourceKey, SourceLimits, Tier, Time, TokenState, WallTime,
};
use proptest::prelude::*;

const WALL: WallTime = WallTime(1_800_000_000_000);

fn config() -> Config {
    let origin = OriginConfig::new("127.0.0.1".into(), 3000);
    let address = "127.0.0.1:8080".parse().expect("an address");
    let mut config = Config::for_origin(address, origin.clone());
    let activity = |name: &str, tier, pattern: &str, challenge| ActivityConfig {
        name: name.into(),
        tier,
        matches: vec![RequestPattern { method: None, path: PathPattern::Prefix(pattern.into()) }],
        challenge,
        timeouts: portcullis_model::ActivityTimeouts::default(),
    };
    config.platforms = vec![PlatformConfig {
        name: "campaign".into(),
        hosts: vec!["example.org".into()],
        origin,
        path_rules: PathRules::default(),
        activities: vec![
            activity("donate", Tier::Essential, "/donate", true),
            activity("webhook", Tier::Essential, "/hooks/", false),
            activity("search", Tier::Optional, "/search", true),
            ActivityConfig::everything_else(),
        ],
    }];
    config
}

struct Gate {
    policy: Policy,
    tables: Tables,
    now: Time,
    wall: WallTime,
}

impl Gate {
    fn with(measures: &[Measure]) -> Self {
        let secret = Secret::new(&[9; 32]);
        let policy = Policy::new(Arc::new(config()), secret.clone());
        let procedures: Vec<_> = measures
            .iter()
            .zip(1..)
            .map(|(measure, id)| Procedure {
                id: ProcedureId(NonZeroU32::new(id).expect("not zero")),
                scope: Scope { platform: PlatformId(0), activity: None },
                measure: measure.clone(),
                reason: "a test".into(),
                engaged: WALL,
                expires: Time::from_secs(600),
            })
            .collect();
        Self {
            policy: policy.with_procedures(&procedures),
            tables: Tables::new(1_024, secret),
            now: Time::from_secs(1),
            wall: WALL,
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.wall = self.wall + span;
    }

    fn ask(&self, visitor: &Visitor, method: &str, url: &str) -> Decision {
        let (path, query) = url.split_once('?').map_or((url, None), |(p, q)| (p, Some(q)));
        let mut fields = vec![("user-agent", visitor.agent), ("accept", visitor.accept)];
        if let Some(cookie) = &visitor.cookie {
            fields.push(("cookie", cookie));
        }
        let request = Request {
            source: SourceKey::of([192, 0, 2, visitor.address].into()),
            host: "example.org",
            method,
            path,
            query,
            secure: true,
            tls_client: None,
            fields: &fields.as_slice(),
            demands: Demands::default(),
        };
        decide(&self.policy, &self.tables, &request, self.now, self.wall)
    }
}

#[derive(Clone)]
struct Visitor {
    address: u8,
    agent: &'static str,
    accept: &'static str,
    keeps_cookies: bool,
    cookie: Option<String>,
}

fn browser() -> Visitor {
    Visitor {
        address: 7,
        agent: "Mozilla/5.0",
        accept: "text/html,*/*;q=0.8",
        keeps_cookies: true,
        cookie: None,
    }
}

/// Follows redirects and wait pages as a browser without JavaScript does, and returns the last
/// decision with the number of round trips.
fn browse(gate: &mut Gate, visitor: &mut Visitor, method: &str, url: &str) -> (Decision, u32) {
    let mut url = url.to_owned();
    for trips in 1..=8 {
        gate.pass(Duration::from_millis(20));
        let decision = gate.ask(visitor, method, &url);
        match &decision.answer {
            Disposition::Redirect { location, cookie } => {
                if visitor.keeps_cookies
                    && let Some(cookie) = cookie
                {
                    visitor.cookie = cookie.split(';').next().map(str::to_owned);
                }
                url.clone_from(location);
            }
            Disposition::WaitPage { seconds, continue_to } => {
                gate.pass(Duration::from_secs(u64::from(*seconds)));
                url.clone_from(continue_to);
            }
            Disposition::Forward { .. } | Disposition::Refuse { .. } => return (decision, trips),
        }
    }
    panic!("a redirect loop");
}

fn tightened() -> Measure {
    Measure::TightenSources {
        limits: SourceLimits { requests_per_second: 5, burst: 10, connections: 4 },
        header_deadline: Duration::from_secs(2),
    }
}

#[test]
fn an_ordinary_request_is_forwarded_untouched() {
    let decision = Gate::with(&[]).ask(&browser(), "GET", "/");
    assert_eq!(decision.record.reason, Reason::Allowed);
    assert!(matches!(
        decision.answer,
        Disposition::Forward { strip_pass: false, cookie: None, .. }
    ));
}

#[test]
fn an_unknown_host_is_refused() {
    let gate = Gate::with(&[]);
    let none: [(&str, &str); 0] = [];
    let request = Request {
        source: SourceKey::of([192, 0, 2, 1].into()),
        host: "other.example",
        method: "GET",
        path: "/",
        query: None,
        secure: false,
        tls_client: None,
        fields: &none,
        demands: Demands::default(),
    };
    let decision = decide(&gate.policy, &gate.tables, &request, gate.now, gate.wall);
    assert_eq!(decision.record.reason, Reason::UnknownHost);
    assert_eq!(decision.record.assigned, None);
}

#[test]
fn a_flooding_source_is_refused_on_an_ordinary_day_too() {
    let gate = Gate::with(&[]);
    let reasons: Vec<_> =
        (0..1_200).map(|_| gate.ask(&browser(), "GET", "/").record.reason).collect();
    assert_eq!(reasons.iter().filter(|r| **r == Reason::Allowed).count(), 1_000);
    assert_eq!(reasons.last(), Some(&Reason::SourceRate));
}

#[test]
fn a_signature_refuses_what_it_names_and_nothing_else() {
    let plain = Gate::with(&[]);
    let look = plain.ask(&browser(), "GET", "/search?q=1").record.features;
    let conditions = [Feature::Path, Feature::QueryNames]
        .map(|feature| Condition { feature, value: look.get(feature) })
        .to_vec();
    let gate = Gate::with(&[Measure::RefuseSignature(Signature { conditions })]);
    assert_eq!(gate.ask(&browser(), "GET", "/search?q=2").record.reason, Reason::Signature);
    assert_eq!(gate.ask(&browser(), "GET", "/search?page=2").record.reason, Reason::Allowed);
    assert_eq!(gate.ask(&browser(), "GET", "/donate").record.reason, Reason::Allowed);
}

#[test]
fn an_expired_procedure_is_ignored_even_if_it_is_not_removed() {
    let mut gate = Gate::with(&[Measure::Shed(Tier::Important)]);
    assert_eq!(gate.ask(&browser(), "GET", "/").record.reason, Reason::Shed);
    gate.pass(Duration::from_secs(600));
    assert_eq!(gate.ask(&browser(), "GET", "/").record.reason, Reason::Allowed);
}

#[test]
fn optional_activities_are_shed_before_essential_ones() {
    let gate = Gate::with(&[Measure::Shed(Tier::Optional)]);
    assert_eq!(gate.ask(&browser(), "GET", "/search").record.reason, Reason::Shed);
    assert_eq!(gate.ask(&browser(), "GET", "/").record.reason, Reason::Allowed);
    let gate = Gate::with(&[Measure::Shed(Tier::Important)]);
    assert_eq!(gate.ask(&browser(), "GET", "/").record.reason, Reason::Shed);
    assert_eq!(gate.ask(&browser(), "GET", "/donate").record.reason, Reason::Allowed);
}

#[test]
fn a_redirect_challenge_costs_a_browser_one_round_trip_and_then_nothing() {
    let mut gate = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    let mut visitor = browser();
    let (first, trips) = browse(&mut gate, &mut visitor, "GET", "/news?page=2");
    assert_eq!(first.record.reason, Reason::TokenHeld);
    // Out to fetch the token, back with it, and on to the clean address.
    assert_eq!(trips, 3);
    assert!(matches!(first.answer, Disposition::Forward { strip_pass: false, cookie: None, .. }));
    let (second, trips) = browse(&mut gate, &mut visitor, "GET", "/");
    assert_eq!((second.record.reason, trips), (Reason::TokenHeld, 1));
}

#[test]
fn a_visitor_without_cookies_passes_the_challenge_each_time() {
    for kind in [ChallengeKind::Redirect, ChallengeKind::WaitPage] {
        let mut gate = Gate::with(&[Measure::Challenge(kind)]);
        let mut visitor = Visitor { keeps_cookies: false, ..browser() };
        for _ in 0..3 {
            let (decision, _) = browse(&mut gate, &mut visitor, "GET", "/news?page=2");
            assert_eq!(decision.record.reason, Reason::TokenHeld, "{kind:?}");
            let Disposition::Forward { strip_pass, .. } = decision.answer else {
                panic!("forwarded")
            };
            assert!(strip_pass, "the origin never sees the gate's parameter");
        }
    }
}

#[test]
fn a_form_survives_every_challenge() {
    for kind in [ChallengeKind::Redirect, ChallengeKind::WaitPage] {
        let mut gate = Gate::with(&[Measure::Challenge(kind)]);
        let (decision, trips) = browse(&mut gate, &mut browser(), "POST", "/donate");
        // A 307 keeps the method and the body; there is no page in between.
        assert_eq!((decision.record.reason, trips), (Reason::TokenHeld, 2), "{kind:?}");
    }
}

#[test]
fn a_wait_challenge_is_passed_only_after_the_wait() {
    let mut gate = Gate::with(&[Measure::Challenge(ChallengeKind::WaitPage)]);
    let visitor = browser();
    let Disposition::WaitPage { continue_to, .. } = gate.ask(&visitor, "GET", "/").answer else {
        panic!("a wait page")
    };
    gate.pass(Duration::from_secs(1));
    let early = gate.ask(&visitor, "GET", &continue_to);
    assert!(matches!(early.answer, Disposition::WaitPage { .. }), "{early:?}");
    gate.pass(Duration::from_secs(3));
    let late = gate.ask(&visitor, "GET", &continue_to);
    assert!(matches!(late.answer, Disposition::Redirect { .. }), "{late:?}");
}

#[test]
fn a_redirect_token_does_not_pass_a_wait_challenge() {
    let mut gate = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    let mut visitor = browser();
    browse(&mut gate, &mut visitor, "GET", "/");
    let siege = Gate::with(&[Measure::Challenge(ChallengeKind::WaitPage)]);
    let decision = siege.ask(&visitor, "GET", "/");
    assert!(matches!(decision.answer, Disposition::WaitPage { .. }), "{decision:?}");
}

#[test]
fn a_payment_webhook_is_never_challenged() {
    let gate = Gate::with(&[Measure::Challenge(ChallengeKind::WaitPage), tightened()]);
    let decision = gate.ask(&browser(), "POST", "/hooks/paid");
    assert_eq!(decision.record.reason, Reason::Exempt);
    assert_eq!(decision.record.assigned.unwrap().activity, ActivityId(1));
}

#[test]
fn a_token_is_a_limited_budget() {
    let mut gate = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    let mut visitor = browser();
    browse(&mut gate, &mut visitor, "GET", "/");
    let served = (0..1_000)
        .filter(|_| gate.ask(&visitor, "GET", "/").record.reason == Reason::TokenHeld)
        .count();
    assert!(served <= 120, "{served}");
    gate.pass(Duration::from_secs(10));
    assert_eq!(gate.ask(&visitor, "GET", "/").record.reason, Reason::TokenHeld);
}

/// Pages of people as they are: of a hundred parts when the browser keeps nothing yet, in tabs.
#[test]
fn a_person_with_several_tabs_and_large_pages_never_spends_a_token() {
    for kind in [ChallengeKind::Redirect, ChallengeKind::WaitPage] {
        let mut gate = Gate::with(&[tightened(), Measure::Challenge(kind)]);
        let mut page = browser();
        let read = |gate: &mut Gate, page: &mut Visitor, parts: u32| {
            let (decision, _) = browse(gate, page, "GET", "/news");
            assert_eq!(decision.record.reason, Reason::TokenHeld, "{kind:?}: {decision:?}");
            let part = Visitor { accept: "image/avif,*/*;q=0.8", ..page.clone() };
            for n in 0..parts {
                let decision = gate.ask(&part, "GET", &format!("/media/{n}.jpg"));
                assert_eq!(decision.record.reason, Reason::TokenHeld, "{kind:?}, part {n}");
            }
        };
        for _ in 0..3 {
            read(&mut gate, &mut page, 100);
        }
        // Reads them for a while, and then opens pages quickly for ten minutes (one second less than
        // the procedures last here).
        gate.pass(Duration::from_secs(30));
        for _ in 0..140 {
            gate.pass(Duration::from_secs(4));
            read(&mut gate, &mut page, 40);
        }
    }
}

/// A client that waits and then floods gets no more than that out of a token.
#[test]
fn a_wait_token_has_a_smaller_budget_than_a_redirect_token() {
    let mut gate = Gate::with(&[Measure::Challenge(ChallengeKind::WaitPage)]);
    let mut bot = browser();
    browse(&mut gate, &mut bot, "GET", "/");
    let served = |gate: &Gate| {
        let asked = 0..1_000;
        asked.filter(|_| gate.ask(&bot, "GET", "/").record.reason == Reason::TokenHeld).count()
    };
    let burst = served(&gate);
    assert!((80..=90).contains(&burst), "{burst}");
    gate.pass(Duration::from_secs(10));
    assert_eq!(served(&gate), 30);
}

#[test]
fn an_office_behind_one_address_is_not_locked_out() {
    let mut gate = Gate::with(&[tightened()]);
    let mut office: Vec<Visitor> = (0..30).map(|_| browser()).collect();
    for person in &mut office {
        for url in ["/", "/style.css", "/logo.svg", "/news"] {
            let (decision, _) = browse(&mut gate, person, "GET", url);
            assert!(
                matches!(decision.record.reason, Reason::Allowed | Reason::TokenHeld),
                "{decision:?}"
            );
        }
    }
}

#[test]
fn hundreds_of_visitors_behind_one_address_at_the_same_time_are_not_refused() {
    let mut gate = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    for _ in 0..100 {
        let (decision, _) = browse(&mut gate, &mut browser(), "GET", "/");
        assert_eq!(decision.record.reason, Reason::TokenHeld);
    }
}

#[test]
fn tokens_give_an_address_no_more_than_its_ordinary_rate() {
    let mut gate = Gate::with(&[tightened(), Measure::Challenge(ChallengeKind::Redirect)]);
    let mut hoard: Vec<Visitor> = (0..30).map(|_| browser()).collect();
    for visitor in &mut hoard {
        browse(&mut gate, visitor, "GET", "/");
    }
    let served = (0..200)
        .flat_map(|_| &hoard)
        .filter(|visitor| gate.ask(visitor, "GET", "/").record.reason == Reason::TokenHeld)
        .count();
    assert!(served <= 1_000, "{served}");
}

#[test]
fn a_challenge_is_passed_once_however_often_its_link_is_followed() {
    let gate = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    let bot = Visitor { keeps_cookies: false, ..browser() };
    let Disposition::Redirect { location, .. } = gate.ask(&bot, "GET", "/").answer else {
        panic!("a redirect")
    };
    let earned = (0..50)
        .filter(|_| gate.ask(&bot, "GET", &location).record.token == TokenState::JustIssued)
        .count();
    assert_eq!(earned, 1);
}

#[test]
fn a_visitor_with_a_token_is_not_refused_by_a_signature() {
    let look = Gate::with(&[]).ask(&browser(), "GET", "/").record.features;
    let conditions =
        vec![Condition { feature: Feature::UserAgent, value: look.get(Feature::UserAgent) }];
    let signature = Measure::RefuseSignature(Signature { conditions });
    let mut open = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    let mut visitor = browser();
    browse(&mut open, &mut visitor, "GET", "/");
    let gate = Gate::with(&[signature]);
    assert_eq!(gate.ask(&visitor, "GET", "/").record.reason, Reason::Allowed);
    assert_eq!(gate.ask(&browser(), "GET", "/").record.reason, Reason::Signature);
}

#[test]
fn a_payment_provider_keeps_its_ordinary_rate_while_sources_are_tightened() {
    let gate = Gate::with(&[tightened()]);
    let forwarded = (0..500)
        .filter(|_| gate.ask(&browser(), "POST", "/hooks/paid").record.reason == Reason::Exempt)
        .count();
    assert_eq!(forwarded, 500);
}

#[test]
fn a_preflight_is_not_redirected() {
    let gate = Gate::with(&[Measure::Challenge(ChallengeKind::WaitPage)]);
    assert_eq!(gate.ask(&browser(), "OPTIONS", "/donate").record.reason, Reason::Exempt);
}

#[test]
fn a_clock_set_back_a_little_invalidates_no_token() {
    let mut gate = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    let mut visitor = browser();
    browse(&mut gate, &mut visitor, "GET", "/");
    gate.wall = gate.wall - Duration::from_secs(3);
    assert_eq!(gate.ask(&visitor, "GET", "/").record.reason, Reason::TokenHeld);
}

#[test]
fn an_injected_cookie_does_not_hide_the_valid_one() {
    let mut gate = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    let mut visitor = browser();
    browse(&mut gate, &mut visitor, "GET", "/");
    let good = visitor.cookie.take().expect("a cookie");
    visitor.cookie = Some(format!("portcullis={}; {good}", "A".repeat(39)));
    assert_eq!(gate.ask(&visitor, "GET", "/").record.reason, Reason::TokenHeld);
}

#[test]
fn a_source_that_sends_more_requests_has_more_load() {
    let mut gate = Gate::with(&[]);
    let load = |gate: &Gate, visitor: &Visitor| match gate.ask(visitor, "GET", "/").answer {
        Disposition::Forward { load, .. } => load,
        other => panic!("{other:?}"),
    };
    let bot = Visitor { address: 66, ..browser() };
    for _ in 0..40 {
        gate.pass(Duration::from_millis(200));
        load(&gate, &bot);
    }
    assert!(load(&gate, &bot) > 10 * load(&gate, &browser()));
}

#[test]
fn a_bot_that_ignores_redirects_gets_its_address_rate_and_no_more() {
    let gate = Gate::with(&[tightened()]);
    let forwarded = (0..500)
        .filter(|_| gate.ask(&browser(), "GET", "/").record.reason == Reason::Allowed)
        .count();
    assert_eq!(forwarded, 10);
    assert_eq!(gate.ask(&browser(), "GET", "/").record.reason, Reason::SourceRate);
}

#[test]
fn a_token_is_not_valid_for_another_browser() {
    let mut gate = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    let mut visitor = browser();
    browse(&mut gate, &mut visitor, "GET", "/");
    let thief = Visitor { agent: "another browser", ..visitor };
    let decision = gate.ask(&thief, "GET", "/");
    assert_eq!(decision.record.reason, Reason::ChallengeIssued);
    assert_eq!(decision.record.token, TokenState::Invalid);
}

#[test]
fn a_redirect_never_leads_to_another_host() {
    let gate = Gate::with(&[Measure::Challenge(ChallengeKind::Redirect)]);
    let Disposition::Redirect { location, .. } =
        gate.ask(&browser(), "GET", "//evil.example/x").answer
    else {
        panic!("a redirect")
    };
    assert!(location.starts_with("/.//evil.example/x?"), "{location}");
}

#[test]
fn deadlines_and_connections_tighten_with_the_procedure() {
    let gate = Gate::with(&[tightened()]);
    assert_eq!(gate.policy.header_deadline(gate.now), Duration::from_secs(2));
    assert_eq!(gate.policy.source_connections(gate.now), 4);
    let later = gate.now + Duration::from_secs(600);
    assert_eq!(gate.policy.source_connections(later), 256);
}

fn measures() -> impl Strategy<Value = Vec<Measure>> {
    let measure = prop_oneof![
        Just(tightened()),
        Just(Measure::Challenge(ChallengeKind::Redirect)),
        Just(Measure::Challenge(ChallengeKind::WaitPage)),
        Just(Measure::Shed(Tier::Optional)),
    ];
    prop::collection::vec(measure, 0..3)
}

proptest! {
    #[test]
    fn a_visitor_that_follows_every_redirect_reaches_an_end(
        measures in measures(),
        keeps_cookies: bool,
        page: bool,
        urls in prop::collection::vec("/[a-z]{0,3}(\\?[a-z]=[0-9])?", 1..12),
        method in prop_oneof![Just("GET"), Just("POST"), Just("HEAD")],
    ) {
        let mut gate = Gate::with(&measures);
        let accept = if page { "text/html" } else { "*/*" };
        let mut visitor = Visitor { accept, keeps_cookies, ..browser() };
        for url in urls {
            // `browse` panics on a redirect loop.
            browse(&mut gate, &mut visitor, method, &url);
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_decision(url in "/[a-z?=&]{0,12}") {
        let decide = || Gate::with(&[tightened(), Measure::Challenge(ChallengeKind::WaitPage)])
            .ask(&browser(), "GET", &url);
        prop_assert_eq!(decide(), decide());
    }
}
