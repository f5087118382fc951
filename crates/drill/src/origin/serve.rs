//! The event-driven front: accepts connections, reads requests, writes responses.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::config::DemoOriginConfig;
use super::counters::OriginCounters;
use super::pages::{self, Route};
use super::workers::{CpuBurner, WorkerPool};
use crate::http1::Http1Stream;

/// How long a client may take to read a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What an asset costs.
const ASSET_CPU_TIME: Duration = Duration::from_micros(50);

/// What every connection needs.
pub(super) struct OriginContext {
    config: DemoOriginConfig,
    counters: Arc<OriginCounters>,
    pool: WorkerPool,
    slots: Semaphore,
    burner: CpuBurner,
}

impl OriginContext {
    pub(super) fn new(
        config: DemoOriginConfig,
        counters: Arc<OriginCounters>,
        pool: WorkerPool,
    ) -> Self {
        let slots = Semaphore::new(config.slots);
        OriginContext { config, counters, pool, slots, burner: CpuBurner::calibrate() }
    }
}

/// Serves until `stopped` is set.
pub(super) async fn run(
    listener: std::net::TcpListener,
    status_listener: std::net::TcpListener,
    context: OriginContext,
    mut stopped: watch::Receiver<bool>,
) {
    let context = Arc::new(context);
    let (Ok(listener), Ok(status_listener)) =
        (TcpListener::from_std(listener), TcpListener::from_std(status_listener))
    else {
        return;
    };
    tokio::select! {
        () = accept(listener, Arc::clone(&context)) => {}
        () = serve_status(status_listener, &context.counters) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn accept(listener: TcpListener, context: Arc<OriginContext>) {
    let open = Arc::new(Semaphore::new(context.config.max_connections));
    loop {
        // The permit comes first: a connection without one stays in the kernel's backlog.
        let Ok(permit) = Arc::clone(&open).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: they come back as connections end.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let context = Arc::clone(&context);
        tokio::spawn(async move {
            context.counters.connections.increment();
            // Nagle's delay would add to every latency measured.
            let _ = stream.set_nodelay(true);
            serve_connection(Http1Stream::new(stream), &context).await;
            context.counters.connections.decrement();
            drop(permit);
        });
    }
}

/// One connection, request after request.
async fn serve_connection(mut conn: Http1Stream, context: &OriginContext) {
    loop {
        // At the poller, without a slot.
        if !matches!(timeout(context.config.idle_timeout, conn.readable()).await, Ok(Ok(()))) {
            return;
        }
        let Ok(slot) = context.slots.acquire().await else {
            return;
        };
        context.counters.busy_slots.increment();
        let keep_alive = serve_request(&mut conn, context).await;
        context.counters.busy_slots.decrement();
        drop(slot);
        if !keep_alive {
            return;
        }
    }
}

/// One request and its response; whether another may follow.
async fn serve_request(conn: &mut Http1Stream, context: &OriginContext) -> bool {
    let request = match timeout(context.config.header_timeout, conn.read_request()).await {
        Ok(Ok(Some(request))) => request,
        Ok(Ok(None)) => return false,
        Ok(Err(_)) => {
            let _ = conn.write(pages::BAD_REQUEST).await;
            return false;
        }
        Err(_) => {
            context.counters.header_timeouts.increment();
            let _ = conn.write(pages::REQUEST_TIMEOUT).await;
            return false;
        }
    };
    context.counters.count_received();
    let response = match pages::route(&request.method, &request.target) {
        Route::Asset(asset) => {
            context.burner.burn(ASSET_CPU_TIME);
            context.counters.served.increment();
            asset.response()
        }
        Route::Page(page) => {
            if let Some(response) = context.pool.render_page(page).await {
                context.counters.served.increment();
                response
            } else {
                context.counters.rejected.increment();
                pages::too_busy()
            }
        }
    };
    let written = timeout(WRITE_TIMEOUT, conn.write(&response)).await;
    matches!(written, Ok(Ok(()))) && request.keep_alive
}

/// Answers `GET /origin-status`, one connection after another.
async fn serve_status(listener: TcpListener, counters: &OriginCounters) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = timeout(Duration::from_secs(1), respond_status(stream, counters)).await;
        }
    }
}

async fn respond_status(stream: TcpStream, counters: &OriginCounters) {
    let mut conn = Http1Stream::new(stream);
    let Ok(Some(request)) = conn.read_request().await else {
        return;
    };
    let response = if request.target == "/origin-status" {
        let body = serde_json::to_vec(&counters.status()).unwrap_or_default();
        pages::response("200 OK", "application/json", "no-store", &body)
    } else {
        pages::response("404 Not Found", "text/plain", "no-store", b"Ask for /origin-status.\n")
    };
    let _ = conn.write(&response).await;
}
