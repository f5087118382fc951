//! The listener: accepts connections and serves the pages.
//!
//! It has a separate thread, so that it responds while all workers are busy.

use core::convert::Infallible;
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};

/// Connections at the same time. A new one takes the place of the oldest.
const MAX_CONNECTIONS: usize = 64;
/// Connections at the same time of one address, so that one cannot take the place of all others.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 32;
/// Time for a request header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is closed after this time; monitors connect again.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);
/// How often, and how long each time, the end waits for connections that are being answered.
const LAST_ANSWER_POLLS: u32 = 20;
const LAST_ANSWER_PAUSE: Duration = Duration::from_millis(10);
/// Buffer of one connection.
const MAX_BUFFER_BYTES: usize = 16 * 1024;

/// Content type of the `OpenMetrics` text format, which Prometheus reads since version 2.5.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Why the listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be used.
    #[error(
        "cannot listen on {address} for the admin listener: {source}. Is another program using the \
         port, or does the address belong to another machine?"
    )]
    Listen {
        /// The address from the configuration.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
    /// The runtime or thread cannot be made.
    #[error("cannot start the admin listener: {0}. No thread or file descriptor is available.")]
    Start(io::Error),
}

/// Renders the pages of the listener.
pub trait AdminPages: Send + Sync {
    /// `OpenMetrics` text format, version 1.0.0.
    fn metrics(&self) -> String;
    /// One JSON object.
    fn status(&self) -> String;
    /// Whether the gate itself works; else a sentence about the problem.
    fn liveness(&self) -> Result<(), String>;
    /// Whether visitors can be served, with remarks; else a sentence about the problem.
    fn health(&self) -> Result<String, String>;
}

/// A listener whose address is bound; nothing is accepted yet.
#[derive(Debug)]
pub struct BoundAdmin {
    address: SocketAddr,
    listener: std::net::TcpListener,
    hosts: Vec<String>,
}

impl BoundAdmin {
    /// Binds `address`. It may be requested by its address, by `localhost` and by the names in
    /// `hosts`, which are in lower case.
    pub fn bind(address: SocketAddr, hosts: Vec<String>) -> Result<Self, AdminError> {
        let refused = |source| AdminError::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { address, listener, hosts })
    }

    /// Listens with a socket that is bound to `address`, from another process.
    pub fn inherit(
        address: SocketAddr,
        socket: OwnedFd,
        hosts: Vec<String>,
    ) -> Result<Self, AdminError> {
        let refused = |source| AdminError::Listen { address, source };
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { address, listener, hosts })
    }

    /// The socket once more, for a process that takes over.
    pub fn socket(&self) -> Result<OwnedFd, AdminError> {
        let refused = |source| AdminError::Listen { address: self.address, source };
        self.listener.as_fd().try_clone_to_owned().map_err(refused)
    }

    /// Serves `pages` on a new thread until `drain` turns true.
    pub fn serve(
        self,
        pages: Arc<dyn AdminPages>,
        drain: watch::Receiver<bool>,
    ) -> Result<AdminListener, AdminError> {
        let Self { address, listener, hosts } = self;
        let site = Arc::new(AdminSite { address: address.ip(), hosts, pages });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(AdminError::Start)?;
        let thread = std::thread::Builder::new()
            .name("admin".into())
            .spawn(move || {
                let local = LocalSet::new();
                local.block_on(&runtime, listen(listener, site, drain));
            })
            .map_err(AdminError::Start)?;
        Ok(AdminListener { address, thread })
    }
}

/// The running listener.
#[derive(Debug)]
pub struct AdminListener {
    address: SocketAddr,
    thread: std::thread::JoinHandle<()>,
}

impl AdminListener {
    /// The address, with the real port if port 0 was configured.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for its end, which comes after the drain signal.
    pub fn join(self) {
        // The panic hook has reported a panic already.
        let _ = self.thread.join();
    }
}

/// The pages, and the hosts by which they may be requested.
struct AdminSite {
    address: IpAddr,
    hosts: Vec<String>,
    pages: Arc<dyn AdminPages>,
}

impl AdminSite {
    /// Whether a request names this listener. A name that anyone may point to it does not: a web page
    /// could read the listener through a visitor's browser (DNS rebinding).
    fn is_meant(&self, request: &Request<Incoming>) -> bool {
        let Some(field) = request.headers().get(HOST) else {
            // Browsers always send it.
            return true;
        };
        let Some(host) = portcullis_gate::host(field.as_bytes()) else { return false };
        let name = host.name.trim_start_matches('[').trim_end_matches(']');
        match name.parse::<IpAddr>() {
            Ok(address) => self.address.is_unspecified() || address == self.address,
            Err(_) => {
                host.name.eq_ignore_ascii_case("localhost")
                    || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host.name))
            }
        }
    }
}

/// The open connections, the oldest first.
#[derive(Default)]
struct OpenConnections(VecDeque<(IpAddr, JoinHandle<()>)>);

impl OpenConnections {
    /// Before a connection from `peer` is added: ends the oldest one of its address if that has its
    /// share, or the oldest of all if there are too many.
    fn evict_for(&mut self, peer: IpAddr) {
        self.0.retain(|(_, task)| !task.is_finished());
        let of_peer = self.0.iter().filter(|(address, _)| *address == peer).count();
        let oldest = if of_peer >= MAX_CONNECTIONS_PER_ADDRESS {
            self.0.iter().position(|(address, _)| *address == peer)
        } else {
            (self.0.len() >= MAX_CONNECTIONS).then_some(0)
        };
        if let Some((_, task)) = oldest.and_then(|oldest| self.0.remove(oldest)) {
            task.abort();
        }
    }
}

async fn listen(
    listener: std::net::TcpListener,
    site: Arc<AdminSite>,
    mut drain: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot start the admin listener");
            return;
        }
    };
    let mut open = OpenConnections::default();
    let mut ended = pin!(drain.wait_for(|drain| *drain));
    loop {
        let accepted = tokio::select! {
            _ = &mut ended => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let peer = peer.ip().to_canonical();
        open.evict_for(peer);
        let served = serve_connection(stream, Arc::clone(&site));
        let task = tokio::task::spawn_local(async move {
            let _ = tokio::time::timeout(MAX_CONNECTION_AGE, served).await;
        });
        open.0.push_back((peer, task));
    }
    drop(listener);
    // Those that have just asked get their answer; idle ones end.
    for _ in 0..LAST_ANSWER_POLLS {
        if open.0.iter().all(|(_, task)| task.is_finished()) {
            return;
        }
        tokio::time::sleep(LAST_ANSWER_PAUSE).await;
    }
}

async fn serve_connection(stream: TcpStream, site: Arc<AdminSite>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&request, &site);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A monitor that disconnects is not worth a log line.
    let _ = connection.await;
}

fn respond(request: &Request<Incoming>, site: &AdminSite) -> Response<Full<Bytes>> {
    if !site.is_meant(request) {
        let refused = "this name is not known here: use the address or localhost, or add the name to \
                       hosts in [admin]\n";
        return page(StatusCode::MISDIRECTED_REQUEST, TEXT, refused.into());
    }
    let pages = &*site.pages;
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".into());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/healthz" => health_page(pages.health()),
        "/livez" => health_page(pages.liveness().map(|()| "ok".into())),
        "/metrics" => page(StatusCode::OK, OPENMETRICS, pages.metrics()),
        "/status.json" => page(StatusCode::OK, JSON, pages.status()),
        _ => {
            let known = "the paths are /healthz, /livez, /metrics and /status.json\n";
            page(StatusCode::NOT_FOUND, TEXT, known.into())
        }
    }
}

fn health_page(health: Result<String, String>) -> Response<Full<Bytes>> {
    match health {
        Ok(text) => page(StatusCode::OK, TEXT, text + "\n"),
        Err(problem) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, problem + "\n"),
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
