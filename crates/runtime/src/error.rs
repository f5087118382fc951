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
    /// The ledger is not the continuation of the one that was last seen here.
    #[error(
        "the ledger in {} is not the one that this gate last wrote: {reason} If that is meant, start once \
         with --accept-fork; the ledger then records it", folder.display()
    )]
    Fork {
        /// Its folder.
        folder: PathBuf,
        /// What is different, in a sentence.
        reason: String,
    },
    /// The access log cannot be written.
    #[error("cannot write the access log {}: {source}", file.display())]
    AccessLog {
        /// Its file.
        file: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The gate that runs does not hand over.
    #[error(
        "another gate runs with this ledger and does not hand over: {0}. It continues. To replace it all \
         the same, stop it first"
    )]
    TakeOver(String),
    /// The gate cannot change to the configured user.
    #[error("cannot run as the user {name}: {problem}")]
    User {
        /// The user's name.
        name: String,
        /// What failed.
        problem: String,
    },
    /// The file with the secret cannot be used.
    #[error(
        "cannot use the secret in {}: {problem}. Remove the file to draw a new one: visitors who passed a \
         challenge are then challenged again", path.display()
    )]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
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
