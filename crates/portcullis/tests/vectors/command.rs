//! `portcullis drill vectors` as people use it.

use portcullis_drill::vectors::VECTORS;
use serde_json::Value;

use crate::common::{Gate, free_address, portcullis, run, text};

#[test]
fn without_a_target_a_vector_gets_a_separate_gate() {
    let amount = ["--connections", "2", "--seconds", "2", "--page-timeout", "20"];
    let output = run(&[&["drill", "vectors", "ping-flood", "slow-read"][..], &amount].concat());
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", text(&output.stderr));
    for line in
        ["\nslow-read (Sockstress", "ping-flood (CVE-2019-9512)", "verdict             withstood"]
    {
        assert!(printed.contains(line), "no `{line}` in {printed}");
    }
}

#[test]
fn a_running_gate_gets_a_site_at_the_address_of_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let origin = free_address();
    let gate = Gate::start(folder.path(), origin, "");
    let (target, port) = (gate.listen.to_string(), origin.port().to_string());
    let mut drill = portcullis();
    drill.args(["drill", "vectors", "slow-read", "--json"]);
    drill.args(["--target", &target, "--origin-port", &port, "--page-timeout", "20"]);
    drill.args(["--connections", "2", "--seconds", "14"]).arg("--config").arg(&gate.file);
    let output = drill.output().unwrap();
    let printed = text(&output.stdout);
    let Ok(result) = serde_json::from_str::<Value>(&printed) else {
        panic!("{printed}{}", text(&output.stderr))
    };
    assert_eq!(result["visitors"]["requested"], result["visitors"]["served"], "{printed}");
    // What is read slowly is a page that is worth it, and it was still being read.
    assert_eq!(result["outcome"]["responses"]["200"], 2, "{printed}");
    assert_eq!(result["outcome"]["ends"]["open at the end"], 2, "{printed}");
}

#[test]
fn in_json_each_vector_is_a_line() {
    let amount = ["--connections", "2", "--seconds", "1", "--page-timeout", "20", "--json"];
    let output = run(&[&["drill", "vectors", "priority-flood", "connect"][..], &amount].concat());
    let printed = text(&output.stdout);
    let lines: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{printed}{}", text(&output.stderr));
    assert_eq!(lines[0]["vector"], "priority-flood");
    assert!(lines[0]["gate"]["cuts"]["priority-flood"].as_u64().unwrap() >= 1, "{printed}");
    assert!(lines[1]["gate"]["reasons"]["not-supported"].as_u64().unwrap() >= 1, "{printed}");
}

#[test]
fn only_loopback_is_ever_attacked() {
    for target in ["192.0.2.1:80", "https://example.org:443", "0.0.0.0:80", "[::ffff:192.0.2.1]:80"]
    {
        let output = run(&["drill", "vectors", "idle-sockets", "--target", target]);
        assert_eq!(output.status.code(), Some(2), "{target}");
        assert!(text(&output.stderr).contains("cannot be the target of a drill"), "{target}");
    }
}

#[test]
fn a_vector_that_the_target_does_not_support_is_refused_before_anything_is_sent() {
    let unknown = run(&["drill", "vectors", "nonsense"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("unknown vector `nonsense`"));
    let plain = run(&["drill", "vectors", "rapid-reset", "--target", "127.0.0.1:9"]);
    assert_eq!(plain.status.code(), Some(2));
    assert!(text(&plain.stderr).contains("rapid-reset needs TLS"), "{}", text(&plain.stderr));
    let silent = run(&["drill", "vectors", "idle-sockets", "--target", "127.0.0.1:9"]);
    assert!(text(&silent.stderr).contains("nothing accepts connections"));
}

#[test]
fn the_list_names_each_vector_in_a_line() {
    let output = run(&["drill", "vectors", "--list"]);
    let printed = text(&output.stdout);
    assert_eq!(printed.lines().count(), VECTORS.len());
    for (line, vector) in printed.lines().zip(VECTORS) {
        assert!(line.starts_with(vector.name) && line.contains(vector.about), "{line}");
    }
}
