//! One visitor connection from its first byte to its last.

use core::future::poll_fn;
use core::net::IpAddr;
use core::pin::pin;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use portcullis_model::ConnReason;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::handshake::tls_handshake;
use super::state::ServerState;
use super::{http_1, http_2};
use crate::admission::ConnError;
use crate::conn::connection::{Connection, Phase};
use crate::conn::registry::ConnGuard;
use crate::conn::task::drive;
use crate::net::listener::ListenerOptions;
use crate::net::proxy_protocol::{self, ParsedHeader};
use crate::tls::certificates::ACME_TLS;
use crate::transport::socket::Socket;
use crate::transport::visitor_io::{Transport, VisitorIo};

/// The task of one TCP connection. There are tens of thousands, most of them idle: what most never
/// need, or only for a moment, is boxed.
pub(crate) async fn serve_connection(
    server: Rc<ServerState>,
    conn: Rc<Connection>,
    guard: ConnGuard,
    stream: TcpStream,
    peer: IpAddr,
    options: ListenerOptions,
) {
    let mut conversation = pin!(async {
        let arrived = if options.proxy_protocol || options.tls {
            Box::pin(establish(&server, &conn, &guard, stream, peer, options)).await
        } else {
            let socket = Socket::new(stream, Bytes::new(), conn.clone());
            Ok(Some((Transport::Plain(socket), false)))
        };
        let (transport, http_2) = match arrived {
            Ok(Some(arrived)) => arrived,
            Ok(None) => return,
            Err(reason) => return server.admission.refuse(reason),
        };
        conn.context.read_clock();
        conn.enter(Phase::AwaitingFirstRequest);
        let io = VisitorIo::new(transport, conn.clone(), http_2);
        if http_2 {
            Box::pin(http_2::serve_http2(&server.service, &conn, io)).await;
        } else {
            http_1::serve_http1(&server.service, &conn, io).await;
        }
    });
    poll_fn(|cx| drive(&conn, conversation.as_mut(), cx)).await;
}

/// The steps before HTTP: the PROXY header and the TLS handshake. Also returns whether the visitor
/// chose HTTP/2. `Ok(None)`: nothing more to do on this connection; an error: it is refused.
async fn establish(
    server: &ServerState,
    conn: &Rc<Connection>,
    guard: &ConnGuard,
    mut stream: TcpStream,
    peer: IpAddr,
    options: ListenerOptions,
) -> Result<Option<(Transport, bool)>, ConnReason> {
    let mut ahead = Bytes::new();
    if options.proxy_protocol {
        let header = proxy_header(&mut stream).await;
        let (address, rest) = header.ok_or(ConnError::ProxyHeader)?;
        server.admission.proxied(conn, guard, address.unwrap_or(peer))?;
        ahead = rest;
    }
    if !options.tls {
        return Ok(Some((Transport::Plain(Socket::new(stream, ahead, conn.clone())), false)));
    }
    server.context.read_clock();
    conn.enter(Phase::Handshake);
    let stream = tls_handshake(server, conn, stream, ahead, options.index).await?;
    let protocol = stream.get_ref().1.alpn_protocol();
    if protocol == Some(ACME_TLS) {
        // A certificate authority has seen what it came for (RFC 8737 section 3).
        return Ok(None);
    }
    let http_2 = protocol == Some(b"h2");
    if let Some(alternative) = server.alternatives.get(options.index).cloned().flatten() {
        let _ = conn.alt_svc.set(alternative);
    }
    Ok(Some((Transport::Tls(stream), http_2)))
}

/// Reads the PROXY header: who connected to the proxy (`None`: the proxy itself), and what came
/// behind it.
async fn proxy_header(stream: &mut TcpStream) -> Option<(Option<IpAddr>, Bytes)> {
    let mut buffer = BytesMut::with_capacity(512);
    loop {
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
        match proxy_protocol::parse(&buffer).ok()? {
            ParsedHeader::Complete { length, source } => {
                let rest = buffer.split_off(length).freeze();
                return Some((source.map(|source| source.ip()), rest));
            }
            // The parser refuses what would outgrow its bound.
            ParsedHeader::Incomplete => {}
        }
    }
}
