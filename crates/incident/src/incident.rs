//! An incident, and what each kind of event adds to it.
//!
//! Every kind of event has a module here with the record that it leaves, what is remembered of it
//! while no incident is open, what it adds to an incident, and its sentences in the timeline. This
//! file lists the kinds: in the fields of [`Incident`], in `apply` and in `timeline`.

// module order: gate_floods platform_event notifications
// module order: tallies degradations surges outages
// module order: waves
// module order: full_speed posture_changes
// module order: platforms
// module order: procedures
// module order: lookback
// module order: history

mod degradations;
mod full_speed;
mod gate_floods;
mod history;
mod lookback;
mod notifications;
mod outages;
mod platform_event;
mod platforms;
mod posture_changes;
mod procedures;
mod surges;
mod tallies;
mod waves;

use portcullis_model::{Event, PlatformFacts, Receipt, WallTime};
use serde::Serialize;

pub use self::degradations::DegradationRecord;
pub use self::full_speed::FullSpeedAt;
pub use self::gate_floods::{GateFloodEnd, GateFloodRecord};
pub use self::history::{History, HistoryFold};
pub(crate) use self::lookback::{Lookback, Lookbacks};
pub use self::notifications::Notification;
pub use self::outages::OutageRecord;
pub(crate) use self::platform_event::PlatformEvent;
pub use self::platforms::PlatformRecord;
pub use self::posture_changes::PostureChange;
pub use self::procedures::{ProcedureRecord, ProcedureRelease};
pub use self::surges::SurgeRecord;
pub use self::waves::{
    Adaptation, AttackChange, EvidenceSummary, JOIN, Mitigation, WaveEnd, WaveRecord,
};
use crate::gate_start::GateStart;
use crate::timeline::{Timeline, TimelineEntry};
use crate::{BoundedList, Coverage, Gap, LeafRef};

/// The event that opened an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Opening {
    /// When it was recorded, and its leaf.
    pub stamp: LeafRef,
    /// When what it records began.
    pub onset: WallTime,
}

/// Waves of attack and other events that belong together, with everything recorded of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// `I-YYYYMMDD-HHMMSS`: the onset in UTC. Stays the same as the ledger grows.
    pub id: String,
    /// The event that opened it.
    pub opened: Opening,
    /// True for a drill or a replay: nothing of this is about a real attack.
    pub rehearsal: bool,
    /// Portcullis' version at the onset, if the ledger holds its start.
    pub version: Option<String>,
    /// SHA-256 of the configuration at the onset, in hex, if the ledger holds its start.
    pub configuration: Option<String>,
    /// Platforms that were protected at the onset.
    pub protected: Vec<PlatformFacts>,
    /// Platforms that it concerns: those that were attacked.
    pub platforms: Vec<PlatformRecord>,
    /// The waves, in the order in which they were detected.
    pub waves: Vec<WaveRecord>,
    /// Waves beyond the limit of waves that are listed (the first ones and the newest are).
    pub more_waves: u64,
    /// Procedures that were engaged, in the order in which they were.
    pub procedures: BoundedList<ProcedureRecord>,
    /// Changes of posture.
    pub posture_changes: BoundedList<PostureChange>,
    /// When the origin was degraded.
    pub degradations: BoundedList<DegradationRecord>,
    /// When the origin was down.
    pub outages: BoundedList<OutageRecord>,
    /// Surges within a day of the waves: flash crowds, as far as is known, unless an attack
    /// overtook them.
    pub surges: BoundedList<SurgeRecord>,
    /// Floods of what belongs to no platform.
    pub gate_floods: BoundedList<GateFloodRecord>,
    /// Recipients that were notified.
    pub notifications: BoundedList<Notification>,
    /// What was not recorded.
    pub coverage: Coverage,
    /// How far the ledger was read.
    pub as_of: LeafRef,
}

impl Incident {
    /// A new incident without records: its opening event is still to be applied.
    pub(crate) fn open(opened: Opening, start: Option<&GateStart>) -> Self {
        Self {
            id: id(opened.onset),
            opened,
            rehearsal: start.is_some_and(|start| start.rehearsal),
            version: start.map(|start| start.version.clone()),
            configuration: start.map(|start| start.configuration.clone()),
            protected: start.map_or_else(Vec::new, |start| start.platforms.clone()),
            platforms: Vec::new(),
            waves: Vec::new(),
            more_waves: 0,
            procedures: BoundedList::default(),
            posture_changes: BoundedList::default(),
            degradations: BoundedList::default(),
            outages: BoundedList::default(),
            surges: BoundedList::default(),
            gate_floods: BoundedList::default(),
            notifications: BoundedList::default(),
            coverage: Coverage { start_unknown: start.is_none(), ..Coverage::default() },
            as_of: opened.stamp,
        }
    }

    /// Adds what was recorded on a platform shortly before the incident.
    pub(crate) fn add_nearby(&mut self, lookback: &Lookback) {
        let onset = self.opened.onset;
        surges::add_nearby(&mut self.surges, &lookback.surges, onset);
        degradations::add_nearby(&mut self.degradations, &lookback.degradations, onset);
    }

    /// Adds what an event about a platform contributes. `lookback` is the platform's, with the
    /// event applied.
    pub(crate) fn apply(&mut self, now: &PlatformEvent<'_>, lookback: &Lookback) {
        let known = waves::apply(&mut self.waves, &mut self.more_waves, now, &lookback.tallies);
        let records_lost =
            platforms::apply(&mut self.platforms, now, &self.waves, &lookback.tallies);
        let platform = self.platforms.iter_mut().find(|record| record.name == now.platform);
        let engaged = &lookback.procedures;
        procedures::apply(&mut self.procedures, platform, now, engaged, &self.waves);
        surges::apply(&mut self.surges, now, &lookback.surges);
        degradations::apply(&mut self.degradations, now, &lookback.degradations);
        outages::apply(&mut self.outages, now);
        posture_changes::apply(&mut self.posture_changes, now, &lookback.posture_changes);
        self.coverage.add_events(u64::from(!known), records_lost);
    }

    /// Adds what an event about the gate as a whole contributes.
    pub(crate) fn apply_gate_event(&mut self, stamp: LeafRef, event: &Event) {
        gate_floods::apply(&mut self.gate_floods, stamp, event);
    }

    /// Adds a receipt if it can be about this incident; returns whether it can.
    pub(crate) fn add_receipt(&mut self, stamp: LeafRef, receipt: &Receipt) -> bool {
        let concerned = notifications::concerns(self.onset(), receipt);
        if concerned {
            notifications::add(&mut self.notifications, stamp, receipt);
        }
        concerned
    }

    /// Adds a gap if something of the incident may be missing in it. After the last wave, only the
    /// time until full speed matters.
    pub(crate) fn add_gap(&mut self, gap: &Gap) {
        let (until, since) = (self.until(), gap.window.from);
        let at_full_speed = |platform: &str| self.back_at_full_speed(platform).is_some();
        let restored = self.platforms.iter().all(|platform| at_full_speed(&platform.name));
        if self.lasts() || since <= until || (!restored && since <= until + JOIN) {
            self.coverage.add_gap(gap);
        }
    }

    /// The gate stopped or crashed at `stamp`: the end of what lasted is not on record.
    pub(crate) fn interrupt(&mut self, stamp: LeafRef) {
        waves::interrupt(&mut self.waves, stamp);
        procedures::interrupt(&mut self.procedures, &mut self.platforms, stamp);
        gate_floods::interrupt(&mut self.gate_floods, stamp);
        outages::interrupt(&mut self.outages, stamp);
    }

    /// Everything that happened, in calm sentences, by time and then by leaf.
    pub fn timeline(&self) -> Vec<TimelineEntry> {
        let mut timeline = Timeline::default();
        surges::describe(&self.surges, &mut timeline);
        self.waves.iter().for_each(|wave| waves::describe(wave, &mut timeline));
        self.procedures.iter().for_each(|one| procedures::describe(one, &mut timeline));
        posture_changes::describe(&self.posture_changes, &mut timeline);
        degradations::describe(&self.degradations, &mut timeline);
        outages::describe(&self.outages, &mut timeline);
        self.platforms.iter().for_each(|one| platforms::describe(one, &mut timeline));
        gate_floods::describe(&self.gate_floods, &mut timeline);
        notifications::describe(&self.notifications, &mut timeline);
        for gap in &self.coverage.gaps {
            timeline.add(LeafRef { at: gap.window.from, leaf: gap.leaf }, gap.describe());
        }
        timeline.finish()
    }

    /// When the first of it began.
    pub fn onset(&self) -> WallTime {
        let first = self.waves.iter().map(|wave| wave.onset).min();
        first.unwrap_or(self.opened.onset)
    }

    /// The last moment known of any wave; of an incident without one, the last moment known of any
    /// flood of the gate or outage, or else when it was opened.
    pub fn until(&self) -> WallTime {
        let last = self.waves.iter().map(|wave| wave.until(self.as_of.at)).max();
        last.or_else(|| self.last_besides_waves()).unwrap_or(self.opened.stamp.at)
    }

    /// Whether events at `at` belong to it: while a wave, a flood of the gate or an outage lasts, or
    /// within [`JOIN`] of its end.
    pub(crate) fn is_open(&self, at: WallTime) -> bool {
        let until =
            self.last_besides_waves().map_or_else(|| self.until(), |at| at.max(self.until()));
        self.lasts() || at <= until + JOIN
    }

    /// Whether a wave, a flood of the gate or an outage continues where the ledger ends.
    fn lasts(&self) -> bool {
        self.ongoing()
            || self.gate_floods.iter().any(GateFloodRecord::ongoing)
            || self.outages.iter().any(OutageRecord::ongoing)
    }

    /// The last moment known of any flood of the gate or outage.
    fn last_besides_waves(&self) -> Option<WallTime> {
        let floods = self.gate_floods.iter().map(|flood| flood.until(self.as_of.at));
        floods.chain(self.outages.iter().map(|outage| outage.until(self.as_of.at))).max()
    }

    /// Whether a wave continues where the ledger ends.
    pub fn ongoing(&self) -> bool {
        self.waves.iter().any(WaveRecord::ongoing)
    }

    /// One platform that it concerns, by name.
    pub fn platform(&self, name: &str) -> Option<&PlatformRecord> {
        self.platforms.iter().find(|p| p.name == name)
    }

    /// When the platform was back at full speed after its last wave; `None` if that was not
    /// recorded.
    pub fn back_at_full_speed(&self, platform: &str) -> Option<FullSpeedAt> {
        let record = self.platform(platform)?;
        full_speed::after_waves(&record.full_speed, &self.waves, platform)
    }
}

/// `I-YYYYMMDD-HHMMSS`.
fn id(onset: WallTime) -> String {
    let stamp = onset.to_string();
    let digits: String = stamp.chars().filter(char::is_ascii_digit).take(14).collect();
    match (digits.get(..8), digits.get(8..14)) {
        (Some(day), Some(time)) => format!("I-{day}-{time}"),
        _ => format!("I-{}", onset.millis()),
    }
}
