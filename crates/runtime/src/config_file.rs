//! Reading a configuration file.

use std::path::Path;

use portcullis_model::{Config, Problems};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read at all.
    #[error("cannot read {file}: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// It has problems.
    #[error("{0}")]
    Problems(Problems),
}

/// Reads a configuration file; relative paths in it are meant from its folder. Also returns its
/// text, whose digest goes into the ledger.
pub fn read_config(path: &Path) -> Result<(Config, String), ConfigError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { file: file.clone(), source })?;
    let config = Config::read(&text, &file).map_err(ConfigError::Problems)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok((config.resolve_paths(folder), text))
}

/// Worker threads that a gate with this configuration has: one per core, or the configured number, and
/// no more than its smallest origin takes connections, because each worker has its own.
pub fn worker_count(config: &Config) -> u16 {
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get() as u16);
    let most = smallest_origin(config).and_then(|most| u16::try_from(most).ok());
    config.workers.unwrap_or_else(cores).min(most.unwrap_or(u16::MAX)).max(1)
}

/// The fewest connections that an origin takes.
pub fn smallest_origin(config: &Config) -> Option<u32> {
    config.platforms.iter().map(|platform| platform.origin.max_connections).min()
}
