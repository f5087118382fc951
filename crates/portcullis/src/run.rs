//! `portcullis run`: the gate in front of a site.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use portcullis_edge::{Clock, Faults, Worker, operator};
use portcullis_gate::{Policy, Secret, Tables};
use portcullis_model::{Config, Event, Meter, Record, Sighting, WorkerId};
use portcullis_posture::{Control, Resume};
use sha2::{Digest, Sha256};
use tracing::{error, info, warn};

use crate::acme::Acme;
use crate::certificates::Certificates;
use crate::check;
use crate::cli::RunArguments;
use crate::control_loop::{ControlLoop, FromWorker, Request, Status};
use crate::memory;
use crate::pages::OperatorPages;
use crate::recorder::{self, Recorder};

/// Records that may wait for the control loop: at 100,000 requests a second on one worker, two and
/// a half ticks.
const RECORDS: usize = 65_536;
/// Sightings that may wait; they are told anew when they are lost.
const SIGHTINGS: usize = 4_096;
/// Activities that a reload may add before counters run out of room.
const SPARE_ACTIVITIES: usize = 64;
/// How often the files of certificates are looked at: two system calls each.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Runs until it is told to stop.
pub fn run(arguments: &RunArguments) -> Result<bool> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("PORTCULLIS_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .with_writer(std::io::stderr)
        .init();
    let (config, digest) = configuration(arguments)?;
    Gate::start(config, digest, arguments)?.serve(arguments)
}

/// The configuration that the arguments ask for, and its digest.
fn configuration(arguments: &RunArguments) -> Result<(Config, String)> {
    let (mut config, text) = match (&arguments.config, &arguments.origin) {
        (Some(path), _) => check::read(path)?,
        (None, Some(origin)) => {
            let config = Config::for_origin(arguments.listen, origin.clone());
            let text = format!("--listen {} --origin {}", arguments.listen, origin.authority());
            (config, text)
        }
        (None, None) => bail!("either --config FILE or --origin URL is needed"),
    };
    if let Some(operator) = arguments.operator {
        config.operator = operator;
    }
    if let Some(ledger) = &arguments.ledger {
        config.ledger.clone_from(ledger);
    }
    Ok((config, digest_of(&text)))
}

fn digest_of(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Raises this process's limit of open files to the hard limit, and says so where even that is
/// less than what visitors were promised.
fn allow_open_files(needed: u64) {
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
            "fewer open files are allowed than limits.connections may need: LimitNOFILE in the \
             service's unit raises it, and `portcullis doctor` says more"
        );
    }
}

/// Everything that runs.
struct Gate {
    workers: Vec<JoinHandle<()>>,
    control: JoinHandle<()>,
    operator: operator::Operator,
    requests: Sender<Request>,
    drain: tokio::sync::watch::Sender<bool>,
    certificates: Certificates,
    acme: Acme,
    clock: Clock,
    running: Config,
    capacity: usize,
}

impl Gate {
    fn start(config: Config, digest: String, arguments: &RunArguments) -> Result<Self> {
        let clock = Clock::new();
        let started = clock.wall();
        let workers = worker_count(&config);
        let running = config.clone();
        allow_open_files(config.descriptors(workers));

        // Everything that can be refused is tried before the ledger says "started".
        let certificates = Certificates::load(&config, started)?;
        let mut acme = Acme::new(&certificates.keep);
        let listeners = portcullis_edge::bind(&config, workers)?;
        let (ledger, resume) = recorder::open(&config.ledger, &config, &entropy()?)?;
        let mut recorder = Recorder::start(ledger)?;

        let config = Arc::new(config);
        let secret = Secret::new(&entropy()?);
        let tables = Arc::new(Tables::new(config.limits.sources_tracked, secret.clone()));
        let policy = Arc::new(ArcSwap::from_pointee(Policy::new(Arc::clone(&config), secret)));
        let capacity = policy.load().activities() + SPARE_ACTIVITIES;
        let (drain, draining) = tokio::sync::watch::channel(false);

        let mut control = Control::new(Arc::clone(&config), started, &resume);
        let memory = memory::beside(&config.ledger);
        control.restore(memory::recall(&memory));
        announce(&mut recorder, &control, &resume, digest, workers, started, arguments.rehearsal);

        let open = Arc::new(AtomicU64::new(0));
        let faults = Arc::new(Faults::default());
        let mut handles = Vec::new();
        let mut from_workers = Vec::new();
        let mut meters = Vec::new();
        for (at, listeners) in listeners.into_iter().enumerate() {
            let meter = Arc::new(Meter::new(capacity));
            let (records, records_out) = rtrb::RingBuffer::<Record>::new(RECORDS);
            let (sightings, sightings_out) = rtrb::RingBuffer::<Sighting>::new(SIGHTINGS);
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
                faults: Arc::clone(&faults),
                clock,
                drain: draining.clone(),
            };
            meters.push(Arc::clone(&meter));
            from_workers.push(FromWorker { meter, records: records_out, sightings: sightings_out });
            handles.push(thread(&format!("worker-{at}"), move || {
                if let Err(problem) = worker.run() {
                    error!(%problem, "a worker stopped");
                }
            })?);
        }

        let status = Arc::new(ArcSwap::from_pointee(Status { started, ..Status::default() }));
        let (requests, asked) = channel();
        let pages = OperatorPages {
            policy: Arc::clone(&policy),
            meters,
            status: Arc::clone(&status),
            faults,
            certificates: Arc::clone(&certificates.in_use),
            acme: acme.status(),
            clock,
        };
        let control_loop = ControlLoop {
            control,
            policy,
            tables,
            workers: from_workers,
            recorder,
            clock,
            started,
            status,
            requests: asked,
            memory,
            kept: clock.now(),
        };
        let operator = operator::serve(running.operator, Arc::new(pages), draining)?;
        let control = thread("control", move || control_loop.run())?;
        for listener in &running.listeners {
            let (tls, http_3) = (listener.tls.is_some(), listener.http_3);
            info!(address = %listener.address, tls, http_3, "listening");
        }
        info!(address = %running.operator, "operators' listener");
        if let Some(settings) = &running.acme {
            acme.start(settings)?;
        }
        Ok(Self {
            workers: handles,
            control,
            operator,
            requests,
            drain,
            certificates,
            acme,
            clock,
            running,
            capacity,
        })
    }

    /// Waits for signals until one says stop; then drains.
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
                let mut look = tokio::time::interval(LOOK_EVERY);
                look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        _ = terminate.recv() => break,
                        _ = interrupt.recv() => break,
                        _ = hangup.recv() => self.reload(arguments),
                        _ = look.tick() => {
                            self.certificates.look(&self.running, self.clock.wall());
                        }
                    }
                }
                std::io::Result::Ok(())
            })
            .context("cannot wait for signals")?;
        info!("stopping: no new connections, requests in flight are finished");
        self.drain.send_replace(true);
        for worker in self.workers {
            if worker.join().is_err() {
                error!("a worker's thread panicked");
            }
        }
        let _ = self.requests.send(Request::Stop);
        if self.control.join().is_err() {
            error!("the control loop's thread panicked");
        }
        self.operator.join();
        info!("stopped");
        Ok(true)
    }

    /// Reads the configuration again. A bad file is refused and the old policy stays.
    fn reload(&mut self, arguments: &RunArguments) {
        let Some(path) = &arguments.config else {
            warn!("nothing to reload: there is no configuration file");
            return;
        };
        if let Err(refusal) = self.try_reload(path, arguments) {
            warn!("the new configuration is refused, the old one stays:\n{refusal:#}");
            let problems = match refusal.downcast_ref::<check::Unusable>() {
                Some(check::Unusable::Problems(problems)) => {
                    (problems.problems.len() + problems.more) as u32
                }
                _ => 1,
            };
            let _ = self.requests.send(Request::ReloadRefused { problems });
        }
    }

    fn try_reload(&mut self, path: &Path, arguments: &RunArguments) -> Result<()> {
        let (mut config, _) = check::read(path)?;
        let (_, digest) = configuration(arguments)?;
        config.operator = self.running.operator;
        config.ledger.clone_from(&self.running.ledger);
        let sockets = |config: &Config| {
            let kinds = config.listeners.iter();
            kinds
                .map(|l| (l.address, l.tls.is_some(), l.proxy_protocol, l.http_3))
                .collect::<Vec<_>>()
        };
        if sockets(&config) != sockets(&self.running) || config.workers != self.running.workers {
            bail!("listeners and workers can only change with a restart");
        }
        let activities: usize = config.platforms.iter().map(|p| p.activities.len()).sum();
        if activities > self.capacity {
            bail!("so many new activities ({activities} in all) need a restart");
        }
        if config.acme.is_some() != self.running.acme.is_some() {
            bail!("[acme] can only come or go with a restart");
        }
        self.certificates.reload(&config, self.clock.wall())?;
        if let Some(settings) = &config.acme {
            self.acme.change(settings);
        }
        self.running = config.clone();
        let _ = self.requests.send(Request::Reload { config: Box::new(config), digest });
        Ok(())
    }
}

fn announce(
    recorder: &mut Recorder,
    control: &Control,
    resume: &Resume,
    configuration: String,
    workers: u16,
    wall: portcullis_model::WallTime,
    rehearsal: bool,
) {
    if resume.procedures > 0 {
        info!(procedures = resume.procedures, "numbers go on where the ledger left off");
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

pub fn worker_count(config: &Config) -> u16 {
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get() as u16);
    config.workers.unwrap_or_else(cores).max(1)
}

fn entropy() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|problem| anyhow::anyhow!("no randomness: {problem}"))?;
    Ok(bytes)
}

pub fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .with_context(|| format!("cannot start the thread {name}"))
}
