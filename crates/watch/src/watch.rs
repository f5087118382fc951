//! The watch itself: one look at every platform each tick.

use std::sync::Arc;

use portcullis_model::{
    ActivityId, Assignment, Config, Evidence, EvidenceKind, Ids, PlatformId, Record, Snapshot,
    WallTime, WatchSettings,
};

use crate::baseline::Baseline;
use crate::observation::Observation;
use crate::origin_health::OriginRecord;
use crate::platform_watch::{PlatformWatch, TickContext};

/// Fewer stalled connections than this are people on trains.
const STALLED_MIN: u64 = 20;
/// However many stall on ordinary days, four times a hundred of them are too many: no
/// traffic can teach the watch to overlook more.
const STALLED_USUAL_MAX_MILLI: u64 = 100_000;
/// Learns what is normal, and detects what is not.
#[derive(Debug)]
pub struct Watch {
    settings: WatchSettings,
    ids: Arc<Ids>,
    /// In the order of the configuration.
    platforms: Vec<PlatformWatch>,
    /// Stalled headers on calm ticks, in thousandths.
    stalled_usual_milli: u64,
    stalled_since: Option<WallTime>,
    /// Stalled connections that are evidence about no platform.
    stalled_unassigned: Option<u64>,
}

impl Watch {
    /// A watch that has seen nothing yet of the platforms in `config`, whose ids are `ids`.
    pub fn new(config: &Config, ids: Arc<Ids>) -> Self {
        let platforms = ids
            .platforms()
            .zip(&config.platforms)
            .map(|((id, all), config)| PlatformWatch::new(id, all, config.origin.probe))
            .collect();
        Self {
            settings: config.watch.clone(),
            ids,
            platforms,
            stalled_usual_milli: 0,
            stalled_since: None,
            stalled_unassigned: None,
        }
    }

    /// Takes one request's record. Only those that belong to an activity are evidence about it.
    pub fn observe(&mut self, record: &Record) {
        let Some(Assignment { platform, activity }) = record.assigned else { return };
        if let Some(place) = self.ids.platform_place(platform) {
            self.platforms[place].observe(record, activity);
        }
    }

    /// Evaluates every platform, once a tick; observations are in the order of the configuration.
    /// `counts` is what the workers counted since the last call; `engaged` returns whether a platform
    /// has an engaged procedure.
    pub fn evaluate(
        &mut self,
        wall: WallTime,
        counts: &Snapshot,
        engaged: impl Fn(PlatformId) -> bool,
    ) -> Vec<Observation> {
        // A connection names its platform in its headers. Where there is only one platform, a stalled
        // connection can be meant for no other, and the gauge of waiting requests for no other origin.
        let only_one = self.platforms.len() == 1;
        let stalled = self.stalled(wall, counts.gauges.stalled_headers);
        let unassigned = stalled.as_ref().filter(|_| !only_one);
        self.stalled_unassigned = unassigned.map(|evidence| evidence.measured);
        let stalled = stalled.zip(self.stalled_since).filter(|_| only_one);
        let waiting = if only_one { counts.gauges.waiting } else { 0 };
        let settings = &self.settings;
        self.platforms
            .iter_mut()
            .map(|platform| {
                let engaged = engaged(platform.id);
                let stalled = stalled.clone();
                platform.evaluate(&TickContext {
                    settings,
                    wall,
                    counts,
                    stalled,
                    waiting,
                    engaged,
                })
            })
            .collect()
    }

    /// Whether nothing is unusual anywhere, so that a silence can be passed over.
    pub fn is_calm(&self) -> bool {
        self.stalled_since.is_none()
            && self.platforms.iter().all(|platform| platform.is_calm(&self.settings))
    }

    /// Lets whole seconds pass without a request, as that many seconds of ticks would. Only a calm
    /// watch may: see [`Watch::is_calm`].
    pub fn pass_silence(&mut self, wall: WallTime, seconds: u64) {
        for platform in &mut self.platforms {
            platform.pass_silence(wall, seconds);
        }
    }

    /// The result of a question that the gate asked a platform's origin itself.
    pub fn probed(&mut self, platform: PlatformId, answered: bool) {
        if let Some(place) = self.ids.platform_place(platform) {
            self.platforms[place].origin.probed(answered);
        }
    }

    /// Without questions of the gate's own, for a source of requests without a live origin.
    #[must_use]
    pub fn without_probes(mut self) -> Self {
        self.platforms.iter_mut().for_each(|platform| platform.origin.set_probes(false));
        self
    }

    /// Connections that are stalled in their headers, if that is far more than usual and evidence
    /// about no platform, because there are several.
    pub const fn stalled_unassigned(&self) -> Option<u64> {
        self.stalled_unassigned
    }

    /// What the baseline expects of an activity now, in thousandths of a request per second.
    pub fn baseline_milli(&self, activity: ActivityId, wall: WallTime) -> u64 {
        let Some((platform, within)) = self.ids.activity_place(activity) else { return 0 };
        self.platforms[platform].activities[within].baseline.expected_milli(wall)
    }

    /// Uses a new configuration, with its ids. What was learnt of platforms and activities that
    /// it still has stays.
    pub fn reload(&mut self, config: &Config, ids: Arc<Ids>) {
        let next = ids.platforms().zip(&config.platforms).map(|((id, activities), config)| {
            let probes = config.origin.probe;
            let old = self.platforms.iter_mut().find(|platform| platform.id == id);
            let old = old.map(|old| core::mem::replace(old, PlatformWatch::new(id, &[], probes)));
            match old {
                Some(old) => old.with_activities(activities, probes),
                None => PlatformWatch::new(id, activities, probes),
            }
        });
        self.platforms = next.collect();
        self.settings = config.watch.clone();
        self.ids = ids;
    }

    /// Every activity's baseline, to be saved for a restart.
    pub fn baselines(&self) -> impl Iterator<Item = (ActivityId, &Baseline)> {
        self.platforms.iter().flat_map(|p| p.activities.iter().map(|a| (a.id, &a.baseline)))
    }

    /// Puts back one activity's baseline.
    pub fn restore(&mut self, activity: ActivityId, baseline: Baseline) {
        if let Some((platform, within)) = self.ids.activity_place(activity) {
            self.platforms[platform].activities[within].baseline = baseline;
        }
    }

    /// What is known of every origin, for a process that takes over.
    pub fn origins(&self) -> Vec<OriginRecord> {
        let record = |p: &PlatformWatch| OriginRecord { platform: p.id, health: p.origin.clone() };
        self.platforms.iter().map(record).collect()
    }

    /// Continues with what another process knew of an origin. Whether the gate may ask it stays.
    pub fn restore_origin(&mut self, record: OriginRecord) {
        if let Some(place) = self.ids.platform_place(record.platform) {
            self.platforms[place].origin.restore(record.health);
        }
    }

    fn stalled(&mut self, wall: WallTime, now: u64) -> Option<Evidence> {
        let threshold = STALLED_MIN.max(self.stalled_usual_milli * 4 / 1_000);
        if now < threshold {
            self.stalled_since = None;
            let target = now * 1_000;
            self.stalled_usual_milli = (self.stalled_usual_milli * 239 + target)
                .div_ceil(240)
                .min(STALLED_USUAL_MAX_MILLI);
            return None;
        }
        self.stalled_since.get_or_insert(wall);
        Some(Evidence {
            kind: EvidenceKind::StalledHeaders,
            measured: now,
            threshold,
            summary: format!(
                "{now} connections began a request over a second ago and have not finished its \
                 headers; usual is {}",
                self.stalled_usual_milli / 1_000
            ),
        })
    }
}
