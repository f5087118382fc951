//! What one process passes to the next, so that the control loop continues.

use core::num::NonZeroU32;
use std::collections::BTreeMap;

use portcullis_model::Ids;
use portcullis_watch::OriginRecord;
use serde::{Deserialize, Serialize};

use crate::platform::PlatformPosture;
use crate::unassigned::UnassignedTraffic;

/// Postures, waves and procedures with their figures, and what is known of origins. Not what the watch
/// holds of the last hour: its windows fill again.
///
/// A version that reads it is one with the same [`VERSION`](Self::VERSION), and the same fields: others
/// begin without.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlState {
    /// The version of what follows, for changes that the fields do not show.
    pub(crate) version: u32,
    pub(crate) ids: Ids,
    pub(crate) postures: Vec<PlatformPosture>,
    pub(crate) origins: Vec<OriginRecord>,
    pub(crate) unassigned: UnassignedTraffic,
    pub(crate) next_procedure: NonZeroU32,
    pub(crate) earlier_waves: BTreeMap<String, u32>,
}

impl ControlState {
    /// The version that this code writes and reads.
    pub const VERSION: u32 = 1;

    /// Whether this code understands it.
    pub const fn is_readable(&self) -> bool {
        self.version == Self::VERSION
    }
}
