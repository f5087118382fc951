//! How sophisticated: features that are observed, not observed, or not measured, with their
//! figures.
//!
//! No accepted standard exists. The rubric is our own and is printed whole, so that a reader can
//! evaluate it; the word itself is only allowed when all of [`Sophistication::is_sophisticated`] holds.

use std::collections::BTreeSet;

use portcullis_model::{AttackTechnique, EvidenceKind};
use serde::Serialize;

use crate::signals::signal;
use crate::words::{attack_technique, count, counted, full_stop, list, plain, share, span};
use crate::{CutTotals, Figure, Incident, LeafSet, Unit, WaveRecord};

/// What was found of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureStatus {
    /// Evidence for it is recorded.
    Yes,
    /// It was looked for and no evidence is recorded.
    No,
    /// There was no instrument, or nothing to measure it on.
    NotMeasured,
}

impl FeatureStatus {
    /// The words that people read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "observed",
            Self::No => "not observed",
            Self::NotMeasured => "not measured",
        }
    }
}

/// One feature of the rubric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RubricFeature {
    /// Its letter, `a` to `j`.
    pub letter: char,
    /// Its name.
    pub name: &'static str,
    /// Whether it was observed.
    pub observed: FeatureStatus,
    /// The raw values.
    pub figures: Vec<Figure>,
    /// What they mean, in a sentence.
    pub summary: String,
}

/// The rubric filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sophistication {
    /// All features, in order.
    pub features: Vec<RubricFeature>,
    /// The published ladder, for context.
    pub context: String,
}

/// Challenges passed, of those given, from which the attack counts as passing them. People pass
/// too, so this is generous to the attacker.
pub const PASSES_FROM_BASIS_POINTS: u64 = 5_000;

/// The peak that Red Button's resiliency score gives for the level that it calls sophisticated.
pub const DRS_LEVEL_4_PER_SECOND: u64 = 200_000;

/// Names by which publicly available load and attack tools introduce themselves.
const TOOLS: [&str; 16] = [
    "apachebench",
    "aiohttp",
    "curl/",
    "go-http-client",
    "goldeneye",
    "hey/",
    "hulk",
    "java/",
    "libwww-perl",
    "loic",
    "okhttp",
    "python-requests",
    "python-urllib",
    "siege/",
    "slowloris",
    "wget/",
];

/// Fills in the rubric.
pub fn sophistication(incident: &Incident) -> Sophistication {
    let peak = incident.peak().map_or(0, |peak| peak.value);
    let relation = if peak <= DRS_LEVEL_4_PER_SECOND { "not over" } else { "over" };
    Sophistication {
        features: vec![
            vectors(incident),
            adaptation(incident),
            costly_targets(incident),
            passes_challenges(incident),
            protocol(incident),
            diversity(incident),
            not_measured(
                'g',
                "quality of sources",
                "Whether sources were homes, phones or data centres was not looked up.",
            ),
            not_measured(
                'h',
                "reconnaissance",
                "Earlier probing by the same visitors was not looked for.",
            ),
            not_measured(
                'i',
                "coordination with other channels",
                "Phishing, login attempts and attacks on names or mail at the same time were not \
                 watched.",
            ),
            known_tool(incident),
        ],
        context: format!(
            "The DDoS Resiliency Score (Red Button; figures reported 24 July 2023, read November \
             2026), the only published ladder found that uses the word, describes its level 4, \
             \u{201c}sophisticated\u{201d}, as up to 200,000 transactions per second; the busiest \
             moment here is {relation} that. Volume alone gives no level, and none is given."
        ),
    }
}

impl Sophistication {
    /// Features (a) to (f) that were observed. (j) counts against and is not among them.
    pub fn observed(&self) -> u64 {
        let yes = self.features.iter().filter(|f| f.observed == FeatureStatus::Yes);
        yes.filter(|f| f.letter != 'j').count() as u64
    }

    /// Features, (j) apart, for which there was an instrument.
    pub fn measured(&self) -> u64 {
        let measured = self.features.iter().filter(|f| f.observed != FeatureStatus::NotMeasured);
        measured.filter(|f| f.letter != 'j').count() as u64
    }

    /// Whether one feature was observed.
    pub fn has(&self, letter: char) -> bool {
        self.features.iter().any(|f| f.letter == letter && f.observed == FeatureStatus::Yes)
    }

    /// Whether the evidence carries the adjective: the attack reacted to what was done (b) and
    /// passed challenges (d), at least four features were observed, and no publicly available
    /// tool introduced itself (j). Several vectors, rotating user agents and cache-busting alone
    /// do not: each comes ready-made.
    pub fn is_sophisticated(&self) -> bool {
        self.has('b') && self.has('d') && self.observed() >= 4 && !self.has('j')
    }

    /// The sentence to use instead of the adjective.
    pub fn describe(&self) -> String {
        let names: Vec<&str> = self
            .features
            .iter()
            .filter(|f| f.observed == FeatureStatus::Yes && f.letter != 'j')
            .map(|f| f.name)
            .collect();
        let of = format!(
            "{} of the {} features that were measured ({} are in the rubric)",
            self.observed(),
            self.measured(),
            self.features.len() - 1
        );
        if names.is_empty() {
            format!("The attack showed {of}.")
        } else {
            format!("The attack showed {of}: {}.", list(&names))
        }
    }
}

fn evidence_leaves(incident: &Incident, kinds: &[EvidenceKind]) -> LeafSet {
    let mut leaves = LeafSet::default();
    for (kind, more) in incident.evidence() {
        if kinds.contains(&kind) {
            leaves.merge(&more);
        }
    }
    leaves
}

/// The vectors that the cuts of a wave indicate, as far as they stand out from the quiet time
/// before on its platform.
fn significant_cuts(incident: &Incident, wave: &WaveRecord) -> Vec<AttackTechnique> {
    let before = incident.platform(&wave.platform).map(|record| &record.before.cuts);
    before.map_or_else(Vec::new, |before| wave.cuts.significant_techniques(before))
}

fn vectors(incident: &Incident) -> RubricFeature {
    // Together: within one wave.
    let of_wave = |wave: &WaveRecord| -> Vec<&'static str> {
        let shown: BTreeSet<&str> =
            wave.evidence_kinds().filter_map(|kind| signal(kind).vector).collect();
        let cut = significant_cuts(incident, wave).into_iter().map(attack_technique);
        shown.into_iter().chain(cut).collect()
    };
    let waves = incident.waves.iter().map(|wave| (of_wave(wave), wave));
    let (names, leaves) = waves
        .max_by_key(|(names, wave)| (names.len(), std::cmp::Reverse(wave.detected.leaf)))
        .map_or((Vec::new(), LeafSet::default()), |(names, wave)| {
            let mut leaves = LeafSet::default();
            for seen in &wave.evidence {
                leaves.merge(&seen.leaves);
            }
            if !significant_cuts(incident, wave).is_empty() {
                leaves.merge(&wave.cuts.attack_leaves);
            }
            (names, leaves)
        });
    RubricFeature {
        letter: 'a',
        name: "several vectors in one wave",
        observed: observed_if(names.len() >= 2),
        summary: if names.is_empty() {
            "No vector could be recognised in the evidence.".to_owned()
        } else {
            format!("{} in one wave: {}.", counted(names.len() as u64, "vector"), list(&names))
        },
        figures: vec![Figure::new("vectors in one wave", names.len() as u64, Unit::Count, leaves)],
    }
}

fn adaptation(incident: &Incident) -> RubricFeature {
    let all: LeafSet = incident
        .waves
        .iter()
        .flat_map(|wave| &wave.changes)
        .map(|change| change.stamp.leaf)
        .collect();
    let mut soon = LeafSet::default();
    let mut fastest: Option<u64> = None;
    for reaction in incident.waves.iter().flat_map(WaveRecord::adaptations) {
        soon.add(reaction.change.stamp.leaf);
        fastest = Some(fastest.map_or(reaction.after_ms, |f| f.min(reaction.after_ms)));
    }
    let (total, reacted) = (all.count, soon.count);
    let mitigated = incident.waves.iter().any(|w| w.first_mitigation().is_some());
    RubricFeature {
        letter: 'b',
        name: "adaptation after mitigation",
        observed: if mitigated { observed_if(reacted > 0) } else { FeatureStatus::NotMeasured },
        summary: match fastest {
            Some(fastest) => format!(
                "Of {}, {} came within a minute of having been mitigated (the fastest after {}). \
                 A change that was planned in advance looks the same.",
                counted(total, "recorded change"),
                count(reacted),
                span(fastest)
            ),
            None if mitigated => format!(
                "Of {}, none came within a minute of having been mitigated.",
                counted(total, "recorded change")
            ),
            None => "No mitigation was recorded that it could have reacted to.".to_owned(),
        },
        figures: vec![
            Figure::new("recorded changes", total, Unit::Count, all),
            Figure::new("within a minute of mitigation", reacted, Unit::Count, soon),
        ],
    }
}

fn costly_targets(incident: &Incident) -> RubricFeature {
    let kinds = [EvidenceKind::ExpensivePaths, EvidenceKind::CacheBusting];
    let leaves = evidence_leaves(incident, &kinds);
    let measured = |kind: EvidenceKind| {
        let seen = incident.waves.iter().flat_map(|w| &w.evidence);
        let seen = seen.filter(move |s| s.evidence.kind == kind);
        seen.map(|s| plain(s.evidence.summary.trim_end_matches('.'))).next()
    };
    let described: Vec<String> = kinds.into_iter().filter_map(measured).collect();
    RubricFeature {
        letter: 'c',
        name: "aim at what is costly, or cache-busting",
        observed: observed_if(!described.is_empty()),
        summary: if described.is_empty() {
            "No evidence that the load was aimed at what costs most.".to_owned()
        } else {
            full_stop(&described.join("; "))
        },
        figures: vec![Figure::new(
            "leaves with evidence of costly targets or cache-busting",
            leaves.count,
            Unit::Count,
            leaves,
        )],
    }
}

fn passes_challenges(incident: &Incident) -> RubricFeature {
    let attack = incident.attack();
    let given = attack.challenges_issued();
    let passed = attack.passed_challenges();
    let share_passed = crate::totals::basis_points(passed, given);
    RubricFeature {
        letter: 'd',
        name: "challenges passed",
        observed: share_passed.map_or(FeatureStatus::NotMeasured, |share| {
            observed_if(share >= PASSES_FROM_BASIS_POINTS)
        }),
        summary: match share_passed {
            Some(passed) => format!(
                "{} of the challenges given during the waves were passed, by people and attack \
                 together: the attack's own share is at most that.",
                share(passed)
            ),
            None => "No challenge was given during the waves.".to_owned(),
        },
        figures: vec![
            attack.figure("challenges given", given, Unit::Count),
            attack.figure("challenges passed", passed, Unit::Count),
        ],
    }
}

fn protocol(incident: &Incident) -> RubricFeature {
    let leaves = evidence_leaves(incident, &[EvidenceKind::StalledHeaders]);
    let figures = incident.waves.iter().filter_map(|wave| wave.ended.as_ref());
    let stalled = figures.map(|end| end.figures.peak_stalled_headers).max();
    let slow_headers = leaves.count > 0;
    let cut: Vec<AttackTechnique> = AttackTechnique::ALL
        .into_iter()
        .filter(|vector| {
            incident.waves.iter().any(|w| significant_cuts(incident, w).contains(vector))
        })
        .collect();
    let cuts = incident.attack().cuts;
    let mut figures: Vec<Figure> = stalled
        .map(|n| Figure::new("most connections stalled at the same time", n, Unit::Count, leaves))
        .into_iter()
        .collect();
    if cuts.watched() {
        figures.extend(AttackTechnique::ALL.into_iter().filter_map(|vector| {
            let n = cuts.count_by_technique(vector);
            let name = format!("cut for {}", attack_technique(vector));
            let leaves = || cuts.attack_leaves.clone();
            (n > 0).then(|| Figure::new(name, n, Unit::Count, leaves()))
        }));
    }
    let headers = if slow_headers {
        "Connections were held open with unfinished headers. Tools for this have been public \
         since 2009."
    } else {
        "No connections held open with unfinished headers."
    };
    RubricFeature {
        letter: 'e',
        name: "attack on the protocol",
        observed: observed_if(slow_headers || !cut.is_empty()),
        summary: format!("{headers} {}", describe_cuts(&cuts, &incident.before().cuts, &cut)),
        figures,
    }
}

/// What the cuts say of attacks on the protocol, in a sentence or two.
fn describe_cuts(cuts: &CutTotals, before: &CutTotals, stand_out: &[AttackTechnique]) -> String {
    if !cuts.watched() {
        return "Slow readers and attacks within HTTP/2 were not looked for.".to_owned();
    }
    if !before.watched() && cuts.attack_leaves.count > 0 {
        return "There is no quiet time on record to compare with what was cut for slow reading, \
                slow bodies, or within HTTP/2 and HTTP/3."
            .to_owned();
    }
    if stand_out.is_empty() {
        return "What was cut for slow reading, slow bodies, or within HTTP/2 and HTTP/3 did not \
                stand out from the time before."
            .to_owned();
    }
    let names: Vec<&str> = stand_out.iter().map(|vector| attack_technique(*vector)).collect();
    format!(
        "Connections were cut at least {} times as often as before for {}; tools for each are \
         public.",
        CutTotals::SIGNIFICANCE_FACTOR,
        list(&names)
    )
}

fn diversity(incident: &Incident) -> RubricFeature {
    let leaves = evidence_leaves(incident, &[EvidenceKind::RotatingUserAgents]);
    let seen = leaves.count > 0;
    RubricFeature {
        letter: 'f',
        name: "rotating user agents",
        observed: observed_if(seen),
        summary: if seen {
            "Sources changed their user agent between requests. Fingerprints of TLS were not \
             compared."
                .to_owned()
        } else {
            "Sources kept their user agents. Fingerprints of TLS were not compared.".to_owned()
        },
        figures: vec![Figure::new(
            "leaves with evidence of rotating user agents",
            leaves.count,
            Unit::Count,
            leaves,
        )],
    }
}

fn known_tool(incident: &Incident) -> RubricFeature {
    let mut leaves = LeafSet::default();
    let mut found: Vec<&str> = Vec::new();
    let mut looked = false;
    for procedure in &incident.procedures {
        if procedure.facts.measure != "refuse-signature" {
            continue;
        }
        looked = true;
        let summary = procedure.facts.summary.to_lowercase();
        for tool in TOOLS.iter().filter(|tool| summary.contains(*tool)) {
            leaves.add(procedure.engaged.leaf);
            if !found.contains(tool) {
                found.push(tool);
            }
        }
    }
    let names: Vec<&str> = found.iter().map(|tool| tool.trim_end_matches('/')).collect();
    RubricFeature {
        letter: 'j',
        name: "a publicly available tool by its own name (counts against)",
        observed: if looked { observed_if(!found.is_empty()) } else { FeatureStatus::NotMeasured },
        summary: if !looked {
            "No signature was engaged that could name one.".to_owned()
        } else if found.is_empty() {
            "No engaged signature names one; a tool can hide its name.".to_owned()
        } else {
            format!("Engaged signatures name {}.", list(&names))
        },
        figures: vec![Figure::new("signatures that name one", leaves.count, Unit::Count, leaves)],
    }
}

fn not_measured(letter: char, name: &'static str, summary: &str) -> RubricFeature {
    RubricFeature {
        letter,
        name,
        observed: FeatureStatus::NotMeasured,
        figures: Vec::new(),
        summary: summary.to_owned(),
    }
}

const fn observed_if(observed: bool) -> FeatureStatus {
    if observed { FeatureStatus::Yes } else { FeatureStatus::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(telling: u64) -> CutTotals {
        let telling_leaves = (0..telling).collect();
        CutTotals { watched_ms: 60_000, attack_leaves: telling_leaves, ..CutTotals::default() }
    }

    #[test]
    fn cuts_are_only_said_not_to_stand_out_where_there_is_something_to_stand_out_from() {
        let (none, quiet) = (CutTotals::default(), watched(0));
        assert!(describe_cuts(&none, &quiet, &[]).contains("were not looked for"));
        assert!(describe_cuts(&watched(3), &none, &[]).contains("no quiet time on record"));
        assert!(describe_cuts(&watched(3), &quiet, &[]).contains("did not stand out"));
        let described = describe_cuts(&watched(3), &quiet, &[AttackTechnique::SlowReading]);
        assert!(
            described.contains("at least 10 times as often as before for slow reading"),
            "{described}"
        );
    }
}
