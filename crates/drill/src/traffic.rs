//! Visitors and attackers: a plan, carried out.
//!
//! Two threads, each with a single-threaded runtime, so that a busy attacker does not make visitors
//! look slow: one for the people, one for the attackers. Every connection goes to the one
//! [`LoopbackTarget`], from a source address within 127.0.0.0/8.

pub(crate) mod attacker;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod slow_headers;
pub(crate) mod visitor;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::plan::Plan;
use crate::recording::{PhaseSpan, RunCounters, Sample, SampleOutcome, TacticChange};
use crate::target::LoopbackTarget;

/// How long a person waits in silence for a page, redirects included, and again for each asset.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a person waits on top of that on pages that say they continue by themselves.
pub const ANNOUNCED_WAIT_LIMIT: Duration = Duration::from_secs(8);

/// What every request needs to know.
pub(crate) struct RunContext {
    pub target: LoopbackTarget,
    pub host: String,
    pub plan: Plan,
    pub counters: RunCounters,
    pub phases: Vec<PhaseSpan>,
    /// The instant to which the plan's offsets are added.
    pub start: Instant,
}

impl RunContext {
    pub(crate) fn instant(&self, at_ms: u32) -> Instant {
        self.start + Duration::from_millis(u64::from(at_ms))
    }

    /// The index of the phase at this offset; `None` after the end.
    pub(crate) fn phase_at(&self, at_ms: u32) -> Option<u16> {
        self.phases.iter().position(|phase| at_ms < phase.to_ms).map(|index| index as u16)
    }

    /// Milliseconds since the start.
    pub(crate) fn now_ms(&self) -> u32 {
        self.start.elapsed().as_millis() as u32
    }
}

/// What the attackers saw of themselves.
#[derive(Debug, Default)]
pub(crate) struct AttackLog {
    pub samples: Vec<Sample>,
    pub changes: Vec<TacticChange>,
    /// Requests that were planned and not sent, because too many were outstanding.
    pub held_back: u64,
}

/// Runs a future on this thread to its end, at most until `limit`.
pub(crate) fn run_local<T: Default>(
    future: impl Future<Output = T>,
    limit: Instant,
) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    Ok(local
        .block_on(&runtime, async { tokio::time::timeout_at(limit, future).await })
        .unwrap_or_default())
}

/// All people, each in a task of their own.
pub(crate) async fn run_visitors(context: Arc<RunContext>) -> Vec<Sample> {
    let visits: Vec<_> = (0..context.plan.visitors.len())
        .map(|number| tokio::task::spawn_local(visitor::run_visit(Arc::clone(&context), number)))
        .collect();
    let mut samples = Vec::new();
    for visit in visits {
        samples.extend(visit.await.unwrap_or_default());
    }
    samples.sort_by_key(|sample| (sample.start_ms, sample.visitor));
    samples
}

/// All attackers, one after another or side by side as planned.
pub(crate) async fn run_attackers(context: Arc<RunContext>) -> AttackLog {
    let attacks: Vec<_> = (0..context.plan.attacks.len())
        .map(|number| tokio::task::spawn_local(attacker::run_attack(Arc::clone(&context), number)))
        .collect();
    let mut log = AttackLog::default();
    for assault in attacks {
        let part = assault.await.unwrap_or_default();
        log.samples.extend(part.samples);
        log.changes.extend(part.changes);
        log.held_back += part.held_back;
    }
    log.samples.sort_by_key(|sample| sample.start_ms);
    log.changes.sort_by_key(|change| change.at_ms);
    log
}

/// The outcome that a status alone stands for.
pub(crate) fn outcome_from_status(status: u16) -> SampleOutcome {
    if (200..300).contains(&status) {
        SampleOutcome::Served
    } else {
        SampleOutcome::Refused { status }
    }
}
