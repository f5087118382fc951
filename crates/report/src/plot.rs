//! Time-series panels as one self-contained SVG picture.
//!
//! [`render`] turns a [`Chart`] into text: stacked panels over a shared horizontal axis, shaded bands
//! for phases, numbered markers for moments, a legend in each panel's heading. The picture needs no
//! script, font or style sheet from elsewhere, names and describes itself to a screen reader, keeps
//! its lines apart without colour (dashes and widths), and follows a dark colour scheme.
//!
//! The same figure always gives the same bytes. This module never reads a clock and never writes a
//! file. Colours are those of Okabe and Ito's palette, chosen to stay distinct for colour-blind
//! readers (<https://jfly.uni-koeln.de/color/>).

use std::fmt::Write as _;

mod scale;
mod text;

use scale::LinearScale;
use text::{escape, shorten, width_of, wrap};

/// A picture: what it shows, and the panels that show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Distinguishes the picture from others in the same page: letters, digits and hyphens; other
    /// characters are dropped.
    pub id: String,
    /// The heading, and the picture's accessible name.
    pub title: String,
    /// What a reader who cannot see the picture should know: its accessible description.
    pub description: String,
    /// How horizontal positions are written.
    pub axis: Axis,
    /// The horizontal range, first to last, in seconds. Points outside it are left out.
    pub range: (f64, f64),
    /// Shaded stretches, such as phases. They may touch; they should not overlap.
    pub bands: Vec<Band>,
    /// Moments, drawn as numbered lines through all panels and listed below them.
    pub markers: Vec<Marker>,
    /// The panels, top to bottom.
    pub panels: Vec<Panel>,
}

/// How horizontal positions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Seconds since the start, as `0 s`, `10 s`.
    Elapsed,
    /// Seconds since the Unix epoch, written as wall time in UTC.
    WallTime,
}

/// A shaded stretch of the horizontal axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Where it begins, in the axis's seconds.
    pub from: f64,
    /// Where it ends, in the axis's seconds.
    pub to: f64,
    /// Its name, written above it.
    pub label: String,
    /// How strongly it is shaded.
    pub shade: Shade,
}

/// How strongly a band is shaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shade {
    /// Not at all: only the band's borders and name.
    Clear,
    /// Faintly: something unusual and harmless.
    Faint,
    /// Visibly: something hostile.
    Strong,
}

/// A moment, numbered in the picture and named in the list below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker {
    /// When, in the axis's seconds.
    pub at: f64,
    /// What happened.
    pub label: String,
}

/// One plot with its own vertical axis, which always begins at zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The heading.
    pub title: String,
    /// The unit of the vertical axis, such as `%` or `requests/s`.
    pub unit: String,
    /// The top of the vertical axis; by default what the points need.
    pub top: Option<f64>,
    /// The lines.
    pub series: Vec<ChartLine>,
}

/// One line of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartLine {
    /// Its name in the legend.
    pub label: String,
    /// Its colour.
    pub colour: Colour,
    /// Its stroke, which distinguishes lines without colour.
    pub style: LineStyle,
    /// Whether the surface below the line is tinted.
    pub filled: bool,
    /// Position in seconds and value, in rising order of position. `None` leaves a gap: nothing was
    /// measured there, which is not zero.
    pub points: Vec<(f64, Option<f64>)>,
}

/// A colour that stays distinct for colour-blind readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Blue.
    Blue,
    /// Vermilion, a red-orange.
    Vermilion,
    /// Bluish green.
    Green,
    /// Reddish purple.
    Purple,
    /// Neutral grey.
    Grey,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStyle {
    /// An unbroken line.
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
}

impl Colour {
    const ALL: [(Colour, &'static str, &'static str, &'static str); 5] = [
        (Colour::Blue, "blue", "#0072b2", "#56b4e9"),
        (Colour::Vermilion, "vermilion", "#d55e00", "#ff8c42"),
        (Colour::Green, "green", "#00795a", "#2fc79f"),
        (Colour::Purple, "purple", "#a8528a", "#e39ac9"),
        (Colour::Grey, "grey", "#6b6b6b", "#b0b0b0"),
    ];

    fn class(self) -> &'static str {
        match self {
            Colour::Blue => "blue",
            Colour::Vermilion => "vermilion",
            Colour::Green => "green",
            Colour::Purple => "purple",
            Colour::Grey => "grey",
        }
    }
}

impl LineStyle {
    fn class(self) -> &'static str {
        match self {
            LineStyle::Solid => "solid",
            LineStyle::Dashed => "dashed",
            LineStyle::Dotted => "dotted",
        }
    }
}

// Lengths in the picture's own units, which a browser shows as pixels at its natural size.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 20.0;
const TITLE_HEIGHT: f64 = 40.0;
const BAND_LINE: f64 = 14.0;
const BAND_LINES_MAX: usize = 3;
const FLAG_ROW: f64 = 19.0;
const FLAG_ROWS_MAX: usize = 3;
const FLAG_WIDTH: f64 = 20.0;
const FLAG_HEIGHT: f64 = 15.0;
const HEADING_HEIGHT: f64 = 36.0;
const PANEL_HEIGHT: f64 = 140.0;
const AXIS_HEIGHT: f64 = 46.0;
const KEY_LINE: f64 = 18.0;
const KEY_COLUMNS: usize = 3;
const SMALL: f64 = 12.0;
const SWATCH: f64 = 30.0;
const PLOT_WIDTH: f64 = WIDTH - LEFT - RIGHT;

/// Draws a figure as an SVG document.
pub fn render(chart: &Chart) -> String {
    let id: String =
        chart.id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    let x = LinearScale::new(chart.range, (LEFT, LEFT + PLOT_WIDTH));
    let bands: Vec<_> = chart.bands.iter().filter_map(|band| PlacedBand::new(band, &x)).collect();
    let flags = place_flags(&chart.markers, &x);

    let band_lines = bands.iter().map(|band| band.lines.len()).max().unwrap_or(0);
    let flag_rows = flags.iter().map(|flag| flag.row + 1).max().unwrap_or(0);
    let flags_top = TITLE_HEIGHT + band_lines as f64 * BAND_LINE + 6.0;
    let panels_top = flags_top + flag_rows as f64 * FLAG_ROW;
    let panels_bottom = panels_top + chart.panels.len() as f64 * (HEADING_HEIGHT + PANEL_HEIGHT);
    let key_top = panels_bottom + AXIS_HEIGHT;
    let key_rows = flags.len().div_ceil(KEY_COLUMNS);
    let height = key_top + if key_rows == 0 { 0.0 } else { key_rows as f64 * KEY_LINE + 14.0 };

    let mut out = String::with_capacity(16 * 1024);
    put(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" class=\"pc-plot\" \
         aria-labelledby=\"{id}-title {id}-desc\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n",
            coordinate(WIDTH),
            coordinate(height),
            coordinate(WIDTH),
            coordinate(height),
            escape(&chart.title),
            escape(&chart.description),
        ),
    );
    style(&mut out);
    put(
        &mut out,
        format_args!(
            "<rect class=\"pc-paper\" width=\"{}\" height=\"{}\"/>\n",
            coordinate(WIDTH),
            coordinate(height)
        ),
    );
    put(
        &mut out,
        format_args!(
            "<text class=\"pc-title\" x=\"{}\" y=\"26\">{}</text>\n",
            coordinate(LEFT),
            escape(&shorten(&chart.title, PLOT_WIDTH, 17.0)),
        ),
    );
    draw_band_names(&mut out, &bands);
    let mut top = panels_top;
    for panel in &chart.panels {
        draw_panel(&mut out, panel, &x, &bands, chart.axis, top);
        top += HEADING_HEIGHT + PANEL_HEIGHT;
    }
    draw_axis(&mut out, chart.axis, &x, panels_bottom);
    draw_flags(&mut out, &flags, flags_top, panels_bottom);
    draw_marker_list(&mut out, chart, &flags, key_top);
    out.push_str("</svg>\n");
    out
}

/// A band with its place in the picture and its name broken into lines that fit above it.
struct PlacedBand {
    from: f64,
    to: f64,
    shade: Shade,
    lines: Vec<String>,
}

impl PlacedBand {
    fn new(band: &Band, x: &LinearScale) -> Option<Self> {
        let (from, to) = (x.clamped(band.from)?, x.clamped(band.to)?);
        (to > from).then(|| PlacedBand {
            from,
            to,
            shade: band.shade,
            lines: wrap(&band.label, to - from - 6.0, SMALL, BAND_LINES_MAX),
        })
    }
}

/// A marker's numbered flag: its horizontal place, and the row where it overlaps no other.
struct Flag {
    number: usize,
    at: f64,
    row: usize,
}

fn place_flags(markers: &[Marker], x: &LinearScale) -> Vec<Flag> {
    let mut placed: Vec<Flag> = Vec::new();
    let mut inside: Vec<&Marker> = markers.iter().filter(|m| x.contains(m.at)).collect();
    inside.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut row_ends = [f64::NEG_INFINITY; FLAG_ROWS_MAX];
    for (index, marker) in inside.into_iter().enumerate() {
        let at = x.position(marker.at);
        // The first free row; if all are taken, the one that has been free for longest.
        let row = (0..FLAG_ROWS_MAX)
            .find(|&row| row_ends[row] <= at - FLAG_WIDTH)
            .or_else(|| (0..FLAG_ROWS_MAX).min_by(|&a, &b| row_ends[a].total_cmp(&row_ends[b])))
            .unwrap_or(0);
        row_ends[row] = at;
        placed.push(Flag { number: index + 1, at, row });
    }
    placed
}

fn style(out: &mut String) {
    out.push_str("<style>\n.pc-plot{font-family:system-ui,\"Segoe UI\",Roboto,Helvetica,Arial,sans-serif;font-size:12px}\n");
    out.push_str(
        ".pc-plot text{fill:#222}.pc-plot .pc-title{font-size:17px;font-weight:600}\
         .pc-plot .pc-heading{font-size:13px;font-weight:600}.pc-plot .pc-quiet{fill:#555}\
         .pc-plot .pc-flag-text{fill:#fff;font-size:11px;font-weight:600}\n\
         .pc-paper{fill:#fff}.pc-clear{fill:none}.pc-faint{fill:#000;fill-opacity:.045}\
         .pc-strong{fill:#d55e00;fill-opacity:.13}.pc-edge{stroke:#999;stroke-opacity:.5}\
         .pc-grid{stroke:#000;stroke-opacity:.1}.pc-base{stroke:#555}\
         .pc-flag{fill:#333}.pc-flag-line{stroke:#333;stroke-opacity:.7;stroke-dasharray:2 3}\n\
         .pc-line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\
         .pc-area{fill-opacity:.12}.pc-dashed{stroke-dasharray:8 5}\
         .pc-dotted{stroke-dasharray:1 5;stroke-width:2.6}\n",
    );
    for (_, name, light, _) in Colour::ALL {
        put(out, format_args!(".pc-{name}{{stroke:{light}}}.pc-fill-{name}{{fill:{light}}}"));
    }
    out.push_str("\n@media (prefers-color-scheme:dark){.pc-plot text{fill:#eee}.pc-plot .pc-quiet{fill:#bbb}.pc-paper{fill:#16181c}.pc-plot .pc-flag-text{fill:#16181c}.pc-faint{fill:#fff}.pc-grid{stroke:#fff}.pc-base{stroke:#bbb}.pc-flag{fill:#ddd}.pc-flag-line{stroke:#ddd}");
    for (_, name, _, dark) in Colour::ALL {
        put(out, format_args!(".pc-{name}{{stroke:{dark}}}.pc-fill-{name}{{fill:{dark}}}"));
    }
    out.push_str("}\n</style>\n");
}

fn draw_band_names(out: &mut String, bands: &[PlacedBand]) {
    for band in bands {
        for (index, line) in band.lines.iter().enumerate() {
            put(
                out,
                format_args!(
                    "<text class=\"pc-quiet\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                    coordinate(f64::midpoint(band.from, band.to)),
                    coordinate(TITLE_HEIGHT + (index + 1) as f64 * BAND_LINE - 2.0),
                    escape(line),
                ),
            );
        }
    }
}

fn draw_panel(
    out: &mut String,
    panel: &Panel,
    x: &LinearScale,
    bands: &[PlacedBand],
    axis: Axis,
    top: f64,
) {
    let plot_top = top + HEADING_HEIGHT;
    let plot_bottom = plot_top + PANEL_HEIGHT;
    put(out, format_args!("<g>\n"));
    draw_heading(out, panel, top + HEADING_HEIGHT - 10.0);

    for band in bands {
        let shade = match band.shade {
            Shade::Clear => "pc-clear",
            Shade::Faint => "pc-faint",
            Shade::Strong => "pc-strong",
        };
        put(
            out,
            format_args!(
                "<rect class=\"{shade}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n",
                coordinate(band.from),
                coordinate(plot_top),
                coordinate(band.to - band.from),
                coordinate(PANEL_HEIGHT),
            ),
        );
        for edge in [band.from, band.to] {
            put(
                out,
                format_args!(
                    "<path class=\"pc-edge\" d=\"M{0} {1}V{2}\"/>\n",
                    coordinate(edge),
                    coordinate(plot_top),
                    coordinate(plot_bottom)
                ),
            );
        }
    }

    let highest = panel
        .series
        .iter()
        .flat_map(|series| series.points.iter().filter_map(|(_, value)| *value))
        .filter(|value| value.is_finite())
        .fold(0.0, f64::max);
    let (step, ceiling) = scale::steps_from_zero(panel.top.unwrap_or(highest), 4);
    let y = LinearScale::new((0.0, panel.top.unwrap_or(ceiling)), (plot_bottom, plot_top + 2.0));
    for tick in scale::ticks(0.0, panel.top.unwrap_or(ceiling), step) {
        let place = y.position(tick);
        put(
            out,
            format_args!(
                "<path class=\"pc-grid\" d=\"M{} {}H{}\"/><text class=\"pc-quiet\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                coordinate(LEFT),
                coordinate(place),
                coordinate(LEFT + PLOT_WIDTH),
                coordinate(LEFT - 7.0),
                coordinate(place + 4.0),
                scale::number(tick),
            ),
        );
    }
    for tick in scale::ticks(x.from(), x.to(), axis_step(axis, x)) {
        put(
            out,
            format_args!(
                "<path class=\"pc-grid\" d=\"M{} {}V{}\"/>\n",
                coordinate(x.position(tick)),
                coordinate(plot_top),
                coordinate(plot_bottom)
            ),
        );
    }
    for series in &panel.series {
        draw_series(out, series, x, &y, plot_bottom);
    }
    put(
        out,
        format_args!(
            "<path class=\"pc-base\" d=\"M{} {}H{}\"/>\n</g>\n",
            coordinate(LEFT),
            coordinate(plot_bottom),
            coordinate(LEFT + PLOT_WIDTH)
        ),
    );
}

/// The panel's title at the left, its legend at the right.
fn draw_heading(out: &mut String, panel: &Panel, baseline: f64) {
    let title = if panel.unit.is_empty() {
        panel.title.clone()
    } else {
        format!("{} ({})", panel.title, panel.unit)
    };
    put(
        out,
        format_args!(
            "<text class=\"pc-heading\" x=\"{}\" y=\"{}\">{}</text>\n",
            coordinate(LEFT),
            coordinate(baseline),
            escape(&shorten(&title, PLOT_WIDTH / 2.0, 13.0)),
        ),
    );
    let mut right = LEFT + PLOT_WIDTH;
    for series in panel.series.iter().rev() {
        let start = right - width_of(&series.label, SMALL) - SWATCH - 6.0;
        put(
            out,
            format_args!(
                "<path class=\"pc-line pc-{} pc-{}\" d=\"M{} {}h{}\"/><text x=\"{}\" y=\"{}\">{}</text>\n",
                series.colour.class(),
                series.style.class(),
                coordinate(start),
                coordinate(baseline - 4.0),
                coordinate(SWATCH),
                coordinate(start + SWATCH + 6.0),
                coordinate(baseline),
                escape(&series.label),
            ),
        );
        right = start - 14.0;
    }
}

fn draw_series(
    out: &mut String,
    series: &ChartLine,
    x: &LinearScale,
    y: &LinearScale,
    bottom: f64,
) {
    let mut line = String::new();
    let mut area = String::new();
    for run in runs(&series.points, x, y) {
        for (index, (px, py)) in run.iter().enumerate() {
            put(
                &mut line,
                format_args!(
                    "{}{} {}",
                    if index == 0 { 'M' } else { 'L' },
                    coordinate(*px),
                    coordinate(*py)
                ),
            );
        }
        match run.as_slice() {
            // A lone point has no length; a round cap on a short stroke makes it visible.
            [_] => line.push_str("h0.1"),
            [first, .., last] if series.filled => {
                put(&mut area, format_args!("M{} {}", coordinate(first.0), coordinate(bottom)));
                for (px, py) in &run {
                    put(&mut area, format_args!("L{} {}", coordinate(*px), coordinate(*py)));
                }
                put(&mut area, format_args!("L{} {}Z", coordinate(last.0), coordinate(bottom)));
            }
            _ => {}
        }
    }
    if !area.is_empty() {
        put(
            out,
            format_args!(
                "<path class=\"pc-area pc-fill-{}\" d=\"{area}\"/>\n",
                series.colour.class()
            ),
        );
    }
    if !line.is_empty() {
        put(
            out,
            format_args!(
                "<path class=\"pc-line pc-{} pc-{}\" d=\"{line}\"/>\n",
                series.colour.class(),
                series.style.class()
            ),
        );
    }
}

/// The unbroken stretches of a series in picture coordinates. Where more than one point falls into
/// the same unit of width, only the lowest and highest of them are drawn: a day of seconds stays a
/// small file and no peak is lost.
fn runs(points: &[(f64, Option<f64>)], x: &LinearScale, y: &LinearScale) -> Vec<Vec<(f64, f64)>> {
    let column = |place: f64| place.floor() as i64;
    let mut runs: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for &(position, value) in points {
        let value = value.filter(|value| value.is_finite());
        if !x.contains(position) {
            continue;
        }
        let Some(run) = runs.last_mut() else { break };
        let Some(value) = value else {
            if !run.is_empty() {
                runs.push(Vec::new());
            }
            continue;
        };
        let point = (x.position(position), y.position(value.clamp(y.from(), y.to())));
        match run.as_slice() {
            [.., (ax, ay), (bx, by)]
                if column(*ax) == column(point.0) && column(*bx) == column(point.0) =>
            {
                let (low, high) = (ay.min(*by).min(point.1), ay.max(*by).max(point.1));
                let last_two = run.len() - 2;
                run[last_two].1 = high;
                run[last_two + 1] = (point.0, low);
            }
            _ => run.push(point),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn axis_step(axis: Axis, x: &LinearScale) -> f64 {
    match axis {
        Axis::Elapsed => scale::elapsed_step(x.to() - x.from(), 12),
        Axis::WallTime => scale::wall_step(x.to() - x.from(), 9),
    }
}

fn draw_axis(out: &mut String, axis: Axis, x: &LinearScale, top: f64) {
    let step = axis_step(axis, x);
    for tick in scale::ticks(x.from(), x.to(), step) {
        let label = match axis {
            Axis::Elapsed => format!("{} s", scale::number(tick)),
            Axis::WallTime => scale::wall_label(tick, step),
        };
        put(
            out,
            format_args!(
                "<text class=\"pc-quiet\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n",
                coordinate(x.position(tick)),
                coordinate(top + 17.0),
            ),
        );
    }
    let name = match axis {
        Axis::Elapsed => "time since the start".to_owned(),
        Axis::WallTime => format!("UTC, from {}", scale::wall_date(x.from())),
    };
    put(
        out,
        format_args!(
            "<text class=\"pc-quiet\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{name}</text>\n",
            coordinate(LEFT + PLOT_WIDTH / 2.0),
            coordinate(top + 35.0),
        ),
    );
}

fn draw_flags(out: &mut String, flags: &[Flag], top: f64, bottom: f64) {
    for flag in flags {
        let y = top + flag.row as f64 * FLAG_ROW;
        put(
            out,
            format_args!(
                "<path class=\"pc-flag-line\" d=\"M{} {}V{}\"/>",
                coordinate(flag.at),
                coordinate(y + FLAG_HEIGHT),
                coordinate(bottom)
            ),
        );
        draw_flag(out, flag.number, flag.at, y);
    }
}

fn draw_flag(out: &mut String, number: usize, middle: f64, top: f64) {
    put(
        out,
        format_args!(
            "<rect class=\"pc-flag\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\"/>\
             <text class=\"pc-flag-text\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{number}</text>\n",
            coordinate(middle - FLAG_WIDTH / 2.0 + 1.0),
            coordinate(top),
            coordinate(FLAG_WIDTH - 2.0),
            coordinate(FLAG_HEIGHT),
            coordinate(middle),
            coordinate(top + 11.5),
        ),
    );
}

/// The list of markers, read down the columns.
fn draw_marker_list(out: &mut String, chart: &Chart, flags: &[Flag], top: f64) {
    let rows = flags.len().div_ceil(KEY_COLUMNS);
    let column_width = PLOT_WIDTH / KEY_COLUMNS as f64;
    let x = LinearScale::new(chart.range, (0.0, 1.0));
    let mut inside: Vec<&Marker> = chart.markers.iter().filter(|m| x.contains(m.at)).collect();
    inside.sort_by(|a, b| a.at.total_cmp(&b.at));
    for (index, marker) in inside.into_iter().enumerate() {
        let when = match chart.axis {
            Axis::Elapsed => format!("{:.1} s", marker.at),
            Axis::WallTime => scale::wall_label(marker.at, 1.0),
        };
        let left = LEFT + (index / rows) as f64 * column_width;
        let line = top + (index % rows) as f64 * KEY_LINE;
        draw_flag(out, index + 1, left + FLAG_WIDTH / 2.0, line);
        let text = format!("{when}: {}", marker.label);
        put(
            out,
            format_args!(
                "<text x=\"{}\" y=\"{}\">{}</text>\n",
                coordinate(left + FLAG_WIDTH + 5.0),
                coordinate(line + SMALL),
                escape(&shorten(&text, column_width - FLAG_WIDTH - 12.0, SMALL)),
            ),
        );
    }
}

/// A coordinate, to a tenth of a unit.
fn coordinate(value: f64) -> String {
    let mut text = format!("{value:.1}");
    if let Some(short) = text.strip_suffix(".0") {
        text.truncate(short.len());
    }
    if text == "-0" { "0".to_owned() } else { text }
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(what);
}

#[cfg(test)]
mod tests;
