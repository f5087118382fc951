//! Connections to an origin: few, kept alive, and handed out by tier.
//!
//! Each worker has its own pool and its own share of the configured connections. A request that
//! finds none free waits in a bounded queue, essential activities before important before
//! optional ones, first come first served within a tier.

use core::cell::{Cell, RefCell};
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use portcullis_model::{OriginConfig, Tier, Time};
use tokio::net::TcpStream;

use crate::body::RequestBody;
use crate::deadline::Deadline;
use crate::worker::House;

/// Requests that may wait for one origin, in each worker.
const LONGEST_QUEUE: usize = 1024;

/// Idle connections are given up before common servers give them up (Node.js and Apache after
/// five seconds), so that a request seldom meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(4);

/// Bytes of a response head, and of a body read at once.
const READ_BUFFER: usize = 64 * 1024;

type Driver = http1::Connection<TokioIo<TcpStream>, RequestBody>;

/// One connection to an origin. Nobody polls it but the request that holds it.
pub(crate) struct Connection {
    pub(crate) sender: http1::SendRequest<RequestBody>,
    pub(crate) driver: Driver,
    /// The driver is done: the connection is closed, or no longer speaks HTTP.
    pub(crate) over: bool,
    /// It has answered a request before.
    pub(crate) reused: bool,
}

struct IdleConnection {
    since: Time,
    connection: Box<Connection>,
}

/// All connections of one worker to one origin.
pub(crate) struct Pool {
    pub(crate) config: OriginConfig,
    limit: usize,
    in_use: Cell<usize>,
    idle: RefCell<Vec<IdleConnection>>,
    /// Essential, important, optional.
    queues: RefCell<[VecDeque<Rc<Ticket>>; 3]>,
}

/// One waiting request.
struct Ticket {
    state: Cell<TicketState>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TicketState {
    Waiting,
    Granted,
    /// A more important request took the place in the queue.
    Displaced,
}

impl Ticket {
    fn turn(&self, state: TicketState) {
        self.state.set(state);
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

const fn rank(tier: Tier) -> usize {
    match tier {
        Tier::Essential => 0,
        Tier::Important => 1,
        Tier::Optional => 2,
    }
}

/// No connection became free in time, or too many requests wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

impl Pool {
    /// `workers` share the configured connections; each has at least one.
    pub(crate) fn new(config: OriginConfig, workers: u16) -> Self {
        let share = config.connections.div_ceil(u32::from(workers.max(1)));
        Self {
            config,
            limit: share.max(1) as usize,
            in_use: Cell::new(0),
            idle: RefCell::default(),
            queues: RefCell::default(),
        }
    }

    /// Waits for the right to use one connection, until `deadline` passes.
    pub(crate) async fn enter(
        self: &Rc<Self>,
        house: &Rc<House>,
        tier: Tier,
        deadline: &Deadline,
    ) -> Result<Lease, Busy> {
        if self.in_use.get() < self.limit {
            self.in_use.set(self.in_use.get() + 1);
        } else {
            let ticket = self.line_up(tier)?;
            let wait = Wait { pool: self, house, ticket, rank: rank(tier) };
            house.add_waiting(1);
            core::future::poll_fn(|cx| wait.poll(cx, deadline)).await?;
            house.read_clock();
            // The grant is ours now; the guard must not pass it on.
            wait.ticket.state.set(TicketState::Displaced);
        }
        house.add_in_flight(1);
        Ok(Lease {
            pool: self.clone(),
            house: house.clone(),
            connection: None,
            working: true,
            held: true,
        })
    }

    fn line_up(&self, tier: Tier) -> Result<Rc<Ticket>, Busy> {
        let mut queues = self.queues.borrow_mut();
        let rank = rank(tier);
        if queues.iter().map(VecDeque::len).sum::<usize>() >= LONGEST_QUEUE {
            let lower = queues[rank + 1..].iter_mut().rev();
            let newest = lower.filter_map(VecDeque::pop_back).next().ok_or(Busy)?;
            newest.turn(TicketState::Displaced);
        }
        let ticket =
            Rc::new(Ticket { state: Cell::new(TicketState::Waiting), waker: RefCell::new(None) });
        queues[rank].push_back(ticket.clone());
        Ok(ticket)
    }

    /// A connection became free: the next in line has it, or nobody.
    fn leave(&self) {
        let next = self.queues.borrow_mut().iter_mut().find_map(VecDeque::pop_front);
        match next {
            Some(ticket) => ticket.turn(TicketState::Granted),
            None => self.in_use.set(self.in_use.get() - 1),
        }
    }

    /// The most recently used connection that is still open.
    fn take_idle(&self, cx: &mut Context<'_>) -> Option<Box<Connection>> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?.connection;
            connection.drive(cx);
            if !connection.over && connection.sender.is_ready() {
                return Some(connection);
            }
        }
    }

    /// Gives up connections that were idle for long or that the origin closed.
    pub(crate) fn tidy(&self, now: Time) {
        let mut cx = Context::from_waker(Waker::noop());
        self.idle.borrow_mut().retain_mut(|idle| {
            idle.connection.drive(&mut cx);
            !idle.connection.over && now.since(idle.since) < IDLE
        });
    }

    async fn connect(&self) -> io::Result<Box<Connection>> {
        let open = async {
            let OriginConfig { host, port, .. } = &self.config;
            if let Ok(address) = host.parse::<IpAddr>() {
                return TcpStream::connect(SocketAddr::new(address, *port)).await;
            }
            // Tries each address in the order in which the resolver gave them.
            TcpStream::connect((host.as_str(), *port)).await
        };
        let stream = tokio::time::timeout(self.config.connect_deadline, open)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Box::new(Connection { sender, driver, over: false, reused: false }))
    }
}

impl Connection {
    /// Moves bytes both ways as far as they go.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.over {
            self.over = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
    }
}

/// A request in the queue; leaves it when dropped.
struct Wait<'a> {
    pool: &'a Rc<Pool>,
    house: &'a Rc<House>,
    ticket: Rc<Ticket>,
    rank: usize,
}

impl Wait<'_> {
    fn poll(&self, cx: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), Busy>> {
        match self.ticket.state.get() {
            TicketState::Granted => Poll::Ready(Ok(())),
            TicketState::Displaced => Poll::Ready(Err(Busy)),
            TicketState::Waiting if deadline.passed(cx) => Poll::Ready(Err(Busy)),
            TicketState::Waiting => {
                *self.ticket.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.house.add_waiting(-1);
        match self.ticket.state.get() {
            TicketState::Waiting => {
                let mut queues = self.pool.queues.borrow_mut();
                queues[self.rank].retain(|ticket| !Rc::ptr_eq(ticket, &self.ticket));
            }
            TicketState::Granted => self.pool.leave(),
            TicketState::Displaced => {}
        }
    }
}

/// The right to use one connection, and the connection. Given back when dropped.
pub(crate) struct Lease {
    pool: Rc<Pool>,
    house: Rc<House>,
    connection: Option<Box<Connection>>,
    /// It counts as a request that the origin works on.
    working: bool,
    /// It counts against the pool's limit.
    held: bool,
}

impl Lease {
    /// Takes an idle connection, or opens one if there is none (or `fresh` demands it).
    pub(crate) async fn open(&mut self, fresh: bool) -> io::Result<&mut Connection> {
        self.connection = None;
        let idle = if fresh {
            None
        } else {
            core::future::poll_fn(|cx| Poll::Ready(self.pool.take_idle(cx))).await
        };
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = self.pool.connect().await?;
                self.house.read_clock();
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Moves bytes both ways as far as they go. Returns whether the connection is over.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(connection) = &mut self.connection else {
            return true;
        };
        connection.drive(cx);
        connection.over
    }

    /// The exchange is over: the connection is kept if it can serve another.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some(mut connection) = self.connection.take() {
            if !connection.sender.is_ready() {
                connection.drive(cx);
            }
            if !connection.over && connection.sender.is_ready() {
                connection.reused = true;
                let since = self.house.now();
                let idle = IdleConnection { since, connection };
                self.pool.idle.borrow_mut().push(idle);
            }
        }
        self.give_back();
    }

    /// The connection has left HTTP: its bytes, and what had already been read of them. The lease
    /// counts against the limit for as long as it is kept.
    pub(crate) fn take_upgraded(&mut self) -> Option<(TcpStream, Bytes)> {
        let connection = self.connection.take().filter(|connection| connection.over)?;
        self.stop_working();
        let http1::Parts { io, read_buf, .. } = connection.driver.into_parts();
        Some((io.into_inner(), read_buf))
    }

    fn stop_working(&mut self) {
        if core::mem::take(&mut self.working) {
            self.house.add_in_flight(-1);
        }
    }

    fn give_back(&mut self) {
        self.stop_working();
        if core::mem::take(&mut self.held) {
            self.pool.leave();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closed before the place is given away, so that the origin never sees one too many.
        self.connection = None;
        self.give_back();
    }
}
