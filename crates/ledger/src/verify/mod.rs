//! Verification by an outsider: every file of a folder against the signatures in it.
//!
//! Nothing here writes, and nothing needs the secret key or the writer's lock. What a verification
//! cannot show is that an entry was true when it was written: only that it was written then and not
//! changed since.

mod audit;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use crate::disk::{Files, Folder, Kind, Within, join, read_if_there, walk};
use crate::error::Error;
use crate::hash::Hash;
use crate::journal::{JOURNAL_FILE, MAX_JOURNAL_BYTES};
use crate::ledger::{CHECKPOINT_FILE, FORMAT, FORMAT_FILE, KEY_FILE, PENDING_FILE, VKEY_FILE};
use crate::manifest::{self, MANIFEST_FILE};
use crate::note::Verifier;
use crate::recovery::{SMALL_FILE_BYTES, check_format, check_key, read_vkey};
use crate::tlog_proof::{MAX_PROOF_BYTES, PROOF_EXTENSION, Proof};
use crate::tree::Edge;

pub use report::{Checked, Fault, KeySource, Note, Report, Since};

/// The folder in which a results folder keeps its ledger.
const LEDGER_FOLDER: &str = "ledger";

/// An older checkpoint that someone kept, to be compared with the log of today.
#[derive(Clone, Debug)]
pub struct OldCheckpoint {
    /// What to call it in the report: its file's name.
    pub name: String,
    /// Its text, a signed note.
    pub note: String,
}

impl OldCheckpoint {
    /// Reads it from a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let content = Folder::new("").read(&name, MAX_CHECKPOINT_BYTES as u64);
        let content = content.map_err(Error::io("read", &name))?;
        let note =
            String::from_utf8(content).map_err(|_| Error::damaged(&name, "it is not text"))?;
        Ok(Self { name, note })
    }
}

/// Verifies a folder: a ledger, or a folder of results with one in `ledger/`. With `trusted` the
/// signatures must be by that key; without, by the key that the folder names, and the report says
/// how little that shows. With `since` the log must continue from that older checkpoint.
///
/// An error means that the folder could not be verified at all; everything else is in the report.
pub fn folder(
    path: &Path,
    trusted: Option<&Verifier>,
    since: Option<&OldCheckpoint>,
) -> Result<Report, Error> {
    std::fs::read_dir(path).map_err(Error::io("open", &path.display().to_string()))?;
    let mut report = files(&Folder::new(path), trusted, since).map_err(|error| match error {
        Error::NotALedger { .. } => Error::NotALedger { folder: path.display().to_string() },
        other => other,
    })?;
    warn_of_an_open_key(path, &mut report);
    Ok(report)
}

/// [`folder`] for files that lie elsewhere than in the file system.
pub fn files(
    top: &impl Files,
    trusted: Option<&Verifier>,
    since: Option<&OldCheckpoint>,
) -> Result<Report, Error> {
    // A writer may be at work, so that some files are older than others. Then what does not add up
    // says nothing, and another look is due.
    for _ in 0..LOOKS {
        let before = state(top)?;
        let found = look(top, trusted, since);
        let settled = match &found {
            Ok(report) => report.is_sound() || state(top)? == before,
            // A file was listed and is gone: an older version of a tile, most likely.
            Err(Error::Io { source, .. }) => source.kind() != std::io::ErrorKind::NotFound,
            Err(_) => true,
        };
        if settled {
            return found;
        }
    }
    Err(Error::Changing)
}

/// How often a folder is looked at that changes while it is looked at.
const LOOKS: usize = 8;

/// What changes with every commit.
fn state(top: &impl Files) -> Result<[Option<Vec<u8>>; 4], Error> {
    let read = |folder, name, limit| {
        let path = join(folder, name);
        match read_if_there(top, &path, limit) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
            read => read.map_err(Error::io("read", &path)),
        }
    };
    Ok([
        read("", JOURNAL_FILE, MAX_JOURNAL_BYTES)?,
        read("", CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES as u64)?,
        read(LEDGER_FOLDER, JOURNAL_FILE, MAX_JOURNAL_BYTES)?,
        read(LEDGER_FOLDER, CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES as u64)?,
    ])
}

fn look(
    top: &impl Files,
    trusted: Option<&Verifier>,
    since: Option<&OldCheckpoint>,
) -> Result<Report, Error> {
    let listed = walk(top).map_err(Error::io("list", ""))?;
    let ledger_folder = find_ledger(&listed)?;
    let ledger = Within::new(top, ledger_folder);
    let key_from = if trusted.is_some() { KeySource::Given } else { KeySource::Folder };
    let mut report = Report::new(key_from);

    match check_format(&ledger) {
        Ok(()) => {}
        Err(Error::NotALedger { .. }) => {
            report.fault(ledger.outer(FORMAT_FILE), None, "it is missing");
        }
        Err(Error::OtherFormat { found, .. }) => {
            let what = format!("it says {found:?} where {:?} is expected", FORMAT.trim_end());
            report.fault(ledger.outer(FORMAT_FILE), None, what);
        }
        Err(other) => return Err(other),
    }
    let Some(verifier) = choose_key(&ledger, trusted, &mut report)? else {
        let what = "Without a usable key nothing else was checked. Give the key with --key VKEY.";
        report.note(None, what);
        return Ok(report);
    };
    report.origin = Some(verifier.name().to_owned());
    report.vkey = Some(verifier.to_string());
    check_secret_key(&ledger, &mut report)?;

    let inside: Vec<(String, Kind)> = listed
        .iter()
        .filter_map(|(path, kind)| Some((inside(path, ledger_folder)?.to_owned(), *kind)))
        .collect();
    let leaves = audit::run(&ledger, &inside, &verifier, &mut report)?;
    if let Some(leaves) = &leaves {
        check_proofs(top, &listed, leaves, &verifier, &mut report)?;
    }
    if let Some(since) = since {
        check_since(since, leaves.as_deref(), &verifier, &mut report);
    }
    check_manifest(top, &listed, ledger_folder, &verifier, &mut report)?;
    Ok(report)
}

/// The first thing wrong with a ledger, as an error. For opening, which knows that something is.
pub(crate) fn first_fault(ledger: &impl Files, verifier: &Verifier) -> Option<Error> {
    let report = files(ledger, Some(verifier), None).ok()?;
    let fault = report.faults.into_iter().next()?;
    Some(Error::Damaged { file: fault.file, entry: fault.entry, what: fault.what })
}

/// Where the ledger is: the folder itself or `ledger` in it. Known by any of its files, for one may
/// be missing.
fn find_ledger(listed: &[(String, Kind)]) -> Result<&'static str, Error> {
    let has = |folder| {
        let names = [FORMAT_FILE, VKEY_FILE, CHECKPOINT_FILE].map(|name| join(folder, name));
        listed.iter().filter(|(path, _)| names.contains(path)).count() >= 2
    };
    ["", LEDGER_FOLDER]
        .into_iter()
        .find(|folder| has(folder))
        .ok_or_else(|| Error::NotALedger { folder: "the folder".to_owned() })
}

/// The path below a folder, if it is there.
fn inside<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

/// The key to check signatures with: the one trusted, or else the folder's.
fn choose_key<F: Files>(
    ledger: &Within<'_, F>,
    trusted: Option<&Verifier>,
    report: &mut Report,
) -> Result<Option<Verifier>, Error> {
    let vkey_file = ledger.outer(VKEY_FILE);
    let own = match read_vkey(ledger) {
        Ok(own) => Some(own),
        Err(Error::Damaged { what, .. }) => {
            report.fault(&vkey_file, None, what);
            None
        }
        Err(other) => return Err(other),
    };
    if let (Some(own), Some(trusted)) = (&own, trusted)
        && own != trusted
    {
        let what = format!("it names another key than the one you gave: {own}");
        report.fault(&vkey_file, None, what);
    }
    Ok(trusted.cloned().or(own))
}

fn check_secret_key<F: Files>(ledger: &Within<'_, F>, report: &mut Report) -> Result<(), Error> {
    let key_file = ledger.outer(KEY_FILE);
    let key =
        read_if_there(ledger, KEY_FILE, SMALL_FILE_BYTES).map_err(Error::io("read", &key_file))?;
    let Some(key) = key else { return Ok(()) };
    report.note(
        Some(&key_file),
        "this is the log's secret key. Whoever has it can sign in the log's name: leave it out of every copy \
         that you hand on",
    );
    if let Ok(own) = read_vkey(ledger)
        && let Err(what) = check_key(&key, &own)
    {
        report.fault(key_file, None, what);
    }
    Ok(())
}

#[cfg(unix)]
fn warn_of_an_open_key(path: &Path, report: &mut Report) {
    use std::os::unix::fs::PermissionsExt;
    for key_file in [KEY_FILE.to_owned(), join(LEDGER_FOLDER, KEY_FILE)] {
        let noted = report.notes.iter().any(|note| note.file.as_deref() == Some(&key_file));
        let mode = std::fs::metadata(path.join(&key_file)).map(|key| key.permissions().mode());
        if noted && mode.is_ok_and(|mode| mode & 0o077 != 0) {
            report.note(Some(&key_file), "others than its owner may read it: chmod 600 it");
        }
    }
}

#[cfg(not(unix))]
fn warn_of_an_open_key(_: &Path, _: &mut Report) {}

/// Checks every file with a proof, wherever it lies in the folder.
fn check_proofs(
    top: &impl Files,
    listed: &[(String, Kind)],
    leaves: &[Hash],
    verifier: &Verifier,
    report: &mut Report,
) -> Result<(), Error> {
    let mut proven = Vec::new();
    let proofs = listed.iter().filter(|(path, kind)| is_proof(path) && *kind == Kind::File);
    for (path, _) in proofs {
        report.checked.proofs += 1;
        let text = match top.read(path, MAX_PROOF_BYTES as u64) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                report.fault(path, None, error.to_string());
                continue;
            }
            text => text.map_err(Error::io("read", path))?,
        };
        let proof = String::from_utf8(text).ok().map(|text| text.parse::<Proof>());
        let proof = match proof {
            Some(Ok(proof)) => proof,
            Some(Err(error)) => {
                report.fault(path, None, error.to_string());
                continue;
            }
            None => {
                report.fault(path, None, "it is not text");
                continue;
            }
        };
        if proof.extra.is_some() {
            report.note(Some(path), "the data on its line \"extra\" is not covered by the proof");
        }
        let Some(leaf) = usize::try_from(proof.index).ok().and_then(|index| leaves.get(index))
        else {
            let what = format!("it is for entry {}, which this log does not have", proof.index);
            report.fault(path, Some(proof.index), what);
            continue;
        };
        match proof.verify(*leaf, verifier) {
            Ok(checkpoint) => proven.push((path, checkpoint)),
            Err(error) => report.fault(path, Some(proof.index), error.to_string()),
        }
    }
    // A proof stands on its own checkpoint, which may be older: this log must continue from it.
    let roots = roots_at(leaves, proven.iter().map(|(_, checkpoint)| checkpoint.size()));
    for (path, checkpoint) in proven {
        if let Some(what) = not_continued(&checkpoint, &roots, leaves) {
            report.fault(path, None, what);
        }
    }
    Ok(())
}

pub(super) fn is_proof(path: &str) -> bool {
    path.ends_with(PROOF_EXTENSION)
}

fn check_since(
    since: &OldCheckpoint,
    leaves: Option<&[Hash]>,
    verifier: &Verifier,
    report: &mut Report,
) {
    match Checkpoint::verify(&since.note, verifier) {
        Ok(checkpoint) => {
            let Some(leaves) = leaves else { return };
            let roots = roots_at(leaves, [checkpoint.size()]);
            let problem = not_continued(&checkpoint, &roots, leaves);
            report.since = Some(Since { size: checkpoint.size(), continued: problem.is_none() });
            if let Some(what) = problem {
                report.fault(&since.name, None, what);
            }
        }
        Err(error) => {
            let what = format!("the older checkpoint cannot be compared with this log: {error}");
            report.fault(&since.name, None, what);
        }
    }
}

/// Why a log with these leaves does not continue from a checkpoint; `None` if it does.
fn not_continued(
    checkpoint: &Checkpoint,
    roots: &BTreeMap<u64, Hash>,
    leaves: &[Hash],
) -> Option<String> {
    let size = checkpoint.size();
    match roots.get(&size) {
        None => Some(format!(
            "its checkpoint covers {size} entries, but this log has {}: entries were removed",
            leaves.len()
        )),
        Some(root) if *root != checkpoint.root() => Some(format!(
            "this log does not continue from its checkpoint: the first {size} entries were others then"
        )),
        Some(_) => None,
    }
}

/// The roots of the trees over the first so many leaves, for each of the sizes that there is.
fn roots_at(leaves: &[Hash], sizes: impl IntoIterator<Item = u64>) -> BTreeMap<u64, Hash> {
    let sizes: BTreeSet<u64> = sizes.into_iter().collect();
    let mut edge = Edge::default();
    let mut roots = BTreeMap::new();
    let mut leaves = leaves.iter();
    for size in sizes {
        while edge.size() < size {
            let Some(leaf) = leaves.next() else {
                return roots;
            };
            edge.push(*leaf, |_, _| {});
        }
        roots.insert(size, edge.root());
    }
    roots
}

fn check_manifest(
    top: &impl Files,
    listed: &[(String, Kind)],
    ledger_folder: &str,
    verifier: &Verifier,
    report: &mut Report,
) -> Result<(), Error> {
    if listed.iter().any(|(path, _)| path == MANIFEST_FILE) {
        let found = manifest::compare(top, listed, verifier)?;
        report.checked.manifest_files = Some(found.files);
        for difference in found.differences {
            report.fault(difference.file, None, difference.what);
        }
        return Ok(());
    }
    let uncovered = listed
        .iter()
        .filter(|(path, _)| inside(path, ledger_folder).is_none() && !is_proof(path))
        .count();
    if uncovered > 0 {
        let files = if uncovered == 1 { "one file" } else { &format!("{uncovered} files") };
        let what = format!(
            "There is no {MANIFEST_FILE}, so nothing is said about the {files} beside the ledger and its proofs."
        );
        report.note(None, what);
    }
    Ok(())
}

/// Whether a file is the writer's own and no part of what is handed on: its secret key, its lock,
/// its spare file.
pub(crate) fn is_private(path: &str, listed: &[(String, Kind)]) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let private = [KEY_FILE, crate::disk::LOCK_FILE, PENDING_FILE].contains(&name);
    let in_ledger = || {
        let vkey = join(folder, VKEY_FILE);
        listed.binary_search_by(|(known, _)| known.as_str().cmp(&vkey)).is_ok()
    };
    private && in_ledger()
}
