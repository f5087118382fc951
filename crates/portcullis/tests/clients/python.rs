//! Python with packages of the public index.

use std::path::PathBuf;
use std::process::Command;

/// A `python3` on PATH that has all of these packages. In CI there has to be one.
pub fn python(packages: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_them = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", &format!("import {packages}")]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("python3"))
        .filter(|python| python.is_file())
        .find(has_them);
    let required = std::env::var("PORTCULLIS_PEERS").is_ok_and(|value| value == "required");
    assert!(found.is_some() || !required, "no python3 on PATH has {packages}");
    if found.is_none() {
        eprintln!("skipped: no python3 on PATH has {packages} (see .ci/peers)");
    }
    found
}

/// The file of this name beside this one.
pub fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}
