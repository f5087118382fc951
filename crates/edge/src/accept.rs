//! From a listening socket to a connection that is worth a task.
//!
//! What can be refused is refused here, before any byte is read: dropping is cheaper than
//! refusing.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::rc::Rc;

use http::HeaderValue;
use portcullis_model::{ActivityId, Config, Reason};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::connection;
use crate::error::EdgeError;
use crate::http_3::{self, BoundQuic};
use crate::transport::UNSENT;
use crate::visit::{Phase, Visit};
use crate::worker::House;

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: i32 = 4096;

/// Seconds for which a visitor may remember that HTTP/3 is spoken here: whoever switches it off is
/// rid of it within the hour, and until then browsers try both.
const ALTERNATIVE_AGE: u32 = 3_600;

/// A pause when the system is out of file descriptors or memory: accepting again at once would
/// fail again at once.
const PAUSE: Duration = Duration::from_millis(100);
/// The same where an idle connection is ending to make room.
const MOMENT: Duration = Duration::from_millis(2);

/// One worker's own listening socket for one configured address.
#[derive(Debug)]
pub struct BoundListener {
    socket: std::net::TcpListener,
    address: SocketAddr,
    pub(crate) rules: Rules,
    /// Where HTTP/3 is spoken too.
    pub(crate) quic: Option<BoundQuic>,
}

/// What is demanded of connections to one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The listener's place in the configuration.
    pub(crate) index: usize,
    pub(crate) tls: bool,
    pub(crate) proxy_protocol: bool,
}

impl BoundListener {
    /// Where it listens; the real port where port 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn into_tokio(self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.socket)
    }

    /// What answers over TLS say of HTTP/3 here (RFC 7838): that it is spoken on this port.
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
        let rules =
            Rules { index, tls: listener.tls.is_some(), proxy_protocol: listener.proxy_protocol };
        let mut address = listener.address;
        for worker in &mut by_worker {
            let bound = listen(address, rules)
                .map_err(|source| EdgeError::Listen { address: listener.address, source })?;
            address = bound.address;
            worker.push(bound);
        }
        if listener.http_3 {
            let sockets = http_3::bind(address, by_worker.len())
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

fn listen(address: SocketAddr, rules: Rules) -> io::Result<BoundListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Accepted connections inherit it, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = std::net::TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok(BoundListener { socket, address, rules, quic: None })
}

/// Accepts for as long as it is polled.
pub(crate) async fn accept(house: Rc<House>, listener: TcpListener, rules: Rules) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => receive(&house, stream, peer, rules),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                house.faults.accept_error();
                tracing::debug!(%error, "cannot accept");
                // Whoever makes room needs a moment to end.
                let room = house.visits.make_room(house.read_clock());
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

fn receive(house: &Rc<House>, stream: TcpStream, peer: SocketAddr, rules: Rules) {
    let drop_for = |reason| house.meter.decided(ActivityId(0), reason);
    let address = peer.ip().to_canonical();
    let policy = house.policy.load();
    let config = policy.config();
    let trusted = config.trusted_proxies.iter();
    let trusted = trusted.into_iter().any(|network| network.contains(address));
    if rules.proxy_protocol && !trusted {
        return drop_for(Reason::ProxyHeader);
    }
    house.read_clock();
    if !house.admit(config.limits.max_connections) {
        return drop_for(Reason::ConnectionLimit);
    }
    let phase = match rules {
        Rules { proxy_protocol: true, .. } => Phase::Proxy,
        Rules { tls: true, .. } => Phase::Handshake,
        Rules { .. } => Phase::Arriving,
    };
    let visit = Rc::new(Visit::new(house.clone(), rules.tls, phase));
    let presence = house.visits.enter(&visit);
    if !rules.proxy_protocol {
        visit.identify(address, trusted);
        // A trusted proxy's connections carry many visitors, who are limited by request.
        if !trusted && let Err(reason) = presence.count_under(visit.identity().source) {
            return drop_for(reason);
        }
    }
    let task = connection::attend(visit, presence, stream, address, rules);
    tokio::task::spawn_local(task);
}
