//! Errors at the start. Each variant's text includes how to fix it.

use core::net::SocketAddr;
use std::io;
use std::path::PathBuf;

/// Why a listener or a certificate could not be used.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}. Is another program using the port, or does the \
         address belong to another machine? Ports below 1024 need the right to bind them."
    )]
    Listen {
        /// The address from the configuration.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
    /// A certificate or key file cannot be read.
    #[error("cannot read {}: {source}. Check the path and that this user may read it.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} {problem}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        problem: String,
    },
    /// Certificate and key do not work together.
    #[error(
        "the certificate {} and the key {} do not work together: {problem}. The key must be the \
         one that the certificate was issued for.",
        certificate.display(),
        key.display()
    )]
    Mismatch {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// The error of rustls.
        problem: String,
    },
    /// The TLS library could not be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// A worker's runtime or thread cannot be made.
    #[error("cannot start a worker: {0}. No thread or file descriptor is available.")]
    Worker(io::Error),
}
