//! A check as text and as JSON.

use portcullis_incident::{Leaves, words};

use super::{Check, Checked, Stance, Verdict};
use crate::text::{COLUMNS, REHEARSAL};

impl Verdict {
    /// The words that people read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stands => "stands",
            Self::Refused => "refused",
            Self::CannotBeMeasured => "cannot be measured",
            Self::NotAboutIncident => "not about the incident",
        }
    }

    /// What `n` sentences do, to follow their number.
    const fn of(self, n: usize) -> &'static str {
        match (self, n) {
            (Self::Stands, 1) => "stands",
            (Self::Stands, _) => "stand",
            (Self::Refused, 1) => "is refused",
            (Self::Refused, _) => "are refused",
            (Self::CannotBeMeasured, 1) => "says what cannot be measured",
            (Self::CannotBeMeasured, _) => "say what cannot be measured",
            (Self::NotAboutIncident, 1) => "is not about the incident",
            (Self::NotAboutIncident, _) => "are not about the incident",
        }
    }
}

impl Check {
    /// As text for people, at most a hundred columns wide (a longer word keeps its line).
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        if self.rehearsal {
            out += REHEARSAL;
            out += "\n\n";
        }
        let against = match &self.incident {
            Some(id) => format!("Checked against incident {id}."),
            None => "Checked against a ledger without any incident.".to_owned(),
        };
        out += &words::wrap("", "", COLUMNS, &format!("{against} {}", self.summary()));
        for (i, checked) in self.sentences.iter().enumerate() {
            out.push('\n');
            out += &sentence(i + 1, checked);
        }
        if self.rehearsal {
            out.push('\n');
            out += REHEARSAL;
            out.push('\n');
        }
        out
    }

    /// How many sentences have which verdict, in a sentence.
    pub fn summary(&self) -> String {
        let verdicts = [
            Verdict::Stands,
            Verdict::Refused,
            Verdict::CannotBeMeasured,
            Verdict::NotAboutIncident,
        ];
        let counts: Vec<String> = verdicts
            .into_iter()
            .map(|verdict| (self.count(verdict), verdict))
            .filter(|(n, _)| *n > 0)
            .map(|(n, verdict)| format!("{n} {}", verdict.of(n)))
            .collect();
        if counts.is_empty() {
            return "The text has no sentence.".to_owned();
        }
        format!(
            "Of {}, {}.",
            words::counted(self.sentences.len() as u64, "sentence"),
            words::list(&counts)
        )
    }

    /// As JSON, for programs.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("a check has only string keys, so it always serialises") + "\n"
    }
}

fn sentence(number: usize, checked: &Checked) -> String {
    let quoted = format!("\u{201c}{}\u{201d}", words::plain(checked.sentence.trim()));
    let mut out = words::wrap(&format!("{number}. "), "   ", COLUMNS, &quoted);
    out += &words::wrap("   ", "   ", COLUMNS, &checked.verdict.word().to_uppercase());
    for recognised in &checked.recognised {
        let stance = match recognised.stance {
            Stance::Asserts => "",
            Stance::Denies => "the opposite of ",
            Stance::LeavesOpen => "left open, ",
        };
        let says = format!(
            "{stance}{} (\u{201c}{}\u{201d}): {}. {}",
            recognised.claim.word(),
            words::plain(&recognised.words),
            recognised.finding.word(),
            recognised.because
        );
        out += &words::wrap("   - ", "     ", COLUMNS, &says);
    }
    let told: Vec<&str> = checked.recognised.iter().map(|r| r.words.as_str()).collect();
    let others = checked.refused.iter().filter(|r| !told.contains(&r.words.as_str()));
    for refused in others {
        let says = format!(
            "refused, \u{201c}{}\u{201d}: {}.",
            words::plain(&refused.words),
            refused.why.trim_end_matches('.')
        );
        out += &words::wrap("   - ", "     ", COLUMNS, &says);
    }
    if !checked.nearest.is_empty() {
        out += "   What can be said instead:\n";
    }
    for wording in &checked.nearest {
        out += &words::wrap("     ", "     ", COLUMNS, &words::plain(wording));
    }
    for note in &checked.notes {
        out += &words::wrap("   Note: ", "   ", COLUMNS, note);
    }
    if !checked.leaves.is_empty() {
        let leaves: Leaves = checked.leaves.iter().copied().collect();
        out += &words::wrap("   Ledger: ", "   ", COLUMNS, &leaves.to_string());
    }
    out
}
