//! The result of a vector's run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::gate_counts::GateCounts;
use super::settings::VectorRun;

/// The share of visitors' requests that must be served, in percent.
const SERVED_MIN_PERCENT: u64 = 99;

/// What the attackers sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Connections opened, one after another.
    pub connections: u64,
    /// Requests sent or begun.
    pub requests: u64,
    /// HTTP/2 frames sent.
    pub frames: u64,
    /// QUIC datagrams sent.
    pub datagrams: u64,
    /// Bytes sent, before encryption.
    pub bytes: u64,
}

/// The outcome of the attack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttemptOutcome {
    /// Connections by how they ended.
    pub ends: BTreeMap<String, u64>,
    /// Answers by status (or by kind, where they have none).
    pub responses: BTreeMap<String, u64>,
    /// Streams that the gate reset, by code.
    pub resets: BTreeMap<String, u64>,
    /// How long the longest connection lasted, in milliseconds.
    pub longest_ms: u64,
    /// Connections that were held for longer than allowed.
    pub over_hold_limit: u64,
    /// Requests of the connection that made most.
    pub most_requests: u64,
    /// Connections that made more requests than allowed.
    pub over_request_limit: u64,
}

/// The service that visitors received meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VisitorStats {
    /// Pages requested.
    pub requested: u64,
    /// Pages received, below status 400, within the page timeout.
    pub served: u64,
    /// Pages that failed, by cause.
    pub failed: BTreeMap<String, u64>,
    /// How long half of the served waited at most, in milliseconds.
    pub median_ms: u64,
    /// How long 99 of a hundred waited at most, in milliseconds.
    pub p99_ms: u64,
    #[serde(skip)]
    waits: Vec<Duration>,
}

impl VisitorStats {
    pub(super) fn record(&mut self, result: Result<u16, &'static str>, wait: Duration) {
        self.requested += 1;
        let why = match result {
            Ok(status) if status < 400 => {
                self.served += 1;
                self.waits.push(wait);
                return;
            }
            Ok(status) => format!("status {status}"),
            Err(why) => why.to_owned(),
        };
        *self.failed.entry(why).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.requested += other.requested;
        self.served += other.served;
        for (why, n) in other.failed {
            *self.failed.entry(why).or_default() += n;
        }
        self.waits.extend(other.waits);
    }

    pub(super) fn finish(&mut self) {
        self.waits.sort_unstable();
        let at = |part: usize| {
            let last = self.waits.len().checked_sub(1)?;
            Some(self.waits[last * part / 100].as_millis() as u64)
        };
        (self.median_ms, self.p99_ms) = (at(50).unwrap_or(0), at(99).unwrap_or(0));
    }

    fn is_acceptable(&self) -> bool {
        self.requested > 0 && self.served * 100 >= self.requested * SERVED_MIN_PERCENT
    }
}

/// The result of one vector's run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VectorResult {
    /// The vector's name.
    pub vector: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it is known by elsewhere.
    pub known_as: &'static str,
    /// The gate.
    pub target: String,
    /// How long it lasted.
    pub seconds: u32,
    /// What the attackers sent.
    pub attempted: Attempt,
    /// The outcome.
    pub outcome: AttemptOutcome,
    /// For how long a connection may be held, in milliseconds, where that is the point.
    pub max_hold_ms: Option<u64>,
    /// How many requests one connection may make, where that is the point.
    pub max_requests: Option<u64>,
    /// The service that visitors received.
    pub visitors: VisitorStats,
    /// What the gate counted, if it was asked.
    pub gate: Option<GateCounts>,
    /// Whether people were served and nothing was held for too long.
    pub withstood: bool,
    /// The same in a sentence.
    pub verdict: String,
}

impl VectorResult {
    pub(super) fn new(
        run: &VectorRun,
        seconds: u32,
        (attempted, outcome): (Attempt, AttemptOutcome),
        visitors: VisitorStats,
        gate: Option<GateCounts>,
    ) -> Self {
        let allowed = run.max_hold;
        let mut failures = Vec::new();
        if !visitors.is_acceptable() {
            failures.push(format!(
                "only {} of {} pages of legitimate visitors were served within {} s",
                visitors.served,
                visitors.requested,
                run.page_timeout.as_secs()
            ));
        }
        if let Some(allowed) = allowed.filter(|_| outcome.over_hold_limit > 0) {
            failures.push(format!(
                "{} connections were held for longer than {} s (the longest for {} s)",
                outcome.over_hold_limit,
                allowed.as_secs_f64(),
                outcome.longest_ms as f64 / 1000.0
            ));
        }
        if let Some(allowed) = run.max_requests.filter(|_| outcome.over_request_limit > 0) {
            failures.push(format!(
                "{} connections made more than {allowed} requests (the most {})",
                outcome.over_request_limit, outcome.most_requests
            ));
        }
        let verdict = if failures.is_empty() {
            let unseen = untested_limit(run, seconds, &outcome).unwrap_or_default();
            format!(
                "withstood: {} of {} pages of legitimate visitors were served{unseen}",
                visitors.served, visitors.requested
            )
        } else {
            format!("not withstood: {}", failures.join(", and "))
        };
        Self {
            vector: run.vector.name,
            about: run.vector.about,
            known_as: run.vector.known_as,
            target: run.target.to_string(),
            seconds,
            attempted,
            outcome,
            max_hold_ms: allowed.map(|allowed| allowed.as_millis() as u64),
            max_requests: run.max_requests,
            visitors,
            gate,
            withstood: failures.is_empty(),
            verdict,
        }
    }
}

/// The limit that the run did not test, for the verdict.
fn untested_limit(run: &VectorRun, seconds: u32, outcome: &AttemptOutcome) -> Option<String> {
    let lasted = Duration::from_secs(u64::from(seconds));
    if let Some(allowed) = run.max_hold.filter(|allowed| *allowed >= lasted) {
        let allowed = allowed.as_secs_f64();
        return Some(format!(
            "; the run was shorter than the hold limit of {allowed} s, so the limit was not tested"
        ));
    }
    let allowed = run.max_requests.filter(|allowed| outcome.most_requests < *allowed / 2)?;
    Some(format!(
        "; no connection came near the limit of {allowed} requests, so the limit was not tested"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::LoopbackTarget;
    use crate::vectors::{GateLimits, by_name};

    #[test]
    fn the_verdict_names_an_untested_limit() {
        let target = LoopbackTarget::parse("127.0.0.1:8080").unwrap();
        let verdict = |name: &str, seconds, most_requests| {
            let run = VectorRun::new(by_name(name).unwrap(), target, GateLimits::default());
            let outcome = AttemptOutcome { most_requests, ..AttemptOutcome::default() };
            let visitors = VisitorStats { requested: 1, served: 1, ..VisitorStats::default() };
            VectorResult::new(&run, seconds, (Attempt::default(), outcome), visitors, None).verdict
        };
        assert!(verdict("long-lived", 40, 0).contains("shorter than the hold limit"));
        assert!(verdict("slow-body", 10, 0).contains("shorter than the hold limit"));
        assert!(
            verdict("endless-requests", 10, 200)
                .contains("no connection came near the limit of 10000")
        );
        for (name, seconds, asked) in [("slow-body", 45, 0), ("endless-requests", 10, 10_000)] {
            let verdict = verdict(name, seconds, asked);
            assert!(verdict.ends_with("were served"), "{verdict}");
        }
    }
}
