//! Visitors over minutes: who asks for pages without ever asking for an asset, and who asks without
//! pause.
//!
//! A visitor is a source with a user agent. A browser that shows a page asks for its assets within a
//! moment; what it has in its cache it asked for earlier. Programs that only want to cost the origin
//! something do not. Two seconds after a visitor asks, the table knows which it is.

use std::collections::VecDeque;

use portcullis_model::{ActivityId, Feature, Reason, Record, TokenState, Verdict};

/// Visitors in a set of the table. In a full set, the one seen longest ago is forgotten.
const WAYS: usize = 8;
/// Sets of the table.
const SETS: usize = 4_096;
/// A visitor is judged this many ticks after asking: two seconds.
pub(crate) const GRACE_TICKS: u64 = 8;
/// A visitor is judged again after this many ticks: a minute.
const VISIT_TICKS: u32 = 240;
/// A visitor who was not there for so long comes for the first time again, in ticks: five minutes.
const FIRST_TICKS: u32 = 1_200;
/// Assets count for this many ticks after the visitor was seen: ten minutes.
const ASSET_TICKS: u32 = 2_400;
/// Visits remembered.
const VISITS: usize = 8_192;
/// Visitors that wait for their judgement, at most.
const WAITING: usize = 16_384;
/// A visitor with more requests than this within a minute asks without pause: people who read do not.
const BUSY_PER_MINUTE: u16 = 40;
/// Requests for one path with other queries, within the two seconds, that are typing: into a field
/// that asks at each letter.
const LETTERS: u16 = 3;
/// Busy visitors that are distinguished, at most.
const BUSY_VISITORS: usize = 32;

/// What a record is to the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestClass {
    /// Pages, forms, data. `busy`: its visitor asks without pause. `repeated`: for the same again.
    /// `bare`: the visitor has loaded no asset.
    Direct { busy: bool, repeated: bool, bare: bool },
    /// An asset, or a part of a file.
    Asset,
}

/// One visitor who came, or came again after a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JudgedVisit {
    /// When, in ticks.
    pub tick: u64,
    pub activity: ActivityId,
    /// The visitor's key.
    pub visitor: u64,
    /// Its first visit, or the first after a pause of five minutes.
    pub first: bool,
    pub path: u32,
    /// Without any asset, from its first request, or the first after a pause of ten minutes, to two seconds
    /// after.
    pub bare: bool,
    /// In these two seconds, it asked for one path with one query after another.
    pub typed: bool,
    pub user_agent: u32,
    /// Sent to the origin.
    pub forwarded: bool,
    /// Made while the rate was unusual: not to be learnt.
    pub unusual: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct VisitorState {
    /// Zero where the place is free.
    key: u64,
    /// The tick of the last request.
    seen: u32,
    /// One more than the tick of the last asset; zero without one.
    asset: u32,
    /// One more than the tick of the last visit; zero without one.
    visit: u32,
    minute: u32,
    last_request: u32,
    last_asset: u32,
    last_path: u32,
    asked: u16,
    /// Requests in a row for one path, each with another query.
    letters: u16,
}

/// The visitors of one platform.
#[derive(Debug)]
pub(crate) struct VisitorTable {
    places: Box<[[VisitorState; WAYS]]>,
    tick: u64,
    waiting: VecDeque<JudgedVisit>,
    visits: VecDeque<JudgedVisit>,
    /// Busy visitors of the last minute, with the tick at which each was seen last.
    busy: Vec<(u64, u64)>,
}

impl Default for VisitorTable {
    fn default() -> Self {
        Self {
            places: vec![[VisitorState::default(); WAYS]; SETS].into_boxed_slice(),
            tick: 0,
            waiting: VecDeque::new(),
            visits: VecDeque::new(),
            busy: Vec::new(),
        }
    }
}

impl VisitorTable {
    /// Takes one request.
    pub(crate) fn observe(&mut self, record: &Record, activity: ActivityId) -> RequestClass {
        let agent = record.features.get(Feature::UserAgent);
        let key = mix(record.source.bits() ^ u64::from(agent).rotate_left(32));
        let now = self.tick as u32;
        let (tick, minute) = (self.tick, now / VISIT_TICKS);
        let visitor = self.visitor(key);
        let request = record.features.get(Feature::Path) ^ record.query.rotate_left(16);
        // Who reads on has the assets in the cache.
        if visitor.asset > 0 {
            visitor.asset = now + 1;
        }
        if record.partial || record.asset {
            let again = visitor.asset > 0 && visitor.last_asset == request;
            let repeated = again && !record.partial;
            if record.asset {
                (visitor.asset, visitor.last_asset) = (now + 1, request);
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
        let repeated = record.asset || (visitor.asked > 1 && visitor.last_request == request);
        let path = record.features.get(Feature::Path);
        let typed = !repeated && visitor.last_path == path;
        visitor.letters = if typed { visitor.letters.saturating_add(1) } else { 0 };
        visitor.last_path = path;
        visitor.last_request = request;
        let bare = visitor.asset == 0;
        let busy = visitor.asked > BUSY_PER_MINUTE;
        let begins = visitor.visit == 0 || now + 1 >= visitor.visit + VISIT_TICKS;
        let first = visitor.visit == 0 || now + 1 >= visitor.visit + FIRST_TICKS;
        if begins {
            visitor.visit = now + 1;
        }
        if begins && self.waiting.len() < WAITING {
            let forwarded = record.reason.verdict() == Verdict::Forward;
            self.waiting.push_back(JudgedVisit {
                tick,
                activity,
                visitor: key,
                first,
                path,
                bare: true,
                typed: false,
                user_agent: agent,
                forwarded,
                unusual: false,
            });
        }
        if busy {
            self.note_busy(key);
        }
        RequestClass::Direct { busy, repeated, bare }
    }

    /// The place of a visitor, who takes the oldest of the set if it is not known.
    fn visitor(&mut self, key: u64) -> &mut VisitorState {
        let set = &mut self.places[key as usize % SETS];
        let known = set.iter().position(|visitor| visitor.key == key);
        let at = known.unwrap_or_else(|| {
            let oldest = (0..WAYS).min_by_key(|at| (set[*at].key != 0, set[*at].seen)).unwrap_or(0);
            set[oldest] = VisitorState { key, ..VisitorState::default() };
            oldest
        });
        let now = self.tick as u32;
        if set[at].seen + ASSET_TICKS < now {
            set[at].asset = 0;
        }
        // Who types does not pause.
        if set[at].seen + (GRACE_TICKS as u32) < now {
            set[at].letters = 0;
        }
        set[at].seen = now;
        &mut set[at]
    }

    /// Whether a visitor has loaded no asset, and whether its requests are those of a field that asks at each
    /// letter.
    fn habits(&self, key: u64) -> (bool, bool) {
        let set = &self.places[key as usize % SETS];
        let Some(visitor) = set.iter().find(|visitor| visitor.key == key) else {
            return (true, false);
        };
        let loaded = visitor.asset > 0 && visitor.asset + ASSET_TICKS >= self.tick as u32;
        (!loaded, (LETTERS..BUSY_PER_MINUTE).contains(&visitor.letters))
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
            && first.tick + GRACE_TICKS <= self.tick
        {
            let Some(mut visit) = self.waiting.pop_front() else { break };
            (visit.bare, visit.typed) = self.habits(visit.visitor);
            if self.visits.len() >= VISITS {
                self.visits.pop_front();
            }
            self.visits.push_back(visit);
        }
        let tick = self.tick;
        self.busy.retain(|(_, last)| last + u64::from(VISIT_TICKS) > tick);
    }

    /// The present tick.
    pub(crate) const fn tick(&self) -> u64 {
        self.tick
    }

    /// Visits since a tick that have been judged, the newest first.
    pub(crate) fn visits_since(&self, tick: u64) -> impl Iterator<Item = &JudgedVisit> {
        self.visits.iter().rev().take_while(move |visit| visit.tick >= tick)
    }

    /// Marks the visits since a tick as made while the rate was unusual.
    pub(crate) fn mark_unusual(&mut self, since: u64) {
        let newest = self.visits.iter_mut().rev().take_while(|visit| visit.tick >= since);
        newest.for_each(|visit| visit.unusual = true);
        self.waiting.iter_mut().for_each(|visit| visit.unusual = true);
    }

    /// Visitors of the last minute who asked without pause, up to a bound.
    pub(crate) const fn busy_visitors(&self) -> usize {
        self.busy.len()
    }

    /// Whether no visitor waits to be judged.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets the visits, not the visitors.
    pub(crate) fn forget_visits(&mut self) {
        self.visits.clear();
        self.busy.clear();
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

/// Spreads the bits of a key (the finaliser of `MurmurHash3`); never zero. The hash of the user agent is
/// keyed, so that addresses cannot be chosen to share a set.
const fn mix(key: u64) -> u64 {
    let mut z = key;
    z = (z ^ (z >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    z = (z ^ (z >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (z ^ (z >> 33)) | 1 << 63
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
    fn more_visitors_than_places_push_out_the_oldest() {
        let mut table = VisitorTable::default();
        table.observe(&request(1, true), ActivityId(0));
        table.end_tick();
        for source in 2..200_000 {
            table.observe(&request(source, true), ActivityId(0));
        }
        assert!(table.waiting.len() <= WAITING);
        table.observe(&request(1, false), ActivityId(0));
        table.pass(GRACE_TICKS);
        assert_eq!(visits(&table), [true], "its asset is forgotten");
    }

    #[test]
    fn a_visitor_who_asks_without_pause_is_busy() {
        let mut table = VisitorTable::default();
        let classes: Vec<_> =
            (0..60).map(|_| table.observe(&request(1, false), ActivityId(0))).collect();
        assert_eq!(classes[0], RequestClass::Direct { busy: false, repeated: false, bare: true });
        assert_eq!(classes[59], RequestClass::Direct { busy: true, repeated: true, bare: true });
        assert_eq!(table.busy_visitors(), 1);
        table.pass(u64::from(VISIT_TICKS) + 1);
        assert_eq!(table.busy_visitors(), 0);
    }
}
