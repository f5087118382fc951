//! What was not recorded: a figure without it would claim that silence is zero.

use portcullis_model::WallTime;
use serde::Serialize;

use crate::words::{count, counted, moment, span};
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
    /// Events about waves whose beginning the ledger does not hold.
    pub stray_events: u64,
    /// Events of kinds that this version does not know: a newer version wrote them.
    pub unknown_events: u64,
    /// The ledger holds no `started` before the incident: it was cut at the front, so what the
    /// gate protected and whether this was a rehearsal is not known.
    pub start_unknown: bool,
}

impl Coverage {
    /// Gaps that are listed.
    const GAPS: usize = 256;

    /// Adds a gap, with the events that are missing in it.
    pub(crate) fn add_gap(&mut self, gap: &Gap) {
        if let GapCause::Recording { lost } = gap.cause {
            self.lost_events = self.lost_events.saturating_add(lost);
        }
        self.gaps.add(gap.clone(), Self::GAPS);
    }

    /// Adds events without a beginning, and requests whose record was lost.
    pub(crate) fn add_events(&mut self, stray: u64, records_lost: u64) {
        self.stray_events = self.stray_events.saturating_add(stray);
        self.records_lost = self.records_lost.saturating_add(records_lost);
    }

    /// Adds an event of a kind that this version does not know.
    pub(crate) fn add_unknown_event(&mut self) {
        self.unknown_events = self.unknown_events.saturating_add(1);
    }

    /// Whether nothing is known to be missing.
    pub fn is_complete(&self) -> bool {
        self.gaps.count() == 0
            && self.records_lost == 0
            && self.lost_events == 0
            && self.stray_events == 0
            && self.unknown_events == 0
            && !self.start_unknown
    }
}

impl Coverage {
    /// What is missing, in sentences: at most `gaps` gaps one by one, and the number of the others.
    pub fn describe(&self, gaps: usize) -> Vec<String> {
        let gap = |gap: &Gap| format!("{}: {}", moment(gap.window.from), gap.describe());
        let mut sentences: Vec<String> = self.gaps.iter().take(gaps).map(gap).collect();
        let more = self.gaps.count().saturating_sub(sentences.len() as u64);
        let mut add = |n: u64, head: &str, noun: &str, tail: &str| {
            if n > 0 {
                sentences.push(format!("{head}: {}{tail}.", counted(n, noun)));
            }
        };
        add(more, "Also on record", "more gap", "");
        let tail = " of the waves, because their records were lost";
        add(self.records_lost, "Counted but not analysed", "request", tail);
        add(self.lost_events, "Missing, because the ledger could not be written", "event", "");
        let tail = " about waves whose beginning is not on record";
        add(self.stray_events, "Left out", "event", tail);
        let tail = " that a newer version of Portcullis wrote and this one cannot read";
        add(self.unknown_events, "Left out", "event", tail);
        if self.start_unknown {
            sentences.push(
                "The ledger does not hold the start of the gate, so what it protected, and \
                 whether this was a rehearsal, is not known."
                    .to_owned(),
            );
        }
        sentences
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
    /// Another version took over from the running one without its state.
    Replaced,
    /// The ledger could not be written.
    Recording {
        /// Events lost.
        lost: u64,
    },
    /// The wall clock was set, or the machine was suspended.
    ClockStep {
        /// How far, in milliseconds; negative if it was set back.
        by_ms: i64,
    },
    /// The gate continued with a ledger that is not the one it last saw; an operator accepted that.
    Fork {
        /// What is different.
        reason: String,
    },
    /// The ledger was removed or replaced while the gate ran: the leaves before are elsewhere or lost.
    LedgerReplaced {
        /// The leaves that the ledger before had.
        leaves: u64,
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
        let length = span(self.window.millis());
        match &self.cause {
            GapCause::Crash => format!(
                "The gate started again without having stopped in good order; nothing was \
                 recorded for {length}."
            ),
            GapCause::Stopped => {
                format!("The gate had been stopped and started again after {length}.")
            }
            GapCause::Replaced => {
                "Another version of the gate took over from the running one and judged from the \
                 beginning; the site stayed served."
                    .to_owned()
            }
            GapCause::Recording { lost } => format!(
                "The ledger could not be written for {length}; {} events are missing.",
                count(*lost)
            ),
            GapCause::ClockStep { by_ms: ..0 } => format!(
                "The clock was set back by {length}: times around it do not tell what came first."
            ),
            GapCause::ClockStep { .. } => format!(
                "The clock was set forward by {length}, or the machine was suspended for so long."
            ),
            GapCause::Fork { reason } => format!(
                "The gate continued with another ledger than the one it last saw, as an operator \
                 had allowed: {reason}"
            ),
            GapCause::LedgerReplaced { leaves } => format!(
                "The ledger was removed while the gate ran, and a new one was begun. The {} before \
                 are not in this one.",
                counted(*leaves, "leaf").replace("leafs", "leaves")
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
