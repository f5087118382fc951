//! The cost of a page for the demonstration site.

use std::time::Duration;

/// The cost of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageCost {
    /// Processor time.
    pub cpu_time: Duration,
    /// Wait for the database, on average.
    pub database_wait: Duration,
}
