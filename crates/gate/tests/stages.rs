//! The stages of a decision have one order: of two faults, the earlier stage gives the reason.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::Version;
use portcullis_gate::{
    Decision, Demands, Disposition, Field, Head, HeaderPresence, Policy, Request, RequestTarget,
    Secret, Tables, TunnelSlots, decide, screen,
};
use portcullis_model::{
    Assignment, ChallengeKind, Condition, Config, Feature, Limits, Measure, OriginConfig,
    PlatformId, Procedure, ProcedureId, Reason, Scope, Signature, SourceKey, Tier, Time,
    TokenState, WallTime,
};

const WALL: WallTime = WallTime(1_800_000_000_000);

/// No slot for an upgraded connection is free.
struct NoSlots;

impl TunnelSlots for NoSlots {
    fn take(&self, _: Assignment) -> bool {
        false
    }
}

/// What [`decide`] refuses or challenges, in the order of its stages.
const STAGES: [Reason; 9] = [
    Reason::UnknownHost,
    Reason::AmbiguousPath,
    Reason::BodyTooLarge,
    Reason::TooManyRanges,
    Reason::Shed,
    Reason::Signature,
    Reason::SourceRate,
    Reason::ChallengeIssued,
    Reason::TunnelLimit,
];

fn policy(procedures: &[Measure]) -> Policy {
    policy_with_key(procedures, [9; 32])
}

fn policy_with_key(procedures: &[Measure], key: [u8; 32]) -> Policy {
    let origin = OriginConfig::new("127.0.0.1".into(), 3000);
    let address = "127.0.0.1:8080".parse().expect("an address");
    let mut config = Config::for_origin(address, origin);
    config.platforms[0].hosts = vec!["example.org".into()];
    let procedures: Vec<_> = procedures
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
    Policy::new(Arc::new(config), Secret::new(&key)).with_procedures(&procedures)
}

fn plain_request<'a>(fields: &'a &'a [(&'a str, &'a str)]) -> Request<'a> {
    Request {
        source: SourceKey::of([192, 0, 2, 7].into()),
        host: "example.org",
        method: "GET",
        path: "/",
        query: None,
        secure: true,
        tls_client: None,
        fields,
        demands: Demands::default(),
    }
}

/// Decides about a request that all of these stages would stop.
fn decide_with(faults: &[Reason], fields: &[(&str, &str)]) -> Decision {
    let has = |reason| faults.contains(&reason);
    let mut measures = Vec::new();
    if has(Reason::Shed) {
        measures.push(Measure::Shed(Tier::Essential));
    }
    if has(Reason::Signature) {
        let condition = Condition { feature: Feature::Referrer, value: 0 };
        measures.push(Measure::RefuseSignature(Signature { conditions: vec![condition] }));
    }
    if has(Reason::ChallengeIssued) {
        measures.push(Measure::Challenge(ChallengeKind::Redirect));
    }
    let tables = Tables::new(1_024, Secret::new(&[9; 32]));
    let plain = plain_request(&fields);
    let request = Request {
        host: if has(Reason::UnknownHost) { "example.net" } else { "example.org" },
        path: if has(Reason::AmbiguousPath) { "/a/../" } else { plain.path },
        demands: Demands {
            body_bytes: if has(Reason::BodyTooLarge) { u64::MAX } else { 0 },
            too_many_ranges: has(Reason::TooManyRanges),
            tunnel: has(Reason::TunnelLimit).then_some(&NoSlots as &dyn TunnelSlots),
        },
        ..plain
    };
    let now = Time::from_secs(1);
    if has(Reason::SourceRate) {
        let quiet = policy(&[]);
        let spent = (0..100_000).any(|_| {
            decide(&quiet, &tables, &plain, now, WALL).record.reason == Reason::SourceRate
        });
        assert!(spent, "the source's rate has an end");
    }
    decide(&policy(&measures), &tables, &request, now, WALL)
}

#[test]
fn each_stage_gives_its_reason_and_the_earlier_of_two_gives_theirs() {
    for (at, first) in STAGES.iter().enumerate() {
        assert_eq!(decide_with(&[*first], &[]).record.reason, *first);
        for second in &STAGES[at + 1..] {
            let decision = decide_with(&[*first, *second], &[]);
            assert_eq!(decision.record.reason, *first, "{first:?} before {second:?}");
        }
    }
    assert_eq!(decide_with(&[], &[]).record.reason, Reason::Allowed);
}

#[test]
fn a_request_that_is_refused_for_its_size_is_attributed_to_no_procedure() {
    let faults = [Reason::BodyTooLarge, Reason::Signature, Reason::ChallengeIssued];
    assert_eq!(decide_with(&faults, &[]).record.procedure, None);
}

/// A cookie in the right form that this gate's key does not verify.
fn token_of_another_gate() -> String {
    let policy = policy_with_key(&[Measure::Challenge(ChallengeKind::Redirect)], [8; 32]);
    let tables = Tables::new(1_024, Secret::new(&[8; 32]));
    let decision = decide(&policy, &tables, &plain_request(&&[][..]), Time::from_secs(1), WALL);
    let Disposition::Redirect { cookie: Some(cookie), .. } = decision.answer else {
        panic!("a challenge issues a token: {decision:?}");
    };
    cookie.split(';').next().expect("a pair").to_owned()
}

#[test]
fn a_token_is_verified_only_where_a_procedure_makes_it_matter() {
    let text = token_of_another_gate();
    let forged = [("cookie", text.as_str())];
    for unverified in [
        &[][..],
        &[Reason::UnknownHost],
        &[Reason::BodyTooLarge, Reason::ChallengeIssued],
        &[Reason::Shed, Reason::ChallengeIssued],
    ] {
        let state = decide_with(unverified, &forged).record.token;
        assert_eq!(state, TokenState::Absent, "{unverified:?}");
    }
    let state = decide_with(&[Reason::ChallengeIssued], &forged).record.token;
    assert_eq!(state, TokenState::Invalid);
}

/// A fault in the form of a request, and the reason that it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FormFault {
    ManyFields,
    LongTarget,
    SpaceInValue,
    Trace,
    NoHost,
}

const FORM_STAGES: [(FormFault, Reason); 5] = [
    (FormFault::ManyFields, Reason::HeaderTooLarge),
    (FormFault::LongTarget, Reason::TargetTooLong),
    (FormFault::SpaceInValue, Reason::Malformed),
    (FormFault::Trace, Reason::NotSupported),
    (FormFault::NoHost, Reason::Malformed),
];

fn screened(faults: &[FormFault]) -> Result<(), Reason> {
    let has = |fault| faults.contains(&fault);
    let limits = Limits { max_header_fields: 4, max_target_bytes: 100, ..Limits::default() };
    let mut fields = vec![Field { name: "accept", value: b"*/*" }];
    if has(FormFault::ManyFields) {
        fields.extend([Field { name: "x", value: b"1" }; 4]);
    }
    if has(FormFault::SpaceInValue) {
        fields.push(Field { name: "y", value: b" 1" });
    }
    let long = format!("/{}", "x".repeat(100));
    let head = Head {
        version: Version::HTTP_2,
        method: if has(FormFault::Trace) { "TRACE" } else { "GET" },
        target: RequestTarget {
            scheme: Some("https"),
            authority: (!has(FormFault::NoHost)).then_some("example.org"),
            path: if has(FormFault::LongTarget) { &long } else { "/" },
            query: None,
        },
        fields: &fields,
    };
    screen(&head, HeaderPresence::from_fields(&fields), &limits).map(|_| ())
}

#[test]
fn the_form_is_screened_in_one_order() {
    assert_eq!(screened(&[]), Ok(()));
    for (at, (first, reason)) in FORM_STAGES.iter().enumerate() {
        assert_eq!(screened(&[*first]), Err(*reason), "{first:?}");
        for (second, _) in &FORM_STAGES[at + 1..] {
            let found = screened(&[*first, *second]);
            assert_eq!(found, Err(*reason), "{first:?} before {second:?}");
        }
    }
}
