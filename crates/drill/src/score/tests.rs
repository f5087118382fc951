//! The score card of two synthetic runs.

use std::collections::BTreeMap;

use super::*;
use crate::gate_facts::{CrowdAssessment, GateEvent, GateEventKind};
use crate::plan::VisitorKind;
use crate::recording::{ClientKind, Sample, SampleOutcome};
use crate::recording::{PhaseSpan, Second, TacticChange};
use crate::scenario::Tactic;

const STARTED: u64 = 1_573_549_500_000;

fn phase(name: &str, title: &str, from_ms: u32, to_ms: u32) -> PhaseSpan {
    PhaseSpan {
        name: name.into(),
        title: title.into(),
        from_ms,
        to_ms,
        is_attack: false,
        has_crowd: false,
        down_without_gate: false,
    }
}

/// Six phases of two seconds, a hundred pages in each; `lost` of those in attacks are not served.
fn run(lost: u32, failing: SampleOutcome, challenged: u32) -> RunRecording {
    let attacked = |span| PhaseSpan { is_attack: true, down_without_gate: true, ..span };
    let phases = vec![
        phase("normal-day", "Normal day", 0, 2_000),
        PhaseSpan { has_crowd: true, ..phase("flash-crowd", "Flash crowd", 2_000, 4_000) },
        attacked(phase("search-flood", "Search flood", 4_000, 6_000)),
        phase("pause", "Pause", 6_000, 8_000),
        attacked(phase("second-wave", "Second wave, mixed", 8_000, 10_000)),
        phase("recovery", "Recovery", 10_000, 12_000),
    ];
    let mut samples = Vec::new();
    for (index, span) in (0_u16..).zip(&phases) {
        for number in 0..100_u32 {
            let kind = if span.has_crowd { VisitorKind::FlashCrowd } else { VisitorKind::Everyday };
            let outcome = match () {
                () if span.is_attack && number < lost => failing,
                () if span.is_attack && number >= 100 - challenged => {
                    SampleOutcome::ServedAfterChallenge { round_trips: 1 }
                }
                () => SampleOutcome::Served,
            };
            samples.push(Sample {
                phase: index,
                client: ClientKind::Person(kind),
                visitor: number,
                start_ms: span.from_ms + number * 20,
                latency_micros: 10_000 + number * 1_000,
                requests: 3,
                outcome,
            });
        }
        for number in 0..if span.is_attack { 1_500_u32 } else { 0 } {
            samples.push(Sample {
                phase: index,
                client: ClientKind::Attacker(Tactic::SearchFlood),
                visitor: number % 100,
                start_ms: span.from_ms + number,
                latency_micros: 2_000,
                requests: 1,
                outcome: if number.is_multiple_of(5) {
                    SampleOutcome::Served
                } else {
                    SampleOutcome::Refused { status: 403 }
                },
            });
        }
    }
    samples.sort_by_key(|sample| sample.start_ms);
    let seconds = (0..12)
        .map(|second| Second {
            attack_requests: if matches!(second, 4 | 5 | 8 | 9) { 750 } else { 0 },
            people_requests: 150,
            people_served: if matches!(second, 4 | 5 | 8 | 9) { 50 - lost.min(50) } else { 50 },
            people_failed: if matches!(second, 4 | 5 | 8 | 9) { lost.min(50) } else { 0 },
            origin_requests: 160 + lost * 7,
            people_p95_ms: Some(100 + lost * 10),
            ..Second::default()
        })
        .collect();
    RunRecording {
        scenario: "synthetic".into(),
        seed: 7,
        phases,
        started_unix_ms: STARTED,
        lasts_ms: 12_000,
        samples,
        seconds,
        tactic_changes: vec![],
        held_back: 0,
        origin_peak_per_second: u64::from(160 + lost * 7),
    }
}

fn marks() -> Vec<GateEvent> {
    [
        (2_400, GateEventKind::SurgeDetected),
        (4_750, GateEventKind::AttackDetected),
        (4_750, GateEventKind::PostureChanged("open to guarded".into())),
        (5_000, GateEventKind::Mitigated),
        (7_250, GateEventKind::FullSpeed),
        (8_500, GateEventKind::AttackDetected),
        (9_000, GateEventKind::Mitigated),
        (12_010, GateEventKind::FullSpeed),
    ]
    .map(|(at_ms, what)| GateEvent { unix_ms: STARTED + at_ms, kind: what })
    .into()
}

fn cuts() -> BTreeMap<String, u64> {
    [("slow-read".to_owned(), 1_064), ("idle".to_owned(), 3)].into()
}

fn good() -> (RunRecording, RunRecording, GateFacts) {
    let without = run(80, SampleOutcome::TimedOut, 0);
    let mut with = run(1, SampleOutcome::Refused { status: 429 }, 6);
    with.tactic_changes.push(TacticChange {
        at_ms: 5_200,
        from: Tactic::CacheBusting,
        to: Tactic::Imitation,
    });
    let facts = GateFacts::new(&with, &marks(), cuts());
    (without, with, facts)
}

#[test]
fn a_drill_that_went_well_meets_its_thresholds() {
    let (without, with, facts) = good();
    let card = ScoreCard::new(&without, &with, &facts);
    assert!(card.met, "{card}");
    insta::assert_snapshot!("score_card_met", card.to_string());
    insta::assert_snapshot!("score_card_json", serde_json::to_string_pretty(&card).unwrap());
}

#[test]
fn a_drill_that_went_badly_lists_what_it_missed() {
    let without = run(30, SampleOutcome::Refused { status: 503 }, 0);
    let with = run(2, SampleOutcome::Refused { status: 403 }, 0);
    let mut early = marks();
    early[0].kind = GateEventKind::AttackDetected;
    early.truncate(5);
    early[1].unix_ms += 1_300;
    let card = ScoreCard::new(&without, &with, &GateFacts::new(&with, &early, BTreeMap::new()));
    assert!(!card.met);
    insta::assert_snapshot!("score_card_missed", card.to_string());
}

#[test]
fn no_line_of_the_card_is_wider_than_a_hundred_columns() {
    let (without, with, facts) = good();
    let text = ScoreCard::new(&without, &with, &facts).to_string();
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert_eq!(line.trim_end(), line, "spaces at the end of a line");
    }
}

#[test]
fn nothing_asked_is_not_everything_served() {
    let nothing = ServiceLevel::default();
    assert!(!nothing.serves_at_least(99));
    assert_eq!(nothing.served_share(), None);
}

#[test]
fn a_share_is_never_rounded_up_to_the_threshold() {
    let nearly = ServiceLevel { requested: 1_000, served: 989, ..ServiceLevel::default() };
    assert!(!nearly.serves_at_least(99));
    assert_eq!(thresholds::format_percent(9_997), "99.9%");
    assert_eq!(thresholds::format_seconds(2_001), "2.1 s");
}

#[test]
fn moments_belong_to_the_wave_in_which_they_happened() {
    let (_, with, facts) = good();
    assert_eq!(facts.waves.len(), 2);
    assert_eq!(facts.waves[0].detected_after_ms, Some(750));
    assert_eq!(facts.waves[0].full_speed_after_ms, Some(1_250));
    assert_eq!(facts.waves[1].mitigated_after_ms, Some(1_000));
    assert_eq!(facts.waves[1].full_speed_after_ms, Some(2_010));
    assert_eq!(facts.crowd, CrowdAssessment::Surge);
    // A moment from before the run belongs to none.
    let before = GateEvent { unix_ms: STARTED - 1, kind: GateEventKind::AttackDetected };
    let none = GateFacts::new(&with, &[before], BTreeMap::new());
    assert_eq!(none.waves[0].detected_after_ms, None);
    assert!(none.labels.is_empty());
}

#[test]
fn the_picture_of_a_drill_is_drawn_as_before() {
    let (without, with, facts) = good();
    insta::assert_snapshot!("drill_plot", crate::plot::svg(&without, &with, &facts));
}
