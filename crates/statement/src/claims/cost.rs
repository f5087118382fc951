//! What defence cost people, and the way back.

use portcullis_incident::{Figure, Incident, LeafSet, Unit, words};
use portcullis_model::{Reason, WallTime};

use super::outages;
use super::phrases::{counted, stretches};
use crate::{Claim, ClaimKind, Finding};

pub(super) fn slowed_down(incident: &Incident) -> Claim {
    let engaged = incident.engaged();
    let mut delayed: u64 = 0;
    let mut with_token: u64 = 0;
    let mut released = LeafSet::default();
    let mut unmeasured = incident.procedures.more;
    for procedure in &incident.procedures {
        match &procedure.released {
            Some(end) => {
                delayed = delayed.saturating_add(end.cost.delayed);
                with_token = with_token.saturating_add(end.cost.refused_with_token);
                released.add(end.stamp.leaf);
            }
            None => unmeasured += 1,
        }
    }
    let given = engaged.challenges_issued();
    let shed = engaged.reason(Reason::Shed);
    let window = incident.procedures_window();
    let before = incident.before().p95.typical();
    let during = incident.attack().p95.typical();
    let slower = before.zip(during).is_some_and(|(b, d)| b > 0 && d / 2 >= b);
    let any = delayed > 0 || with_token > 0 || given > 0 || shed > 0 || slower;
    let count = incident.procedures.count();
    let (finding, because) = if count == 0 {
        (Finding::NotShown, "No procedure is recorded.")
    } else if any {
        (Finding::Supported, "The cost of the procedures is on record.")
    } else if unmeasured > 0 {
        (
            Finding::NotShown,
            "The cost of some procedures was not measured (it is written when one is released).",
        )
    } else {
        (Finding::Contradicted, "Procedures were engaged, and no cost to visitors was measured.")
    };
    let passed = engaged.passed_challenges().max(delayed);
    let mut parts = Vec::new();
    if passed > 0 {
        parts.push(format!(
            "{} {} passed, each a redirect or a short wait (of {} given, to people and attack \
             alike)",
            words::counted(passed, "challenge"),
            words::were(passed),
            words::count(given.max(passed))
        ));
    } else if given > 0 {
        parts.push(format!(
            "{} {} given, to people and attack alike, and none was passed",
            words::counted(given, "challenge"),
            words::were(given)
        ));
    }
    if with_token > 0 {
        parts.push(format!(
            "{} that came with a token, and so probably from people, {} refused",
            words::counted(with_token, "request"),
            words::were(with_token)
        ));
    }
    if shed > 0 {
        parts.push(format!(
            "{} of less important activities {} not served",
            words::counted(shed, "request"),
            words::were(shed)
        ));
    }
    let shed_names = refused_activities(incident);
    let engaged_when = stretches(&incident.procedures_engaged());
    let sentence = match (window, parts.is_empty()) {
        (Some(_), false) => {
            format!("Procedures were engaged ({engaged_when}). Meanwhile {}.", parts.join("; "))
        }
        (Some(_), true) => format!(
            "Procedures were engaged ({engaged_when}); no visitor was counted as delayed or \
             wrongly refused."
        ),
        (None, _) => "No procedure was engaged.".to_owned(),
    };
    let sentence = match before.zip(during) {
        Some((before, during)) => format!(
            "{sentence} 95 of 100 answers began within {} during the waves, and within {} before.",
            words::span(during),
            words::span(before)
        ),
        None => sentence,
    };
    let mut figures = vec![
        engaged.figure("challenges given", given, Unit::Count),
        engaged.figure("challenges passed", engaged.passed_challenges(), Unit::Count),
        Figure::new(
            "challenges passed, by the procedures' own count",
            delayed,
            Unit::Count,
            released.clone(),
        )
        .within(window)
        .at_least(unmeasured > 0),
        Figure::new("refused with a token", with_token, Unit::Requests, released)
            .within(window)
            .at_least(unmeasured > 0),
        engaged.figure("not served because less important", shed, Unit::Requests),
    ];
    for (totals, name) in [
        (incident.before(), "95th percentile of latency before"),
        (incident.attack(), "95th percentile of latency during the waves"),
    ] {
        if let Some(ms) = totals.p95.typical() {
            figures.push(totals.figure(name, ms, Unit::Millis));
        }
    }
    if let Some(worst) = incident.attack().p95.worst() {
        let attack = incident.attack();
        figures.push(attack.figure(
            "95th percentile of latency in the worst interval",
            worst,
            Unit::Millis,
        ));
    }
    if let Some(collateral) = incident
        .procedures
        .iter()
        .filter_map(|p| Some((p.facts.collateral_per_million?, p.engaged.leaf)))
        .max()
    {
        figures.push(Figure::new(
            "ordinary requests that a signature would have hit, at most (95% confidence)",
            u64::from(collateral.0),
            Unit::PerMillion,
            LeafSet::single(collateral.1),
        ));
    }
    let claim = Claim::new(ClaimKind::SlowedDown, finding, because)
        .wording(sentence)
        .with_figures(figures)
        .caveat("Challenges were given to people and attack alike; only those passed are surely people or programs that behave like browsers.")
        .caveat("The percentile is that of the typical interval (half of the requests came in intervals at or under it); percentiles of intervals cannot be merged exactly.");
    if shed_names.is_empty() {
        claim
    } else {
        claim.caveat(format!(
            "Activities with refused requests while procedures were engaged, attack and people \
             together: {}.",
            words::list(&shed_names)
        ))
    }
}

fn refused_activities(incident: &Incident) -> Vec<String> {
    let mut names = Vec::new();
    for record in &incident.platforms {
        let Some(activities) = record.engaged.activities.get(&record.name) else {
            continue;
        };
        for (name, totals) in activities {
            if totals.refused > 0 {
                names.push(format!("{name} on {} ({})", record.name, words::count(totals.refused)));
            }
        }
    }
    names.truncate(12);
    names
}

pub(super) fn restored(incident: &Incident) -> Claim {
    let count = incident.procedures.count();
    let live: u64 = incident.platforms.iter().map(|p| p.still_active).sum();
    let released: LeafSet = incident
        .procedures
        .iter()
        .filter_map(|p| p.released.as_ref())
        .map(|r| r.stamp.leaf)
        .collect();
    let last =
        incident.procedures.iter().filter_map(|p| p.released.as_ref()).map(|r| r.stamp.at).max();
    let degraded = incident
        .degradations
        .iter()
        .any(|s| s.recovered.is_none() && incident.platform(&s.platform).is_some());
    let (finding, because) = if live > 0 {
        (Finding::Contradicted, "A procedure is still engaged where the record ends.")
    } else if incident.ongoing() {
        (Finding::Contradicted, "The attack continues where the record ends.")
    } else if outages::has_no_end(incident) {
        (Finding::NotShown, "An origin was down, and its recovery is not on record.")
    } else if degraded {
        (Finding::NotShown, "The origin was degraded, and its recovery is not on record.")
    } else if count == 0 {
        (Finding::NotShown, "No procedure is recorded, so there was nothing to restore.")
    } else if released.count < count {
        (
            Finding::NotShown,
            "Some procedures ended when the gate stopped, so that their release is not on record.",
        )
    } else {
        (Finding::Supported, "Every procedure's release is on record.")
    };
    let sentence = released_sentence(finding, (count, live), (released.count, last));
    Claim::new(ClaimKind::Restored, finding, because)
        .wording(sentence)
        .with_figures([counted("procedures released", released.count, released)])
        .caveat("Only what the gate engaged is known here, not what people switched off elsewhere.")
}

/// How many of `count` procedures were released, and when the last was; `live` are still engaged.
fn released_sentence(
    finding: Finding,
    (count, live): (u64, u64),
    (released, last): (u64, Option<WallTime>),
) -> String {
    match (finding, last) {
        _ if count == 0 => "No procedure was engaged, so none had to be released.".to_owned(),
        (Finding::Supported, Some(at)) if count == 1 => {
            format!("The procedure that had been engaged was released on {}.", words::moment(at))
        }
        (Finding::Supported, Some(at)) => format!(
            "All {} that had been engaged were released, the last on {}.",
            words::counted(count, "procedure"),
            words::moment(at)
        ),
        _ if live > 0 => format!(
            "{} still engaged.",
            if live == 1 {
                "One procedure is".to_owned()
            } else {
                format!("{} procedures are", words::count(live))
            }
        ),
        _ => format!(
            "{} of {} {} recorded as released.",
            words::count(released),
            words::counted(count, "procedure"),
            if released == 1 { "is" } else { "are" }
        ),
    }
}

pub(super) fn full_speed(incident: &Incident) -> Claim {
    let moments: Vec<_> =
        incident.platforms.iter().map(|p| (p, incident.back_at_full_speed(&p.name))).collect();
    let live: u64 = incident.platforms.iter().map(|p| p.still_active).sum();
    let back: LeafSet = moments.iter().filter_map(|(_, m)| m.map(|m| m.stamp.leaf)).collect();
    let all = !moments.is_empty() && moments.iter().all(|(_, m)| m.is_some());
    let (finding, because) = if incident.ongoing() {
        (Finding::Contradicted, "The attack continues where the record ends.")
    } else if live > 0 {
        (Finding::Contradicted, "A procedure is still engaged where the record ends.")
    } else if outages::has_no_end(incident) {
        (Finding::NotShown, "An origin was down, and its recovery is not on record.")
    } else if all {
        (
            Finding::Supported,
            "Full speed was recorded after the last wave on every platform that was attacked.",
        )
    } else {
        (
            Finding::NotShown,
            "Full speed was not recorded after the last wave on every platform that was attacked.",
        )
    };
    let described: Vec<String> = moments
        .iter()
        .map(|(p, moment)| match moment {
            Some(m) => format!(
                "{} has been back at full speed since {}: no procedure engaged and every activity \
                 within its baseline (held for {} when it was recorded)",
                p.name,
                words::moment(m.since),
                words::span(m.duration_ms)
            ),
            None => format!("{} has no full speed on record after its last wave", p.name),
        })
        .collect();
    let sentence = if described.is_empty() {
        "No platform was attacked, so there was no full speed to come back to.".to_owned()
    } else {
        described.join("; ") + "."
    };
    let claim = Claim::new(ClaimKind::FullSpeed, finding, because)
        .wording(sentence)
        .with_figures([counted(
            "full speed recorded after the last wave, platforms",
            back.count,
            back,
        )])
        .caveat("The gate stays armed: a second wave within a day is common.");
    let later = engaged_later(incident);
    if later.count > 0 {
        claim.caveat(format!(
            "Within a day after, procedures were engaged again for something that was not part of \
             this attack ({later})."
        ))
    } else {
        claim
    }
}

/// The leaves of procedures that were engaged after the last full speed.
fn engaged_later(incident: &Incident) -> LeafSet {
    incident.platforms.iter().fold(LeafSet::default(), |mut all, p| {
        all.merge(&p.engaged_later);
        all
    })
}

/// Whether a recipient is the National Cyber Security Centre.
fn is_ncsc(recipient: &str) -> bool {
    let name = recipient.to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).any(|word| word == "ncsc")
        || name.contains("national cyber security centre")
}

pub(super) fn reported(incident: &Incident) -> Claim {
    let ncsc: Vec<_> = incident
        .notifications
        .iter()
        .filter(|notification| is_ncsc(&notification.receipt.recipient))
        .collect();
    let others: Vec<String> = incident
        .notifications
        .iter()
        .filter(|notification| !is_ncsc(&notification.receipt.recipient))
        .take(12)
        .map(|notification| {
            let r = &notification.receipt;
            words::plain(&format!(
                "{} by {} on {}, reference {}",
                r.recipient,
                r.channel,
                words::moment(r.notified_at),
                r.reference
            ))
        })
        .collect();
    let claim = match ncsc.first() {
        Some(notification) => {
            let r = &notification.receipt;
            Claim::new(ClaimKind::Reported, Finding::Supported, "A receipt is on record.").wording(
                words::plain(&format!(
                    "We reported the matter to the NCSC by {} on {} (reference {}).",
                    r.channel,
                    words::moment(r.notified_at),
                    r.reference
                )),
            )
        }
        None => Claim::new(
            ClaimKind::Reported,
            Finding::NotShown,
            "No receipt from the NCSC is on record.",
        )
        .wording("No report to the NCSC is on record.")
        .caveat("Record the receipt when you have reported (`portcullis receipt`); then it can be said."),
    };
    let leaves: LeafSet = ncsc.iter().map(|notification| notification.stamp.leaf).collect();
    let claim = claim.with_figures([counted("receipts from the NCSC", leaves.count, leaves)]);
    if others.is_empty() {
        claim
    } else {
        claim.caveat(format!("Also notified: {}.", others.join("; ")))
    }
}
