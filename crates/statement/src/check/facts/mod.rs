//! What the record says about each thing that a sentence can assert.

mod attacks;
mod service;
mod traffic;

use portcullis_incident::{Incident, LeafSet, TimeWindow, hypotheses};

use super::outcome::CheckContext;
use super::moments::Moment;
use super::names::{Names, SiteName};
use crate::{Claim, ClaimKind, Finding, assess};

/// Which part of the incident a sentence is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// The sites that it names, by their numbers in [`Names`].
    pub(super) sites: Vec<usize>,
    /// It names sites without a name as well.
    pub(super) unnamed: bool,
    /// The wave or the outage that it names, counted from one.
    pub(super) ordinal: Option<u64>,
    /// Times that it names: only what was then is meant.
    pub(super) moments: Vec<Moment>,
    /// It sums over all: "in total".
    pub(super) total: bool,
    /// Numbers of requests are those of a second.
    pub(super) per_second: bool,
    /// A length of time is said of each.
    pub(super) each: Option<Each>,
}

/// Of which of several events something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    /// "Both attacks lasted …"
    All,
    /// "Neither attack lasted …"
    Any,
}

/// The record about one assertion.
#[derive(Clone, Debug, Default)]
pub(super) struct Basis {
    pub(super) finding: Option<Finding>,
    pub(super) because: String,
    pub(super) kind: Option<ClaimKind>,
    pub(super) leaves: Vec<u64>,
    /// When it was.
    pub(super) windows: Vec<TimeWindow>,
    /// How long it lasted, in milliseconds: each value that may be meant.
    pub(super) lasted: Vec<u64>,
    /// How long each of several lasted.
    pub(super) each: Vec<u64>,
    /// How long after the onset it was, at the slowest.
    pub(super) within: Vec<u64>,
    /// Requests per second.
    pub(super) rates: Vec<u64>,
    /// Shares in hundredths of a per cent.
    pub(super) shares: Vec<u64>,
    /// Tenths of a multiple of the baseline.
    pub(super) times_normal: Vec<u64>,
    pub(super) times_capacity: Vec<u64>,
    /// Counts of things by their class.
    pub(super) counts: Vec<(&'static str, Vec<u64>)>,
    /// The share of requests that were affected, in hundredths of a per cent.
    pub(super) affected: Option<u64>,
    /// True of the platforms that are named and of no other one.
    pub(super) only: Option<bool>,
    /// True of all platforms.
    pub(super) all_sites: Option<bool>,
}

impl Basis {
    fn new(finding: Finding, because: impl Into<String>) -> Self {
        Self { finding: Some(finding), because: because.into(), ..Self::default() }
    }

    fn leaves(mut self, leaves: &LeafSet) -> Self {
        self.leaves.extend(leaves.to_prove());
        self
    }

    fn kind(mut self, kind: ClaimKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The counts of a class.
    pub(super) fn count(&self, class: &str) -> Option<&[u64]> {
        let found = self.counts.iter().find(|(name, _)| *name == class);
        found.map(|(_, values)| values.as_slice())
    }
}

/// The record, asked.
pub(super) struct Facts<'a> {
    pub(super) incident: Option<&'a Incident>,
    pub(super) names: Names,
    pub(super) claims: Vec<Claim>,
    context: &'a CheckContext,
}

/// Under this share a disruption is called minor, limited or small: one request in a hundred.
pub(super) const MINOR_BASIS_POINTS: u64 = 100;

/// From this share on it is called serious: one request in twenty.
pub(super) const SERIOUS_BASIS_POINTS: u64 = 500;

/// Shorter is called short or brief.
pub(super) const BRIEF_MS: u64 = 600_000;

/// From here on it is called long or sustained.
pub(super) const LONG_MS: u64 = 3_600_000;

impl<'a> Facts<'a> {
    pub(super) fn new(incident: Option<&'a Incident>, context: &'a CheckContext) -> Self {
        Self {
            incident,
            context,
            names: Names::new(incident, &context.names),
            claims: incident.map_or_else(without_incident, assess),
        }
    }

    pub(super) fn claim(&self, kind: ClaimKind) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.kind == kind)
    }

    pub(super) fn of_claim(&self, kind: ClaimKind) -> Basis {
        match self.claim(kind) {
            Some(claim) => Basis {
                leaves: claim.leaves(),
                ..Basis::new(claim.finding, claim.because.clone()).kind(kind)
            },
            None => Basis::new(Finding::NotShown, "No incident is on record.").kind(kind),
        }
    }

    pub(super) fn site(&self, n: usize) -> Option<&SiteName> {
        self.names.sites.get(n)
    }

    /// Platforms that a scope names; empty if it names none.
    pub(super) fn platforms(&self, scope: &Scope) -> Vec<&str> {
        let mut names: Vec<&str> =
            scope.sites.iter().filter_map(|n| self.site(*n)).map(|s| s.platform.as_str()).collect();
        // An activity of several platforms may be meant on any of them.
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(super) fn activities(&self, scope: &Scope) -> Vec<&SiteName> {
        let sites = scope.sites.iter().filter_map(|n| self.site(*n));
        sites.filter(|site| site.activity.is_some()).collect()
    }

    /// What the record says about an assertion of this name; `None` for a name that is not known.
    pub(super) fn of(&self, predicate: &str, scope: &Scope) -> Basis {
        let Some(incident) = self.incident else {
            return Basis::new(Finding::NotShown, "No incident is on record.");
        };
        let basis = match predicate {
            "attack" => self.attack(incident, scope),
            "waves" => self.with_waves(self.of_claim(ClaimKind::Waves), incident, scope),
            "over" | "ongoing" | "begin" | "end" => self.course(incident, scope, predicate),
            "sophisticated" => self.of_claim(ClaimKind::Sophisticated),
            "large" => self.with_waves(self.of_claim(ClaimKind::LargeScale), incident, scope),
            "small" => self.small(),
            "large-here" => traffic::large_here(incident),
            "brief" | "long" => self.length(incident, scope, predicate),
            "detected" => self.detected(incident, scope),
            "acted" | "automatic" => self.acted(incident, scope),
            "swift" => self.of_claim(ClaimKind::SwiftAction),
            "mitigated" | "uncontrolled" => self.mitigated(incident, scope),
            "low-impact" => self.low_impact(incident, scope),
            "failed" => self.failed(incident, scope),
            "defended" => self.of_claim(ClaimKind::BecauseOfDefences),
            "blocked" => self.blocked(incident, scope),
            "stayed-up" => self.stayed_up(incident, scope),
            "down" => self.down(incident, scope),
            "went-down" => {
                let down = self.down(incident, scope);
                let began = down.windows.iter().map(|w| TimeWindow::new(w.from, w.from)).collect();
                Basis { windows: began, ..down }
            }
            "site-restored" => {
                let restored = self.restored(incident, scope);
                match self.down(incident, scope).windows.is_empty() {
                    true => Basis {
                        finding: Some(Finding::NotShown),
                        because:
                            "No outage of it is on record, so there was nothing to bring back."
                                .into(),
                        ..restored
                    },
                    false => restored,
                }
            }
            "confined" | "confined-outage" => {
                let about = if predicate == "confined" { "attack" } else { "down" };
                let basis = self.of(about, scope);
                let only = basis
                    .only
                    .map(|only| if only { Finding::Supported } else { Finding::Contradicted });
                match basis.finding {
                    Some(Finding::Supported) => {
                        Basis { finding: only.or(Some(Finding::NotShown)), ..basis }
                    }
                    _ => basis,
                }
            }
            "patchy" => {
                let down = self.down(incident, scope);
                let several = down.windows.len() > 1;
                let finding = if several { Finding::Supported } else { Finding::Contradicted };
                Basis { finding: Some(finding), because: "Outages are counted.".into(), ..down }
            }
            "returned" => self.returned(incident, scope),
            "up-now" => self.up_now(incident, scope),
            "unserved" | "served" => self.served(incident, scope, predicate),
            "disrupted" | "slow" => self.disrupted(incident, scope, predicate),
            "degraded" => service::degraded(incident),
            "challenged" => service::challenged(incident),
            "refused" => service::refused(incident),
            "restored" => self.restored(incident, scope),
            "normal" => self.normal(incident, scope),
            "released" => Self::with_releases(self.of_claim(ClaimKind::Restored), incident),
            "integrity" => self.of_claim(ClaimKind::Integrity),
            "no-breach" => self.of_claim(ClaimKind::NoBreach),
            "surge" => self.surge(incident, scope),
            "traffic" => traffic::traffic(incident),
            "surge-over" => traffic::surge_over(incident),
            "trouble-begin" | "trouble-end" => self.trouble(incident, scope, predicate),
            "adapted" => traffic::adapted(incident),
            "capacity" => traffic::capacity(incident),
            "actor" => Basis::new(
                Finding::NotMeasurable,
                "no instrument shows who did it; a source is the address of the last machine, not \
                 its user",
            ),
            "intent" => Basis::new(Finding::NotMeasurable, "no instrument measures intentions"),
            "category" => Basis::new(
                Finding::NotMeasurable,
                "only the NCSC and law enforcement assign a category",
            ),
            "cause" => Basis::new(
                Finding::NotMeasurable,
                "no instrument measures causes: what happened at the same time is on record, and \
                 not why",
            ),
            _ => Basis::new(Finding::NotMeasurable, "nothing on record measures this"),
        };
        self.within_scope(basis, predicate, incident, scope)
    }

    /// Figures that are not kept by platform or activity are not said of one that is named.
    pub(super) fn within_scope(
        &self,
        basis: Basis,
        predicate: &str,
        incident: &Incident,
        scope: &Scope,
    ) -> Basis {
        let by_wave = matches!(
            predicate,
            "waves"
                | "detected"
                | "mitigated"
                | "failed"
                | "acted"
                | "swift"
                | "large"
                | "small"
                | "brief"
                | "long"
                | "large-here"
                | "sophisticated"
                | "blocked"
                | "adapted"
                | "automatic"
                | "defended"
                | "begin"
                | "end"
                | "over"
                | "ongoing"
                | "capacity"
        );
        let by_platform =
            matches!(predicate, "challenged" | "refused" | "served" | "unserved" | "released");
        if scope.sites.is_empty() || !(by_wave || by_platform) {
            return basis;
        }
        if by_wave && !incident.waves.is_empty() {
            let attack = self.attack(incident, scope);
            return if attack.finding == Some(Finding::Contradicted) { attack } else { basis };
        }
        let concerned = |name: &&str| {
            incident.platform(name).is_some()
                || incident.outages.iter().any(|outage| outage.platform == *name)
        };
        if by_platform
            && (!self.activities(scope).is_empty() || !self.platforms(scope).iter().all(concerned))
        {
            return Basis::new(Finding::NotShown, "This is not on record for it alone.");
        }
        basis
    }
}

/// The length; of several the sum, and the longest unless a total is asked for.
pub(super) fn lengths(windows: &[TimeWindow], total: bool) -> Vec<u64> {
    let all: Vec<u64> = windows.iter().map(|w| w.millis()).collect();
    match all.len() {
        0 | 1 => all,
        _ if total => vec![all.iter().sum()],
        _ => vec![all.iter().sum(), all.iter().copied().max().unwrap_or(0)],
    }
}

pub(super) fn share(part: u64, whole: u64) -> Option<u64> {
    (whole > 0).then(|| part.saturating_mul(10_000) / whole)
}

fn without_incident() -> Vec<Claim> {
    let claim = |kind: &ClaimKind| {
        Claim::new(*kind, Finding::NotShown, "No incident is on record.")
            .wording("Nothing about an attack is on record.")
    };
    ClaimKind::ALL.iter().map(claim).collect()
}

/// The only sentence about who did it.
pub(super) const ATTRIBUTION: &str = hypotheses::ATTRIBUTION;
