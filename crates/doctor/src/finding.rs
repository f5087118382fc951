//! What was found, and how it is told.

use core::fmt;

use serde::Serialize;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// As it should be.
    Sound,
    /// Fine as it is; there is more to be had.
    Optional,
    /// Should be mended before an election.
    Advisable,
    /// Will fail in an attack that the gate itself would withstand.
    Lacking,
    /// Could not be seen from here.
    Unknown,
}

impl Standing {
    const fn word(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Optional => "optional",
            Self::Advisable => "advisable",
            Self::Lacking => "LACKING",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// What was seen.
    pub seen: String,
    /// Why it matters; empty where it is as it should be.
    pub why: &'static str,
    /// What to do, in words.
    pub advice: Option<String>,
    /// A kernel setting that mends it, as a line for `/etc/sysctl.d`.
    pub sysctl: Option<&'static str>,
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// In the order in which a connection meets it.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is lacking.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.standing != Standing::Lacking)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.findings.iter().map(|finding| finding.name.chars().count()).max();
        let width = width.unwrap_or(0);
        for finding in &self.findings {
            let Finding { name, standing, seen, why, advice, .. } = finding;
            writeln!(f, "{:<9}  {name:<width$}  {seen}", standing.word())?;
            if *standing != Standing::Sound {
                let indent = 9 + 2 + width + 2;
                let said = [Some(*why), advice.as_deref()].into_iter().flatten();
                for text in said.filter(|text| !text.is_empty()) {
                    wrapped(f, text, indent)?;
                }
            }
        }
        let settings: Vec<_> = self.findings.iter().filter_map(|finding| finding.sysctl).collect();
        if !settings.is_empty() {
            f.write_str(
                "\nAs root, into /etc/sysctl.d/90-portcullis.conf, then `sysctl --system`:\n\n",
            )?;
            for setting in settings {
                writeln!(f, "    {setting}")?;
            }
        }
        let count = |standing| self.findings.iter().filter(|f| f.standing == standing).count();
        writeln!(
            f,
            "\n{} looked at: {} lacking, {} advisable, {} unknown. docs/kernel.md says more.",
            self.findings.len(),
            count(Standing::Lacking),
            count(Standing::Advisable),
            count(Standing::Unknown)
        )
    }
}

/// Columns of a terminal that everybody has.
const COLUMNS: usize = 100;

fn wrapped(f: &mut fmt::Formatter<'_>, text: &str, indent: usize) -> fmt::Result {
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
