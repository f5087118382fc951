//! The pool that makes pages: a few threads, each busy with one page at a time.

use std::hint::black_box;
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::OriginConfig;
use super::counters::Counters;
use super::pages::{self, Page};

/// What a page costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// Processor time.
    pub burn: Duration,
    /// Wait for the database, on average.
    pub wait: Duration,
}

/// A page to be made, and where it is awaited.
struct Job {
    page: Page,
    done: oneshot::Sender<Vec<u8>>,
}

/// The way to the workers. When the last of its clones is dropped, the workers end.
#[derive(Clone)]
pub(super) struct Pool {
    jobs: mpsc::SyncSender<Job>,
    counters: Arc<Counters>,
}

impl Pool {
    pub(super) fn start(
        config: &OriginConfig,
        counters: &Arc<Counters>,
    ) -> io::Result<(Pool, Vec<JoinHandle<()>>)> {
        let (jobs, waiting) = mpsc::sync_channel(config.queue);
        let waiting = Arc::new(Mutex::new(waiting));
        let burner = Burner::calibrate();
        let threads = (0..config.workers)
            .map(|number| {
                let worker = Worker {
                    waiting: Arc::clone(&waiting),
                    counters: Arc::clone(counters),
                    burner,
                    chance: 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1),
                };
                std::thread::Builder::new()
                    .name(format!("origin-worker-{number}"))
                    .spawn(move || worker.run())
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok((Pool { jobs, counters: Arc::clone(counters) }, threads))
    }

    /// Has a page made; `None` if the queue is full.
    pub(super) async fn make(&self, page: Page) -> Option<Vec<u8>> {
        let (done, made) = oneshot::channel();
        self.counters.queued.up();
        if self.jobs.try_send(Job { page, done }).is_err() {
            self.counters.queued.down();
            return None;
        }
        made.await.ok()
    }
}

struct Worker {
    waiting: Arc<Mutex<mpsc::Receiver<Job>>>,
    counters: Arc<Counters>,
    burner: Burner,
    chance: u64,
}

impl Worker {
    fn run(mut self) {
        loop {
            let job = match self.waiting.lock() {
                Ok(waiting) => waiting.recv(),
                Err(_) => return,
            };
            let Ok(job) = job else { return };
            self.counters.queued.down();
            // Nobody waits any more: the origin is being stopped.
            if job.done.is_closed() {
                continue;
            }
            self.counters.busy_workers.up();
            let cost = job.page.cost();
            self.burner.burn(cost.burn);
            let wait = self.around(cost.wait);
            std::thread::sleep(wait);
            let response = pages::render(&job.page);
            self.counters.busy_workers.down();
            let _ = job.done.send(response);
        }
    }

    /// Between four and six fifths of a duration (xorshift: any spread will do here).
    fn around(&mut self, middle: Duration) -> Duration {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        middle * (80 + (self.chance % 41) as u32) / 100
    }
}

/// Processor time, spent on purpose. The amount of work is fixed when the origin starts, so that a
/// page takes longer when the processor is contended, as a real one does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burner {
    rounds_per_100_micros: u64,
}

impl Burner {
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
        Burner { rounds_per_100_micros: u64::try_from(rounds).unwrap_or(ROUNDS).max(1) }
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
