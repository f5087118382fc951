//! The state of the gate, as `/status.json` shows it.

use portcullis_model::{Time, WallTime};
use portcullis_posture::PlatformView;
use serde::Serialize;

use crate::certs::{AcmeHostRow, CertRow};

/// Version of `/status.json`; it rises when a field is removed, renamed or changes its meaning.
pub const STATUS_VERSION: u32 = 1;

/// The state of the gate, replaced at each tick of the control loop.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GateStatus {
    /// Time of the tick.
    pub at: WallTime,
    /// Start of the gate.
    pub started: WallTime,
    /// By platform.
    pub platforms: Vec<PlatformView>,
    /// Open visitor connections.
    pub connections: u64,
    /// Connections stalled in their headers.
    pub connections_stalled: u64,
    /// Requests that origins are working on.
    pub origin_requests_in_flight: u64,
    /// Requests that wait for a free connection to an origin.
    pub origin_queue_length: u64,
    /// Request records dropped before the watch read them.
    pub records_dropped: u64,
    /// Limit-table entries evicted because their set was full.
    pub limit_table_evictions: u64,
    /// Reloads of the configuration.
    pub reloads: ReloadStatus,
    /// Time of the tick by the monotonic clock.
    #[serde(skip)]
    pub last_tick: Time,
}

/// Reloads of the configuration since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReloadStatus {
    /// How many took effect.
    pub accepted: u64,
    /// How many were refused.
    pub refused: u64,
    /// When the last one was asked for.
    pub last_at: Option<WallTime>,
    /// Why the last one was refused, as `check` says it; `None` if it took effect. The gate runs with
    /// the configuration before.
    pub refusal: Option<String>,
}

/// `/status.json`.
#[derive(Serialize)]
pub(crate) struct StatusDocument<'a> {
    /// Version of the document.
    pub(crate) v: u32,
    #[serde(flatten)]
    pub(crate) status: &'a GateStatus,
    /// Workers that run.
    pub(crate) workers_running: u64,
    pub(crate) certificates: Vec<CertRow>,
    /// Why the current files cannot be used; the old certificates are in use.
    pub(crate) certificates_refused: Option<&'a str>,
    /// Hosts with certificates by ACME.
    pub(crate) acme: Vec<AcmeHostRow>,
}
