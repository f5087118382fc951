//! The gate's secret in a file next to the ledger, so that a restart costs no visitor a challenge.
//!
//! The key of tokens is changed on a schedule. The key before stays valid for tokens that were issued
//! with it. Keys of tables and features do not change.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_durable::{FileAccess, write_file};
use portcullis_gate::Secret;
use portcullis_model::WallTime;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::error::RuntimeError;
use crate::state_files::path_next_to;

/// The version of the file's format.
const FORMAT_VERSION: u32 = 1;
/// How often the key of tokens changes. Tokens live for at most a day.
const ROTATION: Duration = Duration::from_hours(24);

/// The keys as the file holds them, in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretFile {
    version: u32,
    /// Tables and features.
    base: String,
    /// Tokens that are issued now.
    token: String,
    /// Since when.
    token_since: WallTime,
    /// Tokens that were issued before.
    previous_token: Option<String>,
}

/// The secret of one gate, and its file.
pub struct SecretStore {
    path: PathBuf,
    keys: SecretFile,
    /// Whether the file can be written; a warning was logged if not.
    saved: bool,
}

impl SecretStore {
    /// Loads the secret of the gate with this ledger, or draws a new one. A file that cannot be used is
    /// an error.
    pub fn open(ledger: &Path, now: WallTime) -> Result<Self, RuntimeError> {
        let path = path_next_to(ledger, "secret");
        let refused = |problem: String| RuntimeError::Secret { path: path.clone(), problem };
        let keys = match std::fs::read_to_string(&path) {
            Ok(text) => {
                let keys: SecretFile =
                    serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
                check(&keys).map_err(|problem| refused(problem.to_owned()))?;
                keys
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => SecretFile {
                version: FORMAT_VERSION,
                base: random_hex()?,
                token: random_hex()?,
                token_since: now,
                previous_token: None,
            },
            Err(error) => return Err(refused(format!("it cannot be read: {error}"))),
        };
        let mut store = Self { path, keys, saved: true };
        store.rotate_if_due(now)?;
        store.save();
        Ok(store)
    }

    /// Changes the key of tokens if it is old enough; returns whether it did.
    pub fn rotate_if_due(&mut self, now: WallTime) -> Result<bool, RuntimeError> {
        if now.since(self.keys.token_since) < ROTATION {
            return Ok(false);
        }
        let new = random_hex()?;
        self.keys.previous_token = Some(core::mem::replace(&mut self.keys.token, new));
        self.keys.token_since = now;
        self.save();
        info!("the key of tokens was changed");
        Ok(true)
    }

    /// The secret as the gate uses it.
    pub fn secret(&self) -> Secret {
        let key = |hex: &str| parse(hex).unwrap_or_default();
        let previous = self.keys.previous_token.as_deref().map(key);
        let since = self.keys.token_since.seconds() as u32;
        Secret::new(&key(&self.keys.base)).with_token_keys(
            &key(&self.keys.token),
            since,
            previous.as_ref(),
        )
    }

    fn save(&mut self) {
        let written = serde_json::to_vec(&self.keys).map_err(|error| error.to_string());
        let written = written.and_then(|bytes| {
            write_file(&self.path, &bytes, FileAccess::OwnerOnly).map_err(|error| error.to_string())
        });
        if let (Err(problem), true) = (&written, self.saved) {
            let path = self.path.display();
            warn!(%path, problem, "cannot save the secret: a restart will challenge visitors again");
        }
        self.saved = written.is_ok();
    }
}

fn check(keys: &SecretFile) -> Result<(), &'static str> {
    if keys.version != FORMAT_VERSION {
        return Err("it has another format version");
    }
    let all = [Some(&keys.base), Some(&keys.token), keys.previous_token.as_ref()];
    let whole = all.into_iter().flatten().all(|key| parse(key).is_some());
    if whole { Ok(()) } else { Err("a key in it is not 64 hexadecimal digits") }
}

fn parse(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn random_hex() -> Result<String, RuntimeError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| RuntimeError::Randomness(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: WallTime = WallTime(1_800_000_000_000);

    #[test]
    fn the_secret_outlives_a_restart_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger");
        let first = SecretStore::open(&ledger, NOW).unwrap();
        let again = SecretStore::open(&ledger, NOW + Duration::from_hours(1)).unwrap();
        assert_eq!(first.keys, again.keys);
        let mode = fs::metadata(&first.path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }

    #[test]
    fn the_key_of_tokens_changes_daily_and_the_one_before_stays() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger");
        let mut store = SecretStore::open(&ledger, NOW).unwrap();
        let first = store.keys.clone();
        assert!(!store.rotate_if_due(NOW + Duration::from_hours(23)).unwrap());
        assert!(store.rotate_if_due(NOW + Duration::from_hours(24)).unwrap());
        assert_eq!(store.keys.previous_token.as_ref(), Some(&first.token));
        assert_eq!(store.keys.base, first.base);
        assert_ne!(store.keys.token, first.token);
        let again = SecretStore::open(&ledger, NOW + Duration::from_hours(25)).unwrap();
        assert_eq!(again.keys, store.keys);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger");
        let path = SecretStore::open(&ledger, NOW).unwrap().path;
        let text = fs::read_to_string(&path).unwrap();
        for bad in [
            "{}".to_owned(),
            text.replace("\"version\":1", "\"version\":2"),
            text.replacen('a', "x", 9),
        ] {
            fs::write(&path, bad).unwrap();
            let error = SecretStore::open(&ledger, NOW).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("ledger.secret"), "{error}");
        }
    }
}
