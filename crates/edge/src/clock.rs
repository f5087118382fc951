//! The one place where the request path reads a clock.

use core::time::Duration;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use portcullis_model::{Time, WallTime};

/// The process's clock: [`Time`] counts from when it was made.
///
/// Copies agree with each other, so all workers and the control loop share one origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// Time since the beginning; never goes back.
    pub fn now(&self) -> Time {
        let nanos = self.origin.elapsed().as_nanos();
        Time(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The calendar; may be set back by an administrator.
    pub fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
