//! Waves of attack and what was done about them.

use portcullis_incident::{Incident, TimeWindow, WaveRecord, grade, words};
use portcullis_model::SourceCount;

use super::Facts;
use super::basis::{BRIEF_MS, Basis, ClauseScope, LONG_MS, lengths, share};
use crate::{ClaimKind, Finding};

impl<'a> Facts<'a> {
    /// The waves that a scope means.
    pub(super) fn waves(&self, incident: &'a Incident, scope: &ClauseScope) -> Vec<&'a WaveRecord> {
        let platforms = self.platforms(scope);
        let mine = incident
            .waves
            .iter()
            .filter(|wave| platforms.is_empty() || platforms.contains(&wave.platform.as_str()));
        match scope.ordinal {
            Some(n) => mine.skip(n.saturating_sub(1) as usize).take(1).collect(),
            None => mine.collect(),
        }
    }

    pub(super) fn attack(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
        let claim = self.of_claim(ClaimKind::Attack);
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
                    && site
                        .activity
                        .as_ref()
                        .is_none_or(|activity| wave.activities.contains(activity))
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

    pub(super) fn only_these(
        &self,
        incident: &Incident,
        scope: &ClauseScope,
        named: &[&str],
    ) -> bool {
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
    pub(super) fn with_waves(
        &self,
        mut basis: Basis,
        incident: &Incident,
        scope: &ClauseScope,
    ) -> Basis {
        let waves = self.waves(incident, scope);
        let as_of = incident.as_of.at;
        basis.windows = waves.iter().map(|w| TimeWindow::new(w.onset, w.until(as_of))).collect();
        basis.lasted = lengths(&basis.windows, scope.total);
        basis.each = basis.windows.iter().map(|w| w.millis()).collect();
        let all =
            waves.len() as u64 + if scope.ordinal.is_none() { incident.more_waves } else { 0 };
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
        let sources =
            figures().filter_map(|f| f.sources.or(Some(f.peak_sources))).filter_map(about);
        let peak_sources = figures().map(|f| f.peak_sources).filter_map(about);
        let scale = grade::scale(incident);
        basis.rates = peaks;
        basis.times_normal = scale.peak_to_baseline.iter().map(|f| f.value).collect();
        basis.times_capacity = scale.sustained_to_capacity.iter().map(|f| f.value).collect();
        basis.counts = vec![
            ("Attack", vec![all]),
            ("Wave", vec![all]),
            ("Site", vec![incident.platforms.len() as u64]),
            ("Requests", offered.clone()),
            ("Traffic", offered),
            ("Sources", sources.chain(peak_sources).collect()),
            ("Connections", figures().map(|f| f.peak_stalled_headers).filter(|n| *n > 0).collect()),
        ];
        basis
    }

    pub(super) fn course(
        &self,
        incident: &Incident,
        scope: &ClauseScope,
        predicate: &str,
    ) -> Basis {
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
                basis.finding = self.of_claim(ClaimKind::Attack).finding;
            }
            "ongoing" => basis.finding = Some(over.of_the_negation()),
            _ => basis.windows = moments(false),
        }
        basis
    }

    /// Small by published figures.
    pub(super) fn small(&self) -> Basis {
        let large = self.of_claim(ClaimKind::LargeScale);
        Basis { finding: large.finding.map(Finding::of_the_negation), ..large }
    }

    pub(super) fn length(
        &self,
        incident: &Incident,
        scope: &ClauseScope,
        predicate: &str,
    ) -> Basis {
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

    pub(super) fn detected(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
        let mut basis = self.of_claim(ClaimKind::Detected);
        let waves = self.waves(incident, scope);
        basis.windows =
            waves.iter().map(|w| TimeWindow::new(w.detected.at, w.detected.at)).collect();
        basis.within = waves.iter().map(|w| w.time_to_detect_ms()).max().into_iter().collect();
        basis.counts =
            vec![("Attack", vec![waves.len() as u64]), ("Wave", vec![waves.len() as u64])];
        self.sites_attacked_or_contradicted(basis, incident, scope)
    }

    pub(super) fn sites_attacked_or_contradicted(
        &self,
        basis: Basis,
        incident: &Incident,
        scope: &ClauseScope,
    ) -> Basis {
        let attack = self.attack(incident, scope);
        if attack.finding == Some(Finding::Contradicted) { attack } else { basis }
    }

    pub(super) fn acted(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
        let waves = self.waves(incident, scope);
        let engaged = |wave: &WaveRecord| {
            let until = wave.until(incident.as_of.at);
            let procedures =
                incident.procedures.iter().filter(|p| p.facts.platform == wave.platform);
            procedures.map(|p| p.engaged).filter(|at| at.at >= wave.onset && at.at <= until).min()
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

    pub(super) fn mitigated(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
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
        basis.counts =
            vec![("Attack", vec![waves.len() as u64]), ("Wave", vec![waves.len() as u64])];
        let open = waves.iter().map(|w| w.unmitigated_ms(incident.as_of.at)).sum();
        basis.lasted = vec![open];
        basis
    }

    pub(super) fn failed(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
        let basis = self.of_claim(ClaimKind::AttemptsFailed);
        let waves = self.waves(incident, scope);
        let windows = waves.iter().map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at)));
        let windows = windows.collect();
        let within = self.mitigated(incident, scope).within;
        let counts = vec![("Attack", vec![waves.len() as u64]), ("Wave", vec![waves.len() as u64])];
        let basis = Basis { windows, within, counts, ..basis };
        self.sites_attacked_or_contradicted(basis, incident, scope)
    }

    pub(super) fn blocked(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
        let attack = incident.attack();
        let by_procedures = incident.stopped_by_procedures();
        let waves = self.waves(incident, scope);
        let figures = || waves.iter().filter_map(|w| w.ended.as_ref()).map(|e| &e.figures);
        let mut stopped: Vec<u64> = figures().map(|f| f.stopped).collect();
        let mut shares: Vec<u64> = figures().filter_map(|f| share(f.stopped, f.offered)).collect();
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
        basis.windows =
            waves.iter().map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at))).collect();
        basis.counts = vec![
            ("Requests", stopped.clone()),
            ("Traffic", stopped.clone()),
            ("Attack", vec![waves.len() as u64]),
        ];
        basis.affected = shares.first().copied();
        basis.shares = shares;
        basis
    }

    /// The lengths and sizes of two events in order, for a comparison; `None` if one is not on record.
    pub(crate) fn compared(
        &self,
        predicate: &str,
        a: &ClauseScope,
        b: &ClauseScope,
    ) -> Option<(u64, u64)> {
        let incident = self.incident?;
        let length = |scope: &ClauseScope| {
            let waves = self.with_waves(Basis::default(), incident, scope).windows;
            let windows = if waves.is_empty() { self.down(incident, scope).windows } else { waves };
            let one = <[TimeWindow; 1]>::try_from(windows).ok()?;
            Some(one[0].millis())
        };
        let size = |scope: &ClauseScope| {
            let waves = self.waves(incident, scope);
            let [wave] = waves[..] else { return None };
            Some(wave.ended.as_ref()?.figures.offered)
        };
        match predicate {
            "longer" | "shorter" => Some((length(a)?, length(b)?)),
            _ => Some((size(a)?, size(b)?)),
        }
    }
}

pub(super) fn about(count: SourceCount) -> Option<u64> {
    match count {
        SourceCount::About(n) => Some(n),
        SourceCount::UnderTen => None,
    }
}
