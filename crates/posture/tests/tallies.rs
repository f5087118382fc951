//! What tallies say, seen from outside the control loop.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_model::{
    ActivityId, Config, Cut, Event, Meter, Snapshot, TICK, Tally, Time, WallTime,
};
use portcullis_posture::{Action, Control, Input, Resume};

const TWO_SITES: &str = r#"
[[listeners]]
address = "127.0.0.1:8080"

[[platforms]]
name = "main"
hosts = ["party.example"]
origin = "http://127.0.0.1:3000"

[[platforms.activities]]
name = "donate"
paths = ["/donate"]

[[platforms]]
name = "shop"
hosts = ["shop.example"]
origin = "http://127.0.0.1:3001"
"#;

fn control() -> Control {
    let config = Config::read(TWO_SITES, "two.toml").unwrap();
    Control::new(Arc::new(config), WallTime(0), &Resume::default())
}

/// The tallies of a quiet minute in which `meter` counted what it holds.
fn minute(mut control: Control, meter: &Meter) -> BTreeMap<String, Tally> {
    let mut total = Snapshot::default();
    meter.add_to(&mut total);
    let mut actions = Vec::new();
    control.step(Time(0) + TICK, WallTime(0) + TICK, Input::Tick(total), &mut actions);
    control.step(Time::from_millis(60_000), WallTime(60_000), Input::Stop, &mut actions);
    let tallies = actions.into_iter().filter_map(|action| match action {
        Action::Record(Event::Tallied(tally)) => Some((tally.platform.clone(), tally)),
        _ => None,
    });
    tallies.collect()
}

#[test]
fn a_cut_is_in_the_tally_of_the_platform_that_was_requested_last() {
    let meter = Meter::new(3);
    // Activities are numbered through: donate and the rest of main, the rest of shop.
    meter.cut(Some(ActivityId(0)), Cut::Idle);
    meter.cut(Some(ActivityId(1)), Cut::SlowRead);
    meter.cut(Some(ActivityId(1)), Cut::SlowRead);
    meter.cut(Some(ActivityId(2)), Cut::ResetFlood);
    let tallies = minute(control(), &meter);
    let of = |platform: &str| tallies[platform].cuts.clone().unwrap();
    assert_eq!(of("main"), [("idle".into(), 1), ("slow-read".into(), 2)].into());
    assert_eq!(of("shop"), [("reset-flood".into(), 1)].into());
}

#[test]
fn a_minute_without_cuts_has_an_empty_tally_of_cuts() {
    let tallies = minute(control(), &Meter::new(3));
    assert_eq!(tallies["main"].cuts, Some(BTreeMap::new()));
}

#[test]
fn without_connection_counts_a_tally_has_no_cuts() {
    let tallies = minute(control().for_recorded_requests(), &Meter::new(3));
    assert_eq!(tallies["main"].cuts, None);
}
