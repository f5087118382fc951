//! Named threads that report their end.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use portcullis_admin::GateThread;
use tokio::sync::mpsc::UnboundedSender;

/// How a thread ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitCause {
    /// It returned.
    Returned,
    /// It returned an error.
    Failed(String),
    /// It panicked.
    Panicked(String),
}

impl core::fmt::Display for ExitCause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Returned => f.write_str("it returned early"),
            Self::Failed(error) => f.write_str(error),
            Self::Panicked(message) => write!(f, "it panicked: {message}"),
        }
    }
}

/// The end of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadExit {
    /// Its kind.
    pub thread: GateThread,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub cause: ExitCause,
}

/// Where threads report their end.
pub type ExitSender = UnboundedSender<ThreadExit>;

/// Starts a thread that reports its end to `exits`, by a panic too.
pub fn spawn_reporting(
    thread: GateThread,
    name: String,
    exits: ExitSender,
    run: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.clone()).spawn(move || {
        // The closure and all it owns end here, so nothing broken is used afterwards.
        let cause = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => ExitCause::Returned,
            Ok(Err(error)) => ExitCause::Failed(error),
            Err(payload) => ExitCause::Panicked(panic_message(&*payload)),
        };
        // Without a receiver the process is ending.
        let _ = exits.send(ThreadExit { thread, name, cause });
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    fn end_of(run: impl FnOnce() -> Result<(), String> + Send + 'static) -> ExitCause {
        let (exits, mut ended) = unbounded_channel();
        let handle = spawn_reporting(GateThread::Worker, "worker-0".into(), exits, run).unwrap();
        let exit = ended.blocking_recv().unwrap();
        handle.join().unwrap();
        assert_eq!((exit.thread, &*exit.name), (GateThread::Worker, "worker-0"));
        exit.cause
    }

    #[test]
    fn every_end_is_reported() {
        assert_eq!(end_of(|| Ok(())), ExitCause::Returned);
        assert_eq!(end_of(|| Err("no socket".into())), ExitCause::Failed("no socket".into()));
        assert_eq!(end_of(|| panic!("a {}", "bug")), ExitCause::Panicked("a bug".into()));
    }
}
