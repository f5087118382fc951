use super::*;

#[test]
fn an_entry_reads_back_what_it_wrote() {
    let entry = Entry::new(
        WallTime(1_795_460_659_250),
        Event::SurgeBegan {
            platform: "main".into(),
            activities: vec!["search".into()],
            per_second: 400,
            baseline_milli: 12_500,
        },
    );
    let json = serde_json::to_string(&entry).expect("serialises");
    assert!(json.contains(r#""event":"surge-began""#), "{json}");
    assert_eq!(serde_json::from_str::<Entry>(&json).expect("parses"), entry);
}

/// Written by the version before cuts were tallied.
const OLD_TALLY: &str = r#"{"activities":[],"at":"2026-11-23T10:00:00.000Z","bytes_out":0,
    "challenges_passed":0,"event":"tallied","from":"2026-11-23T09:59:00.000Z","latency":null,
    "origin_busy_ms":0,"outcomes":{},"peak_forwarded_per_second":0,
    "peak_offered_per_second":0,"platform":"main","reasons":{},"sources":"under-ten",
    "to":"2026-11-23T10:00:00.000Z","unseen":0,"v":1}"#;

#[test]
fn a_tally_of_version_1_is_read_and_does_not_say_that_nothing_was_cut() {
    let entry: Entry = serde_json::from_str(OLD_TALLY).expect("parses");
    let Event::Tallied(tally) = entry.event else { panic!("a tally") };
    assert_eq!((entry.v, tally.cuts), (1, None));
}

#[test]
fn a_tally_without_cuts_is_distinct_from_one_that_watched_none() {
    let entry: Entry = serde_json::from_str(OLD_TALLY).expect("parses");
    let Event::Tallied(mut tally) = entry.event else { panic!("a tally") };
    tally.cuts = Some(BTreeMap::new());
    let json = serde_json::to_string(&Entry::new(entry.at, Event::Tallied(tally.clone())));
    let json = json.expect("serialises");
    assert!(json.contains(r#""cuts":{}"#) && json.contains(r#""v":4"#), "{json}");
    let back: Entry = serde_json::from_str(&json).expect("parses");
    assert_eq!(back.event, Event::Tallied(tally));
}

#[test]
fn a_leaf_of_version_2_is_read_under_the_names_of_today() {
    let tally = OLD_TALLY
        .replace(r#""reasons":{}"#, r#""reasons":{"ordinary":3,"handshakes":2,"shed":1}"#)
        .replace(r#""outcomes":{}"#, r#""outcomes":{"visitor-gone":4}"#)
        .replace(r#""unseen":0,"v":1"#, r#""unseen":7,"cuts":{"stall":5},"v":2"#);
    let entry: Entry = serde_json::from_str(&tally).expect("parses");
    let Event::Tallied(tally) = entry.event else { panic!("a tally") };
    let names: Vec<_> = tally.reasons.keys().map(String::as_str).collect();
    assert_eq!(names, ["allowed", "handshake-concurrency", "shed"]);
    assert_eq!((tally.outcomes["visitor-disconnected"], tally.records_lost), (4, 7));
    assert_eq!(tally.cuts.expect("cuts")["flow-control-stall"], 5);

    for (old, new) in [
        (
            r#"{"at":"2026-11-23T10:00:00.000Z","event":"origin-strained","platform":"main",
                "says":"slow","v":2}"#,
            Event::OriginDegraded { platform: "main".into(), summary: "slow".into() },
        ),
        (
            r#"{"at":"2026-11-23T10:00:00.000Z","event":"full-speed","platform":"main",
                "since":"2026-11-23T10:00:00.000Z","held_ms":5,"v":2}"#,
            Event::FullSpeed {
                platform: "main".into(),
                since: WallTime::parse("2026-11-23T10:00:00.000Z").expect("a time"),
                duration_ms: 5,
            },
        ),
    ] {
        assert_eq!(serde_json::from_str::<Entry>(old).expect("parses").event, new);
    }
    let receipt = r#"{"at":"2026-11-23T10:00:00.000Z","event":"notified","recipient":"NCSC",
        "channel":"web form","reference":"1","told_at":"2026-11-23T10:00:00.000Z",
        "document":null,"v":2}"#;
    let entry: Entry = serde_json::from_str(receipt).expect("parses");
    assert!(matches!(entry.event, Event::ReceiptRecorded(_)));
}

#[test]
fn the_list_of_kinds_is_complete() {
    let error = serde_json::from_str::<Event>(r#"{"event":"teapot"}"#).expect_err("no kind");
    let error = error.to_string();
    let (_, expected) = error.split_once("expected one of").expect("a list");
    let names: std::collections::BTreeSet<_> = expected.split('`').skip(1).step_by(2).collect();
    assert_eq!(names, Event::KINDS.iter().copied().collect());
}

fn read(json: &str) -> Result<Event, serde_json::Error> {
    serde_json::from_str::<Entry>(json).map(|entry| entry.event)
}

#[test]
fn an_event_of_a_newer_version_is_read_as_unknown() {
    let newer = r#"{"at":"2026-11-23T10:00:00.000Z","event":"teapot","lid":{"on":true},"v":9}"#;
    let unknown = Event::Unknown { kind: "teapot".into(), v: 9 };
    assert_eq!(read(newer).expect("parses"), unknown);
    assert_eq!((unknown.subject(), unknown.platform()), (Subject::Unknown, None));
    // The kind is known, but its fields may mean something else by now.
    let newer = r#"{"at":"2026-11-23T10:00:00.000Z","event":"stopped","v":5}"#;
    let unknown = Event::Unknown { kind: "stopped".into(), v: 5 };
    assert_eq!(read(newer).expect("parses"), unknown);
    // A kind that a newer program added without a new version of the format.
    let newer = r#"{"at":"2026-11-23T10:00:00.000Z","event":"teapot","v":3}"#;
    assert!(matches!(read(newer), Ok(Event::Unknown { v: 3, .. })));
}

#[test]
fn a_known_event_with_wrong_fields_is_an_error() {
    for wrong in [
        r#"{"at":"2026-11-23T10:00:00.000Z","event":"surge-ended","lid":1,"platform":"main","v":3}"#,
        r#"{"at":"2026-11-23T10:00:00.000Z","event":"surge-ended","v":2}"#,
        r#"{"at":"2026-11-23T10:00:00.000Z","v":3}"#,
        r#"{"event":"stopped","v":3}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_unknown_event_is_never_written() {
    let unknown = Event::Unknown { kind: "teapot".into(), v: 9 };
    assert!(serde_json::to_string(&Entry::new(WallTime(0), unknown)).is_err());
}

#[test]
fn small_numbers_of_sources_are_not_published() {
    assert_eq!(SourceCount::from_count(9), SourceCount::UnderTen);
    assert_eq!(SourceCount::from_count(10), SourceCount::About(10));
}
