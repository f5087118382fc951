//! A statement as text, a hundred columns wide.

use portcullis_incident::{Figure, words};

use crate::{Claim, Finding, PressSummary, Statement};

/// Columns of a text rendering.
pub(crate) const COLUMNS: usize = 100;

/// The line above every text about a rehearsal.
pub(crate) const REHEARSAL: &str = "REHEARSAL: nothing of this is about a real attack.";

impl Statement {
    /// As text for people, at most a hundred columns wide (a longer word keeps its line).
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let put = |out: &mut String, text: &str| *out += &words::wrap("", "", COLUMNS, text);
        if self.rehearsal {
            out += REHEARSAL;
            out += "\n\n";
        }
        out += &press_text(&self.press);
        out.push('\n');
        put(&mut out, &self.title());
        put(&mut out, &self.provenance());
        put(&mut out, &self.scope());
        put(&mut out, &self.findings());
        for (i, claim) in self.claims.iter().enumerate() {
            out.push('\n');
            out += &claim_text(i + 1, claim);
        }
        out += "\nWho did it\n";
        out += &words::wrap("   ", "   ", COLUMNS, self.attribution);
        out += "\nWhat is missing from the record\n";
        if self.coverage.is_empty() {
            out += "   Nothing is known to be missing.\n";
        }
        for line in &self.coverage {
            out += &words::wrap("   - ", "     ", COLUMNS, line);
        }
        out += "\nWhat this proves and what it does not\n";
        for line in self.limits {
            out += &words::wrap("   - ", "     ", COLUMNS, line);
        }
        out += "\nCheckpoint\n";
        for line in self.checkpoint.lines().chain([self.vkey.as_str()]) {
            if !line.is_empty() {
                out += "   ";
                out += &words::plain(line);
                out.push('\n');
            }
        }
        if !self.proofs.is_empty() {
            out += &words::wrap(
                "   ",
                "   ",
                COLUMNS,
                &format!(
                    "{} come with this statement in its JSON and HTML form.",
                    words::counted(self.proofs.len() as u64, "proof")
                ),
            );
        }
        if self.rehearsal {
            out.push('\n');
            out += REHEARSAL;
            out.push('\n');
        }
        out
    }

    pub(crate) fn title(&self) -> String {
        format!("Statement on incident {}", self.incident)
    }

    pub(crate) fn provenance(&self) -> String {
        let by = self
            .organisation
            .as_deref()
            .map_or_else(String::new, |name| format!(" for {}", words::plain(name)));
        format!(
            "Made{by} on {} with Portcullis {}, from a ledger read up to leaf {} of {}.",
            words::moment(self.generated_at),
            self.version,
            self.as_of_leaf,
            words::moment(self.as_of)
        )
    }

    pub(crate) fn scope(&self) -> String {
        let when = if self.ongoing {
            format!("since {}, and still going on", words::moment(self.window.from))
        } else {
            words::period(self.window.from, self.window.to)
        };
        let spared = if self.not_attacked.is_empty() {
            String::new()
        } else {
            format!(
                " Protected, with no attack on record: {}.",
                words::plain(&words::list(&self.not_attacked))
            )
        };
        if self.platforms.is_empty() {
            return format!("It covers {when}, without an attack on a platform.{spared}");
        }
        format!(
            "It is about {} {}, {when}.{spared}",
            if self.platforms.len() == 1 { "the platform" } else { "the platforms" },
            words::plain(&words::list(&self.platforms))
        )
    }

    pub(crate) fn findings(&self) -> String {
        let findings =
            [Finding::Supported, Finding::Contradicted, Finding::NotShown, Finding::NotMeasurable];
        let counts: Vec<String> = findings
            .into_iter()
            .map(|finding| (self.count(finding), finding))
            .filter(|(n, _)| *n > 0)
            .map(|(n, finding)| format!("{n} {}", finding.as_str()))
            .collect();
        format!(
            "Of {} that a spokesperson might make: {}.",
            words::counted(self.claims.len() as u64, "claim"),
            words::list(&counts)
        )
    }
}

/// The part for the press officer.
fn press_text(press: &PressSummary) -> String {
    let mut out = words::wrap("", "", COLUMNS, &words::plain(&press.headline));
    out.push('\n');
    for line in &press.quotable {
        out += &words::wrap("   ", "   ", COLUMNS, &words::plain(line));
    }
    let lists = [
        ("What is known", &press.known),
        ("What is not known", &press.not_known),
        ("What is being done", &press.being_done),
    ];
    for (heading, lines) in lists.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        out.push('\n');
        out += &words::wrap("", "", COLUMNS, heading);
        for line in lines {
            out += &words::wrap("   - ", "     ", COLUMNS, &words::plain(line));
        }
    }
    out += &words::wrap("\nNext update: ", "   ", COLUMNS, &press.next_update);
    out += &words::wrap("Contact: ", "   ", COLUMNS, &press.contact);
    out
}

fn claim_text(number: usize, claim: &Claim) -> String {
    let mut out = words::wrap(
        &format!("{number}. "),
        "   ",
        COLUMNS,
        &format!("\u{201c}{}\u{201d}", claim.typical_wording),
    );
    let finding = claim.finding.as_str().to_uppercase();
    out += &words::wrap("   ", "   ", COLUMNS, &format!("{finding}. {}", claim.because));
    out += "   What can be said:\n";
    out += &words::wrap("     ", "     ", COLUMNS, &words::plain(&claim.sentence));
    if !claim.figures.is_empty() {
        out += "   Figures:\n";
    }
    for figure in &claim.figures {
        out += &words::wrap("     - ", "       ", COLUMNS, &figure_text(figure));
    }
    if !claim.caveats.is_empty() {
        out += "   Caveats:\n";
    }
    for caveat in &claim.caveats {
        out += &words::wrap("     - ", "       ", COLUMNS, caveat);
    }
    out
}

/// `name: value; window; leaves`.
pub(crate) fn figure_text(figure: &Figure) -> String {
    words::plain(&format!(
        "{}: {} ({}{})",
        figure.name,
        figure.text(),
        window_text(figure).map_or_else(String::new, |w| w + "; "),
        figure.leaves
    ))
}

/// The window of a figure in words.
pub(crate) fn window_text(figure: &Figure) -> Option<String> {
    figure.window.map(|w| words::period(w.from, w.to))
}
