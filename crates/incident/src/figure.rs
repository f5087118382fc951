//! A figure: a number that never travels without its unit, window and leaves.

use portcullis_model::WallTime;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{LeafSet, words};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Requests (and, for drops, connections).
    Requests,
    /// Requests per second.
    PerSecond,
    /// Thousandths of a request per second.
    MilliPerSecond,
    /// Milliseconds.
    Millis,
    /// Hundredths of a per cent.
    BasisPoints,
    /// Tenths of a multiple.
    Tenths,
    /// In a million.
    PerMillion,
    /// Things that the figure's name states.
    Count,
}

impl Unit {
    /// `value` in this unit as people read it.
    pub fn text(self, value: u64) -> String {
        match self {
            Self::Requests => words::counted(value, "request"),
            Self::PerSecond => format!("{} per second", words::count(value)),
            Self::MilliPerSecond => format!("{} per second", words::thousandths(value)),
            Self::Millis => words::span(value),
            Self::BasisPoints => words::share(value),
            Self::Tenths => words::times(value),
            Self::PerMillion => format!("{} in a million", words::count(value)),
            Self::Count => words::count(value),
        }
    }
}

/// From when to when something was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimeWindow {
    /// The beginning.
    pub from: WallTime,
    /// The end.
    pub to: WallTime,
}

impl TimeWindow {
    /// A window; its end is never before its beginning.
    pub fn new(from: WallTime, to: WallTime) -> Self {
        Self { from, to: to.max(from) }
    }

    /// The window that holds both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    /// Its length in milliseconds.
    pub fn millis(self) -> u64 {
        self.to.millis().saturating_sub(self.from.millis())
    }
}

/// A measured number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The number.
    pub value: u64,
    /// In which unit.
    pub unit: Unit,
    /// From when to when; absent for what has no duration.
    pub window: Option<TimeWindow>,
    /// The leaves that it came from.
    pub leaves: LeafSet,
    /// The truth may be larger: something was not seen or not recorded.
    pub at_least: bool,
}

impl Figure {
    /// A figure without a window.
    pub fn new(name: impl Into<String>, value: u64, unit: Unit, leaves: LeafSet) -> Self {
        Self { name: name.into(), value, unit, window: None, leaves, at_least: false }
    }

    /// The same, measured within `window`.
    #[must_use]
    pub fn within(mut self, window: Option<TimeWindow>) -> Self {
        self.window = window;
        self
    }

    /// The same, as a lower bound if `saturated`.
    #[must_use]
    pub fn at_least(mut self, saturated: bool) -> Self {
        self.at_least |= saturated;
        self
    }

    /// The value with its unit: `≥ 4,120 per second (saturated)`.
    pub fn text(&self) -> String {
        let text = self.unit.text(self.value);
        if self.at_least { format!("≥ {text} (saturated)") } else { text }
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Figure", 7)?;
        out.serialize_field("name", &self.name)?;
        out.serialize_field("value", &self.value)?;
        out.serialize_field("unit", &self.unit)?;
        out.serialize_field("at_least", &self.at_least)?;
        out.serialize_field("text", &self.text())?;
        out.serialize_field("window", &self.window)?;
        out.serialize_field("leaves", &self.leaves)?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saturated_figure_is_shown_as_a_lower_bound() {
        let figure = Figure::new("peak", 4_120, Unit::PerSecond, LeafSet::single(3));
        assert_eq!(figure.text(), "4,120 per second");
        assert_eq!(figure.at_least(true).text(), "≥ 4,120 per second (saturated)");
    }
}
