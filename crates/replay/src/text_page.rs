//! Text being written, heading by heading: as lines for a terminal, and as parts of a page.

use portcullis_incident::{BoundedList, words};

/// Characters in a line.
const WIDTH: usize = 100;
/// Surges, attacks and procedures shown; the JSON lists more.
pub(crate) const SHOWN: usize = 20;

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextBlock {
    Heading(String),
    /// A paragraph, some steps in.
    Line(usize, String),
    /// An item of a list, some steps in.
    Item(usize, String),
    /// A number and what it counts.
    Row(String, String),
}

/// Text being written.
#[derive(Default)]
pub(crate) struct TextPage(Vec<TextBlock>);

impl TextPage {
    pub(crate) fn heading(&mut self, text: &str) {
        self.0.push(TextBlock::Heading(text.to_owned()));
    }

    /// A paragraph, `indent` steps in.
    pub(crate) fn line(&mut self, indent: usize, text: &str) {
        self.0.push(TextBlock::Line(indent, words::plain(text)));
    }

    /// An item of a list, `indent` steps in.
    pub(crate) fn item(&mut self, indent: usize, text: &str) {
        self.0.push(TextBlock::Item(indent, words::plain(text)));
    }

    /// A number, and what it counts.
    pub(crate) fn row(&mut self, count: &str, text: &str) {
        self.0.push(TextBlock::Row(count.to_owned(), words::plain(text)));
    }

    /// How many of a list are not shown.
    pub(crate) fn more<T>(&mut self, listed: &BoundedList<T>, noun: &str) {
        let more = listed.count().saturating_sub(SHOWN as u64);
        if more > 0 {
            self.line(1, &format!("and {} more", words::counted(more, noun)));
        }
    }

    /// The blocks, in order.
    pub(crate) fn into_blocks(self) -> Vec<TextBlock> {
        self.0
    }

    /// For a terminal, in lines of at most a hundred characters.
    pub(crate) fn finish(self) -> String {
        let mut text = String::new();
        for block in &self.0 {
            match block {
                TextBlock::Heading(heading) => {
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text.push_str(heading);
                    text.push('\n');
                }
                TextBlock::Line(indent, line) => {
                    let margin = "  ".repeat(*indent);
                    text.push_str(&words::wrap(&margin, &margin, WIDTH, line));
                }
                TextBlock::Item(indent, item) => {
                    let margin = "  ".repeat(*indent);
                    let (first, rest) = (format!("{margin}- "), format!("{margin}  "));
                    text.push_str(&words::wrap(&first, &rest, WIDTH, item));
                }
                TextBlock::Row(count, what) => {
                    text.push_str(cut(&format!("  {count:>12}  {what}")).trim_end());
                    text.push('\n');
                }
            }
        }
        text
    }
}

/// Cut at the width of the page.
fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDTH - 1) {
        Some((end, _)) if text.chars().count() > WIDTH => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}
