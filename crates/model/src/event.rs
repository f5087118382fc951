//! Events: facts that matter later. The ledger is the sequence of all of them.
//!
//! Each is written as one RFC 8785 canonical JSON leaf: `{"at": …, "event": …, "v": 4, …}`. Leaves
//! are public, so they hold no address, no query string and nothing about a single visitor;
//! counts of sources under ten are recorded as under ten only. Names are written out, so that a
//! leaf can be read without the configuration of its day.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::verdict::current_name;
use crate::{Cost, Effect, Evidence, Posture, ProcedureId, Tier, WallTime};

/// An event with its time and format version: the content of one leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The format's version: [`Entry::VERSION`].
    pub v: u32,
    /// When it was recorded.
    pub at: WallTime,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    /// The version of the leaf format that this code writes. It reads this and all before:
    ///
    /// 1. The first.
    /// 2. Tallies say what was cut ([`Tally::cuts`]).
    /// 3. Events, fields, reasons, cuts and outcomes have the names of docs/renamed.md.
    /// 4. Peaks are those of whole seconds, and waves name their distinct sources
    ///    ([`WaveFigures::sources`]).
    pub const VERSION: u32 = 4;

    /// An entry in today's format.
    pub const fn new(at: WallTime, event: Event) -> Self {
        Self { v: Self::VERSION, at, event }
    }
}

/// A leaf whose event is not read yet.
#[derive(Deserialize)]
struct RawEntry {
    v: u32,
    at: WallTime,
    #[serde(flatten)]
    event: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Entry {
    /// Reads a leaf. Its event is [`Event::Unknown`] if a newer program wrote it: a format or a
    /// kind that this one does not know must not keep the rest of the ledger from being read.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let RawEntry { v, at, event } = RawEntry::deserialize(input)?;
        let kind = event.get("event").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| D::Error::missing_field("event"))?;
        let event = if v > Self::VERSION || !Event::KINDS.contains(&kind) {
            Event::Unknown { kind: kind.to_owned(), v }
        } else {
            Event::deserialize(Value::Object(event)).map_err(D::Error::custom)?
        };
        Ok(Self { v, at, event })
    }
}

/// A fact that matters later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The gate began to serve (or a replay or drill began to feed it).
    Started {
        /// Portcullis' version.
        version: String,
        /// SHA-256 of the configuration, in hex.
        configuration: String,
        /// What is protected.
        platforms: Vec<PlatformFacts>,
        /// How many workers share the load.
        workers: u32,
        /// True for a drill or a replay: nothing in this ledger is about a real attack.
        rehearsal: bool,
        /// A keyed hash of this machine's identity: a ledger that continues elsewhere is a copy. `None` if
        /// the machine has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        machine: Option<String>,
    },
    /// This process stopped recording, for another one that takes over while the gate serves. The next
    /// leaf is `taken-over`, or `handover-failed` if this process continues.
    HandedOver,
    /// A new process took over from a running one: it has its listening sockets and records from here on.
    TakenOver {
        /// Portcullis' version.
        version: String,
        /// SHA-256 of the configuration, in hex.
        configuration: String,
        /// What is protected.
        platforms: Vec<PlatformFacts>,
        /// How many workers share the load.
        workers: u32,
        /// As in `started`.
        rehearsal: bool,
        /// As in `started`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        machine: Option<String>,
        /// Whether waves, procedures and postures continue. If not, the process before was of a version
        /// whose state this one cannot read, and what lasted ends with `handed-over`.
        continues: bool,
    },
    /// The process that was to take over failed before it was ready. The one before continues.
    HandoverFailed,
    /// An operator let the gate continue with a ledger that is not the one it last saw: a restored backup,
    /// a copy on another machine, or a new one in the place of one that was lost.
    ForkAccepted {
        /// What is different, in a sentence.
        reason: String,
        /// The head of the ledger that the gate last saw, if it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seen: Option<LogHead>,
    },
    /// The ledger's folder was removed or replaced while the gate ran. This is the first leaf of the
    /// ledger that took its place.
    LedgerReplaced {
        /// The head of the ledger before. What it held after this is lost.
        before: LogHead,
        /// Portcullis' version.
        version: String,
        /// SHA-256 of the configuration, in hex.
        configuration: String,
        /// What is protected.
        platforms: Vec<PlatformFacts>,
        /// As in `started`.
        rehearsal: bool,
    },
    /// The wall clock was set, or the machine was suspended: times before and after it differ by more
    /// than what passed.
    ClockStepped {
        /// How far it went, in milliseconds; negative if it was set back.
        by_ms: i64,
        /// What it would show now without the step.
        expected: WallTime,
    },
    /// A new configuration took effect.
    Reloaded {
        /// SHA-256 of the configuration, in hex.
        configuration: String,
        /// What is protected.
        platforms: Vec<PlatformFacts>,
    },
    /// A new configuration was refused; the old one stays.
    ReloadRefused {
        /// How many problems it had.
        problems: u32,
    },
    /// The gate stopped in good order. Its absence before a `started` means that it did not.
    Stopped,
    /// The ledger could not be written for a while: events between are missing.
    RecordingGap {
        /// When writing failed first.
        since: WallTime,
        /// How many events were lost.
        lost: u64,
    },
    /// What was counted in an interval. Written each minute on quiet days, so that silence is
    /// seen to be silence, and each second while a surge or an attack lasts.
    Tallied(Tally),
    /// What was counted in an interval of what belongs to no platform. Written only if there was
    /// something: each minute, and each second during a flood.
    UnassignedTallied(UnassignedTally),
    /// Far more than usual of what belongs to no platform: requests for unknown hosts, requests
    /// that cannot be read, failed handshakes, refused connections.
    GateFloodBegan {
        /// When it can first be seen in the counts, looking back.
        onset: WallTime,
        /// How many were refused in the last second.
        refused_per_second: u64,
        /// What is usual, in thousandths per second.
        usual_milli: u64,
        /// Connections that are stalled in their headers, where that is far more than usual and
        /// several platforms share the gate; otherwise 0.
        stalled_headers: u64,
        /// How many were refused in the last second, by reason, without the zeros.
        reasons: BTreeMap<String, u64>,
    },
    /// The flood is over: for the quiet period there was no more than usual.
    GateFloodEnded {
        /// How many were refused in all.
        refused: u64,
        /// The most that were refused in a second.
        peak_per_second: u64,
        /// How many were refused in all, by reason, without the zeros.
        reasons: BTreeMap<String, u64>,
    },
    /// Far more traffic than the baseline, of whatever cause.
    SurgeBegan {
        /// The platform.
        platform: String,
        /// The activities that are over their baseline.
        activities: Vec<String>,
        /// Requests per second over the last window, all of these activities.
        per_second: u64,
        /// What their baseline expects, in thousandths of a request per second.
        baseline_milli: u64,
    },
    /// Traffic is back within its baseline, and no attack was recognised.
    SurgeEnded {
        /// The platform.
        platform: String,
    },
    /// A surge or a pattern with evidence of hostility.
    AttackBegan {
        /// The wave's number on this platform, counted from 1 for the life of the ledger.
        wave: u32,
        /// The platform.
        platform: String,
        /// The activities that are attacked.
        activities: Vec<String>,
        /// When the surge or pattern can first be seen in the counts, looking back.
        onset: WallTime,
        /// The evidence.
        evidence: Vec<Evidence>,
        /// What the baseline expects of the platform, in thousandths of a request per second.
        baseline_milli: u64,
    },
    /// New evidence, or new activities, in a wave that continues: the attacker changed tactics.
    AttackChanged {
        /// The wave.
        wave: u32,
        /// The platform.
        platform: String,
        /// The activities that are attacked now.
        activities: Vec<String>,
        /// The evidence that is new.
        evidence: Vec<Evidence>,
        /// How long after the last change of procedures it was first seen, in milliseconds:
        /// a change within seconds of one suggests that the attacker watches and adapts.
        #[serde(alias = "after_procedure_ms")]
        since_procedure_change_ms: Option<u64>,
    },
    /// What reaches the origin is back within its capacity.
    Mitigated {
        /// The wave.
        wave: u32,
        /// The platform.
        platform: String,
        /// Milliseconds from the wave's onset, or from its last change that broke through.
        after_ms: u64,
    },
    /// The attack broke through again after it had been mitigated.
    MitigationLost {
        /// The wave.
        wave: u32,
        /// The platform.
        platform: String,
    },
    /// No more hostile traffic for the stated time.
    AttackEnded {
        /// The wave.
        wave: u32,
        /// The platform.
        platform: String,
        /// The wave in figures.
        figures: WaveFigures,
    },
    /// The gate was lowered or raised.
    PostureChanged {
        /// The platform.
        platform: String,
        /// Before.
        from: Posture,
        /// Now.
        to: Posture,
        /// Why, in a sentence.
        reason: String,
    },
    /// A procedure was engaged. Written before it takes effect.
    ProcedureEngaged(ProcedureFacts),
    /// A procedure ended.
    ProcedureReleased {
        /// Its number.
        id: ProcedureId,
        /// The platform.
        platform: String,
        /// Why, in a sentence.
        reason: String,
        /// What it achieved.
        effect: Effect,
        /// What it cost visitors.
        cost: Cost,
    },
    /// The origin answers too slowly, fails, or makes requests wait.
    #[serde(alias = "origin-strained")]
    OriginDegraded {
        /// The platform.
        platform: String,
        /// What was seen, with figures.
        #[serde(alias = "says")]
        summary: String,
    },
    /// The origin answers as usual again.
    OriginRecovered {
        /// The platform.
        platform: String,
    },
    /// The origin leaves most requests without an answer: it is down for visitors, whatever the cause.
    OriginDown {
        /// The platform.
        platform: String,
        /// When the first of the failures was counted.
        onset: WallTime,
        /// Requests since then that were not served, up to now.
        unserved: u64,
        /// Requests since then that were served, up to now.
        served: u64,
        /// Requests of the gate's own that were not answered.
        failed_probes: u64,
    },
    /// Answers show that the origin is up again.
    OriginUp {
        /// The platform.
        platform: String,
        /// When the first of the failures was counted, as `origin-down` said it.
        onset: WallTime,
        /// Requests that were not served, of the whole outage.
        unserved: u64,
        /// Requests that were served during the outage.
        served: u64,
        /// Requests of the gate's own that were not answered, of the whole outage.
        failed_probes: u64,
    },
    /// No procedure is engaged, and every activity is back within its baseline, and both have
    /// been true for the stated time.
    FullSpeed {
        /// The platform.
        platform: String,
        /// Since when both have been true.
        since: WallTime,
        /// For how long they had been true when this was written, in milliseconds.
        #[serde(alias = "held_ms")]
        duration_ms: u64,
    },
    /// A recipient was notified, and there is a receipt.
    #[serde(alias = "notified")]
    ReceiptRecorded(Receipt),
    /// An event that a newer program wrote. It is only read, never written.
    #[serde(skip)]
    Unknown {
        /// Its name.
        kind: String,
        /// The version of its leaf's format.
        v: u32,
    },
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The gate as a whole.
    Gate,
    /// One platform, by name.
    Platform(&'a str),
    /// A recipient that was notified, by name.
    Recipient(&'a str),
    /// Not known: a newer program wrote the event.
    Unknown,
}

impl Event {
    /// The names of all kinds that this version reads, with those of older versions.
    const KINDS: &[&str] = &[
        "started",
        "handed-over",
        "taken-over",
        "handover-failed",
        "fork-accepted",
        "ledger-replaced",
        "clock-stepped",
        "reloaded",
        "reload-refused",
        "stopped",
        "recording-gap",
        "tallied",
        "unassigned-tallied",
        "gate-flood-began",
        "gate-flood-ended",
        "surge-began",
        "surge-ended",
        "attack-began",
        "attack-changed",
        "mitigated",
        "mitigation-lost",
        "attack-ended",
        "posture-changed",
        "procedure-engaged",
        "procedure-released",
        "origin-degraded",
        "origin-strained",
        "origin-recovered",
        "origin-down",
        "origin-up",
        "full-speed",
        "receipt-recorded",
        "notified",
    ];

    /// The platform that the event is about, if it is about one.
    pub fn platform(&self) -> Option<&str> {
        match self.subject() {
            Subject::Platform(platform) => Some(platform),
            Subject::Gate | Subject::Recipient(_) | Subject::Unknown => None,
        }
    }

    /// The onset of the incident, if this event opens one. `recorded` is the event's
    /// own time, for kinds that do not say when they began.
    pub fn opens_incident(&self, recorded: WallTime) -> Option<WallTime> {
        match self {
            Self::AttackBegan { onset, .. }
            | Self::GateFloodBegan { onset, .. }
            | Self::OriginDown { onset, .. } => Some((*onset).min(recorded)),
            _ => None,
        }
    }

    /// What the event is about.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::Started { .. }
            | Self::HandedOver
            | Self::TakenOver { .. }
            | Self::HandoverFailed
            | Self::ForkAccepted { .. }
            | Self::LedgerReplaced { .. }
            | Self::ClockStepped { .. }
            | Self::Reloaded { .. }
            | Self::ReloadRefused { .. }
            | Self::Stopped
            | Self::RecordingGap { .. }
            | Self::UnassignedTallied(_)
            | Self::GateFloodBegan { .. }
            | Self::GateFloodEnded { .. } => Subject::Gate,
            Self::ReceiptRecorded(receipt) => Subject::Recipient(&receipt.recipient),
            Self::Unknown { .. } => Subject::Unknown,
            Self::Tallied(tally) => Subject::Platform(&tally.platform),
            Self::ProcedureEngaged(facts) => Subject::Platform(&facts.platform),
            Self::SurgeBegan { platform, .. }
            | Self::SurgeEnded { platform }
            | Self::AttackBegan { platform, .. }
            | Self::AttackChanged { platform, .. }
            | Self::Mitigated { platform, .. }
            | Self::MitigationLost { platform, .. }
            | Self::AttackEnded { platform, .. }
            | Self::PostureChanged { platform, .. }
            | Self::ProcedureReleased { platform, .. }
            | Self::OriginDegraded { platform, .. }
            | Self::OriginRecovered { platform }
            | Self::OriginDown { platform, .. }
            | Self::OriginUp { platform, .. }
            | Self::FullSpeed { platform, .. } => Subject::Platform(platform),
        }
    }
}

/// The head of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHead {
    /// The public key that signs it, as a vkey.
    pub key: String,
    /// How many leaves it has.
    pub size: u64,
    /// The root of its tree, in base64.
    pub root: String,
}

/// A platform as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformFacts {
    /// Its name.
    pub name: String,
    /// Its host names.
    pub hosts: Vec<String>,
    /// Its activities with their tiers, in configuration order.
    pub activities: Vec<(String, Tier)>,
}

/// How many sources: never a small number, because a small number can point at people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceCount {
    /// Fewer than ten.
    UnderTen,
    /// About this number (a sketch, within a few per cent).
    About(u64),
}

impl SourceCount {
    /// Suppresses counts under ten.
    pub const fn from_count(count: u64) -> Self {
        if count < 10 { Self::UnderTen } else { Self::About(count) }
    }
}

/// Latency as visitors saw it until the response began, in milliseconds, of forwarded requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyMillis {
    /// Half stayed under this.
    pub p50: u64,
    /// 95% stayed under this.
    pub p95: u64,
    /// 99% stayed under this.
    pub p99: u64,
}

/// What was counted on one platform in one interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// The platform.
    pub platform: String,
    /// The interval's beginning.
    pub from: WallTime,
    /// The interval's end.
    pub to: WallTime,
    /// Verdicts by reason, without the zeros. Their sum is what was offered.
    #[serde(deserialize_with = "current_names")]
    pub reasons: BTreeMap<String, u64>,
    /// Forwarded requests by outcome, without the zeros, by when they finished.
    #[serde(deserialize_with = "current_names")]
    pub outcomes: BTreeMap<String, u64>,
    /// Requests of the busiest whole second that ended in the interval: offered, each visitor's once.
    pub peak_offered_per_second: u64,
    /// The same: forwarded to the origin.
    pub peak_forwarded_per_second: u64,
    /// Distinct sources in the interval.
    pub sources: SourceCount,
    /// Challenges that were passed.
    pub challenges_passed: u64,
    /// Latency of forwarded requests; absent if there were none.
    pub latency: Option<LatencyMillis>,
    /// Milliseconds that the origin was busy, summed over requests.
    pub origin_busy_ms: u64,
    /// Body bytes sent to visitors.
    pub bytes_out: u64,
    /// Requests of the interval whose record was lost, so that the watch did not see them.
    #[serde(alias = "unseen")]
    pub records_lost: u64,
    /// Connections and streams that the gate had accepted and then ended, by the
    /// [`Cut`](crate::Cut)'s word, without the zeros: those that had requested something of this
    /// platform last. (Older versions counted those without any request on the first platform.)
    /// Absent where connections were not watched: in leaves of version 1, and in replays of access logs.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "current_names_of_cuts"
    )]
    pub cuts: Option<BTreeMap<String, u64>>,
    /// By activity, those with any request.
    pub activities: Vec<ActivityTally>,
}

/// What was counted in one interval of what belongs to no platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnassignedTally {
    /// The interval's beginning.
    pub from: WallTime,
    /// The interval's end.
    pub to: WallTime,
    /// Verdicts and refused connections by reason, without the zeros.
    pub reasons: BTreeMap<String, u64>,
    /// Connections that were ended before a request that belongs to a platform, by the
    /// [`Cut`](crate::Cut)'s word, without the zeros.
    pub cuts: BTreeMap<String, u64>,
}

/// Reads counts by name, and gives names of leaves before version 3 their names of today.
fn current_names<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, u64>, D::Error> {
    let mut counts = BTreeMap::new();
    for (name, n) in BTreeMap::<String, u64>::deserialize(input)? {
        let count: &mut u64 = counts.entry(current_name(&name).to_owned()).or_default();
        *count = count.saturating_add(n);
    }
    Ok(counts)
}

fn current_names_of_cuts<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<BTreeMap<String, u64>>, D::Error> {
    current_names(input).map(Some)
}

impl Tally {
    /// Verdicts of all reasons.
    pub fn offered(&self) -> u64 {
        self.reasons.values().sum()
    }
}

/// What was counted of one activity in one interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityTally {
    /// The activity.
    pub name: String,
    /// Requests.
    pub offered: u64,
    /// Requests sent to the origin.
    pub forwarded: u64,
    /// Requests that the origin answered below 500.
    pub served: u64,
    /// Challenges given.
    pub challenged: u64,
    /// Requests refused by engaged procedures (signature, limits, shedding).
    pub refused: u64,
    /// Baseline for this hour, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// Latency of forwarded requests; absent if there were none.
    pub latency: Option<LatencyMillis>,
}

/// One wave in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveFigures {
    /// Requests offered from onset to end, attack and visitors together.
    pub offered: u64,
    /// Of these, sent to the origin.
    pub forwarded: u64,
    /// Of these, refused, dropped, or challenged without coming back.
    pub stopped: u64,
    /// Requests of the busiest whole second: offered. Before version 4, of the busiest quarter of a
    /// second, times four.
    pub peak_offered_per_second: u64,
    /// The same: forwarded.
    pub peak_forwarded_per_second: u64,
    /// Most connections stalled in their headers at one tick.
    pub peak_stalled_headers: u64,
    /// The largest number of distinct sources in one second; before version 4, in a quarter of one.
    pub peak_sources: SourceCount,
    /// Distinct sources from onset to end. Not known before version 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<SourceCount>,
    /// Distinct kinds of evidence seen.
    pub evidence_kinds: u32,
    /// How often the attacker changed tactics.
    pub changes: u32,
}

/// An engaged procedure as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcedureFacts {
    /// Its number.
    pub id: ProcedureId,
    /// The platform.
    pub platform: String,
    /// The activity, or all of the platform.
    pub activity: Option<String>,
    /// What it does: [`Measure::as_str`](crate::Measure::as_str).
    pub measure: String,
    /// The measure in words: the signature's conditions, the limits, the tier.
    #[serde(alias = "says")]
    pub summary: String,
    /// Why, in a sentence.
    pub reason: String,
    /// When it expires unless renewed.
    pub expires: WallTime,
    /// How many in a million recent ordinary requests it would hit: an upper estimate (95%
    /// confidence), for a signature; absent for other measures.
    pub collateral_per_million: Option<u32>,
}

/// Proof that a recipient was notified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The recipient, for example `NCSC`.
    pub recipient: String,
    /// How, for example `web form` or `telephone`.
    pub channel: String,
    /// The reference that the recipient gave.
    pub reference: String,
    /// When it was notified.
    #[serde(alias = "told_at")]
    pub notified_at: WallTime,
    /// SHA-256 of the document that was sent, in hex, if one was.
    pub document: Option<String>,
}

#[cfg(test)]
mod tests;
