//! What the watch has learnt, kept over restarts beside the ledger.
//!
//! The file is trusted: whoever can change it can make a flood look usual, or a quiet day look
//! like a surge. It holds rates by hour and activity, nothing about any visitor.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use portcullis_posture::Learnt;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

/// The version of the file's format.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineFile {
    version: u32,
    baselines: Vec<Learnt>,
}

/// `LEDGER.baselines.json`.
pub fn path_for(ledger: &Path) -> PathBuf {
    let mut name = ledger.file_name().unwrap_or_default().to_owned();
    name.push(".baselines.json");
    ledger.with_file_name(name)
}

/// What an earlier run learnt; nothing if there is no file, or none that can be read.
pub fn load(path: &Path) -> Vec<Learnt> {
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

/// Keeps what has been learnt: the old file stays until the new one is whole.
pub fn save(path: &Path, baselines: Vec<Learnt>) {
    let stored = BaselineFile { version: FORMAT_VERSION, baselines };
    let temporary = path.with_extension("json.new");
    let written = serde_json::to_vec(&stored).map_err(std::io::Error::other).and_then(|bytes| {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if let Err(problem) = written {
        warn!(path = %path.display(), %problem, "the baselines could not be kept");
    }
}
