//! The writer: entries are staged, committed as a batch, and published as tiles and a checkpoint.
//!
//! A commit has these steps. A crash between any two of them loses no acknowledged entry.
//!
//! 1. **Journal.** The batch and the checkpoint that signs it are appended to the journal in one
//!    write, and the journal is synchronised: normally the only wait for the disk. A crash before
//!    the end may leave a torn tail, which the next opening cuts and reports, or the whole batch,
//!    which then counts.
//! 2. **Publish.** Entry bundles, hash tiles and, last, the file `checkpoint` are written under a
//!    spare name and renamed. All of them can be rewritten from the journal, so this step does not
//!    wait for the disk. A crash may leave any of them old, missing or (after a power cut) empty;
//!    the next opening rewrites them.
//! 3. **Rotate the journal**, each time a bundle of 256 entries is full. The full tiles are
//!    synchronised, and a new journal with only the later entries replaces the old one. A crash
//!    leaves one journal or the other, and each is complete with the tiles that are durable then.
//!
//! If step 1 fails, the batch stays staged, in the same order, and the next commit replaces the
//! whole journal (see [`AppendFile`]). If step 2 or 3 fails, the entries are durable all the same,
//! and the next commit catches up.
//!
//! Staged entries are never dropped or reordered. So two checkpoints signed by this log never
//! contradict each other, whichever of them reached the disk.

use portcullis_durable::{AppendFile, Disk, FileAccess, Folder, parent_path};

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::hash::Hash;
use crate::journal;
use crate::layout::{CHECKPOINT_FILE, JOURNAL_FILE, PENDING_FILE};
use crate::note::{Signer, Verifier};
use crate::recovery::Recovery;
use crate::tile::{MAX_ENTRY_BYTES, TILE_WIDTH, Tile, TileKind, bundle};
use crate::tile_reader::{partials, read_hashes};
use crate::tlog_proof::Proof;
use crate::tree::{RightEdge, Tree};

/// The most bytes of entries in memory: staged, or not yet in durable full tiles. Normally that is
/// less than one bundle; it grows only while the disk refuses writes.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// What one entry counts against [`MAX_WAITING_BYTES`] in addition to its size: its share of memory,
/// of the journal's frames and of the checkpoint of its batch.
const ENTRY_COST: usize = 512;

/// The number of older partial versions of a tile that stay for readers with an older
/// checkpoint.
///
/// tlog-tiles asks a log to serve the partial tiles of every checkpoint until the tile is full.
/// That would be up to 255 growing copies of the same entries for one bundle, so the oldest are
/// removed. Their content is the beginning of any wider version, which `LedgerReader` uses.
const OLD_PARTIALS: usize = 15;

/// The only writer of a ledger. Its memory does not grow with the log: it holds the right edge of
/// the tree and the entries of the journal.
#[derive(Debug)]
pub struct Ledger<D: Disk = Folder> {
    pub(crate) disk: D,
    pub(crate) signer: Signer,
    /// The tree over all entries in the journal and before it.
    pub(crate) edge: RightEdge,
    /// The signed head of that tree.
    pub(crate) checkpoint: Checkpoint,
    /// Appended entries that are not in the journal yet.
    pub(crate) staged: Vec<Vec<u8>>,
    /// The index of the journal's first entry; all earlier entries are in durable full tiles.
    pub(crate) base: u64,
    /// The entries in the journal, from `base` on.
    pub(crate) entries: Vec<Vec<u8>>,
    /// The hash tiles that became full after `base`.
    pub(crate) full_tiles: Vec<(Tile, Vec<Hash>)>,
    pub(crate) journal: AppendFile,
    /// The size up to which tiles and checkpoint are written; `None` if all since `base` must be
    /// rewritten.
    pub(crate) published: Option<u64>,
    /// Whether a file is compared with the existing one before it is written: after opening, until
    /// everything is published once.
    pub(crate) repairing: bool,
    pub(crate) waiting_bytes: usize,
    pub(crate) recovery: Recovery,
}

impl<D: Disk> Ledger<D> {
    /// The head of the tree over the first `size` entries: of all, or of an earlier state of the log.
    pub fn root_at(&self, size: u64) -> Result<Hash, Error> {
        match size {
            _ if size > self.size() => {
                Err(Error::NoSuchEntry { index: size - 1, size: self.size() })
            }
            _ if size == self.size() => Ok(self.edge.root()),
            _ => self.old_root(size),
        }
    }

    fn old_root(&self, size: u64) -> Result<Hash, Error> {
        let rest = size % TILE_WIDTH;
        let mut edge = RightEdge::from_full_tiles(size - rest, |tile| self.hashes(tile))?;
        if rest > 0
            && let Some(tile) = Tile::in_tree(TileKind::Hashes(0), size / TILE_WIDTH, self.size())
        {
            for leaf in self.hashes(tile)?.into_iter().take(rest as usize) {
                edge.push(leaf, |_, _| {});
            }
        }
        Ok(edge.root())
    }

    /// The entries that are staged and not durable, for another ledger.
    pub fn into_staged(self) -> Vec<Vec<u8>> {
        self.staged
    }

    /// Adds an entry that was read from the journal.
    pub(crate) fn push_recovered(&mut self, entry: &[u8]) {
        self.waiting_bytes += entry.len() + ENTRY_COST;
        self.entries.push(entry.to_vec());
    }

    /// Stages an entry and returns the index that it will have. It is durable once
    /// [`Ledger::commit`] returns `Ok`.
    pub fn append(&mut self, entry: &[u8]) -> Result<u64, Error> {
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(Error::EntryTooLarge { bytes: entry.len() });
        }
        let waiting = self.waiting_bytes + entry.len() + ENTRY_COST;
        if waiting > MAX_WAITING_BYTES {
            return Err(Error::TooMuchWaiting { bytes: self.waiting_bytes });
        }
        self.waiting_bytes = waiting;
        self.staged.push(entry.to_vec());
        Ok(self.size() + self.staged.len() as u64 - 1)
    }

    /// Makes every staged entry durable and publishes the tiles and the checkpoint that cover it.
    /// Without staged entries it completes what an earlier failure left undone.
    ///
    /// After [`Error::NotDurable`] the entries are still staged; after [`Error::Behind`] they are
    /// durable ([`Error::entries_are_durable`]). In both cases call `commit` again later.
    pub fn commit(&mut self) -> Result<Checkpoint, Error> {
        if !self.staged.is_empty() {
            let entries = self.staged.len();
            self.make_durable()
                .map_err(|source| Error::NotDurable { entries, source: Box::new(source) })?;
        }
        self.catch_up().map_err(|error| Error::Behind(Box::new(error)))?;
        Ok(self.checkpoint.clone())
    }

    /// The number of durable entries.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The number of staged entries, which are not durable yet.
    pub fn staged(&self) -> usize {
        self.staged.len()
    }

    /// The latest checkpoint. It covers every durable entry.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The public key of this log; it displays as the vkey to publish.
    pub fn verifier(&self) -> Verifier {
        self.signer.verifier()
    }

    /// The signer of this log, for a manifest of the surrounding folder.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What opening found unfinished and repaired.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The disk that the ledger is on.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The proof that the latest checkpoint covers an entry; it displays as the content of a
    /// `.tlog-proof` file.
    pub fn prove_inclusion(&self, index: u64) -> Result<Proof, Error> {
        let size = self.size();
        if index >= size {
            return Err(Error::NoSuchEntry { index, size });
        }
        let hashes = Tree::new(size, |tile| self.hashes(tile)).inclusion(index)?;
        Ok(Proof { extra: None, index, hashes, checkpoint: self.checkpoint.note().to_owned() })
    }

    /// The hashes that prove that the log of `old_size` entries is the beginning of the present log,
    /// for a witness that has the older checkpoint.
    pub fn prove_consistency(&self, old_size: u64) -> Result<Vec<Hash>, Error> {
        let size = self.size();
        if old_size > size {
            return Err(Error::NoSuchEntry { index: old_size - 1, size });
        }
        Tree::new(size, |tile| self.hashes(tile)).consistency(old_size)
    }

    /// The hashes of a tile of the present tree, from memory if they are not on disk yet.
    fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, Error> {
        if let TileKind::Hashes(level) = tile.kind
            && !tile.is_full()
        {
            return Ok(self.edge.level(level).to_vec());
        }
        match self.full_tiles.iter().find(|(full, _)| *full == tile) {
            Some((_, hashes)) => Ok(hashes.clone()),
            None => read_hashes(&self.disk, tile),
        }
    }

    /// Step 1: adds the staged batch to the journal, and then to the tree in memory.
    fn make_durable(&mut self) -> Result<(), Error> {
        let mut edge = self.edge.clone();
        let mut full_tiles = Vec::new();
        for entry in &self.staged {
            edge.push(Hash::of_leaf(entry), |tile, hashes| {
                full_tiles.push((tile, hashes));
            });
        }
        let checkpoint = sign(&edge, &self.signer)?;
        let mut batch = Vec::new();
        journal::push_batch(&mut batch, &self.staged, &checkpoint);
        let all =
            || journal::content(self.base, self.entries.iter().chain(&self.staged), &checkpoint);
        self.journal.append(&mut self.disk, &batch, all).map_err(Error::write(JOURNAL_FILE))?;
        self.edge = edge;
        self.checkpoint = checkpoint;
        self.entries.append(&mut self.staged);
        self.full_tiles.append(&mut full_tiles);
        Ok(())
    }

    /// Steps 2 and 3, as far as they are due.
    pub(crate) fn catch_up(&mut self) -> Result<(), Error> {
        if !self.journal.is_clean() {
            self.replace_journal()?;
        }
        self.publish()?;
        if self.size() / TILE_WIDTH > self.base / TILE_WIDTH {
            self.rotate_journal()
        } else {
            Ok(())
        }
    }

    /// Replaces the journal by a new one with every durable entry from `base` on.
    pub(crate) fn replace_journal(&mut self) -> Result<(), Error> {
        let content = journal::content(self.base, &self.entries, &self.checkpoint);
        self.journal.replace(&mut self.disk, &content).map_err(Error::write(JOURNAL_FILE))
    }

    /// Step 2: writes what changed since the last time. It is idempotent: the same files get the
    /// same content.
    fn publish(&mut self) -> Result<(), Error> {
        let size = self.size();
        if self.published == Some(size) {
            return Ok(());
        }
        let from = self.published.unwrap_or(self.base);
        let grew =
            |kind: TileKind| self.published.is_none() || kind.filled(size) > kind.filled(from);

        let mut files = Vec::new();
        for index in from / TILE_WIDTH..=size / TILE_WIDTH {
            // The last index is beyond the end if the size is a multiple of 256.
            if let Some(tile) = Tile::in_tree(TileKind::Entries, index, size)
                && grew(TileKind::Entries)
            {
                let start = (index * TILE_WIDTH - self.base) as usize;
                let entries = &self.entries[start..start + usize::from(tile.width)];
                files.push((tile, bundle(entries.iter().map(Vec::as_slice))));
            }
        }
        for (tile, hashes) in &self.full_tiles {
            let was_full =
                Tile::in_tree(tile.kind, tile.index, from).is_some_and(|old| old.is_full());
            if self.published.is_none() || !was_full {
                files.push((*tile, Hash::row_to_bytes(hashes)));
            }
        }
        for level in 0..self.edge.height() {
            let kind = TileKind::Hashes(level);
            let index = kind.filled(size) / TILE_WIDTH;
            if let Some(tile) = Tile::in_tree(kind, index, size)
                && grew(kind)
            {
                files.push((tile, Hash::row_to_bytes(self.edge.level(level))));
            }
        }
        for (tile, content) in &files {
            // A full tile is about to replace its entries in the journal. If an earlier process
            // failed to synchronise it, reading it back proves nothing: the kernel may return
            // content that never reached the disk, and synchronising it again may do nothing.
            self.publish_file(&tile.path(), content, !tile.is_full())?;
        }
        let note = self.checkpoint.note().to_owned();
        self.publish_file(CHECKPOINT_FILE, note.as_bytes(), true)?;
        let keep = if self.repairing { 0 } else { OLD_PARTIALS };
        for (tile, _) in files.iter().filter(|(tile, _)| !tile.is_full()) {
            let dropped = self.drop_partials(*tile, keep);
            // After a power cut an older version may be torn; otherwise it is only superfluous.
            if self.repairing {
                dropped?;
            }
        }
        self.published = Some(size);
        self.repairing = false;
        Ok(())
    }

    /// Step 3: makes the full tiles durable and starts a new journal after them.
    fn rotate_journal(&mut self) -> Result<(), Error> {
        let base = self.size() - self.size() % TILE_WIDTH;
        let width = TILE_WIDTH as u16;
        let bundles = (self.base / TILE_WIDTH..base / TILE_WIDTH).map(|index| Tile {
            kind: TileKind::Entries,
            index,
            width,
        });
        let tiles: Vec<Tile> =
            bundles.chain(self.full_tiles.iter().map(|(tile, _)| *tile)).collect();
        if let Err(error) = self.sync_tiles(&tiles) {
            // The content on disk is unknown now, even if reading it back returns the right bytes.
            self.published = None;
            self.repairing = false;
            return Err(error);
        }
        let tiled = (base - self.base) as usize;
        let content = journal::content(base, &self.entries[tiled..], &self.checkpoint);
        self.journal.replace(&mut self.disk, &content).map_err(Error::write(JOURNAL_FILE))?;
        self.base = base;
        let removed = self.entries.drain(..tiled);
        self.waiting_bytes -= removed.map(|entry| entry.len() + ENTRY_COST).sum::<usize>();
        self.full_tiles.clear();
        Ok(())
    }

    /// Synchronises full tiles, removes their partial versions, and synchronises the folders.
    fn sync_tiles(&mut self, tiles: &[Tile]) -> Result<(), Error> {
        let mut folders = std::collections::BTreeSet::from([String::new()]);
        for tile in tiles {
            let path = tile.path();
            self.disk.sync(&path).map_err(Error::io("synchronise", &path))?;
            self.drop_partials(*tile, 0)?;
            let mut folder = parent_path(&path);
            while !folder.is_empty() {
                folders.insert(folder.to_owned());
                folder = parent_path(folder);
            }
        }
        for folder in folders {
            self.disk.sync_folder(&folder).map_err(Error::io("synchronise", &folder))?;
        }
        Ok(())
    }

    /// Writes a file atomically for concurrent readers, without waiting for the disk. While
    /// repairing, an existing file with the right content is not written again if `trust_read`.
    fn publish_file(&mut self, path: &str, content: &[u8], trust_read: bool) -> Result<(), Error> {
        if self.repairing {
            // After a crash most files are right; the others are reported.
            let limit = content.len() as u64;
            match self.disk.read(path, limit) {
                Ok(found) if found == content && trust_read => return Ok(()),
                Ok(found) if found == content => {}
                Ok(_) | Err(_) => self.recovery.add_rewritten(path),
            }
        }
        let written = self.disk.write(PENDING_FILE, content, FileAccess::Default);
        written.map_err(Error::io("write", path))?;
        self.disk.rename(PENDING_FILE, path).map_err(Error::io("rename a new file to", path))
    }

    /// Removes the partial versions of a tile, except itself and the `keep` widest others.
    fn drop_partials(&mut self, tile: Tile, keep: usize) -> Result<(), Error> {
        let folder = tile.partials_folder();
        let mut found = partials(&self.disk, tile).map_err(Error::io("list", &folder))?;
        let existed = !found.is_empty();
        found.retain(|partial| *partial != tile);
        let old = found.len().saturating_sub(keep);
        for partial in &found[..old] {
            let path = partial.path();
            self.disk.remove(&path).map_err(Error::io("remove", &path))?;
        }
        if tile.is_full() && existed {
            self.disk.remove(&folder).map_err(Error::io("remove", &folder))?;
        }
        Ok(())
    }
}

/// Signs the tree as it is.
pub(crate) fn sign(edge: &RightEdge, signer: &Signer) -> Result<Checkpoint, Error> {
    Checkpoint::sign(edge.size(), edge.root(), signer)
        .map_err(|source| Error::Text { what: "the new checkpoint".to_owned(), source })
}
