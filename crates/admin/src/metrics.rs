//! The metrics, collected on request. docs/metrics.md has the same list.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_acme::AcmeStatus;
use portcullis_edge::InternalErrors;
use portcullis_gate::Policy;
use portcullis_model::{
    ActivityCounts, ActivityId, Cut, Meter, Outcome, Posture, Snapshot, WallTime,
};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::certs::CertInventory;
use crate::families::{CounterKind, Family, GaugeKind, LatencyKind};
use crate::health::{GateThread, ThreadHealth};
use crate::status::GateStatus;

const REQUESTS: Family<CounterKind, 3> =
    Family::new("requests", "Verdicts by reason.", ["platform", "activity", "reason"]);
const UNASSIGNED: Family<CounterKind, 1> = Family::new(
    "unassigned",
    "Requests that belong to no platform, and refused connections, by reason.",
    ["reason"],
);
const ORIGIN_REQUESTS: Family<CounterKind, 3> = Family::new(
    "origin_requests",
    "Forwarded requests by outcome.",
    ["platform", "activity", "outcome"],
);
const BODY_BYTES: Family<CounterKind, 3> = Family::new(
    "body_bytes",
    "Body bytes from and to visitors.",
    ["platform", "activity", "direction"],
);
const RESPONSE_SECONDS: Family<LatencyKind, 2> = Family::new(
    "response_seconds",
    "Time to the first byte of the origin's response.",
    ["platform", "activity"],
);
const CONNECTIONS: Family<GaugeKind, 0> =
    Family::new("connections", "Open visitor connections.", []);
const CONNECTIONS_STALLED: Family<GaugeKind, 0> = Family::new(
    "connections_stalled",
    "Connections that began a header over a second ago and have not finished it.",
    [],
);
const IN_FLIGHT: Family<GaugeKind, 0> =
    Family::new("origin_requests_in_flight", "Requests in flight at origins.", []);
const QUEUE_LENGTH: Family<GaugeKind, 0> =
    Family::new("origin_queue_length", "Requests queued for an origin.", []);
const RECORDS_DROPPED: Family<CounterKind, 0> =
    Family::new("records_dropped", "Request records dropped before the watch read them.", []);
const HTTP_3_RETRIES: Family<CounterKind, 0> =
    Family::new("http_3_retries", "HTTP/3 connections that got a Retry packet.", []);
const TABLE_EVICTIONS: Family<CounterKind, 0> = Family::new(
    "limit_table_evictions",
    "Limit-table entries evicted because their set was full.",
    [],
);
const POSTURE: Family<GaugeKind, 1> =
    Family::new("posture", "0 open, 1 watchful, 2 guarded, 3 siege.", ["platform"]);
const ORIGIN_UP: Family<GaugeKind, 1> = Family::new(
    "origin_up",
    "0 while the origin leaves most requests without an answer, else 1.",
    ["platform"],
);
const PROCEDURE_STOPPED: Family<GaugeKind, 3> = Family::new(
    "procedure_stopped",
    "Requests that an engaged procedure has stopped.",
    ["platform", "measure", "id"],
);
const CUTS: Family<CounterKind, 1> =
    Family::new("cuts", "Connections and streams cut by the gate, by reason.", ["reason"]);
const RELOADS: Family<CounterKind, 1> =
    Family::new("reloads", "Reloads of the configuration, by result.", ["result"]);
const RELOAD_REFUSED: Family<GaugeKind, 0> =
    Family::new("reload_refused", "1 if the last reload was refused, else 0.", []);
const ACCEPT_ERRORS: Family<CounterKind, 0> =
    Family::new("accept_errors", "Errors from accept(2).", []);
const PANICS: Family<CounterKind, 0> =
    Family::new("panics", "Panics contained to one connection.", []);
const WORKERS_RUNNING: Family<GaugeKind, 0> =
    Family::new("workers_running", "Worker threads that run.", []);
const THREAD_FAILURES: Family<CounterKind, 1> =
    Family::new("thread_failures", "Threads of the gate that ended unexpectedly.", ["thread"]);
const CERTIFICATE_EXPIRES: Family<GaugeKind, 1> = Family::new(
    "certificate_expires_timestamp_seconds",
    "Expiry of a certificate, in seconds since 1970.",
    ["file"],
);
const CERTIFICATES_REFUSED: Family<CounterKind, 0> = Family::new(
    "certificates_refused",
    "New certificate files that could not be used; the old ones stayed.",
    [],
);
const ACME_EXPIRES: Family<GaugeKind, 1> = Family::new(
    "acme_certificate_expires_timestamp_seconds",
    "Expiry of the host's certificate, in seconds since 1970; 0 if there is none.",
    ["host"],
);
const ACME_NEXT_ATTEMPT: Family<GaugeKind, 1> = Family::new(
    "acme_next_attempt_timestamp_seconds",
    "Time of the next order for the host, in seconds since 1970.",
    ["host"],
);
const ACME_FAILURES: Family<GaugeKind, 1> = Family::new(
    "acme_consecutive_failures",
    "Failed certificate orders since the last success.",
    ["host"],
);
const ACME_ATTEMPTS: Family<CounterKind, 1> =
    Family::new("acme_attempts", "Certificate orders by result.", ["result"]);

/// Collects the metrics from counters and state that other threads update.
#[derive(Clone)]
pub(crate) struct GateMetrics {
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) meters: Vec<Arc<Meter>>,
    pub(crate) status: Arc<ArcSwap<GateStatus>>,
    pub(crate) internal_errors: Arc<InternalErrors>,
    pub(crate) threads: Arc<ThreadHealth>,
    pub(crate) certificates: Arc<ArcSwap<CertInventory>>,
    pub(crate) acme: Arc<ArcSwap<AcmeStatus>>,
}

impl fmt::Debug for GateMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateMetrics").finish_non_exhaustive()
    }
}

impl Collector for GateMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let mut total = Snapshot::default();
        for meter in &self.meters {
            meter.add_to(&mut total);
        }
        self.encode_requests(&total, encoder)?;
        let status = self.status.load();
        encode_connections(&total, &status, encoder)?;
        encode_procedures(&status, encoder)?;
        RELOADS.encode(encoder, |samples| {
            samples.sample(["accepted"], status.reloads.accepted)?;
            samples.sample(["refused"], status.reloads.refused)
        })?;
        RELOAD_REFUSED.encode_one(encoder, u64::from(status.reloads.refusal.is_some()))?;
        self.encode_internals(&total, encoder)?;
        self.encode_certificates(encoder)
    }
}

impl GateMetrics {
    fn encode_requests(
        &self,
        total: &Snapshot,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        let policy = self.policy.load();
        REQUESTS.encode(encoder, |samples| {
            for_each_activity(total, &policy, |[platform, activity], counts| {
                for (reason, n) in counts.by_name().filter(|(_, n)| *n > 0) {
                    samples.sample([platform, activity, reason], n)?;
                }
                Ok(())
            })
        })?;
        UNASSIGNED.encode(encoder, |samples| {
            for (reason, n) in total.unassigned.by_name().filter(|(_, n)| *n > 0) {
                samples.sample([reason], n)?;
            }
            Ok(())
        })?;
        ORIGIN_REQUESTS.encode(encoder, |samples| {
            for_each_activity(total, &policy, |[platform, activity], counts| {
                for outcome in Outcome::ALL.iter().filter(|outcome| counts.outcome(**outcome) > 0) {
                    let labels = [platform, activity, outcome.as_str()];
                    samples.sample(labels, counts.outcome(*outcome))?;
                }
                Ok(())
            })
        })?;
        BODY_BYTES.encode(encoder, |samples| {
            for_each_activity(total, &policy, |[platform, activity], counts| {
                samples.sample([platform, activity, "in"], counts.bytes_in)?;
                samples.sample([platform, activity, "out"], counts.bytes_out)
            })
        })?;
        RESPONSE_SECONDS.encode(encoder, |samples| {
            for_each_activity(total, &policy, |labels, counts| {
                let sum = Duration::from_micros(counts.latency_micros);
                samples.sample(labels, (counts.latency.clone(), sum))
            })
        })
    }

    fn encode_internals(
        &self,
        total: &Snapshot,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        CUTS.encode(encoder, |samples| {
            Cut::ALL.iter().try_for_each(|cut| samples.sample([cut.as_str()], total.cuts.of(*cut)))
        })?;
        ACCEPT_ERRORS.encode_one(encoder, self.internal_errors.accept_errors())?;
        PANICS.encode_one(encoder, self.internal_errors.panics())?;
        WORKERS_RUNNING.encode_one(encoder, self.threads.running_workers())?;
        THREAD_FAILURES.encode(encoder, |samples| {
            GateThread::ALL.iter().try_for_each(|thread| {
                samples.sample([thread.as_str()], self.threads.failures(*thread))
            })
        })
    }

    fn encode_certificates(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (inventory, acme) = (self.certificates.load(), self.acme.load());
        let configured = inventory.facts.iter().map(|facts| (&*facts.file, facts.not_after));
        let issued =
            acme.hosts.iter().filter_map(|host| Some((host.file.as_deref()?, host.expires?)));
        let all: BTreeMap<&Path, WallTime> = configured.chain(issued).collect();
        if !all.is_empty() {
            CERTIFICATE_EXPIRES.encode(encoder, |samples| {
                all.iter().try_for_each(|(file, expires)| {
                    samples.sample([&file.display().to_string()], expires.seconds())
                })
            })?;
        }
        CERTIFICATES_REFUSED.encode_one(encoder, inventory.refused)?;
        if acme.hosts.is_empty() { Ok(()) } else { encode_acme(&acme, encoder) }
    }
}

/// Visits each activity with a count above zero, with the values of its labels.
fn for_each_activity(
    total: &Snapshot,
    policy: &Policy,
    mut visit: impl FnMut([&str; 2], &ActivityCounts) -> fmt::Result,
) -> fmt::Result {
    let ids = policy.ids();
    for (at, counts) in total.activities.iter().enumerate() {
        if counts.offered() > 0
            && let Some((platform, activity)) = ids.activity_name(ActivityId(at as u16))
        {
            visit([ids.platform_name(platform), activity], counts)?;
        }
    }
    Ok(())
}

fn encode_connections(
    total: &Snapshot,
    status: &GateStatus,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    CONNECTIONS.encode_one(encoder, total.gauges.connections)?;
    CONNECTIONS_STALLED.encode_one(encoder, total.gauges.stalled_headers)?;
    IN_FLIGHT.encode_one(encoder, total.gauges.in_flight)?;
    QUEUE_LENGTH.encode_one(encoder, total.gauges.waiting)?;
    RECORDS_DROPPED.encode_one(encoder, total.records_lost)?;
    HTTP_3_RETRIES.encode_one(encoder, total.retries)?;
    TABLE_EVICTIONS.encode_one(encoder, status.limit_table_evictions)
}

fn encode_procedures(status: &GateStatus, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    POSTURE.encode(encoder, |samples| {
        status.platforms.iter().try_for_each(|platform| {
            let level = match platform.posture {
                Posture::Open => 0,
                Posture::Watchful => 1,
                Posture::Guarded => 2,
                Posture::Siege => 3,
            };
            samples.sample([&platform.name], level)
        })
    })?;
    ORIGIN_UP.encode(encoder, |samples| {
        status.platforms.iter().try_for_each(|platform| {
            samples.sample([&platform.name], u64::from(platform.origin_down_since.is_none()))
        })
    })?;
    PROCEDURE_STOPPED.encode(encoder, |samples| {
        for platform in &status.platforms {
            for procedure in &platform.procedures {
                let id = procedure.id.to_string();
                samples.sample([&platform.name, procedure.measure, &id], procedure.stopped)?;
            }
        }
        Ok(())
    })
}

fn encode_acme(acme: &AcmeStatus, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    ACME_EXPIRES.encode(encoder, |samples| {
        acme.hosts.iter().try_for_each(|host| {
            samples.sample([&host.host], host.expires.map_or(0, WallTime::seconds))
        })
    })?;
    ACME_NEXT_ATTEMPT.encode(encoder, |samples| {
        acme.hosts.iter().try_for_each(|host| samples.sample([&host.host], host.next.seconds()))
    })?;
    ACME_FAILURES.encode(encoder, |samples| {
        acme.hosts.iter().try_for_each(|host| samples.sample([&host.host], host.failures.into()))
    })?;
    ACME_ATTEMPTS.encode(encoder, |samples| {
        samples.sample(["obtained"], acme.obtained)?;
        samples.sample(["failed"], acme.failed)
    })
}
