//! Per-source and per-token limits in tables of fixed size, shared by all workers without a lock.
//!
//! One table for the whole gate rather than one per worker: `SO_REUSEPORT` spreads a source's
//! connections over workers by port, so that separate tables would let each source have its limit
//! once per core.
//!
//! A limit is GCRA (ITU-T I.371, the "virtual scheduling" form): one timestamp per source, the
//! theoretical arrival time of its next conforming request. An entry whose time has passed means
//! nothing that an absent entry would not say, so that replacing it loses nothing. Only if all
//! eight places of a set are in debt is the least indebted forgotten, which errs towards the
//! visitor, and is counted: a full table never refuses anybody.
//!
//! Open connections are counted apart, in plain counters that no source owns: no worker
//! claims a slot, so two workers cannot claim the same slot concurrently and leak it.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use core::time::Duration;

use portcullis_model::{HandshakeLimits, RateLimit, SourceKey, Time, TunnelLimits};

use crate::secret::Secret;

const WAYS: usize = 8;

/// How many requests, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// In the long run, per second. At least one.
    pub per_second: u32,
    /// Requests that may come together. At least one.
    pub burst: u32,
}

impl From<RateLimit> for Bucket {
    fn from(RateLimit { per_second, burst }: RateLimit) -> Self {
        Self { per_second, burst }
    }
}

#[derive(Debug, Default)]
struct Slot {
    /// Keyed hash of the owner; zero is free.
    owner: AtomicU64,
    /// Theoretical arrival time, in nanoseconds.
    due: AtomicU64,
    /// The same for one page a second: the owner's recent load.
    load: AtomicU64,
}

/// What a table answers to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeResult {
    /// Granted and charged.
    Granted {
        /// Nothing is known of an earlier one.
        first: bool,
        /// The owner's recent load: what it would owe if one page a second were
        /// paid back. Those who ask for least are served first when not all can be.
        load: Duration,
    },
    /// Not granted, and not charged.
    Exceeded,
}

/// What one request is charged, in quarters of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestWeight {
    /// A page, or a form.
    Page,
    /// A picture, a style, a script: a page has many of them.
    Asset,
}

impl RequestWeight {
    const fn quarters(self) -> u64 {
        match self {
            Self::Page => 4,
            Self::Asset => 1,
        }
    }
}

/// However large, an owner's load fades within this time.
const LOAD_MAX: u64 = 120_000_000_000;

/// A set-associative table of limits.
#[derive(Debug)]
pub(crate) struct LimitTable {
    slots: Box<[Slot]>,
    sets: u64,
    forgotten: AtomicU64,
}

impl LimitTable {
    pub(crate) fn new(entries: u32) -> Self {
        let sets = (entries as usize).div_ceil(WAYS).next_power_of_two();
        Self {
            slots: (0..sets * WAYS).map(|_| Slot::default()).collect(),
            sets: sets as u64,
            forgotten: AtomicU64::new(0),
        }
    }

    fn set(&self, owner: u64) -> &[Slot] {
        // The low bit of an owner is always one: place by the bits above it.
        let at = ((owner >> 1) & (self.sets - 1)) as usize * WAYS;
        &self.slots[at..at + WAYS]
    }

    fn find(&self, owner: u64) -> Option<&Slot> {
        self.set(owner).iter().find(|slot| slot.owner.load(Relaxed) == owner)
    }

    /// The owner's slot, claimed if need be; `None` if other workers keep claiming it first.
    fn claim(&self, owner: u64, now: Time) -> Option<&Slot> {
        if let Some(slot) = self.find(owner) {
            return Some(slot);
        }
        // Another worker may claim the same place at the same moment; three tries are plenty.
        for _ in 0..3 {
            let slot =
                self.set(owner).iter().min_by_key(|slot| match slot.owner.load(Relaxed) {
                    0 => 0,
                    _ => slot.due.load(Relaxed).max(1),
                })?;
            let previous = slot.owner.load(Relaxed);
            if slot.owner.compare_exchange(previous, owner, Relaxed, Relaxed).is_ok() {
                slot.load.store(0, Relaxed);
                if slot.due.swap(0, Relaxed) > now.nanos() {
                    self.forgotten.fetch_add(1, Relaxed);
                }
                return Some(slot);
            }
            if let Some(slot) = self.find(owner) {
                return Some(slot);
            }
        }
        None
    }

    /// Gives a part of what was charged back.
    fn give_back(&self, owner: u64, bucket: Bucket, quarters: u64) {
        if let Some(slot) = self.find(owner) {
            give_back(&slot.due, bucket, quarters);
        }
    }

    /// Charges one request if it conforms.
    pub(crate) fn take(
        &self,
        owner: u64,
        bucket: Bucket,
        charge: RequestWeight,
        now: Time,
    ) -> TakeResult {
        let Some(slot) = self.claim(owner, now) else {
            self.forgotten.fetch_add(1, Relaxed);
            return TakeResult::Granted { first: false, load: Duration::ZERO };
        };
        let Some(before) = charge_if_it_conforms(&slot.due, bucket, charge, now) else {
            return TakeResult::Exceeded;
        };
        let first = before == 0;
        // Two workers may overwrite each other here: the load only orders a queue.
        let load = (slot.load.load(Relaxed).max(now.nanos()) + charge.quarters() * 250_000_000)
            .min(now.nanos() + LOAD_MAX);
        slot.load.store(load, Relaxed);
        TakeResult::Granted { first, load: Duration::from_nanos(load - now.nanos()) }
    }
}

/// A quarter of what one page costs, in nanoseconds.
fn quarter(bucket: Bucket) -> u64 {
    1_000_000_000 / (u64::from(bucket.per_second.max(1)) * 4)
}

/// Moves a theoretical arrival time by one charge, if that conforms; returns what it was before.
fn charge_if_it_conforms(
    due: &AtomicU64,
    bucket: Bucket,
    charge: RequestWeight,
    now: Time,
) -> Option<u64> {
    let interval = quarter(bucket);
    let burst = interval * u64::from(bucket.burst.max(1)) * 4;
    let cost = interval * charge.quarters();
    let mut seen = due.load(Relaxed);
    loop {
        let next = seen.max(now.nanos()) + cost;
        if next - now.nanos() > burst {
            return None;
        }
        match due.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
            Ok(before) => return Some(before),
            Err(changed) => seen = changed,
        }
    }
}

fn give_back(due: &AtomicU64, bucket: Bucket, quarters: u64) {
    let back = quarter(bucket) * quarters;
    let _ = due.fetch_update(Relaxed, Relaxed, |due| Some(due.saturating_sub(back)));
}

/// Open connections by source: a counting sketch of two rows. A source's count is the smaller of
/// its two counters, which can only be too large, and only if both are shared with other sources
/// that hold connections at the same moment.
#[derive(Debug)]
struct ConnectionTable {
    rows: [Box<[AtomicU32]>; 2],
    mask: u64,
}

impl ConnectionTable {
    fn new(entries: u32) -> Self {
        let places = (entries as usize).next_power_of_two();
        let row = || (0..places).map(|_| AtomicU32::new(0)).collect();
        Self { rows: [row(), row()], mask: places as u64 - 1 }
    }

    fn counters(&self, owner: u64) -> [&AtomicU32; 2] {
        let [first, second] = &self.rows;
        [&first[((owner >> 1) & self.mask) as usize], &second[((owner >> 33) & self.mask) as usize]]
    }

    fn open(&self, owner: u64, limit: u32) -> bool {
        let counters = self.counters(owner);
        let before = counters.map(|counter| counter.fetch_add(1, Relaxed));
        let granted = before[0].min(before[1]) < limit;
        if !granted {
            self.close(owner);
        }
        granted
    }

    fn close(&self, owner: u64) {
        for counter in self.counters(owner) {
            counter.fetch_sub(1, Relaxed);
        }
    }
}

/// The tables that all workers share.
#[derive(Debug)]
pub struct Tables {
    secret: Secret,
    sources: LimitTable,
    tokens: LimitTable,
    connections: ConnectionTable,
    /// Upgraded connections of all workers.
    tunnels: AtomicU32,
    /// Theoretical arrival time of the next TLS handshake of all visitors together.
    handshakes: AtomicU64,
}

/// What a table entry is about; part of its keyed hash.
#[derive(Clone, Copy)]
#[repr(u8)]
enum BucketKey {
    Source = 1,
    Mint = 2,
    Token = 3,
    Bearers = 4,
    Handshakes = 5,
    Tunnels = 6,
    Network = 7,
}

/// Tokens that one source may receive: forty together (an office that opens the same newsletter),
/// then one a second.
const TOKEN_ISSUANCE: Bucket = Bucket { per_second: 1, burst: 40 };

impl Tables {
    /// Empty tables for `sources` sources (rounded up to a power of two) and the same number of tokens: 56
    /// bytes for each.
    pub fn new(sources: u32, secret: Secret) -> Self {
        Self {
            secret,
            sources: LimitTable::new(sources),
            tokens: LimitTable::new(sources),
            connections: ConnectionTable::new(sources),
            tunnels: AtomicU32::new(0),
            handshakes: AtomicU64::new(0),
        }
    }

    /// Charges one request to a source.
    pub fn take_source(&self, source: SourceKey, bucket: Bucket, now: Time) -> TakeResult {
        let owner = self.secret.slot_hash(BucketKey::Source as u8, source.bits());
        self.sources.take(owner, bucket, RequestWeight::Page, now)
    }

    /// Charges one request with a token to all bearers of tokens at its source together. Apart
    /// from [`Tables::take_source`], so that bearers and others at one address do not use up each
    /// other's.
    pub fn take_bearers(&self, source: SourceKey, bucket: Bucket, now: Time) -> TakeResult {
        let owner = self.secret.slot_hash(BucketKey::Bearers as u8, source.bits());
        self.sources.take(owner, bucket, RequestWeight::Page, now)
    }

    /// Charges one request to a token's budget.
    pub fn take_token(
        &self,
        token: u64,
        bucket: Bucket,
        charge: RequestWeight,
        now: Time,
    ) -> TakeResult {
        self.tokens.take(self.secret.slot_hash(BucketKey::Token as u8, token), bucket, charge, now)
    }

    /// Whether a source may receive one more separate token.
    pub fn mint(&self, source: SourceKey, now: Time) -> bool {
        let owner = self.secret.slot_hash(BucketKey::Mint as u8, source.bits());
        self.tokens.take(owner, TOKEN_ISSUANCE, RequestWeight::Page, now) != TakeResult::Exceeded
    }

    /// Charges one TLS handshake to its source, unless that is a proxy's, and then to all together;
    /// `false` if there are too many. What one source is refused is not charged to all.
    pub fn take_handshake(
        &self,
        source: Option<SourceKey>,
        limits: &HandshakeLimits,
        now: Time,
    ) -> bool {
        let refused = source.is_some_and(|source| {
            let owner = self.secret.slot_hash(BucketKey::Handshakes as u8, source.bits());
            self.sources.take(owner, limits.source.into(), RequestWeight::Page, now)
                == TakeResult::Exceeded
        });
        !refused
            && charge_if_it_conforms(
                &self.handshakes,
                limits.total.into(),
                RequestWeight::Page,
                now,
            )
            .is_some()
    }

    /// Refunds three quarters of the charge of [`Tables::take_handshake`] after a session was resumed:
    /// without a signature the handshake cost less.
    pub fn handshake_resumed(&self, source: Option<SourceKey>, limits: &HandshakeLimits) {
        let back = RequestWeight::Page.quarters() - RequestWeight::Asset.quarters();
        if let Some(source) = source {
            let owner = self.secret.slot_hash(BucketKey::Handshakes as u8, source.bits());
            self.sources.give_back(owner, limits.source.into(), back);
        }
        give_back(&self.handshakes, limits.total.into(), back);
    }

    /// Counts a connection in; `false` if the source already holds `limit`.
    pub fn open_connection(&self, source: SourceKey, limit: u32) -> bool {
        self.connections.open(self.secret.slot_hash(BucketKey::Source as u8, source.bits()), limit)
    }

    /// Counts out a connection that [`Tables::open_connection`] accepted.
    pub fn close_connection(&self, source: SourceKey) {
        self.connections.close(self.secret.slot_hash(BucketKey::Source as u8, source.bits()));
    }

    /// Counts a connection in under its source's network (an IPv4 /24, an IPv6 /48); `false` if
    /// that already holds `limit`.
    pub fn open_in_network(&self, source: SourceKey, limit: u32) -> bool {
        self.connections.open(self.network(source), limit)
    }

    /// Counts out a connection that [`Tables::open_in_network`] accepted.
    pub fn close_in_network(&self, source: SourceKey) {
        self.connections.close(self.network(source));
    }

    fn network(&self, source: SourceKey) -> u64 {
        self.secret.slot_hash(BucketKey::Network as u8, source.network())
    }

    /// Counts an upgraded connection; `false` if the source, or all together, are at
    /// their limit.
    pub fn open_tunnel(&self, source: SourceKey, limits: &TunnelLimits) -> bool {
        let owner = self.secret.slot_hash(BucketKey::Tunnels as u8, source.bits());
        if !self.connections.open(owner, limits.max_per_source) {
            return false;
        }
        let granted = self.tunnels.fetch_add(1, Relaxed) < limits.max_total;
        if !granted {
            self.close_tunnel(source);
        }
        granted
    }

    /// Counts out an upgraded connection that [`Tables::open_tunnel`] accepted.
    pub fn close_tunnel(&self, source: SourceKey) {
        self.tunnels.fetch_sub(1, Relaxed);
        self.connections.close(self.secret.slot_hash(BucketKey::Tunnels as u8, source.bits()));
    }

    /// How often an entry with debt had to be forgotten, or could not be stored, because its set
    /// was full: the visitor was let through uncounted.
    pub fn evictions(&self) -> u64 {
        self.sources.forgotten.load(Relaxed) + self.tokens.forgotten.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// What the table approximates: one exact entry per owner, never evicted.
    #[derive(Default)]
    struct Exact {
        due: HashMap<u64, u64>,
        connections: HashMap<u64, u32>,
    }

    impl Exact {
        fn take(&mut self, owner: u64, bucket: Bucket, now: Time) -> bool {
            let interval = 1_000_000_000 / (u64::from(bucket.per_second) * 4) * 4;
            let due = self.due.entry(owner).or_default();
            let next = (*due).max(now.nanos()) + interval;
            let granted = next - now.nanos() <= interval * u64::from(bucket.burst);
            if granted {
                *due = next;
            }
            granted
        }

        fn open(&mut self, owner: u64, limit: u32) -> bool {
            let open = self.connections.entry(owner).or_default();
            let granted = *open < limit;
            *open += u32::from(granted);
            granted
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(u64),
        Open(u64),
        Close(u64),
        Pass(u64),
    }

    fn steps(owners: u64) -> impl Strategy<Value = Vec<Step>> {
        let owner = (1..=owners).prop_map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        prop::collection::vec(
            prop_oneof![
                6 => owner.clone().prop_map(Step::Take),
                1 => owner.clone().prop_map(Step::Open),
                1 => owner.prop_map(Step::Close),
                1 => (1_000_000..400_000_000u64).prop_map(Step::Pass),
            ],
            1..400,
        )
    }

    const BUCKET: Bucket = Bucket { per_second: 10, burst: 5 };

    proptest! {
        #[test]
        fn a_table_with_free_entries_answers_as_the_exact_model(steps in steps(8)) {
            let table = LimitTable::new(1024);
            let connections = ConnectionTable::new(65_536);
            let mut exact = Exact::default();
            let mut now = Time::from_secs(1);
            for step in steps {
                match step {
                    Step::Take(o) => {
                        let granted = table.take(o, BUCKET, RequestWeight::Page, now) != TakeResult::Exceeded;
                        prop_assert_eq!(granted, exact.take(o, BUCKET, now));
                    }
                    Step::Open(o) => prop_assert_eq!(connections.open(o, 3), exact.open(o, 3)),
                    Step::Close(o) => {
                        let open = exact.connections.entry(o).or_default();
                        if *open > 0 {
                            *open -= 1;
                            connections.close(o);
                        }
                    }
                    Step::Pass(nanos) => now.0 += nanos,
                }
            }
            prop_assert_eq!(table.forgotten.load(Relaxed), 0);
        }

        #[test]
        fn a_full_table_never_refuses_whom_the_exact_model_admits(steps in steps(200)) {
            let table = LimitTable::new(16);
            let mut exact = Exact::default();
            let mut now = Time::from_secs(1);
            for step in steps {
                match step {
                    Step::Take(o) => {
                        let (ours, theirs) =
                            (table.take(o, BUCKET, RequestWeight::Page, now) != TakeResult::Exceeded, exact.take(o, BUCKET, now));
                        prop_assert!(ours || !theirs);
                    }
                    Step::Pass(nanos) => now.0 += nanos,
                    Step::Open(_) | Step::Close(_) => {}
                }
            }
        }
    }

    #[test]
    fn a_flooding_source_gets_the_stated_rate_and_no_more() {
        let table = LimitTable::new(64);
        // 100 requests a second for 100 seconds, against 10 a second and a burst of 5.
        let granted = (0..10_000)
            .filter(|i| {
                table.take(9, BUCKET, RequestWeight::Page, Time::from_millis(i * 10))
                    != TakeResult::Exceeded
            })
            .count();
        assert!((1_000..=1_006).contains(&granted), "{granted}");
    }

    #[test]
    fn a_patient_source_is_always_within() {
        let table = LimitTable::new(64);
        for i in 0..1_000 {
            assert_ne!(
                table.take(9, BUCKET, RequestWeight::Page, Time::from_millis(i * 100)),
                TakeResult::Exceeded
            );
        }
    }

    fn handshake_limits() -> HandshakeLimits {
        HandshakeLimits {
            total: RateLimit { per_second: 100, burst: 50 },
            source: RateLimit { per_second: 1, burst: 10 },
            max_concurrent: 16,
        }
    }

    fn handshakes(tables: &Tables, source: u8, tries: u32, resumed: bool) -> usize {
        let (limits, now) = (handshake_limits(), Time::from_secs(1));
        let source = Some(SourceKey::of([192, 0, 2, source].into()));
        let granted = (0..tries).filter(|_| {
            let granted = tables.take_handshake(source, &limits, now);
            if granted && resumed {
                tables.handshake_resumed(source, &limits);
            }
            granted
        });
        granted.count()
    }

    #[test]
    fn what_one_source_is_refused_is_left_to_others() {
        let tables = Tables::new(1_024, Secret::new(&[7; 32]));
        assert_eq!(handshakes(&tables, 1, 1_000, false), 10);
        assert_eq!(handshakes(&tables, 2, 10, false), 10);
        let rest: usize = (3..20).map(|source| handshakes(&tables, source, 10, false)).sum();
        assert_eq!(rest, 30, "all together have a burst of fifty");
    }

    #[test]
    fn a_resumed_handshake_counts_for_a_quarter() {
        let tables = Tables::new(1_024, Secret::new(&[7; 32]));
        // The last must find a whole one free: it is not known to resume before it has.
        assert_eq!(handshakes(&tables, 1, 1_000, true), 37);
    }

    #[test]
    fn a_table_full_of_a_million_sources_refuses_no_legitimate_visitor() {
        let tables = Tables::new(16_384, Secret::new(&[7; 32]));
        let bucket = Bucket { per_second: 1, burst: 3 };
        // Visitors who ask once a second, which is within; and between two of their requests some
        // ten thousand sources that never come again, each with its whole burst.
        let visitor = |n: u8| SourceKey::of([192, 0, 2, n].into());
        let mut invented = 0_u64;
        for second in 1..=100 {
            let now = Time::from_secs(second);
            for _ in 0..10_000 {
                invented += 1;
                let net = invented.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 3;
                let address = core::net::Ipv6Addr::from(u128::from(net) << 64);
                let source = SourceKey::of(address.into());
                for _ in 0..3 {
                    tables.take_source(source, bucket, now);
                }
            }
            for n in 0..=255 {
                let taken = tables.take_source(visitor(n), bucket, now);
                assert_ne!(taken, TakeResult::Exceeded, "{n} at {second}");
            }
        }
        assert!(tables.evictions() > 0, "it was full");
    }

    #[test]
    fn a_network_is_bounded_whatever_its_sources_and_others_are_not_concerned() {
        let tables = Tables::new(1_024, Secret::new(&[7; 32]));
        let v4 = |net: u8, n: u8| SourceKey::of([192, 0, net, n].into());
        let open = |net| (0..=255).filter(|n| tables.open_in_network(v4(net, *n), 100)).count();
        assert_eq!([open(1), open(2)], [100, 100]);
        tables.close_in_network(v4(1, 200));
        assert_eq!(open(1), 1);
        let v6 = |net: u16, n: u16| {
            SourceKey::of(core::net::Ipv6Addr::new(0x2001, 0xdb8, net, n, 0, 0, 0, 1).into())
        };
        let open = |net| (0..200).filter(|n| tables.open_in_network(v6(net, *n), 50)).count();
        assert_eq!([open(1), open(2)], [50, 50]);
    }

    #[test]
    fn tunnels_are_bounded_by_source_and_over_all_and_counted_out_again() {
        let tables = Tables::new(1_024, Secret::new(&[7; 32]));
        let limits = TunnelLimits { max_total: 10, max_per_source: 4 };
        let source = |n: u8| SourceKey::of([192, 0, 2, n].into());
        let open = |n: u8| (0..6).filter(|_| tables.open_tunnel(source(n), &limits)).count();
        assert_eq!([open(1), open(2), open(3), open(4)], [4, 4, 2, 0]);
        for _ in 0..4 {
            tables.close_tunnel(source(1));
        }
        assert_eq!([open(4), open(1)], [4, 0]);
        // An open tunnel is not counted as a connection too.
        assert!(tables.open_connection(source(2), 1));
    }

    #[test]
    fn connections_of_many_workers_are_all_counted_out_again() {
        let table = ConnectionTable::new(64);
        std::thread::scope(|scope| {
            for worker in 0..4u64 {
                let table = &table;
                scope.spawn(move || {
                    for i in 0..50_000u64 {
                        let owner = (i * 7 + worker).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                        if table.open(owner, 1_000) {
                            table.close(owner);
                        }
                    }
                });
            }
        });
        let left: u32 = table.rows.iter().flatten().map(|counter| counter.load(Relaxed)).sum();
        assert_eq!(left, 0);
    }
}
