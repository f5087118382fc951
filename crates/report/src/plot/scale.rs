//! Scales and ticks: from values to places in the picture, and round numbers as labels.

/// A linear map from a range of values to a range of places.
pub(super) struct LinearScale {
    from: f64,
    to: f64,
    range_from: f64,
    range_to: f64,
}

impl LinearScale {
    /// A range that is empty, reversed or not a number is widened to one unit.
    pub(super) fn new((from, to): (f64, f64), (range_from, range_to): (f64, f64)) -> Self {
        let from = if from.is_finite() { from } else { 0.0 };
        let to = if to.is_finite() && to > from { to } else { from + 1.0 };
        LinearScale { from, to, range_from, range_to }
    }

    pub(super) fn from(&self) -> f64 {
        self.from
    }

    pub(super) fn to(&self) -> f64 {
        self.to
    }

    pub(super) fn contains(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    pub(super) fn position(&self, value: f64) -> f64 {
        let share = (value - self.from) / (self.to - self.from);
        self.range_from + share * (self.range_to - self.range_from)
    }

    /// The place of a value, moved into the range; `None` for what is not a number.
    pub(super) fn clamped(&self, value: f64) -> Option<f64> {
        (!value.is_nan()).then(|| self.position(value.clamp(self.from, self.to)))
    }
}

/// The round step that divides zero to `highest` into about `wanted` parts, and the first multiple
/// of it that is not below `highest`.
pub(super) fn steps_from_zero(highest: f64, wanted: u32) -> (f64, f64) {
    let highest = if highest.is_finite() && highest > 0.0 { highest } else { 1.0 };
    let rough = highest / f64::from(wanted);
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| highest / step <= f64::from(wanted) + 0.000_1)
        .unwrap_or(10.0 * magnitude);
    (step, (highest / step - 0.000_1).ceil() * step)
}

/// A round number of seconds, at most `most` of which fit into `span`.
pub(super) fn elapsed_step(span: f64, most: u32) -> f64 {
    const STEPS: [f64; 14] =
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0];
    round_step(&STEPS, span, most)
}

/// A round stretch of wall time in seconds, at most `most` of which fit into `span`.
pub(super) fn wall_step(span: f64, most: u32) -> f64 {
    const STEPS: [f64; 19] = [
        1.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0,
        10_800.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0, 604_800.0,
    ];
    round_step(&STEPS, span, most)
}

fn round_step(steps: &[f64], span: f64, most: u32) -> f64 {
    let fits = |step: f64| span / step <= f64::from(most);
    if let Some(step) = steps.iter().copied().find(|&step| fits(step)) {
        return step;
    }
    let longest = steps.last().copied().unwrap_or(1.0);
    longest * (span / longest / f64::from(most)).ceil()
}

/// The multiples of `step` from `from` to `to`, at most 100 of them.
pub(super) fn ticks(from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    let first = (from / step - 0.000_1).ceil();
    (0..100)
        .map(move |index| (first + f64::from(index)) * step)
        .take_while(move |tick| *tick <= to + step * 0.000_1)
}

/// A number as people write it: thousands apart, at most two decimals, none that say nothing.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let decimals = decimals.trim_end_matches('0');
    if decimals.is_empty() {
        if grouped == "0" { grouped } else { format!("{sign}{grouped}") }
    } else {
        format!("{sign}{grouped}.{decimals}")
    }
}

/// Seconds since the Unix epoch as the time of day in UTC, or as the date at a step of days.
pub(super) fn wall_label(unix_seconds: f64, step: f64) -> String {
    let seconds = unix_seconds.round() as i64;
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    if step >= 86_400.0 || (of_day == 0 && step >= 3_600.0) {
        let (_, month, day) = civil(seconds.div_euclid(86_400));
        format!("{day} {}", MONTHS[month - 1])
    } else if step >= 60.0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}")
    }
}

/// Seconds since the Unix epoch as a date, such as `12 Nov 2019`.
pub(super) fn wall_date(unix_seconds: f64) -> String {
    let (year, month, day) = civil((unix_seconds.round() as i64).div_euclid(86_400));
    format!("{day} {} {year}", MONTHS[month - 1])
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Days since 1970-01-01 as year, month and day of the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day comes last; an era is the 400 years after
/// which the calendar repeats.
fn civil(days: i64) -> (i64, usize, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    // 0000-03-01 is 719,468 days before the epoch.
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(DAYS_PER_ERA);
    let of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_highest_value() {
        assert_eq!(steps_from_zero(100.0, 4), (25.0, 100.0));
        assert_eq!(steps_from_zero(937.0, 4), (250.0, 1_000.0));
        assert_eq!(steps_from_zero(0.0, 4), (0.25, 1.0));
        assert_eq!(steps_from_zero(f64::NAN, 4), (0.25, 1.0));
        assert_eq!(ticks(0.0, 100.0, 25.0).collect::<Vec<_>>(), [0.0, 25.0, 50.0, 75.0, 100.0]);
    }

    #[test]
    fn a_range_that_is_no_range_still_has_a_scale() {
        let scale = LinearScale::new((5.0, 5.0), (0.0, 10.0));
        assert!(scale.position(5.0).abs() < 1e-9);
        assert!(LinearScale::new((f64::NAN, f64::NAN), (0.0, 1.0)).position(0.5).is_finite());
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let written: Vec<_> = [0.0, 0.5, 2.25, 1_000.0, 1_234_567.0, -2_500.0].map(number).into();
        assert_eq!(written, ["0", "0.5", "2.25", "1,000", "1,234,567", "-2,500"]);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(wall_date(0.0), "1 Jan 1970");
        assert_eq!(wall_date(951_782_400.0), "29 Feb 2000");
        assert_eq!(wall_date(1_573_516_800.0), "12 Nov 2019");
        assert_eq!(wall_date(-86_400.0), "31 Dec 1969");
        assert_eq!(wall_label(1_573_549_500.0, 900.0), "09:05");
        assert_eq!(wall_label(1_573_549_501.0, 1.0), "09:05:01");
        assert_eq!(wall_label(1_573_516_800.0, 21_600.0), "12 Nov");
    }
}
