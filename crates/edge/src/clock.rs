//! The one place where the request path reads a clock, or waits for one.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use portcullis_model::{Time, WallTime};
use tokio::sync::watch;

/// The calendar when a manual clock begins: 2026-01-01T00:00:00Z.
const MANUAL_START: WallTime = WallTime(1_767_225_600_000);

/// The process's clock: [`Time`] counts from when it was made.
///
/// Copies agree with each other, so all workers and the control loop share one origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    /// The kernel's clock, starting now.
    System(Instant),
    /// A time that only [`Clock::advance`] moves.
    Manual(&'static ManualTime),
}

#[derive(Debug)]
struct ManualTime {
    now: watch::Sender<Time>,
    /// How many sleeps have begun.
    sleeps: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// A clock that shows `time` now: it continues the one of another process.
    pub fn continued(time: Time) -> Self {
        let now = Instant::now();
        Self(Source::System(now.checked_sub(time.since(Time(0))).unwrap_or(now)))
    }

    /// A clock for tests, which begins at zero and moves only by [`advance`](Self::advance). Its few
    /// bytes are never freed.
    pub fn manual() -> Self {
        let time = ManualTime { now: watch::Sender::new(Time(0)), sleeps: AtomicU64::new(0) };
        Self(Source::Manual(Box::leak(Box::new(time))))
    }

    /// Moves a manual clock forward, and wakes what waits for the time that it then shows. The
    /// system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(time) = self.0 {
            time.now.send_modify(|now| *now = *now + by);
        }
    }

    /// How many sleeps have begun on a manual clock; zero on the kernel's clock. A worker sleeps after
    /// each round of checks, so that a test can see that a round is over.
    pub fn sleeps(&self) -> u64 {
        match self.0 {
            Source::System(_) => 0,
            Source::Manual(time) => time.sleeps.load(Relaxed),
        }
    }

    /// Time since the beginning; never goes back.
    pub fn now(&self) -> Time {
        match self.0 {
            Source::System(origin) => {
                Time(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Manual(time) => *time.now.borrow(),
        }
    }

    /// The calendar; an administrator may set it back.
    pub fn wall(&self) -> WallTime {
        match self.0 {
            Source::System(_) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Source::Manual(time) => MANUAL_START + time.now.borrow().since(Time(0)),
        }
    }

    /// Waits for `duration` to pass on this clock.
    pub async fn sleep(self, duration: Duration) {
        match self.0 {
            Source::System(_) => tokio::time::sleep(duration).await,
            Source::Manual(time) => {
                let mut receiver = time.now.subscribe();
                let due = *receiver.borrow() + duration;
                time.sleeps.fetch_add(1, Relaxed);
                // The sender is never dropped.
                let _ = receiver.wait_for(|now| *now >= due).await;
            }
        }
    }

    /// Waits for `future`; `None` if it takes longer than `limit` on this clock.
    pub async fn timeout<T>(self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.sleep(limit) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::future;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(future)
    }

    #[test]
    fn a_manual_clock_moves_only_when_it_is_advanced() {
        let clock = Clock::manual();
        let copy = clock;
        assert_eq!((clock.now(), clock.wall()), (Time(0), MANUAL_START));
        copy.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now(), Time(1_500_000_000));
        assert_eq!(clock.wall(), WallTime(MANUAL_START.0 + 1_500));
    }

    #[test]
    fn a_sleeper_is_woken_by_another_thread_that_advances_a_manual_clock() {
        let clock = Clock::manual();
        let hour = Duration::from_secs(3_600);
        let advance = async { std::thread::spawn(move || clock.advance(hour)).join() };
        let ((), advanced) = block_on(async { tokio::join!(clock.sleep(hour), advance) });
        advanced.expect("advanced");
        assert_eq!(clock.now(), Time::from_secs(3_600));
        assert_eq!(clock.sleeps(), 1);
    }

    #[test]
    fn a_timeout_passes_when_a_manual_clock_passes_it() {
        let clock = Clock::manual();
        let second = Duration::from_secs(1);
        let never = clock.timeout(second, future::pending::<()>());
        let (output, ()) = block_on(async { tokio::join!(never, async { clock.advance(second) }) });
        assert_eq!(output, None);
    }

    #[test]
    fn the_systems_clock_is_not_moved_by_hand() {
        let clock = Clock::new();
        clock.advance(Duration::from_secs(3_600));
        assert!(clock.now() < Time::from_secs(3_600));
        assert_eq!(block_on(clock.timeout(Duration::from_secs(60), future::ready(7))), Some(7));
    }
}
