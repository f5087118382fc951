//! The audit of the ledger itself: entries, tiles, journal and checkpoint are compared.
//!
//! The same hashes are on disk up to three times: entries have leaf hashes, level-0 tiles repeat
//! them, and the tiles above combine them. The signed root shows which of them is right, and so
//! which file was changed.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_durable::{FileKind, ReadDisk, read_if_present};

use super::report::VerifyReport;
use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use crate::error::Error;
use crate::files::SubDir;
use crate::hash::Hash;
use crate::journal::Journal;
use crate::layout::{
    CHECKPOINT_FILE, FORMAT_FILE, JOURNAL_FILE, KEY_FILE, LOCK_FILE, MAX_JOURNAL_BYTES,
    PENDING_FILE, VKEY_FILE,
};
use crate::manifest::MANIFEST_FILE;
use crate::note::{Note, Verifier};
use crate::tile::{TILE_WIDTH, Tile, TileKind, split_bundle};
use crate::tile_reader::{hashes_in, size_limit};
use crate::tlog_proof::is_proof_file;
use crate::tree::{RightEdge, roots_at};

/// The most missing files that are reported one by one; after that the audit stops.
const MAX_MISSING: usize = 50;

/// Audits a ledger whose files are `listed`, and reports every faulty file. Returns the leaf hashes
/// for the later checks: the signed ones if they can be determined; `None` without a valid
/// signature.
pub(super) fn run<F: ReadDisk>(
    files: &SubDir<'_, F>,
    listed: &[(String, FileKind)],
    verifier: &Verifier,
    report: &mut VerifyReport,
) -> Result<Option<Vec<Hash>>, Error> {
    let checkpoint = read_checkpoint(files, verifier, report)?;
    let journal_bytes = read_journal(files, report)?;
    let journal = parse_journal(files, &journal_bytes, checkpoint.as_ref(), verifier, report);
    let mut audit =
        Audit { files, report, tiles: BTreeMap::new(), leaves: Vec::new(), complete: true };
    audit.classify(listed);
    let Some(head) = checkpoint.as_ref().or(journal.as_ref().and_then(Journal::last)) else {
        let what = "Neither the checkpoint nor the journal has a valid signature, so the entries, \
                    tiles and proofs were not checked.";
        audit.report.add_notice(None, what);
        return Ok(None);
    };
    audit.report.size = Some(head.size());
    audit.report.root = Some(head.root().to_string());
    // Bundles must exist for the entries that the checkpoint covers and for those before the journal.
    let base = journal.as_ref().map_or(0, |journal| journal.base);
    let due = checkpoint.as_ref().map_or(base, |checkpoint| checkpoint.size().max(base));
    let rows = audit.read_rows(due)?;
    let proven = audit.choose_leaves(&rows, due, journal.as_ref(), head)?;
    audit.compare_rows(&rows, proven);
    audit.compare_other_tiles(due, checkpoint.as_ref(), proven)?;
    if let Some(journal) = &journal {
        audit.compare_journal(journal);
    }
    audit.compare_roots(checkpoint.as_ref(), journal.as_ref(), proven);
    audit.report.checked.entries = audit.leaves.len() as u64;
    Ok(Some(audit.leaves))
}

fn read_checkpoint<F: ReadDisk>(
    files: &SubDir<'_, F>,
    verifier: &Verifier,
    report: &mut VerifyReport,
) -> Result<Option<Checkpoint>, Error> {
    let file = files.outer(CHECKPOINT_FILE);
    let Some(note) = read_or_report(files, CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES as u64, report)?
    else {
        return Ok(None);
    };
    let Ok(note) = String::from_utf8(note) else {
        report.add_fault(file, None, "it is not text");
        return Ok(None);
    };
    let others = Note::parse(&note, MAX_CHECKPOINT_BYTES);
    let others = others.map_or(0, |note| note.signatures_by_others(verifier));
    match Checkpoint::verify(&note, verifier) {
        Ok(checkpoint) => {
            if others > 0 {
                let what = format!(
                    "it also has {others} signatures by other keys, which were not verified"
                );
                report.add_notice(Some(&file), what);
            }
            Ok(Some(checkpoint))
        }
        Err(error) => {
            report.add_fault(file, None, error.to_string());
            Ok(None)
        }
    }
}

fn read_journal<F: ReadDisk>(
    files: &SubDir<'_, F>,
    report: &mut VerifyReport,
) -> Result<Vec<u8>, Error> {
    Ok(read_or_report(files, JOURNAL_FILE, MAX_JOURNAL_BYTES, report)?.unwrap_or_default())
}

fn parse_journal<'a, F: ReadDisk>(
    files: &SubDir<'_, F>,
    bytes: &'a [u8],
    checkpoint: Option<&Checkpoint>,
    verifier: &Verifier,
    report: &mut VerifyReport,
) -> Option<Journal<'a>> {
    if bytes.is_empty() && report.faults.iter().any(|fault| fault.file == files.outer(JOURNAL_FILE))
    {
        return None;
    }
    let file = files.outer(JOURNAL_FILE);
    let journal = match Journal::read(bytes, verifier) {
        Ok(journal) => journal,
        Err(Error::Damaged { entry, what, .. }) => {
            report.add_fault(file, entry, what);
            return None;
        }
        Err(other) => {
            report.add_fault(file, None, other.to_string());
            return None;
        }
    };
    let (size, covers) = (journal.size(), checkpoint.map_or(0, Checkpoint::size));
    if size < covers {
        let (entry, what) = journal.shorter_than(covers);
        report.add_fault(file, Some(entry), what);
        return None;
    }
    if let Some(tail) = &journal.tail {
        let what = format!(
            "its last {} bytes are an interrupted batch. It was never acknowledged; the next opening cuts it",
            tail.bytes
        );
        report.add_notice(Some(&file), what);
    }
    if checkpoint.is_some() && size > covers {
        let what = format!(
            "it has entries {covers} to {}, signed and durable, which the checkpoint does not cover yet",
            size - 1
        );
        report.add_notice(Some(&file), what);
    }
    Some(journal)
}

/// Reads a file that must exist; reports a fault if it is missing or too large.
fn read_or_report<F: ReadDisk>(
    files: &SubDir<'_, F>,
    path: &str,
    limit: u64,
    report: &mut VerifyReport,
) -> Result<Option<Vec<u8>>, Error> {
    match read_if_present(files, path, limit) {
        Ok(Some(content)) => Ok(Some(content)),
        Ok(None) => {
            report.add_fault(files.outer(path), None, "it is missing");
            Ok(None)
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            report.add_fault(files.outer(path), None, error.to_string());
            Ok(None)
        }
        Err(error) => Err(Error::io("read", &files.outer(path))(error)),
    }
}

/// The leaf hashes of one file: of its entries, or stored in it.
struct LeafHashes {
    file: Tile,
    hashes: Vec<Hash>,
    /// Why its content does not fit its name.
    problem: Option<String>,
}

/// The leaf hashes of one bundle, twice.
struct Bundle {
    entries: Option<LeafHashes>,
    hashes: Option<LeafHashes>,
}

/// Chooses the leaf hashes of a bundle, given its number.
type HashSource<'a> = &'a dyn Fn(usize, &Bundle) -> Option<Vec<Hash>>;

struct Audit<'a, 'f, F> {
    files: &'a SubDir<'f, F>,
    report: &'a mut VerifyReport,
    /// The listed tile files that are not checked yet.
    tiles: BTreeMap<(TileKind, u64), BTreeSet<Tile>>,
    leaves: Vec<Hash>,
    /// Whether `leaves` has every leaf of the log.
    complete: bool,
}

impl<F: ReadDisk> Audit<'_, '_, F> {
    /// Sorts the files of the folder: tiles to be checked, others known by name, and foreign ones.
    fn classify(&mut self, listed: &[(String, FileKind)]) {
        for (path, kind) in listed {
            let outer = self.files.outer(path);
            if *kind == FileKind::Other {
                self.report.add_fault(
                    outer,
                    None,
                    "it is not a regular file, and was not followed",
                );
                continue;
            }
            if let Some(tile) = Tile::parse(path) {
                self.tiles.entry((tile.kind, tile.index)).or_default().insert(tile);
                continue;
            }
            match path.as_str() {
                FORMAT_FILE | KEY_FILE | VKEY_FILE | CHECKPOINT_FILE | JOURNAL_FILE
                | MANIFEST_FILE => {}
                LOCK_FILE => {
                    if self.files.read(path, 0).is_err() {
                        self.report.add_fault(outer, None, "it is not empty");
                    }
                }
                PENDING_FILE => {
                    let what = "an interrupted write left it behind; it is not part of the log, and may contain secrets";
                    self.report.add_notice(Some(&outer), what);
                }
                proof if is_proof_file(proof) => {}
                _ => self.report.add_fault(outer, None, "it does not belong to the ledger"),
            }
        }
    }

    /// Reads, for each bundle that must exist, the entries and the level-0 tile.
    fn read_rows(&mut self, due: u64) -> Result<Vec<Bundle>, Error> {
        let mut bundles = Vec::new();
        let mut missing = 0;
        for index in 0..due.div_ceil(TILE_WIDTH) {
            let bundle = Bundle {
                entries: self.take_row(TileKind::Entries, index, due)?,
                hashes: self.take_row(TileKind::Hashes(0), index, due)?,
            };
            missing += usize::from(bundle.entries.is_none()) + usize::from(bundle.hashes.is_none());
            bundles.push(bundle);
            if missing > MAX_MISSING {
                let what = format!(
                    "over {MAX_MISSING} files are missing; entries from {} on were not checked",
                    index * TILE_WIDTH
                );
                self.report.add_notice(None, what);
                break;
            }
        }
        Ok(bundles)
    }

    /// Takes the narrowest file with at least the slots that a tree of `due` entries has in this tile.
    fn take_row(
        &mut self,
        kind: TileKind,
        index: u64,
        due: u64,
    ) -> Result<Option<LeafHashes>, Error> {
        let Some(wanted) = Tile::in_tree(kind, index, due) else {
            return Ok(None);
        };
        let found = self.tiles.get_mut(&(kind, index)).and_then(|versions| {
            let file = versions.iter().find(|version| version.width >= wanted.width).copied()?;
            versions.take(&file)
        });
        if found.is_none() {
            self.report.add_fault(self.files.outer(&wanted.path()), None, "it is missing");
        }
        found.map(|file| self.read_row(file)).transpose()
    }

    fn read_row(&mut self, file: Tile) -> Result<LeafHashes, Error> {
        let path = file.path();
        let bytes = match self.files.read(&path, size_limit(file.kind)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Ok(LeafHashes {
                    file,
                    hashes: Vec::new(),
                    problem: Some(error.to_string()),
                });
            }
            Err(error) => return Err(Error::io("read", &self.files.outer(&path))(error)),
        };
        let width = usize::from(file.width);
        match file.kind {
            TileKind::Entries => {
                self.report.checked.bundles += 1;
                let (entries, rest) = split_bundle(&bytes);
                let whole = rest == 0 && entries.len() == width;
                let problem = (!whole).then(|| {
                    let found = entries.len();
                    format!("it must hold exactly {width} entries, but has {found} and {rest} more bytes")
                });
                let hashes = entries.into_iter().take(width).map(Hash::of_leaf).collect();
                Ok(LeafHashes { file, hashes, problem })
            }
            TileKind::Hashes(_) => {
                self.report.checked.tiles += 1;
                Ok(match hashes_in(file, &bytes) {
                    Ok(hashes) => LeafHashes { file, hashes, problem: None },
                    Err(Error::Damaged { what, .. }) => {
                        LeafHashes { file, hashes: Vec::new(), problem: Some(what) }
                    }
                    Err(other) => return Err(other),
                })
            }
        }
    }

    /// Finds the leaf hashes whose root the target signs: those of the entries, or of the level-0
    /// tiles, or, where both were damaged, those that the tile above confirms. Returns whether they
    /// were found.
    fn choose_leaves(
        &mut self,
        bundles: &[Bundle],
        due: u64,
        journal: Option<&Journal>,
        target: &Checkpoint,
    ) -> Result<bool, Error> {
        let confirmed = self.confirmed_by_level_1(bundles, due)?;
        let sources: [HashSource; 4] = [
            &|_, bundle| whole(bundle.entries.as_ref()),
            &|_, bundle| whole(bundle.hashes.as_ref()),
            &|index, bundle| {
                confirmed.get(&index).cloned().or_else(|| whole(bundle.entries.as_ref()))
            },
            &|index, bundle| {
                confirmed.get(&index).cloned().or_else(|| whole(bundle.hashes.as_ref()))
            },
        ];
        for source in sources {
            let rows: Option<Vec<Vec<Hash>>> =
                bundles.iter().enumerate().map(|(index, bundle)| source(index, bundle)).collect();
            let Some(rows) = rows else { continue };
            let leaves = with_journal(&rows, due, journal);
            let root = roots_at(&leaves, [target.size()]).remove(&target.size());
            if root == Some(target.root()) {
                self.leaves = leaves;
                return Ok(true);
            }
        }
        // No source leads to the signed root. The best guess shows which files contradict each other.
        let rows: Vec<Vec<Hash>> = bundles
            .iter()
            .map_while(|bundle| {
                whole(bundle.entries.as_ref()).or_else(|| whole(bundle.hashes.as_ref()))
            })
            .collect();
        let complete = rows.len() == bundles.len();
        self.leaves = with_journal(&rows, due, journal.filter(|_| complete));
        self.complete = complete;
        Ok(false)
    }

    /// For full bundles whose two files differ: the hashes that the level-1 tile confirms.
    fn confirmed_by_level_1(
        &mut self,
        bundles: &[Bundle],
        due: u64,
    ) -> Result<BTreeMap<usize, Vec<Hash>>, Error> {
        let mut confirmed = BTreeMap::new();
        for (number, bundle) in bundles.iter().enumerate() {
            let rows = [whole(bundle.entries.as_ref()), whole(bundle.hashes.as_ref())];
            if rows[0] == rows[1] {
                continue;
            }
            let index = number as u64;
            let above = self.tiles.get(&(TileKind::Hashes(1), index / TILE_WIDTH));
            let above = above.and_then(|versions| versions.last()).copied();
            let Some(above) = above.filter(|_| (index + 1) * TILE_WIDTH <= due) else {
                continue;
            };
            let counted = self.report.checked;
            let row = self.read_row(above)?;
            self.report.checked = counted;
            let Some(folded) = row.hashes.get((index % TILE_WIDTH) as usize) else {
                continue;
            };
            let right = rows
                .into_iter()
                .flatten()
                .find(|row| row.len() as u64 == TILE_WIDTH && Hash::of_row(row) == *folded);
            if let Some(right) = right {
                confirmed.insert(number, right);
            }
        }
        Ok(confirmed)
    }

    /// Reports the files whose leaf hashes are not the chosen ones.
    fn compare_rows(&mut self, bundles: &[Bundle], proven: bool) {
        for bundle in bundles {
            for (row, other) in
                [(&bundle.entries, &bundle.hashes), (&bundle.hashes, &bundle.entries)]
            {
                let Some(row) = row else { continue };
                let differs = self.compare_row(row, proven);
                // If neither file is proven right, both are reported.
                if let (false, false, Some(other)) = (differs, proven, other)
                    && let Some(at) = first_difference(&row.hashes, &other.hashes)
                {
                    let entry = row.file.index * TILE_WIDTH + at as u64;
                    let what = format!(
                        "it contradicts {}; no signature shows which of them is right",
                        other.file.path()
                    );
                    self.report.add_fault(self.files.outer(&row.file.path()), Some(entry), what);
                }
            }
        }
    }

    /// Reports a file of entries or leaf hashes if it differs from the leaves; returns whether it
    /// did.
    fn compare_row(&mut self, row: &LeafHashes, proven: bool) -> bool {
        let start = row.file.index.saturating_mul(TILE_WIDTH);
        let known = usize::try_from(start).ok().and_then(|start| self.leaves.get(start..));
        let known = known.unwrap_or_default();
        let wanted = &known[..known.len().min(usize::from(row.file.width))];
        let different =
            row.hashes.iter().zip(wanted).filter(|(found, right)| found != right).count();
        let at = row.hashes.iter().zip(wanted).position(|(found, right)| found != right);
        let file = self.files.outer(&row.file.path());
        let by = if proven { "that the checkpoint signs" } else { "in the other files" };
        let entry = |at: usize| Some(start + at as u64);
        match (at, &row.problem) {
            (Some(at), _) => {
                let kind =
                    if row.file.kind == TileKind::Entries { "the entry" } else { "the leaf hash" };
                let more = match different - 1 {
                    0 => String::new(),
                    more => format!(" (and {more} after it in this file)"),
                };
                self.report.add_fault(file, entry(at), format!("{kind} is not the one {by}{more}"));
                true
            }
            (None, Some(problem)) => {
                self.report.add_fault(file, entry(row.hashes.len()), problem.clone());
                true
            }
            (None, None) => false,
        }
    }

    /// Checks the tiles above level 0, partial versions, and tiles that are ahead of the checkpoint
    /// after a crash.
    fn compare_other_tiles(
        &mut self,
        due: u64,
        checkpoint: Option<&Checkpoint>,
        proven: bool,
    ) -> Result<(), Error> {
        let mut edge = RightEdge::default();
        let mut rows: BTreeMap<(TileKind, u64), Vec<Hash>> = BTreeMap::new();
        for leaf in &self.leaves {
            edge.push(*leaf, |tile, hashes| {
                if tile.kind != TileKind::Hashes(0) {
                    rows.insert((tile.kind, tile.index), hashes);
                }
            });
        }
        for level in 1..edge.height() {
            let kind = TileKind::Hashes(level);
            let index = kind.filled(edge.size()) / TILE_WIDTH;
            rows.insert((kind, index), edge.level(level).to_vec());
        }
        let size = self.leaves.len() as u64;
        let covered = checkpoint.map_or(due, Checkpoint::size).min(size);
        for (kind, index) in rows.keys() {
            let Some(wanted) = Tile::in_tree(*kind, *index, covered) else {
                continue;
            };
            let versions = self.tiles.get(&(*kind, *index));
            if !versions.is_some_and(|all| all.iter().any(|version| version.width >= wanted.width))
            {
                self.report.add_fault(self.files.outer(&wanted.path()), None, "it is missing");
            }
        }
        for (key, versions) in std::mem::take(&mut self.tiles) {
            for file in versions {
                let outer = self.files.outer(&file.path());
                let full = Tile::in_tree(file.kind, file.index, size).map_or(0, |tile| tile.width);
                if file.width > full && !self.complete {
                    continue;
                }
                if file.width > full {
                    let what = format!("it goes beyond the {size} entries of this log");
                    self.report.add_fault(outer, None, what);
                    continue;
                }
                let row = self.read_row(file)?;
                if matches!(file.kind, TileKind::Entries | TileKind::Hashes(0)) {
                    self.compare_row(&row, proven);
                    continue;
                }
                let right = rows.get(&key).and_then(|right| right.get(..usize::from(file.width)));
                match row.problem {
                    Some(problem) => self.report.add_fault(outer, None, problem),
                    None if right != Some(row.hashes.as_slice()) => {
                        self.report.add_fault(
                            outer,
                            None,
                            "its hashes are not those of the tiles below it",
                        );
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn compare_journal(&mut self, journal: &Journal) {
        self.report.checked.journal_entries = journal.entries.len() as u64;
        for (entry, index) in journal.entries.iter().zip(journal.base..) {
            let right = usize::try_from(index).ok().and_then(|index| self.leaves.get(index));
            if right.is_some_and(|right| *right != Hash::of_leaf(entry)) {
                let what = "the entry is not the one that the checkpoint signs";
                self.report.add_fault(self.files.outer(JOURNAL_FILE), Some(index), what);
            }
        }
    }

    /// Checks that every signed root is the root of the leaves.
    fn compare_roots(
        &mut self,
        checkpoint: Option<&Checkpoint>,
        journal: Option<&Journal>,
        proven: bool,
    ) {
        let signed = journal.map_or(&[][..], |journal| &journal.checkpoints);
        let sizes = signed.iter().chain(checkpoint).map(Checkpoint::size);
        let roots = roots_at(&self.leaves, sizes);
        let is_wrong = |signed: &&Checkpoint| {
            roots.get(&signed.size()).is_some_and(|root| *root != signed.root())
        };
        if proven && let Some(wrong) = signed.iter().find(is_wrong) {
            let what = format!(
                "its checkpoint for {} entries signs a root that is not theirs",
                wrong.size()
            );
            self.report.add_fault(self.files.outer(JOURNAL_FILE), None, what);
        }
        // Files that contradict each other are already reported. Otherwise all of them contradict the
        // signature.
        if !proven && self.report.faults.is_empty() {
            let what = "the files agree with each other but not with the signed root: all of them were rewritten, \
                        or the checkpoint belongs to another history";
            self.report.add_fault(self.files.outer(CHECKPOINT_FILE), None, what);
        }
    }
}

/// The hashes of a file, if its content fits its name.
fn whole(row: Option<&LeafHashes>) -> Option<Vec<Hash>> {
    row.filter(|row| row.problem.is_none()).map(|row| row.hashes.clone())
}

/// The leaves of the bundles up to `due`, followed by those of the journal.
fn with_journal(rows: &[Vec<Hash>], due: u64, journal: Option<&Journal>) -> Vec<Hash> {
    let mut leaves = rows.concat();
    leaves.truncate(usize::try_from(due).unwrap_or(usize::MAX));
    if let Some(journal) = journal {
        let known = (leaves.len() as u64).saturating_sub(journal.base);
        let new = journal.entries.get(known as usize..).unwrap_or_default();
        leaves.extend(new.iter().map(|entry| Hash::of_leaf(entry)));
    }
    leaves
}

fn first_difference(one: &[Hash], other: &[Hash]) -> Option<usize> {
    one.iter().zip(other).position(|(one, other)| one != other)
}
