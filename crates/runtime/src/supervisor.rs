//! The supervisor: logs and counts threads that end, and decides whether the gate can continue.

use std::sync::Arc;

use portcullis_admin::{GateThread, ThreadHealth};
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::error;

use crate::threads::{ExitCause, ThreadExit};

/// Watches the threads of the gate.
#[derive(Debug)]
pub struct Supervisor {
    exits: UnboundedReceiver<ThreadExit>,
    health: Arc<ThreadHealth>,
    failed: Vec<String>,
}

impl Supervisor {
    /// Watches the threads that report to `exits`.
    pub fn new(exits: UnboundedReceiver<ThreadExit>, health: Arc<ThreadHealth>) -> Self {
        Self { exits, health, failed: Vec::new() }
    }

    /// Waits until the gate cannot continue: until no worker runs.
    ///
    /// Without the control loop or the recorder requests are still served. Cancel safe.
    pub async fn wait_until_unable(&mut self) {
        while self.health.running_workers() > 0 {
            // The gate holds a sender, so the channel stays open.
            let Some(exit) = self.exits.recv().await else { return };
            self.record_failure(exit);
        }
    }

    /// The threads that failed before or during the stop; a return is no failure during the stop.
    pub fn into_failed(mut self) -> Vec<String> {
        while let Ok(exit) = self.exits.try_recv() {
            if exit.cause != ExitCause::Returned {
                self.record_failure(exit);
            }
        }
        self.failed
    }

    fn record_failure(&mut self, exit: ThreadExit) {
        let ThreadExit { thread, name, cause } = exit;
        // It returns only when it is asked to: at a handover.
        if thread == GateThread::Recorder && cause == ExitCause::Returned {
            return;
        }
        self.health.record_failure(thread);
        let effect = match thread {
            GateThread::Worker => "its connections are lost",
            GateThread::Control => "procedures are no longer engaged or released",
            GateThread::Recorder => "events are lost",
            GateThread::OriginProbe => "an outage without traffic is not noticed",
        };
        error!(thread = name, %cause, effect, "a thread has ended");
        self.failed.push(name);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;

    fn supervise(workers: u16) -> (UnboundedSender<ThreadExit>, Supervisor, Arc<ThreadHealth>) {
        let (exits, ended) = unbounded_channel();
        let health = Arc::new(ThreadHealth::new(workers));
        (exits, Supervisor::new(ended, Arc::clone(&health)), health)
    }

    fn exit(thread: GateThread, name: &str, cause: ExitCause) -> ThreadExit {
        ThreadExit { thread, name: name.into(), cause }
    }

    async fn can_continue(supervisor: &mut Supervisor) -> bool {
        let wait = supervisor.wait_until_unable();
        tokio::time::timeout(Duration::from_millis(20), wait).await.is_err()
    }

    #[tokio::test]
    async fn the_gate_continues_until_no_worker_runs() {
        let (exits, mut supervisor, health) = supervise(2);
        let panicked = || ExitCause::Panicked("a bug".into());
        exits.send(exit(GateThread::Control, "control", panicked())).unwrap();
        exits.send(exit(GateThread::Recorder, "recorder", ExitCause::Returned)).unwrap();
        exits.send(exit(GateThread::Recorder, "recorder", panicked())).unwrap();
        exits.send(exit(GateThread::Worker, "worker-0", panicked())).unwrap();
        assert!(can_continue(&mut supervisor).await);
        assert_eq!(GateThread::ALL.map(|thread| health.failures(thread)), [1, 1, 1, 0]);
        exits.send(exit(GateThread::Worker, "worker-1", ExitCause::Returned)).unwrap();
        assert!(!can_continue(&mut supervisor).await);
        assert_eq!(supervisor.into_failed(), ["control", "recorder", "worker-0", "worker-1"]);
    }

    #[tokio::test]
    async fn a_thread_that_returns_during_the_stop_has_not_failed() {
        let (exits, supervisor, health) = supervise(2);
        exits.send(exit(GateThread::Worker, "worker-0", ExitCause::Returned)).unwrap();
        exits.send(exit(GateThread::Worker, "worker-1", ExitCause::Failed("x".into()))).unwrap();
        assert_eq!(supervisor.into_failed(), ["worker-1"]);
        assert_eq!(health.failures(GateThread::Worker), 1);
    }
}
