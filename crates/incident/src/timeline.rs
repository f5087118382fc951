//! What happened, in order, in calm sentences.

use portcullis_model::{Evidence, WallTime};
use serde::Serialize;

use crate::words::{count, counted, full_stop, list, plain, sentence, span, thousandths};
use crate::{Incident, PlatformStory, ProcedureStory, Surge, Wave};

/// One moment of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    pub at: WallTime,
    /// The leaf that says so.
    pub leaf: u64,
    /// What happened.
    pub says: String,
}

/// Everything that happened, by time and then by leaf.
pub fn timeline(incident: &Incident) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut tell = |at: WallTime, leaf: u64, says: String| moments.push(Moment { at, leaf, says });
    for surge in &incident.surges {
        tell(surge.began.at, surge.began.leaf, surge_began(surge));
        if let Some(ended) = surge.ended {
            tell(ended.at, ended.leaf, surge_ended(surge));
        }
    }
    for wave in &incident.waves {
        tell_wave(wave, &mut tell);
    }
    for procedure in &incident.procedures {
        tell_procedure(procedure, &mut tell);
    }
    for change in &incident.postures {
        let says = format!(
            "The posture on {} changed from {} to {}: {}",
            change.platform,
            change.from.word(),
            change.to.word(),
            full_stop(&change.reason),
        );
        tell(change.stamp.at, change.stamp.leaf, says);
    }
    for strain in &incident.strains {
        let says =
            format!("The origin of {} was strained: {}", strain.platform, full_stop(&strain.says));
        tell(strain.began.at, strain.began.leaf, says);
        if let Some(recovered) = strain.recovered {
            let says = format!("The origin of {} answered as usual again.", strain.platform);
            tell(recovered.at, recovered.leaf, says);
        }
    }
    for platform in &incident.platforms {
        tell_platform(platform, &mut tell);
    }
    for told in &incident.receipts {
        let receipt = &told.receipt;
        let says = format!(
            "{} was told by {}; reference {}.",
            sentence(&plain(&receipt.recipient)),
            plain(&receipt.channel),
            plain(&receipt.reference)
        );
        tell(receipt.told_at, told.stamp.leaf, says);
    }
    for gap in &incident.coverage.gaps {
        tell(gap.window.from, gap.leaf, gap.says());
    }
    moments.sort_by_key(|moment| (moment.at, moment.leaf));
    moments
}

fn tell_wave(wave: &Wave, tell: &mut impl FnMut(WallTime, u64, String)) {
    let name = sentence(&wave.name());
    if wave.onset < wave.detected.at {
        let says = format!(
            "{name} began, as the counts show looking back (the baseline expects {} requests per \
             second).",
            thousandths(wave.baseline_milli)
        );
        tell(wave.onset, wave.detected.leaf, says);
    }
    let first: Vec<&Evidence> = wave
        .evidence
        .iter()
        .filter(|seen| seen.first == wave.detected)
        .map(|seen| &seen.evidence)
        .collect();
    let says = format!(
        "{name} was detected {} after it began, on {}. Evidence: {}",
        span(wave.detect_ms()),
        listed_or(&wave.detected_on, "no activity in particular"),
        evidence(&first),
    );
    tell(wave.detected.at, wave.detected.leaf, says);
    for change in &wave.changes {
        let new: Vec<&Evidence> = change.evidence.iter().collect();
        let first = format!(
            "{name} changed; attacked so far: {}.",
            listed_or(&change.activities, "no activity in particular")
        );
        let second = if new.is_empty() {
            String::new()
        } else {
            format!(" New evidence: {}", evidence(&new))
        };
        let third = change.after_procedure_ms.map_or_else(String::new, |after| {
            format!(" This was {} after the last change of procedures.", span(after))
        });
        let says = format!("{first}{second}{third}");
        tell(change.stamp.at, change.stamp.leaf, says);
    }
    for (i, mitigation) in wave.mitigations.iter().enumerate() {
        let since = if i == 0 { "it began" } else { "it had broken through again" };
        let says = format!(
            "{name} was mitigated {} after {since}: what reached the origin was back within what \
             it can bear.",
            span(mitigation.after_ms)
        );
        tell(mitigation.stamp.at, mitigation.stamp.leaf, says);
        if let Some(lost) = mitigation.lost {
            let says = format!("{name} broke through the mitigation.");
            tell(lost.at, lost.leaf, says);
        }
    }
    if let Some(ended) = &wave.ended {
        let f = &ended.figures;
        let says = format!(
            "{name} had ended, {} after it began: {} offered, {} forwarded, {} stopped; at its \
             busiest {} per second offered and {} forwarded.",
            span(ended.stamp.at.millis().saturating_sub(wave.onset.millis())),
            counted(f.offered, "request"),
            count(f.forwarded),
            count(f.stopped),
            count(f.peak_offered_per_second),
            count(f.peak_forwarded_per_second),
        );
        tell(ended.stamp.at, ended.stamp.leaf, says);
    }
    if let Some(leaf) = wave.cuts.telling_leaves.last {
        let says = format!(
            "While {} lasted, the gate cut what it had let in: {}.",
            wave.name(),
            wave.cuts.telling()
        );
        // Where the wave ended, or, while it goes on, with its detection.
        let over = wave.ended.as_ref().map(|ended| ended.stamp).or(wave.interrupted);
        let at = over.map_or(wave.detected.at, |stamp| stamp.at);
        tell(at, leaf, says);
    }
    if let Some(cut) = wave.interrupted {
        let says = format!("{name} was lost from sight; its end was not recorded.");
        tell(cut.at, cut.leaf, says);
    }
}

fn tell_procedure(procedure: &ProcedureStory, tell: &mut impl FnMut(WallTime, u64, String)) {
    let facts = &procedure.facts;
    let number = facts.id.0;
    let collateral = match facts.collateral_per_million {
        Some(n) => format!(
            " It would have hit at most {} in a million ordinary requests.",
            count(u64::from(n))
        ),
        None => String::new(),
    };
    let says = format!(
        "Procedure {number} was engaged for {}: {} Reason: {}{collateral} It ends by itself at {} \
         UTC unless renewed.",
        procedure.scope(),
        full_stop(&facts.says),
        full_stop(&facts.reason),
        facts.expires.clock(),
    );
    tell(procedure.engaged.at, procedure.engaged.leaf, says);
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
        let says = format!(
            "Procedure {number} was released: {} It had stopped {} of {} requests in its scope; \
             {cost}.",
            full_stop(&released.reason),
            count(released.effect.stopped),
            count(released.effect.seen),
        );
        tell(released.stamp.at, released.stamp.leaf, says);
    }
    if let Some(cut) = procedure.interrupted {
        let says =
            format!("Procedure {number} ended when the gate did; its effect was not measured.");
        tell(cut.at, cut.leaf, says);
    }
}

fn tell_platform(platform: &PlatformStory, tell: &mut impl FnMut(WallTime, u64, String)) {
    let name = &platform.name;
    for moment in &platform.full_speed {
        let says = format!(
            "{name} was back at full speed: no procedure engaged and every activity within its \
             baseline since {} UTC, for {}.",
            moment.since.clock(),
            span(moment.held_ms)
        );
        tell(moment.stamp.at, moment.stamp.leaf, says);
    }
    if let Some(peak) = &platform.attack.peak_offered {
        let says = format!(
            "The busiest moment on {name}: {} requests per second offered.",
            count(peak.per_second)
        );
        tell(peak.window.from, peak.leaf, says);
    }
}

fn surge_began(surge: &Surge) -> String {
    format!(
        "A surge was seen on {} ({}): {} per second where the baseline expects {}.",
        surge.platform,
        listed_or(&surge.activities, "no activity in particular"),
        counted(surge.per_second, "request"),
        thousandths(surge.baseline_milli),
    )
}

fn surge_ended(surge: &Surge) -> String {
    let t = &surge.totals;
    format!(
        "The surge on {} was over and no attack came of it: {} offered, {} forwarded, {} refused, \
         {} challenged.",
        surge.platform,
        counted(t.offered, "request"),
        count(t.forwarded),
        count(t.refused.saturating_add(t.dropped)),
        count(t.challenges_given()),
    )
}

fn evidence(items: &[&Evidence]) -> String {
    if items.is_empty() {
        return "none was recorded.".to_owned();
    }
    let says: Vec<String> =
        items.iter().map(|e| plain(e.says.trim_end_matches(['.', ' ']))).collect();
    says.join("; ") + "."
}

fn listed_or(names: &[String], none: &str) -> String {
    if names.is_empty() { none.to_owned() } else { list(names) }
}
