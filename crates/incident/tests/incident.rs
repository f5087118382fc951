//! What the fold makes of a day and a half, and of what can go wrong with a ledger.
#![allow(clippy::unwrap_used)]

mod campaign_day;

use campaign_day::{Day, Load, MAIN, QUIET, morning, time, whole, without};
use portcullis_incident::{
    Fold, GapCause, HistoryFold, Incident, LeafRef, fold,
    grade::{self, FeatureStatus, Size},
    hypotheses::{self, Cause},
    words,
};
use portcullis_model::{Entry, Event, Receipt, UnassignedTally, WallTime};

fn only(entries: Vec<(u64, Entry)>) -> Incident {
    let mut incidents = fold(entries);
    assert_eq!(incidents.len(), 1);
    incidents.remove(0)
}

#[test]
fn a_wave_of_the_next_morning_belongs_to_the_same_incident() {
    let incident = only(whole(false));
    assert_eq!(incident.id, "I-20261123-100211");
    assert_eq!(incident.waves.len(), 2);
    assert_eq!(incident.attacked(), ["main"]);
    assert_eq!(incident.not_attacked(), ["shop"]);
    assert!(!incident.ongoing());
    assert!(!incident.rehearsal);
}

#[test]
fn a_wave_after_more_than_a_day_is_another_incident() {
    let mut day = morning(false);
    campaign_day::first_wave(&mut day);
    campaign_day::way_down(&mut day);
    day.until("2026-11-25T11:00:00Z", 60_000, QUIET);
    let mut entries = day.entries;
    let later = whole(false).into_iter().filter_map(|(_, mut entry)| {
        let second = matches!(&entry.event, Event::AttackBegan { wave: 2, .. });
        entry.at = time("2026-11-25T12:00:00Z");
        if let Event::AttackBegan { onset, .. } = &mut entry.event {
            *onset = entry.at;
        }
        second.then_some(entry)
    });
    let next = entries.len() as u64;
    entries.extend((next..).zip(later));
    let ids: Vec<String> = fold(entries).into_iter().map(|i| i.id).collect();
    assert_eq!(ids, ["I-20261123-100211", "I-20261125-120000"]);
}

fn flood_began(onset: u64) -> Event {
    Event::GateFloodBegan {
        onset: WallTime(onset),
        refused_per_second: 1_200,
        usual_milli: 400,
        stalled_headers: 0,
        reasons: [("unknown-host".to_owned(), 1_150), ("malformed".to_owned(), 50)].into(),
    }
}

fn flood_ended() -> Event {
    Event::GateFloodEnded {
        refused: 90_000,
        peak_per_second: 1_900,
        reasons: [("unknown-host".to_owned(), 90_000)].into(),
    }
}

#[test]
fn a_flood_of_the_gate_is_an_incident_of_no_platform() {
    let entries = [(8_000, flood_began(6_000)), (70_000, flood_ended())];
    let entries = entries.into_iter().map(|(at, event)| Entry::new(WallTime(at), event));
    let incident = only((0..).zip(entries).collect());
    assert!(incident.waves.is_empty() && incident.platforms.is_empty());
    assert_eq!((incident.onset(), incident.until()), (WallTime(6_000), WallTime(70_000)));
    let timeline: Vec<String> = incident.timeline().into_iter().map(|m| m.summary).collect();
    assert_eq!(
        timeline,
        [
            "The gate was flooded with requests and connections that belong to no platform: 1,200 \
             refused in a second (unknown-host 1,150 and malformed 50); less than one refused in a \
             second is usual.",
            "The flood of the gate was over: 90,000 refused (unknown-host 90,000), at its busiest \
             1,900 per second.",
        ]
    );
}

#[test]
fn a_flood_of_stalled_connections_names_no_refusals() {
    let stalled = Event::GateFloodBegan {
        onset: WallTime(6_000),
        refused_per_second: 0,
        usual_milli: 3_000,
        stalled_headers: 400,
        reasons: [].into(),
    };
    let incident = only(vec![(0, Entry::new(WallTime(8_000), stalled))]);
    assert_eq!(incident.gate_floods.items[0].extent(), "400 connections stalled in their headers");
    assert_eq!(
        incident.timeline()[0].summary,
        "The gate was flooded with requests and connections that belong to no platform: 400 \
         connections stalled in their headers; 3 refused in a second is usual."
    );
}

#[test]
fn a_flood_of_the_gate_belongs_to_the_incident_that_is_open() {
    let mut entries = whole(false);
    let alone = only(entries.clone());
    let last = entries.last().unwrap().1.at;
    let leaf = entries.len() as u64;
    entries.push((leaf, Entry::new(last, flood_began(last.millis()))));
    let together = only(entries);
    assert_eq!(together.gate_floods.count(), 1);
    assert_eq!((together.onset(), together.until()), (alone.onset(), alone.until()));
    assert_eq!((together.waves, together.platforms), (alone.waves, alone.platforms));
}

#[test]
fn a_flood_that_the_gate_did_not_survive_is_interrupted() {
    let entries = [(8_000, flood_began(6_000)), (9_000, Event::Stopped)];
    let entries = entries.into_iter().map(|(at, event)| Entry::new(WallTime(at), event));
    let incident = only((0..).zip(entries).collect());
    assert!(!incident.gate_floods.items[0].ongoing());
    assert_eq!(incident.until(), WallTime(9_000));
}

#[test]
fn a_history_has_what_no_incident_has() {
    let surge = Event::SurgeBegan {
        platform: MAIN.into(),
        activities: vec!["donate".into()],
        per_second: 80,
        baseline_milli: 8_000,
    };
    let speed = |since: u64| Event::FullSpeed {
        platform: MAIN.into(),
        since: WallTime(since),
        duration_ms: 1_000,
    };
    let mut fold = HistoryFold::default();
    let mut push = |leaf: u64, event: Event| {
        fold.push(leaf, &Entry::new(WallTime(leaf * 1_000), event));
    };
    push(1, surge.clone());
    push(2, Event::ProcedureEngaged(campaign_day::procedure(1, None, "shed", "x", 2_000)));
    push(3, Event::SurgeEnded { platform: MAIN.into() });
    push(4, speed(3_000));
    push(5, surge);
    push(
        6,
        Event::UnassignedTallied(UnassignedTally {
            from: WallTime(5_000),
            to: WallTime(6_000),
            reasons: [].into(),
            cuts: [("missing-preface".to_owned(), 12)].into(),
        }),
    );
    let history = fold.finish();
    assert!(history.waves.is_empty());
    let surges: Vec<_> = history.surges.iter().map(|s| (s.began.leaf, s.ended)).collect();
    assert_eq!(surges, [(1, Some(LeafRef { at: WallTime(3_000), leaf: 3 })), (5, None)]);
    assert_eq!(history.procedures.count(), 1);
    assert_eq!(history.full_speed[MAIN].count(), 1);
    assert_eq!(history.cuts.causes, [("missing-preface".to_owned(), 12)].into());
}

#[test]
fn full_speed_belongs_to_the_wave_before_it() {
    let mut fold = HistoryFold::default();
    for (leaf, entry) in whole(false) {
        fold.push(leaf, &entry);
    }
    let history = fold.finish();
    let [first, second] = history.waves.as_slice() else { panic!("two waves") };
    let after = |wave| history.full_speed_after(wave).unwrap().stamp.at;
    assert!(first.ended.as_ref().unwrap().stamp.at < after(first));
    assert!(after(first) < second.onset);
    assert!(second.onset < after(second));
}

#[test]
fn the_identity_of_an_incident_stays_as_the_ledger_grows() {
    let entries = whole(false);
    let began =
        entries.iter().position(|(_, e)| matches!(e.event, Event::AttackBegan { .. })).unwrap();
    for end in [began + 1, began + 40, entries.len() - 100, entries.len()] {
        assert_eq!(only(entries[..end].to_vec()).id, "I-20261123-100211");
    }
    assert!(fold(entries[..began].to_vec()).is_empty());
}

#[test]
fn a_flash_crowd_is_listed_with_the_attack_and_not_as_part_of_it() {
    let incident = only(whole(false));
    let surge = &incident.surges.items[0];
    assert_eq!(incident.surges.count(), 1);
    assert!(surge.totals.offered > 30_000);
    assert_eq!((surge.totals.refused, surge.totals.challenged), (0, 0));
    assert!(incident.attack().window.unwrap().from > surge.ended.unwrap().at);
}

#[test]
fn the_quiet_before_holds_no_surge_and_no_attack() {
    let incident = only(whole(false));
    let before = incident.before();
    assert_eq!(before.p95.worst(), Some(60));
    assert_eq!(before.peak_offered.unwrap().per_second, 13);
    assert!(before.window.unwrap().to <= incident.onset());
}

#[test]
fn a_crash_ends_what_was_open_and_is_a_gap() {
    let mut day = morning(false);
    campaign_day::first_wave(&mut day);
    let cut = day
        .entries
        .iter()
        .position(|(_, e)| matches!(e.event, Event::MitigationLost { .. }))
        .unwrap();
    day.entries.truncate(cut + 1);
    day.at = time("2026-11-23T10:05:00Z").millis();
    day.start(false);
    let incident = only(day.entries);
    let wave = &incident.waves[0];
    assert_eq!(wave.interrupted.unwrap().at, time("2026-11-23T10:03:00Z"));
    assert!(!incident.ongoing());
    assert!(incident.procedures.iter().all(|p| p.interrupted.is_some()));
    let gap = &incident.coverage.gaps.items[0];
    assert_eq!(gap.cause, GapCause::Crash);
    assert_eq!(gap.window.millis(), 120_000);
    assert!(incident.saturated());
    assert!(incident.peak().unwrap().text().starts_with('≥'));
}

#[test]
fn a_second_that_no_tally_covers_is_a_gap() {
    let dropped = time("2026-11-23T10:04:10Z");
    let entries = without(false, |event| {
        matches!(event, Event::Tallied(t) if t.from <= dropped && t.to > dropped
            && t.platform == MAIN)
    });
    let incident = only(entries);
    assert!(
        matches!(
            &incident.coverage.gaps.items[..],
            [gap] if gap.window.millis() == 2_000 || gap.window.millis() == 1_000
        ) || incident.coverage.gaps.count() == 0
    );
    // One second is within the slack of the wall clock; two are not.
    let entries = without(false, |event| {
        matches!(event, Event::Tallied(t) if t.platform == MAIN
            && t.from.seconds() >= dropped.seconds() && t.from.seconds() < dropped.seconds() + 3)
    });
    let incident = only(entries);
    assert_eq!(incident.coverage.gaps.count(), 1);
    assert!(matches!(incident.coverage.gaps.items[0].cause, GapCause::NoTally { .. }));
    assert!(incident.saturated());
}

#[test]
fn events_that_could_not_be_written_make_figures_lower_bounds() {
    let mut day = morning(false);
    campaign_day::first_wave(&mut day);
    let since = time("2026-11-23T10:04:00Z");
    day.tell(Event::RecordingGap { since, lost: 17 });
    let incident = only(day.entries);
    assert_eq!(incident.coverage.lost_events, 17);
    assert!(incident.saturated());
}

#[test]
fn lost_records_make_figures_lower_bounds() {
    let mut day = morning(false);
    campaign_day::first_wave(&mut day);
    for (_, entry) in &mut day.entries {
        if let Event::Tallied(tally) = &mut entry.event {
            tally.records_lost = u64::from(tally.from > time("2026-11-23T10:05:00Z"));
        }
    }
    let incident = only(day.entries);
    assert!(incident.coverage.records_lost > 0);
    assert!(incident.saturated());
}

#[test]
fn an_event_of_a_newer_version_is_missing_from_the_incident_and_reported() {
    let unknown = || Event::Unknown { kind: "defacement-began".into(), v: 9 };
    let mut day = morning(false);
    day.tell(unknown());
    campaign_day::first_wave(&mut day);
    day.tell(unknown());
    let incident = only(day.entries);
    assert_eq!(incident.coverage.unknown_events, 1, "the one before the attack is not near it");
    assert!(!incident.coverage.is_complete());
    assert_eq!(
        incident.coverage.describe(0),
        ["Left out: 1 event that a newer version of Portcullis wrote and this one cannot read."]
    );
}

#[test]
fn a_receipt_belongs_to_the_incident_that_had_begun_when_it_was_given() {
    assert_eq!(only(whole(false)).notifications.count(), 1);
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        if let Event::ReceiptRecorded(Receipt { notified_at: told_at, .. }) = &mut entry.event {
            *told_at = time("2026-11-22T10:00:00Z");
        }
    }
    assert_eq!(only(entries).notifications.count(), 0);
}

#[test]
fn full_speed_counts_only_after_the_last_wave() {
    let back = |incident: &Incident| incident.back_at_full_speed(MAIN).map(|m| m.since);
    let incident = only(whole(false));
    assert_eq!(back(&incident), Some(time("2026-11-24T09:42:30Z")));
    let late = time("2026-11-24T00:00:00Z");
    let incident = only(without(
        false,
        |event| matches!(event, Event::FullSpeed { since, .. } if *since > late),
    ));
    assert_eq!(incident.platforms[0].full_speed.count(), 1);
    assert_eq!(back(&incident), None);
}

#[test]
fn the_capacity_of_the_origin_is_an_answered_rate_without_failures() {
    let incident = only(whole(false));
    let capacity = incident.platforms[0].observed_capacity.clone().unwrap();
    // The flash crowd of 320 per second: the attack's own seconds brought failures.
    assert_eq!(capacity.per_second, 320);
}

#[test]
fn scale_is_given_on_two_axes_with_their_sources() {
    let scale = grade::scale(&only(whole(false)));
    assert_eq!(scale.size, Some(Size::Smaller63));
    assert!(!scale.is_large_by_published_figures());
    assert!(scale.is_large_for_site());
    let words = scale.lines().join("\n");
    assert!(words.contains("Cloudflare, fourth quarter of 2024"), "{words}");
    assert!(!scale.saturated);
}

#[test]
fn the_rubric_prints_raw_values_and_names_what_was_not_measured() {
    let found = grade::sophistication(&only(whole(false)));
    let of = |letter| found.features.iter().find(|f| f.letter == letter).unwrap();
    assert_eq!(of('a').observed, FeatureStatus::Yes);
    assert_eq!(of('b').observed, FeatureStatus::Yes);
    assert_eq!(of('d').observed, FeatureStatus::No);
    assert_eq!(of('g').observed, FeatureStatus::NotMeasured);
    assert_eq!(of('j').observed, FeatureStatus::Yes);
    assert!(!found.is_sophisticated());
}

#[test]
fn a_flash_crowd_is_not_ruled_out_by_evidence_that_fits_it_too() {
    let weak_only = without(false, |event| {
        matches!(event, Event::AttackChanged { .. } | Event::AttackBegan { wave: 2, .. })
    })
    .into_iter()
    .map(|(leaf, mut entry)| {
        if let Event::AttackBegan { evidence, .. } = &mut entry.event {
            evidence.clear();
            for kind in [
                portcullis_model::EvidenceKind::CacheBusting,
                portcullis_model::EvidenceKind::ExpensivePaths,
            ] {
                evidence.push(campaign_day::evidence(kind, 95, 90, "fits both"));
            }
        }
        (leaf, entry)
    });
    let incident = only(weak_only.collect());
    let weighing = hypotheses::evaluate(&incident);
    assert!(weighing.least_contradicted().contains(&Cause::FlashCrowd));
    assert!(!weighing.supports_attack(hypotheses::has_strong_evidence(&incident)));
    assert!(weighing.conclusion.contains("undetermined cause"));
    assert!(weighing.conclusion.contains("insufficient data"));
}

#[test]
fn the_evidence_of_the_day_supports_the_word_attack_and_names_no_actor() {
    let incident = only(whole(false));
    let weighing = hypotheses::evaluate(&incident);
    assert_eq!(weighing.least_contradicted(), [Cause::Hostile]);
    assert!(weighing.supports_attack(hypotheses::has_strong_evidence(&incident)));
    assert!(weighing.conclusion.contains("insufficient data"));
}

#[test]
fn an_ongoing_attack_is_ongoing_until_its_end_is_recorded() {
    let mut day = morning(false);
    campaign_day::first_wave(&mut day);
    day.entries.pop();
    let incident = only(day.entries);
    assert!(incident.ongoing());
    assert_eq!(incident.until(), incident.as_of.at);
}

#[test]
fn a_wall_clock_that_is_set_back_breaks_nothing() {
    let mut day = Day::begin("2026-11-23T10:00:00Z", false);
    day.until("2026-11-23T10:10:00Z", 60_000, QUIET);
    campaign_day::first_wave(&mut day);
    day.at = time("2026-11-23T10:01:00Z").millis();
    day.tally(MAIN, Load { people: 5, ..QUIET });
    campaign_day::way_down(&mut day);
    let incident = only(day.entries);
    let moments = incident.timeline();
    assert!(moments.is_sorted_by_key(|m| (m.at, m.leaf)));
}

#[test]
fn the_fold_takes_leaves_one_by_one_and_gives_the_same() {
    let entries = whole(true);
    let mut one_by_one = Fold::default();
    for (leaf, entry) in &entries {
        one_by_one.push(*leaf, entry);
    }
    let incidents = one_by_one.finish();
    assert_eq!(incidents, fold(entries));
    assert!(incidents[0].rehearsal);
}

#[test]
fn the_timeline_of_the_day_reads_calmly() {
    let incident = only(whole(false));
    let mut text = String::new();
    for moment in incident.timeline() {
        let head = format!("{} {} [{}] ", words::day(moment.at), moment.at.clock(), moment.leaf);
        text += &words::wrap(&head, "        ", 100, &moment.summary);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_grades_of_the_day_read_with_their_sources() {
    let incident = only(whole(false));
    let scale = grade::scale(&incident);
    let mut text = words::wrap("", "", 100, &scale.describe());
    for line in scale.lines().iter().chain(&scale.caveats) {
        text += &words::wrap("- ", "  ", 100, line);
    }
    let found = grade::sophistication(&incident);
    text += &words::wrap("\n", "", 100, &found.describe());
    text += &words::wrap("", "", 100, &found.context);
    for feature in &found.features {
        let head =
            format!("({}) {}: {}. ", feature.letter, feature.name, feature.observed.as_str());
        text += &words::wrap(&head, "    ", 100, &feature.summary);
        for figure in &feature.figures {
            let line = format!("{}: {} ({})", figure.name, figure.text(), figure.leaves);
            text += &words::wrap("      ", "      ", 100, &line);
        }
    }
    let weighing = hypotheses::evaluate(&incident);
    text += "\n";
    for row in &weighing.rows {
        let fits: Vec<&str> = row.fits.iter().map(|fit| fit.as_str()).collect();
        let line = format!("{} | {} | {}", row.summary, row.leaves, fits.join(" | "));
        text += &words::wrap("", "  ", 100, &line);
    }
    text += &words::wrap("", "", 100, &weighing.conclusion);
    insta::assert_snapshot!(text);
}

#[test]
fn an_incident_as_json_holds_its_figures_and_leaves() {
    let incident = only(whole(false));
    let json = serde_json::to_string(&incident).unwrap();
    assert!(json.contains(r#""id":"I-20261123-100211""#));
    assert!(json.len() < 2_000_000, "{}", json.len());
}

fn origin_down(onset: u64) -> Event {
    Event::OriginDown {
        platform: "main".into(),
        onset: WallTime(onset),
        unserved: 12,
        served: 1,
        failed_probes: 2,
    }
}

fn origin_up(onset: u64) -> Event {
    Event::OriginUp {
        platform: "main".into(),
        onset: WallTime(onset),
        unserved: 412,
        served: 3,
        failed_probes: 20,
    }
}

fn entry(leaf: u64, at: u64, event: Event) -> (u64, Entry) {
    (leaf, Entry::new(WallTime(at), event))
}

#[test]
fn an_outage_is_an_incident_without_an_attack() {
    let day = 1_700_000_000_000;
    let incident =
        only(vec![entry(0, day + 5_000, origin_down(day)), entry(1, day + 65_000, origin_up(day))]);
    assert_eq!(incident.id, "I-20231114-221320");
    assert!(incident.waves.is_empty());
    assert_eq!(incident.attacked(), Vec::<&str>::new(), "an outage is no attack on its platform");
    assert!(!incident.ongoing());
    assert_eq!(incident.until(), WallTime(day + 65_000));
    let outage = &incident.outages.items[0];
    assert_eq!(
        (outage.lasted_ms(incident.as_of.at), outage.unserved, outage.served),
        (65_000, 412, 3)
    );
    let timeline: Vec<String> = incident.timeline().into_iter().map(|m| m.summary).collect();
    assert_eq!(
        timeline,
        [
            "The origin of main was down: since 14 November 2023, 22:13:20 UTC most requests to it \
             were left without an answer.",
            "The origin of main was up again after 1 min 5 s: 412 requests were not served, 3 were.",
        ]
    );
}

#[test]
fn an_outage_whose_gate_stopped_has_no_end() {
    let day = 1_700_000_000_000;
    let incident = only(vec![
        entry(0, day + 5_000, origin_down(day)),
        entry(1, day + 9_000, Event::Stopped),
        entry(2, day + 20_000, origin_up(day)),
    ]);
    let outage = &incident.outages.items[0];
    assert_eq!(outage.interrupted, Some(LeafRef { at: WallTime(day + 9_000), leaf: 1 }));
    assert_eq!((outage.ended, outage.unserved), (None, 12));
}

#[test]
fn a_wave_after_an_outage_belongs_to_its_incident_and_the_outage_to_no_wave() {
    let mut entries = whole(false);
    let first = entries.iter().position(|(_, e)| matches!(e.event, Event::AttackBegan { .. }));
    let at = entries[first.unwrap()].1.at;
    entries.insert(first.unwrap(), (0, Entry::new(at, origin_down(at.millis()))));
    let entries = (0..).zip(entries.into_iter().map(|(_, entry)| entry)).collect();
    let incident = only(entries);
    assert_eq!(incident.waves.len(), 2);
    assert_eq!(incident.attacked(), ["main"]);
    assert_eq!(incident.outages.count(), 1);
}

#[test]
fn a_step_of_the_clock_and_an_accepted_fork_are_in_the_coverage() {
    let day = 1_700_000_000_000;
    let stepped = Event::ClockStepped { by_ms: -3_600_000, expected: WallTime(day + 3_610_000) };
    let fork = Event::ForkAccepted { reason: "it was rolled back.".into(), last_seen: None };
    let incident = only(vec![
        entry(0, day + 5_000, origin_down(day)),
        entry(1, day + 10_000, stepped),
        entry(2, day + 12_000, fork),
    ]);
    let coverage = incident.coverage.describe(8).join("\n");
    assert!(coverage.contains("The clock was set back by 1 h"), "{coverage}");
    assert!(coverage.contains("as an operator had allowed: it was rolled back."), "{coverage}");
}

fn taken_over(continues: bool) -> Event {
    Event::TakenOver {
        version: "9.9.9".into(),
        configuration: "digest".into(),
        platforms: Vec::new(),
        workers: 2,
        rehearsal: false,
        machine: None,
        continues,
    }
}

#[test]
fn what_lasts_continues_over_a_takeover() {
    let day = 1_700_000_000_000;
    let incident = only(vec![
        entry(0, day + 5_000, origin_down(day)),
        entry(1, day + 9_000, Event::HandedOver),
        entry(2, day + 9_100, taken_over(true)),
        entry(3, day + 20_000, Event::HandedOver),
        entry(4, day + 20_400, Event::HandoverFailed),
        entry(5, day + 65_000, origin_up(day)),
    ]);
    let outage = &incident.outages.items[0];
    assert!(outage.interrupted.is_none() && outage.ended.is_some());
    assert_eq!(incident.coverage.gaps.count(), 0, "{:?}", incident.coverage);
}

#[test]
fn a_takeover_without_the_state_ends_what_lasted_and_is_no_crash() {
    let day = 1_700_000_000_000;
    let incident = only(vec![
        entry(0, day + 5_000, origin_down(day)),
        entry(1, day + 9_000, Event::HandedOver),
        entry(2, day + 9_100, taken_over(false)),
        entry(3, day + 9_200, Event::Stopped),
    ]);
    let outage = &incident.outages.items[0];
    assert_eq!(outage.interrupted, Some(LeafRef { at: WallTime(day + 9_000), leaf: 2 }));
    let coverage = incident.coverage.describe(8).join("\n");
    assert!(coverage.contains("took over from the running one"), "{coverage}");
    assert!(!coverage.contains("good order"), "{coverage}");
}

#[test]
fn a_start_after_a_handover_that_nothing_took_is_a_crash() {
    let day = 1_700_000_000_000;
    let mut started = whole(false).into_iter().map(|(_, entry)| entry.event);
    let started = started.find(|event| matches!(event, Event::Started { .. })).unwrap();
    let incident = only(vec![
        entry(0, day + 5_000, origin_down(day)),
        entry(1, day + 9_000, Event::HandedOver),
        entry(2, day + 60_000, started),
    ]);
    assert_eq!(incident.coverage.gaps.items[0].cause, GapCause::Crash);
}
