//! Listening sockets: one for each worker and configured address.

use core::net::SocketAddr;
use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use http::HeaderValue;
use portcullis_model::Config;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::quic_socket::QuicRoute;
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

/// The sockets of one configured address, of all workers.
#[derive(Debug)]
pub struct ListenerSockets {
    /// The address in the configuration.
    pub address: SocketAddr,
    /// Listening sockets.
    pub tcp: Vec<OwnedFd>,
    /// UDP sockets, if HTTP/3 is served too.
    pub quic: Vec<OwnedFd>,
}

/// The sockets of a process, for the one that takes over from it.
#[derive(Debug, Default)]
pub struct SocketSet {
    /// By configured address.
    pub listeners: Vec<ListenerSockets>,
    /// To the endpoints of this process and of those before it that still drain.
    pub routes: Vec<QuicRoute>,
}

impl SocketSet {
    /// A second set of the same sockets; without routes to endpoints that have ended.
    pub fn try_clone(&self) -> io::Result<Self> {
        let copy = |sockets: &[OwnedFd]| -> io::Result<Vec<OwnedFd>> {
            sockets.iter().map(OwnedFd::try_clone).collect()
        };
        let listeners = self.listeners.iter().map(|listener| {
            let (tcp, quic) = (copy(&listener.tcp)?, copy(&listener.quic)?);
            Ok(ListenerSockets { address: listener.address, tcp, quic })
        });
        let listeners = listeners.collect::<io::Result<_>>()?;
        let routes = self.routes.iter().filter(|route| route.is_alive()).cloned().collect();
        Ok(Self { listeners, routes })
    }

    /// Takes the sockets of this configured address out of the set.
    fn take(&mut self, address: SocketAddr) -> ListenerSockets {
        let place = self.listeners.iter().position(|listener| listener.address == address);
        place.map_or_else(
            || ListenerSockets { address, tcp: Vec::new(), quic: Vec::new() },
            |place| self.listeners.swap_remove(place),
        )
    }
}

/// The sockets of every worker.
#[derive(Debug)]
pub struct BoundSockets {
    /// By worker.
    pub by_worker: Vec<Vec<BoundListener>>,
    /// All of them, for a process that takes over. While this exists, they stay open.
    pub shared: SocketSet,
}

/// Opens every configured listener at least once for each of `workers`. The kernel spreads connections
/// over the sockets of one address.
///
/// Sockets in `inherited`, from the process before this one, are used for the address that they had
/// there: all of them, because connections wait in each. If they are fewer than workers, some workers
/// accept from the same one: a new one would get connections that are lost if this process fails before
/// it serves.
pub fn bind(
    config: &Config,
    workers: u16,
    mut inherited: SocketSet,
) -> Result<BoundSockets, EdgeError> {
    let workers = usize::from(workers.max(1));
    let mut by_worker: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    let mut shared = SocketSet::default();
    let earlier = Arc::new(core::mem::take(&mut inherited.routes));
    for (index, listener) in config.listeners.iter().enumerate() {
        let options = ListenerOptions {
            index,
            tls: listener.tls.is_some(),
            proxy_protocol: listener.proxy_protocol,
        };
        let failed = |source| EdgeError::Listen { address: listener.address, source };
        let mut sockets = inherited.take(listener.address);
        let mut tcp = tcp_sockets(listener.address, sockets.tcp, workers).map_err(failed)?;
        let address = tcp[0].local_addr().map_err(failed)?;
        sockets.tcp = copies(&tcp).map_err(failed)?;
        for at in tcp.len()..workers {
            tcp.push(tcp[at % sockets.tcp.len()].try_clone().map_err(failed)?);
        }
        for (at, socket) in tcp.into_iter().enumerate() {
            let bound = BoundListener { socket, address, options, quic: None };
            by_worker[at % workers].push(bound);
        }
        if listener.http_3 {
            let quic = quic_sockets(address, sockets.quic, workers).map_err(failed)?;
            sockets.quic = copies(&quic).map_err(failed)?;
            let quic = with_routes(quic, &earlier, &mut shared.routes).map_err(failed)?;
            for (at, socket) in quic.into_iter().enumerate() {
                // As many as listening sockets, unless HTTP/3 was switched on or off in between.
                let mut without = by_worker[at % workers]
                    .iter_mut()
                    .filter(|bound| bound.options.index == index && bound.quic.is_none());
                if let Some(bound) = without.next() {
                    bound.quic = Some(socket);
                }
            }
        } else {
            sockets.quic = Vec::new();
        }
        shared.listeners.push(sockets);
    }
    shared.routes.extend(earlier.iter().cloned());
    Ok(BoundSockets { by_worker, shared })
}

/// The inherited listening sockets, or a new one for each worker.
fn tcp_sockets(
    address: SocketAddr,
    inherited: Vec<OwnedFd>,
    workers: usize,
) -> io::Result<Vec<std::net::TcpListener>> {
    if !inherited.is_empty() {
        return Ok(inherited.into_iter().map(std::net::TcpListener::from).collect());
    }
    let first = listen(address)?;
    let address = first.local_addr()?;
    let others = (1..workers).map(|_| listen(address));
    std::iter::once(Ok(first)).chain(others).collect()
}

/// The inherited UDP sockets, and as many new ones as make one for each worker: an endpoint shares none.
fn quic_sockets(
    address: SocketAddr,
    inherited: Vec<OwnedFd>,
    workers: usize,
) -> io::Result<Vec<UdpSocket>> {
    let mut sockets: Vec<_> = inherited.into_iter().map(UdpSocket::from).collect();
    while sockets.len() < workers {
        sockets.push(open_quic(address)?);
    }
    Ok(sockets)
}

fn copies<S: std::os::fd::AsFd>(sockets: &[S]) -> io::Result<Vec<OwnedFd>> {
    sockets.iter().map(|socket| socket.as_fd().try_clone_to_owned()).collect()
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
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
    Ok(socket.into())
}

/// One worker's own UDP socket for one configured address.
#[derive(Debug)]
pub(crate) struct QuicSocket {
    pub(crate) socket: UdpSocket,
    /// Those of all workers.
    pub(crate) all: Arc<Vec<UdpSocket>>,
    /// The key of its connection ids.
    pub(crate) key: u64,
    /// What a later process forwards of this one's packets.
    pub(crate) forwarded: UnixDatagram,
    /// To the endpoints of earlier processes.
    pub(crate) earlier: Arc<Vec<QuicRoute>>,
}

/// Gives each socket a key and a way by which a later process reaches its endpoint; `routes` gets it.
fn with_routes(
    sockets: Vec<UdpSocket>,
    earlier: &Arc<Vec<QuicRoute>>,
    routes: &mut Vec<QuicRoute>,
) -> io::Result<Vec<QuicSocket>> {
    let all: Vec<_> = sockets.iter().map(UdpSocket::try_clone).collect::<Result<_, _>>()?;
    let all = Arc::new(all);
    let with_route = |socket| {
        let (forwarded, end) = UnixDatagram::pair()?;
        forwarded.set_nonblocking(true)?;
        end.set_nonblocking(true)?;
        let key = random_key()?;
        routes.push(QuicRoute { key, socket: Arc::new(end) });
        let (all, earlier) = (all.clone(), earlier.clone());
        Ok(QuicSocket { socket, all, key, forwarded, earlier })
    };
    sockets.into_iter().map(with_route).collect()
}

fn random_key() -> io::Result<u64> {
    let mut bytes = [0; 8];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(u64::from_ne_bytes(bytes))
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
