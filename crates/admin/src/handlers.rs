//! The pages of the gate, rendered on request.

use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_acme::AcmeStatus;
use portcullis_edge::{Clock, InternalErrors};
use portcullis_gate::Policy;
use portcullis_model::Meter;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use crate::certs::{AcmeHostRow, CertInventory, CertRow};
use crate::health::ThreadHealth;
use crate::listener::AdminPages;
use crate::metrics::GateMetrics;
use crate::status::{GateStatus, STATUS_VERSION, StatusDocument};

/// Renders the pages from counters and state that other threads update.
pub struct AdminHandlers {
    /// The policy: names of platforms and activities.
    pub policy: Arc<ArcSwap<Policy>>,
    /// The counters of each worker.
    pub meters: Vec<Arc<Meter>>,
    /// The state at the last tick.
    pub status: Arc<ArcSwap<GateStatus>>,
    /// Errors of all workers.
    pub internal_errors: Arc<InternalErrors>,
    /// Which threads run.
    pub threads: Arc<ThreadHealth>,
    /// The certificates in use.
    pub certificates: Arc<ArcSwap<CertInventory>>,
    /// Certificates by ACME.
    pub acme: Arc<ArcSwap<AcmeStatus>>,
    /// The process's clock.
    pub clock: Clock,
}

impl AdminPages for AdminHandlers {
    fn metrics(&self) -> String {
        let mut registry = Registry::with_prefix("portcullis");
        registry.register_collector(Box::new(GateMetrics {
            policy: Arc::clone(&self.policy),
            meters: self.meters.clone(),
            status: Arc::clone(&self.status),
            internal_errors: Arc::clone(&self.internal_errors),
            threads: Arc::clone(&self.threads),
            certificates: Arc::clone(&self.certificates),
            acme: Arc::clone(&self.acme),
        }));
        let mut out = String::with_capacity(16 * 1_024);
        if let Err(error) = text::encode(&mut out, &registry) {
            tracing::error!(%error, "cannot write the metrics");
        }
        out
    }

    fn status(&self) -> String {
        let (inventory, acme) = (self.certificates.load(), self.acme.load());
        let now = self.clock.wall();
        let document = StatusDocument {
            v: STATUS_VERSION,
            status: &self.status.load(),
            workers_running: self.threads.running_workers(),
            certificates: inventory.facts.iter().map(|facts| CertRow::new(facts, now)).collect(),
            certificates_refused: inventory.problem.as_deref(),
            acme: acme.hosts.iter().map(|host| AcmeHostRow::new(host, now)).collect(),
        };
        serde_json::to_string_pretty(&document).unwrap_or_else(|_| "{}".into())
    }

    fn health(&self) -> Result<(), String> {
        let since_last_tick = self.clock.now().since(self.status.load().last_tick);
        self.threads.problem(since_last_tick).map_or(Ok(()), Err)
    }
}
