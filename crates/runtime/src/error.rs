//! Errors of the running gate.

use std::io;
use std::path::PathBuf;

use portcullis_acme::AcmeError;
use portcullis_admin::AdminError;
use portcullis_edge::EdgeError;
use portcullis_ledger::Error as LedgerError;

use crate::config_file::ConfigError;

/// Why the gate cannot start, reload or continue.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A listener or a certificate cannot be used.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The admin listener cannot start.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The settings of `[acme]` cannot be used.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// The ledger cannot be used.
    #[error("cannot use the ledger in {}: {source}", folder.display())]
    Ledger {
        /// Its folder.
        folder: PathBuf,
        /// What is wrong.
        source: LedgerError,
    },
    /// A thread or its runtime cannot be made.
    #[error("cannot start the thread {name}: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel returns no random numbers.
    #[error("cannot get random numbers from the kernel: {0}")]
    Randomness(String),
    /// Signals cannot be received.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// A reload changes what only a restart can change.
    #[error("{0}")]
    NeedsRestart(String),
    /// The control loop did not take over a new configuration.
    #[error("the control loop {0}")]
    Control(&'static str),
    /// Threads ended while the gate ran.
    #[error("threads of the gate have ended: {}. See the log for the cause", .0.join(", "))]
    ThreadsEnded(Vec<String>),
}
