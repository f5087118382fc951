//! Manifests: a manifest is a signed note that lists every file of a folder with its SHA-256.
//!
//! ```text
//! portcullis-manifest 1
//! <name of the log whose key signs>
//! <64 hexadecimal digits>  <path>     one line a file, sorted by path, as `sha256sum` writes it
//!
//! — <name> <signature>
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use portcullis_durable::{FileAccess, FileKind, Folder, ReadDisk, replace};

use crate::error::{Error, FormatError};
use crate::files::list_all;
use crate::hash::{Hash, from_hex};
use crate::layout::is_private;
use crate::note::{Note, Signer, Verifier};

/// The manifest's file, at the top of the folder.
pub const MANIFEST_FILE: &str = "manifest.note";

/// The name under which the manifest is written before it is renamed.
const PENDING_MANIFEST: &str = "manifest.note.pending";

const FIRST_LINE: &str = "portcullis-manifest 1";

/// The largest manifest in bytes: over 300 for each of at most 200,000 files.
const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;

/// The result of comparing a folder with its manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestComparison {
    /// The number of files in the manifest.
    pub files: u64,
    /// One difference for each file that differs; empty if the folder is as it was signed.
    pub differences: Vec<Difference>,
}

/// The difference of one file from the manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The file, relative to the folder.
    pub file: String,
    /// What is different.
    pub what: String,
}

/// Writes and signs `manifest.note`, which lists every file of a folder. It omits itself and the
/// private files of a ledger's writer: the secret key, the lock and the pending file. Returns the
/// number of files listed.
pub fn write(folder: &Path, signer: &Signer) -> Result<u64, Error> {
    let mut disk = Folder::new(folder);
    let listed = list_all(&disk).map_err(Error::io("list", ""))?;
    let mut text = format!("{FIRST_LINE}\n{}\n", signer.name());
    let mut files = 0;
    for (path, kind) in &listed {
        if is_omitted(path, &listed) {
            continue;
        }
        let unlistable = |why| Error::Unlistable { file: path.clone(), why };
        if *kind != FileKind::File {
            return Err(unlistable("it is not a regular file, or its name is not UTF-8"));
        }
        if path.chars().any(char::is_control) {
            return Err(unlistable("its name has control characters"));
        }
        let hash = Hash(disk.sha256(path).map_err(Error::io("read", path))?);
        text.extend([&hash.to_hex(), "  ", path, "\n"]);
        files += 1;
    }
    let note = signer.sign(&text);
    let note = note.map_err(|source| Error::Text { what: MANIFEST_FILE.to_owned(), source })?;
    let (note, access) = (note.as_bytes(), FileAccess::Default);
    replace(&mut disk, MANIFEST_FILE, PENDING_MANIFEST, note, access)
        .map_err(Error::write(MANIFEST_FILE))?;
    Ok(files)
}

/// Compares a folder with its manifest. An error means that the comparison was not possible.
pub fn check(folder: &Path, verifier: &Verifier) -> Result<ManifestComparison, Error> {
    let disk = Folder::new(folder);
    let listed = list_all(&disk).map_err(Error::io("list", ""))?;
    compare(&disk, &listed, verifier)
}

pub(crate) fn compare(
    disk: &impl ReadDisk,
    listed: &[(String, FileKind)],
    verifier: &Verifier,
) -> Result<ManifestComparison, Error> {
    let note = disk.read(MANIFEST_FILE, MAX_MANIFEST_BYTES as u64);
    let note = note.map_err(Error::io("read", MANIFEST_FILE))?;
    let signed = str::from_utf8(&note)
        .map_err(|_| FormatError::Whole("text"))
        .and_then(|note| read(note, verifier));
    let mut differences = Vec::new();
    let mut differs = |file: &str, what: String| {
        differences.push(Difference { file: file.to_owned(), what });
    };
    let signed = match signed {
        Ok(signed) => signed,
        Err(error) => {
            // Without a valid signature the list proves nothing about the other files.
            differs(MANIFEST_FILE, error.to_string());
            return Ok(ManifestComparison { files: 0, differences });
        }
    };
    let total = signed.len() as u64;
    let mut missing = signed;
    for (path, kind) in listed {
        match missing.remove(path.as_str()) {
            Some(hash) if *kind == FileKind::File => {
                if Hash(disk.sha256(path).map_err(Error::io("read", path))?) != hash {
                    differs(path, "its content is not the one in the manifest".to_owned());
                }
            }
            Some(_) => differs(path, "the manifest lists it as a regular file".to_owned()),
            None if is_omitted(path, listed) => {}
            None => differs(path, "the manifest does not list it; it was added later".to_owned()),
        }
    }
    for path in missing.keys() {
        differs(path, "the manifest lists it, but it is missing".to_owned());
    }
    Ok(ManifestComparison { files: total, differences })
}

fn is_omitted(path: &str, listed: &[(String, FileKind)]) -> bool {
    path == MANIFEST_FILE || path == PENDING_MANIFEST || is_private(path, listed)
}

/// The files and hashes of a manifest, after checking its signature and form.
fn read(note: &str, verifier: &Verifier) -> Result<BTreeMap<String, Hash>, FormatError> {
    let note = Note::parse(note, MAX_MANIFEST_BYTES)?;
    note.verify(verifier)?;
    let mut lines = note.text.lines().zip(1..);
    let mut expect = |wanted: &str, expected| match lines.next() {
        Some((line, _)) if line == wanted => Ok(()),
        Some((_, line)) => Err(FormatError::Line { line, expected }),
        None => Err(FormatError::Whole(expected)),
    };
    expect(FIRST_LINE, "\"portcullis-manifest 1\"")?;
    expect(verifier.name(), "the name of the log whose key signs")?;
    let mut files = BTreeMap::new();
    for (line, number) in lines {
        let (hash, path) = line
            .split_once("  ")
            .and_then(|(hash, path)| Some((Hash(from_hex(hash)?), path)))
            .ok_or(FormatError::Line {
                line: number,
                expected: "a SHA-256, two spaces and a path",
            })?;
        files.insert(path.to_owned(), hash);
    }
    Ok(files)
}
