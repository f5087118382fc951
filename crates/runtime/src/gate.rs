//! The running gate: started, reloaded by a signal, watched, stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use portcullis_admin::AdminListener;
use portcullis_edge::{Clock, WorkerStage};
use portcullis_gate::Policy;
use portcullis_model::{ActivityCounts, Config, Meter, Snapshot, TICK};
use portcullis_posture::ControlState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use crate::access_log::AccessLogWriter;
use crate::acme_thread::AcmeHandle;
use crate::certificates::CertReloader;
use crate::config_file::{ConfigError, worker_count};
use crate::confinement;
use crate::control_loop::ControlHandle;
use crate::control_socket::ControlSocket;
use crate::error::RuntimeError;
use crate::handover_channel::HandoverChannel;
use crate::inheritance::{CarriedState, FromRunning, Inheritance};
use crate::open_files::raise_nofile_limit;
use crate::options::{ConfigSource, GateOptions, LoadedConfig};
use crate::predecessor::Predecessor;
use crate::predecessor_counts::PredecessorCounts;
use crate::reload::check_reloadable;
use crate::service_notice;
use crate::start::{
    Continuation, ControlStart, InitialControl, Resources, SharedState, StateResources,
    start_admin, start_workers,
};
use crate::successor::{Departure, HandoverDesk};
use crate::supervisor::Supervisor;
use crate::threads::ThreadExit;

/// How often certificate files are checked for changes, with two system calls each.
const CERT_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How often a process that has handed over looks whether its workers have ended.
const LEAVING_POLL: Duration = Duration::from_millis(50);

/// Runs the gate until SIGTERM or SIGINT, or until another process has taken over; an error if it cannot
/// start or continue, or if a thread failed meanwhile.
pub fn run(options: GateOptions) -> Result<(), RuntimeError> {
    confinement::restrict_new_files();
    let loaded = options.load_config()?;
    let signals = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RuntimeError::Signals)?;
    // Before sockets are inherited, which are many on a machine with many cores.
    raise_nofile_limit(loaded.config.descriptors(worker_count(&loaded.config)));
    let predecessor = Predecessor::find(&loaded.config.ledger)?;
    let (mut gate, predecessor) = match predecessor {
        None => {
            let mut gate = RunningGate::start(loaded, options, None)?;
            gate.answer_commands()?;
            (gate, None)
        }
        Some((predecessor, inheritance)) => {
            let from = Some((&predecessor, inheritance));
            let gate = RunningGate::start(loaded, options, from)
                .inspect_err(|reason| predecessor.give_up(reason))?;
            (gate, Some(predecessor))
        }
    };
    // Handled before the gate is known to serve.
    let mut signal = signals.block_on(async { GateSignals::listen() })?;
    if let Some(predecessor) = predecessor {
        // If it continues all the same, this process ends here.
        gate.follow(predecessor.confirm()?)?;
        gate.answer_commands()?;
    }
    service_notice::ready();
    let served = signals.block_on(gate.serve(&mut signal));
    match served {
        GateEnd::HandedOver(departure) => signals.block_on(gate.leave(*departure, &mut signal)),
        GateEnd::Stopped => gate.stop(),
    }
}

/// Why a gate ends.
enum GateEnd {
    /// A signal asked for it, or no worker runs.
    Stopped,
    /// Another process serves.
    HandedOver(Box<Departure>),
}

/// The signals that a gate handles.
struct GateSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    rotate: Signal,
}

impl GateSignals {
    fn listen() -> Result<Self, RuntimeError> {
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            rotate: listen(SignalKind::user_defined1())?,
        })
    }

    /// Waits for a signal to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The threads of the gate, and what controls them.
struct RunningGate {
    options: GateOptions,
    active_config: Config,
    policy: Arc<ArcSwap<Policy>>,
    activity_capacity: usize,
    clock: Clock,
    certificates: CertReloader,
    acme: AcmeHandle,
    control: ControlHandle,
    stage: watch::Sender<WorkerStage>,
    admin_stop: watch::Sender<bool>,
    desk: Arc<HandoverDesk>,
    /// Gets a message when another process serves.
    left: UnboundedReceiver<Departure>,
    meters: Vec<Arc<Meter>>,
    predecessor: Arc<PredecessorCounts>,
    /// Whether this gate's ids of activities are those of the gate before.
    continues: bool,
    supervisor: Supervisor,
    worker_threads: Vec<JoinHandle<()>>,
    control_thread: JoinHandle<()>,
    admin: AdminListener,
    /// The file of the control socket.
    socket_path: Option<PathBuf>,
    access_log: Option<AccessLogWriter>,
}

impl RunningGate {
    /// Starts everything; visitors are served when it returns. `from` is the gate that runs.
    fn start(
        loaded: LoadedConfig,
        options: GateOptions,
        from: Option<(&Predecessor, Inheritance)>,
    ) -> Result<Self, RuntimeError> {
        let LoadedConfig { config, digest } = loaded;
        let workers = worker_count(&config);
        let (predecessor, inherited) = from.unzip();
        let Resources { certificates, listeners, admin, inheritance } =
            Resources::acquire(&config, workers, Clock::new().wall(), inherited)?;
        let access_log = open_access_log(&config)?;
        let OpenedState { shared, control, continues, ended } =
            OpenedState::open(&config, digest, &options, predecessor)?;
        let mut acme = AcmeHandle::new(&certificates.shared);
        let log = config.access_log.as_ref().zip(access_log.as_ref());
        let (worker_threads, channels) =
            start_workers(&shared, listeners, &certificates, &acme, log)?;
        let admin = start_admin(&shared, admin, &certificates, &acme)?;
        let (control_thread, control) = control.run(&shared, channels)?;
        for listener in &config.listeners {
            let (tls, http_3) = (listener.tls.is_some(), listener.http_3);
            info!(address = %listener.address, tls, http_3, "listening");
        }
        let (leaving, left) = unbounded_channel();
        let desk = Arc::new(HandoverDesk::new(inheritance, leaving));
        info!(address = %admin.address(), "admin listener");
        if let Some(settings) = &config.acme {
            acme.start(settings)?;
        }
        Ok(Self {
            options,
            active_config: config,
            policy: shared.policy,
            activity_capacity: shared.activity_capacity,
            clock: shared.clock,
            certificates,
            acme,
            control,
            stage: shared.stage,
            admin_stop: shared.admin_stop,
            desk,
            left,
            meters: shared.meters,
            predecessor: shared.predecessor,
            continues,
            supervisor: Supervisor::new(ended, shared.health),
            worker_threads,
            control_thread,
            admin,
            socket_path: None,
            access_log,
        })
    }

    /// Counts what the gate before still serves.
    fn follow(&self, channel: HandoverChannel) -> Result<(), RuntimeError> {
        if !self.continues {
            return Ok(());
        }
        let failed = |source| RuntimeError::Thread { name: "predecessor".into(), source };
        self.predecessor.follow(channel).map_err(failed)
    }

    /// Answers commands, once no other gate does.
    fn answer_commands(&mut self) -> Result<(), RuntimeError> {
        let Some(socket) = ControlSocket::bind(&self.active_config.ledger) else { return Ok(()) };
        self.socket_path = Some(socket.path().to_owned());
        let failed = |source| RuntimeError::Thread { name: "control-socket".into(), source };
        socket.serve(self.control.clone(), Arc::clone(&self.desk)).map_err(failed)
    }

    /// Reloads and watches until a signal asks to stop, until no worker runs, or until another process
    /// serves.
    async fn serve(&mut self, signals: &mut GateSignals) -> GateEnd {
        let mut cert_poll = tokio::time::interval(CERT_POLL_INTERVAL);
        cert_poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                // Before the ends of threads that follow from it.
                Some(departure) = self.left.recv() => return GateEnd::HandedOver(Box::new(departure)),
                _ = signals.terminate.recv() => return GateEnd::Stopped,
                _ = signals.interrupt.recv() => return GateEnd::Stopped,
                () = self.supervisor.wait_until_unable() => return GateEnd::Stopped,
                _ = signals.hangup.recv() => self.reload().await,
                _ = signals.rotate.recv() => match &self.access_log {
                    Some(log) => log.reopen(),
                    None => warn!("SIGUSR1 opens the access log again; there is none"),
                },
                _ = cert_poll.tick() => {
                    self.certificates.poll_files(&self.active_config, self.clock.wall());
                }
            }
        }
    }

    /// Reads the configuration again. A file with problems is refused, and the old policy stays.
    async fn reload(&mut self) {
        if !matches!(self.options.source, ConfigSource::File(_)) {
            warn!("nothing to reload: the gate runs without a configuration file");
            return;
        }
        let Err(refusal) = self.try_reload().await else { return };
        // Problems of a file have several lines: they are the text, not a field.
        warn!("cannot use the new configuration; keeping the old one:\n{refusal}");
        let text = refusal.to_string();
        let problems = match refusal {
            RuntimeError::Config(ConfigError::Problems(problems)) => {
                (problems.problems.len() + problems.more) as u32
            }
            _ => 1,
        };
        if let Err(error) = self.control.reload_refused(problems, text).await {
            warn!(%error, "cannot record that the configuration was refused");
        }
    }

    async fn try_reload(&mut self) -> Result<(), RuntimeError> {
        let LoadedConfig { mut config, digest } = self.options.load_config()?;
        config.admin = self.active_config.admin;
        config.ledger.clone_from(&self.active_config.ledger);
        config.access_log.clone_from(&self.active_config.access_log);
        let ids = Arc::clone(self.policy.load().ids());
        check_reloadable(&self.active_config, &config, &ids, self.activity_capacity)?;
        let certificates = self.certificates.prepare(&config)?;
        self.control.reload(config.clone(), digest).await?;
        self.certificates.install(certificates, self.clock.wall());
        if let Some(settings) = &config.acme {
            self.acme.update(settings);
        }
        self.active_config = config;
        Ok(())
    }

    /// Drains the workers, closes the ledger, and names threads that failed.
    fn stop(self) -> Result<(), RuntimeError> {
        info!("stopping: no new connections, requests in flight finish");
        service_notice::stopping();
        self.desk.close();
        self.stage.send_replace(WorkerStage::Stop);
        self.admin_stop.send_replace(true);
        for worker in self.worker_threads {
            // The supervisor reports a panic.
            let _ = worker.join();
        }
        if let Some(path) = &self.socket_path {
            let _ = std::fs::remove_file(path);
        }
        self.control.stop();
        let _ = self.control_thread.join();
        self.admin.join();
        report_failed(self.supervisor)
    }

    /// Serves the connections that another process did not get, for `drain_time`; a signal ends it
    /// earlier. The ledger, the control socket and the admin listener are the other process's, which
    /// also counts what is served here.
    async fn leave(
        self,
        departure: Departure,
        signals: &mut GateSignals,
    ) -> Result<(), RuntimeError> {
        // The other process obtains certificates.
        drop(self.acme);
        self.stage.send_replace(WorkerStage::HandedOver);
        self.admin_stop.send_replace(true);
        let mut reported = Instant::now();
        // A gate before this one ends first: its drain began earlier.
        while !self.worker_threads.iter().all(JoinHandle::is_finished) || self.predecessor.reports()
        {
            if tokio::time::timeout(LEAVING_POLL, signals.stop()).await.is_ok() {
                self.stage.send_replace(WorkerStage::Stop);
            }
            if reported.elapsed() >= TICK {
                reported = Instant::now();
                report_counts(&departure, &self.meters, &self.predecessor);
            }
        }
        report_counts(&departure, &self.meters, &self.predecessor);
        for worker in self.worker_threads {
            let _ = worker.join();
        }
        let _ = self.control_thread.join();
        self.admin.join();
        info!("drained");
        report_failed(self.supervisor)
    }
}

/// What a gate has once the ledger is its own.
struct OpenedState {
    shared: SharedState,
    control: ControlStart,
    continues: bool,
    ended: UnboundedReceiver<ThreadExit>,
}

impl OpenedState {
    /// Opens the state folder's files, once the gate before has closed the ledger.
    fn open(
        config: &Config,
        digest: String,
        options: &GateOptions,
        predecessor: Option<&Predecessor>,
    ) -> Result<Self, RuntimeError> {
        let carried = predecessor.map(Predecessor::close_ledger).transpose()?;
        let (clock, continuation) = continue_from(carried);
        let state = StateResources::acquire(config, clock.wall(), options.accept_fork)?;
        let (exits, ended) = unbounded_channel();
        let initial = InitialControl::new(config, clock, &state.ledger.resume, continuation);
        let continues = initial.continues == Some(true);
        let (secret, workers) = (state.secret.secret(), worker_count(config));
        let shared =
            SharedState::new(clock, initial.control(), config.clone(), secret, workers, exits);
        let rehearsal = options.rehearsal;
        let control =
            ControlStart::begin(&shared, config.clone(), initial, state, digest, rehearsal)?;
        Ok(Self { shared, control, continues, ended })
    }
}

/// The clock and the state of a gate that begins, or continues another.
fn continue_from(carried: Option<CarriedState>) -> (Clock, Option<Continuation>) {
    let Some(CarriedState { now, tallied_until, control }) = carried else {
        return (Clock::new(), None);
    };
    let control = match serde_json::from_value::<ControlState>(control) {
        Ok(control) if control.is_readable() => Some(control),
        Ok(_) => None,
        Err(problem) => {
            warn!(%problem, "the state of the gate before cannot be read: waves and procedures end");
            None
        }
    };
    (Clock::continued(now), Some(Continuation { tallied_until, control }))
}

/// Reports what was counted since the ledger was closed.
fn report_counts(departure: &Departure, meters: &[Arc<Meter>], before: &PredecessorCounts) {
    let mut total = Snapshot::default();
    for meter in meters {
        meter.add_to(&mut total);
    }
    total.add(&before.counted());
    let mut counted = total.since(&departure.counted);
    // No watch reads the records.
    counted.records_lost = counted.activities.iter().map(ActivityCounts::offered).sum();
    // The other process may have ended: then there is no ledger for it.
    let _ = departure.channel.send(&FromRunning::Counted(Box::new(counted)));
}

fn report_failed(supervisor: Supervisor) -> Result<(), RuntimeError> {
    let failed = supervisor.into_failed();
    if failed.is_empty() { Ok(()) } else { Err(RuntimeError::ThreadsEnded(failed)) }
}

fn open_access_log(config: &Config) -> Result<Option<AccessLogWriter>, RuntimeError> {
    let Some(settings) = &config.access_log else { return Ok(None) };
    let refused = |source| RuntimeError::AccessLog { file: settings.file.clone(), source };
    AccessLogWriter::start(settings.file.clone()).map(Some).map_err(refused)
}

fn listen(kind: SignalKind) -> Result<Signal, RuntimeError> {
    signal(kind).map_err(RuntimeError::Signals)
}

#[cfg(test)]
mod tests {
    use portcullis_model::{OriginConfig, Time, WallTime};
    use portcullis_posture::{Control, Resume};

    use super::*;

    #[test]
    fn a_gate_continues_the_clock_of_another_and_the_state_that_it_can_read() {
        let origin = OriginConfig::new("127.0.0.1".into(), 80);
        let config = Config::for_origin(([127, 0, 0, 1], 8080).into(), origin);
        let tallied_until = WallTime(1_700_000_000_000);
        let control = Control::new(Arc::new(config), tallied_until, &Resume::default());
        let state = serde_json::to_value(control.state()).unwrap();
        let mut later = state.clone();
        later["version"] = 2.into();
        let mut other = state.clone();
        other["field"] = "of another version".into();
        for (control, readable) in [(state, true), (later, false), (other, false)] {
            let carried = CarriedState { now: Time::from_secs(5_000), tallied_until, control };
            let (clock, continuation) = continue_from(Some(carried));
            assert!(clock.now() >= Time::from_secs(5_000));
            let continuation = continuation.unwrap();
            assert_eq!(continuation.tallied_until, tallied_until);
            assert_eq!(continuation.control.is_some(), readable);
        }
    }
}
