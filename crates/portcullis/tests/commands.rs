//! The other commands, from outside.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use common::{certificate, configuration, portcullis, run, text};
use portcullis_ledger::Ledger;

#[test]
fn check_reports_the_place_of_a_mistake_and_its_correction() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "[[listeners]]\nadress = \"0.0.0.0:80\"\n").unwrap();
    let checked = run(&["check", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let output = text(&checked.stderr);
    assert!(output.contains("bad.toml:2") && output.contains("address"), "{output}");
}

#[test]
fn check_accepts_the_example() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../portcullis.example.toml");
    let folder = tempfile::tempdir().unwrap();
    // The example names certificates, which every site has its own of.
    certificate(folder.path(), "site", 90);
    certificate(folder.path(), "members", 90);
    let text_of_example = std::fs::read_to_string(example).unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, text_of_example).unwrap();
    let checked = run(&["check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("site.pem: site.example, 89 days left"));
}

/// The output of `check` for a file that has these certificates for its one listener.
fn check_with(pair: (&str, &str), folder: &Path) -> (Option<i32>, String, String) {
    let file = folder.join("portcullis.toml");
    let (certificate, key) = pair;
    let tls = format!("certificate = \"{certificate}\"\nkey = \"{key}\"");
    let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let text_of_file = configuration(address(8_443), address(8_444), address(3_000), &tls);
    std::fs::write(&file, text_of_file).unwrap();
    let checked = run(&["check", file.to_str().unwrap()]);
    (checked.status.code(), text(&checked.stdout), text(&checked.stderr))
}

#[test]
fn check_reads_certificates_as_run_would_and_names_the_file_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    for (name, days) in [("good", 90), ("soon", 9), ("over", -2)] {
        certificate(folder.path(), name, days);
    }
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    for (pair, code, said) in [
        (("good.pem", "good.key"), 0, ""),
        (("soon.pem", "soon.key"), 0, "soon.pem ends in 8 days"),
        (("over.pem", "over.key"), 1, "over.pem expired on 2"),
        (("good.pem", "soon.key"), 1, "do not work together"),
        (("empty.pem", "good.key"), 1, "empty.pem holds no certificate"),
        (("good.key", "good.key"), 1, "good.key holds no certificate"),
        (("absent.pem", "good.key"), 1, "absent.pem"),
    ] {
        let (found, out, err) = check_with(pair, folder.path());
        assert_eq!(found, Some(code), "{pair:?}: {out}{err}");
        assert!(err.contains(said), "{pair:?}: {err}");
        assert_eq!(err.is_empty(), said.is_empty(), "{err}");
        assert_eq!(out.contains("is valid"), code == 0, "{out}");
    }
    let json = run(&["check", "--json", folder.path().join("portcullis.toml").to_str().unwrap()]);
    assert_eq!(json.status.code(), Some(1));
    let said: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(said["usable"], false);
    assert!(said["certificates"][0]["problem"].as_str().unwrap().contains("absent.pem"));
}

#[test]
fn the_drill_refuses_every_target_that_is_not_this_machine() {
    for target in ["http://192.0.2.7:80", "example.org:80", "http://10.0.0.1:8080"] {
        let refused = run(&["drill", "--target", target, "--origin-port", "3999"]);
        assert_eq!(refused.status.code(), Some(2), "{target}");
        assert!(text(&refused.stderr).contains("loopback"), "{}", text(&refused.stderr));
    }
}

/// The whole story, in the short scenario. (The score card of the long one depends on
/// the machine's having two cores to itself, which a test must not.)
#[test]
fn a_drill_leaves_a_folder_that_verifies_until_a_byte_of_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let drilled = run(&["drill", "--scenario", "smoke", "--json", "--out", out.to_str().unwrap()]);
    assert!(matches!(drilled.status.code(), Some(0 | 1)), "{}", text(&drilled.stderr));
    let card: serde_json::Value = serde_json::from_slice(&drilled.stdout).unwrap();
    assert_eq!(card["scenario"], "smoke");

    let verify = || run(&["verify", out.to_str().unwrap()]);
    assert!(verify().status.success(), "{}", text(&verify().stdout));
    for file in ["plot.svg", "score-card.txt", "portcullis.toml", "ledger/checkpoint"] {
        let path = out.join(file);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let verified = verify();
        assert_eq!(verified.status.code(), Some(1), "{file}");
        assert!(text(&verified.stdout).contains(file), "{file}: {}", text(&verified.stdout));
        std::fs::write(&path, &good).unwrap();
    }

    let again = run(&["drill", "--scenario", "smoke", "--out", out.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(2), "results are never overwritten");
}

#[test]
fn without_an_incident_nothing_about_one_is_supported() {
    let folder = tempfile::tempdir().unwrap();
    let gate = common::Gate::start(folder.path(), common::origin(), "");
    gate.stop();
    let ledger = folder.path().join("ledger");
    let ledger = ledger.to_str().unwrap();
    assert!(text(&run(&["incident", "--ledger", ledger]).stdout).contains("no attack"));
    assert_eq!(run(&["statement", "--ledger", ledger]).status.code(), Some(2));

    let mut checking = portcullis()
        .args(["statement", "--check", "-", "--ledger", ledger])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = "We have experienced a sophisticated cyber attack.";
    checking.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
    let checked = checking.wait_with_output().unwrap();
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked.stdout));
}

#[test]
fn a_receipt_is_recorded_and_the_ledger_still_verifies() {
    let folder = tempfile::tempdir().unwrap();
    common::Gate::start(folder.path(), common::origin(), "").stop();
    let ledger = folder.path().join("ledger");
    let ledger = ledger.to_str().unwrap();
    let to = ["--to", "NCSC", "--channel", "web form", "--reference", "ABC-1", "--ledger", ledger];
    let recorded = run(&[&["receipt"], &to[..]].concat());
    assert!(recorded.status.success(), "{}", text(&recorded.stderr));
    assert!(run(&["verify", ledger]).status.success());
    let to_come = run(&[&["receipt", "--at", "2999-01-01T00:00:00Z"], &to[..]].concat());
    assert_eq!(to_come.status.code(), Some(2));
}

#[test]
fn a_log_is_replayed_from_a_pipe() {
    let mut replaying = portcullis()
        .args(["replay", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = replaying.stdin.take().unwrap();
    for second in 0..60 {
        writeln!(
            pipe,
            "192.0.2.{} - - [23/Nov/2026:10:00:{second:02} +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \
             \"Mozilla/5.0\"",
            second % 7
        )
        .unwrap();
    }
    writeln!(pipe, "this is no log line").unwrap();
    drop(pipe);
    let replayed = replaying.wait_with_output().unwrap();
    assert!(replayed.status.success());
    let findings: serde_json::Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert!(findings.to_string().contains("60"), "{findings}");
}

#[test]
fn the_doctor_finds_an_origin_on_this_machine_that_is_open_to_all() {
    let folder = tempfile::tempdir().unwrap();
    let open = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = open.local_addr().unwrap().port();
    let file = folder.path().join("portcullis.toml");
    let origin = format!("127.0.0.1:{port}").parse().unwrap();
    let (listen, operator) = (common::free_address(), common::free_address());
    std::fs::write(&file, common::configuration(listen, operator, origin, "")).unwrap();

    let output = run(&["doctor", "--config", file.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let of = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(of("the origin of site")["status"], "fail");
    assert_ne!(of("SYN cookies")["status"], "unknown", "{report}");

    let plain = text(&run(&["doctor", "--config", file.to_str().unwrap()]).stdout);
    assert!(plain.contains(&format!("also listens on 0.0.0.0:{port}")), "{plain}");

    let absent = run(&["doctor", "--pid", "4194305"]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(text(&absent.stderr).contains("/proc/4194305"), "{}", text(&absent.stderr));
}

/// The `vkey` of a ledger.
fn key_of(ledger: &std::path::Path) -> String {
    std::fs::read_to_string(ledger.join("vkey")).unwrap()
}

#[test]
fn a_receipt_reaches_the_ledger_of_a_running_gate_and_disturbs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gate = common::Gate::start(folder.path(), common::origin(), "");
    let ledger = folder.path().join("ledger");
    let ledger = ledger.to_str().unwrap();
    let to = ["--to", "NCSC", "--channel", "web form", "--reference", "ABC-1", "--ledger", ledger];
    let receipt = || run(&[&["receipt"], &to[..]].concat());
    let recorded = receipt();
    assert!(recorded.status.success(), "{}", text(&recorded.stderr));
    assert!(text(&recorded.stdout).contains("by the running gate"));
    assert_eq!(gate.get("/").0, 200);
    gate.stop();
    let recorded = receipt();
    assert!(recorded.status.success(), "{}", text(&recorded.stderr));
    common::Gate::start(folder.path(), common::origin(), "").stop();
    assert!(run(&["verify", ledger]).status.success());
    let leaves = Ledger::read(std::path::Path::new(ledger)).unwrap();
    let entries: Vec<_> = leaves.entries().map(|entry| entry.unwrap()).collect();
    let receipts = entries
        .iter()
        .filter(|(_, entry)| String::from_utf8_lossy(entry).contains("receipt-recorded"));
    assert_eq!(receipts.count(), 2);
}

#[test]
fn a_ledger_that_is_removed_while_the_gate_runs_is_begun_again_and_the_next_start_works() {
    let folder = tempfile::tempdir().unwrap();
    let gate = common::Gate::start(folder.path(), common::origin(), "");
    let ledger = folder.path().join("ledger");
    let key = key_of(&ledger);
    std::fs::remove_dir_all(&ledger).unwrap();
    gate.wait_until("a new ledger is begun", || {
        std::fs::read_to_string(&gate.log).unwrap().contains("a new ledger was begun")
    });
    assert_ne!(key_of(&ledger), key);
    gate.stop();
    let verified = run(&["verify", ledger.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
    common::Gate::start(folder.path(), common::origin(), "").stop();
    let first = Ledger::read(&ledger).unwrap().entry(0).unwrap();
    assert!(text(&first).contains("ledger-replaced"), "{}", text(&first));
}

#[test]
fn a_restored_backup_needs_a_decision_and_the_decision_is_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    common::Gate::start(folder.path(), common::origin(), "").stop();
    let (ledger, backup) = (folder.path().join("ledger"), folder.path().join("backup"));
    let copied = std::process::Command::new("cp").arg("-a").args([&ledger, &backup]).status();
    assert!(copied.unwrap().success());
    common::Gate::start(folder.path(), common::origin(), "").stop();
    std::fs::remove_dir_all(&ledger).unwrap();
    std::fs::rename(&backup, &ledger).unwrap();

    let config = folder.path().join("portcullis.toml");
    let config = config.to_str().unwrap();
    let refused = run(&["run", "--config", config]);
    assert_eq!(refused.status.code(), Some(2));
    let why = text(&refused.stderr);
    assert!(why.contains("rolled back") && why.contains("--accept-fork"), "{why}");

    let mut accepted = portcullis()
        .args(["run", "--config", config, "--accept-fork"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let holds = || {
        let leaves = Ledger::read(&ledger).unwrap();
        leaves.entries().any(|entry| text(&entry.unwrap().1).contains("fork-accepted"))
    };
    portcullis_testkit::wait::eventually("the decision is recorded", holds);
    accepted.kill().unwrap();
    accepted.wait().unwrap();
}

#[test]
fn a_closed_pipe_ends_a_verb_quietly() {
    for verb in [&["check", "--schema"][..], &["--help"], &["doctor"]] {
        let mut printing =
            portcullis().args(verb).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(printing.stdout.take());
        let ended = printing.wait_with_output().unwrap();
        assert_eq!(text(&ended.stderr), "", "{verb:?}");
        assert!(ended.status.code().is_some_and(|code| code < 2), "{verb:?}: {:?}", ended.status);
    }
}

#[test]
fn what_is_no_log_has_its_exit_status_and_is_reported_above_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("garbage");
    for garbage in [&b"\x00\x01\xff\xfe"[..], b"", b"not a log\nneither is this\n"] {
        std::fs::write(&file, garbage).unwrap();
        for more in [&[][..], &["--minutes"]] {
            let arguments = [&["replay", file.to_str().unwrap()], more].concat();
            let replayed = run(&arguments);
            assert_eq!(replayed.status.code(), Some(3), "{arguments:?}");
            let shown = text(&replayed.stdout);
            assert!(shown.lines().nth(1).unwrap().contains("UNRELIABLE"), "{shown}");
        }
    }
    let missing = run(&["replay", folder.path().join("missing").to_str().unwrap()]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_log_is_read_by_the_pattern_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.log");
    let lines: String = (0..40)
        .map(|n| format!("2026-11-23T10:00:{n:02}+00:00|GET /{n} HTTP/1.1|200|192.0.2.{n}\n"))
        .collect();
    std::fs::write(&file, &lines).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(run(&["replay", file]).status.code(), Some(3));
    let pattern = "$time_iso8601|$request|$status|$remote_addr";
    let replayed = run(&["replay", "--json", "--format", pattern, file]);
    assert_eq!(replayed.status.code(), Some(0), "{}", text(&replayed.stderr));
    let findings: serde_json::Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert_eq!((&findings["requests"], &findings["sources"]), (&40.into(), &40.into()));
    let refused = run(&["replay", "--format", "$remote_addr", file]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("$time_local or %t"), "{}", text(&refused.stderr));
}
