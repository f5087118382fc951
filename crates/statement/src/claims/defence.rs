//! What was done about it, and whether people were served meanwhile.

use portcullis_incident::{
    Figure, Incident, LeafSet, PlatformRecord, TimeWindow, Unit, WaveRecord, grade, words,
};
use portcullis_model::{EvidenceKind, Tier};

use super::outages;
use super::phrases::counted;
use crate::{Claim, ClaimKind, Finding};

/// "Swift" has no published measure. Own constant: the first procedure within a minute of the
/// onset, which no telephone tree achieves.
const SWIFT_MS: u64 = 60_000;
/// From here on it is not swift by any usage.
const SLOW_MS: u64 = 600_000;
/// The share of forwarded requests that must be answered for "people were served", in hundredths
/// of a per cent. Own constant: the threshold that drills are scored against.
const SERVED_SHARE_UP: u64 = 9_900;
/// How long the waves may have gone unmitigated, all in all, for "failed" to be supported on the ground
/// of what was answered from then on. Own constant: a visitor tries again for half a minute.
const SHORT_UNMITIGATED_MS: u64 = 30_000;
/// Under this share the opposite is true: one page in twenty failed.
const SERVED_SHARE_DOWN: u64 = 9_500;

pub(super) fn detected(incident: &Incident) -> Claim {
    let Some(slowest) = slowest(incident, |wave| Some(wave.time_to_detect_ms())) else {
        return Claim::new(ClaimKind::Detected, Finding::NotShown, "No detection is recorded.")
            .wording("No detection by the gate is recorded.");
    };
    Claim::new(
        ClaimKind::Detected,
        Finding::Supported,
        "Each wave's detection is recorded with its evidence.",
    )
    .wording(format!(
        "Our gate, Portcullis, detected {} within {} of the onset.",
        each_wave(incident),
        words::span(slowest)
    ))
    .with_figures([Figure::new(
        "slowest detection after an onset",
        slowest,
        Unit::Millis,
        incident.detections(),
    )])
    .caveat("The onset is found by looking back at the counts, a few seconds at most.")
}

fn each_wave(incident: &Incident) -> String {
    match incident.waves.len() {
        1 => "the wave".to_owned(),
        2 => "both waves".to_owned(),
        n => format!("all {n} waves"),
    }
}

/// The largest value of `of` over all waves; `None` if it has none for one of them.
fn slowest(incident: &Incident, of: impl Fn(&WaveRecord) -> Option<u64>) -> Option<u64> {
    let all: Option<Vec<u64>> = incident.waves.iter().map(of).collect();
    all?.into_iter().max()
}

/// The first procedure on the wave's platform that was engaged since its onset or was engaged
/// already when it began, and how long after the onset that was.
fn first_procedure(incident: &Incident, wave: &WaveRecord) -> Option<(u64, u64)> {
    let until = wave.until(incident.as_of.at);
    let ended = |p: &portcullis_incident::ProcedureRecord| {
        let released = p.released.as_ref().map(|r| r.stamp);
        released.or(p.interrupted).map(|s| s.at)
    };
    incident
        .procedures
        .iter()
        .filter(|p| p.facts.platform == wave.platform && p.engaged.at <= until)
        .filter(|p| ended(p).is_none_or(|end| end > wave.onset))
        .map(|p| {
            let after = p.engaged.at.millis().saturating_sub(wave.onset.millis());
            (after, p.engaged.leaf)
        })
        .min()
}

pub(super) fn swift_action(incident: &Incident) -> Claim {
    let first: Vec<Option<(u64, u64)>> =
        incident.waves.iter().map(|wave| first_procedure(incident, wave)).collect();
    let engaged: LeafSet = first.iter().flatten().map(|(_, leaf)| *leaf).collect();
    let all: Option<Vec<u64>> = first.iter().map(|f| f.map(|(ms, _)| ms)).collect();
    let slowest_procedure = all.and_then(|all| all.into_iter().max());
    let mitigated = slowest(incident, |w| w.first_mitigation().map(|m| m.after_ms));
    let mitigations: LeafSet =
        incident.waves.iter().filter_map(|w| w.first_mitigation()).map(|m| m.stamp.leaf).collect();
    let mut figures = Vec::new();
    if let Some(ms) = slowest_procedure {
        figures.push(Figure::new(
            "slowest first procedure after an onset",
            ms,
            Unit::Millis,
            engaged,
        ));
    }
    if let Some(ms) = mitigated {
        figures.push(Figure::new(
            "slowest first mitigation after an onset",
            ms,
            Unit::Millis,
            mitigations,
        ));
    }
    let automatic = "The gate acted automatically; when a person acted is not recorded.";
    let claim = match (slowest_procedure, mitigated) {
        (Some(procedure), Some(mitigated)) if procedure <= SWIFT_MS => Claim::new(
            ClaimKind::SwiftAction,
            Finding::Supported,
            "In each wave a procedure was engaged within a minute, and mitigation is recorded.",
        )
        .wording(format!(
            "In {}, automatic procedures were engaged within {} of the onset, and what reached \
             our origin was back within its capacity within {}.",
            each_wave(incident),
            words::span(procedure),
            words::span(mitigated)
        )),
        (Some(procedure), _) if procedure >= SLOW_MS => Claim::new(
            ClaimKind::SwiftAction,
            Finding::Contradicted,
            "In one wave the first procedure came ten minutes or more after the onset.",
        )
        .wording(format!(
            "The first automatic procedure was engaged {} after the onset.",
            words::span(procedure)
        )),
        (Some(procedure), _) => Claim::new(
            ClaimKind::SwiftAction,
            Finding::NotShown,
            if mitigated.is_none() {
                "No mitigation is recorded for one of the waves."
            } else {
                "In one wave the first procedure came more than a minute after the onset."
            },
        )
        .wording(format!(
            "Automatic procedures were engaged within {} of the onset.",
            words::span(procedure)
        )),
        (None, _) => Claim::new(
            ClaimKind::SwiftAction,
            Finding::NotShown,
            "No procedure is recorded for one of the waves.",
        )
        .wording("What was done, and when, is not recorded for every wave."),
    };
    claim.with_figures(figures).caveat(automatic).caveat(
        "\u{201c}Swift\u{201d} has no published measure; a minute to the first procedure is \
         Portcullis' own.",
    )
}

/// Forwarded requests answered during the waves, by platform.
fn served_shares(incident: &Incident) -> Vec<Figure> {
    let shares = incident.platforms.iter().filter_map(|p| {
        let share = p.attack.served_share()?;
        Some(p.attack.figure(
            format!("forwarded requests that the origin of {} answered", p.name),
            share,
            Unit::BasisPoints,
        ))
    });
    shares.collect()
}

/// The same for each essential activity.
fn essential_served_shares(incident: &Incident) -> Vec<Figure> {
    let mut figures = Vec::new();
    for facts in &incident.protected {
        let Some(record) = incident.platform(&facts.name) else {
            continue;
        };
        for (activity, tier) in &facts.activities {
            if *tier == Tier::Essential {
                figures.extend(activity_served_share(record, activity));
            }
        }
    }
    figures
}

fn activity_served_share(record: &PlatformRecord, activity: &str) -> Option<Figure> {
    let totals = record.attack.activities.get(&record.name)?.get(activity)?;
    let name = format!("of these, {activity} on {}", record.name);
    Some(
        Figure::new(name, totals.served_share()?, Unit::BasisPoints, totals.leaves.clone())
            .within(record.attack.window),
    )
}

fn lowest(figures: &[Figure]) -> Option<u64> {
    figures.iter().map(|f| f.value).min()
}

/// What "answered" means, stated wherever it is used.
const SERVED_DEFINITION: &str = "Answered means: of the requests that were sent on to the origin and not \
                        broken off by the visitor, the origin answered with a status under 500. \
                        People and programs cannot be distinguished one by one; what defence cost people \
                        is counted separately.";

pub(super) fn attempts_failed(incident: &Incident) -> Claim {
    let shares = served_shares(incident);
    let lowest_share = lowest(&shares);
    let held_shares: Vec<Figure> = incident
        .platforms
        .iter()
        .filter_map(|p| {
            let share = p.while_mitigated.served_share()?;
            let name = format!("of those on {}, while mitigated", p.name);
            Some(p.while_mitigated.figure(name, share, Unit::BasisPoints))
        })
        .collect();
    let lowest_held = lowest(&held_shares);
    let mitigated: LeafSet = incident
        .waves
        .iter()
        .filter(|w| w.stayed_mitigated())
        .filter_map(|w| w.mitigations.items.last())
        .map(|m| m.stamp.leaf)
        .collect();
    let held = mitigated.count;
    let waves = incident.waves.len() as u64 + incident.more_waves;
    let ended = incident.waves.iter().all(|w| w.ended.is_some()) && waves > 0;
    let open_ms = incident
        .waves
        .iter()
        .map(|w| w.unmitigated_ms(incident.as_of.at))
        .fold(0, u64::saturating_add);
    let served = lowest_share.is_some_and(|share| share >= SERVED_SHARE_UP);
    // The origin of every platform must have gone on answering once its waves were mitigated.
    let served_after = held_shares.len() == incident.platforms.len()
        && lowest_held.is_some_and(|share| share >= SERVED_SHARE_UP)
        && open_ms <= SHORT_UNMITIGATED_MS;
    let attack = incident.attack();
    let (finding, because) = if ended && held == waves && served {
        (
            Finding::Supported,
            "Every wave ended mitigated, and meanwhile the origin answered at least 99% of what \
             was forwarded.",
        )
    } else if ended && held == waves && served_after {
        (
            Finding::Supported,
            "Every wave ended mitigated, all in all within half a minute, and from then on the \
             origin answered at least 99% of what was forwarded.",
        )
    } else if lowest_share.is_some_and(|share| share < SERVED_SHARE_DOWN) {
        (
            Finding::Contradicted,
            "During the waves more than one forwarded request in twenty was not answered: in part \
             the attempts succeeded.",
        )
    } else if incident.ongoing() {
        (Finding::NotShown, "The attack continues where the record ends.")
    } else if held < waves {
        (Finding::NotShown, "Not every wave has a mitigation on record that held.")
    } else if !ended {
        (Finding::NotShown, "The end of a wave was not seen.")
    } else if lowest_share.is_none() {
        (Finding::NotShown, "Nothing that was forwarded during the waves is on record.")
    } else {
        (
            Finding::NotShown,
            "During the waves the origin answered less than 99% of what was forwarded.",
        )
    };
    let brought = "what reached our origin was brought back within its capacity";
    let head = match (held == waves, waves) {
        (true, 1) => format!("The wave was mitigated: {brought}."),
        (true, 2) => format!("Both waves were mitigated: {brought}."),
        (true, n) => format!("All {n} waves were mitigated: {brought}."),
        (false, n) => format!("{held} of {n} waves {} mitigated: {brought}.", words::were(held)),
    };
    let overall = lowest_share.map_or_else(String::new, |share| {
        format!(
            " Over the waves as a whole, {} of the requests that were sent on to it were answered.",
            words::share(share)
        )
    });
    let after = match lowest_held.filter(|_| held > 0) {
        Some(share) if !served => format!(
            " For {} the attack was not mitigated; while it was, {} were answered.",
            words::span(open_ms),
            words::share(share)
        ),
        _ => String::new(),
    };
    Claim::new(ClaimKind::AttemptsFailed, finding, because)
        .wording(format!("{head}{overall}{after}"))
        .with_figures([counted("waves mitigated for good", held, mitigated.clone())])
        .with_figures(shares)
        .with_figures(held_shares)
        .with_figures([
            Figure::new("time not mitigated, all waves together", open_ms, Unit::Millis, mitigated),
            attack
                .figure("stopped before the origin", attack.stopped(), Unit::Requests)
                .at_least(incident.saturated()),
        ])
        .caveat(SERVED_DEFINITION)
        .caveat(
            "\u{201c}Every single one\u{201d} cannot be said: attack requests that looked ordinary \
             were forwarded and answered like any other.",
        )
}

pub(super) fn because_of_defences(incident: &Incident) -> Claim {
    let scale = grade::scale(incident);
    let stopped = incident.stopped_by_procedures();
    let held = incident.waves.iter().any(WaveRecord::stayed_mitigated);
    let over = scale.sustained_to_capacity.as_ref().is_some_and(|f| f.value > 10);
    let degraded: LeafSet = incident
        .degradations
        .iter()
        .filter(|s| {
            s.recovered.is_some()
                && incident.waves.iter().any(|w| {
                    w.platform == s.platform
                        && s.began.at >= w.onset
                        && s.began.at <= w.until(incident.as_of.at)
                })
        })
        .map(|s| s.began.leaf)
        .collect();
    let stalled = incident.evidence().iter().any(|(kind, _)| *kind == EvidenceKind::StalledHeaders);
    let (finding, because) = if stopped.value == 0 {
        (
            Finding::NotShown,
            "No effect of a procedure is on record (it is written when a procedure is released).",
        )
    } else if !held {
        (Finding::NotShown, "No mitigation is recorded that held.")
    } else if over || degraded.count > 0 {
        (
            Finding::Supported,
            "Procedures are recorded to have stopped requests, and without them more would have \
             reached the origin than it was ever seen to handle, or than it handled in the first \
             seconds.",
        )
    } else if scale.sustained_to_capacity.is_some() && !stalled && !scale.saturated {
        (
            Finding::Contradicted,
            "All that was offered, at its busiest, was no more than the origin was seen to handle: \
             it might well have stayed up without.",
        )
    } else {
        (
            Finding::NotShown,
            "It is not on record what the origin could have handled without procedures.",
        )
    };
    let mut sentence = format!("Our procedures stopped {}.", stopped.text());
    match &scale.sustained_to_capacity {
        Some(ratio) if over => {
            sentence = format!(
                "{sentence} At its busiest, {} as much was offered as our origin was ever seen to \
                 handle.",
                ratio.text()
            );
        }
        Some(_) if finding == Finding::Contradicted => {
            sentence = format!(
                "{sentence} The traffic, unblocked, would not have exceeded what our origin has \
                 been seen to handle."
            );
        }
        _ => {}
    }
    if degraded.count > 0 {
        sentence = format!(
            "{sentence} The origin was degraded {} during the waves and recovered.",
            if degraded.count == 1 {
                "once".to_owned()
            } else {
                format!("{} times", words::count(degraded.count))
            }
        );
    }
    let degradation_figure =
        counted("times that the origin was degraded and recovered", degraded.count, degraded);
    Claim::new(ClaimKind::BecauseOfDefences, finding, because)
        .wording(sentence)
        .with_figures([stopped])
        .with_figures(scale.sustained_to_capacity)
        .with_figures(scale.observed_capacity)
        .with_figures([degradation_figure])
        .caveat(
            "What would have happened without the defences was not observed; this compares what \
             was offered with what the origin was seen to handle, and requests differ in what they \
             cost.",
        )
        .caveat("\u{201c}Robust\u{201d} is an opinion; the figures are not.")
}

pub(super) fn stayed_up(incident: &Incident) -> Claim {
    let shares = served_shares(incident);
    let essential = essential_served_shares(incident);
    let all = lowest(&shares);
    let least = lowest(&essential).into_iter().chain(all).min();
    let gaps = incident.coverage.gaps.iter().any(|gap| {
        incident.waves.iter().any(|w| gap.overlaps(w.onset, w.until(incident.as_of.at)))
    });
    let counted_all = shares.len() == incident.platforms.len() && !shares.is_empty();
    let outage = outages::sentence(incident);
    let (finding, because) = match least {
        _ if outage.is_some() => (
            Finding::Contradicted,
            "An outage is on record: most requests to an origin were left without an answer.",
        ),
        Some(share) if share < SERVED_SHARE_DOWN => (
            Finding::Contradicted,
            "During the waves more than one forwarded request in twenty was not answered.",
        ),
        Some(_) if gaps => (
            Finding::NotShown,
            "Part of the waves is not on record: the gate itself may have been away.",
        ),
        Some(share) if share >= SERVED_SHARE_UP && counted_all => (
            Finding::Supported,
            "During the waves at least 99% of what was forwarded was answered, on each platform \
             and in each essential activity.",
        ),
        Some(_) => (
            Finding::NotShown,
            "During the waves less than 99% of what was forwarded was answered somewhere.",
        ),
        None => (Finding::NotShown, "Nothing forwarded is on record."),
    };
    let sentence = match all {
        Some(share) => {
            let essential = match lowest(&essential) {
                Some(least) => {
                    format!(" In our essential activities it was {} at least.", words::share(least))
                }
                None => String::new(),
            };
            format!(
                "During the waves {} of the requests that were sent on to our origin were \
                 answered.{essential}",
                words::share(share)
            )
        }
        None if incident.waves.is_empty() => String::new(),
        None => "How many requests were answered during the waves is not on record.".to_owned(),
    };
    let sentence = match outage {
        Some(outage) => format!("{outage} {sentence}").trim_end().to_owned(),
        None => sentence,
    };
    let window =
        incident.waves.iter().map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at)));
    let lasted: u64 = window.map(TimeWindow::millis).fold(0, u64::saturating_add);
    let claim = Claim::new(ClaimKind::StayedUp, finding, because)
        .wording(sentence)
        .with_figures(shares)
        .with_figures(essential)
        .with_figures(outages::figures(incident));
    let claim = if incident.waves.is_empty() {
        claim
    } else {
        let detections = incident.detections();
        claim
            .with_figures([Figure::new(
                "the waves together lasted",
                lasted,
                Unit::Millis,
                detections,
            )])
            .caveat("Shares are over the waves as a whole: single seconds were worse.")
    };
    claim
        .caveat(SERVED_DEFINITION)
        .caveat("Visitors who could not reach the gate at all are not counted by it.")
}
