//! Real traffic, if the shared data is next to the workspace.

use std::path::{Path, PathBuf};

use portcullis_model::WatchSettings;
use portcullis_replay::{LogInput, MinuteCounts, Recording};

use crate::writer::{config, replay};

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn three_days_of_a_real_blog_are_read_whole_and_are_quiet() {
    let Some(path) = shared("semicomplete-2015.access.log.gz") else { return };
    let log = LogInput::file(&path, None).expect("opens");
    let found = replay(config()).run(vec![log], &mut |_| {}).expect("one log");
    assert_eq!((found.lines.read, found.lines.parsed), (10_000, 10_000));
    assert_eq!(found.lines.left_out(), 0);
    assert_eq!(found.requests, 10_000);
    // 1,753 distinct addresses, counted otherwise; the sketch is within a few per cent.
    assert!(found.sources.abs_diff(1_753) < 60, "{}", found.sources);
    assert_eq!(found.attacks.count() + found.surges.count(), 0, "{}", found.text());
    assert_eq!(found.impact.hit_requests(), 0, "{}", found.text());
}

/// The crowds of the World Cup gathered over an hour or more before each match: the load grew a
/// hundredfold in a month without ever growing fourfold within the minute that the baseline
/// follows. What is called a surge are the sudden bursts of May.
#[test]
fn the_world_cup_has_surges_each_over_its_baseline() {
    let Some(path) = shared("worldcup98-minutes.csv.gz") else { return };
    let settings = WatchSettings::default();
    let mut minutes = MinuteCounts::new(settings.clone());
    minutes.read(Recording::open(&path).expect("opens"));
    let found = minutes.finish();
    assert_eq!((found.rows, found.unparsed, found.missing), (70_580, 0, 10));
    assert!(found.surges.count() >= 5, "{}", found.text());
    for surge in &found.surges {
        assert!(surge.tenths >= u64::from(settings.surge_factor_tenths), "{}", found.text());
    }
    let busiest = found.busiest().expect("a busiest minute");
    assert_eq!(busiest.requests, 2_564);
    assert_eq!(busiest.at.to_string(), "1998-06-15T14:29:00.000Z");
}
