//! What a verification found, as data and in words.

use std::fmt;

use serde::Serialize;

/// The most faults and the most notes that a report lists; beyond that they are counted.
const MAX_LISTED: usize = 200;

/// What the verification of a folder found. `Display` tells it to a person, [`Report::to_json`] to
/// a program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// Whether nothing is wrong; see [`Report::is_sound`].
    pub sound: bool,
    /// The log's name.
    pub origin: Option<String>,
    /// The key that the signatures were checked with, as a vkey.
    pub vkey: Option<String>,
    /// Where that key came from.
    pub key_from: KeySource,
    /// The number of entries that the checkpoint covers.
    pub size: Option<u64>,
    /// The root that the checkpoint signs, in base64.
    pub root: Option<String>,
    /// The older checkpoint that was compared, if one was given, and whether this log continues
    /// from it.
    pub since: Option<Since>,
    /// How much was checked.
    pub checked: Checked,
    /// What does not add up.
    pub faults: Vec<Fault>,
    /// How many faults there are beyond those listed.
    pub more_faults: u64,
    /// What is no fault and good to know.
    pub notes: Vec<Note>,
}

/// Where the key came from that signatures were checked with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// The caller named it: a good signature is this log's.
    Given,
    /// The folder itself: a good signature shows only that the folder is consistent with itself.
    Folder,
}

/// How much was checked.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Checked {
    /// Entries whose hash was compared.
    pub entries: u64,
    /// Entry bundles, partial ones included.
    pub bundles: u64,
    /// Hash tiles, partial ones included.
    pub tiles: u64,
    /// Entries in the journal.
    pub journal_entries: u64,
    /// Files with a proof.
    pub proofs: u64,
    /// Files that a manifest lists; `None` if there is no manifest.
    pub manifest_files: Option<u64>,
}

/// The older checkpoint that the log was compared with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Since {
    /// How many entries it covers.
    pub size: u64,
    /// Whether the log of today begins with exactly these entries.
    pub continued: bool,
}

/// Something that does not add up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// The file, relative to the verified folder.
    pub file: String,
    /// The entry that is affected, where it is one.
    pub entry: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// Something good to know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Note {
    /// The file that it is about, if it is about one.
    pub file: Option<String>,
    /// What to know.
    pub what: String,
}

impl Report {
    pub(super) fn new(key_from: KeySource) -> Self {
        Self {
            sound: true,
            origin: None,
            vkey: None,
            key_from,
            size: None,
            root: None,
            since: None,
            checked: Checked::default(),
            faults: Vec::new(),
            more_faults: 0,
            notes: Vec::new(),
        }
    }

    /// Whether everything that was checked is as it was signed. Notes do not count against it.
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// The report as JSON for programs.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    pub(super) fn fault(
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

    pub(super) fn note(&mut self, file: Option<&str>, what: impl Into<String>) {
        if self.notes.len() < MAX_LISTED {
            self.notes.push(Note { file: file.map(str::to_owned), what: what.into() });
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults.len() as u64 + self.more_faults;
        match (faults, self.size) {
            (0, Some(1)) => writeln!(f, "Sound: the one entry is as it was signed.")?,
            (0, Some(size)) => writeln!(f, "Sound: all {size} entries are as they were signed.")?,
            (0, None) => writeln!(f, "Sound.")?,
            (1, _) => writeln!(f, "Not sound: one thing does not add up.")?,
            (more, _) => writeln!(f, "Not sound: {more} things do not add up.")?,
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
                "this log continues from it; nothing before it was changed or removed"
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
                "\nThe key came from the folder itself. So this shows only that the folder is consistent with\n\
                 itself: whoever could write all of it could have made it anew with a key of their own. To know\n\
                 that it is the log you were told of, verify it with the key you were told: --key VKEY."
            )?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nGood to know:")?;
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
