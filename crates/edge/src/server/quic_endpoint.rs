//! From a UDP socket to a QUIC connection that is worth a task.
//!
//! Each worker has a separate socket for each listener, and the kernel chooses among them by
//! addresses and ports: all packets of one connection reach one worker for as long as its visitor's
//! address stays as it is and the sockets are the same ones. So there is no migration, and each worker
//! keeps the sockets of all open to the end. `net/quic_socket.rs` says how a later process shares them.

use core::future::poll_fn;
use core::pin::pin;
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_model::Limits;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connecting, Endpoint, EndpointConfig, IdleTimeout, Incoming, Runtime, TokioRuntime,
    TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::ServerConfig;

use super::http_3::serve_quic;
use super::state::ServerState;
use crate::admission::{AdmittedQuic, ConnError};
use crate::conn::task::drive;
use crate::error::EdgeError;
use crate::guard::http_3::SEND_WINDOW;
use crate::net::listener::{ListenerOptions, QuicSocket};
use crate::net::quic_socket::SharedUdpSocket;
use crate::stage::WorkerStage;
use crate::tls::certificates::Certificates;
use crate::tls::config::{ListenerTls, quic_config};
use crate::tls::handshake_tap::TappedServerConfig;

/// First packets that wait until they are looked at, which is within the same turn of the loop;
/// the bytes that each may have behind it (a `ClientHello` of several packets), and in total.
const MOST_INCOMING: usize = 1_024;
const INCOMING_BUFFER: u64 = 16 * 1024;
const INCOMING_BUFFERS: u64 = 4 * 1024 * 1024;
/// A Retry comes back within a round trip or two.
const RETRY_LIFETIME: Duration = Duration::from_secs(10);
/// Bytes of request bodies that may be in flight on a connection, and on one stream of it.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const STREAM_WINDOW: u32 = 256 * 1024;
/// Streams that carry no request: control, two for the field table, and some of unknown types.
const ONE_WAY_STREAMS: u32 = 8;
/// A visitor that does not even acknowledge is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How often a silent connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(15);

/// The settings of new connections: made again when the certificates or the limits change.
struct QuicSettings {
    server: Arc<quinn::ServerConfig>,
    certificates: ListenerTls,
    limits: Limits,
}

impl QuicSettings {
    fn new(certificates: ListenerTls, limits: &Limits) -> Result<Self, EdgeError> {
        let crypto = crypto(&certificates.server)?;
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
    fn refresh(&mut self, server: &ServerState, options: ListenerOptions) {
        let current = server.tls.load().get(options.index).cloned().flatten();
        let policy = server.context.policy.load();
        let limits = &policy.config().limits;
        if let Some(current) = current
            && !Arc::ptr_eq(&current.server, &self.certificates.server)
            && let Ok(crypto) = crypto(&current.server)
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

fn crypto(certificates: &ServerConfig) -> Result<Arc<TappedServerConfig>, EdgeError> {
    let config = QuicServerConfig::try_from(quic_config(certificates)?);
    config
        .map(|config| Arc::new(TappedServerConfig(Arc::new(config))))
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
    server: Rc<ServerState>,
    bound: QuicSocket,
    options: ListenerOptions,
    mut stage: tokio::sync::watch::Receiver<WorkerStage>,
) -> Result<(), EdgeError> {
    let QuicSocket { socket, all, key, forwarded, earlier } = bound;
    let certificates = server.tls.load().get(options.index).cloned().flatten();
    let Some(certificates) = certificates else { return Ok(()) };
    let limits = server.context.policy.load().config().limits.clone();
    let mut settings = QuicSettings::new(certificates, &limits)?;
    let config = quinn::ServerConfig::clone(&settings.server);
    let runtime = Arc::new(TokioRuntime);
    let socket = runtime.wrap_udp_socket(socket).map_err(EdgeError::Worker)?;
    let socket = SharedUdpSocket::new(socket, forwarded, earlier.to_vec());
    let socket = Arc::new(socket.map_err(EdgeError::Worker)?);
    let mut ids = EndpointConfig::default();
    ids.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    let endpoint =
        Endpoint::new_with_abstract_socket(ids, Some(config), socket.clone(), runtime.clone())
            .map_err(EdgeError::Worker)?;
    let mut handover = stage.clone();
    let mut handed_over = false;
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            _ = stage.wait_for(|stage| *stage == WorkerStage::Stop) => None,
            _ = handover.wait_for(|stage| *stage == WorkerStage::HandedOver), if !handed_over => {
                handed_over = true;
                // What comes still is forwarded: the answers to our own Retry packets.
                socket.hand_over();
                continue;
            }
        };
        let Some(incoming) = incoming else { break };
        settings.refresh(&server, options);
        admit(&server, incoming, &settings);
    }
    // No new connections; those that exist are served to their end.
    endpoint.set_server_config(None);
    endpoint.wait_idle().await;
    drop(all);
    Ok(())
}

fn admit(server: &Rc<ServerState>, incoming: Incoming, settings: &QuicSettings) {
    let admission = &server.admission;
    let proven = incoming.remote_address_validated();
    if !proven && admission.quic_must_retry() {
        // Retry fails only for a client that brought a token.
        let _ = incoming.retry();
        return;
    }
    let address = incoming.remote_address().ip().to_canonical();
    match admission.quic(address) {
        Ok(admitted) => match incoming.accept_with(settings.server.clone()) {
            Ok(connecting) => {
                tokio::task::spawn_local(serve_quic_connection(
                    server.clone(),
                    admitted,
                    connecting,
                    settings.certificates.certificates.clone(),
                ));
            }
            Err(_) => admission.refuse(ConnError::Handshake.into()),
        },
        Err(reason) => {
            admission.refuse(reason);
            // A browser that gets a refusal turns to HTTP/2 immediately; an address that may be
            // forged gets nothing.
            if proven {
                incoming.refuse();
            } else {
                incoming.ignore();
            }
        }
    }
}

async fn serve_quic_connection(
    server: Rc<ServerState>,
    admitted: AdmittedQuic,
    connecting: Connecting,
    certificates: Arc<Certificates>,
) {
    let AdmittedQuic { conn, guard, permit } = admitted;
    let serving = serve_quic(&server, &conn, connecting, permit, &certificates);
    let mut conversation = pin!(serving);
    poll_fn(|cx| drive(&conn, conversation.as_mut(), cx)).await;
    drop(guard);
}
