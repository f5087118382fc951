//! The control loop's thread: reads the workers' records, ticks the posture's control, and carries
//! out its actions in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_admin::{GateStatus, ReloadStatus};
use portcullis_edge::Clock;
use portcullis_gate::{Policy, Tables};
use portcullis_model::{
    Config, Event, FeatureName, Meter, PlatformId, Receipt, Record, Snapshot, TICK, Time, WallTime,
};
use portcullis_posture::{Action, Control, Input};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use crate::baseline_store;
use crate::error::RuntimeError;
use crate::event_log::log_event;
use crate::inheritance::CarriedState;
use crate::predecessor_counts::PredecessorCounts;
use crate::recorder::{Recorder, Urgency};
use crate::secret_store::SecretStore;

/// How often the baselines are saved.
const SAVE_INTERVAL: Duration = Duration::from_secs(600);
/// Messages that may wait for the control loop.
const MESSAGE_QUEUE: usize = 64;
/// How long a sender waits for a reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the loop waits for the verdict of a handover, which has separate timeouts.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the loop tries to open the ledger after a handover that failed before it continues without, and
/// how often. After that it tries with each tick.
const REOPEN_TIMEOUT: Duration = Duration::from_secs(1);
const REOPEN_PAUSE: Duration = Duration::from_millis(50);

/// The reading end of one worker's counters and rings.
pub struct WorkerChannel {
    /// Its counters.
    pub meter: Arc<Meter>,
    /// Its request records.
    pub records: rtrb::Consumer<Record>,
    /// Readable names of feature values.
    pub feature_names: rtrb::Consumer<FeatureName>,
}

/// Where the control loop asks for a probe. A full queue loses it: the next is wanted a second later.
pub type ProbeSender = mpsc::Sender<PlatformId>;

/// A message from the rest of the process to the control loop.
enum ControlMessage {
    /// Use this configuration; the digest of its text is recorded.
    Reload { config: Box<Config>, digest: String, reply: oneshot::Sender<()> },
    /// A new configuration was refused.
    ReloadRefused { problems: u32, refusal: String, reply: oneshot::Sender<()> },
    /// Record that a recipient was notified.
    Receipt { receipt: Receipt, reply: oneshot::Sender<()> },
    /// An origin answered a probe, or did not.
    Probed { platform: PlatformId, answered: bool },
    /// Close the ledger for another process, and wait for the verdict.
    HandOver {
        reply: oneshot::Sender<(CarriedState, Snapshot)>,
        verdict: Receiver<HandoverVerdict>,
    },
    /// Close the ledger and end.
    Stop,
}

/// How a handover ended for the process that hands over. If its sender is dropped, it has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverVerdict {
    /// Another process serves, and has the ledger.
    Taken,
}

/// The control loop has closed the ledger for another process.
#[derive(Debug)]
pub struct LedgerClosed {
    /// What is to be continued.
    pub state: CarriedState,
    /// What the workers had counted.
    pub counted: Snapshot,
    /// Gets the verdict.
    pub verdict: SyncSender<HandoverVerdict>,
}

/// Sends messages to the control loop.
#[derive(Clone)]
pub struct ControlHandle(SyncSender<ControlMessage>);

/// The receiving end of a [`ControlHandle`].
pub struct ControlInbox(Receiver<ControlMessage>);

/// A bounded channel to the control loop.
pub fn control_channel() -> (ControlHandle, ControlInbox) {
    let (sender, receiver) = sync_channel(MESSAGE_QUEUE);
    (ControlHandle(sender), ControlInbox(receiver))
}

impl ControlHandle {
    /// Replaces the configuration; returns once it is in force.
    pub async fn reload(&self, config: Config, digest: String) -> Result<(), RuntimeError> {
        let config = Box::new(config);
        self.request(|reply| ControlMessage::Reload { config, digest, reply }).await
    }

    /// Records that a new configuration was refused, for the reason in `refusal`.
    pub async fn reload_refused(&self, problems: u32, refusal: String) -> Result<(), RuntimeError> {
        self.request(|reply| ControlMessage::ReloadRefused { problems, refusal, reply }).await
    }

    /// Records that a recipient was notified; returns once the ledger's queue has it.
    pub async fn receipt(&self, receipt: Receipt) -> Result<(), RuntimeError> {
        self.request(|reply| ControlMessage::Receipt { receipt, reply }).await
    }

    /// Closes the ledger for another process. The loop waits for the verdict, and continues if none comes.
    pub async fn hand_over(&self) -> Result<LedgerClosed, RuntimeError> {
        let (sender, verdict) = sync_channel(1);
        let answer = self.request(|reply| ControlMessage::HandOver { reply, verdict });
        let (state, counted) = answer.await?;
        Ok(LedgerClosed { state, counted, verdict: sender })
    }

    /// Tells whether an origin answered a probe. Lost if too many messages wait: another probe follows.
    pub fn probed(&self, platform: PlatformId, answered: bool) {
        let _ = self.0.try_send(ControlMessage::Probed { platform, answered });
    }

    /// Asks the control loop to close the ledger and end. Does nothing if it has ended.
    pub fn stop(&self) {
        let _ = self.0.send(ControlMessage::Stop);
    }

    async fn request<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> ControlMessage,
    ) -> Result<T, RuntimeError> {
        let (reply, done) = oneshot::channel();
        self.0.try_send(message(reply)).map_err(|refused| match refused {
            TrySendError::Full(_) => RuntimeError::Control("has too many messages waiting"),
            TrySendError::Disconnected(_) => RuntimeError::Control("has ended"),
        })?;
        match tokio::time::timeout(REPLY_TIMEOUT, done).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(RuntimeError::Control("has ended")),
            Err(_) => Err(RuntimeError::Control("does not reply")),
        }
    }
}

/// The control loop and what it works on.
pub struct ControlLoop {
    /// The posture's control.
    pub control: Control,
    /// The policy that workers read.
    pub policy: Arc<ArcSwap<Policy>>,
    /// The limit tables, for their count of evictions.
    pub tables: Arc<Tables>,
    /// The workers.
    pub workers: Vec<WorkerChannel>,
    /// Writes events.
    pub recorder: Recorder,
    /// The secret in the policy.
    pub secret: SecretStore,
    /// The process's clock.
    pub clock: Clock,
    /// Start of the gate.
    pub started: WallTime,
    /// The state for the admin listener.
    pub status: Arc<ArcSwap<GateStatus>>,
    /// Where probes of origins are wanted.
    pub probes: ProbeSender,
    /// Reloads so far.
    pub reloads: ReloadStatus,
    /// Messages.
    pub inbox: ControlInbox,
    /// The file of saved baselines.
    pub baselines_path: PathBuf,
    /// When the baselines were saved.
    pub baselines_saved_at: Time,
    /// What the gate before counts while it drains.
    pub predecessor: Arc<PredecessorCounts>,
    /// Opens the ledger again after a handover that failed.
    pub reopen: LedgerReopener,
}

/// Opens the ledger of this process again, and starts a recorder for it.
pub type LedgerReopener = Box<dyn Fn() -> Result<Recorder, RuntimeError> + Send>;

impl ControlLoop {
    /// Ticks until it gets [`ControlHandle::stop`].
    ///
    /// A due tick comes before the next message, so messages cannot delay it by more than one.
    pub fn run(mut self) {
        let mut next = self.clock.now() + TICK;
        loop {
            let now = self.clock.now();
            if now >= next {
                self.tick();
                // After a stall, such as a suspended machine, no tick is made up for.
                next = (next + TICK).max(self.clock.now() + Duration::from_millis(10));
                continue;
            }
            match self.inbox.0.recv_timeout(next.since(now)) {
                Ok(ControlMessage::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(ControlMessage::Reload { config, digest, reply }) => {
                    self.reload(*config, digest);
                    // The sender may have stopped waiting.
                    let _ = reply.send(());
                }
                Ok(ControlMessage::ReloadRefused { problems, refusal, reply }) => {
                    self.reloads.refused += 1;
                    self.reloads.last_at = Some(self.clock.wall());
                    self.reloads.refusal = Some(refusal);
                    let event = Action::Record(Event::ReloadRefused { problems });
                    self.apply(self.clock.wall(), vec![event], None);
                    let _ = reply.send(());
                }
                Ok(ControlMessage::Receipt { receipt, reply }) => {
                    let event = vec![Event::ReceiptRecorded(receipt)];
                    self.recorder.record(self.clock.wall(), event, Urgency::BeforeEffect);
                    let _ = reply.send(());
                }
                Ok(ControlMessage::HandOver { reply, verdict }) => {
                    if self.hand_over(reply, &verdict) {
                        return;
                    }
                    next = self.clock.now() + TICK;
                }
                Ok(ControlMessage::Probed { platform, answered }) => {
                    let (_, wall, actions) = self.step(Input::Probed { platform, answered });
                    self.apply(wall, actions, None);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.stop();
    }

    fn tick(&mut self) {
        let total = self.collect_records();
        self.tick_with(total);
    }

    fn tick_with(&mut self, total: Snapshot) {
        if self.recorder.is_closed() {
            // It stays closed for as long as another process, or a stuck disk, has it.
            let _ = self.reopen_ledger();
        }
        let (gauges, records_dropped) = (total.gauges, total.records_lost);
        let (now, wall, actions) = self.step(Input::Tick(total));
        self.apply(wall, actions, None);
        if now.since(self.baselines_saved_at) >= SAVE_INTERVAL {
            self.baselines_saved_at = now;
            baseline_store::save(&self.baselines_path, self.control.baselines());
        }
        self.rotate_secret(wall);
        self.status.store(Arc::new(GateStatus {
            at: wall,
            started: self.started,
            platforms: self.control.view(now),
            connections: gauges.connections,
            connections_stalled: gauges.stalled_headers,
            origin_requests_in_flight: gauges.in_flight,
            origin_queue_length: gauges.waiting,
            records_dropped,
            limit_table_evictions: self.tables.evictions(),
            reloads: self.reloads.clone(),
            last_tick: now,
        }));
    }

    /// Changes the key of tokens when it is due.
    fn rotate_secret(&mut self, wall: WallTime) {
        match self.secret.rotate_if_due(wall) {
            Ok(false) => {}
            Ok(true) => {
                let policy = self.policy.load().with_secret(self.secret.secret());
                self.policy.store(Arc::new(policy));
            }
            Err(problem) => warn!(%problem, "cannot change the key of tokens"),
        }
    }

    /// Reads what the workers have written so far; they may write more meanwhile.
    fn collect_records(&mut self) -> Snapshot {
        let mut total = Snapshot::default();
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut actions = Vec::new();
        for worker in &mut self.workers {
            for _ in 0..worker.feature_names.slots() {
                if let Ok(name) = worker.feature_names.pop() {
                    self.control.step(now, wall, Input::FeatureName(name), &mut actions);
                }
            }
            for _ in 0..worker.records.slots() {
                if let Ok(record) = worker.records.pop() {
                    self.control.step(now, wall, Input::Record(record), &mut actions);
                }
            }
            worker.meter.add_to(&mut total);
        }
        total.add(&self.predecessor.counted());
        self.apply(wall, actions, None);
        total
    }

    /// Gives the control one input now; returns this moment and the actions that follow.
    fn step(&mut self, input: Input) -> (Time, WallTime, Vec<Action>) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut actions = Vec::new();
        self.control.step(now, wall, input, &mut actions);
        (now, wall, actions)
    }

    /// Carries out actions: events are recorded before the procedures that they announce engage.
    ///
    /// The policy is replaced at most once: by `base`, or else the policy in force, with the
    /// procedures that the last action engages.
    fn apply(&mut self, wall: WallTime, actions: Vec<Action>, base: Option<Policy>) {
        let mut events = Vec::new();
        let mut engaged = None;
        for action in actions {
            match action {
                Action::Record(event) => {
                    log_event(&event);
                    events.push(event);
                }
                Action::Probe(platform) => {
                    // A full queue loses it; see `ProbeSender`.
                    let _ = self.probes.try_send(platform);
                }
                Action::Engage(procedures) => engaged = Some(procedures),
            }
        }
        if !events.is_empty() {
            let urgency = if engaged.is_some() { Urgency::BeforeEffect } else { Urgency::Later };
            self.recorder.record(wall, events, urgency);
        }
        if let Some(procedures) = engaged {
            let policy = match base {
                Some(base) => base.with_procedures(&procedures),
                None => self.policy.load().with_procedures(&procedures),
            };
            self.policy.store(Arc::new(policy));
        }
    }

    /// Uses a new configuration, with the procedures that stay engaged, in one replacement.
    fn reload(&mut self, config: Config, digest: String) {
        self.reloads.accepted += 1;
        self.reloads.last_at = Some(self.clock.wall());
        self.reloads.refusal = None;
        // Records so far number activities as the old configuration does.
        self.collect_records();
        let config = Arc::new(config);
        let secret = self.policy.load().secret().clone();
        let (_, wall, mut actions) = self.step(Input::Reload(Arc::clone(&config)));
        let platforms = self.control.platforms();
        actions.insert(0, Action::Record(Event::Reloaded { configuration: digest, platforms }));
        let ids = Arc::clone(self.control.ids());
        self.apply(wall, actions, Some(Policy::reloaded(config, ids, secret)));
    }

    /// Closes the ledger and passes on what is to be continued. Returns whether another process took
    /// over; if not, the ledger is open again.
    fn hand_over(
        &mut self,
        reply: oneshot::Sender<(CarriedState, Snapshot)>,
        verdict: &Receiver<HandoverVerdict>,
    ) -> bool {
        let counted = self.collect_records();
        self.tick_with(counted.clone());
        let (now, wall, mut actions) = self.step(Input::Stop);
        actions.push(Action::Record(Event::HandedOver));
        self.apply(wall, actions, None);
        self.recorder.finish();
        baseline_store::save(&self.baselines_path, self.control.baselines());
        let control = serde_json::to_value(self.control.state());
        let control = control.unwrap_or_else(|error| {
            warn!(%error, "the posture cannot be handed over");
            serde_json::Value::Null
        });
        let state = CarriedState { now, tallied_until: wall, control };
        if reply.send((state, counted)).is_ok()
            && verdict.recv_timeout(VERDICT_TIMEOUT) == Ok(HandoverVerdict::Taken)
        {
            return true;
        }
        // The process that was to take over may need a moment to end.
        let began = self.clock.now();
        loop {
            match self.reopen_ledger() {
                Ok(()) => break,
                Err(problem) if self.clock.now().since(began) >= REOPEN_TIMEOUT => {
                    error!(%problem, "cannot open the ledger again: events are lost until it can");
                    break;
                }
                Err(_) => std::thread::sleep(REOPEN_PAUSE),
            }
        }
        false
    }

    /// Records again after a handover that failed.
    fn reopen_ledger(&mut self) -> Result<(), RuntimeError> {
        let recorder = (self.reopen)()?;
        self.recorder.continue_with(recorder);
        let event = vec![Action::Record(Event::HandoverFailed)];
        self.apply(self.clock.wall(), event, None);
        Ok(())
    }

    fn stop(&mut self) {
        self.tick();
        let (_, wall, mut actions) = self.step(Input::Stop);
        actions.push(Action::Record(Event::Stopped));
        self.apply(wall, actions, None);
        self.recorder.finish();
        baseline_store::save(&self.baselines_path, self.control.baselines());
    }
}

#[cfg(test)]
mod tests;
