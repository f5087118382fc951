//! From a listening socket to a connection that is worth a task.
//!
//! What can be refused is refused here, before any byte is read: dropping is cheaper than
//! refusing.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};

use super::connection;
use super::state::ServerState;
use crate::net::listener::ListenerOptions;

/// A pause when no file descriptor or memory is available: an immediate retry would fail again.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
/// The same while an idle connection ends and frees its descriptor.
const EVICTION_PAUSE: Duration = Duration::from_millis(2);

/// Accepts for as long as it is polled.
pub(crate) async fn accept(
    server: Rc<ServerState>,
    listener: TcpListener,
    options: ListenerOptions,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(&server, stream, peer, options),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                server.context.internal_errors.accept_error();
                tracing::debug!(%error, "cannot accept");
                // The evicted connection needs a moment to end.
                let evicted = server.admission.evict_idle();
                server
                    .context
                    .clock
                    .sleep(if evicted { EVICTION_PAUSE } else { ERROR_PAUSE })
                    .await;
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

fn admit(server: &Rc<ServerState>, stream: TcpStream, peer: SocketAddr, options: ListenerOptions) {
    let address = peer.ip().to_canonical();
    match server.admission.tcp(address, options) {
        Ok((conn, guard)) => {
            let task =
                connection::serve_connection(server.clone(), conn, guard, stream, address, options);
            tokio::task::spawn_local(task);
        }
        Err(reason) => server.admission.refuse(reason),
    }
}
