//! Counters that workers write and the control loop reads.
//!
//! Each worker owns one [`Meter`] and only ever adds; the control loop takes a [`Snapshot`] each
//! tick and works on the difference. Nothing waits for anything.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ActivityId, ConnReason, Cut, Outcome, Reason, Verdict};

/// Buckets of the latency histogram: four to each doubling from 64 µs to about 67 s.
pub const LATENCY_BUCKETS: usize = 80;

/// One activity's counters.
#[derive(Debug)]
struct ActivityMeter {
    reasons: [AtomicU64; Reason::COUNT],
    outcomes: [AtomicU64; Outcome::COUNT],
    latency: [AtomicU64; LATENCY_BUCKETS],
    latency_micros: AtomicU64,
    origin_micros: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    cuts: [AtomicU64; Cut::COUNT],
}

/// Counters of what belongs to no activity.
#[derive(Debug)]
struct UnassignedMeter {
    reasons: [AtomicU64; Reason::COUNT],
    conn_reasons: [AtomicU64; ConnReason::COUNT],
    cuts: [AtomicU64; Cut::COUNT],
}

/// One worker's counters, by activity, and its gauges.
#[derive(Debug)]
pub struct Meter {
    activities: Box<[ActivityMeter]>,
    unassigned: UnassignedMeter,
    connections: AtomicU64,
    stalled_headers: AtomicU64,
    in_flight: AtomicU64,
    waiting: AtomicU64,
    records_lost: AtomicU64,
    retries: AtomicU64,
}

impl Meter {
    /// Counters for `activities` activities, all zero. There is at least one.
    pub fn new(activities: usize) -> Self {
        let zero = || ActivityMeter {
            reasons: [const { AtomicU64::new(0) }; Reason::COUNT],
            outcomes: [const { AtomicU64::new(0) }; Outcome::COUNT],
            latency: [const { AtomicU64::new(0) }; LATENCY_BUCKETS],
            latency_micros: AtomicU64::new(0),
            origin_micros: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            cuts: [const { AtomicU64::new(0) }; Cut::COUNT],
        };
        Self {
            activities: (0..activities.max(1)).map(|_| zero()).collect(),
            unassigned: UnassignedMeter {
                reasons: [const { AtomicU64::new(0) }; Reason::COUNT],
                conn_reasons: [const { AtomicU64::new(0) }; ConnReason::COUNT],
                cuts: [const { AtomicU64::new(0) }; Cut::COUNT],
            },
            connections: AtomicU64::new(0),
            stalled_headers: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            records_lost: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        }
    }

    /// An activity that a reload removed counts under the last one rather than nowhere.
    fn activity(&self, id: ActivityId) -> &ActivityMeter {
        let last = self.activities.len() - 1;
        &self.activities[usize::from(id.0).min(last)]
    }

    /// Counts a verdict on a request; `activity` is `None` if it belongs to none.
    pub fn record_verdict(&self, activity: Option<ActivityId>, reason: Reason) {
        let reasons = match activity {
            Some(activity) => &self.activity(activity).reasons,
            None => &self.unassigned.reasons,
        };
        reasons[reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts a connection that was closed without a response. It belongs to no activity.
    pub fn record_refused_connection(&self, reason: ConnReason) {
        self.unassigned.conn_reasons[reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts the outcome of a forwarded request: `latency` is the visitor's time to first byte,
    /// `origin` the origin's share of it.
    pub fn record_outcome(
        &self,
        activity: ActivityId,
        outcome: Outcome,
        latency: Duration,
        origin: Duration,
    ) {
        let meter = self.activity(activity);
        meter.outcomes[outcome as usize].fetch_add(1, Relaxed);
        meter.latency[LatencyHistogram::bucket(latency)].fetch_add(1, Relaxed);
        meter.latency_micros.fetch_add(latency.as_micros() as u64, Relaxed);
        meter.origin_micros.fetch_add(origin.as_micros() as u64, Relaxed);
    }

    /// Counts body bytes from (`received`) and to (`sent`) the visitor.
    pub fn record_bytes(&self, activity: ActivityId, received: u64, sent: u64) {
        let meter = self.activity(activity);
        meter.bytes_in.fetch_add(received, Relaxed);
        meter.bytes_out.fetch_add(sent, Relaxed);
    }

    /// A record did not fit into the ring: the watch saw less than there was.
    pub fn record_lost(&self) {
        self.records_lost.fetch_add(1, Relaxed);
    }

    /// Counts an HTTP/3 connection that got a Retry.
    pub fn record_http3_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// Counts the end of an accepted connection or stream. `activity` is the one that it requested
    /// last; `None` if it made no request that belongs to one.
    pub fn cut(&self, activity: Option<ActivityId>, why: Cut) {
        let cuts = match activity {
            Some(activity) => &self.activity(activity).cuts,
            None => &self.unassigned.cuts,
        };
        cuts[why as usize].fetch_add(1, Relaxed);
    }

    /// Open visitor connections, now.
    pub fn set_connections(&self, now: u64) {
        self.connections.store(now, Relaxed);
    }

    /// Connections that began a request header over a second ago and have not finished it.
    pub fn set_stalled_headers(&self, now: u64) {
        self.stalled_headers.store(now, Relaxed);
    }

    /// Requests that the origin is working on, now.
    pub fn set_in_flight(&self, now: u64) {
        self.in_flight.store(now, Relaxed);
    }

    /// Requests that wait for a free connection to the origin, now.
    pub fn set_waiting(&self, now: u64) {
        self.waiting.store(now, Relaxed);
    }

    /// Adds this worker's counters to `total`.
    pub fn add_to(&self, total: &mut Snapshot) {
        if total.activities.len() < self.activities.len() {
            total.activities.resize_with(self.activities.len(), ActivityCounts::default);
        }
        for (sum, meter) in total.activities.iter_mut().zip(&self.activities) {
            for (to, from) in sum.reasons.iter_mut().zip(&meter.reasons) {
                *to += from.load(Relaxed);
            }
            for (to, from) in sum.outcomes.iter_mut().zip(&meter.outcomes) {
                *to += from.load(Relaxed);
            }
            for (to, from) in sum.latency.0.iter_mut().zip(&meter.latency) {
                *to += from.load(Relaxed);
            }
            sum.latency_micros += meter.latency_micros.load(Relaxed);
            sum.origin_micros += meter.origin_micros.load(Relaxed);
            sum.bytes_in += meter.bytes_in.load(Relaxed);
            sum.bytes_out += meter.bytes_out.load(Relaxed);
            for (at, from) in meter.cuts.iter().enumerate() {
                let n = from.load(Relaxed);
                sum.cuts.0[at] += n;
                total.cuts.0[at] += n;
            }
        }
        let (sum, meter) = (&mut total.unassigned, &self.unassigned);
        for (to, from) in sum.reasons.iter_mut().zip(&meter.reasons) {
            *to += from.load(Relaxed);
        }
        for (to, from) in sum.conn_reasons.iter_mut().zip(&meter.conn_reasons) {
            *to += from.load(Relaxed);
        }
        for (at, from) in meter.cuts.iter().enumerate() {
            let n = from.load(Relaxed);
            sum.cuts.0[at] += n;
            total.cuts.0[at] += n;
        }
        total.gauges.connections += self.connections.load(Relaxed);
        total.gauges.stalled_headers += self.stalled_headers.load(Relaxed);
        total.gauges.in_flight += self.in_flight.load(Relaxed);
        total.gauges.waiting += self.waiting.load(Relaxed);
        total.records_lost += self.records_lost.load(Relaxed);
        total.retries += self.retries.load(Relaxed);
    }
}

/// What is true now, as against what has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gauges {
    /// Open visitor connections.
    pub connections: u64,
    /// Connections that began a request header over a second ago and have not finished it.
    pub stalled_headers: u64,
    /// Requests that the origin is working on.
    pub in_flight: u64,
    /// Requests that wait for a free connection to the origin.
    pub waiting: u64,
}

/// One activity's counts: since the start in a snapshot, or between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityCounts {
    /// Verdicts by [`Reason`] (`reason as usize`).
    pub reasons: [u64; Reason::COUNT],
    /// Forwarded requests by [`Outcome`] (`outcome as usize`).
    pub outcomes: [u64; Outcome::COUNT],
    /// Time until the response began, of forwarded requests.
    pub latency: LatencyHistogram,
    /// Microseconds until the response began, summed over forwarded requests.
    pub latency_micros: u64,
    /// Microseconds that the origin was busy with requests, summed over requests.
    pub origin_micros: u64,
    /// Body bytes from visitors.
    pub bytes_in: u64,
    /// Body bytes to visitors.
    pub bytes_out: u64,
    /// Connections and streams that were ended.
    pub cuts: Cuts,
}

impl Default for ActivityCounts {
    fn default() -> Self {
        Self {
            reasons: [0; Reason::COUNT],
            outcomes: [0; Outcome::COUNT],
            latency: LatencyHistogram::default(),
            latency_micros: 0,
            origin_micros: 0,
            bytes_in: 0,
            bytes_out: 0,
            cuts: Cuts::default(),
        }
    }
}

impl ActivityCounts {
    /// Requests.
    pub fn offered(&self) -> u64 {
        self.reasons.iter().sum()
    }

    /// Every reason by its name, with its count.
    pub fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Reason::ALL.iter().map(|reason| (reason.as_str(), self.reason(*reason)))
    }

    /// Verdicts for one reason.
    pub fn reason(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize]
    }

    /// Forwarded requests with this outcome.
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// Adds another activity's, or another interval's, counts.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in self.reasons.iter_mut().zip(&other.reasons) {
            *to += from;
        }
        for (to, from) in self.outcomes.iter_mut().zip(&other.outcomes) {
            *to += from;
        }
        for (to, from) in self.latency.0.iter_mut().zip(&other.latency.0) {
            *to += from;
        }
        self.latency_micros += other.latency_micros;
        self.origin_micros += other.origin_micros;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        for (to, from) in self.cuts.0.iter_mut().zip(&other.cuts.0) {
            *to += from;
        }
    }

    fn minus(&self, earlier: &Self) -> Self {
        let mut difference = self.clone();
        for (to, from) in difference.reasons.iter_mut().zip(&earlier.reasons) {
            *to = to.saturating_sub(*from);
        }
        for (to, from) in difference.outcomes.iter_mut().zip(&earlier.outcomes) {
            *to = to.saturating_sub(*from);
        }
        for (to, from) in difference.latency.0.iter_mut().zip(&earlier.latency.0) {
            *to = to.saturating_sub(*from);
        }
        difference.latency_micros =
            difference.latency_micros.saturating_sub(earlier.latency_micros);
        difference.origin_micros = difference.origin_micros.saturating_sub(earlier.origin_micros);
        difference.bytes_in = difference.bytes_in.saturating_sub(earlier.bytes_in);
        difference.bytes_out = difference.bytes_out.saturating_sub(earlier.bytes_out);
        difference.cuts = difference.cuts.minus(&earlier.cuts);
        difference
    }
}

/// Counts of what belongs to no activity: since the start in a snapshot, or between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnassignedCounts {
    /// Verdicts on requests by [`Reason`] (`reason as usize`).
    pub reasons: [u64; Reason::COUNT],
    /// Connections without a response, by [`ConnReason`] (`reason as usize`).
    pub conn_reasons: [u64; ConnReason::COUNT],
    /// Connections that were ended before a request that belongs to an activity.
    pub cuts: Cuts,
}

impl Default for UnassignedCounts {
    fn default() -> Self {
        Self {
            reasons: [0; Reason::COUNT],
            conn_reasons: [0; ConnReason::COUNT],
            cuts: Cuts::default(),
        }
    }
}

impl UnassignedCounts {
    /// Every reason of a request or connection by its name, with its count.
    pub fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let requests = Reason::ALL.iter().map(|reason| (reason.as_str(), self.reason(*reason)));
        let conns =
            ConnReason::ALL.iter().map(|reason| (reason.as_str(), self.conn_reason(*reason)));
        requests.chain(conns)
    }

    /// Verdicts for one reason.
    pub const fn reason(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize]
    }

    /// Connections that were closed without a response, for one reason.
    pub const fn conn_reason(&self, reason: ConnReason) -> u64 {
        self.conn_reasons[reason as usize]
    }

    /// Requests that were refused, and connections that were closed without a response.
    pub fn refused(&self) -> u64 {
        let requests = Reason::ALL.iter().filter(|reason| reason.verdict() == Verdict::Refuse);
        let requests: u64 = requests.map(|reason| self.reason(*reason)).sum();
        requests + self.conn_reasons.iter().sum::<u64>()
    }

    /// Adds another interval's counts.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in self.reasons.iter_mut().zip(&other.reasons) {
            *to += from;
        }
        for (to, from) in self.conn_reasons.iter_mut().zip(&other.conn_reasons) {
            *to += from;
        }
        for (to, from) in self.cuts.0.iter_mut().zip(&other.cuts.0) {
            *to += from;
        }
    }

    fn minus(&self, earlier: &Self) -> Self {
        let mut difference = self.clone();
        for (to, from) in difference.reasons.iter_mut().zip(&earlier.reasons) {
            *to = to.saturating_sub(*from);
        }
        for (to, from) in difference.conn_reasons.iter_mut().zip(&earlier.conn_reasons) {
            *to = to.saturating_sub(*from);
        }
        difference.cuts = difference.cuts.minus(&earlier.cuts);
        difference
    }
}

/// Connections and streams that were ended, by [`Cut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts([u64; Cut::COUNT]);

impl Default for Cuts {
    fn default() -> Self {
        Self([0; Cut::COUNT])
    }
}

impl Cuts {
    /// The number that `count` gives for each.
    pub(crate) fn by(count: impl Fn(Cut) -> u64) -> Self {
        let mut cuts = Self::default();
        for cut in Cut::ALL {
            cuts.0[*cut as usize] = count(*cut);
        }
        cuts
    }

    /// How many were ended for this.
    pub const fn of(&self, why: Cut) -> u64 {
        self.0[why as usize]
    }

    fn minus(&self, earlier: &Self) -> Self {
        let mut difference = *self;
        for (to, from) in difference.0.iter_mut().zip(&earlier.0) {
            *to = to.saturating_sub(*from);
        }
        difference
    }
}

/// All workers' counters at one moment, or their growth between two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// By activity.
    pub activities: Vec<ActivityCounts>,
    /// What belongs to no activity.
    pub unassigned: Box<UnassignedCounts>,
    /// What is true now.
    pub gauges: Gauges,
    /// Records that did not fit into a ring.
    pub records_lost: u64,
    /// HTTP/3 connections that were asked to prove their address first.
    pub retries: u64,
    /// Connections and streams that were ended, over all activities and none.
    #[serde(skip)]
    pub cuts: Cuts,
}

impl Snapshot {
    /// Adds what another process has counted, and its gauges.
    pub fn add(&mut self, other: &Self) {
        if self.activities.len() < other.activities.len() {
            self.activities.resize_with(other.activities.len(), ActivityCounts::default);
        }
        for (to, from) in self.activities.iter_mut().zip(&other.activities) {
            to.add(from);
        }
        self.unassigned.add(&other.unassigned);
        self.gauges.connections += other.gauges.connections;
        self.gauges.stalled_headers += other.gauges.stalled_headers;
        self.gauges.in_flight += other.gauges.in_flight;
        self.gauges.waiting += other.gauges.waiting;
        self.records_lost += other.records_lost;
        self.retries += other.retries;
        let cuts = other.activities.iter().map(|counts| &counts.cuts);
        for cuts in cuts.chain([&other.unassigned.cuts]) {
            for (to, from) in self.cuts.0.iter_mut().zip(&cuts.0) {
                *to += from;
            }
        }
    }

    /// The counts of one activity; zero if none were taken.
    pub fn of(&self, activity: ActivityId) -> ActivityCounts {
        self.activities.get(usize::from(activity.0)).cloned().unwrap_or_default()
    }

    /// What was counted since `earlier`; gauges stay as they are now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let none = ActivityCounts::default();
        Self {
            activities: self
                .activities
                .iter()
                .enumerate()
                .map(|(i, now)| now.minus(earlier.activities.get(i).unwrap_or(&none)))
                .collect(),
            unassigned: Box::new(self.unassigned.minus(&earlier.unassigned)),
            gauges: self.gauges,
            records_lost: self.records_lost.saturating_sub(earlier.records_lost),
            retries: self.retries.saturating_sub(earlier.retries),
            cuts: self.cuts.minus(&earlier.cuts),
        }
    }
}

/// A histogram of latencies, precise to about a fifth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyHistogram(pub [u64; LATENCY_BUCKETS]);

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self([0; LATENCY_BUCKETS])
    }
}

impl LatencyHistogram {
    /// The bucket that `latency` falls into.
    pub fn bucket(latency: Duration) -> usize {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(64);
        let octave = 63 - micros.leading_zeros() as usize;
        let quarter = (micros >> (octave - 2)) as usize & 3;
        ((octave - 6) * 4 + quarter).min(LATENCY_BUCKETS - 1)
    }

    /// The upper end of a bucket.
    pub fn upper(bucket: usize) -> Duration {
        let octave = bucket / 4 + 6;
        let quarter = (bucket % 4) as u64;
        Duration::from_micros((5 + quarter) << (octave - 2))
    }

    /// How many were measured.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many took longer than `limit`: those in buckets that lie wholly above it.
    pub fn count_over(&self, limit: Duration) -> u64 {
        self.0[(Self::bucket(limit) + 1).min(LATENCY_BUCKETS)..].iter().sum()
    }

    /// The latency that `per_thousand` of a thousand stayed under (upper end of its bucket), or
    /// `None` if nothing was measured.
    pub fn quantile(&self, per_thousand: u64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = (count * per_thousand).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, n) in self.0.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return Some(Self::upper(bucket));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_lies_under_the_upper_end_of_its_bucket_and_over_the_one_before() {
        for micros in [64, 65, 100, 999, 1_000, 12_345, 1_000_000, 60_000_000] {
            let latency = Duration::from_micros(micros);
            let bucket = LatencyHistogram::bucket(latency);
            assert!(latency < LatencyHistogram::upper(bucket), "{micros}");
            if bucket > 0 {
                assert!(latency >= LatencyHistogram::upper(bucket - 1), "{micros}");
            }
        }
    }

    #[test]
    fn a_snapshot_difference_holds_what_happened_between() {
        let meter = Meter::new(2);
        meter.record_verdict(Some(ActivityId(1)), Reason::Allowed);
        let mut before = Snapshot::default();
        meter.add_to(&mut before);
        meter.record_verdict(Some(ActivityId(1)), Reason::Signature);
        let mut after = Snapshot::default();
        meter.add_to(&mut after);
        let between = after.since(&before);
        assert_eq!(between.activities[1].offered(), 1);
        assert_eq!(between.activities[1].reason(Reason::Signature), 1);
        assert_eq!(between.activities[0].offered(), 0);
    }

    #[test]
    fn what_belongs_to_no_activity_counts_under_none() {
        let meter = Meter::new(1);
        let mut before = Snapshot::default();
        meter.add_to(&mut before);
        meter.record_verdict(None, Reason::UnknownHost);
        meter.record_verdict(None, Reason::Acme);
        meter.record_refused_connection(ConnReason::HandshakeFailed);
        meter.cut(None, Cut::MissingPreface);
        let mut after = Snapshot::default();
        meter.add_to(&mut after);
        let between = after.since(&before);
        assert_eq!(between.activities[0], ActivityCounts::default());
        assert_eq!(between.unassigned.refused(), 2);
        let names = between.unassigned.by_name().filter(|(_, n)| *n > 0);
        let names: Vec<_> = names.map(|(name, _)| name).collect();
        assert_eq!(names, ["acme", "unknown-host", "handshake-failed"]);
        assert_eq!(between.cuts.of(Cut::MissingPreface), 1);
    }

    #[test]
    fn a_cut_counts_once_for_its_activity_and_once_for_all() {
        let meter = Meter::new(2);
        meter.cut(Some(ActivityId(1)), Cut::SlowRead);
        let mut before = Snapshot::default();
        meter.add_to(&mut before);
        meter.cut(Some(ActivityId(1)), Cut::SlowRead);
        meter.cut(Some(ActivityId(0)), Cut::SlowRead);
        let mut after = Snapshot::default();
        meter.add_to(&mut after);
        let between = after.since(&before);
        assert_eq!(between.activities[1].cuts.of(Cut::SlowRead), 1);
        assert_eq!(between.activities[0].cuts.of(Cut::SlowRead), 1);
        assert_eq!(between.cuts.of(Cut::SlowRead), 2);
        assert_eq!(between.cuts.of(Cut::SlowBody), 0);
    }
}
