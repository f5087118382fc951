//! From a UDP socket to a QUIC connection that is worth a task.
//!
//! Each worker has a socket of its own for each listener, and the kernel chooses among them by
//! addresses and ports: all packets of one connection reach one worker for as long as its visitor's
//! address stays as it is and the sockets are the same ones. Hence no migration, and each worker
//! keeps the sockets of all open to the end.

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_model::{ActivityId, Http3Limits, Limits, Reason};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connecting, Endpoint, EndpointConfig, IdleTimeout, Incoming, TokioRuntime, TransportConfig,
    VarInt,
};
use rustls::ServerConfig;

use super::converse::converse;
use super::hello::Listening;
use crate::conn::{ConnGuard, Connection, Phase};
use crate::connection;
use crate::error::EdgeError;
use crate::handshake::Place;
use crate::listener::{ListenerOptions, QuicSocket};
use crate::tls::for_quic;
use crate::worker::WorkerContext;

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
    fn refresh(&mut self, context: &WorkerContext, options: ListenerOptions) {
        let current = context.tls.load().get(options.index).cloned().flatten();
        let policy = context.policy.load();
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
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.streams_per_connection))
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
    context: Rc<WorkerContext>,
    bound: QuicSocket,
    options: ListenerOptions,
    mut drain: tokio::sync::watch::Receiver<bool>,
) -> Result<(), EdgeError> {
    let QuicSocket { socket, kept } = bound;
    let certificates = context.tls.load().get(options.index).cloned().flatten();
    let Some(certificates) = certificates else { return Ok(()) };
    let limits = context.policy.load().config().limits.clone();
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
        settings.refresh(&context, options);
        receive(&context, incoming, &settings);
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
    under_attack || underway >= limits.retry_above.div_ceil(u32::from(workers.max(1)))
}

fn receive(context: &Rc<WorkerContext>, incoming: Incoming, settings: &Settings) {
    let now = context.read_clock();
    let policy = context.policy.load();
    let config = policy.config();
    let limits = &config.limits;
    let proven = incoming.remote_address_validated();
    let underway = context.quic_handshakes.get();
    if !proven && must_prove(limits.http_3, context.workers, underway, policy.is_engaged(now)) {
        context.meter.retried();
        // Only whoever brought a token cannot be asked for it.
        let _ = incoming.retry();
        return;
    }
    let address = incoming.remote_address().ip().to_canonical();
    let trusted = config.trusted_proxies.iter().any(|network| network.contains(address));
    if !context.admit(limits.connections) {
        return turn_away(context, incoming, proven, Reason::Connections);
    }
    let conn = Rc::new(Connection::new(context.clone(), true, Phase::Handshake));
    let presence = context.conns.enter(&conn);
    conn.identify(address, trusted);
    let source = conn.identity().source;
    if !trusted && let Err(reason) = presence.count_under(source) {
        return turn_away(context, incoming, proven, reason);
    }
    let budgets = limits.handshakes;
    if !context.tables.take_handshake((!trusted).then_some(source), &budgets, now) {
        return turn_away(context, incoming, proven, Reason::HandshakeRate);
    }
    let most = budgets.at_once.div_ceil(u32::from(context.workers)) as usize;
    let Some(place) = context.handshakes.begin(&conn, most, now) else {
        return turn_away(context, incoming, proven, Reason::Handshakes);
    };
    match incoming.accept_with(settings.server.clone()) {
        Ok(connecting) => {
            let handshaking = Handshaking::begin(&context.quic_handshakes, place);
            let task = attend(conn, presence, connecting, handshaking);
            tokio::task::spawn_local(task);
        }
        Err(_) => context.meter.decided(ActivityId(0), Reason::Handshake),
    }
}

/// A browser that is told turns to HTTP/2 at once; an address that may be forged is told nothing.
fn turn_away(context: &WorkerContext, incoming: Incoming, proven: bool, reason: Reason) {
    context.meter.decided(ActivityId(0), reason);
    if proven {
        incoming.refuse();
    } else {
        incoming.ignore();
    }
}

async fn attend(
    conn: Rc<Connection>,
    presence: ConnGuard,
    connecting: Connecting,
    handshaking: Handshaking,
) {
    let mut conversation = pin!(converse(&conn, connecting, handshaking));
    poll_fn(|cx| connection::watch(&conn, conversation.as_mut(), cx)).await;
    drop(presence);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_asked_to_prove_themselves_once_many_are_at_the_door_or_under_attack() {
        let limits = Http3Limits { retry_above: 4 };
        assert!(!must_prove(limits, 2, 1, false));
        assert!(must_prove(limits, 2, 2, false));
        assert!(must_prove(limits, 2, 0, true));
        assert!(must_prove(Http3Limits { retry_above: 0 }, 2, 0, false));
    }
}
