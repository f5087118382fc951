//! Visitors over minutes: who asks for pages without ever asking for an asset, and who asks without
//! pause.
//!
//! A visitor is a source with a user agent. A browser that shows a page asks for its assets within a
//! moment; what it has in its cache it asked for earlier. Programs that only want to cost the origin
//! something do not. Two seconds after a visitor asks, the table knows which it is.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use portcullis_model::{ActivityId, Feature, Reason, Record, TokenState, Verdict};

/// Visitors in each of the two generations of the table.
const VISITORS: usize = 32_768;
/// Ticks after which a generation is old: five minutes.
const GENERATION_TICKS: u64 = 1_200;
/// A visitor is judged this many ticks after asking: two seconds.
pub(crate) const GRACE_TICKS: u64 = 8;
/// A visitor is judged again after this many ticks: a minute.
const VISIT_TICKS: u64 = 240;
/// Assets count for this many ticks: ten minutes.
const ASSET_TICKS: u64 = 2_400;
/// Visits remembered.
const VISITS: usize = 8_192;
/// Visitors that wait for their judgement, at most.
const WAITING: usize = 16_384;
/// Whoever asks more often than this within a minute asks without pause: people who read do not.
const BUSY_PER_MINUTE: u16 = 40;
/// Busy visitors that are told apart, at most.
const BUSY_VISITORS: usize = 16;

/// What a record is to the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestClass {
    /// Pages, forms, data. `busy`: its visitor asks without pause. `repeated`: for the same again.
    Direct { busy: bool, repeated: bool },
    /// An asset, or a part of a file.
    Asset,
}

/// One visitor who came, or came again after a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// When, in ticks.
    pub tick: u64,
    pub activity: ActivityId,
    /// Without any asset, ten minutes before to two seconds after.
    pub bare: bool,
    pub user_agent: u32,
    /// Sent to the origin.
    pub forwarded: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Visitor {
    /// One more than the tick of the last asset; zero without one.
    asset: u64,
    /// One more than the tick of the last visit; zero without one.
    visit: u64,
    minute: u64,
    asked: u16,
    last_request: u32,
    last_asset: u32,
}

#[derive(Debug)]
struct WaitingVisit {
    visitor: u64,
    visit: Visit,
}

/// The visitors of one platform.
#[derive(Debug, Default)]
pub(crate) struct VisitorTable {
    current: HashMap<u64, Visitor, BuildHasherDefault<MixedKey>>,
    previous: HashMap<u64, Visitor, BuildHasherDefault<MixedKey>>,
    rotated: u64,
    tick: u64,
    waiting: VecDeque<WaitingVisit>,
    visits: VecDeque<Visit>,
    /// Busy visitors of the last minute, with the tick at which each was seen last.
    busy: Vec<(u64, u64)>,
}

impl VisitorTable {
    /// Takes one request.
    pub(crate) fn observe(&mut self, record: &Record, activity: ActivityId) -> RequestClass {
        let agent = record.features.get(Feature::UserAgent);
        let key = mix(record.source.bits() ^ u64::from(agent).rotate_left(32));
        let (tick, minute) = (self.tick, self.tick / VISIT_TICKS);
        let visitor = self.visitor(key);
        let request = record.features.get(Feature::Path) ^ record.query.rotate_left(16);
        if record.partial || record.asset {
            let again = visitor.asset > 0 && visitor.last_asset == request;
            let repeated = again && !record.partial;
            if record.asset {
                (visitor.asset, visitor.last_asset) = (tick + 1, request);
            }
            // A browser asks for an asset once.
            if !repeated {
                return RequestClass::Asset;
            }
        }
        if visitor.minute != minute {
            (visitor.minute, visitor.asked) = (minute, 0);
        }
        visitor.asked = visitor.asked.saturating_add(1);
        let repeated =
            record.asset || (visitor.asked > 1 && visitor.last_request == request);
        visitor.last_request = request;
        let busy = visitor.asked > BUSY_PER_MINUTE;
        let begins = visitor.visit == 0 || tick + 1 >= visitor.visit + VISIT_TICKS;
        if begins {
            visitor.visit = tick + 1;
        }
        if begins && self.waiting.len() < WAITING {
            let forwarded = record.reason.verdict() == Verdict::Forward;
            let visit = Visit { tick, activity, bare: true, user_agent: agent, forwarded };
            self.waiting.push_back(WaitingVisit { visitor: key, visit });
        }
        if busy {
            self.note_busy(key);
        }
        RequestClass::Direct { busy, repeated }
    }

    fn visitor(&mut self, key: u64) -> &mut Visitor {
        if !self.current.contains_key(&key) {
            if self.current.len() >= VISITORS || self.tick >= self.rotated + GENERATION_TICKS {
                core::mem::swap(&mut self.previous, &mut self.current);
                self.current.clear();
                self.rotated = self.tick;
            }
            let known = self.previous.get(&key).copied().unwrap_or_default();
            self.current.insert(key, known);
        }
        self.current.entry(key).or_default()
    }

    fn note_busy(&mut self, key: u64) {
        let tick = self.tick;
        if let Some(known) = self.busy.iter_mut().find(|(known, _)| *known == key) {
            known.1 = tick;
        } else if self.busy.len() < BUSY_VISITORS {
            self.busy.push((key, tick));
        }
    }

    /// Ends the tick: judges those who asked two seconds ago.
    pub(crate) fn end_tick(&mut self) {
        self.tick += 1;
        while let Some(first) = self.waiting.front()
            && first.visit.tick + GRACE_TICKS <= self.tick
        {
            let Some(WaitingVisit { visitor, mut visit }) = self.waiting.pop_front() else { break };
            let asset = self.current.get(&visitor).or_else(|| self.previous.get(&visitor));
            let asset = asset.map_or(0, |visitor| visitor.asset);
            visit.bare = asset == 0 || asset + ASSET_TICKS < self.tick;
            if self.visits.len() >= VISITS {
                self.visits.pop_front();
            }
            self.visits.push_back(visit);
        }
        let tick = self.tick;
        self.busy.retain(|(_, last)| last + VISIT_TICKS > tick);
    }

    /// The present tick.
    pub(crate) const fn tick(&self) -> u64 {
        self.tick
    }

    /// Visits since a tick that have been judged, the newest first.
    pub(crate) fn visits_since(&self, tick: u64) -> impl Iterator<Item = &Visit> {
        self.visits.iter().rev().take_while(move |visit| visit.tick >= tick)
    }

    /// Visitors of the last minute who asked without pause, up to a bound.
    pub(crate) const fn busy_visitors(&self) -> usize {
        self.busy.len()
    }

    /// Whether nobody waits to be judged.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lets `ticks` pass without a request.
    pub(crate) fn pass(&mut self, ticks: u64) {
        self.tick += ticks.saturating_sub(1);
        self.end_tick();
    }
}

/// Whether a record is a request of a visitor's. The second half of the gate's redirect and what it
/// leads to are not: the visitor asked once.
pub(crate) fn is_first_attempt(record: &Record) -> bool {
    record.reason != Reason::ChallengePassed && record.token != TokenState::JustIssued
}

/// Spreads the bits of a key (the finaliser of `MurmurHash3`).
const fn mix(key: u64) -> u64 {
    let mut z = key;
    z = (z ^ (z >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    z = (z ^ (z >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    z ^ (z >> 33)
}

/// The keys are spread already. The hash of the user agent is keyed, so that addresses cannot be
/// chosen to collide.
#[derive(Debug, Default)]
struct MixedKey(u64);

impl Hasher for MixedKey {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use portcullis_model::{Assignment, Features, PlatformId, SourceKey, Time};

    use super::*;

    fn request(source: u32, asset: bool) -> Record {
        Record {
            at: Time(0),
            source: SourceKey::of(Ipv4Addr::from(source).into()),
            features: Features::default(),
            query: 0,
            assigned: Some(Assignment { platform: PlatformId(0), activity: ActivityId(0) }),
            reason: Reason::Allowed,
            page: !asset,
            asset,
            partial: false,
            token: TokenState::Absent,
            procedure: None,
        }
    }

    fn visits(table: &VisitorTable) -> Vec<bool> {
        table.visits_since(0).map(|visit| visit.bare).collect()
    }

    #[test]
    fn a_visitor_is_judged_two_seconds_after_asking() {
        let mut table = VisitorTable::default();
        table.observe(&request(1, false), ActivityId(0));
        table.observe(&request(2, false), ActivityId(0));
        for tick in 0..GRACE_TICKS {
            assert!(visits(&table).is_empty(), "{tick}");
            if tick == 3 {
                table.observe(&request(1, true), ActivityId(0));
            }
            table.end_tick();
        }
        assert_eq!(visits(&table), [true, false]);
    }

    #[test]
    fn assets_in_the_cache_were_asked_for_earlier() {
        let mut table = VisitorTable::default();
        table.observe(&request(1, true), ActivityId(0));
        table.pass(4 * 300);
        assert!(visits(&table).is_empty());
        table.observe(&request(1, false), ActivityId(0));
        table.pass(GRACE_TICKS);
        assert_eq!(visits(&table), [false], "one visit: assets alone are none");
    }

    #[test]
    fn more_visitors_than_places_do_not_grow_the_table() {
        let mut table = VisitorTable::default();
        for source in 0..200_000 {
            table.observe(&request(source, false), ActivityId(0));
        }
        assert!(table.current.len() + table.previous.len() <= 2 * VISITORS);
        assert!(table.waiting.len() <= WAITING);
    }

    #[test]
    fn whoever_asks_without_pause_is_busy() {
        let mut table = VisitorTable::default();
        let classes: Vec<_> =
            (0..60).map(|_| table.observe(&request(1, false), ActivityId(0))).collect();
        assert_eq!(classes[0], RequestClass::Direct { busy: false, repeated: false });
        assert_eq!(classes[59], RequestClass::Direct { busy: true, repeated: true });
        assert_eq!(table.busy_visitors(), 1);
        table.pass(VISIT_TICKS + 1);
        assert_eq!(table.busy_visitors(), 0);
    }
}
