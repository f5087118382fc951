//! `portcullis check`: reads a configuration as `run` would.

use std::path::Path;

use anyhow::{Context, Result};
use portcullis_model::{Config, Problems};

use crate::cli::CheckArguments;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file cannot be read at all.
    #[error("cannot read {file}: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It has problems.
    #[error("{0}")]
    Problems(Problems),
}

/// Reads a configuration file; relative paths in it are meant from its folder. Also returns its
/// text, whose digest goes into the ledger.
pub fn read(path: &Path) -> Result<(Config, String), Unusable> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| Unusable::Unreadable { file: file.clone(), source })?;
    let config = Config::read(&text, &file).map_err(Unusable::Problems)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok((config.rooted_at(folder), text))
}

/// Answers whether the file can be used.
pub fn check(arguments: &CheckArguments) -> Result<bool> {
    if arguments.schema {
        println!("{}", serde_json::to_string_pretty(&Config::schema())?);
        return Ok(true);
    }
    let path = arguments.file.as_deref().context("a configuration file is expected")?;
    match read(path).and_then(|(config, _)| certificates(&config).map(|()| config)) {
        Ok(config) => {
            if arguments.json {
                println!("{}", serde_json::json!({ "usable": true }));
            } else {
                println!("{} can be used.", path.display());
                for platform in &config.platforms {
                    println!(
                        "  {}: {} → http://{}, {} activities",
                        platform.name,
                        platform.hosts.join(", "),
                        platform.origin.authority(),
                        platform.activities.len()
                    );
                }
            }
            Ok(true)
        }
        Err(Unusable::Problems(problems)) => {
            if arguments.json {
                println!("{}", serde_json::json!({ "usable": false, "problems": problems }));
            } else {
                eprintln!("{problems}");
            }
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// A certificate that cannot be used is better found now than at the next restart.
fn certificates(config: &Config) -> Result<(), Unusable> {
    let of_listeners = config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    for files in of_listeners.chain(&config.certificates) {
        for file in [&files.certificate, &files.key] {
            std::fs::metadata(file).map_err(|source| Unusable::Unreadable {
                file: file.display().to_string(),
                source,
            })?;
        }
    }
    Ok(())
}
