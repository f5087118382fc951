//! Leaves in, incidents out.

use portcullis_model::{Entry, Event, Subject, WallTime};

use crate::gate_run::GateRun;
use crate::incident::{Lookbacks, PlatformEvent};
use crate::recent::Recent;
use crate::{Gap, GapCause, Incident, LeafRef, Opening};

/// Folds leaves into incidents.
pub fn fold(entries: impl IntoIterator<Item = (u64, Entry)>) -> Vec<Incident> {
    let mut fold = Fold::default();
    for (leaf, entry) in entries {
        fold.push(leaf, &entry);
    }
    fold.finish()
}

/// The fold, entry by entry. Memory is bounded by the number of incidents and platforms, not by
/// the length of the ledger.
///
/// It knows the subjects of events, not their kinds: what a kind of event about a platform adds is
/// in its module of `incident`.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    incidents: Vec<Incident>,
    lookbacks: Lookbacks,
    gate: GateRun,
    gaps: Recent<Gap, 64>,
    last: Option<LeafRef>,
}

impl Fold {
    /// Takes the next leaf. Leaves come in the order of the ledger.
    pub fn push(&mut self, leaf: u64, entry: &Entry) {
        let stamp = LeafRef { at: entry.at, leaf };
        let previous = self.last.replace(stamp);
        match entry.event.subject() {
            Subject::Gate => self.apply_gate_event(stamp, previous, &entry.event),
            Subject::Platform(platform) => {
                self.apply_platform_event(&PlatformEvent { stamp, platform, event: &entry.event });
            }
            Subject::Recipient(_) => self.apply_receipt(stamp, &entry.event),
            Subject::Unknown => {
                if let Some(incident) = self.open_incident(stamp.at) {
                    incident.coverage.add_unknown_event();
                }
            }
        }
    }

    /// The incidents, in the order in which they began.
    pub fn finish(mut self) -> Vec<Incident> {
        if let Some(last) = self.last {
            for incident in &mut self.incidents {
                incident.as_of = last;
            }
        }
        self.incidents
    }

    /// The incident that events at `at` belong to: the latest, if it is open.
    fn open_incident(&mut self, at: WallTime) -> Option<&mut Incident> {
        self.incidents.last_mut().filter(|incident| incident.is_open(at))
    }

    fn apply_gate_event(&mut self, stamp: LeafRef, previous: Option<LeafRef>, event: &Event) {
        let change = self.gate.apply(stamp, previous, event);
        if let Some(ended) = change.ended {
            self.lookbacks.gate_ended(stamp.at);
            if let Some(incident) = self.incidents.last_mut() {
                incident.interrupt(ended);
            }
        }
        if let Some(gap) = change.gap {
            self.add_gap(gap);
        }
        let rehearsal = self.gate.start().is_some_and(|start| start.rehearsal);
        if self.open_incident(stamp.at).is_none()
            && let Some(onset) = event.opens_incident(stamp.at)
        {
            self.begin_incident(Opening { stamp, onset });
        }
        if let Some(incident) = self.open_incident(stamp.at) {
            incident.apply_gate_event(stamp, event);
            incident.rehearsal |= rehearsal;
        }
    }

    fn apply_platform_event(&mut self, now: &PlatformEvent<'_>) {
        let Some(lookback) = self.lookbacks.find_or_begin(now.platform) else {
            return;
        };
        if let Some(window) = lookback.apply(now) {
            let cause = GapCause::NoTally { platform: now.platform.to_owned() };
            self.add_gap(Gap { window, cause, leaf: now.stamp.leaf });
        }
        let onset = now.onset();
        if self.open_incident(now.stamp.at).is_none() {
            let Some(onset) = onset else {
                return;
            };
            self.begin_incident(Opening { stamp: now.stamp, onset });
        }
        if let (Some(incident), Some(lookback)) =
            (self.incidents.last_mut(), self.lookbacks.get(now.platform))
        {
            incident.apply(now, lookback);
        }
    }

    fn begin_incident(&mut self, opened: Opening) {
        let mut incident = Incident::open(opened, self.gate.start());
        // Only a wall clock that was set back makes two incidents begin at the same time.
        let plain = incident.id.clone();
        let mut again = 2;
        while self.incidents.iter().any(|other| other.id == incident.id) {
            incident.id = format!("{plain}-{again}");
            again += 1;
        }
        for gap in self.gaps.iter().filter(|gap| gap.window.to >= opened.onset) {
            incident.coverage.add_gap(gap);
        }
        // What happened on other platforms within a day before is near it too.
        for lookback in self.lookbacks.iter() {
            incident.add_nearby(lookback);
        }
        self.incidents.push(incident);
    }

    fn apply_receipt(&mut self, stamp: LeafRef, event: &Event) {
        if let Event::ReceiptRecorded(receipt) = event {
            let mut newest = self.incidents.iter_mut().rev();
            newest.any(|incident| incident.add_receipt(stamp, receipt));
        }
    }

    fn add_gap(&mut self, gap: Gap) {
        if let Some(incident) = self.incidents.last_mut() {
            incident.add_gap(&gap);
        }
        self.gaps.push(gap);
    }
}
