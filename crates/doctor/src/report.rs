//! The results of the checks, and their text.

use core::fmt;

use serde::Serialize;

/// The status of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Fine as it is; there is more to be had.
    Info,
    /// Should be fixed before an election.
    Warn,
    /// Will fail in an attack that the gate itself would withstand.
    Fail,
    /// Could not be seen from here.
    Unknown,
}

impl CheckStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// What it is.
    pub name: String,
    /// Its status.
    pub status: CheckStatus,
    /// The observed value.
    pub observed: String,
    /// Why it matters; empty where it is as it should be.
    pub why: &'static str,
    /// What to do, in words.
    pub advice: Option<String>,
    /// A kernel setting that fixes it, as a line for `/etc/sysctl.d`.
    pub sysctl: Option<&'static str>,
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorReport {
    /// In the order in which a connection meets it.
    pub checks: Vec<CheckResult>,
}

impl DoctorReport {
    /// Whether no check failed.
    pub fn passes(&self) -> bool {
        self.checks.iter().all(|finding| finding.status != CheckStatus::Fail)
    }
}

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|finding| finding.name.chars().count()).max();
        let width = width.unwrap_or(0);
        for finding in &self.checks {
            let CheckResult { name, status, observed, why, advice, .. } = finding;
            writeln!(f, "{:<9}  {name:<width$}  {observed}", status.as_str())?;
            if *status != CheckStatus::Ok {
                let indent = 9 + 2 + width + 2;
                let texts = [Some(*why), advice.as_deref()].into_iter().flatten();
                for text in texts.filter(|text| !text.is_empty()) {
                    write_wrapped(f, text, indent)?;
                }
            }
        }
        let settings: Vec<_> = self.checks.iter().filter_map(|finding| finding.sysctl).collect();
        let kernel = if settings.is_empty() { "" } else { " See docs/kernel.md." };
        if !settings.is_empty() {
            f.write_str(
                "\nAs root, into /etc/sysctl.d/90-portcullis.conf, then `sysctl --system`:\n\n",
            )?;
            for setting in settings {
                writeln!(f, "    {setting}")?;
            }
        }
        let count = |status| self.checks.iter().filter(|f| f.status == status).count();
        writeln!(
            f,
            "\n{} checks: {} failed, {} warnings, {} unknown.{kernel}",
            self.checks.len(),
            count(CheckStatus::Fail),
            count(CheckStatus::Warn),
            count(CheckStatus::Unknown)
        )
    }
}

/// Columns that every terminal has.
const COLUMNS: usize = 100;

fn write_wrapped(f: &mut fmt::Formatter<'_>, text: &str, indent: usize) -> fmt::Result {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && indent + column + 1 + length <= COLUMNS {
            write!(f, " {word}")?;
            column += 1 + length;
        } else {
            if column > 0 {
                writeln!(f)?;
            }
            write!(f, "{:indent$}{word}", "")?;
            column = length;
        }
    }
    writeln!(f)
}
