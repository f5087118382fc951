//! What can go wrong, told to the person who can mend it.

use std::io;

/// Why a text (a note, a key, a checkpoint, a proof, a manifest) cannot be used as what it should
/// be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The text breaks the form that its specification prescribes.
    #[error("line {line}: expected {expected}")]
    Line {
        /// The line at which the form breaks, from 1.
        line: usize,
        /// What the form prescribes there.
        expected: &'static str,
    },
    /// The text as a whole is not of the prescribed form.
    #[error("expected {0}")]
    Whole(&'static str),
    /// The text is larger than its kind may be.
    #[error("{bytes} bytes is more than the {limit} bytes that such a text may have")]
    TooLong {
        /// The size found.
        bytes: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// No signature is by the key asked for.
    #[error("it carries no signature by {0}")]
    NotSignedBy(String),
    /// A signature claims to be by the key asked for, and is not.
    #[error("the signature by {0} does not fit the text; one or the other was changed")]
    BadSignature(String),
    /// The checkpoint is of another log than its signer's.
    #[error("it is a checkpoint of {found}, not of {expected}")]
    OtherOrigin {
        /// The origin line found.
        found: String,
        /// The origin that the key stands for.
        expected: String,
    },
    /// A proof does not lead from its leaf to its checkpoint.
    #[error("the hashes do not lead from entry {index} to the root that the checkpoint signs")]
    ProofFails {
        /// The index that the proof is for.
        index: u64,
    },
}

/// Why the ledger could not do what was asked. Nothing that was acknowledged is lost by any of
/// these, and whatever was appended stays staged, so that the caller can go on and try again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused an operation.
    #[error("could not {doing} {file}: {source}")]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The file or folder, relative to the ledger's folder.
        file: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The batch was not made durable. It is still staged: call `commit` again.
    #[error(
        "{entries} entries are not yet safe on disk and stay in memory; commit again once the cause is mended: {source}"
    )]
    NotDurable {
        /// How many entries wait.
        entries: usize,
        /// The cause.
        source: Box<Error>,
    },
    /// Every entry is durable in the journal, but the tiles or the checkpoint file made from it
    /// could not be written. Call `commit` again to catch up.
    #[error(
        "the entries are safe in the journal, but the files made from it lag behind; commit again once the cause is mended: {0}"
    )]
    Behind(#[source] Box<Error>),
    /// An entry is larger than the format can hold.
    #[error(
        "the entry has {bytes} bytes; an entry holds at most 65,535. Record its SHA-256 and keep the content elsewhere"
    )]
    EntryTooLarge {
        /// The size of the entry.
        bytes: usize,
    },
    /// So much waits for the disk that no more is taken into memory.
    #[error(
        "{bytes} bytes already wait for the disk, as many as are kept in memory; the entry was not taken. Commit first"
    )]
    TooMuchWaiting {
        /// The bytes that wait.
        bytes: usize,
    },
    /// The folder holds no ledger.
    #[error("{folder} holds no ledger (there is no file named \"format\" in it)")]
    NotALedger {
        /// The folder.
        folder: String,
    },
    /// The folder holds something already, so no ledger is begun there.
    #[error(
        "{folder} already holds {found}; choose an empty folder, or open the ledger that is there"
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
        /// The format that the folder states.
        found: String,
        /// The format that this program knows.
        expected: &'static str,
    },
    /// The folder holds another log's ledger.
    #[error(
        "the folder holds the ledger of {found}, not of {expected}; give each log a folder of its own"
    )]
    OtherLog {
        /// The log's name in the folder.
        found: String,
        /// The name asked for.
        expected: String,
    },
    /// Another process writes this ledger.
    #[error("another process is writing the ledger in {folder}; one writer at a time")]
    InUse {
        /// The folder.
        folder: String,
    },
    /// A file is not what was written.
    #[error("{file}{}: {what}", entry_suffix(*.entry))]
    Damaged {
        /// The damaged file, relative to the ledger's folder.
        file: String,
        /// The entry that is affected, where it is known.
        entry: Option<u64>,
        /// What is wrong with it.
        what: String,
    },
    /// The entry has no proof, for the checkpoint does not cover it yet.
    #[error("there is no entry {index} under the checkpoint, which covers {size} entries")]
    NoSuchEntry {
        /// The index asked for.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The name cannot be the name of a key.
    #[error(
        "{0:?} cannot name a log: a name is 1 to 200 characters, without spaces, control characters or \"+\""
    )]
    BadName(String),
    /// The folder holds a file that a manifest cannot list.
    #[error("{file:?} cannot be listed in a manifest: {why}")]
    Unlistable {
        /// The file, relative to the folder.
        file: String,
        /// The reason.
        why: &'static str,
    },
    /// The ledger was written to during every look at it.
    #[error(
        "the ledger was being written to each time it was looked at; try again in a moment, or verify a copy"
    )]
    Changing,
    /// A text that the caller gave is not of its form.
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
    /// Whether every entry appended before the failing call is safe on disk all the same.
    pub fn entries_are_durable(&self) -> bool {
        matches!(self, Self::Behind(_))
    }

    /// For `map_err`: an operation on a file failed.
    pub(crate) fn io(doing: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = if file.is_empty() { "the folder".to_owned() } else { file.to_owned() };
        move |source| Self::Io { doing, file, source }
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
             mended: could not write journal: No space left on device"
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
