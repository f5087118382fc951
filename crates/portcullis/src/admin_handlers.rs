//! The pages of the admin listener: metrics, status and health.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_acme::AcmeStatus;
use portcullis_edge::operator::AdminPages;
use portcullis_edge::{Clock, InternalErrors};
use portcullis_gate::Policy;
use portcullis_model::{
    ActivityId, Cut, LatencyHistogram, Meter, Outcome, Posture, Reason, Snapshot,
};

use serde::Serialize;

use crate::acme;
use crate::cert_row::CertRow;
use crate::certificates::CertInventory;
use crate::control_loop::GateStatus;
use crate::exposition::{escape_label, write_metric_header};

/// The control loop ticks four times a second; after this long without a tick the gate is unhealthy.
const UNHEALTHY_AFTER: Duration = Duration::from_secs(3);

/// Renders the pages on request.
pub struct AdminHandlers {
    pub policy: Arc<ArcSwap<Policy>>,
    pub meters: Vec<Arc<Meter>>,
    pub status: Arc<ArcSwap<GateStatus>>,
    pub internal_errors: Arc<InternalErrors>,
    pub certificates: Arc<ArcSwap<CertInventory>>,
    pub acme: Arc<ArcSwap<AcmeStatus>>,
    pub clock: Clock,
}

/// `/status.json`.
#[derive(Serialize)]
struct StatusDocument<'a> {
    #[serde(flatten)]
    status: &'a GateStatus,
    certificates: Vec<CertRow>,
    /// Why the current files cannot be used; the old certificates are in use.
    certificates_refused: Option<&'a str>,
    /// Hosts with certificates by ACME.
    acme: Vec<acme::AcmeHostRow>,
}

impl AdminPages for AdminHandlers {
    fn metrics(&self) -> String {
        let mut total = Snapshot::default();
        for meter in &self.meters {
            meter.add_to(&mut total);
        }
        let mut out = String::with_capacity(16 * 1_024);
        self.write_request_metrics(&total, &mut out);
        self.write_latency_metrics(&total, &mut out);
        write_gauges(&total, &self.status.load(), &mut out);
        write_cuts(&total, &mut out);
        write_internal_errors(&self.internal_errors, &mut out);
        let issued = self.acme.load();
        self.certificates.load().write_metrics(&issued, &mut out);
        acme::write_metrics(&issued, &mut out);
        out
    }

    fn status(&self) -> String {
        let certificates = self.certificates.load();
        let now = self.clock.wall();
        let page = StatusDocument {
            status: &self.status.load(),
            certificates: certificates.facts.iter().map(|facts| CertRow::new(facts, now)).collect(),
            certificates_refused: certificates.problem.as_deref(),
            acme: self
                .acme
                .load()
                .hosts
                .iter()
                .map(|host| acme::AcmeHostRow::new(host, now))
                .collect(),
        };
        serde_json::to_string_pretty(&page).unwrap_or_else(|_| "{}".into())
    }

    fn health(&self) -> Result<(), String> {
        let since_last_tick = self.clock.now().since(self.status.load().last_tick);
        if since_last_tick < UNHEALTHY_AFTER {
            Ok(())
        } else {
            Err(format!("the control loop has not ticked for {} s", since_last_tick.as_secs()))
        }
    }
}

impl AdminHandlers {
    fn write_request_metrics(&self, total: &Snapshot, out: &mut String) {
        let policy = self.policy.load();
        write_metric_header(out, "requests_total", "counter", "Verdicts by reason.");
        for_each_activity(total, &policy, |labels, counts| {
            for reason in Reason::ALL.iter().filter(|r| counts.reason(**r) > 0) {
                let n = counts.reason(*reason);
                let word = reason.as_str();
                let _ =
                    writeln!(out, "portcullis_requests_total{{{labels},reason=\"{word}\"}} {n}");
            }
        });
        write_metric_header(
            out,
            "origin_requests_total",
            "counter",
            "Forwarded requests by outcome.",
        );
        for_each_activity(total, &policy, |labels, counts| {
            for outcome in Outcome::ALL.iter().filter(|o| counts.outcome(**o) > 0) {
                let n = counts.outcome(*outcome);
                let word = outcome.as_str();
                let _ = writeln!(
                    out,
                    "portcullis_origin_requests_total{{{labels},outcome=\"{word}\"}} {n}"
                );
            }
        });
        write_metric_header(out, "body_bytes_total", "counter", "Body bytes from and to visitors.");
        for_each_activity(total, &policy, |labels, counts| {
            for (direction, n) in [("in", counts.bytes_in), ("out", counts.bytes_out)] {
                let _ = writeln!(
                    out,
                    "portcullis_body_bytes_total{{{labels},direction=\"{direction}\"}} {n}"
                );
            }
        });
    }

    fn write_latency_metrics(&self, total: &Snapshot, out: &mut String) {
        let policy = self.policy.load();
        write_metric_header(
            out,
            "response_seconds",
            "histogram",
            "Time to the first byte of the origin's response.",
        );
        for_each_activity(total, &policy, |labels, counts| {
            let mut cumulative = 0;
            let sum = Duration::from_micros(counts.latency_micros).as_secs_f64();
            for (bucket, n) in counts.latency.0.iter().enumerate() {
                cumulative += n;
                // Buckets a factor of four apart are fine enough for a graph.
                if bucket % 8 == 7 {
                    let le = LatencyHistogram::upper(bucket).as_secs_f64();
                    let _ = writeln!(
                        out,
                        "portcullis_response_seconds_bucket{{{labels},le=\"{le}\"}} {cumulative}"
                    );
                }
            }
            let _ = writeln!(
                out,
                "portcullis_response_seconds_bucket{{{labels},le=\"+Inf\"}} {cumulative}\n\
                 portcullis_response_seconds_sum{{{labels}}} {sum}\n\
                 portcullis_response_seconds_count{{{labels}}} {cumulative}"
            );
        });
    }
}

/// Visits each activity with a count above zero, with its labels.
fn for_each_activity(
    total: &Snapshot,
    policy: &Policy,
    mut visit: impl FnMut(&str, &portcullis_model::ActivityCounts),
) {
    for (at, counts) in total.activities.iter().enumerate().take(policy.activities()) {
        if counts.offered() == 0 {
            continue;
        }
        let (platform, activity) = policy.activity(ActivityId(at as u16));
        let labels = format!(
            "platform=\"{}\",activity=\"{}\"",
            escape_label(&policy.platform(platform).name),
            escape_label(&activity.name)
        );
        visit(&labels, counts);
    }
}

fn write_gauges(total: &Snapshot, status: &GateStatus, out: &mut String) {
    let mut one = |name: &str, kind: &str, help: &str, value: u64| {
        write_metric_header(out, name, kind, help);
        let _ = writeln!(out, "portcullis_{name} {value}");
    };
    one("connections", "gauge", "Open visitor connections.", total.gauges.connections);
    one(
        "connections_stalled",
        "gauge",
        "Connections that began a header over a second ago and have not finished it.",
        total.gauges.stalled_headers,
    );
    one(
        "origin_requests_in_flight",
        "gauge",
        "Requests in flight at origins.",
        total.gauges.in_flight,
    );
    one("origin_queue_length", "gauge", "Requests queued for an origin.", total.gauges.waiting);
    one(
        "records_dropped_total",
        "counter",
        "Request records dropped before the watch read them.",
        total.records_lost,
    );
    one(
        "http_3_retries_total",
        "counter",
        "HTTP/3 connections that got a Retry packet.",
        total.retries,
    );
    one(
        "limit_table_evictions_total",
        "counter",
        "Limit-table entries evicted because their set was full.",
        status.limit_table_evictions,
    );
    write_metric_header(out, "posture", "gauge", "0 open, 1 watchful, 2 guarded, 3 siege.");
    for platform in &status.platforms {
        let level = match platform.posture {
            Posture::Open => 0,
            Posture::Watchful => 1,
            Posture::Guarded => 2,
            Posture::Siege => 3,
        };
        let name = escape_label(&platform.name);
        let _ = writeln!(out, "portcullis_posture{{platform=\"{name}\"}} {level}");
    }
    write_metric_header(
        out,
        "procedure_stopped",
        "gauge",
        "Requests that an engaged procedure has stopped.",
    );
    for platform in &status.platforms {
        for procedure in &platform.procedures {
            let _ = writeln!(
                out,
                "portcullis_procedure_stopped{{platform=\"{}\",measure=\"{}\",id=\"{}\"}} {}",
                escape_label(&platform.name),
                procedure.measure,
                procedure.id,
                procedure.stopped
            );
        }
    }
}

fn write_cuts(total: &Snapshot, out: &mut String) {
    write_metric_header(
        out,
        "cuts_total",
        "counter",
        "Connections and streams cut by the gate, by reason.",
    );
    for why in Cut::ALL {
        let (word, n) = (why.as_str(), total.cuts.of(*why));
        let _ = writeln!(out, "portcullis_cuts_total{{reason=\"{word}\"}} {n}");
    }
}

fn write_internal_errors(internal_errors: &InternalErrors, out: &mut String) {
    for (name, help, value) in [
        ("accept_errors_total", "Errors from accept(2).", internal_errors.accept_errors()),
        ("panics_total", "Panics contained to one connection.", internal_errors.panics()),
    ] {
        write_metric_header(out, name, "counter", help);
        let _ = writeln!(out, "portcullis_{name} {value}");
    }
}
