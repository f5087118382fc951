//! `portcullis drill vectors` as people use it.

use portcullis_drill::vectors::LIST;
use serde_json::Value;

use crate::common::{run, text};

#[test]
fn without_a_target_a_vector_gets_a_gate_of_its_own() {
    let amount = ["--connections", "2", "--seconds", "2", "--patience", "20"];
    let output = run(&[&["drill", "vectors", "ping-flood", "slow-read"][..], &amount].concat());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    for line in ["CVE-2019-9512", " ping-flood\n", "Sockstress", "verdict          withstood"] {
        assert!(said.contains(line), "no `{line}` in {said}");
    }
}

#[test]
fn in_json_each_vector_is_a_line() {
    let amount = ["--connections", "2", "--seconds", "1", "--patience", "20", "--json"];
    let output = run(&[&["drill", "vectors", "priority-flood", "connect"][..], &amount].concat());
    let said = text(&output.stdout);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{said}{}", text(&output.stderr));
    assert_eq!(lines[0]["vector"], "priority-flood");
    assert!(lines[0]["gate"]["cuts"]["priority-flood"].as_u64().unwrap() >= 1, "{said}");
    assert!(lines[1]["gate"]["reasons"]["not-supported"].as_u64().unwrap() >= 1, "{said}");
}

#[test]
fn nothing_but_loopback_is_ever_attacked() {
    for target in ["192.0.2.1:80", "https://example.org:443", "0.0.0.0:80", "[::ffff:192.0.2.1]:80"]
    {
        let output = run(&["drill", "vectors", "idle-sockets", "--target", target]);
        assert_eq!(output.status.code(), Some(2), "{target}");
        assert!(text(&output.stderr).contains("cannot be the target of a drill"), "{target}");
    }
}

#[test]
fn what_cannot_be_rehearsed_is_said_so_before_anything_is_sent() {
    let unknown = run(&["drill", "vectors", "nonsense"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("there is no vector `nonsense`"));
    let plain = run(&["drill", "vectors", "rapid-reset", "--target", "127.0.0.1:9"]);
    assert_eq!(plain.status.code(), Some(2));
    assert!(text(&plain.stderr).contains("rapid-reset needs TLS"), "{}", text(&plain.stderr));
    let silent = run(&["drill", "vectors", "idle-sockets", "--target", "127.0.0.1:9"]);
    assert!(text(&silent.stderr).contains("nothing accepts connections"));
}

#[test]
fn the_list_names_each_vector_in_a_line() {
    let output = run(&["drill", "vectors", "--list"]);
    let said = text(&output.stdout);
    assert_eq!(said.lines().count(), LIST.len());
    for (line, vector) in said.lines().zip(LIST) {
        assert!(line.starts_with(vector.name) && line.contains(vector.about), "{line}");
    }
}
