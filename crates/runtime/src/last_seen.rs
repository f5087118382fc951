//! What the gate last saw of its ledger, in a signed file next to it.
//!
//! The start compares it with the ledger: a restored backup, a copy on another machine or a ledger
//! that is missing would otherwise fork the log without a word. The file also holds the numbers that a
//! restart continues, so that the leaves before it need not be read again.

use std::path::{Path, PathBuf};

use portcullis_durable::{FileAccess, write_file};
use portcullis_ledger::{Hash, Ledger, Note, Verifier};
use portcullis_model::LogHead;
use portcullis_posture::Resume;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::state_files::path_next_to;

/// The first line of the file.
const HEADER: &str = "portcullis-last-seen 1";
/// The largest file that is read. A platform's name takes at most some hundred bytes of it.
const MAX_BYTES: usize = 1 << 20;

/// The state of a ledger when the gate last wrote to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSeen {
    /// Its head.
    pub head: LogHead,
    /// The numbers in its leaves.
    pub resume: Resume,
}

/// `LEDGER.last-seen`.
pub fn path_for(ledger: &Path) -> PathBuf {
    path_next_to(ledger, "last-seen")
}

impl LastSeen {
    /// The state of `ledger`, whose leaves hold the numbers in `resume`.
    pub fn of(ledger: &Ledger, resume: &Resume) -> Self {
        Self { head: head_of(ledger), resume: resume.clone() }
    }

    /// Reads the file of an earlier run; `None` if there is none. The error is a sentence.
    pub fn load(path: &Path) -> Result<Option<Self>, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("it cannot be read: {error}")),
        };
        let note = Note::parse(&text, MAX_BYTES).map_err(|error| error.to_string())?;
        let json = note.text.strip_prefix(HEADER).ok_or("its first line is not known")?;
        let seen: Self = serde_json::from_str(json.trim()).map_err(|error| error.to_string())?;
        let verifier: Verifier = seen.head.key.parse().map_err(|_| "it names no key".to_owned())?;
        note.verify(&verifier).map_err(|error| error.to_string())?;
        Ok(Some(seen))
    }

    /// Writes the file, signed by the ledger's key.
    pub fn save(&self, path: &Path, ledger: &Ledger) -> Result<(), String> {
        let json = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let text = format!("{HEADER}\n{json}\n");
        let note = ledger.signer().sign(&text).map_err(|error| error.to_string())?;
        write_file(path, note.as_bytes(), FileAccess::OwnerOnly).map_err(|error| error.to_string())
    }

    /// How `ledger` is not a continuation of what was seen, in a sentence; `None` if it is one.
    pub fn contradiction(&self, ledger: &Ledger) -> Option<String> {
        let LogHead { key, size, root } = &self.head;
        if *key != ledger.verifier().to_string() {
            return Some("it is another log: its key is not the one that was seen here.".into());
        }
        if *size > ledger.size() {
            return Some(format!(
                "it has {} leaves, and {size} were seen here: it was rolled back, as by a restored \
                 backup.",
                ledger.size()
            ));
        }
        let same = ledger.root_at(*size).is_ok_and(|now| now.to_string() == *root);
        (!same).then(|| format!("its first {size} leaves are not those that were seen here."))
    }
}

/// The head of a ledger as events hold it.
pub fn head_of(ledger: &Ledger) -> LogHead {
    let root: Hash = ledger.checkpoint().root();
    LogHead { key: ledger.verifier().to_string(), size: ledger.size(), root: root.to_string() }
}

/// What `started` says about this machine: a hash of its id (`machine-id(5)`), keyed by the log. `None`
/// where the machine has no id.
pub fn machine_of(ledger: &Ledger) -> Option<String> {
    let id = std::fs::read_to_string("/etc/machine-id").ok()?;
    let id = id.trim();
    let hash = Sha256::new()
        .chain_update("portcullis machine v1\n")
        .chain_update(ledger.verifier().to_string())
        .chain_update("\n")
        .chain_update(id)
        .finalize();
    let hex = || hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    (!id.is_empty()).then(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(folder: &Path, seed: u8) -> Ledger {
        Ledger::create(folder, "log.example", &[seed; 32]).unwrap()
    }

    fn append(ledger: &mut Ledger, entries: &[&str]) {
        for entry in entries {
            ledger.append(entry.as_bytes()).unwrap();
        }
        ledger.commit().unwrap();
    }

    #[test]
    fn what_was_seen_reads_back_and_a_change_to_it_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let mut ledger = ledger(&path, 1);
        append(&mut ledger, &["a", "b"]);
        let resume = Resume { procedures: 7, ..Resume::default() };
        let seen = LastSeen::of(&ledger, &resume);
        let file = path_for(&path);
        assert_eq!(LastSeen::load(&file).unwrap(), None);
        seen.save(&file, &ledger).unwrap();
        assert_eq!(LastSeen::load(&file).unwrap(), Some(seen));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("\"procedures\":7", "\"procedures\":8")).unwrap();
        assert!(LastSeen::load(&file).is_err());
    }

    #[test]
    fn only_a_continuation_is_no_contradiction() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = ledger(&folder.path().join("one"), 1);
        append(&mut one, &["a", "b"]);
        let seen = LastSeen::of(&one, &Resume::default());
        assert_eq!(seen.contradiction(&one), None);
        append(&mut one, &["c"]);
        assert_eq!(seen.contradiction(&one), None);
        let later = LastSeen::of(&one, &Resume::default());

        let mut restored = ledger(&folder.path().join("restored"), 1);
        append(&mut restored, &["a", "b"]);
        assert!(later.contradiction(&restored).unwrap().contains("rolled back"));
        append(&mut restored, &["x", "y"]);
        assert!(later.contradiction(&restored).unwrap().contains("first 3 leaves"));
        let other = ledger(&folder.path().join("other"), 2);
        assert!(seen.contradiction(&other).unwrap().contains("another log"));
    }
}
