//! What every visitor and attacker of a run shares.

use std::time::Duration;

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

/// The outcome that follows from a status alone.
pub(crate) fn outcome_from_status(status: u16) -> SampleOutcome {
    if (200..300).contains(&status) {
        SampleOutcome::Served
    } else {
        SampleOutcome::Refused { status }
    }
}
