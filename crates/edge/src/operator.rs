//! The operators' listener: health, metrics and status, on a thread of its own so that it
//! answers while every worker is busy.

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

/// Operators and their monitors are few.
const CONNECTIONS: usize = 64;
const HEADER_DEADLINE: Duration = Duration::from_secs(5);
/// A connection is closed after this, however busy; monitors connect anew.
const LONGEST_CONNECTION: Duration = Duration::from_secs(300);
const BUFFER: usize = 16 * 1024;

/// What operators see. The binary knows; this crate only carries it.
pub trait Pages: Send + Sync {
    /// Prometheus text format, version 0.0.4.
    fn metrics(&self) -> String;
    /// One JSON object.
    fn status(&self) -> String;
    /// Whether all is well, or in a sentence what is not.
    fn health(&self) -> Result<(), String>;
}

/// The running listener.
#[derive(Debug)]
pub struct Operator {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Operator {
    /// Where it listens; the real port where port 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has ended, which it does when told to drain.
    pub fn join(self) {
        // A panic there has been reported by the panic hook already.
        let _ = self.thread.join();
    }
}

/// Listens at `address` until `drain` turns true.
pub fn serve(
    address: SocketAddr,
    pages: Arc<dyn Pages>,
    drain: watch::Receiver<bool>,
) -> Result<Operator, EdgeError> {
    let refused = |source| EdgeError::Listen { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(EdgeError::Worker)?;
    let thread = std::thread::Builder::new()
        .name("operator".into())
        .spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, listen(listener, pages, drain));
        })
        .map_err(EdgeError::Worker)?;
    Ok(Operator { address, thread })
}

async fn listen(
    listener: std::net::TcpListener,
    pages: Arc<dyn Pages>,
    mut drain: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the operators' listener cannot start");
            return;
        }
    };
    // Each connection holds a clone; dropping it frees the place.
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
        if Rc::strong_count(&places) <= CONNECTIONS {
            let (place, pages) = (places.clone(), pages.clone());
            tokio::task::spawn_local(async move {
                let _ = tokio::time::timeout(LONGEST_CONNECTION, speak(stream, pages)).await;
                drop(place);
            });
        }
    }
}

async fn speak(stream: TcpStream, pages: Arc<dyn Pages>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(&request, &*pages);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    // A monitor that goes away is no event.
    let _ = connection.await;
}

fn answer(request: &Request<Incoming>, pages: &dyn Pages) -> Response<Whole> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".into());
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
            let known = "there is /healthz, /metrics and /status.json\n";
            page(StatusCode::NOT_FOUND, TEXT, known.into())
        }
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Whole> {
    let mut response = Response::new(Whole(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A body in one piece.
struct Whole(Bytes);

impl Body for Whole {
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
