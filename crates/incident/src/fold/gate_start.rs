//! What the fold knows of the running gate, and how near two waves of one incident are.

use core::time::Duration;

use portcullis_model::PlatformFacts;

/// A wave that is detected within this time of the last wave's end belongs to the same incident.
/// Second waves come the next day: the attack on the Labour Party of 11 November 2019 was
/// followed by another on 12 November at about 13:20.
pub const JOIN: Duration = Duration::from_hours(24);

/// The content of the last `started` and `reloaded` events.
#[derive(Clone, Debug)]
pub(super) struct GateStart {
    pub(super) version: String,
    pub(super) configuration: String,
    pub(super) platforms: Vec<PlatformFacts>,
    pub(super) rehearsal: bool,
}
