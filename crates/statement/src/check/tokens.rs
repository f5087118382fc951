//! The words and the marks of a sentence.

use core::ops::Range;

/// One word, or one mark of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SentenceToken {
    /// In lower case, with plain apostrophes and without a possessive ending.
    pub(super) text: String,
    /// Its range in the text.
    pub(super) at: Range<usize>,
    /// A mark of punctuation.
    pub(super) mark: bool,
    /// Begins with a capital.
    pub(super) capital: bool,
}

impl SentenceToken {
    /// Whether it is this word.
    pub(super) fn is(&self, word: &str) -> bool {
        self.text == word
    }
}

/// Marks that are read. Others part words and say nothing.
const MARKS: &[char] = &[',', ';', ':', '(', ')', '\u{2013}', '\u{2014}', '"', '?'];

/// The tokens of `sentence`, which begins at `offset` in the text. Hyphens part words; contractions
/// are written out; letters that cannot be seen are passed over.
pub(super) fn tokens(sentence: &str, offset: usize) -> Vec<SentenceToken> {
    let mut tokens = Vec::new();
    let mut word = Pending::default();
    let chars: Vec<(usize, char)> = sentence.char_indices().collect();
    for (i, &(position, raw)) in chars.iter().enumerate() {
        let c = fold(raw);
        if invisible(c) {
            continue;
        }
        let next = chars.get(i + 1).map(|&(_, c)| fold(c));
        let at = offset + position..offset + position + raw.len_utf8();
        if word.continues(c, next) {
            word.push(raw, c, at);
            continue;
        }
        let after_digit = word.text.ends_with(|c: char| c.is_ascii_digit());
        word.finish(&mut tokens);
        match c {
            '%' => push_mark(&mut tokens, "percent", at, false),
            '\u{a3}' | '$' | '\u{20ac}' => push_mark(&mut tokens, "money", at, false),
            '-' | '\u{2013}' if after_digit && next.is_some_and(|c| c.is_ascii_digit()) => {
                push_mark(&mut tokens, "to", at, false);
            }
            '-' if alone(&chars, i) => push_mark(&mut tokens, "\u{2014}", at, true),
            '\u{201c}' | '\u{201d}' | '\u{ab}' | '\u{bb}' => {
                push_mark(&mut tokens, "\"", at, true);
            }
            c if MARKS.contains(&c) => push_mark(&mut tokens, &c.to_string(), at, true),
            _ => {}
        }
    }
    word.finish(&mut tokens);
    tokens
}

/// Whether the hyphen at `i` is a dash between words.
fn alone(chars: &[(usize, char)], i: usize) -> bool {
    let blank = |at: Option<usize>| {
        at.and_then(|at| chars.get(at)).is_some_and(|(_, c)| c.is_whitespace() || *c == '-')
    };
    blank(i.checked_sub(1)) && blank(Some(i + 1))
}

fn push_mark(tokens: &mut Vec<SentenceToken>, text: &str, at: Range<usize>, mark: bool) {
    tokens.push(SentenceToken { text: text.to_owned(), at, mark, capital: false });
}

/// A word that is being read.
#[derive(Default)]
struct Pending {
    text: String,
    at: Range<usize>,
    capital: bool,
}

impl Pending {
    /// Whether `c` belongs to the word.
    fn continues(&self, c: char, next: Option<char>) -> bool {
        let between = |test: fn(char) -> bool| {
            self.text.chars().next_back().is_some_and(test) && next.is_some_and(test)
        };
        c.is_alphanumeric()
            || (c == '\'' && between(char::is_alphabetic))
            || (matches!(c, '.' | ',' | ':') && between(|c| c.is_ascii_digit()))
            || (c == '.' && between(char::is_alphabetic))
            || is_combining(c) && !self.text.is_empty()
    }

    fn push(&mut self, raw: char, c: char, at: Range<usize>) {
        if self.text.is_empty() {
            self.at.start = at.start;
            self.capital = raw.is_uppercase();
        }
        self.text.extend(c.to_lowercase());
        self.at.end = at.end;
    }

    /// Ends the word, with contractions written out.
    fn finish(&mut self, tokens: &mut Vec<SentenceToken>) {
        if self.text.is_empty() {
            return;
        }
        let text = core::mem::take(&mut self.text);
        let capital = self.capital;
        let at = self.at.clone();
        let mut push = |word: &str| {
            tokens.push(SentenceToken {
                text: word.to_owned(),
                at: at.clone(),
                mark: false,
                capital,
            });
        };
        match written_out(&text) {
            Some((first, second)) => {
                push(first);
                push(second);
            }
            None => push(text.strip_suffix("'s").unwrap_or(&text)),
        }
    }
}

/// The two words of a contraction.
fn written_out(word: &str) -> Option<(&str, &str)> {
    const IS: &[&str] =
        &["it", "that", "there", "he", "she", "what", "who", "here", "this", "where", "everything"];
    match word {
        "cannot" | "can't" => return Some(("can", "not")),
        "won't" => return Some(("will", "not")),
        "shan't" => return Some(("shall", "not")),
        _ => {}
    }
    let ends = [("n't", "not"), ("'ve", "have"), ("'re", "are"), ("'ll", "will")];
    for (end, whole) in ends.into_iter().chain([("'d", "had"), ("'m", "am")]) {
        if let Some(first) = word.strip_suffix(end).filter(|first| !first.is_empty()) {
            return Some((first, whole));
        }
    }
    let first = word.strip_suffix("'s")?;
    IS.contains(&first).then_some((first, "is"))
}

/// The plain form of a letter that has a wide or a typographic one.
fn fold(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{02bc}' | '\u{ff07}' => '\'',
        '\u{2010}' | '\u{2011}' => '-',
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

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text, 0).into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn words_lose_their_typography() {
        assert_eq!(
            words("It wasn\u{2019}t \u{ff21} large-scale so\u{ad}phisticated 10,000!"),
            ["it", "was", "not", "a", "large", "scale", "sophisticated", "10,000"]
        );
    }

    #[test]
    fn marks_ranges_and_possessives_are_read() {
        assert_eq!(
            words("party.example\u{2019}s site, 10\u{2013}15% at 10:02 \u{2013} we\u{2019}ve"),
            [
                "party.example",
                "site",
                ",",
                "10",
                "to",
                "15",
                "percent",
                "at",
                "10:02",
                "\u{2013}",
                "we",
                "have"
            ]
        );
    }
}
