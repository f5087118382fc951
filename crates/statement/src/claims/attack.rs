//! That there was an attack, how it was, and on what.

use portcullis_incident::{
    Figure, Fit, Incident, LeafSet, Unit, WaveRecord, grade,
    hypotheses::{self, Cause},
    signal, words,
};

use portcullis_model::EvidenceKind;

use super::phrases::{counted, in_waves, platforms_were};
use crate::{Claim, ClaimKind, Finding};

pub(super) fn attack(incident: &Incident) -> Claim {
    let evidence = incident.evidence();
    let strong = hypotheses::has_strong_evidence(incident);
    let matrix = hypotheses::evaluate(incident);
    let figures: Vec<Figure> = incident.waves.iter().flat_map(evidence_figures).collect();
    let possible = matrix.least_contradicted();
    let kinds: Vec<_> = evidence.iter().map(|(kind, _)| *kind).collect();
    let alone = is_alone(&kinds);
    if !evidence.is_empty() && matrix.supports_attack(strong) && !alone {
        let phrases: Vec<&str> = kinds.iter().map(|kind| signal(*kind).phrase).collect();
        let claim = Claim::new(ClaimKind::Attack, Finding::Supported, rests_on(&kinds))
            .wording(format!(
                "{} attacked {}. The recorded evidence: {}.",
                platforms_were(incident),
                in_waves(incident),
                phrases.join("; "),
            ))
            .with_figures(figures)
            .caveat(hypotheses::ATTRIBUTION);
        return if possible.contains(&Cause::SelfInflicted) {
            claim.caveat(
                "The evidence also fits a faulty program on your side (a client, retries, a \
                 load test): rule that out first.",
            )
        } else {
            claim
        };
    }
    let finding = if possible.contains(&Cause::Hostile) || evidence.is_empty() {
        Finding::NotShown
    } else {
        Finding::Contradicted
    };
    let because = if evidence.is_empty() {
        "No evidence of hostility is recorded.".to_owned()
    } else if alone {
        format!("{} One kind of evidence is not enough.", rests_on(&kinds))
    } else {
        matrix.conclusion
    };
    let names = incident.attacked();
    Claim::new(ClaimKind::Attack, finding, because)
        .wording(format!(
            "There was a traffic surge of undetermined cause on {}, {}.",
            words::list(&names),
            in_waves(incident)
        ))
        .with_figures(figures)
        .with_figures([counted("waves", incident.waves.len() as u64, incident.detections())])
        .caveat(hypotheses::ATTRIBUTION)
}

/// The innocent causes of [`Cause::ALL`] with which one kind of evidence is what one would expect.
fn innocent_causes(kind: EvidenceKind) -> Vec<Cause> {
    let fits = signal(kind).fits;
    let causes = Cause::ALL.into_iter().zip(fits);
    let innocent =
        causes.filter(|(cause, fit)| *cause != Cause::Hostile && *fit == Fit::Consistent);
    innocent.map(|(cause, _)| cause).collect()
}

/// Whether there is one kind of evidence, and an innocent pattern gives it too.
fn is_alone(kinds: &[EvidenceKind]) -> bool {
    matches!(kinds, [one] if !innocent_causes(*one).is_empty())
}

/// Which evidence the word rests on, and which innocent cause explains all of it too.
fn rests_on(kinds: &[EvidenceKind]) -> String {
    let phrases: Vec<&str> = kinds.iter().map(|kind| signal(*kind).phrase).collect();
    let explains = |cause: &Cause| kinds.iter().all(|kind| innocent_causes(*kind).contains(cause));
    let innocent: Vec<&str> =
        Cause::ALL.iter().filter(|cause| explains(cause)).map(|cause| cause.name()).collect();
    let rests = format!(
        "It rests on {} of evidence: {}.",
        match kinds.len() {
            1 => "one kind".to_owned(),
            n => format!("{n} kinds"),
        },
        phrases.join("; ")
    );
    match innocent.is_empty() {
        true => format!("{rests} No innocent cause that was evaluated explains all of it."),
        false => format!("{rests} All of it would also fit: {}.", words::list(&innocent)),
    }
}

/// Each kind of evidence of a wave with its figure as it was recorded.
fn evidence_figures(wave: &WaveRecord) -> impl Iterator<Item = Figure> + '_ {
    wave.evidence.iter().map(move |seen| {
        let e = &seen.evidence;
        let summary = e.summary.trim_end_matches('.');
        let name = format!(
            "{}: {summary}; evidence from {} on, measured",
            wave.name(),
            words::count(e.threshold)
        );
        counted(&name, e.measured, seen.leaves.clone())
    })
}

pub(super) fn waves(incident: &Incident) -> Claim {
    let waves = incident.waves.len() as u64 + incident.more_waves;
    let began: Vec<String> =
        incident.waves.iter().take(8).map(|w| words::moment(w.onset)).collect();
    let (finding, because) = match waves {
        0 | 1 if !incident.coverage.is_complete() => {
            (Finding::NotShown, "One wave is recorded, and something is missing from the record.")
        }
        0 | 1 => (Finding::Contradicted, "One wave is recorded."),
        _ => (Finding::Supported, "More than one wave is recorded."),
    };
    let sentence = if waves > began.len() as u64 {
        format!(
            "{} were recorded, the first of which began on {}.",
            words::counted(waves, "wave"),
            words::list(&began)
        )
    } else if waves == 1 {
        format!("One wave was recorded; it began on {}.", words::list(&began))
    } else {
        format!(
            "{} were recorded; they began on {}.",
            words::counted(waves, "wave"),
            words::list(&began)
        )
    };
    Claim::new(ClaimKind::Waves, finding, because).wording(sentence).with_figures([counted(
        "waves",
        waves,
        incident.detections(),
    )])
}

pub(super) fn sophisticated(incident: &Incident) -> Claim {
    let found = grade::sophistication(incident);
    let observed = found.observed();
    let tool = found.has('j');
    let (finding, because) = if found.is_sophisticated() {
        (
            Finding::Supported,
            "It reacted to what was done, passed challenges, and showed at least four features of \
             the rubric.",
        )
    } else if tool || observed <= 1 {
        (
            Finding::Contradicted,
            if tool {
                "A publicly available tool introduced itself by its own name."
            } else {
                "At most one feature of the rubric was observed."
            },
        )
    } else {
        (
            Finding::NotShown,
            "The features that were observed come ready-made; the rubric asks for more.",
        )
    };
    let figures = found
        .features
        .iter()
        .filter(|f| f.observed == grade::FeatureStatus::Yes)
        .flat_map(|f| f.figures.clone());
    let figures: Vec<Figure> = figures.collect();
    Claim::new(ClaimKind::Sophisticated, finding, because)
        .wording(found.describe())
        .with_figures(figures)
        .caveat(
            "No accepted standard for the word exists; the rubric is Portcullis' own and is \
             printed in the report.",
        )
        .caveat(found.context)
}

pub(super) fn large_scale(incident: &Incident) -> Claim {
    let scale = grade::scale(incident);
    let (finding, because) = if scale.is_large_by_published_figures() {
        (Finding::Supported, "The peak is hyper-volumetric by published figures.")
    } else if scale.size.is_none() || scale.saturated {
        (Finding::NotShown, "What was counted does not reach it, and not everything was counted.")
    } else if scale.size == Some(grade::Size::Upper37) {
        (
            Finding::NotShown,
            "By published figures it was larger than most, and no published figure calls that \
             large-scale.",
        )
    } else {
        (Finding::Contradicted, "By published figures its scale was ordinary.")
    };
    let peak = scale.peak.as_ref().map(|c| c.figure.clone());
    let duration = scale.duration.as_ref().map(|c| c.figure.clone());
    let figures = [peak, scale.peak_to_baseline.clone(), duration];
    let mut claim = Claim::new(ClaimKind::LargeScale, finding, because)
        .wording(scale.describe())
        .with_figures(figures.into_iter().flatten());
    for comparison in scale.peak.iter().chain(&scale.duration) {
        for source in &comparison.citations {
            let cited = source.cite();
            if !claim.caveats.contains(&cited) {
                claim = claim.caveat(cited);
            }
        }
    }
    for caveat in &scale.caveats {
        claim = claim.caveat(caveat.clone());
    }
    claim
}

pub(super) fn platforms(incident: &Incident) -> Claim {
    let spared = incident.not_attacked();
    let of = |name: &str| -> LeafSet {
        let waves = incident.waves.iter().filter(|w| w.platform == name);
        waves.map(|w| w.detected.leaf).collect()
    };
    let figures: Vec<Figure> = incident
        .platforms
        .iter()
        .map(|p| {
            let waves = incident.waves.iter().filter(|w| w.platform == p.name);
            let window = waves
                .clone()
                .map(|w| portcullis_incident::TimeWindow::new(w.onset, w.until(incident.as_of.at)))
                .reduce(portcullis_incident::TimeWindow::with);
            Figure::new(
                format!("offered on {} during its waves", p.name),
                p.attack.offered,
                Unit::Requests,
                of(&p.name),
            )
            .within(window)
            .at_least(incident.saturated())
        })
        .collect();
    let activities: Vec<String> = incident
        .platforms
        .iter()
        .map(|p| {
            let mut names: Vec<&str> = Vec::new();
            for activity in incident
                .waves
                .iter()
                .filter(|w| w.platform == p.name)
                .flat_map(|w| w.activities.iter().map(String::as_str))
            {
                if !names.contains(&activity) {
                    names.push(activity);
                }
            }
            if names.is_empty() {
                format!("{} as a whole", p.name)
            } else {
                format!("{} ({})", p.name, words::list(&names))
            }
        })
        .collect();
    let rest = if spared.is_empty() {
        String::new()
    } else {
        format!(" No attack was recorded on {}.", words::list(&spared))
    };
    let claim = Claim::new(
        ClaimKind::Platforms,
        if incident.platforms.is_empty() { Finding::NotShown } else { Finding::Supported },
        "The waves are recorded by platform.",
    )
    .wording(format!("It was directed at {}.{rest}", words::list(&activities)))
    .with_figures(figures)
    .caveat("Only platforms behind this gate are watched; others must be named as not covered.");
    if spared.is_empty() {
        claim
    } else {
        claim.caveat(format!(
            "\u{201c}All our platforms\u{201d} would be wrong: of {} that are protected, {} had an \
             attack on record.",
            words::count(incident.protected.len() as u64),
            words::count(incident.platforms.len() as u64)
        ))
    }
}
