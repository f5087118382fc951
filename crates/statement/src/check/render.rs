//! A check as text and as JSON.

use askama::Template;
use portcullis_incident::{LeafSet, words};

use super::outcome::{Assertion, Check, CheckedSentence, SentenceResult};
use crate::text::{COLUMNS, REHEARSAL};

impl SentenceResult {
    /// The class of the result in pages.
    const fn css_class(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Rejected => "rejected",
            Self::NotMeasurable => "not-measurable",
            Self::NotChecked => "not-checked",
            Self::NotRead => "not-read",
            Self::AssertsNothing => "asserts-nothing",
        }
    }

    /// The words that people read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Rejected => "rejected",
            Self::NotMeasurable => "not measurable",
            Self::NotChecked => "not checked",
            Self::NotRead => "not read",
            Self::AssertsNothing => "asserts nothing",
        }
    }

    /// What `n` sentences do, to follow their number.
    const fn predicate(self, n: usize) -> &'static str {
        match (self, n) {
            (Self::Supported, 1) => "is supported",
            (Self::Supported, _) => "are supported",
            (Self::Rejected, 1) => "is rejected",
            (Self::Rejected, _) => "are rejected",
            (Self::NotMeasurable, 1) => "is not measurable",
            (Self::NotMeasurable, _) => "are not measurable",
            (Self::NotChecked, 1) => "is not checked in full",
            (Self::NotChecked, _) => "are not checked in full",
            (Self::NotRead, 1) => "is not read",
            (Self::NotRead, _) => "are not read",
            (Self::AssertsNothing, 1) => "asserts nothing",
            (Self::AssertsNothing, _) => "assert nothing",
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
            out += &sentence_text(i + 1, checked);
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
            SentenceResult::Supported,
            SentenceResult::Rejected,
            SentenceResult::NotMeasurable,
            SentenceResult::NotChecked,
            SentenceResult::NotRead,
            SentenceResult::AssertsNothing,
        ];
        let counts: Vec<String> = verdicts
            .into_iter()
            .map(|verdict| (self.count(verdict), verdict))
            .filter(|(n, _)| *n > 0)
            .map(|(n, verdict)| format!("{n} {}", verdict.predicate(n)))
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

impl Check {
    /// As one self-contained HTML page: each sentence with what was refused and what was not checked.
    pub fn to_html(&self) -> String {
        let page = CheckPage { check: self, summary: self.summary(), rehearsal: REHEARSAL };
        page.render().expect("writing a page to a string cannot fail")
    }
}

/// The page. Nothing in it is fetched from elsewhere, and nothing needs JavaScript.
#[derive(Template)]
#[template(path = "check.html")]
struct CheckPage<'a> {
    check: &'a Check,
    summary: String,
    rehearsal: &'static str,
}

impl CheckedSentence {
    /// The sentence in pieces, each with the class of its marking; empty for what was read and holds.
    fn pieces(&self) -> Vec<(String, &'static str)> {
        let mut marks: Vec<(usize, usize, &'static str)> = Vec::new();
        let refused = self.rejected.iter().map(|part| (&part.at, "refused"));
        for (at, class) in refused.chain(self.unchecked.iter().map(|part| (&part.at, "unchecked")))
        {
            marks.push((
                at.start.max(self.at.start) - self.at.start,
                at.end.min(self.at.end).saturating_sub(self.at.start),
                class,
            ));
        }
        marks.sort_unstable();
        let mut pieces = Vec::new();
        let mut done = 0;
        for (start, end, class) in marks {
            if start < done || end <= start {
                continue;
            }
            pieces.push((self.sentence[done..start].to_owned(), ""));
            pieces.push((self.sentence[start..end].to_owned(), class));
            done = end;
        }
        pieces.push((self.sentence[done..].to_owned(), ""));
        pieces
    }
}

fn sentence_text(number: usize, checked: &CheckedSentence) -> String {
    let quoted = format!("\u{201c}{}\u{201d}", words::plain(checked.sentence.trim()));
    let mut out = words::wrap(&format!("{number}. "), "   ", COLUMNS, &quoted);
    out += &words::wrap("   ", "   ", COLUMNS, &checked.result.as_str().to_uppercase());
    for recognised in &checked.matched {
        let prefix = match recognised.assertion {
            Assertion::Made => "",
            Assertion::Denied => "the opposite of ",
            Assertion::LeftOpen => "left open, ",
        };
        let text = format!(
            "{prefix}{} (\u{201c}{}\u{201d}): {}. {}",
            recognised.reading,
            words::plain(&recognised.phrase),
            recognised.finding.as_str(),
            recognised.because
        );
        out += &words::wrap("   - ", "     ", COLUMNS, &text);
    }
    for refused in &checked.rejected {
        let text = format!(
            "rejected, \u{201c}{}\u{201d}: {}.",
            words::plain(&refused.phrase),
            refused.why.trim_end_matches('.')
        );
        out += &words::wrap("   - ", "     ", COLUMNS, &text);
    }
    if !checked.unchecked.is_empty() {
        let parts: Vec<String> = checked
            .unchecked
            .iter()
            .map(|part| format!("\u{201c}{}\u{201d}", words::plain(&part.phrase)))
            .collect();
        let text = format!("not checked: {}.", parts.join(", "));
        out += &words::wrap("   - ", "     ", COLUMNS, &text);
    }
    if !checked.suggestions.is_empty() {
        out += "   What can be said instead:\n";
    }
    for wording in &checked.suggestions {
        out += &words::wrap("     ", "     ", COLUMNS, &words::plain(wording));
    }
    for note in &checked.notes {
        out += &words::wrap("   Note: ", "   ", COLUMNS, note);
    }
    if !checked.leaves.is_empty() {
        let leaves: LeafSet = checked.leaves.iter().copied().collect();
        out += &words::wrap("   Ledger: ", "   ", COLUMNS, &leaves.to_string());
    }
    out
}
