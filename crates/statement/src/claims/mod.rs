//! What the ledger says to each claim.

mod attack;
mod cost;
mod defence;
mod unwatched;

use portcullis_incident::{Figure, Incident, LeafSet, TimeWindow, Unit, words};

use crate::{Claim, ClaimKind};

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

/// `The platform main was` or `The platforms main and shop were`.
fn platforms_were(incident: &Incident) -> String {
    let names = incident.attacked();
    if names.len() == 1 {
        format!("The platform {} was", names[0])
    } else {
        format!("The platforms {} were", words::list(&names))
    }
}

/// When the waves were, in words: `in 2 waves: …; …`.
fn in_waves(incident: &Incident) -> String {
    let waves: Vec<TimeWindow> = incident
        .waves
        .iter()
        .map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at)))
        .collect();
    let head = words::counted(waves.len() as u64 + incident.more_waves, "wave");
    let tail = if incident.ongoing() { ", and it is still going on" } else { "" };
    format!("in {head}: {}{tail}", stretches(&waves))
}

/// Stretches of time in words; many as their number and the whole.
fn stretches(windows: &[TimeWindow]) -> String {
    if windows.len() <= 4 {
        let each: Vec<String> = windows.iter().map(|w| words::period(w.from, w.to)).collect();
        return each.join("; ");
    }
    let lasted = windows.iter().fold(0, |n: u64, w| n.saturating_add(w.millis()));
    let whole = windows.iter().copied().reduce(TimeWindow::with);
    whole.map_or_else(String::new, |whole| {
        format!(
            "{} in all between {}",
            words::span(lasted),
            words::period(whole.from, whole.to).replacen(" to ", " and ", 1)
        )
    })
}

/// A number of things that the leaves name.
fn counted(name: &str, count: u64, leaves: LeafSet) -> Figure {
    Figure::new(name, count, Unit::Count, leaves)
}
