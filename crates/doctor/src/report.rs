//! What was found, and how it is told.

use core::fmt;

use serde::Serialize;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Fine as it is; there is more to be had.
    Info,
    /// Should be mended before an election.
    Warn,
    /// Will fail in an attack that the gate itself would withstand.
    Fail,
    /// Could not be seen from here.
    Unknown,
}

impl CheckStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "sound",
            Self::Info => "optional",
            Self::Warn => "advisable",
            Self::Fail => "LACKING",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// What it is.
    pub name: String,
    /// How it stands.
    pub status: CheckStatus,
    /// What was seen.
    pub observed: String,
    /// Why it matters; empty where it is as it should be.
    pub why: &'static str,
    /// What to do, in words.
    pub advice: Option<String>,
    /// A kernel setting that mends it, as a line for `/etc/sysctl.d`.
    pub sysctl: Option<&'static str>,
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorReport {
    /// In the order in which a connection meets it.
    pub checks: Vec<CheckResult>,
}

impl DoctorReport {
    /// Whether nothing is lacking.
    pub fn passes(&self) -> bool {
        self.checks.iter().all(|finding| finding.status != CheckStatus::Fail)
    }
}

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|finding| finding.name.chars().count()).max();
        let width = width.unwrap_or(0);
        for finding in &self.checks {
            let CheckResult { name, status: standing, observed: seen, why, advice, .. } = finding;
            writeln!(f, "{:<9}  {name:<width$}  {seen}", standing.as_str())?;
            if *standing != CheckStatus::Ok {
                let indent = 9 + 2 + width + 2;
                let texts = [Some(*why), advice.as_deref()].into_iter().flatten();
                for text in texts.filter(|text| !text.is_empty()) {
                    write_wrapped(f, text, indent)?;
                }
            }
        }
        let settings: Vec<_> = self.checks.iter().filter_map(|finding| finding.sysctl).collect();
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
            "\n{} looked at: {} lacking, {} advisable, {} unknown. docs/kernel.md says more.",
            self.checks.len(),
            count(CheckStatus::Fail),
            count(CheckStatus::Warn),
            count(CheckStatus::Unknown)
        )
    }
}

/// Columns of a terminal that everybody has.
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
