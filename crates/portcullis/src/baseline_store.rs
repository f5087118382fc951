//! What the watch has learnt, kept over restarts beside the ledger.
//!
//! The file is trusted: whoever can change it can make a flood look usual, or a quiet day look
//! like a surge. It holds rates by hour and activity, nothing about any visitor.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_durable::{FileAccess, write_file};
use portcullis_posture::SavedBaseline;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

/// The version of the file's format.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineFile {
    version: u32,
    baselines: Vec<SavedBaseline>,
}

/// `LEDGER.baselines.json`.
pub fn path_for(ledger: &Path) -> PathBuf {
    let mut name = ledger.file_name().unwrap_or_default().to_owned();
    name.push(".baselines.json");
    ledger.with_file_name(name)
}

/// What an earlier run learnt; nothing if there is no file, or none that can be read.
pub fn load(path: &Path) -> Vec<SavedBaseline> {
    let Ok(bytes) = fs::read(path) else { return Vec::new() };
    match serde_json::from_slice::<BaselineFile>(&bytes) {
        Ok(kept) if kept.version == FORMAT_VERSION => {
            info!(path = %path.display(), activities = kept.baselines.len(), "baselines recalled");
            kept.baselines
        }
        Ok(kept) => {
            warn!(path = %path.display(), version = kept.version, "baselines of another version");
            Vec::new()
        }
        Err(problem) => {
            warn!(path = %path.display(), %problem, "the baselines cannot be read; learning anew");
            Vec::new()
        }
    }
}

/// Saves the baselines; after a crash the file has the old content or the new one.
pub fn save(path: &Path, baselines: Vec<SavedBaseline>) {
    let stored = BaselineFile { version: FORMAT_VERSION, baselines };
    let written = serde_json::to_vec(&stored)
        .map_err(anyhow::Error::from)
        .and_then(|bytes| Ok(write_file(path, &bytes, FileAccess::Default)?));
    if let Err(problem) = written {
        warn!(path = %path.display(), %problem, "the baselines could not be kept");
    }
}
