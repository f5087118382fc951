//! What the record says about one assertion.

use portcullis_incident::{LeafSet, TimeWindow};

use super::super::moments::SaidTime;
use crate::{ClaimKind, Finding};

/// Which part of the incident a sentence is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClauseScope {
    /// The sites that it names, by their numbers in [`KnownNames`].
    pub(crate) sites: Vec<usize>,
    /// It names sites without a name as well.
    pub(crate) unnamed: bool,
    /// The wave or the outage that it names, counted from one.
    pub(crate) ordinal: Option<u64>,
    /// Times that it names: only what was then is meant.
    pub(crate) moments: Vec<SaidTime>,
    /// It sums over all: "in total".
    pub(crate) total: bool,
    /// Numbers of requests are those of a second.
    pub(crate) per_second: bool,
    /// A length of time is said of each.
    pub(crate) each: Option<Each>,
}

/// Of which of several events something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Each {
    /// "Both attacks lasted …"
    All,
    /// "Neither attack lasted …"
    Any,
}

/// The record about one assertion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Basis {
    pub(crate) finding: Option<Finding>,
    pub(crate) because: String,
    pub(crate) kind: Option<ClaimKind>,
    pub(crate) leaves: Vec<u64>,
    /// When it was.
    pub(crate) windows: Vec<TimeWindow>,
    /// How long it lasted, in milliseconds: each value that may be meant.
    pub(crate) lasted: Vec<u64>,
    /// How long each of several lasted.
    pub(crate) each: Vec<u64>,
    /// How long after the onset it was, at the slowest.
    pub(crate) within: Vec<u64>,
    /// Requests per second.
    pub(crate) rates: Vec<u64>,
    /// Shares in hundredths of a per cent.
    pub(crate) shares: Vec<u64>,
    /// Tenths of a multiple of the baseline.
    pub(crate) times_normal: Vec<u64>,
    pub(crate) times_capacity: Vec<u64>,
    /// Counts of things by their class.
    pub(crate) counts: Vec<(&'static str, Vec<u64>)>,
    /// The share of requests that were affected, in hundredths of a per cent.
    pub(crate) affected: Option<u64>,
    /// True of the platforms that are named and of no other one.
    pub(crate) only: Option<bool>,
    /// True of all platforms.
    pub(crate) all_sites: Option<bool>,
}

impl Basis {
    pub(crate) fn new(finding: Finding, because: impl Into<String>) -> Self {
        Self { finding: Some(finding), because: because.into(), ..Self::default() }
    }

    pub(crate) fn leaves(mut self, leaves: &LeafSet) -> Self {
        self.leaves.extend(leaves.to_prove());
        self
    }

    pub(crate) fn kind(mut self, kind: ClaimKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The counts of a class.
    pub(crate) fn count(&self, class: &str) -> Option<&[u64]> {
        let found = self.counts.iter().find(|(name, _)| *name == class);
        found.map(|(_, values)| values.as_slice())
    }
}

/// Under this share a disruption is called minor, limited or small: one request in a hundred.
pub(crate) const MINOR_BASIS_POINTS: u64 = 100;

/// From this share on it is called serious: one request in twenty.
pub(crate) const SERIOUS_BASIS_POINTS: u64 = 500;

/// Shorter is called short or brief.
pub(crate) const BRIEF_MS: u64 = 600_000;

/// From here on it is called long or sustained.
pub(crate) const LONG_MS: u64 = 3_600_000;

/// The length; of several the sum, and the longest unless a total is asked for.
pub(crate) fn lengths(windows: &[TimeWindow], total: bool) -> Vec<u64> {
    let all: Vec<u64> = windows.iter().map(|w| w.millis()).collect();
    match all.len() {
        0 | 1 => all,
        _ if total => vec![all.iter().sum()],
        _ => vec![all.iter().sum(), all.iter().copied().max().unwrap_or(0)],
    }
}

pub(crate) fn share(part: u64, whole: u64) -> Option<u64> {
    (whole > 0).then(|| part.saturating_mul(10_000) / whole)
}
