//! What else could explain it: competing hypotheses, judged by the evidence against them.
//!
//! The method is Heuer's analysis of competing hypotheses: evidence that fits everything proves
//! nothing, and the hypothesis with the least against it remains. Who did it is never among them:
//! the answer to that is [`ATTRIBUTION`].

use serde::Serialize;

use crate::signals::{Fit, signal};
use crate::words::{self, counted, span, times};
use crate::{Incident, LeafSet, WaveRecord, grade};

/// The only sentence about who did it.
pub const ATTRIBUTION: &str = "Who did it: insufficient data. A source is the address of the last \
                               machine, not its user.";

/// A possible explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Cause {
    /// A hostile attack by an unknown party.
    Hostile,
    /// A flash crowd: the organisation's own mail, a deadline, the news.
    FlashCrowd,
    /// Self-inflicted: a faulty client, a storm of retries, a load test.
    SelfInflicted,
    /// A component failed, and traffic was ordinary.
    ComponentFailure,
}

impl Cause {
    /// All that are evaluated.
    pub const ALL: [Self; 4] =
        [Self::Hostile, Self::FlashCrowd, Self::SelfInflicted, Self::ComponentFailure];

    /// The label in tables, as analysts number them.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hostile => "H1",
            Self::FlashCrowd => "H3",
            Self::SelfInflicted => "H4",
            Self::ComponentFailure => "H6",
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hostile => "a hostile attack by an unknown party",
            Self::FlashCrowd => "a flash crowd (own mail, a deadline, the news)",
            Self::SelfInflicted => "self-inflicted (a faulty client, retries, a load test)",
            Self::ComponentFailure => "a component failed while traffic was ordinary",
        }
    }
}

/// One observation and what it does to each hypothesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MatrixRow {
    /// What was observed.
    pub summary: String,
    /// The leaves that record it.
    pub leaves: LeafSet,
    /// What it does to each of [`Cause::ALL`].
    pub fits: [Fit; 4],
}

/// A hypothesis and its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hypothesis {
    /// Which.
    pub cause: Cause,
    /// Observations for it.
    pub consistent: u64,
    /// Observations against it.
    pub inconsistent: u64,
}

/// The matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HypothesisMatrix {
    /// The rows.
    pub rows: Vec<MatrixRow>,
    /// The columns' sums, in the order of [`Cause::ALL`].
    pub hypotheses: Vec<Hypothesis>,
    /// What follows, in a sentence.
    pub conclusion: String,
}

/// Evaluates the hypotheses by what was recorded.
pub fn evaluate(incident: &Incident) -> HypothesisMatrix {
    let mut rows = Vec::new();
    for (kind, leaves) in incident.evidence() {
        let signal = signal(kind);
        rows.push(MatrixRow { summary: words::sentence(signal.phrase), leaves, fits: signal.fits });
    }
    rows.extend(adaptations(incident));
    rows.extend(above_baseline(incident));
    rows.extend(degraded_before(incident));
    let sums =
        |column: usize, fit: Fit| rows.iter().filter(|o| o.fits[column] == fit).count() as u64;
    let hypotheses: Vec<Hypothesis> = Cause::ALL
        .into_iter()
        .enumerate()
        .map(|(column, cause)| Hypothesis {
            cause,
            consistent: sums(column, Fit::Consistent),
            inconsistent: sums(column, Fit::Inconsistent),
        })
        .collect();
    let mut matrix = HypothesisMatrix { rows, hypotheses, conclusion: String::new() };
    matrix.conclusion = matrix.conclude(has_strong_evidence(incident));
    matrix
}

/// Whether evidence is recorded that proves much alone.
pub fn has_strong_evidence(incident: &Incident) -> bool {
    incident.waves.iter().any(WaveRecord::has_strong_evidence)
}

fn adaptations(incident: &Incident) -> Option<MatrixRow> {
    let mut leaves = LeafSet::default();
    let mut fastest = u64::MAX;
    for reaction in incident.waves.iter().flat_map(WaveRecord::adaptations) {
        leaves.add(reaction.change.stamp.leaf);
        fastest = fastest.min(reaction.after_ms);
    }
    (leaves.count > 0).then(|| MatrixRow {
        summary: format!(
            "The traffic changed {} within a minute of having been mitigated, the fastest after \
             {}",
            counted(leaves.count, "time"),
            span(fastest)
        ),
        leaves,
        fits: [Fit::Consistent, Fit::Inconsistent, Fit::Inconsistent, Fit::Inconsistent],
    })
}

/// A failed component makes pages slow without making visitors more.
fn above_baseline(incident: &Incident) -> Option<MatrixRow> {
    let ratio = grade::scale(incident).peak_to_baseline?;
    // Twice the baseline happens on any day.
    (ratio.value >= 20).then(|| MatrixRow {
        summary: format!("Requests rose to {} the baseline", times(ratio.value)),
        leaves: ratio.leaves,
        fits: [Fit::Consistent, Fit::Consistent, Fit::Consistent, Fit::Inconsistent],
    })
}

fn degraded_before(incident: &Incident) -> Option<MatrixRow> {
    let onset = incident.onset();
    let mut degradations = incident.degradations.iter();
    let degradation = degradations.find(|s| {
        s.began.at < onset && s.recovered.is_none_or(|recovered| recovered.at >= onset)
    })?;
    Some(MatrixRow {
        summary: format!(
            "The origin of {} was degraded before the traffic rose",
            degradation.platform
        ),
        leaves: LeafSet::single(degradation.began.leaf),
        fits: [Fit::Neutral, Fit::Neutral, Fit::Neutral, Fit::Consistent],
    })
}

impl HypothesisMatrix {
    /// Observations against one hypothesis.
    pub fn inconsistent_count(&self, cause: Cause) -> u64 {
        let found = self.hypotheses.iter().find(|h| h.cause == cause);
        found.map_or(0, |h| h.inconsistent)
    }

    /// Those with the least against them.
    pub fn least_contradicted(&self) -> Vec<Cause> {
        let least = self.hypotheses.iter().map(|h| h.inconsistent).min();
        let remaining = self.hypotheses.iter().filter(|h| Some(h.inconsistent) == least);
        remaining.map(|h| h.cause).collect()
    }

    /// Whether the evidence supports the word "attack": it contradicts a flash crowd and a failed
    /// component more than it contradicts hostility, and either some of it proves much
    /// alone or no other explanation is as good.
    pub fn supports_attack(&self, strong: bool) -> bool {
        let hostile = self.inconsistent_count(Cause::Hostile);
        self.inconsistent_count(Cause::FlashCrowd) > hostile
            && self.inconsistent_count(Cause::ComponentFailure) > hostile
            && (strong || self.least_contradicted() == [Cause::Hostile])
    }

    fn conclude(&self, strong: bool) -> String {
        let remaining = self.least_contradicted();
        let names: Vec<&str> = remaining.iter().map(|cause| cause.name()).collect();
        let first = if names.len() == 1 {
            format!("The hypothesis with the least against it is {}.", names[0])
        } else {
            format!("The recorded evidence does not separate {}.", words::list(&names))
        };
        let second = match (self.supports_attack(strong), remaining.contains(&Cause::SelfInflicted))
        {
            (true, false) => "",
            (true, true) => " Rule out your own programs before you call it an attack.",
            (false, _) => " You can say \u{201c}a traffic surge of undetermined cause\u{201d}.",
        };
        format!("{first}{second} {ATTRIBUTION}")
    }
}
