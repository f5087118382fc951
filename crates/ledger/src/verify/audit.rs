//! The audit of the ledger itself: entries, tiles, journal and checkpoint against one another.
//!
//! The same hashes are on disk up to three times: entries make leaf hashes, level-0 tiles repeat
//! them, and the tiles above fold them. The signed root says which of them is right, and so which
//! file was changed.

use std::collections::{BTreeMap, BTreeSet};

use super::{is_proof, report::Report, roots_at};
use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use crate::disk::{Files, Kind, LOCK_FILE, Within, read_if_there};
use crate::error::Error;
use crate::hash::Hash;
use crate::journal::{JOURNAL_FILE, Journal, MAX_JOURNAL_BYTES};
use crate::ledger::{CHECKPOINT_FILE, FORMAT_FILE, KEY_FILE, PENDING_FILE, VKEY_FILE};
use crate::manifest::MANIFEST_FILE;
use crate::note::{self, Verifier};
use crate::shelf::{hashes_in, size_limit};
use crate::tile::{Shelf, TILE_WIDTH, Tile, split_bundle};
use crate::tree::Edge;

/// How many missing files are named one by one before the search for more is given up.
const MAX_MISSING: usize = 50;

/// Audits a ledger whose files are `listed`, and reports every file that is not as it should be.
/// Returns the leaf hashes for the checks after it: the signed ones if they can be had. `None` if
/// nothing signed can be read.
pub(super) fn run<F: Files>(
    files: &Within<'_, F>,
    listed: &[(String, Kind)],
    verifier: &Verifier,
    report: &mut Report,
) -> Result<Option<Vec<Hash>>, Error> {
    let checkpoint = read_checkpoint(files, verifier, report)?;
    let journal_bytes = read_journal(files, report)?;
    let journal = parse_journal(files, &journal_bytes, checkpoint.as_ref(), verifier, report);
    let mut audit =
        Audit { files, report, tiles: BTreeMap::new(), leaves: Vec::new(), complete: true };
    audit.sort_out(listed);
    let Some(head) = checkpoint.as_ref().or(journal.as_ref().and_then(Journal::last)) else {
        let what = "Neither the checkpoint nor the journal has a signature to rely on, so the \
                    entries, tiles and proofs were not checked.";
        audit.report.note(None, what);
        return Ok(None);
    };
    audit.report.size = Some(head.size());
    audit.report.root = Some(head.root().to_string());
    // Bundles are due for what the checkpoint covers, and for what the journal has left to them.
    let base = journal.as_ref().map_or(0, |journal| journal.base);
    let due = checkpoint.as_ref().map_or(base, |checkpoint| checkpoint.size().max(base));
    let rows = audit.read_rows(due)?;
    let proven = audit.choose_leaves(&rows, due, journal.as_ref(), head)?;
    audit.compare_rows(&rows, proven);
    audit.compare_the_rest(due, checkpoint.as_ref(), proven)?;
    if let Some(journal) = &journal {
        audit.compare_journal(journal);
    }
    audit.compare_roots(checkpoint.as_ref(), journal.as_ref(), proven);
    audit.report.checked.entries = audit.leaves.len() as u64;
    Ok(Some(audit.leaves))
}

fn read_checkpoint<F: Files>(
    files: &Within<'_, F>,
    verifier: &Verifier,
    report: &mut Report,
) -> Result<Option<Checkpoint>, Error> {
    let file = files.outer(CHECKPOINT_FILE);
    let Some(note) = read_or_blame(files, CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES as u64, report)?
    else {
        return Ok(None);
    };
    let Ok(note) = String::from_utf8(note) else {
        report.fault(file, None, "it is not text");
        return Ok(None);
    };
    let others = note::Note::parse(&note, MAX_CHECKPOINT_BYTES);
    let others = others.map_or(0, |note| note.signatures_by_others(verifier));
    match Checkpoint::verify(&note, verifier) {
        Ok(checkpoint) => {
            if others > 0 {
                let what = format!(
                    "it also bears {others} signatures by other keys, which were not checked"
                );
                report.note(Some(&file), what);
            }
            Ok(Some(checkpoint))
        }
        Err(error) => {
            report.fault(file, None, error.to_string());
            Ok(None)
        }
    }
}

fn read_journal<F: Files>(files: &Within<'_, F>, report: &mut Report) -> Result<Vec<u8>, Error> {
    Ok(read_or_blame(files, JOURNAL_FILE, MAX_JOURNAL_BYTES, report)?.unwrap_or_default())
}

fn parse_journal<'a, F: Files>(
    files: &Within<'_, F>,
    bytes: &'a [u8],
    checkpoint: Option<&Checkpoint>,
    verifier: &Verifier,
    report: &mut Report,
) -> Option<Journal<'a>> {
    if bytes.is_empty() && report.faults.iter().any(|fault| fault.file == files.outer(JOURNAL_FILE))
    {
        return None;
    }
    let file = files.outer(JOURNAL_FILE);
    let journal = match Journal::read(bytes, verifier) {
        Ok(journal) => journal,
        Err(Error::Damaged { entry, what, .. }) => {
            report.fault(file, entry, what);
            return None;
        }
        Err(other) => {
            report.fault(file, None, other.to_string());
            return None;
        }
    };
    let (size, covers) = (journal.size(), checkpoint.map_or(0, Checkpoint::size));
    if size < covers {
        let tail = journal.tail.as_ref();
        let entry = tail.and_then(|tail| tail.entry).or(Some(size));
        let why = tail
            .map_or_else(String::new, |tail| format!(": at byte {}, {}", tail.offset, tail.what));
        let what = format!(
            "the checkpoint covers {covers} entries, but the journal ends after {size}{why}"
        );
        report.fault(file, entry, what);
        return None;
    }
    if let Some(tail) = &journal.tail {
        let what = format!(
            "its last {} bytes are a batch whose writing was interrupted. It was never acknowledged; the next \
             opening cuts it",
            tail.bytes
        );
        report.note(Some(&file), what);
    }
    if checkpoint.is_some() && size > covers {
        let what = format!(
            "it holds entries {covers} to {}, signed and durable, which the checkpoint does not cover yet",
            size - 1
        );
        report.note(Some(&file), what);
    }
    Some(journal)
}

/// A file that must be there; if it is missing or too large that is a fault of the folder.
fn read_or_blame<F: Files>(
    files: &Within<'_, F>,
    path: &str,
    limit: u64,
    report: &mut Report,
) -> Result<Option<Vec<u8>>, Error> {
    match read_if_there(files, path, limit) {
        Ok(Some(content)) => Ok(Some(content)),
        Ok(None) => {
            report.fault(files.outer(path), None, "it is missing");
            Ok(None)
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            report.fault(files.outer(path), None, error.to_string());
            Ok(None)
        }
        Err(error) => Err(Error::io("read", &files.outer(path))(error)),
    }
}

/// What one file says about leaf hashes.
struct Row {
    file: Tile,
    hashes: Vec<Hash>,
    /// Why it has fewer or other slots than its name says.
    problem: Option<String>,
}

/// What the files say about the leaves of one bundle.
struct Bundle {
    entries: Option<Row>,
    hashes: Option<Row>,
}

/// A way to choose the leaf hashes of a bundle, of which the number is given too.
type Way<'a> = &'a dyn Fn(usize, &Bundle) -> Option<Vec<Hash>>;

struct Audit<'a, 'f, F> {
    files: &'a Within<'f, F>,
    report: &'a mut Report,
    /// The tile files that were listed and are not accounted for yet.
    tiles: BTreeMap<(Shelf, u64), BTreeSet<Tile>>,
    leaves: Vec<Hash>,
    /// Whether `leaves` are all that the log should have.
    complete: bool,
}

impl<F: Files> Audit<'_, '_, F> {
    /// Sorts the files of the folder: tiles to be checked, others known by name, and those that do
    /// not belong.
    fn sort_out(&mut self, listed: &[(String, Kind)]) {
        for (path, kind) in listed {
            let outer = self.files.outer(path);
            if *kind == Kind::Other {
                self.report.fault(outer, None, "it is not a regular file, and was not followed");
                continue;
            }
            if let Some(tile) = Tile::parse(path) {
                self.tiles.entry((tile.shelf, tile.index)).or_default().insert(tile);
                continue;
            }
            match path.as_str() {
                FORMAT_FILE | KEY_FILE | VKEY_FILE | CHECKPOINT_FILE | JOURNAL_FILE
                | MANIFEST_FILE => {}
                LOCK_FILE => {
                    if self.files.read(path, 0).is_err() {
                        self.report.fault(outer, None, "it should be empty");
                    }
                }
                PENDING_FILE => {
                    let what = "an interrupted write left it behind; it is no part of the log, and may hold secrets";
                    self.report.note(Some(&outer), what);
                }
                proof if is_proof(proof) => {}
                _ => self.report.fault(outer, None, "it does not belong to the ledger"),
            }
        }
    }

    /// Reads, for each bundle that is due, the entries and the level-0 tile.
    fn read_rows(&mut self, due: u64) -> Result<Vec<Bundle>, Error> {
        let mut bundles = Vec::new();
        let mut missing = 0;
        for index in 0..due.div_ceil(TILE_WIDTH) {
            let bundle = Bundle {
                entries: self.take_row(Shelf::Entries, index, due)?,
                hashes: self.take_row(Shelf::Hashes(0), index, due)?,
            };
            missing += usize::from(bundle.entries.is_none()) + usize::from(bundle.hashes.is_none());
            bundles.push(bundle);
            if missing > MAX_MISSING {
                let what = format!(
                    "so much is missing that nothing after entry {} was checked",
                    index * TILE_WIDTH
                );
                self.report.note(None, what);
                break;
            }
        }
        Ok(bundles)
    }

    /// Takes the narrowest file that should hold what a tree of `due` entries has in this tile.
    fn take_row(&mut self, shelf: Shelf, index: u64, due: u64) -> Result<Option<Row>, Error> {
        let Some(wanted) = Tile::in_tree(shelf, index, due) else {
            return Ok(None);
        };
        let found = self.tiles.get_mut(&(shelf, index)).and_then(|versions| {
            let file = versions.iter().find(|version| version.width >= wanted.width).copied()?;
            versions.take(&file)
        });
        if found.is_none() {
            self.report.fault(self.files.outer(&wanted.path()), None, "it is missing");
        }
        found.map(|file| self.read_row(file)).transpose()
    }

    fn read_row(&mut self, file: Tile) -> Result<Row, Error> {
        let path = file.path();
        let bytes = match self.files.read(&path, size_limit(file.shelf)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Ok(Row { file, hashes: Vec::new(), problem: Some(error.to_string()) });
            }
            Err(error) => return Err(Error::io("read", &self.files.outer(&path))(error)),
        };
        let width = usize::from(file.width);
        match file.shelf {
            Shelf::Entries => {
                self.report.checked.bundles += 1;
                let (entries, rest) = split_bundle(&bytes);
                let whole = rest == 0 && entries.len() == width;
                let problem = (!whole).then(|| {
                    let found = entries.len();
                    format!("it should hold exactly {width} entries, and has {found} and {rest} bytes more")
                });
                let hashes = entries.into_iter().take(width).map(Hash::of_leaf).collect();
                Ok(Row { file, hashes, problem })
            }
            Shelf::Hashes(_) => {
                self.report.checked.tiles += 1;
                Ok(match hashes_in(file, &bytes) {
                    Ok(hashes) => Row { file, hashes, problem: None },
                    Err(Error::Damaged { what, .. }) => {
                        Row { file, hashes: Vec::new(), problem: Some(what) }
                    }
                    Err(other) => return Err(other),
                })
            }
        }
    }

    /// Finds the leaf hashes that the target signs: from the entries, or the level-0 tiles, or,
    /// where both were damaged, from whichever the tile above confirms. Returns whether they were
    /// found.
    fn choose_leaves(
        &mut self,
        bundles: &[Bundle],
        due: u64,
        journal: Option<&Journal>,
        target: &Checkpoint,
    ) -> Result<bool, Error> {
        let confirmed = self.confirmed_by_level_1(bundles, due)?;
        let ways: [Way; 4] = [
            &|_, bundle| whole(bundle.entries.as_ref()),
            &|_, bundle| whole(bundle.hashes.as_ref()),
            &|index, bundle| {
                confirmed.get(&index).cloned().or_else(|| whole(bundle.entries.as_ref()))
            },
            &|index, bundle| {
                confirmed.get(&index).cloned().or_else(|| whole(bundle.hashes.as_ref()))
            },
        ];
        for way in ways {
            let rows: Option<Vec<Vec<Hash>>> =
                bundles.iter().enumerate().map(|(index, bundle)| way(index, bundle)).collect();
            let Some(rows) = rows else { continue };
            let leaves = continued(&rows, due, journal);
            let root = roots_at(&leaves, [target.size()]).remove(&target.size());
            if root == Some(target.root()) {
                self.leaves = leaves;
                return Ok(true);
            }
        }
        // Nothing adds up to what was signed. The best guess serves to name what contradicts what.
        let rows: Vec<Vec<Hash>> = bundles
            .iter()
            .map_while(|bundle| {
                whole(bundle.entries.as_ref()).or_else(|| whole(bundle.hashes.as_ref()))
            })
            .collect();
        let complete = rows.len() == bundles.len();
        self.leaves = continued(&rows, due, journal.filter(|_| complete));
        self.complete = complete;
        Ok(false)
    }

    /// For full bundles whose two rows differ: the row that the level-1 tile confirms.
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
            let above = self.tiles.get(&(Shelf::Hashes(1), index / TILE_WIDTH));
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

    /// Blames the files whose leaf hashes are not the chosen ones.
    fn compare_rows(&mut self, bundles: &[Bundle], proven: bool) {
        for bundle in bundles {
            for (row, other) in
                [(&bundle.entries, &bundle.hashes), (&bundle.hashes, &bundle.entries)]
            {
                let Some(row) = row else { continue };
                let differs = self.compare_row(row, proven);
                // Where nothing proves which of two is right, both are named.
                if let (false, false, Some(other)) = (differs, proven, other)
                    && let Some(at) = first_difference(&row.hashes, &other.hashes)
                {
                    let entry = row.file.index * TILE_WIDTH + at as u64;
                    let what = format!(
                        "it contradicts {}; nothing here shows which is right",
                        other.file.path()
                    );
                    self.report.fault(self.files.outer(&row.file.path()), Some(entry), what);
                }
            }
        }
    }

    /// Blames a file of entries or leaf hashes if it differs from the leaves, and says whether it
    /// did.
    fn compare_row(&mut self, row: &Row, proven: bool) -> bool {
        let start = row.file.index.saturating_mul(TILE_WIDTH);
        let known = usize::try_from(start).ok().and_then(|start| self.leaves.get(start..));
        let known = known.unwrap_or_default();
        let wanted = &known[..known.len().min(usize::from(row.file.width))];
        let different =
            row.hashes.iter().zip(wanted).filter(|(found, right)| found != right).count();
        let at = row.hashes.iter().zip(wanted).position(|(found, right)| found != right);
        let file = self.files.outer(&row.file.path());
        let by = if proven { "that the checkpoint signs" } else { "that the other files hold" };
        let entry = |at: usize| Some(start + at as u64);
        match (at, &row.problem) {
            (Some(at), _) => {
                let kind =
                    if row.file.shelf == Shelf::Entries { "the entry" } else { "the leaf hash" };
                let more = match different - 1 {
                    0 => String::new(),
                    more => format!(" (nor are {more} after it in this file)"),
                };
                self.report.fault(file, entry(at), format!("{kind} is not the one {by}{more}"));
                true
            }
            (None, Some(problem)) => {
                self.report.fault(file, entry(row.hashes.len()), problem.clone());
                true
            }
            (None, None) => false,
        }
    }

    /// Checks the tiles above level 0, partial versions, and tiles that a crash left ahead of the
    /// checkpoint.
    fn compare_the_rest(
        &mut self,
        due: u64,
        checkpoint: Option<&Checkpoint>,
        proven: bool,
    ) -> Result<(), Error> {
        let mut edge = Edge::default();
        let mut rows: BTreeMap<(Shelf, u64), Vec<Hash>> = BTreeMap::new();
        for leaf in &self.leaves {
            edge.push(*leaf, |tile, hashes| {
                if tile.shelf != Shelf::Hashes(0) {
                    rows.insert((tile.shelf, tile.index), hashes);
                }
            });
        }
        for level in 1..edge.height() {
            let shelf = Shelf::Hashes(level);
            let index = shelf.filled(edge.size()) / TILE_WIDTH;
            rows.insert((shelf, index), edge.level(level).to_vec());
        }
        let size = self.leaves.len() as u64;
        let covered = checkpoint.map_or(due, Checkpoint::size).min(size);
        for (shelf, index) in rows.keys() {
            let Some(wanted) = Tile::in_tree(*shelf, *index, covered) else {
                continue;
            };
            let versions = self.tiles.get(&(*shelf, *index));
            if !versions.is_some_and(|all| all.iter().any(|version| version.width >= wanted.width))
            {
                self.report.fault(self.files.outer(&wanted.path()), None, "it is missing");
            }
        }
        for (place, versions) in std::mem::take(&mut self.tiles) {
            for file in versions {
                let outer = self.files.outer(&file.path());
                let full = Tile::in_tree(file.shelf, file.index, size).map_or(0, |tile| tile.width);
                if file.width > full && !self.complete {
                    continue;
                }
                if file.width > full {
                    let what = format!("it goes beyond the {size} entries of this log");
                    self.report.fault(outer, None, what);
                    continue;
                }
                let row = self.read_row(file)?;
                if matches!(file.shelf, Shelf::Entries | Shelf::Hashes(0)) {
                    self.compare_row(&row, proven);
                    continue;
                }
                let right = rows.get(&place).and_then(|right| right.get(..usize::from(file.width)));
                match row.problem {
                    Some(problem) => self.report.fault(outer, None, problem),
                    None if right != Some(row.hashes.as_slice()) => {
                        self.report.fault(
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
                self.report.fault(self.files.outer(JOURNAL_FILE), Some(index), what);
            }
        }
    }

    /// Every signed root must be the root of the leaves.
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
                "its checkpoint for {} entries signs another root than theirs",
                wrong.size()
            );
            self.report.fault(self.files.outer(JOURNAL_FILE), None, what);
        }
        // If files contradict one another, they have been named; otherwise all of them contradict
        // what was signed.
        if !proven && self.report.faults.is_empty() {
            let what = "the files agree with one another and not with what was signed: all of them were made anew, \
                        or the checkpoint is of another history";
            self.report.fault(self.files.outer(CHECKPOINT_FILE), None, what);
        }
    }
}

/// The hashes of a file that has all the slots that its name says.
fn whole(row: Option<&Row>) -> Option<Vec<Hash>> {
    row.filter(|row| row.problem.is_none()).map(|row| row.hashes.clone())
}

/// The leaves of the bundles up to `due`, and after them those of the journal.
fn continued(rows: &[Vec<Hash>], due: u64, journal: Option<&Journal>) -> Vec<Hash> {
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
