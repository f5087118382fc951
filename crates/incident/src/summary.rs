//! Sums and figures over all waves and platforms of an incident.

use std::collections::BTreeMap;

use portcullis_model::{ConnReason, EvidenceKind};

use crate::{Figure, Incident, LeafSet, PlatformRecord, TimeWindow, Totals, Unit};

impl Incident {
    /// From the first onset to the last end.
    pub fn window(&self) -> TimeWindow {
        TimeWindow::new(self.onset(), self.until())
    }

    /// The attacked platforms' names.
    pub fn attacked(&self) -> Vec<&str> {
        self.platforms.iter().map(|p| p.name.as_str()).collect()
    }

    /// Protected platforms on which no attack was recorded.
    pub fn not_attacked(&self) -> Vec<&str> {
        let names = self.protected.iter().map(|facts| facts.name.as_str());
        names.filter(|name| self.platform(name).is_none()).collect()
    }

    fn merge_totals(&self, part: impl Fn(&PlatformRecord) -> &Totals) -> Totals {
        let mut totals = Totals::default();
        for platform in &self.platforms {
            totals.merge(part(platform));
        }
        totals
    }

    /// What was counted during the waves, on the attacked platforms.
    pub fn attack(&self) -> Totals {
        self.merge_totals(|p| &p.attack)
    }

    /// What was counted while the waves were mitigated, on the attacked platforms.
    pub fn while_mitigated(&self) -> Totals {
        self.merge_totals(|p| &p.while_mitigated)
    }

    /// What was counted in the quiet time before, on the attacked platforms.
    pub fn before(&self) -> Totals {
        self.merge_totals(|p| &p.before)
    }

    /// What was counted while procedures were engaged.
    pub fn engaged(&self) -> Totals {
        self.merge_totals(|p| &p.engaged)
    }

    /// Kinds of evidence over all waves, each with the leaves that record it.
    pub fn evidence(&self) -> Vec<(EvidenceKind, LeafSet)> {
        let mut kinds: BTreeMap<EvidenceKind, LeafSet> = BTreeMap::new();
        for seen in self.waves.iter().flat_map(|wave| &wave.evidence) {
            let leaves = kinds.entry(seen.evidence.kind).or_default();
            leaves.merge(&seen.leaves);
        }
        kinds.into_iter().collect()
    }

    /// The leaves that record detections.
    pub fn detections(&self) -> LeafSet {
        self.waves.iter().map(|wave| wave.detected.leaf).collect()
    }

    /// Whether figures of the attack are lower bounds: something of it was not recorded, or the
    /// limit of connections was reached, so that not everything was counted.
    pub fn saturated(&self) -> bool {
        let attack = self.attack();
        let window = self.window();
        attack.records_lost > 0
            || attack.refused_connections(ConnReason::ConnectionLimit) > 0
            || self.more_waves > 0
            || self.waves.iter().any(|wave| wave.interrupted.is_some())
            || self.coverage.lost_events > 0
            || self
                .coverage
                .gaps
                .iter()
                .any(|gap| self.waves.iter().any(|w| gap.overlaps(w.onset, w.until(window.to))))
    }

    /// The largest number of requests per second that was offered in one tick.
    pub fn peak(&self) -> Option<Figure> {
        let peak = self.attack().peak_offered?;
        Some(
            peak.figure(format!("busiest moment on {}, offered", peak.platform))
                .at_least(self.saturated()),
        )
    }

    /// Requests that procedures are recorded to have stopped.
    pub fn stopped_by_procedures(&self) -> Figure {
        let mut leaves = LeafSet::default();
        let mut stopped: u64 = 0;
        for released in self.procedures.iter().filter_map(|p| p.released.as_ref()) {
            stopped = stopped.saturating_add(released.effect.stopped);
            leaves.add(released.stamp.leaf);
        }
        let unmeasured =
            self.procedures.more > 0 || self.procedures.iter().any(|p| p.released.is_none());
        Figure::new("stopped by procedures", stopped, Unit::Requests, leaves)
            .within(self.procedures_window())
            .at_least(unmeasured)
    }

    /// When at least one procedure was engaged: stretches apart, in order.
    pub fn procedures_engaged(&self) -> Vec<TimeWindow> {
        let mut windows: Vec<TimeWindow> = self
            .procedures
            .iter()
            .map(|p| {
                let end = p.released.as_ref().map(|r| r.stamp).or(p.interrupted);
                TimeWindow::new(p.engaged.at, end.map_or(self.as_of.at, |s| s.at))
            })
            .collect();
        windows.sort_by_key(|w| (w.from, w.to));
        let mut stretches: Vec<TimeWindow> = Vec::new();
        for window in windows {
            match stretches.last_mut() {
                Some(last) if window.from <= last.to => *last = last.with(window),
                _ => stretches.push(window),
            }
        }
        stretches
    }

    /// From the first procedure's engagement to the last one's release.
    pub fn procedures_window(&self) -> Option<TimeWindow> {
        self.procedures_engaged().into_iter().reduce(TimeWindow::with)
    }
}
