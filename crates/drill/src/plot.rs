//! The whole drill as one picture: people served, load, and how long people waited.

use portcullis_report::plot::{
    Axis, Band, Chart, ChartLine, Colour, LineStyle, Marker, Panel, Shade, render,
};

use crate::gate_facts::GateFacts;
use crate::recording::{PhaseSpan, RunRecording, Second};
use crate::score::ScoreCard;

/// Draws both runs over the same seconds, with the ledger's moments as markers. SVG.
pub fn svg(without: &RunRecording, with: &RunRecording, facts: &GateFacts) -> String {
    render(&figure(without, with, facts))
}

fn figure(without: &RunRecording, with: &RunRecording, facts: &GateFacts) -> Chart {
    let seconds = f64::from(with.lasts_ms) / 1_000.0;
    Chart {
        id: "drill".to_owned(),
        title: format!("Drill {}, seed {}, without and with the gate", with.scenario, with.seed),
        description: describe(without, with, facts),
        axis: Axis::Elapsed,
        range: (0.0, seconds),
        bands: with.phases.iter().map(band).collect(),
        markers: markers(with, facts),
        panels: vec![
            Panel {
                title: "People served, of those who asked".to_owned(),
                unit: "%".to_owned(),
                top: Some(100.0),
                series: both(without, with, served_percent),
            },
            Panel {
                title: "Load".to_owned(),
                unit: "requests/s".to_owned(),
                top: None,
                series: load(without, with),
            },
            Panel {
                title: "Wait of people who were served, 95th percentile".to_owned(),
                unit: "ms".to_owned(),
                top: None,
                series: both(without, with, |second| second.people_p95_ms.map(f64::from)),
            },
        ],
    }
}

fn describe(without: &RunRecording, with: &RunRecording, facts: &GateFacts) -> String {
    let card = ScoreCard::new(without, with, facts);
    let whole = |ms: u32| ms / 1_000;
    let phases: Vec<_> = card
        .phases
        .iter()
        .map(|phase| {
            format!(
                "{}, {} to {} s: served without the gate {} of {}, with it {} of {}",
                phase.title,
                whole(phase.from_ms),
                whole(phase.to_ms),
                phase.without.served,
                phase.without.requested,
                phase.with.served,
                phase.with.requested,
            )
        })
        .collect();
    format!(
        "Three panels by second. {}. Busiest second: {} requests reached the origin without the gate, \
         {} with it.",
        phases.join(". "),
        card.without.peak_origin_per_second,
        card.with.peak_origin_per_second,
    )
}

fn band(phase: &PhaseSpan) -> Band {
    Band {
        from: f64::from(phase.from_ms) / 1_000.0,
        to: f64::from(phase.to_ms) / 1_000.0,
        label: phase.title.clone(),
        shade: match (phase.is_attack, phase.has_crowd) {
            (true, _) => Shade::Strong,
            (false, true) => Shade::Faint,
            (false, false) => Shade::Clear,
        },
    }
}

fn markers(with: &RunRecording, facts: &GateFacts) -> Vec<Marker> {
    let of_gate = facts.labels.iter().map(|moment| Marker {
        at: f64::from(moment.at_ms) / 1_000.0,
        label: moment.label.clone(),
    });
    let of_attackers = with.tactic_changes.iter().map(|change| Marker {
        at: f64::from(change.at_ms) / 1_000.0,
        label: format!("tactic: {}", change.to.title()),
    });
    of_gate.chain(of_attackers).collect()
}

fn both(
    without: &RunRecording,
    with: &RunRecording,
    value: impl Fn(&Second) -> Option<f64>,
) -> Vec<ChartLine> {
    vec![
        series("without the gate", Colour::Vermilion, LineStyle::Dashed, without, &value),
        series("with the gate", Colour::Blue, LineStyle::Solid, with, &value),
    ]
}

fn load(without: &RunRecording, with: &RunRecording) -> Vec<ChartLine> {
    let offered = |second: &Second| Some(f64::from(second.offered()));
    let reached = |second: &Second| Some(f64::from(second.origin_requests));
    vec![
        ChartLine {
            filled: true,
            ..series("offered to the gate", Colour::Grey, LineStyle::Dotted, with, &offered)
        },
        series(
            "reached the origin without it",
            Colour::Vermilion,
            LineStyle::Dashed,
            without,
            &reached,
        ),
        series("with it", Colour::Blue, LineStyle::Solid, with, &reached),
    ]
}

/// A second's value is drawn at its middle.
fn series(
    label: &str,
    ink: Colour,
    stroke: LineStyle,
    recording: &RunRecording,
    value: &impl Fn(&Second) -> Option<f64>,
) -> ChartLine {
    let points = recording
        .seconds
        .iter()
        .enumerate()
        .map(|(index, second)| (index as f64 + 0.5, value(second)))
        .collect();
    ChartLine { label: label.to_owned(), colour: ink, style: stroke, filled: false, points }
}

fn served_percent(second: &Second) -> Option<f64> {
    let asked = second.people_served + second.people_failed;
    (asked > 0).then(|| f64::from(second.people_served) * 100.0 / f64::from(asked))
}
