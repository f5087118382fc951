//! Reports and plots: pure renderings of an incident.
//!
//! [`nine_questions`] fills in what the NCSC asks of an organisation after a significant incident,
//! as far as the ledger knows it, and marks what only a person knows. [`plot`] draws load over
//! time; the drill and the replay use it too.
//!
//! This crate never reads a clock or a file, never assigns a category to an incident, and never
//! names an actor.

mod charts;
mod figures;
mod html;
pub mod plot;
mod questions;
mod report;
mod text;

pub use figures::figures;
pub use questions::nine_questions;
pub use report::{
    ClaimLine, OperatorInput, Provenance, Report, ReportBlock, ReportTable, Section, TableRow,
};
