//! Baselines, surges, evidence of attacks, and signatures of their senders.
//!
//! [`Watch::observe`] takes the record of every request. [`Watch::evaluate`], once a tick, takes
//! the workers' counters and returns one [`Observation`] per platform. A surge is a rate far above
//! the [`Baseline`]. An attack needs evidence of hostility as well. A [`SignatureCandidate`] is
//! derived from features that suspects share and ordinary requests lack.
//!
//! The watch decides nothing about visitors and engages nothing. It never reads a clock, a
//! socket, a file or a random number; integers decide.

// module order: answer_window bursts sources surprise visitors window
// module order: baseline evidence signature
// module order: observation
// module order: origin_health
// module order: rate_windows
// module order: calm_mix
// module order: composition creeping
// module order: activity_watch
// module order: platform_watch rate_watch
// module order: watch

mod activity_watch;
mod answer_window;
mod baseline;
mod bursts;
mod calm_mix;
mod composition;
mod creeping;
mod evidence;
mod observation;
mod origin_health;
mod platform_watch;
mod rate_watch;
mod rate_windows;
mod signature;
mod sources;
mod surprise;
mod visitors;
mod watch;
mod window;

pub use baseline::Baseline;
pub use observation::{
    Observation, OriginDegradation, OriginOutage, OriginProblem, ProcedureCounts, TrafficState,
};
pub use origin_health::OriginRecord;
pub use rate_watch::RateWatch;
pub use signature::SignatureCandidate;
pub use sources::SourceSketch;
pub use watch::Watch;
