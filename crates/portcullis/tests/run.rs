//! `portcullis run`, from outside: the real binary, real sockets, real signals.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::TcpListener;

use common::{Gate, configuration, free_address, origin, run, serve, text};
use rustix::process::Signal;

#[test]
fn a_visitor_gets_through_and_the_gate_counts_it() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path(), origin(), "");
    let (status, body) = gate.get("/hello?name=value");
    assert_eq!(status, 200);
    assert!(body.starts_with("GET /hello?name=value HTTP/1.1"), "{body}");
    assert!(body.to_ascii_lowercase().contains("x-forwarded-for: 127.0.0.1"), "{body}");
    let metrics = gate.admin_get("/metrics");
    assert!(metrics.contains("reason=\"allowed\"} 1"), "{metrics}");
    gate.wait_until("the status is published", || {
        gate.admin_get("/status.json").contains("\"posture\": \"open\"")
    });
    gate.stop();
}

#[test]
fn a_flooding_source_is_refused_and_the_sum_over_reasons_is_the_number_of_requests() {
    let folder = tempfile::tempdir().unwrap();
    let limits = "[limits.source]\nrequests_per_second = 20\nburst = 100\nmax_connections = 64\n\
                  [posture.tightened]\nburst = 50\nmax_connections = 32";
    let gate = Gate::start(folder.path(), origin(), limits);
    let statuses: Vec<u16> = (0..150).map(|_| gate.get("/").0).collect();
    assert_eq!(statuses[0], 200);
    assert_eq!(statuses.last(), Some(&429));
    let counted: u64 = gate
        .admin_get("/metrics")
        .lines()
        .filter(|line| line.starts_with("portcullis_requests_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, 150);
}

#[test]
fn requests_that_cannot_be_read_are_no_evidence_about_a_platform() {
    let folder = tempfile::tempdir().unwrap();
    let more = "[[platforms]]\nname = \"campaign\"\nhosts = [\"a.test\"]\n\
                origin = \"http://127.0.0.1:9\"\n\n[[platforms.activities]]\n\
                name = \"donate\"\npaths = [\"/donate\"]\n";
    let gate = Gate::start(folder.path(), origin(), more);
    let target = format!("/x?{}", "a".repeat(9_000));
    let flood_began = || std::fs::read_to_string(&gate.log).unwrap().contains("flood of requests");
    gate.wait_until("the flood is noticed", || {
        (0..40).for_each(|_| assert_eq!(gate.get(&target).0, 414));
        flood_began()
    });
    let metrics = gate.admin_get("/metrics");
    assert!(metrics.contains("portcullis_unassigned_total{reason=\"target-too-long\"}"));
    assert!(!metrics.contains("activity=\"donate\""), "{metrics}");
    gate.stop();
    let ledger = folder.path().join("ledger");
    let shown = run(&["incident", "latest", "--ledger", ledger.to_str().unwrap()]);
    assert!(text(&shown.stdout).contains("belong to no platform"), "{}", text(&shown.stdout));
    let statement = run(&["statement", "latest", "--ledger", ledger.to_str().unwrap()]);
    assert!(!text(&statement.stdout).contains("   SUPPORTED"), "{}", text(&statement.stdout));
}

#[test]
fn an_origin_that_dies_is_recorded_from_its_beginning_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (origin, listen, admin) = (free_address(), free_address(), free_address());
    let file = folder.path().join("portcullis.toml");
    // Other tests count what reaches their origins.
    let settings =
        configuration(listen, admin, origin, "").replace("probe = false", "probe = true");
    std::fs::write(&file, settings).unwrap();
    let gate = Gate::start_with(file, listen, admin);
    // No visitor comes: the gate asks by itself.
    gate.wait_until("the outage is noticed", || {
        gate.admin_get("/metrics").contains("origin_up{platform=\"site\"} 0")
    });
    assert_eq!(gate.try_get(gate.admin, "/healthz").unwrap().0, 503);
    assert_eq!(gate.try_get(gate.admin, "/livez").unwrap().0, 200);
    assert!(gate.admin_get("/status.json").contains("\"posture\": \"watchful\""));
    let log = || std::fs::read_to_string(&gate.log).unwrap();
    (0..4).for_each(|_| assert_eq!(gate.get("/").0, 502));
    assert!(gate.admin_get("/metrics").contains("outcome=\"origin-refused\"} 4"));
    assert!(log().contains("connection refused"), "{}", log());
    assert!(!log().contains("origin recovered"), "{}", log());

    serve(TcpListener::bind(origin).unwrap());
    gate.wait_until("it is up again", || {
        gate.admin_get("/metrics").contains("origin_up{platform=\"site\"} 1")
    });
    assert_eq!(gate.get("/").0, 200);
    assert_eq!(gate.try_get(gate.admin, "/healthz").unwrap().0, 200);
    gate.stop();
    let ledger = folder.path().join("ledger");
    let ledger = ledger.to_str().unwrap();
    let shown = text(&run(&["incident", "latest", "--ledger", ledger]).stdout);
    assert!(shown.contains("was down: since") && shown.contains("was up again after"), "{shown}");
    let said = folder.path().join("said.txt");
    for (sentence, passes) in
        [("Our site stayed up throughout.", false), ("The origin server was down.", true)]
    {
        std::fs::write(&said, sentence).unwrap();
        let arguments = ["statement", "--check", said.to_str().unwrap(), "--ledger", ledger];
        let checked = run(&arguments);
        assert_eq!(checked.status.success(), passes, "{sentence}: {}", text(&checked.stdout));
    }
}

#[test]
fn a_good_file_is_reloaded_and_a_bad_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = origin();
    let gate = Gate::start(folder.path(), first, "");
    assert_eq!(gate.get("/").0, 200);

    std::fs::write(&gate.file, "nonsense = true\n").unwrap();
    gate.signal(Signal::HUP);
    gate.wait_until("the file is refused", || {
        std::fs::read_to_string(&gate.log).unwrap().contains("reload refused")
    });
    assert_eq!(gate.get("/").0, 200, "the old policy stays");
    gate.wait_until("the refusal is shown", || {
        gate.admin_get("/metrics").contains("\nportcullis_reload_refused 1\n")
    });
    let status = gate.admin_get("/status.json");
    assert!(status.contains("nonsense") && status.contains("is not known"), "{status}");

    // A host name that this request does not carry: the new policy refuses it.
    let named =
        configuration(gate.listen, gate.admin, first, "").replace("\"*\"", "\"example.org\"");
    std::fs::write(&gate.file, named).unwrap();
    gate.signal(Signal::HUP);
    gate.wait_until("the new policy holds", || gate.get("/").0 == 421);
    gate.stop();

    let shown = run(&["verify", folder.path().join("ledger").to_str().unwrap()]);
    assert!(shown.status.success(), "{}", text(&shown.stdout));
    let leaves = leaves(folder.path());
    for event in ["started", "reload-refused", "reloaded", "stopped"] {
        assert!(leaves.contains(&format!("\"event\":\"{event}\"")), "{event}: {leaves}");
    }
}

#[test]
fn a_second_gate_that_cannot_take_over_cannot_write_the_same_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let origin = origin();
    let gate = Gate::start(folder.path(), origin, "");
    let socket = folder.path().join("ledger.socket");
    gate.wait_until("it answers commands", || socket.exists());
    std::fs::remove_file(socket).unwrap();
    let other = folder.path().join("other.toml");
    let text_of_other = configuration(common::free_address(), common::free_address(), origin, "");
    std::fs::write(&other, text_of_other).unwrap();
    let refused = run(&["run", "--config", other.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("ledger"), "{}", text(&refused.stderr));
    drop(gate);
}

#[test]
fn after_a_kill_the_ledger_opens_verifies_and_continues() {
    let folder = tempfile::tempdir().unwrap();
    let origin = origin();
    for _ in 0..3 {
        let gate = Gate::start(folder.path(), origin, "");
        assert_eq!(gate.get("/").0, 200);
        // Dropping kills it with SIGKILL, at no particular moment.
        drop(gate);
    }
    let ledger = folder.path().join("ledger");
    let verified = run(&["verify", ledger.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
    assert_eq!(leaves(folder.path()).matches("\"event\":\"started\"").count(), 3);
}

#[test]
fn a_taken_port_is_reported_before_anything_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ledger = folder.path().join("ledger");
    let refused = run(&[
        "run",
        "--listen",
        &address,
        "--origin",
        "http://127.0.0.1:1",
        "--ledger",
        ledger.to_str().unwrap(),
        "--admin",
        &common::free_address().to_string(),
    ]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains(&address), "{}", text(&refused.stderr));
    assert!(!ledger.exists());
}

#[test]
fn a_taken_admin_port_is_reported_before_anything_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = taken.local_addr().unwrap().to_string();
    let ledger = folder.path().join("ledger");
    let refused = run(&[
        "run",
        "--listen",
        &common::free_address().to_string(),
        "--origin",
        "http://127.0.0.1:1",
        "--ledger",
        ledger.to_str().unwrap(),
        "--admin",
        &admin,
    ]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains(&admin), "{}", text(&refused.stderr));
    assert!(!ledger.exists());
}

#[test]
fn the_log_has_no_colours_without_a_terminal_and_can_be_json() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let (listen, admin) = (common::free_address(), common::free_address());
        let file = folder.path().join("portcullis.toml");
        std::fs::write(&file, configuration(listen, admin, origin(), "")).unwrap();
        let gate = Gate::start_logging(file, listen, admin, format);
        let log = gate.log.clone();
        gate.stop();
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("ledger opened") && log.contains("stopping"), "{log}");
        assert!(!log.contains('\u{1b}'), "{log}");
        if format == "json" {
            for line in log.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(line["fields"]["message"].is_string(), "{line}");
            }
        }
    }
}

#[test]
fn a_request_that_two_servers_could_read_differently_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path(), origin(), "");
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    ] {
        let answer = common::send(gate.listen, request.as_bytes()).unwrap();
        let status: u16 = answer.split(' ').nth(1).unwrap_or("0").parse().unwrap_or(0);
        assert!((400..=501).contains(&status), "{request}\n{answer}");
    }
}

#[test]
fn cut_connections_are_recorded_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path(), origin(), "");
    let body = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let _ = common::send(gate.listen, body.as_bytes());
    gate.wait_until("it is counted", || {
        gate.admin_get("/metrics").contains("portcullis_cuts_total{reason=\"malformed-body\"} 1")
    });
    gate.stop();
    let leaves = leaves(folder.path());
    assert!(leaves.contains("\"cuts\":{\"malformed-body\":1}"), "{leaves}");
    assert!(!leaves.contains("127.0.0.1"), "no address: {leaves}");
}

/// Every leaf, as the ledger's reader returns them.
fn leaves(folder: &std::path::Path) -> String {
    let reader = portcullis_ledger::Ledger::read(&folder.join("ledger")).unwrap();
    reader.entries().map(|entry| text(&entry.unwrap().1) + "\n").collect()
}

/// What `proc_pid_status(5)` says about a process.
fn process_status(gate: &Gate, key: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().to_owned()
}

#[test]
fn the_gate_drops_privileges_that_it_does_not_need() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path(), origin(), "");
    assert_eq!(process_status(&gate, "Umask:"), "0027");
    let log = std::fs::read_to_string(&gate.log).unwrap();
    let line = log.lines().find(|line| line.contains("sandbox")).expect("it says what it did");
    // A kernel without seccomp is said to be one.
    if line.contains("seccomp=\"yes\"") {
        assert_eq!(process_status(&gate, "Seccomp:"), "2");
        assert_eq!(process_status(&gate, "NoNewPrivs:"), "1");
    }
    assert_eq!(gate.get("/").0, 200);
    gate.stop();
}

#[test]
fn a_gate_that_root_starts_runs_as_the_configured_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can change to another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    let (listen, admin) = (free_address(), free_address());
    let file = folder.path().join("portcullis.toml");
    let text = format!("user = \"daemon\"\n{}", configuration(listen, admin, origin(), ""));
    // A run of root leaves its secret behind, which only its owner reads.
    std::fs::write(&file, text.replace("user = ", "#")).unwrap();
    Gate::start_with(file.clone(), listen, admin).stop();
    std::fs::write(&file, &text).unwrap();
    let gate = Gate::start_with(file, listen, admin);
    let ids = process_status(&gate, "Uid:");
    assert!(!ids.split_whitespace().any(|id| id == "0"), "{ids}");
    assert_eq!(process_status(&gate, "Groups:").split_whitespace().count(), 1);
    assert_eq!(process_status(&gate, "CapEff:"), "0000000000000000");
    assert_eq!(gate.get("/").0, 200);
    gate.stop();
    assert!(folder.path().join("ledger.secret").exists());
}

#[test]
fn the_access_log_has_a_line_for_each_request_and_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let more = "[access_log]\nfile = \"access.log\"\n";
    let gate = Gate::start(folder.path(), origin(), more);
    let (file, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let lines = || std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(gate.get("/hello?a=\"b").0, 200);
    gate.wait_until("the line is written", || lines().contains("/hello"));
    let line = lines();
    assert!(line.starts_with("127.0.0.0 - - ["), "{line}");
    assert!(line.contains("\"GET /hello?a=\\x22b HTTP/1.1\" 200 "), "{line}");
    assert!(line.ends_with(" \"-\" \"-\" allowed\n"), "{line}");
    std::fs::rename(&file, &old).unwrap();
    gate.signal(Signal::USR1);
    gate.wait_until("it is opened again", || file.exists());
    assert_eq!(gate.get("/again").0, 200);
    gate.wait_until("the line is in the new file", || lines().contains("/again"));
    gate.stop();
}
