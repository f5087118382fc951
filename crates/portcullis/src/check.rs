//! `portcullis check`: reads a configuration as `run` would.

use std::path::Path;

use anyhow::{Context, Result};
use portcullis_admin::CertRow;
use portcullis_doctor::DoctorReport;
use portcullis_edge::{CertStatus, CertificateFacts, Clock};
use portcullis_model::{Config, WallTime};
use portcullis_runtime::{ConfigError, read_config};
use serde::Serialize;

use crate::cli::CheckArguments;
use crate::live;
use crate::output::{out, outln};

/// Checks a file; returns whether it is valid.
pub fn check(arguments: &CheckArguments) -> Result<bool> {
    if arguments.schema {
        outln!("{}", serde_json::to_string_pretty(&Config::schema())?);
        return Ok(true);
    }
    let path = arguments.file.as_deref().context("name a configuration file")?;
    match read_config(path) {
        Ok((config, _)) => {
            let now = Clock::new().wall();
            let mut certificates = check_certificates(&config, now);
            certificates.extend(check_acme(&config));
            let usable = certificates.iter().all(CertCheck::is_usable);
            let tried = arguments
                .live
                .then(|| DoctorReport { checks: live::try_everything(&config, Clock::new()) });
            if arguments.json {
                let mut result =
                    serde_json::json!({ "usable": usable, "certificates": certificates });
                if let Some(tried) = &tried {
                    result["live"] = serde_json::to_value(tried)?;
                }
                outln!("{result}");
            } else {
                print_result(path, &config, &certificates, usable);
                if let Some(tried) = &tried {
                    out!("\n{tried}");
                }
            }
            Ok(usable && tried.is_none_or(|tried| tried.passes()))
        }
        Err(ConfigError::Problems(problems)) => {
            if arguments.json {
                outln!("{}", serde_json::json!({ "usable": false, "problems": problems }));
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
        outln!("{} is valid.", path.display());
        for platform in &config.platforms {
            outln!(
                "  {}: {} → http://{}, {} activities",
                platform.name,
                platform.hosts.join(", "),
                platform.origin.authority(),
                platform.activities.len()
            );
        }
    }
    if let (true, Some(acme)) = (usable, &config.acme) {
        outln!("  certificates for {} from {}", acme.hosts.join(", "), acme.directory);
    }
    for certificate in certificates {
        if let (Some(facts), None) = (&certificate.facts, &certificate.problem) {
            outln!("  {}", facts.summary());
        }
        for problem in certificate.problem.iter().chain(&certificate.warning) {
            eprintln!("{}: {problem}", certificate.severity());
        }
    }
}

/// A certificate, read and checked as `run` does.
#[derive(Serialize)]
struct CertCheck {
    #[serde(flatten)]
    facts: Option<CertRow>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What becomes a problem soon.
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

/// Reads all certificates: better to find an unusable one now than at the next restart.
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

/// Checks what ACME needs on this machine; sends nothing over the network.
fn check_acme(config: &Config) -> Option<CertCheck> {
    let problem = portcullis_acme::check(config.acme.as_ref()?).err()?.to_string();
    Some(CertCheck { facts: None, problem: Some(problem), warning: None })
}

fn check_certificate(facts: &CertificateFacts, now: WallTime) -> CertCheck {
    let file = facts.file.display();
    let days = facts.days_left(now);
    let problem = match facts.status(now) {
        CertStatus::Expired => Some(format!(
            "{file} expired on {}. Browsers show a warning instead of the site: renew it.",
            format_date(facts.not_after)
        )),
        CertStatus::NotYet => Some(format!(
            "{file} is not valid before {}. Check this machine's clock.",
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
