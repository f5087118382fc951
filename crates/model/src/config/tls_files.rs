//! The files of one certificate.

use std::path::PathBuf;

/// A certificate and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain (PEM), leaf first.
    pub certificate: PathBuf,
    /// The private key (PEM).
    pub key: PathBuf,
}
