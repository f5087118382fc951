//! Public programs that tests use. `.ci/peers` installs them.
//!
//! A test whose program is absent prints that it is skipped. With `PORTCULLIS_PEERS=required`, as in
//! CI, it fails instead.

use std::path::PathBuf;
use std::process::Command;

/// Is every one of these programs on `PATH`?
#[track_caller]
pub fn has_peers(programs: &[&str]) -> bool {
    let absent = programs.iter().find(|program| on_path(program).is_empty());
    absent.is_none_or(|program| skip(&format!("{program} is not on PATH")))
}

/// Is this program on `PATH`?
#[track_caller]
pub fn has_peer(program: &str) -> bool {
    has_peers(&[program])
}

/// A `python3` on `PATH` that can import all of these packages, named as after `import`.
#[track_caller]
pub fn python(packages: &str) -> Option<PathBuf> {
    let imports = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", &format!("import {packages}")]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let found = on_path("python3").into_iter().find(imports);
    if found.is_none() {
        skip(&format!("no python3 on PATH has {packages}"));
    }
    found
}

/// A program whose path is in the environment variable `variable`.
#[track_caller]
pub fn named_by(variable: &str, what: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        skip(&format!("{variable} names no {what}"));
    }
    found
}

/// Reports that a test is skipped, and returns false. Where CI demands its peers, it panics.
#[track_caller]
fn skip(why: &str) -> bool {
    let required = std::env::var("PORTCULLIS_PEERS").is_ok_and(|value| value == "required");
    assert!(!required, "{why}");
    eprintln!("skipped: {why} (see .ci/peers)");
    false
}

/// The files of this name in the folders of `PATH`.
fn on_path(program: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let files = std::env::split_paths(&path).map(|folder| folder.join(program));
    files.filter(|file| file.is_file()).collect()
}
