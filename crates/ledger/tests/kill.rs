//! A real process on a real file system, killed at any moment.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use portcullis_durable::testing::SplitMix64;
use portcullis_ledger::{Error, Ledger, verify};
use support::entry;

/// The environment variable with the folder of the process to be killed.
const FOLDER: &str = "PORTCULLIS_LEDGER_TEST_FOLDER";

/// Not a test: the process that the next test kills. It prints the acknowledged size in an endless
/// loop.
#[test]
fn writer_to_be_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let mut ledger = match Ledger::open(folder) {
        Err(Error::NotCreated { .. }) => Ledger::create(folder, "kill.example", &[6; 32]).unwrap(),
        opened => opened.unwrap(),
    };
    let mut random = SplitMix64(ledger.size());
    loop {
        for _ in 0..=random.below(40) {
            let next = ledger.size() + ledger.staged() as u64;
            ledger.append(&entry(next)).unwrap();
        }
        println!("acknowledged {}", ledger.commit().unwrap().size());
    }
}

#[test]
fn a_log_whose_writer_was_killed_opens_with_every_acknowledged_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = SplitMix64(11);
    let mut acknowledged = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_to_be_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            let sizes = lines.map_while(Result::ok).filter_map(|line| {
                line.rsplit_once("acknowledged ").and_then(|(_, size)| size.parse::<u64>().ok())
            });
            sizes.last()
        });
        std::thread::sleep(Duration::from_micros(20_000 + random.below(60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = reader.join().unwrap().unwrap_or(acknowledged);

        let report = match verify::folder(folder.path(), None, None) {
            Ok(report) => report,
            // Killed before the ledger was created.
            Err(Error::NotALedger { .. }) if acknowledged == 0 => continue,
            Err(error) => panic!("round {round}: {error}"),
        };
        let created = folder.path().join("format").exists();
        assert!(report.is_sound() || !created, "round {round}: {report}");
        if !created {
            continue;
        }
        let ledger = Ledger::open(folder.path()).unwrap();
        assert!(
            ledger.size() >= acknowledged,
            "round {round}: {} lost",
            acknowledged - ledger.size()
        );
        acknowledged = ledger.size();
        let report = verify::folder(folder.path(), None, None).unwrap();
        assert!(report.is_sound(), "round {round}: {report}");
        let reader = Ledger::read(folder.path()).unwrap();
        for found in reader.entries() {
            let (index, content) = found.unwrap();
            assert_eq!(content, entry(index));
        }
    }
    assert!(acknowledged > 0, "no round reached a commit");
}
