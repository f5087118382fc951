//! Many short tasks on a few threads.

use std::thread;
use std::time::Instant;

use crate::connect::BenchResult;

/// Connections that are open at the same time where many are made one after the other: enough to
/// keep a core busy.
pub(crate) const CONCURRENCY: usize = 8;

/// Does `count` things, [`CONCURRENCY`] at a time; returns the seconds that it took.
pub(crate) fn in_parallel(
    count: usize,
    one: impl Fn(usize) -> BenchResult<()> + Sync,
) -> BenchResult<f64> {
    let begun = Instant::now();
    thread::scope(|scope| {
        let share = |first| (first..count).step_by(CONCURRENCY).try_for_each(&one);
        let threads: Vec<_> =
            (0..CONCURRENCY).map(|first| scope.spawn(move || share(first))).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread of the load panicked")??;
        }
        Ok(begun.elapsed().as_secs_f64())
    })
}
