//! Certificates that the gate gets by itself and renews (ACME, RFC 8555).
//!
//! [`keep`] is the entry point: it never ends, never stops the gate, and changes what visitors are
//! shown only by putting a good certificate in the place of another. [`schedule`] says when; it
//! knows neither clock nor chance. [`store`] is what outlives a restart.

mod account;
mod client;
mod error;
mod keeper;
mod order;
pub mod schedule;
pub mod store;

use portcullis_model::AcmeConfig;

pub use error::AcmeError;
pub use keeper::{Doors, HostStanding, Standing, keep};

/// Sees whether what the configuration names can be used, without asking anybody.
pub fn examine(config: &AcmeConfig) -> Result<(), AcmeError> {
    client::Bounded::new(config.root.as_deref()).map(|_| ())
}

/// Examines, and makes the folder and what is shown for the time being.
pub fn prepare(config: &AcmeConfig) -> Result<(), AcmeError> {
    examine(config)?;
    store::Store::open(config)?;
    store::make_stand_in(config)
}
