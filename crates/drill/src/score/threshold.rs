//! One threshold of a drill.

use serde::Serialize;

/// A value that a drill has to reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Threshold {
    /// What.
    pub name: String,
    /// How much of it.
    pub required: String,
    /// How much it was, with the count it rests on.
    pub measured: String,
    /// Whether that is enough.
    pub met: bool,
}
