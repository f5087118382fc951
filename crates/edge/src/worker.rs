//! A worker: one core's thread, runtime, listeners, origin connections and counters.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::UNIX_EPOCH;

use arc_swap::ArcSwap;
use http::HeaderValue;
use portcullis_gate::{self as gate, Lexicon, Policy, Tables};
use portcullis_model::{
    ActivityId, Features, Meter, OriginConfig, PlatformId, Reason, Record, Sighting, SourceKey,
    TICK, Time, TokenState, WallTime, WorkerId,
};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::accept::{BoundListener, accept};
use crate::challenge::ChallengeAnswers;
use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::error::EdgeError;
use crate::handshake::Handshakes;
use crate::http_1::Buffers;
use crate::http_3;
use crate::origin::Pool;
use crate::pace::PRESSED;
use crate::pressure::granted;
use crate::tls::TlsConfigs;
use crate::visit::Visits;

/// How long HTTP/3 connections that were closed may take to hear of it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Everything that a worker is given. [`Worker::run`] does the rest, on the calling thread.
pub struct Worker {
    /// Its number.
    pub id: WorkerId,
    /// How many workers there are; connections to origins are shared out among them.
    pub workers: u16,
    /// Its own sockets, from [`bind`](crate::bind).
    pub listeners: Vec<BoundListener>,
    /// The policy, swapped whole by the control loop.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Limits by source and token, shared by all workers.
    pub tables: Arc<Tables>,
    /// Certificates by listener, swapped whole on a reload.
    pub tls: Arc<ArcSwap<TlsConfigs>>,
    /// What certificate authorities are answered, by all workers.
    pub answers: Arc<ChallengeAnswers>,
    /// Its counters.
    pub meter: Arc<Meter>,
    /// Where its requests are written down. If the ring is full, a record is lost and counted.
    pub records: rtrb::Producer<Record>,
    /// Where readable names of features go. If the ring is full, they are lost.
    pub sightings: rtrb::Producer<Sighting>,
    /// Visitor connections of all workers together: one counter for all.
    pub open: Arc<AtomicU64>,
    /// What went wrong inside: one for all workers.
    pub faults: Arc<Faults>,
    /// The process's clock.
    pub clock: Clock,
    /// Turns true when the worker is to finish what it is doing and end.
    pub drain: watch::Receiver<bool>,
}

/// What went wrong inside, for metrics. None of it stops a worker.
#[derive(Debug, Default)]
pub struct Faults {
    accept_errors: AtomicU64,
    panics: AtomicU64,
}

impl Faults {
    /// How often the system could not give us a connection (out of file descriptors or memory).
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Relaxed)
    }

    /// Panics that were kept to one connection.
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

impl Worker {
    /// Serves visitors until told to drain, and then until the last of them is served or the
    /// drain has taken as long as it may.
    pub fn run(self) -> Result<(), EdgeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(EdgeError::Worker)?;
        let local = LocalSet::new();
        local.block_on(&runtime, self.serve())
    }

    async fn serve(self) -> Result<(), EdgeError> {
        let mut drain = self.drain;
        let most = self.listeners.iter().map(|listener| listener.rules.index + 1).max();
        let mut alternatives = vec![None; most.unwrap_or(0)];
        for listener in &self.listeners {
            alternatives[listener.rules.index] = listener.alternative();
        }
        let house = Rc::new(House {
            policy: self.policy,
            tables: self.tables,
            tls: self.tls,
            answers: self.answers,
            meter: self.meter,
            open: self.open,
            faults: self.faults,
            visits: Visits::default(),
            handshakes: Handshakes::default(),
            deadlines: Rc::default(),
            workers: self.workers,
            clock: self.clock,
            now: Cell::new(self.clock.now()),
            calendar: Cell::new((self.clock.now(), self.clock.wall())),
            records: RefCell::new(self.records),
            sightings: RefCell::new(self.sightings),
            lexicon: RefCell::new(Lexicon::new()),
            alternatives,
            quic_handshakes: Rc::default(),
            pools: RefCell::default(),
            in_flight: Cell::new(0),
            waiting: Cell::new(0),
            page: Cell::default(),
            buffers: Buffers::default(),
            date: Cell::new((u64::MAX, [0; DATE_BYTES])),
        });
        let mut accepting = Vec::new();
        let mut endpoints = Vec::new();
        for mut listener in self.listeners {
            let rules = listener.rules;
            if let Some(quic) = listener.quic.take() {
                let task = http_3::accept(house.clone(), quic, rules, drain.clone());
                endpoints.push(tokio::task::spawn_local(async move {
                    if let Err(error) = task.await {
                        tracing::error!(%error, "HTTP/3 is not spoken");
                    }
                }));
            }
            let listener = listener.into_tokio().map_err(EdgeError::Worker)?;
            let task = accept(house.clone(), listener, rules);
            accepting.push(tokio::task::spawn_local(task));
        }
        let watching = tokio::task::spawn_local(watch_over(house.clone()));

        // An error means that whoever could tell us to drain is gone.
        let _ = drain.wait_for(|drain| *drain).await;
        for task in accepting {
            task.abort();
        }
        tracing::debug!(worker = self.id.0, open = house.visits.open(), "draining");
        house.visits.drain();
        let begun = house.read_clock();
        let allowed = house.policy.load().config().limits.shutdown_grace;
        while house.visits.open() > 0 && house.read_clock().since(begun) < allowed {
            tokio::time::sleep(TICK / 10).await;
            // A connection accepted just before may have arrived just after.
            house.visits.drain();
        }
        watching.abort();
        // Those who are sent away are told so.
        for endpoint in endpoints {
            let _ = tokio::time::timeout(LAST_WORDS, endpoint).await;
        }
        Ok(())
    }
}

/// Four times a second: deadlines, gauges, idle connections.
async fn watch_over(house: Rc<House>) {
    loop {
        let now = house.read_clock();
        house.calendar.set((now, house.clock.wall()));
        let policy = house.policy.load_full();
        let limits = &policy.config().limits;
        let header_deadline = policy.header_deadline(now);
        let idle = granted(limits.idle_timeout, house.open.load(Relaxed), limits.max_connections);
        let stalled = house.visits.check(limits, idle, header_deadline, now);
        house.meter.set_stalled_headers(stalled);
        house.deadlines.check(now, house.is_pressed());
        for pool in house.pools.borrow().iter().flatten() {
            pool.tidy(now);
        }
        tokio::time::sleep(TICK).await;
    }
}

/// What all connections of one worker share. One thread; nothing here is locked.
pub(crate) struct House {
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) tls: Arc<ArcSwap<TlsConfigs>>,
    pub(crate) answers: Arc<ChallengeAnswers>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) open: Arc<AtomicU64>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) visits: Visits,
    pub(crate) handshakes: Handshakes,
    /// Those of them that are HTTP/3's.
    pub(crate) quic_handshakes: Rc<Cell<u32>>,
    /// By listener: what its answers say of HTTP/3.
    pub(crate) alternatives: Vec<Option<HeaderValue>>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) workers: u16,
    clock: Clock,
    now: Cell<Time>,
    /// A moment on both clocks.
    calendar: Cell<(Time, WallTime)>,
    records: RefCell<rtrb::Producer<Record>>,
    sightings: RefCell<rtrb::Producer<Sighting>>,
    lexicon: RefCell<Lexicon>,
    /// By platform.
    pools: RefCell<Vec<Option<Rc<Pool>>>>,
    in_flight: Cell<u64>,
    waiting: Cell<u64>,
    /// A buffer that connections lend each other, while nobody has it.
    page: Cell<Vec<u8>>,
    /// Buffers for reading that nobody uses now.
    pub(crate) buffers: Buffers,
    /// The second that is written there.
    date: Cell<(u64, [u8; DATE_BYTES])>,
}

/// Bytes of a date (RFC 9110, section 5.6.7).
pub(crate) const DATE_BYTES: usize = 29;

impl House {
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

    /// Counts one more connection in; where all places are taken, one that is idle ends for it.
    pub(crate) fn admit(&self, most: u32) -> bool {
        let admitted =
            self.open.fetch_add(1, Relaxed) < u64::from(most) || self.visits.make_room(self.now());
        if !admitted {
            self.open.fetch_sub(1, Relaxed);
        }
        admitted
    }

    /// Counts a verdict and writes it down.
    pub(crate) fn write(&self, record: &Record) {
        self.meter.decided(record.activity, record.reason);
        if self.records.borrow_mut().push(*record).is_err() {
            self.meter.record_lost();
        }
    }

    /// Counts and writes down a request that the gate was not asked about.
    pub(crate) fn write_unread(&self, source: SourceKey, reason: Reason) {
        self.write(&Record {
            at: self.read_clock(),
            source,
            features: Features::default(),
            query: 0,
            platform: PlatformId(0),
            activity: ActivityId(0),
            reason,
            page: false,
            partial: false,
            token: TokenState::None,
            procedure: None,
        });
    }

    /// Tells readable names of the request's features, if they have not been told lately.
    pub(crate) fn sight(&self, request: &gate::Request<'_>, record: &Record) {
        let mut sightings = self.sightings.borrow_mut();
        self.lexicon.borrow_mut().sight(request, record, &mut |sighting| {
            let _ = sightings.push(sighting);
        });
    }

    /// The connections to a platform's origin. A reload that changes the origin gets new ones;
    /// the old ones end with the requests that use them.
    pub(crate) fn pool(&self, platform: PlatformId, origin: &OriginConfig) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let place = usize::from(platform.0);
        if pools.len() <= place {
            pools.resize_with(place + 1, || None);
        }
        match &pools[place] {
            Some(pool) if pool.config == *origin => pool.clone(),
            _ => {
                let pool = Rc::new(Pool::new(origin.clone(), self.workers));
                pools[place] = Some(pool.clone());
                pool
            }
        }
    }

    /// An empty buffer for `size` bytes. Nearly always there is one: it is used within one turn.
    pub(crate) fn borrow_page(&self, size: usize) -> Vec<u8> {
        let mut page = self.page.take();
        page.reserve(size);
        page
    }

    /// Gives an empty buffer back.
    pub(crate) fn return_page(&self, page: Vec<u8>) {
        self.page.set(page);
    }

    pub(crate) fn add_in_flight(&self, change: i64) {
        let now = self.in_flight.get().saturating_add_signed(change);
        self.in_flight.set(now);
        self.meter.set_in_flight(now);
    }

    /// Whether somebody waits for a place at an origin.
    pub(crate) fn is_pressed(&self) -> bool {
        self.waiting.get() > 0
    }

    /// For how long whoever may hold a place at an origin is waited for, `idle` where there are
    /// enough.
    pub(crate) fn patience(&self, idle: Duration) -> Duration {
        if self.is_pressed() { idle.min(PRESSED) } else { idle }
    }

    pub(crate) fn add_waiting(&self, change: i64) {
        let now = self.waiting.get().saturating_add_signed(change);
        self.waiting.set(now);
        self.meter.set_waiting(now);
    }
}
