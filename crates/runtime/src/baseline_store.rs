//! Saved baselines: a file next to the ledger keeps them over restarts.
//!
//! The file is trusted: a change to it can make a flood look usual, or a quiet day look like a
//! surge. It contains rates by hour and activity, and nothing about any visitor.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_durable::{FileAccess, write_file};
use portcullis_posture::SavedBaseline;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::state_files::path_next_to;

/// The version of the file's format.
const FORMAT_VERSION: u32 = 3;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineFile {
    version: u32,
    baselines: Vec<SavedBaseline>,
}

/// `LEDGER.baselines.json`.
pub fn path_for(ledger: &Path) -> PathBuf {
    path_next_to(ledger, "baselines.json")
}

/// Loads the baselines of an earlier run; none if the file is missing or cannot be read.
pub fn load(path: &Path) -> Vec<SavedBaseline> {
    let Ok(bytes) = fs::read(path) else { return Vec::new() };
    match serde_json::from_slice::<BaselineFile>(&bytes) {
        Ok(saved) if saved.version == FORMAT_VERSION => {
            info!(path = %path.display(), activities = saved.baselines.len(), "baselines loaded");
            saved.baselines
        }
        Ok(saved) => {
            warn!(path = %path.display(), version = saved.version, "ignoring saved baselines of another format version");
            Vec::new()
        }
        Err(problem) => {
            warn!(path = %path.display(), %problem, "cannot read saved baselines; starting without");
            Vec::new()
        }
    }
}

/// Saves the baselines; after a crash the file has the old content or the new one.
pub fn save(path: &Path, baselines: Vec<SavedBaseline>) {
    let stored = BaselineFile { version: FORMAT_VERSION, baselines };
    let written =
        serde_json::to_vec(&stored).map_err(|error| error.to_string()).and_then(|bytes| {
            write_file(path, &bytes, FileAccess::Default).map_err(|error| error.to_string())
        });
    if let Err(problem) = written {
        warn!(path = %path.display(), %problem, "cannot save baselines");
    }
}
