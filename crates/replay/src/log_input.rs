//! The logs of a replay, before they are read: their order, and the same one twice.

use std::path::{Path, PathBuf};

use portcullis_model::WallTime;

use crate::line::{LineFormat, LineReader};
use crate::recording::{OpenError, Recording};

/// Bytes at the beginning of two logs that must be equal before they are taken for copies: some
/// twenty lines with their times and visitors. A shorter log must be equal to its end.
const PREFIX: usize = 4_096;

/// A log that is to be read.
pub struct LogInput {
    name: String,
    source: InputSource,
    /// The first time in it; absent if none was found near its beginning.
    begins: Option<WallTime>,
    prefix: Vec<u8>,
}

enum InputSource {
    /// It is opened when its time comes: rotated logs can be more than a process may have open.
    File(PathBuf),
    Open(Box<Recording>),
}

/// The same log twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{first} and {second} begin with the same lines: one is a copy of the other, and each of its \
     requests would count twice. Give only the longer one"
)]
pub struct SameLog {
    /// The one that was given first.
    pub first: String,
    /// The other.
    pub second: String,
}

impl LogInput {
    /// A file, or standard input for `-`.
    pub fn file(path: &Path, format: Option<&LineFormat>) -> Result<Self, OpenError> {
        let recording = Recording::open(path)?;
        let mut input = Self::recording(recording, format);
        // A pipe can be read but once.
        if path.is_file() {
            input.source = InputSource::File(path.to_owned());
        }
        Ok(input)
    }

    /// A recording that is open already.
    pub fn recording(mut recording: Recording, format: Option<&LineFormat>) -> Self {
        let head = recording.head();
        let prefix = head[..head.len().min(PREFIX)].to_vec();
        let mut reader = LineReader::recognise(head, format);
        let mut lines = head.split(|byte| *byte == b'\n');
        let begins = lines.find_map(|line| reader.read(line).ok().flatten().map(|line| line.at));
        let name = recording.name().to_owned();
        Self { name, source: InputSource::Open(Box::new(recording)), begins, prefix }
    }

    /// Opens it.
    pub(crate) fn open(self) -> Result<Recording, OpenError> {
        match self.source {
            InputSource::File(path) => Recording::open(&path),
            InputSource::Open(recording) => Ok(*recording),
        }
    }

    /// The first second in it, since 1970; zero for one without a time, which is read from the
    /// beginning on.
    pub(crate) fn begins(&self) -> u64 {
        self.begins.map_or(0, WallTime::seconds)
    }
}

/// Puts logs in the order of the first time in them, because `access.log*` names the newest
/// first. A log that is there twice is an error.
pub(crate) fn in_order(mut logs: Vec<LogInput>) -> Result<Vec<LogInput>, SameLog> {
    for (at, one) in logs.iter().enumerate() {
        let earlier = logs[..at].iter();
        if let Some(same) = earlier.filter(|_| one.begins.is_some()).find(|other| same(other, one))
        {
            return Err(SameLog { first: same.name.clone(), second: one.name.clone() });
        }
    }
    logs.sort_by_key(|log| (log.begins.is_none(), log.begins));
    Ok(logs)
}

fn same(one: &LogInput, other: &LogInput) -> bool {
    let length = one.prefix.len().min(other.prefix.len());
    one.begins == other.begins && one.prefix[..length] == other.prefix[..length]
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("compresses");
        encoder.finish().expect("compresses")
    }

    fn lines(day: u32, count: u32) -> String {
        let line = |n: u32| {
            format!(
                "192.0.2.7 - - [{day}/May/2015:10:05:{n:02} +0000] \"GET /{n} HTTP/1.1\" 200 5\n"
            )
        };
        (0..count).map(line).collect()
    }

    fn log(name: &str, bytes: Vec<u8>) -> LogInput {
        let reader = std::io::Cursor::new(bytes);
        LogInput::recording(Recording::from_reader(name, reader).expect("opens"), None)
    }

    #[test]
    fn rotated_files_are_put_in_the_order_of_their_time() {
        let given = vec![
            log("notes.txt", b"nothing of the kind".to_vec()),
            log("access.log", lines(19, 1).into_bytes()),
            log("access.log.1", format!("no line\n{}", lines(18, 1)).into_bytes()),
            log("access.log.2.gz", zipped(lines(17, 1).as_bytes())),
        ];
        let sorted = in_order(given).expect("no copies");
        let names: Vec<_> = sorted.iter().map(|log| log.name.as_str()).collect();
        assert_eq!(names, ["access.log.2.gz", "access.log.1", "access.log", "notes.txt"]);
    }

    #[test]
    fn a_copy_is_found_compressed_or_cut() {
        let whole = lines(17, 60);
        let copy = zipped(whole.as_bytes());
        let cut = lines(17, 30).into_bytes();
        for other in [copy, cut] {
            let given = vec![log("one", whole.clone().into_bytes()), log("two", other)];
            let error = in_order(given).err().expect("a copy").to_string();
            assert!(error.starts_with("one and two begin with the same lines"), "{error}");
        }
        let apart = vec![log("one", whole.into_bytes()), log("two", lines(18, 60).into_bytes())];
        assert!(in_order(apart).is_ok());
    }
}
