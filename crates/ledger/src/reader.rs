//! Reading a ledger without being its writer.

use std::collections::VecDeque;

use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use crate::disk::{Files, Folder, read_if_there};
use crate::error::Error;
use crate::ledger::CHECKPOINT_FILE;
use crate::note::Verifier;
use crate::recovery::{check_format, read_vkey};
use crate::shelf::{read_entries, read_hashes};
use crate::tile::{Shelf, TILE_WIDTH, Tile};
use crate::tlog_proof::Proof;
use crate::tree::Tree;

/// The log as one published checkpoint shows it: its entries and their proofs. What is committed
/// after opening it does not appear in it; open another one for that.
///
/// Reading does not verify the entries against the checkpoint: [`crate::verify::folder`] does.
#[derive(Debug)]
pub struct Reader<F: Files = Folder> {
    files: F,
    verifier: Verifier,
    checkpoint: Checkpoint,
}

impl<F: Files> Reader<F> {
    /// Opens a view at the newest published checkpoint, whose signature is checked with the
    /// folder's own key.
    pub fn open(files: F) -> Result<Self, Error> {
        check_format(&files)?;
        let verifier = read_vkey(&files)?;
        let note = read_if_there(&files, CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES as u64)
            .map_err(Error::io("read", CHECKPOINT_FILE))?
            .ok_or_else(|| Error::damaged(CHECKPOINT_FILE, "it is missing"))?;
        let note = String::from_utf8(note)
            .map_err(|_| Error::damaged(CHECKPOINT_FILE, "it is not text"))?;
        let checkpoint = Checkpoint::verify(&note, &verifier)
            .map_err(|error| Error::damaged(CHECKPOINT_FILE, error.to_string()))?;
        Ok(Self { files, verifier, checkpoint })
    }

    /// The checkpoint that this view shows.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The key that the folder names as the log's.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// All entries with their indices, in order. One bundle of 256 is in memory at a time. After an
    /// error there is nothing more.
    pub fn entries(&self) -> Entries<'_, F> {
        self.entries_from(0)
    }

    /// The entries from an index on.
    pub fn entries_from(&self, index: u64) -> Entries<'_, F> {
        Entries { reader: self, next: index, bundle: VecDeque::new(), failed: false }
    }

    /// One entry.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, Error> {
        let none = Error::NoSuchEntry { index, size: self.size() };
        self.entries_from(index).next().map_or(Err(none), |found| found.map(|(_, entry)| entry))
    }

    /// The proof that this view's checkpoint covers an entry.
    pub fn prove_inclusion(&self, index: u64) -> Result<Proof, Error> {
        let size = self.size();
        if index >= size {
            return Err(Error::NoSuchEntry { index, size });
        }
        let hashes = Tree::new(size, |tile| read_hashes(&self.files, tile)).inclusion(index)?;
        Ok(Proof { extra: None, index, hashes, checkpoint: self.checkpoint.note().to_owned() })
    }
}

/// An iterator over entries: index and content.
#[derive(Debug)]
pub struct Entries<'a, F: Files> {
    reader: &'a Reader<F>,
    next: u64,
    bundle: VecDeque<Vec<u8>>,
    failed: bool,
}

impl<F: Files> Iterator for Entries<'_, F> {
    type Item = Result<(u64, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next >= self.reader.size() {
            return None;
        }
        if self.bundle.is_empty() {
            let index = self.next / TILE_WIDTH;
            let tile = Tile::in_tree(Shelf::Entries, index, self.reader.size())?;
            match read_entries(&self.reader.files, tile) {
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
