//! Connections to an origin: few, persistent, and handed out by tier.
//!
//! Each worker has its own pool and its own share of the configured connections. A request that
//! finds none free waits in a bounded queue, essential activities before important before
//! optional ones, first come first served within a tier.

use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use portcullis_model::{OriginConfig, PlatformId, Tier, Time};
use tokio::net::TcpStream;

use super::client::{Http1ClientConn, OriginConnError, OriginRequestWriter, OriginResponseHead};
use super::dial::Dialler;
use crate::clock::Clock;
use crate::context::WorkerContext;
use crate::deadline::Deadline;

/// Requests that may wait for one origin, in each worker.
const MAX_QUEUE: usize = 1024;

/// Idle connections are closed before common servers close them (Node.js and Apache after five
/// seconds), so that a request seldom meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(4);

/// A request that was aborted before its response began keeps its slot for as long as the origin
/// usually works on one, because most origins do not notice: a client that sends and resets a
/// thousand requests a second would otherwise keep the origin busy with a thousand requests
/// (CVE-2023-44487). No longer than this, because an origin that is slow today may notice.
const MAX_COOLDOWN: Duration = Duration::from_secs(2);

/// One connection to an origin. Only the request that holds it polls it.
pub(crate) struct OriginConn {
    wire: Http1ClientConn,
    /// The origin's address.
    address: SocketAddr,
    /// It has answered a request before.
    reused: bool,
}

struct IdleConn {
    since: Time,
    connection: Box<OriginConn>,
}

/// All connections of one worker to one origin.
pub(crate) struct Pool {
    pub(crate) config: OriginConfig,
    dialler: Dialler,
    limit: usize,
    in_use: Cell<usize>,
    /// How many of them are for upgraded connections, or for requests that ask for one.
    tunnels: Cell<usize>,
    idle: RefCell<Vec<IdleConn>>,
    /// How long the origin usually takes to begin its answer.
    usual_latency: Cell<Duration>,
    /// Slots of aborted requests, and when each is free again. At most the number of slots.
    cooling_down: RefCell<Vec<Time>>,
    /// Who waits, first served first.
    queue: RefCell<BTreeMap<QueueKey, Rc<Waiter>>>,
    arrivals: Cell<u64>,
}

/// A place in the queue. More important activities come first; within a tier, the visitor with the
/// least recent load, so that a flood waits behind the people it competes with; then the request
/// that came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueKey {
    rank: u8,
    load: Duration,
    arrival: u64,
}

/// One waiting request.
struct Waiter {
    state: Cell<WaiterState>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WaiterState {
    Waiting,
    Granted,
    /// A more important request took the place in the queue.
    Displaced,
}

impl Waiter {
    fn wake(&self, state: WaiterState) {
        self.state.set(state);
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

const fn rank(tier: Tier) -> u8 {
    match tier {
        Tier::Essential => 0,
        Tier::Important => 1,
        Tier::Optional => 2,
    }
}

/// No connection became free in time, or too many requests wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolExhausted;

impl Pool {
    /// A pool with this worker's share of the configured connections.
    pub(crate) fn new(config: OriginConfig, share: WorkerShare) -> Self {
        let limit = share.of(config.max_connections);
        Self {
            dialler: Dialler::new(&config),
            config,
            limit,
            in_use: Cell::new(0),
            tunnels: Cell::new(0),
            idle: RefCell::default(),
            usual_latency: Cell::default(),
            cooling_down: RefCell::default(),
            queue: RefCell::default(),
            arrivals: Cell::new(0),
        }
    }

    /// Counts a tunnel in. It may hold its connection for hours: `false` where less than a quarter of
    /// the connections, and so at least one, would be left for pages.
    pub(crate) fn open_tunnel(&self) -> bool {
        let free = self.tunnels.get() < self.limit - self.limit.div_ceil(4);
        if free {
            self.tunnels.set(self.tunnels.get() + 1);
        }
        free
    }

    pub(crate) fn close_tunnel(&self) {
        self.tunnels.set(self.tunnels.get() - 1);
    }

    /// Waits for the right to use one connection, until `deadline` passes.
    pub(crate) async fn acquire(
        self: &Rc<Self>,
        context: &Rc<WorkerContext>,
        tier: Tier,
        load: Duration,
        deadline: &Deadline,
    ) -> Result<PooledConn, PoolExhausted> {
        if self.in_use.get() < self.limit {
            self.in_use.set(self.in_use.get() + 1);
        } else {
            let (place, ticket) = self.enqueue(tier, load)?;
            let wait = QueueGuard { pool: self, context, ticket, place };
            context.add_waiting(1);
            core::future::poll_fn(|cx| wait.poll(cx, deadline)).await?;
            context.read_clock();
            // The grant is ours now; the guard must not pass it on.
            wait.ticket.state.set(WaiterState::Displaced);
        }
        context.add_in_flight(1);
        Ok(PooledConn {
            pool: self.clone(),
            context: context.clone(),
            connection: None,
            working: true,
            held: true,
            asked_at: None,
        })
    }

    fn enqueue(&self, tier: Tier, load: Duration) -> Result<(QueueKey, Rc<Waiter>), PoolExhausted> {
        let arrival = self.arrivals.get();
        self.arrivals.set(arrival + 1);
        let place = QueueKey { rank: rank(tier), load, arrival };
        let mut queue = self.queue.borrow_mut();
        if queue.len() >= MAX_QUEUE {
            let last =
                queue.last_entry().filter(|last| *last.key() > place).ok_or(PoolExhausted)?;
            last.remove().wake(WaiterState::Displaced);
        }
        let ticket =
            Rc::new(Waiter { state: Cell::new(WaiterState::Waiting), waker: RefCell::new(None) });
        queue.insert(place, ticket.clone());
        Ok((place, ticket))
    }

    /// A connection became free: it goes to the next request in the queue, if there is one.
    fn release(&self) {
        let next = self.queue.borrow_mut().pop_first();
        match next {
            Some((_, ticket)) => ticket.wake(WaiterState::Granted),
            None => self.in_use.set(self.in_use.get() - 1),
        }
    }

    /// The most recently used connection that is still open and has sent nothing unasked.
    fn take_idle(&self) -> Option<Box<OriginConn>> {
        loop {
            let connection = self.idle.borrow_mut().pop()?.connection;
            if connection.wire.is_silent() {
                return Some(connection);
            }
        }
    }

    /// An answer began after `took`.
    fn observe_latency(&self, took: Duration) {
        let usual = self.usual_latency.get();
        self.usual_latency.set(if usual.is_zero() { took } else { (usual * 7 + took) / 8 });
    }

    /// Closes connections that were idle for long or that the origin closed, and frees slots that have
    /// cooled down.
    pub(crate) fn prune(&self, now: Time) {
        let before = self.cooling_down.borrow().len();
        self.cooling_down.borrow_mut().retain(|until| now < *until);
        for _ in self.cooling_down.borrow().len()..before {
            self.release();
        }
        let is_usable = |idle: &IdleConn| {
            idle.connection.wire.is_open()
                && now.since(idle.since) < IDLE
                && self.dialler.is_current(idle.connection.address)
        };
        self.idle.borrow_mut().retain(is_usable);
    }

    /// Resolves the origin's name again when its addresses have grown old, in the background.
    fn refresh_addresses(self: &Rc<Self>, clock: Clock) {
        if self.in_use.get() > 0 && self.dialler.is_due(clock.now()) {
            let pool = self.clone();
            tokio::task::spawn_local(async move {
                pool.dialler.refresh(clock, pool.config.connect_timeout).await;
            });
        }
    }

    async fn connect(&self, clock: Clock) -> io::Result<Box<OriginConn>> {
        let (stream, address) = self.dialler.connect(clock, self.config.connect_timeout).await?;
        let wire = Http1ClientConn::new(stream);
        Ok(Box::new(OriginConn { wire, address, reused: false }))
    }
}

/// One worker of several that share what an origin takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerShare {
    /// Its number, from 0.
    pub(crate) id: u16,
    /// How many there are.
    pub(crate) workers: u16,
}

impl WorkerShare {
    /// Its part of `total`. The parts of all workers are `total` together, but no part is zero: a gate
    /// has no more workers than its smallest origin takes connections.
    fn of(self, total: u32) -> usize {
        let workers = u32::from(self.workers.max(1));
        let one_more = u32::from(u32::from(self.id) < total % workers);
        (total / workers + one_more).max(1) as usize
    }
}

/// The pools of one worker, by platform.
pub(crate) struct OriginPools {
    share: WorkerShare,
    by_platform: RefCell<Vec<Option<Rc<Pool>>>>,
}

impl OriginPools {
    /// Pools with this share of the configured connections.
    pub(crate) fn new(share: WorkerShare) -> Self {
        Self { share, by_platform: RefCell::default() }
    }

    /// The connections to a platform's origin. A reload that changes the origin gets new ones;
    /// the old ones end with the requests that use them.
    pub(crate) fn get(&self, platform: PlatformId, origin: &OriginConfig) -> Rc<Pool> {
        let mut pools = self.by_platform.borrow_mut();
        let place = usize::from(platform.0);
        if pools.len() <= place {
            pools.resize_with(place + 1, || None);
        }
        match &pools[place] {
            Some(pool) if pool.config == *origin => pool.clone(),
            _ => {
                let pool = Rc::new(Pool::new(origin.clone(), self.share));
                pools[place] = Some(pool.clone());
                pool
            }
        }
    }

    /// Releases what no request needs any more, and resolves names again; see [`Pool::prune`].
    pub(crate) fn tidy(&self, clock: Clock, now: Time) {
        for pool in self.by_platform.borrow().iter().flatten() {
            pool.prune(now);
            pool.refresh_addresses(clock);
        }
    }
}

/// A request in the queue; leaves it when dropped.
struct QueueGuard<'a> {
    pool: &'a Rc<Pool>,
    context: &'a Rc<WorkerContext>,
    ticket: Rc<Waiter>,
    place: QueueKey,
}

impl QueueGuard<'_> {
    fn poll(&self, cx: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), PoolExhausted>> {
        match self.ticket.state.get() {
            WaiterState::Granted => Poll::Ready(Ok(())),
            WaiterState::Displaced => Poll::Ready(Err(PoolExhausted)),
            WaiterState::Waiting if deadline.passed(cx) => Poll::Ready(Err(PoolExhausted)),
            WaiterState::Waiting => {
                *self.ticket.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        self.context.add_waiting(-1);
        match self.ticket.state.get() {
            WaiterState::Waiting => {
                self.pool.queue.borrow_mut().remove(&self.place);
            }
            WaiterState::Granted => self.pool.release(),
            WaiterState::Displaced => {}
        }
    }
}

/// The right to use one connection, and the connection. Given back when dropped.
pub(crate) struct PooledConn {
    pool: Rc<Pool>,
    context: Rc<WorkerContext>,
    connection: Option<Box<OriginConn>>,
    /// It counts as a request that the origin works on.
    working: bool,
    /// It counts against the pool's limit.
    held: bool,
    /// The origin has been asked, then, and owes the beginning of its answer.
    asked_at: Option<Time>,
}

impl PooledConn {
    /// Takes an idle connection, or opens one if there is none (or `fresh` demands it). Returns
    /// whether it has been used before, so that the origin may just be closing it.
    pub(crate) async fn open(&mut self, fresh: bool) -> io::Result<bool> {
        self.connection = None;
        let idle = if fresh { None } else { self.pool.take_idle() };
        let connection = if let Some(connection) = idle {
            connection
        } else {
            let connection = self.pool.connect(self.context.clock).await?;
            self.context.read_clock();
            connection
        };
        Ok(self.connection.insert(connection).reused)
    }

    /// Asks the origin.
    pub(crate) fn send_request(&mut self, question: OriginRequestWriter) {
        self.asked_at = Some(self.context.now());
        if let Some(connection) = &mut self.connection {
            connection.wire.send_request(question);
        }
    }

    /// The origin is done with the question: it answered, or broke off.
    pub(crate) fn response_ended(&mut self, answered: bool) {
        if let Some(asked) = self.asked_at.take()
            && answered
        {
            self.pool.observe_latency(self.context.now().since(asked));
        }
    }

    /// Waits for the head of the answer.
    pub(crate) fn poll_response_head(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<OriginResponseHead, OriginConnError>> {
        match &mut self.connection {
            Some(connection) => connection.wire.poll_response_head(&self.context.buffers, cx),
            None => Poll::Ready(Err(OriginConnError)),
        }
    }

    /// The question, to be asked elsewhere; see [`Http1ClientConn::take_request`].
    pub(crate) fn take_request(&mut self) -> Option<OriginRequestWriter> {
        self.connection.as_mut()?.wire.take_request()
    }

    /// Reads the next piece of the response's body, of at most this number of bytes. Not to be
    /// called after its end.
    pub(crate) fn poll_frame(
        &mut self,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.connection {
            Some(connection) => connection.wire.poll_frame(most, &self.context.buffers, cx),
            None => Poll::Ready(None),
        }
    }

    /// Whether all of the answer has been drawn.
    pub(crate) fn is_over(&self) -> bool {
        self.connection.as_ref().is_none_or(|connection| connection.wire.is_over())
    }

    /// How much of the answer's body is to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        let connection = self.connection.as_ref();
        connection.map_or(SizeHint::with_exact(0), |connection| connection.wire.size_hint())
    }

    /// The exchange is over: the connection stays open if it can serve another.
    pub(crate) fn finish(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.wire.finish(&self.context.buffers)
            && self.pool.config.reuse_connections
            && self.pool.dialler.is_current(connection.address)
        {
            connection.reused = true;
            let since = self.context.now();
            self.pool.idle.borrow_mut().push(IdleConn { since, connection });
        }
        self.release_slot();
    }

    /// The connection has left HTTP: its bytes, and what had already been read of them. The lease
    /// counts against the limit until it is dropped.
    pub(crate) fn take_upgraded(&mut self) -> Option<(TcpStream, Bytes)> {
        let upgraded = self.connection.take()?.wire.into_upgraded()?;
        self.stop_working();
        Some(upgraded)
    }

    fn stop_working(&mut self) {
        if core::mem::take(&mut self.working) {
            self.context.add_in_flight(-1);
        }
    }

    fn release_slot(&mut self) {
        self.stop_working();
        if !core::mem::take(&mut self.held) {
            return;
        }
        let usual = self.pool.usual_latency.get().min(MAX_COOLDOWN);
        match self.asked_at {
            Some(asked) if asked + usual > self.context.now() => {
                self.pool.cooling_down.borrow_mut().push(asked + usual);
            }
            _ => self.pool.release(),
        }
    }
}

impl Drop for PooledConn {
    fn drop(&mut self) {
        // Closed before the place is given away, so that the origin never sees one too many.
        self.connection = None;
        self.release_slot();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_shares_of_all_workers_are_the_whole(workers in 1_u16..64, more in 0_u32..1_000) {
            let total = u32::from(workers) + more;
            let shares = (0..workers).map(|id| WorkerShare { id, workers }.of(total));
            prop_assert_eq!(shares.sum::<usize>(), total as usize);
        }
    }
}
