//! Phrases that the project avoids, and what to write instead.

mod list;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use crate::source::{below, files};

pub use list::{ADVICE, AVOIDED, Avoided};

/// One avoided phrase in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvoidedUse {
    /// Counted from one.
    pub line: usize,
    /// As it is written.
    pub phrase: String,
    /// What to write.
    pub instead: &'static str,
}

/// Quotations longer than this are a forgotten closing mark.
const LONGEST_QUOTATION: usize = 1500;

/// The avoided phrases in `text`. Words in “curly quotes” are another author's.
#[must_use]
pub fn find(text: &str, avoided: &[Avoided]) -> Vec<AvoidedUse> {
    let words = words_of(text);
    let mut findings = Vec::new();
    for (at, word) in words.iter().enumerate() {
        for entry in avoided {
            let mut parts = entry.phrase.split(' ');
            if parts.next() != Some(word.lower.as_str()) {
                continue;
            }
            let mut end = at;
            let matches = parts.all(|part| {
                end += 1;
                words.get(end).is_some_and(|word| word.follows && word.lower == part)
            });
            if matches {
                let phrase = text[word.start..words[end].end].split_whitespace();
                findings.push(AvoidedUse {
                    line: word.line,
                    phrase: phrase.collect::<Vec<_>>().join(" "),
                    instead: entry.instead,
                });
            }
        }
    }
    findings
}

/// Everything that people read: source, help, pages, documentation, examples.
pub fn texts(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join("crates"))? {
        found.extend(files(&entry?.path(), ENDINGS)?);
    }
    found.extend(files(&root.join("docs"), ENDINGS)?);
    found.extend(files(&root.join("bench"), ENDINGS)?);
    found.extend(files(&root.join("fuzz/fuzz_targets"), ENDINGS)?);
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_file() && has_ending(&path) {
            found.push(path);
        }
    }
    found.retain(|path| !is_quotation(&below(path, root)));
    found.sort();
    Ok(found)
}

/// The files whose words are checked.
pub const ENDINGS: &[&str] = &[".rs", ".py", ".md", ".toml", ".html", ".txt", ".json"];

fn has_ending(path: &Path) -> bool {
    ENDINGS.iter().any(|ending| path.to_string_lossy().ends_with(ending))
}

/// Is the file a text of others, a golden file, a record of old names, or a measurement of its day?
fn is_quotation(path: &str) -> bool {
    path.contains("/snapshots/")
        || path.starts_with("docs/examples/")
        || path == "docs/renamed.md"
        || path.starts_with("bench/results/")
}

/// Files whose string literals are the words of press statements.
const VOCABULARY: &[&str] = &[
    "statement/src/check/lexicon.rs",
    "statement/src/check/sentences.rs",
    "statement/src/check/names.rs",
    "statement/src/check/segments.rs",
    "statement/tests/check.rs",
];

/// Files that are nothing but the words of press statements.
const PRESS_WORDS: &[&str] = &[
    "statement/src/check/lexicon.txt",
    "statement/src/check/frames.txt",
    "statement/tests/corpus/dev.json",
    "statement/tests/corpus/held-out.json",
    "statement/tests/corpus/own.json",
];

/// Names of older versions of the event format, which readers still accept.
const OLD_NAMES: &[&str] = &["told_at"];

/// The part of a file that is checked: of a changelog, its newest section; of the rules for press
/// statements, everything but their vocabulary.
#[must_use]
pub fn checked<'a>(path: &str, text: &'a str) -> Cow<'a, str> {
    if path.ends_with("CHANGELOG.md") {
        let heads: Vec<usize> = text.match_indices("\n## ").map(|(at, _)| at).collect();
        return Cow::Borrowed(&text[..heads.get(1).copied().unwrap_or(text.len())]);
    }
    if PRESS_WORDS.iter().any(|file| path.ends_with(file)) {
        return Cow::Borrowed("");
    }
    if !VOCABULARY.iter().any(|file| path.ends_with(file)) {
        return OLD_NAMES.iter().fold(Cow::Borrowed(text), |text, name| {
            if text.contains(name) { Cow::Owned(text.replace(name, "_")) } else { text }
        });
    }
    let mut quoted = false;
    let blank = |letter: char| {
        quoted ^= letter == '"';
        if quoted && letter != '\n' { '"' } else { letter }
    };
    Cow::Owned(text.chars().map(blank).collect())
}

struct Word {
    lower: String,
    start: usize,
    end: usize,
    line: usize,
    /// Only space, or the end of a comment's line, is between this word and the one before.
    follows: bool,
}

fn words_of(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut line = 1;
    let mut at = 0;
    let mut between = 0;
    while at < text.len() {
        let Some(first) = text[at..].chars().next() else { break };
        if first == '“' {
            let rest = &text[at..];
            if let Some(length) = rest.find('”').filter(|length| *length < LONGEST_QUOTATION) {
                line += rest[..length].matches('\n').count();
                at += length;
                continue;
            }
        }
        if !first.is_alphanumeric() {
            line += usize::from(first == '\n');
            at += first.len_utf8();
            continue;
        }
        let rest = &text[at..];
        let end = at + rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        words.push(Word {
            lower: text[at..end].to_lowercase(),
            start: at,
            end,
            line,
            follows: joins(&text[between..at]),
        });
        between = end;
        at = end;
    }
    words
}

/// Whether this may be between two words of one phrase. Space may, the underscore of an identifier,
/// and a line's end with the marks of a comment.
fn joins(between: &str) -> bool {
    let marks: &[char] =
        if between.contains('\n') { &['/', '!', '#', '*', '>', '\\'] } else { &[] };
    between.chars().all(|c| c.is_whitespace() || c == '_' || marks.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[Avoided] = &[
        Avoided { phrase: "so many", instead: "this number of" },
        Avoided { phrase: "house", instead: "workspace" },
    ];

    fn lines(text: &str) -> Vec<(usize, String)> {
        find(text, LIST).into_iter().map(|found| (found.line, found.phrase)).collect()
    }

    #[test]
    fn a_phrase_is_found_over_the_end_of_a_comments_line_and_in_identifiers() {
        let text =
            "/// There are so\n/// many of them.\nfn so_many() {}\nlet house = House::new();";
        let expected = [(1, "so /// many"), (3, "so_many"), (4, "house"), (4, "House")];
        assert_eq!(lines(text), expected.map(|(line, phrase)| (line, phrase.to_owned())));
    }

    #[test]
    fn words_within_words_other_sentences_and_quotations_are_passed_over() {
        let text = "Warehouses. It is so. Many came. He said “so many of\nthe house”. so, many";
        assert_eq!(lines(text), []);
        assert_eq!(lines("“not closed\n house"), [(2, "house".to_owned())]);
    }

    #[test]
    fn a_changelog_is_checked_in_its_newest_section_alone() {
        let text = "# Changelog\n\n## [Unreleased]\nnew\n\n## [0.1.0]\nhouse\n";
        assert_eq!(checked("CHANGELOG.md", text), "# Changelog\n\n## [Unreleased]\nnew\n");
        assert_eq!(checked("docs/a.md", text), text);
    }

    #[test]
    fn the_vocabulary_of_press_statements_is_not_ours() {
        let text = "/// A house.\nconst WORDS: &[&str] = &[\"house\"];";
        let rules = checked("crates/statement/src/check/lexicon.rs", text);
        assert_eq!(lines(&rules), [(1, "house".to_owned())]);
    }

    #[test]
    fn the_lists_are_in_lower_case_and_name_each_phrase_once() {
        let mut phrases: Vec<&str> =
            AVOIDED.iter().chain(ADVICE).map(|entry| entry.phrase).collect();
        assert!(phrases.iter().all(|phrase| *phrase == phrase.to_lowercase()));
        phrases.sort_unstable();
        let count = phrases.len();
        phrases.dedup();
        assert_eq!(phrases.len(), count);
    }
}
