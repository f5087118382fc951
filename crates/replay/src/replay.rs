//! Recordings in, findings out.

use std::io;
use std::path::Path;
use std::sync::Arc;

use portcullis_gate::Secret;
use portcullis_model::Config;

use crate::engine::Engine;
use crate::findings::Findings;
use crate::line::LineFormat;
use crate::line_counts::{CopiedLines, FileFacts, LineCounts};
use crate::log_input::{LogInput, in_order};
use crate::log_second::LogSecond;
use crate::merge::{Merge, report};
use crate::open_log::{OpenLog, OrderedLog, ReplayError};
use crate::overlap::OverlapDetector;
use crate::pipeline;
use crate::reorder::{LINES, SecondSink};
use crate::sort::LineSorter;

/// A replay of recordings as one stretch of time.
pub struct Replay {
    format: Option<LineFormat>,
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

    /// Reads logs to their end, merged by time, and returns what was found. `progress` gets the
    /// number of lines read so far, now and then. Lines that cannot be read are counted, and so is
    /// a log that breaks off.
    ///
    /// # Errors
    /// A log cannot be opened or is there twice, or too many overlap in time.
    pub fn run(
        mut self,
        logs: Vec<LogInput>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Findings, ReplayError> {
        let (format, lines) = (self.format.as_ref(), &mut self.lines);
        let (files, overlap) = pipeline::run(&mut self.engine, progress, |sink, progress| {
            read_logs(logs, format, lines, sink, progress)
        })?;
        self.files = files;
        Ok(self.finish(&overlap))
    }

    /// Reads logs to their end, one after the other, and sorts their lines by time, with temporary
    /// files in `folder`; see [`Self::run`].
    ///
    /// # Errors
    /// A log cannot be opened or is there twice, or the temporary files cannot be written or read.
    pub fn run_sorted(
        mut self,
        logs: Vec<LogInput>,
        folder: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Findings, ReplayError> {
        let (format, lines) = (self.format.as_ref(), &mut self.lines);
        let (files, overlap) = pipeline::run(&mut self.engine, progress, |sink, progress| {
            sort_logs(logs, format, folder, lines, sink, progress)
        })?;
        self.files = files;
        self.lines.sorted = true;
        Ok(self.finish(&overlap))
    }

    fn finish(mut self, overlap: &OverlapDetector) -> Findings {
        self.lines.unread.sort_by_key(|kind| core::cmp::Reverse(kind.lines));
        let name =
            |at: usize| self.files.get(at).map_or_else(String::new, |file| file.name.clone());
        for ((first, second), lines) in overlap.copies() {
            let copied = CopiedLines { first: name(*first), second: name(*second), lines: *lines };
            self.lines.copies.push(copied);
        }
        Findings::new(self.files, self.lines, self.engine.finish())
    }
}

type ReadLogs = Result<(Vec<FileFacts>, OverlapDetector), ReplayError>;

fn read_logs(
    mut logs: Vec<LogInput>,
    format: Option<&LineFormat>,
    lines: &mut LineCounts,
    sink: &mut impl SecondSink,
    progress: &mut dyn FnMut(u64),
) -> ReadLogs {
    if logs.len() != 1 {
        return Merge::new(logs, format)?.run(lines, sink, progress);
    }
    let mut files = Vec::new();
    for log in logs.drain(..) {
        let mut log = OrderedLog::new(OpenLog::open(log, format, false)?, 1);
        while log.step(lines, sink) {
            report(lines, progress);
        }
        files.push(log.into_facts(lines));
    }
    Ok((files, OverlapDetector::default()))
}

fn sort_logs(
    logs: Vec<LogInput>,
    format: Option<&LineFormat>,
    folder: &Path,
    lines: &mut LineCounts,
    sink: &mut impl SecondSink,
    progress: &mut dyn FnMut(u64),
) -> ReadLogs {
    let failed = |error| ReplayError::Sort { folder: folder.display().to_string(), error };
    let (mut sorter, mut files) = (LineSorter::new(folder), Vec::new());
    for (number, input) in in_order(logs)?.into_iter().enumerate() {
        let mut log = OpenLog::open(input, format, true)?;
        let mut result = Ok(());
        while result.is_ok()
            && log.step(lines, |line, digest, _| {
                result = sorter.push(line, digest, number);
            })
        {
            report(lines, progress);
        }
        result.map_err(failed)?;
        files.push(log.into_facts());
    }
    let overlap = take_sorted(sorter, sink).map_err(failed)?;
    Ok((files, overlap))
}

/// Hands over sorted lines second by second.
fn take_sorted(sorter: LineSorter<'_>, sink: &mut impl SecondSink) -> io::Result<OverlapDetector> {
    let mut overlap = OverlapDetector::default();
    let mut held: Vec<(usize, LogSecond)> = Vec::new();
    let (mut second, mut count) = (0, 0);
    let mut flush = |held: &mut Vec<(usize, LogSecond)>, second: u64, more: bool| {
        let mut joined = match held.as_mut_slice() {
            [] => return,
            [(_, lines)] => core::mem::take(lines),
            _ => overlap.join(held),
        };
        held.clear();
        sink.take_second(second, &mut joined, more);
    };
    sorter.finish(&mut |line| {
        let of = line.millis / 1_000;
        if of != second || count >= LINES {
            flush(&mut held, second, of == second);
            (second, count) = (of, 0);
        }
        count += 1;
        let at = held.iter().position(|(log, _)| *log == line.log).unwrap_or_else(|| {
            held.push((line.log, LogSecond::default()));
            held.len() - 1
        });
        held[at].1.push_encoded(line.millis, &line.encoded);
    })?;
    flush(&mut held, second, false);
    Ok(overlap)
}
