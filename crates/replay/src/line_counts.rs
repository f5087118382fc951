//! What was read of the recordings, and what was not.

use serde::Serialize;

use crate::excerpt::excerpt;
use crate::line::{LineReader, ParseError, SourceUse};
use crate::recording::Recording;

/// Of a hundred lines, this many may be left out before the result is called unreliable.
const UNREAD_PERCENT: u64 = 5;

/// One recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileFacts {
    /// Its name.
    pub name: String,
    /// Whether it was compressed.
    pub compressed: bool,
    /// The format that was recognised or given.
    pub format: String,
    /// What is around each line, such as a syslog prefix; absent if nothing is.
    pub wrapper: Option<&'static str>,
    /// Why the addresses of its lines were not used; absent if they were.
    pub hidden_sources: Option<&'static str>,
    /// Its lines.
    pub lines: u64,
    /// Lines that could not be read.
    pub unparsed: u64,
    /// Lines that came too late to be put in order, and were left out.
    pub too_late: u64,
    /// The number of the first of them.
    pub first_too_late: Option<u64>,
    /// How far the latest of them was behind, in seconds.
    pub late_by_seconds: u64,
    /// How often its clock was set back: the time that it repeats is left out.
    pub clock_steps: u64,
    /// Why it could not be read to its end, if it could not.
    pub read_error: Option<String>,
}

impl FileFacts {
    pub(crate) fn new(recording: &Recording, reader: &LineReader) -> Self {
        Self {
            name: recording.name().to_owned(),
            compressed: recording.is_compressed(),
            format: reader.format().name().to_owned(),
            wrapper: reader.wrapper(),
            hidden_sources: match reader.sources() {
                SourceUse::Whole => None,
                SourceUse::Shortened => Some("its addresses are shortened to their network"),
                SourceUse::OneProxy => Some("its lines have one address, that of a proxy"),
            },
            ..Self::default()
        }
    }
}

/// Lines of all recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineCounts {
    /// All lines.
    pub read: u64,
    /// Lines of an access log.
    pub parsed: u64,
    /// Lines that are none, or are too long.
    pub unparsed: u64,
    /// Empty lines.
    pub empty: u64,
    /// Lines that name columns (`#Fields:`) and the like.
    pub directives: u64,
    /// Lines that could not be read, by kind, the most frequent first.
    pub unread: Vec<UnreadKind>,
    /// Lines that came too late to be put in order, and were left out.
    pub too_late: u64,
    /// The lines were sorted, so that none came too late.
    pub sorted: bool,
    /// Lines that two logs had in common, which counted once.
    pub copies: Vec<CopiedLines>,
}

/// Lines that two logs had in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopiedLines {
    /// One log.
    pub first: String,
    /// The other.
    pub second: String,
    /// How many lines counted once.
    pub lines: u64,
}

/// Lines that could not be read for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadKind {
    /// What was missing.
    pub kind: &'static str,
    /// How many lines.
    pub lines: u64,
    /// The first of them.
    pub first: Unparsed,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unparsed {
    /// The recording.
    pub file: String,
    /// The line's number in it, from 1.
    pub line: u64,
    /// What was expected.
    pub error: String,
    /// The line's beginning.
    pub text: String,
}

impl LineCounts {
    /// Counts a line of `file` that could not be read.
    pub(crate) fn count_unparsed(&mut self, file: &FileFacts, line: &[u8], error: &ParseError) {
        self.unparsed += 1;
        let kind = error.kind();
        if let Some(known) = self.unread.iter_mut().find(|known| known.kind == kind) {
            known.lines += 1;
            return;
        }
        let first = Unparsed {
            file: file.name.clone(),
            line: file.lines,
            error: error.to_string(),
            text: excerpt(line),
        };
        self.unread.push(UnreadKind { kind, lines: 1, first });
    }

    /// Lines that hold something: all but empty ones and directives.
    pub fn with_content(&self) -> u64 {
        self.parsed + self.unparsed
    }

    /// Lines that are not in the result: not read, or too late to be put in order.
    pub fn left_out(&self) -> u64 {
        self.unparsed + self.too_late
    }

    /// Whether so little was left out that the result describes the recordings: at most 5%, and
    /// not all.
    pub fn is_reliable(&self) -> bool {
        let all = self.with_content();
        all > self.left_out() && self.left_out() * 100 <= all * UNREAD_PERCENT
    }
}
