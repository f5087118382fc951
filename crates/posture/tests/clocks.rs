//! A step of the wall clock is recorded; drift and ticks that come late are none.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use portcullis_model::{Config, Event, OriginConfig, Snapshot, Time, WallTime};
use portcullis_posture::{Action, Control, Input, Resume};

const START: WallTime = WallTime(1_700_000_000_000);

/// The steps that are recorded when the clocks show these milliseconds at the ticks.
fn steps(ticks: &[(u64, i64)]) -> Vec<(i64, WallTime)> {
    let origin = OriginConfig::new("127.0.0.1".into(), 80);
    let config = Config::for_origin(([127, 0, 0, 1], 8080).into(), origin);
    let mut control = Control::new(Arc::new(config), START, &Resume::default());
    let mut actions = Vec::new();
    for (now, wall) in ticks {
        let wall = WallTime(START.0.checked_add_signed(*wall).unwrap());
        control.step(Time::from_millis(*now), wall, Input::Tick(Snapshot::default()), &mut actions);
    }
    let step = |action| match action {
        Action::Record(Event::ClockStepped { by_ms, expected }) => Some((by_ms, expected)),
        _ => None,
    };
    actions.into_iter().filter_map(step).collect()
}

#[test]
fn a_clock_that_is_set_back_or_forward_is_recorded_once() {
    let hour = 3_600_000;
    let expected = START + Duration::from_millis(500);
    for by in [-hour, hour] {
        assert_eq!(
            steps(&[(0, 0), (250, 250), (500, 500 + by), (750, 750 + by)]),
            [(by, expected)]
        );
    }
}

#[test]
fn late_ticks_and_a_clock_that_is_slewed_are_no_steps() {
    assert_eq!(steps(&[(0, 0), (30_000, 30_000), (30_250, 30_255), (60_000, 59_000)]), []);
}
