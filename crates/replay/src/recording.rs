//! Recordings: files and pipes of log lines, plain or gzip.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use memchr::memchr;

use crate::line::LINE_BYTES;
use crate::utf_16::{Utf16Reader, byte_order};

/// Bytes of one read: few calls, and more than one longest line.
const BUFFER: usize = 256 * 1024;
/// Bytes from which the format is recognised.
const HEAD: usize = 64 * 1024;
/// Bytes stored of a line that is too long.
const EXCERPT: usize = 1_024;

/// A file or pipe of log lines.
pub struct Recording {
    name: String,
    reader: Box<dyn Read + Send>,
    compressed: bool,
    buffer: Box<[u8]>,
    /// What has been read and not handed over: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Nothing more can be read.
    ended: bool,
    /// Why, if it was an error; reported after the last line.
    failed: Option<io::Error>,
    /// The beginning of a line that was too long.
    excerpt: Vec<u8>,
}

/// One line of a recording, without its line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedLine<'a> {
    /// The whole line.
    Whole(&'a [u8]),
    /// More than [`LINE_BYTES`]: this is its beginning.
    TooLong(&'a [u8]),
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The kernel reports an error.
    #[error("cannot read {name}: {error}")]
    Io {
        /// The recording.
        name: String,
        /// The kernel's error.
        error: io::Error,
    },
    /// It is compressed by something other than gzip.
    #[error(
        "{name} is compressed with {with}, and only gzip is read; decompress it into a pipe: \
         {with} -dc {name} | portcullis replay -"
    )]
    Compressed {
        /// The recording.
        name: String,
        /// The program that made it.
        with: &'static str,
    },
}

impl Recording {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if path == Path::new("-") {
            return Self::from_reader("standard input", io::stdin());
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::from_reader(&name, file),
            Err(error) => Err(OpenError::Io { name, error }),
        }
    }

    /// Reads from anything; `name` is only for messages.
    pub fn from_reader(
        name: &str,
        mut reader: impl Read + Send + 'static,
    ) -> Result<Self, OpenError> {
        let name = name.to_owned();
        let mut magic = Vec::with_capacity(4);
        // A pipe may hand over a single byte at first, so one look is not enough.
        if let Err(error) = reader.by_ref().take(4).read_to_end(&mut magic) {
            return Err(OpenError::Io { name, error });
        }
        let other = match magic.as_slice() {
            [0x28, 0xb5, 0x2f, 0xfd] => Some("zstd"),
            [b'B', b'Z', b'h', _] => Some("bzip2"),
            [0xfd, b'7', b'z', b'X'] => Some("xz"),
            _ => None,
        };
        if let Some(with) = other {
            return Err(OpenError::Compressed { name, with });
        }
        let compressed = magic.starts_with(&[0x1f, 0x8b]);
        let whole = Cursor::new(magic).chain(reader);
        let plain: Box<dyn Read + Send> = if compressed {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self {
            name,
            reader: decoded(plain),
            compressed,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            ended: false,
            failed: None,
            excerpt: Vec::new(),
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is compressed.
    pub const fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// The beginning of what is to be read, without taking it: 64 KiB, or all if it is less.
    pub fn head(&mut self) -> &[u8] {
        while self.end - self.start < HEAD && self.fill() {}
        &self.buffer[self.start..self.end]
    }

    /// The next line; `None` at the end. An error reports where reading ended, after all lines
    /// before it.
    pub fn next_line(&mut self) -> io::Result<Option<RecordedLine<'_>>> {
        let mut searched = 0;
        loop {
            let begin = self.start;
            if let Some(n) = memchr(b'\n', &self.buffer[begin + searched..self.end]) {
                let end = begin + searched + n;
                self.start = end + 1;
                return Ok(Some(whole(&self.buffer[begin..end])));
            }
            searched = self.end - begin;
            if searched > LINE_BYTES {
                return Ok(Some(self.skip_line()));
            }
            if !self.fill() {
                self.start = self.end;
                return match self.failed.take_if(|_| searched == 0) {
                    Some(error) => Err(error),
                    None if searched == 0 => Ok(None),
                    None => Ok(Some(whole(&self.buffer[self.end - searched..self.end]))),
                };
            }
        }
    }

    /// Hands `visit` each line. An error reports where reading ended; the lines before it have
    /// been handed over.
    pub fn for_each(&mut self, visit: &mut dyn FnMut(RecordedLine<'_>)) -> io::Result<()> {
        while let Some(line) = self.next_line()? {
            visit(line);
        }
        Ok(())
    }

    /// Skips a line that is too long, and returns its beginning.
    fn skip_line(&mut self) -> RecordedLine<'_> {
        self.excerpt.clear();
        self.excerpt.extend_from_slice(&self.buffer[self.start..self.start + EXCERPT]);
        loop {
            if let Some(n) = memchr(b'\n', &self.buffer[self.start..self.end]) {
                self.start += n + 1;
                break;
            }
            self.start = self.end;
            if !self.fill() {
                break;
            }
        }
        RecordedLine::TooLong(&self.excerpt)
    }

    /// Reads more; false if there is no more.
    fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.ended = true;
                    self.failed = Some(error);
                }
            }
            return !self.ended;
        }
    }
}

/// Text in UTF-16 is decoded. An error in its first bytes is met again by the first read.
fn decoded(mut plain: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    let mut begin = Vec::with_capacity(4);
    let failed = plain.by_ref().take(4).read_to_end(&mut begin).err();
    let order = byte_order(&begin);
    let begin = Cursor::new(begin).chain(FailedRead(failed)).chain(plain);
    match order {
        Some(little_endian) => Box::new(Utf16Reader::new(begin, little_endian)),
        None => Box::new(begin),
    }
}

/// Reports an error once, or reads nothing.
struct FailedRead(Option<io::Error>);

impl Read for FailedRead {
    fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

fn whole(line: &[u8]) -> RecordedLine<'_> {
    if line.len() > LINE_BYTES {
        RecordedLine::TooLong(&line[..EXCERPT])
    } else {
        RecordedLine::Whole(line)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    /// Returns its bytes in chunks of the given sizes.
    struct Chunks {
        bytes: Vec<u8>,
        sizes: Vec<usize>,
        at: usize,
        turn: usize,
    }

    impl Read for Chunks {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let size = self.sizes[self.turn % self.sizes.len()];
            self.turn += 1;
            let n = size.min(into.len()).min(self.bytes.len() - self.at);
            into[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
            self.at += n;
            Ok(n)
        }
    }

    fn lines(reader: impl Read + Send + 'static) -> Vec<(bool, Vec<u8>)> {
        let mut lines = Vec::new();
        let mut recording = Recording::from_reader("test", reader).expect("opens");
        recording
            .for_each(&mut |line| {
                lines.push(match line {
                    RecordedLine::Whole(line) => (true, line.to_vec()),
                    RecordedLine::TooLong(line) => (false, line[..8].to_vec()),
                });
            })
            .expect("reads");
        lines
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("compresses");
        encoder.finish().expect("compresses")
    }

    #[test]
    fn an_endless_line_is_skipped_and_reported() {
        let mut text = b"first\n".to_vec();
        text.extend(vec![b'x'; 1_000_000]);
        text.extend(b"\nlast");
        let expected =
            [(true, b"first".to_vec()), (false, vec![b'x'; 8]), (true, b"last".to_vec())];
        assert_eq!(lines(Cursor::new(text.clone())), expected);
        assert_eq!(lines(Cursor::new(zipped(&text))), expected);
    }

    #[test]
    fn a_line_may_be_exactly_as_long_as_is_allowed() {
        for (length, fits) in [(LINE_BYTES, true), (LINE_BYTES + 1, false)] {
            let text = [vec![b'x'; length], b"\n".to_vec()].concat();
            assert_eq!(lines(Cursor::new(text))[0].0, fits);
        }
    }

    #[test]
    fn several_gzip_members_are_one_recording() {
        let both = [zipped(b"one\ntw"), zipped(b"o\n")].concat();
        assert_eq!(lines(Cursor::new(both)).len(), 2);
    }

    #[test]
    fn a_gzip_file_cut_off_hands_over_what_it_had() {
        let mut seed = 1u32;
        let text: Vec<u8> = (0..400_000)
            .map(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if i % 50 == 49 { b'\n' } else { b'a' + (seed >> 24) as u8 % 26 }
            })
            .collect();
        let mut cut = zipped(&text);
        cut.truncate(cut.len() / 2);
        let mut count = 0;
        let mut recording = Recording::from_reader("cut", Cursor::new(cut)).expect("opens");
        assert!(recording.for_each(&mut |_| count += 1).is_err());
        assert!(count > 1_000, "{count}");
    }

    #[test]
    fn other_compressions_are_named_with_what_to_do() {
        let error = Recording::from_reader("a.zst", Cursor::new([0x28, 0xb5, 0x2f, 0xfd, 0]));
        let text = error.err().expect("an error").to_string();
        assert!(text.contains("zstd -dc a.zst | portcullis replay -"), "{text}");
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_makes_no_difference(
            text in prop::collection::vec(prop_oneof![3 => Just(b'a'), 1 => Just(b'\n'), 1 => any::<u8>()], 0..400),
            sizes in prop::collection::vec(1..50usize, 1..6),
        ) {
            let text: Vec<u8> = [b"begin".to_vec(), text].concat();
            let whole = lines(Cursor::new(text.clone()));
            let chunks = |bytes| Chunks { bytes, sizes: sizes.clone(), at: 0, turn: 0 };
            prop_assert_eq!(&lines(chunks(text.clone())), &whole);
            prop_assert_eq!(&lines(chunks(zipped(&text))), &whole);
            let mut expected: Vec<_> = text.split(|b| *b == b'\n').map(|l| (true, l.to_vec())).collect();
            if expected.last().is_some_and(|(_, last)| last.is_empty()) {
                expected.pop();
            }
            prop_assert_eq!(whole, expected);
        }
    }
}
