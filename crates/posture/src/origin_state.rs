//! The origin's load, tick by tick.

use portcullis_watch::Observation;

use crate::ladder;

/// Ticks of saturation before a procedure is engaged for it: two seconds, the window in which it is
/// judged.
const SATURATED_TICKS: u32 = 8;
/// Ticks without saturation after which shedding ends: a second.
const EASED_TICKS: u32 = 4;

/// How long the origin has had more, or no more, to do than it can.
#[derive(Clone, Copy, Debug)]
enum Saturation {
    /// Ticks in a row without saturation.
    Clear(u32),
    /// Ticks in a row with it.
    Saturated(u32),
}

/// The state of one platform's origin.
#[derive(Debug)]
pub(crate) struct OriginState {
    /// Whether the ledger records the origin as degraded.
    degraded: bool,
    saturation: Saturation,
}

/// A change of the origin's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OriginChange {
    /// Degradation began; in words.
    Degraded(String),
    /// Degradation ended.
    Recovered,
}

impl OriginState {
    pub(crate) const fn new() -> Self {
        Self { degraded: false, saturation: Saturation::Clear(0) }
    }

    /// Takes one tick's observation.
    pub(crate) fn observe(&mut self, seen: &Observation) -> Option<OriginChange> {
        self.saturation = match (self.saturation, ladder::saturated(seen)) {
            (Saturation::Saturated(ticks), true) => Saturation::Saturated(ticks.saturating_add(1)),
            (Saturation::Clear(_), true) => Saturation::Saturated(1),
            (Saturation::Clear(ticks), false) => Saturation::Clear(ticks.saturating_add(1)),
            (Saturation::Saturated(_), false) => Saturation::Clear(1),
        };
        let change = match (&seen.degradation, self.degraded) {
            (Some(degradation), false) => OriginChange::Degraded(degradation.summary.clone()),
            (None, true) => OriginChange::Recovered,
            _ => return None,
        };
        self.degraded = !self.degraded;
        Some(change)
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
