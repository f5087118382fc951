//! The control loop's thread: reads the workers' records, ticks the posture's control, and carries
//! out its actions in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_admin::GateStatus;
use portcullis_edge::Clock;
use portcullis_gate::{Policy, Tables};
use portcullis_model::{Config, Event, FeatureName, Meter, Record, Snapshot, TICK, Time, WallTime};
use portcullis_posture::{Action, Control};
use tracing::info;

use crate::baseline_store;
use crate::recorder::Recorder;

/// How often the baselines are saved.
const SAVE_INTERVAL: Duration = Duration::from_secs(600);

/// The reading end of one worker's counters and rings.
pub struct WorkerChannel {
    pub meter: Arc<Meter>,
    pub records: rtrb::Consumer<Record>,
    pub sightings: rtrb::Consumer<FeatureName>,
}

/// A message from the rest of the process to the control loop.
pub enum ControlMessage {
    /// Use this configuration; the digest of its text is recorded.
    Reload { config: Box<Config>, digest: String },
    /// A new configuration was refused.
    ReloadRefused { problems: u32 },
    /// Close the ledger and end.
    Stop,
}

/// The control loop and what it works on.
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
    /// The file of saved baselines.
    pub baselines_path: PathBuf,
    pub baselines_saved_at: Time,
}

impl ControlLoop {
    /// Ticks until it gets [`ControlMessage::Stop`].
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
                    // After a stall, such as a suspended machine, no tick is made up for.
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
            limit_table_evictions: self.tables.evictions(),
            last_tick: now,
        }));
    }

    /// Reads what the workers have written so far; they may write more meanwhile.
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

    /// Carries out actions: events are recorded before the procedures that they announce engage.
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

/// Writes an event to the operators' log.
fn log_event(event: &Event) {
    match event {
        Event::Tallied(_) => {}
        Event::AttackBegan { wave, platform, activities, evidence, .. } => {
            let evidence =
                evidence.iter().map(|e| e.summary.as_str()).collect::<Vec<_>>().join("; ");
            info!(wave, platform, activities = activities.join(", "), evidence, "attack began");
        }
        Event::ProcedureEngaged(facts) => info!(
            platform = facts.platform,
            measure = facts.measure,
            summary = facts.summary,
            reason = facts.reason,
            "procedure engaged"
        ),
        Event::PostureChanged { platform, from, to, reason } => {
            info!(platform, from = from.as_str(), to = to.as_str(), reason, "posture changed");
        }
        other => info!(event = ?other, "event recorded"),
    }
}
