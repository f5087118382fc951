//! The settings of one run of a vector.

use std::time::Duration;

use super::hold_limits::GateLimits;
use super::vector::Vector;
use crate::target::LoopbackTarget;
use crate::traffic::PAGE_TIMEOUT;

/// The most concurrent connections of one run: both ends on one machine use two thousand file
/// descriptors, half of what a drill needs.
pub const CONNECTIONS_MAX: u32 = 1_024;
/// The longest run in seconds: the longest default timeout, of silent tunnels, is two minutes, and
/// half a minute more shows that it holds.
pub const SECONDS_MAX: u32 = 150;

/// One vector against one gate.
#[derive(Clone, Debug)]
pub struct VectorRun {
    /// The vector.
    pub vector: &'static Vector,
    /// The gate.
    pub target: LoopbackTarget,
    /// The value of the `Host` field.
    pub host: String,
    /// The page that most attackers request.
    pub path: String,
    /// The page that visitors request.
    pub visitor_path: String,
    /// How long they wait for it.
    pub page_timeout: Duration,
    /// The gate's admin listener, to read its counters.
    pub admin: Option<LoopbackTarget>,
    /// Connections at the same time, at most [`CONNECTIONS_MAX`].
    pub connections: u32,
    /// How long, at most [`SECONDS_MAX`].
    pub seconds: u32,
    /// The limits of the gate's configuration.
    pub gate_limits: GateLimits,
    /// How long a connection may be held, for vectors that hold connections.
    pub max_hold: Option<Duration>,
    /// How many requests one connection may make, for vectors that test this limit.
    pub max_requests: Option<u64>,
}

impl VectorRun {
    /// A run with the vector's defaults, against a gate with these limits.
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
