//! Leaves in, incidents out.

mod gate_start;
mod lookback;
mod open;

use core::time::Duration;
use std::collections::BTreeMap;

use portcullis_model::{Entry, Event, Receipt, Tally, WallTime};

use self::gate_start::GateStart;
pub use self::gate_start::JOIN;
use self::lookback::Lookback;
use crate::incident::{Incident, LeafRef, Notification};
use crate::{Coverage, Gap, GapCause, TimeWindow};

/// A receipt belongs to the latest incident that had begun when the recipient was notified, within
/// this time of its onset: final reports are due a month after (NIS2, article 23).
const RECEIPT_WINDOW: Duration = Duration::from_hours(31 * 24);

/// Two tallies further apart than this leave a gap between them.
const TALLY_GAP_MS: u64 = 1_500;

/// Receipts kept per incident.
const RECEIPTS: usize = 256;

/// Gaps remembered while no incident is open.
const RECENT_GAPS: usize = 64;

/// Platforms that are followed. Configuration names a handful; beyond this, a ledger is made up.
const PLATFORMS: usize = 1_024;

/// Folds leaves into incidents. Memory is bounded by the number of incidents and platforms, not
/// by the length of the ledger.
pub fn fold(entries: impl IntoIterator<Item = (u64, Entry)>) -> Vec<Incident> {
    let mut fold = Fold::default();
    for (leaf, entry) in entries {
        fold.push(leaf, &entry);
    }
    fold.finish()
}

/// The fold, entry by entry.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    incidents: Vec<Incident>,
    lookbacks: BTreeMap<String, Lookback>,
    start: Option<GateStart>,
    running: bool,
    last: Option<LeafRef>,
    gaps: std::collections::VecDeque<Gap>,
}

impl Fold {
    /// Takes the next leaf. Leaves come in the order of the ledger.
    pub fn push(&mut self, leaf: u64, entry: &Entry) {
        let stamp = LeafRef { at: entry.at, leaf };
        let previous = self.last.replace(stamp);
        match &entry.event {
            Event::Started { version, configuration, platforms, rehearsal, workers: _ } => {
                self.gate_started(stamp, previous);
                self.start = Some(GateStart {
                    version: version.clone(),
                    configuration: configuration.clone(),
                    platforms: platforms.clone(),
                    rehearsal: *rehearsal,
                });
                if let Some(incident) = self.open_incident(stamp.at) {
                    incident.rehearsal |= *rehearsal;
                }
            }
            Event::Reloaded { configuration, platforms } => {
                if let Some(start) = &mut self.start {
                    start.configuration.clone_from(configuration);
                    start.platforms.clone_from(platforms);
                }
            }
            Event::ReloadRefused { .. } => {}
            Event::Stopped => {
                self.running = false;
                self.interrupt(stamp);
            }
            Event::RecordingGap { since, lost } => self.add_gap(Gap {
                window: TimeWindow::new(*since, stamp.at),
                cause: GapCause::Recording { lost: *lost },
                leaf,
            }),
            Event::Tallied(tally) => self.add_tally(leaf, tally),
            Event::ReceiptRecorded(receipt) => self.notified(stamp, receipt),
            other => {
                if let Some(platform) = other.platform() {
                    let platform = platform.to_owned();
                    self.apply_event(stamp, &platform, other);
                }
            }
        }
        // A crash is seen by the next start; its gap begins at the last leaf before it.
        if !matches!(entry.event, Event::Stopped) {
            self.running = true;
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

    /// The incident that events at `at` belong to: the latest, during a wave or within
    /// [`JOIN`] of its last end.
    fn open_incident(&mut self, at: WallTime) -> Option<&mut Incident> {
        let incident = self.incidents.last_mut()?;
        let open = incident.ongoing() || at <= incident.until() + JOIN;
        open.then_some(incident)
    }

    fn gate_started(&mut self, stamp: LeafRef, previous: Option<LeafRef>) {
        let Some(previous) = previous else {
            return; // the ledger's first leaf
        };
        let last = previous.at.min(stamp.at);
        let cause = if self.running { GapCause::Crash } else { GapCause::Stopped };
        // Everything open ended with the last leaf before the crash; this leaf shows that it did.
        self.interrupt(LeafRef { at: last, leaf: stamp.leaf });
        for lookback in self.lookbacks.values_mut() {
            lookback.restarted(stamp.at);
        }
        self.add_gap(Gap { window: TimeWindow::new(last, stamp.at), cause, leaf: stamp.leaf });
    }

    /// The gate stopped or crashed: nothing that was open is seen to its end.
    fn interrupt(&mut self, stamp: LeafRef) {
        for lookback in self.lookbacks.values_mut() {
            lookback.engaged_procedures.clear();
            lookback.surge = None;
        }
        let Some(incident) = self.incidents.last_mut() else {
            return;
        };
        for wave in incident.waves.iter_mut().filter(|wave| wave.ongoing()) {
            wave.interrupted = Some(stamp);
        }
        for procedure in incident.procedures.items.iter_mut().filter(|p| p.is_engaged()) {
            procedure.interrupted = Some(stamp);
        }
        for platform in &mut incident.platforms {
            platform.still_active = 0;
        }
    }

    fn add_gap(&mut self, gap: Gap) {
        let lost = match gap.cause {
            GapCause::Recording { lost } => lost,
            _ => 0,
        };
        if let Some(incident) = self.incidents.last_mut() {
            let until = incident.until();
            let restored = |name: &str| incident.back_at_full_speed(name).is_some();
            // After the waves, only the time until full speed matters.
            let unrestored = !incident.platforms.iter().all(|p| restored(&p.name));
            let since = gap.window.from;
            if incident.ongoing() || since <= until || (unrestored && since <= until + JOIN) {
                incident.coverage.lost_events = incident.coverage.lost_events.saturating_add(lost);
                incident.coverage.gaps.add(gap.clone(), Coverage::GAPS);
            }
        }
        if self.gaps.len() == RECENT_GAPS {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap);
    }

    fn notified(&mut self, stamp: LeafRef, receipt: &Receipt) {
        let began = |incident: &&mut Incident| {
            let onset = incident.onset();
            onset <= receipt.notified_at && receipt.notified_at <= onset + RECEIPT_WINDOW
        };
        if let Some(incident) = self.incidents.iter_mut().rev().find(began) {
            let receipt = receipt.clone();
            incident.notifications.add(Notification { stamp, receipt }, RECEIPTS);
        }
    }

    fn add_tally(&mut self, leaf: u64, tally: &Tally) {
        let Some(lookback) = lookback_for(&mut self.lookbacks, &tally.platform) else {
            return;
        };
        let gap = lookback
            .last_tally
            .filter(|last| tally.from.millis().saturating_sub(last.millis()) > TALLY_GAP_MS);
        lookback.add_tally(leaf, tally);
        if let Some(last) = gap {
            self.add_gap(Gap {
                window: TimeWindow::new(last, tally.from),
                cause: GapCause::NoTally { platform: tally.platform.clone() },
                leaf,
            });
        }
        let Some(lookback) = self.lookbacks.get(&tally.platform) else {
            return;
        };
        if let Some(incident) = self.incidents.last_mut() {
            open::add_tally(incident, lookback, leaf, tally);
        }
    }

    /// An event about one platform.
    fn apply_event(&mut self, stamp: LeafRef, platform: &str, event: &Event) {
        let joins = self.open_incident(stamp.at).is_some();
        let Some(lookback) = lookback_for(&mut self.lookbacks, platform) else {
            return;
        };
        lookback.apply(stamp, event);
        if let Event::AttackBegan { onset, .. } = event {
            if !joins {
                let mut incident = open::begin(*onset, stamp, self.start.as_ref());
                let taken = |id: &str| self.incidents.iter().any(|i| i.id == id);
                // Only a wall clock that was set back makes two incidents begin at the same time.
                let plain = incident.id.clone();
                let mut again = 2;
                while taken(&incident.id) {
                    incident.id = format!("{plain}-{again}");
                    again += 1;
                }
                for gap in self.gaps.iter().filter(|gap| gap.window.to >= *onset) {
                    if let GapCause::Recording { lost } = gap.cause {
                        let sum = &mut incident.coverage.lost_events;
                        *sum = sum.saturating_add(lost);
                    }
                    incident.coverage.gaps.add(gap.clone(), Coverage::GAPS);
                }
                self.incidents.push(incident);
                // What happened on other platforms within a day before is near it too.
                if let Some(incident) = self.incidents.last_mut() {
                    for lookback in self.lookbacks.values() {
                        open::add_nearby_events(incident, lookback, *onset);
                    }
                }
            }
        } else if !joins {
            return;
        }
        let (Some(incident), Some(lookback)) =
            (self.incidents.last_mut(), self.lookbacks.get(platform))
        else {
            return;
        };
        open::apply_event(incident, lookback, stamp, platform, event);
    }
}

fn lookback_for<'a>(
    lookbacks: &'a mut BTreeMap<String, Lookback>,
    platform: &str,
) -> Option<&'a mut Lookback> {
    if lookbacks.len() >= PLATFORMS && !lookbacks.contains_key(platform) {
        return None;
    }
    Some(lookbacks.entry(platform.to_owned()).or_default())
}
