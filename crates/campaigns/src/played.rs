//! A campaign after it was played.

use crate::scenario::CampaignScenario;
use crate::world::World;

/// A campaign that was played.
pub(crate) struct Played<'a> {
    pub scenario: CampaignScenario,
    pub world: World<'a>,
    /// When the gate was open after the event, in milliseconds.
    pub open_at: Option<u64>,
    pub end: u64,
}
