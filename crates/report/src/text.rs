//! A report as text, a hundred columns wide, ready to paste.

use portcullis_incident::words;

use crate::figures::window;
use crate::report::{Report, ReportBlock, ReportTable};

const COLUMNS: usize = 100;

/// The line above every text about a rehearsal.
pub(crate) const REHEARSAL: &str = "REHEARSAL: nothing of this is about a real attack.";

impl Report {
    /// As text for people, at most a hundred columns wide (a longer word keeps its line).
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        if self.rehearsal {
            out += REHEARSAL;
            out += "\n\n";
        }
        out += &words::wrap("", "", COLUMNS, &self.title());
        out += &words::wrap("", "", COLUMNS, &self.provenance());
        for section in &self.sections {
            out.push('\n');
            out += &words::wrap(&format!("{}. ", section.number), "   ", COLUMNS, section.question);
            for block in &section.blocks {
                out += &block_text(block);
            }
        }
        out += "\nFacts relevant to categorisation\n";
        out += &items(&self.categorisation);
        out += "\nTimeline (UTC; the leaf of the ledger in brackets)\n";
        let mut day = String::new();
        for moment in &self.timeline {
            let today = words::day(moment.at);
            if today != day {
                out += &words::wrap("   ", "   ", COLUMNS, &today);
                day = today;
            }
            let head = format!("   {} [{}] ", moment.at.clock(), moment.leaf);
            out += &words::wrap(&head, "            ", COLUMNS, &words::plain(&moment.summary));
        }
        if self.more_moments > 0 {
            let more = format!("{} more moments.", words::count(self.more_moments));
            out += &words::wrap("   ", "   ", COLUMNS, &more);
        }
        out += "\nFigures (value; window; leaves)\n";
        let figures: Vec<String> = self
            .figures
            .iter()
            .map(|f| format!("{}: {}; {}; {}", f.name, f.text(), window(f), f.leaves))
            .collect();
        out += &items(&figures);
        out += "\nWhat is missing from the record\n";
        if self.coverage.is_empty() {
            out += "   Nothing is known to be missing.\n";
        }
        out += &items(&self.coverage);
        if !self.claims.is_empty() {
            out += "\nWhat a statement to the public can say\n";
        }
        for claim in &self.claims {
            let head = format!("\u{201c}{}\u{201d} {}.", claim.typical_wording, claim.finding);
            out += &words::wrap("   - ", "     ", COLUMNS, &head);
            out += &words::wrap("     ", "     ", COLUMNS, &words::plain(&claim.sentence));
        }
        if self.rehearsal {
            out.push('\n');
            out += REHEARSAL;
            out.push('\n');
        }
        out
    }

    pub(crate) fn title(&self) -> String {
        format!("Report on incident {}", self.incident)
    }

    pub(crate) fn provenance(&self) -> String {
        format!(
            "Made on {} with Portcullis {}, by the nine questions of the National Cyber Security \
             Centre.",
            words::moment(self.generated_at),
            self.version
        )
    }
}

fn items(lines: &[String]) -> String {
    let line = |text: &String| words::wrap("   - ", "     ", COLUMNS, &words::plain(text));
    lines.iter().map(line).collect()
}

fn block_text(block: &ReportBlock) -> String {
    match block {
        ReportBlock::Paragraph(text) => words::wrap("   ", "   ", COLUMNS, text),
        ReportBlock::Items(lines) => items(lines),
        ReportBlock::Blank(what) => {
            words::wrap("   ", "   ", COLUMNS, &format!("[please fill in: {what}]"))
        }
        ReportBlock::Table(table) => table_text(table),
    }
}

/// A table as a list: in a form's text field, columns do not survive.
fn table_text(table: &ReportTable) -> String {
    let mut out = words::wrap("   ", "   ", COLUMNS, &format!("{}:", table.caption));
    for row in &table.rows {
        let mut cells = row.0.iter().zip(&table.head);
        let Some((first, head)) = cells.next() else {
            continue;
        };
        let name = if head == "No." { format!("{head} {first}") } else { first.clone() };
        let rest: Vec<String> = cells
            .map(|(cell, head)| format!("{}: {cell}", head.split(':').next().unwrap_or(head)))
            .collect();
        let line = format!("{name}. {}", rest.join("; "));
        out += &words::wrap("   - ", "     ", COLUMNS, &words::plain(&line));
    }
    out
}
