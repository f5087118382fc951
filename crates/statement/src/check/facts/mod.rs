//! What the record says about each thing that a sentence can assert.

mod attacks;
mod basis;
mod service;
mod traffic;

use portcullis_incident::{Incident, TimeWindow, hypotheses};

pub(super) use self::basis::{
    BRIEF_MS, Basis, ClauseScope, Each, LONG_MS, MINOR_BASIS_POINTS, SERIOUS_BASIS_POINTS,
};
use super::names::{KnownNames, SiteName};
use super::outcome::CheckContext;
use crate::{Claim, ClaimKind, Finding, assess};

/// The record, asked.
pub(super) struct Facts<'a> {
    pub(super) incident: Option<&'a Incident>,
    pub(super) names: KnownNames,
    pub(super) claims: Vec<Claim>,
    context: &'a CheckContext,
}

impl<'a> Facts<'a> {
    pub(super) fn new(incident: Option<&'a Incident>, context: &'a CheckContext) -> Self {
        Self {
            incident,
            context,
            names: KnownNames::new(incident, &context.names),
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
    pub(super) fn platforms(&self, scope: &ClauseScope) -> Vec<&str> {
        let mut names: Vec<&str> =
            scope.sites.iter().filter_map(|n| self.site(*n)).map(|s| s.platform.as_str()).collect();
        // An activity of several platforms may be meant on any of them.
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(super) fn activities(&self, scope: &ClauseScope) -> Vec<&SiteName> {
        let sites = scope.sites.iter().filter_map(|n| self.site(*n));
        sites.filter(|site| site.activity.is_some()).collect()
    }

    /// What the record says about an assertion of this name; `None` for a name that is not known.
    pub(super) fn of(&self, predicate: &str, scope: &ClauseScope) -> Basis {
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
            "large-here" => Self::large_here(incident),
            "brief" | "long" => self.length(incident, scope, predicate),
            "detected" => self.detected(incident, scope),
            "in-place" => self.in_place(incident),
            "recovered" => self.recovered(incident, scope),
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
            "degraded" => Self::degraded(incident),
            "challenged" => Self::challenged(incident),
            "refused" => Self::refused(incident),
            "restored" => self.restored(incident, scope),
            "normal" => self.normal(incident, scope),
            "released" => Self::with_releases(self.of_claim(ClaimKind::Restored), incident),
            "integrity" => self.of_claim(ClaimKind::Integrity),
            "no-breach" => self.of_claim(ClaimKind::NoBreach),
            "surge" => self.surge(incident, scope),
            "traffic" => Self::traffic(incident),
            "surge-over" => Self::surge_over(incident),
            "failure-begin" | "failure-end" => self.failures(incident, scope, predicate),
            "adapted" => Self::adapted(incident),
            "capacity" => Self::capacity(incident),
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
        scope: &ClauseScope,
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

fn without_incident() -> Vec<Claim> {
    let claim = |kind: &ClaimKind| {
        Claim::new(*kind, Finding::NotShown, "No incident is on record.")
            .wording("Nothing about an attack is on record.")
    };
    ClaimKind::ALL.iter().map(claim).collect()
}

/// The only sentence about who did it.
pub(super) const ATTRIBUTION: &str = hypotheses::ATTRIBUTION;
