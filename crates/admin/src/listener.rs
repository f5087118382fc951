//! The listener: accepts connections and serves the pages.
//!
//! It has a separate thread, so that it responds while all workers are busy.

use core::convert::Infallible;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::LocalSet;

/// Connections at the same time.
const MAX_CONNECTIONS: usize = 64;
/// Time for a request header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is closed after this time; monitors connect again.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);
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
    /// Whether the gate is healthy; else a sentence about the problem.
    fn health(&self) -> Result<(), String>;
}

/// A listener whose address is bound; nothing is accepted yet.
#[derive(Debug)]
pub struct BoundAdmin {
    address: SocketAddr,
    listener: std::net::TcpListener,
}

impl BoundAdmin {
    /// Binds `address`.
    pub fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let refused = |source| AdminError::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { address, listener })
    }

    /// Serves `pages` on a new thread until `drain` turns true.
    pub fn serve(
        self,
        pages: Arc<dyn AdminPages>,
        drain: watch::Receiver<bool>,
    ) -> Result<AdminListener, AdminError> {
        let Self { address, listener } = self;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(AdminError::Start)?;
        let thread = std::thread::Builder::new()
            .name("admin".into())
            .spawn(move || {
                let local = LocalSet::new();
                local.block_on(&runtime, listen(listener, pages, drain));
            })
            .map_err(AdminError::Start)?;
        Ok(AdminListener { address, thread })
    }
}

/// The running listener.
#[derive(Debug)]
pub struct AdminListener {
    address: SocketAddr,
    thread: JoinHandle<()>,
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

async fn listen(
    listener: std::net::TcpListener,
    pages: Arc<dyn AdminPages>,
    mut drain: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot start the admin listener");
            return;
        }
    };
    // Each connection holds a clone: the count of clones is the count of connections.
    let places = Rc::new(());
    let mut ended = pin!(drain.wait_for(|drain| *drain));
    loop {
        let accepted = tokio::select! {
            _ = &mut ended => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if Rc::strong_count(&places) <= MAX_CONNECTIONS {
            let (place, pages) = (places.clone(), pages.clone());
            tokio::task::spawn_local(async move {
                let _ =
                    tokio::time::timeout(MAX_CONNECTION_AGE, serve_connection(stream, pages)).await;
                drop(place);
            });
        }
    }
}

async fn serve_connection(stream: TcpStream, pages: Arc<dyn AdminPages>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&request, &*pages);
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

fn respond(request: &Request<Incoming>, pages: &dyn AdminPages) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".into());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/healthz" => match pages.health() {
            Ok(()) => page(StatusCode::OK, TEXT, "ok\n".into()),
            Err(problem) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, problem + "\n"),
        },
        "/metrics" => page(StatusCode::OK, OPENMETRICS, pages.metrics()),
        "/status.json" => page(StatusCode::OK, JSON, pages.status()),
        _ => {
            let known = "the paths are /healthz, /metrics and /status.json\n";
            page(StatusCode::NOT_FOUND, TEXT, known.into())
        }
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
