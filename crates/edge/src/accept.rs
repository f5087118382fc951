//! From a listening socket to a connection that is worth a task.
//!
//! What can be refused is refused here, before any byte is read: dropping is cheaper than
//! refusing.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::rc::Rc;

use portcullis_model::{ActivityId, Reason};
use tokio::net::{TcpListener, TcpStream};

use crate::conn::{Connection, Phase};
use crate::connection;
use crate::listener::ListenerOptions;
use crate::worker::WorkerContext;

/// A pause when the system is out of file descriptors or memory: accepting again at once would
/// fail again at once.
const PAUSE: Duration = Duration::from_millis(100);
/// The same where an idle connection is ending to make room.
const MOMENT: Duration = Duration::from_millis(2);

/// Accepts for as long as it is polled.
pub(crate) async fn accept(
    context: Rc<WorkerContext>,
    listener: TcpListener,
    options: ListenerOptions,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => receive(&context, stream, peer, options),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                context.internal_errors.accept_error();
                tracing::debug!(%error, "cannot accept");
                // Whoever makes room needs a moment to end.
                let room = context.conns.make_room(context.read_clock());
                tokio::time::sleep(if room { MOMENT } else { PAUSE }).await;
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn receive(
    context: &Rc<WorkerContext>,
    stream: TcpStream,
    peer: SocketAddr,
    options: ListenerOptions,
) {
    let drop_for = |reason| context.meter.decided(ActivityId(0), reason);
    let address = peer.ip().to_canonical();
    let policy = context.policy.load();
    let config = policy.config();
    let trusted = config.trusted_proxies.iter();
    let trusted = trusted.into_iter().any(|network| network.contains(address));
    if options.proxy_protocol && !trusted {
        return drop_for(Reason::ProxyHeader);
    }
    context.read_clock();
    if !context.admit(config.limits.connections) {
        return drop_for(Reason::Connections);
    }
    let phase = match options {
        ListenerOptions { proxy_protocol: true, .. } => Phase::Proxy,
        ListenerOptions { tls: true, .. } => Phase::Handshake,
        ListenerOptions { .. } => Phase::Arriving,
    };
    let conn = Rc::new(Connection::new(context.clone(), options.tls, phase));
    let presence = context.conns.enter(&conn);
    if !options.proxy_protocol {
        conn.identify(address, trusted);
        // A trusted proxy's connections carry many visitors, who are limited by request.
        if !trusted && let Err(reason) = presence.count_under(conn.identity().source) {
            return drop_for(reason);
        }
    }
    let task = connection::attend(conn, presence, stream, address, options);
    tokio::task::spawn_local(task);
}
