//! What happened, in order, in calm sentences.

use portcullis_model::{Evidence, WallTime};
use serde::Serialize;

use crate::words::{count, counted, full_stop, list, plain, sentence, span, thousandths};
use crate::{Incident, PlatformRecord, ProcedureRecord, SurgeRecord, WaveRecord};

/// One moment of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineEntry {
    /// When.
    pub at: WallTime,
    /// The leaf that says so.
    pub leaf: u64,
    /// What happened.
    pub summary: String,
}

/// Everything that happened, by time and then by leaf.
pub fn timeline(incident: &Incident) -> Vec<TimelineEntry> {
    let mut moments = Vec::new();
    let mut add = |at: WallTime, leaf: u64, summary: String| {
        moments.push(TimelineEntry { at, leaf, summary });
    };
    for surge in &incident.surges {
        add(surge.began.at, surge.began.leaf, surge_began(surge));
        if let Some(ended) = surge.ended {
            add(ended.at, ended.leaf, surge_ended(surge));
        }
    }
    for wave in &incident.waves {
        add_wave(wave, &mut add);
    }
    for procedure in &incident.procedures {
        add_procedure(procedure, &mut add);
    }
    for change in &incident.posture_changes {
        let summary = format!(
            "The posture on {} changed from {} to {}: {}",
            change.platform,
            change.from.as_str(),
            change.to.as_str(),
            full_stop(&change.reason),
        );
        add(change.stamp.at, change.stamp.leaf, summary);
    }
    for degradation in &incident.degradations {
        let summary = format!(
            "The origin of {} was degraded: {}",
            degradation.platform,
            full_stop(&degradation.summary)
        );
        add(degradation.began.at, degradation.began.leaf, summary);
        if let Some(recovered) = degradation.recovered {
            let summary =
                format!("The origin of {} answered as usual again.", degradation.platform);
            add(recovered.at, recovered.leaf, summary);
        }
    }
    for platform in &incident.platforms {
        add_platform(platform, &mut add);
    }
    for notification in &incident.notifications {
        let receipt = &notification.receipt;
        let summary = format!(
            "{} was notified by {}; reference {}.",
            sentence(&plain(&receipt.recipient)),
            plain(&receipt.channel),
            plain(&receipt.reference)
        );
        add(receipt.notified_at, notification.stamp.leaf, summary);
    }
    for gap in &incident.coverage.gaps {
        add(gap.window.from, gap.leaf, gap.describe());
    }
    moments.sort_by_key(|moment| (moment.at, moment.leaf));
    moments
}

fn add_wave(wave: &WaveRecord, add: &mut impl FnMut(WallTime, u64, String)) {
    let name = sentence(&wave.name());
    if wave.onset < wave.detected.at {
        let summary = format!(
            "{name} began, as the counts show looking back (the baseline expects {} requests per \
             second).",
            thousandths(wave.baseline_milli)
        );
        add(wave.onset, wave.detected.leaf, summary);
    }
    let first: Vec<&Evidence> = wave
        .evidence
        .iter()
        .filter(|seen| seen.first == wave.detected)
        .map(|seen| &seen.evidence)
        .collect();
    let summary = format!(
        "{name} was detected {} after it began, on {}. Evidence: {}",
        span(wave.time_to_detect_ms()),
        list_or(&wave.detected_on, "no activity in particular"),
        describe_evidence(&first),
    );
    add(wave.detected.at, wave.detected.leaf, summary);
    for change in &wave.changes {
        let new: Vec<&Evidence> = change.evidence.iter().collect();
        let first = format!(
            "{name} changed; attacked so far: {}.",
            list_or(&change.activities, "no activity in particular")
        );
        let second = if new.is_empty() {
            String::new()
        } else {
            format!(" New evidence: {}", describe_evidence(&new))
        };
        let third = change.since_procedure_change_ms.map_or_else(String::new, |after| {
            format!(" This was {} after the last change of procedures.", span(after))
        });
        let summary = format!("{first}{second}{third}");
        add(change.stamp.at, change.stamp.leaf, summary);
    }
    for (i, mitigation) in wave.mitigations.iter().enumerate() {
        let since = if i == 0 { "it began" } else { "it had broken through again" };
        let summary = format!(
            "{name} was mitigated {} after {since}: what reached the origin was back within \
             its capacity.",
            span(mitigation.after_ms)
        );
        add(mitigation.stamp.at, mitigation.stamp.leaf, summary);
        if let Some(lost) = mitigation.lost {
            let summary = format!("{name} broke through the mitigation.");
            add(lost.at, lost.leaf, summary);
        }
    }
    if let Some(ended) = &wave.ended {
        let f = &ended.figures;
        let summary = format!(
            "{name} had ended, {} after it began: {} offered, {} forwarded, {} stopped; at its \
             busiest {} per second offered and {} forwarded.",
            span(ended.stamp.at.millis().saturating_sub(wave.onset.millis())),
            counted(f.offered, "request"),
            count(f.forwarded),
            count(f.stopped),
            count(f.peak_offered_per_second),
            count(f.peak_forwarded_per_second),
        );
        add(ended.stamp.at, ended.stamp.leaf, summary);
    }
    if let Some(leaf) = wave.cuts.attack_leaves.last {
        let summary = format!(
            "While {} lasted, the gate cut connections that it had accepted: {}.",
            wave.name(),
            wave.cuts.attack_summary()
        );
        // Where the wave ended, or, while it continues, with its detection.
        let over = wave.ended.as_ref().map(|ended| ended.stamp).or(wave.interrupted);
        let at = over.map_or(wave.detected.at, |stamp| stamp.at);
        add(at, leaf, summary);
    }
    if let Some(cut) = wave.interrupted {
        let summary = format!("{name} was lost from sight; its end was not recorded.");
        add(cut.at, cut.leaf, summary);
    }
}

fn add_procedure(procedure: &ProcedureRecord, add: &mut impl FnMut(WallTime, u64, String)) {
    let facts = &procedure.facts;
    let number = facts.id.0;
    let collateral = match facts.collateral_per_million {
        Some(n) => format!(
            " It would have hit at most {} in a million ordinary requests.",
            count(u64::from(n))
        ),
        None => String::new(),
    };
    let summary = format!(
        "Procedure {number} was engaged for {}: {} Reason: {}{collateral} It ends by itself at {} \
         UTC unless renewed.",
        procedure.scope(),
        full_stop(&facts.summary),
        full_stop(&facts.reason),
        facts.expires.clock(),
    );
    add(procedure.engaged.at, procedure.engaged.leaf, summary);
    if let Some(released) = &procedure.released {
        let mut costs = Vec::new();
        if released.cost.delayed > 0 {
            costs.push(format!(
                "{} passed and so delayed",
                counted(released.cost.delayed, "challenge")
            ));
        }
        if released.cost.refused_with_token > 0 {
            costs.push(format!(
                "{} refused that came with a token, so probably from people",
                counted(released.cost.refused_with_token, "request")
            ));
        }
        let cost = if costs.is_empty() {
            "no cost to visitors measured".to_owned()
        } else {
            format!("cost: {}", list(&costs))
        };
        let summary = format!(
            "Procedure {number} was released: {} It had stopped {} of {} requests in its scope; \
             {cost}.",
            full_stop(&released.reason),
            count(released.effect.stopped),
            count(released.effect.seen),
        );
        add(released.stamp.at, released.stamp.leaf, summary);
    }
    if let Some(cut) = procedure.interrupted {
        let summary =
            format!("Procedure {number} ended when the gate did; its effect was not measured.");
        add(cut.at, cut.leaf, summary);
    }
}

fn add_platform(platform: &PlatformRecord, add: &mut impl FnMut(WallTime, u64, String)) {
    let name = &platform.name;
    for moment in &platform.full_speed {
        let summary = format!(
            "{name} was back at full speed: no procedure engaged and every activity within its \
             baseline since {} UTC, for {}.",
            moment.since.clock(),
            span(moment.duration_ms)
        );
        add(moment.stamp.at, moment.stamp.leaf, summary);
    }
    if let Some(peak) = &platform.attack.peak_offered {
        let summary = format!(
            "The busiest moment on {name}: {} requests per second offered.",
            count(peak.per_second)
        );
        add(peak.window.from, peak.leaf, summary);
    }
}

fn surge_began(surge: &SurgeRecord) -> String {
    format!(
        "A surge was seen on {} ({}): {} per second where the baseline expects {}.",
        surge.platform,
        list_or(&surge.activities, "no activity in particular"),
        counted(surge.per_second, "request"),
        thousandths(surge.baseline_milli),
    )
}

fn surge_ended(surge: &SurgeRecord) -> String {
    let t = &surge.totals;
    format!(
        "The surge on {} was over and no attack was recognised: {} offered, {} forwarded, {} refused, \
         {} challenged.",
        surge.platform,
        counted(t.offered, "request"),
        count(t.forwarded),
        count(t.refused.saturating_add(t.dropped)),
        count(t.challenges_issued()),
    )
}

fn describe_evidence(items: &[&Evidence]) -> String {
    if items.is_empty() {
        return "none was recorded.".to_owned();
    }
    let summary: Vec<String> =
        items.iter().map(|e| plain(e.summary.trim_end_matches(['.', ' ']))).collect();
    summary.join("; ") + "."
}

fn list_or(names: &[String], none: &str) -> String {
    if names.is_empty() { none.to_owned() } else { list(names) }
}
