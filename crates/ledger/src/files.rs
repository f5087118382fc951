//! Views of a folder: one of its subfolders, and the list of all files below it.

use std::io;

use portcullis_durable::{FileKind, ReadDisk, join_path};

/// A subfolder, with paths relative to it.
pub(crate) struct SubDir<'a, F> {
    disk: &'a F,
    folder: &'a str,
}

impl<'a, F: ReadDisk> SubDir<'a, F> {
    pub(crate) fn new(disk: &'a F, folder: &'a str) -> Self {
        Self { disk, folder }
    }

    /// The path relative to the outer folder.
    pub(crate) fn outer(&self, path: &str) -> String {
        join_path(self.folder, path)
    }
}

impl<F: ReadDisk> ReadDisk for SubDir<'_, F> {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        self.disk.read(&self.outer(path), limit)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, FileKind)>> {
        self.disk.list(&self.outer(folder))
    }

    fn sha256(&self, path: &str) -> io::Result<[u8; 32]> {
        self.disk.sha256(&self.outer(path))
    }
}

/// The most files in a folder to be verified.
const MAX_FILES: usize = 200_000;

/// The deepest nesting of folders in a folder to be verified.
const MAX_DEPTH: usize = 32;

/// Lists every file below the root with its path, sorted by path; without the folders themselves.
pub(crate) fn list_all(disk: &impl ReadDisk) -> io::Result<Vec<(String, FileKind)>> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for (name, kind) in disk.list(&folder)? {
            let path = join_path(&folder, &name);
            match kind {
                FileKind::Folder if depth == MAX_DEPTH => {
                    return Err(io::Error::other(format!("{path} is nested too deeply")));
                }
                FileKind::Folder => folders.push((path, depth + 1)),
                FileKind::File | FileKind::Other => found.push((path, kind)),
            }
            if found.len() > MAX_FILES {
                return Err(io::Error::other(format!("there are more than {MAX_FILES} files")));
            }
        }
    }
    found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}
