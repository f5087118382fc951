//! Recordings: files and pipes of log lines, plain or gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use portcullis_model::WallTime;

use crate::line::{LINE_BYTES, Parser};

/// Bytes of one read: few calls, and more than one longest line.
const BUFFER: usize = 256 * 1024;

/// A file or pipe of log lines.
pub struct Recording {
    name: String,
    reader: Box<dyn BufRead>,
    compressed: bool,
}

/// One line of a recording, without its line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedLine<'a> {
    /// The whole line.
    Whole(&'a [u8]),
    /// More than [`LINE_BYTES`]: these are the first of them.
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
    pub fn from_reader(name: &str, mut reader: impl Read + 'static) -> Result<Self, OpenError> {
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
        let whole = BufReader::with_capacity(BUFFER, Cursor::new(magic).chain(reader));
        let reader: Box<dyn BufRead> = if compressed {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { name, reader, compressed })
    }

    /// Puts files in the order of the first time in them, because `access.log*` names the newest
    /// first. Files without one come last. A pipe can be read but once: with `-` among them, all
    /// stay as they are.
    pub fn earliest_first(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, OpenError> {
        if paths.len() < 2 || paths.iter().any(|path| path == Path::new("-")) {
            return Ok(paths);
        }
        let mut timed = Vec::with_capacity(paths.len());
        for path in paths {
            let begins = Self::open(&path)?.first_time();
            timed.push((begins.is_none(), begins, path));
        }
        timed.sort_by_key(|(none, begins, _)| (*none, *begins));
        Ok(timed.into_iter().map(|(_, _, path)| path).collect())
    }

    /// The first time in the first few hundred lines.
    fn first_time(self) -> Option<WallTime> {
        let mut begin = Vec::new();
        // What was read before an error is good enough to find a time in.
        let _ = self.reader.take(BUFFER as u64).read_to_end(&mut begin);
        let mut parser = Parser::default();
        let mut lines = begin.split(|byte| *byte == b'\n');
        lines.find_map(|line| parser.parse(line).ok()).map(|line| line.at)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is compressed.
    pub const fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Hands `visit` each line. An error reports where reading ended; the lines before it have
    /// been handed over.
    pub fn for_each(&mut self, visit: &mut dyn FnMut(RecordedLine<'_>)) -> io::Result<()> {
        let mut begun = Vec::new();
        // The line that has begun is too long: skip to its end.
        let mut skipping = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    finish(&begun, skipping, visit);
                    return Err(error);
                }
            };
            if buffer.is_empty() {
                finish(&begun, skipping, visit);
                return Ok(());
            }
            let mut at = 0;
            for end in memchr::memchr_iter(b'\n', buffer) {
                let line = &buffer[at..end];
                at = end + 1;
                if skipping {
                    skipping = false;
                    visit(RecordedLine::TooLong(&begun));
                    begun.clear();
                } else if begun.is_empty() {
                    visit(whole(line));
                } else {
                    extend(&mut begun, line);
                    visit(whole(&begun));
                    begun.clear();
                }
            }
            if !skipping {
                extend(&mut begun, &buffer[at..]);
                skipping = begun.len() > LINE_BYTES;
            }
            let read = buffer.len();
            self.reader.consume(read);
        }
    }
}

fn finish(begun: &[u8], skipping: bool, visit: &mut dyn FnMut(RecordedLine<'_>)) {
    if skipping {
        visit(RecordedLine::TooLong(begun));
    } else if !begun.is_empty() {
        visit(whole(begun));
    }
}

/// One byte more than a line may have is stored, to know that it is too long.
fn extend(begun: &mut Vec<u8>, more: &[u8]) {
    let space = (LINE_BYTES + 1).saturating_sub(begun.len());
    begun.extend_from_slice(&more[..more.len().min(space)]);
}

fn whole(line: &[u8]) -> RecordedLine<'_> {
    if line.len() > LINE_BYTES {
        RecordedLine::TooLong(&line[..LINE_BYTES])
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

    fn lines(reader: impl Read + 'static) -> Vec<(bool, Vec<u8>)> {
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
    fn rotated_files_are_put_in_the_order_of_their_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("writes");
            path
        };
        let line = |day: u32| {
            format!("192.0.2.7 - - [{day}/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5\n")
        };
        let newest = write("access.log", line(19).as_bytes());
        let middle = write("access.log.1", format!("no line\n{}", line(18)).as_bytes());
        let oldest = write("access.log.2.gz", &zipped(line(17).as_bytes()));
        let other = write("notes.txt", b"nothing of the kind");
        let given = vec![other.clone(), newest.clone(), middle.clone(), oldest.clone()];
        let sorted = Recording::earliest_first(given).expect("opens");
        assert_eq!(sorted, [oldest, middle, newest, other]);
        let piped = vec![PathBuf::from("b"), PathBuf::from("-")];
        assert_eq!(Recording::earliest_first(piped.clone()).expect("untouched"), piped);
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
