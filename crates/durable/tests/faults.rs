//! Every change to the disk fails in every way, followed by every kind of crash.

use portcullis_durable::testing::{Crash, DiskFault, MemoryDisk};
use portcullis_durable::{AppendFile, Disk, FileAccess, FrameIter, ReadDisk, push_frame, replace};

const RECORDS: usize = 6;

fn record(number: usize) -> Vec<u8> {
    format!("record number {number}").into_bytes()
}

fn framed(numbers: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers.into_iter().for_each(|number| push_frame(&mut bytes, b'R', &record(number)));
    bytes
}

/// Appends all records one by one, each until it is durable; returns how many are.
fn append_all(disk: &mut MemoryDisk) -> usize {
    let mut file = AppendFile::new("log", "log.new");
    for number in 0..RECORDS {
        let batch = framed([number]);
        while file.append(disk, &batch, || framed(0..=number)).is_err() {
            if disk.is_dead() {
                return number;
            }
        }
        assert!(file.is_clean());
    }
    RECORDS
}

#[test]
fn no_durable_record_is_lost_by_any_fault_and_crash() {
    let mut undisturbed = MemoryDisk::default();
    assert_eq!(append_all(&mut undisturbed), RECORDS);
    let steps = undisturbed.steps();
    assert_eq!(steps, 4 + 2 * (RECORDS as u64 - 1), "one replacement, then two changes a record");
    for step in 0..steps {
        for fault in DiskFault::ALL {
            let mut disk = MemoryDisk::default();
            disk.fault_at(step, fault);
            let durable = append_all(&mut disk);
            for crash in Crash::ALL.into_iter().chain((3..20).map(Crash::PowerCutSome)) {
                let what = format!("step {step}, {fault:?}, {crash:?}");
                let mut disk = disk.restart(crash);
                let bytes = match disk.read("log", 10_000) {
                    Ok(bytes) => bytes,
                    Err(_) if durable == 0 => continue,
                    Err(error) => panic!("{what}: {error}"),
                };
                let mut frames = FrameIter::new(&bytes, 0);
                let found: Vec<Vec<u8>> = frames.by_ref().map(|f| f.body.to_vec()).collect();
                assert!((durable..=RECORDS).contains(&found.len()), "{what}");
                let expected: Vec<Vec<u8>> = (0..found.len()).map(record).collect();
                assert_eq!(found, expected, "{what}");

                // Recovery: cut the torn tail, then append as before.
                let mut file = AppendFile::new("log", "log.new");
                assert!(!file.is_clean(), "a file that was only read is not durable yet");
                file.replace(&mut disk, &bytes[..frames.offset()]).unwrap();
                file.append(&mut disk, &framed([found.len()]), Vec::new).unwrap();
                let disk = disk.restart(Crash::PowerCut);
                assert_eq!(disk.content("log"), framed(0..=found.len()), "{what}");
            }
        }
    }
}

#[test]
fn a_replaced_file_holds_the_old_content_or_the_new_one() {
    for step in 0..4 {
        for fault in DiskFault::ALL {
            for crash in Crash::ALL {
                let what = format!("step {step}, {fault:?}, {crash:?}");
                let mut disk = MemoryDisk::default();
                replace(&mut disk, "state", "state.new", b"old", FileAccess::Default).unwrap();
                disk.fault_after(step, fault);
                let done = replace(&mut disk, "state", "state.new", b"new", FileAccess::Default);
                let found = disk.restart(crash).content("state");
                assert!(found == b"new" || done.is_err() && found == b"old", "{what}: {found:?}");
            }
        }
    }
}

#[test]
fn an_error_names_the_step_that_failed() {
    for (step, message) in [
        (0, "could not write: "),
        (1, "could not synchronise: "),
        (2, "could not rename a new file to: "),
        (3, "could not synchronise the folder of: "),
    ] {
        let mut disk = MemoryDisk::default();
        disk.fault_at(step, DiskFault::Fails);
        let error = replace(&mut disk, "a", "a.new", b"", FileAccess::Default).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[test]
fn a_memory_disk_loses_what_was_not_synchronised() {
    let mut disk = MemoryDisk::default();
    disk.write("a", b"content", FileAccess::Default).unwrap();
    assert!(disk.restart(Crash::PowerCut).paths().is_empty());
    disk.sync_folder("").unwrap();
    assert_eq!(disk.restart(Crash::PowerCut).content("a"), b"");
    disk.sync("a").unwrap();
    assert_eq!(disk.restart(Crash::PowerCut).content("a"), b"content");
}
