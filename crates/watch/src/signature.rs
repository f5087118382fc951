//! Signatures: what the suspects have in common and ordinary requests have not.

use std::collections::BTreeMap;

use portcullis_model::{Condition, Feature, Features, Signature};

use crate::window::{ReferenceSample, SampledRequest};

/// Fewer suspects than this are not worth a signature.
const ENOUGH: usize = 40;
/// A value that this share of the suspects has (in per cent) may become a condition.
const COMMON: usize = 30;
/// Each further condition must keep this share of what the signature hits (in per cent).
const KEEP: usize = 97;

/// A condition about the sender is telling if less than this share of ordinary requests meets it
/// (in per cent).
const RARE: usize = 20;

/// A signature with what it would hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureCandidate {
    /// The conjunction.
    pub signature: Signature,
    /// Of a thousand suspect requests, how many it hits.
    pub suspects_per_thousand: u32,
    /// Of a million ordinary requests, how many it would hit at most (95% confidence).
    pub collateral_per_million: u32,
}

/// Finds what sets the suspects apart.
///
/// Greedy: the most telling value first, then every further value that keeps the suspects in and
/// so makes the conjunction narrower. `None` if nothing common among the suspects is rare among
/// ordinary requests.
pub(crate) fn find_signature<'a>(
    suspects: impl Iterator<Item = &'a SampledRequest>,
    memory: &ReferenceSample,
) -> Option<SignatureCandidate> {
    let suspects: Vec<&Features> =
        suspects.filter(|k| !k.matched_signature && !k.had_token).map(|k| &k.features).collect();
    let ordinary = memory.features();
    if suspects.len() < ENOUGH || ordinary.is_empty() {
        return None;
    }
    let mut choices: Vec<(Condition, u64, usize)> = Feature::ALL
        .iter()
        .filter_map(|feature| {
            let (value, share) = most_common(&suspects, *feature)?;
            // Without TLS, or behind a proxy, no client has one.
            if *feature == Feature::TlsFingerprint && value == 0 {
                return None;
            }
            let condition = Condition { feature: *feature, value };
            let before = ordinary.iter().filter(|f| f.get(*feature) == value).count();
            // In a hundred-thousandths; one is added so that "never seen" stays comparable.
            let rarity = (before as u64 + 1) * 100_000 / (ordinary.len() as u64 + 1);
            Some((condition, rarity, share))
        })
        .collect();
    // Rarest among ordinary requests first; among equals, the commonest among the suspects.
    choices.sort_by_key(|(condition, rarity, share)| {
        (*rarity, core::cmp::Reverse(*share), condition.feature)
    });

    let mut signature = Signature { conditions: Vec::new() };
    let mut hit = suspects.len();
    for (condition, _, _) in choices {
        signature.conditions.push(condition);
        let now = suspects.iter().filter(|f| signature.matches(f)).count();
        let first = signature.conditions.len() == 1;
        if !first && now * 100 < hit * KEEP {
            signature.conditions.pop();
        } else {
            hit = now;
        }
    }
    if signature.conditions.is_empty() {
        return None;
    }
    // A target does not describe the sender: a new page that all visitors read is rare among
    // earlier requests too.
    let about_sender = |c: Condition| {
        let sender = matches!(
            c.feature,
            Feature::HeaderOrder
                | Feature::UserAgent
                | Feature::Language
                | Feature::Accept
                | Feature::TlsFingerprint
        );
        sender && share_before(ordinary, c) < RARE
    };
    if !signature.conditions.iter().copied().any(about_sender) {
        return None;
    }
    signature.conditions.sort_by_key(|condition| condition.feature);
    let collateral = ordinary.iter().filter(|f| signature.matches(f)).count() as u64;
    Some(SignatureCandidate {
        suspects_per_thousand: (hit * 1_000 / suspects.len()) as u32,
        collateral_per_million: upper_bound_per_million(collateral, ordinary.len() as u64),
        signature,
    })
}

/// In per cent, how many ordinary requests meet a condition.
fn share_before(ordinary: &[Features], condition: Condition) -> usize {
    let before = ordinary.iter().filter(|f| f.get(condition.feature) == condition.value).count();
    before * 100 / ordinary.len().max(1)
}

fn most_common(suspects: &[&Features], feature: Feature) -> Option<(u32, usize)> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for features in suspects {
        *counts.entry(features.get(feature)).or_default() += 1;
    }
    let (value, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    (count * 100 >= suspects.len() * COMMON).then_some((value, count * 100 / suspects.len()))
}

/// Upper end of a 95% confidence interval for a rate of which `hits` in `trials` were seen. With
/// no hits this is the rule of three (3/n; Hanley and Lippman-Hand 1983); with some, the usual
/// addition of two standard deviations (√hits, Poisson).
fn upper_bound_per_million(hits: u64, trials: u64) -> u32 {
    let upper = hits + 3 + 2 * hits.isqrt();
    (upper * 1_000_000).checked_div(trials).unwrap_or(u64::MAX).min(1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(features: [u32; 8]) -> SampledRequest {
        sample_over_tls(features, 0)
    }

    fn sample_over_tls(features: [u32; 8], client: u32) -> SampledRequest {
        let mut all = [client; 9];
        all[..8].copy_from_slice(&features);
        SampledRequest {
            source: 1,
            features: Features(all),
            query: 0,
            activity: portcullis_model::ActivityId(0),
            page: true,
            partial: false,
            forwarded: true,
            had_token: false,
            matched_signature: false,
        }
    }

    fn memory(rows: u32) -> ReferenceSample {
        let mut memory = ReferenceSample::default();
        for i in 0..rows {
            memory.push(&sample([1, i % 7 + 1, 0, i % 3 + 1, i % 20 + 1, i % 4 + 1, 1, 0]));
        }
        memory
    }

    #[test]
    fn a_scripted_flood_is_set_apart_without_hitting_ordinary_requests() {
        let flood: Vec<_> = (0..200).map(|_| sample([1, 2, 9, 99, 98, 0, 5, 0])).collect();
        let candidate = find_signature(flood.iter(), &memory(2_000)).expect("a signature");
        assert_eq!(candidate.suspects_per_thousand, 1_000);
        assert_eq!(candidate.collateral_per_million, 1_500);
        assert!(candidate.signature.conditions.len() >= 4, "narrow: {candidate:?}");
    }

    #[test]
    fn a_perfect_imitation_has_no_signature_worth_its_collateral() {
        let crowd: Vec<_> = (0..200u32)
            .map(|i| sample([1, i % 7 + 1, 0, i % 3 + 1, i % 20 + 1, i % 4 + 1, 1, 0]))
            .collect();
        let candidate = find_signature(crowd.iter(), &memory(2_000));
        assert!(candidate.is_none_or(|c| c.collateral_per_million > 50_000));
    }

    #[test]
    fn visitors_among_the_suspects_do_not_widen_the_signature() {
        let mut mixed: Vec<_> = (0..180).map(|_| sample([1, 2, 9, 99, 98, 0, 5, 0])).collect();
        mixed.extend((0..20u32).map(|i| sample([1, 2, 0, i % 3 + 1, i % 20 + 1, 1, 1, 0])));
        let candidate = find_signature(mixed.iter(), &memory(2_000)).expect("a signature");
        assert_eq!(candidate.suspects_per_thousand, 900);
        assert_eq!(candidate.collateral_per_million, 1_500);
    }

    #[test]
    fn a_flood_that_imitates_a_browsers_fields_is_set_apart_by_its_tls_library() {
        let shape = |i: u32| [1, i % 7 + 1, 0, i % 3 + 1, i % 20 + 1, i % 4 + 1, 1, 0];
        let mut ordinary = ReferenceSample::default();
        for i in 0..2_000 {
            ordinary.push(&sample_over_tls(shape(i), i % 5 + 1));
        }
        let flood: Vec<_> = (0..200).map(|i| sample_over_tls(shape(i), 99)).collect();
        let candidate = find_signature(flood.iter(), &ordinary).expect("a signature");
        let expected = Condition { feature: Feature::TlsFingerprint, value: 99 };
        assert!(candidate.signature.conditions.contains(&expected));
        assert_eq!(candidate.suspects_per_thousand, 1_000);
    }

    #[test]
    fn a_new_page_that_all_visitors_read_is_no_signature() {
        let readers: Vec<_> = (0..200u32)
            .map(|i| sample([1, 77, 0, i % 3 + 1, i % 20 + 1, i % 4 + 1, 1, 0]))
            .collect();
        assert_eq!(find_signature(readers.iter(), &memory(2_000)), None);
    }

    #[test]
    fn few_ordinary_requests_make_a_cautious_estimate() {
        assert_eq!(upper_bound_per_million(0, 100), 30_000);
        assert_eq!(upper_bound_per_million(0, 3_000), 1_000);
        assert_eq!(upper_bound_per_million(4, 1_000), 11_000);
        assert_eq!(upper_bound_per_million(0, 0), 1_000_000);
    }
}
