//! Comparison with independent implementations of the same formats.
//!
//! Trees and proofs are always compared with the crate `ct-merkle`. The whole folder (notes, tiles,
//! bundles, checkpoint and proofs) is compared with `aics-tlog` from `PyPI` if
//! `PORTCULLIS_TLOG_PYTHON` names a Python interpreter that can import it:
//!
//! ```sh
//! python3 -m venv tlog-venv      # Python 3.11 or newer
//! tlog-venv/bin/pip install --ignore-requires-python aics-tlog==0.2.1
//! PORTCULLIS_TLOG_PYTHON=$PWD/tlog-venv/bin/python cargo test -p portcullis-ledger --test oracle
//! ```
//!
//! With `PORTCULLIS_PEERS=required`, as in CI, a Python that is absent is a failure.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use portcullis_durable::testing::MemoryDisk;
use portcullis_ledger::{Hash, Ledger, verify_consistency, verify_inclusion};
use portcullis_testkit::peers::named_by;
use sha2::Sha256;
use support::entry;

fn bytes(hashes: &[Hash]) -> Vec<u8> {
    Hash::row_to_bytes(hashes)
}

#[test]
fn roots_and_proofs_equal_those_of_another_implementation() {
    let disk = MemoryDisk::default();
    let mut ledger = Ledger::create_on(disk, "oracle.example", &[4; 32]).unwrap();
    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut heads = Vec::new();
    let stops = [1, 2, 3, 5, 8, 13, 64, 100, 255, 256, 257, 511, 512, 513, 700];
    for stop in stops {
        while theirs.len() < stop {
            ledger.append(&entry(theirs.len())).unwrap();
            theirs.push(entry(theirs.len()));
        }
        let checkpoint = ledger.commit().unwrap();
        assert_eq!(checkpoint.size(), stop);
        assert_eq!(checkpoint.root().0.as_slice(), theirs.root().as_bytes().as_slice());

        for index in (0..stop).step_by(1 + stop as usize / 40).chain([stop - 1]) {
            let our_proof = ledger.prove_inclusion(index).unwrap();
            let their_proof = theirs.prove_inclusion(index as usize);
            assert_eq!(bytes(&our_proof.hashes), their_proof.as_bytes(), "{index} of {stop}");
            theirs.root().verify_inclusion(&entry(index), index, &their_proof).unwrap();
            let leaf = Hash::of_leaf(&entry(index));
            assert!(verify_inclusion(leaf, index, stop, &our_proof.hashes, checkpoint.root()));
        }
        for (old_size, old_root) in &heads {
            let our_proof = ledger.prove_consistency(*old_size).unwrap();
            let their_proof = theirs.prove_consistency((stop - old_size) as usize);
            assert_eq!(bytes(&our_proof), their_proof.as_bytes(), "{old_size} to {stop}");
            let root = checkpoint.root();
            assert!(verify_consistency(*old_size, *old_root, stop, root, &our_proof));
        }
        heads.push((stop, checkpoint.root()));
    }
}

/// Checks that every file of the other implementation exists, with the same bytes.
fn same_files(theirs: &Path, ours: &Path, compared: &mut usize) {
    for item in fs::read_dir(theirs).unwrap() {
        let item = item.unwrap();
        let ours = ours.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            same_files(&item.path(), &ours, compared);
        } else {
            let content =
                fs::read(&ours).unwrap_or_else(|error| panic!("{}: {error}", ours.display()));
            assert!(content == fs::read(item.path()).unwrap(), "{} differs", ours.display());
            *compared += 1;
        }
    }
}

#[test]
fn another_implementation_reads_verifies_and_writes_the_same_folder() {
    let Some(python) = named_by("PORTCULLIS_TLOG_PYTHON", "Python with aics-tlog") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/check.py");
    for size in [1_u64, 2, 255, 256, 257, 1000] {
        let folder = tempfile::tempdir().unwrap();
        let [ours, proofs, theirs] =
            ["ledger", "proofs", "theirs"].map(|name| folder.path().join(name));
        fs::create_dir(&proofs).unwrap();
        fs::create_dir(&theirs).unwrap();
        let mut ledger = Ledger::create(&ours, "oracle.example/log", &[4; 32]).unwrap();
        let mut old = Vec::new();
        for index in 0..size {
            ledger.append(&entry(index)).unwrap();
            if index % 150 == 99 || index + 1 == size {
                old.push(ledger.commit().unwrap());
                let proof = ledger.prove_inclusion(index / 2).unwrap().to_string();
                fs::write(proofs.join(format!("{index}.tlog-proof")), proof).unwrap();
            }
        }
        for checkpoint in old {
            let path = proofs.join(format!("{}.checkpoint", checkpoint.size()));
            let mut lines = String::new();
            for hash in ledger.prove_consistency(checkpoint.size()).unwrap() {
                lines.extend([hash.to_string(), "\n".to_owned()]);
            }
            fs::write(path.with_extension("consistency"), lines).unwrap();
            fs::write(path, checkpoint.note()).unwrap();
        }
        let output = Command::new(&python).arg(&script).args([&ours, &proofs, &theirs]).output();
        let output = output.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{size} entries: {errors}");
        let mut compared = 0;
        same_files(&theirs, &ours, &mut compared);
        assert!(compared >= 3, "only {compared} files compared");
    }
}
