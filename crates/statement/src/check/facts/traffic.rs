//! Surges, changes of tactics, capacity, and receipts.

use portcullis_incident::{Incident, TimeWindow, grade};

use super::Facts;
use super::basis::{Basis, ClauseScope, lengths};
use crate::{ClaimKind, Finding};

impl Facts<'_> {
    /// A surge on the platforms and activities that a scope names.
    pub(super) fn surge(&self, incident: &Incident, scope: &ClauseScope) -> Basis {
        let then = |window: TimeWindow| {
            scope.moments.iter().all(|m| m.holds(window, self.context) == Some(true))
        };
        let mut basis = Self::surge_then(incident, &then);
        if basis.windows.is_empty() {
            // At another time: its times say so.
            basis = Self::surge_then(incident, &|_| true);
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
                return Basis {
                    finding: Some(finding),
                    because: because.into(),
                    ..Basis::default()
                };
            }
        }
        basis
    }

    /// The receipt of a recipient.
    pub(crate) fn reported(&self, recipients: &[usize]) -> Basis {
        let mut basis = Basis::new(Finding::Supported, "A receipt is on record.");
        basis.kind = Some(ClaimKind::Reported);
        let made = self.incident.map_or(0, |i| i.notifications.count());
        basis.counts = vec![("Report", vec![made])];
        if recipients.is_empty() {
            let all = self.incident.iter().flat_map(|i| i.notifications.iter());
            for notification in all {
                let at = notification.receipt.notified_at;
                basis.windows.push(TimeWindow::new(at, at));
                basis.leaves.push(notification.stamp.leaf);
            }
            if basis.windows.is_empty() {
                basis.finding = Some(Finding::NotShown);
                basis.because = String::from("No receipt is on record.");
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
                        let before =
                            i.waves.iter().filter_map(|w| w.ended.as_ref()).map(|e| e.stamp.at);
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

impl Facts<'_> {
    pub(super) fn large_here(incident: &Incident) -> Basis {
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
            None => Self::surge_then(incident, &|_| true),
        };
        basis.kind = Some(ClaimKind::LargeScale);
        basis
    }

    /// Far more traffic than usual, of whatever cause, at the times that `then` accepts.
    pub(super) fn surge_then(incident: &Incident, then: &dyn Fn(TimeWindow) -> bool) -> Basis {
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
            basis
                .times_normal
                .extend((surge.per_second * 10_000).checked_div(surge.baseline_milli));
        }
        basis.counts = vec![("Surge", vec![basis.windows.len() as u64])];
        basis.lasted = lengths(&basis.windows, false);
        let busiest = incident.peak().and_then(|peak| peak.window);
        for wave in &incident.waves {
            let window = TimeWindow::new(wave.onset, wave.until(as_of));
            let above =
                wave.ended.as_ref().map_or(0, |e| e.figures.peak_offered_per_second * 1_000);
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
        basis.because = String::from("Traffic far above the baseline is on record.");
        basis.finding = Some(match (basis.windows.is_empty(), incident.coverage.is_complete()) {
            (false, _) => Finding::Supported,
            (true, true) => Finding::Contradicted,
            (true, false) => Finding::NotShown,
        });
        basis
    }

    /// Traffic, of whatever kind: an adjective says what is asserted of it.
    pub(super) fn traffic(incident: &Incident) -> Basis {
        let surge = Self::surge_then(incident, &|_| true);
        Basis {
            finding: Some(Finding::Supported),
            because: "Traffic is counted.".to_owned(),
            ..surge
        }
    }

    pub(super) fn surge_over(incident: &Incident) -> Basis {
        let surge = Self::surge_then(incident, &|_| true);
        let over = incident.surges.iter().all(|s| s.ended.is_some() || s.overtaken.is_some());
        let finding = if over { surge.finding } else { Some(Finding::Contradicted) };
        let windows = surge.windows.iter().map(|w| TimeWindow::new(w.to, w.to)).collect();
        Basis { finding, windows, because: "The end of the surge is on record.".into(), ..surge }
    }

    pub(super) fn adapted(incident: &Incident) -> Basis {
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

    pub(super) fn capacity(incident: &Incident) -> Basis {
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
}
