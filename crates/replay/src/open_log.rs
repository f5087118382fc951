//! A log that is being read: its recording, its format, and what was counted of it.

use std::io;

use crate::line::{LineFormat, LineReader, LogLine, ParseError};
use crate::line_counts::{FileFacts, LineCounts};
use crate::log_input::LogInput;
use crate::overlap::digest;
use crate::recording::{OpenError, RecordedLine, Recording};
use crate::reorder::{ReorderBuffer, SecondSink};

/// A log that is being read.
pub(crate) struct OpenLog {
    recording: Recording,
    reader: LineReader,
    facts: FileFacts,
    /// Lines are hashed, to compare them with those of other logs.
    hashed: bool,
}

impl OpenLog {
    pub(crate) fn open(
        input: LogInput,
        format: Option<&LineFormat>,
        hashed: bool,
    ) -> Result<Self, OpenError> {
        let mut recording = input.open()?;
        let reader = LineReader::recognise(recording.head(), format);
        let facts = FileFacts::new(&recording, &reader);
        Ok(Self { recording, reader, facts, hashed })
    }

    /// Reads the next line, and hands it over with its hash if it is one of an access log; false
    /// at the end. A recording that breaks off is at its end.
    pub(crate) fn step(
        &mut self,
        counts: &mut LineCounts,
        take: impl FnOnce(&LogLine<'_>, u64, &mut FileFacts),
    ) -> bool {
        let line = match self.recording.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => return false,
            Err(error) => {
                self.facts.read_error = Some(error.to_string());
                return false;
            }
        };
        counts.read += 1;
        self.facts.lines += 1;
        let (line, read) = match line {
            RecordedLine::TooLong(begin) => (begin, Err(ParseError::TooLong)),
            RecordedLine::Whole(line) if line.trim_ascii().is_empty() => {
                counts.empty += 1;
                return true;
            }
            RecordedLine::Whole(line) => (line, self.reader.read(line)),
        };
        match read {
            Ok(Some(parsed)) => {
                counts.parsed += 1;
                let digest = if self.hashed { digest(line) } else { 0 };
                take(&parsed, digest, &mut self.facts);
            }
            Ok(None) => counts.directives += 1,
            Err(error) => {
                self.facts.unparsed += 1;
                counts.count_unparsed(&self.facts, line, &error);
            }
        }
        true
    }

    /// What was counted.
    pub(crate) fn into_facts(self) -> FileFacts {
        self.facts
    }
}

/// A log whose lines are put in order, second by second.
pub(crate) struct OrderedLog {
    log: OpenLog,
    order: ReorderBuffer,
}

impl OrderedLog {
    /// One of `shares` logs that are read at the same time.
    pub(crate) fn new(log: OpenLog, shares: usize) -> Self {
        Self { log, order: ReorderBuffer::new(shares) }
    }

    /// Reads one line, and hands over the seconds that it completes. At the end, all are handed
    /// over, and false is returned.
    pub(crate) fn step(&mut self, counts: &mut LineCounts, sink: &mut impl SecondSink) -> bool {
        let order = &mut self.order;
        let more = self.log.step(counts, |line, digest, facts| {
            if let Some(seconds) = order.push(line, digest, sink) {
                facts.first_too_late.get_or_insert(facts.lines);
                facts.late_by_seconds = facts.late_by_seconds.max(seconds);
            }
        });
        if !more {
            self.order.flush(sink);
        }
        more
    }

    /// What was counted.
    pub(crate) fn into_facts(self, counts: &mut LineCounts) -> FileFacts {
        let mut facts = self.log.into_facts();
        facts.too_late += self.order.left_out();
        facts.clock_steps = self.order.clock_steps();
        counts.too_late += facts.too_late;
        facts
    }

    /// Counts lines that another log overtook.
    pub(crate) const fn count_late(&mut self, lines: u64) {
        self.log.facts.too_late += lines;
    }
}

/// Why logs cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A log is there twice.
    #[error(transparent)]
    Same(#[from] crate::log_input::SameLog),
    /// More logs overlap in time than can be open.
    #[error("more than {0} logs overlap in time: replay them with --sort")]
    TooMany(usize),
    /// The temporary files of `--sort` cannot be written or read.
    #[error("cannot sort the lines in {folder} (TMPDIR sets the folder): {error}")]
    Sort {
        /// Where temporary files are.
        folder: String,
        /// The kernel's error.
        error: io::Error,
    },
}
