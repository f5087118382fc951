//! The command `portcullis-verify`.
#![allow(clippy::unwrap_used, reason = "in the helpers of tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use portcullis_ledger::{Ledger, manifest};

/// A folder of results, always with the same bytes.
fn results(folder: &Path) -> Ledger {
    let mut ledger = Ledger::create(&folder.join("ledger"), "party.example/log", &[3; 32]).unwrap();
    for event in ["started", "attack began", "attack ended"] {
        ledger.append(format!("{{\"event\":\"{event}\"}}").as_bytes()).unwrap();
    }
    ledger.commit().unwrap();
    let proof = ledger.prove_inclusion(1).unwrap().to_string();
    fs::write(folder.join("attack.tlog-proof"), proof).unwrap();
    fs::write(folder.join("statement.txt"), "We were attacked.\n").unwrap();
    manifest::write(folder, ledger.signer()).unwrap();
    // A copy for outsiders has no secret in it.
    fs::remove_file(folder.join("ledger/key")).unwrap();
    ledger
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis-verify"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn transcript(output: &Output) -> String {
    let status = output.status.code().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("exit status {status}\n{out}{err}")
}

#[test]
fn a_sound_folder_is_reported_with_the_limits_of_the_result() {
    let folder = tempfile::tempdir().unwrap();
    results(folder.path());
    insta::assert_snapshot!(transcript(&run(folder.path(), &["."])));
}

#[test]
fn the_trusted_key_and_an_older_checkpoint_remove_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = results(folder.path());
    let vkey = ledger.verifier().to_string();
    fs::copy(folder.path().join("ledger/checkpoint"), folder.path().join("older")).unwrap();
    ledger.append(b"{\"event\":\"full speed\"}").unwrap();
    ledger.commit().unwrap();
    let outer = folder.path();
    let output = run(outer, &["ledger", "--key", &vkey, "--since", "older"]);
    insta::assert_snapshot!(transcript(&output));
}

#[test]
fn a_changed_byte_is_named_by_file_and_entry() {
    let folder = tempfile::tempdir().unwrap();
    results(folder.path());
    let bundle = folder.path().join("ledger/tile/entries/000.p/3");
    let content = fs::read_to_string(&bundle).unwrap();
    fs::write(&bundle, content.replace("attack began", "attack Began")).unwrap();
    insta::assert_snapshot!(transcript(&run(folder.path(), &["."])));
}

#[test]
fn another_key_than_the_trusted_one_is_not_sound() {
    let folder = tempfile::tempdir().unwrap();
    results(folder.path());
    let other = portcullis_ledger::Signer::new("party.example/log", &[4; 32]).unwrap();
    let other = other.verifier().to_string();
    let output = run(folder.path(), &[".", "--key", &other]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(transcript(&output));
}

#[test]
fn json_output_has_the_fields_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    results(folder.path());
    let output = run(folder.path(), &[".", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["sound"], true);
    assert_eq!(report["size"], 3);
    assert_eq!(report["key_from"], "folder");
}

#[test]
fn a_folder_that_cannot_be_verified_has_exit_status_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["."][..], &["nowhere"], &[".", "--key", "nonsense"], &[]] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
    insta::assert_snapshot!(transcript(&run(folder.path(), &["nowhere"])));
}
