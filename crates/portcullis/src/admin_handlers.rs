//! What the operators' listener shows: metrics for machines, status for both.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_acme::AcmeStatus;
use portcullis_edge::operator::Pages;
use portcullis_edge::{Clock, InternalErrors};
use portcullis_gate::Policy;
use portcullis_model::{
    ActivityId, Cut, LatencyHistogram, Meter, Outcome, Posture, Reason, Snapshot,
};

use serde::Serialize;

use crate::acme;
use crate::certificates::{CertInventory, CertRow};
use crate::control_loop::GateStatus;

/// The loop ticks four times a second: after this long without one, something is wrong.
const UNHEALTHY_AFTER: Duration = Duration::from_secs(3);

/// The pages, made when they are asked for.
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
    /// Why the files that are there now are not used.
    certificates_refused: Option<&'a str>,
    /// Certificates that the gate gets by itself.
    acme: Vec<acme::AcmeHostRow>,
}

impl Pages for AdminHandlers {
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
        write_metric_header(
            out,
            "requests_total",
            "counter",
            "Verdicts, by the reason that each has.",
        );
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
            "forwarded_total",
            "counter",
            "Forwarded requests, by what became of them.",
        );
        for_each_activity(total, &policy, |labels, counts| {
            for outcome in Outcome::ALL.iter().filter(|o| counts.outcome(**o) > 0) {
                let n = counts.outcome(*outcome);
                let word = outcome.as_str();
                let _ =
                    writeln!(out, "portcullis_forwarded_total{{{labels},outcome=\"{word}\"}} {n}");
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
            "Time until the response began, of forwarded requests.",
        );
        for_each_activity(total, &policy, |labels, counts| {
            let mut cumulative = 0;
            for (bucket, n) in counts.latency.0.iter().enumerate() {
                cumulative += n;
                // Every other doubling is fine enough for a graph.
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
                 portcullis_response_seconds_count{{{labels}}} {cumulative}"
            );
        });
    }
}

/// Every activity that anything was counted for, with its labels.
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
        "stalled_headers",
        "gauge",
        "Connections that began a header over a second ago and have not finished it.",
        total.gauges.stalled_headers,
    );
    one("in_flight", "gauge", "Requests that origins work on.", total.gauges.in_flight);
    one("waiting", "gauge", "Requests that wait for an origin.", total.gauges.waiting);
    one("records_lost_total", "counter", "Records the watch did not see.", total.records_lost);
    one(
        "http_3_retries_total",
        "counter",
        "HTTP/3 connections that were asked to prove their address first.",
        total.retries,
    );
    one(
        "limits_forgotten_total",
        "counter",
        "Limit-table entries that had to be forgotten because their set was full.",
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
        "Connections and streams that the gate ended, by why.",
    );
    for why in Cut::ALL {
        let (word, n) = (why.as_str(), total.cuts.of(*why));
        let _ = writeln!(out, "portcullis_cuts_total{{cause=\"{word}\"}} {n}");
    }
}

fn write_internal_errors(internal_errors: &InternalErrors, out: &mut String) {
    for (name, help, value) in [
        (
            "accept_errors_total",
            "Connections the system could not give us.",
            internal_errors.accept_errors(),
        ),
        ("panics_total", "Panics that were kept to one connection.", internal_errors.panics()),
    ] {
        write_metric_header(out, name, "counter", help);
        let _ = writeln!(out, "portcullis_{name} {value}");
    }
}

pub fn write_metric_header(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP portcullis_{name} {help}\n# TYPE portcullis_{name} {kind}");
}

/// Label values as the exposition format wants them.
pub fn escape_label(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
