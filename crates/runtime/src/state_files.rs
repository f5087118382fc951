//! Files next to the ledger's folder that hold what a restart must not lose.

use std::path::{Path, PathBuf};

/// What there are files for.
pub const STATE_FILES: [&str; 3] = ["baselines.json", "last-seen", "secret"];

/// The file for `what` next to the ledger: `ledger` and `baselines.json` give
/// `ledger.baselines.json`.
pub fn path_next_to(ledger: &Path, what: &str) -> PathBuf {
    let mut name = ledger.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(what);
    ledger.with_file_name(name)
}
