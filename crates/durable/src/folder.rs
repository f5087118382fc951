//! A folder of the real file system as a [`Disk`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::disk::{Disk, FileAccess, FileKind, ReadDisk};

/// A folder of the real file system.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// The file of the last `write_at`, open between batches.
    open: Option<(String, File)>,
    /// Holds the lock while this value lives; the kernel releases it if the process dies. With the
    /// name of its file.
    lock: Option<(File, String)>,
}

impl Folder {
    /// The folder `root`, without a lock. It need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), open: None, lock: None }
    }

    /// The folder `root`, locked against other writers by the empty file `lock_file` in it. Creates
    /// the folder if it is missing. An error of kind `WouldBlock` means that another process holds
    /// the lock.
    pub fn locked(root: &Path, lock_file: &str) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join(lock_file))?;
        lock.try_lock()?;
        Ok(Self { root: root.into(), open: None, lock: Some((lock, lock_file.to_owned())) })
    }

    /// Whether the folder that was locked is still at its path: it was not removed, renamed or hidden
    /// by another one. Always true without a lock.
    pub fn is_intact(&self) -> bool {
        let Some((lock, name)) = &self.lock else { return true };
        let id = |facts: io::Result<fs::Metadata>| facts.ok().map(|facts| file_id(&facts));
        id(lock.metadata()) == id(fs::metadata(self.root.join(name)))
    }

    fn full_path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

/// What makes a file the same file.
#[cfg(unix)]
fn file_id(facts: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (facts.dev(), facts.ino())
}

/// Elsewhere the folder is taken for intact while it has a lock file.
#[cfg(not(unix))]
fn file_id(_: &fs::Metadata) {}

impl ReadDisk for Folder {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(self.full_path(path))?
            .take(limit.saturating_add(1))
            .read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            let message = format!("it is larger than the limit of {limit} bytes for such a file");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(content)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, FileKind)>> {
        let mut found = Vec::new();
        for item in fs::read_dir(self.full_path(folder))? {
            let item = item?;
            let kind = item.file_type()?;
            let kind = if kind.is_file() {
                FileKind::File
            } else if kind.is_dir() {
                FileKind::Folder
            } else {
                FileKind::Other
            };
            // This crate creates UTF-8 names only; the lossy spelling identifies others in a report.
            let name = item.file_name();
            match name.to_str() {
                Some(name) => found.push((name.to_owned(), kind)),
                None => found.push((name.to_string_lossy().into_owned(), FileKind::Other)),
            }
        }
        Ok(found)
    }

    fn sha256(&self, path: &str) -> io::Result<[u8; 32]> {
        let mut file = File::open(self.full_path(path))?;
        let mut sha = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(sha.finalize().into()),
                Ok(read) => sha.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Disk for Folder {
    fn write(&mut self, path: &str, content: &[u8], access: FileAccess) -> io::Result<()> {
        let path = self.full_path(path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        if access == FileAccess::OwnerOnly {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            // The mode applies to a new file only, so an existing one must be removed first.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            options.create_new(true);
        }
        #[cfg(not(unix))]
        let _ = access;
        let file = match options.open(&path) {
            // Folders within it are made; the folder itself is not, once it was removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_intact() => {
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
            Some(_) | None => OpenOptions::new().write(true).open(self.full_path(path))?,
        };
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(content)?;
        self.open = Some((path.to_owned(), file));
        Ok(())
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        match &self.open {
            Some((open, file)) if open == path => file.sync_data(),
            Some(_) | None => {
                OpenOptions::new().write(true).open(self.full_path(path))?.sync_data()
            }
        }
    }

    fn sync_folder(&mut self, folder: &str) -> io::Result<()> {
        // Only Unix can open and synchronise a folder; other systems keep names by themselves.
        if cfg!(unix) { File::open(self.full_path(folder))?.sync_all() } else { Ok(()) }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        // The open file may be the one that is replaced.
        self.open = None;
        let (from, to) = (self.full_path(from), self.full_path(to));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && from.exists() => {
                to.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::rename(&from, &to)
            }
            other => other,
        }
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        let path = self.full_path(path);
        if fs::symlink_metadata(&path)?.is_dir() {
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        }
    }
}
