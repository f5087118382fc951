//! The control loop with fake workers, a ledger in a temporary folder and a clock.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use portcullis_gate::Secret;
use portcullis_ledger::Ledger;
use portcullis_model::{
    ActivityCounts, ActivityId, Assignment, Entry, Features, OriginConfig, PlatformId, Posture,
    Reason, SourceKey, TokenState,
};
use portcullis_posture::Resume;
use tempfile::TempDir;
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::ledger_writer::LedgerWriter;
use crate::open_ledger::open_ledger;

/// A control loop, and the writing end of its only worker.
struct Rig {
    control_loop: ControlLoop,
    handle: ControlHandle,
    meter: Arc<Meter>,
    records: rtrb::Producer<Record>,
    config: Config,
    folder: TempDir,
}

fn config(folder: &Path) -> Config {
    let origin = OriginConfig::new("127.0.0.1".into(), 80);
    let mut config = Config::for_origin(([127, 0, 0, 1], 8080).into(), origin);
    config.ledger = folder.join("ledger");
    config.watch.warm_up = Duration::from_secs(10);
    config
}

fn rig(clock: Clock) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let opened = open_ledger(&config, &[1; 32], false).unwrap();
    let (folder_of, name) = (config.ledger.clone(), "log.example".to_owned());
    let writer = LedgerWriter::new(opened.ledger, folder_of, name, Resume::default(), clock);
    let shared = Arc::new(config.clone());
    let policy = Policy::new(Arc::clone(&shared), Secret::new(&[2; 32]));
    let meter = Arc::new(Meter::new(policy.ids().activity_count() + 4));
    let (records, records_out) = rtrb::RingBuffer::new(4_096);
    let (_, feature_names) = rtrb::RingBuffer::new(8);
    let (handle, inbox) = control_channel();
    let (exits, _) = unbounded_channel();
    let (reopened, exits_of) = (config.clone(), exits.clone());
    let reopen: LedgerReopener = Box::new(move || {
        let opened = open_ledger(&reopened, &[1; 32], false)?;
        let (folder, name) = (reopened.ledger.clone(), "log.example".to_owned());
        let writer = LedgerWriter::new(opened.ledger, folder, name, opened.resume, clock);
        Recorder::start(writer, exits_of.clone())
    });
    let started = WallTime(1_700_000_000_000);
    let control_loop = ControlLoop {
        control: Control::new(shared, started, &Resume::default()),
        tables: Arc::new(Tables::new(1_024, policy.secret().clone())),
        policy: Arc::new(ArcSwap::from_pointee(policy)),
        workers: vec![WorkerChannel {
            meter: Arc::clone(&meter),
            records: records_out,
            feature_names,
        }],
        recorder: Recorder::start(writer, exits).unwrap(),
        secret: SecretStore::open(&config.ledger, WallTime(1_700_000_000_000)).unwrap(),
        clock,
        started,
        status: Arc::default(),
        probes: mpsc::channel(1).0,
        reloads: ReloadStatus::default(),
        inbox,
        baselines_path: baseline_store::path_for(&config.ledger),
        baselines_saved_at: Time(0),
        predecessor: Arc::default(),
        reopen,
    };
    Rig { control_loop, handle, meter, records, config, folder }
}

impl Rig {
    /// Requests for one path from 20 sources, as the worker would write them.
    fn requests(&mut self, number: u32) {
        for n in 0..number {
            let source = Ipv4Addr::new(66, 6, 0, (n % 20) as u8);
            let record = Record {
                at: self.control_loop.clock.now(),
                source: SourceKey::of(source.into()),
                features: Features::default(),
                query: 0,
                assigned: Some(Assignment { platform: PlatformId(0), activity: ActivityId(0) }),
                reason: Reason::Allowed,
                page: true,
                asset: false,
                partial: false,
                token: TokenState::Absent,
                procedure: None,
            };
            self.meter.record_verdict(Some(ActivityId(0)), record.reason);
            self.records.push(record).unwrap();
        }
    }

    fn tick(&mut self) {
        self.control_loop.clock.advance(TICK);
        self.control_loop.tick();
    }

    /// Ticks through a quiet time and then a flood, until procedures are engaged.
    fn attack(&mut self) {
        for _ in 0..80 {
            self.requests(1);
            self.tick();
        }
        for _ in 0..40 {
            self.requests(200);
            self.tick();
            if self.is_engaged() {
                return;
            }
        }
        panic!("no procedure was engaged: {:?}", self.control_loop.status.load());
    }

    fn is_engaged(&self) -> bool {
        let policy = self.control_loop.policy.load();
        policy.is_engaged(self.control_loop.clock.now())
    }

    fn events(&self) -> Vec<Event> {
        events_of(&self.config)
    }
}

fn events_of(config: &Config) -> Vec<Event> {
    let reader = Ledger::read(&config.ledger).unwrap();
    let entries = reader.entries().map(|entry| entry.unwrap().1);
    entries.map(|bytes| serde_json::from_slice::<Entry>(&bytes).unwrap().event).collect()
}

#[test]
fn a_flood_in_the_rings_engages_procedures_after_they_are_recorded() {
    let mut rig = rig(Clock::manual());
    rig.attack();
    let events = rig.events();
    assert!(events.iter().any(|event| matches!(event, Event::AttackBegan { .. })), "{events:#?}");
    assert!(events.iter().any(|event| matches!(event, Event::ProcedureEngaged(_))));
    let status = rig.control_loop.status.load();
    assert_ne!(status.platforms[0].posture, Posture::Open);
    assert_eq!(status.last_tick, rig.control_loop.clock.now());
}

#[test]
fn a_reload_of_the_same_configuration_keeps_procedures_engaged_at_every_moment() {
    let mut rig = rig(Clock::manual());
    rig.attack();
    let policy = Arc::clone(&rig.control_loop.policy);
    let now = rig.control_loop.clock.now();
    let config = rig.config.clone();
    // Another thread reads at the policy, as workers do, while reloads replace it.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reads = std::thread::spawn(move || {
        let mut reads = 0_u64;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            assert!(policy.load().is_engaged(now), "a policy without the engaged procedures");
            reads += 1;
        }
        reads
    });
    for _ in 0..20 {
        rig.control_loop.reload(config.clone(), "digest".into());
    }
    drop(stop);
    assert!(reads.join().unwrap() > 0);
    assert!(rig.is_engaged());
    let reloads = rig.events();
    let reloads = reloads.iter().filter(|event| matches!(event, Event::Reloaded { .. })).count();
    assert_eq!(reloads, 20);
}

#[test]
fn records_before_a_reload_are_read_with_the_old_configuration() {
    let mut rig = rig(Clock::manual());
    rig.requests(50);
    rig.control_loop.reload(rig.config.clone(), "digest".into());
    assert_eq!(rig.control_loop.workers[0].records.slots(), 0);
    let tallied = rig.events().into_iter().find_map(|event| match event {
        Event::Tallied(tally) => Some(tally),
        _ => None,
    });
    assert!(tallied.is_some(), "the reload closes the tally");
}

#[test]
fn a_reload_that_inserts_an_activity_gives_no_counts_to_another_name() {
    let mut rig = rig(Clock::manual());
    rig.requests(7);
    rig.tick();
    let ids = Arc::clone(rig.control_loop.policy.load().ids());
    let (counted, _) = ids.activity_name(ActivityId(0)).unwrap();
    let mut config = rig.config.clone();
    let mut inserted = config.platforms[0].activities[0].clone();
    inserted.name = "petition".into();
    config.platforms[0].activities.insert(0, inserted);
    rig.control_loop.reload(config, "digest".into());
    let policy = rig.control_loop.policy.load_full();
    assert_eq!(policy.ids().activity_name(ActivityId(0)), ids.activity_name(ActivityId(0)));
    assert_eq!(policy.ids().at(0).0, counted);
    assert_ne!(policy.ids().at(0).1[0], ActivityId(0), "the new one has a new id");
    assert_eq!(policy.activity(policy.ids().at(0).1[0]).name, "petition");
}

#[tokio::test]
async fn a_stream_of_messages_does_not_delay_ticks() {
    let rig = rig(Clock::new());
    let (status, clock) = (Arc::clone(&rig.control_loop.status), rig.control_loop.clock);
    let control_loop = rig.control_loop;
    let thread = std::thread::spawn(move || control_loop.run());
    let began = Instant::now();
    let mut messages = 0;
    while began.elapsed() < TICK * 8 {
        rig.handle.reload_refused(1, "bad".into()).await.unwrap();
        messages += 1;
    }
    let since_last_tick = clock.now().since(status.load().last_tick);
    rig.handle.stop();
    thread.join().unwrap();
    assert!(messages > 8, "{messages} messages");
    assert!(since_last_tick < TICK * 4, "the last tick was {since_last_tick:?} ago");
}

#[tokio::test]
async fn a_message_to_a_control_loop_that_has_ended_is_an_error() {
    let rig = rig(Clock::new());
    rig.handle.stop();
    rig.control_loop.run();
    let error = rig.handle.reload_refused(1, "bad".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "the control loop has ended");
}

#[tokio::test]
async fn messages_beyond_the_queue_are_refused() {
    let rig = rig(Clock::new());
    for _ in 0..MESSAGE_QUEUE {
        let (reply, _) = oneshot::channel();
        let message = ControlMessage::ReloadRefused { problems: 1, refusal: "bad".into(), reply };
        assert!(rig.handle.0.try_send(message).is_ok());
    }
    let error = rig.handle.reload_refused(1, "bad".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "the control loop has too many messages waiting");
}

/// Asks a running loop to close its ledger for another process.
fn close_ledger(handle: &ControlHandle) -> LedgerClosed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(handle.hand_over()).unwrap()
}

#[test]
fn a_ledger_that_was_handed_over_is_free_and_the_loop_has_ended() {
    let mut rig = rig(Clock::new());
    rig.requests(7);
    let (handle, config) = (rig.handle.clone(), rig.config.clone());
    let _folder = rig.folder;
    let running = std::thread::spawn(move || rig.control_loop.run());
    let closed = close_ledger(&handle);
    let offered: u64 = closed.counted.activities.iter().map(ActivityCounts::offered).sum();
    assert_eq!(offered, 7);
    let opened = open_ledger(&config, &[1; 32], false).unwrap();
    assert!(opened.ledger.size() > 0);
    closed.verdict.send(HandoverVerdict::Taken).unwrap();
    running.join().unwrap();
    let events = events_of(&config);
    assert_eq!(events.last(), Some(&Event::HandedOver));
    let tallied: u64 = events.iter().map(offered_in).sum();
    assert_eq!(tallied, 7, "nothing that was counted is left out");
}

#[test]
fn a_handover_that_fails_is_recorded_and_the_loop_continues_its_numbers() {
    let mut rig = rig(Clock::new());
    rig.requests(3);
    let (handle, config) = (rig.handle.clone(), rig.config.clone());
    let _folder = rig.folder;
    let running = std::thread::spawn(move || rig.control_loop.run());
    // As when the other process ends.
    drop(close_ledger(&handle).verdict);
    handle.stop();
    running.join().unwrap();
    let events = events_of(&config);
    let at = events.iter().position(|event| *event == Event::HandedOver).unwrap();
    assert_eq!(events[at + 1], Event::HandoverFailed);
    assert_eq!(events.last(), Some(&Event::Stopped));
    assert_eq!(events.iter().map(offered_in).sum::<u64>(), 3);
}

fn offered_in(event: &Event) -> u64 {
    match event {
        Event::Tallied(tally) => tally.offered(),
        _ => 0,
    }
}
