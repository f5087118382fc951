//! Evidence of hostility in the last two seconds of a platform's suspect requests.
//!
//! Flash crowds and floods are alike in rate; the literature separates them by how single
//! sources behave, by what they ask for, and by how alike their requests are. Each test below
//! states what people could do to look like that, and why they do not.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_model::{Evidence, EvidenceKind, Feature, SourceCount};

use crate::window::{ReferenceSample, SampledRequest};

/// Fewer suspect requests than this in the window show nothing.
const ENOUGH: usize = 40;
/// Visitors who must keep such a pace: one person who reloads and reloads shows nothing.
const VISITORS: u64 = 5;
/// Pages in two seconds: four each second is not reading. The parts of a page do not count,
/// however many it has.
const PACE_PER_WINDOW: usize = 8;
/// The same visitor asks for the same path four times in two seconds.
const REPEATS: usize = 4;

/// All the evidence that the suspects give. `window` is all that was asked of the platform in the
/// window, suspect or not.
pub(crate) fn gather(
    suspects: &[&SampledRequest],
    window: &[&SampledRequest],
    memory: &ReferenceSample,
) -> Vec<Evidence> {
    if suspects.len() < ENOUGH {
        return Vec::new();
    }
    [
        repeated_requests(suspects),
        inhuman_pace(suspects),
        cache_busting(suspects),
        rotating_user_agents(suspects),
        foreign_shape(suspects, memory),
        pages_without_parts(suspects, window, memory),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn found(kind: EvidenceKind, measured: u64, threshold: u64, summary: String) -> Option<Evidence> {
    (measured >= threshold).then_some(Evidence { kind, measured, threshold, summary })
}

fn per_cent(part: usize, whole: usize) -> u64 {
    (part * 100 / whole.max(1)) as u64
}

/// The visitor, as far as a request shows it: many people may share an address, and many a browser.
fn visitor(request: &SampledRequest) -> (u64, u32, u32, u32) {
    let features = &request.features;
    (
        request.source,
        features.get(Feature::UserAgent),
        features.get(Feature::HeaderOrder),
        features.get(Feature::Language),
    )
}

/// People reload a page now and then; they do not all do it four times in two seconds. A crowd of
/// like phones behind one carrier's address repeats too, but every part of the page as often as
/// the page: a flood repeats one path above all. Players and live results send
/// ranges and conditional requests; a search box that asks at each letter sends another query each time.
fn repeated_requests(suspects: &[&SampledRequest]) -> Option<Evidence> {
    let mut groups: Vec<_> = suspects
        .iter()
        .filter(|k| !k.partial)
        .map(|k| (visitor(k), k.features.get(Feature::Path), k.query))
        .collect();
    groups.sort_unstable();
    let mut by_path: BTreeMap<u32, usize> = BTreeMap::new();
    for group in groups.chunk_by(|a, b| a == b).filter(|group| group.len() >= REPEATS) {
        *by_path.entry(group[0].1).or_default() += group.len();
    }
    let repeated: usize = by_path.values().sum();
    let most = by_path.values().max().copied().unwrap_or(0);
    if per_cent(most, repeated) < 50 {
        return None;
    }
    let share = per_cent(repeated, suspects.len());
    found(
        EvidenceKind::RepeatedRequests,
        share,
        50,
        format!(
            "{share}% of {} requests in 2 s came from visitors who asked for the same path at \
             least {REPEATS} times in those 2 s",
            suspects.len()
        ),
    )
}

/// Half of all requests come from visitors who each ask for more pages than anybody reads. A mean
/// would let one heavy visitor count for all, and assets would let a few like phones behind one
/// address do so.
fn inhuman_pace(suspects: &[&SampledRequest]) -> Option<Evidence> {
    let mut asked: Vec<_> =
        suspects.iter().filter(|k| !k.partial).map(|k| (visitor(k), k.page)).collect();
    asked.sort_unstable();
    let (mut visitors, mut requests) = (0_u64, 0);
    for of_one in asked.chunk_by(|a, b| a.0 == b.0) {
        if of_one.iter().filter(|(_, page)| *page).count() >= PACE_PER_WINDOW {
            visitors += 1;
            requests += of_one.len();
        }
    }
    if visitors < VISITORS {
        return None;
    }
    let share = per_cent(requests, suspects.len());
    let visitors = match SourceCount::from_count(visitors) {
        SourceCount::UnderTen => "fewer than ten visitors".to_owned(),
        SourceCount::About(n) => format!("{n} visitors"),
    };
    found(
        EvidenceKind::ExcessivePageRate,
        share,
        50,
        format!(
            "{share}% of {} requests in 2 s came from {visitors} who each asked for at \
             least {PACE_PER_WINDOW} pages",
            suspects.len()
        ),
    )
}

/// Links in mails may carry a different number for each reader, so this alone proves nothing.
fn cache_busting(suspects: &[&SampledRequest]) -> Option<Evidence> {
    let mut queries: Vec<_> = suspects
        .iter()
        .filter(|k| k.query != 0)
        .map(|k| (k.features.get(Feature::Path), k.query))
        .collect();
    let with_query = queries.len();
    if per_cent(with_query, suspects.len()) < 50 {
        return None;
    }
    queries.sort_unstable();
    queries.dedup();
    let share = per_cent(queries.len(), with_query);
    found(
        EvidenceKind::CacheBusting,
        share,
        90,
        format!("of {with_query} requests with a query in 2 s, {share}% had one never seen before"),
    )
}

/// One address may be an office with many browsers, but each of these loads a page with its
/// parts: few user agents, many requests each. Half as many user agents as requests is rotation.
fn rotating_user_agents(suspects: &[&SampledRequest]) -> Option<Evidence> {
    let mut by_source: Vec<_> =
        suspects.iter().map(|k| (k.source, k.features.get(Feature::UserAgent))).collect();
    by_source.sort_unstable();
    let mut rotating = 0;
    for requests in by_source.chunk_by(|a, b| a.0 == b.0) {
        let agents = requests.chunk_by(|a, b| a.1 == b.1).count();
        if requests.len() >= 4 && agents * 2 >= requests.len() {
            rotating += requests.len();
        }
    }
    let share = per_cent(rotating, suspects.len());
    found(
        EvidenceKind::RotatingUserAgents,
        share,
        50,
        format!("{share}% of requests in 2 s came from sources that changed their user agent"),
    )
}

/// A mail read on phones shifts the mix of browsers, so this alone proves nothing.
fn foreign_shape(suspects: &[&SampledRequest], memory: &ReferenceSample) -> Option<Evidence> {
    let mut shapes: BTreeMap<u32, usize> = BTreeMap::new();
    for request in suspects {
        *shapes.entry(request.features.get(Feature::HeaderOrder)).or_default() += 1;
    }
    let (shape, count) = shapes.into_iter().max_by_key(|(_, count)| *count)?;
    let ordinary = memory.features();
    if ordinary.len() < 100 {
        return None;
    }
    let before = ordinary.iter().filter(|f| f.get(Feature::HeaderOrder) == shape).count();
    if per_cent(before, ordinary.len()) > 5 {
        return None;
    }
    let share = per_cent(count, suspects.len());
    found(
        EvidenceKind::UnusualHeaderOrder,
        share,
        60,
        format!(
            "{share}% of requests in 2 s carry their header fields in one order, which {} of {} \
             ordinary requests had before",
            before,
            ordinary.len()
        ),
    )
}

/// Of everything that the suspects ask of the platform: pages and nothing else. Returning visitors
/// have some parts in their cache, so this alone proves nothing.
fn pages_without_parts(
    suspects: &[&SampledRequest],
    window: &[&SampledRequest],
    memory: &ReferenceSample,
) -> Option<Evidence> {
    let usual = memory.pages_per_thousand()? / 10;
    if usual > 60 {
        return None;
    }
    let sources: BTreeSet<u64> = suspects.iter().map(|k| k.source).collect();
    let (mut pages, mut all) = (0, 0);
    for request in window.iter().filter(|k| sources.contains(&k.source)) {
        all += 1;
        pages += usize::from(request.page);
    }
    let share = per_cent(pages, all);
    found(
        EvidenceKind::PagesWithoutAssets,
        share,
        90,
        format!(
            "{share}% of what the suspects asked for in 2 s were pages without their parts; usual \
             is {usual}%"
        ),
    )
}

#[cfg(test)]
mod tests {
    use portcullis_model::{ActivityId, Features};

    use super::*;

    /// `visitors` visitors who each request nine pages in the window.
    fn fast_readers(visitors: u64) -> Vec<SampledRequest> {
        let request = |source| SampledRequest {
            source,
            features: Features::default(),
            query: 0,
            activity: ActivityId(0),
            page: true,
            partial: false,
            forwarded: true,
            had_token: false,
            matched_signature: false,
        };
        (0..visitors * 9).map(|n| request(n % visitors)).collect()
    }

    #[test]
    fn fewer_than_ten_visitors_are_not_counted_in_a_sentence() {
        for (visitors, expected) in [(5, "from fewer than ten visitors"), (10, "from 10 visitors")]
        {
            let requests = fast_readers(visitors);
            let found = inhuman_pace(&requests.iter().collect::<Vec<_>>()).expect("evidence");
            assert!(found.summary.contains(expected), "{}", found.summary);
        }
        let four = fast_readers(4);
        assert_eq!(inhuman_pace(&four.iter().collect::<Vec<_>>()), None);
    }
}
