//! Platforms, activities and tiers.

use serde::{Deserialize, Serialize};

/// A protected site. [`Ids`](crate::Ids) gives ids by name.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PlatformId(pub u16);

/// An activity of any platform. [`Ids`](crate::Ids) gives ids by name.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ActivityId(pub u16);

/// The platform and the activity that a request is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// The platform.
    pub platform: PlatformId,
    /// One of its activities.
    pub activity: ActivityId,
}

/// A worker: one core's listener, runtime and counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u16);

/// Who is served first when not all can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Served last, shed first.
    Optional,
    /// Shed only when shedding optional activities was not enough.
    Important,
    /// Never shed.
    Essential,
}

impl Tier {
    /// The word that configuration and reports use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Important => "important",
            Self::Essential => "essential",
        }
    }
}
