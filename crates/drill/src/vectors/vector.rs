//! One vector: a known way to exhaust a gate.

use std::pin::Pin;
use std::time::Duration;

use super::context::{Attacker, End};
use super::hold_limits::{GateLimits, HoldLimit, RequestLimit};

/// The transport of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorTransport {
    /// TCP, or HTTP/1.1 with TLS or without, as the target uses it.
    Either,
    /// The target must use TLS (and HTTP/2, where the vector is one of HTTP/2).
    Tls,
    /// UDP, on the same port.
    Udp,
}

/// One way to exhaust a gate.
#[derive(Clone, Copy)]
pub struct Vector {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its description, in one line.
    pub about: &'static str,
    /// Its CVE, RFC or common name.
    pub known_as: &'static str,
    /// The transport it needs.
    pub transport: VectorTransport,
    /// Default number of concurrent connections.
    pub connections: u32,
    /// Default duration in seconds.
    pub seconds: u32,
    /// Lines of `[limits]` for a gate that is started for it, where the default timeouts are too
    /// long for a run.
    pub limits: &'static str,
    /// How long one connection may be held; `None` for vectors that do not hold connections.
    pub(super) hold_limit: Option<HoldLimit>,
    /// How many requests one connection may make; `None` for vectors that do not test this limit.
    pub(super) request_limit: Option<RequestLimit>,
    /// The number of source addresses.
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
    /// How long a gate with these limits may hold one connection; `None` for vectors that do not
    /// hold connections.
    pub fn max_hold(&self, gate_limits: &GateLimits) -> Option<Duration> {
        self.hold_limit.map(|held| held(gate_limits))
    }

    /// How many requests one connection may make; `None` for vectors that do not test this limit.
    pub fn max_requests(&self, gate_limits: &GateLimits) -> Option<u64> {
        self.request_limit.map(|asked| asked(gate_limits))
    }

    /// Whether it reads a page slowly: then the page must be large.
    pub fn needs_large_page(&self) -> bool {
        matches!(self.name, "slow-read" | "window-drip" | "zero-window")
    }
}
