//! What was not recorded: a figure without it would claim that silence is zero.

use portcullis_model::WallTime;
use serde::Serialize;

use crate::{BoundedList, TimeWindow};

/// What the ledger does not hold of an incident's time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Stretches without a record.
    pub gaps: BoundedList<Gap>,
    /// Requests of the waves whose record was lost, so that the watch did not see them. They are
    /// counted; only what they looked like is unknown.
    pub records_lost: u64,
    /// Events that could not be written.
    pub lost_events: u64,
    /// Events about waves or procedures whose beginning the ledger does not hold.
    pub stray_events: u64,
    /// The ledger holds no `started` before the incident: it was cut at the front, so what the
    /// gate protected and whether this was a rehearsal is not known.
    pub start_unknown: bool,
}

impl Coverage {
    /// Gaps that are listed.
    pub(crate) const GAPS: usize = 256;

    /// Whether nothing is known to be missing.
    pub fn is_complete(&self) -> bool {
        self.gaps.count() == 0
            && self.records_lost == 0
            && self.lost_events == 0
            && self.stray_events == 0
            && !self.start_unknown
    }
}

/// A stretch without a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// From when to when.
    pub window: TimeWindow,
    /// Why.
    pub cause: GapCause,
    /// The leaf that ends it.
    pub leaf: u64,
}

/// Why nothing was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum GapCause {
    /// The gate started again without having stopped: a crash, a power cut, a kill.
    Crash,
    /// The gate was stopped in good order and started again.
    Stopped,
    /// The ledger could not be written.
    Recording {
        /// Events lost.
        lost: u64,
    },
    /// No tally covers this time of a platform.
    NoTally {
        /// The platform.
        platform: String,
    },
}

impl Gap {
    /// The gap in a sentence without its time.
    pub fn describe(&self) -> String {
        use crate::words::{count, span};
        let length = span(self.window.millis());
        match &self.cause {
            GapCause::Crash => format!(
                "The gate started again without having stopped in good order; nothing was \
                 recorded for {length}."
            ),
            GapCause::Stopped => {
                format!("The gate had been stopped and started again after {length}.")
            }
            GapCause::Recording { lost } => format!(
                "The ledger could not be written for {length}; {} events are missing.",
                count(*lost)
            ),
            GapCause::NoTally { platform } => {
                format!("No count covers {length} on {platform}.")
            }
        }
    }

    /// Whether it overlaps `[from, to]`.
    pub fn overlaps(&self, from: WallTime, to: WallTime) -> bool {
        self.window.from <= to && self.window.to >= from
    }
}
