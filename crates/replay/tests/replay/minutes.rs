//! Counts by the minute.

use std::sync::Arc;

use portcullis_model::{
    ActivityId, Config, Event, Meter, OriginConfig, Reason, Snapshot, TICK, Time, WallTime,
};
use portcullis_posture::{Action, Control, Input, Resume};
use portcullis_replay::{MinuteCounts, MinutesFindings, Recording};

use crate::writer::MORNING;

/// A quiet site with two crowds, one of them gathering slowly.
fn counts() -> Vec<u64> {
    let mut seed = 7u64;
    (0..400u64)
        .map(|minute| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let crowd = match minute {
                100..108 => 9_000,
                200..240 => (minute - 199) * 400,
                _ => 0,
            };
            600 + (seed >> 33) % 120 + crowd
        })
        .collect()
}

fn table() -> String {
    let rows = counts()
        .into_iter()
        .enumerate()
        .map(|(at, count)| format!("{},{count}\n", WallTime((MORNING + at as u64 * 60) * 1_000)));
    core::iter::once("minute,requests\n".to_owned()).chain(rows).collect()
}

fn read(text: &str) -> MinutesFindings {
    let mut minutes = MinuteCounts::new(portcullis_model::WatchSettings::default());
    let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
    minutes.read(Recording::from_reader("minutes.csv", bytes).expect("opens"));
    minutes.finish()
}

#[test]
fn a_sudden_crowd_is_a_surge() {
    let found = read(&table());
    assert_eq!((found.rows, found.unparsed, found.missing), (400, 0, 0));
    assert_eq!(found.requests, counts().iter().sum::<u64>());
    let surge = &found.surges.items[0];
    assert_eq!(surge.from.seconds() / 60, MORNING / 60 + 100);
    assert!((155..175).contains(&surge.peak_per_second), "{surge:?}");
    assert!(surge.tenths > 100, "{surge:?}");
    insta::assert_snapshot!("minutes", found.text());
    assert!(found.svg().contains("surge"));
    assert!(found.json().contains("\"tenths\""));
}

#[test]
fn the_whole_control_loop_calls_the_same_surges_at_the_same_moments() {
    let found = read(&table());
    let ours: Vec<(WallTime, Option<WallTime>)> =
        found.surges.iter().map(|surge| (surge.from, surge.to)).collect();

    let listen = "127.0.0.1:8080".parse().expect("an address");
    let config = Config::for_origin(listen, OriginConfig::new("127.0.0.1".into(), 3_000));
    let start = WallTime(MORNING * 1_000);
    let mut control = Control::new(Arc::new(config), start, &Resume::default());
    let meter = Meter::new(1);
    let mut theirs: Vec<(WallTime, Option<WallTime>)> = Vec::new();
    let (mut now, mut wall) = (Time(0), start);
    for count in counts() {
        for tick in 0..240 {
            for _ in tick * count / 240..(tick + 1) * count / 240 {
                meter.record_verdict(Some(ActivityId(0)), Reason::Allowed);
            }
            (now, wall) = (now + TICK, wall + TICK);
            let mut total = Snapshot::default();
            meter.add_to(&mut total);
            let mut actions = Vec::new();
            control.step(now, wall, Input::Tick(total), &mut actions);
            for action in actions {
                match action {
                    Action::Record(Event::SurgeBegan { .. }) => theirs.push((wall, None)),
                    Action::Record(Event::SurgeEnded { .. }) => {
                        theirs.last_mut().expect("a surge").1 = Some(wall);
                    }
                    Action::Record(Event::AttackBegan { .. }) => panic!("an attack"),
                    _ => {}
                }
            }
        }
    }
    assert_eq!(ours, theirs);
    assert!(!ours.is_empty());
}

#[test]
fn missing_minutes_are_not_taken_for_silence() {
    let rows: Vec<String> = table().lines().map(str::to_owned).collect();
    let mut rows_left = rows[..150].to_vec();
    rows_left.extend_from_slice(&rows[180..]);
    let found = read(&rows_left.join("\n"));
    assert_eq!(found.missing, 30);
    assert!(found.text().contains("30 minutes between are not in the table"));
}

#[test]
fn rows_that_are_none_are_counted_and_shown() {
    let text = "minute,requests\n1998-06-10 15:30:00,17\nsoon,5\n1998-06-10 15:31:00,many\n\
                1998-06-10 15:31:00\n1998-06-10 15:30:30,5\n1998-06-10 15:32:00,5\n";
    let found = read(text);
    assert_eq!((found.rows, found.unparsed, found.missing), (6, 4, 1));
    let errors: Vec<_> = found.first_unparsed.iter().map(|s| (s.line, s.error.as_str())).collect();
    assert!(errors[0].1.contains("a time such as"), "{errors:?}");
    assert!(errors[1].1.contains("a whole number"), "{errors:?}");
    assert!(errors[2].1.contains("a time and a number"), "{errors:?}");
    assert!(errors[3].1.contains("in order of time"), "{errors:?}");
}
