//! A change of any byte in any file is found, and the file is named.
#![allow(clippy::unwrap_used, reason = "in the helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use portcullis_durable::testing::{MemoryDisk, SplitMix64};
use portcullis_ledger::verify::{self, VerifyReport};
use portcullis_ledger::{Ledger, Verifier, manifest};
use support::entry;

const ORIGIN: &str = "flip.example";

/// A results folder as a drill writes it: a ledger, proofs, a page, and perhaps a manifest.
fn results(folder: &Path, with_manifest: bool) -> Verifier {
    let mut ledger = Ledger::create(&folder.join("ledger"), ORIGIN, &[8; 32]).unwrap();
    for batch in [2, 1, 2] {
        for _ in 0..batch {
            let index = ledger.size() + ledger.staged() as u64;
            ledger.append(&entry(index)).unwrap();
        }
        ledger.commit().unwrap();
        let index = ledger.size() - 1;
        let proof = ledger.prove_inclusion(index).unwrap();
        fs::write(folder.join(format!("claim-{index}.tlog-proof")), proof.to_string()).unwrap();
    }
    if with_manifest {
        fs::write(folder.join("statement.html"), "<p>We were attacked.</p>").unwrap();
        manifest::write(folder, ledger.signer()).unwrap();
    }
    ledger.verifier()
}

fn files(folder: &Path, below: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for item in fs::read_dir(folder.join(below)).unwrap() {
        let item = item.unwrap();
        let path = Path::new(below).join(item.file_name()).to_str().unwrap().to_owned();
        if item.file_type().unwrap().is_dir() {
            files(folder, &path, found);
        } else {
            found.insert(path, fs::read(item.path()).unwrap());
        }
    }
}

fn names(report: &VerifyReport, file: &str) -> bool {
    report.faults.iter().any(|fault| fault.file == file)
}

fn flip_every_byte(masks: &[u8], with_manifest: bool, trust: bool) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let verifier = results(folder, with_manifest);
    let trusted = trust.then_some(&verifier);
    let report = verify::folder(folder, trusted, None).unwrap();
    assert!(report.is_sound(), "{report}");
    let mut found = BTreeMap::new();
    files(folder, "", &mut found);
    assert!(found.len() > 10);
    for (path, content) in &found {
        for at in 0..content.len() {
            for mask in masks {
                let mut changed = content.clone();
                changed[at] ^= mask;
                fs::write(folder.join(path), &changed).unwrap();
                let report = verify::folder(folder, trusted, None).unwrap();
                assert!(!report.is_sound(), "{path}, byte {at} ^ {mask:#x} was not found");
                assert!(names(&report, path), "{path}, byte {at} ^ {mask:#x}: {report}");
            }
        }
        fs::write(folder.join(path), content).unwrap();
    }
}

#[test]
fn every_flipped_byte_is_found_and_its_file_named() {
    flip_every_byte(&[0x01, 0x20, 0x80], false, false);
}

#[test]
fn every_flipped_byte_is_found_with_a_manifest_and_a_trusted_key() {
    flip_every_byte(&[0x04], true, true);
}

#[test]
fn every_missing_or_additional_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    results(folder, true);
    let mut found = BTreeMap::new();
    files(folder, "", &mut found);
    for (path, content) in &found {
        // A copy may omit the writer's private files.
        let optional = ["ledger/key", "ledger/lock"].contains(&path.as_str());
        fs::remove_file(folder.join(path)).unwrap();
        let report = verify::folder(folder, None, None).unwrap();
        assert_eq!(names(&report, path), !optional, "{path}: {report}");
        assert_eq!(report.is_sound(), optional, "{path}: {report}");
        fs::write(folder.join(path), content).unwrap();
    }
    for extra in ["extra.txt", "ledger/extra", "ledger/tile/0/001", "ledger/tile/entries/000.p/7"] {
        fs::write(folder.join(extra), "x").unwrap();
        let report = verify::folder(folder, None, None).unwrap();
        assert!(names(&report, extra), "{extra}: {report}");
        fs::remove_file(folder.join(extra)).unwrap();
    }
    assert!(verify::folder(folder, None, None).unwrap().is_sound());
}

/// A log with several bundles, a level-1 tile and older partial versions.
fn larger() -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut ledger = Ledger::create_on(disk.clone(), ORIGIN, &[8; 32]).unwrap();
    for index in 0..600 {
        ledger.append(&entry(index)).unwrap();
        if index % 100 == 99 || index > 580 {
            ledger.commit().unwrap();
        }
    }
    disk
}

#[test]
fn in_a_larger_log_only_the_damaged_file_is_named() {
    let disk = larger();
    let mut random = SplitMix64(3);
    assert!(verify::files(&disk, None, None).unwrap().is_sound());
    for path in disk.paths() {
        let length = disk.content(&path).len() as u64;
        for _ in 0..length.min(25) {
            let at = random.below(length) as usize;
            let mask = 1 << random.below(8);
            disk.flip(&path, at, mask);
            let report = verify::files(&disk, None, None).unwrap();
            assert!(names(&report, &path), "{path}, byte {at}: {report}");
            let others = report.faults.iter().any(|fault| fault.file != path);
            assert!(!others, "{path}, byte {at}: {report}");
            disk.flip(&path, at, mask);
        }
    }
}

#[test]
fn a_changed_entry_is_named_by_its_index() {
    let disk = larger();
    let path = "tile/entries/001";
    // Each entry of this bundle is two bytes of length and 13 bytes of JSON.
    let at = 15 * 44 + 2 + 9;
    disk.flip(path, at, 1);
    let report = verify::files(&disk, None, None).unwrap();
    assert_eq!(report.faults.len(), 1, "{report}");
    assert_eq!((report.faults[0].file.as_str(), report.faults[0].entry), (path, Some(256 + 44)));
}

#[test]
fn damage_in_several_files_names_exactly_these_files() {
    let disk = larger();
    disk.flip("tile/entries/000", 100, 1);
    disk.flip("tile/0/001", 100, 1);
    disk.flip("tile/0/002.p/88", 100, 1);
    let report = verify::files(&disk, None, None).unwrap();
    let mut found: Vec<_> = report.faults.iter().map(|fault| fault.file.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["tile/0/001", "tile/0/002.p/88", "tile/entries/000"], "{report}");
}

#[test]
fn a_history_rewritten_without_the_key_is_found() {
    // Entries, tiles and journal of another history, under the checkpoint and key of this one.
    let (disk, other) = (larger(), MemoryDisk::default());
    let mut ledger = Ledger::create_on(other.clone(), ORIGIN, &[9; 32]).unwrap();
    for index in 0..600 {
        ledger.append(&entry(index + 1)).unwrap();
    }
    ledger.commit().unwrap();
    for path in disk.paths().into_iter().filter(|path| path.starts_with("tile/")) {
        disk.remove_file(&path);
    }
    for path in other.paths().into_iter().filter(|path| path.starts_with("tile/")) {
        disk.set(&path, &other.content(&path));
    }
    let report = verify::files(&disk, None, None).unwrap();
    assert!(!report.is_sound());

    // With another key the history is consistent, and only the trusted key shows the change.
    let trusted = Ledger::open_on(larger()).unwrap().verifier();
    assert!(verify::files(&other, None, None).unwrap().is_sound());
    let report = verify::files(&other, Some(&trusted), None).unwrap();
    assert!(names(&report, "vkey") && names(&report, "checkpoint"), "{report}");
}

#[test]
fn opening_refuses_damage_and_names_the_file() {
    for (path, at) in [
        ("key", 3),
        ("vkey", 3),
        ("journal", 200),
        ("tile/0/000", 500),
        ("tile/0/001", 500),
        ("format", 3),
    ] {
        let disk = larger();
        disk.flip(path, at, 1);
        let error = Ledger::open_on(disk).unwrap_err().to_string();
        let named = error.starts_with(path) || path == "format" && error.contains("format");
        assert!(named, "{path}: {error}");
    }
}

#[test]
fn damage_to_the_last_acknowledged_batch_is_not_treated_as_a_torn_end() {
    let journal = larger().content("journal");
    for damage in 1..40 {
        let at = journal.len() - damage;
        let flipped = {
            let mut journal = journal.clone();
            journal[at] ^= 1;
            journal
        };
        for damaged in [flipped, journal[..at].to_vec()] {
            let disk = larger();
            disk.set("journal", &damaged);
            let error = Ledger::open_on(disk.clone()).unwrap_err().to_string();
            assert!(error.starts_with("journal, entry 59"), "{error}");
            let report = verify::files(&disk, None, None).unwrap();
            assert!(names(&report, "journal"), "{report}");
        }
    }
}

#[test]
fn a_torn_end_is_cut_and_reported() {
    let disk = larger();
    let mut journal = disk.content("journal");
    let whole = journal.clone();
    journal.extend(b"E\x00\x09half an");
    disk.set("journal", &journal);
    let report = verify::files(&disk, None, None).unwrap();
    assert!(report.is_sound(), "{report}");
    assert!(report.notes.iter().any(|note| note.what.contains("interrupted")), "{report}");
    let ledger = Ledger::open_on(disk.clone()).unwrap();
    assert_eq!(ledger.size(), 600);
    assert_eq!(
        ledger.recovery().to_string(),
        "The ledger was not closed cleanly. It has every acknowledged entry. The journal ended in an \
         interrupted batch, which was never acknowledged and was cut (10 bytes, 0 whole entries)."
    );
    // Each opening writes a new journal, with one checkpoint for all its entries.
    assert!(disk.content("journal").len() < whole.len());
    assert!(verify::files(&disk, None, None).unwrap().notes.len() < report.notes.len());
}
