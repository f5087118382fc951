//! Incidents: a fold over the events of the ledger.
//!
//! The entry point is [`fold`] (or [`Fold`], entry by entry): leaves in, incidents out. From an
//! [`Incident`], [`Incident::timeline`] lists what happened in order, [`grade`] compares it with
//! published figures, and [`hypotheses`] evaluates what else could explain it. Every figure has the
//! leaves that it came from, the window that it covers, and whether it is only a lower bound.
//!
//! A drill and a replay are one [`History`], which [`HistoryFold`] makes of the same records.
//!
//! This crate never reads a clock, a file or a socket, never decides by a floating-point number,
//! and never names an actor. Folding the same leaves again gives the same incidents.

// module order: counts recent signals words
// module order: leaves
// module order: cuts figure gate_start timeline
// module order: coverage totals
// module order: gate_run series
// module order: incident
// module order: fold summary
// module order: grade
// module order: hypotheses

mod counts;
mod coverage;
mod cuts;
mod figure;
mod fold;
mod gate_run;
mod gate_start;
pub mod grade;
pub mod hypotheses;
mod incident;
mod leaves;
mod recent;
mod series;
mod signals;
mod summary;
mod timeline;
mod totals;
pub mod words;

pub use coverage::{Coverage, Gap, GapCause};
pub use cuts::CutTotals;
pub use figure::{Figure, TimeWindow, Unit};
pub use fold::{Fold, fold};
pub use incident::*;
pub use leaves::{BoundedList, LeafRef, LeafSet};
pub use series::{LoadPoint, LoadSeries};
pub use signals::{Fit, Signal, signal};
pub use timeline::TimelineEntry;
pub use totals::{ActivityTotals, Peak, PercentileSpread, Totals};
