//! Known denial-of-service attacks, run one at a time and bounded, with legitimate visitors.
//!
//! [`VECTORS`] lists them. [`run_vector`] runs one against a
//! [`LoopbackTarget`](crate::LoopbackTarget) and reports what was sent, the outcome, and whether
//! visitors were served meanwhile. Connections, requests, frames, bytes and seconds
//! are bounded, independent of the target; nothing is sent to an address that is not this machine.

// module order: dial frames gate_counts hold_limits site
// module order: context
// module order: http_1 http_2 quic vector
// module order: connections handshakes settings
// module order: heads result
// module order: bodies legit text tunnels
// module order: list vector_run

mod bodies;
mod connections;
mod context;
mod dial;
mod frames;
mod gate_counts;
mod handshakes;
mod heads;
mod hold_limits;
mod http_1;
mod http_2;
mod legit;
mod list;
mod quic;
mod result;
mod settings;
mod site;
mod text;
mod tunnels;
mod vector;
mod vector_run;

pub use gate_counts::GateCounts;
pub use hold_limits::GateLimits;
pub use list::{VECTORS, by_name};
pub use result::{Attempt, AttemptOutcome, VectorResult, VisitorStats};
pub use settings::{CONNECTIONS_MAX, SECONDS_MAX, VectorRun};
pub use site::{LARGE_PAGE, Site};
pub use vector::{Vector, VectorTransport};
pub use vector_run::run_vector;
