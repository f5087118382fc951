//! What the watch reports about a platform each tick.

use portcullis_model::{ActivityId, Evidence, PlatformId, ProcedureId, WallTime};
use serde::{Deserialize, Serialize};

use crate::signature::SignatureCandidate;

/// What this tick's traffic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficState {
    /// Within the baseline.
    Normal,
    /// Far more than the baseline, without evidence of hostility.
    Surge,
    /// With evidence of hostility.
    Attack,
}

/// How an origin fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginProblem {
    /// More is asked of it than it can do: less would help.
    Saturated,
    /// It answers with errors or not at all: asking less would not help.
    Failing,
}

/// An origin that fails or is overloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginDegradation {
    /// Its kind.
    pub problem: OriginProblem,
    /// In words, with figures.
    pub summary: String,
}

/// A time in which an origin leaves most requests without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginOutage {
    /// When the first of the failures was counted.
    pub since: WallTime,
    /// Requests since then that were not served.
    pub unserved: u64,
    /// Requests since then that were served nevertheless.
    pub served: u64,
    /// The gate's own questions that were not answered, where it asks.
    pub failed_probes: u64,
}

/// What one procedure did since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcedureCounts {
    /// The procedure.
    pub id: ProcedureId,
    /// Requests that it refused or challenged.
    pub stopped: u64,
    /// Challenges that were answered: these visitors got through after all.
    pub answered: u64,
    /// Refused requests that came with a token.
    pub with_token: u64,
}

/// One platform at one tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The platform.
    pub platform: PlatformId,
    /// What this tick's traffic is.
    pub judgement: TrafficState,
    /// Activities that are offered far more than their baseline.
    pub over_baseline: Vec<ActivityId>,
    /// Activities of which too much gets through, by its hostility or by the origin's capacity.
    pub overloading: Vec<ActivityId>,
    /// Connections stalled in their headers, if that is evidence.
    pub stalled_headers: Option<u64>,
    /// When the present surge or stall can first be seen.
    pub onset: Option<WallTime>,
    /// The evidence of this tick.
    pub evidence: Vec<Evidence>,
    /// Requests per second over the last second: offered.
    pub offered_per_second: u64,
    /// Requests per second over the last second: forwarded.
    pub forwarded_per_second: u64,
    /// Requests of this tick that came back with the answer to a challenge.
    pub answered: u64,
    /// Requests per second over the last second: refused or challenged by procedures.
    pub stopped_per_second: u64,
    /// What the baseline expects of all activities together.
    pub baseline_milli: u64,
    /// Whether and how the origin is degraded.
    pub degradation: Option<OriginDegradation>,
    /// The outage of the origin that lasts, with its figures so far.
    pub outage: Option<OriginOutage>,
    /// Whether the gate is to ask the origin itself now.
    pub wants_probe: bool,
    /// What sets the suspects apart, if something does.
    pub candidate: Option<SignatureCandidate>,
    /// What each procedure did since the last look.
    pub procedures: Vec<ProcedureCounts>,
}
