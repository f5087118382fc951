//! What every part of one worker may use: time, policy, tables, counters, records and buffers.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::UNIX_EPOCH;

use arc_swap::ArcSwap;
use portcullis_gate::{self as gate, FeatureNameCache, Policy, Tables};
use portcullis_model::{
    ConnReason, FeatureName, Features, Meter, Reason, Record, SourceKey, Time, TokenState, WallTime,
};

use crate::access_log::{AccessLog, AccessLogSink};
use crate::buffers::Buffers;
use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::transfer_rate::CONTENDED_TIMEOUT;

/// What all connections of one worker share. One thread; nothing here is locked.
pub(crate) struct WorkerContext {
    /// How many workers share connections and budgets.
    pub(crate) workers: u16,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) internal_errors: Arc<InternalErrors>,
    pub(crate) deadlines: Rc<Deadlines>,
    /// Read buffers that no connection uses now.
    pub(crate) buffers: Buffers,
    /// A buffer that connections lend each other, while no connection has it.
    scratch: Cell<Vec<u8>>,
    pub(crate) clock: Clock,
    now: Cell<Time>,
    /// A moment on both clocks.
    calendar: Cell<(Time, WallTime)>,
    /// The second that is written in `date`, and its text.
    date: Cell<(u64, [u8; DATE_BYTES])>,
    records: RefCell<rtrb::Producer<Record>>,
    sightings: RefCell<rtrb::Producer<FeatureName>>,
    feature_names: RefCell<FeatureNameCache>,
    in_flight: Cell<u64>,
    waiting: Cell<u64>,
    /// The access log, if there is one.
    pub(crate) access_log: Option<Rc<AccessLog>>,
}

/// Bytes of a date (RFC 9110, section 5.6.7).
pub(crate) const DATE_BYTES: usize = 29;

/// What the context is made of: the parts of a [`Worker`](crate::Worker) that it keeps.
pub(crate) struct ContextParts {
    pub(crate) workers: u16,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) internal_errors: Arc<InternalErrors>,
    pub(crate) clock: Clock,
    pub(crate) records: rtrb::Producer<Record>,
    pub(crate) sightings: rtrb::Producer<FeatureName>,
    pub(crate) access_log: Option<AccessLogSink>,
}

impl WorkerContext {
    pub(crate) fn new(parts: ContextParts) -> Self {
        let now = parts.clock.now();
        Self {
            workers: parts.workers,
            policy: parts.policy,
            tables: parts.tables,
            meter: parts.meter,
            internal_errors: parts.internal_errors,
            deadlines: Rc::default(),
            buffers: Buffers::default(),
            scratch: Cell::default(),
            now: Cell::new(now),
            calendar: Cell::new((now, parts.clock.wall())),
            date: Cell::new((u64::MAX, [0; DATE_BYTES])),
            clock: parts.clock,
            records: RefCell::new(parts.records),
            sightings: RefCell::new(parts.sightings),
            feature_names: RefCell::new(FeatureNameCache::new()),
            in_flight: Cell::new(0),
            waiting: Cell::new(0),
            access_log: parts.access_log.map(|sink| Rc::new(AccessLog::new(sink))),
        }
    }

    /// The time when the clock was last read: at most a [`TICK`] ago, good enough for deadlines.
    pub(crate) fn now(&self) -> Time {
        self.now.get()
    }

    /// The time.
    pub(crate) fn read_clock(&self) -> Time {
        let now = self.clock.now();
        self.now.set(now);
        now
    }

    /// Reads both clocks; between two calls the calendar advances with [`now`](Self::now).
    pub(crate) fn read_calendar(&self) -> Time {
        let now = self.read_clock();
        self.calendar.set((now, self.clock.wall()));
        now
    }

    /// The calendar at `now`.
    pub(crate) fn wall(&self, now: Time) -> WallTime {
        let (then, wall) = self.calendar.get();
        wall + now.since(then)
    }

    /// The date, as answers say it.
    pub(crate) fn date(&self) -> [u8; DATE_BYTES] {
        let second = self.wall(self.now()).0 / 1000;
        let (written, mut date) = self.date.get();
        if written != second {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
            date.copy_from_slice(text.as_bytes());
            self.date.set((second, date));
        }
        date
    }

    /// Counts a connection that is refused, or a handshake that failed.
    pub(crate) fn count_refused_connection(&self, reason: ConnReason) {
        self.meter.record_refused_connection(reason);
    }

    /// Counts a verdict and writes it down.
    pub(crate) fn record(&self, record: &Record) {
        let activity = record.assigned.map(|assigned| assigned.activity);
        self.meter.record_verdict(activity, record.reason);
        if self.records.borrow_mut().push(*record).is_err() {
            self.meter.record_lost();
        }
    }

    /// Counts and writes down a request that belongs to no activity.
    pub(crate) fn record_unrouted(&self, source: SourceKey, reason: Reason) {
        self.record(&Record {
            at: self.read_clock(),
            source,
            features: Features::default(),
            query: 0,
            assigned: None,
            reason,
            page: false,
            asset: false,
            partial: false,
            token: TokenState::Absent,
            procedure: None,
        });
    }

    /// Sends readable names of the request's features to the watch, unless they were sent recently.
    pub(crate) fn record_names(&self, request: &gate::Request<'_>, record: &Record) {
        let mut sightings = self.sightings.borrow_mut();
        self.feature_names.borrow_mut().sight(request, record, &mut |sighting| {
            let _ = sightings.push(sighting);
        });
    }

    /// An empty buffer for `size` bytes. Nearly always there is one: it is used within one turn.
    pub(crate) fn borrow_scratch(&self, size: usize) -> Vec<u8> {
        let mut page = self.scratch.take();
        page.reserve(size);
        page
    }

    /// Gives an empty buffer back.
    pub(crate) fn return_scratch(&self, page: Vec<u8>) {
        self.scratch.set(page);
    }

    pub(crate) fn add_in_flight(&self, change: i64) {
        let now = self.in_flight.get().saturating_add_signed(change);
        self.in_flight.set(now);
        self.meter.set_in_flight(now);
    }

    /// Whether a request waits for an origin connection.
    pub(crate) fn is_origin_queued(&self) -> bool {
        self.waiting.get() > 0
    }

    /// How long a request that holds an origin connection may stall: `idle` while there are enough
    /// connections.
    pub(crate) fn stall_timeout(&self, idle: Duration) -> Duration {
        if self.is_origin_queued() { idle.min(CONTENDED_TIMEOUT) } else { idle }
    }

    pub(crate) fn add_waiting(&self, change: i64) {
        let now = self.waiting.get().saturating_add_signed(change);
        self.waiting.set(now);
        self.meter.set_waiting(now);
    }
}

/// What went wrong inside, for metrics. None of it stops a worker.
#[derive(Debug, Default)]
pub struct InternalErrors {
    accept_errors: AtomicU64,
    panics: AtomicU64,
}

impl InternalErrors {
    /// How often the kernel could not accept a connection (out of file descriptors or memory).
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Relaxed)
    }

    /// Panics, each of which ended one connection.
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    pub(crate) fn accept_error(&self) {
        self.accept_errors.fetch_add(1, Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Relaxed);
    }
}
