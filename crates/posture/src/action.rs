//! Actions of the control loop.

use portcullis_model::{Event, PlatformId, Procedure};

/// An action for the caller; a list of them is carried out in order.
#[expect(clippy::large_enum_variant, reason = "a few a second, each moved once or twice")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Append this to the ledger.
    Record(Event),
    /// Ask this platform's origin whether it answers; the result is an [`Input::Probed`].
    ///
    /// [`Input::Probed`]: crate::Input::Probed
    Probe(PlatformId),
    /// From now on, exactly these procedures are engaged.
    Engage(Vec<Procedure>),
}
