//! The thread that owns the cores: it drains what the workers saw, ticks the control loop, and
//! carries out its actions in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_edge::Clock;
use portcullis_gate::{Policy, Tables};
use portcullis_model::{Config, Event, Meter, Record, Sighting, Snapshot, TICK, Time, WallTime};
use portcullis_posture::{Action, Control, PlatformView};
use serde::Serialize;
use tracing::info;

use crate::baseline_store;
use crate::recorder::Recorder;

/// How often what has been learnt is kept.
const SAVE_INTERVAL: Duration = Duration::from_secs(600);

/// What one worker sends.
pub struct WorkerChannel {
    pub meter: Arc<Meter>,
    pub records: rtrb::Consumer<Record>,
    pub sightings: rtrb::Consumer<Sighting>,
}

/// What the rest of the process may ask of the loop.
pub enum ControlMessage {
    /// Go over to this configuration; its text's digest is recorded.
    Reload { config: Box<Config>, digest: String },
    /// A new configuration was refused.
    ReloadRefused { problems: u32 },
    /// Close the ledger and end.
    Stop,
}

/// What operators see, made anew each tick.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GateStatus {
    /// When this was true.
    pub at: WallTime,
    /// Since when the gate runs.
    pub started: WallTime,
    /// By platform.
    pub platforms: Vec<PlatformView>,
    /// Open visitor connections.
    pub connections: u64,
    /// Connections stalled in their headers.
    pub connections_stalled: u64,
    /// Requests that the origins work on.
    pub origin_requests_in_flight: u64,
    /// Requests that wait for a free connection to an origin.
    pub origin_queue_length: u64,
    /// Records that the watch did not see.
    pub records_dropped: u64,
    /// Limit-table entries that had to be forgotten.
    pub limit_table_evictions: u64,
    /// When the loop ticked last, by the monotonic clock.
    #[serde(skip)]
    pub last_tick: Time,
}

/// The loop with everything that it touches.
pub struct ControlLoop {
    pub control: Control,
    pub policy: Arc<ArcSwap<Policy>>,
    pub tables: Arc<Tables>,
    pub workers: Vec<WorkerChannel>,
    pub recorder: Recorder,
    pub clock: Clock,
    pub started: WallTime,
    pub status: Arc<ArcSwap<GateStatus>>,
    pub messages: Receiver<ControlMessage>,
    /// Where baselines are kept.
    pub baselines_path: PathBuf,
    pub baselines_saved_at: Time,
}

impl ControlLoop {
    /// Ticks until it is asked to stop.
    pub fn run(mut self) {
        let mut next = self.clock.now() + TICK;
        loop {
            match self.messages.recv_timeout(next.since(self.clock.now())) {
                Ok(ControlMessage::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(ControlMessage::Reload { config, digest }) => self.reload(*config, digest),
                Ok(ControlMessage::ReloadRefused { problems }) => {
                    let events = vec![Event::ReloadRefused { problems }];
                    self.recorder.record(self.clock.wall(), events);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.tick();
                    // After a stall (a suspended machine) the loop does not run to catch up.
                    next = (next + TICK).max(self.clock.now() + Duration::from_millis(10));
                }
            }
        }
        self.stop();
    }

    fn tick(&mut self) {
        let total = self.collect_records();
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut actions = Vec::new();
        self.control.tick(now, wall, &total, &mut actions);
        self.apply(wall, actions);
        if now.since(self.baselines_saved_at) >= SAVE_INTERVAL {
            self.baselines_saved_at = now;
            baseline_store::save(&self.baselines_path, self.control.baselines());
        }
        self.status.store(Arc::new(GateStatus {
            at: wall,
            started: self.started,
            platforms: self.control.view(now),
            connections: total.gauges.connections,
            connections_stalled: total.gauges.stalled_headers,
            origin_requests_in_flight: total.gauges.in_flight,
            origin_queue_length: total.gauges.waiting,
            records_dropped: total.records_lost,
            limit_table_evictions: self.tables.forgotten(),
            last_tick: now,
        }));
    }

    /// Takes what the workers have sent so far; they may be sending more meanwhile.
    fn collect_records(&mut self) -> Snapshot {
        let mut total = Snapshot::default();
        for worker in &mut self.workers {
            for _ in 0..worker.sightings.slots() {
                if let Ok(sighting) = worker.sightings.pop() {
                    self.control.sight(&sighting);
                }
            }
            for _ in 0..worker.records.slots() {
                if let Ok(record) = worker.records.pop() {
                    self.control.observe(&record);
                }
            }
            worker.meter.add_to(&mut total);
        }
        total
    }

    /// Events are written down before the procedures that they announce take effect.
    fn apply(&mut self, wall: WallTime, actions: Vec<Action>) {
        let mut events = Vec::new();
        for action in actions {
            match action {
                Action::Record(event) => {
                    log_event(&event);
                    events.push(event);
                }
                Action::Engage(procedures) => {
                    self.recorder.record(wall, core::mem::take(&mut events));
                    let policy = self.policy.load().with_procedures(&procedures);
                    self.policy.store(Arc::new(policy));
                }
            }
        }
        if !events.is_empty() {
            self.recorder.record(wall, events);
        }
    }

    fn reload(&mut self, config: Config, digest: String) {
        let config = Arc::new(config);
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut actions = Vec::new();
        let secret = self.policy.load().secret().clone();
        self.policy.store(Arc::new(Policy::new(Arc::clone(&config), secret)));
        self.control.reload(config, now, wall, &mut actions);
        let platforms = self.control.platforms();
        actions.insert(0, Action::Record(Event::Reloaded { configuration: digest, platforms }));
        self.apply(wall, actions);
        info!("configuration reloaded");
    }

    fn stop(&mut self) {
        self.tick();
        let wall = self.clock.wall();
        let mut actions = Vec::new();
        self.control.finish(wall, &mut actions);
        actions.push(Action::Record(Event::Stopped));
        self.apply(wall, actions);
        self.recorder.finish();
        baseline_store::save(&self.baselines_path, self.control.baselines());
    }
}

/// The operator's log says what the ledger says, in a line.
fn log_event(event: &Event) {
    match event {
        Event::Tallied(_) => {}
        Event::AttackBegan { wave, platform, activities, evidence, .. } => {
            let evidence = evidence.iter().map(|e| e.says.as_str()).collect::<Vec<_>>().join("; ");
            info!(wave, platform, activities = activities.join(", "), evidence, "attack began");
        }
        Event::ProcedureEngaged(facts) => info!(
            platform = facts.platform,
            measure = facts.measure,
            says = facts.says,
            reason = facts.reason,
            "procedure engaged"
        ),
        Event::PostureChanged { platform, from, to, reason } => {
            info!(platform, from = from.word(), to = to.word(), reason, "posture changed");
        }
        other => info!(event = ?other, "recorded"),
    }
}
