//! Attacks too small to be seen in any rate: visitors without assets who ask for one page, minute after
//! minute, where hardly any does on ordinary days. Stuffed logins and spread-out searches are such.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_model::{ActivityId, Evidence, EvidenceKind};

use crate::calm_mix::{CalmMix, PROGRAMS_MILLI};
use crate::surprise;
use crate::visitors::JudgedVisit;

/// Time that is looked at, in ticks: five minutes.
pub(crate) const CREEPING_TICKS: u64 = 1_200;
/// It is looked at in parts, each of which must show the attack: scanners that open the link of a newsletter
/// come within a minute or two.
const PARTS: u64 = 3;
/// Visitors looked at, the newest.
const LOOKED_AT: usize = 4_096;
/// Fewer visitors on one page show nothing.
const VISITORS_MIN: u64 = 10;
/// How improbable their number is, at least, in thousandths of a nat. It is compared once a second, for
/// every page.
const CREEPING_MILLI: u64 = 16_000;
/// The variance of the number against that of independent visitors, in thousandths.
const DISPERSION_MILLI: u64 = 2_000;

/// An attack that no rate shows.
#[derive(Clone, Debug)]
pub(crate) struct Creeping {
    pub activity: ActivityId,
    pub evidence: Evidence,
}

#[derive(Debug)]
struct OnePath {
    activity: ActivityId,
    visitors: u64,
    parts: [u64; PARTS as usize],
}

/// Looks for such an attack among the visits of the last five minutes; `now` in ticks.
pub(crate) fn find<'a>(
    visits: impl Iterator<Item = &'a JudgedVisit>,
    now: u64,
    calm: &CalmMix,
) -> Option<Creeping> {
    let mut seen = BTreeSet::new();
    let mut paths: BTreeMap<u32, OnePath> = BTreeMap::new();
    for visit in visits.take(LOOKED_AT) {
        let new = seen.insert(visit.visitor);
        if !visit.bare || calm.bare_milli(visit) > PROGRAMS_MILLI {
            continue;
        }
        let path = paths.entry(visit.path).or_insert(OnePath {
            activity: visit.activity,
            visitors: 0,
            parts: [0; PARTS as usize],
        });
        path.visitors += u64::from(new);
        let part = (now - visit.tick.min(now)) * PARTS / CREEPING_TICKS;
        path.parts[part.min(PARTS - 1) as usize] += 1;
    }
    let all = seen.len() as u64;
    paths
        .iter()
        .filter_map(|(path, found)| judge(*path, found, all, calm))
        .max_by_key(|(weight, _)| *weight)
        .map(|(_, creeping)| creeping)
}

fn judge(path: u32, found: &OnePath, all: u64, calm: &CalmMix) -> Option<(u64, Creeping)> {
    let visits: u64 = found.parts.iter().sum();
    let steady = found.parts.iter().all(|part| part * PARTS * 3 >= visits);
    if found.visitors < VISITORS_MIN || !steady {
        return None;
    }
    let expected = calm.bare_on_path_micro(path, all)?;
    let weight = surprise::of_count(found.visitors, expected, DISPERSION_MILLI);
    (weight >= CREEPING_MILLI).then(|| {
        let evidence = Evidence {
            kind: EvidenceKind::PagesWithoutAssets,
            measured: found.visitors * 100 / all.max(1),
            threshold: (expected / 10_000).div_ceil(all.max(1)),
            summary: format!(
                "{} of {all} visitors in 5 minutes asked for one page and for no asset; on ordinary days at \
                 most {} would (weight {}.{})",
                found.visitors,
                expected.div_ceil(1_000_000),
                weight / 1_000,
                weight % 1_000 / 100
            ),
        };
        (weight, Creeping { activity: found.activity, evidence })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u32 = 1;
    const LOGIN: u32 = 2;

    fn visit(visitor: u64, tick: u64, path: u32, bare: bool) -> JudgedVisit {
        let activity = ActivityId(0);
        JudgedVisit {
            tick,
            activity,
            visitor,
            first: true,
            path,
            bare,
            typed: false,
            user_agent: 7,
            forwarded: true,
            unusual: false,
        }
    }

    /// Readers of pages, one in ten without assets, and a login now and then.
    fn ordinary(visitors: core::ops::Range<u64>, ticks: u64) -> Vec<JudgedVisit> {
        let count = visitors.end - visitors.start;
        visitors
            .clone()
            .map(|n| {
                let path = if n % 25 == 0 { LOGIN } else { PAGE };
                visit(n, (n - visitors.start) * ticks / count, path, n % 10 == 3)
            })
            .collect()
    }

    fn calm() -> CalmMix {
        let mut calm = CalmMix::default();
        calm.learn(ordinary(0..2_000, 100_000).iter());
        calm
    }

    fn found(mut visits: Vec<JudgedVisit>) -> Option<Creeping> {
        visits.sort_by_key(|visit| core::cmp::Reverse(visit.tick));
        find(visits.iter(), CREEPING_TICKS, &calm())
    }

    #[test]
    fn ordinary_minutes_show_nothing() {
        assert!(found(ordinary(0..300, CREEPING_TICKS)).is_none());
    }

    #[test]
    fn a_dozen_logins_without_a_page_in_five_minutes_are_seen() {
        let mut visits = ordinary(0..100, CREEPING_TICKS);
        visits.extend((0..16).map(|n| visit(1_000 + n, n * 75, LOGIN, true)));
        let found = found(visits).expect("an attack");
        assert!(
            found.evidence.summary.starts_with("16 of 116 visitors"),
            "{}",
            found.evidence.summary
        );
    }

    #[test]
    fn scanners_that_come_within_a_minute_are_none() {
        let mut visits = ordinary(0..100, CREEPING_TICKS);
        visits.extend((0..40).map(|n| visit(1_000 + n, 900 + n * 5, LOGIN, true)));
        assert!(found(visits).is_none());
    }

    #[test]
    fn a_page_of_programs_is_compared_with_its_own_habit() {
        const FEED: u32 = 3;
        let mut calm = CalmMix::default();
        let feed: Vec<_> = (0..400).map(|n| visit(n, n, FEED, true)).collect();
        calm.learn(ordinary(1_000..2_000, 10_000).iter().chain(&feed));
        let many: Vec<_> = (0..300).rev().map(|n| visit(n, n * 4, FEED, true)).collect();
        assert!(find(many.iter(), CREEPING_TICKS, &calm).is_none());
    }
}
