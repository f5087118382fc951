//! Counts by the minute: which of them would have been called a surge?
//!
//! Counts hold no requests, so there is nothing to find evidence in, and no attack to be
//! distinguished from a surge. What is left of the watch is its baseline and one comparison; both are made here
//! for every tick, with the same [`Baseline`], as `Watch::evaluate` would make them. (Through the
//! whole control loop, the fifty days of the World Cup's site would take a minute instead of a
//! second. A test holds the two against each other.)

use std::fmt::Write as _;

use portcullis_incident::{BoundedList, TimeWindow, words};
use portcullis_model::{TICK, WallTime, WatchSettings};
use portcullis_report::plot::{Axis, Chart, ChartLine, Colour, LineStyle, Panel, Shade, render};
use portcullis_watch::RateWatch;
use serde::Serialize;

use crate::busiest_second::BusiestSecond;
use crate::excerpt::excerpt;
use crate::line::parse_timestamp;
use crate::line_counts::Unparsed;
use crate::plot;
use crate::recording::{RecordedLine, Recording};
use crate::series::BinnedSeries;
use crate::text::describe_period;
use crate::text_page::TextPage;

/// Ticks in a minute and in a second.
const MINUTE_TICKS: u64 = 240;
/// Ticks in a row that begin or end a surge, as the posture counts them.
const CHANGE_TICKS: u32 = 4;
/// Ticks in a row without a surge before it is over: two minutes.
const END_TICKS: u32 = 480;
/// Surges listed.
const SURGES: usize = 500;
/// Rows that could not be read, shown.
const SHOWN: usize = 5;
/// The busiest days that are listed.
const PEAKS: usize = 5;
/// Requests in a minute beyond this are no count: sixty million a second.
const MAX_REQUESTS: u64 = 3_600_000_000;

/// Why a row is none of a table of minutes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MinutesError {
    /// There is no comma.
    #[error("expected a time and a number of requests, such as `1998-06-10 15:30:00,4711`")]
    Columns,
    /// The time is none.
    #[error(
        "expected a time such as `1998-06-10 15:30:00` (UTC) or `1998-06-10T17:30+02:00` first"
    )]
    Time,
    /// The count is none.
    #[error("expected a whole number of requests after the time")]
    Count,
    /// It is not after the row before.
    #[error("expected rows in order of time, a minute or more apart")]
    Order,
}

/// A replay of counts by the minute.
#[derive(Debug)]
pub struct MinuteCounts {
    settings: WatchSettings,
    watch: RateWatch,
    surging: bool,
    ticks_changed: u32,
    surge: Option<RateSurge>,
    today: Option<BusiestMinute>,
    last: Option<WallTime>,
    found: MinutesFindings,
}

/// What a replay of counts found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MinutesFindings {
    /// What was read.
    pub file: String,
    /// Why it could not be read to its end, if it could not.
    pub read_error: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Rows that are no minute.
    pub unparsed: u64,
    /// The first of these.
    pub first_unparsed: Vec<Unparsed>,
    /// Minutes between the first and the last that are not in the table.
    pub missing: u64,
    /// From the first minute to the end of the last.
    pub window: Option<TimeWindow>,
    /// All requests.
    pub requests: u64,
    /// What would have been called a surge.
    pub surges: BoundedList<RateSurge>,
    /// The busiest minutes of the busiest days, surge or not.
    pub peaks: Vec<BusiestMinute>,
    /// Load over time. The busiest second of a bin is the mean of its busiest minute.
    pub series: BinnedSeries,
    /// When the watch calls something a surge.
    pub surge_factor_tenths: u32,
    /// Requests per second under which it does not.
    pub surge_min_rate: u32,
}

/// What would have been called a surge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateSurge {
    /// When it would have been seen.
    pub from: WallTime,
    /// When it would have been over; absent if it was not at the end.
    pub to: Option<WallTime>,
    /// The busiest second, as far as minutes tell.
    pub peak_per_second: u64,
    /// What the baseline expected when it was seen, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// The peak in tenths of that.
    pub tenths: u64,
}

/// The busiest minute of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BusiestMinute {
    /// When it began.
    pub at: WallTime,
    /// Its requests per second.
    pub per_second: u64,
    /// What the baseline expected when it began, in thousandths of a request per second.
    pub baseline_milli: u64,
    /// Whether it lay in a surge.
    pub surge: bool,
}

impl MinuteCounts {
    /// A watch over one activity.
    pub fn new(settings: WatchSettings) -> Self {
        Self {
            found: MinutesFindings {
                surge_factor_tenths: settings.surge_factor_tenths,
                surge_min_rate: settings.surge_min_rate,
                ..MinutesFindings::default()
            },
            settings,
            watch: RateWatch::default(),
            surging: false,
            ticks_changed: 0,
            surge: None,
            today: None,
            last: None,
        }
    }

    /// Reads a table with the columns `minute,requests`; a first line of names is skipped.
    pub fn read(&mut self, mut table: Recording) {
        table.name().clone_into(&mut self.found.file);
        let mut number = 0;
        let result = table.for_each(&mut |line| {
            number += 1;
            let (RecordedLine::Whole(line) | RecordedLine::TooLong(line)) = line;
            if line.trim_ascii().is_empty() {
                return;
            }
            let Err(error) = self.row(line) else { return };
            if number == 1 && error != MinutesError::Columns {
                return;
            }
            self.found.rows += 1;
            self.found.unparsed += 1;
            if self.found.first_unparsed.len() < SHOWN {
                let (file, message) = (self.found.file.clone(), error.to_string());
                self.found.first_unparsed.push(Unparsed {
                    file,
                    line: number,
                    error: message,
                    text: excerpt(line),
                });
            }
        });
        if let Err(error) = result {
            self.found.read_error = Some(error.to_string());
        }
    }

    fn row(&mut self, line: &[u8]) -> Result<(), MinutesError> {
        let line = line.trim_ascii();
        let comma = memchr::memchr2(b',', b';', line).ok_or(MinutesError::Columns)?;
        let trim = |text: &[u8]| -> String {
            let text = String::from_utf8_lossy(text);
            text.trim().trim_matches('"').to_owned()
        };
        let at = parse_timestamp(trim(&line[..comma]).as_bytes()).ok_or(MinutesError::Time)?;
        let count: u64 = trim(&line[comma + 1..]).parse().map_err(|_| MinutesError::Count)?;
        if count > MAX_REQUESTS {
            return Err(MinutesError::Count);
        }
        self.minute(at, count)
    }

    /// Takes the next minute. Minutes that are missing are neither learnt nor judged: their
    /// absence from the table does not mean that there were no requests.
    pub fn minute(&mut self, at: WallTime, requests: u64) -> Result<(), MinutesError> {
        if let Some(last) = self.last {
            let minutes = at.seconds().saturating_sub(last.seconds()) / 60;
            if minutes == 0 {
                return Err(MinutesError::Order);
            }
            self.found.missing += minutes - 1;
            if minutes > 1 {
                self.watch.forget_counts();
            }
        }
        self.last = Some(at);
        self.found.rows += 1;
        self.found.requests += requests;
        let window = TimeWindow::new(at, at + core::time::Duration::from_secs(60));
        self.found.window = Some(self.found.window.map_or(window, |whole| whole.with(window)));
        let expected = self.watch.expected_milli(at);
        for tick in 0..MINUTE_TICKS {
            // Spread evenly, in whole requests.
            let count = (tick + 1) * requests / MINUTE_TICKS - tick * requests / MINUTE_TICKS;
            self.tick(at + TICK * (tick as u32 + 1), count);
        }
        self.record_peak(at, requests / 60, expected);
        let series = &mut self.found.series;
        let second = at.seconds();
        series.count_minute(second, requests);
        series.expect(second, self.watch.expected_milli(at), 60);
        Ok(())
    }

    fn tick(&mut self, wall: WallTime, count: u64) {
        let expected = self.watch.expected_milli(wall);
        let over = self.watch.tick(&self.settings, wall, count);
        let rate = self.watch.per_second();
        let enough = if self.surging { END_TICKS } else { CHANGE_TICKS };
        self.ticks_changed = if over == self.surging { 0 } else { self.ticks_changed + 1 };
        if self.ticks_changed >= enough {
            self.ticks_changed = 0;
            self.surging = over;
            self.change_state(wall, rate, expected);
        }
        if let Some(surge) = &mut self.surge {
            surge.peak_per_second = surge.peak_per_second.max(rate);
        }
    }

    fn change_state(&mut self, wall: WallTime, rate: u64, expected: u64) {
        if let Some(surge) = self.surge.take() {
            self.push_surge(RateSurge { to: Some(wall), ..surge });
        }
        if self.surging {
            self.surge = Some(RateSurge {
                from: wall,
                to: None,
                peak_per_second: rate,
                baseline_milli: expected,
                tenths: 0,
            });
        }
    }

    fn push_surge(&mut self, mut surge: RateSurge) {
        surge.tenths = tenths(surge.peak_per_second, surge.baseline_milli);
        let surges = &mut self.found.surges;
        if surges.items.len() < SURGES {
            surges.items.push(surge);
        } else {
            surges.more += 1;
        }
    }

    fn record_peak(&mut self, at: WallTime, per_second: u64, baseline_milli: u64) {
        let day = |at: WallTime| at.seconds() / 86_400;
        if let Some(today) = self.today
            && day(today.at) != day(at)
        {
            self.end_day();
        }
        if self.today.is_none_or(|today| per_second > today.per_second) {
            let surge = self.surging;
            self.today = Some(BusiestMinute { at, per_second, baseline_milli, surge });
        }
    }

    fn end_day(&mut self) {
        let peaks = &mut self.found.peaks;
        peaks.extend(self.today.take());
        peaks.sort_by_key(|peak| core::cmp::Reverse(peak.per_second));
        peaks.truncate(PEAKS);
    }

    /// Ends the replay.
    pub fn finish(mut self) -> MinutesFindings {
        self.end_day();
        if let Some(surge) = self.surge.take() {
            self.push_surge(surge);
        }
        self.found
    }
}

fn tenths(per_second: u64, baseline_milli: u64) -> u64 {
    (per_second * 10_000).checked_div(baseline_milli).unwrap_or(0)
}

impl MinutesFindings {
    /// Whether at most 5% of the rows, and not all, could not be read, and the table was read to
    /// its end.
    pub fn is_reliable(&self) -> bool {
        self.rows > self.unparsed && self.unparsed * 20 <= self.rows && self.read_error.is_none()
    }

    /// For people, in lines of at most a hundred characters.
    pub fn text(&self) -> String {
        self.page().finish()
    }

    pub(crate) fn page(&self) -> TextPage {
        let mut page = TextPage::default();
        page.heading(&format!("Minutes of {}", words::plain(&self.file)));
        if let Some(window) = self.window {
            let lasted = words::span(window.millis());
            page.line(1, &format!("{} ({lasted})", words::period(window.from, window.to)));
        }
        if !self.is_reliable() {
            page.line(
                1,
                "UNRELIABLE: too many rows could not be read. Judge nothing by this result.",
            );
        }
        let mut rows = words::counted(self.rows, "row");
        if self.unparsed > 0 {
            let _ = write!(rows, ", {} of them not read", words::count(self.unparsed));
        }
        page.line(1, &format!("{rows}; {}", words::counted(self.requests, "request")));
        for shown in &self.first_unparsed {
            page.item(1, &format!("{}, line {}: {}", shown.file, shown.line, shown.error));
        }
        if let Some(why) = &self.read_error {
            page.item(1, &format!("{} broke off: {why}", self.file));
        }
        if self.missing > 0 {
            let missing = words::counted(self.missing, "minute");
            page.line(1, &format!("{missing} between are not in the table, and were not judged"));
        }
        page.heading("What would have been called a surge");
        page.line(1, &self.rule());
        if self.surges.count() == 0 {
            page.line(1, "Nothing.");
        }
        for surge in self.surges.iter().take(20) {
            page.item(1, &surge_text(surge));
        }
        page.more(&self.surges, "surge");
        page.heading("The busiest minutes of the busiest days");
        for peak in &self.peaks {
            page.item(1, &peak_text(peak));
        }
        page.heading("What counts cannot show");
        page.item(
            1,
            "Counts hold no requests: no evidence could be gathered, so that nothing here is \
             called an attack, and nothing was refused.",
        );
        page.item(
            1,
            "The requests of a minute were spread evenly over its ticks of a quarter of a second. \
             Peaks within a minute are lost.",
        );
        page.item(1, "The baseline had to be learnt from the table itself.");
        page
    }

    fn rule(&self) -> String {
        format!(
            "Improbable for how uneven this traffic is, and over {} what the baseline expects, for a \
             second on end; while nothing is known yet, over {} a second.",
            words::times(self.surge_factor_tenths.into()),
            words::counted(self.surge_min_rate.into(), "request")
        )
    }

    /// For programs.
    pub fn json(&self) -> String {
        // Nothing in here can fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Load over time as an SVG picture, with surges shaded.
    pub fn svg(&self) -> String {
        let series = &self.series;
        let range = plot::range(series);
        let surges = self.surges.iter();
        let bands = surges.map(|s| plot::band(s.from, s.to, range, "surge", Shade::Faint));
        let bands = plot::merge_bands(bands.collect(), range);
        let seconds = series.bin_seconds as f64;
        let load = Panel {
            title: format!("Load, means of {}", words::span(series.bin_seconds * 1_000)),
            unit: "requests/s".into(),
            top: None,
            series: vec![
                ChartLine {
                    label: "recorded".into(),
                    colour: Colour::Blue,
                    style: LineStyle::Solid,
                    filled: true,
                    points: plot::line(series, |bin| Some(bin.offered as f64 / seconds)),
                },
                plot::baseline(series),
            ],
        };
        render(&Chart {
            id: "minutes".into(),
            title: "Replay of counts by the minute".into(),
            description: format!(
                "{} in {}; {} would have been called.",
                words::counted(self.requests, "request"),
                words::counted(self.rows, "minute"),
                words::counted(self.surges.count(), "surge"),
            ),
            axis: Axis::WallTime,
            range,
            bands,
            markers: Vec::new(),
            panels: vec![load, plot::peaks(series, "minute")],
        })
    }

    /// The busiest minute, as requests per second.
    pub fn busiest(&self) -> Option<BusiestSecond> {
        let peak = self.peaks.first()?;
        Some(BusiestSecond { at: peak.at, requests: peak.per_second })
    }
}

fn surge_text(surge: &RateSurge) -> String {
    format!(
        "{}: up to {} requests a second, {} the baseline of {}",
        describe_period(surge.from, surge.to),
        words::count(surge.peak_per_second),
        words::times(surge.tenths),
        words::thousandths(surge.baseline_milli)
    )
}

fn peak_text(peak: &BusiestMinute) -> String {
    let multiple = match tenths(peak.per_second, peak.baseline_milli) {
        8..=12 => "close to".to_owned(),
        tenths => words::times(tenths),
    };
    format!(
        "{}: {} requests a second, {multiple} the baseline of {}{}",
        words::moment(peak.at),
        words::count(peak.per_second),
        words::thousandths(peak.baseline_milli),
        if peak.surge { "; a surge" } else { "; no surge" }
    )
}
