//! Verification by an outsider: every file of a folder against its signatures.
//!
//! It never writes, and needs neither the secret key nor the writer's lock. It shows that an entry
//! was written and has not been changed since; it cannot show that the entry was true.

mod audit;
mod report;

use std::collections::BTreeMap;
use std::path::Path;

use portcullis_durable::{FileKind, Folder, ReadDisk, join_path, read_if_present};

use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use crate::error::Error;
use crate::files::{SubDir, list_all};
use crate::hash::Hash;
use crate::layout::{
    CHECKPOINT_FILE, FORMAT, FORMAT_FILE, JOURNAL_FILE, KEY_FILE, MAX_JOURNAL_BYTES,
    SMALL_FILE_BYTES, VKEY_FILE, check_format, check_key, read_vkey,
};
use crate::manifest::{self, MANIFEST_FILE};
use crate::note::Verifier;
use crate::tlog_proof::{MAX_PROOF_BYTES, Proof, is_proof_file};
use crate::tree::roots_at;

pub use report::{CheckedCounts, CheckpointComparison, Fault, KeySource, Notice, VerifyReport};

/// The subfolder of a results folder that contains its ledger.
const LEDGER_FOLDER: &str = "ledger";

/// An older checkpoint, to be compared with the present log.
#[derive(Clone, Debug)]
pub struct OldCheckpoint {
    /// Its name in the report: the name of its file.
    pub name: String,
    /// Its text, a signed note.
    pub note: String,
}

impl OldCheckpoint {
    /// Reads a checkpoint from a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let content = Folder::new("").read(&name, MAX_CHECKPOINT_BYTES as u64);
        let content = content.map_err(Error::io("read", &name))?;
        let note =
            String::from_utf8(content).map_err(|_| Error::damaged(&name, "it is not text"))?;
        Ok(Self { name, note })
    }
}

/// Verifies a folder: a ledger, or a folder of results with one in `ledger/`.
///
/// With `trusted` the signatures must be by that key. Without it they must be by the key in the
/// folder, and the report states that this shows only self-consistency. With `since` the log must
/// continue from that older checkpoint. An error means that verification was not possible;
/// everything else is in the report.
pub fn folder(
    path: &Path,
    trusted: Option<&Verifier>,
    since: Option<&OldCheckpoint>,
) -> Result<VerifyReport, Error> {
    std::fs::read_dir(path).map_err(Error::io("open", &path.display().to_string()))?;
    let mut report = files(&Folder::new(path), trusted, since).map_err(|error| match error {
        Error::NotALedger { .. } => Error::NotALedger { folder: path.display().to_string() },
        other => other,
    })?;
    warn_about_key_mode(path, &mut report);
    Ok(report)
}

/// [`folder`] for any disk.
pub fn files(
    top: &impl ReadDisk,
    trusted: Option<&Verifier>,
    since: Option<&OldCheckpoint>,
) -> Result<VerifyReport, Error> {
    // A writer may be active, so some files may be older than others. A contradiction then proves
    // nothing, and the verification is repeated.
    for _ in 0..MAX_ATTEMPTS {
        let before = changing_files(top)?;
        let found = verify_once(top, trusted, since);
        let is_final = match &found {
            Ok(report) => report.is_sound() || changing_files(top)? == before,
            // A listed file has been removed since: most likely an older version of a tile.
            Err(Error::Io { source, .. }) => source.kind() != std::io::ErrorKind::NotFound,
            Err(_) => true,
        };
        if is_final {
            return found;
        }
    }
    Err(Error::Changing)
}

/// The most attempts to verify a folder that changes meanwhile.
const MAX_ATTEMPTS: usize = 8;

/// The content of the files that change with every commit.
fn changing_files(top: &impl ReadDisk) -> Result<[Option<Vec<u8>>; 4], Error> {
    let read = |folder, name, limit| {
        let path = join_path(folder, name);
        match read_if_present(top, &path, limit) {
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

fn verify_once(
    top: &impl ReadDisk,
    trusted: Option<&Verifier>,
    since: Option<&OldCheckpoint>,
) -> Result<VerifyReport, Error> {
    let listed = list_all(top).map_err(Error::io("list", ""))?;
    let ledger_folder = find_ledger(&listed)?;
    let ledger = SubDir::new(top, ledger_folder);
    let key_from = if trusted.is_some() { KeySource::Given } else { KeySource::Folder };
    let mut report = VerifyReport::new(key_from);

    match check_format(&ledger) {
        Ok(()) => {}
        Err(Error::NotALedger { .. }) => {
            report.add_fault(ledger.outer(FORMAT_FILE), None, "it is missing");
        }
        Err(Error::OtherFormat { found, .. }) => {
            let what = format!("it states {found:?}, but {:?} is expected", FORMAT.trim_end());
            report.add_fault(ledger.outer(FORMAT_FILE), None, what);
        }
        Err(other) => return Err(other),
    }
    let Some(verifier) = choose_key(&ledger, trusted, &mut report)? else {
        let what = "Without a valid key nothing else was checked. Pass the key with --key VKEY.";
        report.add_notice(None, what);
        return Ok(report);
    };
    report.origin = Some(verifier.name().to_owned());
    report.vkey = Some(verifier.to_string());
    check_secret_key(&ledger, &mut report)?;

    let inside: Vec<(String, FileKind)> = listed
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

/// The first fault of a ledger, as an error: for opening, after it found a contradiction.
pub(crate) fn first_fault(ledger: &impl ReadDisk, verifier: &Verifier) -> Option<Error> {
    let report = files(ledger, Some(verifier), None).ok()?;
    let fault = report.faults.into_iter().next()?;
    Some(Error::Damaged { file: fault.file, entry: fault.entry, what: fault.what })
}

/// The ledger's folder: `top` or `ledger` in it. Two of three files identify it, since one may be
/// missing.
fn find_ledger(listed: &[(String, FileKind)]) -> Result<&'static str, Error> {
    let has = |folder| {
        let names = [FORMAT_FILE, VKEY_FILE, CHECKPOINT_FILE].map(|name| join_path(folder, name));
        listed.iter().filter(|(path, _)| names.contains(path)).count() >= 2
    };
    ["", LEDGER_FOLDER]
        .into_iter()
        .find(|folder| has(folder))
        .ok_or_else(|| Error::NotALedger { folder: "the folder".to_owned() })
}

/// The path relative to a folder, if it is in it.
fn inside<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

/// The key to verify signatures with: the trusted one, or else the folder's.
fn choose_key<F: ReadDisk>(
    ledger: &SubDir<'_, F>,
    trusted: Option<&Verifier>,
    report: &mut VerifyReport,
) -> Result<Option<Verifier>, Error> {
    let vkey_file = ledger.outer(VKEY_FILE);
    let own = match read_vkey(ledger) {
        Ok(own) => Some(own),
        Err(Error::Damaged { what, .. }) => {
            report.add_fault(&vkey_file, None, what);
            None
        }
        Err(other) => return Err(other),
    };
    if let (Some(own), Some(trusted)) = (&own, trusted)
        && own != trusted
    {
        let what = format!("it contains another key than the given one: {own}");
        report.add_fault(&vkey_file, None, what);
    }
    Ok(trusted.cloned().or(own))
}

fn check_secret_key<F: ReadDisk>(
    ledger: &SubDir<'_, F>,
    report: &mut VerifyReport,
) -> Result<(), Error> {
    let key_file = ledger.outer(KEY_FILE);
    let key = read_if_present(ledger, KEY_FILE, SMALL_FILE_BYTES)
        .map_err(Error::io("read", &key_file))?;
    let Some(key) = key else { return Ok(()) };
    report.add_notice(
        Some(&key_file),
        "this is the log's secret key, which lets its holder sign for the log: omit it from every copy that \
         you pass on",
    );
    if let Ok(own) = read_vkey(ledger)
        && let Err(what) = check_key(&key, &own)
    {
        report.add_fault(key_file, None, what);
    }
    Ok(())
}

#[cfg(unix)]
fn warn_about_key_mode(path: &Path, report: &mut VerifyReport) {
    use std::os::unix::fs::PermissionsExt;
    for key_file in [KEY_FILE.to_owned(), join_path(LEDGER_FOLDER, KEY_FILE)] {
        let noted = report.notes.iter().any(|note| note.file.as_deref() == Some(&key_file));
        let mode = std::fs::metadata(path.join(&key_file)).map(|key| key.permissions().mode());
        if noted && mode.is_ok_and(|mode| mode & 0o077 != 0) {
            report.add_notice(Some(&key_file), "other users can read it: run chmod 600 on it");
        }
    }
}

#[cfg(not(unix))]
fn warn_about_key_mode(_: &Path, _: &mut VerifyReport) {}

/// Checks every proof file anywhere in the folder.
fn check_proofs(
    top: &impl ReadDisk,
    listed: &[(String, FileKind)],
    leaves: &[Hash],
    verifier: &Verifier,
    report: &mut VerifyReport,
) -> Result<(), Error> {
    let mut proven = Vec::new();
    let proofs =
        listed.iter().filter(|(path, kind)| is_proof_file(path) && *kind == FileKind::File);
    for (path, _) in proofs {
        report.checked.proofs += 1;
        let text = match top.read(path, MAX_PROOF_BYTES as u64) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                report.add_fault(path, None, error.to_string());
                continue;
            }
            text => text.map_err(Error::io("read", path))?,
        };
        let proof = String::from_utf8(text).ok().map(|text| text.parse::<Proof>());
        let proof = match proof {
            Some(Ok(proof)) => proof,
            Some(Err(error)) => {
                report.add_fault(path, None, error.to_string());
                continue;
            }
            None => {
                report.add_fault(path, None, "it is not text");
                continue;
            }
        };
        if proof.extra.is_some() {
            report
                .add_notice(Some(path), "the proof does not cover the data on its line \"extra\"");
        }
        let Some(leaf) = usize::try_from(proof.index).ok().and_then(|index| leaves.get(index))
        else {
            let what = format!("it is for entry {}, which is not in this log", proof.index);
            report.add_fault(path, Some(proof.index), what);
            continue;
        };
        match proof.verify(*leaf, verifier) {
            Ok(checkpoint) => proven.push((path, checkpoint)),
            Err(error) => report.add_fault(path, Some(proof.index), error.to_string()),
        }
    }
    // The checkpoint in a proof may be older: this log must continue from it.
    let roots = roots_at(leaves, proven.iter().map(|(_, checkpoint)| checkpoint.size()));
    for (path, checkpoint) in proven {
        if let Some(what) = not_continued(&checkpoint, &roots, leaves) {
            report.add_fault(path, None, what);
        }
    }
    Ok(())
}

fn check_since(
    since: &OldCheckpoint,
    leaves: Option<&[Hash]>,
    verifier: &Verifier,
    report: &mut VerifyReport,
) {
    match Checkpoint::verify(&since.note, verifier) {
        Ok(checkpoint) => {
            let Some(leaves) = leaves else { return };
            let roots = roots_at(leaves, [checkpoint.size()]);
            let published = report.size.unwrap_or_default();
            let problem = not_continued(&checkpoint, &roots, leaves).or_else(|| {
                (published < checkpoint.size()).then(|| {
                    format!(
                        "its checkpoint covers {} entries, but the checkpoint of this log covers \
                         {published}: the log was rolled back",
                        checkpoint.size()
                    )
                })
            });
            report.since = Some(CheckpointComparison {
                size: checkpoint.size(),
                continued: problem.is_none(),
            });
            if let Some(what) = problem {
                report.add_fault(&since.name, None, what);
            }
        }
        Err(error) => {
            let what = format!("the older checkpoint cannot be compared with this log: {error}");
            report.add_fault(&since.name, None, what);
        }
    }
}

/// The reason why a log with these leaves does not continue from a checkpoint; `None` if it does.
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
            "this log does not continue from its checkpoint: the first {size} entries were different then"
        )),
        Some(_) => None,
    }
}

fn check_manifest(
    top: &impl ReadDisk,
    listed: &[(String, FileKind)],
    ledger_folder: &str,
    verifier: &Verifier,
    report: &mut VerifyReport,
) -> Result<(), Error> {
    if listed.iter().any(|(path, _)| path == MANIFEST_FILE) {
        let found = manifest::compare(top, listed, verifier)?;
        report.checked.manifest_files = Some(found.files);
        for difference in found.differences {
            report.add_fault(difference.file, None, difference.what);
        }
        return Ok(());
    }
    let uncovered = listed
        .iter()
        .filter(|(path, _)| inside(path, ledger_folder).is_none() && !is_proof_file(path))
        .count();
    if uncovered > 0 {
        let files = if uncovered == 1 { "one file" } else { &format!("{uncovered} files") };
        let what = format!(
            "it is missing, and without it the {files} outside the ledger and its proofs may be \
             anyone's; to check the ledger alone, verify its folder"
        );
        report.add_fault(MANIFEST_FILE, None, what);
    }
    Ok(())
}
