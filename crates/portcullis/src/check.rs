//! `portcullis check`: reads a configuration as `run` would.

use std::path::Path;

use anyhow::{Context, Result};
use portcullis_edge::{CertStatus, CertificateFacts, Clock};
use portcullis_model::{Config, Problems, WallTime};
use serde::Serialize;

use crate::certificates::CertRow;
use crate::cli::CheckArguments;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
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
pub fn read(path: &Path) -> Result<(Config, String), ConfigError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { file: file.clone(), source })?;
    let config = Config::read(&text, &file).map_err(ConfigError::Problems)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok((config.resolve_paths(folder), text))
}

/// Answers whether the file can be used.
pub fn check(arguments: &CheckArguments) -> Result<bool> {
    if arguments.schema {
        println!("{}", serde_json::to_string_pretty(&Config::schema())?);
        return Ok(true);
    }
    let path = arguments.file.as_deref().context("a configuration file is expected")?;
    match read(path) {
        Ok((config, _)) => {
            let now = Clock::new().wall();
            let certificates = check_certificates(&config, now);
            let mut certificates = certificates;
            certificates.extend(check_acme(&config));
            let usable = certificates.iter().all(CertCheck::is_usable);
            if arguments.json {
                let result = serde_json::json!({ "usable": usable, "certificates": certificates });
                println!("{result}");
            } else {
                print_result(path, &config, &certificates, usable);
            }
            Ok(usable)
        }
        Err(ConfigError::Problems(problems)) => {
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

fn print_result(path: &Path, config: &Config, certificates: &[CertCheck], usable: bool) {
    if usable {
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
    if let (true, Some(acme)) = (usable, &config.acme) {
        println!("  certificates for {} from {}", acme.hosts.join(", "), acme.directory);
    }
    for certificate in certificates {
        if let (Some(facts), None) = (&certificate.facts, &certificate.problem) {
            println!("  {}", facts.summary());
        }
        for problem in certificate.problem.iter().chain(&certificate.warning) {
            eprintln!("{}: {problem}", certificate.severity());
        }
    }
}

/// A certificate that was read as `run` would.
#[derive(Serialize)]
struct CertCheck {
    #[serde(flatten)]
    facts: Option<CertRow>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What will be a problem soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl CertCheck {
    const fn is_usable(&self) -> bool {
        self.problem.is_none()
    }

    const fn severity(&self) -> &'static str {
        if self.is_usable() { "warning" } else { "error" }
    }
}

/// A certificate that cannot be used is better found now than at the next restart.
fn check_certificates(config: &Config, now: WallTime) -> Vec<CertCheck> {
    let read = config.tls_files().into_iter().map(portcullis_edge::inspect);
    read.map(|read| match read {
        Ok(facts) => check_certificate(&facts, now),
        Err(problem) => {
            CertCheck { facts: None, problem: Some(problem.to_string()), warning: None }
        }
    })
    .collect()
}

/// What has to be there for certificates from an authority. Nobody is asked over the network.
fn check_acme(config: &Config) -> Option<CertCheck> {
    let problem = portcullis_acme::check(config.acme.as_ref()?).err()?.to_string();
    Some(CertCheck { facts: None, problem: Some(problem), warning: None })
}

fn check_certificate(facts: &CertificateFacts, now: WallTime) -> CertCheck {
    let file = facts.file.display();
    let days = facts.days_left(now);
    let problem = match facts.status(now) {
        CertStatus::Expired => Some(format!(
            "{file} expired on {}. Visitors are shown a warning instead of the site: renew it.",
            format_date(facts.not_after)
        )),
        CertStatus::NotYet => Some(format!(
            "{file} is valid from {} on only. Is this machine's clock right?",
            format_date(facts.not_before)
        )),
        CertStatus::Valid | CertStatus::EndsSoon => None,
    };
    let warning = if facts.names.is_empty() {
        Some(format!(
            "{file} names no site (no DNS name among its subject alternative names): browsers \
             refuse it."
        ))
    } else if facts.status(now) == CertStatus::EndsSoon {
        let ends = format_date(facts.not_after);
        Some(format!("{file} ends in {days} days, on {ends}. Is it being renewed?"))
    } else {
        None
    };
    CertCheck { facts: Some(CertRow::new(facts, now)), problem, warning }
}

fn format_date(at: WallTime) -> String {
    at.to_string().chars().take(10).collect()
}
