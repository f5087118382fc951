//! A disk in memory that fails, tears and forgets on demand, as real ones do.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use portcullis_ledger::Hash;
use portcullis_ledger::disk::{Disk, Files, Kind};

/// What goes wrong with one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It fails and has no effect.
    Fails,
    /// It fails half done.
    Torn,
    /// It fails, and is done all the same.
    FailsButDone,
    /// This one and the next `n` operations fail, as on a full disk.
    FailsFor(u64),
    /// The process dies before it.
    DiesBefore,
    /// The process dies in the middle of it.
    DiesWithin,
    /// The process dies after it.
    DiesAfter,
}

impl Fault {
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

/// What is left when a process or a machine stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The process is killed; the system keeps what it was given.
    Kill,
    /// The power fails; only what was synchronised is left.
    PowerCut,
    /// The power fails; of what was not synchronised, some is left, by this seed.
    PowerCutSome(u64),
}

impl Stop {
    pub const ALL: [Self; 4] =
        [Self::Kill, Self::PowerCut, Self::PowerCutSome(1), Self::PowerCutSome(2)];
}

/// The disk. Clones are views of the same one.
#[derive(Clone, Default, Debug)]
pub struct MemoryDisk(Rc<RefCell<World>>);

#[derive(Default, Debug)]
struct World {
    contents: Vec<Content>,
    names: BTreeMap<String, usize>,
    names_kept: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
    folders_kept: BTreeSet<String>,
    steps: u64,
    fault: Option<(u64, Fault)>,
    dead: bool,
}

/// The bytes of one file: as processes see them, and as a power cut leaves them.
#[derive(Clone, Default, Debug)]
struct Content {
    seen: Vec<u8>,
    kept: Vec<u8>,
    /// Which bytes the system still has to write. A failed synchronisation forgets them.
    dirty: Vec<bool>,
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
            self.dirty.resize(end, false);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.dirty[offset..end].fill(true);
    }

    fn sync(&mut self, mut chosen: impl FnMut(usize) -> bool) {
        self.kept.resize(self.seen.len(), 0);
        for (at, dirty) in self.dirty.iter_mut().enumerate() {
            if std::mem::take(dirty) && chosen(at) {
                self.kept[at] = self.seen[at];
            }
        }
    }
}

impl MemoryDisk {
    /// How many changes were made so far.
    pub fn steps(&self) -> u64 {
        self.0.borrow().steps
    }

    /// Makes the change number `step` (from 0) go wrong.
    pub fn fault_at(&self, step: u64, fault: Fault) {
        self.0.borrow_mut().fault = Some((step, fault));
    }

    /// Makes the change that comes after `more` others go wrong.
    pub fn fault_after(&self, more: u64, fault: Fault) {
        let step = self.steps() + more;
        self.fault_at(step, fault);
    }

    pub fn is_dead(&self) -> bool {
        self.0.borrow().dead
    }

    /// The disk as the next process finds it.
    pub fn restart(&self, stop: Stop) -> Self {
        let old = self.0.borrow();
        let mut world = World {
            contents: old.contents.clone(),
            names: old.names.clone(),
            folders: old.folders.clone(),
            ..World::default()
        };
        let mut random = match stop {
            Stop::Kill => None,
            Stop::PowerCut => Some(None),
            Stop::PowerCutSome(seed) => Some(Some(Random(seed))),
        };
        if let Some(random) = &mut random {
            let mut lucky = |chance: u64| {
                random.as_mut().is_some_and(|random: &mut Random| random.below(100) < chance)
            };
            let known: BTreeSet<String> =
                old.names.keys().chain(old.names_kept.keys()).cloned().collect();
            world.names = known
                .into_iter()
                .filter_map(|path| {
                    let survives = if lucky(50) { &old.names } else { &old.names_kept };
                    survives.get(&path).map(|node| (path.clone(), *node))
                })
                .collect();
            world.folders.clone_from(&old.folders_kept);
            for folder in &old.folders {
                if lucky(50) {
                    world.folders.insert(folder.clone());
                }
            }
            // What lies in a lost folder is lost.
            let folders = world.folders.clone();
            world.names.retain(|path, _| above(path).all(|folder| folders.contains(folder)));
            world.folders.retain(|path| above(path).all(|folder| folders.contains(folder)));
            for content in &mut world.contents {
                if lucky(50) {
                    // The system wrote some of it by itself, in pieces.
                    let pieces: Vec<bool> =
                        (0..=content.seen.len() / 16).map(|_| lucky(70)).collect();
                    content.sync(|at| pieces[at / 16]);
                }
                content.seen = content.kept.clone();
                content.dirty = vec![false; content.seen.len()];
            }
        }
        world.names_kept.clone_from(&world.names);
        world.folders_kept.clone_from(&world.folders);
        if stop != Stop::Kill {
            return Self(Rc::new(RefCell::new(world)));
        }
        // After a kill nothing more is on the platter than before.
        world.names_kept.clone_from(&old.names_kept);
        world.folders_kept.clone_from(&old.folders_kept);
        Self(Rc::new(RefCell::new(world)))
    }

    /// Changes one byte of a file, as damage would.
    pub fn flip(&self, path: &str, at: usize, mask: u8) {
        let mut world = self.0.borrow_mut();
        let node = world.names[path];
        world.contents[node].seen[at] ^= mask;
    }

    pub fn paths(&self) -> Vec<String> {
        self.0.borrow().names.keys().cloned().collect()
    }

    pub fn content(&self, path: &str) -> Vec<u8> {
        let world = self.0.borrow();
        world.contents[world.names[path]].seen.clone()
    }

    pub fn set(&self, path: &str, content: &[u8]) {
        self.clone().write(path, content, false).unwrap();
    }

    pub fn remove_file(&self, path: &str) {
        self.0.borrow_mut().names.remove(path);
    }

    /// Carries out one change, or what the fault leaves of it.
    fn change(
        &self,
        half: impl FnOnce(&mut World),
        whole: impl FnOnce(&mut World) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if world.dead {
            return Err(io::Error::other("the process is dead"));
        }
        let step = world.steps;
        world.steps += 1;
        let full = || Err(io::Error::from(io::ErrorKind::StorageFull));
        let fault = world.fault.and_then(|(at, fault)| match fault {
            Fault::FailsFor(more) => (at..=at + more).contains(&step).then_some(Fault::Fails),
            fault => (at == step).then_some(fault),
        });
        match fault {
            None => whole(&mut world),
            Some(Fault::Fails | Fault::FailsFor(_)) => full(),
            Some(Fault::Torn) => {
                half(&mut world);
                full()
            }
            Some(Fault::FailsButDone) => {
                whole(&mut world)?;
                full()
            }
            Some(dies) => {
                match dies {
                    Fault::DiesWithin => half(&mut world),
                    Fault::DiesAfter => whole(&mut world)?,
                    _ => {}
                }
                world.dead = true;
                Err(io::Error::other("the process died here"))
            }
        }
    }
}

impl World {
    fn make(&mut self, path: &str) -> usize {
        for folder in above(path) {
            self.folders.insert(folder.to_owned());
        }
        if let Some(node) = self.names.get(path) {
            return *node;
        }
        self.contents.push(Content::default());
        self.names.insert(path.to_owned(), self.contents.len() - 1);
        self.contents.len() - 1
    }

    fn write(&mut self, path: &str, bytes: &[u8]) {
        let node = self.make(path);
        let content = &mut self.contents[node];
        content.seen.clear();
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

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Files for MemoryDisk {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let world = self.0.borrow();
        let node = *world.names.get(path).ok_or_else(not_found)?;
        let content = world.contents[node].seen.clone();
        if content.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
        }
        Ok(content)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, Kind)>> {
        let world = self.0.borrow();
        if !folder.is_empty() && !world.folders.contains(folder) {
            return Err(not_found());
        }
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let files = world.names.keys().filter(|path| parent(path) == folder);
        let folders = world.folders.iter().filter(|path| parent(path) == folder);
        Ok(files
            .map(|path| (name(path), Kind::File))
            .chain(folders.map(|path| (name(path), Kind::Folder)))
            .collect())
    }

    fn sha256(&self, path: &str) -> io::Result<Hash> {
        Ok(Hash::of_bytes(&self.read(path, u64::MAX)?))
    }
}

impl Disk for MemoryDisk {
    fn write(&mut self, path: &str, content: &[u8], _secret: bool) -> io::Result<()> {
        self.change(
            |world| world.write(path, &content[..content.len() / 2]),
            |world| {
                world.write(path, content);
                Ok(())
            },
        )
    }

    fn write_at(&mut self, path: &str, offset: u64, content: &[u8]) -> io::Result<()> {
        let offset = offset as usize;
        let write = |world: &mut World, bytes: &[u8]| {
            let node = *world.names.get(path).ok_or_else(not_found)?;
            assert!(offset <= world.contents[node].seen.len(), "a hole in {path}");
            world.contents[node].write(offset, bytes);
            Ok(())
        };
        self.change(
            |world| drop(write(world, &content[..content.len() / 2])),
            |world| write(world, content),
        )
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        let sync = |world: &mut World, kept: bool| {
            let node = *world.names.get(path).ok_or_else(not_found)?;
            let content = &mut world.contents[node];
            if kept {
                content.sync(|_| true);
            } else {
                // The half that did not make it is marked as written nevertheless.
                let half = content.seen.len() / 2;
                content.sync(|at| at < half);
            }
            Ok(())
        };
        self.change(|world| drop(sync(world, false)), |world| sync(world, true))
    }

    fn sync_folder(&mut self, folder: &str) -> io::Result<()> {
        self.change(
            |_| {},
            |world| {
                let inside = |path: &String| parent(path) == folder;
                world.names_kept.retain(|path, _| !inside(path));
                let names = world.names.clone();
                world.names_kept.extend(names.into_iter().filter(|(path, _)| inside(path)));
                world.folders_kept.retain(|path| !inside(path));
                let folders = world.folders.clone();
                world.folders_kept.extend(folders.into_iter().filter(inside));
                Ok(())
            },
        )
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.change(
            |_| {},
            |world| {
                let node = world.names.remove(from).ok_or_else(not_found)?;
                for folder in above(to) {
                    world.folders.insert(folder.to_owned());
                }
                world.names.insert(to.to_owned(), node);
                Ok(())
            },
        )
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.change(
            |_| {},
            |world| {
                if world.names.remove(path).is_some() || world.folders.remove(path) {
                    Ok(())
                } else {
                    Err(not_found())
                }
            },
        )
    }
}

/// A small generator of repeatable randomness (`SplitMix64`).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The entry that the tests put at an index.
pub fn entry(index: u64) -> Vec<u8> {
    format!("{{\"entry\":{index}}}").into_bytes()
}
