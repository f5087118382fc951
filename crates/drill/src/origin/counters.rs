//! What the origin counts about itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::config::DemoOriginConfig;

/// The load of this number of tenths of a second is stored: an hour.
const TENTHS_MAX: usize = 36_000;

/// The origin's account of itself, also the JSON of `GET /origin-status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoOriginStatus {
    /// Milliseconds since the origin started.
    pub uptime_ms: u64,
    /// Requests whose header arrived in full.
    pub received: u64,
    /// Requests that were served.
    pub served: u64,
    /// Requests that were answered `503` because the queue was full.
    pub rejected: u64,
    /// Connections that were closed because a header took too long.
    pub header_timeouts: u64,
    /// Requests that wait for a page worker now.
    pub queued: u64,
    /// Page workers that are busy now.
    pub busy_workers: u64,
    /// Page workers in all.
    pub workers: u64,
    /// Connections that hold a slot now.
    pub busy_slots: u64,
    /// Slots in all.
    pub slots: u64,
    /// Connections that are open now.
    pub connections: u64,
    /// The most requests that arrived within one second, of windows that begin at each tenth.
    pub peak_received_per_second: u64,
    /// Requests that arrived in each tenth of a second since the start, for an hour at most.
    pub received_by_tenth: Vec<u32>,
}

/// A number that goes up and down.
#[derive(Default)]
pub(super) struct Gauge(AtomicU64);

impl Gauge {
    pub(super) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) struct OriginCounters {
    started: Instant,
    workers: u64,
    slots: u64,
    received_by_tenth: Mutex<Vec<u32>>,
    received: AtomicU64,
    pub(super) served: Gauge,
    pub(super) rejected: Gauge,
    pub(super) header_timeouts: Gauge,
    pub(super) queued: Gauge,
    pub(super) busy_workers: Gauge,
    pub(super) busy_slots: Gauge,
    pub(super) connections: Gauge,
}

impl OriginCounters {
    pub(super) fn new(config: &DemoOriginConfig) -> Self {
        OriginCounters {
            started: Instant::now(),
            workers: config.workers as u64,
            slots: config.slots as u64,
            received_by_tenth: Mutex::default(),
            received: AtomicU64::default(),
            served: Gauge::default(),
            rejected: Gauge::default(),
            header_timeouts: Gauge::default(),
            queued: Gauge::default(),
            busy_workers: Gauge::default(),
            busy_slots: Gauge::default(),
            connections: Gauge::default(),
        }
    }

    /// A request's header has arrived.
    pub(super) fn count_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let tenth = (self.started.elapsed().as_millis() / 100) as usize;
        if tenth < TENTHS_MAX {
            let mut tenths = self.tenths();
            if tenths.len() <= tenth {
                tenths.resize(tenth + 1, 0);
            }
            tenths[tenth] = tenths[tenth].saturating_add(1);
        }
    }

    pub(super) fn status(&self) -> DemoOriginStatus {
        let received_by_tenth = self.tenths().clone();
        DemoOriginStatus {
            uptime_ms: self.started.elapsed().as_millis() as u64,
            received: self.received.load(Ordering::Relaxed),
            served: self.served.get(),
            rejected: self.rejected.get(),
            header_timeouts: self.header_timeouts.get(),
            queued: self.queued.get(),
            busy_workers: self.busy_workers.get(),
            workers: self.workers,
            busy_slots: self.busy_slots.get(),
            slots: self.slots,
            connections: self.connections.get(),
            peak_received_per_second: peak_per_second(&received_by_tenth),
            received_by_tenth,
        }
    }

    fn tenths(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        // Nothing can panic while the lock is held, and counts stay true if something did.
        self.received_by_tenth.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The largest sum of ten neighbouring tenths.
pub(crate) fn peak_per_second(tenths: &[u32]) -> u64 {
    let sum = |window: &[u32]| window.iter().map(|&count| u64::from(count)).sum();
    if tenths.len() < 10 {
        return sum(tenths);
    }
    tenths.windows(10).map(sum).max().unwrap_or(0)
}
