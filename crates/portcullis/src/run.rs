//! `portcullis run`: the gate in front of a site.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use portcullis_admin::{AdminHandlers, AdminListener, BoundAdmin, GateStatus, ThreadHealth};
use portcullis_edge::{Clock, InternalErrors, Worker};
use portcullis_gate::{Policy, Secret, Tables};
use portcullis_model::{Config, Event, FeatureName, Meter, Record, WorkerId};
use portcullis_posture::{Control, Resume};
use sha2::{Digest, Sha256};
use tracing::{error, info, warn};

use crate::acme::AcmeHandle;
use crate::baseline_store;
use crate::certificates::CertReloader;
use crate::cli::RunArguments;
use crate::config_file::{self, ConfigError, worker_count};
use crate::control_loop::{ControlLoop, ControlMessage, WorkerChannel};
use crate::recorder::{self, Recorder};
use crate::threads::spawn_thread;

/// Capacity of a worker's record ring: two and a half ticks at 100,000 requests a second.
const RECORD_RING_SIZE: usize = 65_536;
/// Capacity of a worker's ring of feature names; a lost one is sent again.
const FEATURE_NAME_RING_SIZE: usize = 4_096;
/// Activities that reloads may add: counters are allocated at the start.
const SPARE_ACTIVITIES: usize = 64;
/// How often certificate files are checked for changes, with two system calls each.
const CERT_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Runs until a signal stops it.
pub fn run(arguments: &RunArguments) -> Result<bool> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("PORTCULLIS_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .with_writer(std::io::stderr)
        .init();
    let (config, digest) = load_config(arguments)?;
    GateRuntime::start(config, digest, arguments)?.serve(arguments)
}

/// The configuration that the arguments select, and its digest.
fn load_config(arguments: &RunArguments) -> Result<(Config, String)> {
    let (mut config, text) = match (&arguments.config, &arguments.origin) {
        (Some(path), _) => config_file::read(path)?,
        (None, Some(origin)) => {
            let config = Config::for_origin(arguments.listen, origin.clone());
            let text = format!("--listen {} --origin {}", arguments.listen, origin.authority());
            (config, text)
        }
        (None, None) => bail!("--config FILE or --origin URL is needed"),
    };
    if let Some(admin) = arguments.admin {
        config.admin = admin;
    }
    if let Some(ledger) = &arguments.ledger {
        config.ledger.clone_from(ledger);
    }
    Ok((config, sha256_hex(&text)))
}

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Raises this process's limit of open files to the hard limit, and warns if that is still less
/// than `limits.max_connections` may need.
fn raise_nofile_limit(needed: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let allowed = if raised.is_ok() { maximum } else { current };
    if let Some(allowed) = allowed.filter(|&allowed| allowed < needed) {
        warn!(
            allowed,
            needed,
            "the open file limit is lower than limits.max_connections may need: raise LimitNOFILE \
             in the service unit (see `portcullis doctor`)"
        );
    }
}

/// The running gate: its threads and what controls them.
struct GateRuntime {
    workers: Vec<JoinHandle<()>>,
    control: JoinHandle<()>,
    admin: AdminListener,
    messages: Sender<ControlMessage>,
    drain: tokio::sync::watch::Sender<bool>,
    certificates: CertReloader,
    acme: AcmeHandle,
    clock: Clock,
    active_config: Config,
    activity_capacity: usize,
}

impl GateRuntime {
    fn start(config: Config, digest: String, arguments: &RunArguments) -> Result<Self> {
        let clock = Clock::new();
        let started = clock.wall();
        let workers = worker_count(&config);
        let active_config = config.clone();
        raise_nofile_limit(config.descriptors(workers));

        // Whatever can fail is tried before the ledger records the start.
        let certificates = CertReloader::load(&config, started)?;
        let mut acme = AcmeHandle::new(&certificates.shared);
        let listeners = portcullis_edge::bind(&config, workers)?;
        let admin = BoundAdmin::bind(config.admin)?;
        let (ledger, resume) = recorder::open_ledger(&config.ledger, &config, &random_bytes()?)?;
        let mut recorder = Recorder::start(ledger)?;

        let config = Arc::new(config);
        let secret = Secret::new(&random_bytes()?);
        let tables = Arc::new(Tables::new(config.limits.source_table_size, secret.clone()));
        let policy = Arc::new(ArcSwap::from_pointee(Policy::new(Arc::clone(&config), secret)));
        let activity_capacity = policy.load().activities() + SPARE_ACTIVITIES;
        let (drain, draining) = tokio::sync::watch::channel(false);

        let mut control = Control::new(Arc::clone(&config), started, &resume);
        let baselines_path = baseline_store::path_for(&config.ledger);
        control.restore(baseline_store::load(&baselines_path));
        record_started(
            &mut recorder,
            &control,
            &resume,
            digest,
            workers,
            started,
            arguments.rehearsal,
        );

        let open = Arc::new(AtomicU64::new(0));
        let faults = Arc::new(InternalErrors::default());
        let mut handles = Vec::new();
        let mut worker_channels = Vec::new();
        let mut meters = Vec::new();
        for (at, listeners) in listeners.into_iter().enumerate() {
            let meter = Arc::new(Meter::new(activity_capacity));
            let (records, records_out) = rtrb::RingBuffer::<Record>::new(RECORD_RING_SIZE);
            let (sightings, sightings_out) =
                rtrb::RingBuffer::<FeatureName>::new(FEATURE_NAME_RING_SIZE);
            let worker = Worker {
                id: WorkerId(at as u16),
                workers,
                listeners,
                policy: Arc::clone(&policy),
                tables: Arc::clone(&tables),
                tls: Arc::clone(&certificates.tls),
                answers: acme.answers(),
                meter: Arc::clone(&meter),
                records,
                sightings,
                open: Arc::clone(&open),
                internal_errors: Arc::clone(&faults),
                clock,
                drain: draining.clone(),
            };
            meters.push(Arc::clone(&meter));
            worker_channels.push(WorkerChannel {
                meter,
                records: records_out,
                sightings: sightings_out,
            });
            handles.push(spawn_thread(&format!("worker-{at}"), move || {
                if let Err(problem) = worker.run() {
                    error!(%problem, "a worker stopped");
                }
            })?);
        }

        let status =
            Arc::new(ArcSwap::from_pointee(GateStatus { started, ..GateStatus::default() }));
        let (messages, inbox) = channel();
        let handlers = AdminHandlers {
            policy: Arc::clone(&policy),
            meters,
            status: Arc::clone(&status),
            internal_errors: faults,
            threads: Arc::new(ThreadHealth::new(workers)),
            certificates: Arc::clone(&certificates.inventory),
            acme: acme.status(),
            clock,
        };
        let control_loop = ControlLoop {
            control,
            policy,
            tables,
            workers: worker_channels,
            recorder,
            clock,
            started,
            status,
            messages: inbox,
            baselines_path,
            baselines_saved_at: clock.now(),
        };
        let admin = admin.serve(Arc::new(handlers), draining)?;
        let control = spawn_thread("control", move || control_loop.run())?;
        for listener in &active_config.listeners {
            let (tls, http_3) = (listener.tls.is_some(), listener.http_3);
            info!(address = %listener.address, tls, http_3, "listening");
        }
        info!(address = %active_config.admin, "admin listener");
        if let Some(settings) = &active_config.acme {
            acme.start(settings)?;
        }
        Ok(Self {
            workers: handles,
            control,
            admin,
            messages,
            drain,
            certificates,
            acme,
            clock,
            active_config,
            activity_capacity,
        })
    }

    /// Waits for signals; after SIGTERM or SIGINT drains and ends.
    fn serve(mut self, arguments: &RunArguments) -> Result<bool> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime that waits for signals")?;
        runtime
            .block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let mut terminate = signal(SignalKind::terminate())?;
                let mut interrupt = signal(SignalKind::interrupt())?;
                let mut hangup = signal(SignalKind::hangup())?;
                let mut cert_poll = tokio::time::interval(CERT_POLL_INTERVAL);
                cert_poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        _ = terminate.recv() => break,
                        _ = interrupt.recv() => break,
                        _ = hangup.recv() => self.reload(arguments),
                        _ = cert_poll.tick() => {
                            self.certificates.poll_files(&self.active_config, self.clock.wall());
                        }
                    }
                }
                std::io::Result::Ok(())
            })
            .context("cannot wait for signals")?;
        info!("stopping: no new connections, requests in flight finish");
        self.drain.send_replace(true);
        for worker in self.workers {
            if worker.join().is_err() {
                error!("a worker's thread panicked");
            }
        }
        let _ = self.messages.send(ControlMessage::Stop);
        if self.control.join().is_err() {
            error!("the control loop's thread panicked");
        }
        self.admin.join();
        info!("stopped");
        Ok(true)
    }

    /// Reads the configuration again. A bad file is refused and the old policy stays.
    fn reload(&mut self, arguments: &RunArguments) {
        let Some(path) = &arguments.config else {
            warn!("nothing to reload: the gate runs without a configuration file");
            return;
        };
        if let Err(refusal) = self.try_reload(path, arguments) {
            warn!("cannot use the new configuration; keeping the old one:\n{refusal:#}");
            let problems = match refusal.downcast_ref::<ConfigError>() {
                Some(ConfigError::Problems(problems)) => {
                    (problems.problems.len() + problems.more) as u32
                }
                _ => 1,
            };
            let _ = self.messages.send(ControlMessage::ReloadRefused { problems });
        }
    }

    fn try_reload(&mut self, path: &Path, arguments: &RunArguments) -> Result<()> {
        let (mut config, _) = config_file::read(path)?;
        let (_, digest) = load_config(arguments)?;
        config.admin = self.active_config.admin;
        config.ledger.clone_from(&self.active_config.ledger);
        let sockets = |config: &Config| {
            let kinds = config.listeners.iter();
            kinds
                .map(|l| (l.address, l.tls.is_some(), l.proxy_protocol, l.http_3))
                .collect::<Vec<_>>()
        };
        if sockets(&config) != sockets(&self.active_config)
            || config.workers != self.active_config.workers
        {
            bail!("changing listeners or workers needs a restart");
        }
        let activities: usize = config.platforms.iter().map(|p| p.activities.len()).sum();
        if activities > self.activity_capacity {
            bail!("{activities} activities exceed the capacity of this process: restart to apply");
        }
        if config.acme.is_some() != self.active_config.acme.is_some() {
            bail!("adding or removing [acme] needs a restart");
        }
        self.certificates.reload(&config, self.clock.wall())?;
        if let Some(settings) = &config.acme {
            self.acme.update(settings);
        }
        self.active_config = config.clone();
        let _ = self.messages.send(ControlMessage::Reload { config: Box::new(config), digest });
        Ok(())
    }
}

fn record_started(
    recorder: &mut Recorder,
    control: &Control,
    resume: &Resume,
    configuration: String,
    workers: u16,
    wall: portcullis_model::WallTime,
    rehearsal: bool,
) {
    if resume.procedures > 0 {
        info!(procedures = resume.procedures, "resuming procedure numbering");
    }
    let started = Event::Started {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        configuration,
        platforms: control.platforms(),
        workers: u32::from(workers),
        rehearsal,
    };
    recorder.record(wall, vec![started]);
}

fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|problem| anyhow::anyhow!("no randomness: {problem}"))?;
    Ok(bytes)
}
