//! Phrases and figures that several claims share.

use portcullis_incident::{Figure, Incident, LeafSet, TimeWindow, Unit, words};

/// `The platform main was` or `The platforms main and shop were`.
pub(super) fn platforms_were(incident: &Incident) -> String {
    let names = incident.attacked();
    if names.len() == 1 {
        format!("The platform {} was", names[0])
    } else {
        format!("The platforms {} were", words::list(&names))
    }
}

/// When the waves were, in words: `in 2 waves: …; …`.
pub(super) fn in_waves(incident: &Incident) -> String {
    let waves: Vec<TimeWindow> = incident
        .waves
        .iter()
        .map(|w| TimeWindow::new(w.onset, w.until(incident.as_of.at)))
        .collect();
    let head = match waves.len() as u64 + incident.more_waves {
        1 => "one wave".to_owned(),
        n => words::counted(n, "wave"),
    };
    let tail = if incident.ongoing() { ", and it continues" } else { "" };
    format!("in {head}: {}{tail}", stretches(&waves))
}

/// Stretches of time in words; many as their number and the whole.
pub(super) fn stretches(windows: &[TimeWindow]) -> String {
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
pub(super) fn counted(name: &str, count: u64, leaves: LeafSet) -> Figure {
    Figure::new(name, count, Unit::Count, leaves)
}
