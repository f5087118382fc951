//! From serving to the end.

/// What a worker is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkerStage {
    /// Accept connections and serve them.
    #[default]
    Serve,
    /// Another process accepts connections. Visitors are asked to connect again, and are served until
    /// they have, or until `drain_time` is over.
    HandedOver,
    /// Finish what is being answered, and end.
    Stop,
}
