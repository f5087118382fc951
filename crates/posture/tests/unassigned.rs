//! What belongs to no platform: it is counted and reported as such, and is evidence about none.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use portcullis_model::{
    ActivityId, Config, ConnReason, Event, Features, Gauges, Meter, Reason, Record, Snapshot,
    SourceKey, TICK, Time, TokenState, WallTime,
};
use portcullis_posture::{Action, Control, Input, Resume};
use proptest::prelude::*;

const TWO_SITES: &str = r#"
[[listeners]]
address = "127.0.0.1:8080"

[[platforms]]
name = "campaign"
hosts = ["a.test"]
origin = "http://127.0.0.1:3000"

[[platforms.activities]]
name = "donate"
paths = ["/donate"]

[[platforms]]
name = "members"
hosts = ["b.test"]
origin = "http://127.0.0.1:3001"
"#;

/// A gate in front of two sites, with its events.
struct Scene {
    control: Control,
    meter: Meter,
    now: Time,
    wall: WallTime,
    stalled: u64,
    events: Vec<Event>,
}

impl Scene {
    fn new() -> Self {
        let config = Config::read(TWO_SITES, "two.toml").unwrap();
        Self {
            control: Control::new(Arc::new(config), WallTime(0), &Resume::default()),
            meter: Meter::new(3),
            now: Time(0),
            wall: WallTime(0),
            stalled: 0,
            events: Vec::new(),
        }
    }

    fn step(&mut self, input: Input) {
        let mut actions = Vec::new();
        self.control.step(self.now, self.wall, input, &mut actions);
        let events = actions.into_iter().filter_map(|action| match action {
            Action::Record(event) => Some(event),
            Action::Probe(_) | Action::Engage(_) => None,
        });
        self.events.extend(events);
    }

    /// A request that was refused before it belonged to a platform.
    fn refuse(&mut self, reason: Reason) {
        self.meter.record_verdict(None, reason);
        self.step(Input::Record(Record {
            at: self.now,
            source: SourceKey::of([192, 0, 2, 1].into()),
            features: Features::default(),
            query: 0,
            assigned: None,
            reason,
            page: true,
            asset: false,
            partial: false,
            token: TokenState::Absent,
            procedure: None,
        }));
    }

    fn tick(&mut self) {
        self.now = self.now + TICK;
        self.wall = self.wall + TICK;
        let mut total = Snapshot::default();
        self.meter.add_to(&mut total);
        total.gauges = Gauges { stalled_headers: self.stalled, ..Gauges::default() };
        self.step(Input::Tick(total));
    }

    fn seconds(&mut self, seconds: u32, mut each_tick: impl FnMut(&mut Self)) {
        for _ in 0..seconds * 4 {
            each_tick(self);
            self.tick();
        }
    }

    fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(event)).count()
    }
}

fn is_about_traffic_of_a_platform(event: &Event) -> bool {
    match event {
        Event::Tallied(tally) => !tally.reasons.is_empty() || !tally.activities.is_empty(),
        event => event.platform().is_some(),
    }
}

#[test]
fn a_flood_of_requests_without_a_platform_is_a_flood_of_the_gate_and_of_no_platform() {
    for reason in [
        Reason::TargetTooLong,
        Reason::Malformed,
        Reason::HeaderTooLarge,
        Reason::NotSupported,
        Reason::UnknownHost,
    ] {
        let mut scene = Scene::new();
        scene.seconds(60, |_| {});
        scene.seconds(10, |scene| (0..38).for_each(|_| scene.refuse(reason)));
        scene.seconds(60, |_| {});
        assert_eq!(scene.count(is_about_traffic_of_a_platform), 0, "{:#?}", scene.events);
        let began = |event: &Event| match event {
            Event::GateFloodBegan { onset, refused_per_second, reasons, .. } => {
                assert_eq!(reasons[reason.as_str()], *refused_per_second);
                assert!((60_000..62_000).contains(&onset.millis()), "{onset:?}");
                true
            }
            _ => false,
        };
        assert_eq!(scene.count(began), 1);
        let ended = |event: &Event| match event {
            Event::GateFloodEnded { refused, peak_per_second, .. } => {
                // All but what came before it was recognised.
                assert!((1_000..=1_520).contains(refused), "{refused}");
                assert_eq!(*peak_per_second, 152);
                true
            }
            _ => false,
        };
        assert_eq!(scene.count(ended), 1);
    }
}

#[test]
fn a_scanner_is_no_flood() {
    let mut scene = Scene::new();
    scene.seconds(120, |scene| (0..10).for_each(|_| scene.refuse(Reason::UnknownHost)));
    let flood = |event: &Event| matches!(event, Event::GateFloodBegan { .. });
    assert_eq!(scene.count(flood), 0);
    let tallied = |event: &Event| matches!(event, Event::UnassignedTallied(_));
    assert_eq!(scene.count(tallied), 2, "one in each minute");
}

#[test]
fn refused_connections_are_a_flood_too() {
    let mut scene = Scene::new();
    scene.seconds(5, |scene| {
        (0..100).for_each(|_| scene.meter.record_refused_connection(ConnReason::HandshakeFailed));
    });
    let flood = |event: &Event| matches!(event, Event::GateFloodBegan { .. });
    assert_eq!(scene.count(flood), 1);
    assert_eq!(scene.count(is_about_traffic_of_a_platform), 0);
}

#[test]
fn stalled_connections_before_several_platforms_are_evidence_about_none() {
    let mut scene = Scene::new();
    scene.seconds(5, |_| {});
    scene.stalled = 400;
    scene.seconds(5, |_| {});
    let stalled =
        |event: &Event| matches!(event, Event::GateFloodBegan { stalled_headers: 400, .. });
    assert_eq!(scene.count(stalled), 1);
    assert_eq!(scene.count(is_about_traffic_of_a_platform), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every count is in exactly one tally, and tallies follow each other.
    #[test]
    fn tallies_have_every_count_once(
        ticks in proptest::collection::vec((0..80u64, 0..4u64, 0..3u64), 1..900),
    ) {
        let mut scene = Scene::new();
        let (mut requests, mut conns) = (0, 0);
        for (refused, handshakes, allowed) in ticks {
            (0..refused).for_each(|_| scene.refuse(Reason::UnknownHost));
            for _ in 0..handshakes {
                scene.meter.record_refused_connection(ConnReason::HandshakeFailed);
            }
            for _ in 0..allowed {
                scene.meter.record_verdict(Some(ActivityId(0)), Reason::Allowed);
            }
            (requests, conns) = (requests + refused, conns + handshakes);
            scene.tick();
        }
        scene.step(Input::Stop);
        let mut until = WallTime(0);
        let (mut tallied, mut tallied_conns) = (0, 0);
        for event in &scene.events {
            if let Event::UnassignedTallied(tally) = event {
                prop_assert!(until <= tally.from && tally.from < tally.to);
                until = tally.to;
                tallied += tally.reasons.get("unknown-host").unwrap_or(&0);
                tallied_conns += tally.reasons.get("handshake-failed").unwrap_or(&0);
            }
            if let Event::Tallied(tally) = event {
                prop_assert!(tally.reasons.keys().all(|reason| reason == "allowed"));
            }
        }
        prop_assert_eq!((tallied, tallied_conns), (requests, conns));
        // Floods begin and end in turn.
        let mut ongoing = false;
        for event in &scene.events {
            match event {
                Event::GateFloodBegan { .. } => {
                    prop_assert!(!ongoing);
                    ongoing = true;
                }
                Event::GateFloodEnded { .. } => {
                    prop_assert!(ongoing);
                    ongoing = false;
                }
                _ => {}
            }
        }
    }
}
