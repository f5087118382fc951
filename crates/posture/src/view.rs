//! The state of platforms and procedures, as an operator sees it.

use portcullis_model::{Posture, WallTime};
use serde::Serialize;

/// One platform, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlatformView {
    /// Its name.
    pub name: String,
    /// Its posture.
    pub posture: Posture,
    /// The number of the current wave, if there is one.
    pub wave: Option<u32>,
    /// Requests of the last second: offered.
    pub offered_per_second: u64,
    /// Requests of the last second: forwarded.
    pub forwarded_per_second: u64,
    /// What the baseline expects, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// Activities far over their baseline.
    pub over: Vec<String>,
    /// The evidence of this tick, in words.
    pub evidence: Vec<String>,
    /// How the origin is degraded, in words.
    pub degradation: Option<String>,
    /// Since when the origin has been down.
    pub origin_down_since: Option<WallTime>,
    /// What is engaged.
    pub procedures: Vec<ProcedureView>,
}

/// One engaged procedure, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcedureView {
    /// Its id.
    pub id: u32,
    /// The name of its measure.
    pub measure: &'static str,
    /// The measure in words.
    pub summary: String,
    /// The activity it is limited to.
    pub activity: Option<String>,
    /// Why it was engaged.
    pub reason: String,
    /// When it was engaged.
    pub engaged: WallTime,
    /// Seconds until it ends unless it is renewed.
    pub expires_in_seconds: u64,
    /// Requests it stopped so far.
    pub stopped: u64,
    /// Visitors it delayed so far.
    pub delayed: u64,
    /// Requests with a token that it refused so far.
    pub refused_with_token: u64,
    /// Its estimated collateral.
    pub collateral_per_million: u32,
}
