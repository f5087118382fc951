//! The demonstration origin: a small campaign site that overload takes down.
//!
//! It is built like the servers that such sites run on, an event-driven front with a fixed pool
//! that makes the pages (nginx with php-fpm, or Apache's event process model), and it has both of
//! their ways to fail:
//!
//! - **Connection slots** ([`DemoOriginConfig::slots`]). From the first byte of a request until its
//!   response is written, a connection holds one slot. An idle keep-alive connection holds none: it
//!   waits at the poller, so a gate that keeps connections open costs nothing. A connection that
//!   sends its header slowly holds its slot until [`DemoOriginConfig::header_timeout`] is over,
//!   which is generous, as it is by default in most servers. So a few hundred of those take the
//!   site down while the processor is idle. A connection without a free slot waits in a queue.
//! - **Page workers** ([`DemoOriginConfig::workers`]). Pages are made by a few threads, each busy
//!   with one page at a time, which burns processor time (real work, of an amount that is measured
//!   at the start) and then waits for a "database" (sleep). Ordinary pages cost about 0.4 ms and 12
//!   ms, a search or a leaflet 1 ms and 50 ms. Four workers therefore make about 330 ordinary pages
//!   or 80 searches a second. Before them is a queue of [`DemoOriginConfig::queue`] requests; what
//!   does not fit is answered `503` immediately, as a proxy answers when its application's backlog
//!   is full. Style sheets, script and pictures are served without a worker.
//!
//! At most [`DemoOriginConfig::max_connections`] connections are accepted; others wait in the
//! kernel's backlog, and beyond that are not answered. What cannot be seen here: swapping, a
//! database that locks up, an uplink that is full. A real site recovers more slowly than this one.
//!
//! Load is counted where it arrives, and reported in-process ([`DemoOrigin::status`]) and as JSON
//! on a second port that the pools do not touch (`GET /origin-status`).

mod config;
mod cost;
mod counters;
mod pages;
mod serve;
mod workers;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::target::LoopbackTarget;
pub use config::DemoOriginConfig;
pub use counters::DemoOriginStatus;
use counters::OriginCounters;
pub(crate) use counters::peak_per_second;

/// A running demonstration origin. Dropping it stops it.
pub struct DemoOrigin {
    address: LoopbackTarget,
    status_address: LoopbackTarget,
    counters: Arc<OriginCounters>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// Why the origin could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the demonstration origin could not be started: {action}: {source}")]
pub struct DemoOriginError {
    action: &'static str,
    source: std::io::Error,
}

impl DemoOrigin {
    /// Starts the site on loopback, with its own threads. Returns once it accepts connections.
    pub fn start(config: &DemoOriginConfig) -> Result<Self, DemoOriginError> {
        let failed = |action| move |source| DemoOriginError { action, source };
        let listener = listen(config.port, config.backlog)
            .map_err(failed("listening on a port of 127.0.0.1"))?;
        let status_listener =
            listen(0, 16).map_err(failed("listening on a second port of 127.0.0.1"))?;
        let (address, status_address) = (local_target(&listener)?, local_target(&status_listener)?);

        let counters = Arc::new(OriginCounters::new(config));
        let (pool, mut threads) = workers::WorkerPool::start(config, &counters)
            .map_err(failed("starting the page workers"))?;
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed("starting its event loop"))?;
        let shared = serve::OriginContext::new(config.clone(), Arc::clone(&counters), pool);
        let front = std::thread::Builder::new()
            .name("origin".into())
            .spawn(move || {
                runtime.block_on(serve::run(listener, status_listener, shared, stopped));
            })
            .map_err(failed("starting its thread"))?;
        threads.push(front);
        Ok(DemoOrigin { address, status_address, counters, stop, threads })
    }

    /// Where the site is.
    pub fn address(&self) -> LoopbackTarget {
        self.address
    }

    /// Where `GET /origin-status` is answered.
    pub fn status_address(&self) -> LoopbackTarget {
        self.status_address
    }

    /// What arrived, what was served and what waits now.
    pub fn status(&self) -> DemoOriginStatus {
        self.counters.status()
    }
}

impl Drop for DemoOrigin {
    fn drop(&mut self) {
        // The front drops the pool's queue when it ends; that ends the workers.
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A thread that panicked has already reported it; no caller is left.
            let _ = thread.join();
        }
    }
}

fn listen(port: u16, backlog: u32) -> std::io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn local_target(listener: &std::net::TcpListener) -> Result<LoopbackTarget, DemoOriginError> {
    let failed = |source| DemoOriginError { action: "asking for its own address", source };
    let address = listener.local_addr().map_err(failed)?;
    LoopbackTarget::from_address(address)
        .ok_or_else(|| failed(std::io::Error::other("the address is not a loopback address")))
}

#[cfg(test)]
mod tests;
