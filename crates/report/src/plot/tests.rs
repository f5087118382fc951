//! What a reader of the picture may rely on.

use super::*;

fn figure() -> Chart {
    let line = |label: &str, ink, stroke, values: &[Option<f64>]| ChartLine {
        label: label.into(),
        colour: ink,
        style: stroke,
        filled: false,
        points: values.iter().enumerate().map(|(second, v)| (second as f64, *v)).collect(),
    };
    Chart {
        id: "two-panels".into(),
        title: "People served, and the load".into(),
        description: "Without the gate no visitor is served from second 3.".into(),
        axis: Axis::Elapsed,
        range: (0.0, 6.0),
        bands: vec![
            Band { from: 0.0, to: 3.0, label: "Normal day".into(), shade: Shade::Clear },
            Band { from: 3.0, to: 6.0, label: "Search flood".into(), shade: Shade::Strong },
        ],
        markers: vec![
            Marker { at: 3.5, label: "open to guarded".into() },
            Marker { at: 3.6, label: "guarded to siege".into() },
        ],
        panels: vec![
            Panel {
                title: "People served".into(),
                unit: "%".into(),
                top: Some(100.0),
                series: vec![
                    line("with the gate", Colour::Blue, LineStyle::Solid, &[Some(100.0); 7]),
                    line(
                        "without",
                        Colour::Vermilion,
                        LineStyle::Dashed,
                        &[Some(100.0), Some(100.0), None, Some(100.0), Some(3.0), None, Some(0.0)],
                    ),
                ],
            },
            Panel {
                title: "Offered".into(),
                unit: "requests/s".into(),
                top: None,
                series: vec![ChartLine {
                    filled: true,
                    ..line("attack", Colour::Purple, LineStyle::Dotted, &[Some(0.0), Some(940.0)])
                }],
            },
        ],
    }
}

#[test]
fn a_small_figure_is_drawn_as_before() {
    insta::assert_snapshot!(render(&figure()));
}

#[test]
fn a_label_cannot_become_markup() {
    let mut hostile = figure();
    let label = "</svg><script>alert(\"1\")</script>&\u{1}";
    hostile.title = label.into();
    hostile.description = label.into();
    hostile.id = "x\" onload=\"alert(1)".into();
    hostile.bands[0].label = label.into();
    hostile.markers[0].label = label.into();
    hostile.panels[0].title = label.into();
    hostile.panels[0].series[0].label = label.into();
    let svg = render(&hostile);
    assert!(!svg.contains("<script"), "{svg}");
    assert!(!svg.contains("onload=\""), "{svg}");
    assert_eq!(svg.matches("</svg>").count(), 1);
    assert!(!svg.contains('\u{1}'));
}

#[test]
fn what_was_not_measured_is_a_gap_and_not_zero() {
    let x = LinearScale::new((0.0, 4.0), (0.0, 400.0));
    let y = LinearScale::new((0.0, 1.0), (100.0, 0.0));
    let points = [(0.0, Some(1.0)), (1.0, None), (2.0, None), (3.0, Some(0.5)), (9.0, Some(1.0))];
    assert_eq!(runs(&points, &x, &y), vec![vec![(0.0, 0.0)], vec![(300.0, 50.0)]]);
}

#[test]
fn a_day_of_seconds_stays_small_and_keeps_its_peak() {
    let mut day = figure();
    day.axis = Axis::WallTime;
    day.range = (1_573_516_800.0, 1_573_603_200.0);
    day.panels.truncate(1);
    day.panels[0].series.truncate(1);
    day.panels[0].series[0].points = (0..86_400)
        .map(|second| {
            let value = if second == 40_000 { 100.0 } else { f64::from(second % 7) };
            (1_573_516_800.0 + f64::from(second), Some(value))
        })
        .collect();
    let svg = render(&day);
    assert!(svg.len() < 60_000, "{} bytes", svg.len());
    // The peak touches the top of the plot, two units below its edge.
    let x = LinearScale::new(day.range, (LEFT, LEFT + PLOT_WIDTH));
    let y = LinearScale::new((0.0, 100.0), (100.0, 0.0));
    let highest = runs(&day.panels[0].series[0].points, &x, &y)
        .concat()
        .iter()
        .fold(f64::INFINITY, |highest, point| highest.min(point.1));
    assert!(highest < 0.001, "{highest}");
}

#[test]
fn an_empty_figure_is_still_a_picture() {
    let empty = Chart {
        id: String::new(),
        title: String::new(),
        description: String::new(),
        axis: Axis::WallTime,
        range: (f64::NAN, f64::INFINITY),
        bands: vec![],
        markers: vec![],
        panels: vec![],
    };
    assert!(render(&empty).ends_with("</svg>\n"));
}

#[test]
fn flags_of_markers_close_together_do_not_cover_each_other() {
    let x = LinearScale::new((0.0, 100.0), (0.0, 900.0));
    let markers: Vec<_> =
        [5.0, 5.1, 5.2, 50.0].map(|at| Marker { at, label: String::new() }).into();
    let rows: Vec<_> = place_flags(&markers, &x).iter().map(|flag| flag.row).collect();
    assert_eq!(rows, [0, 1, 2, 0]);
}
