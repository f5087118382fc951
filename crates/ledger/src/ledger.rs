//! The writer: entries are staged, committed as a batch, and published as tiles and a checkpoint.
//!
//! A commit goes through these steps; a crash between any two of them loses nothing that was
//! acknowledged.
//!
//! 1. **Journal.** The batch and the checkpoint that signs it are added to the journal in one
//!    write, and the journal is synchronised: the one wait for the disk in the common case. A crash
//!    before it is done may leave a torn end, which the next opening cuts and says so, or the whole
//!    batch, which then counts.
//! 2. **Publish.** Entry bundles, hash tiles and, last, the file `checkpoint` are written under a
//!    spare name and renamed. They can all be made again from the journal, so nobody waits for the
//!    disk here. A crash may leave any of them old, missing or (after a power cut) empty: the next
//!    opening writes them again.
//! 3. **Settle**, each time a bundle of 256 entries is full. The full tiles are synchronised, and a
//!    new journal with only the entries after them takes the place of the old one. A crash leaves
//!    one journal or the other, and each is complete with the tiles that are durable at that
//!    moment.
//!
//! If step 1 fails the batch stays staged, in the same order, and whatever reached the disk of it
//! is replaced: after a failed write or synchronisation the state of the file is unknown (a second
//! `fsync` may report success for data that the first one dropped), so the next commit writes a
//! whole new journal beside the old one. If step 2 or 3 fails the entries are safe all the same,
//! and the next commit catches up.
//!
//! Entries once staged are never dropped or reordered, so two checkpoints signed by this log can
//! never contradict each other, whichever of them reached the disk.

use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, Folder, folder_of};
use crate::error::Error;
use crate::hash::Hash;
use crate::journal::{self, JOURNAL_FILE};
use crate::note::{Signer, Verifier};
use crate::reader::Reader;
use crate::recovery::Recovery;
use crate::shelf::{partials, read_hashes};
use crate::tile::{MAX_ENTRY_BYTES, Shelf, TILE_WIDTH, Tile, bundle};
use crate::tlog_proof::Proof;
use crate::tree::{Edge, Tree};

/// The format of the folder; a change that an older program would misread gets a new number.
pub(crate) const FORMAT: &str = "portcullis-ledger 1\n";

/// The file that states the format. It is written last when a ledger is made.
pub(crate) const FORMAT_FILE: &str = "format";
/// The 32 bytes of the secret key.
pub(crate) const KEY_FILE: &str = "key";
/// The public key, as a vkey and a newline.
pub(crate) const VKEY_FILE: &str = "vkey";
/// The newest published checkpoint.
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint";
/// The spare name under which every file is written before it is renamed into place.
pub(crate) const PENDING_FILE: &str = "pending";

/// The most bytes of entries kept in memory: staged, or not yet in settled tiles. Normally that is
/// less than one bundle; it grows only while the disk refuses to take more.
pub(crate) const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// What one entry counts against [`MAX_WAITING_BYTES`] beside its own size: its share of memory, of
/// the journal's frames and of the checkpoint of its batch.
const ENTRY_COST: usize = 512;

/// How many older partial versions of one tile are kept for readers who still hold an older
/// checkpoint.
///
/// tlog-tiles asks a log to serve the partial tiles of every checkpoint until the tile is full. Up
/// to 255 growing copies of the same entries are a lot to keep for one bundle, so the oldest go;
/// their content is the beginning of any wider version, which is what [`Reader`] uses.
const KEPT_PARTIALS: usize = 15;

/// The one writer of a ledger. It keeps the right edge of the tree in memory and nothing that grows
/// with the log.
#[derive(Debug)]
pub struct Ledger<D: Disk = Folder> {
    pub(crate) disk: D,
    pub(crate) signer: Signer,
    /// The tree over all entries in the journal and before it.
    pub(crate) edge: Edge,
    /// The signed head of that tree.
    pub(crate) checkpoint: Checkpoint,
    /// Entries that were appended and are not in the journal yet.
    pub(crate) staged: Vec<Vec<u8>>,
    /// The index of the journal's first entry; all before it is in full tiles, durably.
    pub(crate) base: u64,
    /// The entries in the journal, from `base` on.
    pub(crate) entries: Vec<Vec<u8>>,
    /// The hash tiles that became full after `base`.
    pub(crate) full_tiles: Vec<(Tile, Vec<Hash>)>,
    pub(crate) journal: JournalEnd,
    /// The size up to which tiles and checkpoint are written; `None` if all since `base` must be
    /// written again.
    pub(crate) published: Option<u64>,
    /// Whether files are compared with what is there before they are written: after opening, until
    /// all is published once.
    pub(crate) mending: bool,
    pub(crate) waiting_bytes: usize,
    pub(crate) recovery: Recovery,
}

/// What is known of the journal on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JournalEnd {
    /// It is whole and durable, and has this many bytes: the next batch goes there.
    At(u64),
    /// A write failed, or the file was only just read back: it must be replaced before it is relied
    /// on.
    Unsure,
}

impl Ledger<Folder> {
    /// Begins a ledger in a folder, which is made if need be. `origin` names the log, as a URL
    /// without its scheme; `seed` is 32 bytes of fresh entropy, which becomes the secret key and is
    /// stored in the file `key`, readable by its owner alone.
    pub fn create(folder: &Path, origin: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        Self::create_on(Folder::locked(folder)?, origin, seed).map_err(|error| named(error, folder))
    }

    /// Opens a ledger to write to it, and mends what a crash left unfinished: see
    /// [`Ledger::recovery`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        // A mistyped folder should not be made, only to hold a lock.
        if !folder.join(FORMAT_FILE).exists() {
            return Err(Error::NotALedger { folder: folder.display().to_string() });
        }
        Self::open_on(Folder::locked(folder)?).map_err(|error| named(error, folder))
    }

    /// Opens the ledger in a folder, or begins one if there is none. `seed` is used only in the
    /// second case.
    pub fn open_or_create(folder: &Path, origin: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        if !folder.join(FORMAT_FILE).exists() {
            return Self::create(folder, origin, seed);
        }
        let ledger = Self::open(folder)?;
        let found = ledger.signer.name();
        if found == origin {
            Ok(ledger)
        } else {
            Err(Error::OtherLog { found: found.to_owned(), expected: origin.to_owned() })
        }
    }

    /// A view of the entries and proofs that the newest checkpoint covers. It takes no lock: a
    /// writer may be at work.
    pub fn read(folder: &Path) -> Result<Reader, Error> {
        Reader::open(Folder::new(folder)).map_err(|error| named(error, folder))
    }
}

/// Puts the folder's real name into errors that speak of the folder as a whole.
fn named(error: Error, folder: &Path) -> Error {
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
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(Error::io("list", ""))?,
        };
        // What an interrupted beginning leaves may be overwritten: it never held an entry.
        let unfinished = [crate::disk::LOCK_FILE, KEY_FILE, VKEY_FILE, JOURNAL_FILE, PENDING_FILE];
        if let Some((found, _)) =
            listed.iter().find(|(name, _)| !unfinished.contains(&name.as_str()))
        {
            return Err(Error::AlreadyThere { folder: String::new(), found: found.clone() });
        }
        let edge = Edge::default();
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
            journal: JournalEnd::Unsure,
            published: None,
            mending: false,
            waiting_bytes: 0,
            recovery: Recovery::default(),
        };
        let seed = ledger.signer.seed();
        put_durably(&mut ledger.disk, KEY_FILE, &seed, true)?;
        let vkey = format!("{}\n", ledger.verifier());
        put_durably(&mut ledger.disk, VKEY_FILE, vkey.as_bytes(), false)?;
        ledger.replace_journal()?;
        put_durably(&mut ledger.disk, FORMAT_FILE, FORMAT.as_bytes(), false)?;
        ledger.catch_up()?;
        Ok(ledger)
    }

    /// Takes in an entry that the journal holds.
    pub(crate) fn hold(&mut self, entry: &[u8]) {
        self.waiting_bytes += entry.len() + ENTRY_COST;
        self.entries.push(entry.to_vec());
    }

    /// Stages an entry and says which index it will have. It is safe only once [`Ledger::commit`]
    /// says so.
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
    /// Without staged entries it finishes what an earlier failure left undone.
    ///
    /// On [`Error::NotDurable`] the entries are still staged; on [`Error::Behind`] they are durable
    /// ([`Error::entries_are_durable`]). In both cases call `commit` again later.
    pub fn commit(&mut self) -> Result<Checkpoint, Error> {
        if !self.staged.is_empty() {
            let entries = self.staged.len();
            self.make_durable()
                .map_err(|source| Error::NotDurable { entries, source: Box::new(source) })?;
        }
        self.catch_up().map_err(|error| Error::Behind(Box::new(error)))?;
        Ok(self.checkpoint.clone())
    }

    /// The number of entries that are durable.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The number of entries that are staged and not durable yet.
    pub fn staged(&self) -> usize {
        self.staged.len()
    }

    /// The newest checkpoint. It covers every durable entry.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The key that checks this log's signatures; it displays as the vkey to make known.
    pub fn verifier(&self) -> Verifier {
        self.signer.verifier()
    }

    /// What signs for this log, for a manifest of the folder around it.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What opening found unfinished and mended.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The disk that the ledger lies on.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The proof that the newest checkpoint covers an entry; its text is what a `.tlog-proof` file
    /// holds.
    pub fn prove_inclusion(&self, index: u64) -> Result<Proof, Error> {
        let size = self.size();
        if index >= size {
            return Err(Error::NoSuchEntry { index, size });
        }
        let hashes = Tree::new(size, |tile| self.hashes(tile)).inclusion(index)?;
        Ok(Proof { extra: None, index, hashes, checkpoint: self.checkpoint.note().to_owned() })
    }

    /// The hashes that show the log of `old_size` entries to be the beginning of the log as it is,
    /// for a witness that knows the older checkpoint.
    pub fn prove_consistency(&self, old_size: u64) -> Result<Vec<Hash>, Error> {
        let size = self.size();
        if old_size > size {
            return Err(Error::NoSuchEntry { index: old_size - 1, size });
        }
        Tree::new(size, |tile| self.hashes(tile)).consistency(old_size)
    }

    /// The hashes of a tile of the tree as it is, from memory where it is still growing.
    fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, Error> {
        if let Shelf::Hashes(level) = tile.shelf
            && !tile.is_full()
        {
            return Ok(self.edge.level(level).to_vec());
        }
        match self.full_tiles.iter().find(|(full, _)| *full == tile) {
            Some((_, hashes)) => Ok(hashes.clone()),
            None => read_hashes(&self.disk, tile),
        }
    }

    /// Step 1: brings the staged batch into the journal, and then into the tree in memory.
    fn make_durable(&mut self) -> Result<(), Error> {
        let mut edge = self.edge.clone();
        let mut full_tiles = Vec::new();
        for entry in &self.staged {
            edge.push(Hash::of_leaf(entry), |tile, hashes| {
                full_tiles.push((tile, hashes));
            });
        }
        let checkpoint = sign(&edge, &self.signer)?;
        let end = match self.journal {
            JournalEnd::At(end) => {
                let mut batch = Vec::new();
                self.staged.iter().for_each(|entry| journal::push_entry(&mut batch, entry));
                journal::push_checkpoint(&mut batch, &checkpoint);
                // Until both steps are done nothing is known about the file's end.
                self.journal = JournalEnd::Unsure;
                self.disk
                    .write_at(JOURNAL_FILE, end, &batch)
                    .map_err(Error::io("write", JOURNAL_FILE))?;
                self.disk.sync(JOURNAL_FILE).map_err(Error::io("synchronise", JOURNAL_FILE))?;
                end + batch.len() as u64
            }
            JournalEnd::Unsure => {
                let entries = self.entries.iter().chain(&self.staged);
                put_journal(&mut self.disk, self.base, entries, &checkpoint)?
            }
        };
        self.journal = JournalEnd::At(end);
        self.edge = edge;
        self.checkpoint = checkpoint;
        self.entries.append(&mut self.staged);
        self.full_tiles.append(&mut full_tiles);
        Ok(())
    }

    /// Steps 2 and 3, as far as they are due.
    pub(crate) fn catch_up(&mut self) -> Result<(), Error> {
        if self.journal == JournalEnd::Unsure {
            self.replace_journal()?;
        }
        self.publish()?;
        if self.size() / TILE_WIDTH > self.base / TILE_WIDTH { self.settle() } else { Ok(()) }
    }

    /// Puts a whole new journal with all that is durable in the place of the old one.
    fn replace_journal(&mut self) -> Result<(), Error> {
        self.journal = JournalEnd::Unsure;
        let end = put_journal(&mut self.disk, self.base, &self.entries, &self.checkpoint)?;
        self.journal = JournalEnd::At(end);
        Ok(())
    }

    /// Step 2: writes what changed since the last time. It can be repeated: the same files get the
    /// same content.
    fn publish(&mut self) -> Result<(), Error> {
        let size = self.size();
        if self.published == Some(size) {
            return Ok(());
        }
        let from = self.published.unwrap_or(self.base);
        let grew =
            |shelf: Shelf| self.published.is_none() || shelf.filled(size) > shelf.filled(from);

        let mut files = Vec::new();
        for index in from / TILE_WIDTH..=size / TILE_WIDTH {
            // The last index is beyond the end if the size is a multiple of 256.
            if let Some(tile) = Tile::in_tree(Shelf::Entries, index, size)
                && grew(Shelf::Entries)
            {
                let start = (index * TILE_WIDTH - self.base) as usize;
                let entries = &self.entries[start..start + usize::from(tile.width)];
                files.push((tile, bundle(entries.iter().map(Vec::as_slice))));
            }
        }
        for (tile, hashes) in &self.full_tiles {
            let was_full =
                Tile::in_tree(tile.shelf, tile.index, from).is_some_and(|old| old.is_full());
            if self.published.is_none() || !was_full {
                files.push((*tile, Hash::row_to_bytes(hashes)));
            }
        }
        for level in 0..self.edge.height() {
            let shelf = Shelf::Hashes(level);
            let index = shelf.filled(size) / TILE_WIDTH;
            if let Some(tile) = Tile::in_tree(shelf, index, size)
                && grew(shelf)
            {
                files.push((tile, Hash::row_to_bytes(self.edge.level(level))));
            }
        }
        for (tile, content) in &files {
            // A full tile is about to replace its entries in the journal. If an earlier process was
            // told that it could not be synchronised, reading it back proves nothing: the system
            // may show content that never reached the disk, and synchronising it again do nothing.
            self.put(&tile.path(), content, !tile.is_full())?;
        }
        let note = self.checkpoint.note().to_owned();
        self.put(CHECKPOINT_FILE, note.as_bytes(), true)?;
        let keep = if self.mending { 0 } else { KEPT_PARTIALS };
        for (tile, _) in files.iter().filter(|(tile, _)| !tile.is_full()) {
            let dropped = self.drop_partials(*tile, keep);
            // After a power cut an older version may be torn; otherwise it is merely in the way.
            if self.mending {
                dropped?;
            }
        }
        self.published = Some(size);
        self.mending = false;
        Ok(())
    }

    /// Step 3: makes the full tiles durable and begins a new journal after them.
    fn settle(&mut self) -> Result<(), Error> {
        let base = self.size() - self.size() % TILE_WIDTH;
        let width = TILE_WIDTH as u16;
        let bundles = (self.base / TILE_WIDTH..base / TILE_WIDTH).map(|index| Tile {
            shelf: Shelf::Entries,
            index,
            width,
        });
        let tiles: Vec<Tile> =
            bundles.chain(self.full_tiles.iter().map(|(tile, _)| *tile)).collect();
        if let Err(error) = self.sync_tiles(&tiles) {
            // What is on disk is uncertain now, even where reading it back shows the right content.
            self.published = None;
            self.mending = false;
            return Err(error);
        }
        let settled = (base - self.base) as usize;
        self.journal = JournalEnd::Unsure;
        let rest = &self.entries[settled..];
        let end = put_journal(&mut self.disk, base, rest, &self.checkpoint)?;
        self.journal = JournalEnd::At(end);
        self.base = base;
        let gone: usize = self.entries.drain(..settled).map(|entry| entry.len() + ENTRY_COST).sum();
        self.waiting_bytes -= gone;
        self.full_tiles.clear();
        Ok(())
    }

    /// Synchronises full tiles, removes their partial versions, and synchronises the names of all
    /// that.
    fn sync_tiles(&mut self, tiles: &[Tile]) -> Result<(), Error> {
        let mut folders = std::collections::BTreeSet::from([String::new()]);
        for tile in tiles {
            let path = tile.path();
            self.disk.sync(&path).map_err(Error::io("synchronise", &path))?;
            self.drop_partials(*tile, 0)?;
            let mut folder = folder_of(&path);
            while !folder.is_empty() {
                folders.insert(folder.to_owned());
                folder = folder_of(folder);
            }
        }
        for folder in folders {
            self.disk.sync_folder(&folder).map_err(Error::io("synchronise", &folder))?;
        }
        Ok(())
    }

    /// Writes a file that can be made again, in one step for whoever reads it meanwhile. After
    /// opening, a file that reads as it should is left alone if that may be `believed`.
    fn put(&mut self, path: &str, content: &[u8], believed: bool) -> Result<(), Error> {
        if self.mending {
            // After a crash most files are as they should be; the others are worth telling.
            let limit = content.len() as u64;
            match self.disk.read(path, limit) {
                Ok(found) if found == content && believed => return Ok(()),
                Ok(found) if found == content => {}
                Ok(_) | Err(_) => self.recovery.rewrote(path),
            }
        }
        self.disk.write(PENDING_FILE, content, false).map_err(Error::io("write", path))?;
        self.disk.rename(PENDING_FILE, path).map_err(Error::io("rename a new file to", path))
    }

    /// Removes the partial versions of a tile other than itself, but for the widest `keep`.
    fn drop_partials(&mut self, tile: Tile, keep: usize) -> Result<(), Error> {
        let folder = tile.partials_folder();
        let mut found = partials(&self.disk, tile).map_err(Error::io("list", &folder))?;
        let was_there = !found.is_empty();
        found.retain(|partial| *partial != tile);
        let old = found.len().saturating_sub(keep);
        for partial in &found[..old] {
            let path = partial.path();
            self.disk.remove(&path).map_err(Error::io("remove", &path))?;
        }
        if tile.is_full() && was_there {
            self.disk.remove(&folder).map_err(Error::io("remove", &folder))?;
        }
        Ok(())
    }
}

fn sign(edge: &Edge, signer: &Signer) -> Result<Checkpoint, Error> {
    Checkpoint::sign(edge.size(), edge.root(), signer)
        .map_err(|source| Error::Text { what: "the new checkpoint".to_owned(), source })
}

/// Replaces the journal durably, and says how long the new one is.
fn put_journal<'a>(
    disk: &mut impl Disk,
    base: u64,
    entries: impl IntoIterator<Item = &'a Vec<u8>>,
    checkpoint: &Checkpoint,
) -> Result<u64, Error> {
    let mut bytes = journal::header(base);
    for entry in entries {
        journal::push_entry(&mut bytes, entry);
    }
    journal::push_checkpoint(&mut bytes, checkpoint);
    put_durably(disk, JOURNAL_FILE, &bytes, false)?;
    Ok(bytes.len() as u64)
}

/// Writes a file so that a crash at any moment leaves the old content or the new, and after success
/// the new.
pub(crate) fn put_durably(
    disk: &mut impl Disk,
    path: &str,
    content: &[u8],
    secret: bool,
) -> Result<(), Error> {
    disk.write(PENDING_FILE, content, secret).map_err(Error::io("write", path))?;
    disk.sync(PENDING_FILE).map_err(Error::io("synchronise", path))?;
    disk.rename(PENDING_FILE, path).map_err(Error::io("rename a new file to", path))?;
    disk.sync_folder("").map_err(Error::io("synchronise the folder of", path))
}
