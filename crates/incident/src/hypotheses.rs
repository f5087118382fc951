//! What else could explain it: competing hypotheses, judged by what speaks against them.
//!
//! The method is Heuer's analysis of competing hypotheses: evidence that fits everything proves
//! nothing, and the hypothesis with the least against it stands. Who did it is never among them:
//! the answer to that is [`ATTRIBUTION`].

use portcullis_model::EvidenceKind;
use serde::Serialize;

use crate::words::{self, counted, span, times};
use crate::{Incident, Leaves, Wave, grade};

/// All that is ever said about who did it.
pub const ATTRIBUTION: &str = "Who did it: insufficient data. A source is where the last machine \
                               stood, not who sat at it.";

/// A possible explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Cause {
    /// A hostile attack by an unknown party.
    H1,
    /// A flash crowd: the organisation's own mail, a deadline, the news.
    H3,
    /// Self-inflicted: a faulty client, a storm of retries, a load test.
    H4,
    /// A component failed, and traffic was ordinary.
    H6,
}

impl Cause {
    /// All that are weighed.
    pub const ALL: [Self; 4] = [Self::H1, Self::H3, Self::H4, Self::H6];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H1 => "a hostile attack by an unknown party",
            Self::H3 => "a flash crowd (own mail, a deadline, the news)",
            Self::H4 => "self-inflicted (a faulty client, retries, a load test)",
            Self::H6 => "a component failed while traffic was ordinary",
        }
    }
}

/// One observation and what it does to each hypothesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// What was observed.
    pub says: String,
    /// The leaves that record it.
    pub leaves: Leaves,
    /// What it does to each of [`Cause::ALL`].
    pub fits: [Fit; 4],
}

/// What an observation does to a hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// It is what one would expect.
    For,
    /// It says nothing either way.
    Neutral,
    /// It is hard to explain.
    Against,
}

impl Fit {
    /// The word in tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::For => "for",
            Self::Neutral => "\u{2013}",
            Self::Against => "against",
        }
    }
}

/// A hypothesis and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hypothesis {
    /// Which.
    pub cause: Cause,
    /// Observations for it.
    pub supporting: u64,
    /// Observations against it.
    pub against: u64,
}

/// The matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Weighing {
    /// The rows.
    pub observations: Vec<Observation>,
    /// The columns' sums, in the order of [`Cause::ALL`].
    pub hypotheses: Vec<Hypothesis>,
    /// What follows, in a sentence.
    pub conclusion: String,
}

/// Weighs the hypotheses by what was recorded.
pub fn weigh(incident: &Incident) -> Weighing {
    let mut observations = Vec::new();
    for (kind, leaves) in incident.evidence() {
        observations.push(Observation {
            says: words::sentence(words::evidence(kind)),
            leaves,
            fits: fits(kind),
        });
    }
    observations.extend(reactions(incident));
    observations.extend(more_than_usual(incident));
    observations.extend(strain_before(incident));
    let sums = |column: usize, fit: Fit| {
        observations.iter().filter(|o| o.fits[column] == fit).count() as u64
    };
    let hypotheses: Vec<Hypothesis> = Cause::ALL
        .into_iter()
        .enumerate()
        .map(|(column, cause)| Hypothesis {
            cause,
            supporting: sums(column, Fit::For),
            against: sums(column, Fit::Against),
        })
        .collect();
    let mut weighing = Weighing { observations, hypotheses, conclusion: String::new() };
    weighing.conclusion = weighing.conclude(strong(incident));
    weighing
}

/// Whether evidence is recorded that proves much by itself.
pub fn strong(incident: &Incident) -> bool {
    incident.waves.iter().any(Wave::has_strong_evidence)
}

/// What each kind of evidence does to H1, H3, H4 and H6.
const fn fits(kind: EvidenceKind) -> [Fit; 4] {
    use Fit::{Against, For, Neutral};
    match kind {
        // People do not; a client that retries without pause does.
        EvidenceKind::RepeatedRequests | EvidenceKind::InhumanPace => [For, Against, For, Against],
        // Links in a mail to supporters carry an identifier for each reader, and may well lead to
        // the form that costs most.
        EvidenceKind::CacheBusting | EvidenceKind::CostlyTargets => {
            [For, Neutral, Neutral, Neutral]
        }
        // An office behind one address has many browsers, but each loads many parts; one's own
        // program has one name.
        EvidenceKind::RotatingUserAgents => [For, Against, Against, Neutral],
        // A mail read on phones shifts the mix of browsers.
        EvidenceKind::ForeignShape => [For, Neutral, For, Against],
        // Returning visitors have some parts in their caches, not nearly all. Programs of one's
        // own fetch no parts and answer no challenges.
        EvidenceKind::PagesWithoutParts | EvidenceKind::UnansweredChallenges => {
            [For, Against, For, Neutral]
        }
        EvidenceKind::StalledHeaders => [For, Against, Neutral, Neutral],
    }
}

fn reactions(incident: &Incident) -> Option<Observation> {
    let mut leaves = Leaves::default();
    let mut fastest = u64::MAX;
    for reaction in incident.waves.iter().flat_map(Wave::reactions) {
        leaves.add(reaction.change.stamp.leaf);
        fastest = fastest.min(reaction.after_ms);
    }
    (leaves.count > 0).then(|| Observation {
        says: format!(
            "The traffic changed {} within a minute of having been mitigated, the fastest after \
             {}",
            counted(leaves.count, "time"),
            span(fastest)
        ),
        leaves,
        fits: [Fit::For, Fit::Against, Fit::Against, Fit::Against],
    })
}

/// A failed component makes pages slow without making visitors more.
fn more_than_usual(incident: &Incident) -> Option<Observation> {
    let ratio = grade::scale(incident).of_baseline?;
    // Twice the baseline happens on any day.
    (ratio.value >= 20).then(|| Observation {
        says: format!("Requests rose to {} the baseline", times(ratio.value)),
        leaves: ratio.leaves,
        fits: [Fit::For, Fit::For, Fit::For, Fit::Against],
    })
}

fn strain_before(incident: &Incident) -> Option<Observation> {
    let onset = incident.onset();
    let mut strains = incident.strains.iter();
    let strain = strains.find(|s| {
        s.began.at < onset && s.recovered.is_none_or(|recovered| recovered.at >= onset)
    })?;
    Some(Observation {
        says: format!("The origin of {} was strained before the traffic rose", strain.platform),
        leaves: Leaves::one(strain.began.leaf),
        fits: [Fit::Neutral, Fit::Neutral, Fit::Neutral, Fit::For],
    })
}

impl Weighing {
    /// Observations against one hypothesis.
    pub fn against(&self, cause: Cause) -> u64 {
        let found = self.hypotheses.iter().find(|h| h.cause == cause);
        found.map_or(0, |h| h.against)
    }

    /// Those with the least against them.
    pub fn standing(&self) -> Vec<Cause> {
        let least = self.hypotheses.iter().map(|h| h.against).min();
        let standing = self.hypotheses.iter().filter(|h| Some(h.against) == least);
        standing.map(|h| h.cause).collect()
    }

    /// Whether "attack" is a word that the evidence carries: it speaks more against a flash
    /// crowd and a failed component than against hostility, and either some of it proves much by
    /// itself or no other explanation stands beside.
    pub fn carries_attack(&self, strong: bool) -> bool {
        let hostile = self.against(Cause::H1);
        self.against(Cause::H3) > hostile
            && self.against(Cause::H6) > hostile
            && (strong || self.standing() == [Cause::H1])
    }

    fn conclude(&self, strong: bool) -> String {
        let standing = self.standing();
        let names: Vec<&str> = standing.iter().map(|cause| cause.name()).collect();
        let first = if names.len() == 1 {
            format!("The hypothesis with the least against it is {}.", names[0])
        } else {
            format!("The recorded evidence does not separate {}.", words::list(&names))
        };
        let second = match (self.carries_attack(strong), standing.contains(&Cause::H4)) {
            (true, false) => "",
            (true, true) => " Rule out programs of your own before you speak of an attack.",
            (false, _) => {
                " What can be said is \u{201c}a traffic surge of undetermined cause\u{201d}."
            }
        };
        format!("{first}{second} {ATTRIBUTION}")
    }
}
