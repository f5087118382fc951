//! The per-request decision.
//!
//! [`decide`] takes everything it depends on — the [`Policy`], the [`Tables`], one [`Request`] and
//! the time — and returns a small [`Decision`]. It runs on every request of every worker, so it
//! takes no lock and allocates nothing for what it refuses.
//!
//! This crate never reads a clock, a socket, a file or a random number: the same code decides in
//! the running gate, a drill, a replay and the simulation.

mod decide;
mod feature_names;
mod policy;
mod request;
mod secret;
mod table;
mod token;

pub use decide::{Decision, Disposition, decide};
pub use feature_names::FeatureNameCache;
pub use policy::Policy;
pub use request::{Fields, Request};
pub use secret::Secret;
pub use table::{Bucket, RequestWeight, Tables, TakeResult};
pub use token::{COOKIE, TOKEN_PARAM, strip_token_param};
