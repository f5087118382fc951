//! Errors, each with a message for the person who can fix the cause.

use std::io;

use portcullis_durable::WriteError;

/// A text (a note, a key, a checkpoint, a proof, a manifest) is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A line of the text is not as its specification demands.
    #[error("line {line}: expected {expected}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// What the specification demands there.
        expected: &'static str,
    },
    /// The text as a whole is not as its specification demands.
    #[error("expected {0}")]
    Whole(&'static str),
    /// The text is too large.
    #[error("{bytes} bytes is more than the {limit} bytes allowed for such a text")]
    TooLong {
        /// The size found.
        bytes: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// The note has no signature by the given key.
    #[error("it has no signature by {0}")]
    NotSignedBy(String),
    /// A signature names the given key and is not valid.
    #[error("the signature by {0} does not match the text; one of the two was changed")]
    BadSignature(String),
    /// The checkpoint is of another log than its signer's.
    #[error("it is a checkpoint of {found}, not of {expected}")]
    OtherOrigin {
        /// The origin line found.
        found: String,
        /// The name of the key.
        expected: String,
    },
    /// The hashes of a proof do not lead from its leaf to the root of its checkpoint.
    #[error("the hashes do not lead from entry {index} to the root that the checkpoint signs")]
    ProofFails {
        /// The index of the proof's entry.
        index: u64,
    },
}

/// A ledger operation failed.
///
/// No acknowledged entry is lost by any of these errors, and appended entries stay staged, so the
/// caller can continue and retry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused an operation.
    #[error("could not {doing} {file}: {source}")]
    Io {
        /// The operation, as a verb.
        doing: &'static str,
        /// The file or folder, relative to the ledger's folder.
        file: String,
        /// The file system's error.
        source: io::Error,
    },
    /// The batch is not durable. It is still staged: call `commit` again.
    #[error(
        "{entries} entries are not yet safe on disk and stay in memory; commit again once the cause is fixed: {source}"
    )]
    NotDurable {
        /// The number of staged entries.
        entries: usize,
        /// The cause.
        source: Box<Error>,
    },
    /// Every entry is durable in the journal, but tiles or the checkpoint file could not be
    /// written. Call `commit` again to catch up.
    #[error(
        "the entries are safe in the journal, but the published files are behind; commit again once the cause is fixed: {0}"
    )]
    Behind(#[source] Box<Error>),
    /// An entry is larger than the format allows.
    #[error(
        "the entry has {bytes} bytes; at most 65,535 are allowed. Record its SHA-256 and store the content elsewhere"
    )]
    EntryTooLarge {
        /// The size of the entry.
        bytes: usize,
    },
    /// The limit of memory for entries that are not on disk yet is reached.
    #[error(
        "{bytes} bytes already wait for the disk, which is the limit; the entry was not accepted. Commit first"
    )]
    TooMuchWaiting {
        /// The bytes in memory.
        bytes: usize,
    },
    /// The folder contains no ledger to read.
    #[error("{folder} contains no ledger (it has no file named \"format\")")]
    NotALedger {
        /// The folder.
        folder: String,
    },
    /// The folder contains no ledger to write to, and opening never creates one.
    #[error(
        "{folder} contains no ledger (it has no file named \"format\"). Check the path, and that its file system is mounted. A new ledger, with a new key, must be created explicitly (Ledger::create)"
    )]
    NotCreated {
        /// The folder.
        folder: String,
    },
    /// The folder is not empty, so no ledger is created in it.
    #[error(
        "{folder} already contains {found}; choose an empty folder, or open the existing ledger"
    )]
    AlreadyThere {
        /// The folder.
        folder: String,
        /// What was found in it.
        found: String,
    },
    /// The folder was written by another version of this software.
    #[error("this ledger has the format {found:?}; this program reads {expected:?}")]
    OtherFormat {
        /// The format stated in the folder.
        found: String,
        /// The format that this program supports.
        expected: &'static str,
    },
    /// Another process writes this ledger.
    #[error("another process is writing the ledger in {folder}; one writer at a time")]
    InUse {
        /// The folder.
        folder: String,
    },
    /// A file does not have the content that was written.
    #[error("{file}{}: {what}", entry_suffix(*.entry))]
    Damaged {
        /// The damaged file, relative to the ledger's folder.
        file: String,
        /// The affected entry, if known.
        entry: Option<u64>,
        /// What is wrong with it.
        what: String,
    },
    /// The checkpoint does not cover the entry.
    #[error("there is no entry {index}: the checkpoint covers {size} entries")]
    NoSuchEntry {
        /// The requested index.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The name of a log is not valid.
    #[error(
        "{0:?} cannot name a log: a name is 1 to 200 characters, without spaces, control characters or \"+\""
    )]
    BadName(String),
    /// The folder contains a file that a manifest cannot list.
    #[error("{file:?} cannot be listed in a manifest: {why}")]
    Unlistable {
        /// The file, relative to the folder.
        file: String,
        /// The reason.
        why: &'static str,
    },
    /// The ledger changed during every attempt to verify it.
    #[error("the ledger changed during every attempt to verify it; try again, or verify a copy")]
    Changing,
    /// A text from the caller is invalid.
    #[error("{what}: {source}")]
    Text {
        /// Which text.
        what: String,
        /// What is wrong with it.
        source: FormatError,
    },
}

fn entry_suffix(entry: Option<u64>) -> String {
    entry.map_or_else(String::new, |entry| format!(", entry {entry}"))
}

impl Error {
    /// Whether every appended entry is durable despite the error.
    pub fn entries_are_durable(&self) -> bool {
        matches!(self, Self::Behind(_))
    }

    /// For `map_err`: an operation on a file failed.
    pub(crate) fn io(doing: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = if file.is_empty() { "the folder".to_owned() } else { file.to_owned() };
        move |source| Self::Io { doing, file, source }
    }

    /// For `map_err`: a step of a durable write failed.
    pub(crate) fn write(file: &str) -> impl FnOnce(WriteError) -> Self {
        move |error| Self::io(error.step, file)(error.source)
    }

    pub(crate) fn damaged(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { file: file.into(), entry: None, what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_sentences() {
        let full = Error::Io {
            doing: "write",
            file: "journal".into(),
            source: io::Error::other("No space left on device"),
        };
        let full = Error::NotDurable { entries: 3, source: Box::new(full) };
        assert_eq!(
            full.to_string(),
            "3 entries are not yet safe on disk and stay in memory; commit again once the cause is \
             fixed: could not write journal: No space left on device"
        );
        let damaged = Error::Damaged {
            file: "tile/entries/000".into(),
            entry: Some(7),
            what: "its hash is not the one in tile/0/000".into(),
        };
        assert_eq!(
            damaged.to_string(),
            "tile/entries/000, entry 7: its hash is not the one in tile/0/000"
        );
    }
}
