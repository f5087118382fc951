//! One visitor connection, as the worker watches over it.

use core::cell::{Cell, OnceCell, RefCell};
use core::net::IpAddr;
use core::task::Waker;
use core::time::Duration;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use http::HeaderValue;
use portcullis_model::{ActivityId, Cut, Limits, Reason, SourceKey, Time};

use crate::forwarded::Identity;
use crate::guard::Guard;
use crate::http_3;
use crate::ja4::Ja4;
use crate::pace::Pace;
use crate::pressure::{IdleLine, LEAST_REST};
use crate::transport::VisitorIo;
use crate::upgrade::{Tunnel, TunnelTerms};
use crate::worker::House;

/// From here on a connection that owes a request header counts as stalled.
const STALLED: Duration = Duration::from_secs(1);

/// An idle connection that was asked to end politely is given this long.
const POLITE: Duration = Duration::from_secs(2);

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Owes a PROXY protocol header.
    Proxy,
    /// In its TLS handshake.
    Handshake,
    /// Ready for its first request, which has not come yet.
    Arriving,
    /// Has sent a part of a request header.
    Header,
    /// At least one request is being answered.
    Busy,
    /// Between two requests.
    Idle,
    /// Upgraded: bytes pass both ways.
    Tunnel,
}

/// One visitor connection.
pub(crate) struct Visit {
    pub(crate) house: Rc<House>,
    /// Whether the connection is encrypted.
    pub(crate) secure: bool,
    phase: Cell<Phase>,
    /// Its place among the connections of its worker, once it has one.
    place: OnceCell<u32>,
    /// When the phase began (in a tunnel: when bytes last moved).
    since: Cell<Time>,
    born: Time,
    /// Requests that are being answered.
    requests: Cell<u32>,
    /// Requests so far.
    begun_requests: Cell<u32>,
    /// How the visitor takes what the system has room for.
    taking: Cell<Pace>,
    /// What it asked for last. Before its first request the first of all, under which connections
    /// that were not let in are counted too.
    activity: Cell<ActivityId>,
    cut: Cell<bool>,
    broken_off: Cell<bool>,
    draining: Cell<bool>,
    waker: OnceCell<Waker>,
    /// The body of the request that is being answered could be read in two ways.
    pub(crate) spoilt_body: Cell<bool>,
    /// A part of the first request's header has come.
    pub(crate) begun: Cell<bool>,
    /// Left here by the request that was upgraded, for when HTTP is over.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
    /// Since when it is one, and what it must keep to.
    terms: OnceCell<Box<(Time, TunnelTerms)>>,
    /// Who the visitor is, once known.
    identity: OnceCell<Identity>,
    /// Which TLS library it uses, once its first message has come.
    tls_client: OnceCell<Ja4>,
    /// The HTTP/2 stream whose task is running.
    running: RefCell<Option<Rc<Cell<bool>>>>,
    /// Watches over the frames of an HTTP/2 connection.
    pub(crate) guard: OnceCell<Box<RefCell<Guard>>>,
    /// Watches over an HTTP/3 connection.
    pub(crate) http_3: OnceCell<Box<RefCell<http_3::Guard>>>,
    /// Where the same is served by HTTP/3, as answers say it (RFC 7838).
    pub(crate) alternative: OnceCell<HeaderValue>,
    /// The connection of a visitor who was told to go away.
    pub(crate) leftover: RefCell<Option<Box<VisitorIo>>>,
}

/// What is cut when a request stands still: its HTTP/2 stream, or the connection.
pub(crate) enum Cuttable {
    Stream(Rc<Visit>, Rc<Cell<bool>>),
    Connection(Rc<Visit>),
}

impl Cuttable {
    pub(crate) fn cut(&self, task: Option<&Waker>) {
        match self {
            // One of many that share a slow line is waited for.
            Self::Stream(visit, _) if !visit.has_stalled_stream() => {}
            Self::Stream(_, cut) => {
                cut.set(true);
                if let Some(task) = task {
                    task.wake_by_ref();
                }
            }
            // A visitor who is slow is waited for, and cut by the worker if it is too slow.
            Self::Connection(visit) if visit.is_backed_up() => {}
            Self::Connection(visit) => visit.cut_for(Cut::SlowRead),
        }
    }
}

impl Visit {
    pub(crate) fn new(house: Rc<House>, secure: bool, phase: Phase) -> Self {
        let born = house.now();
        let since = Cell::new(born);
        Self {
            house,
            secure,
            phase: Cell::new(phase),
            place: OnceCell::new(),
            since,
            born,
            requests: Cell::new(0),
            begun_requests: Cell::new(0),
            taking: Cell::default(),
            activity: Cell::new(ActivityId(0)),
            cut: Cell::new(false),
            broken_off: Cell::new(false),
            draining: Cell::new(false),
            waker: OnceCell::new(),
            spoilt_body: Cell::new(false),
            begun: Cell::new(false),
            tunnel: RefCell::new(None),
            terms: OnceCell::new(),
            identity: OnceCell::new(),
            tls_client: OnceCell::new(),
            running: RefCell::new(None),
            guard: OnceCell::new(),
            http_3: OnceCell::new(),
            alternative: OnceCell::new(),
            leftover: RefCell::new(None),
        }
    }

    /// Says which HTTP/2 stream runs now, or that none does any more.
    pub(crate) fn runs(&self, stream: Option<&Rc<Cell<bool>>>) {
        *self.running.borrow_mut() = stream.cloned();
    }

    /// What is to be cut if the request that is running now stands still.
    pub(crate) fn running(self: &Rc<Self>) -> Cuttable {
        match &*self.running.borrow() {
            Some(stream) => Cuttable::Stream(self.clone(), stream.clone()),
            None => Cuttable::Connection(self.clone()),
        }
    }

    /// Says whose connection this is: `address` connected, or the trusted proxy there said so.
    pub(crate) fn identify(&self, address: IpAddr, trusted: bool) {
        let _ = self.identity.set(Identity::new(address, trusted));
    }

    /// Whose connection this is. Before a PROXY header was read, nobody's.
    pub(crate) fn identity(&self) -> &Identity {
        self.identity.get_or_init(|| Identity::new(IpAddr::from([0, 0, 0, 0]), false))
    }

    pub(crate) fn know_tls_client(&self, client: Ja4) {
        let _ = self.tls_client.set(client);
    }

    /// The fingerprint of the visitor's TLS library; a trusted proxy's own says nothing of its
    /// visitors.
    pub(crate) fn tls_client(&self) -> Option<&str> {
        if self.identity().trusted { None } else { self.tls_client.get().map(Ja4::as_str) }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Keeps the line of those who are idle.
    fn set_phase(&self, phase: Phase) {
        let before = self.phase.replace(phase);
        let Some(place) = self.place.get() else { return };
        let line = &self.house.visits.idle;
        match (before, phase) {
            (_, Phase::Idle) => line.borrow_mut().join(*place),
            (Phase::Idle, _) => line.borrow_mut().leave(*place),
            _ => {}
        }
    }

    /// Whether it can be ended for somebody else's sake: idle for a while, and with nothing left to
    /// take.
    fn can_give_way(&self, now: Time) -> bool {
        let owed = self.guard.get().is_some_and(|guard| guard.borrow().windows().is_blocked());
        let rested = now.since(self.since.get()) >= LEAST_REST;
        self.phase() == Phase::Idle && rested && !owed && !self.is_backed_up() && !self.is_cut()
    }

    /// Enters a phase, now.
    pub(crate) fn enter(&self, phase: Phase) {
        self.set_phase(phase);
        self.since.set(self.house.now());
    }

    /// HTTP is over; from now on bytes pass both ways.
    pub(crate) fn enter_tunnel(&self, terms: TunnelTerms) {
        let _ = self.terms.set(Box::new((self.house.now(), terms)));
        self.enter(Phase::Tunnel);
    }

    /// Bytes moved in a tunnel.
    pub(crate) fn moved(&self) {
        self.since.set(self.house.now());
    }

    /// A request's header is complete.
    pub(crate) fn request_begins(self: &Rc<Self>) -> Turn {
        self.requests.set(self.requests.get() + 1);
        self.grows_old();
        self.set_phase(Phase::Busy);
        Turn { visit: self.clone() }
    }

    /// Requests that are being answered.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Whether it is over HTTP/2 or HTTP/3.
    fn is_multiplexed(&self) -> bool {
        self.guard.get().is_some() || self.http_3.get().is_some()
    }

    /// Since when the head of an HTTP/3 request is awaited.
    fn head_open_since(&self) -> Option<Time> {
        self.http_3.get().and_then(|guard| guard.borrow().head_open_since())
    }

    /// The heads of HTTP/3 requests that are awaited have become more or fewer.
    pub(crate) fn awaits_head(&self) {
        match (self.phase(), self.head_open_since()) {
            (Phase::Idle, Some(_)) => self.enter(Phase::Header),
            (Phase::Header, None) => self.enter(Phase::Idle),
            _ => {}
        }
    }

    /// One more request: the last, or one that should not have come any more?
    fn grows_old(&self) {
        let so_far = self.begun_requests.get().saturating_add(1);
        self.begun_requests.set(so_far);
        let policy = self.house.policy.load();
        let limits = &policy.config().limits;
        let age = self.house.now().since(self.born);
        if so_far >= limits.max_requests_per_connection || age >= limits.max_connection_age {
            self.drain();
        }
        // Over HTTP/2, requests that were under way meet the GOAWAY, and then those that the visitor
        // sends until it has come there and back: some hundreds. Twice the limit is beyond both.
        let beyond = limits.max_requests_per_connection.max(limits.max_streams_per_connection * 10);
        if so_far > limits.max_requests_per_connection.saturating_add(beyond) {
            self.cut_for(Cut::MaxAge);
        }
    }

    /// The system took so many bytes for the visitor. Returns how long it had no room before.
    pub(crate) fn took(&self, bytes: usize) -> Duration {
        let mut taking = self.taking.get();
        if taking.is_even() {
            return Duration::ZERO;
        }
        let now = self.house.now();
        let waited = taking.waited(now);
        let rate = self.house.policy.load().config().limits.min_download_rate;
        taking.moved(bytes as u64, rate, now);
        taking.rest(now);
        self.taking.set(taking);
        if self.phase() == Phase::Idle {
            // The rest of an answer: the silence begins after it.
            self.since.set(now);
        }
        waited
    }

    /// There are bytes for the visitor, and the system has no room for them.
    pub(crate) fn has_no_room(&self) {
        let mut taking = self.taking.get();
        if !taking.waits() {
            taking.wait(self.house.now());
            self.taking.set(taking);
        }
    }

    /// Whether the system has no room for what is to be sent.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.taking.get().waits()
    }

    /// Whether the visitor gives no room for an answer by a window of its own.
    fn has_stalled_stream(&self) -> bool {
        let limit = self.house.patience(self.house.policy.load().config().limits.body_idle_timeout);
        let now = self.house.now();
        let guard = self.guard.get();
        guard.is_some_and(|guard| guard.borrow().windows().has_stalled_stream(limit, now))
    }

    /// The task to wake when the worker wants something of this connection.
    pub(crate) fn remember(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// Ends the connection without another byte.
    pub(crate) fn cut(&self) {
        if !self.cut.replace(true) {
            self.wake();
        }
    }

    /// Ends a connection that has not been let in, and counts why.
    pub(crate) fn turn_away(&self, reason: Reason) {
        if !self.is_cut() {
            self.house.meter.decided(ActivityId(0), reason);
            self.cut();
        }
    }

    /// A request was judged to be for `activity`.
    pub(crate) fn asks_for(&self, activity: ActivityId) {
        self.activity.set(activity);
    }

    /// Counts that the connection, or a stream of it, is ended, under what it asked for last.
    pub(crate) fn count(&self, why: Cut) {
        self.house.meter.cut(self.activity.get(), why);
    }

    /// Ends the connection without another byte, and counts why.
    pub(crate) fn cut_for(&self, why: Cut) {
        if !self.is_cut() {
            self.count(why);
            self.cut();
        }
    }

    /// The answer that is under way ends here, and must not look whole.
    pub(crate) fn breaks_off(&self) {
        self.broken_off.set(true);
    }

    /// Whether the connection ends within an answer.
    pub(crate) fn is_broken_off(&self) -> bool {
        self.broken_off.get()
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Ends the connection after what is being answered.
    pub(crate) fn drain(&self) {
        if !self.draining.replace(true) {
            self.wake();
        }
    }

    /// Ends the connection after what is being answered, and counts why.
    fn end_politely(&self, why: Cut) {
        if !self.is_draining() {
            self.count(why);
            self.drain();
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Asks a connection that is too old to end, where that can be said without a request; and cuts
    /// it when what was under way has had its time. Returns whether it was cut.
    fn check_age(&self, limits: &Limits, now: Time) -> bool {
        let age = now.since(self.born);
        if age < limits.max_connection_age || !matches!(self.phase(), Phase::Busy | Phase::Idle) {
            return false;
        }
        // Over HTTP/1.1 only an answer can say so: closed while it is idle, the connection may meet
        // the visitor's next request half way.
        if self.is_multiplexed() || self.phase() == Phase::Busy {
            self.drain();
        }
        let over = age >= limits.max_connection_age * 2;
        if over {
            self.cut_for(Cut::MaxAge);
        }
        over
    }

    /// Cuts the connection if it is over a deadline. Returns whether it owes a request header for
    /// longer than it should. `idle` is what is granted now.
    pub(crate) fn check(
        &self,
        limits: &Limits,
        idle: Duration,
        header_deadline: Duration,
        now: Time,
    ) -> bool {
        if self.is_cut() {
            return false;
        }
        let patience = match self.phase() {
            Phase::Busy => self.house.patience(limits.body_idle_timeout),
            _ => limits.body_idle_timeout,
        };
        if self.taking.get().behind(now) >= patience
            && matches!(self.phase(), Phase::Busy | Phase::Idle | Phase::Header)
        {
            self.cut_for(Cut::SlowRead);
            return false;
        }
        if self.check_age(limits, now) {
            return false;
        }
        let mut age = now.since(self.since.get());
        if let Some(guard) = self.guard.get() {
            let guard = guard.borrow();
            let windows = guard.windows();
            if windows.is_stalled(patience, now) {
                self.cut_for(Cut::FlowControlStall);
                return false;
            }
            if self.phase() == Phase::Idle {
                // The library may still have answers to send.
                if windows.is_blocked() {
                    return false;
                }
                age = age.min(now.since(windows.last_sent()));
            }
        }
        let head = self.head_open_since();
        if let Some(since) = head.filter(|_| self.phase() == Phase::Header) {
            age = now.since(since);
        }
        if self.phase() == Phase::Arriving && self.is_multiplexed() {
            if age >= header_deadline {
                self.cut_for(Cut::MissingPreface);
            }
            return false;
        }
        let overdue = match self.phase() {
            Phase::Proxy => (age >= header_deadline).then_some(Reason::ProxyHeader),
            Phase::Handshake => (age >= limits.handshake_timeout).then_some(Reason::HandshakeFailed),
            Phase::Arriving | Phase::Header => {
                (age >= header_deadline).then_some(Reason::HeaderTimeout)
            }
            // Whoever still takes the last answer is not silent.
            Phase::Idle if self.is_backed_up() => return false,
            Phase::Idle => {
                if age >= idle {
                    let late = age >= limits.idle_timeout;
                    self.end_politely(if late { Cut::Idle } else { Cut::Evicted });
                }
                if age >= idle + POLITE {
                    self.cut();
                }
                return false;
            }
            Phase::Tunnel => {
                if let Some((began, terms)) = self.terms.get().map(|terms| &**terms) {
                    if age >= terms.idle {
                        self.cut_for(Cut::TunnelIdle);
                    } else if now.since(*began) >= terms.age {
                        self.cut_for(Cut::TunnelAge);
                    }
                }
                return false;
            }
            Phase::Busy => {
                // Nothing else can come on an HTTP/2 connection before the block has ended.
                let block = self.guard.get().and_then(|guard| guard.borrow().block_open_since());
                let open = block.or(head);
                if open.is_some_and(|since| now.since(since) >= header_deadline) {
                    self.house.meter.decided(ActivityId(0), Reason::HeaderTimeout);
                    self.cut();
                }
                return false;
            }
        };
        if let Some(reason) = overdue {
            self.turn_away(reason);
            return false;
        }
        // Browsers open connections ahead of need: only one that has begun a header stalls in it.
        age >= STALLED && (self.phase() == Phase::Header || self.begun.get())
    }
}

/// A request being answered; dropped when the last byte of the answer has been handed over.
pub(crate) struct Turn {
    visit: Rc<Visit>,
}

impl Turn {
    /// Whether others may be answered at the same time on the same connection.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.visit.is_multiplexed()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let left = self.visit.requests.get().saturating_sub(1);
        self.visit.requests.set(left);
        if left == 0 && self.visit.phase() == Phase::Busy {
            self.visit.enter(Phase::Idle);
            self.visit.awaits_head();
        }
    }
}

/// Every open visitor connection of one worker.
#[derive(Default)]
pub(crate) struct Visits {
    slots: RefCell<Vec<Option<Rc<Visit>>>>,
    free: RefCell<Vec<usize>>,
    open: Cell<u64>,
    idle: RefCell<IdleLine>,
}

/// How many idle connections are looked at to find one that can give way.
const CANDIDATES: usize = 8;

impl Visits {
    /// Adds a connection; it is counted until the guard is dropped.
    pub(crate) fn enter(&self, visit: &Rc<Visit>) -> Presence {
        let mut slots = self.slots.borrow_mut();
        let place = if let Some(place) = self.free.borrow_mut().pop() {
            slots[place] = Some(visit.clone());
            place
        } else {
            slots.push(Some(visit.clone()));
            slots.len() - 1
        };
        // Fewer than 2^21.
        let _ = visit.place.set(place as u32);
        self.set_open(&visit.house, self.open.get() + 1);
        Presence { house: visit.house.clone(), place, source: Cell::new(None) }
    }

    pub(crate) fn open(&self) -> u64 {
        self.open.get()
    }

    /// Ends the connection that has been idle for longest; `false` if there is none that can be
    /// ended. Looks at a few at most.
    pub(crate) fn make_room(&self, now: Time) -> bool {
        let slots = self.slots.borrow();
        let mut line = self.idle.borrow_mut();
        for _ in 0..CANDIDATES {
            let Some(place) = line.first() else { return false };
            line.leave(place);
            let Some(visit) = slots.get(place as usize).and_then(Option::as_ref) else { continue };
            if visit.can_give_way(now) {
                visit.cut_for(Cut::Evicted);
                return true;
            }
            if !visit.is_cut() {
                line.join(place);
            }
        }
        false
    }

    fn set_open(&self, house: &House, open: u64) {
        self.open.set(open);
        house.meter.set_connections(open);
    }

    /// Asks every connection to end after what it is answering.
    pub(crate) fn drain(&self) {
        for visit in self.slots.borrow().iter().flatten() {
            visit.drain();
        }
    }

    /// Cuts what is over a deadline; returns how many connections are stalled in a header.
    pub(crate) fn check(
        &self,
        limits: &Limits,
        idle: Duration,
        header_deadline: Duration,
        now: Time,
    ) -> u64 {
        let slots = self.slots.borrow();
        let stalled =
            slots.iter().flatten().filter(|visit| visit.check(limits, idle, header_deadline, now));
        stalled.count() as u64
    }
}

/// One connection's place among all.
pub(crate) struct Presence {
    house: Rc<House>,
    place: usize,
    /// The source it is counted under, if it is.
    source: Cell<Option<SourceKey>>,
}

impl Presence {
    /// Counts the connection under its source and its network; an error if one of them holds too
    /// many.
    pub(crate) fn count_under(&self, source: SourceKey) -> Result<(), Reason> {
        let now = self.house.now();
        let policy = self.house.policy.load();
        let tables = &self.house.tables;
        if !tables.open_connection(source, policy.source_connections(now)) {
            return Err(Reason::SourceConnections);
        }
        if !tables.open_in_network(source, policy.config().limits.max_network_connections) {
            tables.close_connection(source);
            return Err(Reason::NetworkConnections);
        }
        self.source.set(Some(source));
        Ok(())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let visits = &self.house.visits;
        visits.idle.borrow_mut().leave(self.place as u32);
        visits.slots.borrow_mut()[self.place] = None;
        visits.free.borrow_mut().push(self.place);
        visits.set_open(&self.house, visits.open.get() - 1);
        self.house.open.fetch_sub(1, Relaxed);
        if let Some(source) = self.source.get() {
            self.house.tables.close_connection(source);
            self.house.tables.close_in_network(source);
        }
    }
}
