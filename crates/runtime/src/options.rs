//! The options of a run, and the configuration that they select.

use std::net::SocketAddr;
use std::path::PathBuf;

use portcullis_model::{Config, OriginConfig};
use sha2::{Digest, Sha256};

use crate::config_file::{ConfigError, read_config};

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    /// A file; it is read again on a reload.
    File(PathBuf),
    /// One origin with default settings.
    Origin {
        /// The listen address.
        listen: SocketAddr,
        /// The origin.
        origin: OriginConfig,
    },
}

/// The options of a run.
#[derive(Clone, Debug)]
pub struct GateOptions {
    /// Where the configuration comes from.
    pub source: ConfigSource,
    /// Admin listen address; overrides the configuration.
    pub admin: Option<SocketAddr>,
    /// Ledger folder; overrides the configuration.
    pub ledger: Option<PathBuf>,
    /// Whether all recorded events are marked as a rehearsal.
    pub rehearsal: bool,
    /// Whether to continue with a ledger that is not the one that was last seen.
    pub accept_fork: bool,
}

/// A configuration with the digest of the text that it was read from.
#[derive(Debug)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    /// SHA-256 of its text, in hex.
    pub digest: String,
}

impl GateOptions {
    /// Reads the configuration and applies the overrides.
    pub fn load_config(&self) -> Result<LoadedConfig, ConfigError> {
        let (mut config, text) = match &self.source {
            ConfigSource::File(path) => read_config(path)?,
            ConfigSource::Origin { listen, origin } => {
                let text = format!("--listen {listen} --origin {}", origin.authority());
                (Config::for_origin(*listen, origin.clone()), text)
            }
        };
        if let Some(admin) = self.admin {
            config.admin = admin;
        }
        if let Some(ledger) = &self.ledger {
            config.ledger.clone_from(ledger);
        }
        Ok(LoadedConfig { config, digest: sha256_hex(&text) })
    }
}

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_the_text_that_was_parsed_and_overrides_apply() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gate.toml");
        let text = "[[listeners]]\naddress = \"127.0.0.1:8080\"\n[[platforms]]\nname = \"main\"\n\
                    hosts = [\"*\"]\norigin = \"http://127.0.0.1:3000\"\n";
        std::fs::write(&file, text).unwrap();
        let admin = ([127, 0, 0, 1], 9_999).into();
        let options = GateOptions {
            source: ConfigSource::File(file),
            admin: Some(admin),
            ledger: Some("elsewhere".into()),
            rehearsal: false,
            accept_fork: false,
        };
        let loaded = options.load_config().unwrap();
        assert_eq!(loaded.digest, sha256_hex(text));
        assert_eq!(loaded.config.admin, admin);
        assert_eq!(loaded.config.ledger, PathBuf::from("elsewhere"));
    }
}
