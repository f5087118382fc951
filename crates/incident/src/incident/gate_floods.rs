//! Floods of what belongs to no platform: from `gate-flood-began` to `gate-flood-ended`.

use std::collections::BTreeMap;

use portcullis_model::{Event, WallTime};
use serde::Serialize;

use crate::timeline::Timeline;
use crate::words::{count, counted, list, thousandths};
use crate::{BoundedList, LeafRef};

/// Floods listed per incident.
const LISTED: usize = 512;
/// Reasons that a sentence names.
const NAMED: usize = 4;

/// A flood of requests and connections that belong to no platform. It is directed at the gate, and
/// at no platform as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateFloodRecord {
    /// When it can first be seen in the counts, looking back.
    pub onset: WallTime,
    /// When it was detected.
    pub began: LeafRef,
    /// How many were refused in the second before.
    pub refused_per_second: u64,
    /// What is usual, in thousandths per second.
    pub usual_milli: u64,
    /// Connections that were stalled in their headers, if that was far more than usual; else 0.
    pub stalled_headers: u64,
    /// What was refused in the second before, by reason.
    pub reasons: BTreeMap<String, u64>,
    /// How it ended.
    pub ended: Option<GateFloodEnd>,
    /// The gate stopped or crashed while it lasted: its end was not seen.
    pub interrupted: Option<LeafRef>,
}

/// The end of a flood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateFloodEnd {
    /// When: after the quiet time that ends it.
    pub stamp: LeafRef,
    /// How many were refused in all.
    pub refused: u64,
    /// The most that were refused in a second.
    pub peak_per_second: u64,
    /// How many were refused in all, by reason.
    pub reasons: BTreeMap<String, u64>,
}

impl GateFloodRecord {
    /// Whether it continues where the ledger ends.
    pub const fn ongoing(&self) -> bool {
        self.ended.is_none() && self.interrupted.is_none()
    }

    /// The most that were refused in a second, as far as is on record.
    pub fn most_per_second(&self) -> u64 {
        self.ended.as_ref().map_or(self.refused_per_second, |end| end.peak_per_second)
    }

    /// How large it was: `up to 1,900 refused per second`, `400 connections stalled in their
    /// headers`, or both.
    pub fn extent(&self) -> String {
        let most = self.most_per_second();
        let mut parts = Vec::new();
        if most > 0 || self.stalled_headers == 0 {
            parts.push(format!("up to {} refused per second", count(most)));
        }
        if self.stalled_headers > 0 {
            let stalled = counted(self.stalled_headers, "connection");
            parts.push(format!("{stalled} stalled in their headers"));
        }
        list(&parts)
    }

    /// The last moment known of it: its end, the interruption, or else `as_of`.
    pub fn until(&self, as_of: WallTime) -> WallTime {
        let end = self.ended.as_ref().map(|end| end.stamp.at);
        end.or(self.interrupted.map(|stamp| stamp.at)).unwrap_or(as_of).max(self.onset)
    }
}

/// Adds a flood, or its end.
pub(super) fn apply(floods: &mut BoundedList<GateFloodRecord>, stamp: LeafRef, event: &Event) {
    match event {
        Event::GateFloodBegan {
            onset,
            refused_per_second,
            usual_milli,
            stalled_headers,
            reasons,
        } => {
            interrupt(floods, stamp);
            let flood = GateFloodRecord {
                onset: (*onset).min(stamp.at),
                began: stamp,
                refused_per_second: *refused_per_second,
                usual_milli: *usual_milli,
                stalled_headers: *stalled_headers,
                reasons: reasons.clone(),
                ended: None,
                interrupted: None,
            };
            floods.add(flood, LISTED);
        }
        Event::GateFloodEnded { refused, peak_per_second, reasons } => {
            if let Some(flood) = floods.items.last_mut().filter(|flood| flood.ongoing()) {
                flood.ended = Some(GateFloodEnd {
                    stamp,
                    refused: *refused,
                    peak_per_second: *peak_per_second,
                    reasons: reasons.clone(),
                });
            }
        }
        _ => {}
    }
}

/// The gate stopped or crashed: the end of what lasted is not on record.
pub(super) fn interrupt(floods: &mut BoundedList<GateFloodRecord>, stamp: LeafRef) {
    for flood in floods.items.iter_mut().filter(|flood| flood.ongoing()) {
        flood.interrupted = Some(stamp);
    }
}

/// Adds the floods' sentences.
pub(super) fn describe(floods: &BoundedList<GateFloodRecord>, timeline: &mut Timeline) {
    for flood in floods {
        let mut parts = Vec::new();
        if flood.refused_per_second > 0 || flood.stalled_headers == 0 {
            let refused = count(flood.refused_per_second);
            parts.push(format!("{refused} refused in a second{}", named(&flood.reasons)));
        }
        if flood.stalled_headers > 0 {
            let stalled = counted(flood.stalled_headers, "connection");
            parts.push(format!("{stalled} stalled in their headers"));
        }
        let usual = match flood.usual_milli {
            ..1_000 => "less than one".to_owned(),
            milli => thousandths(milli),
        };
        let began = format!(
            "The gate was flooded with requests and connections that belong to no platform: {}; \
             {usual} refused in a second is usual.",
            list(&parts),
        );
        timeline.add(flood.began, began);
        if let Some(end) = &flood.ended {
            let ended = format!(
                "The flood of the gate was over: {} refused{}, at its busiest {} per second.",
                count(end.refused),
                named(&end.reasons),
                count(end.peak_per_second),
            );
            timeline.add(end.stamp, ended);
        }
        if let Some(stamp) = flood.interrupted {
            let lost = "The flood of the gate was lost from sight; its end was not recorded.";
            timeline.add(stamp, lost.to_owned());
        }
    }
}

/// The most frequent reasons with their numbers: ` (unknown-host 900 and malformed 3)`.
fn named(reasons: &BTreeMap<String, u64>) -> String {
    let mut most: Vec<(&String, &u64)> = reasons.iter().collect();
    most.sort_by_key(|(_, n)| core::cmp::Reverse(**n));
    let named: Vec<String> =
        most.iter().take(NAMED).map(|(reason, n)| format!("{reason} {}", count(**n))).collect();
    if named.is_empty() { String::new() } else { format!(" ({})", list(&named)) }
}
