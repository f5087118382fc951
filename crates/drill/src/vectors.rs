//! Every known way to exhaust a gate, rehearsed one at a time and bounded, beside honest visitors.
//!
//! [`LIST`] names them. [`rehearse`] carries one out against a [`Target`](crate::Target) and says what was tried, what
//! became of it, and how people fared meanwhile. Connections, requests, frames, bytes and seconds
//! are bounded whatever the target does; nothing is sent to an address that is not this machine.

mod bodies;
mod connections;
mod dial;
mod frames;
mod gate;
mod ground;
mod handshakes;
mod heads;
mod held;
mod honest;
mod http_1;
mod http_2;
mod list;
mod quic;
mod rehearsal;
mod result;
mod site;
mod text;
mod tunnels;

pub use gate::GateCounts;
pub use held::Grants;
pub use list::{LIST, Over, Vector, named};
pub use rehearsal::{CONNECTIONS_MAX, Rehearsal, SECONDS_MAX, rehearse};
pub use result::{Attempt, Fate, Rehearsed, Service};
pub use site::{LARGE_PAGE, Site};
