//! The event-driven front: accepts connections, reads requests, writes responses.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::OriginConfig;
use super::counters::Counters;
use super::pages::{self, Route};
use super::workers::{Burner, Pool};
use crate::wire::Wire;

/// How long a client may take to read a response.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// What an asset costs.
const ASSET_BURN: Duration = Duration::from_micros(50);

/// What every connection needs.
pub(super) struct Shared {
    config: OriginConfig,
    counters: Arc<Counters>,
    pool: Pool,
    slots: Semaphore,
    burner: Burner,
}

impl Shared {
    pub(super) fn new(config: OriginConfig, counters: Arc<Counters>, pool: Pool) -> Self {
        let slots = Semaphore::new(config.slots);
        Shared { config, counters, pool, slots, burner: Burner::calibrate() }
    }
}

/// Serves until told to stop.
pub(super) async fn run(
    listener: std::net::TcpListener,
    status_listener: std::net::TcpListener,
    shared: Shared,
    mut stopped: watch::Receiver<bool>,
) {
    let shared = Arc::new(shared);
    let (Ok(listener), Ok(status_listener)) =
        (TcpListener::from_std(listener), TcpListener::from_std(status_listener))
    else {
        return;
    };
    tokio::select! {
        () = accept(listener, Arc::clone(&shared)) => {}
        () = tell_status(status_listener, &shared.counters) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let open = Arc::new(Semaphore::new(shared.config.connections));
    loop {
        // The permit comes first: whoever does not get one stays in the kernel's backlog.
        let Ok(permit) = Arc::clone(&open).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: they come back as connections end.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            shared.counters.connections.up();
            // Nagle's delay would add to every latency measured.
            let _ = stream.set_nodelay(true);
            converse(Wire::new(stream), &shared).await;
            shared.counters.connections.down();
            drop(permit);
        });
    }
}

/// One connection, request after request.
async fn converse(mut wire: Wire, shared: &Shared) {
    loop {
        // At the poller, without a slot.
        if !matches!(timeout(shared.config.idle_patience, wire.readable()).await, Ok(Ok(()))) {
            return;
        }
        let Ok(slot) = shared.slots.acquire().await else {
            return;
        };
        shared.counters.busy_slots.up();
        let goes_on = exchange(&mut wire, shared).await;
        shared.counters.busy_slots.down();
        drop(slot);
        if !goes_on {
            return;
        }
    }
}

/// One request and its response; whether another may follow.
async fn exchange(wire: &mut Wire, shared: &Shared) -> bool {
    let request = match timeout(shared.config.header_patience, wire.request()).await {
        Ok(Ok(Some(request))) => request,
        Ok(Ok(None)) => return false,
        Ok(Err(_)) => {
            let _ = wire.write(pages::BAD_REQUEST).await;
            return false;
        }
        Err(_) => {
            shared.counters.header_timeouts.up();
            let _ = wire.write(pages::REQUEST_TIMEOUT).await;
            return false;
        }
    };
    shared.counters.received();
    let response = match pages::route(&request.method, &request.target) {
        Route::Asset(asset) => {
            shared.burner.burn(ASSET_BURN);
            shared.counters.served.up();
            asset.response()
        }
        Route::Page(page) => {
            if let Some(response) = shared.pool.make(page).await {
                shared.counters.served.up();
                response
            } else {
                shared.counters.rejected.up();
                pages::too_busy()
            }
        }
    };
    let written = timeout(WRITE_PATIENCE, wire.write(&response)).await;
    matches!(written, Ok(Ok(()))) && request.keep_alive
}

/// Answers `GET /origin-status`, one connection after another.
async fn tell_status(listener: TcpListener, counters: &Counters) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = timeout(Duration::from_secs(1), tell(stream, counters)).await;
        }
    }
}

async fn tell(stream: TcpStream, counters: &Counters) {
    let mut wire = Wire::new(stream);
    let Ok(Some(request)) = wire.request().await else {
        return;
    };
    let response = if request.target == "/origin-status" {
        let body = serde_json::to_vec(&counters.status()).unwrap_or_default();
        pages::response("200 OK", "application/json", "no-store", &body)
    } else {
        pages::response("404 Not Found", "text/plain", "no-store", b"Ask for /origin-status.\n")
    };
    let _ = wire.write(&response).await;
}
