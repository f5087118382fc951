//! Problems of a configuration: what is wrong, where, and how to fix it.

use core::fmt;
use core::ops::Range;

use serde::Serialize;

/// Problems stored with their position; more are only counted. A person fixes fewer than a hundred
/// before the next check, and a hostile file must not fill the memory.
const LISTED: usize = 100;

/// Characters of a line that are quoted.
const QUOTED_LINE: usize = 100;

/// Characters of a value that are quoted.
const QUOTED_VALUE: usize = 60;

/// One thing that is wrong, as the person who can fix it wants to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The line, from one; zero where the problem is something that the file lacks as a whole.
    pub line: usize,
    /// The column, from one, in characters; zero together with the line.
    pub column: usize,
    /// The key, such as `platforms[0].origin`; empty where the file is not TOML.
    pub key: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// How to fix it, if known.
    pub hint: Option<String>,
    /// The line itself, and how many characters of it are meant.
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

/// A piece of a line with the characters that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// Characters before the first that is meant.
    indent: usize,
    /// Characters that are meant, at least one.
    width: usize,
}

/// Every problem of a file, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// The problems, at most a hundred.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

impl core::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            problem.write(f, &self.file)?;
            writeln!(f)?;
        }
        let file = &self.file;
        match self.problems.len() + self.more {
            1 => write!(f, "1 problem in {file}"),
            count if self.more == 0 => write!(f, "{count} problems in {file}"),
            count => write!(f, "{count} problems in {file}; {} are shown", self.problems.len()),
        }
    }
}

impl Problem {
    fn write(&self, f: &mut fmt::Formatter<'_>, file: &str) -> fmt::Result {
        f.write_str(file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        writeln!(f, ": {}", self.found)?;
        let number = self.line.to_string();
        let gutter = number.len().max(2);
        if let Some(excerpt) = &self.excerpt {
            let carets = "^".repeat(excerpt.width);
            writeln!(f, "{:gutter$} |", "")?;
            writeln!(f, "{number:>gutter$} | {}", excerpt.text)?;
            writeln!(f, "{:gutter$} | {:indent$}{carets}", "", "", indent = excerpt.indent)?;
        }
        writeln!(f, "{:gutter$} expected {}", "", self.expected)?;
        if let Some(hint) = &self.hint {
            writeln!(f, "{:gutter$} hint: {hint}", "")?;
        }
        Ok(())
    }
}

/// A problem before its place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValueError {
    found: String,
    expected: String,
    hint: Option<String>,
}

impl ValueError {
    pub(super) fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The whole in one sentence, for places without lines such as the command line.
    pub(super) fn sentence(self) -> String {
        let hint = self.hint.map(|hint| format!(" ({hint})"));
        format!("{}; expected {}{}", self.found, self.expected, hint.unwrap_or_default())
    }
}

/// Collects problems while a file is read.
pub(super) struct ProblemCollector<'t> {
    text: &'t str,
    found: Vec<Problem>,
    more: usize,
}

impl<'t> ProblemCollector<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new(), more: 0 }
    }

    /// Problems so far.
    pub(super) fn len(&self) -> usize {
        self.found.len() + self.more
    }

    /// Notes a error of `key`; `place` is the bytes that are meant, if the file has any.
    pub(super) fn add(&mut self, place: Option<&Range<usize>>, key: &str, error: ValueError) {
        if self.found.len() == LISTED {
            self.more += 1;
            return;
        }
        let (line, column, excerpt) = match place {
            Some(place) => locate(self.text, place),
            None => (0, 0, None),
        };
        self.found.push(Problem {
            line,
            column,
            key: key.to_owned(),
            found: error.found,
            expected: error.expected,
            hint: error.hint,
            excerpt,
        });
    }

    pub(super) fn finish(mut self, file: &str) -> Problems {
        self.found.sort_by_key(|problem| (problem.line, problem.column));
        Problems { file: file.to_owned(), problems: self.found, more: self.more }
    }
}

/// Line and column of a place, and what to quote of the line.
fn locate(text: &str, place: &Range<usize>) -> (usize, usize, Option<Excerpt>) {
    let mut start = place.start.min(text.len());
    // The end of a file that ends its last line belongs to that line.
    if start == text.len() && text.ends_with('\n') && start > 0 {
        start -= 1;
    }
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let (before, after) = text.split_at(start);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let before = &before[line_start..];
    let after = after.split(['\n', '\r']).next().unwrap_or_default();
    let meant = place.end.saturating_sub(start).min(after.len());
    let width = after.char_indices().take_while(|(at, _)| *at < meant).count().max(1);
    let column = before.chars().count();

    // Of a long line, the part around what is meant.
    let skip = column.saturating_sub(QUOTED_LINE / 2);
    let shown = before.chars().chain(after.chars()).skip(skip).take(QUOTED_LINE);
    let shown: String = shown.map(printable).collect();
    let indent = column - skip;
    let width = width.min(shown.chars().count().saturating_sub(indent)).max(1);
    let excerpt = Excerpt { text: shown.trim_end().to_owned(), indent, width };
    let excerpt = (!excerpt.text.is_empty()).then_some(excerpt);
    (line, column + 1, excerpt)
}

/// A character that a terminal shows as one column and does not obey.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() || invisible(c) => '\u{fffd}',
        c => c,
    }
}

/// Characters that change the direction of text or show nothing: a name that holds one reads
/// otherwise than it is.
pub(super) const fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A value in back quotes, short and without characters that a terminal would obey.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_VALUE).map(printable).collect();
    if text.chars().nth(QUOTED_VALUE).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, place: Range<usize>) -> String {
        let mut report = ProblemCollector::new(text);
        report.add(Some(&place), "a.b", ValueError::new("found", "something else"));
        report.finish("f.toml").to_string()
    }

    #[test]
    fn the_carets_are_under_what_is_meant() {
        let text = "one = 1\n\ttwo = \"é\" # x\n";
        let start = text.find('"').expect("quote");
        let shown = shown(text, start..start + 4);
        assert!(shown.contains(" 2 |  two = \"é\" # x\n   |        ^^^\n"), "{shown}");
    }

    #[test]
    fn any_place_of_any_text_is_a_line_of_it() {
        for text in ["", "\n", "é", "a\r\nb", "a\n\n", "é\né"] {
            for start in 0..=text.len() + 2 {
                for end in start..=text.len() + 3 {
                    let (line, column, _) = locate(text, &(start..end));
                    assert!((1..=text.lines().count().max(1)).contains(&line), "{text:?} {start}");
                    assert!(column >= 1);
                }
            }
        }
    }

    #[test]
    fn a_long_line_is_quoted_around_what_is_meant() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = shown(&text, 500..501);
        assert!(shown.lines().all(|line| line.chars().count() < 120), "{shown}");
        let caret = shown.lines().find_map(|line| line.find('^'));
        let meant = shown.lines().find_map(|line| line.find('X'));
        assert_eq!(caret, meant);
    }

    #[test]
    fn a_value_cannot_command_the_terminal() {
        assert_eq!(quoted("a\u{1b}[2Jb\u{202e}"), "`a\u{fffd}[2Jb\u{fffd}`");
    }
}
