//! One visitor connection, as the worker watches over it.

use core::cell::{Cell, OnceCell, RefCell};
use core::net::IpAddr;
use core::task::Waker;
use core::time::Duration;
use std::rc::Rc;

use http::HeaderValue;
use portcullis_model::{ActivityId, Cut, Reason, Time};

use super::idle_eviction::{IdleLine, LEAST_REST};
use crate::context::WorkerContext;
use crate::deadline::Abort;
use crate::guard::http_2::Guard;
use crate::guard::http_3;
use crate::request::forwarded::Identity;
use crate::tls::ja4::Ja4;
use crate::transfer_rate::Pace;

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

/// How long an upgraded connection may be silent, and how long it may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TunnelLimits {
    pub(crate) idle: Duration,
    pub(crate) age: Duration,
}

/// A connection's slot in the registry, and the idle connections that it may join.
pub(crate) struct Slot {
    pub(crate) index: u32,
    pub(crate) idle: Rc<RefCell<IdleLine>>,
}

/// One visitor connection.
pub(crate) struct Connection {
    pub(crate) context: Rc<WorkerContext>,
    /// Whether the connection is encrypted.
    pub(crate) secure: bool,
    phase: Cell<Phase>,
    /// Its slot among the connections of its worker, once it has one.
    slot: OnceCell<Slot>,
    /// When the phase began (in a tunnel: when bytes last moved).
    pub(crate) since: Cell<Time>,
    pub(crate) born: Time,
    /// Requests that are being answered.
    requests: Cell<u32>,
    /// Requests so far.
    begun_requests: Cell<u32>,
    /// How the visitor takes what the system has room for.
    pub(crate) taking: Cell<Pace>,
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
    /// Since when it is one, and what it must keep to.
    pub(crate) terms: OnceCell<Box<(Time, TunnelLimits)>>,
    /// Who the visitor is, once known.
    identity: OnceCell<Identity>,
    /// Which TLS library it uses, once its first message has come.
    tls_client: OnceCell<Ja4>,
    /// The HTTP/2 stream whose task is running.
    running: RefCell<Option<Rc<StreamAbort>>>,
    /// Watches over the frames of an HTTP/2 connection.
    pub(crate) guard: OnceCell<Box<RefCell<Guard>>>,
    /// Watches over an HTTP/3 connection.
    pub(crate) http_3: OnceCell<Box<RefCell<http_3::Guard>>>,
    /// Where the same is served by HTTP/3, as answers say it (RFC 7838).
    pub(crate) alternative: OnceCell<HeaderValue>,
}

/// One stream of an HTTP/2 or HTTP/3 connection, as far as it can be aborted alone.
pub(crate) struct StreamAbort {
    conn: Rc<Connection>,
    aborted: Cell<bool>,
}

impl StreamAbort {
    pub(crate) fn new(conn: &Rc<Connection>) -> Rc<Self> {
        Rc::new(Self { conn: conn.clone(), aborted: Cell::new(false) })
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.get()
    }
}

impl Abort for StreamAbort {
    /// A stream is not aborted while the shared connection, not the stream, is the bottleneck.
    fn abort(&self, task: Option<&Waker>) {
        if self.conn.has_stalled_stream() {
            self.aborted.set(true);
            if let Some(task) = task {
                task.wake_by_ref();
            }
        }
    }
}

impl Abort for Connection {
    /// A visitor who is slow is waited for, and cut by the worker if it is too slow.
    fn abort(&self, _: Option<&Waker>) {
        if !self.is_backed_up() {
            self.cut_for(Cut::SlowRead);
        }
    }
}

impl Connection {
    pub(crate) fn new(context: Rc<WorkerContext>, secure: bool, phase: Phase) -> Self {
        let born = context.now();
        let since = Cell::new(born);
        Self {
            context,
            secure,
            phase: Cell::new(phase),
            slot: OnceCell::new(),
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
            terms: OnceCell::new(),
            identity: OnceCell::new(),
            tls_client: OnceCell::new(),
            running: RefCell::new(None),
            guard: OnceCell::new(),
            http_3: OnceCell::new(),
            alternative: OnceCell::new(),
        }
    }

    /// Gives the connection its slot in the registry.
    pub(crate) fn set_slot(&self, slot: Slot) {
        let _ = self.slot.set(slot);
    }

    /// Says which HTTP/2 stream runs now, or that none does any more.
    pub(crate) fn runs(&self, stream: Option<&Rc<StreamAbort>>) {
        *self.running.borrow_mut() = stream.cloned();
    }

    /// What is to be cut if the request that is running now stands still.
    pub(crate) fn abort_target(self: &Rc<Self>) -> Rc<dyn Abort> {
        match &*self.running.borrow() {
            Some(stream) => stream.clone(),
            None => self.clone(),
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
        let Some(slot) = self.slot.get() else { return };
        match (before, phase) {
            (_, Phase::Idle) => slot.idle.borrow_mut().join(slot.index),
            (Phase::Idle, _) => slot.idle.borrow_mut().leave(slot.index),
            _ => {}
        }
    }

    /// Whether it can be ended for somebody else's sake: idle for a while, and with nothing left to
    /// take.
    pub(crate) fn can_give_way(&self, now: Time) -> bool {
        let owed = self.guard.get().is_some_and(|guard| guard.borrow().windows().is_blocked());
        let rested = now.since(self.since.get()) >= LEAST_REST;
        self.phase() == Phase::Idle && rested && !owed && !self.is_backed_up() && !self.is_cut()
    }

    /// Enters a phase, now.
    pub(crate) fn enter(&self, phase: Phase) {
        self.set_phase(phase);
        self.since.set(self.context.now());
    }

    /// HTTP is over; from now on bytes pass both ways.
    pub(crate) fn enter_tunnel(&self, terms: TunnelLimits) {
        let _ = self.terms.set(Box::new((self.context.now(), terms)));
        self.enter(Phase::Tunnel);
    }

    /// Bytes moved in a tunnel.
    pub(crate) fn moved(&self) {
        self.since.set(self.context.now());
    }

    /// A request's header is complete.
    pub(crate) fn request_begins(self: &Rc<Self>) -> RequestGuard {
        self.requests.set(self.requests.get() + 1);
        self.grows_old();
        self.set_phase(Phase::Busy);
        RequestGuard { conn: self.clone() }
    }

    /// Requests that are being answered.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Whether it is over HTTP/2 or HTTP/3.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.guard.get().is_some() || self.http_3.get().is_some()
    }

    /// Since when the head of an HTTP/3 request is awaited.
    pub(crate) fn head_open_since(&self) -> Option<Time> {
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
        let policy = self.context.policy.load();
        let limits = &policy.config().limits;
        let age = self.context.now().since(self.born);
        if so_far >= limits.requests_per_connection || age >= limits.connection_age {
            self.drain();
        }
        // Over HTTP/2, requests that were under way meet the GOAWAY, and then those that the visitor
        // sends until it has come there and back: some hundreds. Twice the limit is beyond both.
        let beyond = limits.requests_per_connection.max(limits.streams_per_connection * 10);
        if so_far > limits.requests_per_connection.saturating_add(beyond) {
            self.cut_for(Cut::Age);
        }
    }

    /// The system took so many bytes for the visitor. Returns how long it had no room before.
    pub(crate) fn took(&self, bytes: usize) -> Duration {
        let mut taking = self.taking.get();
        if taking.is_even() {
            return Duration::ZERO;
        }
        let now = self.context.now();
        let waited = taking.waited(now);
        let rate = self.context.policy.load().config().limits.download_rate;
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
            taking.wait(self.context.now());
            self.taking.set(taking);
        }
    }

    /// Whether the system has no room for what is to be sent.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.taking.get().waits()
    }

    /// Whether the visitor gives no room for an answer by a window of its own.
    fn has_stalled_stream(&self) -> bool {
        let limit = self.context.patience(self.context.policy.load().config().limits.body_idle);
        let now = self.context.now();
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
            self.context.count_refused_connection(reason);
            self.cut();
        }
    }

    /// A request was judged to be for `activity`.
    pub(crate) fn asks_for(&self, activity: ActivityId) {
        self.activity.set(activity);
    }

    /// Counts that the connection, or a stream of it, is ended, under what it asked for last.
    pub(crate) fn count(&self, why: Cut) {
        self.context.meter.cut(self.activity.get(), why);
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
    pub(crate) fn end_politely(&self, why: Cut) {
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
}

/// A request being answered; dropped when the last byte of the answer has been handed over.
pub(crate) struct RequestGuard {
    conn: Rc<Connection>,
}

impl RequestGuard {
    /// Whether others may be answered at the same time on the same connection.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.conn.is_multiplexed()
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let left = self.conn.requests.get().saturating_sub(1);
        self.conn.requests.set(left);
        if left == 0 && self.conn.phase() == Phase::Busy {
            self.conn.enter(Phase::Idle);
            self.conn.awaits_head();
        }
    }
}
