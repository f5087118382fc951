//! Certificates that the gate obtains and renews automatically (ACME, RFC 8555).
//!
//! [`run`] is the entry point. It never stops the gate, and it replaces a certificate only by a valid
//! one. [`schedule`] computes the times of renewals and retries, without clock and randomness.
//! [`store`] has the files that survive a restart.

// module order: error schedule sinks
// module order: client store
// module order: account order
// module order: renewer

mod account;
mod client;
mod error;
mod order;
mod renewer;
pub mod schedule;
mod sinks;
pub mod store;

use portcullis_model::AcmeConfig;

pub use error::AcmeError;
pub use renewer::{AcmeStatus, HostStatus, run};
pub use sinks::CertSinks;

/// Checks that the files named in the configuration are usable, without contacting the authority.
pub fn check(config: &AcmeConfig) -> Result<(), AcmeError> {
    client::BoundedHttpClient::new(config.root.as_deref()).map(|_| ())
}

/// Checks the configuration, and creates the folder and the placeholder certificate.
pub fn prepare(config: &AcmeConfig) -> Result<(), AcmeError> {
    check(config)?;
    store::Store::open(config)?;
    store::create_placeholder(config)
}
