//! The second with the most requests.

use portcullis_model::WallTime;
use serde::Serialize;

/// The second with the most requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BusiestSecond {
    /// When.
    pub at: WallTime,
    /// How many.
    pub requests: u64,
}
