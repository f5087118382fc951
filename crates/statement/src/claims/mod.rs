//! The finding on each claim.

mod attack;
mod cost;
mod defence;
mod outages;
mod phrases;
mod unwatched;

use portcullis_incident::{Figure, Incident, LeafSet, Unit};

use crate::{Claim, ClaimKind, Finding};

/// Every claim of [`ClaimKind::ALL`], in that order, with its finding.
pub fn assess(incident: &Incident) -> Vec<Claim> {
    let mut claims: Vec<Claim> =
        ClaimKind::ALL.iter().map(|kind| assess_kind(*kind, incident)).collect();
    if incident.rehearsal {
        for claim in &mut claims {
            claim.sentence = format!("Rehearsal, not a real attack: {}", claim.sentence);
        }
    }
    claims
}

fn assess_kind(kind: ClaimKind, incident: &Incident) -> Claim {
    let has_finding = kind == ClaimKind::StayedUp && !incident.outages.items.is_empty();
    if incident.waves.is_empty() && is_about_waves(kind) && !has_finding {
        return without_waves(kind, incident);
    }
    match kind {
        ClaimKind::Attack => attack::attack(incident),
        ClaimKind::Waves => attack::waves(incident),
        ClaimKind::Sophisticated => attack::sophisticated(incident),
        ClaimKind::LargeScale => attack::large_scale(incident),
        ClaimKind::Platforms => attack::platforms(incident),
        ClaimKind::Detected => defence::detected(incident),
        ClaimKind::SwiftAction => defence::swift_action(incident),
        ClaimKind::AttemptsFailed => defence::attempts_failed(incident),
        ClaimKind::BecauseOfDefences => defence::because_of_defences(incident),
        ClaimKind::StayedUp => defence::stayed_up(incident),
        ClaimKind::Integrity => unwatched::integrity(),
        ClaimKind::NoBreach => unwatched::no_breach(),
        ClaimKind::SlowedDown => cost::slowed_down(incident),
        ClaimKind::Restored => cost::restored(incident),
        ClaimKind::FullSpeed => cost::full_speed(incident),
        ClaimKind::Reported => cost::reported(incident),
    }
}

/// A claim about waves of attack, where there is none. A flood of the gate is none: it belongs to no
/// platform. Nor is an outage: its cause is not known to the gate.
fn without_waves(kind: ClaimKind, incident: &Incident) -> Claim {
    let busiest = incident.gate_floods.iter().max_by_key(|flood| flood.most_per_second());
    let Some(flood) = busiest else {
        let claim = Claim::new(kind, Finding::NotShown, "No wave of attack is on record.");
        return claim.wording(match incident.outages.items.is_empty() {
            true => "No attack on the availability of our platforms was recorded.",
            false => "An outage was recorded, and no attack on one of our platforms.",
        });
    };
    let most = flood.most_per_second();
    let leaf = flood.ended.as_ref().map_or(flood.began.leaf, |end| end.stamp.leaf);
    let because = "No wave of attack on a platform is on record. What is on record is a flood of \
                   requests and connections that belong to no platform.";
    let sentence = format!(
        "Our gate was flooded with requests and connections that belong to none of our platforms: \
         {}. No attack on one of our platforms was recorded.",
        flood.extent()
    );
    let figure = if most == 0 {
        let (name, stalled) = ("connections stalled in their headers", flood.stalled_headers);
        Figure::new(name, stalled, Unit::Count, LeafSet::single(flood.began.leaf))
    } else {
        let name = "refused at the busiest moment of the flood, without a platform";
        Figure::new(name, most, Unit::PerSecond, LeafSet::single(leaf))
    };
    Claim::new(kind, Finding::NotShown, because).wording(sentence).with_figures([figure])
}

/// Whether a claim is about waves of attack. An incident that another event opened may have none.
const fn is_about_waves(kind: ClaimKind) -> bool {
    match kind {
        ClaimKind::Attack
        | ClaimKind::Waves
        | ClaimKind::Sophisticated
        | ClaimKind::LargeScale
        | ClaimKind::Platforms
        | ClaimKind::Detected
        | ClaimKind::SwiftAction
        | ClaimKind::AttemptsFailed
        | ClaimKind::BecauseOfDefences
        | ClaimKind::StayedUp => true,
        ClaimKind::Integrity
        | ClaimKind::NoBreach
        | ClaimKind::SlowedDown
        | ClaimKind::Restored
        | ClaimKind::FullSpeed
        | ClaimKind::Reported => false,
    }
}
