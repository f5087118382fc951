//! Grades: what published figures say about an incident, with their source and date.

mod scale;
mod sophistication;

pub use scale::{CAVEAT, Comparison, Scale, Size, Source, scale};
pub use sophistication::{Feature, Observed, Sophistication, sophistication};
