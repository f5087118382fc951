//! The result of a verification, as data and as text.

use std::fmt;

use serde::Serialize;

/// The most faults, and the most notices, that a report lists; more faults are only counted.
const MAX_LISTED: usize = 200;

/// The result of verifying a folder. `Display` writes it for people, [`VerifyReport::to_json`] for
/// programs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VerifyReport {
    /// Whether there is no fault; see [`VerifyReport::is_sound`].
    pub sound: bool,
    /// The log's name.
    pub origin: Option<String>,
    /// The key that verified the signatures, as a vkey.
    pub vkey: Option<String>,
    /// The source of that key.
    pub key_from: KeySource,
    /// The number of entries that the checkpoint covers.
    pub size: Option<u64>,
    /// The root that the checkpoint signs, in base64.
    pub root: Option<String>,
    /// The comparison with an older checkpoint, if one was given.
    pub since: Option<CheckpointComparison>,
    /// The numbers of items checked.
    pub checked: CheckedCounts,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// The number of faults that are not listed.
    pub more_faults: u64,
    /// What a reader should know although it is not a fault.
    pub notes: Vec<Notice>,
}

/// The source of the key that verified the signatures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// The caller: a valid signature is this log's.
    Given,
    /// The folder itself: a valid signature shows only that the folder is consistent with itself.
    Folder,
}

/// The numbers of items checked.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct CheckedCounts {
    /// Entries whose hash was compared.
    pub entries: u64,
    /// Entry bundles, partial ones included.
    pub bundles: u64,
    /// Hash tiles, partial ones included.
    pub tiles: u64,
    /// Entries in the journal.
    pub journal_entries: u64,
    /// Proof files.
    pub proofs: u64,
    /// Files in the manifest; `None` if there is no manifest.
    pub manifest_files: Option<u64>,
}

/// The comparison of the log with an older checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CheckpointComparison {
    /// The number of entries that the older checkpoint covers.
    pub size: u64,
    /// Whether the present log begins with exactly these entries.
    pub continued: bool,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// The file, relative to the verified folder.
    pub file: String,
    /// The affected entry, if it is one entry.
    pub entry: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// One thing that a reader should know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Notice {
    /// The file that it is about, if it is about one file.
    pub file: Option<String>,
    /// The message.
    pub what: String,
}

impl VerifyReport {
    pub(super) fn new(key_from: KeySource) -> Self {
        Self {
            sound: true,
            origin: None,
            vkey: None,
            key_from,
            size: None,
            root: None,
            since: None,
            checked: CheckedCounts::default(),
            faults: Vec::new(),
            more_faults: 0,
            notes: Vec::new(),
        }
    }

    /// Whether everything that was checked is as it was signed. Notices do not count as faults.
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// The report as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    pub(super) fn add_fault(
        &mut self,
        file: impl Into<String>,
        entry: Option<u64>,
        what: impl Into<String>,
    ) {
        self.sound = false;
        if self.faults.len() < MAX_LISTED {
            self.faults.push(Fault { file: file.into(), entry, what: what.into() });
        } else {
            self.more_faults += 1;
        }
    }

    pub(super) fn add_notice(&mut self, file: Option<&str>, what: impl Into<String>) {
        if self.notes.len() < MAX_LISTED {
            self.notes.push(Notice { file: file.map(str::to_owned), what: what.into() });
        }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults.len() as u64 + self.more_faults;
        match (faults, self.size) {
            (0, Some(1)) => writeln!(f, "Sound: the only entry is as it was signed.")?,
            (0, Some(size)) => writeln!(f, "Sound: all {size} entries are as they were signed.")?,
            (0, None) => writeln!(f, "Sound.")?,
            (1, _) => writeln!(f, "Not sound: one fault.")?,
            (more, _) => writeln!(f, "Not sound: {more} faults.")?,
        }
        for fault in &self.faults {
            let entry = fault.entry.map_or_else(String::new, |entry| format!(", entry {entry}"));
            writeln!(f, "  - {}{entry}: {}", fault.file, fault.what)?;
        }
        if self.more_faults > 0 {
            writeln!(f, "  - and {} more", self.more_faults)?;
        }

        writeln!(f)?;
        if let Some(origin) = &self.origin {
            writeln!(f, "  log         {origin}")?;
        }
        if let (Some(size), Some(root)) = (self.size, &self.root) {
            writeln!(f, "  checkpoint  {size} entries, root {root}")?;
        }
        if let Some(since) = &self.since {
            let verdict = if since.continued {
                "this log continues from it; no entry before it was changed or removed"
            } else {
                "this log does not continue from it"
            };
            writeln!(f, "  since       the checkpoint of {} entries: {verdict}", since.size)?;
        }
        if let Some(vkey) = &self.vkey {
            writeln!(f, "  key         {vkey}")?;
        }
        let checked = &self.checked;
        write!(
            f,
            "  checked     {}, {}, {}, {}, {}",
            counted(checked.entries, "entry", "entries"),
            counted(checked.bundles, "bundle", "bundles"),
            counted(checked.tiles, "tile", "tiles"),
            counted(checked.journal_entries, "journal entry", "journal entries"),
            counted(checked.proofs, "proof", "proofs"),
        )?;
        match checked.manifest_files {
            Some(files) => writeln!(f, ", {} of the manifest", counted(files, "file", "files"))?,
            None => writeln!(f)?,
        }

        if self.key_from == KeySource::Folder {
            writeln!(
                f,
                "\nThe key came from the folder itself, so this shows only that the folder is consistent with itself.\n\
                 A person who can write all of it can also create it again with another key. To verify that it is\n\
                 the operator's log, pass the public key that the operator published: --key VKEY."
            )?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nNotes:")?;
            for note in &self.notes {
                match &note.file {
                    Some(file) => writeln!(f, "  - {file}: {}", note.what)?,
                    None => writeln!(f, "  - {}", note.what)?,
                }
            }
        }
        Ok(())
    }
}

fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}
