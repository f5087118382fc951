//! A manifest: a signed note that lists every file of a folder with its SHA-256.
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

use crate::disk::{Disk, Files, Folder, Kind, walk};
use crate::error::{Error, FormatError};
use crate::hash::{Hash, from_hex};
use crate::note::{Note, Signer, Verifier};
use crate::verify::is_private;

/// The file at the top of the folder that holds the manifest.
pub const MANIFEST_FILE: &str = "manifest.note";

/// The spare name under which it is written first.
const PENDING_MANIFEST: &str = "manifest.note.pending";

const FIRST_LINE: &str = "portcullis-manifest 1";

/// The most bytes of a manifest: well above 100 for each of the most files that are listed.
const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;

/// How a folder differs from its manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// How many files the manifest lists.
    pub files: u64,
    /// The differences, one for each file that differs; empty if the folder is as it was signed.
    pub differences: Vec<Difference>,
}

/// How one file differs from the manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The file, relative to the folder.
    pub file: String,
    /// What is different.
    pub what: String,
}

/// Lists every file of a folder in `manifest.note` and signs it. Left out are the manifest itself
/// and what is the ledger's writer's own: its secret key, its lock and its spare file. Returns the
/// number of files listed.
pub fn write(folder: &Path, signer: &Signer) -> Result<u64, Error> {
    let mut disk = Folder::new(folder);
    let listed = walk(&disk).map_err(Error::io("list", ""))?;
    let mut text = format!("{FIRST_LINE}\n{}\n", signer.name());
    let mut files = 0;
    for (path, kind) in &listed {
        if is_left_out(path, &listed) {
            continue;
        }
        let unlistable = |why| Error::Unlistable { file: path.clone(), why };
        if *kind != Kind::File {
            return Err(unlistable("it is no regular file, or its name is no UTF-8"));
        }
        if path.chars().any(char::is_control) {
            return Err(unlistable("its name has control characters"));
        }
        let hash = disk.sha256(path).map_err(Error::io("read", path))?;
        text.extend([&hash.to_hex(), "  ", path, "\n"]);
        files += 1;
    }
    let note = signer.sign(&text);
    let note = note.map_err(|source| Error::Text { what: MANIFEST_FILE.to_owned(), source })?;
    disk.write(PENDING_MANIFEST, note.as_bytes(), false)
        .map_err(Error::io("write", MANIFEST_FILE))?;
    disk.sync(PENDING_MANIFEST).map_err(Error::io("synchronise", MANIFEST_FILE))?;
    disk.rename(PENDING_MANIFEST, MANIFEST_FILE).map_err(Error::io("rename", MANIFEST_FILE))?;
    disk.sync_folder("").map_err(Error::io("synchronise", ""))?;
    Ok(files)
}

/// Compares a folder with its manifest. An error means that it could not be compared at all.
pub fn check(folder: &Path, verifier: &Verifier) -> Result<Comparison, Error> {
    let disk = Folder::new(folder);
    let listed = walk(&disk).map_err(Error::io("list", ""))?;
    compare(&disk, &listed, verifier)
}

pub(crate) fn compare(
    files: &impl Files,
    listed: &[(String, Kind)],
    verifier: &Verifier,
) -> Result<Comparison, Error> {
    let note = files.read(MANIFEST_FILE, MAX_MANIFEST_BYTES as u64);
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
            // Without a good signature its list says nothing about the other files.
            differs(MANIFEST_FILE, error.to_string());
            return Ok(Comparison { files: 0, differences });
        }
    };
    let total = signed.len() as u64;
    let mut missing = signed;
    for (path, kind) in listed {
        match missing.remove(path.as_str()) {
            Some(hash) if *kind == Kind::File => {
                if files.sha256(path).map_err(Error::io("read", path))? != hash {
                    differs(path, "it is not the file that the manifest lists".to_owned());
                }
            }
            Some(_) => differs(path, "the manifest lists it as a regular file".to_owned()),
            None if is_left_out(path, listed) => {}
            None => differs(path, "the manifest does not list it; it was added later".to_owned()),
        }
    }
    for path in missing.keys() {
        differs(path, "the manifest lists it, and it is missing".to_owned());
    }
    Ok(Comparison { files: total, differences })
}

fn is_left_out(path: &str, listed: &[(String, Kind)]) -> bool {
    path == MANIFEST_FILE || path == PENDING_MANIFEST || is_private(path, listed)
}

/// The files and hashes that a manifest lists, once its signature and form are found good.
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
