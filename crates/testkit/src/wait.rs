//! Waits for a condition, with a limit.

use std::time::{Duration, Instant};

/// A test that waits longer has failed. A machine that is busy with other tests stays below it.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The longest pause between two polls.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Waits until `condition` holds; panics with `what` after [`LIMIT`].
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Waits until `poll` returns a value; panics with `what` after [`LIMIT`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    // Soon again at first, and then rarely: a poll may be a request, which a gate limits.
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} without success: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
