//! The settings of one run of a vector.

use std::time::Duration;

use super::hold_limits::GateLimits;
use super::vector::Vector;
use crate::target::LoopbackTarget;
use crate::traffic::PAGE_TIMEOUT;

/// Connections of one rehearsal at the same time, however many are asked for: both ends in one
/// system come to two thousand descriptors, half of what a drill asks for.
pub const CONNECTIONS_MAX: u32 = 1_024;
/// Seconds of one rehearsal: the longest deadline by default, of silent tunnels, is two minutes, and
/// half of one more shows that it holds.
pub const SECONDS_MAX: u32 = 150;

/// One vector against one gate.
#[derive(Clone, Debug)]
pub struct VectorRun {
    /// Which vector.
    pub vector: &'static Vector,
    /// The gate.
    pub target: LoopbackTarget,
    /// The value of the `Host` field.
    pub host: String,
    /// The page that most attackers ask for.
    pub path: String,
    /// The page that people ask for.
    pub visitor_path: String,
    /// How long they wait for it.
    pub page_timeout: Duration,
    /// Where the gate's operators look, for what it counted.
    pub admin: Option<LoopbackTarget>,
    /// Connections at the same time, at most [`CONNECTIONS_MAX`].
    pub connections: u32,
    /// How long, at most [`SECONDS_MAX`].
    pub seconds: u32,
    /// What the gate's configuration grants.
    pub gate_limits: GateLimits,
    /// For how long a connection may be held, where that is the point.
    pub max_hold: Option<Duration>,
    /// How many requests one connection may make, where that is the point.
    pub max_requests: Option<u64>,
}

impl VectorRun {
    /// A rehearsal with everything as the vector's defaults have it, against a gate that grants this.
    pub fn new(vector: &'static Vector, target: LoopbackTarget, gate_limits: GateLimits) -> Self {
        Self {
            vector,
            target,
            host: "localhost".to_owned(),
            path: "/".to_owned(),
            visitor_path: "/".to_owned(),
            page_timeout: PAGE_TIMEOUT,
            admin: None,
            connections: vector.connections,
            seconds: vector.seconds,
            max_hold: vector.max_hold(&gate_limits),
            max_requests: vector.max_requests(&gate_limits),
            gate_limits,
        }
    }
}
