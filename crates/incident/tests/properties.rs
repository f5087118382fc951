//! What holds of every ledger, however broken.
#![allow(clippy::unwrap_used)]

mod campaign_day;

use core::num::NonZeroU32;

use campaign_day::{Load, evidence, procedure, tally, whole};
use portcullis_incident::{
    CutTotals, History, HistoryFold, Incident, ProcedureRecord, Totals, WaveRecord, fold, grade,
    hypotheses,
};
use portcullis_model::{
    Cost, Effect, Entry, Event, EvidenceKind, Posture, ProcedureId, Receipt, SourceCount, WallTime,
    WaveFigures,
};
use proptest::prelude::*;

fn platform() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just("main".to_owned()), 1 => Just("shop".to_owned())]
}

fn kind() -> impl Strategy<Value = EvidenceKind> {
    prop_oneof![
        Just(EvidenceKind::RepeatedRequests),
        Just(EvidenceKind::CacheBusting),
        Just(EvidenceKind::StalledHeaders),
        Just(EvidenceKind::UnansweredChallenges),
        Just(EvidenceKind::ExpensivePaths),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..5_000u64, 1 => Just(0), 1 => Just(u64::MAX)]
}

/// Any event, about a few platforms, waves and procedures, so that they meet.
fn event() -> impl Strategy<Value = Event> {
    let wave = 1..4u32;
    prop_oneof![
        Just(Event::Stopped),
        any::<bool>().prop_map(|rehearsal| Event::Started {
            version: "0.1.0".into(),
            configuration: String::new(),
            platforms: campaign_day::platforms(),
            workers: 2,
            rehearsal,
            machine: None,
        }),
        (0..2_000_000u64, number())
            .prop_map(|(since, lost)| Event::RecordingGap { since: WallTime(since), lost }),
        (platform(), 0..200_000_000u64, 0..90_000u64, number(), number(), number()).prop_map(
            |(platform, from, length, people, signature, huge)| {
                let small = Load {
                    people: people % 10_000,
                    signature: signature % 10_000,
                    p95: people % 700,
                    ..Load::default()
                };
                let mut tally = tally(&platform, from, from + length, small);
                if huge == u64::MAX {
                    tally.reasons.insert("allowed".into(), huge);
                    tally.reasons.insert("from the future".into(), huge);
                    tally.peak_offered_per_second = huge;
                    tally.records_lost = huge;
                }
                Event::Tallied(tally)
            }
        ),
        (platform(), number(), number()).prop_map(|(platform, per_second, baseline_milli)| {
            Event::SurgeBegan {
                platform,
                activities: vec!["donate".into()],
                per_second,
                baseline_milli,
            }
        }),
        platform().prop_map(|platform| Event::SurgeEnded { platform }),
        (wave.clone(), platform(), 0..200_000_000u64, kind(), number()).prop_map(
            |(wave, platform, onset, kind, baseline_milli)| Event::AttackBegan {
                wave,
                platform,
                activities: vec!["search".into()],
                onset: WallTime(onset),
                evidence: vec![evidence(kind, 91, 50, "91% of it")],
                baseline_milli,
            }
        ),
        (wave.clone(), platform(), kind(), number()).prop_map(|(wave, platform, kind, after)| {
            Event::AttackChanged {
                wave,
                platform,
                activities: vec!["donate".into()],
                evidence: vec![evidence(kind, 91, 50, "91% of it")],
                since_procedure_change_ms: Some(after),
            }
        }),
        (wave.clone(), platform(), number()).prop_map(|(wave, platform, after_ms)| {
            Event::Mitigated { wave, platform, after_ms }
        }),
        (wave.clone(), platform())
            .prop_map(|(wave, platform)| Event::MitigationLost { wave, platform }),
        (wave, platform(), number()).prop_map(|(wave, platform, n)| Event::AttackEnded {
            wave,
            platform,
            figures: WaveFigures {
                offered: n,
                forwarded: n,
                stopped: n,
                peak_offered_per_second: n,
                peak_forwarded_per_second: n,
                peak_stalled_headers: n,
                peak_sources: SourceCount::from_count(n),
                sources: Some(SourceCount::from_count(n)),
                evidence_kinds: 1,
                changes: 0,
            },
        }),
        platform().prop_map(|platform| Event::PostureChanged {
            platform,
            from: Posture::Open,
            to: Posture::Siege,
            reason: "so".into(),
        }),
        (1..5u32, platform()).prop_map(|(id, platform)| {
            let mut facts = procedure(id, None, "shed", "not served", 0);
            facts.platform = platform;
            Event::ProcedureEngaged(facts)
        }),
        (1..5u32, platform(), number()).prop_map(|(id, platform, n)| Event::ProcedureReleased {
            id: ProcedureId(NonZeroU32::new(id).unwrap()),
            platform,
            reason: "over".into(),
            effect: Effect { stopped: n, seen: n },
            cost: Cost { delayed: n, refused_with_token: n, collateral_per_million: 0 },
        }),
        platform().prop_map(|platform| Event::OriginDegraded { platform, summary: "slow".into() }),
        platform().prop_map(|platform| Event::OriginRecovered { platform }),
        (platform(), 0..200_000_000u64, number()).prop_map(|(platform, since, duration_ms)| {
            Event::FullSpeed { platform, since: WallTime(since), duration_ms }
        }),
        (0..200_000_000u64).prop_map(|told_at| Event::ReceiptRecorded(Receipt {
            recipient: "NCSC".into(),
            channel: "telephone".into(),
            reference: "1".into(),
            notified_at: WallTime(told_at),
            document: None,
        })),
    ]
}

/// Leaves whose clock mostly moves forward, by up to some hours.
fn ledger() -> impl Strategy<Value = Vec<(u64, Entry)>> {
    let step = prop_oneof![
        6 => 0..3_000u64,
        2 => 0..4_000_000u64,
        1 => Just(90_000_000u64),
    ];
    proptest::collection::vec((step, any::<bool>(), event()), 0..80).prop_map(|steps| {
        let mut at: u64 = 0;
        let mut entries = Vec::new();
        for (leaf, (step, back, event)) in (0..).zip(steps) {
            at = if back && step % 7 == 0 { at.saturating_sub(step) } else { at + step };
            entries.push((leaf, Entry::new(WallTime(at), event)));
        }
        entries
    })
}

fn history(entries: &[(u64, Entry)]) -> History {
    let mut fold = HistoryFold::default();
    for (leaf, entry) in entries {
        fold.push(*leaf, entry);
    }
    fold.finish()
}

fn sums(totals: &Totals) -> bool {
    let parts =
        [totals.forwarded, totals.challenged, totals.refused, totals.dropped, totals.unknown];
    let sum = parts.iter().fold(0, |n: u64, part| n.saturating_add(*part));
    let reasons = totals.reasons.values();
    let reasons = reasons.fold(0, |n: u64, part| n.saturating_add(*part));
    sum == totals.offered && reasons == totals.offered
}

fn holds(incident: &Incident) -> Result<(), TestCaseError> {
    let moments = incident.timeline();
    prop_assert!(moments.is_sorted_by_key(|m| (m.at, m.leaf)));
    prop_assert!(moments.iter().all(|m| m.leaf <= incident.as_of.leaf));
    prop_assert!(moments.iter().all(|m| m.summary.ends_with('.') && !m.summary.contains("  ")));
    prop_assert!(!incident.waves.is_empty());
    for wave in &incident.waves {
        prop_assert!(wave.onset <= wave.detected.at);
        prop_assert!(wave.until(incident.as_of.at) >= wave.onset);
        prop_assert!(wave.adaptations().count() <= wave.changes.items.len());
        wave.unmitigated_ms(incident.as_of.at);
        prop_assert!(incident.platform(&wave.platform).is_some());
        prop_assert!(!(wave.ended.is_some() && wave.interrupted.is_some()));
    }
    for platform in &incident.platforms {
        prop_assert!(sums(&platform.before) && sums(&platform.attack));
        prop_assert!(sums(&platform.while_mitigated) && sums(&platform.engaged));
        prop_assert!(platform.while_mitigated.offered <= platform.attack.offered);
        for series in &platform.series {
            prop_assert!(series.points().count() <= portcullis_incident::LoadSeries::POINTS);
        }
    }
    let window = incident.window();
    prop_assert!(window.from <= window.to);
    let weighing = hypotheses::evaluate(incident);
    prop_assert!(weighing.conclusion.contains("insufficient data"));
    let scale = grade::scale(incident);
    prop_assert_eq!(scale.saturated, incident.saturated());
    let found = grade::sophistication(incident);
    prop_assert!(found.observed() <= found.measured());
    serde_json::to_string(incident).unwrap();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_the_ledger_holds_the_views_hold_together(entries in ledger()) {
        let incidents = fold(entries.clone());
        for incident in &incidents {
            holds(incident)?;
        }
        let mut ids: Vec<&str> = incidents.iter().map(|i| i.id.as_str()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
        // Deleting the view and folding again gives the same.
        prop_assert_eq!(&fold(entries.clone()), &incidents);
        // What was an incident stays one, under its name, as the ledger grows.
        for end in [entries.len() / 3, entries.len() / 2] {
            let earlier = fold(entries[..end].to_vec());
            for (then, now) in earlier.iter().zip(&incidents) {
                prop_assert_eq!(&then.id, &now.id);
                prop_assert!(then.waves.len() <= now.waves.len());
            }
            prop_assert!(earlier.len() <= incidents.len());
        }
    }

    #[test]
    fn the_history_has_all_that_the_incidents_have(entries in ledger()) {
        let history = history(&entries);
        let incidents = fold(entries);
        // An incident takes no tally that comes more than a day late.
        let without_cuts = |wave: &WaveRecord| WaveRecord { cuts: CutTotals::default(), ..wave.clone() };
        let waves = incidents.iter().flat_map(|incident| &incident.waves);
        let waves: Vec<_> = waves.map(without_cuts).collect();
        prop_assert_eq!(history.waves.iter().map(without_cuts).collect::<Vec<_>>(), waves);
        for incident in &incidents {
            for surge in &incident.surges {
                prop_assert!(history.surges.items.contains(surge));
            }
            for change in &incident.posture_changes {
                prop_assert!(history.posture_changes.items.contains(change));
            }
            for procedure in &incident.procedures {
                let same = |other: &&ProcedureRecord| {
                    (&other.facts, other.engaged) == (&procedure.facts, procedure.engaged)
                };
                prop_assert!(history.procedures.iter().any(|other| same(&other)));
            }
        }
        prop_assert!(history.surges.items.is_sorted_by_key(|surge| surge.began.leaf));
        prop_assert!(history.procedures.items.is_sorted_by_key(|procedure| procedure.engaged.leaf));
    }

    #[test]
    fn any_part_of_the_day_folds(from in 0usize..4_000, length in 0usize..4_000) {
        let entries = whole(false);
        let from = from.min(entries.len());
        let to = (from + length).min(entries.len());
        for incident in fold(entries[from..to].to_vec()) {
            holds(&incident)?;
        }
    }
}

#[test]
fn memory_is_bounded_however_long_an_incident_lasts() {
    let mut entries = Vec::new();
    let mut tell = |at: u64, event: Event| {
        let leaf = entries.len() as u64;
        entries.push((leaf, Entry::new(WallTime(at), event)));
    };
    let began = |wave: u32, at: u64| Event::AttackBegan {
        wave,
        platform: "main".into(),
        activities: Vec::new(),
        onset: WallTime(at),
        evidence: Vec::new(),
        baseline_milli: 1_000,
    };
    let hour = 3_600_000;
    for wave in 0..400u64 {
        let at = (wave + 1) * hour;
        tell(at, began(wave as u32 + 1, at));
        for id in 1..=8u32 {
            let id = wave as u32 * 8 + id;
            tell(at, Event::ProcedureEngaged(procedure(id, None, "shed", "x", at)));
        }
        for second in 0..20 {
            let from = at + second * 1_000;
            let load = Load { people: 5, p95: second + wave, ..Load::default() };
            tell(from + 1_000, Event::Tallied(tally("main", from, from + 1_000, load)));
        }
    }
    let incident = fold(entries).remove(0);
    assert_eq!(incident.waves.len() as u64 + incident.more_waves, 400);
    assert_eq!(incident.procedures.count(), 3_200);
    assert!(incident.saturated());
    let size = serde_json::to_string(&incident).unwrap().len();
    assert!(size < 4_000_000, "{size}");
}
