//! Creating and opening a ledger.
//!
//! Creating is always explicit: [`Ledger::open`] never creates one. A folder whose file system is
//! not mounted, or a mistyped path, would otherwise silently start a new log with a new key.
//! Opening checks what is on disk, repairs what a crash left unfinished, and refuses damage.

use std::io;
use std::path::Path;

use portcullis_durable::{AppendFile, Disk, FileAccess, Folder, ReadDisk, read_if_present};

use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use crate::error::Error;
use crate::hash::Hash;
use crate::journal::Journal;
use crate::layout::{
    CHECKPOINT_FILE, FORMAT, FORMAT_FILE, JOURNAL_FILE, KEY_FILE, LOCK_FILE, MAX_JOURNAL_BYTES,
    PENDING_FILE, SMALL_FILE_BYTES, VKEY_FILE, check_format, check_key, read_vkey, replace_file,
};
use crate::ledger::{Ledger, sign};
use crate::note::{Signer, Verifier};
use crate::reader::LedgerReader;
use crate::recovery::Recovery;
use crate::tile::{TILE_WIDTH, Tile, TileKind};
use crate::tile_reader::read_hashes;
use crate::tree::RightEdge;
use crate::verify;

impl Ledger<Folder> {
    /// Creates a ledger in a folder, which is created if it is missing and must otherwise be empty.
    ///
    /// `origin` names the log, as a URL without its scheme. `seed` is 32 bytes of fresh entropy; it
    /// becomes the secret key and is stored in the file `key`, readable by its owner only.
    pub fn create(folder: &Path, origin: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        Self::create_on(lock(folder)?, origin, seed).map_err(|error| name_folder(error, folder))
    }

    /// Opens an existing ledger to write to it, and repairs what a crash left unfinished: see
    /// [`Ledger::recovery`]. [`Error::NotCreated`] if there is none.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        // Locking would create a mistyped folder.
        if !folder.join(FORMAT_FILE).exists() {
            return Err(Error::NotCreated { folder: folder.display().to_string() });
        }
        Self::open_on(lock(folder)?).map_err(|error| name_folder(error, folder))
    }

    /// A view of the entries and proofs that the latest checkpoint covers. It takes no lock: a
    /// writer may be active.
    pub fn read(folder: &Path) -> Result<LedgerReader, Error> {
        LedgerReader::open(Folder::new(folder)).map_err(|error| name_folder(error, folder))
    }
}

/// Locks a folder, which is created if it is missing.
fn lock(folder: &Path) -> Result<Folder, Error> {
    Folder::locked(folder, LOCK_FILE).map_err(|error| {
        let folder = folder.display().to_string();
        if error.kind() == io::ErrorKind::WouldBlock {
            Error::InUse { folder }
        } else {
            Error::io("lock", &folder)(error)
        }
    })
}

/// Puts the folder's path into errors about the folder as a whole.
fn name_folder(error: Error, folder: &Path) -> Error {
    let folder = folder.display().to_string();
    match error {
        Error::NotALedger { .. } => Error::NotALedger { folder },
        Error::AlreadyThere { found, .. } => Error::AlreadyThere { folder, found },
        other => other,
    }
}

impl<D: Disk> Ledger<D> {
    /// [`Ledger::create`] on any disk, which the caller has locked.
    pub fn create_on(disk: D, origin: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        let signer = Signer::new(origin, seed)?;
        let listed = match disk.list("") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(Error::io("list", ""))?,
        };
        // The files of an interrupted creation may be overwritten: they never had an entry.
        let unfinished = [LOCK_FILE, KEY_FILE, VKEY_FILE, JOURNAL_FILE, PENDING_FILE];
        if let Some((found, _)) =
            listed.iter().find(|(name, _)| !unfinished.contains(&name.as_str()))
        {
            return Err(Error::AlreadyThere { folder: String::new(), found: found.clone() });
        }
        let edge = RightEdge::default();
        let checkpoint = sign(&edge, &signer)?;
        let mut ledger = Self {
            disk,
            signer,
            edge,
            checkpoint,
            staged: Vec::new(),
            base: 0,
            entries: Vec::new(),
            full_tiles: Vec::new(),
            journal: AppendFile::new(JOURNAL_FILE, PENDING_FILE),
            published: None,
            repairing: false,
            waiting_bytes: 0,
            recovery: Recovery::default(),
        };
        let seed = ledger.signer.seed();
        replace_file(&mut ledger.disk, KEY_FILE, &seed, FileAccess::OwnerOnly)?;
        let vkey = format!("{}\n", ledger.verifier());
        replace_file(&mut ledger.disk, VKEY_FILE, vkey.as_bytes(), FileAccess::Default)?;
        ledger.replace_journal()?;
        let format = FORMAT.as_bytes();
        replace_file(&mut ledger.disk, FORMAT_FILE, format, FileAccess::Default)?;
        ledger.catch_up()?;
        Ok(ledger)
    }

    /// [`Ledger::open`] on any disk, which the caller has locked.
    pub fn open_on(disk: D) -> Result<Self, Error> {
        check_format(&disk)?;
        let verifier = read_vkey(&disk)?;
        let signer = read_key(&disk, &verifier)?;

        let bytes = disk.read(JOURNAL_FILE, MAX_JOURNAL_BYTES).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                Error::damaged(JOURNAL_FILE, "it is missing")
            } else {
                Error::io("read", JOURNAL_FILE)(error)
            }
        })?;
        let journal = Journal::read(&bytes, &verifier)?;
        let published = published_checkpoint(&disk, &verifier)?;
        refuse_short_journal(&journal, published.as_ref())?;

        let mut edge = RightEdge::from_full_tiles(journal.base, |tile| read_hashes(&disk, tile))?;
        let mut full_tiles = Vec::new();
        let mut checkpoints = journal.checkpoints.iter().chain(&published).collect::<Vec<_>>();
        checkpoints.sort_by_key(|checkpoint| checkpoint.size());
        let mut checkpoints = checkpoints.into_iter().peekable();
        let mut entries = journal.entries.iter();
        loop {
            // Every signed root must be the root of the tree at that size.
            while let Some(checkpoint) = checkpoints.next_if(|next| next.size() <= edge.size()) {
                let root = if checkpoint.size() == edge.size() {
                    edge.root()
                } else {
                    // Only the published checkpoint can be older than the journal, after a power
                    // cut.
                    old_root(&disk, checkpoint.size())?
                };
                if root != checkpoint.root() {
                    return Err(contradiction(&disk, &verifier, checkpoint, root));
                }
            }
            let Some(entry) = entries.next() else { break };
            edge.push(Hash::of_leaf(entry), |tile, hashes| {
                full_tiles.push((tile, hashes));
            });
        }

        let last = journal.last().ok_or_else(|| Error::damaged(JOURNAL_FILE, "it is empty"))?;
        let mut ledger = Self {
            signer,
            edge,
            checkpoint: last.clone(),
            staged: Vec::new(),
            base: journal.base,
            entries: Vec::new(),
            full_tiles,
            journal: AppendFile::new(JOURNAL_FILE, PENDING_FILE),
            published: None,
            repairing: true,
            waiting_bytes: 0,
            recovery: Recovery::default(),
            disk,
        };
        if let Some(tail) = &journal.tail {
            ledger.recovery.cut_bytes = tail.bytes as u64;
            ledger.recovery.cut_entries = tail.entries as u64;
        }
        for entry in journal.entries {
            ledger.push_recovered(entry);
        }
        // The content just read may be in the kernel's cache only. It must be durable before
        // anything is built on it. If the disk refuses (it may be full), the first commit retries.
        let _ = ledger.catch_up();
        // An interrupted write may have left the file; it is useless now.
        let _ = ledger.disk.remove(PENDING_FILE);
        Ok(ledger)
    }
}

/// The root of the tree over the first `size` entries, all of which are in full bundles. Reads full
/// tiles only: after a power cut a partial one may be torn.
fn old_root(disk: &impl ReadDisk, size: u64) -> Result<Hash, Error> {
    let rest = size % TILE_WIDTH;
    let mut edge = RightEdge::from_full_tiles(size - rest, |tile| read_hashes(disk, tile))?;
    let kind = TileKind::Hashes(0);
    if let Some(tile) = Tile::in_tree(kind, size / TILE_WIDTH, size - rest + TILE_WIDTH) {
        for leaf in read_hashes(disk, tile)?.into_iter().take(rest as usize) {
            edge.push(leaf, |_, _| {});
        }
    }
    Ok(edge.root())
}

/// The latest published checkpoint, if its file exists and is whole. After a power cut it may not,
/// and is then written again.
fn published_checkpoint(
    disk: &impl ReadDisk,
    verifier: &Verifier,
) -> Result<Option<Checkpoint>, Error> {
    let note = read_if_present(disk, CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES as u64)
        .map_err(Error::io("read", CHECKPOINT_FILE))?;
    let note = note.and_then(|note| String::from_utf8(note).ok());
    Ok(note.and_then(|note| Checkpoint::verify(&note, verifier).ok()))
}

/// Refuses a journal that ends before the published checkpoint: it has lost entries, since a
/// checkpoint is published only after the journal is durable.
fn refuse_short_journal(journal: &Journal, published: Option<&Checkpoint>) -> Result<(), Error> {
    let Some(published) = published.filter(|published| published.size() > journal.size()) else {
        return Ok(());
    };
    let (entry, what) = journal.shorter_than(published.size());
    Err(Error::Damaged { file: JOURNAL_FILE.to_owned(), entry: Some(entry), what })
}

/// The error for a signed root that is not the root of the entries; names the damaged file if it can
/// be found.
fn contradiction(
    disk: &impl ReadDisk,
    verifier: &Verifier,
    checkpoint: &Checkpoint,
    root: Hash,
) -> Error {
    let fault = verify::first_fault(disk, verifier);
    fault.unwrap_or_else(|| {
        let (size, signed) = (checkpoint.size(), checkpoint.root());
        let what = format!(
            "it signs the root {signed} for {size} entries, whose root is {root}: it belongs to another history"
        );
        Error::damaged(CHECKPOINT_FILE, what)
    })
}

fn read_key(disk: &impl ReadDisk, verifier: &Verifier) -> Result<Signer, Error> {
    let seed = read_if_present(disk, KEY_FILE, SMALL_FILE_BYTES)
        .map_err(Error::io("read", KEY_FILE))?
        .ok_or_else(|| {
            let what =
                "the secret key is missing, so this copy can be read and verified but not appended to";
            Error::damaged(KEY_FILE, what)
        })?;
    check_key(&seed, verifier).map_err(|what| Error::damaged(KEY_FILE, what))
}
