//! The nine questions, answered from the day's ledger.
#![allow(clippy::unwrap_used)]

#[path = "../../incident/tests/campaign_day/mod.rs"]
mod campaign_day;

use campaign_day::{morning, time, whole};
use portcullis_incident::{Incident, fold};
use portcullis_model::{Entry, Event};
use portcullis_report::{ClaimLine, OperatorInput, Provenance, Report, nine_questions};

fn only(entries: Vec<(u64, Entry)>) -> Incident {
    let mut incidents = fold(entries);
    assert_eq!(incidents.len(), 1);
    incidents.remove(0)
}

fn made() -> Provenance {
    Provenance { generated_at: time("2026-11-24T11:10:00Z"), version: "0.1.0".into() }
}

fn claims() -> Vec<ClaimLine> {
    vec![ClaimLine {
        typical_wording: "We have experienced a cyber attack.".into(),
        finding: "supported".into(),
        sentence: "The platform main was attacked in 2 waves.".into(),
    }]
}

fn report(rehearsal: bool) -> Report {
    nine_questions(&only(whole(rehearsal)), &claims(), &OperatorInput::default(), &made())
}

#[test]
fn the_report_of_the_day_answers_nine_questions() {
    let report = report(false);
    assert_eq!(report.sections.len(), 9);
    insta::assert_snapshot!(report.to_text());
}

#[test]
fn a_flood_of_the_gate_is_reported_without_a_word_about_waves() {
    let flood = Event::GateFloodBegan {
        onset: time("2026-11-24T11:00:00Z"),
        refused_per_second: 1_200,
        usual_milli: 400,
        stalled_headers: 0,
        reasons: [("unknown-host".to_owned(), 1_200)].into(),
    };
    let incident = only(vec![(0, Entry::new(time("2026-11-24T11:00:02Z"), flood))]);
    let report = nine_questions(&incident, &[], &OperatorInput::default(), &made());
    let text = report.to_text();
    assert!(text.contains("no wave of attack on a platform"), "{text}");
    assert!(!text.contains("0 waves") && !text.contains("Rubric"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_report_as_json_is_versioned() {
    insta::assert_snapshot!(report(false).to_json());
}

#[test]
fn the_report_as_a_page_needs_nothing_from_elsewhere() {
    let html = report(true).to_html();
    let without_names = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for foreign in ["http:", "https:", "<script", "src=", "@import", "url("] {
        assert!(!without_names.contains(foreign), "{foreign}");
    }
    insta::assert_snapshot!(html);
}

#[test]
fn waves_far_apart_have_a_picture_each_in_full_resolution() {
    let report = report(false);
    assert_eq!(report.charts.len(), 2);
    let series = &only(whole(false)).platforms[0].series;
    assert!(series.iter().all(|s| s.width_ms() == 1_000));
    assert!(report.charts[0].contains("wave 1"));
}

#[test]
fn what_the_desk_knows_takes_the_place_of_blanks() {
    let blanks = |report: &Report| report.to_text().matches("[please fill in:").count();
    let full = OperatorInput {
        name: Some("Ada Example".into()),
        role: Some("head of digital".into()),
        phone: Some("+44 20 7946 0000".into()),
        email: Some("ada@elsewhere.example".into()),
        organisation_email: Some("it@party.example".into()),
        organisation: Some("The Example Party".into()),
        sector: Some("a political party, 40 staff, United Kingdom".into()),
        impact: Some("Leaflets could not be ordered for four minutes.".into()),
        actions: vec!["Called the hosting provider at 10:15 UTC".into()],
        informed: vec!["the police, by telephone".into()],
        next_steps: vec!["Review on 8 December".into()],
    };
    let filled = nine_questions(&only(whole(false)), &[], &full, &made());
    assert_eq!(blanks(&report(false)), 12, "{}", report(false).to_text());
    // What is known about data is always for a person to say.
    assert_eq!(blanks(&filled), 1);
    assert!(filled.to_text().contains("Ada Example"));
}

#[test]
fn a_category_is_never_assigned() {
    let text = report(false).to_text();
    assert!(text.contains("none known"));
    for n in 1..=6 {
        assert!(!text.contains(&format!("ategory {n}")));
    }
}

#[test]
fn a_rehearsal_is_marked_at_both_ends_and_in_the_plots() {
    let report = report(true);
    let text = report.to_text();
    assert!(text.starts_with("REHEARSAL"));
    assert!(text.trim_end().ends_with("real attack."));
    assert!(text.contains("THIS IS A REHEARSAL"));
    assert!(report.charts.iter().all(|p| p.contains("Rehearsal")));
}

#[test]
fn lines_of_text_fit_a_hundred_columns() {
    let text = report(true).to_text();
    let long = text.lines().map(|line| line.chars().count()).max();
    assert!(long <= Some(100), "{long:?}");
}

#[test]
fn an_ongoing_attack_and_a_ledger_without_a_start_are_reported_as_such() {
    let mut day = morning(false);
    campaign_day::first_wave(&mut day);
    day.entries.pop();
    day.entries.remove(0);
    let report = nine_questions(&only(day.entries), &[], &OperatorInput::default(), &made());
    let text = report.to_text();
    assert!(text.contains("still going on"), "{text}");
    assert!(text.contains("3 procedures are still engaged"), "{text}");
    assert!(text.contains("The ledger does not hold the start of the gate"), "{text}");
}

#[test]
fn a_ledger_of_the_version_before_cuts_were_tallied_is_reported_without_claiming_that_none_were() {
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        entry.v = 1;
        if let Event::Tallied(tally) = &mut entry.event {
            tally.cuts = None;
        }
    }
    let text = nine_questions(&only(entries), &[], &OperatorInput::default(), &made()).to_text();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("(slow readers, floods within HTTP/2) is not on record"), "{text}");
    assert!(text.contains("attacks within HTTP/2 were not looked for"), "{text}");
    assert!(!text.contains("cut nothing"), "{text}");
}

#[test]
fn a_page_quotes_what_a_visitor_sent_without_executing_it() {
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        if let Event::ProcedureEngaged(facts) = &mut entry.event {
            facts.summary = "user agent is \u{201c}</td><script>alert(1)</script>\u{1b}[2J".into();
            facts.measure = "<script>".into();
        }
    }
    let report = nine_questions(&only(entries), &claims(), &OperatorInput::default(), &made());
    assert!(!report.to_html().contains("<script"));
    assert!(!report.to_text().contains('\u{1b}'));
}
