//! Every key of the file: its kind, range, default, meaning and the reason for its range.
//!
//! The reader, the JSON Schema and the reference in `docs/configuration.md` all go by these
//! tables, so none of them can know a key that another does not.

use core::time::Duration;

use super::settings::Config;
use super::value::{Value, format_bytes, format_count, format_tenths, format_time};

/// A table of the file and its keys.
pub(super) struct TableSpec {
    /// As it is written: `[limits]`, `[[platforms]]`; empty for the top of the file.
    pub heading: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its keys, in the order in which they are documented.
    pub keys: &'static [KeySpec],
}

/// One key.
pub(super) struct KeySpec {
    pub name: &'static str,
    pub kind: ValueType,
    pub absent: DefaultValue,
    /// What it means.
    pub about: &'static str,
    /// Why its range is what it is; part of the message when a value lies outside. May be empty
    /// where the kind has no range.
    pub why: &'static str,
}

/// What kind of value a key takes. Both ends of a range belong to it.
pub(super) enum ValueType {
    Flag,
    /// A name or a file.
    Text,
    /// One of some words.
    Word(&'static [&'static str]),
    /// An address with its port.
    Address,
    Time(Duration, Duration),
    Count(u64, u64),
    Bytes(u64, u64),
    /// A multiple, in tenths.
    Times(u32, u32),
    /// Texts; how many at least and at most.
    List(usize, usize),
    /// The address of an origin, or a table that has it as `url`.
    Origin(&'static TableSpec),
    Table(&'static TableSpec),
    /// Tables; how many at most. Where the key is required, at least one.
    Tables(&'static TableSpec, usize),
}

/// What the absence of a key means.
pub(super) enum DefaultValue {
    /// A problem. The text is an example of what to write.
    Required(&'static str),
    /// Something that no value expresses.
    Described(&'static str),
    /// The same as this value, of a configuration that is all defaults.
    Value(fn(&Config) -> Value),
}

impl ValueType {
    /// The range in words; empty if it has none.
    pub(super) fn range(&self) -> String {
        match self {
            Self::Time(least, most) => format!("{} to {}", format_time(*least), format_time(*most)),
            Self::Count(least, most) => {
                format!("{} to {}", format_count(*least), format_count(*most))
            }
            Self::Bytes(least, most) => {
                format!("{} to {}", format_bytes(*least), format_bytes(*most))
            }
            Self::Times(least, most) => {
                format!("{} to {}", format_tenths(*least), format_tenths(*most))
            }
            Self::List(0, most) => format!("at most {most} entries"),
            Self::List(least, most) => format!("{least} to {most} entries"),
            Self::Word(words) => {
                words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
            }
            Self::Tables(_, most) => format!("at most {most}"),
            Self::Flag | Self::Text | Self::Address | Self::Origin(_) | Self::Table(_) => {
                String::new()
            }
        }
    }

    /// The table or tables under this key.
    pub(super) fn section(&self) -> Option<&'static TableSpec> {
        match self {
            Self::Origin(section) | Self::Table(section) | Self::Tables(section, _) => {
                Some(section)
            }
            Self::Flag
            | Self::Text
            | Self::Word(_)
            | Self::Address
            | Self::Time(..)
            | Self::Count(..)
            | Self::Bytes(..)
            | Self::Times(..)
            | Self::List(..) => None,
        }
    }
}

impl TableSpec {
    /// This table and every one below it, in the order of the documentation.
    pub(super) fn all(&'static self) -> Vec<&'static Self> {
        let below = self.keys.iter().filter_map(|key| key.kind.section());
        core::iter::once(self).chain(below.flat_map(Self::all)).collect()
    }

    pub(super) fn key(&'static self, name: &str) -> Option<&'static KeySpec> {
        self.keys.iter().find(|key| key.name == name)
    }
}
