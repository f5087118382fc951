//! Sums of the counts that tallies hold by name.

use std::collections::BTreeMap;

use portcullis_model::{ConnReason, Reason, Verdict};

/// Verdict counts of one tally.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VerdictCounts {
    pub(crate) forwarded: u64,
    pub(crate) challenged: u64,
    pub(crate) refused: u64,
    pub(crate) dropped: u64,
    pub(crate) unknown: u64,
}

/// Counts by verdict from counts by reason.
pub(crate) fn count_verdicts(reasons: &BTreeMap<String, u64>) -> VerdictCounts {
    let mut out = VerdictCounts::default();
    for (word, &n) in reasons {
        let reason = Reason::ALL.iter().find(|reason| reason.as_str() == word);
        let sum = match reason.map(|reason| reason.verdict()) {
            Some(Verdict::Forward) => &mut out.forwarded,
            Some(Verdict::Challenge) => &mut out.challenged,
            Some(Verdict::Refuse) => &mut out.refused,
            None if ConnReason::ALL.iter().any(|reason| reason.as_str() == word) => {
                &mut out.dropped
            }
            None => &mut out.unknown,
        };
        *sum = sum.saturating_add(n);
    }
    out
}

/// Adds counts by name, without overflow.
pub(crate) fn add_map(to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    /// Names counted separately: model knows about thirty reasons, 7 outcomes and 22 cuts; a newer
    /// ledger may have more.
    const WORDS: usize = 64;
    for (word, &n) in from {
        if to.len() < WORDS || to.contains_key(word) {
            let sum = to.entry(word.clone()).or_default();
            *sum = sum.saturating_add(n);
        }
    }
}
