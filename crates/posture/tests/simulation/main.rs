//! A seeded simulation: the phases of the drill, and a whole day, through the real gate, watch
//! and posture with a virtual clock. A failure names the seed that reproduces it.

mod world;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_model::{Event, EvidenceKind, Posture, WallTime};
use portcullis_posture::{Action, Control, Resume};
use rand::Rng;
use world::{Client, Fate, Recording, Who, World, browser, config, script};

const SEEDS: std::ops::Range<u64> = 1..6;

/// An ordinary quarter of a second: a page view each tick on average, now and then a search.
fn ordinary(world: &mut World, people: &mut Vec<Client>) {
    if people.len() < 40 || world.chance(100) {
        let person = world.person(Who::Visitor);
        people.push(person);
        if people.len() > 40 {
            people.remove(0);
        }
    }
    let at = world.rng.next_u32() as usize % people.len();
    let mut person = people[at].clone();
    if world.chance(100) {
        world.search(&mut person);
    } else {
        world.page_view(&mut person);
    }
    people[at] = person;
}

/// `seconds` of ordinary traffic with `extra` on top of each tick.
fn phase(
    world: &mut World,
    people: &mut Vec<Client>,
    seconds: u64,
    mut extra: impl FnMut(&mut World),
) -> WallTime {
    let began = world.wall;
    for _ in 0..seconds * 4 {
        ordinary(world, people);
        extra(world);
        world.tick();
    }
    began
}

fn flood(world: &mut World, per_tick: u32) {
    for _ in 0..per_tick {
        let mut bot = world.bot(200);
        world.send(&mut bot, "/search", Some("q=a"), &script());
    }
}

fn cache_busting(world: &mut World, per_tick: u32) {
    for _ in 0..per_tick {
        let mut bot = world.bot(100);
        bot.agent = world.rng.next_u32() % 500;
        let query = format!("cb={}", world.rng.next_u32());
        let fields = browser(bot.agent, true);
        world.send(&mut bot, "/", Some(&query), &fields);
    }
}

fn imitation(world: &mut World, per_tick: u32) {
    for _ in 0..per_tick {
        let mut bot = world.bot(100);
        bot.agent = world.rng.next_u32() % 12;
        let page = ["/", "/news", "/news/1", "/volunteer"][world.rng.next_u32() as usize % 4];
        let fields = browser(bot.agent, true);
        world.send(&mut bot, page, None, &fields);
    }
}

fn warmed_up(seed: u64) -> (World, Vec<Client>) {
    let mut world = World::new(seed);
    let mut people = Vec::new();
    phase(&mut world, &mut people, 180, |_| {});
    world.fate(Who::Visitor);
    (world, people)
}

fn served(fate: Fate) -> u64 {
    fate.served * 1_000 / fate.sent.max(1)
}

fn detected(world: &World, since: WallTime) -> Duration {
    let found = world.since(since).find(|(_, event)| matches!(event, Event::AttackBegan { .. }));
    found.expect("the attack is detected").0.since(since)
}

/// What happened, for a person who debugs a failing test.
fn history(world: &World, since: WallTime) -> String {
    world.since(since).map(|(at, event)| format!("\n{at} {event:?}")).collect()
}

fn seen(world: &World, since: WallTime, kind: EvidenceKind) -> bool {
    world.since(since).any(|(_, event)| match event {
        Event::AttackBegan { evidence, .. } | Event::AttackChanged { evidence, .. } => {
            evidence.iter().any(|e| e.kind == kind)
        }
        _ => false,
    })
}

fn recovers(world: &mut World, people: &mut Vec<Client>, since: WallTime, seed: u64) {
    phase(world, people, 400, |_| {});
    let recorded = |wanted: fn(&Event) -> bool| world.since(since).any(|(_, event)| wanted(event));
    assert!(recorded(|e| matches!(e, Event::AttackEnded { .. })), "seed {seed}: the wave ends");
    assert!(
        recorded(|e| matches!(e, Event::FullSpeed { .. })),
        "seed {seed}: full speed is recorded"
    );
    let open = world.since(since).filter_map(|(_, event)| match event {
        Event::PostureChanged { to, .. } => Some(*to),
        _ => None,
    });
    assert_eq!(open.last(), Some(Posture::Open), "seed {seed}");
}

#[test]
fn an_ordinary_day_leaves_the_gate_open() {
    for seed in SEEDS {
        let (world, _) = warmed_up(seed);
        let unusual: Vec<_> = world.since(WallTime(0)).collect();
        assert!(unusual.is_empty(), "seed {seed}: {unusual:?}");
    }
}

#[test]
fn a_flash_crowd_is_a_surge_and_none_of_it_is_stopped() {
    for seed in SEEDS {
        let (mut world, mut people) = warmed_up(seed);
        let began = phase(&mut world, &mut people, 60, |world| {
            for _ in 0..8 {
                let mut newcomer = world.person(Who::Crowd);
                world.page_view(&mut newcomer);
            }
        });
        let crowd = world.fate(Who::Crowd);
        assert_eq!((crowd.challenged, crowd.refused), (0, 0), "seed {seed}");
        let attack = world.since(began).any(|(_, e)| matches!(e, Event::AttackBegan { .. }));
        assert!(!attack, "seed {seed}: a flash crowd is not an attack");
        let surge = world.since(began).any(|(_, e)| matches!(e, Event::SurgeBegan { .. }));
        assert!(surge, "seed {seed}: a flash crowd is a surge");
    }
}

#[test]
fn a_crowd_behind_a_few_shared_addresses_is_not_blamed() {
    for seed in SEEDS {
        let (mut world, mut people) = warmed_up(seed);
        let began = phase(&mut world, &mut people, 30, |world| {
            for _ in 0..8 {
                let mut newcomer = world.person(Who::Crowd);
                newcomer.source = Ipv4Addr::new(11, 0, 0, (world.rng.next_u32() % 20) as u8);
                newcomer.agent = world.rng.next_u32() % 2;
                world.page_view(&mut newcomer);
            }
        });
        let crowd = world.fate(Who::Crowd);
        assert_eq!(crowd.refused, 0, "seed {seed}: {}", history(&world, began));
        let attack = world.since(began).any(|(_, e)| matches!(e, Event::AttackBegan { .. }));
        assert!(!attack, "seed {seed}: {}", history(&world, began));
    }
}

#[test]
fn a_mail_with_a_number_for_each_reader_is_no_attack() {
    for seed in SEEDS {
        let (mut world, mut people) = warmed_up(seed);
        let began = phase(&mut world, &mut people, 30, |world| {
            for _ in 0..6 {
                let mut reader = world.person(Who::Crowd);
                let query = format!("m={}", world.rng.next_u32());
                let fields = browser(reader.agent, true);
                world.send(&mut reader, "/donate", Some(&query), &fields);
                for part in ["/style.css", "/logo.svg", "/app.js"] {
                    let fields = browser(reader.agent, false);
                    world.send(&mut reader, part, None, &fields);
                }
            }
        });
        let crowd = world.fate(Who::Crowd);
        assert_eq!(
            (crowd.challenged, crowd.refused),
            (0, 0),
            "seed {seed}: {}",
            history(&world, began)
        );
    }
}

#[test]
fn one_person_who_loads_a_page_with_many_parts_is_no_attack() {
    let (mut world, mut people) = warmed_up(3);
    let began = phase(&mut world, &mut people, 20, |world| {
        let mut person = world.person(Who::Crowd);
        person.source = Ipv4Addr::new(11, 1, 1, 1);
        person.agent = 4;
        for part in 0..60 {
            let path = format!("/part-{part}.jpg");
            let fields = browser(person.agent, false);
            world.send(&mut person, &path, None, &fields);
        }
    });
    let attack = world.since(began).any(|(_, e)| matches!(e, Event::AttackBegan { .. }));
    assert!(!attack, "{}", history(&world, began));
}

#[test]
fn an_origin_that_answers_with_errors_is_not_helped_by_turning_people_away() {
    let (mut world, mut people) = warmed_up(2);
    world.broken = true;
    let began = phase(&mut world, &mut people, 60, |_| {});
    let visitors = world.fate(Who::Visitor);
    assert_eq!((visitors.refused, visitors.challenged), (0, 0), "{}", history(&world, began));
    let degraded = world.since(began).any(|(_, e)| matches!(e, Event::OriginDegraded { .. }));
    assert!(degraded, "the degradation is recorded");
}

#[test]
fn a_flood_on_an_expensive_page_is_met_by_a_narrow_signature() {
    for seed in SEEDS {
        let (mut world, mut people) = warmed_up(seed);
        let began = phase(&mut world, &mut people, 60, |world| flood(world, 200));
        assert!(detected(&world, began) <= Duration::from_secs(2), "seed {seed}");
        assert!(seen(&world, began, EvidenceKind::RepeatedRequests), "seed {seed}");
        let signature = world.since(began).any(
            |(_, e)| matches!(e, Event::ProcedureEngaged(f) if f.measure == "refuse-signature"),
        );
        assert!(signature, "seed {seed}: {:#?}", world.since(began).collect::<Vec<_>>());
        let visitors = world.fate(Who::Visitor);
        assert!(served(visitors) >= 980, "seed {seed}: {visitors:?} {}", history(&world, began));
        let attackers = world.fate(Who::Attacker);
        assert!(served(attackers) <= 50, "seed {seed}: {attackers:?}");
        recovers(&mut world, &mut people, began, seed);
    }
}

#[test]
fn slow_headers_are_detected_by_the_stall_alone() {
    for seed in SEEDS {
        let (mut world, mut people) = warmed_up(seed);
        let began = phase(&mut world, &mut people, 30, |world| world.stalled = 300);
        assert!(detected(&world, began) <= Duration::from_secs(2), "seed {seed}");
        assert!(seen(&world, began, EvidenceKind::StalledHeaders), "seed {seed}");
        world.stalled = 0;
        recovers(&mut world, &mut people, began, seed);
    }
}

#[test]
fn a_cache_busting_flood_with_rotating_user_agents_is_an_attack() {
    for seed in SEEDS {
        let (mut world, mut people) = warmed_up(seed);
        let began = phase(&mut world, &mut people, 60, |world| cache_busting(world, 200));
        assert!(detected(&world, began) <= Duration::from_secs(2), "seed {seed}");
        let visitors = world.fate(Who::Visitor);
        assert!(served(visitors) >= 980, "seed {seed}: {visitors:?} {}", history(&world, began));
        recovers(&mut world, &mut people, began, seed);
    }
}

#[test]
fn traffic_that_no_signature_separates_is_challenged_and_visitors_get_through() {
    for seed in SEEDS {
        let (mut world, mut people) = warmed_up(seed);
        let began = phase(&mut world, &mut people, 20, |world| flood(world, 200));
        phase(&mut world, &mut people, 60, |world| imitation(world, 250));
        let challenged = world.since(began).any(
            |(_, e)| matches!(e, Event::ProcedureEngaged(f) if f.measure == "challenge-redirect"),
        );
        assert!(challenged, "seed {seed}: {:#?}", world.since(began).collect::<Vec<_>>());
        let visitors = world.fate(Who::Visitor);
        assert!(served(visitors) >= 970, "seed {seed}: {visitors:?} {}", history(&world, began));
        assert_eq!(visitors.refused, 0, "seed {seed}");
        recovers(&mut world, &mut people, began, seed);
    }
}

#[test]
fn a_second_wave_is_a_separate_wave() {
    let (mut world, mut people) = warmed_up(9);
    let first = phase(&mut world, &mut people, 30, |world| flood(world, 200));
    recovers(&mut world, &mut people, first, 9);
    let second = phase(&mut world, &mut people, 30, |world| imitation(world, 250));
    assert!(detected(&world, second) <= Duration::from_secs(2));
    recovers(&mut world, &mut people, second, 9);
    let waves: Vec<u32> = world
        .since(first)
        .filter_map(|(_, e)| match e {
            Event::AttackBegan { wave, .. } => Some(*wave),
            _ => None,
        })
        .collect();
    assert_eq!(waves, [1, 2]);
}

#[test]
fn a_day_of_quiet_with_one_attack_ends_as_it_began() {
    let mut world = World::new(4);
    let mut people = Vec::new();
    let quiet = |world: &mut World, people: &mut Vec<Client>, hours: u64| {
        for _ in 0..hours * 3_600 * 4 {
            if world.chance(20) {
                ordinary(world, people);
            }
            world.tick();
        }
    };
    quiet(&mut world, &mut people, 12);
    let began = phase(&mut world, &mut people, 30, |world| flood(world, 100));
    assert!(detected(&world, began) <= Duration::from_secs(2));
    quiet(&mut world, &mut people, 12);
    let last = world.since(began).map(|(_, event)| event).last();
    assert!(
        matches!(
            last,
            Some(Event::FullSpeed { .. } | Event::PostureChanged { to: Posture::Open, .. })
        ),
        "{last:?}"
    );
    let waves = world.since(began).filter(|(_, e)| matches!(e, Event::AttackBegan { .. })).count();
    assert_eq!(waves, 1);
}

#[test]
fn the_same_seed_gives_the_same_events_and_verdicts() {
    let run = || {
        let (mut world, mut people) = warmed_up(5);
        phase(&mut world, &mut people, 20, |world| flood(world, 150));
        phase(&mut world, &mut people, 20, |world| cache_busting(world, 150));
        (world.digest, world.events)
    };
    assert_eq!(run(), run());
}

#[test]
fn recorded_inputs_give_the_same_actions_byte_for_byte() {
    let mut world = World::new(6);
    world.recording = Some(Recording::default());
    let start = world.wall;
    let mut people = Vec::new();
    phase(&mut world, &mut people, 90, |_| {});
    phase(&mut world, &mut people, 20, |world| flood(world, 150));
    world.reload(config());
    phase(&mut world, &mut people, 20, |world| imitation(world, 250));
    world.stop();
    let recording = world.recording.take().expect("a recording");

    let mut control = Control::new(Arc::new(config()), start, &Resume::default());
    let mut actions = Vec::new();
    for (now, wall, input) in recording.inputs {
        control.step(now, wall, input, &mut actions);
    }
    let engages = |action: &Action| matches!(action, Action::Engage(some) if !some.is_empty());
    assert!(actions.iter().any(engages), "procedures were engaged");
    assert_eq!(written(&actions), written(&recording.actions));
}

/// The bytes of every action: events as the ledger has them.
fn written(actions: &[Action]) -> String {
    let line = |action: &Action| match action {
        Action::Record(event) => serde_json::to_string(event).expect("an event"),
        Action::Probe(platform) => format!("{platform:?}"),
        Action::Engage(procedures) => format!("{procedures:?}"),
    };
    actions.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What a tally has counted, without its bounds: reloads close tallies early.
fn tallied(events: &[(WallTime, Event)]) -> std::collections::BTreeMap<(String, String), u64> {
    let mut sums = std::collections::BTreeMap::new();
    for (_, event) in events {
        if let Event::Tallied(tally) = event {
            for activity in &tally.activities {
                let name = (tally.platform.clone(), activity.name.clone());
                *sums.entry(name).or_default() += activity.offered;
            }
        }
    }
    sums
}

fn without_tallies(events: &[(WallTime, Event)]) -> Vec<&(WallTime, Event)> {
    events.iter().filter(|(_, event)| !matches!(event, Event::Tallied(_))).collect()
}

/// An ordinary day with a flood in it, reloaded with `config` every ten seconds.
fn with_reloads(seed: u64, reloads: impl Fn(u64) -> Option<portcullis_model::Config>) -> World {
    let mut world = World::new(seed);
    let mut people = Vec::new();
    for (at, bots) in [0, 0, 0, 0, 0, 0, 0, 0, 0, 150, 150, 150, 0, 0, 0, 0].into_iter().enumerate()
    {
        if let Some(config) = reloads(at as u64) {
            world.reload(config);
        }
        phase(&mut world, &mut people, 10, |world| flood(world, bots));
    }
    world.stop();
    world
}

#[test]
fn a_reload_of_the_same_configuration_changes_no_event_and_no_count() {
    for seed in SEEDS {
        let without = with_reloads(seed, |_| None);
        let with = with_reloads(seed, |_| Some(config()));
        assert_eq!(without_tallies(&with.events), without_tallies(&without.events), "{seed}");
        assert_eq!(tallied(&with.events), tallied(&without.events), "{seed}");
        assert_eq!(with.digest, without.digest, "{seed}");
    }
}

#[test]
fn a_reload_that_inserts_an_activity_keeps_waves_procedures_and_counts_by_name() {
    let mut more = config();
    let mut inserted = more.platforms[0].activities[1].clone();
    inserted.name = "petition".into();
    inserted.matches[0].path = portcullis_model::PathPattern::Prefix("/petition".into());
    more.platforms[0].activities.insert(0, inserted);
    let mut reordered = more.clone();
    reordered.platforms[0].activities.swap(1, 2);
    for seed in SEEDS {
        let without = with_reloads(seed, |_| None);
        let with = with_reloads(seed, |at| match at {
            // In the middle of the attack, and again.
            10 => Some(more.clone()),
            11 => Some(reordered.clone()),
            _ => None,
        });
        assert_eq!(without_tallies(&with.events), without_tallies(&without.events), "{seed}");
        assert_eq!(tallied(&with.events), tallied(&without.events), "{seed}");
        assert_eq!(with.digest, without.digest, "{seed}");
    }
}

#[test]
fn a_reload_that_removes_the_attacked_activity_releases_only_what_is_limited_to_it() {
    let mut less = config();
    less.platforms[0].activities.remove(1);
    let world = with_reloads(1, |at| (at == 11).then(|| less.clone()));
    let mut scopes = std::collections::BTreeMap::new();
    for (_, event) in &world.events {
        match event {
            Event::ProcedureEngaged(facts) => {
                scopes.insert(facts.id, facts.activity.clone());
            }
            Event::ProcedureReleased { id, reason, .. } if reason.contains("configuration") => {
                assert_eq!(scopes[id].as_deref(), Some("search"), "{reason}");
            }
            Event::AttackEnded { wave, .. } => assert_eq!(*wave, 1),
            _ => {}
        }
    }
    assert!(scopes.values().any(Option::is_none), "procedures of the whole platform too");
}

#[test]
fn requests_with_a_token_that_are_refused_appear_in_the_cost_of_the_procedure() {
    let mut world = World::new(4);
    let mut people = Vec::new();
    phase(&mut world, &mut people, 90, |_| {});
    // Programs like browsers, which follow redirects and keep cookies, get tokens and spend them.
    let mut bots: Vec<Client> = (0..8).map(|_| world.bot(200)).collect();
    for bot in &mut bots {
        bot.follows = true;
    }
    phase(&mut world, &mut people, 25, |world| {
        for bot in &mut bots {
            for _ in 0..15 {
                let browser = browser(bot.agent, true);
                world.send(bot, "/search", Some("q=a"), &browser);
            }
        }
    });
    world.stop();
    let view = world.control.view(world.now);
    let engaged: u64 = view[0].procedures.iter().map(|p| p.refused_with_token).sum();
    let released: u64 = world
        .events
        .iter()
        .map(|(_, event)| match event {
            Event::ProcedureReleased { cost, .. } => cost.refused_with_token,
            _ => 0,
        })
        .sum();
    assert_eq!(engaged + released, world.refused_with_token);
    assert!(world.refused_with_token > 0);
}
