//! The metrics: the text format, and docs/metrics.md.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_acme::{AcmeStatus, HostStatus};
use portcullis_admin::{
    AdminHandlers, AdminPages, CertInventory, GateStatus, GateThread, STATUS_VERSION, ThreadHealth,
};
use portcullis_edge::{CertificateFacts, Clock, InternalErrors};
use portcullis_gate::{Policy, Secret};
use portcullis_model::{
    ActivityId, Config, ConnReason, Cut, Meter, OriginConfig, Outcome, Posture, Reason, WallTime,
};
use portcullis_posture::{PlatformView, ProcedureView};

/// A gate with a value in every family.
fn handlers() -> AdminHandlers {
    let origin = OriginConfig::new("127.0.0.1".into(), 80);
    let mut config = Config::for_origin(([127, 0, 0, 1], 8080).into(), origin);
    config.platforms[0].name = "a \"name\" \\ \n".into();
    let policy = Policy::new(Arc::new(config), Secret::new(&[7; 32]));
    let meters: Vec<_> = (0..2).map(|_| Arc::new(Meter::new(4))).collect();
    let first = ActivityId(0);
    for meter in &meters {
        meter.record_verdict(Some(first), Reason::Allowed);
        meter.record_verdict(Some(first), Reason::SourceRate);
        meter.record_verdict(None, Reason::UnknownHost);
        meter.record_refused_connection(ConnReason::HandshakeFailed);
        let (latency, origin) = (Duration::from_millis(20), Duration::from_millis(15));
        meter.record_outcome(first, Outcome::ALL[0], latency, origin);
        meter.record_outcome(first, Outcome::ALL[0], Duration::from_secs(300), origin);
        meter.record_bytes(first, 100, 2_000);
        meter.cut(Some(first), Cut::ALL[0]);
        meter.set_connections(5);
        meter.record_lost();
        meter.record_http3_retry();
    }
    let procedure = ProcedureView {
        id: 3,
        measure: "tighten-sources",
        summary: "tighter limits".into(),
        activity: None,
        reason: "an attack".into(),
        engaged: at(1_000),
        expires_in_seconds: 60,
        stopped: 12,
        delayed: 0,
        refused_with_token: 0,
        collateral_per_million: 0,
    };
    let platform = PlatformView {
        name: "a \"name\" \\ \n".into(),
        posture: Posture::Guarded,
        wave: Some(1),
        offered_per_second: 10,
        forwarded_per_second: 5,
        baseline_milli: 2_000,
        over: Vec::new(),
        evidence: Vec::new(),
        degradation: None,
        origin_down_since: None,
        procedures: vec![procedure],
    };
    let status =
        GateStatus { platforms: vec![platform], limit_table_evictions: 9, ..GateStatus::default() };
    let facts = CertificateFacts {
        file: "/etc/site.crt".into(),
        names: vec!["example.org".into()],
        not_before: at(1_000),
        not_after: at(1_900_000_000),
    };
    let host = HostStatus {
        host: "example.org".into(),
        expires: Some(at(1_900_000_001)),
        file: Some("/var/lib/acme/example.org.pem".into()),
        next: at(1_899_000_000),
        failures: 2,
        last_failure: None,
    };
    let threads = ThreadHealth::new(2);
    threads.record_failure(GateThread::Worker);
    AdminHandlers {
        policy: Arc::new(ArcSwap::from_pointee(policy)),
        meters,
        status: Arc::new(ArcSwap::from_pointee(status)),
        internal_errors: Arc::new(InternalErrors::default()),
        threads: Arc::new(threads),
        certificates: Arc::new(ArcSwap::from_pointee(CertInventory {
            facts: vec![facts],
            refused: 1,
            problem: None,
        })),
        acme: Arc::new(ArcSwap::from_pointee(AcmeStatus {
            hosts: vec![host],
            obtained: 4,
            failed: 1,
        })),
        clock: Clock::manual(),
    }
}

fn at(seconds: u64) -> WallTime {
    WallTime(seconds * 1_000)
}

#[test]
fn the_text_has_every_family_with_type_help_and_labels() {
    insta::assert_snapshot!(handlers().metrics());
}

#[test]
fn the_documentation_lists_every_metric_with_its_type_and_labels() {
    let text = handlers().metrics();
    let mut families: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE portcullis_")) {
        let (name, kind) = line.split_once(' ').unwrap();
        families.insert(name.into(), (kind.into(), BTreeSet::new()));
    }
    for line in text.lines().filter_map(|line| line.strip_prefix("portcullis_")) {
        let Some((name, labels)) = line.split_once('{') else { continue };
        let name = name.trim_end_matches("_total").trim_end_matches("_bucket");
        let name = name.trim_end_matches("_sum").trim_end_matches("_count");
        let names = labels.split("=\"").filter_map(|part| part.rsplit([',', '{', ' ']).next());
        let names = names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase()));
        let of = &mut families.get_mut(name).unwrap().1;
        of.extend(names.filter(|name| *name != "le" && !name.is_empty()).map(String::from));
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let documented: BTreeMap<String, (String, BTreeSet<String>)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let name = cells[0].trim_end_matches('`');
            let labels = cells[2].split(',').map(|label| label.trim().trim_matches('`'));
            let labels = labels.filter(|label| !label.is_empty()).map(String::from).collect();
            (name.to_owned(), (cells[1].to_owned(), labels))
        })
        .collect();
    let written: BTreeMap<_, _> = families
        .into_iter()
        .map(|(name, (kind, labels))| {
            let name = if kind == "counter" { name + "_total" } else { name };
            (name, (kind, labels))
        })
        .collect();
    assert_eq!(written, documented);
}

#[test]
fn a_failed_worker_and_a_late_tick_make_the_gate_unhealthy() {
    let handlers = handlers();
    assert_eq!(handlers.health().unwrap_err(), "1 of 2 workers have ended");
    let healthy = AdminHandlers { threads: Arc::new(ThreadHealth::new(2)), ..handlers };
    assert_eq!(healthy.health(), Ok("ok".into()));
    healthy.clock.advance(Duration::from_secs(5));
    assert_eq!(healthy.health().unwrap_err(), "the control loop has not ticked for 5 s");
}

#[test]
fn the_status_names_its_version() {
    let status: serde_json::Value = serde_json::from_str(&handlers().status()).unwrap();
    assert_eq!(status["v"], STATUS_VERSION);
    assert_eq!(status["workers_running"], 1);
    assert_eq!(status["platforms"][0]["procedures"][0]["stopped"], 12);
    assert_eq!(status["certificates"][0]["file"], "/etc/site.crt");
    assert_eq!(status["acme"][0]["failures"], 2);
}
