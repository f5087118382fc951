//! From a UDP socket to a QUIC connection that is worth a task.
//!
//! Each worker has a socket of its own for each listener, and the kernel chooses among them by
//! addresses and ports: all packets of one connection reach one worker for as long as its visitor's
//! address stays as it is and the sockets are the same ones. Hence no migration, and each worker
//! keeps the sockets of all open to the end.

use core::cell::Cell;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_model::{ActivityId, Http3Limits, Limits, Reason};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connecting, Endpoint, EndpointConfig, IdleTimeout, Incoming, TokioRuntime, TransportConfig,
    VarInt,
};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};

use super::converse::converse;
use super::hello::Listening;
use crate::accept::Rules;
use crate::connection;
use crate::error::EdgeError;
use crate::handshake::Place;
use crate::tls::for_quic;
use crate::visit::{Phase, Presence, Visit};
use crate::worker::House;

/// Bytes of packets that the kernel keeps while we are busy; it may keep fewer (`net.core.rmem_max`).
const SOCKET_BUFFER: usize = 2 * 1024 * 1024;
/// First packets that wait until they are looked at, which is within the same turn of the loop;
/// each with so many bytes behind it (a hello that needs several packets), and in all.
const MOST_INCOMING: usize = 1_024;
const INCOMING_BUFFER: u64 = 16 * 1024;
const INCOMING_BUFFERS: u64 = 4 * 1024 * 1024;
/// A Retry comes back within a round trip or two.
const RETRY_LIFETIME: Duration = Duration::from_secs(10);
/// Bytes of request bodies that may be under way on a connection, and on one stream of it.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes of answers that were sent and not acknowledged, over all streams of a connection: 80 Mbit/s
/// at a tenth of a second. With what waits of requests (see `link`), less than 20 MiB of a
/// connection that does its worst.
pub(crate) const SEND_WINDOW: u64 = 1024 * 1024;
/// Streams beside requests: control, two for the field table, and some of made-up kinds.
const ONE_WAY_STREAMS: u32 = 8;
/// A visitor that does not even acknowledge is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How often a silent connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(15);

/// One worker's own UDP socket for one configured address.
#[derive(Debug)]
pub(crate) struct BoundQuic {
    socket: UdpSocket,
    /// Those of all workers.
    kept: Arc<Vec<UdpSocket>>,
}

/// A socket on `address` for each of `workers`.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<BoundQuic>> {
    let sockets: Vec<_> = (0..workers).map(|_| open(address)).collect::<Result<_, _>>()?;
    let kept: Vec<_> = sockets.iter().map(UdpSocket::try_clone).collect::<Result<_, _>>()?;
    let kept = Arc::new(kept);
    Ok(sockets.into_iter().map(|socket| BoundQuic { socket, kept: kept.clone() }).collect())
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // As much as the system allows.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What new connections get: made anew when the certificates or the limits change.
struct Settings {
    server: Arc<quinn::ServerConfig>,
    certificates: Arc<ServerConfig>,
    limits: Limits,
}

impl Settings {
    fn new(certificates: Arc<ServerConfig>, limits: &Limits) -> Result<Self, EdgeError> {
        let crypto = crypto(&certificates)?;
        let mut server = quinn::ServerConfig::with_crypto(crypto);
        server
            .migration(false)
            .max_incoming(MOST_INCOMING)
            .incoming_buffer_size(INCOMING_BUFFER)
            .incoming_buffer_size_total(INCOMING_BUFFERS)
            .retry_token_lifetime(RETRY_LIFETIME)
            .transport_config(Arc::new(transport(limits)));
        Ok(Self { server: Arc::new(server), certificates, limits: limits.clone() })
    }

    /// Keeps up with reloads; what cannot be used is left as it was. The keys of Retry stay.
    fn refresh(&mut self, house: &House, rules: Rules) {
        let current = house.tls.load().get(rules.index).cloned().flatten();
        let policy = house.policy.load();
        let limits = &policy.config().limits;
        if let Some(current) = current
            && !Arc::ptr_eq(&current, &self.certificates)
            && let Ok(crypto) = crypto(&current)
        {
            Arc::make_mut(&mut self.server).crypto = crypto;
            self.certificates = current;
        }
        if *limits != self.limits {
            Arc::make_mut(&mut self.server).transport = Arc::new(transport(limits));
            self.limits = limits.clone();
        }
    }
}

fn crypto(certificates: &ServerConfig) -> Result<Arc<Listening>, EdgeError> {
    let config = QuicServerConfig::try_from(for_quic(certificates)?);
    config
        .map(|config| Arc::new(Listening(Arc::new(config))))
        .map_err(|error| EdgeError::Tls(error.to_string()))
}

fn transport(limits: &Limits) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.max_streams_per_connection))
        .max_concurrent_uni_streams(VarInt::from_u32(ONE_WAY_STREAMS))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(IdleTimeout::try_from(SILENCE).ok())
        .keep_alive_interval(Some(PING_EVERY))
        .datagram_receive_buffer_size(None)
        .allow_spin(false);
    transport
}

/// Accepts for as long as it is polled, and a moment longer.
pub(crate) async fn accept(
    house: Rc<House>,
    bound: BoundQuic,
    rules: Rules,
    mut drain: tokio::sync::watch::Receiver<bool>,
) -> Result<(), EdgeError> {
    let BoundQuic { socket, kept } = bound;
    let certificates = house.tls.load().get(rules.index).cloned().flatten();
    let Some(certificates) = certificates else { return Ok(()) };
    let limits = house.policy.load().config().limits.clone();
    let mut settings = Settings::new(certificates, &limits)?;
    let server = quinn::ServerConfig::clone(&settings.server);
    let runtime = Arc::new(TokioRuntime);
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(server), socket, runtime)
        .map_err(EdgeError::Worker)?;
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            _ = drain.wait_for(|drain| *drain) => None,
        };
        let Some(incoming) = incoming else { break };
        settings.refresh(&house, rules);
        receive(&house, incoming, &settings);
    }
    // Nobody new; those who are here are served to their end.
    endpoint.set_server_config(None);
    endpoint.wait_idle().await;
    drop(kept);
    Ok(())
}

/// One handshake under way, with its place among all; counted until it is dropped.
pub(crate) struct Handshaking {
    all: Rc<Cell<u32>>,
    _place: Place,
}

impl Handshaking {
    fn begin(all: &Rc<Cell<u32>>, place: Place) -> Self {
        all.set(all.get() + 1);
        Self { all: all.clone(), _place: place }
    }
}

impl Drop for Handshaking {
    fn drop(&mut self) {
        self.all.set(self.all.get().saturating_sub(1));
    }
}

/// Whether an address has to show first that it is where it says it is. `underway`: handshakes of
/// this worker, one of `workers`.
fn must_prove(limits: Http3Limits, workers: u16, underway: u32, under_attack: bool) -> bool {
    under_attack || underway >= limits.retry_threshold.div_ceil(u32::from(workers.max(1)))
}

fn receive(house: &Rc<House>, incoming: Incoming, settings: &Settings) {
    let now = house.read_clock();
    let policy = house.policy.load();
    let config = policy.config();
    let limits = &config.limits;
    let proven = incoming.remote_address_validated();
    let underway = house.quic_handshakes.get();
    if !proven && must_prove(limits.http_3, house.workers, underway, policy.is_engaged(now)) {
        house.meter.retried();
        // Only whoever brought a token cannot be asked for it.
        let _ = incoming.retry();
        return;
    }
    let address = incoming.remote_address().ip().to_canonical();
    let trusted = config.trusted_proxies.iter().any(|network| network.contains(address));
    if !house.admit(limits.max_connections) {
        return turn_away(house, incoming, proven, Reason::ConnectionLimit);
    }
    let visit = Rc::new(Visit::new(house.clone(), true, Phase::Handshake));
    let presence = house.visits.enter(&visit);
    visit.identify(address, trusted);
    let source = visit.identity().source;
    if !trusted && let Err(reason) = presence.count_under(source) {
        return turn_away(house, incoming, proven, reason);
    }
    let budgets = limits.handshakes;
    if !house.tables.take_handshake((!trusted).then_some(source), &budgets, now) {
        return turn_away(house, incoming, proven, Reason::HandshakeRate);
    }
    let most = budgets.max_concurrent.div_ceil(u32::from(house.workers)) as usize;
    let Some(place) = house.handshakes.begin(&visit, most, now) else {
        return turn_away(house, incoming, proven, Reason::HandshakeConcurrency);
    };
    match incoming.accept_with(settings.server.clone()) {
        Ok(connecting) => {
            let handshaking = Handshaking::begin(&house.quic_handshakes, place);
            let task = attend(visit, presence, connecting, handshaking);
            tokio::task::spawn_local(task);
        }
        Err(_) => house.meter.decided(ActivityId(0), Reason::HandshakeFailed),
    }
}

/// A browser that is told turns to HTTP/2 at once; an address that may be forged is told nothing.
fn turn_away(house: &House, incoming: Incoming, proven: bool, reason: Reason) {
    house.meter.decided(ActivityId(0), reason);
    if proven {
        incoming.refuse();
    } else {
        incoming.ignore();
    }
}

async fn attend(
    visit: Rc<Visit>,
    presence: Presence,
    connecting: Connecting,
    handshaking: Handshaking,
) {
    let mut conversation = pin!(converse(&visit, connecting, handshaking));
    poll_fn(|cx| connection::watch(&visit, conversation.as_mut(), cx)).await;
    drop(presence);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_asked_to_prove_themselves_once_many_are_at_the_door_or_under_attack() {
        let limits = Http3Limits { retry_threshold: 4 };
        assert!(!must_prove(limits, 2, 1, false));
        assert!(must_prove(limits, 2, 2, false));
        assert!(must_prove(limits, 2, 0, true));
        assert!(must_prove(Http3Limits { retry_threshold: 0 }, 2, 0, false));
    }
}
