//! Durable files: content that survives a crash, a failed write and a power cut.
//!
//! - [`write_file`] replaces one file on its own atomically: for saved state.
//! - [`replace`] does the same on any [`Disk`]; [`AppendFile`] adds batches to a file and knows when
//!   the whole file must be replaced: for logs and outboxes.
//! - [`push_frame`] and [`FrameIter`] put checksummed records into such a file and find where a torn
//!   tail begins.
//!
//! [`Disk`] is the seam to the file system. [`Folder`] implements it for a real folder; `MemoryDisk`
//! (feature `testing`) fails, tears and loses writes on demand. The crate does not interpret what
//! it stores, and it has no clock, no threads and no randomness.

mod append;
mod disk;
mod folder;
mod frame;
#[cfg(feature = "testing")]
pub mod testing;
mod write;

pub use append::AppendFile;
pub use disk::{Disk, FileAccess, FileKind, ReadDisk, join_path, parent_path, read_if_present};
pub use folder::Folder;
pub use frame::{Frame, FrameIter, MAX_BODY_BYTES, push_frame};
pub use write::{WriteError, replace, write_file};
