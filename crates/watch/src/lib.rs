//! Baselines, surges, evidence of attacks, and signatures of their senders.
//!
//! [`Watch::observe`] takes the record of every request. [`Watch::evaluate`], once a tick, takes
//! the workers' counters and returns one [`Observation`] per platform. A surge is a rate far above
//! the [`Baseline`]. An attack needs evidence of hostility as well. A [`SignatureCandidate`] is
//! derived from features that suspects share and ordinary requests lack.
//!
//! The watch decides nothing about visitors and engages nothing. It never reads a clock, a
//! socket, a file or a random number; integers decide.

mod answer_window;
mod baseline;
mod evidence;
mod observation;
mod origin_health;
mod signature;
mod sources;
mod watch;
mod window;

pub use baseline::Baseline;
pub use observation::{
    Observation, OriginDegradation, OriginOutage, OriginProblem, ProcedureCounts, TrafficState,
};
pub use signature::SignatureCandidate;
pub use sources::SourceSketch;
pub use watch::Watch;
