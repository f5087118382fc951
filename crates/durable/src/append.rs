//! A file that grows by durable batches.

use crate::disk::{Disk, FileAccess};
use crate::write::{WriteError, replace};

/// A file to which batches are appended. A batch is durable once `append` returns `Ok`.
///
/// After a failed write or synchronisation the end of the file is unknown: a second `fsync` may
/// report success for data that the first one dropped. The same holds for a file that was only just
/// read back, since its content may be in the kernel's cache alone. So in both cases the next write
/// replaces the whole file instead of appending to it.
#[derive(Debug)]
pub struct AppendFile {
    path: String,
    spare: String,
    state: AppendState,
}

/// Whether the content on disk is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AppendState {
    /// It is whole and durable, and has this many bytes.
    Clean { bytes: u64 },
    /// It must be replaced.
    Dirty,
}

impl AppendFile {
    /// The file at `path`, whose first write replaces it. `spare` is the name for new content, see
    /// [`replace`].
    pub fn new(path: &str, spare: &str) -> Self {
        Self { path: path.to_owned(), spare: spare.to_owned(), state: AppendState::Dirty }
    }

    /// Whether the file on disk holds exactly what was written to it, durably.
    pub fn is_clean(&self) -> bool {
        self.state != AppendState::Dirty
    }

    /// Makes `batch` durable. If the file is clean, appends the batch: one write, one
    /// synchronisation. Otherwise replaces the file with `whole()`, the content that it should have
    /// with the batch.
    ///
    /// After an error the file may or may not hold the batch or a part of it.
    pub fn append(
        &mut self,
        disk: &mut impl Disk,
        batch: &[u8],
        whole: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), WriteError> {
        let AppendState::Clean { bytes } = self.state else {
            return self.replace(disk, &whole());
        };
        self.state = AppendState::Dirty;
        disk.write_at(&self.path, bytes, batch).map_err(WriteError::at("write"))?;
        disk.sync(&self.path).map_err(WriteError::at("synchronise"))?;
        self.state = AppendState::Clean { bytes: bytes + batch.len() as u64 };
        Ok(())
    }

    /// Replaces the whole file atomically: to cut a torn tail, or to drop old batches.
    pub fn replace(&mut self, disk: &mut impl Disk, content: &[u8]) -> Result<(), WriteError> {
        self.state = AppendState::Dirty;
        replace(disk, &self.path, &self.spare, content, FileAccess::Default)?;
        self.state = AppendState::Clean { bytes: content.len() as u64 };
        Ok(())
    }
}
