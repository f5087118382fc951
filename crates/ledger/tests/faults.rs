//! Every change to the disk fails in every way, followed by every kind of crash. Then every
//! acknowledged entry exists, the log verifies, and no two checkpoints contradict each other.
#![allow(clippy::unwrap_used, reason = "in the helpers of tests")]

mod support;

use portcullis_durable::testing::{Crash, DiskFault, MemoryDisk};
use portcullis_ledger::verify::{self, OldCheckpoint};
use portcullis_ledger::{Checkpoint, Error, Ledger, LedgerReader};
use support::entry;

const ORIGIN: &str = "faults.example";
const SEED: [u8; 32] = [42; 32];

/// Batches within a bundle, an empty one, one across the end of the bundle, and one after it.
/// `model.rs` has random sizes.
const BATCHES: [u64; 6] = [1, 3, 0, 250, 5, 1];

/// What the caller of a ledger knows when the process ends.
#[derive(Default)]
struct Caller {
    created: bool,
    appended: u64,
    acknowledged: u64,
    checkpoints: Vec<Checkpoint>,
}

/// Uses a ledger as the gate does: after a failed commit it continues and commits again later.
fn run(disk: &MemoryDisk) -> Caller {
    let mut caller = Caller::default();
    let mut ledger = loop {
        match Ledger::create_on(disk.clone(), ORIGIN, &SEED) {
            Ok(ledger) => break ledger,
            Err(_) if disk.is_dead() => return caller,
            // The format file exists: the ledger was created, perhaps not completely.
            Err(Error::AlreadyThere { .. }) => match Ledger::open_on(disk.clone()) {
                Ok(ledger) => break ledger,
                Err(_) if disk.is_dead() => return caller,
                Err(error) => panic!("neither created nor opened: {error}"),
            },
            Err(_) => {}
        }
    };
    caller.created = true;
    for batch in BATCHES {
        for _ in 0..batch {
            let index = ledger.append(&entry(caller.appended)).unwrap();
            assert_eq!(index, caller.appended);
            caller.appended += 1;
        }
        note(&mut caller, &mut ledger);
        if disk.is_dead() {
            return caller;
        }
    }
    for _ in 0..20 {
        note(&mut caller, &mut ledger);
    }
    assert!(disk.is_dead() || caller.acknowledged == caller.appended, "the retries did not help");
    caller
}

fn note(caller: &mut Caller, ledger: &mut Ledger<MemoryDisk>) {
    match ledger.commit() {
        Ok(checkpoint) => {
            caller.acknowledged = caller.appended;
            assert_eq!(checkpoint.size(), caller.acknowledged);
            caller.checkpoints.push(checkpoint);
        }
        Err(error) if error.entries_are_durable() => {
            caller.acknowledged = caller.appended;
            caller.checkpoints.push(ledger.checkpoint().clone());
        }
        Err(error) => assert!(matches!(error, Error::NotDurable { .. }), "{error}"),
    }
}

/// Opens the ledger after a crash and compares it with what the caller knows.
fn check(disk: &MemoryDisk, crash: Crash, caller: &Caller, what: &str) {
    let disk = disk.restart(crash);
    if crash == Crash::Kill && caller.created {
        let report = verify::files(&disk, None, None).unwrap();
        assert!(report.is_sound(), "{what}: before opening: {report}");
    }
    let mut ledger = match Ledger::open_on(disk.clone()) {
        Ok(ledger) => ledger,
        Err(Error::NotALedger { .. }) if !caller.created => {
            Ledger::create_on(disk.clone(), ORIGIN, &SEED).unwrap()
        }
        Err(error) => panic!("{what}: {error}"),
    };
    let size = ledger.size();
    assert!(size >= caller.acknowledged, "{what}: {size} of {} entries", caller.acknowledged);
    assert!(size <= caller.appended, "{what}: {size} entries of {} appended", caller.appended);
    assert_eq!(ledger.append(&entry(size)).unwrap(), size);
    ledger.commit().unwrap_or_else(|error| panic!("{what}: {error}"));

    let reader = LedgerReader::open(disk.clone()).unwrap();
    let entries: Vec<_> = reader.entries().map(|found| found.unwrap()).collect();
    let expected: Vec<_> = (0..=size).map(|index| (index, entry(index))).collect();
    assert_eq!(entries, expected, "{what}");
    for checkpoint in caller.checkpoints.iter().rev().take(3) {
        let note = checkpoint.note().to_owned();
        let old = OldCheckpoint { name: "old".into(), note };
        let report = verify::files(&disk, None, Some(&old)).unwrap();
        assert!(report.is_sound(), "{what}: {report}");
    }
}

#[test]
fn no_acknowledged_entry_is_lost_by_any_fault_and_crash() {
    let undisturbed = MemoryDisk::default();
    let caller = run(&undisturbed);
    let steps = undisturbed.steps();
    assert!(steps > 50, "only {steps} changes to the disk");
    assert_eq!(caller.acknowledged, BATCHES.iter().sum::<u64>());
    for step in 0..steps {
        for fault in DiskFault::ALL {
            let disk = MemoryDisk::default();
            disk.fault_at(step, fault);
            let caller = run(&disk);
            for crash in Crash::ALL {
                check(&disk, crash, &caller, &format!("step {step}, {fault:?}, {crash:?}"));
            }
        }
    }
}

/// Opening repairs what it finds; it may itself crash or fail.
#[test]
fn a_second_crash_while_opening_loses_no_acknowledged_entry() {
    let length = {
        let disk = MemoryDisk::default();
        run(&disk);
        disk.steps()
    };
    // Steps over the whole run, also around the rotation of the journal.
    for first in (0..length).step_by(6) {
        for crash in [Crash::Kill, Crash::PowerCut, Crash::PowerCutSome(9)] {
            let disk = MemoryDisk::default();
            disk.fault_at(first, DiskFault::DiesWithin);
            let caller = run(&disk);
            if !caller.created {
                continue;
            }
            for step in 0..14 {
                for fault in [DiskFault::Torn, DiskFault::FailsButDone, DiskFault::DiesAfter] {
                    let disk = disk.restart(crash);
                    disk.fault_at(step, fault);
                    let opened = Ledger::open_on(disk.clone());
                    assert!(
                        opened.is_ok(),
                        "{first} {crash:?} {step} {fault:?}: {:?}",
                        opened.err()
                    );
                    drop(opened);
                    for again in [Crash::Kill, Crash::PowerCutSome(4)] {
                        let what = format!("{first} {crash:?}, then {step} {fault:?} {again:?}");
                        let created = Caller {
                            created: false,
                            checkpoints: caller.checkpoints.clone(),
                            ..caller
                        };
                        check(&disk, again, &created, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn a_commit_normally_waits_for_the_disk_once() {
    let disk = MemoryDisk::default();
    let mut ledger = Ledger::create_on(disk.clone(), ORIGIN, &SEED).unwrap();
    ledger.append(b"one").unwrap();
    ledger.append(b"two").unwrap();
    // The first two changes write and synchronise the journal. The third fails.
    disk.fault_after(2, DiskFault::FailsFor(100));
    let error = ledger.commit().unwrap_err();
    assert!(error.entries_are_durable(), "{error}");
    let disk = disk.restart(Crash::PowerCut);
    assert_eq!(Ledger::open_on(disk).unwrap().size(), 2);
}

#[test]
fn a_full_disk_costs_bounded_memory_and_reports_the_limit() {
    let disk = MemoryDisk::default();
    let mut ledger = Ledger::create_on(disk.clone(), ORIGIN, &SEED).unwrap();
    disk.fault_after(0, DiskFault::FailsFor(u64::from(u32::MAX)));
    let large = vec![b'x'; 60_000];
    let refused = loop {
        if let Err(error) = ledger.append(&large) {
            break error;
        }
    };
    assert!(matches!(refused, Error::TooMuchWaiting { bytes } if bytes <= 64 << 20), "{refused}");
    let staged = ledger.staged();
    assert!(matches!(ledger.commit(), Err(Error::NotDurable { entries, .. }) if entries == staged));
    disk.fault_at(0, DiskFault::Fails);
    assert_eq!(ledger.commit().unwrap().size(), staged as u64);
    assert!(ledger.append(&large).is_ok());
}
