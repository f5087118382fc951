//! The admin listener: health, metrics and status.
//!
//! It has a separate thread, so that it responds while all workers are busy.

use core::convert::Infallible;
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::error::EdgeError;

/// Connections at the same time.
const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is closed after this time; monitors connect again.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);
const MAX_BUFFER_BYTES: usize = 16 * 1024;

/// Renders the pages of the listener.
pub trait AdminPages: Send + Sync {
    /// Prometheus text format, version 0.0.4.
    fn metrics(&self) -> String;
    /// One JSON object.
    fn status(&self) -> String;
    /// Whether the gate is healthy; else a sentence about the problem.
    fn health(&self) -> Result<(), String>;
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

/// Listens at `address` until `drain` turns true.
pub fn serve(
    address: SocketAddr,
    pages: Arc<dyn AdminPages>,
    drain: watch::Receiver<bool>,
) -> Result<AdminListener, EdgeError> {
    let refused = |source| EdgeError::Listen { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(EdgeError::Worker)?;
    let thread = std::thread::Builder::new()
        .name("admin".into())
        .spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, listen(listener, pages, drain));
        })
        .map_err(EdgeError::Worker)?;
    Ok(AdminListener { address, thread })
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

fn respond(request: &Request<Incoming>, pages: &dyn AdminPages) -> Response<FullBody> {
    const TEXT: &str = "text/plain; charset=utf-8";
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
        "/metrics" => page(StatusCode::OK, "text/plain; version=0.0.4", pages.metrics()),
        "/status.json" => page(StatusCode::OK, "application/json", pages.status()),
        _ => {
            let known = "the paths are /healthz, /metrics and /status.json\n";
            page(StatusCode::NOT_FOUND, TEXT, known.into())
        }
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<FullBody> {
    let mut response = Response::new(FullBody(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A body in one piece.
struct FullBody(Bytes);

impl Body for FullBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = core::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
