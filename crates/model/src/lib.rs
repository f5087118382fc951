//! The words of the glossary as types, and configuration.
//!
//! Every other crate uses these types; none of them decides anything that could be argued
//! about. Start with [`Event`] (what the ledger holds), [`Record`] (what one request leaves
//! behind) and [`Config`] (what an operator writes).
//!
//! This crate never reads a clock, a file, a socket or a random number.

// module order: activity feature path source time verdict
// module order: evidence meter procedure
// module order: counts_by_name
// module order: config event record
// module order: ids

mod activity;
mod config;
mod counts_by_name;
mod event;
mod evidence;
mod feature;
mod ids;
mod meter;
mod path;
mod procedure;
mod record;
mod source;
mod time;
mod verdict;

pub use activity::{ActivityId, Assignment, PlatformId, Tier, WorkerId};
pub use config::*;
pub use event::{
    ActivityTally, Entry, Event, LatencyMillis, LogHead, PlatformFacts, ProcedureFacts, Receipt,
    SourceCount, Subject, Tally, UnassignedTally, WaveFigures,
};
pub use evidence::{Evidence, EvidenceKind, EvidenceWeight};
pub use feature::{FEATURES, Feature, FeatureName, Features};
pub use ids::Ids;
pub use meter::{
    ActivityCounts, Cuts, Gauges, LATENCY_BUCKETS, LatencyHistogram, Meter, Snapshot,
    UnassignedCounts,
};
pub use path::{PathForm, PathProblem, PathRules};
pub use procedure::{
    ChallengeKind, Condition, Cost, Effect, Measure, Posture, Procedure, ProcedureId, Scope,
    Signature, SourceLimits,
};
pub use record::{Record, TokenState};
pub use source::{IpNet, SourceKey};
pub use time::{TICK, Time, WallTime};
pub use verdict::{AttackTechnique, ConnReason, Cut, OriginResult, Outcome, Reason, Verdict};
