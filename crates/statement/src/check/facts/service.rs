//! Outages, degradations, the cost of defence, and the way back.

use portcullis_incident::{Incident, LeafSet, TimeWindow, words};
use portcullis_model::Reason;

use super::Facts;
use super::basis::{Basis, ClauseScope, MINOR_BASIS_POINTS, lengths, share};
use crate::{ClaimKind, Finding};

impl Facts<'_> {
    /// Outages that a scope means.
    pub(super) fn outages<'i>(
        &self,
        incident: &'i Incident,
        scope: &ClauseScope,
    ) -> Vec<&'i portcullis_incident::OutageRecord> {
        let platforms = self.platforms(scope);
        let mine = incident
            .outages
            .iter()
            .filter(|outage| platforms.is_empty() || platforms.contains(&outage.platform.as_str()));
        match scope.ordinal {
            Some(n) => mine.skip(n.saturating_sub(1) as usize).take(1).collect(),
            None => mine.collect(),
        }
    }

    pub(super) fn down(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
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
        basis.windows = outages.iter().map(|o| TimeWindow::new(o.onset, o.until(as_of))).collect();
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
    pub(super) fn up_now(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
        let lasting = self.outages(incident, scope).iter().any(|outage| outage.ended.is_none());
        let mut basis = match (lasting, incident.coverage.is_complete()) {
            (true, _) => Basis::new(Finding::Contradicted, "An outage has no end on record."),
            (false, true) => {
                Basis::new(Finding::Supported, "No outage lasts where the record ends.")
            }
            (false, false) => {
                Basis::new(Finding::NotShown, "Something is missing from the record.")
            }
        };
        basis.kind = Some(ClaimKind::Restored);
        basis.all_sites = Some(!lasting);
        let outages = incident.outages.iter().filter_map(|outage| outage.ended);
        basis.windows = outages.map(|end| TimeWindow::new(end.at, end.at)).collect();
        basis
    }

    /// Whether something lasts where the record ends.
    pub(crate) fn lasts(&self, predicate: &str) -> bool {
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

    pub(super) fn stayed_up(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
        let down = self.down(incident, scope);
        if down.finding == Some(Finding::Supported) {
            return Basis {
                finding: Some(Finding::Contradicted),
                because: "An outage is on record.".to_owned(),
                ..down
            };
        }
        let claim = self.of_claim(ClaimKind::StayedUp);
        let named = self.platforms(scope);
        let spared =
            !named.is_empty() && named.iter().all(|name| incident.platform(name).is_none());
        if spared || incident.waves.is_empty() {
            // A platform without an attack: its outages are watched all the same.
            let finding = match down.finding {
                Some(Finding::Contradicted) => Finding::Supported,
                _ => Finding::NotShown,
            };
            let mut basis =
                Basis::new(finding, "No outage of it is on record, and it was watched.");
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
            basis.shares.extend(totals.and_then(portcullis_incident::ActivityTotals::served_share));
        }
        if basis.shares.is_empty() {
            basis.shares.extend(attack.served_share());
        }
        basis.affected = basis.shares.first().map(|share| 10_000 - share);
        let waves = self.waves(incident, scope);
        basis.windows =
            waves.iter().map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at))).collect();
        basis
    }

    pub(super) fn served(
        &self,
        incident: &Incident,
        scope: &ClauseScope,
        predicate: &str,
    ) -> Basis {
        let outages = self.outages(incident, scope);
        let (mut unserved, mut served): (u64, u64) = (0, 0);
        let mut basis = Basis::default();
        if incident.waves.is_empty() {
            for outage in &outages {
                unserved += outage.unserved;
                served += outage.served;
                basis = basis.leaves(&outage.leaves());
            }
            basis.windows = outages
                .iter()
                .map(|o| TimeWindow::new(o.onset, o.until(incident.as_of.at)))
                .collect();
            basis.lasted = lengths(&basis.windows, scope.total);
        } else {
            let attack = incident.attack();
            served = attack.outcomes.get("served").copied().unwrap_or(0);
            let share = attack.served_share().unwrap_or(10_000);
            unserved = attack.forwarded.saturating_sub(served);
            basis.shares = vec![if predicate == "served" { share } else { 10_000 - share }];
            basis = basis.leaves(&attack.leaves);
            let waves = self.waves(incident, scope);
            basis.windows = waves
                .iter()
                .map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at)))
                .collect();
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

    pub(super) fn disrupted(
        &self,
        incident: &Incident,
        scope: &ClauseScope,
        predicate: &str,
    ) -> Basis {
        let down = self.down(incident, scope);
        let slowed = self.of_claim(ClaimKind::SlowedDown);
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
        let degraded = Self::degraded(incident);
        let was_slow = degraded.finding == Some(Finding::Supported)
            || slowed.finding == Finding::Supported.into();
        let was_down = predicate == "disrupted" && down.finding == Some(Finding::Supported);
        let unanswered = incident.attack().served_share().map(|share| 10_000 - share);
        let some = unanswered.is_some_and(|n| n > 0);
        let mut basis = if was_down {
            down.clone()
        } else if was_slow || (some && predicate == "disrupted") {
            let finding = Finding::Supported;
            Basis {
                finding: Some(finding),
                leaves: slowed.leaves.clone(),
                ..Basis::new(
                    finding,
                    "The cost of the procedures, or a time when the origin was degraded, is on record.",
                )
            }
        } else {
            slowed.clone()
        };
        basis.kind = Some(ClaimKind::SlowedDown);
        let as_of = incident.as_of.at;
        let waves = self.waves(incident, scope);
        basis.windows.extend(waves.iter().map(|w| TimeWindow::new(w.onset, w.until(as_of))));
        basis.windows.extend(degraded.windows.clone());
        basis.windows.extend(down.windows.clone());
        basis.lasted.clone_from(&down.lasted);
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
        basis.counts =
            vec![("Requests", vec![delayed, passed]), ("GoodRequests", vec![delayed, passed])];
        if !down.windows.is_empty() {
            basis.counts.push(("Disruption", vec![down.windows.len() as u64]));
        }
        basis
    }

    /// A procedure is engaged where the record ends.
    pub(super) fn in_place(&self, incident: &Incident) -> Basis {
        let live: u64 = incident.platforms.iter().map(|p| p.still_active).sum();
        let released = self.with_kind(ClaimKind::Restored);
        let finding = match (live, released) {
            (0, Some(Finding::Supported)) => Finding::Contradicted,
            (0, _) => Finding::NotShown,
            _ => Finding::Supported,
        };
        let mut basis = Basis::new(finding, "The release of each procedure is on record.");
        basis.kind = Some(ClaimKind::Restored);
        basis
    }

    fn with_kind(&self, kind: ClaimKind) -> Option<Finding> {
        self.claim(kind).map(|claim| claim.finding)
    }

    /// The origin answers again as it did: after an outage, or after it was degraded.
    pub(super) fn recovered(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
        if !self.outages(incident, scope).is_empty() {
            return self.restored(incident, scope);
        }
        let degraded = Self::degraded(incident);
        let back = incident.degradations.iter().all(|d| d.recovered.is_some());
        let finding = match (degraded.windows.is_empty(), back) {
            (true, _) => Finding::NotShown,
            (false, true) => Finding::Supported,
            (false, false) => Finding::Contradicted,
        };
        let within = degraded.windows.iter().map(|w| w.millis()).max().into_iter().collect();
        let windows = degraded.windows.iter().map(|w| TimeWindow::new(w.to, w.to)).collect();
        let because = "The end of each time when the origin was degraded is on record.".to_owned();
        Basis { finding: Some(finding), because, windows, within, ..degraded }
    }

    /// Few requests went unanswered, and no visitor was refused or delayed by more than a challenge.
    pub(super) fn low_impact(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
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

    pub(super) fn restored(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
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
            false => Self::with_releases(self.of_claim(ClaimKind::Restored), incident),
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

    pub(super) fn with_releases(mut basis: Basis, incident: &Incident) -> Basis {
        let released: Vec<_> =
            incident.procedures.iter().filter_map(|p| p.released.as_ref()).collect();
        basis.windows = released.iter().map(|r| TimeWindow::new(r.stamp.at, r.stamp.at)).collect();
        basis.counts = vec![("Measure", vec![released.len() as u64])];
        basis
    }

    pub(super) fn normal(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
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
            basis.windows = incident
                .outages
                .iter()
                .filter_map(|o| o.ended)
                .map(|e| TimeWindow::new(e.at, e.at))
                .collect();
            basis.kind = Some(ClaimKind::FullSpeed);
            return basis;
        }
        let mut basis = self.of_claim(ClaimKind::FullSpeed);
        basis.all_sites = Some(settled && basis.finding == Some(Finding::Supported));
        let back = incident.platforms.iter().filter_map(|p| incident.back_at_full_speed(&p.name));
        basis.windows = back.map(|b| TimeWindow::new(b.since, b.stamp.at)).collect();
        basis
    }

    /// Normal again, after it was not.
    pub(super) fn returned(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
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

    /// When the first failure began, and the last one ended: outages, degradations and waves.
    pub(super) fn failures(
        &self,
        incident: &Incident,
        scope: &ClauseScope,
        predicate: &str,
    ) -> Basis {
        let whole = ClauseScope { ordinal: None, ..scope.clone() };
        let mut windows = self.down(incident, &whole).windows;
        windows.extend(Self::degraded(incident).windows);
        if windows.is_empty() {
            windows = self.with_waves(Basis::default(), incident, &whole).windows;
        }
        let begins = predicate == "failure-begin";
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
}

impl Facts<'_> {
    pub(super) fn degraded(incident: &Incident) -> Basis {
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

    pub(super) fn challenged(incident: &Incident) -> Basis {
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

    pub(super) fn refused(incident: &Incident) -> Basis {
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
}
