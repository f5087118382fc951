//! A worker: one core's thread, runtime, listeners, origin connections and counters.

use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use http::HeaderValue;
use portcullis_gate::{Policy, Tables};
use portcullis_model::{FeatureName, Meter, Record, TICK, WorkerId};
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};

use crate::access_log::AccessLogSink;
use crate::admission::Admission;
use crate::clock::Clock;
use crate::conn::idle_eviction::idle_timeout_under_load;
use crate::conn::registry::ConnRegistry;
use crate::context::{ContextParts, InternalErrors, WorkerContext};
use crate::error::EdgeError;
use crate::net::listener::BoundListener;
use crate::origin::pool::WorkerShare;
use crate::request::acme_challenge::ChallengeAnswers;
use crate::serve::RequestService;
use crate::server::accept::accept;
use crate::server::quic_endpoint;
use crate::server::state::ServerState;
use crate::stage::WorkerStage;
use crate::tls::config::TlsConfigs;

/// How long the close of HTTP/3 connections may take to reach their visitors.
const QUIC_CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// A process without connections that has handed over waits this long for packets on their way that the
/// next process forwards: some round trips.
const LEAST_DRAIN: Duration = Duration::from_secs(1);

/// Everything that a worker is given. [`Worker::run`] does the rest, on the calling thread.
pub struct Worker {
    /// Its number.
    pub id: WorkerId,
    /// How many workers there are; connections to origins are shared out among them.
    pub workers: u16,
    /// Its own sockets, from [`bind`](crate::bind).
    pub listeners: Vec<BoundListener>,
    /// The policy, swapped whole by the control loop.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Limits by source and token, shared by all workers.
    pub tables: Arc<Tables>,
    /// Certificates by listener, swapped whole on a reload.
    pub tls: Arc<ArcSwap<TlsConfigs>>,
    /// What certificate authorities are answered, by all workers.
    pub answers: Arc<ChallengeAnswers>,
    /// Its counters.
    pub meter: Arc<Meter>,
    /// Where its requests are written down. If the ring is full, a record is lost and counted.
    pub records: rtrb::Producer<Record>,
    /// Where readable names of features go. If the ring is full, they are lost.
    pub sightings: rtrb::Producer<FeatureName>,
    /// Where lines of the access log go, if there is one.
    pub access_log: Option<AccessLogSink>,
    /// Visitor connections of all workers together: one counter for all.
    pub open: Arc<AtomicU64>,
    /// What went wrong inside: one for all workers.
    pub internal_errors: Arc<InternalErrors>,
    /// The process's clock.
    pub clock: Clock,
    /// What it is to do; never goes back.
    pub stage: watch::Receiver<WorkerStage>,
}

impl Worker {
    /// Serves visitors until it is to stop, and then until the last of them is served or
    /// `shutdown_grace` is over. A worker that is handed over stops by itself.
    pub fn run(self) -> Result<(), EdgeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(EdgeError::Worker)?;
        let local = LocalSet::new();
        local.block_on(&runtime, self.serve())
    }

    async fn serve(self) -> Result<(), EdgeError> {
        let mut stage = self.stage;
        // What the endpoints do; they stop after the worker's connections.
        let endpoint_stage = watch::Sender::new(WorkerStage::Serve);
        let parts = ContextParts {
            workers: self.workers,
            policy: self.policy,
            tables: self.tables,
            meter: self.meter,
            internal_errors: self.internal_errors,
            clock: self.clock,
            records: self.records,
            sightings: self.sightings,
            access_log: self.access_log,
        };
        let context = Rc::new(WorkerContext::new(parts));
        let conns = Rc::new(ConnRegistry::new(self.open));
        let share = WorkerShare { id: self.id.0, workers: self.workers };
        let service = Rc::new(RequestService::new(share, self.answers));
        let server = Rc::new(ServerState {
            admission: Admission::new(context.clone(), conns.clone()),
            service: service.clone(),
            tls: self.tls,
            alternatives: alternatives(&self.listeners),
            context: context.clone(),
        });
        let tasks = listen(&server, self.listeners, &endpoint_stage)?;
        let watching = tokio::task::spawn_local(run_ticks(context.clone(), conns.clone(), service));

        // An error means that the sender is gone: then the worker stops too.
        let left = stage.wait_for(|stage| *stage > WorkerStage::Serve).await;
        let handed_over = left.is_ok_and(|stage| *stage == WorkerStage::HandedOver);
        // An accepted connection is registered in the same turn: none is lost by the end of the task.
        for task in tasks.tcp {
            task.abort();
        }
        tracing::debug!(worker = self.id.0, open = conns.open(), handed_over, "draining");
        if handed_over {
            endpoint_stage.send_replace(WorkerStage::HandedOver);
            wait_for_leaving(&context, &conns, &mut stage).await;
            conns.cut_tunnels();
        }
        endpoint_stage.send_replace(WorkerStage::Stop);
        finish_requests(&context, &conns).await;
        watching.abort();
        // Clients receive a close frame.
        for endpoint in tasks.quic {
            let _ = context.clock.timeout(QUIC_CLOSE_TIMEOUT, endpoint).await;
        }
        Ok(())
    }
}

/// The tasks that accept connections.
#[derive(Default)]
struct AcceptTasks {
    /// By TCP.
    tcp: Vec<JoinHandle<()>>,
    /// Endpoints of HTTP/3, which also carry their connections' packets.
    quic: Vec<JoinHandle<()>>,
}

/// Starts to accept connections.
fn listen(
    server: &Rc<ServerState>,
    listeners: Vec<BoundListener>,
    endpoint_stage: &watch::Sender<WorkerStage>,
) -> Result<AcceptTasks, EdgeError> {
    let mut tasks = AcceptTasks::default();
    for mut listener in listeners {
        let options = listener.options;
        if let Some(quic) = listener.quic.take() {
            let stage = endpoint_stage.subscribe();
            let task = quic_endpoint::accept(server.clone(), quic, options, stage);
            tasks.quic.push(tokio::task::spawn_local(async move {
                if let Err(error) = task.await {
                    tracing::error!(%error, "HTTP/3 is not served");
                }
            }));
        }
        let listener = listener.into_tokio().map_err(EdgeError::Worker)?;
        let task = accept(server.clone(), listener, options);
        tasks.tcp.push(tokio::task::spawn_local(task));
    }
    Ok(tasks)
}

/// Ends every connection after what is being answered, or after `shutdown_grace`.
async fn finish_requests(context: &WorkerContext, conns: &ConnRegistry) {
    conns.drain();
    let begun = context.read_clock();
    let allowed = context.policy.load().config().limits.shutdown_grace;
    while conns.open() > 0 && context.read_clock().since(begun) < allowed {
        context.clock.sleep(TICK / 10).await;
        // A connection accepted just before may have arrived just after.
        conns.drain();
    }
}

/// Serves the connections of a process that has handed over, until all have left, `drain_time` is over
/// or the process is to stop.
async fn wait_for_leaving(
    context: &WorkerContext,
    conns: &ConnRegistry,
    stage: &mut watch::Receiver<WorkerStage>,
) {
    let begun = context.read_clock();
    let allowed = context.policy.load().config().limits.drain_time;
    let least = LEAST_DRAIN.min(allowed);
    loop {
        // A connection accepted just before may have arrived just after.
        conns.ask_to_reconnect();
        let spent = context.read_clock().since(begun);
        if (conns.open() == 0 && spent >= least) || spent >= allowed {
            return;
        }
        let stopped = stage.wait_for(|stage| *stage == WorkerStage::Stop);
        if context.clock.timeout(TICK / 10, stopped).await.is_some() {
            return;
        }
    }
}

/// By listener: what its responses say of HTTP/3.
fn alternatives(listeners: &[BoundListener]) -> Vec<Option<HeaderValue>> {
    let length = listeners.iter().map(|listener| listener.options.index + 1).max();
    let mut alternatives = vec![None; length.unwrap_or(0)];
    for listener in listeners {
        if let Some(alternative) = listener.alternative() {
            alternatives[listener.options.index] = Some(alternative);
        }
    }
    alternatives
}

/// Four times a second: deadlines, gauges, idle connections.
async fn run_ticks(
    context: Rc<WorkerContext>,
    conns: Rc<ConnRegistry>,
    service: Rc<RequestService>,
) {
    loop {
        let now = context.read_calendar();
        let policy = context.policy.load_full();
        let limits = &policy.config().limits;
        let header_deadline = policy.header_deadline(now);
        let idle = idle_timeout_under_load(
            limits.idle_timeout,
            conns.open_in_all(),
            limits.max_connections,
        );
        let stalled = conns.check(limits, idle, header_deadline, now);
        context.meter.set_stalled_headers(stalled);
        context.deadlines.check(now, context.is_origin_queued());
        service.pools.tidy(context.clock, now);
        context.clock.sleep(TICK).await;
    }
}
