//! The seam to the file system: the few operations the ledger needs, so that a test can make each
//! of them fail, tear or be lost.
//!
//! Paths are relative to the ledger's folder, with `/` between their parts; `""` is the folder
//! itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::hash::Hash;

/// What stands in a folder under a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// Anything else: a symbolic link, a socket. The ledger never makes or follows one.
    Other,
}

/// Reading.
pub trait Files {
    /// The whole content of a file; an error of kind `InvalidData` if it is larger than `limit`
    /// bytes.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;

    /// What a folder holds, in any order.
    fn list(&self, folder: &str) -> io::Result<Vec<(String, Kind)>>;

    /// SHA-256 of a whole file of any size.
    fn sha256(&self, path: &str) -> io::Result<Hash>;
}

/// Writing. None of it need survive a power cut until `sync` (content) and `sync_folder` (names)
/// say so.
pub trait Disk: Files {
    /// Makes a file with this content, or replaces the content of the one that is there. Missing
    /// folders above it are made. A `secret` file is made readable by its owner alone.
    fn write(&mut self, path: &str, content: &[u8], secret: bool) -> io::Result<()>;

    /// Writes into a file that is there, from the offset on, which is at most its size.
    fn write_at(&mut self, path: &str, offset: u64, content: &[u8]) -> io::Result<()>;

    /// Returns once the content of the file will survive a power cut.
    fn sync(&mut self, path: &str) -> io::Result<()>;

    /// Returns once the names in the folder (not those in the folders below it) will survive a
    /// power cut.
    fn sync_folder(&mut self, folder: &str) -> io::Result<()>;

    /// Renames a file, atomically replacing one that has the new name. Missing folders above are
    /// made.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, or a folder that is empty.
    fn remove(&mut self, path: &str) -> io::Result<()>;
}

/// A folder of the real file system.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// The file that `write_at` wrote to last, kept open between batches.
    open: Option<(String, File)>,
    /// Held as long as this value lives; the system releases it if the process dies.
    _lock: Option<File>,
}

/// The file whose lock means "I am the writer". It stays empty.
pub(crate) const LOCK_FILE: &str = "lock";

impl Folder {
    /// A folder to read.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), open: None, _lock: None }
    }

    /// A folder to write, locked against other writers. It is made if it is not there.
    pub fn locked(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(Error::io("make", &root.display().to_string()))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join(LOCK_FILE))
            .map_err(Error::io("open", LOCK_FILE))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.into(), open: None, _lock: Some(lock) }),
            Err(fs::TryLockError::WouldBlock) => {
                Err(Error::InUse { folder: root.display().to_string() })
            }
            Err(fs::TryLockError::Error(source)) => Err(Error::io("lock", LOCK_FILE)(source)),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Files for Folder {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(self.at(path))?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            let what = format!("it is larger than the {limit} bytes that such a file can have");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(content)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, Kind)>> {
        let mut found = Vec::new();
        for item in fs::read_dir(self.at(folder))? {
            let item = item?;
            let kind = item.file_type()?;
            let kind = if kind.is_file() {
                Kind::File
            } else if kind.is_dir() {
                Kind::Folder
            } else {
                Kind::Other
            };
            // A name that is no UTF-8 is none of ours; its escaped spelling names it in a report.
            let name = item.file_name();
            match name.to_str() {
                Some(name) => found.push((name.to_owned(), kind)),
                None => found.push((name.to_string_lossy().into_owned(), Kind::Other)),
            }
        }
        Ok(found)
    }

    fn sha256(&self, path: &str) -> io::Result<Hash> {
        let mut file = File::open(self.at(path))?;
        let mut sha = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Hash(sha.finalize().into())),
                Ok(read) => sha.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Disk for Folder {
    fn write(&mut self, path: &str, content: &[u8], secret: bool) -> io::Result<()> {
        let path = self.at(path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        if secret {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            // The mode applies to a new file only, so that one left by someone else must go first.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        #[cfg(not(unix))]
        let _ = secret;
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                options.open(&path)
            }
            other => other,
        };
        file?.write_all(content)
    }

    fn write_at(&mut self, path: &str, offset: u64, content: &[u8]) -> io::Result<()> {
        let mut file = match self.open.take() {
            Some((open, file)) if open == path => file,
            Some(_) | None => OpenOptions::new().write(true).open(self.at(path))?,
        };
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(content)?;
        self.open = Some((path.to_owned(), file));
        Ok(())
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        match &self.open {
            Some((open, file)) if open == path => file.sync_data(),
            Some(_) | None => OpenOptions::new().write(true).open(self.at(path))?.sync_data(),
        }
    }

    fn sync_folder(&mut self, folder: &str) -> io::Result<()> {
        // Folders can be opened and synchronised on Unix; elsewhere names are the system's
        // business.
        if cfg!(unix) { File::open(self.at(folder))?.sync_all() } else { Ok(()) }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        // The open file may be the one that loses its name.
        self.open = None;
        let (from, to) = (self.at(from), self.at(to));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && from.exists() => {
                to.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::rename(&from, &to)
            }
            other => other,
        }
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        let path = self.at(path);
        if fs::symlink_metadata(&path)?.is_dir() {
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        }
    }
}

/// One folder inside another, seen as if it were the outermost.
pub(crate) struct Within<'a, F> {
    files: &'a F,
    folder: &'a str,
}

impl<'a, F: Files> Within<'a, F> {
    pub(crate) fn new(files: &'a F, folder: &'a str) -> Self {
        Self { files, folder }
    }

    /// The path as the outer folder knows it.
    pub(crate) fn outer(&self, path: &str) -> String {
        join(self.folder, path)
    }
}

impl<F: Files> Files for Within<'_, F> {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        self.files.read(&self.outer(path), limit)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, Kind)>> {
        self.files.list(&self.outer(folder))
    }

    fn sha256(&self, path: &str) -> io::Result<Hash> {
        self.files.sha256(&self.outer(path))
    }
}

/// A path below a folder, either of which may be `""`.
pub(crate) fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

/// The folder of a path; `""` at the top.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A file's content, or `None` if there is no such file.
pub(crate) fn read_if_there(
    files: &impl Files,
    path: &str,
    limit: u64,
) -> io::Result<Option<Vec<u8>>> {
    match files.read(path, limit) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A file where a folder should be: neither is what was looked for there.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(error),
    }
}

/// The most files that a folder to be checked may hold.
const MAX_FILES: usize = 200_000;

/// The most folders that may be nested in one another in a folder to be checked.
const MAX_DEPTH: usize = 32;

/// Every file below a folder with its path, sorted by path. Folders themselves are not listed.
pub(crate) fn walk(files: &impl Files) -> io::Result<Vec<(String, Kind)>> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for (name, kind) in files.list(&folder)? {
            let path = join(&folder, &name);
            match kind {
                Kind::Folder if depth == MAX_DEPTH => {
                    return Err(io::Error::other(format!("{path} is nested too deeply")));
                }
                Kind::Folder => folders.push((path, depth + 1)),
                Kind::File | Kind::Other => found.push((path, kind)),
            }
            if found.len() > MAX_FILES {
                return Err(io::Error::other(format!("there are more than {MAX_FILES} files")));
            }
        }
    }
    found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}
