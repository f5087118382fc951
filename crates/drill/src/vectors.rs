//! Every known way to exhaust a gate, rehearsed one at a time and bounded, beside honest visitors.
//!
//! [`VECTORS`] names them. [`run_vector`] carries one out against a [`LoopbackTarget`](crate::LoopbackTarget) and says what was tried, what
//! became of it, and how people fared meanwhile. Connections, requests, frames, bytes and seconds
//! are bounded whatever the target does; nothing is sent to an address that is not this machine.

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
mod site;
mod text;
mod tunnels;
mod vector_run;

pub use gate_counts::GateCounts;
pub use hold_limits::GateLimits;
pub use list::{VECTORS, Vector, VectorTransport, by_name};
pub use result::{Attempt, AttemptOutcome, VectorResult, VisitorStats};
pub use site::{LARGE_PAGE, Site};
pub use vector_run::{CONNECTIONS_MAX, SECONDS_MAX, VectorRun, run_vector};
