//! The figures of an incident in one table.

use portcullis_incident::{
    Figure, Incident, LeafSet, PlatformRecord, TimeWindow, Unit, grade, words,
};

/// Activities that are listed per platform.
const ACTIVITIES: usize = 24;

/// Every figure of an incident, with its window, leaves and whether it is a lower bound.
pub fn figures(incident: &Incident) -> Vec<Figure> {
    let mut out = Vec::new();
    waves(incident, &mut out);
    for platform in &incident.platforms {
        on_platform(incident, platform, &mut out);
    }
    let scale = grade::scale(incident);
    out.extend(scale.peak_to_baseline);
    out.extend(scale.sustained_to_capacity);
    out.extend(scale.observed_capacity);
    out.push(incident.stopped_by_procedures());
    costs(incident, &mut out);
    if incident.coverage.records_lost > 0 {
        let attack = incident.attack();
        out.push(attack.figure(
            "requests whose record was lost",
            incident.coverage.records_lost,
            Unit::Requests,
        ));
    }
    out
}

fn waves(incident: &Incident, out: &mut Vec<Figure>) {
    for wave in &incident.waves {
        let name = wave.name();
        let window = TimeWindow::new(wave.onset, wave.until(incident.as_of.at));
        let detected = LeafSet::single(wave.detected.leaf);
        let ended = wave.ended.as_ref().map(|e| e.stamp.leaf);
        let both: LeafSet = [Some(wave.detected.leaf), ended].into_iter().flatten().collect();
        out.push(
            Figure::new(
                format!("{name}: duration, with the quiet time that ends it"),
                window.millis(),
                Unit::Millis,
                both,
            )
            .within(Some(window))
            .at_least(wave.ended.is_none()),
        );
        out.push(Figure::new(
            format!("{name}: time to detect"),
            wave.time_to_detect_ms(),
            Unit::Millis,
            detected,
        ));
        if let Some(mitigation) = wave.first_mitigation() {
            out.push(Figure::new(
                format!("{name}: time to mitigate"),
                mitigation.after_ms,
                Unit::Millis,
                LeafSet::single(mitigation.stamp.leaf),
            ));
        }
        let lost = wave.mitigations.iter().filter_map(|m| m.lost);
        let lost: LeafSet = lost.map(|stamp| stamp.leaf).collect();
        if lost.count > 0 {
            out.push(Figure::new(
                format!("{name}: times that it broke through again"),
                lost.count,
                Unit::Count,
                lost,
            ));
        }
        if let Some(end) = &wave.ended {
            let leaf = || LeafSet::single(end.stamp.leaf);
            let f = &end.figures;
            for (what, value, unit) in [
                ("offered", f.offered, Unit::Requests),
                ("forwarded to the origin", f.forwarded, Unit::Requests),
                ("stopped", f.stopped, Unit::Requests),
                ("busiest moment, offered", f.peak_offered_per_second, Unit::PerSecond),
                ("busiest moment, forwarded", f.peak_forwarded_per_second, Unit::PerSecond),
                ("most connections stalled in their headers", f.peak_stalled_headers, Unit::Count),
            ] {
                out.push(
                    Figure::new(format!("{name}: {what}"), value, unit, leaf())
                        .within(Some(window))
                        .at_least(incident.saturated()),
                );
            }
        }
    }
}

fn on_platform(incident: &Incident, platform: &PlatformRecord, out: &mut Vec<Figure>) {
    let attack = &platform.attack;
    let name = &platform.name;
    let saturated = incident.saturated();
    for (reason, n) in &attack.reasons {
        out.push(
            attack
                .figure(
                    format!("during the waves on {name}: verdicts for the reason {reason}"),
                    *n,
                    Unit::Requests,
                )
                .at_least(saturated),
        );
    }
    for (cause, n) in &attack.cuts.causes {
        out.push(
            Figure::new(
                format!("during the waves on {name}: cut after it had been accepted, for {cause}"),
                *n,
                Unit::Count,
                attack.cuts.leaves.clone(),
            )
            .within(attack.window)
            .at_least(saturated),
        );
    }
    if let Some(share) = attack.served_share() {
        out.push(attack.figure(
            format!("during the waves on {name}: forwarded requests that were answered"),
            share,
            Unit::BasisPoints,
        ));
    }
    for (what, totals) in [("before the waves", &platform.before), ("during the waves", attack)] {
        if let Some(typical) = totals.p95.typical() {
            out.push(totals.figure(
                format!("{what} on {name}: 95th percentile of latency, typical interval"),
                typical,
                Unit::Millis,
            ));
        }
        if let Some(worst) = totals.p95.worst() {
            out.push(totals.figure(
                format!("{what} on {name}: 95th percentile of latency, worst interval"),
                worst,
                Unit::Millis,
            ));
        }
    }
    let activities = attack.activities.get(name).into_iter().flatten();
    for (activity, totals) in activities.take(ACTIVITIES) {
        let figure = |what: &str, value: u64, unit: Unit| {
            Figure::new(
                format!("during the waves, {activity} on {name}: {what}"),
                value,
                unit,
                totals.leaves.clone(),
            )
            .within(attack.window)
        };
        out.push(figure("forwarded", totals.forwarded, Unit::Requests));
        if let Some(share) = totals.served_share() {
            out.push(figure("of these answered", share, Unit::BasisPoints));
        }
        if totals.refused > 0 {
            out.push(figure("refused by procedures", totals.refused, Unit::Requests));
        }
        out.push(figure(
            "expected by the baseline over the same time",
            totals.expected_milli / 1_000,
            Unit::Requests,
        ));
    }
}

fn costs(incident: &Incident, out: &mut Vec<Figure>) {
    let engaged = incident.engaged();
    if incident.procedures.count() == 0 {
        return;
    }
    out.push(engaged.figure(
        "challenges given while procedures were engaged",
        engaged.challenges_issued(),
        Unit::Count,
    ));
    out.push(engaged.figure("of these passed", engaged.passed_challenges(), Unit::Count));
    let released = incident.procedures.iter().filter_map(|p| p.released.as_ref());
    let (mut refused, mut leaves) = (0_u64, LeafSet::default());
    for end in released {
        refused = refused.saturating_add(end.cost.refused_with_token);
        leaves.add(end.stamp.leaf);
    }
    out.push(
        Figure::new(
            "requests with a token, and so probably from people, that were refused",
            refused,
            Unit::Requests,
            leaves,
        )
        .within(incident.procedures_window()),
    );
}

/// A figure's window in words.
pub(crate) fn window(figure: &Figure) -> String {
    figure.window.map_or_else(|| "\u{2013}".to_owned(), |w| words::period(w.from, w.to))
}
