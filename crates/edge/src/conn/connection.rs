//! One visitor connection, as the worker watches over it.

use core::cell::{Cell, OnceCell, RefCell};
use core::net::IpAddr;
use core::task::Waker;
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use portcullis_model::{ActivityId, ConnReason, Cut, Limits, Time};

use super::idle_eviction::{IdleLru, LEAST_REST};
use crate::access_log::AccessRecord;
use crate::context::WorkerContext;
use crate::deadline::Abort;
use crate::guard::http_2::Http2Guard;
use crate::guard::http_3;
use crate::request::forwarded::RemoteAddr;
use crate::tls::certificates::{Certificates, RequestedName};
use crate::tls::ja4::Ja4;
use crate::transfer_rate::TransferLag;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Owes a PROXY protocol header.
    Proxy,
    /// In its TLS handshake.
    Handshake,
    /// Ready for its first request, which has not come yet.
    AwaitingFirstRequest,
    /// Has sent a part of a request header.
    Header,
    /// At least one request is being answered.
    Busy,
    /// Between two requests.
    Idle,
    /// Upgraded: bytes pass both ways.
    Tunnel,
}

/// Whether and how a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ClosePlan {
    /// It is not.
    None,
    /// The visitor is asked to connect again, where that costs no request: HTTP/1.1 with the next
    /// response, HTTP/2 and HTTP/3 by a GOAWAY. A connection that asks for nothing stays.
    Asked,
    /// As soon as nothing is being answered.
    WhenIdle,
}

/// How long an upgraded connection may be silent, and how long it may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TunnelTimeouts {
    pub(crate) idle: Duration,
    pub(crate) age: Duration,
}

/// A connection's slot in the registry, and the idle connections that it may join.
pub(crate) struct ConnSlot {
    pub(crate) index: u32,
    pub(crate) idle: Rc<RefCell<IdleLru>>,
}

/// One visitor connection.
pub(crate) struct Connection {
    pub(crate) context: Rc<WorkerContext>,
    /// Whether the connection is encrypted.
    pub(crate) secure: bool,
    phase: Cell<Phase>,
    /// Its slot among the connections of its worker, once it has one.
    slot: OnceCell<ConnSlot>,
    /// When the phase began (in a tunnel: when bytes last moved).
    pub(crate) since: Cell<Time>,
    pub(crate) born: Time,
    /// Requests that are being answered.
    requests: Cell<u32>,
    /// Requests so far.
    requests_so_far: Cell<u32>,
    /// How fast the visitor reads, by the space in the kernel's send buffer.
    pub(crate) write_lag: Cell<TransferLag>,
    /// The activity of its last request that belongs to one.
    activity: Cell<Option<ActivityId>>,
    cut: Cell<bool>,
    truncated: Cell<bool>,
    close_plan: Cell<ClosePlan>,
    waker: OnceCell<Waker>,
    /// The body of the request that is being answered could be read in two ways.
    pub(crate) malformed_body: Cell<bool>,
    /// A part of the first request's header has come.
    pub(crate) header_begun: Cell<bool>,
    /// Since when it is one, and what it must keep to.
    pub(crate) tunnel_timeouts: OnceCell<Box<(Time, TunnelTimeouts)>>,
    /// Who the visitor is, once known.
    identity: OnceCell<RemoteAddr>,
    /// Which TLS library it uses, once its first message has come.
    tls_client: OnceCell<Ja4>,
    /// The name it asked for in the handshake, if it did.
    requested_name: OnceCell<Box<RequestedName>>,
    /// The HTTP/2 stream whose task is running.
    active_stream: RefCell<Option<Rc<StreamAbort>>>,
    /// Watches over the frames of an HTTP/2 connection.
    pub(crate) http_2_guard: OnceCell<Box<RefCell<Http2Guard>>>,
    /// Watches over an HTTP/3 connection.
    pub(crate) http_3_guard: OnceCell<Box<RefCell<http_3::Http3Guard>>>,
    /// Where the same is served by HTTP/3, as answers say it (RFC 7838).
    pub(crate) alt_svc: OnceCell<HeaderValue>,
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
            self.abort_with(Cut::SlowRead);
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
            requests_so_far: Cell::new(0),
            write_lag: Cell::default(),
            activity: Cell::new(None),
            cut: Cell::new(false),
            truncated: Cell::new(false),
            close_plan: Cell::new(ClosePlan::None),
            waker: OnceCell::new(),
            malformed_body: Cell::new(false),
            header_begun: Cell::new(false),
            tunnel_timeouts: OnceCell::new(),
            identity: OnceCell::new(),
            tls_client: OnceCell::new(),
            requested_name: OnceCell::new(),
            active_stream: RefCell::new(None),
            http_2_guard: OnceCell::new(),
            http_3_guard: OnceCell::new(),
            alt_svc: OnceCell::new(),
        }
    }

    /// Gives the connection its slot in the registry.
    pub(crate) fn set_slot(&self, slot: ConnSlot) {
        let _ = self.slot.set(slot);
    }

    /// Sets the HTTP/2 stream that runs now, or none.
    pub(crate) fn set_active_stream(&self, stream: Option<&Rc<StreamAbort>>) {
        *self.active_stream.borrow_mut() = stream.cloned();
    }

    /// What is to be cut if the current request stalls.
    pub(crate) fn abort_target(self: &Rc<Self>) -> Rc<dyn Abort> {
        match &*self.active_stream.borrow() {
            Some(stream) => stream.clone(),
            None => self.clone(),
        }
    }

    /// Sets the remote address: `address` connected, or a trusted proxy named it.
    pub(crate) fn set_remote(&self, address: IpAddr, trusted: bool) {
        let _ = self.identity.set(RemoteAddr::new(address, trusted));
    }

    /// The client's address. Unspecified until the PROXY header was read.
    pub(crate) fn remote(&self) -> &RemoteAddr {
        self.identity.get_or_init(|| RemoteAddr::new(IpAddr::from([0, 0, 0, 0]), false))
    }

    pub(crate) fn set_tls_client(&self, client: Ja4) {
        let _ = self.tls_client.set(client);
    }

    /// The fingerprint of the visitor's TLS library. `None` for a trusted proxy, whose own fingerprint
    /// does not describe its visitors.
    pub(crate) fn tls_client(&self) -> Option<&str> {
        if self.remote().trusted { None } else { self.tls_client.get().map(Ja4::as_str) }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Keeps the line of those who are idle.
    fn set_phase(&self, phase: Phase) {
        let before = self.phase.replace(phase);
        let Some(slot) = self.slot.get() else { return };
        match (before, phase) {
            (_, Phase::Idle) => slot.idle.borrow_mut().push(slot.index),
            (Phase::Idle, _) => slot.idle.borrow_mut().remove(slot.index),
            _ => {}
        }
    }

    /// Whether it can be evicted for another client: idle for a while, and with nothing left to
    /// send.
    pub(crate) fn is_evictable(&self, now: Time) -> bool {
        let owed =
            self.http_2_guard.get().is_some_and(|guard| guard.borrow().windows().is_blocked());
        let rested = now.since(self.since.get()) >= LEAST_REST;
        self.phase() == Phase::Idle && rested && !owed && !self.is_backed_up() && !self.is_cut()
    }

    /// Enters a phase, now.
    pub(crate) fn enter(&self, phase: Phase) {
        self.set_phase(phase);
        self.since.set(self.context.now());
    }

    /// HTTP is over; from now on bytes pass both ways.
    pub(crate) fn enter_tunnel(&self, terms: TunnelTimeouts) {
        let _ = self.tunnel_timeouts.set(Box::new((self.context.now(), terms)));
        self.enter(Phase::Tunnel);
    }

    /// Bytes moved in a tunnel.
    pub(crate) fn on_tunnel_bytes(&self) {
        self.since.set(self.context.now());
    }

    /// A request's header is complete.
    pub(crate) fn request_begins(self: &Rc<Self>, limits: &Limits) -> RequestGuard {
        self.requests.set(self.requests.get() + 1);
        self.check_request_limits(limits);
        self.set_phase(Phase::Busy);
        RequestGuard { conn: self.clone(), logged: None }
    }

    /// The visitor asked for this name in the handshake.
    pub(crate) fn set_requested_name(&self, name: &str, certificates: &Arc<Certificates>) {
        let name = name.to_ascii_lowercase();
        let requested = RequestedName { name, certificates: certificates.clone() };
        let _ = self.requested_name.set(Box::new(requested));
    }

    /// The name that the visitor asked for in the handshake.
    pub(crate) fn requested_name(&self) -> Option<&RequestedName> {
        self.requested_name.get().map(|requested| &**requested)
    }

    /// Requests that are being answered.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Whether it is over HTTP/2 or HTTP/3.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.http_2_guard.get().is_some() || self.http_3_guard.get().is_some()
    }

    /// Since when the head of an HTTP/3 request is awaited.
    pub(crate) fn head_open_since(&self) -> Option<Time> {
        self.http_3_guard.get().and_then(|guard| guard.borrow().head_open_since())
    }

    /// The heads of HTTP/3 requests that are awaited have become more or fewer.
    pub(crate) fn update_head_phase(&self) {
        match (self.phase(), self.head_open_since()) {
            (Phase::Idle, Some(_)) => self.enter(Phase::Header),
            (Phase::Header, None) => self.enter(Phase::Idle),
            _ => {}
        }
    }

    /// One more request: the last, or one that should not have come any more?
    fn check_request_limits(&self, limits: &Limits) {
        let so_far = self.requests_so_far.get().saturating_add(1);
        self.requests_so_far.set(so_far);
        let age = self.context.now().since(self.born);
        if so_far >= limits.max_requests_per_connection || age >= limits.max_connection_age {
            self.drain();
        }
        // Over HTTP/2, requests in flight cross the GOAWAY, and so do those that the visitor sends
        // within one round trip: some hundreds. Twice the limit is beyond both.
        let beyond = limits.max_requests_per_connection.max(limits.max_streams_per_connection * 10);
        if so_far > limits.max_requests_per_connection.saturating_add(beyond) {
            self.abort_with(Cut::MaxAge);
        }
    }

    /// The kernel accepted this number of bytes. Returns how long its buffer had been full before.
    pub(crate) fn on_write(&self, bytes: usize) -> Duration {
        let mut taking = self.write_lag.get();
        if taking.is_settled() {
            return Duration::ZERO;
        }
        let now = self.context.now();
        let waited = taking.waited(now);
        let rate = self.context.policy.load().config().limits.min_download_rate;
        taking.moved(bytes as u64, rate, now);
        taking.stop_waiting(now);
        self.write_lag.set(taking);
        if self.phase() == Phase::Idle {
            // The rest of an answer: the silence begins after it.
            self.since.set(now);
        }
        waited
    }

    /// There are bytes for the visitor, and the kernel's buffer is full.
    pub(crate) fn on_write_blocked(&self) {
        let mut taking = self.write_lag.get();
        if !taking.is_waiting() {
            taking.start_waiting(self.context.now());
            self.write_lag.set(taking);
        }
    }

    /// Whether the kernel's buffer is full and there is more to send.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.write_lag.get().is_waiting()
    }

    /// Whether the visitor keeps the flow-control window of one response closed.
    fn has_stalled_stream(&self) -> bool {
        let limit = self
            .context
            .stall_timeout(self.context.policy.load().config().limits.body_idle_timeout);
        let now = self.context.now();
        let guard = self.http_2_guard.get();
        guard.is_some_and(|guard| guard.borrow().windows().has_stalled_stream(limit, now))
    }

    /// The task to wake when the worker wants something of this connection.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// Ends the connection without another byte.
    pub(crate) fn cut(&self) {
        if !self.cut.replace(true) {
            self.wake();
        }
    }

    /// Ends a connection that was not accepted, and counts why.
    pub(crate) fn reject(&self, reason: ConnReason) {
        if !self.is_cut() {
            self.context.count_refused_connection(reason);
            self.cut();
        }
    }

    /// A request was judged to be for `activity`.
    pub(crate) fn set_activity(&self, activity: ActivityId) {
        self.activity.set(Some(activity));
    }

    /// Counts the end of the connection, or of a stream, under the activity that it requested last.
    pub(crate) fn count_cut(&self, why: Cut) {
        self.context.meter.cut(self.activity.get(), why);
    }

    /// Ends the connection without another byte, and counts why.
    pub(crate) fn abort_with(&self, why: Cut) {
        if !self.is_cut() {
            self.count_cut(why);
            self.cut();
        }
    }

    /// The current response ends here, and must not look complete.
    pub(crate) fn mark_truncated(&self) {
        self.truncated.set(true);
    }

    /// Whether the connection ends within an answer.
    pub(crate) fn is_truncated(&self) -> bool {
        self.truncated.get()
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Ends the connection after what is being answered.
    pub(crate) fn drain(&self) {
        self.end(ClosePlan::WhenIdle);
    }

    /// Asks the visitor to connect again, without a request lost.
    pub(crate) fn ask_to_reconnect(&self) {
        self.end(ClosePlan::Asked);
    }

    fn end(&self, plan: ClosePlan) {
        if self.close_plan.get() < plan {
            self.close_plan.set(plan);
            self.wake();
        }
    }

    /// Ends the connection after what is being answered, and counts why.
    pub(crate) fn begin_graceful_close(&self, why: Cut) {
        if !self.ends_when_idle() {
            self.count_cut(why);
            self.drain();
        }
    }

    /// Whether the visitor is to connect again for its next request but one.
    pub(crate) fn is_draining(&self) -> bool {
        self.close_plan.get() > ClosePlan::None
    }

    /// Whether the connection ends as soon as nothing is being answered.
    pub(crate) fn ends_when_idle(&self) -> bool {
        self.close_plan.get() == ClosePlan::WhenIdle
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
    /// Its line in the access log.
    pub(crate) logged: Option<Box<AccessRecord>>,
}

impl RequestGuard {
    /// Whether others may be answered at the same time on the same connection.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.conn.is_multiplexed()
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if let Some(logged) = self.logged.take() {
            logged.finish(self.conn.context.read_clock());
        }
        let left = self.conn.requests.get().saturating_sub(1);
        self.conn.requests.set(left);
        if left == 0 && self.conn.phase() == Phase::Busy {
            self.conn.enter(Phase::Idle);
            self.conn.update_head_phase();
        }
    }
}
