//! What the record says about each thing that a sentence can assert.

use portcullis_incident::{
    Incident, LeafSet, TimeWindow, WaveRecord, grade, hypotheses, words,
};
use portcullis_model::{Reason, SourceCount};

use super::CheckContext;
use super::moments::Moment;
use super::names::{Names, SiteName};
use crate::{Claim, ClaimKind, Finding, assess};

/// Which part of the incident a sentence is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// The sites that it names, by their numbers in [`Names`].
    pub(super) sites: Vec<usize>,
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

    fn from_claim(&self, kind: ClaimKind) -> Basis {
        match self.claim(kind) {
            Some(claim) => Basis {
                leaves: claim.leaves(),
                ..Basis::new(claim.finding, claim.because.clone()).kind(kind)
            },
            None => Basis::new(Finding::NotShown, "No incident is on record.").kind(kind),
        }
    }

    fn site(&self, n: usize) -> Option<&SiteName> {
        self.names.sites.get(n)
    }

    /// Platforms that a scope names; empty if it names none.
    fn platforms(&self, scope: &Scope) -> Vec<&str> {
        let mut names: Vec<&str> =
            scope.sites.iter().filter_map(|n| self.site(*n)).map(|s| s.platform.as_str()).collect();
        // An activity of several platforms may be meant on any of them.
        names.sort_unstable();
        names.dedup();
        names
    }

    fn activities(&self, scope: &Scope) -> Vec<&SiteName> {
        let sites = scope.sites.iter().filter_map(|n| self.site(*n));
        sites.filter(|site| site.activity.is_some()).collect()
    }

    /// The waves that a scope means.
    fn waves(&self, incident: &'a Incident, scope: &Scope) -> Vec<&'a WaveRecord> {
        let platforms = self.platforms(scope);
        let mine = incident.waves.iter().filter(|wave| {
            platforms.is_empty() || platforms.contains(&wave.platform.as_str())
        });
        match scope.ordinal {
            Some(n) => mine.skip(n.saturating_sub(1) as usize).take(1).collect(),
            None => mine.collect(),
        }
    }

    /// What the record says about an assertion of this name; `None` for a name that is not known.
    pub(super) fn of(&self, predicate: &str, scope: &Scope) -> Basis {
        let Some(incident) = self.incident else {
            return Basis::new(Finding::NotShown, "No incident is on record.");
        };
        let basis = match predicate {
            "attack" => self.attack(incident, scope),
            "waves" => self.with_waves(self.from_claim(ClaimKind::Waves), incident, scope),
            "over" | "ongoing" | "begin" | "end" => self.course(incident, scope, predicate),
            "sophisticated" => self.from_claim(ClaimKind::Sophisticated),
            "large" => self.with_waves(self.from_claim(ClaimKind::LargeScale), incident, scope),
            "small" => self.small(),
            "large-here" => large_here(incident),
            "brief" | "long" => self.length(incident, scope, predicate),
            "detected" => self.detected(incident, scope),
            "acted" | "automatic" => self.acted(incident, scope),
            "swift" => self.from_claim(ClaimKind::SwiftAction),
            "mitigated" | "uncontrolled" => self.mitigated(incident, scope),
            "low-impact" => self.low_impact(incident, scope),
            "failed" => self.failed(incident, scope),
            "defended" => self.from_claim(ClaimKind::BecauseOfDefences),
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
                    true => Basis { finding: Some(Finding::NotShown), because: "No outage of it is on record, so there was nothing to bring back.".into(), ..restored },
                    false => restored,
                }
            }
            "confined" | "confined-outage" => {
                let about = if predicate == "confined" { "attack" } else { "down" };
                let basis = self.of(about, scope);
                let only = basis.only.map(|only| if only { Finding::Supported } else { Finding::Contradicted });
                match basis.finding {
                    Some(Finding::Supported) => Basis { finding: only.or(Some(Finding::NotShown)), ..basis },
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
            "degraded" => degraded(incident),
            "challenged" => challenged(incident),
            "refused" => refused(incident),
            "restored" => self.restored(incident, scope),
            "normal" => self.normal(incident, scope),
            "released" => self.with_releases(self.from_claim(ClaimKind::Restored), incident),
            "integrity" => self.from_claim(ClaimKind::Integrity),
            "no-breach" => self.from_claim(ClaimKind::NoBreach),
            "surge" => self.surge(incident, scope),
            "traffic" => traffic(incident),
            "surge-over" => surge_over(incident),
            "trouble-begin" | "trouble-end" => self.trouble(incident, scope, predicate),
            "adapted" => adapted(incident),
            "capacity" => capacity(incident),
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
    fn within_scope(
        &self,
        basis: Basis,
        predicate: &str,
        incident: &Incident,
        scope: &Scope,
    ) -> Basis {
        let by_wave = matches!(
            predicate,
            "waves" | "detected" | "mitigated" | "failed" | "acted" | "swift" | "large" | "small"
                | "brief" | "long" | "large-here" | "sophisticated" | "blocked" | "adapted" | "automatic"
                | "defended" | "begin" | "end" | "over" | "ongoing" | "capacity"
        );
        let by_platform = matches!(predicate, "challenged" | "refused" | "served" | "unserved" | "released");
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

    /// When the first trouble began, and the last one ended: outages, degradations and waves.
    fn trouble(&self, incident: &Incident, scope: &Scope, predicate: &str) -> Basis {
        let whole = Scope { ordinal: None, ..scope.clone() };
        let mut windows = self.down(incident, &whole).windows;
        windows.extend(degraded(incident).windows);
        if windows.is_empty() {
            windows = self.with_waves(Basis::default(), incident, &whole).windows;
        }
        let begins = predicate == "trouble-begin";
        let lasting = self.lasts("disrupted");
        let moment = match begins {
            true => windows.iter().map(|w| w.from).min(),
            false => windows.iter().map(|w| w.to).max(),
        };
        let finding = match (moment, begins || !lasting) {
            (Some(_), true) => Finding::Supported,
            (Some(_), false) => Finding::Contradicted,
            (None, _) => Finding::NotShown,
        };
        let mut basis = Basis::new(finding, "When it began and ended is on record.");
        basis.windows = moment.map(|at| TimeWindow::new(at, at)).into_iter().collect();
        basis
    }

    /// A surge on the platforms and activities that a scope names.
    fn surge(&self, incident: &Incident, scope: &Scope) -> Basis {
        let then = |window: TimeWindow| {
            scope.moments.iter().all(|m| m.holds(window, self.context) == Some(true))
        };
        let mut basis = surge(incident, &then);
        if basis.windows.is_empty() {
            // At another time: its times say so.
            basis = surge(incident, &|_| true);
        }
        for site in scope.sites.iter().filter_map(|n| self.site(*n)) {
            let surged = incident.surges.iter().any(|surge| {
                surge.platform == site.platform
                    && site.activity.as_ref().is_none_or(|name| surge.activities.contains(name))
            });
            let attacked = incident.waves.iter().any(|wave| {
                wave.platform == site.platform
                    && site.activity.as_ref().is_none_or(|name| wave.activities.contains(name))
            });
            if !surged && !attacked {
                let finding = match incident.coverage.is_complete() {
                    true => Finding::Contradicted,
                    false => Finding::NotShown,
                };
                let because = "No surge on it is on record.";
                return Basis { finding: Some(finding), because: because.into(), ..Basis::default() };
            }
        }
        basis
    }

    fn attack(&self, incident: &Incident, scope: &Scope) -> Basis {
        let claim = self.from_claim(ClaimKind::Attack);
        if incident.waves.is_empty() {
            // The gate watched for the whole time, and recognised none.
            return if incident.coverage.is_complete() {
                Basis::new(
                    Finding::Contradicted,
                    "No wave of attack is on record, and nothing is known to be missing from the \
                     record.",
                )
                .kind(ClaimKind::Attack)
            } else {
                claim
            };
        }
        for site in scope.sites.iter().filter_map(|n| self.site(*n)) {
            let attacked = incident.waves.iter().any(|wave| {
                wave.platform == site.platform
                    && site.activity.as_ref().is_none_or(|activity| wave.activities.contains(activity))
            });
            if !attacked {
                let name = site.activity.as_ref().unwrap_or(&site.platform);
                let finding = match incident.coverage.is_complete() {
                    true => Finding::Contradicted,
                    false => Finding::NotShown,
                };
                return Basis::new(finding, format!("No attack on {name} is on record."))
                    .kind(ClaimKind::Platforms);
            }
        }
        let mut basis = self.with_waves(claim, incident, scope);
        let named = self.platforms(scope);
        // From the first to the last: "twice within a day".
        let whole = basis.windows.iter().copied().reduce(TimeWindow::with);
        basis.within = whole.map(TimeWindow::millis).into_iter().collect();
        basis.only = Some(self.only_these(incident, scope, &named));
        basis.all_sites = Some(incident.not_attacked().is_empty());
        if scope.ordinal.is_some() && basis.windows.is_empty() {
            basis.finding = Some(Finding::Contradicted);
            basis.because = format!(
                "{} on record.",
                match incident.waves.len() {
                    1 => "One wave is".to_owned(),
                    n => format!("{n} waves are"),
                }
            );
        }
        basis
    }

    fn only_these(&self, incident: &Incident, scope: &Scope, named: &[&str]) -> bool {
        let platforms = incident.attacked().iter().all(|name| named.contains(name));
        let activities: Vec<_> = self.activities(scope);
        let within = incident.waves.iter().all(|wave| {
            activities.is_empty()
                || (!wave.activities.is_empty()
                    && wave.activities.iter().all(|name| {
                        activities.iter().any(|site| site.activity.as_ref() == Some(name))
                    }))
        });
        platforms && within && !incident.attacked().is_empty()
    }

    /// Adds the figures of the waves.
    fn with_waves(&self, mut basis: Basis, incident: &Incident, scope: &Scope) -> Basis {
        let waves = self.waves(incident, scope);
        let as_of = incident.as_of.at;
        basis.windows = waves.iter().map(|w| TimeWindow::new(w.onset, w.until(as_of))).collect();
        basis.lasted = lengths(&basis.windows, scope.total);
        basis.each = basis.windows.iter().map(|w| w.millis()).collect();
        let all = waves.len() as u64 + if scope.ordinal.is_none() { incident.more_waves } else { 0 };
        let figures = || waves.iter().filter_map(|w| w.ended.as_ref()).map(|e| &e.figures);
        let whole = scope.ordinal.is_none();
        let mut peaks: Vec<u64> = figures().map(|f| f.peak_offered_per_second).collect();
        let mut offered: Vec<u64> = Vec::new();
        if whole {
            peaks = incident.peak().map(|peak| peak.value).into_iter().collect();
            offered.push(incident.attack().offered);
            offered.push(figures().map(|f| f.offered).sum());
        } else {
            offered.extend(figures().map(|f| f.offered));
        }
        let sources = figures().filter_map(|f| f.sources.or(Some(f.peak_sources))).filter_map(about);
        let peak_sources = figures().map(|f| f.peak_sources).filter_map(about);
        let scale = grade::scale(incident);
        basis.rates = peaks;
        basis.times_normal = scale.peak_to_baseline.iter().map(|f| f.value).collect();
        basis.times_capacity = scale.sustained_to_capacity.iter().map(|f| f.value).collect();
        basis.counts = vec![
            ("Attack", vec![all]),
            ("Wave", vec![all]),
            ("Site", vec![self.attacked_sites(incident)]),
            ("Requests", offered.clone()),
            ("Traffic", offered),
            ("Sources", sources.chain(peak_sources).collect()),
            ("Connections", figures().map(|f| f.peak_stalled_headers).filter(|n| *n > 0).collect()),
        ];
        basis
    }

    fn attacked_sites(&self, incident: &Incident) -> u64 {
        incident.platforms.len() as u64
    }

    fn course(&self, incident: &Incident, scope: &Scope, predicate: &str) -> Basis {
        if incident.waves.is_empty() {
            return self.attack(incident, scope);
        }
        let waves = self.waves(incident, scope);
        let ended = !waves.is_empty() && waves.iter().all(|wave| wave.ended.is_some());
        let lasts = waves.iter().any(|wave| wave.ongoing());
        let over = match (ended, lasts) {
            (true, _) => Finding::Supported,
            (false, true) => Finding::Contradicted,
            (false, false) => Finding::NotShown,
        };
        let because = match over {
            Finding::Supported => "The end of each wave is on record.",
            Finding::Contradicted => "The attack continues where the record ends.",
            _ => "The end of a wave is not on record.",
        };
        let mut basis = Basis::new(over, because).leaves(&incident.detections());
        basis = self.with_waves(basis, incident, scope);
        let moments = |from: bool| -> Vec<TimeWindow> {
            let at = |w: &TimeWindow| if from { w.from } else { w.to };
            let windows = basis.windows.iter().map(|w| TimeWindow::new(at(w), at(w)));
            // Of several waves "the attack" began with the first and ended with the last.
            if from { windows.min_by_key(|w| w.from) } else { windows.max_by_key(|w| w.from) }
                .into_iter()
                .collect()
        };
        basis.within.clone_from(&basis.lasted);
        match predicate {
            "begin" => {
                basis.windows = moments(true);
                basis.finding = self.from_claim(ClaimKind::Attack).finding;
            }
            "ongoing" => basis.finding = Some(over.of_the_negation()),
            _ => basis.windows = moments(false),
        }
        basis
    }

    /// Small by published figures.
    fn small(&self) -> Basis {
        let large = self.from_claim(ClaimKind::LargeScale);
        Basis { finding: large.finding.map(Finding::of_the_negation), ..large }
    }

    fn length(&self, incident: &Incident, scope: &Scope, predicate: &str) -> Basis {
        let basis = self.with_waves(Basis::default(), incident, scope);
        let longest = basis.windows.iter().map(|w| w.millis()).max();
        let Some(longest) = longest else {
            return self.attack(incident, scope);
        };
        let holds = match predicate {
            "brief" => longest < BRIEF_MS,
            _ => longest >= LONG_MS,
        };
        let rubric = match predicate {
            "brief" => "short is under ten minutes",
            _ => "long or sustained is an hour or more",
        };
        let finding = if holds { Finding::Supported } else { Finding::Contradicted };
        let because = format!("The longest wave lasted {}; {rubric}.", words::span(longest));
        Basis { finding: Some(finding), because, ..basis }.leaves(&incident.detections())
    }

    fn detected(&self, incident: &Incident, scope: &Scope) -> Basis {
        let mut basis = self.from_claim(ClaimKind::Detected);
        let waves = self.waves(incident, scope);
        basis.windows = waves.iter().map(|w| TimeWindow::new(w.detected.at, w.detected.at)).collect();
        basis.within = waves.iter().map(|w| w.time_to_detect_ms()).max().into_iter().collect();
        basis.counts = vec![
            ("Attack", vec![waves.len() as u64]),
            ("Wave", vec![waves.len() as u64]),
        ];
        self.sites_attacked_or_contradicted(basis, incident, scope)
    }

    fn sites_attacked_or_contradicted(
        &self,
        basis: Basis,
        incident: &Incident,
        scope: &Scope,
    ) -> Basis {
        let attack = self.attack(incident, scope);
        if attack.finding == Some(Finding::Contradicted) { attack } else { basis }
    }

    fn acted(&self, incident: &Incident, scope: &Scope) -> Basis {
        let waves = self.waves(incident, scope);
        let engaged = |wave: &WaveRecord| {
            let until = wave.until(incident.as_of.at);
            let procedures = incident.procedures.iter().filter(|p| p.facts.platform == wave.platform);
            procedures
                .map(|p| p.engaged)
                .filter(|at| at.at >= wave.onset && at.at <= until)
                .min()
        };
        let first: Vec<_> = waves.iter().filter_map(|w| engaged(w).map(|at| (w, at))).collect();
        let finding = match (first.len() == waves.len(), waves.is_empty()) {
            (true, false) => Finding::Supported,
            _ => Finding::NotShown,
        };
        let because = match finding {
            Finding::Supported => "In each wave the engagement of a procedure is on record.",
            _ => "No procedure is on record for each wave.",
        };
        let mut basis = Basis::new(finding, because).kind(ClaimKind::SwiftAction);
        basis.leaves = first.iter().map(|(_, at)| at.leaf).collect();
        basis.windows = first.iter().map(|(_, at)| TimeWindow::new(at.at, at.at)).collect();
        let after = first.iter().map(|(w, at)| at.at.millis().saturating_sub(w.onset.millis()));
        basis.within = after.max().into_iter().collect();
        basis.counts = vec![("Measure", vec![incident.procedures.count()])];
        basis
    }

    fn mitigated(&self, incident: &Incident, scope: &Scope) -> Basis {
        let waves = self.waves(incident, scope);
        if waves.is_empty() {
            return self.attack(incident, scope);
        }
        let held = waves.iter().filter(|wave| wave.stayed_mitigated()).count();
        let (finding, because) = if held == waves.len() {
            (Finding::Supported, "The mitigation of each wave is on record, and it held.")
        } else {
            (Finding::NotShown, "Not every wave has a mitigation on record that held.")
        };
        let mut basis = Basis::new(finding, because).kind(ClaimKind::AttemptsFailed);
        let firsts = || waves.iter().filter_map(|w| w.first_mitigation());
        basis.leaves = firsts().map(|m| m.stamp.leaf).collect();
        basis.windows = firsts().map(|m| TimeWindow::new(m.stamp.at, m.stamp.at)).collect();
        basis.within = firsts().map(|m| m.after_ms).max().into_iter().collect();
        basis.counts = vec![
            ("Attack", vec![waves.len() as u64]),
            ("Wave", vec![waves.len() as u64]),
        ];
        let open = waves.iter().map(|w| w.unmitigated_ms(incident.as_of.at)).sum();
        basis.lasted = vec![open];
        basis
    }

    fn failed(&self, incident: &Incident, scope: &Scope) -> Basis {
        let basis = self.from_claim(ClaimKind::AttemptsFailed);
        let waves = self.waves(incident, scope);
        let windows = waves.iter().map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at)));
        let windows = windows.collect();
        let within = self.mitigated(incident, scope).within;
        let counts = vec![
            ("Attack", vec![waves.len() as u64]),
            ("Wave", vec![waves.len() as u64]),
        ];
        let basis = Basis { windows, within, counts, ..basis };
        self.sites_attacked_or_contradicted(basis, incident, scope)
    }

    fn blocked(&self, incident: &Incident, scope: &Scope) -> Basis {
        let attack = incident.attack();
        let by_procedures = incident.stopped_by_procedures();
        let waves = self.waves(incident, scope);
        let figures = || waves.iter().filter_map(|w| w.ended.as_ref()).map(|e| &e.figures);
        let mut stopped: Vec<u64> = figures().map(|f| f.stopped).collect();
        let mut shares: Vec<u64> =
            figures().filter_map(|f| share(f.stopped, f.offered)).collect();
        if scope.ordinal.is_none() {
            stopped = vec![attack.stopped(), by_procedures.value];
            shares = share(attack.stopped(), attack.offered).into_iter().collect();
        }
        let finding = match attack.stopped().max(by_procedures.value) {
            0 => Finding::Contradicted,
            _ => Finding::Supported,
        };
        let mut basis = Basis::new(finding, "Requests that were stopped are counted.")
            .leaves(&by_procedures.leaves);
        basis.windows = waves.iter().map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at))).collect();
        basis.counts = vec![("Requests", stopped.clone()), ("Traffic", stopped.clone()), ("Attack", vec![waves.len() as u64])];
        basis.affected = shares.first().copied();
        basis.shares = shares;
        basis
    }

    /// Outages that a scope means.
    fn outages<'i>(
        &self,
        incident: &'i Incident,
        scope: &Scope,
    ) -> Vec<&'i portcullis_incident::OutageRecord> {
        let platforms = self.platforms(scope);
        let mine = incident.outages.iter().filter(|outage| {
            platforms.is_empty() || platforms.contains(&outage.platform.as_str())
        });
        match scope.ordinal {
            Some(n) => mine.skip(n.saturating_sub(1) as usize).take(1).collect(),
            None => mine.collect(),
        }
    }

    fn down(&self, incident: &Incident, scope: &Scope) -> Basis {
        let outages = self.outages(incident, scope);
        let as_of = incident.as_of.at;
        let mut basis = if outages.is_empty() {
            let finding = match incident.coverage.is_complete() {
                true => Finding::Contradicted,
                false => Finding::NotShown,
            };
            Basis::new(finding, "No outage of it is on record.")
        } else {
            let mut basis = Basis::new(Finding::Supported, "An outage is on record.");
            for outage in &outages {
                basis = basis.leaves(&outage.leaves());
            }
            basis
        };
        basis.kind = Some(ClaimKind::StayedUp);
        basis.windows =
            outages.iter().map(|o| TimeWindow::new(o.onset, o.until(as_of))).collect();
        basis.lasted = lengths(&basis.windows, scope.total);
        basis.each = basis.windows.iter().map(|w| w.millis()).collect();
        let unserved: u64 = outages.iter().map(|o| o.unserved).sum();
        let served: u64 = outages.iter().map(|o| o.served).sum();
        basis.counts = vec![
            ("Outage", vec![outages.len() as u64]),
            ("Site", vec![1]),
            ("Requests", vec![unserved]),
        ];
        basis.affected = share(unserved, unserved + served);
        let attacked: Vec<&str> = outages.iter().map(|o| o.platform.as_str()).collect();
        basis.all_sites =
            Some(incident.protected.iter().all(|p| attacked.contains(&p.name.as_str())));
        let named = self.platforms(scope);
        basis.only = Some(attacked.iter().all(|name| named.contains(name)));
        basis
    }

    /// Nothing is down where the record ends.
    fn up_now(&self, incident: &Incident, scope: &Scope) -> Basis {
        let lasting = self.outages(incident, scope).iter().any(|outage| outage.ended.is_none());
        let mut basis = match (lasting, incident.coverage.is_complete()) {
            (true, _) => Basis::new(Finding::Contradicted, "An outage has no end on record."),
            (false, true) => Basis::new(Finding::Supported, "No outage lasts where the record ends."),
            (false, false) => Basis::new(Finding::NotShown, "Something is missing from the record."),
        };
        basis.kind = Some(ClaimKind::Restored);
        basis.all_sites = Some(!lasting);
        let outages = incident.outages.iter().filter_map(|outage| outage.ended);
        basis.windows = outages.map(|end| TimeWindow::new(end.at, end.at)).collect();
        basis
    }

    /// Whether something lasts where the record ends.
    pub(super) fn lasts(&self, predicate: &str) -> bool {
        let Some(incident) = self.incident else { return false };
        let down = incident.outages.iter().any(|outage| outage.ended.is_none());
        let slow = incident.degradations.iter().any(|d| d.recovered.is_none());
        let surge = incident.surges.iter().any(|s| s.ended.is_none() && s.overtaken.is_none());
        match predicate {
            "down" => down,
            "slow" | "degraded" | "disrupted" => down || slow || incident.ongoing(),
            "surge" => surge,
            _ => incident.ongoing(),
        }
    }

    fn stayed_up(&self, incident: &Incident, scope: &Scope) -> Basis {
        let down = self.down(incident, scope);
        if down.finding == Some(Finding::Supported) {
            return Basis {
                finding: Some(Finding::Contradicted),
                because: "An outage is on record.".to_owned(),
                ..down
            };
        }
        let claim = self.from_claim(ClaimKind::StayedUp);
        let named = self.platforms(scope);
        let spared = !named.is_empty() && named.iter().all(|name| incident.platform(name).is_none());
        if spared || incident.waves.is_empty() {
            // A platform without an attack: its outages are watched all the same.
            let finding = match down.finding {
                Some(Finding::Contradicted) => Finding::Supported,
                _ => Finding::NotShown,
            };
            let mut basis = Basis::new(finding, "No outage of it is on record, and it was watched.");
            basis.kind = Some(ClaimKind::StayedUp);
            return basis;
        }
        let attack = incident.attack();
        let mut basis = claim;
        basis.all_sites = Some(incident.outages.items.is_empty());
        for site in self.activities(scope) {
            let record = incident.platform(&site.platform);
            let totals = record.and_then(|r| {
                r.attack.activities.get(&site.platform)?.get(site.activity.as_ref()?)
            });
            basis.shares.extend(totals.and_then(|t| t.served_share()));
        }
        if basis.shares.is_empty() {
            basis.shares.extend(attack.served_share());
        }
        basis.affected = basis.shares.first().map(|share| 10_000 - share);
        let waves = self.waves(incident, scope);
        basis.windows = waves.iter().map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at))).collect();
        basis
    }

    fn served(&self, incident: &Incident, scope: &Scope, predicate: &str) -> Basis {
        let outages = self.outages(incident, scope);
        let (mut unserved, mut served): (u64, u64) = (0, 0);
        let mut basis = Basis::default();
        if incident.waves.is_empty() {
            for outage in &outages {
                unserved += outage.unserved;
                served += outage.served;
                basis = basis.leaves(&outage.leaves());
            }
            basis.windows = outages.iter().map(|o| TimeWindow::new(o.onset, o.until(incident.as_of.at))).collect();
            basis.lasted = lengths(&basis.windows, scope.total);
        } else {
            let attack = incident.attack();
            served = attack.outcomes.get("served").copied().unwrap_or(0);
            let share = attack.served_share().unwrap_or(10_000);
            unserved = attack.forwarded.saturating_sub(served);
            basis.shares = vec![if predicate == "served" { share } else { 10_000 - share }];
            basis = basis.leaves(&attack.leaves);
            let waves = self.waves(incident, scope);
            basis.windows = waves.iter().map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at))).collect();
        }
        let n = if predicate == "served" { served } else { unserved };
        let all = served + unserved;
        if basis.shares.is_empty() {
            basis.shares = share(n, all).into_iter().collect();
        }
        basis.affected = basis.shares.first().copied();
        basis.counts = vec![("Requests", vec![n]), ("GoodRequests", vec![n])];
        basis.finding = Some(if n > 0 { Finding::Supported } else { Finding::Contradicted });
        basis.because = format!(
            "Of {} that were sent on, {} {} answered.",
            words::counted(all, "request"),
            words::count(served),
            words::were(served)
        );
        basis.kind = Some(ClaimKind::StayedUp);
        basis
    }

    fn disrupted(&self, incident: &Incident, scope: &Scope, predicate: &str) -> Basis {
        let down = self.down(incident, scope);
        let slowed = self.from_claim(ClaimKind::SlowedDown);
        let named = self.platforms(scope);
        let spared = !named.is_empty()
            && named.iter().all(|name| {
                incident.platform(name).is_none()
                    && !incident.degradations.iter().any(|d| d.platform == *name)
            });
        if spared && down.finding != Some(Finding::Supported) {
            let finding = match incident.coverage.is_complete() {
                true => Finding::Contradicted,
                false => Finding::NotShown,
            };
            return Basis::new(finding, "Nothing of the kind is on record for it.");
        }
        let degraded = degraded(incident);
        let was_slow = degraded.finding == Some(Finding::Supported)
            || slowed.finding == Finding::Supported.into();
        let was_down = predicate == "disrupted" && down.finding == Some(Finding::Supported);
        let unanswered = incident.attack().served_share().map(|share| 10_000 - share);
        let some = unanswered.is_some_and(|n| n > 0);
        let mut basis = if was_down {
            down.clone()
        } else if was_slow || (some && predicate == "disrupted") {
            let finding = Finding::Supported;
            Basis { finding: Some(finding), leaves: slowed.leaves.clone(), ..Basis::new(finding, "The cost of the procedures, or a time when the origin was degraded, is on record.") }
        } else {
            slowed.clone()
        };
        basis.kind = Some(ClaimKind::SlowedDown);
        let as_of = incident.as_of.at;
        let waves = self.waves(incident, scope);
        basis.windows.extend(waves.iter().map(|w| TimeWindow::new(w.onset, w.until(as_of))));
        basis.windows.extend(degraded.windows.clone());
        basis.windows.extend(down.windows.clone());
        basis.lasted = down.lasted.clone();
        basis.lasted.extend(degraded.lasted.clone());
        if !waves.is_empty() {
            basis.lasted.push(waves.iter().map(|w| w.unmitigated_ms(as_of)).sum());
        }
        let both = degraded.windows.iter().chain(&down.windows).copied().reduce(TimeWindow::with);
        if !down.windows.is_empty() {
            basis.lasted.extend(both.map(TimeWindow::millis));
        }
        basis.affected = match was_down {
            true => down.affected,
            false => unanswered,
        };
        basis.only = match (down.only, named.is_empty()) {
            (_, true) => None,
            (only, _) if !down.windows.is_empty() => only,
            _ => Some(self.only_these(incident, scope, &named)),
        };
        let delayed = incident.procedures.iter().filter_map(|p| p.released.as_ref());
        let delayed: u64 = delayed.map(|r| r.cost.delayed).sum();
        let passed = incident.engaged().passed_challenges();
        basis.counts = vec![
            ("Requests", vec![delayed, passed]),
            ("GoodRequests", vec![delayed, passed]),
        ];
        if !down.windows.is_empty() {
            basis.counts.push(("Disruption", vec![down.windows.len() as u64]));
        }
        basis
    }

    /// Few requests went unanswered, and no visitor was refused or delayed by more than a challenge.
    fn low_impact(&self, incident: &Incident, scope: &Scope) -> Basis {
        let basis = self.disrupted(incident, scope, "disrupted");
        let few = basis.affected.is_some_and(|share| share < MINOR_BASIS_POINTS);
        let finding = match (few, incident.waves.is_empty()) {
            (_, true) => Finding::NotShown,
            (true, _) => Finding::Supported,
            (false, _) => Finding::Contradicted,
        };
        let because = "Low is under one unanswered request in a hundred.".to_owned();
        Basis { finding: Some(finding), because, ..basis }
    }

    fn restored(&self, incident: &Incident, scope: &Scope) -> Basis {
        let outages = self.outages(incident, scope);
        if incident.waves.is_empty() && outages.is_empty() {
            return Basis::new(Finding::NotShown, "There was nothing to restore on record.");
        }
        let mut basis = match incident.waves.is_empty() {
            true => {
                let back = outages.iter().all(|outage| outage.ended.is_some());
                let finding = if back { Finding::Supported } else { Finding::Contradicted };
                Basis::new(finding, "The end of each outage is on record.")
            }
            false => self.with_releases(self.from_claim(ClaimKind::Restored), incident),
        };
        basis.kind = Some(ClaimKind::Restored);
        for outage in outages.iter().filter_map(|outage| outage.ended.map(|end| (outage, end))) {
            let (outage, end) = outage;
            basis.windows.push(TimeWindow::new(end.at, end.at));
            basis.within.push(outage.lasted_ms(incident.as_of.at));
            basis = basis.leaves(&outage.leaves());
        }
        // The slowest: "within an hour" is said of each.
        basis.within = basis.within.iter().copied().max().into_iter().collect();
        basis
    }

    fn with_releases(&self, mut basis: Basis, incident: &Incident) -> Basis {
        let released: Vec<_> =
            incident.procedures.iter().filter_map(|p| p.released.as_ref()).collect();
        basis.windows =
            released.iter().map(|r| TimeWindow::new(r.stamp.at, r.stamp.at)).collect();
        basis.counts = vec![("Measure", vec![released.len() as u64])];
        basis
    }

    fn normal(&self, incident: &Incident, scope: &Scope) -> Basis {
        let named = self.platforms(scope);
        let spared = !named.is_empty()
            && named.iter().all(|name| incident.platform(name).is_none())
            && !incident.outages.iter().any(|o| named.contains(&o.platform.as_str()));
        let settled = incident.outages.iter().all(|o| o.ended.is_some())
            && incident.surges.iter().all(|s| s.ended.is_some() || s.overtaken.is_some())
            && incident.degradations.iter().all(|d| d.recovered.is_some());
        if spared && incident.coverage.is_complete() {
            return Basis::new(Finding::Supported, "Nothing unusual is on record for it.");
        }
        if incident.waves.is_empty() {
            let finding = if settled { Finding::Supported } else { Finding::Contradicted };
            let mut basis = Basis::new(finding, "The end of each outage and surge is on record.");
            basis.windows = incident.outages.iter().filter_map(|o| o.ended).map(|e| TimeWindow::new(e.at, e.at)).collect();
            basis.kind = Some(ClaimKind::FullSpeed);
            return basis;
        }
        let mut basis = self.from_claim(ClaimKind::FullSpeed);
        basis.all_sites = Some(settled && basis.finding == Some(Finding::Supported));
        let back = incident.platforms.iter().filter_map(|p| incident.back_at_full_speed(&p.name));
        basis.windows = back.map(|b| TimeWindow::new(b.since, b.stamp.at)).collect();
        basis
    }

    /// Normal again, after it was not.
    fn returned(&self, incident: &Incident, scope: &Scope) -> Basis {
        let named = self.platforms(scope);
        let was_not = named.is_empty()
            || named.iter().any(|name| {
                incident.platform(name).is_some()
                    || incident.outages.iter().any(|outage| outage.platform == *name)
            });
        match was_not {
            true => self.normal(incident, scope),
            false => Basis::new(Finding::NotShown, "Nothing unusual is on record for it."),
        }
    }

    /// The lengths and sizes of two events in order, for a comparison; `None` if one is not on record.
    pub(super) fn compared(&self, predicate: &str, a: &Scope, b: &Scope) -> Option<(u64, u64)> {
        let incident = self.incident?;
        let length = |scope: &Scope| {
            let waves = self.with_waves(Basis::default(), incident, scope).windows;
            let windows = if waves.is_empty() { self.down(incident, scope).windows } else { waves };
            let one = <[TimeWindow; 1]>::try_from(windows).ok()?;
            Some(one[0].millis())
        };
        let size = |scope: &Scope| {
            let waves = self.waves(incident, scope);
            let [wave] = waves[..] else { return None };
            Some(wave.ended.as_ref()?.figures.offered)
        };
        match predicate {
            "longer" | "shorter" => Some((length(a)?, length(b)?)),
            _ => Some((size(a)?, size(b)?)),
        }
    }

    /// The receipt of a recipient.
    pub(super) fn reported(&self, recipients: &[usize]) -> Basis {
        let mut basis = Basis::new(Finding::Supported, "A receipt is on record.");
        basis.kind = Some(ClaimKind::Reported);
        if recipients.is_empty() {
            let all = self.incident.iter().flat_map(|i| i.notifications.iter());
            for notification in all {
                let at = notification.receipt.notified_at;
                basis.windows.push(TimeWindow::new(at, at));
                basis.leaves.push(notification.stamp.leaf);
            }
            if basis.windows.is_empty() {
                basis.finding = Some(Finding::NotShown);
                basis.because = "No receipt is on record.".to_owned();
            }
        }
        for n in recipients {
            let Some(recipient) = self.names.recipients.get(*n) else { continue };
            let mut found = self.incident.iter().flat_map(|i| i.notifications.iter());
            let notification = found.find(|notification| {
                let to = notification.receipt.recipient.to_lowercase();
                recipient.on_receipts.iter().any(|name| to.contains(name))
            });
            match notification {
                Some(n) => {
                    basis.leaves.push(n.stamp.leaf);
                    let at = n.receipt.notified_at;
                    basis.windows.push(TimeWindow::new(at, at));
                    let after = self.incident.map(|i| {
                        let before = i.waves.iter().filter_map(|w| w.ended.as_ref()).map(|e| e.stamp.at);
                        let before = before.filter(|end| *end <= at).max();
                        before.map_or(0, |end| at.millis().saturating_sub(end.millis()))
                    });
                    basis.within.extend(after.filter(|after| *after > 0));
                }
                None => {
                    return Basis {
                        kind: Some(ClaimKind::Reported),
                        ..Basis::new(
                            Finding::NotShown,
                            format!("No receipt on record names {}.", recipient.name),
                        )
                    };
                }
            }
        }
        basis
    }
}

fn about(count: SourceCount) -> Option<u64> {
    match count {
        SourceCount::About(n) => Some(n),
        SourceCount::UnderTen => None,
    }
}

/// The length; of several the sum, and the longest unless a total is asked for.
fn lengths(windows: &[TimeWindow], total: bool) -> Vec<u64> {
    let all: Vec<u64> = windows.iter().map(|w| w.millis()).collect();
    match all.len() {
        0 | 1 => all,
        _ if total => vec![all.iter().sum()],
        _ => vec![all.iter().sum(), all.iter().copied().max().unwrap_or(0)],
    }
}

fn share(part: u64, whole: u64) -> Option<u64> {
    (whole > 0).then(|| part.saturating_mul(10_000) / whole)
}

fn without_incident() -> Vec<Claim> {
    let claim = |kind: &ClaimKind| {
        Claim::new(*kind, Finding::NotShown, "No incident is on record.")
            .wording("Nothing about an attack is on record.")
    };
    ClaimKind::ALL.iter().map(claim).collect()
}

fn large_here(incident: &Incident) -> Basis {
    let scale = grade::scale(incident);
    let mut basis = match &scale.peak_to_baseline {
        Some(ratio) => {
            let large = scale.is_large_for_site();
            let finding = if large { Finding::Supported } else { Finding::Contradicted };
            let because = format!(
                "The busiest moment was {} the site's own baseline; ten times is far above it.",
                ratio.text()
            );
            Basis::new(finding, because).leaves(&ratio.leaves)
        }
        None => surge(incident, &|_| true),
    };
    basis.kind = Some(ClaimKind::LargeScale);
    basis
}

fn degraded(incident: &Incident) -> Basis {
    let degradations: Vec<_> = incident.degradations.iter().collect();
    let finding = match (degradations.is_empty(), incident.coverage.is_complete()) {
        (false, _) => Finding::Supported,
        (true, true) => Finding::Contradicted,
        (true, false) => Finding::NotShown,
    };
    let mut basis = Basis::new(finding, "Times when the origin was degraded are recorded.");
    for one in &degradations {
        let end = one.recovered.map_or(incident.as_of.at, |r| r.at);
        basis.windows.push(TimeWindow::new(one.began.at, end));
        basis.leaves.push(one.began.leaf);
        // Until it went down, if it did.
        let down = incident.outages.iter().find(|o| o.onset >= one.began.at && o.onset <= end);
        if let Some(down) = down {
            basis.lasted.push(down.onset.millis() - one.began.at.millis());
        }
    }
    basis.lasted.extend(lengths(&basis.windows, false));
    basis
}

fn challenged(incident: &Incident) -> Basis {
    let engaged = incident.engaged();
    let given = engaged.challenges_issued();
    let passed = engaged.passed_challenges();
    let finding = match (given, passed) {
        (0, 0) => Finding::Contradicted,
        _ => Finding::Supported,
    };
    let because = format!(
        "{} {} given and {} passed, of people and programs.",
        words::counted(given, "challenge"),
        words::were(given),
        words::count(passed)
    );
    let mut basis = Basis::new(finding, because).leaves(&engaged.leaves);
    basis.kind = Some(ClaimKind::SlowedDown);
    basis.counts = vec![
        ("Challenge", vec![given, passed]),
        ("Requests", vec![passed, given]),
        ("GoodRequests", vec![passed]),
    ];
    basis.windows = incident.procedures_engaged();
    basis
}

fn refused(incident: &Incident) -> Basis {
    let released = incident.procedures.iter().filter_map(|p| p.released.as_ref());
    let refused: u64 = released.clone().map(|r| r.cost.refused_with_token).sum();
    let shed = incident.engaged().reason(Reason::Shed);
    let leaves: LeafSet = released.map(|r| r.stamp.leaf).collect();
    let finding = if refused + shed > 0 { Finding::Supported } else { Finding::Contradicted };
    let because = format!(
        "{} with a token, and so probably from people, {} refused.",
        words::counted(refused, "request"),
        words::were(refused)
    );
    let mut basis = Basis::new(finding, because).leaves(&leaves);
    basis.kind = Some(ClaimKind::SlowedDown);
    basis.counts = vec![("Requests", vec![refused]), ("GoodRequests", vec![refused])];
    basis.windows = incident.procedures_engaged();
    basis
}

/// Far more traffic than usual, of whatever cause, at the times that `then` accepts.
fn surge(incident: &Incident, then: &dyn Fn(TimeWindow) -> bool) -> Basis {
    let scale = grade::scale(incident);
    let as_of = incident.as_of.at;
    let mut basis = Basis { kind: Some(ClaimKind::LargeScale), ..Basis::default() };
    let mut offered = Vec::new();
    for surge in &incident.surges {
        let end = surge.ended.or(surge.overtaken).map_or(as_of, |end| end.at);
        let window = TimeWindow::new(surge.began.at, end);
        if !then(window) {
            continue;
        }
        basis.windows.push(window);
        basis.leaves.push(surge.began.leaf);
        basis.rates.push(surge.per_second);
        offered.push(surge.totals.offered);
        basis.times_normal.extend((surge.per_second * 10_000).checked_div(surge.baseline_milli));
    }
    basis.counts = vec![("Surge", vec![basis.windows.len() as u64])];
    basis.lasted = lengths(&basis.windows, false);
    let busiest = incident.peak().and_then(|peak| peak.window);
    for wave in &incident.waves {
        let window = TimeWindow::new(wave.onset, wave.until(as_of));
        let above = wave.ended.as_ref().map_or(0, |e| e.figures.peak_offered_per_second * 1_000);
        if !then(window) || above < wave.baseline_milli.saturating_mul(2) {
            continue;
        }
        basis.windows.push(window);
        if busiest.is_some_and(|peak| peak.from < window.to && peak.to > window.from) {
            basis.rates.extend(incident.peak().map(|peak| peak.value));
            basis.times_normal.extend(scale.peak_to_baseline.iter().map(|f| f.value));
        }
        offered.extend(wave.ended.as_ref().map(|e| e.figures.offered));
    }
    basis.counts.push(("Requests", offered.clone()));
    basis.counts.push(("Traffic", offered));
    basis.because = "Traffic far above the baseline is on record.".to_owned();
    basis.finding = Some(match (basis.windows.is_empty(), incident.coverage.is_complete()) {
        (false, _) => Finding::Supported,
        (true, true) => Finding::Contradicted,
        (true, false) => Finding::NotShown,
    });
    basis
}

/// Traffic, of whatever kind: an adjective says what is asserted of it.
fn traffic(incident: &Incident) -> Basis {
    let surge = surge(incident, &|_| true);
    Basis {
        finding: Some(Finding::Supported),
        because: "Traffic is counted.".to_owned(),
        ..surge
    }
}

fn surge_over(incident: &Incident) -> Basis {
    let surge = surge(incident, &|_| true);
    let over = incident.surges.iter().all(|s| s.ended.is_some() || s.overtaken.is_some());
    let finding = if over { surge.finding } else { Some(Finding::Contradicted) };
    let windows = surge.windows.iter().map(|w| TimeWindow::new(w.to, w.to)).collect();
    Basis { finding, windows, because: "The end of the surge is on record.".into(), ..surge }
}

fn adapted(incident: &Incident) -> Basis {
    let changes: Vec<_> =
        incident.waves.iter().flat_map(|w| w.changes.iter().map(move |c| (w, c))).collect();
    let finding = match (changes.is_empty(), incident.coverage.is_complete()) {
        (false, _) => Finding::Supported,
        (true, true) => Finding::Contradicted,
        (true, false) => Finding::NotShown,
    };
    let mut basis = Basis::new(finding, "Changes of tactics are recorded.");
    basis.kind = Some(ClaimKind::Sophisticated);
    basis.leaves = changes.iter().map(|(_, c)| c.stamp.leaf).collect();
    basis.windows =
        changes.iter().map(|(_, c)| TimeWindow::new(c.stamp.at, c.stamp.at)).collect();
    basis.within = changes
        .iter()
        .map(|(w, c)| c.stamp.at.millis().saturating_sub(w.onset.millis()))
        .collect();
    basis.counts = vec![("Tactic", vec![changes.len() as u64])];
    basis
}

fn capacity(incident: &Incident) -> Basis {
    let scale = grade::scale(incident);
    let Some(ratio) = scale.sustained_to_capacity else {
        return Basis::new(Finding::NotShown, "What the origin can handle is not on record.");
    };
    let finding = if ratio.value > 10 { Finding::Supported } else { Finding::NotShown };
    let because = format!("At its busiest, {} of what it was seen to handle.", ratio.text());
    let mut basis = Basis::new(finding, because).leaves(&ratio.leaves);
    basis.kind = Some(ClaimKind::BecauseOfDefences);
    basis.times_capacity = vec![ratio.value];
    basis
}

/// The only sentence about who did it.
pub(super) const ATTRIBUTION: &str = hypotheses::ATTRIBUTION;
