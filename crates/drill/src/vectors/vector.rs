//! One vector: a known way to exhaust a gate.

use std::pin::Pin;
use std::time::Duration;

use super::context::{Attacker, End};
use super::hold_limits::{GateLimits, HoldLimit, RequestLimit};

/// What a vector is carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorTransport {
    /// TCP, or HTTP/1.1 with TLS or without, as the target speaks it.
    Either,
    /// The target must speak TLS (and HTTP/2, where the vector is one of HTTP/2).
    Tls,
    /// UDP, on the same port.
    Udp,
}

/// One way to exhaust a gate.
#[derive(Clone, Copy)]
pub struct Vector {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The CVE, RFC or name that it is known by elsewhere.
    pub known_as: &'static str,
    /// What it needs.
    pub transport: VectorTransport,
    /// Connections at the same time, if nothing else is said.
    pub connections: u32,
    /// How long it lasts, if nothing else is said.
    pub seconds: u32,
    /// Lines of `[limits]` that a gate which is started for it has instead of nothing but defaults,
    /// where those would have to be waited for until tomorrow.
    pub limits: &'static str,
    /// For how long one connection may be held with it; `None` where that is not the point.
    pub(super) hold_limit: Option<HoldLimit>,
    /// How often one may ask; `None` where that is not the point.
    pub(super) request_limit: Option<RequestLimit>,
    /// The addresses that it comes from.
    pub(super) sources: u32,
    pub(super) attack: AttackFn,
}

pub(super) type AttackFn = fn(Attacker) -> Pin<Box<dyn Future<Output = End>>>;

impl std::fmt::Debug for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vector").field(&self.name).finish()
    }
}

impl Vector {
    /// For how long one connection may be held with it at most by a gate that grants this; `None`
    /// where holding a connection is not the point.
    pub fn max_hold(&self, gate_limits: &GateLimits) -> Option<Duration> {
        self.hold_limit.map(|held| held(gate_limits))
    }

    /// How many requests one connection may make at most; `None` where that is not the point.
    pub fn max_requests(&self, gate_limits: &GateLimits) -> Option<u64> {
        self.request_limit.map(|asked| asked(gate_limits))
    }

    /// Whether it is about pages that are read slowly: then the page must be a large one.
    pub fn needs_large_page(&self) -> bool {
        matches!(self.name, "slow-read" | "window-drip" | "zero-window")
    }
}
