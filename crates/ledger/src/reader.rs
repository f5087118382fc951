//! Reading a ledger without being its writer.

use std::collections::VecDeque;
use std::iter::FusedIterator;

use portcullis_durable::{Folder, ReadDisk, read_if_present};

use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use crate::error::Error;
use crate::layout::{CHECKPOINT_FILE, check_format, read_vkey};
use crate::note::Verifier;
use crate::proof::verify_consistency;
use crate::tile::{TILE_WIDTH, Tile, TileKind};
use crate::tile_reader::{read_entries, read_hashes};
use crate::tlog_proof::Proof;
use crate::tree::Tree;

/// A view of the log at one published checkpoint: its entries and their proofs. Later commits appear
/// only after [`LedgerReader::refresh`].
///
/// Reading does not verify the entries against the checkpoint: `verify::folder` does. Every method
/// reads one bundle of at most 256 entries at a time, so memory does not depend on the length of
/// the log. A streaming fold, and a follower that continues where it stopped:
///
/// ```no_run
/// # use portcullis_ledger::{Error, Ledger};
/// # fn main() -> Result<(), Error> {
/// let mut reader = Ledger::read("ledger".as_ref())?;
/// let bytes = reader.entries().try_fold(0, |sum, found| Ok::<_, Error>(sum + found?.1.len()))?;
/// println!("{bytes} bytes");
/// let mut next = reader.size();
/// loop {
///     reader.refresh()?;
///     for found in reader.entries_from(next) {
///         let (index, entry) = found?;
///         println!("{index}: {} bytes", entry.len());
///         next = index + 1;
///     }
///     std::thread::sleep(std::time::Duration::from_secs(1));
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct LedgerReader<F: ReadDisk = Folder> {
    disk: F,
    verifier: Verifier,
    checkpoint: Checkpoint,
}

impl<F: ReadDisk> LedgerReader<F> {
    /// Opens a view at the latest published checkpoint. Its signature is verified with the folder's
    /// own key.
    pub fn open(disk: F) -> Result<Self, Error> {
        check_format(&disk)?;
        let verifier = read_vkey(&disk)?;
        let checkpoint = latest_checkpoint(&disk, &verifier)?;
        Ok(Self { disk, verifier, checkpoint })
    }

    /// Moves the view to the latest published checkpoint and returns how many entries were added.
    ///
    /// A checkpoint that does not continue from the present one is [`Error::Damaged`]: the log was
    /// replaced or rewritten. The view then stays where it was.
    pub fn refresh(&mut self) -> Result<u64, Error> {
        let latest = latest_checkpoint(&self.disk, &self.verifier)?;
        let (old, new) = (&self.checkpoint, &latest);
        let continues = old.size() <= new.size() && {
            let mut tree = Tree::new(new.size(), |tile| read_hashes(&self.disk, tile));
            let proof = tree.consistency(old.size())?;
            verify_consistency(old.size(), old.root(), new.size(), new.root(), &proof)
        };
        if !continues {
            let what = format!(
                "it covers {} entries and does not continue from the checkpoint of {} entries read before",
                new.size(),
                old.size()
            );
            return Err(Error::damaged(CHECKPOINT_FILE, what));
        }
        let added = new.size() - old.size();
        self.checkpoint = latest;
        Ok(added)
    }

    /// The checkpoint of this view.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The public key that the folder names.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// All entries with their indices, in order. The iterator ends after an error.
    pub fn entries(&self) -> Entries<'_, F> {
        self.entries_from(0)
    }

    /// The last `count` entries, or all if there are fewer.
    pub fn tail(&self, count: u64) -> Entries<'_, F> {
        self.entries_from(self.size().saturating_sub(count))
    }

    /// The entries from an index on. Earlier bundles are not read.
    pub fn entries_from(&self, index: u64) -> Entries<'_, F> {
        Entries { reader: self, next: index, bundle: VecDeque::new(), failed: false }
    }

    /// One entry.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, Error> {
        let none = Error::NoSuchEntry { index, size: self.size() };
        self.entries_from(index).next().map_or(Err(none), |found| found.map(|(_, entry)| entry))
    }

    /// The proof that the checkpoint of this view covers an entry.
    pub fn prove_inclusion(&self, index: u64) -> Result<Proof, Error> {
        let size = self.size();
        if index >= size {
            return Err(Error::NoSuchEntry { index, size });
        }
        let hashes = Tree::new(size, |tile| read_hashes(&self.disk, tile)).inclusion(index)?;
        Ok(Proof { extra: None, index, hashes, checkpoint: self.checkpoint.note().to_owned() })
    }
}

/// Reads the published checkpoint and verifies its signature.
fn latest_checkpoint(disk: &impl ReadDisk, verifier: &Verifier) -> Result<Checkpoint, Error> {
    let note = read_if_present(disk, CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES as u64)
        .map_err(Error::io("read", CHECKPOINT_FILE))?
        .ok_or_else(|| Error::damaged(CHECKPOINT_FILE, "it is missing"))?;
    let note =
        String::from_utf8(note).map_err(|_| Error::damaged(CHECKPOINT_FILE, "it is not text"))?;
    Checkpoint::verify(&note, verifier)
        .map_err(|error| Error::damaged(CHECKPOINT_FILE, error.to_string()))
}

/// Iterates over entries: index and content.
#[derive(Debug)]
pub struct Entries<'a, F: ReadDisk> {
    reader: &'a LedgerReader<F>,
    next: u64,
    bundle: VecDeque<Vec<u8>>,
    failed: bool,
}

impl<F: ReadDisk> Iterator for Entries<'_, F> {
    type Item = Result<(u64, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next >= self.reader.size() {
            return None;
        }
        if self.bundle.is_empty() {
            let index = self.next / TILE_WIDTH;
            let tile = Tile::in_tree(TileKind::Entries, index, self.reader.size())?;
            match read_entries(&self.reader.disk, tile) {
                Ok(entries) => {
                    let skip = (self.next % TILE_WIDTH) as usize;
                    self.bundle = entries.into_iter().skip(skip).collect();
                }
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        let entry = self.bundle.pop_front()?;
        let index = self.next;
        self.next += 1;
        Some(Ok((index, entry)))
    }
}

impl<F: ReadDisk> FusedIterator for Entries<'_, F> {}
