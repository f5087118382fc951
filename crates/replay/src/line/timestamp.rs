//! Timestamps, as access logs write them.

use portcullis_model::WallTime;

/// Reads timestamps, and remembers the last.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimestampParser {
    text: [u8; COMMON],
    at: Option<WallTime>,
}

/// Length of `17/May/2015:10:05:03 +0000`.
const COMMON: usize = 26;

/// The first moment that is taken for a mistake: 1 January 2200.
const TOO_LATE_MS: u64 = 7_258_118_400_000;

/// Numbers of seconds, milliseconds and microseconds since 1970 for any year of this century
/// differ by a factor of a thousand, so that a bare number shows its unit.
const SECONDS_BELOW: f64 = 1e11;
const MILLIS_BELOW: f64 = 1e14;
const MICROS_BELOW: f64 = 1e17;

impl TimestampParser {
    /// Reads the timestamp of the common log format, or any other that [`parse_timestamp`] knows.
    pub(crate) fn read(&mut self, text: &[u8]) -> Option<WallTime> {
        let Ok(key) = <[u8; COMMON]>::try_from(text) else {
            return parse_timestamp(text);
        };
        if self.at.is_some() && self.text == key {
            return self.at;
        }
        let at = parse_timestamp(text)?;
        (self.text, self.at) = (key, Some(at));
        Some(at)
    }
}

/// `17/May/2015:10:05:03 +0000`, or `2015-05-17T10:05:03.123Z` with `T` or a space, `-` or `/`,
/// and a zone or none (then UTC).
pub(crate) fn parse_timestamp(text: &[u8]) -> Option<WallTime> {
    let text = text.trim_ascii();
    let mut rest = text;
    let (year, month, day) = if text.get(2) == Some(&b'/') {
        let day = digits(&mut rest, 2)?;
        skip(&mut rest, b"/")?;
        let month = month(rest.get(..3)?)?;
        rest = &rest[3..];
        skip(&mut rest, b"/")?;
        (digits(&mut rest, 4)?, month, day)
    } else {
        let year = digits(&mut rest, 4)?;
        skip(&mut rest, b"-/")?;
        let month = digits(&mut rest, 2)?;
        skip(&mut rest, b"-/")?;
        (year, month, digits(&mut rest, 2)?)
    };
    skip(&mut rest, b":Tt ")?;
    let hour = digits(&mut rest, 2)?;
    skip(&mut rest, b":")?;
    let minute = digits(&mut rest, 2)?;
    let second = if rest.first() == Some(&b':') {
        rest = &rest[1..];
        digits(&mut rest, 2)?
    } else {
        0
    };
    let millis = fraction(&mut rest)?;
    let zone = zone(rest.trim_ascii())?;
    let valid = (1970..2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        // A leap second is written as 60.
        && second <= 60;
    if !valid {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400
        + i64::from(hour * 3_600 + minute * 60 + second)
        - zone;
    let seconds = u64::try_from(seconds).ok()?;
    Some(WallTime(seconds * 1_000 + u64::from(millis))).filter(|at| at.millis() < TOO_LATE_MS)
}

/// A number of seconds, milliseconds, microseconds or nanoseconds since 1970.
pub(crate) fn from_number(number: f64) -> Option<WallTime> {
    let millis = if !(number.is_finite() && number >= 0.0) {
        return None;
    } else if number < SECONDS_BELOW {
        number * 1e3
    } else if number < MILLIS_BELOW {
        number
    } else if number < MICROS_BELOW {
        number / 1e3
    } else {
        number / 1e6
    };
    Some(WallTime(millis.round() as u64)).filter(|at| at.millis() < TOO_LATE_MS)
}

fn digits(rest: &mut &[u8], count: usize) -> Option<u32> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    head.iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

fn skip(rest: &mut &[u8], any: &[u8]) -> Option<()> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    any.contains(first).then_some(())
}

/// The decimals of a second, as milliseconds; more than three are cut.
fn fraction(rest: &mut &[u8]) -> Option<u32> {
    if !matches!(rest.first(), Some(b'.' | b',')) {
        return Some(0);
    }
    let decimals = &rest[1..];
    let end = decimals.iter().position(|b| !b.is_ascii_digit()).unwrap_or(decimals.len());
    if end == 0 {
        return None;
    }
    *rest = &decimals[end..];
    let place = |at: usize| decimals[..end].get(at).map_or(0, |b| u32::from(b - b'0'));
    Some(place(0) * 100 + place(1) * 10 + place(2))
}

/// Seconds that the zone is ahead of UTC.
fn zone(text: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match text {
        [] | b"Z" | b"z" | b"UTC" | b"GMT" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = digits(&mut rest, 2)?;
    if rest.first() == Some(&b':') {
        rest = &rest[1..];
    }
    let minutes = if rest.is_empty() { 0 } else { digits(&mut rest, 2)? };
    let valid = rest.is_empty() && hours <= 18 && minutes < 60;
    valid.then(|| sign * i64::from(hours * 3_600 + minutes * 60))
}

fn month(name: &[u8]) -> Option<u32> {
    const NAMES: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";
    let at = NAMES.chunks_exact(3).position(|known| known.eq_ignore_ascii_case(name))?;
    Some(at as u32 + 1)
}

const fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1 January 1970 to a date of the Gregorian calendar, counting years from March so
/// that the leap day is the last of its year.
const fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // Months from March on are 31, 30, 31, 30, 31 days long, twice and a bit: 153 in five.
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // 719,468 days lie between 1 March of the year 0 and 1 January 1970.
    (year as i64) * 365 + leap_days as i64 + day_of_year as i64 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Option<String> {
        parse_timestamp(text.as_bytes()).map(|at| at.to_string())
    }

    #[test]
    fn every_way_to_write_a_time_is_read() {
        let expected = Some("2015-05-17T08:05:03.000Z".to_owned());
        for text in [
            "17/May/2015:10:05:03 +0200",
            "2015-05-17T10:05:03+02:00",
            "2015-05-17T10:05:03.000+0200",
            "2015-05-17 08:05:03",
            "2015/05/17 08:05:03",
            "2015-05-17T08:05:03Z",
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
        assert_eq!(at("1998-06-10 15:30").as_deref(), Some("1998-06-10T15:30:00.000Z"));
        assert_eq!(from_number(1_431_849_903.0), from_number(1_431_849_903_000.0));
        assert_eq!(from_number(1_431_849_903.25), Some(WallTime(1_431_849_903_250)));
        assert_eq!(from_number(1_431_849_903_250_000_000.0), Some(WallTime(1_431_849_903_250)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "-",
            "31/Feb/2015:10:05:03 +0000",
            "17/Mai/2015:10:05:03 +0000",
            "17/May/2015:24:05:03 +0000",
            "17/May/2015:10:05:03 0000",
            "17/May/1969:10:05:03 +0000",
            "17/May/2200:10:05:03 +0000",
            "2015-05-17T10:05:03.Z",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
        assert_eq!(from_number(f64::NAN), None);
        assert_eq!(from_number(-1.0), None);
    }

    proptest! {
        #[test]
        fn every_second_reads_back(seconds in 0..4_102_444_800u64, ahead in -14i64..=14) {
            let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(ahead as i8));
            let utc = jiff::Timestamp::from_second(seconds.cast_signed()).expect("in range");
            let there = utc.to_zoned_datetime(zone);
            if there.year() >= 1970 {
                let common = there.strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
                prop_assert_eq!(parse_timestamp(common.as_bytes()), Some(WallTime(seconds * 1_000)));
            }
        }

        #[test]
        fn the_remembered_timestamp_is_the_right_one(seconds in prop::collection::vec(0..40u64, 1..40)) {
            let mut stamps = TimestampParser::default();
            for second in seconds {
                let text = format!("17/May/2015:10:05:{second:02} +0000");
                prop_assert_eq!(stamps.read(text.as_bytes()), parse_timestamp(text.as_bytes()));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = TimestampParser::default().read(&bytes);
        }
    }
}
