//! The steps of a start.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use portcullis_admin::{
    AdminHandlers, AdminListener, BoundAdmin, GateStatus, GateThread, ReloadStatus, ThreadHealth,
};
use portcullis_edge::{
    AccessLogSink, BoundListener, Clock, InternalErrors, SocketSet, Worker, WorkerStage,
};
use portcullis_gate::{Policy, Secret, Tables};
use portcullis_model::{
    AccessLogSettings, Config, Event, FeatureName, Meter, Record, WallTime, WorkerId,
};
use portcullis_posture::{Action, Control, ControlState, Input, Resume};
use tokio::sync::watch;

use crate::access_log::AccessLogWriter;
use crate::acme_thread::AcmeHandle;
use crate::baseline_store;
use crate::certificates::CertReloader;
use crate::confinement;
use crate::control_loop::{
    ControlHandle, ControlLoop, LedgerReopener, WorkerChannel, control_channel,
};
use crate::error::RuntimeError;
use crate::event_log::log_event;
use crate::inheritance::Inheritance;
use crate::ledger_writer::LedgerWriter;
use crate::open_ledger::{OpenedLedger, log_origin, open_ledger};
use crate::origin_probe;
use crate::predecessor_counts::PredecessorCounts;
use crate::recorder::{Recorder, Urgency};
use crate::secret_store::SecretStore;
use crate::threads::{ExitSender, spawn_reporting};

/// Capacity of a worker's record ring: two and a half ticks at 100,000 requests a second.
const RECORD_RING_SIZE: usize = 65_536;
/// Capacity of a worker's ring of feature names; a lost one is sent again.
const FEATURE_NAME_RING_SIZE: usize = 4_096;
/// Activities that reloads may add: counters are allocated at the start.
const SPARE_ACTIVITIES: usize = 64;

/// What can be unavailable: taken before the ledger records the start.
pub struct Resources {
    /// Certificates.
    pub certificates: CertReloader,
    /// Sockets of each worker.
    pub listeners: Vec<Vec<BoundListener>>,
    /// The socket of the admin listener.
    pub admin: BoundAdmin,
    /// The same sockets, for a gate that takes over from this one.
    pub inheritance: Inheritance,
}

impl Resources {
    /// Takes everything that `config` names.
    pub fn acquire(
        config: &Config,
        workers: u16,
        now: WallTime,
        inherited: Option<Inheritance>,
    ) -> Result<Self, RuntimeError> {
        let certificates = CertReloader::load(config, now)?;
        let (sockets, admin) = match inherited {
            Some(Inheritance { sockets, admin }) => (sockets, Some(admin)),
            None => (SocketSet::default(), None),
        };
        let bound = portcullis_edge::bind(config, workers, sockets)?;
        let hosts = config.admin_hosts.clone();
        let admin = match admin.filter(|(address, _)| *address == config.admin) {
            Some((_, socket)) => BoundAdmin::inherit(config.admin, socket, hosts)?,
            None => BoundAdmin::bind(config.admin, hosts)?,
        };
        let inheritance =
            Inheritance { sockets: bound.shared, admin: (config.admin, admin.socket()?) };
        confinement::drop_root(config)?;
        confinement::confine(config);
        Ok(Self { certificates, listeners: bound.by_worker, admin, inheritance })
    }
}

/// What only one process may have: the last one before it serves.
pub struct StateResources {
    /// The ledger, locked, and what is known of it.
    pub ledger: OpenedLedger,
    /// The secret of tokens and keyed hashes.
    pub secret: SecretStore,
}

impl StateResources {
    /// Opens the files of the state folder.
    pub fn acquire(
        config: &Config,
        now: WallTime,
        accept_fork: bool,
    ) -> Result<Self, RuntimeError> {
        let ledger = open_ledger(config, &random_bytes()?, accept_fork)?;
        let secret = SecretStore::open(&config.ledger, now)?;
        Ok(Self { ledger, secret })
    }
}

/// What a gate begins with that takes over from another one.
pub struct Continuation {
    /// Until when the other one has counted.
    pub tallied_until: WallTime,
    /// Waves, procedures, postures, if this version understands them.
    pub control: Option<ControlState>,
}

/// State that several threads use.
pub struct SharedState {
    /// The process's clock.
    pub clock: Clock,
    /// The policy in force.
    pub policy: Arc<ArcSwap<Policy>>,
    /// The limit tables.
    pub tables: Arc<Tables>,
    /// The state for the admin listener.
    pub status: Arc<ArcSwap<GateStatus>>,
    /// Which threads run.
    pub health: Arc<ThreadHealth>,
    /// Errors of all workers.
    pub internal_errors: Arc<InternalErrors>,
    /// The counters of each worker.
    pub meters: Vec<Arc<Meter>>,
    /// What the gate before counts while it drains.
    pub predecessor: Arc<PredecessorCounts>,
    /// Activities that there are counters for.
    pub activity_capacity: usize,
    /// What the workers are to do.
    pub stage: watch::Sender<WorkerStage>,
    /// Turns true when the admin listener is to end.
    pub admin_stop: watch::Sender<bool>,
    /// Where threads report their end.
    pub exits: ExitSender,
}

impl SharedState {
    /// The state of a gate that starts with `config`.
    pub fn new(
        clock: Clock,
        control: &Control,
        config: Config,
        secret: Secret,
        workers: u16,
        exits: ExitSender,
    ) -> Self {
        let tables = Arc::new(Tables::new(config.limits.source_table_size, secret.clone()));
        let policy = Policy::reloaded(Arc::new(config), Arc::clone(control.ids()), secret);
        let engaged: Vec<_> = control.engaged().cloned().collect();
        let policy = policy.with_procedures(&engaged);
        let activity_capacity = policy.ids().activity_count() + SPARE_ACTIVITIES;
        let (now, wall) = (clock.now(), clock.wall());
        // A gate that takes over is asked before its first tick.
        let status = GateStatus {
            at: wall,
            started: wall,
            platforms: control.view(now),
            last_tick: now,
            ..GateStatus::default()
        };
        Self {
            clock,
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            tables,
            status: Arc::new(ArcSwap::from_pointee(status)),
            health: Arc::new(ThreadHealth::new(workers)),
            internal_errors: Arc::default(),
            meters: (0..workers).map(|_| Arc::new(Meter::new(activity_capacity))).collect(),
            predecessor: Arc::default(),
            activity_capacity,
            stage: watch::Sender::new(WorkerStage::Serve),
            admin_stop: watch::Sender::new(false),
            exits,
        }
    }
}

/// Starts a worker for each set of listeners; also returns the reading ends of its rings.
pub fn start_workers(
    shared: &SharedState,
    listeners: Vec<Vec<BoundListener>>,
    certificates: &CertReloader,
    acme: &AcmeHandle,
    access_log: Option<(&AccessLogSettings, &AccessLogWriter)>,
) -> Result<(Vec<JoinHandle<()>>, Vec<WorkerChannel>), RuntimeError> {
    let open = Arc::new(AtomicU64::new(0));
    let workers = shared.meters.len() as u16;
    let mut threads = Vec::new();
    let mut channels = Vec::new();
    for (at, (listeners, meter)) in listeners.into_iter().zip(&shared.meters).enumerate() {
        let (records_in, records) = rtrb::RingBuffer::<Record>::new(RECORD_RING_SIZE);
        let (names_in, feature_names) =
            rtrb::RingBuffer::<FeatureName>::new(FEATURE_NAME_RING_SIZE);
        let worker = Worker {
            id: WorkerId(at as u16),
            workers,
            listeners,
            policy: Arc::clone(&shared.policy),
            tables: Arc::clone(&shared.tables),
            tls: Arc::clone(&certificates.tls),
            answers: acme.answers(),
            meter: Arc::clone(meter),
            records: records_in,
            sightings: names_in,
            access_log: access_log.map(|(settings, writer)| AccessLogSink {
                settings: settings.clone(),
                lines: writer.lines.clone(),
                workers,
            }),
            open: Arc::clone(&open),
            internal_errors: Arc::clone(&shared.internal_errors),
            clock: shared.clock,
            stage: shared.stage.subscribe(),
        };
        channels.push(WorkerChannel { meter: Arc::clone(meter), records, feature_names });
        threads.push(spawn(
            GateThread::Worker,
            format!("worker-{at}"),
            &shared.exits,
            move || worker.run().map_err(|error| error.to_string()),
        )?);
    }
    Ok((threads, channels))
}

/// The control of a gate that begins, or that takes over.
pub struct InitialControl {
    control: Control,
    /// What follows from a configuration that is another one than that of the gate before.
    actions: Vec<Action>,
    /// Whether it takes over, and if so, whether it continues what lasts.
    pub continues: Option<bool>,
}

impl InitialControl {
    /// A control with the baselines that were saved, and with what another gate passed on.
    pub fn new(
        config: &Config,
        clock: Clock,
        resume: &Resume,
        continuation: Option<Continuation>,
    ) -> Self {
        let (now, wall) = (clock.now(), clock.wall());
        let shared = Arc::new(config.clone());
        let continues = continuation.as_ref().map(|other| other.control.is_some());
        let mut actions = Vec::new();
        let mut control = match continuation {
            Some(Continuation { tallied_until, control: Some(state) }) => {
                Control::continued(shared, (now, tallied_until), state, &mut actions)
            }
            Some(Continuation { tallied_until, control: None }) => {
                Control::new(shared, tallied_until, resume)
            }
            None => Control::new(shared, wall, resume),
        };
        let saved = baseline_store::load(&baseline_store::path_for(&config.ledger));
        // Restored baselines ask for no action.
        control.step(now, wall, Input::Restore(saved), &mut Vec::new());
        Self { control, actions, continues }
    }

    /// The control.
    pub const fn control(&self) -> &Control {
        &self.control
    }
}

/// The control loop's parts until its workers are known.
pub struct ControlStart {
    control: Control,
    recorder: Recorder,
    config: Config,
    secret: SecretStore,
}

impl ControlStart {
    /// Starts the recorder and records the start of the gate.
    pub fn begin(
        shared: &SharedState,
        config: Config,
        initial: InitialControl,
        resources: StateResources,
        digest: String,
        rehearsal: bool,
    ) -> Result<Self, RuntimeError> {
        let InitialControl { control, actions, continues } = initial;
        let StateResources { ledger, secret } = resources;
        let OpenedLedger { ledger, resume, fork, machine } = ledger;
        let started = shared.status.load().started;
        let (folder, log_name) = (config.ledger.clone(), log_origin(&config));
        let writer = LedgerWriter::new(ledger, folder, log_name, resume, shared.clock);
        let mut recorder = Recorder::start(writer, shared.exits.clone())?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (configuration, platforms) = (digest, control.platforms());
        let workers = shared.meters.len() as u32;
        let event = match continues {
            None => {
                Event::Started { version, configuration, platforms, workers, rehearsal, machine }
            }
            Some(continues) => Event::TakenOver {
                version,
                configuration,
                platforms,
                workers,
                rehearsal,
                machine,
                continues,
            },
        };
        log_event(&event);
        let follows = actions.into_iter().filter_map(|action| match action {
            Action::Record(event) => Some(event),
            // The policy has them, and the first probes come by themselves.
            Action::Engage(_) | Action::Probe(_) => None,
        });
        let events = std::iter::once(event).chain(fork).chain(follows).collect();
        recorder.record(started, events, Urgency::BeforeEffect);
        Ok(Self { control, recorder, config, secret })
    }

    /// Starts the control loop's thread.
    pub fn run(
        self,
        shared: &SharedState,
        workers: Vec<WorkerChannel>,
    ) -> Result<(JoinHandle<()>, ControlHandle), RuntimeError> {
        let (handle, inbox) = control_channel();
        let (probes, wanted) = origin_probe::probe_channel();
        let control_loop = ControlLoop {
            control: self.control,
            policy: Arc::clone(&shared.policy),
            tables: Arc::clone(&shared.tables),
            workers,
            recorder: self.recorder,
            secret: self.secret,
            clock: shared.clock,
            started: shared.status.load().started,
            status: Arc::clone(&shared.status),
            probes,
            reloads: ReloadStatus::default(),
            inbox,
            baselines_path: baseline_store::path_for(&self.config.ledger),
            baselines_saved_at: shared.clock.now(),
            predecessor: Arc::clone(&shared.predecessor),
            reopen: reopener(&self.config, shared),
        };
        let thread = spawn(GateThread::Control, "control".into(), &shared.exits, move || {
            control_loop.run();
            Ok(())
        })?;
        let (policy, clock, control) = (Arc::clone(&shared.policy), shared.clock, handle.clone());
        // It ends with the control loop.
        spawn(GateThread::OriginProbe, "origin-probe".into(), &shared.exits, move || {
            origin_probe::run(wanted, &policy, clock, &control)
        })?;
        Ok((thread, handle))
    }
}

/// Opens the ledger of this gate again, after a handover that failed.
fn reopener(config: &Config, shared: &SharedState) -> LedgerReopener {
    let (config, clock, exits) = (config.clone(), shared.clock, shared.exits.clone());
    Box::new(move || {
        let OpenedLedger { ledger, resume, .. } = open_ledger(&config, &random_bytes()?, false)?;
        let (folder, log_name) = (config.ledger.clone(), log_origin(&config));
        let writer = LedgerWriter::new(ledger, folder, log_name, resume, clock);
        Recorder::start(writer, exits.clone())
    })
}

/// Starts the admin listener.
pub fn start_admin(
    shared: &SharedState,
    bound: BoundAdmin,
    certificates: &CertReloader,
    acme: &AcmeHandle,
) -> Result<AdminListener, RuntimeError> {
    let handlers = AdminHandlers {
        policy: Arc::clone(&shared.policy),
        meters: shared.meters.clone(),
        status: Arc::clone(&shared.status),
        internal_errors: Arc::clone(&shared.internal_errors),
        threads: Arc::clone(&shared.health),
        certificates: Arc::clone(&certificates.inventory),
        acme: acme.status(),
        clock: shared.clock,
    };
    Ok(bound.serve(Arc::new(handlers), shared.admin_stop.subscribe())?)
}

fn spawn(
    thread: GateThread,
    name: String,
    exits: &ExitSender,
    run: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Result<JoinHandle<()>, RuntimeError> {
    spawn_reporting(thread, name.clone(), exits.clone(), run)
        .map_err(|source| RuntimeError::Thread { name, source })
}

fn random_bytes() -> Result<[u8; 32], RuntimeError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| RuntimeError::Randomness(error.to_string()))?;
    Ok(bytes)
}
