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

use crate::memory;
use crate::recorder::Recorder;

/// How often what has been learnt is kept.
const KEEP_EVERY: Duration = Duration::from_secs(600);

/// What one worker sends.
pub struct FromWorker {
    pub meter: Arc<Meter>,
    pub records: rtrb::Consumer<Record>,
    pub sightings: rtrb::Consumer<Sighting>,
}

/// What the rest of the process may ask of the loop.
pub enum Request {
    /// Go over to this configuration; its text's digest is recorded.
    Reload { config: Box<Config>, digest: String },
    /// A new configuration was refused.
    ReloadRefused { problems: u32 },
    /// Close the ledger and end.
    Stop,
}

/// What operators see, made anew each tick.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// When this was true.
    pub at: WallTime,
    /// Since when the gate runs.
    pub started: WallTime,
    /// By platform.
    pub platforms: Vec<PlatformView>,
    /// Open visitor connections.
    pub connections: u64,
    /// Connections stalled in their headers.
    pub stalled_headers: u64,
    /// Requests that the origins work on.
    pub in_flight: u64,
    /// Requests that wait for a free connection to an origin.
    pub waiting: u64,
    /// Records that the watch did not see.
    pub records_lost: u64,
    /// Limit-table entries that had to be forgotten.
    pub limits_forgotten: u64,
    /// When the loop ticked last, by the monotonic clock.
    #[serde(skip)]
    pub ticked: Time,
}

/// The loop with everything that it touches.
pub struct ControlLoop {
    pub control: Control,
    pub policy: Arc<ArcSwap<Policy>>,
    pub tables: Arc<Tables>,
    pub workers: Vec<FromWorker>,
    pub recorder: Recorder,
    pub clock: Clock,
    pub started: WallTime,
    pub status: Arc<ArcSwap<Status>>,
    pub requests: Receiver<Request>,
    /// Where baselines are kept.
    pub memory: PathBuf,
    pub kept: Time,
}

impl ControlLoop {
    /// Ticks until it is asked to stop.
    pub fn run(mut self) {
        let mut next = self.clock.now() + TICK;
        loop {
            match self.requests.recv_timeout(next.since(self.clock.now())) {
                Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Request::Reload { config, digest }) => self.reload(*config, digest),
                Ok(Request::ReloadRefused { problems }) => {
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
        let total = self.drain();
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut actions = Vec::new();
        self.control.tick(now, wall, &total, &mut actions);
        self.carry_out(wall, actions);
        if now.since(self.kept) >= KEEP_EVERY {
            self.kept = now;
            memory::keep(&self.memory, self.control.baselines());
        }
        self.status.store(Arc::new(Status {
            at: wall,
            started: self.started,
            platforms: self.control.view(now),
            connections: total.gauges.connections,
            stalled_headers: total.gauges.stalled_headers,
            in_flight: total.gauges.in_flight,
            waiting: total.gauges.waiting,
            records_lost: total.records_lost,
            limits_forgotten: self.tables.forgotten(),
            ticked: now,
        }));
    }

    /// Takes what the workers have sent so far; they may be sending more meanwhile.
    fn drain(&mut self) -> Snapshot {
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
    fn carry_out(&mut self, wall: WallTime, actions: Vec<Action>) {
        let mut events = Vec::new();
        for action in actions {
            match action {
                Action::Record(event) => {
                    tell(&event);
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
        self.carry_out(wall, actions);
        info!("configuration reloaded");
    }

    fn stop(&mut self) {
        self.tick();
        let wall = self.clock.wall();
        let mut actions = Vec::new();
        self.control.finish(wall, &mut actions);
        actions.push(Action::Record(Event::Stopped));
        self.carry_out(wall, actions);
        self.recorder.finish();
        memory::keep(&self.memory, self.control.baselines());
    }
}

/// The operator's log says what the ledger says, in a line.
fn tell(event: &Event) {
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
