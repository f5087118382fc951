//! Certificates by ACME: the thread that obtains them, its settings and its metrics.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use portcullis_acme::{AcmeStatus, CertSinks, HostStatus};
use portcullis_edge::{ChallengeAnswers, TlsShared};
use portcullis_model::{AcmeConfig, WallTime};
use serde::Serialize;
use tokio::sync::watch;
use tracing::info;

use crate::exposition::{escape_label, write_metric_header};
use crate::threads::spawn_thread;

/// Controls the thread that obtains certificates.
///
/// The thread is idle most of the time. Nothing waits for it: not the start of the gate, no
/// request, and not its end.
pub struct AcmeHandle {
    sinks: CertSinks,
    status: Arc<ArcSwap<AcmeStatus>>,
    settings: Option<watch::Sender<AcmeConfig>>,
}

impl AcmeHandle {
    pub fn new(keep: &TlsShared) -> Self {
        let sinks = CertSinks {
            issued: Arc::clone(&keep.issued),
            challenges: Arc::clone(&keep.challenges),
            answers: Arc::default(),
        };
        Self { sinks, status: Arc::default(), settings: None }
    }

    pub fn answers(&self) -> Arc<ChallengeAnswers> {
        Arc::clone(&self.sinks.answers)
    }

    pub fn status(&self) -> Arc<ArcSwap<AcmeStatus>> {
        Arc::clone(&self.status)
    }

    /// Starts the thread; visitors are served already.
    pub fn start(&mut self, config: &AcmeConfig) -> Result<()> {
        let (settings, settings_changes) = watch::channel(config.clone());
        let (sinks, status) = (self.sinks.clone(), self.status());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // DNS lookups run there, one at a time.
            .max_blocking_threads(2)
            .build()
            .context("cannot start the runtime of the ACME client")?;
        spawn_thread("acme", move || {
            runtime.block_on(portcullis_acme::run(settings_changes, sinks, status));
            // A DNS lookup in progress must not delay the end.
            runtime.shutdown_background();
        })?;
        let hosts = config.hosts.join(", ");
        info!(directory = %config.directory, %hosts, "obtaining certificates by ACME");
        self.settings = Some(settings);
        Ok(())
    }

    /// Applies the settings of a reload.
    pub fn update(&self, config: &AcmeConfig) {
        if let Some(settings) = &self.settings {
            settings.send_if_modified(|running| {
                let other = running != config;
                running.clone_from(config);
                other
            });
        }
    }
}

/// One host in `/status.json`.
#[derive(Serialize)]
pub struct AcmeHostRow {
    host: String,
    expires: Option<WallTime>,
    days_left: Option<i64>,
    next_attempt: WallTime,
    failures: u32,
    last_failure: Option<String>,
}

impl AcmeHostRow {
    pub fn new(host: &HostStatus, now: WallTime) -> Self {
        let days = |expires: WallTime| {
            let whole =
                |from: WallTime, to: WallTime| (to.since(from).as_secs() / 86_400).cast_signed();
            if now <= expires { whole(now, expires) } else { -1 - whole(expires, now) }
        };
        Self {
            host: host.host.clone(),
            expires: host.expires,
            days_left: host.expires.map(days),
            next_attempt: host.next,
            failures: host.failures,
            last_failure: host.last_failure.clone(),
        }
    }
}

/// Reads one figure of a host.
type HostMetric = fn(&HostStatus) -> u64;

/// Writes the metrics of ACME.
pub fn write_metrics(status: &AcmeStatus, out: &mut String) {
    if status.hosts.is_empty() {
        return;
    }
    let gauges: [(&str, &str, HostMetric); 3] = [
        (
            "acme_certificate_expires_timestamp_seconds",
            "Expiry of the host's certificate, in seconds since 1970; 0 if there is none.",
            |host| host.expires.map_or(0, WallTime::seconds),
        ),
        (
            "acme_next_attempt_timestamp_seconds",
            "Time of the next order for the host, in seconds since 1970.",
            |host| host.next.seconds(),
        ),
        (
            "acme_consecutive_failures",
            "Failed certificate orders since the last success.",
            |host| u64::from(host.failures),
        ),
    ];
    for (name, help, read) in gauges {
        write_metric_header(out, name, "gauge", help);
        for host in &status.hosts {
            let _ = writeln!(
                out,
                "portcullis_{name}{{host=\"{}\"}} {}",
                escape_label(&host.host),
                read(host)
            );
        }
    }
    write_metric_header(out, "acme_attempts_total", "counter", "Certificate orders by result.");
    for (result, n) in [("obtained", status.obtained), ("failed", status.failed)] {
        let _ = writeln!(out, "portcullis_acme_attempts_total{{result=\"{result}\"}} {n}");
    }
}
