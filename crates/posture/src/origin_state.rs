//! The origin's load, tick by tick.

use portcullis_model::Event;
use portcullis_watch::{Observation, OriginOutage};
use serde::{Deserialize, Serialize};

use crate::ladder;

/// Ticks of saturation before a procedure is engaged for it: two seconds, the window in which it is
/// judged.
const SATURATED_TICKS: u32 = 8;
/// Ticks without saturation after which shedding ends: a second.
const EASED_TICKS: u32 = 4;

/// How long the origin has had more, or no more, to do than it can.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Saturation {
    /// Ticks in a row without saturation.
    Clear(u32),
    /// Ticks in a row with it.
    Saturated(u32),
}

/// The state of one platform's origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OriginState {
    /// Whether the ledger records the origin as degraded.
    degraded: bool,
    /// The outage that the ledger records as begun.
    outage: Option<OriginOutage>,
    saturation: Saturation,
}

impl OriginState {
    pub(crate) const fn new() -> Self {
        Self { degraded: false, outage: None, saturation: Saturation::Clear(0) }
    }

    /// Takes one tick's observation of the origin of `platform`; events go to `out`.
    pub(crate) fn observe(&mut self, platform: &str, seen: &Observation, out: &mut Vec<Event>) {
        self.saturation = match (self.saturation, ladder::saturated(seen)) {
            (Saturation::Saturated(ticks), true) => Saturation::Saturated(ticks.saturating_add(1)),
            (Saturation::Clear(_), true) => Saturation::Saturated(1),
            (Saturation::Clear(ticks), false) => Saturation::Clear(ticks.saturating_add(1)),
            (Saturation::Saturated(_), false) => Saturation::Clear(1),
        };
        let platform = || platform.to_owned();
        match (&seen.degradation, self.degraded) {
            (Some(degradation), false) => {
                let summary = degradation.summary.clone();
                out.push(Event::OriginDegraded { platform: platform(), summary });
                self.degraded = true;
            }
            (None, true) if seen.outage.is_none() => {
                out.extend(self.end_outage(platform()));
                out.push(Event::OriginRecovered { platform: platform() });
                self.degraded = false;
            }
            _ => {}
        }
        match (self.outage, seen.outage) {
            (None, Some(outage)) => out.push(Event::OriginDown {
                platform: platform(),
                onset: outage.since,
                unserved: outage.unserved,
                served: outage.served,
                failed_probes: outage.failed_probes,
            }),
            (Some(_), None) => out.extend(self.end_outage(platform())),
            _ => {}
        }
        self.outage = seen.outage;
    }

    /// The end of the outage, if one lasts.
    fn end_outage(&mut self, platform: String) -> Option<Event> {
        let outage = self.outage.take()?;
        Some(Event::OriginUp {
            platform,
            onset: outage.since,
            unserved: outage.unserved,
            served: outage.served,
            failed_probes: outage.failed_probes,
        })
    }

    /// Whether it is degraded or down.
    pub(crate) const fn is_degraded(&self) -> bool {
        self.degraded || self.outage.is_some()
    }

    /// Whether it has been saturated for so long that a procedure may be engaged for it.
    pub(crate) const fn needs_relief(&self) -> bool {
        matches!(self.saturation, Saturation::Saturated(ticks) if ticks >= SATURATED_TICKS)
    }

    /// Whether it has not been saturated for a second.
    pub(crate) const fn has_eased(&self) -> bool {
        matches!(self.saturation, Saturation::Clear(ticks) if ticks >= EASED_TICKS)
    }
}
