//! A TLS handshake: its first message is read and counted before any cryptography, then the
//! library has its turn.
//!
//! A handshake is what costs the gate most, so that each source and all together have a budget
//! of them, and a place is held only from the first whole message on: a client that
//! connects and sends nothing holds a connection, but keeps no other client from a handshake.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use portcullis_model::ConnReason;
use rustls::HandshakeKind;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::state::ServerState;
use crate::admission::ConnError;
use crate::conn::connection::Connection;
use crate::tls::client_hello::{self, ClientHelloError};
use crate::tls::config::ListenerTls;
use crate::tls::ja4::Ja4;
use crate::transport::socket::Socket;

/// Enough for the first message of a browser.
const FIRST_READ: usize = 2 * 1024;

/// Does the TLS handshake. `ahead`: bytes of the visitor that were read already.
pub(crate) async fn tls_handshake(
    server: &ServerState,
    conn: &Rc<Connection>,
    mut stream: TcpStream,
    ahead: Bytes,
    listener: usize,
) -> Result<Box<TlsStream<Socket>>, ConnReason> {
    let first = first_message(&mut stream, ahead).await?;
    let permit = server.admission.handshake(conn)?;
    if let Some(client) = Ja4::of_records(&first) {
        conn.set_tls_client(client);
    }
    let config = server.tls.load().get(listener).cloned().flatten();
    let ListenerTls { server: config, certificates } = config.ok_or(ConnError::Handshake)?;
    let accepting = TlsAcceptor::from(config).accept(Socket::new(stream, first, conn.clone()));
    let stream = accepting.await.map_err(|_| ConnError::Handshake)?;
    drop(permit);
    if let Some(name) = stream.get_ref().1.server_name() {
        conn.set_requested_name(name, &certificates);
    }
    if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
        server.admission.handshake_resumed(conn);
    }
    Ok(Box::new(stream))
}

/// Reads until the first message is complete. Bytes that are no such message are returned unchanged:
/// rustls sends the right alert.
async fn first_message(stream: &mut TcpStream, ahead: Bytes) -> Result<Bytes, ConnError> {
    let mut buffer = BytesMut::from(ahead);
    loop {
        match client_hello::message(&buffer) {
            Ok(Some(_)) | Err(ClientHelloError::Malformed) => return Ok(buffer.freeze()),
            Err(ClientHelloError::TooLong) => return Err(ConnError::ClientHelloTooLong),
            Ok(None) => {}
        }
        if buffer.len() == buffer.capacity() {
            // Doubles, until the bound of the parser ends it.
            buffer.reserve(buffer.len().max(FIRST_READ));
        }
        if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            return Err(ConnError::Handshake);
        }
    }
}
