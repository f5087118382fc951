//! Layers: which crate may use which, and what each keeps out.
//!
//! ARCHITECTURE.md says how the workspace is built; these tests fail when the code says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};
use xtask::modules::compiled;
use xtask::purity::impure;
use xtask::source::{read, workspace};

/// A crate: its layer, and the crates of lower layers that it may use.
struct Layer {
    name: &'static str,
    number: u8,
    uses: &'static [&'static str],
}

const fn layer(number: u8, name: &'static str, uses: &'static [&'static str]) -> Layer {
    Layer { name, number, uses }
}

/// The table of ARCHITECTURE.md; a test below compares them.
const LAYERS: &[Layer] = &[
    layer(0, "model", &[]),
    layer(0, "durable", &[]),
    layer(1, "gate", &["model"]),
    layer(1, "watch", &["model"]),
    layer(1, "posture", &["model", "watch"]),
    layer(1, "ledger", &["durable"]),
    layer(2, "incident", &["model"]),
    layer(2, "statement", &["model", "incident"]),
    layer(2, "report", &["model", "incident"]),
    layer(3, "edge", &["model", "gate"]),
    layer(3, "acme", &["durable", "model", "edge"]),
    layer(3, "drill", &["model", "report"]),
    layer(3, "replay", &["model", "gate", "watch", "posture", "incident", "report"]),
    layer(3, "doctor", &["model"]),
    layer(3, "admin", &["model", "gate", "posture", "edge", "acme"]),
    layer(
        3,
        "runtime",
        &["model", "durable", "gate", "posture", "ledger", "edge", "acme", "admin"],
    ),
    layer(4, "verify", &["ledger"]),
    layer(4, "campaigns", &["model", "gate", "posture"]),
];

/// The binary uses every crate.
const BINARY: &str = "portcullis";

/// The crate that only tests use. It uses no other crate of the workspace.
const FOR_TESTS: &str = "testkit";

/// Crates without a clock, a socket, a file or randomness.
const PURE: &[&str] = &["model", "gate", "watch", "posture", "incident", "statement", "report"];

/// Libraries that would give a pure crate what it must not have.
const IMPURE_CRATES: &[&str] =
    &["tokio", "hyper", "socket2", "rand", "getrandom", "tracing", "mio", "rustls"];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
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
                .filter(|d| d.kind != DependencyKind::Development)
                .map(|d| d.name.clone())
                .collect();
            (package.name.to_string(), normal)
        })
        .collect()
}

/// The workspace's own crates, without the prefix, and what each uses of the others.
fn ours() -> BTreeMap<String, BTreeSet<String>> {
    let own = |name: &str| name.strip_prefix("portcullis-").map(str::to_owned);
    dependencies()
        .iter()
        .filter_map(|(package, uses)| {
            Some((own(package)?, uses.iter().filter_map(|name| own(name)).collect()))
        })
        .collect()
}

#[test]
fn every_crate_uses_only_the_crates_that_the_table_allows() {
    let table: BTreeMap<_, _> = LAYERS.iter().map(|layer| (layer.name, layer.uses)).collect();
    let mut faults = Vec::new();
    for (name, uses) in ours() {
        match table.get(name.as_str()) {
            None if name == BINARY => {}
            None if name == FOR_TESTS => {
                faults.extend(uses.iter().map(|used| format!("crate {name} must not use {used}")));
            }
            None => faults.push(format!("crate {name} is not in the table of layers")),
            Some(allowed) => faults.extend(
                uses.iter()
                    .filter(|used| !allowed.contains(&used.as_str()))
                    .map(|used| format!("crate {name} must not use {used}")),
            ),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_crate_is_allowed_a_crate_of_a_higher_layer_and_none_uses_itself_through_others() {
    let mut below: BTreeSet<&str> = BTreeSet::new();
    let numbers: BTreeMap<_, _> = LAYERS.iter().map(|layer| (layer.name, layer.number)).collect();
    for layer in LAYERS {
        for used in layer.uses {
            assert!(below.contains(used), "{} precedes {used}, which it uses", layer.name);
            assert!(numbers[used] <= layer.number, "{} is below {used}", layer.name);
        }
        below.insert(layer.name);
    }
}

#[test]
fn the_crate_for_tests_is_a_development_dependency_alone() {
    for (package, uses) in dependencies() {
        assert!(!uses.contains(&format!("portcullis-{FOR_TESTS}")), "{package} uses {FOR_TESTS}");
    }
}

#[test]
fn the_architecture_has_the_table_of_layers() {
    let text =
        std::fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let present = ours();
    let mut faults = Vec::new();
    for layer in LAYERS.iter().filter(|layer| present.contains_key(layer.name)) {
        let uses = if layer.uses.is_empty() { "none".into() } else { layer.uses.join(", ") };
        let row = format!("| `{}` | {uses} |", layer.name);
        if !text.contains(&row) {
            faults.push(format!("ARCHITECTURE.md lacks the row: {row}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn pure_crates_use_no_library_that_reaches_outside() {
    let found = dependencies();
    for name in PURE {
        for used in &found[&format!("portcullis-{name}")] {
            assert!(!IMPURE_CRATES.contains(&used.as_str()), "{name} must not use {used}");
        }
    }
}

#[test]
fn pure_crates_name_no_clock_no_socket_no_file_and_no_randomness() {
    let mut faults = Vec::new();
    for name in PURE {
        let sources = read(&workspace().join("crates").join(name).join("src")).expect("src");
        for (path, text) in compiled(sources).expect("modules") {
            for (line, found) in impure(&text).expect("Rust") {
                faults.push(format!("crates/{name}/src/{path}:{line}: {found}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_crate_begins_with_what_it_is_for() {
    for name in ours().keys() {
        let folder = workspace().join("crates").join(name).join("src");
        let lib = folder.join("lib.rs");
        let file = if lib.exists() { lib } else { folder.join("main.rs") };
        let text = std::fs::read_to_string(&file).expect("a crate root");
        let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("// "));
        let begins = lines.next().is_some_and(|line| line.starts_with("//! "));
        assert!(begins, "{} does not say what the crate is for", file.display());
    }
}
