//! A disk in memory that fails, tears writes and loses unsynchronised data on demand.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::disk::{Disk, FileAccess, FileKind, ReadDisk, parent_path};

/// How one change to the disk goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFault {
    /// It fails without effect.
    Fails,
    /// It fails half done.
    Torn,
    /// It reports an error although it was done.
    FailsButDone,
    /// It and the next `n` changes fail without effect, as on a full disk.
    FailsFor(u64),
    /// The process dies before it.
    DiesBefore,
    /// The process dies in the middle of it.
    DiesWithin,
    /// The process dies after it.
    DiesAfter,
}

impl DiskFault {
    /// Every fault, for a table of tests.
    pub const ALL: [Self; 8] = [
        Self::Fails,
        Self::Torn,
        Self::FailsButDone,
        Self::FailsFor(3),
        Self::FailsFor(12),
        Self::DiesBefore,
        Self::DiesWithin,
        Self::DiesAfter,
    ];
}

/// How a process or a machine stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// The process is killed; the kernel keeps all that was written.
    Kill,
    /// The power fails; only synchronised data survives.
    PowerCut,
    /// The power fails; synchronised data survives, and a random part of the rest (by this seed).
    PowerCutSome(u64),
}

impl Crash {
    /// Every kind of crash, for a table of tests.
    pub const ALL: [Self; 4] =
        [Self::Kill, Self::PowerCut, Self::PowerCutSome(1), Self::PowerCutSome(2)];
}

/// A disk in memory. Clones share their content.
#[derive(Clone, Default, Debug)]
pub struct MemoryDisk(Rc<RefCell<DiskState>>);

#[derive(Default, Debug)]
struct DiskState {
    /// The files, also those that lost their name; `names` holds indices into it.
    contents: Vec<FileContent>,
    names: BTreeMap<String, usize>,
    names_synced: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
    folders_synced: BTreeSet<String>,
    steps: u64,
    fault: Option<(u64, DiskFault)>,
    dead: bool,
}

/// The bytes of one file.
#[derive(Clone, Default, Debug)]
struct FileContent {
    /// The bytes that processes read.
    visible: Vec<u8>,
    /// The bytes that survive a power cut.
    synced: Vec<u8>,
    /// Which bytes the kernel still has to write. A failed synchronisation clears the marks.
    dirty: Vec<bool>,
}

impl FileContent {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.visible.len() < end {
            self.visible.resize(end, 0);
            self.dirty.resize(end, false);
        }
        self.visible[offset..end].copy_from_slice(bytes);
        self.dirty[offset..end].fill(true);
    }

    fn sync(&mut self, mut chosen: impl FnMut(usize) -> bool) {
        self.synced.resize(self.visible.len(), 0);
        for (at, dirty) in self.dirty.iter_mut().enumerate() {
            if std::mem::take(dirty) && chosen(at) {
                self.synced[at] = self.visible[at];
            }
        }
    }
}

impl MemoryDisk {
    /// The number of changes so far.
    pub fn steps(&self) -> u64 {
        self.0.borrow().steps
    }

    /// Lets change number `step` (from 0) go wrong.
    pub fn fault_at(&self, step: u64, fault: DiskFault) {
        self.0.borrow_mut().fault = Some((step, fault));
    }

    /// Lets the change after the next `more` changes go wrong.
    pub fn fault_after(&self, more: u64, fault: DiskFault) {
        let step = self.steps() + more;
        self.fault_at(step, fault);
    }

    /// Whether the process died in a fault; every later change fails.
    pub fn is_dead(&self) -> bool {
        self.0.borrow().dead
    }

    /// The disk that the next process sees after a crash.
    #[must_use]
    pub fn restart(&self, crash: Crash) -> Self {
        let old = self.0.borrow();
        let mut state = DiskState {
            contents: old.contents.clone(),
            names: old.names.clone(),
            folders: old.folders.clone(),
            ..DiskState::default()
        };
        let mut random = match crash {
            Crash::Kill => None,
            Crash::PowerCut => Some(None),
            Crash::PowerCutSome(seed) => Some(Some(SplitMix64(seed))),
        };
        if let Some(random) = &mut random {
            let mut lucky = |chance: u64| {
                random.as_mut().is_some_and(|random: &mut SplitMix64| random.below(100) < chance)
            };
            let known: BTreeSet<String> =
                old.names.keys().chain(old.names_synced.keys()).cloned().collect();
            state.names = known
                .into_iter()
                .filter_map(|path| {
                    let survives = if lucky(50) { &old.names } else { &old.names_synced };
                    survives.get(&path).map(|node| (path.clone(), *node))
                })
                .collect();
            state.folders.clone_from(&old.folders_synced);
            for folder in &old.folders {
                if lucky(50) {
                    state.folders.insert(folder.clone());
                }
            }
            // The content of a lost folder is lost.
            let folders = state.folders.clone();
            state.names.retain(|path, _| above(path).all(|folder| folders.contains(folder)));
            state.folders.retain(|path| above(path).all(|folder| folders.contains(folder)));
            for content in &mut state.contents {
                if lucky(50) {
                    // The kernel wrote some of it early, in blocks.
                    let blocks: Vec<bool> =
                        (0..=content.visible.len() / 16).map(|_| lucky(70)).collect();
                    content.sync(|at| blocks[at / 16]);
                }
                content.visible = content.synced.clone();
                content.dirty = vec![false; content.visible.len()];
            }
        }
        state.names_synced.clone_from(&state.names);
        state.folders_synced.clone_from(&state.folders);
        if crash != Crash::Kill {
            return Self(Rc::new(RefCell::new(state)));
        }
        // A kill makes nothing durable.
        state.names_synced.clone_from(&old.names_synced);
        state.folders_synced.clone_from(&old.folders_synced);
        Self(Rc::new(RefCell::new(state)))
    }

    /// Damages one byte of a file.
    pub fn flip(&self, path: &str, at: usize, mask: u8) {
        let mut state = self.0.borrow_mut();
        let node = state.names[path];
        state.contents[node].visible[at] ^= mask;
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<String> {
        self.0.borrow().names.keys().cloned().collect()
    }

    /// The content of a file, as processes read it.
    pub fn content(&self, path: &str) -> Vec<u8> {
        let state = self.0.borrow();
        state.contents[state.names[path]].visible.clone()
    }

    /// Replaces the content of a file; not a change that can go wrong.
    pub fn set(&self, path: &str, content: &[u8]) {
        self.0.borrow_mut().write(path, content);
    }

    /// Removes the name of a file; not a change that can go wrong.
    pub fn remove_file(&self, path: &str) {
        self.0.borrow_mut().names.remove(path);
    }

    /// Makes one change, or the part of it that the fault leaves.
    fn change(
        &self,
        half: impl FnOnce(&mut DiskState),
        whole: impl FnOnce(&mut DiskState) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        if state.dead {
            return Err(io::Error::other("the process is dead"));
        }
        let step = state.steps;
        state.steps += 1;
        let full = || Err(io::Error::from(io::ErrorKind::StorageFull));
        let fault = state.fault.and_then(|(at, fault)| match fault {
            DiskFault::FailsFor(more) => {
                (at..=at + more).contains(&step).then_some(DiskFault::Fails)
            }
            fault => (at == step).then_some(fault),
        });
        match fault {
            None => whole(&mut state),
            Some(DiskFault::Fails | DiskFault::FailsFor(_)) => full(),
            Some(DiskFault::Torn) => {
                half(&mut state);
                full()
            }
            Some(DiskFault::FailsButDone) => {
                whole(&mut state)?;
                full()
            }
            Some(dies) => {
                match dies {
                    DiskFault::DiesWithin => half(&mut state),
                    DiskFault::DiesAfter => whole(&mut state)?,
                    _ => {}
                }
                state.dead = true;
                Err(io::Error::other("the process died here"))
            }
        }
    }
}

impl DiskState {
    fn make(&mut self, path: &str) -> usize {
        for folder in above(path) {
            self.folders.insert(folder.to_owned());
        }
        if let Some(node) = self.names.get(path) {
            return *node;
        }
        self.contents.push(FileContent::default());
        self.names.insert(path.to_owned(), self.contents.len() - 1);
        self.contents.len() - 1
    }

    fn write(&mut self, path: &str, bytes: &[u8]) {
        let node = self.make(path);
        let content = &mut self.contents[node];
        content.visible.clear();
        content.dirty.clear();
        content.write(0, bytes);
    }
}

/// The folders above a path, the nearest first, without the outermost.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/').map(|(folder, _)| folder), |folder| {
        folder.rsplit_once('/').map(|(folder, _)| folder)
    })
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl ReadDisk for MemoryDisk {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let state = self.0.borrow();
        let node = *state.names.get(path).ok_or_else(not_found)?;
        let content = state.contents[node].visible.clone();
        if content.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
        }
        Ok(content)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, FileKind)>> {
        let state = self.0.borrow();
        if !folder.is_empty() && !state.folders.contains(folder) {
            return Err(not_found());
        }
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let files = state.names.keys().filter(|path| parent_path(path) == folder);
        let folders = state.folders.iter().filter(|path| parent_path(path) == folder);
        Ok(files
            .map(|path| (name(path), FileKind::File))
            .chain(folders.map(|path| (name(path), FileKind::Folder)))
            .collect())
    }

    fn sha256(&self, path: &str) -> io::Result<[u8; 32]> {
        Ok(Sha256::digest(self.read(path, u64::MAX)?).into())
    }
}

impl Disk for MemoryDisk {
    fn write(&mut self, path: &str, content: &[u8], _: FileAccess) -> io::Result<()> {
        self.change(
            |state| state.write(path, &content[..content.len() / 2]),
            |state| {
                state.write(path, content);
                Ok(())
            },
        )
    }

    fn write_at(&mut self, path: &str, offset: u64, content: &[u8]) -> io::Result<()> {
        let offset = offset as usize;
        let write = |state: &mut DiskState, bytes: &[u8]| {
            let node = *state.names.get(path).ok_or_else(not_found)?;
            assert!(offset <= state.contents[node].visible.len(), "a hole in {path}");
            state.contents[node].write(offset, bytes);
            Ok(())
        };
        self.change(
            |state| drop(write(state, &content[..content.len() / 2])),
            |state| write(state, content),
        )
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        let sync = |state: &mut DiskState, synced: bool| {
            let node = *state.names.get(path).ok_or_else(not_found)?;
            let content = &mut state.contents[node];
            if synced {
                content.sync(|_| true);
            } else {
                // The other half is lost, and yet no longer marked as unwritten.
                let half = content.visible.len() / 2;
                content.sync(|at| at < half);
            }
            Ok(())
        };
        self.change(|state| drop(sync(state, false)), |state| sync(state, true))
    }

    fn sync_folder(&mut self, folder: &str) -> io::Result<()> {
        self.change(
            |_| {},
            |state| {
                let inside = |path: &String| parent_path(path) == folder;
                state.names_synced.retain(|path, _| !inside(path));
                let names = state.names.clone();
                state.names_synced.extend(names.into_iter().filter(|(path, _)| inside(path)));
                state.folders_synced.retain(|path| !inside(path));
                let folders = state.folders.clone();
                state.folders_synced.extend(folders.into_iter().filter(inside));
                Ok(())
            },
        )
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.change(
            |_| {},
            |state| {
                let node = state.names.remove(from).ok_or_else(not_found)?;
                for folder in above(to) {
                    state.folders.insert(folder.to_owned());
                }
                state.names.insert(to.to_owned(), node);
                Ok(())
            },
        )
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.change(
            |_| {},
            |state| {
                if state.names.remove(path).is_some() || state.folders.remove(path) {
                    Ok(())
                } else {
                    Err(not_found())
                }
            },
        )
    }
}

/// A generator of repeatable random numbers, from a seed.
#[derive(Clone, Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number, reduced to less than `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next_u64() % limit
    }
}
