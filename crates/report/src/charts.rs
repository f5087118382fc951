//! Load over time, drawn from an incident.

use core::time::Duration;

use portcullis_incident::{Incident, LoadSeries, PlatformRecord, WaveRecord, words};
use portcullis_model::WallTime;

use crate::plot::{self, Axis, Band, Chart, Colour, LineStyle, Marker, Panel, Shade};

/// Pictures in one report.
const MAX_CHARTS: usize = 8;
/// Markers in one picture. Beyond this it cannot be read; the timeline has them all.
const MAX_MARKERS: usize = 18;

/// One picture for each stretch of load on each attacked platform.
pub(crate) fn charts(incident: &Incident) -> Vec<String> {
    let stretches = incident
        .platforms
        .iter()
        .flat_map(|platform| platform.series.iter().map(move |s| (platform, s)));
    stretches
        .enumerate()
        .take(MAX_CHARTS)
        .filter_map(|(number, (platform, series))| chart(incident, platform, series, number))
        .collect()
}

fn chart(
    incident: &Incident,
    platform: &PlatformRecord,
    series: &LoadSeries,
    number: usize,
) -> Option<String> {
    let first = series.points().next()?.at;
    let end = chart_end(incident, platform, series);
    let inside = |at: WallTime| at >= first && at <= end;
    let bands = bands(incident, platform, (first, end));
    let mut markers: Vec<Marker> = Vec::new();
    let mut mark = |at: WallTime, label: String| {
        if inside(at) && markers.len() < MAX_MARKERS {
            markers.push(Marker { at: seconds(at), label });
        }
    };
    for procedure in incident.procedures.iter().filter(|p| p.facts.platform == platform.name) {
        let name = format!("{} {}", procedure.facts.measure, procedure.facts.id.0);
        mark(procedure.engaged.at, format!("{name} on"));
        if let Some(end) = &procedure.released {
            mark(end.stamp.at, format!("{name} off"));
        }
    }
    for wave in incident.waves.iter().filter(|w| w.platform == platform.name) {
        for change in &wave.changes {
            mark(change.stamp.at, "attack changed".to_owned());
        }
        for mitigation in &wave.mitigations {
            mark(mitigation.stamp.at, "mitigated".to_owned());
        }
    }
    for moment in &platform.full_speed {
        mark(moment.stamp.at, "full speed".to_owned());
    }
    let highest = series.points().map(|p| p.offered).max().unwrap_or(0);
    let rehearsal = if incident.rehearsal { "Rehearsal: " } else { "" };
    let figure = Chart {
        id: format!("load-{number}"),
        title: format!("{rehearsal}load on {}, {}", platform.name, words::day(first)),
        description: format!(
            "Requests per second on {} from {}: offered, forwarded to the origin, and refused, \
             dropped or challenged. At most {} per second were offered over one point of the \
             picture ({} each). {}",
            platform.name,
            words::period(first, end),
            words::count(highest),
            words::span(series.width_ms()),
            describe_waves(incident, platform, (first, end)),
        ),
        axis: Axis::WallTime,
        range: (seconds(first), seconds(end)),
        bands,
        markers,
        panels: vec![
            Panel {
                title: "Requests".to_owned(),
                unit: "per second".to_owned(),
                top: None,
                series: vec![
                    line(
                        "offered",
                        Colour::Grey,
                        LineStyle::Solid,
                        true,
                        points(series, |p| p.offered),
                    ),
                    line(
                        "not forwarded",
                        Colour::Vermilion,
                        LineStyle::Dashed,
                        false,
                        points(series, |p| p.stopped),
                    ),
                ],
            },
            Panel {
                title: "Forwarded to the origin".to_owned(),
                unit: "per second".to_owned(),
                top: None,
                series: vec![line(
                    "forwarded",
                    Colour::Blue,
                    LineStyle::Solid,
                    true,
                    points(series, |p| p.forwarded),
                )],
            },
        ],
    };
    Some(plot::render(&figure))
}

/// A minute after the last event in the plot, unless the record ends before.
fn chart_end(incident: &Incident, platform: &PlatformRecord, series: &LoadSeries) -> WallTime {
    let mine = |p: &&portcullis_incident::ProcedureRecord| p.facts.platform == platform.name;
    let waves = incident.waves.iter().filter(|w| w.platform == platform.name);
    let ends = waves.map(|w| w.until(incident.as_of.at));
    let procedures = incident.procedures.iter().filter(mine);
    let released = procedures.filter_map(|p| p.released.as_ref().map(|r| r.stamp.at));
    let restored = platform.full_speed.iter().map(|m| m.stamp.at);
    let last = ends.chain(released).chain(restored).filter(|at| *at <= series.end()).max();
    last.map_or(series.end(), |last| (last + Duration::from_mins(1)).min(series.end()))
}

fn line(
    label: &str,
    colour: Colour,
    style: LineStyle,
    filled: bool,
    points: Vec<(f64, Option<f64>)>,
) -> plot::ChartLine {
    plot::ChartLine { label: label.to_owned(), colour, style, filled, points }
}

/// The points of one line, with a gap where nothing was recorded.
fn points(
    series: &LoadSeries,
    of: impl Fn(&portcullis_incident::LoadPoint) -> u64,
) -> Vec<(f64, Option<f64>)> {
    let mut out: Vec<(f64, Option<f64>)> = Vec::new();
    let mut next = None;
    for point in series.points() {
        let at = point.at.millis();
        if let Some(expected) = next.filter(|expected| *expected < at) {
            out.push((expected as f64 / 1_000.0, None));
        }
        out.push((at as f64 / 1_000.0, Some(of(&point) as f64)));
        next = Some(at.saturating_add(point.width_ms));
    }
    out
}

/// Waves and surges that lie in the picture. Bands should not overlap: where a surge and a wave
/// do, the wave is drawn.
fn bands(incident: &Incident, platform: &PlatformRecord, range: (WallTime, WallTime)) -> Vec<Band> {
    let waves: Vec<&WaveRecord> = waves_in(incident, platform, range).collect();
    let mut bands: Vec<Band> = waves
        .iter()
        .map(|wave| Band {
            from: seconds(wave.onset),
            to: seconds(wave.until(incident.as_of.at)),
            label: format!("wave {}", wave.number),
            shade: Shade::Strong,
        })
        .collect();
    for surge in incident.surges.iter().filter(|s| s.platform == platform.name) {
        let Some(ended) = surge.ended else { continue };
        let apart =
            |wave: &&WaveRecord| ended.at <= wave.onset || surge.began.at >= wave.until(range.1);
        if surge.began.at < range.1 && ended.at > range.0 && waves.iter().all(apart) {
            bands.push(Band {
                from: seconds(surge.began.at),
                to: seconds(ended.at),
                label: "surge, no attack".to_owned(),
                shade: Shade::Faint,
            });
        }
    }
    bands.sort_by(|a, b| a.from.total_cmp(&b.from));
    bands
}

fn waves_in<'a>(
    incident: &'a Incident,
    platform: &'a PlatformRecord,
    range: (WallTime, WallTime),
) -> impl Iterator<Item = &'a WaveRecord> {
    incident.waves.iter().filter(move |wave| {
        wave.platform == platform.name
            && wave.onset < range.1
            && wave.until(incident.as_of.at) > range.0
    })
}

fn describe_waves(
    incident: &Incident,
    platform: &PlatformRecord,
    range: (WallTime, WallTime),
) -> String {
    let waves: Vec<String> = waves_in(incident, platform, range)
        .map(|wave| {
            format!(
                "wave {} from {} to {} UTC",
                wave.number,
                wave.onset.clock(),
                wave.until(incident.as_of.at).clock()
            )
        })
        .collect();
    format!("Shaded: {}.", words::list(&waves))
}

fn seconds(at: WallTime) -> f64 {
    at.millis() as f64 / 1_000.0
}
