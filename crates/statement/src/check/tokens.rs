//! Words of a sentence, and patterns over them.

use core::ops::Range;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WordToken {
    /// In lower case, with plain apostrophes.
    pub(super) word: String,
    /// Its range in the text.
    pub(super) at: Range<usize>,
    /// Which clause of the sentence it belongs to.
    pub(super) clause: usize,
}

/// Words that begin another clause.
const CLAUSES: &[&str] = &["but", "although", "though", "however", "while", "whereas"];

/// The words of `sentence`, which begins at `offset` in the text. Hyphens part words; letters
/// that cannot be seen are passed over.
pub(super) fn tokens(sentence: &str, offset: usize) -> Vec<WordToken> {
    let mut tokens: Vec<WordToken> = Vec::new();
    let mut clause = 0;
    let mut word = String::new();
    let mut at = 0..0;
    let chars: Vec<(usize, char)> = sentence.char_indices().collect();
    for (i, &(position, raw)) in chars.iter().enumerate() {
        let c = fold(raw);
        if invisible(c) {
            continue;
        }
        let between = |test: fn(char) -> bool| {
            let next = chars.get(i + 1).map(|&(_, c)| fold(c));
            word.chars().next_back().is_some_and(test) && next.is_some_and(test)
        };
        let inside = c.is_alphanumeric()
            || (c == '\'' && between(char::is_alphabetic))
            || (matches!(c, '.' | ',') && between(|c| c.is_ascii_digit()));
        if inside {
            if word.is_empty() {
                at.start = offset + position;
            }
            word.extend(c.to_lowercase());
            at.end = offset + position + raw.len_utf8();
            continue;
        }
        push_word(&mut word, &at, &mut clause, &mut tokens);
        if matches!(c, ',' | ';' | ':' | '(' | ')' | '\u{2013}' | '\u{2014}') {
            clause += 1;
        }
    }
    push_word(&mut word, &at, &mut clause, &mut tokens);
    split_clauses_at_and(&mut tokens);
    tokens
}

/// "and" begins another clause where a word follows that begins one: `no breach and our site…`.
fn split_clauses_at_and(tokens: &mut [WordToken]) {
    const BEGINS: &[&str] = &[
        "all",
        "any",
        "every",
        "everything",
        "it",
        "no",
        "none",
        "nothing",
        "our",
        "that",
        "the",
        "their",
        "these",
        "they",
        "this",
        "those",
        "we",
    ];
    let mut more = 0;
    for i in 0..tokens.len() {
        let next = tokens.get(i + 1).map(|t| t.word.as_str());
        if tokens[i].word == "and" && next.is_some_and(|next| BEGINS.contains(&next)) {
            more += 1;
        }
        tokens[i].clause += more;
    }
}

fn push_word(
    word: &mut String,
    at: &Range<usize>,
    clause: &mut usize,
    tokens: &mut Vec<WordToken>,
) {
    if word.is_empty() {
        return;
    }
    if CLAUSES.contains(&word.as_str()) {
        *clause += 1;
    }
    tokens.push(WordToken { word: core::mem::take(word), at: at.clone(), clause: *clause });
}

/// The plain form of a letter that has a wide or a typographic one.
fn fold(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{02bc}' | '\u{ff07}' => '\'',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        c => c,
    }
}

fn invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Where a pattern matched: first and last token, and those in between that no part of the
/// pattern names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PatternMatch {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) between: Vec<usize>,
}

/// All places where `pattern` matches, at most one for each first word.
///
/// A pattern is words apart by spaces: `a|b` is either, `stem*` every word that begins so, `..3`
/// up to three words of any kind.
pub(super) fn find(pattern: &str, tokens: &[WordToken]) -> Vec<PatternMatch> {
    let parts: Vec<&str> = pattern.split(' ').collect();
    (0..tokens.len())
        .filter_map(|first| {
            let mut between = Vec::new();
            let last = matches_from(&parts, tokens, first, &mut between)?;
            Some(PatternMatch { first, last, between })
        })
        .collect()
}

/// The last token of the match that begins at `at`. Patterns have a handful of parts and gaps of
/// a few words, so the search is short.
fn matches_from(
    parts: &[&str],
    tokens: &[WordToken],
    at: usize,
    between: &mut Vec<usize>,
) -> Option<usize> {
    let (part, rest) = parts.split_first()?;
    if let Some(gap) = part.strip_prefix("..") {
        let most: usize = gap.parse().unwrap_or(0);
        for skipped in 0..=most {
            let length = between.len();
            between.extend(at..(at + skipped).min(tokens.len()));
            if let Some(last) = matches_from(rest, tokens, at + skipped, between) {
                return Some(last);
            }
            between.truncate(length);
        }
        return None;
    }
    let token = tokens.get(at)?;
    let fits = part.split('|').any(|word| match word.strip_suffix('*') {
        Some(stem) => token.word.starts_with(stem),
        None => token.word == word,
    });
    if !fits {
        None
    } else if rest.is_empty() {
        Some(at)
    } else {
        matches_from(rest, tokens, at + 1, between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_their_typography() {
        let words: Vec<String> =
            tokens("It wasn\u{2019}t \u{ff21} large-scale so\u{ad}phisticated 10,000!", 0)
                .into_iter()
                .map(|t| t.word)
                .collect();
        assert_eq!(words, ["it", "wasn't", "a", "large", "scale", "sophisticated", "10,000"]);
    }

    #[test]
    fn a_pattern_finds_stems_choices_and_gaps() {
        let tokens = tokens("these attempts have all failed again", 0);
        let found = find("attempt*|attack* ..3 fail*", &tokens);
        assert_eq!(found, [PatternMatch { first: 1, last: 4, between: vec![2, 3] }]);
        assert!(find("attempt* ..1 fail*", &tokens).is_empty());
    }

    #[test]
    fn a_clause_ends_at_a_comma_and_at_but() {
        let clauses: Vec<usize> =
            tokens("slow, then fast but safe", 0).into_iter().map(|t| t.clause).collect();
        assert_eq!(clauses, [0, 1, 1, 2, 2]);
    }
}
