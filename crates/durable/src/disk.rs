//! The seam to the file system: the few operations that durable writing needs, so that a test can
//! make each of them fail, tear or get lost.
//!
//! Paths are relative to one folder, with `/` between their parts; `""` is the folder itself.

use std::io;

/// The type of an item in a folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// Anything else: a symbolic link, a socket. This crate never creates or follows one.
    Other,
}

/// Who may read a new file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileAccess {
    /// Those whom the process's umask admits.
    Default,
    /// Its owner only (mode 0600 on Unix).
    OwnerOnly,
}

/// Read access to a folder.
pub trait ReadDisk {
    /// The whole content of a file; an error of kind `InvalidData` if it is larger than `limit`
    /// bytes.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;

    /// The names and kinds of the items in a folder, in any order.
    fn list(&self, folder: &str) -> io::Result<Vec<(String, FileKind)>>;

    /// SHA-256 of a whole file of any size.
    fn sha256(&self, path: &str) -> io::Result<[u8; 32]>;
}

/// Write access to a folder. No change is durable until `sync` (content) or `sync_folder` (names)
/// returns.
pub trait Disk: ReadDisk {
    /// Creates a file with this content, or replaces the content of an existing one. Creates missing
    /// parent folders.
    fn write(&mut self, path: &str, content: &[u8], access: FileAccess) -> io::Result<()>;

    /// Writes into an existing file from `offset` on, which is at most the file's size.
    fn write_at(&mut self, path: &str, offset: u64, content: &[u8]) -> io::Result<()>;

    /// Returns once the content of the file will survive a power cut.
    fn sync(&mut self, path: &str) -> io::Result<()>;

    /// Returns once the names in the folder (not those in its subfolders) will survive a power cut.
    fn sync_folder(&mut self, folder: &str) -> io::Result<()>;

    /// Renames a file; atomically replaces an existing file of the new name. Creates missing parent
    /// folders.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, or an empty folder.
    fn remove(&mut self, path: &str) -> io::Result<()>;
}

/// A file's content, or `None` if there is no such file. `limit` is as in [`ReadDisk::read`].
pub fn read_if_present(
    disk: &impl ReadDisk,
    path: &str,
    limit: u64,
) -> io::Result<Option<Vec<u8>>> {
    match disk.read(path, limit) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A parent is a file, so the path does not exist.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(error),
    }
}

/// The path of `name` below `folder`; either may be `""`.
pub fn join_path(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

/// The folder that contains a path; `""` for a path without `/`.
pub fn parent_path(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
