//! One vector, carried out.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::context::{
    AttackCounters, AttackSettings, Attacker, End, VectorContext, bounded_sleep, error_code_name,
};
use super::gate_counts::GateCounts;
use super::result::{Attempt, AttemptOutcome, VectorResult};
use super::settings::{CONNECTIONS_MAX, SECONDS_MAX, VectorRun};
use super::vector::VectorTransport;
use super::{dial, legit};
use crate::run::{DrillError, check_host, raise_nofile_limit};
use crate::traffic::ANNOUNCED_WAIT_LIMIT;

/// How often one place is opened again after the gate closed it, and the pause before: four times a
/// second for as long as any rehearsal lasts.
const REOPENINGS_MAX: u32 = 4 * SECONDS_MAX;
const REOPEN_DELAY: Duration = Duration::from_millis(250);
/// Visitors begin before the attack and continue after it, so that the first and last waits count
/// too.
const LEAD_IN: Duration = Duration::from_millis(500);
/// How long attackers may take to close their connections after the end.
const CLOSE_GRACE: Duration = Duration::from_secs(6);
/// How long after the last page timeout the end may come.
const VISITOR_GRACE: Duration = Duration::from_secs(2);

/// Runs the vector and returns its result. Blocks until the run ends.
pub fn run_vector(run: &VectorRun) -> Result<VectorResult, DrillError> {
    check_host(&run.host)?;
    let target = run.target;
    if run.vector.transport == VectorTransport::Tls && !target.is_tls() {
        return Err(DrillError::NeedsTls { vector: run.vector.name, target });
    }
    for path in [&run.path, &run.visitor_path] {
        let is_odd = |b: u8| !b.is_ascii_graphic();
        if !path.starts_with('/') || path.len() > 1024 || path.bytes().any(is_odd) {
            return Err(DrillError::InvalidPath(path.chars().take(80).collect()));
        }
    }
    raise_nofile_limit()?;
    if target.address().is_ipv4() {
        for address in [Ipv4Addr::new(127, 66, 0, 1), legit::source(0)] {
            TcpListener::bind((address, 0))
                .map_err(|source| DrillError::SourceAddress { address, source })?;
        }
    }
    TcpStream::connect_timeout(&target.address(), Duration::from_secs(3))
        .map_err(|source| DrillError::Unreachable { target, source })?;
    let before = run.admin.map(GateCounts::read).transpose()?;

    let seconds = run.seconds.clamp(1, SECONDS_MAX);
    let start = Instant::now() + LEAD_IN;
    let end = start + Duration::from_secs(u64::from(seconds));
    let page_timeout = run.page_timeout + ANNOUNCED_WAIT_LIMIT;
    let visitors = {
        let run = run.clone();
        crate::run::spawn_thread("visitors", move || {
            crate::traffic::run_local(
                legit::run_visitors(run, end),
                end + page_timeout + VISITOR_GRACE,
            )
        })?
    };
    let attackers = {
        let run = run.clone();
        crate::run::spawn_thread("attackers", move || {
            crate::traffic::run_local(attack(run, start, end), end + CLOSE_GRACE)
        })?
    };
    let attempt = crate::run::join_thread("attackers", attackers)?
        .unwrap_or_else(|| Err("it did not end in time".to_owned()))
        .map_err(DrillError::Internal)?;
    let service = crate::run::join_thread("visitors", visitors)?
        .unwrap_or_else(|| Err("they did not end in time".to_owned()))
        .map_err(DrillError::Internal)?;
    let grown = match (before, run.admin) {
        (Some(before), Some(admin)) => Some(GateCounts::read(admin)?.since(&before)),
        _ => None,
    };
    Ok(VectorResult::new(run, seconds, attempt, service, grown))
}

/// All attackers, until all have let go.
async fn attack(
    run: VectorRun,
    start: Instant,
    end: Instant,
) -> Option<Result<(Attempt, AttemptOutcome), String>> {
    Some(run_attackers(run, start, end).await)
}

async fn run_attackers(
    run: VectorRun,
    start: Instant,
    end: Instant,
) -> Result<(Attempt, AttemptOutcome), String> {
    let client =
        |protocol: &[u8]| dial::client_config(&[protocol]).map_err(|error| error.to_string());
    let connections = run.connections.clamp(1, CONNECTIONS_MAX);
    let context = Rc::new(VectorContext {
        settings: AttackSettings {
            target: run.target,
            host: run.host.clone(),
            path: run.path.clone(),
            gate_limits: run.gate_limits.clone(),
            sources: run.vector.sources,
        },
        tls: Arc::new(client(b"http/1.1")?),
        tls_http_2: Arc::new(client(b"h2")?),
        end,
        counters: AttackCounters::default(),
    });
    let run = Rc::new(run);
    tokio::time::sleep_until(start).await;
    let mut slots = JoinSet::new();
    for place in 0..connections {
        slots.spawn_local(run_slot(run.clone(), context.clone(), place));
    }
    while slots.join_next().await.is_some() {}
    Ok(collect_counters(&context))
}

/// One place among the connections: opened again when the gate has closed it.
async fn run_slot(run: Rc<VectorRun>, context: Rc<VectorContext>, slot: u32) {
    for attempt in 0..REOPENINGS_MAX {
        if !context.may_continue() {
            return;
        }
        let attacker =
            Attacker { context: context.clone(), slot, attempt, requests: Rc::default() };
        let began = Instant::now();
        let end = (run.vector.attack)(attacker.clone()).await;
        record_end(&run, &context, end, began.elapsed(), attacker.requests.get());
        bounded_sleep(&attacker, REOPEN_DELAY).await;
    }
}

fn record_end(run: &VectorRun, context: &VectorContext, end: End, lasted: Duration, requests: u64) {
    let label = match end {
        End::Held => "open at the end".to_owned(),
        End::Closed => "closed by the gate".to_owned(),
        End::GoAway(code) => format!("GOAWAY {}", error_code_name(code)),
        End::StreamsEnded => "streams ended by the gate".to_owned(),
        End::Finished => "closed by the attacker".to_owned(),
        End::NotOpened => "not opened".to_owned(),
    };
    let counters = &context.counters;
    *counters.ends.borrow_mut().entry(label).or_default() += 1;
    if matches!(end, End::Held | End::Closed | End::GoAway(_) | End::StreamsEnded) {
        counters.longest.set(counters.longest.get().max(lasted));
        if run.max_hold.is_some_and(|most| lasted > most) {
            counters.over_hold_limit.set(counters.over_hold_limit.get() + 1);
        }
    }
    counters.most_requests.set(counters.most_requests.get().max(requests));
    if run.max_requests.is_some_and(|most| requests > most) {
        counters.over_request_limit.set(counters.over_request_limit.get() + 1);
    }
}

fn collect_counters(context: &VectorContext) -> (Attempt, AttemptOutcome) {
    let counters = &context.counters;
    let attempt = Attempt {
        connections: counters.connections.get(),
        requests: counters.requests.get(),
        frames: counters.frames.get(),
        datagrams: counters.datagrams.get(),
        bytes: counters.bytes.get(),
    };
    let outcome = AttemptOutcome {
        ends: counters.ends.take(),
        responses: counters.responses.take(),
        resets: counters.resets.take(),
        longest_ms: counters.longest.get().as_millis() as u64,
        over_hold_limit: counters.over_hold_limit.get(),
        most_requests: counters.most_requests.get(),
        over_request_limit: counters.over_request_limit.get(),
    };
    (attempt, outcome)
}
