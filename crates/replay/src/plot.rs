//! Findings as a picture.

use portcullis_incident::words;
use portcullis_model::WallTime;
use portcullis_report::plot::{
    Axis, Band, Chart, ChartLine, Colour, LineStyle, Marker, Panel, Shade, render,
};

use crate::findings::Findings;
use crate::series::{Bin, BinnedSeries};

/// Bands and markers drawn: more would cover the picture.
const MAX_BANDS: usize = 40;
const MAX_MARKERS: usize = 24;
/// A band is drawn at least so wide, as a part of the whole, or it could not be seen.
const MIN_BAND_WIDTH: f64 = 1.0 / 400.0;
/// A band of this width has space for its name.
const MIN_LABELLED_WIDTH: f64 = 1.0 / 18.0;

impl Findings {
    /// Load over time as an SVG picture, with surges and attacks shaded and procedures marked.
    pub fn svg(&self) -> String {
        draw_findings(self)
    }
}

fn draw_findings(found: &Findings) -> String {
    let series = &found.series;
    let range = range(series);
    let mut bands = Vec::new();
    for surge in found.surges.iter().filter(|surge| surge.turned_into_wave.is_none()) {
        bands.push(band(surge.from, surge.to, range, "surge", Shade::Faint));
    }
    let mut markers = Vec::new();
    for attack in &found.attacks {
        bands.push(band(attack.onset, attack.to, range, "attack", Shade::Strong));
        let label = format!("wave {} detected", attack.wave);
        markers.push(Marker { at: seconds(attack.detected), label });
    }
    for procedure in &found.procedures {
        let label = format!("{} engaged", procedure.facts.measure.replace('-', " "));
        markers.push(Marker { at: seconds(procedure.engaged), label });
    }
    markers.sort_by(|a, b| a.at.total_cmp(&b.at));
    markers.truncate(MAX_MARKERS);
    let description = format!(
        "{} recorded; {} and {} of attack would have been seen, {} engaged; {} would have been \
         refused and {} delayed.",
        words::counted(found.requests, "request"),
        words::counted(found.surges.count(), "surge"),
        words::counted(found.attacks.count(), "wave"),
        words::counted(found.procedures.count(), "procedure"),
        words::count(found.impact.refused_by_procedures()),
        words::count(found.impact.delayed),
    );
    let per_bin = |part: fn(&Bin) -> u64| {
        line(series, move |bin| Some(part(bin) as f64 / series.bin_seconds as f64))
    };
    let means = Panel {
        title: format!("Load, means of {}", words::span(series.bin_seconds * 1_000)),
        unit: "requests/s".into(),
        top: None,
        series: vec![
            ChartLine {
                label: "recorded".into(),
                colour: Colour::Blue,
                style: LineStyle::Solid,
                filled: true,
                points: per_bin(|bin| bin.offered),
            },
            ChartLine {
                label: "would have been forwarded".into(),
                colour: Colour::Green,
                style: LineStyle::Dashed,
                filled: false,
                points: per_bin(|bin| bin.forwarded),
            },
            baseline(series),
        ],
    };
    render(&Chart {
        id: "replay".into(),
        title: "Replay of recorded access logs".into(),
        description,
        axis: Axis::WallTime,
        range,
        bands: merge_bands(bands, range),
        markers,
        panels: vec![means, peaks(series, "second")],
    })
}

/// The busiest second (or minute, where nothing finer is known) of each bin.
pub(crate) fn peaks(series: &BinnedSeries, of: &str) -> Panel {
    Panel {
        title: format!("Busiest {of}"),
        unit: "requests/s".into(),
        top: None,
        series: vec![ChartLine {
            label: format!("of each {}", words::span(series.bin_seconds * 1_000)),
            colour: Colour::Vermilion,
            style: LineStyle::Solid,
            filled: false,
            points: line(series, |bin| Some(bin.peak_per_second as f64)),
        }],
    }
}

pub(crate) fn baseline(series: &BinnedSeries) -> ChartLine {
    ChartLine {
        label: "baseline".into(),
        colour: Colour::Grey,
        style: LineStyle::Dotted,
        filled: false,
        points: line(series, |bin| bin.baseline_milli.map(|milli| milli as f64 / 1_000.0)),
    }
}

pub(crate) fn line(
    series: &BinnedSeries,
    value: impl Fn(&Bin) -> Option<f64>,
) -> Vec<(f64, Option<f64>)> {
    let middle = series.bin_seconds as f64 / 2.0;
    let bins = series.bins.iter().enumerate();
    bins.map(|(at, bin)| (series.bin_start(at) as f64 + middle, value(bin))).collect()
}

pub(crate) fn range(series: &BinnedSeries) -> (f64, f64) {
    (series.bin_start(0) as f64, series.bin_start(series.bins.len().max(1)) as f64)
}

pub(crate) fn band(
    from: WallTime,
    to: Option<WallTime>,
    range: (f64, f64),
    label: &str,
    shade: Shade,
) -> Band {
    let from = seconds(from);
    let to = to.map_or(range.1, seconds).max(from + (range.1 - range.0) * MIN_BAND_WIDTH);
    Band { from, to, label: label.to_owned(), shade }
}

/// Bands that would overlap are drawn as one, as hostile as the most hostile of them; those too
/// narrow for their name go without it.
pub(crate) fn merge_bands(mut bands: Vec<Band>, range: (f64, f64)) -> Vec<Band> {
    bands.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mut joined: Vec<Band> = Vec::new();
    for band in bands {
        match joined.last_mut() {
            Some(last) if band.from <= last.to => {
                last.to = last.to.max(band.to);
                if band.shade == Shade::Strong {
                    (last.shade, last.label) = (band.shade, band.label);
                }
            }
            _ => joined.push(band),
        }
    }
    joined.truncate(MAX_BANDS);
    for band in &mut joined {
        if (band.to - band.from) < (range.1 - range.0) * MIN_LABELLED_WIDTH {
            band.label.clear();
        }
    }
    joined
}

fn seconds(at: WallTime) -> f64 {
    at.millis() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_bands_are_one_and_narrow_ones_have_no_name() {
        let range = (0.0, 1_000.0);
        let at = |second: u64| WallTime(second * 1_000);
        let bands = vec![
            band(at(500), Some(at(700)), range, "attack", Shade::Strong),
            band(at(490), Some(at(510)), range, "surge", Shade::Faint),
            band(at(900), Some(at(900)), range, "surge", Shade::Faint),
        ];
        let joined = merge_bands(bands, range);
        assert_eq!(joined.len(), 2);
        assert_eq!((joined[0].from, joined[0].to), (490.0, 700.0));
        assert_eq!((joined[0].label.as_str(), joined[0].shade), ("attack", Shade::Strong));
        assert!(joined[1].to > joined[1].from && joined[1].label.is_empty());
    }
}
