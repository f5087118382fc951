//! Modules: no circle of imports, none against the stated order, and no file too long to read.

use xtask::modules::check;
use xtask::source::{below, files, read, source_folders, workspace};

/// Lines of a file, its inline tests included.
const MOST_LINES: usize = 800;

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    let faults = findings(|found| found.circles);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_large_crate_states_the_order_of_its_modules_and_follows_it() {
    let faults = findings(|found| found.order);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn findings(of: fn(xtask::modules::ModuleFaults) -> Vec<String>) -> Vec<String> {
    let root = workspace();
    let mut faults = Vec::new();
    for folder in source_folders(&root).expect("crates") {
        let found = check(&read(&folder).expect("sources")).expect("Rust");
        faults.extend(of(found).iter().map(|line| format!("{}: {line}", below(&folder, &root))));
    }
    faults
}

#[test]
fn files_stay_short_enough_to_read_whole() {
    let root = workspace();
    let mut long = Vec::new();
    for path in files(&root.join("crates"), &[".rs"]).expect("crates") {
        let lines = std::fs::read_to_string(&path).expect("a source file").lines().count();
        if lines > MOST_LINES {
            long.push(format!("{}: {lines} lines", below(&path, &root)));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_long_function_was_reviewed() {
    let root = workspace();
    let list = std::fs::read_to_string(root.join("xtask/long-functions.txt")).expect("the list");
    let faults = xtask::functions::faults(&xtask::functions::all(&root).expect("sources"), &list);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
