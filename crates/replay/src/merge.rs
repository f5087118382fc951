//! Several logs as one stretch of time: those of two servers, and rotated ones.

use std::collections::VecDeque;

use crate::line::LineFormat;
use crate::line_counts::{FileFacts, LineCounts};
use crate::log_input::{LogInput, in_order};
use crate::log_second::LogSecond;
use crate::open_log::{OpenLog, OrderedLog, ReplayError};
use crate::overlap::OverlapDetector;
use crate::reorder::{SecondSink, WINDOW_SECONDS};

/// Logs that are open at the same time: each takes half a mebibyte, and a file descriptor of the
/// 1,024 that a process usually has.
const MAX_OPEN: usize = 256;

/// A second of a log, and whether it is only a part of it.
type ReadySecond = (u64, LogSecond, bool);

/// The seconds of a log that are complete.
#[derive(Default)]
struct ReadySeconds(VecDeque<ReadySecond>);

impl SecondSink for ReadySeconds {
    fn take_second(&mut self, second: u64, lines: &mut LogSecond, more: bool) {
        self.0.push_back((second, core::mem::take(lines), more));
    }
}

struct MergedLog {
    number: usize,
    log: OrderedLog,
    ready: ReadySeconds,
    ended: bool,
}

impl MergedLog {
    /// The next second; `None` at the end.
    fn next(&mut self, counts: &mut LineCounts, progress: &mut dyn FnMut(u64)) -> Option<u64> {
        while self.ready.0.is_empty() && !self.ended {
            self.ended = !self.log.step(counts, &mut self.ready);
            report(counts, progress);
        }
        self.ready.0.front().map(|(second, ..)| *second)
    }
}

/// Number of lines between two reports of progress.
const PROGRESS_LINES: u64 = 65_536;

pub(crate) fn report(counts: &LineCounts, progress: &mut dyn FnMut(u64)) {
    if counts.read.is_multiple_of(PROGRESS_LINES) {
        progress(counts.read);
    }
}

/// Reads logs side by side, in the order of their times.
pub(crate) struct Merge<'a> {
    format: Option<&'a LineFormat>,
    waiting: VecDeque<LogInput>,
    shares: usize,
    open: Vec<MergedLog>,
    overlap: OverlapDetector,
    files: Vec<FileFacts>,
    /// The last second that was handed over.
    last: u64,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(
        logs: Vec<LogInput>,
        format: Option<&'a LineFormat>,
    ) -> Result<Self, ReplayError> {
        let waiting: VecDeque<LogInput> = in_order(logs)?.into();
        let (shares, files) = (waiting.len(), vec![FileFacts::default(); waiting.len()]);
        let overlap = OverlapDetector::default();
        Ok(Self { format, waiting, shares, open: Vec::new(), overlap, files, last: 0 })
    }

    /// Hands over all seconds; returns what was counted of each log, in the order of their
    /// beginning.
    pub(crate) fn run(
        mut self,
        counts: &mut LineCounts,
        sink: &mut impl SecondSink,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Vec<FileFacts>, OverlapDetector), ReplayError> {
        while let Some(second) = self.next_second(counts, progress)? {
            let (mut seconds, mut more) = (Vec::new(), false);
            for log in &mut self.open {
                if let Some((_, lines, part)) =
                    log.ready.0.pop_front_if(|(ready, ..)| *ready == second)
                {
                    more |= part;
                    seconds.push((log.number, lines));
                }
            }
            let mut joined = match seconds.as_mut_slice() {
                [(_, lines)] => core::mem::take(lines),
                _ => self.overlap.join(&seconds),
            };
            self.last = second;
            sink.take_second(second, &mut joined, more);
        }
        Ok((self.files, self.overlap))
    }

    /// The earliest second that any log has; opens those that may have it.
    fn next_second(
        &mut self,
        counts: &mut LineCounts,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<u64>, ReplayError> {
        loop {
            let mut earliest: Option<u64> = None;
            let mut at = 0;
            while let Some(log) = self.open.get_mut(at) {
                match log.next(counts, progress) {
                    None => {
                        let MergedLog { number, log, .. } = self.open.swap_remove(at);
                        self.files[number] = log.into_facts(counts);
                    }
                    // Another log has overtaken it: its first line had a wrong time.
                    Some(second) if second < self.last => {
                        let late = log.ready.0.pop_front().map_or(0, |(_, lines, _)| lines.len());
                        log.log.count_late(late as u64);
                    }
                    Some(second) => {
                        earliest = Some(earliest.map_or(second, |earliest| earliest.min(second)));
                        at += 1;
                    }
                }
            }
            let due = |input: &mut LogInput| {
                earliest.is_none_or(|second| second + WINDOW_SECONDS >= input.begins())
            };
            let Some(input) = self.waiting.pop_front_if(due) else { return Ok(earliest) };
            self.open(input)?;
        }
    }

    fn open(&mut self, input: LogInput) -> Result<(), ReplayError> {
        if self.open.len() >= MAX_OPEN {
            return Err(ReplayError::TooMany(MAX_OPEN));
        }
        let number = self.files.len() - self.waiting.len() - 1;
        let log = OpenLog::open(input, self.format, true)?;
        let log = OrderedLog::new(log, self.shares);
        self.open.push(MergedLog { number, log, ready: ReadySeconds::default(), ended: false });
        Ok(())
    }
}
