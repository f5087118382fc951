//! One run of a scenario against a target, recorded.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::origin::DemoOriginStatus;
use crate::plan::{Plan, plan};
use crate::recording::{RunCounters, RunRecording, Second, per_second, phase_spans};
use crate::scenario::Scenario;
use crate::target::LoopbackTarget;
use crate::traffic::{self, RunContext};

/// Time between the planning and the first request.
const LEAD_IN: Duration = Duration::from_millis(300);

/// Time after the scenario's end in which the last responses may arrive: the timeout of a page with
/// its announced waits, that of its first asset, and a margin.
const RESPONSE_GRACE: Duration = Duration::from_secs(18);

/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Open files that a run may need: both ends of every connection when the origin is in this
/// process.
const NOFILE_NEEDED: u64 = 4_096;

/// How long the origin's status may take.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);

/// The settings of one run of a scenario.
#[derive(Debug, Clone)]
pub struct DrillRun<'a> {
    /// Where the traffic goes: the gate, or the origin itself.
    pub target: LoopbackTarget,
    /// The value of the `Host` field, such as `localhost` or `campaign.example`.
    pub host: &'a str,
    /// Where the demonstration origin answers `GET /origin-status`.
    pub origin_status: LoopbackTarget,
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The random seed; the same seed sends the same requests.
    pub seed: u64,
}

/// The progress of a run.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Milliseconds since the start.
    pub elapsed_ms: u32,
    /// Milliseconds in all.
    pub total_ms: u32,
    /// The title of the current phase.
    pub phase: &'a str,
    /// What was counted in the last full second, by when it became known.
    pub last_second: Second,
}

/// Why a run could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The `Host` value cannot be sent.
    #[error(
        "`{0}` cannot be a Host value: expected a name such as campaign.example, with a port or without"
    )]
    InvalidHost(String),
    /// The kernel does not provide the source addresses of the visitors.
    #[error(
        "cannot bind {address}: {source}. A drill needs all of 127.0.0.0/8 on the loopback device, as \
         on Linux"
    )]
    SourceAddress {
        /// The address that was tried.
        address: std::net::Ipv4Addr,
        /// The error of the kernel.
        source: std::io::Error,
    },
    /// Not enough open files are allowed.
    #[error(
        "only {allowed} open files are allowed, and a drill needs {needed}: raise the hard limit, \
         for example with `ulimit -n {needed}`"
    )]
    NofileLimit {
        /// The hard limit.
        allowed: u64,
        /// The number that is needed.
        needed: u64,
    },
    /// Scenarios use plain HTTP.
    #[error(
        "{target}: scenarios use plain HTTP. Give the gate a plain listener on loopback, such as \
         http://127.0.0.1:8080 (`drill vectors` supports TLS)"
    )]
    PlainOnly {
        /// The target.
        target: LoopbackTarget,
    },
    /// The vector is one of TLS or of HTTP/2.
    #[error(
        "{vector} needs TLS, and {target} is plain: name the gate's TLS listener as \
         https://127.0.0.1:PORT, or pass --tls"
    )]
    NeedsTls {
        /// The vector.
        vector: &'static str,
        /// The target.
        target: LoopbackTarget,
    },
    /// The path cannot be sent.
    #[error("`{0}` cannot be a path: expected `/` and up to 1023 visible ASCII characters")]
    InvalidPath(String),
    /// The gate's counters cannot be read from its admin listener.
    #[error(
        "cannot read {admin}/metrics: {why}. Pass the gate's admin address with --admin, or omit it"
    )]
    AdminListener {
        /// Where it was asked.
        admin: LoopbackTarget,
        /// The error.
        why: String,
    },
    /// Nothing answers where the traffic should go.
    #[error("nothing accepts connections at {target}: {source}")]
    Unreachable {
        /// Where it was tried.
        target: LoopbackTarget,
        /// The error of the kernel.
        source: std::io::Error,
    },
    /// The origin's load cannot be read.
    #[error("cannot read the origin's load at {target}/origin-status: {why}")]
    OriginStatus {
        /// Where it was asked.
        target: LoopbackTarget,
        /// The error.
        why: String,
    },
    /// A thread could not be started, or panicked.
    #[error("the drill itself failed: {0}")]
    Internal(String),
}

/// Runs the scenario once and returns its recording. Blocks until it is over; `progress` is called
/// a few times a second on this thread.
pub fn run_scenario(
    run: &DrillRun<'_>,
    mut progress: impl FnMut(&Progress<'_>),
) -> Result<RunRecording, DrillError> {
    check_host(run.host)?;
    if run.target.is_tls() {
        return Err(DrillError::PlainOnly { target: run.target });
    }
    raise_nofile_limit()?;
    let plan = plan(run.seed, run.scenario);
    check_addresses(run.target, &plan)?;
    TcpStream::connect_timeout(&run.target.address(), STATUS_TIMEOUT)
        .map_err(|source| DrillError::Unreachable { target: run.target, source })?;

    let before = origin_status(run.origin_status)?;
    let begun = Instant::now();
    let start = begun + LEAD_IN;
    let started_unix_ms = unix_ms() + LEAD_IN.as_millis() as u64;
    let lasts_ms = run.scenario.lasts_ms();
    let end = start + Duration::from_millis(u64::from(lasts_ms));
    let context = Arc::new(RunContext {
        target: run.target,
        host: run.host.to_owned(),
        plan,
        counters: RunCounters::new(lasts_ms),
        phases: phase_spans(run.scenario),
        start,
    });

    let people = spawn_thread("visitors", {
        let context = Arc::clone(&context);
        move || traffic::run_local(traffic::run_visitors(context), end + RESPONSE_GRACE)
    })?;
    let attackers = spawn_thread("attackers", {
        let context = Arc::clone(&context);
        move || traffic::run_local(traffic::run_attackers(context), end + RESPONSE_GRACE)
    })?;
    while !(people.is_finished() && attackers.is_finished()) {
        std::thread::sleep(PROGRESS_INTERVAL);
        report_progress(&context, lasts_ms, &mut progress);
    }
    let people = join_thread("visitors", people)?;
    let attack = join_thread("attackers", attackers)?;

    let after = origin_status(run.origin_status)?;
    let zero_ms = before.uptime_ms + LEAD_IN.as_millis() as u64;
    let first_tenth = ((zero_ms + 50) / 100) as usize;
    let origin_by_tenth = after.received_by_tenth.get(first_tenth..).unwrap_or_default();
    let mut samples = people;
    samples.extend(attack.samples);
    samples.sort_by_key(|sample| sample.start_ms);
    let seconds = per_second(lasts_ms, &samples, &context.counters, origin_by_tenth);
    Ok(RunRecording {
        scenario: run.scenario.name.to_owned(),
        seed: run.seed,
        phases: context.phases.clone(),
        started_unix_ms,
        lasts_ms,
        samples,
        seconds,
        tactic_changes: attack.changes,
        held_back: attack.held_back,
        origin_peak_per_second: crate::origin::peak_per_second(origin_by_tenth),
    })
}

/// Calls `progress` with the state of the run now.
fn report_progress(context: &RunContext, lasts_ms: u32, progress: &mut impl FnMut(&Progress<'_>)) {
    let elapsed_ms = context.now_ms().min(lasts_ms);
    let phase = context.phase_at(elapsed_ms.min(lasts_ms.saturating_sub(1)));
    progress(&Progress {
        elapsed_ms,
        total_ms: lasts_ms,
        phase: phase.map_or("", |phase| context.phases[usize::from(phase)].title.as_str()),
        last_second: context.counters.second((elapsed_ms / 1_000).saturating_sub(1) as usize),
    });
}

/// Raises this process's limit of open files to what a run needs, as far as the hard limit allows.
///
/// Called by [`run_scenario`]; call it earlier if child processes should inherit the limit.
pub fn raise_nofile_limit() -> Result<(), DrillError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= NOFILE_NEEDED) {
        return Ok(());
    }
    let too_few = |allowed| DrillError::NofileLimit { allowed, needed: NOFILE_NEEDED };
    if let Some(allowed) = limit.maximum.filter(|&maximum| maximum < NOFILE_NEEDED) {
        return Err(too_few(allowed));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(NOFILE_NEEDED), maximum: limit.maximum })
        .map_err(|_| too_few(limit.current.unwrap_or_default()))
}

pub(crate) fn check_host(host: &str) -> Result<(), DrillError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if (1..=255).contains(&host.len()) && host.chars().all(fits) {
        Ok(())
    } else {
        Err(DrillError::InvalidHost(host.chars().take(80).collect()))
    }
}

/// Whether this machine has the addresses that the visitors come from.
fn check_addresses(target: LoopbackTarget, plan: &Plan) -> Result<(), DrillError> {
    let of_people = plan.visitors.first().map(|visitor| visitor.source);
    let of_attackers = plan
        .attacks
        .first()
        .and_then(|assault| assault.rungs.first().and_then(|rung| rung.sources.first()).copied());
    if target.address().is_ipv4() {
        for address in of_people.into_iter().chain(of_attackers) {
            std::net::TcpListener::bind((address, 0))
                .map_err(|source| DrillError::SourceAddress { address, source })?;
        }
    }
    Ok(())
}

/// Reads the origin's counters.
pub fn origin_status(target: LoopbackTarget) -> Result<DemoOriginStatus, DrillError> {
    let failed = |why: String| DrillError::OriginStatus { target, why };
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&target.address(), STATUS_TIMEOUT)?;
        stream.set_read_timeout(Some(STATUS_TIMEOUT))?;
        stream.set_write_timeout(Some(STATUS_TIMEOUT))?;
        stream.write_all(
            b"GET /origin-status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        let mut answer = String::new();
        // An hour of tenths is well below this.
        stream.take(1024 * 1024).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| failed(error.to_string()))?;
    let body = answer
        .strip_prefix("HTTP/1.1 200 ")
        .and_then(|rest| rest.split_once("\r\n\r\n"))
        .map(|(_, body)| body)
        .ok_or_else(|| failed("it did not answer 200".to_owned()))?;
    serde_json::from_str(body).map_err(|error| failed(error.to_string()))
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

pub(crate) fn spawn_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<std::thread::JoinHandle<std::io::Result<T>>, DrillError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| DrillError::Internal(format!("no thread for the {name}: {error}")))
}

pub(crate) fn join_thread<T>(
    name: &str,
    thread: std::thread::JoinHandle<std::io::Result<T>>,
) -> Result<T, DrillError> {
    match thread.join() {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            Err(DrillError::Internal(format!("no event loop for the {name}: {error}")))
        }
        Err(_) => Err(DrillError::Internal(format!("the {name} thread panicked"))),
    }
}
