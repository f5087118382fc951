//! Listening sockets: one for each worker and configured address.

use core::net::SocketAddr;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

use http::HeaderValue;
use portcullis_model::Config;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::error::EdgeError;

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: i32 = 4096;

/// Seconds for which a browser may remember that HTTP/3 is available: after it is switched off,
/// browsers try both for up to an hour.
const ALTERNATIVE_AGE: u32 = 3_600;
/// Bytes of packets that the kernel keeps while we are busy; it may keep fewer (`net.core.rmem_max`).
const SOCKET_BUFFER: usize = 2 * 1024 * 1024;
/// Unsent bytes that the kernel buffers for a connection (`TCP_NOTSENT_LOWAT`). Bytes in flight
/// are not included, so that this costs no speed.
pub(crate) const NOTSENT_LOWAT: u32 = 16 * 1024;

/// One worker's own listening socket for one configured address.
#[derive(Debug)]
pub struct BoundListener {
    socket: std::net::TcpListener,
    address: SocketAddr,
    pub(crate) options: ListenerOptions,
    /// The UDP socket, if HTTP/3 is served too.
    pub(crate) quic: Option<QuicSocket>,
}

/// What is demanded of connections to one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListenerOptions {
    /// The listener's place in the configuration.
    pub(crate) index: usize,
    pub(crate) tls: bool,
    pub(crate) proxy_protocol: bool,
}

impl BoundListener {
    /// The address that it listens on, with the real port if port 0 was requested.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn into_tokio(self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.socket)
    }

    /// The `Alt-Svc` of responses over TLS (RFC 7838), if HTTP/3 is served on this port.
    pub(crate) fn alternative(&self) -> Option<HeaderValue> {
        self.quic.as_ref()?;
        let text = format!("h3=\":{}\"; ma={ALTERNATIVE_AGE}", self.address.port());
        HeaderValue::from_str(&text).ok()
    }
}

/// Opens every configured listener once for each of `workers`; the outer list is by worker. The
/// kernel spreads connections over the sockets of one address.
pub fn bind(config: &Config, workers: u16) -> Result<Vec<Vec<BoundListener>>, EdgeError> {
    let mut by_worker: Vec<Vec<_>> = (0..workers.max(1)).map(|_| Vec::new()).collect();
    for (index, listener) in config.listeners.iter().enumerate() {
        let options = ListenerOptions {
            index,
            tls: listener.tls.is_some(),
            proxy_protocol: listener.proxy_protocol,
        };
        let mut address = listener.address;
        for worker in &mut by_worker {
            let bound = listen(address, options)
                .map_err(|source| EdgeError::Listen { address: listener.address, source })?;
            address = bound.address;
            worker.push(bound);
        }
        if listener.http_3 {
            let sockets = bind_quic(address, by_worker.len())
                .map_err(|source| EdgeError::Listen { address: listener.address, source })?;
            for (worker, socket) in by_worker.iter_mut().zip(sockets) {
                if let Some(bound) = worker.last_mut() {
                    bound.quic = Some(socket);
                }
            }
        }
    }
    Ok(by_worker)
}

fn listen(address: SocketAddr, options: ListenerOptions) -> io::Result<BoundListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Accepted connections inherit it, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(NOTSENT_LOWAT)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = std::net::TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok(BoundListener { socket, address, options, quic: None })
}

/// One worker's own UDP socket for one configured address.
#[derive(Debug)]
pub(crate) struct QuicSocket {
    pub(crate) socket: UdpSocket,
    /// Those of all workers.
    pub(crate) all: Arc<Vec<UdpSocket>>,
}

/// A socket on `address` for each of `workers`.
fn bind_quic(address: SocketAddr, workers: usize) -> io::Result<Vec<QuicSocket>> {
    let sockets: Vec<_> = (0..workers).map(|_| open_quic(address)).collect::<Result<_, _>>()?;
    let all: Vec<_> = sockets.iter().map(UdpSocket::try_clone).collect::<Result<_, _>>()?;
    let all = Arc::new(all);
    Ok(sockets.into_iter().map(|socket| QuicSocket { socket, all: all.clone() }).collect())
}

fn open_quic(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // As much as the kernel allows.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}
