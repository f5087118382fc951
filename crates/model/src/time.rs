//! Time as a value that can be written down.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How often the watch evaluates: four times a second, so that two evaluations fit well inside the
/// two seconds in which an attack is to be detected.
pub const TICK: Duration = Duration::from_millis(250);

/// A monotonic moment: nanoseconds since the process (or the simulated world) began.
///
/// Not `std::time::Instant`, which can be neither written to a log nor made up by a test.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time(pub u64);

impl Time {
    /// The moment `seconds` after the beginning.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// The moment `millis` milliseconds after the beginning.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Nanoseconds since the beginning.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

/// A moment on the calendar: milliseconds since the Unix epoch, UTC.
///
/// Written and read as RFC 3339 with milliseconds, for example `2026-11-23T19:04:19.250Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

impl WallTime {
    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The hour of the week in UTC, `0..168`, Monday 00:00 first. Baselines are indexed by it.
    pub const fn hour_of_week(self) -> usize {
        // 1 January 1970 was a Thursday: three days after a Monday.
        ((self.0 / 3_600_000 + 3 * 24) % 168) as usize
    }

    /// `HH:MM:SS` in UTC.
    pub fn clock(self) -> String {
        let s = self.0 / 1_000;
        format!("{:02}:{:02}:{:02}", s / 3_600 % 24, s / 60 % 60, s % 60)
    }

    /// Reads an RFC 3339 timestamp.
    pub fn parse(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(stamp.as_millisecond()).ok().map(Self)
    }
}

impl Add<Duration> for WallTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for WallTime {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{}ms-after-1970", self.0),
        }
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is not a time such as 2026-11-23T19:04:19.250Z"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_time_reads_back_what_it_wrote() {
        let at = WallTime(1_795_460_659_250);
        assert_eq!(WallTime::parse(&at.to_string()), Some(at));
        assert_eq!(at.to_string().len(), "2026-11-23T19:04:19.250Z".len());
    }

    #[test]
    fn the_week_begins_on_monday_at_midnight() {
        let monday = WallTime::parse("2026-11-23T00:00:00Z").expect("a time");
        assert_eq!(monday.hour_of_week(), 0);
        assert_eq!((monday - Duration::from_secs(1)).hour_of_week(), 167);
    }
}
