//! Findings as a picture.

use portcullis_incident::words;
use portcullis_model::WallTime;
use portcullis_report::plot::{
    Axis, Band, Figure, Ink, Marker, Panel, Series as PlotLine, Shade, Stroke, render,
};

use crate::findings::Findings;
use crate::series::{Bin, Series};

/// Bands and markers drawn: more would cover the picture.
const BANDS: usize = 40;
const MARKERS: usize = 24;
/// A band is drawn at least so wide, as a part of the whole, or it could not be seen.
const NARROWEST: f64 = 1.0 / 400.0;

pub(crate) fn findings(found: &Findings) -> String {
    let series = &found.series;
    let range = range(series);
    let mut bands = Vec::new();
    for surge in found.surges.iter().filter(|surge| surge.turned_into_wave.is_none()) {
        bands.push(band(surge.from, surge.to, range, "surge".into(), Shade::Faint));
    }
    for attack in &found.attacks {
        let label = format!("attack, wave {}", attack.wave);
        bands.push(band(attack.onset, attack.to, range, label, Shade::Strong));
    }
    bands.truncate(BANDS);
    let markers = found
        .procedures
        .iter()
        .take(MARKERS)
        .map(|procedure| Marker {
            at: seconds(procedure.engaged),
            label: format!("{} engaged", procedure.facts.measure.replace('-', " ")),
        })
        .collect();
    let description = format!(
        "{} recorded; {} and {} of attack would have been seen, {} engaged; {} would have been \
         refused and {} delayed.",
        words::counted(found.requests, "request"),
        words::counted(found.surges.count(), "surge"),
        words::counted(found.attacks.count(), "wave"),
        words::counted(found.procedures.count(), "procedure"),
        words::count(found.affected.refused_by_procedures()),
        words::count(found.affected.delayed),
    );
    let per_bin = |part: fn(&Bin) -> u64| {
        line(series, move |bin| Some(part(bin) as f64 / series.bin_seconds as f64))
    };
    let means = Panel {
        title: format!("Load, means of {}", words::span(series.bin_seconds * 1_000)),
        unit: "requests/s".into(),
        top: None,
        series: vec![
            PlotLine {
                label: "recorded".into(),
                ink: Ink::Blue,
                stroke: Stroke::Solid,
                filled: true,
                points: per_bin(|bin| bin.offered),
            },
            PlotLine {
                label: "would have been forwarded".into(),
                ink: Ink::Green,
                stroke: Stroke::Dashed,
                filled: false,
                points: per_bin(|bin| bin.forwarded),
            },
            baseline(series),
        ],
    };
    render(&Figure {
        id: "replay".into(),
        title: "Replay of recorded access logs".into(),
        description,
        axis: Axis::WallTime,
        range,
        bands,
        markers,
        panels: vec![means, peaks(series)],
    })
}

pub(crate) fn peaks(series: &Series) -> Panel {
    Panel {
        title: "Busiest second".into(),
        unit: "requests/s".into(),
        top: None,
        series: vec![PlotLine {
            label: format!("of each {}", words::span(series.bin_seconds * 1_000)),
            ink: Ink::Vermilion,
            stroke: Stroke::Solid,
            filled: false,
            points: line(series, |bin| Some(bin.peak_per_second as f64)),
        }],
    }
}

pub(crate) fn baseline(series: &Series) -> PlotLine {
    PlotLine {
        label: "baseline".into(),
        ink: Ink::Grey,
        stroke: Stroke::Dotted,
        filled: false,
        points: line(series, |bin| bin.baseline_milli.map(|milli| milli as f64 / 1_000.0)),
    }
}

pub(crate) fn line(
    series: &Series,
    value: impl Fn(&Bin) -> Option<f64>,
) -> Vec<(f64, Option<f64>)> {
    let middle = series.bin_seconds as f64 / 2.0;
    let bins = series.bins.iter().enumerate();
    bins.map(|(at, bin)| (series.second_of(at) as f64 + middle, value(bin))).collect()
}

pub(crate) fn range(series: &Series) -> (f64, f64) {
    (series.second_of(0) as f64, series.second_of(series.bins.len().max(1)) as f64)
}

pub(crate) fn band(
    from: WallTime,
    to: Option<WallTime>,
    range: (f64, f64),
    label: String,
    shade: Shade,
) -> Band {
    let from = seconds(from);
    let to = to.map_or(range.1, seconds).max(from + (range.1 - range.0) * NARROWEST);
    Band { from, to, label, shade }
}

fn seconds(at: WallTime) -> f64 {
    at.millis() as f64 / 1_000.0
}
