//! The health of the gate: which threads run, and whether the control loop ticks.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The control loop ticks four times a second; after this long without a tick the gate is
/// unhealthy.
const TICK_TIMEOUT: Duration = Duration::from_secs(3);

/// A thread that the gate needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateThread {
    /// Serves visitors; there are several.
    Worker,
    /// Engages and releases procedures.
    Control,
    /// Writes the ledger.
    Recorder,
    /// Asks origins whether they answer.
    OriginProbe,
}

impl GateThread {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Worker, Self::Control, Self::Recorder, Self::OriginProbe];

    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Control => "control",
            Self::Recorder => "recorder",
            Self::OriginProbe => "origin-probe",
        }
    }
}

/// Counts threads that ended unexpectedly.
#[derive(Debug)]
pub struct ThreadHealth {
    workers: u64,
    failures: [AtomicU64; GateThread::ALL.len()],
}

impl ThreadHealth {
    /// A gate with this number of workers, all threads running.
    pub fn new(workers: u16) -> Self {
        Self { workers: workers.into(), failures: Default::default() }
    }

    /// Records that a thread ended although the gate was not stopping.
    pub fn record_failure(&self, thread: GateThread) {
        self.failures[thread as usize].fetch_add(1, Relaxed);
    }

    /// Number of threads of this kind that ended unexpectedly.
    pub fn failures(&self, thread: GateThread) -> u64 {
        self.failures[thread as usize].load(Relaxed)
    }

    /// Workers that have not failed.
    pub fn running_workers(&self) -> u64 {
        self.workers.saturating_sub(self.failures(GateThread::Worker))
    }

    /// What is wrong, in a sentence; `None` if the gate is healthy.
    pub fn problem(&self, since_last_tick: Duration) -> Option<String> {
        let failed_workers = self.failures(GateThread::Worker);
        if self.failures(GateThread::Control) > 0 {
            Some("the control loop has ended".into())
        } else if self.failures(GateThread::Recorder) > 0 {
            Some("the recorder has ended: events are lost".into())
        } else if failed_workers > 0 {
            Some(format!("{failed_workers} of {} workers have ended", self.workers))
        } else if self.failures(GateThread::OriginProbe) > 0 {
            Some("the origin probe has ended: an outage without traffic is not noticed".into())
        } else if since_last_tick >= TICK_TIMEOUT {
            Some(format!("the control loop has not ticked for {} s", since_last_tick.as_secs()))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_thread_and_a_late_tick_is_a_problem() {
        let (early, late) = (Duration::from_secs(1), Duration::from_secs(4));
        let health = ThreadHealth::new(4);
        assert_eq!(health.problem(early), None);
        assert!(health.problem(late).unwrap().contains("not ticked for 4 s"));
        health.record_failure(GateThread::Worker);
        assert_eq!(health.running_workers(), 3);
        assert_eq!(health.problem(early).unwrap(), "1 of 4 workers have ended");
        health.record_failure(GateThread::Recorder);
        assert!(health.problem(early).unwrap().contains("recorder"));
        health.record_failure(GateThread::Control);
        assert!(health.problem(early).unwrap().contains("control loop"));
        assert_eq!(GateThread::ALL.map(|thread| health.failures(thread)), [1, 1, 1, 0]);
    }
}
