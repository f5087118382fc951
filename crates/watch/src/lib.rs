//! What normal looks like, whether this is a surge or an attack, and what sets the attack apart.
//!
//! [`Watch::observe`] takes every request's record; [`Watch::look`], once a tick, takes the
//! workers' counters and answers with one [`Observation`] per platform. A surge is a matter of
//! rate against the [`Baseline`]; an attack needs evidence of hostility beside it; a
//! [`Candidate`] signature is mined from what the suspects have in common and ordinary requests
//! have not.
//!
//! The watch decides nothing about visitors and engages nothing. It never reads a clock, a
//! socket, a file or a random number; integers decide.

mod baseline;
mod evidence;
mod observation;
mod signature;
mod sources;
mod watch;
mod window;

pub use baseline::Baseline;
pub use observation::{Observation, OriginProblem, OriginStrain, ProcedureCounts, TrafficState};
pub use signature::SignatureCandidate;
pub use sources::SourceSketch;
pub use watch::Watch;
