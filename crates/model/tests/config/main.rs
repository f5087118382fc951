//! The reader of `portcullis.toml`: files that are good, files that are bad with the exact text
//! that people read, the documents that go with them, and properties of any file.

mod documents;
mod files;
mod properties;
mod rules;

use std::path::{Path, PathBuf};

/// A file of the repository, by its path from the root.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The TOML files of `testdata/KIND`, by name.
fn testdata(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(kind);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("testdata")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Compares a generated text with the file that holds it. `UPDATE_EXPECTED=1` rewrites the file
/// instead; read the difference before it is committed.
fn assert_is_file(path: &Path, expected: &str) {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(path, expected).expect("writable");
    }
    let held = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        held == expected,
        "{} is not up to date: run the test with UPDATE_EXPECTED=1 and read what changed.\n\
         expected:\n{expected}",
        path.display()
    );
}
