//! Layers, purity, file sizes, and words that must not be left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Which rooms each room may use, floor by floor. The table of ARCHITECTURE.md; a test below
/// holds them against each other.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("durable", &[]),
    ("gate", &["model"]),
    ("watch", &["model"]),
    ("posture", &["model", "watch"]),
    ("ledger", &["durable"]),
    ("incident", &["model"]),
    ("statement", &["model", "incident"]),
    ("report", &["model", "incident"]),
    ("edge", &["model", "gate"]),
    ("acme", &["durable", "model", "edge"]),
    ("drill", &["model", "report"]),
    ("replay", &["model", "gate", "watch", "posture", "incident", "report"]),
    ("doctor", &["model"]),
    ("verify", &["ledger"]),
];

/// Rooms without a clock, a socket, a file or randomness of their own.
const PURE: &[&str] = &["model", "gate", "watch", "posture", "incident", "statement", "report"];

/// What a pure room must not say. (`ledger` keeps files, behind its `disk` module.)
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::env",
    "std::thread",
    "std::process",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
    "RandomState",
    "thread_rng",
    "rand::",
    "getrandom",
    "tokio",
    "println!",
    "eprintln!",
];

/// Libraries that would bring the outside into a pure room.
const IMPURE_CRATES: &[&str] =
    &["tokio", "hyper", "socket2", "rand", "getrandom", "tracing", "mio", "rustls"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".into()])
        .exec()
        .expect("cargo metadata");
    metadata
        .packages
        .iter()
        .map(|package| {
            let normal = package
                .dependencies
                .iter()
                .filter(|d| d.kind == DependencyKind::Normal)
                .map(|d| d.name.clone())
                .collect();
            (package.name.to_string(), normal)
        })
        .collect()
}

#[test]
fn every_room_uses_only_the_rooms_it_may() {
    let found = dependencies();
    let rooms: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    for (package, uses) in &found {
        let Some(room) = package.strip_prefix("portcullis-") else { continue };
        let allowed = rooms.get(room).unwrap_or_else(|| panic!("{room} is not in the table"));
        for used in uses.iter().filter_map(|name| name.strip_prefix("portcullis-")) {
            assert!(allowed.contains(&used), "{room} must not use {used}");
        }
    }
}

#[test]
fn the_table_of_rooms_stands_in_the_architecture() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (room, uses) in ROOMS {
        let uses = if uses.is_empty() { "nothing of ours".to_owned() } else { uses.join(", ") };
        let row = format!("| `{room}` | {uses} |");
        assert!(text.contains(&row), "ARCHITECTURE.md lacks the row: {row}");
    }
}

#[test]
fn pure_rooms_bring_in_no_library_of_the_outside() {
    let found = dependencies();
    for room in PURE {
        for used in &found[&format!("portcullis-{room}")] {
            assert!(!IMPURE_CRATES.contains(&used.as_str()), "{room} must not use {used}");
        }
    }
}

/// The part of a source file before its tests, without comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a source file");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn pure_rooms_name_no_clock_no_socket_no_file_and_no_randomness() {
    let mut faults = Vec::new();
    for room in PURE {
        for path in sources(&root().join("crates").join(room).join("src")) {
            // A module of tests in a file of its own is not the room.
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            let code = code(&path);
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                faults.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_stay_small_enough_to_hold_in_the_head() {
    let mut long = Vec::new();
    for path in sources(&root().join("crates")) {
        let lines = std::fs::read_to_string(&path).expect("a source file").lines().count();
        if lines > 800 {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_crate_opens_with_what_it_is_for() {
    for (room, _) in ROOMS {
        let folder = root().join("crates").join(room).join("src");
        let lib = folder.join("lib.rs");
        let file = if lib.exists() { lib } else { folder.join("main.rs") };
        let text = std::fs::read_to_string(&file).expect("a crate root");
        assert!(text.starts_with("//! "), "{} says nothing of its purpose", file.display());
    }
}

#[test]
fn nothing_unfinished_is_left_behind() {
    let marks = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "XX".to_owned() + "X"];
    let mut found = Vec::new();
    for path in sources(&root().join("crates")) {
        let text = std::fs::read_to_string(&path).expect("a source file");
        for mark in marks.iter().filter(|mark| text.contains(mark.as_str())) {
            found.push(format!("{}: {mark}", path.display()));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
