//! Grades: what published figures say about an incident, with their source and date.

mod scale;
mod sophistication;

pub use scale::{CAVEAT, Citation, PublishedComparison, Scale, Size, scale};
pub use sophistication::{FeatureStatus, RubricFeature, Sophistication, sophistication};
