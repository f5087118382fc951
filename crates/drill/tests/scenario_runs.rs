//! Whole runs over loopback: straight at the origin, and against a substitute for a gate that
//! challenges and refuses in the ways that a gate does.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis_drill::origin::{DemoOrigin, DemoOriginConfig};
use portcullis_drill::plan::VisitorKind;
use portcullis_drill::recording::{ClientKind, RunRecording, SampleOutcome};
use portcullis_drill::scenario::{AttackPlan, Rung, ScenarioPhase, Tactic};
use portcullis_drill::{DrillError, DrillRun, LoopbackTarget, Scenario, run_scenario};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One run at a time: they measure, and would measure each other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(target: LoopbackTarget, origin: &DemoOrigin, scenario: &Scenario) -> RunRecording {
    let drill_run = DrillRun {
        target,
        host: "campaign.example",
        origin_status: origin.status_address(),
        scenario,
        seed: 2019,
    };
    let mut updates = 0;
    let recording = run_scenario(&drill_run, |progress| {
        assert_eq!(progress.total_ms, scenario.lasts_ms());
        updates += 1;
    })
    .unwrap();
    assert!(updates > 0, "no progress was reported during the run");
    recording
}

/// Served and requested, by phase.
fn served(recording: &RunRecording) -> Vec<(u32, u32)> {
    let mut phases = vec![(0, 0); recording.phases.len()];
    for (_, sample) in recording.people() {
        let phase = &mut phases[usize::from(sample.phase)];
        phase.0 += u32::from(sample.outcome.is_served());
        phase.1 += 1;
    }
    phases
}

#[test]
fn without_a_gate_the_site_is_well_then_down_then_well_again() {
    let _alone = alone();
    let origin = DemoOrigin::start(&DemoOriginConfig::default()).unwrap();
    let recording = run(origin.address(), &origin, &Scenario::smoke());
    let [normal, flood, recovery] = served(&recording)[..] else { panic!("three phases") };
    assert!(normal.1 >= 15 && normal.0 == normal.1, "normal day: {normal:?}");
    assert!(flood.0 * 2 < flood.1, "search flood: {flood:?}");
    assert!(recovery.0 * 10 >= recovery.1 * 8, "recovery: {recovery:?}");

    let load = |second: usize| recording.seconds[second].origin_requests;
    assert!(load(3) > 5 * load(0), "{} then {} requests/s", load(0), load(3));
    assert!(recording.seconds[3].attack_requests > 300);
    assert_eq!(recording.seconds[0].attack_requests, 0);
    assert!(recording.origin_peak_per_second >= u64::from(load(3)));
}

#[test]
fn people_pass_challenges_and_attackers_escalate() {
    let _alone = alone();
    let origin = DemoOrigin::start(&DemoOriginConfig::default()).unwrap();
    let rung = |tactic, strength| Rung { tactic, bots: 40, strength };
    let quiet = ScenarioPhase {
        name: "quiet",
        title: "Quiet",
        lasts_ms: 500,
        crowd: 0,
        attacks: vec![],
        down_without_gate: false,
    };
    let scenario = Scenario {
        name: "ladder",
        summary: "One attacker that is stopped twice.",
        visitors_per_minute: 300,
        cookieless_one_in: 0,
        feed_readers: 1,
        phases: vec![
            quiet.clone(),
            ScenarioPhase {
                name: "attack",
                title: "Attack",
                lasts_ms: 5_000,
                attacks: vec![AttackPlan {
                    ladder: vec![
                        rung(Tactic::CacheBusting, 200),
                        rung(Tactic::Imitation, 200),
                        rung(Tactic::TokenFarm, 100),
                    ],
                    overrun_ms: 0,
                }],
                ..quiet
            },
        ],
    };
    let recording = run(fake_gate(), &origin, &scenario);

    let mut people = BTreeMap::new();
    for (kind, sample) in recording.people() {
        let place = people.entry(sample.visitor).or_insert_with(|| (kind, Vec::new()));
        place.1.push(sample.outcome);
    }
    for (kind, outcomes) in people.values() {
        let expected_first = match kind {
            VisitorKind::FeedReader => SampleOutcome::Served,
            _ => SampleOutcome::ServedAfterChallenge { round_trips: 1 },
        };
        // A form needs its page's challenge first; the substitute never challenges a form.
        if outcomes[0] != SampleOutcome::Served {
            assert_eq!(outcomes[0], expected_first);
        }
        assert!(outcomes[1..].iter().all(|outcome| outcome.is_served()), "{kind:?} {outcomes:?}");
    }
    let challenged = recording
        .people()
        .filter(|(_, s)| matches!(s.outcome, SampleOutcome::ServedAfterChallenge { .. }))
        .count();
    assert!(challenged >= 10, "{challenged} challenged");

    let changes: Vec<_> = recording.tactic_changes.iter().map(|c| (c.from, c.to)).collect();
    assert_eq!(
        changes,
        [(Tactic::CacheBusting, Tactic::Imitation), (Tactic::Imitation, Tactic::TokenFarm)]
    );
    let farmed = recording
        .samples
        .iter()
        .filter(|s| s.client == ClientKind::Attacker(Tactic::TokenFarm) && s.outcome.is_served())
        .count();
    assert!(farmed > 20, "{farmed} pages for the token farm");
    assert!(recording.seconds.iter().all(|second| second.origin_requests == 0));
}

#[test]
fn slow_headers_are_held_until_the_attacker_lets_go() {
    let _alone = alone();
    let origin = DemoOrigin::start(&DemoOriginConfig::default()).unwrap();
    let scenario = Scenario {
        name: "slow",
        summary: "Slow headers only.",
        visitors_per_minute: 60,
        cookieless_one_in: 0,
        feed_readers: 0,
        phases: vec![ScenarioPhase {
            name: "slow",
            title: "Slow",
            lasts_ms: 2_500,
            crowd: 0,
            attacks: vec![AttackPlan {
                ladder: vec![Rung { tactic: Tactic::SlowHeaders, bots: 10, strength: 60 }],
                overrun_ms: 0,
            }],
            down_without_gate: false,
        }],
    };
    let recording = run(origin.address(), &origin, &scenario);
    let held = recording.samples.iter().filter(|sample| {
        sample.client == ClientKind::Attacker(Tactic::SlowHeaders)
            && sample.outcome == SampleOutcome::TimedOut
    });
    assert_eq!(held.count(), 60);
    assert_eq!(recording.seconds[1].slow_connections, 60);
    // Fewer than the origin has slots for: people do not notice.
    assert!(served(&recording).iter().all(|(served, asked)| served == asked));
}

#[test]
fn a_run_reports_what_is_missing_before_anything_is_sent() {
    let origin = DemoOrigin::start(&DemoOriginConfig::default()).unwrap();
    let smoke = Scenario::smoke();
    let sound = DrillRun {
        target: origin.address(),
        host: "localhost",
        origin_status: origin.status_address(),
        scenario: &smoke,
        seed: 1,
    };
    let nowhere = LoopbackTarget::parse("127.0.0.1:1").unwrap();
    let fails = |drill_run: DrillRun<'_>| run_scenario(&drill_run, |_| {}).unwrap_err();
    assert!(matches!(
        fails(DrillRun { target: nowhere, ..sound.clone() }),
        DrillError::Unreachable { .. }
    ));
    assert!(matches!(
        fails(DrillRun { origin_status: nowhere, ..sound.clone() }),
        DrillError::OriginStatus { .. }
    ));
    assert!(matches!(fails(DrillRun { host: "a\r\nX: b", ..sound }), DrillError::InvalidHost(_)));
    assert_eq!(origin.status().received, 0);
}

/// Refuses what is no browser, challenges browsers without a token by a redirect that sets one (to
/// Safari by a page to wait on), and serves the rest itself.
fn fake_gate() -> LoopbackTarget {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let target = LoopbackTarget::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream));
            }
        });
    });
    target
}

async fn answer(mut stream: TcpStream) {
    let mut buffer = Vec::new();
    loop {
        while !buffer.windows(4).any(|window| window == b"\r\n\r\n") {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let text = String::from_utf8_lossy(&buffer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let field = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")))
        };
        let length: usize = field("Content-Length").map_or(0, |length| length.parse().unwrap());
        if body.len() < length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        }
        buffer.clear();
        let path = head.split(' ').nth(1).unwrap();
        let agent = field("User-Agent").unwrap_or_default();
        let person = head.contains("Sec-Fetch-Site") || agent.starts_with("Lynx");
        let asset = path.starts_with("/assets/");
        let response = if agent.starts_with("FreshRSS") {
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()
        } else if !person {
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned()
        } else if head.starts_with("POST") {
            "HTTP/1.1 303 See Other\r\nLocation: /thank-you\r\nSet-Cookie: token=1\r\n\
             Content-Length: 0\r\n\r\n"
                .to_owned()
        } else if head.contains("token=1") || asset {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_owned()
        } else if agent.contains("Version/18") {
            format!(
                "HTTP/1.1 403 Forbidden\r\nRefresh: 1; url={path}\r\nSet-Cookie: token=1; Path=/\r\n\
                 Content-Length: 4\r\n\r\nwait"
            )
        } else {
            format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: {path}\r\n\
                 Set-Cookie: token=1; HttpOnly\r\nContent-Length: 0\r\n\r\n"
            )
        };
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
    }
}
