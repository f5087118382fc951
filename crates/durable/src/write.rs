//! Atomic replacement of a file.

use std::io;
use std::path::Path;

use crate::disk::{Disk, FileAccess, parent_path};
use crate::folder::Folder;

/// A durable write failed; the state of the file's new content is unknown.
#[derive(Debug, thiserror::Error)]
#[error("could not {step}: {source}")]
pub struct WriteError {
    /// The step that failed, as a verb: "write", "synchronise", …
    pub step: &'static str,
    /// The file system's error.
    pub source: io::Error,
}

impl WriteError {
    /// For `map_err`: a step failed.
    pub(crate) fn at(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { step, source }
    }
}

/// Replaces a file so that a crash at any moment leaves the old content or the new one; after
/// success the new one survives a power cut.
///
/// The content is first written to `spare`, which must be in the same file system. A crash may leave
/// `spare` behind; the next call overwrites it. The folder of `path` must already be durable.
pub fn replace(
    disk: &mut impl Disk,
    path: &str,
    spare: &str,
    content: &[u8],
    access: FileAccess,
) -> Result<(), WriteError> {
    disk.write(spare, content, access).map_err(WriteError::at("write"))?;
    disk.sync(spare).map_err(WriteError::at("synchronise"))?;
    disk.rename(spare, path).map_err(WriteError::at("rename a new file to"))?;
    disk.sync_folder(parent_path(path)).map_err(WriteError::at("synchronise the folder of"))
}

/// [`replace`] for a file of the real file system. The spare file is `path` with `.new` appended.
pub fn write_file(path: &Path, content: &[u8], access: FileAccess) -> Result<(), WriteError> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        let kind = io::ErrorKind::InvalidInput;
        WriteError::at("name")(io::Error::new(kind, "the file name is missing or not UTF-8"))
    })?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    replace(&mut Folder::new(folder), name, &format!("{name}.new"), content, access)
}
