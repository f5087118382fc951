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

    fn liveness(&self) -> Result<(), String> {
        let since_last_tick = self.clock.now().since(self.status.load().last_tick);
        self.threads.problem(since_last_tick).map_or(Ok(()), Err)
    }

    fn health(&self) -> Result<String, String> {
        self.liveness()?;
        origins(&self.status.load())
    }
}

/// One line for each origin that is down, after `ok`; an error if all are, because then nothing can
/// be served.
fn origins(status: &GateStatus) -> Result<String, String> {
    let down: Vec<String> = status
        .platforms
        .iter()
        .filter_map(|platform| {
            let since = platform.origin_down_since?;
            Some(format!("the origin of {} has been down since {since}", platform.name))
        })
        .collect();
    if !down.is_empty() && down.len() == status.platforms.len() {
        return Err(down.join("\n"));
    }
    Ok([vec!["ok".to_owned()], down].concat().join("\n"))
}

#[cfg(test)]
mod tests {
    use portcullis_model::{Posture, WallTime};
    use portcullis_posture::PlatformView;

    use super::*;

    fn platform(name: &str, down: bool) -> PlatformView {
        PlatformView {
            name: name.into(),
            posture: Posture::Open,
            wave: None,
            offered_per_second: 0,
            forwarded_per_second: 0,
            baseline_milli: 0,
            over: Vec::new(),
            evidence: Vec::new(),
            degradation: None,
            origin_down_since: down.then_some(WallTime(0)),
            procedures: Vec::new(),
        }
    }

    fn health(down: [bool; 2]) -> Result<String, String> {
        let platforms = vec![platform("campaign", down[0]), platform("shop", down[1])];
        origins(&GateStatus { platforms, ..GateStatus::default() })
    }

    #[test]
    fn an_origin_that_is_down_is_named_and_all_of_them_make_the_service_unhealthy() {
        assert_eq!(health([false, false]).unwrap(), "ok");
        let one = "the origin of shop has been down since 1970-01-01T00:00:00.000Z";
        assert_eq!(health([false, true]).unwrap(), format!("ok\n{one}"));
        let both = health([true, true]).unwrap_err();
        assert!(both.starts_with("the origin of campaign") && both.ends_with(one), "{both}");
        assert_eq!(origins(&GateStatus::default()).unwrap(), "ok");
    }
}
