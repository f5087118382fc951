//! The ledger in a real folder: its lock, concurrent readers, and the files on disk.
#![allow(clippy::unwrap_used, reason = "in the helpers of tests")]

mod support;

use std::fs;
use std::path::Path;

use portcullis_durable::Folder;
use portcullis_ledger::verify::{self, OldCheckpoint};
use portcullis_ledger::{Error, Ledger, LedgerReader, manifest};
use support::entry;

fn fill(ledger: &mut Ledger, count: u64) {
    for _ in 0..count {
        let next = ledger.size() + ledger.staged() as u64;
        ledger.append(&entry(next)).unwrap();
    }
    ledger.commit().unwrap();
}

/// Copies a file or a whole folder over another one.
fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let name = item.unwrap().file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}

#[test]
fn there_is_one_writer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Ledger::create(folder.path(), "one.example", &[1; 32]).unwrap();
    let error = Ledger::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    drop(first);
    assert!(Ledger::open(folder.path()).is_ok());
}

#[test]
fn opening_never_creates_a_ledger_and_creating_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let error = Ledger::open(&nowhere).unwrap_err();
    assert!(matches!(error, Error::NotCreated { .. }), "{error}");
    assert!(error.to_string().contains("must be created explicitly"), "{error}");
    assert!(!nowhere.exists());
    assert!(matches!(Ledger::read(&nowhere), Err(Error::NotALedger { .. })));
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let error = Ledger::create(folder.path(), "one.example", &[1; 32]).unwrap_err();
    assert!(error.to_string().contains("thesis.txt"), "{error}");
}

#[test]
fn an_existing_ledger_is_opened_and_not_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(folder.path(), "one.example", &[1; 32]).unwrap();
    fill(&mut ledger, 3);
    let vkey = ledger.verifier();
    drop(ledger);
    let error = Ledger::create(folder.path(), "two.example", &[2; 32]).unwrap_err();
    assert!(matches!(error, Error::AlreadyThere { .. }), "{error}");
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!((ledger.size(), ledger.verifier()), (3, vkey));
    assert!(ledger.recovery().is_clean());
}

#[cfg(unix)]
#[test]
fn the_secret_key_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    drop(Ledger::create(folder.path(), "one.example", &[7; 32]).unwrap());
    let key = folder.path().join("key");
    assert_eq!(fs::read(&key).unwrap(), [7; 32]);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let report = verify::folder(folder.path(), None, None).unwrap();
    assert!(report.is_sound());
    assert!(report.notes.iter().any(|note| note.what.contains("secret key")), "{report}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let report = verify::folder(folder.path(), None, None).unwrap();
    assert!(report.notes.iter().any(|note| note.what.contains("chmod 600")), "{report}");
}

#[test]
fn an_entry_holds_at_most_65_535_bytes_and_may_be_empty() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(folder.path(), "one.example", &[1; 32]).unwrap();
    let error = ledger.append(&vec![b'x'; 65_536]).unwrap_err();
    assert!(matches!(error, Error::EntryTooLarge { bytes: 65_536 }), "{error}");
    ledger.append(&vec![b'x'; 65_535]).unwrap();
    ledger.append(b"").unwrap();
    ledger.commit().unwrap();
    let reader = Ledger::read(folder.path()).unwrap();
    assert_eq!(reader.entry(0).unwrap().len(), 65_535);
    assert_eq!(reader.entry(1).unwrap(), b"");
    assert!(verify::folder(folder.path(), None, None).unwrap().is_sound());
}

#[test]
fn a_reader_keeps_its_view_while_the_writer_continues() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(folder.path(), "one.example", &[1; 32]).unwrap();
    fill(&mut ledger, 10);
    let reader = Ledger::read(folder.path()).unwrap();
    // Enough commits to remove the reader's version of the tile, and then to fill the bundle.
    for _ in 0..40 {
        fill(&mut ledger, 1);
    }
    assert_eq!(reader.entries().count(), 10);
    fill(&mut ledger, 300);
    let entries: Vec<_> = reader.entries().map(|found| found.unwrap()).collect();
    assert_eq!(entries.len(), 10);
    assert!(entries.iter().all(|(index, content)| *content == entry(*index)));
    let proof = reader.prove_inclusion(9).unwrap();
    let leaf = portcullis_ledger::Hash::of_leaf(&entry(9));
    assert_eq!(proof.verify(leaf, reader.verifier()).unwrap().size(), 10);
    assert!(matches!(reader.prove_inclusion(10), Err(Error::NoSuchEntry { index: 10, size: 10 })));
}

#[test]
fn a_follower_reads_each_entry_once_and_the_tail_is_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(folder.path(), "one.example", &[1; 32]).unwrap();
    let mut reader = Ledger::read(folder.path()).unwrap();
    assert_eq!(reader.tail(5).count(), 0);
    let mut followed = Vec::new();
    for added in [0, 1, 9, 300, 1, 700] {
        fill(&mut ledger, added);
        assert_eq!(reader.refresh().unwrap(), added);
        for found in reader.entries_from(followed.len() as u64) {
            let (index, content) = found.unwrap();
            assert_eq!((index, content), (followed.len() as u64, entry(index)));
            followed.push(index);
        }
        assert_eq!(followed.len() as u64, ledger.size());
    }
    let tail: Vec<u64> = reader.tail(300).map(|found| found.unwrap().0).collect();
    assert_eq!(tail, (711..1011).collect::<Vec<_>>());
    assert_eq!(reader.tail(5_000).count(), 1011);
    assert_eq!(reader.refresh().unwrap(), 0);
}

#[test]
fn a_follower_refuses_a_log_that_does_not_continue_from_what_it_read() {
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut ledger = Ledger::create(folder.path(), "one.example", &[1; 32]).unwrap();
    fill(&mut ledger, 7);
    let mut reader = Ledger::read(folder.path()).unwrap();
    // The same key, another history: first a shorter one, then a longer one.
    let mut rewritten = Ledger::create(other.path(), "one.example", &[1; 32]).unwrap();
    for (first, more) in [("other", 1), ("", 20)] {
        if !first.is_empty() {
            rewritten.append(first.as_bytes()).unwrap();
        }
        fill(&mut rewritten, more);
        for file in ["checkpoint", "tile"] {
            let [from, to] = [&other, &folder].map(|folder| folder.path().join(file));
            copy(&from, &to);
        }
        let error = reader.refresh().unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("does not continue"), "{error}");
        assert_eq!(reader.size(), 7);
    }
}

#[test]
fn readers_and_verifiers_work_with_a_concurrent_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let mut ledger = Ledger::create(&path, "one.example", &[1; 32]).unwrap();
    fill(&mut ledger, 1);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..150 {
                fill(&mut ledger, 1 + round % 7);
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let reader = LedgerReader::open(Folder::new(&path)).unwrap();
            assert!(reader.size() >= last);
            last = reader.size();
            let mut count = 0;
            for found in reader.entries() {
                let (index, content) = found.unwrap();
                assert_eq!(content, entry(index));
                count += 1;
            }
            assert_eq!(count, last);
            reader.prove_inclusion(last - 1).unwrap();
            match verify::folder(&path, None, None) {
                Ok(report) => assert!(report.is_sound(), "{report}"),
                Err(error) => assert!(matches!(error, Error::Changing), "{error}"),
            }
        }
    });
    assert!(verify::folder(&path, None, None).unwrap().is_sound());
}

#[test]
fn at_most_sixteen_partial_versions_of_a_tile_stay_and_none_of_a_full_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(folder.path(), "one.example", &[1; 32]).unwrap();
    for _ in 0..60 {
        fill(&mut ledger, 1);
    }
    let versions = folder.path().join("tile/entries/000.p");
    assert_eq!(fs::read_dir(&versions).unwrap().count(), 16);
    fill(&mut ledger, 200);
    assert!(!versions.exists());
    assert!(folder.path().join("tile/entries/000").exists());
}

#[test]
fn the_log_must_continue_from_an_older_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger =
        Ledger::create(&folder.path().join("ledger"), "one.example", &[1; 32]).unwrap();
    fill(&mut ledger, 7);
    let copy = folder.path().with_extension("checkpoint");
    fs::write(&copy, ledger.checkpoint().note()).unwrap();
    let old = OldCheckpoint::read(&copy).unwrap();
    fs::remove_file(copy).unwrap();
    fill(&mut ledger, 300);
    let report = verify::folder(folder.path(), None, Some(&old)).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.since.map(|since| (since.size, since.continued)), Some((7, true)));

    // A checkpoint of before, put back over the log that continued.
    let newest = OldCheckpoint::read(&folder.path().join("ledger/checkpoint")).unwrap();
    let published = folder.path().join("ledger/checkpoint");
    fs::write(&published, &old.note).unwrap();
    let report = verify::folder(folder.path(), None, Some(&newest)).unwrap();
    assert!(!report.is_sound());
    assert!(report.faults.iter().any(|fault| fault.what.contains("rolled back")), "{report}");

    // The same key over another history.
    let other = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(other.path(), "one.example", &[1; 32]).unwrap();
    fill(&mut ledger, 3);
    let report = verify::folder(other.path(), None, Some(&old)).unwrap();
    assert!(!report.is_sound());
    assert!(report.faults[0].what.contains("entries were removed"), "{report}");
    ledger.append(b"something else").unwrap();
    ledger.commit().unwrap();
    fill(&mut ledger, 30);
    let report = verify::folder(other.path(), None, Some(&old)).unwrap();
    assert!(report.faults[0].what.contains("were different then"), "{report}");
}

#[test]
fn a_manifest_lists_every_file_except_the_private_ones_of_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger =
        Ledger::create(&folder.path().join("ledger"), "one.example", &[1; 32]).unwrap();
    fill(&mut ledger, 2);
    fs::write(folder.path().join("score card.txt"), "99%").unwrap();
    fs::write(folder.path().join("key"), "no secret: it is in no ledger").unwrap();
    let listed = manifest::write(folder.path(), ledger.signer()).unwrap();
    let text = fs::read_to_string(folder.path().join("manifest.note")).unwrap();
    let paths: Vec<&str> = text
        .lines()
        .skip(2)
        .map_while(|line| line.split_once("  "))
        .map(|(_, path)| path)
        .collect();
    let expected = [
        "key",
        "ledger/checkpoint",
        "ledger/format",
        "ledger/journal",
        "ledger/tile/0/000.p/2",
        "ledger/tile/entries/000.p/2",
        "ledger/vkey",
        "score card.txt",
    ];
    assert_eq!(paths, expected);
    assert_eq!(listed, expected.len() as u64);
    let found = manifest::check(folder.path(), &ledger.verifier()).unwrap();
    assert_eq!((found.files, found.differences.len()), (listed, 0));
    fs::write(folder.path().join("score card.txt"), "100%").unwrap();
    fs::write(folder.path().join("later.txt"), "").unwrap();
    fs::remove_file(folder.path().join("key")).unwrap();
    let found = manifest::check(folder.path(), &ledger.verifier()).unwrap();
    let named: Vec<&str> = found.differences.iter().map(|one| one.file.as_str()).collect();
    assert_eq!(named, ["later.txt", "score card.txt", "key"]);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_named_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(folder.path(), "one.example", &[1; 32]).unwrap();
    fill(&mut ledger, 2);
    std::os::unix::fs::symlink("/", folder.path().join("tile/root")).unwrap();
    let report = verify::folder(folder.path(), None, None).unwrap();
    assert_eq!(report.faults.len(), 1, "{report}");
    assert_eq!(report.faults[0].file, "tile/root");
    assert!(matches!(
        manifest::write(folder.path(), ledger.signer()),
        Err(Error::Unlistable { .. })
    ));
}

#[test]
fn the_root_of_an_earlier_size_is_the_root_of_that_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut ledger = Ledger::create(&path, "log.example", &[7; 32]).unwrap();
    let mut roots = vec![ledger.checkpoint().root()];
    for entry in 0..700_u32 {
        ledger.append(&entry.to_be_bytes()).unwrap();
        ledger.commit().unwrap();
        roots.push(ledger.checkpoint().root());
    }
    drop(ledger);
    let ledger = Ledger::open(&path).unwrap();
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(ledger.root_at(size as u64).unwrap(), *root, "{size}");
    }
    assert!(ledger.root_at(701).is_err());
}

#[test]
fn a_ledger_whose_folder_is_removed_is_not_intact_and_makes_no_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut ledger = Ledger::create(&path, "log.example", &[7; 32]).unwrap();
    assert!(ledger.disk().is_intact());
    std::fs::remove_dir_all(&path).unwrap();
    assert!(!ledger.disk().is_intact());
    ledger.append(b"x").unwrap();
    assert!(ledger.commit().is_err());
    assert!(!path.exists());
    // Another folder at the same path is not the one that was locked.
    let _other = Ledger::create(&path, "log.example", &[8; 32]).unwrap();
    assert!(!ledger.disk().is_intact());
}
