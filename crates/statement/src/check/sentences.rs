//! Where one sentence ends and the next begins.

use core::ops::Range;

/// Abbreviations that do not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "adm", "apt", "approx", "art", "ave", "brig", "c", "ca", "capt", "cf", "cllr", "col", "cont",
    "dept", "dr", "e.g", "ed", "est", "fig", "gen", "gov", "hon", "i.e", "incl", "jr", "lt", "maj",
    "messrs", "mr", "mrs", "ms", "mt", "nr", "no", "nos", "p", "para", "pp", "prof", "rep", "rev",
    "rt", "sec", "sen", "sgt", "sr", "st", "supt", "viz", "vol", "vs", "v",
];

/// Abbreviations that may end a sentence or not: only a following word that begins sentences decides.
const FINAL_ABBREVIATIONS: &[&str] = &[
    "a.m", "p.m", "am", "pm", "etc", "u.k", "u.s", "e.u", "u.n", "inc", "ltd", "co", "jan", "feb",
    "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "ph.d",
];

/// Words that begin sentences.
const SENTENCE_STARTS: &[&str] = &[
    "a",
    "all",
    "an",
    "and",
    "as",
    "at",
    "but",
    "every",
    "for",
    "he",
    "however",
    "i",
    "if",
    "in",
    "it",
    "its",
    "many",
    "no",
    "nobody",
    "none",
    "of",
    "on",
    "our",
    "she",
    "since",
    "some",
    "that",
    "the",
    "there",
    "these",
    "they",
    "this",
    "those",
    "today",
    "we",
    "what",
    "when",
    "while",
    "who",
    "yesterday",
    "you",
    "your",
];

/// The sentences of a text as byte ranges: in order, apart, trimmed, and together everything
/// that is not white space.
pub(super) fn split(text: &str) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        let end = match c {
            '.' | '!' | '?' | '\u{2026}' | '\u{3002}' => end_of_sentence(text, start, at, c),
            '\n' => line_ends(text, at).then_some(at),
            _ => None,
        };
        if let Some(end) = end {
            push_trimmed(text, start..end, &mut sentences);
            start = end;
            at = end.max(next);
        } else {
            at = next;
        }
    }
    push_trimmed(text, start..text.len(), &mut sentences);
    sentences
}

/// Keeps a range without the white space around it, unless nothing is left.
fn push_trimmed(text: &str, range: Range<usize>, sentences: &mut Vec<Range<usize>>) {
    let whole = &text[range.clone()];
    let trimmed = whole.trim();
    if !trimmed.is_empty() {
        let start = range.start + (whole.len() - whole.trim_start().len());
        sentences.push(start..start + trimmed.len());
    }
}

/// The end of the sentence whose last mark may be `mark` at `at`.
fn end_of_sentence(text: &str, start: usize, at: usize, mark: char) -> Option<usize> {
    let closing = |c: char| {
        matches!(
            c,
            '.' | '!'
                | '?'
                | '\u{2026}'
                | '"'
                | '\''
                | '\u{2019}'
                | '\u{201d}'
                | ')'
                | ']'
                | '\u{bb}'
        )
    };
    let rest = &text[at..];
    let after = rest.trim_start_matches(closing);
    // A full stop of East Asia closes by itself.
    let end = text.len() - after.len();
    let end = end.max(at + mark.len_utf8());
    let after = &text[end..];
    if mark == '\u{3002}' {
        return Some(end);
    }
    let Some(following) = after.chars().next() else {
        return Some(end);
    };
    if !following.is_whitespace() {
        return None; // a decimal, a host name, a file
    }
    let next = after.trim_start();
    let opening = |c: char| {
        matches!(c, '"' | '\'' | '\u{2018}' | '\u{201c}' | '(' | '[' | '\u{ab}' | '-' | '\u{2022}')
    };
    let word = next.trim_start_matches(opening);
    let first = word.chars().next();
    if first.is_some_and(char::is_lowercase) {
        return None;
    }
    if mark == '.' && end == at + 1 {
        let before = &text[start..at];
        let abbreviation = before
            .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '\u{201c}'))
            .next()
            .unwrap_or("");
        let lower = abbreviation.to_lowercase();
        let initial = abbreviation.chars().count() == 1
            && abbreviation.chars().all(char::is_uppercase)
            && abbreviation != "I";
        if ABBREVIATIONS.contains(&lower.as_str()) || initial {
            return None;
        }
        if FINAL_ABBREVIATIONS.contains(&lower.as_str()) && !begins_sentence(word) {
            return None;
        }
    }
    Some(end)
}

fn begins_sentence(text: &str) -> bool {
    let word: String = text
        .chars()
        .take_while(|c| c.is_alphabetic())
        .take(16)
        .flat_map(char::to_lowercase)
        .collect();
    word.is_empty() || SENTENCE_STARTS.contains(&word.as_str())
}

/// Whether the line break at `at` ends a paragraph or comes before an item of a list.
fn line_ends(text: &str, at: usize) -> bool {
    let after = &text[at + 1..];
    let mut blank = after.chars().filter(|c| *c != '\r' && *c != ' ' && *c != '\t');
    let first = blank.next();
    if matches!(first, None | Some('\n')) {
        return true;
    }
    let item = after.trim_start();
    let bullet = ["- ", "* ", "\u{2022}", "\u{2013} ", "\u{2014} "];
    if bullet.iter().any(|mark| item.starts_with(mark)) {
        return true;
    }
    let digits = item.chars().take_while(char::is_ascii_digit).count();
    (1..=3).contains(&digits) && item[digits..].starts_with([')', '.']) && {
        item[digits + 1..].starts_with(' ')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<&str> {
        split(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn abbreviations_numbers_and_hosts_do_not_end_a_sentence() {
        assert_eq!(
            sentences(
                "Mr. Sookoo wrote to www.example.org at 9.30 a.m. on Tuesday. It was 3.5 times."
            ),
            ["Mr. Sookoo wrote to www.example.org at 9.30 a.m. on Tuesday.", "It was 3.5 times."]
        );
        assert_eq!(
            sentences("It began at 1 p.m. We acted. The U.K. Government knows. J. Smith agreed."),
            ["It began at 1 p.m.", "We acted.", "The U.K. Government knows.", "J. Smith agreed."]
        );
    }

    #[test]
    fn quotes_belong_to_their_sentence() {
        assert_eq!(
            sentences(
                "\u{201c}We are back.\u{201d} The site is up! \u{201c}Why?\u{201d} asked one."
            ),
            ["\u{201c}We are back.\u{201d}", "The site is up!", "\u{201c}Why?\u{201d} asked one."]
        );
    }

    #[test]
    fn paragraphs_and_items_end_a_sentence_and_wrapped_lines_do_not() {
        assert_eq!(
            sentences("Statement\n\nWe were\nattacked\r\n\r\n- one\n- two\n1. three"),
            ["Statement", "We were\nattacked", "- one", "- two", "1. three"]
        );
    }

    #[test]
    fn an_ellipsis_before_a_small_letter_goes_on() {
        assert_eq!(
            sentences("It was... large. Yes\u{2026} No"),
            ["It was... large.", "Yes\u{2026}", "No"]
        );
    }
}
