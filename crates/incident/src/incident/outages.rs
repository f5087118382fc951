//! Outages of an origin: from `origin-down` to `origin-up`.

use portcullis_model::{Event, WallTime};
use serde::Serialize;

use super::platform_event::PlatformEvent;
use crate::timeline::Timeline;
use crate::words::{count, counted, moment, span, were};
use crate::{BoundedList, LeafRef, LeafSet};

/// Outages listed per incident.
const LISTED: usize = 512;

/// A time in which an origin left most requests without an answer, whatever the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutageRecord {
    /// The platform.
    pub platform: String,
    /// When the first of the failures was counted.
    pub onset: WallTime,
    /// When it was recorded.
    pub began: LeafRef,
    /// Requests that were not served, as far as is on record.
    pub unserved: u64,
    /// Requests that were served meanwhile, as far as is on record.
    pub served: u64,
    /// Requests of the gate's own that were not answered.
    pub failed_probes: u64,
    /// When answers showed that the origin was up again.
    pub ended: Option<LeafRef>,
    /// The gate stopped or crashed while it lasted: its end was not seen.
    pub interrupted: Option<LeafRef>,
}

impl OutageRecord {
    /// Whether it continues where the ledger ends.
    pub const fn ongoing(&self) -> bool {
        self.ended.is_none() && self.interrupted.is_none()
    }

    /// The last moment known of it: its end, the interruption, or else `as_of`.
    pub fn until(&self, as_of: WallTime) -> WallTime {
        let end = self.ended.or(self.interrupted).map(|stamp| stamp.at);
        end.unwrap_or(as_of).max(self.onset)
    }

    /// How long it lasted, as far as is known, in milliseconds.
    pub fn lasted_ms(&self, as_of: WallTime) -> u64 {
        self.until(as_of).since(self.onset).as_millis() as u64
    }

    /// The leaves that record it.
    pub fn leaves(&self) -> LeafSet {
        [Some(self.began), self.ended].into_iter().flatten().map(|stamp| stamp.leaf).collect()
    }

    /// `412 requests were not served, 3 were`.
    pub fn extent(&self) -> String {
        if self.unserved + self.served == 0 {
            let probes = counted(self.failed_probes, "request");
            return format!(
                "no visitor's request is on record, and {probes} of the gate's own {} not answered",
                were(self.failed_probes)
            );
        }
        let served = match self.served {
            0 => String::new(),
            n => format!(", {} {}", count(n), were(n)),
        };
        let unserved = counted(self.unserved, "request");
        format!("{unserved} {} not served{served}", were(self.unserved))
    }
}

/// Adds an outage, or its end.
pub(super) fn apply(outages: &mut BoundedList<OutageRecord>, now: &PlatformEvent<'_>) {
    match now.event {
        Event::OriginDown { platform, onset, unserved, served, failed_probes } => {
            let outage = OutageRecord {
                platform: platform.clone(),
                onset: (*onset).min(now.stamp.at),
                began: now.stamp,
                unserved: *unserved,
                served: *served,
                failed_probes: *failed_probes,
                ended: None,
                interrupted: None,
            };
            outages.add(outage, LISTED);
        }
        Event::OriginUp { unserved, served, failed_probes, .. } => {
            let mut newest = outages.items.iter_mut().rev();
            let mine = newest.find(|outage| outage.platform == now.platform);
            if let Some(outage) = mine.filter(|outage| outage.ongoing()) {
                outage.unserved = outage.unserved.max(*unserved);
                outage.served = outage.served.max(*served);
                outage.failed_probes = outage.failed_probes.max(*failed_probes);
                outage.ended = Some(now.stamp);
            }
        }
        _ => {}
    }
}

/// The gate stopped or crashed: the end of what lasted is not on record.
pub(super) fn interrupt(outages: &mut BoundedList<OutageRecord>, stamp: LeafRef) {
    for outage in outages.items.iter_mut().filter(|outage| outage.ongoing()) {
        outage.interrupted = Some(stamp);
    }
}

/// Adds the outages' sentences.
pub(super) fn describe(outages: &BoundedList<OutageRecord>, timeline: &mut Timeline) {
    for outage in outages {
        let platform = &outage.platform;
        let began = format!(
            "The origin of {platform} was down: since {} most requests to it were left without an \
             answer.",
            moment(outage.onset)
        );
        timeline.add(outage.began, began);
        if let Some(stamp) = outage.ended {
            let lasted = span(outage.lasted_ms(stamp.at));
            let extent = outage.extent();
            let up = format!("The origin of {platform} was up again after {lasted}: {extent}.");
            timeline.add(stamp, up);
        }
        if let Some(stamp) = outage.interrupted {
            let lost = format!(
                "The outage of the origin of {platform} was lost from sight; its end was not \
                 recorded."
            );
            timeline.add(stamp, lost);
        }
    }
}
