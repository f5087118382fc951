//! The inputs of the control loop.

use std::sync::Arc;

use portcullis_model::{Config, FeatureName, PlatformId, Record, Snapshot};
use portcullis_watch::Baseline;
use serde::{Deserialize, Serialize};

/// One input; [`Control::step`](crate::Control::step) takes them one by one.
///
/// The same inputs at the same times, in the same order, give the same actions.
#[derive(Clone, Debug)]
pub enum Input {
    /// The record of one request.
    Record(Record),
    /// The readable form of a feature value.
    FeatureName(FeatureName),
    /// The origin answered, or did not answer, what the gate asked it ([`Action::Probe`]).
    ///
    /// [`Action::Probe`]: crate::Action::Probe
    Probed {
        /// Whose origin.
        platform: PlatformId,
        /// Whether it answered below 500.
        answered: bool,
    },
    /// A tick: everything that all workers have counted since they began.
    Tick(Snapshot),
    /// Whole seconds without a request, in place of their ticks. Only while the loop is calm: see
    /// [`Control::is_calm`](crate::Control::is_calm).
    Silence {
        /// How many.
        seconds: u64,
    },
    /// A new configuration.
    Reload(Arc<Config>),
    /// Baselines that an earlier run saved.
    Restore(Vec<SavedBaseline>),
    /// The gate stops: every tally is closed.
    Stop,
}

/// The baseline of one activity, as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedBaseline {
    /// The platform's name.
    pub platform: String,
    /// The activity's name.
    pub activity: String,
    /// The activity's expected rates.
    pub baseline: Baseline,
}
