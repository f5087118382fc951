//! Whom the gate would have hit.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use portcullis_model::{ActivityId, Reason, SourceKey};
use portcullis_watch::SourceSketch;
use serde::Serialize;

use crate::space_saving::{Ranked, SpaceSaving};

/// Lines of each ranking.
const RANKS: usize = 10;

/// What would have become of the recorded requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// Sent to the origin immediately.
    pub forwarded: u64,
    /// Sent to the origin after a challenge: a round trip or a short wait later.
    pub delayed: u64,
    /// Refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Of the delayed and of those that limits and procedures refused: requests by visitors who
    /// had been served in calm time, at least a minute before.
    pub from_known_visitors: u64,
    /// Visitors (a source and its user agent) who would have been delayed, about.
    pub visitors_delayed: u64,
    /// Visitors whom limits or procedures would have refused at least once, about.
    pub visitors_refused: u64,
    /// Sources whom limits or procedures would have refused at least once, about.
    pub sources_refused: u64,
    /// Activities with anybody delayed or refused, most affected first.
    pub activities: Vec<ActivityImpact>,
    /// User agents of delayed and refused requests, most affected first.
    pub user_agents: Vec<Ranked>,
    /// Paths of delayed and refused requests, most affected first.
    pub paths: Vec<Ranked>,
}

impl Impact {
    /// Requests that limits or procedures would have refused.
    pub fn refused_by_procedures(&self) -> u64 {
        let hits = Reason::ALL.iter().filter(|reason| is_hit(**reason));
        hits.filter_map(|reason| self.refused.get(reason.as_str())).sum()
    }

    /// Requests that would have been delayed, or refused by limits or procedures.
    pub fn hit_requests(&self) -> u64 {
        self.delayed + self.refused_by_procedures()
    }
}

/// One activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActivityImpact {
    /// The platform.
    pub platform: String,
    /// Its name.
    pub name: String,
    /// Requests for it.
    pub offered: u64,
    /// Delayed.
    pub delayed: u64,
    /// Refused by limits or procedures.
    pub refused: u64,
}

/// The outcome of one recorded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplayOutcome {
    Forwarded,
    Delayed,
    Refused(Reason),
}

impl ReplayOutcome {
    /// Whether limits or procedures did something to it.
    pub(crate) fn is_hit(self) -> bool {
        match self {
            Self::Forwarded => false,
            Self::Delayed => true,
            Self::Refused(reason) => is_hit(reason),
        }
    }
}

/// Refusals that limits and procedures cause; the others refuse what is no proper request.
fn is_hit(reason: Reason) -> bool {
    matches!(reason, Reason::Signature | Reason::SourceRate | Reason::TokenSpent | Reason::Shed)
}

/// Counts fates.
#[derive(Debug, Default)]
pub(crate) struct ImpactCounter {
    impact: Impact,
    activities: Vec<(u64, u64, u64)>,
    visitors_delayed: SourceSketch,
    visitors_refused: SourceSketch,
    sources_refused: SourceSketch,
    user_agents: SpaceSaving,
    paths: SpaceSaving,
}

/// Who was hit by what.
pub(crate) struct HitRequest<'a> {
    pub visitor: u64,
    pub source: SourceKey,
    /// The log hides the source: `source` and `visitor` are stand-ins, which are not counted.
    pub hidden: bool,
    pub known: bool,
    pub user_agent: (u32, Option<&'a str>),
    pub path: (u32, &'a str),
}

impl ImpactCounter {
    /// Counts a request's fate.
    pub(crate) fn count(&mut self, activity: ActivityId, outcome: ReplayOutcome) {
        let at = usize::from(activity.0);
        if self.activities.len() <= at {
            self.activities.resize(at + 1, (0, 0, 0));
        }
        let (offered, delayed, refused) = &mut self.activities[at];
        *offered += 1;
        *delayed += u64::from(outcome == ReplayOutcome::Delayed);
        *refused += u64::from(outcome != ReplayOutcome::Delayed && outcome.is_hit());
        match outcome {
            ReplayOutcome::Forwarded => self.impact.forwarded += 1,
            ReplayOutcome::Delayed => self.impact.delayed += 1,
            ReplayOutcome::Refused(reason) => self.refuse(reason),
        }
    }

    /// Counts a refusal of what belongs to no activity.
    pub(crate) fn refuse(&mut self, reason: Reason) {
        *self.impact.refused.entry(reason.as_str()).or_default() += 1;
    }

    /// Notes who was hit, in addition to [`ImpactCounter::count`].
    pub(crate) fn add_hit(&mut self, outcome: ReplayOutcome, hit: &HitRequest<'_>) {
        let visitor = visitor_key(hit.visitor);
        if hit.hidden {
            // Nothing is known of who it was.
        } else if outcome == ReplayOutcome::Delayed {
            self.visitors_delayed.add(visitor);
        } else {
            self.visitors_refused.add(visitor);
            self.sources_refused.add(hit.source);
        }
        self.impact.from_known_visitors += u64::from(hit.known);
        let (key, user_agent) = hit.user_agent;
        self.user_agents.add(key, user_agent.unwrap_or("(none)"));
        self.paths.add(hit.path.0, hit.path.1);
    }

    /// The counts, with activities named by `name` (platform, activity).
    pub(crate) fn finish(self, name: impl Fn(ActivityId) -> (String, String)) -> Impact {
        let mut activities: Vec<ActivityImpact> = self
            .activities
            .iter()
            .enumerate()
            .filter(|(_, (_, delayed, refused))| delayed + refused > 0)
            .map(|(at, (offered, delayed, refused))| {
                let (platform, name) = name(ActivityId(at as u16));
                let (offered, delayed, refused) = (*offered, *delayed, *refused);
                ActivityImpact { platform, name, offered, delayed, refused }
            })
            .collect();
        activities.sort_by_key(|a| core::cmp::Reverse(a.delayed + a.refused));
        activities.truncate(RANKS);
        Impact {
            visitors_delayed: self.visitors_delayed.estimate(),
            visitors_refused: self.visitors_refused.estimate(),
            sources_refused: self.sources_refused.estimate(),
            activities,
            user_agents: self.user_agents.ranking(RANKS),
            paths: self.paths.ranking(RANKS),
            ..self.impact
        }
    }
}

/// A visitor's name in the place where the sketch keeps a source: the first 64 bits of an IPv6
/// address.
fn visitor_key(visitor: u64) -> SourceKey {
    SourceKey::of(IpAddr::V6(Ipv6Addr::from_bits(u128::from(visitor) << 64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_and_sources_are_counted_apart() {
        let mut counter = ImpactCounter::default();
        let source = SourceKey::of([192, 0, 2, 7].into());
        let outcome = ReplayOutcome::Refused(Reason::Signature);
        for n in 0..30u64 {
            counter.count(ActivityId(1), outcome);
            let hit = HitRequest {
                visitor: n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                source,
                hidden: false,
                known: n < 3,
                user_agent: (n as u32 % 2 + 1, Some(if n % 2 == 0 { "even" } else { "odd" })),
                path: (9, "/search"),
            };
            counter.add_hit(outcome, &hit);
        }
        counter.count(ActivityId(0), ReplayOutcome::Forwarded);
        counter.refuse(Reason::Malformed);
        let impact = counter.finish(|id| ("site".into(), format!("activity {}", id.0)));
        assert_eq!((impact.sources_refused, impact.visitors_refused), (1, 30));
        assert_eq!((impact.hit_requests(), impact.from_known_visitors), (30, 3));
        assert_eq!(impact.refused["malformed"], 1);
        assert_eq!(impact.activities.len(), 1);
        assert_eq!(impact.activities[0].name, "activity 1");
        assert_eq!(
            (impact.user_agents[0].text.as_str(), impact.user_agents[0].requests),
            ("even", 15)
        );
        assert_eq!(impact.paths[0].requests, 30);
    }
}
