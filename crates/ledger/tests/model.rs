//! The ledger against an exact model: a list of entries, the first of which are acknowledged.

mod support;

use portcullis_durable::testing::{Crash, DiskFault, MemoryDisk};
use portcullis_ledger::verify;
use portcullis_ledger::{Hash, Ledger, LedgerReader, Proof, verify_consistency, verify_inclusion};
use proptest::prelude::*;
use support::entry;

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Commit,
    Crash(Crash),
    Fault { after: u64, fault: DiskFault },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..6).prop_map(Step::Append),
        2 => (100_u64..400).prop_map(Step::Append),
        6 => Just(Step::Commit),
        1 => prop::sample::select(Crash::ALL.to_vec()).prop_map(Step::Crash),
        1 => any::<u64>().prop_map(|seed| Step::Crash(Crash::PowerCutSome(seed))),
        2 => (0_u64..30, prop::sample::select(DiskFault::ALL.to_vec()))
            .prop_map(|(after, fault)| Step::Fault { after, fault }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn acknowledged_entries_survive_any_order_of_faults_and_crashes(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let mut disk = MemoryDisk::default();
        let mut ledger = Ledger::create_on(disk.clone(), "model.example", &[1; 32]).unwrap();
        let (mut appended, mut acknowledged) = (0_u64, 0_u64);
        for step in steps.into_iter().chain([Step::Crash(Crash::Kill)]) {
            let mut crash = None;
            match step {
                Step::Append(count) => {
                    for _ in 0..count {
                        prop_assert_eq!(ledger.append(&entry(appended)).unwrap(), appended);
                        appended += 1;
                    }
                }
                Step::Commit => match ledger.commit() {
                    Ok(checkpoint) => {
                        acknowledged = appended;
                        prop_assert_eq!(checkpoint.size(), acknowledged);
                    }
                    Err(error) if error.entries_are_durable() => acknowledged = appended,
                    Err(_) => {}
                },
                Step::Fault { after, fault } => disk.fault_after(after, fault),
                Step::Crash(kind) => crash = Some(kind),
            }
            if disk.is_dead() && crash.is_none() {
                crash = Some(Crash::PowerCut);
            }
            if let Some(crash) = crash {
                disk = disk.restart(crash);
                ledger = Ledger::open_on(disk.clone()).unwrap();
                prop_assert!((acknowledged..=appended).contains(&ledger.size()));
                (appended, acknowledged) = (ledger.size(), ledger.size());
                let report = verify::files(&disk, None, None).unwrap();
                prop_assert!(report.is_sound(), "{}", report);
                let entries = LedgerReader::open(disk.clone()).unwrap();
                let entries: Vec<_> = entries.entries().map(|found| found.unwrap().1).collect();
                let expected: Vec<_> = (0..appended).map(entry).collect();
                prop_assert_eq!(entries, expected);
            }
        }
    }

    #[test]
    fn proofs_of_every_size_verify_and_are_the_same_from_writer_and_reader(
        batches in prop::collection::vec(1_u64..300, 1..6), picks in prop::collection::vec(any::<u64>(), 5),
    ) {
        let disk = MemoryDisk::default();
        let mut ledger = Ledger::create_on(disk.clone(), "model.example", &[1; 32]).unwrap();
        let mut heads = vec![(0, Hash::EMPTY_ROOT)];
        for batch in batches {
            for _ in 0..batch {
                let next = ledger.size() + ledger.staged() as u64;
                ledger.append(&entry(next)).unwrap();
            }
            let checkpoint = ledger.commit().unwrap();
            heads.push((checkpoint.size(), checkpoint.root()));
        }
        let (size, root) = heads[heads.len() - 1];
        let reader = LedgerReader::open(disk).unwrap();
        for pick in picks {
            let index = pick % size;
            let proof = ledger.prove_inclusion(index).unwrap();
            prop_assert_eq!(&reader.prove_inclusion(index).unwrap(), &proof);
            let leaf = Hash::of_leaf(&reader.entry(index).unwrap());
            let read: Proof = proof.to_string().parse().unwrap();
            prop_assert_eq!(read.verify(leaf, &ledger.verifier()).unwrap().size(), size);
            prop_assert!(!verify_inclusion(leaf, (index + 1) % size, size, &proof.hashes, root) || size == 1);
            prop_assert!(read.verify(Hash::of_leaf(b"other"), &ledger.verifier()).is_err());
        }
        for (old_size, old_root) in &heads {
            let proof = ledger.prove_consistency(*old_size).unwrap();
            prop_assert!(verify_consistency(*old_size, *old_root, size, root, &proof));
            let other = Hash::of_leaf(b"other");
            prop_assert!(!verify_consistency(*old_size, other, size, root, &proof));
        }
    }
}
