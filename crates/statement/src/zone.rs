//! The local time of the people who read a statement.

use portcullis_incident::{TimeWindow, words};
use portcullis_model::WallTime;

/// A time zone around an incident: its offsets from UTC, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalZone {
    /// Since when, how many seconds before UTC, and its abbreviation, such as `BST`; ascending.
    pub offsets: Vec<(WallTime, i32, String)>,
}

impl LocalZone {
    /// The offset in seconds and the abbreviation at a moment.
    fn at(&self, at: WallTime) -> (i32, &str) {
        let since = self.offsets.iter().rev().find(|(since, _, _)| *since <= at);
        since.or(self.offsets.first()).map_or((0, "UTC"), |(_, offset, name)| (*offset, name))
    }

    /// Milliseconds since 1970 in local time.
    pub(crate) fn local_millis(&self, at: WallTime) -> i64 {
        let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
        millis.saturating_add(i64::from(self.at(at).0) * 1_000)
    }

    fn shifted(&self, at: WallTime) -> WallTime {
        WallTime(u64::try_from(self.local_millis(at)).unwrap_or(0))
    }

    /// `23 November 2026, 10:02:11 GMT`.
    pub fn moment(&self, at: WallTime) -> String {
        let shifted = self.shifted(at);
        format!("{}, {} {}", words::day(shifted), shifted.clock(), self.at(at).1)
    }

    /// From one moment to another: `23 November 2026, 10:02:11 to 10:09:40 GMT`.
    pub fn period(&self, window: TimeWindow) -> String {
        let (from, to) = (self.shifted(window.from), self.shifted(window.to));
        let name = self.at(window.from).1;
        if window.from == window.to {
            return self.moment(window.from);
        }
        if words::day(from) == words::day(to) {
            format!("{}, {} to {} {name}", words::day(from), from.clock(), to.clock())
        } else {
            let (first, last) = (words::day(from), words::day(to));
            format!("{first}, {} to {last}, {} {name}", from.clock(), to.clock())
        }
    }
}
