//! The pool that makes pages: a few threads, each busy with one page at a time.

use std::hint::black_box;
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::config::DemoOriginConfig;
use super::counters::OriginCounters;
use super::pages::{self, Page};

/// A page to be made, and where it is awaited.
struct PageJob {
    page: Page,
    done: oneshot::Sender<Vec<u8>>,
}

/// The way to the workers. When the last of its clones is dropped, the workers end.
#[derive(Clone)]
pub(super) struct WorkerPool {
    jobs: mpsc::SyncSender<PageJob>,
    counters: Arc<OriginCounters>,
}

impl WorkerPool {
    pub(super) fn start(
        config: &DemoOriginConfig,
        counters: &Arc<OriginCounters>,
    ) -> io::Result<(WorkerPool, Vec<JoinHandle<()>>)> {
        let (jobs, queue) = mpsc::sync_channel(config.queue);
        let queue = Arc::new(Mutex::new(queue));
        let burner = CpuBurner::calibrate();
        let threads = (0..config.workers)
            .map(|number| {
                let worker = PageWorker {
                    queue: Arc::clone(&queue),
                    counters: Arc::clone(counters),
                    burner,
                    rng_state: 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1),
                };
                std::thread::Builder::new()
                    .name(format!("origin-worker-{number}"))
                    .spawn(move || worker.run())
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok((WorkerPool { jobs, counters: Arc::clone(counters) }, threads))
    }

    /// Has a page made; `None` if the queue is full.
    pub(super) async fn render_page(&self, page: Page) -> Option<Vec<u8>> {
        let (done, made) = oneshot::channel();
        self.counters.queued.increment();
        if self.jobs.try_send(PageJob { page, done }).is_err() {
            self.counters.queued.decrement();
            return None;
        }
        made.await.ok()
    }
}

struct PageWorker {
    queue: Arc<Mutex<mpsc::Receiver<PageJob>>>,
    counters: Arc<OriginCounters>,
    burner: CpuBurner,
    rng_state: u64,
}

impl PageWorker {
    fn run(mut self) {
        loop {
            let job = match self.queue.lock() {
                Ok(waiting) => waiting.recv(),
                Err(_) => return,
            };
            let Ok(job) = job else { return };
            self.counters.queued.decrement();
            // No request waits any more: the origin is being stopped.
            if job.done.is_closed() {
                continue;
            }
            self.counters.busy_workers.increment();
            let cost = job.page.cost();
            self.burner.burn(cost.cpu_time);
            let wait = self.jittered(cost.database_wait);
            std::thread::sleep(wait);
            let response = pages::render(&job.page);
            self.counters.busy_workers.decrement();
            let _ = job.done.send(response);
        }
    }

    /// Between four and six fifths of a duration (xorshift: any spread will do here).
    fn jittered(&mut self, middle: Duration) -> Duration {
        self.rng_state ^= self.rng_state << 13;
        self.rng_state ^= self.rng_state >> 7;
        self.rng_state ^= self.rng_state << 17;
        middle * (80 + (self.rng_state % 41) as u32) / 100
    }
}

/// Processor time, spent on purpose. The amount of work is fixed when the origin starts, so that a
/// page takes longer when the processor is contended, as a real one does.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuBurner {
    rounds_per_100_micros: u64,
}

impl CpuBurner {
    pub(super) fn calibrate() -> Self {
        const ROUNDS: u64 = 100_000;
        // The fastest of several: whatever else ran only made it slower.
        let fastest = (0..8)
            .map(|_| {
                let start = Instant::now();
                hash_rounds(ROUNDS);
                start.elapsed()
            })
            .min()
            .unwrap_or(Duration::from_micros(100))
            .max(Duration::from_nanos(1));
        let rounds = u128::from(ROUNDS) * 100_000 / fastest.as_nanos();
        CpuBurner { rounds_per_100_micros: u64::try_from(rounds).unwrap_or(ROUNDS).max(1) }
    }

    pub(super) fn burn(self, time: Duration) {
        hash_rounds(self.rounds_per_100_micros * (time.as_micros() as u64) / 100);
    }
}

/// FNV-1a over a counter, a byte a round.
fn hash_rounds(rounds: u64) {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for round in 0..rounds {
        hash = (black_box(hash) ^ (round & 0xff)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    black_box(hash);
}
