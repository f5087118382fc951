//! Recordings in, findings out.

use std::sync::Arc;

use portcullis_gate::Secret;
use portcullis_model::Config;

use crate::engine::Engine;
use crate::findings::Findings;
use crate::line::{LineFormat, LineReader, ParseError};
use crate::line_counts::{FileFacts, LineCounts};
use crate::recording::{RecordedLine, Recording};
use crate::reorder::ReorderBuffer;

/// Number of lines between two reports of progress.
const PROGRESS_LINES: u64 = 65_536;

/// A replay of recordings, one after the other, as one stretch of time.
pub struct Replay {
    format: Option<LineFormat>,
    order: ReorderBuffer,
    engine: Engine,
    lines: LineCounts,
    files: Vec<FileFacts>,
}

impl Replay {
    /// A replay against the platforms, limits and settings of `config`. The secret only keys
    /// hashes; the same recording with the same secret gives the same findings.
    pub fn new(config: Arc<Config>, secret: Secret) -> Self {
        Self {
            format: None,
            order: ReorderBuffer::default(),
            engine: Engine::new(config, secret),
            lines: LineCounts::default(),
            files: Vec::new(),
        }
    }

    /// All recordings have this format, which is then not recognised from them.
    #[must_use]
    pub fn with_format(mut self, format: LineFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Reads a recording to its end. `progress` gets the number of lines read so far, now and
    /// then. Lines that cannot be read are counted, and so is a recording that breaks off: nothing
    /// stops a replay.
    pub fn read(&mut self, mut recording: Recording, progress: &mut dyn FnMut(u64)) {
        let mut reader = LineReader::recognise(recording.head(), self.format.as_ref());
        let mut file = FileFacts::new(&recording, &reader);
        let result = recording.for_each(&mut |line| {
            self.lines.read += 1;
            file.lines += 1;
            match line {
                RecordedLine::Whole(line) => self.line(line, &mut reader, &mut file),
                RecordedLine::TooLong(begin) => {
                    self.lines.count_unparsed(&file, begin, &ParseError::TooLong);
                    file.unparsed += 1;
                }
            }
            if self.lines.read.is_multiple_of(PROGRESS_LINES) {
                progress(self.lines.read);
            }
        });
        file.read_error = result.err().map(|error| error.to_string());
        self.files.push(file);
        progress(self.lines.read);
    }

    fn line(&mut self, line: &[u8], reader: &mut LineReader, file: &mut FileFacts) {
        if line.trim_ascii().is_empty() {
            self.lines.empty += 1;
            return;
        }
        match reader.read(line) {
            Ok(Some(parsed)) => {
                self.order.push(&parsed, &mut self.engine);
                self.lines.parsed += 1;
            }
            Ok(None) => self.lines.directives += 1,
            Err(error) => {
                self.lines.count_unparsed(file, line, &error);
                file.unparsed += 1;
            }
        }
    }

    /// Ends the replay.
    pub fn finish(mut self) -> Findings {
        self.order.flush(&mut self.engine);
        self.lines.out_of_order = self.order.out_of_order();
        self.lines.unread.sort_by_key(|kind| core::cmp::Reverse(kind.lines));
        Findings::new(self.files, self.lines, self.engine.finish())
    }
}
