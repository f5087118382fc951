//! Lines in order of time, however far apart they came: an external sort. Memory is bounded; the
//! rest is in temporary files without a name, which are gone when the process is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use crate::line::LogLine;
use crate::log_second::LogSecond;

/// Bytes of lines sorted in memory.
const CHUNK: usize = 64 * 1024 * 1024;
/// Sorted files merged at the same time; more are joined first.
const RUNS: usize = 64;
/// Bytes read or written at a time.
const BUFFER: usize = 64 * 1024;
/// Bytes before a line: its time, its log, its length.
const HEAD: usize = 16;

/// A line with its time (milliseconds since 1970) and the number of its log.
#[derive(Debug, Default)]
pub(crate) struct SortedLine {
    pub millis: u64,
    pub log: usize,
    pub encoded: Vec<u8>,
}

/// Takes lines, and gives them back in order of time; where times are equal, as they came.
pub(crate) struct LineSorter<'a> {
    folder: &'a Path,
    chunk_bytes: usize,
    chunk: Vec<u8>,
    /// Time, and where in the chunk.
    index: Vec<(u64, usize)>,
    runs: Vec<File>,
}

impl<'a> LineSorter<'a> {
    /// A sorter with its temporary files in `folder`.
    pub(crate) fn new(folder: &'a Path) -> Self {
        Self { folder, chunk_bytes: CHUNK, chunk: Vec::new(), index: Vec::new(), runs: Vec::new() }
    }

    /// Takes a line.
    pub(crate) fn push(&mut self, line: &LogLine<'_>, digest: u64, log: usize) -> io::Result<()> {
        let begin = self.chunk.len();
        self.index.push((line.at.millis(), begin));
        self.chunk.extend_from_slice(&line.at.millis().to_le_bytes());
        self.chunk.extend_from_slice(&(log as u32).to_le_bytes());
        self.chunk.extend_from_slice(&[0; 4]);
        LogSecond::encode(line, digest, &mut self.chunk);
        let length = (self.chunk.len() - begin - HEAD) as u32;
        self.chunk[begin + 12..begin + HEAD].copy_from_slice(&length.to_le_bytes());
        if self.chunk.len() >= self.chunk_bytes {
            self.spill()?;
        }
        Ok(())
    }

    /// Hands over all lines.
    pub(crate) fn finish(mut self, take: &mut dyn FnMut(&SortedLine)) -> io::Result<()> {
        self.spill()?;
        merge(&mut self.runs, take)
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.index.is_empty() {
            return Ok(());
        }
        self.index.sort_unstable();
        let mut file = BufWriter::with_capacity(BUFFER, tempfile::tempfile_in(self.folder)?);
        for (_, begin) in &self.index {
            let line = &self.chunk[*begin..];
            let (_, length) = head(line);
            file.write_all(&line[..HEAD + length])?;
        }
        self.runs.push(file.into_inner().map_err(io::IntoInnerError::into_error)?);
        self.index.clear();
        self.chunk.clear();
        if self.runs.len() == RUNS {
            self.join_runs()?;
        }
        Ok(())
    }

    /// Makes one file of all.
    fn join_runs(&mut self) -> io::Result<()> {
        let mut file = BufWriter::with_capacity(BUFFER, tempfile::tempfile_in(self.folder)?);
        let mut failed = Ok(());
        merge(&mut self.runs, &mut |line| {
            let written = line.write(&mut file);
            if failed.is_ok() {
                failed = written;
            }
        })?;
        failed?;
        self.runs.push(file.into_inner().map_err(io::IntoInnerError::into_error)?);
        Ok(())
    }
}

impl SortedLine {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.millis.to_le_bytes())?;
        out.write_all(&(self.log as u32).to_le_bytes())?;
        out.write_all(&(self.encoded.len() as u32).to_le_bytes())?;
        out.write_all(&self.encoded)
    }

    /// Reads the next line of a file; false at its end.
    fn read(&mut self, from: &mut impl Read) -> io::Result<bool> {
        let mut head = [0; HEAD];
        match from.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
        let (log, length) = self::head(&head);
        self.millis = u64::from_le_bytes(first(&head));
        self.log = log;
        self.encoded.resize(length, 0);
        from.read_exact(&mut self.encoded)?;
        Ok(true)
    }
}

/// The number of the log and the length of the line.
fn head(line: &[u8]) -> (usize, usize) {
    let word = |at: usize| u32::from_le_bytes(first(&line[at..])) as usize;
    (word(8), word(12))
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[..N]);
    out
}

/// Hands over the lines of sorted files in order; equal times in the order of the files.
fn merge(runs: &mut Vec<File>, take: &mut dyn FnMut(&SortedLine)) -> io::Result<()> {
    let mut readers = Vec::with_capacity(runs.len());
    let mut next = BinaryHeap::with_capacity(runs.len());
    for mut run in runs.drain(..) {
        run.rewind()?;
        let mut reader = BufReader::with_capacity(BUFFER, run);
        let mut line = SortedLine::default();
        if line.read(&mut reader)? {
            next.push(Reverse((line.millis, readers.len())));
        }
        readers.push((reader, line));
    }
    while let Some(Reverse((_, at))) = next.pop() {
        let (reader, line) = &mut readers[at];
        take(line);
        if line.read(reader)? {
            next.push(Reverse((line.millis, at)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use portcullis_model::WallTime;

    use super::*;

    #[test]
    fn lines_come_back_in_order_with_all_that_they_hold() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sorter = LineSorter { chunk_bytes: 2_000, ..LineSorter::new(folder.path()) };
        let text = b"192.0.2.7 - - [17/May/2015:10:05:03 +0000] \"GET /x?y HTTP/1.1\" 206 5 \"-\" \"agent\" 0.25";
        let mut line = crate::line::parse(text).expect("a line");
        let mut seed = 1u64;
        for n in 0..2_000u64 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            line.at = WallTime((seed >> 33) % 1_000);
            line.bytes = n;
            sorter.push(&line, 7, (n % 3) as usize).expect("sorts");
        }
        let mut times = Vec::new();
        let mut bytes = Vec::new();
        sorter
            .finish(&mut |sorted| {
                let mut second = LogSecond::default();
                second.push_encoded(sorted.millis, &sorted.encoded);
                let read = second.iter().next().expect("a line");
                assert_eq!((read.method, read.path, read.query), ("GET", "/x", Some("y")));
                assert_eq!((read.status, read.user_agent), (206, Some("agent")));
                assert_eq!(read.latency, Some(core::time::Duration::from_millis(250)));
                assert_eq!(read.source, line.source.key());
                times.push((sorted.millis, read.bytes));
                bytes.push(read.bytes);
            })
            .expect("merges");
        assert!(times.is_sorted(), "equal times as they came");
        bytes.sort_unstable();
        assert!(bytes.iter().copied().eq(0..2_000));
        assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 0, "no file is left");
    }
}
