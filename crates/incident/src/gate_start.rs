//! What the ledger holds of the running gate.

use portcullis_model::PlatformFacts;

/// The content of the last `started` and `reloaded` events.
#[derive(Clone, Debug)]
pub(crate) struct GateStart {
    pub(crate) version: String,
    pub(crate) configuration: String,
    pub(crate) platforms: Vec<PlatformFacts>,
    pub(crate) rehearsal: bool,
}
