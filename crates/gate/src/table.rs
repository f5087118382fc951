//! Per-source and per-token limits in tables of fixed size, shared by all workers without a lock.
//!
//! One table for the whole gate rather than one per worker: `SO_REUSEPORT` spreads a source's
//! connections over workers by port, so that separate tables would let each source have its limit
//! once per core.
//!
//! A limit is GCRA (ITU-T I.371, the "virtual scheduling" form): one timestamp per source, the
//! theoretical arrival time of its next conforming request. An entry whose time has passed and
//! that holds no connection says nothing that an absent entry would not say, so that replacing it
//! loses nothing. Only if all eight places of a set are in use is the least indebted forgotten,
//! which errs towards the visitor, and is counted: a full table never refuses anybody.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use portcullis_model::{SourceKey, Time};

use crate::secret::Secret;

const WAYS: usize = 8;

/// How many requests, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// In the long run, per second. At least one.
    pub per_second: u32,
    /// At once. At least one.
    pub burst: u32,
}

#[derive(Debug, Default)]
struct Slot {
    /// Keyed hash of the owner; zero is free.
    owner: AtomicU64,
    /// Theoretical arrival time, in nanoseconds.
    due: AtomicU64,
    connections: AtomicU32,
}

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
        self.set(owner)
            .iter()
            .find(|slot| slot.owner.load(Relaxed) == owner)
    }

    /// The owner's slot, claimed if need be; `None` if every place holds open connections.
    fn claim(&self, owner: u64, now: Time) -> Option<&Slot> {
        if let Some(slot) = self.find(owner) {
            return Some(slot);
        }
        // Another worker may claim the same place at the same moment; three tries are plenty.
        for _ in 0..3 {
            let slot = self
                .set(owner)
                .iter()
                .filter(|slot| slot.connections.load(Relaxed) == 0)
                .min_by_key(|slot| match slot.owner.load(Relaxed) {
                    0 => 0,
                    _ => slot.due.load(Relaxed).max(1),
                })?;
            let previous = slot.owner.load(Relaxed);
            if slot
                .owner
                .compare_exchange(previous, owner, Relaxed, Relaxed)
                .is_ok()
            {
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

    /// Whether one more request conforms; only then is it charged.
    pub(crate) fn take(&self, owner: u64, bucket: Bucket, now: Time) -> bool {
        let Some(slot) = self.claim(owner, now) else {
            self.forgotten.fetch_add(1, Relaxed);
            return true;
        };
        let interval = 1_000_000_000 / u64::from(bucket.per_second.max(1));
        let burst = interval * u64::from(bucket.burst.max(1));
        let mut due = slot.due.load(Relaxed);
        loop {
            let next = due.max(now.nanos()) + interval;
            if next - now.nanos() > burst {
                return false;
            }
            match slot.due.compare_exchange_weak(due, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(changed) => due = changed,
            }
        }
    }

    fn open(&self, owner: u64, limit: u32, now: Time) -> bool {
        let Some(slot) = self.claim(owner, now) else {
            self.forgotten.fetch_add(1, Relaxed);
            return true;
        };
        slot.connections
            .fetch_update(Relaxed, Relaxed, |open| (open < limit).then_some(open + 1))
            .is_ok()
    }

    fn close(&self, owner: u64) {
        if let Some(slot) = self.find(owner) {
            // A connection that was opened untracked may close here: never below zero.
            let _ = slot
                .connections
                .fetch_update(Relaxed, Relaxed, |open| open.checked_sub(1));
        }
    }
}

/// The tables that all workers share.
#[derive(Debug)]
pub struct Tables {
    secret: Secret,
    sources: LimitTable,
    tokens: LimitTable,
}

/// What a table entry is about; part of its keyed hash.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Owner {
    Source = 1,
    Mint = 2,
    Token = 3,
}

/// Tokens that one source may be handed: forty at once (an office whose people all arrive with
/// the mail), then one a second.
const MINT: Bucket = Bucket {
    per_second: 1,
    burst: 40,
};

impl Tables {
    /// Empty tables for `sources` sources (rounded up to a power of two) and as many tokens.
    /// Each entry takes 24 bytes.
    pub fn new(sources: u32, secret: Secret) -> Self {
        Self {
            secret,
            sources: LimitTable::new(sources),
            tokens: LimitTable::new(sources),
        }
    }

    /// Charges one request to a source; `false` if it has none left.
    pub fn take_source(&self, source: SourceKey, bucket: Bucket, now: Time) -> bool {
        self.sources.take(
            self.secret.place(Owner::Source as u8, source.bits()),
            bucket,
            now,
        )
    }

    /// Charges one request to a token; `false` if its budget is used up for the moment.
    pub fn take_token(&self, token: u64, bucket: Bucket, now: Time) -> bool {
        self.tokens
            .take(self.secret.place(Owner::Token as u8, token), bucket, now)
    }

    /// Whether a source may be handed one more token.
    pub fn mint(&self, source: SourceKey, now: Time) -> bool {
        let owner = self.secret.place(Owner::Mint as u8, source.bits());
        self.tokens.take(owner, MINT, now)
    }

    /// Counts a connection in; `false` if the source already holds `limit`.
    pub fn open_connection(&self, source: SourceKey, limit: u32, now: Time) -> bool {
        self.sources.open(
            self.secret.place(Owner::Source as u8, source.bits()),
            limit,
            now,
        )
    }

    /// Counts a connection out that [`Tables::open_connection`] let in.
    pub fn close_connection(&self, source: SourceKey) {
        self.sources
            .close(self.secret.place(Owner::Source as u8, source.bits()));
    }

    /// How often an entry with debt had to be forgotten, or could not be kept, because its set
    /// was full: the visitor was let through uncounted.
    pub fn forgotten(&self) -> u64 {
        self.sources.forgotten.load(Relaxed) + self.tokens.forgotten.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// What the table approximates: one exact entry per owner, for ever.
    #[derive(Default)]
    struct Exact {
        due: HashMap<u64, u64>,
        connections: HashMap<u64, u32>,
    }

    impl Exact {
        fn take(&mut self, owner: u64, bucket: Bucket, now: Time) -> bool {
            let interval = 1_000_000_000 / u64::from(bucket.per_second);
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

    const BUCKET: Bucket = Bucket {
        per_second: 10,
        burst: 5,
    };

    proptest! {
        #[test]
        fn a_table_with_room_answers_as_the_exact_model(steps in steps(8)) {
            let table = LimitTable::new(1024);
            let mut exact = Exact::default();
            let mut now = Time::from_secs(1);
            for step in steps {
                match step {
                    Step::Take(o) => {
                        prop_assert_eq!(table.take(o, BUCKET, now), exact.take(o, BUCKET, now));
                    }
                    Step::Open(o) => prop_assert_eq!(table.open(o, 3, now), exact.open(o, 3)),
                    Step::Close(o) => {
                        table.close(o);
                        let open = exact.connections.entry(o).or_default();
                        *open = open.saturating_sub(1);
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
                            (table.take(o, BUCKET, now), exact.take(o, BUCKET, now));
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
            .filter(|i| table.take(9, BUCKET, Time::from_millis(i * 10)))
            .count();
        assert!((1_000..=1_006).contains(&granted), "{granted}");
    }

    #[test]
    fn a_patient_source_is_always_within() {
        let table = LimitTable::new(64);
        for i in 0..1_000 {
            assert!(table.take(9, BUCKET, Time::from_millis(i * 100)));
        }
    }
}
