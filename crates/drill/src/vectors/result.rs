//! What came of a rehearsal.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::gate::GateCounts;
use super::rehearsal::Rehearsal;

/// Honest requests that must have been served, in a hundred.
const FLOOR_PERCENT: u64 = 99;

/// What was tried.
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

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// Connections by how they ended.
    pub ends: BTreeMap<String, u64>,
    /// Answers by status (or by kind, where they have none).
    pub answers: BTreeMap<String, u64>,
    /// Streams that the gate reset, by code.
    pub resets: BTreeMap<String, u64>,
    /// How long the longest connection lasted, in milliseconds.
    pub longest_ms: u64,
    /// Connections that were held for longer than allowed.
    pub held_too_long: u64,
    /// Requests of the connection that made most.
    pub most_asked: u64,
    /// Connections that made more requests than allowed.
    pub asked_too_often: u64,
}

/// How people fared meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Pages that were asked for.
    pub asked: u64,
    /// Pages that came, below status 400, within a person's patience.
    pub served: u64,
    /// Pages that did not, by why.
    pub failed: BTreeMap<String, u64>,
    /// How long half of the served waited at most, in milliseconds.
    pub median_ms: u64,
    /// How long 99 of a hundred waited at most, in milliseconds.
    pub p99_ms: u64,
    #[serde(skip)]
    waits: Vec<Duration>,
}

impl Service {
    pub(super) fn saw(&mut self, answer: Result<u16, &'static str>, wait: Duration) {
        self.asked += 1;
        let why = match answer {
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

    pub(super) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.served += other.served;
        for (why, n) in other.failed {
            *self.failed.entry(why).or_default() += n;
        }
        self.waits.extend(other.waits);
    }

    pub(super) fn settle(&mut self) {
        self.waits.sort_unstable();
        let at = |part: usize| {
            let last = self.waits.len().checked_sub(1)?;
            Some(self.waits[last * part / 100].as_millis() as u64)
        };
        (self.median_ms, self.p99_ms) = (at(50).unwrap_or(0), at(99).unwrap_or(0));
    }

    fn is_well(&self) -> bool {
        self.asked > 0 && self.served * 100 >= self.asked * FLOOR_PERCENT
    }
}

/// A rehearsal's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rehearsed {
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
    /// What was tried.
    pub tried: Attempt,
    /// What became of it.
    pub fate: Fate,
    /// For how long a connection may be held, in milliseconds, where that is the point.
    pub held_at_most_ms: Option<u64>,
    /// How many requests one connection may make, where that is the point.
    pub asked_at_most: Option<u64>,
    /// How people fared.
    pub visitors: Service,
    /// What the gate counted, if it was asked.
    pub gate: Option<GateCounts>,
    /// Whether people were served and nothing was held for too long.
    pub withstood: bool,
    /// The same in a sentence.
    pub verdict: String,
}

impl Rehearsed {
    pub(super) fn new(
        rehearsal: &Rehearsal,
        seconds: u32,
        (tried, fate): (Attempt, Fate),
        visitors: Service,
        gate: Option<GateCounts>,
    ) -> Self {
        let allowed = rehearsal.held_at_most;
        let mut faults = Vec::new();
        if !visitors.is_well() {
            faults.push(format!(
                "only {} of {} pages of honest visitors were served within {} s",
                visitors.served,
                visitors.asked,
                rehearsal.patience.as_secs()
            ));
        }
        if let Some(allowed) = allowed.filter(|_| fate.held_too_long > 0) {
            faults.push(format!(
                "{} connections were held for longer than {} s (the longest for {} s)",
                fate.held_too_long,
                allowed.as_secs_f64(),
                fate.longest_ms as f64 / 1000.0
            ));
        }
        if let Some(allowed) = rehearsal.asked_at_most.filter(|_| fate.asked_too_often > 0) {
            faults.push(format!(
                "{} connections made more than {allowed} requests (the most {})",
                fate.asked_too_often, fate.most_asked
            ));
        }
        let verdict = if faults.is_empty() {
            let unseen = unseen(rehearsal, seconds, &fate).unwrap_or_default();
            format!(
                "withstood: {} of {} pages of honest visitors were served{unseen}",
                visitors.served, visitors.asked
            )
        } else {
            format!("not withstood: {}", faults.join(", and "))
        };
        Self {
            vector: rehearsal.vector.name,
            about: rehearsal.vector.about,
            known_as: rehearsal.vector.known_as,
            target: rehearsal.target.to_string(),
            seconds,
            tried,
            fate,
            held_at_most_ms: allowed.map(|allowed| allowed.as_millis() as u64),
            asked_at_most: rehearsal.asked_at_most,
            visitors,
            gate,
            withstood: faults.is_empty(),
            verdict,
        }
    }
}

/// What a rehearsal was too short to see, which nobody should take for seen.
fn unseen(rehearsal: &Rehearsal, seconds: u32, fate: &Fate) -> Option<String> {
    let lasted = Duration::from_secs(u64::from(seconds));
    if let Some(allowed) = rehearsal.held_at_most.filter(|allowed| *allowed >= lasted) {
        let allowed = allowed.as_secs_f64();
        return Some(format!(
            "; it was too short to see connections end, for which {allowed} s are allowed"
        ));
    }
    let allowed = rehearsal.asked_at_most.filter(|allowed| fate.most_asked < *allowed / 2)?;
    Some(format!("; nobody came near the {allowed} requests that one connection may make"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;
    use crate::vectors::{Grants, named};

    #[test]
    fn what_was_too_short_to_be_seen_is_said_to_be() {
        let target = Target::parse("127.0.0.1:8080").unwrap();
        let verdict = |name: &str, seconds, most_asked| {
            let rehearsal = Rehearsal::new(named(name).unwrap(), target, Grants::default());
            let fate = Fate { most_asked, ..Fate::default() };
            let visitors = Service { asked: 1, served: 1, ..Service::default() };
            Rehearsed::new(&rehearsal, seconds, (Attempt::default(), fate), visitors, None).verdict
        };
        assert!(verdict("long-lived", 40, 0).contains("too short to see"));
        assert!(verdict("slow-body", 10, 0).contains("too short to see"));
        assert!(verdict("endless-requests", 10, 200).contains("nobody came near the 10000"));
        for (name, seconds, asked) in [("slow-body", 45, 0), ("endless-requests", 10, 10_000)] {
            let verdict = verdict(name, seconds, asked);
            assert!(verdict.ends_with("were served"), "{verdict}");
        }
    }
}
