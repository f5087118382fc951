//! A sentence in its parts: tokens, segments and units.

use core::ops::Range;

use super::content::{Content, Segment};
use super::facts::Facts;
use super::lexicon::{WordKind, lexicon};
use super::numbers::phrase_at;
use super::outcome::RejectedPhrase;
use super::segments::segments;
use super::tokens::{SentenceToken, tokens};
use super::units::{SentenceUnit, units};

/// A sentence in its parts.
pub(super) struct Parsed<'a> {
    text: &'a str,
    pub(super) tokens: Vec<SentenceToken>,
    pub(super) segments: Vec<Segment>,
    pub(super) units: Vec<SentenceUnit>,
}

impl<'a> Parsed<'a> {
    pub(super) fn new(text: &'a str, at: &Range<usize>, facts: &Facts<'_>) -> Self {
        let tokens = upright(answered(tokens(&text[at.clone()], at.start)));
        let segments = segments(&tokens, &facts.names);
        let units = units(&segments);
        Self { text, tokens, segments, units }
    }

    /// The bytes of some units.
    fn range(&self, first: usize, last: usize) -> Range<usize> {
        self.tokens_range(self.units[first].first, self.units[last].last)
    }

    /// The bytes of some segments. Tokens may have been put in another order.
    fn tokens_range(&self, first: usize, last: usize) -> Range<usize> {
        let tokens = &self.tokens[self.segments[first].first..=self.segments[last].last];
        let start = tokens.iter().map(|token| token.at.start).min().unwrap_or(0);
        let end = tokens.iter().map(|token| token.at.end).max().unwrap_or(start);
        start..end
    }

    pub(super) fn phrase(
        &self,
        first: usize,
        last: usize,
        why: impl Into<String>,
    ) -> RejectedPhrase {
        let at = self.range(first, last);
        RejectedPhrase { phrase: self.text[at.clone()].to_owned(), at, why: why.into() }
    }

    /// The words of one finding.
    pub(super) fn words(&self, unit: usize, segment: Option<usize>, why: String) -> RejectedPhrase {
        let Some(segment) = segment.filter(|n| *n < self.segments.len()) else {
            return self.phrase(unit, unit, why);
        };
        let at = self.tokens_range(segment, segment);
        RejectedPhrase { phrase: self.text[at.clone()].to_owned(), at, why }
    }

    /// Whether one of these words is in the sentence.
    pub(super) fn mentions(&self, words: &[&str]) -> bool {
        self.tokens.iter().any(|token| words.iter().any(|word| token.is(word)))
    }

    pub(super) fn segments_of(&self, unit: usize) -> &[Segment] {
        let unit = &self.units[unit];
        &self.segments[unit.first..=unit.last]
    }
}

/// "Was it down: no." as "it was not down", and "Whether it was down: yes." as "it was down".
fn answered(tokens: Vec<SentenceToken>) -> Vec<SentenceToken> {
    const AUXILIARIES: &[&str] = &["is", "are", "was", "were", "did", "do", "does", "has", "have"];
    const PLAIN: &[&str] = &[
        "no", "none", "yes", "it", "is", "was", "not", "did", "has", "on", "record", "recorded",
        "there", "were", "we", "can", "say", "that", ",", "they", "are", "does",
    ];
    let asked = tokens.first().is_some_and(|t| t.is("asked"));
    let mark = |t: &SentenceToken| t.is(":") || (asked && t.is(","));
    let Some(split) = tokens.iter().position(mark) else { return tokens };
    let (question, answer) = (&tokens[..split], &tokens[split + 1..]);
    let plain = !answer.is_empty() && answer.iter().all(|t| PLAIN.contains(&t.text.as_str()));
    let skipped = question
        .iter()
        .take_while(|t| ["asked", "as", "to", "whether", "if"].iter().any(|word| t.is(word)));
    let question = &question[skipped.count()..];
    let auxiliary = |t: &SentenceToken| AUXILIARIES.contains(&t.text.as_str());
    let Some(first) = question.iter().position(auxiliary).filter(|_| plain) else { return tokens };
    let negative = answer.iter().find(|t| t.is("no") || t.is("none") || t.is("not"));
    let mut out: Vec<SentenceToken> = Vec::new();
    if first == 0 {
        let rest = &question[1..];
        let subject = subject_length(rest);
        out.extend_from_slice(&rest[..subject]);
        out.push(question[0].clone());
        out.extend(negative.map(|n| SentenceToken { text: "not".to_owned(), ..n.clone() }));
        out.extend_from_slice(&rest[subject..]);
    } else {
        out.extend_from_slice(&question[..=first]);
        out.extend(negative.map(|n| SentenceToken { text: "not".to_owned(), ..n.clone() }));
        out.extend_from_slice(&question[first + 1..]);
    }
    out
}

/// How many tokens the subject after an auxiliary has: one word, or an article with the words up to a
/// verb or an adjective.
fn subject_length(tokens: &[SentenceToken]) -> usize {
    let ends = |at: &usize| {
        lexicon().at(tokens, *at).any(|(e, _)| {
            matches!(e.kind, WordKind::Verb | WordKind::Adjective | WordKind::Connector)
                && !matches!(e.class, "Plain" | "Up")
        })
    };
    match tokens.first() {
        Some(t) if ["the", "our", "any", "your", "this"].iter().any(|w| t.is(w)) => {
            (1..tokens.len()).find(ends).unwrap_or(tokens.len())
        }
        Some(_) => 1,
        None => 0,
    }
}

/// "At no time did the site go down" as "the site did not go down".
fn upright(tokens: Vec<SentenceToken>) -> Vec<SentenceToken> {
    for phrase in ["at no time", "at no point", "at no stage", "never", "not once", "in no way"] {
        let length = phrase_at(&tokens, 0, phrase);
        let auxiliary = tokens
            .get(length)
            .filter(|t| ["did", "was", "were", "has", "have", "is", "are"].iter().any(|w| t.is(w)));
        let Some(auxiliary) = auxiliary.filter(|_| length > 0) else { continue };
        let rest = &tokens[length + 1..];
        let subject = subject_length(rest);
        let not = SentenceToken { text: "not".to_owned(), ..tokens[0].clone() };
        let mut out = rest[..subject].to_vec();
        out.extend([auxiliary.clone(), not]);
        out.extend_from_slice(&rest[subject..]);
        return out;
    }
    tokens
}

/// Whether a segment is a word that is not known, or a number.
pub(super) fn is_unread(segment: &Segment) -> bool {
    matches!(
        segment.content,
        Content::Unknown | Content::Number(_) | Content::Quantity(..) | Content::Recipient(_)
    )
}
