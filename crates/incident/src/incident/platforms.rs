//! The platforms of an incident, with what was counted on each.

use core::time::Duration;

use portcullis_model::{Event, Tally, WallTime};
use serde::Serialize;

use super::full_speed::{self, FullSpeedAt};
use super::platform_event::PlatformEvent;
use super::tallies::RecentTallies;
use super::waves::{self, LEAD, WaveRecord};
use crate::timeline::Timeline;
use crate::words::count;
use crate::{BoundedList, LeafRef, LeafSet, LoadSeries, Peak, Totals, series};

/// The series continues for this time after a wave.
const TAIL: Duration = Duration::from_mins(10);

/// One attacked platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlatformRecord {
    /// Its name.
    pub name: String,
    /// The last quiet tallies before the first wave: no surge, no attack, no procedure.
    pub before: Totals,
    /// Tallies that overlap a wave, from onset to end.
    pub attack: Totals,
    /// Of these, the tallies that lie wholly in times when the wave was mitigated.
    pub while_mitigated: Totals,
    /// Tallies that overlap an engaged procedure.
    pub engaged: Totals,
    /// The most that the origin was seen to handle, sustained over a tally of at least a second,
    /// with at most one failure in a hundred and no degradation recorded: its capacity is at
    /// least this.
    pub observed_capacity: Option<Peak>,
    /// Load over time, from a minute before the onset of each wave to ten minutes after. Waves
    /// more than half an hour apart are in different stretches.
    pub series: Vec<LoadSeries>,
    /// When full speed was recorded.
    pub full_speed: BoundedList<FullSpeedAt>,
    /// Procedures engaged within a day after the last full speed, for something that was not a
    /// wave of this incident.
    pub engaged_later: LeafSet,
    /// How many procedures are still engaged where the ledger ends (or a day after the last
    /// wave).
    pub still_active: u64,
}

/// Adds what an event contributes to the counts of its platform. Returns the number of requests
/// whose record was lost, of the tallies that were added.
pub(super) fn apply(
    platforms: &mut Vec<PlatformRecord>,
    now: &PlatformEvent<'_>,
    waves: &[WaveRecord],
    recent: &RecentTallies,
) -> u64 {
    if matches!(now.event, Event::AttackBegan { .. })
        && let Some(onset) = now.onset()
    {
        let record = find_or_begin(platforms, now.platform, onset, recent);
        let wave = waves.last().filter(|wave| wave.detected == now.stamp);
        return add_onset(record, onset, wave, recent);
    }
    let Some(record) = platforms.iter_mut().find(|p| p.name == now.platform) else {
        return 0;
    };
    full_speed::apply(&mut record.full_speed, now);
    match now.event {
        Event::Tallied(tally) => add_tally(record, now.stamp.leaf, tally, waves, recent),
        _ => 0,
    }
}

fn find_or_begin<'a>(
    platforms: &'a mut Vec<PlatformRecord>,
    name: &str,
    onset: WallTime,
    recent: &RecentTallies,
) -> &'a mut PlatformRecord {
    let found = platforms.iter().position(|platform| platform.name == name);
    let at = found.unwrap_or_else(|| {
        let mut record = PlatformRecord { name: name.to_owned(), ..PlatformRecord::default() };
        for (leaf, tally) in recent.quiet_before(onset) {
            record.before.add(leaf, tally);
        }
        platforms.push(record);
        platforms.len() - 1
    });
    &mut platforms[at]
}

/// Adds what was counted since the onset, before the onset was known.
fn add_onset(
    record: &mut PlatformRecord,
    onset: WallTime,
    wave: Option<&WaveRecord>,
    recent: &RecentTallies,
) -> u64 {
    let mut records_lost: u64 = 0;
    if wave.is_some() {
        let counted = record.attack.leaves.last;
        for (leaf, tally) in recent.since(onset) {
            if counted.is_none_or(|last| leaf > last) {
                record.attack.add(leaf, tally);
                records_lost = records_lost.saturating_add(tally.records_lost);
            }
        }
    }
    for (leaf, tally) in recent.since(onset - LEAD) {
        series::add(&mut record.series, leaf, tally);
    }
    record.observed_capacity = recent.observed_capacity().cloned();
    records_lost
}

fn add_tally(
    record: &mut PlatformRecord,
    leaf: u64,
    tally: &Tally,
    waves: &[WaveRecord],
    recent: &RecentTallies,
) -> u64 {
    if !waves::is_near(waves, &tally.platform, tally.from) {
        return 0;
    }
    let mine = || waves.iter().filter(|wave| wave.platform == tally.platform);
    let mut records_lost = 0;
    if mine().any(|wave| wave.overlaps(tally.from, tally.to)) {
        record.attack.add(leaf, tally);
        if mine().next_back().is_some_and(|wave| wave.mitigated_at(tally.from)) {
            record.while_mitigated.add(leaf, tally);
        }
        records_lost = tally.records_lost;
    }
    if mine().any(|wave| tally.to > wave.onset && tally.from < wave.end_or_never() + TAIL) {
        series::add(&mut record.series, leaf, tally);
    }
    let rate = |peak: Option<&Peak>| peak.map(|peak| peak.per_second);
    if rate(recent.observed_capacity()) > rate(record.observed_capacity.as_ref()) {
        record.observed_capacity = recent.observed_capacity().cloned();
    }
    records_lost
}

/// Adds the sentences of one platform.
pub(super) fn describe(platform: &PlatformRecord, timeline: &mut Timeline) {
    full_speed::describe(&platform.name, &platform.full_speed, timeline);
    if let Some(peak) = &platform.attack.peak_offered {
        let summary = format!(
            "The busiest moment on {}: {} requests per second offered.",
            platform.name,
            count(peak.per_second)
        );
        timeline.add(LeafRef { at: peak.window.from, leaf: peak.leaf }, summary);
    }
}
