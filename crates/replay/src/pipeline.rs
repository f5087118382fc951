//! Reading and judging side by side: one thread reads, parses and orders lines, the other plays
//! them. Each takes about half of the time.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::log_second::LogSecond;
use crate::reorder::SecondSink;

/// A batch is handed over when it has this number of lines or of seconds: few handovers, and little memory. A
/// single second may have more lines, up to what a reorder buffer holds.
const BATCH_LINES: usize = 4_096;
const BATCH_SECONDS: usize = 1_024;
/// Batches that wait.
const WAITING: usize = 8;

/// A second, and whether it is only a part of it.
type BatchedSecond = (u64, LogSecond, bool);

/// Collects seconds and sends them to the other thread.
pub(crate) struct BatchSender {
    send: SyncSender<Vec<BatchedSecond>>,
    batch: Vec<BatchedSecond>,
    lines: usize,
}

impl BatchSender {
    fn flush(&mut self) {
        self.lines = 0;
        // It fails only if the other thread has panicked, which is reported there.
        let _ = self.send.send(core::mem::take(&mut self.batch));
    }
}

impl SecondSink for BatchSender {
    fn take_second(&mut self, second: u64, lines: &mut LogSecond, more: bool) {
        self.lines += lines.len();
        self.batch.push((second, core::mem::take(lines), more));
        if self.lines >= BATCH_LINES || self.batch.len() >= BATCH_SECONDS {
            self.flush();
        }
    }
}

/// Runs `read` in another thread, and hands the seconds that it puts into its sink to `sink` in
/// this one, in the same order. `progress` gets the numbers that `read` reports.
pub(crate) fn run<T: Send>(
    sink: &mut impl SecondSink,
    progress: &mut dyn FnMut(u64),
    read: impl FnOnce(&mut BatchSender, &mut dyn FnMut(u64)) -> T + Send,
) -> T {
    let count = AtomicU64::new(0);
    let (send, receive) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let count = &count;
        let reading = scope.spawn(move || {
            let mut sender = BatchSender { send, batch: Vec::new(), lines: 0 };
            let result = read(&mut sender, &mut |lines| count.store(lines, Ordering::Relaxed));
            sender.flush();
            result
        });
        for batch in receive {
            for (second, mut lines, more) in batch {
                sink.take_second(second, &mut lines, more);
            }
            progress(count.load(Ordering::Relaxed));
        }
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seconds(Vec<(u64, bool)>);

    impl SecondSink for Seconds {
        fn take_second(&mut self, second: u64, _: &mut LogSecond, more: bool) {
            self.0.push((second, more));
        }
    }

    #[test]
    fn all_seconds_arrive_in_order() {
        let mut seconds = Seconds::default();
        let mut reported = 0;
        let result = run(&mut seconds, &mut |count| reported = count, |sender, progress| {
            for second in 0..5_000 {
                sender.take_second(second, &mut LogSecond::default(), second % 2 == 0);
            }
            progress(7);
            "done"
        });
        assert_eq!((result, reported), ("done", 7));
        assert!(seconds.0.iter().copied().eq((0..5_000).map(|second| (second, second % 2 == 0))));
    }
}
