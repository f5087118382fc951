//! What the operators' listener shows: metrics for machines, status for both.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_acme::AcmeStatus;
use portcullis_edge::operator::Pages;
use portcullis_edge::{Clock, Faults};
use portcullis_gate::Policy;
use portcullis_model::{ActivityId, Cut, Latencies, Meter, Outcome, Posture, Reason, Snapshot};

use serde::Serialize;

use crate::acme;
use crate::certificates::{InUse, Line};
use crate::control_loop::Status;

/// The loop ticks four times a second: after this long without one, something is wrong.
const UNHEALTHY_AFTER: Duration = Duration::from_secs(3);

/// The pages, made when they are asked for.
pub struct OperatorPages {
    pub policy: Arc<ArcSwap<Policy>>,
    pub meters: Vec<Arc<Meter>>,
    pub status: Arc<ArcSwap<Status>>,
    pub faults: Arc<Faults>,
    pub certificates: Arc<ArcSwap<InUse>>,
    pub acme: Arc<ArcSwap<AcmeStatus>>,
    pub clock: Clock,
}

/// `/status.json`.
#[derive(Serialize)]
struct StatusPage<'a> {
    #[serde(flatten)]
    status: &'a Status,
    certificates: Vec<Line>,
    /// Why the files that are there now are not used.
    certificates_refused: Option<&'a str>,
    /// Certificates that the gate gets by itself.
    acme: Vec<acme::Line>,
}

impl Pages for OperatorPages {
    fn metrics(&self) -> String {
        let mut total = Snapshot::default();
        for meter in &self.meters {
            meter.add_to(&mut total);
        }
        let mut out = String::with_capacity(16 * 1_024);
        self.requests(&total, &mut out);
        self.latencies(&total, &mut out);
        gauges(&total, &self.status.load(), &mut out);
        cuts(&total, &mut out);
        faults(&self.faults, &mut out);
        let issued = self.acme.load();
        self.certificates.load().metrics(&issued, &mut out);
        acme::metrics(&issued, &mut out);
        out
    }

    fn status(&self) -> String {
        let certificates = self.certificates.load();
        let now = self.clock.wall();
        let page = StatusPage {
            status: &self.status.load(),
            certificates: certificates.facts.iter().map(|facts| Line::of(facts, now)).collect(),
            certificates_refused: certificates.problem.as_deref(),
            acme: self.acme.load().hosts.iter().map(|host| acme::Line::of(host, now)).collect(),
        };
        serde_json::to_string_pretty(&page).unwrap_or_else(|_| "{}".into())
    }

    fn health(&self) -> Result<(), String> {
        let silent = self.clock.now().since(self.status.load().ticked);
        if silent < UNHEALTHY_AFTER {
            Ok(())
        } else {
            Err(format!("the control loop has not ticked for {} s", silent.as_secs()))
        }
    }
}

impl OperatorPages {
    fn requests(&self, total: &Snapshot, out: &mut String) {
        let policy = self.policy.load();
        head(out, "requests_total", "counter", "Verdicts, by the reason that each has.");
        each(total, &policy, |labels, counts| {
            for reason in Reason::ALL.iter().filter(|r| counts.reason(**r) > 0) {
                let n = counts.reason(*reason);
                let word = reason.word();
                let _ =
                    writeln!(out, "portcullis_requests_total{{{labels},reason=\"{word}\"}} {n}");
            }
        });
        head(out, "forwarded_total", "counter", "Forwarded requests, by what became of them.");
        each(total, &policy, |labels, counts| {
            for outcome in Outcome::ALL.iter().filter(|o| counts.outcome(**o) > 0) {
                let n = counts.outcome(*outcome);
                let word = outcome.word();
                let _ =
                    writeln!(out, "portcullis_forwarded_total{{{labels},outcome=\"{word}\"}} {n}");
            }
        });
        head(out, "body_bytes_total", "counter", "Body bytes from and to visitors.");
        each(total, &policy, |labels, counts| {
            for (way, n) in [("in", counts.bytes_in), ("out", counts.bytes_out)] {
                let _ = writeln!(
                    out,
                    "portcullis_body_bytes_total{{{labels},direction=\"{way}\"}} {n}"
                );
            }
        });
    }

    fn latencies(&self, total: &Snapshot, out: &mut String) {
        let policy = self.policy.load();
        head(
            out,
            "response_seconds",
            "histogram",
            "Time until the response began, of forwarded requests.",
        );
        each(total, &policy, |labels, counts| {
            let mut seen = 0;
            for (bucket, n) in counts.latency.0.iter().enumerate() {
                seen += n;
                // Every other doubling is fine enough for a graph.
                if bucket % 8 == 7 {
                    let le = Latencies::upper(bucket).as_secs_f64();
                    let _ = writeln!(
                        out,
                        "portcullis_response_seconds_bucket{{{labels},le=\"{le}\"}} {seen}"
                    );
                }
            }
            let _ = writeln!(
                out,
                "portcullis_response_seconds_bucket{{{labels},le=\"+Inf\"}} {seen}\n\
                 portcullis_response_seconds_count{{{labels}}} {seen}"
            );
        });
    }
}

/// Every activity that anything was counted for, with its labels.
fn each(
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
            escape(&policy.platform(platform).name),
            escape(&activity.name)
        );
        visit(&labels, counts);
    }
}

fn gauges(total: &Snapshot, status: &Status, out: &mut String) {
    let mut one = |name: &str, kind: &str, help: &str, value: u64| {
        head(out, name, kind, help);
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
        status.limits_forgotten,
    );
    head(out, "posture", "gauge", "0 open, 1 watchful, 2 guarded, 3 siege.");
    for platform in &status.platforms {
        let level = match platform.posture {
            Posture::Open => 0,
            Posture::Watchful => 1,
            Posture::Guarded => 2,
            Posture::Siege => 3,
        };
        let name = escape(&platform.name);
        let _ = writeln!(out, "portcullis_posture{{platform=\"{name}\"}} {level}");
    }
    head(out, "procedure_stopped", "gauge", "Requests that an engaged procedure has stopped.");
    for platform in &status.platforms {
        for procedure in &platform.procedures {
            let _ = writeln!(
                out,
                "portcullis_procedure_stopped{{platform=\"{}\",measure=\"{}\",id=\"{}\"}} {}",
                escape(&platform.name),
                procedure.measure,
                procedure.id,
                procedure.stopped
            );
        }
    }
}

fn cuts(total: &Snapshot, out: &mut String) {
    head(out, "cuts_total", "counter", "Connections and streams that the gate ended, by why.");
    for why in Cut::ALL {
        let (word, n) = (why.word(), total.cuts.of(*why));
        let _ = writeln!(out, "portcullis_cuts_total{{cause=\"{word}\"}} {n}");
    }
}

fn faults(faults: &Faults, out: &mut String) {
    for (name, help, value) in [
        (
            "accept_errors_total",
            "Connections the system could not give us.",
            faults.accept_errors(),
        ),
        ("panics_total", "Panics that were kept to one connection.", faults.panics()),
    ] {
        head(out, name, "counter", help);
        let _ = writeln!(out, "portcullis_{name} {value}");
    }
}

pub fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP portcullis_{name} {help}\n# TYPE portcullis_{name} {kind}");
}

/// Label values as the exposition format wants them.
pub fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
