//! The findings of the day's ledger on what a spokesperson would like to say.
#![allow(clippy::unwrap_used)]

#[path = "../../incident/tests/campaign_day/mod.rs"]
mod campaign_day;

use campaign_day::{QUIET, morning, time, whole, without};
use portcullis_incident::{Incident, fold};
use portcullis_model::{Entry, Event, WallTime};
use portcullis_statement::{
    CheckContext, Claim, ClaimKind, Finding, LeafProof, PressDetails, Statement, StatementContext,
    assess, build,
};
use proptest::prelude::*;

fn only(entries: Vec<(u64, Entry)>) -> Incident {
    let mut incidents = fold(entries);
    assert_eq!(incidents.len(), 1);
    incidents.remove(0)
}

fn of(kind: ClaimKind, entries: Vec<(u64, Entry)>) -> Claim {
    let claims = assess(&only(entries));
    claims.into_iter().find(|c| c.kind == kind).unwrap()
}

fn statement(rehearsal: bool) -> Statement {
    let context = StatementContext {
        checkpoint:
            "party.example/portcullis\n3849\nrq3fZ5bVQ0gJ1m3v2oXkq8s7L0c9T1yq4bTn0h2b3kA=\n\n\
                     \u{2014} party.example/portcullis 4fEJ0m0Y6c1w\u{2026}\n"
                .into(),
        vkey: "party.example/portcullis+d1f1093d+AZ9sLr0c".into(),
        generated_at: time("2026-11-24T11:05:00Z"),
        organisation: Some("The Example Party".into()),
        version: "0.1.0".into(),
        press: PressDetails::default(),
    };
    build(&only(whole(rehearsal)), &context)
}

#[test]
fn the_statement_of_the_day_reads_honestly() {
    insta::assert_snapshot!(statement(false).to_text());
}

#[test]
fn the_statement_as_json_is_versioned() {
    let mut statement = statement(false);
    assert!(!statement.leaves_to_prove().is_empty());
    statement.proofs =
        vec![LeafProof { leaf: 307, proof: "c2sp.org/tlog-proof@v1\nindex 307\n".into() }];
    insta::assert_snapshot!(statement.to_json());
}

#[test]
fn the_statement_as_a_page_needs_nothing_from_elsewhere() {
    let html = statement(false).to_html();
    for foreign in ["http:", "https:", "<script", "src=", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    insta::assert_snapshot!(html);
}

#[test]
fn a_page_quotes_what_a_visitor_sent_without_executing_it() {
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        if let Event::AttackBegan { platform, .. } = &mut entry.event {
            *platform = "<script>alert(1)</script>\u{1b}[2J".into();
        }
    }
    let incident = only(entries);
    let statement = build(&incident, &StatementContext::default());
    assert!(!statement.to_html().contains("<script>"));
    assert!(!statement.to_text().contains('\u{1b}'));
}

#[test]
fn a_rehearsal_is_marked_at_both_ends_and_in_every_sentence() {
    let statement = statement(true);
    let text = statement.to_text();
    assert!(text.starts_with("REHEARSAL"), "{text}");
    assert!(text.trim_end().ends_with("real attack."), "{text}");
    let rehearsed = |c: &Claim| c.sentence.starts_with("Rehearsal");
    assert!(statement.claims.iter().all(rehearsed));
    assert!(statement.to_html().contains("REHEARSAL"));
    assert!(statement.to_json().contains(r#""rehearsal": true"#));
}

#[test]
fn lines_of_text_fit_a_hundred_columns() {
    let long = statement(true).to_text().lines().map(|line| line.chars().count()).max();
    assert!(long <= Some(100), "{long:?}");
}

#[test]
fn integrity_and_breach_are_never_supported() {
    for kind in [ClaimKind::Integrity, ClaimKind::NoBreach] {
        assert_eq!(of(kind, whole(false)).finding, Finding::NotShown);
    }
}

#[test]
fn an_attack_without_recorded_evidence_is_a_surge_of_undetermined_cause() {
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        match &mut entry.event {
            Event::AttackBegan { evidence, .. } | Event::AttackChanged { evidence, .. } => {
                evidence.clear();
            }
            _ => {}
        }
    }
    let claim = of(ClaimKind::Attack, entries);
    assert_eq!(claim.finding, Finding::NotShown);
    assert!(claim.sentence.contains("undetermined cause"));
}

#[test]
fn full_speed_needs_its_event_after_the_last_wave() {
    let kind = ClaimKind::FullSpeed;
    assert_eq!(of(kind, whole(false)).finding, Finding::Supported);
    let late = time("2026-11-24T00:00:00Z");
    let entries = without(false, |e| matches!(e, Event::FullSpeed { since, .. } if *since > late));
    assert_eq!(of(kind, entries).finding, Finding::NotShown);
    let mut day = morning(false);
    campaign_day::first_wave(&mut day);
    assert_eq!(of(kind, day.entries).finding, Finding::Contradicted);
}

#[test]
fn restored_is_contradicted_while_a_procedure_is_engaged() {
    let kind = ClaimKind::Restored;
    assert_eq!(of(kind, whole(false)).finding, Finding::Supported);
    let mut day = morning(false);
    campaign_day::first_wave(&mut day);
    day.until("2026-11-23T10:06:40Z", 1_000, QUIET);
    assert_eq!(of(kind, day.entries).finding, Finding::Contradicted);
}

#[test]
fn reported_needs_a_receipt_from_the_ncsc() {
    let kind = ClaimKind::Reported;
    let claim = of(kind, whole(false));
    assert_eq!(claim.finding, Finding::Supported);
    assert!(claim.sentence.contains("INC-48213"));
    let entries = without(false, |e| matches!(e, Event::ReceiptRecorded(_)));
    assert_eq!(of(kind, entries).finding, Finding::NotShown);
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        if let Event::ReceiptRecorded(receipt) = &mut entry.event {
            receipt.recipient = "the police".into();
        }
    }
    let claim = of(kind, entries);
    assert_eq!(claim.finding, Finding::NotShown);
    assert!(claim.caveats.iter().any(|c| c.contains("the police")));
}

#[test]
fn an_origin_that_handled_the_same_before_contradicts_that_defences_made_the_difference() {
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        if let Event::Tallied(tally) = &mut entry.event
            && tally.to < time("2026-11-23T10:00:00Z")
            && tally.peak_offered_per_second > 300
        {
            for n in tally.reasons.values_mut().chain(tally.outcomes.values_mut()) {
                *n *= 100;
            }
        }
    }
    let not_degraded = entries
        .into_iter()
        .filter(|(_, e)| {
            !matches!(e.event, Event::OriginDegraded { .. } | Event::AttackBegan { wave: 2, .. })
        })
        .collect();
    let claim = of(ClaimKind::BecauseOfDefences, not_degraded);
    assert_eq!(claim.finding, Finding::Contradicted);
    assert!(claim.sentence.contains("would not have exceeded"), "{}", claim.sentence);
}

/// The day, with a percentage of the responses failed between two moments of the first wave.
fn failing(per_cent: u64, from: &str, to: &str) -> Vec<(u64, Entry)> {
    let (from, to) = (time(from), time(to));
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        if let Event::Tallied(tally) = &mut entry.event
            && (tally.from >= from && tally.to <= to)
        {
            let served = tally.outcomes.remove("served").unwrap_or(0);
            let failed = served * per_cent / 100;
            tally.outcomes.insert("served".into(), served - failed);
            *tally.outcomes.entry("origin-timeout".into()).or_default() += failed;
        }
    }
    entries
}

#[test]
fn attempts_failed_even_if_the_first_seconds_hurt_and_not_if_the_hurt_continued() {
    let kind = ClaimKind::AttemptsFailed;
    let hurt = failing(40, "2026-11-23T10:02:00Z", "2026-11-23T10:02:14Z");
    let claim = of(kind, hurt.clone());
    assert_eq!(claim.finding, Finding::Supported, "{}", claim.because);
    assert!(claim.sentence.contains("For 13 s the attack was not mitigated"), "{}", claim.sentence);
    // That people were served throughout is another claim, and not true then.
    assert_ne!(of(ClaimKind::StayedUp, hurt).finding, Finding::Supported);
    let through = failing(40, "2026-11-23T10:02:00Z", "2026-11-23T10:06:00Z");
    assert_eq!(of(kind, through).finding, Finding::Contradicted);
}

/// The events that each claim cannot do without.
fn needed(kind: ClaimKind, event: &Event) -> bool {
    match kind {
        ClaimKind::Attack | ClaimKind::Platforms | ClaimKind::Detected => {
            matches!(event, Event::AttackBegan { .. })
        }
        ClaimKind::SwiftAction => {
            matches!(event, Event::Mitigated { .. } | Event::ProcedureEngaged(_))
        }
        ClaimKind::AttemptsFailed => {
            matches!(event, Event::Mitigated { .. } | Event::AttackEnded { .. })
        }
        ClaimKind::BecauseOfDefences => {
            matches!(event, Event::Mitigated { .. } | Event::ProcedureReleased { .. })
        }
        ClaimKind::StayedUp => matches!(event, Event::Tallied(_)),
        ClaimKind::Restored => matches!(event, Event::ProcedureReleased { .. }),
        ClaimKind::FullSpeed => matches!(event, Event::FullSpeed { .. }),
        ClaimKind::Reported => matches!(event, Event::ReceiptRecorded(_)),
        // Supported only by a chain of events, or by no event at all.
        ClaimKind::Waves
        | ClaimKind::Sophisticated
        | ClaimKind::LargeScale
        | ClaimKind::SlowedDown
        | ClaimKind::Integrity
        | ClaimKind::NoBreach => false,
    }
}

#[test]
fn a_claim_is_not_supported_without_the_events_that_it_needs() {
    for kind in ClaimKind::ALL {
        let entries = without(false, |event| needed(*kind, event));
        let Some(incident) = fold(entries).pop() else {
            continue; // no incident: nothing can be claimed at all
        };
        let claims = assess(&incident);
        let claim = claims.iter().find(|c| c.kind == *kind).unwrap();
        let depends = whole(false).iter().any(|(_, e)| needed(*kind, &e.event));
        assert!(!depends || claim.finding != Finding::Supported, "{kind:?} {claim:?}");
    }
}

#[test]
fn every_supported_claim_names_leaves_of_this_ledger() {
    let incident = only(whole(false));
    for claim in assess(&incident) {
        if claim.finding == Finding::Supported {
            assert!(!claim.leaves().is_empty(), "{:?}", claim.kind);
        }
        assert!(claim.leaves().iter().all(|leaf| *leaf <= incident.as_of.leaf));
        assert!(!claim.sentence.is_empty() && !claim.because.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Taking any events out never makes a sentence about what was not watched supported, and
    /// never leaves a claim supported without the events that it needs.
    #[test]
    fn taking_events_out_never_makes_up_evidence(seed in any::<u64>(), keep in 1u64..100) {
        let entries: Vec<(u64, Entry)> = whole(false)
            .into_iter()
            .filter(|(leaf, entry)| {
                let tally = matches!(entry.event, Event::Tallied(_));
                let roll = leaf.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed) >> 33;
                tally || roll % 100 < keep
            })
            .collect();
        for incident in fold(entries.clone()) {
            for claim in assess(&incident) {
                match claim.kind {
                    ClaimKind::Integrity | ClaimKind::NoBreach => {
                        prop_assert_ne!(claim.finding, Finding::Supported);
                    }
                    ClaimKind::Waves | ClaimKind::Sophisticated | ClaimKind::LargeScale
                    | ClaimKind::SlowedDown => {}
                    kind => {
                        let there = entries.iter().any(|(_, e)| needed(kind, &e.event));
                        prop_assert!(there || claim.finding != Finding::Supported, "{:?}", claim);
                    }
                }
            }
            let statement = build(&incident, &StatementContext::default());
            prop_assert_eq!(statement.claims.len(), ClaimKind::ALL.len());
        }
    }
}

#[test]
fn an_incident_without_a_wave_supports_no_claim_about_an_attack() {
    let flood = Event::GateFloodBegan {
        onset: WallTime(6_000),
        refused_per_second: 1_200,
        usual_milli: 400,
        stalled_headers: 0,
        reasons: [("unknown-host".to_owned(), 1_200)].into(),
    };
    let incident = only(vec![(0, Entry::new(WallTime(8_000), flood))]);
    let statement = build(&incident, &StatementContext::default());
    for claim in &statement.claims {
        let about_waves = !matches!(
            claim.kind,
            ClaimKind::Integrity
                | ClaimKind::NoBreach
                | ClaimKind::SlowedDown
                | ClaimKind::Restored
                | ClaimKind::FullSpeed
                | ClaimKind::Reported
        );
        if about_waves {
            assert_eq!(claim.finding, Finding::NotShown, "{:?}", claim.kind);
            assert!(claim.because.contains("No wave"), "{}", claim.because);
        }
    }
    let text = statement.to_text();
    assert!(!text.contains("0 waves"));
    assert!(text.contains(", without an attack on a platform."), "{text}");
    assert!(text.contains("1,200 per second"), "{text}");
}

/// An outage of a minute at night, without an attack.
fn outage() -> Incident {
    let day = 1_700_000_000_000;
    let down = Event::OriginDown {
        platform: "main".into(),
        onset: WallTime(day),
        unserved: 12,
        served: 0,
        failed_probes: 2,
    };
    let up = Event::OriginUp {
        platform: "main".into(),
        onset: WallTime(day),
        unserved: 412,
        served: 0,
        failed_probes: 20,
    };
    only(vec![
        (0, Entry::new(WallTime(day + 5_000), down)),
        (1, Entry::new(WallTime(day + 65_000), up)),
    ])
}

#[test]
fn an_outage_contradicts_that_the_site_stayed_up() {
    let incident = outage();
    let statement = build(&incident, &StatementContext::default());
    for claim in &statement.claims {
        let contradicted = claim.kind == ClaimKind::StayedUp;
        assert_eq!(claim.finding == Finding::Contradicted, contradicted, "{:?}", claim.kind);
        assert_ne!(claim.finding, Finding::Supported, "{:?}", claim.kind);
    }
    insta::assert_snapshot!(statement.to_text());
}

#[test]
fn sentences_about_an_outage_are_judged_by_it() {
    let incident = outage();
    let passes = |sentence: &str| {
        portcullis_statement::check(sentence, Some(&incident), &CheckContext::default())
            .unwrap()
            .passes()
    };
    assert!(!passes("Our site stayed up throughout."));
    assert!(!passes("The website remained available."));
    assert!(passes("The origin server was down."));
    assert!(passes("Our website was unavailable."));
    assert!(passes("There was an outage."));
}
