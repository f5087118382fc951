//! Visitors and attackers: they carry out a plan.
//!
//! Two threads, each with a single-threaded runtime, so that a busy attacker does not make visitors
//! look slow: one for the people, one for the attackers. Every connection goes to the one
//! [`LoopbackTarget`], from a source address within 127.0.0.0/8.

pub(crate) mod attacker;
pub(crate) mod client;
mod context;
pub(crate) mod slow_headers;
pub(crate) mod visitor;

use std::future::Future;
use std::sync::Arc;

use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::recording::Sample;

pub use context::{ANNOUNCED_WAIT_LIMIT, PAGE_TIMEOUT};
pub(crate) use context::{AttackLog, RunContext};

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

/// Runs all visitors, each in a separate task.
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

/// Runs all attackers, as planned.
pub(crate) async fn run_attackers(context: Arc<RunContext>) -> AttackLog {
    let attacks: Vec<_> = (0..context.plan.attacks.len())
        .map(|number| tokio::task::spawn_local(attacker::run_attack(Arc::clone(&context), number)))
        .collect();
    let mut log = AttackLog::default();
    for attack in attacks {
        let part = attack.await.unwrap_or_default();
        log.samples.extend(part.samples);
        log.changes.extend(part.changes);
        log.held_back += part.held_back;
    }
    log.samples.sort_by_key(|sample| sample.start_ms);
    log.changes.sort_by_key(|change| change.at_ms);
    log
}
