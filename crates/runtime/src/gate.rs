//! The running gate: started, reloaded by a signal, watched, stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_admin::AdminListener;
use portcullis_edge::Clock;
use portcullis_gate::Policy;
use portcullis_model::Config;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::unbounded_channel;
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
use crate::options::{ConfigSource, GateOptions, LoadedConfig};
use crate::reload::check_reloadable;
use crate::start::{ControlStart, Resources, SharedState, start_admin, start_workers};
use crate::supervisor::Supervisor;

/// How often certificate files are checked for changes, with two system calls each.
const CERT_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Runs the gate until SIGTERM or SIGINT; an error if it cannot start or continue, or if a thread
/// failed meanwhile.
pub fn run(options: GateOptions) -> Result<(), RuntimeError> {
    confinement::restrict_new_files();
    let loaded = options.load_config()?;
    let signals = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RuntimeError::Signals)?;
    let mut gate = RunningGate::start(loaded, options)?;
    let served = signals.block_on(gate.serve());
    let stopped = gate.stop();
    served.and(stopped)
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
    drain: watch::Sender<bool>,
    supervisor: Supervisor,
    worker_threads: Vec<JoinHandle<()>>,
    control_thread: JoinHandle<()>,
    admin: AdminListener,
    /// The file of the control socket.
    socket_path: Option<PathBuf>,
    access_log: Option<AccessLogWriter>,
}

impl RunningGate {
    fn start(loaded: LoadedConfig, options: GateOptions) -> Result<Self, RuntimeError> {
        let LoadedConfig { config, digest } = loaded;
        let clock = Clock::new();
        let workers = worker_count(&config);
        let Resources { certificates, listeners, admin, ledger, secret } =
            Resources::acquire(&config, workers, clock.wall(), options.accept_fork)?;
        let (exits, ended) = unbounded_channel();
        let shared = SharedState::new(clock, config.clone(), secret.secret(), workers, exits);
        let mut acme = AcmeHandle::new(&certificates.shared);

        let started = (ledger, secret);
        let control =
            ControlStart::begin(&shared, config.clone(), started, digest, options.rehearsal)?;
        let access_log = open_access_log(&config)?;
        let log = config.access_log.as_ref().zip(access_log.as_ref());
        let (worker_threads, channels) =
            start_workers(&shared, listeners, &certificates, &acme, log)?;
        let admin = start_admin(&shared, admin, &certificates, &acme)?;
        let (control_thread, control) = control.run(&shared, channels)?;
        for listener in &config.listeners {
            let (tls, http_3) = (listener.tls.is_some(), listener.http_3);
            info!(address = %listener.address, tls, http_3, "listening");
        }
        let socket = ControlSocket::bind(&config.ledger);
        let socket_path = socket.as_ref().map(|socket| socket.path().to_owned());
        if let Some(socket) = socket {
            let failed = |source| RuntimeError::Thread { name: "control-socket".into(), source };
            socket.serve(control.clone()).map_err(failed)?;
        }
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
            drain: shared.drain,
            supervisor: Supervisor::new(ended, shared.health),
            worker_threads,
            control_thread,
            admin,
            socket_path,
            access_log,
        })
    }

    /// Reloads and watches until a signal asks to stop, or until no worker runs.
    async fn serve(&mut self) -> Result<(), RuntimeError> {
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut hangup = listen(SignalKind::hangup())?;
        let mut rotate = listen(SignalKind::user_defined1())?;
        let mut cert_poll = tokio::time::interval(CERT_POLL_INTERVAL);
        cert_poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                () = self.supervisor.wait_until_unable() => return Ok(()),
                _ = hangup.recv() => self.reload().await,
                _ = rotate.recv() => match &self.access_log {
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
        self.drain.send_replace(true);
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
        let failed = self.supervisor.into_failed();
        if failed.is_empty() { Ok(()) } else { Err(RuntimeError::ThreadsEnded(failed)) }
    }
}

fn open_access_log(config: &Config) -> Result<Option<AccessLogWriter>, RuntimeError> {
    let Some(settings) = &config.access_log else { return Ok(None) };
    let refused = |source| RuntimeError::AccessLog { file: settings.file.clone(), source };
    AccessLogWriter::start(settings.file.clone()).map(Some).map_err(refused)
}

fn listen(kind: SignalKind) -> Result<Signal, RuntimeError> {
    signal(kind).map_err(RuntimeError::Signals)
}
