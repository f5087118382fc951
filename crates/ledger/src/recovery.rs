//! Opening a ledger: what is on disk is checked, what a crash left unfinished is mended, and the
//! rest refused.

use std::fmt;

use serde::Serialize;

use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use crate::disk::{Disk, Files, read_if_there};
use crate::error::Error;
use crate::hash::Hash;
use crate::journal::{JOURNAL_FILE, Journal, MAX_JOURNAL_BYTES};
use crate::ledger::{
    CHECKPOINT_FILE, FORMAT, FORMAT_FILE, JournalEnd, KEY_FILE, Ledger, PENDING_FILE, VKEY_FILE,
};
use crate::note::{Signer, Verifier};
use crate::shelf::read_hashes;
use crate::tile::{Shelf, TILE_WIDTH, Tile};
use crate::tree::Edge;
use crate::verify;

/// The most bytes of the small files (`format`, `key`, `vkey`) that are read.
pub(crate) const SMALL_FILE_BYTES: u64 = 4096;

/// What opening a ledger found unfinished, and did about it. After an orderly end there is nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Recovery {
    /// Bytes cut from the end of the journal: a batch whose writing was interrupted.
    pub cut_bytes: u64,
    /// Whole entries among them. They were never acknowledged.
    pub cut_entries: u64,
    /// Files that were made again from the journal.
    pub rewritten: Vec<String>,
}

/// The most files that are named as rewritten: more than a full bundle and its tiles can be.
const MAX_NAMED: usize = 100;

impl Recovery {
    /// Whether there was nothing to mend.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn rewrote(&mut self, path: &str) {
        if self.rewritten.len() < MAX_NAMED && !self.rewritten.iter().any(|known| known == path) {
            self.rewritten.push(path.to_owned());
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("The ledger was closed in good order; there was nothing to mend.");
        }
        f.write_str("The ledger was not closed in good order. Every acknowledged entry is there.")?;
        if self.cut_bytes > 0 {
            let (bytes, entries) = (self.cut_bytes, self.cut_entries);
            write!(
                f,
                " The journal ended in a batch whose writing was interrupted; it was never acknowledged and was \
                 cut ({bytes} bytes, {entries} whole entries)."
            )?;
        }
        if !self.rewritten.is_empty() {
            write!(f, " Made again from the journal: {}.", self.rewritten.join(", "))?;
        }
        Ok(())
    }
}

impl<D: Disk> Ledger<D> {
    /// [`Ledger::open`] on any disk, which the caller has locked.
    pub fn open_on(disk: D) -> Result<Self, Error> {
        check_format(&disk)?;
        let verifier = read_vkey(&disk)?;
        let signer = read_key(&disk, &verifier)?;

        let bytes = disk.read(JOURNAL_FILE, MAX_JOURNAL_BYTES).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                Error::damaged(JOURNAL_FILE, "it is missing")
            } else {
                Error::io("read", JOURNAL_FILE)(error)
            }
        })?;
        let journal = Journal::read(&bytes, &verifier)?;
        let published = published_checkpoint(&disk, &verifier)?;
        refuse_a_short_journal(&journal, published.as_ref())?;

        let mut edge = Edge::from_full_tiles(journal.base, |tile| read_hashes(&disk, tile))?;
        let mut full_tiles = Vec::new();
        let mut checkpoints = journal.checkpoints.iter().chain(&published).collect::<Vec<_>>();
        checkpoints.sort_by_key(|checkpoint| checkpoint.size());
        let mut checkpoints = checkpoints.into_iter().peekable();
        let mut entries = journal.entries.iter();
        loop {
            // Every signed root must be the root that the tree has at that size.
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
            journal: JournalEnd::Unsure,
            published: None,
            mending: true,
            waiting_bytes: 0,
            recovery: Recovery::default(),
            disk,
        };
        if let Some(tail) = &journal.tail {
            ledger.recovery.cut_bytes = tail.bytes as u64;
            ledger.recovery.cut_entries = tail.entries as u64;
        }
        for entry in journal.entries {
            ledger.hold(entry);
        }
        // What was read may have been in memory only, in the system's care; it must be durable
        // before anything is built on it. If the disk refuses (it may be full), the first commit
        // tries again.
        let _ = ledger.catch_up();
        // A spare file that an interrupted write left is of no use to anyone.
        let _ = ledger.disk.remove(PENDING_FILE);
        Ok(ledger)
    }
}

/// The root of the tree over the first `size` entries, all of which lie in full bundles. Only full
/// tiles are read: after a power cut a partial one may be torn.
fn old_root(files: &impl Files, size: u64) -> Result<Hash, Error> {
    let rest = size % TILE_WIDTH;
    let mut edge = Edge::from_full_tiles(size - rest, |tile| read_hashes(files, tile))?;
    let shelf = Shelf::Hashes(0);
    if let Some(tile) = Tile::in_tree(shelf, size / TILE_WIDTH, size - rest + TILE_WIDTH) {
        for leaf in read_hashes(files, tile)?.into_iter().take(rest as usize) {
            edge.push(leaf, |_, _| {});
        }
    }
    Ok(edge.root())
}

/// The newest checkpoint that was published, if the file is there and whole. After a power cut it
/// may be neither, and is then made again.
fn published_checkpoint(
    files: &impl Files,
    verifier: &Verifier,
) -> Result<Option<Checkpoint>, Error> {
    let note = read_if_there(files, CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES as u64)
        .map_err(Error::io("read", CHECKPOINT_FILE))?;
    let note = note.and_then(|note| String::from_utf8(note).ok());
    Ok(note.and_then(|note| Checkpoint::verify(&note, verifier).ok()))
}

/// A checkpoint is published only after the journal is durable. A journal that ends before it has
/// lost entries.
fn refuse_a_short_journal(journal: &Journal, published: Option<&Checkpoint>) -> Result<(), Error> {
    let Some(published) = published.filter(|published| published.size() > journal.size()) else {
        return Ok(());
    };
    let (covers, size) = (published.size(), journal.size());
    let tail = journal.tail.as_ref();
    let why =
        tail.map_or_else(String::new, |tail| format!(": at byte {}, {}", tail.offset, tail.what));
    Err(Error::Damaged {
        file: JOURNAL_FILE.to_owned(),
        entry: tail.and_then(|tail| tail.entry).or(Some(size)),
        what: format!(
            "the checkpoint covers {covers} entries, but the journal ends after {size}{why}"
        ),
    })
}

/// Finds the file to blame when a signed root is not the root of the entries.
fn contradiction(
    files: &impl Files,
    verifier: &Verifier,
    checkpoint: &Checkpoint,
    root: Hash,
) -> Error {
    let fault = verify::first_fault(files, verifier);
    fault.unwrap_or_else(|| {
        let (size, signed) = (checkpoint.size(), checkpoint.root());
        let what = format!(
            "it signs the root {signed} for {size} entries, whose root is {root}: it is of another history"
        );
        Error::damaged(CHECKPOINT_FILE, what)
    })
}

pub(crate) fn check_format(files: &impl Files) -> Result<(), Error> {
    let format = read_if_there(files, FORMAT_FILE, SMALL_FILE_BYTES)
        .map_err(Error::io("read", FORMAT_FILE))?
        .ok_or(Error::NotALedger { folder: "the folder".to_owned() })?;
    if format == FORMAT.as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&format).trim_end().to_owned();
    Err(Error::OtherFormat { found, expected: FORMAT.trim_end() })
}

pub(crate) fn read_vkey(files: &impl Files) -> Result<Verifier, Error> {
    let vkey = read_if_there(files, VKEY_FILE, SMALL_FILE_BYTES)
        .map_err(Error::io("read", VKEY_FILE))?
        .ok_or_else(|| Error::damaged(VKEY_FILE, "it is missing"))?;
    let vkey = str::from_utf8(&vkey).ok().and_then(|vkey| vkey.strip_suffix('\n'));
    let vkey = vkey.ok_or_else(|| Error::damaged(VKEY_FILE, "it is not one line of text"))?;
    vkey.parse().map_err(|error| Error::damaged(VKEY_FILE, format!("{error}")))
}

fn read_key(files: &impl Files, verifier: &Verifier) -> Result<Signer, Error> {
    let seed = read_if_there(files, KEY_FILE, SMALL_FILE_BYTES)
        .map_err(Error::io("read", KEY_FILE))?
        .ok_or_else(|| {
            let what =
                "the secret key is missing, so this copy can be read and verified but not added to";
            Error::damaged(KEY_FILE, what)
        })?;
    let signer = check_key(&seed, verifier).map_err(|what| Error::damaged(KEY_FILE, what))?;
    Ok(signer)
}

/// The signer that the bytes of a key file make, if it is the one that the vkey belongs to.
pub(crate) fn check_key(seed: &[u8], verifier: &Verifier) -> Result<Signer, &'static str> {
    let seed: &[u8; 32] =
        seed.try_into().map_err(|_| "it does not have the 32 bytes of a secret key")?;
    Signer::new(verifier.name(), seed)
        .ok()
        .filter(|signer| signer.verifier() == *verifier)
        .ok_or("it is not the secret half of the key in vkey")
}
