//! Whether a connection is accepted: every decision about a connection, before its first request.
//!
//! In order: the PROXY header's sender, the limit on all connections, those by source and by
//! network, the rate of handshakes, and how many are in progress. What can be refused is refused
//! before any byte is read: dropping is cheaper than refusing. A connection that owes its next step
//! for too long is refused by `timeouts`.

use core::cell::{Cell, RefCell};
use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_model::{Config, ConnReason, Http3Limits, SourceKey, Time};

use crate::conn::connection::{Connection, Phase};
use crate::conn::registry::{ConnGuard, ConnRegistry};
use crate::context::WorkerContext;
use crate::net::listener::ListenerOptions;

/// A handshake that has been in progress for longer than this is ended when another needs its
/// place. On a network where two round trips take a second, little else works either.
const SLOW_HANDSHAKE: Duration = Duration::from_secs(1);

/// What one worker accepts connections by.
pub(crate) struct Admission {
    context: Rc<WorkerContext>,
    conns: Rc<ConnRegistry>,
    handshakes: Rc<HandshakeSlots>,
    /// Those of them that are HTTP/3's.
    quic_handshakes: Rc<Cell<u32>>,
}

/// Why a connection ended before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnError {
    /// There is no readable PROXY header.
    ProxyHeader,
    /// The first TLS message is longer than any client's.
    ClientHelloTooLong,
    /// In its TLS handshake the visitor left, or the two did not agree.
    Handshake,
}

impl From<ConnError> for ConnReason {
    fn from(error: ConnError) -> Self {
        match error {
            ConnError::ProxyHeader => Self::ProxyHeader,
            ConnError::ClientHelloTooLong => Self::ClientHello,
            ConnError::Handshake => Self::HandshakeFailed,
        }
    }
}

impl Admission {
    pub(crate) fn new(context: Rc<WorkerContext>, conns: Rc<ConnRegistry>) -> Self {
        Self { context, conns, handshakes: Rc::default(), quic_handshakes: Rc::default() }
    }

    /// Counts a connection that is not accepted.
    pub(crate) fn refuse(&self, reason: ConnReason) {
        self.context.count_refused_connection(reason);
    }

    /// Ends an idle connection, if there is one. Used when no file descriptor is left.
    pub(crate) fn evict_idle(&self) -> bool {
        self.conns.evict_idle(self.context.read_clock())
    }

    /// A TCP connection from `peer`.
    pub(crate) fn tcp(
        &self,
        peer: IpAddr,
        options: ListenerOptions,
    ) -> Result<(Rc<Connection>, ConnGuard), ConnReason> {
        let policy = self.context.policy.load();
        let config = policy.config();
        let trusted = is_trusted(config, peer);
        if options.proxy_protocol && !trusted {
            return Err(ConnReason::ProxyHeader);
        }
        self.context.read_clock();
        let phase = match options {
            ListenerOptions { proxy_protocol: true, .. } => Phase::Proxy,
            ListenerOptions { tls: true, .. } => Phase::Handshake,
            ListenerOptions { .. } => Phase::AwaitingFirstRequest,
        };
        let (conn, guard) = self.open(config, options.tls, phase)?;
        if !options.proxy_protocol {
            self.identify(&conn, &guard, peer, trusted)?;
        }
        Ok((conn, guard))
    }

    /// The visitor behind a trusted proxy, at the address that the PROXY header names.
    pub(crate) fn proxied(
        &self,
        conn: &Connection,
        guard: &ConnGuard,
        address: IpAddr,
    ) -> Result<(), ConnReason> {
        let trusted = is_trusted(self.context.policy.load().config(), address);
        self.identify(conn, guard, address, trusted)
    }

    /// A TLS handshake whose first message has come.
    pub(crate) fn handshake(&self, conn: &Rc<Connection>) -> Result<HandshakePermit, ConnReason> {
        let now = self.context.read_clock();
        let limits = self.context.policy.load().config().limits.handshakes;
        if !self.context.tables.take_handshake(source_of(conn), &limits, now) {
            return Err(ConnReason::HandshakeRate);
        }
        let most = limits.max_concurrent.div_ceil(u32::from(self.context.workers)) as usize;
        self.handshakes.begin(conn, most, now).ok_or(ConnReason::HandshakeConcurrency)
    }

    /// Gives back most of what a handshake costs: it resumed a session.
    pub(crate) fn handshake_resumed(&self, conn: &Connection) {
        let limits = self.context.policy.load().config().limits.handshakes;
        self.context.tables.handshake_resumed(source_of(conn), &limits);
    }

    /// Whether a QUIC client has to prove its address first, by a Retry. Counts it, if so.
    pub(crate) fn quic_must_retry(&self) -> bool {
        let now = self.context.read_clock();
        let policy = self.context.policy.load();
        let limits = policy.config().limits.http_3;
        let handshakes = self.quic_handshakes.get();
        let retry = must_prove(limits, self.context.workers, handshakes, policy.is_engaged(now));
        if retry {
            self.context.meter.record_http3_retry();
        }
        retry
    }

    /// A QUIC connection from `address`, with its handshake.
    pub(crate) fn quic(&self, address: IpAddr) -> Result<AdmittedQuic, ConnReason> {
        self.context.read_clock();
        let policy = self.context.policy.load();
        let config = policy.config();
        let trusted = is_trusted(config, address);
        let (conn, guard) = self.open(config, true, Phase::Handshake)?;
        self.identify(&conn, &guard, address, trusted)?;
        let permit = self.handshake(&conn)?;
        let permit = QuicHandshakePermit::new(permit, &self.quic_handshakes);
        Ok(AdmittedQuic { conn, guard, permit })
    }

    /// Takes one of the places for connections.
    fn open(
        &self,
        config: &Config,
        secure: bool,
        phase: Phase,
    ) -> Result<(Rc<Connection>, ConnGuard), ConnReason> {
        if !self.conns.reserve(config.limits.max_connections, self.context.now()) {
            return Err(ConnReason::ConnectionLimit);
        }
        let conn = Rc::new(Connection::new(self.context.clone(), secure, phase));
        let guard = self.conns.enter(&conn);
        Ok((conn, guard))
    }

    /// Sets the remote address of a connection and counts it for its source and its network. The
    /// connections of a trusted proxy carry many visitors, who are limited by request.
    fn identify(
        &self,
        conn: &Connection,
        guard: &ConnGuard,
        address: IpAddr,
        trusted: bool,
    ) -> Result<(), ConnReason> {
        conn.set_remote(address, trusted);
        if trusted {
            return Ok(());
        }
        let source = conn.remote().source;
        let policy = self.context.policy.load();
        let tables = &self.context.tables;
        if !tables.open_connection(source, policy.source_connections(self.context.now())) {
            return Err(ConnReason::SourceConnections);
        }
        if !tables.open_in_network(source, policy.config().limits.max_network_connections) {
            tables.close_connection(source);
            return Err(ConnReason::NetworkConnections);
        }
        guard.set_source(source);
        Ok(())
    }
}

fn is_trusted(config: &Config, address: IpAddr) -> bool {
    config.trusted_proxies.iter().any(|network| network.contains(address))
}

/// Who a handshake is charged to. A trusted proxy's connections are those of many visitors.
fn source_of(conn: &Connection) -> Option<SourceKey> {
    let identity = conn.remote();
    (!identity.trusted).then_some(identity.source)
}

/// Whether an address must be validated first (Retry). `in_progress`: handshakes of this worker, one
/// of `workers`.
fn must_prove(limits: Http3Limits, workers: u16, in_progress: u32, under_attack: bool) -> bool {
    under_attack || in_progress >= limits.retry_threshold.div_ceil(u32::from(workers.max(1)))
}

/// The handshakes of one worker that are in progress.
#[derive(Default)]
struct HandshakeSlots {
    /// In the order in which they began; no more than [`begin`](Self::begin) accepts.
    in_progress: RefCell<BTreeMap<u64, (Time, Rc<Connection>)>>,
    next: Cell<u64>,
}

impl HandshakeSlots {
    /// Takes a slot for a handshake. If none is free, the oldest handshake is dropped; `None` if even
    /// that one is recent.
    fn begin(
        self: &Rc<Self>,
        conn: &Rc<Connection>,
        most: usize,
        now: Time,
    ) -> Option<HandshakePermit> {
        let mut in_progress = self.in_progress.borrow_mut();
        if in_progress.len() >= most
            && let Some(oldest) = in_progress.first_entry()
        {
            if now.since(oldest.get().0) < SLOW_HANDSHAKE {
                return None;
            }
            let (_, slow) = oldest.remove();
            slow.reject(ConnReason::HandshakeConcurrency);
        }
        let number = self.next.replace(self.next.get() + 1);
        in_progress.insert(number, (now, conn.clone()));
        Some(HandshakePermit { slots: self.clone(), number })
    }
}

/// A handshake's place, until it is dropped.
pub(crate) struct HandshakePermit {
    slots: Rc<HandshakeSlots>,
    number: u64,
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        self.slots.in_progress.borrow_mut().remove(&self.number);
    }
}

/// A QUIC connection that was accepted, in its handshake.
pub(crate) struct AdmittedQuic {
    pub(crate) conn: Rc<Connection>,
    pub(crate) guard: ConnGuard,
    pub(crate) permit: QuicHandshakePermit,
}

/// A QUIC handshake's place, until it is dropped.
pub(crate) struct QuicHandshakePermit {
    _permit: HandshakePermit,
    in_progress: Rc<Cell<u32>>,
}

impl QuicHandshakePermit {
    fn new(permit: HandshakePermit, in_progress: &Rc<Cell<u32>>) -> Self {
        in_progress.set(in_progress.get() + 1);
        Self { _permit: permit, in_progress: in_progress.clone() }
    }
}

impl Drop for QuicHandshakePermit {
    fn drop(&mut self) {
        self.in_progress.set(self.in_progress.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_validated_when_many_handshakes_are_in_progress_or_under_attack() {
        let limits = Http3Limits { retry_threshold: 4 };
        assert!(!must_prove(limits, 2, 1, false));
        assert!(must_prove(limits, 2, 2, false));
        assert!(must_prove(limits, 2, 0, true));
        assert!(must_prove(Http3Limits { retry_threshold: 0 }, 2, 0, false));
    }
}
