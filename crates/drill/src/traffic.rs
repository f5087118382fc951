//! Visitors and attackers: a plan, carried out.
//!
//! Two threads, each with a single-threaded runtime, so that a busy attacker does not make visitors
//! look slow: one for the people, one for the attackers. Every connection goes to the one
//! [`Target`], from a source address within 127.0.0.0/8.

pub(crate) mod attacker;
pub(crate) mod browser;
pub(crate) mod caller;
pub(crate) mod slow;
pub(crate) mod visitor;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::plan::Plan;
use crate::recording::{Outcome, PhaseSpan, Sample, TacticChange, Tally};
use crate::target::Target;

/// How long a person waits in silence for a page, redirects included, and again for each asset.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// How long a person waits on top of that on pages that say they continue by themselves.
pub const ANNOUNCED_PATIENCE: Duration = Duration::from_secs(8);

/// What every request needs to know.
pub(crate) struct Ground {
    pub target: Target,
    pub host: String,
    pub plan: Plan,
    pub tally: Tally,
    pub phases: Vec<PhaseSpan>,
    /// The instant to which the plan's offsets are added.
    pub start: Instant,
}

impl Ground {
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
pub(crate) fn run_here<T: Default>(
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
pub(crate) async fn people(ground: Arc<Ground>) -> Vec<Sample> {
    let visits: Vec<_> = (0..ground.plan.visitors.len())
        .map(|number| tokio::task::spawn_local(visitor::visit(Arc::clone(&ground), number)))
        .collect();
    let mut samples = Vec::new();
    for visit in visits {
        samples.extend(visit.await.unwrap_or_default());
    }
    samples.sort_by_key(|sample| (sample.start_ms, sample.visitor));
    samples
}

/// All attackers, one after another or side by side as planned.
pub(crate) async fn attackers(ground: Arc<Ground>) -> AttackLog {
    let assaults: Vec<_> = (0..ground.plan.assaults.len())
        .map(|number| tokio::task::spawn_local(attacker::assault(Arc::clone(&ground), number)))
        .collect();
    let mut log = AttackLog::default();
    for assault in assaults {
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
pub(crate) fn outcome_of(status: u16) -> Outcome {
    if (200..300).contains(&status) { Outcome::Served } else { Outcome::Refused { status } }
}
