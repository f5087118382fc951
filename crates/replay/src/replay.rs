//! Recordings in, findings out.

use std::sync::Arc;

use portcullis_gate::Secret;
use portcullis_model::Config;

use crate::engine::Engine;
use crate::findings::{FileFacts, Findings, LineCounts, Unparsed};
use crate::line::{ParseError, Parser};
use crate::recording::{RecordedLine, Recording};
use crate::reorder::ReorderBuffer;

/// Lines that could not be read are shown up to this many.
const SHOWN: usize = 5;
/// Number of lines between two reports of progress.
const PROGRESS_LINES: u64 = 65_536;

/// A replay of recordings, one after the other, as one stretch of time.
pub struct Replay {
    parser: Parser,
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
            parser: Parser::default(),
            order: ReorderBuffer::default(),
            engine: Engine::new(config, secret),
            lines: LineCounts::default(),
            files: Vec::new(),
        }
    }

    /// Reads a recording to its end. `progress` gets the number of lines read so far, now and
    /// then. Lines that cannot be read are counted, and so is a recording that breaks off: nothing
    /// stops a replay.
    pub fn read(&mut self, mut recording: Recording, progress: &mut dyn FnMut(u64)) {
        let name = recording.name().to_owned();
        let compressed = recording.is_compressed();
        self.files.push(FileFacts { name, compressed, lines: 0, read_error: None });
        let result = recording.for_each(&mut |line| {
            match line {
                RecordedLine::Whole(line) => self.line(line),
                RecordedLine::TooLong(begin) => self.unparsed(begin, &ParseError::TooLong),
            }
            if self.lines.read.is_multiple_of(PROGRESS_LINES) {
                progress(self.lines.read);
            }
        });
        if let (Err(error), Some(file)) = (result, self.files.last_mut()) {
            file.read_error = Some(error.to_string());
        }
        progress(self.lines.read);
    }

    /// Takes one line, without its line break. Empty lines count for nothing.
    pub fn line(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            self.count_line();
            self.lines.empty += 1;
            return;
        }
        match self.parser.parse(line) {
            Ok(parsed) => {
                self.order.push(&parsed, &mut self.engine);
                self.lines.parsed += 1;
                self.count_line();
            }
            Err(error) => self.unparsed(line, &error),
        }
    }

    /// Ends the replay.
    pub fn finish(mut self) -> Findings {
        self.order.flush(&mut self.engine);
        self.lines.out_of_order = self.order.out_of_order();
        Findings::new(self.files, self.lines, self.engine.finish())
    }

    fn count_line(&mut self) {
        self.lines.read += 1;
        if let Some(file) = self.files.last_mut() {
            file.lines += 1;
        }
    }

    fn unparsed(&mut self, line: &[u8], error: &ParseError) {
        self.count_line();
        self.lines.unparsed += 1;
        if self.lines.first_unparsed.len() < SHOWN {
            let file = self.files.last();
            self.lines.first_unparsed.push(Unparsed {
                file: file.map_or_else(String::new, |file| file.name.clone()),
                line: file.map_or(self.lines.read, |file| file.lines),
                error: error.to_string(),
                text: crate::text::excerpt(line),
            });
        }
    }
}
